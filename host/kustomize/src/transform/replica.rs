//! `replicas`: how many copies of a workload run.

use crate::error::Error;
use crate::fieldspec::{FieldSpec, Make};
use crate::file::Replica;
use crate::resource::Resource;
use crate::session::Session;
use crate::yaml::{Node, Scalar, Tag};

/// Sets the count of the workloads that have, or had, the name.
pub(crate) fn apply(
    session: &Session<'_>,
    replica: &Replica,
    fields: &[FieldSpec],
    resources: &mut [Resource],
) -> Result<(), Error> {
    let steps = resources.len() * (1 + fields.len());
    let charge = session.budget.steps(steps as u64);
    charge.map_err(|why| Error::in_place(&replica.place, why))?;
    let mut found = false;
    for resource in resources {
        for spec in fields {
            if !is_meant(replica, spec, resource) {
                continue;
            }
            found = true;
            let mut set = |node: &mut Node| set(node, replica);
            spec.apply(resource, Some(Make::Text), &session.budget, &mut set)
                .map_err(|why| resource.error(&why))?;
        }
    }
    if found {
        return Ok(());
    }
    let kinds: Vec<&str> = fields.iter().map(|f| &*f.gvk.kind).collect();
    let why = format!(
        "nothing of this name can be scaled: a {} is needed",
        kinds.join(", ")
    );
    Err(Error::invalid_at(&replica.place, why))
}

fn is_meant(replica: &Replica, spec: &FieldSpec, resource: &Resource) -> bool {
    let selects = |kind: &str| spec.gvk.selects(resource.group(), resource.version(), kind);
    resource.name() == replica.name && selects(resource.kind())
        || resource
            .previous()
            .iter()
            .any(|p| *p.name == *replica.name && selects(&p.kind))
}

fn set(node: &mut Node, replica: &Replica) -> Result<(), String> {
    let Node::Scalar(old) = node else {
        return Err(format!("must be a number, not {}", node.kind_name()));
    };
    let count = Scalar::new(Tag::Int, replica.count.to_string());
    *old = count.over(old);
    Ok(())
}
