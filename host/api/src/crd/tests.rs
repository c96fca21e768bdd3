//! The definitions as they are checked in.

use super::*;
use std::path::Path;

#[test]
fn the_checked_in_definitions_are_those_of_the_types() {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/reeve-crds/templates");
    let mut left = std::fs::read_dir(&chart)
        .map(|dir| {
            dir.map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_else(|_| Vec::new());
    for crd in crds() {
        let name = format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
        let text = format!(
            "# Generated from the types of host/api; REEVE_BLESS=1 cargo test -p reeve-api writes it anew.\n{}",
            yaml_serde::to_string(&crd).unwrap()
        );
        assert!(
            !text.contains("{{"),
            "{name}: Helm would take it for a template"
        );
        let path = chart.join(&name);
        if std::env::var_os("REEVE_BLESS").is_some() {
            std::fs::create_dir_all(&chart).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == text,
            "{} is stale: run REEVE_BLESS=1 cargo test -p reeve-api",
            path.display()
        );
        left.retain(|file| *file != name);
    }
    assert!(left.is_empty(), "nothing generates {left:?}");
}
