//! When a forge is asked for the sake of rules that are others: a change of one policy may be about each request that is open.
//!
//! A plain struct without a clock, one for all sources: at each forge one look, or one plan, at a time and a while after the last. What
//! is pushed or applied takes no turn. It is deliberately not shared out by tenant: what is bounded here is what a forge is asked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long nothing is done at first: rules that change seldom change alone.
const SETTLE: Duration = Duration::from_secs(5);
/// How far two are apart.
const APART: Duration = Duration::from_secs(2);

/// The last turn at each forge, by its host, as long as that is yet to come.
#[derive(Default)]
pub(crate) struct Turns(BTreeMap<String, Instant>);

impl Turns {
    /// The next one at a forge.
    pub(super) fn next(&mut self, forge: &str, now: Instant) -> Instant {
        self.0.retain(|_, last| *last > now);
        let first = now + SETTLE;
        let last = self.0.get(forge);
        let then = last.map_or(first, |last| first.max(*last + APART));
        self.0.insert(forge.to_owned(), then);
        then
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_hundred_requests_at_one_forge_are_looked_at_one_by_one_and_another_forge_waits_for_none()
     {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let after = |then: Instant| (then - now).as_secs();
        let all: Vec<u64> = (0..500)
            .map(|_| after(turns.next("git.example", now)))
            .collect();
        let want: Vec<u64> = (0..500).map(|turn| 5 + 2 * turn).collect();
        assert_eq!(all, want);
        assert_eq!(after(turns.next("other.example", now)), 5);
        let later = now + Duration::from_secs(5000);
        assert_eq!(after(turns.next("git.example", later)), 5005);
        assert_eq!(turns.0.len(), 1);
    }
}
