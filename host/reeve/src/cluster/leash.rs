//! Until when this process may write: for as long as its lease holds, by the local clock.
//!
//! Asked by [`wire`](super::wire) before every request that changes something, at the last moment: a process that was
//! held up for longer than its lease lasts (stopped, starved, swapped out) then writes nothing when it goes on, however
//! far a run had come. Whoever needs no lease is free. It deliberately knows no lease: [`lease`](super::lease) says
//! until when.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// Whether this process may write. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Leash(Arc<Mutex<Hold>>);

#[derive(Debug, Clone, Copy, Default)]
enum Hold {
    /// Nobody leads here: everybody may.
    #[default]
    Free,
    /// Until this moment, unless it is moved.
    Until(Instant),
    /// Not until a lease is had.
    Cut,
}

impl Leash {
    /// Whether a write may begin now.
    pub(super) fn lets(&self) -> bool {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Hold::Free => true,
            Hold::Until(end) => Instant::now() < end,
            Hold::Cut => false,
        }
    }

    /// Writes may begin until then.
    pub(super) fn until(&self, end: Instant) {
        self.hold(Hold::Until(end));
    }

    /// No write may begin any more.
    pub(super) fn cut(&self) {
        self.hold(Hold::Cut);
    }

    fn hold(&self, hold: Hold) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = hold;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lease_that_nobody_renewed_lets_nothing_through() {
        let leash = Leash::default();
        assert!(leash.lets(), "who needs no lease is free");
        leash.cut();
        assert!(!leash.lets(), "none is had yet");
        leash.until(Instant::now() + Duration::from_secs(3600));
        assert!(leash.clone().lets());
        leash.until(Instant::now());
        assert!(!leash.lets(), "nobody had to notice that it ran out");
    }
}
