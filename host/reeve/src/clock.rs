//! The only `now`.
//!
//! Decisions take the time as an argument; who has to ask for it asks here, so that a test can hold it still. What it
//! deliberately doesn't: wait. Timers are tokio's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// What time it is.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Held>>);

/// A time that moves only when it is told to.
#[derive(Debug)]
struct Held {
    start: Timestamp,
    moved_millis: AtomicI64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn held(start: Timestamp) -> Self {
        Self(Some(Arc::new(Held {
            start,
            moved_millis: AtomicI64::new(0),
        })))
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            None => Timestamp::now(),
            Some(held) => {
                let moved = SignedDuration::from_millis(held.moved_millis.load(Ordering::Relaxed));
                held.start.saturating_add(moved).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// A point to measure a duration from; unlike the time of day it never jumps.
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Moves a held clock; the machine's clock can't be moved.
    pub fn advance(&self, by: Duration) {
        if let Some(held) = &self.0 {
            let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            held.moved_millis.fetch_add(millis, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_clock_moves_only_when_it_is_told_to() {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let clock = Clock::held(start);
        assert_eq!(clock.now(), start);
        clock.clone().advance(Duration::from_millis(1500));
        assert_eq!(clock.now().to_string(), "2026-01-02T03:04:06.5Z");
        let system = Clock::system();
        let before = system.now();
        system.advance(Duration::from_secs(1_000_000));
        assert!(system.now().duration_since(before).as_secs() < 1000);
    }
}
