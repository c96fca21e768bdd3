//! Who refers to a renamed object learns its new name.
//!
//! Once, at the end of a build, over everything: for each field that is known to hold the name of a kind, the object is
//! looked for that once had this name, and among namesakes the one that went the same way of prefixes and suffixes.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::config::{Config, References};
use crate::error::Error;
use crate::fieldspec::{FieldSpec, Gvk};
use crate::resource::{History, Resource, set_field, set_text};
use crate::session::Session;
use crate::yaml::{Node, Tag};

/// Rewrites the references in `resources`, in the fields of `config`.
pub(crate) fn follow(
    session: &Session<'_>,
    config: &Config,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let known = Known::new(resources);
    let fields = Fields::of(config);
    for index in 0..resources.len() {
        let Some(resource) = resources.get(index) else {
            continue;
        };
        let Some(me) = known.candidates.get(index) else {
            continue;
        };
        let referrer = Referrer::new(resource, me);
        let (of_kind, of_all) = fields.of_kind(&referrer.original_kind);
        let charge = session
            .budget
            .steps(LOOKING * (of_kind.len() + of_all.len()) as u64);
        charge.map_err(|why| resource.error(&why.to_string()))?;
        let both = merged(of_kind, of_all);
        for (_, references, spec) in both.filter(|(_, _, spec)| referrer.is_meant(spec)) {
            let Some(resource) = resources.get_mut(index) else {
                continue;
            };
            if referrer.blank_namespace {
                let why = "namespace must be text: fill it in or leave it out";
                return Err(resource.error(&format!("subjects: {why}")));
            }
            let finder = Finder {
                known: &known,
                referrer: &referrer,
                references,
                spec,
                session,
            };
            spec.visit(resource, &session.budget, &mut |node| finder.set(node))
                .map_err(|why| resource.error(&why))?;
        }
    }
    Ok(())
}

/// What looking for one field in one object counts.
const LOOKING: u64 = 16;

/// One field that names objects, and its place among all.
type Named<'a> = (usize, &'a References, &'a FieldSpec);

/// All fields that name objects, by the kind whose field each is: an object has those of its kind and those of all kinds.
struct Fields<'a>(BTreeMap<&'a str, Vec<Named<'a>>>);

impl<'a> Fields<'a> {
    fn of(config: &'a Config) -> Self {
        let mut by_kind: BTreeMap<&str, Vec<Named<'a>>> = BTreeMap::new();
        let pairs = config.references.iter();
        let pairs = pairs.flat_map(|of| of.fields.iter().map(move |spec| (&**of, spec)));
        for (at, (references, spec)) in pairs.enumerate() {
            let kind = by_kind.entry(&spec.gvk.kind).or_default();
            kind.push((at, references, spec));
        }
        Self(by_kind)
    }

    /// The fields of this kind, and those of all.
    fn of_kind(&self, kind: &str) -> (&[Named<'a>], &[Named<'a>]) {
        let of = |kind: &str| self.0.get(kind).map_or(&[][..], Vec::as_slice);
        match kind {
            "" => (&[], of("")),
            kind => (of(kind), of("")),
        }
    }
}

/// Two lists in order as one.
fn merged<'f, 'a>(one: &'f [Named<'a>], other: &'f [Named<'a>]) -> impl Iterator<Item = Named<'a>> {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    std::iter::from_fn(move || {
        let first = match (one.peek(), other.peek()) {
            (Some((a, ..)), Some((b, ..))) => a < b,
            (first, _) => first.is_some(),
        };
        if first { one.next() } else { other.next() }.copied()
    })
}

/// What is asked of an object that may be referred to.
struct Candidate {
    group: String,
    version: String,
    kind: String,
    name: String,
    /// The namespace that is written, maybe empty.
    namespace: String,
    effective_namespace: String,
    original_namespace: String,
    cluster_scoped: bool,
    history: Rc<History>,
}

/// All objects, and by each earlier name those that had it.
struct Known {
    candidates: Vec<Candidate>,
    by_name: BTreeMap<Rc<str>, Vec<usize>>,
}

impl Known {
    fn new(resources: &[Resource]) -> Self {
        let mut by_name: BTreeMap<Rc<str>, Vec<usize>> = BTreeMap::new();
        for (index, resource) in resources.iter().enumerate() {
            for previous in resource.previous() {
                let named = by_name.entry(previous.name.clone()).or_default();
                if named.last() != Some(&index) {
                    named.push(index);
                }
            }
        }
        Self {
            candidates: resources.iter().map(Candidate::new).collect(),
            by_name,
        }
    }
}

impl Candidate {
    fn new(resource: &Resource) -> Self {
        Self {
            group: resource.group().to_owned(),
            version: resource.version().to_owned(),
            kind: resource.kind().to_owned(),
            name: resource.name().to_owned(),
            namespace: resource.namespace().to_owned(),
            effective_namespace: resource.effective_namespace().to_owned(),
            original_namespace: resource.original_namespace().to_owned(),
            cluster_scoped: resource.is_cluster_scoped(),
            history: resource.history.clone(),
        }
    }

    fn was_of(&self, gvk: &Gvk) -> bool {
        self.history
            .previous
            .iter()
            .any(|p| gvk.selects(&self.group, &self.version, &p.kind))
    }
}

/// The object that refers.
struct Referrer<'a> {
    me: &'a Candidate,
    original_kind: String,
    /// The namespaces of the ServiceAccounts that a RoleBinding names.
    subject_namespaces: Vec<String>,
    /// Whether one of those namespaces is there and no text.
    blank_namespace: bool,
    /// Group and kind of `roleRef`.
    role: Option<Gvk>,
}

impl<'a> Referrer<'a> {
    fn new(resource: &Resource, me: &'a Candidate) -> Self {
        let text = |node: &Node, key: &str| node.get(key).map_or("", Node::text).to_owned();
        let mut subject_namespaces = Vec::new();
        let mut blank_namespace = false;
        if resource.kind() == "RoleBinding" {
            let subjects = resource.node.get("subjects").and_then(Node::seq);
            for subject in subjects.into_iter().flatten() {
                if text(subject, "kind") != "ServiceAccount" {
                    continue;
                }
                match subject.get("namespace") {
                    Some(Node::Scalar(namespace)) if namespace.printed() == Tag::Str => {
                        subject_namespaces.push(namespace.text.clone());
                    }
                    Some(_) => blank_namespace = true,
                    None => {}
                }
            }
        }
        let role = resource.node.get("roleRef").and_then(|role| {
            let named = role.get("apiGroup").is_some() && role.get("kind").is_some();
            named.then(|| Gvk::new(text(role, "apiGroup"), "", text(role, "kind")))
        });
        let original_kind = resource.original_kind().to_owned();
        Self {
            me,
            original_kind,
            subject_namespaces,
            blank_namespace,
            role,
        }
    }

    fn is_meant(&self, spec: &FieldSpec) -> bool {
        spec.gvk
            .selects(&self.me.group, &self.me.version, &self.original_kind)
    }

    /// Whether `other` is where this object may refer to at all.
    fn reaches(&self, other: &Candidate) -> bool {
        self.me.cluster_scoped
            || other.cluster_scoped
            || other.effective_namespace == self.me.effective_namespace
            || self.subject_namespaces.contains(&other.namespace)
    }

    fn same_namespace(&self, other: &Candidate) -> bool {
        self.me.cluster_scoped
            || other.cluster_scoped
            || other.kind == "ServiceAccount"
            || other.effective_namespace == self.me.effective_namespace
    }
}

/// One field of one referrer.
struct Finder<'a> {
    known: &'a Known,
    referrer: &'a Referrer<'a>,
    references: &'a References,
    spec: &'a FieldSpec,
    session: &'a Session<'a>,
}

impl<'a> Finder<'a> {
    fn set(&self, node: &mut Node) -> Result<(), String> {
        match node {
            _ if node.is_null() => Ok(()),
            Node::Scalar(_) => self.set_name(node),
            Node::Map(_) => self.set_mapping(node),
            Node::Seq(items) => items
                .iter_mut()
                .filter(|item| !item.is_null())
                .try_for_each(|item| match item {
                    Node::Scalar(_) => self.set_name(item),
                    Node::Map(_) => self.set_mapping(item),
                    Node::Seq(_) => Err("a list in a list cannot name an object".to_owned()),
                }),
        }
    }

    /// A field that holds a name only.
    fn set_name(&self, node: &mut Node) -> Result<(), String> {
        let same_name = |a: &Candidate, b: &Candidate| a.name == b.name;
        let Some(found) = self.find(node.raw_text(), |_| true, same_name)? else {
            return Ok(());
        };
        if found.name != node.raw_text() {
            self.charge(&found.name)?;
            set_text(node, found.name.clone());
        }
        Ok(())
    }

    /// A field that holds a name and maybe a namespace.
    fn set_mapping(&self, node: &mut Node) -> Result<(), String> {
        let Some(name) = node.get("name") else {
            return Err("name is missing".to_owned());
        };
        let name = name.raw_text().to_owned();
        let namespace = node.get("namespace").map(|n| n.raw_text().to_owned());
        let original = match &namespace {
            Some(namespace) => self.some_was_in(namespace)?,
            None => false,
        };
        let in_namespace = |candidate: &Candidate| match &namespace {
            None => true,
            Some(wanted) if original => candidate.original_namespace == *wanted,
            Some(wanted) => !candidate.cluster_scoped && candidate.effective_namespace == *wanted,
        };
        let same = |a: &Candidate, b: &Candidate| a.name == b.name && a.namespace == b.namespace;
        let Some(found) = self.find(&name, in_namespace, same)? else {
            return Ok(());
        };
        if found.name == name && found.namespace.is_empty() {
            return Ok(());
        }
        let Some(map) = node.map_mut() else {
            return Ok(());
        };
        self.charge(&found.name)?;
        self.charge(&found.namespace)?;
        set_field(map, "name", &found.name);
        if !found.namespace.is_empty() {
            set_field(map, "namespace", &found.namespace);
        }
        Ok(())
    }

    fn charge(&self, text: &str) -> Result<(), String> {
        self.session
            .budget
            .text(text)
            .map_err(|why| why.to_string())
    }

    /// Whether any object within reach was first in this namespace.
    fn some_was_in(&self, namespace: &str) -> Result<bool, String> {
        let all = &self.known.candidates;
        self.session
            .budget
            .steps(all.len() as u64)
            .map_err(|why| why.to_string())?;
        let first_in = |c: &&Candidate| c.original_namespace == namespace && !c.cluster_scoped;
        Ok(all
            .iter()
            .filter(first_in)
            .any(|candidate| self.referrer.reaches(candidate)))
    }

    /// The object that had this name, if it is certain which.
    fn find(
        &self,
        name: &str,
        wanted: impl Fn(&Candidate) -> bool,
        same: impl Fn(&Candidate, &Candidate) -> bool,
    ) -> Result<Option<&'a Candidate>, String> {
        let Some(named) = self.known.by_name.get(name) else {
            return Ok(None);
        };
        self.session
            .budget
            .steps(named.len() as u64)
            .map_err(|why| why.to_string())?;
        let role = self
            .referrer
            .role
            .as_ref()
            .filter(|_| self.spec.path.ends_with("roleRef/name"));
        let mut found: Vec<&Candidate> = named
            .iter()
            .filter_map(|index| self.known.candidates.get(*index))
            .filter(|candidate| {
                self.referrer.reaches(candidate)
                    && wanted(candidate)
                    && candidate.was_of(&self.references.target)
                    && role.is_none_or(|role| candidate.was_of(role))
                    && self.referrer.same_namespace(candidate)
            })
            .collect();
        if found.len() > 1 {
            found.retain(|candidate| same_way(candidate, self.referrer.me, true));
        }
        if found.len() > 1 {
            found.retain(|candidate| same_way(candidate, self.referrer.me, false));
        }
        let Some((first, others)) = found.split_first() else {
            return Ok(None);
        };
        if others.iter().all(|other| same(first, other)) {
            return Ok(Some(first));
        }
        let names: Vec<&str> = found.iter().map(|c| c.name.as_str()).collect();
        Err(format!("{name} could be any of {}", names.join(", ")))
    }
}

/// Whether two objects got the same prefixes and suffixes last. Where `allow_none`, one without any fits all.
fn same_way(a: &Candidate, b: &Candidate, allow_none: bool) -> bool {
    let same = |a: &[String], b: &[String]| {
        if a.is_empty() || b.is_empty() {
            return allow_none || a.len() == b.len();
        }
        a.iter().rev().zip(b.iter().rev()).all(|(x, y)| x == y)
    };
    let (a, b) = (&a.history, &b.history);
    same(&a.prefixes, &b.prefixes) && same(&a.suffixes, &b.suffixes)
}
