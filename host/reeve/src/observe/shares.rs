//! The metrics of work that is shared: how many share it, what is this replica's, and what moves.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WayLabels {
    way: &'static str,
}

/// What is counted of it.
#[derive(Debug, Default)]
pub(super) struct Shares {
    replicas: Gauge,
    tenants: Gauge,
    moves: Family<WayLabels, Counter>,
}

impl Shares {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "reeve_shard_members",
            "Replicas that share the work, as this one sees it; 0 while it has no part in it, or where none share it",
            self.replicas.clone(),
        );
        registry.register(
            "reeve_shard_tenants",
            "Tenants with Kustomizations that are this replica's",
            self.tenants.clone(),
        );
        registry.register(
            "reeve_shard_moves",
            "Tenants that have come to this replica, or gone from it",
            self.moves.clone(),
        );
    }

    pub(super) fn stand(&self, replicas: usize, tenants: usize) {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.replicas.set(whole(replicas));
        self.tenants.set(whole(tenants));
    }

    pub(super) fn moved(&self, gained: usize, lost: usize) {
        for (way, number) in [("gained", gained), ("lost", lost)] {
            let counted = self.moves.get_or_create(&WayLabels { way });
            counted.inc_by(u64::try_from(number).unwrap_or(u64::MAX));
        }
    }
}
