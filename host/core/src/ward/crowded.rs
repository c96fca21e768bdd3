//! More objects that cannot be written than are remembered.
//!
//! That there are more is told, and at the next interval everything is looked at, since nobody knows which those are. It deliberately
//! counts none: the same one may have been refused many times.

use reeve_api::writeback::WriteBackRefusal;

use super::{LEFT, Left, Ward};

impl Ward {
    /// What is told of them, if there are any.
    pub fn crowded(&self) -> Option<Left> {
        let refused = WriteBackRefusal {
            field: None,
            hint: Some(
                "keep what is never to be written out of the rules, by syncTo: ignore".to_owned(),
            ),
            object: "more objects".to_owned(),
            reason: format!("only {LEFT} that cannot be written are told one by one"),
        };
        self.is_crowded.then(|| Left {
            refused: vec![refused],
            ..Left::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::{Realm, Shown};
    use super::*;
    use crate::inventory::ObjectId;

    #[test]
    fn of_more_refusals_than_are_remembered_it_is_told_that_there_are_and_all_are_tried_again() {
        let realm = Realm {
            namespace: Some("acme".to_owned()),
            group: String::new(),
            kind: "ConfigMap".to_owned(),
        };
        let mut ward = Ward::default();
        ward.watch_only(&[realm.clone()].into());
        for number in 0..LEFT + 2 {
            let name = format!("n{number:04}");
            let map = json!({"metadata": {"name": name, "namespace": "acme"}});
            ward.show(&realm, Shown::There(&map, true), Duration::ZERO);
        }
        let all = ward.take(usize::MAX).there;
        assert_eq!(all.len(), LEFT + 2);
        let left = || Left {
            paused: Some("x".to_owned()),
            ..Left::default()
        };
        let refuse = |ward: &mut Ward, all: &[ObjectId]| {
            for id in all {
                ward.looked_at(id, left());
            }
        };
        let (few, _) = all.split_at(LEFT);
        refuse(&mut ward, few);
        assert_eq!(ward.crowded(), None);
        refuse(&mut ward, &all);
        assert!(ward.crowded().is_some());
        ward.look_again(false);
        assert_eq!(ward.take(usize::MAX).there, all);
        assert_eq!(ward.crowded(), None, "until somebody is refused again");
    }
}
