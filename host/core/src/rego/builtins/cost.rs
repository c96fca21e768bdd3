//! What a call may take, said before it is made: about the bytes of what it makes, and of what it looks through.
//!
//! A text counts its bytes, a value in a collection 32 more, a text in a list that is made 80. Where a result may be a
//! product of its arguments the product is counted. It deliberately is a bound and not a measure: what counts is that
//! nothing that is made is much larger.

use regorus::Value;

use super::Refusal;

/// The bytes of a value in a collection.
const VALUE: u64 = 32;
/// The bytes of a short text of its own.
const TEXT: u64 = 80;
/// The longest text that patterns are looked for in, in bytes.
const SEARCHED: u64 = 1 << 20;
/// The longest pattern, in bytes.
const PATTERN: u64 = 4 << 10;
/// The longest number that is read from a text, in bytes.
const DIGITS: u64 = 1 << 10;
/// The most numbers that are multiplied: each makes the product longer.
const FACTORS: u64 = 1_000;
/// The widest column of `sprintf`, which holds each to it.
const WIDTH: u64 = 1_000;
/// The most values that a range makes.
const RANGE: u64 = 10_000;
/// Deeper than this nothing is counted: regorus reads no deeper input.
const DEPTH: usize = 160;

/// What a call takes.
pub(super) fn of(kind: Kind, arguments: &[Value]) -> Result<u64, Refusal> {
    let text = |at: usize| arguments.get(at).map_or("", as_text);
    Ok(match kind {
        Kind::Shallow => arguments.iter().map(shallow).sum(),
        Kind::Deep(times) => deep_all(arguments)?.saturating_mul(times),
        Kind::Pairs => {
            let pairs = arguments.iter().map(count).fold(1, u64::saturating_mul);
            deep_all(arguments)?.saturating_add(pairs)
        }
        Kind::Concat => {
            let between = length(text(0)) + VALUE;
            let places = arguments.get(1).map_or(0, count);
            deep_all(arguments)?.saturating_add(places.saturating_mul(between))
        }
        Kind::Replace => {
            let found = count_of(text(0), text(1));
            length(text(0)) + found.saturating_mul(length(text(2)))
        }
        Kind::ReplaceMany => {
            // Each pattern is looked for at each place.
            let patterns = arguments.first().map_or(0, count);
            let looked = (length(text(1)) + 1).saturating_mul(patterns + 1) / 8;
            deep_all(arguments)?.saturating_add(looked)
        }
        Kind::Split => length(text(0)) + (count_of(text(0), text(1)) + 1) * TEXT,
        Kind::Digits => arguments.iter().try_fold(0, |sum, one| {
            Ok(sum + within(length(as_text(one)), DIGITS)?)
        })?,
        Kind::Product => within(arguments.first().map_or(0, count), FACTORS)?,
        Kind::Format => {
            let columns = length(text(0)).saturating_mul(WIDTH) / 8;
            // An argument that is asked for by its place may be there as often as anybody likes.
            let times = (count_of(text(0), "[") + 1).saturating_mul(2);
            deep_all(arguments)?
                .saturating_mul(times)
                .saturating_add(columns)
        }
        Kind::Match => searched_for(text(0), arguments)?,
        Kind::Find => {
            let groups = count_of(text(0), "(");
            let places = searched_for(text(0), arguments)? + 1;
            places.saturating_mul(TEXT).saturating_mul(groups + 1)
        }
        Kind::Substitute => {
            // What is put in place of each match may name the match any number of times.
            let places = searched_for(text(1), arguments)? + 1;
            places.saturating_mul(length(text(2)) + count_of(text(2), "$") + 1)
        }
        Kind::Range => range(arguments)?,
    })
}

/// How a function's cost follows from its arguments.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// From the length of each.
    Shallow,
    /// From everything in them, that many times.
    Deep(u64),
    /// From the product of their lengths.
    Pairs,
    /// As that of `concat`, and so on: what is made may be a product of theirs.
    Concat,
    Replace,
    ReplaceMany,
    Split,
    /// They are short, or nothing comes of them.
    Digits,
    Product,
    Format,
    /// A pattern is looked for, is found, gives way to another text.
    Match,
    Find,
    Substitute,
    /// From the distance of two numbers.
    Range,
}

/// The functions whose calls are counted, and how.
const COUNTED: [(Kind, &[&str]); 17] = [
    (
        Kind::Shallow,
        &[
            "array.concat",
            "array.flatten",
            "array.reverse",
            "array.slice",
            "base64.decode",
            "base64.encode",
            "base64url.decode",
            "base64url.encode",
            "base64url.encode_no_pad",
            "crypto.sha256",
            "glob.quote_meta",
            "hex.decode",
            "hex.encode",
            "indexof",
            "indexof_n",
            "lower",
            "minus",
            "object.keys",
            "strings.count",
            "strings.reverse",
            "substring",
            "trim",
            "trim_left",
            "trim_prefix",
            "trim_right",
            "trim_space",
            "trim_suffix",
            "upper",
            "urlquery.decode",
            "urlquery.encode",
        ],
    ),
    (
        Kind::Deep(2),
        &[
            "graph.reachable",
            "intersection",
            "json.filter",
            "json.patch",
            "json.remove",
            "max",
            "min",
            "object.filter",
            "object.remove",
            "object.union",
            "object.union_n",
            "sort",
            "strings.render_template",
            "sum",
            "union",
            "urlquery.encode_object",
        ],
    ),
    (
        Kind::Deep(4),
        &[
            "json.marshal",
            "json.marshal_with_options",
            "net.cidr_merge",
        ],
    ),
    (Kind::Deep(8), &["json.verify_schema"]),
    (
        Kind::Deep(64),
        &["json.unmarshal", "urlquery.decode_object"],
    ),
    (
        Kind::Pairs,
        &[
            "net.cidr_contains_matches",
            "object.subset",
            "strings.any_prefix_match",
            "strings.any_suffix_match",
        ],
    ),
    (Kind::Concat, &["concat"]),
    (Kind::Replace, &["replace"]),
    (Kind::ReplaceMany, &["strings.replace_n"]),
    (Kind::Split, &["split", "strings.split_n"]),
    (
        Kind::Digits,
        &[
            "semver.compare",
            "semver.is_valid",
            "to_number",
            "units.parse",
            "units.parse_bytes",
        ],
    ),
    (Kind::Product, &["product"]),
    (Kind::Format, &["sprintf"]),
    (
        Kind::Match,
        &[
            "glob.match",
            "regex.is_valid",
            "regex.match",
            "regex.template_match",
        ],
    ),
    (
        Kind::Find,
        &[
            "regex.find_all_string_submatch_n",
            "regex.find_n",
            "regex.split",
        ],
    ),
    (Kind::Substitute, &["regex.replace"]),
    (Kind::Range, &["numbers.range", "numbers.range_step"]),
];

/// How a call of it is counted; none where it only reads.
pub(super) fn kind(name: &str) -> Option<Kind> {
    let counted = COUNTED.iter().find(|(_, names)| names.contains(&name));
    counted.map(|(kind, _)| *kind)
}

fn as_text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        _ => "",
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

fn within(length: u64, limit: u64) -> Result<u64, Refusal> {
    (length <= limit).then_some(length).ok_or(Refusal::TooMuch)
}

/// The bytes of all that is searched, of which the pattern is a part.
fn searched_for(pattern: &str, arguments: &[Value]) -> Result<u64, Refusal> {
    within(length(pattern), PATTERN)?;
    let all = arguments.iter().map(|one| length(as_text(one))).sum();
    within(all, SEARCHED)
}

/// The values in a collection; a text is one.
fn count(value: &Value) -> u64 {
    let count = match value {
        Value::Array(items) => items.len(),
        Value::Set(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 1,
    };
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn shallow(value: &Value) -> u64 {
    length(as_text(value)) * 4 + count(value) * VALUE
}

/// How often one text is in another; an empty one before each character and at the end.
fn count_of(text: &str, what: &str) -> u64 {
    u64::try_from(text.matches(what).count()).unwrap_or(u64::MAX)
}

fn deep_all(values: &[Value]) -> Result<u64, Refusal> {
    values
        .iter()
        .try_fold(0, |sum, value| Ok(sum + deep(value, 0)?))
}

/// Everything in a value. What is in it twice counts twice, and a value that was put into itself again and again would
/// count forever: so it ends when the budget does.
fn deep(value: &Value, depth: usize) -> Result<u64, Refusal> {
    let mut left = super::BUDGET;
    take(value, depth, &mut left)?;
    Ok(super::BUDGET - left)
}

fn take(value: &Value, depth: usize, left: &mut u64) -> Result<(), Refusal> {
    let own = VALUE + length(as_text(value));
    *left = left.checked_sub(own).ok_or(Refusal::TooMuch)?;
    if depth > DEPTH {
        return Err(Refusal::TooMuch);
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|one| take(one, depth + 1, left)),
        Value::Set(items) => items.iter().try_for_each(|one| take(one, depth + 1, left)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            take(key, depth + 1, left)?;
            take(value, depth + 1, left)
        }),
        _ => Ok(()),
    }
}

fn range(arguments: &[Value]) -> Result<u64, Refusal> {
    let number = |at: usize| match arguments.get(at) {
        Some(Value::Number(number)) => number.as_i64(),
        _ => None,
    };
    let step = number(2).unwrap_or(1).max(1).unsigned_abs();
    match (number(0), number(1)) {
        (Some(from), Some(to)) => Ok(within(from.abs_diff(to) / step, RANGE)? * VALUE),
        // No numbers, or none that a range is made of: that is for the function to say.
        _ => Ok(0),
    }
}
