//! `reeve policy test`: the tests and the cases beside policies, on the controller's engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use reeve_core::rego::{Case, Policy, Tests};
use reeve_core::text;
use regex::Regex;

use super::place::{self, Parameters, Source};
use super::report::{Report, Suite, Told};
use super::{counted, json};
use crate::cli::ui::{CommandError, Ui};

/// Run the tests of policies
///
/// Runs every rule `test_*` of the `*_test.rego` beside the rules, and every case: a YAML or JSON file in a directory `case`
/// with an input, what is denied then (want, nothing without it) and, where they count, warn and parameters. A case in
/// a/case is for the packages whose modules lie in a; hints count where it names them. A test has the time of a question,
/// two seconds. Coverage is what the tests reach of the lines that hold something to evaluate, cases not among them.
///
/// Exits 1 when one fails, when none ran, and when a policy's coverage is below the threshold.
///
/// Examples: `reeve policy test policies/*/ --threshold 90`, `reeve policy test . --run deny- -o junit`
#[derive(Args)]
pub(super) struct TestArgs {
    /// Directories of a policy each, or the files of one
    #[arg(required = true, value_name = "DIR|FILE")]
    targets: Vec<PathBuf>,
    /// Run only tests and cases in whose `file: name` this is found
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// Fail when the tests reach less of a policy than so many per cent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    threshold: Option<u8>,
    #[command(flatten)]
    parameters: Parameters,
    /// How to print what came of them
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Text)]
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    Json,
    /// Test Anything Protocol, version 14
    Tap,
    /// XML, as CI systems read it
    Junit,
}

pub(super) fn run(args: &TestArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let sources = place::open(&args.targets, &args.parameters)?;
    let mut suites = Vec::new();
    for source in &sources {
        suites.push(suite(source, args)?);
    }
    let report = Report::new(suites);
    let text = match args.form {
        Form::Text => text::lines(&report.text()),
        Form::Json => json(&report)?,
        Form::Tap => text::lines(&report.tap()),
        Form::Junit => report.junit(),
    };
    ui.data(text.as_bytes())?;
    match (report.failed, report.below) {
        (0, 0) if report.passed == 0 => Err(CommandError::new("no test ran")),
        (0, 0) => Ok(()),
        (0, below) => Err(CommandError::new(format!(
            "the tests of {} cover less than the threshold",
            counted(below, "policy", "policies")
        ))),
        (failed, _) => Err(CommandError::new(format!(
            "{failed} of {} failed",
            counted(report.passed + failed, "test", "tests")
        ))),
    }
}

fn suite(source: &Source, args: &TestArgs) -> Result<Suite, CommandError> {
    let mut suite = Suite {
        policy: source.name.clone(),
        coverage: None,
        below: None,
        uncovered: BTreeMap::new(),
        tests: Vec::new(),
    };
    let failed = |errors: Vec<reeve_core::rego::Error>| {
        let lines: Vec<String> = errors.iter().map(|error| source.told(error)).collect();
        Told::failed(source.shown(""), "it compiles", lines.join("\n"))
    };
    let policy = match source.compile() {
        Ok(policy) => policy,
        Err(errors) => {
            suite.tests.push(failed(errors));
            return Ok(suite);
        }
    };
    let wanted = |file: &str, name: &str| {
        let whole = format!("{}: {name}", source.shown(file));
        args.run.as_ref().is_none_or(|run| run.is_match(&whole))
    };
    match policy.tests_among(wanted) {
        Ok(tests) => covered(source, &tests, &mut suite),
        Err(errors) => suite.tests.push(failed(errors)),
    }
    for path in source.cases.iter().filter(|path| wanted(path, "case")) {
        suite.tests.push(case(source, &policy, path)?);
    }
    if suite.tests.is_empty() && args.run.is_none() {
        let why = "there is neither a rule test_* nor a case".to_owned();
        suite
            .tests
            .push(Told::failed(source.shown(""), "a test ran", why));
    }
    suite.hold_to(args.threshold);
    Ok(suite)
}

fn covered(source: &Source, tests: &Tests, suite: &mut Suite) {
    if tests.ended.is_empty() {
        return;
    }
    suite.coverage = Some(tests.percent());
    for (file, coverage) in &tests.coverage {
        if !coverage.uncovered.is_empty() {
            let lines = coverage.uncovered.iter().copied().collect();
            suite.uncovered.insert(source.shown(file), lines);
        }
    }
    suite.tests.extend(tests.ended.iter().map(|test| {
        let file = source.shown(&test.file);
        Told::of(file, &test.name, test.failure.clone())
    }));
}

/// Puts the case to the policy, compiled with the parameters that it brings.
fn case(source: &Source, policy: &Policy, path: &str) -> Result<Told, CommandError> {
    let file = source.shown(path);
    let told = |why| Ok(Told::of(file.clone(), "case", why));
    let case = match Case::parse(&source.case(path)?) {
        Ok(case) => case,
        Err(why) => return told(Some(why.to_string())),
    };
    let directory = of_case(path);
    let differs = match case.parameters() {
        None => case.differs(policy, directory),
        Some(parameters) => match source.compile_with(parameters) {
            Ok(policy) => case.differs(&policy, directory),
            Err(errors) => {
                let lines: Vec<String> = errors.iter().map(|error| source.told(error)).collect();
                return told(Some(lines.join("\n")));
            }
        },
    };
    match differs {
        Ok(differs) => told(differs),
        Err(why) => told(Some(why.to_string())),
    }
}

/// The directory in which a case's `case` lies.
fn of_case(path: &str) -> &str {
    match path.starts_with("case/") {
        true => "",
        false => path
            .split_once("/case/")
            .map_or("", |(directory, _)| directory),
    }
}
