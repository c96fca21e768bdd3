//! Functions: those of the language and of texts that tell something about an object's state.

use std::rc::Rc;

use super::Error;
use super::eval::Scope;
use super::time;
use super::value::{Val, int};

/// The longest pattern, and how large one may become when it is compiled.
const LONGEST_PATTERN: usize = 256;
const LARGEST_PATTERN: usize = 64 << 10;
/// What compiling one costs.
const PATTERN: usize = 5_000;

/// Whether there is such a function.
pub(super) fn has(name: &str, args: usize) -> bool {
    matches!(
        (name, args),
        (
            "size" | "int" | "double" | "string" | "bool" | "dyn" | "timestamp" | "duration",
            1
        ) | ("matches", 2)
    )
}

/// Whether there is such a function of a value.
pub(super) fn has_method(name: &str, args: usize) -> bool {
    match name {
        "size" | "lowerAscii" | "upperAscii" | "trim" | "hasValue" | "value" => args == 0,
        "startsWith" | "endsWith" | "contains" | "matches" | "split" | "indexOf" | "orValue"
        | "charAt" => args == 1,
        "join" => args <= 1,
        "substring" => args == 1 || args == 2,
        "replace" => args == 2,
        _ => time::has_method(name, args),
    }
}

pub(super) fn call<'v>(
    scope: &mut Scope<'_, 'v>,
    name: &str,
    args: &[Val<'v>],
) -> Result<Val<'v>, Error> {
    match (name, args) {
        ("size", [one]) => size(scope, one),
        ("matches", [one, pattern]) => method(scope, "matches", one, std::slice::from_ref(pattern)),
        ("dyn", [one]) => Ok(one.clone()),
        ("string", [one]) => match one {
            Val::Text(_) => Ok(one.clone()),
            Val::Int(number) => Ok(Val::text(number.to_string())),
            Val::Double(number) => Ok(Val::text(number.to_string())),
            Val::Bool(is) => Ok(Val::text(is.to_string())),
            other => match time::told(other) {
                Some(text) => Ok(Val::text(text)),
                None => unfit(name, other),
            },
        },
        ("int", [one]) => match one {
            Val::Int(_) => Ok(one.clone()),
            Val::Double(number) => whole(*number),
            Val::Text(text) => read(name, text.parse().map(Val::Int)),
            other => match time::counted(other) {
                Some(number) => Ok(Val::Int(number)),
                None => unfit(name, other),
            },
        },
        ("double", [one]) => match one {
            Val::Double(_) => Ok(one.clone()),
            Val::Int(number) => read(name, number.to_string().parse().map(Val::Double)),
            Val::Text(text) => read(name, text.parse().map(Val::Double)),
            other => unfit(name, other),
        },
        ("bool", [one]) => match one {
            Val::Bool(_) => Ok(one.clone()),
            Val::Text(text) => read(name, text.parse().map(Val::Bool)),
            other => unfit(name, other),
        },
        ("timestamp", [one]) => time::timestamp(one),
        ("duration", [one]) => time::duration(one),
        _ => Err(Error::Failed(format!("there is no function '{name}'"))),
    }
}

fn unfit<T>(name: &str, what: &Val<'_>) -> Result<T, Error> {
    Err(Error::Failed(format!(
        "'{name}' cannot be done with {}",
        what.kind()
    )))
}

fn read<'v, E>(name: &str, read: Result<Val<'v>, E>) -> Result<Val<'v>, Error> {
    read.map_err(|_| Error::Failed(format!("a string cannot be read by '{name}'")))
}

fn whole<'v>(number: f64) -> Result<Val<'v>, Error> {
    // Whole numbers beyond this are not exact anyway.
    match number.is_finite() && number.abs() < 9e15 {
        true => Ok(Val::Int(number.trunc() as i64)),
        false => Err(Error::Failed("a number becomes too large".to_owned())),
    }
}

fn size<'v>(scope: &mut Scope<'_, 'v>, of: &Val<'v>) -> Result<Val<'v>, Error> {
    if let Val::Text(text) = of {
        scope.pay(text.len() / 16)?;
    }
    match of.size() {
        Some(size) => Ok(int(size)),
        None => unfit("size", of),
    }
}

pub(super) fn method<'v>(
    scope: &mut Scope<'_, 'v>,
    name: &str,
    of: &Val<'v>,
    args: &[Val<'v>],
) -> Result<Val<'v>, Error> {
    match (name, of, args) {
        ("size", of, []) => size(scope, of),
        ("hasValue", Val::Maybe(inner), []) => Ok(Val::Bool(inner.is_some())),
        ("value", Val::Maybe(Some(inner)), []) => Ok((**inner).clone()),
        ("orValue", Val::Maybe(Some(inner)), [_]) => Ok((**inner).clone()),
        ("orValue", Val::Maybe(None), [other]) => Ok(other.clone()),
        ("join", list, args) if list.is_list() => join(scope, list, args),
        (name, of, args) if time::has_method(name, args.len()) => time::part(name, of, args),
        (_, Val::Text(text), args) => {
            scope.pay(text.len() / 16 + 1)?;
            of_text(scope, name, text, args)
        }
        (_, of, _) => unfit(name, of),
    }
}

fn join<'v>(scope: &mut Scope<'_, 'v>, list: &Val<'v>, args: &[Val<'v>]) -> Result<Val<'v>, Error> {
    let between = match args {
        [Val::Text(between)] => &**between,
        [] => "",
        _ => return unfit("join", list),
    };
    scope.pay(list.size().unwrap_or_default())?;
    let mut joined = String::new();
    for (at, item) in list.items()?.iter().enumerate() {
        let Val::Text(text) = item else {
            return unfit("join", item);
        };
        scope.pay((text.len() + between.len()) / 16)?;
        if at > 0 {
            joined.push_str(between);
        }
        joined.push_str(text);
    }
    Ok(Val::text(joined))
}

fn of_text<'v>(
    scope: &mut Scope<'_, 'v>,
    name: &str,
    text: &str,
    args: &[Val<'v>],
) -> Result<Val<'v>, Error> {
    match (name, args) {
        ("startsWith", [Val::Text(part)]) => Ok(Val::Bool(text.starts_with(&**part))),
        ("endsWith", [Val::Text(part)]) => Ok(Val::Bool(text.ends_with(&**part))),
        ("contains", [Val::Text(part)]) => Ok(Val::Bool(text.contains(&**part))),
        ("matches", [Val::Text(pattern)]) => matches(scope, text, pattern),
        ("lowerAscii", []) => Ok(Val::text(text.to_ascii_lowercase())),
        ("upperAscii", []) => Ok(Val::text(text.to_ascii_uppercase())),
        ("trim", []) => Ok(Val::text(text.trim())),
        ("split", [Val::Text(by)]) => {
            scope.pay(text.len())?;
            let parts: Vec<Val<'v>> = match by.is_empty() {
                true => text.chars().map(|c| Val::text(c.to_string())).collect(),
                false => text.split(&**by).map(Val::text).collect(),
            };
            Ok(Val::List(Rc::new(parts)))
        }
        ("indexOf", [Val::Text(part)]) => Ok(match text.find(&**part) {
            Some(at) => int(text.get(..at).map_or(0, |before| before.chars().count())),
            None => Val::Int(-1),
        }),
        ("charAt", [Val::Int(at)]) => {
            let at = usize::try_from(*at).ok();
            let found = at.and_then(|at| text.chars().nth(at));
            Ok(Val::text(found.map(String::from).unwrap_or_default()))
        }
        ("substring", [Val::Int(from)]) => part(text, *from, i64::MAX),
        ("substring", [Val::Int(from), Val::Int(to)]) => part(text, *from, *to),
        ("replace", [Val::Text(old), Val::Text(new)]) => {
            let times = text.matches(&**old).count();
            scope.pay(times.saturating_mul(new.len()) / 16 + text.len())?;
            Ok(Val::text(text.replace(&**old, new)))
        }
        _ => Err(Error::Failed(format!(
            "'{name}' cannot be done with these arguments"
        ))),
    }
}

fn part<'v>(text: &str, from: i64, to: i64) -> Result<Val<'v>, Error> {
    let (from, to) = (usize::try_from(from), usize::try_from(to));
    match (from, to) {
        (Ok(from), Ok(to)) if from <= to => {
            let part: String = text.chars().skip(from).take(to - from).collect();
            Ok(Val::text(part))
        }
        _ => Err(Error::Failed("an index is out of bounds".to_owned())),
    }
}

fn matches<'v>(scope: &mut Scope<'_, 'v>, text: &str, pattern: &str) -> Result<Val<'v>, Error> {
    let long = pattern.len() > LONGEST_PATTERN;
    scope.pay(PATTERN + text.len())?;
    let compiled = regex::RegexBuilder::new(pattern)
        .size_limit(LARGEST_PATTERN)
        .dfa_size_limit(LARGEST_PATTERN)
        .build();
    match compiled {
        Ok(compiled) if !long => Ok(Val::Bool(compiled.is_match(text))),
        _ => Err(Error::Failed(
            "a pattern cannot be used, or is too large".to_owned(),
        )),
    }
}
