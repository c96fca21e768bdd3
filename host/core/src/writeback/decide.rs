//! What is written: rules and what the cluster has in, edits of files out.
//!
//! All changes of one object are written, or none of them; what is refused of one stops no other. Objects that one
//! Kustomization applies are tried together, since one place may be the place of several. It deliberately reads nothing and
//! commits nothing, and asks for no rights: what was seen was read as the tenant's account.

mod added;
mod bound;
mod held;
mod made;
mod round;

pub use held::was_same;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_kustomize::{Object, Options, Remotes, Tree};
use reeve_writeback::{Edits, Overlaid, Place, Reason, Refused, Repository, is_secret};
use serde_json::Value;

use super::agreement::Conflict;
use super::hand::Hand;
use super::rule::Rules;
use super::subject;
use crate::deliver::MARK;
use crate::inventory::ObjectId;
use round::Round;

/// The files at the newest commit of the branch, and who builds what of them.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The files of the repository that are built.
    pub tree: &'a dyn Tree,
    /// All of them: who else uses a file, and where one lies already, is looked for there.
    pub all: &'a dyn Tree,
    /// The directory below which files are written, and none outside of it; empty for all of them.
    pub path: &'a str,
    /// The names of new objects' files below it.
    pub template: &'a str,
    /// What is built of them and applied.
    pub builds: &'a [Build<'a>],
    /// Directories of this repository that are built, and by none of the `builds`: no new file is made where one of them would take it.
    pub others: &'a [String],
    /// Where others make the files of new objects.
    pub elsewhere: &'a [Elsewhere],
    /// What files of objects that nobody builds gave when both were the same, by their paths. Of one that is not among them nobody
    /// knows: what it gives counts as the same.
    pub agreed: &'a BTreeMap<String, Object>,
    /// Such files of which that was known once and is not any more, and whether it is known that there was one: what differs in them
    /// either side may have changed, so that all of it is told as a conflict.
    pub forgotten: &'a BTreeMap<String, bool>,
}

/// Where somebody else makes the files of new objects in the same repository: what is in one of theirs is not written twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Who, as `WriteBack acme/back`.
    pub by: String,
    /// The directory below which their files lie.
    pub path: String,
    /// The names of the files below it.
    pub template: String,
}

/// A directory that is built, and whose objects are on the cluster.
#[derive(Clone, Copy)]
pub struct Build<'a> {
    /// The directory.
    pub path: &'a str,
    /// What was fetched for it.
    pub remotes: &'a Remotes,
    /// How it is built.
    pub options: &'a Options,
    /// Directories of this repository that others build.
    pub others: &'a [String],
    /// The files as they were when cluster and git were the same: those of the revision that was applied. Nothing where that is
    /// the newest commit.
    pub base: Option<&'a dyn Tree>,
    /// The files with which the cluster was compared, where these are newer than the base; nothing where it was compared with that.
    pub compared: Option<&'a dyn Tree>,
}

/// An object that rules are asked about.
#[derive(Clone)]
pub struct Seen {
    /// Its resource, in the plural.
    pub resource: String,
    /// How it stands.
    pub state: State,
}

/// How an object stands between the cluster and git.
#[derive(Clone)]
pub enum State {
    /// One of the builds has it, and it is there.
    Held {
        /// Which, by its place in the head's list.
        build: usize,
        /// As it was applied: after variables and plugins.
        applied: Box<Object>,
        /// The same as a dry run of applying it gives it back.
        defaulted: Option<Box<Object>>,
        /// As it is.
        live: Box<Object>,
    },
    /// It is there, and no build has it; a file of ours may.
    Made {
        /// As it is.
        live: Box<Object>,
        /// The same without what the server fills in; nothing where all of it is written.
        lean: Option<Box<Object>>,
    },
    /// It was there, and is gone.
    Gone {
        /// The build that has it, if one has.
        build: Option<usize>,
        /// As it was applied or written; its identity is enough.
        object: Box<Object>,
    },
}

/// What may be written whatever rules say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The namespaces of the tenant.
    pub namespaces: BTreeSet<String>,
    /// Whether what is in no namespace may be.
    pub cluster_scoped: bool,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What is to be committed.
    pub edits: Edits,
    /// Of which objects.
    pub written: Vec<Written>,
    /// What is not written, and why.
    pub refused: Vec<Refusal>,
    /// What both sides had changed, of what is written.
    pub conflicts: Vec<Conflict>,
    /// Objects that somebody has taken out.
    pub paused: Vec<Object>,
    /// How many objects were not looked at, since there are so many.
    pub left: usize,
    /// Which those are.
    pub over: BTreeSet<ObjectId>,
    /// The files of objects that nobody builds which are as the cluster with these edits: not where git alone has changed something.
    pub agreed: BTreeSet<String>,
    /// Objects of builds of which git alone has changed something.
    pub ahead: BTreeSet<ObjectId>,
}

/// An object whose change is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Which, as it is or was. Never a Secret.
    pub object: Object,
    /// What happened to it.
    pub what: What,
    /// Its fields; none of what comes or goes as a whole.
    pub fields: Vec<Field>,
    /// The files that it went to.
    pub files: Vec<String>,
    /// Who did it, where no field says.
    pub by: Option<Hand>,
    /// Why, in their words.
    pub why: Option<String>,
    /// Which user, in the words of an audit.
    pub user: Option<String>,
}

/// What happened to an object on the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It was changed.
    Changed,
    /// It was made.
    Made,
    /// It was deleted.
    Deleted,
}

/// A field that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Which, as `spec.replicas`.
    pub field: String,
    /// What the files gave.
    pub old: Option<Value>,
    /// What they give now.
    pub new: Option<Value>,
    /// Where it went.
    pub place: Place,
    /// Who changed it.
    pub by: Option<Hand>,
}

/// What is not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of which object.
    pub id: ObjectId,
    /// The same, as `Deployment acme/web`.
    pub object: String,
    /// Which field stands in the way; empty for the object as a whole.
    pub field: String,
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub hint: String,
}

/// Decides about everything that was seen: what others are bound to first, since whether that is in git is known once it is written.
pub fn decide(rules: &Rules, allowed: &Allowed, head: &Head<'_>, seen: &[Seen]) -> Decision {
    let mut work = Work::new(head);
    let mut round = Round::new(rules, allowed);
    let (first, rest): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|one| bound::is_first(one));
    for one in first {
        round.take(&mut work, one);
    }
    added::write_all(&mut work);
    work.kept = bound::kept(rules, allowed, seen, &work.decision);
    for one in rest {
        round.take(&mut work, one);
    }
    added::write_all(&mut work);
    for (build, held) in round.held {
        held::write_all(&mut work, build, held);
    }
    work.end()
}

impl Seen {
    /// The object, as it is or was.
    pub fn object(&self) -> &Object {
        match &self.state {
            State::Held { live, .. } | State::Made { live, .. } => live,
            State::Gone { object, .. } => object,
        }
    }
}

/// Whether the object may be written by anybody's rule.
fn admitted(allowed: &Allowed, object: &Object) -> Result<(), Box<Refusal>> {
    let refuse = |reason: &str, hint: &str| {
        Box::new(Refusal {
            id: ObjectId::of(object),
            object: subject(object),
            field: String::new(),
            reason: reason.to_owned(),
            hint: hint.to_owned(),
        })
    };
    if is_secret(&object.id()) {
        let why = Reason::Secret;
        return Err(refuse(&why.to_string(), why.hint()));
    }
    match object.namespace() {
        "" if allowed.cluster_scoped => Ok(()),
        "" => Err(refuse(
            "is in no namespace, and only WriteBacks of the platform write such",
            "keep it out of the rules, or let the platform write it",
        )),
        namespace if allowed.namespaces.contains(namespace) => Ok(()),
        _ => Err(refuse(
            "is in a namespace that is not of this tenant",
            "keep it out of the rules",
        )),
    }
}

/// The work on one set of objects.
struct Work<'a> {
    head: &'a Head<'a>,
    /// What is written so far.
    files: BTreeMap<String, Option<Vec<u8>>>,
    /// The files that are built, with that.
    tree: Overlaid<'a>,
    /// All files, with that.
    all: Overlaid<'a>,
    /// New objects, whose files are made together.
    adding: Vec<added::Adding>,
    /// What builds gave when both were the same, and give at the newest commit; asked for once.
    sides: BTreeMap<usize, Sides>,
    /// What of the seen is written, of kinds that others are bound to.
    kept: BTreeSet<bound::Name>,
    /// What of such kinds builds give; asked for once.
    given: OnceCell<BTreeSet<bound::Name>>,
    decision: Decision,
}

/// Objects before and after what was committed since; none of either where nothing was.
type Sides = (Vec<Object>, Vec<Object>);

impl<'a> Work<'a> {
    fn new(head: &'a Head<'a>) -> Self {
        Self {
            head,
            files: BTreeMap::new(),
            tree: Overlaid::new(head.tree),
            all: Overlaid::new(head.all),
            adding: Vec::new(),
            sides: BTreeMap::new(),
            kept: BTreeSet::new(),
            given: OnceCell::new(),
            decision: Decision::default(),
        }
    }

    /// The files with what is written so far.
    fn tree(&self) -> Overlaid<'a> {
        self.tree.clone()
    }

    /// All files, with what is written so far.
    fn all(&self) -> Overlaid<'a> {
        self.all.clone()
    }

    fn sides(&mut self, number: usize) -> &Sides {
        let head = self.head;
        self.sides.entry(number).or_insert_with(|| {
            let build = head.builds.get(number);
            match build.and_then(|build| Some((build, build.base?))) {
                Some((build, base)) => {
                    (held::objects(base, build), held::objects(head.tree, build))
                }
                None => Sides::default(),
            }
        })
    }

    fn refuse(&mut self, object: &Object, refused: &Refused) {
        let refusal = Refusal {
            id: ObjectId::of(object),
            object: subject(object),
            field: crate::text::line(&refused.field)
                .chars()
                .take(300)
                .collect(),
            reason: crate::text::line(&refused.reason.to_string()),
            hint: refused.reason.hint().to_owned(),
        };
        // What is tried once more may be refused for the same.
        if !self.decision.refused.contains(&refusal) {
            self.decision.refused.push(refusal);
        }
    }

    fn keep(&mut self, edits: Edits) {
        for over in [&mut self.tree, &mut self.all] {
            let files = edits.files.iter();
            over.put(files.map(|(path, bytes)| (path.as_str(), bytes.as_deref())));
        }
        self.files.extend(edits.files);
        self.decision.edits.placed.extend(edits.placed);
    }

    fn end(mut self) -> Decision {
        let tree = self.head.all;
        let before = |path: &str| -> Option<Arc<[u8]>> { tree.read(path).ok() };
        let files = std::mem::take(&mut self.files).into_iter();
        let changed = files.filter(|(path, bytes)| bytes.as_deref() != before(path).as_deref());
        self.decision.edits.files = changed.collect();
        self.decision
    }
}

/// How the engine is asked about a build, with the edits so far.
fn repository<'r>(
    head: &Head<'r>,
    build: &Build<'r>,
    (tree, all): (&'r dyn Tree, &'r dyn Tree),
) -> Repository<'r> {
    Repository {
        tree,
        all,
        remotes: build.remotes,
        path: build.path,
        options: build.options,
        others: build.others,
        within: head.path,
    }
}

/// The same edits, if none is of a file that a delivery writes: it would be written over.
fn not_delivered(work: &Work<'_>, edits: Edits) -> Result<Edits, Refused> {
    let is = |file: &String| {
        let bytes = work.head.all.read(file);
        bytes.is_ok_and(|bytes| bytes.starts_with(MARK.as_bytes()))
    };
    let places = edits.placed.iter().map(|placed| {
        let file = files(std::iter::once(&placed.place));
        (placed, file.into_iter().find(is))
    });
    let found = places
        .filter_map(|(placed, file)| Some((placed, file?)))
        .next();
    match found {
        Some((placed, file)) => Err(Refused {
            object: Some(Box::new(placed.object.clone())),
            field: placed.field.clone(),
            reason: Reason::Unwritable {
                why: format!(
                    "{file} is written by the delivery of another Kustomization, which would write over it"
                ),
            },
        }),
        None => Ok(edits),
    }
}

/// The files of places, each once.
fn files<'p>(places: impl Iterator<Item = &'p Place>) -> Vec<String> {
    let file = |place: &Place| match place {
        Place::Manifest { file }
        | Place::Patch { file }
        | Place::Entry { file, .. }
        | Place::Generator { file }
        | Place::NewPatch { file } => file.clone(),
    };
    let files: BTreeSet<String> = places.map(file).collect();
    files.into_iter().collect()
}

#[cfg(test)]
mod tests;
