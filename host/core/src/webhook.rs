//! What a webhook call must prove before it may wake anything: bytes in, verdict out.
//!
//! Secrets are compared in constant time, over digests, so that neither their content nor their length shows in the time
//! it takes. What it deliberately doesn't: listen, fetch an issuer's keys, look a Receiver up (`index`), or start work: the
//! HTTP receiver asks here and passes a nudge on.

mod bearer;
mod filter;
mod issuer;
mod line;
mod pace;
mod payload;
mod push;
mod rate;
mod replay;
mod signature;
mod verify;
mod wanted;

use std::fmt;

use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::receiver::ReceiverType;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::failure::{Explain, Turn};
use crate::framed::framed;

pub use bearer::{Algorithm, Bearer, BearerError, Claims, GOOGLE};
pub use filter::{Filters, Shown};
pub use issuer::{Issuer, Unwelcome};
pub use line::Lines;
pub use pace::{Pace, When};
pub use payload::takes;
pub use push::{Push, is_commit};
pub use rate::{Allowance, Rates};
pub use replay::{Mark, Replays};
pub use verify::{Accepted, Call, Refused};
pub use wanted::{Error, Wanted};

/// Where every webhook path starts.
pub const PREFIX: &str = "/hook/";

/// Whether a path is one that is given out: any other is nobody's, and never will be somebody's.
pub fn is_path(path: &str) -> bool {
    let digest = path.strip_prefix(PREFIX).unwrap_or_default();
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digest.len() == 64 && digest.bytes().all(hex)
}

/// What a call to a Receiver's path is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The Receiver.
    pub receiver: NamespacedName,
    /// Who calls.
    pub kind: ReceiverType,
    /// What the Secret says, where one proves a call.
    pub token: Token,
    /// Whose tokens of Google are believed.
    pub google: Option<Google>,
    /// Whose tokens are believed else.
    pub issuers: Vec<Issuer>,
    /// The events it asks for; empty for all.
    pub events: Vec<String>,
    /// Which of the named objects a call is about.
    pub filters: Filters,
    /// Whether calls are let in.
    pub standing: Standing,
}

/// Whether a Receiver lets calls in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Open,
    /// `spec.suspend` is set.
    Suspended,
    /// It is not Ready.
    NotReady,
}

/// The methods that calls of a kind may use, as an `Allow` header has them. Whoever only has to know the path may use GET
/// too: a browser, plain curl.
pub fn methods(kind: ReceiverType) -> &'static str {
    match kind {
        ReceiverType::Generic | ReceiverType::GenericOidc => "GET, POST",
        ReceiverType::GenericHmac
        | ReceiverType::Github
        | ReceiverType::Gitea
        | ReceiverType::Gitlab
        | ReceiverType::Bitbucket
        | ReceiverType::Harbor
        | ReceiverType::Dockerhub
        | ReceiverType::Quay
        | ReceiverType::Gcr
        | ReceiverType::Nexus
        | ReceiverType::Acr
        | ReceiverType::Cdevents => "POST",
    }
}

/// Whether a call of a kind may use this HTTP method.
pub fn allows(kind: ReceiverType, method: &str) -> bool {
    methods(kind).split(", ").any(|allowed| allowed == method)
}

/// The account of Google whose tokens are believed, and for whom they have to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Google {
    /// The service account's address.
    pub email: String,
    /// The audience that the subscription names.
    pub audience: String,
}

/// Bytes of a token that nobody finds by trying, if they are random.
const UNGUESSABLE: usize = 16;

/// The token of a Receiver's Secret. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Vec<u8>);

/// A Secret that holds no usable token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenNotFound {
    /// The key is not there.
    #[error("invalid '{0}' secret data: required fields '{1}'")]
    Missing(String, &'static str),
    /// The key is there, and there is nothing in it: everybody would know it.
    #[error("invalid '{0}' secret data: field '{1}' is empty")]
    Empty(String, &'static str),
    /// What is in it is no text.
    #[error("invalid '{0}' secret data: field '{1}' is no text")]
    NoText(String, &'static str),
}

impl Explain for TokenNotFound {
    fn reason(&self) -> Reason {
        Reason::TokenNotFound
    }

    fn turn(&self) -> Turn {
        Turn::Retry
    }

    fn hint(&self) -> Option<String> {
        let (Self::Missing(_, key) | Self::Empty(_, key) | Self::NoText(_, key)) = self;
        Some(match *key {
            "email" => "put the address of the service account of the push subscription under the key `email` of that Secret".into(),
            "audience" => "put the audience of the push subscription under the key `audience` of that Secret".into(),
            _ => "put a random value under the key `token` of that Secret".into(),
        })
    }
}

impl Token {
    /// The value of key `token` of the Secret `secret` (`namespace/name`).
    pub fn parse(value: Option<&[u8]>, secret: &str) -> Result<Self, TokenNotFound> {
        match value {
            None => Err(TokenNotFound::Missing(secret.to_owned(), "token")),
            Some([]) => Err(TokenNotFound::Empty(secret.to_owned(), "token")),
            Some(bytes) => Ok(Self(bytes.to_owned())),
        }
    }

    /// Whether whoever knows what was made of it can find it by trying, without ever calling.
    pub fn is_guessable(&self) -> bool {
        self.0.len() < UNGUESSABLE
    }

    /// The token of a Receiver that has none, or whose own cannot be read: no call matches it.
    pub fn nobodys() -> Self {
        Self(Vec::new())
    }

    /// Where this Receiver is called: `/hook/` and 64 hex digits that only who has the token can work out.
    pub fn path(&self, name: &str, namespace: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.0);
        hash.update(name);
        hash.update(namespace);
        format!("{PREFIX}{}", hex::encode(hash.finalize()))
    }

    /// Where somebody else is called who is known by these parts. What is hashed ends as no Receiver's does, so that whoever may
    /// choose a token cannot make it the path of a Receiver.
    pub fn path_of(&self, parts: &[&str]) -> String {
        let mut hash = Sha256::new();
        let parts = parts.iter().map(|part| part.as_bytes());
        for part in std::iter::once(self.0.as_slice()).chain(parts) {
            framed(&mut hash, part);
        }
        hash.update(b"\0");
        format!("{PREFIX}{}", hex::encode(hash.finalize()))
    }

    fn matches(&self, offered: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        Sha256::digest(&self.0)
            .ct_eq(&Sha256::digest(offered))
            .into()
    }

    /// The key of signatures; None: there is none.
    fn key(&self) -> Option<&[u8]> {
        (!self.0.is_empty()).then_some(&self.0)
    }
}

impl Google {
    /// The keys `email` and `audience` of the Secret `secret` (`namespace/name`).
    pub fn parse(
        email: Option<&[u8]>,
        audience: Option<&[u8]>,
        secret: &str,
    ) -> Result<Self, TokenNotFound> {
        let text = |value: Option<&[u8]>, key| match value {
            None => Err(TokenNotFound::Missing(secret.to_owned(), key)),
            Some([]) => Err(TokenNotFound::Empty(secret.to_owned(), key)),
            Some(bytes) => String::from_utf8(bytes.to_vec())
                .map_err(|_| TokenNotFound::NoText(secret.to_owned(), key)),
        };
        Ok(Self {
            email: text(email, "email")?,
            audience: text(audience, "audience")?,
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests;
