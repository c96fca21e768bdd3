//! What a server says beside the pack: why it stops sending, in its own words.
//!
//! gix tells it to a progress display; this is the display. What it deliberately doesn't: count objects.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use gix::progress::{
    Count, Id, MessageLevel, NestedProgress, Progress, Step, StepShared, UNKNOWN, Unit,
};

use super::wire::Wire;

/// Tells the wire what the server complains of.
pub(super) struct Heard(pub(super) Arc<Wire>);

impl Progress for Heard {
    fn init(&mut self, _: Option<Step>, _: Option<Unit>) {}

    /// Each line that counts nothing comes as a name.
    fn set_name(&mut self, line: String) {
        if ["fatal:", "error:"]
            .iter()
            .any(|sign| line.starts_with(sign))
        {
            self.0.hear(&line);
        }
    }

    fn name(&self) -> Option<String> {
        None
    }

    fn id(&self) -> Id {
        UNKNOWN
    }

    fn message(&self, level: MessageLevel, message: String) {
        if level == MessageLevel::Failure {
            self.0.hear(&message);
        }
    }
}

impl Count for Heard {
    fn set(&self, _: Step) {}

    fn step(&self) -> Step {
        0
    }

    fn inc_by(&self, _: Step) {}

    fn counter(&self) -> StepShared {
        Arc::new(AtomicUsize::default())
    }
}

impl NestedProgress for Heard {
    type SubProgress = Self;

    fn add_child(&mut self, _: impl Into<String>) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn add_child_with_id(&mut self, _: impl Into<String>, _: Id) -> Self {
        Self(Arc::clone(&self.0))
    }
}
