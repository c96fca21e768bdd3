//! `reeve policy check`: all that is wrong with policies, before the controller sees them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use reeve_core::admit;
use reeve_core::rego::{self, Fault};
use reeve_core::text::lines;
use serde::Serialize;

use super::place::{self, Parameters, Source};
use super::{counted, json};
use crate::cli::ui::{CommandError, Ui};

/// Say all that is wrong with policies
///
/// Each directory is compiled as the controller compiles it. Told is, with file, line and column: what the controller
/// refuses (syntax, functions that no policy may call, data that cannot be read, what a first question trips over), names
/// that nothing gives a value, fields that the input does not have, and what is in no use: imports, arguments, variables, rules and functions that neither deny
/// nor warn leads to. Names that begin with _ may be unused. Exits 1 when there is anything to tell.
///
/// Not checked: other types, whether a name in data exists, and whether tests hold. In manifests, and in the spec and the
/// metadata of the Kustomization, any field may be.
///
/// Example: `reeve policy check policies/*/`
#[derive(Args)]
pub(super) struct CheckArgs {
    /// Directories of a policy each, or the files of one
    #[arg(required = true, value_name = "DIR|FILE")]
    targets: Vec<PathBuf>,
    #[command(flatten)]
    parameters: Parameters,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Text)]
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line a fault
    Text,
    Json,
}

#[derive(Serialize)]
struct Report {
    faults: usize,
    policies: Vec<Checked>,
}

#[derive(Serialize)]
struct Checked {
    policy: String,
    faults: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    file: String,
    line: u64,
    column: u64,
    kind: &'static str,
    message: String,
    #[serde(skip)]
    place: String,
}

pub(super) fn run(args: &CheckArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let sources = place::open(&args.targets, &args.parameters)?;
    let policies: Vec<Checked> = sources.iter().map(checked).collect();
    let faults = policies.iter().map(|one| one.faults.len()).sum();
    let report = Report { faults, policies };
    let text = match args.form {
        Form::Text => lines(&table(&report)),
        Form::Json => json(&report)?,
    };
    ui.data(text.as_bytes())?;
    match faults {
        0 => Ok(()),
        _ => Err(CommandError::new(counted(faults, "fault", "faults"))),
    }
}

fn checked(source: &Source) -> Checked {
    let schema = admit::schema();
    let schema = schema.as_value();
    let faults = rego::check(&source.name, &source.files, &source.parameters, schema);
    Checked {
        policy: source.name.clone(),
        faults: faults
            .into_iter()
            .map(|fault| told(source, fault))
            .collect(),
    }
}

fn told(source: &Source, fault: Fault) -> Told {
    let mut place = fault.place;
    if source.files.contains_key(&place.file) {
        place.file = source.shown(&place.file);
    }
    Told {
        place: place.to_string(),
        file: place.file,
        line: place.line,
        column: place.column,
        kind: fault.kind.as_str(),
        message: fault.why,
    }
}

fn table(report: &Report) -> String {
    let faults = report.policies.iter().flat_map(|policy| &policy.faults);
    let mut out: String = faults
        .map(|fault| format!("{}: {}: {}\n", fault.place, fault.kind, fault.message))
        .collect();
    if report.faults == 0 {
        let count = counted(report.policies.len(), "policy", "policies");
        out.push_str(&format!("{count}, nothing is wrong\n"));
    }
    out
}
