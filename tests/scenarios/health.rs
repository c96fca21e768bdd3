//! A Kustomization that waits for the health of what it applied: in the words of Flux, and without holding anybody up.

use std::time::Duration;

use anyhow::ensure;
use kube::api::DynamicObject;
use reeve_api::reason::Reason;
use reeve_tests::tenant::{Draft, Tenant};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

/// A Deployment that becomes available, or one that no node has room for.
fn deployment(fits: bool) -> String {
    let node = if fits { "linux" } else { "none-of-ours" };
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1\n  selector:\n    matchLabels: {{app: web}}\n  template:\n    metadata:\n      labels: {{app: web}}\n    spec:\n      nodeSelector: {{kubernetes.io/os: {node}}}\n      containers:\n        - name: web\n          image: registry.local/web:1\n"
    )
}

/// A Job that fails a second after it has begun: nothing runs it.
const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: seed\nspec:\n  activeDeadlineSeconds: 1\n  template:\n    spec:\n      restartPolicy: Never\n      nodeSelector: {kubernetes.io/os: none-of-ours}\n      containers:\n        - name: seed\n          image: registry.local/seed:1\n";

const CHECKS: &str = "Running health checks for revision";

/// The tenant waits for all it applies, of which one object is this Deployment.
async fn waits(tenant: &Tenant<'_>, fits: bool) -> anyhow::Result<String> {
    tenant
        .change(|draft| {
            draft.set("wait", json!(true));
            draft.set("timeout", json!("10m"));
        })
        .await?;
    let commit = tenant.commit([("web.yaml", Some(deployment(fits)))])?;
    tenant.call_hook().await?;
    Ok(commit)
}

/// Waits until the commit is applied and its health is not known yet.
async fn waiting(tenant: &Tenant<'_>, commit: &str) -> anyhow::Result<DynamicObject> {
    let what = "it waits for the health of what it applied";
    wait::for_object(&tenant.kustomizations(), tenant.name(), what, |ks| {
        let says = |kind: &str, status: &str, words: &str| {
            objects::condition(&ks.data, kind)
                .is_some_and(|c| c.status == status && c.message.contains(words))
        };
        text(ks, "lastAttemptedRevision").ends_with(commit)
            && says("Ready", "Unknown", "Reconciliation in progress")
            && says("Reconciling", "True", CHECKS)
            && says("Healthy", "Unknown", CHECKS)
    })
    .await
}

fn text<'a>(ks: &'a DynamicObject, field: &str) -> &'a str {
    objects::text(&ks.data, &format!("/status/{field}")).unwrap_or_default()
}

fn healthy(told: &Value) -> (String, String) {
    let condition = objects::condition(told, "Healthy").unwrap_or_default();
    (condition.status, condition.message)
}

#[test]
fn what_waits_is_ready_when_all_of_it_is_and_a_push_ends_the_wait_of_the_one_before() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("patient").await?;
        let before = tenant.kustomizations().get(tenant.name()).await?;
        let first = waits(&tenant, false).await?;
        let ks = waiting(&tenant, &first).await?;
        ensure!(
            text(&ks, "lastAppliedRevision") == text(&before, "lastAppliedRevision"),
            "it is not applied before it is healthy"
        );
        let fixed = tenant.commit([("web.yaml", Some(deployment(true)))])?;
        tenant.call_hook().await?;
        let told = tenant.applied(&fixed).await?;
        let (status, message) = healthy(&told.kustomization);
        ensure!(
            status == "True" && message.starts_with("Health check passed in "),
            "{status}: {message}"
        );
        let web = tenant.api("apps/v1", "Deployment").get("web").await?;
        ensure!(web.data.pointer("/status/availableReplicas") == Some(&json!(1)));

        // Nobody waits any more: nothing is said of its health.
        let told = tenant.after(|draft| draft.set("wait", Value::Null)).await?;
        ensure!(told.ready.status == "True", "{:?}", told.ready);
        ensure!(objects::condition(&told.kustomization, "Healthy").is_none());
        Ok(())
    });
}

#[test]
fn what_does_not_become_healthy_in_time_is_named_with_what_is_missing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("late").await?;
        let named =
            json!([{"kind": "Deployment", "name": "web"}, {"kind": "Deployment", "name": "gone"}]);
        let (name, words) = (
            tenant.name(),
            "health check failed after 30s: timeout waiting for:",
        );
        let commit = tenant
            .change(|draft| {
                draft.set("healthChecks", named);
                draft.set("timeout", json!("30s"));
                draft.commit("web.yaml", deployment(false));
            })
            .await?;
        tenant.call_hook().await?;
        waiting(&tenant, commit.as_deref().unwrap_or_default()).await?;
        let patience = Duration::from_secs(90);
        let told = tenant
            .told_within(patience, Reason::HealthCheckFailed, words)
            .await?;
        let message = &told.ready.message;
        let web = format!("Deployment/{name}/web status: 'InProgress': ");
        let gone = format!("Deployment/{name}/gone status: 'NotFound'");
        ensure!(
            message.contains(&web) && message.contains(&gone),
            "{message}"
        );
        let (status, message) = healthy(&told.kustomization);
        ensure!(
            status == "False" && message.starts_with("timeout waiting for: ["),
            "{status}: {message}"
        );
        let applied = objects::text(&told.kustomization, "/status/lastAppliedRevision");
        ensure!(
            !applied
                .unwrap_or_default()
                .ends_with(commit.as_deref().unwrap_or("?"))
        );
        Ok(())
    });
}

#[test]
fn a_job_that_failed_fails_at_once() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("seeds").await?;
        let change = |draft: &mut Draft| {
            draft.set("wait", json!(true));
            draft.set("timeout", json!("10m"));
            draft.commit("job.yaml", JOB);
        };
        tenant.change(change).await?;
        tenant.call_hook().await?;
        let words = format!("Job/{}/seed status: 'Failed'", tenant.name());
        let told = tenant.told_of(Reason::HealthCheckFailed, &words).await?;
        let early = "failed early due to stalled resources: [";
        ensure!(told.ready.message.contains(early), "{}", told.ready.message);
        Ok(())
    });
}

#[test]
fn many_that_wait_hold_up_neither_the_tenants_other_work_nor_anybody_elses() {
    scenario(async {
        let flags = ["--leader-elect=false", "--concurrent=2"];
        let estate = Estate::start_with(&flags).await?;
        let other = estate.healthy_tenant("other").await?;
        let tenant = estate.healthy_tenant("crowd").await?;
        let commit = waits(&tenant, false).await?;
        waiting(&tenant, &commit).await?;
        let first = tenant.kustomizations().get(tenant.name()).await?;
        for n in 0..6 {
            let mut spec = first.data.get("spec").cloned().unwrap_or_default();
            spec["nameSuffix"] = json!(format!("-{n}"));
            let name = format!("{}-{n}", tenant.name());
            tenant
                .apply(&json!({
                    "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                    "metadata": {"name": name, "namespace": tenant.name()}, "spec": spec,
                }))
                .await?;
            let what = "it waits as well";
            wait::for_object(&tenant.kustomizations(), &name, what, |ks| {
                objects::condition(&ks.data, "Healthy").is_some_and(|c| c.status == "Unknown")
            })
            .await?;
        }
        let words = ["controller_runtime_active_workers", "\"kustomization\""];
        wait::until(wait::PATIENCE, "no worker is held", || async {
            (estate.controller.sample(&words).await.ok()? == 0.0).then_some(())
        })
        .await?;
        let red =
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";
        other.push(&[("settings.yaml", Some(red))]).await?;
        ensure!(estate.controller.sample(&words).await? == 0.0);
        Ok(())
    });
}

#[test]
fn a_restart_does_not_begin_the_wait_anew() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("restarted").await?;
        let field = json!([{"paths": ["/spec/template/spec/nodeSelector"]}]);
        tenant.change(|draft| draft.set("ignore", field)).await?;
        let commit = waits(&tenant, false).await?;
        let since = |ks: &DynamicObject| {
            let all = ks
                .data
                .pointer("/status/conditions")
                .and_then(Value::as_array);
            let healthy = all?.iter().find(|c| c["type"] == "Healthy")?;
            healthy["lastTransitionTime"].as_str().map(str::to_owned)
        };
        let before = since(&waiting(&tenant, &commit).await?);
        ensure!(before.is_some());
        estate.controller.restart().await?;
        let words = ["gotk_reconcile_duration_seconds_count", "\"Kustomization\""];
        wait::until(wait::PATIENCE, "it was looked at again", || async {
            (estate.controller.sample(&words).await.ok()? > 0.0).then_some(())
        })
        .await?;
        let ks = waiting(&tenant, &commit).await?;
        ensure!(since(&ks) == before, "{:?} is not {before:?}", since(&ks));

        // What it waits for becomes healthy without a push: it is watched again.
        let node = json!({"spec": {"template": {"spec": {"nodeSelector": null}}}});
        let patch = kube::api::Patch::Merge(&node);
        let how = kube::api::PatchParams::default();
        tenant
            .api("apps/v1", "Deployment")
            .patch("web", &how, &patch)
            .await?;
        tenant.applied(&commit).await?;
        Ok(())
    });
}

#[test]
fn an_account_that_may_not_watch_waits_all_the_same() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("unwatched").await?;
        let name = tenant.name();
        let meta = json!({"name": "narrow", "namespace": name});
        let verbs = ["get", "create", "patch", "update", "delete"];
        let rbac = "rbac.authorization.k8s.io";
        for object in [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}),
            json!({"apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta, "rules": [
                {"apiGroups": ["", "apps"], "resources": ["*"], "verbs": verbs}]}),
            json!({"apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "narrow"},
                "subjects": [{"kind": "ServiceAccount", "name": "narrow", "namespace": name}]}),
        ] {
            tenant.apply(&object).await?;
        }
        tenant
            .change(|draft| draft.set("serviceAccountName", json!("narrow")))
            .await?;
        let commit = waits(&tenant, true).await?;
        let told = tenant.applied(&commit).await?;
        ensure!(healthy(&told.kustomization).0 == "True");
        Ok(())
    });
}

#[test]
fn a_kind_is_judged_by_what_its_owner_says_of_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("judged").await?;
        let exprs = json!([{
            "apiVersion": "v1", "kind": "ConfigMap",
            "inProgress": "data.colour == 'green'", "current": "data.colour == 'red'",
        }]);
        tenant
            .change(|draft| {
                draft.set("wait", json!(true));
                draft.set("healthCheckExprs", exprs);
                draft.set("ignore", json!([{"paths": ["/data/colour"]}]));
            })
            .await?;
        wait::for_object(&tenant.kustomizations(), tenant.name(), "it waits", |ks| {
            objects::condition(&ks.data, "Healthy").is_some_and(|c| c.status == "Unknown")
        })
        .await?;
        let red = kube::api::Patch::Merge(json!({"data": {"colour": "red"}}));
        let how = kube::api::PatchParams::default();
        tenant
            .api("v1", "ConfigMap")
            .patch("settings", &how, &red)
            .await?;
        let told = tenant
            .told_of(Reason::ReconciliationSucceeded, "Applied")
            .await?;
        ensure!(healthy(&told.kustomization).0 == "True");

        let bad = json!([{"apiVersion": "v1", "kind": "ConfigMap", "current": "data.colour =="}]);
        tenant
            .change(|draft| draft.set("healthCheckExprs", bad))
            .await?;
        let words = "spec.healthCheckExprs[0].current: 1:";
        let told = tenant.told_of(Reason::InvalidCelExpression, words).await?;
        let stalled = objects::condition(&told.kustomization, "Stalled").unwrap_or_default();
        ensure!(stalled.status == "True");
        Ok(())
    });
}
