//! What `not` negates, as OPA does: no more than its outermost question; and what `in` is asked about.
//!
//! OPA evaluates what a negated question is asked about before it negates anything: with no `input.name`, the body of
//! `not startswith(input.name, "x")` does not hold. regorus takes what has no value for a question that does not hold, so
//! that the body does. So a module is handed to it with these parts written before: `before_not_0 := input.name; not
//! startswith(before_not_0, "x")`, on the same lines. As in OPA, a name on a side of `==` or `=` and one that is negated by
//! itself stay where they are. `x in xs` is no answer to OPA where one of them has no value, and false to regorus, or true of
//! two that have none: both are written before it too, or behind the conditions of a comprehension that gives it. It
//! deliberately judges nothing else: what is refused was refused by `lint` before.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::edits::{Edit, edited};
use super::extent::{self, children, shape};
use super::lint::{self, Module};
use super::{Error, heads, names};

/// What the parts are called, with a number behind it.
const NAME: &str = "before_not_";

/// Whether a condition was written here.
pub(super) fn is_part(stmt: &Value) -> bool {
    let name = stmt.pointer("/literal/Expr/expr/AssignExpr/lhs/Var/value");
    let name = name.and_then(Value::as_str);
    name.is_some_and(|name| name.starts_with(NAME))
}

/// What is written otherwise in each of `own`, which are among all modules: before outermost negations what they are asked
/// about. What is negated within those parts is there the next time.
pub(super) fn hoisted(all: &[Module], own: &[Module]) -> Result<Vec<Vec<Edit>>, Error> {
    let declared = lint::roots(all);
    let name = heads::unused(all, NAME);
    let written = own.iter().map(|module| {
        let global = names::global(module, &declared);
        edits(module, global, name.clone())
    });
    written.collect()
}

fn edits(module: &Module, global: BTreeSet<String>, name: String) -> Result<Vec<Edit>, Error> {
    let mut rewrite = Rewrite {
        module,
        global,
        name,
        made: 0,
        negates: false,
        edits: Vec::new(),
    };
    rewrite.visit(&module.tree, false)?;
    Ok(rewrite.edits)
}

struct Rewrite<'a> {
    module: &'a Module,
    /// Names that stand for rules and imports.
    global: BTreeSet<String>,
    /// What no name in the modules begins with.
    name: String,
    made: usize,
    /// Whether the parts are those of a negation.
    negates: bool,
    edits: Vec<Edit>,
}

impl Rewrite<'_> {
    /// `is_body` is said of a query that is a rule's, which may stand without braces.
    fn visit(&mut self, node: &Value, is_body: bool) -> Result<(), Error> {
        match node {
            Value::Array(items) => items.iter().try_for_each(|item| self.visit(item, false)),
            Value::Object(fields) => {
                if fields.contains_key("stmts") {
                    return self.query(node, is_body);
                }
                if let Some(query) = fields
                    .get("query")
                    .filter(|_| !fields.contains_key("is_else"))
                    && self.gives(fields, query)?
                {
                    return Ok(());
                }
                let is_rule = fields.contains_key("is_else");
                let mut fields = fields.iter();
                fields.try_for_each(|(name, value)| self.visit(value, is_rule && name == "query"))
            }
            _ => Ok(()),
        }
    }

    fn query(&mut self, query: &Value, is_body: bool) -> Result<(), Error> {
        let statements = query.get("stmts").and_then(Value::as_array);
        // Without braces a body begins where its first condition does, and that may be a set.
        let first = statements.and_then(|statements| statements.first());
        let (from, _) = span(self.module, query);
        let braces = first.is_some_and(|first| span(self.module, first).0 <= from);
        for statement in statements.into_iter().flatten() {
            let mut parts = Vec::new();
            let mut inside = match statement.pointer("/literal/NotExpr/expr") {
                Some(negated) => {
                    self.negates = true;
                    self.negated(negated, &mut parts)?
                }
                None => {
                    self.negates = false;
                    self.members(statement, &mut parts)?
                }
            };
            if parts.is_empty() {
                self.visit(statement, false)?;
                continue;
            }
            let (start, end) = span(self.module, statement);
            let with = statement
                .pointer("/with_mods/0")
                .map(|first| span(self.module, first).0);
            let with = with.and_then(|with| self.module.source.get(with..end));
            let with = with.map_or_else(String::new, |with| format!(" {}", with.trim_end()));
            let mut before = String::from(if is_body && braces { "{ " } else { "" });
            for (name, text) in parts {
                before.push_str(&format!("{name} := {text}{with}; "));
            }
            inside.push(Edit {
                start,
                end: start,
                text: before,
            });
            if is_body && braces {
                inside.push(Edit {
                    start: end,
                    end,
                    text: " }".to_owned(),
                });
            }
            self.edits.append(&mut inside);
        }
        Ok(())
    }

    /// What changes in a condition that asks whether something is in something else: both are parts.
    fn members(
        &mut self,
        node: &Value,
        parts: &mut Vec<(String, String)>,
    ) -> Result<Vec<Edit>, Error> {
        let mut edits = Vec::new();
        match node {
            Value::Array(items) => {
                for item in items {
                    edits.extend(self.members(item, parts)?);
                }
            }
            // What is asked in a query of its own has its own conditions before it.
            Value::Object(fields) if fields.contains_key("query") => {
                if let Some(domain) = fields.get("domain") {
                    edits.extend(self.members(domain, parts)?);
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    if name == "Membership" {
                        for child in children(name, value) {
                            edits.extend(self.part(child, true, parts)?);
                        }
                    } else {
                        edits.extend(self.members(value, parts)?);
                    }
                }
            }
            _ => {}
        }
        Ok(edits)
    }

    /// The same of what a comprehension gives: the parts come after its conditions. Whether there are any.
    fn gives(&mut self, fields: &Map<String, Value>, query: &Value) -> Result<bool, Error> {
        let mut parts = Vec::new();
        let mut inside = Vec::new();
        for given in ["term", "key", "value"]
            .iter()
            .filter_map(|name| fields.get(*name))
        {
            if given.is_object() && !given.get("line").is_some_and(Value::is_number) {
                inside.extend(self.members(given, &mut parts)?);
            }
        }
        let stmts = query.get("stmts").and_then(Value::as_array);
        let Some(last) = stmts
            .and_then(|stmts| stmts.last())
            .filter(|_| !parts.is_empty())
        else {
            return Ok(false);
        };
        let (_, end) = span(self.module, last);
        let text = parts
            .iter()
            .map(|(name, text)| format!("; {name} := {text}"));
        inside.push(Edit {
            start: end,
            end,
            text: text.collect(),
        });
        self.edits.append(&mut inside);
        Ok(true)
    }

    /// What changes in a negation, whose `parts` are written before it: what each is called, and what it is.
    fn negated(
        &mut self,
        node: &Value,
        parts: &mut Vec<(String, String)>,
    ) -> Result<Vec<Edit>, Error> {
        let (shape, fields) = shape(node);
        let equals = match shape {
            "AssignExpr" => true,
            "BoolExpr" => fields.get("op").and_then(Value::as_str) == Some("Eq"),
            _ => false,
        };
        let mut edits = Vec::new();
        for child in children(shape, fields) {
            let is_name = matches!(extent::shape(child).0, "Var" | "RefDot" | "RefBrack");
            let stays = equals && is_name
                || matches!(shape, "RefDot" | "RefBrack") && is_base(fields, child);
            edits.extend(self.part(child, !stays, parts)?);
        }
        Ok(edits)
    }

    /// Takes what may have no value out of a part of a negated question: all of it, or only what lies in it.
    fn part(
        &mut self,
        node: &Value,
        whole: bool,
        parts: &mut Vec<(String, String)>,
    ) -> Result<Vec<Edit>, Error> {
        let (shape, fields) = shape(node);
        if shape == "Var" && fields.get("value").and_then(Value::as_str) == Some("_") {
            if !self.negates {
                return Ok(Vec::new());
            }
            let why = "`_` is of no use below `not`: it says neither any nor all; make a rule of what is negated, or use `every`";
            return Err(Error::at(
                lint::place(&self.module.file, fields.get("span")),
                why.to_owned(),
            ));
        }
        let mut inside = Vec::new();
        for child in children(shape, fields) {
            let stays = matches!(shape, "RefDot" | "RefBrack")
                && is_base(fields, child)
                && matches!(extent::shape(child).0, "Var" | "RefDot" | "RefBrack");
            inside.extend(self.part(child, !stays, parts)?);
        }
        let may_have_none = match shape {
            "Var" => {
                let name = fields.get("value").and_then(Value::as_str);
                name.is_some_and(|name| self.global.contains(name))
            }
            "RefDot" | "RefBrack" | "Call" | "UnaryExpr" | "BinExpr" | "BoolExpr" | "ArithExpr"
            | "Membership" => true,
            _ => false,
        };
        if !whole || !may_have_none {
            return Ok(inside);
        }
        let (start, end) = span(self.module, fields);
        let text = self.module.source.get(start..end).unwrap_or_default();
        let name = format!("{}{}", self.name, self.made);
        self.made += 1;
        parts.push((name.clone(), edited(text, start, inside)));
        Ok(vec![Edit {
            start,
            end,
            text: name,
        }])
    }
}

/// Whether `child` is what a path goes on from.
fn is_base(fields: &Value, child: &Value) -> bool {
    fields
        .get("refr")
        .is_some_and(|base| std::ptr::eq(base, child))
}

/// Where it stands.
fn span(module: &Module, node: &Value) -> (usize, usize) {
    extent::extent(&module.source, node.get("span")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
