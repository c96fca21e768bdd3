//! What reeve has deleted itself to make it anew is no deletion that is written back.
//!
//! The object says so when it goes, and the status of its Kustomization before it does, for whoever did not see it go. It deliberately
//! asks not whether it was made anew yet: that is the Kustomization's, which tries as long as its files have it.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_core::inventory::ObjectId;
use reeve_core::ward::Work;

use super::Case;
use crate::cluster::is_replaced;

impl Case<'_> {
    /// Which of what is gone nobody has deleted but us, to make it anew.
    pub(super) fn replaced(
        &self,
        work: &Work,
        holders: &BTreeMap<ObjectId, NamespacedName>,
    ) -> BTreeSet<ObjectId> {
        let gone = work.gone.iter();
        let replaced = gone.filter(|(id, meta)| {
            is_replaced(Some(meta)) || holders.get(id).is_some_and(|by| self.replaces(by, id))
        });
        replaced.map(|(id, _)| id.clone()).collect()
    }

    fn replaces(&self, by: &NamespacedName, id: &ObjectId) -> bool {
        self.ctx.index.read(|known| {
            let one = known.kustomizations.get(by);
            one.is_some_and(|one| is_to_be_made_anew(one, id))
        })
    }
}

/// Whether a Kustomization has deleted an object, and not made it anew yet.
fn is_to_be_made_anew(one: &Kustomization, id: &ObjectId) -> bool {
    let Some(status) = one.status.as_ref() else {
        return false;
    };
    // Mostly none is, and an id takes a string.
    !status.replacing.is_empty() && status.replacing.contains(&id.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_kustomization_is_about_to_make_anew_nobody_has_deleted() {
        let id = |name: &str| {
            format!("acme_{name}__ConfigMap")
                .parse::<ObjectId>()
                .unwrap()
        };
        let object = |status: Value| {
            let object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": "shop", "namespace": "acme"}, "status": status,
                "spec": {"interval": "1m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "shop"}}});
            serde_json::from_value::<Kustomization>(object).unwrap()
        };
        let one = object(json!({"replacing": [id("web").to_string()]}));
        assert!(is_to_be_made_anew(&one, &id("web")));
        assert!(!is_to_be_made_anew(&one, &id("api")));
        assert!(!is_to_be_made_anew(&object(json!({})), &id("web")));
        let marked = json!({"labels": {}, "annotations": {"reeve.dev/replaced": "true"}});
        assert!(is_replaced(Some(&marked)));
        assert!(!is_replaced(Some(&json!({"annotations": {}}))));
    }
}
