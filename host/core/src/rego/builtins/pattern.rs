//! OPA's `regex.*`: Go's patterns, compiled once a thread and kept.
//!
//! `syntax` says what a pattern of Go's is to Rust; what is found, split and put in place is here, by Go's rules. regorus
//! keeps compiled ones too, but hands out a copy of one at each call, and a copy has lost all that matching had learned of
//! the pattern: most of the time of `regex.match` went there. It deliberately keeps a bounded number of them, and throws
//! all away when there are more: a policy has a handful.

mod class;
mod syntax;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex, RegexBuilder};
use regorus::Value;

use super::Refusal;
use syntax::Fault;

/// The largest compiled pattern, in bytes; as regorus has it.
const SIZE_LIMIT: usize = 100 << 10;
/// The most patterns that are kept.
const KEPT: usize = 64;
/// The largest number of a group in what is put in place of a match.
const GROUPS: usize = 100_000_000;

/// A name of a group, where one stands: any letters, though a pattern can only give ASCII's.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[\p{L}\p{Nd}_]+").expect("because it is written here, and is a pattern")
});

thread_local! {
    static COMPILED: RefCell<BTreeMap<String, Pattern>> = const { RefCell::new(BTreeMap::new()) };
}

/// A compiled pattern and the names of its groups.
struct Pattern {
    regex: Regex,
    names: Vec<Option<String>>,
}

/// Why there is none.
enum Uncompiled {
    Fault(Fault),
    TooLarge,
}

/// Whether a pattern is anywhere in a text.
pub(super) fn is_match(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(pattern), Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "a string, or 2 is none"));
    };
    Ok(Value::Bool(with(pattern, |found| {
        found.regex.is_match(text)
    })?))
}

/// Whether a text is a pattern.
pub(super) fn is_valid(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(pattern)] = arguments else {
        return Ok(Value::Bool(false));
    };
    match compiled(pattern) {
        // How large one is that is none too large for Go is not what is asked.
        Ok(_) | Err(Uncompiled::TooLarge) => Ok(Value::Bool(true)),
        Err(Uncompiled::Fault(Fault::Invalid)) => Ok(Value::Bool(false)),
        Err(undone) => Err(undone.refusal()),
    }
}

/// A text in which every place of a pattern gives way to another; no value where there is no such pattern, as in OPA's
/// cases.
pub(super) fn replace(arguments: &[Value]) -> Result<Value, Refusal> {
    let [
        Value::String(text),
        Value::String(pattern),
        Value::String(by),
    ] = arguments
    else {
        return Err(Refusal::Argument(1, "a string, or 2 or 3 is none"));
    };
    let made = try_with(pattern, |found| {
        let put = |captures: &Captures<'_>| expanded(by, captures, &found.names);
        found.regex.replace_all(text, put).into_owned()
    });
    match made {
        Ok(made) => Ok(Value::from(made)),
        Err(Uncompiled::Fault(Fault::Invalid)) => Ok(Value::Undefined),
        Err(other) => Err(other.refusal()),
    }
}

/// The parts of a text between the places of a pattern.
pub(super) fn split(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(pattern), Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "a string, or 2 is none"));
    };
    if text.is_empty() && !pattern.is_empty() {
        with(pattern, |_| ())?;
        return Ok(Value::from(vec![Value::from("")]));
    }
    let parts = with(pattern, |found| {
        let (mut parts, mut begin, mut end) = (Vec::new(), 0, 0);
        for place in found.regex.find_iter(text) {
            end = place.start();
            if place.end() != 0 {
                parts.extend(text.get(begin..end).map(Value::from));
            }
            begin = place.end();
        }
        if end != text.len() {
            parts.extend(text.get(begin..).map(Value::from));
        }
        parts
    })?;
    Ok(Value::from(parts))
}

/// The first places of a pattern, or with a number below zero all.
pub(super) fn find(arguments: &[Value]) -> Result<Value, Refusal> {
    let (pattern, text, most) = searched(arguments)?;
    let found: Vec<Value> = with(pattern, |found| {
        let places = found.regex.find_iter(text).take(most);
        places.map(|place| Value::from(place.as_str())).collect()
    })?;
    Ok(Value::from(found))
}

/// The same with what each group matched.
pub(super) fn find_groups(arguments: &[Value]) -> Result<Value, Refusal> {
    let (pattern, text, most) = searched(arguments)?;
    let found: Vec<Value> = with(pattern, |found| {
        let places = found.regex.captures_iter(text).take(most);
        let groups = places.map(|place| {
            let groups = place.iter();
            let texts = groups.map(|group| group.map_or("", |group| group.as_str()));
            Value::from(texts.map(Value::from).collect::<Vec<_>>())
        });
        groups.collect()
    })?;
    Ok(Value::from(found))
}

/// Whether a text is as a template says, in which patterns stand between two delimiters.
pub(super) fn template(arguments: &[Value]) -> Result<Value, Refusal> {
    let [
        Value::String(template),
        Value::String(text),
        Value::String(start),
        Value::String(end),
    ] = arguments
    else {
        return Err(Refusal::Argument(1, "a string, or another is none"));
    };
    let (&[start], &[end]) = (start.as_bytes(), end.as_bytes()) else {
        return Err(Refusal::Argument(3, "one character, or 4 is not one"));
    };
    let pattern = whole(template, start, end)?;
    Ok(Value::Bool(with(&pattern, |found| {
        found.regex.is_match(text)
    })?))
}

/// What a pattern that stands in a policy asks for, and is not done here.
pub(super) fn undone(pattern: &str) -> Option<&'static str> {
    match compiled(pattern) {
        Err(Uncompiled::Fault(Fault::Undone(what))) => Some(what),
        _ => None,
    }
}

impl Uncompiled {
    fn refusal(self) -> Refusal {
        match self {
            Self::Fault(Fault::Invalid) => Refusal::Argument(1, "a pattern"),
            Self::Fault(Fault::Undone(what)) => Refusal::Undone(what),
            Self::TooLarge => Refusal::TooMuch,
        }
    }
}

/// Pattern, text and the most places, of the functions that find.
fn searched(arguments: &[Value]) -> Result<(&str, &str, usize), Refusal> {
    let [Value::String(pattern), Value::String(text), most] = arguments else {
        return Err(Refusal::Argument(1, "a string, or 2 is none"));
    };
    let most = super::text::whole(most, 3)?;
    Ok((pattern, text, usize::try_from(most).unwrap_or(usize::MAX)))
}

/// A template as one pattern.
fn whole(template: &str, start: u8, end: u8) -> Result<String, Refusal> {
    let unbalanced = Refusal::Argument(1, "a template whose delimiters are balanced");
    let (mut depth, mut begun, mut past) = (0_u32, 0, 0);
    let mut made = String::from("^");
    let between = |from: usize, to: usize| template.get(from..to).unwrap_or_default();
    for (at, byte) in template.bytes().enumerate() {
        if byte == start {
            depth += 1;
            if depth == 1 {
                begun = at;
            }
        } else if byte == end {
            let Some(less) = depth.checked_sub(1) else {
                return Err(unbalanced);
            };
            depth = less;
            if depth == 0 {
                made.extend(between(past, begun).chars().map(syntax::literal));
                let inner = between(begun + 1, at);
                with(&format!("^{inner}$"), |_| ())?;
                made.push_str(&format!("({inner})"));
                past = at + 1;
            }
        }
    }
    if depth != 0 {
        return Err(unbalanced);
    }
    made.extend(between(past, template.len()).chars().map(syntax::literal));
    made.push('$');
    Ok(made)
}

/// What is put in place of a match: `$1`, `$name` and `${name}` are what their groups matched, `$$` a dollar. A name is as
/// long as it can be.
fn expanded(by: &str, captures: &Captures<'_>, names: &[Option<String>]) -> String {
    let mut made = String::new();
    let mut rest = by;
    while let Some((before, after)) = rest.split_once('$') {
        made.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            made.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = reference(after) else {
            made.push('$');
            rest = after;
            continue;
        };
        let group = match number(name) {
            Some(number) => captures.get(number),
            None => {
                // Of several with one name it is the first that matched.
                let named = (0..).zip(names);
                let mut named = named.filter(|(_, known)| known.as_deref() == Some(name));
                named.find_map(|(at, _)| captures.get(at))
            }
        };
        made.push_str(group.map_or("", |group| group.as_str()));
        rest = after;
    }
    made.push_str(rest);
    made
}

/// The name behind a dollar, and what is behind that.
fn reference(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let inner = braced.unwrap_or(text);
    let end = NAME.find(inner).map_or(0, |name| name.end());
    let (name, rest) = inner.split_at_checked(end)?;
    let rest = match braced {
        Some(_) => rest.strip_prefix('}')?,
        None => rest,
    };
    (!name.is_empty()).then_some((name, rest))
}

/// The number of a group; a name that begins with a needless zero is none.
fn number(name: &str) -> Option<usize> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = is_plain && (name.len() == 1 || !name.starts_with('0'));
    name.parse()
        .ok()
        .filter(|number| is_plain && *number < GROUPS)
}

/// What `ask` says of the compiled pattern.
fn with<T>(pattern: &str, ask: impl FnOnce(&Pattern) -> T) -> Result<T, Refusal> {
    try_with(pattern, ask).map_err(Uncompiled::refusal)
}

fn try_with<T>(pattern: &str, ask: impl FnOnce(&Pattern) -> T) -> Result<T, Uncompiled> {
    COMPILED.with_borrow_mut(|all| {
        if let Some(known) = all.get(pattern) {
            return Ok(ask(known));
        }
        let new = compiled(pattern)?;
        if all.len() >= KEPT {
            all.clear();
        }
        Ok(ask(all.entry(pattern.to_owned()).or_insert(new)))
    })
}

fn compiled(pattern: &str) -> Result<Pattern, Uncompiled> {
    let translated = syntax::translated(pattern).map_err(Uncompiled::Fault)?;
    let built = RegexBuilder::new(&translated.text)
        .size_limit(SIZE_LIMIT)
        .build();
    match built {
        Ok(regex) => Ok(Pattern {
            regex,
            names: translated.names,
        }),
        Err(regex::Error::CompiledTooBig(_)) => Err(Uncompiled::TooLarge),
        Err(_) => Err(Uncompiled::Fault(Fault::Undone("a pattern of this form"))),
    }
}

#[cfg(test)]
mod tests;
