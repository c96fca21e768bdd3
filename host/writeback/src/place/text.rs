//! A text that holds YAML: a file, or a text in a kustomization file.

use reeve_kustomize::edit::{documents, rewrite};
use serde_json::Value;

use super::Seen;
use crate::Place;
use crate::path::Path;
use crate::work::{Candidate, Work};

/// Where a text is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    /// The file.
    pub(crate) file: String,
    /// For a text in it: the number of the document and the way to it.
    pub(crate) inside: Option<(usize, Path)>,
}

impl Text {
    pub(crate) fn of_file(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            inside: None,
        }
    }

    /// What it holds.
    fn bytes(&self, work: &Work<'_>) -> Option<Vec<u8>> {
        let bytes = work.read(&self.file)?;
        let Some((number, path)) = &self.inside else {
            return Some(bytes.to_vec());
        };
        let document = documents(&bytes, &self.file).ok()?;
        let text = path.get(&document.get(*number)?.value)?.as_str()?;
        Some(text.as_bytes().to_vec())
    }

    /// What is wrong with it, if it cannot be read.
    pub(crate) fn fault(&self, work: &Work<'_>) -> Option<String> {
        let why = documents(&self.bytes(work)?, &self.file).err()?;
        Some(why.to_string())
    }

    /// The values of its documents, by their numbers.
    pub(crate) fn values(&self, work: &Work<'_>) -> Vec<(usize, Value)> {
        let bytes = self.bytes(work);
        let documents = bytes.and_then(|bytes| documents(&bytes, &self.file).ok());
        let documents = documents.unwrap_or_default().into_iter().enumerate();
        documents.map(|(number, one)| (number, one.value)).collect()
    }
}

/// The edit that gives the document of that number another value; nothing where the file has other users or cannot be
/// edited.
pub(crate) fn rewritten(
    work: &Work<'_>,
    text: &Text,
    number: usize,
    new: &Value,
    place: Place,
    seen: &mut Seen,
) -> Option<Candidate> {
    let file = own(work, &text.file, seen)?;
    let bytes = match write(work, text, number, new) {
        Ok(bytes) => bytes,
        Err(why) => {
            seen.unwritable.get_or_insert(why);
            return None;
        }
    };
    Some(Candidate {
        files: vec![(file, Some(bytes))],
        place,
        meets: false,
    })
}

/// The file without links on the way, if it may be written and nobody else uses it.
pub(crate) fn own(work: &Work<'_>, file: &str, seen: &mut Seen) -> Option<String> {
    let file = work.tree().home(file)?;
    if !work.may_write(&file) {
        seen.outside.get_or_insert(file);
        return None;
    }
    if let Some(by) = work.users().other_user(&file) {
        seen.shared
            .get_or_insert_with(|| (file.clone(), by.to_owned()));
        return None;
    }
    Some(file)
}

fn write(work: &Work<'_>, text: &Text, number: usize, new: &Value) -> Result<Vec<u8>, String> {
    let words = |why: reeve_kustomize::Error| why.to_string();
    let gone = || format!("{} cannot be read", text.file);
    let bytes = text.bytes(work).ok_or_else(gone)?;
    let inner = rewrite(&bytes, &text.file, number, new).map_err(words)?;
    let Some((outer, path)) = &text.inside else {
        return Ok(inner);
    };
    let bytes = work.read(&text.file).ok_or_else(gone)?;
    let mut all = documents(&bytes, &text.file).map_err(words)?;
    let document = all.get_mut(*outer).ok_or_else(gone)?;
    let inner = String::from_utf8(inner).map_err(|_| gone())?;
    path.set(&mut document.value, Value::String(inner), None);
    rewrite(&bytes, &text.file, *outer, &document.value).map_err(words)
}
