//! More is watched as accounts than one namespace, or 256 connections, would ever have had: and everybody's is put right.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::{Api, DynamicObject};
use reeve_tests::install::{self, PLATFORM};
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::edit;

/// How many namespaces the one has who has many.
const MANY: usize = 300;
const NAME: &str = "crowd";
const PATIENCE: Duration = Duration::from_secs(240);
/// How many connections the controller may have to the API server: those of its own watches, of which each has one, and of its
/// requests. Each watch as an account had one more.
const CONNECTIONS: usize = 200;

fn namespace(at: usize) -> String {
    format!("{NAME}-{at:03}")
}

fn secret(namespace: Option<&str>) -> Value {
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "paint"},
        "stringData": {"colour": "green"}});
    if let Some(namespace) = namespace {
        secret["metadata"]["namespace"] = json!(namespace);
    }
    secret
}

/// One Kustomization of the platform, with a Secret in each of many namespaces.
async fn spread(estate: &Estate) -> anyhow::Result<()> {
    let repo = estate.repo(NAME)?;
    let each = (0..MANY).flat_map(|at| {
        let name = namespace(at);
        let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        [space, secret(Some(&name))]
    });
    let all: Vec<String> = each.map(|object| object.to_string()).collect();
    let commit = repo.publish("all.yaml", all.join("\n---\n"))?;
    let meta = json!({"name": NAME, "namespace": PLATFORM});
    let source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": meta,
        "spec": {"interval": "1h", "url": estate.git.url(NAME), "ref": {"branch": "main"}},
    });
    let kustomization = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": meta,
        "spec": {
            "interval": "1h", "path": "./", "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": NAME},
        },
    });
    install::apply(&estate.plane, &format!("{source}\n---\n{kustomization}")).await?;
    let version = "kustomize.toolkit.fluxcd.io/v1";
    let api = objects::api(estate.admin(), version, "Kustomization", Some(PLATFORM));
    wait::within(PATIENCE, &api, NAME, "all of it is applied", |ks| {
        let applied = objects::text(&ks.data, "/status/lastAppliedRevision");
        applied.is_some_and(|revision| revision.ends_with(&commit))
    })
    .await?;
    Ok(())
}

/// Somebody changes a Secret, and it is what it was before any interval.
async fn is_put_right(secrets: &Api<DynamicObject>) -> anyhow::Result<()> {
    let before = secrets.get("paint").await?.data["data"].clone();
    edit(secrets, "paint", json!({"data": {"colour": "eA=="}})).await?;
    wait::for_object(secrets, "paint", "it is back", |secret| {
        secret.data["data"] == before
    })
    .await?;
    Ok(())
}

/// How many connections a process has to this port.
fn connections(pid: u32, port: u16) -> anyhow::Result<usize> {
    let mut own = BTreeSet::new();
    for file in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        // One may be closed meanwhile.
        let Ok(link) = std::fs::read_link(file?.path()) else {
            continue;
        };
        let link = link.to_string_lossy();
        let inode = link.strip_prefix("socket:[");
        let inode = inode.and_then(|rest| rest.strip_suffix(']'));
        own.extend(inode.map(str::to_owned));
    }
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    let there = format!(":{port:04X}");
    let is_open = |row: &&str| {
        let mut fields = row.split_whitespace();
        let to = fields.nth(2).unwrap_or_default();
        let state = fields.next().unwrap_or_default();
        let inode = fields.nth(5).unwrap_or_default();
        to.ends_with(&there) && state == "01" && own.contains(inode)
    };
    Ok(table.lines().filter(is_open).count())
}

#[test]
fn whoever_has_a_secret_has_it_watched_however_many_another_has_and_all_share_few_connections() {
    scenario(async {
        let estate = Estate::start().await?;
        spread(&estate).await?;
        let mut tenants: Vec<Tenant<'_>> = Vec::new();
        for name in ["late", "later", "latest"] {
            let tenant = estate.healthy_tenant(name).await?;
            let manifest = secret(None).to_string();
            tenant
                .push(&[("paint.yaml", Some(manifest.as_str()))])
                .await?;
            tenants.push(tenant);
        }
        let wanted = (MANY + tenants.len()) as f64;
        wait::until(PATIENCE, "all of it is watched", || async {
            let kept = ["reeve_drift_watches", "\"kept\""];
            let kept = estate.controller.sample(&kept).await.ok()?;
            (kept >= wanted).then_some(())
        })
        .await?;
        for state in ["\"beyond\"", "\"refused\""] {
            let words = ["reeve_drift_watches", state];
            let number = estate.controller.sample(&words).await?;
            ensure!(number == 0.0, "{number} {state}");
        }
        for tenant in &tenants {
            is_put_right(&tenant.api("v1", "Secret")).await?;
        }
        for at in [0, MANY / 2, MANY - 1] {
            let namespace = namespace(at);
            let secrets = objects::api(estate.admin(), "v1", "Secret", Some(&namespace));
            is_put_right(&secrets).await?;
        }
        let pid = estate.controller.pid().context("it runs")?;
        let url = estate.plane.url();
        let port = url.rsplit(':').next().context("a port")?.parse()?;
        ensure!(
            connections(pid, port)? > 0,
            "it has none at all: they are not found"
        );
        // What each watch listed first took connections as well, which go after a while in which nobody needs them.
        wait::until(PATIENCE, "they share few connections", || async {
            let open = connections(pid, port).ok()?;
            (open < CONNECTIONS).then_some(())
        })
        .await?;
        Ok(())
    });
}
