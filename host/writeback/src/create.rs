//! New objects become files: named by a template, without what belongs to the cluster, listed where there is a list.
//!
//! Which objects, and which are gone again, is the caller's rule. Secrets are refused.

mod lean;
pub(crate) mod name;
mod strip;

use reeve_kustomize::{Kind, Object, to_yaml};
use serde_json::Value;

use crate::change::is_secret;
use crate::kustomization::{Kustomization, below, join, parent};
use crate::path::Path;
use crate::place::{Seen, Text, rewritten};
use crate::refused::{Reason, Refused};
use crate::users::Users;
use crate::work::{Candidate, Trial, Work, is_same};
use crate::{Edits, Place, Placed, Repository};

pub use lean::{as_said, is_bound, restored, with_defaults, without_defaults, without_unclaimed};
pub use name::DEFAULT_TEMPLATE;
pub use strip::{by_handle, only_where_absent, stripped, without_server_fields};

/// An object that is to become a file.
#[derive(Clone, Copy)]
pub struct New<'a> {
    /// The object as it is.
    pub live: &'a Object,
    /// The object without what the server fills in, as a file needs it; nothing where all of it is written.
    pub lean: Option<&'a Object>,
    /// The file's path below that of the repository: [`DEFAULT_TEMPLATE`], or another with the same words in braces.
    pub template: &'a str,
}

/// Makes the file of a new object, and lists it in the kustomization file if there is one.
pub fn create(repository: &Repository<'_>, new: &New<'_>) -> Result<Edits, Refused> {
    let id = new.live.id();
    let refuse = |reason: Reason| reason.of(Some(id.clone()), "");
    if is_secret(&id) {
        return Err(refuse(Reason::Secret));
    }
    let whole = stripped(new.live);
    let lean = new.lean.unwrap_or(&whole);
    let object = as_said(&whole, lean, None);
    let shown = name::file(new.template, new.live).map_err(refuse)?;
    let outside = || Reason::Name {
        why: "the path leads out of the repository".to_owned(),
    };
    let root = join("", repository.path).ok_or_else(|| refuse(outside()))?;
    let file = join(&root, &shown).ok_or_else(|| refuse(outside()))?;
    let within = join("", repository.within).ok_or_else(|| refuse(outside()))?;
    if below(&within, &file).is_none() {
        return Err(refuse(Reason::Outside { file }));
    }
    check_free(repository, &root, &file).map_err(refuse)?;
    let bytes = to_yaml(std::slice::from_ref(&object)).into_bytes();
    let place = Place::Manifest { file: file.clone() };
    let placed = vec![Placed {
        object: id.clone(),
        field: String::new(),
        place: place.clone(),
    }];
    let is_there = repository.tree.kind(&root) == Some(Kind::Dir);
    let builds =
        is_there && repository.options.generate || Kustomization::is_in(repository.tree, &root);
    if !builds {
        // Nobody builds here, or not yet: the file is all there is to it.
        let users = Users::find(repository, &root).map_err(refuse)?;
        if let Some(by) = users.any_other_user() {
            let by = by.to_owned();
            return Err(refuse(Reason::Shared { file, by }));
        }
        return Ok(Edits {
            files: [(file, Some(bytes))].into(),
            placed,
        });
    }
    let mut work = Work::of(repository)?;
    if work.objects().iter().any(|one| is_same(one, &object)) {
        return Err(refuse(Reason::Present));
    }
    let mut candidate = listing(&work, &root, &file).map_err(refuse)?;
    candidate.files.push((file, Some(bytes)));
    let before = work.objects().to_vec();
    match work.keep_if(&candidate, |after| is_with(&before, after, &object)) {
        Trial::Fits => Ok(Edits {
            files: work.into_files(),
            placed,
        }),
        Trial::Breaks => Err(refuse(Reason::NoPlace)),
        _ => Err(refuse(Reason::Transformed)),
    }
}

/// The path of the file of an object below that of the repository, by the template.
pub fn file_of(template: &str, object: &Object) -> Result<String, Refused> {
    name::file(template, object).map_err(|reason| reason.of(Some(object.id()), ""))
}

/// The edit of the kustomization file that lists `file`; none of any file where there is no list.
fn listing(work: &Work<'_>, root: &str, file: &str) -> Result<Candidate, Reason> {
    let place = Place::Manifest {
        file: file.to_owned(),
    };
    let nothing = Candidate {
        files: Vec::new(),
        place: place.clone(),
        meets: false,
    };
    // The innermost list on the way to the file.
    let mut dir = parent(file);
    let kustomization = loop {
        if let Some(kustomization) = Kustomization::read(work.tree(), dir) {
            break kustomization;
        }
        if dir == root || dir.is_empty() {
            if let Some(by) = work.users().any_other_user() {
                let by = by.to_owned();
                let file = file.to_owned();
                return Err(Reason::Shared { file, by });
            }
            return Ok(nothing);
        }
        dir = parent(dir);
    };
    let shown = below(&kustomization.dir, file).unwrap_or(file);
    let mut value = kustomization.value.clone();
    let mut resources = kustomization.items("resources").to_vec();
    resources.push(Value::from(shown));
    Path::of_fields(&["resources"]).set(&mut value, Value::Array(resources), None);
    let mut seen = Seen::default();
    let text = Text::of_file(kustomization.file.as_str());
    let edited = rewritten(work, &text, kustomization.number, &value, place, &mut seen);
    edited.ok_or_else(|| seen.in_the_way().unwrap_or(Reason::NoPlace))
}

/// Refuses a file that is there, in whatever case its name is written, and one below a file or a link.
fn check_free(repository: &Repository<'_>, root: &str, file: &str) -> Result<(), Reason> {
    let tree = repository.all;
    let occupied = |file: &str| {
        let file = file.to_owned();
        Err(Reason::Occupied { file })
    };
    let mut dir = root.to_owned();
    let rest = below(root, file).unwrap_or(file);
    for part in rest.split('/') {
        let there = tree.list(&dir);
        let Some(path) = join(&dir, part) else {
            return occupied(file);
        };
        let other = |name: &&String| name.eq_ignore_ascii_case(part) && *name != part;
        if let Some(other) = there.iter().find(other) {
            return occupied(&join(&dir, other).unwrap_or_default());
        }
        match tree.kind(&path) {
            Some(Kind::File) => return occupied(&path),
            // A link or a submodule is there, though nobody sees it.
            None if tree.left_out(&path).is_some() => return occupied(&path),
            Some(Kind::Dir) if path == file || tree.real(&path).as_ref() != Some(&path) => {
                return occupied(&path);
            }
            _ => {}
        }
        dir = path;
    }
    Ok(())
}

/// Whether `after` is `before` with the object somewhere in it.
fn is_with(before: &[Object], after: &[Object], object: &Object) -> bool {
    let Some(at) = after.iter().position(|one| one == object) else {
        return false;
    };
    let mut rest = after.to_vec();
    rest.remove(at);
    rest == before
}
