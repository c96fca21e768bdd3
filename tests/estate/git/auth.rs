//! Whom a git server over http lets in, and who may push there.

use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Whom a server lets in.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Everybody.
    #[default]
    Open,
    /// One user with a password.
    Basic(String, String),
    /// Whoever has the token.
    Bearer(String),
    /// One user with any of the first passwords, to which others may be added: tokens that a forge makes. Who pushes needs one
    /// that is among the second, too.
    OneOf(String, Arc<Mutex<Vec<String>>>, Arc<Mutex<Vec<String>>>),
}

impl Auth {
    pub(super) fn lets_in(&self, credential: Option<&HeaderValue>) -> bool {
        let want = match self {
            Self::Open => return true,
            Self::Basic(user, password) => basic(user, password),
            Self::Bearer(token) => format!("Bearer {token}"),
            Self::OneOf(user, passwords, _) => return is_one_of(user, passwords, credential),
        };
        is(credential, &want)
    }

    /// Whether whoever is let in may push.
    pub(super) fn may_push(&self, credential: Option<&HeaderValue>) -> bool {
        match self {
            Self::OneOf(user, _, pushing) => is_one_of(user, pushing, credential),
            Self::Open | Self::Basic(..) | Self::Bearer(_) => true,
        }
    }
}

fn is_one_of(user: &str, passwords: &Mutex<Vec<String>>, credential: Option<&HeaderValue>) -> bool {
    let passwords = passwords.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = passwords.iter();
    all.any(|password| is(credential, &basic(user, password)))
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn is(credential: Option<&HeaderValue>, want: &str) -> bool {
    credential.is_some_and(|credential| credential.as_bytes() == want.as_bytes())
}
