//! The same input through the real program and through ours.
//!
//! `cases.rs` shows every folder of `tests/cases/render` to kustomize or Flux: what it writes is what is in there. `fields.rs` holds
//! the list of kustomize's fields against the folders. `random.rs` makes trees of its own, and `substitute.rs` shows Flux
//! variables. `rego.rs` asks `opa` what each expression of a table is, and `data.rs` what it reads in data. Where a program is missing, that is said loudly, and
//! fails where `REEVE_REQUIRE_CLUSTER=1`. The policies are shown to `opa` by a scenario.

#![expect(
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panic and says aloud what it left out"
)]

mod cases;
mod data;
mod fields;
mod random;
mod real;
mod rego;
mod substitute;

use std::path::PathBuf;

use reeve_tests::binaries;

fn kustomize() -> Option<real::Kustomize> {
    program("kustomize").map(real::Kustomize)
}

fn flux() -> Option<real::Flux> {
    program("flux").map(real::Flux)
}

/// The real program, or a loud word that it is missing.
fn program(name: &str) -> Option<PathBuf> {
    match binaries::find(name) {
        Ok(path) => Some(path),
        Err(why) if std::env::var_os("REEVE_REQUIRE_CLUSTER").is_some_and(|set| set == "1") => {
            panic!("{why:#}")
        }
        Err(why) => {
            eprintln!("SKIPPED: nothing was shown to {name}: {why:#}");
            None
        }
    }
}

/// The folders of `tests/cases/render`.
fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(reeve_tests::root().join("tests/cases/render"));
    let entries = entries.expect("the cases are there");
    let mut folders: Vec<_> = entries
        .map(|entry| entry.expect("it is readable").path())
        .collect();
    folders.sort();
    folders
}

fn name(folder: &std::path::Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
