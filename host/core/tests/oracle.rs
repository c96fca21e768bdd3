//! OPA's own cases for Rego and its functions, put to our engine, and Kubernetes' own pods, put to `pod-security`.
//!
//! They are read where Go's modules of the two lie, and no word of them is in this tree. What we answer otherwise than OPA
//! is listed in `oracle/differs.txt` with the reason; `policies/README.md` says the same in words. Where a module is
//! missing, that is said loudly, and fails where `REEVE_REQUIRE_CLUSTER=1`.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the cases are another module's files, and its place is asked of go"
)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "what fails here fails a test, and what is left out is said aloud"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use reeve_core::library::named;
use reeve_core::rego::{Error, Input, Place, Policy};
use serde_json::{Value, json};

/// What we answer otherwise, and why: by note, by the beginning of one with a star, or after `~` by words of our error.
const DIFFERS: &str = include_str!("oracle/differs.txt");

#[test]
fn opas_own_cases_come_out_as_opa_has_them() {
    let Some(root) = cases() else { return };
    let cases: Vec<_> = files(&root).iter().flat_map(|file| read(file)).collect();
    let ran = cases.len();
    let mut surprises = Vec::new();
    let mut unused: BTreeSet<&str> = listed().map(|(note, _)| note).collect();
    for (note, asked) in all_asked(&cases) {
        let said = asked.as_ref().err().map_or("", String::as_str);
        let entry = listed()
            .map(|(entry, _)| entry)
            .find(|one| covers(one, note, said));
        match (asked, entry) {
            (Ok(()), Some(entry)) if !entry.ends_with('*') => {
                surprises.push(format!("{note}: is listed, and comes out as it should"));
            }
            (Err(why), None) => surprises.push(format!("{note}: {why}")),
            (Err(_), Some(entry)) => {
                unused.remove(entry);
            }
            (Ok(()), _) => {}
        }
    }
    surprises.extend(
        unused
            .iter()
            .map(|one| format!("{one}: is listed, and no case fails")),
    );
    eprintln!("{ran} cases of OPA's");
    assert!(ran > 1_500, "only {ran} cases");
    assert!(
        surprises.is_empty(),
        "{} of {ran}:\n{}",
        surprises.len(),
        surprises.join("\n")
    );
}

/// How each case came out, asked in as many threads as there are processors.
fn all_asked(cases: &[(String, Value)]) -> Vec<(&str, Result<(), String>)> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = cases.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let shares: Vec<_> = cases
            .chunks(share)
            .map(|share| {
                scope.spawn(|| -> Vec<_> { share.iter().map(|(_, case)| ask(case)).collect() })
            })
            .collect();
        let told = shares.into_iter().flat_map(|share| share.join().unwrap());
        let notes = cases.iter().map(|(note, _)| note.as_str());
        notes.zip(told).collect()
    })
}

fn listed() -> impl Iterator<Item = (&'static str, &'static str)> {
    DIFFERS.lines().filter_map(|line| line.split_once(" => "))
}

fn covers(entry: &str, note: &str, said: &str) -> bool {
    match (entry.strip_prefix('~'), entry.strip_suffix('*')) {
        (Some(words), _) => said.contains(words),
        (None, Some(start)) => note.starts_with(start),
        (None, None) => entry == note,
    }
}

#[test]
fn pods_that_kubernetes_passes_and_fails_pod_security_does_too() {
    let module = "k8s.io/pod-security-admission";
    let Some(root) = of_module("kubernetes", module, "test/testdata") else {
        return;
    };
    let mut ran = 0;
    let shipped = named("pod-security").unwrap();
    for level in ["baseline", "restricted"] {
        let policy = Policy::compile(shipped.name, shipped.source).unwrap();
        let policy = policy.given(&json!({ "level": level })).unwrap();
        // The standard's newest version that has pods of its own.
        for file in files(&root.join(level).join("v1.35")) {
            let shown = file.display().to_string();
            let pods = reeve_kustomize::parse_yaml(&fs::read(&file).unwrap(), &shown).unwrap();
            let input = json!({"phase": "plan", "objects": [{
                "action": "apply", "group": "", "version": "v1", "kind": "Pod",
                "namespace": "acme", "name": "pod", "object": pods[0],
            }]});
            let verdict = policy.judge(&Input::new(&input).unwrap()).unwrap();
            let fails = shown.contains("/fail/");
            assert_eq!(
                !verdict.violations.is_empty(),
                fails,
                "{shown}: {verdict:?}"
            );
            ran += 1;
        }
    }
    assert!(ran > 100, "only {ran} pods");
}

/// Where the cases are.
fn cases() -> Option<PathBuf> {
    let module = "github.com/open-policy-agent/opa";
    of_module("opa", module, "v1/test/cases/testdata/v1")
}

/// A folder of a Go module that one in `tests/cluster` is built from, or a loud word that it is missing.
fn of_module(built: &str, module: &str, folder: &str) -> Option<PathBuf> {
    let cluster = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cluster");
    let asked = Command::new("go")
        .args(["list", "-m", "-f", "{{.Dir}}", module])
        .current_dir(cluster.join(built))
        .output();
    let found = asked
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let root = PathBuf::from(found.unwrap_or_default().trim()).join(folder);
    if root.is_dir() {
        return Some(root);
    }
    assert!(
        std::env::var_os("REEVE_REQUIRE_CLUSTER").is_none_or(|set| set != "1"),
        "{module} is not there: go mod download in tests/cluster/{built}"
    );
    eprintln!("SKIPPED: {module} is not there, so its cases were not asked");
    None
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect();
    found.sort();
    found
}

/// The cases of a file, each with its note.
fn read(file: &Path) -> Vec<(String, Value)> {
    let name = file.display().to_string();
    let documents = reeve_kustomize::parse_yaml(&fs::read(file).unwrap(), &name);
    let documents = documents.unwrap_or_else(|error| panic!("{name}: {error}"));
    let cases = documents[0]["cases"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    cases
        .into_iter()
        .map(|case| (case["note"].as_str().unwrap().to_owned(), case))
        .collect()
}

/// Puts a case's query into a policy that denies with the text of what it finds.
fn ask(case: &Value) -> Result<(), String> {
    let mut files = BTreeMap::new();
    let modules = case["modules"].as_array();
    for (n, module) in modules.into_iter().flatten().enumerate() {
        files.insert(format!("{n}.rego"), module.as_str().unwrap().into());
    }
    if let Some(data) = case.get("data").filter(|data| !data.is_null()) {
        files.insert("data.json".to_owned(), data.to_string().into_bytes());
    }
    files.insert("query.rego".to_owned(), query(case).into_bytes());
    let told = load(files)
        .map_err(|error| error.to_string())
        .and_then(|policy| {
            let input = Input::new(case.get("input").unwrap_or(&json!({})));
            let verdict = policy.judge(&input.unwrap());
            verdict.map_err(|error| error.to_string())
        });
    let wants_error = case
        .get("want_error")
        .or_else(|| case.get("want_error_code"))
        .is_some();
    let verdict = match told {
        // What is no value for OPA, unless it is strict, is an error for us.
        Err(_) if wants_error || case["strict_error"] == true => return Ok(()),
        Err(why) => return Err(why),
        Ok(_) if wants_error => return Err("is no error".to_owned()),
        Ok(verdict) => verdict,
    };
    let mut told: Vec<Value> = verdict
        .violations
        .iter()
        .map(|one| serde_json::from_str(&one.message).unwrap_or(Value::Null))
        .collect();
    let mut want: Vec<Value> = match (case.get("want_result"), case.get("want_defined")) {
        (Some(Value::Array(want)), _) => want.clone(),
        (_, Some(Value::Bool(true))) => vec![json!({})],
        _ => Vec::new(),
    };
    for all in [&mut told, &mut want] {
        all.iter_mut()
            .for_each(|one| sort(one, case["sort_bindings"] == true));
        all.sort_by_key(ToString::to_string);
        all.dedup();
    }
    (told == want)
        .then_some(())
        .ok_or_else(|| format!("{} and not {}", json!(told), json!(want)))
}

/// Compiles the files. In some of the cases the result of a call is one argument more, which we refuse of many
/// functions, with the place: there the call is written as a value.
fn load(mut files: BTreeMap<String, Vec<u8>>) -> Result<Policy, Error> {
    loop {
        let error = match Policy::load("case", &files, &json!({})) {
            Ok(policy) => return Ok(policy),
            Err(mut errors) => errors.swap_remove(0),
        };
        let Error::Compile { place, why } = &error else {
            return Err(error);
        };
        let arguments = why.split_once(" takes ").and_then(|(_, rest)| {
            let (arity, given) = rest.split_once(" arguments and not ")?;
            let arity: usize = arity.parse().ok()?;
            (given.parse() == Ok(arity + 1)).then_some(arity)
        });
        let file = files.get_mut(&place.file);
        let (Some(arity), Some(source)) = (arguments, file) else {
            return Err(error);
        };
        let text = String::from_utf8(source.clone()).unwrap();
        match as_value(&text, place, arity) {
            Some(text) => *source = text.into_bytes(),
            None => return Err(error),
        }
    }
}

/// `f(a, b)` at a place as `b = f(a)`.
fn as_value(text: &str, place: &Place, arity: usize) -> Option<String> {
    let line = usize::try_from(place.line).ok()? - 1;
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    // A tab is four columns wide.
    let mut column = 1;
    let (start, _) = text[before..].char_indices().find(|(_, c)| {
        let here = column;
        column += if *c == '\t' { 4 } else { 1 };
        here == place.column
    })?;
    let start = before + start;
    let open = start + text[start..].find('(')?;
    let mut inside = Vec::new();
    let mut commas = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text[open..].char_indices() {
        let at = open + at;
        match (quote, c) {
            (Some('"'), '\\') if !escaped => {
                escaped = true;
                continue;
            }
            (Some(end), c) if c == end && !escaped => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => inside.push(c),
            (None, ')' | ']' | '}') => {
                inside.pop();
                if inside.is_empty() {
                    let last = *commas.get(arity.checked_sub(1)?)?;
                    let (call, place) = (&text[start..last], text[last + 1..at].trim());
                    return Some(format!(
                        "{}{place} = {call}){}",
                        &text[..start],
                        &text[at + 1..]
                    ));
                }
            }
            (None, ',') if inside.len() == 1 => commas.push(at),
            _ => {}
        }
        escaped = false;
    }
    None
}

fn query(case: &Value) -> String {
    let bindings: BTreeSet<String> = case["want_result"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .flat_map(|one| one.keys().cloned())
        .collect();
    let input = case["input_term"].as_str();
    let input = input.map_or(String::new(), |term| format!(" with input as {term}"));
    let shown: Vec<String> = bindings
        .iter()
        .map(|name| format!("\"{name}\": {name}"))
        .collect();
    format!(
        "# METADATA\n# title: A case\n# description: Of OPA's.\npackage reeve_query\n\n\
         deny contains {{\"message\": json.marshal({{{}}})}} if {{\n\t{}\n}}\n",
        shown.join(", "),
        case["query"].as_str().unwrap().to_owned() + &input
    )
}

/// Objects by key, whole numbers without a point, and lists in an order where the case says that theirs is none.
fn sort(value: &mut Value, lists: bool) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(|item| sort(item, lists));
            if lists {
                items.sort_by_key(ToString::to_string);
            }
        }
        Value::Object(fields) => {
            fields.values_mut().for_each(|value| sort(value, lists));
            fields.sort_keys();
        }
        Value::Number(number) => {
            let whole = number
                .as_f64()
                .filter(|n| n.fract() == 0.0 && n.abs() < 1e15);
            if let Some(whole) = whole {
                *value = json!(whole as i64);
            }
        }
        _ => {}
    }
}
