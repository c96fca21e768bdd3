//! How a new value looks: as kustomize writes it, in the ways of the file.

use serde_json::{Map, Value};

use crate::yaml;

/// What a file does one way or another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ways {
    /// Lists are indented below their key.
    pub(super) indented: bool,
    /// Lines end in `\r\n`.
    pub(super) windows: bool,
    /// It is JSON.
    pub(super) json: bool,
    /// A value may be written over an alias, and over a field that is merged.
    pub(super) overrides: bool,
}

/// `key: value`, in lines. Without a key, what stands behind one.
pub(super) fn entry(key: &str, value: &Value, ways: Ways, lines: &mut Vec<String>) {
    let mut below = Vec::new();
    match value {
        Value::Array(items) if !items.is_empty() => {
            items.iter().for_each(|one| item(one, ways, &mut below));
            let spaces = if ways.indented { "  " } else { "" };
            lines.push(format!("{}:", scalar_key(key)));
            push_indented(lines, &below, spaces);
        }
        Value::Object(map) if !map.is_empty() => {
            self::value(value, ways, &mut below);
            lines.push(format!("{}:", scalar_key(key)));
            push_indented(lines, &below, "  ");
        }
        _ => {
            let mut map = Map::new();
            map.insert("k".to_owned(), value.clone());
            let text = emitted(&Value::Object(map));
            let text = text.strip_prefix('k').unwrap_or(&text);
            lines.extend(
                format!("{}{text}", scalar_key(key))
                    .lines()
                    .map(str::to_owned),
            );
        }
    }
}

/// A value, in lines that begin where it stands.
pub(super) fn value(value: &Value, ways: Ways, lines: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| key.as_str());
            keys.into_iter()
                .for_each(|(key, value)| entry(key, value, ways, lines));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().for_each(|one| item(one, ways, lines));
        }
        _ => {
            let text = emitted(&Value::Array(vec![value.clone()]));
            lines.extend(text.lines().map(|line| match line.get(2..) {
                Some(rest) => rest.to_owned(),
                None => String::new(),
            }));
        }
    }
}

/// `- value`, in lines.
pub(super) fn item(one: &Value, ways: Ways, lines: &mut Vec<String>) {
    let mut own = Vec::new();
    value(one, ways, &mut own);
    let mut own = own.into_iter();
    lines.push(format!("- {}", own.next().unwrap_or_default()));
    push_indented(lines, &own.collect::<Vec<_>>(), "  ");
}

fn push_indented(lines: &mut Vec<String>, below: &[String], spaces: &str) {
    lines.extend(below.iter().map(|line| match line.as_str() {
        "" => String::new(),
        line => format!("{spaces}{line}"),
    }));
}

fn scalar_key(key: &str) -> String {
    if key.is_empty() {
        return String::new();
    }
    let text = emitted(&Value::String(key.to_owned()));
    text.trim_end().to_owned()
}

fn emitted(value: &Value) -> String {
    let mut out = String::new();
    yaml::emit(value, &mut out);
    out
}

/// The lines as one text whose second and later lines begin at `column`.
pub(super) fn indent(lines: &[String], column: usize) -> String {
    let spaces = " ".repeat(column);
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
            if !line.is_empty() {
                out.push_str(&spaces);
            }
        }
        out.push_str(line);
    }
    out
}

/// Whether a value fits into one line without brackets.
pub(super) fn is_inline(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\n'),
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    }
}

/// A value of one line; `flow` is between brackets, where more must be quoted.
pub(super) fn inline(value: &Value, flow: bool) -> String {
    let text = emitted(value);
    let text = text.trim_end();
    let plain = !text.starts_with(['"', '\'']);
    let special = text.contains(['[', ']', '{', '}', ',']) || text.contains(": ");
    if text.contains('\n') || flow && plain && special {
        // JSON's text is YAML's, on one line.
        return value.to_string();
    }
    text.to_owned()
}

/// A text in quotes of the kind that stood there, if they can hold it on one line.
pub(super) fn quoted(text: &str, quote: char) -> Option<String> {
    let breaks = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
    match quote {
        '\'' if text.contains(breaks) => None,
        '\'' => Some(format!("'{}'", text.replace('\'', "''"))),
        // JSON's text is YAML's.
        _ => Some(Value::from(text).to_string()),
    }
}

/// A value as JSON, on one line.
pub(super) fn json(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(json).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let field = |(key, value): (&String, &Value)| {
                format!("{}: {}", Value::String(key.clone()), json(value))
            };
            let fields: Vec<String> = map.iter().map(field).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// A value with brackets.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let fields: Vec<String> = map
                .iter()
                .map(|(key, value)| {
                    let key = inline(&Value::String(key.clone()), true);
                    format!("{key}: {}", flow(value))
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => inline(other, true),
    }
}
