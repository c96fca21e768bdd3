//! What runs, what waits for a worker, and what waits for its time.
//!
//! Owners take turns by what their runs cost (`turns`), so that one with thousands waiting delays another by one run and
//! not by thousands. It deliberately doesn't know how many may run: who takes says whose.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reeve_core::schedule::Next;
use tokio::time::Instant;

use super::Errand;
use super::turns::{Charge, Turns, Whose};

/// Keys by what they wait for.
pub(super) struct Agenda<K> {
    /// Of each owner those that wait for a worker, in order.
    ready: BTreeMap<String, VecDeque<K>>,
    /// The owners in `ready`.
    turns: Turns,
    /// Since when each of them waits.
    waiting: BTreeMap<K, Instant>,
    running: BTreeMap<K, Running>,
    /// Those that wait only because they were nudged.
    nudged: BTreeSet<K>,
    again: BTreeMap<K, Instant>,
    later: BTreeSet<(Instant, K)>,
    times: BTreeMap<K, Instant>,
}

/// Whose run it is, what it was begun on, and when.
struct Running {
    whose: String,
    charge: Charge,
    since: Instant,
}

/// A key whose turn it is.
pub(super) struct Taken<K> {
    pub(super) key: K,
    pub(super) whose: String,
    pub(super) since: Instant,
    pub(super) errand: Errand,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self {
            ready: BTreeMap::new(),
            turns: Turns::default(),
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            nudged: BTreeSet::new(),
            again: BTreeMap::new(),
            later: BTreeSet::new(),
            times: BTreeMap::new(),
        }
    }
}

impl<K: Clone + Ord> Agenda<K> {
    /// How many wait for a worker.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether that made it wait: it may do so already.
    pub(super) fn rouse(
        &mut self,
        key: K,
        errand: Errand,
        owner: impl Fn(&K) -> Whose,
        now: Instant,
    ) -> bool {
        match errand {
            Errand::Run => self.wake(key, owner, now),
            Errand::Tell => self.nudge(key, owner, now),
        }
    }

    fn wake(&mut self, key: K, owner: impl Fn(&K) -> Whose, now: Instant) -> bool {
        self.nudged.remove(&key);
        self.line_up(key, owner, now)
    }

    /// One that has only a result to tell: a run that it waits for already will do.
    fn nudge(&mut self, key: K, owner: impl Fn(&K) -> Whose, now: Instant) -> bool {
        if !self.is_lined_up(&key) {
            self.nudged.insert(key.clone());
        }
        self.line_up(key, owner, now)
    }

    fn is_lined_up(&self, key: &K) -> bool {
        self.again.contains_key(key) || self.waiting.contains_key(key)
    }

    fn line_up(&mut self, key: K, owner: impl Fn(&K) -> Whose, now: Instant) -> bool {
        self.forget_time(&key);
        if self.is_lined_up(&key) {
            return false;
        }
        if self.running.contains_key(&key) {
            self.again.insert(key, now);
            return true;
        }
        let whose = owner(&key);
        self.turns.line_up(&whose, now);
        let line = self.ready.entry(whose.name).or_default();
        line.push_back(key.clone());
        self.waiting.insert(key, now);
        true
    }

    /// The first key of the owner whose turn it is of those that are admitted, and since when it waits.
    pub(super) fn take(
        &mut self,
        admitted: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Option<Taken<K>> {
        let ready = &self.ready;
        let more = |whose: &str| ready.get(whose).is_some_and(|line| line.len() > 1);
        let (whose, charge) = self.turns.next(admitted, more)?;
        let line = self.ready.get_mut(&whose)?;
        let key = line.pop_front()?;
        if line.is_empty() {
            self.ready.remove(&whose);
        }
        let since = self.waiting.remove(&key)?;
        let running = Running {
            whose: whose.clone(),
            charge,
            since: now,
        };
        self.running.insert(key.clone(), running);
        let errand = match self.nudged.remove(&key) {
            true => Errand::Tell,
            false => Errand::Run,
        };
        Some(Taken {
            key,
            whose,
            since,
            errand,
        })
    }

    /// Its run is over; it waits again if it was woken meanwhile, or until its time.
    pub(super) fn ended(&mut self, key: K, owner: impl Fn(&K) -> Whose, next: Next, now: Instant) {
        if let Some(run) = self.running.remove(&key) {
            let took = now.saturating_duration_since(run.since);
            self.turns.ended(&run.whose, run.charge, took, now);
        }
        if let Some(since) = self.again.remove(&key) {
            let _was_counted = self.line_up(key, owner, since);
        } else if let Next::After(wait) = next {
            let due = now + wait;
            self.times.insert(key.clone(), due);
            self.later.insert((due, key));
        }
    }

    /// When the next one's time comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.later.first().map(|(due, _)| *due)
    }

    /// Wakes all whose time has come, and says how many did not wait already.
    pub(super) fn ripen(&mut self, owner: impl Fn(&K) -> Whose, now: Instant) -> usize {
        let mut woken = 0;
        while let Some((due, _)) = self.later.first()
            && *due <= now
        {
            if let Some((_, key)) = self.later.pop_first() {
                woken += usize::from(self.wake(key, &owner, now));
            }
        }
        woken
    }

    fn forget_time(&mut self, key: &K) {
        if let Some(due) = self.times.remove(key) {
            self.later.remove(&(due, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn now() -> Instant {
        Instant::now()
    }

    fn owner(key: &&'static str) -> Whose {
        Whose::plain(key.split('/').next().unwrap_or_default().to_owned())
    }

    fn taken(agenda: &mut Agenda<&'static str>) -> Option<&'static str> {
        agenda.take(|_| true, now()).map(|taken| taken.key)
    }

    #[test]
    fn a_key_woken_twice_before_it_runs_runs_once() {
        let mut agenda = Agenda::default();
        agenda.wake("a", owner, now());
        agenda.wake("a", owner, now());
        assert_eq!(taken(&mut agenda), Some("a"));
        assert_eq!(taken(&mut agenda), None);
    }

    #[test]
    fn a_key_woken_while_it_runs_runs_again() {
        let mut agenda = Agenda::default();
        agenda.wake("a", owner, now());
        assert_eq!(taken(&mut agenda), Some("a"));
        agenda.wake("a", owner, now());
        assert_eq!(taken(&mut agenda), None);
        agenda.ended("a", owner, Next::After(Duration::from_secs(3600)), now());
        assert_eq!(taken(&mut agenda), Some("a"));
        assert_eq!(agenda.due(), None);
    }

    #[test]
    fn a_wake_replaces_the_time_that_was_set() {
        let mut agenda = Agenda::default();
        let ended = now();
        agenda.wake("a", owner, ended);
        taken(&mut agenda);
        agenda.ended("a", owner, Next::After(Duration::from_secs(10)), ended);
        assert_eq!(agenda.due(), Some(ended + Duration::from_secs(10)));
        agenda.wake("a", owner, now());
        assert_eq!(agenda.due(), None);
        assert_eq!(taken(&mut agenda), Some("a"));
    }

    #[test]
    fn a_nudge_is_forgotten_over_a_wake_and_never_the_other_way_round() {
        let mut agenda = Agenda::default();
        let errand = |agenda: &mut Agenda<&'static str>| {
            let taken = agenda.take(|_| true, now()).unwrap();
            agenda.ended(taken.key, owner, Next::Watch, now());
            taken.errand
        };
        agenda.nudge("a", owner, now());
        assert_eq!(errand(&mut agenda), Errand::Tell);
        agenda.nudge("a", owner, now());
        agenda.wake("a", owner, now());
        assert_eq!(errand(&mut agenda), Errand::Run);
        agenda.wake("a", owner, now());
        agenda.nudge("a", owner, now());
        assert_eq!(errand(&mut agenda), Errand::Run);
        // nudged while it runs: what it has to tell is told by a run of its own
        agenda.wake("a", owner, now());
        let taken = agenda.take(|_| true, now()).unwrap();
        assert_eq!(taken.errand, Errand::Run);
        agenda.nudge("a", owner, now());
        agenda.ended("a", owner, Next::After(Duration::from_secs(9)), now());
        assert_eq!(errand(&mut agenda), Errand::Tell);
        assert_eq!(agenda.due(), None);
    }

    #[test]
    fn owners_take_turns_and_one_that_is_not_admitted_is_passed_over() {
        let mut agenda = Agenda::default();
        for key in ["a/1", "a/2", "a/3", "b/1", "c/1"] {
            agenda.wake(key, owner, now());
        }
        assert_eq!(agenda.waiting(), 5);
        let order: Vec<_> = std::iter::from_fn(|| taken(&mut agenda)).collect();
        assert_eq!(order, ["a/1", "b/1", "c/1", "a/2", "a/3"]);
        agenda.wake("a/4", owner, now());
        agenda.wake("b/2", owner, now());
        let other = agenda
            .take(|whose| whose != "a", now())
            .map(|taken| taken.key);
        assert_eq!(other, Some("b/2"));
        assert_eq!(agenda.waiting(), 1);
    }

    #[test]
    fn an_owner_with_500_slow_keys_delays_another_by_the_run_that_is_under_way_and_no_more() {
        let keys: Vec<String> = (0..500).map(|nth| format!("slow/{nth:03}")).collect();
        let owner = |key: &String| {
            let name = key.split('/').next().unwrap_or_default();
            Whose::plain(name.to_owned())
        };
        let mut agenda = Agenda::default();
        let mut time = now();
        for key in &keys {
            agenda.wake(key.clone(), owner, time);
        }
        for nth in 0..100 {
            let slow = agenda.take(|_| true, time).unwrap();
            assert_eq!(slow.whose, "slow", "{nth}");
            agenda.wake("quick/one".to_owned(), owner, time);
            time += Duration::from_secs(10);
            agenda.ended(slow.key.clone(), owner, Next::Watch, time);
            agenda.wake(slow.key, owner, time);
            let quick = agenda.take(|_| true, time).unwrap();
            assert_eq!(quick.whose, "quick", "{nth}");
            time += Duration::from_millis(20);
            agenda.ended(quick.key, owner, Next::Watch, time);
        }
    }

    #[test]
    fn an_owner_of_short_runs_has_as_many_as_they_cost() {
        let owner = |key: &&'static str| {
            let name = key.split('/').next().unwrap_or_default().to_owned();
            let weight = if name == "heavy" { 3 } else { 1 };
            Whose { name, weight }
        };
        let mut agenda = Agenda::default();
        let mut time = now();
        let keys = ["light/a", "light/b", "heavy/a", "heavy/b"];
        for key in keys {
            agenda.wake(key, owner, time);
        }
        let mut had = BTreeMap::<String, u128>::new();
        for _ in 0..5000 {
            let taken = agenda.take(|_| true, time).unwrap();
            let cost = if taken.whose == "heavy" { 4 } else { 40 };
            time += Duration::from_millis(cost);
            *had.entry(taken.whose).or_default() += u128::from(cost);
            agenda.ended(taken.key, owner, Next::Watch, time);
            agenda.wake(taken.key, owner, time);
        }
        let share = had["heavy"] as f64 / had["light"] as f64;
        assert!((2.8..3.2).contains(&share), "{share}");
    }
}
