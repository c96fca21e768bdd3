//! What somebody says of a change in annotations of the object: why, and which user it was. Whose change it is said of, and whether
//! a commit has told it already.
//!
//! An annotation stays when its change is written, and says nothing of the next one. So it is believed of a change by whoever has
//! said it, and of one that was made no later than it was said; and once. It deliberately goes by claims, which name programs:
//! what people are called only they say.

use std::collections::BTreeMap;

use reeve_kustomize::Object;
use serde_json::Value;

use super::decide::{Seen, State, Written};
use super::hand::{Hand, claims, others};
use super::without;
use crate::inventory::ObjectId;
use crate::text;

/// The longest text.
const LONGEST: usize = 500;
/// Of how many objects it is remembered what was told.
const MOST: usize = 1000;
/// In which annotations it is said.
const KEYS: [&str; 2] = [reeve_api::CHANGE_REASON, reeve_api::CHANGED_BY];

/// What is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Why, in their words.
    pub(super) why: Option<String>,
    /// Which user, in the words of an audit.
    pub(super) user: Option<String>,
}

/// What was told with commits.
#[derive(Clone, Debug, Default)]
pub struct Told(BTreeMap<ObjectId, Said>);

impl Said {
    /// What is said of a change by these hands.
    pub(super) fn of<'h>(object: &Object, hands: impl Iterator<Item = &'h Hand>) -> Self {
        let (live, hands) = (Value::from(object.clone()), hands.collect::<Vec<_>>());
        let text = |key| text_of(object, key).filter(|_| is_said(&live, key, &hands));
        Self {
            why: text(reeve_api::CHANGE_REASON),
            user: text(reeve_api::CHANGED_BY),
        }
    }

    /// What is said of whatever change.
    fn at_all(object: &Object) -> Self {
        Self {
            why: text_of(object, reeve_api::CHANGE_REASON),
            user: text_of(object, reeve_api::CHANGED_BY),
        }
    }
}

impl Told {
    /// These were committed, with what was said of them.
    pub fn remember(&mut self, written: &[Written]) {
        for one in written {
            let said = Said {
                why: one.why.clone(),
                user: one.user.clone(),
            };
            let id = ObjectId::of(&one.object);
            if said != Said::default() && (self.0.len() < MOST || self.0.contains_key(&id)) {
                self.0.insert(id, said);
            }
        }
    }

    /// The same, where what is said was told already without it. What is said otherwise since then is said anew.
    #[must_use]
    pub fn unsaid(&self, mut seen: Seen) -> Seen {
        let object = match &mut seen.state {
            State::Held { live, .. } | State::Made { live, .. } => live,
            State::Gone { object, .. } => object,
        };
        let before = self.0.get(&ObjectId::of(object));
        if before.is_some_and(|before| *before == Said::at_all(object)) {
            without(object, &KEYS);
        }
        seen
    }
}

/// Whether who claims the annotation has made the change, or has said it since. Where nobody claims anything nobody can tell.
fn is_said(live: &Value, key: &str, hands: &[&Hand]) -> bool {
    if claims(live).next().is_none() {
        return true;
    }
    let name = format!("f:{key}");
    let newest = hands.iter().filter_map(|hand| hand.time.as_deref()).max();
    others(live).any(|claim| {
        let annotations = claim.pointer("/fieldsV1/f:metadata/f:annotations");
        let is_claimed = annotations.is_some_and(|all| all.get(&name).is_some());
        let word = |key: &str| claim.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_same = || hands.iter().any(|hand| hand.is(word("manager")));
        is_claimed && (is_same() || newest.is_some_and(|newest| word("time") >= newest))
    })
}

fn text_of(object: &Object, key: &str) -> Option<String> {
    let text = object.annotations()?.get(key)?.as_str()?;
    let text: String = text::line(text).chars().take(LONGEST).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::decide::What;
    use super::*;

    fn hand(manager: &str, time: &str) -> Hand {
        Hand {
            manager: manager.to_owned(),
            subresource: None,
            time: Some(time.to_owned()),
        }
    }

    /// An object whose reason this manager claims since then.
    fn web(manager: &str, time: &str) -> Object {
        let fields = json!({"f:metadata": {"f:annotations": {"f:reeve.dev/reason": {}}}});
        let operation = if manager == "kustomize-controller" {
            "Apply"
        } else {
            "Update"
        };
        let claims = json!([{"manager": manager, "operation": operation, "time": time, "fieldsV1": fields},
            {"manager": "keel", "operation": "Update", "time": "9", "fieldsV1": {"f:spec": {"f:image": {}}}}]);
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "acme",
            "managedFields": claims, "annotations": {"reeve.dev/reason": "queue\nis full", "note": "x"}}});
        Object::try_from(web).unwrap()
    }

    #[test]
    fn a_reason_is_of_the_change_that_it_was_given_for_and_of_no_later_one_of_somebody_else() {
        for (about, manager, said_at, by, changed_at, want) in [
            ("together", "kubectl-edit", "1", "kubectl-edit", "1", true),
            (
                "by the same later",
                "kubectl-edit",
                "1",
                "kubectl-edit",
                "2",
                true,
            ),
            (
                "said of what was done before",
                "kubectl-annotate",
                "3",
                "keel",
                "2",
                true,
            ),
            (
                "in the same second",
                "kubectl-annotate",
                "2",
                "keel",
                "2",
                true,
            ),
            (
                "of an earlier change",
                "kubectl-edit",
                "1",
                "keel",
                "2",
                false,
            ),
            ("by git", "kustomize-controller", "3", "keel", "2", false),
        ] {
            let hand = hand(by, changed_at);
            let said = Said::of(&web(manager, said_at), std::iter::once(&hand));
            let want = want.then(|| "queue is full".to_owned());
            assert_eq!((said.why, said.user), (want, None), "{about}");
        }
        let mut unclaimed = web("x", "1");
        unclaimed.metadata_mut().shift_remove("managedFields");
        let said = Said::of(&unclaimed, std::iter::empty());
        assert!(said.why.is_some(), "nobody can tell");
    }

    fn seen(live: Object) -> Seen {
        Seen {
            resource: "deployments".to_owned(),
            state: State::Made {
                live: Box::new(live),
                lean: None,
            },
        }
    }

    #[test]
    fn what_was_told_with_a_commit_is_not_told_with_the_next() {
        let written = |why: Option<&str>| Written {
            object: web("x", "1"),
            what: What::Changed,
            fields: Vec::new(),
            files: Vec::new(),
            by: None,
            why: why.map(str::to_owned),
            user: None,
        };
        for (about, told, want) in [
            ("nothing was told", None, true),
            ("something else was", Some("night shift"), true),
            ("this was", Some("queue is full"), false),
        ] {
            let mut all = Told::default();
            all.remember(&[written(told)]);
            let now = all.unsaid(seen(web("x", "1")));
            let annotations = now.object().annotations().unwrap();
            assert_eq!(
                annotations.contains_key("reeve.dev/reason"),
                want,
                "{about}"
            );
            assert!(annotations.contains_key("note"), "{about}");
        }
        // Of an object that has no other annotations none are left.
        let mut alone = web("x", "1");
        alone.annotations_mut().shift_remove("note");
        let mut all = Told::default();
        all.remember(&[written(Some("queue is full"))]);
        assert!(all.unsaid(seen(alone)).object().annotations().is_none());
    }
}
