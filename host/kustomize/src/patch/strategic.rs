//! Strategic merge, as kustomize's own walker does it.
//!
//! The walker visits the whole object, patched or not: lists that merge by key lose repeated items on the way, and fields
//! that were written without a value disappear while a written `null` stays. Where the walker is odd, this is odd in the
//! same way; `strategic/list.rs` has the lists.

mod list;

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::budget::Budget;
use crate::schema::{Schemas, Shape, View};
use crate::yaml::{Key, Node, Scalar, Style, Tag};

const DIRECTIVE: &str = "$patch";

/// What a merge needs along the way.
struct Context<'a> {
    budget: &'a Budget,
    schema: &'a View,
    /// New values of scalars that share theirs with others, in the order they were written.
    writes: RefCell<Vec<(u32, Scalar)>>,
}

impl<'a> Context<'a> {
    /// The shape of an object by its kind, wherever it stands.
    fn shape_of(&self, node: &Node) -> Option<Shape<'a>> {
        let text = |key: &str| node.get(key).map_or("", Node::text);
        self.schema.shape(text("apiVersion"), text("kind"))
    }

    /// `new` as it is in the place of `old`.
    fn written(&self, old: Option<&Node>, new: Node) -> Node {
        match (old, new) {
            (Some(Node::Scalar(old)), Node::Scalar(new)) => {
                let new = new.over(old);
                if new.shared != 0 {
                    self.writes.borrow_mut().push((new.shared, new.clone()));
                }
                Node::Scalar(new)
            }
            (_, mut new) => {
                set(&mut new);
                new
            }
        }
    }
}

/// A value as kustomize sets it in a field: text that looks like something else is in quotes from now on.
fn set(node: &mut Node) {
    let Node::Scalar(scalar) = node else { return };
    let text = match scalar.style {
        Style::Plain => scalar.tag == Tag::Str && !scalar.tagged,
        Style::Quoted | Style::Folded | Style::Missing => false,
    };
    if text && Style::when_set(&scalar.text) == Style::Quoted {
        scalar.style = Style::Quoted;
    }
}

/// What became of a value.
enum Outcome {
    /// It is gone.
    Clear,
    /// It is what stood there, changed in place.
    Same,
    /// It is this.
    Value(Node),
}

/// What a patch says about itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Merges `patch` into `object`; false when the patch deletes it.
pub(super) fn merge(
    object: &mut Node,
    patch: &mut Node,
    schemas: &Schemas,
    budget: &Budget,
) -> Result<bool, String> {
    let schema = schemas.view();
    let context = Context {
        budget,
        schema: &schema,
        writes: RefCell::new(Vec::new()),
    };
    match walk(Some(object), With::Patch(patch), None, &context)? {
        Outcome::Clear => return Ok(false),
        // A patch that says it replaces all is a value of its own, which kustomize never looks at.
        Outcome::Same | Outcome::Value(_) => {}
    }
    let writes = context.writes.into_inner();
    if !writes.is_empty() {
        let steps = object.cost() * writes.len() as u64;
        budget.steps(steps).map_err(|why| why.to_string())?;
    }
    for (number, scalar) in writes {
        object.share(number, &scalar);
    }
    Ok(true)
}

/// What a value is merged with.
enum With<'a> {
    /// The patch says nothing here.
    Nothing,
    /// The value came with the patch: its own directives hold.
    Itself,
    Patch(&'a mut Node),
}

impl With<'_> {
    fn patch(&self) -> Option<&Node> {
        match self {
            With::Patch(patch) => Some(patch),
            With::Nothing | With::Itself => None,
        }
    }
}

fn walk(
    dest: Option<&mut Node>,
    with: With<'_>,
    shape: Option<Shape<'_>>,
    context: &Context<'_>,
) -> Result<Outcome, String> {
    let all = [dest.as_deref(), with.patch()];
    let Some(kind) = all.into_iter().flatten().find(|node| !node.is_null()) else {
        return mapping(dest, with, shape, context);
    };
    if let Some(new) = with
        .patch()
        .filter(|new| !new.is_null() && !same_kind(kind, new))
    {
        return Err(format!(
            "{} cannot be merged into {}",
            new.kind_name(),
            kind.kind_name()
        ));
    }
    match kind {
        Node::Map(_) => {
            let shape = shape.or_else(|| {
                all.into_iter()
                    .flatten()
                    .find_map(|node| context.shape_of(node))
            });
            mapping(dest, with, shape, context)
        }
        Node::Seq(_) => match shape {
            Some(Shape::List(keys, item)) => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                let item = item.map(|(types, index)| Shape::Fields(types, index));
                list::merge(dest, with, &keys, item, context)
            }
            _ => Ok(replaced(&with)),
        },
        Node::Scalar(_) => Ok(replaced(&with)),
    }
}

fn same_kind(a: &Node, b: &Node) -> bool {
    matches!(
        (a, b),
        (Node::Map(_), Node::Map(_))
            | (Node::Seq(_), Node::Seq(_))
            | (Node::Scalar(_), Node::Scalar(_))
    )
}

fn replaced(with: &With<'_>) -> Outcome {
    with.patch()
        .map_or(Outcome::Same, |patch| Outcome::Value(patch.clone()))
}

fn mapping(
    dest: Option<&mut Node>,
    with: With<'_>,
    shape: Option<Shape<'_>>,
    context: &Context<'_>,
) -> Result<Outcome, String> {
    let written_null = dest
        .as_deref()
        .is_some_and(|dest| !dest.raw_text().is_empty());
    let Some(dest) = dest.filter(|dest| !dest.is_null()) else {
        return match with {
            With::Patch(patch) => added(patch, shape, context),
            // A null that was written stays, a value that was left out does not.
            With::Nothing if written_null => Ok(Outcome::Same),
            With::Nothing | With::Itself => Ok(Outcome::Clear),
        };
    };
    match with {
        With::Nothing => fields(dest, With::Nothing, shape, context)?,
        With::Itself => {
            if mapping_directive(dest)? == Directive::Delete {
                return Ok(Outcome::Clear);
            }
            fields(dest, With::Itself, shape, context)?;
        }
        With::Patch(patch) if patch.is_null() => return Ok(Outcome::Clear),
        With::Patch(patch) => match mapping_directive(patch)? {
            Directive::Delete => return Ok(Outcome::Clear),
            Directive::Replace => return added(patch, shape, context),
            Directive::Merge => fields(dest, With::Patch(patch), shape, context)?,
        },
    }
    Ok(Outcome::Same)
}

/// A value that the patch brings.
fn added(
    patch: &mut Node,
    shape: Option<Shape<'_>>,
    context: &Context<'_>,
) -> Result<Outcome, String> {
    if patch.is_null() || mapping_directive(patch).is_ok_and(|d| d == Directive::Delete) {
        return Ok(Outcome::Clear);
    }
    let mut new = patch.clone();
    fields(&mut new, With::Itself, shape, context)?;
    Ok(Outcome::Value(new))
}

fn fields(
    dest: &mut Node,
    mut with: With<'_>,
    shape: Option<Shape<'_>>,
    context: &Context<'_>,
) -> Result<(), String> {
    let Node::Map(dest) = dest else {
        return Ok(());
    };
    let of_patch = with
        .patch()
        .and_then(Node::map)
        .into_iter()
        .flat_map(|map| map.keys());
    let mut keys: Vec<Key> = dest.keys().chain(of_patch).cloned().collect();
    keys.sort();
    keys.dedup();
    let mut gone = BTreeSet::new();
    for key in keys {
        let below = shape.and_then(|shape| shape.field(&key));
        let of_field = match &mut with {
            With::Nothing => With::Nothing,
            With::Itself => With::Itself,
            With::Patch(patch) => patch.get_mut(&key).map_or(With::Nothing, With::Patch),
        };
        let outcome = walk(dest.get_mut(&key), of_field, below, context);
        match outcome.map_err(|why| format!("{key}: {why}"))? {
            // What the patch leaves alone is set once more, too.
            Outcome::Same => dest.get_mut(&key).into_iter().for_each(set),
            Outcome::Value(value) if !value.is_null() => {
                let value = context.written(dest.get(&key), value);
                dest.insert(key, value);
            }
            Outcome::Clear | Outcome::Value(_) => {
                gone.insert(key);
            }
        }
    }
    if !gone.is_empty() {
        dest.retain(|key, _| !gone.contains(key));
    }
    Ok(())
}

/// What a mapping says about itself; the words are taken out.
fn mapping_directive(patch: &mut Node) -> Result<Directive, String> {
    let Node::Map(map) = patch else {
        return Ok(Directive::Merge);
    };
    let Some(word) = map.get(DIRECTIVE).filter(|word| !word.is_null()) else {
        return Ok(Directive::Merge);
    };
    let directive = directive(word.text())?;
    map.shift_remove(DIRECTIVE);
    Ok(directive)
}

fn directive(word: &str) -> Result<Directive, String> {
    match word {
        "merge" => Ok(Directive::Merge),
        "replace" => Ok(Directive::Replace),
        "delete" => Ok(Directive::Delete),
        _ => Err("$patch must be merge, replace or delete".to_owned()),
    }
}
