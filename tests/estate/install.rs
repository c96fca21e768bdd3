//! Puts reeve's kinds, namespaces and rights on a cluster, as an administrator would: with kubectl, or with helm.
//!
//! The rights are those of the chart, the least that reeve needs; every scenario runs under them. The controller itself is
//! started by `controller`, beside the cluster.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::api::ListParams;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::chart::Release;
use crate::objects;
use crate::plane::Plane;
use crate::{binaries, wait};

/// The namespace of the controller.
pub const SYSTEM: &str = "reeve-system";
/// The namespace of what the platform itself delivers.
pub const PLATFORM: &str = "flux-system";
/// The namespace of the sources that the platform keeps for its tenants.
pub const CONFIG: &str = "platform-flux-tenant-config";

/// Longer than any call of a command line tool here should take.
const TOOL: Duration = Duration::from_secs(60);

/// Applies the kinds, namespaces, accounts and rights, and waits until the kinds are served.
pub async fn install(plane: &Plane) -> anyhow::Result<()> {
    install_release(plane, Release::estate().await?).await
}

/// The same with another release of the chart.
pub async fn install_release(plane: &Plane, release: &Release) -> anyhow::Result<()> {
    let rights = plane.room("chart")?.join("rights.json");
    std::fs::write(&rights, list(&release.rights()).to_string())?;
    let paths = [
        release.root().join("charts/reeve-crds/templates"),
        crate::root().join("tests/estate/manifests"),
        rights,
    ];
    let paths = paths.map(|path| format!("--filename={}", path.display()));
    let mut args = vec!["apply", "--server-side", "--field-manager=estate"];
    args.extend(paths.iter().map(String::as_str));
    kubectl(plane, &args).await.context("installing reeve")?;
    established(plane).await
}

/// By which the controller that lies in `system` may act as every account of a namespace that was made by hand: what the landlord
/// lets it do as one account of a tenant's.
#[must_use]
pub fn grant(system: &str, namespace: &str) -> [Value; 2] {
    let group = "rbac.authorization.k8s.io";
    let api_version = format!("{group}/v1");
    let meta = json!({"name": "reeve-by-hand", "namespace": namespace});
    let rules =
        json!([{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}]);
    let role = json!({"apiGroup": group, "kind": "Role", "name": "reeve-by-hand"});
    let controller = json!([{"kind": "ServiceAccount", "name": "reeve", "namespace": system}]);
    [
        json!({"apiVersion": api_version, "kind": "Role", "metadata": meta, "rules": rules}),
        json!({
            "apiVersion": api_version, "kind": "RoleBinding", "metadata": meta, "roleRef": role,
            "subjects": controller,
        }),
    ]
}

/// Objects as one document.
#[must_use]
pub fn list(objects: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": objects})
}

/// Waits until the API server serves every kind there is a definition of. "Established" is said a
/// moment before the first list is answered.
pub(crate) async fn established(plane: &Plane) -> anyhow::Result<()> {
    let api = objects::api(
        plane.admin(),
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        None,
    );
    for definition in api.list(&Default::default()).await? {
        let name = definition.metadata.name.unwrap_or_default();
        wait::for_object(&api, &name, "the kind is established", |definition| {
            objects::condition(&definition.data, "Established")
                .is_some_and(|it| it.status == "True")
        })
        .await?;
        let text = |pointer| objects::text(&definition.data, pointer).unwrap_or_default();
        let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
        let versions = definition
            .data
            .pointer("/spec/versions")
            .and_then(Value::as_array);
        for version in versions.into_iter().flatten() {
            let version = version
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let objects = objects::api(plane.admin(), &format!("{group}/{version}"), kind, None);
            wait::until(
                wait::PATIENCE,
                &format!("{kind} {version} is listed"),
                || async { objects.list(&ListParams::default().limit(1)).await.ok() },
            )
            .await?;
        }
    }
    Ok(())
}

/// Runs kubectl as the administrator and returns what it printed.
pub async fn kubectl(plane: &Plane, args: &[&str]) -> anyhow::Result<String> {
    tool(plane, "kubectl", args, None).await
}

/// `kubectl apply -f -`, as a person would.
pub async fn apply(plane: &Plane, manifests: &str) -> anyhow::Result<String> {
    tool(
        plane,
        "kubectl",
        &["apply", "--filename=-"],
        Some(manifests),
    )
    .await
}

/// Runs the flux CLI as the administrator and returns what it printed.
pub async fn flux(plane: &Plane, args: &[&str]) -> anyhow::Result<String> {
    tool(plane, "flux", args, None).await
}

/// Runs helm as the administrator, with values if it takes any, and returns what it printed.
pub async fn helm(plane: &Plane, args: &[&str], values: Option<&Value>) -> anyhow::Result<String> {
    let Some(values) = values else {
        return tool(plane, "helm", args, None).await;
    };
    let args = [args, &["--values=-"]].concat();
    tool(plane, "helm", &args, Some(&values.to_string())).await
}

async fn tool(
    plane: &Plane,
    name: &str,
    args: &[&str],
    input: Option<&str>,
) -> anyhow::Result<String> {
    run(name, args, input, &plane.kubeconfig(), &plane.room("home")?).await
}

/// Runs one of the tools in the repository's root, with this home.
pub(crate) async fn run(
    name: &str,
    args: &[&str],
    input: Option<&str>,
    kubeconfig: &Path,
    home: &Path,
) -> anyhow::Result<String> {
    let found = name.to_owned();
    let path = tokio::task::spawn_blocking(move || binaries::find(&found)).await??;
    let mut command = Command::new(path);
    command
        .args(args)
        .current_dir(crate::root())
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", home);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command.stdin(if input.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    if let (Some(mut stdin), Some(text)) = (child.stdin.take(), input) {
        stdin
            .write_all(text.as_bytes())
            .await
            .with_context(|| format!("writing to {name}"))?;
    }
    let said = || format!("{name} {}", args.join(" "));
    let out = tokio::time::timeout(TOOL, child.wait_with_output())
        .await
        .with_context(|| format!("{} did not end within {TOOL:?}", said()))?
        .with_context(said)?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() {
        return Ok(text);
    }
    bail!(
        "{}: {}\n{}{text}",
        said(),
        out.status,
        String::from_utf8_lossy(&out.stderr)
    )
}
