//! How long things took, in two numbers that a person reads.

use std::time::Duration;

/// The smallest of them that so many of a hundred do not exceed.
pub(crate) fn percentile(sorted: &[Duration], of_hundred: usize) -> Duration {
    let rank = (sorted.len() * of_hundred).div_ceil(100);
    let at = sorted.get(rank.saturating_sub(1));
    at.copied().unwrap_or_default()
}

/// Two digits more than nothing: `85µs`, `1.2ms`, `340ms`, `2.1s`.
pub(crate) fn told(took: Duration) -> String {
    let micros = took.as_micros();
    match micros {
        0..1000 => format!("{micros}µs"),
        1000..10_000 => format!("{:.1}ms", took.as_secs_f64() * 1e3),
        10_000..1_000_000 => format!("{}ms", took.as_millis()),
        _ => format!("{:.1}s", took.as_secs_f64()),
    }
}
