//! Lists as nearly all are: every item has a value of the one key that no other item has.
//!
//! What comes out is what `strategic/list.rs` makes of them, which looks for every item among all others; here each is
//! found by its value, so that a list of many thousands takes no longer than it must.

use std::collections::BTreeMap;

use super::{WithList, is_nothing};
use crate::patch::strategic::{Context, Outcome, With, walk};
use crate::schema::Shape;
use crate::yaml::Node;

/// What merging one item counts, beside what is in it.
const MERGING: u64 = 16;

/// Merges two lists whose items are known by `key`, or by themselves when it is empty; false, and nothing is done, if
/// they are not.
pub(super) fn merge(
    dest: &mut Vec<Node>,
    with: &mut WithList<'_>,
    key: &str,
    shape: Option<Shape<'_>>,
    context: &Context<'_>,
) -> Result<bool, String> {
    let patch: &mut [Node] = match with {
        WithList::Patch(patch) => patch,
        WithList::Nothing | WithList::Itself => &mut [],
    };
    let all = (dest.len() + patch.len()) as u64;
    let charge = context.budget.steps(MERGING * all);
    charge.map_err(|why| why.to_string())?;
    let (Some(places), Some(order)) = (places(dest, key), places(patch, key)) else {
        return Ok(false);
    };
    let mut seen = vec![false; dest.len()];
    let mut new = Vec::with_capacity(dest.len());
    let mut order: Vec<(String, usize)> = order.into_iter().collect();
    order.sort_by_key(|(_, at)| *at);
    for ((value, _), item) in order.iter().zip(patch) {
        let at = places.get(value).copied();
        if let Some(seen) = at.and_then(|at| seen.get_mut(at)) {
            *seen = true;
        }
        let old = at.and_then(|at| dest.get_mut(at));
        new.extend(merged(old, With::Patch(item), shape, context)?);
    }
    let rest = dest.iter_mut().zip(seen);
    for (old, _) in rest.filter(|(_, seen)| !seen) {
        let own = match with {
            WithList::Itself => With::Itself,
            WithList::Nothing | WithList::Patch(_) => With::Nothing,
        };
        new.extend(merged(Some(old), own, shape, context)?);
    }
    *dest = new;
    Ok(true)
}

/// What becomes of one item. One that is replaced is put over what replaces it, as in kustomize.
fn merged(
    mut old: Option<&mut Node>,
    with: With<'_>,
    shape: Option<Shape<'_>>,
    context: &Context<'_>,
) -> Result<Option<Node>, String> {
    let outcome = walk(old.as_deref_mut(), with, shape, context)?;
    let old = old.map(std::mem::take);
    Ok(match outcome {
        Outcome::Clear => None,
        Outcome::Same => old,
        Outcome::Value(value) if is_nothing(&value) => None,
        Outcome::Value(value) => old.or(Some(value)),
    })
}

/// Where the item of each value is; nothing if an item has none, or two have the same.
fn places(items: &[Node], key: &str) -> Option<BTreeMap<String, usize>> {
    let mut places = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let value = match key {
            "" => Some(item),
            key => item.get(key),
        };
        let text = value.map_or("", Node::text);
        if text.is_empty() || places.insert(text.to_owned(), at).is_some() {
            return None;
        }
    }
    Some(places)
}
