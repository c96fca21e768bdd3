//! `reeve plugin`: write, build, try and hand on the components that change manifests.
//!
//! Arguments only: each verb is a file of its own. A guest runs in the sandbox of the controller with the limits of the
//! controller (`plugin/place.rs`), so what passes here passes there.

mod build;
mod case;
mod exchange;
mod inspect;
mod manifests;
mod new;
pub(super) mod place;
mod provider;
mod registry;
pub(super) mod run;
mod test;
mod wit;

use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::ui::{CommandError, Ui};

/// Write, build, test and publish plugins
///
/// A plugin is a WebAssembly component that changes a tenant's manifests between rendering and policy.
#[derive(Args)]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    New(new::NewArgs),
    Build(build::BuildArgs),
    Inspect(inspect::InspectArgs),
    Test(test::TestArgs),
    Run(run::RunArgs),
    Push(registry::PushArgs),
    Pull(registry::PullArgs),
    Sign(registry::SignArgs),
    Verify(registry::VerifyArgs),
}

/// How data is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    Json,
    Yaml,
}

pub(super) fn run(args: PluginArgs, ui: &mut Ui) -> Result<(), CommandError> {
    match args.verb {
        Verb::New(args) => new::run(&args, ui),
        Verb::Build(args) => build::run(&args, ui),
        Verb::Inspect(args) => inspect::run(&args, ui),
        Verb::Test(args) => test::run(&args, ui),
        Verb::Run(args) => run::run(&args, ui),
        Verb::Push(args) => registry::push(&args, ui),
        Verb::Pull(args) => registry::pull(&args, ui),
        Verb::Sign(args) => registry::sign(&args, ui),
        Verb::Verify(args) => registry::verify(&args, ui),
    }
}

/// `value` as data, in a form that is not for people.
fn data(value: &impl Serialize, form: Form) -> Result<String, CommandError> {
    let failed = |why: serde_json::Error| CommandError::of("writing the answer failed", &why);
    let value = serde_json::to_value(value).map_err(failed)?;
    if form == Form::Yaml {
        return manifests::yaml(vec![value]);
    }
    let mut text = serde_json::to_string_pretty(&value).map_err(failed)?;
    text.push('\n');
    Ok(text)
}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    std::fs::read(path).map_err(|why| unreadable(path, &why))
}

fn unreadable(path: &Path, why: &std::io::Error) -> CommandError {
    CommandError::of(&format!("reading {} failed", path.display()), why)
}
