//! The watches over what was applied: one for all of a kind that the platform watches, one a kind, namespace and account for
//! the rest.
//!
//! There are only so many of the latter, of one account and in all: a connection each. Where there are too many, or the
//! account may not watch, what others change is seen at the next interval; that is said once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_core::drift::{self, Place, Seen, Which};
use reeve_core::index::Target;
use reeve_core::inventory::ObjectId;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::Drift;
use crate::cluster::Glance;
use crate::context::Context;
use crate::observe::WatchState;

/// How many watches there are at most as others than the controller; and how many as accounts of one namespace, whoever
/// makes accounts there, and of one of the platform's.
const MOST: usize = 256;
const MOST_OF_ONE: usize = 8;
const MOST_OF_PLATFORM: usize = 64;
/// How soon it is tried again to watch what was refused: rights come and go.
const AGAIN: Duration = Duration::from_secs(600);

/// Keeps the watches that are needed, and wakes whose pause is over, for as long as it is polled.
pub(in crate::controller) async fn keep(ctx: Arc<Context>) {
    let mut kept = Kept::default();
    loop {
        kept.align(&ctx);
        let due = ctx.drift.lock().due();
        let now = ctx.drift.now(&ctx);
        tokio::select! {
            () = ctx.drift.0.moved.notified() => {}
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
#[derive(Default)]
struct Kept {
    watches: BTreeMap<Place, Watch>,
    /// Those for which there was no room, and who was told so.
    beyond: BTreeSet<Place>,
}

struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Kept {
    /// Begins what is missing and ends what nobody needs any more.
    fn align(&mut self, ctx: &Arc<Context>) {
        let wanted: BTreeSet<Place> = ctx.drift.lock().places().cloned().collect();
        self.watches.retain(|place, _| wanted.contains(place));
        let mut shares: BTreeMap<String, usize> = BTreeMap::new();
        for home in self.watches.keys().filter_map(home) {
            *shares.entry(home.to_owned()).or_default() += 1;
        }
        let mut all: usize = shares.values().sum();
        let mut beyond = BTreeSet::new();
        for place in wanted {
            if self.watches.contains_key(&place) {
                continue;
            }
            if let Some(home) = home(&place) {
                let share = shares.entry(home.to_owned()).or_default();
                if *share >= most(ctx, home) || all >= MOST {
                    beyond.insert(place);
                    continue;
                }
                *share += 1;
                all += 1;
            }
            let task = tokio::spawn(watch(Arc::clone(ctx), place.clone()));
            self.watches.insert(place, Watch(task.abort_handle()));
        }
        for place in beyond.difference(&self.beyond) {
            told(place, "there are too many watches already");
        }
        ctx.metrics.watches(WatchState::Kept, self.watches.len());
        ctx.metrics.watches(WatchState::Beyond, beyond.len());
        self.beyond = beyond;
    }
}

/// The namespace of the account as which a place is watched; None: the controller's own.
fn home(place: &Place) -> Option<&str> {
    place.account.as_deref()?.split(':').nth(2)
}

/// How many watches there are as accounts of a namespace.
fn most(ctx: &Context, home: &str) -> usize {
    let home = home.parse::<NamespaceName>();
    match home.is_ok_and(|home| ctx.grounds.is_platform(&home)) {
        true => MOST_OF_PLATFORM,
        false => MOST_OF_ONE,
    }
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
