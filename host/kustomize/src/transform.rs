//! What a kustomization does to its resources, in kustomize's order.
//!
//! One file a transformer; patches are in `patch.rs`. Name references are not followed here but once at the end, in
//! `reference.rs`.

mod image;
mod label;
mod name;
mod namespace;

use crate::error::Error;
use crate::file::{Entry, Kustomization};
use crate::patch;
use crate::resource::Resource;
use crate::session::Session;
use crate::yaml::text_cost;

/// Applies everything that `kustomization` says to `resources`.
pub(crate) fn transform(
    session: &Session<'_>,
    kustomization: &Kustomization,
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    for one in &kustomization.patches {
        patch::apply(session, kustomization, one, resources)?;
    }
    let names = [
        &kustomization.namespace,
        &kustomization.name_prefix,
        &kustomization.name_suffix,
    ];
    for entry in names {
        charge(session, entry, resources)?;
    }
    namespace::apply(&kustomization.namespace, resources)?;
    name::prefix(&kustomization.name_prefix, resources)?;
    name::suffix(&kustomization.name_suffix, resources)?;
    for labels in &kustomization.labels {
        label::apply_labels(session, labels, resources)?;
    }
    label::apply_common_labels(session, &kustomization.common_labels, resources)?;
    label::apply_common_annotations(session, &kustomization.common_annotations, resources)?;
    for image in &kustomization.images {
        image::apply(session, image, resources)?;
    }
    Ok(())
}

/// Every object gets a copy of the text, and remembers one.
fn charge(session: &Session<'_>, entry: &Entry, resources: &[Resource]) -> Result<(), Error> {
    if entry.text.is_empty() {
        return Ok(());
    }
    let names = resources.iter().map(|resource| text_cost(resource.name()));
    let cost = resources.len() as u64 * 2 * text_cost(&entry.text) + names.sum::<u64>();
    session
        .budget
        .nodes(cost)
        .map_err(|why| Error::in_place(&entry.place, why))
}
