//! Kustomizations that depend on others: when they are applied, whom they may name, and what they wait for.

use std::time::Duration;

use anyhow::ensure;
use kube::api::{DeleteParams, DynamicObject};
use reeve_api::reason::Reason;
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

/// Sooner than it would be looked at by itself.
const WOKEN: Duration = Duration::from_secs(20);

/// Another Kustomization of the tenant, over the same source, whose objects have other names.
async fn another(tenant: &Tenant<'_>, name: &str, depends_on: Value) -> anyhow::Result<()> {
    let first = tenant.kustomizations().get(tenant.name()).await?;
    let mut spec = first.data.get("spec").cloned().unwrap_or_default();
    spec["nameSuffix"] = json!(format!("-{name}"));
    spec["dependsOn"] = depends_on;
    let object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": tenant.name()}, "spec": spec,
    });
    tenant.apply(&object).await
}

fn waits_for(name: &str, namespace: &str) -> String {
    format!("dependency '{namespace}/{name}' is not ready")
}

#[test]
fn who_depends_on_another_is_applied_as_soon_as_that_is_ready() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("chain").await?;
        let (name, kustomizations) = (tenant.name(), tenant.kustomizations());
        // The first of the chain cannot be built.
        tenant
            .change(|draft| draft.commit("more.yaml", "not: [a manifest"))
            .await?;
        tenant.call_hook().await?;
        tenant.told_of(Reason::BuildFailed, "").await?;
        another(&tenant, "second", json!([{"name": name}])).await?;
        another(&tenant, "third", json!([{"name": "second"}])).await?;
        let not_ready = Reason::DependencyNotReady;
        for (of, on) in [("second", name), ("third", "second")] {
            says(
                wait::PATIENCE,
                &kustomizations,
                of,
                not_ready,
                &waits_for(on, name),
            )
            .await?;
        }
        ensure!(
            tenant
                .api("v1", "ConfigMap")
                .get_opt("settings-second")
                .await?
                .is_none()
        );

        let fixed = tenant.commit([("more.yaml", None::<&str>)])?;
        tenant.call_hook().await?;
        tenant.applied(&fixed).await?;
        for of in ["second", "third"] {
            says(
                WOKEN,
                &kustomizations,
                of,
                Reason::ReconciliationSucceeded,
                &fixed,
            )
            .await?;
        }
        ensure!(
            tenant
                .api("v1", "ConfigMap")
                .get_opt("settings-third")
                .await?
                .is_some()
        );
        Ok(())
    });
}

#[test]
fn a_circle_is_named_and_turns_no_worker() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("circle").await?;
        let (name, kustomizations) = (tenant.name(), tenant.kustomizations());
        another(&tenant, "a", json!([{"name": "b"}])).await?;
        another(&tenant, "b", json!([{"name": "a"}])).await?;
        let not_ready = Reason::DependencyNotReady;
        let circle = format!("it waits for itself: {name}/b -> {name}/a -> {name}/b");
        says(wait::PATIENCE, &kustomizations, "b", not_ready, &circle).await?;
        let other = format!("it waits for itself: {name}/a -> {name}/b -> {name}/a");
        says(wait::PATIENCE, &kustomizations, "a", not_ready, &other).await?;
        let runs = || async {
            let words = [
                "gotk_reconcile_duration_seconds_count",
                "\"Kustomization\"",
                "\"a\"",
            ];
            estate.controller.sample(&words).await
        };
        let before = runs().await?;
        // Another's push passes while they wait for each other.
        let red =
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";
        let other = estate.healthy_tenant("outside").await?;
        other.push(&[("settings.yaml", Some(red))]).await?;
        let after = runs().await?;
        ensure!(after - before < 4.0, "{before} runs became {after}");

        // Out of the circle, both go on.
        another(&tenant, "b", json!([])).await?;
        for of in ["b", "a"] {
            let why = Reason::ReconciliationSucceeded;
            says(WOKEN, &kustomizations, of, why, "Applied revision").await?;
        }
        Ok(())
    });
}

/// The Kustomization `app` of the tenant depends on one of another namespace.
async fn told_of_other(
    tenant: &Tenant<'_>,
    reason: Reason,
    words: &str,
) -> anyhow::Result<DynamicObject> {
    says(
        wait::PATIENCE,
        &tenant.kustomizations(),
        "app",
        reason,
        words,
    )
    .await
}

#[test]
fn what_is_another_tenants_cannot_be_depended_on_and_what_is_ones_own_must_be_readable() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (tenant, base) = (
            estate.healthy_tenant("front").await?,
            estate.healthy_tenant("base").await?,
        );
        let (own, other) = (tenant.name(), base.name());
        let on_other = json!([{"name": other, "namespace": other}]);
        another(&tenant, "app", on_other).await?;
        let blocked = "cross-namespace references have been blocked";
        let ks = told_of_other(&tenant, Reason::AccessDenied, blocked).await?;
        let text = serde_json::to_string(&ks.data.get("status"))?;
        ensure!(!text.contains("not ready"), "{text}");

        // Both namespaces become one tenant's: now only its account's rights count.
        tenant
            .apply(&json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": own},
                "spec": {"namespaces": [own, other], "sources": [own, other]},
            }))
            .await?;
        let unread = format!("cannot be read by ServiceAccount {own}/flux");
        told_of_other(&tenant, Reason::DependencyNotReady, &unread).await?;

        let rbac = "rbac.authorization.k8s.io";
        let meta = json!({"name": "readers", "namespace": other});
        for object in [
            json!({"apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta, "rules": [
                {"apiGroups": ["kustomize.toolkit.fluxcd.io"], "resources": ["kustomizations"], "verbs": ["get"]}]}),
            json!({"apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "readers"},
                "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": own}]}),
        ] {
            base.apply(&object).await?;
        }
        told_of_other(&tenant, Reason::ReconciliationSucceeded, "Applied revision").await?;
        ensure!(objects::text(&ks.data, "/status/lastAppliedRevision").is_none());
        Ok(())
    });
}

/// Takes from the tenant's account what the role `admin` lets it see of Kustomizations, and nothing of what it applies.
async fn without_kustomizations(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let (rbac, name) = ("rbac.authorization.k8s.io", tenant.name());
    let version = format!("{rbac}/v1");
    let bindings = objects::api(estate.admin(), &version, "RoleBinding", Some(name));
    bindings.delete("flux", &DeleteParams::default()).await?;
    let meta = |name: &str| json!({"name": name, "namespace": tenant.name()});
    let role = json!({"apiVersion": version, "kind": "Role", "metadata": meta("narrow"), "rules": [
        {"apiGroups": ["", "apps", "networking.k8s.io", "cert-manager.io"], "resources": ["*"], "verbs": ["*"]}]});
    tenant.apply(&role).await?;
    let binding = json!({"apiVersion": version, "kind": "RoleBinding", "metadata": meta("flux"),
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "narrow"},
        "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": name}]});
    tenant.apply(&binding).await
}

#[test]
fn an_expression_sees_a_dependency_only_if_the_account_may_read_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("expressive").await?;
        let name = tenant.name();
        without_kustomizations(estate, &tenant).await?;
        let expr = "has(dep.metadata.labels) && 'ok' in dep.metadata.labels && self.spec.prune";
        another(&tenant, "app", json!([{"name": name, "readyExpr": expr}])).await?;
        let unread = format!("cannot be read by ServiceAccount {name}/flux");
        let ks = told_of_other(&tenant, Reason::DependencyNotReady, &unread).await?;
        let text = serde_json::to_string(&ks.data.get("status"))?;
        ensure!(!text.contains("readyExpr"), "{text}");

        let rbac = "rbac.authorization.k8s.io";
        let meta = json!({"name": "readers", "namespace": name});
        for object in [
            json!({"apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta, "rules": [
                {"apiGroups": ["kustomize.toolkit.fluxcd.io"], "resources": ["kustomizations"], "verbs": ["get"]}]}),
            json!({"apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "readers"},
                "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": name}]}),
        ] {
            tenant.apply(&object).await?;
        }
        let not = format!("dependency '{name}/{name}' is not ready according to readyExpr eval");
        told_of_other(&tenant, Reason::DependencyNotReady, &not).await?;
        let label = kube::api::Patch::Merge(json!({"metadata": {"labels": {"ok": "yes"}}}));
        let how = kube::api::PatchParams::default();
        tenant.kustomizations().patch(name, &how, &label).await?;
        let why = Reason::ReconciliationSucceeded;
        says(
            WOKEN,
            &tenant.kustomizations(),
            "app",
            why,
            "Applied revision",
        )
        .await?;
        Ok(())
    });
}
