//! A component tells what it is without being compiled, and what it says is bounded.

use reeve_wasm::{World, facts};
use serde_json::json;

use crate::guest::{self, ECHO, TRANSFORMER};

const MOST: usize = 16 << 20;

fn of(text: &str) -> Result<reeve_wasm::Facts, reeve_wasm::Error> {
    facts(&wat::parse_str(text).expect("text"), MOST)
}

#[tokio::test]
async fn a_component_says_what_it_is() {
    let component = guest::component(TRANSFORMER, ECHO);
    let told = facts(&component, MOST).expect("it is in order");
    let loaded = guest::load(&guest::sandbox(Default::default()), ECHO).await;
    assert_eq!(told.digest, loaded.digest());
    assert_eq!(told.size, component.len());
    assert_eq!(told.worlds, [World::Transformer]);
    assert_eq!(
        told.imports,
        ["reeve:plugin/log@0.1.0", "reeve:plugin/types@0.1.0"]
    );
    assert_eq!(told.exports, ["reeve:plugin/transform@0.1.0"]);
    assert_eq!((told.schema, told.manifest), (None, None));
    assert_eq!(told.memory, 1 << 16);
    assert!(told.instances >= 1, "{}", told.instances);
}

#[test]
fn the_schema_and_the_manifest_are_those_of_the_outermost_component() {
    let told = of(r#"(component
      (@custom "reeve:config-schema" "{\"type\":\"object\"}")
      (core module (@custom "reeve:manifest" "{\"hosts\":[\"inner\"]}"))
      (component
        (@custom "reeve:config-schema" "{}")
        (@custom "reeve:manifest" "{\"hosts\":[\"inner\"]}")))"#)
    .expect("it is in order");
    assert_eq!(told.schema, Some(json!({"type": "object"})));
    assert_eq!(told.manifest, None);
    assert!(told.worlds.is_empty(), "{:?}", told.worlds);
}

#[test]
fn a_section_that_cannot_be_used_is_refused_by_its_name() {
    let long = format!("{{\\\"a\\\":\\\"{}\\\"}}", "a".repeat(64 << 10));
    for (sections, want) in [
        (
            r#"(@custom "reeve:manifest" "{}") (@custom "reeve:manifest" "{}")"#,
            "its section reeve:manifest is there twice",
        ),
        (
            r#"(@custom "reeve:config-schema" "[]")"#,
            "its section reeve:config-schema is no JSON object: ",
        ),
        (
            r#"(@custom "reeve:config-schema" "\ff")"#,
            "its section reeve:config-schema is no JSON object: ",
        ),
        (
            &format!(r#"(@custom "reeve:config-schema" "{long}")"#),
            "its section reeve:config-schema is larger than 64 KiB",
        ),
        (
            &format!(
                r#"(@custom "reeve:manifest" "{{\"a\":{}")"#,
                "[".repeat(10_000)
            ),
            "its section reeve:manifest is no JSON object: recursion limit",
        ),
    ] {
        let told = of(&format!("(component {sections})"));
        let told = told.expect_err(want).to_string();
        assert!(told.contains(want), "{told}");
    }
}

#[test]
fn what_would_not_load_has_no_facts() {
    for (text, want) in [
        ("(module)", "it is a core module"),
        (
            r#"(component (import "wasi:cli/run@0.2.0" (instance)))"#,
            "`wasi:cli/run@0.2.0`",
        ),
    ] {
        let told = of(text).expect_err(want).to_string();
        assert!(told.contains(want), "{told}");
    }
    let exports: String = (0..1001)
        .map(|i| format!(r#"(export "e{i}" (instance $i))"#))
        .collect();
    let told = of(&format!("(component (instance $i) {exports})"));
    let told = told.expect_err("too many").to_string();
    assert!(told.contains("it has more than 1000 exports"), "{told}");
}
