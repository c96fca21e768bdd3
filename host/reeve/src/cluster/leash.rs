//! Until when this process may write: for as long as its lease holds, by the local clock.
//!
//! Asked by [`wire`](super::wire) before every request that changes something, at the last moment: a process that was
//! held up for longer than its lease lasts (stopped, starved, swapped out) then writes nothing when it goes on, however
//! far a run had come. A request that begins in time is told by when it must have ended, so that the API server carries out
//! none that others do not expect any more. Whoever needs no lease is free. It deliberately knows no lease: [`lease`](super::lease) says
//! until when.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use tokio::time::Instant;

use super::pace::Pace;
use super::refusal::CallError;

/// How much sooner than others may take over a write has to end: what is carried out at that moment still takes a little.
const EARLIER: Duration = Duration::from_secs(1);

/// Whether this process may write. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Leash {
    hold: Arc<Mutex<Hold>>,
    pace: Pace,
}

#[derive(Debug, Clone, Copy, Default)]
enum Hold {
    /// Nobody leads here: everybody may.
    #[default]
    Free,
    /// Begun until `end`, unless it is moved. Others may take over at `others`.
    Until { end: Instant, others: Instant },
    /// Not until a lease is had.
    Cut,
}

impl Leash {
    /// How quick the API server is.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The same for other API servers, which may be as slow as they are.
    pub(super) fn abroad(&self) -> Self {
        Self {
            hold: Arc::clone(&self.hold),
            pace: Pace::default(),
        }
    }

    /// Whether a write may begin now.
    pub(super) fn lets(&self) -> bool {
        match self.holds() {
            Hold::Free => true,
            Hold::Until { end, .. } => Instant::now() < end,
            Hold::Cut => false,
        }
    }

    /// The address of a write that begins now, which the API server gives up before somebody else may write.
    pub(super) fn limit(&self, uri: &Uri) -> Result<Uri, CallError> {
        let Some(left) = self.left() else {
            return Ok(uri.clone());
        };
        let and = if uri.query().is_some() { '&' } else { '?' };
        let limited = format!("{uri}{and}timeout={}s", left.as_secs().max(1));
        limited
            .parse()
            .map_err(|why: http::uri::InvalidUri| CallError::Garbled(why.to_string()))
    }

    /// For how long a write that begins now may take; None: for as long as it likes.
    fn left(&self) -> Option<Duration> {
        match self.holds() {
            Hold::Free => None,
            Hold::Until { others, .. } => {
                let left = others.saturating_duration_since(Instant::now());
                Some(left.saturating_sub(EARLIER))
            }
            Hold::Cut => Some(Duration::ZERO),
        }
    }

    /// Writes may begin until `end`, and are over before `others` may take over.
    pub(super) fn until(&self, end: Instant, others: Instant) {
        self.hold(Hold::Until { end, others });
    }

    /// No write may begin any more.
    pub(super) fn cut(&self) {
        self.hold(Hold::Cut);
    }

    fn holds(&self) -> Hold {
        *self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, hold: Hold) {
        *self.hold.lock().unwrap_or_else(PoisonError::into_inner) = hold;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_nobody_renewed_lets_nothing_through() {
        let leash = Leash::default();
        assert!(leash.lets(), "who needs no lease is free");
        leash.cut();
        assert!(!leash.lets(), "none is had yet");
        let hour = Instant::now() + Duration::from_secs(3600);
        leash.until(hour, hour);
        assert!(leash.clone().lets());
        leash.until(Instant::now(), hour);
        assert!(!leash.lets(), "nobody had to notice that it ran out");
    }

    #[test]
    fn a_write_is_over_before_others_may_take_over() {
        let leash = Leash::default();
        assert_eq!(leash.left(), None);
        let (end, others) = (Duration::from_secs(100), Duration::from_secs(150));
        let now = Instant::now();
        leash.until(now + end, now + others);
        assert!(
            leash
                .left()
                .is_some_and(|left| left > end && left <= others - EARLIER)
        );
        let uri: Uri = "/api/v1/namespaces/a/pods/b?fieldManager=c"
            .parse()
            .unwrap();
        let limited = leash.limit(&uri).unwrap().to_string();
        assert_eq!(limited, format!("{uri}&timeout=148s"));
        leash.cut();
        assert_eq!(leash.left(), Some(Duration::ZERO));
        let bare = leash.limit(&"/api/v1/x".parse().unwrap()).unwrap();
        assert_eq!(bare, "/api/v1/x?timeout=1s");
        let free = Leash::default().limit(&uri).unwrap();
        assert_eq!(free, uri, "who needs no lease has all the time");
    }
}
