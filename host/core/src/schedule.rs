//! When the next run is: intervals with jitter, and backoff after failures.
//!
//! Pure: the randomness is a number the caller gives (the same number gives the same instant, so a test can hold it), and
//! nothing here waits. What it deliberately doesn't: know what failed or for whom; `status` asks, the controller's queue
//! waits.

use std::time::Duration;

use jiff::Timestamp;

/// A week.
pub const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often a repository is asked of which a forge tells what is new, if its interval is not longer: what a call that was lost
/// would have told is found then.
pub const SAFETY: Duration = Duration::from_secs(60 * 60);

/// How far an interval may move either way, in thousandths: 5 %, so that objects made together don't come back together.
/// A thousand objects with one interval of 5 min, 1 s each on 50 workers, would otherwise be a burst of 20 s every time.
const JITTER_PERMILLE: u128 = 50;
/// The same for the wait after a failure: 20 %, so that what failed together, as all does while an API server is away, does
/// not come back together.
const RETRY_PERMILLE: u128 = 200;

/// The wait after the first failure that is ours to retry.
pub const MIN_RETRY_DELAY: Duration = Duration::from_millis(750);
/// The longest wait between two tries that are ours.
pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(15 * 60);

/// The longest wait of the first who was outrun, and of any.
const FIRST_OUTRUN: Duration = Duration::from_millis(200);
const MAX_OUTRUN: Duration = Duration::from_secs(5);

/// The longest interval that means anything: a timer further away than this is cut to it (ten years).
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// When to run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// After this long, unless something wakes the object before.
    After(Duration),
    /// Only when something wakes the object: its own change, its source's, a policy's.
    Watch,
}

impl Next {
    /// The same, but not sooner than [`SAFETY`], moved as an interval is.
    #[must_use]
    pub fn at_leisure(self, spread: u64) -> Self {
        match self {
            Self::After(wait) => Self::After(wait.max(jittered(SAFETY, spread))),
            Self::Watch => Self::Watch,
        }
    }

    /// The same, but not later than `end`; what is further away than a week is looked at again in a week.
    #[must_use]
    pub fn no_later(self, end: Timestamp, now: Timestamp) -> Self {
        let left = Duration::try_from(end.duration_since(now)).unwrap_or_default();
        let left = left.min(WEEK);
        match self {
            Self::After(wait) => Self::After(wait.min(left)),
            Self::Watch => Self::After(left),
        }
    }
}

/// `interval` moved by up to 5 % either way, as `spread` decides.
pub fn jittered(interval: Duration, spread: u64) -> Duration {
    moved(interval.min(LONGEST), JITTER_PERMILLE, spread)
}

/// How long to wait after the `failures`th failure in a row: 750 ms doubled each time, up to 15 min, moved by up to 20 %
/// either way, as `spread` decides.
pub fn backoff(failures: u32, spread: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let wait = MIN_RETRY_DELAY
        .saturating_mul(1 << doublings)
        .min(MAX_RETRY_DELAY);
    moved(wait, RETRY_PERMILLE, spread)
}

/// Not sooner than after `wait`, and by up to a tenth of it or 5 s later, as `spread` decides.
pub fn no_sooner(wait: Duration, spread: u64) -> Duration {
    let half = (wait / 20).min(Duration::from_millis(2500));
    wait.saturating_add(moved(half, 1000, spread))
}

/// How long to wait after others were faster `times` times in a row: anything from nothing up to 200 ms, doubled each time, up
/// to 5 s. Whoever lost together is not to come back together, so all of it is chance.
pub fn outrun(times: u32, spread: u64) -> Duration {
    let doublings = times.saturating_sub(1).min(31);
    let half = FIRST_OUTRUN.saturating_mul(1 << doublings).min(MAX_OUTRUN) / 2;
    moved(half, 1000, spread.wrapping_add(u64::from(times)))
}

fn moved(wait: Duration, permille: u128, spread: u64) -> Duration {
    let span = wait.as_nanos() * permille / 1000;
    if span == 0 {
        return wait;
    }
    // 0..=2*span, then shifted down by span
    let moved = u128::from(mix(spread)) % (2 * span + 1);
    let nanos = wait.as_nanos() - span + moved;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Mixes all bits of a number (splitmix64's finisher), so that neighbours land far apart.
fn mix(spread: u64) -> u64 {
    let mut z = spread.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `duration` rounded for people: to milliseconds below a minute, to seconds above.
pub fn rounded(duration: Duration) -> Duration {
    if duration < Duration::from_millis(1) {
        return duration;
    }
    if duration < Duration::from_secs(60) {
        Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    } else {
        Duration::from_secs(duration.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_moves_by_at_most_five_percent() {
        let interval = Duration::from_secs(600);
        let all: Vec<_> = (0..10_000)
            .map(|spread| jittered(interval, spread))
            .collect();
        assert!(
            all.iter()
                .all(|d| (570.0..=630.0).contains(&d.as_secs_f64()))
        );
        // and it does use the room it has
        assert!(all.iter().any(|d| d.as_secs_f64() < 575.0));
        assert!(all.iter().any(|d| d.as_secs_f64() > 625.0));
        assert_eq!(jittered(interval, 7), jittered(interval, 7));
    }

    #[test]
    fn whoever_was_outrun_waits_by_chance_and_longer_each_time() {
        for (times, longest) in [
            (0, 200),
            (1, 200),
            (2, 400),
            (5, 3200),
            (6, 5000),
            (99, 5000),
        ] {
            let all: Vec<_> = (0..1000).map(|spread| outrun(times, spread)).collect();
            let longest = Duration::from_millis(longest);
            assert!(all.iter().all(|wait| *wait <= longest), "{times}");
            assert!(all.iter().any(|wait| *wait > longest * 9 / 10), "{times}");
            assert!(all.iter().any(|wait| *wait < longest / 10), "{times}");
        }
        assert_eq!(outrun(3, 7), outrun(3, 7));
    }

    #[test]
    fn extreme_intervals_neither_panic_nor_vanish() {
        for interval in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            for spread in [0, 1, u64::MAX] {
                assert!(jittered(interval, spread) <= LONGEST + LONGEST / 20);
            }
        }
        assert_eq!(
            jittered(Duration::from_nanos(3), 1),
            Duration::from_nanos(3)
        );
    }

    #[test]
    fn failures_wait_longer_up_to_a_quarter_of_an_hour_and_not_all_alike() {
        let means = [750, 750, 1500, 3000, 6000, 12_000];
        let means = means
            .into_iter()
            .zip(0..)
            .chain([(900_000, 12), (900_000, u32::MAX)]);
        for (mean, failures) in means {
            let all: Vec<_> = (0..1000)
                .map(|spread| backoff(failures, spread).as_millis())
                .collect();
            let (least, most) = (mean * 4 / 5, mean * 6 / 5);
            assert!(
                all.iter().all(|wait| (least..=most).contains(wait)),
                "{failures}"
            );
            assert!(all.iter().any(|wait| *wait < mean * 17 / 20), "{failures}");
            assert!(all.iter().any(|wait| *wait > mean * 23 / 20), "{failures}");
        }
    }

    #[test]
    fn who_is_told_when_to_come_again_does_not_come_sooner_nor_all_at_once() {
        for (wait, most) in [(1, 1100), (30, 33_000), (3600, 3_605_000)] {
            let wait = Duration::from_secs(wait);
            let all: Vec<_> = (0..1000).map(|spread| no_sooner(wait, spread)).collect();
            let most = Duration::from_millis(most);
            assert!(
                all.iter().all(|one| (wait..=most).contains(one)),
                "{wait:?}"
            );
            assert!(all.iter().max() > all.iter().min(), "{wait:?}");
        }
        assert!(no_sooner(Duration::MAX, 1) == Duration::MAX);
    }

    #[test]
    fn a_run_is_not_later_than_what_ends_then() {
        let now = Timestamp::UNIX_EPOCH;
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let end = |wait: Duration| now + wait;
        for (next, end, want) in [
            (Next::After(minute), end(second), second),
            (Next::After(second), end(minute), second),
            (Next::Watch, end(minute), minute),
            (Next::Watch, end(WEEK * 3), WEEK),
            (Next::Watch, now - minute, Duration::ZERO),
        ] {
            assert_eq!(next.no_later(end, now), Next::After(want));
        }
    }

    #[test]
    fn people_are_spared_the_nanoseconds() {
        assert_eq!(
            rounded(Duration::from_nanos(176_123_456)),
            Duration::from_millis(176)
        );
        assert_eq!(
            rounded(Duration::from_millis(61_500)),
            Duration::from_secs(61)
        );
        assert_eq!(
            rounded(Duration::from_nanos(900)),
            Duration::from_nanos(900)
        );
    }
}
