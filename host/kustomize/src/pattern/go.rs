//! Regular expressions as Go reads them, in the words of the engine here.
//!
//! Go takes a brace that counts nothing for a brace (`${NAME}`), knows `\Q…\E` and no sets within sets, and `\d`, `\s` and
//! `\w` mean ASCII. What is no expression stays none.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// No `:name:]` is longer.
const LONGEST_NAME: usize = 16;

/// The expression `text` in the syntax of the `regex` crate.
pub(super) fn translated(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut chars, &mut out, Within::Text),
            '{' if !counts(chars.clone()) => out.push_str("\\{"),
            '[' => class(&mut chars, &mut out),
            c => out.push(c),
        }
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Text,
    Class,
}

/// Whether what follows an open brace is `2}`, `2,}` or `2,3}`.
fn counts(mut chars: Peekable<Chars<'_>>) -> bool {
    let mut digits = 0;
    let mut commas = 0;
    loop {
        match chars.next() {
            Some(c) if c.is_ascii_digit() => digits += 1,
            Some(',') if commas == 0 && digits > 0 => commas += 1,
            Some('}') => return digits > 0,
            _ => return false,
        }
    }
}

/// What stands behind a backslash.
fn escape(chars: &mut Peekable<Chars<'_>>, out: &mut String, within: Within) {
    let Some(c) = chars.next() else {
        out.push('\\');
        return;
    };
    let set = match c {
        'd' | 'D' => "0-9",
        's' | 'S' => r"\t\n\f\r\x20",
        'w' | 'W' => "0-9A-Za-z_",
        'Q' if within == Within::Text => return quoted(chars, out),
        '<' | '>' => {
            out.push(c);
            return;
        }
        'b' if within == Within::Text => {
            out.push_str(r"(?-u:\b)");
            return;
        }
        c => {
            out.extend(['\\', c]);
            return;
        }
    };
    // Writing to a string cannot fail.
    let _ = match (c.is_uppercase(), within) {
        (true, _) => write!(out, "[^{set}]"),
        (false, Within::Text) => write!(out, "[{set}]"),
        (false, Within::Class) => write!(out, "{set}"),
    };
}

/// Text up to `\E` or the end, which means itself.
fn quoted(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    while let Some(c) = chars.next() {
        if c == '\\' && chars.peek() == Some(&'E') {
            chars.next();
            return;
        }
        out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }
}

/// A set of characters, behind its bracket.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    if chars.peek() == Some(&'^') {
        chars.next();
        out.push('^');
    }
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            ']' if !first => {
                out.push(']');
                return;
            }
            '\\' => escape(chars, out, Within::Class),
            '[' if chars.peek() == Some(&':') => named(chars, out),
            '[' | ']' | '&' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
        first = false;
    }
}

/// `[:alpha:]`, or a bracket that means itself.
fn named(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    let rest: String = chars.clone().take(LONGEST_NAME).collect();
    match rest.split_once(":]") {
        Some((name, _)) if !name.contains(']') => {
            let length = name.chars().count() + 2;
            out.push('[');
            out.extend(chars.by_ref().take(length));
        }
        _ => out.push_str("\\["),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    #[test]
    fn expressions_mean_what_they_mean_in_go() {
        for (pattern, fits, not) in [
            (r"^\${CLUSTER}-a$", "${CLUSTER}-a", "CLUSTER-a"),
            (r"^a{2}b{1,2}c{,2}$", "aabbc{,2}", "aabbcc"),
            (r"^x{y}$", "x{y}", "xy"),
            (r"^\Qa.b\E.$", "a.bc", "axbc"),
            (r"^[[a]]$", "[]", "a"),
            (r"^[a&&b]+$", "&ab", "c"),
            (r"^[[:digit:]_]+$", "1_2", "a"),
            (r"^[]a]+$", "]a", "b"),
            (r"^\d[\w-]\S$", "1-x", "\u{661}-x"),
            (r"^\<a\>$", "<a>", "a"),
            (r"^(a|b.*)$", "bcd", "cd"),
        ] {
            let regex = Regex::new(&translated(pattern)).unwrap();
            assert!(regex.is_match(fits), "{pattern}");
            assert!(!regex.is_match(not), "{pattern}");
        }
    }
}
