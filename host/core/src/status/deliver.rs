//! The story of a run that delivered to git and applied nothing.
//!
//! What an earlier run had applied is let go: it stays as it is on the cluster, nobody prunes it any more, and an event says
//! so. What it deliberately doesn't: say what became of the files once another agent had them.

use std::time::Duration;

use reeve_api::condition::{self, Type};
use reeve_api::deliver::Delivered;
use reeve_api::kustomization::{KustomizationStatus, RemoteBase};
use reeve_api::reason::Reason;

use super::change::unpinned;
use super::history::remember;
use super::kustomization::{finished, metadata};
use super::{Event, Frame, Memory, Next, Page, Told, asked_for};
use crate::deliver::Adopted;
use crate::schedule;
use crate::text::{counted, line};

/// How many files an event names.
const NAMED: usize = 10;

/// A run whose files are where they should be, or are proposed.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The revision that they are of.
    pub revision: String,
    /// Where they are.
    pub delivered: Delivered,
    /// What this run changed in the repository; none: nothing had to be.
    pub change: Option<FileChange>,
    /// `<algo>:<hex>` of what was rendered.
    pub digest: String,
    /// The remote resources that were built with.
    pub remote_bases: Vec<RemoteBase>,
    /// How long the run took.
    pub took: Duration,
}

/// What a run changed in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChange {
    /// How many files were written.
    pub written: usize,
    /// How many were removed.
    pub removed: usize,
    /// What was taken over.
    pub adopted: Vec<Adopted>,
}

pub(super) fn delivered(
    previous: &KustomizationStatus,
    frame: &Frame<'_>,
    done: &Delivery,
) -> Told<KustomizationStatus> {
    let Delivery {
        revision,
        delivered,
        change,
        digest,
        remote_bases,
        took,
    } = done;
    let reason = reason(delivered);
    let message = words(delivered, revision);
    let mut page = Page::new(&previous.conditions, frame);
    page.ready(reason, &message);
    page.remove(&[Type::Healthy]);
    let mut status = let_go(previous);
    status.conditions = page.conditions;
    status.delivered = Some(delivered.clone());
    status.last_attempted_revision = Some(revision.clone());
    // Who depends on it waits for this; what is only proposed is nowhere yet.
    status.last_applied_revision = match delivered.proposal {
        None => Some(revision.clone()),
        Some(_) => previous.last_applied_revision.clone(),
    };
    remember(&mut status.history, digest, reason, revision, *took, frame);

    let metadata = metadata(Some(revision));
    let mut events = Vec::new();
    let held = previous.inventory.as_ref();
    let held = held.map_or(0, |inventory| inventory.entries.len());
    if held > 0 {
        let message = format!(
            "{} that this Kustomization had applied stay on the cluster: from now on it is delivered to git, and prunes nothing",
            counted(held, "object", "objects")
        );
        events.push(Event::normal(reason, &message, &metadata));
    }
    events.extend(change.as_ref().map(|change| {
        let message = format!("{message}: {}", told(change));
        Event::normal(reason, &message, &metadata)
    }));
    events.extend(unpinned(&previous.remote_bases, remote_bases, &metadata));
    status.remote_bases.clone_from(remote_bases);
    let handled = previous.last_handled_reconcile_at.as_ref();
    let news = !events.is_empty()
        || !condition::is_true(&previous.conditions, Type::Ready)
        || asked_for(&previous.conditions, handled, frame);
    if news {
        events.push(finished(*took, frame, &metadata));
    }
    Told {
        status,
        events,
        next: Next::After(schedule::jittered(frame.interval, frame.spread)),
        memory: Memory::default(),
    }
}

fn reason(delivered: &Delivered) -> Reason {
    match delivered.proposal {
        None => Reason::Delivered,
        Some(_) => Reason::DeliveryProposed,
    }
}

/// The status without what was applied: who is not asked to prune has nothing to prune by.
fn let_go(previous: &KustomizationStatus) -> KustomizationStatus {
    KustomizationStatus {
        inventory: None,
        inventory_cluster: None,
        last_applied_digest: None,
        last_applied_from: None,
        last_run: None,
        left_alone: Vec::new(),
        replacing: Vec::new(),
        sync: None,
        ..previous.clone()
    }
}

fn words(delivered: &Delivered, revision: &str) -> String {
    let Delivered {
        branch,
        path,
        url,
        objects,
        commit,
        proposal,
        ..
    } = delivered;
    let place = match path.as_str() {
        "" => format!("{url}, branch {branch}"),
        path => format!("{url}, branch {branch}, {path}"),
    };
    let objects = counted(
        usize::try_from(*objects).unwrap_or_default(),
        "object",
        "objects",
    );
    match (proposal, commit) {
        (Some(proposal), _) => {
            let at = proposal.url.as_deref().unwrap_or(&proposal.branch);
            format!("Proposed revision: {revision} ({objects}) for {place}: {at}")
        }
        (None, Some(commit)) => {
            format!("Delivered revision: {revision} ({objects}) to {place}: {commit}")
        }
        (None, None) => format!("Delivered revision: {revision} ({objects}) to {place}"),
    }
}

fn told(change: &FileChange) -> String {
    let FileChange {
        written,
        removed,
        adopted,
    } = change;
    let mut text = format!(
        "{} written, {removed} removed",
        counted(*written, "file", "files")
    );
    if !adopted.is_empty() {
        let all = adopted.iter().take(NAMED).map(|one| {
            let how = if one.differs { "another" } else { "the same" };
            format!("{} ({} was {how} there)", line(&one.path), one.subject)
        });
        let all: Vec<String> = all.collect();
        let more = adopted.len().saturating_sub(NAMED);
        text = format!("{text}, taken over: {}", all.join(", "));
        if more > 0 {
            text = format!("{text}, and {more} more");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use reeve_api::condition::{self, Status};
    use reeve_api::deliver::Proposed;
    use serde_json::json;

    use super::*;

    fn frame() -> Frame<'static> {
        Frame {
            generation: 3,
            requested_at: None,
            now: "2026-11-23T08:00:00Z".parse().unwrap(),
            interval: Duration::from_secs(600),
            retry_interval: None,
            spread: 0,
            memory: Memory::default(),
        }
    }

    fn done(change: Option<FileChange>, proposal: Option<Proposed>) -> Delivery {
        Delivery {
            revision: "main@sha1:1111111111111111111111111111111111111111".to_owned(),
            delivered: Delivered {
                branch: "main".to_owned(),
                commit: Some("2222".to_owned()),
                digest: "sha256:0".to_owned(),
                head: "2222".to_owned(),
                objects: 2,
                path: "apps/demo".to_owned(),
                url: "https://git.example/acme/live.git".to_owned(),
                proposal,
                ..Delivered::default()
            },
            change,
            digest: "sha256:1".to_owned(),
            remote_bases: Vec::new(),
            took: Duration::from_millis(10),
        }
    }

    /// Applied before, with one object.
    fn applied() -> KustomizationStatus {
        let status = json!({
            "conditions": [], "inventory": {"entries": [{"id": "acme_web_apps_Deployment", "v": "v1"}]},
            "lastAppliedRevision": "main@sha1:0", "lastAppliedFrom": "x", "lastAppliedDigest": "y",
        });
        serde_json::from_value(status).unwrap()
    }

    fn change() -> FileChange {
        FileChange {
            written: 2,
            removed: 1,
            adopted: vec![Adopted {
                path: "apps/demo/old.yaml".to_owned(),
                subject: "ConfigMap/acme/settings".to_owned(),
                differs: true,
            }],
        }
    }

    #[test]
    fn who_delivers_lets_go_of_what_it_had_applied_and_says_where_it_is_now() {
        let told = delivered(&applied(), &frame(), &done(Some(change()), None));
        let ready = condition::find(&told.status.conditions, Type::Ready).unwrap();
        assert_eq!(ready.status, Status::True.as_str());
        assert_eq!(ready.reason, "Delivered");
        assert_eq!(
            ready.message,
            "Delivered revision: main@sha1:1111111111111111111111111111111111111111 (2 objects) to \
             https://git.example/acme/live.git, branch main, apps/demo: 2222"
        );
        let status = &told.status;
        assert_eq!(
            (&status.inventory, &status.last_applied_from),
            (&None, &None)
        );
        assert_eq!(
            status.last_applied_revision,
            Some(done(None, None).revision)
        );
        let events: Vec<_> = told
            .events
            .iter()
            .map(|event| event.message.as_str())
            .collect();
        assert_eq!(events.len(), 3, "{events:?}");
        assert!(events[0].starts_with("1 object that this Kustomization had applied stay"));
        assert!(events[1].ends_with(
            "2 files written, 1 removed, taken over: apps/demo/old.yaml (ConfigMap/acme/settings was another there)"
        ));
        // The same once more is no news.
        let again = delivered(&told.status, &frame(), &done(None, None));
        assert!(again.events.is_empty(), "{:?}", again.events);
        assert_eq!(again.status.conditions, told.status.conditions);
    }

    #[test]
    fn what_is_only_proposed_is_not_where_others_wait_for_it() {
        let proposal = Proposed {
            branch: "reeve/acme/web-22222222".to_owned(),
            number: Some(7),
            url: Some("https://git.example/acme/live/pulls/7".to_owned()),
        };
        let told = delivered(&applied(), &frame(), &done(None, Some(proposal)));
        let ready = condition::find(&told.status.conditions, Type::Ready).unwrap();
        assert_eq!(ready.reason, "DeliveryProposed");
        assert!(
            ready
                .message
                .ends_with("https://git.example/acme/live/pulls/7")
        );
        assert_eq!(
            told.status.last_applied_revision.as_deref(),
            Some("main@sha1:0")
        );
    }
}
