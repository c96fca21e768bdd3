//! Others who change the same object again and again: corrected ever more seldom, and told of.

use std::time::Duration;

/// How often an object is put right at once.
const AT_ONCE: u32 = 5;
/// After how long without a change the last ones are forgotten.
const CALM: Duration = Duration::from_secs(60);
/// The first pause, and the longest.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);

/// How often somebody has changed one object lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Fight {
    times: u32,
    last: Duration,
    /// Whether the last change waits for its run.
    pub(super) waits: bool,
}

/// A fight that is worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fought {
    /// How often the object was changed.
    pub times: u32,
    /// By whom, if its claims say so.
    pub by: Option<String>,
}

impl Fight {
    /// It was changed again: how long to wait before it is put right, and whether that is to be told now.
    pub(super) fn strike(&mut self, now: Duration) -> (Duration, bool) {
        if self.is_over(now) {
            *self = Self::default();
        }
        self.times = self.times.saturating_add(1);
        self.last = now;
        self.waits = true;
        (self.pause(), self.times == AT_ONCE)
    }

    pub(super) fn times(&self) -> u32 {
        self.times
    }

    /// Whether nobody has changed it for so long that it counts no more.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.last) > CALM + self.pause()
    }

    fn pause(&self) -> Duration {
        match self.times.checked_sub(AT_ONCE) {
            None | Some(0) => Duration::ZERO,
            Some(more) => {
                let doubled = 2_u32.saturating_pow(more.saturating_sub(1));
                FIRST.saturating_mul(doubled).min(LONGEST)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_changes_are_put_right_at_once_and_later_ones_ever_more_seldom() {
        let mut fight = Fight::default();
        let mut now = Duration::from_secs(1000);
        let mut told = Vec::new();
        let mut pauses = Vec::new();
        for time in 1..=20 {
            let (pause, tell) = fight.strike(now);
            told.extend(tell.then_some(time));
            pauses.push(pause.as_secs());
            now += pause + Duration::from_millis(100);
        }
        assert_eq!(told, [5], "it is told once");
        assert_eq!(pauses[..9], [0, 0, 0, 0, 0, 2, 4, 8, 16]);
        assert_eq!(pauses[19], LONGEST.as_secs());
    }

    #[test]
    fn who_leaves_it_alone_for_a_minute_begins_anew() {
        let mut fight = Fight::default();
        for second in 0..5 {
            fight.strike(Duration::from_secs(second));
        }
        let (pause, told) = fight.strike(Duration::from_secs(100));
        assert!(pause.is_zero() && !told && fight.times() == 1);
    }
}
