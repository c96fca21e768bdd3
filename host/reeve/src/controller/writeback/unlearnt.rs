//! Who of the tenant puts Secrets in without that anybody here knows what these hold, as after each start of the controller.
//!
//! Wherever they are applied from: what a Kustomization puts in may be copied into any object. So each of them is asked before a new
//! file is written. Until it has said what it puts in no new file is: it waits, or is refused where nobody builds that Kustomization.
//! What they put in it deliberately does not look at: that is `veiled`'s.

use std::sync::Arc;

use reeve_api::kustomization::{Kustomization, SubstituteKind};
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::writeback::WriteBackRefusal;
use reeve_core::failure::{Explained, Turn};
use reeve_core::inventory::ObjectId;

use super::Case;
use super::look::Found;
use super::refusal::{suspended, unbuilt};
use super::veiled::is_any_new;
use crate::controller::kustomization::as_applied;
use crate::index::Known;

/// A Kustomization that puts Secrets in, of which nobody here knows what these hold.
#[derive(Debug, Clone)]
pub(super) struct Unlearnt {
    id: NamespacedName,
    /// Why it could not say so.
    why: Explained,
}

/// What becomes of a new file while that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Untold {
    /// Nobody builds the Kustomization until somebody changes it.
    Refused(WriteBackRefusal),
    /// It may say so later.
    Later(Explained),
}

impl Case<'_> {
    /// Has them say what they put in, and tells who could not. Nobody is asked where nothing new is to be written.
    pub(super) async fn learn(&self, found: &Found) -> Vec<Unlearnt> {
        let mut unlearnt = Vec::new();
        if !is_any_new(found) {
            return unlearnt;
        }
        for (id, object) in self.untold() {
            self.ctx.wards.wait_for(self.id, &id, true);
            // Whatever comes of it, the index remembers what was read of Secrets.
            let said = as_applied(self.ctx, &object, self.deadline).await;
            if self.ctx.index.read(|known| known.veils.contains_key(&id)) {
                self.ctx.wards.wait_for(self.id, &id, false);
                continue;
            }
            let gone = || Explained::new(Reason::Progressing, Turn::Ours, "it has just gone");
            let why = said.err().unwrap_or_else(gone);
            unlearnt.push(Unlearnt { id, why });
        }
        unlearnt
    }

    /// Whether a Kustomization of the tenant puts Secrets in of which nobody here knows what they hold.
    pub(super) fn is_unlearnt(
        &self,
        known: &Known,
        id: &NamespacedName,
        object: &Kustomization,
    ) -> bool {
        takes_secrets(object) && !known.veils.contains_key(id) && self.is_of_us(id)
    }

    /// Those of the tenant, from whatever repository.
    fn untold(&self) -> Vec<(NamespacedName, Arc<Kustomization>)> {
        self.ctx.index.read(|known| {
            let all = known.kustomizations.iter();
            let all = all.filter(|(id, one)| self.is_unlearnt(known, id, one));
            all.map(|(id, one)| (id.clone(), Arc::clone(one))).collect()
        })
    }
}

/// What becomes of the file of a new object, if one of them could hold something of it.
pub(super) fn untold(object: &ObjectId, unlearnt: &[Unlearnt]) -> Option<Untold> {
    let stands_still = |one: &&Unlearnt| one.why.reason == Reason::Suspended;
    let mut all = unlearnt.iter();
    let one = all.find(stands_still).or_else(|| unlearnt.first())?;
    let by = &one.id;
    if stands_still(&one) {
        return Some(Untold::Refused(suspended(object, "may hold", by)));
    }
    let message = format!(
        "whether {} holds a value of a Secret cannot be said: Kustomization {by} puts Secrets in, and nobody knows yet which values these are: {}",
        object.subject(),
        one.why
    );
    // Nothing of it is in the WriteBack. What is on its way, as all is in a process that has just begun, nobody may tell.
    let turn = match one.why.turn {
        Turn::Owner | Turn::OwnerOrPolicy | Turn::NextRevision => Turn::Retry,
        Turn::Source | Turn::Dependency => Turn::Ours,
        turn => turn,
    };
    Some(Untold::Later(unbuilt(turn, message, by)))
}

fn takes_secrets(object: &Kustomization) -> bool {
    let from = object.spec.post_build.iter();
    let mut from = from.flat_map(|build| &build.substitute_from);
    from.any(|one| one.kind == SubstituteKind::Secret)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn one(name: &str, reason: Reason, turn: Turn) -> Unlearnt {
        Unlearnt {
            id: NamespacedName::new("acme", name).unwrap(),
            why: Explained::new(reason, turn, "so it is"),
        }
    }

    #[test]
    fn a_new_file_waits_for_whoever_puts_secrets_in_and_is_refused_where_that_stands_still() {
        let object: ObjectId = "acme_stray__ConfigMap".parse().unwrap();
        assert_eq!(untold(&object, &[]), None);
        let waits = |turn| one("shop", Reason::DependencyNotReady, turn);
        for (turn, want) in [
            (Turn::Dependency, Turn::Ours),
            (Turn::Source, Turn::Ours),
            (Turn::Ours, Turn::Ours),
            (Turn::Owner, Turn::Retry),
            (Turn::NextRevision, Turn::Retry),
        ] {
            let Some(Untold::Later(why)) = untold(&object, &[waits(turn)]) else {
                panic!("{turn:?}: it does not wait");
            };
            assert_eq!(why.turn, want, "{turn:?}");
            assert!(why.message.contains("acme/shop"), "{}", why.message);
        }
        let still = one("still", Reason::Suspended, Turn::Dependency);
        let Some(Untold::Refused(why)) = untold(&object, &[waits(Turn::Ours), still]) else {
            panic!("it is not refused");
        };
        assert_eq!(why.object, "ConfigMap acme/stray");
        assert!(why.reason.contains("acme/still"), "{}", why.reason);
    }

    #[test]
    fn who_puts_secrets_in_is_told_from_who_puts_anything_else_in() {
        let of = |from: Value| {
            let object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "a"},
                "spec": {"interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "a"}, "postBuild": from}});
            let object: Kustomization = serde_json::from_value(object).unwrap();
            takes_secrets(&object)
        };
        let from = |kind: &str| json!({"substituteFrom": [{"kind": kind, "name": "a"}]});
        assert!(of(from("Secret")));
        assert!(!of(from("ConfigMap")));
        assert!(!of(json!({"substitute": {"a": "b"}})));
    }
}
