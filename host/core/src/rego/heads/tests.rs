//! Heads, and how they are handed on.

use super::*;
use crate::rego::draft::Draft;
use crate::rego::{Input, Policy};
use serde_json::json;

fn rewritten(rules: &str) -> String {
    let source = format!("package a\nimport data.lists as known\nname := \"x\"\n{rules}\n");
    let sources = vec![("a.rego".to_owned(), source)];
    let mut draft = Draft::read(Vec::new(), &sources).expect("it can be parsed");
    draft
        .rewrite(|all, own| Ok(moved(all, own)))
        .expect("what is written can be parsed");
    let module = draft.modules().first().expect("it is one module");
    let rules = module.source.split_once("\"x\"\n").expect("it is there").1;
    rules.trim_end().to_owned()
}

#[test]
fn what_a_head_gives_is_a_condition_of_its_body() {
    for (rules, want) in [
        // What always has a value stays where it is.
        ("r contains m if m := 1", "r contains m if m := 1"),
        (
            "r := {\"a\": [1, \"b\"]} if input.x",
            "r := {\"a\": [1, \"b\"]} if input.x",
        ),
        (
            "r := {x | some x in input.xs}",
            "r := {x | some x in input.xs}",
        ),
        ("f(x) := x", "f(x) := x"),
        (
            "r contains input.x if input.y",
            "r contains zzzz_given_0 if { input.y; zzzz_given_0 := input.x }",
        ),
        (
            "r contains \"a\" if input.x # why\nr contains input.x if { # why\n\tinput.y # too\n\tinput.z\n}",
            "r contains \"a\" if input.x # why\nr contains zzzz_given_0 if { # why\n\tinput.y # too\n\tinput.z; zzzz_given_0 := input.x\n}",
        ),
        (
            "r contains {\n\t\"message\": name, # \"\n\t\"path\": `a\nb`,\n} if {\n\tname := input.y # why\n}",
            "r contains zzzz_given_0\n\n\n\n if {\n\tname := input.y; zzzz_given_0 := { \"message\": name, \"path\": \"a\\nb\", } # why\n}",
        ),
        (
            "r := count([1 |\n\tsome x in input.xs\n\tx > 1; x < 2\n\tevery y in x {\n\t\ty\n\t\ty.z\n\t}\n]) if input.xs",
            "r := zzzz_given_0\n\n\n\n\n\n\n if { input.xs; zzzz_given_0 := count([1 | some x in input.xs; x > 1; x < 2; every y in x { y; y.z } ]) }",
        ),
        (
            "r := input.x",
            "r := zzzz_given_0 if { zzzz_given_0 := input.x }",
        ),
        (
            "r := (input.x + 1)",
            "r := zzzz_given_0 if { zzzz_given_0 := (input.x + 1) }",
        ),
        (
            "r contains \"a\" in input.x",
            "r contains zzzz_given_0 if { zzzz_given_0 := \"a\" in input.x }",
        ),
        (
            "r := known",
            "r := zzzz_given_0 if { zzzz_given_0 := known }",
        ),
        (
            "r contains name if input.y with input as {}",
            "r contains zzzz_given_0 if { input.y with input as {}; zzzz_given_0 := name }",
        ),
        (
            "f(x) := x.y",
            "f(x) := zzzz_given_0 if { zzzz_given_0 := x.y }",
        ),
        (
            "f(x) := x.y if x.z else := x.a if { x.b } else := x.c",
            "f(x) := zzzz_given_0 if { x.z; zzzz_given_0 := x.y } else := zzzz_given_1 if { x.b; zzzz_given_1 := x.a } else := zzzz_given_2 if { zzzz_given_2 := x.c }",
        ),
        (
            "r[lower(k)] := v if some k, v in input.x",
            "r[zzzz_given_0] := v if { some k, v in input.x; zzzz_given_0 := lower(k) }",
        ),
        (
            "r[lower(k)] := v.a if { some k, v in input.x }",
            "r[zzzz_given_0] := zzzz_given_1 if { some k, v in input.x; zzzz_given_0 := lower(k); zzzz_given_1 := v.a }",
        ),
        (
            "r[input.k] := 1",
            "r[zzzz_given_0] := 1 if { zzzz_given_0 := input.k }",
        ),
        (
            "r[lower(k)] contains v if { some k, v in input.x }",
            "r[zzzz_given_0] := 1 if { some zzzz_given_0 in [] } r[zzzz_given_1] contains v if { some k, v in input.x; zzzz_given_1 := lower(k) }",
        ),
        (
            "r[x.k] contains x.v if some x in input.xs",
            "r[zzzz_given_0] := 1 if { some zzzz_given_0 in [] } r[zzzz_given_1] contains zzzz_given_2 if { some x in input.xs; zzzz_given_1 := x.k; zzzz_given_2 := x.v }",
        ),
        // The object is there without an entry.
        (
            "r.a.b := 1 if input.x",
            "r[\"a\"][zzzz_given_0] := 1 if { some zzzz_given_0 in [] } r.a.b := 1 if input.x",
        ),
        ("r.a contains 1 if input.x", "r.a contains 1 if input.x"),
        // A name that is taken.
        (
            "r := input.x if zzzz_given_0 := 1",
            "r := zzzz_given__0 if { zzzz_given_0 := 1; zzzz_given__0 := input.x }",
        ),
    ] {
        assert_eq!(rewritten(rules), want, "{rules}");
    }
}

fn denied(rules: &str) -> Vec<String> {
    let source = format!("# METADATA\n# title: t\n# description: d\npackage a\n{rules}\n");
    let policy = Policy::compile("a", &source).unwrap_or_else(|error| panic!("{rules}: {error}"));
    let input = json!({"objects": [
        {"n": 1, "labels": {"team": "x"}}, {"n": 2}, {"n": 3, "labels": {"team": "y"}},
    ]});
    let verdict = policy.judge(&Input::new(&input).unwrap()).unwrap();
    verdict
        .violations
        .into_iter()
        .map(|one| one.message)
        .collect()
}

#[test]
fn an_object_without_a_value_for_a_head_ends_nothing_for_others() {
    for rules in [
        "deny contains {\"message\": sprintf(\"%s\", [o.labels.team])} if some o in input.objects",
        "deny contains {\"message\": o.labels.team} if {\n\tsome o in input.objects\n\to.n > 0\n}",
        "deny contains {\"message\": m} if some m in teams\nteams contains o.labels.team if some o in input.objects",
        "deny contains {\"message\": m} if some m in teams\nteams[o.n] := o.labels.team if some o in input.objects",
        "deny contains {\"message\": m} if some m, _ in teams\nteams[o.labels.team] := o.n if some o in input.objects",
        "deny contains {\"message\": m} if some m, _ in teams\nteams[o.labels.team] contains o.n if some o in input.objects",
        "deny contains {\"message\": team(o)} if some o in input.objects\nteam(o) := o.labels.team",
    ] {
        assert_eq!(denied(rules), ["x", "y"], "{rules}");
    }
}

#[test]
fn where_a_head_has_no_value_the_next_one_is_asked() {
    for rules in [
        "deny contains {\"message\": team(input.objects[1])}\nteam(o) := o.labels.team if o.n > 0 else := \"x\"",
        "deny contains {\"message\": team}\nteam := input.objects[1].labels.team if input.objects else := \"x\"",
        "deny contains {\"message\": team}\ndefault team := \"x\"\nteam := input.objects[1].labels.team",
        "deny contains {\"message\": team(1)}\ndefault team(_) := \"x\"\nteam(n) := input.objects[n].labels.team",
    ] {
        assert_eq!(denied(rules), ["x"], "{rules}");
    }
}
