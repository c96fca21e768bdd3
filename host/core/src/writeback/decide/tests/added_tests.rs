//! New objects beside others: who builds their files, and who has one already.

use reeve_kustomize::Overlay;

use super::*;

/// What becomes of new claims below `state`, in a repository of which a Kustomization builds this directory.
fn decided_beside(
    tree: &MemoryTree,
    built: &str,
    options: &Options,
    (others, elsewhere): (&[String], &[Elsewhere]),
    claims: &[Object],
) -> Decision {
    let remotes = Remotes::refused();
    let builds = [Build {
        path: built,
        remotes: &remotes,
        options,
        others: &[],
        base: None,
        compared: None,
    }];
    let head = Head {
        tree,
        all: tree,
        path: "state",
        template: reeve_writeback::DEFAULT_TEMPLATE,
        builds: &builds,
        others,
        elsewhere,
        agreed: &BTreeMap::new(),
        forgotten: &BTreeMap::new(),
    };
    let rules: Vec<WriteBackRule> = serde_json::from_value(json!([{"syncTo": "git"}])).unwrap();
    let allowed = Allowed {
        namespaces: ["acme".to_owned(), "acme-test".to_owned()].into(),
        cluster_scoped: false,
    };
    let seen: Vec<Seen> = claims.iter().cloned().map(made).collect();
    decide(&Rules::parse(&rules).unwrap(), &allowed, &head, &seen)
}

/// As a Kustomization with this target namespace builds.
fn into_namespace(namespace: &str) -> Options {
    Options {
        generate: true,
        overlay: Overlay {
            namespace: Some(namespace.to_owned()),
            ..Overlay::default()
        },
        ..Options::default()
    }
}

fn plain() -> MemoryTree {
    [("web.yaml", manifest("web", 1))].into_iter().collect()
}

fn claims() -> [Object; 2] {
    [claim("data", "acme"), claim("logs", "acme-test")]
}

#[test]
fn a_build_around_the_files_is_asked_what_it_makes_of_them() {
    let options = into_namespace("acme");
    let of = |built: &str| decided_beside(&plain(), built, &options, (&[], &[]), &claims());
    // Whether the build is of the directory itself, or of one around it.
    for built in ["", "state"] {
        let decision = of(built);
        let files: Vec<&String> = decision.edits.files.keys().collect();
        assert_eq!(files, [FILE], "{built}");
        let [refused] = decision.refused.as_slice() else {
            panic!("{:?}", decision.refused);
        };
        assert_eq!(refused.object, "PersistentVolumeClaim acme-test/logs");
        assert_eq!(refused.reason, Reason::Transformed.to_string());
        assert_eq!(decision.written.len(), 1);
    }
    let beside = of("app");
    assert_eq!(beside.refused, []);
    assert_eq!(beside.edits.files.len(), 2);
}

#[test]
fn where_somebody_who_is_not_asked_takes_all_nothing_new_is_made() {
    let options = into_namespace("acme");
    let others = ["state/acme-test".to_owned()];
    let decision = decided_beside(&plain(), "app", &options, (&others, &[]), &claims());
    let files: Vec<&String> = decision.edits.files.keys().collect();
    assert_eq!(files, [FILE]);
    let [refused] = decision.refused.as_slice() else {
        panic!("{:?}", decision.refused);
    };
    assert!(
        refused.reason.contains("is used by state/acme-test too"),
        "{}",
        refused.reason
    );
}

#[test]
fn what_somebody_else_keeps_in_a_file_is_not_written_again() {
    let theirs = "kept/data.acme.yaml";
    let tree: MemoryTree = [(theirs, CLAIM)].into_iter().collect();
    let elsewhere = [Elsewhere {
        by: "WriteBack acme/other".to_owned(),
        path: "kept".to_owned(),
        template: "{name}.{namespace}.yaml".to_owned(),
    }];
    let options = into_namespace("acme");
    let decision = decided_beside(&tree, "app", &options, (&[], &elsewhere), &claims());
    let files: Vec<&String> = decision.edits.files.keys().collect();
    assert_eq!(files, ["state/acme-test/persistentvolumeclaim-logs.yaml"]);
    let [refused] = decision.refused.as_slice() else {
        panic!("{:?}", decision.refused);
    };
    assert_eq!(
        refused.reason,
        "is in kept/data.acme.yaml already, where WriteBack acme/other keeps it"
    );
}
