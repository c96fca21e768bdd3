//! What a run of a Kustomization did and used, as events, and what it left as the status holds it.
//!
//! When such an event is worth telling is decided in `status/kustomization.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reeve_api::kustomization::{Inventory as TypedInventory, RemoteBase, ResourceRef};
use reeve_api::reason::Reason;

use super::{Change, Event, MAX_EVENT_MESSAGE};
use crate::inventory::Inventory;

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
