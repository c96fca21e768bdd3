//! `reeve plugin test`: cases, each run twice in the controller's sandbox.
//!
//! What a case is, `case` says, and `exchange` for providers. Each is run twice because the same input must bring the same output.

use std::path::{Path, PathBuf};

use clap::Args;
use reeve_core::lines::diff;
use reeve_wasm::{Error, Transformed, World};
use serde::Serialize;
use serde_json::Value;

use super::case::{self, Case, Manifests, Want};
use super::exchange::Exchange;
use super::place::{Failed, LimitFlags, Place};
use super::{Form, data, manifests, read, unreadable};
use crate::cli::ui::{CommandError, Ui};

/// Run the cases of a plugin
///
/// Each case is a folder: in.yaml (or in/, in.json) with manifests, config.yaml when the plugin takes one, and want.yaml (or
/// want/, want.json) with the manifests that must come back, or `error` with words that must be in the refusal. Each is
/// run twice in the sandbox of the controller: the same input must bring the same output. Exits 1 when a case fails.
///
/// A case of a provider has operation.json, exchange.json with the requests that must come and what they are answered, and
/// want.json with how it ends, or `error`. Nothing is asked over a network.
#[derive(Args)]
pub(super) struct TestArgs {
    /// The component, or the directory of a plugin that was built there
    #[arg(default_value = ".", value_name = "DIR|COMPONENT")]
    target: PathBuf,
    /// The folder with the cases [default: case/ beside the component]
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// How to print what came of them
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Text)]
    form: Form,
    #[command(flatten)]
    limits: LimitFlags,
}

/// What came of all cases.
#[derive(Serialize)]
struct Report {
    component: String,
    passed: usize,
    failed: usize,
    cases: Vec<Told>,
}

/// What came of one.
#[derive(Serialize)]
pub(super) struct Told {
    name: String,
    passed: bool,
    /// What is wrong, when something is.
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    /// How what came differs from what was wanted.
    #[serde(skip_serializing_if = "String::is_empty")]
    diff: String,
    log: Vec<String>,
}

/// What is wrong with an answer.
pub(super) struct Wrong {
    pub(super) why: String,
    pub(super) diff: String,
}

impl Told {
    pub(super) fn of(name: String, wrong: Option<Wrong>, log: Vec<String>) -> Self {
        let passed = wrong.is_none();
        let (why, diff) = wrong.map_or_else(Default::default, |wrong| (wrong.why, wrong.diff));
        Self {
            name,
            passed,
            why,
            diff,
            log,
        }
    }
}

pub(super) fn run(args: &TestArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let component = component(&args.target)?;
    let cases = args
        .cases
        .clone()
        .unwrap_or_else(|| component.with_file_name("case"));
    let folders = case::folders(&cases)?;
    let name = component.display().to_string();
    let place = Place::open(&read(&component)?, &name, &args.limits)?;
    let told = folders.iter().map(|folder| match place.world() {
        World::Transformer => Ok(judge(case::open(folder)?, &place)),
        World::Provider => Exchange::open(folder)?.judge(&place),
    });
    let told: Vec<Told> = told.collect::<Result<_, CommandError>>()?;
    let failed = told.iter().filter(|told| !told.passed).count();
    let report = Report {
        component: name,
        passed: told.len() - failed,
        failed,
        cases: told,
    };
    let text = match args.form {
        Form::Text => text(&report),
        form => data(&report, form)?,
    };
    ui.data(text.as_bytes())?;
    match failed {
        0 => Ok(()),
        _ => Err(CommandError::new(format!(
            "{failed} of {} cases failed",
            report.cases.len()
        ))),
    }
}

/// The component that is meant: itself, or the one that was built in a directory.
fn component(target: &Path) -> Result<PathBuf, CommandError> {
    if !target.is_dir() {
        return Ok(target.to_owned());
    }
    let entries = std::fs::read_dir(target).map_err(|why| unreadable(target, &why))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "wasm") && path.is_file())
        .collect();
    found.sort();
    match <[PathBuf; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(found) if found.is_empty() => {
            let message = format!("there is no component in {}", target.display());
            Err(CommandError::new(message).hint("`reeve plugin build` makes it"))
        }
        Err(_) => {
            let message = format!("there are several components in {}", target.display());
            Err(CommandError::new(message).hint("name the one that is meant"))
        }
    }
}

/// Runs a case twice and says what came of it.
fn judge(case: Case, place: &Place) -> Told {
    let (first, second) = (attempt(&case, place), attempt(&case, place));
    let wrong = match first == second {
        true => compare(&case.want, &first),
        false => Some(Wrong {
            why: "the same input brought another answer the second time".to_owned(),
            diff: diff(&shown(&first), &shown(&second)),
        }),
    };
    let log = match &first {
        Ok(done) => done.log.clone(),
        Err(why) => why.log().to_vec(),
    };
    Told::of(case.name, wrong, log)
}

fn attempt(case: &Case, place: &Place) -> Result<Transformed, Failed> {
    if !matches!(case.want, Want::Refused(_)) {
        place.fits(&case.config)?;
    }
    place.transform(case.given.clone(), &case.config)
}

fn compare(want: &Want<Manifests>, got: &Result<Transformed, Failed>) -> Option<Wrong> {
    let differ = |why: &str, want: &str, got: &str| {
        (want != got).then(|| Wrong {
            why: why.to_owned(),
            diff: diff(want, got),
        })
    };
    match (want, got) {
        (Want::Made(Manifests { objects, keys }), Ok(done)) => {
            let made = parsed(&done.manifests);
            let why = "it returned other manifests";
            let wrong = differ(why, &sorted(objects), &sorted(&made));
            wrong.or_else(|| {
                let why = "its manifests have their keys in another order";
                differ(why, &ordered(objects), &ordered(&made)).filter(|_| *keys)
            })
        }
        (Want::Refused(words), Err(Failed::Call(Error::Refused(refusal)))) => {
            differ("it refuses with other words", words, &refusal.to_string())
        }
        (Want::Error(words), Err(why)) => {
            let said = why.to_string();
            (!said.contains(words.as_str())).then(|| Wrong {
                why: "its error does not have the words".to_owned(),
                diff: format!("- {words}\n+ {said}\n"),
            })
        }
        (Want::Refused(words) | Want::Error(words), got) => Some(Wrong {
            why: format!("it was to fail with {words:?}"),
            diff: format!("+ {}\n", shown(got).trim_end().replace('\n', "\n+ ")),
        }),
        (Want::Made(_), Err(why)) => Some(Wrong {
            why: why.to_string(),
            diff: String::new(),
        }),
    }
}

/// The answer as text, whatever it is.
fn shown(got: &Result<Transformed, Failed>) -> String {
    match got {
        Ok(done) => sorted(&parsed(&done.manifests)),
        Err(why) => why.to_string(),
    }
}

/// What is not JSON cannot come out of the sandbox.
fn parsed(manifests: &[String]) -> Vec<Value> {
    let manifests = manifests.iter();
    manifests
        .map(|text| serde_json::from_str(text).unwrap_or_default())
        .collect()
}

fn sorted(objects: &[Value]) -> String {
    manifests::yaml(objects.to_vec()).unwrap_or_else(|_| ordered(objects))
}

fn ordered(objects: &[Value]) -> String {
    objects
        .iter()
        .map(|object| format!("{object:#}\n"))
        .collect()
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for told in &report.cases {
        let mark = if told.passed { "ok  " } else { "FAIL" };
        out.push_str(&format!("{mark} {}\n", told.name));
        if told.passed {
            continue;
        }
        out.push_str(&format!("     {}\n", told.why));
        for line in told.diff.lines() {
            out.push_str(&format!("     {line}\n"));
        }
        for line in &told.log {
            out.push_str(&format!("     log {line}\n"));
        }
    }
    out.push_str(&format!(
        "{} passed, {} failed\n",
        report.passed, report.failed
    ));
    out
}
