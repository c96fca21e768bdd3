//! How long Leases last: as briefly as they may while the API server answers quickly, and longer for a while where it does not.
//!
//! A write has to end before others may take over, so a brief Lease is brief patience with the API server, too. One that is short
//! of breath would refuse many writes for being late, and Leases would be lost and everything begun anew, which is more work for
//! it, and so on. Who sees signs of that asks for a longer Lease with the next beat, which others heed, and goes back when there
//! were none for a while: first its writes are held to the brief time, and only when those from before must have ended, the Lease
//! is. It deliberately writes nothing, and knows no lease: [`lease`](super::lease) asks it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a Lease lasts where the API server is slow.
pub(super) const LONG: Duration = Duration::from_secs(15);
/// For how long there must be no sign of it.
const CALM: Duration = Duration::from_secs(120);
/// So many writes that were too slow, within that time, are a sign: one may be slow for what it writes.
const LATE: u32 = 8;
const WITHIN: Duration = Duration::from_secs(10);

/// What one process has seen of its API server. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Pace(Arc<Mutex<Signs>>);

#[derive(Debug, Default)]
struct Signs {
    /// When there was the last.
    last: Option<Instant>,
    /// Writes that were too slow: how many, since when.
    late: Option<(u32, Instant)>,
}

impl Pace {
    /// A beat took so long, of the time that it may take at most.
    pub(super) fn beat(&self, now: Instant, took: Duration, most: Duration) {
        if took * 3 > most * 2 {
            self.sign(now);
        }
    }

    /// A Lease was lost for being late.
    pub(super) fn lost(&self, now: Instant) {
        self.sign(now);
    }

    /// A write was given up so that it would be over before others may take over.
    pub(super) fn late(&self, now: Instant) {
        let mut signs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, since) = match signs.late {
            Some((count, since)) if now.saturating_duration_since(since) < WITHIN => {
                (count.saturating_add(1), since)
            }
            _ => (1, now),
        };
        signs.late = Some((count, since));
        drop(signs);
        if count >= LATE {
            self.sign(now);
        }
    }

    /// For how long a Lease is asked for that usually lasts so long.
    pub(super) fn asks(&self, now: Instant, usual: Duration) -> Duration {
        // Writes that had more time may be under way for as long as that was.
        self.of(now, usual, CALM + LONG)
    }

    /// For how long one is relied upon, however long it was asked for.
    pub(super) fn relies_on(&self, now: Instant, usual: Duration) -> Duration {
        self.of(now, usual, CALM)
    }

    fn of(&self, now: Instant, usual: Duration, calm: Duration) -> Duration {
        let signs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match signs.last {
            Some(last) if now.saturating_duration_since(last) < calm => usual.max(LONG),
            _ => usual,
        }
    }

    fn sign(&self, now: Instant) {
        let mut signs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |last| now.saturating_duration_since(last) >= CALM;
        let is_first = signs.last.is_none_or(is_over);
        signs.last = Some(now);
        if is_first {
            tracing::warn!(
                "the API server is slow: Leases last {LONG:?} until it has been quick for {CALM:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_secs(4);

    #[test]
    fn a_slow_beat_makes_leases_long_for_a_while() {
        let (pace, now) = (Pace::default(), Instant::now());
        let most = Duration::from_secs(3);
        let are = |now| (pace.asks(now, USUAL), pace.relies_on(now, USUAL));
        pace.beat(now, Duration::from_secs(1), most);
        assert_eq!(are(now), (USUAL, USUAL));
        pace.beat(now, Duration::from_millis(2100), most);
        assert_eq!(are(now), (LONG, LONG));
        assert_eq!(are(now + CALM - Duration::from_secs(1)), (LONG, LONG));
    }

    #[test]
    fn writes_are_held_to_the_brief_time_before_the_lease_is() {
        let (pace, now) = (Pace::default(), Instant::now());
        let are = |now| (pace.asks(now, USUAL), pace.relies_on(now, USUAL));
        pace.lost(now);
        assert_eq!(are(now + CALM), (LONG, USUAL));
        // The last write that had the long time began before that.
        let over = now + CALM + LONG;
        assert_eq!(are(over - Duration::from_millis(1)), (LONG, USUAL));
        assert_eq!(are(over), (USUAL, USUAL));
    }

    #[test]
    fn a_few_late_writes_are_no_sign_and_many_at_once_are() {
        let (pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..LATE * 3 {
            pace.late(now);
            now += WITHIN / (LATE - 2);
        }
        assert_eq!(pace.asks(now, USUAL), USUAL);
        now += WITHIN;
        (0..LATE).for_each(|_| pace.late(now));
        assert_eq!(pace.asks(now, USUAL), LONG);
    }

    #[test]
    fn who_asks_for_longer_than_that_gets_it() {
        let (pace, now) = (Pace::default(), Instant::now());
        pace.lost(now);
        let longer = LONG * 2;
        assert_eq!(pace.asks(now, longer), longer);
    }
}
