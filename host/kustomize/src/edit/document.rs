//! Edits of any YAML file: one of its documents gets another value, and everything else stays as it was written.
//!
//! The text is changed by `edit/write.rs` where the values differ. Then it is read again: the document must mean what was
//! asked for and all others what they meant. One thing is left to the caller, who knows what the file is for: where an
//! alias stands for a value that was changed, it now stands for the new one.

use std::ops::Range;

use serde_json::Value;

use super::ways;
use super::write::Writer;
use crate::error::{Error, Place, Why};
use crate::yaml::{Layout, Shape};

/// A document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it stands, in bytes.
    pub at: Range<usize>,
    /// What it means; null for an empty one.
    pub value: Value,
}

/// The documents of a file of manifests or patches, empty ones included. `file` is for the error's place only.
pub fn documents(bytes: &[u8], file: &str) -> Result<Vec<Document>, Error> {
    let text = text(bytes, file)?;
    let read = |at: Range<usize>| {
        let piece = text.get(at.clone()).unwrap_or_default();
        let mut values = crate::parse_yaml(piece.as_bytes(), file)
            // Of the whole file, so that the line is right.
            .map_err(|error| crate::parse_yaml(bytes, file).err().unwrap_or(error))?;
        let value = values.pop().unwrap_or_default();
        Ok(Document { at, value })
    };
    pieces(text).into_iter().map(read).collect()
}

/// The file with the value `new` for its document of that number. `file` is for the error's place only.
pub fn rewrite(bytes: &[u8], file: &str, number: usize, new: &Value) -> Result<Vec<u8>, Error> {
    let before = documents(bytes, file)?;
    let text = text(bytes, file)?;
    let Some(document) = before.get(number) else {
        return Err(Error::invalid(file, "has no such document"));
    };
    let piece = text.get(document.at.clone()).unwrap_or_default();
    let root = Layout::read(piece);
    let mut ways = ways(piece, root.as_ref());
    ways.overrides = true;
    ways.windows = text.contains("\r\n");
    let written = Writer::new(piece, ways).rewrite(root.as_ref(), &document.value, new);
    let written = written.map_err(|refused| {
        let place = Place {
            file: file.to_owned(),
            field: (!refused.field.is_empty()).then_some(refused.field),
            ..Place::default()
        };
        Error::in_place(&place, Why::Invalid(refused.why.to_owned()))
    })?;
    let ahead = text.get(..document.at.start).unwrap_or_default();
    let behind = text.get(document.at.end..).unwrap_or_default();
    let out = format!("{ahead}{written}{behind}").into_bytes();
    let aliased = root.as_ref().is_some_and(has_alias);
    if !is_meant(&before, number, new, aliased, &out, file) {
        let why = "is written in a way that cannot be edited safely";
        return Err(Error::invalid(file, why));
    }
    Ok(out)
}

/// Whether the new text means what was asked for.
fn is_meant(
    before: &[Document],
    number: usize,
    new: &Value,
    aliased: bool,
    out: &[u8],
    file: &str,
) -> bool {
    let Ok(after) = documents(out, file) else {
        return false;
    };
    let fits = |(index, (before, after)): (usize, (&Document, &Document))| match index == number {
        true => aliased || after.value == *new,
        false => before.value == after.value,
    };
    before.len() == after.len() && before.iter().zip(&after).enumerate().all(fits)
}

fn has_alias(layout: &Layout) -> bool {
    match &layout.shape {
        Shape::Alias => true,
        Shape::Seq { items, .. } => items.iter().any(has_alias),
        Shape::Map { entries, .. } => entries.iter().any(|entry| has_alias(&entry.value)),
        _ => false,
    }
}

fn text<'a>(bytes: &'a [u8], file: &str) -> Result<&'a str, Error> {
    let why = "is not UTF-8";
    std::str::from_utf8(bytes).map_err(|_| Error::invalid(file, why))
}

/// Where the documents stand: the text is cut as `yaml/split.rs` cuts it, in its own bytes.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while let Some(rest) = text.get(start..)
        && let Some(found) = rest.find("\n---")
        && let Some(behind) = rest.get(found + 1..)
        && let Some(length) = behind.find('\n')
    {
        let end = start + found + 1;
        pieces.push(without_mark(text, start..end));
        start = end + length + 1;
    }
    pieces.push(without_mark(text, start..text.len()));
    pieces
}

fn without_mark(text: &str, at: Range<usize>) -> Range<usize> {
    let piece = text.get(at.clone()).unwrap_or_default();
    let start = if piece.starts_with('\u{feff}') {
        at.start + '\u{feff}'.len_utf8()
    } else {
        at.start
    };
    start..at.end
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What becomes of `text` when the value at the pointer of its document of that number is another.
    fn set(text: &str, number: usize, pointer: &str, new: Value) -> Result<String, Error> {
        let mut value = documents(text.as_bytes(), "f.yaml")?.remove(number).value;
        *value.pointer_mut(pointer).unwrap() = new;
        let out = rewrite(text.as_bytes(), "f.yaml", number, &value)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_not_meant_stays_as_it_was_written() {
        for (text, number, pointer, new, want) in [
            (
                "# c\n---\na: 1 # one\n",
                1,
                "/a",
                json!(2),
                "# c\n---\na: 2 # one\n",
            ),
            (
                "a: 'x' # c\r\nb: 1\r\n",
                0,
                "/a",
                json!("it's"),
                "a: 'it''s' # c\r\nb: 1\r\n",
            ),
            (
                "a: \"x\\ty\"\n",
                0,
                "/a",
                json!("x\ty\"z"),
                "a: \"x\\ty\\\"z\"\n",
            ),
            ("a: &n 1\nb: 2\n", 0, "/a", json!(3), "a: &n 3\nb: 2\n"),
            ("a: &n 1\nb: *n\n", 0, "/b", json!(3), "a: &n 1\nb: 3\n"),
            ("a: !!str 1\n", 0, "/a", json!("2"), "a: !!str \"2\"\n"),
            (
                "- {op: add, path: /a, value: 1}\n",
                0,
                "/0/value",
                json!(2),
                "- {op: add, path: /a, value: 2}\n",
            ),
            (
                "{\"a\": [1, 2]}\n",
                0,
                "/a",
                json!([1, 2, 3]),
                "{\"a\": [1, 2, 3]}\n",
            ),
        ] {
            assert_eq!(set(text, number, pointer, new).unwrap(), want, "{text:?}");
        }
    }

    #[test]
    fn lines_of_a_block_come_and_go() {
        for (text, new, want) in [
            (
                "a: |\n  x\n   \n  y\nb: 1\n",
                "x\n \nz\n",
                "a: |\n  x\n   \n  z\nb: 1\n",
            ),
            (
                "a: |- # c\n  x\n  y\n",
                "x\nw\ny",
                "a: |- # c\n  x\n  w\n  y\n",
            ),
            ("a: |\n    x\n", "x", "a: |-\n    x\n"),
            ("a: >\n  x\n  y\n", "x y z\n", "a: |\n  x y z\n"),
            ("a: |2\n   x\n", "  y\n", "a: |2\n    y\n"),
            ("a: |+\n  x\n\nb: 1\n", "y\n\n", "a: |+\n  y\n\nb: 1\n"),
            ("a: |\r\n  x\r\n  y\r\n", "x\nz\n", "a: |\r\n  x\r\n  z\r\n"),
            // What no block can hold.
            ("a: |\n  x\n", " y\n", "a: |2\n   y\n"),
        ] {
            assert_eq!(set(text, 0, "/a", json!(new)).unwrap(), want, "{text:?}");
        }
    }

    #[test]
    fn what_is_merged_is_written_over() {
        let text = "d: &d {x: 1, y: 2}\nm:\n  <<: *d\n  z: 3\n";
        let want = "d: &d {x: 1, y: 2}\nm:\n  <<: *d\n  z: 3\n  x: 5\n";
        assert_eq!(set(text, 0, "/m/x", json!(5)).unwrap(), want);
    }

    #[test]
    fn what_is_not_utf8_or_would_lose_a_comment_is_refused() {
        assert!(rewrite(&[0xFF, 0xFE, b'a', 0], "f.yaml", 0, &json!({})).is_err());
        let text = "a: [1, # one\n  2]\nb: 1\n";
        assert!(set(text, 0, "/a", json!("x")).is_err());
        assert!(rewrite(b"a: 1\n", "f.yaml", 1, &json!({})).is_err());
    }
}
