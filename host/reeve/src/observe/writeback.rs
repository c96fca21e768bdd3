//! The metrics of what is written back to git. By tenant: never by object.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tracing::{debug, info};

use super::{Happening, Metrics};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    tenant: String,
    result: &'static str,
}

/// What is counted of what is written back.
#[derive(Debug, Default)]
pub(super) struct WrittenCounts {
    commits: Family<TenantLabels, Counter>,
    objects: Family<ObjectLabels, Counter>,
}

impl WrittenCounts {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "reeve_writeback_commits",
            "Commits of what was changed on the cluster",
            self.commits.clone(),
        );
        registry.register(
            "reeve_writeback_objects",
            "Objects that others had changed and that were looked at, by whether that was committed",
            self.objects.clone(),
        );
    }
}

/// What was changed on the cluster was decided about.
#[derive(Debug, Clone, Copy)]
pub struct WrittenBack<'a> {
    /// Whose it is.
    pub tenant: &'a str,
    /// Whether there was a commit.
    pub committed: bool,
    /// How many objects were in it.
    pub written: u64,
    /// How many could not be.
    pub refused: u64,
    /// How many fields both sides had changed.
    pub conflicts: u64,
}

impl Happening for WrittenBack<'_> {
    fn log(&self) {
        let Self {
            written,
            refused,
            conflicts,
            ..
        } = *self;
        match self.committed {
            true => info!(written, refused, conflicts, "committed what was changed"),
            false => debug!(refused, conflicts, "nothing to commit"),
        }
    }

    fn count(&self, metrics: &Metrics) {
        let tenant = self.tenant.to_owned();
        if self.committed {
            let labels = TenantLabels {
                tenant: tenant.clone(),
            };
            metrics.written.commits.get_or_create(&labels).inc();
        }
        for (result, number) in [
            ("written", self.written),
            ("refused", self.refused),
            ("conflict", self.conflicts),
        ] {
            if number > 0 {
                let labels = ObjectLabels {
                    tenant: tenant.clone(),
                    result,
                };
                metrics
                    .written
                    .objects
                    .get_or_create(&labels)
                    .inc_by(number);
            }
        }
    }
}
