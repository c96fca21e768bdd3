//! What policies say in the format of OASIS for results of static analysis, version 2.1.0, with all that GitHub wants.

use reeve_core::rego::{Metadata, Severity};
use serde_json::{Value, json};

/// The one run of a tool, with its rules and what came of it.
pub(super) fn document(rules: Vec<Value>, results: Vec<Value>) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "reeve", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "results": results,
        }],
    })
}

/// A policy.
pub(super) fn rule(id: &str, metadata: &Metadata) -> Value {
    let severity = match metadata.severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.0",
        Severity::Low => "2.0",
        Severity::Info => "0.0",
    };
    json!({
        "id": id,
        "shortDescription": {"text": metadata.title},
        "fullDescription": {"text": metadata.description},
        "help": {"text": metadata.hint.as_deref().unwrap_or(&metadata.title)},
        "properties": {"security-severity": severity, "tags": ["security"]},
    })
}

/// A policy of which nothing is known but its name.
pub(super) fn nameless(id: &str) -> Value {
    let text = json!({"text": id});
    json!({"id": id, "shortDescription": text, "fullDescription": text, "help": text})
}

/// One thing that one says, at a line of a file and, where `what` is not empty, about that.
pub(super) fn result(
    id: &str,
    level: &str,
    message: &str,
    (file, line): (&str, u64),
    what: &str,
) -> Value {
    let physical = json!({
        "artifactLocation": {"uri": uri(file)},
        "region": {"startLine": line.max(1)},
    });
    let location = match what {
        "" => json!({"physicalLocation": physical}),
        what => json!({
            "physicalLocation": physical,
            "logicalLocations": [{"fullyQualifiedName": what, "kind": "object"}],
        }),
    };
    json!({
        "ruleId": id,
        "level": level,
        "message": {"text": message},
        "locations": [location],
    })
}

/// A path as a URI: what cannot stand in one is written with `%`.
fn uri(path: &str) -> String {
    const KEPT: percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'/');
    let path = path.strip_prefix("./").unwrap_or(path);
    percent_encoding::utf8_percent_encode(path, &KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_has_what_github_wants_of_one() {
        let result = result("pods", "error", "no", ("./my rules/a.rego", 0), "");
        let location = "/locations/0/physicalLocation";
        let at = |pointer: &str| result.pointer(&format!("{location}{pointer}"));
        assert_eq!(
            at("/artifactLocation/uri"),
            Some(&json!("my%20rules/a.rego"))
        );
        assert_eq!(at("/region/startLine"), Some(&json!(1)));
        assert_eq!(result.pointer("/message/text"), Some(&json!("no")));
        for field in ["id", "shortDescription", "fullDescription", "help"] {
            assert!(nameless("pods").get(field).is_some(), "{field}");
        }
    }
}
