//! Many tenants, each with a repository, and what stands in it.
//!
//! Every push brings each of them a new value, one object more and one less. A third of them has hooks and a rollout, a third
//! an object of a kind of its own, a third neither.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, ObjectList, Patch, PatchParams};
use reeve_tests::controller::Controller;
use reeve_tests::git::{HttpServer, Served, import};
use reeve_tests::install::{self, CONFIG};
use reeve_tests::{Plane, objects, secrecy, wait};
use serde_json::{Value, json};

/// How many calls are under way at once.
const AT_ONCE: usize = 16;
/// How long a push may take on a busy machine, with a fault in it.
const PATIENCE: Duration = Duration::from_secs(600);
pub(super) const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
pub(super) const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
const RECEIVER: &str = "notification.toolkit.fluxcd.io/v1";
const CRDS: &str = "apiextensions.k8s.io/v1";
/// The kind that only tenants use.
pub(super) const TIDE: (&str, &str) = ("storm.example.com/v1", "Tide");
pub(super) const TIDES: &str = "tides.storm.example.com";
/// What all objects of the crowd are found by.
pub(super) const OURS: &str = "storm=yes";

/// All of them.
pub(super) struct Crowd {
    client: Client,
    git: HttpServer,
    repositories: PathBuf,
    pub(super) number: usize,
}

/// What a tenant is called, everywhere.
pub(super) fn name(at: usize) -> String {
    format!("storm-{at:02}")
}

/// What stands in all that one push changes.
pub(super) fn token(version: usize) -> String {
    format!("v{version:05}")
}

pub(super) fn has_hooks(at: usize) -> bool {
    at.is_multiple_of(3)
}

fn has_tide(at: usize) -> bool {
    at % 3 == 1
}

impl Crowd {
    /// Their namespaces and accounts, and what they share; nothing that a controller acts on.
    pub(super) async fn new(plane: &Plane, number: usize) -> anyhow::Result<Self> {
        let repositories = plane.room("git")?;
        let crowd = Self {
            client: plane.admin(),
            git: HttpServer::start(&repositories, Served::default()).await?,
            repositories,
            number,
        };
        crowd.bring_kind().await?;
        crowd.apply(&grants()).await?;
        let token = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&token);
        crowd.apply(&secret(&token)).await?;
        crowd.apply(&receiver()).await?;
        crowd.each(|at| crowd.settle(at)).await?;
        Ok(crowd)
    }

    /// One call for each, several at once.
    async fn each<T, F>(&self, call: impl Fn(usize) -> F) -> anyhow::Result<Vec<T>>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let calls = futures::stream::iter(0..self.number).map(call);
        calls.buffered(AT_ONCE).try_collect().await
    }

    /// The objects of one kind, in one namespace or everywhere.
    pub(super) fn api(&self, kind: (&str, &str), namespace: Option<&str>) -> Api<DynamicObject> {
        objects::api(self.client.clone(), kind.0, kind.1, namespace)
    }

    /// All of them; an API server that has just started is asked again.
    pub(super) async fn list(
        &self,
        kind: (&str, &str),
        namespace: Option<&str>,
        which: &ListParams,
    ) -> anyhow::Result<ObjectList<DynamicObject>> {
        let api = self.api(kind, namespace);
        wait::until(wait::PATIENCE, &format!("a list of {}", kind.1), || async {
            api.list(which).await.ok()
        })
        .await
    }

    pub(super) fn namespaces(&self) -> Api<DynamicObject> {
        self.api(("v1", "Namespace"), None)
    }

    pub(super) fn kinds(&self) -> Api<DynamicObject> {
        self.api((CRDS, "CustomResourceDefinition"), None)
    }

    async fn apply(&self, object: &Value) -> anyhow::Result<()> {
        apply(&self.client, object).await
    }

    /// Has the API server serve the tenants' own kind.
    pub(super) async fn bring_kind(&self) -> anyhow::Result<()> {
        self.apply(&definition()).await?;
        wait::for_object(&self.kinds(), TIDES, "the kind is served", |kind| {
            objects::condition(&kind.data, "Established").is_some_and(|it| it.status == "True")
        })
        .await?;
        Ok(())
    }

    /// The namespace of one, and its account.
    pub(super) async fn settle(&self, at: usize) -> anyhow::Result<()> {
        for object in ground(&name(at)) {
            self.apply(&object).await?;
        }
        Ok(())
    }

    /// The objects that a controller acts on, of all.
    pub(super) async fn onboard_all(&self) -> anyhow::Result<()> {
        self.each(|at| self.onboard(at)).await.map(drop)
    }

    /// The same of one.
    pub(super) async fn onboard(&self, at: usize) -> anyhow::Result<()> {
        let name = name(at);
        let labels = json!({"storm": "yes"});
        self.apply(&json!({
            "apiVersion": SOURCE, "kind": "GitRepository",
            "metadata": {"name": name, "namespace": CONFIG, "labels": labels},
            "spec": {"interval": "1h", "url": self.git.url(&name), "ref": {"branch": "main"}},
        }))
        .await?;
        self.apply(&json!({
            "apiVersion": KUSTOMIZE, "kind": "Kustomization",
            "metadata": {"name": name, "namespace": name, "labels": labels},
            "spec": {
                "interval": "1h", "timeout": "5m", "path": "./", "prune": true,
                "serviceAccountName": "flux", "targetNamespace": name,
                "sourceRef": {"kind": "GitRepository", "name": name, "namespace": CONFIG},
            },
        }))
        .await
    }

    /// A new version of every repository; their heads.
    pub(super) async fn commits(&self, version: usize) -> anyhow::Result<Vec<String>> {
        self.each(async |at| {
            let path = self.repositories.join(name(at));
            let files = files(at, version);
            tokio::task::spawn_blocking(move || commit(&path, &files, version)).await?
        })
        .await
    }

    /// Tells the controller of the push, by the one hook of all.
    pub(super) async fn call(&self, controller: &Controller) -> anyhow::Result<()> {
        let receivers = self.api((RECEIVER, "Receiver"), Some(CONFIG));
        let what = "the Receiver has a path";
        let has_path =
            |it: &DynamicObject| objects::text(&it.data, "/status/webhookPath").is_some();
        let receiver = wait::for_object(&receivers, "storm", what, has_path).await?;
        let path = objects::text(&receiver.data, "/status/webhookPath").unwrap_or_default();
        let call = reqwest::Client::new().post(controller.hook_url(path));
        call.send().await?.error_for_status().context("the hook")?;
        Ok(())
    }

    /// Those that are not Ready at their heads yet, or whose sources are not, each with what it says.
    pub(super) async fn behind(&self, heads: &[String]) -> anyhow::Result<Vec<String>> {
        // From the API server's memory, which may be a moment old: nobody was Ready at a head before it was there.
        let look = ListParams::default().labels(OURS).match_any();
        let all = self.list((KUSTOMIZE, "Kustomization"), None, &look).await?;
        let sources = (SOURCE, "GitRepository");
        let sources = self.list(sources, Some(CONFIG), &look).await?;
        let mut behind = Vec::new();
        for (at, head) in heads.iter().enumerate() {
            let name = name(at);
            let mut each = all.iter();
            let one = each.find(|one| one.metadata.name.as_deref() == Some(&name));
            let ready = one.and_then(|one| objects::condition(&one.data, "Ready"));
            let applied =
                one.and_then(|one| objects::text(&one.data, "/status/lastAppliedRevision"));
            let there = applied.is_some_and(|applied| applied.ends_with(head))
                && ready.as_ref().is_some_and(|ready| ready.status == "True");
            let mut each = sources.iter();
            let source = each.find(|one| one.metadata.name.as_deref() == Some(&name));
            let fetched =
                source.and_then(|one| objects::text(&one.data, "/status/artifact/revision"));
            let is_fetched = fetched.is_some_and(|fetched| fetched.ends_with(head));
            if !there || !is_fetched {
                behind.push(format!(
                    "{name} at {applied:?}, its source at {fetched:?}: {ready:?}"
                ));
            }
        }
        Ok(behind)
    }

    /// The Jobs of one and their Pods, as the API server has them now.
    pub(super) async fn jobs_of(&self, name: &str) -> String {
        let mut told = Vec::new();
        for kind in [("batch/v1", "Job"), ("v1", "Pod")] {
            let api = self.api(kind, Some(name));
            let all = tokio::time::timeout(wait::PATIENCE, api.list(&ListParams::default())).await;
            let Ok(Ok(all)) = all else {
                told.push(format!("{} cannot be listed", kind.1));
                continue;
            };
            for one in all {
                let status = one.data.get("status").map(Value::to_string);
                let name = one.metadata.name.unwrap_or_default();
                told.push(format!("{} {name}: {}", kind.1, status.unwrap_or_default()));
            }
        }
        told.join("\n")
    }

    /// Waits until all are Ready at their heads.
    pub(super) async fn arrive(&self, heads: &[String]) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(Duration::from_millis(250));
        let mut behind = Vec::new();
        let all = async {
            loop {
                ticks.tick().await;
                // An API server that is away is asked again.
                if let Ok(left) = self.behind(heads).await {
                    behind = left;
                    if behind.is_empty() {
                        return;
                    }
                }
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_ok() {
            return Ok(());
        }
        let (left, first) = (behind.len(), behind.iter().take(4));
        let first = first.map(String::as_str).collect::<Vec<_>>();
        bail!(
            "{left} are not there after {PATIENCE:?}:\n{}",
            first.join("\n")
        )
    }
}

/// Applies an object as an administrator.
pub(super) async fn apply(client: &Client, object: &Value) -> anyhow::Result<()> {
    let text = |pointer| objects::text(object, pointer).unwrap_or_default();
    let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    let at = objects::text(object, "/metadata/namespace");
    let api = objects::api(client.clone(), version, kind, at);
    let how = PatchParams::apply("storm").force();
    api.patch(name, &how, &Patch::Apply(object))
        .await
        .with_context(|| format!("applying {kind} {name}"))?;
    Ok(())
}

/// A namespace of a tenant, and its account.
pub(super) fn ground(name: &str) -> [Value; 5] {
    let account = json!({"kind": "ServiceAccount", "name": "flux", "namespace": name});
    let rbac = "rbac.authorization.k8s.io";
    let [role, granted] = install::grant(install::SYSTEM, name);
    [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
        role,
        granted,
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "flux", "namespace": name}}),
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding",
            "metadata": {"name": "flux", "namespace": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "admin"},
            "subjects": [account],
        }),
    ]
}

/// What the admins of namespaces may do with the tenants' own kind.
fn grants() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "storm-tides", "labels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}},
        "rules": [{"apiGroups": ["storm.example.com"], "resources": ["tides"], "verbs": ["*"]}],
    })
}

fn definition() -> Value {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"level": {"type": "string"}}}}});
    json!({
        "apiVersion": CRDS, "kind": "CustomResourceDefinition", "metadata": {"name": TIDES},
        "spec": {
            "group": "storm.example.com", "scope": "Namespaced",
            "names": {"kind": TIDE.1, "listKind": "TideList", "plural": "tides", "singular": "tide"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

fn secret(token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "storm-webhook", "namespace": CONFIG},
        "stringData": {"token": token},
    })
}

fn receiver() -> Value {
    let all = json!({"kind": "GitRepository", "name": "*", "matchLabels": {"storm": "yes"}});
    json!({
        "apiVersion": RECEIVER, "kind": "Receiver", "metadata": {"name": "storm", "namespace": CONFIG},
        "spec": {"type": "generic", "secretRef": {"name": "storm-webhook"}, "resources": [all]},
    })
}

fn map(name: &str, version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"version": version}})
}

fn web(image: &str) -> Value {
    let labels = json!({"app": "web"});
    let container = json!({"name": "web", "image": format!("registry.example/web:{image}")});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "replicas": 1, "revisionHistoryLimit": 1, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {
            "terminationGracePeriodSeconds": 0, "containers": [container]}}}})
}

fn hook(name: &str, phase: &str, version: &str) -> Value {
    let container = json!({"name": "job", "image": format!("registry.example/job:{version}")});
    json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "annotations": {"argocd.argoproj.io/hook": phase}},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}})
}

/// What stands in a repository.
fn files(at: usize, version: usize) -> Vec<Value> {
    let token = token(version);
    // One that no other version has: the last one's goes.
    let passing = map(&format!("passing-{token}"), &token);
    let mut files = vec![map("settings", &token), map("steady", "always"), passing];
    if has_hooks(at) {
        files.push(web(&token));
        files.push(hook("before", "PreSync", &token));
        files.push(hook("after", "PostSync", &token));
        files.push(hook("failed", "SyncFail", &token));
    } else {
        files.push(web("always"));
    }
    if has_tide(at) {
        files.push(json!({"apiVersion": TIDE.0, "kind": TIDE.1, "metadata": {"name": "tide"}, "spec": {"level": token}}));
    }
    files
}

/// Puts a commit of all files on the branch without a work tree, and gives its id.
fn commit(path: &Path, files: &[Value], version: usize) -> anyhow::Result<String> {
    let each = files.iter().enumerate();
    let files: Vec<_> = each
        .map(|(nth, object)| (format!("{nth}.yaml"), object.to_string()))
        .collect();
    import(path, &files, version)
}
