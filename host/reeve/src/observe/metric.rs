//! The metrics, all of them: names, labels, buckets.
//!
//! Where Flux has a name, it is Flux's, so that its dashboards work. Nothing is counted from here: [`super::happening`]
//! does that. What it deliberately doesn't: serve them (`http::metrics`).

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{
    Histogram, exponential_buckets, exponential_buckets_range,
};
use prometheus_client::registry::Registry;
use reeve_api::policy::Mode;

use super::drift::Drifts;
use super::landlord::{Landlords, Standing};
use super::policies::{Force, Policies};
use super::requests::Requests;
use super::shares::Shares;
use super::stage::StageLabels;
use super::workqueue::{WorkQueue, WorkQueues};
use super::writeback::WrittenCounts;
use super::{Kind, Object, process};

/// Labels of what is counted by object, as Flux has them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ObjectLabels {
    kind: &'static str,
    name: String,
    namespace: String,
}

impl From<Object<'_>> for ObjectLabels {
    fn from(object: Object<'_>) -> Self {
        Self {
            kind: object.kind.as_str(),
            name: object.name.to_owned(),
            namespace: object.namespace.to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RunLabels {
    pub(super) controller: &'static str,
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ControllerLabels {
    pub(super) controller: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HookLabels {
    pub(super) code: u16,
    pub(super) handler: &'static str,
    pub(super) method: &'static str,
    pub(super) service: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResultLabels {
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ActionLabels {
    pub(super) action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PluginLabels {
    pub(super) plugin: String,
    pub(super) tenant: String,
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PolicyLabels {
    pub(super) policy: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LimitLabels {
    pub(super) tenant: String,
    pub(super) limit: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReviewLabels {
    pub(super) kind: &'static str,
    pub(super) verdict: &'static str,
}

/// Makes histograms with the buckets of one family.
#[derive(Debug, Clone, Copy)]
pub(super) enum Buckets {
    /// Flux's for reconciles: ten from 10 ms to half an hour.
    Reconcile,
    /// Prometheus' own default: what Flux has for requests.
    Request,
    /// From a millisecond to a minute: fetches and plugin calls.
    Work,
    /// From a tenth of a millisecond to two seconds: rules that are asked.
    Thought,
    /// controller-runtime's for work queues: from 10 ns to 1000 s.
    Queue,
    /// controller-runtime's for reconciles.
    Controller,
}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        match self {
            Self::Reconcile => Histogram::new(exponential_buckets_range(0.01, 1800.0, 10)),
            Self::Request => Histogram::new([
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ]),
            Self::Work => Histogram::new(exponential_buckets_range(0.001, 60.0, 12)),
            Self::Thought => Histogram::new(exponential_buckets_range(0.0001, 2.0, 10)),
            Self::Queue => Histogram::new(exponential_buckets(10e-9, 10.0, 12)),
            Self::Controller => Histogram::new([
                0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6,
                0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0,
                8.0, 9.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
            ]),
        }
    }
}

pub(super) type Timed<L> = Family<L, Histogram, Buckets>;

/// Every counter and histogram, and the registry they are served from.
pub struct Metrics {
    registry: Registry,
    pub(super) reconcile_duration: Timed<ObjectLabels>,
    pub(super) reconciles: Family<RunLabels, Counter>,
    pub(super) reconcile_errors: Family<ControllerLabels, Counter>,
    pub(super) hook_duration: Timed<HookLabels>,
    pub(super) nudges_dropped: Counter,
    pub(super) fetch_duration: Timed<ResultLabels>,
    pub(super) fetched_bytes: Counter,
    pub(super) render_duration: Timed<ResultLabels>,
    pub(super) stage_duration: Timed<StageLabels>,
    pub(super) applied: Family<ActionLabels, Counter>,
    pub(super) plugin_duration: Timed<PluginLabels>,
    pub(super) denied: Family<PolicyLabels, Counter>,
    pub(super) policies: Policies,
    pub(super) drifts: Drifts,
    pub(super) written: WrittenCounts,
    pub(super) limited: Family<LimitLabels, Counter>,
    pub(super) review_duration: Timed<ReviewLabels>,
    pub(super) leader: Gauge,
    shares: Shares,
    landlords: Landlords,
    queues: WorkQueues,
    requests: Requests,
    spans: Spans,
}

/// What became of the steps of traces.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans(Family<ResultLabels, Counter>);

impl Spans {
    pub(super) fn exported(&self, steps: usize) {
        self.count("exported", steps);
    }

    pub(super) fn dropped(&self, steps: usize) {
        self.count("dropped", steps);
    }

    fn count(&self, result: &'static str, steps: usize) {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        self.0.get_or_create(&ResultLabels { result }).inc_by(steps);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            reconcile_duration: Family::new_with_constructor(Buckets::Reconcile),
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            hook_duration: Family::new_with_constructor(Buckets::Request),
            nudges_dropped: Counter::default(),
            fetch_duration: Family::new_with_constructor(Buckets::Work),
            fetched_bytes: Counter::default(),
            render_duration: Family::new_with_constructor(Buckets::Work),
            stage_duration: Family::new_with_constructor(Buckets::Work),
            applied: Family::default(),
            plugin_duration: Family::new_with_constructor(Buckets::Work),
            denied: Family::default(),
            policies: Policies::new(),
            drifts: Drifts::default(),
            written: WrittenCounts::default(),
            limited: Family::default(),
            review_duration: Family::new_with_constructor(Buckets::Request),
            leader: Gauge::default(),
            shares: Shares::default(),
            landlords: Landlords::default(),
            queues: WorkQueues::new(),
            requests: Requests::default(),
            spans: Spans::default(),
            registry: Registry::default(),
        };
        metrics.register_flux(&mut registry);
        metrics.queues.register(&mut registry);
        metrics.register_ours(&mut registry);
        registry.register(
            "reeve_trace_spans",
            "Steps of traces by whether the collector took them",
            metrics.spans.0.clone(),
        );
        registry.register_collector(Box::new(process::Process));
        Self {
            registry,
            ..metrics
        }
    }

    /// What Flux has, by Flux's names.
    fn register_flux(&self, registry: &mut Registry) {
        registry.register(
            "gotk_reconcile_duration_seconds",
            "The duration in seconds of a GitOps Toolkit resource reconciliation",
            self.reconcile_duration.clone(),
        );
        registry.register(
            "gotk_receiver_http_request_duration_seconds",
            "The latency of the HTTP requests to webhook receivers",
            self.hook_duration.clone(),
        );
        registry.register(
            "controller_runtime_reconcile",
            "Total number of reconciliations per controller",
            self.reconciles.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_errors",
            "Total number of reconciliation errors per controller",
            self.reconcile_errors.clone(),
        );
        self.requests.register(registry);
    }

    /// What only we have.
    fn register_ours(&self, registry: &mut Registry) {
        registry.register(
            "reeve_fetch_duration_seconds",
            "How long asking a repository took, by what came of it",
            self.fetch_duration.clone(),
        );
        registry.register(
            "reeve_render_duration_seconds",
            "How long having a Kustomization's manifests took, by whether they were built",
            self.render_duration.clone(),
        );
        registry.register(
            "reeve_stage_duration_seconds",
            "How long a stage of a Kustomization's run took",
            self.stage_duration.clone(),
        );
        registry.register(
            "reeve_fetched_bytes",
            "Bytes of artifacts made from what was fetched",
            self.fetched_bytes.clone(),
        );
        registry.register(
            "reeve_applied_objects",
            "Objects by what a reconcile did to them",
            self.applied.clone(),
        );
        registry.register(
            "reeve_plugin_duration_seconds",
            "How long calls of a plugin took, by what came of them",
            self.plugin_duration.clone(),
        );
        registry.register(
            "reeve_denied",
            "Reconciles that a policy denied, by policy",
            self.denied.clone(),
        );
        self.policies.register(registry);
        self.drifts.register(registry);
        self.written.register(registry);
        registry.register(
            "reeve_tenant_limited",
            "Runs that did not begin, or did not write, because a tenant's limit was reached",
            self.limited.clone(),
        );
        registry.register(
            "reeve_admission_duration_seconds",
            "How long answering the API server about an object took, by what was answered",
            self.review_duration.clone(),
        );
        self.register_replica(registry);
    }

    /// What a replica is asked for by others, and which part it has.
    fn register_replica(&self, registry: &mut Registry) {
        registry.register(
            "reeve_nudges_dropped",
            "Webhook calls turned away because too many were waiting",
            self.nudges_dropped.clone(),
        );
        registry.register(
            "reeve_leader",
            "1 while this process is the one that acts",
            self.leader.clone(),
        );
        self.shares.register(registry);
        self.landlords.register(registry);
    }

    /// Counts and logs one fact.
    pub fn tell(&self, happening: &impl super::Happening) {
        happening.log();
        happening.count(self);
    }

    /// Forgets an object that is gone, so that its series end.
    pub fn forget(&self, object: Object<'_>) {
        let _was_there = self.reconcile_duration.remove(&object.into());
    }

    /// Says how a Policy stands.
    pub fn policy(&self, name: &str, mode: Mode, force: Force) {
        self.policies.stands(name, mode, force);
    }

    /// Forgets a Policy that is gone, so that its series end.
    pub fn forget_policy(&self, name: &str) {
        self.policies.forget(name);
        let policy = name.to_owned();
        let _was_there = self.denied.remove(&PolicyLabels { policy });
    }

    /// Says whether this process is the one that acts.
    pub fn lead(&self, leading: bool) {
        self.leader.set(i64::from(leading));
    }

    /// Says how many replicas share the work, and how many tenants are this one's.
    pub(crate) fn shares(&self, replicas: usize, tenants: usize) {
        self.shares.stand(replicas, tenants);
    }

    /// Counts tenants that have come to this replica, and gone from it.
    pub(crate) fn moved(&self, gained: usize, lost: usize) {
        self.shares.moved(gained, lost);
    }

    /// Says whether this process is the landlord that acts.
    pub(crate) fn lead_as_landlord(&self, acting: bool) {
        self.landlords.lead(acting);
    }

    /// Says how many Tenants stand how.
    pub(crate) fn tenants_stand(&self, standing: Standing) {
        self.landlords.stand(standing);
    }

    /// What the requests to the API server are counted by.
    pub fn requests(&self) -> Requests {
        self.requests.clone()
    }

    /// What the steps of traces are counted by.
    pub(super) fn spans(&self) -> Spans {
        self.spans.clone()
    }

    /// The queue of one kind of object, worked on by so many at once.
    pub(crate) fn queue(&self, kind: Kind, workers: usize) -> WorkQueue {
        self.queues.of(kind.controller(), workers)
    }

    /// A queue of runs beside those of a kind, by its own name.
    pub(crate) fn queue_beside(&self, name: &'static str, workers: usize) -> WorkQueue {
        self.queues.of(name, workers)
    }

    /// All of it, in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// Seconds, as histograms take them.
pub(super) fn seconds(took: Duration) -> f64 {
    took.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Kind;
    use crate::observe::drift::{DriftResult, Drifted, WatchState};
    use crate::observe::happening::{
        Applied, Denied, Ending, FetchResult, Fetched, HookCalled, Judged, Limited, PluginCalled,
        ReconcileEnded, RenderResult, Rendered, Reviewed, Verdict,
    };
    use crate::observe::requests::Errand;
    use crate::observe::stage::Stage;
    use crate::observe::writeback::WrittenBack;
    use reeve_core::inventory::ObjectId;
    use reeve_core::status::{Action, Change};
    use std::collections::BTreeMap;
    use std::path::Path;

    /// One of everything that can happen.
    fn busy() -> Metrics {
        let metrics = Metrics::new();
        metrics.shares(3, 7);
        metrics.moved(2, 1);
        metrics.tenants_stand(Standing::default());
        let took = Duration::from_millis(3);
        let object = Object {
            kind: Kind::Kustomization,
            namespace: "acme",
            name: "web",
        };
        let ending = Ending::Failed {
            reason: "BuildFailed",
            message: "line 3",
        };
        metrics.tell(&ReconcileEnded {
            object,
            ending,
            revision: None,
            took,
            next: None,
        });
        let result = FetchResult::Stored { bytes: 7 };
        metrics.tell(&Fetched {
            revision: None,
            result,
            took,
        });
        let result = RenderResult::Built;
        metrics.tell(&Rendered { result, took });
        let id = ObjectId {
            namespace: String::new(),
            name: "x".into(),
            group: String::new(),
            kind: "Namespace".into(),
        };
        let changes = [Change {
            id,
            action: Action::Created,
            fields: Vec::new(),
        }];
        metrics.tell(&Applied { changes: &changes });
        metrics.tell(&PluginCalled {
            plugin: "stamp",
            tenant: "acme",
            error: None,
            said: &[],
            took,
        });
        metrics.tell(&Denied {
            policy: "service-account",
            message: "missing",
        });
        let (tenant, limit) = ("acme", "objects");
        metrics.tell(&Limited { tenant, limit });
        metrics.tell(&WrittenBack {
            tenant,
            committed: true,
            written: 2,
            refused: 1,
            conflicts: 1,
        });
        let (policy, mode) = ("service-account", Mode::Enforce);
        let verdict = Verdict::Denied;
        metrics.tell(&Judged {
            policy,
            mode,
            verdict,
            took,
        });
        metrics.tell(&Drifted {
            tenant: "acme",
            id: &changes[0].id,
            result: DriftResult::Corrected,
        });
        metrics.watches(WatchState::Kept, 1);
        drop(metrics.watch_refused());
        let (any, failed) = (true, false);
        metrics.policy(policy, mode, Force { any, failed });
        let refused = None;
        metrics.tell(&Reviewed {
            kind: object.kind.as_str(),
            refused,
            warned: false,
            took,
        });
        metrics.tell(&HookCalled {
            method: "GET",
            code: 200,
            receiver: None,
            refused,
            dropped: true,
            took,
        });
        metrics.spans().dropped(1);
        metrics.lead(true);
        let request = http::Request::get("/api/v1/namespaces").body(()).unwrap();
        let to = ("GET", "cluster:6443");
        metrics
            .requests()
            .tell(Errand::of(&request), to, Some(200), took);
        metrics.stages().end(Stage::Build);
        let queue = metrics.queue(object.kind, 1);
        queue.added();
        queue.later();
        queue.panicked();
        drop(queue.taken(took));
        metrics
    }

    /// The table in `METRICS.md` is this one; `REEVE_BLESS=1` rewrites it.
    #[test]
    fn the_table_of_metrics_is_the_one_that_is_written_down() {
        let text = busy().encode().unwrap();
        let mut rows: BTreeMap<&str, (&str, &str, String)> = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.splitn(4, ' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("#"), Some("HELP"), Some(name), Some(help)) => {
                    rows.entry(name).or_default().1 = help;
                }
                (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                    rows.entry(name).or_default().0 = kind;
                }
                _ => {}
            }
            if let Some((sample, rest)) = line.split_once('{') {
                let labels: Vec<_> = rest
                    .split("\",")
                    .filter_map(|pair| pair.split_once("=\"").map(|(label, _)| label))
                    .filter(|label| *label != "le")
                    .collect();
                let of = rows
                    .iter_mut()
                    .rfind(|(name, _)| sample.starts_with(**name));
                of.unwrap_or_else(|| panic!("{sample} has no help")).1.2 = labels.join(", ");
            }
        }
        let mut table = String::from(
            "# Metrics\n\nWritten by a test from what `/metrics` serves; counters end in `_total`.\n\n\
             | Name | Type | Labels | Meaning |\n|---|---|---|---|\n",
        );
        for (name, (kind, help, labels)) in &rows {
            table.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("METRICS.md");
        if std::env::var_os("REEVE_BLESS").is_some() {
            std::fs::write(&path, &table).unwrap();
        }
        assert_eq!(table, std::fs::read_to_string(&path).unwrap_or_default());
    }

    #[test]
    fn fluxs_dashboards_find_their_buckets() {
        let text = busy().encode().unwrap();
        let bounds: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with("gotk_reconcile_duration_seconds_bucket"))
            .filter_map(|line| line.split("le=\"").nth(1)?.split('"').next()?.parse().ok())
            .filter(|bound: &f64| bound.is_finite())
            .collect();
        assert_eq!(bounds.len(), 10, "{bounds:?}");
        assert!(
            (bounds[0] - 0.01).abs() < 1e-9 && (bounds[9] - 1800.0).abs() < 1e-6,
            "{bounds:?}"
        );
    }
}
