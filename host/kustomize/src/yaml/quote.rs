//! How a text is written that kustomize sets in a field.
//!
//! What a reader of YAML 1.1 would take for anything but text is put in quotes, and quotes stay when a patch later writes a
//! number over it. What go-yaml quotes on its own, when it writes, is `yaml/emit.rs`.

use super::load::Reader;
use super::scalar::{Style, Tag, Typing, resolve};
use crate::budget::Budget;
use crate::options::Limits;

/// What a plain scalar cannot begin with without meaning more than itself.
const INDICATORS: &[char] = &[
    '-', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`',
];

impl Style {
    /// How `text` is written where nothing was.
    pub(crate) fn when_set(text: &str) -> Self {
        if is_more_than_text(text) {
            Self::Quoted
        } else {
            Self::Plain
        }
    }
}

/// Whether the text, read as YAML 1.1, is something else: a number, a list, nothing.
fn is_more_than_text(text: &str) -> bool {
    if text.is_empty() || text.contains('\n') {
        return false;
    }
    let trimmed = text.trim_matches(' ');
    if resolve(trimmed, Typing::Config) != Tag::Str {
        return true;
    }
    let harmless = !trimmed.starts_with(INDICATORS)
        && !trimmed.ends_with(':')
        && !trimmed.contains([':', '#', '\t']);
    if harmless {
        return false;
    }
    let budget = Budget::new(Limits::default());
    let reader = Reader {
        file: "",
        typing: Typing::Config,
        budget: &budget,
    };
    match reader.first(text.as_bytes(), None) {
        Ok(first) => first.is_none_or(|first| !first.node.is_text()),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_takes_for_something_else_is_quoted() {
        for text in [
            "5", "true ", "~", "a: b", "#c", "- a", "-", "?", "&a", "{}", "a:", "y", "1e3",
        ] {
            assert_eq!(Style::when_set(text), Style::Quoted, "{text}");
        }
        for text in [
            "",
            "x",
            "a #b",
            "[a",
            "*a",
            "@x",
            "'q'",
            "\"5\"",
            "1:30",
            "2026-01-02",
            "5\n",
            ":",
        ] {
            assert_eq!(Style::when_set(text), Style::Plain, "{text}");
        }
    }
}
