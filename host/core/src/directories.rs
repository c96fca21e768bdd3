//! Which directories of a repository could be applied and are nobody's: they hold a kustomization file, and no Kustomization names
//! them, one above them or one below.
//!
//! They are left alone, as is all that no Kustomization names; who looks is told of them. What it deliberately doesn't: read a file,
//! so that a base that is built upon from elsewhere is told, too.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};

/// The most that are told.
const MOST: usize = 20;
/// The longest that is told.
const LONGEST: usize = 200;
/// By what a directory is known that could be applied.
const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Of the directories that these files are in, those that none of these `spec.path`s means. One within another is not told beside it.
pub fn unconfigured<'f, 'p>(
    files: impl Iterator<Item = &'f str>,
    paths: impl Iterator<Item = &'p str>,
) -> Vec<String> {
    let paths: BTreeSet<PathBuf> = paths.map(plain).collect();
    let found: BTreeSet<&Path> = files
        .filter_map(holds)
        .filter(|dir| !is_somebodys(dir, &paths))
        .collect();
    let mut told: Vec<&Path> = Vec::new();
    for dir in found {
        // Whatever is within a directory comes right after it.
        let is_within = told.last().is_some_and(|last| dir.starts_with(last));
        if !is_within && dir.as_os_str().len() <= LONGEST {
            told.push(dir);
        }
    }
    told.into_iter().take(MOST).map(shown).collect()
}

/// The directory that could be applied for this file.
fn holds(file: &str) -> Option<&Path> {
    let (dir, name) = file.rsplit_once('/').unwrap_or(("", file));
    FILES.contains(&name).then(|| Path::new(dir))
}

fn is_somebodys(dir: &Path, paths: &BTreeSet<PathBuf>) -> bool {
    let from = (Bound::Included(dir), Bound::<&Path>::Unbounded);
    let next = paths.range::<Path, _>(from).next();
    let leads = next.is_some_and(|path| path.starts_with(dir));
    leads || dir.ancestors().any(|above| paths.contains(above))
}

/// A path as the files have theirs: from the root, without `.` and `/` at either end.
fn plain(path: &str) -> PathBuf {
    let parts = Path::new(path).components();
    let named = |part: &Component<'_>| matches!(part, Component::Normal(_));
    parts.filter(named).collect()
}

fn shown(dir: &Path) -> String {
    match dir.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => dir.to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[&str], paths: &[&str]) -> Vec<String> {
        unconfigured(files.iter().copied(), paths.iter().copied())
    }

    #[test]
    fn what_nobody_names_is_told_and_nothing_above_or_below_what_somebody_does() {
        let files = [
            "README.md",
            "apps/kustomization.yaml",
            "apps/web/kustomization.yaml",
            "apps/web/prod/Kustomization",
            "apps/api/kustomization.yml",
            "apps/api/base/kustomization.yaml",
            "apps-old/kustomization.yaml",
            "docs/web.yaml",
        ];
        let rows: [(&str, &[&str]); 6] = [
            ("./apps/web", &["apps/api", "apps-old"]),
            ("/apps/web/", &["apps/api", "apps-old"]),
            ("apps", &["apps-old"]),
            ("./", &[]),
            ("", &[]),
            ("elsewhere", &["apps", "apps-old"]),
        ];
        for (path, want) in rows {
            assert_eq!(told(&files, &[path]), want, "{path}");
        }
        assert_eq!(told(&files, &[]), ["apps", "apps-old"]);
        let both = ["apps/web", "apps/api/base", "apps-old"];
        assert_eq!(told(&files, &both), Vec::<String>::new());
        assert_eq!(told(&["kustomization.yaml"], &[]), ["."]);
    }

    #[test]
    fn so_many_are_told_and_none_that_is_too_long() {
        let mut files: Vec<String> = (10..40)
            .map(|n| format!("a{n}/kustomization.yaml"))
            .collect();
        files.push(format!("a1{}/kustomization.yaml", "x".repeat(300)));
        let told = unconfigured(files.iter().map(String::as_str), std::iter::empty());
        assert_eq!(told.len(), MOST);
        assert_eq!(told.first().map(String::as_str), Some("a10"));
        assert!(told.iter().all(|dir| dir.len() <= LONGEST));
    }
}
