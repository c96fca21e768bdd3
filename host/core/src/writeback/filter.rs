//! Which fields of an object a rule is about: JSON pointers, in which `*` stands for any one step.
//!
//! What a pointer names is meant with all that is below it; with `/` at its end only that. Items of lists go by the place that
//! they have on the cluster, or by `*`.

use reeve_kustomize::Object;
use reeve_writeback::{Path, key_of};
use serde_json::{Map, Value};

use super::without_ours;

/// The most pointers of a rule, and the most steps of one.
const MOST: usize = 100;
const DEEPEST: usize = 64;

/// Which fields; none named means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(Vec<Vec<Segment>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Any,
    Name(String),
}

impl Filters {
    /// Reads pointers, or says which cannot be used and why.
    pub fn parse(pointers: &[String]) -> Result<Self, (usize, String)> {
        if pointers.len() > MOST {
            return Err((MOST, format!("there are more than {MOST}")));
        }
        let read = |(at, text): (usize, &String)| pointer(text).map_err(|why| (at, why));
        let read = pointers.iter().enumerate().map(read);
        read.collect::<Result<_, _>>().map(Self)
    }

    /// Whether every field is meant.
    pub fn are_all(&self) -> bool {
        self.0.is_empty() || self.0.iter().any(Vec::is_empty)
    }

    /// Whether the field of `root` and all that is below it is meant.
    pub fn cover(&self, path: &Path, root: &Value) -> bool {
        let pointer = path.pointer(root);
        let steps: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
        self.cover_steps(&steps)
    }

    /// The same of a field whose way is known step by step.
    pub(super) fn cover_steps(&self, steps: &[String]) -> bool {
        let covers = |filter: &Vec<Segment>| {
            let mut steps = steps.iter();
            filter
                .iter()
                .all(|segment| steps.next().is_some_and(|step| segment.fits(step)))
        };
        self.are_all() || self.0.iter().any(covers)
    }
}

/// The live object with everything that is not meant as in the defaulted one, and without what is said to us in annotations.
pub fn filtered(live: &Object, defaulted: &Object, filters: &Filters) -> Object {
    let mut out = match filters.are_all() {
        true => live.clone(),
        false => {
            let rest: Vec<&[Segment]> = filters.0.iter().map(Vec::as_slice).collect();
            let (live, defaulted) = (Value::from(live.clone()), Value::from(defaulted.clone()));
            let mixed = mixed(Some(&live), Some(&defaulted), &rest, "");
            let mixed = mixed.and_then(|value| Object::try_from(value).ok());
            mixed.unwrap_or_default()
        }
    };
    without_ours(&mut out);
    out
}

impl Segment {
    fn fits(&self, step: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Name(name) => name == step,
        }
    }
}

fn pointer(text: &str) -> Result<Vec<Segment>, String> {
    let shown: String = text.chars().take(100).collect();
    let Some(steps) = text.strip_prefix('/') else {
        return Err(format!(
            "{shown:?} is no JSON pointer: it begins with /, as /metadata/annotations"
        ));
    };
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let steps: Vec<&str> = steps.split('/').collect();
    if steps.len() > DEEPEST {
        return Err(format!("it has more than {DEEPEST} steps"));
    }
    let last = steps.len() - 1;
    let segment = |(at, step): (usize, &&str)| match *step {
        "*" => Ok(Segment::Any),
        // What is below it.
        "" if at == last => Ok(Segment::Any),
        "" => Err(format!("{shown:?} has a step without a name")),
        step => Ok(Segment::Name(unescaped(step))),
    };
    steps.iter().enumerate().map(segment).collect()
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// `live` where it is meant, and else `defaulted`.
fn mixed(
    live: Option<&Value>,
    defaulted: Option<&Value>,
    filters: &[&[Segment]],
    field: &str,
) -> Option<Value> {
    if live == defaulted || filters.is_empty() {
        return defaulted.cloned();
    }
    if filters.iter().any(|rest| rest.is_empty()) {
        return live.cloned();
    }
    let none = Map::new();
    let map = |value: Option<&'_ Value>| matches!(value, Some(Value::Object(_)) | None);
    match (live, defaulted) {
        (Some(Value::Array(live)), Some(Value::Array(defaulted))) => {
            Some(Value::Array(mixed_lists(live, defaulted, filters, field)))
        }
        (live, defaulted) if map(live) && map(defaulted) => {
            let fields = |value: Option<&'_ Value>| value.and_then(Value::as_object).cloned();
            let before = fields(defaulted);
            let live = fields(live).unwrap_or_else(|| none.clone());
            let mut out = Map::new();
            let old = before.as_ref().unwrap_or(&none);
            let more = live.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(more) {
                let rest = below(filters, name);
                let value = mixed(live.get(name), old.get(name), &rest, name);
                out.extend(value.map(|value| (name.clone(), value)));
            }
            (before.is_some() || !out.is_empty()).then_some(Value::Object(out))
        }
        _ => defaulted.cloned(),
    }
}

/// Lists go item by item where items have names, or places.
fn mixed_lists(
    live: &[Value],
    defaulted: &[Value],
    filters: &[&[Segment]],
    field: &str,
) -> Vec<Value> {
    let Some(key) = key_of(field, &[live, defaulted]) else {
        if live.len() != defaulted.len() {
            return defaulted.to_vec();
        }
        let both = live.iter().zip(defaulted).enumerate();
        let one = |(at, (live, defaulted)): (usize, (&Value, &Value))| {
            let rest = below(filters, &at.to_string());
            mixed(Some(live), Some(defaulted), &rest, "")
        };
        return both.filter_map(one).collect();
    };
    let same = |list: &'_ [Value], item: &Value| {
        let at = list.iter().position(|one| one.get(key) == item.get(key));
        at.and_then(|at| Some((at, list.get(at)?.clone())))
    };
    let mut out = Vec::new();
    for (at, item) in live.iter().enumerate() {
        let rest = below(filters, &at.to_string());
        let before = same(defaulted, item).map(|(_, item)| item);
        // A new item is meant as a whole, or is none.
        let is_meant = before.is_some() || rest.iter().any(|rest| rest.is_empty());
        if is_meant {
            out.extend(mixed(Some(item), before.as_ref(), &rest, ""));
        }
    }
    for (at, item) in defaulted.iter().enumerate() {
        let rest = below(filters, &at.to_string());
        if same(live, item).is_none() && !rest.iter().any(|rest| rest.is_empty()) {
            out.insert(at.min(out.len()), item.clone());
        }
    }
    out
}

/// What is left of the filters behind a step.
fn below<'f>(filters: &[&'f [Segment]], step: &str) -> Vec<&'f [Segment]> {
    let rest = |filter: &&'f [Segment]| {
        let (first, rest) = filter.split_first()?;
        first.fits(step).then_some(rest)
    };
    filters.iter().filter_map(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filters(pointers: &[&str]) -> Filters {
        let pointers: Vec<String> = pointers.iter().map(|text| (*text).to_owned()).collect();
        Filters::parse(&pointers).unwrap()
    }

    fn object(value: Value) -> Object {
        Object::try_from(value).unwrap()
    }

    #[test]
    fn only_what_is_meant_is_as_on_the_cluster() {
        let defaulted = json!({"kind": "A", "metadata": {"annotations": {"a": "1"}, "labels": {"l": "1"}},
            "spec": {"n": 1, "list": [1, 2], "containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "1"}]}});
        let live = json!({"kind": "A", "metadata": {"annotations": {"a": "2", "b/c": "2"}, "labels": {"l": "2"}},
            "spec": {"n": 2, "list": [2, 2], "more": {"x": 2}, "containers": [{"name": "a", "image": "2", "args": ["y"]},
                {"name": "c", "image": "2"}, {"name": "b", "image": "2"}]}});
        for (pointers, changed) in [
            (
                vec!["/metadata/annotations"],
                json!({"/metadata/annotations": {"a": "2", "b/c": "2"}}),
            ),
            (
                vec!["/metadata/annotations/"],
                json!({"/metadata/annotations": {"a": "2", "b/c": "2"}}),
            ),
            (
                vec!["/metadata/annotations/b~1c"],
                json!({"/metadata/annotations": {"a": "1", "b/c": "2"}}),
            ),
            (
                vec!["/metadata/*/l"],
                json!({"/metadata/labels": {"l": "2"}}),
            ),
            (vec!["/spec/n", "/nothing"], json!({"/spec/n": 2})),
            (vec!["/spec/more/x"], json!({"/spec/more": {"x": 2}})),
            (vec!["/spec/list/0"], json!({"/spec/list": [2, 2]})),
            (
                vec!["/spec/containers/*/image"],
                json!({"/spec/containers":
                [{"name": "a", "image": "2", "args": ["x"]}, {"name": "b", "image": "2"}]}),
            ),
            (
                vec!["/spec/containers/2/image"],
                json!({"/spec/containers":
                [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "2"}]}),
            ),
            (
                vec!["/spec/containers/1"],
                json!({"/spec/containers":
                [{"name": "a", "image": "1", "args": ["x"]}, {"name": "c", "image": "2"}, {"name": "b", "image": "1"}]}),
            ),
            (vec!["/status"], json!({})),
        ] {
            let mut want = defaulted.clone();
            for (pointer, value) in changed.as_object().unwrap() {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                want.pointer_mut(parent).unwrap()[name] = value.clone();
            }
            let got = filtered(
                &object(live.clone()),
                &object(defaulted.clone()),
                &filters(&pointers),
            );
            assert_eq!(Value::from(got), want, "{pointers:?}");
        }
        for all in [vec![], vec!["/"]] {
            let got = filtered(
                &object(live.clone()),
                &object(defaulted.clone()),
                &filters(&all),
            );
            assert_eq!(Value::from(got), live);
        }
    }

    #[test]
    fn what_is_said_to_us_is_in_no_file() {
        let defaulted = json!({"metadata": {"name": "a"}});
        let live = json!({"metadata": {"name": "a", "annotations":
            {"reeve.dev/reason": "night", "reeve.dev/changed-by": "ann", "reeve.dev/write-back": "x"}}});
        let got = filtered(
            &object(live),
            &object(defaulted.clone()),
            &Filters::default(),
        );
        assert_eq!(Value::from(got), defaulted);
    }

    #[test]
    fn a_field_is_covered_with_all_below_it() {
        let root = json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "image": "1"}]}});
        let other = json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "image": "2"}]}});
        let found = reeve_writeback::differences(0, &root, &other);
        let path = &found.first().unwrap().path;
        for (pointer, want) in [
            ("/spec", true),
            ("/spec/containers/1/image", true),
            ("/spec/containers/*/image", true),
            ("/spec/*/*", true),
            ("/spec/containers/0/image", false),
            ("/spec/containers/*/image/x", false),
            ("/metadata", false),
        ] {
            assert_eq!(filters(&[pointer]).cover(path, &root), want, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_named() {
        let deep = "/a".repeat(65);
        for (text, says) in [
            ("metadata", "\"metadata\" is no JSON pointer"),
            ("", "\"\" is no JSON pointer"),
            ("$.spec", "\"$.spec\" is no"),
            ("/a//b", "\"/a//b\" has a step without a name"),
            (deep.as_str(), "it has more than 64 steps"),
        ] {
            let (at, why) = Filters::parse(&["/a".to_owned(), text.to_owned()]).unwrap_err();
            assert!(at == 1 && why.starts_with(says), "{text}: {why}");
        }
    }
}
