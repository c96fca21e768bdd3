//! Lists that merge by key.
//!
//! Items of the patch come first, then what the list had. An item is known by the text of its keys; where none of the
//! items has the second key, the first is enough.

mod unique;

use super::{Context, DIRECTIVE, Directive, Outcome, With, directive, walk};
use crate::schema::Shape;
use crate::yaml::{Node, Scalar, Typing, resolve};

/// The values of an item's keys.
type Values = Vec<String>;

/// What a list is merged with.
enum WithList<'a> {
    Nothing,
    Itself,
    Patch(&'a mut Vec<Node>),
}

/// Merges two lists whose items are known by `keys`, or by themselves when there are none.
pub(super) fn merge(
    dest: Option<&mut Node>,
    with: With<'_>,
    keys: &[&str],
    item: Option<Shape<'_>>,
    context: &Context<'_>,
) -> Result<Outcome, String> {
    let Some(Node::Seq(dest)) = dest else {
        // The list is new.
        let With::Patch(Node::Seq(patch)) = with else {
            return Ok(Outcome::Clear);
        };
        let mut new = patch.clone();
        items(&mut new, WithList::Itself, keys, item, context)?;
        return Ok(Outcome::Value(Node::Seq(new)));
    };
    match with {
        With::Nothing => items(dest, WithList::Nothing, keys, item, context)?,
        With::Itself => {
            if list_directive(dest)? == Directive::Delete {
                return Ok(Outcome::Clear);
            }
            items(dest, WithList::Itself, keys, item, context)?;
        }
        With::Patch(Node::Seq(patch)) => match list_directive(patch)? {
            Directive::Delete => return Ok(Outcome::Clear),
            Directive::Replace => {
                let mut new = patch.clone();
                items(&mut new, WithList::Itself, keys, item, context)?;
                return Ok(Outcome::Value(Node::Seq(new)));
            }
            Directive::Merge => items(dest, WithList::Patch(patch), keys, item, context)?,
        },
        With::Patch(_) => return Ok(Outcome::Clear),
    }
    Ok(Outcome::Same)
}

/// What an item that holds nothing but a directive says about the list; it is taken out.
fn list_directive(patch: &mut Vec<Node>) -> Result<Directive, String> {
    let marked = patch.iter().find(|item| item.get(DIRECTIVE).is_some());
    let Some(map) = marked.and_then(Node::map).filter(|map| map.len() == 1) else {
        return Ok(Directive::Merge);
    };
    let word = map.get(DIRECTIVE).map_or("", Node::text).to_owned();
    let found = directive(&word)?;
    put(patch, None, &[DIRECTIVE], &[word])?;
    Ok(found)
}

fn items(
    dest: &mut Vec<Node>,
    mut with: WithList<'_>,
    keys: &[&str],
    shape: Option<Shape<'_>>,
    context: &Context<'_>,
) -> Result<(), String> {
    if let [] | [_] = keys
        && unique::merge(dest, &mut with, keys.first().unwrap_or(&""), shape, context)?
    {
        return Ok(());
    }
    let (keys, list) = wanted(dest, &with, keys, context)?;
    if list.is_empty() {
        return Ok(());
    }
    let mut new = Vec::new();
    let mut used: Vec<&str> = keys.to_vec();
    for values in &list {
        let (keys, values) = usable(&list, values, keys);
        used.clone_from(&keys);
        let (find_keys, find_values) = usable(std::slice::from_ref(&values), &values, &keys);
        let at = position(dest, &find_keys, &find_values);
        let of_item = match &mut with {
            WithList::Nothing => With::Nothing,
            WithList::Itself => With::Itself,
            WithList::Patch(patch) => position(patch, &find_keys, &find_values)
                .and_then(|of| patch.get_mut(of))
                .map_or(With::Nothing, With::Patch),
        };
        let mut item = at.and_then(|at| dest.get_mut(at));
        let merged = match walk(item.as_deref_mut(), of_item, shape, context)? {
            Outcome::Clear => None,
            Outcome::Same => item,
            Outcome::Value(mut value) => {
                put_merged(&mut new, dest, Some(&mut value), &keys, &values)?;
                continue;
            }
        };
        // What was merged in place stays in the list too, to be put over the copy at the end.
        let mut copy = None;
        if let Some(node) = merged.filter(|node| !is_nothing(node)) {
            complete_keys(node, &keys, &values)?;
            copy = Some(node.clone());
        }
        put_merged(&mut new, dest, copy.as_mut(), &keys, &values)?;
    }
    append(&mut new, std::mem::take(dest), &used)?;
    *dest = new;
    Ok(())
}

/// The keys of a list, and their values for every item there is to be.
fn wanted<'k>(
    dest: &[Node],
    with: &WithList<'_>,
    keys: &'k [&'k str],
    context: &Context<'_>,
) -> Result<(&'k [&'k str], Vec<Values>), String> {
    let patch = match with {
        WithList::Patch(patch) => Some(&**patch),
        WithList::Nothing | WithList::Itself => None,
    };
    let (keys, mut list): (&[&str], _) = if keys.is_empty() {
        (&[""], own_values(dest, patch))
    } else {
        (keys, key_values(dest, patch, keys))
    };
    // Every item is looked for among all others, several times.
    let all = dest.len() + patch.map_or(0, Vec::len) + list.len();
    let steps = (list.len() * all * keys.len()) as u64;
    context.budget.steps(steps).map_err(|why| why.to_string())?;
    if keys.len() > 1 {
        complete(&mut list);
    }
    Ok((keys, list))
}

/// Puts what became of an item into the new list; when nothing did, takes the item out of the old one.
fn put_merged(
    new: &mut Vec<Node>,
    dest: &mut Vec<Node>,
    merged: Option<&mut Node>,
    keys: &[&str],
    values: &[String],
) -> Result<(), String> {
    let Some(node) = merged.filter(|node| !is_nothing(node)) else {
        return put(dest, None, keys, values);
    };
    complete_keys(node, keys, values)?;
    put(new, Some(std::mem::take(node)), keys, values)
}

fn is_nothing(node: &Node) -> bool {
    node.is_null() || node.map().is_some_and(|map| map.is_empty())
}

fn complete_keys(node: &mut Node, keys: &[&str], values: &[String]) -> Result<(), String> {
    for (key, value) in keys.iter().zip(values) {
        if key.is_empty() || value.is_empty() {
            continue;
        }
        let Node::Map(map) = node else {
            return Err(format!(
                "an item with {key} is needed, not {}",
                node.kind_name()
            ));
        };
        if !map.contains_key(key) {
            let tag = resolve(value, Typing::Manifest);
            map.insert(
                (*key).to_owned(),
                Node::Scalar(Scalar::new(tag, value.clone())),
            );
        }
    }
    Ok(())
}

/// The values of the keys of every item, the patch's first, each once.
fn key_values(dest: &[Node], patch: Option<&Vec<Node>>, keys: &[&str]) -> Vec<Values> {
    let text = |item: &Node, key: &str| item.get(key).map_or("", Node::text).to_owned();
    let all = patch.into_iter().flatten().chain(dest);
    unique(all.map(|item| keys.iter().map(|key| text(item, key)).collect()))
}

/// The values of items that are text, the patch's first, each once.
fn own_values(dest: &[Node], patch: Option<&Vec<Node>>) -> Vec<Values> {
    let all = patch.into_iter().flatten().chain(dest);
    unique(all.map(|item| vec![item.raw_text().to_owned()]))
}

fn unique(values: impl Iterator<Item = Values>) -> Vec<Values> {
    let mut seen = indexmap::IndexSet::new();
    seen.extend(values);
    seen.into_iter().collect()
}

/// Gives items that leave out a key the value of one that agrees with them in the others.
fn complete(list: &mut [Values]) {
    for i in 0..list.len() {
        let Some(mine) = list.get(i).cloned() else {
            continue;
        };
        for j in 0..list.len() {
            let Some(agreed) = list.get(j).and_then(|other| agree(&mine, other)) else {
                continue;
            };
            for index in [i, j] {
                if let Some(slot) = list.get_mut(index) {
                    slot.clone_from(&agreed);
                }
            }
        }
    }
}

/// What two items' keys have in common, if they differ only where one leaves out a value.
fn agree(a: &Values, b: &Values) -> Option<Values> {
    let mut common = false;
    let mut agreed = Values::with_capacity(a.len());
    for (x, y) in a.iter().zip(b) {
        common |= x == y;
        agreed.push(match (x.is_empty(), y.is_empty()) {
            _ if x == y => x.clone(),
            (false, false) => return None,
            (false, true) => x.clone(),
            _ => y.clone(),
        });
    }
    common.then_some(agreed)
}

/// The keys that any item has, and the values of one item for them.
fn usable<'k>(list: &[Values], values: &[String], keys: &[&'k str]) -> (Vec<&'k str>, Values) {
    let used: Vec<bool> = (0..keys.len())
        .map(|i| {
            list.iter()
                .any(|values| values.get(i).is_some_and(|v| !v.is_empty()))
        })
        .collect();
    if !used.contains(&true) {
        return (keys.to_vec(), values.to_vec());
    }
    let is_used = |i: usize| used.get(i).copied().unwrap_or(false);
    let kept = keys
        .iter()
        .enumerate()
        .filter(|(i, _)| is_used(*i))
        .map(|(_, key)| *key);
    let of_kept = values
        .iter()
        .enumerate()
        .filter(|(i, value)| !value.is_empty() || is_used(*i));
    (
        kept.collect(),
        of_kept.map(|(_, value)| value.clone()).collect(),
    )
}

/// The first item with these values.
fn position(items: &[Node], keys: &[&str], values: &[String]) -> Option<usize> {
    if keys.first().is_none_or(|key| key.is_empty()) {
        return items
            .iter()
            .position(|item| values.first().is_some_and(|v| item.raw_text() == v));
    }
    items.iter().position(|item| {
        let mut pairs = keys.iter().zip(values);
        item.map().is_some_and(|map| {
            pairs.all(|(key, value)| map.get(key).is_some_and(|field| field.raw_text() == value))
        })
    })
}

/// Puts `new` in the place of every item with these values, or behind all; without `new` those items go. Items that hold
/// nothing go in any case.
fn put(
    items: &mut Vec<Node>,
    new: Option<Node>,
    keys: &[&str],
    values: &[String],
) -> Result<(), String> {
    let by_key = keys.first().is_some_and(|k| !k.is_empty())
        && values.first().is_some_and(|v| !v.is_empty());
    let mut found = false;
    let mut kept = Vec::with_capacity(items.len() + 1);
    for item in std::mem::take(items) {
        if is_nothing(&item) {
            continue;
        }
        if item.map().is_none() && by_key {
            kept.push(item);
            continue;
        }
        if !matches(&item, keys, values)? {
            if !values.is_empty() {
                kept.push(item);
            }
            continue;
        }
        found = true;
        kept.extend(new.clone());
    }
    if !found {
        kept.extend(new.filter(|node| !node.is_null()));
    }
    *items = kept;
    Ok(())
}

/// Whether an item has these values. A key without a value in `values` is not looked at; an empty value fits any.
fn matches(item: &Node, keys: &[&str], values: &[String]) -> Result<bool, String> {
    let mut found = false;
    for (index, key) in keys.iter().enumerate() {
        if let Some(value) = values.get(index) {
            found = if key.is_empty() {
                if !item.is_scalar() {
                    return Err(format!("a plain value is needed, not {}", item.kind_name()));
                }
                item.text() == value
            } else {
                let Some(map) = item.map() else {
                    return Err(format!(
                        "an item with {key} is needed, not {}",
                        item.kind_name()
                    ));
                };
                map.get(key)
                    .is_some_and(|field| value.is_empty() || field.raw_text() == value)
            };
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(found)
}

/// Puts what the list had behind the patch's items, or over those of the same keys.
fn append(new: &mut Vec<Node>, old: Vec<Node>, keys: &[&str]) -> Result<(), String> {
    for item in old {
        if keys.first().is_none_or(|key| key.is_empty()) {
            let own = [item.raw_text().to_owned()];
            put(new, Some(item), &[""], &own)?;
            continue;
        }
        let mut values = Values::new();
        for key in keys {
            if item.map().is_none() && !item.is_null() {
                return Err(format!(
                    "an item with {key} is needed, not {}",
                    item.kind_name()
                ));
            }
            // Nothing has no fields, and a field that holds nothing is one.
            match item.get(key) {
                None => new.push(item.clone()),
                Some(field) => values.push(field.raw_text().to_owned()),
            }
        }
        if keys.len() > 1 {
            put(new, None, keys, &values)?;
        }
        put(new, Some(item), keys, &values)?;
    }
    Ok(())
}
