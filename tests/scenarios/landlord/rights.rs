//! What a Tenant says of people and of containers, as the API server answers for it.

use anyhow::{Context as _, ensure};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use reeve_tests::{objects, scenario, wait};
use serde_json::{Value, json};

use super::Manor;

/// Whether somebody of the group may do that in the namespace.
async fn is_allowed(manor: &Manor, group: &str, deed: Value) -> anyhow::Result<bool> {
    let review: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
        "spec": {"user": "somebody", "groups": [group], "resourceAttributes": deed},
    }))?;
    let reviews = manor.api("authorization.k8s.io/v1", "SubjectAccessReview", None);
    let answer = reviews.create(&PostParams::default(), &review).await?;
    let allowed = answer.data.pointer("/status/allowed");
    allowed.and_then(Value::as_bool).context("an answer")
}

/// The same to pods.
async fn may(manor: &Manor, group: &str, verb: &str, part: &str) -> anyhow::Result<bool> {
    let pods = json!({"namespace": "acme", "verb": verb, "resource": "pods", "subresource": part});
    is_allowed(manor, group, pods).await
}

/// The same to a kind of ours.
async fn may_with(manor: &Manor, group: &str, verb: &str, of: &str) -> anyhow::Result<bool> {
    let (resource, api) = of.split_once('.').context("resource.group")?;
    let kind = json!({"namespace": "acme", "verb": verb, "resource": resource, "group": api});
    is_allowed(manor, group, kind).await
}

/// A container that says nothing has what the Tenant says.
async fn given_defaults(manor: &Manor) -> anyhow::Result<()> {
    let pod: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": "acme"},
        "spec": {
            "serviceAccountName": "flux",
            "containers": [{"name": "c", "image": "registry.example/c:1"}],
        },
    }))?;
    let how = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let pods = manor.api("v1", "Pod", Some("acme"));
    // So does admission of the range.
    wait::until(wait::PATIENCE, "a container has the defaults", || async {
        let made = pods.create(&how, &pod).await.ok()?;
        let has = |pointer: &str| objects::text(&made.data, pointer).map(str::to_owned);
        let cpu = has("/spec/containers/0/resources/requests/cpu");
        let memory = has("/spec/containers/0/resources/limits/memory");
        (cpu.as_deref() == Some("50m") && memory.as_deref() == Some("64Mi")).then_some(())
    })
    .await?;
    Ok(())
}

#[test]
fn readers_look_and_run_commands_where_that_is_said_and_containers_have_defaults() {
    scenario(async {
        let manor = Manor::open().await?;
        let spec = json!({
            "namespaces": ["acme"], "owners": ["owners"],
            "readers": [{"group": "looking"}, {"group": "running", "exec": true}],
            "containerDefaults": {"requests": {"cpu": "50m"}, "limits": {"memory": "64Mi"}},
        });
        manor.tenant("acme", spec).await?;
        manor.told("acme", "Succeeded").await?;
        // The authorizer reads bindings a moment later.
        wait::until(wait::PATIENCE, "its readers may look", || async {
            let may = may(&manor, "running", "create", "exec").await;
            may.is_ok_and(|may| may).then_some(())
        })
        .await?;
        for (group, verb, part, want) in [
            ("looking", "list", "", true),
            ("looking", "get", "log", true),
            ("looking", "create", "exec", false),
            ("looking", "create", "", false),
            ("running", "list", "", true),
            ("running", "create", "exec", true),
            ("running", "delete", "", false),
            ("owners", "create", "", true),
            ("strangers", "list", "", false),
        ] {
            let is = may(&manor, group, verb, part).await?;
            ensure!(is == want, "{group} {verb} pods/{part}: {is}");
        }
        given_defaults(&manor).await?;

        let less = json!({"namespaces": ["acme"], "readers": [{"group": "looking"}]});
        manor.tenant("acme", less).await?;
        manor.told("acme", "Succeeded").await?;
        let exec = manor.bindings("acme").get_opt("reeve-tenant-exec").await?;
        ensure!(exec.is_none(), "nobody runs commands any more");
        let range = manor.api("v1", "LimitRange", Some("acme"));
        ensure!(
            range.get_opt("reeve-tenant").await?.is_none(),
            "the range stays"
        );
        Ok(())
    });
}

/// Who installs the chart with its defaults has nothing more to do for that.
#[test]
fn people_of_a_tenant_see_and_write_the_kinds_that_are_made_for_them_and_strangers_do_not() {
    scenario(async {
        let manor = Manor::open().await?;
        let spec = json!({"namespaces": ["acme"], "owners": ["owners"], "readers": [{"group": "looking"}]});
        manor.tenant("acme", spec).await?;
        manor.told("acme", "Succeeded").await?;
        wait::until(wait::PATIENCE, "its owners may look", || async {
            let may = may(&manor, "owners", "list", "").await;
            may.is_ok_and(|may| may).then_some(())
        })
        .await?;
        for of in [
            "kustomizations.kustomize.toolkit.fluxcd.io",
            "gitrepositories.source.toolkit.fluxcd.io",
            "receivers.notification.toolkit.fluxcd.io",
            "plugins.reeve.dev",
            "writebacks.reeve.dev",
        ] {
            for (group, verb, want) in [
                ("looking", "list", true),
                ("looking", "patch", false),
                ("owners", "get", true),
                ("owners", "create", true),
                ("strangers", "get", false),
            ] {
                let is = may_with(&manor, group, verb, of).await?;
                ensure!(is == want, "{group} {verb} {of}: {is}");
            }
        }
        for of in ["tenants.reeve.dev", "policies.reeve.dev"] {
            ensure!(!may_with(&manor, "owners", "patch", of).await?, "{of}");
        }
        Ok(())
    });
}

#[test]
fn a_tenant_cannot_hold_the_right_of_the_delivery_where_that_ends() {
    scenario(async {
        let manor = Manor::open().await?;
        let says = |namespaces: &[&str]| json!({"namespaces": namespaces});
        manor.tenant("acme", says(&["acme", "held"])).await?;
        manor.told("acme", "Succeeded").await?;
        let held = manor.bindings("held");
        for (finalizers, reason) in [
            (json!(["acme.example/stays"]), "OnboardingFailed"),
            (json!(null), "Succeeded"),
        ] {
            let change = json!({"metadata": {"finalizers": finalizers}});
            let how = PatchParams::default();
            held.patch_metadata("reeve-delivery", &how, &Patch::Merge(&change))
                .await?;
            manor.tenant("acme", says(&["acme"])).await?;
            let told = manor.told("acme", reason).await?;
            let hint = told.contains("held/reeve-delivery") && told.contains("finalizers");
            ensure!(hint || reason == "Succeeded", "{told}");
        }
        wait::until_gone(&held, "reeve-delivery").await?;
        Ok(())
    });
}
