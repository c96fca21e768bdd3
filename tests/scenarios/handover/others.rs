//! Objects that lie in no namespace, in the manifests of two tenants.

use anyhow::ensure;
use kube::api::DynamicObject;
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, scenario, wait};
use serde_json::json;

/// Lets the tenant's account define kinds and write roles that lie in no namespace.
async fn may_define(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let group = "rbac.authorization.k8s.io";
    let (api, name) = (format!("{group}/v1"), tenant.name());
    let role = json!({
        "apiVersion": api, "kind": "ClusterRole", "metadata": {"name": format!("{name}-defines")},
        "rules": [
            {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["*"]},
            {"apiGroups": [group], "resources": ["clusterroles"], "verbs": ["get", "list", "create", "patch", "update", "delete"]},
        ],
    });
    let binding = json!({
        "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": {"name": format!("{name}-defines")},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": format!("{name}-defines")},
        "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": name}],
    });
    tenant.apply(&role).await?;
    tenant.apply(&binding).await
}

/// Waits until an event in the tenant's namespace says this.
async fn is_told(tenant: &Tenant<'_>, words: &str) -> anyhow::Result<()> {
    let events = tenant.api("v1", "Event");
    wait::until(wait::PATIENCE, words, || async {
        let all = events.list(&Default::default()).await.ok()?;
        let tells = |event: &DynamicObject| event.data["message"].to_string().contains(words);
        all.items.iter().any(tells).then_some(())
    })
    .await
}

#[test]
fn what_another_tenant_has_applied_is_told_to_both_and_a_definition_refused_without_a_name() {
    scenario(async {
        let estate = Estate::shared().await?;
        let first = estate.healthy_tenant("first").await?;
        let second = estate.healthy_tenant("second").await?;
        let group = format!("{}.example", estate.unique("conflict"));
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("gizmos.{group}")},
            "spec": {
                "group": group, "scope": "Namespaced", "names": {"kind": "Gizmo", "plural": "gizmos"},
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }],
            },
        });
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": group}, "rules": [],
        });
        let (definition, role) = (definition.to_string(), role.to_string());
        may_define(&first).await?;
        may_define(&second).await?;
        let both = [
            ("definition.yaml", Some(definition.as_str())),
            ("role.yaml", Some(role.as_str())),
        ];
        first.push(&both).await?;

        second.commit(both)?;
        second.call_hook().await?;
        let words =
            format!("CustomResourceDefinition/gizmos.{group} (a Kustomization of somebody else)");
        let told = second.told_of(Reason::OwnershipConflict, &words).await?;
        ensure!(!told.ready.message.contains(first.name()), "{told:?}");
        for tenant in [&first, &second] {
            let words = format!("ClusterRole/{group} (a Kustomization of somebody else)");
            is_told(tenant, &words).await?;
        }

        // What may be in two is applied, and only told.
        second.push(&[("definition.yaml", None)]).await?;
        Ok(())
    });
}
