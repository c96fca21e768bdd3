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
    planned: BTreeMap<u64, Planned>,
    /// How often in a row something failed, and what was said of it last.
    failures: u32,
    said: Option<String>,
}

struct Planned {
    seen: Seen,
    failures: u32,
    /// When it is tried again; None: not before something is another.
    again: Option<Instant>,
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

    /// Forgets requests that are not open any more.
    pub(super) fn keep_only(&mut self, open: &[Request]) {
        let is_open = |number: u64| open.iter().any(|request| request.number == number);
        self.planned.retain(|number, _| is_open(*number));
    }

    pub(super) fn due(&self, seen: &Seen, now: Instant) -> Due {
        let planned = self.planned.get(&seen.request.number);
        match planned.filter(|planned| planned.seen == *seen) {
            None => Due::Now,
            Some(planned) => match planned.again {
                None => Due::Done,
                Some(again) if again > now => Due::At(again),
                Some(_) => Due::Now,
            },
        }
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
        };
        self.planned.insert(number, planned);
        again
    }
}

#[cfg(test)]
mod tests {
    use reeve_api::reason::Reason;
    use reeve_core::failure::Turn;

    use super::*;

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
        assert_eq!(desk.due(&first, now), Due::Now);
        assert_eq!(desk.planned(first.clone(), now, None), None);
        assert_eq!(desk.due(&first, later(9999)), Due::Done);

        assert_eq!(desk.due(&second, now), Due::Now);
        let again = desk.planned(second.clone(), now, Some(pause));
        assert_eq!(again, Some(later(10)));
        assert_eq!(desk.due(&second, later(9)), Due::At(later(10)));
        assert_eq!(desk.due(&second, later(10)), Due::Now);
        let again = desk.planned(second.clone(), now, Some(pause));
        assert_eq!(again, Some(later(20)));
        assert_eq!(desk.planned(second.clone(), now, None), None);
        assert_eq!(desk.due(&second, now), Due::Done);

        desk.keep_only(&[seen(8, 'a').request]);
        assert_eq!(desk.due(&second, now), Due::Now);
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
}
