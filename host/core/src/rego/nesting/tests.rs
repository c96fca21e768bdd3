//! Few bytes that would end the process that reads them, or hold it up.

use std::time::{Duration, Instant};

use super::scan;
use crate::rego::{Input, Policy};

const HEAD: &str = "# METADATA\n# title: t\n# description: d\npackage a\n";
const DEEP: &str = "nested deeper than 100 levels";
const LONG: &str = "reading it takes too long";

fn nested(open: &str, times: usize, inner: &str, close: &str) -> String {
    let expression = format!("{}{inner}{}", open.repeat(times), close.repeat(times));
    format!("{HEAD}deny contains {{\"message\": \"m\"}} if {{\n{expression}\n}}\n")
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a refusal takes is what is tested"
)]
fn now() -> Instant {
    Instant::now()
}

/// What opens a level, what lies inside of all, what closes a level, how many there are, and what is told.
const BOMBS: &[(&str, &str, &str, usize, &str)] = &[
    ("[", "1", "]", 5_000, LONG),
    ("(", "1", ")", 5_000, DEEP),
    ("abs(", "1", ")", 50_000, DEEP),
    ("[1|", "1", "]", 20_000, LONG),
    ("[1, ", "1", "]", 20_000, DEEP),
    ("{1:", "1", "}", 5_000, LONG),
    ("{1, ", "1", "}", 5_000, DEEP),
    ("-", "1", "", 100_000, DEEP),
    ("- ", "1", "", 100_000, DEEP),
    ("1+", "1", "", 100_000, DEEP),
    ("1\n+", "1", "", 80_000, DEEP),
    ("{1}|", "{1}", "", 40_000, DEEP),
    ("1 in ", "[1]", "", 40_000, DEEP),
    ("input[", "input", "]", 20_000, DEEP),
    ("", "input", ".a", 1_000, DEEP),
    ("", "input", "[\"a\"\n]", 40_000, DEEP),
    ("every x in [1] {\n", "x", "}", 9_000, LONG),
    ("every x in [1] {\nsome a, b in x\n", "x", "}", 7_000, DEEP),
    ("every + ", "1", "", 9_000, DEEP),
    ("[", "1", "]", 40, LONG),
    ("{", "1", "}", 40, LONG),
    ("{1:", "1", "}", 40, LONG),
    ("{", "1", ":1}", 40, LONG),
    ("[1|", "1", "]", 40, LONG),
    ("[1|not[1|", "1", "]]", 20, LONG),
    ("{1:1|", "1", "}", 40, LONG),
    ("count([", "1", "])", 40, LONG),
    ("input[[", "1", "]]", 40, LONG),
    ("[[\"#]`\", ", "1", "]]", 60, LONG),
];

#[test]
fn what_is_nested_too_deep_is_refused_at_once_with_its_line() {
    for (open, inner, close, times, why) in BOMBS {
        let source = nested(open, *times, inner, close);
        let begun = now();
        let error = Policy::compile("bomb", &source).expect_err(open);
        let took = begun.elapsed();
        let told = error.to_string();
        assert!(told.contains(why), "{open}: {told}");
        assert!(told.starts_with("bomb/policy.rego:"), "{told}");
        assert!(took < Duration::from_secs(2), "{open}: {took:?}");
    }
}

#[test]
fn what_is_nested_as_deep_as_it_may_is_read_and_evaluated_without_an_end_of_the_stack() {
    let input = Input::new(&serde_json::json!({"a": 1})).unwrap();
    let mut evaluated = 0;
    for (open, inner, close, _, why) in BOMBS {
        // Such take the parser's time, and not its stack.
        if *why == LONG || *open == "every + " {
            continue;
        }
        let source = |times: usize| nested(open, times, inner, close);
        let passes = |times: &usize| scan(&source(*times), &mut 0).is_none();
        let most = (1..200).take_while(passes).last().unwrap();
        // The largest is read, if only to be refused for another reason; some smaller one is evaluated.
        let load = |times| Policy::compile("deep", &source(times)).ok();
        if let Some(policy) = (1..=most).rev().find_map(load) {
            let _answer = policy.judge(&input);
            evaluated += 1;
        }
    }
    assert!(evaluated > 8, "{evaluated}");
}

#[test]
fn a_manifest_in_a_test_is_not_nested_too_deep() {
    let manifest = r#"{"objects": [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec": {
    "containers": [{"name": "c", "image": "i"}], "affinity": {"nodeAffinity": {"required": {"terms": [
        {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}]}
    ]}}}}}}}]}"#;
    let rules = format!("count(input.objects) > 0 with input as {manifest}\n").repeat(50);
    let source = nested("", 1, &rules, "");
    Policy::compile("honest", &source).unwrap();
}

#[test]
fn brackets_in_strings_and_comments_are_none() {
    let brackets = "[".repeat(500);
    let inner = format!(
        "input.a == \"{brackets}\\\"{brackets}\" # {brackets}\ninput.b == `{brackets}\n\\`"
    );
    Policy::compile("strings", &nested("", 1, &inner, "")).unwrap();
}

#[test]
fn a_module_has_a_bound_on_its_imports() {
    let with = |count: usize| {
        let imports: String = (0..count)
            .map(|n| format!("import data.b.c{n}\n"))
            .collect();
        let source = format!("{HEAD}{imports}deny contains {{\"message\": \"m\"}} if input.a\n");
        Policy::compile("many", &source)
    };
    with(100).unwrap();
    let told = with(101).unwrap_err().to_string();
    assert_eq!(
        told,
        "many/policy.rego:105: a module has at most 100 imports"
    );
}
