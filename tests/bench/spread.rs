//! Where half and nine tenths of some times lie.

use std::time::Duration;

/// Half of the times are at most `p50`, nine tenths at most `p90`, all but a hundredth at most `p99`.
pub(crate) struct Spread {
    pub(crate) p50: Duration,
    pub(crate) p90: Duration,
    pub(crate) p99: Duration,
}

impl Spread {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let at = |percent: usize| {
            let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(index).copied().unwrap_or_default()
        };
        Self {
            p50: at(50),
            p90: at(90),
            p99: at(99),
        }
    }
}
