//! A path that leads on into text: the text is read as YAML or JSON, changed inside and written back.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Writer;
use crate::budget::Budget;
use crate::fieldpath;
use crate::yaml::{self, Node, Reader, Typing, text_cost};

/// What a byte of a text counts that is read and written again.
const BYTE: u64 = 8;

/// Writes into the document that a text on the way of `steps` is; nothing if there is none, or the path is not in it.
pub(super) fn write(
    writer: &Writer<'_>,
    node: &mut Node,
    steps: &[String],
) -> Result<Option<usize>, String> {
    let Some(length) = text_on_the_way(node, steps) else {
        return Ok(None);
    };
    let (way, rest) = steps.split_at_checked(length).unwrap_or((steps, &[]));
    let Some(text) = fieldpath::lookup(node, way)?.map(|n| n.raw_text().to_owned()) else {
        return Ok(None);
    };
    let budget = &writer.session.budget;
    // Read here, and for its quotes and comments once more, then written.
    let charge = budget.steps(BYTE * text.len() as u64);
    charge.map_err(|why| why.to_string())?;
    let parsed = budget.aside(|aside| parse(aside, &text));
    let Some(mut document) = parsed.map_err(|why| why.to_string())? else {
        return Ok(None);
    };
    let count = writer.walk(&mut document, rest)?;
    if count == 0 {
        return Ok(None);
    }
    // Cells of another type are written with a tag in YAML, and in JSON not at all.
    if writer.misfit.take().is_some() && is_json(&text) {
        return Ok(Some(count));
    }
    let written = serialise(document, &text)?;
    let charge = budget.nodes(text_cost(&written).saturating_sub(text_cost(&text)));
    charge.map_err(|why| why.to_string())?;
    if let Some(Node::Scalar(scalar)) = fieldpath::lookup_mut(node, way)? {
        scalar.text = written;
    }
    Ok(Some(count))
}

/// After how many steps there is a scalar, if the path goes on there.
fn text_on_the_way(node: &Node, steps: &[String]) -> Option<usize> {
    (1..steps.len()).find(|length| {
        let way = steps.get(..*length).unwrap_or_default();
        matches!(fieldpath::lookup(node, way), Ok(Some(found)) if found.is_scalar() && !found.is_null())
    })
}

fn parse(budget: &Budget, text: &str) -> Option<Node> {
    let reader = Reader {
        file: "",
        typing: Typing::Manifest,
        budget,
    };
    let documents = reader.unfitting(text.as_bytes()).ok()?;
    documents.into_iter().next().map(|d| d.node)
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// The document as text of the form that `original` has: JSON, indented or not, or YAML.
fn serialise(document: Node, original: &str) -> Result<String, String> {
    let json = is_json(original);
    if !json && let Some(text) = yaml::restyled(original, &document) {
        return Ok(text.trim().to_owned());
    }
    let value = document.into_value().map_err(|why| why.to_string())?;
    if !json {
        let mut out = String::new();
        yaml::emit_in_order(&value, &mut out);
        return Ok(out.trim().to_owned());
    }
    let value = sorted(value);
    let indented = original.contains('\n') && original.contains("  ");
    let text = if indented {
        serde_json::to_string_pretty(&value)
    } else {
        serde_json::to_string(&value)
    };
    // Go writes these so that JSON can stand in a page; they are in strings only.
    let text = text.map_err(|why| why.to_string())?;
    let escapes = [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ];
    let escaped = escapes
        .iter()
        .fold(text, |text, (c, e)| text.replace(*c, e));
    Ok(escaped)
}

/// The value with the keys of every mapping in order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<String, Value> = map.into_iter().collect();
            Value::Object(ordered.into_iter().map(|(k, v)| (k, sorted(v))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
