//! What becomes of the pull request of a WriteBack: opened, brought up to date, left closed, or closed.
//!
//! A request proposes all that is to be written at once, in one commit on top of the newest one of its base. What it proposes has
//! a name by its changes, whatever files they are made in: by that it is known whether somebody has closed the very same. And one
//! by the files before and after, by which it is known whether its commit still fits. What others have put on its branch is theirs.
//! It deliberately asks no forge.

use reeve_api::writeback::WriteBackRequest;
use reeve_kustomize::Tree;
use sha2::{Digest as _, Sha256};

use super::decide::{Decision, What};
use super::subject;
use crate::framed::framed;

/// The files that only list others.
const LISTS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What is to be proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Tells one set of changes from another.
    pub content: String,
    /// Tells one commit of them from another.
    pub digest: String,
}

/// Where the branch of the request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tip {
    /// There is none.
    Absent,
    /// At this commit of ours.
    Ours(String),
    /// At this commit of somebody else's.
    Anothers(String),
}

/// What is to be done about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing is left to propose.
    Close,
    /// Somebody has closed it, and it would be the same again.
    Rest,
    /// Somebody else's commit is on its branch.
    Wait(String),
    /// It proposes that already, if it is still open.
    Look {
        /// Whether its commit does not fit any more.
        is_stale: bool,
        /// The commit that the branch is at.
        over: Option<String>,
    },
    /// The commit is there, and the request is yet to be opened.
    Ask,
    /// The commit is to be made, in place of that one.
    Push {
        /// The commit that the branch is at.
        over: Option<String>,
    },
}

impl Proposal {
    /// That of a decision on the files of `head`; nothing where nothing is to be written.
    pub fn of(decision: &Decision, head: &dyn Tree) -> Option<Self> {
        (!decision.edits.files.is_empty()).then(|| Self {
            content: content(decision),
            digest: digest(decision, head),
        })
    }
}

/// What is to be done. `known` is the request as it was told last, and `asked` whether somebody asks for it now.
pub fn step(
    known: Option<&WriteBackRequest>,
    tip: &Tip,
    wanted: Option<&Proposal>,
    asked: bool,
) -> Step {
    let Some(wanted) = wanted else {
        return Step::Close;
    };
    let same = known.filter(|known| known.content == wanted.content);
    if same.is_some_and(|known| known.closed) && !asked {
        return Step::Rest;
    }
    let over = match tip {
        Tip::Anothers(commit) => return Step::Wait(commit.clone()),
        Tip::Ours(commit) => Some(commit.clone()),
        Tip::Absent => None,
    };
    let is_at = |known: &WriteBackRequest| {
        let commit = known.revision.rsplit(':').next();
        known.digest == wanted.digest && over.is_some() && commit == over.as_deref()
    };
    let is_there = known.is_some_and(is_at);
    match same.is_some_and(|known| known.number.is_some()) {
        true if !asked => Step::Look {
            is_stale: !is_there,
            over,
        },
        _ if is_there => Step::Ask,
        _ => Step::Push { over },
    }
}

fn content(decision: &Decision) -> String {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    for one in &decision.written {
        let mut said = Vec::new();
        let mut say = |bytes: &[u8]| {
            said.extend((bytes.len() as u64).to_be_bytes());
            said.extend(bytes);
        };
        say(match one.what {
            What::Changed => b"changed",
            What::Made => b"made",
            What::Deleted => b"deleted",
        });
        say(one.object.group().as_bytes());
        for field in &one.fields {
            say(field.field.as_bytes());
            match &field.new {
                Some(new) => say(new.to_string().as_bytes()),
                None => say(b""),
            }
        }
        let is_list = |file: &str| LISTS.iter().any(|name| file.ends_with(name));
        // What comes as a whole has no fields that are told.
        let files = one
            .files
            .iter()
            .filter(|file| one.what == What::Made && !is_list(file));
        for file in files {
            let bytes = decision.edits.files.get(file).cloned().flatten();
            say(&bytes.unwrap_or_default());
        }
        all.push((subject(&one.object), said));
    }
    all.sort();
    let mut hash = Sha256::new();
    for (name, said) in all {
        framed(&mut hash, name);
        framed(&mut hash, said);
    }
    format!("sha256:{}", hex::encode(hash.finalize()))
}

fn digest(decision: &Decision, head: &dyn Tree) -> String {
    let mut hash = Sha256::new();
    for (path, after) in &decision.edits.files {
        let before = head.read(path).ok();
        framed(&mut hash, path);
        for bytes in [before.as_deref(), after.as_deref()] {
            hash.update([u8::from(bytes.is_some())]);
            framed(&mut hash, bytes.unwrap_or_default());
        }
    }
    format!("sha256:{}", hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::{MemoryTree, Object};
    use reeve_writeback::{Edits, Place};
    use serde_json::{Value, json};

    use super::super::decide::{Field, Written};
    use super::*;

    fn wanted(content: &str, digest: &str) -> Proposal {
        Proposal {
            content: content.to_owned(),
            digest: digest.to_owned(),
        }
    }

    fn known(content: &str, number: Option<i64>, closed: bool) -> WriteBackRequest {
        WriteBackRequest {
            branch: "reeve/acme/back".to_owned(),
            closed,
            content: content.to_owned(),
            digest: "files".to_owned(),
            number,
            revision: "reeve/acme/back@sha1:aa".to_owned(),
            url: None,
        }
    }

    #[test]
    fn a_request_is_opened_brought_up_to_date_and_closed_and_never_opened_again_for_the_same() {
        let (ours, absent) = (Tip::Ours("aa".to_owned()), Tip::Absent);
        let other = Tip::Ours("bb".to_owned());
        let over = |commit: &str| Some(commit.to_owned());
        let look = |is_stale, over| Step::Look { is_stale, over };
        let (open, shut) = (known("a", Some(7), false), known("a", Some(7), true));
        let unopened = known("a", None, false);
        let (same, moved) = (wanted("a", "files"), wanted("a", "others"));
        let next = wanted("b", "others");
        for (about, known, tip, wanted, asked, want) in [
            ("nothing yet", None, &absent, None, false, Step::Close),
            ("nothing left", Some(&open), &ours, None, true, Step::Close),
            (
                "the first",
                None,
                &absent,
                Some(&same),
                false,
                Step::Push { over: None },
            ),
            (
                "left over",
                None,
                &ours,
                Some(&same),
                false,
                Step::Push { over: over("aa") },
            ),
            (
                "the same",
                Some(&open),
                &ours,
                Some(&same),
                false,
                look(false, over("aa")),
            ),
            (
                "asked for",
                Some(&open),
                &ours,
                Some(&same),
                true,
                Step::Ask,
            ),
            (
                "moved base",
                Some(&open),
                &ours,
                Some(&moved),
                false,
                look(true, over("aa")),
            ),
            (
                "not as told",
                Some(&open),
                &other,
                Some(&same),
                false,
                look(true, over("bb")),
            ),
            (
                "branch is gone",
                Some(&open),
                &absent,
                Some(&same),
                false,
                look(true, None),
            ),
            (
                "another",
                Some(&open),
                &ours,
                Some(&next),
                false,
                Step::Push { over: over("aa") },
            ),
            (
                "nobody opened",
                Some(&unopened),
                &ours,
                Some(&same),
                false,
                Step::Ask,
            ),
            ("closed", Some(&shut), &ours, Some(&same), false, Step::Rest),
            (
                "closed, moved",
                Some(&shut),
                &absent,
                Some(&moved),
                false,
                Step::Rest,
            ),
            (
                "closed, asked",
                Some(&shut),
                &ours,
                Some(&same),
                true,
                Step::Ask,
            ),
            (
                "closed, gone",
                Some(&shut),
                &absent,
                Some(&same),
                true,
                Step::Push { over: None },
            ),
            (
                "closed, news",
                Some(&shut),
                &ours,
                Some(&next),
                false,
                Step::Push { over: over("aa") },
            ),
        ] {
            assert_eq!(step(known, tip, wanted, asked), want, "{about}");
        }
        let theirs = Tip::Anothers("cc".to_owned());
        for wanted in [&same, &next] {
            let told = step(Some(&open), &theirs, Some(wanted), false);
            assert_eq!(told, Step::Wait("cc".to_owned()));
        }
    }

    fn decision(what: What, new: Value, file: &str) -> Decision {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "acme"}});
        let place = Place::Manifest {
            file: "a.yaml".to_owned(),
        };
        let field = Field {
            field: "data.a".to_owned(),
            old: None,
            new: Some(new),
            place,
            by: None,
        };
        let lists = "kustomization.yaml".to_owned();
        Decision {
            edits: Edits {
                files: [
                    ("a.yaml".to_owned(), Some(file.as_bytes().to_vec())),
                    (lists.clone(), Some(b"resources".to_vec())),
                ]
                .into(),
                placed: Vec::new(),
            },
            written: vec![Written {
                object: Object::try_from(object).unwrap(),
                what,
                fields: vec![field],
                files: vec!["a.yaml".to_owned(), lists],
                by: None,
                why: None,
                user: None,
            }],
            ..Decision::default()
        }
    }

    #[test]
    fn the_same_changes_are_the_same_whatever_else_is_in_their_files() {
        let head =
            |text: &str| -> MemoryTree { [("a.yaml", text.to_owned())].into_iter().collect() };
        let of = |what, new, file: &str, head: &MemoryTree| {
            Proposal::of(&decision(what, new, file), head).unwrap()
        };
        let (one, two) = (head("1"), head("2"));
        let first = of(What::Changed, json!(1), "x", &one);
        let again = of(What::Changed, json!(1), "y", &one);
        let below = of(What::Changed, json!(1), "x", &two);
        assert_eq!(first.content, again.content);
        assert_eq!(first.content, below.content);
        assert!(first.digest != again.digest && first.digest != below.digest);
        assert_ne!(
            first.content,
            of(What::Changed, json!(2), "x", &one).content
        );
        assert_ne!(
            first.content,
            of(What::Deleted, json!(1), "x", &one).content
        );
        let made = of(What::Made, json!(1), "x", &one);
        assert_eq!(made.content, of(What::Made, json!(1), "x", &two).content);
        assert_ne!(made.content, of(What::Made, json!(1), "y", &one).content);
        assert_eq!(Proposal::of(&Decision::default(), &one), None);
    }
}
