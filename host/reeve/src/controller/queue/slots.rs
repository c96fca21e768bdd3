//! Who runs, and for how long already: whether one more may begin.
//!
//! Workers are for runs that are getting on. One that takes long waits for somebody (a server, a webhook, a registry), so that
//! another owner's may begin beside it; while all are quick, more at once would only make each slower, and take more memory.
//! It deliberately knows no keys and no turns: [`agenda`](super::agenda) says who is next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::observe::Kind;

/// How many times the workers may run at once when each is of another owner.
const OVERDRAFT: usize = 8;
/// How long a run may go on until it is said to hang. Most of a push are over by then.
const HANGS: Duration = Duration::from_millis(250);
/// The same of a fetch: a server in the cluster has answered by then, and one that is far away needs no worker while it is
/// waited for.
const FAR: Duration = Duration::from_millis(100);
/// How soon one runs again that panicked. That is a fault of ours: it is tried again, but not at once.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// How many keys run at once, and how soon one runs again that panicked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) workers: usize,
    /// How many of one owner run at once: fewer than there are workers.
    pub(crate) of_one: usize,
    /// How many run at once when each is the only one of its owner: more than there are workers, so that owners who hold
    /// all of theirs up for as long as they can hold up nobody else.
    pub(crate) most: usize,
    /// How long one runs until it holds its worker no longer, and another owner's may begin beside it.
    pub(crate) hangs_after: Duration,
    pub(crate) after_panic: Duration,
}

/// How many runs there may be at once, for so many workers.
pub(crate) fn most(workers: usize) -> usize {
    workers.saturating_mul(OVERDRAFT)
}

impl Pace {
    /// That of runs of this kind, for so many workers.
    pub(crate) fn of(kind: Kind, workers: usize) -> Self {
        Self {
            workers,
            of_one: workers.div_ceil(2),
            most: most(workers),
            hangs_after: if kind == Kind::GitRepository {
                FAR
            } else {
                HANGS
            },
            after_panic: AFTER_PANIC,
        }
    }
}

/// What runs now.
pub(super) struct Slots {
    pace: Pace,
    /// How many each owner has.
    shares: BTreeMap<String, usize>,
    /// When each was begun, and a number that keeps them apart.
    begun: BTreeSet<(Instant, u64)>,
    serial: u64,
}

/// One run.
pub(super) struct Slot {
    whose: String,
    begun: (Instant, u64),
}

impl Slots {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            shares: BTreeMap::new(),
            begun: BTreeSet::new(),
            serial: 0,
        }
    }

    /// Whether anybody may begin.
    pub(super) fn have_room(&self, now: Instant) -> bool {
        self.begun.len() < self.pace.most && self.quick(now) < self.pace.workers
    }

    /// Whether one more of that owner may begin, where anybody may.
    pub(super) fn admit(&self, whose: &str) -> bool {
        match self.shares.get(whose) {
            None => true,
            Some(has) => *has < self.pace.of_one && self.begun.len() < self.pace.workers,
        }
    }

    pub(super) fn begin(&mut self, whose: String, now: Instant) -> Slot {
        self.serial += 1;
        let begun = (now, self.serial);
        self.begun.insert(begun);
        *self.shares.entry(whose.clone()).or_default() += 1;
        Slot { whose, begun }
    }

    pub(super) fn end(&mut self, slot: &Slot) {
        self.begun.remove(&slot.begun);
        if let Some(share) = self.shares.get_mut(&slot.whose) {
            *share = share.saturating_sub(1);
            if *share == 0 {
                self.shares.remove(&slot.whose);
            }
        }
    }

    /// Where every worker has a run that may be over any moment: when the first of these takes long.
    pub(super) fn full_until(&self, now: Instant) -> Option<Instant> {
        if self.quick(now) < self.pace.workers {
            return None;
        }
        let mut begun = self.begun.iter().map(|(begun, _)| *begun);
        let first = begun.find(|begun| self.is_quick(*begun, now))?;
        Some(first + self.pace.hangs_after)
    }

    /// How many have not been at it for long.
    fn quick(&self, now: Instant) -> usize {
        let newest = self.begun.iter().rev();
        let quick = newest.take_while(|(begun, _)| self.is_quick(*begun, now));
        quick.count()
    }

    fn is_quick(&self, begun: Instant, now: Instant) -> bool {
        now.saturating_duration_since(begun) < self.pace.hangs_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn slots() -> Slots {
        Slots::new(Pace::of(Kind::Kustomization, 4))
    }

    /// Begins a run of that owner if it may, as `work` does.
    fn begin(slots: &mut Slots, whose: &str, now: Instant) -> Option<Slot> {
        let may = slots.have_room(now) && slots.admit(whose);
        may.then(|| slots.begin(whose.to_owned(), now))
    }

    /// How many of so many owners begin now.
    fn begun(slots: &mut Slots, owners: std::ops::Range<usize>, now: Instant) -> usize {
        let all = owners.filter_map(|nth| begin(slots, &format!("tenant-{nth}"), now));
        all.count()
    }

    #[test]
    fn while_runs_are_quick_there_are_as_many_as_workers() {
        let (mut slots, now) = (slots(), Instant::now());
        assert_eq!(begun(&mut slots, 0..300, now), 4);
        assert_eq!(begun(&mut slots, 4..300, now + HANGS - MS), 0);
        assert_eq!(slots.full_until(now + MS), Some(now + HANGS));
    }

    #[test]
    fn beside_runs_that_take_long_others_begin_as_many_as_workers_at_a_time() {
        let (mut slots, mut now) = (slots(), Instant::now());
        let mut all = 0;
        while all < most(4) {
            assert_eq!(begun(&mut slots, all..300, now), 4);
            assert_eq!(begun(&mut slots, all + 4..300, now), 0);
            all += 4;
            now += HANGS;
        }
        assert_eq!(begun(&mut slots, all..300, now), 0, "no more than that");
        assert_eq!(slots.full_until(now), None);
    }

    #[test]
    fn a_tenant_that_hangs_has_half_of_the_workers_and_the_others_begin_at_once() {
        let (mut slots, mut now) = (slots(), Instant::now());
        let hanging = [(); 3].map(|()| begin(&mut slots, "hangs", now));
        assert!(matches!(hanging, [Some(_), Some(_), None]));
        for nth in 0..1000 {
            let quick = begin(&mut slots, "quick", now);
            assert!(quick.is_some(), "{nth}");
            assert!(begin(&mut slots, "hangs", now).is_none());
            now += MS * 40;
            quick.iter().for_each(|slot| slots.end(slot));
        }
    }

    #[test]
    fn a_push_waits_for_as_many_tenants_that_hang_as_began_in_the_last_moment() {
        let (mut slots, now) = (slots(), Instant::now());
        let began = now + HANGS * 6;
        for nth in 0..7 {
            let owners = nth * 4..nth * 4 + 4;
            let at = now + HANGS * u32::try_from(nth).unwrap();
            assert_eq!(begun(&mut slots, owners, at), 4);
        }
        assert!(begin(&mut slots, "quick", began).is_none());
        assert_eq!(slots.full_until(began), Some(began + HANGS));
        let quick = begin(&mut slots, "quick", began + HANGS).unwrap();
        slots.end(&quick);
        assert!(begin(&mut slots, "quick", began + HANGS + MS).is_some());
    }

    #[test]
    fn nothing_is_kept_of_what_has_ended() {
        let (mut slots, now) = (slots(), Instant::now());
        let first = begin(&mut slots, "one", now).unwrap();
        let second = begin(&mut slots, "one", now).unwrap();
        slots.end(&first);
        assert_eq!(slots.shares.len(), 1);
        slots.end(&second);
        assert!(slots.shares.is_empty() && slots.begun.is_empty());
    }
}
