//! A policy's own tests, and which of its lines they reach.
//!
//! A test is a rule `test_*`; it holds when it is true. Each runs under the limits of a judgement, on the engine that
//! judges. It deliberately fails nothing for a coverage that is too small: whoever asks has a threshold of their own.

use std::collections::{BTreeMap, BTreeSet};

use regorus::{Engine, Value};

use super::draft::Draft;
use super::edits::edited;
use super::{Error, Input, Policy, builtins, lint, mocks, room, uncompiled};

/// How one `test_*` rule ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// Its file.
    pub file: String,
    /// The rule's name.
    pub name: String,
    /// Why it failed; none when it is true.
    pub failure: Option<String>,
}

/// How all tests of a policy ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tests {
    /// Each test, by file and as it stands there. There may be none.
    pub ended: Vec<Tested>,
    /// The lines of each module that the tests reached.
    pub coverage: BTreeMap<String, Coverage>,
}

/// The lines of one module, numbered from 1, that hold something to evaluate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// What a test evaluated.
    pub covered: BTreeSet<u32>,
    /// What none did.
    pub uncovered: BTreeSet<u32>,
}

impl Tests {
    /// Whether there is a test and all of them hold.
    pub fn hold(&self) -> bool {
        !self.ended.is_empty() && self.ended.iter().all(|test| test.failure.is_none())
    }

    /// How much of the policy the tests reach, in whole per cent of its lines.
    pub fn percent(&self) -> u8 {
        let covered: usize = self.coverage.values().map(|file| file.covered.len()).sum();
        let uncovered: usize = self
            .coverage
            .values()
            .map(|file| file.uncovered.len())
            .sum();
        let percent = (covered * 100).checked_div(covered + uncovered);
        percent.and_then(|n| u8::try_from(n).ok()).unwrap_or(0)
    }
}

impl Policy {
    /// Runs the tests that lie beside the policy.
    pub fn tests(&self) -> Result<Tests, Vec<Error>> {
        self.tests_among(|_, _| true)
    }

    /// The same for those that are wanted, by file and name.
    pub fn tests_among(&self, wanted: impl Fn(&str, &str) -> bool) -> Result<Tests, Vec<Error>> {
        room::with(|| self.suite(&self.tests, &wanted))
    }

    /// Runs every `test_*` rule of the module `source` with this policy.
    pub fn test(&self, file: &str, source: &str) -> Result<Vec<Tested>, Error> {
        let files = [(file.to_owned(), source.to_owned())];
        let tests = room::with(|| self.suite(&files, &|_, _| true));
        tests
            .map(|tests| tests.ended)
            .map_err(|mut errors| errors.swap_remove(0))
    }

    fn suite(
        &self,
        files: &[(String, String)],
        wanted: &dyn Fn(&str, &str) -> bool,
    ) -> Result<Tests, Vec<Error>> {
        let draft = Draft::load(lint::trees(&self.engine)?, files)?;
        let modules = draft.modules();
        let mut engine = self.with(&draft)?;
        let mut ended = Vec::new();
        for (file, _) in files {
            let tests = lint::tests(modules, file).map_err(|error| vec![error])?;
            let tests = tests.into_iter().filter(|(_, name)| wanted(file, name));
            ended.extend(tests.map(|(package, name)| (file.clone(), package, name)));
        }
        let ended = ended
            .into_iter()
            .map(|(file, package, name)| Tested {
                failure: self.run(&mut engine, &format!("{package}.{name}")),
                file,
                name,
            })
            .collect();
        Ok(Tests {
            ended,
            coverage: self.covered(&engine, modules),
        })
    }

    /// An engine with the tests and the policy, in which what they replace is written out.
    fn with(&self, draft: &Draft) -> Result<Engine, Vec<Error>> {
        let written = mocks::written_out(draft.modules());
        if written.iter().all(Vec::is_empty) {
            let mut engine = self.engine.clone();
            engine.set_enable_coverage(true);
            return draft.put_into(engine);
        }
        let mut engine = builtins::engine();
        for (module, edits) in draft.modules().iter().zip(written) {
            let source = edited(&module.source, 0, edits);
            engine
                .add_policy(module.file.clone(), source)
                .map_err(|error| vec![uncompiled(&module.file, &error)])?;
        }
        engine
            .add_data(self.engine.get_data())
            .map_err(|error| vec![uncompiled(&self.name, &error)])?;
        engine.set_gather_prints(true);
        engine.set_enable_coverage(true);
        Ok(engine)
    }

    /// Why the rule is not true.
    fn run(&self, engine: &mut Engine, rule: &str) -> Option<String> {
        match self.evaluate(engine, rule, &Input(Value::new_object())) {
            Ok(Value::Bool(true)) => None,
            Ok(Value::Undefined) => Some("it is undefined".to_owned()),
            Ok(_) => Some("it is not true".to_owned()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// What regorus knows of the lines; it says nothing of a module of which nothing was evaluated.
    fn covered(&self, engine: &Engine, modules: &[lint::Module]) -> BTreeMap<String, Coverage> {
        let report = engine.get_coverage_report();
        let files = report.map(|report| report.files).unwrap_or_default();
        let reached = files.into_iter().map(|file| {
            let coverage = Coverage {
                covered: file.covered.into_iter().collect(),
                uncovered: file.not_covered.into_iter().collect(),
            };
            (file.path, coverage)
        });
        let all = modules.iter().map(|module| {
            let coverage = Coverage {
                covered: BTreeSet::new(),
                uncovered: lint::lines(module),
            };
            (module.file.clone(), coverage)
        });
        let mut coverage: BTreeMap<_, _> = all.chain(reached).collect();
        coverage.retain(|file, _| self.files.contains(file));
        coverage
    }
}
