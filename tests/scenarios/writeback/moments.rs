//! The moments in which a change could be put right before anybody has seen it: between reading an object and writing it, and
//! before a run hears of the WriteBack.
//!
//! Each is held open by a webhook that waits: it is asked before anything is written, and says nothing until the scenario has done
//! what is to happen in between.

use std::net::Ipv4Addr;

use anyhow::{Context as _, ensure};
use kube::api::DeleteParams;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

use super::*;

/// What is asked before an object with its label is written, or rehearsed; each until its connection is dropped.
struct Door {
    asked: UnboundedReceiver<TcpStream>,
    webhooks: Api<DynamicObject>,
    name: String,
    _task: AbortOnDropHandle<()>,
}

impl Door {
    /// Before everything of the tenant's that is labelled so; returns when the API server asks there.
    async fn before(estate: &Estate, tenant: &Tenant<'_>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (asks, asked) = unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if asks.send(stream).is_err() {
                    return;
                }
            }
        });
        let api_version = "admissionregistration.k8s.io/v1";
        let name = format!("{}-door", tenant.name());
        let namespace = json!({"matchLabels": {"kubernetes.io/metadata.name": tenant.name()}});
        tenant
            .apply(&json!({
                "apiVersion": api_version, "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name},
                "webhooks": [{
                    "name": "door.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                    "timeoutSeconds": 30, "failurePolicy": "Ignore",
                    "clientConfig": {"url": format!("https://127.0.0.1:{port}/")},
                    "namespaceSelector": namespace, "objectSelector": {"matchLabels": {"door": "yes"}},
                    "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}],
                }],
            }))
            .await?;
        let webhooks = objects::api(
            estate.admin(),
            api_version,
            "ValidatingWebhookConfiguration",
            None,
        );
        let mut door = Self {
            asked,
            webhooks,
            name,
            _task: AbortOnDropHandle::new(task),
        };
        door.is_asked(tenant).await?;
        Ok(door)
    }

    /// An API server that has just heard of it may not ask yet.
    async fn is_asked(&mut self, tenant: &Tenant<'_>) -> anyhow::Result<()> {
        let maps = tenant.api("v1", "ConfigMap");
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
        let asked = async {
            loop {
                ticks.tick().await;
                let trial = json!({"metadata": {"annotations": {"trial": "yes"}}});
                let how = PatchParams::default().dry_run();
                let trial = Patch::Merge(&trial);
                tokio::select! {
                    came = self.asked.recv() => return came.map(drop),
                    _ = maps.patch("a", &how, &trial) => {}
                }
            }
        };
        let asked = tokio::time::timeout(wait::PATIENCE, asked).await;
        asked
            .context("the webhook is asked")?
            .context("it stands")?;
        // What it was asked meanwhile is nothing of ours.
        while self.asked.try_recv().is_ok() {}
        Ok(())
    }

    /// Somebody who asks now.
    async fn next(&mut self) -> anyhow::Result<TcpStream> {
        let asked = tokio::time::timeout(wait::PATIENCE, self.asked.recv()).await;
        asked.context("nobody asks")?.context("it stands")
    }

    /// Whoever asks from now on is let through at once, but for those who were let in to wait.
    async fn open(self) -> anyhow::Result<()> {
        let how = DeleteParams::default();
        self.webhooks.delete(&self.name, &how).await?;
        Ok(())
    }
}

fn map(name: &str, size: &str) -> String {
    let labels = if name == "a" {
        "\n  labels: {door: \"yes\"}"
    } else {
        ""
    };
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}{labels}\ndata:\n  colour: green\n  size: {size}\n"
    )
}

/// A tenant with two ConfigMaps: before the first is written somebody waits.
async fn two<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<Tenant<'a>> {
    let tenant = tenant(estate, name).await?;
    let (a, b) = (map("a", "small"), map("b", "small"));
    tenant
        .push(&[("a.yaml", Some(&a)), ("b.yaml", Some(&b))])
        .await?;
    Ok(tenant)
}

/// Git has both larger, and the one that applies is told.
async fn grow(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let (a, b) = (map("a", "large"), map("b", "large"));
    tenant.commit([("a.yaml", Some(a)), ("b.yaml", Some(b))])?;
    tenant.call_hook().await
}

/// The second ConfigMap is as git has it, and keeps what somebody has changed, which is committed.
async fn is_kept(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let maps = tenant.api("v1", "ConfigMap");
    let is = |map: &DynamicObject, key: &str, value: &str| {
        objects::text(&map.data, &format!("/data/{key}")) == Some(value)
    };
    let found = wait::for_object(&maps, "b", "it is large", |map| is(map, "size", "large")).await?;
    ensure!(
        is(&found, "colour", "red"),
        "it is put right: {:?}",
        found.data
    );
    let text = written(tenant, "b.yaml", "colour: red").await?;
    ensure!(text.contains("size: large"), "{text}");
    applied(tenant).await?;
    let found = maps.get("b").await?;
    ensure!(is(&found, "colour", "red"), "{:?}", found.data);
    Ok(())
}

async fn paint(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let maps = tenant.api("v1", "ConfigMap");
    let red = json!({"data": {"colour": "red"}});
    change(&maps, "b", "painter", &red).await
}

#[test]
fn a_change_in_the_very_moment_in_which_the_object_is_written_stays_and_is_committed() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = two(estate, "wb-moment").await?;
        begin(&tenant, &writeback(&tenant, "back", &everything())).await?;
        let mut door = Door::before(estate, &tenant).await?;
        grow(&tenant).await?;
        // It was compared, and so was the other one; then it is written, and the other one is yet to be.
        drop(door.next().await?);
        let writes = door.next().await?;
        paint(&tenant).await?;
        drop(writes);
        door.open().await?;
        is_kept(&tenant).await
    });
}

#[test]
fn a_run_that_was_begun_before_the_writeback_was_there_puts_nothing_right_any_more() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = two(estate, "wb-begun").await?;
        let mut door = Door::before(estate, &tenant).await?;
        grow(&tenant).await?;
        // A single object that git has changed is written without a dry run.
        let writes = door.next().await?;
        // What else is asked is let through.
        door.open().await?;
        tenant
            .apply(&writeback(&tenant, "back", &everything()))
            .await?;
        told(&tenant, "back", "True", "Succeeded").await?;
        paint(&tenant).await?;
        drop(writes);
        is_kept(&tenant).await
    });
}
