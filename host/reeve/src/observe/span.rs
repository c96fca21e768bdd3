//! What a push goes through, told as one trace: each step, when it began and how long it took.
//!
//! A step is told when it is over. A run's place in a trace goes with its task, so that nothing which it calls has to pass it on;
//! what wakes another run leaves its place for that one ([`Branch::wakes`]), and an accepted call of a hook is where a trace
//! begins. A run that no trace has woken begins one of its own. While nobody asked for traces there are none, and all of this is
//! a look at an empty place.
//!
//! Whoever calls a hook names no trace: a `traceparent` from outside would put our steps below a stranger's. What a replica was
//! called for that another works for is passed on to that one, and the trace with it ([`Tracer::hand_on`], [`Tracer::take_up`]); whether
//! anything is told of it both find in its number, so that no word from outside decides that. Nothing here can hold a secret: names, revisions and reasons, no message and no URL. What it deliberately
//! doesn't: send anything (`export`), or count; [`super::metric`] does that whether there are traces or not.

mod export;
mod otlp;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::Either;
use reeve_core::index::Target;
use tokio::task::futures::TaskLocalFuture;

pub use export::Collector;
use export::Outbox;

use super::Metrics;

/// What is told of a step beside its name and its times.
pub type Attribute = (&'static str, String);

/// Runs that were woken within a trace and have not begun. Whoever is woken beyond that begins a trace of its own.
const WOKEN: usize = 16_384;

tokio::task_local! {
    /// The run that goes on in this task.
    static RUN: Running;
}

/// A step, and the trace that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    trace: u128,
    step: u64,
    /// Whether anything of the trace is told: decided where it begins, for all of it.
    sampled: bool,
}

impl Place {
    /// As a `traceparent` says it.
    fn header(self) -> String {
        let flags = u8::from(self.sampled);
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace, self.step)
    }

    /// What a `traceparent` says, of whose flags nothing is believed; None: that is none.
    fn parse(header: &str, ratio: f64) -> Option<Self> {
        let mut parts = header.split('-');
        let mut part = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length)?;
            let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
            part.bytes().all(is_hex).then_some(part)
        };
        let (version, trace, step, _flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let trace = u128::from_str_radix(trace, 16).ok()?;
        let step = u64::from_str_radix(step, 16).ok()?;
        let is_whole = version == "00" && trace != 0 && step != 0 && parts.next().is_none();
        is_whole.then(|| Self {
            trace,
            step,
            sampled: is_sampled(trace, ratio),
        })
    }

    fn below(self) -> Self {
        let step = id();
        Self { step, ..self }
    }
}

/// Whose turn a step is, as OpenTelemetry sorts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Internal,
    /// Somebody outside has called.
    Server,
}

/// A step that is over.
#[derive(Debug)]
struct Step {
    name: &'static str,
    sort: Sort,
    at: Place,
    parent: Option<u64>,
    /// Nanoseconds since 1970.
    begun: u64,
    ended: u64,
    attributes: Vec<Attribute>,
    /// The reason, where it failed.
    failed: Option<String>,
}

/// Begins traces, if anybody asked for them.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Live>>);

#[derive(Debug)]
struct Live {
    outbox: Outbox,
    ratio: f64,
    /// One moment, told by both clocks: within the process steps keep their order, whoever sets the time of day.
    moment: (Instant, Duration),
    woken: Mutex<BTreeMap<Target, Woken>>,
}

/// Who woke a run, and when.
#[derive(Debug, Clone, Copy)]
struct Woken {
    by: Place,
    at: Instant,
}

impl Tracer {
    /// A tracer that tells `collector` of this part of all traces, and the work of telling: it ends when nobody holds the tracer
    /// any more.
    pub fn new(
        collector: Collector,
        ratio: f64,
        metrics: &Metrics,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (outbox, sending) = export::begin(collector, metrics);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let live = Live {
            outbox,
            ratio,
            moment: (Instant::now(), now.unwrap_or_default()),
            woken: Mutex::default(),
        };
        (Self(Some(Arc::new(live))), sending)
    }

    /// Whether anybody asked for traces.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A trace begins.
    pub fn begin(&self) -> Option<Branch> {
        let live = Arc::clone(self.0.as_ref()?);
        let at = live.root();
        Some(Branch { live, at })
    }

    /// A run of `target` begins, in the trace of whoever woke it.
    pub fn run(&self, target: &Target, attributes: Vec<Attribute>) -> Option<Running> {
        let live = Arc::clone(self.0.as_ref()?);
        let woken = live.woken().remove(target);
        let (own, parent) = match woken {
            Some(woken) => {
                let waited = woken.at.elapsed();
                let wake = woken.by.below();
                let step = live.step("wake", wake, waited, Vec::new());
                live.tell(Step {
                    parent: Some(woken.by.step),
                    ..step
                });
                (wake.below(), Some(wake.step))
            }
            None => (live.root(), None),
        };
        Some(Running {
            live,
            own,
            parent,
            begun: Instant::now(),
            stage: AtomicU64::new(id()),
            told: Mutex::new((attributes, None)),
        })
    }

    /// What was left here for a run that another replica does: how that one is told of its trace.
    pub fn hand_on(&self, target: &Target) -> Option<String> {
        let woken = self.0.as_ref()?.woken().remove(target)?;
        Some(woken.by.header())
    }

    /// The next run of `target` goes on with the trace that another replica has told of so. What is none is passed over.
    pub fn take_up(&self, target: &Target, header: &str) {
        if let Some(live) = &self.0
            && let Some(by) = Place::parse(header, live.ratio)
        {
            live.wakes(target, by);
        }
    }

    /// Nothing that was woken runs here any more: another process is at work.
    pub fn forget(&self) {
        if let Some(live) = &self.0 {
            live.woken().clear();
        }
    }
}

impl Live {
    fn root(&self) -> Place {
        let trace = (u128::from(id()) << 64) | u128::from(id());
        Place {
            trace,
            step: id(),
            sampled: is_sampled(trace, self.ratio),
        }
    }

    fn woken(&self) -> MutexGuard<'_, BTreeMap<Target, Woken>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wakes(&self, target: &Target, by: Place) {
        let mut woken = self.woken();
        // The first call is the one that has waited longest; one run answers all that came meanwhile.
        if woken.len() < WOKEN || woken.contains_key(target) {
            let at = Instant::now();
            woken.entry(target.clone()).or_insert(Woken { by, at });
        }
    }

    /// A step that has just ended.
    fn step(
        &self,
        name: &'static str,
        at: Place,
        took: Duration,
        attributes: Vec<Attribute>,
    ) -> Step {
        let (then, since_1970) = self.moment;
        let ended = since_1970.saturating_add(then.elapsed());
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Step {
            name,
            sort: Sort::Internal,
            at,
            parent: None,
            begun: nanos(ended.saturating_sub(took)),
            ended: nanos(ended),
            attributes,
            failed: None,
        }
    }

    fn tell(&self, step: Step) {
        if step.at.sampled {
            self.outbox.put(step);
        }
    }
}

/// Whether a trace is one of those that are told of: every replica finds the same, as its number is chance.
fn is_sampled(trace: u128, ratio: f64) -> bool {
    let chance = u32::try_from(trace & u128::from(u32::MAX)).unwrap_or_default();
    f64::from(chance) / 2_f64.powi(32) < ratio
}

/// Never zero, which stands for none.
fn id() -> u64 {
    rand::random::<u64>().max(1)
}

/// A place in a trace, for what does not go on in the run's own task.
#[derive(Debug, Clone)]
pub struct Branch {
    live: Arc<Live>,
    at: Place,
}

impl Branch {
    /// The call at which the trace begins was answered after so long.
    pub fn called(&self, name: &'static str, took: Duration, attributes: Vec<Attribute>) {
        let step = self.live.step(name, self.at, took, attributes);
        let sort = Sort::Server;
        self.live.tell(Step { sort, ..step });
    }

    /// A step below it is over, which took so long.
    pub fn took(&self, name: &'static str, took: Duration, attributes: Vec<Attribute>) {
        let step = self.live.step(name, self.at.below(), took, attributes);
        let parent = Some(self.at.step);
        self.live.tell(Step { parent, ..step });
    }

    /// The next run of `target` goes on with this trace.
    pub fn wakes(&self, target: &Target) {
        self.live.wakes(target, self.at);
    }
}

/// A run that goes on, and is told when this is dropped: one that is cut off has taken its time, too.
#[derive(Debug)]
pub struct Running {
    live: Arc<Live>,
    own: Place,
    parent: Option<u64>,
    begun: Instant,
    /// The stage that goes on: what is within it may be over before.
    stage: AtomicU64,
    told: Mutex<(Vec<Attribute>, Option<String>)>,
}

impl Running {
    fn below(&self, parent: u64, at: Place, name: &'static str, took: Duration) -> Step {
        let step = self.live.step(name, at, took, Vec::new());
        Step {
            parent: Some(parent),
            ..step
        }
    }

    fn told(&self) -> MutexGuard<'_, (Vec<Attribute>, Option<String>)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (attributes, failed) = std::mem::take(&mut *self.told());
        let took = self.begun.elapsed();
        let step = self.live.step("reconcile", self.own, took, attributes);
        self.live.tell(Step {
            parent: self.parent,
            failed,
            ..step
        });
    }
}

/// Does `work` as that run, if it is one that is told of.
pub fn within<F: Future>(run: Option<Running>, work: F) -> Either<TaskLocalFuture<Running, F>, F> {
    match run {
        Some(run) => Either::Left(RUN.scope(run, work)),
        None => Either::Right(work),
    }
}

/// What the run that goes on in this task is to do, if there is one that anything is told of.
fn sampled(tell: impl FnOnce(&Running)) {
    let _off = RUN.try_with(|run| {
        if run.own.sampled {
            tell(run);
        }
    });
}

/// A step of the run is over, which took so long.
pub fn took(name: &'static str, took: Duration, attributes: impl FnOnce() -> Vec<Attribute>) {
    sampled(|run| {
        let step = run.below(run.own.step, run.own.below(), name, took);
        let attributes = attributes();
        run.live.tell(Step { attributes, ..step });
    });
}

/// A step of the stage that goes on is over, which took so long; it `failed` or not.
pub fn inside(
    name: &'static str,
    took: Duration,
    failed: bool,
    attributes: impl FnOnce() -> Vec<Attribute>,
) {
    sampled(|run| {
        let stage = run.stage.load(Ordering::Relaxed);
        let step = run.below(stage, run.own.below(), name, took);
        run.live.tell(Step {
            attributes: attributes(),
            failed: failed.then(String::new),
            ..step
        });
    });
}

/// A stage of the run is over, with all that is inside of it, and the next one begins.
pub(super) fn stage(name: &'static str, took: Duration) {
    sampled(|run| {
        let step = run.stage.swap(id(), Ordering::Relaxed);
        let at = Place { step, ..run.own };
        run.live.tell(run.below(run.own.step, at, name, took));
    });
}

/// What the run came to: which revision it was about, and for which reason it failed.
pub fn came_to(revision: Option<&str>, failed: Option<&str>) {
    sampled(|run| {
        let mut told = run.told();
        let revision = revision.map(|revision| ("revision", revision.to_owned()));
        told.0.extend(revision);
        told.1 = failed.map(str::to_owned);
    });
}

/// The place of the run that goes on in this task.
pub fn branch() -> Option<Branch> {
    let branch = RUN.try_with(|run| Branch {
        live: Arc::clone(&run.live),
        at: run.own,
    });
    branch.ok()
}

/// The next run of `target` goes on with the trace of the one that goes on in this task.
pub fn wakes(target: &Target) {
    let _off = RUN.try_with(|run| run.live.wakes(target, run.own));
}

#[cfg(test)]
mod tests;
