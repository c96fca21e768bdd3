//! Edits to try for one difference, in the order in which the places decide: what kustomize applies last comes first.
//!
//! Guesses are allowed here, because each is built and compared before it stands (`work.rs`). Two things are not guessed: a
//! value whose source is only found by looking for equal ones must have one source, and a file with other users is not
//! touched.

mod added;
mod entry;
mod generator;
mod json;
mod manifest;
mod patch;
mod scan;
mod text;

use crate::difference::Difference;
use crate::refused::{Reason, Refused};
use crate::work::{Candidate, Trial, Work};
use crate::{Place, Placed};

pub(crate) use manifest::{Unit, units};
pub(crate) use text::{Text, own, rewritten};

/// What was seen on the way, for the refusal.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// A file that was left alone, and its other user.
    pub(crate) shared: Option<(String, String)>,
    /// A file that may not be written.
    pub(crate) outside: Option<String>,
    /// What could not be edited.
    pub(crate) unwritable: Option<String>,
    /// Something else changed with it.
    spills: bool,
    /// Another object came out.
    renames: bool,
    /// A patch of the outermost kustomization did not decide.
    decided_later: bool,
    /// There is no kustomization file where one would be needed.
    no_overlay: bool,
    /// Several places would do.
    several: bool,
}

impl Seen {
    /// What kept a file from being edited.
    pub(crate) fn in_the_way(self) -> Option<Reason> {
        match self {
            Self {
                shared: Some((file, by)),
                ..
            } => Some(Reason::Shared { file, by }),
            Self {
                outside: Some(file),
                ..
            } => Some(Reason::Outside { file }),
            Self {
                unwritable: Some(why),
                ..
            } => Some(Reason::Unwritable { why }),
            _ => None,
        }
    }
}

/// Finds edits of one sort.
type Stage = fn(&Work<'_>, &Difference, &mut Seen) -> Vec<Candidate>;

/// Where the value comes from.
const SOURCES: [Stage; 7] = [
    entry::images,
    entry::replicas,
    entry::pairs,
    generator::data,
    patch::sources,
    json::sources,
    manifest::sources,
];
/// Where it can be written over.
const OVERLAYS: [Stage; 3] = [patch::overlays, json::overlays, added::patches];

/// Puts the value of one difference.
pub(crate) fn put(work: &mut Work<'_>, difference: &Difference) -> Result<Placed, Refused> {
    let mut seen = Seen::default();
    for stage in SOURCES {
        if let Some(place) = first(work, difference, stage, &mut seen)? {
            return Ok(placed(work, difference, place));
        }
    }
    if let Some(place) = scan::only(work, difference, &mut seen)? {
        return Ok(placed(work, difference, place));
    }
    for stage in OVERLAYS {
        if let Some(place) = first(work, difference, stage, &mut seen)? {
            return Ok(placed(work, difference, place));
        }
    }
    let reason = reason(work, difference, seen);
    Err(reason.of(work.id(difference.object), difference.path.to_string()))
}

fn placed(work: &Work<'_>, difference: &Difference, place: Place) -> Placed {
    Placed {
        object: work.id(difference.object).unwrap_or_default(),
        field: difference.path.to_string(),
        place,
    }
}

/// The first edit of the stage that fits.
fn first(
    work: &mut Work<'_>,
    difference: &Difference,
    stage: Stage,
    seen: &mut Seen,
) -> Result<Option<Place>, Refused> {
    for candidate in stage(work, difference, seen) {
        match work.try_one(difference, &candidate)? {
            Trial::Fits => return Ok(Some(candidate.place)),
            Trial::Spills => seen.spills = true,
            Trial::Renames => seen.renames = true,
            Trial::Unmoved => seen.decided_later |= candidate.meets,
            Trial::Breaks => {}
        }
    }
    Ok(None)
}

/// What stood against all of them.
fn reason(work: &Work<'_>, difference: &Difference, seen: Seen) -> Reason {
    let trace = work.trace(difference.object);
    match seen {
        Seen { renames: true, .. } if trace.is_generated => Reason::Hashed,
        Seen { several: true, .. } | Seen { spills: true, .. } => Reason::NotUnique,
        Seen {
            decided_later: true,
            ..
        } => Reason::Computed {
            by: trace.last.unwrap_or_else(|| "the build".to_owned()),
        },
        Seen { no_overlay, .. } => seen.in_the_way().unwrap_or(match no_overlay {
            true => Reason::NoOverlay,
            false => Reason::NoPlace,
        }),
    }
}
