//! Every field of kustomize has a case: `fields.txt` says which, and is held against the folders and against our reader.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::folders;

const LIST: &str = include_str!("fields.txt");

/// How the reader takes a field by its name.
const TAKEN_BY: [&str; 10] = [
    "take(", "skip(", "text(", "texts(", "entry(", "list(", "pairs(", "flag(", "integer(",
    "refuse(",
];

#[test]
fn every_field_of_kustomize_has_a_case() {
    let folders = folders();
    for (field, case) in listed() {
        let folder = folders.iter().find(|folder| folder.ends_with(case));
        let folder = folder.unwrap_or_else(|| panic!("{field}: there is no case {case}"));
        let text = text_below(&folder.join("in"));
        for word in words(field) {
            assert!(holds(&text, word), "{field}: {case} does not use {word}");
        }
    }
}

#[test]
fn every_field_that_is_read_is_in_the_list() {
    let listed: BTreeSet<&str> = listed().flat_map(|(field, _)| words(field)).collect();
    let source = reeve_tests::root().join("host/kustomize/src");
    let text = fs::read_to_string(source.join("file.rs")).expect("the schema is there");
    let text = text + &text_below(&source.join("file"));
    let mut found = 0;
    for name in TAKEN_BY.iter().flat_map(|taken_by| names(&text, taken_by)) {
        assert!(
            listed.contains(name),
            "{name} is read, and not in tests/oracle/fields.txt"
        );
        found += 1;
    }
    assert!(found > 80, "only {found} names were found in the source");
}

/// A field and its case.
fn listed() -> impl Iterator<Item = (&'static str, &'static str)> {
    LIST.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(' ').expect("a field and a case"))
        .map(|(field, case)| (field, case.trim()))
}

fn words(field: &str) -> impl Iterator<Item = &str> {
    field.split(['.', '='])
}

/// Whether the word stands in the text on its own.
fn holds(text: &str, word: &str) -> bool {
    let ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let after = rest.strip_prefix(word).unwrap_or_default();
        before.ends_with(ends) | before.is_empty() && (after.starts_with(ends) | after.is_empty())
    })
}

/// The quoted names right behind `taken_by`.
fn names<'a>(text: &'a str, taken_by: &str) -> Vec<&'a str> {
    let before = format!(".{taken_by}\"");
    let behind = text.split(before.as_str()).skip(1);
    let named = behind.filter_map(|rest| rest.split_once('"'));
    named.map(|(name, _)| name).collect()
}

fn text_below(dir: &Path) -> String {
    let entries = fs::read_dir(dir).expect("the folder is there");
    let mut text = String::new();
    for path in entries.map(|entry| entry.expect("it is readable").path()) {
        if path.is_dir() {
            text += &text_below(&path);
        } else {
            text += &String::from_utf8_lossy(&fs::read(&path).expect("it is readable"));
        }
        text.push('\n');
    }
    text
}
