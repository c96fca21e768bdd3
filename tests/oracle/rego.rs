//! Expressions and rules of Rego, put to `opa` and to our engine: `rego.txt` is a table of the one, `rules.txt` of the other.
//!
//! A row is an expression, or rules of which one is `v`, and what it is must be the same to both. Where OPA has no value
//! ours may fail, which denies: `policies/README.md` says so. Behind ` <> ` a row says why it comes out otherwise; one that
//! doesn't fails the test too.

use std::collections::BTreeMap;
use std::process::Command;

use reeve_core::rego::{Input, Policy};
use serde_json::{Map, Value, json};

const EXPRESSIONS: &str = include_str!("rego.txt");
const RULES: &str = include_str!("rules.txt");

/// The fewest rows that are a table.
const ROWS: usize = 30;

/// One row of a table.
struct Row {
    rules: String,
    /// Which of them is asked for.
    asked: &'static str,
    /// Why it comes out otherwise.
    why: Option<&'static str>,
}

/// What an expression is.
#[derive(Debug, PartialEq)]
enum Is {
    Value(Value),
    Undefined,
    Failed(String),
}

#[test]
fn opa_answers_every_expression_as_we_do() {
    let lines = EXPRESSIONS.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows = lines.map(|line| {
        let (expression, why) = reason(line);
        Row {
            rules: format!("row := {expression}"),
            asked: "row",
            why,
        }
    });
    compare(&rows.collect::<Vec<_>>());
}

#[test]
fn opa_answers_all_rules_as_we_do() {
    let blocks = RULES.split("\n\n").filter(|block| !block.starts_with("# "));
    let rows = blocks.map(|block| {
        let (rules, why) = reason(block.trim());
        Row {
            rules: rules.to_owned(),
            asked: "v",
            why,
        }
    });
    compare(&rows.collect::<Vec<_>>());
}

fn reason(row: &'static str) -> (&'static str, Option<&'static str>) {
    match row.split_once(" <> ") {
        Some((row, why)) => (row, Some(why)),
        None => (row, None),
    }
}

fn compare(rows: &[Row]) {
    let Some(opa) = super::program("opa") else {
        return;
    };
    assert!(rows.len() >= ROWS, "only {} rows", rows.len());
    let theirs = by_opa(&opa, rows);
    let mut surprises = Vec::new();
    for (at, Row { rules, asked, why }) in rows.iter().enumerate() {
        let theirs = match theirs.get(&name(at)).and_then(|row| row.get(asked)) {
            Some(value) => Is::Value(value.clone()),
            None => Is::Undefined,
        };
        let ours = by_us(rules, asked);
        let agree = match (&theirs, &ours) {
            (Is::Undefined, Is::Failed(_)) => true,
            (Is::Value(theirs), Is::Value(ours)) => same(theirs, ours),
            (theirs, ours) => theirs == ours,
        };
        match (agree, why) {
            (true, None) | (false, Some(_)) => {}
            (true, Some(_)) => surprises.push(format!("{rules}: is listed, and is the same")),
            (false, None) => {
                surprises.push(format!("{rules}: {theirs:?} to OPA, {ours:?} to us"));
            }
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

fn name(at: usize) -> String {
    format!("row_{at}")
}

/// What there is to read as `input`.
fn input() -> Value {
    json!({
        "a": "a", "n": 7, "f": 1.5, "one": 1.0, "t": true, "z": null, "l": [1, "a", 2.5], "e": "",
        "o": {"b": [1, "x"], "a": {"c": null}}, "d": [0.1, 0.2, 0.3], "s": "\u{7f}\u{a0}\u{2028}é",
        "xs": [{"k": "a", "v": 1}, {"k": "b"}, {"k": "c", "v": 3, "p": true}, {"v": 4}],
    })
}

/// What each row is to the real program, which is asked once.
fn by_opa(opa: &std::path::Path, rows: &[Row]) -> Map<String, Value> {
    let scratch = tempfile::tempdir().expect("there is room");
    let document = scratch.path().join("input.json");
    for (at, Row { rules, .. }) in rows.iter().enumerate() {
        let module = scratch.path().join(format!("{}.rego", name(at)));
        let source = format!("package rows.{}\n\n{rules}\n", name(at));
        std::fs::write(module, source).expect("it can be written");
    }
    std::fs::write(&document, input().to_string()).expect("it can be written");
    let mut command = Command::new(opa);
    command.args(["eval", "--format", "json"]);
    for at in 0..rows.len() {
        let module = scratch.path().join(format!("{}.rego", name(at)));
        command.arg("--data").arg(module);
    }
    command.arg("--input").arg(&document).arg("data.rows");
    let output = command.output().expect("opa was found and runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    let told: Value = serde_json::from_str(&told).expect("opa writes JSON");
    let rows = told.pointer("/result/0/expressions/0/value");
    rows.and_then(Value::as_object)
        .cloned()
        .expect("the package has a value")
}

/// What it is to our engine, in a policy that denies with it: as digits, because what is told has no control characters.
fn by_us(rules: &str, asked: &str) -> Is {
    let source = format!(
        "# METADATA\n# title: t\n# description: d\npackage rows\n\n{rules}\n\n\
         deny contains {{\"message\": hex.encode(json.marshal([{asked}]))}}\n"
    );
    let files = BTreeMap::from([("row.rego".to_owned(), source.into_bytes())]);
    let policy = match Policy::load("rows", &files, &json!({})) {
        Ok(policy) => policy,
        Err(errors) => return Is::Failed(format!("{errors:?}")),
    };
    let input = Input::new(&input()).expect("it is small");
    match policy.judge(&input) {
        Ok(verdict) => match verdict.violations.first() {
            Some(violation) => {
                let bytes = hex::decode(&violation.message).expect("it is hexadecimal");
                let row = serde_json::from_slice::<Value>(&bytes);
                let row = row.ok().and_then(|row| row.get(0).cloned());
                row.map_or_else(|| Is::Failed(violation.message.clone()), Is::Value)
            }
            None => Is::Undefined,
        },
        Err(error) => Is::Failed(error.to_string()),
    }
}

/// Whether two values are the same, their numbers as doubles.
pub(super) fn same(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => one.as_f64() == two.as_f64(),
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            let there = |key: &String, one: &Value| two.get(key).is_some_and(|two| same(one, two));
            one.len() == two.len() && one.iter().all(|(key, one)| there(key, one))
        }
        (one, two) => one == two,
    }
}
