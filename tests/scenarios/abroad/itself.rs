//! Who names no account is the kubeconfig's own user on the other cluster: the platform may do that, and no tenant.

use anyhow::ensure;
use reeve_api::reason::Reason;
use reeve_tests::install::PLATFORM;
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{Estate, objects, scenario, secrecy, wait};
use serde_json::{Value, json};

use super::edge::Edge;
use super::{DONE, colour, guest};

const NAME: &str = "fleet";

/// The platform's own Kustomization of the tenant's repository, which names a kubeconfig and no account.
async fn delivers(tenant: &Tenant<'_>, kubeconfig: &Value) -> anyhow::Result<()> {
    let meta = json!({"name": NAME, "namespace": PLATFORM});
    let data = json!({"value": kubeconfig.to_string()});
    tenant
        .apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}))
        .await?;
    let source = json!({"kind": "GitRepository", "name": tenant.name(),
        "namespace": reeve_tests::install::CONFIG});
    tenant
        .apply(
            &json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": meta, "spec": {"interval": "1h", "retryInterval": "1s", "path": "./", "prune": true,
                "targetNamespace": tenant.name(), "sourceRef": source,
                "kubeConfig": {"secretRef": {"name": NAME}}}}),
        )
        .await
}

#[test]
fn who_names_no_account_is_the_kubeconfigs_own_user_there_and_no_tenant_may() {
    scenario(async {
        let flags = ["--leader-elect=false", "--allow-remote-clusters=127.0.0.1"];
        let (estate, edge) = (Estate::start_with(&flags).await?, Edge::shared().await?);
        let tenant = guest(&estate, &edge, "abroad-fleet").await?;
        let kubeconfig = edge.guest(NAME).await?;
        if let Some(token) = objects::text(&kubeconfig, "/users/0/user/token") {
            secrecy::used(token);
        }
        delivers(&tenant, &kubeconfig).await?;
        let kustomizations = objects::api(
            estate.admin(),
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            Some(PLATFORM),
        );
        // It may be anybody there, and nothing by itself yet.
        let failed = Reason::ReconciliationFailed;
        let words = "the user of spec.kubeConfig may not";
        says(wait::PATIENCE, &kustomizations, NAME, failed, words).await?;
        edge.allows_guest(NAME, tenant.name()).await?;
        let words = "Applied revision";
        says(wait::PATIENCE, &kustomizations, NAME, DONE, words).await?;
        let there = edge.api(&tenant, "v1", "ConfigMap").get("settings").await?;
        ensure!(colour(&there) == "green");

        tenant
            .change(|draft| {
                draft.set("kubeConfig", json!({"secretRef": {"name": "edge"}}));
                draft.set("serviceAccountName", Value::Null);
            })
            .await?;
        let words = "spec.serviceAccountName is missing";
        tenant.told_of(Reason::PolicyDenied, words).await?;
        Ok(())
    });
}
