//! What a Kustomization's spec lays over the kustomization.yaml of its directory.
//!
//! It deliberately doesn't merge: the engine does that, as Flux does it.

use reeve_api::kustomization::{self, BuildMetadataOption, KustomizationSpec};
use reeve_kustomize::{Overlay, OverlayImage, OverlayPatch};
use serde_json::Value;

use super::Error;
use crate::ignore::selector;

/// What the engine is to lay over the file.
pub(super) fn of(spec: &KustomizationSpec) -> Result<Overlay, Error> {
    let patches = spec.patches.iter().map(|patch| OverlayPatch {
        patch: patch.patch.clone(),
        target: patch.target.as_ref().map(selector),
    });
    let images = spec.images.iter().map(|image| OverlayImage {
        name: image.name.clone(),
        new_name: image.new_name.clone().unwrap_or_default(),
        new_tag: image.new_tag.clone().unwrap_or_default(),
        digest: image.digest.clone().unwrap_or_default(),
    });
    let merges = spec.patches_strategic_merge.iter().map(Value::to_string);
    let operations = spec.patches_json_6902.iter().map(operations);
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Ok(Overlay {
        namespace: filled(&spec.target_namespace),
        name_prefix: filled(&spec.name_prefix),
        name_suffix: filled(&spec.name_suffix),
        patches: patches.collect(),
        images: images.collect(),
        merges: merges.collect(),
        operations: operations.collect::<Result<_, _>>()?,
        components: components(&spec.components)?,
        ignore_missing_components: spec.ignore_missing_components,
        origins: asks(spec, BuildMetadataOption::OriginAnnotations),
        transformers: asks(spec, BuildMetadataOption::TransformerAnnotations),
    })
}

fn asks(spec: &KustomizationSpec, option: BuildMetadataOption) -> bool {
    spec.build_metadata.contains(&option)
}

/// As Flux: a component of the same source, by its path from `spec.path`.
fn components(paths: &[String]) -> Result<Vec<String>, Error> {
    let remote = |path: &&String| {
        path.starts_with('/') || path.contains("://") || path.contains('@') || path.contains('?')
    };
    match paths.iter().find(remote) {
        Some(path) => Err(Error::invalid(
            "spec.components",
            format_args!("{path:?} is no relative path in the source"),
        )),
        None => Ok(paths.to_vec()),
    }
}

/// One entry of `patchesJson6902`, which has its operations as a list.
fn operations(patch: &Value) -> Result<OverlayPatch, Error> {
    let field = "spec.patchesJson6902";
    let Some(operations @ Value::Array(_)) = patch.get("patch") else {
        return Err(Error::invalid(field, "patch is no list of operations"));
    };
    let target = patch.get("target").cloned().unwrap_or_default();
    let target: kustomization::Selector = serde_json::from_value(target)
        .map_err(|why| Error::invalid(field, format_args!("target: {why}")))?;
    Ok(OverlayPatch {
        patch: operations.to_string(),
        target: Some(selector(&target)),
    })
}
