//! Who may import what: read from the manifests, so that a crossed wall is a failed test.

use std::collections::BTreeSet;

use crate::source;

/// More packages than this, and somebody should ask whether the newest one earns its place.
const LOCK_CAP: usize = 750;

/// Crate folder, what it may take from us, what it must never take from outside.
const WALLS: &[(&str, &[&str], &[&str])] = &[
    (
        "host/api",
        &[],
        &["tokio", "reqwest", "gix", "wasmtime", "regorus", "axum"],
    ),
    (
        "host/kustomize",
        &[],
        &[
            "tokio",
            "kube",
            "gix",
            "wasmtime",
            "regorus",
            "axum",
            "k8s-openapi",
        ],
    ),
    (
        "host/writeback",
        &["reeve-kustomize"],
        &[
            "tokio",
            "kube",
            "gix",
            "wasmtime",
            "regorus",
            "axum",
            "k8s-openapi",
            "rand",
        ],
    ),
    (
        "host/core",
        &["reeve-api", "reeve-kustomize", "reeve-writeback"],
        &[
            "tokio", "kube", "gix", "wasmtime", "axum", "reqwest", "rand",
        ],
    ),
    (
        "host/wasm",
        &[],
        &[
            "kube",
            "gix",
            "regorus",
            "axum",
            "wasmtime-wasi",
            "k8s-openapi",
        ],
    ),
    (
        "host/reeve",
        &[
            "reeve-api",
            "reeve-kustomize",
            "reeve-writeback",
            "reeve-core",
            "reeve-wasm",
        ],
        &["wasmtime", "regorus"],
    ),
];

/// Which packages nobody in the tree may bring: a second TLS stack, and abandoned parsers.
const NEVER: &[&str] = &[
    "openssl",
    "openssl-sys",
    "native-tls",
    "serde_yaml",
    "serde_yml",
    "wasmtime-wasi",
];

#[test]
fn a_crate_imports_only_what_its_room_allows() {
    for (folder, ours, never) in WALLS {
        let taken = dependencies(folder);
        for name in &taken {
            assert!(!never.contains(&name.as_str()), "{folder} imports {name}");
            assert!(
                !name.starts_with("reeve") || ours.contains(&name.as_str()),
                "{folder} imports {name} of ours"
            );
        }
    }
}

/// The controller applies what tenants wrote as their accounts; a command may as whoever runs it.
#[test]
fn only_commands_apply_as_whoever_is_connected() {
    let own = source::root().join("host/reeve/src");
    let mut found = Vec::new();
    for path in source::rust_files(&own) {
        let is_command = path.starts_with(own.join("cli"));
        if !is_command && source::text(&path).contains(".as_connected(") {
            found.push(source::shown(&path));
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn nobody_brings_what_is_banned() {
    let lock = source::text(&source::root().join("Cargo.lock"));
    for name in NEVER {
        assert!(
            !lock.contains(&format!("name = \"{name}\"\n")),
            "{name} is in Cargo.lock"
        );
    }
}

#[test]
fn the_lock_file_stays_small() {
    let lock = source::text(&source::root().join("Cargo.lock"));
    let packages = lock.matches("[[package]]").count();
    assert!(
        packages <= LOCK_CAP,
        "{packages} packages: trim first; raise the cap only if the newest one earns its place"
    );
}

/// The names under `[dependencies]` of a crate's manifest.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let text = source::text(&source::root().join(folder).join("Cargo.toml"));
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.starts_with("dependencies");
        } else if inside && let Some((name, _)) = line.split_once(['.', '=']) {
            names.insert(name.trim().to_owned());
        }
    }
    names
}
