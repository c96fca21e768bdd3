//! `reeve policy eval`: what policies say, before anybody else hears it.

use clap::{Args, ValueEnum};
use reeve_core::admit::Rules;
use reeve_core::admit::trial::Assumed;
use reeve_core::text;

use super::subject::Subject;
use super::verdicts::Verdicts;
use super::{UNSAID, counted, json, yaml};
use crate::cli::ui::{CommandError, Ui};

/// Ask policies about a document, or about manifests
///
/// Asked are the policies that are named and, unless --only is given, the three that are always in force, by the code of
/// the controller: a Kustomization first about its spec, then about what would be applied. All of them are enforced here.
///
/// Exits 0 when none denies, 1 when one does or could not be evaluated, and 2 when that could not be said: a file cannot be
/// read, or a policy does not compile.
///
/// Examples: `reeve policy eval --policy ./policies/pods --input input.yaml`,
/// `reeve build deploy | reeve policy eval --policy pod-security --kustomization web.yaml -`
#[derive(Args)]
pub(super) struct EvalArgs {
    #[command(flatten)]
    subject: Subject,
    /// Ask only the policies that are named
    #[arg(long)]
    only: bool,
    /// How to print what they say
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Table,
    Json,
    Yaml,
    /// For what shows results of static analysis
    Sarif,
    /// For a pull request
    Markdown,
}

pub(super) fn run(args: &EvalArgs, ui: &mut Ui) -> Result<(), CommandError> {
    match said(args, ui).map_err(|why| why.exits(UNSAID))? {
        0 => Ok(()),
        denied => {
            let denials = counted(denied, "denial", "denials");
            Err(CommandError::new(format!("it is denied: {denials}")))
        }
    }
}

/// Prints what they say, and tells how many denials there are.
fn said(args: &EvalArgs, ui: &mut Ui) -> Result<usize, CommandError> {
    let named = args.subject.rules()?;
    let rules = match args.only {
        true if named.is_empty() => {
            let nobody = CommandError::new("nobody is asked: --only, and no --policy is given");
            return Err(nobody);
        }
        true => Rules::default().and(named),
        false => Rules::shipped().and(named),
    };
    let trial = args.subject.ask(&rules)?;
    if trial.phase.is_none() {
        ui.note("the Kustomization lies in a namespace of the platform, where no policy is asked");
    }
    for assumed in &trial.assumed {
        ui.note(&told(assumed));
    }
    let verdicts = Verdicts::of(&rules, &trial);
    let text = match args.form {
        Form::Table => text::lines(&verdicts.table()),
        Form::Json => json(&verdicts)?,
        Form::Yaml => yaml(&verdicts)?,
        Form::Sarif => json(&verdicts.sarif(&args.subject.file()))?,
        Form::Markdown => verdicts.markdown(),
    };
    ui.data(text.as_bytes())?;
    Ok(verdicts.denied())
}

/// What the controller asks the API server, and nobody can be asked here.
fn told(assumed: &Assumed) -> String {
    let (where_to, why) = match assumed.in_a_namespace {
        true => ("in one", "its manifest or spec.targetNamespace names one"),
        false => (
            "in none",
            "neither its manifest nor spec.targetNamespace names one",
        ),
    };
    format!(
        "nobody here knows whether {} lies in a namespace: policies were shown it as lying {where_to}, because {why}. The \
         API server may say otherwise; with its CustomResourceDefinition beside the manifests it is known here too",
        assumed.kind
    )
}
