//! How a plugin's calls went: counts, and how long the last ones took.

use std::collections::VecDeque;
use std::time::Duration;

use reeve_api::plugin::{CallStatistics, FailedCall};

use crate::spread::{percentile, told};

/// How many calls the percentiles are of.
const LAST: usize = 512;

/// Calls of one plugin since the controller started.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    total: u64,
    failed: u64,
    took: VecDeque<Duration>,
    last_error: Option<FailedCall>,
}

impl Tally {
    /// A call ended.
    pub fn count(&mut self, took: Duration, error: Option<FailedCall>) {
        self.total = self.total.saturating_add(1);
        if self.took.len() == LAST {
            self.took.pop_front();
        }
        self.took.push_back(took);
        if error.is_some() {
            self.failed = self.failed.saturating_add(1);
            self.last_error = error;
        }
    }

    /// The last call that brought nothing.
    pub fn last_error(&self) -> Option<&FailedCall> {
        self.last_error.as_ref()
    }

    /// As it stands in a status; none before the first call.
    pub fn statistics(&self) -> Option<CallStatistics> {
        if self.total == 0 {
            return None;
        }
        let mut sorted: Vec<_> = self.took.iter().copied().collect();
        sorted.sort_unstable();
        Some(CallStatistics {
            failed: i64::try_from(self.failed).unwrap_or(i64::MAX),
            p50: told(percentile(&sorted, 50)),
            p99: told(percentile(&sorted, 99)),
            total: i64::try_from(self.total).unwrap_or(i64::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_last_calls() {
        let mut tally = Tally::default();
        assert_eq!(tally.statistics(), None);
        tally.count(Duration::from_secs(9), None);
        for ms in 1..=LAST {
            tally.count(Duration::from_millis(ms as u64), None);
        }
        let told = tally.statistics().unwrap();
        assert_eq!(
            (told.total, told.failed, &*told.p50, &*told.p99),
            (513, 0, "256ms", "507ms")
        );
    }

    #[test]
    fn one_call_is_every_percentile() {
        let mut tally = Tally::default();
        tally.count(Duration::from_micros(1234), None);
        let told = tally.statistics().unwrap();
        assert_eq!((&*told.p50, &*told.p99), ("1.2ms", "1.2ms"));
    }
}
