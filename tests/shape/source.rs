//! The project's own Rust files, found once and parsed with `syn`.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the root")
        .to_owned()
}

/// Every `.rs` file below `dir`, build output left out.
pub(crate) fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a directory of ours is readable") {
            let path = entry.expect("an entry is readable").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if name != "target"
                    && name != "cases"
                    && path != root().join("tests").join("cluster")
                {
                    open.push(path);
                }
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The files of the product and of its proof.
pub(crate) fn all() -> Vec<PathBuf> {
    let mut files = rust_files(&root().join("host"));
    files.extend(rust_files(&root().join("tests")));
    files.extend(rust_files(&root().join("plugins")));
    files
}

pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a source file is UTF-8")
}

/// The production lines of each file: those before its inline tests, and none of a file of tests. A table of
/// cases may be as long as there are cases.
pub(crate) fn production() -> impl Iterator<Item = (PathBuf, Vec<String>)> {
    let is_tests = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().ends_with("tests.rs"))
    };
    all()
        .into_iter()
        .filter(move |path| !is_tests(path))
        .map(|path| {
            let text = text(&path);
            let lines = text
                .lines()
                .take_while(|line| !line.starts_with("#[cfg(test)]"));
            let lines = lines.map(str::to_owned).collect();
            (path, lines)
        })
}

pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
