//! Which side follows for each field of one object: the first rule that is for the object and whose filters cover the field.
//!
//! A rule without filters covers every field, so that none behind it is asked. What no rule covers is as without rules. It
//! deliberately says nothing of objects as a whole, which come and go: that is [`Rules::whole`](super::Rules::whole)'s.

use reeve_api::writeback::SyncTo;

use super::filter::Filters;

/// The sides that follow, by the rules that are for one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Following(Vec<(Filters, SyncTo)>);

impl Following {
    /// By these rules in their order, as far as they are asked.
    pub(super) fn by(rules: impl Iterator<Item = (Filters, SyncTo)>) -> Self {
        let mut asked = Vec::new();
        for (filters, side) in rules {
            let is_last = filters.are_all();
            asked.push((filters, side));
            if is_last {
                break;
            }
        }
        Self(asked)
    }

    /// The side that follows for a field, by the steps of its pointer, and for all that is below it; None: no rule covers it.
    pub(super) fn of_steps(&self, steps: &[String]) -> Option<SyncTo> {
        let mut rules = self.0.iter();
        let first = rules.find(|(filters, _)| filters.cover_steps(steps));
        first.map(|(_, side)| *side)
    }

    /// Whether changes of any field are committed.
    pub fn commits(&self) -> bool {
        self.has(SyncTo::Git)
    }

    /// Whether changes of every field are.
    pub fn commits_all(&self) -> bool {
        self.is_all(SyncTo::Git)
    }

    /// Whether any field is put right.
    pub fn keeps(&self) -> bool {
        self.has(SyncTo::Kubernetes)
    }

    /// Whether every field is.
    pub fn keeps_all(&self) -> bool {
        self.is_all(SyncTo::Kubernetes)
    }

    /// Whether any field is left alone by both sides.
    pub fn ignores(&self) -> bool {
        self.has(SyncTo::Ignore)
    }

    /// Whether fields of one object may have different sides.
    pub(super) fn is_parted(&self) -> bool {
        self.0.iter().any(|(filters, _)| !filters.are_all())
    }

    /// The rules that are asked, in order.
    pub(super) fn rules(&self) -> impl Iterator<Item = (&Filters, SyncTo)> {
        self.0.iter().map(|(filters, side)| (filters, *side))
    }

    fn has(&self, side: SyncTo) -> bool {
        self.0.iter().any(|(_, one)| *one == side)
    }

    fn is_all(&self, side: SyncTo) -> bool {
        let last = self.0.last();
        last.is_some_and(|(filters, _)| filters.are_all())
            && self.0.iter().all(|(_, one)| *one == side)
    }
}

#[cfg(test)]
mod tests {
    use reeve_api::writeback::WriteBackRule;
    use reeve_kustomize::Object;
    use serde_json::{Value, json};

    use super::super::filter::{filtered, steps_of};
    use super::super::rule::{Rules, Subject};
    use super::*;

    /// A Deployment with that image, so many replicas and a note.
    fn web(image: &str, replicas: u8, note: &str) -> Object {
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "acme", "annotations": {"note": note}},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}}});
        Object::try_from(web).unwrap()
    }

    fn following(rules: Value) -> Following {
        let rules: Vec<WriteBackRule> = serde_json::from_value(rules).unwrap();
        let object = web("1", 1, "a");
        let subject = Subject::of(&object, "deployments");
        Rules::parse(&rules).unwrap().following(&subject)
    }

    /// By these rules: the side of the image, of the replicas and of the note, as the first letter of each or `-`.
    #[test]
    fn the_first_rule_that_is_for_the_object_and_covers_the_field_says_which_side_follows() {
        let (image, replicas) = ("/spec/template/spec/containers/*/image", "/spec/replicas");
        let notes = "/metadata/annotations";
        for (about, rules, want) in [
            ("no filters mean all", json!([{"syncTo": "git"}]), "ggg"),
            (
                "so does the root",
                json!([{"filters": ["/"], "syncTo": "git"}]),
                "ggg",
            ),
            (
                "only changes to annotations are matched",
                json!([{"filters": [notes], "syncTo": "git"}]),
                "--g",
            ),
            (
                "the autoscaler is left alone and the rest is committed",
                json!([{"filters": [replicas], "syncTo": "ignore"}, {"syncTo": "git"}]),
                "gig",
            ),
            (
                "a second rule with filters is asked, too",
                json!([{"filters": [replicas], "syncTo": "git"}, {"filters": [notes], "syncTo": "git"}]),
                "-gg",
            ),
            (
                "filters hold for what follows git as well",
                json!([{"filters": [notes], "syncTo": "kubernetes"}, {"syncTo": "git"}]),
                "ggk",
            ),
            (
                "each of three sides",
                json!([{"filters": [replicas], "syncTo": "ignore"}, {"filters": [image], "syncTo": "git"},
                    {"syncTo": "kubernetes"}]),
                "gik",
            ),
            (
                "the first counts where two cover a field",
                json!([{"filters": ["/spec"], "syncTo": "kubernetes"}, {"filters": [replicas, notes], "syncTo": "git"}]),
                "kkg",
            ),
            (
                "what is behind one without filters is not asked",
                json!([{"syncTo": "kubernetes"}, {"filters": [replicas], "syncTo": "git"}]),
                "kkk",
            ),
            (
                "what is for other objects is not asked",
                json!([{"names": ["api"], "syncTo": "ignore"}, {"resources": ["services"], "filters": [image], "syncTo": "ignore"},
                    {"filters": ["/spec"], "syncTo": "git"}]),
                "gg-",
            ),
            ("none", json!([{"names": ["api"], "syncTo": "git"}]), "---"),
        ] {
            let following = following(rules);
            let (before, now) = (web("1", 1, "a"), web("2", 3, "b"));
            let (old, new) = (Value::from(before.clone()), Value::from(now.clone()));
            let told: String = [
                "/spec/template/spec/containers/0/image",
                replicas,
                "/metadata/annotations/note",
            ]
            .into_iter()
            .map(|pointer| {
                let all = reeve_writeback::differences(0, &old, &new);
                let is = |one: &&reeve_writeback::Difference| one.path.pointer(&new) == pointer;
                let path = &all.iter().find(is).unwrap().path;
                let side = following.of_steps(&steps_of(path, &new));
                side.map_or('-', |side| side.as_str().chars().next().unwrap())
            })
            .collect();
            assert_eq!(told, want, "{about}");
            // What is committed is what the same rules say, and nothing else.
            let of = |at: usize, is, was| if want.as_bytes()[at] == b'g' { is } else { was };
            let (tag, count) = (
                of(0, "2", "1"),
                if want.as_bytes()[1] == b'g' { 3 } else { 1 },
            );
            let wanted = web(tag, count, of(2, "b", "a"));
            assert_eq!(filtered(&now, &before, &following), wanted, "{about}");
        }
    }

    #[test]
    fn what_rules_may_do_with_any_field_is_known_before_one_is_asked() {
        let some =
            following(json!([{"filters": ["/spec"], "syncTo": "kubernetes"}, {"syncTo": "git"}]));
        assert!(some.commits() && some.keeps() && some.is_parted() && !some.ignores());
        assert!(!some.commits_all() && !some.keeps_all());
        let half = following(json!([{"filters": ["/spec"], "syncTo": "git"}]));
        assert!(
            half.commits() && !half.commits_all(),
            "no rule is for the rest"
        );
        let all = following(json!([{"filters": ["/spec"], "syncTo": "git"}, {"syncTo": "git"}]));
        assert!(all.commits_all());
        let kept = following(json!([{"syncTo": "kubernetes"}, {"syncTo": "git"}]));
        assert!(kept.keeps_all() && !kept.commits() && !kept.is_parted());
        assert_eq!(following(json!([])), Following::default());
    }
}
