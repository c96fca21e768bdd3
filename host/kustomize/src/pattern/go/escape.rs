//! What stands behind a backslash.

use std::fmt::Write as _;

use super::Rest;
use super::class::never;

/// What is no letter of its own: sets of characters.
pub(super) enum Set {
    /// Of these ranges, in brackets.
    Of(&'static str, bool),
    /// Of a class of Unicode.
    Class(String),
}

impl Set {
    /// As an item of a set, or alone.
    pub(super) fn write(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Of(ranges, true) => write!(out, "[{ranges}]"),
            Self::Of(ranges, false) => write!(out, "[^{ranges}]"),
            Self::Class(class) => write!(out, "{class}"),
        };
    }
}

/// An escape outside of a set, behind its backslash. Nothing if it is none.
pub(super) fn escape(rest: &mut Rest<'_>, out: &mut String) -> Option<()> {
    match rest.peek()? {
        c @ ('A' | 'z' | 'B') => {
            out.extend(['\\', *c]);
            rest.next();
        }
        'b' => {
            out.push_str(r"(?-u:\b)");
            rest.next();
        }
        'Q' => {
            rest.next();
            quoted(rest, out);
        }
        _ => match set(rest)? {
            Some(set) => set.write(out),
            None => match char::from_u32(code(rest)?) {
                Some(c) => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
                None => never(out),
            },
        },
    }
    Some(())
}

/// Text up to `\E` or the end, which means itself.
fn quoted(rest: &mut Rest<'_>, out: &mut String) {
    while let Some(c) = rest.next() {
        if c == '\\' && rest.peek() == Some(&'E') {
            rest.next();
            return;
        }
        out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }
}

/// A set of characters, if the letter behind the backslash means one.
pub(super) fn set(rest: &mut Rest<'_>) -> Option<Option<Set>> {
    let letter = *rest.peek()?;
    let ranges = match letter {
        'd' | 'D' => "0-9",
        's' | 'S' => r"\t\n\f\r\x20",
        'w' | 'W' => "0-9A-Za-z_",
        'p' | 'P' => {
            rest.next();
            return class(rest, letter == 'P').map(Some);
        }
        _ => return Some(None),
    };
    rest.next();
    Some(Some(Set::Of(ranges, letter.is_ascii_lowercase())))
}

/// A class of Unicode: `\pN`, `\p{Greek}`, `\p{^Lu}`.
fn class(rest: &mut Rest<'_>, mut not: bool) -> Option<Set> {
    let name = match rest.next()? {
        '{' => {
            let mut name = String::new();
            loop {
                match rest.next()? {
                    '}' => break name,
                    c => name.push(c),
                }
            }
        }
        c => c.to_string(),
    };
    let name = match name.strip_prefix('^') {
        Some(name) => {
            not = !not;
            name
        }
        None => &name,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || " _-".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    // Case and what stands between words make no difference, to Go and to the engine here.
    let known: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let kind = match known.as_str() {
        "any" | "ascii" | "assigned" => "",
        known if CATEGORIES.contains(&known) => "gc=",
        _ => "sc=",
    };
    let letter = if not { 'P' } else { 'p' };
    Some(Set::Class(format!("\\{letter}{{{kind}{known}}}")))
}

/// The general categories and their longer names. Everything else is a script.
const CATEGORIES: [&str; 77] = [
    "c",
    "cc",
    "cf",
    "cn",
    "co",
    "cs",
    "l",
    "lc",
    "ll",
    "lm",
    "lo",
    "lt",
    "lu",
    "m",
    "mc",
    "me",
    "mn",
    "n",
    "nd",
    "nl",
    "no",
    "p",
    "pc",
    "pd",
    "pe",
    "pf",
    "pi",
    "po",
    "ps",
    "s",
    "sc",
    "sk",
    "sm",
    "so",
    "z",
    "zl",
    "zp",
    "zs",
    "other",
    "control",
    "cntrl",
    "format",
    "unassigned",
    "privateuse",
    "surrogate",
    "letter",
    "casedletter",
    "lowercaseletter",
    "modifierletter",
    "otherletter",
    "titlecaseletter",
    "uppercaseletter",
    "mark",
    "combiningmark",
    "spacingmark",
    "enclosingmark",
    "nonspacingmark",
    "number",
    "decimalnumber",
    "digit",
    "letternumber",
    "othernumber",
    "punctuation",
    "punct",
    "connectorpunctuation",
    "dashpunctuation",
    "closepunctuation",
    "finalpunctuation",
    "initialpunctuation",
    "otherpunctuation",
    "openpunctuation",
    "symbol",
    "currencysymbol",
    "modifiersymbol",
    "mathsymbol",
    "othersymbol",
    "separator",
];

/// The character that an escape stands for: octal, hexadecimal, a control character, or itself.
pub(super) fn code(rest: &mut Rest<'_>) -> Option<u32> {
    let c = rest.next()?;
    match c {
        '1'..='7' if !rest.peek().is_some_and(|c| c.is_digit(8)) => None,
        '0'..='7' => {
            let mut code = c.to_digit(8)?;
            for _ in 0..2 {
                let Some(digit) = rest.next_if(|c| c.is_digit(8)) else {
                    break;
                };
                code = code * 8 + digit.to_digit(8)?;
            }
            Some(code)
        }
        'x' => hexadecimal(rest),
        'a' => Some(7),
        'f' => Some(12),
        't' => Some(u32::from('\t')),
        'n' => Some(u32::from('\n')),
        'r' => Some(u32::from('\r')),
        'v' => Some(11),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
        _ => None,
    }
}

/// `41` or `{1F600}`.
fn hexadecimal(rest: &mut Rest<'_>) -> Option<u32> {
    if rest.next_if_eq(&'{').is_none() {
        let digits = [rest.next()?.to_digit(16)?, rest.next()?.to_digit(16)?];
        return Some(digits.iter().fold(0, |code, digit| code * 16 + digit));
    }
    let mut code = None;
    loop {
        match rest.next()? {
            '}' => return code,
            c => {
                let so_far: u32 = code.unwrap_or_default() * 16 + c.to_digit(16)?;
                code = (so_far <= u32::from(char::MAX)).then_some(so_far);
                code?;
            }
        }
    }
}
