//! `patchesStrategicMerge` and `patchesJson6902`: the older fields, each for patches of one kind.
//!
//! They are not the same as `patches`: the first takes texts and paths in one list and merges all into objects by name, the
//! second comes after names and labels and leaves no trace of a name that it changes.

use super::{Names, Remember, Source, find_named, merge_plain, operate_selected, read};
use crate::error::{Error, Why};
use crate::file::{Entry, Patch};
use crate::resource::Resource;
use crate::session::Session;

/// Applies `patchesStrategicMerge`.
pub(crate) fn apply_merges(
    session: &Session<'_>,
    dir: &str,
    merges: &[Entry],
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    let mut found = false;
    // All are read before the first is applied.
    let mut loaded = Vec::new();
    for entry in merges {
        let patches = load(session, dir, entry)?;
        found |= !patches.is_empty();
        loaded.push((entry, patches));
    }
    if let (false, Some(first)) = (found, merges.first()) {
        return Err(Error::invalid_at(&first.place, "the patch is empty"));
    }
    let mut names = Names::default();
    for (entry, patches) in loaded {
        for one in patches {
            apply_one(session, entry, one, &mut names, resources)?;
        }
    }
    super::sweep(resources);
    Ok(())
}

fn apply_one(
    session: &Session<'_>,
    entry: &Entry,
    one: Resource,
    names: &mut Names,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let patch = Patch {
        place: entry.place.clone(),
        ..Patch::default()
    };
    let found = find_named(session, &patch, &one, names, resources);
    let place = found.map_err(|e| applied(e, entry))?;
    let Some(resource) = resources.get_mut(place) else {
        return Ok(());
    };
    let before = resource.key();
    merge_plain(session, &patch, one, resource).map_err(|e| applied(e, entry))?;
    names.learn(place, &before, resource);
    Ok(())
}

/// The objects of one entry: of the text itself, or of the file that it names.
fn load(session: &Session<'_>, dir: &str, entry: &Entry) -> Result<Vec<Resource>, Error> {
    if entry.text.contains('\n') || entry.text.contains(": ") || entry.text.starts_with('{') {
        let objects = session.documents(entry.text.as_bytes(), "");
        let objects = objects.and_then(|documents| session.resources(documents, ""));
        return objects.map_err(|error| located(error, entry));
    }
    let file = session.resolve(dir, entry)?;
    let bytes = session.read(&file, &entry.place)?;
    let documents = session.documents(&bytes, &file)?;
    session.resources(documents, &file)
}

/// The error of a patch that cannot be applied.
fn applied(error: Error, entry: &Entry) -> Error {
    if error.place().file.is_empty() {
        located(error, entry)
    } else {
        error.by_way_of(&entry.place)
    }
}

/// The error of a text that is an entry of the list.
fn located(error: Error, entry: &Entry) -> Error {
    if !error.place().file.is_empty() {
        return error;
    }
    let line = error.place().line;
    let inner = line.map_or(String::new(), |line| format!("line {line} of the patch: "));
    Error::in_place(&entry.place, error.why().clone().prefixed(&inner))
}

/// Applies one entry of `patchesJson6902`.
pub(crate) fn apply_operations(
    session: &Session<'_>,
    dir: &str,
    patch: &Patch,
    names: &mut Names,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let (text, file) = read(session, dir, patch)?;
    let documents = session.documents(&text, &file);
    let found = documents.and_then(|found| super::operations(session, &text, &file, &found));
    match found.map_err(|error| super::located(error, patch))? {
        Some(operations) if operations.len() > 0 => {
            let source = Source {
                patch,
                file: &file,
                operations: &operations,
            };
            operate_selected(session, &source, Remember::No, names, resources)
        }
        Some(_) => Err(Error::invalid_at(&patch.place, "the patch is empty")),
        None => {
            let why = "is no list of operations: give each op, path and value".to_owned();
            let error = Error::new(&file, Why::Invalid(why));
            Err(super::applied(error, patch))
        }
    }
}
