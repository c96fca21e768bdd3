//! The controller's own business with the cluster: who leads, what is told and seen, and whose Secrets are read.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Event as Told;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use reeve::cluster::{
    Change, Cluster, Event, Involved, LeaseConfig, SecretError, SecretOwner, Selection,
};
use reeve_api::source::GitRepository;
use reeve_core::failure::Explain as _;
use reeve_core::tenancy::{Grounds, Tenant};
use reeve_tests::{scenario, wait};
use serde_json::json;
use tokio::time::Instant;

use crate::ground::{Ground, connect};

fn lease(ground: &Ground, who: &str) -> LeaseConfig {
    LeaseConfig::new(&ground.namespace, "leader", who, Timestamp::now)
}

#[test]
fn a_dead_leader_is_followed_within_five_seconds_and_one_that_stops_at_once() {
    scenario(async {
        let ground = Ground::new("lease").await?;
        let (a, b) = (
            ground.cluster.clone(),
            connect(&ground.plane().kubeconfig()).await?,
        );
        let first = a.lead(lease(&ground, "a")).await;
        ensure!(first.term() == 0 && !first.lost().is_cancelled());
        // Whoever looks on does not take what is renewed.
        let waiting =
            tokio::time::timeout(Duration::from_secs(6), b.lead(lease(&ground, "b"))).await;
        ensure!(waiting.is_err(), "two leaders");
        ensure!(!first.lost().is_cancelled());

        let begun = Instant::now();
        first.release().await;
        let second = b.lead(lease(&ground, "b")).await;
        ensure!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        ensure!(second.term() == 1);

        // Killed: it renews no more and gives nothing back.
        let begun = Instant::now();
        drop(second);
        let third = a.lead(lease(&ground, "c")).await;
        ensure!(
            begun.elapsed() < Duration::from_secs(6),
            "{:?}",
            begun.elapsed()
        );
        ensure!(third.term() == 2);

        // Taken away by somebody else: told at once.
        let leases: Api<Lease> = Api::namespaced(ground.admin(), &ground.namespace);
        let theft = json!({"spec": {"holderIdentity": "thief"}});
        leases
            .patch("leader", &PatchParams::default(), &Patch::Merge(&theft))
            .await?;
        tokio::time::timeout(Duration::from_secs(3), third.lost().cancelled())
            .await
            .context("not told")?;
        Ok(())
    });
}

#[test]
fn a_leader_that_cannot_reach_the_api_server_stops_before_another_may_start() {
    scenario(async {
        let ground = Ground::alone("cut-off").await?;
        let leading = ground.cluster.lead(lease(&ground, "a")).await;
        let begun = Instant::now();
        ground.plane().stop_api();
        tokio::time::timeout(Duration::from_secs(5), leading.lost().cancelled())
            .await
            .context("still leads")?;
        ensure!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
        Ok(())
    });
}

#[test]
fn more_events_at_once_than_a_push_to_many_tenants_tells_are_all_written() {
    scenario(async {
        const MANY: usize = 1500;
        let ground = Ground::new("manyevents").await?;
        let (events, writing) = ground.cluster.events();
        for nth in 0..MANY {
            events.tell(Event {
                involved: Involved {
                    api_version: "kustomize.toolkit.fluxcd.io/v1".into(),
                    kind: "Kustomization".into(),
                    namespace: ground.namespace.clone(),
                    name: format!("app-{nth}"),
                    uid: format!("u-{nth}"),
                    resource_version: "1".into(),
                },
                component: "kustomize-controller",
                warning: false,
                reason: "ReconciliationSucceeded".into(),
                message: "Reconciliation finished in 20ms, next run in 10m0s".into(),
                annotations: BTreeMap::new(),
                at: Timestamp::now(),
            });
        }
        drop(events);
        tokio::time::timeout(Duration::from_secs(120), writing).await?;
        let api: Api<Told> = Api::namespaced(ground.admin(), &ground.namespace);
        let told = api.list(&kube::api::ListParams::default()).await?.items;
        let is_ours = |one: &&Told| one.involved_object.kind.as_deref() == Some("Kustomization");
        let ours = told.iter().filter(is_ours);
        ensure!(ours.count() == MANY, "of {} events", told.len());
        Ok(())
    });
}

#[test]
fn an_event_is_told_once_and_counted_when_it_happens_again() {
    scenario(async {
        let ground = Ground::new("events").await?;
        let (events, writing) = ground.cluster.events();
        let event = Event {
            involved: Involved {
                api_version: "kustomize.toolkit.fluxcd.io/v1".into(),
                kind: "Kustomization".into(),
                namespace: ground.namespace.clone(),
                name: "app".into(),
                uid: "u-1".into(),
                resource_version: "1".into(),
            },
            component: "kustomize-controller",
            warning: true,
            reason: "BuildFailed".into(),
            message: "é".repeat(5000),
            annotations: BTreeMap::from([(
                "kustomize.toolkit.fluxcd.io/revision".into(),
                "main@sha1:1".into(),
            )]),
            at: Timestamp::now(),
        };
        for _ in 0..3 {
            events.tell(event.clone());
        }
        drop(events);
        tokio::time::timeout(Duration::from_secs(20), writing).await?;
        let api: Api<Told> = Api::namespaced(ground.admin(), &ground.namespace);
        let fields = "involvedObject.kind=Kustomization,involvedObject.name=app";
        let told = api
            .list(&kube::api::ListParams::default().fields(fields))
            .await?
            .items;
        let [told] = &told[..] else {
            bail!("{} events", told.len())
        };
        ensure!(told.count == Some(3) && told.type_.as_deref() == Some("Warning"));
        let message = told.message.as_deref().unwrap_or_default();
        ensure!(
            message.len() <= 1024 && message.contains('…'),
            "{} bytes",
            message.len()
        );
        ensure!(
            told.metadata
                .annotations
                .as_ref()
                .is_some_and(|all| !all.is_empty())
        );
        Ok(())
    });
}

async fn install_kinds(ground: &Ground) -> anyhow::Result<()> {
    for crd in reeve_api::crds() {
        let name = crd.metadata.name.clone().context("a name")?;
        ground.put(serde_json::to_value(&crd)?).await?;
        let api = ground.api("CustomResourceDefinition").await?;
        wait::for_object(&api, &name, "it is established", |crd: &DynamicObject| {
            let conditions = crd
                .data
                .pointer("/status/conditions")
                .and_then(|all| all.as_array());
            conditions.is_some_and(|all| {
                all.iter()
                    .any(|c| c["type"] == "Established" && c["status"] == "True")
            })
        })
        .await?;
    }
    Ok(())
}

fn repository(ground: &Ground, name: &str, interval: &str) -> serde_json::Value {
    json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": name, "namespace": ground.namespace},
        "spec": {"url": "https://git.example/x", "interval": interval}})
}

#[test]
fn one_object_that_cannot_be_read_is_told_and_the_others_are_seen() {
    scenario(async {
        let ground = Ground::new("undecodable").await?;
        install_kinds(&ground).await?;
        // The schema's pattern lets it pass; no duration is that long.
        ground
            .put(repository(&ground, "bad", "9999999999h"))
            .await?;
        ground.put(repository(&ground, "good", "1m")).await?;
        let which = Selection {
            namespace: Some(ground.namespace.clone()),
            labels: None,
        };
        let mut seen = ground.cluster.watch::<GitRepository>(&which);
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let listing = async {
            while let Some(change) = seen.next().await {
                match change {
                    Change::Begin => {}
                    Change::Put(object) => {
                        good.push(object.metadata.name.clone().unwrap_or_default());
                    }
                    Change::Bad(object) => {
                        bad.push((object.meta.name.clone().unwrap_or_default(), object.why));
                    }
                    Change::Gone(_) => bail!("nothing is gone"),
                    Change::Synced => break,
                }
            }
            Ok(())
        };
        tokio::time::timeout(Duration::from_secs(20), listing).await??;
        ensure!(good == ["good"], "{good:?}");
        ensure!(
            bad.len() == 1 && bad[0].0 == "bad" && bad[0].1.contains("spec.interval"),
            "{bad:?}"
        );

        // Live too, and it can still go.
        ground
            .put(repository(&ground, "bad", "8888888888h"))
            .await?;
        let change = tokio::time::timeout(Duration::from_secs(20), seen.next()).await?;
        ensure!(matches!(change, Some(Change::Bad(_))));
        let kinds = ApiResource::from_gvk(&GroupVersionKind::gvk(
            "source.toolkit.fluxcd.io",
            "v1",
            "GitRepository",
        ));
        let api: Api<DynamicObject> =
            Api::namespaced_with(ground.admin(), &ground.namespace, &kinds);
        api.delete("bad", &Default::default()).await?;
        let change = tokio::time::timeout(Duration::from_secs(20), seen.next()).await?;
        ensure!(matches!(change, Some(Change::Gone(id)) if id.name == "bad"));
        Ok(())
    });
}

async fn read(
    cluster: &Cluster,
    namespace: &str,
    platform: &str,
) -> anyhow::Result<Result<String, SecretError>> {
    let grounds = Grounds {
        platform_namespaces: [platform.parse()?].into(),
        config_namespaces: Default::default(),
        platform_service_account: "deployer".parse()?,
        tenant_service_account: "reader".parse()?,
        remote_bases: Vec::new(),
        remote_clusters: Vec::new(),
    };
    let namespace = namespace.parse()?;
    let owner = SecretOwner::of(&grounds, &Tenant::of_namespace(&namespace), &namespace);
    let read = cluster.secret(&owner, &"token".parse()?).await;
    Ok(read.map(|data| data.text("token").unwrap_or_default().to_owned()))
}

#[test]
fn a_tenants_secret_is_read_with_the_tenants_rights_alone() {
    scenario(async {
        let ground = Ground::new("secrets").await?;
        let meta = |name: &str| json!({"name": name, "namespace": ground.namespace});
        ground
            .put(json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta("token"), "stringData": {"token": "t0p"}}))
            .await?;
        let Err(why) = read(&ground.cluster, "secrets", "flux-system").await? else {
            bail!("nobody reads it")
        };
        ensure!(
            why.to_string().contains("ServiceAccount secrets/reader"),
            "{why}"
        );
        ensure!(why.to_string().ends_with("does not exist"), "{why}");

        ground
            .put(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("reader")}))
            .await?;
        let Err(why) = read(&ground.cluster, "secrets", "flux-system").await? else {
            bail!("it may not")
        };
        let hint = why.hint().context("a hint")?;
        ensure!(
            hint.contains("system:serviceaccount:secrets:reader")
                && !why.to_string().contains("t0p"),
            "{why} {hint}"
        );

        let rbac = "rbac.authorization.k8s.io";
        ground
            .put(json!({"apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta("reader"),
                "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}))
            .await?;
        ground
            .put(json!({"apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta("reader"),
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reader"},
                "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": ground.namespace}]}))
            .await?;
        let allowed = wait::until(Duration::from_secs(10), "the role is in force", || async {
            read(&ground.cluster, "secrets", "flux-system")
                .await
                .ok()?
                .ok()
        });
        ensure!(allowed.await? == "t0p");
        // As the platform's own: with the controller's rights.
        ensure!(read(&ground.cluster, "secrets", "secrets").await??.as_str() == "t0p");
        Ok(())
    });
}
