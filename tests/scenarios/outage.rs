//! What is cut off in the middle of an apply, and comes to the same end as what is not.
//!
//! Each attempt plays the same push to two tenants: one is hit, the other is spared. A hit counts only
//! when some of the objects were there and some were not; otherwise it proves nothing, and the next
//! attempt has more objects.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use kube::api::{DeleteParams, ListParams};
use reeve_api::reason::Reason;
use reeve_tests::git::{Auth, HttpServer, Served, Signer, Signing};
use reeve_tests::install::CONFIG;
use reeve_tests::objects::Stock;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::rules::RED;
use crate::signed::secret;

/// So many objects the first attempt has, and each further one twice as many.
pub(super) const OBJECTS: usize = 60;
pub(super) const ATTEMPTS: usize = 4;

/// ConfigMaps, applied one after the other in the order of their names.
fn many(count: usize) -> String {
    let one = |n| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: item-{n:04}\ndata:\n  n: '{n}'\n"
        )
    };
    (0..count).map(one).collect()
}

/// Many objects come and one goes.
fn push(tenant: &Tenant<'_>, count: usize) -> anyhow::Result<String> {
    tenant.commit([("many.yaml", Some(many(count))), ("service.yaml", None)])
}

pub(super) async fn items(tenant: &Tenant<'_>) -> anyhow::Result<usize> {
    let maps = tenant
        .api("v1", "ConfigMap")
        .list(&ListParams::default())
        .await?;
    let is_item = |name: &String| name.starts_with("item-");
    Ok(maps
        .items
        .iter()
        .filter_map(|map| map.metadata.name.as_ref())
        .filter(|name| is_item(name))
        .count())
}

/// Pushes, and returns when the first few objects are there.
pub(super) async fn begun(tenant: &Tenant<'_>, count: usize) -> anyhow::Result<String> {
    let maps = tenant.api("v1", "ConfigMap");
    let commit = push(tenant, count)?;
    tenant.call_hook().await?;
    wait::for_object(&maps, "item-0002", "the third object is there", |_| true).await?;
    Ok(commit)
}

/// What a tenant ended with, by names that do not hold the tenant's own.
#[derive(Debug, PartialEq)]
struct End {
    objects: BTreeMap<String, Value>,
    inventory: Vec<String>,
}

async fn end(tenant: &Tenant<'_>, commit: &str) -> anyhow::Result<End> {
    let told = tenant
        .told_of(Reason::ReconciliationSucceeded, commit)
        .await?;
    let plain = |text: &str| text.replace(tenant.name(), "TENANT");
    let stock: Stock = tenant.objects().await?;
    let mut all = BTreeMap::new();
    for name in stock.names() {
        let object = stock.get(name).cloned().unwrap_or_default();
        let mut object: Value = serde_json::from_str(&plain(&object.to_string()))?;
        if let Some(meta) = object
            .pointer_mut("/metadata")
            .and_then(Value::as_object_mut)
        {
            meta.remove("uid");
        }
        all.insert(plain(name), object);
    }
    let entries = told.kustomization.pointer("/status/inventory/entries");
    let entries = entries.and_then(Value::as_array).into_iter().flatten();
    let ids = entries.filter_map(|entry| objects::text(entry, "/id"));
    let mut inventory: Vec<String> = ids.map(plain).collect();
    inventory.sort();
    Ok(End {
        objects: all,
        inventory,
    })
}

/// The tenant that was hit ended as the one that was not.
async fn compare(estate: &Estate, hit: (&Tenant<'_>, &str), count: usize) -> anyhow::Result<()> {
    let spared = estate.healthy_tenant("spared").await?;
    let commit = push(&spared, count)?;
    spared.call_hook().await?;
    let want = end(&spared, &commit).await?;
    let is = end(hit.0, hit.1).await?;
    ensure!(
        want.inventory.len() == count + 1,
        "{} entries",
        want.inventory.len()
    );
    ensure!(
        !want.objects.contains_key("Service./TENANT/web"),
        "the Service was pruned"
    );
    ensure!(is == want, "they differ:\n{is:#?}\n{want:#?}");
    Ok(())
}

/// An estate that may be hurt, for one scenario at a time.
pub(super) async fn rough() -> anyhow::Result<(MutexGuard<'static, ()>, &'static Estate)> {
    static TURN: Mutex<()> = Mutex::const_new(());
    static ROUGH: OnceCell<Estate> = OnceCell::const_new();
    let turn = TURN.lock().await;
    Ok((turn, ROUGH.get_or_try_init(Estate::start).await?))
}

#[test]
fn a_controller_killed_between_two_applies_comes_to_the_same_end() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        for attempt in 0..ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("killed").await?;
            let commit = begun(&tenant, count).await?;
            estate.controller.kill();
            let there = items(&tenant).await?;
            estate.controller.restart().await?;
            if there < count {
                return compare(estate, (&tenant, &commit), count).await;
            }
        }
        bail!("the controller was never killed in time")
    });
}

#[test]
fn an_api_server_restarted_in_the_middle_of_an_apply_changes_nothing_of_the_end() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        for attempt in 0..ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("cut-off").await?;
            let commit = begun(&tenant, count).await?;
            estate.plane.stop_api();
            estate.plane.restart_api().await?;
            if items(&tenant).await? < count {
                return compare(estate, (&tenant, &commit), count).await;
            }
        }
        bail!("the API server was never stopped in time")
    });
}

#[test]
fn a_login_or_key_that_cannot_be_read_after_a_restart_leaves_what_needs_neither() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = estate.healthy_tenant("unread").await?;
        let password = format!("{:032x}", rand::random::<u128>());
        let served = Served {
            auth: Auth::Basic("ada".to_owned(), password.clone()),
            ..Served::default()
        };
        let server = HttpServer::start(estate.repositories(), served).await?;
        let login = [("username", "ada"), ("password", password.as_str())];
        let (signer, keys) = (Signer::new(Signing::Ssh)?, "unread-keys");
        let credential = tenant.credential();
        tenant.apply(&secret(CONFIG, keys, &[&signer])).await?;
        let asked = json!({"mode": "HEAD", "secretRef": {"name": keys}});
        tenant
            .fetch_from(&server.url(tenant.name()), &login)
            .await?;
        tenant
            .change(|draft| draft.set_source("verify", asked))
            .await?;
        let repo = tenant.repo();
        repo.write("settings.yaml", RED)?;
        let commit = signer.publish(repo, "Red")?;
        tenant.call_hook().await?;
        tenant.applied(&commit).await?;

        let secrets = objects::api(estate.admin(), "v1", "Secret", Some(CONFIG));
        let settings = tenant.api("v1", "ConfigMap");
        for (gone, has) in [(credential.as_str(), true), (keys, false)] {
            estate.controller.kill();
            secrets.delete(gone, &DeleteParams::default()).await?;
            settings
                .delete("settings", &DeleteParams::default())
                .await?;
            estate.controller.restart().await?;
            let told = tenant.reconcile(None).await?;
            let reason = match has {
                true => Reason::ReconciliationSucceeded,
                false => Reason::ArtifactFailed,
            };
            ensure!(told.ready.reason == reason.as_str(), "{gone}: {told:?}");
            let back = settings.get_opt("settings").await?.is_some();
            ensure!(back == has, "{gone}: {back}");
        }
        Ok(())
    });
}
