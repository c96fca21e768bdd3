//! Which Receiver has a path.
//!
//! Flux's formula puts token, name and namespace together with nothing between them, so that two Receivers can have one path,
//! and a status may say whatever who writes it likes. So a path is first of all that of a Receiver that listens, then of one
//! whose path was computed here, then of the oldest. What it deliberately doesn't: compute paths (`webhook`).

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use reeve_api::name::NamespacedName;

use super::{Hook, Index, Listener, Standing, Target, digest};

impl Index {
    /// The hook at a path: what a call to it is judged by.
    pub fn hook(&self, path: &str) -> Option<Arc<Hook>> {
        if let Some(hook) = self.hook_of_entry(path) {
            return Some(hook);
        }
        let receiver = self.receivers.get(self.holder(path)?)?;
        let (_, hook) = receiver.hook.as_ref()?;
        Some(Arc::clone(hook))
    }

    /// The Receiver that has a path.
    pub fn holder(&self, path: &str) -> Option<&NamespacedName> {
        let claiming = self.by_path.get(&digest(path))?.iter();
        let ranked = claiming.filter_map(|id| Some((rank(self.receivers.get(id)?)?, id)));
        ranked.min().map(|(_, id)| id)
    }

    /// Whether a Receiver lets calls in; None: it has no path yet.
    pub fn standing(&self, receiver: &NamespacedName) -> Option<Standing> {
        if let Some(by) = self.entry(receiver) {
            return Some(by.hook.standing);
        }
        let (_, hook) = self.receivers.get(receiver)?.hook.as_ref()?;
        Some(hook.standing)
    }

    /// The sources that calls of a Receiver wake, while it lets any in.
    pub fn sources_woken_by(&self, receiver: &NamespacedName) -> BTreeSet<NamespacedName> {
        let source = |target| match target {
            Target::Source(id) => Some(id),
            Target::Kustomization(_)
            | Target::Receiver(_)
            | Target::Plugin(_)
            | Target::Policy(_)
            | Target::WriteBack(_) => None,
        };
        match self.woken_by(receiver) {
            Some((hook, woken)) if hook.standing == Standing::Open => {
                woken.into_iter().flatten().filter_map(source).collect()
            }
            _ => BTreeSet::new(),
        }
    }

    /// The path that was computed for a Receiver last.
    pub fn computed_path(&self, receiver: &NamespacedName) -> Option<&str> {
        let listener = self.receivers.get(receiver)?;
        let (path, _) = listener.hook.as_ref().filter(|_| listener.computed)?;
        Some(path)
    }
}

/// The lowest has the path; one that says nothing of its age is as young as can be.
type Rank = (bool, bool, bool, Option<Timestamp>);

fn rank(listener: &Listener) -> Option<Rank> {
    let (_, hook) = listener.hook.as_ref()?;
    let shut = hook.standing == Standing::NotReady;
    let since = listener.since;
    Some((shut, !listener.computed, since.is_none(), since))
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use crate::webhook::{Filters, Token};
    use reeve_api::receiver::ReceiverType;

    const PATH: &str = "/hook/0";

    fn id(text: &str) -> NamespacedName {
        text.parse().unwrap()
    }

    fn claim(
        index: &mut Index,
        receiver: &str,
        computed: bool,
        made: Option<i64>,
        standing: Standing,
    ) {
        let hook = Hook {
            receiver: id(receiver),
            kind: ReceiverType::GenericOidc,
            token: Token::nobodys(),
            google: None,
            issuers: vec![],
            events: vec![],
            filters: Filters::default(),
            standing,
        };
        let listener = Listener {
            resources: vec![],
            secret: None,
            hook: Some((PATH.to_owned(), Arc::new(hook))),
            computed,
            since: made.map(|second| Timestamp::from_second(second).unwrap()),
        };
        index.apply_receiver(&id(receiver), listener);
    }

    #[test]
    fn nobody_takes_the_path_of_another_receiver() {
        let (open, shut, asleep) = (Standing::Open, Standing::NotReady, Standing::Suspended);
        for (says, computed, made, standing, want) in [
            ("a newer one", true, Some(8), open, "prod/github"),
            ("an older one", true, Some(6), open, "bprod/githu"),
            ("one of no known age", true, None, open, "prod/github"),
            ("what a status says", false, Some(6), open, "prod/github"),
            ("one that is shut", true, Some(6), shut, "prod/github"),
            (
                "what a status says of one that is shut",
                false,
                Some(6),
                shut,
                "prod/github",
            ),
            (
                "a newer one that is suspended",
                true,
                Some(8),
                asleep,
                "prod/github",
            ),
        ] {
            let mut index = Index::default();
            claim(&mut index, "bprod/githu", computed, made, standing);
            claim(&mut index, "prod/github", true, Some(7), open);
            assert_eq!(index.holder(PATH), Some(&id(want)), "{says}");
            assert_eq!(index.hook(PATH).unwrap().receiver, id(want), "{says}");
            let heir = index.remove_receiver(&id("prod/github"));
            assert_eq!(heir, Some(id("bprod/githu")), "{says}");
        }
    }

    #[test]
    fn a_receiver_is_called_for_what_it_names_while_it_is_open() {
        let mut index = Index::default();
        let (web, hook) = (id("prod/web"), id("prod/github"));
        assert_eq!(index.standing(&hook), None);
        index.apply_source(&web, Source::default());
        for (standing, want) in [
            (Standing::Open, BTreeSet::from([web.clone()])),
            (Standing::Suspended, BTreeSet::new()),
            (Standing::NotReady, BTreeSet::new()),
        ] {
            claim(&mut index, "prod/github", true, Some(7), standing);
            let listener = index.receivers.get_mut(&hook).unwrap();
            let named = serde_json::json!({"kind": "GitRepository", "name": "web"});
            listener.resources = vec![serde_json::from_value(named).unwrap()];
            assert_eq!(index.sources_woken_by(&hook), want, "{standing:?}");
            assert_eq!(index.standing(&hook), Some(standing));
        }
        index.remove_receiver(&hook);
        assert!(index.sources_woken_by(&hook).is_empty());
    }

    #[test]
    fn only_a_path_that_was_computed_is_known_for_one() {
        let mut index = Index::default();
        for (computed, want) in [(true, Some(PATH)), (false, None)] {
            claim(&mut index, "prod/github", computed, Some(7), Standing::Open);
            assert_eq!(index.computed_path(&id("prod/github")), want);
        }
        assert_eq!(index.computed_path(&id("prod/other")), None);
    }
}
