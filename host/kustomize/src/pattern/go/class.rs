//! Sets of characters in brackets.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::{Rest, escape};

/// The classes that have a name between colons.
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];
/// `^xdigit:]` is no longer.
const LONGEST_NAME: usize = 16;
/// Codes that no text holds.
const SURROGATES: RangeInclusive<u32> = 0xd800..=0xdfff;

/// What fits nothing.
pub(super) fn never(out: &mut String) {
    out.push_str(r"[^\x00-\x{10ffff}]");
}

/// A set, behind its bracket. Nothing if it is none.
pub(super) fn class(rest: &mut Rest<'_>, out: &mut String, no_names: &mut bool) -> Option<()> {
    let not = rest.next_if_eq(&'^').is_some();
    let mut items = String::new();
    let mut first = true;
    loop {
        match rest.next()? {
            ']' if !first => break,
            '[' if rest.peek() == Some(&':') && named(rest, &mut items, no_names)? => {}
            '\\' => match escape::set(rest)? {
                Some(set) => set.write(&mut items),
                None => {
                    let from = escape::code(rest)?;
                    range(from, rest, &mut items)?;
                }
            },
            c => range(u32::from(c), rest, &mut items)?,
        }
        first = false;
    }
    // Only codes that no text holds: an empty set, which cannot be written.
    match (items.is_empty(), not) {
        (true, false) => never(out),
        (true, true) => out.push_str(r"[\x00-\x{10ffff}]"),
        (false, _) => {
            out.push('[');
            out.push_str(if not { "^" } else { "" });
            out.push_str(&items);
            out.push(']');
        }
    }
    Some(())
}

/// A character or a range that begins with it. A dash before the closing bracket is a dash.
fn range(from: u32, rest: &mut Rest<'_>, out: &mut String) -> Option<()> {
    let mut ahead = rest.clone();
    let dash = ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']');
    let to = if dash {
        *rest = ahead;
        match rest.next()? {
            '\\' => escape::code(rest)?,
            c => u32::from(c),
        }
    } else {
        from
    };
    if to < from {
        return None;
    }
    let outside = |code: u32, instead: u32| match SURROGATES.contains(&code) {
        true => instead,
        false => code,
    };
    let (from, to) = (
        outside(from, SURROGATES.end() + 1),
        outside(to, SURROGATES.start() - 1),
    );
    if from <= to {
        // Writing to a string cannot fail.
        let _ = write!(out, "\\x{{{from:x}}}-\\x{{{to:x}}}");
    }
    Some(())
}

/// `[:alpha:]` or `[:^alpha:]`, behind its bracket; without its end the bracket means itself.
fn named(rest: &mut Rest<'_>, out: &mut String, no_names: &mut bool) -> Option<bool> {
    let text: String = rest.clone().skip(1).take(LONGEST_NAME).collect();
    let Some((name, _)) = text.split_once(":]") else {
        // An end further on makes it a name that is none. Looked for once: what has none now has none later.
        let mut pairs = rest.clone().zip(rest.clone().skip(1));
        *no_names = *no_names || !pairs.any(|pair| pair == (':', ']'));
        return no_names.then_some(false);
    };
    let known = name.strip_prefix('^').unwrap_or(name);
    NAMED.contains(&known).then_some(())?;
    // Writing to a string cannot fail.
    let _ = write!(out, "[:{name}:]");
    let length = name.chars().count() + 3;
    rest.by_ref().take(length).for_each(drop);
    Some(true)
}
