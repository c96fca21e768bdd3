//! One object on its way through the build, with what must be remembered about it.
//!
//! kustomize keeps this in annotations of the object; here it lies beside it. How objects become resources is
//! `session.rs`, who uses the earlier names is `reference.rs`.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use crate::error::{Error, Why};
use crate::file::Behavior;
use crate::object::Id;
use crate::origin;
use crate::patch::select::Identity;
use crate::schema::Schemas;
use crate::session::Session;
use crate::yaml::{Mapping, Node, Scalar, Unprintable};

/// The namespace of what lives in none.
const CLUSTER: &str = "_non_namespaceable_";
const ORIGIN: &str = "config.kubernetes.io/origin";
const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";
/// Annotations that kustomize keeps for itself and strips from every object.
const INTERNAL: [&str; 20] = [
    "alpha.config.kubernetes.io/transformations",
    "config.k8s.io/id",
    "config.kubernetes.io/index",
    "config.kubernetes.io/origin",
    "config.kubernetes.io/path",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "internal.config.kubernetes.io/generatorBehavior",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/needsHashSuffix",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/prefixes",
    "internal.config.kubernetes.io/previousKinds",
    "internal.config.kubernetes.io/previousNames",
    "internal.config.kubernetes.io/previousNamespaces",
    "internal.config.kubernetes.io/refBy",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/suffixes",
];

/// A name the object had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) kind: Rc<str>,
    pub(crate) name: Rc<str>,
    /// The namespace it was in, `default` if none was written.
    pub(crate) namespace: Rc<str>,
}

/// What became of an object's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// What it was called before, the first name first.
    pub(crate) previous: Vec<Previous>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) suffixes: Vec<String>,
}

impl History {
    fn is_empty(&self) -> bool {
        self.previous.is_empty() && self.prefixes.is_empty() && self.suffixes.is_empty()
    }
}

/// An object and its history.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) node: Node,
    /// What the build knows of its kind.
    schemas: Rc<Schemas>,
    /// The file it was read from, or whose generator made it.
    pub(crate) file: Rc<str>,
    /// The line of the file its document begins in.
    pub(crate) line: u32,
    pub(crate) history: Rc<History>,
    pub(crate) needs_hash: bool,
    /// Whether a generator made it.
    pub(crate) generated: bool,
    pub(crate) behavior: Behavior,
    /// Where it came from, where that is tracked.
    pub(crate) origin: Option<String>,
    /// What went over it, where that is tracked.
    pub(crate) transformations: Vec<Rc<str>>,
    /// The vars whose values it holds.
    pub(crate) vars: Vec<Rc<str>>,
    /// How often kustomize has noted a name of it or made it anew, which a validator must not.
    pub(crate) noted: u32,
    /// What is to blame if it cannot be printed.
    pub(crate) doubt: Option<Rc<Error>>,
}

impl Resource {
    pub(crate) fn new(node: Node, schemas: Rc<Schemas>, file: Rc<str>, line: u32) -> Self {
        Self {
            node,
            schemas,
            file,
            line,
            history: Rc::default(),
            needs_hash: false,
            generated: false,
            behavior: Behavior::Create,
            origin: None,
            transformations: Vec::new(),
            vars: Vec::new(),
            noted: 0,
            doubt: None,
        }
    }

    pub(crate) fn api_version(&self) -> &str {
        self.node.get("apiVersion").map_or("", Node::text)
    }

    pub(crate) fn group(&self) -> &str {
        self.api_version()
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    pub(crate) fn version(&self) -> &str {
        let all = self.api_version();
        all.split_once('/').map_or(all, |(_, version)| version)
    }

    pub(crate) fn kind(&self) -> &str {
        self.node.get("kind").map_or("", Node::text)
    }

    pub(crate) fn name(&self) -> &str {
        self.node.at(&["metadata", "name"]).map_or("", Node::text)
    }

    pub(crate) fn namespace(&self) -> &str {
        self.node
            .at(&["metadata", "namespace"])
            .map_or("", Node::text)
    }

    pub(crate) fn id(&self) -> Id {
        Id {
            group: self.group().to_owned(),
            version: self.version().to_owned(),
            kind: self.kind().to_owned(),
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }

    pub(crate) fn is_cluster_scoped(&self) -> bool {
        self.schemas
            .is_cluster_scoped(self.api_version(), self.kind())
    }

    /// The namespace it is in: `default` when none is written, one that is no name for what lives in none.
    pub(crate) fn effective_namespace(&self) -> &str {
        if self.is_cluster_scoped() {
            return CLUSTER;
        }
        match self.namespace() {
            "" => "default",
            written => written,
        }
    }

    /// The effective namespace it was first in.
    pub(crate) fn original_namespace(&self) -> &str {
        self.previous()
            .first()
            .map_or_else(|| self.effective_namespace(), |p| &p.namespace)
    }

    /// The name it first had.
    pub(crate) fn original_name(&self) -> &str {
        self.previous()
            .first()
            .map_or_else(|| self.name(), |p| &p.name)
    }

    /// The kind it first had.
    pub(crate) fn original_kind(&self) -> &str {
        self.previous()
            .first()
            .map_or_else(|| self.kind(), |p| &p.kind)
    }

    /// Calls `ask` on what it is and on what it was, until one answer is yes. The present namespace is as it is written.
    pub(crate) fn any_identity(&self, mut ask: impl FnMut(&Identity<'_>) -> bool) -> bool {
        let now = Identity {
            group: self.group(),
            version: self.version(),
            kind: self.kind(),
            name: self.name(),
            namespace: self.namespace(),
        };
        ask(&now)
            || self.previous().iter().any(|p| {
                ask(&Identity {
                    kind: &p.kind,
                    name: &p.name,
                    namespace: &p.namespace,
                    ..now
                })
            })
    }

    /// What it was called before, the first name first.
    pub(crate) fn previous(&self) -> &[Previous] {
        &self.history.previous
    }

    /// To be added to.
    pub(crate) fn history_mut(&mut self) -> &mut History {
        Rc::make_mut(&mut self.history)
    }

    /// Remembers the present name before it changes.
    pub(crate) fn store_previous(&mut self) {
        self.noted = self.noted.saturating_add(1);
        let last = self.previous().last();
        // Most names change more often than kind and namespace.
        let shared = |text: &str, last: Option<&Rc<str>>| match last {
            Some(last) if **last == *text => last.clone(),
            _ => Rc::from(text),
        };
        let previous = Previous {
            kind: shared(self.kind(), last.map(|p| &p.kind)),
            name: Rc::from(self.name()),
            namespace: shared(self.effective_namespace(), last.map(|p| &p.namespace)),
        };
        // Many patches for one object leave no more behind than one.
        if last != Some(&previous) {
            self.history_mut().previous.push(previous);
        }
    }

    /// Whether it is, or was, the object of this identity.
    pub(crate) fn was(&self, key: &Id) -> bool {
        let same_version = self.group() == key.group && self.version() == key.version;
        let was = |p: &Previous| {
            *p.kind == *key.kind && *p.name == *key.name && *p.namespace == *key.namespace
        };
        same_version
            && (self.previous().iter().any(was)
                || self.kind() == key.kind
                    && self.name() == key.name
                    && self.effective_namespace() == key.namespace)
    }

    /// A number for its identity: that of another is hardly ever the same.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.print(self.kind(), self.effective_namespace(), self.name())
    }

    /// The same for the identities it had, by its present version.
    pub(crate) fn previous_fingerprints(&self) -> impl Iterator<Item = u64> {
        let print = |p: &Previous| self.print(&p.kind, &p.namespace, &p.name);
        self.previous().iter().map(print)
    }

    fn print(&self, kind: &str, namespace: &str, name: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.group(), self.version(), kind, namespace, name).hash(&mut hasher);
        hasher.finish()
    }

    /// What must be unique: its identity with the effective namespace.
    pub(crate) fn key(&self) -> Id {
        Id {
            namespace: self.effective_namespace().to_owned(),
            ..self.id()
        }
    }

    pub(crate) fn metadata_mut(&mut self) -> &mut Mapping {
        field_mapping(&mut self.node, "metadata")
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        set_field(self.metadata_mut(), "name", name);
    }

    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        if namespace.is_empty() {
            self.metadata_mut().shift_remove("namespace");
        } else {
            set_field(self.metadata_mut(), "namespace", namespace);
        }
    }

    /// The text of a label or an annotation.
    pub(crate) fn metadata_text(&self, field: &str, key: &str) -> Option<&str> {
        Some(self.node.at(&["metadata", field, key])?.raw_text())
    }

    /// Makes every value of `metadata.labels` or `metadata.annotations` text and drops the field when it is empty, or
    /// those of its keys that are in `without`.
    pub(crate) fn set_texts(&mut self, field: &str, without: &[&str]) {
        let Some(metadata) = self.node.get_mut("metadata").and_then(Node::map_mut) else {
            return;
        };
        let Some(old) = metadata.get_mut(field) else {
            return;
        };
        let old = std::mem::take(old);
        // Once kustomize's own go, nothing is written over the others any more.
        let last = !without.is_empty();
        let text = |text: &str| {
            if last {
                Node::string(text)
            } else {
                Node::set(text)
            }
        };
        let texts: Mapping = match old {
            Node::Map(old) => {
                let kept = old
                    .into_pairs()
                    .filter(|(key, _)| !without.contains(&key.as_str()));
                kept.map(|(key, value)| (key, text(value.raw_text())))
                    .collect()
            }
            _ => Mapping::new(),
        };
        if texts.is_empty() {
            metadata.shift_remove(field);
        } else {
            metadata.insert(field.to_owned(), Node::mapping(texts));
        }
    }

    /// The file and the line it was written in.
    fn whereabouts(&self) -> String {
        match self.line {
            0 => self.file.to_string(),
            line => format!("{}:{line}", self.file),
        }
    }

    /// An error about this object.
    pub(crate) fn error(&self, message: &str) -> Error {
        let why = format!("{}: {message}", self.id());
        Error::invalid(&self.file, why).at_line(self.line)
    }

    /// The error of this object that cannot be printed.
    pub(crate) fn unprintable(&self, why: &Unprintable) -> Error {
        match &self.doubt {
            Some(error) => Error::clone(error),
            None => self.error(&why.to_string()),
        }
    }

    /// Whether kustomize would have noted anything in its annotations by now.
    pub(crate) fn has_notes(&self) -> bool {
        self.generated || self.origin.is_some() || !self.history.is_empty()
    }

    /// Makes the annotations a mapping, if nothing is there.
    pub(crate) fn make_annotations(&mut self) {
        entry_mapping(self.metadata_mut(), "annotations");
    }

    /// An error about this object and another of its identity.
    pub(crate) fn conflict(&self, message: String) -> Error {
        Error::new(&self.file, Why::Conflict(message)).at_line(self.line)
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_gone(&self) -> bool {
        self.node.map().is_none_or(|map| map.is_empty())
    }

    /// Whether the object is for tools only and not for the cluster.
    pub(crate) fn is_local(&self) -> bool {
        let value = self.metadata_text("annotations", "config.kubernetes.io/local-config");
        value.is_some_and(|v| v != "false")
    }

    /// The object as it is handed out: annotations are text, kustomize's own are gone but for those that were asked for.
    /// It is a mapping that JSON can hold.
    pub(crate) fn settled(mut self, session: &Session<'_>) -> Result<Node, Error> {
        let metadata = session.metadata;
        self.set_texts("annotations", &INTERNAL);
        let origin = self.origin.take().filter(|_| metadata.origins);
        let transformations = std::mem::take(&mut self.transformations);
        let listed = metadata.transformers && !transformations.is_empty();
        let listed = listed.then(|| origin::listed(&transformations));
        for (key, text) in [(ORIGIN, origin), (TRANSFORMATIONS, listed)] {
            if let Some(text) = text {
                let annotations = entry_mapping(self.metadata_mut(), "annotations");
                annotations.insert(key.to_owned(), Node::string(text));
            }
        }
        if self.node.map().is_none() {
            return Err(Error::invalid(&self.file, "an object must be a mapping"));
        }
        let printable = self.node.printable();
        printable.map_err(|why| {
            let error = self.unprintable(&why);
            let line = session.line_of(&self.file, self.line, &why.field);
            match line.filter(|_| self.doubt.is_none()) {
                Some(line) => error.at_line(line),
                None => error,
            }
        })?;
        Ok(self.node)
    }
}

/// The mapping in field `key`, made if something else or nothing is there.
pub(crate) fn field_mapping<'a>(node: &'a mut Node, key: &str) -> &'a mut Mapping {
    entry_mapping(as_mapping(node), key)
}

fn entry_mapping<'a>(map: &'a mut Mapping, key: &str) -> &'a mut Mapping {
    as_mapping(map.get_or_insert_with(key, Node::null))
}

fn as_mapping(node: &mut Node) -> &mut Mapping {
    if !matches!(node, Node::Map(_)) {
        *node = Node::empty_mapping();
    }
    node.map_mut().expect("because it was just made a mapping")
}

/// What makes a node no object of Kubernetes, or nothing.
pub(crate) fn why_no_object(node: &Node) -> Option<&'static str> {
    let Some(map) = node.map() else {
        return Some(
            "is no Kubernetes object: a mapping with apiVersion, kind and metadata is needed",
        );
    };
    let text = |key: &str| map.get(key).map_or("", Node::text);
    if text("kind").is_empty() {
        return Some("is no Kubernetes object: kind is missing");
    }
    if text("kind").ends_with("List")
        || !node
            .at(&["metadata", "name"])
            .map_or("", Node::text)
            .is_empty()
    {
        return None;
    }
    Some(match node.at(&["metadata", "generateName"]) {
        Some(_) => {
            "metadata.name is missing: generateName is for objects that are created once, not applied"
        }
        None => "metadata.name is missing",
    })
}

/// The first two resources of one identity: who they are, and where both were written.
pub(crate) fn first_conflict<'a>(
    resources: impl IntoIterator<Item = &'a Resource>,
) -> Option<(&'a Resource, String)> {
    let mut seen = BTreeMap::new();
    resources.into_iter().find_map(|resource| {
        let first = seen.insert(resource.key(), resource)?;
        Some((resource, twice(first, resource)))
    })
}

/// Who is there twice, and where both were written.
pub(crate) fn twice(first: &Resource, second: &Resource) -> String {
    let (id, one, other) = (second.id(), first.whereabouts(), second.whereabouts());
    match one == other {
        true => format!("{id} is there twice, both from {one}"),
        false => format!("{id} is there twice, from {one} and from {other}"),
    }
}

/// Sets the text of a field. See [`Scalar::set_bare`].
pub(crate) fn set_field(map: &mut Mapping, key: &str, text: &str) {
    set_text(map.get_or_insert_with(key, Node::null), text.to_owned());
}

/// Sets the text of a scalar. See [`Scalar::set_bare`].
pub(crate) fn set_text(node: &mut Node, text: String) {
    let mut scalar = match node {
        Node::Scalar(old) => std::mem::take(old),
        Node::Map(_) | Node::Seq(_) => Scalar::default(),
    };
    scalar.set_bare(text);
    *node = Node::Scalar(scalar);
}
