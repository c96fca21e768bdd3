//! What a Kustomization had applied before, for who has forgotten it: which revisions may be rendered once more to find that out, and
//! whether what comes of it counts.
//!
//! It counts if it has the digest that the status tells; or if the last run came to its end with that very revision and spec, so that
//! nothing else can be on the cluster but by other variables or plugins. After anything else nobody knows, and what is gone then may
//! never have been there: leaving that out would take it out of git. It deliberately renders nothing. No policy goes by what counts
//! by its revision alone: to those only the digest is proof (`admit`).

use reeve_api::kustomization::{Kustomization, KustomizationStatus};
use reeve_api::reason::Reason;

use crate::admit::Recollection;
use crate::artifact::Digest;

/// How sure it is that this was applied last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sure {
    /// It is the very same.
    ByDigest,
    /// The last run applied all of its revision.
    ByRevision,
    /// It may be something else.
    Not,
}

/// The revisions that may have been applied last, at most two; none: nothing was ever applied.
pub fn revisions(status: &KustomizationStatus) -> Vec<&str> {
    let last = [
        &status.last_applied_revision,
        &status.last_attempted_revision,
    ];
    let mut all: Vec<&str> = last.into_iter().flatten().map(String::as_str).collect();
    all.dedup();
    all
}

/// How sure it is that `made`, which `revision` gives now, was applied last.
pub fn sure(object: &Kustomization, revision: &str, made: &Recollection) -> Sure {
    let Some(status) = &object.status else {
        return Sure::Not;
    };
    let told = status.last_applied_digest.as_deref();
    let told = told.and_then(|digest| Digest::parse(digest).ok());
    if told == Some(made.digest()) {
        return Sure::ByDigest;
    }
    let is = |other: &Option<String>| other.as_deref() == Some(revision);
    let (last, succeeded) = (status.history.first(), Reason::ReconciliationSucceeded);
    let is_whole = is(&status.last_applied_revision)
        && is(&status.last_attempted_revision)
        && status.observed_generation == object.metadata.generation
        && last.is_some_and(|last| last.last_reconciled_status == succeeded.as_str());
    match is_whole {
        true => Sure::ByRevision,
        false => Sure::Not,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "acme_web_apps_Deployment";

    fn made(image: &str) -> Recollection {
        let objects = json!({ID: {"image": image}});
        Recollection::parse(objects.to_string().as_bytes()).unwrap()
    }

    /// A Kustomization that came to its end with revision 2, with this in its status.
    fn object(more: Value) -> Kustomization {
        let mut status = json!({
            "lastAppliedRevision": "main@sha1:2", "lastAttemptedRevision": "main@sha1:2", "observedGeneration": 3,
            "history": [{
                "digest": "sha256:1", "firstReconciled": "2026-01-01T00:00:00Z", "lastReconciled": "2026-01-01T00:00:00Z",
                "lastReconciledDuration": "1s", "lastReconciledStatus": "ReconciliationSucceeded", "totalReconciliations": 1,
            }],
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            status[key] = value.clone();
        }
        let spec = json!({
            "interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "shop"},
        });
        let object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "shop", "namespace": "acme", "generation": 3}, "spec": spec, "status": status});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_was_applied_is_looked_for_in_the_last_revision_and_in_one_that_came_half_way() {
        let of = |more| {
            let status = object(more).status.unwrap();
            revisions(&status).join(" ")
        };
        assert_eq!(of(json!({})), "main@sha1:2");
        let ahead = json!({"lastAttemptedRevision": "main@sha1:3"});
        assert_eq!(of(ahead), "main@sha1:2 main@sha1:3");
        assert_eq!(of(json!({"lastAppliedRevision": null})), "main@sha1:2");
        let nothing = json!({"lastAppliedRevision": null, "lastAttemptedRevision": null});
        assert_eq!(of(nothing), "");
    }

    #[test]
    fn what_is_rendered_anew_counts_by_its_digest_or_after_a_run_that_came_to_its_end() {
        let digest = made("1").digest().to_string();
        let failed = json!([{
            "digest": "sha256:1", "firstReconciled": "2026-01-01T00:00:00Z", "lastReconciled": "2026-01-01T00:00:00Z",
            "lastReconciledDuration": "1s", "lastReconciledStatus": "ReconciliationFailed", "totalReconciliations": 1,
        }]);
        let (now, before) = ("main@sha1:2", "main@sha1:1");
        let sure_of = |more, revision| sure(&object(more), revision, &made("1"));
        for (about, more, revision, want) in [
            (
                "the same",
                json!({"lastAppliedDigest": digest}),
                now,
                Sure::ByDigest,
            ),
            (
                "the same, of another revision",
                json!({"lastAppliedDigest": digest, "history": failed}),
                before,
                Sure::ByDigest,
            ),
            ("nobody told a digest", json!({}), now, Sure::ByRevision),
            (
                "other variables",
                json!({"lastAppliedDigest": made("2").digest().to_string()}),
                now,
                Sure::ByRevision,
            ),
            ("another revision", json!({}), before, Sure::Not),
            (
                "a run that failed",
                json!({"history": failed}),
                now,
                Sure::Not,
            ),
            (
                "a run that was ended",
                json!({"lastAttemptedRevision": "main@sha1:3"}),
                now,
                Sure::Not,
            ),
            (
                "another spec",
                json!({"observedGeneration": 2}),
                now,
                Sure::Not,
            ),
        ] {
            assert_eq!(sure_of(more, revision), want, "{about}");
        }
    }
}
