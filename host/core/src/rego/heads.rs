//! What a rule's head gives, as a condition of its body.
//!
//! To OPA a head without a value is a body that does not hold: that solution gives nothing, and an `else` is taken. regorus
//! drops what the rule gave before as well, and takes no `else`. So a module is handed to it with what heads give written
//! into their bodies: `deny contains zzzz_given_0 if { …; zzzz_given_0 := f(x) }`. All that is not in such a head stays on its
//! line. In which order conditions are evaluated is regorus' to say, who goes by the names of what they define: this name
//! comes after all others. And to OPA the objects that rules make entries of are there without any: `r[k] contains v` gets a
//! rule beside it that has none. It deliberately leaves alone what always has a value.

mod line;

use std::collections::BTreeSet;

use serde_json::Value;

use super::edits::Edit;
use super::extent::{after, children, element, extent, shape};
use super::lint::{self, Module};
use super::names;

/// What they are called, with a number behind it.
const NAME: &str = "zzzz_given_";

/// What is written otherwise in each of `own`, which are among all modules: the heads' expressions in the bodies.
pub(super) fn moved(all: &[Module], own: &[Module]) -> Vec<Vec<Edit>> {
    let declared = lint::roots(all);
    let name = unused(all, NAME);
    let edits = own.iter().map(|module| {
        let global = names::global(module, &declared);
        let mut pen = Pen::new(module, global, name.clone());
        lint::rules(module).iter().for_each(|rule| pen.rule(rule));
        pen.edits
    });
    edits.collect()
}

/// The object that a rule makes an entry of: to OPA it is there without any. regorus makes those of `r[k] := v`.
fn container(kind: &str, head: &Value) -> Option<String> {
    let mut path = head.get("refr")?;
    let mut steps = Vec::new();
    while let (step @ ("RefDot" | "RefBrack"), fields) = shape(path) {
        steps.push((step, fields));
        path = fields.get("refr")?;
    }
    steps.reverse();
    let mut name = path.pointer("/Var/value")?.as_str()?.to_owned();
    let plain = steps.iter().map_while(|(step, fields)| match *step {
        "RefDot" => fields.get("field")?.as_array()?.last()?.as_str(),
        _ => fields.pointer("/index/String/value")?.as_str(),
    });
    let plain: Vec<&str> = plain.collect();
    let (known, all) = (plain.len(), steps.len());
    let known = match (kind, all - known) {
        _ if all == 0 => return None,
        ("Func", _) | ("Set", 0) => return None,
        // r[k] := v
        ("Compr", 1) => return None,
        ("Compr", 0) => known - 1,
        _ => known,
    };
    for step in plain.iter().take(known) {
        name.push_str(&format!("[{}]", Value::from(*step)));
    }
    Some(name)
}

/// The beginning of a name that stands in none of the modules.
pub(super) fn unused(modules: &[Module], name: &str) -> String {
    let mut name = name.to_owned();
    while modules.iter().any(|module| module.source.contains(&name)) {
        name.push('_');
    }
    name
}

/// What a condition names, if it was written here.
pub(super) fn given(stmt: &Value) -> Option<&str> {
    name(stmt.pointer("/literal/Expr/expr/AssignExpr/lhs")?)
}

/// Whether a rule is one that was written here.
pub(super) fn is_container(head: &Value) -> bool {
    let index = head.pointer("/Compr/refr/RefBrack/index");
    let one = head.pointer("/Compr/assign/value/Number/value");
    one.is_some() && index.and_then(name).is_some()
}

/// The name, if an expression is that of such a condition.
pub(super) fn name(node: &Value) -> Option<&str> {
    let name = node.pointer("/Var/value").and_then(Value::as_str);
    name.filter(|name| name.starts_with(NAME))
}

/// What a head gives that may have no value.
struct Given {
    name: String,
    /// As it is written, on one line.
    text: String,
    from: usize,
    to: usize,
}

impl Given {
    fn condition(&self) -> String {
        format!("{} := {}", self.name, self.text)
    }
}

struct Pen<'a> {
    module: &'a Module,
    /// Names that stand for rules and imports.
    global: BTreeSet<String>,
    /// What no name in the module begins with.
    name: String,
    made: usize,
    /// The objects that are there without an entry.
    containers: BTreeSet<String>,
    edits: Vec<Edit>,
}

impl<'a> Pen<'a> {
    fn new(module: &'a Module, global: BTreeSet<String>, name: String) -> Self {
        Self {
            module,
            global,
            name,
            made: 0,
            containers: BTreeSet::new(),
            edits: Vec::new(),
        }
    }

    fn rule(&mut self, rule: &Value) {
        let Some(rule) = rule.get("Spec") else { return };
        let Some(head) = rule.get("head") else { return };
        let (kind, head) = shape(head);
        let begins = extent(&self.module.source, rule.get("span")).map(|(begins, _)| begins);
        if let Some(container) = container(kind, head).filter(|_| begins.is_some())
            && self.containers.insert(container.clone())
        {
            let name = self.next_name();
            self.edit(
                begins,
                format!("{container}[{name}] := 1 if {{ some {name} in [] }} "),
            );
        }
        let mut keys = Vec::new();
        // The path of a function holds no expressions.
        if kind != "Func" {
            self.keys(head.get("refr"), &mut keys);
        }
        let bodies = rule.get("bodies").and_then(Value::as_array);
        let mut bodies = bodies.into_iter().flatten().peekable();
        let value = head.pointer("/assign/value");
        if bodies.peek().is_none()
            && kind == "Compr"
            && keys.is_empty()
            && value.is_some_and(|value| self.is_one(value))
        {
            return;
        }
        let given = match kind {
            "Set" => head.get("key").and_then(|key| self.element(head, key)),
            _ => self.assigned(head.get("assign")),
        };
        let end = extent(&self.module.source, head.get("span")).map(|(_, end)| end);
        let query = bodies.next().and_then(|body| body.get("query"));
        self.write(&keys, given.as_ref(), query, end);
        for body in bodies {
            let own = self.assigned(body.get("assign"));
            self.write(&keys, own.as_ref(), body.get("query"), None);
        }
        for key in keys {
            self.name(&key);
        }
    }

    /// What stands in the brackets of a head's path.
    fn keys(&mut self, path: Option<&Value>, found: &mut Vec<Given>) {
        let Some((_, fields)) = path.map(shape) else {
            return;
        };
        self.keys(fields.get("refr"), found);
        let given = fields.get("index").and_then(|index| {
            let (from, _) = extent(&self.module.source, lint::span_of(index))?;
            let (_, to) = extent(&self.module.source, shape(index).1.get("span"))?;
            self.given(from, to, index)
        });
        found.extend(given);
    }

    /// What `contains element` gives.
    fn element(&mut self, head: &Value, key: &Value) -> Option<Given> {
        let (from, to) = element(&self.module.source, head)?;
        self.given(from, to, key)
    }

    /// What `:= value` gives.
    fn assigned(&mut self, assign: Option<&Value>) -> Option<Given> {
        let source = &self.module.source;
        let (from, to) = extent(source, assign?.get("span"))?;
        let from = after(source, from, to, ":=").or_else(|| after(source, from, to, "="))?;
        self.given(from, to, assign?.get("value")?)
    }

    fn given(&mut self, from: usize, to: usize, node: &Value) -> Option<Given> {
        if !self.may_have_none(node) {
            return None;
        }
        Some(Given {
            name: self.next_name(),
            text: line::of(&self.module.source, (from, to), node),
            from,
            to,
        })
    }

    /// Whether it has one value or none, and is large perhaps: regorus compares what a condition names with itself.
    fn is_one(&self, node: &Value) -> bool {
        let is_made = matches!(shape(node).0, "Array" | "Set" | "Object");
        let mut is_one = is_made;
        names::variables(node, &mut |name, _| is_one &= self.global.contains(name));
        is_one
    }

    fn may_have_none(&self, node: &Value) -> bool {
        let (shape, fields) = shape(node);
        match shape {
            "String" | "RawString" | "Number" | "Bool" | "Null" => false,
            "ArrayCompr" | "SetCompr" | "ObjectCompr" => false,
            "Var" => {
                let name = fields.get("value").and_then(Value::as_str);
                name.is_none_or(|name| self.global.contains(name))
            }
            "Array" | "Set" | "Object" => children(shape, fields)
                .into_iter()
                .any(|child| self.may_have_none(child)),
            _ => true,
        }
    }

    fn next_name(&mut self) -> String {
        let name = format!("{}{}", self.name, self.made);
        self.made += 1;
        name
    }

    /// Writes what is given into a query; `end` is where a head without one ends.
    fn write(
        &mut self,
        keys: &[Given],
        given: Option<&Given>,
        query: Option<&Value>,
        end: Option<usize>,
    ) {
        let conditions: Vec<String> = keys.iter().chain(given).map(Given::condition).collect();
        if conditions.is_empty() {
            return;
        }
        if let Some(given) = given {
            self.name(given);
        }
        let conditions = conditions.join("; ");
        let Some((first, last)) = self.reach(query) else {
            let end = given.map(|given| given.to).or(end);
            self.edit(end, format!(" if {{ {conditions} }}"));
            return;
        };
        let begins = query.and_then(|query| extent(&self.module.source, query.get("span")));
        let is_bare = begins.is_none_or(|(begins, _)| begins >= first);
        let (opening, closing) = if is_bare { ("{ ", " }") } else { ("", "") };
        self.edit(Some(first), opening.to_owned());
        self.edit(Some(last), format!("; {conditions}{closing}"));
    }

    /// Writes the name instead, and as many lines.
    fn name(&mut self, given: &Given) {
        let text = self
            .module
            .source
            .get(given.from..given.to)
            .unwrap_or_default();
        let lines = "\n".repeat(text.matches('\n').count());
        self.edits.push(Edit {
            start: given.from,
            end: given.to,
            text: format!("{}{lines}", given.name),
        });
    }

    /// From where to where the conditions of a query go.
    fn reach(&self, query: Option<&Value>) -> Option<(usize, usize)> {
        let source = &self.module.source;
        let stmts = query?.get("stmts")?.as_array()?;
        let (first, _) = extent(source, stmts.first()?.get("span"))?;
        let (_, last) = extent(source, stmts.last()?.get("span"))?;
        Some((first, last))
    }

    fn edit(&mut self, at: Option<usize>, text: String) {
        self.edits.extend(at.map(|at| Edit {
            start: at,
            end: at,
            text,
        }));
    }
}

#[cfg(test)]
mod tests;
