//! Disaster recovery: what a cluster had is in the repository, and an empty one that is pointed at it becomes the old one: with the
//! volumes of its claims, and the snapshots of these.

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use kube::api::{ListParams, PostParams};
use reeve_tests::git::{Repo, git};
use reeve_tests::install::{self, PLATFORM};
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;

use super::*;
use crate::command::writeback::{SNAPSHOTS, serves_snapshots};

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
/// What Kubernetes notes on objects for itself.
const NOTES: [&str; 3] = [
    "deployment.kubernetes.io/",
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
];

/// A shop, by the name of everything that is its own: a namespace with a Deployment, its volume and a snapshot of that.
struct Shop {
    name: String,
}

impl Shop {
    fn namespace(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})
    }

    fn web(&self) -> String {
        let mounts = "          volumeMounts: [{name: data, mountPath: /data}]\n";
        let volumes = "      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]\n";
        let web = WEB.replace(
            "name: web\nspec",
            &format!("name: web\n  namespace: {}\nspec", self.name),
        );
        format!("{web}{mounts}{volumes}")
    }

    fn claim(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": self.name},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": self.name, "resources": {"requests": {"storage": "1Gi"}}},
        })
    }

    /// As who provides volumes makes it: for exactly this claim.
    fn volume(&self, claim: &DynamicObject) -> Value {
        let of = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": self.name, "name": "data",
            "uid": claim.uid(), "resourceVersion": claim.resource_version(),
        });
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": self.name, "labels": {"shop": self.name}},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": self.name,
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/disks/1"}, "claimRef": of,
            },
        })
    }

    /// A volume that the claim would take just as well.
    fn other_volume(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("another-{}", self.name)},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": self.name,
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/disks/2"},
            },
        })
    }

    fn content(&self) -> Value {
        let of = json!({"namespace": self.name, "name": "nightly"});
        json!({
            "apiVersion": SNAPSHOTS, "kind": "VolumeSnapshotContent", "metadata": {"name": self.name, "labels": {"shop": self.name}},
            "spec": {"deletionPolicy": "Retain", "driver": "disks.example.com", "source": {"snapshotHandle": "snap-1"}, "volumeSnapshotRef": of},
        })
    }

    fn snapshot(&self) -> Value {
        json!({
            "apiVersion": SNAPSHOTS, "kind": "VolumeSnapshot", "metadata": {"name": "nightly", "namespace": self.name},
            "spec": {"source": {"volumeSnapshotContentName": self.name}},
        })
    }

    fn platform(&self, url: &str) -> String {
        let rules = json!([
            {"resources": ["deployments", "persistentvolumeclaims", "volumesnapshots"], "namespaces": [self.name], "syncTo": "git"},
            {"resources": ["persistentvolumes", "volumesnapshotcontents"], "labels": format!("shop={}", self.name), "syncTo": "git"},
        ]);
        platform(&self.name, url, &rules)
    }

    /// All that it has, on that cluster.
    async fn objects(&self, estate: &Estate) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        for (version, kind, namespace, name) in [
            ("v1", "Namespace", None, &*self.name),
            ("apps/v1", "Deployment", Some(&*self.name), "web"),
            ("v1", "PersistentVolumeClaim", Some(&*self.name), "data"),
            ("v1", "PersistentVolume", None, &*self.name),
            (SNAPSHOTS, "VolumeSnapshot", Some(&*self.name), "nightly"),
            (SNAPSHOTS, "VolumeSnapshotContent", None, &*self.name),
        ] {
            let api = objects::api(estate.admin(), version, kind, namespace);
            let found = api.get(name).await.with_context(|| kind.to_owned())?;
            all.push(canonical(kind, found));
        }
        Ok(all)
    }

    /// The claim has its volume, and the pod that waits for it runs.
    async fn runs(&self, estate: &Estate) -> anyhow::Result<()> {
        let at = Some(&*self.name);
        let claims = objects::api(estate.admin(), "v1", "PersistentVolumeClaim", at);
        wait::for_object(&claims, "data", "the claim is bound", |claim| {
            objects::text(&claim.data, "/status/phase") == Some("Bound")
        })
        .await?;
        let webs = objects::api(estate.admin(), "apps/v1", "Deployment", at);
        wait::for_object(&webs, "web", "its pod runs", |web| {
            objects::condition(&web.data, "Available").is_some_and(|it| it.status == "True")
        })
        .await?;
        Ok(())
    }
}

/// An object without what differs from cluster to cluster: which one of its name it is, and what is noted of its past.
fn canonical(kind: &str, object: DynamicObject) -> Value {
    let mut spec = object.data.get("spec").cloned().unwrap_or_default();
    if let Some(Value::Object(claim)) = spec.get_mut("claimRef") {
        claim.remove("uid");
        claim.remove("resourceVersion");
    }
    let annotations = object.annotations().iter();
    let annotations = annotations
        .filter(|(key, _)| !NOTES.iter().any(|prefix| key.starts_with(prefix)))
        .collect::<std::collections::BTreeMap<_, _>>();
    json!({
        "kind": kind, "namespace": object.metadata.namespace, "name": object.metadata.name,
        "labels": object.metadata.labels, "annotations": annotations, "finalizers": object.metadata.finalizers,
        "spec": spec, "phase": object.data.pointer("/status/phase"),
    })
}

/// What the platform says, on whichever cluster: fetch from there, apply that, and write back what changes.
pub(super) fn platform(name: &str, url: &str, rules: &Value) -> String {
    let meta = json!({"name": name, "namespace": PLATFORM});
    let source = json!({"kind": "GitRepository", "name": name});
    let objects = [
        json!({"apiVersion": SOURCE, "kind": "GitRepository", "metadata": meta,
            "spec": {"interval": "1h", "url": url, "ref": {"branch": "main"}}}),
        json!({"apiVersion": KUSTOMIZE, "kind": "Kustomization", "metadata": meta,
            "spec": {"interval": "1h", "path": "./cluster", "prune": true, "sourceRef": source}}),
        json!({"apiVersion": API, "kind": "WriteBack", "metadata": meta,
            "spec": {"interval": "1h", "debounce": "100ms", "sourceRef": source, "path": "cluster", "rules": rules}}),
    ];
    install::list(&objects).to_string()
}

/// Waits until the head of the server is applied there.
pub(super) async fn is_applied(estate: &Estate, name: &str, repo: &Repo) -> anyhow::Result<()> {
    let head = git(repo.bare(), ["rev-parse", "main"])?;
    let api = objects::api(estate.admin(), KUSTOMIZE, "Kustomization", Some(PLATFORM));
    let what = format!("{head} is applied");
    wait::for_object(&api, name, &what, |ks| {
        let applied = objects::text(&ks.data, "/status/lastAppliedRevision");
        let ready = objects::condition(&ks.data, "Ready").unwrap_or_default();
        applied.is_some_and(|applied| applied.ends_with(&head)) && ready.status == "True"
    })
    .await?;
    Ok(())
}

/// Has the WriteBack there look at everything.
pub(super) async fn has_looked(estate: &Estate, name: &str) -> anyhow::Result<()> {
    let api = objects::api(estate.admin(), API, "WriteBack", Some(PLATFORM));
    let at = format!("{:016x}", rand::random::<u64>());
    let asks = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": at}}});
    let how = PatchParams::default();
    api.patch(name, &how, &Patch::Merge(&asks)).await?;
    wait::for_object(&api, name, "it has looked", |back| {
        let ready = objects::condition(&back.data, "Ready").unwrap_or_default();
        objects::text(&back.data, "/status/lastHandledReconcileAt") == Some(&at)
            && ready.status == "True"
    })
    .await?;
    Ok(())
}

/// From here on nobody asks that cluster any more.
pub(super) async fn is_left(estate: &Estate, name: &str) -> anyhow::Result<()> {
    let backs = objects::api(estate.admin(), API, "WriteBack", Some(PLATFORM));
    let ends = json!({"spec": {"suspend": true}});
    let how = PatchParams::default();
    backs.patch(name, &how, &Patch::Merge(&ends)).await?;
    Ok(())
}

/// Automation makes an object.
pub(super) async fn make(
    estate: &Estate,
    manager: &str,
    object: Value,
) -> anyhow::Result<DynamicObject> {
    let text = |pointer| objects::text(&object, pointer).unwrap_or_default();
    let at = objects::text(&object, "/metadata/namespace");
    let api = objects::api(estate.admin(), text("/apiVersion"), text("/kind"), at);
    let params = PostParams {
        field_manager: Some(manager.to_owned()),
        ..PostParams::default()
    };
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    Ok(api.create(&params, &object).await?)
}

/// Waits until a file at the head of the server holds these words, and returns it.
pub(super) async fn says(repo: &Repo, path: &str, words: &str) -> anyhow::Result<String> {
    let at = format!("main:cluster/{path}");
    let look = || async {
        let text = git(repo.bare(), ["show", at.as_str()]).ok()?;
        text.contains(words).then_some(text)
    };
    wait::until(wait::PATIENCE, &format!("{path} holds {words:?}"), look).await
}

/// The cluster as it was: what people wrote is in git at first, and what automation makes comes there by write-back.
async fn old(estate: &Estate, shop: &Shop) -> anyhow::Result<Repo> {
    let repo = estate.repo(&shop.name)?;
    git(repo.bare(), ["config", "http.receivepack", "true"])?;
    repo.write("cluster/namespace.yaml", shop.namespace().to_string())?;
    repo.publish("cluster/web.yaml", shop.web())?;
    serves_snapshots(estate).await?;
    let url = estate.git.url(&shop.name);
    install::apply(&estate.plane, &shop.platform(&url)).await?;
    is_applied(estate, &shop.name, &repo).await?;
    has_looked(estate, &shop.name).await?;
    let claim = make(estate, "installer", shop.claim()).await?;
    make(estate, "csi-provisioner", shop.volume(&claim)).await?;
    make(estate, "snapshotter", shop.content()).await?;
    make(estate, "snapshotter", shop.snapshot()).await?;
    let webs = objects::api(estate.admin(), "apps/v1", "Deployment", Some(&shop.name));
    change(&webs, "web", "keel", &image("2")).await?;
    shop.runs(estate).await?;
    let name = &shop.name;
    for (path, words) in [
        (format!("{name}/persistentvolumeclaim-data.yaml"), "1Gi"),
        (format!("_cluster/persistentvolume-{name}.yaml"), "claimRef"),
        (
            format!("{name}/volumesnapshot.snapshot.storage.k8s.io-nightly.yaml"),
            "volumeSnapshotContentName",
        ),
        (
            format!("_cluster/volumesnapshotcontent.snapshot.storage.k8s.io-{name}.yaml"),
            "snap-1",
        ),
        ("web.yaml".to_owned(), "web:2"),
    ] {
        let text = says(&repo, &path, words).await?;
        ensure!(
            !text.contains("uid"),
            "{path} is about this cluster: {text}"
        );
    }
    is_applied(estate, &shop.name, &repo).await?;
    Ok(repo)
}

/// The place of each object among those that a Kustomization says it has created.
pub(super) async fn created(estate: &Estate, name: &str) -> anyhow::Result<Vec<String>> {
    let events = objects::api(estate.admin(), "v1", "Event", Some(PLATFORM));
    let about = ListParams::default().fields(&format!("involvedObject.name={name}"));
    let told = || async {
        let all = events.list(&about).await.ok()?;
        let said = all
            .iter()
            .filter_map(|event| objects::text(&event.data, "/message"));
        let said = said.filter(|said| said.contains(" created"));
        let lines: Vec<String> = said.flat_map(str::lines).map(str::to_owned).collect();
        (!lines.is_empty()).then_some(lines)
    };
    wait::until(wait::PATIENCE, "it says what it has created", told).await
}

/// The WriteBack there looks at everything, and has nothing to say that is not in git: that still ends where it did.
pub(super) async fn has_nothing_to_say(
    estate: &Estate,
    name: &str,
    repo: &Repo,
    head: &str,
) -> anyhow::Result<()> {
    has_looked(estate, name).await?;
    let now = git(repo.bare(), ["rev-parse", "main"])?;
    let last = git(repo.bare(), ["log", "-p", "-1", "main"])?;
    ensure!(now == head, "{last}");
    Ok(())
}

#[test]
fn an_empty_cluster_that_is_pointed_at_the_repository_becomes_the_old_one() {
    scenario(async {
        let estate = Estate::shared().await?;
        let shop = Shop {
            name: estate.unique("shop"),
        };
        let repo = old(estate, &shop).await?;
        let before = shop.objects(estate).await?;
        is_left(estate, &shop.name).await?;
        let head = git(repo.bare(), ["rev-parse", "main"])?;

        let fresh = Estate::start().await?;
        serves_snapshots(&fresh).await?;
        make(&fresh, "administrator", shop.other_volume()).await?;
        let url = estate.git.url(&shop.name);
        install::apply(&fresh.plane, &shop.platform(&url)).await?;
        is_applied(&fresh, &shop.name, &repo).await?;
        shop.runs(&fresh).await?;
        let after = shop.objects(&fresh).await?;
        for (was, is) in before.iter().zip(&after) {
            ensure!(was == is, "it was\n{was:#}\nand is\n{is:#}");
        }
        let order = created(&fresh, &shop.name).await?;
        let at = |kind: &str| order.iter().position(|line| line.starts_with(kind));
        let (namespace, volume, claim) = (
            at("Namespace/"),
            at("PersistentVolume/"),
            at("PersistentVolumeClaim/"),
        );
        ensure!(
            namespace.is_some() && namespace < volume && volume < claim,
            "a claim before its volume is given another: {order:?}"
        );
        has_nothing_to_say(&fresh, &shop.name, &repo, &head).await
    });
}
