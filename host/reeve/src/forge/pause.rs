//! A forge that asks us to wait is asked nothing until then: `Retry-After`, or no requests left until a time that it names.
//!
//! A guest has no clock, so this is the host's. What counts is which provider asks which host: another one has another token, and
//! limits of its own. So has what a key signs, beside what is asked with a token that was made with it: whoever has used up the one
//! is still let in by the other. Of several tenants who ask with one login each waits for itself, so that who asks too often holds
//! up nobody else. What it deliberately doesn't: wait. Whoever asks is told how long, and tries again then.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// What a forge says that names no time.
const USUAL: Duration = Duration::from_secs(60);
/// The longest that is waited, whatever a forge says: limits are by the hour.
const LONGEST: Duration = Duration::from_secs(3600);
/// More pauses than this are of a guest that makes up hosts.
const MOST: usize = 1024;

/// Who asks whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asking {
    /// The provider.
    pub(super) provider: String,
    /// For whom, where several have it ask with one login.
    pub(super) whose: String,
    /// The host.
    pub(super) host: String,
    /// Whether a key lets it in.
    pub(super) signed: bool,
}

/// Who may not be asked by whom, and until when.
#[derive(Debug, Default)]
pub struct Pauses(Mutex<BTreeMap<Asking, Timestamp>>);

impl Pauses {
    /// How long whoever asks has to wait before it may.
    pub(super) fn left(&self, asking: &Asking, now: Timestamp) -> Option<Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = *all.get(asking)?;
        let left = Duration::try_from(until.duration_since(now));
        let left = left.ok().filter(|left| !left.is_zero());
        if left.is_none() {
            all.remove(asking);
        }
        left
    }

    /// It has to wait so long.
    pub(super) fn begin(&self, asking: Asking, now: Timestamp, wait: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, until| *until > now);
        }
        if all.len() < MOST
            && let Ok(until) = now.checked_add(wait)
        {
            all.insert(asking, until);
        }
    }
}

/// How long an answer asks us to wait.
pub(super) fn asked(status: u16, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let none_left = ["x-ratelimit-remaining", "ratelimit-remaining"]
        .into_iter()
        .any(|name| text(name) == Some("0"));
    let after = text("retry-after");
    // GitHub says 403 where others say 429.
    if status != 429 && !(status == 403 && (none_left || after.is_some())) {
        return None;
    }
    let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
    let named = after.and_then(|after| match after.trim().parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        // A time as HTTP writes it.
        Err(_) => Some(until(rfc2822::parse(after.trim()).ok()?.timestamp())),
    });
    let reset = || {
        let mut names = ["x-ratelimit-reset", "ratelimit-reset"].into_iter();
        let at = names.find_map(|name| text(name)?.trim().parse::<i64>().ok())?;
        Some(until(Timestamp::from_second(at).ok()?))
    };
    let wait = named.or_else(|| reset().filter(|_| none_left));
    let least = Duration::from_secs(1);
    Some(wait.unwrap_or(USUAL).clamp(least, LONGEST))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = all.iter();
        pairs
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn a_forge_says_in_several_ways_that_it_is_to_be_left_alone() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let none = ("x-ratelimit-remaining", "0");
        for (status, said, want) in [
            (200, vec![("retry-after", "60")], None),
            (403, vec![], None),
            (403, vec![("x-ratelimit-remaining", "1")], None),
            (403, vec![("retry-after", "60")], Some(60)),
            (429, vec![("retry-after", "60")], Some(60)),
            (429, vec![], Some(60)),
            (429, vec![("retry-after", "nonsense")], Some(60)),
            (429, vec![("retry-after", "86400")], Some(3600)),
            (429, vec![("retry-after", "0")], Some(1)),
            (
                429,
                vec![("retry-after", "Sun, 22 Nov 2026 12:00:30 GMT")],
                Some(30),
            ),
            (
                403,
                vec![none, ("x-ratelimit-reset", "1795349100")],
                Some(300),
            ),
            (
                403,
                vec![none, ("x-ratelimit-reset", "1795348000")],
                Some(1),
            ),
            (
                429,
                vec![
                    ("ratelimit-remaining", "0"),
                    ("ratelimit-reset", "1795349100"),
                ],
                Some(300),
            ),
        ] {
            let wait = asked(status, &headers(&said), now);
            assert_eq!(wait.map(|wait| wait.as_secs()), want, "{status} {said:?}");
        }
    }

    #[test]
    fn a_pause_is_of_one_who_asks_one_host_and_ends() {
        let asking = |provider: &str, whose: &str, host: &str, signed| Asking {
            provider: provider.to_owned(),
            whose: whose.to_owned(),
            host: host.to_owned(),
            signed,
        };
        let (pauses, now) = (Pauses::default(), Timestamp::UNIX_EPOCH);
        let one = asking("a", "acme", "git.example", false);
        pauses.begin(one.clone(), now, Duration::from_secs(10));
        let later = now + Duration::from_secs(4);
        assert_eq!(pauses.left(&one, later), Some(Duration::from_secs(6)));
        for (says, other) in [
            ("another host", asking("a", "acme", "other.example", false)),
            (
                "another provider",
                asking("b", "acme", "git.example", false),
            ),
            ("another tenant", asking("a", "beta", "git.example", false)),
            ("what a key signs", asking("a", "acme", "git.example", true)),
        ] {
            assert_eq!(pauses.left(&other, later), None, "{says}");
        }
        let over = now + Duration::from_secs(10);
        assert_eq!(pauses.left(&one, over), None);
    }
}
