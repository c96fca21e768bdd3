//! What a question must wait for.
//!
//! regorus puts the conditions of a body in order. It takes a variable in brackets below `not` for one that is looked for
//! there, and does not see what the body of `every` names, so that it may ask either before the variable has its value:
//! with `k = x` in the body, `not m[k]` asks whether m is empty, and `not k = 4` gives k that value. So a module is handed
//! to it with these written so that it sees what they wait for: `not reeve_lookup(m, [k])`, `not k == 4`, and `every x in
//! reeve_after(xs, [k]) { … }`, on the same lines. It deliberately leaves alone a variable that stands nowhere else in its
//! rule: that one is looked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::edits::{Edit, edited};
use super::extent::{after, extent, shape};
use super::lint::{self, Module};
use super::nesting::{Word, Words};
use super::{builtins, heads, names};

/// What is written otherwise in each of `own`, which are among all modules.
pub(super) fn kept(all: &[Module], own: &[Module]) -> Vec<Vec<Edit>> {
    let declared = lint::roots(all);
    let written = own.iter().map(|module| {
        let global = names::global(module, &declared);
        let edits = lint::rules(module).iter().flat_map(|rule| {
            let mut counts = BTreeMap::new();
            count(module, rule, &mut counts);
            let global = &global;
            let pen = Pen {
                module,
                global,
                counts,
            };
            pen.walk(rule, None)
        });
        edits.collect()
    });
    written.collect()
}

/// How often each variable stands somewhere.
type Counts<'a> = BTreeMap<&'a str, usize>;

struct Pen<'a> {
    module: &'a Module,
    /// Names that stand for rules and imports.
    global: &'a BTreeSet<String>,
    /// Of the whole rule.
    counts: Counts<'a>,
}

impl<'a> Pen<'a> {
    /// What changes in a node; `within` are the variables of the condition that may not look for any.
    fn walk(&self, node: &'a Value, within: Option<&Counts<'a>>) -> Vec<Edit> {
        match node {
            Value::Array(items) => self.all(items, within),
            Value::Object(fields) => {
                if let Some(stmts) = fields.get("stmts").and_then(Value::as_array) {
                    return self.query(stmts);
                }
                let looked_up = within.and_then(|within| self.looked_up(node, within));
                match looked_up {
                    Some(edit) => vec![edit],
                    None => self.all(fields.values(), within),
                }
            }
            _ => Vec::new(),
        }
    }

    fn all(
        &self,
        nodes: impl IntoIterator<Item = &'a Value>,
        within: Option<&Counts<'a>>,
    ) -> Vec<Edit> {
        let nodes = nodes.into_iter();
        nodes.flat_map(|node| self.walk(node, within)).collect()
    }

    fn query(&self, stmts: &'a [Value]) -> Vec<Edit> {
        let edits = stmts.iter().enumerate().flat_map(|(at, stmt)| {
            if let Some(every) = stmt.pointer("/literal/Every") {
                let others = stmts.iter().enumerate().filter(|(other, _)| *other != at);
                let mut around = BTreeSet::new();
                others.for_each(|(_, other)| beside(other, &mut around));
                return self.every(every, &around);
            }
            let is_strict =
                stmt.pointer("/literal/NotExpr").is_some() || heads::given(stmt).is_some();
            let mut within = Counts::new();
            count(self.module, stmt, &mut within);
            let mut edits = self.walk(stmt, is_strict.then_some(&within));
            edits.extend(self.compared(stmt));
            edits
        });
        edits.collect()
    }

    /// `=` below `not`, which gives nothing a value to OPA, as `==`.
    fn compared(&self, stmt: &'a Value) -> Option<Edit> {
        let equation = stmt.pointer("/literal/NotExpr/expr/AssignExpr")?;
        let is_equation = equation.get("op").and_then(Value::as_str) == Some("Eq");
        let (_, from) = self.whole(equation.get("lhs").filter(|_| is_equation)?)?;
        let (to, _) = self.whole(equation.get("rhs")?)?;
        let mut words = Words::of(self.module.source.get(from..to)?);
        while let Some((word, _)) = words.next() {
            if word == Word::Symbol("=") {
                return Some(Edit {
                    start: from + words.begins,
                    end: from + words.ends(),
                    text: "==".to_owned(),
                });
            }
        }
        None
    }

    /// An `every`, after what its body names.
    fn every(&self, every: &'a Value, around: &BTreeSet<&'a str>) -> Vec<Edit> {
        let (Some(domain), Some(query)) = (every.get("domain"), every.get("query")) else {
            return Vec::new();
        };
        let mut edits = self.walk(domain, None);
        edits.extend(self.walk(query, None));
        let stmts = query.get("stmts").and_then(Value::as_array);
        let stmts = stmts.map_or(&[][..], Vec::as_slice);
        let mut own: BTreeSet<&str> = ["key", "value"]
            .iter()
            .filter_map(|part| self.module.text(every.get(part)?))
            .collect();
        own.extend(
            names::declared(self.module, stmts)
                .into_iter()
                .map(|(name, _)| name),
        );
        own.extend(names::assigned(stmts).into_iter().map(|(name, _)| name));
        for some in stmts
            .iter()
            .filter_map(|stmt| stmt.pointer("/literal/SomeIn"))
        {
            for part in [some.get("key"), some.get("value")].into_iter().flatten() {
                names::variables(part, &mut |name, _| {
                    own.insert(name);
                });
            }
        }
        let mut named = Counts::new();
        count(self.module, query, &mut named);
        let waits: Vec<&str> = named
            .into_keys()
            .filter(|name| around.contains(name) && !own.contains(name) && self.is_local(name))
            .collect();
        let span = self.domain(every, query).filter(|_| !waits.is_empty());
        if let Some((start, end)) = span {
            let at = |at, text| Edit {
                start: at,
                end: at,
                text,
            };
            edits.push(at(start, format!("{}(", builtins::AFTER)));
            edits.push(at(end, format!(", [{}])", waits.join(", "))));
        }
        edits
    }

    /// From where to where a domain goes: from `in` to the body. That of an object that is written out has a span of its own.
    fn domain(&self, every: &Value, query: &Value) -> Option<(usize, usize)> {
        let source = &self.module.source;
        let (_, named) = extent(source, every.get("value"))?;
        let (body, _) = extent(source, query.get("span"))?;
        let end = source.get(..body)?.trim_end().len();
        Some((after(source, named, end, "in")?, end))
    }

    /// A path with a variable in brackets that has its value from elsewhere, as a call.
    fn looked_up(&self, node: &'a Value, within: &Counts<'a>) -> Option<Edit> {
        let mut pieces = Vec::new();
        let mut root = node;
        while let (kind @ ("RefDot" | "RefBrack"), fields) = shape(root) {
            pieces.push((kind, fields));
            root = fields.get("refr")?;
        }
        pieces.reverse();
        if !matches!(shape(root).0, "Var" | "Call") {
            return None;
        }
        let waits = |(kind, fields): &(&str, &'a Value)| {
            let mut found = Counts::new();
            if let Some(index) = fields.get("index").filter(|_| *kind == "RefBrack") {
                count(self.module, index, &mut found);
            }
            found.into_keys().any(|name| self.is_known(name, within))
        };
        let at = pieces.iter().position(waits)?;
        let (start, end) = self.whole(node)?;
        let mut base = self.text(root, within)?;
        for (kind, fields) in pieces.get(..at)? {
            match *kind {
                "RefDot" => base.push_str(&format!(".{}", field(fields)?)),
                _ => base.push_str(&format!("[{}]", self.index(fields, within)?)),
            }
        }
        let path = pieces.get(at..)?.iter().map(|(kind, fields)| match *kind {
            "RefDot" => Some(Value::from(field(fields)?).to_string()),
            _ => self.index(fields, within),
        });
        let path = path.collect::<Option<Vec<_>>>()?.join(", ");
        let text = format!("{}({base}, [{path}])", builtins::LOOKUP);
        Some(Edit { start, end, text })
    }

    /// Whether a variable stands elsewhere in the rule too.
    fn is_known(&self, name: &str, within: &Counts<'a>) -> bool {
        let here = within.get(name).copied().unwrap_or_default();
        self.is_local(name) && self.counts.get(name).is_some_and(|all| *all > here)
    }

    fn is_local(&self, name: &str) -> bool {
        !["_", "input", "data"].contains(&name) && !self.global.contains(name)
    }

    fn text(&self, node: &'a Value, within: &Counts<'a>) -> Option<String> {
        let (start, end) = self.whole(node)?;
        let text = self.module.source.get(start..end)?;
        Some(edited(text, start, self.walk(node, Some(within))))
    }

    /// What stands in brackets, whatever it is: an object that is written out has a span of its own.
    fn index(&self, fields: &'a Value, within: &Counts<'a>) -> Option<String> {
        let (start, end) = self.brackets(fields)?;
        let text = self.module.source.get(start..end)?;
        let edits = self.walk(fields.get("index")?, Some(within));
        Some(edited(text, start, edits))
    }

    /// From where to where that goes, without the brackets.
    fn brackets(&self, fields: &Value) -> Option<(usize, usize)> {
        let (_, named) = self.whole(fields.get("refr")?)?;
        let mut words = Words::of(self.module.source.get(named..)?);
        let (mut depth, mut begins) = (0_usize, 0);
        while let Some((word, _)) = words.next() {
            match word {
                Word::Symbol("[" | "{" | "(") => depth += 1,
                Word::Symbol("]" | "}" | ")") => depth = depth.checked_sub(1)?,
                _ if depth == 0 => return None,
                _ => {}
            }
            match depth {
                0 => return Some((named + begins, named + words.begins)),
                1 if begins == 0 => begins = words.ends(),
                _ => {}
            }
        }
        None
    }

    /// From where to where an expression goes.
    fn whole(&self, node: &Value) -> Option<(usize, usize)> {
        let (from, _) = extent(&self.module.source, lint::span_of(node))?;
        let to = match shape(node) {
            ("RefBrack", fields) => self.brackets(fields)?.1 + 1,
            (_, fields) => extent(&self.module.source, fields.get("span"))?.1,
        };
        Some((from, to))
    }
}

fn field(fields: &Value) -> Option<&str> {
    fields.get("field")?.as_array()?.last()?.as_str()
}

/// Counts the variables in a node, and what `every` names in it.
fn count<'a>(module: &'a Module, node: &'a Value, found: &mut Counts<'a>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| count(module, item, found)),
        Value::Object(fields) => {
            let name = node.pointer("/Var/value").and_then(Value::as_str);
            let every = node.get("Every").into_iter();
            let each = every.flat_map(|every| [every.get("key"), every.get("value")]);
            let each = each.filter_map(|span| module.text(span?));
            for name in name.into_iter().chain(each) {
                *found.entry(name).or_default() += 1;
            }
            for (part, value) in fields {
                // The name of a function is none.
                if part != "fcn" {
                    count(module, value, found);
                }
            }
        }
        _ => {}
    }
}

/// The variables of a condition, without those of queries in it.
fn beside<'a>(node: &'a Value, found: &mut BTreeSet<&'a str>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| beside(item, found)),
        Value::Object(fields) if !fields.contains_key("query") => {
            found.extend(node.pointer("/Var/value").and_then(Value::as_str));
            let parts = fields.iter().filter(|(part, _)| *part != "fcn");
            parts.for_each(|(_, value)| beside(value, found));
        }
        Value::Object(fields) => {
            if let Some(domain) = fields.get("domain") {
                beside(domain, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
