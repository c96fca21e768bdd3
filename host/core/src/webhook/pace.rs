//! When what calls name is woken: at once, or together with others a little later.
//!
//! A call that comes after something new was found wakes at once. While calls bring nothing new, each wake is followed by a
//! longer pause, and what comes meanwhile is one wake at its end: nothing is lost, and a thousand calls cost a few looks.
//! A push of the commit that is there already wakes nobody. What it deliberately doesn't: wait, or know what is there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::index::Target;

/// The first pause.
const FIRST: Duration = Duration::from_millis(250);
/// The longest.
const LONGEST: Duration = Duration::from_secs(8);
/// How many are known before those are forgotten that have been quiet.
const SWEPT: usize = 1024;

/// What was woken when.
#[derive(Debug, Default)]
pub struct Pace {
    known: BTreeMap<Target, Woken>,
}

#[derive(Debug)]
struct Woken {
    at: Instant,
    /// What was there then.
    had: Option<String>,
    pause: Duration,
    due: Option<Instant>,
    /// The commit that the last call named.
    named: Option<String>,
}

/// When a target is to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Now.
    Now,
    /// Then, with whatever else comes until then.
    Later(Instant),
    /// Not at all: what was pushed is there.
    Never,
}

impl Pace {
    /// A call names `target`, which has the commit `has`, and says that `pushed` is new.
    pub fn call(
        &mut self,
        target: &Target,
        has: Option<&str>,
        pushed: Option<&str>,
        now: Instant,
    ) -> When {
        let Some(known) = self.known.get_mut(target) else {
            self.sweep(now);
            let woken = Woken {
                at: now,
                had: has.map(str::to_owned),
                pause: FIRST,
                due: None,
                named: pushed.map(str::to_owned),
            };
            self.known.insert(target.clone(), woken);
            return When::Now;
        };
        // One push may undo another that is still being fetched: only the second call for a commit is sure.
        let again = pushed.is_some() && known.named.as_deref() == pushed;
        if !again {
            known.named = pushed.map(str::to_owned);
        }
        if again && has == pushed {
            return When::Never;
        }
        if known.had.as_deref() != has {
            known.wake(has, FIRST, now);
            return When::Now;
        }
        if let Some(due) = known.due {
            return When::Later(due);
        }
        let free = known.at + known.pause;
        let longer = (known.pause * 2).min(LONGEST);
        if now < free {
            known.pause = longer;
            known.due = Some(free);
            return When::Later(free);
        }
        let quiet = now >= free + known.pause;
        known.wake(has, if quiet { FIRST } else { longer }, now);
        When::Now
    }

    /// Those that are to be woken now; `has` says what each has.
    pub fn due(&mut self, now: Instant, has: impl Fn(&Target) -> Option<String>) -> Vec<Target> {
        let mut due = Vec::new();
        for (target, woken) in &mut self.known {
            if woken.due.is_some_and(|at| at <= now) {
                let pause = woken.pause;
                woken.wake(has(target).as_deref(), pause, now);
                due.push(target.clone());
            }
        }
        due
    }

    /// When somebody is to be woken next.
    pub fn next(&self) -> Option<Instant> {
        self.known.values().filter_map(|woken| woken.due).min()
    }

    fn sweep(&mut self, now: Instant) {
        if self.known.len() >= SWEPT {
            self.known
                .retain(|_, woken| woken.due.is_some() || now < woken.at + LONGEST * 2);
        }
    }
}

impl Woken {
    fn wake(&mut self, has: Option<&str>, pause: Duration, now: Instant) {
        self.at = now;
        self.had = has.map(str::to_owned);
        self.pause = pause;
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_api::name::NamespacedName;

    #[expect(clippy::disallowed_methods, reason = "some time to begin with")]
    fn begin() -> Instant {
        Instant::now()
    }

    fn target(name: &str) -> Target {
        Target::Source(NamespacedName::new("acme", name).unwrap())
    }

    /// How often something is woken by a call each 10 ms for ten seconds; what a wake brings is there 50 ms later.
    fn storm(pushed: impl Fn(u64) -> Option<String>, brings: bool) -> usize {
        let (mut pace, start) = (Pace::default(), begin());
        let mut wakes: Vec<Instant> = Vec::new();
        for step in 0..1000 {
            let now = start + Duration::from_millis(10 * step);
            let has = |_: &Target| {
                let fetched = wakes
                    .iter()
                    .any(|at| now >= *at + Duration::from_millis(50));
                let new = brings && fetched;
                Some(if new { "b" } else { "a" }.to_owned())
            };
            let web = target("web");
            let due = pace.due(now, has).len();
            let pushed = pushed(step);
            let called = pace.call(&web, has(&web).as_deref(), pushed.as_deref(), now);
            let called = usize::from(called == When::Now);
            wakes.extend(std::iter::repeat_n(now, due + called));
        }
        wakes.len()
    }

    #[test]
    fn a_thousand_calls_for_one_push_wake_once_or_twice() {
        let woken = storm(|_| Some("b".to_owned()), true);
        assert!((1..=2).contains(&woken), "{woken}");
    }

    #[test]
    fn a_thousand_calls_that_say_nothing_and_bring_nothing_wake_a_few_times() {
        let woken = storm(|_| None, false);
        assert!((2..=8).contains(&woken), "{woken}");
    }

    #[test]
    fn a_push_after_a_quiet_time_or_after_something_new_wakes_at_once() {
        let (mut pace, start) = (Pace::default(), begin());
        let web = target("web");
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(pace.call(&web, Some("a"), None, at(0)), When::Now);
        assert_eq!(pace.call(&web, Some("b"), None, at(60)), When::Now);
        assert_eq!(pace.call(&web, Some("c"), None, at(120)), When::Now);
        assert_eq!(pace.call(&web, Some("c"), None, at(9000)), When::Now);
        // Also within a pause that others have begun.
        let paused = pace.call(&web, Some("c"), None, at(9010));
        assert!(matches!(paused, When::Later(_)), "{paused:?}");
        assert_eq!(pace.call(&web, Some("d"), None, at(9020)), When::Now);
        assert_eq!(pace.call(&target("db"), None, None, at(9000)), When::Now);
    }

    #[test]
    fn a_call_within_a_pause_is_never_lost() {
        let (mut pace, start) = (Pace::default(), begin());
        let web = target("web");
        pace.call(&web, Some("a"), None, start);
        let soon = start + Duration::from_millis(10);
        let then = start + FIRST;
        assert_eq!(pace.call(&web, Some("a"), None, soon), When::Later(then));
        assert_eq!(pace.next(), Some(then));
        assert!(pace.due(soon, |_| None).is_empty());
        assert_eq!(pace.due(then, |_| None), [web]);
        assert_eq!(pace.next(), None);
    }

    #[test]
    fn a_push_that_goes_back_is_looked_for_though_its_commit_is_there_still() {
        let (mut pace, start) = (Pace::default(), begin());
        let web = target("web");
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(pace.call(&web, Some("a"), Some("b"), at(0)), When::Now);
        // What is fetched for the first call may be `b` still.
        let back = pace.call(&web, Some("a"), Some("a"), at(10));
        assert!(matches!(back, When::Later(_)), "{back:?}");
        assert_eq!(pace.call(&web, Some("a"), Some("a"), at(20)), When::Never);
        assert_eq!(pace.next(), Some(at(250)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut pace, start) = (Pace::default(), begin());
        for number in 0..3 * SWEPT {
            let at = start + Duration::from_secs(60) * u32::try_from(number).unwrap();
            pace.call(&target(&format!("t{number}")), None, None, at);
        }
        assert!(pace.known.len() <= SWEPT);
    }
}
