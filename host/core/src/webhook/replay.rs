//! Calls that were let in, remembered for a while: the same one is not let in twice.
//!
//! By what a forge calls the delivery, and by the payload where it is signed and never twice the same, since the name of a
//! delivery is not part of what is signed. What it deliberately doesn't: remember calls that were turned away; the forge may
//! send those again.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use reeve_api::name::NamespacedName;
use reeve_api::receiver::ReceiverType;
use sha2::{Digest as _, Sha256};

use super::verify::Call;

/// How long calls are remembered.
const WINDOW: Duration = Duration::from_secs(600);
/// How many calls of one Receiver are.
const MOST: usize = 1024;
/// How many Receivers there may be before those are forgotten of whom nothing is left.
const SWEPT: usize = 256;

/// What tells a call from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark([u8; 32]);

impl Mark {
    /// The marks of a call.
    pub(super) fn all(kind: ReceiverType, call: &Call<'_>) -> Vec<Self> {
        let named = |names: &[&str]| {
            let mut named = names.iter().filter_map(|name| call.only(name));
            named.find(|id| !id.is_empty())
        };
        let id = |names: &[&str]| named(names).map(|id| Self::of(b"id", &[id.as_bytes()]));
        let body = || Some(Self::of(b"body", &[call.body]));
        let marks = match kind {
            ReceiverType::Github | ReceiverType::Gitea => {
                [id(&["X-GitHub-Delivery", "X-Gitea-Delivery"]), body()]
            }
            ReceiverType::Bitbucket => [id(&["X-Request-UUID", "X-Request-Id"]), body()],
            ReceiverType::Nexus => [id(&["X-Nexus-Webhook-Delivery"]), body()],
            ReceiverType::Gitlab => {
                // Hooks that one event sets off in turn share its UUID: it tells calls apart only by what they say.
                let event = named(&["X-Gitlab-Event-UUID"]);
                let event = event.map(|id| Self::of(b"event", &[id.as_bytes(), call.body]));
                [id(&["webhook-id", "Idempotency-Key"]), event]
            }
            // Whoever is unsigned, or signs what is the same each time, is only slowed down; a token ends by itself, and
            // Pub/Sub sends again what is not answered well.
            ReceiverType::Generic
            | ReceiverType::GenericHmac
            | ReceiverType::GenericOidc
            | ReceiverType::Harbor
            | ReceiverType::Dockerhub
            | ReceiverType::Quay
            | ReceiverType::Gcr
            | ReceiverType::Acr
            | ReceiverType::Cdevents => [None, None],
        };
        marks.into_iter().flatten().collect()
    }

    fn of(what: &[u8], parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(what);
        for part in parts {
            hash.update(b"\0");
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// The calls that were let in.
#[derive(Debug, Default)]
pub struct Replays {
    seen: BTreeMap<NamespacedName, VecDeque<(Instant, Vec<Mark>)>>,
}

impl Replays {
    /// Whether a call with one of these marks was let in a while ago.
    pub fn knows(&self, receiver: &NamespacedName, marks: &[Mark], now: Instant) -> bool {
        let seen = self.seen.get(receiver).into_iter().flatten();
        let mut lately = seen.filter(|(at, _)| now.duration_since(*at) < WINDOW);
        lately.any(|(_, known)| known.iter().any(|mark| marks.contains(mark)))
    }

    /// A call was let in.
    pub fn remember(&mut self, receiver: &NamespacedName, marks: &[Mark], now: Instant) {
        if marks.is_empty() {
            return;
        }
        if self.seen.len() >= SWEPT && !self.seen.contains_key(receiver) {
            self.seen.retain(|_, seen| {
                seen.back()
                    .is_some_and(|(at, _)| now.duration_since(*at) < WINDOW)
            });
        }
        let seen = self.seen.entry(receiver.clone()).or_default();
        seen.push_back((now, marks.to_vec()));
        let old = |first: Option<&(Instant, Vec<Mark>)>| {
            first.is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW)
        };
        while seen.len() > MOST || old(seen.front()) {
            seen.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(kind: ReceiverType, headers: &[(&str, &str)], body: &str) -> Vec<Mark> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers: Vec<_> = headers.iter().map(own).collect();
        let call = Call {
            headers: &headers,
            body: body.as_bytes(),
        };
        Mark::all(kind, &call)
    }

    #[expect(clippy::disallowed_methods, reason = "some time to begin with")]
    fn begin() -> Instant {
        Instant::now()
    }

    fn id(name: &str) -> NamespacedName {
        NamespacedName::new("acme", name).unwrap()
    }

    #[test]
    fn a_call_is_let_in_once_within_ten_minutes() {
        let (mut replays, start) = (Replays::default(), begin());
        let first = marks(ReceiverType::Github, &[("x-github-delivery", "a")], "1");
        replays.remember(&id("hook"), &first, start);
        let after = |seconds| start + Duration::from_secs(seconds);
        for (delivery, body, seconds, want) in [
            ("a", "1", 1, true),
            ("a", "2", 1, true),
            // The name of the delivery is not signed, the payload is.
            ("b", "1", 599, true),
            ("b", "2", 1, false),
            ("a", "1", 600, false),
        ] {
            let marks = marks(
                ReceiverType::Github,
                &[("X-GitHub-Delivery", delivery)],
                body,
            );
            let known = replays.knows(&id("hook"), &marks, after(seconds));
            assert_eq!(known, want, "{delivery} {body} {seconds}");
            assert!(!replays.knows(&id("other"), &marks, after(seconds)));
        }
    }

    #[test]
    fn hooks_of_gitlab_that_share_an_event_are_told_apart() {
        let event = [("X-Gitlab-Event-UUID", "e")];
        let (mut replays, now) = (Replays::default(), begin());
        replays.remember(&id("hook"), &marks(ReceiverType::Gitlab, &event, "1"), now);
        let knows =
            |body| replays.knows(&id("hook"), &marks(ReceiverType::Gitlab, &event, body), now);
        assert!(knows("1") && !knows("2"));
    }

    #[test]
    fn callers_that_say_the_same_each_time_are_not_taken_for_one() {
        let hmac = marks(
            ReceiverType::GenericHmac,
            &[("X-Signature", "sha1=00")],
            "{}",
        );
        assert!(hmac.is_empty());
    }

    #[test]
    fn as_many_calls_are_known_of_those_that_have_two_marks() {
        let (mut replays, now) = (Replays::default(), begin());
        let call = |number: usize| {
            let number = number.to_string();
            marks(
                ReceiverType::Github,
                &[("x-github-delivery", &number)],
                &number,
            )
        };
        (0..MOST).for_each(|number| replays.remember(&id("hook"), &call(number), now));
        assert!(replays.knows(&id("hook"), &call(0), now));
        assert!(!replays.knows(&id("hook"), &call(MOST), now));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut replays, now) = (Replays::default(), begin());
        for number in 0..2 * MOST {
            let marks = marks(ReceiverType::Github, &[], &number.to_string());
            replays.remember(&id("hook"), &marks, now);
        }
        assert_eq!(replays.seen[&id("hook")].len(), MOST);
        for number in 0..2 * SWEPT {
            let marks = marks(ReceiverType::Github, &[], "1");
            let at = now + WINDOW * u32::try_from(number).unwrap();
            replays.remember(&id(&format!("hook-{number}")), &marks, at);
        }
        assert!(replays.seen.len() <= SWEPT);
    }
}
