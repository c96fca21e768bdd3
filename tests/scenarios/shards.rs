//! Three replicas that share the work: each tenant is one's, and goes on at another when that one ends or sleeps.

mod takeover;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::StreamExt as _;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use reeve_api::reason::Reason;
use reeve_tests::chart::Release;
use reeve_tests::controller::{Controller, sum};
use reeve_tests::install::{PLATFORM, SYSTEM};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use crate::outage::{ATTEMPTS, OBJECTS, begun, items};
use crate::rules::{self, RED, minds};

/// Longer than a Lease takes to run out and what was under it to go on elsewhere.
const PATIENCE: Duration = Duration::from_secs(90);
/// So many that each replica has some.
const TENANTS: usize = 12;

/// Three replicas under the rights that the chart gives to those who share the work. Hooks call the first.
struct Trio {
    estate: Estate,
    others: [Controller; 2],
}

impl Trio {
    async fn start() -> anyhow::Result<Self> {
        let release = Release::sharing(3).await?;
        let estate = Estate::start_from(&release, &[]).await?;
        let start = |name| Controller::start_from(&release, name, &estate.plane, &[]);
        let others = [start("reeve-second").await?, start("reeve-third").await?];
        let trio = Self { estate, others };
        trio.until_all_see(&trio.replicas()).await?;
        Ok(trio)
    }

    fn replicas(&self) -> [&Controller; 3] {
        let [second, third] = &self.others;
        [&self.estate.controller, second, third]
    }

    /// Waits until all of these see each other, and one of them does what is the platform's.
    async fn until_all_see(&self, replicas: &[&Controller]) -> anyhow::Result<()> {
        let what = format!("{} replicas share the work", replicas.len());
        wait::until(PATIENCE, &what, || async {
            let views = self.views().await.ok()?;
            let all = |view: &usize| *view == replicas.len();
            if views.len() != replicas.len() || !views.iter().all(all) {
                return None;
            }
            let mut leaders = 0.0;
            for replica in replicas {
                let seen = replica.metrics().await.ok()?;
                if sum(&seen, &["reeve_shard_members"]) != replicas.len() as f64 {
                    return None;
                }
                leaders += sum(&seen, &["reeve_leader"]);
            }
            (leaders == 1.0).then_some(())
        })
        .await
    }

    /// How many places each takes for held who holds one.
    async fn views(&self) -> anyhow::Result<Vec<usize>> {
        let leases: Api<Lease> = Api::namespaced(self.estate.admin(), SYSTEM);
        let all = leases.list(&ListParams::default()).await?.items.into_iter();
        let held = all.filter(|lease| {
            let spec = lease.spec.as_ref();
            let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
            holder.is_some_and(|holder| !holder.is_empty())
        });
        let view = |lease: Lease| {
            let view = lease.metadata.annotations?.remove("reeve.dev/shard-view")?;
            Some(view.split(',').filter(|place| !place.is_empty()).count())
        };
        Ok(held.filter_map(view).collect())
    }

    /// How many runs of the tenant's Kustomization each replica has had.
    async fn runs(&self, tenant: &Tenant<'_>) -> anyhow::Result<[f64; 3]> {
        let namespace = format!("namespace=\"{}\"", tenant.name());
        let words = [
            "gotk_reconcile_duration_seconds_count",
            "kind=\"Kustomization\"",
            &namespace,
        ];
        let mut runs = [0.0; 3];
        for (runs, replica) in runs.iter_mut().zip(self.replicas()) {
            if replica.pid().is_some() {
                *runs = replica.sample(&words).await?;
            }
        }
        Ok(runs)
    }

    /// The one replica that has had any.
    async fn owner(&self, tenant: &Tenant<'_>) -> anyhow::Result<usize> {
        self.owner_since(tenant, [0.0; 3]).await
    }

    /// The one replica that has had any since there were so many.
    async fn owner_since(&self, tenant: &Tenant<'_>, before: [f64; 3]) -> anyhow::Result<usize> {
        let now = self.runs(tenant).await?;
        let had: Vec<usize> = (0..3).filter(|nth| now[*nth] > before[*nth]).collect();
        match had[..] {
            [owner] => Ok(owner),
            _ => bail!("{} was worked for by {had:?}", tenant.name()),
        }
    }
}

/// The Jobs that were ever made, by namespace.
#[derive(Clone, Default)]
struct Jobs(Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>);

impl Jobs {
    async fn watch(estate: &Estate) -> anyhow::Result<Self> {
        let jobs = Self::default();
        let api: Api<Job> = Api::all(estate.admin());
        let how = WatchParams::default().timeout(290);
        let mut events = api.watch(&how, "0").await?.boxed();
        let made = jobs.clone();
        tokio::spawn(async move {
            while let Some(Ok(event)) = events.next().await {
                let (WatchEvent::Added(job) | WatchEvent::Modified(job)) = event else {
                    continue;
                };
                let (namespace, uid) = (job.metadata.namespace, job.metadata.uid);
                let mut all = made.0.lock().unwrap_or_else(PoisonError::into_inner);
                let of = all.entry(namespace.unwrap_or_default()).or_default();
                of.extend(uid);
            }
        });
        Ok(jobs)
    }

    fn of(&self, tenant: &Tenant<'_>) -> usize {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(tenant.name()).map_or(0, BTreeSet::len)
    }
}

/// A hook that runs before, and something that differs from push to push.
fn push(tenant: &Tenant<'_>, colour: &str) -> anyhow::Result<String> {
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "migrate", "annotations": {"argocd.argoproj.io/hook": "PreSync"}},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "job", "image": "registry.local/job:1"}],
        }}},
    });
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": colour},
    });
    let file = |object: &Value| Some(object.to_string());
    tenant.commit([
        ("migrate.yaml", file(&job)),
        ("settings.yaml", file(&settings)),
    ])
}

async fn push_all(tenants: &[Tenant<'_>], colour: &str) -> anyhow::Result<Vec<String>> {
    let mut commits = Vec::new();
    for tenant in tenants {
        commits.push(push(tenant, colour)?);
        tenant.call_hook().await?;
    }
    Ok(commits)
}

async fn all_applied(tenants: &[Tenant<'_>], commits: &[String]) -> anyhow::Result<()> {
    for (tenant, commit) in tenants.iter().zip(commits) {
        let told = Reason::ReconciliationSucceeded;
        tenant.told_within(PATIENCE, told, commit).await?;
    }
    Ok(())
}

#[test]
fn three_replicas_share_the_tenants_and_what_one_is_killed_over_goes_on_at_another() {
    scenario(async {
        let trio = Trio::start().await?;
        let jobs = Jobs::watch(&trio.estate).await?;
        let mut tenants = Vec::new();
        for _ in 0..TENANTS {
            tenants.push(trio.estate.healthy_tenant("shared").await?);
        }
        let commits = push_all(&tenants, "red").await?;
        all_applied(&tenants, &commits).await?;
        let mut owners = Vec::new();
        for tenant in &tenants {
            owners.push(trio.owner(tenant).await?);
            ensure!(jobs.of(tenant) == 1, "{} hook runs", jobs.of(tenant));
        }
        let spread: BTreeSet<usize> = owners.iter().copied().collect();
        ensure!(spread.len() == 3, "{owners:?}");

        let [first, second, third] = trio.replicas();
        let commits = push_all(&tenants, "blue").await?;
        second.kill();
        all_applied(&tenants, &commits).await?;
        trio.until_all_see(&[first, third]).await?;
        for (tenant, before) in tenants.iter().zip(owners) {
            let now = trio.owner(tenant).await?;
            let moved = before == 1;
            ensure!(moved || now == before, "{}: {before}, {now}", tenant.name());
            let runs = jobs.of(tenant);
            ensure!(runs == 2, "{} ran its hook {runs} times", tenant.name());
        }
        Ok(())
    });
}

/// As each was written last.
async fn versions(tenant: &Tenant<'_>) -> anyhow::Result<BTreeMap<String, String>> {
    let maps = tenant.api("v1", "ConfigMap");
    let all = maps.list(&ListParams::default()).await?.items.into_iter();
    let named = all.filter_map(|map| {
        let name = map.metadata.name.filter(|name| name.starts_with("item-"))?;
        Some((name, map.metadata.resource_version?))
    });
    Ok(named.collect())
}

#[test]
fn a_replica_that_sleeps_for_longer_than_its_lease_writes_nothing_of_what_others_have_taken_up() {
    scenario(async {
        let trio = Trio::start().await?;
        let sleeper = &trio.others[0];
        for attempt in 0..ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = one_of(&trio, 1).await?;
            let commit = begun(&tenant, count).await?;
            sleeper.pause();
            if items(&tenant).await? >= count {
                sleeper.resume();
                continue;
            }
            let told = Reason::ReconciliationSucceeded;
            tenant.told_within(PATIENCE, told, &commit).await?;
            ensure!(items(&tenant).await? == count);
            let before = versions(&tenant).await?;
            sleeper.resume();
            let notices = || async {
                let log = sleeper.log().ok()?;
                log.contains("among those who share the work is somebody else's")
                    .then_some(())
                    .or_else(|| log.contains("was not renewed in time").then_some(()))
            };
            wait::until(PATIENCE, "it sees that it has slept", notices).await?;
            trio.until_all_see(&trio.replicas()).await?;
            // It has its place again, or another: what it had begun is not taken up where it was.
            let commit = tenant.commit([("last.yaml", Some(named("last")))])?;
            tenant.call_hook().await?;
            tenant.told_within(PATIENCE, told, &commit).await?;
            ensure!(versions(&tenant).await? == before, "written twice");
            return Ok(());
        }
        bail!("it was never put to sleep in time")
    });
}

/// A ConfigMap.
fn named(name: &str) -> String {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    map.to_string()
}

/// A tenant of this replica.
async fn one_of(trio: &Trio, replica: usize) -> anyhow::Result<Tenant<'_>> {
    for _ in 0..4 * TENANTS {
        let tenant = trio.estate.healthy_tenant("dozing").await?;
        if trio.owner(&tenant).await? == replica {
            return Ok(tenant);
        }
    }
    bail!("replica {replica} has no tenant")
}

#[test]
fn who_shares_the_work_lets_one_that_does_all_of_it_go_first_and_takes_over_from_it() {
    scenario(async {
        let release = Release::sharing(3).await?;
        let estate = Estate::start_from(&release, &["--sharding=false"]).await?;
        let tenant = estate.healthy_tenant("led").await?;
        let waits = Controller::start_from(&release, "reeve-shares", &estate.plane, &[]).await?;
        let has_place = || async {
            let seen = waits.metrics().await.ok()?;
            (sum(&seen, &["reeve_shard_members"]) > 0.0).then_some(())
        };
        wait::until(PATIENCE, "it has a place", has_place).await?;
        let led = tenant.commit([("last.yaml", Some(named("last")))])?;
        tenant.call_hook().await?;
        tenant.applied(&led).await?;
        let runs = [
            "gotk_reconcile_duration_seconds_count",
            "kind=\"Kustomization\"",
        ];
        let seen = waits.metrics().await?;
        ensure!(sum(&seen, &runs) == 0.0 && sum(&seen, &["reeve_leader"]) == 0.0);

        let ended = estate.controller.stop(Duration::from_secs(35));
        ensure!(ended.context("it ran")?.success());
        let takes_over = || async { (waits.sample(&runs).await.ok()? > 0.0).then_some(()) };
        wait::until(PATIENCE, "it works", takes_over).await?;
        let leads = || async { (waits.sample(&["reeve_leader"]).await.ok()? > 0.0).then_some(()) };
        wait::until(PATIENCE, "it does what is the platform's", leads).await
    });
}

#[test]
fn rules_that_lie_in_git_are_in_force_at_every_replica_and_so_is_their_next_revision() {
    scenario(async {
        let trio = Trio::start().await?;
        let mut tenants = Vec::new();
        for replica in 0..3 {
            tenants.push(one_of(&trio, replica).await?);
        }
        let name = "rules-shared";
        let repo = trio.estate.repo(name)?;
        repo.write("rules/colours.rego", minds("red"))?;
        repo.commit("Rules")?;
        repo.push()?;
        let source = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": name, "namespace": PLATFORM},
            "spec": {"interval": "1s", "url": trio.estate.git.url(name), "ref": {"branch": "main"}},
        });
        let names: Vec<&str> = tenants.iter().map(Tenant::name).collect();
        let policy = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name},
            "spec": {
                "scope": {"namespaces": names}, "path": "./rules",
                "sourceRef": {"name": name, "namespace": PLATFORM},
            },
        });
        tenants[0].apply(&source).await?;
        tenants[0].apply(&policy).await?;
        rules::ready(&trio.estate, name, Reason::Succeeded, "in force").await?;
        for tenant in &tenants {
            tenant.commit([("settings.yaml", Some(RED))])?;
            tenant.call_hook().await?;
            let denied = "settings is red";
            let told = Reason::PolicyDenied;
            tenant.told_within(PATIENCE, told, denied).await?;
        }
        repo.write("rules/colours.rego", minds("blue"))?;
        repo.commit("Other rules")?;
        repo.push()?;
        for tenant in &tenants {
            let told = Reason::ReconciliationSucceeded;
            tenant.told_within(PATIENCE, told, "Applied").await?;
        }
        Ok(())
    });
}

#[test]
fn namespaces_that_become_one_tenants_are_worked_for_by_one_replica_from_then_on() {
    scenario(async {
        let trio = Trio::start().await?;
        let both = [one_of(&trio, 1).await?, one_of(&trio, 2).await?];
        let names = [both[0].name(), both[1].name()];
        let tenant = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "merged"},
            "spec": {"namespaces": names, "sources": names, "serviceAccountName": "flux"},
        });
        both[0].apply(&tenant).await?;
        let tenants = objects::api(trio.estate.admin(), "reeve.dev/v1alpha1", "Tenant", None);
        wait::for_object(&tenants, "merged", "it has both", |tenant| {
            let has = tenant.data.pointer("/status/namespaces");
            has.and_then(Value::as_array)
                .is_some_and(|all| all.len() == 2)
        })
        .await?;
        // What the change itself has woken is over; whoever had one of them may have had a last run of it.
        for tenant in &both {
            let commit = tenant.commit([("first.yaml", Some(named("first")))])?;
            tenant.call_hook().await?;
            let told = Reason::ReconciliationSucceeded;
            tenant.told_within(PATIENCE, told, &commit).await?;
        }
        let mut owners = BTreeSet::new();
        for tenant in &both {
            let before = trio.runs(tenant).await?;
            let commit = tenant.commit([("second.yaml", Some(named("second")))])?;
            tenant.call_hook().await?;
            let told = Reason::ReconciliationSucceeded;
            tenant.told_within(PATIENCE, told, &commit).await?;
            let counted = || async { trio.owner_since(tenant, before).await.ok() };
            let owner = wait::until(PATIENCE, "a run is counted", counted).await?;
            owners.insert(owner);
        }
        ensure!(owners.len() == 1, "worked for by {owners:?}");
        Ok(())
    });
}
