//! What is known of the requests of one source since this process leads: what each was planned for, and when it is tried again.
//!
//! A plain struct without a clock. It is deliberately written nowhere: after a start each open request is planned once more, and the
//! provider, which looks first, changes nothing at the forge that stands there already.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reeve_core::failure::Explained;
use reeve_core::proposal::{Live, Request, Seen};

/// What is known of the requests of one source.
#[derive(Default)]
pub(crate) struct Desk {
    /// What was applied when they were looked at.
    pub(super) lives: Vec<Live>,
    /// Whether they are about to be looked at for the sake of rules.
    pub(super) turn: bool,
    planned: BTreeMap<u64, Planned>,
    /// Digests of what stands at each of them, as far as that was told here.
    told: BTreeMap<u64, [u8; 32]>,
    /// How often in a row something failed, and what was said of it last.
    failures: u32,
    said: Option<String>,
    /// What was said of those that are not planned.
    left: Option<String>,
}

struct Planned {
    seen: Seen,
    failures: u32,
    /// When it is tried again; None: not before something is another.
    again: Option<Instant>,
    /// When it is its turn, where the rules are others.
    turn: Option<Instant>,
}

/// Whether a request is to be planned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing of it is another.
    Done,
    Now,
    /// Not before then.
    At(Instant),
}

/// How a run failed.
pub(super) struct Failed {
    /// How often in a row.
    pub(super) times: u32,
    /// Whether it was not for the same reason the last time.
    pub(super) is_news: bool,
}

impl Desk {
    /// A run is over, and this went wrong, if anything.
    pub(super) fn worked(&mut self, why: Option<&Explained>) -> Failed {
        let said = why.map(|why| why.message.clone());
        let is_news = said.is_some() && said != self.said;
        self.failures = match said {
            Some(_) => self.failures.saturating_add(1),
            None => 0,
        };
        self.said = said;
        Failed {
            times: self.failures,
            is_news,
        }
    }

    /// This is to be said of those that are not planned. Whether it is news.
    pub(super) fn leaves(&mut self, left: Option<&String>) -> bool {
        let is_news = self.left.as_ref() != left;
        self.left = left.cloned();
        is_news
    }

    /// Forgets requests that are not open any more.
    pub(super) fn keep_only(&mut self, open: &[Request]) {
        let is_open = |number: u64| open.iter().any(|request| request.number == number);
        self.planned.retain(|number, _| is_open(*number));
        self.told.retain(|number, _| is_open(*number));
    }

    /// Whether it is to be planned; where only the rules are others, when it is its `turn`.
    pub(super) fn due(&mut self, seen: &Seen, now: Instant, turn: impl FnOnce() -> Instant) -> Due {
        let Some(planned) = self.planned.get_mut(&seen.request.number) else {
            return Due::Now;
        };
        let then = if planned.seen == *seen {
            planned.turn = None;
            planned.again
        } else if seen.is_only_ruled_otherwise(&planned.seen) {
            let turn = *planned.turn.get_or_insert_with(turn);
            Some(planned.again.map_or(turn, |again| again.min(turn)))
        } else {
            return Due::Now;
        };
        match then {
            None => Due::Done,
            Some(then) if then > now => Due::At(then),
            Some(_) => Due::Now,
        }
    }

    /// Whether exactly this stands at a request.
    pub(super) fn has_told(&self, number: u64, what: &[u8; 32]) -> bool {
        self.told.get(&number) == Some(what)
    }

    /// Exactly this stands at a request; None: nobody knows.
    pub(super) fn tells(&mut self, number: u64, what: Option<[u8; 32]>) {
        self.told.remove(&number);
        self.told.extend(what.map(|what| (number, what)));
    }

    /// It was planned; where that was not the end of it, `pause` says how long to wait after so many tries. When it is tried
    /// again, if it is.
    pub(super) fn planned(
        &mut self,
        seen: Seen,
        now: Instant,
        pause: Option<fn(u32) -> Duration>,
    ) -> Option<Instant> {
        let number = seen.request.number;
        let before = self.planned.remove(&number);
        let before = before.filter(|before| before.seen == seen);
        let failures = match (&before, pause) {
            (_, None) => 0,
            (Some(before), Some(_)) => before.failures.saturating_add(1),
            (None, Some(_)) => 1,
        };
        let again = pause.map(|pause| now + pause(failures));
        let planned = Planned {
            seen,
            failures,
            again,
            turn: None,
        };
        self.planned.insert(number, planned);
        again
    }
}

#[cfg(test)]
mod tests {
    use reeve_api::kustomization::Kustomization;
    use reeve_api::name::NamespacedName;
    use reeve_api::reason::Reason;
    use reeve_core::failure::Turn;
    use serde_json::json;

    use super::*;

    fn never() -> Instant {
        panic!("it takes no turn")
    }

    #[test]
    fn what_is_left_out_is_said_once() {
        let mut desk = Desk::default();
        let (few, many) = ("3 more".to_owned(), "30 more".to_owned());
        for (left, news) in [
            (None, false),
            (Some(&few), true),
            (Some(&few), false),
            (Some(&many), true),
            (None, true),
            (None, false),
        ] {
            assert_eq!(desk.leaves(left), news, "{left:?}");
        }
    }

    fn seen(number: u64, head: char) -> Seen {
        let request = Request {
            number,
            head: head.to_string().repeat(40),
            reference: format!("refs/pull/{number}/head"),
            base: "main".to_owned(),
            fork: false,
        };
        let live = Vec::new();
        Seen { request, live }
    }

    fn pause(failures: u32) -> Duration {
        Duration::from_secs(u64::from(failures) * 10)
    }

    #[test]
    fn a_request_is_planned_again_when_it_is_another_and_tried_again_less_and_less_often() {
        let (mut desk, now) = (Desk::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        let (first, second) = (seen(7, 'a'), seen(7, 'b'));
        assert_eq!(desk.due(&first, now, never), Due::Now);
        assert_eq!(desk.planned(first.clone(), now, None), None);
        assert_eq!(desk.due(&first, later(9999), never), Due::Done);

        assert_eq!(desk.due(&second, now, never), Due::Now);
        let again = desk.planned(second.clone(), now, Some(pause));
        assert_eq!(again, Some(later(10)));
        assert_eq!(desk.due(&second, later(9), never), Due::At(later(10)));
        assert_eq!(desk.due(&second, later(10), never), Due::Now);
        let again = desk.planned(second.clone(), now, Some(pause));
        assert_eq!(again, Some(later(20)));
        assert_eq!(desk.planned(second.clone(), now, None), None);
        assert_eq!(desk.due(&second, now, never), Due::Done);

        desk.keep_only(&[seen(8, 'a').request]);
        assert_eq!(desk.due(&second, now, never), Due::Now);
    }

    #[test]
    fn a_failure_is_news_once() {
        let mut desk = Desk::default();
        let why = |message: &str| Explained::new(Reason::PluginFailed, Turn::Ours, message);
        let mut after = |message: Option<&str>| {
            let failed = desk.worked(message.map(why).as_ref());
            (failed.times, failed.is_news)
        };
        assert_eq!(after(Some("away")), (1, true));
        assert_eq!(after(Some("away")), (2, false));
        assert_eq!(after(Some("refused")), (3, true));
        assert_eq!(after(None), (0, false));
        assert_eq!(after(Some("refused")), (1, true));
    }

    fn ruled(rules: u8) -> Seen {
        let object: Kustomization = serde_json::from_value(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "web", "namespace": "acme"},
            "spec": {
                "interval": "5m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "web"},
            },
        }))
        .unwrap();
        let id = NamespacedName::new("acme", "web").unwrap();
        Seen {
            live: vec![Live::of(&id, &object, [rules; 32])],
            ..seen(7, 'a')
        }
    }

    #[test]
    fn where_only_rules_are_others_a_request_waits_for_one_turn_whatever_becomes_of_them_meanwhile()
    {
        let (mut desk, now) = (Desk::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(desk.due(&ruled(1), now, never), Due::Now);
        desk.planned(ruled(1), now, None);
        let turn = || later(60);
        assert_eq!(desk.due(&ruled(2), now, turn), Due::At(later(60)));
        assert_eq!(desk.due(&ruled(3), later(59), never), Due::At(later(60)));
        assert_eq!(desk.due(&ruled(3), later(60), never), Due::Now);
        // They are as they were: there is nothing to do.
        assert_eq!(desk.due(&ruled(1), later(61), never), Due::Done);
        assert_eq!(
            desk.due(&ruled(2), later(61), || later(70)),
            Due::At(later(70))
        );
        // What is pushed meanwhile waits for nothing.
        let pushed = Seen {
            request: seen(7, 'b').request,
            ..ruled(2)
        };
        assert_eq!(desk.due(&pushed, later(61), never), Due::Now);
        // What is tried again anyway is not tried later.
        desk.planned(ruled(2), now, Some(pause));
        assert_eq!(desk.due(&ruled(4), now, || later(50)), Due::At(later(10)));
        desk.planned(ruled(4), now, None);
        assert_eq!(desk.due(&ruled(4), later(99), never), Due::Done);
    }

    #[test]
    fn what_stands_at_a_request_is_known_until_it_is_closed_or_something_went_wrong() {
        let mut desk = Desk::default();
        desk.tells(7, Some([1; 32]));
        assert!(desk.has_told(7, &[1; 32]) && !desk.has_told(7, &[2; 32]));
        assert!(!desk.has_told(8, &[1; 32]));
        desk.tells(7, None);
        assert!(!desk.has_told(7, &[1; 32]));
        desk.tells(7, Some([1; 32]));
        desk.keep_only(&[seen(8, 'a').request]);
        assert!(!desk.has_told(7, &[1; 32]));
    }
}
