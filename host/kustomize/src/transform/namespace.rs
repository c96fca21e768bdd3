//! `namespace`: every object that lives in a namespace moves into this one.
//!
//! Objects of kinds that are certainly cluster-scoped keep out; the subject `default` of a role binding, the name of a
//! Namespace and the services that APIServices and CRDs name move too.

use crate::error::{Error, Place, Why};
use crate::fieldspec::{Defaults, FieldSpec, Make};
use crate::file::Entry;
use crate::resource::{Resource, field_mapping, first_conflict, set_text};
use crate::yaml::{Mapping, Node};

/// Moves `resources` into the namespace.
pub(crate) fn apply(namespace: &Entry, resources: &mut [Resource]) -> Result<(), Error> {
    if namespace.text.is_empty() {
        return Ok(());
    }
    for resource in resources.iter_mut() {
        resource.store_previous();
        move_one(&namespace.text, resource).map_err(|why| resource.error(&why))?;
    }
    first_conflict(&*resources).map_or(Ok(()), |twice| Err(conflict(&namespace.place, twice)))
}

fn conflict(place: &Place, twice: &Resource) -> Error {
    let message = format!("{} is there twice in the namespace", twice.id());
    Error::in_place(place, Why::Conflict(message))
}

fn move_one(namespace: &str, resource: &mut Resource) -> Result<(), String> {
    let mut set = |node: &mut Node| set_scalar(node, namespace);
    if !resource.is_cluster_scoped() {
        let metadata = field_mapping(&mut resource.node, "metadata");
        let field = metadata
            .entry("namespace".to_owned())
            .or_insert_with(|| Node::string(""));
        set(field).map_err(|why| format!("metadata.namespace: {why}"))?;
    }
    if matches!(resource.kind(), "RoleBinding" | "ClusterRoleBinding") {
        set_default_subjects(namespace, &mut resource.node)?;
    }
    let is_v1 = resource.api_version() == "v1";
    let fields = Defaults::get().namespace.iter();
    // The name of a Namespace, but not that of another group's kind of that name.
    let meant = |spec: &&FieldSpec| spec.path != "metadata/name" || is_v1;
    fields
        .filter(meant)
        .try_for_each(|spec| spec.apply(resource, Some(Make::Text), &mut set))
}

fn set_default_subjects(namespace: &str, node: &mut Node) -> Result<(), String> {
    match node.get_mut("subjects") {
        None => Ok(()),
        Some(Node::Seq(subjects)) => {
            for subject in subjects.iter_mut().filter_map(Node::map_mut) {
                if subject
                    .get("name")
                    .is_some_and(|name| name.text() == "default")
                {
                    set_subject(namespace, subject)?;
                }
            }
            Ok(())
        }
        Some(other) if other.is_null() => Ok(()),
        Some(other) => Err(format!(
            "subjects must be a list, not {}",
            other.kind_name()
        )),
    }
}

fn set_subject(namespace: &str, subject: &mut Mapping) -> Result<(), String> {
    let field = subject
        .entry("namespace".to_owned())
        .or_insert_with(|| Node::string(""));
    set_scalar(field, namespace)
}

fn set_scalar(node: &mut Node, text: &str) -> Result<(), String> {
    if !node.is_scalar() {
        return Err(format!("must be a string, not {}", node.kind_name()));
    }
    set_text(node, text.to_owned());
    Ok(())
}
