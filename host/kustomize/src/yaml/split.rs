//! Where the documents of a file begin.
//!
//! kustomize cuts a manifest at every line that begins with `---` before it reads any YAML, and of each piece it reads one
//! document: what follows a `...` is left. Kustomization files are not cut. What is in a piece is read by `yaml/load.rs`.

use std::borrow::Cow;

use crate::pointer;

/// A piece of a file.
pub(super) struct Part<'a> {
    pub(super) text: &'a str,
    /// How many lines lie before it.
    pub(super) above: usize,
}

impl<'a> Part<'a> {
    pub(super) fn whole(text: &'a str) -> Self {
        Self { text, above: 0 }
    }
}

/// A line, from 1, and what is wrong there.
type Wrong = (u32, String);

/// The text of a file, in UTF-8 or with a mark that it is in UTF-16, with the line breaks of Unix.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Wrong> {
    if pointer::is_one(bytes) {
        return Err((1, pointer::WHY.to_owned()));
    }
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes)?),
        [0xFE, 0xFF, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes)?),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Cow::Borrowed(utf8(rest)?),
        rest => Cow::Borrowed(utf8(rest)?),
    };
    if let Some((at, _)) = text.char_indices().find(|(_, c)| is_control(*c)) {
        let why = format!(
            "holds a control character at byte {at}: write it as an escape in double quotes"
        );
        return Err((line_of(text.as_bytes(), at), why));
    }
    Ok(match text.contains("\r\n") {
        true => Cow::Owned(text.replace("\r\n", "\n")),
        false => text,
    })
}

/// Whether a file is in UTF-16, where kustomize finds no line that begins with `---`.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..])
}

/// Cuts a manifest.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, Wrong> {
    let mut parts = Vec::new();
    let (mut rest, mut above) = (text, 0);
    while let Some((end, start)) = separator(rest) {
        let (piece, tail) = (rest.get(..end), rest.get(start..));
        let (Some(piece), Some(tail)) = (piece, tail) else {
            break;
        };
        let line = above + piece.matches('\n').count();
        let behind = rest.get(end + 3..start).unwrap_or_default().trim();
        if !behind.is_empty() && !behind.starts_with('#') {
            let why = "only a comment may follow --- on its line".to_owned();
            return Err((number(line + 1), why));
        }
        parts.push(Part {
            text: without_mark(piece),
            above,
        });
        (rest, above) = (tail, line + 1);
    }
    parts.push(Part {
        text: without_mark(rest),
        above,
    });
    Ok(parts)
}

/// Where the next line that begins with `---` stands, and the line after it. Neither the first line nor one without an end
/// is such a line.
fn separator(text: &str) -> Option<(usize, usize)> {
    let begin = text.find("\n---")? + 1;
    let length = text.get(begin..)?.find('\n')?;
    Some((begin, begin + length + 1))
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn utf8(bytes: &[u8]) -> Result<&str, Wrong> {
    std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        (line_of(bytes, at), format!("is not UTF-8 at byte {at}"))
    })
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Result<String, Wrong> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let text = String::from_utf16(&pairs.iter().copied().map(unit).collect::<Vec<_>>());
    match text {
        Ok(text) if odd.is_empty() => Ok(text),
        _ => Err((1, "begins as UTF-16 and is none".to_owned())),
    }
}

fn is_control(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        c => c < ' ' || ('\u{7f}'..'\u{a0}').contains(&c) || matches!(c, '\u{fffe}' | '\u{ffff}'),
    }
}

fn line_of(bytes: &[u8], at: usize) -> u32 {
    number(bytes.iter().take(at).filter(|b| **b == b'\n').count() + 1)
}

fn number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(&str, usize)> {
        let parts = parts(text).unwrap();
        parts.iter().map(|part| (part.text, part.above)).collect()
    }

    #[test]
    fn a_manifest_is_cut_at_lines_that_begin_with_three_dashes() {
        assert_eq!(cut("a\n---\nb\n"), [("a\n", 0), ("b\n", 2)]);
        assert_eq!(
            cut("---\na\n--- # c\n\u{feff}b"),
            [("---\na\n", 0), ("b", 3)]
        );
        // The line break between two such lines is one of them's, and the last line has none.
        assert_eq!(cut("a\n---\n---\nb\n---"), [("a\n", 0), ("---\nb\n---", 2)]);
        assert!(parts("a\n---b\n").is_err());
    }

    #[test]
    fn a_file_may_be_in_utf_16_and_have_the_line_breaks_of_windows() {
        let units = "\u{feff}a\r\nb😀".encode_utf16();
        let little: Vec<u8> = units.clone().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();
        for bytes in [little, big] {
            assert_eq!(text(&bytes).unwrap(), "a\nb😀");
        }
        assert!(text(&[0xFF, 0xFE, 0x00]).is_err());
    }
}
