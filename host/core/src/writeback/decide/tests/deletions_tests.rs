//! What is deleted on the cluster while somebody commits to its manifest.

use super::*;

/// By the rule that takes out what is deleted, on files that `base` were when both were the same.
fn deleted(base: Option<&MemoryTree>) -> Decision {
    let rules = json!([{"syncTo": "git", "onDelete": "delete"}]);
    let seen = [gone(Some(0), deployment("web", 1))];
    decided(rules, &files(5), base, "", &seen)
}

#[test]
fn what_git_has_changed_of_what_is_deleted_goes_and_is_told() {
    let decision = deleted(Some(&files(1)));
    assert_eq!(decision.edits.files.get("prod/web.yaml"), Some(&None));
    let [conflict] = decision.conflicts.as_slice() else {
        panic!("{:?}", decision.conflicts);
    };
    assert_eq!(
        (conflict.object.name(), conflict.field.as_str()),
        ("web", "spec.replicas")
    );
    assert_eq!((&conflict.kept, &conflict.lost), (&None, &Some(json!(5))));
    assert_eq!(conflict.winner, Side::Kubernetes);
}

#[test]
fn what_nobody_has_changed_goes_without_a_word() {
    for base in [None, Some(&files(5))] {
        let decision = deleted(base);
        assert_eq!(decision.edits.files.get("prod/web.yaml"), Some(&None));
        assert_eq!(decision.conflicts, []);
    }
}
