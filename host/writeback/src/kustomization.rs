//! Kustomization files as data: where they are, and what they name.
//!
//! Read loosely: every text in one that is the path of something counts as naming it. Who takes too much for used refuses
//! an edit too many; the build itself, which follows the proper fields, is reeve-kustomize's.

use std::collections::BTreeSet;

use reeve_kustomize::edit::documents;
use reeve_kustomize::{KUSTOMIZATION_FILES, Kind, Tree};
use serde_json::Value;

/// Fields whose files name further files.
const CONFIGS: [&str; 3] = ["generators", "transformers", "validators"];
/// No path is longer.
const LONGEST: usize = 1024;

/// One kustomization file.
#[derive(Clone, Debug)]
pub(crate) struct Kustomization {
    pub(crate) dir: String,
    pub(crate) file: String,
    /// The number of its document in the file.
    pub(crate) number: usize,
    pub(crate) value: Value,
}

impl Kustomization {
    /// That of the directory, if there is one.
    pub(crate) fn read(tree: &dyn Tree, dir: &str) -> Option<Self> {
        let mut candidates = KUSTOMIZATION_FILES
            .iter()
            .filter_map(|name| join(dir, name));
        let file = candidates.find(|path| tree.kind(path) == Some(Kind::File))?;
        let bytes = tree.read(&file).ok()?;
        let documents = documents(&bytes, &file).ok()?;
        let mut documents = documents.into_iter().enumerate();
        let (number, document) = documents.find(|(_, one)| one.value.is_object())?;
        Some(Self {
            dir: dir.to_owned(),
            file,
            number,
            value: document.value,
        })
    }

    /// Whether the directory has one, readable or not.
    pub(crate) fn is_in(tree: &dyn Tree, dir: &str) -> bool {
        let mut candidates = KUSTOMIZATION_FILES
            .iter()
            .filter_map(|name| join(dir, name));
        candidates.any(|path| tree.kind(&path) == Some(Kind::File))
    }

    /// The items of a list of it.
    pub(crate) fn items(&self, field: &str) -> &[Value] {
        let list = self.value.get(field).and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }

    /// Everything of the tree that it names, itself included.
    pub(crate) fn names(&self, tree: &dyn Tree) -> BTreeSet<String> {
        let mut found = BTreeSet::from([self.file.clone()]);
        let dir = self.dir.as_str();
        texts(&self.value, &mut |text| name(tree, dir, text, &mut found));
        for entry in CONFIGS.iter().flat_map(|field| self.items(field)) {
            let path = entry.as_str().and_then(|text| join(&self.dir, text));
            for value in path.iter().flat_map(|path| values(tree, path)) {
                texts(&value, &mut |text| name(tree, dir, text, &mut found));
            }
        }
        found
    }
}

/// Everything of the tree that the kustomization file of a directory names. Of one that cannot be read, every word that is the
/// path of something.
pub(crate) fn names_in(tree: &dyn Tree, dir: &str) -> BTreeSet<String> {
    if let Some(kustomization) = Kustomization::read(tree, dir) {
        return kustomization.names(tree);
    }
    let mut found = BTreeSet::new();
    for file in KUSTOMIZATION_FILES
        .iter()
        .filter_map(|name| join(dir, name))
    {
        if tree.kind(&file) != Some(Kind::File) {
            continue;
        }
        let bytes = tree.read(&file).ok();
        let text = bytes
            .as_deref()
            .map(String::from_utf8_lossy)
            .unwrap_or_default();
        let parts = |c: char| c.is_whitespace() || "\"',[]{}=:".contains(c);
        for word in text.split(parts) {
            name(tree, dir, word, &mut found);
        }
        found.insert(file);
    }
    found
}

/// Adds what a text names, if it is the path of something.
fn name(tree: &dyn Tree, dir: &str, text: &str, found: &mut BTreeSet<String>) {
    let behind = text.split_once('=').map(|(_, path)| path);
    for path in [Some(text), behind].into_iter().flatten() {
        if path.is_empty() || path.len() > LONGEST || path.contains('\n') {
            continue;
        }
        let Some(path) = join(dir, path).filter(|path| path != dir) else {
            continue;
        };
        if tree.kind(&path).is_some() {
            found.insert(tree.real(&path).unwrap_or(path));
        }
    }
}

/// The documents of a file that can be read; none of any other.
pub(crate) fn values(tree: &dyn Tree, file: &str) -> Vec<Value> {
    if tree.kind(file) != Some(Kind::File) {
        return Vec::new();
    }
    let documents = tree.read(file).ok().map(|bytes| documents(&bytes, file));
    let documents = documents.and_then(Result::ok).unwrap_or_default();
    documents.into_iter().map(|one| one.value).collect()
}

/// Calls `see` for every text.
fn texts(value: &Value, see: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().for_each(|item| texts(item, see)),
        Value::Object(map) => map.values().for_each(|value| texts(value, see)),
        _ => {}
    }
}

/// `dir/path` without `.` and `..`; nothing if it is absolute or leaves the root.
pub(crate) fn join(dir: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains(['\\', '\0']) {
        return None;
    }
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// `file` as seen from the directory `dir`, which it lies below.
pub(crate) fn below<'a>(dir: &str, file: &'a str) -> Option<&'a str> {
    match dir {
        "" => Some(file),
        dir => file.strip_prefix(dir)?.strip_prefix('/'),
    }
}

/// The directory a file lies in.
pub(crate) fn parent(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(dir, _)| dir)
}
