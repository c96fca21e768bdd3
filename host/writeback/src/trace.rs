//! Where an object came from and what went over it: what `reeve build --explain` tells, read.

use reeve_kustomize::{Object, parse_yaml};
use serde_json::Value;

use crate::kustomization::join;

const ORIGIN: &str = "config.kubernetes.io/origin";
const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// The provenance of one object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// The file of its manifest, if it lies in the tree.
    pub(crate) file: Option<String>,
    /// Whether a generator made it.
    pub(crate) is_generated: bool,
    /// What went over it last, in words.
    pub(crate) last: Option<String>,
}

impl Trace {
    /// Reads the annotations of an object that was built at `root` with its provenance.
    pub(crate) fn of(object: &Object, root: &str) -> Self {
        let read = |name: &str| {
            let text = object.annotations().and_then(|all| all.get(name)?.as_str());
            let parsed = parse_yaml(text.unwrap_or_default().as_bytes(), name).ok();
            parsed.and_then(|mut all| all.pop()).unwrap_or_default()
        };
        let origin = read(ORIGIN);
        let text = |name: &str| origin.get(name).and_then(Value::as_str);
        let file = match text("repo") {
            None => text("path").and_then(|path| join(root, path)),
            Some(_) => None,
        };
        let kind = origin.pointer("/configuredBy/kind").and_then(Value::as_str);
        let last = read(TRANSFORMATIONS);
        let last = last.as_array().and_then(|all| all.last()).map(words);
        Self {
            file,
            is_generated: kind.is_some_and(|kind| kind.ends_with("Generator")),
            last,
        }
    }
}

/// `ReplacementTransformer in kustomization.yaml`.
fn words(one: &Value) -> String {
    let text = |pointer: &str| one.pointer(pointer).and_then(Value::as_str);
    let kind = text("/configuredBy/kind").unwrap_or("a transformer");
    match text("/configuredIn") {
        Some(file) => format!("{kind} in {file}"),
        None => kind.to_owned(),
    }
}
