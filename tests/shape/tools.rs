//! The top level and its tools: nothing lies there that is neither a room nor a tool, and the workflows run what people run.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::source;

const ROOMS: [&str; 9] = [
    "Cargo.toml",
    "README.md",
    "charts",
    "docs",
    "host",
    "plugins",
    "policies",
    "tests",
    "wit",
];
const TOOLS: [&str; 8] = [
    ".ci",
    ".github",
    ".gitignore",
    "Cargo.lock",
    "Makefile",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
];

#[test]
fn the_top_level_holds_rooms_and_tools_and_nothing_else() {
    // What is committed, or would be: a work tree has more.
    let out = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(source::root())
        .output()
        .expect("git is there: `make prepare` says so");
    assert!(out.status.success(), "this is no checkout");
    let listed = String::from_utf8_lossy(&out.stdout).into_owned();
    let tops = listed.lines().filter_map(|path| path.split('/').next());
    for top in tops {
        let known = ROOMS.contains(&top) || TOOLS.contains(&top);
        assert!(known, "{top} is neither a room nor a tool");
    }
}

/// The workflows, by their names.
fn workflows() -> Vec<(String, String, Value)> {
    let entries = fs::read_dir(source::root().join(".github/workflows"));
    let entries = entries.expect("there are workflows");
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry is readable").path();
        let text = source::text(&path);
        let value = yaml_serde::from_str(&text).expect("a workflow is YAML");
        (source::shown(&path), text, value)
    };
    entries.map(read).collect()
}

/// The steps of all jobs.
fn steps(workflow: &Value) -> Vec<&Value> {
    let jobs = workflow.get("jobs").and_then(Value::as_object);
    let jobs = jobs.into_iter().flatten();
    let steps = jobs.filter_map(|(_, job)| job.get("steps")?.as_array());
    steps.flatten().collect()
}

#[test]
fn workflows_run_what_people_run() {
    let workflows = workflows();
    let runs = |name: &str, command: &str| {
        let mut named = workflows.iter().filter(|(path, ..)| path.ends_with(name));
        named.any(|(_, _, workflow)| steps(workflow).iter().any(|step| step["run"] == command))
    };
    assert!(runs("test.yaml", ".ci/run"));
    assert!(runs("release.yaml", "make dist"));
    assert_eq!(workflows.len(), 3);
    let local = source::text(&source::root().join(".ci/run"));
    let local: Vec<&str> = local.lines().map(str::trim).collect();
    assert!(local.contains(&"make test"));
    assert!(local.contains(&"make demo ONCE=1"));
    // With a tool that may not be at home.
    for (workflow, command) in [("test.yaml", "make book"), ("audit.yaml", "make audit")] {
        assert!(runs(workflow, command), "{workflow}: no {command}");
        assert!(local.contains(&command), ".ci/run: no {command}");
    }
    assert!(runs("test.yaml", "make image"));
}

/// Whoever pulls something asks for the digest that it has in the registry, which is none of a file's.
#[test]
fn everything_that_a_release_pushes_has_its_provenance_in_the_registry() {
    let workflows = workflows();
    let release = workflows
        .iter()
        .find(|(name, ..)| name.ends_with("release.yaml"));
    let (_, text, workflow) = release.expect("there is one");
    let steps = steps(workflow);
    for (pushed, digest) in [
        ("reeve", "image"),
        ("charts/reeve", "reeve"),
        ("charts/reeve-crds", "reeve-crds"),
    ] {
        let name = format!("${{{{ vars.REGISTRY }}}}/{pushed}");
        let of = format!("${{{{ steps.registry.outputs.{digest} }}}}");
        let attested = steps.iter().any(|step| {
            let with = &step["with"];
            with["subject-name"] == name.as_str()
                && with["subject-digest"] == of.as_str()
                && with["push-to-registry"] == true
        });
        assert!(attested, "{pushed}");
    }
    assert!(text.contains("echo \"image=$("));
    assert!(text.contains("echo \"$chart=$("));
}

/// What the script says of a version in the changelog.
fn notes(version: &str) -> (bool, String) {
    let script = source::root().join("tests/notes.sh");
    let out = Command::new(script).arg(version).output();
    let out = out.expect("bash is there");
    let told = [out.stdout, out.stderr].concat();
    (
        out.status.success(),
        String::from_utf8_lossy(&told).into_owned(),
    )
}

#[test]
fn a_release_has_the_notes_of_its_version_and_none_is_made_without() {
    let changelog = source::text(&source::root().join(".github/CHANGELOG.md"));
    let titles = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## ["));
    let versions: Vec<&str> = titles.filter_map(|title| title.split(']').next()).collect();
    assert_eq!(versions.first(), Some(&"Unreleased"));
    for version in &versions {
        let (told, text) = notes(version);
        // After a release there is nothing yet.
        assert!(told || *version == "Unreleased", "{version}: {text}");
        let others = text.lines().any(|line| line.starts_with("## "));
        assert!(!others, "{version}: {text}");
        // The headings of Keep a Changelog.
        let known = [
            "Added",
            "Changed",
            "Deprecated",
            "Removed",
            "Fixed",
            "Security",
        ];
        let mut sorts = text.lines().filter_map(|line| line.strip_prefix("### "));
        assert!(sorts.all(|sort| known.contains(&sort)), "{version}: {text}");
    }
    let (told, why) = notes("999.0.0");
    assert!(!told && why.contains("says nothing of 999.0.0"), "{why}");
    let workflows = workflows();
    let release = workflows
        .iter()
        .find(|(name, ..)| name.ends_with("release.yaml"));
    let (_, text, _) = release.expect("there is one");
    assert!(text.contains("tests/notes.sh \"${TAG#v}\""));
}

#[test]
fn workflows_pin_what_they_use_and_may_only_read_unless_they_say_so() {
    for (name, text, workflow) in workflows() {
        assert_eq!(workflow["permissions"]["contents"], "read", "{name}");
        for step in steps(&workflow) {
            let Some(uses) = step["uses"].as_str() else {
                // What a stranger writes (a title, a branch) must not become a command.
                let run = step["run"].as_str().expect("a step uses or runs something");
                assert!(!run.contains("${{"), "{name}: {run}");
                continue;
            };
            let (_, pin) = uses.split_once('@').expect("an action has a version");
            let is_commit = pin.len() == 40 && pin.chars().all(|c| c.is_ascii_hexdigit());
            assert!(is_commit, "{name}: {uses} can be moved");
            let said = format!("{uses} # v");
            assert!(text.contains(&said), "{name}: {uses} of which version?");
        }
    }
}

#[test]
fn workflows_take_the_toolchain_that_the_workspace_names() {
    let manifest = source::text(&source::root().join("Cargo.toml"));
    let version = manifest.lines().find_map(|line| {
        let rest = line.strip_prefix("rust-version = \"")?;
        rest.strip_suffix('"')
    });
    let version = version.expect("the workspace says which Rust it needs");
    let mut seen = 0;
    for (name, text, _) in workflows() {
        for line in text.lines().filter(|line| line.contains("rustup ")) {
            assert!(line.contains(version), "{name}: {line}");
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen} lines");
}
