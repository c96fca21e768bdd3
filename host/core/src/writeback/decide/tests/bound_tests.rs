//! What a build gives and the cluster has bound: another cluster is to give it the same data.

use super::*;

const CLAIM: &str = "# What the shop has sold.\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\n  namespace: acme\nspec:\n  storageClassName: fast # never the slow one\n";
const VOLUME: &str = "apiVersion: v1\nkind: PersistentVolume\nmetadata:\n  name: pv-1\nspec:\n  storageClassName: fast # the quick one\n";
const SNAPSHOT: &str = "apiVersion: snapshot.storage.k8s.io/v1\nkind: VolumeSnapshot\nmetadata:\n  name: before # the move\n  namespace: acme\nspec:\n  source:\n    persistentVolumeClaimName: data\n";
const CONTENT: &str = "apiVersion: snapshot.storage.k8s.io/v1\nkind: VolumeSnapshotContent\nmetadata:\n  name: content-1\nspec:\n  driver: disks.example.com # ours\n";

/// A directory `prod` that gives these.
fn tree(manifests: &[&str]) -> MemoryTree {
    let names = (1..)
        .zip(manifests)
        .map(|(n, text)| (format!("{n}.yaml"), text));
    let names: Vec<_> = names.collect();
    let list: String = names
        .iter()
        .map(|(name, _)| format!("- {name}\n"))
        .collect();
    let files = names.into_iter();
    let files = files.map(|(name, text)| (format!("prod/{name}"), (*text).to_owned()));
    let list = (
        "prod/kustomization.yaml".to_owned(),
        format!("resources:\n{list}"),
    );
    files.chain([list]).collect()
}

/// One of a build: as that gives it, and as it is, where Kubernetes has filled in what more there is.
fn bound(resource: &str, manifest: &str, live: impl FnOnce(&mut Value)) -> Seen {
    let documents = reeve_kustomize::edit::documents(manifest.as_bytes(), "a.yaml").unwrap();
    let applied = documents.into_iter().next().unwrap().value;
    let mut is = applied.clone();
    live(&mut is);
    Seen {
        resource: resource.to_owned(),
        state: State::Held {
            build: 0,
            applied: Box::new(object(applied)),
            defaulted: Some(Box::new(object(is.clone()))),
            live: Box::new(object(is)),
        },
    }
}

fn claim_with_volume() -> Seen {
    bound("persistentvolumeclaims", CLAIM, |is| {
        is["spec"]["volumeName"] = json!("pv-1");
    })
}

/// Of a snapshot that the storage has taken.
fn taken() -> Value {
    json!({"boundVolumeSnapshotContentName": "content-1", "readyToUse": true, "creationTime": "2026-11-23T16:00:00Z"})
}

fn snapshot(status: Value) -> Seen {
    bound("volumesnapshots", SNAPSHOT, |is| is["status"] = status)
}

/// By these rules, as the platform decides, which may write what is in no namespace.
fn by(rules: Value, tree: &MemoryTree, seen: &[Seen]) -> Decision {
    let rules: Vec<WriteBackRule> = serde_json::from_value(rules).unwrap();
    let allowed = Allowed {
        namespaces: ["acme".to_owned()].into(),
        cluster_scoped: true,
    };
    let (remotes, options) = (Remotes::refused(), Options::default());
    let builds = [Build {
        path: "prod",
        remotes: &remotes,
        options: &options,
        others: &[],
        base: None,
        compared: None,
    }];
    let head = Head {
        tree,
        all: tree,
        path: "",
        template: reeve_writeback::DEFAULT_TEMPLATE,
        builds: &builds,
        others: &[],
        elsewhere: &[],
        agreed: &BTreeMap::new(),
        forgotten: &BTreeMap::new(),
    };
    decide(&Rules::parse(&rules).unwrap(), &allowed, &head, seen)
}

fn all() -> Value {
    json!([{"syncTo": "git"}])
}

#[test]
fn a_claim_of_a_build_names_the_volume_that_was_found_for_it_where_that_is_in_git() {
    let named = format!("{CLAIM}  volumeName: pv-1\n");
    let there = tree(&[CLAIM, VOLUME]);
    let decision = by(all(), &there, &[claim_with_volume()]);
    assert_eq!(text(&decision, "prod/1.yaml"), Some(named.clone()));
    let [written] = &decision.written[..] else {
        panic!("{:?}", decision.written);
    };
    let fields: Vec<_> = written.fields.iter().map(|one| &*one.field).collect();
    assert_eq!(fields, ["spec.volumeName"]);

    let alone = tree(&[CLAIM]);
    let decision = by(all(), &alone, &[claim_with_volume()]);
    assert_eq!(decision, Decision::default(), "the volume is in no file");

    let made = made_volume();
    let decision = by(all(), &alone, &[claim_with_volume(), made]);
    assert_eq!(
        text(&decision, "prod/1.yaml"),
        Some(named),
        "both are written"
    );

    let others = json!([{"filters": ["/spec/resources"], "syncTo": "git"}]);
    let decision = by(others, &there, &[claim_with_volume()]);
    assert_eq!(decision, Decision::default(), "no rule is for the field");
}

#[test]
fn a_claim_names_no_volume_whose_own_file_is_refused() {
    // Something else lies where the volume's file would.
    let volume = made_volume();
    let place = reeve_writeback::file_in("", reeve_writeback::DEFAULT_TEMPLATE, volume.object());
    let place = place.unwrap();
    let files = [
        ("prod/kustomization.yaml", "resources:\n- 1.yaml\n"),
        ("prod/1.yaml", CLAIM),
        (&place, "what: somebody has\n"),
    ];
    let tree: MemoryTree = files.into_iter().collect();
    let decision = by(all(), &tree, &[claim_with_volume(), volume]);
    let [refused] = &decision.refused[..] else {
        panic!("{:?}", decision.refused);
    };
    assert_eq!(refused.object, "PersistentVolume pv-1");
    assert_eq!(
        text(&decision, "prod/1.yaml"),
        None,
        "it would wait for ever"
    );
}

fn made_volume() -> Seen {
    let documents = reeve_kustomize::edit::documents(VOLUME.as_bytes(), "a.yaml").unwrap();
    Seen {
        resource: "persistentvolumes".to_owned(),
        state: State::Made {
            live: Box::new(object(documents.into_iter().next().unwrap().value)),
            lean: None,
        },
    }
}

#[test]
fn a_volume_of_a_build_names_its_claim_and_not_which_one_of_that_name() {
    let seen = bound("persistentvolumes", VOLUME, |is| {
        is["spec"]["claimRef"] = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": "data", "namespace": "acme",
            "resourceVersion": "70", "uid": "4a"});
    });
    let decision = by(all(), &tree(&[VOLUME]), &[seen]);
    let claim = "  claimRef:\n    apiVersion: v1\n    kind: PersistentVolumeClaim\n    name: data\n    namespace: acme\n";
    assert_eq!(
        text(&decision, "prod/1.yaml"),
        Some(format!("{VOLUME}{claim}"))
    );
    assert_eq!(decision.refused, []);
}

#[test]
fn a_snapshot_of_a_build_names_its_content_once_it_is_taken() {
    let there = tree(&[SNAPSHOT, CONTENT]);
    let decision = by(all(), &there, &[snapshot(taken())]);
    let now = text(&decision, "prod/1.yaml").unwrap();
    for words in [
        "volumeSnapshotContentName: content-1",
        "kustomize.toolkit.fluxcd.io/ssa: IfNotPresent",
        "name: before # the move",
    ] {
        assert!(now.contains(words), "{words}: {now}");
    }
    assert!(!now.contains("persistentVolumeClaimName"), "{now}");

    let bound = json!({"boundVolumeSnapshotContentName": "content-1", "readyToUse": false});
    for (about, rules, tree, status) in [
        ("it is being taken", all(), &there, bound),
        (
            "the content is in no file",
            all(),
            &tree(&[SNAPSHOT]),
            taken(),
        ),
        (
            "half of it would break the next apply",
            json!([{"filters": ["/spec"], "syncTo": "git"}]),
            &there,
            taken(),
        ),
    ] {
        let decision = by(rules, tree, &[snapshot(status)]);
        assert_eq!(decision, Decision::default(), "{about}");
    }
}

#[test]
fn the_content_of_a_snapshot_that_was_taken_of_a_volume_is_found_by_its_handle() {
    let manifest =
        format!("{CONTENT}  deletionPolicy: Delete\n  source: {{volumeHandle: disk-1}}\n");
    let seen = bound("volumesnapshotcontents", &manifest, |is| {
        is["status"] = json!({"snapshotHandle": "snap-1"});
    });
    let decision = by(all(), &tree(&[&manifest]), &[seen]);
    let now = text(&decision, "prod/1.yaml").unwrap();
    for words in [
        "snapshotHandle: snap-1",
        "deletionPolicy: Retain",
        "kustomize.toolkit.fluxcd.io/ssa: IfNotPresent",
        "driver: disks.example.com # ours",
    ] {
        assert!(now.contains(words), "{words}: {now}");
    }
    assert!(!now.contains("volumeHandle"), "{now}");
}

#[test]
fn what_somebody_has_changed_is_written_even_where_the_content_cannot_be() {
    let manifest = SNAPSHOT.replace("Name: data", "Name: ${CLAIM}");
    let mut seen = snapshot(taken());
    if let State::Held { live, .. } = &mut seen.state {
        live.labels_mut().insert("tier".to_owned(), json!("gold"));
    }
    let decision = by(all(), &tree(&[&manifest, CONTENT]), &[seen]);
    let now = text(&decision, "prod/1.yaml").unwrap();
    assert!(now.contains("tier: gold"), "{now}");
    assert!(now.contains("${CLAIM}"), "{now}");
    let [refused] = &decision.refused[..] else {
        panic!("{:?}", decision.refused);
    };
    let field = "spec.source.persistentVolumeClaimName";
    assert_eq!(refused.field, field, "a variable stands there");
}
