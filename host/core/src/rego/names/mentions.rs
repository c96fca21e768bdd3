//! The paths that a rule mentions, but for those that begin with a name of its own.
//!
//! Arguments are a rule's own everywhere in it, what `some` and `:=` declare in a body is within that body. It
//! deliberately leaves out no call, for a function cannot be had from a local; and what an inner comprehension declares
//! counts as mentioned: a rule of that name may be meant outside of it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{assigned, declared, paths, variables};
use crate::rego::lint::{self, Module};

/// The paths as they are written.
pub(super) fn of(module: &Module, rule: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(rule.pointer("/Default/value"), &BTreeSet::new(), &mut found);
    let heads = rule.pointer("/Spec/head").and_then(Value::as_object);
    let bodies = rule.pointer("/Spec/bodies").and_then(Value::as_array);
    for head in heads.into_iter().flat_map(|head| head.values()) {
        let arguments = names_in(head.get("args"));
        let mut in_all: Option<BTreeSet<&str>> = None;
        for body in bodies.into_iter().flatten() {
            let locals = locals(module, body);
            let own = arguments.union(&locals).copied().collect();
            collect(Some(body), &own, &mut found);
            in_all = Some(match in_all {
                Some(before) => before.intersection(&locals).copied().collect(),
                None => locals,
            });
        }
        let mut own = arguments;
        own.extend(in_all.into_iter().flatten());
        for (part, node) in head.as_object().into_iter().flatten() {
            match part.as_str() {
                "refr" => keys(node, &own, &mut found),
                _ => collect(Some(node), &own, &mut found),
            }
        }
    }
    found
}

/// What the statements of a body declare.
fn locals<'a>(module: &'a Module, body: &'a Value) -> BTreeSet<&'a str> {
    let stmts = body.pointer("/query/stmts").and_then(Value::as_array);
    let stmts = stmts.map_or(&[][..], Vec::as_slice);
    let mut found: BTreeSet<&str> = assigned(stmts).into_iter().map(|(name, _)| name).collect();
    found.extend(declared(module, stmts).into_iter().map(|(name, _)| name));
    for stmt in stmts {
        for part in ["key", "value"] {
            let declared = stmt
                .pointer("/literal/SomeIn")
                .and_then(|one| one.get(part));
            found.extend(names_in(declared));
        }
    }
    found
}

fn names_in(node: Option<&Value>) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    if let Some(node) = node {
        variables(node, &mut |name, _| {
            found.insert(name);
        });
    }
    found
}

/// What stands in the brackets of a rule's own name.
fn keys(node: &Value, own: &BTreeSet<&str>, found: &mut BTreeSet<String>) {
    let inner = node.as_object().into_iter().flat_map(|node| node.values());
    for inner in inner {
        collect(inner.get("index"), own, found);
        if let Some(refr) = inner.get("refr") {
            keys(refr, own, found);
        }
    }
}

fn collect(node: Option<&Value>, own: &BTreeSet<&str>, found: &mut BTreeSet<String>) {
    let Some(node) = node else { return };
    paths(node, &mut |path| {
        if !own.contains(lint::root(path)) {
            found.insert(path.to_owned());
        }
    });
    called(node, found);
}

fn called(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| called(item, found)),
        Value::Object(fields) => {
            found.extend(fields.get("fcn").and_then(lint::dotted));
            fields.values().for_each(|value| called(value, found));
        }
        _ => {}
    }
}
