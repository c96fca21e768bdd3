//! One commit of ours, made in memory: the files that change, the trees that lead to them, and the commit itself.
//!
//! All else in it stays the very objects that the commit below it has, so a mirror without history, or without most of
//! the files, is enough to build upon. What it deliberately doesn't: write to the mirror (what we made comes back with the
//! next fetch, as the server has it), merge, or know a server. The next stage is [`push`](super::push).

mod error;
mod signature;
mod tree;

use std::collections::BTreeMap;
use std::fmt;

use gix::objs::Kind;
use gix::{ObjectId, hash};
use jiff::Timestamp;

use super::Cause;
pub use error::Error;
pub use signature::Signer;
pub(super) use tree::Trees;

/// What is to change in the files of a branch, path by path. Files that are not named stay as they are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Edits {
    changes: BTreeMap<String, Change>,
    /// What the commit says, where that depends on what changes.
    message: Option<String>,
}

/// What is to become of one file.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Change {
    Write(Vec<u8>),
    Remove,
}

/// Who wrote a commit, or committed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    name: String,
    email: String,
}

/// The longest message of a commit.
const MAX_MESSAGE: usize = 64 << 10;
/// The longest name or address.
const MAX_IDENTITY: usize = 200;

impl Edits {
    /// Nothing is to change.
    pub fn new() -> Self {
        Self::default()
    }

    /// The file at `path`, `/`-separated from the root, is to hold `content`. One that is there keeps its mode; one that is
    /// not is made, with the directories that lead to it.
    #[must_use]
    pub fn write(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.changes
            .insert(path.into(), Change::Write(content.into()));
        self
    }

    /// The file at `path` is not to be there; nothing changes if it is not.
    #[must_use]
    pub fn remove(mut self, path: impl Into<String>) -> Self {
        self.changes.insert(path.into(), Change::Remove);
        self
    }

    /// The commit is to say this, and not what the push says: who edits what is there knows only then what changes.
    #[must_use]
    pub fn saying(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Whether no path is named.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What the commit is to say, if they say so.
    pub(super) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl fmt::Debug for Edits {
    /// The paths; what is in a file is nobody else's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.changes.keys()).finish()
    }
}

impl Identity {
    /// A name and an address of e-mail, as they stand in a commit.
    ///
    /// # Errors
    /// When one of them is empty, long, or holds what would end it.
    pub fn new(name: &str, email: &str) -> Result<Self, Error> {
        for (what, text) in [("name", name), ("address", email)] {
            let ends = |c: char| c.is_control() || matches!(c, '<' | '>');
            let why = if text.is_empty() {
                "it is empty"
            } else if text.len() > MAX_IDENTITY {
                "it is longer than 200 bytes"
            } else if text.contains(ends) || text.trim() != text {
                "it holds control characters, `<` or `>`, or white space at an end"
            } else {
                continue;
            };
            return Err(Error::Words { what, why });
        }
        Ok(Self {
            name: name.to_owned(),
            email: email.to_owned(),
        })
    }
}

/// Whether `message` can be a commit's.
pub(super) fn check_message(message: &str) -> Result<(), Error> {
    let why = if message.trim().is_empty() {
        "it is empty"
    } else if message.len() > MAX_MESSAGE {
        "it is longer than 64 KiB"
    } else if message.contains('\0') {
        "it holds a NUL"
    } else {
        return Ok(());
    };
    Err(Error::Words {
        what: "message",
        why,
    })
}

/// An object that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) id: ObjectId,
    pub(super) kind: Kind,
    pub(super) data: Vec<u8>,
}

impl Object {
    fn new(hash: hash::Kind, kind: Kind, data: Vec<u8>) -> Result<Self, Error> {
        let id = gix::objs::compute_hash(hash, kind, &data);
        // It refuses data that was made to collide with other data.
        let id = id.map_err(|_| Cause::Internal)?;
        Ok(Self { id, kind, data })
    }
}

/// A commit before it has a name.
pub(super) struct Draft<'a> {
    pub(super) tree: ObjectId,
    pub(super) parent: Option<ObjectId>,
    pub(super) author: &'a Identity,
    pub(super) committer: &'a Identity,
    pub(super) at: Timestamp,
    pub(super) message: &'a str,
}

impl Draft<'_> {
    /// The commit, signed if there is a `signer`.
    pub(super) fn finish(&self, signer: Option<&Signer>) -> Result<Object, Error> {
        let mut text = self.text("");
        if let Some(signer) = signer {
            let signature = signer.sign(text.as_bytes(), self.at)?;
            text = self.text(&signed(self.tree.kind(), &signature));
        }
        Object::new(self.tree.kind(), Kind::Commit, text.into_bytes())
    }

    fn text(&self, more: &str) -> String {
        let Self { tree, message, .. } = self;
        let at = self.at.as_second().max(0);
        let by = |who: &Identity| format!("{} <{}> {at} +0000", who.name, who.email);
        let parent = self.parent.map(|id| format!("parent {id}\n"));
        let end = if message.ends_with('\n') { "" } else { "\n" };
        format!(
            "tree {tree}\n{}author {}\ncommitter {}\n{more}\n{message}{end}",
            parent.unwrap_or_default(),
            by(self.author),
            by(self.committer),
        )
    }
}

/// The header that holds a signature; its later lines are indented.
fn signed(hash: hash::Kind, signature: &str) -> String {
    let name = match hash {
        hash::Kind::Sha256 => "gpgsig-sha256",
        _ => "gpgsig",
    };
    let lines = signature.trim_end().replace('\n', "\n ");
    format!("{name} {lines}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(hex: &str) -> ObjectId {
        ObjectId::from_hex(hex.as_bytes()).unwrap()
    }

    #[test]
    fn a_commit_is_written_as_git_writes_it() {
        let (ada, bot) = (
            Identity::new("Ada Lovelace", "ada@example.com").unwrap(),
            Identity::new("reeve", "reeve@example.com").unwrap(),
        );
        let draft = Draft {
            tree: id("4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
            parent: Some(id("1111111111111111111111111111111111111111")),
            author: &ada,
            committer: &bot,
            at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            message: "Say what\n\nand why",
        };
        let made = draft.finish(None).unwrap();
        // What `git hash-object -t commit` says of it.
        assert_eq!(
            made.id.to_string(),
            "fe16933257c9d42eb19c9a3a23d4d189917bb413"
        );
        let text = String::from_utf8(made.data).unwrap();
        assert!(
            text.ends_with(" 1767323045 +0000\n\nSay what\n\nand why\n"),
            "{text}"
        );
        let root = Draft {
            parent: None,
            ..draft
        };
        assert_ne!(root.finish(None).unwrap().id, made.id);
    }

    #[test]
    fn a_signature_stands_in_the_commit_line_by_line() {
        let header = signed(hash::Kind::Sha1, "-----BEGIN\nabc\n\n-----END\n");
        assert_eq!(header, "gpgsig -----BEGIN\n abc\n \n -----END\n");
        assert!(signed(hash::Kind::Sha256, "x").starts_with("gpgsig-sha256 x\n"));
    }

    #[test]
    fn a_name_that_would_end_its_line_is_nobodys() {
        for (name, email) in [
            ("", "a@b"),
            ("a", ""),
            ("a\nparent 0", "a@b"),
            ("a <x>", "a@b"),
            ("a", "a@b> 0 +0000"),
            (" a", "a@b"),
            ("a\0", "a@b"),
        ] {
            assert!(Identity::new(name, email).is_err(), "{name:?} {email:?}");
        }
        assert!(Identity::new(&"a".repeat(201), "a@b").is_err());
        assert!(Identity::new("Zoë O'Brien (bot)", "zoe+bot@example.com").is_ok());
        for message in ["", " \n", "a\0b"] {
            assert!(check_message(message).is_err(), "{message:?}");
        }
    }

    #[test]
    fn what_is_in_a_file_is_not_told() {
        let edits = Edits::new().write("a", "hunter2").remove("b");
        assert_eq!(format!("{edits:?}"), r#"{"a", "b"}"#);
    }
}
