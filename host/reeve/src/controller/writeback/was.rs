//! What an object that is gone was: by what its watch last showed of it, or by what its own file says at the newest commit.
//!
//! Rules ask for its labels, and whoever has deleted it while nobody watched has taken them with it. The file is looked for on the branch
//! that is written, in the whole repository: a source may follow another branch, or leave out where it lies. Where that cannot be had
//! now the object waits: without its labels another rule would be for it. It deliberately decides nothing.

use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_kustomize::edit::documents;
use reeve_kustomize::{Object, Tree};
use serde_json::{Value, json};

use super::Case;
use super::look::Found;
use crate::git::Snapshot;

/// The files of the branch, once somebody has asked for them.
#[derive(Default)]
pub(super) struct Newest(Option<Result<Snapshot, Explained>>);

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

    /// An object that is gone, and that no Kustomization had: where nobody saw it go, what its file says was its own.
    pub(super) async fn own_gone(
        &self,
        found: &mut Found,
        newest: &mut Newest,
        id: &ObjectId,
        meta: &Value,
    ) {
        if !meta.is_null() {
            return self.gone(found, (id, meta), None, self.as_it_was(id, meta));
        }
        if newest.0.is_none() {
            newest.0 = Some(self.files_here().await.ok_or_else(|| self.away()));
        }
        match &newest.0 {
            Some(Ok(files)) => {
                let file = self
                    .as_it_was(id, &Value::Null)
                    .and_then(|object| self.file_for(&object));
                let said = file.and_then(|file| said(files, &file, id));
                let object = self.as_it_was(id, &said.unwrap_or_default());
                self.gone(found, (id, meta), None, object);
            }
            Some(Err(why)) => found.wait(id, Some(meta), why.clone()),
            None => {}
        }
    }

    /// The files of the branch cannot be had.
    fn away(&self) -> Explained {
        let message = format!("the files of branch {} cannot be had now", self.branch);
        // What is on its way, as all is in a process that has just begun, nobody may tell.
        let turn = match self.ctx.in_store(&self.spec.source.key()) {
            Ok(_) => Turn::Retry,
            Err(_) => Turn::Ours,
        };
        Explained::new(Reason::GitOperationFailed, turn, message)
    }
}

/// What a file says of an object's metadata, if it gives that.
fn said(files: &dyn Tree, file: &str, id: &ObjectId) -> Option<Value> {
    let bytes = files.read(file).ok()?;
    let mut all = documents(&bytes, file).ok()?.into_iter();
    let found = all.find(|one| !one.value.is_null())?.value;
    let is =
        |pointer: &str, want: &str| found.pointer(pointer).and_then(Value::as_str) == Some(want);
    let is_it = is("/kind", &id.kind) && is("/metadata/name", &id.name);
    is_it.then(|| found.get("metadata").cloned()).flatten()
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::MemoryTree;

    use super::*;

    #[test]
    fn what_is_gone_has_the_labels_that_its_own_file_says_and_no_others() {
        let file = |name: &str| {
            format!(
                "# Made.\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  labels: {{goes: made}}\n"
            )
        };
        let tree: MemoryTree = [
            ("made/configmap-a.yaml", file("a")),
            ("made/configmap-b.yaml", file("another")),
        ]
        .into_iter()
        .collect();
        let id = |name: &str| -> ObjectId { format!("acme_{name}__ConfigMap").parse().unwrap() };
        let of = |name: &str| said(&tree, &format!("made/configmap-{name}.yaml"), &id(name));
        assert_eq!(of("a").unwrap()["labels"], json!({"goes": "made"}));
        assert_eq!(of("b"), None, "another object's");
        assert_eq!(of("c"), None, "there is none");
    }
}
