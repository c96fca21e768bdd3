//! The command line: one file a verb.
//!
//! A verb is an `Args` (whose doc comments are its help) and a `run`. It deliberately holds no rule of its own: verbs
//! call what the controller calls, so the two cannot disagree. Printing is `ui`'s alone.

mod build;
mod check;
mod completion;
mod connection;
mod controller;
mod crds;
mod diff;
mod edit;
mod events;
mod follow;
mod get;
mod git;
mod grounds;
mod landlord;
mod login;
mod man;
mod migrate;
mod operate;
mod plugin;
mod policy;
mod reach;
mod reconcile;
mod repository;
mod resume;
mod rollout;
mod supervise;
mod support;
mod suspend;
mod tenant;
mod text;
mod trace;
mod ui;
mod why;
mod writeback;

use std::ffi::OsString;
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
    Landlord(Box<landlord::LandlordArgs>),
    Tenant(Box<tenant::TenantArgs>),
    Get(Box<get::GetArgs>),
    Diff(Box<diff::DiffArgs>),
    Reconcile(Box<reconcile::ReconcileArgs>),
    Rollout(Box<rollout::RolloutArgs>),
    #[command(name = "writeback")]
    WriteBack(Box<writeback::WriteBackArgs>),
    Suspend(Box<suspend::SuspendArgs>),
    Resume(Box<resume::ResumeArgs>),
    Events(Box<events::EventsArgs>),
    Why(Box<why::WhyArgs>),
    Trace(Box<trace::TraceArgs>),
    Check(Box<check::CheckArgs>),
    Support(Box<support::SupportArgs>),
    Migrate(Box<migrate::MigrateArgs>),
    Build(Box<build::BuildArgs>),
    Edit(Box<edit::EditArgs>),
    Git(Box<git::GitArgs>),
    Plugin(Box<plugin::PluginArgs>),
    Policy(Box<policy::PolicyArgs>),
    Crds(crds::CrdsArgs),
    Completion(completion::CompletionArgs),
    Man(man::ManArgs),
    /// Compile the plugin on standard input; what the controller calls itself for
    #[command(hide = true)]
    CompilePlugin,
    /// Read policies on standard input; what the controller calls itself for
    #[command(hide = true)]
    ReadPolicies,
    /// Do what the arguments say; what verbs call themselves for that may end by what they read
    #[command(hide = true, name = supervise::VERB)]
    Supervised {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

impl Verb {
    /// Where somebody's rules are read, which may end who reads them: what to exit with then.
    fn reads(&self) -> Option<u8> {
        match self {
            Self::Policy(args) => args.reads(),
            Self::Diff(args) => args.reads(),
            _ => None,
        }
    }
}

/// What a command that speaks to somebody else runs on: one worker beside the thread that waits for it.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}

/// Reads the arguments and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let verb = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli.verb,
        Err(why) => return misread(&why),
    };
    match verb {
        Verb::CompilePlugin => reeve_wasm::compile_plugin(),
        Verb::ReadPolicies => crate::reading::read_policies(),
        Verb::Supervised { arguments } => {
            reeve_wasm::process::accompany();
            let name = OsString::from("reeve");
            match Cli::try_parse_from(std::iter::once(name).chain(arguments)) {
                Ok(cli) => run(cli.verb),
                Err(why) => misread(&why),
            }
        }
        verb => {
            let arguments = arguments.into_iter().skip(1);
            let code = verb.reads();
            let ended =
                code.and_then(|code| supervise::supervised(arguments, code, &mut Ui::new()));
            ended.unwrap_or_else(|| run(verb))
        }
    }
}

/// clap prints help to stdout and errors to stderr; nothing can be done if those are closed.
fn misread(why: &clap::Error) -> ExitCode {
    let _closed = why.print();
    ExitCode::from(u8::try_from(why.exit_code()).unwrap_or(2))
}

fn run(verb: Verb) -> ExitCode {
    let mut ui = Ui::new();
    let ended = match verb {
        Verb::Controller(args) => controller::run(*args),
        Verb::Landlord(args) => landlord::run(&args),
        Verb::Tenant(args) => tenant::run(&args, &mut ui),
        Verb::Get(args) => get::run(&args, &mut ui),
        Verb::Diff(args) => diff::run(&args, &mut ui),
        Verb::Reconcile(args) => reconcile::run(&args, &mut ui),
        Verb::Rollout(args) => rollout::run(&args, &mut ui),
        Verb::WriteBack(args) => writeback::run(&args, &mut ui),
        Verb::Suspend(args) => suspend::run(&args, &mut ui),
        Verb::Resume(args) => resume::run(&args, &mut ui),
        Verb::Events(args) => events::run(&args, &mut ui),
        Verb::Why(args) => why::run(&args, &mut ui),
        Verb::Trace(args) => trace::run(&args, &mut ui),
        Verb::Check(args) => check::run(&args, &mut ui),
        Verb::Support(args) => support::run(&args, &mut ui),
        Verb::Migrate(args) => migrate::run(&args, &mut ui),
        Verb::Build(args) => build::run(&args, &mut ui),
        Verb::Edit(args) => edit::run(*args, &mut ui),
        Verb::Git(args) => git::run(&args, &mut ui),
        Verb::Plugin(args) => plugin::run(*args, &mut ui),
        Verb::Policy(args) => policy::run(*args, &mut ui),
        Verb::Crds(args) => crds::run(&args, &mut ui),
        Verb::Completion(args) => completion::run(&args, &mut ui),
        Verb::Man(args) => man::run(&args, &mut ui),
        Verb::CompilePlugin | Verb::ReadPolicies | Verb::Supervised { .. } => {
            Err(CommandError::new("this is no verb for people"))
        }
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

#[cfg(test)]
mod tests;
