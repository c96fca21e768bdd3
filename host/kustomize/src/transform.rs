//! What a kustomization does to its resources, in kustomize's order.
//!
//! One file a transformer; patches are in `patch.rs`. Name references are not followed here but once at the end, in
//! `reference.rs`.

pub(crate) mod image;
pub(crate) mod label;
pub(crate) mod name;
pub(crate) mod namespace;
pub(crate) mod replacement;
pub(crate) mod replica;
pub(crate) mod value;

use crate::config::Config;
use crate::error::Error;
use crate::file::Kustomization;
use crate::origin::note;
use crate::patch::Names;
use crate::resource::Resource;
use crate::session::Session;
use crate::{patch, path};
use name::End;
use namespace::Move;

/// Applies everything that `kustomization` says to `resources`, in the fields of `config`.
pub(crate) fn transform(
    session: &Session<'_>,
    kustomization: &Kustomization,
    config: &Config,
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    let file = kustomization.file.as_str();
    let dir = path::parent(file);
    if !kustomization.merges.is_empty() {
        patch::apply_merges(session, dir, &kustomization.merges, resources)?;
        note(session, file, "PatchStrategicMergeTransformer", resources)?;
    }
    let mut names = Names::default();
    for one in &kustomization.patches {
        patch::apply(session, dir, one, &mut names, resources)?;
        note(session, file, "PatchTransformer", resources)?;
    }
    patch::sweep(resources);
    rename(session, kustomization, config, resources)?;
    label_all(session, kustomization, config, resources)?;
    let mut names = Names::default();
    for one in &kustomization.operations {
        patch::apply_operations(session, dir, one, &mut names, resources)?;
        note(session, file, "PatchJson6902Transformer", resources)?;
    }
    for replica in &kustomization.replicas {
        replica::apply(session, replica, &config.replicas, resources)?;
        note(session, file, "ReplicaCountTransformer", resources)?;
    }
    for image in &kustomization.images {
        image::apply(session, image, &config.images, resources)?;
        note(session, file, "ImageTagTransformer", resources)?;
    }
    if !kustomization.replacements.is_empty() {
        replacement::apply(session, dir, &kustomization.replacements, resources)?;
        note(session, file, "ReplacementTransformer", resources)?;
    }
    Ok(())
}

/// `namespace`, `namePrefix` and `nameSuffix`.
fn rename(
    session: &Session<'_>,
    kustomization: &Kustomization,
    config: &Config,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let file = kustomization.file.as_str();
    let to = Move {
        namespace: kustomization.namespace.clone(),
        ..Move::default()
    };
    if !to.namespace.text.is_empty() {
        namespace::apply(session, &to, &config.namespace, resources)?;
        note(session, file, "NamespaceTransformer", resources)?;
    }
    let (prefix, suffix) = (&kustomization.name_prefix, &kustomization.name_suffix);
    if !prefix.text.is_empty() {
        name::apply(session, prefix, End::Front, &config.name_prefix, resources)?;
        note(session, file, "PrefixTransformer", resources)?;
    }
    if !suffix.text.is_empty() {
        name::apply(session, suffix, End::Back, &config.name_suffix, resources)?;
        note(session, file, "SuffixTransformer", resources)?;
    }
    Ok(())
}

/// `labels`, `commonLabels` and `commonAnnotations`.
fn label_all(
    session: &Session<'_>,
    kustomization: &Kustomization,
    config: &Config,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let file = kustomization.file.as_str();
    let common = &kustomization.common_labels;
    for labels in &kustomization.labels {
        label::apply_labels(session, config, labels, resources)?;
        note(session, file, "LabelTransformer", resources)?;
    }
    if !kustomization.labels.is_empty() || !common.pairs.is_empty() {
        label::add(session, common, &config.common_labels, resources)?;
        note(session, file, "LabelTransformer", resources)?;
    }
    let annotations = &kustomization.common_annotations;
    if !annotations.pairs.is_empty() {
        label::add(session, annotations, &config.common_annotations, resources)?;
        note(session, file, "AnnotationsTransformer", resources)?;
    }
    Ok(())
}
