//! What a run of a Kustomization did and used, as events, and what it left as the status holds it.
//!
//! When such an event is worth telling is decided in `status/kustomization.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use reeve_api::kustomization::{
    Inventory as TypedInventory, KustomizationStatus, LastRun, ObjectAction, ObjectChange,
    RemoteBase, ResourceRef,
};
use reeve_api::reason::Reason;

use super::health::is_waited_for;
use super::{Action, Change, Event, MAX_EVENT_MESSAGE, bounded};
use crate::inventory::Inventory;

/// How many changes of a run the status holds, how many fields of each, and how long a field's name may be.
const CHANGES: usize = 50;
const FIELDS: usize = 10;
const FIELD: usize = 128;

/// What was done for `revision`, as the status holds it after a run with these changes.
///
/// A run that only tells what became of another did nothing of its own. One that goes on where another has waited adds to what
/// that did, and one that finds nothing to do takes nothing of it away: it comes as often as not a moment later.
pub(super) fn last_run<'c>(
    previous: &KustomizationStatus,
    revision: &str,
    changes: impl IntoIterator<Item = &'c Change>,
) -> Option<LastRun> {
    let mut changes = changes.into_iter().peekable();
    if changes.peek().is_none() {
        return previous.last_run.clone();
    }
    let now: Vec<ObjectChange> = changes.filter_map(told).collect();
    let stays = is_waited_for(&previous.conditions) || !now.iter().any(is_deed);
    let before = previous.last_run.as_ref();
    let before = before.filter(|run| stays && run.revision == revision);
    let ids: BTreeSet<&str> = now.iter().map(|change| change.id.as_str()).collect();
    let is_kept = |change: &&ObjectChange| is_deed(change) && !ids.contains(change.id.as_str());
    let earlier = before.into_iter().flat_map(|run| &run.changes);
    let mut changes: Vec<ObjectChange> = earlier.filter(is_kept).cloned().collect();
    let more = before.and_then(|run| run.more).unwrap_or_default();
    changes.extend(now);
    let beyond = i64::try_from(changes.len().saturating_sub(CHANGES)).unwrap_or(i64::MAX);
    let more = more.saturating_add(beyond);
    changes.truncate(CHANGES);
    let revision = revision.to_owned();
    (!changes.is_empty()).then(|| LastRun {
        changes,
        more: (more > 0).then_some(more),
        revision,
    })
}

/// Whether it is something that was done, and not how an object stands for as long as it does.
fn is_deed(change: &ObjectChange) -> bool {
    match change.action {
        ObjectAction::Created | ObjectAction::Configured | ObjectAction::Deleted => true,
        ObjectAction::Skipped | ObjectAction::Reported => false,
    }
}

/// None: there was nothing to do.
fn told(change: &Change) -> Option<ObjectChange> {
    let action = match change.action {
        Action::Created => ObjectAction::Created,
        Action::Configured => ObjectAction::Configured,
        Action::Deleted => ObjectAction::Deleted,
        Action::Skipped if change.fields.is_empty() => ObjectAction::Skipped,
        Action::Skipped => ObjectAction::Reported,
        Action::Unchanged => return None,
    };
    let shown = change.fields.iter().take(FIELDS);
    let mut fields: Vec<String> = shown.map(|field| bounded(field, FIELD)).collect();
    if change.fields.len() > FIELDS {
        fields.push("more".to_owned());
    }
    Some(ObjectChange {
        action,
        fields,
        id: change.id.to_string(),
    })
}

/// An inventory as the status holds it.
pub fn typed_inventory(inventory: &Inventory) -> TypedInventory {
    let entries = inventory.to_status().into_iter();
    TypedInventory {
        entries: entries
            .map(|(id, version)| ResourceRef { id, version })
            .collect(),
    }
}

/// The change set as one event, a line an object: only what was written for.
pub(super) fn change_events(changes: &[Change], metadata: &BTreeMap<String, String>) -> Vec<Event> {
    let lines: Vec<String> = changes
        .iter()
        .filter(|change| change.action.is_change())
        .map(|change| format!("{} {}", change.id.subject(), change.action.as_str()))
        .collect();
    if lines.is_empty() {
        return Vec::new();
    }
    vec![Event::normal(
        Reason::Progressing,
        &whole_lines(&lines),
        metadata,
    )]
}

/// A build that has become empty is as a rule a mistake.
pub(super) fn emptied(
    inventory: &Inventory,
    pruned: &[Change],
    metadata: &BTreeMap<String, String>,
) -> Option<Event> {
    let deleted = pruned.iter().filter(|change| change.action.is_change());
    let deleted = deleted.count();
    if !inventory.is_empty() || deleted == 0 {
        return None;
    }
    let message = format!("nothing is left in git: all {deleted} objects were deleted");
    Some(Event::warning(
        Reason::ReconciliationSucceeded,
        &message,
        metadata,
    ))
}

/// As many whole lines as an event takes, and how many are left out.
fn whole_lines(lines: &[String]) -> String {
    /// Room for the line that counts the rest.
    const REST: usize = 32;
    let mut text = String::new();
    for (told, line) in lines.iter().enumerate() {
        if told > 0 && text.len() + line.len() + 1 > MAX_EVENT_MESSAGE - REST {
            let _written = write!(text, "\n… and {} more", lines.len() - told);
            return text;
        }
        if told > 0 {
            text.push('\n');
        }
        text.push_str(line);
    }
    text
}

/// What may be something else at the next run: told when it is new or has moved.
pub(super) fn unpinned(
    before: &[RemoteBase],
    now: &[RemoteBase],
    metadata: &BTreeMap<String, String>,
) -> Option<Event> {
    let loose: Vec<&RemoteBase> = now.iter().filter(|base| !base.pinned).collect();
    if loose.iter().all(|base| before.contains(base)) {
        return None;
    }
    let mut message = "remote resources are not pinned:".to_owned();
    for base in loose {
        // A String takes everything.
        let _written = write!(message, "\n{} is at {} now", base.url, base.revision);
    }
    Some(Event::normal(
        Reason::ReconciliationSucceeded,
        &message,
        metadata,
    ))
}
