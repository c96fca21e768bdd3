//! The watches over what was applied: one for all of a kind that the platform watches, one a kind, namespace and account for
//! the rest.
//!
//! There are only so many of the latter, by shares of tenants (`core::drift::Claims`). Where there are too many, or the
//! account may not watch, what others change is seen at the next interval; that is said once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::{NamespaceName, NamespacedName, TenantName};
use reeve_core::drift::{self, Claims, Place, Seen, Which};
use reeve_core::index::Target;
use reeve_core::inventory::ObjectId;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::Drift;
use crate::cluster::Glance;
use crate::context::Context;
use crate::observe::WatchState;

/// How many watches there are at most as others than the controller, and how many as the accounts of one tenant, the platform's
/// namespaces among them. A hundred share a connection; here each is a task, and at the API server a watcher of its cache.
const MOST: usize = 4096;
const MOST_OF_TENANT: usize = 1024;
/// How soon it is tried again to watch what was refused: rights come and go.
const AGAIN: Duration = Duration::from_secs(600);
/// How long it is gathered what is to be watched: where hundreds are delivered at once, shares are counted once for many.
const GATHER: Duration = Duration::from_millis(50);

/// Keeps the watches that are needed, and wakes whose pause is over, for as long as it is polled.
pub(in crate::controller) async fn keep(ctx: Arc<Context>) {
    let mut kept = Kept::default();
    loop {
        kept.align(&ctx);
        let due = ctx.drift.lock().due();
        let now = ctx.drift.now(&ctx);
        tokio::select! {
            () = ctx.drift.0.moved.notified() => tokio::time::sleep(GATHER).await,
            () = until(due.map(|due| due.saturating_sub(now))) => wake_ripe(&ctx),
        }
    }
}

async fn until(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn wake_ripe(ctx: &Context) {
    let now = ctx.drift.now(ctx);
    let ripe = ctx.drift.lock().ripe(now);
    ctx.queues.kustomizations.wake_all(ripe);
}

/// The watches there are.
struct Kept {
    watches: BTreeMap<Place, Watch>,
    /// Who wants which of those as others, and has room for it.
    claims: Claims,
}

struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            watches: BTreeMap::new(),
            claims: Claims::new(MOST, MOST_OF_TENANT),
        }
    }
}

impl Kept {
    /// Begins what is missing and ends what nobody needs any more.
    fn align(&mut self, ctx: &Arc<Context>) {
        let (gone, new) = self.moved(ctx);
        for place in gone {
            self.watches.remove(&place);
            self.claims.leave(&place);
        }
        for place in new {
            match owner(ctx, &place) {
                // Whose it is may be another's later: it counts for this one until nobody wants it watched.
                Some(tenant) => self.claims.claim(place, tenant),
                None => self.begin(ctx, place),
            }
        }
        let settled = self.claims.settle();
        for place in settled.end {
            self.watches.remove(&place);
            Drift::lost(ctx, &place);
        }
        for place in settled.begin {
            self.begin(ctx, place);
        }
        for place in &settled.beyond {
            told(place, "there are too many watches already");
        }
        ctx.metrics.watches(WatchState::Kept, self.watches.len());
        ctx.metrics
            .watches(WatchState::Beyond, self.claims.beyond());
    }

    /// What nobody needs any more, and what is to be watched and was not before.
    fn moved(&self, ctx: &Context) -> (Vec<Place>, Vec<Place>) {
        let ledger = ctx.drift.lock();
        let wanted = ledger.places();
        let known = self.watches.keys().chain(self.claims.places());
        let gone = known.filter(|place| !wanted.contains_key(*place)).cloned();
        let is_known = |place: &&Place| self.watches.contains_key(*place) || self.claims.has(place);
        let new = wanted.keys().filter(|place| !is_known(place)).cloned();
        (gone.collect(), new.collect())
    }

    fn begin(&mut self, ctx: &Arc<Context>, place: Place) {
        let task = tokio::spawn(watch(Arc::clone(ctx), place.clone()));
        self.watches.insert(place, Watch(task.abort_handle()));
    }
}

/// Whose account it is as which a place is watched; None: the controller's own.
fn owner(ctx: &Context, place: &Place) -> Option<TenantName> {
    let home = place.account.as_deref()?.split(':').nth(2)?;
    let home: NamespaceName = home.parse().ok()?;
    let owner = ctx
        .index
        .read(|known| known.tenants.owner_of(&ctx.grounds, &home));
    // What is nobody's just now was somebody's when it was applied.
    Some(owner.map_or_else(|_| home.into(), |tenant| tenant.name))
}

fn told(place: &Place, why: &str) {
    let Place { kind, group, .. } = place;
    let account = place.account.as_deref().unwrap_or("the controller");
    let namespace = place.namespace.as_deref().unwrap_or("all");
    tracing::info!(
        kind,
        group,
        namespace,
        account,
        "not watched, what others change is seen at the next interval: {why}"
    );
}

/// One watch.
async fn watch(ctx: Arc<Context>, place: Place) {
    let mut said = false;
    loop {
        let mut view = View::default();
        let why = ctx
            .cluster
            .glance(&place, |glance| view.take(&ctx, &place, glance))
            .await;
        if !std::mem::replace(&mut said, true) {
            told(&place, &why.to_string());
        }
        let _refused = ctx.metrics.watch_refused();
        tokio::time::sleep(AGAIN).await;
    }
}

/// What one watch has shown.
#[derive(Default)]
struct View {
    there: BTreeSet<(String, String)>,
    listing: bool,
    /// Of those that wake who names them, at which version each was.
    versions: BTreeMap<String, String>,
    before: BTreeMap<String, String>,
    complete: bool,
}

impl View {
    fn take(&mut self, ctx: &Context, place: &Place, glance: Glance) {
        match place.which {
            Which::Applied => self.applied(ctx, place, glance),
            Which::Named => self.named(ctx, place, glance),
        }
    }

    fn applied(&mut self, ctx: &Context, place: &Place, glance: Glance) {
        match glance {
            Glance::Begin => {
                self.there.clear();
                self.listing = true;
            }
            Glance::Alive => Drift::heard(ctx, place),
            Glance::Lost => Drift::lost(ctx, place),
            Glance::There(object) => {
                if self.listing {
                    let (namespace, name) = names(&object);
                    self.there.insert((namespace.to_owned(), name.to_owned()));
                }
                Drift::saw(ctx, &identify(place, &object), Seen::there(&object));
            }
            Glance::Gone(object) => {
                let version = object.pointer("/metadata/resourceVersion");
                let version = version.and_then(Value::as_str).and_then(drift::version);
                Drift::saw(ctx, &identify(place, &object), Seen::Gone { version });
            }
            Glance::Listed(version) => {
                self.listing = false;
                let there = std::mem::take(&mut self.there);
                Drift::listed(ctx, place, &there, version);
            }
        }
    }

    /// What was there when the watch began has been read already by who names it.
    fn named(&mut self, ctx: &Context, place: &Place, glance: Glance) {
        match glance {
            Glance::Begin => self.before = std::mem::take(&mut self.versions),
            Glance::Alive | Glance::Lost => {}
            Glance::There(object) => {
                let (_, name) = names(&object);
                let version = object.pointer("/metadata/resourceVersion");
                let version = version.and_then(Value::as_str).unwrap_or_default();
                let known = self.before.get(name).or_else(|| self.versions.get(name));
                if self.complete && known.map(String::as_str) != Some(version) {
                    wake_naming(ctx, place, name);
                }
                self.versions.insert(name.to_owned(), version.to_owned());
            }
            Glance::Gone(object) => {
                let (_, name) = names(&object);
                self.versions.remove(name);
                wake_naming(ctx, place, name);
            }
            Glance::Listed(_) => {
                self.complete = true;
                let gone = std::mem::take(&mut self.before);
                let gone = gone
                    .keys()
                    .filter(|name| !self.versions.contains_key(*name));
                gone.for_each(|name| wake_naming(ctx, place, name));
            }
        }
    }
}

fn names(object: &Value) -> (&str, &str) {
    let of = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let namespace = of("/metadata/namespace").unwrap_or_default();
    (namespace, of("/metadata/name").unwrap_or_default())
}

fn identify(place: &Place, object: &Value) -> ObjectId {
    let (namespace, name) = names(object);
    ObjectId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        group: place.group.clone(),
        kind: place.kind.clone(),
    }
}

/// Wakes all that name a ConfigMap or a Secret.
fn wake_naming(ctx: &Context, place: &Place, name: &str) {
    let namespace = place.namespace.as_deref().unwrap_or_default();
    let Ok(named) = NamespacedName::new(namespace, name) else {
        return;
    };
    let touched: Vec<Target> = ctx
        .index
        .read(|known| known.touch.touched_by_secret(&named).cloned().collect());
    for target in touched {
        match target {
            Target::Source(id) => ctx.queues.sources.wake(id),
            Target::Kustomization(id) => ctx.queues.kustomizations.wake(id),
            Target::Receiver(id) => ctx.queues.receivers.wake(id),
            Target::Plugin(id) => ctx.queues.wake_plugin(id),
            Target::WriteBack(id) => ctx.queues.writebacks.wake(id),
            // Nothing of a policy lies in either.
            Target::Policy(_) => {}
        }
    }
}
