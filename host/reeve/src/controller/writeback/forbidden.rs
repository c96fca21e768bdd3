//! What may not be written of an object, whatever rules say: a value of a Secret, and what would be taken for a variable.
//!
//! Asked of what differs between what was applied and what is there. It deliberately asks nobody: what was read is given.

use reeve_api::writeback::WriteBackRefusal;
use reeve_core::inventory::ObjectId;
use reeve_core::substitute::takes;
use reeve_core::veil::Veil;
use reeve_kustomize::Object;
use reeve_writeback::{by_handle, differences, without_server_fields};
use serde_json::Value;

use super::refusal::{refusal, variables};
use crate::controller::kustomization::AsApplied;

/// Whether an object is written in that version of its kind.
pub(super) fn is_of(object: &Value, group: &str, version: &str) -> bool {
    let said = object.get("apiVersion").and_then(Value::as_str);
    match (said, group) {
        (Some(said), "") => said == version,
        (Some(said), group) => said.split_once('/') == Some((group, version)),
        (None, _) => false,
    }
}

/// Why a change is not written whatever rules say, if it is not.
pub(super) fn forbidden(
    applied: &AsApplied,
    id: &ObjectId,
    before: &Object,
    live: &Object,
) -> Option<WriteBackRefusal> {
    if reveals(&applied.veil, before, live) {
        return Some(of_a_secret(id));
    }
    let is_taken = |new: &Value| takes(before, new);
    let is_another = applied.substitutes && changed(before, live).iter().any(is_taken);
    is_another.then(|| variables(id))
}

/// That a changed field holds what must not be told.
pub(super) fn of_a_secret(id: &ObjectId) -> WriteBackRefusal {
    let hint = "change it where the Secret is, and not in what it is put into";
    let reason = "a changed field holds a value that came from a Secret".to_owned();
    refusal(id, reason, hint.to_owned())
}

/// Whether a field that differs holds what must not be told.
fn reveals(veil: &Veil, before: &Object, live: &Object) -> bool {
    if veil.is_nothing() {
        return false;
    }
    let mut new = changed(before, live);
    new.iter_mut().any(|new| veil.replace(new))
}

/// What fields have that differ. Of a snapshot that was taken that is also what the driver calls it, which its status tells.
pub(super) fn changed(before: &Object, live: &Object) -> Vec<Value> {
    let plain = |object: &Object| Value::from(without_server_fields(object));
    let live = Object::try_from(by_handle(Value::from(live.clone())));
    let live = live.unwrap_or_default();
    let changed = differences(0, &plain(before), &plain(&live));
    changed.into_iter().filter_map(|one| one.new).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_changed_may_not_hold_a_value_of_a_secret() {
        let veil = Veil::of(["hunter2".to_owned()]);
        let object = |replicas: u32, password: &str| {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"},
                "data": {"replicas": replicas, "url": format!("db://ada:{password}@db")}});
            Object::try_from(object).unwrap()
        };
        let before = object(1, "hunter2");
        assert!(!reveals(&veil, &before, &object(2, "hunter2")));
        assert!(!reveals(&veil, &before, &object(1, "other")));
        assert!(reveals(&veil, &object(1, "other"), &before));
        assert!(!reveals(Veil::nothing(), &object(1, "other"), &before));
    }

    #[test]
    fn what_the_driver_calls_a_snapshot_is_looked_at_though_its_status_alone_tells_it() {
        let veil = Veil::of(["hunter2".to_owned()]);
        let content = |handle: &str| {
            let content = json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent", "metadata": {"name": "a"},
                "spec": {"source": {"volumeHandle": "disk-1"}}, "status": {"snapshotHandle": handle}});
            Object::try_from(content).unwrap()
        };
        let before = content("snap-1");
        assert!(!reveals(&veil, &before, &before));
        assert!(reveals(&veil, &before, &content("hunter2")));
    }

    #[test]
    fn a_version_is_that_of_its_group() {
        for (api_version, group, version, want) in [
            ("v1", "", "v1", true),
            ("apps/v1", "apps", "v1", true),
            ("apps/v1", "", "v1", false),
            ("apps/v1beta1", "apps", "v1", false),
        ] {
            let object = json!({"apiVersion": api_version});
            assert_eq!(is_of(&object, group, version), want, "{api_version}");
        }
    }
}
