//! Bodies with questions that wait, and how they are handed on.

use super::*;
use crate::rego::draft::Draft;
use crate::rego::{Input, Policy};
use serde_json::json;

fn rewritten(body: &str) -> String {
    let source = format!(
        "package a\nimport data.lists as known\nname := \"x\"\ndeny contains 1 if {body}\n"
    );
    let sources = vec![("a.rego".to_owned(), source)];
    let mut draft = Draft::read(Vec::new(), &sources).expect("it can be parsed");
    draft
        .rewrite(|all, own| Ok(kept(all, own)))
        .expect("what is written can be parsed");
    let module = draft.modules().first().expect("it is one module");
    let body = module
        .source
        .split_once("contains 1 if ")
        .expect("it is there")
        .1;
    body.trim_end().to_owned()
}

#[test]
fn a_question_is_written_so_that_it_waits() {
    for (body, want) in [
        ("{ not input.m.k }", "{ not input.m.k }"),
        ("{ not input.m[\"k\"] }", "{ not input.m[\"k\"] }"),
        // It is looked for: nothing else names it.
        ("{ not input.m[k] }", "{ not input.m[k] }"),
        (
            "{ k = input.k; not known[k] }",
            "{ k = input.k; not reeve_lookup(known, [k]) }",
        ),
        (
            "{ some k in input.ks; not known[\"a\"].b[k][\"c\"].d == 1 }",
            "{ some k in input.ks; not reeve_lookup(known[\"a\"].b, [k, \"c\", \"d\"]) == 1 }",
        ),
        (
            "{ k = input.k; not known[{\"a\": k, \"b\": [k, \"]\"]}].c == 1 }",
            "{ k = input.k; not reeve_lookup(known, [{\"a\": k, \"b\": [k, \"]\"]}, \"c\"]) == 1 }",
        ),
        (
            "{ k = input.k; not count([1 | not known[k]; k]) > f(known[k]) }",
            "{ k = input.k; not count([1 | not reeve_lookup(known, [k]); k]) > f(reeve_lookup(known, [k])) }",
        ),
        (
            "{ k = input.k; every x in input.xs { known[k] == x } }",
            "{ k = input.k; every x in reeve_after(input.xs, [k]) { known[k] == x } }",
        ),
        (
            "{ k = input.k; every x in input.xs { k := x; k } }",
            "{ k = input.k; every x in input.xs { k := x; k } }",
        ),
        (
            "{ both := {\"a\": [1]}\n\tevery image, n in {\"x/y\": 0, \"z\": 1} {\n\t\tcount([image, [\"a\"], both]) == n\n\t}\n}",
            "{ both := {\"a\": [1]}\n\tevery image, n in reeve_after({\"x/y\": 0, \"z\": 1}, [both]) {\n\t\tcount([image, [\"a\"], both]) == n\n\t}\n}",
        ),
        (
            "{ some y in input.ys; every x in input.xs { some y in x; y } }",
            "{ some y in input.ys; every x in input.xs { some y in x; y } }",
        ),
        ("{ not k = 4; k = input.k }", "{ not k == 4; k = input.k }"),
        (
            "{ k = input.k; not ([k, 1]) # a = b\n\t= ([4, known[k]]) with input as {} }",
            "{ k = input.k; not ([k, 1]) # a = b\n\t== ([4, reeve_lookup(known, [k])]) with input as {} }",
        ),
        (
            "{ every x in input.xs { not known[x] } }",
            "{ every x in input.xs { not reeve_lookup(known, [x]) } }",
        ),
    ] {
        let body = body.replace("f(", "count(");
        assert_eq!(rewritten(&body), want.replace("f(", "count("), "{body}");
    }
}

#[test]
fn a_variable_has_its_value_when_it_is_asked_about() {
    for body in [
        "parts := split(input.image, \"/\"); [host, _] = parts; not trusted[host]",
        "some label in [\"a\", \"b\"]; key = label; not input.labels[key]",
        "not trusted[host]; input.hosts[_] = host",
        "tier := \"low\"; level := tier; every x in [\"a\"] { quota[level][x] }",
        "parts := [\"low\", 1]; [level, _] := parts; every x in [\"a\"] { quota[level][x] }",
        "every x in [1] { quota[level].b == x }; quota[level]; level == \"low\"",
        "bad := {\"n\": 1}\n\tevery spec in [\n\t\t{\"c\": [bad]},\n\t\t{\"d\": {\"i\": 1}},\n\t] {\n\t\tcount([spec, bad]) == 2\n\t}\n\tcount([bad]) == 1",
        "some k in [\"evil\"]; k1 = k; not trusted_set[k1]",
        "some k in [\"evil\"]; k1 = k; not trusted_pairs[[k1, 1]]",
        "not k = \"good\"; k = input.hosts[_]",
        "some k in [\"evil\"]; not trusted_kinds[{\"name\": k, \"kind\": \"x\"}]",
        "not [k, 1] = [\"good\", 1]; k = input.hosts[_]",
    ] {
        let source = format!(
            "# METADATA\n# title: t\n# description: d\npackage a\ndeny contains {{\"message\": \"m\"}} if {{ {body} }}\n\
             trusted := {{\"good\": true}}\ntrusted_set := {{\"good\"}}\ntrusted_pairs := {{[\"good\", 1]}}\n\
             trusted_kinds := {{{{\"name\": \"good\", \"kind\": \"x\"}}}}\n\
             quota := {{\"low\": {{\"a\": true, \"b\": 1}}, \"none\": {{\"c\": 1}}}}\n"
        );
        let policy =
            Policy::compile("a", &source).unwrap_or_else(|error| panic!("{body}: {error}"));
        let input = json!({"image": "evil/x", "labels": {"a": 1}, "hosts": ["evil"]});
        let verdict = policy.judge(&Input::new(&input).unwrap());
        assert_eq!(verdict.map(|told| told.violations.len()), Ok(1), "{body}");
    }
}
