//! The only `now`.
//!
//! Decisions take the time as an argument; who has to ask for it asks here, so that a test can hold it still. The machine's time
//! of day may be set while we run, by hours: what is told is told by it, but how long something has lasted is counted in time
//! that has passed ([`Clock::passed`], [`Clock::steady`]). What it deliberately doesn't: wait. Timers are tokio's.

mod course;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use course::Course;

/// What time it is.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// The machine's, and how it went until now.
    System(Arc<Mutex<Course>>),
    Held(Arc<Held>),
}

/// A time that moves only when it is told to.
#[derive(Debug)]
struct Held {
    start: Timestamp,
    moved_millis: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        let course = Course::begin(Timestamp::now(), Instant::now());
        Self(Kind::System(Arc::new(Mutex::new(course))))
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn held(start: Timestamp) -> Self {
        Self(Kind::Held(Arc::new(Held {
            start,
            moved_millis: AtomicI64::new(0),
        })))
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System(course) => seen(course).1,
            Kind::Held(held) => held.now(),
        }
    }

    /// How much time has passed since it was `since` o'clock here; none when that has yet to come. A clock that was set since
    /// then changes nothing of it.
    pub fn passed(&self, since: Timestamp) -> Duration {
        match &self.0 {
            Kind::System(course) => {
                let (course, _, at) = seen(course);
                course.passed(since, at)
            }
            Kind::Held(held) => {
                let passed = held.now().duration_since(since);
                Duration::try_from(passed).unwrap_or_default()
            }
        }
    }

    /// What the time of day would be had nobody set the clock since this process began: to count with, never to show.
    pub fn steady(&self) -> Timestamp {
        match &self.0 {
            Kind::System(course) => {
                let (course, _, at) = seen(course);
                course.steady(at)
            }
            Kind::Held(held) => held.now(),
        }
    }

    /// A point to measure a duration from; unlike the time of day it never jumps.
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Moves a held clock; the machine's clock can't be moved.
    pub fn advance(&self, by: Duration) {
        if let Kind::Held(held) = &self.0 {
            let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            held.moved_millis.fetch_add(millis, Ordering::Relaxed);
        }
    }
}

impl Held {
    fn now(&self) -> Timestamp {
        let moved = SignedDuration::from_millis(self.moved_millis.load(Ordering::Relaxed));
        self.start.saturating_add(moved).unwrap_or(Timestamp::MAX)
    }
}

/// Looks at the machine's clocks, both at once.
fn seen(course: &Mutex<Course>) -> (MutexGuard<'_, Course>, Timestamp, Instant) {
    let mut course = course.lock().unwrap_or_else(PoisonError::into_inner);
    let (day, at) = (Timestamp::now(), Instant::now());
    course.see(day, at);
    (course, day, at)
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
        assert_eq!(clock.passed(start), Duration::from_millis(1500));
        assert_eq!(clock.passed(Timestamp::MAX), Duration::ZERO);
        let system = Clock::system();
        let before = system.now();
        system.advance(Duration::from_secs(1_000_000));
        assert!(system.now().duration_since(before).as_secs() < 1000);
        assert!(system.passed(before) < Duration::from_secs(1000));
    }
}
