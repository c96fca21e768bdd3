//! One object after the other: whether a rule means it, whether anybody may write it, and whether there is room for it.
//!
//! Only what is decided about counts for the room: what is refused whatever is in it keeps nobody waiting. It deliberately writes what
//! builds have only later, together: one place may be the place of several.

use std::collections::BTreeMap;

use reeve_api::writeback::{OnDelete, SyncTo};
use reeve_kustomize::Object;
use serde_json::Value;

use super::super::is_paused;
use super::super::rule::{Rules, Subject};
use super::{Allowed, Seen, State, Work, admitted, held, made};
use crate::inventory::ObjectId;

/// How many objects one commit is about; the others are left for the next.
pub(super) const MOST: usize = 500;

/// What one decision is by, and how far it is.
pub(super) struct Round<'s> {
    rules: &'s Rules,
    allowed: &'s Allowed,
    /// How many objects were decided about.
    taken: usize,
    /// What builds have.
    pub(super) held: BTreeMap<usize, Vec<held::Held<'s>>>,
}

impl<'s> Round<'s> {
    pub(super) fn new(rules: &'s Rules, allowed: &'s Allowed) -> Self {
        Self {
            rules,
            allowed,
            taken: 0,
            held: BTreeMap::new(),
        }
    }

    /// The next one.
    pub(super) fn take(&mut self, work: &mut Work<'_>, seen: &'s Seen) {
        let object = seen.object();
        let subject = Subject::of(object, &seen.resource);
        let following = self.rules.following(&subject);
        // What comes or goes as a whole is no field's rule to decide about.
        let whole = self.rules.whole(&subject);
        let whole = whole.filter(|rule| rule.sync_to() == SyncTo::Git);
        let is_meant = match &seen.state {
            State::Held { .. } | State::Made { .. } => following.commits(),
            State::Gone { .. } => whole.is_some(),
        };
        if !is_meant {
            return;
        }
        if is_paused_by(seen) {
            return work.decision.paused.push(object.clone());
        }
        if let Err(why) = admitted(self.allowed, object) {
            return work.decision.refused.push(*why);
        }
        if self.taken >= MOST {
            work.decision.left += 1;
            work.decision.over.insert(ObjectId::of(object));
            return;
        }
        self.taken += 1;
        match &seen.state {
            State::Held { build, .. } => {
                let of_build = self.held.entry(*build).or_default();
                let one = held::Held::of(&following, seen);
                of_build.extend(one.map(|one| one.with_bound(work, &following)));
            }
            State::Made { live, lean } => {
                let by = (&following, whole.is_some());
                made::made(work, by, live, lean.as_deref());
            }
            State::Gone { build, object } => {
                if whole.is_some_and(|rule| rule.on_delete() == OnDelete::Delete) {
                    made::gone(work, *build, object);
                }
            }
        }
    }
}

fn is_paused_by(seen: &Seen) -> bool {
    is_paused(&Value::from(annotated(seen.object())))
}

/// The object with nothing but its metadata: what is asked is cheap.
fn annotated(object: &Object) -> Object {
    let mut out = Object::default();
    if let Some(annotations) = object.annotations() {
        *out.annotations_mut() = annotations.clone();
    }
    out
}
