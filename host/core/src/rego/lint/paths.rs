//! Rules in whose paths a variable stands where another rule has a name.
//!
//! To OPA `w[k].a` and `w.x.b` are parts of one object, and so are they to regorus where somebody asks for all of `w`. Asked
//! for `w.x`, it knows only the second. So such rules are refused. It deliberately leaves alone the entries of an object
//! (`w[k] := 1` and `w.x := 2`), which it finds.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Error, Module, head_of, refused, rules};
use crate::rego::extent::shape;
use crate::rego::heads;

/// What in them is refused.
pub(super) fn refusals(modules: &[Module]) -> Vec<Error> {
    let mut places: BTreeMap<String, Forks<'_>> = BTreeMap::new();
    for module in modules {
        let heads = rules(module).iter();
        for head in heads.filter_map(|rule| rule.pointer("/Spec/head")) {
            if !heads::is_container(head) {
                note(module, head, &mut places);
            }
        }
    }
    let mut errors: Vec<Error> = places.values().filter_map(Forks::refusal).collect();
    errors.dedup();
    errors
}

/// What goes on from one place of a path.
#[derive(Default)]
struct Forks<'a> {
    by_variable: bool,
    /// A rule that goes on with a name.
    by_name: Option<(&'a Module, Option<&'a Value>)>,
    /// Whether something goes on further, or is a set.
    is_deep: bool,
}

impl Forks<'_> {
    fn refusal(&self) -> Option<Error> {
        let (module, span) = self.by_name.filter(|_| self.by_variable && self.is_deep)?;
        let why = "another rule has a variable in its path where this one has a name, and would not be found beside it: give \
                   one of the two another name, or write both with a variable";
        Some(refused(&module.file, span, why))
    }
}

/// Notes where the path of a rule leads.
fn note<'a>(module: &'a Module, head: &'a Value, places: &mut BTreeMap<String, Forks<'a>>) {
    let (kind, inner) = shape(head);
    let Some((_, _, span)) = head_of(head).filter(|_| kind != "Func") else {
        return;
    };
    let steps = inner.get("refr").and_then(steps).unwrap_or_default();
    let mut place = module.package.clone();
    for (at, step) in steps.iter().enumerate() {
        let forks = places.entry(place.clone()).or_default();
        forks.is_deep |= kind != "Compr" || at + 1 < steps.len();
        place.push(' ');
        match step {
            Some(name) => {
                forks.by_name.get_or_insert((module, span));
                place.push_str(name);
            }
            None => {
                forks.by_variable = true;
                place.push('*');
            }
        }
    }
}

/// The steps of a rule's path: what is written there, or none for a variable.
fn steps(path: &Value) -> Option<Vec<Option<String>>> {
    let mut path = path;
    let mut found = Vec::new();
    loop {
        let (shape, fields) = shape(path);
        match shape {
            "RefDot" => {
                let field = fields.get("field")?.as_array()?.last()?;
                found.push(Some(field.to_string()));
            }
            "RefBrack" => found.push(fields.get("index").and_then(written)),
            _ => {
                found.push(fields.get("value").map(Value::to_string));
                found.reverse();
                return Some(found);
            }
        }
        path = fields.get("refr")?;
    }
}

fn written(index: &Value) -> Option<String> {
    let plain = ["String", "RawString", "Number", "Bool", "Null"].into_iter();
    let mut plain = plain.filter_map(|shape| index.get(shape)?.get("value"));
    plain.next().map(Value::to_string)
}

#[cfg(test)]
mod tests {
    use crate::rego::Policy;

    const HEAD: &str = "# METADATA\n# title: t\n# description: d\npackage a\ndeny contains {\"message\": \"m\"} if w\n";

    fn told(rules: &str) -> Vec<String> {
        let files = [("p.rego".to_owned(), format!("{HEAD}{rules}\n").into_bytes())];
        match Policy::load("p", &files.into(), &serde_json::json!({})) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_variable_and_a_name_in_one_place_of_two_paths_are_refused() {
        for (rules, line) in [
            ("w[k].c := 1 if some k in [\"x\"]\nw.x.d := 2", 7),
            ("w[input.k].c := 1\nw[\"x\"].d := 2", 7),
            ("w.x contains 2\nw[k] contains 1 if some k in [\"x\"]", 6),
            (
                "w.a.b[k].s contains 1 if some k in [\"x\"]\nw.a.b.x.t contains 1",
                7,
            ),
            (
                "w[k][j] := 1 if { some k in [\"x\"]; j := k }\nw.x[j] := 2 if j := \"d\"",
                7,
            ),
        ] {
            let told = told(rules);
            let [told] = told.as_slice() else {
                panic!("{rules}: {told:?}");
            };
            let begins = format!("p.rego:{line}:1: another rule has a variable in its path");
            assert!(told.starts_with(&begins), "{rules}: {told}");
        }
    }

    #[test]
    fn other_parts_of_one_object_are_not() {
        for rules in [
            "w[k] := 1 if some k in [\"x\"]\nw.y := 2",
            "w.a[k] := 1 if some k in [\"x\"]\nw.a.y := 2\nw.b.c.d := 3",
            "w[k].a := 1 if some k in [\"x\"]\nw[k].b := 2 if some k in [\"x\"]",
            "w.a.b := input.none\nw.a.c.d := input.none\nw.e contains input.none",
            "w[1].a := 1\nw[2].a := 2",
        ] {
            assert_eq!(told(rules), Vec::<String>::new(), "{rules}");
        }
    }
}
