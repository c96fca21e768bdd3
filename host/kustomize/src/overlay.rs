//! What a caller lays over a kustomization, merged as Flux merges a Kustomization's spec into the file.
//!
//! `namespace`, prefix and suffix replace, patches of all kinds and components are appended, build metadata is added, images
//! of the same name are merged: the new name on its own, tag and digest as one.

use crate::error::Error;
use crate::file::{Entry, Image, Kustomization, Patch};
use crate::options::{Overlay, OverlayImage, OverlayPatch};
use crate::path::overlay_place;

/// Lays `overlay` over `kustomization`; `is_there` says whether a component can be found.
pub(crate) fn lay(
    overlay: &Overlay,
    kustomization: &mut Kustomization,
    is_there: impl Fn(&Entry) -> bool,
) -> Result<(), Error> {
    let replace = |entry: &mut Entry, text: &Option<String>, field: &str| {
        if let Some(text) = text {
            *entry = Entry {
                text: text.clone(),
                place: overlay_place(field.to_owned()),
            };
        }
    };
    replace(
        &mut kustomization.namespace,
        &overlay.namespace,
        "targetNamespace",
    );
    replace(
        &mut kustomization.name_prefix,
        &overlay.name_prefix,
        "namePrefix",
    );
    replace(
        &mut kustomization.name_suffix,
        &overlay.name_suffix,
        "nameSuffix",
    );
    lay_merges(overlay, &mut kustomization.merges);
    lay_patches("patches", &overlay.patches, &mut kustomization.patches)?;
    lay_patches(
        "patchesJson6902",
        &overlay.operations,
        &mut kustomization.operations,
    )?;
    lay_images(overlay, &mut kustomization.images);
    let component = |(index, path): (usize, &String)| Entry {
        text: path.clone(),
        place: overlay_place(format!("components[{index}]")),
    };
    let components = overlay.components.iter().enumerate().map(component);
    let wanted = |component: &Entry| !overlay.ignore_missing_components || is_there(component);
    kustomization.components.extend(components.filter(wanted));
    let metadata = &mut kustomization.metadata;
    metadata.tracked |= overlay.origins || overlay.transformers;
    metadata.origins |= overlay.origins;
    metadata.transformers |= overlay.transformers;
    Ok(())
}

fn lay_merges(overlay: &Overlay, merges: &mut Vec<Entry>) {
    let merge = |(index, patch): (usize, &String)| Entry {
        text: patch.clone(),
        place: overlay_place(format!("patchesStrategicMerge[{index}]")),
    };
    merges.extend(overlay.merges.iter().enumerate().map(merge));
}

fn lay_patches(field: &str, laid: &[OverlayPatch], patches: &mut Vec<Patch>) -> Result<(), Error> {
    for (index, patch) in laid.iter().enumerate() {
        let place = overlay_place(format!("{field}[{index}]"));
        let inline = patch.patch.trim().to_owned();
        if inline.is_empty() {
            return Err(Error::invalid_at(&place, "the patch is empty"));
        }
        let target = patch.target.clone();
        patches.push(Patch {
            inline,
            target,
            place,
            ..Patch::default()
        });
    }
    Ok(())
}

fn lay_images(overlay: &Overlay, images: &mut Vec<Image>) {
    for (index, image) in overlay.images.iter().enumerate() {
        let place = overlay_place(format!("images[{index}]"));
        match images.iter_mut().find(|old| old.set.name == image.name) {
            Some(old) => merge_image(&mut old.set, image),
            None => images.push(Image {
                set: image.clone(),
                place,
                ..Image::default()
            }),
        }
    }
}

fn merge_image(old: &mut OverlayImage, new: &OverlayImage) {
    if !new.new_name.is_empty() {
        old.new_name.clone_from(&new.new_name);
    }
    if !new.new_tag.is_empty() || !new.digest.is_empty() {
        old.new_tag.clone_from(&new.new_tag);
        old.digest.clone_from(&new.digest);
    }
}
