//! Names in a policy: those that nobody uses, and those that stand for nothing.
//!
//! regorus finds neither before evaluation comes by. Nothing here is told that is right: where it is not plain what a name
//! stands for, nothing is said. A local is looked for in all of its rule, whatever lies between.

mod mentions;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::builtins;
use super::check::{Fault, FaultKind};
use super::lint::{self, Module};

/// What is in no use and what stands for nothing in the modules, of which those in `tests` hold tests.
pub(super) fn faults(modules: &[Module], tests: &BTreeSet<String>) -> Vec<Fault> {
    let rules = Rules::of(modules, tests);
    let mut faults = rules.unreached();
    for module in modules {
        faults.extend(imports(module));
        let imported = aliases(module);
        let own = rules.roots.get(module.package.as_str());
        let is_known =
            |name: &str| imported.contains_key(name) || own.is_some_and(|own| own.contains(name));
        for rule in lint::rules(module) {
            faults.extend(locals(module, rule));
            faults.extend(unbound(module, rule, &is_known));
        }
    }
    faults
}

pub(super) fn fault(module: &Module, span: Option<&Value>, kind: FaultKind, why: String) -> Fault {
    let place = lint::place(&module.file, span);
    Fault { place, kind, why }
}

/// Every rule by its full name, and what each of them names.
pub(super) struct Rules<'a> {
    pub(super) by_name: BTreeMap<String, Named<'a>>,
    /// The first parts of the names, by package.
    roots: BTreeMap<&'a str, BTreeSet<String>>,
}

/// All rules of one name.
pub(super) struct Named<'a> {
    pub(super) module: &'a Module,
    pub(super) span: Option<&'a Value>,
    is_test: bool,
    is_function: bool,
    /// Full paths of what it names.
    pub(super) names: BTreeSet<String>,
}

impl<'a> Rules<'a> {
    pub(super) fn of(modules: &'a [Module], tests: &BTreeSet<String>) -> Self {
        let roots = lint::roots(modules);
        let mut by_name: BTreeMap<String, Named<'_>> = BTreeMap::new();
        for module in modules {
            let imported = aliases(module);
            for rule in lint::rules(module) {
                let Some(head) = head(rule) else { continue };
                let name = format!("{}.{}", module.package, head.name.trim_end_matches('.'));
                let named = by_name.entry(name).or_insert_with(|| Named {
                    module,
                    span: head.span,
                    is_test: tests.contains(&module.file),
                    is_function: false,
                    names: BTreeSet::new(),
                });
                named.is_function |= head.is_function;
                let mentioned = mentions::of(module, rule);
                let full = mentioned
                    .iter()
                    .filter_map(|path| full(path, module, &imported, &roots));
                named.names.extend(full);
            }
        }
        Self { by_name, roots }
    }

    /// Those that neither `deny` nor `warn` leads to; in tests, that no test leads to.
    fn unreached(&self) -> Vec<Fault> {
        let last = |name: &str, named: &Named<'_>| {
            let own = name.strip_prefix(&format!("{}.", named.module.package));
            own.unwrap_or(name).to_owned()
        };
        let policy = self.reached(|name, one| {
            !one.is_test && ["deny", "warn"].contains(&last(name, one).as_str())
        });
        let test = self.reached(|name, one| one.is_test && last(name, one).starts_with("test_"));
        let unreached = self.by_name.iter().filter(|(name, one)| {
            let reached = if one.is_test { &test } else { &policy };
            !reached.contains(name.as_str())
        });
        unreached
            .map(|(name, one)| {
                let what = if one.is_function { "function" } else { "rule" };
                let who = if one.is_test {
                    "no test"
                } else {
                    "neither deny nor warn"
                };
                let why = format!("{who} leads to {what} {}", last(name, one));
                fault(one.module, one.span, FaultKind::Unused, why)
            })
            .collect()
    }

    /// The names that those lead to that `begin`.
    fn reached(&self, begin: impl Fn(&str, &Named<'_>) -> bool) -> BTreeSet<&str> {
        let begun = self.by_name.iter().filter(|(name, one)| begin(name, one));
        let mut reached: BTreeSet<&str> = begun.map(|(name, _)| name.as_str()).collect();
        let mut left: Vec<&str> = reached.iter().copied().collect();
        let mut followed = BTreeSet::new();
        while let Some(next) = left.pop() {
            let paths = self.by_name.get(next).map(|one| &one.names);
            // One path may name all rules there are, and each of them name it.
            let fresh = paths.into_iter().flatten();
            let fresh = fresh.filter(|path| followed.insert(path.as_str()));
            for name in fresh.flat_map(|path| self.named_by(path)) {
                if reached.insert(name) {
                    left.push(name);
                }
            }
        }
        reached
    }

    /// `data.a.b` names the rule `data.a.b` and all below it; and it is a part of the value of `data.a`, if that is one.
    pub(super) fn named_by(&self, path: &str) -> Vec<&str> {
        let below = format!("{path}.");
        let all = self.by_name.range(below.clone()..);
        let mut found: Vec<&str> = all
            .map(|(name, _)| name.as_str())
            .take_while(|name| name.starts_with(&below))
            .collect();
        let ends = below.match_indices('.').map(|(at, _)| at);
        let above = ends.filter_map(|end| self.by_name.get_key_value(path.get(..end)?));
        found.extend(above.map(|(name, _)| name.as_str()));
        found
    }
}

struct Head<'a> {
    name: String,
    span: Option<&'a Value>,
    is_function: bool,
}

fn head(rule: &Value) -> Option<Head<'_>> {
    if let Some(default) = rule.get("Default") {
        return Some(Head {
            name: lint::dotted(default.get("refr")?)?,
            span: default.get("span"),
            is_function: false,
        });
    }
    let (name, shape, span) = lint::head_of(rule.pointer("/Spec/head")?)?;
    Some(Head {
        name,
        span,
        is_function: shape == "Func",
    })
}

/// What a path as it is written stands for, when it can stand for a rule.
fn full(
    path: &str,
    module: &Module,
    imported: &BTreeMap<String, String>,
    roots: &BTreeMap<&str, BTreeSet<String>>,
) -> Option<String> {
    let first = lint::root(path);
    if first == "data" {
        return Some(path.to_owned());
    }
    if let Some(full) = imported.get(first) {
        return Some(path.replacen(first, full, 1));
    }
    let own = roots.get(module.package.as_str())?.contains(first);
    own.then(|| format!("{}.{path}", module.package))
}

/// The full path of each import by its name; of one name, the first.
pub(super) fn aliases(module: &Module) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (alias, path, _) in imported(module) {
        found.entry(alias).or_insert(path);
    }
    found
}

/// Names that stand for rules and imports in a module; `declared` are the first parts of rules' names, by package.
pub(super) fn global(
    module: &Module,
    declared: &BTreeMap<&str, BTreeSet<String>>,
) -> BTreeSet<String> {
    let own = declared.get(module.package.as_str());
    let imported = aliases(module).into_keys();
    imported.chain(own.into_iter().flatten().cloned()).collect()
}

/// Name, full path and place of each import.
fn imported(module: &Module) -> impl Iterator<Item = (String, String, Option<&Value>)> {
    let imports = module.tree.get("imports").and_then(Value::as_array);
    imports.into_iter().flatten().filter_map(|import| {
        let path = lint::dotted(import.get("refr")?)?;
        let is_language = ["rego", "future"].contains(&lint::root(&path));
        let alias = match import.get("as") {
            Some(span) => module.text(span)?,
            None => path.rsplit('.').next()?,
        };
        (!is_language).then(|| (alias.to_owned(), path.clone(), import.get("span")))
    })
}

/// Imports that nothing in the module names.
fn imports(module: &Module) -> Vec<Fault> {
    let mut used = BTreeSet::new();
    for rule in lint::rules(module) {
        paths(rule, &mut |path| {
            used.insert(lint::root(path).to_owned());
        });
    }
    let unused = imported(module).filter(|(alias, ..)| !used.contains(alias));
    unused
        .map(|(alias, _, span)| {
            let why = format!("import {alias} is not used");
            fault(module, span, FaultKind::Unused, why)
        })
        .collect()
}

/// Arguments and locals of a rule that nothing in it names.
fn locals(module: &Module, rule: &Value) -> Vec<Fault> {
    let Some(rule) = rule.get("Spec") else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    let mut unused = |declared: Vec<(&str, Option<&Value>)>, within: &[&Tally<'_>], times| {
        for (name, span) in declared {
            let named: usize = within.iter().map(|tally| tally.times(name)).sum();
            if !name.starts_with('_') && named <= times {
                let why = format!("variable {name} is not used");
                faults.push(fault(module, span, FaultKind::Unused, why));
            }
        }
    };
    let head = rule.get("head").unwrap_or(&Value::Null);
    let mut arguments = Vec::new();
    if let Some(args) = head.pointer("/Func/args") {
        variables(args, &mut |name, span| arguments.push((name, span)));
    }
    if !arguments.is_empty() {
        unused(arguments, &[&Tally::of(rule)], 1);
    }
    let of_head = Tally::of(head);
    let bodies = rule.get("bodies").and_then(Value::as_array);
    for body in bodies.into_iter().flatten() {
        scopes(body, body, &mut |stmts, region| {
            let tally = Tally::of(region);
            // What a rule's own body declares its head may name.
            let with_head = [&tally, &of_head];
            let within = match std::ptr::eq(region, body) {
                true => with_head.as_slice(),
                false => with_head.get(..1).unwrap_or_default(),
            };
            unused(assigned(stmts), within, 1);
            unused(declared(module, stmts), within, 0);
        });
    }
    for value in ["/Compr/assign", "/Func/assign", "/Set/key"] {
        let Some(value) = head.pointer(value) else {
            continue;
        };
        scopes(value, value, &mut |stmts, region| {
            let tally = Tally::of(region);
            unused(assigned(stmts), &[&tally], 1);
            unused(declared(module, stmts), &[&tally], 0);
        });
    }
    faults
}

/// Calls `found` with the statements of each query below `node`, and the node that can see what they declare: the one
/// that holds the query.
fn scopes<'a>(node: &'a Value, region: &'a Value, found: &mut impl FnMut(&'a [Value], &'a Value)) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| scopes(item, region, found)),
        Value::Object(fields) => {
            if let Some(Value::Array(stmts)) = fields.get("stmts") {
                found(stmts, region);
            }
            for value in fields.values() {
                let region = if fields.contains_key("query") {
                    node
                } else {
                    region
                };
                scopes(value, region, found);
            }
        }
        _ => {}
    }
}

/// What `:=` gives a value.
pub(super) fn assigned(stmts: &[Value]) -> Vec<(&str, Option<&Value>)> {
    let mut found = Vec::new();
    for stmt in stmts {
        let assignment = stmt.pointer("/literal/Expr/expr/AssignExpr");
        let assignment = assignment.filter(|one| one.get("op") == Some(&"ColEq".into()));
        if let Some(left) = assignment.and_then(|one| one.get("lhs")) {
            variables(left, &mut |name, span| found.push((name, span)));
        }
    }
    found
}

/// What `some` declares without saying in what.
pub(super) fn declared<'a>(
    module: &'a Module,
    stmts: &'a [Value],
) -> Vec<(&'a str, Option<&'a Value>)> {
    let vars = stmts
        .iter()
        .filter_map(|stmt| stmt.pointer("/literal/SomeVars/vars")?.as_array());
    vars.flatten()
        .filter_map(|span| Some((module.text(span)?.trim(), Some(span))))
        .collect()
}

/// How often each variable is named below a node.
struct Tally<'a>(BTreeMap<&'a str, usize>);

impl<'a> Tally<'a> {
    fn of(node: &'a Value) -> Self {
        let mut times = BTreeMap::new();
        variables(node, &mut |name, _| *times.entry(name).or_default() += 1);
        Self(times)
    }

    fn times(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// Variables that nothing in the rule gives a value, and that stand for nothing elsewhere.
fn unbound(module: &Module, rule: &Value, elsewhere: &impl Fn(&str) -> bool) -> Vec<Fault> {
    let mut bound: BTreeSet<&str> = BTreeSet::from(["input", "data"]);
    binders(module, rule, &mut bound);
    let mut told = BTreeSet::new();
    let mut faults = Vec::new();
    variables(rule, &mut |name, span| {
        let is_known = name.starts_with('_') || bound.contains(name) || elsewhere(name);
        if !is_known && told.insert(name) {
            let why = format!("nothing in its rule gives variable {name} a value");
            faults.push(fault(module, span, FaultKind::Unbound, why));
        }
    });
    faults
}

/// The variables that a rule gives a value, or may: arguments, declared ones, both sides of `=`, what stands in brackets
/// and where a call has a place for its result. The functions that `with` replaces are none.
fn binders<'a>(module: &'a Module, node: &'a Value, bound: &mut BTreeSet<&'a str>) {
    let fields = match node {
        Value::Array(items) => {
            items.iter().for_each(|item| binders(module, item, bound));
            return;
        }
        Value::Object(fields) => fields,
        _ => return,
    };
    if let (Some(replaced), Some(by)) = (fields.get("refr"), fields.get("as")) {
        let functions = [replaced, by]
            .into_iter()
            .filter(|node| lint::dotted(node).is_some_and(|name| builtins::arity(&name).is_some()));
        functions.for_each(|node| bind(Some(node), bound));
    }
    for (shape, inner) in fields {
        match shape.as_str() {
            "Func" | "Default" => bind(inner.get("args"), bound),
            "AssignExpr" => {
                let unifies = inner.get("op").and_then(Value::as_str) == Some("Eq");
                bind(inner.get("lhs"), bound);
                bind(inner.get("rhs").filter(|_| unifies), bound);
            }
            "RefBrack" => bind(inner.get("index"), bound),
            "SomeIn" => {
                bind(inner.get("key"), bound);
                bind(inner.get("value"), bound);
            }
            "SomeVars" => {
                let spans = inner.get("vars").and_then(Value::as_array);
                let texts = spans
                    .into_iter()
                    .flatten()
                    .filter_map(|span| module.text(span));
                bound.extend(texts.map(str::trim));
            }
            "Every" => {
                let spans = [inner.get("key"), inner.get("value")].into_iter().flatten();
                bound.extend(spans.filter_map(|span| module.text(span)));
            }
            "Call" => bind(place_for_result(inner), bound),
            _ => {}
        }
        binders(module, inner, bound);
    }
}

fn bind<'a>(node: Option<&'a Value>, bound: &mut BTreeSet<&'a str>) {
    if let Some(node) = node {
        variables(node, &mut |name, _| {
            bound.insert(name);
        });
    }
}

/// The argument of a call that takes its result: `walk`'s second, and one more than a function takes.
fn place_for_result(call: &Value) -> Option<&Value> {
    let name = call.get("fcn").and_then(lint::dotted)?;
    let given = call.get("params")?.as_array()?;
    let arity = match name.as_str() {
        "walk" => 1,
        // Of a function of the policy's own nothing is known here.
        name => usize::from(builtins::arity(name).unwrap_or(0)),
    };
    given.last().filter(|_| given.len() > arity)
}

/// Calls `found` with each variable below `node` and its place. The name of a function is none.
pub(super) fn variables<'a>(node: &'a Value, found: &mut impl FnMut(&'a str, Option<&'a Value>)) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| variables(item, found)),
        Value::Object(fields) => {
            for (shape, inner) in fields {
                match (shape.as_str(), inner.get("value").and_then(Value::as_str)) {
                    ("Var", Some(name)) => found(name, inner.get("span")),
                    ("fcn", _) => {}
                    _ => variables(inner, found),
                }
            }
        }
        _ => {}
    }
}

/// Calls `found` with each path below `node` that is written out.
fn paths(node: &Value, found: &mut impl FnMut(&str)) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| paths(item, found)),
        Value::Object(fields) => match lint::dotted(node) {
            Some(path) => found(&path),
            None => fields.values().for_each(|value| paths(value, found)),
        },
        _ => {}
    }
}
