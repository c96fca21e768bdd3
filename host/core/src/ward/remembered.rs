//! What was there when a process before this one looked: what of it is not there any more was deleted meanwhile.
//!
//! Known as soon as the kind is listed for the first time, and asked once. Whether it was there once is for whoever tells it to
//! know; it deliberately says nothing of objects whose kind is not watched.

use std::collections::BTreeSet;

use super::{Name, Realm, Ward};
use crate::inventory::ObjectId;

impl Ward {
    /// These were there.
    pub fn remember(&mut self, objects: impl IntoIterator<Item = ObjectId>) {
        self.remembered.extend(objects);
    }
}

/// Those of a realm, which nobody needs to remember from here on.
pub(super) fn of(all: &mut BTreeSet<ObjectId>, realm: &Realm) -> BTreeSet<Name> {
    let (its, others): (BTreeSet<ObjectId>, _) = std::mem::take(all)
        .into_iter()
        .partition(|id| realm.has(id));
    *all = others;
    let names = its.into_iter();
    names
        .map(|id| (id.namespace.into(), id.name.into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::ward::{Shown, Work};

    const NOW: Duration = Duration::from_secs(1);

    fn id(kind: &str, name: &str) -> ObjectId {
        ObjectId {
            namespace: "acme".to_owned(),
            name: name.to_owned(),
            group: String::new(),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn what_was_there_once_and_is_not_listed_was_deleted_and_is_told_once() {
        let realm = Realm {
            namespace: Some("acme".to_owned()),
            group: String::new(),
            kind: "ConfigMap".to_owned(),
        };
        let mut ward = Ward::default();
        ward.watch_only(&BTreeSet::from([realm.clone()]));
        let there = ["is", "unmeant", "gone"].map(|name| id("ConfigMap", name));
        ward.remember(there.into_iter().chain([id("Pod", "gone")]));
        let object = |name: &str| json!({"metadata": {"name": name, "namespace": "acme"}});
        let mut list = |names: &[(&str, bool)]| {
            ward.show(&realm, Shown::Begin, NOW);
            for (name, meant) in names {
                ward.show(&realm, Shown::There(&object(name), *meant), NOW);
            }
            ward.show(&realm, Shown::Listed, NOW);
            ward.take(10)
        };
        let all = [("is", true), ("unmeant", false)];
        let first = list(&all);
        assert_eq!(first.gone, [(id("ConfigMap", "gone"), Value::Null)]);
        assert_eq!(first.there, [id("ConfigMap", "is")]);
        assert_eq!(list(&all).gone, Work::default().gone);
    }
}
