//! What a source had before, from the mirror that it was fetched into: nobody is asked for it, and so no credential is needed.
//!
//! A mirror is found by its remote, credential included. While that cannot be read, somebody has to remember which mirror it
//! was: a note for each holder, with the one commit that it had there. A holder is whatever the caller names it, kept as a keyed
//! hash, since an address may hold a password. What it deliberately doesn't: open a connection, or give another commit of
//! that mirror than the one that is noted.

use std::path::{Path, PathBuf};
use std::time::Instant;

use gix::ObjectId;

use super::fetch::from_mirror;
use super::session::blocking;
use super::{Cause, Content, Error, Limits, Mirrors, Resolved, Snapshot};

/// Beside the mirrors, since what lies among them is one.
const NOTES: &str = "notes";
/// Of objects that are gone a note stays while somebody else uses the mirror.
const MOST_NOTES: usize = 10_000;

impl Mirrors {
    /// Notes which mirror what `holder` has was fetched into, and which revision that is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(&self, holder: &str, snapshot: &Snapshot) -> std::io::Result<()> {
        let (_, commit, _) = snapshot.signable();
        let mirror = snapshot.mirror();
        let mirror = mirror.ok_or_else(|| std::io::Error::other("its mirror has no name"))?;
        let notes = self.notes();
        std::fs::create_dir_all(&notes)?;
        let note = self.keyed(holder.as_bytes());
        let fresh = notes.join(format!("{note}.new"));
        std::fs::write(&fresh, format!("{mirror} {commit}\n"))?;
        std::fs::rename(fresh, notes.join(note))
    }

    fn notes(&self) -> PathBuf {
        notes(self.root())
    }

    /// The mirror that was noted, and the commit.
    fn noted(&self, holder: &str) -> Option<(String, ObjectId)> {
        let note = self.notes().join(self.keyed(holder.as_bytes()));
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
        left.sort();
        let more = left.len().saturating_sub(MOST_NOTES);
        left.iter()
            .take(more)
            .try_for_each(|(_, path)| std::fs::remove_file(path))
    }
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
