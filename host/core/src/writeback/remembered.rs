//! When files of their own were last as their objects, as the status of a WriteBack remembers it.
//!
//! File by file as long as they are few. Once they are many they are folded: one revision for all of them, and file by file only
//! those which that has otherwise than they were. So what is remembered is as long as what people have changed and the cluster has
//! not, however many files there are. Where even that has no room, what comes last is not remembered: what is known of such a file is
//! older than it could be, so that more is told as a conflict than is one, and nothing less. It deliberately reads no file: whoever
//! folds says what files are now.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reeve_api::condition::{self, Type};
use reeve_api::writeback::{WriteBackAgreement, WriteBackStatus};
use reeve_kustomize::Object;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Decision;
use crate::artifact::Revision;

/// How many files are remembered one by one, and how many bytes of the status they may take.
const MOST: usize = 1000;
const BYTES: usize = 256 << 10;
/// From how many of them on it is tried to fold them.
const MANY: usize = MOST / 2;
/// What one takes in the status beside its words.
const AROUND: usize = 48;
/// How many characters of a digest are kept.
const DIGEST: usize = 16;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The revision at which all others were as their objects; None: of others nothing is known.
    since: Option<String>,
    files: BTreeMap<String, Mark>,
    /// Whether something had no room since they were folded.
    is_full: bool,
}

/// How one file was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    revision: String,
    /// Empty where there was none; None: that is not known.
    digest: Option<String>,
}

/// What came of the files that were decided about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The digest of each that is as its object, as it will be.
    pub agreed: BTreeMap<String, String>,
    /// Those that are gone with their objects.
    pub gone: BTreeSet<String>,
}

/// In the place of a file's digest: nobody knows when it was as its object, so that all that differs may be somebody's.
pub const UNKNOWN: &str = "unknown";

/// What tells one content of a file from another.
pub fn content_mark(bytes: &[u8]) -> String {
    let digest = hex::encode(Sha256::digest(bytes));
    digest.chars().take(DIGEST).collect()
}

/// Whether an object was made after that: then it is another one of its name than that of which something was remembered.
pub fn is_made_after(object: &Object, at: Timestamp) -> bool {
    let object = Value::from(object.clone());
    let made = object.pointer("/metadata/creationTimestamp");
    let made: Option<Timestamp> = made.and_then(Value::as_str).and_then(|at| at.parse().ok());
    made.is_some_and(|made| made > at)
}

impl Remembered {
    /// What a status remembers of a branch: what was on another says nothing of the files of this one.
    pub fn of(status: &WriteBackStatus, branch: &str) -> Self {
        let agreed = status.agreed.iter();
        let agreed = agreed.filter(|one| is_of(&one.revision, branch));
        let files = agreed.map(|one| {
            let mark = Mark {
                revision: one.revision.clone(),
                digest: one.digest.clone(),
            };
            (one.file.clone(), mark)
        });
        let files: BTreeMap<String, Mark> = files.collect();
        let since = status.agreed_since.clone();
        let since = since.filter(|revision| is_of(revision, branch));
        let was_full = condition::is_true(&status.conditions, Type::AgreedFull);
        Self {
            is_full: was_full && (since.is_some() || !files.is_empty()),
            since,
            files,
        }
    }

    /// The revision at which a file was as its object, if that is known.
    pub fn revision(&self, file: &str) -> Option<&str> {
        let mark = self.files.get(file);
        let since = self.since.as_deref();
        mark.map(|mark| mark.revision.as_str()).or(since)
    }

    /// Whether a file is remembered by itself.
    pub fn has(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    /// Whether it is remembered of a file that nobody knows how it was.
    pub fn is_unknown(&self, file: &str) -> bool {
        let mark = self.files.get(file);
        mark.is_some_and(|mark| mark.digest.as_deref() == Some(UNKNOWN))
    }

    /// Whether something had no room since they were folded: it may have been as its object since then.
    pub fn had_no_room(&self) -> bool {
        self.is_full
    }

    /// The revision at which all others were as their objects.
    pub fn since(&self) -> Option<&str> {
        self.since.as_deref()
    }

    /// Whether there is no room for one more, or was none.
    pub fn is_full(&self) -> bool {
        self.is_full || self.files.len() >= MOST || self.bytes() >= BYTES
    }

    /// Whether there are so many that they are to be folded, with so many more.
    pub fn is_many(&self, more: usize) -> bool {
        self.is_full || self.files.len() + more > MANY || self.bytes() > BYTES / 2
    }

    /// The same by what files are at a newer revision: `digest` is what tells each content there, empty where there is none, and `moved`
    /// what it was of those that no longer are as at the revision at which all others were as their objects, or [`UNKNOWN`] of those of
    /// which that says nothing. None: that gains nothing.
    #[must_use]
    pub fn folded(
        &self,
        onto: &str,
        digest: impl Fn(&str) -> String,
        moved: &BTreeMap<String, String>,
    ) -> Option<Self> {
        let is_other = |(file, mark): &(&String, &Mark)| {
            let was = mark.digest.as_ref();
            was.is_none_or(|was| *was != digest(file))
        };
        let others = self.files.iter().filter(is_other);
        let mut files: BTreeMap<String, Mark> = others
            .map(|(file, mark)| (file.clone(), mark.clone()))
            .collect();
        for (file, digest) in moved {
            // Of what is unknown it says on which branch that is.
            let since = self.since.as_deref();
            let since = since.or_else(|| (digest == UNKNOWN).then_some(onto));
            if let Some(since) = since
                && !self.files.contains_key(file)
            {
                let mark = Mark {
                    revision: since.to_owned(),
                    digest: Some(digest.clone()),
                };
                files.insert(file.clone(), mark);
            }
        }
        let folded = Self {
            since: Some(onto.to_owned()),
            files,
            is_full: false,
        };
        let is_room = self.is_full && !folded.is_full();
        let is_less = folded.bytes() < self.bytes() && folded.files.len() <= MOST;
        (is_room || is_less).then_some(folded)
    }

    /// The same after a decision at `revision`. `proposed`: what is to be written is not yet.
    #[must_use]
    pub fn after(
        &self,
        decision: &Decision,
        settled: &Settled,
        revision: &str,
        proposed: bool,
    ) -> Self {
        let edits = &decision.edits.files;
        let is_proposed = |file: &String| proposed && edits.contains_key(file);
        let mut now = self.clone();
        let mut bytes = now.bytes();
        let gone = settled.gone.iter().map(|file| (file, String::new()));
        let agreed = settled.agreed.iter();
        let agreed = agreed.map(|(file, digest)| (file, digest.clone()));
        for (file, digest) in gone.chain(agreed) {
            if is_proposed(file) {
                continue;
            }
            let is_at_since = self.since.as_deref() == Some(revision) && !edits.contains_key(file);
            if is_at_since || (digest.is_empty() && self.since.is_none()) {
                now.files.remove(file);
                continue;
            }
            let mark = Mark {
                revision: revision.to_owned(),
                digest: Some(digest),
            };
            let size = mark.size(file);
            let has_room = now.files.len() < MOST && bytes + size <= BYTES;
            if !has_room && !now.files.contains_key(file) {
                now.is_full = true;
            } else if now.files.insert(file.clone(), mark).is_none() {
                bytes += size;
            }
        }
        now
    }

    /// The same as it stands in a status.
    pub fn told(&self) -> Vec<WriteBackAgreement> {
        let all = self.files.iter();
        let all = all.map(|(file, mark)| WriteBackAgreement {
            digest: mark.digest.clone(),
            file: file.clone(),
            revision: mark.revision.clone(),
        });
        all.collect()
    }

    fn bytes(&self) -> usize {
        let all = self.files.iter();
        all.map(|(file, mark)| mark.size(file)).sum()
    }
}

impl Mark {
    fn size(&self, file: &str) -> usize {
        file.len() + self.revision.len() + DIGEST + AROUND
    }
}

fn is_of(revision: &str, branch: &str) -> bool {
    let revision = Revision::parse(revision).ok();
    let pointer = revision.as_ref().and_then(Revision::pointer);
    pointer.is_some_and(|name| name.strip_prefix("refs/heads/").unwrap_or(name) == branch)
}

#[cfg(test)]
mod tests {
    use reeve_writeback::Edits;
    use serde_json::json;

    use super::*;

    fn at(number: usize) -> String {
        format!("main@sha1:{number:040}")
    }

    fn file(number: usize) -> String {
        format!("made/acme/configmap-{number}.yaml")
    }

    /// So many files as they are at that revision.
    fn settled(files: impl IntoIterator<Item = usize>) -> Settled {
        let agreed = files.into_iter();
        Settled {
            agreed: agreed.map(|one| (file(one), content(&file(one)))).collect(),
            gone: BTreeSet::new(),
        }
    }

    fn content(file: &str) -> String {
        content_mark(file.as_bytes())
    }

    /// These files were written at that revision.
    fn wrote(files: impl IntoIterator<Item = usize>) -> Decision {
        let files = files.into_iter();
        Decision {
            edits: Edits {
                files: files.map(|one| (file(one), Some(Vec::new()))).collect(),
                ..Edits::default()
            },
            ..Decision::default()
        }
    }

    fn list(memory: &Remembered) -> Vec<String> {
        let all = memory.told().into_iter();
        all.map(|one| format!("{}@{}", one.file, one.revision))
            .collect()
    }

    #[test]
    fn a_file_is_remembered_by_its_last_revision_and_what_is_proposed_by_the_one_before() {
        let first = Remembered::default().after(&wrote(0..2), &settled(0..2), &at(1), false);
        assert_eq!(first.revision(&file(1)), Some(at(1).as_str()));
        let proposed = first.after(&wrote(0..1), &settled(0..2), &at(2), true);
        let want = [
            format!("{}@{}", file(0), at(1)),
            format!("{}@{}", file(1), at(2)),
        ];
        assert_eq!(list(&proposed), want);
        let gone = Settled {
            gone: [file(0)].into(),
            ..Settled::default()
        };
        let after = first.after(&Decision::default(), &gone, &at(3), false);
        assert_eq!(list(&after), [format!("{}@{}", file(1), at(1))]);
        assert_eq!(after.revision(&file(0)), None);
    }

    #[test]
    fn any_number_of_files_is_remembered_and_only_what_is_otherwise_by_itself() {
        let mut memory = Remembered::default();
        for round in 0..100 {
            let these: Vec<usize> = (0..100).map(|one| round * 100 + one).collect();
            let written = wrote(these.iter().copied());
            memory = memory.after(&written, &settled(these), &at(round), false);
            assert!(!memory.is_full(), "{round}");
            if memory.is_many(100) {
                let onto = at(round);
                memory = memory.folded(&onto, content, &BTreeMap::new()).unwrap();
            }
        }
        assert!(memory.told().len() <= MANY);
        assert!((0..10_000).all(|one| memory.revision(&file(one)).is_some()));
    }

    #[test]
    fn what_a_person_has_changed_is_remembered_as_it_was_when_the_others_are_folded() {
        let first = Remembered::default().after(&wrote(0..3), &settled(0..3), &at(1), false);
        // Somebody changes one, and takes one out.
        let now = |path: &str| match path {
            path if path == file(0) => content_mark(b"changed"),
            path if path == file(1) => String::new(),
            path => content(path),
        };
        let folded = first.folded(&at(2), now, &BTreeMap::new()).unwrap();
        let want = [
            format!("{}@{}", file(0), at(1)),
            format!("{}@{}", file(1), at(1)),
        ];
        assert_eq!(list(&folded), want);
        assert_eq!(folded.revision(&file(2)), Some(at(2).as_str()));
        // Then another one, that is not in the list any more; and the first is as it was.
        let more = folded.after(&wrote(7..9), &settled(7..9), &at(3), false);
        let moved = BTreeMap::from([(file(2), content(&file(2)))]);
        let now = |path: &str| match path {
            path if path == file(1) => String::new(),
            path => content(path),
        };
        let folded = more.folded(&at(4), now, &moved).unwrap();
        let want = [
            format!("{}@{}", file(1), at(1)),
            format!("{}@{}", file(2), at(2)),
        ];
        assert_eq!(list(&folded), want);
        assert_eq!(folded.revision(&file(7)), Some(at(4).as_str()));
    }

    #[test]
    fn what_has_gone_with_its_object_is_not_remembered_by_what_all_others_were() {
        let folded = Remembered {
            since: Some(at(1)),
            ..Remembered::default()
        };
        let gone = Settled {
            gone: [file(0)].into(),
            ..Settled::default()
        };
        let after = folded.after(&Decision::default(), &gone, &at(2), false);
        assert_eq!(after.revision(&file(0)), Some(at(2).as_str()), "not at 1");
        let nothing = |_: &str| String::new();
        let again = after.folded(&at(3), nothing, &BTreeMap::new()).unwrap();
        assert!(again.told().is_empty());
    }

    #[test]
    fn where_there_is_no_room_that_is_said_and_nothing_that_was_known_is_forgotten() {
        let full = Remembered::default().after(&wrote(0..MOST), &settled(0..MOST), &at(1), false);
        assert_eq!(full.told().len(), MOST);
        let over = full.after(
            &wrote(MOST..MOST + 5),
            &settled(MOST..MOST + 5),
            &at(2),
            false,
        );
        assert!(over.is_full());
        assert_eq!(over.told(), full.told());
        // All of them are otherwise by now: nothing is left out by folding, so they are not folded.
        let other = |_: &str| content_mark(b"other");
        assert_eq!(over.folded(&at(3), other, &BTreeMap::new()), None);
        // That is not forgotten, whatever else is.
        let known = over.after(&Decision::default(), &Settled::default(), &at(3), false);
        assert!(known.is_full());
        // Once they are as they were there is room again.
        let folded = over.folded(&at(3), content, &BTreeMap::new()).unwrap();
        assert!(!folded.is_full());
    }

    #[test]
    fn what_had_no_room_is_unknown_when_the_others_are_folded_and_never_taken_for_agreed() {
        let full = Remembered::default().after(&wrote(0..MOST), &settled(0..MOST), &at(1), false);
        let over = full.after(
            &wrote(MOST..MOST + 2),
            &settled(MOST..MOST + 2),
            &at(2),
            false,
        );
        assert!(over.had_no_room());
        // A person has changed one of them since.
        let late = file(MOST);
        let moved = BTreeMap::from([(late.clone(), UNKNOWN.to_owned())]);
        let folded = over.folded(&at(3), content, &moved).unwrap();
        assert!(folded.is_unknown(&late) && !folded.is_full());
        assert!(!folded.is_unknown(&file(0)) && !folded.is_unknown(&file(MOST + 1)));
        assert_eq!(folded.revision(&file(0)), Some(at(3).as_str()));
        // It stays so, whatever it is, until both sides are the same again.
        let again = folded.folded(&at(4), content, &BTreeMap::new());
        assert!(again.is_none_or(|again| again.is_unknown(&late)));
        let agreed = folded.after(&Decision::default(), &settled([MOST]), &at(5), false);
        assert!(!agreed.is_unknown(&late));
        assert_eq!(agreed.revision(&late), Some(at(5).as_str()));
        // What is more than there is room for is not folded: it would be forgotten.
        let all: Vec<String> = (0..=MOST).map(|one| format!("other/{one}.yaml")).collect();
        let all = all.into_iter().map(|one| (one, UNKNOWN.to_owned()));
        assert_eq!(over.folded(&at(3), content, &all.collect()), None);
    }

    #[test]
    fn long_names_never_make_a_status_larger_than_it_may_be() {
        let long = |number: usize| format!("{}/{number}.yaml", "a".repeat(4000));
        let settled = Settled {
            agreed: (0..MOST)
                .map(|one| (long(one), content_mark(b"")))
                .collect(),
            gone: BTreeSet::new(),
        };
        let memory = Remembered::default().after(&Decision::default(), &settled, &at(1), false);
        assert!(memory.is_full());
        let text = serde_json::to_string(&memory.told()).unwrap();
        assert!(text.len() <= BYTES, "{}", text.len());
    }

    #[test]
    fn a_status_is_read_as_it_was_told_and_what_was_agreed_on_another_branch_says_nothing() {
        let commit = "sha1:0123456789012345678901234567890123456789";
        let all = ["main@", "refs/heads/main@", "dev@", ""].map(|pointer| WriteBackAgreement {
            digest: Some(String::new()),
            file: pointer.to_owned(),
            revision: format!("{pointer}{commit}"),
        });
        let status = WriteBackStatus {
            agreed: all.to_vec(),
            agreed_since: Some(format!("dev@{commit}")),
            ..WriteBackStatus::default()
        };
        let memory = Remembered::of(&status, "main");
        let files: Vec<String> = memory.told().into_iter().map(|one| one.file).collect();
        assert_eq!(files, ["main@", "refs/heads/main@"]);
        assert_eq!(memory.since(), None);
        let other = Remembered::of(&status, "dev");
        assert_eq!(
            other.revision("any"),
            Some(format!("dev@{commit}").as_str())
        );
    }

    #[test]
    fn an_object_that_was_made_again_is_not_the_one_whose_file_was_taken_out() {
        let at: Timestamp = "2026-11-23T06:00:00Z".parse().unwrap();
        for (made, want) in [
            (json!("2026-11-23T05:59:58Z"), false),
            (json!("2026-11-23T06:00:00Z"), false),
            (json!("2026-11-23T06:00:01Z"), true),
            (Value::Null, false),
        ] {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "creationTimestamp": made}});
            let object = Object::try_from(object).unwrap();
            assert_eq!(is_made_after(&object, at), want, "{made}");
        }
    }
}
