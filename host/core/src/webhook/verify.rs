//! One call, judged: is it proved, is it JSON, is its event asked for, and what did it say was pushed.
//!
//! A proof comes before anything that the payload says. What it deliberately doesn't: verify tokens of issuers; the claims
//! of one that was verified come as an argument.

use jiff::Timestamp;
use reeve_api::receiver::ReceiverType;

use super::bearer::Claims;
use super::replay::Mark;
use super::signature::{self, Hash, Standard};
use super::{Hook, Push, payload};

/// A call: its headers, whose names match in any case, and its body.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// Names and values.
    pub headers: &'c [(String, String)],
    /// The body, bounded by whoever read it.
    pub body: &'c [u8],
}

/// A call that proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What the caller says happened, when it says so (`Push Hook`).
    pub event: Option<String>,
    /// What was pushed where, when it says that.
    pub push: Option<Push>,
    /// What tells this call from every other; empty where callers don't say.
    pub marks: Vec<Mark>,
    /// The JSON that filters see.
    pub req: Option<String>,
}

/// Why a call was turned away. Says nothing about the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The header that carries the proof is not there, or not once.
    #[error("the {0} header is missing")]
    ProofMissing(&'static str),
    /// The token is another.
    #[error("the {0} header does not match the receiver's token")]
    TokenMismatch(&'static str),
    /// The signature is not that of the payload with the Receiver's token.
    #[error("the {0} header is not the payload's signature with the receiver's token")]
    SignatureMismatch(&'static str),
    /// It is signed with a hash that is not taken.
    #[error("the {0} header names a hash that is not taken here: {1}")]
    Hash(&'static str, &'static str),
    /// It was signed too long ago, or not yet.
    #[error("the webhook-timestamp header is more than five minutes from now")]
    Stale,
    /// The token of an issuer is needed.
    #[error("the Authorization header is missing or malformed")]
    BearerMissing,
    /// The Receiver asks for certain events, and the call doesn't say which it is.
    #[error("the {0} header is missing, and the receiver names its events")]
    EventMissing(&'static str),
    /// The Receiver doesn't ask for this event.
    #[error("the event '{0}' is not one the receiver names")]
    EventUnwanted(String),
    /// The payload is not UTF-8.
    #[error("the payload is no text in UTF-8")]
    NotText,
    /// The payload is not JSON.
    #[error("the payload is no JSON")]
    NotJson,
    /// A form without the field that holds the JSON.
    #[error("the form has no field 'payload'")]
    NoPayload,
    /// The payload has another shape.
    #[error("the payload is not one that {0} sends")]
    NotTheirs(&'static str),
    /// The payload is no CDEvent.
    #[error("the payload is no CDEvent: {0} is missing or wrong")]
    NotAnEvent(&'static str),
}

const HMAC: &str = "X-Signature";
const HUB: &str = "X-Hub-Signature";
const HUB_256: &str = "X-Hub-Signature-256";
const GITEA: &str = "X-Gitea-Signature";
const GITLAB: &str = "X-Gitlab-Token";
const STANDARD: &str = "webhook-signature";
const NEXUS: &str = "X-Nexus-Webhook-Signature";
const AUTHORIZATION: &str = "Authorization";
const HMAC_HASHES: [Hash; 3] = [Hash::Sha1, Hash::Sha256, Hash::Sha512];
const HMAC_TAKEN: &str = "sha1, sha256 and sha512 are";
const HUB_TAKEN: &str = "sha256 is";
/// How much of a caller's event name is repeated back.
const EVENT_SHOWN: usize = 64;

impl Call<'_> {
    /// The value of a header that is there exactly once; two are as bad as none, since a proxy in front may have judged the
    /// other one.
    pub fn only(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    /// The token of an issuer that came with it.
    pub fn bearer(&self) -> Option<&str> {
        let token = self.only(AUTHORIZATION)?.strip_prefix("Bearer ")?.trim();
        (!token.is_empty()).then_some(token)
    }
}

impl Refused {
    /// Whether the caller has not proved itself, as far as was looked.
    pub fn is_unproved(&self) -> bool {
        match self {
            Self::ProofMissing(_)
            | Self::TokenMismatch(_)
            | Self::SignatureMismatch(_)
            | Self::Hash(..)
            | Self::Stale
            | Self::BearerMissing => true,
            Self::EventMissing(_)
            | Self::EventUnwanted(_)
            | Self::NotText
            | Self::NotJson
            | Self::NoPayload
            | Self::NotTheirs(_)
            | Self::NotAnEvent(_) => false,
        }
    }
}

impl Hook {
    /// Whether the headers of a call may be those of one that is proved; asked before anything of its body is read. A token
    /// that is shown is right then; of a signature nobody knows yet more than that it has the form of one.
    pub fn may_prove(&self, headers: &[(String, String)], now: Timestamp) -> Result<(), Refused> {
        let call = &Call { headers, body: &[] };
        let form = |name, hash: Hash, digits: &str| match hash.looks_like_one(digits) {
            true => Ok(()),
            false => Err(Refused::SignatureMismatch(name)),
        };
        match self.kind {
            ReceiverType::GenericHmac => {
                let (hash, digits) = split_of(call, HMAC, &HMAC_HASHES, HMAC_TAKEN)?;
                form(HMAC, hash, digits)
            }
            ReceiverType::Github => {
                let (hash, digits) = split_of(call, HUB_256, &[Hash::Sha256], HUB_TAKEN)?;
                form(HUB_256, hash, digits)
            }
            ReceiverType::Bitbucket => {
                let name = bitbuckets(call);
                let (hash, digits) = split_of(call, name, &[Hash::Sha256], HUB_TAKEN)?;
                form(name, hash, digits)
            }
            ReceiverType::Gitea => {
                let digits = call.only(GITEA).ok_or(Refused::ProofMissing(GITEA))?;
                form(GITEA, Hash::Sha256, digits)
            }
            ReceiverType::Nexus => {
                let digits = call.only(NEXUS).ok_or(Refused::ProofMissing(NEXUS))?;
                form(NEXUS, Hash::Sha1, digits)
            }
            ReceiverType::Gitlab => match self.gitlab_signs(call) {
                false => self.shown_token(call, GITLAB),
                true => match standard(call)?.is_fresh(now) {
                    true => Ok(()),
                    false => Err(Refused::Stale),
                },
            },
            ReceiverType::Harbor => self.shown_token(call, AUTHORIZATION),
            // The path was the proof, or the claims of a token are.
            ReceiverType::Generic
            | ReceiverType::GenericOidc
            | ReceiverType::Dockerhub
            | ReceiverType::Quay
            | ReceiverType::Gcr
            | ReceiverType::Acr
            | ReceiverType::Cdevents => Ok(()),
        }
    }

    /// Whether a call may wake what the Receiver names. `claims` are those of a token of an issuer, verified; without them no
    /// call is let in that has to be proved by one.
    pub fn verify(
        &self,
        call: &Call<'_>,
        claims: Option<&Claims>,
        now: Timestamp,
    ) -> Result<Accepted, Refused> {
        self.proved(call, claims, now)?;
        let event = self.event(call)?;
        let content = call.only("Content-Type");
        let req = match payload::json(self.kind, content, call.body)? {
            Some(text) => Some(payload::fits(self.kind, text)?),
            None => None,
        };
        let push = req
            .as_deref()
            .and_then(|text| Push::read(self.kind, event, text));
        Ok(Accepted {
            event: event.map(shown),
            push,
            marks: Mark::all(self.kind, call),
            req,
        })
    }

    fn proved(
        &self,
        call: &Call<'_>,
        claims: Option<&Claims>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        match self.kind {
            // The path, found by its digest, was the proof.
            ReceiverType::Generic
            | ReceiverType::Dockerhub
            | ReceiverType::Quay
            | ReceiverType::Acr
            | ReceiverType::Cdevents => Ok(()),
            ReceiverType::GenericOidc | ReceiverType::Gcr => match claims {
                Some(_) => Ok(()),
                None => Err(Refused::BearerMissing),
            },
            ReceiverType::GenericHmac => self.signed(call, HMAC, &HMAC_HASHES, HMAC_TAKEN),
            // Gitea's calls are GitHub's too, signature included; Flux knows it by that type.
            ReceiverType::Github => self.signed(call, HUB_256, &[Hash::Sha256], HUB_TAKEN),
            ReceiverType::Bitbucket => {
                self.signed(call, bitbuckets(call), &[Hash::Sha256], HUB_TAKEN)
            }
            ReceiverType::Gitea => self.signed_bare(call, GITEA, Hash::Sha256),
            ReceiverType::Nexus => self.signed_bare(call, NEXUS, Hash::Sha1),
            ReceiverType::Harbor => self.shown_token(call, AUTHORIZATION),
            ReceiverType::Gitlab => self.by_gitlab(call, now),
        }
    }

    /// `<hash>=<hex>`.
    fn signed(
        &self,
        call: &Call<'_>,
        name: &'static str,
        taken: &[Hash],
        which: &'static str,
    ) -> Result<(), Refused> {
        let (hash, digits) = split_of(call, name, taken, which)?;
        let key = self.token.key();
        match key.is_some_and(|key| hash.signs(key, call.body, digits)) {
            true => Ok(()),
            false => Err(Refused::SignatureMismatch(name)),
        }
    }

    /// `<hex>`, of one hash. Without a secret, Gitea sends the header empty.
    fn signed_bare(&self, call: &Call<'_>, name: &'static str, hash: Hash) -> Result<(), Refused> {
        let digits = call.only(name).ok_or(Refused::ProofMissing(name))?;
        let key = self.token.key();
        match key.is_some_and(|key| hash.signs(key, call.body, digits)) {
            true => Ok(()),
            false => Err(Refused::SignatureMismatch(name)),
        }
    }

    /// The token itself.
    fn shown_token(&self, call: &Call<'_>, name: &'static str) -> Result<(), Refused> {
        let offered = call.only(name).ok_or(Refused::ProofMissing(name))?;
        match self.token.matches(offered.as_bytes()) {
            true => Ok(()),
            false => Err(Refused::TokenMismatch(name)),
        }
    }

    /// GitLab's: its secret token, shown; or, since 19, a signature with its signing token. A Secret with a signing token
    /// (`whsec_…`) is never taken for one that is shown, and a signature that is there has to be right where nothing is shown.
    fn by_gitlab(&self, call: &Call<'_>, now: Timestamp) -> Result<(), Refused> {
        if !self.gitlab_signs(call) {
            return self.shown_token(call, GITLAB);
        }
        let signing = self.token.key().and_then(signature::standard_key);
        let key = signing.as_deref().or_else(|| self.token.key());
        let signed = standard(call)?;
        if !key.is_some_and(|key| signed.is_signed(key)) {
            return Err(Refused::SignatureMismatch(STANDARD));
        }
        match signed.is_fresh(now) {
            true => Ok(()),
            false => Err(Refused::Stale),
        }
    }

    /// Whether a call of GitLab's has to be proved by a signature.
    fn gitlab_signs(&self, call: &Call<'_>) -> bool {
        let signing = self.token.key().and_then(signature::standard_key);
        signing.is_some() || (!call.has(GITLAB) && call.has(STANDARD))
    }

    /// What happened, and whether the Receiver asks for it.
    fn event<'c>(&self, call: &'c Call<'_>) -> Result<Option<&'c str>, Refused> {
        let name = match self.kind {
            ReceiverType::Github => "X-GitHub-Event",
            ReceiverType::Gitea => "X-Gitea-Event",
            ReceiverType::Gitlab => "X-Gitlab-Event",
            ReceiverType::Bitbucket => "X-Event-Key",
            ReceiverType::Cdevents => "Ce-Type",
            ReceiverType::Generic
            | ReceiverType::GenericHmac
            | ReceiverType::GenericOidc
            | ReceiverType::Harbor
            | ReceiverType::Dockerhub
            | ReceiverType::Quay
            | ReceiverType::Gcr
            | ReceiverType::Nexus
            | ReceiverType::Acr => return Ok(None),
        };
        let event = call.only(name);
        if self.events.is_empty() {
            return Ok(event);
        }
        let event = event.ok_or(Refused::EventMissing(name))?;
        let asked = |named: &String| named.eq_ignore_ascii_case(event);
        match self.events.iter().any(asked) {
            true => Ok(Some(event)),
            false => Err(Refused::EventUnwanted(shown(event))),
        }
    }
}

fn bitbuckets(call: &Call<'_>) -> &'static str {
    if call.has(HUB_256) { HUB_256 } else { HUB }
}

/// The hash and the digits of `<hash>=<hex>`, where that hash is taken.
fn split_of<'c>(
    call: &'c Call<'_>,
    name: &'static str,
    taken: &[Hash],
    which: &'static str,
) -> Result<(Hash, &'c str), Refused> {
    let header = call.only(name).ok_or(Refused::ProofMissing(name))?;
    let (hash, digits) = signature::split(header).ok_or(Refused::SignatureMismatch(name))?;
    match taken.contains(&hash) {
        true => Ok((hash, digits)),
        false => Err(Refused::Hash(name, which)),
    }
}

/// What Standard Webhooks sends, all of it there.
fn standard<'c>(call: &'c Call<'_>) -> Result<Standard<'c>, Refused> {
    let part = |name| call.only(name).ok_or(Refused::ProofMissing(name));
    Ok(Standard {
        signatures: part(STANDARD)?,
        id: part("webhook-id")?,
        timestamp: part("webhook-timestamp")?,
        body: call.body,
    })
}

fn shown(event: &str) -> String {
    let plain = event.chars().filter(|c| !c.is_control());
    plain.take(EVENT_SHOWN).collect()
}
