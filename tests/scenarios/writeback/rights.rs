//! Kubernetes' own rights say who may change what: whoever may change an object on the cluster changes what is in git, and nobody else.

use anyhow::ensure;
use kube::Client;
use reeve_tests::git::git;
use reeve_tests::{Estate, objects, plane, scenario};
use serde_json::json;

use super::*;

/// Somebody of the tenant's who may do this with these resources of its, and nothing else: what they reach the cluster with.
async fn somebody(
    estate: &Estate,
    tenant: &Tenant<'_>,
    name: &str,
    rule: Value,
) -> anyhow::Result<Client> {
    let rbac = "rbac.authorization.k8s.io";
    let api = format!("{rbac}/v1");
    let meta = json!({"name": name, "namespace": tenant.name()});
    let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": tenant.name()});
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
        json!({"apiVersion": api, "kind": "Role", "metadata": meta, "rules": [rule]}),
        json!({
            "apiVersion": api, "kind": "RoleBinding", "metadata": meta, "subjects": [subject],
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
        }),
    ] {
        tenant.apply(&object).await?;
    }
    let kubeconfig = estate.plane.kubeconfig_of(tenant.name(), name).await?;
    plane::client(&kubeconfig).await
}

#[test]
fn who_may_change_an_object_changes_what_is_in_git_and_who_may_not_changes_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-rights").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let before = commits(&tenant)?;
        let on_call =
            json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]});
        let on_call = somebody(estate, &tenant, "on-call", on_call).await?;
        let reader = json!({"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["get"]});
        let reader = somebody(estate, &tenant, "reader", reader).await?;
        let of = |client: &Client, version: &str, kind: &str| {
            objects::api(client.clone(), version, kind, Some(tenant.name()))
        };
        // One may read it all, the other may change Deployments alone: neither has any right in git.
        let paint = json!({"data": {"colour": "blue"}});
        for (api, name, what) in [
            (of(&reader, "apps/v1", "Deployment"), "web", image("2")),
            (of(&reader, "v1", "ConfigMap"), "settings", paint.clone()),
            (of(&on_call, "v1", "ConfigMap"), "settings", paint.clone()),
        ] {
            let refused = change(&api, name, "kubectl-edit", &what).await;
            let why = format!("{:?}", refused.err());
            ensure!(why.contains("is forbidden"), "{name}: {why}");
        }
        let webs = of(&on_call, "apps/v1", "Deployment");
        change(&webs, "web", "kubectl-edit", &image("3")).await?;
        written(&tenant, "web.yaml", "web:3").await?;
        applied(&tenant).await?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before + 1, "one commit, and no other");
        let changed = git(
            tenant.repo().bare(),
            ["diff", "--name-only", "main^", "main"],
        )?;
        ensure!(changed == "web.yaml", "{changed}");
        Ok(())
    });
}

#[test]
fn what_is_in_no_namespace_no_writeback_of_a_tenant_writes_whatever_its_account_may_do() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-scope").await?;
        let rbac = "rbac.authorization.k8s.io";
        let subject = json!({"kind": "ServiceAccount", "name": "flux", "namespace": tenant.name()});
        tenant
            .apply(&json!({
                "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
                "metadata": {"name": format!("{}-mighty", tenant.name())}, "subjects": [subject],
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
            }))
            .await?;
        let rules = json!([{"resources": ["persistentvolumes", "configmaps"], "syncTo": "git"}]);
        begin(&tenant, &writeback(&tenant, "back", &rules)).await?;
        let before = commits(&tenant)?;
        let entry = refused(&tenant, "back", "persistentvolumes").await?;
        let hint = objects::text(&entry, "/hint").unwrap_or_default();
        ensure!(hint.contains("let the platform write it"), "{entry}");
        tenant
            .apply(&json!({
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": tenant.name()},
                "spec": {
                    "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": tenant.name(),
                    "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/disks/9"},
                },
            }))
            .await?;
        looked(&tenant, "back").await?;
        ensure!(commits(&tenant)? == before, "something was written");
        Ok(())
    });
}
