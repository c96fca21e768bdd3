//! The shipped policies, asked of `opa` itself: what the controller's own engine says of them is what Rego means.
//!
//! The tests of `reeve-core` hold our engine to the same tests and the same cases; so the two engines agree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use reeve_tests::{binaries, root};

#[test]
fn opa_runs_every_policys_own_tests() {
    let Some(opa) = opa() else { return };
    for folder in folders() {
        let ran = asked(Command::new(&opa).arg("test").args(modules(&folder)));
        let told = String::from_utf8_lossy(&ran.stdout);
        // `opa test` is content with no test at all.
        assert!(
            told.starts_with("PASS: ") && !told.starts_with("PASS: 0/"),
            "{told}"
        );
    }
}

#[test]
fn opa_comes_to_the_verdict_of_every_case() {
    let Some(opa) = opa() else { return };
    for folder in folders() {
        let package = package(&folder);
        for case in listed(&folder.join("case")) {
            // The case is a document of its own: the set that is denied is the list that it wants.
            let query = format!(
                "{{o | some o in data.reeve.{package}.deny}} == \
                 {{w | some w in object.get(data, \"want\", [])}} with input as data.input"
            );
            let mut command = Command::new(&opa);
            command
                .args(["eval", "--format", "raw"])
                .arg("--data")
                .arg(folder.join("policy.rego"));
            let told = asked(command.arg("--data").arg(&case).arg(query));
            let told = String::from_utf8_lossy(&told.stdout);
            assert_eq!(told.trim(), "true", "{}", case.display());
        }
    }
}

#[test]
fn opa_finds_nothing_to_correct_in_a_policy() {
    let Some(opa) = opa() else { return };
    for folder in folders() {
        asked(
            Command::new(&opa)
                .args(["check", "--strict"])
                .args(modules(&folder)),
        );
        asked(
            Command::new(&opa)
                .args(["fmt", "--fail", "--diff"])
                .args(modules(&folder)),
        );
    }
}

/// The program, or a loud word that it is missing.
fn opa() -> Option<PathBuf> {
    match binaries::find("opa") {
        Ok(path) => Some(path),
        Err(why) if std::env::var_os("REEVE_REQUIRE_CLUSTER").is_some_and(|set| set == "1") => {
            panic!("{why:#}")
        }
        Err(why) => {
            eprintln!("SKIPPED: the policies were not shown to opa: {why:#}");
            None
        }
    }
}

fn asked(command: &mut Command) -> Output {
    let output = command.output().expect("opa was found and runs");
    let told =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {}", told.join("\n"));
    output
}

fn folders() -> Vec<PathBuf> {
    let folders: Vec<_> = listed(&root().join("policies"))
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    assert!(!folders.is_empty(), "there are no policies");
    folders
}

fn modules(folder: &Path) -> [PathBuf; 2] {
    ["policy.rego", "policy_test.rego"].map(|name| folder.join(name))
}

/// A policy's package is its folder's name in Rego's spelling.
fn package(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .replace('-', "_")
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("it is readable").path())
        .collect();
    paths.sort();
    paths
}
