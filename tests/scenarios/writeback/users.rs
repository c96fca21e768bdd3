//! Who else uses what is written: a new file fits everybody who builds it, and nobody writes an object twice.

use anyhow::ensure;
use kube::api::PostParams;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;

use super::*;

const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: green\n";

/// A ConfigMap of a namespace that nobody's manifests have.
async fn make(estate: &Estate, namespace: &str, name: &str) -> anyhow::Result<()> {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"goes": "to-git"}}, "data": {"a": "b"},
    });
    let map: DynamicObject = serde_json::from_value(map)?;
    let maps = objects::api(estate.admin(), "v1", "ConfigMap", Some(namespace));
    maps.create(&PostParams::default(), &map).await?;
    Ok(())
}

/// What is written of it: the ConfigMaps that are made here.
fn made() -> Value {
    json!([{"resources": ["configmaps"], "labels": "goes=to-git", "syncTo": "git"}])
}

/// One tenant of the namespaces of both, whose account may do in the second one what it may in its own.
async fn together(one: &Tenant<'_>, other: &Tenant<'_>, estate: &Estate) -> anyhow::Result<()> {
    let (own, second) = (one.name(), other.name());
    let rbac = "rbac.authorization.k8s.io";
    other
        .apply(&json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": "beside", "namespace": second},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": own}],
        }))
        .await?;
    one.apply(&json!({
        "apiVersion": API, "kind": "Tenant", "metadata": {"name": own},
        "spec": {"namespaces": [own, second], "sources": [own, second]},
    }))
    .await?;
    let tenants = objects::api(estate.admin(), API, "Tenant", None);
    let both = json!([own, second]);
    wait::for_object(&tenants, own, "it has both namespaces", |tenant| {
        tenant.data.pointer("/status/namespaces") == Some(&both)
    })
    .await?;
    Ok(())
}

#[test]
fn what_a_build_would_apply_in_another_namespace_becomes_no_file() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (one, other) = (
            tenant(estate, "wb-spread").await?,
            tenant(estate, "wb-spread-test").await?,
        );
        together(&one, &other, estate).await?;
        // Its Kustomization builds the root, where nothing is listed, and puts all of it into its own namespace.
        let mut back = writeback(&one, "back", &made());
        back["spec"]["path"] = json!("made");
        begin(&one, &back).await?;
        make(estate, one.name(), "near").await?;
        let near = format!("made/{}/configmap-near.yaml", one.name());
        written(&one, &near, "a: b").await?;
        make(estate, other.name(), "far").await?;
        let subject = format!("ConfigMap {}/far", other.name());
        let entry = refused(&one, "back", &subject).await?;
        let reason = objects::text(&entry, "/reason").unwrap_or_default();
        ensure!(reason.contains("would change the object"), "{entry}");
        let far = format!("made/{}/configmap-far.yaml", other.name());
        ensure!(file(&one, &far).is_none(), "{far} is written");
        let maps = one.api("v1", "ConfigMap");
        ensure!(maps.get_opt("far").await?.is_none(), "it is nowhere else");
        Ok(())
    });
}

#[test]
fn a_file_waits_for_a_suspended_kustomization_around_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-around").await?;
        let mut back = writeback(&tenant, "back", &made());
        back["spec"]["path"] = json!("made");
        begin(&tenant, &back).await?;
        let suspend = |suspend: bool| {
            let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
            let (api, name) = (tenant.kustomizations(), tenant.name());
            async move { api.patch(name, &PatchParams::default(), &patch).await }
        };
        suspend(true).await?;
        make(estate, tenant.name(), "later").await?;
        let subject = format!("ConfigMap {}/later", tenant.name());
        let entry = refused(&tenant, "back", &subject).await?;
        let reason = objects::text(&entry, "/reason").unwrap_or_default();
        ensure!(
            reason.contains("cannot be asked whether it fits"),
            "{entry}"
        );
        let later = format!("made/{}/configmap-later.yaml", tenant.name());
        ensure!(file(&tenant, &later).is_none(), "{later} is written");
        suspend(false).await?;
        tenant.reconcile(None).await?;
        looked(&tenant, "back").await?;
        written(&tenant, &later, "a: b").await?;
        Ok(())
    });
}

#[test]
fn an_object_that_two_would_write_has_one_file_and_the_other_is_told() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = tenant(estate, "wb-twice").await?;
        all_may_go(&tenant).await?;
        // Nobody builds where they write.
        tenant
            .after(|draft| {
                draft.commit("app/settings.yaml", SETTINGS);
                draft.set("path", json!("./app"));
            })
            .await?;
        for name in ["one", "two"] {
            let mut back = writeback(&tenant, name, &made());
            back["spec"]["path"] = json!(name);
            begin(&tenant, &back).await?;
        }
        make(estate, tenant.name(), "twin").await?;
        let path = |by: &str| format!("{by}/{}/configmap-twin.yaml", tenant.name());
        let has_it = || async {
            let mut both = ["one", "two"].into_iter();
            both.find(|by| file(&tenant, &path(by)).is_some())
        };
        let keeps = wait::until(wait::PATIENCE, "one of them writes it", has_it).await?;
        let other = if keeps == "one" { "two" } else { "one" };
        let subject = format!("ConfigMap {}/twin", tenant.name());
        let entry = refused(&tenant, other, &subject).await?;
        let reason = objects::text(&entry, "/reason").unwrap_or_default();
        let want = format!(
            "is in {} already, where WriteBack {}/{keeps} keeps it",
            path(keeps),
            tenant.name()
        );
        ensure!(reason == want, "{entry}");
        looked(&tenant, other).await?;
        ensure!(file(&tenant, &path(other)).is_none(), "it is there twice");
        Ok(())
    });
}
