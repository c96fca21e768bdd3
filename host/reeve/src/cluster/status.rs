//! Writing onto Flux's objects themselves: status and finalizer, as the controller.
//!
//! Only `controller::report` writes status, and only the controllers' adoption and farewell touch finalizers; that is
//! why nothing here is public. Every write names the uid and the resourceVersion it was made from, so it can neither
//! land on an object that was deleted and made again under the same name, nor undo what somebody else wrote in
//! between; on a conflict the object is read again and the same outcome is written over what it is now. Nothing is
//! sent when nothing would change. What a status says is `core::status`'s to decide.

use kube::core::ApiResource;
use kube::{Resource, ResourceExt as _};
use reeve_api::FINALIZER;
use serde_json::{Map, Value, json};

use super::Cluster;
use super::refusal::CallError;
use super::watch::Undecodable;
use super::wire::{Address, Patch};

/// How often a write is made anew because the object changed in between.
const CONFLICTS: usize = 5;

/// The object to write onto, as it was when last seen.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    address: Address,
    uid: String,
    resource_version: String,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    /// It was already so.
    Unchanged,
    /// It is so now, in this resourceVersion.
    Changed(String),
    /// The object is gone, or another has its name.
    Gone,
}

impl Subject {
    pub(crate) fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        Self::at(ApiResource::erase::<K>(&()), object.meta())
    }

    /// The object that could not be decoded.
    pub(crate) fn of_bad(resource: ApiResource, bad: &Undecodable) -> Self {
        Self::at(resource, &bad.meta)
    }

    /// The object is in this version now: what was written to it was written by us.
    pub(crate) fn moved_to(&mut self, version: &str) {
        version.clone_into(&mut self.resource_version);
    }

    fn at(resource: ApiResource, meta: &kube::core::ObjectMeta) -> Self {
        Self {
            address: Address {
                resource,
                namespace: meta.namespace.clone(),
                name: meta.name.clone().unwrap_or_default(),
            },
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
        }
    }
}

impl Cluster {
    /// Makes the status `after`, which was decided from `before`.
    pub(crate) async fn write_status(
        &self,
        subject: &Subject,
        before: &Value,
        after: &Value,
        manager: &str,
    ) -> Result<Written, CallError> {
        let patch =
            |status: &Value| merge_patch(status, after).map(|status| json!({"status": status}));
        let from = |object: &Value| object.get("status").cloned().unwrap_or_default();
        self.write(subject, patch(before), Some("status"), manager, |object| {
            patch(&from(object))
        })
        .await
    }

    /// Keeps the object from going before we have cleaned up after it.
    pub(crate) async fn add_finalizer<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        manager: &str,
    ) -> Result<Written, CallError> {
        let add = |mut all: Vec<String>| {
            (!all.iter().any(|one| one == FINALIZER)).then(|| {
                all.push(FINALIZER.to_owned());
                json!({"metadata": {"finalizers": all}})
            })
        };
        let now = add(object.finalizers().to_vec());
        let again = |object: &Value| add(finalizers(object));
        self.write(&Subject::of(object), now, None, manager, again)
            .await
    }

    /// Lets the object go.
    pub(crate) async fn remove_finalizer(
        &self,
        subject: &Subject,
        finalizers_now: &[String],
        manager: &str,
    ) -> Result<Written, CallError> {
        let remove = |mut all: Vec<String>| {
            let before = all.len();
            all.retain(|one| one != FINALIZER);
            (all.len() < before).then(|| json!({"metadata": {"finalizers": all}}))
        };
        let now = remove(finalizers_now.to_vec());
        let again = |object: &Value| remove(finalizers(object));
        self.write(subject, now, None, manager, again).await
    }

    async fn write(
        &self,
        subject: &Subject,
        mut patch: Option<Value>,
        subresource: Option<&str>,
        manager: &str,
        again: impl Fn(&Value) -> Option<Value>,
    ) -> Result<Written, CallError> {
        let mut version = subject.resource_version.clone();
        let how = Patch {
            subresource,
            ..Patch::merge(manager)
        };
        let mut conflicts = 0;
        loop {
            let Some(mut body) = patch.take() else {
                return Ok(Written::Unchanged);
            };
            pin(&mut body, &subject.uid, &version);
            match self
                .own
                .patch(&subject.address, how, body.to_string().into_bytes())
                .await
            {
                Ok(object) => {
                    return Ok(Written::Changed(text(&object, "/metadata/resourceVersion")));
                }
                Err(why) if why.is_missing_object() => return Ok(Written::Gone),
                Err(why) if !why.is_conflict() || conflicts == CONFLICTS => return Err(why),
                Err(_) => conflicts += 1,
            }
            let Some(object) = self.own.get(&subject.address).await? else {
                return Ok(Written::Gone);
            };
            if text(&object, "/metadata/uid") != subject.uid {
                return Ok(Written::Gone);
            }
            version = text(&object, "/metadata/resourceVersion");
            patch = again(&object);
        }
    }
}

/// Refused with a conflict unless the object is still this very one.
fn pin(patch: &mut Value, uid: &str, version: &str) {
    let Some(fields) = patch.as_object_mut() else {
        return;
    };
    let meta = fields.entry("metadata").or_insert_with(|| json!({}));
    if let Some(meta) = meta.as_object_mut() {
        meta.insert("uid".to_owned(), uid.into());
        meta.insert("resourceVersion".to_owned(), version.into());
    }
}

fn text(object: &Value, pointer: &str) -> String {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn finalizers(object: &Value) -> Vec<String> {
    let all = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    all.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The smallest merge patch that makes `before` into `after`; None if it already is.
fn merge_patch(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let empty = Map::new();
    let Some(after) = after.as_object() else {
        return Some(after.clone());
    };
    // Null, or anything that isn't an object, becomes one by being merged into.
    let before = before.as_object().unwrap_or(&empty);
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let mut patch: Map<String, Value> = gone.map(|key| (key.clone(), Value::Null)).collect();
    for (key, value) in after {
        match before.get(key) {
            Some(same) if same == value => {}
            Some(old) if old.is_object() => {
                patch.extend(merge_patch(old, value).map(|new| (key.clone(), new)));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7396, as the API server does it.
    fn apply(target: &mut Value, patch: &Value) {
        let Some(patch) = patch.as_object() else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        let target = target.as_object_mut().unwrap();
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                apply(target.entry(key).or_insert(Value::Null), value);
            }
        }
    }

    #[test]
    fn a_merge_patch_says_only_what_changes_and_takes_away_what_is_gone() {
        for (before, after, patch) in [
            (json!({"a": 1}), json!({"a": 1}), None),
            (
                json!({"a": 1, "b": 2}),
                json!({"a": 1}),
                Some(json!({"b": null})),
            ),
            (Value::Null, json!({"a": 1}), Some(json!({"a": 1}))),
            (
                json!({"artifact": {"url": "x", "metadata": {"k": "v"}}, "n": 1}),
                json!({"artifact": {"url": "y"}, "n": 1}),
                Some(json!({"artifact": {"url": "y", "metadata": null}})),
            ),
            (
                json!({"conditions": [{"type": "Ready"}, {"type": "Stalled"}]}),
                json!({"conditions": [{"type": "Ready"}]}),
                Some(json!({"conditions": [{"type": "Ready"}]})),
            ),
        ] {
            let made = merge_patch(&before, &after);
            assert_eq!(made, patch, "{before} -> {after}");
            let mut result = before.clone();
            apply(&mut result, &made.unwrap_or_else(|| json!({})));
            if !after.is_null() && !before.is_null() {
                assert_eq!(result, after);
            }
        }
    }

    #[test]
    fn every_write_names_the_object_it_was_made_from() {
        let mut patch = json!({"metadata": {"finalizers": []}, "status": {}});
        pin(&mut patch, "u-1", "42");
        assert_eq!(
            patch["metadata"],
            json!({"finalizers": [], "uid": "u-1", "resourceVersion": "42"})
        );
    }
}
