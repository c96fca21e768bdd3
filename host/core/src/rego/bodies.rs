//! How many conditions stand in one body.
//!
//! regorus puts them in order before it evaluates any, in a time that grows with more than their square, and looks at no
//! clock meanwhile: five thousand took it minutes. It deliberately leaves alone how many rules there are.

use serde_json::Value;

use super::Error;
use super::lint::{self, Module};

/// The most conditions of one body.
const CONDITION_LIMIT: usize = 500;
/// The most that the squares of all these numbers make. That takes it one or two seconds.
const SQUARES_LIMIT: usize = 1_000_000;

/// The first body that is too much.
pub(super) fn refusal(modules: &[Module]) -> Option<Error> {
    let mut squares = 0;
    modules.iter().find_map(|module| {
        let (query, conditions) = excess(&module.tree, &mut squares)?;
        let why = format!(
            "a body of {conditions} conditions takes too long to be put in order: at most {CONDITION_LIMIT} are, and \
             fewer where many bodies are as long; make rules of some of them"
        );
        Some(Error::at(lint::place(&module.file, query.get("span")), why))
    })
}

fn excess<'a>(node: &'a Value, squares: &mut usize) -> Option<(&'a Value, usize)> {
    match node {
        Value::Array(items) => items.iter().find_map(|item| excess(item, squares)),
        Value::Object(fields) => {
            if let Some(conditions) = fields.get("stmts").and_then(Value::as_array) {
                let count = conditions.len();
                *squares = squares.saturating_add(count.saturating_mul(count));
                if count > CONDITION_LIMIT || *squares > SQUARES_LIMIT {
                    return Some((node, count));
                }
            }
            fields.values().find_map(|value| excess(value, squares))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::rego::Policy;

    fn refusal(bodies: usize, conditions: usize) -> Option<String> {
        let body = |body: usize| {
            let first =
                format!("deny contains {{\"message\": \"{body}\"}} if {{\n\ta0 := input.x\n");
            let others = (1..conditions).map(|n| format!("\ta{n} := a{}\n", n - 1));
            format!("{first}{}}}\n", others.collect::<String>())
        };
        let bodies: String = (0..bodies).map(body).collect();
        let head = "# METADATA\n# title: t\n# description: d\npackage a\n";
        let loaded = Policy::compile("p", &format!("{head}{bodies}"));
        loaded.err().map(|error| error.to_string())
    }

    #[test]
    fn a_body_has_a_bound_and_so_have_all_of_them_together() {
        assert_eq!(refusal(100, 20), None);
        for (bodies, conditions, place) in [(1, 501, "5:"), (110, 100, "10205:")] {
            let told = refusal(bodies, conditions).unwrap_or_default();
            let words = format!("a body of {conditions} conditions takes too long");
            assert!(
                told.starts_with(&format!("p/policy.rego:{place}")),
                "{told}"
            );
            assert!(told.contains(&words), "{told}");
        }
    }
}
