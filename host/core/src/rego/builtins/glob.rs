//! OPA's `glob.*`: globs as its library reads them, written as patterns.
//!
//! `*` and `?` stop at a delimiter, `**` does not, `[!a]` negates and `[^a]` does not, and braces hold alternatives of
//! which one may be empty. It deliberately matches nothing itself: that is `pattern`'s.

use std::fmt::Write as _;

use regorus::Value;

use super::{Refusal, pattern};

const NO_GLOB: Refusal = Refusal::Argument(1, "a glob");

/// What is escaped so that it stands for itself.
const SPECIAL: [char; 7] = ['*', '?', '\\', '[', ']', '{', '}'];

/// Whether all of a text is as a glob says.
pub(super) fn is_match(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(glob), delimiters, text @ Value::String(_)] = arguments else {
        return Err(Refusal::Argument(1, "a string, or 3 is none"));
    };
    let pattern = written(glob, &delimited(delimiters)?)?;
    pattern::is_match(&[Value::from(pattern), text.clone()])
}

/// A text as a glob that stands for it.
pub(super) fn quoted(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "a string"));
    };
    let mut made = String::with_capacity(text.len());
    for c in text.chars() {
        if SPECIAL.contains(&c) {
            made.push('\\');
        }
        made.push(c);
    }
    Ok(Value::from(made))
}

/// The characters that end a part.
fn delimited(value: &Value) -> Result<String, Refusal> {
    let no_characters = Refusal::Argument(2, "an array of characters, or null");
    let items = match value {
        Value::Null => return Ok(String::new()),
        Value::Array(items) if items.is_empty() => return Ok(".".to_owned()),
        Value::Array(items) => items,
        _ => return Err(no_characters),
    };
    let mut made = String::new();
    for item in items.iter() {
        match item {
            Value::String(one) if one.chars().count() == 1 => made.push_str(one),
            _ => return Err(no_characters),
        }
    }
    Ok(made)
}

/// A glob as a pattern of Go's.
fn written(glob: &str, delimiters: &str) -> Result<String, Refusal> {
    let part = match delimiters {
        "" => "(?s:.)".to_owned(),
        delimiters => {
            let mut class = String::from("[^");
            delimiters.chars().for_each(|c| push(c, &mut class));
            class.push(']');
            class
        }
    };
    let mut made = String::from(r"\A(?:");
    let mut open = 0_u32;
    let mut rest = glob.chars();
    while let Some(c) = rest.next() {
        match c {
            '{' => {
                open += 1;
                made.push_str("(?:");
            }
            ',' if open > 0 => made.push('|'),
            '}' if open > 0 => {
                open -= 1;
                made.push(')');
            }
            '[' => class(&mut rest, &mut made)?,
            '?' => made.push_str(&part),
            '*' if rest.as_str().starts_with('*') => {
                rest.next();
                made.push_str("(?s:.)*");
            }
            '*' => {
                made.push_str(&part);
                made.push('*');
            }
            '\\' => push(rest.next().ok_or(NO_GLOB)?, &mut made),
            other => push(other, &mut made),
        }
    }
    if open > 0 {
        return Err(NO_GLOB);
    }
    made.push_str(r")\z");
    Ok(made)
}

/// What stands in brackets: two characters with a hyphen between them, or a list of characters.
fn class(rest: &mut std::str::Chars<'_>, made: &mut String) -> Result<(), Refusal> {
    made.push('[');
    let mut first = rest.next().ok_or(NO_GLOB)?;
    if first == '!' {
        made.push('^');
        first = rest.next().ok_or(NO_GLOB)?;
    }
    if rest.as_str().starts_with('-') {
        let (_, last, end) = (rest.next(), rest.next(), rest.next());
        let last = last.filter(|last| end == Some(']') && *last >= first);
        push(first, made);
        made.push('-');
        push(last.ok_or(NO_GLOB)?, made);
        made.push(']');
        return Ok(());
    }
    let mut c = first;
    let mut is_empty = true;
    while c != ']' {
        let plain = match c {
            '\\' => rest.next().ok_or(NO_GLOB)?,
            c => c,
        };
        push(plain, made);
        is_empty = false;
        c = rest.next().ok_or(NO_GLOB)?;
    }
    made.push(']');
    if is_empty { Err(NO_GLOB) } else { Ok(()) }
}

fn push(c: char, made: &mut String) {
    let written = write!(made, "\\x{{{:X}}}", u32::from(c));
    written.expect("because a text takes what is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(glob: &str, delimiters: &str, text: &str) -> Option<bool> {
        let delimiters = Value::from_json_str(delimiters).unwrap();
        let told = is_match(&[Value::from(glob), delimiters, Value::from(text)]);
        told.ok().map(|value| value == Value::from(true))
    }

    #[test]
    fn globs_match_as_in_opa() {
        for (glob, delimiters, text, want) in [
            ("*", "null", "a.b\n", Some(true)),
            ("*", "[]", "a.b", Some(false)),
            ("**", "[]", "a.b", Some(true)),
            ("a/**/b", r#"["/"]"#, "a/b", Some(false)),
            ("a/**/b", r#"["/"]"#, "a/x/y/b", Some(true)),
            ("[a-c]?", "[]", "bé", Some(true)),
            ("?", "[]", ".", Some(false)),
            ("[!a]", "[]", "b", Some(true)),
            ("[^a]", "[]", "b", Some(false)),
            ("[^a]", "[]", "^", Some(true)),
            ("[a-]", "[]", "-", None),
            ("[ab-]", "[]", "-", Some(true)),
            ("{a,b,}x", "[]", "x", Some(true)),
            ("{*.a,{b,c}}", "[]", "x.a", Some(true)),
            ("{*.a,{b,c}}", "[]", "c", Some(true)),
            ("a,b}]", "[]", "a,b}]", Some(true)),
            ("\\*", "[]", "*", Some(true)),
            ("\\*", "[]", "a", Some(false)),
            ("a", "[\"ab\"]", "a", None),
            ("a", "1", "a", None),
            ("{a", "[]", "a", None),
            ("[a", "[]", "a", None),
            ("[]", "[]", "a", None),
            ("[!]", "[]", "a", None),
            ("[b-a]", "[]", "a", None),
            ("a\\", "[]", "a", None),
        ] {
            assert_eq!(told(glob, delimiters, text), want, "{glob} {text}");
        }
    }

    #[test]
    fn a_quoted_text_stands_for_itself() {
        let text = "*.a?[b]{c,d}\\é";
        let quoted = quoted(&[Value::from(text)]).unwrap();
        assert_eq!(quoted, Value::from("\\*.a\\?\\[b\\]\\{c,d\\}\\\\é"));
        let told = is_match(&[quoted, Value::Null, Value::from(text)]);
        assert_eq!(told.unwrap(), Value::from(true));
    }
}
