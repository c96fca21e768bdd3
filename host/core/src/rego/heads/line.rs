//! An expression, written on one line.
//!
//! Comments go, and so do line breaks but where they end a condition: there stands `;` then.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rego::extent::extent;
use crate::rego::nesting::Words;

/// What of `source` goes from where to where, and is this node.
pub(super) fn of(source: &str, (from, to): (usize, usize), node: &Value) -> String {
    let text = source.get(from..to).unwrap_or_default();
    let mut breaks = BTreeSet::new();
    conditions(source, node, &mut breaks);
    let mut written = String::new();
    let mut words = Words::of(text);
    while let Some((_, touches)) = words.next() {
        let word = text.get(words.begins..words.ends()).unwrap_or_default();
        if !touches && !written.is_empty() {
            let ends = breaks.contains(&(from + words.begins)) && !written.ends_with(';');
            written.push_str(if ends { "; " } else { " " });
        }
        match word.strip_prefix('`').and_then(|raw| raw.strip_suffix('`')) {
            Some(raw) if raw.contains('\n') => written.push_str(&Value::from(raw).to_string()),
            _ => written.push_str(word),
        }
    }
    written
}

/// Where the second and further conditions of queries within a node begin.
fn conditions(source: &str, node: &Value, found: &mut BTreeSet<usize>) {
    match node {
        Value::Array(items) => items
            .iter()
            .for_each(|item| conditions(source, item, found)),
        Value::Object(fields) => {
            let stmts = fields.get("stmts").and_then(Value::as_array);
            let later = stmts.into_iter().flatten().skip(1);
            found.extend(later.filter_map(|stmt| Some(extent(source, stmt.get("span"))?.0)));
            fields
                .values()
                .for_each(|value| conditions(source, value, found));
        }
        _ => {}
    }
}
