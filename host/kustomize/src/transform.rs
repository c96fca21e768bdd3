//! What a kustomization does to its resources, in kustomize's order.
//!
//! One file a transformer; patches are in `patch.rs`. Name references are not followed here but once at the end, in
//! `reference.rs`.

mod image;
pub(crate) mod label;
mod name;
mod namespace;
mod replica;

use crate::error::Error;
use crate::file::{Entry, Kustomization};
use crate::origin::note;
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
    let file = kustomization.file.as_str();
    if !kustomization.merges.is_empty() {
        patch::apply_merges(session, kustomization, resources)?;
        note(session, file, "PatchStrategicMergeTransformer", resources)?;
    }
    for one in &kustomization.patches {
        patch::apply(session, kustomization, one, resources)?;
        note(session, file, "PatchTransformer", resources)?;
    }
    rename(session, kustomization, resources)?;
    label_all(session, kustomization, resources)?;
    for one in &kustomization.operations {
        patch::apply_operations(session, kustomization, one, resources)?;
        note(session, file, "PatchJson6902Transformer", resources)?;
    }
    for replica in &kustomization.replicas {
        replica::apply(session, replica, resources)?;
        note(session, file, "ReplicaCountTransformer", resources)?;
    }
    for image in &kustomization.images {
        image::apply(session, image, resources)?;
        note(session, file, "ImageTagTransformer", resources)?;
    }
    Ok(())
}

/// `namespace`, `namePrefix` and `nameSuffix`.
fn rename(
    session: &Session<'_>,
    kustomization: &Kustomization,
    resources: &mut [Resource],
) -> Result<(), Error> {
    type Rename = fn(&Entry, &mut [Resource]) -> Result<(), Error>;
    let all: [(&Entry, Rename, &str); 3] = [
        (
            &kustomization.namespace,
            namespace::apply,
            "NamespaceTransformer",
        ),
        (
            &kustomization.name_prefix,
            name::prefix,
            "PrefixTransformer",
        ),
        (
            &kustomization.name_suffix,
            name::suffix,
            "SuffixTransformer",
        ),
    ];
    for (entry, apply, kind) in all {
        if !entry.text.is_empty() {
            charge(session, entry, resources)?;
            apply(entry, resources)?;
            note(session, &kustomization.file, kind, resources)?;
        }
    }
    Ok(())
}

/// `labels`, `commonLabels` and `commonAnnotations`.
fn label_all(
    session: &Session<'_>,
    kustomization: &Kustomization,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let file = kustomization.file.as_str();
    let common = &kustomization.common_labels;
    for labels in &kustomization.labels {
        label::apply_labels(session, labels, resources)?;
        note(session, file, "LabelTransformer", resources)?;
    }
    if !kustomization.labels.is_empty() || !common.pairs.is_empty() {
        label::apply_common_labels(session, common, resources)?;
        note(session, file, "LabelTransformer", resources)?;
    }
    let annotations = &kustomization.common_annotations;
    if !annotations.pairs.is_empty() {
        label::apply_common_annotations(session, annotations, resources)?;
        note(session, file, "AnnotationsTransformer", resources)?;
    }
    Ok(())
}

/// Every object gets a copy of the text, and remembers one.
fn charge(session: &Session<'_>, entry: &Entry, resources: &[Resource]) -> Result<(), Error> {
    let names = resources.iter().map(|resource| text_cost(resource.name()));
    let cost = resources.len() as u64 * 2 * text_cost(&entry.text) + names.sum::<u64>();
    session
        .budget
        .nodes(cost)
        .map_err(|why| Error::in_place(&entry.place, why))
}
