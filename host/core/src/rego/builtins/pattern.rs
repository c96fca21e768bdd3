//! Regular expressions that are compiled once a thread and kept.
//!
//! regorus keeps compiled ones too, but hands out a copy of one at each call, and a copy has lost all that matching had
//! learned of the pattern: most of the time of `regex.match` went there. It deliberately keeps a bounded number of them,
//! and throws all away when there are more: a policy has a handful.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use regorus::Value;

use super::Refusal;

/// The largest compiled pattern, in bytes; as regorus has it.
const SIZE_LIMIT: usize = 100 << 10;
/// The most patterns that are kept.
const KEPT: usize = 64;

thread_local! {
    static COMPILED: RefCell<BTreeMap<String, Regex>> = const { RefCell::new(BTreeMap::new()) };
}

/// Whether a pattern is anywhere in a text.
pub(super) fn is_match(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(pattern), Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "a string, or 2 is none"));
    };
    match with(pattern, |regex| regex.is_match(text)) {
        Ok(found) => Ok(Value::Bool(found)),
        Err(regex::Error::CompiledTooBig(_)) => Err(Refusal::TooMuch),
        Err(_) => Err(Refusal::Argument(1, "a pattern")),
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
    let made = with(pattern, |regex| {
        regex.replace_all(text, by.as_ref()).into_owned()
    });
    match made {
        Ok(made) => Ok(Value::from(made)),
        Err(regex::Error::CompiledTooBig(_)) => Err(Refusal::TooMuch),
        Err(_) => Ok(Value::Undefined),
    }
}

/// What `ask` says of the compiled pattern.
fn with<T>(pattern: &str, ask: impl FnOnce(&Regex) -> T) -> Result<T, regex::Error> {
    COMPILED.with_borrow_mut(|compiled| {
        if let Some(regex) = compiled.get(pattern) {
            return Ok(ask(regex));
        }
        let regex = RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build()?;
        if compiled.len() >= KEPT {
            compiled.clear();
        }
        Ok(ask(compiled.entry(pattern.to_owned()).or_insert(regex)))
    })
}
