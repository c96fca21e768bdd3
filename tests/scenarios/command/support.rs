//! `reeve support bundle`: what is needed to find a fault is in it, and none of the secrets that hide where nobody looks.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use flate2::read::GzDecoder;
use kube::Client;
use kube::api::{Patch, PatchParams};
use reeve_tests::install::{CONFIG, SYSTEM};
use reeve_tests::landlord::{LANDLORD, Landlord};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::check::deployed;
use super::get::said;
use super::reeve;

/// What a pod says, since no kubelet of the estate can be asked: one stands in front of the API server that answers that.
#[derive(Clone)]
struct Said {
    client: Client,
    log: String,
    /// How pods' names begin, the port at which such a one serves metrics, and what they are.
    metrics: [(&'static str, u16, String); 2],
}

impl Said {
    async fn answer(self, request: Request) -> Response<Body> {
        let passed = self.pass(request).await;
        passed.unwrap_or_else(|why| {
            let mut refused = Response::new(Body::from(format!("{why:#}")));
            *refused.status_mut() = StatusCode::BAD_GATEWAY;
            refused
        })
    }

    async fn pass(self, request: Request) -> anyhow::Result<Response<Body>> {
        let path = request.uri().path();
        if path.ends_with("/log") {
            return Ok(Response::new(Body::from(self.log)));
        }
        if let Some(at) = path.strip_suffix("/proxy/metrics") {
            return self.counted(at);
        }
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await?.to_vec();
        let mut passed = http::Request::new(body.into());
        *passed.method_mut() = head.method;
        let asked = head.uri.path_and_query().context("a path")?;
        *passed.uri_mut() = asked.as_str().parse()?;
        if let Some(accept) = head.headers.get("accept") {
            passed.headers_mut().insert("accept", accept.clone());
        }
        let (head, body) = self.client.send(passed).await?.into_parts();
        Ok(Response::from_parts(head, Body::new(body)))
    }

    /// The metrics of `…/POD:PORT`: at any other port nobody listens.
    fn counted(&self, at: &str) -> anyhow::Result<Response<Body>> {
        let (_, at) = at.rsplit_once('/').context("a pod")?;
        let at = at.replace("%2D", "-");
        let (pod, port) = at.split_once(':').context("a port")?;
        let mut all = self.metrics.iter();
        let found = all.find(|(start, ..)| pod.starts_with(start));
        let (_, served, metrics) = found.with_context(|| format!("whose is {pod}?"))?;
        ensure!(port == served.to_string(), "{pod} refuses at {port}");
        Ok(Response::new(Body::from(metrics.clone())))
    }

    /// A kubeconfig that leads there.
    async fn serve(self, estate: &Estate) -> anyhow::Result<(PathBuf, AbortOnDropHandle<()>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(move |request: Request| self.clone().answer(request));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "front",
            "clusters": [{"name": "front", "cluster": {"server": server}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "front", "context": {"cluster": "front", "user": "nobody"}}],
        });
        let path = estate.plane.room("front")?.join("kubeconfig");
        std::fs::write(&path, config.to_string())?;
        Ok((path, AbortOnDropHandle::new(serving)))
    }
}

/// Something that must be in no bundle: a word that is nobody's else.
fn hidden(planted: &mut Vec<String>) -> String {
    let word = format!("hide{:032x}", rand::random::<u128>());
    planted.push(word.clone());
    word
}

/// Objects in which secrets hide, everywhere where somebody has once put one.
async fn plant(tenant: &Tenant<'_>, planted: &mut Vec<String>) -> anyhow::Result<()> {
    let last = json!({"spec": {"password": hidden(planted)}}).to_string();
    tenant
        .annotate(
            "kubectl.kubernetes.io/last-applied-configuration",
            Some(&last),
        )
        .await?;
    tenant
        .annotate("acme.dev/api-token", Some(&hidden(planted)))
        .await?;
    let jwt = format!("eyJhbGciOiJub25lIn0.eyJ{}.c2ln", hidden(planted));
    tenant
        .annotate("acme.dev/note", Some(&format!("ask with {jwt}")))
        .await?;
    tenant
        .apply(&json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": format!("{}-login", tenant.name()), "namespace": CONFIG},
            "spec": {"interval": "1h", "suspend": true, "url": format!("https://bob:{}@git.example/a", hidden(planted))},
        }))
        .await?;
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\nusers:\n- name: me\n  user:\n    token: {}\n    client-key-data: {}\n",
        hidden(planted),
        hidden(planted)
    );
    tenant
        .apply(&json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "ClusterPlugin",
            "metadata": {"name": format!("{}-hides", tenant.name())},
            "spec": {
                "world": "transformer", "source": {"path": "stamp-labels.wasm"},
                "config": {"kubeConfig": kubeconfig, "credentials": {"user": hidden(planted)}},
                "selector": {"namespaces": ["nobodys"]},
            },
        }))
        .await?;
    tenant
        .apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hides", "namespace": tenant.name()},
            "stringData": {"word": hidden(planted)},
        }))
        .await?;
    let about = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "name": tenant.name(), "namespace": tenant.name(),
    });
    tenant
        .apply(&json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "hides", "namespace": tenant.name()},
            "involvedObject": about, "type": "Warning", "reason": "BuildFailed",
            "message": format!("it sent Authorization: Bearer {}", hidden(planted)),
        }))
        .await
}

/// The Deployment has a password among its environment, and its pods with it.
async fn plant_in_deployment(estate: &Estate, planted: &mut Vec<String>) -> anyhow::Result<()> {
    let api = objects::api(estate.admin(), "apps/v1", "Deployment", Some(SYSTEM));
    let env = json!([{"name": "PROXY_PASSWORD", "value": hidden(planted)}]);
    let patch =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "manager", "env": env}]}}}});
    let how = PatchParams::default();
    api.patch("reeve", &how, &Patch::Strategic(&patch)).await?;
    wait::for_object(&api, "reeve", "its pods are the new ones", |seen| {
        let number = |pointer| seen.data.pointer(pointer).and_then(Value::as_i64);
        number("/status/updatedReplicas") == Some(1)
            && number("/status/observedGeneration") == seen.metadata.generation
    })
    .await?;
    Ok(())
}

/// A log as it was, with lines in it that somebody should not have logged.
fn log(estate: &Estate, planted: &mut Vec<String>) -> anyhow::Result<String> {
    let login = format!("cloning https://x:{}@git.example/a failed", hidden(planted));
    let line =
        json!({"level": "error", "ts": "2026-01-02T03:04:05.678Z", "msg": "no", "error": login});
    let key = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----",
        hidden(planted)
    );
    let plain = format!("panicked with password={}", hidden(planted));
    Ok(format!(
        "{}{line}\n{plain}\n{key}\n",
        estate.controller.log()?
    ))
}

async fn bundled(file: &Path, kubeconfig: &Path, more: &[&str]) -> anyhow::Result<Output> {
    let text = |path: &Path| path.display().to_string();
    let mut words: Vec<String> = ["support", "bundle", "--output"].map(str::to_owned).into();
    words.extend([text(file), "--kubeconfig".to_owned(), text(kubeconfig)]);
    words.extend(more.iter().map(|&word| word.to_owned()));
    let run = move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        reeve(&words, &std::env::temp_dir())
    };
    tokio::task::spawn_blocking(run).await?
}

/// The files of a bundle.
fn unpacked(file: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(file)?));
    let mut found = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let path = path
            .strip_prefix("reeve-support/")
            .context("one directory")?;
        let (path, mut text) = (path.to_owned(), String::new());
        std::io::Read::read_to_string(&mut entry, &mut text)?;
        found.insert(path, text);
    }
    Ok(found)
}

/// What is needed is in it, what hides is not, and the list says what was taken out.
fn holds(file: &Path, told: &str, planted: &[String], tenant: &str) -> anyhow::Result<()> {
    let files = unpacked(file)?;
    let told = [("stderr", told)];
    let all = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()));
    for (path, text) in all.chain(told) {
        for word in planted {
            ensure!(!text.contains(word.as_str()), "{path} tells {word}");
        }
    }
    let of = |path: &str| {
        files
            .get(path)
            .with_context(|| format!("{path}: {:?}", files.keys()))
    };
    ensure!(of("objects/kustomizations.json")?.contains("lastAppliedRevision"));
    ensure!(of("conditions.json")?.contains("ReconciliationSucceeded"));
    ensure!(of("events.json")?.contains(tenant));
    ensure!(of("deployments.json")?.contains("--storage-path"), "flags");
    ensure!(of("versions.json")?.contains("kustomizations.kustomize.toolkit.fluxcd.io"));
    of("nodes.json")?;
    of(&format!("leases/{SYSTEM}.json"))?;
    let container = |name: &str, end: &str| {
        let mut paths = files.keys();
        paths.any(|path| path.ends_with(&format!("-{name}{end}")))
    };
    for name in ["manager", "landlord"] {
        let told = container(name, ".log") && container(name, ".txt");
        ensure!(told, "{name}: {:?}", files.keys());
    }
    let contents: Value = serde_json::from_str(of("contents.json")?)?;
    let taken = contents["files"].to_string();
    for sort in [
        "private keys",
        "tokens",
        "logins in addresses",
        "paths of hooks",
        "values named like secrets",
    ] {
        ensure!(taken.contains(sort), "{sort}: {taken}");
    }
    ensure!(contents["notRead"] == json!([]), "{contents}");
    Ok(())
}

#[test]
fn a_support_bundle_holds_what_is_needed_and_none_of_the_secrets_that_hide_in_it() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("bundled").await?;
        let landlord = Landlord::start(&estate.plane).await?;
        for name in ["reeve", LANDLORD] {
            deployed(&estate, name, 1).await?;
        }
        let mut planted = Vec::new();
        plant(&tenant, &mut planted).await?;
        plant_in_deployment(&estate, &mut planted).await?;
        let hook = tenant.hook_url().await?;
        planted.extend(hook.rsplit('/').next().map(str::to_owned));
        let said_by_pods = Said {
            client: estate.admin(),
            log: log(&estate, &mut planted)?,
            metrics: [
                (LANDLORD, 9440, landlord.metrics().await?),
                ("reeve-", 8080, estate.controller.metrics().await?),
            ],
        };
        let (kubeconfig, _serving) = said_by_pods.serve(&estate).await?;
        let dir = estate.plane.room("bundle")?;
        let file = dir.join("bundle.tar.gz");
        let told = said(&bundled(&file, &kubeconfig, &[]).await?, 0)?;
        ensure!(told.contains("► objects and their conditions"), "{told}");
        let mode = std::fs::metadata(&file)?.permissions().mode();
        ensure!(mode & 0o077 == 0, "{mode:o}");

        holds(&file, &told, &planted, tenant.name())?;
        let again = said(&bundled(&file, &kubeconfig, &[]).await?, 1)?;
        ensure!(
            again.contains("name a file that is not there yet"),
            "{again}"
        );
        Ok(())
    });
}

#[test]
fn what_somebody_may_not_read_is_named_in_the_bundle_and_is_no_failure() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("little").await?;
        let kubeconfig = estate.plane.kubeconfig_of(tenant.name(), "flux").await?;
        let file = estate.plane.room("little")?.join("bundle.tar.gz");
        let told = bundled(&file, &kubeconfig, &["-n", tenant.name()]).await?;
        let told = said(&told, 0)?;
        ensure!(told.contains("not read: nodes"), "{told}");
        let files = unpacked(&file)?;
        let contents = files.get("contents.json").context("contents.json")?;
        let contents: Value = serde_json::from_str(contents)?;
        let missing = contents["notRead"].to_string();
        for what in ["nodes", "tenants", "logs, metrics and flags"] {
            ensure!(missing.contains(what), "{what}: {missing}");
        }
        Ok(())
    });
}
