//! What a source had before, from the mirror that it was fetched into: nobody is asked for it, and so no credential is needed.
//!
//! A mirror is found by its remote, credential included. While that cannot be read, somebody has to remember which mirror it
//! was: a note for each holder, with the one commit that it had there. A holder is whatever the caller names it, kept as a keyed
//! hash, since an address may hold a password. What it deliberately doesn't: open a connection, or give another commit of
//! that mirror than the one that is noted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use gix::ObjectId;

use super::fetch::from_mirror;
use super::session::blocking;
use super::{Cause, Content, Error, Limits, Mirrors, Resolved, Snapshot};

/// Beside the mirrors, since what lies among them is one.
const NOTES: &str = "notes";
/// Of all objects.
const MOST_NOTES: usize = 10_000;
/// Of one object, whose submodules may have been called otherwise with each commit.
const MOST_OF_ONE: usize = 200;

impl Mirrors {
    /// Notes which mirror what `holder` has was fetched into, and which revision that is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(&self, holder: &str, snapshot: &Snapshot) -> std::io::Result<()> {
        let (commit, _) = snapshot.signable();
        let mirror = snapshot.mirror();
        let mirror = mirror.ok_or_else(|| std::io::Error::other("its mirror has no name"))?;
        let notes = self.notes();
        std::fs::create_dir_all(&notes)?;
        let note = self.note_of(holder);
        let fresh = notes.join(format!("{note}.new"));
        std::fs::write(&fresh, format!("{mirror} {commit}\n"))?;
        std::fs::rename(fresh, notes.join(note))
    }

    /// Forgets what is noted for an object: what its holders begin with, up to a space.
    ///
    /// # Errors
    /// When the notes cannot be read or removed.
    pub fn forget_notes(&self, object: &str) -> std::io::Result<()> {
        let (begin, notes) = (self.begin_of(object), self.notes());
        if !notes.exists() {
            return Ok(());
        }
        for entry in std::fs::read_dir(notes)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&begin) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// What the note for a holder is called.
    fn note_of(&self, holder: &str) -> String {
        let object = holder.split_once(' ').map_or(holder, |(object, _)| object);
        self.begin_of(object) + &self.keyed(holder.as_bytes())
    }

    /// What the notes of all holders of an object begin with.
    fn begin_of(&self, object: &str) -> String {
        let digits = self.keyed(format!("object {object}").as_bytes());
        let short: String = digits.chars().take(16).collect();
        format!("{short}-")
    }

    fn notes(&self) -> PathBuf {
        notes(self.root())
    }

    /// The mirror that was noted, and the commit.
    fn noted(&self, holder: &str) -> Option<(String, ObjectId)> {
        let note = self.notes().join(self.note_of(holder));
        let text = std::fs::read_to_string(note).ok()?;
        let (name, commit) = text.trim_end().split_once(' ')?;
        let is_name = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let commit = ObjectId::from_hex(commit.as_bytes()).ok()?;
        is_name.then(|| (name.to_owned(), commit))
    }

    /// Forgets what is noted of mirrors that are gone, and the oldest when there are too many.
    pub(super) fn collect_notes(&self) -> std::io::Result<()> {
        let notes = self.notes();
        if !notes.exists() {
            return Ok(());
        }
        let mut left = Vec::new();
        for entry in std::fs::read_dir(notes)? {
            let entry = entry?;
            let path = entry.path();
            if is_of_what_is_there(self.root(), &path) {
                left.push((entry.metadata()?.modified()?, path));
            } else {
                std::fs::remove_file(path)?;
            }
        }
        // The newest first: of one object so many stay, and of all.
        left.sort();
        let (mut stay, mut of_each) = (0, BTreeMap::<String, usize>::new());
        for (_, path) in left.into_iter().rev() {
            let of_one = of_each.entry(object_of(&path)).or_default();
            *of_one += 1;
            if *of_one > MOST_OF_ONE || stay >= MOST_NOTES {
                std::fs::remove_file(path)?;
            } else {
                stay += 1;
            }
        }
        Ok(())
    }
}

/// By what the notes of one object are known.
fn object_of(note: &Path) -> String {
    let name = note.file_name().unwrap_or_default().to_string_lossy();
    let begin = name.split_once('-').map(|(begin, _)| begin.to_owned());
    begin.unwrap_or_else(|| name.into_owned())
}

/// Where notes lie, of mirrors in that directory.
pub(super) fn notes(root: &Path) -> PathBuf {
    root.with_extension(NOTES)
}

fn is_of_what_is_there(root: &Path, note: &Path) -> bool {
    let text = std::fs::read_to_string(note).unwrap_or_default();
    let mirror = text.split_once(' ').map(|(name, _)| root.join(name));
    mirror.is_some_and(|mirror| mirror.is_dir())
}

/// The files of what `holder` had, if they are still on the disk.
///
/// # Errors
/// When nothing is noted, it is of another commit, or the disk has lost it.
pub async fn kept(
    mirrors: &Mirrors,
    holder: &str,
    resolved: Resolved,
    content: Content,
    deadline: Instant,
    limits: &Limits,
) -> Result<Snapshot, Error> {
    let lost = || Cause::Mirror {
        doing: "found",
        why: "the revision is not there".to_owned(),
    };
    let (name, commit) = mirrors.noted(holder).ok_or_else(lost)?;
    if commit != resolved.commit {
        return Err(lost().into());
    }
    let (mirror, purse) = (mirrors.named(name), mirrors.purse());
    let limits = limits.clone();
    let work = move |_, terms| {
        let mut all = mirror.current().into_iter().chain(mirror.older());
        let read = all.find_map(|one| {
            let read = from_mirror(&one, &resolved, &content, &limits, &terms)?;
            Some(read.inspect(|_| purse.uses(&one)))
        });
        read.unwrap_or_else(|| Err(lost()))
    };
    let done = blocking(mirrors.permits(), deadline, "reading", work);
    Ok(done.await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_has_so_many_notes_takes_none_of_anothers_and_leaves_none_behind() {
        let dir = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::open(dir.path(), 1).unwrap();
        let mirror = "0".repeat(64);
        std::fs::create_dir_all(mirrors.root().join(&mirror)).unwrap();
        std::fs::create_dir_all(mirrors.notes()).unwrap();
        let note = |holder: &str| {
            let path = mirrors.notes().join(mirrors.note_of(holder));
            std::fs::write(path, format!("{mirror} {}\n", "1".repeat(40))).unwrap();
        };
        note("quiet https://git.example/web");
        for submodule in 0..MOST_OF_ONE + 50 {
            note(&format!("busy https://git.example/web {submodule}"));
        }
        mirrors.collect_notes().unwrap();
        let count = || std::fs::read_dir(mirrors.notes()).unwrap().count();
        assert_eq!(count(), MOST_OF_ONE + 1);
        let quiet = || mirrors.noted("quiet https://git.example/web").is_some();
        assert!(quiet());
        mirrors.forget_notes("busy").unwrap();
        assert!(quiet() && count() == 1);
    }
}
