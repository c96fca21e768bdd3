//! What differs between two objects, in pieces as small as can be written by themselves.
//!
//! Pure comparison; what a difference is good for is `change.rs`'s and `work.rs`'s.

use serde_json::Value;

use crate::path::{Path, Step};

/// A value that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The number of the object in the build.
    pub object: usize,
    /// Where it is.
    pub path: Path,
    /// Nothing where there was none.
    pub old: Option<Value>,
    /// Nothing where there shall be none.
    pub new: Option<Value>,
    /// The place of a new item in its list.
    pub at: Option<usize>,
}

/// The keys that tell the items of lists apart: those by which Kubernetes merges, for lists of this name.
fn keys(field: &str) -> &'static [&'static str] {
    match field {
        "volumeMounts" => &["mountPath"],
        "ports" => &["containerPort", "port", "name"],
        "volumeDevices" => &["devicePath"],
        "hostAliases" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey"],
        _ => &["name"],
    }
}

/// The key by which the items of the list `field` are told apart in each of these lists, if there is one.
#[must_use]
pub fn key_of(field: &str, lists: &[&[Value]]) -> Option<&'static str> {
    let tells = |key: &&'static str| {
        lists.iter().all(|list| {
            let named = |item: &Value| match item.get(*key) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            let Some(mut names) = list.iter().map(named).collect::<Option<Vec<_>>>() else {
                return false;
            };
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            names.len() == count
        })
    };
    let items = lists.iter().map(|list| list.len()).sum::<usize>();
    keys(field)
        .iter()
        .find(|key| items > 0 && tells(key))
        .copied()
}

/// What makes `new` of `old`, an object of that number.
#[must_use]
pub fn differences(object: usize, old: &Value, new: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    collect(object, &Path::default(), old, new, &mut found);
    found
}

fn collect(object: usize, path: &Path, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    if old == new {
        return;
    }
    let whole = |path: Path, old: Option<&Value>, new: Option<&Value>, at| Difference {
        object,
        path,
        old: old.cloned(),
        new: new.cloned(),
        at,
    };
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                let path = path.field(name);
                match after.get(name) {
                    Some(after) => collect(object, &path, value, after, found),
                    None => found.push(whole(path, Some(value), None, None)),
                }
            }
            let added = after.iter().filter(|(name, _)| !before.contains_key(*name));
            found.extend(added.map(|(name, new)| whole(path.field(name), None, Some(new), None)));
        }
        (Value::Array(before), Value::Array(after)) => {
            let field = path.last_field().unwrap_or_default();
            let key = key_of(field, &[before, after]).filter(|key| is_shared(key, before, after));
            match key {
                Some(key) if is_in_order(key, before, after) => {
                    items(object, path, key, (before, after), found);
                }
                // Another order is another list.
                Some(_) => found.push(whole(path.clone(), Some(old), Some(new), None)),
                None if before.len() == after.len() => {
                    for (at, (old, new)) in before.iter().zip(after).enumerate() {
                        collect(object, &path.index(at), old, new, found);
                    }
                }
                None => found.push(whole(path.clone(), Some(old), Some(new), None)),
            }
        }
        _ => found.push(whole(path.clone(), Some(old), Some(new), None)),
    }
}

/// Whether any item is in both.
fn is_shared(key: &str, before: &[Value], after: &[Value]) -> bool {
    let has = |item: &Value| after.iter().any(|one| one.get(key) == item.get(key));
    before.is_empty() || after.is_empty() || before.iter().any(has)
}

/// Whether the items that both have stand in the same order.
fn is_in_order(key: &str, before: &[Value], after: &[Value]) -> bool {
    let has = |list: &[Value], item: &Value| list.iter().any(|one| one.get(key) == item.get(key));
    let left = before.iter().filter(|item| has(after, item));
    let right = after.iter().filter(|item| has(before, item));
    left.map(|item| item.get(key))
        .eq(right.map(|item| item.get(key)))
}

fn items(
    object: usize,
    path: &Path,
    key: &'static str,
    (before, after): (&[Value], &[Value]),
    found: &mut Vec<Difference>,
) {
    let step = |item: &Value| {
        let value = item.get(key).cloned().unwrap_or_default();
        path.child(Step::Item { key, value })
    };
    let other = |list: &'_ [Value], item: &Value| {
        let one = list.iter().find(|one| one.get(key) == item.get(key));
        one.cloned()
    };
    for item in before {
        match other(after, item) {
            Some(new) => collect(object, &step(item), item, &new, found),
            None => found.push(Difference {
                object,
                path: step(item),
                old: Some(item.clone()),
                new: None,
                at: None,
            }),
        }
    }
    for (at, item) in after.iter().enumerate() {
        if other(before, item).is_none() {
            found.push(Difference {
                object,
                path: step(item),
                old: None,
                new: Some(item.clone()),
                at: Some(at),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(old: Value, new: Value) -> Vec<String> {
        let all = differences(0, &old, &new);
        let one = |d: &Difference| {
            let mark = match (&d.old, &d.new) {
                (None, _) => '+',
                (_, None) => '-',
                _ => '~',
            };
            format!("{mark}{}", d.path)
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn differences_are_as_small_as_they_can_be_written() {
        for (old, new, want) in [
            (
                json!({"a": 1, "b": 2}),
                json!({"a": 1, "c": 3}),
                vec!["-b", "+c"],
            ),
            (
                json!({"containers": [{"name": "a", "image": "1"}]}),
                json!({"containers": [{"name": "b"}, {"name": "a", "image": "2"}]}),
                vec!["~containers[name=a].image", "+containers[name=b]"],
            ),
            // Another order is another list.
            (
                json!({"env": [{"name": "a"}, {"name": "b"}]}),
                json!({"env": [{"name": "b"}, {"name": "a"}]}),
                vec!["~env"],
            ),
            // None of them is the same: what is there is called otherwise.
            (
                json!({"ports": [{"containerPort": 80}]}),
                json!({"ports": [{"containerPort": 81}]}),
                vec!["~ports[0].containerPort"],
            ),
            (
                json!({"args": ["a", "b"]}),
                json!({"args": ["a", "c"]}),
                vec!["~args[1]"],
            ),
            (
                json!({"args": ["a", "b"]}),
                json!({"args": ["a"]}),
                vec!["~args"],
            ),
            (
                json!({"ports": [{"port": 53, "name": "t"}, {"port": 53, "name": "u"}]}),
                json!({"ports": [{"port": 53, "name": "t"}, {"port": 54, "name": "u"}]}),
                vec!["~ports[name=u].port"],
            ),
        ] {
            assert_eq!(shown(old, new), want);
        }
    }
}
