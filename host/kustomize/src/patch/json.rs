//! JSON6902: operations on paths.
//!
//! As the library does that kustomize uses: an index may be negative, `replace` sets a field that is not there, a `test`
//! for null passes where nothing is, and an object that was operated on has its numbers normalised.

use std::borrow::Cow;

use serde_json::Value;

use super::written::Written;
use crate::budget::Budget;
use crate::yaml::{Marks, Node, Scalar, Style, Tag, Typing, Unprintable, go_yaml_number, resolve};

/// A list of operations.
pub(super) struct Operations(Vec<Operation>);

/// What is wrong with the operations.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The line of the one that is, 0 if it is none alone.
    pub(super) line: u32,
    pub(super) why: String,
}

impl Wrong {
    pub(super) fn whole(why: String) -> Self {
        Self { line: 0, why }
    }
}

struct Operation {
    /// The line it begins in.
    line: u32,
    path: Vec<String>,
    shown: String,
    kind: Kind,
}

enum Kind {
    Add(Node),
    Remove,
    Replace(Node),
    Move(Vec<String>),
    Copy(Vec<String>),
    Test(Node, Option<Written>),
}

impl Operations {
    /// Reads the operations of a patch, which begin where `marks` say.
    pub(super) fn parse(node: Node, marks: &Marks, patch: &[u8]) -> Result<Self, Wrong> {
        let Node::Seq(items) = node else {
            let why = "a JSON patch is a list of operations";
            return Err(Wrong::whole(why.to_owned()));
        };
        let mut written = Written::read(patch).into_iter();
        let operation = |(index, item)| {
            let written = written.next().flatten();
            let line = marks.get(&format!("[{index}]")).map_or(0, |mark| mark.0);
            Operation::parse(item, line, written).map_err(|why| {
                let why = format!("operation {}: {why}", index + 1);
                Wrong { line, why }
            })
        };
        items
            .into_iter()
            .enumerate()
            .map(operation)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether one of them puts others in the place of all annotations.
    pub(super) fn replace_annotations(&self) -> bool {
        let all = |path: &[String]| {
            path.is_empty()
                || matches!(path, [m] if m == "metadata")
                || matches!(path, [m, a] if m == "metadata" && a == "annotations")
        };
        self.0.iter().any(|operation| match &operation.kind {
            Kind::Test(..) => false,
            Kind::Move(from) => all(from) || all(&operation.path),
            Kind::Add(_) | Kind::Remove | Kind::Replace(_) | Kind::Copy(_) => all(&operation.path),
        })
    }

    /// Applies all to `object`, which is left half changed when one fails.
    pub(super) fn apply(&self, object: &mut Node, budget: &Budget) -> Result<(), Wrong> {
        normalise(object).map_err(|why| Wrong::whole(why.to_string()))?;
        // What the patch has written itself is there in its own words, and compared by its value.
        let mut untouched = true;
        for (index, operation) in self.0.iter().enumerate() {
            operation
                .apply(object, untouched, budget)
                .map_err(|why| Wrong {
                    line: operation.line,
                    why: format!("operation {} ({}): {why}", index + 1, operation.shown),
                })?;
            untouched &= matches!(operation.kind, Kind::Test(..));
        }
        Ok(())
    }
}

impl Operation {
    fn parse(node: Node, line: u32, written: Option<Written>) -> Result<Self, String> {
        let Node::Map(mut map) = node else {
            return Err("is no mapping".to_owned());
        };
        let mut text = |key: &str| match map.shift_remove(key) {
            Some(Node::Scalar(Scalar {
                tag: Tag::Str,
                text,
                ..
            })) => Ok(text),
            Some(_) => Err(format!("{key} must be a string")),
            None => Err(format!("{key} is missing")),
        };
        let op = text("op")?;
        let shown = text("path")?;
        let from = if matches!(op.as_str(), "move" | "copy") {
            Some(text("from")?)
        } else {
            None
        };
        let mut value = || {
            let mut value = map
                .shift_remove("value")
                .ok_or_else(|| "value is missing".to_owned())?;
            normalise(&mut value).map_err(|why| format!("value: {why}"))?;
            Ok::<_, String>(value)
        };
        let kind = match (op.as_str(), from) {
            ("add", _) => Kind::Add(value().unwrap_or_default()),
            ("remove", _) => Kind::Remove,
            ("replace", _) => Kind::Replace(value().unwrap_or_default()),
            ("test", _) => Kind::Test(value().unwrap_or_default(), written),
            ("move", Some(from)) => Kind::Move(split(&from)?),
            ("copy", Some(from)) => Kind::Copy(split(&from)?),
            _ => return Err("op must be add, remove, replace, move, copy or test".to_owned()),
        };
        // The whole document is only ever replaced, by another one.
        let path = match &kind {
            Kind::Replace(Node::Map(_)) if shown.is_empty() => Vec::new(),
            _ => split(&shown)?,
        };
        Ok(Self {
            line,
            path,
            shown: format!("{op} {shown}"),
            kind,
        })
    }

    fn apply(&self, object: &mut Node, untouched: bool, budget: &Budget) -> Result<(), String> {
        match &self.kind {
            Kind::Add(value) => {
                fits(&self.path, value, budget)?;
                add(object, &self.path, value.clone(), budget)
            }
            Kind::Remove => remove(object, &self.path, budget).map(drop),
            Kind::Replace(value) => {
                fits(&self.path, value, budget)?;
                if self.path.is_empty() {
                    *object = value.clone();
                    return Ok(());
                }
                replace(object, &self.path, value.clone())
            }
            Kind::Move(from) => {
                let value = remove(object, from, budget)?;
                fits(&self.path, &value, budget)?;
                add(object, &self.path, value, budget)
            }
            Kind::Copy(from) => {
                let value = get(object, from)?.map_or(Cow::Owned(Node::null()), Cow::Borrowed);
                fits(&self.path, &value, budget)?;
                let value = value.into_owned();
                add(object, &self.path, value, budget)
            }
            Kind::Test(value, written) => {
                let found = get(object, &self.path)?.filter(|found| !found.is_null());
                let passes = match found {
                    Some(found) => {
                        let same = same(found, value, budget)?;
                        let written = written.as_ref().filter(|_| same && untouched);
                        match written {
                            Some(written) => {
                                let charge = budget.steps(written.len());
                                charge.map_err(|why| why.to_string())?;
                                written.is(found)
                            }
                            None => same,
                        }
                    }
                    None => value.is_null(),
                };
                passes
                    .then_some(())
                    .ok_or_else(|| "the value is another".to_owned())
            }
        }
    }
}

/// The steps of a JSON pointer; what stands before its first slash means nothing, as the library has it.
fn split(pointer: &str) -> Result<Vec<String>, String> {
    let Some((_, rest)) = pointer.split_once('/') else {
        return Err("a path must begin with /".to_owned());
    };
    Ok(rest
        .split('/')
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect())
}

fn same(a: &Node, b: &Node, budget: &Budget) -> Result<bool, String> {
    budget
        .steps(a.cost() + b.cost())
        .map_err(|why| why.to_string())?;
    match (a.clone().into_value(), b.clone().into_value()) {
        (Ok(a), Ok(b)) => Ok(a == b),
        _ => Ok(false),
    }
}

/// Whether a value may stand at a path: operations must not nest or grow without end.
fn fits(path: &[String], value: &Node, budget: &Budget) -> Result<(), String> {
    budget.nodes(value.cost()).map_err(|why| why.to_string())?;
    let limit = budget.limits().nesting;
    if path.len() as u64 + value.depth() > limit {
        return Err(format!("more than {limit} levels of nesting"));
    }
    Ok(())
}

fn find<'a>(node: &'a mut Node, path: &[String]) -> Result<&'a mut Node, String> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(node);
    };
    let missing = || format!("{step} is not there");
    let next = match node {
        Node::Map(map) => map.get_mut(step).ok_or_else(missing)?,
        Node::Seq(items) => {
            let at = index(step, items.len())?;
            items.get_mut(at).ok_or_else(missing)?
        }
        Node::Scalar(_) => return Err(missing()),
    };
    find(next, rest)
}

fn index(step: &str, len: usize) -> Result<usize, String> {
    let number: i64 = step.parse().map_err(|_| format!("{step} is no index"))?;
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let number = if number < 0 { number + len } else { number };
    usize::try_from(number).map_err(|_| format!("index {step} is not there"))
}

fn parent<'a, 'p>(
    node: &'a mut Node,
    path: &'p [String],
) -> Result<(&'a mut Node, &'p String), String> {
    let Some((last, before)) = path.split_last() else {
        return Err("the whole object cannot be changed".to_owned());
    };
    Ok((find(node, before)?, last))
}

/// A list or a mapping moves what stands behind the place that changes.
fn charge_shift(length: usize, budget: &Budget) -> Result<(), String> {
    budget
        .steps(length as u64 / 8)
        .map_err(|why| why.to_string())
}

fn add(node: &mut Node, path: &[String], value: Node, budget: &Budget) -> Result<(), String> {
    match parent(node, path)? {
        (Node::Map(map), key) => {
            map.insert(key.clone(), value);
        }
        (Node::Seq(items), key) if key == "-" => items.push(value),
        (Node::Seq(items), key) => {
            // A negative index counts from behind the last item.
            let len = items.len() + usize::from(key.starts_with('-'));
            let at = index(key, len)?;
            if at > items.len() {
                return Err(format!("index {key} is not there"));
            }
            charge_shift(items.len(), budget)?;
            items.insert(at, value);
        }
        (Node::Scalar(_), key) => return Err(format!("nothing can hold {key}")),
    }
    Ok(())
}

/// The value at a path whose parent must be there; nothing for a field that is not.
fn get<'a>(node: &'a mut Node, path: &[String]) -> Result<Option<&'a Node>, String> {
    match parent(node, path)? {
        (Node::Map(map), key) => Ok(map.get(key)),
        (Node::Seq(items), key) => {
            let at = index(key, items.len())?;
            items
                .get(at)
                .map(Some)
                .ok_or_else(|| format!("{key} is not there"))
        }
        (Node::Scalar(_), key) => Err(format!("{key} is not there")),
    }
}

/// Sets what is at a path; a field need not be there, as the library has it.
fn replace(node: &mut Node, path: &[String], value: Node) -> Result<(), String> {
    match parent(node, path)? {
        (Node::Map(map), key) => {
            map.insert(key.clone(), value);
            Ok(())
        }
        (Node::Seq(items), key) => {
            let at = index(key, items.len())?;
            let item = items
                .get_mut(at)
                .ok_or_else(|| format!("{key} is not there"))?;
            *item = value;
            Ok(())
        }
        (Node::Scalar(_), key) => Err(format!("{key} is not there")),
    }
}

fn remove(node: &mut Node, path: &[String], budget: &Budget) -> Result<Node, String> {
    let (parent, key) = parent(node, path)?;
    let missing = || format!("{key} is not there");
    match parent {
        Node::Map(map) => {
            charge_shift(map.len(), budget)?;
            map.shift_remove(key).ok_or_else(missing)
        }
        Node::Seq(items) => {
            charge_shift(items.len(), budget)?;
            let at = index(key, items.len())?;
            if at < items.len() {
                Ok(items.remove(at))
            } else {
                Err(missing())
            }
        }
        Node::Scalar(_) => Err(missing()),
    }
}

/// The object as it is after a way through JSON.
fn normalise(node: &mut Node) -> Result<(), Unprintable> {
    let mut all = true;
    node.each_scalar(&mut |scalar| {
        all &= match scalar.printed() {
            Tag::Str => {
                scalar.settle();
                *scalar = text(std::mem::take(&mut scalar.text));
                true
            }
            _ => scalar.clone().into_value().is_ok_and(|value| {
                *scalar = through_json(value);
                true
            }),
        };
        // kustomize writes the object and reads it again.
        scalar.read = true;
    });
    match all {
        true => Ok(()),
        // Once more, for the field it is in.
        false => node.clone().into_value().map(drop),
    }
}

fn text(text: String) -> Scalar {
    Scalar {
        style: Style::of(&text),
        ..Scalar::string(text)
    }
}

fn through_json(value: Value) -> Scalar {
    let text = match value {
        // Go's JSON knows floats only, so that large integers lose digits.
        Value::Number(number) => number.as_f64().map_or_else(String::new, go_yaml_number),
        Value::String(string) => return text(string),
        other => other.to_string(),
    };
    Scalar::new(resolve(&text, Typing::Manifest), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn empty() -> Node {
        Node::empty_mapping()
    }

    #[test]
    fn operations_cannot_nest_without_end() {
        let budget = Budget::new(Limits::default());
        let mut object = empty();
        add(&mut object, &["a".to_owned()], empty(), &budget).unwrap();
        let copy = |object: &mut Node, depth: usize| {
            let value = object.get("a").cloned().unwrap();
            let path = vec!["a".to_owned(); depth];
            fits(&path, &value, &budget)?;
            add(object, &path, value, &budget)
        };
        let failed = (2..1000).find_map(|depth| copy(&mut object, depth).err());
        assert_eq!(failed.unwrap(), "more than 200 levels of nesting");
    }
}
