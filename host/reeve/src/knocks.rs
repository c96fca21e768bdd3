//! Which hooks were called while nobody could say all that they are called for: at a path that nobody had, or before all sources of
//! an entry were known.
//!
//! Not every forge comes again, so whatever such a path turns out to be for is looked at once. A path is no proof of anything: who
//! knows it has it looked at once, and wakes nothing twice. What it deliberately doesn't: keep anything of a call but its path, or
//! wake anybody; `controller::late` does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reeve_core::index::{Standing, Target};

use crate::index::Known;

/// How long it may take to learn whom a path is for; from the beginning on, all that are called are remembered for so long.
const LEARNING: Duration = Duration::from_secs(10 * 60);
/// How many paths are remembered; the ones longest ago go first.
const MOST: usize = 1_000;
/// The longest path that is remembered. Those that are given out are shorter.
const LONGEST: usize = 300;

/// The calls of late.
#[derive(Debug, Default)]
pub(crate) struct Knocks(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// When this replica began to learn.
    since: Option<Instant>,
    paths: BTreeMap<String, Knock>,
}

#[derive(Debug)]
struct Knock {
    at: Instant,
    /// What was woken by it, or looked at since.
    done: BTreeSet<Target>,
}

impl Knocks {
    /// What was known is forgotten, and learnt anew.
    pub(crate) fn begin(&self, now: Instant) {
        self.heard().since = Some(now);
    }

    /// Whether there may be more that a known path is for than is known.
    pub(crate) fn is_learning(&self, now: Instant) -> bool {
        let since = self.heard().since;
        since.is_none_or(|since| is_recent(since, now))
    }

    /// A path was called, and these were woken.
    pub(crate) fn note(&self, path: &str, done: BTreeSet<Target>, now: Instant) {
        if path.len() > LONGEST {
            return;
        }
        let mut heard = self.heard();
        if heard.paths.len() >= MOST && !heard.paths.contains_key(path) {
            let all = heard.paths.iter();
            let oldest = all.min_by_key(|(_, knock)| knock.at);
            let oldest = oldest.map(|(path, _)| path.clone());
            if let Some(oldest) = oldest {
                heard.paths.remove(&oldest);
            }
        }
        heard.paths.insert(path.to_owned(), Knock { at: now, done });
    }

    /// What paths that were called of late are for by now, and was neither woken by the call nor given here before.
    pub(crate) fn due(
        &self,
        now: Instant,
        mut woken: impl FnMut(&str) -> BTreeSet<Target>,
    ) -> BTreeSet<Target> {
        let mut heard = self.heard();
        heard.paths.retain(|_, knock| is_recent(knock.at, now));
        let mut due = BTreeSet::new();
        for (path, knock) in &mut heard.paths {
            for target in woken(path) {
                if knock.done.insert(target.clone()) {
                    due.insert(target);
                }
            }
        }
        due
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call at a path wakes, as far as it is known and may be called.
pub(crate) fn woken(known: &Known, path: &str) -> BTreeSet<Target> {
    let hook = known.touch.hook(path);
    let hook = hook.filter(|hook| hook.standing == Standing::Open);
    let woken = hook.and_then(|hook| known.touch.woken_by(&hook.receiver));
    let woken = woken.map(|(_, woken)| woken).unwrap_or_default();
    woken.into_iter().flatten().collect()
}

fn is_recent(then: Instant, now: Instant) -> bool {
    now.saturating_duration_since(then) < LEARNING
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(names: &[&str]) -> BTreeSet<Target> {
        let all = names.iter();
        all.map(|name| Target::Source(name.parse().unwrap()))
            .collect()
    }

    #[test]
    fn what_a_call_could_not_wake_is_looked_at_once_as_soon_as_it_is_known() {
        let (knocks, now) = (Knocks::default(), Instant::now());
        knocks.note("/hook/a", BTreeSet::new(), now);
        knocks.note("/hook/b", targets(&["acme/api"]), now);
        assert!(knocks.due(now, |_| BTreeSet::new()).is_empty());
        // The one path is known by now, and of the other that it is for more than was woken.
        let by_now = |path: &str| match path {
            "/hook/a" => targets(&["acme/web"]),
            _ => targets(&["acme/api", "acme/shop"]),
        };
        assert_eq!(knocks.due(now, by_now), targets(&["acme/web", "acme/shop"]));
        assert!(knocks.due(now, by_now).is_empty(), "once");
        // Another call is another push.
        knocks.note("/hook/a", BTreeSet::new(), now);
        assert_eq!(knocks.due(now, by_now), targets(&["acme/web"]));
    }

    #[test]
    fn calls_of_long_ago_are_forgotten() {
        let (knocks, now) = (Knocks::default(), Instant::now());
        knocks.begin(now);
        knocks.note("/hook/a", BTreeSet::new(), now);
        assert!(knocks.is_learning(now));
        let later = now + LEARNING;
        assert!(!knocks.is_learning(later));
        let all = |_: &str| targets(&["acme/web"]);
        assert!(knocks.due(later, all).is_empty());
        knocks.begin(later);
        assert!(knocks.is_learning(later), "another term");
    }

    #[test]
    fn strangers_have_no_room_beyond_what_is_kept_and_the_newest_stay() {
        let (knocks, now) = (Knocks::default(), Instant::now());
        let at = |n: u64| now + Duration::from_millis(n);
        for n in 0..1_500 {
            knocks.note(&format!("/hook/{n}"), BTreeSet::new(), at(n));
        }
        knocks.note(&"x".repeat(LONGEST + 1), BTreeSet::new(), at(1_500));
        let mut asked = BTreeSet::new();
        let none = knocks.due(at(1_500), |path| {
            asked.insert(path.to_owned());
            BTreeSet::new()
        });
        assert!(none.is_empty());
        assert_eq!(asked.len(), MOST);
        assert!(asked.contains("/hook/1499") && !asked.contains("/hook/0"));
    }
}
