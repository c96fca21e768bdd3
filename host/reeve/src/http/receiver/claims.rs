//! The token that a call comes with, where an issuer's proves it.
//!
//! A token that is no good is the caller's affair; an issuer that cannot be asked is not, and the caller may come again. What
//! a Receiver asks of claims is evaluated beside, a few calls at a time and so often for each Receiver, so that no expression
//! holds others up. What it deliberately doesn't: fetch keys (`issuers`), or say what claims have to hold (`core::webhook`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use jiff::Timestamp;
use reeve_api::receiver::ReceiverType;
use reeve_core::index::Hook;
use reeve_core::webhook::{Bearer, BearerError, Call, Claims, Refused};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::guard::Guard;
use super::refusal::{Instead, Refusal};
use crate::issuers::{Error, Issuers};

/// How soon a caller may come again whose issuer could not be asked.
const AGAIN: Duration = Duration::from_secs(10);
/// Tokens whose claims are looked at at a time.
const LOOKED_AT: usize = 2;
/// How long a call waits for that.
const PATIENCE: Duration = Duration::from_secs(10);

/// What tokens are judged with.
pub(super) struct Judges {
    issuers: Issuers,
    places: Arc<Semaphore>,
}

impl Judges {
    pub(super) fn new(issuers: Issuers) -> Self {
        let places = Arc::new(Semaphore::new(LOOKED_AT));
        Self { issuers, places }
    }

    /// What the token of a call says, verified; None: the Receiver asks for none.
    pub(super) async fn claims(
        &self,
        guard: &Guard,
        hook: &Arc<Hook>,
        headers: &[(String, String)],
        now: Timestamp,
    ) -> Result<Option<Claims>, Refusal> {
        if !matches!(hook.kind, ReceiverType::GenericOidc | ReceiverType::Gcr) {
            return Ok(None);
        }
        let call = Call { headers, body: &[] };
        let token = call.bearer();
        let token = token.ok_or_else(|| refused(Refused::BearerMissing.to_string()))?;
        let bearer = Bearer::parse(token).map_err(|why| refused(why.to_string()))?;
        let namespace = &hook.receiver.namespace;
        if let Some(google) = &hook.google {
            let audience = &google.audience;
            let claims = self.issuers.of_google(namespace, bearer, audience, now);
            let claims = claims.await.map_err(|why| unproved(&why))?;
            let own = claims.are_of(google);
            own.map_err(|why| refused(why.to_string()))?;
            return Ok(Some(claims));
        }
        let mut issuers = hook.issuers.iter().enumerate();
        let issuer = issuers.find(|(_, issuer)| issuer.url() == bearer.issuer());
        let (at, issuer) = issuer.ok_or_else(|| refused(BearerError::Issuer.to_string()))?;
        let (url, audience) = (issuer.url(), issuer.audience());
        let claims = self.issuers.of(namespace, url, bearer, audience, now);
        let claims = claims.await.map_err(|why| unproved(&why))?;
        guard.attempt(&hook.receiver, Instant::now())?;
        self.welcome(hook, at, claims).await.map(Some)
    }

    /// The claims, if they are those of somebody who may call by what the issuer at this place is asked.
    async fn welcome(
        &self,
        hook: &Arc<Hook>,
        at: usize,
        claims: Claims,
    ) -> Result<Claims, Refusal> {
        let busy = || Refusal::no_room("too many calls are being judged");
        let place = timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.ok().and_then(Result::ok).ok_or_else(busy)?;
        let hook = Arc::clone(hook);
        let judged = tokio::task::spawn_blocking(move || {
            // Held until it is over, even if nobody waits for it any more.
            let _place = place;
            let issuer = hook.issuers.get(at);
            let issuer = issuer.ok_or_else(|| BearerError::Issuer.to_string())?;
            let welcome = issuer.welcome(claims.all());
            welcome.map(|()| claims).map_err(|why| why.to_string())
        });
        judged.await.map_err(|_| busy())?.map_err(refused)
    }
}

fn refused(why: String) -> Refusal {
    Refusal::unproved(StatusCode::BAD_REQUEST, why)
}

fn unproved(why: &Error) -> Refusal {
    match why {
        Error::Bearer(why) => refused(why.to_string()),
        // Why is told in the log: it names addresses, and what was answered there, and the caller may be anybody.
        Error::Keys(_) => {
            let says = "the bearer token's issuer cannot be asked";
            Refusal::unproved(StatusCode::SERVICE_UNAVAILABLE, says).or(Instead::After(AGAIN))
        }
    }
}
