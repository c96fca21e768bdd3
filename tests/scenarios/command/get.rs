//! `reeve get`: what a Kustomization has, what the last run did with it and how it is, as whoever asks may see it.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use kube::api::DynamicObject;
use reeve_tests::tenant::{MANIFESTS, Tenant};
use reeve_tests::{Estate, controller, objects, scenario, wait};
use serde_json::{Value, json};

use super::text;

/// Runs a verb against the cluster of an estate.
pub(crate) async fn asked(
    estate: &Estate,
    directory: &Path,
    arguments: &[&str],
) -> anyhow::Result<Output> {
    let mut command = Command::new(controller::program()?);
    command
        .args(arguments)
        .arg("--kubeconfig")
        .arg(estate.plane.kubeconfig())
        .current_dir(directory);
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

/// What it printed, when it ended with that code.
pub(crate) fn said(output: &Output, code: i32) -> anyhow::Result<String> {
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    ensure!(
        output.status.code() == Some(code),
        "{:?}: {all}",
        output.status
    );
    Ok(all)
}

/// The line about an object, without what draws the tree.
fn line<'t>(table: &'t str, object: &str) -> anyhow::Result<Vec<&'t str>> {
    let mut lines = table.lines().map(str::split_whitespace);
    let found = lines.find_map(|mut words| {
        let is_there = words.any(|word| word == object);
        is_there.then(|| words.collect())
    });
    found.with_context(|| format!("{object} is not in {table}"))
}

/// The tenant's account may apply Kustomizations.
async fn lets_nest(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let rbac = "rbac.authorization.k8s.io";
    let meta = json!({"name": "nests", "namespace": tenant.name()});
    let rules = json!([{"apiGroups": ["kustomize.toolkit.fluxcd.io"], "resources": ["kustomizations"],
        "verbs": ["*"]}]);
    tenant
        .apply(&json!({"apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta, "rules": rules}))
        .await?;
    tenant
        .apply(
            &json!({"apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "nests"},
            "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": tenant.name()}]}),
        )
        .await
}

/// A Kustomization of the same repository, with one ConfigMap.
fn nested(tenant: &Tenant<'_>, spec: &Value) -> String {
    let mut spec = spec.clone();
    spec["path"] = json!("./db");
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "db", "namespace": tenant.name()}, "spec": spec,
    })
    .to_string()
}

/// Changes the settings and adds a Kustomization; both are applied.
async fn grows(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    lets_nest(tenant).await?;
    let kustomizations = tenant.kustomizations();
    let spec = kustomizations.get(tenant.name()).await?.data["spec"].clone();
    let [(settings, green), _] = MANIFESTS;
    let (blue, db) = (green.replace("green", "blue"), nested(tenant, &spec));
    let map = green.replace("settings", "db");
    let listing = "resources: [settings.yaml, service.yaml, db.yaml]\n";
    let commit = tenant.commit([
        ("kustomization.yaml", Some(listing)),
        (settings, Some(&*blue)),
        ("db.yaml", Some(&*db)),
        ("db/db.yaml", Some(&*map)),
    ])?;
    tenant.call_hook().await?;
    tenant.applied(&commit).await?;
    let is_ready = |ks: &DynamicObject| {
        objects::condition(&ks.data, "Ready").is_some_and(|ready| ready.status == "True")
    };
    wait::for_object(&kustomizations, "db", "it is applied", is_ready).await?;
    Ok(())
}

/// What each object is told of.
const GROWN: [(&str, &str, &[&str]); 4] = [
    (
        "ConfigMap",
        "settings",
        &["configured", "Current", "data.colour"],
    ),
    ("Service", "web", &["unchanged", "Current"]),
    ("Kustomization", "db", &["created", "Current"]),
    ("ConfigMap", "db", &["created", "Current"]),
];

#[test]
fn what_a_kustomization_has_is_shown_with_what_the_last_run_did_and_how_it_is() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("treed").await?;
        grows(&tenant).await?;
        let (here, name) = (std::env::temp_dir(), tenant.name());
        let tree = ["get", "ks", name, "-n", name, "--tree"];
        let table = said(&asked(estate, &here, &tree).await?, 0)?;
        for (kind, object, words) in GROWN {
            let told = line(&table, &format!("{kind}/{name}/{object}"))?;
            ensure!(told == words, "{kind} {object}: {table}");
        }
        let output = asked(estate, &here, &[&tree[..], &["-o", "json"]].concat()).await?;
        said(&output, 0)?;
        let told: Value = serde_json::from_slice(&output.stdout)?;
        let all = told[0]["objects"].as_array().context("it has objects")?;
        let mut below = all
            .iter()
            .filter_map(|leaf| leaf["tree"]["objects"].as_array());
        ensure!(
            below.next().is_some_and(|below| below.len() == 1),
            "{told:#}"
        );

        let gone = "resources: [settings.yaml, db.yaml]\n";
        let commit = tenant.commit([("kustomization.yaml", Some(gone))])?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;
        let table = said(&asked(estate, &here, &tree).await?, 0)?;
        let service = line(&table, &format!("Service/{name}/web"))?;
        ensure!(service == ["deleted"], "{table}");
        let settings = line(&table, &format!("ConfigMap/{name}/settings"))?;
        ensure!(settings == ["unchanged", "Current"], "{table}");

        let list = asked(estate, &here, &["get", "kustomizations", "-n", name]).await?;
        let list = said(&list, 0)?;
        ensure!(
            line(&list, "db")?.starts_with(&["True", "false", "1"]),
            "{list}"
        );
        let nobody = ["get", "ks", "nobody", "-n", name];
        let why = said(&asked(estate, &here, &nobody).await?, 1)?;
        let words = format!("there is no Kustomization {name}/nobody");
        ensure!(why.contains(&words), "{why}");
        Ok(())
    });
}
