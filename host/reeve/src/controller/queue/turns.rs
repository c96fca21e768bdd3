//! Whose turn it is: deficit round robin by what runs cost, and not by how many there are.
//!
//! In each round an owner is given a quantum of time, as many times as it weighs, and is served while any of it is left. A
//! run costs the time that it holds its worker: nobody knows before how long that is, so it is begun on what the last one
//! cost, and put right when it has ended. Who has spent more than was given owes it to the next rounds. Who wants nothing
//! is given nothing but what it owes, a second for a second: it saves no more than one quantum up. It deliberately knows
//! no keys, and gives rounds away only when everybody who may be served has used up the last: no worker is ever idle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Whose run it is, and how much that owner weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::controller) struct Whose {
    pub(in crate::controller) name: String,
    pub(in crate::controller) weight: u32,
}

impl Whose {
    /// An owner that weighs as much as most.
    pub(in crate::controller) fn plain(name: String) -> Self {
        Self { name, weight: 1 }
    }
}

/// What an owner of weight 1 is given in a round: a few runs of the usual size.
const QUANTUM: i64 = 50_000;
/// The most that is owed, for each part of weight: who hangs for minutes has waited for itself already.
const MOST_OWED: i64 = 10_000_000;

/// The owners that wait for a worker, and what each has left.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Those with something that waits, whose turn it is first.
    order: VecDeque<String>,
    accounts: BTreeMap<String, Account>,
    /// When what an owner that wants nothing owes is forgotten.
    settled: BTreeSet<(Instant, String)>,
}

/// All in microseconds.
#[derive(Debug)]
struct Account {
    weight: i64,
    /// What is left of what was given; below zero it is owed.
    left: i64,
    /// What the last run cost.
    usual: i64,
    running: usize,
    waits: bool,
    /// Since when it wants nothing, and when all is forgotten.
    idle: Option<(Instant, Instant)>,
}

/// What a run was begun on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charge(i64);

impl Account {
    fn new(weight: i64) -> Self {
        Self {
            weight,
            left: QUANTUM * weight,
            usual: QUANTUM,
            running: 0,
            waits: false,
            idle: None,
        }
    }

    /// What it is given in a round, and the most that it can have left.
    fn share(&self) -> i64 {
        QUANTUM * self.weight
    }

    /// How many rounds it takes until it has something left.
    fn rounds(&self) -> i64 {
        match self.left > 0 {
            true => 0,
            false => (-self.left) / self.share() + 1,
        }
    }
}

impl Turns {
    /// An owner has something that waits; it may have had before.
    pub(super) fn line_up(&mut self, whose: &Whose, now: Instant) {
        self.forget(now);
        let weight = i64::from(whose.weight.max(1));
        let known = self.accounts.entry(whose.name.clone());
        let account = known.or_insert_with(|| Account::new(weight));
        account.weight = weight;
        if let Some((since, until)) = account.idle.take() {
            let passed = micros(now.saturating_duration_since(since));
            account.left = (account.left + passed).min(account.share());
            self.settled.remove(&(until, whose.name.clone()));
        }
        if !std::mem::replace(&mut account.waits, true) {
            self.order.push_back(whose.name.clone());
        }
    }

    /// The owner whose turn it is among those that may be served, and what the run is begun on. `more` says whether it
    /// waits for another worker then.
    pub(super) fn next(
        &mut self,
        admitted: impl Fn(&str) -> bool,
        more: impl Fn(&str) -> bool,
    ) -> Option<(String, Charge)> {
        let at = match self.first(&admitted) {
            Some(at) => at,
            None => {
                self.give(&admitted)?;
                self.first(&admitted)?
            }
        };
        let whose = self.order.get(at)?.clone();
        let account = self.accounts.get_mut(&whose)?;
        let charge = Charge(account.usual);
        account.left -= charge.0;
        account.running += 1;
        account.waits = more(&whose);
        if !account.waits || account.left <= 0 {
            self.order.remove(at);
        }
        if account.waits && account.left <= 0 {
            self.order.push_back(whose.clone());
        }
        Some((whose, charge))
    }

    /// A run that was begun on `charge` is over, after so long.
    pub(super) fn ended(&mut self, whose: &str, charge: Charge, took: Duration, now: Instant) {
        let Some(account) = self.accounts.get_mut(whose) else {
            return;
        };
        let cost = micros(took).max(1);
        account.usual = cost.min(MOST_OWED);
        account.running = account.running.saturating_sub(1);
        let left = account.left.saturating_add(charge.0).saturating_sub(cost);
        account.left = left.clamp(-MOST_OWED * account.weight, account.share());
        if account.running > 0 || account.waits {
            return;
        }
        let missing = account.share() - account.left;
        let until = now + Duration::from_micros(u64::try_from(missing).unwrap_or_default());
        account.idle = Some((now, until));
        self.settled.insert((until, whose.to_owned()));
    }

    /// The place of the first owner that has something left and may be served.
    fn first(&self, admitted: &impl Fn(&str) -> bool) -> Option<usize> {
        let has = |whose: &str| {
            let account = self.accounts.get(whose);
            account.is_some_and(|account| account.left > 0)
        };
        self.order
            .iter()
            .position(|whose| has(whose) && admitted(whose))
    }

    /// As many rounds as it takes until somebody who may be served has something left. None: there is nobody.
    fn give(&mut self, admitted: &impl Fn(&str) -> bool) -> Option<()> {
        let may: Vec<&String> = self.order.iter().filter(|whose| admitted(whose)).collect();
        let rounds = may
            .iter()
            .filter_map(|whose| Some(self.accounts.get(*whose)?.rounds()));
        let rounds = rounds.min()?;
        for whose in may {
            if let Some(account) = self.accounts.get_mut(whose) {
                let share = account.share();
                account.left = account.left.saturating_add(rounds * share).min(share);
            }
        }
        Some(())
    }

    /// Nothing is kept of owners that want nothing and owe nothing any more.
    fn forget(&mut self, now: Instant) {
        while let Some((until, _)) = self.settled.first()
            && *until <= now
        {
            if let Some((_, whose)) = self.settled.pop_first() {
                self.accounts.remove(&whose);
            }
        }
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn whose(name: &str, weight: u32) -> Whose {
        let name = name.to_owned();
        Whose { name, weight }
    }

    /// One worker that these owners keep busy with runs of these lengths: how long each had it.
    fn keep_busy(
        turns: &mut Turns,
        runs: usize,
        mut now: Instant,
        mut length: impl FnMut(&str) -> Duration,
    ) -> (Vec<String>, BTreeMap<String, Duration>) {
        let (mut order, mut had) = (Vec::new(), BTreeMap::<String, Duration>::new());
        for _ in 0..runs {
            let (name, charge) = turns.next(|_| true, |_| true).unwrap();
            let took = length(&name);
            now += took;
            turns.ended(&name, charge, took, now);
            *had.entry(name.clone()).or_default() += took;
            order.push(name);
        }
        (order, had)
    }

    /// Lengths from 1 ms to so many that differ from run to run, and are the same in every test.
    fn lengths(most: u64) -> impl FnMut() -> Duration {
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            MS * u32::try_from(state % most + 1).unwrap()
        }
    }

    #[test]
    fn greedy_owners_have_the_worker_for_as_long_as_they_weigh_whatever_their_runs_cost() {
        for (light, heavy) in [(1, 1), (10, 400), (400, 10), (2000, 2000)] {
            let (mut turns, now) = (Turns::default(), Instant::now());
            turns.line_up(&whose("light", 1), now);
            turns.line_up(&whose("heavy", 3), now);
            let (mut short, mut long) = (lengths(light), lengths(heavy));
            let (_, had) = keep_busy(&mut turns, 20_000, now, |name| match name {
                "light" => short(),
                _ => long(),
            });
            let share = had["heavy"].div_duration_f64(had["light"]);
            assert!((2.85..3.15).contains(&share), "{light}, {heavy}: {share}");
        }
    }

    #[test]
    fn the_order_is_always_the_same() {
        let play = || {
            let (mut turns, now) = (Turns::default(), Instant::now());
            for (name, weight) in [("c", 2), ("a", 1), ("b", 5)] {
                turns.line_up(&whose(name, weight), now);
            }
            let mut length = lengths(300);
            keep_busy(&mut turns, 500, now, |_| length()).0
        };
        assert_eq!(play(), play());
    }

    #[test]
    fn who_was_idle_for_an_hour_is_ahead_by_no_more_than_a_quantum() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        turns.line_up(&whose("busy", 1), now);
        keep_busy(&mut turns, 1000, now, |_| MS * 10);
        turns.line_up(&whose("rested", 1), now + Duration::from_secs(3600));
        let later = now + Duration::from_secs(3600);
        let (_, had) = keep_busy(&mut turns, 100, later, |_| MS * 10);
        let ahead = had["rested"].saturating_sub(had["busy"]);
        assert!(ahead <= MS * 60, "{ahead:?}");
    }

    #[test]
    fn what_is_owed_is_carried_and_forgotten_second_by_second_while_nothing_is_wanted() {
        let owes = |rests: Duration| {
            let (mut turns, now) = (Turns::default(), Instant::now());
            turns.line_up(&whose("slow", 1), now);
            let (_, charge) = turns.next(|_| true, |_| false).unwrap();
            turns.ended("slow", charge, Duration::from_secs(4), now);
            turns.line_up(&whose("slow", 1), now + rests);
            turns.line_up(&whose("quick", 1), now + rests);
            let (order, _) = keep_busy(&mut turns, 1000, now + rests, |_| MS * 10);
            let before = order.iter().position(|one| one == "slow");
            before.unwrap_or(order.len())
        };
        // 3.95 s are owed and more: as much of 10 ms each comes first
        assert!((390..=405).contains(&owes(Duration::ZERO)));
        assert!((190..=205).contains(&owes(Duration::from_secs(2))));
        assert!(owes(Duration::from_secs(60)) <= 1);
    }

    #[test]
    fn who_may_not_be_served_is_passed_over_and_no_worker_is_idle() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        turns.line_up(&whose("full", 1), now);
        turns.line_up(&whose("free", 1), now);
        for _ in 0..50 {
            let (name, charge) = turns.next(|whose| whose != "full", |_| true).unwrap();
            assert_eq!(name, "free");
            turns.ended(&name, charge, Duration::from_secs(60), now);
        }
        assert!(turns.next(|_| false, |_| true).is_none());
        let (next, _) = turns.next(|_| true, |_| true).unwrap();
        assert_eq!(next, "full", "what it was passed over in is not lost");
    }

    #[test]
    fn nothing_is_kept_of_those_who_want_nothing() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        for nth in 0..100 {
            let name = format!("tenant-{nth}");
            turns.line_up(&whose(&name, 1), now);
            let (name, charge) = turns.next(|_| true, |_| false).unwrap();
            turns.ended(&name, charge, Duration::from_secs(3), now);
        }
        assert_eq!(turns.accounts.len(), 100);
        turns.line_up(&whose("another", 1), now + Duration::from_secs(60));
        assert_eq!((turns.accounts.len(), turns.settled.len()), (1, 0));
    }
}
