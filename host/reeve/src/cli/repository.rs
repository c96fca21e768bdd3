//! A repository that a command writes to: the files at the head of a branch, what an edit makes of them, and one commit on top.
//!
//! What is edited is decided elsewhere, and again on every head that somebody else has moved meanwhile; nothing is forced. It
//! deliberately keeps nothing: what is fetched lies in a directory that goes away with it.

use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use reeve_api::reason::Reason;
use reeve_core::artifact::Revision;
use reeve_core::failure::{Explained, Turn};
use reeve_core::lines::unified;
use reeve_core::source::Reference;
use reeve_kustomize::{Kind, Tree};
use reeve_writeback::Edits;

use super::ui::CommandError;
use crate::clock::Clock;
use crate::git::commit::{self, Identity};
use crate::git::push::{Absent, Outcome, Push, push};
use crate::git::{self, Content, Limits, Mirrors, Remote, Snapshot};

/// Who commits when nobody says so.
const NOBODY: (&str, &str) = ("reeve", "reeve@localhost");

/// Who commits.
#[derive(Args, Default)]
pub(super) struct AuthorArgs {
    /// Who commits, as `Ada <ada@example.com>`; without, who $GIT_AUTHOR_NAME and $GIT_AUTHOR_EMAIL say
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,
}

/// A branch of a repository.
pub(super) struct Repository {
    remote: Arc<Remote>,
    branch: String,
    /// Which files edits do not see, as for GitRepositories.
    ignore: Option<String>,
    mirrors: Mirrors,
    limits: Limits,
    _directory: tempfile::TempDir,
}

impl AuthorArgs {
    /// Who commits.
    pub(super) fn identity(&self) -> Result<Identity, CommandError> {
        let of = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let environment = || Some((of("GIT_AUTHOR_NAME")?, of("GIT_AUTHOR_EMAIL")?));
        let (name, email) = match &self.author {
            Some(author) => parted(author)?,
            None => environment().unwrap_or_else(|| (NOBODY.0.to_owned(), NOBODY.1.to_owned())),
        };
        Identity::new(&name, &email).map_err(|why| CommandError::of("the author", &why))
    }
}

/// `Name <address>`.
fn parted(author: &str) -> Result<(String, String), CommandError> {
    let parts = author
        .strip_suffix('>')
        .and_then(|rest| rest.split_once('<'));
    let (name, email) = parts
        .ok_or_else(|| CommandError::new(format!("--author {author:?} is not `Name <address>`")))?;
    Ok((name.trim().to_owned(), email.to_owned()))
}

impl Repository {
    pub(super) fn open(
        remote: Arc<Remote>,
        branch: &str,
        ignore: Option<String>,
    ) -> Result<Self, CommandError> {
        let failed = |why: std::io::Error| CommandError::of("preparing to fetch failed", &why);
        let directory = tempfile::tempdir().map_err(failed)?;
        Ok(Self {
            remote,
            branch: branch.to_owned(),
            ignore,
            mirrors: Mirrors::open(directory.path(), 1).map_err(failed)?,
            limits: Limits::default(),
            _directory: directory,
        })
    }

    /// The branch that the server has new clones begin with.
    pub(super) async fn default_branch(
        remote: &Arc<Remote>,
        deadline: Instant,
    ) -> Result<String, Explained> {
        let directory = tempfile::tempdir();
        let mirrors = directory.and_then(|dir| Mirrors::open(dir.path(), 1).map(|all| (all, dir)));
        let (mirrors, _directory) = mirrors.map_err(|why| unprepared(&why))?;
        let head = Reference::Name("HEAD".to_owned());
        let limits = Limits::default();
        let found = git::resolve(&mirrors, remote, &head, deadline, &limits).await;
        let found = found.map_err(|why| Explained::of(&why))?;
        let branch = found.branch().map(str::to_owned);
        branch.ok_or_else(|| {
            let message = "the server does not say which branch is the usual one";
            Explained::new(Reason::GitOperationFailed, Turn::Owner, message)
                .with_hint("write `branch` in the configuration")
        })
    }

    /// The files at the head of the branch; those of `known`, if it is still there.
    pub(super) async fn head(
        &self,
        known: Option<&Snapshot>,
        deadline: Instant,
    ) -> Result<Snapshot, Explained> {
        let failed = |why: git::Error| Explained::of(&why);
        let (mirrors, limits) = (&self.mirrors, &self.limits);
        let what = (self.branch.as_str(), self.ignore.as_deref());
        let head = git::head(mirrors, &self.remote, what, known, deadline, limits).await;
        head.map_err(failed)
    }

    /// The files of a revision that the branch had before; None: they cannot be had any more.
    pub(super) async fn earlier(&self, revision: &Revision, deadline: Instant) -> Option<Snapshot> {
        let found = git::Resolved::earlier(revision).ok()?;
        let content = Content {
            ignore: self.ignore.clone(),
            ..Content::default()
        };
        let (mirrors, limits) = (&self.mirrors, &self.limits);
        let fetched = git::fetch(mirrors, &self.remote, found, content, deadline, limits).await;
        fetched.ok()
    }

    /// Puts one commit on the branch, of what `edit` makes of its files; None: it changes nothing. `edit` is asked again for
    /// every head that others have moved the branch to, and may say another message for it.
    pub(super) async fn commit<E>(
        &self,
        author: &Identity,
        message: String,
        edit: E,
        deadline: Instant,
    ) -> Result<Option<Revision>, Explained>
    where
        E: Fn(&Snapshot) -> Result<(Edits, Option<String>), Explained> + Send + Sync + 'static,
    {
        let what = Push {
            branch: self.branch.clone(),
            absent: Absent::Refuse,
            ignore: self.ignore.clone(),
            author: author.clone(),
            committer: author.clone(),
            message,
            signer: None,
            options: Vec::new(),
            spread: rand::random(),
        };
        let edit = move |files: Option<&Snapshot>| -> Result<commit::Edits, Explained> {
            match files {
                Some(files) => {
                    let (edits, message) = edit(files)?;
                    let edits = of_commit(&edits);
                    Ok(match message {
                        Some(message) => edits.saying(message),
                        None => edits,
                    })
                }
                None => Ok(commit::Edits::new()),
            }
        };
        let (clock, limits) = (Clock::system(), &self.limits);
        let pushed = push(
            &self.mirrors,
            &self.remote,
            what,
            edit,
            &clock,
            deadline,
            limits,
        )
        .await;
        match pushed.map_err(|why| Explained::of(&why))? {
            Outcome::Pushed { revision, .. } => Ok(Some(revision)),
            Outcome::Unchanged => Ok(None),
        }
    }
}

fn unprepared(why: &std::io::Error) -> Explained {
    let message = format!("preparing to fetch failed: {why}");
    Explained::new(Reason::DirectoryCreationFailed, Turn::Retry, message)
}

/// The edits, as a commit takes them.
fn of_commit(edits: &Edits) -> commit::Edits {
    let files = edits.files.iter();
    files.fold(commit::Edits::new(), |all, (path, text)| match text {
        Some(text) => all.write(path, text.clone()),
        None => all.remove(path),
    })
}

/// The edits as `git diff` would show them.
pub(super) fn shown(tree: &dyn Tree, edits: &Edits) -> Result<String, CommandError> {
    let mut out = String::new();
    for (path, after) in &edits.files {
        let before = match tree.kind(path) {
            Some(Kind::File) => {
                let read = tree.read(path);
                Some(read.map_err(|why| CommandError::of("reading the repository failed", &why))?)
            }
            _ => None,
        };
        let texts = (text(before.as_deref()), text(after.as_deref()));
        match texts {
            (Ok(before), Ok(after)) => out.push_str(&unified(path, before, after)),
            _ => out.push_str(&format!("Binary files a/{path} and b/{path} differ\n")),
        }
    }
    Ok(out)
}

fn text(bytes: Option<&[u8]>) -> Result<Option<&str>, std::str::Utf8Error> {
    bytes.map(std::str::from_utf8).transpose()
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::MemoryTree;

    use super::*;

    #[test]
    fn an_author_is_a_name_and_an_address() {
        let of = |author: &str| {
            let author = Some(author.to_owned());
            AuthorArgs { author }.identity()
        };
        let want = Identity::new("Ada L", "ada@example.com").unwrap();
        assert_eq!(of("Ada L <ada@example.com>").unwrap(), want);
        for wrong in ["", "Ada", "Ada <>", "<a@b>", "A\nda <a@b>"] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn edits_are_shown_as_git_shows_them() {
        let tree: MemoryTree = [("a.yaml", "a: 1\n"), ("gone.yaml", "b: 1\n")]
            .into_iter()
            .collect();
        let files = [
            ("a.yaml".to_owned(), Some(b"a: 2\n".to_vec())),
            ("gone.yaml".to_owned(), None),
            ("new.bin".to_owned(), Some(vec![0xff])),
        ];
        let edits = Edits {
            files: files.into(),
            placed: Vec::new(),
        };
        let want = "--- a/a.yaml\n+++ b/a.yaml\n@@ -1,1 +1,1 @@\n-a: 1\n+a: 2\n\
                    --- a/gone.yaml\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-b: 1\n\
                    Binary files a/new.bin and b/new.bin differ\n";
        assert_eq!(shown(&tree, &edits).unwrap(), want);
    }
}
