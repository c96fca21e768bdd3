//! Whether what is written down for people is so: links, names of tests, alerts and reasons, and what is generated.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use reeve_api::reason::Reason;
use serde_json::Value;

use super::{directory, links, pages};
use crate::root;

/// What makes no part of the repository, and test data, in which links may be anything.
const LEFT_OUT: [&str; 5] = ["target", ".git", "node_modules", "cases", "case"];

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file of ours is readable")
}

/// Every file below a directory whose name ends so.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory of ours is readable") {
            let path = entry.expect("an entry is readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_symlink() || LEFT_OUT.contains(&&*name) {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found
}

/// How a heading is linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut seen = 0;
    for file in files(&root(), ".md") {
        for link in links(&text(&file)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = file.parent().expect("a file lies in a directory");
            let target = match path {
                "" => file.clone(),
                path => folder.join(path),
            };
            let shown = file.display();
            assert!(target.exists(), "{shown}: nothing is at {link}");
            let is_there = anchor.is_empty() || anchors(&text(&target)).contains(anchor);
            assert!(is_there, "{shown}: no heading is {link}");
        }
    }
    assert!(seen > 40, "{seen} links were found");
}

#[test]
fn commands_that_are_not_run_say_why() {
    let mut seen = 0;
    for page in pages().expect("the pages are there") {
        let lines: Vec<&str> = page.text.lines().collect();
        for (at, _) in lines
            .iter()
            .enumerate()
            .filter(|(_, is)| **is == "```console")
        {
            seen += 1;
            let before = at.checked_sub(1).map_or("", |before| lines[before]);
            let says = before.starts_with("<!-- Not run: ") && before.ends_with(". -->");
            let (file, line) = (&page.file, at + 1);
            assert!(
                says,
                "{file}:{line}: mark it `sh`, or say why it is not run"
            );
        }
    }
    assert!(seen > 4, "{seen} blocks were found");
}

#[test]
fn links_are_found_outside_of_code_only() {
    let page = "[a](a.md) `[b](b.md)` [`c`](c.md#d)\n```sh\n[d](d.md)\n```\n[e](e.md), [f](f.md)";
    let found: Vec<&str> = links(page).collect();
    assert_eq!(found, ["a.md", "c.md#d", "e.md", "f.md"]);
}

#[test]
fn every_page_is_in_the_summary_and_leads_nowhere_outside_of_the_book() {
    let pages = pages().expect("the pages of the summary are there");
    let listed: BTreeSet<&str> = pages.iter().map(|page| page.file.as_str()).collect();
    let name = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let there: BTreeSet<String> = files(&directory(), ".md").iter().map(name).collect();
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    let without = there.iter().copied().filter(|name| *name != "SUMMARY.md");
    assert_eq!(listed, without.collect());
    for page in &pages {
        for link in links(&page.text).filter(|link| !link.contains("://")) {
            assert!(!link.contains(".."), "{}: {link} is in no book", page.file);
        }
        let included = page.text.lines().filter_map(|line| {
            let rest = line.strip_prefix("{{#include ")?;
            rest.strip_suffix("}}")
        });
        for path in included {
            // Its links would lead from elsewhere.
            let text = text(&directory().join(path));
            let relative = links(&text).find(|link| !link.contains("://"));
            assert_eq!(relative, None, "{path} is included by {}", page.file);
        }
    }
}

/// The names of all tests that run unless they are asked not to: one that is ignored shows nothing.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for room in ["tests", "host"] {
        for file in files(&root().join(room), ".rs") {
            let (mut is_test, mut is_left_out) = (false, false);
            for line in text(&file).lines().map(str::trim) {
                if let Some(attribute) = line.strip_prefix("#[") {
                    is_test |= attribute.starts_with("test]") || attribute.contains("tokio::test");
                    is_left_out |= attribute.starts_with("ignore");
                } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
                    let name = rest.split('(').next().filter(|_| !is_left_out);
                    names.extend(name.map(str::to_owned));
                    (is_test, is_left_out) = (false, false);
                }
            }
        }
    }
    names
}

/// The advisories of Flux and of the git libraries, each a class of attacks.
const ADVISORIES: [&str; 17] = [
    "CVE-2021-41254",
    "CVE-2022-24817",
    "CVE-2022-24877",
    "CVE-2022-24878",
    "CVE-2022-36035",
    "CVE-2022-36049",
    "CVE-2022-39272",
    "CVE-2023-49568",
    "CVE-2023-49569",
    "CVE-2024-31216",
    "CVE-2024-32002",
    "CVE-2025-21613",
    "CVE-2025-21614",
    "CVE-2026-40109",
    "CVE-2026-45022",
    "CVE-2026-45570",
    "CVE-2026-45571",
];

#[test]
fn every_attack_of_the_threat_model_names_tests_that_there_are() {
    let page = text(&directory().join("threat-model.md"));
    let (_, table) = page
        .split_once("| Attack | What stops it | Tests |\n|---|---|---|\n")
        .expect("the page has its table");
    let known = tests();
    assert!(known.len() > 900, "{} tests were found", known.len());
    let mut rows = 0;
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [_, _, named] = cells[..] else {
            panic!("no line of three: {row}");
        };
        let named: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test shows it: {row}");
        for name in named {
            assert!(known.contains(name), "there is no test {name}");
        }
        rows += 1;
    }
    assert!(rows >= 40, "{rows} lines");
    for advisory in ADVISORIES {
        assert!(table.contains(advisory), "{advisory} has no line");
    }
}

/// The cells of a table's first column that are code, below a heading.
fn firsts<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, table) = page
        .split_once(&format!("| {heading} |"))
        .expect("the page has this table");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let first = |row: &'a str| row.split('|').nth(1).unwrap_or_default();
    rows.flat_map(|row| first(row).split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn what_is_said_of_alerts_and_reasons_is_of_those_that_there_are() {
    let page = text(&directory().join("operate.md"));
    let files = ["alerts", "alerts-landlord"]
        .map(|name| text(&root().join(format!("charts/reeve/files/{name}.yaml"))));
    let alerts = files.concat();
    let alerts = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let told: BTreeSet<&str> = firsts(&page, "Alert").into_iter().collect();
    assert_eq!(alerts.collect::<BTreeSet<&str>>(), told);
    let reasons: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let told = firsts(&page, "`Ready` says");
    assert!(told.len() > 6, "{told:?}");
    for reason in told {
        assert!(reasons.contains(reason), "{reason} is no reason");
    }
}

/// What a schema says a value is.
fn kind(schema: &Value) -> String {
    if let Some(all) = schema["enum"].as_array() {
        let words = all.iter().filter_map(Value::as_str);
        return words.collect::<Vec<&str>>().join(" or ");
    }
    match schema["type"].as_str().unwrap_or_default() {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind(&schema["additionalProperties"]))
        }
        "" => "any".to_owned(),
        word => word.to_owned(),
    }
}

/// The fields below a path, each a line.
fn fields(out: &mut String, path: &str, schema: &Value) {
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{path}.{name}");
        let must = if is_required(name) { ", required" } else { "" };
        let said = field["description"].as_str().unwrap_or_default();
        let said = said
            .split_whitespace()
            .collect::<Vec<&str>>()
            .join(" ")
            .replace('|', "\\|")
            .replace('<', "&lt;");
        writeln!(out, "| `{at}` | {}{must} | {said} |", kind(field)).expect("a String takes it");
        fields(out, &at, field);
        fields(out, &format!("{at}[]"), &field["items"]);
        fields(out, &format!("{at}.*"), &field["additionalProperties"]);
    }
}

fn reference() -> String {
    let mut out = String::from(
        "# The kinds\n\nWritten by a test from the definitions in `charts/reeve-crds`. What a spec may say; the statuses are there \
         too, and `kubectl explain` tells both.\n",
    );
    for definition in reeve_api::crds() {
        let definition = serde_json::to_value(definition).expect("a definition is JSON");
        let (spec, versions) = (&definition["spec"], &definition["spec"]["versions"]);
        let versions = versions.as_array().expect("it has versions");
        let stored = versions.iter().find(|version| version["storage"] == true);
        let schema = &stored.expect("one is stored")["schema"]["openAPIV3Schema"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let served: Vec<String> = versions.iter().map(|one| word(&one["name"])).collect();
        let (group, scope) = (word(&spec["group"]), word(&spec["scope"]));
        let said = word(&schema["description"]);
        let name = word(&spec["names"]["kind"]);
        write!(
            out,
            "\n## {name}\n\n`{group}` {}, {scope}. {said}\n\n| Field | Type | What it is |\n|---|---|---|\n",
            served.join(", ")
        )
        .expect("a String takes it");
        fields(&mut out, "spec", &schema["properties"]["spec"]);
    }
    out
}

#[test]
fn the_reference_of_the_kinds_is_the_one_that_is_written_down() {
    let (path, want) = (directory().join("kinds.md"), reference());
    if std::env::var_os("REEVE_BLESS").is_some() {
        std::fs::write(&path, &want).expect("the page can be written");
    }
    assert_eq!(text(&path), want, "REEVE_BLESS=1 writes it anew");
}
