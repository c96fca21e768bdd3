//! Tokens that a forge has made for a provider: kept until shortly before they end, and made once for all who want one meanwhile.
//!
//! Who asks as an App has a token made first, for one repository and one kind of task. A guest remembers nothing and asks for it
//! with each operation; the forge is asked once, and the same request with the same secrets is given the same answer. Only a request
//! that a key signs is such a one, and only an answer is kept that says when what it grants ends. What the App looked up before a token
//! was made, such as where it is installed, holds for an hour. What is refused is forgotten. What it deliberately doesn't: keep what
//! git is let in with (whoever asks for that does, and hears when it is refused), outlive this process, or know any forge.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use reeve_core::framed::framed;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::error::Cause;
use super::send::Raw;
use super::slots::Slots;
use super::words::{HeaderValue, Part, Request, SecretField};
use crate::clock::Clock;

/// How long before its end a token is not used any more: longer than an operation takes.
const BEFORE_ITS_END: Duration = Duration::from_secs(120);
/// How long one is kept at most, whatever is said of its end.
const LONGEST: Duration = Duration::from_secs(3600);
/// The most bytes of an answer that is kept.
const OF_ANSWER: usize = 64 << 10;
/// Of all answers to one provider.
const OF_PROVIDER: usize = 8 << 20;
/// Of all.
const OF_ALL: usize = 24 << 20;
/// What an answer takes up beside its body, about.
const BESIDE: usize = 2 << 10;

/// The tokens that are kept.
#[derive(Default)]
pub(super) struct Tokens {
    kept: Mutex<BTreeMap<Making, Made>>,
    /// Held while one is made.
    turns: Mutex<BTreeMap<Making, Weak<tokio::sync::Mutex<()>>>>,
}

/// A request for a token, or for what one is made with, by whom and with what: by its digest, since the secrets of who asks are
/// part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Making {
    provider: String,
    digest: [u8; 32],
}

struct Made {
    raw: Arc<Raw>,
    until: Timestamp,
}

impl Made {
    fn size(&self) -> usize {
        self.raw.body.len() + BESIDE
    }
}

impl Making {
    /// That of a guest's request, which is filled in from these slots; None: it asks for no token.
    pub(super) fn of(provider: &str, slots: &Slots, request: &Request) -> Option<Self> {
        (signs(request) && !request.secrets.is_empty())
            .then(|| Self::named(provider, slots, request))
    }

    /// That of one which looks something up that a token may be made with; None: it does something else.
    pub(super) fn looking_up(provider: &str, slots: &Slots, request: &Request) -> Option<Self> {
        let plain = request.method == "GET" && request.body.is_none() && request.secrets.is_empty();
        (plain && signs(request)).then(|| Self::named(provider, slots, request))
    }

    fn named(provider: &str, slots: &Slots, request: &Request) -> Self {
        Self {
            provider: provider.to_owned(),
            digest: digest(slots, &[], request),
        }
    }
}

/// Whether a key lets it in.
pub(super) fn signs(request: &Request) -> bool {
    let signed = |part: &Part| matches!(part, Part::Jwt(_));
    request.headers.iter().any(|header| match &header.value {
        HeaderValue::Plain(parts) => parts.iter().any(signed),
        HeaderValue::Basic((user, password)) => user.iter().chain(password).any(signed),
    })
}

/// What names a request: all of it, the secrets that it is filled in from, and how the tokens came about that it is filled in from.
pub(super) fn digest(slots: &Slots, tokens: &[Making], request: &Request) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| framed(&mut hash, part);
    add(request.method.as_bytes());
    add(request.url.as_bytes());
    // Their secrets are names of slots here.
    add(format!("{:?}", request.headers).as_bytes());
    add(format!("{:?}", request.body).as_bytes());
    add(format!("{:?}", request.secrets).as_bytes());
    for (name, slot) in slots {
        add(name.as_bytes());
        add(slot.value.expose().as_bytes());
    }
    tokens.iter().for_each(|token| add(&token.digest));
    hash.finalize().into()
}

impl Tokens {
    /// The answer that is kept, or that `make` brings; and whether it was kept. Whoever asks for the same meanwhile waits for it.
    pub(super) async fn get(
        &self,
        making: &Making,
        fields: &[SecretField],
        clock: &Clock,
        make: impl Future<Output = Result<Raw, Cause>>,
    ) -> Result<(Raw, bool), Cause> {
        let turn = self.turn(making);
        let _mine = turn.lock().await;
        if let Some(raw) = self.known(making, clock.steady()) {
            return Ok((raw, true));
        }
        let raw = make.await?;
        let now = clock.steady();
        if let Some(until) = until(&raw, fields, now) {
            let raw = Arc::new(raw.clone());
            self.keep(making, Made { raw, until }, now);
        }
        Ok((raw, false))
    }

    /// It was refused.
    pub(super) fn forget(&self, making: &Making) {
        self.kept().remove(making);
    }

    /// A token was made with this answer, which holds for a while.
    pub(super) fn found(&self, making: &Making, raw: Raw, now: Timestamp) {
        if let Ok(until) = now.checked_add(LONGEST) {
            let raw = Arc::new(raw);
            self.keep(making, Made { raw, until }, now);
        }
    }

    /// What is kept of that.
    pub(super) fn known(&self, making: &Making, now: Timestamp) -> Option<Raw> {
        let kept = self.kept();
        let made = kept.get(making).filter(|made| now < made.until)?;
        Some(Raw::clone(&made.raw))
    }

    fn keep(&self, making: &Making, made: Made, now: Timestamp) {
        let mut kept = self.kept();
        kept.retain(|_, made| now < made.until);
        kept.insert(making.clone(), made);
        shrink(&mut kept, OF_PROVIDER, |other| {
            other.provider == making.provider
        });
        shrink(&mut kept, OF_ALL, |_| true);
    }

    fn turn(&self, making: &Making) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(making).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(making.clone(), Arc::downgrade(&turn));
        turn
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Making, Made>> {
        // A panic under the lock leaves tokens behind that are good all the same.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an answer is one that may be kept because a token is made with it.
pub(super) fn is_found(raw: &Raw) -> bool {
    raw.status == 200 && raw.body.len() <= OF_ANSWER
}

/// Forgets those of such requests that end soonest, until the rest is small enough: they would be asked for soonest anyway.
fn shrink(kept: &mut BTreeMap<Making, Made>, most: usize, which: impl Fn(&Making) -> bool) {
    loop {
        let those = kept.iter().filter(|(making, _)| which(making));
        let size: usize = those.clone().map(|(_, made)| made.size()).sum();
        let first = those.min_by_key(|(_, made)| made.until);
        match first.map(|(making, _)| making.clone()) {
            Some(first) if size > most => drop(kept.remove(&first)),
            _ => return,
        }
    }
}

/// Until when what an answer grants is used; None: it grants nothing, does not say when that ends, or is about to.
///
/// It says so beside the token: by a time (`expires_at`), or by how many seconds are left (`expires_in`, RFC 6749).
fn until(raw: &Raw, fields: &[SecretField], now: Timestamp) -> Option<Timestamp> {
    if !(200..300).contains(&raw.status) || raw.body.len() > OF_ANSWER {
        return None;
    }
    let body: Value = serde_json::from_slice(&raw.body).ok()?;
    let pointer = &fields.first()?.pointer;
    let token = body.pointer(pointer)?.as_str();
    let (beside, _) = pointer.rsplit_once('/')?;
    let granted = body.pointer(beside).filter(|_| token.is_some())?;
    let at = granted.get("expires_at").and_then(Value::as_str);
    let seconds = granted.get("expires_in").and_then(Value::as_u64);
    let end: Timestamp = match (at, seconds) {
        (Some(at), _) => at.parse().ok()?,
        (None, Some(seconds)) => now.checked_add(Duration::from_secs(seconds)).ok()?,
        (None, None) => return None,
    };
    let last = end.checked_sub(BEFORE_ITS_END).ok()?;
    let longest = now.checked_add(LONGEST).ok()?;
    Some(last.min(longest)).filter(|until| now < *until)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn raw(status: u16, body: &str) -> Raw {
        Raw {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn only_a_token_that_says_when_it_ends_is_kept_and_none_for_longer_than_an_hour() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let field = |pointer: &str| SecretField {
            pointer: pointer.to_owned(),
            slot: "made".to_owned(),
        };
        let at = |time: &str| format!(r#"{{"token": "t", "expires_at": "2026-11-23T{time}Z"}}"#);
        let minutes = |pointer: &str, raw: &Raw| {
            let until = until(raw, &[field(pointer)], now)?;
            Some(until.duration_since(now).as_mins())
        };
        for (says, body, want) in [
            ("an hour", at("13:00:00"), Some(58)),
            ("a day", at("23:59:59"), Some(60)),
            ("a moment", at("12:02:00"), None),
            ("it has ended", at("11:00:00"), None),
            ("nothing of its end", r#"{"token": "t"}"#.into(), None),
            (
                "no time",
                r#"{"token": "t", "expires_at": "soon"}"#.into(),
                None,
            ),
            (
                "seconds",
                r#"{"token": "t", "expires_in": 600}"#.into(),
                Some(8),
            ),
            ("no token", r#"{"expires_in": 600}"#.into(), None),
            ("no JSON", "{".into(), None),
        ] {
            assert_eq!(minutes("/token", &raw(201, &body)), want, "{says}");
        }
        let refused = raw(403, &at("13:00:00"));
        assert_eq!(minutes("/token", &refused), None);
        let deep = raw(200, r#"{"a": {"token": "t", "expires_in": 600}}"#);
        assert_eq!(minutes("/a/token", &deep), Some(8));
        let large = format!(
            r#"{{"token": "t", "expires_in": 600, "x": "{}"}}"#,
            "x".repeat(OF_ANSWER)
        );
        assert_eq!(minutes("/token", &raw(200, &large)), None);
    }

    #[test]
    fn so_many_bytes_are_kept_and_those_that_end_last() {
        let start: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let (tokens, body) = (Tokens::default(), "x".repeat(OF_ANSWER - BESIDE));
        let of = |provider: &str, number: u8| Making {
            provider: provider.to_owned(),
            digest: [number; 32],
        };
        let keep = |making: &Making, minutes: u64| {
            let until = start + Duration::from_secs(60 * minutes);
            let raw = Arc::new(raw(200, &body));
            tokens.keep(making, Made { raw, until }, start);
        };
        let most = u8::try_from(OF_PROVIDER / OF_ANSWER).unwrap();
        for number in 0..=most {
            keep(&of("one", number), 30 + u64::from(number));
        }
        assert!(tokens.known(&of("one", 0), start).is_none());
        assert!(tokens.known(&of("one", 1), start).is_some());
        for number in 0..5 {
            for of_it in 0..most {
                keep(&of(&format!("provider-{number}"), of_it), 60);
            }
        }
        let size: usize = tokens.kept().values().map(Made::size).sum();
        assert!(size <= OF_ALL && size > OF_ALL / 2, "{size}");
        assert!(tokens.known(&of("one", 1), start).is_none());
        // What has ended is not given, and goes when the next one comes.
        let later = start + Duration::from_secs(3600);
        assert!(tokens.known(&of("provider-4", 0), later).is_none());
    }
}
