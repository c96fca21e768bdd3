//! The rules that one Kustomization is under, and what they say to it.
//!
//! Every rule is asked, so that all objections are told at once. What a rule that is enforced objects to denies; what the
//! others object to is only told. A rule that is not there to be asked, because it never compiled, objects.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reeve_api::name::NamespacedName;
use reeve_api::policy::{Mode, ObjectSelector};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::discretion::Words;
use super::tolerance::{Against, Tolerance};
use super::{Denied, Objection, Phase};
use crate::artifact;
use crate::library::LIBRARY;
use crate::rego::{self, Input, Policy, Violation};
use crate::veil::Veil;

/// The most findings of one rule that are told of those that deny, and as many of the others.
pub(crate) const TOLD: usize = 100;

/// A policy as it is in force: what is asked, and what happens to what it denies.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What objections call it.
    pub name: String,
    /// What happens to what it denies.
    pub mode: Mode,
    /// The objects that it is shown; empty for all.
    pub objects: Vec<ObjectSelector>,
    /// Whether it tolerates what it denies of objects that are as they were when they were applied last.
    pub ratchet: bool,
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
    /// How much it objects.
    pub verdict: Verdict,
    /// What it objects to.
    pub objection: Objection,
}

/// How much a rule objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It denies it.
    Denied,
    /// It would, if that were not tolerated.
    Tolerated(Tolerance),
    /// It only warns.
    Warned,
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
    /// Whether it is of these rules and of that.
    pub(super) fn is_of(&self, digest: [u8; 32]) -> bool {
        self.of == Some(digest)
    }

    /// Which question of which rules it is the answer to.
    pub fn of(&self) -> Option<[u8; 32]> {
        self.of
    }

    /// What the rules said all the same.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }
}

impl Answers {
    /// The same, telling nothing that must not be told: whoever is given them tells all that they hold.
    fn under(mut self, veil: &Veil) -> Self {
        for finding in &mut self.findings {
            finding.objection.cover(veil);
        }
        self
    }

    /// What does not happen.
    pub(super) fn denials(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|one| one.stops())
    }
}

impl Finding {
    /// Whether nothing happens because of it.
    pub fn stops(&self) -> bool {
        self.verdict == Verdict::Denied && self.mode == Mode::Enforce
    }
}

impl Rule {
    /// One that is enforced, over all objects.
    pub fn enforced(policy: Policy) -> Self {
        Self {
            name: policy.name().to_owned(),
            mode: Mode::Enforce,
            objects: Vec::new(),
            ratchet: false,
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

    /// Whether one of them asks for the form in which objects were applied before.
    pub fn want_previous(&self) -> bool {
        self.rules.iter().any(Rule::wants_previous)
    }

    /// When, after `now`, the next exception for that Kustomization ends: until then the same is judged the same.
    pub fn next_end(&self, kustomization: &NamespacedName, now: Timestamp) -> Option<Timestamp> {
        let policies = self
            .rules
            .iter()
            .filter_map(|rule| rule.policy.as_ref().ok());
        let exceptions = policies.flat_map(|policy| policy.exceptions());
        let ends = exceptions.filter(|one| one.holds(now) && one.concerns(kustomization));
        ends.map(|one| one.expires).min()
    }

    /// What their answers depend on: on them, on what they are shown, on what was applied before, on the exceptions that
    /// hold, and on what must not be told.
    pub(super) fn digest(&self, on: &Against<'_>, before: Option<artifact::Digest>) -> [u8; 32] {
        let rules: Vec<_> = self.rules.iter().map(|rule| rule.shown(on.now)).collect();
        let before = before.filter(|_| self.want_previous());
        let mut digest = Sha256::new();
        // All are JSON, so none can run into another.
        digest.update(Value::Array(rules).to_string());
        digest.update(json!(before.map(|before| before.to_string())).to_string());
        let document = serde_json::to_vec(on.document);
        digest.update(document.expect("because every key is a text"));
        digest.update(on.veil.digest());
        digest.finalize().into()
    }

    /// Asks every rule: all objections are told at once, not the first alone. What passed `before` and is the same, under
    /// the same rules, passes again.
    pub(super) fn judge(
        &self,
        phase: Phase,
        on: &Against<'_>,
        before: Option<&Passed>,
    ) -> Result<Passed, Denied> {
        let of = self.digest(on, on.before.map(super::Recollection::digest));
        if let Some(before) = before.filter(|before| before.is_of(of)) {
            return Ok(before.clone());
        }
        let inputs = Inputs::new(on);
        let (answers, more) = self.ask(|rule, findings| {
            let input = |policy: &Policy| inputs.of(rule, policy);
            let words = |policy: &Policy| Words::of(on, rule, policy);
            let tolerate = |policy: &Policy, one: &Violation| on.tolerate(rule, policy, one);
            rule.ask(input, words, tolerate, findings)
        });
        let answers = answers.under(on.veil);
        let denied = more > 0 || answers.denials().next().is_some();
        match denied {
            true => Err(Denied {
                phase,
                answers,
                more,
                rendered: None,
            }),
            false => Ok(Passed {
                of: Some(of),
                answers,
            }),
        }
    }

    /// What all of them say to a document that nothing follows from, as it is. Nothing is tolerated: nobody knows whose it
    /// is.
    pub(super) fn answer(&self, document: &Value) -> Answers {
        let all = Input::new(document);
        let (answers, _) = self.ask(|rule, findings| {
            rule.ask(
                |_: &Policy| all.clone(),
                |_: &Policy| None,
                |_: &Policy, _: &Violation| None,
                findings,
            )
        });
        answers
    }

    /// What all of them say, and how many denials there are beyond those.
    fn ask(&self, one: impl Fn(&Rule, &mut Vec<Finding>) -> usize) -> (Answers, usize) {
        let mut answers = Answers::default();
        let mut more = 0;
        for rule in &self.rules {
            let begun = now();
            let beyond = one(rule, &mut answers.findings);
            if rule.mode == Mode::Enforce {
                more += beyond;
            }
            let took = now().saturating_duration_since(begun);
            answers.took.insert(rule.name.clone(), took);
        }
        (answers, more)
    }
}

/// The document, converted once for all rules that are shown the same of it.
struct Inputs<'q> {
    on: &'q Against<'q>,
    plain: OnceCell<Result<Input, rego::Error>>,
    with_previous: OnceCell<Result<Input, rego::Error>>,
}

impl<'q> Inputs<'q> {
    fn new(on: &'q Against<'q>) -> Self {
        Self {
            on,
            plain: OnceCell::new(),
            with_previous: OnceCell::new(),
        }
    }

    fn of(&self, rule: &Rule, policy: &Policy) -> Result<Input, rego::Error> {
        let before = self.on.before.filter(|_| policy.reads_previous());
        let made = || Input::new(&self.on.document.view(&rule.objects, before));
        match (rule.objects.as_slice(), before) {
            ([], None) => self.plain.get_or_init(made).clone(),
            ([], Some(_)) => self.with_previous.get_or_init(made).clone(),
            _ => made(),
        }
    }
}

impl Rule {
    /// Whether its answers depend on what was applied before.
    fn wants_previous(&self) -> bool {
        let reads = self
            .policy
            .as_ref()
            .is_ok_and(|policy| policy.reads_previous());
        self.ratchet || reads
    }

    /// What its answers depend on.
    fn shown(&self, now: Timestamp) -> Value {
        let policy = self.policy.as_ref().map(|policy| policy.digest());
        let exceptions = self.policy.iter().flat_map(|policy| policy.exceptions());
        let hold: Vec<bool> = exceptions.map(|one| one.holds(now)).collect();
        json!({
            "name": self.name,
            "mode": self.mode,
            "objects": self.objects,
            "ratchet": self.ratchet,
            "exceptions": hold,
            "policy": policy.as_ref().ok(),
            "why": policy.as_ref().err(),
        })
    }

    /// Adds what it objects to, and says how much more there is that denies.
    fn ask<'q>(
        &self,
        input: impl Fn(&Policy) -> Result<Input, rego::Error>,
        words: impl Fn(&Policy) -> Option<Words<'q>>,
        tolerate: impl Fn(&Policy, &Violation) -> Option<Tolerance>,
        findings: &mut Vec<Finding>,
    ) -> usize {
        let mut denied = |objection| findings.push(self.finding(Verdict::Denied, objection));
        let policy = match &self.policy {
            Ok(policy) => policy,
            Err(why) => {
                denied(Objection::absent(&self.name, why));
                return 0;
            }
        };
        let verdict = match input(policy).and_then(|input| policy.judge(&input)) {
            Ok(verdict) => verdict,
            Err(why) => {
                denied(Objection::broken(&self.name, &why));
                return 0;
            }
        };
        let said = |one| Objection::of(&self.name, policy, one);
        let silent = verdict.violations.is_empty() && verdict.warnings.is_empty();
        let words = if silent { None } else { words(policy) };
        let may_tell = |one| match &words {
            Some(words) => words.tell(one),
            None => one,
        };
        let mut told = Told::default();
        for one in verdict.violations {
            let verdict = match tolerate(policy, &one) {
                Some(why) => Verdict::Tolerated(why),
                None => Verdict::Denied,
            };
            told.add(verdict, may_tell(one));
        }
        for one in verdict.warnings {
            told.add(Verdict::Warned, may_tell(one));
        }
        if verdict.more > 0 && told.denied.is_empty() {
            // Nobody looked at what is beyond, so nobody can tolerate it.
            denied(Objection::endless(&self.name));
        }
        let all = told.denied.into_iter().chain(told.tolerated);
        findings.extend(
            all.chain(told.warned)
                .map(|(verdict, one)| self.finding(verdict, said(one))),
        );
        verdict.more + told.more
    }

    fn finding(&self, verdict: Verdict, objection: Objection) -> Finding {
        Finding {
            mode: self.mode,
            verdict,
            objection,
        }
    }
}

/// What of one rule's answers is told: of each sort so many.
#[derive(Default)]
struct Told {
    denied: Vec<(Verdict, Violation)>,
    tolerated: Vec<(Verdict, Violation)>,
    warned: Vec<(Verdict, Violation)>,
    /// Denials beyond those.
    more: usize,
}

impl Told {
    fn add(&mut self, verdict: Verdict, violation: Violation) {
        let sort = match verdict {
            Verdict::Denied => &mut self.denied,
            Verdict::Tolerated(_) => &mut self.tolerated,
            Verdict::Warned => &mut self.warned,
        };
        let one = (verdict, violation);
        if sort.contains(&one) {
            // It says the same of two things that may not be told apart.
            return;
        }
        let (verdict, violation) = one;
        if sort.len() < TOLD {
            sort.push((verdict, violation));
        } else if verdict == Verdict::Denied {
            self.more += 1;
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
