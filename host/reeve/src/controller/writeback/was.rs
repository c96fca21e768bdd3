//! What an object was that is gone: by what its watch has shown of it, or by its file.
//!
//! Enough to say which rule is for it, and what people have said in its annotations. It deliberately asks no API server: there is
//! nothing to be read any more.

use std::borrow::Cow;

use reeve_core::inventory::ObjectId;
use reeve_kustomize::edit::documents;
use reeve_kustomize::{Object, Tree as _};
use serde_json::{Value, json};

use super::Case;

impl Case<'_> {
    /// An object that is gone, by what its watch last showed of it.
    pub(super) fn as_it_was(&self, id: &ObjectId, meta: &Value) -> Option<Object> {
        let kind = self.kinds.get(&(id.group.clone(), id.kind.clone()))?;
        let api_version = match id.group.as_str() {
            "" => kind.version.clone(),
            group => format!("{group}/{}", kind.version),
        };
        let mut metadata = json!({"name": id.name, "labels": meta.get("labels"), "annotations": meta.get("annotations")});
        if let (Some(fields), false) = (metadata.as_object_mut(), id.namespace.is_empty()) {
            fields.insert("namespace".to_owned(), id.namespace.as_str().into());
        }
        let object = json!({"apiVersion": api_version, "kind": id.kind, "metadata": metadata});
        Object::try_from(object).ok()
    }

    /// What is known of an object that is gone: where nobody saw it go, what the file says that is its own.
    pub(super) fn meta<'m>(&self, id: &ObjectId, meta: &'m Value) -> Cow<'m, Value> {
        let written = || {
            let path = self.file_for(&self.as_it_was(id, meta)?)?;
            let stored = self.ctx.in_store(&self.spec.source.key()).ok()?;
            let bytes = stored.snapshot.read(&path).ok()?;
            let mut all = documents(&bytes, &path).ok()?.into_iter();
            let found = all.find(|one| !one.value.is_null())?.value;
            let is = |pointer: &str, want: &str| {
                found.pointer(pointer).and_then(Value::as_str) == Some(want)
            };
            let is_it = is("/kind", &id.kind) && is("/metadata/name", &id.name);
            is_it.then(|| found.get("metadata").cloned()).flatten()
        };
        match meta.is_null() {
            true => written().map_or(Cow::Borrowed(meta), Cow::Owned),
            false => Cow::Borrowed(meta),
        }
    }
}
