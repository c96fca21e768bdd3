//! Claims that a StatefulSet makes, and those that people keep in git: another cluster gives them the volumes that they had.

use anyhow::ensure;
use kube::ResourceExt as _;
use reeve_tests::git::{Repo, git};
use reeve_tests::{Estate, install, objects, scenario, wait};
use serde_json::json;

use super::recovery::{
    created, has_looked, has_nothing_to_say, is_applied, is_left, make, platform, says,
};
use super::*;

/// How many Pods the StatefulSet has, each with a claim of its own.
const PODS: usize = 2;
const CLAIM: &str = "# What the shop has sold.\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: sales\n  namespace: NAME\nspec:\n  accessModes: [ReadWriteOnce]\n  resources:\n    requests: {storage: 1Gi} # for a year\n  storageClassName: NAME\n";
const VOLUME: &str = "apiVersion: v1\nkind: PersistentVolume\nmetadata:\n  name: NAME\n  labels: {db: NAME} # by which it is found\nspec:\n  accessModes: [ReadWriteOnce]\n  capacity: {storage: 1Gi}\n  hostPath: {path: /disks/sales}\n  persistentVolumeReclaimPolicy: Retain\n  storageClassName: NAME # it is the only one\n";

/// A database, by the name of everything that is its own.
struct Db {
    name: String,
}

impl Db {
    fn namespace(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})
    }

    /// Its claims go with it, so that it controls them.
    fn set(&self) -> Value {
        let mounts = json!([{"name": "data", "mountPath": "/data"}]);
        let containers =
            json!([{"name": "db", "image": "registry.local/db:1", "volumeMounts": mounts}]);
        let claim = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": self.name,
            "resources": {"requests": {"storage": "1Gi"}}});
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": self.name},
            "spec": {
                "replicas": PODS, "serviceName": "db", "podManagementPolicy": "Parallel",
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
                "selector": {"matchLabels": {"app": "db"}},
                "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": containers}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
            },
        })
    }

    fn disk(&self, name: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name, "labels": {"db": self.name}},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": self.name,
                "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": format!("/disks/{name}")},
            },
        })
    }

    /// As who provides volumes makes one: for exactly this claim.
    fn volume(&self, n: usize, claim: &DynamicObject) -> Value {
        let mut volume = self.disk(&self.volume_of(n));
        volume["spec"]["claimRef"] = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": self.name, "name": claim.name_any(),
            "uid": claim.uid(), "resourceVersion": claim.resource_version(),
        });
        volume
    }

    fn volume_of(&self, n: usize) -> String {
        format!("{}-{n}", self.name)
    }

    /// No rule names a claim, or a label of one.
    fn platform(&self, url: &str) -> String {
        let rules = json!([
            {"resources": ["persistentvolumeclaims"], "namespaces": [self.name], "syncTo": "git"},
            {"resources": ["persistentvolumes"], "labels": format!("db={}", self.name), "syncTo": "git"},
        ]);
        platform(&self.name, url, &rules)
    }

    fn api(&self, estate: &Estate, version: &str, kind: &str) -> Api<DynamicObject> {
        objects::api(estate.admin(), version, kind, Some(&self.name))
    }

    /// The StatefulSet runs, each of its claims has its volume, and goes with it.
    async fn runs(&self, estate: &Estate) -> anyhow::Result<()> {
        let sets = self.api(estate, "apps/v1", "StatefulSet");
        let set = wait::for_object(&sets, "db", "all of it is ready", |set| {
            set.data.pointer("/status/readyReplicas") == Some(&json!(PODS))
        })
        .await?;
        let claims = self.api(estate, "v1", "PersistentVolumeClaim");
        for n in 0..PODS {
            let name = format!("data-db-{n}");
            let claim = wait::for_object(&claims, &name, "the set controls it", |claim| {
                let mut owners = claim.owner_references().iter();
                owners.any(|owner| Some(&owner.uid) == set.metadata.uid.as_ref())
            })
            .await?;
            let (is, want) = (
                objects::text(&claim.data, "/spec/volumeName"),
                self.volume_of(n),
            );
            ensure!(is == Some(&*want), "{name} has {is:?}, and not {want}");
        }
        Ok(())
    }
}

/// A repository that a cluster applies and writes back to, with these files.
async fn begun(estate: &Estate, db: &Db, files: &[(&str, String)]) -> anyhow::Result<Repo> {
    let repo = estate.repo(&db.name)?;
    git(repo.bare(), ["config", "http.receivepack", "true"])?;
    for (path, text) in files {
        repo.write(path, text)?;
    }
    repo.publish("cluster/namespace.yaml", db.namespace().to_string())?;
    let url = estate.git.url(&db.name);
    install::apply(&estate.plane, &db.platform(&url)).await?;
    is_applied(estate, &db.name, &repo).await?;
    Ok(repo)
}

/// The cluster as it was: the StatefulSet has made its claims, and somebody provides what they ask for.
async fn old(estate: &Estate, db: &Db) -> anyhow::Result<Repo> {
    let files = [("cluster/db.yaml", db.set().to_string())];
    let repo = begun(estate, db, &files).await?;
    let claims = db.api(estate, "v1", "PersistentVolumeClaim");
    for n in 0..PODS {
        let is = |_: &DynamicObject| true;
        let claim = wait::for_object(&claims, &format!("data-db-{n}"), "it is made", is).await?;
        make(estate, "csi-provisioner", db.volume(n, &claim)).await?;
    }
    db.runs(estate).await?;
    for n in 0..PODS {
        let (name, volume) = (&db.name, db.volume_of(n));
        let path = format!("{name}/persistentvolumeclaim-data-db-{n}.yaml");
        let text = says(&repo, &path, &format!("volumeName: {volume}")).await?;
        for (words, has) in [
            ("app: db", true),
            ("storage: 1Gi", true),
            ("ReadWriteOnce", true),
            ("ownerReferences", false),
            ("uid", false),
            ("pv.kubernetes.io", false),
            ("finalizers", false),
        ] {
            ensure!(text.contains(words) == has, "{words}: {text}");
        }
        let path = format!("_cluster/persistentvolume-{volume}.yaml");
        let text = says(&repo, &path, "claimRef").await?;
        ensure!(!text.contains("uid"), "{text}");
    }
    is_applied(estate, &db.name, &repo).await?;
    Ok(repo)
}

#[test]
fn an_empty_cluster_gives_a_stateful_set_the_claims_that_it_had_before_it_makes_others() {
    scenario(async {
        let estate = Estate::shared().await?;
        let db = Db {
            name: estate.unique("db"),
        };
        let repo = old(estate, &db).await?;
        has_looked(estate, &db.name).await?;
        is_applied(estate, &db.name, &repo).await?;
        is_left(estate, &db.name).await?;
        let head = git(repo.bare(), ["rev-parse", "main"])?;

        let fresh = Estate::start().await?;
        // Whatever claim names none takes one of these.
        for n in 0..PODS {
            let mut other = db.disk(&format!("another-{}", db.volume_of(n)));
            other["metadata"]["labels"] = json!({});
            make(&fresh, "administrator", other).await?;
        }
        let url = estate.git.url(&db.name);
        install::apply(&fresh.plane, &db.platform(&url)).await?;
        is_applied(&fresh, &db.name, &repo).await?;
        db.runs(&fresh).await?;
        let order = created(&fresh, &db.name).await?;
        let at = |kind: &str| order.iter().rposition(|line| line.starts_with(kind));
        let (volumes, claims, set) = (
            at("PersistentVolume/"),
            at("PersistentVolumeClaim/"),
            at("StatefulSet/"),
        );
        ensure!(
            volumes.is_some() && volumes < claims && claims < set,
            "a StatefulSet makes each claim that it does not find: {order:?}"
        );
        has_nothing_to_say(&fresh, &db.name, &repo, &head).await
    });
}

#[test]
fn a_claim_and_a_volume_that_people_keep_in_git_name_each_other_once_they_are_bound() {
    scenario(async {
        let estate = Estate::shared().await?;
        let db = Db {
            name: estate.unique("kept"),
        };
        let named = |text: &str| text.replace("NAME", &db.name);
        let files = [
            ("cluster/claim.yaml", named(CLAIM)),
            ("cluster/volume.yaml", named(VOLUME)),
        ];
        let repo = begun(estate, &db, &files).await?;
        let [(_, claim), (_, volume)] = &files;
        let text = says(&repo, "claim.yaml", "volumeName").await?;
        let want = format!("{claim}  volumeName: {}\n", db.name);
        ensure!(text.trim_end() == want.trim_end(), "{text}");
        let text = says(&repo, "volume.yaml", "claimRef").await?;
        ensure!(text.starts_with(volume.trim_end()), "{text}");
        for (words, has) in [
            ("name: sales", true),
            (&*format!("namespace: {}", db.name), true),
            ("uid", false),
            ("resourceVersion", false),
        ] {
            ensure!(text.contains(words) == has, "{words}: {text}");
        }
        // Both are the same by now, so that it is said once.
        is_applied(estate, &db.name, &repo).await?;
        let head = git(repo.bare(), ["rev-parse", "main"])?;
        has_nothing_to_say(estate, &db.name, &repo, &head).await?;
        let back = objects::api(estate.admin(), API, "WriteBack", Some(install::PLATFORM));
        let back = back.get(&db.name).await?;
        let refused = back.data.pointer("/status/refused");
        ensure!(refused.is_none_or(|all| all == &json!([])), "{refused:?}");
        Ok(())
    });
}
