//! The command line: one file a verb.
//!
//! A verb is an `Args` (whose doc comments are its help) and a `run`. It deliberately holds no rule of its own: verbs
//! call what the controller calls, so the two cannot disagree. Printing is `ui`'s alone.

mod build;
mod completion;
mod connection;
mod controller;
mod crds;
mod edit;
mod grounds;
mod plugin;
mod policy;
mod reach;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use ui::CommandError;
use ui::Ui;

/// The multi-tenant GitOps controller for Kubernetes
///
/// For each tenant it fetches a git repository, renders it with kustomize, has WASM plugins transform it and Rego
/// policies judge it, and applies it as the tenant's own ServiceAccount.
#[derive(Parser)]
#[command(
    name = "reeve",
    version,
    max_term_width = 100,
    propagate_version = false
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Controller(Box<controller::ControllerArgs>),
    Build(Box<build::BuildArgs>),
    Edit(Box<edit::EditArgs>),
    Plugin(Box<plugin::PluginArgs>),
    Policy(Box<policy::PolicyArgs>),
    Crds(crds::CrdsArgs),
    Completion(completion::CompletionArgs),
    /// Compile the plugin on standard input; what the controller calls itself for
    #[command(hide = true)]
    CompilePlugin,
}

/// Reads the arguments and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    crate::memory::settle();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(why) => {
            // clap prints help to stdout and errors to stderr; nothing can be done if those are closed.
            let _closed = why.print();
            return ExitCode::from(u8::try_from(why.exit_code()).unwrap_or(2));
        }
    };
    let mut ui = Ui::new();
    let ended = match cli.verb {
        Verb::Controller(args) => controller::run(*args),
        Verb::Build(args) => build::run(&args, &mut ui),
        Verb::Edit(args) => edit::run(*args, &mut ui),
        Verb::Plugin(args) => plugin::run(*args, &mut ui),
        Verb::Policy(args) => policy::run(*args, &mut ui),
        Verb::Crds(args) => crds::run(&args, &mut ui),
        Verb::Completion(args) => completion::run(&args, &mut ui),
        Verb::CompilePlugin => return reeve_wasm::compile_plugin(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            ui.error(&why);
            ExitCode::from(why.code())
        }
    }
}

/// The one TLS provider of the process, for the verbs that speak it: making it takes longer than a small build.
fn provide_tls() {
    // It can only be set already if a verb ran twice.
    let _set_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The whole command, for references and completion.
fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}
