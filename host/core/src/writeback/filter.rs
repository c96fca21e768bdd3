//! Which fields of an object a rule is about: JSON pointers, in which `*` stands for any one step.
//!
//! What a pointer names is meant with all that is below it; with `/` at its end only that. Items of lists go by the place that
//! they have on the cluster, or by `*`.

use reeve_api::writeback::SyncTo;
use reeve_kustomize::Object;
use reeve_writeback::{Path, key_of};
use serde_json::{Map, Value};

use super::following::Following;
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

    /// Whether a field and all that is below it is meant, by the steps of its pointer.
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

/// The steps of a field's pointer into `root`.
pub(super) fn steps_of(path: &Path, root: &Value) -> Vec<String> {
    let pointer = path.pointer(root);
    pointer.split('/').skip(1).map(unescaped).collect()
}

/// The live object with every field that is not to be committed as in the defaulted one, and without what is said to us in
/// annotations.
pub fn filtered(live: &Object, defaulted: &Object, following: &Following) -> Object {
    let mut out = match following.commits_all() {
        true => live.clone(),
        false => {
            let (live, defaulted) = (Value::from(live.clone()), Value::from(defaulted.clone()));
            let mixed = mixed(Some(&live), Some(&defaulted), &Rest::of(following), "");
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

/// What is left of a rule behind some steps.
#[derive(Clone)]
struct Rest<'f> {
    /// What is left of each of its filters that led here; an empty one covers all that is here.
    filters: Vec<&'f [Segment]>,
    side: SyncTo,
}

impl<'f> Rest<'f> {
    /// All rules that are asked, of which the last may be about everything.
    fn of(following: &'f Following) -> Vec<Self> {
        let rest = |(filters, side): (&'f Filters, SyncTo)| {
            let all: &[Segment] = &[];
            let filters = match filters.are_all() {
                true => vec![all],
                false => filters.0.iter().map(Vec::as_slice).collect(),
            };
            Self { filters, side }
        };
        following.rules().map(rest).collect()
    }

    fn covers_all(&self) -> bool {
        self.filters.iter().any(|rest| rest.is_empty())
    }
}

/// Whether what is here is committed as a whole, but for what a rule before has taken out of it.
fn is_meant(rules: &[Rest<'_>]) -> bool {
    let mut rules = rules.iter();
    let first = rules.find(|rule| rule.covers_all());
    first.is_some_and(|rule| rule.side == SyncTo::Git)
}

/// `live` where it is meant, and else `defaulted`.
fn mixed(
    live: Option<&Value>,
    defaulted: Option<&Value>,
    rules: &[Rest<'_>],
    field: &str,
) -> Option<Value> {
    let is_git = |rule: &Rest<'_>| rule.side == SyncTo::Git;
    if live == defaulted || !rules.iter().any(is_git) {
        return defaulted.cloned();
    }
    let is_meant = is_meant(rules);
    if is_meant && rules.iter().all(is_git) {
        return live.cloned();
    }
    let map = |value: Option<&'_ Value>| matches!(value, Some(Value::Object(_)) | None);
    match (live, defaulted) {
        (Some(Value::Array(live)), Some(Value::Array(defaulted))) => {
            Some(Value::Array(mixed_lists(live, defaulted, rules, field)))
        }
        (live, defaulted) if map(live) && map(defaulted) => mixed_maps(live, defaulted, rules),
        (live, defaulted) => match is_meant {
            true => live.cloned(),
            false => defaulted.cloned(),
        },
    }
}

/// Mappings go field by field; one that is not there has none.
fn mixed_maps(
    live: Option<&Value>,
    defaulted: Option<&Value>,
    rules: &[Rest<'_>],
) -> Option<Value> {
    let none = Map::new();
    let is = live.and_then(Value::as_object).unwrap_or(&none);
    let old = defaulted.and_then(Value::as_object).unwrap_or(&none);
    let mut out = Map::new();
    let more = is.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(more) {
        let rest = below(rules, name);
        let value = mixed(is.get(name), old.get(name), &rest, name);
        out.extend(value.map(|value| (name.clone(), value)));
    }
    let is_there = match is_meant(rules) {
        true => live.is_some(),
        false => defaulted.is_some(),
    };
    (is_there || !out.is_empty()).then_some(Value::Object(out))
}

/// Lists go item by item where items have names, or places.
fn mixed_lists(live: &[Value], defaulted: &[Value], rules: &[Rest<'_>], field: &str) -> Vec<Value> {
    let Some(key) = key_of(field, &[live, defaulted]) else {
        if live.len() != defaulted.len() {
            return match is_meant(rules) {
                true => live.to_vec(),
                false => defaulted.to_vec(),
            };
        }
        let both = live.iter().zip(defaulted).enumerate();
        let one = |(at, (live, defaulted)): (usize, (&Value, &Value))| {
            let rest = below(rules, &at.to_string());
            mixed(Some(live), Some(defaulted), &rest, "")
        };
        return both.filter_map(one).collect();
    };
    let same = |list: &'_ [Value], item: &Value| {
        let found = list.iter().find(|one| one.get(key) == item.get(key));
        found.cloned()
    };
    let mut out = Vec::new();
    for (at, item) in live.iter().enumerate() {
        let rest = below(rules, &at.to_string());
        match same(defaulted, item) {
            Some(before) => out.extend(mixed(Some(item), Some(&before), &rest, "")),
            // A new item is meant as a whole, or is none.
            None => out.extend(is_meant(&rest).then(|| item.clone())),
        }
    }
    for (at, item) in defaulted.iter().enumerate() {
        if same(live, item).is_none() && !is_meant(&below(rules, &at.to_string())) {
            out.insert(at.min(out.len()), item.clone());
        }
    }
    out
}

/// What is left of the rules behind a step. None is asked behind one that covers all that is there.
fn below<'f>(rules: &[Rest<'f>], step: &str) -> Vec<Rest<'f>> {
    let mut out = Vec::new();
    for rule in rules {
        let rest = |filter: &&'f [Segment]| match filter.split_first() {
            Some((first, rest)) => first.fits(step).then_some(rest),
            // What covers this covers what is below it.
            None => Some(*filter),
        };
        let filters: Vec<&'f [Segment]> = rule.filters.iter().filter_map(rest).collect();
        if filters.is_empty() {
            continue;
        }
        let rest = Rest {
            filters,
            side: rule.side,
        };
        let is_last = rest.covers_all();
        out.push(rest);
        if is_last {
            break;
        }
    }
    out
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

    /// These fields are committed.
    fn to_git(pointers: &[&str]) -> Following {
        Following::by(std::iter::once((filters(pointers), SyncTo::Git)))
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
                &to_git(&pointers),
            );
            assert_eq!(Value::from(got), want, "{pointers:?}");
        }
        for all in [vec![], vec!["/"]] {
            let got = filtered(
                &object(live.clone()),
                &object(defaulted.clone()),
                &to_git(&all),
            );
            assert_eq!(Value::from(got), live);
        }
    }

    #[test]
    fn what_is_said_to_us_is_in_no_file() {
        let defaulted = json!({"metadata": {"name": "a"}});
        let live = json!({"metadata": {"name": "a", "annotations":
            {"reeve.dev/reason": "night", "reeve.dev/changed-by": "ann", "reeve.dev/write-back": "x"}}});
        let got = filtered(&object(live), &object(defaulted.clone()), &to_git(&[]));
        assert_eq!(Value::from(got), defaulted);
    }

    #[test]
    fn what_a_rule_before_takes_out_of_what_is_committed_stays_as_it_was() {
        let defaulted = json!({"kind": "A", "metadata": {"annotations": {"a": "1", "b": "1"}},
            "spec": {"n": 1, "list": [1], "containers": [{"name": "a", "image": "1", "args": ["x"]}]}});
        let live = json!({"kind": "A", "spec": {"n": 2, "list": [1, 2], "more": {"x": 2, "y": 2},
            "containers": [{"name": "a", "image": "2", "args": ["y"]}, {"name": "b", "image": "2"}]}});
        for (about, pointers, pointer, want) in [
            ("a field", vec!["/spec/n"], "/spec/n", json!(1)),
            (
                "of an item",
                vec!["/spec/containers/*/image"],
                "/spec/containers",
                json!([{"name": "a", "image": "1", "args": ["y"]}, {"name": "b", "image": "2"}]),
            ),
            (
                "of a mapping that is gone",
                vec!["/metadata/annotations/a"],
                "/metadata",
                json!({"annotations": {"a": "1"}}),
            ),
            (
                "of one that is new",
                vec!["/spec/more/x"],
                "/spec/more",
                json!({"y": 2}),
            ),
            (
                "below what is no mapping",
                vec!["/spec/n/x", "/spec/list/7"],
                "/spec/n",
                json!(2),
            ),
            ("a list", vec!["/spec/list"], "/spec/list", json!([1])),
            (
                "an item",
                vec!["/spec/containers/1"],
                "/spec/containers/1",
                Value::Null,
            ),
        ] {
            for side in [SyncTo::Ignore, SyncTo::Kubernetes] {
                let rules = [
                    (filters(&pointers), side),
                    (Filters::default(), SyncTo::Git),
                ];
                let following = Following::by(rules.into_iter());
                let got = filtered(
                    &object(live.clone()),
                    &object(defaulted.clone()),
                    &following,
                );
                let got = Value::from(got);
                let is = got.pointer(pointer).cloned().unwrap_or_default();
                assert_eq!(is, want, "{about}");
                // All else is as on the cluster.
                let kind = if pointer == "/spec/list" {
                    "/spec/n"
                } else {
                    "/spec/list"
                };
                assert_eq!(got.pointer(kind), live.pointer(kind), "{about}");
            }
        }
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
            let is_covered = filters(&[pointer]).cover_steps(&steps_of(path, &root));
            assert_eq!(is_covered, want, "{pointer}");
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
