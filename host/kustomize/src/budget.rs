//! What a build may still use up.
//!
//! Counters, and the caller's word to stop; who reaches a bound turns it into an error with a place. No clock: work is
//! counted instead, so that the same input ends the same way everywhere.

use std::cell::Cell;

use crate::error::Why;
use crate::options::{Limits, Stop};
use crate::yaml::text_cost;

/// What making one YAML value counts as work.
const NODE: u64 = 20;
/// How many values of a kustomization file are no more than values.
const FEW: u64 = 1_000;
const NODES: &str = "YAML nodes (each 64 bytes of a text are one): build it in parts";

/// The bounds of one build and what was used of them.
pub(crate) struct Budget {
    limits: Limits,
    stop: Stop,
    files: Cell<u64>,
    bytes: Cell<u64>,
    nodes: Cell<u64>,
    objects: Cell<u64>,
    steps: Cell<u64>,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        let zero = || Cell::new(0);
        Self {
            limits,
            stop: Stop::default(),
            files: zero(),
            bytes: zero(),
            nodes: zero(),
            objects: zero(),
            steps: zero(),
        }
    }

    /// The same, ended by `stop` too.
    pub(crate) fn stopped_by(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A file of this size is read.
    pub(crate) fn file(&self, bytes: u64) -> Result<(), Why> {
        self.spend(&self.files, 1, self.limits.files, "files read")?;
        self.spend(&self.bytes, bytes, self.limits.bytes, "bytes read")
    }

    /// YAML values are made.
    pub(crate) fn nodes(&self, count: u64) -> Result<(), Why> {
        self.spend(&self.nodes, count, self.limits.nodes, NODES)
    }

    /// Values of `file` are read into fields that know where they stand, which is more than the values are.
    pub(crate) fn fields(&self, values: u64, file: &str) -> Result<(), Why> {
        let cost = values.saturating_mul(1 + text_cost(file));
        self.nodes(cost.saturating_sub(FEW))
    }

    /// A text is copied.
    pub(crate) fn text(&self, text: &str) -> Result<(), Why> {
        self.nodes(text_cost(text))
    }

    /// Objects join the build.
    pub(crate) fn objects(&self, count: u64) -> Result<(), Why> {
        self.spend(&self.objects, count, self.limits.objects, "objects")
    }

    /// Work is done.
    pub(crate) fn steps(&self, count: u64) -> Result<(), Why> {
        self.spend(
            &self.steps,
            count,
            self.limits.steps,
            "steps of patches and references",
        )
    }

    /// Has `look` make something that is gone before the build goes on: bounded by what is left, and counted as work only.
    pub(crate) fn aside<T>(&self, look: impl FnOnce(&Self) -> T) -> Result<T, Why> {
        let left = |limit: u64, used: &Cell<u64>| limit.saturating_sub(used.get());
        let limits = Limits {
            nodes: left(self.limits.nodes, &self.nodes),
            steps: left(self.limits.steps, &self.steps),
            ..self.limits
        };
        let aside = Self::new(limits).stopped_by(self.stop.clone());
        let seen = look(&aside);
        if self.nodes.get().saturating_add(aside.nodes.get()) > self.limits.nodes {
            let (what, limit) = (NODES, self.limits.nodes);
            return Err(Why::Limit { what, limit });
        }
        self.steps(aside.steps.get() + NODE * aside.nodes.get())?;
        Ok(seen)
    }

    fn spend(
        &self,
        used: &Cell<u64>,
        more: u64,
        limit: u64,
        what: &'static str,
    ) -> Result<(), Why> {
        if self.stop.is_asked() {
            return Err(Why::Stopped);
        }
        let now = used.get().saturating_add(more);
        used.set(now);
        if now > limit {
            Err(Why::Limit { what, limit })
        } else {
            Ok(())
        }
    }
}
