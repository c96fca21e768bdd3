//! Tokens that forges have made for Apps: kept until they are about to end, and made once for all who ask at the same time.
//!
//! A token is for one repository. What it was made with is part of what it is kept by, so another key, or an App taken out of the
//! configuration, uses none that was made before. What it deliberately doesn't: outlive this process, or be shown.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reeve_api::name::Secret;
use reeve_core::gitconfig::Agent;
use sha2::{Digest as _, Sha256};

use crate::forge::Login;

/// How long before its end a token is not used any more: a fetch may take a while.
const BEFORE_ITS_END: Duration = Duration::from_secs(5 * 60);
/// How long one is kept that says nothing of its end.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// With so many, those that have ended are thrown out.
const MANY: usize = 4096;

/// What a token was made for, and with what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Of {
    component: &'static str,
    config: String,
    url: String,
    /// Of the App's key.
    digest: [u8; 32],
}

impl Of {
    pub(super) fn new(agent: &Agent, secret: &Secret, url: &str) -> Self {
        Self {
            component: agent.component,
            config: agent.config.clone(),
            url: url.to_owned(),
            digest: Sha256::digest(secret.expose().as_bytes()).into(),
        }
    }
}

struct Made {
    login: Login,
    until: Timestamp,
}

type Place = Arc<tokio::sync::Mutex<Option<Made>>>;

/// The tokens that are kept.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<BTreeMap<Of, Place>>);

impl Tokens {
    /// The token that is there, or that `make` makes. Whoever asks for the same one meanwhile waits for it.
    pub(super) async fn get<E, F>(&self, of: Of, now: Timestamp, make: F) -> Result<Login, E>
    where
        F: Future<Output = Result<Login, E>>,
    {
        let place = self.place(of, now);
        let mut made = place.lock().await;
        if let Some(made) = &*made
            && now < made.until
        {
            return Ok(made.login.clone());
        }
        let login = make.await?;
        let end = match login.expires {
            Some(end) => end.checked_sub(BEFORE_ITS_END),
            None => now.checked_add(KEPT),
        };
        *made = Some(Made {
            until: end.unwrap_or(now),
            login: login.clone(),
        });
        Ok(login)
    }

    fn place(&self, of: Of, now: Timestamp) -> Place {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MANY {
            // One that is being made is not free.
            let is_good = |place: &Place| match place.try_lock() {
                Ok(made) => made.as_ref().is_some_and(|made| now < made.until),
                Err(_) => true,
            };
            all.retain(|_, place| is_good(place));
        }
        Arc::clone(all.entry(of).or_default())
    }

    /// Forgets those of a repository: one was refused.
    pub(super) fn forget(&self, url: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|of, _| of.url != url);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use reeve_core::gitconfig::Hidden;

    use super::*;

    fn of(key: &str, url: &str) -> Of {
        let agent = Agent {
            component: "github-provider",
            config: "{}".to_owned(),
            slot: "app-key",
            secret: Hidden::Path("/key".to_owned()),
            api: "api.example".to_owned(),
            host: "git.example".to_owned(),
        };
        Of::new(&agent, &Secret::new(key), url)
    }

    /// Asks at `at`; `made` counts those that are made, each good for an hour from then on.
    async fn asked(tokens: &Tokens, of: Of, at: Timestamp, made: &AtomicU64) -> String {
        let make = async {
            tokio::task::yield_now().await;
            let count = made.fetch_add(1, Ordering::Relaxed);
            Ok::<_, ()>(Login {
                user: "x-access-token".to_owned(),
                password: Secret::new(format!("token-{count}")),
                expires: at.checked_add(Duration::from_secs(3600)).ok(),
            })
        };
        let login = tokens.get(of, at, make).await.unwrap();
        login.password.expose().to_owned()
    }

    #[tokio::test]
    async fn a_token_is_made_once_for_all_and_anew_shortly_before_it_ends() {
        let (tokens, made) = (Tokens::default(), AtomicU64::new(0));
        let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let url = "https://git.example/acme/shop.git";
        let one = || asked(&tokens, of("a", url), start, &made);
        let (a, b, c) = tokio::join!(one(), one(), one());
        assert_eq!((&*a, &*b, &*c), ("token-0", "token-0", "token-0"));
        for (minutes, want) in [(54, "token-0"), (55, "token-1"), (100, "token-1")] {
            let told = asked(&tokens, of("a", url), at(minutes), &made).await;
            assert_eq!(told, want, "after {minutes} minutes");
        }
        let other = asked(&tokens, of("b", url), at(100), &made).await;
        assert_eq!(other, "token-2", "of another key");
        tokens.forget(url);
        let anew = asked(&tokens, of("a", url), at(100), &made).await;
        assert_eq!(anew, "token-3", "it was refused");
    }

    #[tokio::test]
    async fn what_could_not_be_made_is_tried_again() {
        let (tokens, made) = (Tokens::default(), AtomicU64::new(0));
        let key = || of("a", "https://git.example/acme/shop.git");
        let failed = tokens.get(key(), Timestamp::UNIX_EPOCH, async { Err("down") });
        assert_eq!(failed.await, Err("down"));
        let told = asked(&tokens, key(), Timestamp::UNIX_EPOCH, &made).await;
        assert_eq!(told, "token-0");
    }
}
