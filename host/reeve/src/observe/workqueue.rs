//! What the queues of runs look like from outside: how much waits, for how long it did, and what is worked on.
//!
//! The names, labels and buckets are those of client-go's work queues and of controller-runtime, which Flux's users
//! scrape. What runs is known by [`Ticket`]s, so a run that is cut off is no longer counted either. What it deliberately
//! doesn't: decide whose turn it is; `controller::queue` does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::metric::{Buckets, ControllerLabels, Timed, seconds};

/// The labels of one queue: controller-runtime says both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    name: &'static str,
    controller: &'static str,
}

/// The metrics of all queues.
pub(super) struct WorkQueues {
    depth: Family<QueueLabels, Gauge>,
    adds: Family<QueueLabels, Counter>,
    retries: Family<QueueLabels, Counter>,
    waited: Timed<QueueLabels>,
    worked: Timed<QueueLabels>,
    active: Family<ControllerLabels, Gauge>,
    most: Family<ControllerLabels, Gauge>,
    took: Timed<ControllerLabels>,
    panics: Family<ControllerLabels, Counter>,
    under_way: Arc<UnderWay>,
}

/// What is worked on, and since when.
#[derive(Debug, Default)]
struct UnderWay {
    next: AtomicU64,
    begun: Mutex<BTreeMap<(&'static str, u64), Instant>>,
}

impl WorkQueues {
    pub(super) fn new() -> Self {
        Self {
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            waited: Family::new_with_constructor(Buckets::Queue),
            worked: Family::new_with_constructor(Buckets::Queue),
            active: Family::default(),
            most: Family::default(),
            took: Family::new_with_constructor(Buckets::Controller),
            panics: Family::default(),
            under_way: Arc::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "workqueue_depth",
            "Current depth of workqueue",
            self.depth.clone(),
        );
        registry.register(
            "workqueue_adds",
            "Total number of adds handled by workqueue",
            self.adds.clone(),
        );
        registry.register(
            "workqueue_retries",
            "Total number of retries handled by workqueue",
            self.retries.clone(),
        );
        registry.register(
            "workqueue_queue_duration_seconds",
            "How long in seconds an item stays in workqueue before being requested",
            self.waited.clone(),
        );
        registry.register(
            "workqueue_work_duration_seconds",
            "How long in seconds processing an item from workqueue takes",
            self.worked.clone(),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Number of currently used workers per controller",
            self.active.clone(),
        );
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Maximum number of concurrent reconciles per controller",
            self.most.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "Length of time per reconciliation per controller",
            self.took.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_panics",
            "Total number of reconciliation panics per controller",
            self.panics.clone(),
        );
        registry.register_collector(Box::new(Arc::clone(&self.under_way)));
    }

    /// The queue of one controller, worked on by so many at once.
    pub(super) fn of(&self, controller: &'static str, workers: usize) -> WorkQueue {
        let labels = QueueLabels {
            name: controller,
            controller,
        };
        let by = ControllerLabels { controller };
        self.most
            .get_or_create(&by)
            .set(i64::try_from(workers).unwrap_or(i64::MAX));
        WorkQueue {
            name: controller,
            depth: self.depth.get_or_create(&labels).clone(),
            adds: self.adds.get_or_create(&labels).clone(),
            retries: self.retries.get_or_create(&labels).clone(),
            waited: self.waited.get_or_create(&labels).clone(),
            worked: self.worked.get_or_create(&labels).clone(),
            active: self.active.get_or_create(&by).clone(),
            took: self.took.get_or_create(&by).clone(),
            panics: self.panics.get_or_create(&by).clone(),
            under_way: Arc::clone(&self.under_way),
            behind: Arc::default(),
        }
    }
}

/// One queue, told of by whoever works on it.
#[derive(Debug, Clone)]
pub(crate) struct WorkQueue {
    name: &'static str,
    depth: Gauge,
    adds: Counter,
    retries: Counter,
    waited: Histogram,
    worked: Histogram,
    active: Gauge,
    took: Histogram,
    panics: Counter,
    under_way: Arc<UnderWay>,
    behind: Arc<AtomicBool>,
}

impl WorkQueue {
    /// Something was put into it.
    pub(crate) fn added(&self) {
        self.adds.inc();
    }

    /// So many wait in it; `behind`: for workers that all get on.
    pub(crate) fn holds(&self, waiting: usize, behind: bool) {
        self.depth.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.behind.store(behind, Ordering::Relaxed);
    }

    /// Whether something waits only because there is so much to do, and not because somebody hangs.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    /// Something comes again after a while.
    pub(crate) fn later(&self) {
        self.retries.inc();
    }

    /// A run panicked.
    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// Something that waited for so long is worked on, until the ticket is dropped.
    pub(crate) fn taken(&self, waited: Duration) -> Ticket {
        self.waited.observe(seconds(waited));
        self.active.inc();
        let id = (
            self.name,
            self.under_way.next.fetch_add(1, Ordering::Relaxed),
        );
        let begun = Instant::now();
        self.under_way.change(|all| all.insert(id, begun));
        Ticket {
            queue: self.clone(),
            id,
            begun,
        }
    }
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct Ticket {
    queue: WorkQueue,
    id: (&'static str, u64),
    begun: Instant,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let took = seconds(self.begun.elapsed());
        self.queue.worked.observe(took);
        self.queue.took.observe(took);
        self.queue.active.dec();
        self.queue.under_way.change(|all| all.remove(&self.id));
    }
}

impl UnderWay {
    fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<(&'static str, u64), Instant>) -> T,
    ) -> T {
        change(&mut self.begun.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Of each queue, how long all that is worked on has taken together, and how long the longest.
    fn ages(&self) -> BTreeMap<&'static str, (f64, f64)> {
        let mut ages: BTreeMap<&'static str, (f64, f64)> = BTreeMap::new();
        self.change(|all| {
            for ((name, _), begun) in all.iter() {
                let age = seconds(begun.elapsed());
                let (together, longest) = ages.entry(name).or_default();
                *together += age;
                *longest = longest.max(age);
            }
        });
        ages
    }
}

impl Collector for UnderWay {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let ages = self.ages();
        let names = super::CONTROLLERS.iter().map(|kind| kind.controller());
        let all: Vec<_> = names
            .map(|name| (name, ages.get(name).copied().unwrap_or_default()))
            .collect();
        type Pick = fn((f64, f64)) -> f64;
        let told: [(&str, &str, Pick); 2] = [
            (
                "workqueue_unfinished_work_seconds",
                "How many seconds of work is in progress and hasn't been observed by work_duration.",
                |(together, _)| together,
            ),
            (
                "workqueue_longest_running_processor_seconds",
                "How many seconds has the longest running processor for workqueue been running.",
                |(_, longest)| longest,
            ),
        ];
        for (name, help, pick) in told {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (controller, ages) in &all {
                let labels = QueueLabels {
                    name: controller,
                    controller,
                };
                ConstGauge::new(pick(*ages)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Kind, Metrics};

    #[test]
    fn a_queue_is_seen_filling_working_and_empty_again() {
        let metrics = Metrics::new();
        let queue = metrics.queue(Kind::Kustomization, 8);
        let sample = |name: &str| {
            let text = metrics.encode().unwrap();
            let line = text.lines().find(|line| {
                line.starts_with(name) && line.contains("controller=\"kustomization\"")
            });
            let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            value.unwrap_or_else(|| panic!("no {name} in {text}"))
        };
        queue.added();
        queue.holds(1, false);
        assert_eq!(sample("workqueue_depth"), 1.0);
        let ticket = queue.taken(Duration::from_millis(5));
        queue.holds(0, false);
        assert_eq!(sample("workqueue_depth"), 0.0);
        assert_eq!(sample("controller_runtime_active_workers"), 1.0);
        assert!(sample("workqueue_unfinished_work_seconds") > 0.0);
        assert!(sample("workqueue_longest_running_processor_seconds") > 0.0);
        drop(ticket);
        assert_eq!(sample("controller_runtime_active_workers"), 0.0);
        assert_eq!(sample("workqueue_unfinished_work_seconds"), 0.0);
        for (name, want) in [
            ("workqueue_adds_total", 1.0),
            ("workqueue_queue_duration_seconds_count", 1.0),
            ("workqueue_work_duration_seconds_count", 1.0),
            ("controller_runtime_reconcile_time_seconds_count", 1.0),
            ("controller_runtime_max_concurrent_reconciles", 8.0),
        ] {
            assert_eq!(sample(name), want, "{name}");
        }
    }
}
