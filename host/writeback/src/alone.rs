//! Files of one object: what a file of its own is that an object has.
//!
//! Empty documents beside it do not count. Whose object it is, and whether the file is ours, is the caller's.

use reeve_kustomize::edit::documents;
use serde_json::Value;

/// The only document of a file, and which of its documents it is; None where there are more, or none, or it is no YAML.
pub fn alone(bytes: &[u8], path: &str) -> Option<(usize, Value)> {
    let all = documents(bytes, path).ok()?.into_iter().enumerate();
    let mut all = all.filter(|(_, one)| !one.value.is_null());
    let (Some((number, one)), None) = (all.next(), all.next()) else {
        return None;
    };
    Some((number, one.value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_of_one_object_may_have_empty_documents_beside_it_and_no_other() {
        let of = |text: &str| alone(text.as_bytes(), "a.yaml");
        assert_eq!(of("a: 1\n"), Some((0, json!({"a": 1}))));
        assert_eq!(
            of("---\n# nothing\n---\na: 1\n"),
            Some((1, json!({"a": 1})))
        );
        for none in ["", "# nothing\n", "a: 1\n---\nb: 2\n", "a: ["] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
