//! What was found out about an artifact's signatures, and how long that counts.
//!
//! A verdict is of certain keys at a certain time. Whoever takes a key back, or has one that expires, must not have to wait
//! until the repository moves: so a verdict is looked at once more when the keys or what is asked for are others, and when it
//! has become old. It deliberately doesn't verify anything: [`verify`](super::verify) does, and the shell asks it.

use std::time::Duration;

use jiff::Timestamp;

use super::Verified;
use crate::artifact::Digest;
use crate::source::Verify;

/// How long a verdict is taken as it stands: a key that expires changes no Secret.
const FRESH: Duration = Duration::from_secs(300);

/// Who signed an artifact, and what that was found out by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Who signed it.
    pub by: Verified,
    /// What was asked for.
    pub asked: Verify,
    /// The keys that were trusted.
    pub keys: Digest,
    /// When it was found out.
    pub at: Timestamp,
    /// Whether it could not be found out again since.
    pub doubted: bool,
}

impl Verdict {
    /// Whether that is what is asked for.
    pub fn is_as(&self, asked: &Verify) -> bool {
        self.asked == *asked && !self.doubted
    }

    /// Whether that is so by these keys.
    pub fn is_met_by(&self, asked: &Verify, keys: &Digest) -> bool {
        self.is_as(asked) && self.keys == *keys
    }

    /// Whether it has to be found out again.
    pub fn is_due(&self, asked: &Verify, keys: &Digest, now: Timestamp) -> bool {
        // Either way: a clock that was set back makes nothing new again.
        let age = now.duration_since(self.at).unsigned_abs();
        !self.is_met_by(asked, keys) || age >= FRESH
    }

    /// What counts from now on, when this was `found` instead; None: that nobody did whom it takes.
    #[must_use]
    pub fn after(&self, found: Option<Self>) -> Self {
        found.unwrap_or_else(|| Self {
            doubted: true,
            ..self.clone()
        })
    }

    /// Whether those who were told the one are to be told the other.
    pub fn differs(&self, before: &Self) -> bool {
        let told = |verdict: &Self| (verdict.doubted, verdict.asked.clone(), verdict.by.clone());
        told(self) != told(before)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mode, Signature, Signed};
    use super::*;

    const SOME: [u8; 32] = [1; 32];

    fn asked(mode: Mode, secret: &str) -> Verify {
        Verify {
            mode,
            secret: secret.parse().unwrap(),
        }
    }

    fn verdict() -> Verdict {
        Verdict {
            by: Verified {
                mode: Mode::Head,
                signed: vec![Signature {
                    object: Signed::Commit,
                    name: "3c1b3b".to_owned(),
                    key: "SHA256:abc".to_owned(),
                }],
            },
            asked: asked(Mode::Head, "keys"),
            keys: Digest::from_sha256(SOME),
            at: Timestamp::UNIX_EPOCH,
            doubted: false,
        }
    }

    #[test]
    fn a_verdict_is_looked_at_again_with_other_keys_when_more_is_asked_and_when_it_is_old() {
        let (same, keys) = (asked(Mode::Head, "keys"), Digest::from_sha256(SOME));
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (asked, keys, now, due) in [
            (same.clone(), keys, at(299), false),
            (same.clone(), Digest::from_sha256([2; 32]), at(0), true),
            (asked(Mode::TagAndHead, "keys"), keys, at(0), true),
            (asked(Mode::Head, "others"), keys, at(0), true),
            (same.clone(), keys, at(300), true),
            (same.clone(), keys, at(-300), true),
        ] {
            assert_eq!(verdict().is_due(&asked, &keys, now), due, "{asked:?} {now}");
        }
        let doubted = verdict().after(None);
        assert!(doubted.is_due(&same, &keys, at(0)));
    }

    #[test]
    fn what_cannot_be_found_out_again_counts_no_more_until_it_can() {
        let (before, same) = (verdict(), asked(Mode::Head, "keys"));
        let doubted = before.after(None);
        assert!(before.is_as(&same) && !doubted.is_as(&same));
        assert!(!doubted.is_met_by(&same, &Digest::from_sha256(SOME)));
        assert!(doubted.differs(&before) && !doubted.after(None).differs(&doubted));
        let again = Verdict {
            at: Timestamp::from_second(9).unwrap(),
            ..verdict()
        };
        let found = doubted.after(Some(again));
        assert!(found.is_as(&same) && found.differs(&doubted) && !found.differs(&before));
    }
}
