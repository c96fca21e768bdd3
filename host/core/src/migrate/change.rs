//! The changes by which an object goes from one controller to the other: merge patches of the object as it was read.
//!
//! Held it is by `spec.suspend`, and what that was before stands in an annotation, so that whoever goes on after an
//! interruption knows it. With that comes a request for a run: both controllers answer one also of what is suspended, by doing
//! nothing, and neither begins a run of an object before its last one is over. An answer is therefore the end of all that was
//! begun before, which no status tells for certain: Flux's source-controller fetches by its interval without a word. All of them name the version that was read: whoever writes in between makes the patch fail, and
//! nothing is given away that somebody still works on. A Receiver applies nothing and is given without being held.

use reeve_api::{FLUX_SHARD, MIGRATING, RECONCILE_REQUEST, SHARD, SHARD_OURS};
use serde_json::{Value, json};

use super::Whose;

/// What [`MIGRATING`] says of `spec.suspend`.
const UNSET: &str = "unset";

/// Holds it, and asks whoever has it to answer that with this token; None: it is held already.
pub fn hold(object: &Value, token: &str) -> Option<Value> {
    if held(object).is_some() {
        return None;
    }
    let before = object.pointer("/spec/suspend").and_then(Value::as_bool);
    let before = before.map_or_else(|| UNSET.to_owned(), |is| is.to_string());
    Some(json!({
        "metadata": {
            "resourceVersion": version(object),
            "annotations": {MIGRATING: before, RECONCILE_REQUEST: token},
        },
        "spec": {"suspend": true},
    }))
}

/// Lets it go on where it is; None: it is not held.
pub fn release(object: &Value) -> Option<Value> {
    let before = held(object)?;
    Some(json!({
        "metadata": {"resourceVersion": version(object), "annotations": {MIGRATING: null}},
        "spec": {"suspend": before},
    }))
}

/// Gives it away, and lets it go on there; whoever has it then is asked for a run with this token.
pub fn give(object: &Value, to: Whose, token: &str) -> Value {
    let label = format!("/metadata/labels/{}", SHARD.replace('/', "~1"));
    let shard = text(object, &label).filter(|shard| *shard != SHARD_OURS);
    let before = format!("/metadata/annotations/{}", FLUX_SHARD.replace('/', "~1"));
    let (label, kept) = match to {
        Whose::Reeve => (json!(SHARD_OURS), json!(shard)),
        Whose::Flux => (json!(text(object, &before)), Value::Null),
    };
    let mut change = json!({"metadata": {
        "resourceVersion": version(object), "labels": {SHARD: label},
        "annotations": {MIGRATING: null, FLUX_SHARD: kept, RECONCILE_REQUEST: token},
    }});
    if let (Some(before), Some(fields)) = (held(object), change.as_object_mut()) {
        fields.insert("spec".to_owned(), json!({"suspend": before}));
    }
    change
}

/// Whether it will go on when it is given.
pub fn goes_on(object: &Value) -> bool {
    let now = || object.pointer("/spec/suspend").cloned();
    held(object).or_else(now) != Some(Value::Bool(true))
}

/// Whether a run is under way, as both tell it: one that waits to try again is over.
pub fn is_under_way(object: &Value) -> bool {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| {
        let is = |key: &str, want: &str| one.get(key).and_then(Value::as_str) == Some(want);
        is("type", "Reconciling") && is("status", "True") && is("reason", "Progressing")
    })
}

/// Whether whoever has it has answered the last request.
pub fn is_answered(object: &Value) -> bool {
    let asked = format!(
        "/metadata/annotations/{}",
        RECONCILE_REQUEST.replace('/', "~1")
    );
    let asked = text(object, &asked);
    asked.is_some() && asked == text(object, "/status/lastHandledReconcileAt")
}

/// Which version was read.
pub fn version(object: &Value) -> Option<&str> {
    text(object, "/metadata/resourceVersion")
}

/// What `spec.suspend` was before it was held.
fn held(object: &Value) -> Option<Value> {
    let mark = format!("/metadata/annotations/{}", MIGRATING.replace('/', "~1"));
    Some(match text(object, &mark)? {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => Value::Null,
    })
}

fn text<'v>(object: &'v Value, pointer: &str) -> Option<&'v str> {
    object.pointer(pointer).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A merge patch, as the API server takes it.
    fn merge(into: &mut Value, change: &Value) {
        let Value::Object(change) = change else {
            *into = change.clone();
            return;
        };
        if !into.is_object() {
            *into = json!({});
        }
        let fields = into.as_object_mut().unwrap();
        for (key, value) in change {
            match value {
                Value::Null => drop(fields.remove(key)),
                value => merge(fields.entry(key).or_insert(Value::Null), value),
            }
        }
    }

    fn object(suspend: Value, labels: Value) -> Value {
        let mut object = json!({
            "metadata": {"resourceVersion": "7", "labels": labels, "annotations": {"a": "b"}},
            "spec": {"path": "./"},
        });
        if !suspend.is_null() {
            object["spec"]["suspend"] = suspend;
        }
        object
    }

    #[test]
    fn an_object_that_goes_and_comes_back_is_as_it_was_but_for_what_was_asked_of_it() {
        let shard = json!({SHARD: "shard1", "c": "d"});
        for suspend in [json!(null), json!(false), json!(true)] {
            for labels in [json!({"c": "d"}), shard.clone()] {
                let mut live = object(suspend.clone(), labels.clone());
                let mut want = live.clone();
                for to in [Whose::Reeve, Whose::Flux] {
                    let held = hold(&live, "held").unwrap();
                    merge(&mut live, &held);
                    assert_eq!(live["spec"]["suspend"], true, "{suspend} {labels}");
                    assert_eq!(hold(&live, "again"), None, "held twice");
                    assert_eq!(goes_on(&live), suspend != json!(true), "{suspend}");
                    let given = give(&live, to, "now");
                    merge(&mut live, &given);
                    assert_eq!(Whose::of(&live), to, "{suspend} {labels}");
                }
                want["metadata"]["annotations"][RECONCILE_REQUEST] = json!("now");
                assert_eq!(live, want);
            }
        }
    }

    #[test]
    fn what_is_released_is_as_it_was() {
        for suspend in [json!(null), json!(false), json!(true)] {
            let before = object(suspend, json!({}));
            let mut live = before.clone();
            assert_eq!(release(&live), None, "it is not held");
            merge(&mut live, &hold(&before, "held").unwrap());
            let released = release(&live).unwrap();
            merge(&mut live, &released);
            // The request stands: whoever goes on with it may as well begin now.
            let mut want = before;
            want["metadata"]["annotations"][RECONCILE_REQUEST] = json!("held");
            assert_eq!(live, want);
        }
    }

    #[test]
    fn every_change_is_of_the_version_that_was_read() {
        let live = object(json!(null), json!({}));
        let held = hold(&live, "held").unwrap();
        assert_eq!(held["metadata"]["resourceVersion"], "7");
        let given = give(&live, Whose::Reeve, "now");
        assert_eq!(given["metadata"]["resourceVersion"], "7");
        assert!(given.get("spec").is_none(), "it was not held: {given}");
    }

    #[test]
    fn who_has_not_answered_that_it_is_held_may_still_work_on_it() {
        let mut live = object(json!(null), json!({}));
        assert!(!is_answered(&live), "nothing was asked");
        live["status"]["lastHandledReconcileAt"] = json!("before");
        let held = hold(&live, "held").unwrap();
        merge(&mut live, &held);
        assert!(!is_answered(&live), "the answer is to another request");
        live["status"]["lastHandledReconcileAt"] = json!("held");
        assert!(is_answered(&live));
    }

    #[test]
    fn a_run_is_under_way_while_it_progresses_and_not_while_it_waits_to_try_again() {
        for (reason, status, want) in [
            ("Progressing", "True", true),
            ("ProgressingWithRetry", "True", false),
            ("Progressing", "False", false),
        ] {
            let one = json!({"type": "Reconciling", "status": status, "reason": reason});
            let told = is_under_way(&json!({"status": {"conditions": [one]}}));
            assert_eq!(told, want, "{reason} {status}");
        }
        assert!(!is_under_way(&json!({})));
    }
}
