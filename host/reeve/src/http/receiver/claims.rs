//! The token that a call comes with, where an issuer's proves it.
//!
//! A token that is no good is the caller's affair; an issuer that cannot be asked is not, and the caller may come again. What
//! it deliberately doesn't: fetch keys (`issuers`), or say what claims have to hold (`core::webhook`).

use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use reeve_api::receiver::ReceiverType;
use reeve_core::index::Hook;
use reeve_core::webhook::{Bearer, BearerError, Call, Claims, Refused};

use super::refusal::{Instead, Refusal};
use crate::issuers::{Error, Issuers};

/// How soon a caller may come again whose issuer could not be asked.
const AGAIN: Duration = Duration::from_secs(10);

/// What the token of a call says, verified; None: the Receiver asks for none.
pub(super) async fn of(
    issuers: &Issuers,
    hook: &Hook,
    call: &Call<'_>,
    now: Timestamp,
) -> Result<Option<Claims>, Refusal> {
    let refused = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
    if !matches!(hook.kind, ReceiverType::GenericOidc | ReceiverType::Gcr) {
        return Ok(None);
    }
    let token = call.bearer();
    let token = token.ok_or_else(|| refused(Refused::BearerMissing.to_string()))?;
    let bearer = Bearer::parse(token).map_err(|why| refused(why.to_string()))?;
    if let Some(google) = &hook.google {
        let claims = issuers.of_google(bearer, &google.audience, now).await;
        let claims = claims.map_err(|why| unproved(&why))?;
        let own = claims.are_of(google);
        own.map_err(|why| refused(why.to_string()))?;
        return Ok(Some(claims));
    }
    let mut issuer = hook.issuers.iter();
    let issuer = issuer.find(|issuer| issuer.url() == bearer.issuer());
    let issuer = issuer.ok_or_else(|| refused(BearerError::Issuer.to_string()))?;
    let claims = issuers
        .of(issuer.url(), bearer, issuer.audience(), now)
        .await;
    let claims = claims.map_err(|why| unproved(&why))?;
    let welcome = issuer.welcome(claims.all());
    welcome.map_err(|why| refused(why.to_string()))?;
    Ok(Some(claims))
}

fn unproved(why: &Error) -> Refusal {
    match why {
        Error::Bearer(why) => Refusal::new(StatusCode::BAD_REQUEST, why.to_string()),
        Error::Keys(_) => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string()).or(Instead::After(AGAIN))
        }
    }
}
