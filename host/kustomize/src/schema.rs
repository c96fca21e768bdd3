//! What is known of Kubernetes' own kinds: which live in no namespace, and which of their lists merge by key.
//!
//! The data is `data/schema.txt`, written by `data/generate.py` from kustomize's own OpenAPI document. Kinds that are not
//! in it live in a namespace, and their lists are replaced as a whole. CRDs add nothing here yet.

use std::collections::BTreeMap;
use std::sync::LazyLock;

const DATA: &str = include_str!("../data/schema.txt");

/// How a field's value is merged below it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A mapping with known fields.
    Fields(usize),
    /// A mapping whose values all have one shape.
    MapOf(usize),
    /// A list that merges by these keys; by value when there are none.
    List(&'static [&'static str], Option<usize>),
}

struct Schema {
    types: Vec<BTreeMap<&'static str, Shape>>,
    kinds: BTreeMap<(&'static str, &'static str), (Scope, Option<usize>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Namespaced,
    Cluster,
    Unknown,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let mut schema = Schema {
        types: Vec::new(),
        kinds: BTreeMap::new(),
    };
    for line in DATA.lines() {
        let mut words = line.split(' ');
        match words.next() {
            Some("T") => schema
                .types
                .push(words.skip(1).filter_map(parse_field).collect()),
            Some("R") => {
                if let (Some(version), Some(kind), Some(scope), Some(shape)) =
                    (words.next(), words.next(), words.next(), words.next())
                {
                    let scope = match scope {
                        "n" => Scope::Namespaced,
                        "c" => Scope::Cluster,
                        _ => Scope::Unknown,
                    };
                    schema
                        .kinds
                        .insert((version, kind), (scope, shape.parse().ok()));
                }
            }
            _ => {}
        }
    }
    schema
});

fn parse_field(word: &'static str) -> Option<(&'static str, Shape)> {
    let (field, shape) = word.rsplit_once(':')?;
    let shape: Option<usize> = shape.parse().ok();
    if let Some((name, keys)) = field.split_once("[]") {
        let keys: Vec<&'static str> = keys.split(',').filter(|k| !k.is_empty()).collect();
        return Some((name, Shape::List(keys.leak(), shape)));
    }
    if let Some(name) = field.strip_suffix("{}") {
        return Some((name, Shape::MapOf(shape?)));
    }
    Some((field, Shape::Fields(shape?)))
}

/// Whether objects of this kind certainly live in no namespace.
pub(crate) fn is_cluster_scoped(api_version: &str, kind: &str) -> bool {
    SCHEMA
        .kinds
        .get(&(api_version, kind))
        .is_some_and(|(scope, _)| *scope == Scope::Cluster)
}

impl Shape {
    /// The shape of an object of this kind.
    pub(crate) fn of(api_version: &str, kind: &str) -> Option<Self> {
        let (_, shape) = SCHEMA.kinds.get(&(api_version, kind))?;
        shape.map(Shape::Fields)
    }

    /// The shape of a field.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Fields(index) => SCHEMA.types.get(index)?.get(name).copied(),
            Self::MapOf(index) => Some(Self::Fields(index)),
            Self::List(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containers_of_a_deployment_merge_by_name() {
        let shape = Shape::of("apps/v1", "Deployment").unwrap();
        let pod = shape
            .field("spec")
            .unwrap()
            .field("template")
            .unwrap()
            .field("spec")
            .unwrap();
        let Some(Shape::List(keys, Some(container))) = pod.field("containers") else {
            panic!()
        };
        assert_eq!(keys, ["name"]);
        let Some(Shape::List(keys, None)) = Shape::Fields(container).field("ports") else {
            panic!()
        };
        assert_eq!(keys, ["containerPort", "protocol"]);
        assert!(pod.field("tolerations").is_none());
    }

    #[test]
    fn scopes_are_known_for_built_in_kinds_only() {
        assert!(is_cluster_scoped("v1", "Namespace"));
        assert!(is_cluster_scoped(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole"
        ));
        assert!(!is_cluster_scoped("v1", "ConfigMap"));
        assert!(!is_cluster_scoped("example.com/v1", "ClusterThing"));
    }
}
