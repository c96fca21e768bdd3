//! A wave that cannot go on yet in its middle: what it replaces has not gone, or what its next stage builds on is not ready.
//!
//! No worker is held for that: the run ends as one that waits for a wave does, and the next one begins the wave anew. What was
//! deleted is in the inventory and says itself what it was deleted for, so it is made anew whoever comes next. What is waited
//! for is `cluster`'s to say.

use reeve_core::failure::Explained;
use reeve_core::plan::Place;

use super::super::abroad;
use super::{Pause, Stop, Walk, is_forward};
use crate::cluster::{Applied, ApplyError, Looks};

impl Walk<'_> {
    /// What is to be waited for, if anything is, and for no longer than `spec.timeout`.
    pub(super) fn held(&mut self, place: Place) -> Result<Option<Pause>, Stop> {
        let awaited = std::mem::take(&mut self.awaited);
        if awaited.is_empty() {
            return Ok(None);
        }
        let checks: Vec<_> = awaited
            .iter()
            .filter_map(|one| one.check().cloned())
            .collect();
        let words: Vec<_> = awaited.iter().map(ToString::to_string).collect();
        let words = words.join(", ");
        let wait = self.wait(place);
        let resumed = self.resumed.as_ref();
        let given_up = resumed.filter(|sync| sync.has_failed_at(place));
        if given_up.is_some() || self.passed(&wait) >= self.wanted.spec.timeout {
            let done = Applied::default();
            let why = Explained::of(&ApplyError::NotReady { awaited, done });
            let mut why = abroad::placed(&self.wanted.client, why);
            if let Some(told) = given_up.and_then(|sync| sync.failure.clone()) {
                // In the words in which it has failed.
                why.message = told;
            }
            return Err(why.into());
        }
        let words = match &mut self.sync {
            Some(sync) => {
                if is_forward(place) {
                    sync.failure = None;
                }
                format!("waiting for {place}: {words}")
            }
            None => format!("waiting for {words}"),
        };
        Ok(Some(Pause {
            looks: Looks::unseen(checks),
            wait,
            words: self.wanted.veil().cover(words),
        }))
    }
}
