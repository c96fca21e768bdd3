//! Where what was built goes: the terminal, a file, or a directory with a file an object.
//!
//! Terminal and file are written while the objects are made, a portion at a time.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::slice;

use reeve_kustomize::{Object, Objects, to_yaml};

use crate::cli::ui::{CommandError, Ui};

/// How much text is written at once, in bytes.
const PORTION: usize = 64 << 10;

pub(super) fn write(
    objects: Objects,
    path: Option<&Path>,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let Some(path) = path else {
        return portions(objects, |text| ui.data(text.as_bytes()));
    };
    if path.is_dir() {
        return files(&objects.collect::<Vec<_>>(), path, ui);
    }
    let failed = |why| CommandError::of(&format!("writing {} failed", path.display()), &why);
    let mut file = File::create(path).map_err(failed)?;
    portions(objects, |text| {
        file.write_all(text.as_bytes()).map_err(failed)
    })
}

/// The objects as one text, in portions.
fn portions(
    objects: Objects,
    mut put: impl FnMut(&str) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let mut text = String::new();
    for (index, object) in objects.enumerate() {
        if index > 0 {
            text.push_str("---\n");
        }
        text.push_str(&to_yaml(slice::from_ref(&object)));
        if text.len() >= PORTION {
            put(&text)?;
            text.clear();
        }
    }
    put(&text)
}

fn files(objects: &[Object], directory: &Path, ui: &mut Ui) -> Result<(), CommandError> {
    let namespaces: BTreeSet<String> = objects.iter().filter_map(namespace).collect();
    for object in objects {
        let mut name = file_name(object);
        if let Some(namespace) = namespace(object).filter(|_| namespaces.len() > 1) {
            name = format!("{}_{name}", namespace.to_lowercase());
        }
        let text = to_yaml(slice::from_ref(object));
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
