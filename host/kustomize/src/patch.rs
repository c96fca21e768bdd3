//! `patches`: strategic merge and JSON6902, inline or from a file, for named objects or for a selection.
//!
//! Which kind a patch is shows in its text: a list of operations or objects. Merging is `patch/strategic.rs`, operations
//! `patch/json.rs` (what they compare with: `patch/written.rs`), selecting `patch/select.rs`; the older fields for one kind
//! of patch each are in `patch/only.rs`.

mod json;
pub(crate) mod label_selector;
mod names;
mod only;
pub(crate) mod select;
mod strategic;
mod written;

use std::borrow::Cow;

use serde_json::Value;

use crate::error::{Error, Why};
use crate::file::{Entry, Patch};
use crate::resource::{Resource, first_conflict, set_field};
use crate::session::Session;
use crate::yaml::{Document, Marks, Node, Reader, Typing};
use json::{Operations, Wrong};
pub(crate) use names::Names;
pub(crate) use only::{apply_merges, apply_operations};
use select::Selection;

/// What operating on an object counts, beside its size: it is remembered, and compared with what it was.
const OPERATING: u64 = 32;

/// Applies one patch to the `resources` it is for. Those it deletes are null until [`sweep`].
pub(crate) fn apply(
    session: &Session<'_>,
    dir: &str,
    patch: &Patch,
    names: &mut Names,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let (text, file) = read(session, dir, patch)?;
    let parsed = parse(session, &text, &file);
    // In an inline text, the place that helps is the field's; the text's own line goes into the message.
    let parsed = parsed.map_err(|error| located(error, patch))?;
    match parsed {
        Parsed::Merge(patches) => {
            let merged = strategic_merge(session, patch, patches, names, resources);
            merged.map_err(|e| applied(e, patch))
        }
        Parsed::Operations(operations) => {
            let source = Source {
                patch,
                file: &file,
                operations: &operations,
            };
            operate_selected(session, &source, Remember::Yes, names, resources)
        }
    }
}

/// Takes what patches deleted out of the list.
pub(crate) fn sweep(resources: &mut Vec<Resource>) {
    resources.retain(|resource| resource.node.map().is_some_and(|map| !map.is_empty()));
}

enum Parsed {
    Merge(Vec<Resource>),
    Operations(Operations),
}

/// The text of a patch and the file it stands in.
fn read(session: &Session<'_>, dir: &str, patch: &Patch) -> Result<(Vec<u8>, String), Error> {
    if patch.path.is_empty() {
        return Ok((patch.inline.clone().into_bytes(), String::new()));
    }
    let entry = Entry {
        text: patch.path.clone(),
        place: patch.place.inside("path"),
    };
    let file = session.resolve(dir, &entry)?;
    Ok((session.read(&file, &entry.place)?.to_vec(), file))
}

fn parse(session: &Session<'_>, text: &[u8], file: &str) -> Result<Parsed, Error> {
    let mut text = Cow::Borrowed(text);
    let documents = match session.documents(&text, file) {
        Ok(documents) => documents,
        // Not all JSON is YAML: `\\/`, surrogates, a key that is there twice.
        Err(why) => {
            let json = text.trim_ascii_start().starts_with(b"[");
            let list = json.then(|| serde_json::from_slice::<Value>(&text).ok());
            text = Cow::Owned(list.flatten().ok_or(why)?.to_string().into_bytes());
            session.documents(&text, file)?
        }
    };
    let text = &*text;
    Ok(match operations(session, text, file, &documents)? {
        Some(operations) => Parsed::Operations(operations),
        None => Parsed::Merge(session.resources(documents, file)?),
    })
}

/// The operations in a text, if its first document is a list; only that one counts.
fn operations(
    session: &Session<'_>,
    text: &[u8],
    file: &str,
    documents: &[Document],
) -> Result<Option<Operations>, Error> {
    let is_list = |document: &Document| matches!(document.node, Node::Seq(_));
    if !documents.first().is_some_and(is_list) {
        return Ok(None);
    }
    let reader = Reader {
        file,
        typing: Typing::Config,
        budget: &session.budget,
    };
    let mut marks = Marks::new();
    let list = reader.first(text, Some(&mut marks))?;
    let list = list.map(|document| document.node).unwrap_or_default();
    let operations = Operations::parse(list, &marks, text);
    let wrong = |wrong: Wrong| Error::invalid(file, wrong.why).at_line(wrong.line);
    operations.map(Some).map_err(wrong)
}

/// The error of a patch that cannot be applied, in the field that holds or names it.
fn applied(error: Error, patch: &Patch) -> Error {
    if error.place().file.is_empty() {
        located(error, patch)
    } else {
        error.by_way_of(&patch.place.inside("path"))
    }
}

/// The error of an inline patch, in the field that holds it.
fn located(error: Error, patch: &Patch) -> Error {
    if !error.place().file.is_empty() {
        return error;
    }
    let inner = match (error.place().line, error.place().column) {
        (Some(line), Some(column)) => format!("line {line}, column {column} of the patch: "),
        (Some(line), None) => format!("line {line} of the patch: "),
        _ => String::new(),
    };
    let place = patch.place.inside(patch.text_field());
    Error::in_place(&place, error.why().clone().prefixed(&inner))
}

fn charge(session: &Session<'_>, patch: &Patch, steps: u64) -> Result<(), Error> {
    session
        .budget
        .steps(steps)
        .map_err(|why| Error::in_place(&patch.place, why))
}

fn strategic_merge(
    session: &Session<'_>,
    patch: &Patch,
    mut patches: Vec<Resource>,
    names: &mut Names,
    resources: &mut [Resource],
) -> Result<(), Error> {
    if patch.allow_name_change || patch.allow_kind_change {
        // kustomize notes this in the patch's annotations, which makes them text: null removes nothing then.
        patches
            .iter_mut()
            .for_each(|one| one.set_texts("annotations", &[]));
    }
    let Some(target) = &patch.target else {
        return patches
            .into_iter()
            .try_for_each(|one| merge_named(session, patch, one, names, resources));
    };
    let selection = Selection::new(target, &session.budget)
        .map_err(|why| Error::invalid_at(&patch.place, why))?;
    match (patches.pop(), patches.is_empty()) {
        (None, _) => Ok(()),
        (Some(one), true) => merge_selected(session, patch, &one, &selection, names, resources),
        (Some(_), false) => {
            let why =
                "several strategic merge patches cannot have one target: make an entry of each";
            Err(Error::invalid_at(&patch.place, why))
        }
    }
}

/// Merges a patch into every object of a selection, whatever objects the patch names.
fn merge_selected(
    session: &Session<'_>,
    patch: &Patch,
    one: &Resource,
    selection: &Selection,
    names: &mut Names,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let places = names.places(selection.exact_name(), resources);
    charge(session, patch, places.len() as u64 * selection.cost())?;
    for place in places {
        let resource = resources.get_mut(place).filter(|r| selection.matches(r));
        let Some(resource) = resource else { continue };
        let before = resource.key();
        merge_plain(session, patch, one.clone(), resource)?;
        names.learn(place, &before, resource);
    }
    if !names.doubtful {
        return Ok(());
    }
    charge(session, patch, resources.len() as u64)?;
    let live = resources.iter().filter(|r| !r.is_gone());
    first_conflict(live).map_or(Ok(()), |(_, twice)| {
        let message = format!("patched, {twice}");
        Err(Error::in_place(&patch.place, Why::Conflict(message)))
    })
}

/// Merges a patch into an object whose version is not the patch's business. On its way, the patch's labels and annotations
/// become plain text: null removes nothing there.
fn merge_plain(
    session: &Session<'_>,
    patch: &Patch,
    mut one: Resource,
    resource: &mut Resource,
) -> Result<(), Error> {
    for field in ["labels", "annotations"] {
        one.set_texts(field, &[]);
    }
    if let Some(map) = one.node.map_mut() {
        let version = resource.node.get("apiVersion").cloned().unwrap_or_default();
        map.insert("apiVersion".to_owned(), version);
    }
    merge(session, patch, one, resource)
}

/// Merges a patch into the one object that it names, by its present or an earlier name.
fn merge_named(
    session: &Session<'_>,
    patch: &Patch,
    one: Resource,
    names: &mut Names,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let place = find_named(session, patch, &one, names, resources)?;
    let Some(resource) = resources.get_mut(place) else {
        return Ok(());
    };
    let before = resource.key();
    merge(session, patch, one, resource)?;
    names.learn(place, &before, resource);
    Ok(())
}

/// Where the one object is that `one` is for.
fn find_named(
    session: &Session<'_>,
    patch: &Patch,
    one: &Resource,
    names: &mut Names,
    resources: &[Resource],
) -> Result<usize, Error> {
    let key = one.key();
    let places = names.places(Some(one.name()), resources);
    charge(session, patch, places.len() as u64)?;
    let is_meant = |r: &Resource| !r.node.is_null() && r.was(&key);
    let mut named = places
        .into_iter()
        .filter(|place| resources.get(*place).is_some_and(is_meant));
    let why = match (named.next(), named.count()) {
        (Some(index), 0) => return Ok(index),
        (None, _) => format!("the patch is for {}, which is not there", one.id()),
        (Some(_), more) => {
            format!(
                "the patch is for {}, which could be any of {} objects",
                one.id(),
                more + 1
            )
        }
    };
    Err(Error::invalid(&one.file, why).at_line(one.line))
}

/// Merges `one` into `resource`, which keeps its name, kind and namespace.
fn merge(
    session: &Session<'_>,
    patch: &Patch,
    mut one: Resource,
    resource: &mut Resource,
) -> Result<(), Error> {
    let cost = one.node.cost();
    charge(session, patch, cost + resource.node.cost())?;
    session
        .budget
        .nodes(cost)
        .map_err(|why| Error::in_place(&patch.place, why))?;
    let (name, namespace) = (resource.name().to_owned(), resource.namespace().to_owned());
    let kind = resource.kind().to_owned();
    if patch.allow_name_change || patch.allow_kind_change {
        resource.store_previous();
    }
    let kept = strategic::merge(
        &mut resource.node,
        &mut one.node,
        &session.schemas,
        &session.budget,
    )
    .map_err(|why| {
        let why = format!("patching {} failed: {why}", resource.id());
        Error::invalid(&one.file, why).at_line(one.line)
    })?;
    if !kept || resource.node.map().is_none_or(|map| map.is_empty()) {
        resource.node = Node::null();
        return Ok(());
    }
    if !patch.allow_kind_change
        && let Some(map) = resource.node.map_mut()
    {
        set_field(map, "kind", &kind);
    }
    if !patch.allow_name_change {
        resource.set_name(&name);
    }
    resource.set_namespace(&namespace);
    Ok(())
}

/// Whether an object's name before the patch is remembered, so that who refers to it learns the new one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remember {
    Yes,
    No,
}

/// A patch of operations.
struct Source<'a> {
    patch: &'a Patch,
    /// The file it was read from, if it is not inline.
    file: &'a str,
    operations: &'a Operations,
}

/// Applies operations to the selected objects.
fn operate_selected(
    session: &Session<'_>,
    source: &Source<'_>,
    remember: Remember,
    names: &mut Names,
    resources: &mut [Resource],
) -> Result<(), Error> {
    let patch = source.patch;
    let Some(target) = &patch.target else {
        return Err(Error::invalid_at(
            &patch.place,
            "a JSON patch needs a target: say which objects it is for",
        ));
    };
    let selection = Selection::new(target, &session.budget)
        .map_err(|why| Error::invalid_at(&patch.place, why))?;
    let places = names.places(selection.exact_name(), resources);
    charge(session, patch, places.len() as u64 * selection.cost())?;
    for place in places {
        let resource = resources.get_mut(place).filter(|r| selection.matches(r));
        let Some(resource) = resource else { continue };
        let before = resource.key();
        if remember == Remember::Yes {
            resource.store_previous();
        }
        operate(session, source.operations, resource).map_err(|Wrong { line, why }| {
            let why = format!("patching {} failed: {why}", resource.id());
            applied(Error::invalid(source.file, why).at_line(line), patch)
        })?;
        names.learn(place, &before, resource);
    }
    Ok(())
}

fn operate(
    session: &Session<'_>,
    operations: &Operations,
    resource: &mut Resource,
) -> Result<(), Wrong> {
    let steps = OPERATING + resource.node.cost() + operations.len();
    let charge = session.budget.steps(steps);
    charge.map_err(|why| Wrong::whole(why.to_string()))?;
    if resource.has_notes() {
        resource.make_annotations();
    }
    operations.apply(&mut resource.node, &session.budget)?;
    resource.noted = resource.noted.saturating_add(1);
    if operations.replace_annotations() {
        // kustomize keeps these in annotations.
        resource.origin = None;
        resource.transformations.clear();
    }
    resource.set_texts("annotations", &[]);
    if resource.node.map().is_none() {
        return Err(Wrong::whole("the object is gone".to_owned()));
    }
    Ok(())
}
