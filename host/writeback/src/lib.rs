//! Puts a change of a live object into the file where the value comes from: files and objects in, edited files out.
//!
//! Useful alone: no cluster, no git, no clock. Whatever is written is proven first: the files are built once more with the
//! edit, and it stands only if the changed objects come out as they are wanted and all others as they were. What cannot be
//! put anywhere is refused with the reason, and never guessed. Which changes are meant to be written, who may, and the
//! commit are the caller's.
//!
//! | stage | where |
//! |---|---|
//! | what the cluster changed, carried over to what the files give | `change.rs`, `difference.rs`, `path.rs` |
//! | which files are whose | `users.rs`, `kustomization.rs` |
//! | edits to try, the place that decides first | `place.rs` and below |
//! | each one built and compared | `work.rs`, `overlaid.rs` |
//! | new objects, and those that are gone | `create.rs` and below, `remove.rs` |

#![deny(missing_docs)]

mod alone;
mod change;
mod create;
mod difference;
mod kustomization;
mod overlaid;
mod path;
mod place;
mod refused;
mod remove;
mod trace;
mod users;
mod work;

use std::collections::BTreeMap;

use reeve_kustomize::{Id, Object, Options, Remotes, Tree};

pub use alone::alone;
pub use change::is_secret;
pub use create::{
    Builder, Created, DEFAULT_TEMPLATE, New, as_said, by_handle, create_all, file_in, file_of,
    is_bound, only_where_absent, restored, stripped, with_defaults, without_defaults,
    without_server_fields, without_unclaimed,
};
pub use difference::{Difference, differences, key_of};
pub use overlaid::Overlaid;
pub use path::{Path, Step};
pub use refused::{Reason, Refused};
pub use remove::remove;

use work::Work;

/// What is written to: a tree of files and the kustomization in it whose objects are on the cluster.
#[derive(Clone, Copy)]
pub struct Repository<'a> {
    /// The files of the repository, as the build sees them.
    pub tree: &'a dyn Tree,
    /// All of them, those that the build does not see, too: who else uses a file, and what is in the way of a new one, is looked for in
    /// it. Where a build sees everything, the same.
    pub all: &'a dyn Tree,
    /// What was fetched for the build.
    pub remotes: &'a Remotes,
    /// The directory that is built.
    pub path: &'a str,
    /// How it is built. Every edit that is tried is a build: who has a deadline keeps a clone of `stop`.
    pub options: &'a Options,
    /// Directories of this tree that others build, beside those that its kustomization files name.
    pub others: &'a [String],
    /// The directory outside of which nothing is written; empty for the whole tree. Bases mostly lie beside what is built.
    pub within: &'a str,
}

/// What became of one object on the cluster.
#[derive(Clone)]
pub struct Change {
    /// The object as it was applied.
    pub applied: Object,
    /// The same with what the server fills in, as a dry run of applying it says. Without it, every field that the server
    /// filled in counts as a change.
    pub defaulted: Option<Object>,
    /// The object as it is now. Fields that shall not be written are as in `defaulted`.
    pub live: Object,
}

/// What is to be committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The new content of files by their paths; nothing for one that is removed.
    pub files: BTreeMap<String, Option<Vec<u8>>>,
    /// Where each field went, in the order of the objects.
    pub placed: Vec<Placed>,
}

/// A field and where it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The object.
    pub object: Id,
    /// The field, as `spec.template.spec.containers[name=web].image`; empty for the object as a whole.
    pub field: String,
    /// Where it went.
    pub place: Place,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The manifest of the object.
    Manifest {
        /// Its file.
        file: String,
    },
    /// A patch that was there.
    Patch {
        /// The file that holds it.
        file: String,
    },
    /// An entry of a kustomization file, or of what it names.
    Entry {
        /// The file.
        file: String,
        /// The field in it.
        field: String,
    },
    /// What a ConfigMap is generated from.
    Generator {
        /// The file.
        file: String,
    },
    /// A patch that was added for it.
    NewPatch {
        /// Its file.
        file: String,
    },
}

/// Finds the edits after which the files give the objects as they are on the cluster: all changes, or none.
///
/// A value is changed where it comes from. A new field goes to the object's own file. Where that file has other users, it goes
/// to a patch of the kustomization that is built, and a patch is added if there is none.
pub fn write(repository: &Repository<'_>, changes: &[Change]) -> Result<Edits, Refused> {
    let mut work = Work::begin(repository, changes)?;
    let mut placed = Vec::new();
    while !work.remaining().is_empty() {
        placed.push(put_any(&mut work)?);
    }
    Ok(Edits {
        files: work.into_files(),
        placed,
    })
}

/// Puts the first difference that has a place. One that has none may be gone when another is put: a copy of it.
fn put_any(work: &mut Work<'_>) -> Result<Placed, Refused> {
    let mut first = None;
    for difference in work.remaining().to_vec() {
        match place::put(work, &difference) {
            Ok(placed) => return Ok(placed),
            Err(refused) if matches!(refused.reason, Reason::Limit { .. }) => return Err(refused),
            Err(refused) => {
                first.get_or_insert(refused);
            }
        }
    }
    Err(first.unwrap_or_else(|| Reason::NoPlace.of(None, "")))
}
