//! The tenants: their repositories, and their objects on the cluster.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use reeve_tests::install::{self, CONFIG};
use reeve_tests::{Estate, git, objects, wait};
use serde_json::{Value, json};

/// How many calls are under way at once.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(600);
const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";

/// All of them.
pub(crate) struct Many<'e> {
    pub(super) estate: &'e Estate,
    number: usize,
    repositories: PathBuf,
}

/// What a tenant is called, everywhere.
pub(crate) fn name(at: usize) -> String {
    format!("t{at}")
}

impl<'e> Many<'e> {
    /// Their namespaces and accounts; nothing that a controller acts on.
    pub(crate) async fn new(estate: &'e Estate, number: usize) -> anyhow::Result<Self> {
        let many = Self::bare(estate, number)?;
        many.each(|at| many.settle(at)).await?;
        Ok(many)
    }

    /// Nothing but what they are called, and where their repositories lie.
    pub(crate) fn bare(estate: &'e Estate, number: usize) -> anyhow::Result<Self> {
        let repositories = estate.plane.room("git")?;
        Ok(Self {
            estate,
            number,
            repositories,
        })
    }

    /// One call for each, several at once.
    pub(crate) async fn each<T, F>(&self, call: impl Fn(usize) -> F) -> anyhow::Result<Vec<T>>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let calls = futures::stream::iter(0..self.number).map(call);
        calls.buffered(AT_ONCE).try_collect().await
    }

    pub(crate) fn api(
        &self,
        version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Api<DynamicObject> {
        objects::api(self.estate.plane.admin(), version, kind, namespace)
    }

    pub(super) fn source(&self) -> Api<DynamicObject> {
        self.api(SOURCE, "GitRepository", Some(CONFIG))
    }

    pub(super) fn kustomization(&self, at: usize) -> Api<DynamicObject> {
        self.api(KUSTOMIZE, "Kustomization", Some(&name(at)))
    }

    async fn settle(&self, at: usize) -> anyhow::Result<()> {
        let name = name(at);
        let account = json!({"kind": "ServiceAccount", "name": "flux", "namespace": name});
        let rbac = "rbac.authorization.k8s.io";
        self.apply(
            self.api("v1", "Namespace", None),
            &name,
            &json!({"apiVersion": "v1", "kind": "Namespace"}),
        )
        .await?;
        for object in install::grant(install::SYSTEM, &name) {
            let kind = objects::text(&object, "/kind").unwrap_or_default();
            let api = self.api(&format!("{rbac}/v1"), kind, Some(&name));
            self.apply(api, "reeve-by-hand", &object).await?;
        }
        let accounts = self.api("v1", "ServiceAccount", Some(&name));
        self.apply(
            accounts,
            "flux",
            &json!({"apiVersion": "v1", "kind": "ServiceAccount"}),
        )
        .await?;
        let version = format!("{rbac}/v1");
        let binding = json!({
            "apiVersion": version, "kind": "RoleBinding", "subjects": [account],
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "admin"},
        });
        self.apply(
            self.api(&version, "RoleBinding", Some(&name)),
            "flux",
            &binding,
        )
        .await
    }

    /// The objects that a controller acts on.
    pub(crate) async fn onboard(&self) -> anyhow::Result<()> {
        let one = async |at: usize| {
            let name = name(at);
            let source = json!({"apiVersion": SOURCE, "kind": "GitRepository", "spec": {
                "interval": "30m", "url": self.estate.git.url(&name), "ref": {"branch": "main"}}});
            self.apply(self.source(), &name, &source).await?;
            let kustomization = json!({"apiVersion": KUSTOMIZE, "kind": "Kustomization", "spec": {
                "interval": "30m", "path": "./", "prune": true, "serviceAccountName": "flux", "targetNamespace": name,
                "sourceRef": {"kind": "GitRepository", "name": name, "namespace": CONFIG}}});
            self.apply(self.kustomization(at), &name, &kustomization)
                .await
        };
        self.each(one).await.map(drop)
    }

    /// Asks for a reconcile of every source.
    pub(crate) async fn ask_sources(&self, request: &str) -> anyhow::Result<()> {
        self.each(async |at| ask(self.source(), &name(at), request).await)
            .await
            .map(drop)
    }

    /// Asks for a reconcile of every Kustomization.
    pub(super) async fn ask_all(&self, request: &str) -> anyhow::Result<()> {
        self.each(async |at| ask(self.kustomization(at), &name(at), request).await)
            .await
            .map(drop)
    }

    /// Waits until all are as `done` says.
    pub(crate) async fn until(
        &self,
        what: &str,
        done: impl Fn(usize, &DynamicObject) -> bool,
    ) -> anyhow::Result<()> {
        let all = self.api(KUSTOMIZE, "Kustomization", None);
        let events = watcher(all, watcher::Config::default());
        let mut events = events.default_backoff().applied_objects().boxed();
        let mut left: BTreeSet<usize> = (0..self.number).collect();
        let wait = async {
            while !left.is_empty() {
                let Some(ks) = events.try_next().await? else {
                    break;
                };
                let number = ks.name_any().strip_prefix('t').map(str::parse);
                if let Some(Ok(at)) = number
                    && done(at, &ks)
                {
                    left.remove(&at);
                }
            }
            anyhow::Ok(())
        };
        let ended = tokio::time::timeout(PATIENCE, wait).await;
        ensure!(left.is_empty(), "{what}: {} are not there", left.len());
        ended?
    }

    /// A new version of every repository; their heads.
    pub(crate) async fn commits(&self, version: usize) -> anyhow::Result<Vec<String>> {
        self.each(async |at| self.commit(at, version).await).await
    }

    async fn commit(&self, at: usize, version: usize) -> anyhow::Result<String> {
        let path = self.repositories.join(name(at));
        let files = manifests(at, version);
        let files = files.map(|(file, object)| (file.to_owned(), object.to_string()));
        tokio::task::spawn_blocking(move || git::import(&path, &files, version)).await?
    }

    /// From a request for one's source to its status.
    pub(super) async fn push_one(&self, at: usize, version: usize) -> anyhow::Result<Duration> {
        let (head, api) = (self.commit(at, version).await?, self.kustomization(at));
        let begun = Instant::now();
        ask(self.source(), &name(at), &format!("single-{version}")).await?;
        let is_there = |ks: &DynamicObject| super::applied(ks).ends_with(&head);
        wait::for_object(&api, &name(at), "a single push is applied", is_there).await?;
        Ok(begun.elapsed())
    }

    pub(crate) async fn apply(
        &self,
        api: Api<DynamicObject>,
        name: &str,
        object: &Value,
    ) -> anyhow::Result<()> {
        // The API server wants the name in it too.
        let mut object = object.clone();
        if let Some(fields) = object.as_object_mut() {
            fields.insert("metadata".to_owned(), json!({"name": name}));
        }
        let how = PatchParams::apply("bench").force();
        api.patch(name, &how, &Patch::Apply(object))
            .await
            .context("applying")
            .map(drop)
    }
}

pub(super) async fn ask(api: Api<DynamicObject>, name: &str, request: &str) -> anyhow::Result<()> {
    let annotation = json!({"metadata": {"annotations": {reeve_api::RECONCILE_REQUEST: request}}});
    let how = PatchParams::default();
    api.patch(name, &how, &Patch::Merge(&annotation))
        .await
        .context("asking")
        .map(drop)
}

/// What a tenant applies.
pub(super) fn map(at: usize, version: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"},
        "data": {"version": version.to_string(), "tenant": at.to_string()}})
}

fn manifests(at: usize, version: usize) -> [(&'static str, Value); 5] {
    let labels = json!({"app": "app"});
    let container = json!({"name": "c", "image": "registry.example/app:1", "ports": [{"containerPort": 3000}],
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}}});
    let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": {
        "replicas": 0, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "app"},
        "spec": {"selector": labels, "ports": [{"port": 3000}]}});
    let backend = json!({"service": {"name": "app", "port": {"number": 3000}}});
    let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
    let rule = json!({"host": format!("t{at}.localhost"), "http": {"paths": [path]}});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "app"},
        "spec": {"rules": [rule]}});
    let files = [
        "deployment.yaml",
        "service.yaml",
        "configmap.yaml",
        "ingress.yaml",
    ];
    let built = json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": files});
    [
        ("deployment.yaml", web),
        ("service.yaml", service),
        ("configmap.yaml", map(at, version)),
        ("ingress.yaml", ingress),
        ("kustomization.yaml", built),
    ]
}
