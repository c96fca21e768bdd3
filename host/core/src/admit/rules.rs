//! The rules that one Kustomization is under, and what they say to it.
//!
//! Every rule is asked, so that all objections are told at once. What a rule that is enforced objects to denies; what the
//! others object to is only told. A rule that is not there to be asked, because it never compiled, objects.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use reeve_api::policy::{Mode, ObjectSelector};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Denied, Objection, Phase, document};
use crate::library::LIBRARY;
use crate::rego::{self, Input, Policy};

/// A policy as it is in force: what is asked, and what happens to what it denies.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What objections call it.
    pub name: String,
    /// What happens to what it denies.
    pub mode: Mode,
    /// The objects that it is shown; empty for all.
    pub objects: Vec<ObjectSelector>,
    /// The compiled policy, or why there is none.
    pub policy: Result<Arc<Policy>, String>,
}

/// The rules over a tenant's Kustomization.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// What a rule objects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What happens to what the rule denies.
    pub mode: Mode,
    /// Whether the rule denies it; else it only warns.
    pub denies: bool,
    /// What it objects to.
    pub objection: Objection,
}

/// What all rules said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// What they objected to, rule by rule.
    pub findings: Vec<Finding>,
    /// How long each of them thought, by its name.
    pub took: BTreeMap<String, Duration>,
}

/// What was shown to rules, and let pass: the same need not be judged by the same again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// Of the rules and of what they were shown; None where no rule is asked.
    of: Option<[u8; 32]>,
    answers: Answers,
}

impl Passed {
    /// What the rules said all the same.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }
}

impl Answers {
    /// What does not happen.
    pub(super) fn denials(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|one| one.stops())
    }
}

impl Finding {
    /// Whether nothing happens because of it.
    pub fn stops(&self) -> bool {
        self.denies && self.mode == Mode::Enforce
    }
}

impl Rule {
    /// One that is enforced, over all objects.
    pub fn enforced(policy: Policy) -> Self {
        Self {
            name: policy.name().to_owned(),
            mode: Mode::Enforce,
            objects: Vec::new(),
            policy: Ok(Arc::new(policy)),
        }
    }
}

impl Rules {
    /// The rules that are always in force, compiled once.
    pub fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Rules> = OnceLock::new();
        SHIPPED.get_or_init(|| {
            let always = LIBRARY.iter().filter(|shipped| shipped.always);
            let compiled = always.map(|shipped| Policy::compile(shipped.name, shipped.source));
            let policies = compiled.collect::<Result<_, _>>();
            Self::new(policies.expect("because a test compiles every one of them"))
        })
    }

    /// Policies, all of them enforced.
    pub fn new(policies: Vec<Policy>) -> Self {
        Self {
            rules: policies.into_iter().map(Rule::enforced).collect(),
        }
    }

    /// These and those: there is no way to take one away.
    #[must_use]
    pub fn and(&self, more: impl IntoIterator<Item = Rule>) -> Self {
        let own = self.rules.iter().cloned();
        Self {
            rules: own.chain(more).collect(),
        }
    }

    /// The rules, in the order they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// Asks every rule: all objections are told at once, not the first alone. What passed `before` and is the same, under
    /// the same rules, passes again.
    pub(super) fn judge(
        &self,
        phase: Phase,
        document: &Value,
        before: Option<&Passed>,
    ) -> Result<Passed, Denied> {
        let of = self.digest(document);
        if let Some(before) = before.filter(|before| before.of == Some(of)) {
            return Ok(before.clone());
        }
        let (answers, more) = self.ask(document);
        let denied = answers.denials().next().is_some();
        match denied {
            true => Err(Denied {
                phase,
                answers,
                more,
            }),
            false => Ok(Passed {
                of: Some(of),
                answers,
            }),
        }
    }

    /// What all of them say, and how many denials there are beyond those.
    fn ask(&self, document: &Value) -> (Answers, usize) {
        let all = Input::new(document);
        let mut answers = Answers::default();
        let mut more = 0;
        for rule in &self.rules {
            let begun = now();
            let beyond = rule.ask(document, &all, &mut answers.findings);
            if rule.mode == Mode::Enforce {
                more += beyond;
            }
            let took = now().saturating_duration_since(begun);
            answers.took.insert(rule.name.clone(), took);
        }
        (answers, more)
    }

    /// What all of them say to a document that nothing follows from.
    pub(super) fn answer(&self, document: &Value) -> Answers {
        self.ask(document).0
    }

    fn digest(&self, document: &Value) -> [u8; 32] {
        let rules: Vec<_> = self.rules.iter().map(Rule::shown).collect();
        let mut digest = Sha256::new();
        // Both are JSON, so neither can run into the other.
        digest.update(Value::Array(rules).to_string());
        digest.update(document.to_string());
        digest.finalize().into()
    }
}

impl Rule {
    /// What its answers depend on.
    fn shown(&self) -> Value {
        let policy = self.policy.as_ref().map(|policy| policy.digest());
        json!({
            "name": self.name,
            "mode": self.mode,
            "objects": self.objects,
            "policy": policy.as_ref().ok(),
            "why": policy.as_ref().err(),
        })
    }

    /// Adds what it objects to, and says how much more there is.
    fn ask(
        &self,
        document: &Value,
        all: &Result<Input, rego::Error>,
        findings: &mut Vec<Finding>,
    ) -> usize {
        let finding = |objection| self.finding(true, objection);
        let policy = match &self.policy {
            Ok(policy) => policy,
            Err(why) => {
                findings.push(finding(Objection::absent(&self.name, why)));
                return 0;
            }
        };
        let input = match self.objects.as_slice() {
            [] => all.clone(),
            picked => Input::new(&document::picked(document, picked)),
        };
        match input.and_then(|input| policy.judge(&input)) {
            Ok(verdict) => {
                let said = |one| Objection::of(&self.name, policy, one);
                let objections = verdict.violations.into_iter().map(said);
                findings.extend(objections.map(finding));
                let warnings = verdict.warnings.into_iter().map(said);
                findings.extend(warnings.map(|one| self.finding(false, one)));
                verdict.more
            }
            Err(why) => {
                findings.push(finding(Objection::broken(&self.name, &why)));
                0
            }
        }
    }

    fn finding(&self, denies: bool, objection: Objection) -> Finding {
        Finding {
            mode: self.mode,
            denies,
            objection,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a rule thinks is told, and decides nothing"
)]
fn now() -> Instant {
    Instant::now()
}
