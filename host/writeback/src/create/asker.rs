//! Who builds what lies where new files go, and what they say to them.
//!
//! Each is built once before all files, and once for all that are added together. Whether a file comes out there is theirs: a list
//! above may leave it out. But where it does, it has to be the object as it is on the cluster, and nothing else may be another.

use std::collections::{BTreeMap, BTreeSet};

use reeve_kustomize::{Kind, Object, Tree};

use super::{Builder, Failure, File};
use crate::Repository;
use crate::kustomization::{Kustomization, below, join};
use crate::refused::{Reason, Refused};
use crate::work::{Fault, render};

/// Group, kind, namespace and name: the version of what is the same may be another.
type Name<'o> = (&'o str, &'o str, &'o str, &'o str);
/// The same of an object that is kept.
type OwnName = (String, String, String, String);

/// Somebody who may build new files.
pub(super) struct Asker<'a> {
    builder: Builder<'a>,
    root: String,
    /// Whether all files come out that are below it.
    has_all: bool,
    /// What came out last.
    before: Result<Vec<Object>, Fault>,
    /// Which objects came out before all new files.
    names: BTreeSet<OwnName>,
}

impl<'a> Asker<'a> {
    /// The directory of the new files itself, if it is built.
    pub(super) fn own(repository: &'a Repository<'a>, root: &str) -> Option<Self> {
        let is_built = repository.options.generate || Kustomization::is_in(repository.tree, root);
        is_built.then(|| Self {
            builder: Builder {
                path: repository.path,
                remotes: repository.remotes,
                options: repository.options,
            },
            root: root.to_owned(),
            has_all: true,
            before: Ok(Vec::new()),
            names: BTreeSet::new(),
        })
    }

    /// One of the others; none where its directory lies outside of the tree.
    pub(super) fn other(builder: &Builder<'a>) -> Option<Self> {
        Some(Self {
            root: join("", builder.path)?,
            builder: *builder,
            has_all: false,
            before: Ok(Vec::new()),
            names: BTreeSet::new(),
        })
    }

    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// Whether any of the files lies where it builds.
    pub(super) fn is_about(&self, files: &[File]) -> bool {
        files.iter().any(|file| self.is_above(file))
    }

    fn is_above(&self, file: &File) -> bool {
        below(&self.root, &file.path).is_some()
    }

    /// Builds what is there before anything is added.
    pub(super) fn begin(&mut self, tree: &dyn Tree) {
        // Whose directory comes with the first file gives nothing until then.
        let is_there = tree.kind(&self.root) == Some(Kind::Dir);
        self.before = match is_there || !self.builder.options.generate {
            true => self.build(tree),
            false => Ok(Vec::new()),
        };
        let own = |object: &Object| {
            let (group, kind, namespace, name) = name(object);
            let own = str::to_owned;
            (own(group), own(kind), own(namespace), own(name))
        };
        self.names = self.before.iter().flatten().map(own).collect();
    }

    /// What stands against a file before it is added.
    pub(super) fn against(&self, file: &File) -> Option<Refused> {
        if !self.is_above(file) {
            return None;
        }
        match &self.before {
            Err(fault) => Some(fault.clone().of()),
            Ok(_) if self.has(&file.object) => Some(file.refused(Reason::Present)),
            Ok(_) => None,
        }
    }

    /// Whether the object came out already, perhaps without its namespace.
    fn has(&self, object: &Object) -> bool {
        let (group, kind, namespace, name) = name(object);
        [namespace, ""].iter().any(|namespace| {
            let own = str::to_owned;
            let name = (own(group), own(kind), own(namespace), own(name));
            self.names.contains(&name)
        })
    }

    /// What comes out of the files with these added; nothing where it builds none of them.
    pub(super) fn with(
        &self,
        tree: &dyn Tree,
        batch: &[File],
    ) -> Result<Option<Vec<Object>>, Failure> {
        if !self.is_about(batch) {
            return Ok(None);
        }
        let after = self.build(tree).map_err(Failure::Unbuilt)?;
        let above = batch.iter().filter(|file| self.is_above(file));
        let new: BTreeMap<Name<'_>, &Object> = above
            .map(|file| (name(&file.object), &file.object))
            .collect();
        match self.is_as_wanted(&after, new) {
            true => Ok(Some(after)),
            false => Err(Failure::Because(Reason::Transformed)),
        }
    }

    /// What is added stands.
    pub(super) fn accept(&mut self, after: Option<Vec<Object>>) {
        if let Some(after) = after {
            self.before = Ok(after);
        }
    }

    /// Whether `after` is what came out before, with new objects anywhere in it.
    fn is_as_wanted<'o>(
        &self,
        after: &'o [Object],
        mut new: BTreeMap<Name<'o>, &'o Object>,
    ) -> bool {
        let mut before = self.before.iter().flatten().peekable();
        for object in after {
            if before.next_if(|one| *one == object).is_some() {
                continue;
            }
            if new.remove(&name(object)) != Some(object) {
                return false;
            }
        }
        before.next().is_none() && (new.is_empty() || !self.has_all)
    }

    fn build(&self, tree: &dyn Tree) -> Result<Vec<Object>, Fault> {
        let Builder {
            remotes, options, ..
        } = self.builder;
        render(remotes, tree, &self.root, options)
    }
}

fn name(object: &Object) -> Name<'_> {
    (
        object.group(),
        object.kind(),
        object.namespace(),
        object.name(),
    )
}
