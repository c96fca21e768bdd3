//! Where the time of a Kustomization's run goes, stage by stage.
//!
//! A stage that ends by an error has taken its time too; one that is cut off is not told of. It deliberately wraps no work: a
//! run's futures are large enough.

use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;

use super::metric::{Metrics, seconds};
use super::span;

/// A stage of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Manifests are built, or found to be still there.
    Build,
    /// Plugins change them.
    Transform,
    /// Whose objects they are, and which are no longer wanted.
    Plan,
    /// Policies are asked.
    Judge,
    /// Objects are compared, written and pruned.
    Apply,
    /// What was applied is remembered.
    Keep,
    /// The status is written.
    Report,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Transform => "transform",
            Self::Plan => "plan",
            Self::Judge => "judge",
            Self::Apply => "apply",
            Self::Keep => "keep",
            Self::Report => "report",
        }
    }

    /// As traces call it; of the last one each write of a status is told by itself.
    fn step(self) -> Option<&'static str> {
        match self {
            Self::Build => Some("render"),
            Self::Transform => Some("transform"),
            Self::Plan => Some("plan"),
            Self::Judge => Some("judge"),
            Self::Apply => Some("deliver"),
            Self::Keep => Some("remember"),
            Self::Report => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StageLabels {
    stage: &'static str,
}

/// Times stages that follow each other.
#[derive(Debug)]
pub struct Stages<'m> {
    metrics: &'m Metrics,
    since: Instant,
}

impl Stages<'_> {
    /// This stage is over, and the next one begins.
    pub fn end(&mut self, stage: Stage) {
        let took = self.since.elapsed();
        let labels = StageLabels {
            stage: stage.as_str(),
        };
        let times = self.metrics.stage_duration.get_or_create(&labels);
        times.observe(seconds(took));
        if let Some(step) = stage.step() {
            span::stage(step, took);
        }
        self.since = Instant::now();
    }
}

impl Metrics {
    /// The first stage begins.
    pub fn stages(&self) -> Stages<'_> {
        Stages {
            metrics: self,
            since: Instant::now(),
        }
    }
}
