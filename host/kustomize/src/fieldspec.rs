//! Which fields of which kinds a transformer touches, and how a path finds them.
//!
//! Which transformer touches which fields is `config.rs`. A path makes no difference between mappings and lists: every
//! item of a list on the way is visited.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use crate::budget::Budget;
use crate::resource::Resource;
use crate::yaml::Node;

/// Where kustomize keeps its notes about an object: the field is there once there is one.
const ANNOTATIONS: &str = "metadata/annotations";

/// Text that may be kustomize's own, of which there is much: none of it is copied.
type Text = Cow<'static, str>;

/// A kind, where empty fits all.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gvk {
    pub(crate) group: Text,
    pub(crate) version: Text,
    pub(crate) kind: Text,
}

/// A field of some kinds.
#[derive(Clone)]
pub(crate) struct FieldSpec {
    pub(crate) gvk: Gvk,
    /// Whether the field is made where it is missing.
    pub(crate) create: bool,
    pub(crate) path: Text,
    /// Of the path, once they are asked for: most of kustomize's own never are.
    steps: OnceLock<Vec<Step>>,
}

/// Without the steps, which are there or not.
impl fmt::Debug for FieldSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {}", self.gvk, self.create, self.path)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    field: String,
    /// Written with `[]`: a list, never made.
    list: bool,
}

impl Step {
    /// Whether kustomize looks for an item of a list here.
    fn is_item(&self) -> bool {
        let field = self.field.as_str();
        field.parse::<i64>().is_ok()
            || matches!(field, "-" | "*")
            || field.starts_with('[') && field.ends_with(']')
    }
}

/// What is done to every value of a field.
pub(crate) type Set<'a> = &'a mut dyn FnMut(&mut Node) -> Result<(), String>;

/// What to make of a field that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Mapping,
    Text,
}

impl Gvk {
    pub(crate) fn new(
        group: impl Into<Text>,
        version: impl Into<Text>,
        kind: impl Into<Text>,
    ) -> Self {
        Self {
            group: group.into(),
            version: version.into(),
            kind: kind.into(),
        }
    }

    /// Whether a kind is one of those meant.
    pub(crate) fn selects(&self, group: &str, version: &str, kind: &str) -> bool {
        let fits = |want: &str, is: &str| want.is_empty() || want == is;
        fits(&self.group, group) && fits(&self.version, version) && fits(&self.kind, kind)
    }

    fn selects_gvk(&self, other: &Self) -> bool {
        self.selects(&other.group, &other.version, &other.kind)
    }
}

impl FieldSpec {
    pub(crate) fn new(gvk: Gvk, create: bool, path: impl Into<Text>) -> Self {
        Self {
            gvk,
            create,
            path: path.into(),
            steps: OnceLock::new(),
        }
    }

    fn steps(&self) -> &[Step] {
        self.steps.get_or_init(|| {
            let steps = split(&self.path).into_iter();
            let step = |step: String| match step.strip_suffix("[]") {
                Some(field) => Step {
                    field: field.to_owned(),
                    list: true,
                },
                None => Step {
                    field: step,
                    list: false,
                },
            };
            steps.map(step).collect()
        })
    }

    /// Calls `set` on every value of this field of `resource`, whatever its kind.
    pub(crate) fn visit(
        &self,
        resource: &mut Resource,
        budget: &Budget,
        set: Set<'_>,
    ) -> Result<(), String> {
        visit(&mut resource.node, self.steps(), None, budget, set)
            .map_err(|why| format!("{}: {why}", self.path))
    }

    /// Calls `set` on every value of this field of `resource`. `make` is what a missing field becomes where it is to be
    /// made; without it, none is made.
    pub(crate) fn apply(
        &self,
        resource: &mut Resource,
        make: Option<Make>,
        budget: &Budget,
        set: Set<'_>,
    ) -> Result<(), String> {
        if !self
            .gvk
            .selects(resource.group(), resource.version(), resource.kind())
        {
            return Ok(());
        }
        if self.path == ANNOTATIONS && make == Some(Make::Mapping) && resource.has_notes() {
            resource.make_annotations();
        }
        let make = make.filter(|_| self.create);
        visit(&mut resource.node, self.steps(), make, budget, set)
            .map_err(|why| format!("{}: {why}", self.path))
    }
}

/// Adds to `list` what is not in it yet. The error is a field that is in it with another `create`.
pub(crate) fn merge(list: &mut Vec<FieldSpec>, more: &[FieldSpec]) -> Result<(), String> {
    for spec in more {
        match list
            .iter()
            .find(|old| spec.gvk.selects_gvk(&old.gvk) && old.path == spec.path)
        {
            None => list.push(spec.clone()),
            Some(old) if old.create == spec.create => {}
            Some(_) => return Err(format!("field {} is there with another create", spec.path)),
        }
    }
    Ok(())
}

/// The steps of a path; `\/` is a slash within one.
fn split(path: &str) -> Vec<String> {
    let path = if path.len() > 1 {
        path.strip_prefix('/').unwrap_or(path)
    } else {
        path
    };
    split_all(path)
}

/// The steps of a path, also an empty one before a leading slash.
pub(crate) fn split_all(path: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for part in path.split('/') {
        match steps.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push('/');
                last.push_str(part);
            }
            _ => steps.push(part.to_owned()),
        }
    }
    steps
}

fn visit(
    node: &mut Node,
    steps: &[Step],
    make: Option<Make>,
    budget: &Budget,
    set: Set<'_>,
) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        return set(node);
    };
    match node {
        _ if node.is_null() => Ok(()),
        Node::Seq(items) => {
            let charge = budget.steps(items.len() as u64);
            charge.map_err(|why| why.to_string())?;
            let mut items = items.iter_mut();
            items.try_for_each(|item| visit(item, steps, make, budget, set))
        }
        Node::Map(map) => {
            let wanted = make.filter(|_| !step.list).map(|leaf| match leaf {
                Make::Text if rest.is_empty() => Node::string(""),
                _ => Node::empty_mapping(),
            });
            if step.field.is_empty() {
                return Err("a field without a name".to_owned());
            }
            if step.is_item() {
                let why = "is no field of a mapping, and items are not named: all are meant";
                return Err(format!("{} {why}", step.field));
            }
            let field = match (map.contains_key(&step.field), &wanted) {
                (false, Some(new)) => map.get_or_insert_with(&step.field, || new.clone()),
                _ => match map.get_mut(&step.field) {
                    Some(field) => field,
                    None => return Ok(()),
                },
            };
            if field.is_null() {
                match wanted {
                    Some(new) => *field = new,
                    None if step.list => *field = Node::Seq(Vec::new()),
                    None => {}
                }
            }
            visit(field, rest, make, budget, set)
        }
        other @ Node::Scalar(_) => Err(format!(
            "{} is {} where a mapping or a list is needed",
            step.field,
            other.kind_name()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_in_a_field_name_is_escaped() {
        assert_eq!(
            split(r"metadata/annotations/a.io\/b"),
            ["metadata", "annotations", "a.io/b"]
        );
        assert_eq!(split("/a/b"), ["a", "b"]);
    }
}
