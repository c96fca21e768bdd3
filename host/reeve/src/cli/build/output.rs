//! Where what was built goes: the terminal, a file, or a directory with a file an object.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reeve_kustomize::{Object, to_yaml};

use crate::cli::ui::{CommandError, Ui};

pub(super) fn write(
    objects: &[Object],
    path: Option<&Path>,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let Some(directory) = path.filter(|path| path.is_dir()) else {
        return put(to_yaml(objects), path, ui);
    };
    let namespaces: BTreeSet<String> = objects.iter().filter_map(namespace).collect();
    for object in objects {
        let mut name = file_name(object);
        if let Some(namespace) = namespace(object).filter(|_| namespaces.len() > 1) {
            name = format!("{}_{name}", namespace.to_lowercase());
        }
        let text = to_yaml(std::slice::from_ref(object));
        put(text, Some(&directory.join(name)), ui)?;
    }
    Ok(())
}

/// A text to a file, or to the terminal.
pub(super) fn put(text: String, path: Option<&Path>, ui: &mut Ui) -> Result<(), CommandError> {
    let Some(path) = path else {
        return ui.data(text.as_bytes());
    };
    fs::write(path, text)
        .map_err(|why| CommandError::of(&format!("writing {} failed", path.display()), &why))
}

/// The namespace an object is in; none for what lives in none.
fn namespace(object: &Object) -> Option<String> {
    if object.is_cluster_scoped() {
        return None;
    }
    let namespace = object.id().namespace;
    Some(if namespace.is_empty() {
        "default".to_owned()
    } else {
        namespace
    })
}

/// `apps_v1_deployment_web.yaml`. What a name may not hold in a file's name cannot lead elsewhere.
fn file_name(object: &Object) -> String {
    let id = object.id();
    let parts = [&id.group, &id.version, &id.kind, &id.name];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    let name = parts.map(|part| part.to_lowercase()).collect::<Vec<_>>();
    format!("{}.yaml", name.join("_")).replace(['/', '\\'], "_")
}
