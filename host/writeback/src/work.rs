//! The work on one set of changes: what comes out of the files now, what shall, and each edit that is tried.
//!
//! An edit stands if nothing comes out that is neither as before nor as wanted. Which edits are tried is `place.rs`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_kustomize::{Built, Id, Kind, Object, Options, Remotes, Tree, Why, build_with};
use serde_json::Value;

use crate::change::{self, is_secret};
use crate::difference::{Difference, differences};
use crate::kustomization::{Kustomization, below, join};
use crate::overlaid::Overlaid;
use crate::refused::{Reason, Refused};
use crate::trace::Trace;
use crate::users::Users;
use crate::{Change, Place, Repository};

/// How many fields may differ.
const DIFFERENCES: usize = 1_000;
/// How many edits are tried.
const ATTEMPTS: usize = 5_000;

/// The state of the work.
pub(crate) struct Work<'a> {
    repository: &'a Repository<'a>,
    root: String,
    files: Overlaid<'a>,
    users: Users,
    built: Vec<Object>,
    wanted: Vec<Value>,
    remaining: Vec<Difference>,
    traces: Vec<Trace>,
    attempts: usize,
}

/// An edit to try.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) files: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) place: Place,
    /// Whether it is a patch that would not be built if it did not meet the object.
    pub(crate) meets: bool,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It stands.
    Fits,
    /// The value is not what is wanted.
    Unmoved,
    /// Something else is not what is wanted.
    Spills,
    /// Other objects come out.
    Renames,
    /// Nothing can be built.
    Breaks,
}

/// Files, what comes out of them, and what lacks.
type After<'a> = (Overlaid<'a>, Vec<Object>, Vec<Difference>);

impl<'a> Work<'a> {
    pub(crate) fn begin(
        repository: &'a Repository<'a>,
        changes: &[Change],
    ) -> Result<Self, Refused> {
        let mut work = Self::of(repository)?;
        for change in changes {
            let id = change.applied.id();
            if is_secret(&id) {
                return Err(Reason::Secret.of(Some(id), ""));
            }
            let mut found = work.built.iter().enumerate();
            let same = found
                .by_ref()
                .find(|(_, object)| is_same(object, &change.applied));
            let again = found.any(|(_, object)| is_same(object, &change.applied));
            let Some((number, object)) = same.filter(|_| !again) else {
                return Err(Reason::Absent.of(Some(id), ""));
            };
            let wanted = change::wanted(object, change)?;
            if let Some(slot) = work.wanted.get_mut(number) {
                *slot = wanted;
            }
        }
        work.remaining = work.left(&work.built).unwrap_or_default();
        if work.remaining.len() > DIFFERENCES {
            let (what, limit) = ("fields that differ", DIFFERENCES);
            return Err(Reason::Limit { what, limit }.of(None, ""));
        }
        if !work.remaining.is_empty() {
            work.trace_all()?;
        }
        Ok(work)
    }

    /// The repository as it is, and nothing wanted of it.
    pub(crate) fn of(repository: &'a Repository<'a>) -> Result<Self, Refused> {
        let refuse = |reason: Reason| reason.of(None, "");
        let outside = || Reason::Name {
            why: "the path leads out of the repository".to_owned(),
        };
        let root = join("", repository.path).ok_or_else(|| refuse(outside()))?;
        let files = Overlaid::new(repository.tree);
        let built =
            render(repository.remotes, &files, &root, repository.options).map_err(Fault::of)?;
        Ok(Self {
            users: Users::find(repository, &[&root]).map_err(refuse)?,
            wanted: built.iter().cloned().map(Value::from).collect(),
            repository,
            root,
            files,
            built,
            remaining: Vec::new(),
            traces: Vec::new(),
            attempts: 0,
        })
    }

    /// Looks where each object comes from.
    pub(crate) fn trace_all(&mut self) -> Result<(), Refused> {
        let options = Options {
            provenance: true,
            ..self.repository.options.clone()
        };
        let traced = render(self.repository.remotes, &self.files, &self.root, &options)
            .map_err(Fault::of)?;
        let of = |object: &Object| Trace::of(object, &self.root);
        self.traces = traced.iter().map(of).collect();
        Ok(())
    }

    /// What is to be put.
    pub(crate) fn remaining(&self) -> &[Difference] {
        &self.remaining
    }

    pub(crate) fn into_files(self) -> BTreeMap<String, Option<Vec<u8>>> {
        self.files.into_files()
    }

    /// Whether a file lies where files may be written.
    pub(crate) fn may_write(&self, file: &str) -> bool {
        let within = join("", self.repository.within);
        within.is_some_and(|dir| below(&dir, file).is_some())
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    pub(crate) fn tree(&self) -> &Overlaid<'a> {
        &self.files
    }

    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    pub(crate) fn objects(&self) -> &[Object] {
        &self.built
    }

    pub(crate) fn object(&self, number: usize) -> Option<&Object> {
        self.built.get(number)
    }

    pub(crate) fn wanted(&self, number: usize) -> Option<&Value> {
        self.wanted.get(number)
    }

    pub(crate) fn id(&self, number: usize) -> Option<Id> {
        self.object(number).map(Object::id)
    }

    pub(crate) fn trace(&self, number: usize) -> Trace {
        self.traces.get(number).cloned().unwrap_or_default()
    }

    /// The kustomizations that are reached as they are now, the one that is built first.
    pub(crate) fn kustomizations(&self) -> Vec<Kustomization> {
        let read = |dir: &String| Kustomization::read(&self.files, dir);
        self.users.dirs().iter().filter_map(read).collect()
    }

    /// The bytes of a file of the tree.
    pub(crate) fn read(&self, file: &str) -> Option<Arc<[u8]>> {
        match self.files.kind(file) {
            Some(Kind::File) => self.files.read(file).ok(),
            _ => None,
        }
    }

    /// Tries an edit, and keeps it if it fits.
    pub(crate) fn try_one(
        &mut self,
        difference: &Difference,
        candidate: &Candidate,
    ) -> Result<Trial, Refused> {
        let (trial, after) = self.judge(difference, candidate)?;
        if let Some((files, built, remaining)) = after {
            (self.files, self.built, self.remaining) = (files, built, remaining);
        }
        Ok(trial)
    }

    /// Tries an edit, and keeps nothing.
    pub(crate) fn probe(
        &mut self,
        difference: &Difference,
        candidate: &Candidate,
    ) -> Result<Trial, Refused> {
        Ok(self.judge(difference, candidate)?.0)
    }

    fn judge(
        &mut self,
        difference: &Difference,
        candidate: &Candidate,
    ) -> Result<(Trial, Option<After<'a>>), Refused> {
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            let (what, limit) = ("edits to try", ATTEMPTS);
            return Err(Reason::Limit { what, limit }.of(self.id(difference.object), ""));
        }
        let files = self.files.with(&candidate.files);
        let options = self.repository.options;
        let built = match render(self.repository.remotes, &files, &self.root, options) {
            Ok(built) => built,
            Err(fault) if fault.is_final => return Err(fault.of()),
            Err(_) => return Ok((Trial::Breaks, None)),
        };
        let Some(left) = self.left(&built) else {
            return Ok((Trial::Renames, None));
        };
        let here = |one: &Difference| {
            one.object == difference.object && one.path.overlaps(&difference.path)
        };
        let spills = |one: &Difference| !here(one) && !self.remaining.contains(one);
        if left.iter().any(spills) {
            return Ok((Trial::Spills, None));
        }
        if left.iter().any(here) {
            return Ok((Trial::Unmoved, None));
        }
        Ok((Trial::Fits, Some((files, built, left))))
    }

    /// Builds the files with an edit, and keeps it if exactly these objects come out.
    pub(crate) fn keep_if(
        &mut self,
        candidate: &Candidate,
        is_wanted: impl Fn(&[Object]) -> bool,
    ) -> Trial {
        let files = self.files.with(&candidate.files);
        let options = self.repository.options;
        match render(self.repository.remotes, &files, &self.root, options) {
            Ok(built) if is_wanted(&built) => {
                self.files = files;
                self.built = built;
                Trial::Fits
            }
            Ok(_) => Trial::Spills,
            Err(_) => Trial::Breaks,
        }
    }

    /// What lacks to what is wanted; nothing if other objects come out.
    fn left(&self, built: &[Object]) -> Option<Vec<Difference>> {
        let same = |(before, after): (&Object, &Object)| before.id() == after.id();
        if built.len() != self.built.len() || !self.built.iter().zip(built).all(same) {
            return None;
        }
        let each = built.iter().zip(&self.wanted).enumerate();
        let left = each.flat_map(|(number, (object, wanted))| {
            differences(number, &Value::from(object.clone()), wanted)
        });
        Some(left.collect())
    }
}

/// Whether both are the same object, in whatever version of its kind.
pub(crate) fn is_same(one: &Object, other: &Object) -> bool {
    let (one, other) = (one.id(), other.id());
    let namespaces = one.namespace == other.namespace || one.namespace.is_empty();
    (&one.group, &one.kind, &one.name) == (&other.group, &other.kind, &other.name) && namespaces
}

/// Why nothing could be built.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    why: String,
    /// Whether nothing else can be built either: the caller has ended it.
    pub(crate) is_final: bool,
}

impl Fault {
    pub(crate) fn of(self) -> Refused {
        Reason::Build { why: self.why }.of(None, "")
    }
}

/// What the files give.
pub(crate) fn render(
    remotes: &Remotes,
    tree: &dyn Tree,
    root: &str,
    options: &Options,
) -> Result<Vec<Object>, Fault> {
    match build_with(tree, remotes, root, options) {
        Ok(Built::Objects(objects)) => Ok(objects.collect()),
        Ok(Built::Wants(_)) => Err(Fault {
            why: "remote resources were not fetched for it".to_owned(),
            is_final: false,
        }),
        Err(error) => Err(Fault {
            why: error.to_string(),
            is_final: *error.why() == Why::Stopped,
        }),
    }
}
