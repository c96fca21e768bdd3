//! What a webhook call must prove before it may wake anything: bytes in, verdict out.
//!
//! Secrets are compared in constant time, over digests, so that neither their content nor their length shows in the time
//! it takes. What it deliberately doesn't: listen, look a Receiver up (`index`), or start work: the HTTP receiver asks
//! here and passes a nudge on.

use std::fmt;

use reeve_api::reason::Reason;
use reeve_api::receiver::ReceiverType;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::failure::{Explain, Turn};

mod wanted;

pub use wanted::{Error, Wanted};

/// Where every webhook path starts.
pub const PREFIX: &str = "/hook/";

/// The types of Receiver whose calls can be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whoever knows the path may call it, by GET (a browser, plain curl) or POST.
    Generic,
    /// GitLab's: POST with the token in `X-Gitlab-Token` and the event in `X-Gitlab-Event`.
    Gitlab,
}

impl Kind {
    /// The kind that `spec.type` names.
    pub fn of(spec_type: ReceiverType) -> Result<Self, Error> {
        match spec_type {
            ReceiverType::Generic => Ok(Self::Generic),
            ReceiverType::Gitlab => Ok(Self::Gitlab),
            ReceiverType::GenericHmac
            | ReceiverType::GenericOidc
            | ReceiverType::Github
            | ReceiverType::Bitbucket
            | ReceiverType::Harbor
            | ReceiverType::Dockerhub
            | ReceiverType::Quay
            | ReceiverType::Gcr
            | ReceiverType::Nexus
            | ReceiverType::Acr
            | ReceiverType::Cdevents => Err(Error::Type(spec_type.as_str())),
        }
    }

    /// Whether a call may use this HTTP method.
    pub fn allows(self, method: &str) -> bool {
        match self {
            Self::Generic => matches!(method, "GET" | "POST"),
            Self::Gitlab => method == "POST",
        }
    }

    /// The methods it allows, as an `Allow` header has them.
    pub fn methods(self) -> &'static str {
        match self {
            Self::Generic => "GET, POST",
            Self::Gitlab => "POST",
        }
    }
}

/// The token of a Receiver's Secret. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Vec<u8>);

/// A Secret that holds no usable token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenNotFound {
    /// The key is not there.
    #[error("invalid '{0}' secret data: required fields 'token'")]
    Missing(String),
    /// The key is there, and there is nothing in it: everybody would know it.
    #[error("invalid '{0}' secret data: field 'token' is empty")]
    Empty(String),
}

impl Explain for TokenNotFound {
    fn reason(&self) -> Reason {
        Reason::TokenNotFound
    }

    fn turn(&self) -> Turn {
        Turn::Retry
    }

    fn hint(&self) -> Option<String> {
        Some("put a random value under the key `token` of that Secret".into())
    }
}

impl Token {
    /// The value of key `token` of the Secret `secret` (`namespace/name`).
    pub fn parse(value: Option<&[u8]>, secret: &str) -> Result<Self, TokenNotFound> {
        match value {
            None => Err(TokenNotFound::Missing(secret.to_owned())),
            Some([]) => Err(TokenNotFound::Empty(secret.to_owned())),
            Some(bytes) => Ok(Self(bytes.to_owned())),
        }
    }

    /// The token of a Receiver whose own cannot be read: no call matches it.
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

    fn matches(&self, offered: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        Sha256::digest(&self.0)
            .ct_eq(&Sha256::digest(offered))
            .into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// A call that proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What the caller says happened, when it says so (`Push Hook`).
    pub event: Option<String>,
}

/// Why a call was turned away. Says nothing about the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The header that carries the token is not there, or not once.
    #[error("the {0} header is missing")]
    TokenMissing(&'static str),
    /// The token is another.
    #[error("the {0} header does not match the receiver's token")]
    TokenMismatch(&'static str),
    /// The Receiver asks for certain events, and the call doesn't say which it is.
    #[error("the {0} header is missing, and the receiver names its events")]
    EventMissing(&'static str),
    /// The Receiver doesn't ask for this event.
    #[error("the event '{0}' is not one the receiver names")]
    EventUnwanted(String),
}

const GITLAB_TOKEN: &str = "X-Gitlab-Token";
const GITLAB_EVENT: &str = "X-Gitlab-Event";
/// How much of a caller's event name is repeated back.
const EVENT_SHOWN: usize = 64;

/// Whether a call with these headers and this body may wake what a Receiver of this kind, token and event list names.
///
/// Header names match in any case. The body is bounded by the caller and not looked into by the kinds there are today;
/// the signed ones will.
pub fn verify(
    kind: Kind,
    headers: &[(String, String)],
    _body: &[u8],
    token: &Token,
    events: &[String],
) -> Result<Accepted, Refused> {
    match kind {
        // the path, found by its digest, was the proof
        Kind::Generic => Ok(Accepted { event: None }),
        Kind::Gitlab => {
            let offered = only(headers, GITLAB_TOKEN).ok_or(Refused::TokenMissing(GITLAB_TOKEN))?;
            if !token.matches(offered.as_bytes()) {
                return Err(Refused::TokenMismatch(GITLAB_TOKEN));
            }
            let event = only(headers, GITLAB_EVENT);
            wanted(event, events)?;
            Ok(Accepted {
                event: event.map(shown),
            })
        }
    }
}

fn wanted(event: Option<&str>, events: &[String]) -> Result<(), Refused> {
    if events.is_empty() {
        return Ok(());
    }
    let event = event.ok_or(Refused::EventMissing(GITLAB_EVENT))?;
    if events.iter().any(|named| named.eq_ignore_ascii_case(event)) {
        Ok(())
    } else {
        Err(Refused::EventUnwanted(shown(event)))
    }
}

/// The value of a header that is there exactly once; two are as bad as none, since a proxy in front may have judged the
/// other one.
fn only<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let mut found = headers
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

fn shown(event: &str) -> String {
    event
        .chars()
        .filter(|c| !c.is_control())
        .take(EVENT_SHOWN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        Token::parse(Some(text.as_bytes()), "ns/secret").unwrap()
    }

    /// Every folder-less case: `tests/cases/webhook/*.json`, one call each.
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the calls are the data of this test"
    )]
    fn every_case_of_a_call_is_judged_as_it_says() {
        let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases/webhook");
        let mut seen = 0;
        for entry in std::fs::read_dir(cases).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "json") {
                continue;
            }
            let case: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            assert!(
                case["why"].as_str().is_some_and(|why| why.len() > 10),
                "{path:?} says why"
            );
            let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
            let kind = Kind::of(serde_json::from_value(case["type"].clone()).unwrap()).unwrap();
            let headers: Vec<_> = case["headers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (text(&pair[0]), text(&pair[1])))
                .collect();
            let events: Vec<_> = case["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(text)
                .collect();
            let verdict = verify(
                kind,
                &headers,
                text(&case["body"]).as_bytes(),
                &token("s3cret"),
                &events,
            );
            let got = match &verdict {
                Ok(_) => "accepted".to_owned(),
                Err(refused) => refused.to_string(),
            };
            assert_eq!(got, text(&case["want"]), "{path:?}");
            seen += 1;
        }
        assert!(seen >= 10, "only {seen} cases found");
    }

    #[test]
    fn the_path_is_the_digest_of_token_name_and_namespace() {
        // echo -n 'abcreceivernamespace' | sha256sum
        let want = hex::encode(Sha256::digest(b"abcreceivernamespace"));
        assert_eq!(
            token("abc").path("receiver", "namespace"),
            format!("/hook/{want}")
        );
    }

    #[test]
    fn an_empty_token_is_no_token() {
        assert_eq!(
            Token::parse(Some(b""), "a/b"),
            Err(TokenNotFound::Empty("a/b".into()))
        );
        assert_eq!(
            Token::parse(None, "a/b"),
            Err(TokenNotFound::Missing("a/b".into()))
        );
        assert_eq!(
            Token::parse(None, "a/b").unwrap_err().reason(),
            Reason::TokenNotFound
        );
    }

    #[test]
    fn a_token_never_shows_itself() {
        assert_eq!(format!("{:?}", token("s3cret")), "Token(***)");
    }

    #[test]
    fn only_generic_hooks_can_be_called_from_a_browser() {
        let allowed = |kind: Kind| {
            ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"]
                .into_iter()
                .filter(|m| kind.allows(m))
                .collect::<Vec<_>>()
        };
        assert_eq!(allowed(Kind::Generic), ["GET", "POST"]);
        assert_eq!(allowed(Kind::Gitlab), ["POST"]);
    }
}
