//! Every policy we ship proves itself: it says what it is, its own tests hold, and its cases come out as they say.
//!
//! The folders are read from disk, so that a new one is found without being listed here.
#![expect(
    clippy::disallowed_methods,
    reason = "the policies' folders are the data of this test"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails a test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use reeve_core::library::{LIBRARY, named};
use reeve_core::rego::{Input, Policy};
use serde_json::{Value, json};

fn folders() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let entries = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries
        .filter(|path| path.is_dir())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    folders.sort();
    assert!(
        folders.len() >= 11,
        "the shipped policies are not where they should be"
    );
    folders
}

fn compiled(name: &str, folder: &Path) -> Policy {
    let source = fs::read_to_string(folder.join("policy.rego")).unwrap();
    Policy::compile(name, &source).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_policy_says_what_it_is_and_what_to_do() {
    for (name, folder) in folders() {
        let policy = compiled(&name, &folder);
        let metadata = policy.metadata();
        assert!(
            metadata.hint.is_some(),
            "{name}: METADATA has no custom.hint"
        );
        assert!(
            !metadata.title.ends_with('.'),
            "{name}: a title is no sentence"
        );
    }
}

#[test]
fn every_policy_is_shipped() {
    let mut shipped: Vec<_> = LIBRARY.iter().map(|one| one.name.to_owned()).collect();
    shipped.sort();
    let folders: Vec<_> = folders().into_iter().map(|(name, _)| name).collect();
    assert_eq!(shipped, folders);
    for (name, folder) in self::folders() {
        let source = fs::read_to_string(folder.join("policy.rego")).unwrap();
        assert_eq!(named(&name).map(|one| one.source), Some(source.as_str()));
    }
}

#[test]
fn every_policys_own_tests_hold_and_reach_nearly_all_of_it() {
    for (name, folder) in folders() {
        let modules = ["policy.rego", "policy_test.rego"];
        let files = modules.map(|file| {
            let source = fs::read(folder.join(file));
            let source = source.unwrap_or_else(|error| panic!("{name}: {file}: {error}"));
            (format!("{name}/{file}"), source)
        });
        let policy = Policy::load(&name, &BTreeMap::from(files), &json!({})).unwrap();
        let tests = policy.tests().unwrap();
        for test in &tests.ended {
            assert_eq!(test.failure, None, "{name}: {}", test.name);
        }
        assert!(tests.hold(), "{name}");
        assert!(tests.percent() >= 95, "{name}: {tests:?}");
    }
}

#[test]
fn every_policy_has_cases_it_allows_and_cases_it_denies_and_they_come_out_so() {
    for (name, folder) in folders() {
        let cases = cases(&folder);
        for kind in ["allow-", "deny-"] {
            let found = cases.iter().any(|(case, _)| case.starts_with(kind));
            assert!(found, "{name}: there is no case/{kind}*.yaml");
        }
        for (case, document) in cases {
            let parameters = document.get("parameters").cloned();
            let policy = compiled(&name, &folder)
                .given(&parameters.unwrap_or_else(|| json!({})))
                .unwrap();
            let told = judged(&policy, &document["input"]);
            let want = document.get("want").cloned().unwrap_or_else(|| json!([]));
            assert_eq!(told, want, "{name}/case/{case}");
            assert_eq!(
                want.as_array().is_none_or(Vec::is_empty),
                case.starts_with("allow-"),
                "{name}/case/{case}: its name says what it wants"
            );
        }
    }
}

/// Name and document of each case.
fn cases(folder: &Path) -> Vec<(String, Value)> {
    let entries = fs::read_dir(folder.join("case"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let cases = entries.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("# "),
            "{name}: its first line says why there is this case"
        );
        let mut documents = reeve_kustomize::parse_yaml(text.as_bytes(), &name).unwrap();
        assert_eq!(documents.len(), 1, "{name}");
        (name, documents.remove(0))
    });
    let mut sorted: Vec<_> = cases.collect();
    sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
    sorted
}

fn judged(policy: &Policy, input: &Value) -> Value {
    let mut violations = policy
        .judge(&Input::new(input).unwrap())
        .unwrap()
        .violations;
    violations.sort();
    let told = violations.into_iter().map(|violation| {
        let fields = [
            ("message", Some(violation.message)),
            ("object", violation.object),
            ("path", violation.path),
            ("hint", violation.hint),
        ];
        let said = fields
            .into_iter()
            .filter_map(|(key, text)| Some((key.to_owned(), text?.into())));
        Value::Object(said.collect())
    });
    told.collect()
}
