//! That nothing was touched: what stood before an object was given away, beside what stands after the first run there.
//!
//! Compared is what a writer cannot change unseen: the uid, the generation of what has one and the version of what has not,
//! labels, annotations, owners and finalizers. Contents are deliberately not read, so that no right to read them is needed;
//! and the status is not compared, which is its own controller's.

use serde::Serialize;
use serde_json::Value;

/// An object as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    uid: Value,
    generation: Value,
    version: Value,
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
        Self {
            uid: meta("uid"),
            generation: meta("generation"),
            version: meta("resourceVersion"),
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
    was_written.then(|| "it was written".to_owned())
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
    fn what_came_or_went_is_seen() {
        let state = State::of(&json!({"metadata": {"uid": "a"}}));
        assert_eq!(changed(Some(&state), None).unwrap(), "is gone");
        assert_eq!(changed(None, Some(&state)).unwrap(), "was not there before");
        assert_eq!(changed(None, None), None);
    }
}
