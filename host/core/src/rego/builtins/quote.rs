//! Texts in quotes as Go writes them (`strconv.Quote`), and so OPA.
//!
//! It deliberately keeps no table of what can be printed: that is a property of characters which patterns know, a Unicode
//! version younger than Go's.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

static PRINTED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$")
        .expect("because it is written here, and is a pattern")
});

/// A text between two `mark`s, in ASCII alone where that is asked for.
pub(super) fn quoted(text: &str, mark: char, in_ascii: bool) -> String {
    let mut made = String::with_capacity(text.len() + 2);
    made.push(mark);
    for c in text.chars() {
        let short = match c {
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\u{C}' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\u{B}' => 'v',
            '\\' => '\\',
            c if c == mark => mark,
            c if is_printed(c) && (c.is_ascii() || !in_ascii) => {
                made.push(c);
                continue;
            }
            c => {
                let code = u32::from(c);
                let written = match code {
                    ..0x80 => write!(made, "\\x{code:02x}"),
                    0x80..0x1_0000 => write!(made, "\\u{code:04x}"),
                    0x1_0000.. => write!(made, "\\U{code:08x}"),
                };
                written.expect("because a text takes what is written to it");
                continue;
            }
        };
        made.push('\\');
        made.push(short);
    }
    made.push(mark);
    made
}

/// Whether a character is shown as itself.
pub(super) fn is_printed(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_ascii() => false,
        c => PRINTED.is_match(c.encode_utf8(&mut [0; 4])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_shown_is_escaped_as_by_go() {
        assert_eq!(quoted("a\"'\\é\n\u{7}", '"', false), r#""a\"'\\é\n\a""#);
        assert_eq!(
            quoted("\u{7f}\0\u{a0}\u{ad}", '"', false),
            r#""\x7f\x00\u00a0\u00ad""#
        );
        assert_eq!(
            quoted("é\u{1f600}\u{e0001}", '"', true),
            r#""\u00e9\U0001f600\U000e0001""#
        );
        assert_eq!(quoted("'\"\u{1f600}", '\'', false), "'\\'\"\u{1f600}'");
    }
}
