//! What a class of characters is in Go's patterns: in brackets, behind a backslash, by a name.
//!
//! Each is written with its ranges, so that nothing in it means anything to Rust. Names are those that Go knows, which are
//! fewer than Rust's. It deliberately holds no table of characters: which ones have a name is Rust's, whose Unicode is a
//! version younger than Go's.

use super::syntax::{Fault, literal};

/// The names of ASCII's classes, and what is in them as Rust has it in brackets.
const ASCII: [(&str, &str); 14] = [
    ("alnum", "0-9A-Za-z"),
    ("alpha", "A-Za-z"),
    ("ascii", "\\x{0}-\\x{7F}"),
    ("blank", "\\t\\x{20}"),
    ("cntrl", "\\x{0}-\\x{1F}\\x{7F}"),
    ("digit", "0-9"),
    ("graph", "\\x{21}-\\x{7E}"),
    ("lower", "a-z"),
    ("print", "\\x{20}-\\x{7E}"),
    (
        "punct",
        "\\x{21}-\\x{2F}\\x{3A}-\\x{40}\\x{5B}-\\x{60}\\x{7B}-\\x{7E}",
    ),
    ("space", "\\x{9}-\\x{D}\\x{20}"),
    ("upper", "A-Z"),
    ("word", "0-9A-Za-z_"),
    ("xdigit", "0-9A-Fa-f"),
];

/// All characters.
const ALL: &str = "\\x{0}-\\x{10FFFF}";

/// `\d`, `\s` and `\w`.
const PERL: [(char, &str); 3] = [
    ('d', "0-9"),
    ('s', "\\t\\n\\x{C}\\r\\x{20}"),
    ('w', "0-9A-Za-z_"),
];

/// Names of general categories, in small letters.
const CATEGORIES: &str = "\
    c cc cf cn co cs l lc ll lm lo lt lu m mc me mn n nd nl no p pc pd pe pf pi po ps s sc sk sm \
    so z zl zp zs casedletter closepunctuation combiningmark connectorpunctuation control \
    currencysymbol dashpunctuation decimalnumber enclosingmark finalpunctuation format \
    initialpunctuation letter letternumber lineseparator lowercaseletter mark mathsymbol \
    modifierletter modifiersymbol nonspacingmark number openpunctuation other otherletter \
    othernumber otherpunctuation othersymbol paragraphseparator privateuse punctuation separator \
    spaceseparator spacingmark surrogate symbol titlecaseletter unassigned uppercaseletter cntrl \
    digit punct";

/// The scripts that Go finds, in small letters: no name of several words is among them.
const SCRIPTS: &str = "\
    adlam ahom arabic armenian avestan balinese bamum batak bengali bhaiksuki bopomofo brahmi \
    braille buginese buhid carian chakma cham cherokee chorasmian common coptic cuneiform \
    cypriot cyrillic deseret devanagari dogra duployan elbasan elymaic ethiopic georgian \
    glagolitic gothic grantha greek gujarati gurmukhi han hangul hanunoo hatran hebrew hiragana \
    inherited javanese kaithi kannada katakana kawi kharoshthi khmer khojki khudawadi lao latin \
    lepcha limbu lisu lycian lydian mahajani makasar malayalam mandaic manichaean marchen \
    medefaidrin miao modi mongolian mro multani myanmar nabataean nandinagari newa nko nushu \
    ogham oriya osage osmanya palmyrene phoenician rejang runic samaritan saurashtra sharada \
    shavian siddham sinhala sogdian soyombo sundanese syriac tagalog tagbanwa takri tamil tangsa \
    tangut telugu thaana thai tibetan tifinagh tirhuta toto ugaritic vai vithkuqi wancho yezidi \
    yi";

/// A class in brackets at the beginning of a text, and what is behind it.
pub(super) fn bracketed(text: &str) -> Result<(String, &str), Fault> {
    let mut rest = text.strip_prefix('[').ok_or(Fault::Invalid)?;
    let mut class = String::from("[");
    if let Some(after) = rest.strip_prefix('^') {
        rest = after;
        class.push('^');
    }
    let mut is_first = true;
    while is_first || !rest.starts_with(']') {
        is_first = false;
        if let Some((inner, after)) = named(rest)? {
            class.push_str(&inner);
            rest = after;
        } else if let Some((inner, after)) = escaped(rest)? {
            class.push_str(&inner);
            rest = after;
        } else {
            let (from, after) = character(rest)?;
            let upwards = after.strip_prefix('-');
            let upwards = upwards.filter(|to| !to.is_empty() && !to.starts_with(']'));
            let (to, after) = upwards.map_or(Ok((from, after)), character)?;
            if to < from {
                return Err(Fault::Invalid);
            }
            class.push_str(&literal(from));
            class.push('-');
            class.push_str(&literal(to));
            rest = after;
        }
    }
    class.push(']');
    Ok((class, rest.strip_prefix(']').unwrap_or(rest)))
}

/// `\d`, `\pL` and their like at the beginning of a text, as a class in brackets.
pub(super) fn escaped(text: &str) -> Result<Option<(String, &str)>, Fault> {
    let mut chars = text.chars();
    let (Some('\\'), Some(kind)) = (chars.next(), chars.next()) else {
        return Ok(None);
    };
    let rest = chars.as_str();
    if let 'p' | 'P' = kind {
        return unicode(rest, kind == 'P').map(Some);
    }
    let known = PERL
        .iter()
        .find(|(name, _)| *name == kind.to_ascii_lowercase());
    Ok(known.map(|(_, ranges)| (ranged(ranges, kind.is_ascii_uppercase()), rest)))
}

/// One character at the beginning of a text, which may be written behind a backslash.
pub(super) fn character(text: &str) -> Result<(char, &str), Fault> {
    let mut chars = text.chars();
    let first = chars.next().ok_or(Fault::Invalid)?;
    if first != '\\' {
        return Ok((first, chars.as_str()));
    }
    let kind = chars.next().ok_or(Fault::Invalid)?;
    let rest = chars.as_str();
    let plain = |c| Ok((c, rest));
    match kind {
        'a' => plain('\u{7}'),
        'f' => plain('\u{C}'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\u{B}'),
        'x' => hexadecimal(rest),
        '0' => octal(kind, rest),
        // One digit is what another group matched, which Go has not.
        '1'..='7' if rest.starts_with(|c| ('0'..='7').contains(&c)) => octal(kind, rest),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => plain(c),
        _ => Err(Fault::Invalid),
    }
}

fn ranged(ranges: &str, is_negated: bool) -> String {
    let negation = if is_negated { "^" } else { "" };
    format!("[{negation}{ranges}]")
}

/// `[:alpha:]` at the beginning of a text.
fn named(text: &str) -> Result<Option<(String, &str)>, Fault> {
    let name = text
        .strip_prefix("[:")
        .and_then(|rest| rest.split_once(":]"));
    let Some((name, rest)) = name else {
        return Ok(None);
    };
    let plain = name.strip_prefix('^');
    let known = ASCII
        .iter()
        .find(|(known, _)| *known == plain.unwrap_or(name));
    let (_, ranges) = known.ok_or(Fault::Invalid)?;
    Ok(Some((ranged(ranges, plain.is_some()), rest)))
}

/// What stands behind `\p` or `\P`.
fn unicode(text: &str, is_negated: bool) -> Result<(String, &str), Fault> {
    let (name, rest) = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or(Fault::Invalid)?,
        None => {
            let first = text.chars().next().ok_or(Fault::Invalid)?;
            text.split_at_checked(first.len_utf8())
                .ok_or(Fault::Invalid)?
        }
    };
    let plain = name.strip_prefix('^');
    let is_negated = is_negated != plain.is_some();
    let name: String = plain
        .unwrap_or(name)
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let among = |names: &str| names.split_whitespace().any(|known| known == name);
    let class = match name.as_str() {
        "any" => ranged(ALL, is_negated),
        "ascii" => ranged("\\x{0}-\\x{7F}", is_negated),
        "assigned" => by_name("gc=cn", !is_negated),
        // No text holds half of a surrogate pair.
        "cs" | "surrogate" => ranged(ALL, !is_negated),
        name if among(CATEGORIES) => by_name(&format!("gc={name}"), is_negated),
        name if among(SCRIPTS) => by_name(&format!("sc={name}"), is_negated),
        _ => return Err(Fault::Invalid),
    };
    Ok((class, rest))
}

fn by_name(name: &str, is_negated: bool) -> String {
    let sign = if is_negated { 'P' } else { 'p' };
    format!("\\{sign}{{{name}}}")
}

/// What stands behind `\x`: two digits, or more of them in braces.
fn hexadecimal(text: &str) -> Result<(char, &str), Fault> {
    let (digits, rest) = match text.strip_prefix('{') {
        Some(braced) => braced.split_once('}'),
        None => text.split_at_checked(2),
    }
    .ok_or(Fault::Invalid)?;
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(Fault::Invalid);
    }
    let number = u32::from_str_radix(digits.trim_start_matches('0'), 16);
    let number = if digits.bytes().all(|digit| digit == b'0') {
        Ok(0)
    } else {
        number
    };
    match number {
        Ok(number) if number <= u32::from(char::MAX) => Ok((scalar(number)?, rest)),
        _ => Err(Fault::Invalid),
    }
}

/// Up to three octal digits, of which `first` is one.
fn octal(first: char, text: &str) -> Result<(char, &str), Fault> {
    let mut number = first.to_digit(8).unwrap_or(0);
    let mut rest = text;
    for _ in 0..2 {
        let mut chars = rest.chars();
        let Some(digit) = chars.next().and_then(|c| c.to_digit(8)) else {
            break;
        };
        number = number * 8 + digit;
        rest = chars.as_str();
    }
    Ok((scalar(number)?, rest))
}

fn scalar(number: u32) -> Result<char, Fault> {
    let half = Fault::Undone("a pattern with half of a surrogate pair");
    char::from_u32(number).ok_or(half)
}
