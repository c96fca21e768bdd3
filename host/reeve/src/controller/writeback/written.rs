//! Files of their own of which the status remembers nothing: how they were when this WriteBack wrote them.
//!
//! A process that is killed between its push and its status leaves such files, and whoever changes one of them meanwhile is not to be
//! written over in silence; nor is who reviews a request, and adds to it before it is merged. So the request's own commit tells, or
//! history does, so many commits of it; where neither does, all that differs is told as a conflict. What a person has made counts
//! as it always did: the file follows the cluster. It deliberately remembers nothing: once it is decided about, the status does.

use std::collections::BTreeSet;
use std::time::Duration;

use reeve_core::writeback::{Propose, Search, Wrote};
use reeve_kustomize::{Object, Tree};
use reeve_writeback::alone;
use tokio::time::Instant;

use super::Case;
use super::lean::{Agreed, gives};
use crate::controller::source;
use crate::git::Snapshot;

/// How many commits are looked at, and for how long.
const COMMITS: usize = 30;
const PATIENCE: Duration = Duration::from_secs(30);

impl Case<'_> {
    /// Finds that out of those which are untold; `here` is where they are.
    pub(super) async fn as_written(&self, all: &mut Agreed, here: &Snapshot) {
        let mut untold = std::mem::take(&mut all.untold);
        if untold.is_empty() {
            return;
        }
        self.as_proposed(all, &mut untold, here).await;
        let by = self.id.to_string();
        let mut search = Search::new(&by, untold);
        self.search(&mut search, here).await;
        let (found, unknown) = search.end();
        let is_asked_for = matches!(self.spec.propose, Propose::Request(_));
        for (file, wrote) in found {
            let was = match wrote {
                Wrote::Ours(bytes) => alone(&bytes, &file).map(|(_, value)| value),
                // Whoever merges a request commits it in their own name.
                Wrote::Others if is_asked_for => None,
                Wrote::Others => continue,
            };
            match was.and_then(|was| Object::try_from(was).ok()) {
                Some(was) => {
                    all.files.insert(file, was);
                }
                None => all.miss(file, Some(true)),
            }
        }
        for file in unknown {
            all.miss(file, Some(true));
        }
    }

    /// What was proposed of them, as it stood on the request's branch.
    async fn as_proposed(&self, all: &mut Agreed, untold: &mut BTreeSet<String>, here: &Snapshot) {
        let request = self.known.as_ref();
        let Some(revision) = request.map(|request| request.revision.as_str()) else {
            return;
        };
        if let Some(files) = self.files_of(revision, Some(here)).await {
            untold.retain(|file| match gives(&files, file) {
                Some(was) => {
                    all.files.insert(file.clone(), was);
                    false
                }
                None => true,
            });
        }
    }

    async fn search(&self, search: &mut Search<'_>, here: &Snapshot) {
        let key = self.spec.source.key();
        let until = self.deadline.min(Instant::now() + PATIENCE);
        let mut now = here.clone();
        for _ in 0..COMMITS {
            if search.is_over() {
                return;
            }
            let message = now.message();
            let Some(parent) = now.parent() else {
                return search.look((&now, message.as_deref()), None);
            };
            let Some(before) = source::all_of(self.ctx, &key, &parent, until).await else {
                return;
            };
            let was: &dyn Tree = &before;
            search.look((&now, message.as_deref()), Some(was));
            now = before;
        }
    }
}
