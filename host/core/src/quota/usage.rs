//! What a tenant uses of what is limited, and when that is worth telling.
//!
//! A rate is that of the last whole minute. Told is it in steps, since every telling is a write: a tenth of the limit, and
//! where there is none twice as much or half as much. It deliberately limits nothing: that is the meter's.

use jiff::Timestamp;
use reeve_api::tenant::Usage;

use super::{Limit, Limits};

/// Rates up to this are told as one where there is no limit.
const LITTLE: i64 = 16;

/// What was used of the rates in this minute, and in the one before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    minute: i64,
    now: Rates,
    before: Rates,
}

#[derive(Debug, Clone, Copy, Default)]
struct Rates {
    reconciles: u64,
    render: u64,
    writes: u64,
}

impl Rates {
    fn add(&mut self, limit: Limit, amount: u64) {
        let rate = match limit {
            Limit::Reconciles => &mut self.reconciles,
            Limit::Render => &mut self.render,
            Limit::Writes => &mut self.writes,
            Limit::Objects | Limit::Kustomizations | Limit::Storage => return,
        };
        *rate = rate.saturating_add(amount);
    }
}

impl Spent {
    /// So much of a rate was used.
    pub fn add(&mut self, limit: Limit, amount: u64, now: Timestamp) {
        *self = self.at(now);
        self.now.add(limit, amount);
    }

    /// The same, looked at now.
    fn at(self, now: Timestamp) -> Self {
        let minute = now.as_second().div_euclid(60);
        match minute.saturating_sub(self.minute) {
            // A clock that was set back goes on in the minute that it was in.
            ..=0 => self,
            1 => Self {
                minute,
                now: Rates::default(),
                before: self.now,
            },
            _ => Self {
                minute,
                ..Self::default()
            },
        }
    }
}

/// How much is used: of the rates in the last whole minute, of the rest now.
pub fn usage(spent: Spent, kustomizations: usize, objects: usize, now: Timestamp) -> Usage {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let rate = |rate: u64| i64::try_from(rate).unwrap_or(i64::MAX);
    let Rates {
        reconciles,
        render,
        writes,
    } = spent.at(now).before;
    Usage {
        kustomizations: count(kustomizations),
        objects: count(objects),
        reconciles_per_minute: rate(reconciles),
        render_milliseconds_per_minute: rate(render),
        writes_per_minute: rate(writes),
    }
}

/// What is to be told: what was told `before`, as long as what is used `now` is hardly another.
pub fn told(before: Option<&Usage>, now: Usage, limits: &Limits) -> Usage {
    let Some(before) = before else { return now };
    let steps = |usage: &Usage| {
        [
            (Limit::Reconciles, usage.reconciles_per_minute),
            (Limit::Render, usage.render_milliseconds_per_minute),
            (Limit::Writes, usage.writes_per_minute),
        ]
        .map(|(limit, used)| step(used, limit.of(limits)))
    };
    let counts = |usage: &Usage| (usage.kustomizations, usage.objects);
    match counts(before) == counts(&now) && steps(before) == steps(&now) {
        true => *before,
        false => now,
    }
}

fn step(used: i64, limit: Option<u64>) -> u64 {
    let counted = u64::try_from(used).unwrap_or_default();
    match limit {
        Some(limit) => counted.saturating_mul(10).checked_div(limit).unwrap_or(0),
        None if used < LITTLE => 0,
        None => u64::from(counted.checked_ilog2().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn rates(spent: Spent, second: i64) -> (i64, i64, i64) {
        let usage = usage(spent, 0, 0, at(second));
        (
            usage.reconciles_per_minute,
            usage.render_milliseconds_per_minute,
            usage.writes_per_minute,
        )
    }

    #[test]
    fn a_rate_is_that_of_the_last_whole_minute() {
        let mut spent = Spent::default();
        spent.add(Limit::Reconciles, 1, at(600));
        spent.add(Limit::Reconciles, 2, at(659));
        spent.add(Limit::Render, 70, at(610));
        spent.add(Limit::Writes, 5, at(611));
        spent.add(Limit::Objects, 9, at(611));
        assert_eq!(rates(spent, 659), (0, 0, 0), "it is not over");
        assert_eq!(rates(spent, 660), (3, 70, 5));
        assert_eq!(rates(spent, 719), (3, 70, 5));
        assert_eq!(rates(spent, 720), (0, 0, 0));
        spent.add(Limit::Reconciles, 4, at(661));
        assert_eq!(rates(spent, 661), (3, 70, 5));
        spent.add(Limit::Reconciles, 1, at(600));
        assert_eq!(rates(spent, 720), (5, 0, 0), "the clock was set back");
    }

    #[test]
    fn what_is_hardly_another_is_not_told_anew() {
        let none = Limits::default();
        let tight = Limits {
            reconciles_per_minute: Some(100),
            ..none
        };
        let of = |reconciles: i64, objects: i64| Usage {
            objects,
            reconciles_per_minute: reconciles,
            ..Usage::default()
        };
        assert_eq!(told(None, of(3, 1), &none), of(3, 1));
        for (before, now, limits, is_told) in [
            (of(3, 1), of(15, 1), none, false),
            (of(3, 1), of(16, 1), none, true),
            (of(40, 1), of(60, 1), none, false),
            (of(40, 1), of(64, 1), none, true),
            (of(40, 1), of(3, 1), none, true),
            (of(3, 1), of(3, 2), none, true),
            (of(0, 1), of(9, 1), tight, false),
            (of(9, 1), of(10, 1), tight, true),
            (of(99, 1), of(100, 1), tight, true),
        ] {
            let want = if is_told { now } else { before };
            assert_eq!(told(Some(&before), now, &limits), want, "{before:?}");
        }
    }
}
