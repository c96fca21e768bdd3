//! The bill of materials, in CycloneDX: every crate that is linked into the program or into a shipped plugin, by what cargo says
//! of this very build, every file of the base, and the packages that its libraries are from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::files::{Files, Node};
use super::layer::digest;

/// A program that is shipped: where its lock file lies, which of its packages are shipped, and what for.
struct Shipped {
    workspace: &'static str,
    target: String,
    is: fn(&Value) -> bool,
}

/// Writes it.
pub(super) fn written(
    version: &str,
    base: &Files,
    packages: Vec<Value>,
) -> anyhow::Result<Vec<u8>> {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let programs = [
        Shipped {
            workspace: ".",
            target: host,
            is: |package| package["name"] == "reeve",
        },
        Shipped {
            workspace: "plugins",
            target: "wasm32-unknown-unknown".to_owned(),
            is: |package| package["source"].is_null() && package["name"] != "encode",
        },
    ];
    let mut components = BTreeMap::new();
    for program in programs {
        crates(&program, &mut components)?;
    }
    let files = base.iter().filter_map(|(path, node)| match node {
        Node::File { content, .. } => Some(file(path, content)),
        Node::Directory { .. } => None,
    });
    let components = components.into_values().chain(packages).chain(files);
    let components: Vec<Value> = components.collect();
    let bill = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": "reeve", "name": "reeve", "version": version,
            "licenses": [{"expression": "Apache-2.0"}],
        }},
        "components": components,
    });
    Ok(serde_json::to_vec_pretty(&bill)?)
}

fn file(path: &str, content: &[u8]) -> Value {
    let digest = digest(content);
    let digest = digest.trim_start_matches("sha256:");
    json!({
        "type": "file", "bom-ref": format!("/{path}"), "name": format!("/{path}"),
        "hashes": [{"alg": "SHA-256", "content": digest}],
    })
}

/// Adds the crates that a program is made of, by their package URLs.
fn crates(program: &Shipped, into: &mut BTreeMap<String, Value>) -> anyhow::Result<()> {
    let root = reeve_tests::root().join(program.workspace);
    let metadata = metadata(&root, &program.target)?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("the lock file")?;
    let sums = checksums(&lock);
    let empty = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&empty);
    let id = |package: &Value| package["id"].as_str().unwrap_or_default().to_owned();
    let roots: Vec<String> = packages
        .iter()
        .filter(|it| (program.is)(it))
        .map(id)
        .collect();
    ensure!(
        !roots.is_empty(),
        "nothing of {} is shipped",
        program.workspace
    );
    let is_macro = |package: &&Value| {
        let targets = package["targets"].as_array().into_iter().flatten();
        targets
            .into_iter()
            .any(|target| target["kind"][0] == "proc-macro")
    };
    let macros: BTreeSet<String> = packages.iter().filter(is_macro).map(id).collect();
    let linked = linked(&metadata, roots, &macros);
    for package in packages.iter().filter(|it| linked.contains(&id(it))) {
        let word = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
        let (name, version) = (word("name"), word("version"));
        let url = format!("pkg:cargo/{name}@{version}");
        let mut component = json!({
            "type": "library", "bom-ref": url, "name": name, "version": version, "purl": url,
        });
        if let Some(license) = package["license"].as_str() {
            // As it was written before there were expressions.
            let expression = license.replace('/', " OR ");
            component["licenses"] = json!([{"expression": expression}]);
        }
        if let Some(sum) = sums.get(&(name, version)) {
            component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
        }
        into.insert(url, component);
    }
    Ok(())
}

/// What cargo knows of a workspace, for one target.
fn metadata(root: &Path, target: &str) -> anyhow::Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version=1", "--locked"]);
    command.arg(format!("--filter-platform={target}"));
    let out = command
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("cargo cannot be run")?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "cargo metadata: {}", said.trim());
    serde_json::from_slice(&out.stdout).context("cargo metadata is JSON")
}

/// All packages that are linked into these, themselves among them: neither what builds them, as macros do, nor what tests them.
fn linked(metadata: &Value, roots: Vec<String>, macros: &BTreeSet<String>) -> BTreeSet<String> {
    let nodes = metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten();
    let nodes: BTreeMap<&str, &Value> = nodes
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let (mut found, mut open) = (BTreeSet::new(), roots);
    while let Some(id) = open.pop() {
        let node = nodes.get(id.as_str()).copied().unwrap_or(&Value::Null);
        if macros.contains(&id) || !found.insert(id) {
            continue;
        }
        for dependency in node["deps"].as_array().into_iter().flatten() {
            let kinds = dependency["dep_kinds"].as_array().into_iter().flatten();
            if kinds.into_iter().any(|kind| kind["kind"].is_null()) {
                open.extend(dependency["pkg"].as_str().map(str::to_owned));
            }
        }
    }
    found
}

/// The checksum of each crate of a lock file, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let packages = lock.split("[[package]]").skip(1);
    let of = |package: &str, field: &str| {
        let lines = package.lines();
        let mut values = lines.filter_map(|line| line.strip_prefix(field)?.strip_prefix(" = \""));
        Some(values.next()?.trim_end_matches('"').to_owned())
    };
    let one = |package: &str| {
        let key = (of(package, "name")?, of(package, "version")?);
        Some((key, of(package, "checksum")?))
    };
    packages.filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builds_and_tests_a_program_is_not_linked_into_it() {
        let dependency = |to: &str, kind: Value| json!({"pkg": to, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({"resolve": {"nodes": [
            {"id": "a", "deps": [
                dependency("b", Value::Null), dependency("c", json!("build")), dependency("d", json!("dev")),
            ]},
            {"id": "b", "deps": [
                dependency("a", Value::Null), dependency("e", Value::Null), dependency("macro", Value::Null),
            ]},
        ]}});
        let macros = BTreeSet::from(["macro".to_owned()]);
        let found = linked(&metadata, vec!["a".to_owned()], &macros);
        assert_eq!(
            found.iter().map(String::as_str).collect::<Vec<_>>(),
            ["a", "b", "e"]
        );
    }

    #[test]
    fn a_crate_has_the_checksum_of_its_very_version() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"00\"\n\n[[package]]\nname = \"a\"\nversion = \"2.0.0\"\nchecksum = \"11\"\n\n[[package]]\nname = \"ours\"\nversion = \"1.0.0\"\n";
        let sums = checksums(lock);
        assert_eq!(sums.len(), 2);
        assert_eq!(
            sums.get(&("a".to_owned(), "2.0.0".to_owned()))
                .map(String::as_str),
            Some("11")
        );
    }
}
