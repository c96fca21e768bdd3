//! Patterns, and names that `some` declares, that regorus takes otherwise than OPA.
//!
//! A pattern gives names to the parts of a value. To regorus one of an object also matches objects with more fields, a
//! variable in two arguments stands for two values, one of `every` is given another value instead of being compared, and
//! `some i` declares nothing where a rule, an import or a variable around it is called so too. It deliberately leaves alone
//! what regorus takes as OPA does: patterns of arrays, and objects that are values or whose variables have theirs.

mod scope;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Error, Functions, Module, dotted, refused, roots, rules, span_of};
use crate::rego::{builtins, names};
use scope::{Scope, binds, free, stands_for};

const OBJECT: &str = "a pattern of an object also matches objects with more fields here: give the object a name and ask for \
                      its fields (x.a), and for count(x) == 1 where there may be no others";

/// What in them is refused.
pub(super) fn refusals(modules: &[Module]) -> Vec<Error> {
    let functions = Functions::of(modules);
    let roots = roots(modules);
    let mut errors = Vec::new();
    for module in modules {
        let imported = names::aliases(module);
        let global = names::global(module, &roots);
        let mut walk = Walk {
            module,
            functions: &functions,
            imported,
            global,
            loose: BTreeMap::new(),
            errors: Vec::new(),
        };
        rules(module).iter().for_each(|rule| walk.rule(rule));
        errors.append(&mut walk.errors);
    }
    errors
}

struct Walk<'a> {
    module: &'a Module,
    functions: &'a Functions,
    imported: BTreeMap<String, String>,
    /// Names of rules and imports.
    global: BTreeSet<String>,
    /// How often a variable of the rule stands where it may be given a value and isn't declared.
    loose: BTreeMap<&'a str, usize>,
    errors: Vec<Error>,
}

impl<'a> Walk<'a> {
    fn rule(&mut self, rule: &'a Value) {
        self.loose = BTreeMap::new();
        self.count_loose(rule);
        if let Some(value) = rule.pointer("/Default/value") {
            self.visit(value, &Scope::default());
        }
        let arguments = list(rule.pointer("/Spec/head/Func/args"));
        self.arguments(arguments);
        let scope = Scope::of(arguments);
        let mut of_head = scope.clone();
        for body in list(rule.pointer("/Spec/bodies")) {
            let inner = self.query(body.get("query"), &scope);
            self.visit(body.get("assign").unwrap_or(&Value::Null), &inner);
            of_head.add(&inner);
        }
        let heads = rule.pointer("/Spec/head").and_then(Value::as_object);
        let parts = heads.into_iter().flat_map(|heads| heads.values());
        let parts = parts.filter_map(Value::as_object).flatten();
        for (name, part) in parts {
            match name.as_str() {
                "args" => {}
                "refr" => self.keys(part, &of_head),
                _ => self.visit(part, &of_head),
            }
        }
    }

    /// What stands in the brackets of a rule's own name: values, and no patterns.
    fn keys(&mut self, refr: &'a Value, scope: &Scope<'a>) {
        for inner in refr.as_object().into_iter().flat_map(|refr| refr.values()) {
            if let Some(index) = inner.get("index") {
                self.visit(index, scope);
            }
            if let Some(refr) = inner.get("refr") {
                self.keys(refr, scope);
            }
        }
    }

    fn arguments(&mut self, arguments: &'a [Value]) {
        let mut before = BTreeSet::new();
        for argument in arguments {
            self.no_object(argument);
            let mut own = BTreeMap::new();
            names::variables(argument, &mut |name, span| {
                own.insert(name, span);
            });
            for (name, span) in own {
                if stands_for(name) && !before.insert(name) {
                    let why = format!(
                        "variable {name} stands in two arguments, which are not compared here: give one of them another \
                         name, and write =="
                    );
                    self.refuse(span, &why);
                }
            }
        }
    }

    /// Looks through a query, and says what is known of names in it.
    fn query(&mut self, query: Option<&'a Value>, around: &Scope<'a>) -> Scope<'a> {
        let stmts = list(query.and_then(|query| query.get("stmts")));
        for (name, span) in names::declared(self.module, stmts) {
            self.declared(name, span, around);
        }
        let scope = around.within(self.module, stmts);
        for (at, stmt) in stmts.iter().enumerate() {
            self.no_late_some(stmt, stmts.get(..at).unwrap_or_default());
            self.no_some_with(stmt);
            self.no_each_with(stmt, &scope);
            self.visit(stmt, &scope);
        }
        scope
    }

    /// Refuses a variable that stands before `some … in` declares it: there it is another one to OPA.
    fn no_late_some(&mut self, stmt: &'a Value, before: &'a [Value]) {
        let some = stmt.pointer("/literal/SomeIn");
        let parts = ["key", "value"].into_iter();
        let mut own = BTreeSet::new();
        for part in parts.filter_map(|part| some?.get(part)) {
            binds(part, &mut |name, _| {
                own.insert(name);
            });
        }
        for name in own.into_iter().filter(|name| stands_for(name)) {
            let module = self.module;
            let mut early = before.iter();
            if let Some(span) = early.find_map(|one| free(module, one, name)) {
                let why = format!(
                    "variable {name} stands here before some {name} in … declares it: put this condition behind that"
                );
                self.refuse(Some(span), &why);
            }
        }
    }

    /// Refuses what `with` would replace for the rest of the body too.
    fn no_some_with(&mut self, stmt: &'a Value) {
        let with = stmt.pointer("/with_mods/0/span");
        if with.is_some() && stmt.pointer("/literal/SomeIn").is_some() {
            let why = "with behind some … in would hold for the rest of the body: write xs := … with …; some x in xs";
            self.refuse(with, why);
        }
    }

    /// Refuses to look for what `with` puts in the place of something: it is looked for where that is put there already.
    fn no_each_with(&mut self, stmt: &'a Value, scope: &Scope<'a>) {
        for with in list(stmt.get("with_mods")) {
            let by = with.get("as").and_then(|by| self.looked_for(by, scope));
            if let Some(span) = by {
                let why = "what with puts there is looked for by brackets: give it a name before, x := xs[_], and write \
                           with … as x";
                self.refuse(Some(span), why);
            }
        }
    }

    /// A path in a value with brackets in which something is looked for. A comprehension has a value as a whole.
    fn looked_for(&self, node: &'a Value, scope: &Scope<'a>) -> Option<&'a Value> {
        match node {
            Value::Array(items) => items.iter().find_map(|item| self.looked_for(item, scope)),
            Value::Object(fields) if !fields.contains_key("query") => {
                let index = node.pointer("/RefBrack/index");
                if index.is_some_and(|index| self.is_open(index, scope)) {
                    return span_of(node);
                }
                let mut fields = fields.values();
                fields.find_map(|field| self.looked_for(field, scope))
            }
            _ => None,
        }
    }

    /// Looks at a name that `some` declares without saying in what.
    fn declared(&mut self, name: &str, span: Option<&Value>, around: &Scope<'a>) {
        let other = if self.global.contains(name) {
            "a rule or an import"
        } else if stands_for(name) && around.names.contains(name) {
            "a variable around it"
        } else {
            return;
        };
        let why = format!(
            "some {name} declares nothing here, for {other} is called {name} too, and that is meant: give the variable \
             another name"
        );
        self.refuse(span, &why);
    }

    fn visit(&mut self, node: &'a Value, scope: &Scope<'a>) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.visit(item, scope)),
            Value::Object(fields) => {
                for (shape, inner) in fields {
                    match shape.as_str() {
                        "ArrayCompr" | "SetCompr" | "ObjectCompr" => {
                            self.comprehension(inner, scope);
                            continue;
                        }
                        "Every" => {
                            self.every(inner, scope);
                            continue;
                        }
                        "SomeIn" => self.some_in(inner),
                        "AssignExpr" => self.assigned(inner, scope),
                        "RefBrack" => self.index(inner, scope),
                        "Call" => self.result(inner, scope),
                        _ => {}
                    }
                    self.visit(inner, scope);
                }
            }
            _ => {}
        }
    }

    fn comprehension(&mut self, node: &'a Value, scope: &Scope<'a>) {
        let inner = self.query(node.get("query"), scope);
        for part in ["term", "key", "value"] {
            self.visit(node.get(part).unwrap_or(&Value::Null), &inner);
        }
    }

    fn every(&mut self, node: &'a Value, scope: &Scope<'a>) {
        self.visit(node.get("domain").unwrap_or(&Value::Null), scope);
        let module = self.module;
        let named = |part: &str| module.text(node.get(part)?);
        let inner = scope.of_each([named("key"), named("value")].into_iter().flatten());
        self.query(node.get("query"), &inner);
    }

    fn some_in(&mut self, node: &'a Value) {
        let parts = [node.get("key"), node.get("value")];
        let mut before = BTreeSet::new();
        for part in parts.into_iter().flatten() {
            self.no_object(part);
            let mut own = BTreeMap::new();
            binds(part, &mut |name, span| {
                own.insert(name, span);
            });
            for (name, span) in own {
                if self.global.contains(name) {
                    let why = format!(
                        "some {name} in …: a rule or an import is called {name} too: give the variable another name"
                    );
                    self.refuse(span, &why);
                } else if stands_for(name) && !before.insert(name) {
                    let why = format!(
                        "variable {name} stands in the key and in the value, which are not compared here: give one of them \
                         another name, and write =="
                    );
                    self.refuse(span, &why);
                }
            }
        }
    }

    fn assigned(&mut self, node: &'a Value, scope: &Scope<'a>) {
        let (Some(left), Some(right)) = (node.get("lhs"), node.get("rhs")) else {
            return;
        };
        if !is_unification(node) {
            return self.no_object(left);
        }
        self.no_each(left, scope);
        self.no_each(right, scope);
        if let Some(span) = self.inexact(left, right, scope) {
            self.refuse(Some(span), OBJECT);
        }
    }

    /// The brackets behind a collection. A variable alone is looked up, or looked for.
    fn index(&mut self, node: &'a Value, scope: &Scope<'a>) {
        let Some(index) = node.get("index").filter(|index| variable(index).is_none()) else {
            return;
        };
        self.no_each(index, scope);
        if self.is_open(index, scope) {
            self.no_object(index);
        }
    }

    fn result(&mut self, call: &'a Value, scope: &Scope<'a>) {
        if let Some(place) = self.place_for_result(call) {
            self.no_each(place, scope);
            self.no_object(place);
        }
    }

    fn place_for_result(&self, call: &'a Value) -> Option<&'a Value> {
        let name = call.get("fcn").and_then(dotted)?;
        let given = call.get("params")?.as_array()?;
        let own = self
            .functions
            .full(&name, &self.module.package, &self.imported);
        let arity = match own.and_then(|full| self.functions.arity(&full)) {
            Some(arity) => arity,
            None if name == "walk" => 1,
            None => usize::from(builtins::arity(&name)?),
        };
        given.last().filter(|_| given.len() > arity)
    }

    /// Refuses an object in a pattern that is one whatever its variables are.
    fn no_object(&mut self, pattern: &'a Value) {
        if let Some(span) = object(pattern) {
            self.refuse(Some(span), OBJECT);
        }
    }

    /// Refuses a variable of `every` in a pattern.
    fn no_each(&mut self, pattern: &'a Value, scope: &Scope<'a>) {
        let mut found = BTreeMap::new();
        binds(pattern, &mut |name, span| {
            if scope.of_every.contains(name) {
                found.insert(name, span);
            }
        });
        for (name, span) in found {
            let why = format!(
                "variable {name} of every is given another value here and not compared: write == where it is to be \
                 compared, and := where something is to be named"
            );
            self.refuse(span, &why);
        }
    }

    /// An object in one of two sides of `=` that may be a pattern for more than is written there.
    fn inexact(&self, left: &'a Value, right: &'a Value, scope: &Scope<'a>) -> Option<&'a Value> {
        let is_pattern = self.is_open(left, scope) || self.is_open(right, scope);
        self.inexact_parts(left, right, scope, [false, is_pattern])
    }

    /// The same. An object without a variable is compared as a whole, unless it is a part of what gives a value to
    /// anything: whether these two are, and whether their parts are.
    fn inexact_parts(
        &self,
        left: &'a Value,
        right: &'a Value,
        scope: &Scope<'a>,
        [is_part, are_parts]: [bool; 2],
    ) -> Option<&'a Value> {
        let parts = |one, two| self.inexact_parts(one, two, scope, [are_parts; 2]);
        if let (Some(one), Some(two)) = (items(left), items(right)) {
            return one.iter().zip(two).find_map(|(one, two)| parts(one, two));
        }
        if let (Some(one), Some(two)) = (fields(left), fields(right)) {
            let mut pairs = one
                .iter()
                .filter_map(|(key, one)| Some((*one, *two.get(key)?)));
            return pairs.find_map(|(one, two)| parts(one, two));
        }
        let beside = |pattern: &'a Value, value: &'a Value| {
            let is_free = variable(value).is_some_and(|name| self.is_free(name, scope));
            let is_pattern = is_part || self.is_open(pattern, scope);
            object(pattern).filter(|_| is_pattern && !is_free)
        };
        beside(left, right).or_else(|| beside(right, left))
    }

    /// Whether a variable has its value from where it stands, and from nowhere else.
    fn is_free(&self, name: &str, scope: &Scope<'a>) -> bool {
        let is_known = scope.given.contains(name) || self.global.contains(name);
        name == "_" || !is_known && self.loose.get(name) == Some(&1)
    }

    /// Whether something in a pattern may be given its value there.
    fn is_open(&self, pattern: &'a Value, scope: &Scope<'a>) -> bool {
        let mut is_open = false;
        binds(pattern, &mut |name, _| {
            let is_known = scope.given.contains(name) || self.global.contains(name);
            is_open |= name == "_" || stands_for(name) && !is_known;
        });
        is_open
    }

    fn count_loose(&mut self, node: &'a Value) {
        let fields = match node {
            Value::Array(items) => {
                items.iter().for_each(|item| self.count_loose(item));
                return;
            }
            Value::Object(fields) => fields,
            _ => return,
        };
        for (shape, inner) in fields {
            let places = match shape.as_str() {
                "AssignExpr" if is_unification(inner) => [inner.get("lhs"), inner.get("rhs")],
                "RefBrack" => [inner.get("index"), None],
                "Call" => [self.place_for_result(inner), None],
                _ => [None, None],
            };
            for place in places.into_iter().flatten() {
                binds(place, &mut |name, _| {
                    *self.loose.entry(name).or_default() += 1;
                });
            }
            self.count_loose(inner);
        }
    }

    fn refuse(&mut self, span: Option<&Value>, why: &str) {
        self.errors.push(refused(&self.module.file, span, why));
    }
}

fn list(node: Option<&Value>) -> &[Value] {
    node.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// `=`, and not `:=`.
fn is_unification(assignment: &Value) -> bool {
    assignment.get("op").and_then(Value::as_str) == Some("Eq")
}

fn variable(node: &Value) -> Option<&str> {
    node.pointer("/Var/value").and_then(Value::as_str)
}

fn items(node: &Value) -> Option<&Vec<Value>> {
    node.pointer("/Array/items").and_then(Value::as_array)
}

/// The fields of an object whose keys are all written out, by these.
fn fields(node: &Value) -> Option<BTreeMap<String, &Value>> {
    let fields = node.pointer("/Object/fields")?.as_array()?;
    let field = |field: &Value| {
        let key = field.get(1)?.as_object()?;
        let plain = ["String", "RawString", "Number", "Bool", "Null"];
        let (_, key) = key
            .iter()
            .find(|(shape, _)| plain.contains(&shape.as_str()))?;
        key.get("value").map(Value::to_string)
    };
    fields
        .iter()
        .map(|one| Some((field(one)?, one.get(2)?)))
        .collect()
}

/// The first object at a place of a pattern that is compared with an object.
fn object(pattern: &Value) -> Option<&Value> {
    let inner = pattern.pointer("/Object/span");
    inner.or_else(|| items(pattern)?.iter().find_map(object))
}

#[cfg(test)]
mod tests;
