//! Which kustomization file lists a new file, and its edit for all that come into it.
//!
//! The innermost one on the way to the file. Where there is none, nobody else may take all that lies in a directory on the way. What
//! is listed is not looked at here: who builds it is asked (`asker.rs`).

use std::collections::{BTreeMap, BTreeSet};

use reeve_kustomize::Tree as _;
use reeve_kustomize::edit::rewrite;
use serde_json::Value;

use super::File;
use crate::Repository;
use crate::kustomization::{Kustomization, below, join, parent};
use crate::overlaid::Overlaid;
use crate::path::Path;
use crate::refused::Reason;
use crate::users::Users;

/// A file and its new content.
type FileEdit = (String, Option<Vec<u8>>);

/// The lists of a tree, each looked for once.
pub(super) struct Lists<'a> {
    repository: &'a Repository<'a>,
    root: String,
    /// The directories that others build.
    others: BTreeSet<String>,
    /// For each directory of new files: that of its list, or who takes all that lies in it.
    found: BTreeMap<String, Found>,
    users: Option<Result<Users, Reason>>,
}

/// What there is on the way to a file.
enum Found {
    List(String),
    Nothing,
    TakenBy(String),
}

impl<'a> Lists<'a> {
    /// Those on the ways to files below `root`.
    pub(super) fn new(repository: &'a Repository<'a>, root: String) -> Self {
        let others = repository.others.iter().filter_map(|dir| join("", dir));
        Self {
            others: others.collect(),
            found: BTreeMap::new(),
            users: None,
            repository,
            root,
        }
    }

    /// The directory of the list of a file, if it is to be in one.
    pub(super) fn of(&mut self, file: &str) -> Result<Option<String>, Reason> {
        let dir = parent(file);
        if !self.found.contains_key(dir) {
            let found = self.look(dir);
            self.found.insert(dir.to_owned(), found);
        }
        match self.found.get(dir) {
            Some(Found::List(list)) => Ok(Some(list.clone())),
            Some(Found::TakenBy(by)) => Err(Reason::Shared {
                file: file.to_owned(),
                by: by.clone(),
            }),
            Some(Found::Nothing) | None => Ok(None),
        }
    }

    fn look(&self, dir: &str) -> Found {
        let mut at = dir;
        loop {
            // What lies beside the new files is not theirs to list them in.
            let is_own = below(&self.root, at).is_some() || at == self.root;
            match is_own {
                true if Kustomization::is_in(self.repository.tree, at) => {
                    return Found::List(at.to_owned());
                }
                false if Kustomization::is_in(self.repository.all, at) => return Found::Nothing,
                _ => {}
            }
            if self.others.contains(at) {
                let by = if at.is_empty() { "." } else { at };
                return Found::TakenBy(by.to_owned());
            }
            if at.is_empty() {
                return Found::Nothing;
            }
            at = parent(at);
        }
    }

    /// Finds out who else uses what is reached from these directories.
    pub(super) fn find_users(&mut self, repository: &Repository<'_>, roots: &[&str]) {
        let mut all = roots.to_vec();
        all.push(&self.root);
        self.users = Some(Users::find(repository, &all));
    }

    /// The edits of all lists that these files come into.
    pub(super) fn edits(
        &self,
        tree: &Overlaid<'_>,
        within: &str,
        batch: &[File],
    ) -> Result<Vec<FileEdit>, Reason> {
        let mut lists: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for file in batch {
            if let Some(list) = &file.list {
                let shown = below(list, &file.path).unwrap_or(&file.path);
                lists.entry(list).or_default().push(shown);
            }
        }
        let edits = lists.into_iter();
        let edits = edits.map(|(dir, files)| self.edit(tree, within, dir, &files));
        edits.collect()
    }

    fn edit(
        &self,
        tree: &Overlaid<'_>,
        within: &str,
        dir: &str,
        files: &[&str],
    ) -> Result<FileEdit, Reason> {
        let kustomization = Kustomization::read(tree, dir).ok_or(Reason::NoPlace)?;
        let file = tree.home(&kustomization.file).ok_or(Reason::NoPlace)?;
        if below(within, &file).is_none() {
            return Err(Reason::Outside { file });
        }
        let by = match &self.users {
            Some(Ok(users)) => users.other_user(&file),
            Some(Err(why)) => return Err(why.clone()),
            None => None,
        };
        if let Some(by) = by {
            let by = by.to_owned();
            return Err(Reason::Shared { file, by });
        }
        let mut resources = kustomization.items("resources").to_vec();
        resources.extend(files.iter().map(|file| Value::from(*file)));
        let mut value = kustomization.value.clone();
        Path::of_fields(&["resources"]).set(&mut value, Value::Array(resources), None);
        let unwritable = |why: String| Reason::Unwritable { why };
        let bytes = tree.read(&kustomization.file);
        let bytes = bytes.map_err(|why| unwritable(why.to_string()))?;
        let new = rewrite(&bytes, &kustomization.file, kustomization.number, &value);
        let new = new.map_err(|why| unwritable(why.to_string()))?;
        Ok((file, Some(new)))
    }
}
