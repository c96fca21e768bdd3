//! How often somebody may call: a bucket of calls for each, that fills again with time.
//!
//! What it deliberately doesn't: know who calls, or what time it is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many calls, and how soon again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    /// At once.
    pub burst: f64,
    /// More each second.
    pub each_second: f64,
}

/// The buckets of all who call.
#[derive(Debug)]
pub struct Rates<K> {
    allowance: Allowance,
    /// How many are told apart.
    most: usize,
    known: BTreeMap<K, Bucket>,
    /// That of all who came when there was no room for one of their own.
    others: Bucket,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn full(allowance: Allowance, now: Instant) -> Self {
        Self {
            left: allowance.burst,
            at: now,
        }
    }

    fn fill(&mut self, allowance: Allowance, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * allowance.each_second).min(allowance.burst);
        self.at = now;
    }

    fn take(&mut self, allowance: Allowance, now: Instant) -> Result<(), Duration> {
        self.fill(allowance, now);
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        let missing = (1.0 - self.left) / allowance.each_second;
        Err(Duration::try_from_secs_f64(missing).unwrap_or(Duration::from_secs(60)))
    }
}

impl<K: Ord> Rates<K> {
    /// Nobody has called yet. At most so many are told apart.
    pub fn new(allowance: Allowance, most: usize, now: Instant) -> Self {
        Self {
            allowance,
            most,
            known: BTreeMap::new(),
            others: Bucket::full(allowance, now),
        }
    }

    /// Takes a call from the bucket of `who`, or says in how long there is one.
    pub fn take(&mut self, who: K, now: Instant) -> Result<(), Duration> {
        let allowance = self.allowance;
        if self.known.len() >= self.most && !self.known.contains_key(&who) {
            // Who has all of it back is as good as one who never called.
            self.known.retain(|_, bucket| {
                bucket.fill(allowance, now);
                bucket.left < allowance.burst
            });
            if self.known.len() >= self.most {
                return self.others.take(allowance, now);
            }
        }
        let bucket = self.known.entry(who);
        let bucket = bucket.or_insert_with(|| Bucket::full(allowance, now));
        bucket.take(allowance, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "some time to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    const THREE: Allowance = Allowance {
        burst: 3.0,
        each_second: 0.5,
    };

    #[test]
    fn who_calls_too_often_is_told_when_to_come_again_and_nobody_else_is() {
        let now = start();
        let mut rates = Rates::new(THREE, 8, now);
        for _ in 0..3 {
            assert_eq!(rates.take("a", now), Ok(()));
        }
        assert_eq!(rates.take("a", now), Err(Duration::from_secs(2)));
        assert_eq!(rates.take("b", now), Ok(()));
        let later = now + Duration::from_secs(2);
        assert_eq!(rates.take("a", later), Ok(()));
        assert!(rates.take("a", later).is_err());
        let much_later = now + Duration::from_secs(60);
        for _ in 0..3 {
            assert_eq!(rates.take("a", much_later), Ok(()));
        }
        assert!(
            rates.take("a", much_later).is_err(),
            "no more than the burst"
        );
    }

    #[test]
    fn where_there_is_no_room_for_more_the_others_share_a_bucket() {
        let now = start();
        let mut rates = Rates::new(THREE, 4, now);
        for who in 0..4 {
            assert_eq!(rates.take(who, now), Ok(()));
        }
        for who in 4..7 {
            assert_eq!(rates.take(who, now), Ok(()));
        }
        assert!(rates.take(7, now).is_err());
        assert_eq!(rates.known.len(), 4);
        // Whoever has been quiet makes room.
        let later = now + Duration::from_secs(60);
        assert_eq!(rates.take(8, later), Ok(()));
        assert_eq!(rates.known.len(), 1);
    }
}
