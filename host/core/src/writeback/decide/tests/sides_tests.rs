//! Rules with filters: which fields of an object are written, and what becomes of one that is new or gone.

use super::*;

#[test]
fn a_field_is_written_if_the_first_rule_that_covers_it_says_so() {
    let seen = [held("web", 1, 3, Value::Null)];
    for (rules, want) in [
        (
            json!([{"syncTo": "ignore", "filters": ["/spec/replicas"]}, {"syncTo": "git"}]),
            false,
        ),
        (
            json!([{"syncTo": "ignore", "filters": ["/metadata"]}, {"syncTo": "git"}]),
            true,
        ),
        (
            json!([{"syncTo": "git", "filters": ["/metadata"]}, {"syncTo": "git", "filters": ["/spec"]}]),
            true,
        ),
    ] {
        let decision = decided(rules.clone(), &files(1), None, "", &seen);
        assert_eq!(!decision.edits.files.is_empty(), want, "{rules}");
        assert_eq!(decision.refused, [], "{rules}");
    }
}

/// Rules with filters speak of fields: what comes or goes is the first one's without them.
#[test]
fn what_is_new_or_gone_goes_by_the_first_rule_without_filters() {
    let with = |text: &str| -> MemoryTree { [(FILE, text.to_owned())].into_iter().collect() };
    let filters = json!(["/spec/storageClassName"]);
    let kept = json!({"syncTo": "kubernetes", "filters": filters});
    let written = json!({"syncTo": "git", "filters": filters, "onDelete": "delete"});
    let all = json!({"syncTo": "git", "onDelete": "delete"});
    let slow = CLAIM.replace("fast", "slow");
    for (rules, is_made, is_followed, is_gone) in [
        (json!([kept, all]), true, false, true),
        (json!([written]), false, true, false),
        (
            json!([written, {"syncTo": "kubernetes"}, all]),
            false,
            true,
            false,
        ),
        (json!([written, all]), true, true, true),
    ] {
        let of = |tree: &MemoryTree, seen: Seen| {
            let decision = decided(rules.clone(), tree, None, "state", &[seen]);
            assert_eq!(decision.refused, [], "{rules}");
            decision.edits.files.contains_key(FILE)
        };
        let claim = || claim("data", "acme");
        assert_eq!(of(&files(1), made(claim())), is_made, "{rules}");
        assert_eq!(of(&with(&slow), made(claim())), is_followed, "{rules}");
        assert_eq!(of(&with(CLAIM), gone(None, claim())), is_gone, "{rules}");
    }
}
