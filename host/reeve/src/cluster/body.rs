//! What is sent to be applied: a manifest that policy has seen.
//!
//! There is no way to make one of bytes or of a value that somebody has changed since.

use reeve_core::admit::AdmittedManifest;
use reeve_core::drift::Exact;
use reeve_core::plan::Planned;
use serde_json::Value;

/// The bytes of a manifest that may be sent.
pub(super) struct Body(Vec<u8>);

impl Body {
    /// The object as git has it.
    pub(super) fn of(object: &Planned) -> Self {
        Self(object.manifest().to_string().into_bytes())
    }

    /// The object as `spec.ignore` and WriteBacks leave it, which policy was asked about again.
    pub(super) fn altered(admitted: &AdmittedManifest) -> Self {
        Self(admitted.manifest().to_string().into_bytes())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same for an object in this state only, or the API server says no. It keeps nothing of that in the object, so that there
    /// is nothing in it for policy to see.
    pub(super) fn only_for(&self, state: &State) -> Vec<u8> {
        let Ok(mut body) = serde_json::from_slice::<Value>(&self.0) else {
            return self.0.clone();
        };
        if let Some(Value::Object(metadata)) = body.get_mut("metadata") {
            metadata.insert("uid".to_owned(), state.uid.as_str().into());
            metadata.insert("resourceVersion".to_owned(), state.version.as_str().into());
        }
        body.to_string().into_bytes()
    }
}

/// The state in which an object was read: which one it was, and after which change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    uid: String,
    version: String,
}

impl State {
    /// That of an object that is there.
    pub(super) fn of(live: &Value) -> Option<Self> {
        let text = |pointer: &str| live.pointer(pointer)?.as_str().map(str::to_owned);
        Some(Self {
            uid: text("/metadata/uid")?,
            version: text("/metadata/resourceVersion")?,
        })
    }

    /// The one that was seen.
    pub(super) fn seen(exact: Exact) -> Self {
        let Exact { uid, version } = exact;
        Self { uid, version }
    }

    /// After which change.
    pub(super) fn version(&self) -> &str {
        &self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_for_one_state_says_which_and_nothing_else_of_it_is_another() {
        let object = json!({"metadata": {"name": "web", "uid": "u", "resourceVersion": "7"}, "data": {"a": "b"}});
        let state = State::of(&object).unwrap();
        let body = Body(
            json!({"metadata": {"name": "web"}, "data": {"a": "b"}})
                .to_string()
                .into_bytes(),
        );
        let sent: Value = serde_json::from_slice(&body.only_for(&state)).unwrap();
        assert_eq!(sent, object);
        for key in ["uid", "resourceVersion"] {
            let mut half = object.clone();
            half["metadata"][key] = Value::Null;
            assert_eq!(State::of(&half), None, "{key}");
        }
    }
}
