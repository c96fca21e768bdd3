//! How a time of day went: as time passes, but for the moments at which somebody set the clock.
//!
//! Between two such moments both clocks of a machine go alike, so that either tells what the other showed. Pure: what they show
//! comes in. It deliberately knows nothing of before it began; what was recorded then is believed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// So far apart the clocks may go before it counts as a jump: a second is as fine as what is recorded.
const SLACK: SignedDuration = SignedDuration::from_secs(1);
/// So many jumps are remembered.
const STRETCHES: usize = 16;

/// What a time of day has shown since it was first looked at.
#[derive(Debug)]
pub(super) struct Course {
    first: Stretch,
    /// From one jump to the next, the newest last.
    stretches: VecDeque<Stretch>,
}

/// A time in which nobody set the clock: what it showed at the beginning.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    day: Timestamp,
    at: Instant,
}

impl Stretch {
    /// What the clock shows at `at`, if nobody sets it.
    fn day_at(&self, at: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(at.saturating_duration_since(self.at));
        let day = self
            .day
            .saturating_add(passed.unwrap_or(SignedDuration::MAX));
        day.unwrap_or(Timestamp::MAX)
    }

    /// When it shows `day`.
    fn when(&self, day: Timestamp) -> Instant {
        let into = Duration::try_from(day.duration_since(self.day)).unwrap_or_default();
        self.at.checked_add(into).unwrap_or(self.at)
    }
}

impl Course {
    pub(super) fn begin(day: Timestamp, at: Instant) -> Self {
        let first = Stretch { day, at };
        Self {
            first,
            stretches: VecDeque::from([first]),
        }
    }

    /// The clock shows `day`.
    pub(super) fn see(&mut self, day: Timestamp, at: Instant) {
        let newest = self.stretches.back().unwrap_or(&self.first);
        let off = day.duration_since(newest.day_at(at));
        if off.abs() <= SLACK {
            return;
        }
        if self.stretches.len() >= STRETCHES {
            self.stretches.pop_front();
        }
        self.stretches.push_back(Stretch { day, at });
    }

    /// What the clock would show at `at`, had nobody set it.
    pub(super) fn steady(&self, at: Instant) -> Timestamp {
        self.first.day_at(at)
    }

    /// How long before `now` the clock showed `since`, at last. What it never showed, since it was set from before to after it,
    /// was when it was set; what it has not shown yet is now.
    pub(super) fn passed(&self, since: Timestamp, now: Instant) -> Duration {
        let (mut end, mut newer, mut skipped) = (now, None, None);
        for stretch in self.stretches.iter().rev() {
            let last = stretch.day_at(end);
            if stretch.day <= since && since <= last {
                return now.saturating_duration_since(stretch.when(since));
            }
            let set_over = newer.is_some_and(|day| last < since && since < day);
            if set_over && skipped.is_none() {
                skipped = Some(end);
            }
            (end, newer) = (stretch.at, Some(stretch.day));
        }
        let oldest = self.stretches.front().unwrap_or(&self.first);
        let before = Duration::try_from(oldest.day.duration_since(since)).unwrap_or_default();
        match skipped {
            Some(set) => now.saturating_duration_since(set),
            None if before.is_zero() => Duration::ZERO,
            None => before.saturating_add(now.saturating_duration_since(oldest.at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn day(text: &str) -> Timestamp {
        format!("2026-01-02T{text}Z").parse().unwrap()
    }

    /// A course, and its beginning.
    fn course(begins: &str) -> (Course, Instant) {
        let at = Instant::now();
        (Course::begin(day(begins), at), at)
    }

    #[test]
    fn without_a_jump_the_time_of_day_says_what_has_passed() {
        let (mut course, begun) = course("10:00:00");
        course.see(day("10:00:10.7"), begun + 10 * SECOND);
        let now = begun + 60 * SECOND;
        assert_eq!(course.passed(day("10:00:20"), now), 40 * SECOND);
        assert_eq!(course.passed(day("09:59:50"), now), 70 * SECOND);
        assert_eq!(course.passed(day("10:02:00"), now), Duration::ZERO);
        assert_eq!(course.steady(now), day("10:01:00"));
    }

    #[test]
    fn a_clock_set_forward_makes_nothing_older() {
        let (mut course, begun) = course("10:00:00");
        course.see(day("12:00:30"), begun + 30 * SECOND);
        let now = begun + 40 * SECOND;
        for (since, passed) in [
            ("10:00:20", 20),
            // Nobody saw it: as if it was when the clock was set.
            ("11:00:00", 10),
            ("12:00:35", 5),
            ("12:00:50", 0),
            ("09:00:00", 3640),
        ] {
            assert_eq!(course.passed(day(since), now), passed * SECOND, "{since}");
        }
        assert_eq!(course.steady(now), day("10:00:40"));
    }

    #[test]
    fn a_clock_set_back_makes_nothing_younger() {
        let (mut course, begun) = course("10:00:00");
        course.see(day("08:00:30"), begun + 30 * SECOND);
        let now = begun + 40 * SECOND;
        for (since, passed) in [("10:00:20", 20), ("08:00:35", 5), ("07:59:00", 7300)] {
            assert_eq!(course.passed(day(since), now), passed * SECOND, "{since}");
        }
        // Shown twice: the last time counts.
        course.see(day("10:00:10"), begun + 50 * SECOND);
        let now = begun + 65 * SECOND;
        assert_eq!(course.passed(day("10:00:20"), now), 5 * SECOND);
    }

    #[test]
    fn only_so_many_jumps_are_remembered() {
        let (mut course, begun) = course("10:00:00");
        for jump in 1..100 {
            let hours = SignedDuration::from_hours(i64::from(jump));
            let shown = day("10:00:00").saturating_add(hours).unwrap();
            course.see(shown, begun + jump * SECOND);
        }
        assert_eq!(course.stretches.len(), STRETCHES);
        assert_eq!(course.steady(begun + 99 * SECOND), day("10:01:39"));
    }
}
