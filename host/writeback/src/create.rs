//! New objects become files: named by a template, without what belongs to the cluster, listed where there is a list.
//!
//! All of a round at once: the tree is looked at once, each list is edited once, and whoever builds it is asked once whether all of
//! them come out as they are. Only where they do not is it found out of which that is so. Which objects, and which are gone again,
//! is the caller's rule. Secrets are refused.

mod asker;
mod free;
mod lean;
mod lists;
pub(crate) mod name;
mod placed;
mod strip;

use std::collections::BTreeMap;

use reeve_kustomize::{Id, Object, Options, Remotes, to_yaml};

use crate::change::is_secret;
use crate::kustomization::{below, join};
use crate::overlaid::Overlaid;
use crate::refused::{Reason, Refused};
use crate::work::Fault;
use crate::{Place, Placed, Repository};
use asker::Asker;
use free::Free;
use lists::Lists;

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

/// Somebody who builds a directory of the tree, and may so build what is made.
#[derive(Clone, Copy)]
pub struct Builder<'a> {
    /// The directory.
    pub path: &'a str,
    /// What was fetched for it.
    pub remotes: &'a Remotes,
    /// How it is built.
    pub options: &'a Options,
}

/// What became of new objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Created {
    /// The new content of files by their paths.
    pub files: BTreeMap<String, Option<Vec<u8>>>,
    /// Where each of them went, in the order in which they came.
    pub each: Vec<Result<Placed, Refused>>,
}

/// Makes the files of new objects, and lists them in the kustomization file if there is one. `builders` build other directories of the tree, or the same one in another way: a file that one
/// of them builds gives its object there, too, and is refused otherwise.
pub fn create_all(
    repository: &Repository<'_>,
    builders: &[Builder<'_>],
    news: &[New<'_>],
) -> Created {
    let mut making = match Making::begin(repository, builders) {
        Ok(making) => making,
        Err(reason) => {
            let refused = |new: &New<'_>| Err(reason.clone().of(Some(new.live.id()), ""));
            return Created {
                each: news.iter().map(refused).collect(),
                ..Created::default()
            };
        }
    };
    let mut files = Vec::new();
    for (number, new) in news.iter().enumerate() {
        match making.file(number, new) {
            Ok(file) => files.push(file),
            Err(why) => making.settle(number, Err(why)),
        }
    }
    making.ask(&files);
    let files = files.into_iter();
    let files: Vec<File> = files.filter_map(|file| making.fitting(file)).collect();
    making.add_all(files);
    Created {
        files: making.files.into_files(),
        each: making.each.into_values().collect(),
    }
}

/// The path of the file of an object below that of the repository, by the template.
pub fn file_of(template: &str, object: &Object) -> Result<String, Refused> {
    name::file(template, object).map_err(|reason| reason.of(Some(object.id()), ""))
}

/// The same below a directory, which is `""` for the root.
pub fn file_in(directory: &str, template: &str, object: &Object) -> Result<String, Refused> {
    let file = file_of(template, object)?;
    Ok(match directory {
        "" => file,
        directory => format!("{directory}/{file}"),
    })
}

/// The file that an object is to become.
struct File {
    /// Which of the new objects it is.
    number: usize,
    id: Id,
    object: Object,
    path: String,
    bytes: Vec<u8>,
    /// The directory of the kustomization file that is to list it.
    list: Option<String>,
}

/// The making of files.
struct Making<'a> {
    repository: &'a Repository<'a>,
    root: String,
    within: String,
    /// The files with what is made so far.
    files: Overlaid<'a>,
    free: Free<'a>,
    lists: Lists<'a>,
    askers: Vec<Asker<'a>>,
    each: BTreeMap<usize, Result<Placed, Refused>>,
}

/// Why files do not stand.
enum Failure {
    Because(Reason),
    Unbuilt(Fault),
}

impl File {
    fn refused(&self, reason: Reason) -> Refused {
        reason.of(Some(self.id.clone()), "")
    }

    fn placed(&self) -> Placed {
        Placed {
            object: self.id.clone(),
            field: String::new(),
            place: Place::Manifest {
                file: self.path.clone(),
            },
        }
    }
}

impl Failure {
    /// What is said of one file.
    fn of(&self, file: &File) -> Refused {
        match self {
            Self::Because(reason) => file.refused(reason.clone()),
            Self::Unbuilt(fault) if fault.is_final => fault.clone().of(),
            Self::Unbuilt(_) => file.refused(Reason::NoPlace),
        }
    }

    /// Whether nothing more can be found out.
    fn is_final(&self) -> bool {
        matches!(self, Self::Unbuilt(fault) if fault.is_final)
    }
}

impl<'a> Making<'a> {
    fn begin(repository: &'a Repository<'a>, builders: &[Builder<'a>]) -> Result<Self, Reason> {
        let root = join("", repository.path).ok_or_else(outside)?;
        let own = Asker::own(repository, &root);
        let others = builders.iter().filter_map(Asker::other);
        Ok(Self {
            within: join("", repository.within).ok_or_else(outside)?,
            files: Overlaid::new(repository.tree),
            free: Free::new(repository.all, root.clone()),
            lists: Lists::new(repository, root.clone()),
            askers: own.into_iter().chain(others).collect(),
            each: BTreeMap::new(),
            root,
            repository,
        })
    }

    fn settle(&mut self, number: usize, what: Result<Placed, Refused>) {
        self.each.insert(number, what);
    }

    /// The file of an object, if its name is a path that is free.
    fn file(&mut self, number: usize, new: &New<'_>) -> Result<File, Refused> {
        let id = new.live.id();
        let refuse = |reason: Reason| reason.of(Some(id.clone()), "");
        if is_secret(&id) {
            return Err(refuse(Reason::Secret));
        }
        let shown = name::file(new.template, new.live).map_err(refuse)?;
        let path = join(&self.root, &shown).ok_or_else(|| refuse(outside()))?;
        if below(&self.within, &path).is_none() {
            return Err(refuse(Reason::Outside { file: path }));
        }
        self.free.take(&path).map_err(refuse)?;
        let whole = stripped(new.live);
        let object = match new.lean {
            Some(lean) => as_said(&whole, lean, None),
            None => whole,
        };
        let bytes = to_yaml(std::slice::from_ref(&object)).into_bytes();
        let list = self.lists.of(&path).map_err(refuse)?;
        Ok(File {
            number,
            id,
            object,
            path,
            bytes,
            list,
        })
    }

    /// Has everybody who may build any of the files say what comes out before.
    fn ask(&mut self, files: &[File]) {
        self.askers.retain(|asker| asker.is_about(files));
        for asker in &mut self.askers {
            asker.begin(&self.files);
        }
        if files.iter().any(|file| file.list.is_some()) {
            let roots: Vec<&str> = self.askers.iter().map(Asker::root).collect();
            self.lists.find_users(self.repository, &roots);
        }
    }

    /// The file, if everybody who may build it can be built, and has no such object.
    fn fitting(&mut self, file: File) -> Option<File> {
        let mut askers = self.askers.iter();
        match askers.find_map(|asker| asker.against(&file)) {
            None => Some(file),
            Some(why) => {
                self.settle(file.number, Err(why));
                None
            }
        }
    }

    /// Adds all of them that can be: together, and where that does not go, in halves.
    fn add_all(&mut self, files: Vec<File>) {
        let mut waiting = vec![files];
        while let Some(mut batch) = waiting.pop() {
            match self.add(&batch) {
                Ok(()) => {
                    for file in &batch {
                        self.settle(file.number, Ok(file.placed()));
                    }
                }
                Err(why) if batch.len() <= 1 || why.is_final() => {
                    for file in &batch {
                        self.settle(file.number, Err(why.of(file)));
                    }
                }
                Err(_) => {
                    let rest = batch.split_off(batch.len() / 2);
                    waiting.push(rest);
                    waiting.push(batch);
                }
            }
        }
    }

    /// Adds files, if whoever builds them gives their objects as they are, and everything else as before.
    fn add(&mut self, batch: &[File]) -> Result<(), Failure> {
        let edits = self.lists.edits(&self.files, &self.within, batch);
        let mut edits = edits.map_err(Failure::Because)?;
        let made = batch.iter();
        edits.extend(made.map(|file| (file.path.clone(), Some(file.bytes.clone()))));
        let files = self.files.with(&edits);
        let mut after = Vec::new();
        for asker in &self.askers {
            after.push(asker.with(&files, batch)?);
        }
        for (asker, after) in self.askers.iter_mut().zip(after) {
            asker.accept(after);
        }
        self.files = files;
        Ok(())
    }
}

fn outside() -> Reason {
    Reason::Name {
        why: "the path leads out of the repository".to_owned(),
    }
}

#[cfg(test)]
mod tests;
