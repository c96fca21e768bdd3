//! What is bound to what was seen is looked at with it: the volume of a claim, the content of a snapshot, and each the other way round.
//!
//! What the one names in git hangs on whether the other one is there: so whichever of them has changed, both are decided about
//! together, and it matters not which of them a watch has shown first. Where no rule is for the other one, the Kustomization that applies
//! it is asked what it gives. It deliberately tells nothing of one that may not be read: nobody has changed that.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use reeve_api::name::NamespacedName;
use reeve_core::inventory::ObjectId;
use reeve_core::ward::{Work, bound_to};
use reeve_core::writeback::Subject;
use reeve_kustomize::Object;
use reeve_writeback::is_bound;
use serde_json::Value;

use super::Case;
use super::look::{AT_A_TIME, Found, Read, Share};

impl Case<'_> {
    /// Reads what is bound to what was read of this work.
    pub(super) async fn look_at_bound(
        &self,
        found: &mut Found,
        shares: &mut BTreeMap<NamespacedName, Share>,
        work: &Work,
    ) {
        let others = Work {
            there: unseen(found, shares, work),
            ..Work::default()
        };
        if others.there.is_empty() {
            return;
        }
        let holders = self.holders(&others);
        let reading = others.there.iter().map(|id| async move {
            match self.may_be_written(id) {
                true => (id, Some(self.read(id, None).await)),
                false => (id, None),
            }
        });
        let reading: Vec<_> = reading.collect();
        let mut read = futures::stream::iter(reading).buffered(AT_A_TIME);
        while let Some((id, read)) = read.next().await {
            let holder = holders.get(id);
            match read {
                Some(Read::There(live)) if self.is_committed(id, &live) => {
                    self.sort(found, shares, (id, live), holder);
                }
                Some(Read::Later(why)) => found.wait(id, None, why),
                Some(Read::There(_) | Read::Not | Read::Refused(_)) | None => {
                    // Its build gives it, whatever rules say.
                    if let Some(holder) = holder.filter(|one| self.is_from_here(one)) {
                        shares.entry(holder.clone()).or_default();
                    }
                }
            }
        }
    }

    /// Whether objects of this kind are this WriteBack's to write, if a rule is for them.
    fn may_be_written(&self, id: &ObjectId) -> bool {
        let kind = (id.group.clone(), id.kind.clone());
        self.kinds.contains_key(&kind) && (self.platform || !id.namespace.is_empty())
    }

    /// Whether a rule has anything of it committed.
    fn is_committed(&self, id: &ObjectId, live: &Value) -> bool {
        let resource = self.resource(id);
        let is_meant = |object: Object| self.spec.rules.commits(&Subject::of(&object, &resource));
        Object::try_from(live.clone()).is_ok_and(is_meant)
    }

    /// Whether a Kustomization applies the files that are written.
    fn is_from_here(&self, id: &NamespacedName) -> bool {
        self.ctx.index.read(|known| self.is_ours(known, id).is_ok())
    }
}

/// What is bound to what was read, and is not of this work itself.
fn unseen(found: &Found, shares: &BTreeMap<NamespacedName, Share>, work: &Work) -> Vec<ObjectId> {
    let made = found.seen.iter().map(|(_, seen)| seen.object());
    let made = made.filter(|object| is_bound(object));
    let made = made.filter_map(|object| bound_to(&Value::from(object.clone())));
    let held = shares.values().flat_map(|share| &share.there);
    let held = held.filter_map(|(_, live)| bound_to(live));
    let mut all: BTreeSet<ObjectId> = made.chain(held).collect();
    let gone = work.gone.iter().map(|(id, _)| id);
    for id in work.there.iter().chain(gone) {
        all.remove(id);
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use reeve_core::writeback::{Seen, State};
    use serde_json::json;

    use super::*;

    fn claim(volume: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": volume, "namespace": "acme"},
            "spec": {"volumeName": volume}})
    }

    #[test]
    fn the_volumes_of_claims_are_looked_at_with_them_unless_they_are_looked_at_anyway() {
        let id = |text: &str| text.parse::<ObjectId>().unwrap();
        let state = State::Made {
            live: Box::new(Object::try_from(claim("new")).unwrap()),
            lean: None,
        };
        let resource = "persistentvolumeclaims".to_owned();
        let made = id("acme_new__PersistentVolumeClaim");
        let mut found = Found::default();
        found.seen.push((made, Seen { resource, state }));
        let mut share = Share::default();
        for name in ["held", "fresh"] {
            let held = id(&format!("acme_{name}__PersistentVolumeClaim"));
            share.there.push((held, claim(name)));
        }
        let by = NamespacedName::new("acme", "shop").unwrap();
        let shares = BTreeMap::from([(by, share)]);
        let work = Work {
            there: vec![id("_fresh__PersistentVolume")],
            ..Work::default()
        };
        let unseen = unseen(&found, &shares, &work);
        let want = ["_held__PersistentVolume", "_new__PersistentVolume"].map(id);
        assert_eq!(unseen, want);
    }
}
