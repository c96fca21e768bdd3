//! What is proposed by a pull request: all of it is looked at together, since one commit holds it.
//!
//! So a request never loses what it proposed because somebody changed something else, and what went back goes from it. Before all
//! that is watched was listed once nobody knows what is to be proposed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Realm, Ward, Work};
use crate::inventory::ObjectId;

/// The most objects of a request. Of others it is told that they wait.
pub const PROPOSED: usize = 400;

impl Ward {
    /// Whether all objects of a realm were listed once.
    pub fn is_listed(&self, realm: &Realm) -> bool {
        self.views.get(realm).is_some_and(|view| view.is_listed)
    }

    /// Whether anything is proposed.
    pub fn proposes(&self) -> bool {
        !self.proposed.is_empty()
    }

    /// Whether that is proposed.
    pub fn is_proposed(&self, id: &ObjectId) -> bool {
        self.proposed.contains_key(id)
    }

    /// What was taken, with all that is proposed beside it.
    pub fn with_proposed(&self, mut work: Work) -> Work {
        for (id, meta) in &self.proposed {
            let is_taken = work.there.contains(id) || work.gone.iter().any(|(gone, _)| gone == id);
            match meta {
                _ if is_taken => {}
                Some(meta) => work.gone.push((id.clone(), meta.clone())),
                None => work.there.push(id.clone()),
            }
        }
        work
    }

    /// Of these objects those are proposed from now on; the number of them for which there is no room.
    pub fn propose(
        &mut self,
        looked: &[ObjectId],
        proposed: BTreeMap<ObjectId, Option<Value>>,
    ) -> Vec<ObjectId> {
        for id in looked {
            self.proposed.remove(id);
        }
        let mut over = Vec::new();
        for (id, meta) in proposed {
            match self.proposed.len() < PROPOSED {
                true => {
                    self.proposed.insert(id, meta);
                }
                false => over.push(id),
            }
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(number: usize) -> ObjectId {
        ObjectId {
            namespace: "acme".to_owned(),
            name: format!("n{number:04}"),
            group: String::new(),
            kind: "ConfigMap".to_owned(),
        }
    }

    #[test]
    fn what_is_proposed_is_looked_at_with_what_is_new_until_it_is_proposed_no_more() {
        let mut ward = Ward::default();
        let gone = json!({"labels": {"a": "b"}});
        let both = BTreeMap::from([(id(1), None), (id(2), Some(gone.clone()))]);
        assert!(ward.propose(&[id(1), id(2)], both).is_empty());
        let taken = Work {
            there: vec![id(1), id(3)],
            ..Work::default()
        };
        let work = ward.with_proposed(taken);
        assert_eq!(work.there, [id(1), id(3)]);
        assert_eq!(work.gone, [(id(2), gone)]);
        ward.propose(&[id(1), id(2), id(3)], BTreeMap::from([(id(3), None)]));
        assert!(ward.is_proposed(&id(3)) && !ward.is_proposed(&id(1)));
        assert!(ward.proposes());
    }

    #[test]
    fn a_request_has_room_for_so_many_objects() {
        let mut ward = Ward::default();
        let all = (0..PROPOSED + 2).map(|number| (id(number), None)).collect();
        assert_eq!(ward.propose(&[], all), [id(PROPOSED), id(PROPOSED + 1)]);
    }
}
