//! `reeve check`: whether a cluster is fit for reeve, and whether what is installed there works.
//!
//! Asked is with the rights of whoever runs it, and nothing is changed. What could not be asked for want of rights is told
//! and is no failure. What is looked at before an installation is in `check/prerequisites.rs` and `check/beside.rs`, the installation in
//! `check/installed.rs`, what keeps its accounts to what they need in `check/fences.rs`, and what its user may do with it in
//! `check/rights.rs`.

mod beside;
mod fences;
mod installed;
mod prerequisites;
mod rights;

pub(super) use self::installed::is_ours;

use clap::Args;
use serde::Serialize;

use super::connection::ConnectionArgs;
use super::provide_tls;
use super::text::{Form, counted, written};
use super::ui::{CommandError, Sign, Ui};
use crate::cluster::{CallError, Cause, Cluster};
use crate::observe::Requests;

/// Check that the cluster is fit for reeve, and that what is installed works
///
/// Looks at the API server's version and clock, whether a running Flux would work on the same objects, the kinds, the
/// Deployments of the controller and the landlord in whatever namespace they are, what fences their accounts, the admission
/// webhook (by a dry run of an object that it has to refuse), and what you may do. What you may not look at is told, and is no
/// failure. Exits 1 when something fails, with what to do about it.
///
/// Examples: `reeve check --pre`, `reeve check -n acme -o json`
#[derive(Args)]
pub(super) struct CheckArgs {
    /// Only what has to be so before reeve is installed
    #[arg(long)]
    pre: bool,
    /// Where you want to work; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS", conflicts_with = "pre")]
    namespace: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

/// What came of one check.
#[derive(Debug, PartialEq, Serialize)]
struct Finding {
    outcome: Outcome,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Passed,
    Failed,
    /// It could not be asked, or there is nothing to ask.
    Skipped,
}

impl Finding {
    fn passed(message: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Passed,
            message: message.into(),
            remedy: None,
        }
    }

    fn failed(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Failed,
            message: message.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn skipped(message: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Skipped,
            message: message.into(),
            remedy: None,
        }
    }

    /// What could not be asked: for want of rights, or because something is wrong.
    fn unasked(doing: &str, why: &CallError) -> Self {
        let message = format!("{doing} failed: {why}");
        match why {
            CallError::Refused(refusal) if refusal.cause() == Cause::Forbidden => {
                Self::skipped(message)
            }
            _ => Self::failed(message, "see that the API server answers, and try again"),
        }
    }
}

pub(super) fn run(args: &CheckArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    let findings = runtime.block_on(checked(args, ui))?;
    if args.form != Form::Table {
        let text = written(args.form, &findings, String::new)?;
        ui.data(text.as_bytes())?;
    }
    let count = |outcome| findings.iter().filter(|one| one.outcome == outcome).count();
    let failed = count(Outcome::Failed);
    if failed > 0 {
        let failed = counted(failed, "check", "checks");
        return Err(CommandError::new(format!("{failed} failed")));
    }
    let done = match (args.pre, count(Outcome::Skipped)) {
        (true, 0) => "prerequisites checks passed".to_owned(),
        (false, 0) => "all checks passed".to_owned(),
        (_, skipped) => format!("all checks that could be made passed, {skipped} could not"),
    };
    if args.form == Form::Table {
        ui.step(Sign::Done, &done);
    }
    Ok(())
}

async fn checked(args: &CheckArgs, ui: &mut Ui) -> Result<Vec<Finding>, CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let mut all = Vec::new();
    let mut told = |section: &str, findings: Vec<Finding>| {
        if args.form == Form::Table {
            show(section, &findings, ui);
        }
        all.extend(findings);
    };
    told("prerequisites", prerequisites::look(&cluster).await);
    told("what else is there", beside::look(&cluster).await);
    if args.pre {
        told("what you may install", rights::install(&cluster).await);
        return Ok(all);
    }
    told("kinds", installed::kinds(&cluster).await);
    told("controller", installed::controllers(&cluster).await);
    told("landlord", installed::landlords(&cluster).await);
    told("fences", fences::look(&cluster).await);
    told("admission webhook", installed::admission(&cluster).await);
    let namespace = namespace(args, &cluster);
    told("what you may do", rights::work(&cluster, namespace).await);
    Ok(all)
}

fn namespace<'a>(args: &'a CheckArgs, cluster: &'a Cluster) -> &'a str {
    super::get::namespace(args.namespace.as_deref(), cluster)
}

fn show(section: &str, findings: &[Finding], ui: &mut Ui) {
    ui.step(Sign::Doing, &format!("checking {section}"));
    for one in findings {
        let sign = match one.outcome {
            Outcome::Passed => Sign::Done,
            Outcome::Failed => Sign::Failed,
            Outcome::Skipped => Sign::Waiting,
        };
        ui.step(sign, &one.message);
        if let Some(remedy) = &one.remedy {
            ui.line(&format!("  {remedy}"));
        }
    }
}
