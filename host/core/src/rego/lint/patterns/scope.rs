//! What is known of the names at a place of a rule.
//!
//! It deliberately follows no value: known is which names there are, and which of them have a value before any pattern
//! gives them one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rego::lint::Module;
use crate::rego::names;

/// The names at one place.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope<'a> {
    /// All that stand for something, in this query and in those around it.
    pub(super) names: BTreeSet<&'a str>,
    /// Those that are arguments, or given a value by `:=`, `some … in` or `every`.
    pub(super) given: BTreeSet<&'a str>,
    /// Those of `every`, which regorus doesn't know to have a value.
    pub(super) of_every: BTreeSet<&'a str>,
}

impl<'a> Scope<'a> {
    /// That of a function with these arguments.
    pub(super) fn of(arguments: &'a [Value]) -> Self {
        let mut scope = Self::default();
        for argument in arguments {
            binds(argument, &mut |name, _| scope.give(name));
        }
        scope
    }

    /// That of a query of these statements.
    pub(super) fn within(&self, module: &'a Module, stmts: &'a [Value]) -> Self {
        let mut scope = self.clone();
        for (name, _) in names::declared(module, stmts) {
            scope.names.insert(name);
            scope.of_every.remove(name);
        }
        for stmt in stmts {
            named(stmt, &mut scope.names);
        }
        for (name, _) in names::assigned(stmts) {
            scope.give(name);
        }
        let some = stmts
            .iter()
            .filter_map(|stmt| stmt.pointer("/literal/SomeIn"));
        for some in some {
            for part in [some.get("key"), some.get("value")].into_iter().flatten() {
                binds(part, &mut |name, _| scope.give(name));
            }
        }
        scope
    }

    /// That of the body of an `every` with these variables.
    pub(super) fn of_each(&self, named: impl Iterator<Item = &'a str>) -> Self {
        let mut scope = self.clone();
        for name in named.filter(|name| stands_for(name)) {
            scope.give(name);
            scope.of_every.insert(name);
        }
        scope
    }

    /// Takes in what is known in another.
    pub(super) fn add(&mut self, other: &Self) {
        self.names.extend(&other.names);
        self.given.extend(&other.given);
    }

    fn give(&mut self, name: &'a str) {
        self.names.insert(name);
        self.given.insert(name);
        self.of_every.remove(name);
    }
}

/// Whether a name stands for something, and for something else each time it is given a value.
pub(super) fn stands_for(name: &str) -> bool {
    !["_", "input", "data"].contains(&name)
}

/// Calls `found` with each variable that a pattern may give a value, and its place.
pub(super) fn binds<'a>(pattern: &'a Value, found: &mut impl FnMut(&'a str, Option<&'a Value>)) {
    let Some((shape, inner)) = pattern.as_object().and_then(|fields| fields.iter().next()) else {
        return;
    };
    let list = |name: &str| {
        inner
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    match shape.as_str() {
        "Var" => {
            if let Some(name) = inner.get("value").and_then(Value::as_str) {
                found(name, inner.get("span"));
            }
        }
        "Array" => list("items").for_each(|item| binds(item, found)),
        "Object" => {
            let values = list("fields").filter_map(|field| field.get(2));
            values.for_each(|value| binds(value, found));
        }
        _ => {}
    }
}

/// Where a variable of this name stands in a part of a query, if it is not one that a query in it declares.
pub(super) fn free<'a>(module: &'a Module, node: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = match node {
        Value::Array(items) => return items.iter().find_map(|item| free(module, item, name)),
        Value::Object(fields) => fields,
        _ => return None,
    };
    if let Some(query) = fields.get("query") {
        let stmts = query.get("stmts").and_then(Value::as_array);
        let stmts = stmts.map_or(&[][..], Vec::as_slice);
        let own = Scope::default().within(module, stmts);
        let declared = names::declared(module, stmts);
        let mut each = ["key", "value"]
            .iter()
            .filter_map(|part| module.text(fields.get(*part)?));
        let is_own = own.given.contains(name) || declared.iter().any(|(one, _)| *one == name);
        if is_own || each.any(|one| one == name) {
            return free(module, fields.get("domain")?, name);
        }
    }
    let is_it = |inner: &Value| inner.get("value").and_then(Value::as_str) == Some(name);
    fields
        .iter()
        .find_map(|(shape, inner)| match shape.as_str() {
            "Var" if is_it(inner) => inner.get("span"),
            "Var" | "fcn" => None,
            _ => free(module, inner, name),
        })
}

/// The variables in a part of a query, without those of the queries in it.
fn named<'a>(node: &'a Value, found: &mut BTreeSet<&'a str>) {
    let fields = match node {
        Value::Array(items) => {
            items.iter().for_each(|item| named(item, found));
            return;
        }
        Value::Object(fields) => fields,
        _ => return,
    };
    if fields.contains_key("query") {
        if let Some(domain) = fields.get("domain") {
            named(domain, found);
        }
        return;
    }
    for (shape, inner) in fields {
        match (shape.as_str(), inner.get("value").and_then(Value::as_str)) {
            ("Var", Some(name)) => {
                found.insert(name);
            }
            ("fcn", _) => {}
            _ => named(inner, found),
        }
    }
}
