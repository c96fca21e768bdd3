//! Keys of issuers, and the tokens that they signed.
//!
//! An issuer's keys are looked for where its own discovery document says, over connections that `git::Egress` lets be made,
//! bounded in bytes and time, without redirects. They are kept for ten minutes; a token with a key that is not among them has
//! them fetched again, but not more often than every ten seconds; while an issuer cannot be reached, those of the last hour
//! are believed. Where there are too many issuers, those go that are used least of the namespace that brought most of them, so
//! that no tenant has another's forgotten. What it deliberately doesn't: know Receivers, or judge claims; `core::webhook` does.

mod fetch;
mod jwk;
mod kept;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reeve_api::name::NamespaceName;
use reeve_core::webhook::{Bearer, BearerError, Claims, GOOGLE};
use tokio::sync::Mutex;

use crate::git::Egress;
use fetch::Fetcher;
use jwk::Key;
use kept::Shelf;

/// How long keys are good without a look.
const FRESH: Duration = Duration::from_secs(600);
/// How long they are believed while the issuer cannot be reached.
const STALE: Duration = Duration::from_secs(3600);
/// How soon an issuer is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// The keys of all issuers.
pub struct Issuers {
    fetcher: Fetcher,
    known: Shelf<Kept>,
    google: String,
}

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token is not good.
    #[error(transparent)]
    Bearer(#[from] BearerError),
    /// Its issuer cannot be asked.
    #[error("the keys of the bearer token's issuer cannot be had: {0}")]
    Keys(#[from] fetch::Error),
}

/// What is known of one issuer.
#[derive(Default)]
struct Kept {
    keys: Option<(Arc<[Key]>, Instant)>,
    /// When it was asked last, and how that failed.
    asked: Option<(Instant, Option<fetch::Error>)>,
}

/// An issuer whose keys are needed, and what is known of it.
struct Asked<'i> {
    issuer: &'i str,
    kept: Arc<Mutex<Kept>>,
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuers").finish_non_exhaustive()
    }
}

impl Issuers {
    /// Nobody's keys yet; issuers are reached as `egress` lets them be.
    pub fn new(egress: Arc<Egress>) -> Self {
        Self {
            fetcher: Fetcher::new(egress),
            known: Shelf::default(),
            google: GOOGLE.to_owned(),
        }
    }

    /// The same with Google's keys at another place.
    #[must_use]
    pub fn with_google(self, google: &str) -> Self {
        Self {
            google: google.to_owned(),
            ..self
        }
    }

    /// What Google's token says to a Receiver in `namespace`, if it is one.
    pub async fn of_google(
        &self,
        namespace: &NamespaceName,
        bearer: Bearer,
        audience: &str,
        now: Timestamp,
    ) -> Result<Claims, Error> {
        if !bearer.is_googles() {
            return Err(BearerError::Issuer.into());
        }
        let kept = self.known.kept(namespace, &self.google, Instant::now());
        let keys = Asked {
            issuer: &self.google,
            kept,
        };
        self.believe(keys, bearer, audience, now).await
    }

    /// What a token of `issuer` says to a Receiver in `namespace`, if it is one.
    pub async fn of(
        &self,
        namespace: &NamespaceName,
        issuer: &str,
        bearer: Bearer,
        audience: &str,
        now: Timestamp,
    ) -> Result<Claims, Error> {
        if bearer.issuer() != issuer {
            return Err(BearerError::Issuer.into());
        }
        let kept = self.known.kept(namespace, issuer, Instant::now());
        let keys = Asked { issuer, kept };
        self.believe(keys, bearer, audience, now).await
    }

    async fn believe(
        &self,
        asked: Asked<'_>,
        bearer: Bearer,
        audience: &str,
        now: Timestamp,
    ) -> Result<Claims, Error> {
        let (algorithm, named) = (bearer.algorithm(), bearer.key().map(str::to_owned));
        let fits = |key: &&Key| key.fits(algorithm, named.as_deref());
        let keys = self.keys(asked, |keys| keys.iter().any(|key| fits(&key)));
        let keys = keys.await?;
        let made = |signed: &[u8], signature: &[u8]| {
            let mut candidates = keys.iter().filter(fits);
            candidates.any(|key| key.made(algorithm, signed, signature))
        };
        Ok(bearer.verified(audience, now, made)?)
    }

    /// The keys of an issuer; fetched again if `enough` says that one is missing.
    async fn keys(
        &self,
        Asked { issuer, kept }: Asked<'_>,
        enough: impl Fn(&[Key]) -> bool,
    ) -> Result<Arc<[Key]>, fetch::Error> {
        // Who comes meanwhile waits for the same fetch, which has a deadline.
        let mut kept = kept.lock().await;
        let now = Instant::now();
        if let Some((keys, at)) = &kept.keys
            && now.duration_since(*at) < FRESH
            && enough(keys)
        {
            return Ok(Arc::clone(keys));
        }
        let lately = kept.asked.as_ref();
        let lately = lately.filter(|(at, _)| now.duration_since(*at) < AGAIN);
        let failed = match lately {
            Some((_, failed)) => failed.clone(),
            None => {
                let fetched = self.fetcher.fetch(issuer).await;
                let failed = fetched.as_ref().err().cloned();
                if let Some(error) = &failed {
                    tracing::warn!(issuer, %error, "the keys of an issuer cannot be had");
                }
                kept.asked = Some((Instant::now(), failed.clone()));
                if let Ok(keys) = fetched {
                    kept.keys = Some((keys.into(), Instant::now()));
                }
                failed
            }
        };
        let usable = kept.keys.as_ref();
        let usable = usable.filter(|(_, at)| now.saturating_duration_since(*at) < STALE);
        match (usable, failed) {
            (Some((keys, _)), _) => Ok(Arc::clone(keys)),
            (None, Some(failed)) => Err(failed),
            (None, None) => Err(fetch::Error::Gone),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
