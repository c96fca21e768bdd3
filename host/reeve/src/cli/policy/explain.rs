//! `reeve policy explain`: which conditions of a policy held, and which one stopped it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use reeve_core::admit::Rules;
use reeve_core::library::LIBRARY;
use reeve_core::rego::{Input, Outcome, Step, Trace, Traced, Verdict, Violation};
use reeve_core::text::lines;
use serde::Serialize;
use serde_json::{Value, json};

use super::place::{self, Source};
use super::subject::{Subject, unfit};
use super::{counted, json as written};
use crate::cli::ui::{CommandError, Ui};

/// Say why policies deny something, or why they don't
///
/// Each rule that was evaluated is shown with its conditions, line by line: whether each held, and what its value was. The
/// first that is `stopped` is why a rule says nothing. Values are cut short; a condition that says `asked` gives values to
/// both its sides, or has a place for its result: how it ended cannot be told. Without --policy the three that are always in
/// force are asked.
///
/// Example: `reeve policy explain --policy ./policies/pods --input input.yaml`
#[derive(Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    subject: Subject,
    /// Show only rules of this name
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Text)]
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    Json,
}

/// Why one policy says what it says.
#[derive(Serialize)]
struct Explained {
    policy: String,
    denies: Vec<Value>,
    warns: Vec<Value>,
    /// Why it could not be evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    rules: Vec<Traced>,
    /// Rules of which nothing was evaluated.
    #[serde(rename = "notReached")]
    not_reached: Vec<String>,
}

pub(super) fn run(args: &ExplainArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let sources = sources(&args.subject)?;
    let document = args.subject.ask(&Rules::default())?.document;
    let input = Input::new(&document).map_err(|why| CommandError::of("reading it failed", &why))?;
    let mut all = Vec::new();
    for source in &sources {
        let policy = source.compile().map_err(|errors| unfit(source, &errors))?;
        let trace = policy
            .explain(&input)
            .map_err(|why| CommandError::of("no trace could be taken", &why))?;
        all.push(explained(source, trace, args.rule.as_deref()));
    }
    let text = match args.form {
        Form::Text => lines(&all.iter().map(text).collect::<String>()),
        Form::Json => written(&all)?,
    };
    ui.data(text.as_bytes())
}

fn sources(subject: &Subject) -> Result<Vec<Source>, CommandError> {
    let named = subject.sources()?;
    if !named.is_empty() {
        return Ok(named);
    }
    let always = LIBRARY.iter().filter(|shipped| shipped.always);
    let names: Vec<PathBuf> = always.map(|shipped| shipped.name.into()).collect();
    names.iter().map(|name| place::shipped(name)).collect()
}

fn explained(source: &Source, trace: Trace, only: Option<&str>) -> Explained {
    let (verdict, error) = match trace.verdict {
        Ok(verdict) => (
            verdict,
            trace.broken_off.map(|at| format!("the trace ends at {at}")),
        ),
        Err(why) => (Verdict::default(), Some(source.told(&why))),
    };
    let last = |rule: &Traced| rule.rule.rsplit('.').next().unwrap_or_default().to_owned();
    let mut rules = trace.rules;
    rules.retain(|rule| only.is_none_or(|only| last(rule) == only || rule.rule == only));
    // What is asked first, then what that asks.
    rules.sort_by_key(|rule| !["deny", "warn"].contains(&last(rule).as_str()));
    let (mut reached, not_reached): (Vec<_>, Vec<_>) =
        rules.into_iter().partition(|rule| rule.reached);
    let place = |rule: &Traced| format!("{}:{}", source.shown(&rule.file), rule.line);
    let not_reached = not_reached
        .iter()
        .map(|rule| format!("{} ({})", last(rule), place(rule)))
        .collect();
    for rule in &mut reached {
        rule.file = source.shown(&rule.file);
    }
    Explained {
        policy: source.name.clone(),
        denies: verdict.violations.iter().map(said).collect(),
        warns: verdict.warnings.iter().map(said).collect(),
        error,
        rules: reached,
        not_reached,
    }
}

fn said(violation: &Violation) -> Value {
    json!({
        "message": violation.message,
        "object": violation.object,
        "path": violation.path,
        "hint": violation.hint,
    })
}

fn text(explained: &Explained) -> String {
    let mut out = format!(
        "{}: {}, {}\n",
        explained.policy,
        counted(explained.denies.len(), "denial", "denials"),
        counted(explained.warns.len(), "warning", "warnings")
    );
    for said in explained.denies.iter().chain(&explained.warns) {
        let message = said.get("message").and_then(Value::as_str);
        out.push_str(&format!("  {}\n", message.unwrap_or_default()));
    }
    if let Some(error) = &explained.error {
        out.push_str(&format!("  {error}\n"));
    }
    for rule in &explained.rules {
        out.push_str(&format!("\n{}:{} {}\n", rule.file, rule.line, rule.rule));
        rule.steps.iter().for_each(|step| line(step, &mut out));
    }
    if !explained.not_reached.is_empty() {
        let all = explained.not_reached.join(", ");
        out.push_str(&format!("\nnot reached: {all}\n"));
    }
    out.push('\n');
    out
}

fn line(step: &Step, out: &mut String) {
    let outcome = match step.outcome {
        Outcome::Held => "held",
        Outcome::HeldSometimes => "held at times",
        Outcome::Stopped => "stopped",
        Outcome::Asked => "asked",
        Outcome::NotReached => "not reached",
        Outcome::Gives => "gives",
    };
    let indent = "  ".repeat(step.depth);
    out.push_str(&format!(
        "  {:>5}  {outcome:<13}  {indent}{}\n",
        step.line, step.text
    ));
    let reached = step.outcome != Outcome::NotReached;
    match (step.values.as_slice(), step.outcome) {
        ([], Outcome::Stopped) => out.push_str(&format!("{:24}{indent}no value\n", "")),
        ([only], _) if only == "true" => {}
        (values, _) if reached => {
            for value in values {
                out.push_str(&format!("{:24}{indent}{value}\n", ""));
            }
            if step.times > values.len() && !values.is_empty() {
                let times = step.times;
                out.push_str(&format!("{:24}{indent}({times} times)\n", ""));
            }
        }
        _ => {}
    }
}
