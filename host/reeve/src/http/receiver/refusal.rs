//! Why a call wasn't let in, as an answer: the status, what its body says, and what the caller may do instead.
//!
//! Beside the answer goes whether something may have been missed by it ([`Unheard`]), which the caller is not told. What it
//! deliberately doesn't: decide.

use std::time::Duration;

use axum::http::header::{ALLOW, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// Why a call was not judged, beside its answer. Whatever else is refused has been looked at, or its issuer could not be asked,
/// and was told to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unheard {
    /// Nobody is there, or nobody who lets calls in for now.
    Nobody,
    /// Somebody is, and there was no room.
    NoRoom,
}

pub(super) struct Refusal {
    pub(super) code: StatusCode,
    pub(super) says: String,
    pub(super) instead: Option<Instead>,
    /// Whether the caller has proved nothing: that counts against its address.
    pub(super) unproved: bool,
    /// What may have been missed by it.
    pub(super) unheard: Option<Unheard>,
}

pub(super) enum Instead {
    /// Use one of these methods.
    Methods(&'static str),
    /// Come again in a second: there was no room.
    Later,
    /// Come again after this time.
    After(Duration),
}

impl Refusal {
    pub(super) fn new(code: StatusCode, says: impl Into<String>) -> Self {
        Self {
            code,
            says: says.into(),
            instead: None,
            unproved: false,
            unheard: None,
        }
    }

    /// One of a caller where nobody hears.
    pub(super) fn nobody(code: StatusCode, says: impl Into<String>) -> Self {
        Self {
            unheard: Some(Unheard::Nobody),
            ..Self::unproved(code, says)
        }
    }

    /// One of a caller who has proved nothing yet, since there is no room to look into what it says.
    pub(super) fn no_room(says: impl Into<String>) -> Self {
        Self {
            unheard: Some(Unheard::NoRoom),
            instead: Some(Instead::Later),
            ..Self::unproved(StatusCode::SERVICE_UNAVAILABLE, says)
        }
    }

    /// One of a caller who has proved nothing.
    pub(super) fn unproved(code: StatusCode, says: impl Into<String>) -> Self {
        Self {
            unproved: true,
            ..Self::new(code, says)
        }
    }

    pub(super) fn or(self, instead: Instead) -> Self {
        Self {
            instead: Some(instead),
            ..self
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.code, format!("{}\n", self.says)).into_response();
        if let Some(unheard) = self.unheard {
            response.extensions_mut().insert(unheard);
        }
        let headers = response.headers_mut();
        let _no_other = match self.instead {
            Some(Instead::Methods(allowed)) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed))
            }
            Some(Instead::Later) => headers.insert(RETRY_AFTER, HeaderValue::from_static("1")),
            Some(Instead::After(time)) => {
                // Who comes in that many whole seconds is let in.
                let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
            }
            None => None,
        };
        response
    }
}
