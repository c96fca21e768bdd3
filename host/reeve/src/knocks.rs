//! Which hooks were called while nobody could say all that they are called for: at a path that nobody had, or before all sources of
//! an entry were known; and which had no room for a call.
//!
//! Not every forge comes again, so whatever such a path turns out to be for is looked at once. A path is no proof of anything: who
//! knows it, or holds all the room that its calls have, has it looked at now and then, however often it is called. A call that was
//! judged, or whose issuer could not be asked, is none of these. There is room for so many paths: of those that are nobody's yet one
//! goes of the address that has called most of them, so that a stranger's inventions push no forge's calls out. What it deliberately doesn't: keep anything of a call but its
//! path, or wake anybody; `controller::late` does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reeve_core::index::{Standing, Target};

use crate::index::Known;

/// How long it may take to learn whom a path is for; from the beginning on, all that are called are remembered for so long.
const LEARNING: Duration = Duration::from_secs(10 * 60);
/// How soon a path is looked at again for another call that nobody heard, and how much later one that had no room: who proves
/// nothing has it asked no more often than an interval would.
const AGAIN: Duration = Duration::from_secs(10);
const LATER: Duration = Duration::from_secs(5 * 60);
/// How many paths are remembered.
const MOST: usize = 4_096;
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
    /// Hooks that had no room for a call, and since when. They are there, so there are no more of them than hooks.
    full: BTreeMap<String, Instant>,
}

#[derive(Debug)]
struct Knock {
    at: Instant,
    /// Who called first, as far as callers are told apart.
    from: IpAddr,
    /// What was woken by it, or looked at since.
    done: BTreeSet<Target>,
    /// When something was looked at for it last.
    looked: Option<Instant>,
    /// Whether there was another since, for which all is looked at once more.
    again: bool,
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

    /// A path was called, and these may have been woken by it.
    pub(crate) fn answered(
        &self,
        (path, from): (&str, IpAddr),
        woken: &BTreeSet<Target>,
        now: Instant,
    ) {
        let mut heard = self.heard();
        if let Some(knock) = heard.enter((path, from), woken, now) {
            // What the calls before it have not woken is looked at all the same.
            knock.done.retain(|target| woken.contains(target));
        }
    }

    /// A path was called, and nobody was there who could hear it.
    pub(crate) fn unheard(&self, (path, from): (&str, IpAddr), now: Instant) {
        let mut heard = self.heard();
        if let Some(knock) = heard.enter((path, from), &BTreeSet::new(), now) {
            knock.again = true;
        }
    }

    /// A hook was called, and had no room for it.
    pub(crate) fn postponed(&self, path: &str, now: Instant) {
        self.heard().full.entry(path.to_owned()).or_insert(now);
    }

    /// What paths that were called of late are for by now, and was neither woken by the call nor given here before; and what those
    /// are for that had no room a while ago.
    pub(crate) fn due(
        &self,
        now: Instant,
        mut woken: impl FnMut(&str) -> BTreeSet<Target>,
    ) -> BTreeSet<Target> {
        let mut heard = self.heard();
        heard.paths.retain(|_, knock| is_recent(knock.at, now));
        let mut due = BTreeSet::new();
        for (path, knock) in &mut heard.paths {
            if knock.again && knock.looked.is_none_or(|then| has_passed(AGAIN, then, now)) {
                knock.done.clear();
                knock.again = false;
            }
            for target in woken(path) {
                if knock.done.insert(target.clone()) {
                    due.insert(target);
                    knock.looked = Some(now);
                }
            }
        }
        heard.full.retain(|path, since| {
            let waits = !has_passed(LATER, *since, now);
            if !waits {
                due.extend(woken(path));
            }
            waits
        });
        due
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Knock {
    /// Whether nothing was found yet that its path is for.
    fn is_nobodys(&self) -> bool {
        self.done.is_empty()
    }
}

impl Heard {
    /// The knock at a path, if there was one before; else there is one from now on, of a call that has woken these.
    fn enter(
        &mut self,
        (path, from): (&str, IpAddr),
        woken: &BTreeSet<Target>,
        now: Instant,
    ) -> Option<&mut Knock> {
        if path.len() > LONGEST {
            return None;
        }
        if !self.paths.contains_key(path) {
            self.make_room();
            let knock = Knock {
                at: now,
                from,
                done: woken.clone(),
                looked: None,
                again: false,
            };
            self.paths.insert(path.to_owned(), knock);
            return None;
        }
        let knock = self.paths.get_mut(path)?;
        knock.at = now;
        Some(knock)
    }

    fn make_room(&mut self) {
        if self.paths.len() < MOST {
            return;
        }
        let mut crowd: BTreeMap<IpAddr, usize> = BTreeMap::new();
        let nobodys = self.paths.values().filter(|knock| knock.is_nobodys());
        for knock in nobodys {
            *crowd.entry(knock.from).or_default() += 1;
        }
        let most = crowd.into_iter().max_by_key(|(_, count)| *count);
        let goes =
            |knock: &Knock| most.is_none_or(|(from, _)| knock.is_nobodys() && knock.from == from);
        let all = self.paths.iter().filter(|(_, knock)| goes(knock));
        let oldest = all.min_by_key(|(_, knock)| knock.at);
        if let Some(oldest) = oldest.map(|(path, _)| path.clone()) {
            self.paths.remove(&oldest);
        }
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
    !has_passed(LEARNING, then, now)
}

fn has_passed(time: Duration, then: Instant, now: Instant) -> bool {
    now.saturating_duration_since(then) >= time
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// A forge's address, and a stranger's.
    const FORGE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn targets(names: &[&str]) -> BTreeSet<Target> {
        let all = names.iter();
        all.map(|name| Target::Source(name.parse().unwrap()))
            .collect()
    }

    #[test]
    fn what_a_call_could_not_wake_is_looked_at_once_as_soon_as_it_is_known() {
        let (knocks, now) = (Knocks::default(), Instant::now());
        knocks.unheard(("/hook/a", FORGE), now);
        knocks.answered(("/hook/b", FORGE), &targets(&["acme/api"]), now);
        assert!(knocks.due(now, |_| BTreeSet::new()).is_empty());
        // The one path is known by now, and of the other that it is for more than was woken.
        let by_now = |path: &str| match path {
            "/hook/a" => targets(&["acme/web"]),
            _ => targets(&["acme/api", "acme/shop"]),
        };
        assert_eq!(knocks.due(now, by_now), targets(&["acme/web", "acme/shop"]));
        assert!(knocks.due(now, by_now).is_empty(), "once");
    }

    #[test]
    fn whoever_calls_unheard_again_and_again_has_a_path_looked_at_now_and_then() {
        let (knocks, now) = (Knocks::default(), Instant::now());
        let web = || targets(&["acme/web"]);
        let mut looks = 0;
        for second in 0..60 {
            let now = now + Duration::from_secs(second);
            knocks.unheard(("/hook/a", FORGE), now);
            looks += usize::from(knocks.due(now, |_| web()) == web());
        }
        assert_eq!(looks, 6);
        // The last call is another push, and is looked at as well.
        let later = now + Duration::from_secs(70);
        assert_eq!(knocks.due(later, |_| web()), web());
        assert!(knocks.due(later + AGAIN, |_| web()).is_empty());
    }

    #[test]
    fn a_call_that_is_heard_makes_up_for_none_that_was_not() {
        let (knocks, now) = (Knocks::default(), Instant::now());
        let both = || targets(&["acme/api", "acme/web"]);
        knocks.unheard(("/hook/a", FORGE), now);
        // It was about something else, maybe.
        knocks.answered(("/hook/a", FORGE), &both(), now);
        assert_eq!(knocks.due(now, |_| both()), both());
        knocks.answered(("/hook/a", FORGE), &both(), now);
        assert!(knocks.due(now, |_| both()).is_empty());
    }

    #[test]
    fn what_a_full_hook_is_called_for_is_looked_at_later_however_often_it_is_called() {
        let (knocks, now) = (Knocks::default(), Instant::now());
        let web = || targets(&["acme/web"]);
        let mut looks = 0;
        for second in 0..1_200 {
            let now = now + Duration::from_secs(second);
            knocks.postponed("/hook/a", now);
            looks += usize::from(knocks.due(now, |_| web()) == web());
            assert!(looks == 0 || second >= LATER.as_secs());
        }
        assert_eq!(looks, 3);
    }

    #[test]
    fn calls_of_long_ago_are_forgotten() {
        let (knocks, now) = (Knocks::default(), Instant::now());
        knocks.begin(now);
        knocks.unheard(("/hook/a", FORGE), now);
        assert!(knocks.is_learning(now));
        let later = now + LEARNING;
        assert!(!knocks.is_learning(later));
        let all = |_: &str| targets(&["acme/web"]);
        assert!(knocks.due(later, all).is_empty());
        knocks.begin(later);
        assert!(knocks.is_learning(later), "another term");
    }

    #[test]
    fn strangers_push_out_neither_what_a_forge_has_called_nor_what_is_known_behind_one_address() {
        let (knocks, now) = (Knocks::default(), Instant::now());
        let at = |n: u64| now + Duration::from_millis(n);
        knocks.unheard(("/hook/pushed", FORGE), at(0));
        knocks.answered(("/hook/known", STRANGER), &targets(&["acme/api"]), at(0));
        for n in 0..2 * MOST as u64 {
            knocks.unheard((&format!("/hook/{n}"), STRANGER), at(n + 1));
        }
        knocks.unheard((&"x".repeat(LONGEST + 1), FORGE), at(9_000));
        let mut asked = BTreeSet::new();
        let due = knocks.due(at(9_000), |path| {
            asked.insert(path.to_owned());
            match path {
                "/hook/pushed" => targets(&["acme/web"]),
                _ => BTreeSet::new(),
            }
        });
        assert_eq!(due, targets(&["acme/web"]));
        assert_eq!(asked.len(), MOST);
        assert!(asked.contains("/hook/known"));
        let newest = format!("/hook/{}", 2 * MOST - 1);
        assert!(asked.contains(&newest) && !asked.contains("/hook/0"));
    }
}
