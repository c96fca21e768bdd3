//! Snapshots that are being taken: until it is known what the driver calls one nothing finds it again on another cluster.
//!
//! A storage takes its time, longer than what is waited for here, and tells the end of it in a status and nowhere else. So of these
//! kinds a status is news. What comes of a snapshot that never ends it deliberately does not say: there is none, and no file of it.

use serde_json::Value;

use super::Realm;

/// The API of snapshots.
const GROUP: &str = "snapshot.storage.k8s.io";

/// Whether an object is a snapshot, or the content of one, that the storage has yet to take.
pub fn is_being_taken(live: &Value) -> bool {
    let text = |pointer: &str| live.pointer(pointer).and_then(Value::as_str);
    let group = text("/apiVersion").and_then(|version| version.split('/').next());
    if group != Some(GROUP) {
        return false;
    }
    match text("/kind") {
        Some("VolumeSnapshotContent") => {
            text("/spec/source/volumeHandle").is_some() && text("/status/snapshotHandle").is_none()
        }
        Some("VolumeSnapshot") => {
            // Told of the content, once that has its handle.
            let is_taken = text("/status/creationTime").is_some()
                || live.pointer("/status/readyToUse") == Some(&Value::Bool(true));
            let is_bound = text("/status/boundVolumeSnapshotContentName").is_some();
            text("/spec/source/persistentVolumeClaimName").is_some() && !(is_taken && is_bound)
        }
        _ => false,
    }
}

/// Whether a status tells something that becomes a file.
pub(super) fn tells_by_status(realm: &Realm) -> bool {
    realm.group == GROUP
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::ward::{Shown, Ward};

    const NOW: Duration = Duration::from_secs(1);

    fn is(version: &str, kind: &str, source: Value, status: Value) -> bool {
        let spec = json!({"source": source});
        is_being_taken(
            &json!({"apiVersion": version, "kind": kind, "spec": spec, "status": status}),
        )
    }

    #[test]
    fn a_snapshot_is_being_taken_until_it_is_known_what_the_driver_calls_it() {
        let content = |source, status| {
            is(
                "snapshot.storage.k8s.io/v1",
                "VolumeSnapshotContent",
                source,
                status,
            )
        };
        let disk = || json!({"volumeHandle": "disk-1"});
        assert!(content(disk(), Value::Null));
        assert!(content(disk(), json!({"readyToUse": false})));
        assert!(!content(disk(), json!({"snapshotHandle": "snap-1"})));
        assert!(!content(json!({"snapshotHandle": "snap-1"}), Value::Null));

        let snapshot = |source, status| {
            is(
                "snapshot.storage.k8s.io/v1",
                "VolumeSnapshot",
                source,
                status,
            )
        };
        let claim = || json!({"persistentVolumeClaimName": "data"});
        let name = "boundVolumeSnapshotContentName";
        assert!(snapshot(claim(), Value::Null));
        assert!(snapshot(claim(), json!({name: "content-1"})));
        assert!(snapshot(claim(), json!({"readyToUse": true})));
        let bound = json!({name: "content-1", "readyToUse": false});
        assert!(snapshot(claim(), bound));
        let taken =
            json!({name: "content-1", "readyToUse": false, "creationTime": "2026-11-23T16:00:00Z"});
        assert!(!snapshot(claim(), taken));
        assert!(!snapshot(
            claim(),
            json!({name: "content-1", "readyToUse": true})
        ));
        let made = json!({"volumeSnapshotContentName": "content-1"});
        assert!(!snapshot(made, Value::Null));
        assert!(!is("v1", "VolumeSnapshot", claim(), Value::Null));
    }

    #[test]
    fn a_status_is_news_of_snapshots_and_of_nothing_else() {
        for (group, want) in [(GROUP, true), ("apps", false)] {
            let realm = Realm {
                namespace: Some("acme".to_owned()),
                group: group.to_owned(),
                kind: "VolumeSnapshot".to_owned(),
            };
            let mut ward = Ward::default();
            ward.watch_only(&BTreeSet::from([realm.clone()]));
            let object = |status: Value| {
                let mine = json!({"manager": "snapshotter", "operation": "Update", "fieldsV1": {"f:spec": {}}});
                let tells = json!({"manager": "snapshot-controller", "operation": "Update", "subresource": "status",
                    "fieldsV1": {"f:status": status}});
                json!({"metadata": {"name": "a", "namespace": "acme", "uid": "1", "generation": 1,
                    "resourceVersion": status.to_string(), "managedFields": [mine, tells]}})
            };
            let first = object(json!({"f:readyToUse": {}}));
            assert!(
                ward.show(&realm, Shown::There(&first, true), NOW),
                "{group}"
            );
            assert_eq!(ward.take(10).there.len(), 1, "{group}");
            let same = ward.show(&realm, Shown::There(&first, true), NOW);
            assert!(!same, "{group}");
            let taken = object(json!({"f:readyToUse": {}, "f:creationTime": {}}));
            let is_news = ward.show(&realm, Shown::There(&taken, true), NOW);
            assert_eq!(is_news, want, "{group}");
        }
    }
}
