//! What there is to know of files of their own before anything is decided: what their objects need not say, and what they gave when both
//! were the same.
//!
//! The first the API server is asked ([`Persisting::lean`](crate::cluster::Persisting::lean)), the second is in the revision that the
//! status remembers. A file that is as its object now was the same now. Of one that was once, in a revision that cannot be had any
//! more or for which the status had no room, that is said: either side may have changed it. Such files are looked for in the whole
//! repository, as they are when one is written: a source may leave out where they lie. It deliberately decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use reeve_core::artifact::Revision;
use reeve_core::inventory::ObjectId;
use reeve_core::plan::says;
use reeve_core::writeback::{Seen, State, is_made_after};
use reeve_kustomize::{Object, Tree as _};
use reeve_writeback::{alone, as_said, stripped};
use serde_json::Value;

use super::Case;
use super::look::{AT_A_TIME, Found};
use crate::controller::source;
use crate::git::Snapshot;

/// What is known of files of their own.
#[derive(Default)]
pub(super) struct Agreed {
    /// What they gave when they were last as their objects.
    pub(super) files: BTreeMap<String, Object>,
    /// Of which that was known once, and whether it is known that there was one.
    pub(super) forgotten: BTreeMap<String, bool>,
    /// Those that are there, and of which nothing is remembered: they were made while nobody could, or by others.
    pub(super) untold: BTreeSet<String>,
    /// The files as all of them were as their objects, where so many are remembered that they are to be folded.
    pub(super) since: Option<Snapshot>,
    /// Whether those are nowhere any more.
    pub(super) is_since_nowhere: bool,
}

impl Case<'_> {
    /// Finds out both of what was seen.
    pub(super) async fn lean(&self, found: &mut Found) {
        let here = match found.seen.iter().any(|(_, seen)| has_own_file(seen)) {
            true => self.files_now(found).await,
            false => None,
        };
        let asking = found.seen.iter().map(|(_, seen)| {
            let live = match &seen.state {
                State::Made { live, .. } => Some(live),
                State::Held { .. } | State::Gone { .. } => None,
            };
            let file = live.and_then(|live| gives(here.as_ref()?, &self.file_for(live)?));
            async move {
                match live {
                    Some(live) => Some(self.client.lean(live, file.as_ref()).await),
                    None => None,
                }
            }
        });
        let asking: Vec<_> = asking.collect();
        let asked = futures::stream::iter(asking).buffered(AT_A_TIME);
        let asked: Vec<Option<Object>> = asked.collect().await;
        for ((_, seen), found) in found.seen.iter_mut().zip(asked) {
            if let State::Made { lean, .. } = &mut seen.state {
                *lean = found.map(Box::new);
            }
        }
        found.agreed = self.agreements(found, here.as_ref()).await;
        if let Some(here) = &here {
            self.as_written(&mut found.agreed, here).await;
        }
    }

    /// What files of their own gave when they were last as their objects, of all that is known of.
    async fn agreements(&self, found: &Found, here: Option<&Snapshot>) -> Agreed {
        let mut known: BTreeMap<&str, Option<Snapshot>> = BTreeMap::new();
        let mut all = Agreed::default();
        for (_, seen) in &found.seen {
            let object = match &seen.state {
                State::Made { live, .. } => live,
                State::Gone {
                    build: None,
                    object,
                } => object,
                State::Held { .. } | State::Gone { .. } => continue,
            };
            let Some(file) = self.file_for(object) else {
                continue;
            };
            let is = here.and_then(|here| gives(here, &file));
            if let (State::Made { live, lean, .. }, Some(is)) = (&seen.state, &is)
                && is_as(live, lean.as_deref(), is)
            {
                all.files.insert(file, is.clone());
                continue;
            }
            let was_there = self.memory.has(&file);
            if self.memory.is_unknown(&file) {
                all.miss(file, Some(true));
                continue;
            }
            let Some(revision) = self.memory.revision(&file) else {
                let forgotten = self.memory.is_full().then_some(was_there);
                all.miss_unless_told(file, is.is_some(), forgotten);
                continue;
            };
            if !known.contains_key(revision) {
                let files = self.files_of(revision, here).await;
                known.insert(revision, files);
            }
            let Some(files) = known.get(revision).and_then(Option::as_ref) else {
                all.miss(file, Some(was_there));
                continue;
            };
            // An object that was made later is another one of that name: nobody has taken its file out.
            let counts = is.is_some() || !is_younger(object, files);
            match gives(files, &file).filter(|_| counts) {
                Some(was) => {
                    all.files.insert(file, was);
                }
                None => {
                    let forgotten = self.memory.is_full().then_some(false);
                    all.miss_unless_told(file, is.is_some(), forgotten);
                }
            }
        }
        let since = self.memory.since().and_then(|since| known.remove(since));
        self.folding(&mut all, found.seen.len(), since, here).await;
        all
    }

    /// What is asked for where so many are remembered, with so many more, that they are to be folded.
    async fn folding(
        &self,
        all: &mut Agreed,
        more: usize,
        known: Option<Option<Snapshot>>,
        here: Option<&Snapshot>,
    ) {
        let Some(since) = self.memory.since().filter(|_| self.memory.is_many(more)) else {
            return;
        };
        all.since = match known {
            Some(files) => files,
            None => self.files_of(since, here).await,
        };
        if let (None, Ok(revision)) = (&all.since, Revision::parse(since)) {
            let (key, until) = (self.spec.source.key(), self.deadline);
            all.is_since_nowhere = source::is_nowhere(self.ctx, &key, &revision, until).await;
        }
    }

    pub(super) async fn files_of(
        &self,
        revision: &str,
        here: Option<&Snapshot>,
    ) -> Option<Snapshot> {
        if let Some(here) = here.filter(|here| here.revision().to_string() == revision) {
            return Some(here.clone());
        }
        let revision = Revision::parse(revision).ok()?;
        source::all_of(self.ctx, &self.spec.source.key(), &revision, self.deadline).await
    }

    /// All files of the branch: of the commit that the source has, where that is of it.
    pub(super) async fn files_here(&self) -> Option<Snapshot> {
        if self.repository.branch.as_ref() != Some(&self.branch) {
            return self.files_there().await;
        }
        let source = self.spec.source.key();
        let stored = self.ctx.in_store(&source).ok()?;
        let (files, until) = (stored.snapshot, self.deadline.into_std());
        let revision = files.revision().clone();
        // What was fetched in parts does not have the others.
        if stored.wanted.sparse.is_empty() {
            let limits = self.ctx.limits.clone();
            let work = tokio::task::spawn_blocking(move || files.whole(&limits, until));
            if let Ok(Ok(all)) = work.await {
                return Some(all);
            }
        }
        source::all_of(self.ctx, &source, &revision, self.deadline).await
    }

    /// All files of the branch; of its newest commit where what is at hand may be behind what this WriteBack has made.
    async fn files_now(&self, found: &Found) -> Option<Snapshot> {
        let here = self.files_here().await?;
        let begun = self.ctx.wards.begun(self.id);
        let begun = begun.and_then(|ago| self.ctx.clock.now().checked_sub(ago).ok());
        // What was made since then is remembered: only a process before this one can have written of others.
        let is_untold = |live: &Object| {
            let is_old = begun.is_none_or(|begun| !is_made_after(live, begun));
            let file = self.file_for(live).filter(|_| is_old);
            file.is_some_and(|file| {
                self.memory.revision(&file).is_none() && gives(&here, &file).is_none()
            })
        };
        let is_behind = found.seen.iter().any(|(_, seen)| match &seen.state {
            State::Made { live, .. } => is_untold(live),
            State::Held { .. } | State::Gone { .. } => false,
        });
        match is_behind {
            true => self.files_there().await.or(Some(here)),
            false => Some(here),
        }
    }

    /// All files of the newest commit of the branch, as its server has it.
    async fn files_there(&self) -> Option<Snapshot> {
        let files = self.files(&self.branch).await.ok()?;
        let (limits, until) = (self.ctx.limits.clone(), self.deadline.into_std());
        let work = tokio::task::spawn_blocking(move || files.whole(&limits, until));
        work.await.ok()?.ok()
    }
}

impl Agreed {
    /// Of a file nothing is known; where there is one, by itself or with what it was, a commit of ours may tell.
    fn miss_unless_told(&mut self, file: String, is_there: bool, was_there: Option<bool>) {
        match was_there {
            None if is_there => {
                self.untold.insert(file);
            }
            // One that comes before it is decided is somebody's, or of a process that died.
            was_there => self.miss(file, was_there.or(Some(false))),
        }
    }

    /// Of a file nothing is known; and, if it was known once, whether there was one.
    pub(super) fn miss(&mut self, file: String, was_there: Option<bool>) {
        if let Some(was_there) = was_there {
            self.forgotten.insert(file, was_there);
        }
    }
}

/// Whether a manifest of a snapshot is for a cluster that does not have it: the one that is there says what it was taken of, and
/// nothing of that is applied or written.
pub(super) fn is_only_made(id: &ObjectId, manifest: &Value) -> bool {
    let is_told = says(manifest, "kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent");
    id.group == "snapshot.storage.k8s.io" && is_told
}

/// Whether the file of an object is looked for that no build gives.
fn has_own_file(seen: &Seen) -> bool {
    match &seen.state {
        State::Made { .. } | State::Gone { build: None, .. } => true,
        State::Held { .. } | State::Gone { build: Some(_), .. } => false,
    }
}

/// The one object that a file gives.
pub(super) fn gives(files: &Snapshot, file: &str) -> Option<Object> {
    let bytes = files.read(file).ok()?;
    Object::try_from(alone(&bytes, file)?.1).ok()
}

/// Whether a file is as its object.
fn is_as(live: &Object, lean: Option<&Object>, file: &Object) -> bool {
    let whole = stripped(live);
    let said = match lean {
        Some(lean) => as_said(&whole, lean, Some(file)),
        None => whole,
    };
    said == *file
}

/// Whether an object was made after these files were committed.
fn is_younger(object: &Object, files: &Snapshot) -> bool {
    let at = files.told().and_then(|told| told.at);
    at.is_some_and(|at| is_made_after(object, at))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_snapshot_that_is_only_made_is_not_compared_with_the_one_that_was_taken() {
        let id = |group: &str| ObjectId {
            namespace: "acme".to_owned(),
            name: "a".to_owned(),
            group: group.to_owned(),
            kind: "VolumeSnapshot".to_owned(),
        };
        let manifest = |how: &str| json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/ssa": how}}});
        let (snapshots, absent) = (id("snapshot.storage.k8s.io"), manifest("IfNotPresent"));
        assert!(is_only_made(&snapshots, &absent));
        assert!(!is_only_made(&snapshots, &manifest("Override")));
        assert!(!is_only_made(&id("apps"), &absent));
    }

    #[test]
    fn files_are_looked_for_where_a_build_does_not_give_the_object() {
        let map = || {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
            Box::new(Object::try_from(map).unwrap())
        };
        let has = |state| {
            let resource = "configmaps".to_owned();
            has_own_file(&Seen { resource, state })
        };
        let gone = |build| State::Gone {
            build,
            object: map(),
        };
        let made = State::Made {
            live: map(),
            lean: None,
        };
        let held = State::Held {
            build: 0,
            applied: map(),
            defaulted: None,
            live: map(),
        };
        assert!(has(made) && has(gone(None)));
        assert!(!has(held) && !has(gone(Some(0))));
    }

    #[test]
    fn a_file_is_as_its_object_whatever_is_filled_in() {
        let object = |spec| {
            let object = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a"}, "spec": spec});
            Object::try_from(object).unwrap()
        };
        let live = object(json!({"size": 1, "volumeMode": "Filesystem"}));
        let lean = object(json!({"size": 1}));
        assert!(is_as(&live, Some(&lean), &lean));
        assert!(is_as(&live, Some(&lean), &live));
        assert!(is_as(&live, None, &live));
        assert!(!is_as(&live, None, &lean));
        assert!(!is_as(&live, Some(&lean), &object(json!({"size": 2}))));
    }
}
