//! That nothing was touched: what stood before an object was given away, beside what stands after the first run there.
//!
//! Compared is what a writer cannot change unseen: the uid, the generation of what has one and the version of what has not,
//! labels, annotations, owners and finalizers. Contents are deliberately not read, so that no right to read them is needed;
//! and the status is not compared, which is its own controller's. Of what has no generation and yet a status, as a
//! HorizontalPodAutoscaler, a Service or a ResourceQuota, the API server's record of who wrote what says which of both it was.

use serde::Serialize;
use serde_json::Value;

/// An object as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    uid: Value,
    generation: Value,
    version: Value,
    /// Who wrote what beside the status, and when.
    written: Vec<Value>,
    /// Whether anybody wrote a status.
    has_status: bool,
    rest: Vec<(&'static str, Value)>,
}

/// An object that is another than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Which.
    pub object: String,
    /// What of it.
    pub what: String,
}

/// The metadata that no writer leaves as they are, or that nobody but a writer changes.
const REST: [&str; 5] = [
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "deletionTimestamp",
];

impl State {
    /// Of this metadata.
    pub fn of(live: &Value) -> Self {
        let meta = |key: &str| {
            let found = live.pointer("/metadata").and_then(|meta| meta.get(key));
            found.cloned().unwrap_or_default()
        };
        let record = meta("managedFields");
        let record = record.as_array().map(Vec::as_slice).unwrap_or_default();
        let (status, mut written): (Vec<Value>, Vec<Value>) = record
            .iter()
            .cloned()
            .partition(|entry| entry.get("subresource").and_then(Value::as_str) == Some("status"));
        // Their order says nothing.
        written.sort_by_key(Value::to_string);
        Self {
            uid: meta("uid"),
            generation: meta("generation"),
            version: meta("resourceVersion"),
            written,
            has_status: !status.is_empty(),
            rest: REST.map(|key| (key, meta(key))).into(),
        }
    }
}

/// What is another; None: nothing. `None` stands for no such object.
pub fn changed(before: Option<&State>, after: Option<&State>) -> Option<String> {
    let (before, after) = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => return Some("was not there before".to_owned()),
        (Some(_), None) => return Some("is gone".to_owned()),
        (Some(before), Some(after)) => (before, after),
    };
    if before.uid != after.uid {
        return Some("was made anew".to_owned());
    }
    if before.generation != after.generation {
        return Some("its spec was written".to_owned());
    }
    let mut pairs = before.rest.iter().zip(&after.rest);
    if let Some(((key, _), _)) = pairs.find(|(before, after)| before != after) {
        return Some(format!("its {key} were written"));
    }
    let was_written = before.generation.is_null() && before.version != after.version;
    let only_status = after.has_status && before.written == after.written;
    (was_written && !only_status).then(|| "it was written".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_a_writer_does_is_seen_and_a_new_status_is_none_of_it() {
        let workload = json!({"metadata": {"uid": "a", "generation": 2, "resourceVersion": "5", "labels": {"a": "b"}}});
        let map = json!({"metadata": {"uid": "a", "resourceVersion": "5"}});
        for (says, before, pointer, value, want) in [
            (
                "a status",
                &workload,
                "/metadata/resourceVersion",
                json!("6"),
                None,
            ),
            (
                "a spec",
                &workload,
                "/metadata/generation",
                json!(3),
                Some("its spec was written"),
            ),
            (
                "another",
                &workload,
                "/metadata/uid",
                json!("b"),
                Some("was made anew"),
            ),
            (
                "a label",
                &workload,
                "/metadata/labels",
                json!({}),
                Some("its labels were written"),
            ),
            (
                "a ConfigMap",
                &map,
                "/metadata/resourceVersion",
                json!("6"),
                Some("it was written"),
            ),
        ] {
            let mut after = before.clone();
            assert_eq!(
                changed(Some(&State::of(before)), Some(&State::of(&after))),
                None
            );
            *after.pointer_mut(pointer).unwrap() = value;
            let told = changed(Some(&State::of(before)), Some(&State::of(&after)));
            assert_eq!(told.as_deref(), want, "{says}");
        }
    }

    #[test]
    fn a_new_status_of_what_has_no_generation_is_no_writing_and_another_value_is() {
        let spec = json!({"manager": "kustomize-controller", "operation": "Apply", "time": "then"});
        let status = |time: &str| json!({"manager": "scaler", "operation": "Update", "subresource": "status", "time": time});
        let scaler = |version: &str, record: Value| {
            let meta = json!({"uid": "a", "resourceVersion": version, "managedFields": record});
            State::of(&json!({"metadata": meta}))
        };
        let before = scaler("5", json!([spec, status("then")]));
        let mut another = spec.clone();
        another["time"] = json!("now");
        let written = Some("it was written");
        for (says, record, want) in [
            ("a status", json!([status("now"), spec]), None),
            ("a value", json!([another, status("then")]), written),
            (
                "by another",
                json!([spec, status("then"), another]),
                written,
            ),
            ("without a record", json!([]), written),
        ] {
            let after = scaler("6", record);
            let told = changed(Some(&before), Some(&after));
            assert_eq!(told.as_deref(), want, "{says}");
        }
        let (bare, first) = (json!([spec]), json!([spec, status("now")]));
        let told = changed(Some(&scaler("5", bare)), Some(&scaler("6", first)));
        assert_eq!(told, None, "its first status");
    }

    #[test]
    fn what_came_or_went_is_seen() {
        let state = State::of(&json!({"metadata": {"uid": "a"}}));
        assert_eq!(changed(Some(&state), None).unwrap(), "is gone");
        assert_eq!(changed(None, Some(&state)).unwrap(), "was not there before");
        assert_eq!(changed(None, None), None);
    }
}
