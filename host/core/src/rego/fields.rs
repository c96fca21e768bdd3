//! References to fields of the input that it does not have: they have no value, and what asks for them never holds.
//!
//! Held against the JSON Schema of the input. Followed are plain paths from `input`, and from a variable that one place of
//! its rule gives such a path as its value. It deliberately says nothing where the schema says nothing: in manifests, labels
//! and specs anything may lie.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check::{Fault, FaultKind};
use super::lint::{self, Module};
use super::names;

/// How far references of the schema to its own parts are followed.
const DEPTH: usize = 16;
/// How often it is looked for variables that have their values from others.
const ROUNDS: usize = 4;
/// The most fields that are named instead of one that is not there.
const NAMED: usize = 12;

/// What in the modules asks for a field that `schema` doesn't have.
pub(super) fn faults(modules: &[Module], schema: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    for module in modules {
        let mut checked = |node: &Value, known: &Known<'_>| {
            let look = Look {
                module,
                schema,
                known,
            };
            look.visit(node, &mut faults);
        };
        for rule in lint::rules(module) {
            checked(rule, &Known::of(module, rule, schema));
        }
    }
    faults
}

/// The parts of the schema that variables of one rule stand for.
#[derive(Default)]
struct Known<'a> {
    variables: BTreeMap<&'a str, Option<&'a Value>>,
}

impl<'a> Known<'a> {
    fn of(module: &'a Module, rule: &'a Value, schema: &'a Value) -> Self {
        let mut given = Vec::new();
        values(module, rule, &mut given);
        let mut known = Self::default();
        for _ in 0..ROUNDS {
            let mut variables: BTreeMap<&str, Option<&Value>> = BTreeMap::new();
            for one in &given {
                let part = one.from.and_then(|from| {
                    let part = known.part(from, schema)?;
                    match one.element {
                        true => resolved(part, schema)?.get("items"),
                        false => Some(part),
                    }
                });
                // What two places give a value stands for nothing that is known.
                let entry = variables.entry(one.name);
                entry.and_modify(|known| *known = None).or_insert(part);
            }
            known.variables = variables;
        }
        known
    }

    /// The part of the schema that a whole reference stands for.
    fn part<'s>(&self, node: &Value, schema: &'s Value) -> Option<&'s Value>
    where
        'a: 's,
    {
        let path = path(node)?;
        let mut part = self.root(path.root, schema)?;
        for step in &path.steps {
            match next(part, step.name, schema) {
                Next::Part(found) => part = found,
                Next::Missing(_) | Next::Anything => return None,
            }
        }
        Some(part)
    }

    fn root<'s>(&self, name: &str, schema: &'s Value) -> Option<&'s Value>
    where
        'a: 's,
    {
        match name {
            "input" => Some(schema),
            name => self.variables.get(name).copied().flatten(),
        }
    }
}

/// A place that gives a variable a value.
struct Given<'a> {
    name: &'a str,
    /// None: nobody knows what.
    from: Option<&'a Value>,
    /// Whether it is an element of that.
    element: bool,
}

/// All places below `node` that give variables values.
fn values<'a>(module: &'a Module, node: &'a Value, given: &mut Vec<Given<'a>>) {
    let fields = match node {
        Value::Array(items) => {
            items.iter().for_each(|item| values(module, item, given));
            return;
        }
        Value::Object(fields) => fields,
        _ => return,
    };
    for (shape, inner) in fields {
        let text = |key: &str| inner.get(key).and_then(|span| module.text(span));
        match shape.as_str() {
            "SomeIn" => {
                of_node(inner.get("value"), inner.get("collection"), true, given);
                of_node(inner.get("key"), None, false, given);
            }
            "Every" => {
                let from = inner.get("domain");
                given.extend(text("value").map(|name| Given {
                    name,
                    from,
                    element: true,
                }));
                given.extend(text("key").map(unknown));
            }
            "AssignExpr" => of_node(inner.get("lhs"), inner.get("rhs"), false, given),
            "Func" => of_node(inner.get("args"), None, false, given),
            "SomeVars" => {
                let spans = inner.get("vars").and_then(Value::as_array);
                let named = spans.into_iter().flatten();
                let named = named.filter_map(|span| module.text(span));
                given.extend(named.map(|name| unknown(name.trim())));
            }
            _ => {}
        }
        values(module, inner, given);
    }
}

fn unknown(name: &str) -> Given<'_> {
    Given {
        name,
        from: None,
        element: false,
    }
}

/// The one variable that `node` is, with its value; or all that are in it, of which nothing is known.
fn of_node<'a>(
    node: Option<&'a Value>,
    from: Option<&'a Value>,
    element: bool,
    given: &mut Vec<Given<'a>>,
) {
    let Some(node) = node else { return };
    match node.pointer("/Var/value").and_then(Value::as_str) {
        Some(name) => given.push(Given {
            name,
            from,
            element,
        }),
        None => names::variables(node, &mut |name, _| given.push(unknown(name))),
    }
}

struct Look<'l> {
    module: &'l Module,
    schema: &'l Value,
    known: &'l Known<'l>,
}

impl Look<'_> {
    fn visit(&self, node: &Value, faults: &mut Vec<Fault>) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.visit(item, faults)),
            Value::Object(fields) => {
                // The head of a longer reference is one itself: what is wrong with it is told once, since faults are a set.
                faults.extend(self.missing(node));
                fields.values().for_each(|value| self.visit(value, faults));
            }
            _ => {}
        }
    }

    fn missing(&self, node: &Value) -> Option<Fault> {
        let path = path(node)?;
        let mut part = self.known.root(path.root, self.schema)?;
        let mut shown = path.root.to_owned();
        for step in &path.steps {
            match (next(part, step.name, self.schema), step.name) {
                (Next::Part(found), name) => {
                    match name {
                        Some(name) => shown.extend([".", name]),
                        None => shown.push_str("[_]"),
                    }
                    part = found;
                }
                (Next::Missing(known), Some(name)) => {
                    let why = told(&shown, name, &known);
                    return Some(names::fault(
                        self.module,
                        step.span,
                        FaultKind::Unknown,
                        why,
                    ));
                }
                _ => return None,
            }
        }
        None
    }
}

fn told(shown: &str, name: &str, known: &[&str]) -> String {
    let near = reeve_kustomize::nearest(name, known.iter().copied());
    let there = match (near, known) {
        (_, []) => "it has no fields".to_owned(),
        (Some(near), _) => format!("did you mean {shown}.{near}?"),
        (None, known) => {
            let named: Vec<&str> = known.iter().take(NAMED).copied().collect();
            format!("it has {}", named.join(", "))
        }
    };
    format!("{shown} has no field {name}: {there}")
}

/// What one step from a part of the schema leads to.
enum Next<'s> {
    Part(&'s Value),
    /// There is no such field, but these.
    Missing(Vec<&'s str>),
    /// The schema doesn't say.
    Anything,
}

fn next<'s>(part: &'s Value, name: Option<&str>, schema: &'s Value) -> Next<'s> {
    let Some(part) = resolved(part, schema) else {
        return Next::Anything;
    };
    if let Some(fields) = part.get("properties").and_then(Value::as_object) {
        return match name.map(|name| fields.get(name)) {
            Some(Some(found)) => Next::Part(found),
            Some(None) => Next::Missing(fields.keys().map(String::as_str).collect()),
            None => Next::Anything,
        };
    }
    match (part.get("items"), name) {
        (Some(items), None) => Next::Part(items),
        (Some(_), Some(_)) => Next::Missing(Vec::new()),
        (None, Some(_)) if is_plain(part) => Next::Missing(Vec::new()),
        (None, _) => Next::Anything,
    }
}

/// Whether only texts, numbers and the like may lie there.
fn is_plain(part: &Value) -> bool {
    let plain = |one: &Value| {
        let one = one.as_str().unwrap_or_default();
        ["string", "boolean", "integer", "number", "null"].contains(&one)
    };
    match part.get("type") {
        Some(Value::Array(types)) => !types.is_empty() && types.iter().all(plain),
        Some(one) => plain(one),
        None => false,
    }
}

/// The part that a part refers to.
fn resolved<'s>(part: &'s Value, schema: &'s Value) -> Option<&'s Value> {
    let mut part = part;
    for _ in 0..DEPTH {
        let Some(reference) = part.get("$ref") else {
            return Some(part);
        };
        part = schema.pointer(reference.as_str()?.strip_prefix('#')?)?;
    }
    None
}

/// A variable, and what follows it.
struct Path<'n> {
    root: &'n str,
    steps: Vec<Step<'n>>,
}

struct Step<'n> {
    /// None: which one is known when it is evaluated.
    name: Option<&'n str>,
    span: Option<&'n Value>,
}

fn path(node: &Value) -> Option<Path<'_>> {
    let mut fields = node.as_object()?.iter();
    let (shape, inner) = fields.find(|(_, value)| value.is_object())?;
    let root = match shape.as_str() {
        "Var" => {
            return Some(Path {
                root: inner.get("value")?.as_str()?,
                steps: Vec::new(),
            });
        }
        "RefDot" | "RefBrack" => inner.get("refr")?,
        _ => return None,
    };
    let mut path = path(root)?;
    path.steps.push(match shape.as_str() {
        "RefDot" => {
            let field = inner.get("field")?.as_array()?;
            Step {
                name: Some(field.last()?.as_str()?),
                span: field.first(),
            }
        }
        _ => bracketed(inner.get("index")?),
    });
    Some(path)
}

fn bracketed(index: &Value) -> Step<'_> {
    let texts = ["/String", "/RawString"].into_iter();
    let mut found = texts.filter_map(|shape| {
        let text = index.pointer(shape)?;
        Some((text.get("value")?.as_str()?, text.get("span")))
    });
    let text = found.next();
    Step {
        name: text.map(|(name, _)| name),
        span: text.and_then(|(_, span)| span),
    }
}
