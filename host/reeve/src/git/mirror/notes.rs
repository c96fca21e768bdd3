//! What is noted beside the packs of a generation: which commits are whole, what names them, and for whom they were written.
//!
//! Text, a line each, which a later process reads again; each file is visible whole or not at all. What is lost of it costs a
//! fetch, or a question to the server, and no more.

use std::path::Path;

use gix::ObjectId;

use super::Generation;
use crate::disk::Written;

/// Tips that are remembered: more than there are packs in a generation, each of which brings one, so that none is forgotten that
/// somebody's source is at.
const MAX_TIPS: usize = 64;
/// Tips that are told to the server as what we have.
const MAX_TOLD: usize = 16;
const TIPS: &str = "reeve-tips";
/// Commits that were seen on their branches, a line each.
const BRANCHES: &str = "reeve-branches";
/// Annotated tags and what they name, a line each.
const TAGS: &str = "reeve-tags";
const MAX_LINES: usize = 64;
/// The bytes of it that were written for each, a line each.
const WRITTEN: &str = "reeve-written";

impl Generation {
    /// Whether the commit was once seen on the branch.
    pub(in crate::git) fn was_on(&self, commit: ObjectId, branch: &str) -> bool {
        self.lines(BRANCHES).contains(&format!("{commit} {branch}"))
    }

    /// Remembers that the commit is on the branch.
    pub(in crate::git) fn remember_on(
        &self,
        commit: ObjectId,
        branch: &str,
    ) -> std::io::Result<()> {
        self.remember_line(BRANCHES, format!("{commit} {branch}"))
    }

    /// The tag of that name that the commit was last reached by.
    pub(in crate::git) fn tag_of(&self, commit: ObjectId, name: &str) -> Option<ObjectId> {
        let begin = format!("{commit} {name} ");
        let lines = self.lines(TAGS);
        let mut newest = lines.iter().rev();
        let tag = newest.find_map(|line| line.strip_prefix(&begin))?;
        ObjectId::from_hex(tag.as_bytes()).ok()
    }

    /// Remembers that the commit is named by the tag.
    pub(in crate::git) fn remember_tag(
        &self,
        commit: ObjectId,
        name: &str,
        tag: ObjectId,
    ) -> std::io::Result<()> {
        self.remember_line(TAGS, format!("{commit} {name} {tag}"))
    }

    fn remember_line(&self, file: &str, line: String) -> std::io::Result<()> {
        let mut seen = self.lines(file);
        seen.retain(|known| *known != line);
        seen.push(line);
        let kept = seen.iter().skip(seen.len().saturating_sub(MAX_LINES));
        let text: String = kept.map(|line| format!("{line}\n")).collect();
        self.write_whole(file, &text)
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Visible whole or not at all.
    fn write_whole(&self, name: &str, text: &str) -> std::io::Result<()> {
        let fresh = self.dir.join(format!("{name}.new"));
        std::fs::write(&fresh, text)?;
        std::fs::rename(fresh, self.dir.join(name))
    }

    /// The commits that are here with all their files, newest last.
    pub(in crate::git) fn tips(&self) -> Vec<ObjectId> {
        let text = std::fs::read_to_string(self.dir.join(TIPS)).unwrap_or_default();
        text.lines()
            .filter_map(|line| ObjectId::from_hex(line.as_bytes()).ok())
            .collect()
    }

    /// The newest of them, of which a server is told.
    pub(in crate::git) fn told(&self) -> Vec<ObjectId> {
        let tips = self.tips();
        tips.get(tips.len().saturating_sub(MAX_TOLD)..)
            .unwrap_or_default()
            .to_vec()
    }

    /// Remembers that `commit` is here with all its files.
    pub(in crate::git) fn remember(&self, commit: ObjectId) -> std::io::Result<()> {
        let mut tips = self.tips();
        tips.retain(|tip| *tip != commit);
        tips.push(commit);
        let kept = tips.iter().skip(tips.len().saturating_sub(MAX_TIPS));
        let text: String = kept.map(|tip| format!("{tip}\n")).collect();
        self.write_whole(TIPS, &text)
    }

    /// Remembers how much of it was written for whom.
    pub(in crate::git) fn remember_written(&self, written: &Written) -> std::io::Result<()> {
        let lines = written
            .iter()
            .map(|(tenant, bytes)| format!("{bytes} {tenant}\n"));
        self.write_whole(WRITTEN, &lines.collect::<String>())
    }
}

/// How much of a generation was written for whom.
pub(in crate::git) fn written_in(generation: &Path) -> Written {
    let text = std::fs::read_to_string(generation.join(WRITTEN)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let read = lines.filter_map(|(bytes, tenant)| Some((tenant.to_owned(), bytes.parse().ok()?)));
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Mirror;
    use super::*;
    use crate::disk::Disk;

    #[test]
    fn tips_are_remembered_newest_last_and_not_forever() {
        let dir = tempfile::tempdir().unwrap();
        let generation = Mirror::of(dir.path().join("m"), Disk::default())
            .writable(gix::hash::Kind::Sha1)
            .unwrap();
        let id = |n: usize| ObjectId::from_hex(format!("{n:040x}").as_bytes()).unwrap();
        (0..80).for_each(|n| generation.remember(id(n)).unwrap());
        generation.remember(id(30)).unwrap();
        let tips = generation.tips();
        assert_eq!((tips.len(), tips.last()), (MAX_TIPS, Some(&id(30))));
        let told = generation.told();
        assert_eq!((told.len(), told.last()), (MAX_TOLD, Some(&id(30))));
    }
}
