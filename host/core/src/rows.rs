//! The rows of `tests/cases`, for unit tests.

use std::path::Path;

use serde_json::Value;

/// Every row of the YAML files of `tests/cases/<folder>`, and where it stands; a document is a row or a list of them. Each
/// file says in its first line what it holds, and each row what it shows.
#[expect(clippy::disallowed_methods, reason = "the rows are the data of tests")]
pub(crate) fn rows(folder: &str) -> Vec<(String, Value)> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(cases.join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let titled = text.starts_with("# ");
        assert!(titled, "{name}: its first line says what it holds");
        for document in reeve_kustomize::parse_yaml(text.as_bytes(), &name).unwrap() {
            let documents = match document {
                Value::Array(rows) => rows,
                row => vec![row],
            };
            for row in documents {
                let says = row["says"].as_str();
                let says = says.unwrap_or_else(|| panic!("{name}: a row says nothing"));
                all.push((format!("{name}: {says}"), row));
            }
        }
    }
    all
}
