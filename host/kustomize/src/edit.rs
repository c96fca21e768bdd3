//! Edits of a kustomization file: its text in, its text out, with comments, order and all that is not meant kept.
//!
//! What an edit means is `kustomize edit`'s: deprecated fields that it moves are moved, a missing `apiVersion` and `kind`
//! are added. An edit is first made on the file's values (`edit/change.rs`, `edit/data.rs`, `edit/fix.rs`), then on its
//! text (`edit/write.rs`), and the new text is read again: if it does not mean exactly what was asked for, the edit is
//! refused. Any other YAML file is edited by giving one of its documents another value (`edit/document.rs`). Nothing is read or
//! written here.

mod align;
mod arguments;
mod change;
mod data;
mod document;
mod fields;
mod fix;
mod glob;
mod image;
mod render;
mod write;

use serde_json::{Map, Value};

pub use arguments::{Pairs, Replicas, metadata_options, pairs};
pub use data::{DataEdit, DataKind, DataSources};
pub use document::{Document, documents, rewrite};
pub use glob::matches;
pub use image::ImageEdit;

use crate::budget::Budget;
use crate::error::{Error, Place, Why};
use crate::file::Kustomization;
use crate::options::{Limits, Selector};
use crate::yaml::{Entry, Layout, Marks, Reader, Shape, Typing};
use fields::Fields;
use render::Ways;
use write::Writer;

/// One edit of a kustomization file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// `set image`.
    SetImages(Vec<ImageEdit>),
    /// `set namespace`, `set nameprefix`, `set namesuffix`; an empty text removes the field.
    SetText(TextField, String),
    /// `set replicas`.
    SetReplicas(Replicas),
    /// `set label` and `set annotation`.
    SetPairs(PairField, Pairs),
    /// `add label` and `add annotation`.
    AddPairs {
        /// To which field.
        field: PairField,
        /// What to add.
        pairs: Pairs,
        /// Whether to replace what is there.
        force: bool,
    },
    /// `add label --without-selector`.
    AddLabels {
        /// What to add.
        pairs: Pairs,
        /// Whether to replace what is there.
        force: bool,
        /// Whether templates get them too.
        templates: bool,
    },
    /// `remove label` and `remove annotation`.
    RemovePairs {
        /// From which field.
        field: PairField,
        /// Which keys.
        keys: Vec<String>,
        /// Whether a key may be missing.
        lenient: bool,
    },
    /// `set buildmetadata`.
    SetBuildMetadata(Vec<String>),
    /// `add buildmetadata`.
    AddBuildMetadata(Vec<String>),
    /// `remove buildmetadata`.
    RemoveBuildMetadata(Vec<String>),
    /// `add resource` and its like; one that is there already is passed over and noted.
    AddPaths(PathField, Vec<String>),
    /// `add base`: a resource that must not be there yet.
    AddBases(Vec<String>),
    /// `remove resource` and its like: every path that one of the patterns matches.
    RemovePaths(PathField, Vec<String>),
    /// `add patch`.
    AddPatch(PatchEdit),
    /// `remove patch`: those that are exactly this.
    RemovePatch(PatchEdit),
    /// `add configmap` and `add secret`.
    AddData(DataEdit),
    /// `set configmap` and `set secret`.
    SetData(DataEdit),
    /// `remove configmap` and `remove secret`.
    RemoveData {
        /// Which of both.
        kind: DataKind,
        /// Their names.
        names: Vec<String>,
        /// Their namespace, empty for the default one.
        namespace: String,
    },
    /// `fix`: no deprecated fields but `vars`.
    Fix,
}

/// A field that is a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// `namespace`
    Namespace,
    /// `namePrefix`
    NamePrefix,
    /// `nameSuffix`
    NameSuffix,
}

/// A field of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairField {
    /// `commonLabels`
    Labels,
    /// `commonAnnotations`
    Annotations,
}

/// A field that lists paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathField {
    /// `resources`
    Resources,
    /// `components`
    Components,
    /// `transformers`
    Transformers,
    /// `generators`
    Generators,
    /// `configurations`
    Configurations,
}

/// A patch: inline or a file, for what it names or for a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchEdit {
    /// The path of its file, or empty.
    pub path: String,
    /// Its text, or empty.
    pub patch: String,
    /// Which objects; with every field empty, those that the patch names.
    pub target: Selector,
}

/// What an edit made of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The new text.
    pub text: String,
    /// What else there is to say, one clause each: what was there already, what was not found.
    pub notes: Vec<String>,
}

/// Edits the kustomization file `file`, whose content is `bytes`. `file` is for the error's place only.
///
/// An edit with nothing to do returns the text as it was.
pub fn edit(bytes: &[u8], file: &str, change: &Edit) -> Result<Edited, Error> {
    let (text, mark) = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
        Some(rest) => (rest, "\u{feff}"),
        None => (bytes, ""),
    };
    let budget = Budget::new(Limits::default());
    let mut marks = Marks::new();
    let old = values(text, file, &budget, &mut marks)?;
    // The reader has seen that it is UTF-8.
    let text = std::str::from_utf8(text).unwrap_or_default();
    let mut fields = Fields::new(file, &marks, old.clone());
    fields.check_known()?;
    let mut notes = Vec::new();
    if !change::change(&mut fields, change, &mut notes)? {
        let text = format!("{mark}{text}");
        return Ok(Edited { text, notes });
    }
    fix::complete(&mut fields, matches!(change, Edit::Fix))?;
    let new = fields.into_values();
    let layout = Layout::read(text);
    let written = Writer::new(text, ways(text, layout.as_ref()))
        .write(layout.as_ref(), &old, &new, &fix::RENAMES)
        .map_err(|refused| {
            let place = Place {
                field: (!refused.field.is_empty()).then_some(refused.field),
                ..Fields::place(file, &marks, "")
            };
            let why = format!("{}: edit this file by hand", refused.why);
            Error::in_place(&place, Why::Invalid(why))
        })?;
    let again = values(written.as_bytes(), file, &budget, &mut Marks::new());
    if again.ok().as_ref() != Some(&new) {
        let why = "is written in a way that cannot be edited safely: edit this file by hand";
        return Err(Error::invalid(file, why));
    }
    // What kustomize writes is written, whether it can be built or not.
    if let Err(why) = Kustomization::parse(written.as_bytes(), file, &budget) {
        notes.push(format!("the file cannot be built like this: {why}"));
    }
    Ok(Edited {
        text: format!("{mark}{written}"),
        notes,
    })
}

/// The fields of the file; none for an empty one.
fn values(
    bytes: &[u8],
    file: &str,
    budget: &Budget,
    marks: &mut Marks,
) -> Result<Map<String, Value>, Error> {
    let reader = Reader {
        file,
        typing: Typing::Config,
        budget,
    };
    let mut documents = reader.marked_documents(bytes, marks)?;
    let Some(document) = documents.pop() else {
        return Ok(Map::new());
    };
    if !documents.is_empty() {
        let why = "a kustomization file holds one document only";
        return Err(Error::invalid(file, why));
    }
    match document.node.into_value() {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(Error::invalid(file, "is not a mapping")),
        Err(why) => Err(Error::invalid(file, why.to_string())),
    }
}

/// How the file writes what can be written in several ways.
fn ways(text: &str, root: Option<&Layout>) -> Ways {
    let quoted = |entry: &Entry| {
        text.get(entry.key.clone())
            .is_some_and(|key| key.starts_with('"'))
    };
    let json = |layout: &Layout| match &layout.shape {
        Shape::Map {
            entries,
            flow: true,
        } => entries.iter().all(quoted),
        _ => false,
    };
    let column = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.chars().take_while(|c| *c == ' ').count()
    };
    Ways {
        indented: root
            .and_then(first_list)
            .is_some_and(|(key, item)| column(item) > column(key)),
        windows: text.contains("\r\n"),
        json: root.is_some_and(|root| match &root.shape {
            Shape::Seq { items, flow: true } => items.iter().all(json),
            _ => json(root),
        }),
        overrides: false,
    }
}

/// Where the key of the first list without brackets stands that is the value of a key alone on its line, and its first item.
fn first_list(layout: &Layout) -> Option<(usize, usize)> {
    match &layout.shape {
        Shape::Map {
            flow: false,
            entries,
        } => entries.iter().find_map(|entry| match &entry.value.shape {
            Shape::Seq { flow: false, items } => Some((entry.key.start, items.first()?.at.start)),
            _ => first_list(&entry.value),
        }),
        Shape::Seq { flow: false, items } => items.iter().find_map(first_list),
        _ => None,
    }
}
