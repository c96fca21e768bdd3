//! Files of new objects: what is in them, what of a person's stays, and what is bound to what.

use super::*;

const WEB: &str = "state/acme/deployment.apps-web.yaml";

/// A Deployment that somebody has made, with these fields and what was filled in.
fn web(image: &str, replicas: u8) -> Object {
    object(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "acme"},
        "spec": {"image": image, "replicas": replicas, "revisionHistoryLimit": 10}}),
    )
}

fn file(image: &str, rest: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: acme\nspec:\n  image: {image}\n{rest}"
    )
}

fn seen(live: Object) -> Seen {
    let lean = reeve_writeback::without_defaults(&live);
    Seen {
        resource: "deployments".to_owned(),
        state: State::Made {
            live: Box::new(live),
            lean: Some(Box::new(lean)),
        },
    }
}

/// What is decided where the file gave `base` when both were the same, gives `head`, and the object is `live`.
fn followed(base: Option<Object>, head: &str, live: Object) -> Decision {
    let agreed: BTreeMap<String, Object> = base
        .map(|base| (WEB.to_owned(), base))
        .into_iter()
        .collect();
    let tree: MemoryTree = [(WEB, head.to_owned())].into_iter().collect();
    let rules = json!([{"syncTo": "git", "onDelete": "delete"}]);
    decided_since(&agreed, rules, &tree, None, "state", &[seen(live)])
}

fn gave(text: &str) -> Option<Object> {
    let documents = reeve_kustomize::edit::documents(text.as_bytes(), WEB).unwrap();
    Some(object(documents.into_iter().next().unwrap().value))
}

#[test]
fn what_the_server_fills_in_is_in_no_file_and_takes_none_out_of_one() {
    let tree: MemoryTree = [("README.md", String::new())].into_iter().collect();
    let decision = stateful(&tree, &[seen(web("a", 1))]);
    assert_eq!(text(&decision, WEB), Some(file("a", "")));
    assert!(decision.agreed.contains(WEB));
    // What somebody has written down stays, and nothing else comes.
    let written = file("a", "  replicas: 1 # one is enough\n");
    let decision = followed(None, &written, web("a", 1));
    assert_eq!(decision.edits, Edits::default());
    let decision = followed(None, &written, web("a", 3));
    assert_eq!(
        text(&decision, WEB),
        Some(written.replace("replicas: 1", "replicas: 3"))
    );
}

#[test]
fn what_git_alone_has_changed_in_such_a_file_stays() {
    let base = gave(&file("a", ""));
    let head = file("b", "  paused: true # for the night\n");
    let decision = followed(base.clone(), &head, web("a", 1));
    assert_eq!(decision.edits, Edits::default());
    assert_eq!(decision.conflicts, []);
    assert!(!decision.agreed.contains(WEB), "git is ahead");
    // Beside it another field is written.
    let decision = followed(base, &head, web("a", 3));
    let now = text(&decision, WEB).unwrap();
    for words in ["image: b", "paused: true # for the night", "replicas: 3"] {
        assert!(now.contains(words), "{words}: {now}");
    }
    assert_eq!(decision.conflicts, []);
    assert!(!decision.agreed.contains(WEB));
}

#[test]
fn what_both_have_changed_in_such_a_file_is_a_conflict_and_the_cluster_counts() {
    let base = gave(&file("a", ""));
    let decision = followed(base.clone(), &file("b", ""), web("c", 1));
    assert_eq!(text(&decision, WEB), Some(file("c", "")));
    let [conflict] = &decision.conflicts[..] else {
        panic!("{:?}", decision.conflicts);
    };
    assert_eq!(
        (
            conflict.field.as_str(),
            conflict.winner,
            &conflict.kept,
            &conflict.lost
        ),
        (
            "spec.image",
            Side::Kubernetes,
            &Some(json!("c")),
            &Some(json!("b"))
        )
    );
    assert!(decision.agreed.contains(WEB));
    // What both have changed alike is done.
    let alike = followed(base, &file("b", ""), web("b", 1));
    assert_eq!(
        (alike.edits, alike.conflicts),
        (Edits::default(), Vec::new())
    );
    assert!(alike.agreed.contains(WEB));
}

#[test]
fn a_file_that_somebody_has_taken_out_stays_out_until_its_object_changes() {
    let agreed = BTreeMap::from([(WEB.to_owned(), gave(&file("a", "")).unwrap())]);
    let empty: MemoryTree = [("README.md", String::new())].into_iter().collect();
    let decided = |agreed: &BTreeMap<String, Object>, live: Object| {
        let rules = json!([{"syncTo": "git"}]);
        decided_since(agreed, rules, &empty, None, "state", &[seen(live)])
    };
    assert_eq!(decided(&agreed, web("a", 1)), Decision::default());

    let decision = decided(&agreed, web("a", 3));
    assert_eq!(
        text(&decision, WEB),
        Some(file("a", "  replicas: 3\n")),
        "the cluster has changed it"
    );
    let [conflict] = &decision.conflicts[..] else {
        panic!("{:?}", decision.conflicts);
    };
    assert_eq!(
        (conflict.field.as_str(), &conflict.kept, &conflict.lost),
        ("spec.replicas", &Some(json!(3)), &None)
    );
    assert!(decision.agreed.contains(WEB));

    let decision = decided(&BTreeMap::new(), web("a", 1));
    assert_eq!(text(&decision, WEB), Some(file("a", "")), "it is new");
    assert_eq!(decision.conflicts, []);
}

#[test]
fn what_a_person_changed_in_the_file_of_an_object_that_is_deleted_is_told() {
    let tree: MemoryTree = [(WEB, file("b", ""))].into_iter().collect();
    let rules = || json!([{"syncTo": "git", "onDelete": "delete"}]);
    let was = [gone(None, web("a", 1))];
    let told = |agreed: &BTreeMap<String, Object>| {
        let decision = decided_since(agreed, rules(), &tree, None, "state", &was);
        assert_eq!(decision.edits.files.get(WEB), Some(&None));
        let conflicts = decision.conflicts.into_iter();
        let fields: Vec<_> = conflicts.map(|one| (one.field, one.lost)).collect();
        fields
    };
    let changed = BTreeMap::from([(WEB.to_owned(), gave(&file("a", "")).unwrap())]);
    let fields = [("spec.image".to_owned(), Some(json!("b")))];
    assert_eq!(told(&changed), fields);
    let same = BTreeMap::from([(WEB.to_owned(), gave(&file("b", "")).unwrap())]);
    assert_eq!(told(&same), []);
}

/// What is decided where it is known no more what the file gave, and whether it is known that there was one.
fn decided_forgotten(was_there: bool, tree: &MemoryTree, seen: &[Seen]) -> Decision {
    let forgotten = BTreeMap::from([(WEB.to_owned(), was_there)]);
    let known = (&BTreeMap::new(), &forgotten);
    let rules = json!([{"syncTo": "git", "onDelete": "delete"}]);
    decided_by(known, rules, tree, None, "state", seen)
}

#[test]
fn where_it_is_known_no_more_who_has_changed_what_nothing_is_written_over_in_silence() {
    let told = |decision: &Decision| {
        let conflicts = decision.conflicts.iter();
        let told = conflicts.map(|one| (one.field.clone(), one.lost.clone()));
        told.collect::<Vec<_>>()
    };
    let tree: MemoryTree = [(WEB, file("b", ""))].into_iter().collect();
    let changed = decided_forgotten(true, &tree, &[seen(web("a", 1))]);
    assert_eq!(text(&changed, WEB), Some(file("a", "")));
    let image = ("spec.image".to_owned(), Some(json!("b")));
    assert_eq!(told(&changed), std::slice::from_ref(&image));
    assert!(changed.agreed.contains(WEB), "from here on it is known");
    let same = decided_forgotten(true, &tree, &[seen(web("b", 1))]);
    assert_eq!(told(&same), []);

    let gone = decided_forgotten(true, &tree, &[gone(None, web("a", 1))]);
    assert_eq!(gone.edits.files.get(WEB), Some(&None));
    assert!(told(&gone).contains(&image), "{:?}", gone.conflicts);

    let empty: MemoryTree = [("README.md", String::new())].into_iter().collect();
    let again = decided_forgotten(true, &empty, &[seen(web("a", 1))]);
    assert_eq!(text(&again, WEB), Some(file("a", "")));
    assert_eq!(told(&again), [("the file".to_owned(), None)]);
    let new = decided_forgotten(false, &empty, &[seen(web("a", 1))]);
    assert_eq!(told(&new), [], "it may as well be new");
}

/// A claim that Kubernetes has found a volume for.
fn bound_claim() -> Seen {
    let claims = json!([{"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {"f:spec": {"f:volumeName": {}}}}]);
    made(object(
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "acme", "managedFields": claims},
        "spec": {"storageClassName": "fast", "volumeName": "pv-1"}}),
    ))
}

fn of_kind(resource: &str, value: Value) -> Seen {
    Seen {
        resource: resource.to_owned(),
        state: State::Made {
            live: Box::new(object(value)),
            lean: None,
        },
    }
}

fn volume() -> Seen {
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-1"}, "spec": {"storageClassName": "fast"}});
    of_kind("persistentvolumes", volume)
}

#[test]
fn a_claim_names_its_volume_where_that_is_in_git_too_and_else_none() {
    let claim = "platform/acme/persistentvolumeclaim-data.yaml";
    let pv = "platform/_cluster/persistentvolume-pv-1.yaml";
    let empty: MemoryTree = [("README.md", String::new())].into_iter().collect();
    let all = || json!([{"syncTo": "git"}]);
    let names = |decision: &Decision| text(decision, claim).unwrap().contains("volumeName: pv-1");
    let decision = decided(all(), &empty, None, PLATFORM, &[bound_claim(), volume()]);
    assert!(names(&decision), "both are written together");
    assert!(text(&decision, pv).is_some());
    let decision = decided(all(), &empty, None, PLATFORM, &[bound_claim()]);
    assert!(!names(&decision), "the volume is in no file");
    let kept = "apiVersion: v1\nkind: PersistentVolume\nmetadata:\n  name: pv-1\n";
    let there: MemoryTree = [(pv, kept.to_owned())].into_iter().collect();
    let decision = decided(all(), &there, None, PLATFORM, &[bound_claim()]);
    assert!(names(&decision), "the volume has its file");
    let given: MemoryTree = [
        (
            "prod/kustomization.yaml",
            "resources:\n- volume.yaml\n".to_owned(),
        ),
        ("prod/volume.yaml", kept.to_owned()),
    ]
    .into_iter()
    .collect();
    let decision = decided(all(), &given, None, PLATFORM, &[bound_claim()]);
    assert!(names(&decision), "a build gives the volume");
    let claims = json!([{"resources": ["persistentvolumeclaims"], "syncTo": "git"}]);
    let decision = decided(claims, &empty, None, PLATFORM, &[bound_claim(), volume()]);
    assert!(!names(&decision), "no rule is for volumes");
}

#[test]
fn a_snapshot_names_its_content_where_that_is_in_git_too_and_else_its_claim() {
    const API: &str = "snapshot.storage.k8s.io/v1";
    let snapshot = || {
        let source =
            json!({"persistentVolumeClaimName": "data", "volumeSnapshotContentName": "content-1"});
        of_kind(
            "volumesnapshots",
            json!({"apiVersion": API, "kind": "VolumeSnapshot", "metadata": {"name": "nightly", "namespace": "acme"}, "spec": {"source": source}}),
        )
    };
    let content = of_kind(
        "volumesnapshotcontents",
        json!({"apiVersion": API, "kind": "VolumeSnapshotContent", "metadata": {"name": "content-1"}, "spec": {"driver": "x"}}),
    );
    let file = "platform/acme/volumesnapshot.snapshot.storage.k8s.io-nightly.yaml";
    let empty: MemoryTree = [("README.md", String::new())].into_iter().collect();
    let all = || json!([{"syncTo": "git"}]);
    let both = decided(all(), &empty, None, PLATFORM, &[snapshot(), content]);
    let both = text(&both, file).unwrap();
    assert!(
        both.contains("volumeSnapshotContentName: content-1"),
        "{both}"
    );
    assert!(!both.contains("persistentVolumeClaimName"), "{both}");
    assert!(
        both.contains("kustomize.toolkit.fluxcd.io/ssa: IfNotPresent"),
        "{both}"
    );
    let alone = decided(all(), &empty, None, PLATFORM, &[snapshot()]);
    let alone = text(&alone, file).unwrap();
    assert!(alone.contains("persistentVolumeClaimName: data"), "{alone}");
    assert!(!alone.contains("volumeSnapshotContentName"), "{alone}");
}
