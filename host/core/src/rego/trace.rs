//! Why a policy says what it says: which conditions held, which one stopped a rule, and what the values were.
//!
//! regorus tells no trace. So the policy is asked once more, with every condition written as an argument of a function
//! that gives back what it is given and notes it (`trace/marks.rs` writes it so). A condition without a value calls nothing:
//! that it was reached is known from the lines that were evaluated. It deliberately decides nothing: the verdict is that
//! of the policy as it is, and a trace that could not be taken says so.

mod marks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use regorus::{Engine, Value};
use serde::Serialize;

use super::{
    ANSWERS, Error, Input, Policy, Verdict, builtins, evaluated, lint, located, room, uncompiled,
};
use marks::{Kind, Marked};

/// The most values of one condition that are kept.
const VALUES: usize = 5;
/// The longest text of a value that is kept, in characters.
const TEXT: usize = 200;
/// How much longer than an answer a trace may take.
const PATIENCE: u32 = 3;

/// What a policy said to an input, and why.
#[derive(Debug, Clone)]
pub struct Trace {
    /// What the policy said.
    pub verdict: Result<Verdict, Error>,
    /// Its rules, by file and as they stand there.
    pub rules: Vec<Traced>,
    /// Why the trace ends before the policy did.
    pub broken_off: Option<String>,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Traced {
    /// Its full name.
    pub rule: String,
    /// Its file.
    pub file: String,
    /// Where it begins.
    pub line: u64,
    /// Whether anything of it was evaluated.
    pub reached: bool,
    /// What was evaluated of it, in the order of the source.
    pub steps: Vec<Step>,
}

/// One condition of a rule, or the value that a rule gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where it stands.
    pub line: u64,
    /// Where it stands in the line.
    pub column: u64,
    /// In how many comprehensions or `every` it lies.
    pub depth: usize,
    /// What is written there.
    pub text: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How often it had a value.
    pub times: usize,
    /// Different ones of its values, the first few.
    pub values: Vec<String>,
}

/// How a condition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Each time it was asked.
    Held,
    /// For some values and not for others.
    HeldSometimes,
    /// Never: the rule stopped there.
    Stopped,
    /// It was asked, and nothing tells how it ended.
    Asked,
    /// Something before it did not hold, or nobody asked.
    NotReached,
    /// The value that the rule gives.
    Gives,
}

/// What was noted of one place.
#[derive(Debug, Clone, Default)]
struct Seen {
    times: usize,
    true_times: usize,
    /// Collections that had something in them.
    filled: usize,
    values: Vec<String>,
}

type Notes = Arc<Mutex<BTreeMap<u64, Seen>>>;

impl Policy {
    /// Asks the policy about `input` and looks on.
    pub fn explain(&self, input: &Input) -> Result<Trace, Error> {
        room::with(|| self.explain_here(input))
    }

    fn explain_here(&self, input: &Input) -> Result<Trace, Error> {
        let verdict = self.judge(input);
        if let Err(why @ Error::Endless { .. }) = verdict {
            return Err(why);
        }
        let modules = lint::trees(&self.engine).map_err(|mut errors| errors.swap_remove(0))?;
        let marked = marks::mark(&modules, &self.origins);
        let notes = Notes::default();
        let mut engine = self.noting(&modules, &marked, &notes)?;
        builtins::begin();
        engine.set_input(input.0.clone());
        let mut timer = self.timer();
        timer.limit = timer.limit.saturating_mul(PATIENCE);
        engine.set_execution_timer_config(timer);
        let said = evaluated(&mut engine, &format!("data.{ANSWERS}.all"));
        let broken_off = said
            .err()
            .map(|said| located(&self.name, &said).0.to_string());
        let lines = reached(&engine);
        let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        let nowhere = BTreeSet::new();
        let mut rules = Vec::new();
        for module in &marked {
            let lines = lines.get(&module.file).unwrap_or(&nowhere);
            let own = module.rules.iter();
            rules.extend(own.map(|rule| traced(module, rule, &notes, lines)));
        }
        Ok(Trace {
            verdict,
            rules,
            broken_off,
        })
    }

    /// The policy, written so that it notes its values.
    fn noting(
        &self,
        modules: &[lint::Module],
        marked: &[Marked],
        notes: &Notes,
    ) -> Result<Engine, Error> {
        let mut engine = builtins::engine();
        let notes = Arc::clone(notes);
        let note = move |arguments: Vec<Value>| {
            let [value, place] = arguments.as_slice() else {
                return Ok(Value::Undefined);
            };
            if let Ok(place) = place.as_u64() {
                let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
                notes.entry(place).or_default().take(value);
            }
            Ok(value.clone())
        };
        let failed = |file: &str, error| uncompiled(file, &error);
        engine
            .add_extension(marks::NOTE.to_owned(), 2, Box::new(note))
            .map_err(|error| failed(&self.name, error))?;
        for module in marked {
            engine
                .add_policy(module.file.clone(), module.source.clone())
                .map_err(|error| failed(&module.file, error))?;
        }
        for module in modules.iter().filter(|module| module.file == ANSWERS) {
            engine
                .add_policy(module.file.clone(), module.source.clone())
                .map_err(|error| failed(&module.file, error))?;
        }
        engine
            .add_data(self.engine.get_data())
            .map_err(|error| failed(&self.name, error))?;
        engine.set_gather_prints(true);
        engine.set_enable_coverage(true);
        Ok(engine)
    }
}

impl Seen {
    fn take(&mut self, value: &Value) {
        self.times += 1;
        self.true_times += usize::from(*value != Value::Bool(false));
        let empty = match value {
            Value::Array(items) => items.is_empty(),
            Value::Set(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => true,
        };
        self.filled += usize::from(!empty);
        if self.values.len() < VALUES {
            let whole = serde_json::to_string(value).unwrap_or_default();
            let mut text: String = whole.chars().take(TEXT).collect();
            if text.len() < whole.len() {
                text.push('…');
            }
            if !self.values.contains(&text) {
                self.values.push(text);
            }
        }
    }
}

/// The lines of each file that were evaluated.
fn reached(engine: &Engine) -> BTreeMap<String, BTreeSet<u64>> {
    let report = engine.get_coverage_report();
    let files = report.map(|report| report.files).unwrap_or_default();
    files
        .into_iter()
        .map(|file| (file.path, file.covered.into_iter().map(u64::from).collect()))
        .collect()
}

fn traced(
    module: &Marked,
    rule: &marks::Rule,
    notes: &BTreeMap<u64, Seen>,
    lines: &BTreeSet<u64>,
) -> Traced {
    let is_reached = |mark: &marks::Mark| {
        notes.contains_key(&mark.place) || mark.kind != Kind::Gives && lines.contains(&mark.line)
    };
    let mut steps = Vec::new();
    for (at, mark) in rule.marks.iter().enumerate() {
        // What comes after it in the same body, or the value that the body is for.
        let mut later = rule.marks.iter().skip(at + 1);
        let next = later.find(|next| next.depth <= mark.depth);
        let next = next.filter(|next| next.body == mark.body && next.depth == mark.depth);
        let gives = rule
            .marks
            .iter()
            .find(|one| one.kind == Kind::Gives && one.body == mark.body);
        let went_on = next
            .or_else(|| gives.filter(|_| mark.depth == 0))
            .is_some_and(is_reached);
        let seen = notes.get(&mark.place);
        steps.push(Step {
            line: mark.line,
            column: mark.column,
            depth: mark.depth,
            text: mark.text.clone(),
            outcome: outcome(mark.kind, seen, is_reached(mark), went_on),
            times: seen.map_or(0, |seen| seen.times),
            values: seen.map(|seen| seen.values.clone()).unwrap_or_default(),
        });
    }
    Traced {
        rule: rule.name.clone(),
        file: module.file.clone(),
        line: rule.line,
        reached: rule.marks.iter().any(is_reached),
        steps,
    }
}

fn outcome(kind: Kind, seen: Option<&Seen>, is_reached: bool, went_on: bool) -> Outcome {
    let of = |held: usize, times: usize| match held {
        0 if !went_on => Outcome::Stopped,
        held if held == times => Outcome::Held,
        _ => Outcome::HeldSometimes,
    };
    match (kind, seen) {
        _ if !is_reached => Outcome::NotReached,
        (Kind::Gives, _) => Outcome::Gives,
        // Without a value it holds.
        (Kind::Not, None) => Outcome::Held,
        (Kind::Not, Some(seen)) => of(seen.times - seen.true_times, seen.times),
        (Kind::Holds, None) => of(0, 0),
        (Kind::Holds, Some(seen)) => of(seen.true_times, seen.times),
        (Kind::SomeIn, None) => of(0, 0),
        (Kind::SomeIn, Some(seen)) => of(seen.filled, seen.times),
        (Kind::Every | Kind::Untold, _) if went_on => Outcome::Held,
        (Kind::Every | Kind::Untold, _) => Outcome::Asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HEAD: &str = "# METADATA\n# title: t\n# description: d\npackage a\n";

    fn told(rules: &str, input: &serde_json::Value) -> Vec<String> {
        let policy = Policy::compile("a", &format!("{HEAD}{rules}")).unwrap();
        let trace = policy.explain(&Input::new(input).unwrap()).unwrap();
        assert_eq!(trace.broken_off, None, "{rules}");
        let steps = trace.rules.iter().flat_map(|rule| &rule.steps);
        steps
            .map(|step| {
                let values = step.values.join(" ");
                format!("{}:{} {:?} {values}", step.line, step.depth, step.outcome)
            })
            .collect()
    }

    #[test]
    fn each_condition_tells_whether_it_held_and_what_its_value_was() {
        let rules = "deny contains {\"message\": m} if {\n\tsome x in input.xs\n\tx.n > 1\n\tnot is_good(x)\n\tm := x.m\n}\nis_good(x) if x.good\n";
        let input = json!({"xs": [{"n": 1}, {"n": 2, "good": true}, {"n": 3, "m": "bad"}]});
        assert_eq!(
            told(rules, &input),
            [
                "6:0 Held [{\"n\":1},{\"good\":true,\"n\":2},{\"m\":\"bad\",\"n\":3}]",
                "7:0 HeldSometimes false true",
                "8:0 HeldSometimes true",
                "9:0 Held \"bad\"",
                "5:0 Gives {\"message\":\"bad\"}",
                "11:0 Held true",
            ]
        );
        let none = json!({"xs": []});
        assert_eq!(
            told(rules, &none),
            [
                "6:0 Stopped []",
                "7:0 NotReached ",
                "8:0 NotReached ",
                "9:0 NotReached ",
                "5:0 NotReached ",
                "11:0 NotReached ",
            ]
        );
    }

    #[test]
    fn a_condition_without_a_value_is_where_its_rule_stops() {
        let rules = "deny contains {\"message\": \"m\"} if {\n\tinput.a.b == 1\n\tinput.c\n}\n";
        assert_eq!(
            told(rules, &json!({})),
            ["6:0 Stopped ", "7:0 NotReached ", "5:0 NotReached "]
        );
    }

    #[test]
    fn a_condition_is_told_as_somebody_wrote_it() {
        let rules = "deny contains {\n\t\"message\": sprintf(\"%v\", [input.m]), # what\n} if {\n\tk := input.k\n\tnot known[k] # why\n\
            \tnot startswith(input.s, \"b\")\n\tevery x in input.xs { k != x }\n\tlower(input.s)\n\t(k in input.xs) == false\n}\n\
            known := {}\n";
        let policy = Policy::compile("a", &format!("{HEAD}{rules}")).unwrap();
        let input = json!({"k": "k", "s": "s", "m": "m", "xs": ["x"]});
        let trace = policy.explain(&Input::new(&input).unwrap()).unwrap();
        assert_eq!(trace.verdict.unwrap().violations.len(), 1);
        let deny = trace.rules.iter().find(|rule| rule.rule == "data.a.deny");
        let steps = deny.unwrap().steps.iter().filter(|step| step.depth == 0);
        let told: Vec<_> = steps
            .map(|step| format!("{}:{} {}", step.line, step.column, step.text))
            .collect();
        assert_eq!(
            told,
            [
                "8:5 k := input.k",
                "9:5 not known[k]",
                "10:5 not startswith(input.s, \"b\")",
                "11:5 every x in input.xs { k != x }",
                "12:5 lower(input.s)",
                "13:5 (k in input.xs) == false",
                "5:1 { \"message\": sprintf(\"%v\", [input.m]), }",
            ]
        );
    }

    #[test]
    fn what_is_noted_changes_nothing() {
        for rules in [
            "deny contains {\"message\": sprintf(\"%v\", [v])} if {\n\twalk(input, [p, v])\n\tp[0] == \"a\"\n\tis_string(v)\n}",
            "deny contains {\"message\": m} if {\n\t[a, b] := split(input.a, \"b\")\n\tm = concat(\"-\", [a, b])\n}",
            "deny contains {\"message\": m} if {\n\tinput.xs[i].a == \"abc\"\n\tm := sprintf(\"%v\", [i])\n}",
            "deny contains {\"message\": \"m\"} if every k, x in input.xs {\n\tk >= 0\n\tx.a != \"q\"\n}",
            "deny contains {\"message\": m} if {\n\tinput.xs\n\tm := concat(\",\", {y | some x in input.xs; y := x.a}) # why\n}",
            "deny contains {\"message\": m} if m := pick\npick := \"one\" if {\n\tinput.no\n} else := \"two\" if {\n\tinput.a\n}",
            "deny contains {\"message\": \"m\"} if data.a.given with input as {\"z\": 1}\ngiven if input.z == 1",
            "deny contains {\"message\": \"m\"} if \"abc\" in {x.a | some x in input.xs}",
            "deny contains {\"message\": \"m\"} if {\n\tsome i, x in input.xs; i == 0\n\tx.a == \"abc\"\n}",
        ] {
            let policy = Policy::compile("a", &format!("{HEAD}{rules}")).unwrap();
            let input = Input::new(&json!({"a": "abc", "xs": [{"a": "abc"}, {"a": "d"}]})).unwrap();
            let trace = policy.explain(&input).unwrap();
            assert_eq!(trace.broken_off, None, "{rules}");
            let verdict = trace.verdict.unwrap();
            assert_eq!(verdict.violations.len(), 1, "{rules}");
            let gives = trace.rules.iter().filter(|rule| rule.rule == "data.a.deny");
            let gives = gives.flat_map(|rule| &rule.steps);
            let gives: Vec<_> = gives
                .filter(|step| step.outcome == Outcome::Gives)
                .collect();
            assert_eq!(gives.len(), 1, "{rules}");
        }
    }
}
