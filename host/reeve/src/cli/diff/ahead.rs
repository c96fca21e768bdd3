//! What a run would do beside applying: which hooks it would run, and what it would wait for somebody to confirm.
//!
//! Found out as a run finds it out (`core::sync`, `core::caution`), from the status that the last one left. It deliberately asks
//! the cluster nothing: whether a hook would be refused there shows when it runs.

use kube::ResourceExt as _;
use reeve_api::RECONCILE_REQUEST;
use reeve_api::kustomization::KustomizationStatus;
use reeve_core::caution::{self, Origins, Verdict};
use reeve_core::failure::Explained;
use reeve_core::plan::{Plan, Proposed};
use reeve_core::preview::{self, Hook, Waits};
use reeve_core::source;

use super::{Asked, explained};
use crate::cli::ui::CommandError;

/// The plan as that of the sync that it would be: the one that the status knows, where it is built from the revision that the
/// source has in store, and else another.
pub(super) fn on(asked: &Asked, plan: Plan<Proposed>, revision: Option<&str>) -> Plan<Proposed> {
    let requested = asked.object.annotations().get(RECONCILE_REQUEST);
    let stored =
        stored(asked).filter(|stored| revision.is_some_and(|it| commit(it) == commit(stored)));
    let revision = stored.or(revision).unwrap_or_default();
    plan.on(revision, requested.map(String::as_str))
}

/// The hooks that would run, in order.
pub(super) fn hooks(asked: &Asked, plan: &Plan<Proposed>) -> Vec<Hook> {
    // What ran on another cluster has not run on this one.
    let status = status(asked).filter(|_| asked.left.is_none());
    preview::hooks(plan, status.and_then(|status| status.sync.as_ref()))
}

/// What would wait until somebody confirms it.
pub(super) fn waits(asked: &Asked, plan: &Plan<Proposed>) -> Result<Option<Waits>, CommandError> {
    let caution = &asked.spec.caution;
    let verdict = match &asked.left {
        Some(left) => caution.judge_move(left, asked.there.cluster(), applied(asked), plan),
        None => {
            let before = status(asked).and_then(|status| status.last_applied_from.as_deref());
            let now = origin(asked)?;
            let origins = Origins {
                before,
                // Of a source that cannot be read it is not known whether it is another: it is taken for the same.
                now: now.as_deref().or(before).unwrap_or_default(),
                applied: applied(asked),
            };
            // What others hold only the controller knows.
            caution.judge(origins, &[], &asked.inventory, plan)
        }
    };
    Ok(match verdict {
        Verdict::Go => None,
        Verdict::KeepAll(why) => Some(Waits::of(plan, false, why)),
        Verdict::Wait(why) => Some(Waits::of(plan, true, why)),
    })
}

/// Where its manifests come from.
fn origin(asked: &Asked) -> Result<Option<String>, CommandError> {
    let Some(source) = &asked.source else {
        return Ok(None);
    };
    let wanted = source::Wanted::parse(source).map_err(|why| explained(Explained::of(&why)))?;
    let (url, place) = (wanted.url.to_string(), wanted.reference.place());
    Ok(Some(caution::origin(&asked.spec, &url, place.as_deref())))
}

fn status(asked: &Asked) -> Option<&KustomizationStatus> {
    asked.object.status.as_ref()
}

/// The revision that everything was applied of last.
fn applied(asked: &Asked) -> Option<&str> {
    status(asked)?.last_applied_revision.as_deref()
}

/// The revision that the source has in store.
fn stored(asked: &Asked) -> Option<&str> {
    let status = asked.source.as_ref()?.status.as_ref()?;
    Some(&status.artifact.as_ref()?.revision)
}

/// The commit of a revision.
fn commit(revision: &str) -> &str {
    match revision.rsplit_once(':') {
        Some((_, commit)) => commit,
        None => revision,
    }
}
