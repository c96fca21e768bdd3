//! Snapshots that a storage takes, which lasts: they become files when it is done.

use anyhow::ensure;
use kube::api::PostParams;
use reeve_tests::{Estate, scenario};
use serde_json::json;

use super::*;
use crate::command::writeback::{SNAPSHOTS, serves_snapshots};

/// The tenant's account may do with snapshots what it likes.
async fn allowed(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let meta = json!({"name": "snapshots", "namespace": tenant.name()});
    let api = "rbac.authorization.k8s.io/v1";
    let all =
        json!([{"apiGroups": ["snapshot.storage.k8s.io"], "resources": ["*"], "verbs": ["*"]}]);
    let role = json!({"apiVersion": api, "kind": "Role", "metadata": meta, "rules": all});
    tenant.apply(&role).await?;
    let binding = json!({
        "apiVersion": api, "kind": "RoleBinding", "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "snapshots"},
        "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": tenant.name()}],
    });
    tenant.apply(&binding).await
}

#[test]
fn a_snapshot_becomes_a_file_when_it_was_taken_and_not_when_it_was_asked_for() {
    scenario(async {
        let estate = Estate::shared().await?;
        serves_snapshots(estate).await?;
        let tenant = tenant(estate, "wb-taken").await?;
        allowed(&tenant).await?;
        let rules = json!([{"resources": ["volumesnapshots", "configmaps"], "syncTo": "git"}]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let snapshots = tenant.api(SNAPSHOTS, "VolumeSnapshot");
        let made = json!({
            "apiVersion": SNAPSHOTS, "kind": "VolumeSnapshot", "metadata": {"name": "nightly"},
            "spec": {"source": {"persistentVolumeClaimName": "data"}},
        });
        let made: DynamicObject = serde_json::from_value(made)?;
        snapshots.create(&PostParams::default(), &made).await?;
        let path = format!(
            "{}/volumesnapshot.snapshot.storage.k8s.io-nightly.yaml",
            tenant.name()
        );
        let tell = async |status: Value| -> anyhow::Result<()> {
            let status = json!({"status": status});
            let how = PatchParams::default();
            let told = Patch::Merge(&status);
            snapshots.patch_status("nightly", &how, &told).await?;
            Ok(())
        };
        let bound = json!({"boundVolumeSnapshotContentName": "content-1", "readyToUse": false});
        tell(bound).await?;
        // What is made behind it is written, and so it was looked at.
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "behind"}, "data": {"a": "b"}});
        let map: DynamicObject = serde_json::from_value(map)?;
        let maps = tenant.api("v1", "ConfigMap");
        maps.create(&PostParams::default(), &map).await?;
        let behind = format!("{}/configmap-behind.yaml", tenant.name());
        written(&tenant, &behind, "name: behind").await?;
        looked(&tenant, "back").await?;
        ensure!(file(&tenant, &path).is_none(), "it is yet to be taken");

        // Nothing of it changes but its status.
        tell(json!({"creationTime": "2026-11-23T16:00:00Z", "readyToUse": true})).await?;
        let text = written(&tenant, &path, "name: nightly").await?;
        ensure!(!text.contains("status"), "{text}");
        Ok(())
    });
}
