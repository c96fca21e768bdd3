//! What a forge answered before, for as long as it says that this is still so.
//!
//! A forge that names a state of what it answers with (`ETag`) is asked whether that is another one (`If-None-Match`): where it is
//! not, it says so in a few bytes, which GitHub does not count against the limit of requests, and a guest is given what was answered
//! before. The forge is asked each time, and only who has the same secrets is given what was answered to them, so nobody is told
//! what he may not see, or no longer. Kept are so many bytes of each provider and of all, in memory. What it deliberately doesn't:
//! spare a request, keep an answer that holds a secret, or know any forge.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

use super::fill::Prepared;
use super::made::{Making, Tokens, digest};
use super::send::Raw;
use super::slots::Slots;
use super::words::Request;

/// The most bytes of one answer that are kept.
const OF_ANSWER: usize = 1 << 20;
/// Of all answers to one provider.
const OF_PROVIDER: usize = 4 << 20;
/// Of all.
const OF_ALL: usize = 16 << 20;
/// What an answer takes up beside its body, about.
const BESIDE: usize = 2 << 10;
/// The longest name of a state.
const LONGEST: usize = 256;

/// What forges have answered, and the tokens that they have made.
#[derive(Default)]
pub struct Answers {
    kept: Mutex<Kept>,
    pub(super) tokens: Tokens,
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Kept {
    all: BTreeMap<Question, Answered>,
    /// How many times something was put or used.
    turn: u64,
}

/// Who asked for what, and how: by its digest, since the secrets of who asks are part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    provider: String,
    digest: [u8; 32],
}

struct Answered {
    state: HeaderValue,
    raw: Arc<Raw>,
    turn: u64,
}

impl Answered {
    fn size(&self) -> usize {
        self.raw.body.len() + BESIDE
    }
}

impl Question {
    /// That of a guest's request, which is filled in from these slots, and from tokens; None: its answer is not one to keep. A
    /// token is told by what it is made with, since its successor is shown the same.
    pub(super) fn of(
        provider: &str,
        slots: &Slots,
        tokens: &[Making],
        request: &Request,
    ) -> Option<Self> {
        let own = |name: &str| name.eq_ignore_ascii_case(IF_NONE_MATCH.as_str());
        let own = request.headers.iter().any(|header| own(&header.name));
        let plain = request.secrets.is_empty() && request.body.is_none();
        if request.method != "GET" || own || !plain {
            return None;
        }
        Some(Self {
            provider: provider.to_owned(),
            digest: digest(slots, tokens, request),
        })
    }
}

impl Answers {
    /// Asks, in a request, whether what was answered before is still so; what that was.
    pub(super) fn ask(&self, question: &Question, request: &mut Prepared) -> Option<Arc<Raw>> {
        let mut kept = self.kept();
        kept.turn += 1;
        let turn = kept.turn;
        let known = kept.all.get_mut(question)?;
        known.turn = turn;
        let state = known.state.clone();
        request.headers.insert(IF_NONE_MATCH, state);
        Some(Arc::clone(&known.raw))
    }

    /// What is answered, where it may be that nothing has changed; it is kept if it can be asked for in that way.
    pub(super) fn take(&self, question: Question, before: Option<Arc<Raw>>, raw: Raw) -> Raw {
        if let Some(before) = before.filter(|_| raw.status == 304) {
            return again(&before, &raw);
        }
        match state(&raw) {
            Some(state) => self.kept().put(question, state, &raw),
            None => drop(self.kept().all.remove(&question)),
        }
        raw
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic under the lock leaves answers behind that are asked about like any.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, question: Question, state: HeaderValue, raw: &Raw) {
        self.turn += 1;
        let answered = Answered {
            state,
            raw: Arc::new(raw.clone()),
            turn: self.turn,
        };
        let provider = question.provider.clone();
        self.all.insert(question, answered);
        self.shrink(OF_PROVIDER, |question| question.provider == provider);
        self.shrink(OF_ALL, |_| true);
    }

    /// Forgets those of such questions that were not asked for longest, until the rest is small enough.
    fn shrink(&mut self, most: usize, which: impl Fn(&Question) -> bool) {
        let those = || self.all.iter().filter(|(question, _)| which(question));
        let mut size: usize = those().map(|(_, answered)| answered.size()).sum();
        if size <= most {
            return;
        }
        let mut oldest: Vec<(u64, Question, usize)> = those()
            .map(|(question, known)| (known.turn, question.clone(), known.size()))
            .collect();
        oldest.sort();
        for (_, question, of_it) in oldest {
            if size <= most {
                break;
            }
            self.all.remove(&question);
            size -= of_it;
        }
    }
}

/// The name of an answer's state, if it is one to keep.
fn state(raw: &Raw) -> Option<HeaderValue> {
    let forbidden = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or("no-store");
        value.to_ascii_lowercase().contains("no-store")
    };
    let forbidden = raw.headers.get_all(CACHE_CONTROL).iter().any(forbidden);
    let state = raw.headers.get(ETAG)?;
    let fits = raw.body.len() <= OF_ANSWER && state.len() <= LONGEST;
    (raw.status == 200 && fits && !forbidden).then(|| state.clone())
}

/// What was answered before, with what the forge says now of everything else: how many requests are left, for instance.
fn again(before: &Raw, now: &Raw) -> Raw {
    let mut headers: HeaderMap = before.headers.clone();
    for (name, value) in &now.headers {
        headers.insert(name.clone(), value.clone());
    }
    Raw {
        status: before.status,
        headers,
        body: before.body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use reeve_api::name::Secret;
    use url::Url;

    use super::super::Slot;
    use super::super::words::{Body, Header, HeaderValue as Value, Part, SecretField};
    use super::*;

    fn request(url: &str) -> Request {
        let proof = vec![Part::Secret("token".to_owned())];
        Request {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: vec![Header {
                name: "authorization".to_owned(),
                value: Value::Plain(proof),
            }],
            body: None,
            secrets: Vec::new(),
            state: String::new(),
        }
    }

    fn slots(token: &str) -> Slots {
        let slot = Slot {
            value: Secret::new(token),
            hosts: Vec::new(),
        };
        [("token".to_owned(), slot)].into()
    }

    fn prepared() -> Prepared {
        Prepared {
            method: Method::GET,
            url: Url::parse(URL).unwrap(),
            headers: HeaderMap::new(),
            body: None,
        }
    }

    fn raw(status: u16, headers: &[(&'static str, &'static str)], body: &[u8]) -> Raw {
        let pairs = headers.iter();
        let pairs = pairs.map(|(name, value)| {
            let value = HeaderValue::from_static(value);
            (http::HeaderName::from_static(name), value)
        });
        Raw {
            status,
            headers: pairs.collect(),
            body: body.to_vec(),
        }
    }

    const URL: &str = "https://api.example/keys";

    /// Asks, and is answered; the state that was asked about, and what the guest is given.
    fn asked(answers: &Answers, provider: &str, token: &str, raw: Raw) -> (Option<String>, Raw) {
        let mut prepared = prepared();
        let question = Question::of(provider, &slots(token), &[], &request(URL)).unwrap();
        let before = answers.ask(&question, &mut prepared);
        let state = prepared.headers.get(IF_NONE_MATCH);
        let state = state.map(|state| state.to_str().unwrap().to_owned());
        (state, answers.take(question, before, raw))
    }

    #[test]
    fn what_is_still_so_is_given_again_with_the_headers_of_now() {
        let answers = Answers::default();
        let first = raw(200, &[("etag", "W/\"1\""), ("link", "next")], b"[1]");
        let (state, given) = asked(&answers, "forge", "token a", first);
        assert_eq!((state, given.body), (None, b"[1]".to_vec()));
        let same = raw(304, &[("x-ratelimit-remaining", "41")], b"");
        let (state, given) = asked(&answers, "forge", "token a", same);
        assert_eq!(state.as_deref(), Some("W/\"1\""));
        assert_eq!((given.status, &*given.body), (200, &b"[1]"[..]));
        assert_eq!(given.headers["link"], "next");
        assert_eq!(given.headers["x-ratelimit-remaining"], "41");
        let other = raw(200, &[("etag", "\"2\"")], b"[2]");
        assert_eq!(asked(&answers, "forge", "token a", other).1.body, b"[2]");
        let gone = raw(404, &[], b"");
        let (state, given) = asked(&answers, "forge", "token a", gone);
        assert_eq!((state.as_deref(), given.status), (Some("\"2\""), 404));
        let (state, _) = asked(&answers, "forge", "token a", raw(200, &[], b""));
        assert_eq!(state, None, "what is gone is forgotten");
    }

    #[test]
    fn nobody_is_given_what_was_answered_to_another_or_to_another_secret() {
        let answers = Answers::default();
        let first = || raw(200, &[("etag", "\"1\"")], b"secret");
        asked(&answers, "acme/forge", "token a", first());
        for (provider, proof) in [("acme/forge", "token b"), ("other/forge", "token a")] {
            let same = raw(304, &[], b"");
            let (state, given) = asked(&answers, provider, proof, same);
            assert_eq!((state, given.status), (None, 304), "{provider} {proof}");
            assert!(given.body.is_empty());
        }
    }

    #[test]
    fn only_what_is_asked_for_and_has_a_state_that_may_be_kept_is() {
        type Change = fn(&mut Request);
        let changes: [(&str, Change); 4] = [
            ("changes something", |asked| asked.method = "POST".into()),
            ("sends something", |asked| {
                asked.body = Some(Body::Json(Vec::new()));
            }),
            ("is given a secret", |asked| {
                let (pointer, slot) = ("/token".to_owned(), "made".to_owned());
                asked.secrets.push(SecretField { pointer, slot });
            }),
            ("asks itself", |asked| {
                let name = "If-None-Match".to_owned();
                let value = Value::Plain(Vec::new());
                asked.headers.push(Header { name, value });
            }),
        ];
        for (says, change) in changes {
            let mut asked = request(URL);
            change(&mut asked);
            assert_eq!(
                Question::of("forge", &slots("a"), &[], &asked),
                None,
                "{says}"
            );
        }
        for (says, answer) in [
            ("no state", raw(200, &[], b"[]")),
            ("a failure", raw(500, &[("etag", "\"1\"")], b"[]")),
            (
                "not to be kept",
                raw(
                    200,
                    &[("etag", "\"1\""), ("cache-control", "No-Store")],
                    b"[]",
                ),
            ),
            (
                "too large",
                raw(200, &[("etag", "\"1\"")], &vec![b' '; OF_ANSWER + 1]),
            ),
        ] {
            assert_eq!(state(&answer), None, "{says}");
        }
    }

    #[test]
    fn so_many_bytes_are_kept_and_those_that_were_used_last() {
        let answers = Answers::default();
        let put = |provider: &str, at: usize| {
            let request = request(&format!("{URL}/{at}"));
            let question = Question::of(provider, &slots("a"), &[], &request).unwrap();
            let before = answers.ask(&question, &mut prepared());
            let known = before.is_some();
            let answer = raw(200, &[("etag", "\"1\"")], &vec![b' '; OF_ANSWER - BESIDE]);
            answers.take(question, before, answer);
            known
        };
        let provider = OF_PROVIDER / OF_ANSWER;
        for at in 0..=provider {
            assert!(!put("one", at), "{at}");
            // The first one is used again and again.
            assert!(put("one", 0), "{at}");
        }
        assert!(!put("one", 1), "the one that was not used for longest");
        for at in 0..32 {
            put(&format!("provider-{at}"), 0);
        }
        let size: usize = answers.kept().all.values().map(Answered::size).sum();
        assert!(size <= OF_ALL && size > OF_ALL / 2, "{size}");
    }
}
