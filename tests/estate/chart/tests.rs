//! The chart's files beside each other, and beside what the controller has: no cluster and no helm is asked.

use std::collections::{BTreeMap, BTreeSet};

use reeve_core::drift::WatchedKind;
use reeve_core::library::LIBRARY;
use serde_json::{Map, Value};

use super::put;
use crate::root;

const BEGIN: &str = "<!-- written by a test from values.yaml -->\n";

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("a file of ours is there")
}

fn yaml(path: &str) -> Value {
    yaml_serde::from_str(&text(path)).expect("a file of ours is YAML")
}

fn schema() -> Value {
    serde_json::from_str(&text("charts/reeve/values.schema.json")).expect("the schema is JSON")
}

fn keys(value: &Value) -> BTreeSet<&str> {
    let fields = value.as_object().into_iter().flat_map(Map::keys);
    fields.map(String::as_str).collect()
}

/// One value of the chart, as people read of it.
struct Entry {
    path: Vec<String>,
    meaning: String,
}

/// The keys of values.yaml with the comment right above each, where there is one.
fn commented(text: &str) -> Vec<(Vec<String>, Option<String>)> {
    let mut open: Vec<(usize, String)> = Vec::new();
    let (mut comment, mut found) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if let Some(words) = code.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        let said = std::mem::take(&mut comment);
        let Some((key, _)) = code.split_once(':').filter(|_| !code.starts_with('-')) else {
            continue;
        };
        open.retain(|(depth, _)| *depth < indent);
        open.push((indent, key.to_owned()));
        let path = open.iter().map(|(_, key)| key.clone()).collect();
        found.push((path, (!said.is_empty()).then(|| said.join(" "))));
    }
    found
}

/// What has a comment, and nothing below it that has one: each of these is a value that is explained.
fn entries() -> Vec<Entry> {
    let found = commented(&text("charts/reeve/values.yaml"));
    let explained: Vec<Entry> = found
        .iter()
        .filter_map(|(path, said)| {
            let (path, meaning) = (path.clone(), said.clone()?);
            Some(Entry { path, meaning })
        })
        .collect();
    let is_above = |path: &[String]| {
        let mut others = explained.iter();
        others.any(|other| other.path.len() > path.len() && other.path.starts_with(path))
    };
    let sections: Vec<bool> = explained.iter().map(|one| is_above(&one.path)).collect();
    let mut sections = sections.into_iter();
    explained
        .into_iter()
        .filter(|_| !sections.next().unwrap_or_default())
        .collect()
}

/// The words of the schema for a value's type.
fn type_of(schema: &Value, path: &[String]) -> String {
    let resolved = |node: &Value| match node["$ref"].as_str() {
        Some(reference) => schema
            .pointer(reference.trim_start_matches('#'))
            .cloned()
            .expect("a reference leads somewhere"),
        None => node.clone(),
    };
    let node = path.iter().fold(schema.clone(), |node, key| {
        resolved(&node["properties"][key])
    });
    let words = |value: &Value| match value.as_array() {
        Some(all) => {
            let all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
            all.join(" or ")
        }
        None => value.as_str().unwrap_or_default().to_owned(),
    };
    match node.get("enum") {
        Some(all) => words(all),
        None => words(&node["type"]),
    }
}

fn table() -> String {
    let (values, schema) = (yaml("charts/reeve/values.yaml"), schema());
    let mut table = String::from("| Value | Type | Default | What it is |\n|---|---|---|---|\n");
    for entry in entries() {
        let default = entry.path.iter().fold(&values, |value, key| &value[key]);
        let default = default.to_string();
        let shown = match default.len() {
            0..=120 => format!("`{default}`"),
            _ => "see values.yaml".to_owned(),
        };
        let (kind, path) = (type_of(&schema, &entry.path), entry.path.join("."));
        assert!(!kind.is_empty(), "{path} has no type in the schema");
        let meaning = entry.meaning.replace('|', "\\|");
        table.push_str(&format!("| `{path}` | {kind} | {shown} | {meaning} |\n"));
    }
    table
}

#[test]
fn the_reference_of_the_values_is_the_one_that_is_written_down() {
    let path = root().join("charts/reeve/README.md");
    let readme = text("charts/reeve/README.md");
    let (head, _) = readme
        .split_once(BEGIN)
        .expect("the README has a reference");
    let want = format!("{head}{BEGIN}\n{}", table());
    if std::env::var_os("REEVE_BLESS").is_some() {
        std::fs::write(&path, &want).expect("the README can be written");
    }
    assert_eq!(readme, want, "REEVE_BLESS=1 writes it anew");
}

#[test]
fn every_value_is_explained() {
    let explained = entries();
    for (path, _) in commented(&text("charts/reeve/values.yaml")) {
        let about = |entry: &Entry| path.starts_with(&entry.path) || entry.path.starts_with(&path);
        assert!(
            explained.iter().any(about),
            "{} has no comment",
            path.join(".")
        );
    }
}

/// Every object that the schema closes has in values.yaml exactly the fields that the schema names.
fn compare(path: &str, values: &Value, schema: &Value) {
    if schema["additionalProperties"] != Value::Bool(false) {
        return;
    }
    let mut named = keys(&schema["properties"]);
    if path.is_empty() {
        // Helm's own.
        named.remove("global");
    }
    // What a policy takes, and which volume it is, is the platform's to give; and what is written as Rig has it.
    let is_free = [".parameters", ".rig", ".scope", ".volume"]
        .iter()
        .any(|end| path.ends_with(end));
    let given = keys(values);
    assert!(
        given == named || (is_free && given.is_subset(&named)),
        "{path}: {given:?} {named:?}"
    );
    for (key, value) in values.as_object().into_iter().flatten() {
        compare(&format!("{path}.{key}"), value, &schema["properties"][key]);
    }
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    compare("", &yaml("charts/reeve/values.yaml"), &schema());
}

#[test]
fn the_kinds_that_are_watched_are_those_of_the_controller() {
    let values = yaml("charts/reeve/values.yaml");
    let usual: BTreeSet<String> = WatchedKind::usual().map(|kind| kind.to_string()).collect();
    let given: BTreeSet<String> = keys(&values["watchKinds"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(given, usual);
}

#[test]
fn the_switches_of_policies_are_those_that_are_shipped_and_not_always_on() {
    let values = yaml("charts/reeve/values.yaml");
    let shipped = LIBRARY.iter().filter(|policy| !policy.always);
    let shipped: BTreeSet<&str> = shipped.map(|policy| policy.name).collect();
    assert_eq!(keys(&values["policies"]), shipped);
    let policies = values["policies"].as_object().into_iter().flatten();
    for (name, policy) in policies {
        assert_eq!(policy["enabled"], false, "{name} is on by itself");
    }
}

#[test]
fn the_charts_have_the_version_of_the_program() {
    for chart in ["reeve", "reeve-crds"] {
        let chart = yaml(&format!("charts/{chart}/Chart.yaml"));
        for field in ["version", "appVersion"] {
            assert_eq!(chart[field], env!("CARGO_PKG_VERSION"), "{field}");
        }
    }
}

/// The names of samples that `/metrics` serves, from the table that a test writes.
fn samples() -> BTreeMap<String, BTreeSet<String>> {
    let mut samples = BTreeMap::new();
    for row in text("host/reeve/METRICS.md").lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells[..] else {
            continue;
        };
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => continue,
        };
        let labels = labels.split(", ").chain(["le", "pod", "namespace"]);
        let labels: BTreeSet<String> = labels.map(str::to_owned).collect();
        for suffix in suffixes {
            let name = format!("{}{suffix}", name.trim_matches('`'));
            samples.insert(name, labels.clone());
        }
    }
    samples
}

/// The names in an expression of PromQL that could be those of samples, each with the labels that it asks for.
fn asked(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut asked = Vec::new();
    for (at, word) in expression.match_indices(|c: char| is_word(c)) {
        let before = expression[..at].chars().next_back();
        if before.is_some_and(is_word) || word.chars().all(|c| c.is_ascii_digit()) {
            continue;
        }
        let rest = &expression[at..];
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let labels = labels.map_or_else(Vec::new, |(labels, _)| {
            let one = |label: &str| {
                label
                    .split(['=', '~', '!'])
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            };
            labels.split(',').map(one).collect()
        });
        asked.push((name.to_owned(), labels));
    }
    asked
        .retain(|(name, _)| name.contains('_') && !["histogram_quantile"].contains(&name.as_str()));
    asked
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let (alerts, board) = (
        yaml("charts/reeve/files/alerts.yaml"),
        text("charts/reeve/files/dashboard.json"),
    );
    let board: Value = serde_json::from_str(&board).expect("the dashboard is JSON");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let landlords = yaml("charts/reeve/files/alerts-landlord.yaml");
    let rules = list(&alerts["groups"])
        .into_iter()
        .chain(list(&landlords))
        .flat_map(|group| list(&group["rules"]));
    let targets = list(&board["panels"])
        .into_iter()
        .flat_map(|panel| list(&panel["targets"]));
    let samples = samples();
    let mut count = 0;
    for one in rules.chain(targets) {
        let expression = one["expr"].as_str().expect("each has an expression");
        let names = asked(expression);
        assert!(!names.is_empty(), "{expression} asks for nothing");
        for (name, labels) in names {
            let there = samples.get(&name);
            let there = there.unwrap_or_else(|| panic!("{name} in {expression} is no metric"));
            for label in labels {
                assert!(
                    there.contains(&label),
                    "{name} has no label {label}: {expression}"
                );
            }
            count += 1;
        }
    }
    assert!(count > 25, "{count} names were found");
}

#[test]
fn a_flag_takes_the_place_of_its_like() {
    let mut arguments: Vec<String> = ["controller", "--a=1", "--b"].map(str::to_owned).to_vec();
    for flag in ["--a=2", "--c=3", "--b"] {
        put(&mut arguments, flag.to_owned());
    }
    assert_eq!(arguments, ["controller", "--a=2", "--b", "--c=3"]);
}
