//! `reeve policy`: check, test, try and explain the rules over tenants.
//!
//! Arguments only: each verb is a file of its own. What is read of a directory, how it is compiled and what it says are the
//! controller's own (`reeve_core::rego`, `reeve_core::admit`), so what passes here passes there.

mod check;
mod eval;
mod explain;
mod export;
pub(super) mod place;
mod replay;
mod report;
mod sarif;
mod schema;
pub(super) mod subject;
mod test;
mod verdicts;

use clap::{Args, Subcommand};

use super::text::{counted, json, yaml};
use super::ui::{CommandError, Ui};

/// The code for what could not be said.
const UNSAID: u8 = 2;

/// Check, test and try policies
///
/// A policy is a directory with rules in Rego, their tests and data: policies/README.md says what it reads and what it
/// answers.
#[derive(Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Check(check::CheckArgs),
    Test(test::TestArgs),
    Eval(Box<eval::EvalArgs>),
    Explain(Box<explain::ExplainArgs>),
    Replay(replay::ReplayArgs),
    Export(export::ExportArgs),
    /// Print the JSON Schema of the document that policies read
    ///
    /// Example: `opa check --schema input.schema.json pods`, after `reeve policy schema > input.schema.json`
    Schema,
}

impl PolicyArgs {
    /// Where somebody's rules are read, which may end who reads them: what to exit with then.
    pub(super) fn reads(&self) -> Option<u8> {
        match &self.verb {
            Verb::Check(_) | Verb::Test(_) | Verb::Explain(_) => Some(1),
            Verb::Eval(_) => Some(UNSAID),
            // Before it asks the cluster, it has them read as the controller does.
            Verb::Replay(_) => None,
            Verb::Export(_) | Verb::Schema => None,
        }
    }
}

pub(super) fn run(args: PolicyArgs, ui: &mut Ui) -> Result<(), CommandError> {
    match args.verb {
        Verb::Check(args) => check::run(&args, ui),
        Verb::Test(args) => test::run(&args, ui),
        Verb::Eval(args) => eval::run(&args, ui),
        Verb::Explain(args) => explain::run(&args, ui),
        Verb::Replay(args) => replay::run(&args, ui),
        Verb::Export(args) => export::run(&args, ui),
        Verb::Schema => schema::run(ui),
    }
}
