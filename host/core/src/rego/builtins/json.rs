//! OPA's `json.marshal` and its like, which write and read as Go does.
//!
//! Go escapes what could end a script in HTML, and half of a surrogate pair is a replacement character to it. It
//! deliberately writes no number as it was written: what regorus has of it is its value.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regorus::Value;
use serde::de::IgnoredAny;

use super::{Refusal, number};

/// From here on regorus reads whole numbers as doubles.
const BEYOND: f64 = 18_446_744_073_709_551_616.0;

/// A value as JSON.
pub(super) fn marshal(arguments: &[Value]) -> Result<Value, Refusal> {
    let [value] = arguments else {
        return Err(Refusal::Argument(1, "a value"));
    };
    Ok(Value::from(compact(value)))
}

/// A value as JSON that is laid out for people.
pub(super) fn marshal_with_options(arguments: &[Value]) -> Result<Value, Refusal> {
    let [value, Value::Object(options)] = arguments else {
        return Err(Refusal::Argument(2, "an object"));
    };
    let mut lines = Lines {
        prefix: "",
        indent: "\t",
    };
    let (mut is_asked, mut is_pretty) = (None, false);
    for (key, option) in options.iter_sorted() {
        let Value::String(key) = key else {
            return Err(Refusal::Argument(2, "of options"));
        };
        match (key.as_ref(), option) {
            ("pretty", Value::Bool(pretty)) => is_asked = Some(*pretty),
            ("prefix", Value::String(prefix)) => {
                (lines.prefix, is_pretty) = (prefix, true);
            }
            ("indent", Value::String(indent)) => {
                (lines.indent, is_pretty) = (indent, true);
            }
            _ => return Err(Refusal::Argument(2, "of pretty, prefix and indent")),
        }
    }
    if !is_asked.unwrap_or(is_pretty) {
        return Ok(Value::from(compact(value)));
    }
    let mut made = lines.prefix.to_owned();
    write(value, Some(&lines), 0, &mut made)?;
    Ok(Value::from(made))
}

/// What a text of JSON says.
pub(super) fn unmarshal(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(text)] = arguments else {
        return Err(Refusal::Argument(1, "a string"));
    };
    let read = Value::from_json_str(text).or_else(|_| Value::from_json_str(&whole(text)));
    let read = read.map_err(|_| Refusal::Argument(1, "JSON"))?;
    match is_exact(&read) {
        true => Ok(read),
        false => Err(Refusal::Undone("JSON with a number of more than 64 bits")),
    }
}

/// Whether a value is a text of JSON.
pub(super) fn is_valid(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Value::String(text)] = arguments else {
        return Ok(Value::Bool(false));
    };
    Ok(Value::Bool(
        serde_json::from_str::<IgnoredAny>(text).is_ok(),
    ))
}

/// How what is laid out is laid out.
struct Lines<'a> {
    /// In front of each line.
    prefix: &'a str,
    /// For each level.
    indent: &'a str,
}

impl Lines<'_> {
    fn begin(&self, depth: usize, made: &mut String) -> Result<(), Refusal> {
        let length = self.prefix.len() + self.indent.len().saturating_mul(depth);
        super::spend(u64::try_from(length).unwrap_or(u64::MAX))?;
        made.push('\n');
        made.push_str(self.prefix);
        made.extend(std::iter::repeat_n(self.indent, depth));
        Ok(())
    }
}

fn compact(value: &Value) -> String {
    let mut made = String::new();
    let written = write(value, None, 0, &mut made);
    written.expect("because only lines cost more than the value does");
    made
}

fn write(
    value: &Value,
    lines: Option<&Lines<'_>>,
    depth: usize,
    made: &mut String,
) -> Result<(), Refusal> {
    match value {
        Value::String(text) => write_text(text, made),
        Value::Number(_) => made.push_str(&number::text(value)),
        Value::Array(items) => write_items(items.iter(), lines, depth, made)?,
        Value::Set(items) => write_items(items.iter(), lines, depth, made)?,
        Value::Object(fields) => {
            let fields: BTreeMap<String, &Value> = fields
                .iter_sorted()
                .map(|(key, value)| match key {
                    Value::String(key) => (key.to_string(), value),
                    other => (compact(other), value),
                })
                .collect();
            made.push('{');
            for (at, (key, value)) in fields.iter().enumerate() {
                if at > 0 {
                    made.push(',');
                }
                lines.map_or(Ok(()), |lines| lines.begin(depth + 1, made))?;
                write_text(key, made);
                made.push_str(if lines.is_some() { ": " } else { ":" });
                write(value, lines, depth + 1, made)?;
            }
            if !fields.is_empty() {
                lines.map_or(Ok(()), |lines| lines.begin(depth, made))?;
            }
            made.push('}');
        }
        other => made.push_str(&other.to_string()),
    }
    Ok(())
}

fn write_items<'a>(
    items: impl Iterator<Item = &'a Value>,
    lines: Option<&Lines<'_>>,
    depth: usize,
    made: &mut String,
) -> Result<(), Refusal> {
    made.push('[');
    let mut is_empty = true;
    for item in items {
        if !std::mem::take(&mut is_empty) {
            made.push(',');
        }
        lines.map_or(Ok(()), |lines| lines.begin(depth + 1, made))?;
        write(item, lines, depth + 1, made)?;
    }
    if !is_empty {
        lines.map_or(Ok(()), |lines| lines.begin(depth, made))?;
    }
    made.push(']');
    Ok(())
}

fn write_text(text: &str, made: &mut String) {
    made.push('"');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -./:_".contains(&byte);
    if text.bytes().all(is_plain) {
        made.push_str(text);
        made.push('"');
        return;
    }
    for c in text.chars() {
        let short = match c {
            '"' | '\\' => c,
            '\u{8}' => 'b',
            '\u{C}' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..=' ' if c != ' ' => {
                let written = write!(made, "\\u{:04x}", u32::from(c));
                written.expect("because a text takes what is written to it");
                continue;
            }
            _ => {
                made.push(c);
                continue;
            }
        };
        made.push('\\');
        made.push(short);
    }
    made.push('"');
}

/// Whether no number in it was too large, and is another now.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_none_or(|double| double.abs() < BEYOND),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(fields) => fields.iter().all(|(_, value)| is_exact(value)),
        _ => true,
    }
}

/// The same with a replacement character for each half of a surrogate pair that has no other half.
fn whole(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        made.push_str(before);
        let (escape, after_escape) = match code(after) {
            Some((0xd800..0xdc00, low)) => {
                let low = low.strip_prefix('\\').and_then(code);
                match low.filter(|(low, _)| (0xdc00..0xe000).contains(low)) {
                    Some(_) => after.split_at_checked(11),
                    None => after.get(5..).map(|rest| ("ufffd", rest)),
                }
            }
            Some((0xdc00..0xe000, rest)) => Some(("ufffd", rest)),
            _ => {
                let length = after.chars().next().map_or(0, char::len_utf8);
                after.split_at_checked(length)
            }
        }
        .unwrap_or((after, ""));
        made.push('\\');
        made.push_str(escape);
        rest = after_escape;
    }
    made.push_str(rest);
    made
}

/// The code behind `\`, where one is written, and what is behind that.
fn code(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.strip_prefix('u')?.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: Result<Value, Refusal>) -> String {
        match value {
            Ok(Value::String(text)) => text.to_string(),
            Ok(other) => other.to_string(),
            Err(why) => format!("error: {why}"),
        }
    }

    fn value(json: &str) -> Value {
        Value::from_json_str(json).unwrap()
    }

    #[test]
    fn json_is_written_as_by_go() {
        for (json, want) in [
            ("1.0", "1.0"),
            ("1.5", "1.5"),
            (
                r#"{"b": 1, "a": null, "B": true}"#,
                r#"{"B":true,"a":null,"b":1}"#,
            ),
            (
                r#""<>&\u2028\u007f\b\f\u0001\n\"\\é""#,
                "\"\\u003c\\u003e\\u0026\\u2028\u{7f}\\b\\f\\u0001\\n\\\"\\\\é\"",
            ),
        ] {
            assert_eq!(text(marshal(&[value(json)])), want, "{json}");
        }
        let keys = BTreeMap::from([
            (Value::from(1_u64), Value::from(2_u64)),
            (value("[1]"), Value::Null),
            (Value::from("<"), Value::Null),
        ]);
        let told = text(marshal(&[Value::from(keys)]));
        assert_eq!(told, r#"{"1":2,"\u003c":null,"[1]":null}"#);
    }

    #[test]
    fn json_is_laid_out_as_by_go() {
        super::super::begin();
        let told = |options| {
            text(marshal_with_options(&[
                value(r#"{"a": [], "b": {}, "c": [1, 2]}"#),
                value(options),
            ]))
        };
        let flat = r#"{"a":[],"b":{},"c":[1,2]}"#;
        assert_eq!(told("{}"), flat);
        assert_eq!(told(r#"{"indent": " ", "pretty": false}"#), flat);
        assert_eq!(
            told(r##"{"indent": " ", "prefix": "#"}"##),
            "#{\n# \"a\": [],\n# \"b\": {},\n# \"c\": [\n#  1,\n#  2\n# ]\n#}"
        );
        assert!(told(r#"{"pretty": true}"#).contains("\n\t\"a\""));
        assert!(told(r#"{"tabs": true}"#).starts_with("error: argument 2"));
    }

    #[test]
    fn a_number_that_would_be_another_is_not_read() {
        let told = |json: &str| text(unmarshal(&[Value::from(json)]));
        assert_eq!(
            told("[18446744073709551615, 1.5e19]"),
            "[18446744073709551615,15000000000000000000]"
        );
        for json in ["18446744073709551616", "{\"a\": [-1e30]}"] {
            assert!(told(json).contains(super::super::UNDONE), "{json}");
        }
    }

    #[test]
    fn half_of_a_surrogate_pair_is_a_replacement_character() {
        let told = |json: &str| text(unmarshal(&[Value::from(json)]));
        assert_eq!(told(r#""\ud83d\ude00""#), "\u{1f600}");
        assert_eq!(
            told(r#""\ud800a\udc00\ud800\u0041\\ud800""#),
            "\u{fffd}a\u{fffd}\u{fffd}A\\ud800"
        );
        for json in ["", "1 2", "{a: 1}", "\"a", "[1,]", "\"\\ud8", "nan", "01"] {
            assert_eq!(told(json), "error: argument 1 is not JSON", "{json}");
            let is_valid = text(is_valid(&[Value::from(json)]));
            assert_eq!(is_valid, "false", "{json}");
        }
        assert_eq!(
            text(is_valid(&[Value::from(r#"["\ud800", 1e999]"#)])),
            "true"
        );
        assert_eq!(text(is_valid(&[Value::from(1_u64)])), "false");
    }
}
