//! Rules with patterns, and what is said of them.

use crate::rego::Policy;

const HEAD: &str = "# METADATA\n# title: t\n# description: d\npackage a\n";

/// What is refused of rules that begin in line 5, without the file.
fn refusals(more: &str, rules: &str) -> Vec<String> {
    let files = [
        ("p.rego", format!("{HEAD}{rules}\n")),
        ("q.rego", format!("package a\n{more}\n")),
    ];
    let files = files.map(|(file, source)| (file.to_owned(), source.into_bytes()));
    match Policy::load("p", &files.into(), &serde_json::json!({})) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// A condition of a policy whose other file has `more`, and how what is said of it goes on.
fn held(more: &str, rows: &[(&str, &str)], why: &str) {
    for (condition, place) in rows {
        let rules = format!("deny contains {{\"message\": \"m\"}} if {{ {condition} }}");
        let told = refusals(more, &rules);
        let begins = format!("p.rego:5:{place}: ");
        let [told] = told.as_slice() else {
            panic!("{condition}: {told:#?}");
        };
        assert!(told.starts_with(&begins), "{condition}: {told}");
        assert!(told.contains(why), "{condition}: {told}");
    }
}

#[test]
fn a_pattern_of_an_object_is_refused() {
    let rows = [
        ("some {\"x\": a} in input.l; a", "42"),
        ("some {} in input.l", "42"),
        ("some k, [{\"x\": a}] in input.l; a == k", "46"),
        ("{\"x\": a} := input.o; a", "37"),
        ("[_, {\"x\": a}] := input.o; a", "41"),
        ("{\"x\": a} = input.o; a", "37"),
        ("input.o = {\"x\": _}", "47"),
        ("[1, {\"x\": a}] = [input.y, input.o]; a", "41"),
        ("{\"x\": {\"y\": a}} = {\"x\": input.o}; a", "43"),
        ("[{\"x\": 1}, y] = [input.o, 1]; y", "38"),
        ("[{\"x\": 1}, y] = input.o; y", "38"),
        (
            "{\"k\": {\"x\": 1}, \"y\": y} = {\"k\": input.o, \"y\": 1}; y",
            "43",
        ),
        ("s[[{\"x\": 1}, y]]; y", "40"),
        // Which of the two has its value first nobody knows.
        ("o = input.o; {\"x\": a} = o; a = input.a", "50"),
        ("o := input.o; {\"x\": a} = o; a", "51"),
        ("walk(input, [_, {\"x\": 1}])", "53"),
        ("f(1, {\"x\": a}); a", "42"),
        ("s[{\"x\": a}]; a", "39"),
        ("x := [a | {\"x\": a} = input.o]; x", "47"),
        (
            "every y in input.l { {\"kind\": \"User\", \"name\": _} = y.z }",
            "58",
        ),
    ];
    let more = "f(x) := x\ns contains x if some x in input.l";
    held(more, &rows, "a pattern of an object also matches objects");
    for function in ["g({\"x\": 1}) := 1", "g(_, [{}]) := 1"] {
        let told = refusals(function, "deny contains {\"message\": \"m\"} if input.x");
        assert_eq!(told.len(), 1, "{told:?}");
        let why = "q.rego:2:";
        assert!(told.iter().all(|one| one.starts_with(why)), "{told:?}");
    }
}

#[test]
fn a_variable_in_two_arguments_is_refused() {
    let deny = "deny contains {\"message\": \"m\"} if input.x";
    for function in ["g(x, x) := x", "g(x, [x]) := x", "g(x, _, [1, [x]]) := x"] {
        let told = refusals(function, deny);
        let [told] = told.as_slice() else {
            panic!("{function}: {told:?}");
        };
        assert!(
            told.contains("variable x stands in two arguments"),
            "{told}"
        );
    }
    let rows = [
        ("some k, [k] in input.o", "46"),
        ("some k, k in input.o", "45"),
    ];
    held(
        "f := 1",
        &rows,
        "variable k stands in the key and in the value",
    );
}

#[test]
fn a_variable_of_every_is_refused_where_it_would_have_another_value() {
    let rows = [
        ("every s in input.l { s = \"a\" }", "58"),
        ("every s in input.l { \"a\" = s }", "64"),
        ("every s in input.l { [s, _] = input.o }", "59"),
        ("every s, _ in input.l { s = 1 }", "61"),
        ("every s in input.l { x := [1 | s = 1]; x }", "68"),
        ("every s in input.l { f(1, s) }", "63"),
        ("every s in input.l { input.p[[s, 1]] }", "67"),
        (
            "every s in input.l { every t in s { t == 1; s = 2 } }",
            "81",
        ),
    ];
    held(
        "f(x) := x",
        &rows,
        "variable s of every is given another value",
    );
}

#[test]
fn a_name_that_some_declares_in_vain_is_refused() {
    let rows = [
        ("some i; input.l[i]", "42"),
        ("some k, i; input.l[i] == k", "45"),
        ("every x in input.l { some i; input.m[i] == x }", "63"),
    ];
    held("i := 2", &rows, "a rule or an import is called i too");
    held(
        "i[x] := 1 if x := input.x",
        &rows,
        "a rule or an import is called i too",
    );
    held("i(x) := x", &rows, "a rule or an import is called i too");
    let rows = [
        ("some i in input.l; i", "42"),
        ("some i, v in input.l; i == v", "42"),
    ];
    held(
        "i := 2",
        &rows,
        "some i in …: a rule or an import is called i too",
    );
    let rows = [
        ("i := 1; x := [v | some i; v := input.l[i]]; x; i", "60"),
        ("input.l[i]; x := [v | some i; v := input.l[i]]; x", "64"),
        ("every i in input.l { some i; input.l[i] }", "63"),
    ];
    held("f := 2", &rows, "a variable around it is called i too");
    let import =
        "import input.o as i\ndeny contains {\"message\": \"m\"} if { some i; input.l[i] }";
    let told = refusals("f := 2", import);
    assert!(
        told.iter()
            .any(|one| one.starts_with("p.rego:6:42: some i ")),
        "{told:?}"
    );
}

#[test]
fn a_shadow_that_regorus_refuses_is_told_with_what_to_do() {
    let rules = "deny contains {\"message\": \"m\"} if { some b in input.l; c := [b | some b in input.m]; c }";
    let told = refusals("f := 1", rules);
    let what = "give one of them another name";
    assert!(told.iter().any(|one| one.ends_with(what)), "{told:?}");
}

#[test]
fn what_is_the_same_to_both_is_taken() {
    let more = "f(x) := x\ng(x, _, [y, y]) := [x, y]\ni := 2\nh(i) := input.l[i]\n\
        s contains x if some x in input.l\nlist := [{\"x\": n} | some n in input.l]";
    for condition in [
        "o := {\"x\": 1}; o",
        "o = {\"x\": input.y}; o",
        "v := 1; o = {\"x\": v}; o",
        "v = input.v; o = {\"x\": v}; f(o)",
        "v := 1; {\"x\": v} = input.o",
        "some v in input.l; input.o = {\"x\": v}",
        "{\"x\": v} = {\"x\": 1}; v",
        "v := 1; s[{\"x\": v}]",
        "s[{\"x\": 1}]",
        "input.o == {\"x\": input.y}",
        "{\"x\": 1} in input.l",
        "object.get(input.o, \"x\", {\"y\": 1})",
        "some x in [{\"a\": 1}]; x.a == 1",
        "every x in [{\"a\": 1}] { x.a == 1 }",
        "every k, v in input.o { k == v; input.l[k] == v }",
        "every x in input.l { y := x.a; y == 1; [z | z := y] == [1] }",
        "every x in input.l { some y in x; y = 1 }",
        "every i in input.l { i == 1 }",
        "[a, _] = input.l; a",
        "[a, [b, 1]] := input.l; a == b",
        "walk(input, [p, v]); p[0] == v",
        "j := 1; x := [v | some k; v := input.l[k]]; x == j",
        "x := [v | some k; v := input.l[k]]; y := [v | some k; v := input.m[k]]; x == y",
        "i := 1; i == 1",
        "h(1) == i",
        "data.a.f(1, y); y",
    ] {
        let rules = format!("deny contains {{\"message\": \"m\"}} if {{ {condition} }}");
        assert_eq!(refusals(more, &rules), [""; 0], "{condition}");
    }
}

#[test]
fn what_with_puts_in_a_place_is_not_looked_for_there() {
    let why = "what with puts there is looked for by brackets";
    let rows = [
        ("input.y with input.y as input.l[_]", "61"),
        ("input.y with input.y as [1, input.l[i]]", "65"),
        ("not input.y with input.y as {\"a\": input.l[i].b}", "71"),
        ("input.y with input.y as input.l[[a, 1]]", "61"),
    ];
    held("", &rows, why);
    for condition in [
        "x := input.l[_]; input.y with input.y as x",
        "some i in [1]; input.y with input.y as input.l[i]",
        "input.y with input.y as [x | x := input.l[_]]",
        "input.y with input.y as input.l[0][\"a\"]",
        "input.y with input.y as input.l[n]",
    ] {
        let rules = format!("deny contains {{\"message\": \"m\"}} if {{ {condition} }}");
        let none: [String; 0] = [];
        assert_eq!(refusals("n := 1", &rules), none, "{condition}");
    }
}

#[test]
fn a_variable_does_not_stand_before_some_declares_it() {
    let why = " stands here before some ";
    let rows = [
        ("count([1 | input.o[k]]) > 1; some k in [1]; k", "56"),
        (
            "not [q | q := input.o[k]] == []; some k, _ in {1: 1}; k",
            "59",
        ),
        ("every q in [k] { q }; some k in [1]", "49"),
        ("count({1 | some j in [k]; j}) > 1; some k in [1]", "59"),
    ];
    held("", &rows, why);
    for condition in [
        "count([1 | some k in input.o; k]) > 1; some k in [1]; k",
        "count([k | k := input.o; k]) > 1; some k in [1]; k",
        "every k in input.o { k }; some k in [1]; k",
        "every k, _ in input.o { k }; some k in [1]; k",
        "some k in [1]; count([1 | input.o[k]]) > 1",
        "some j in [1]; some k in [j]; some i in [k]; i",
    ] {
        let rules = format!("deny contains {{\"message\": \"m\"}} if {{ {condition} }}");
        let told = refusals("", &rules);
        assert!(
            !told.iter().any(|one| one.contains(why)),
            "{condition}: {told:?}"
        );
    }
}
