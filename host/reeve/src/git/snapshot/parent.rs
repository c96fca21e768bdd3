//! Which commit came before that of a snapshot.
//!
//! What a commit says of itself, whether that one is here or not: history is not fetched. Of several it is the first, on which a
//! branch stood before. It deliberately fetches nothing.

use reeve_core::artifact::Revision;

use super::Snapshot;

impl Snapshot {
    /// The revision before this one of the same branch; None: it is the first, or cannot be read.
    pub(crate) fn parent(&self) -> Option<Revision> {
        let repository = self.repository().ok()?;
        let commit = repository.find_object(self.0.commit).ok()?;
        let commit = commit.try_into_commit().ok()?;
        let parent = commit.parent_ids().next().map(gix::Id::detach)?;
        Revision::new(self.revision().pointer(), &parent.to_string()).ok()
    }
}
