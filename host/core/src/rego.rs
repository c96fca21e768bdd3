//! regorus behind a wall: a policy is compiled once, and every question to it has bounds.
//!
//! A policy is one or more modules whose partial sets `deny` and `warn` hold `{message, object?, path?, hint?}`, and the
//! data that lies beside them. It deliberately cannot reach a network, a clock, a random number or the environment
//! (`rego/lint.rs` refuses such calls before anything is evaluated), and whatever does not go as documented is an
//! [`Error`], which `admit` counts as an objection. Bounded are the sources, the input, the time, what functions make
//! (`rego/builtins.rs`) and the answer; who does not come to an end at all is given up (`rego/patience.rs`). The next stage
//! is `admit`.

mod bodies;
mod builtins;
mod case;
mod chain;
mod check;
mod draft;
mod edits;
mod error;
mod exceptions;
mod extent;
mod fields;
mod files;
mod heads;
mod lint;
mod metadata;
mod mocks;
mod names;
mod negation;
mod nesting;
mod order;
mod patience;
mod place;
mod room;
mod sources;
mod spelling;
mod suite;
mod trace;
mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use case::{Case, NoCase};
pub use check::{Fault, FaultKind, check};
use draft::Draft;
use edits::Origin;
pub use error::Error;
use error::uncompiled;
pub use exceptions::{Excepted, Exception};
pub use files::{Gathered, Unfit};
pub use metadata::{Metadata, Severity};
pub use place::Place;
use place::located;
pub use suite::{Coverage, Tested, Tests};
pub use trace::{Outcome, Step, Trace, Traced};
use verdict::violation;
pub use verdict::{Verdict, Violation};

/// The longest one policy may think about one question.
const THINKING_TIME: Duration = Duration::from_secs(2);
/// Steps between two looks at the time.
const STEPS_BETWEEN_CHECKS: NonZeroU32 = NonZeroU32::new(64).expect("because 64 is not zero");
/// The largest input document, in bytes of JSON.
const INPUT_LIMIT: usize = 64 << 20;
/// The most violations that are carried on; how many more there are is counted.
const VIOLATION_LIMIT: usize = 1_000;
/// The name under `data` of what a Policy gives.
const PARAMETERS: &str = "parameters";
/// The word that a policy which asks for the form before must hold.
const PREVIOUS: &str = "previous";
/// The package of the one rule that is asked: it names every `deny` and `warn`.
const ANSWERS: &str = "reeve_answers";

/// A policy that was compiled, linted and tried.
pub struct Policy {
    name: String,
    digest: String,
    metadata: Metadata,
    /// Where its first `deny` or `warn` stands.
    place: Option<Place>,
    /// The paths of its modules.
    files: Vec<String>,
    /// Path and source of each module of tests.
    tests: Vec<(String, String)>,
    /// What its modules were, where they are evaluated otherwise than they were written.
    origins: BTreeMap<String, Origin>,
    /// What is asked, in the order of the answers.
    questions: Vec<Question>,
    /// What is tolerated of what it denies.
    exceptions: Vec<Exception>,
    /// Whether a module mentions the form in which an object was applied before.
    reads_previous: bool,
    /// Holds the modules and the data, and is prepared: a clone of it costs microseconds.
    engine: Engine,
    thinking_time: Duration,
}

/// One set of one package.
struct Question {
    /// `data.reeve.service_account.deny`.
    path: String,
    /// `data.reeve.service_account`.
    package: String,
    denies: bool,
    /// The modules of its package.
    files: Vec<String>,
    /// What to do about it, where the package isn't the one whose metadata are the policy's.
    hint: Option<String>,
}

impl Question {
    fn lies_in(&self, directory: &str) -> bool {
        let mut below = self.files.iter().map(|file| file.strip_prefix(directory));
        directory.is_empty() || below.any(|rest| rest.is_some_and(|rest| rest.starts_with('/')))
    }
}

/// The question put to policies: one document, converted once for all of them.
#[derive(Clone)]
pub struct Input(Value);

impl Input {
    /// Takes the document, unless it is too large.
    pub fn new(document: &impl Serialize) -> Result<Self, Error> {
        let text = serde_json::to_string(document).map_err(|_| Error::Unreadable)?;
        let (bytes, limit) = (text.len(), INPUT_LIMIT);
        if bytes > limit {
            return Err(Error::Input { bytes, limit });
        }
        Value::from_json_str(&text)
            .map(Self)
            .map_err(|_| Error::Unreadable)
    }
}

impl Policy {
    /// Compiles the one module `source`.
    ///
    /// `name` is what objections call it, `<name>/policy.rego` what errors call its source.
    pub fn compile(name: &str, source: &str) -> Result<Self, Error> {
        let file = format!("{name}/policy.rego");
        let files = BTreeMap::from([(file, source.as_bytes().to_vec())]);
        Self::load(name, &files, &serde_json::json!({})).map_err(|mut errors| errors.swap_remove(0))
    }

    /// Compiles the modules among `files`, refuses what a policy may not do, and asks it one ordinary question.
    ///
    /// Paths are relative to the policy's directory, with `/` between their parts: data lies where they say. Told are
    /// all errors of all files, at least one.
    pub fn load(
        name: &str,
        files: &BTreeMap<String, Vec<u8>>,
        parameters: &serde_json::Value,
    ) -> Result<Self, Vec<Error>> {
        room::with(|| Self::load_here(name, files, parameters))
    }

    fn load_here(
        name: &str,
        files: &BTreeMap<String, Vec<u8>>,
        parameters: &serde_json::Value,
    ) -> Result<Self, Vec<Error>> {
        let sources = sources::Sources::sort(files)?;
        let mut draft = Draft::load(Vec::new(), &sources.modules)?;
        draft.write_out_mocks()?;
        let packages = lint::policy(draft.modules(), &sources.data)?;
        let (metadata, questions, titles) = questions(&packages, &sources.modules)?;
        let exceptions = exceptions::read_all(&sources.exceptions, &titles)?;
        let single = |error| vec![error];
        let mut engine = draft.put_into(builtins::engine())?;
        engine
            .add_policy(ANSWERS.to_owned(), answers(&questions))
            .map_err(|error| single(uncompiled(ANSWERS, &error)))?;
        engine.set_gather_prints(true);
        let mut data = sources.data;
        data.insert(PARAMETERS.to_owned(), serde_json::json!({}));
        let data = Input::new(&data).map_err(single)?;
        engine
            .add_data(data.0)
            .map_err(|error| single(uncompiled(name, &error)))?;
        let policy = Self {
            name: name.to_owned(),
            digest: sources::digest(files),
            metadata,
            place: draft.modules().iter().find_map(lint::first_set),
            exceptions,
            reads_previous: sources
                .modules
                .iter()
                .any(|(_, source)| source.contains(PREVIOUS)),
            files: sources.modules.into_iter().map(|(file, _)| file).collect(),
            tests: sources.tests,
            origins: draft.origins(),
            questions,
            engine,
            thinking_time: THINKING_TIME,
        };
        policy.given(parameters).map_err(single)
    }

    /// The same with `data.parameters`, an object, for its rules to read; without this it is empty.
    pub fn given(mut self, parameters: &serde_json::Value) -> Result<Self, Error> {
        if !parameters.is_object() {
            let why = format!("{PARAMETERS} are no object");
            return Err(Error::at(Place::of(&self.name), why));
        }
        let data = Input::new(&serde_json::json!({PARAMETERS: parameters}))?;
        self.engine
            .add_data(data.0)
            .map_err(|error| uncompiled(&self.name, &error))?;
        let digest = Sha256::digest(format!("{} {parameters}", self.digest));
        self.digest = format!("sha256:{}", hex::encode(digest));
        self.prepare()?;
        Ok(self)
    }

    /// `sha256:<hex>` of its files and its parameters: what it answers depends on nothing else but the question.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What objections call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says about itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where its first `deny` or `warn` stands.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// What is tolerated of what it denies.
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// Whether it asks for the form in which an object was applied before. One that doesn't mention it isn't shown it.
    pub fn reads_previous(&self) -> bool {
        self.reads_previous
    }

    /// The same with another limit on its thinking time.
    #[must_use]
    pub fn within(mut self, thinking_time: Duration) -> Self {
        self.thinking_time = thinking_time;
        self
    }

    /// Asks the policy about `input`.
    pub fn judge(&self, input: &Input) -> Result<Verdict, Error> {
        self.judge_part(input, "")
    }

    /// The same of those of its packages that have a module in or below `directory`.
    pub fn judge_part(&self, input: &Input, directory: &str) -> Result<Verdict, Error> {
        let (mut engine, input) = (self.engine.clone(), input.clone());
        let (policy, limit) = (self.name.clone(), self.thinking_time);
        let timer = self.timer();
        let work = move || {
            let rule = format!("data.{ANSWERS}.all");
            asked(&mut engine, timer, &rule, &input)
                .map_err(|said| Error::failed(policy, &said, limit))
        };
        let answer = patience::answer(&self.digest, limit, work)
            .map_err(|silence| Error::unheard(&self.name, silence, limit))??;
        room::with(|| self.read(&answer, directory))
    }

    /// Asks one ordinary question, so that what regorus only finds while evaluating is found now.
    fn prepare(&mut self) -> Result<(), Error> {
        let input = Input::new(&serde_json::json!({
            "phase": "spec",
            "kustomization": {"metadata": {"namespace": "acme", "name": "web"}, "spec": {}},
            "tenant": {"name": "acme", "namespaces": ["acme"]},
            "source": {"kind": "GitRepository", "namespace": "acme", "name": "web", "verified": false},
            "platform": {"namespaces": [], "configNamespaces": []},
            "objects": [],
        }))?;
        builtins::begin();
        self.engine.set_input(input.0.clone());
        self.engine.set_execution_timer_config(self.timer());
        evaluated(&mut self.engine, &format!("data.{ANSWERS}.all"))
            .map_err(|said| uncompiled(&self.name, &said))?;
        // Whoever loads a policy first may have no other thread, and is ended by others when this does not end.
        let mut engine = self.engine.clone();
        let answer = self.evaluate(&mut engine, &format!("data.{ANSWERS}.all"), &input)?;
        self.read(&answer, "").map(|_| ())
    }

    fn timer(&self) -> ExecutionTimerConfig {
        ExecutionTimerConfig {
            limit: self.thinking_time,
            check_interval: STEPS_BETWEEN_CHECKS,
        }
    }

    fn evaluate(&self, engine: &mut Engine, rule: &str, input: &Input) -> Result<Value, Error> {
        asked(engine, self.timer(), rule, input).map_err(|said| {
            let policy = self.name.clone();
            Error::failed(policy, &said, self.thinking_time)
        })
    }

    fn read(&self, answer: &Value, directory: &str) -> Result<Verdict, Error> {
        let refused = |why: &str| Error::Shape {
            policy: self.name.clone(),
            why: why.to_owned(),
        };
        let Value::Array(answers) = answer else {
            return Err(refused("not all of its sets have a value"));
        };
        let mut verdict = Verdict::default();
        let asked = self.questions.iter().zip(answers.iter());
        for (question, answer) in asked.filter(|(question, _)| question.lies_in(directory)) {
            let (told, more) = match question.denies {
                true => (&mut verdict.violations, &mut verdict.more),
                false => (&mut verdict.warnings, &mut verdict.more_warnings),
            };
            let Value::Set(set) = answer else {
                return Err(refused("deny is not a set"));
            };
            for element in set.iter() {
                let mut violation = violation(element).map_err(refused)?;
                if told.len() < VIOLATION_LIMIT {
                    violation.package.clone_from(&question.package);
                    violation.hint = violation.hint.or_else(|| question.hint.clone());
                    told.push(violation);
                } else {
                    *more += 1;
                }
            }
        }
        Ok(verdict)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The path of a package and its title.
type Title = (String, String);

/// What is asked of the packages, what the first of them says about itself, and what all are called.
fn questions(
    packages: &[lint::Package],
    modules: &[(String, String)],
) -> Result<(Metadata, Vec<Question>, Vec<Title>), Vec<Error>> {
    let mut first = None;
    let (mut questions, mut titles) = (Vec::new(), Vec::new());
    let mut errors = Vec::new();
    for package in packages {
        let sources = modules
            .iter()
            .filter(|(file, _)| package.files.contains(file));
        match metadata::of_package(sources) {
            Ok(metadata) => {
                let hint = first.is_some().then(|| metadata.hint.clone()).flatten();
                titles.push((package.path.clone(), metadata.title.clone()));
                questions.extend(package.sets.iter().map(|set| Question {
                    path: format!("{}.{set}", package.path),
                    package: package.path.clone(),
                    denies: *set == "deny",
                    files: package.files.clone(),
                    hint: hint.clone(),
                }));
                first.get_or_insert(metadata);
            }
            Err(error) => errors.push(error),
        }
    }
    match first {
        Some(metadata) if errors.is_empty() => Ok((metadata, questions, titles)),
        _ => Err(errors),
    }
}

/// The module that asks all of them at once, under one limit of time.
fn answers(questions: &[Question]) -> String {
    let paths: Vec<&str> = questions.iter().map(|one| one.path.as_str()).collect();
    format!("package {ANSWERS}\n\nall := [\n{}\n]\n", paths.join(",\n"))
}

/// The value of a rule for this input, or what regorus says.
fn asked(
    engine: &mut Engine,
    timer: ExecutionTimerConfig,
    rule: &str,
    input: &Input,
) -> Result<Value, String> {
    builtins::begin();
    engine.set_input(input.0.clone());
    engine.set_execution_timer_config(timer);
    evaluated(engine, rule)
}

/// The value of a rule, or what regorus says. It panics at some arguments of some functions: that is no value either.
fn evaluated(engine: &mut Engine, rule: &str) -> Result<Value, String> {
    let evaluation = AssertUnwindSafe(|| room::with(|| engine.eval_rule(rule.to_owned())));
    match panic::catch_unwind(evaluation) {
        Ok(answer) => answer.map_err(|error| format!("{error:#}")),
        Err(_) => Err("it failed inside of a function".to_owned()),
    }
}

#[cfg(test)]
mod tests;
