//! Where parts of a module are written, and what kind of part they are.
//!
//! It deliberately changes nothing: what is written instead is for `negation`, `heads` and `trace` to say.

use serde_json::Value;

/// What an expression is, and what it consists of.
pub(super) fn shape(node: &Value) -> (&str, &Value) {
    let only = node.as_object().and_then(|fields| fields.iter().next());
    only.map_or(("", &Value::Null), |(shape, fields)| {
        (shape.as_str(), fields)
    })
}

/// The expressions that one of this shape is asked about. What is made anew in a comprehension always has a value.
pub(super) fn children<'a>(shape: &str, fields: &'a Value) -> Vec<&'a Value> {
    let list = |name: &str| {
        fields
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let named = |names: &[&str]| -> Vec<&'a Value> {
        let found = names.iter().filter_map(|name| fields.get(*name));
        found.filter(|value| value.is_object()).collect()
    };
    match shape {
        "Call" => list("params").collect(),
        "Array" | "Set" => list("items").collect(),
        "Object" => {
            let fields = list("fields").filter_map(Value::as_array);
            fields.flat_map(|field| field.iter().skip(1)).collect()
        }
        "RefDot" => named(&["refr"]),
        "RefBrack" => named(&["refr", "index"]),
        "UnaryExpr" => named(&["expr"]),
        "BinExpr" | "BoolExpr" | "ArithExpr" | "AssignExpr" => named(&["lhs", "rhs"]),
        "Membership" => named(&["key", "value", "collection"]),
        _ => Vec::new(),
    }
}

/// From where to where a span goes. The tree leaves out the quotes of a text that something begins or ends with.
pub(super) fn extent(source: &str, span: Option<&Value>) -> Option<(usize, usize)> {
    let at = |key| usize::try_from(span?.get(key)?.as_u64()?).ok();
    let (from, to) = (at("start")?, at("end")?);
    let is_quote = |at: usize| matches!(source.as_bytes().get(at), Some(b'"' | b'`'));
    let opens = from.checked_sub(1).is_some_and(is_quote);
    Some((from - usize::from(opens), to + usize::from(is_quote(to))))
}

/// From where to where the element in `contains element` goes, a rule's head.
pub(super) fn element(source: &str, head: &Value) -> Option<(usize, usize)> {
    let (_, named) = extent(source, shape(head.get("refr")?).1.get("span"))?;
    let (_, to) = extent(source, head.get("span"))?;
    // The path's last bracket is none of its span.
    let rest = blank(source.get(named..to)?);
    let rest = rest.strip_prefix(']').unwrap_or(rest);
    Some((after(source, to - rest.len(), to, "contains")?, to))
}

/// Where what stands behind `word` begins, if that comes next.
pub(super) fn after(source: &str, from: usize, to: usize, word: &str) -> Option<usize> {
    let text = blank(source.get(from..to)?);
    let rest = blank(text.strip_prefix(word)?);
    (!rest.is_empty()).then(|| to - rest.len())
}

/// Without the space and the comments that it begins with.
pub(super) fn blank(text: &str) -> &str {
    let mut text = text.trim_start();
    while text.starts_with('#') {
        text = text
            .split_once('\n')
            .map_or("", |(_, rest)| rest.trim_start());
    }
    text
}
