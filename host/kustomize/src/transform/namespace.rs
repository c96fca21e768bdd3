//! `namespace`: every object that lives in a namespace moves into this one.
//!
//! Objects of kinds that are certainly cluster-scoped keep out; the subject `default` of a role binding, the name of a
//! Namespace and the services that APIServices and CRDs name move too.

use crate::error::{Error, Why};
use crate::fieldspec::{FieldSpec, Make};
use crate::file::Entry;
use crate::resource::{Resource, field_mapping, first_conflict};
use crate::session::Session;
use crate::yaml::{Mapping, Node, text_cost};

/// Which subjects of a role binding move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Subjects {
    /// Those with the name `default`.
    #[default]
    Default,
    ServiceAccounts,
    None,
}

/// How to move.
#[derive(Clone, Debug, Default)]
pub(crate) struct Move {
    pub(crate) namespace: Entry,
    /// Whether a field that holds something already is left alone.
    pub(crate) unset_only: bool,
    pub(crate) subjects: Subjects,
}

/// Moves `resources` into the namespace.
pub(crate) fn apply(
    session: &Session<'_>,
    to: &Move,
    fields: &[FieldSpec],
    resources: &mut [Resource],
) -> Result<(), Error> {
    if to.namespace.text.is_empty() {
        return Ok(());
    }
    let place = &to.namespace.place;
    let (count, text) = (resources.len() as u64, text_cost(&to.namespace.text));
    let charge = session.budget.nodes(count * 2 * text);
    let charge = charge.and_then(|()| session.budget.steps(count * (1 + fields.len() as u64)));
    charge.map_err(|why| Error::in_place(place, why))?;
    for resource in resources.iter_mut() {
        resource.store_previous();
        move_one(session, to, fields, resource).map_err(|why| resource.error(&why))?;
    }
    first_conflict(&*resources).map_or(Ok(()), |(_, twice)| {
        let message = format!("in the namespace, {twice}");
        Err(Error::in_place(place, Why::Conflict(message)))
    })
}

/// Moves one object, whatever it is called elsewhere then.
pub(crate) fn move_one(
    session: &Session<'_>,
    to: &Move,
    fields: &[FieldSpec],
    resource: &mut Resource,
) -> Result<(), String> {
    if !resource.is_cluster_scoped() {
        let metadata = field_mapping(&mut resource.node, "metadata");
        to.set_field(metadata)
            .map_err(|why| format!("metadata.namespace: {why}"))?;
    }
    let binding = is_binding(resource.kind());
    if binding {
        to.set_subjects(&mut resource.node)?;
    }
    let is_v1 = resource.api_version() == "v1";
    let meant = |spec: &FieldSpec| match &*spec.path {
        "metadata/namespace" => false,
        // The name of a Namespace, but not that of another group's kind of that name.
        "metadata/name" => is_v1,
        "subjects/namespace" => !(binding && is_binding(&spec.gvk.kind)),
        _ => true,
    };
    for spec in fields.iter().filter(|spec| meant(spec)) {
        let mut set = |node: &mut Node| to.set(node);
        spec.apply(resource, Some(Make::Text), &session.budget, &mut set)?;
    }
    Ok(())
}

fn is_binding(kind: &str) -> bool {
    matches!(kind, "RoleBinding" | "ClusterRoleBinding")
}

impl Move {
    fn set_subjects(&self, node: &mut Node) -> Result<(), String> {
        let (key, moved) = match self.subjects {
            Subjects::Default => ("name", "default"),
            Subjects::ServiceAccounts => ("kind", "ServiceAccount"),
            Subjects::None => return Ok(()),
        };
        match node.get_mut("subjects") {
            None => Ok(()),
            Some(Node::Seq(subjects)) => subjects.iter_mut().try_for_each(|subject| {
                let kind = subject.kind_name();
                let Some(subject) = subject.map_mut() else {
                    return Err(format!("a subject must be a mapping, not {kind}"));
                };
                match subject.get(key) {
                    Some(Node::Scalar(scalar)) if scalar.text == moved => self.set_field(subject),
                    Some(Node::Scalar(_)) | None => Ok(()),
                    Some(other) => {
                        let is = other.kind_name();
                        Err(format!("the {key} of a subject must be a string, not {is}"))
                    }
                }
            }),
            Some(other) if other.is_null() => Ok(()),
            Some(other) => Err(format!(
                "subjects must be a list, not {}",
                other.kind_name()
            )),
        }
    }

    fn set_field(&self, map: &mut Mapping) -> Result<(), String> {
        let field = map.get_or_insert_with("namespace", || Node::string(""));
        self.set(field)
    }

    fn set(&self, node: &mut Node) -> Result<(), String> {
        if !node.is_scalar() {
            return Err(format!("must be a string, not {}", node.kind_name()));
        }
        if !self.unset_only || node.text().is_empty() {
            *node = Node::set(self.namespace.text.as_str());
        }
        Ok(())
    }
}
