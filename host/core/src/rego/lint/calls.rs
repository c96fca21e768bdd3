//! Calls that are refused.
//!
//! regorus accepts a call of a function it doesn't know and fails only when evaluation comes by, and a few functions
//! it knows read a clock, roll dice, print, cost more than their arguments say or answer otherwise than OPA. All of these
//! are refused here. It deliberately looks at arguments only where they are texts that say what cannot be done: what a call
//! may take is `builtins`'.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Error, Functions, Module, dotted, refused, span_of};
use crate::rego::{builtins, names};

/// Functions (with a dot: whole families, but for those of our own) that no policy may call, and why.
const REFUSED: [(&str, &str); 14] = [
    ("http.", "a policy has no network"),
    ("net.", "a policy has no network"),
    ("time.", "a policy has no clock"),
    ("rand.", "a policy is not random"),
    ("uuid.", "a policy is not random"),
    ("opa.", "a policy doesn't know where it runs"),
    ("io.", "it is not available"),
    ("crypto.", "it is not available"),
    ("trace", "a policy prints nothing"),
    ("print", "a policy prints nothing"),
    ("bits.lsh", UNBOUNDED),
    ("graph.reachable_paths", UNBOUNDED),
    ("yaml.", "its YAML is not OPA's: use JSON"),
    (
        "json.match_schema",
        "what it finds wrong is not told as by OPA",
    ),
];

const UNBOUNDED: &str = "its cost isn't bounded by its arguments' size";

/// The calls in them that are refused.
pub(super) fn refusals(modules: &[Module]) -> Vec<Error> {
    let functions = Functions::of(modules);
    let mut errors = Vec::new();
    for module in modules {
        let mut walk = Walk {
            module,
            functions: &functions,
            aliases: names::aliases(module),
            errors: &mut errors,
        };
        walk.visit(&module.tree);
    }
    errors
}

struct Walk<'a> {
    module: &'a Module,
    functions: &'a Functions,
    aliases: BTreeMap<String, String>,
    errors: &'a mut Vec<Error>,
}

impl Walk<'_> {
    fn visit(&mut self, node: &Value) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.visit(item)),
            Value::Object(fields) => {
                let called = fields.get("Call").map_or(Ok(()), |call| self.call(call));
                let replaced = match (fields.get("refr"), fields.get("as")) {
                    (Some(target), Some(by)) => self
                        .replacement(by)
                        .and_then(|()| self.replaced(target, by)),
                    _ => Ok(()),
                };
                let sum = fields.get("ArithExpr");
                self.errors.extend(sum.and_then(|sum| self.decimal(sum)));
                let member = fields.get("Membership");
                self.errors
                    .extend(member.and_then(|member| self.member(member)));
                self.errors.extend(called.err());
                self.errors.extend(replaced.err());
                fields.values().for_each(|value| self.visit(value));
            }
            _ => {}
        }
    }

    fn call(&self, call: &Value) -> Result<(), Error> {
        let span = call.get("fcn").and_then(span_of);
        let Some(name) = call.get("fcn").and_then(dotted) else {
            return Err(self.refused(span, "a function is called by a plain name"));
        };
        if self.is_ours(&name) {
            return Ok(());
        }
        let arity = usize::from(self.builtin(&name, span)?);
        let given = call
            .get("params")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        if name == "walk" && given == arity {
            let why =
                "function walk is given a place for each path and value: walk(x, [path, value])";
            return Err(self.refused(span, why));
        }
        self.is_done(&name, call, span)?;
        // One argument more is a place for the result.
        if given == arity || given == arity + 1 && !builtins::is_extension(&name) {
            return Ok(());
        }
        let why = format!("function {name} takes {arity} arguments and not {given}");
        Err(self.refused(span, &why))
    }

    /// Refuses an operator beside a decimal that is no double: it would be calculated with fewer digits than OPA has.
    fn decimal(&self, node: &Value) -> Option<Error> {
        let (sign, function) = match node.get("op").and_then(Value::as_str)? {
            "Add" => ("+", "plus"),
            "Sub" => ("-", "minus"),
            "Mul" => ("*", "mul"),
            "Div" => ("/", "div"),
            _ => return None,
        };
        let mut operands = [node.get("lhs"), node.get("rhs")].into_iter().flatten();
        let written = operands.find_map(|operand| {
            let text = self.module.text(operand.pointer("/Number/span")?)?;
            (!builtins::is_exact(text)).then_some(text)
        })?;
        let why = format!(
            "{sign} beside {written} is calculated with fewer digits than OPA has: write {function}(x, y) for x {sign} y"
        );
        Some(self.refused(node.get("lhs").and_then(span_of), &why))
    }

    /// Refuses `key, value in {…}` where it can be seen that this is a set: to OPA its members are their own keys, and
    /// regorus finds nothing there.
    fn member(&self, node: &Value) -> Option<Error> {
        node.get("key").filter(|key| !key.is_null())?;
        let collection = node.get("collection")?;
        let set = collection
            .get("Set")
            .or_else(|| collection.get("SetCompr"))?;
        let why = "a key and a value are not looked for in a set: write value in set";
        Some(self.refused(set.get("span"), why))
    }

    /// Refuses what can be read off the texts in a call: that would fail whenever evaluation comes by.
    fn is_done(&self, name: &str, call: &Value, span: Option<&Value>) -> Result<(), Error> {
        let arguments = call.get("params").and_then(Value::as_array);
        for (at, argument) in arguments.into_iter().flatten().enumerate() {
            let node = argument.get("String").or_else(|| argument.get("RawString"));
            let text = node.and_then(|node| node.get("value")?.as_str());
            let undone = text.and_then(|text| builtins::undone(name, at, text));
            if let Some(what) = undone {
                let why = format!("function {name} is asked for what is not done here: {what}");
                return Err(self.refused(span, &why));
            }
        }
        Ok(())
    }

    /// `with f as g` calls `g` wherever `f` stands: what may not be called may not be put there either.
    fn replacement(&self, node: &Value) -> Result<(), Error> {
        match dotted(node) {
            Some(name)
                if !self.is_ours(&name)
                    && (builtins::arity(&name).is_some() || name == "print") =>
            {
                self.builtin(&name, span_of(node)).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Refuses to replace what is only a default, or to put it there: regorus would leave things as they are.
    fn replaced(&self, target: &Value, by: &Value) -> Result<(), Error> {
        // An import has a place where this has an expression.
        if by.get("line").is_some() {
            return Ok(());
        }
        let function = |node: &Value| {
            let package = &self.module.package;
            self.functions.full(&dotted(node)?, package, &self.aliases)
        };
        let is_data = dotted(target).is_some_and(|name| name.starts_with("data."));
        if is_data && function(by).is_some() && function(target).is_none() {
            let why = "with puts a function in the place of what is none";
            return Err(self.refused(span_of(target), why));
        }
        let named = [target, by].map(|node| Some((node, dotted(node)?)));
        let mut named = named.into_iter().flatten();
        let only = named.find(|(node, _)| {
            function(node).is_some_and(|full| self.functions.is_only_default(&full))
        });
        let Some((node, name)) = only else {
            return Ok(());
        };
        let why = format!(
            "with takes no function that is only a default: write {name}(…) := value for default {name}(…) := value"
        );
        Err(self.refused(span_of(node), &why))
    }

    /// How many arguments a function takes that a policy may call.
    fn builtin(&self, name: &str, span: Option<&Value>) -> Result<u8, Error> {
        if let Some(arity) = builtins::own(name).or_else(|| builtins::written(name)) {
            return Ok(arity);
        }
        let why = REFUSED.iter().find(|(refused, _)| {
            name == *refused || (refused.ends_with('.') && name.starts_with(refused))
        });
        if let Some((_, why)) = why {
            return Err(self.refused(span, &format!("function {name} is refused: {why}")));
        }
        builtins::arity(name)
            .ok_or_else(|| self.refused(span, &format!("function {name} is not known")))
    }

    fn is_ours(&self, name: &str) -> bool {
        let package = &self.module.package;
        let full = self.functions.full(name, package, &self.aliases);
        full.is_some()
    }

    fn refused(&self, span: Option<&Value>, why: &str) -> Error {
        refused(&self.module.file, span, why)
    }
}
