//! What a running Flux leaves on a cluster, and one that goes on: it applies what it was given to whatever it follows, again and
//! again, as Flux's own field manager.
//!
//! It is told whom to follow as the real one is, by `--watch-label-selector=!sharding.fluxcd.io/key`, and of what is suspended it
//! does nothing but to answer requests, as the real one. Whatever it still worked on beside reeve would therefore be changed back at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use reeve_tests::git::Repo;
use reeve_tests::{Estate, install, objects, wait};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(super) const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
pub(super) const KUSTOMIZATION: &str = "kustomize.toolkit.fluxcd.io/v1";
const REQUESTED: &str = "/metadata/annotations/reconcile.fluxcd.io~1requestedAt";
/// What it says of what it did.
pub(super) const WORDS: &str = "Applied by what is left of Flux";

/// A namespace that Flux delivers to.
pub(super) struct Delivered<'a> {
    pub(super) name: String,
    pub(super) repo: Repo,
    estate: &'a Estate,
    objects: Vec<Value>,
}

/// Applies an object as that manager.
pub(super) async fn put(client: &Client, manager: &str, object: &Value) -> anyhow::Result<()> {
    let text = |pointer| objects::text(object, pointer).unwrap_or_default();
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    let namespace = objects::text(object, "/metadata/namespace");
    let api = objects::api(client.clone(), text("/apiVersion"), kind, namespace);
    let how = PatchParams::apply(manager).force();
    let applied = api.patch(name, &how, &Patch::Apply(object)).await;
    applied.with_context(|| format!("applying {kind} {name}"))?;
    Ok(())
}

/// A small stand-in for the definition of a kind that only Flux serves, served.
pub(super) async fn define(client: &Client, group: &str, kind: &str) -> anyhow::Result<()> {
    let plural = format!("{}s", kind.to_lowercase());
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = json!({
        "name": "v2", "served": true, "storage": true, "schema": {"openAPIV3Schema": open},
    });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced", "versions": [version],
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
        },
    });
    put(client, "estate", &definition).await?;
    let all = objects::api(client.clone(), &format!("{group}/v2"), kind, None);
    wait::until(wait::PATIENCE, "the kind is served", || async {
        all.list(&Default::default()).await.ok()
    })
    .await?;
    Ok(())
}

/// What the repository holds, by its colour.
pub(super) fn settings(colour: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": colour}})
}

pub(super) fn workload() -> Value {
    let labels = json!({"app": "web"});
    let container = json!({"name": "web", "image": "registry.example/web:1"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    })
}

impl<'a> Delivered<'a> {
    /// Namespace, account, Tenant, and all that Flux has left: the objects under its field manager, finalizers, and
    /// statuses with the inventory.
    pub(super) async fn new(estate: &'a Estate, name: &str) -> anyhow::Result<Self> {
        let name = estate.unique(name);
        let repo = estate.repo(&name)?;
        repo.write("settings.yaml", settings("green").to_string())?;
        repo.write("web.yaml", workload().to_string())?;
        let commit = repo.commit("What Flux applied")?;
        repo.push()?;
        let mut delivered = Self {
            objects: vec![settings("green"), workload()],
            name,
            repo,
            estate,
        };
        delivered.own_objects();
        delivered.onboard().await?;
        let client = estate.admin();
        for object in &delivered.objects {
            put(&client, "kustomize-controller", object).await?;
        }
        // Its controller annotates it once.
        let is_seen = |object: &DynamicObject| {
            object.data.pointer("/status/observedGeneration") == Some(&json!(1))
        };
        let deployments = delivered.api("apps/v1", "Deployment");
        wait::for_object(&deployments, "web", "it is seen", is_seen).await?;
        delivered.flux_objects(&json!({})).await?;
        delivered.tell(&commit).await?;
        Ok(delivered)
    }

    /// The same with these files, and nothing applied or told yet: a namespace and a repository.
    pub(super) async fn begun(
        estate: &'a Estate,
        name: &str,
        files: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let name = estate.unique(name);
        let repo = estate.repo(&name)?;
        for (path, text) in files {
            repo.write(path, text)?;
        }
        repo.commit("What Flux is to apply")?;
        repo.push()?;
        let delivered = Self {
            objects: Vec::new(),
            name,
            repo,
            estate,
        };
        delivered.onboard().await?;
        Ok(delivered)
    }

    /// With the namespace and labels that Flux applies them with.
    fn own_objects(&mut self) {
        let owner = "kustomize.toolkit.fluxcd.io";
        for object in &mut self.objects {
            object["metadata"]["namespace"] = json!(self.name);
            object["metadata"]["labels"] = json!({
                format!("{owner}/name"): self.name, format!("{owner}/namespace"): self.name,
            });
        }
    }

    async fn onboard(&self) -> anyhow::Result<()> {
        let name = &self.name;
        let rbac = "rbac.authorization.k8s.io";
        let account = json!({"kind": "ServiceAccount", "name": "flux", "namespace": name});
        let [role, granted] = install::grant(self.estate.system(), name);
        let client = self.estate.admin();
        for object in [
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
            json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
                "spec": {"namespaces": [name], "sources": [name]},
            }),
        ] {
            put(&client, "estate", &object).await?;
        }
        Ok(())
    }

    /// Has Flux fetch and apply it, with this beside what the Kustomization says as a rule.
    pub(super) async fn flux_objects(&self, more: &Value) -> anyhow::Result<()> {
        let client = self.estate.admin();
        for mut object in self.steering(more) {
            object["metadata"]["finalizers"] = json!(["finalizers.fluxcd.io"]);
            put(&client, "flux", &object).await?;
        }
        Ok(())
    }

    /// The GitRepository and the Kustomization, with this beside what it says as a rule.
    pub(super) fn steering(&self, more: &Value) -> [Value; 2] {
        let name = &self.name;
        let meta = json!({"name": name, "namespace": name});
        let mut spec = json!({
            "interval": "1h", "path": "./", "prune": true, "serviceAccountName": "flux",
            "targetNamespace": name, "sourceRef": {"kind": "GitRepository", "name": name},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        [
            json!({
                "apiVersion": SOURCE, "kind": "GitRepository", "metadata": meta,
                "spec": {"interval": "1h", "url": self.estate.git.url(name), "ref": {"branch": "main"}},
            }),
            json!({
                "apiVersion": KUSTOMIZATION, "kind": "Kustomization", "metadata": meta, "spec": spec,
            }),
        ]
    }

    /// The statuses of a source that was fetched and a Kustomization that was applied.
    async fn tell(&self, commit: &str) -> anyhow::Result<()> {
        let name = &self.name;
        let revision = format!("main@sha1:{commit}");
        let path = format!("gitrepository/{name}/{name}/{commit}.tar.gz");
        let artifact = json!({
            "digest": format!("sha256:{}", "0".repeat(64)), "path": path, "revision": revision,
            "lastUpdateTime": "2026-01-01T00:00:00Z",
            "url": format!("http://source-controller.flux-system.svc.cluster.local./{path}"),
        });
        self.status(SOURCE, "GitRepository", &json!({"artifact": artifact}))
            .await?;
        let entries = json!([
            {"id": format!("{name}_settings__ConfigMap"), "v": "v1"},
            {"id": format!("{name}_web_apps_Deployment"), "v": "v1"},
        ]);
        let status = json!({
            "inventory": {"entries": entries}, "lastAppliedRevision": revision,
            "lastAttemptedRevision": revision,
        });
        self.status(KUSTOMIZATION, "Kustomization", &status).await
    }

    async fn status(&self, version: &str, kind: &str, status: &Value) -> anyhow::Result<()> {
        let mut status = status.clone();
        status["observedGeneration"] = json!(1);
        status["conditions"] = json!([ready(1)]);
        let api = self.api(version, kind);
        tell(&api, &self.name, &status).await
    }

    /// Objects of a kind of the namespace.
    pub(super) fn api(&self, version: &str, kind: &str) -> Api<DynamicObject> {
        objects::api(self.estate.admin(), version, kind, Some(&self.name))
    }

    pub(super) async fn kustomization(&self) -> anyhow::Result<DynamicObject> {
        let api = self.api(KUSTOMIZATION, "Kustomization");
        Ok(api.get(&self.name).await?)
    }

    /// What no writer leaves as it is of the Deployment and the ConfigMap.
    pub(super) async fn versions(&self) -> anyhow::Result<Vec<String>> {
        let mut all = Vec::new();
        for (version, kind, name) in [
            ("apps/v1", "Deployment", "web"),
            ("v1", "ConfigMap", "settings"),
        ] {
            let meta = self.api(version, kind).get(name).await?.metadata;
            // What has a generation has a status, which its own controller writes.
            let version = meta.resource_version.filter(|_| meta.generation.is_none());
            let told = (meta.uid, meta.generation, version);
            all.push(format!("{told:?} {:?} {:?}", meta.labels, meta.annotations));
        }
        Ok(all)
    }

    /// Has another colour pushed.
    pub(super) fn push(&self, colour: &str) -> anyhow::Result<String> {
        self.repo
            .write("settings.yaml", settings(colour).to_string())?;
        let commit = self.repo.commit("Another colour")?;
        self.repo.push()?;
        Ok(commit)
    }

    pub(super) async fn colour(&self) -> anyhow::Result<String> {
        let map = self.api("v1", "ConfigMap").get("settings").await?;
        Ok(objects::text(&map.data, "/data/colour")
            .unwrap_or_default()
            .to_owned())
    }
}

fn ready(generation: i64) -> Value {
    json!({
        "type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": WORDS,
        "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

async fn tell(api: &Api<DynamicObject>, name: &str, status: &Value) -> anyhow::Result<()> {
    let patch = json!({"status": status});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .with_context(|| format!("writing the status of {name}"))?;
    Ok(())
}

/// What goes on as Flux does, until it is dropped.
pub(super) struct Flux {
    task: JoinHandle<()>,
    rounds: Arc<AtomicU64>,
}

impl Flux {
    /// For these namespaces.
    pub(super) fn start(all: &[&Delivered<'_>]) -> Self {
        let rounds = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&rounds);
        let given: Vec<_> = all
            .iter()
            .map(|one| {
                let sources = one.api(SOURCE, "GitRepository");
                let kustomizations = one.api(KUSTOMIZATION, "Kustomization");
                let client = one.estate.admin();
                (
                    one.name.clone(),
                    client,
                    [sources, kustomizations],
                    one.objects.clone(),
                )
            })
            .collect();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                for (name, client, apis, objects) in &given {
                    // What fails is done again in the next round, as by Flux.
                    drop(round(name, client, apis, objects).await);
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { task, rounds }
    }

    /// Waits until it has looked at everything twice more.
    pub(super) async fn looks_again(&self) -> anyhow::Result<()> {
        let now = self.rounds.load(Ordering::Relaxed);
        let again = || async { (self.rounds.load(Ordering::Relaxed) > now + 2).then_some(()) };
        wait::until(wait::PATIENCE, "Flux has looked again", again).await
    }
}

impl Drop for Flux {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn round(
    name: &str,
    client: &Client,
    [sources, kustomizations]: &[Api<DynamicObject>; 2],
    applied: &[Value],
) -> anyhow::Result<()> {
    for api in [sources, kustomizations] {
        let object = api.get(name).await?;
        let labels = object.metadata.labels.as_ref();
        let is_anothers = labels.is_some_and(|all| all.contains_key("sharding.fluxcd.io/key"));
        let is_held = object.data.pointer("/spec/suspend") == Some(&json!(true));
        if is_anothers {
            continue;
        }
        let whole = serde_json::to_value(&object)?;
        let requested = whole.pointer(REQUESTED).cloned().unwrap_or_default();
        if is_held {
            // It says that it has seen it, and does nothing.
            tell(api, name, &json!({"lastHandledReconcileAt": requested})).await?;
            continue;
        }
        if object
            .types
            .as_ref()
            .is_some_and(|types| types.kind == "Kustomization")
        {
            for one in applied {
                put(client, "kustomize-controller", one).await?;
            }
        }
        let generation = object.metadata.generation.unwrap_or_default();
        tell(
            api,
            name,
            &json!({
                "observedGeneration": generation, "conditions": [ready(generation)],
                "lastHandledReconcileAt": requested,
            }),
        )
        .await?;
    }
    Ok(())
}
