//! Paths to a value, as `replacements` and `vars` write them: `spec.containers.[name=web].env.0.value`.
//!
//! Looking a value up is strict about kinds, finding all places to write to knows expressions and `*` and may make what is
//! missing. Other fields of kustomize have paths of another form: `fieldspec.rs`.

use crate::budget::Budget;
use crate::pattern::Pattern;
use crate::yaml::{Mapping, Node, Scalar, Tag, needs_quotes};

/// The steps of a path. A dot behind a backslash or between brackets parts nothing; brackets without `=` are dropped.
pub(crate) fn split(path: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut parts = parts(path).into_iter();
    while let Some(part) = parts.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            steps.push(part);
            continue;
        }
        let mut bracketed = part;
        for more in parts.by_ref() {
            bracketed.push('.');
            bracketed.push_str(&more);
            if more.ends_with(']') {
                break;
            }
        }
        if !bracketed.contains('=') {
            bracketed = bracketed.trim_matches(['[', ']']).to_owned();
        }
        steps.push(bracketed);
    }
    steps
}

fn parts(path: &str) -> Vec<String> {
    let path = match path.strip_prefix('.') {
        Some(rest) => rest,
        None => path,
    };
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('.') {
        match parts.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push('.');
                last.push_str(part);
            }
            _ => parts.push(part.to_owned()),
        }
    }
    parts
}

/// One step of a path.
enum Step<'a> {
    Index(usize),
    /// `[field=value]`; without a field, the item itself.
    Item(&'a str, &'a str),
    Every,
    Field(&'a str),
}

impl<'a> Step<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        if let Ok(index) = text.parse::<i64>()
            && let Ok(index) = usize::try_from(index)
        {
            return Ok(Step::Index(index));
        }
        if text == "*" {
            return Ok(Step::Every);
        }
        let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) else {
            return Ok(Step::Field(text));
        };
        let (field, value) = inner
            .split_once('=')
            .ok_or_else(|| format!("{text} must be written as [field=value]"))?;
        Ok(Step::Item(field, value))
    }
}

/// The one value at `path`.
pub(crate) fn lookup<'a>(node: &'a Node, path: &[String]) -> Result<Option<&'a Node>, String> {
    let mut found = node;
    for text in path.iter().map(|t| t.trim()).filter(|t| !t.is_empty()) {
        let next = match (key(found, text)?, found) {
            (Key::Item(Some(index)), Node::Seq(items)) => items.get(index),
            (Key::Field, Node::Map(map)) => map.get(text),
            _ => None,
        };
        match next {
            Some(next) => found = next,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// The same, to be changed.
pub(crate) fn lookup_mut<'a>(
    node: &'a mut Node,
    path: &[String],
) -> Result<Option<&'a mut Node>, String> {
    let mut found = node;
    for text in path.iter().map(|t| t.trim()).filter(|t| !t.is_empty()) {
        let next = match (key(found, text)?, found) {
            (Key::Item(Some(index)), Node::Seq(items)) => items.get_mut(index),
            (Key::Field, Node::Map(map)) => map.get_mut(text),
            _ => None,
        };
        match next {
            Some(next) => found = next,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// Which child of a value a step means.
enum Key {
    Field,
    Item(Option<usize>),
}

fn key(node: &Node, text: &str) -> Result<Key, String> {
    if node.is_null() {
        return Ok(Key::Item(None));
    }
    let at = match Step::of(text)? {
        Step::Index(index) => items(node, text).map(|_| Some(index)),
        Step::Field("-") => items(node, text).map(|items| items.len().checked_sub(1)),
        Step::Item(field, value) => {
            items(node, text).map(|items| items.iter().position(|i| is_item(i, field, value)))
        }
        Step::Every => Err("* stands for several values".to_owned()),
        Step::Field(_) if node.map().is_some() => return Ok(Key::Field),
        Step::Field(_) => Err(format!("{text} needs a mapping, not {}", node.kind_name())),
    };
    at.map(Key::Item)
}

fn is_item(item: &Node, field: &str, value: &str) -> bool {
    if field.is_empty() {
        return item.raw_text() == value;
    }
    item.get(field)
        .is_some_and(|found| found.raw_text() == value)
}

fn items<'a>(node: &'a Node, step: &str) -> Result<&'a [Node], String> {
    node.seq()
        .map(Vec::as_slice)
        .ok_or_else(|| format!("{step} needs a list, not {}", node.kind_name()))
}

/// What kind of value is made at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Scalar,
    Map,
    Seq,
}

impl Make {
    /// The kind of `node`.
    pub(crate) fn like(node: &Node) -> Self {
        match node {
            Node::Scalar(_) => Self::Scalar,
            Node::Map(_) => Self::Map,
            Node::Seq(_) => Self::Seq,
        }
    }

    /// An empty value to which `path` leads on.
    fn empty(self, path: &[String]) -> Node {
        let next = path.first().map(String::as_str);
        let list = next.is_some_and(|n| {
            n.starts_with('[') && n.ends_with(']') || n.parse().is_ok_and(|i: i64| i >= 0)
        });
        match (next.is_none_or(str::is_empty), self) {
            (false, _) if list => Node::Seq(Vec::new()),
            (false, _) | (true, Self::Map) => Node::empty_mapping(),
            (true, Self::Seq) => Node::Seq(Vec::new()),
            (true, Self::Scalar) => Node::string(""),
        }
    }
}

/// Called for each value that a path leads to; told whether it was just made.
pub(crate) type Set<'a> = &'a mut dyn FnMut(&mut Node, bool) -> Result<(), String>;

/// A walk to all values that a path leads to.
pub(crate) struct Walk<'a> {
    pub(crate) make: Option<Make>,
    pub(crate) budget: &'a Budget,
}

impl Walk<'_> {
    /// Calls `set` on every value at `path` and tells how many there were.
    pub(crate) fn visit(
        &self,
        node: &mut Node,
        path: &[String],
        fresh: bool,
        set: Set<'_>,
    ) -> Result<usize, String> {
        let Some((text, rest)) = path.split_first() else {
            return set(node, fresh).map(|()| 1);
        };
        self.budget.steps(1).map_err(|why| why.to_string())?;
        match Step::of(text)? {
            Step::Field(field) => self.field(node, field, rest, set),
            Step::Index(index) => self.index(node, index, rest, set),
            Step::Item(field, value) => self.matching(node, (field, value), rest, set),
            Step::Every => {
                let mut count = 0;
                for item in items_mut(node, text)? {
                    count += self.visit(item, rest, false, &mut *set)?;
                }
                Ok(count)
            }
        }
    }

    fn field(
        &self,
        node: &mut Node,
        field: &str,
        rest: &[String],
        set: Set<'_>,
    ) -> Result<usize, String> {
        if field.is_empty() {
            return Err("a step of the path is empty".to_owned());
        }
        if node.is_null() {
            // What kustomize makes below a null is there until it is printed, and so is not seen.
            let unseen = &mut Node::empty_mapping();
            return match self.make {
                Some(_) => self.field(unseen, field, rest, set),
                None => Ok(0),
            };
        }
        let kind = node.kind_name();
        let map = node
            .map_mut()
            .ok_or_else(|| format!("{field} needs a mapping, not {kind}"))?;
        let missing = !map.contains_key(field);
        if let (true, Some(make)) = (missing, self.make) {
            let made = make.empty(rest);
            let cost = 1 + crate::yaml::text_cost(field);
            self.budget.nodes(cost).map_err(|why| why.to_string())?;
            map.insert(field.to_owned(), made);
        }
        match map.get_mut(field) {
            // As in kustomize, whose reader finds nothing at all in it then.
            Some(found) if found.is_null() && found.raw_text().is_empty() && !rest.is_empty() => {
                Err(format!("{field} has no value: write {{}} or leave it out"))
            }
            Some(found) => self.visit(found, rest, missing, set),
            None => Ok(0),
        }
    }

    fn index(
        &self,
        node: &mut Node,
        index: usize,
        rest: &[String],
        set: Set<'_>,
    ) -> Result<usize, String> {
        let items = items_mut(node, "an index")?;
        let length = items.len();
        let fresh = length == index;
        if let (true, Some(make)) = (fresh, self.make) {
            self.budget.nodes(1).map_err(|why| why.to_string())?;
            items.push(make.empty(rest));
        }
        let item = items
            .get_mut(index)
            .ok_or_else(|| format!("index {index} is not there: the list has {length} items"))?;
        self.visit(item, rest, fresh, set)
    }

    fn matching(
        &self,
        node: &mut Node,
        wanted: (&str, &str),
        rest: &[String],
        set: Set<'_>,
    ) -> Result<usize, String> {
        let (field, value) = wanted;
        let pattern = Pattern::new(value, self.budget).map_err(|why| why.to_string())?;
        let pattern = pattern.ok_or_else(|| format!("[{field}=…] is no regular expression"))?;
        let items = items_mut(node, "[field=value]")?;
        self.budget
            .steps(items.len() as u64)
            .map_err(|why| why.to_string())?;
        let count = self.matched(items, field, &pattern, rest, &mut *set)?;
        if count > 0 || self.make.is_none() {
            return Ok(count);
        }
        let cost = 1 + crate::yaml::text_cost(value) + crate::yaml::text_cost(field);
        self.budget.nodes(cost).map_err(|why| why.to_string())?;
        items.push(new_item(field, value));
        let at = items.len() - 1;
        let made = items.get_mut(at..).unwrap_or_default();
        match self.matched(made, field, &pattern, rest, set)? {
            0 => Err(format!("an item made for [{field}=…] would not match it")),
            count => Ok(count),
        }
    }

    fn matched(
        &self,
        items: &mut [Node],
        field: &str,
        pattern: &Pattern,
        rest: &[String],
        set: Set<'_>,
    ) -> Result<usize, String> {
        let mut count = 0;
        for item in items {
            let of = if field.is_empty() {
                Some(&*item)
            } else {
                item.get(field)
            };
            if !of.is_some_and(|of| pattern.fits(&written(of))) {
                continue;
            }
            // An item that is matched by itself ends the path.
            let rest = if field.is_empty() { &[] } else { rest };
            count += self.visit(item, rest, false, &mut *set)?;
        }
        Ok(count)
    }
}

/// An item of a list that `[field=value]` is to find.
fn new_item(field: &str, value: &str) -> Node {
    let value = Node::Scalar(untyped(value));
    if field.is_empty() {
        return value;
    }
    Node::mapping(Mapping::from_iter([(field.to_owned(), value)]))
}

/// A scalar whose type is what its text looks like.
pub(crate) fn untyped(text: &str) -> Scalar {
    let mut scalar = Scalar::default();
    scalar.set_bare(text.to_owned());
    scalar
}

/// A scalar as it stands in YAML, where text that looks like something else is quoted.
fn written(node: &Node) -> String {
    match node {
        Node::Scalar(s) if s.tag == Tag::Str && !s.bare && needs_quotes(&s.text) => {
            format!("\"{}\"", s.text)
        }
        other => other.raw_text().to_owned(),
    }
}

fn items_mut<'a>(node: &'a mut Node, step: &str) -> Result<&'a mut Vec<Node>, String> {
    let kind = node.kind_name();
    match node {
        Node::Seq(items) => Ok(items),
        _ => Err(format!("{step} needs a list, not {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_at_dots_that_are_not_escaped_or_bracketed() {
        for (path, steps) in [
            ("a.b", vec!["a", "b"]),
            (".a.b", vec!["a", "b"]),
            ("a\\.b.c", vec!["a.b", "c"]),
            ("a.[b.c/d].e", vec!["a", "b.c/d", "e"]),
            ("a.[b=c.d].e", vec!["a", "[b=c.d]", "e"]),
            ("a.[b].c", vec!["a", "[b]", "c"]),
            ("a.0.*", vec!["a", "0", "*"]),
            ("a.[b.c", vec!["a", "b.c"]),
            ("a.", vec!["a", ""]),
        ] {
            assert_eq!(split(path), steps, "{path}");
        }
    }
}
