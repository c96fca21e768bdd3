//! What a patch in JSON compares with, as it is written.
//!
//! The library that kustomize uses compares texts: to it `1.0` is not `1`. A patch in YAML is made JSON first, which writes
//! every value in one way.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::yaml::{Node, go_json_number};

/// A value of a patch, as its JSON is written.
pub(super) struct Written(Box<RawValue>);

#[derive(Deserialize)]
struct Operation {
    value: Option<Box<RawValue>>,
}

impl Written {
    /// The values of the operations; none of a patch that is not JSON.
    pub(super) fn read(patch: &[u8]) -> Vec<Option<Self>> {
        if !patch.starts_with(b"[") {
            return Vec::new();
        }
        let operations: Vec<Operation> = serde_json::from_slice(patch).unwrap_or_default();
        let value = |operation: Operation| operation.value.map(Self);
        operations.into_iter().map(value).collect()
    }

    /// How long it is.
    pub(super) fn len(&self) -> u64 {
        self.0.get().len() as u64
    }

    /// Whether a value is written like this.
    pub(super) fn is(&self, node: &Node) -> bool {
        is(&self.0, node)
    }
}

fn is(written: &RawValue, node: &Node) -> bool {
    let text = written.get();
    match node {
        Node::Map(map) => {
            let fields = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text);
            fields.is_ok_and(|fields| {
                fields.len() == map.len()
                    && map
                        .iter()
                        .all(|(key, node)| fields.get(key.as_str()).is_some_and(|f| is(f, node)))
            })
        }
        Node::Seq(items) => {
            let values = serde_json::from_str::<Vec<Box<RawValue>>>(text);
            values.is_ok_and(|values| {
                values.len() == items.len() && values.iter().zip(items).all(|(v, n)| is(v, n))
            })
        }
        Node::Scalar(_) => {
            let value = node.clone().into_value();
            value.is_ok_and(|value| scalar(&value) == text)
        }
    }
}

/// As Go writes it.
fn scalar(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or_else(String::new, go_json_number)
        }
        Value::String(_) => {
            let mut out = String::new();
            for c in value.to_string().chars() {
                match c {
                    '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                        out.push_str(&format!("\\u{:04x}", u32::from(c)));
                    }
                    c => out.push(c),
                }
            }
            out
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_written_as_go_writes_it() {
        for (value, written) in [
            (json!("a<b>&\u{2028}"), r#""a\u003cb\u003e\u0026\u2028""#),
            (json!("\"\n\u{1}é"), "\"\\\"\\n\\u0001é\""),
            (json!(1.0), "1"),
            (json!(1e21), "1e+21"),
            (json!(true), "true"),
            (json!(null), "null"),
        ] {
            assert_eq!(scalar(&value), written);
        }
    }
}
