//! Whom the API server has asked to come again later: nothing is sent as them until then.
//!
//! Priority and Fairness turns accounts away one by one, so that one tenant's 429 holds nobody else up. A short wait is
//! waited for where it is; a long one ends what wanted to send, and the object waits in its queue without a worker. It
//! deliberately knows no request: it is asked before each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

/// The longest wait that a worker is held for.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// The longest wait that is believed.
pub(super) const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Until when, by account; without one the controller's own.
#[derive(Debug, Clone, Default)]
pub(super) struct Throttle(Arc<Mutex<HashMap<Option<HeaderValue>, Instant>>>);

impl Throttle {
    /// The API server asks `user` to wait for so long.
    pub(super) fn asked(&self, user: Option<&HeaderValue>, wait: Duration) {
        let now = Instant::now();
        let until = now + wait;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, until| *until > now);
        let known = all.entry(user.cloned()).or_insert(until);
        *known = until.max(*known);
    }

    /// How long `user` has to wait yet.
    pub(super) fn left(&self, user: Option<&HeaderValue>) -> Option<Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = all.get(&user.cloned())?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}
