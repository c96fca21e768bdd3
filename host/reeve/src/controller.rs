//! Who watches what, and who is woken by it. No decisions.
//!
//! Each kind has a watch that feeds the index (`controller/follow`) and a queue of runs, and each run is one function of
//! its own file. They meet in the index and in the queues, never directly; what a run came to is told by `report`, the
//! only writer of status. The webhook server reaches the runs by the same queues.

mod drift;
mod follow;
mod heard;
mod housekeeping;
mod kustomization;
mod late;
mod lent;
mod marks;
mod parting;
mod planned;
mod plugin;
mod policy;
mod proposals;
mod provider;
mod queue;
mod receiver;
mod remains;
mod report;
mod reports;
mod review;
mod sharing;
mod source;
mod standby;
mod strays;
mod tenant;
mod traced;
mod underway;
mod vigils;
mod writeback;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reeve_api::name::{NamespacedName, PluginName, PolicyName, TenantName};
use reeve_core::index::Target;
use reeve_core::plugin::PluginId;
use reeve_core::schedule::Next;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::cluster::Line;
use crate::context::{Context, Queues};
use crate::observe::{Kind, span};
use crate::shards::{Part, Place};

pub(crate) use drift::Drift;
pub(crate) use marks::Marked;
pub(crate) use planned::Planned;
pub(crate) use proposals::{Desk, Turns};
pub(crate) use provider::{Kept, Shares, Tokens};
pub(crate) use queue::{Queue, most};
pub(crate) use receiver::answer_nudges;
pub(crate) use review::{Review, review, review_policy};
pub(crate) use standby::stand_by;
pub(crate) use underway::Underway;
pub(crate) use vigils::Vigils;
pub(crate) use writeback::Wards;

use queue::{Errand, Halt, Inbox, Pace, Whose};
use traced::{log_span, traced};

/// How many runs of a kind there may be at once.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    /// Fetches: they wait for other people's servers.
    pub sources: usize,
    /// Renders and applies.
    pub kustomizations: usize,
}

/// The ends of the queues that workers empty.
#[derive(Clone)]
pub(crate) struct Inboxes {
    sources: Inbox<NamespacedName>,
    kustomizations: Inbox<NamespacedName>,
    receivers: Inbox<NamespacedName>,
    tenants: Inbox<TenantName>,
    plugins: Inbox<NamespacedName>,
    cluster_plugins: Inbox<PluginName>,
    policies: Inbox<PolicyName>,
    marks: Inbox<NamespacedName>,
    proposals: Inbox<NamespacedName>,
    writebacks: Inbox<NamespacedName>,
}

impl Inboxes {
    async fn drain(&self) {
        self.drain_work().await;
        queue::drain(&self.sources).await;
        queue::drain(&self.receivers).await;
        queue::drain(&self.policies).await;
    }

    /// Those that nobody empties who only stands by.
    async fn drain_work(&self) {
        queue::drain(&self.kustomizations).await;
        queue::drain(&self.tenants).await;
        queue::drain(&self.plugins).await;
        queue::drain(&self.cluster_plugins).await;
        queue::drain(&self.marks).await;
        queue::drain(&self.proposals).await;
        queue::drain(&self.writebacks).await;
    }
}

/// A queue for each kind.
pub(crate) fn queues() -> (Queues, Inboxes) {
    let (sources, sources_in) = Queue::new();
    let (kustomizations, kustomizations_in) = Queue::new();
    let (receivers, receivers_in) = Queue::new();
    let (tenants, tenants_in) = Queue::new();
    let (plugins, plugins_in) = Queue::new();
    let (cluster_plugins, cluster_plugins_in) = Queue::new();
    let (policies, policies_in) = Queue::new();
    let (marks, marks_in) = Queue::new();
    let (proposals, proposals_in) = Queue::new();
    let (writebacks, writebacks_in) = Queue::new();
    let queues = Queues {
        sources,
        kustomizations,
        receivers,
        tenants,
        plugins,
        cluster_plugins,
        policies,
        marks,
        proposals,
        writebacks,
    };
    let inboxes = Inboxes {
        sources: sources_in,
        kustomizations: kustomizations_in,
        receivers: receivers_in,
        tenants: tenants_in,
        plugins: plugins_in,
        cluster_plugins: cluster_plugins_in,
        policies: policies_in,
        marks: marks_in,
        proposals: proposals_in,
        writebacks: writebacks_in,
    };
    (queues, inboxes)
}

/// Whose share of the workers a run takes.
trait Owned {
    fn owner(&self, ctx: &Context) -> Whose;
}

impl Owned for NamespacedName {
    fn owner(&self, ctx: &Context) -> Whose {
        if ctx.grounds.is_config(&self.namespace) {
            // Every tenant's sources lie here side by side: each is its own.
            return Whose::plain(self.to_string());
        }
        let (name, weight) = ctx
            .index
            .read(|known| known.tenants.share_of(&self.namespace));
        Whose {
            name,
            weight: weight.parts(),
        }
    }
}

impl Owned for TenantName {
    fn owner(&self, _ctx: &Context) -> Whose {
        Whose::plain(self.to_string())
    }
}

impl Owned for PluginName {
    fn owner(&self, _ctx: &Context) -> Whose {
        Whose::plain(self.to_string())
    }
}

impl Owned for PolicyName {
    fn owner(&self, _ctx: &Context) -> Whose {
        Whose::plain(self.to_string())
    }
}

/// When a term ends.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    /// The process is told to stop: what runs may finish, for so long.
    pub(crate) stop: CancellationToken,
    pub(crate) grace: Duration,
    /// The lease is lost: what runs ends where it is, before its next write.
    pub(crate) lost: CancellationToken,
    /// Where the work is shared: what is said to the others, and heard of them.
    pub(crate) line: Option<Line>,
}

/// Runs every controller for one term. It knows nothing of an earlier one: the watches list everything anew.
pub(crate) async fn run(ctx: &Arc<Context>, inboxes: &Inboxes, workers: Workers, term: Term) {
    inboxes.drain().await;
    ctx.vigils.clear();
    ctx.drift.clear();
    ctx.wards.clear();
    ctx.quotas.clear();
    ctx.tracer.forget();
    ctx.index.forget(&ctx.grounds);
    ctx.knocks.begin(ctx.clock.instant());
    ctx.shards.rest(false);
    match &term.line {
        // What of it is ours is yet to be found out.
        Some(line) => ctx.shards.begin(line.place),
        None => {
            ctx.takes_calls.store(true, Ordering::Relaxed);
            ctx.metrics.lead(true);
        }
    }
    tracing::info!("leading: controllers start");
    let halt = Halt {
        after_these: term.stop,
        at_once: term.lost,
    };
    let mut watches = JoinSet::new();
    follow::all(ctx, &mut watches);
    watches.spawn(drift::keep(Arc::clone(ctx)));
    watches.spawn(housekeeping::keep(Arc::clone(ctx)));
    watches.spawn(housekeeping::tell_calls(Arc::clone(ctx)));
    watches.spawn(housekeeping::tell_verdicts(Arc::clone(ctx)));
    watches.spawn(tenant::tell_usage(Arc::clone(ctx)));
    watches.spawn(reports::tell(Arc::clone(ctx)));
    watches.spawn(late::keep(Arc::clone(ctx)));
    watches.spawn(remains::keep(Arc::clone(ctx)));
    if let Some(line) = term.line {
        watches.spawn(sharing::keep(Arc::clone(ctx), line));
    }
    let mut runs = begin(ctx, inboxes, workers, &halt);
    halt.begun().await;
    ctx.underway.end_policies();
    // Whoever calls a hook from now on comes again, to this replica when it stands by or to another.
    ctx.takes_calls.store(false, Ordering::Relaxed);
    ctx.metrics.lead(false);
    ctx.metrics.shares(0, 0);
    let finish = async { while runs.join_next().await.is_some() {} };
    let grace = term.grace;
    if tokio::time::timeout(grace, finish).await.is_err() {
        tracing::warn!(
            "runs did not finish within {grace:?}; they are taken up again at the next start"
        );
    }
    ctx.vigils.clear();
    ctx.wards.clear();
    watches.shutdown().await;
}

/// Works on Kustomizations, of which some runs only tell what was waited for.
fn kustomizations(
    ctx: &Arc<Context>,
    inboxes: &Inboxes,
    workers: Workers,
    halt: &Halt,
) -> impl Future<Output = ()> + Send + use<> {
    let (workers, inbox) = (workers.kustomizations, Arc::clone(&inboxes.kustomizations));
    let seen = ctx.metrics.queue(Kind::Kustomization, workers);
    let pace = Pace::of(Kind::Kustomization, workers);
    ctx.events.give_way_to(&seen);
    let (ctx, known) = (Arc::clone(ctx), Arc::clone(ctx));
    let owner = move |key: &NamespacedName| key.owner(&known);
    let run = move |key: NamespacedName, errand| {
        let ctx = Arc::clone(&ctx);
        let log = log_span(Kind::Kustomization, &key);
        let run = async move {
            let place = Place::within(&ctx.grounds, &key.namespace);
            let target = Target::Kustomization(key.clone());
            let _pass = match ctx.shards.enter(&place, Some(target)) {
                Part::Mine(pass) => pass,
                Part::Soon => return Next::After(sharing::SOON),
                Part::Others => return Next::Watch,
            };
            let source = ctx.index.read(|known| known.touch.source_of(&key).cloned());
            sharing::fetch_for(&ctx, source);
            let told = traced(&ctx, Kind::Kustomization, &key);
            let run = async {
                match errand {
                    Errand::Run => kustomization::reconcile(&ctx, &key).await,
                    Errand::Tell => kustomization::tell(&ctx, &key).await,
                }
            };
            span::within(told, run).await
        };
        run.instrument(log)
    };
    queue::work(inbox, pace, halt.clone(), seen, owner, run)
}

/// Begins to work on one queue, as a task: where an object belongs, what a run is, what one is while another replica lets go of
/// it, and what one is of a replica that only has what another works for.
macro_rules! work {
    (
        $runs:ident, $ctx:ident, $inboxes:ident, $halt:ident;
        $kind:ident, $key:ty, $inbox:ident, $workers:expr, $place:expr, $target:expr, $reconcile:path, $soon:path, $beside:path
    ) => {{
        let (pace, inbox) = (
            Pace::of(Kind::$kind, $workers),
            Arc::clone(&$inboxes.$inbox),
        );
        let seen = $ctx.metrics.queue(Kind::$kind, $workers);
        let (ctx, known) = (Arc::clone($ctx), Arc::clone($ctx));
        let owner = move |key: &$key| key.owner(&known);
        let run = move |key: $key, _| {
            let ctx = Arc::clone(&ctx);
            let log = log_span(Kind::$kind, &key);
            let run = async move {
                let place: fn(&Context, &$key) -> Place = $place;
                let target: fn($key) -> Option<Target> = $target;
                match ctx.shards.enter(&place(&ctx, &key), target(key.clone())) {
                    Part::Mine(_pass) => {
                        let told = traced(&ctx, Kind::$kind, &key);
                        span::within(told, $reconcile(&ctx, &key)).await
                    }
                    Part::Soon => $soon(&ctx, &key).await,
                    Part::Others => $beside(&ctx, &key).await,
                }
            };
            run.instrument(log)
        };
        $runs.spawn(queue::work(inbox, pace, $halt.clone(), seen, owner, run));
    }};
}

/// Begins to work on every queue, as a task each.
fn begin(ctx: &Arc<Context>, inboxes: &Inboxes, workers: Workers, halt: &Halt) -> JoinSet<()> {
    let mut runs = JoinSet::new();
    // Tenants, policies and plugins first in the list, since the others depend on what they say.
    begin_platforms(ctx, inboxes, halt, &mut runs);
    work!(
        runs, ctx, inboxes, halt;
        Plugin, NamespacedName, plugins, 4, within,
        |id| Some(Target::Plugin(PluginId::Tenant(id))),
        plugin::reconcile_tenants, soon, nothing
    );
    work!(
        runs, ctx, inboxes, halt;
        GitRepository, NamespacedName, sources, workers.sources, of_source,
        |id| Some(Target::Source(id)),
        source::reconcile, source::fetch_ahead, source::fetch_along
    );
    runs.spawn(kustomizations(ctx, inboxes, workers, halt));
    runs.spawn(receivers(ctx, inboxes, halt));
    work!(
        runs, ctx, inboxes, halt;
        WriteBack, NamespacedName, writebacks, 4, within,
        |id| Some(Target::WriteBack(id)),
        writeback::reconcile, soon, writeback::leave
    );
    tell_forges(ctx, inboxes, halt, &mut runs);
    runs
}

/// The same for what is the platform's, and what Tenants are told.
fn begin_platforms(ctx: &Arc<Context>, inboxes: &Inboxes, halt: &Halt, runs: &mut JoinSet<()>) {
    work!(
        runs, ctx, inboxes, halt;
        Tenant, TenantName, tenants, 1, |_, name| Place::Tenant(name.clone()),
        |_| None,
        tenant::reconcile, soon, tenant::beside
    );
    work!(
        runs, ctx, inboxes, halt;
        Policy, PolicyName, policies, 2, |_, _| Place::Platform,
        |name| Some(Target::Policy(name)),
        policy::reconcile, soon, policy::have
    );
    work!(
        runs, ctx, inboxes, halt;
        ClusterPlugin, PluginName, cluster_plugins, 2, |_, _| Place::Platform,
        |name| Some(Target::Plugin(PluginId::Platform(name))),
        plugin::reconcile_platforms, soon, plugin::have_platforms
    );
}

/// Works on Receivers: every replica is called, and learns first of all what for.
fn receivers(
    ctx: &Arc<Context>,
    inboxes: &Inboxes,
    halt: &Halt,
) -> impl Future<Output = ()> + Send + use<> {
    let inbox = Arc::clone(&inboxes.receivers);
    let (seen, pace) = (
        ctx.metrics.queue(Kind::Receiver, 4),
        Pace::of(Kind::Receiver, 4),
    );
    let (ctx, known) = (Arc::clone(ctx), Arc::clone(ctx));
    let owner = move |key: &NamespacedName| key.owner(&known);
    let run = move |key: NamespacedName, _| {
        let ctx = Arc::clone(&ctx);
        let span = log_span(Kind::Receiver, &key);
        async move {
            match ctx.shards.enter(&within(&ctx, &key), None) {
                Part::Mine(_pass) => receiver::reconcile(&ctx, &key).await,
                Part::Soon => {
                    if !ctx.index.read(|known| known.touch.has_receiver(&key)) {
                        let _again_soon = receiver::learn(&ctx, &key).await;
                    }
                    Next::After(sharing::SOON)
                }
                Part::Others => receiver::learn(&ctx, &key).await,
            }
        }
        .instrument(span)
    };
    queue::work(inbox, pace, halt.clone(), seen, owner, run)
}

fn of_source(ctx: &Context, id: &NamespacedName) -> Place {
    Place::of_source(&ctx.grounds, id)
}

fn within(ctx: &Context, id: &NamespacedName) -> Place {
    Place::within(&ctx.grounds, &id.namespace)
}

/// What is ours soon, and of which nothing is done before that.
fn soon<K>(_ctx: &Arc<Context>, _key: &K) -> std::future::Ready<Next> {
    std::future::ready(Next::After(sharing::SOON))
}

/// What is another replica's, and of which nothing is needed here.
fn nothing(_ctx: &Arc<Context>, _id: &NamespacedName) -> std::future::Ready<Next> {
    std::future::ready(Next::Watch)
}

/// Begins to tell forges what becomes of commits, and of pull requests, as a task each: no other run waits for that.
fn tell_forges(ctx: &Arc<Context>, inboxes: &Inboxes, halt: &Halt, runs: &mut JoinSet<()>) {
    macro_rules! tell {
        ($name:literal, $kind:ident, $inbox:ident, $workers:literal, $place:expr, $reconcile:path) => {{
            let (pace, inbox) = (Pace::of(Kind::$kind, $workers), Arc::clone(&inboxes.$inbox));
            let seen = ctx.metrics.queue_beside($name, $workers);
            let (ctx, known) = (Arc::clone(ctx), Arc::clone(ctx));
            let owner = move |key: &NamespacedName| key.owner(&known);
            let run = move |key: NamespacedName, _| {
                let ctx = Arc::clone(&ctx);
                let span = log_span(Kind::$kind, &key);
                async move {
                    let place: fn(&Context, &NamespacedName) -> Place = $place;
                    match ctx.shards.enter(&place(&ctx, &key), None) {
                        Part::Mine(_pass) => $reconcile(&ctx, &key).await,
                        Part::Soon => Next::After(sharing::SOON),
                        Part::Others => Next::Watch,
                    }
                }
                .instrument(span)
            };
            runs.spawn(queue::work(inbox, pace, halt.clone(), seen, owner, run));
        }};
    }
    tell!(
        "commitstatus",
        Kustomization,
        marks,
        4,
        within,
        marks::reconcile
    );
    tell!(
        "pullrequest",
        GitRepository,
        proposals,
        2,
        of_source,
        proposals::reconcile
    );
}
