//! A rule that names no resource means any kind, however many there are: what cannot be watched is listed, and neither is left out.

use anyhow::{Context as _, ensure};
use kube::api::{ListParams, PostParams};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;

use super::*;

/// Where the kinds are that come early in the alphabet.
const GROUP: &str = "aaa.example.org";
/// How many there are of them: with Kubernetes' own as many as an ordinary cluster has.
const KINDS: usize = 60;
/// How soon what is not watched is listed once more.
const INTERVAL: &str = "3s";

fn kind(number: usize) -> String {
    format!("Aardvark{number:02}")
}

/// Has the API server serve one more kind.
async fn define(tenant: &Tenant<'_>, number: usize) -> anyhow::Result<()> {
    let kind = kind(number);
    let (singular, plural) = (kind.to_lowercase(), format!("{}s", kind.to_lowercase()));
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    tenant
        .apply(&json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{GROUP}")},
            "spec": {
                "group": GROUP, "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural, "singular": singular},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": any}}],
            },
        }))
        .await
}

/// All of them, which are served from here on.
async fn define_all(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<()> {
    for number in 0..KINDS {
        define(tenant, number).await?;
    }
    for number in 0..KINDS {
        let of_kind = objects::api(estate.admin(), &format!("{GROUP}/v1"), &kind(number), None);
        wait::until(wait::PATIENCE, "the kind is listed", || async {
            of_kind.list(&ListParams::default().limit(1)).await.ok()
        })
        .await?;
    }
    Ok(())
}

/// Automation makes an object of such a kind.
async fn make(estate: &Estate, kind: &str, namespace: &str) -> anyhow::Result<()> {
    let api_version = format!("{GROUP}/v1");
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": api_version, "kind": kind, "metadata": {"name": "one", "labels": {"made": "yes"}},
        "spec": {"colour": "grey"},
    }))?;
    let all = objects::api(estate.admin(), &api_version, kind, Some(namespace));
    let by = PostParams {
        field_manager: Some("automation".to_owned()),
        ..PostParams::default()
    };
    all.create(&by, &object).await?;
    Ok(())
}

/// The account of the tenant may do everything there.
async fn is_mighty(tenant: &Tenant<'_>, namespace: &str) -> anyhow::Result<()> {
    let rbac = "rbac.authorization.k8s.io";
    tenant
        .apply(&json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": "mighty", "namespace": namespace},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": tenant.name()}],
        }))
        .await
}

/// A WriteBack of whatever is marked, below a directory that nobody builds.
async fn begin_any(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let rules = json!([{"labels": "made=yes", "syncTo": "git"}]);
    let mut back = writeback(tenant, "back", &rules);
    back["spec"]["path"] = json!("made");
    back["spec"]["interval"] = json!(INTERVAL);
    begin(tenant, &back).await
}

/// A tenant whose Kustomization builds a directory of its own.
async fn apart<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<Tenant<'a>> {
    let tenant = tenant(estate, name).await?;
    build_app(&tenant, |_| {}).await?;
    is_mighty(&tenant, tenant.name()).await?;
    Ok(tenant)
}

/// Gives the tenant more namespaces.
async fn with_more(estate: &Estate, tenant: &Tenant<'_>, number: usize) -> anyhow::Result<()> {
    let mut namespaces = vec![tenant.name().to_owned()];
    for at in 0..number {
        let name = format!("{}-{at}", tenant.name());
        tenant
            .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
            .await?;
        is_mighty(tenant, &name).await?;
        namespaces.push(name);
    }
    tenant
        .apply(&json!({
            "apiVersion": API, "kind": "Tenant", "metadata": {"name": tenant.name()},
            "spec": {"namespaces": namespaces, "sources": [tenant.name()]},
        }))
        .await?;
    let tenants = objects::api(estate.admin(), API, "Tenant", None);
    let all = json!(namespaces);
    wait::for_object(&tenants, tenant.name(), "it has all of them", |tenant| {
        tenant.data.pointer("/status/namespaces") == Some(&all)
    })
    .await?;
    Ok(())
}

/// A kind of ours that is listed and not watched, and a namespace where it is.
fn listed(back: &DynamicObject) -> Option<(usize, String)> {
    let all = back.data.pointer("/status/listed")?.as_array()?;
    all.iter().filter_map(Value::as_str).find_map(|told| {
        let (kind, places) = told.split_once(" in ")?;
        let number = kind.strip_prefix("aardvark")?.get(..2)?.parse().ok()?;
        let place = places.split(' ').next()?.trim_end_matches(',');
        Some((number, place.to_owned()))
    })
}

async fn is_written(tenant: &Tenant<'_>, number: usize, namespace: &str) -> anyhow::Result<()> {
    let kind = kind(number).to_lowercase();
    let path = format!("made/{namespace}/{kind}.{GROUP}-one.yaml");
    written(tenant, &path, "colour: grey").await?;
    Ok(())
}

#[test]
fn any_kind_is_written_however_many_there_are() {
    scenario(async {
        let estate = Estate::start().await?;
        let few = apart(&estate, "wb-few").await?;
        define_all(&estate, &few).await?;
        // It knows from its start on which kinds there are.
        estate.controller.restart().await?;
        begin_any(&few).await?;
        let back = told(&few, "back", "True", "Succeeded").await?;
        let condition = objects::condition(&back.data, "PartlyWatched");
        ensure!(condition.is_none(), "all of it is watched: {condition:?}");
        let last = KINDS - 1;
        make(&estate, &kind(last), few.name()).await?;
        is_written(&few, last, few.name()).await?;

        // In so many namespaces there are more than one tenant may watch.
        let many = apart(&estate, "wb-many").await?;
        with_more(&estate, &many, 4).await?;
        begin_any(&many).await?;
        let what = "it says what it lists, and that it does";
        let back = wait::for_object(&writebacks(&many), "back", what, |back| {
            let condition = objects::condition(&back.data, "PartlyWatched");
            condition.is_some_and(|it| it.status == "True") && listed(back).is_some()
        })
        .await?;
        let (number, namespace) = listed(&back).context("one of ours is listed")?;
        make(&estate, &kind(number), &namespace).await?;
        is_written(&many, number, &namespace).await?;

        // The other one still sees all of it.
        make(&estate, &kind(0), few.name()).await?;
        is_written(&few, 0, few.name()).await?;
        let back = writebacks(&few).get("back").await?;
        let condition = objects::condition(&back.data, "PartlyWatched");
        ensure!(condition.is_none(), "{condition:?}");
        Ok(())
    });
}
