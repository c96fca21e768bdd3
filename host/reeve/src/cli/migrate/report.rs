//! `reeve migrate flux report`: what would go, what stays with Flux, and what is in the way. Nothing is changed.

use clap::Args;
use reeve_core::migrate::{self, Finding, Ground, Is};

use super::{REFUSED, found};
use crate::cli::connection::ConnectionArgs;
use crate::cli::grounds::GroundArgs;
use crate::cli::text::{Form, counted, table, written};
use crate::cli::ui::{CommandError, Ui};
use crate::observe::Requests;

/// Say what can be taken over, what stays with Flux and why, and what has to be done first
///
/// Looked at are Flux's controllers and whether they would leave alone what is handed over, the definitions of the kinds, and every
/// object of a kind of Flux's. Each GitRepository, Kustomization and Receiver is read as a run would read it. Nothing is changed.
///
/// Exits 0 when nothing is in the way, 1 when something is, and 2 when that could not be said.
///
/// Examples: `reeve migrate flux report -o json`, `reeve migrate flux report --last-step`
#[derive(Args)]
pub(super) struct ReportArgs {
    /// Say only what has to be gone before reeve may be told to follow everything: with any controller of Flux's still there, or anything
    /// that was not handed over, both would work on the same objects
    #[arg(long)]
    last_step: bool,
    #[command(flatten)]
    ground: GroundArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

pub(super) async fn report(args: &ReportArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let cluster = args.connection.connect(Requests::default()).await;
    let cluster = cluster.map_err(|why| why.exits(REFUSED))?;
    let (found, tenants) = found(&cluster).await?;
    let ground = Ground {
        grounds: &args.ground.grounds(&[], &[]),
        tenants: &tenants,
    };
    let findings = match args.last_step {
        true => migrate::last_step(&found, ground),
        false => migrate::report(&found, ground),
    };
    let text = written(args.form, &findings, || drawn(&findings))?;
    ui.data(text.as_bytes())?;
    match findings.iter().filter(|one| one.is == Is::InTheWay).count() {
        0 => Ok(()),
        count => {
            let what = counted(count, "thing is", "things are");
            Err(CommandError::new(format!("{what} in the way")))
        }
    }
}

/// Findings, for people.
pub(super) fn drawn(findings: &[Finding]) -> String {
    let head = ["SUBJECT", "IS", "WHAT IS SAID"].map(str::to_owned);
    let cells = |one: &Finding| {
        let says = match &one.next {
            Some(next) => format!("{}; next: {next}", one.says),
            None => one.says.clone(),
        };
        [one.subject.clone(), one.is.as_str().to_owned(), says]
    };
    let rows = std::iter::once(head).chain(findings.iter().map(cells));
    table(&rows.collect::<Vec<_>>())
}
