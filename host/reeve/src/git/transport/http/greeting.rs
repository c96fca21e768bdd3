//! What a server said first, kept for the next conversation with it.
//!
//! In the newer protocol that is which commands it knows, and nothing of what it has: so who asks for references again need not
//! be greeted again, and a poll that finds nothing new is one request. Kept is only a short one of that protocol, for an hour, for
//! one remote and its login; whoever fails with one that was kept forgets it, and is greeted anew. What it deliberately
//! doesn't: keep what an older server says, which lists its references.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;

/// A greeting, if there is one. All clones share it.
#[derive(Debug, Clone, Default)]
pub(in crate::git) struct Greeting(Arc<Mutex<Option<Known>>>);

#[derive(Debug)]
struct Known {
    since: Instant,
    headers: HeaderMap,
    body: Bytes,
}

/// A greeting that is being heard.
pub(super) struct Hearing {
    whose: Greeting,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// For how long one is good.
const GOOD: Duration = Duration::from_secs(3600);
/// The longest that is kept.
const LONGEST: usize = 8 << 10;
/// Where it says so.
const BEGIN: usize = 64;
const NEWER: &[u8] = b"version 2\n";
/// How a list of commands ends.
const END: &[u8] = b"0000";

impl Greeting {
    /// Whether there is one that is still good.
    pub(in crate::git) fn is_known(&self) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().is_some_and(|it| it.since.elapsed() < GOOD)
    }

    /// From now on there is none.
    pub(in crate::git) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The answer that the server would give.
    pub(super) fn again(&self) -> Option<reqwest::Response> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().filter(|it| it.since.elapsed() < GOOD)?;
        let mut answer = http::Response::new(known.body.clone());
        *answer.headers_mut() = known.headers.clone();
        Some(reqwest::Response::from(answer))
    }

    /// Hears an answer with these headers.
    pub(super) fn hear(&self, headers: &HeaderMap) -> Hearing {
        Hearing {
            whose: self.clone(),
            headers: headers.clone(),
            body: Vec::new(),
        }
    }
}

impl Hearing {
    pub(super) fn hears(&mut self, chunk: &[u8]) {
        // One byte more is enough to know that it is too long.
        let room = (LONGEST + 1).saturating_sub(self.body.len());
        self.body.extend(chunk.iter().take(room));
    }
}

impl Drop for Hearing {
    /// Keeps it if it was heard to its end.
    fn drop(&mut self) {
        let body = std::mem::take(&mut self.body);
        let begin = body.get(..BEGIN).unwrap_or(&body);
        let is_newer = begin.windows(NEWER.len()).any(|text| text == NEWER);
        if !is_newer || !body.ends_with(END) || body.len() > LONGEST {
            return;
        }
        let known = Known {
            since: Instant::now(),
            headers: std::mem::take(&mut self.headers),
            body: body.into(),
        };
        *self.whose.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(chunks: &[&[u8]]) -> bool {
        let greeting = Greeting::default();
        let mut hearing = greeting.hear(&HeaderMap::new());
        chunks.iter().for_each(|chunk| hearing.hears(chunk));
        drop(hearing);
        assert_eq!(greeting.is_known(), greeting.again().is_some());
        let known = greeting.is_known();
        greeting.forget();
        assert!(!greeting.is_known());
        known
    }

    #[test]
    fn only_a_whole_and_short_greeting_of_the_newer_protocol_is_kept() {
        let first: &[u8] = b"001e# service=git-upload-pack\n0000";
        let newer: &[u8] = b"000eversion 2\n0015agent=git/2.43.0\n";
        let older: &[u8] = b"003b1234567890123456789012345678901234567890 HEAD\0\n";
        for (chunks, want) in [
            (&[first, newer, END][..], true),
            (&[newer, END], true),
            (&[first, newer], false),
            (&[first, older, END], false),
            (&[], false),
            (&[newer, &[b'x'; LONGEST], END], false),
        ] {
            assert_eq!(heard(chunks), want, "{chunks:?}");
        }
    }
}
