//! When what a vigil waits for is looked at, whatever watches show of it.
//!
//! A watch may be silent for ever: it broke off and cannot begin anew, or the API server that held it forgot it while its
//! store was away. So there is always a next round, and nothing that a watch shows puts it off. It deliberately looks at
//! nothing itself, and knows no clock: it is told what time it is.

use std::time::Duration;

use tokio::time::Instant;

/// How soon what is not seen is looked at again, and how seldom at last.
const SOONEST: Duration = Duration::from_millis(250);
const LATEST: Duration = Duration::from_secs(10);
/// How often what is watched is looked at all the same.
const NET: Duration = Duration::from_secs(30);

/// How well what is waited for is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// Watches show all of it.
    Good,
    /// Some of it is not watched, or could not be looked at.
    Poor,
}

/// The rounds of one vigil.
#[derive(Debug)]
pub(super) struct Rounds {
    last: Instant,
    pause: Duration,
    /// Something may have changed between the last round and the beginning of a watch.
    owed: bool,
}

impl Rounds {
    /// Everything was looked at just now.
    pub(super) fn begin(now: Instant) -> Self {
        Self {
            last: now,
            pause: SOONEST,
            owed: false,
        }
    }

    /// The next one is due at once.
    pub(super) fn owe(&mut self) {
        self.owed = true;
    }

    /// When the next one is.
    pub(super) fn due(&self, sight: Sight) -> Instant {
        match (self.owed, sight) {
            (true, _) => self.last,
            (false, Sight::Poor) => self.last + self.pause,
            (false, Sight::Good) => self.last + NET,
        }
    }

    /// One was made.
    pub(super) fn made(&mut self, now: Instant) {
        *self = Self {
            last: now,
            pause: (self.pause * 3 / 2).min(LATEST),
            owed: false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_next_round_and_it_comes_soon_where_sight_is_poor() {
        let begun = Instant::now();
        let mut rounds = Rounds::begin(begun);
        assert_eq!(rounds.due(Sight::Good), begun + NET);
        assert_eq!(rounds.due(Sight::Poor), begun + SOONEST);
        let mut now = begun;
        for _ in 0..20 {
            now = rounds.due(Sight::Poor);
            rounds.made(now);
        }
        assert_eq!(rounds.due(Sight::Poor), now + LATEST, "not more seldom");
        assert_eq!(rounds.due(Sight::Good), now + NET);
    }

    #[test]
    fn a_round_that_is_owed_is_made_at_once_and_only_once() {
        let begun = Instant::now();
        let mut rounds = Rounds::begin(begun);
        rounds.owe();
        assert_eq!(rounds.due(Sight::Good), begun);
        rounds.made(begun);
        assert_eq!(rounds.due(Sight::Good), begun + NET);
    }
}
