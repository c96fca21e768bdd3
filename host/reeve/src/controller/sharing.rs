//! The work is shared: what is heard of the other replicas is put in force here, and what is let go of is told to them.
//!
//! What comes is woken as if it had just been made, since nobody knows here what became of it elsewhere; what goes is not
//! begun any more, may finish for a while, and is asked to stop where that is safe after it. Whose something is says
//! `core::shard`, when a run may begin `shards`. It deliberately writes nothing but to the place's own Lease, by its line.
//!
//! What a killed replica had goes on elsewhere in so many seconds after the kill:
//!
//! | until | takes | why |
//! |---|---|---|
//! | its Lease runs out for who has seen its last beat | 3 to 4.25 | 4 since a beat that was 0 to 1 old and was seen up to 0.25 later |
//! | it is ended | one write | no reading before it: it takes hold only if the Lease is still as it was seen |
//! | who is left has seen that | one list | who was not the one to end it learns of it here too |
//! | who is left claims what comes | one write | meanwhile what comes is made ready, and its sources are fetched |
//! | nobody else claims it | one list | what was tried too early is woken by this |
//! | its first run | the run | |

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_api::receiver::Receiver;
use reeve_core::index::Target;
use reeve_core::plugin::PluginId;
use reeve_core::shard::{PLATFORM, Standing};
use tokio::time::{Instant, MissedTickBehavior};

use super::follow::Followed as _;
use super::heard;
use crate::cluster::{Id, Line, Operated, Passed, Seen};
use crate::context::Context;
use crate::index::Known;
use crate::shards::Place;

/// How soon something that another replica is about to let go of is tried again, where nothing wakes it before.
pub(super) const SOON: Duration = Duration::from_millis(250);
/// How often is looked whether something was let go of.
const TICK: Duration = Duration::from_millis(100);
/// How long what runs may go on that is another's from now on.
const FINISH: Duration = Duration::from_secs(10);
/// How often, in looks at the others, what is ours is counted.
const COUNT: u32 = 5;
/// How often is tried to pass a call on, and how long after the first try, twice as long after each: half a minute in all.
const TRIES: u32 = 6;
const AGAIN: Duration = Duration::from_secs(1);
/// How long something may be in the way of saying what is claimed before a log line tells it.
const LONG: Duration = Duration::from_secs(30);

/// Keeps this replica's part of the work what it should be, for as long as it is polled.
pub(super) async fn keep(ctx: Arc<Context>, mut line: Line) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leaving: Option<Instant> = None;
    let mut told = false;
    // The last look came before all Tenants were known.
    let mut early = false;
    let mut heard: u32 = 0;
    loop {
        let news = tokio::select! {
            Ok(()) = line.seen.changed() => true,
            _ = ticks.tick() => early && ctx.shards.know_tenants(),
        };
        let seen = match news {
            true => line.seen.borrow_and_update().clone(),
            false => None,
        };
        if let Some(seen) = seen {
            early = !ctx.shards.know_tenants();
            hear(&ctx, &line, &seen, heard.is_multiple_of(COUNT));
            heard = heard.wrapping_add(1);
        }
        let going = ctx.shards.leaving();
        if going.is_empty() {
            (leaving, told) = (None, false);
        } else {
            let since = *leaving.get_or_insert_with(Instant::now);
            if since.elapsed() > FINISH {
                let targets = going.iter().flatten();
                targets.for_each(|target| ctx.underway.supersede(target));
            }
            if since.elapsed() > LONG && !std::mem::replace(&mut told, true) {
                let runs = going.len();
                tracing::warn!(
                    runs,
                    "runs that are another replica's by now have not ended for {LONG:?}: it waits for them"
                );
            }
        }
        say(&ctx, &line);
        welcome_hooks(&ctx);
    }
}

/// Says what is claimed, if it is something else and all is let go of that it doesn't claim.
fn say(ctx: &Context, line: &Line) {
    if let Some(claim) = ctx.shards.to_say() {
        line.says.send_replace(claim);
    }
}

/// Calls of hooks are taken from when every Receiver that there is has been looked at: until then one that is not known may
/// be there.
pub(super) fn welcome_hooks(ctx: &Context) {
    if ctx.takes_calls.load(Ordering::Relaxed) {
        return;
    }
    let known = ctx.index.read(|known| {
        let mut all = known.receivers.iter();
        let goes = |object: &Receiver| object.metadata.deletion_timestamp.is_some();
        known.receivers_listed
            && all.all(|(id, object)| goes(object) || known.touch.has_receiver(id))
    });
    if known {
        ctx.takes_calls.store(true, Ordering::Relaxed);
    }
}

fn hear(ctx: &Arc<Context>, line: &Line, seen: &Seen, count: bool) {
    let moved = ctx.shards.saw(seen);
    ctx.metrics.lead(ctx.shards.are_mine(&Place::Platform));
    let replicas = seen.others.len() + 1;
    if let Some((before, now)) = &moved {
        let (comes, goes) = exchange(ctx, before, now);
        let lost = leave(ctx, goes);
        // What comes is made ready while the others are told.
        say(ctx, line);
        let gained = take_up(ctx, comes);
        wake_others(ctx, before, now);
        ctx.metrics.moved(gained, lost);
        tracing::info!(replicas, gained, lost, "the work is shared anew");
    }
    if count || moved.is_some() {
        ctx.metrics.shares(replicas, tenants(ctx));
    }
    for target in ctx.shards.ripe() {
        ctx.queues.wake(target);
    }
}

/// How many tenants with Kustomizations are this replica's.
fn tenants(ctx: &Context) -> usize {
    let namespaces: BTreeSet<NamespaceName> = ctx.index.read(|known| {
        let all = known.kustomizations.keys();
        all.map(|id| id.namespace.clone()).collect()
    });
    let places = namespaces.iter();
    let places = places.map(|namespace| Place::within(&ctx.grounds, namespace));
    let mine = places.filter(|place| ctx.shards.are_mine(place));
    let mine: BTreeSet<String> = mine.map(|place| ctx.shards.share(&place)).collect();
    mine.iter().filter(|share| *share != PLATFORM).count()
}

/// A Kustomization that changes hands, and in which share it is.
struct Moved {
    id: NamespacedName,
    object: Arc<Kustomization>,
    share: String,
}

/// Which Kustomizations come, and which go.
fn exchange(ctx: &Context, before: &Standing, now: &Standing) -> (Vec<Moved>, Vec<Moved>) {
    let kustomizations = ctx.index.read(|known| {
        let all = known.kustomizations.iter();
        let all = all.map(|(id, object)| (id.clone(), Arc::clone(object)));
        all.collect::<Vec<_>>()
    });
    let (mut comes, mut goes) = (Vec::new(), Vec::new());
    for (id, object) in kustomizations {
        let place = Place::within(&ctx.grounds, &id.namespace);
        let share = ctx.shards.share(&place);
        let which = match (before.is_wanted(&share), now.is_wanted(&share)) {
            (false, true) => &mut comes,
            (true, false) => &mut goes,
            _ => continue,
        };
        which.push(Moved { id, object, share });
    }
    (comes, goes)
}

/// What comes is woken. How many tenants that are.
fn take_up(ctx: &Context, comes: Vec<Moved>) -> usize {
    let mut shares = BTreeSet::new();
    for Moved { id, object, share } in comes {
        renew(ctx, &id, object);
        shares.insert(share);
    }
    shares.len()
}

/// What goes is left alone. How many tenants that are.
fn leave(ctx: &Context, goes: Vec<Moved>) -> usize {
    let mut shares = BTreeSet::new();
    for Moved { id, share, .. } in goes {
        let _nobody_goes_on = ctx.vigils.end(&id);
        ctx.drift.forget(&Target::Kustomization(id));
        shares.insert(share);
    }
    shares.len()
}

/// It is looked at as if it had just been made.
fn renew(ctx: &Context, id: &NamespacedName, object: Arc<Kustomization>) {
    let gone = Id {
        namespace: id.namespace.to_string(),
        name: id.name.to_string(),
    };
    Kustomization::gone(ctx, &gone);
    Kustomization::put(ctx, object);
}

/// Wakes what is ours of all other kinds: what need not be done anew says so itself.
fn wake_others(ctx: &Context, before: &Standing, now: &Standing) {
    let comes = |place: Place| {
        let share = ctx.shards.share(&place);
        !before.is_wanted(&share) && now.is_wanted(&share)
    };
    let platform = comes(Place::Platform);
    let within = |id: &NamespacedName| comes(Place::within(&ctx.grounds, &id.namespace));
    let (sources, receivers, plugins, writebacks) = ctx.index.read(|known: &Known| {
        let ids = |all: Vec<&NamespacedName>| all.into_iter().cloned().collect::<Vec<_>>();
        (
            ids(known.sources.keys().collect()),
            ids(known.receivers.keys().collect()),
            ids(known.plugins.keys().collect()),
            ids(known.writebacks.keys().collect()),
        )
    });
    for id in sources {
        if comes(Place::of_source(&ctx.grounds, &id)) {
            ctx.index.write(|known| {
                known.memory.remove(&Target::Source(id.clone()));
                known.heard.remove(&id);
                // It is told anew, with an address that is ours.
                known.stored.remove(&id);
                known.looked_at.remove(&id);
            });
        }
        // One that is another's is fetched along from now on, or forgotten.
        ctx.queues.sources.wake(id);
    }
    let queues = &ctx.queues;
    queues
        .receivers
        .wake_all(receivers.into_iter().filter(within));
    queues.plugins.wake_all(plugins.into_iter().filter(within));
    // One that is another's from now on ends its watches.
    queues.writebacks.wake_all(writebacks);
    let (tenants, policies, cluster_plugins) = ctx.index.read(|known| {
        (
            known.tenant_objects.keys().cloned().collect::<Vec<_>>(),
            known.policies.keys().cloned().collect::<Vec<_>>(),
            known.cluster_plugins.keys().cloned().collect::<Vec<_>>(),
        )
    });
    let tenants = tenants.into_iter();
    queues
        .tenants
        .wake_all(tenants.filter(|name| platform || comes(Place::Tenant(name.clone()))));
    if platform {
        queues.policies.wake_all(policies);
        queues.cluster_plugins.wake_all(cluster_plugins);
    }
}

/// Whether something that is done here needs what a source of another replica has: then it is fetched here too.
pub(super) fn needs(ctx: &Context, source: &NamespacedName) -> bool {
    let mine =
        |namespace: &NamespaceName| ctx.shards.are_mine(&Place::within(&ctx.grounds, namespace));
    ctx.index.read(|known| {
        let (mut seen, mut open) = (BTreeSet::from([source.clone()]), vec![source.clone()]);
        while let Some(id) = open.pop() {
            let touch = &known.touch;
            let of_plugins = touch.plugins_from(&id).any(|plugin| match plugin {
                PluginId::Platform(_) => true,
                PluginId::Tenant(id) => mine(&id.namespace),
            });
            // Every replica asks every policy.
            let needed = of_plugins
                || touch.policies_from(&id).next().is_some()
                || touch.kustomizations_of(&id).any(|id| mine(&id.namespace))
                || (id != *source && ctx.shards.are_mine(&Place::of_source(&ctx.grounds, &id)));
            if needed {
                return true;
            }
            let includers = touch.includers_of(&id).cloned();
            open.extend(includers.filter(|id| seen.insert(id.clone())));
        }
        false
    })
}

/// What something that is done here needs of another replica's source has to be fetched here first.
pub(super) fn fetch_for(ctx: &Context, source: Option<NamespacedName>) {
    let Some(source) = source.filter(|_| ctx.shards.are_shared()) else {
        return;
    };
    if !ctx.index.read(|known| known.looked_at.contains(&source)) {
        ctx.queues.sources.wake(source);
    }
}

/// Whether something was called for here that another replica does: it is told so by the object itself, with the Receiver that
/// was called, what the call told and the trace that it has begun.
pub(super) fn pass_on(ctx: &Arc<Context>, target: &Target) -> bool {
    hand_over(ctx, target, || Passed {
        at: ctx.clock.now().to_string(),
        receiver: heard::caller(ctx, target),
        told: heard::relay(ctx, target),
        trace: ctx.tracer.hand_on(target),
    })
}

/// The same of something that nobody has called for, and that is to be looked at all the same.
pub(super) fn ask(ctx: &Arc<Context>, target: &Target) -> bool {
    hand_over(ctx, target, || Passed {
        at: ctx.clock.now().to_string(),
        receiver: None,
        told: None,
        trace: None,
    })
}

fn hand_over(ctx: &Arc<Context>, target: &Target, passed: impl FnOnce() -> Passed) -> bool {
    let (kind, id, place) = match target {
        Target::Source(id) => (
            Operated::GitRepository,
            id,
            Place::of_source(&ctx.grounds, id),
        ),
        Target::Kustomization(id) => (
            Operated::Kustomization,
            id,
            Place::within(&ctx.grounds, &id.namespace),
        ),
        // Nothing else is named by a Receiver.
        Target::Receiver(_) | Target::Plugin(_) | Target::Policy(_) | Target::WriteBack(_) => {
            return false;
        }
    };
    if ctx.shards.are_mine(&place) {
        return false;
    }
    let passed = passed();
    let (ctx, id, target) = (Arc::clone(ctx), id.clone(), target.clone());
    tokio::spawn(async move {
        let mut pause = AGAIN;
        // Whoever has called was answered that it is taken, and does not call again.
        for left in (0..TRIES).rev() {
            let Err(why) = ctx.cluster.call(kind, &id, &passed).await else {
                return;
            };
            if left == 0 {
                tracing::warn!(error = %why, %id, "a call could not be passed on to the replica that it is for; what was pushed is found at the interval");
                return;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
            if ctx.shards.are_mine(&place) {
                return ctx.queues.wake(target);
            }
        }
    });
    true
}
