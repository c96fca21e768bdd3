//! Strategic merge, as kustomize's own walker does it.
//!
//! The walker visits the whole object, patched or not: lists that merge by key lose repeated items on the way, and fields
//! that were written without a value disappear while a written `null` stays. Where the walker is odd, this is odd in the
//! same way; `strategic/list.rs` has the lists.

mod list;

use std::collections::BTreeSet;

use crate::budget::Budget;
use crate::schema::Shape;
use crate::yaml::{Mapping, Node};

const DIRECTIVE: &str = "$patch";

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
pub(super) fn merge(object: &mut Node, patch: &mut Node, budget: &Budget) -> Result<bool, String> {
    match walk(Some(object), Some(patch), None, budget)? {
        Outcome::Clear => Ok(false),
        Outcome::Same => Ok(true),
        Outcome::Value(node) => {
            *object = node;
            Ok(true)
        }
    }
}

fn walk(
    dest: Option<&mut Node>,
    patch: Option<&mut Node>,
    shape: Option<Shape>,
    budget: &Budget,
) -> Result<Outcome, String> {
    let present = |node: &Option<&mut Node>| node.as_deref().is_some_and(|n| !n.is_null());
    let first = if present(&dest) {
        dest.as_deref()
    } else {
        patch.as_deref()
    };
    let Some(kind) = first.filter(|node| !node.is_null()) else {
        return mapping(dest, patch, shape, budget);
    };
    let same = |node: &Node| {
        node.is_null()
            || matches!(
                (kind, node),
                (Node::Map(_), Node::Map(_))
                    | (Node::Seq(_), Node::Seq(_))
                    | (Node::Scalar(_), Node::Scalar(_))
            )
    };
    if !patch.as_deref().is_none_or(same) {
        let new = patch.as_deref().map_or("", Node::kind_name);
        return Err(format!("{new} cannot be merged into {}", kind.kind_name()));
    }
    match kind {
        Node::Map(_) => {
            let shape = shape.or_else(|| shape_of(dest.as_deref(), patch.as_deref()));
            mapping(dest, patch, shape, budget)
        }
        Node::Seq(_) => match shape {
            Some(Shape::List(keys, item)) => {
                list::merge(dest, patch, keys, item.map(Shape::Fields), budget)
            }
            _ => Ok(replaced(patch)),
        },
        Node::Scalar(_) => Ok(replaced(patch)),
    }
}

fn replaced(patch: Option<&mut Node>) -> Outcome {
    patch.map_or(Outcome::Same, |patch| Outcome::Value(patch.clone()))
}

/// The shape of an object by its kind, wherever it stands.
fn shape_of(dest: Option<&Node>, patch: Option<&Node>) -> Option<Shape> {
    [dest, patch].into_iter().flatten().find_map(|node| {
        let text = |key: &str| node.get(key).map_or("", Node::text);
        Shape::of(text("apiVersion"), text("kind"))
    })
}

fn mapping(
    dest: Option<&mut Node>,
    patch: Option<&mut Node>,
    shape: Option<Shape>,
    budget: &Budget,
) -> Result<Outcome, String> {
    let Some(dest) = dest else {
        return added(patch, shape, budget);
    };
    if dest.is_null() {
        return match patch {
            // A null that was written stays, a value that was left out does not.
            None if dest.raw_text().is_empty() => Ok(Outcome::Clear),
            None => Ok(Outcome::Same),
            some => added(some, shape, budget),
        };
    }
    let Some(patch) = patch else {
        fields(dest, None, shape, budget)?;
        return Ok(Outcome::Same);
    };
    if patch.is_null() {
        return Ok(Outcome::Clear);
    }
    match mapping_directive(patch)? {
        Directive::Delete => Ok(Outcome::Clear),
        Directive::Replace => added(Some(patch), shape, budget),
        Directive::Merge => {
            fields(dest, Some(patch), shape, budget)?;
            Ok(Outcome::Same)
        }
    }
}

/// A value that the patch brings: merged with itself, which obeys the directives within it.
fn added(
    patch: Option<&mut Node>,
    shape: Option<Shape>,
    budget: &Budget,
) -> Result<Outcome, String> {
    let Some(patch) = patch.filter(|patch| !patch.is_null()) else {
        return Ok(Outcome::Clear);
    };
    if mapping_directive(patch).is_ok_and(|directive| directive == Directive::Delete) {
        return Ok(Outcome::Clear);
    }
    let mut new = patch.clone();
    fields(&mut new, Some(patch), shape, budget)?;
    Ok(Outcome::Value(new))
}

fn fields(
    dest: &mut Node,
    patch: Option<&mut Node>,
    shape: Option<Shape>,
    budget: &Budget,
) -> Result<(), String> {
    let Node::Map(dest) = dest else { return Ok(()) };
    let mut nothing = Mapping::new();
    let patch = match patch {
        Some(Node::Map(map)) => map,
        _ => &mut nothing,
    };
    let mut keys: Vec<String> = dest.keys().chain(patch.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    let mut gone = BTreeSet::new();
    for key in keys {
        let below = shape.and_then(|shape| shape.field(&key));
        let outcome = walk(dest.get_mut(&key), patch.get_mut(&key), below, budget);
        match outcome.map_err(|why| format!("{key}: {why}"))? {
            Outcome::Same => {}
            Outcome::Value(value) if !value.is_null() => {
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
