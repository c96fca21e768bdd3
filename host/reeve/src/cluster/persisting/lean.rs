//! What the file of a new object needs not say, since the API server fills it in; and what it would make of a manifest as of a new
//! object, where it refuses to say that of the one that is there.
//!
//! What may be left out, `reeve_writeback` knows; that the server makes the same object of the rest, its dry run of creating that says,
//! under another name: one for an object, and one more where something has to be put back. Where it does not say so (the account may
//! not create such objects, a quota is used up, a webhook cannot be asked without an effect) only the defaults of the API are left out,
//! which are the same everywhere. It deliberately fails never: a file that says too much is no wrong file.

use reeve_core::drift::MANAGER;
use reeve_core::inventory::ObjectId;
use reeve_core::ward::as_made;
use reeve_kustomize::Object;
use reeve_writeback::{
    as_said, is_bound, is_secret, restored, stripped, without_defaults, without_unclaimed,
};
use serde_json::Value;

use super::super::refusal::Attempt;
use super::Persisting;

/// What the file of an object needs not hold of its metadata: the name is another one, and what is filled in there nobody leaves out.
const NAMED: [&str; 2] = ["name", "generateName"];

impl Persisting {
    /// The object without what the server fills in; `file` is what its file gives now, if it has one.
    pub(crate) async fn lean(&self, live: &Object, file: Option<&Object>) -> Object {
        let whole = stripped(live);
        let known = without_defaults(&whole);
        // What is bound to another names it as it is, and what else is filled in there is chosen by the cluster.
        if is_secret(&live.id()) || is_bound(live) {
            return known;
        }
        let lean = without_defaults(&without_unclaimed(&whole, live));
        let is_written = |file: &Object| as_said(&whole, &lean, Some(file)) == stripped(file);
        if lean == whole || file.is_some_and(is_written) {
            // Nothing is left out; or all of the rest is written, so that it was asked for when that was.
            return lean;
        }
        let Some(made) = self.made_of(&lean).await else {
            return known;
        };
        let more = restored(&lean, &made, &whole);
        if more == lean {
            return lean;
        }
        match self.made_of(&more).await {
            Some(made) if restored(&more, &made, &whole) == more => more,
            _ => whole,
        }
    }

    /// What the server would make of a manifest if there was no object of its name. None: it does not say.
    pub(crate) async fn made_anew(&self, id: &ObjectId, manifest: &Value) -> Option<Value> {
        let object = Object::try_from(manifest.clone()).ok()?;
        if is_secret(&object.id()) || is_bound(&object) {
            return None;
        }
        let mut made = self.tried(&object).await?;
        let metadata = made.get_mut("metadata")?.as_object_mut()?;
        for key in NAMED {
            metadata.shift_remove(key);
        }
        metadata.insert("name".to_owned(), Value::from(id.name.as_str()));
        Some(made)
    }

    /// What the server makes of it, without what belongs to a cluster. None: it does not say.
    async fn made_of(&self, lean: &Object) -> Option<Object> {
        let made = self.tried(lean).await?;
        let made = Object::try_from(as_made(made)).ok()?;
        Some(stripped(&made))
    }

    /// What creating it would give, under another name.
    async fn tried(&self, lean: &Object) -> Option<Value> {
        let id = ObjectId::of(lean);
        let at = self.address(&id, Some(lean.version())).await.ok()??;
        // With all that the API server fills in, and without that anything is written.
        let uri = format!(
            "{}?dryRun=All&fieldManager={MANAGER}",
            at.collection().ok()?
        );
        let body = unnamed(lean);
        self.wire.post(uri, &body, Attempt::DryRun).await.ok()
    }
}

/// The object under a name that the server is to find for it: there is one of its own name.
fn unnamed(lean: &Object) -> Value {
    let mut object = lean.clone();
    let name = format!("{}-", lean.name());
    let metadata = object.metadata_mut();
    for key in NAMED {
        metadata.shift_remove(key);
    }
    metadata.insert("generateName".to_owned(), Value::from(name));
    Value::from(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_tried_has_no_name_that_is_taken() {
        let lean = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "acme", "generateName": "b"}, "data": {"c": "d"}});
        let tried = unnamed(&Object::try_from(lean).unwrap());
        let metadata = json!({"namespace": "acme", "generateName": "a-"});
        assert_eq!(tried["metadata"], metadata);
        assert_eq!(tried["data"], json!({"c": "d"}));
    }
}
