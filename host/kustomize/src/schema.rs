//! What is known of kinds: which live in no namespace, and which of their lists merge by which keys.
//!
//! Kubernetes' own kinds are data (`data/schema.txt`, written by `data/generate.py` from kustomize's own OpenAPI document);
//! a kustomization may bring a document of its own with `openapi.path`, which is read in `schema/document.rs`. Kinds that
//! are in neither live in a namespace, and their lists are replaced as a whole.

mod document;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;

use document::Document;
use serde_json::Value;

const DATA: &str = include_str!("../data/schema.txt");
/// The only version of Kubernetes that kustomize has built in.
pub(crate) const VERSION: &str = "v1.21.2";

/// How a value is merged below it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape<'s> {
    /// A mapping of this type.
    Fields(&'s [Type], usize),
    /// A mapping whose values all are mappings of this type.
    MapOf(&'s [Type], usize),
    /// A list that merges by these keys; by value when there are none.
    List(&'s [String], Option<(&'s [Type], usize)>),
}

/// The fields of a mapping.
#[derive(Debug, Default)]
pub(crate) struct Type {
    fields: BTreeMap<Cow<'static, str>, Field>,
    /// What all other fields are.
    others: Option<Field>,
}

#[derive(Debug)]
enum Field {
    One(Of),
    MapOf(usize),
    List(Vec<String>, Option<Of>),
}

/// A type: of the same document, or one of Kubernetes' own.
#[derive(Clone, Copy, Debug)]
enum Of {
    Same(usize),
    Builtin(usize),
}

/// Whether a kind lives in a namespace, and its type, where they are known.
type Kind = (Option<bool>, Option<usize>);

// Each is read when it is first asked for: a small build needs hardly any of it.

/// Of each kind and apiVersion, in their order.
static KINDS: LazyLock<Vec<((&str, &str), Kind)>> = LazyLock::new(|| {
    let kind = |line: &'static str| {
        let mut words = line.split(' ');
        let (version, kind) = (words.next()?, words.next()?);
        let namespaced = match words.next()? {
            "n" => Some(true),
            "c" => Some(false),
            _ => None,
        };
        let shape = words.next()?.parse().ok();
        Some(((kind, version), (namespaced, shape)))
    };
    lines("R ").filter_map(kind).collect()
});

static TYPES: LazyLock<Vec<Type>> = LazyLock::new(|| {
    let fields = |line: &'static str| line.split(' ').skip(1).filter_map(parse_field).collect();
    let of = |line| Type {
        fields: fields(line),
        others: None,
    };
    lines("T ").map(of).collect()
});

/// The types by the names of their definitions.
static NAMED: LazyLock<BTreeMap<&str, usize>> = LazyLock::new(|| {
    let named = |line: &'static str| {
        let (name, index) = line.split_once(' ')?;
        Some((name, index.parse().ok()?))
    };
    lines("D ").filter_map(named).collect()
});

/// The rest of the lines that begin so, which follow each other.
fn lines(mark: &'static str) -> impl Iterator<Item = &'static str> {
    let others = DATA.lines().skip_while(move |line| !line.starts_with(mark));
    others.map_while(move |line| line.strip_prefix(mark))
}

fn builtin(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let wanted = (kind, api_version);
    let at = KINDS
        .binary_search_by(|(known, _)| known.cmp(&wanted))
        .ok()?;
    KINDS.get(at).map(|(_, kind)| kind)
}

fn parse_field(word: &'static str) -> Option<(Cow<'static, str>, Field)> {
    let (field, shape) = word.rsplit_once(':')?;
    let shape: Option<usize> = shape.parse().ok();
    if let Some((name, keys)) = field.split_once("[]") {
        let keys = keys.split(',').filter(|k| !k.is_empty());
        return Some((
            name.into(),
            Field::List(keys.map(str::to_owned).collect(), shape.map(Of::Same)),
        ));
    }
    if let Some(name) = field.strip_suffix("{}") {
        return Some((name.into(), Field::MapOf(shape?)));
    }
    Some((field.into(), Field::One(Of::Same(shape?))))
}

/// Which kinds of Kubernetes' own count beside those of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    /// None: only their scopes are known.
    None,
    /// Those that the document does not have.
    Below,
    /// All, before the document.
    Above,
}

/// What one build knows. The first kustomization that says so decides on a document, and as in kustomize, what the build
/// asked before that is not forgotten.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    document: RefCell<Option<(Rc<Document>, Own)>>,
    decided: Cell<bool>,
    /// Whether anything was merged by Kubernetes' own kinds.
    used: Cell<bool>,
    /// Whether the scope of a kind was asked for that Kubernetes does not have.
    asked: Cell<bool>,
}

impl Schemas {
    /// Whether a kustomization has said already which schema counts.
    pub(crate) fn is_decided(&self) -> bool {
        self.decided.get()
    }

    /// Takes Kubernetes' own kinds and no others.
    pub(crate) fn decide_builtin(&self) {
        self.decided.set(true);
    }

    /// Takes the kinds of a document. The error says what is wrong with it.
    pub(crate) fn decide(&self, document: &Value) -> Result<(), &'static str> {
        let own = match (self.used.get(), self.asked.get()) {
            (true, _) => Own::Below,
            (false, true) => Own::Above,
            (false, false) => Own::None,
        };
        let document = Document::new(document, own)?;
        self.decided.set(true);
        *self.document.borrow_mut() = Some((Rc::new(document), own));
        Ok(())
    }

    /// Whether objects of this kind certainly live in no namespace.
    pub(crate) fn is_cluster_scoped(&self, api_version: &str, kind: &str) -> bool {
        if let Some((Some(namespaced), _)) = builtin(api_version, kind) {
            return !namespaced;
        }
        match &*self.document.borrow() {
            Some((document, _)) => document.is_cluster_scoped(api_version, kind),
            None => {
                self.asked.set(true);
                false
            }
        }
    }

    /// Whether the kind is one of Kubernetes' own, whose scope is known.
    pub(crate) fn is_builtin(api_version: &str, kind: &str) -> bool {
        matches!(builtin(api_version, kind), Some((Some(_), _)))
    }

    /// What counts for a merge.
    pub(crate) fn view(&self) -> View {
        let document = self.document.borrow().clone();
        if document.is_none() {
            self.used.set(true);
        }
        View(document)
    }
}

/// The shapes of kinds during a merge.
#[derive(Debug)]
pub(crate) struct View(Option<(Rc<Document>, Own)>);

impl View {
    /// The shape of an object of this kind.
    pub(crate) fn shape(&self, api_version: &str, kind: &str) -> Option<Shape<'_>> {
        let own = || {
            let (_, index) = builtin(api_version, kind)?;
            index.map(|index| Shape::Fields(&TYPES, index))
        };
        match &self.0 {
            None => own(),
            Some((document, Own::None)) => document.shape(api_version, kind),
            Some((document, Own::Below)) => document.shape(api_version, kind).or_else(own),
            Some((document, Own::Above)) => own().or_else(|| document.shape(api_version, kind)),
        }
    }
}

impl<'s> Shape<'s> {
    /// The shape of a field.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Fields(types, index) => {
                let of = types.get(index)?;
                let field = of.fields.get(name).or(of.others.as_ref())?;
                Some(Self::of(types, field))
            }
            Self::MapOf(types, index) => Some(Self::Fields(types, index)),
            Self::List(..) => None,
        }
    }

    fn of(types: &'s [Type], field: &'s Field) -> Self {
        match field {
            Field::One(of) => {
                let (types, index) = of.types(types);
                Self::Fields(types, index)
            }
            Field::MapOf(index) => Self::MapOf(types, *index),
            Field::List(keys, item) => Self::List(keys, item.map(|of| of.types(types))),
        }
    }
}

impl Of {
    /// Where the type is.
    fn types(self, same: &[Type]) -> (&[Type], usize) {
        match self {
            Self::Same(index) => (same, index),
            Self::Builtin(index) => (&TYPES, index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containers_of_a_deployment_merge_by_name() {
        let view = Schemas::default().view();
        let shape = view.shape("apps/v1", "Deployment").unwrap();
        let pod = shape
            .field("spec")
            .unwrap()
            .field("template")
            .unwrap()
            .field("spec")
            .unwrap();
        let Some(Shape::List(keys, Some((types, container)))) = pod.field("containers") else {
            panic!()
        };
        assert_eq!(keys, ["name"]);
        let Some(Shape::List(keys, None)) = Shape::Fields(types, container).field("ports") else {
            panic!()
        };
        assert_eq!(keys, ["containerPort", "protocol"]);
        assert!(pod.field("tolerations").is_none());
    }

    #[test]
    fn the_kinds_are_written_in_their_order() {
        assert!(KINDS.is_sorted_by(|(a, _), (b, _)| a < b));
        let written = DATA.lines().filter(|line| line.starts_with("R "));
        assert_eq!(KINDS.len(), written.count());
    }

    #[test]
    fn scopes_are_known_for_built_in_kinds_only() {
        let schemas = Schemas::default();
        assert!(schemas.is_cluster_scoped("v1", "Namespace"));
        assert!(schemas.is_cluster_scoped("rbac.authorization.k8s.io/v1", "ClusterRole"));
        assert!(!schemas.is_cluster_scoped("v1", "ConfigMap"));
        assert!(!schemas.is_cluster_scoped("example.com/v1", "ClusterThing"));
    }
}
