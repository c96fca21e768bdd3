//! The metrics of what others change, and of the watches that tell it. By tenant and kind: never by object.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tracing::info;

use super::{Happening, Metrics};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    tenant: String,
    kind: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// What is counted of what others change.
#[derive(Debug, Default)]
pub(super) struct Drifts {
    objects: Family<ObjectLabels, Counter>,
    watches: Family<StateLabels, Gauge>,
}

impl Drifts {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "reeve_drift_objects",
            "Objects that others had changed, by what was done about it",
            self.objects.clone(),
        );
        registry.register(
            "reeve_drift_watches",
            "Watches that show what others change: kept, refused to the account, or beyond what there may be",
            self.watches.clone(),
        );
    }
}

/// How a watch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchState {
    /// It was begun.
    Kept,
    /// The API server refuses it.
    Refused,
    /// There was no room for it.
    Beyond,
}

impl WatchState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Refused => "refused",
            Self::Beyond => "beyond",
        }
    }
}

/// Counts a watch as refused until it is dropped.
#[derive(Debug)]
pub struct Refused(Gauge);

impl Drop for Refused {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Says how many watches stand like this.
    pub fn watches(&self, state: WatchState, number: usize) {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.watches_in(state).set(number);
    }

    /// A watch is refused, for as long as the answer is held.
    pub fn watch_refused(&self) -> Refused {
        let gauge = self.watches_in(WatchState::Refused);
        gauge.inc();
        Refused(gauge)
    }

    fn watches_in(&self, state: WatchState) -> Gauge {
        let state = state.as_str();
        let labels = StateLabels { state };
        self.drifts.watches.get_or_create(&labels).clone()
    }
}

/// What was done about an object that others had changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftResult {
    /// It was changed back.
    Corrected,
    /// It stays so, and that is told.
    Reported,
}

/// Others had changed an object.
#[derive(Debug, Clone, Copy)]
pub struct Drifted<'a> {
    /// Whose it is.
    pub tenant: &'a str,
    /// Which object.
    pub id: &'a reeve_core::inventory::ObjectId,
    /// What was done about it.
    pub result: DriftResult,
}

impl Happening for Drifted<'_> {
    fn log(&self) {
        let subject = self.id.subject();
        match self.result {
            DriftResult::Corrected => info!("{subject} was changed by others and is changed back"),
            DriftResult::Reported => info!("{subject} was changed by others and stays so"),
        }
    }

    fn count(&self, metrics: &Metrics) {
        let labels = ObjectLabels {
            tenant: self.tenant.to_owned(),
            kind: self.id.kind.clone(),
            result: match self.result {
                DriftResult::Corrected => "corrected",
                DriftResult::Reported => "reported",
            },
        };
        metrics.drifts.objects.get_or_create(&labels).inc();
    }
}
