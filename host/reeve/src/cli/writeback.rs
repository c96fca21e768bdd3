//! `reeve writeback`: what changes on the cluster is committed by rule, without a controller, and how write-back is.
//!
//! Arguments and dispatch. What is written is decided by `reeve_core::writeback`, as in the controller, so the two cannot
//! disagree; a round of it is `round`'s, that both directions are kept at once `run`'s.

mod adopt;
mod agreed;
mod built;
mod diff;
mod lost;
mod past;
mod pause;
mod round;
mod run;
mod site;
mod standing;
mod status;

use clap::{Args, Subcommand};

use super::provide_tls;
use super::ui::{CommandError, Ui};

/// Commit what changes on the cluster, and show how that is
#[derive(Args)]
pub(super) struct WriteBackArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Run(Box<run::RunArgs>),
    Diff(Box<diff::DiffArgs>),
    Status(Box<status::StatusArgs>),
    Adopt(Box<adopt::AdoptArgs>),
    /// Take an object out of write-back
    ///
    /// It is annotated with `reeve.dev/write-back: disabled`: from then on it is as if no rule matched it. What others change of
    /// it is not committed, and where a Kustomization applies it, it is changed back.
    ///
    /// Example: `reeve writeback pause deployment/web -n acme`
    Pause(Box<pause::OneArgs>),
    /// Let an object be written back again
    ///
    /// Example: `reeve writeback resume deployment/web -n acme`
    Resume(Box<pause::OneArgs>),
}

pub(super) fn run(args: &WriteBackArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    match &args.what {
        What::Run(args) => run::run(args, &runtime, ui),
        What::Diff(args) => diff::diff(args, &runtime, ui),
        What::Adopt(args) => adopt::adopt(args, &runtime, ui),
        What::Status(args) => runtime.block_on(status::status(args, ui)),
        What::Pause(args) => runtime.block_on(pause::set(args, true, ui)),
        What::Resume(args) => runtime.block_on(pause::set(args, false, ui)),
    }
}
