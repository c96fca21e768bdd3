//! `reeve trace`: from an object back to the commit, file and line, the plugin and the policies, as far as whoever asks may read.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::{MANIFESTS, Tenant};
use reeve_tests::{Estate, controller, scenario};
use serde_json::{Value, json};

use super::get::{asked, said};
use super::text;
use crate::flux_cli::has_line;

const OVERLAY: &str = "resources: [base]\npatches:\n  - path: blue.yaml\n";
const BLUE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";

/// Its manifests lie in a base, with a patch over them and a plugin behind that.
async fn overlaid(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let plugin = json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Plugin",
        "metadata": {"name": "stamp", "namespace": tenant.name()},
        "spec": {
            "world": "transformer", "source": {"path": "stamp-labels.wasm"},
            "config": {"labels": {"team": "web"}},
        },
    });
    tenant.apply(&plugin).await?;
    let [(_, settings), (_, service)] = MANIFESTS;
    let both = format!("{service}---\n# The colours.\n{settings}");
    tenant
        .push(&[
            ("kustomization.yaml", Some(OVERLAY)),
            ("blue.yaml", Some(BLUE)),
            ("base/kustomization.yaml", Some("resources: [all.yaml]\n")),
            ("base/all.yaml", Some(&both)),
        ])
        .await?;
    Ok(())
}

#[test]
fn an_object_is_traced_back_to_the_commit_the_line_the_plugin_and_the_policies() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("traced").await?;
        overlaid(&tenant).await?;
        let (here, name) = (std::env::temp_dir(), tenant.name());
        let commit = tenant.repo().run(["rev-parse", "HEAD"])?;

        let line = ["trace", "cm/settings", "-n", name];
        let told = said(&asked(estate, &here, &line).await?, 0)?;
        has_line(&told, &["Object", &format!("ConfigMap/{name}/settings")])?;
        has_line(&told, &["Kustomization", &format!("{name}/{name}")])?;
        has_line(
            &told,
            &[
                "Source",
                &format!("GitRepository/{CONFIG}/{name}"),
                "http://",
            ],
        )?;
        has_line(&told, &["Commit", commit.trim()])?;
        has_line(&told, &["Ada <ada@example.com>"])?;
        has_line(&told, &["A change"])?;
        has_line(&told, &["File", "base/all.yaml:12"])?;
        has_line(&told, &["then", "kustomization.yaml"])?;
        has_line(&told, &["Plugin/stamp", "is called", "--plugin stamp=FILE"])?;
        has_line(&told, &["Policy", "(enforce)", "no objection is told"])?;

        let component = reeve_tests::root().join("target/plugins/stamp-labels.wasm");
        let given = format!("stamp={}", component.display());
        let line = [&line[..], &["--plugin", &given, "-o", "json"]].concat();
        let output = asked(estate, &here, &line).await?;
        said(&output, 0)?;
        let told: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(told["origin"]["line"] == 12, "{told:#}");
        ensure!(told["applied"]["by"] == "kustomization", "{told:#}");
        let changed = told["plugins"][0]["changed"].to_string();
        ensure!(changed.contains("metadata.labels"), "{told:#}");
        ensure!(told["commit"]["at"].is_string(), "{told:#}");
        Ok(())
    });
}

fn map(name: &str, namespace: &str, more: Value) -> Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
    });
    if let (Some(meta), Value::Object(more)) = (object["metadata"].as_object_mut(), more) {
        meta.extend(more);
    }
    object
}

#[test]
fn who_else_manages_an_object_or_that_nobody_does_is_said_clearly() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("untraced").await?;
        let (here, name) = (std::env::temp_dir(), tenant.name());
        let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
        let owner = json!([{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": settings.metadata.uid,
        }]);
        let helm =
            json!({"meta.helm.sh/release-name": "db", "meta.helm.sh/release-namespace": name});
        let gone = json!({
            "kustomize.toolkit.fluxcd.io/name": "nosuch", "kustomize.toolkit.fluxcd.io/namespace": name,
        });
        for (map_name, more, code, words) in [
            ("by-hand", json!({}), 1, "no Kustomization applies"),
            (
                "of-helm",
                json!({"annotations": helm}),
                1,
                "managed by release db of Helm",
            ),
            ("left", json!({"labels": gone}), 1, "which applied"),
            ("owned", json!({"ownerReferences": owner}), 0, "owned by"),
        ] {
            tenant.apply(&map(map_name, name, more)).await?;
            let object = format!("configmap/{map_name}");
            let told = said(
                &asked(estate, &here, &["trace", &object, "-n", name]).await?,
                code,
            )?;
            has_line(&told, &[words])?;
        }
        for (object, words) in [
            ("configmap/nobody", "there is no configmap/nobody"),
            ("nothing/x", "no matches for kind"),
            ("settings", "is not KIND/NAME"),
        ] {
            let told = said(
                &asked(estate, &here, &["trace", object, "-n", name]).await?,
                2,
            )?;
            has_line(&told, &[words])?;
        }
        Ok(())
    });
}

/// A role of the tenant's account, to get Kustomizations.
async fn may_see(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let rbac = "rbac.authorization.k8s.io";
    let meta = json!({"name": "sees", "namespace": tenant.name()});
    let rules = json!([{
        "apiGroups": ["kustomize.toolkit.fluxcd.io"], "resources": ["kustomizations"], "verbs": ["get"],
    }]);
    tenant
        .apply(&json!({"apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta, "rules": rules}))
        .await?;
    tenant
        .apply(&json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "sees"},
            "subjects": [{"kind": "ServiceAccount", "name": "flux", "namespace": tenant.name()}],
        }))
        .await
}

#[test]
fn who_may_not_read_the_source_is_told_the_rest_and_what_is_not_known() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("traced-by").await?;
        may_see(&tenant).await?;
        let name = tenant.name().to_owned();
        let kubeconfig = estate.plane.kubeconfig_of(&name, "flux").await?;
        let trace = |kubeconfig: &Path| {
            let mut command = Command::new(controller::program()?);
            command
                .args(["trace", "service/web", "-n", &name, "--kubeconfig"])
                .arg(kubeconfig);
            anyhow::Ok(command)
        };
        let mut command = trace(&kubeconfig)?;
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let told = said(&output, 0)?;
        has_line(&told, &["Kustomization", &format!("{name}/{name}")])?;
        has_line(
            &told,
            &[
                "not known",
                &format!("GitRepository/{CONFIG}/{name} cannot be read"),
            ],
        )?;
        has_line(&told, &["not known", "the file"])?;
        let stdout = text(&output.stdout);
        let file = stdout.lines().find(|line| line.starts_with("File"));
        ensure!(file.is_none(), "{told}");
        stdout
            .lines()
            .find(|line| line.starts_with("Commit"))
            .context("the commit")?;
        Ok(())
    });
}
