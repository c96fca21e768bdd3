//! OPA's functions over texts, lists and numbers that regorus has not, or in which it differs.
//!
//! What they do is OPA's; that they do it is held by its own cases, in `make oracle`. They deliberately know no language
//! but Go's: a letter has one small and one large form, whatever stands around it.

use regorus::Value;
use sha2::{Digest as _, Sha256};

use super::Refusal;

/// One level of lists in a list, taken out of them.
pub(super) fn flatten(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::Array(items)] = arguments else {
        return Err(Refusal::Argument(1, "an array"));
    };
    let flat = items.iter().flat_map(|item| match item {
        Value::Array(inner) => inner.iter().collect(),
        other => vec![other],
    });
    Ok(Value::from(flat.cloned().collect::<Vec<_>>()))
}

/// The digest of a text's bytes, in hexadecimal.
pub(super) fn sha256(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "a string"));
    };
    Ok(hex::encode(Sha256::digest(text.as_bytes())).into())
}

/// How many members a collection has, or how many characters a text.
pub(super) fn members(arguments: &[Value]) -> Result<Value, Refusal> {
    let length = match arguments {
        [Value::Array(items)] => items.len(),
        [Value::Set(items)] => items.len(),
        [Value::Object(fields)] => fields.len(),
        [Value::String(text)] => text.chars().count(),
        _ => return Err(Refusal::Argument(1, "a collection or a text")),
    };
    Ok(length.into())
}

/// How often a text is in another, without overlap; an empty one is before each character and at the end.
pub(super) fn count(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(text), Value::String(what)] = arguments else {
        return Err(Refusal::Argument(1, "a string, or 2 is none"));
    };
    Ok(text.matches(what.as_ref()).count().into())
}

/// Where a text is in another, in characters; an empty one is nowhere.
pub(super) fn index_of(arguments: &[Value]) -> Result<Value, Refusal> {
    let (text, what) = searched(arguments)?;
    let found = text.find(what).and_then(|at| text.get(..at));
    Ok(match found {
        Some(before) => Value::from(before.chars().count()),
        None => Value::from(-1_i64),
    })
}

/// All places where a text is in another, in characters, also where they overlap.
pub(super) fn index_of_all(arguments: &[Value]) -> Result<Value, Refusal> {
    let (text, what) = searched(arguments)?;
    let mut rest = text.chars();
    let mut found = Vec::new();
    let mut at = 0_usize;
    while rest.as_str().len() >= what.len() {
        if rest.as_str().starts_with(what) {
            found.push(Value::from(at));
        }
        at += 1;
        if rest.next().is_none() {
            break;
        }
    }
    Ok(Value::from(found))
}

fn searched(arguments: &[Value]) -> Result<(&str, &str), Refusal> {
    match arguments {
        [Value::String(_), Value::String(what)] if what.is_empty() => {
            Err(Refusal::Argument(2, "a text of one character or more"))
        }
        [Value::String(text), Value::String(what)] => Ok((text, what)),
        _ => Err(Refusal::Argument(1, "a string, or 2 is none")),
    }
}

/// A text in small letters, each by itself.
pub(super) fn lower(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "a string"));
    };
    if text.is_ascii() {
        return Ok(Value::from(text.to_ascii_lowercase()));
    }
    let small = |c: char| {
        let mut small = c.to_lowercase();
        // Only one letter has a small form of several characters; to Go it is the first of them.
        small.next().unwrap_or(c)
    };
    Ok(Value::from(text.chars().map(small).collect::<String>()))
}

/// A text in large letters, each by itself: a letter whose large form is several stays as it is.
pub(super) fn upper(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "a string"));
    };
    if text.is_ascii() {
        return Ok(Value::from(text.to_ascii_uppercase()));
    }
    let large = |c: char| {
        let mut large = c.to_uppercase();
        match (large.next(), large.next()) {
            (Some(large), None) => large,
            _ => titled(c),
        }
    };
    Ok(Value::from(text.chars().map(large).collect::<String>()))
}

/// The large form of Greek letters with an iota below, which has one beside it, as one character.
fn titled(c: char) -> char {
    let code = u32::from(c);
    let large = match code {
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => code + 8,
        0x1fb3 | 0x1fc3 | 0x1ff3 => code + 9,
        _ => code,
    };
    char::from_u32(large).unwrap_or(c)
}

/// The numbers from one to another, upwards or downwards.
pub(super) fn range(arguments: &[Value]) -> Result<Value, Refusal> {
    match arguments {
        [from, to] => numbers(whole(from, 1)?, whole(to, 2)?, 1),
        _ => Err(Refusal::Argument(1, "a number")),
    }
}

/// Every so manieth of them.
pub(super) fn range_step(arguments: &[Value]) -> Result<Value, Refusal> {
    let [from, to, step] = arguments else {
        return Err(Refusal::Argument(1, "a number"));
    };
    match usize::try_from(whole(step, 3)?) {
        Ok(step) if step > 0 => numbers(whole(from, 1)?, whole(to, 2)?, step),
        _ => Err(Refusal::Argument(3, "a positive number")),
    }
}

fn numbers(from: i64, to: i64, step: usize) -> Result<Value, Refusal> {
    let all: Vec<Value> = if from <= to {
        (from..=to).step_by(step).map(Value::from).collect()
    } else {
        (to..=from).rev().step_by(step).map(Value::from).collect()
    };
    Ok(Value::from(all))
}

pub(super) fn whole(value: &Value, place: u8) -> Result<i64, Refusal> {
    let Value::Number(number) = value else {
        return Err(Refusal::Argument(place, "a number"));
    };
    let whole = number.is_integer().then(|| number.as_i64()).flatten();
    whole.ok_or(Refusal::Argument(place, "a whole number"))
}

/// A text in which each of the patterns' keys gives way to its value: from the left, at each place the first key that
/// is there, and nothing that was put in is looked at again.
pub(super) fn replace_n(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::Object(patterns), Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "an object, or 2 no string"));
    };
    let mut pairs = Vec::with_capacity(patterns.len());
    for (key, value) in patterns.iter_sorted() {
        match (key, value) {
            (Value::String(key), Value::String(value)) => {
                pairs.push((key.as_ref(), value.as_ref()));
            }
            _ => return Err(Refusal::Argument(1, "an object of strings")),
        }
    }
    let mut made = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    // An empty key is at every place, but not twice at one.
    let mut was_empty = false;
    loop {
        let here = pairs
            .iter()
            .find(|(key, _)| rest.starts_with(key) && !(was_empty && key.is_empty()));
        was_empty = here.is_some_and(|(key, _)| key.is_empty());
        if let Some((key, value)) = here {
            if length(&made) + length(value) > super::BUDGET {
                return Err(Refusal::TooMuch);
            }
            made.push_str(value);
            rest = rest.get(key.len()..).unwrap_or_default();
            continue;
        }
        let mut chars = rest.chars();
        let Some(next) = chars.next() else {
            return Ok(made.into());
        };
        made.push(next);
        rest = chars.as_str();
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// The first parts of a text between a separator, or with a number below zero the last ones.
pub(super) fn split_n(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(text), Value::String(between), count] = arguments else {
        return Err(Refusal::Argument(1, "a string, or 2 is none"));
    };
    let count = whole(count, 3)?;
    let most = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let parts: Vec<&str> = if between.is_empty() {
        let ends = text.char_indices().map(|(at, c)| (at, at + c.len_utf8()));
        ends.filter_map(|(from, to)| text.get(from..to)).collect()
    } else {
        text.split(between.as_ref()).collect()
    };
    let dropped = if count < 0 {
        parts.len().saturating_sub(most)
    } else {
        0
    };
    let kept = parts.into_iter().skip(dropped).take(most).map(Value::from);
    Ok(Value::from(kept.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_letter_has_its_own_small_and_large_form() {
        let told = |function: fn(&[Value]) -> Result<Value, Refusal>, text: &str| {
            function(&[Value::from(text)]).unwrap()
        };
        assert_eq!(
            told(lower, "İΑΣ ΌΣ ß ǅẞ"),
            Value::from("iας όσ ß ǆß".replace('ς', "σ"))
        );
        assert_eq!(told(upper, "ßŉǰΐﬀᾳᾀᾼǆı"), Value::from("ßŉǰΐﬀᾼᾈᾼǄI"));
    }

    #[test]
    fn a_text_has_as_many_members_as_characters() {
        for (json, want) in [
            (r#""😀""#, "1"),
            (r#""e\u0301""#, "2"),
            (r#""""#, "0"),
            ("[1, 1]", "2"),
            (r#"{"a": 1}"#, "1"),
            ("5", "argument 1 is not a collection or a text"),
        ] {
            let value = Value::from_json_str(json).unwrap();
            let told = members(&[value]).map(|value| value.to_string());
            let told = told.unwrap_or_else(|why| why.to_string());
            assert_eq!(told, want, "{json}");
        }
    }

    #[test]
    fn an_empty_text_is_nowhere() {
        let told = |function: fn(&[Value]) -> Result<Value, Refusal>, text: &str, what: &str| {
            function(&[Value::from(text), Value::from(what)])
                .map(|value| value.to_string())
                .ok()
        };
        assert_eq!(told(index_of, "éab", "b").as_deref(), Some("2"));
        assert_eq!(told(index_of, "éab", "c").as_deref(), Some("-1"));
        assert_eq!(told(index_of_all, "éaaa", "aa").as_deref(), Some("[1,2]"));
        assert_eq!(told(index_of_all, "a", "b").as_deref(), Some("[]"));
        for function in [index_of, index_of_all] {
            assert_eq!(told(function, "abc", ""), None);
        }
    }
}
