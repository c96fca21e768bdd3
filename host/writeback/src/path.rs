//! The way to a value in an object, by keys of lists' items where they have them.
//!
//! A list that is merged by a key keeps its meaning when its items move, so the way to an item is its key and not its number.
//! Whether kustomize merges the list is not asked: whoever writes by it builds and compares.

use std::fmt;

use serde_json::{Map, Value};

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a field of a mapping.
    Field(String),
    /// Into the item that has this value for this key.
    Item {
        /// The key.
        key: &'static str,
        /// The value that tells it from the others.
        value: Value,
    },
    /// Into the item of this number.
    Index(usize),
}

/// The way from the root to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    pub(crate) fn of_fields(fields: &[&str]) -> Self {
        let field = |name: &&str| Step::Field((*name).to_owned());
        Self(fields.iter().map(field).collect())
    }

    /// Its steps, the first one from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The first of its steps, as a way of its own.
    #[must_use]
    pub fn first(&self, steps: usize) -> Self {
        Self(self.0.iter().take(steps).cloned().collect())
    }

    pub(crate) fn child(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    pub(crate) fn field(&self, name: &str) -> Self {
        self.child(Step::Field(name.to_owned()))
    }

    pub(crate) fn index(&self, number: usize) -> Self {
        self.child(Step::Index(number))
    }

    /// The way on from here.
    pub(crate) fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// The last step, if it is into a field.
    pub(crate) fn last_field(&self) -> Option<&str> {
        match self.0.last() {
            Some(Step::Field(name)) => Some(name),
            _ => None,
        }
    }

    /// The way to the first list whose items have no keys, and whether there is one.
    #[must_use]
    pub fn to_list_without_keys(&self) -> Option<Self> {
        let at = self
            .0
            .iter()
            .position(|step| matches!(step, Step::Index(_)))?;
        Some(Self(self.0.iter().take(at).cloned().collect()))
    }

    /// Whether one of both leads through the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }

    /// The value it leads to.
    #[must_use]
    pub fn get<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(root, |value, step| match step {
            Step::Field(name) => value.get(name),
            step => {
                let items = value.as_array()?;
                items.get(position(items, step)?)
            }
        })
    }

    /// Sets the value, making what lacks on the way; a new item of a list comes to the place `at`. False where something
    /// else stands in the way.
    pub fn set(&self, root: &mut Value, new: Value, at: Option<usize>) -> bool {
        put(root, &self.0, new, at)
    }

    /// Removes the value; false if it is not there.
    pub fn remove(&self, root: &mut Value) -> bool {
        let Some((last, before)) = self.0.split_last() else {
            return false;
        };
        let parent = before.iter().try_fold(root, |value, step| match step {
            Step::Field(name) => value.get_mut(name),
            step => {
                let items = value.as_array_mut()?;
                let at = position(items, step)?;
                items.get_mut(at)
            }
        });
        match (parent, last) {
            (Some(Value::Object(map)), Step::Field(name)) => map.shift_remove(name).is_some(),
            (Some(Value::Array(items)), step) => match position(items, step) {
                Some(at) => {
                    items.remove(at);
                    true
                }
                None => false,
            },
            _ => false,
        }
    }

    /// As a JSON pointer into `root`; the end of a list for an item that is not there.
    #[must_use]
    pub fn pointer(&self, root: &Value) -> String {
        let mut out = String::new();
        let mut value = Some(root);
        for step in &self.0 {
            out.push('/');
            match step {
                Step::Field(name) => {
                    out.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    value = value.and_then(|value| value.get(name));
                }
                step => {
                    let items = value.and_then(Value::as_array);
                    let at = items.and_then(|items| position(items, step));
                    match at {
                        Some(at) => out.push_str(&at.to_string()),
                        None => out.push('-'),
                    }
                    value = items.zip(at).and_then(|(items, at)| items.get(at));
                }
            }
        }
        out
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if name.contains(['.', '/']) => write!(f, "[{name}]")?,
                Step::Field(name) if number == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item { key, value } => match value.as_str() {
                    Some(text) => write!(f, "[{key}={text}]")?,
                    None => write!(f, "[{key}={value}]")?,
                },
                Step::Index(at) => write!(f, "[{at}]")?,
            }
        }
        Ok(())
    }
}

fn position(items: &[Value], step: &Step) -> Option<usize> {
    match step {
        Step::Item { key, value } => items.iter().position(|item| item.get(key) == Some(value)),
        Step::Index(at) => (*at < items.len()).then_some(*at),
        Step::Field(_) => None,
    }
}

fn put(value: &mut Value, steps: &[Step], new: Value, at: Option<usize>) -> bool {
    let Some((first, rest)) = steps.split_first() else {
        *value = new;
        return true;
    };
    if value.is_null() {
        *value = match first {
            Step::Field(_) => Value::Object(Map::new()),
            _ => Value::Array(Vec::new()),
        };
    }
    match (first, value) {
        (Step::Field(name), Value::Object(map)) => {
            let field = map.entry(name.clone()).or_insert(Value::Null);
            put(field, rest, new, at)
        }
        (Step::Item { key, value: name }, Value::Array(items)) => {
            let known = position(items, first);
            let index = known.unwrap_or_else(|| {
                let wanted = at.filter(|_| rest.is_empty()).unwrap_or(items.len());
                let index = wanted.min(items.len());
                let mut item = Map::new();
                item.insert((*key).to_owned(), name.clone());
                items.insert(index, Value::Object(item));
                index
            });
            let item = items.get_mut(index);
            item.is_some_and(|item| put(item, rest, new, at))
        }
        (Step::Index(index), Value::Array(items)) => {
            let item = items.get_mut(*index);
            item.is_some_and(|item| put(item, rest, new, at))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn web() -> Path {
        let name = Step::Item {
            key: "name",
            value: json!("web"),
        };
        Path::of_fields(&["spec", "containers"]).child(name)
    }

    #[test]
    fn an_item_is_found_by_its_key_wherever_it_stands() {
        let mut value =
            json!({"spec": {"containers": [{"name": "a"}, {"name": "web", "image": "x"}]}});
        let image = web().field("image");
        assert_eq!(image.get(&value), Some(&json!("x")));
        assert_eq!(image.pointer(&value), "/spec/containers/1/image");
        assert_eq!(image.to_string(), "spec.containers[name=web].image");
        assert!(image.set(&mut value, json!("y"), None));
        assert_eq!(value["spec"]["containers"][1]["image"], "y");
        assert!(web().remove(&mut value));
        assert_eq!(value["spec"]["containers"], json!([{"name": "a"}]));
    }

    #[test]
    fn what_lacks_on_the_way_is_made_and_nothing_else_is_overwritten() {
        let mut value = json!({});
        assert!(web().field("image").set(&mut value, json!("x"), None));
        assert_eq!(
            value,
            json!({"spec": {"containers": [{"name": "web", "image": "x"}]}})
        );
        let mut value = json!({"spec": "text"});
        assert!(!web().set(&mut value, json!({}), None));
        assert_eq!(value, json!({"spec": "text"}));
    }

    #[test]
    fn fields_with_dots_and_slashes_are_told_apart() {
        let path = Path::of_fields(&["metadata", "annotations", "a.b/c~d"]);
        assert_eq!(path.to_string(), "metadata.annotations[a.b/c~d]");
        assert_eq!(path.pointer(&json!({})), "/metadata/annotations/a.b~1c~0d");
    }
}
