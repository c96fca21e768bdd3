//! The suffix that a generated name gets from its content, bit for bit kustomize's.
//!
//! A SHA-256 over the content as Go's JSON encoder writes it, ten hexadecimal digits of it, with those letters replaced
//! that could make words.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::yaml::{Node, Unprintable, go_json_number};

/// The suffix for an object, in which its name has no part. It is none of something that cannot be printed.
pub(crate) fn suffix(node: &Node) -> Result<String, Unprintable> {
    let mut text = String::new();
    match node.get("kind").map_or("", Node::text) {
        "ConfigMap" => {
            let binary = field(node, "binaryData")?;
            text.push('{');
            if !binary.is_string() {
                text.push_str("\"binaryData\":");
                encode(&binary, &mut text);
                text.push(',');
            }
            text.push_str("\"data\":");
            encode(&field(node, "data")?, &mut text);
            text.push_str(",\"kind\":\"ConfigMap\",\"name\":\"\"}");
        }
        "Secret" => {
            let strings = field(node, "stringData")?;
            text.push_str("{\"data\":");
            encode(&field(node, "data")?, &mut text);
            text.push_str(",\"kind\":\"Secret\",\"name\":\"\"");
            if !strings.is_string() {
                text.push_str(",\"stringData\":");
                encode(&strings, &mut text);
            }
            text.push_str(",\"type\":");
            encode(&field(node, "type")?, &mut text);
            text.push('}');
        }
        _ => encode(&node.clone().into_value()?, &mut text),
    }
    Ok(disguise(&hex::encode(Sha256::digest(text.as_bytes()))))
}

/// A field: its text if it is a scalar, empty if it is missing.
fn field(node: &Node, name: &str) -> Result<Value, Unprintable> {
    match node.get(name) {
        None => Ok(Value::String(String::new())),
        Some(scalar) if scalar.is_scalar() => Ok(Value::String(scalar.raw_text().to_owned())),
        // kustomize takes it for a mapping, and what cannot be read as one is lost.
        Some(Node::Seq(_)) => Ok(Value::Null),
        Some(other) => other.clone().into_value(),
    }
}

fn disguise(hex: &str) -> String {
    let letter = |c: char| match c {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        c => c,
    };
    hex.chars().take(10).map(letter).collect()
}

/// JSON as Go writes it: keys sorted by bytes, `<`, `>`, `&` and two separators escaped.
fn encode(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        // Data goes through Go's float64 on its way here.
        Value::Number(n) => out.push_str(&n.as_f64().map_or_else(|| n.to_string(), go_json_number)),
        Value::String(s) => encode_text(s, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                encode(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, field)) in fields.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                encode_text(key, out);
                out.push(':');
                encode(field, out);
            }
            out.push('}');
        }
    }
}

fn encode_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, budget::Budget, yaml::Reader, yaml::Typing};

    fn hash(text: &str) -> String {
        let budget = Budget::new(Limits::default());
        let reader = Reader {
            file: "f",
            typing: Typing::Manifest,
            budget: &budget,
        };
        let node = reader.documents(text.as_bytes()).unwrap().remove(0).node;
        suffix(&node).unwrap()
    }

    #[test]
    fn names_get_kustomizes_hashes() {
        for (text, want) in [
            ("kind: ConfigMap", "6ct58987ht"),
            ("kind: ConfigMap\ndata: {one: ''}", "9g67k2htb6"),
            (
                "kind: ConfigMap\ndata: {two: 2, one: '', three: 3}",
                "7757f9kkct",
            ),
            ("kind: Secret\ntype: my-type", "5gmgkf8578"),
            ("kind: Secret\ntype: my-type\ndata: {one: ''}", "74bd68bm66"),
            (
                "kind: Secret\nmetadata: {name: x}\ntype: my-type\ndata: {one: ''}",
                "74bd68bm66",
            ),
        ] {
            assert_eq!(hash(text), want, "{text}");
        }
    }
}
