//! Whether what is said of the repository by somebody else counts: an address proves nothing, since anybody may write down one.
//!
//! A source of another tenant counts once it has had files of that address: then it could read them. A Kustomization counts that
//! builds of such a source, and a WriteBack that has written. What the platform keeps always counts, and so does what is the
//! tenant's own. It deliberately asks no remote: what it knows is in the index, and who comes to have files counts from then on.

use reeve_api::condition::{Type, find};
use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespacedName, RemoteUrl};
use reeve_api::source::GitRepository;
use reeve_api::writeback::WriteBack;
use reeve_core::tenancy::Grounds;

use super::Case;
use crate::controller::kustomization::source;
use crate::index::Known;

impl Case<'_> {
    /// Whether a Kustomization of somebody else may be built from the branch that is written.
    pub(super) fn may_build_here(
        &self,
        known: &Known,
        id: &NamespacedName,
        one: &Kustomization,
    ) -> bool {
        self.may_be_here(known, one) && self.is_real(known, id, one)
    }

    /// Whether a Kustomization, whoever's it is, is built from the branch that is written.
    pub(super) fn builds_here(
        &self,
        known: &Known,
        id: &NamespacedName,
        one: &Kustomization,
    ) -> bool {
        self.is_here(known, one) && (self.is_of_us(id) || self.is_real(known, id, one))
    }

    /// Whether a source that names the repository has ever had files of it.
    pub(super) fn is_read(&self, known: &Known, id: &NamespacedName) -> bool {
        is_read(&self.ctx.grounds, known, id, |url| self.is_place_of(url))
    }

    /// Whether another WriteBack, which writes by that source, has anything there to keep.
    pub(super) fn is_keeper(
        &self,
        known: &Known,
        id: &NamespacedName,
        one: &WriteBack,
        source: &NamespacedName,
    ) -> bool {
        let is_platforms = self.ctx.grounds.belongs_to_platform(&id.namespace);
        self.is_of_us(id) || is_platforms || (has_written(one) && self.is_read(known, source))
    }

    fn is_real(&self, known: &Known, id: &NamespacedName, one: &Kustomization) -> bool {
        let is_platforms = self.ctx.grounds.belongs_to_platform(&id.namespace);
        let source = source(one);
        let is_read = source.is_some_and(|source| self.is_read(known, &source));
        is_read && (is_platforms || builds(one))
    }
}

/// Whether a source has ever had files of a repository, which `is_it` knows by its address; one of the platform's has.
pub(in crate::controller) fn is_read(
    grounds: &Grounds,
    known: &Known,
    id: &NamespacedName,
    is_it: impl Fn(&RemoteUrl) -> bool,
) -> bool {
    if grounds.belongs_to_platform(&id.namespace) {
        return true;
    }
    match known.stored.get(id) {
        // What is stored may be of an address that the source had before.
        Some(stored) => RemoteUrl::parse(&stored.wanted.url)
            .ok()
            .is_none_or(|url| is_it(&url)),
        None => known.sources.get(id).is_some_and(|one| has_files(one)),
    }
}

/// Whether the status says that the source has files, and that they were fetched for what its spec says now.
fn has_files(object: &GitRepository) -> bool {
    object.status.as_ref().is_some_and(|status| {
        let stored = find(&status.conditions, Type::ArtifactInStorage);
        let generation = object.metadata.generation;
        status.artifact.is_some() && stored.is_some_and(|one| one.observed_generation == generation)
    })
}

/// Whether a Kustomization is built, or was: one that was made suspended never was.
fn builds(object: &Kustomization) -> bool {
    let status = object.status.as_ref();
    !object.spec.suspend
        || status.is_some_and(|status| {
            status.last_attempted_revision.is_some() || status.last_applied_revision.is_some()
        })
}

/// Whether a WriteBack has ever committed anything.
fn has_written(object: &WriteBack) -> bool {
    let status = object.status.as_ref();
    status.is_some_and(|status| status.last_commit.is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_source_has_files_once_they_were_fetched_for_what_it_says_now() {
        let of = |status: Value| {
            let object = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": "x", "namespace": "b", "generation": 2},
                "spec": {"interval": "1m", "url": "https://git.local/a.git"}, "status": status});
            let object: GitRepository = serde_json::from_value(object).unwrap();
            has_files(&object)
        };
        let artifact = json!({"digest": format!("sha256:{}", "0".repeat(64)), "lastUpdateTime": "2026-11-23T06:00:00Z",
            "path": "x.tar.gz", "revision": "main@sha1:0123456789012345678901234567890123456789", "url": "http://reeve/x.tar.gz"});
        let stored = |generation: i64| {
            json!([{"type": "ArtifactInStorage", "status": "True", "reason": "Succeeded", "message": "stored",
                "lastTransitionTime": "2026-11-23T06:00:00Z", "observedGeneration": generation}])
        };
        assert!(of(json!({"artifact": artifact, "conditions": stored(2)})));
        let before = json!({"artifact": artifact, "conditions": stored(1)});
        assert!(!of(before), "its address was another");
        assert!(!of(json!({"conditions": stored(2)})));
        assert!(!of(json!({"artifact": artifact})));
        assert!(!of(json!({})));
    }

    #[test]
    fn who_was_made_suspended_builds_nothing_and_who_has_built_counts_though_suspended() {
        let of = |suspend: bool, status: Value| {
            let object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "x"},
                "spec": {"interval": "1h", "prune": true, "suspend": suspend, "sourceRef": {"kind": "GitRepository", "name": "x"}},
                "status": status});
            let object: Kustomization = serde_json::from_value(object).unwrap();
            builds(&object)
        };
        let revision = "main@sha1:0123456789012345678901234567890123456789";
        assert!(!of(true, json!({})));
        assert!(of(false, json!({})));
        assert!(of(true, json!({"lastAppliedRevision": revision})));
        assert!(of(true, json!({"lastAttemptedRevision": revision})));
    }
}
