//! Objects that are on the cluster already and would be taken over: told first, where that is asked for.
//!
//! Taking over recreates nothing: fields that git has are set, all others stay. It deliberately knows no cluster: what an
//! apply would make of an object is compared with it by pointers, and no value is told.

use std::collections::BTreeSet;

use reeve_api::reason::Reason;
use serde_json::{Map, Value};

use crate::failure::{Explained, Turn};
use crate::inventory::ObjectId;
use crate::list;

/// The annotation that asks for a report first: `report`. Until it is taken away nothing is written that would take over
/// anything.
pub const ADOPT: &str = "reeve.dev/adopt";
/// How many objects are named, and how many fields of each.
const NAMED: usize = 20;
const FIELDS: usize = 10;

/// An object that is there and not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Which object.
    pub id: ObjectId,
    /// The fields that applying would change, as far as they are told.
    pub fields: Vec<String>,
}

/// The fields of `live` that are another in `applied`, but for what the server keeps itself.
pub fn changed(live: &Value, applied: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    compare("", live, applied, &mut fields);
    fields
}

fn compare(path: &str, live: &Value, applied: &Value, fields: &mut Vec<String>) {
    if live == applied || fields.len() > FIELDS {
        return;
    }
    match (live, applied) {
        (Value::Object(live), Value::Object(applied)) => {
            for key in keys(path, live, applied) {
                let of = |map: &'_ Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                let path = format!("{path}.{key}");
                compare(&path, &of(live), &of(applied), fields);
            }
        }
        (Value::Array(live), Value::Array(applied)) if live.len() == applied.len() => {
            for (at, (live, applied)) in live.iter().zip(applied).enumerate() {
                compare(&format!("{path}[{at}]"), live, applied, fields);
            }
        }
        _ => fields.push(path.trim_start_matches('.').to_owned()),
    }
}

fn keys<'v>(
    path: &str,
    live: &'v Map<String, Value>,
    applied: &'v Map<String, Value>,
) -> BTreeSet<&'v String> {
    let own: &[&str] = match path {
        "" => &["status"],
        ".metadata" => &[
            "managedFields",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "uid",
        ],
        _ => &[],
    };
    let keys = live.keys().chain(applied.keys());
    keys.filter(|key| !own.contains(&key.as_str())).collect()
}

/// Why nothing is written yet.
pub fn report(foreign: &[Foreign]) -> Explained {
    let one = |one: &Foreign| {
        let shown = one.fields.iter().take(FIELDS).cloned();
        let mut shown: Vec<String> = shown.collect();
        if one.fields.len() > FIELDS {
            shown.push("more".to_owned());
        }
        format!("{} ({})", one.id.subject(), shown.join(", "))
    };
    let named = list::in_part(foreign.iter().map(one), NAMED, "; ");
    let number = foreign.len();
    let message = format!(
        "{number} objects are there and not from here; they would be taken over, and of them changed: {named}"
    );
    let hint = format!("take the annotation {ADOPT}: report away to take them over");
    Explained::new(Reason::AdoptionReported, Turn::Retry, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_would_change_is_told_by_its_path_and_never_by_its_value() {
        let live = json!({"metadata": {"name": "a", "uid": "1", "labels": {"x": "1"}},
            "data": {"password": "hunter2", "same": "x"}, "list": [{"a": 1}, 2], "status": {"seen": 1}});
        let applied = json!({"metadata": {"name": "a", "uid": "2", "labels": {"x": "1", "y": "2"}},
            "data": {"password": "hunter3", "same": "x"}, "list": [{"a": 2}, 2], "status": {"seen": 2}});
        let fields = changed(&live, &applied);
        assert_eq!(fields, ["data.password", "list[0].a", "metadata.labels.y"]);
        let id = "acme_a__ConfigMap".parse().unwrap();
        let told = report(&[Foreign { id, fields }]);
        assert_eq!(
            told.message,
            "1 objects are there and not from here; they would be taken over, and of them changed: \
             ConfigMap/acme/a (data.password, list[0].a, metadata.labels.y)"
        );
    }

    #[test]
    fn many_objects_and_many_fields_are_told_in_part() {
        let many: Map<String, Value> = (0..50).map(|at| (format!("k{at:02}"), json!(at))).collect();
        let fields = changed(&json!({}), &Value::Object(many));
        assert_eq!(fields.len(), FIELDS + 1);
        let one = Foreign {
            id: "acme_a__ConfigMap".parse().unwrap(),
            fields,
        };
        let told = report(&vec![one; 30]).message;
        assert!(
            told.contains("k09, more)") && told.ends_with(" and 10 more"),
            "{told}"
        );
    }
}
