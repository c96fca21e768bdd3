//! What was deleted and could not be written: that it is gone is known until it is settled.
//!
//! A watch tells a deletion once. Whoever was refused then (a Kustomization is suspended, a place is not unique, somebody has taken the
//! object out) is looked at again as what was deleted, and not as an object of which nobody knows that it was ever there. It
//! deliberately keeps nothing of what is not in the hands of a run and has nothing said of it: that is settled.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Fresh, Realm, names};
use crate::inventory::ObjectId;

/// What is known of each.
#[derive(Debug, Default)]
pub(super) struct Deleted(BTreeMap<ObjectId, Value>);

impl Deleted {
    /// An object is looked at, as this.
    pub(super) fn take(&mut self, id: &ObjectId, fresh: &Fresh) {
        match fresh {
            Fresh::There => self.0.remove(id),
            Fresh::Gone(meta) => self.0.insert(id.clone(), meta.clone()),
        };
    }

    /// There is nothing to be done about it any more.
    pub(super) fn settle(&mut self, id: &ObjectId) {
        self.0.remove(id);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&ObjectId) -> bool) {
        self.0.retain(|id, _| keep(id));
    }

    /// Whether that object of a realm was deleted.
    pub(super) fn has(&self, realm: &Realm, object: &Value) -> bool {
        // Mostly nothing was, and an id takes strings.
        !self.0.is_empty() && self.0.contains_key(&realm.id(&names(object)))
    }

    /// As what it is looked at once more.
    pub(super) fn again(&self, id: &ObjectId) -> Fresh {
        let meta = self.0.get(id).cloned();
        meta.map_or(Fresh::There, Fresh::Gone)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use reeve_api::writeback::WriteBackRefusal;
    use serde_json::json;

    use super::*;
    use crate::ward::{Left, Shown, Ward};

    const NOW: Duration = Duration::from_secs(1);

    fn realm() -> Realm {
        Realm {
            namespace: Some("acme".to_owned()),
            group: String::new(),
            kind: "ConfigMap".to_owned(),
        }
    }

    fn map() -> Value {
        json!({"metadata": {"name": "web", "namespace": "acme", "labels": {"a": "b"}}})
    }

    fn id() -> ObjectId {
        "acme_web__ConfigMap".parse().unwrap()
    }

    fn refused() -> Left {
        let refusal = WriteBackRefusal {
            field: None,
            hint: None,
            object: "ConfigMap acme/web".to_owned(),
            reason: "its Kustomization is suspended".to_owned(),
        };
        Left {
            refused: vec![refusal],
            ..Left::default()
        }
    }

    /// A ward whose object was there, and is gone.
    fn ward() -> Ward {
        let mut ward = Ward::default();
        ward.watch_only(&BTreeSet::from([realm()]));
        ward.show(&realm(), Shown::Begin, NOW);
        ward.show(&realm(), Shown::There(&map(), true), NOW);
        ward.show(&realm(), Shown::Listed, NOW);
        drop(ward.take(10));
        ward.show(&realm(), Shown::Gone(&map()), NOW);
        ward
    }

    #[test]
    fn a_deletion_that_is_refused_is_looked_at_as_a_deletion_until_it_is_settled() {
        let mut ward = ward();
        for round in 0..3 {
            let work = ward.take(10);
            let [(gone, meta)] = &work.gone[..] else {
                panic!("round {round}: {work:?}")
            };
            assert_eq!((gone, &meta["labels"]), (&id(), &json!({"a": "b"})));
            ward.looked_at(&id(), refused());
            // Somebody else is looked at in between.
            assert!(ward.take(10).gone.is_empty());
            ward.look_again(round == 1);
        }
        drop(ward.take(10));
        ward.looked_at(&id(), Left::default());
        ward.look_again(true);
        let work = ward.take(10);
        assert!(work.gone.is_empty() && work.there.is_empty(), "{work:?}");
    }

    #[test]
    fn what_somebody_has_taken_out_is_known_until_it_is_in_again() {
        let mut ward = ward();
        drop(ward.take(10));
        let paused = Left {
            paused: Some("ConfigMap acme/web".to_owned()),
            ..Left::default()
        };
        ward.looked_at(&id(), paused);
        assert!(ward.taken_out().eq([&id()]));
        ward.looked_at(&id(), refused());
        assert_eq!(ward.taken_out().count(), 0);
    }

    #[test]
    fn what_is_made_again_is_no_deletion_any_more() {
        let mut ward = ward();
        drop(ward.take(10));
        ward.looked_at(&id(), refused());
        // By a Kustomization, and nobody has changed it since: it is looked at for its deletion alone.
        let mut applied = map();
        applied["metadata"]["labels"] = json!({
            "kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "acme",
        });
        applied["metadata"]["managedFields"] =
            json!([{"manager": "kustomize-controller", "operation": "Apply", "time": "1"}]);
        ward.show(&realm(), Shown::There(&applied, true), NOW);
        assert_eq!(ward.take(10).there, [id()]);
        ward.looked_at(&id(), refused());
        ward.look_again(false);
        let work = ward.take(10);
        assert_eq!((work.there, work.gone), (vec![id()], Vec::new()));
    }
}
