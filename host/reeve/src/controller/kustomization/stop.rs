//! Runs that stop before they are through.
//!
//! What it means for the status is `core::status`'s to say.

use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::status::{Failed, KustomizationOutcome};

use crate::context::Context;
use crate::controller::report::Run;

/// A run that stopped between reading and writing.
pub(super) struct Stopped {
    pub(super) why: Explained,
    pub(super) digest: Option<String>,
}

impl Stopped {
    pub(super) fn early(why: Explained) -> Self {
        Self { why, digest: None }
    }

    pub(super) fn superseded() -> Self {
        let message = "what is wanted has changed meanwhile";
        Self::early(Explained::new(Reason::Progressing, Turn::Ours, message))
    }
}

/// A run that stopped before anything was attempted.
pub(super) fn early(ctx: &Context, run: &Run, why: Explained) -> KustomizationOutcome {
    stopped(Failed::early(why, run.took(ctx)))
}

/// A run that left off is no failure: its next one is under way.
pub(super) fn stopped(failed: Failed) -> KustomizationOutcome {
    match failed.why.reason {
        Reason::Progressing => KustomizationOutcome::Superseded(failed),
        _ => KustomizationOutcome::Failed(failed),
    }
}
