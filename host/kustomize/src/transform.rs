//! What a kustomization does to its resources, in kustomize's order.
//!
//! One file a transformer; patches are in `patch.rs`. Name references are not followed here but once at the end, in
//! `reference.rs`.

mod image;
mod label;
mod name;
mod namespace;

use crate::error::Error;
use crate::file::Kustomization;
use crate::patch;
use crate::resource::Resource;
use crate::session::Session;

/// Applies everything that `kustomization` says to `resources`.
pub(crate) fn transform(
    session: &Session<'_>,
    kustomization: &Kustomization,
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    for one in &kustomization.patches {
        patch::apply(session, kustomization, one, resources)?;
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
