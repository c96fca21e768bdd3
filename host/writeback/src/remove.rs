//! Objects that are gone: their manifests are taken out of the files.

use reeve_kustomize::edit::documents;
use reeve_kustomize::{Object, Tree as _};
use serde_json::Value;

use crate::change::is_secret;
use crate::kustomization::{Kustomization, join};
use crate::path::Path;
use crate::place::{Seen, Text, Unit, own, rewritten, units};
use crate::refused::{Reason, Refused};
use crate::work::{Candidate, Trial, Work, is_same};
use crate::{Edits, Place, Placed, Repository};

/// Takes the manifest of an object that was applied, and is gone, out of the files: the document, or the file and its entry in
/// kustomization files where it holds nothing else.
pub fn remove(repository: &Repository<'_>, applied: &Object) -> Result<Edits, Refused> {
    let id = applied.id();
    let refuse = |reason: Reason| reason.of(Some(id.clone()), "");
    if is_secret(&id) {
        return Err(refuse(Reason::Secret));
    }
    let mut work = Work::of(repository)?;
    let found = work.objects().iter().position(|one| is_same(one, applied));
    let number = found.ok_or_else(|| refuse(Reason::Absent))?;
    work.trace_all()?;
    let mut rest = work.objects().to_vec();
    rest.remove(number);
    let mut seen = Seen::default();
    let mut trial = Trial::Unmoved;
    for unit in units(&work, number) {
        if let Some(candidate) = without(&work, &unit, &mut seen) {
            trial = work.keep_if(&candidate, |after| after == rest);
            if trial == Trial::Fits {
                let placed = vec![Placed {
                    object: id.clone(),
                    field: String::new(),
                    place: candidate.place,
                }];
                let files = work.into_files();
                return Ok(Edits { files, placed });
            }
        }
    }
    Err(refuse(seen.in_the_way().unwrap_or(match trial {
        Trial::Spills => Reason::NotUnique,
        _ => Reason::NoPlace,
    })))
}

/// The edits that take one manifest out.
fn without(work: &Work<'_>, unit: &Unit, seen: &mut Seen) -> Option<Candidate> {
    let file = own(work, &unit.file, seen)?;
    let place = Place::Manifest { file: file.clone() };
    let bytes = work.read(&file)?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let all = documents(&bytes, &file).ok()?;
    if !unit.path.steps().is_empty() {
        let mut document = unit.document.clone();
        let items = Path::of_fields(&["items"])
            .get(&document)?
            .as_array()?
            .len();
        if items > 1 && unit.path.remove(&mut document) {
            let text = Text::of_file(file.as_str());
            return rewritten(work, &text, unit.number, &document, place, seen);
        }
    }
    let others = all.iter().filter(|one| !one.value.is_null()).count();
    if others > 1 {
        let document = all.get(unit.number)?;
        // With the line that parts it from its neighbour.
        let ahead = text.get(..document.at.start)?;
        let (start, end) = match all.get(unit.number + 1) {
            Some(next) => (document.at.start, next.at.start),
            None => (
                ahead
                    .trim_end_matches(['\n', '\r'])
                    .rfind('\n')
                    .map_or(0, |at| at + 1),
                document.at.end,
            ),
        };
        let kept = format!("{}{}", text.get(..start)?, text.get(end..)?);
        let files = vec![(file, Some(kept.into_bytes()))];
        return Some(candidate(files, place));
    }
    let mut files = unlisted(work, &file, seen)?;
    files.push((file, None));
    Some(candidate(files, place))
}

fn candidate(files: Vec<(String, Option<Vec<u8>>)>, place: Place) -> Candidate {
    let meets = false;
    Candidate {
        files,
        place,
        meets,
    }
}

/// The edits that take a file out of all lists of resources; nothing if one of them cannot be edited.
fn unlisted(
    work: &Work<'_>,
    file: &str,
    seen: &mut Seen,
) -> Option<Vec<(String, Option<Vec<u8>>)>> {
    let mut files = Vec::new();
    for kustomization in work.kustomizations() {
        let names = |item: &Value| {
            let path = item
                .as_str()
                .and_then(|text| join(&kustomization.dir, text));
            path.is_some_and(|path| work.tree().real(&path).as_deref() == Some(file))
        };
        let before = kustomization.items("resources");
        let after: Vec<Value> = before.iter().filter(|item| !names(item)).cloned().collect();
        if after.len() == before.len() {
            continue;
        }
        files.extend(with_resources(work, &kustomization, after, seen)?.files);
    }
    Some(files)
}

fn with_resources(
    work: &Work<'_>,
    kustomization: &Kustomization,
    resources: Vec<Value>,
    seen: &mut Seen,
) -> Option<Candidate> {
    let mut value = kustomization.value.clone();
    let list = Path::of_fields(&["resources"]);
    match resources.is_empty() {
        // A list of none is no list.
        true => list.remove(&mut value),
        false => list.set(&mut value, Value::Array(resources), None),
    };
    let place = Place::Manifest {
        file: kustomization.file.clone(),
    };
    let text = Text::of_file(kustomization.file.as_str());
    rewritten(work, &text, kustomization.number, &value, place, seen)
}
