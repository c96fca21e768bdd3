//! What is written of what was seen.

mod added_tests;
mod bound_tests;
mod deletions_tests;
mod made_tests;
mod sides_tests;

use reeve_api::writeback::WriteBackRule;
use reeve_kustomize::MemoryTree;
use serde_json::json;

use super::round::MOST;
use super::*;
use crate::writeback::Side;

/// Where the platform writes what is in no namespace.
const PLATFORM: &str = "platform";
const KUSTOMIZATION: &str = "resources:\n- web.yaml\n- api.yaml\n";

fn manifest(name: &str, replicas: u8) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  namespace: acme\nspec:\n  replicas: {replicas} # by hand\n"
    )
}

/// A directory `prod` with two Deployments.
fn files(web: u8) -> MemoryTree {
    [
        ("prod/kustomization.yaml", KUSTOMIZATION.to_owned()),
        ("prod/web.yaml", manifest("web", web)),
        ("prod/api.yaml", manifest("api", 1)),
        ("README.md", "x".to_owned()),
    ]
    .into_iter()
    .collect()
}

fn deployment(name: &str, replicas: u8) -> Object {
    object(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "acme"},
        "spec": {"replicas": replicas}}),
    )
}

fn object(value: Value) -> Object {
    Object::try_from(value).unwrap()
}

/// As it is, by somebody and with these annotations.
fn live(mut object: Object, annotations: Value) -> Object {
    let mut fields = json!({"f:spec": {"f:replicas": {}}});
    let said = annotations.as_object().into_iter().flatten();
    for (key, _) in said {
        fields["f:metadata"]["f:annotations"][format!("f:{key}")] = json!({});
    }
    let claims = json!([{"manager": "kubectl-scale", "operation": "Update", "time": "2026-11-23T06:00:00Z", "fieldsV1": fields}]);
    let metadata = object.metadata_mut();
    metadata.insert("managedFields".to_owned(), claims);
    metadata.insert("uid".to_owned(), json!("1"));
    if !annotations.is_null() {
        metadata.insert("annotations".to_owned(), annotations);
    }
    object
}

fn held(name: &str, applied: u8, is: u8, annotations: Value) -> Seen {
    Seen {
        resource: "deployments".to_owned(),
        state: State::Held {
            build: 0,
            applied: Box::new(deployment(name, applied)),
            defaulted: None,
            live: Box::new(live(deployment(name, is), annotations)),
        },
    }
}

fn claim(name: &str, namespace: &str) -> Object {
    let mut metadata = json!({"name": name, "uid": "7", "resourceVersion": "9"});
    if !namespace.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    object(
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata,
        "spec": {"storageClassName": "fast"}, "status": {"phase": "Bound"}}),
    )
}

fn made(object: Object) -> Seen {
    Seen {
        resource: "persistentvolumeclaims".to_owned(),
        state: State::Made {
            live: Box::new(object),
            lean: None,
        },
    }
}

fn gone(build: Option<usize>, object: Object) -> Seen {
    Seen {
        resource: "any".to_owned(),
        state: State::Gone {
            build,
            object: Box::new(object),
        },
    }
}

/// By these rules, on these files, which `base` were when both were the same.
fn decided(
    rules: Value,
    tree: &MemoryTree,
    base: Option<&MemoryTree>,
    path: &str,
    seen: &[Seen],
) -> Decision {
    decided_since(&BTreeMap::new(), rules, tree, base, path, seen)
}

/// The same, where files of their own gave that when both were the same.
fn decided_since(
    agreed: &BTreeMap<String, Object>,
    rules: Value,
    tree: &MemoryTree,
    base: Option<&MemoryTree>,
    path: &str,
    seen: &[Seen],
) -> Decision {
    decided_by((agreed, &BTreeMap::new()), rules, tree, base, path, seen)
}

/// The same, where of these files it is not known any more.
fn decided_by(
    (agreed, forgotten): (&BTreeMap<String, Object>, &BTreeMap<String, bool>),
    rules: Value,
    tree: &MemoryTree,
    base: Option<&MemoryTree>,
    path: &str,
    seen: &[Seen],
) -> Decision {
    let rules: Vec<WriteBackRule> = serde_json::from_value(rules).unwrap();
    let rules = Rules::parse(&rules).unwrap();
    let allowed = Allowed {
        namespaces: ["acme".to_owned()].into(),
        cluster_scoped: path == PLATFORM,
    };
    let (remotes, options) = (Remotes::refused(), Options::default());
    let builds = [Build {
        path: "prod",
        remotes: &remotes,
        options: &options,
        others: &[],
        base: base.map(|base| -> &dyn Tree { base }),
        compared: None,
    }];
    let head = Head {
        tree,
        all: tree,
        path,
        template: reeve_writeback::DEFAULT_TEMPLATE,
        builds: &builds,
        others: &[],
        elsewhere: &[],
        agreed,
        forgotten,
    };
    decide(&rules, &allowed, &head, seen)
}

fn to_git(tree: &MemoryTree, seen: &[Seen]) -> Decision {
    decided(
        json!([{"syncTo": "git", "onDelete": "delete"}]),
        tree,
        None,
        "",
        seen,
    )
}

fn text(decision: &Decision, file: &str) -> Option<String> {
    let bytes = decision.edits.files.get(file)?.clone()?;
    Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn what_somebody_has_changed_goes_where_it_comes_from_with_who_and_why() {
    let said = json!({"reeve.dev/reason": "long queue\n", "reeve.dev/changed-by": "ann"});
    let decision = to_git(
        &files(1),
        &[held("web", 1, 3, said), held("api", 1, 1, Value::Null)],
    );
    assert_eq!(decision.refused, []);
    assert_eq!(text(&decision, "prod/web.yaml"), Some(manifest("web", 3)));
    assert_eq!(decision.edits.files.len(), 1);
    let [written] = decision.written.as_slice() else {
        panic!("{:?}", decision.written);
    };
    assert_eq!(
        (written.what, &written.files),
        (What::Changed, &vec!["prod/web.yaml".to_owned()])
    );
    assert_eq!(
        (written.why.as_deref(), written.user.as_deref()),
        (Some("long queue"), Some("ann"))
    );
    let [field] = written.fields.as_slice() else {
        panic!("{:?}", written.fields);
    };
    assert_eq!(
        (field.field.as_str(), &field.old, &field.new),
        ("spec.replicas", &Some(json!(1)), &Some(json!(3)))
    );
    assert_eq!(field.by.as_ref().unwrap().manager, "kubectl-scale");
}

#[test]
fn only_what_a_rule_sends_to_git_is_written() {
    let seen = [held("web", 1, 3, Value::Null)];
    for (rules, want) in [
        (json!([{"syncTo": "git"}]), true),
        (
            json!([{"syncTo": "git", "filters": ["/spec/replicas"]}]),
            true,
        ),
        (json!([{"syncTo": "git", "filters": ["/metadata"]}]), false),
        (json!([{"syncTo": "git", "names": ["api"]}]), false),
        (json!([{"syncTo": "kubernetes"}]), false),
        (json!([{"syncTo": "ignore"}, {"syncTo": "git"}]), false),
    ] {
        let decision = decided(rules.clone(), &files(1), None, "", &seen);
        assert_eq!(!decision.edits.files.is_empty(), want, "{rules}");
        assert_eq!(decision.refused, [], "{rules}");
    }
}

#[test]
fn what_git_alone_has_changed_is_never_taken_back_and_in_a_conflict_the_cluster_wins() {
    let rules = json!([{"syncTo": "git"}]);
    let (base, head) = (files(1), files(5));
    let of = |is| {
        decided(
            rules.clone(),
            &head,
            Some(&base),
            "",
            &[held("web", 1, is, Value::Null)],
        )
    };
    let git_only = of(1);
    assert_eq!(
        (git_only.edits, git_only.conflicts),
        (Edits::default(), Vec::new())
    );
    let same = of(5);
    assert_eq!((same.edits, same.conflicts), (Edits::default(), Vec::new()));
    let both = of(3);
    assert_eq!(text(&both, "prod/web.yaml"), Some(manifest("web", 3)));
    let [conflict] = both.conflicts.as_slice() else {
        panic!("{:?}", both.conflicts);
    };
    assert_eq!(
        (conflict.field.as_str(), conflict.winner),
        ("spec.replicas", Side::Kubernetes)
    );
    assert_eq!(
        (&conflict.kept, &conflict.lost),
        (&Some(json!(3)), &Some(json!(5)))
    );
}

#[test]
fn one_objects_refusal_stops_no_other() {
    let stranger = held("stranger", 1, 2, Value::Null);
    let secret = Seen {
        resource: "secrets".to_owned(),
        state: State::Made {
            live: Box::new(object(
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "acme"}}),
            )),
            lean: None,
        },
    };
    let seen = [
        stranger,
        secret,
        held("web", 1, 3, Value::Null),
        held("api", 1, 2, Value::Null),
    ];
    let decision = to_git(&files(1), &seen);
    assert_eq!(text(&decision, "prod/web.yaml"), Some(manifest("web", 3)));
    assert_eq!(text(&decision, "prod/api.yaml"), Some(manifest("api", 2)));
    let told: Vec<&str> = decision
        .refused
        .iter()
        .map(|one| one.object.as_str())
        .collect();
    assert_eq!(told, ["Secret acme/key", "Deployment acme/stranger"]);
    assert!(decision.refused.iter().all(|one| !one.hint.is_empty()));
    assert_eq!(decision.written.len(), 2);
}

#[test]
fn only_what_is_the_tenants_is_written() {
    for (namespace, says) in [
        ("other", "is in a namespace that is not"),
        ("", "is in no namespace"),
    ] {
        let decision = to_git(&files(1), &[made(claim("data", namespace))]);
        assert_eq!(decision.edits, Edits::default());
        assert!(
            decision
                .refused
                .iter()
                .all(|one| one.reason.starts_with(says))
                && decision.refused.len() == 1
        );
    }
    // What no rule is for is not told either.
    let rules = json!([{"syncTo": "git", "namespaces": ["acme"]}]);
    let decision = decided(rules, &files(1), None, "", &[made(claim("data", "other"))]);
    assert_eq!(decision, Decision::default());
}

#[test]
fn an_object_that_was_taken_out_is_neither_written_nor_refused() {
    let paused = held("web", 1, 3, json!({"reeve.dev/write-back": "disabled"}));
    let decision = to_git(&files(1), &[paused]);
    assert_eq!(
        (decision.edits, decision.refused),
        (Edits::default(), Vec::new())
    );
    let paused: Vec<String> = decision.paused.iter().map(subject).collect();
    assert_eq!(paused, ["Deployment acme/web"]);
}

const FILE: &str = "state/acme/persistentvolumeclaim-data.yaml";
const CLAIM: &str = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\n  namespace: acme\nspec:\n  storageClassName: fast\n";

fn stateful(tree: &MemoryTree, seen: &[Seen]) -> Decision {
    let rules = json!([{"syncTo": "git", "onDelete": "delete"}]);
    decided(rules, tree, None, "state", seen)
}

#[test]
fn a_new_object_becomes_a_file_that_follows_it_and_goes_with_it() {
    let decision = stateful(&files(1), &[made(claim("data", "acme"))]);
    assert_eq!(decision.refused, []);
    assert_eq!(text(&decision, FILE).as_deref(), Some(CLAIM));
    assert_eq!(
        decision.written.first().map(|one| one.what),
        Some(What::Made)
    );

    let with = |text: &str| -> MemoryTree {
        [
            (FILE, text.to_owned()),
            ("prod/web.yaml", manifest("web", 1)),
        ]
        .into_iter()
        .collect()
    };
    // It is so already.
    let again = stateful(&with(CLAIM), &[made(claim("data", "acme"))]);
    let same = Decision {
        agreed: [FILE.to_owned()].into(),
        ..Decision::default()
    };
    assert_eq!(again, same);
    // Comments of people stay.
    let commented = CLAIM
        .replace("fast", "slow # why")
        .replace("spec:", "# ours\nspec:");
    let decision = stateful(&with(&commented), &[made(claim("data", "acme"))]);
    let want = commented.replace("slow", "fast");
    assert_eq!(text(&decision, FILE), Some(want));
    assert_eq!(
        decision.written.first().map(|one| one.what),
        Some(What::Changed)
    );

    let decision = stateful(&with(CLAIM), &[gone(None, claim("data", "acme"))]);
    assert_eq!(decision.edits.files.get(FILE), Some(&None));
    assert_eq!(
        decision.written.first().map(|one| one.what),
        Some(What::Deleted)
    );
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let with = |text: &str| -> MemoryTree { [(FILE, text.to_owned())].into_iter().collect() };
    let other = CLAIM.replace("name: data", "name: other");
    let both = format!("{CLAIM}---\n{other}");
    for text in [other.as_str(), both.as_str(), "{{ helm }}", ""] {
        let tree = with(text);
        let decision = stateful(&tree, &[gone(None, claim("data", "acme"))]);
        assert_eq!(
            (decision.edits, decision.refused),
            (Edits::default(), Vec::new()),
            "{text}"
        );
        let decision = stateful(&tree, &[made(claim("data", "acme"))]);
        assert_eq!(decision.edits, Edits::default(), "{text}");
        assert_eq!(decision.refused.len(), 1, "{text}");
    }
    let nowhere = stateful(&files(1), &[gone(None, claim("data", "acme"))]);
    assert_eq!(nowhere, Decision::default());
}

#[test]
fn what_was_deleted_is_taken_out_only_by_a_rule_that_says_so() {
    let seen = [gone(Some(0), deployment("web", 1))];
    let decision = to_git(&files(1), &seen);
    assert_eq!(decision.edits.files.get("prod/web.yaml"), Some(&None));
    assert_eq!(
        text(&decision, "prod/kustomization.yaml").as_deref(),
        Some("resources:\n- api.yaml\n")
    );
    for rule in [
        json!({"syncTo": "git"}),
        json!({"syncTo": "git", "onDelete": "delete", "filters": ["/spec"]}),
    ] {
        let decision = decided(json!([rule]), &files(1), None, "", &seen);
        assert_eq!(decision, Decision::default());
    }
    // It is out already.
    let again = to_git(&files(1), &[gone(Some(0), deployment("old", 1))]);
    assert_eq!(again, Decision::default());
}

#[test]
fn no_name_leads_out_of_the_directory() {
    for name in ["../../prod/web", "..", ".git", "a/b", "a\nb"] {
        let decision = stateful(&files(1), &[made(claim(name, "acme"))]);
        assert_eq!(decision.edits, Edits::default(), "{name}");
        assert_eq!(decision.refused.len(), 1, "{name}");
    }
    // What is built elsewhere is not edited either.
    let rules = json!([{"syncTo": "git"}]);
    let decision = decided(
        rules,
        &files(1),
        None,
        "state",
        &[held("web", 1, 3, Value::Null)],
    );
    assert_eq!(decision.edits, Edits::default());
    assert!(
        decision
            .refused
            .iter()
            .any(|one| one.reason.contains("outside")),
        "{:?}",
        decision.refused
    );
}

#[test]
fn what_is_too_much_for_one_commit_is_left_for_the_next() {
    let seen: Vec<Seen> = (0..MOST + 3)
        .map(|_| held("web", 1, 1, Value::Null))
        .collect();
    assert_eq!(to_git(&files(1), &seen).left, 3);
}

#[test]
fn what_is_never_written_takes_no_room_from_what_is() {
    let secret = |number: usize| {
        let name = format!("secret-{number}");
        object(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "acme"}}),
        )
    };
    let secrets = (0..MOST + 3).map(|number| made(secret(number)));
    let seen: Vec<Seen> = secrets.chain([held("web", 1, 3, Value::Null)]).collect();
    let decision = to_git(&files(1), &seen);
    assert_eq!(decision.refused.len(), MOST + 3);
    assert_eq!((decision.left, decision.over.len()), (0, 0));
    assert_eq!(decision.written.len(), 1);
}

#[test]
fn what_a_delivery_writes_is_not_written() {
    let line =
        "# Delivered by reeve for Kustomization acme/shop. What is changed here is written over.\n";
    let web = format!("{line}{}", manifest("web", 1));
    let tree: MemoryTree = [
        ("prod/kustomization.yaml", KUSTOMIZATION.to_owned()),
        ("prod/web.yaml", web),
        ("prod/api.yaml", manifest("api", 1)),
    ]
    .into_iter()
    .collect();
    let both = [
        held("web", 1, 3, Value::Null),
        held("api", 1, 3, Value::Null),
    ];
    let decision = to_git(&tree, &both);
    let [refused] = &decision.refused[..] else {
        panic!("{:?}", decision.refused)
    };
    assert_eq!(refused.object, "Deployment acme/web");
    assert!(refused.reason.contains("delivery"), "{}", refused.reason);
    assert!(text(&decision, "prod/api.yaml").is_some_and(|text| text.contains("replicas: 3")));
    assert_eq!(text(&decision, "prod/web.yaml"), None);
}

#[test]
fn who_uses_a_base_is_looked_for_where_the_build_does_not_see_it() {
    let base = "resources:\n- ../prod\n".to_owned();
    let mut all: Vec<(&str, String)> = vec![
        ("prod/kustomization.yaml", KUSTOMIZATION.to_owned()),
        ("prod/web.yaml", manifest("web", 1)),
        ("prod/api.yaml", manifest("api", 1)),
        ("one/kustomization.yaml", base.clone()),
    ];
    let seen: MemoryTree = all.iter().cloned().collect();
    all.push(("two/kustomization.yaml", base));
    let all: MemoryTree = all.into_iter().collect();
    let (remotes, options) = (Remotes::refused(), Options::default());
    let builds = [Build {
        path: "one",
        remotes: &remotes,
        options: &options,
        others: &[],
        base: None,
        compared: None,
    }];
    let of = |all: &MemoryTree| {
        let head = Head {
            tree: &seen,
            all,
            path: "",
            template: reeve_writeback::DEFAULT_TEMPLATE,
            builds: &builds,
            others: &[],
            elsewhere: &[],
            agreed: &BTreeMap::new(),
            forgotten: &BTreeMap::new(),
        };
        let rules: Vec<WriteBackRule> = serde_json::from_value(json!([{"syncTo": "git"}])).unwrap();
        let allowed = Allowed {
            namespaces: ["acme".to_owned()].into(),
            cluster_scoped: false,
        };
        let rules = Rules::parse(&rules).unwrap();
        let decision = decide(&rules, &allowed, &head, &[held("web", 1, 3, Value::Null)]);
        decision.edits.files.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(of(&seen), ["prod/web.yaml"]);
    let careful = of(&all);
    assert!(
        !careful.is_empty() && careful.iter().all(|file| file.starts_with("one/")),
        "{careful:?}"
    );
}
