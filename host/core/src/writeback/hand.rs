//! Who changed a field: what the claims on it say (`metadata.managedFields`).
//!
//! A claim names a program and a time, not a person. Our own applies are nobody's change, and a status is never one. It
//! deliberately believes claims for words only: they are the object's author's to write.

use reeve_writeback::{Path, Step};
use serde_json::Value;

use crate::drift::is_ours;
use crate::text;

/// How long a name may be.
const LONGEST: usize = 128;

/// Who has changed something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hand {
    /// The field manager, as it calls itself.
    pub manager: String,
    /// The subresource that it spoke to: `scale`.
    pub subresource: Option<String>,
    /// When, as the server wrote it.
    pub time: Option<String>,
}

impl Hand {
    /// Whether a manager is it, as claims name it.
    pub(super) fn is(&self, manager: &str) -> bool {
        name(manager).as_ref() == Some(&self.manager)
    }
}

/// Who claims the field of `live`, or something below it; the last one but for us.
pub fn hand_of(live: &Value, path: &Path) -> Option<Hand> {
    let claims = others(live).filter(|claim| {
        let fields = claim.get("fieldsV1").unwrap_or(&Value::Null);
        !matches!(reach(fields, live, path), Reach::Not)
    });
    newest(claims)
}

/// Who wrote to the object last, but for us and whoever tells its status: of a field that is gone nobody has a claim.
pub fn last_hand(live: &Value) -> Option<Hand> {
    newest(others(live))
}

/// How far a set of claimed fields reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It does not hold the field.
    Not,
    /// It holds the field.
    To,
    /// It holds what the field is part of, as one value: so many steps are claimed.
    Over(usize),
}

/// Whether the claimed fields, a trie of `f:` and `k:` keys, hold the field of `root`; items of lists go by their keys.
pub(super) fn reach(fields: &Value, root: &Value, path: &Path) -> Reach {
    let (mut fields, mut value) = (fields, Some(root));
    for (number, step) in path.steps().iter().enumerate() {
        let below = fields.as_object();
        if number > 0 && below.is_some_and(serde_json::Map::is_empty) {
            return Reach::Over(number);
        }
        let next = match step {
            Step::Field(name) => {
                value = value.and_then(|value| value.get(name));
                below.and_then(|below| below.get(&format!("f:{name}")))
            }
            step => {
                value = item(value, step);
                value.and_then(|value| claimed_item(fields, value))
            }
        };
        let Some(next) = next else { return Reach::Not };
        fields = next;
    }
    Reach::To
}

fn item<'v>(list: Option<&'v Value>, step: &Step) -> Option<&'v Value> {
    let items = list?.as_array()?;
    match step {
        Step::Item { key, value } => items.iter().find(|one| one.get(*key) == Some(value)),
        Step::Index(at) => items.get(*at),
        Step::Field(_) => None,
    }
}

/// What is claimed of an item that has all the keys of its claim.
fn claimed_item<'f>(fields: &'f Value, item: &Value) -> Option<&'f Value> {
    let is = |key: &str| {
        let keys: Option<Value> = serde_json::from_str(key).ok();
        let keys = keys.as_ref().and_then(Value::as_object);
        keys.is_some_and(|keys| keys.iter().all(|(key, is)| item.get(key) == Some(is)))
    };
    let mut claimed = fields.as_object()?.iter();
    let found = claimed.find(|(key, _)| key.strip_prefix("k:").is_some_and(is));
    found.map(|(_, below)| below)
}

/// All claims on an object.
pub(super) fn claims(live: &Value) -> impl Iterator<Item = &Value> {
    let claims = live.pointer("/metadata/managedFields");
    claims.and_then(Value::as_array).into_iter().flatten()
}

/// Those of others, but for a status.
pub(super) fn others(live: &Value) -> impl Iterator<Item = &Value> {
    claims(live).filter(|claim| !is_ours(claim) && word(claim, "subresource") != "status")
}

fn newest<'c>(claims: impl Iterator<Item = &'c Value>) -> Option<Hand> {
    let last = claims.max_by_key(|claim| word(claim, "time"))?;
    let shown = |key: &str| name(word(last, key));
    Some(Hand {
        manager: shown("manager")?,
        subresource: shown("subresource"),
        time: shown("time"),
    })
}

/// A word of a claim, as it is told.
fn name(word: &str) -> Option<String> {
    let word: String = text::line(word).chars().take(LONGEST).collect();
    Some(word.trim().to_owned()).filter(|word| !word.is_empty())
}

fn word<'v>(claim: &'v Value, key: &str) -> &'v str {
    claim.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_writeback::differences;
    use serde_json::json;

    fn claim(manager: &str, operation: &str, time: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "time": time, "fieldsV1": fields})
    }

    fn image(manager: &str, time: &str) -> Value {
        let fields = json!({"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}});
        claim(manager, "Update", time, fields)
    }

    fn live(claims: Value) -> Value {
        json!({"metadata": {"managedFields": claims}, "spec": {"replicas": 2, "args": ["x"],
            "containers": [{"name": "side", "image": "1"}, {"name": "web", "image": "2"}]}})
    }

    fn changed(live: &Value, pointer: &str) -> Path {
        let mut before = live.clone();
        *before.pointer_mut(pointer).unwrap() = json!("other");
        differences(0, &before, live).remove(0).path
    }

    #[test]
    fn the_last_who_claims_a_field_has_changed_it() {
        let mut scaled = claim(
            "kubectl",
            "Update",
            "2026-11-23T06:00:00Z",
            json!({"f:spec": {"f:replicas": {}}}),
        );
        scaled["subresource"] = json!("scale");
        let live = live(json!([
            claim(
                "kustomize-controller",
                "Apply",
                "2026-11-23T09:00:00Z",
                json!({"f:spec": {"f:replicas": {}}})
            ),
            image("keel", "2026-11-23T07:00:00Z"),
            image("kubectl-set", "2026-11-23T08:00:00Z"),
            scaled,
        ]));
        let of = |pointer| hand_of(&live, &changed(&live, pointer));
        let hand = of("/spec/containers/1/image").unwrap();
        assert_eq!(
            (hand.manager.as_str(), hand.subresource),
            ("kubectl-set", None)
        );
        assert_eq!(hand.time.as_deref(), Some("2026-11-23T08:00:00Z"));
        let hand = of("/spec/replicas").unwrap();
        assert_eq!(
            (hand.manager.as_str(), hand.subresource.as_deref()),
            ("kubectl", Some("scale"))
        );
        assert_eq!(of("/spec/containers/0/image"), None);
        assert_eq!(last_hand(&live).unwrap().manager, "kubectl-set");
    }

    #[test]
    fn a_claim_on_a_whole_list_holds_its_items() {
        let live = live(json!([]));
        let fields = json!({"f:spec": {"f:args": {}, "f:containers": {".": {}}}});
        let of = |pointer| reach(&fields, &live, &changed(&live, pointer));
        assert_eq!(of("/spec/args/0"), Reach::Over(2));
        assert_eq!(of("/spec/replicas"), Reach::Not);
        assert_eq!(of("/spec/containers/1/image"), Reach::Not);
        assert_eq!(
            reach(&fields, &live, &changed(&live, "/spec/args")),
            Reach::To
        );
    }

    #[test]
    fn a_status_is_nobodys_change_and_a_name_is_one_line() {
        let mut status = claim("kubelet", "Update", "9", json!({}));
        status["subresource"] = json!("status");
        let odd = claim("a\nReeve-Digest: x\u{202e}", "Update", "1", json!({}));
        let hand = last_hand(&live(json!([status.clone(), odd]))).unwrap();
        assert_eq!(hand.manager, "a Reeve-Digest: x");
        assert_eq!(last_hand(&live(json!([status]))), None);
    }
}
