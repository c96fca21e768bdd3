//! Runs every case of `tests/cases/render`: a tree in `in/`, what must come out in `want.yaml` or `error.txt`, and why the
//! case is there in `why.md`.
//!
//! `want.yaml` was printed by the real kustomize (or by Flux's own library where `options.yaml` asks for what only Flux
//! does) and is compared byte for byte. `REEVE_BLESS=1` rewrites `error.txt`, which is ours.
#![expect(clippy::unwrap_used, reason = "a test fails by panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "cases are files; the engine itself reads none"
)]

use std::fs;
use std::path::{Path, PathBuf};

use reeve_kustomize::{
    MemoryTree, Options, Overlay, OverlayImage, OverlayPatch, Selector, build, parse_yaml, to_yaml,
};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/render")
}

fn files(dir: &Path, below: &str, found: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        let shown = if below.is_empty() {
            name.to_owned()
        } else {
            format!("{below}/{name}")
        };
        if path.is_dir() {
            files(&path, &shown, found);
        } else {
            found.push((shown, fs::read(&path).unwrap()));
        }
    }
}

fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn some(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn texts(value: &Value, field: &str) -> Vec<String> {
    let text = |item: &Value| item.as_str().unwrap_or_default().to_owned();
    items(value, field).map(text).collect()
}

fn selector(target: &Value) -> Selector {
    Selector {
        group: text(target, "group"),
        version: text(target, "version"),
        kind: text(target, "kind"),
        name: text(target, "name"),
        namespace: text(target, "namespace"),
        label_selector: text(target, "labelSelector"),
        annotation_selector: text(target, "annotationSelector"),
    }
}

/// The fields of a Flux Kustomization's spec.
fn options(spec: &Value) -> Options {
    let patch = |p: &Value| OverlayPatch {
        patch: text(p, "patch"),
        target: p.get("target").map(selector),
    };
    let image = |i: &Value| OverlayImage {
        name: text(i, "name"),
        new_name: text(i, "newName"),
        new_tag: text(i, "newTag"),
        digest: text(i, "digest"),
    };
    let overlay = Overlay {
        namespace: some(spec, "targetNamespace"),
        name_prefix: some(spec, "namePrefix"),
        name_suffix: some(spec, "nameSuffix"),
        patches: items(spec, "patches").map(patch).collect(),
        images: items(spec, "images").map(image).collect(),
        components: texts(spec, "components"),
        ignore_missing_components: spec.get("ignoreMissingComponents") == Some(&Value::Bool(true)),
        ..Overlay::default()
    };
    Options {
        overlay,
        generate: true,
        ..Options::default()
    }
}

fn run(case: &Path) -> Result<(), String> {
    let why = fs::read_to_string(case.join("why.md")).unwrap_or_default();
    if why.trim().lines().count() != 1 {
        return Err("why.md must hold one sentence".to_owned());
    }
    let mut tree = Vec::new();
    files(&case.join("in"), "", &mut tree);
    let tree: MemoryTree = tree.into_iter().collect();
    let (mut settings, mut path) = (Options::default(), String::new());
    if let Ok(bytes) = fs::read(case.join("options.yaml")) {
        let spec = parse_yaml(&bytes, "options.yaml").unwrap().remove(0);
        settings = options(&spec);
        path = text(&spec, "path");
    }
    let got = build(&tree, &path, &settings);
    let (want_yaml, want_error) = (case.join("want.yaml"), case.join("error.txt"));
    match got {
        Err(error) if std::env::var_os("REEVE_BLESS").is_some() && !want_yaml.exists() => {
            fs::write(want_error, format!("{error}\n")).map_err(|e| e.to_string())
        }
        Err(error) => same(
            &fs::read_to_string(want_error).unwrap_or_default(),
            &format!("{error}\n"),
        ),
        Ok(objects) => same(
            &fs::read_to_string(want_yaml).unwrap_or_default(),
            &to_yaml(&objects),
        ),
    }
}

fn same(want: &str, got: &str) -> Result<(), String> {
    if want == got {
        return Ok(());
    }
    let line = want.lines().zip(got.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or_else(|| want.lines().count().min(got.lines().count()));
    let at = |text: &str| text.lines().nth(line).unwrap_or("(nothing)").to_owned();
    Err(format!(
        "line {}\n  want {}\n  got  {}",
        line + 1,
        at(want),
        at(got)
    ))
}

#[test]
fn every_case_comes_out_as_kustomize_has_it() {
    let mut cases: Vec<_> = fs::read_dir(root())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            Some(format!(
                "{}: {}",
                case.file_name()?.display(),
                run(case).err()?
            ))
        })
        .collect();
    assert!(cases.len() > 30, "only {} cases", cases.len());
    assert!(
        failed.is_empty(),
        "{} of {} cases\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}
