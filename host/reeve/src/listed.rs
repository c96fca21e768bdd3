//! What a list of paths says of directories: which names are in each, and why something is in none.
//!
//! The tree of a commit and that of an archive are lists of this kind, whatever lies at their paths. What it deliberately
//! doesn't: judge a path, or read what lies there.

use std::collections::BTreeMap;

/// What is in each directory, in the order of the names.
pub(crate) fn names<N>(entries: &BTreeMap<String, N>) -> BTreeMap<String, Vec<String>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut paths = entries.keys().peekable();
    while let Some(first) = paths.next() {
        let (dir, name) = split(first);
        let mut run = vec![name.to_owned()];
        // Most of a directory comes at once: it is looked for once for all of these.
        while let Some(next) = paths.next_if(|next| split(next).0 == dir) {
            run.push(split(next).1.to_owned());
        }
        match names.get_mut(dir) {
            Some(names) => names.append(&mut run),
            None => drop(names.insert(dir.to_owned(), run)),
        }
    }
    names.values_mut().for_each(|names| names.sort());
    names
}

/// Why a path is not there: it was left out, or the first directory of it that was.
pub(crate) fn left_out(all: &BTreeMap<String, &'static str>, path: &str) -> Option<&'static str> {
    let ends = path.match_indices('/').map(|(at, _)| at);
    let mut parts = ends.chain([path.len()]).filter_map(|end| path.get(..end));
    parts.find_map(|part| all.get(part).copied())
}

/// The directory of a path, and the name in it.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_directory_are_together_and_in_order_whatever_lies_between_their_paths() {
        let paths = ["a", "a/b", "a/b.txt", "a/b/c", "a/z", "top"];
        let entries: BTreeMap<String, ()> = paths.map(|path| (path.to_owned(), ())).into();
        let names = names(&entries);
        let of = |dir: &str| names.get(dir).map(|names| names.join(" "));
        assert_eq!(of("").as_deref(), Some("a top"));
        assert_eq!(of("a").as_deref(), Some("b b.txt z"));
        assert_eq!(of("a/b").as_deref(), Some("c"));
        assert_eq!(of("top"), None);
    }

    #[test]
    fn what_lies_in_something_that_is_left_out_is_left_out_for_the_same_reason() {
        let all: BTreeMap<String, &str> = [("a/link".to_owned(), "is a link")].into();
        for (path, want) in [
            ("a/link", Some("is a link")),
            ("a/link/below/it", Some("is a link")),
            ("a/links", None),
            ("a", None),
        ] {
            assert_eq!(left_out(&all, path), want, "{path}");
        }
    }
}
