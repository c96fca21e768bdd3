//! Bodies, and how they are handed on.

use super::*;
use crate::rego::draft::Draft;

fn rewritten(body: &str) -> Result<String, String> {
    let source = format!(
        "package a\nimport data.lists as known\nname := \"x\"\ndeny contains 1 if {body}\n"
    );
    let sources = vec![("a.rego".to_owned(), source)];
    let mut draft = Draft::read(Vec::new(), &sources).expect("it can be parsed");
    let told = |errors: Vec<Error>| {
        let error = errors.first().expect("there is one");
        error.to_string()
    };
    draft.rewrite(hoisted).map_err(told)?;
    let module = draft.modules().first().expect("it is one module");
    let body = module
        .source
        .split_once("contains 1 if ")
        .expect("it is there")
        .1;
    Ok(body.trim_end().to_owned())
}

#[test]
fn what_a_negation_is_asked_about_is_written_before_it() {
    for (body, want) in [
        (
            "{ not startswith(input.x, \"a\") }",
            "{ before_not_0 := input.x; not startswith(before_not_0, \"a\") }",
        ),
        // A body without braces gets some.
        (
            "not startswith(input.x, \"a\")",
            "{ before_not_0 := input.x; not startswith(before_not_0, \"a\") }",
        ),
        // Also one that begins with a set.
        (
            "{1, input.x} in known",
            "{ before_not_0 := input.x; before_not_1 := known; {1, before_not_0} in before_not_1 }",
        ),
        (
            "{ not count(input.x) > lower(input.y) }",
            "{ before_not_0 := input.x; before_not_1 := count(before_not_0); before_not_2 := input.y; before_not_3 := lower(before_not_2); not before_not_1 > before_not_3 }",
        ),
        // Sides of an equation, and what is negated by itself.
        ("{ not input.x == 1 }", "{ not input.x == 1 }"),
        ("{ not input.x.y }", "{ not input.x.y }"),
        ("{ not name }", "{ not name }"),
        (
            "{ not [input.x] == [1] }",
            "{ before_not_0 := input.x; not [before_not_0] == [1] }",
        ),
        (
            "{ not input.o[input.x].y }",
            "{ before_not_0 := input.x; not input.o[before_not_0].y }",
        ),
        // Rules and imports may have no value either; what the body itself has named has one.
        (
            "{ x := input.x; not startswith(x, name) }",
            "{ x := input.x; before_not_0 := name; not startswith(x, before_not_0) }",
        ),
        (
            "{ x := 1; not x in known }",
            "{ x := 1; before_not_0 := known; not x in before_not_0 }",
        ),
        (
            "{ not startswith(input.x, \"a\") with input as {\"x\": \"b\"}\n\tinput.y }",
            "{ before_not_0 := input.x with input as {\"x\": \"b\"}; not startswith(before_not_0, \"a\") with input as {\"x\": \"b\"}\n\tinput.y }",
        ),
        (
            "{ every x in input.l { not startswith(x.y, \"a\") } }",
            "{ every x in input.l { before_not_0 := x.y; not startswith(before_not_0, \"a\") } }",
        ),
        (
            "{ count([x | some x in input.l; not x.y in input.z]) > 0 }",
            "{ count([x | some x in input.l; before_not_0 := x.y; before_not_1 := input.z; not before_not_0 in before_not_1]) > 0 }",
        ),
    ] {
        assert_eq!(rewritten(body).as_deref(), Ok(want), "{body}");
    }
}

#[test]
fn a_placeholder_below_a_negation_is_refused() {
    for body in [
        "not input.l[_] == 9",
        "{ not startswith(input.l[_], \"a\") }",
    ] {
        let told = rewritten(body).expect_err("it says neither any nor all");
        assert!(told.contains("`_` is of no use below `not`"), "{told}");
    }
}
