//! HTTP to one registry: tokens, bounded answers, redirects only where blobs may lead.
//!
//! Names are resolved by us and judged (`git::egress`), literal addresses before a request is made. A login goes to the
//! registry and to the place where the registry says tokens are made, never along with a redirect.

use std::sync::Arc;

use reeve_api::name::Secret;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE,
};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::{Access, Error, Login, Reference};
use crate::git::{Egress, Tls, plain_client};

/// Redirects that a blob may lead over.
const REDIRECTS: usize = 5;
/// The largest answer that brings a token.
const TOKEN: usize = 64 << 10;

/// What a token is to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Pull,
    Push,
}

pub(super) struct Client {
    http: reqwest::Client,
    egress: Arc<Egress>,
    base: Url,
    host: String,
    name: String,
    login: Option<Login>,
    plain: bool,
    scope: Scope,
    /// Once the registry has said how: what goes into `authorization`.
    authorization: Option<HeaderValue>,
}

/// A request, which may have to be made twice.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// What it is about, for errors.
    pub(super) what: &'a str,
    pub(super) accept: Option<&'static str>,
    pub(super) body: Option<(&'a str, &'a [u8])>,
}

impl Client {
    pub(super) fn new(reference: &Reference, access: &Access, scope: Scope) -> Result<Self, Error> {
        let host = reference.host.clone();
        let http =
            plain_client(&access.egress, &Tls::default()).map_err(|why| reach(&host, why))?;
        let scheme = if access.plain { "http" } else { "https" };
        // Docker Hub answers elsewhere than its images are named after.
        let at = match host.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            other => other,
        };
        let base = Url::parse(&format!("{scheme}://{at}/v2/{}/", reference.name));
        Ok(Self {
            http,
            egress: Arc::clone(&access.egress),
            base: base.map_err(|why| reach(&host, why))?,
            host,
            name: reference.name.clone(),
            login: access.login.clone(),
            plain: access.plain,
            scope,
            authorization: None,
        })
    }

    /// An address below the repository: `blobs/sha256:…`.
    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        self.base
            .join(&format!("./{path}"))
            .map_err(|why| reach(&self.host, why))
    }

    /// An address that the registry gave, if it is one that may be asked with a login: of itself.
    pub(super) fn own(&self, location: &str) -> Result<Url, Error> {
        let url = self
            .base
            .join(location)
            .map_err(|why| reach(&self.host, why))?;
        match url.origin() == self.base.origin() {
            true => Ok(url),
            false => Err(reach(&self.host, Elsewhere)),
        }
    }

    /// Makes a request, with a login if the registry wants one.
    pub(super) async fn ask(&mut self, ask: &Ask<'_>) -> Result<Response, Error> {
        let answer = self.send(ask, self.authorization.clone()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED || self.authorization.is_some() {
            return self.admitted(answer, ask.what);
        }
        let challenges = answer.headers().get_all(WWW_AUTHENTICATE);
        let challenges: Vec<String> = challenges
            .iter()
            .filter_map(|value| Some(value.to_str().ok()?.to_owned()))
            .collect();
        self.authorization = Some(self.authorize(&challenges, ask.what).await?);
        let answer = self.send(ask, self.authorization.clone()).await?;
        self.admitted(answer, ask.what)
    }

    /// Reads a blob, wherever the registry says it lies.
    pub(super) async fn blob(
        &mut self,
        digest: &str,
        what: &str,
        most: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut ask = Ask {
            method: Method::GET,
            url: self.url(&format!("blobs/{digest}"))?,
            what,
            accept: None,
            body: None,
        };
        let mut answer = self.ask(&ask).await?;
        for _ in 0..REDIRECTS {
            if !answer.status().is_redirection() {
                break;
            }
            let location = answer
                .headers()
                .get(LOCATION)
                .and_then(|value| value.to_str().ok());
            let target = location.and_then(|location| ask.url.join(location).ok());
            ask.url = target
                .filter(|url| self.may_lead(url))
                .ok_or_else(|| reach(&self.host, Elsewhere))?;
            answer = self.send(&ask, None).await?;
        }
        self.expect(&answer, StatusCode::OK, what)?;
        self.read(answer, what, most).await
    }

    /// Reads an answer, at most `most` bytes of it.
    pub(super) async fn read(
        &self,
        mut answer: Response,
        what: &str,
        most: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let too_large = || Error::TooLarge {
            what: what.to_owned(),
            most,
        };
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|why| reach(&self.host, why.without_url()))?
        {
            if bytes.len() + chunk.len() > most {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Says what an answer means that is not the one which was wanted.
    pub(super) fn expect(
        &self,
        answer: &Response,
        want: StatusCode,
        what: &str,
    ) -> Result<(), Error> {
        let (host, what) = (self.host.clone(), what.to_owned());
        match answer.status() {
            status if status == want => Ok(()),
            StatusCode::NOT_FOUND => Err(Error::Missing { host, what }),
            status => Err(Error::Status {
                host,
                what,
                status: status.as_u16(),
            }),
        }
    }

    fn may_lead(&self, url: &Url) -> bool {
        url.scheme() == "https" || (self.plain && url.scheme() == "http")
    }

    async fn send(
        &self,
        ask: &Ask<'_>,
        authorization: Option<HeaderValue>,
    ) -> Result<Response, Error> {
        // A name is judged when it is resolved, an address nobody resolves.
        let literal = ask.url.host_str().unwrap_or_default();
        self.egress
            .admit_literal(literal)
            .map_err(|why| reach(&self.host, why))?;
        let mut request = self.http.request(ask.method.clone(), ask.url.clone());
        if let Some(accept) = ask.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some((kind, body)) = ask.body {
            request = request.header(CONTENT_TYPE, kind).body(body.to_vec());
        }
        request
            .send()
            .await
            .map_err(|why| reach(&self.host, why.without_url()))
    }

    fn admitted(&self, answer: Response, what: &str) -> Result<Response, Error> {
        let why = match (answer.status(), &self.login) {
            (StatusCode::UNAUTHORIZED, None) => "it wants a login",
            (StatusCode::UNAUTHORIZED, Some(_)) => "the login is wrong",
            (StatusCode::FORBIDDEN, _) => "this login may not",
            _ => return Ok(answer),
        };
        Err(self.refused(what, why))
    }

    fn refused(&self, what: &str, why: &'static str) -> Error {
        Error::Login {
            host: self.host.clone(),
            what: what.to_owned(),
            why,
        }
    }

    /// What to say who we are with, as the registry wants it.
    async fn authorize(&self, challenges: &[String], what: &str) -> Result<HeaderValue, Error> {
        let scheme = |name: &str| {
            let begins = |challenge: &&String| {
                challenge
                    .get(..name.len())
                    .is_some_and(|word| word.eq_ignore_ascii_case(name))
            };
            challenges.iter().find(begins)
        };
        if let Some(challenge) = scheme("bearer ") {
            let token = self.token(challenge, what).await?;
            return secret_header(&format!("Bearer {}", token.expose()))
                .ok_or_else(|| self.refused(what, "it gave a token that is none"));
        }
        match (&self.login, scheme("basic")) {
            (Some(login), Some(_)) => {
                secret_header(&basic(login)).ok_or_else(|| self.refused(what, "the login is none"))
            }
            (None, Some(_)) => Err(self.refused(what, "it wants a login")),
            (_, None) => Err(self.refused(what, "it wants a kind of login that is not known here")),
        }
    }

    /// Asks for a token where the registry says they are made.
    async fn token(&self, challenge: &str, what: &str) -> Result<Secret, Error> {
        let field = |name: &str| parameter(challenge, name);
        let realm = field("realm").and_then(|realm| Url::parse(&realm).ok());
        let realm = realm.filter(|url| self.may_lead(url));
        let mut realm =
            realm.ok_or_else(|| self.refused(what, "it does not say where tokens are made"))?;
        let actions = match self.scope {
            Scope::Pull => "pull",
            Scope::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.name);
        if let Some(service) = field("service") {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        realm.query_pairs_mut().append_pair("scope", &scope);
        let ask = Ask {
            method: Method::GET,
            url: realm,
            what: "a token",
            accept: None,
            body: None,
        };
        let login = self
            .login
            .as_ref()
            .and_then(|login| secret_header(&basic(login)));
        let answer = self.admitted(self.send(&ask, login).await?, what)?;
        self.expect(&answer, StatusCode::OK, "a token")?;
        let answer = self.read(answer, "a token", TOKEN).await?;
        // Not the parser's words: they may repeat what it read.
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
        let token = answer.get("token").or_else(|| answer.get("access_token"));
        let token = token.and_then(serde_json::Value::as_str);
        token
            .map(Secret::new)
            .ok_or_else(|| self.refused(what, "it gave no token"))
    }
}

fn basic(login: &Login) -> String {
    use base64::Engine as _;
    let pair = format!("{}:{}", login.user, login.password.expose());
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair))
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Bearer realm="https://…",service="…"`: the value of one name.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let (_, mut rest) = challenge.split_once(' ')?;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim_matches([',', ' ']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = after;
    }
}

/// The registry sends us where we do not go.
#[derive(Debug, thiserror::Error)]
#[error("it sends us elsewhere")]
struct Elsewhere;

fn reach(host: &str, why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Reach {
        host: host.to_owned(),
        source: Box::new(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_challenge_are_found_by_name() {
        let challenge =
            r#"Bearer realm="https://auth.example/token?a=b,c",service="r", scope=x,error="e""#;
        for (name, want) in [
            ("realm", Some("https://auth.example/token?a=b,c")),
            ("service", Some("r")),
            ("scope", Some("x")),
            ("error", Some("e")),
            ("other", None),
        ] {
            assert_eq!(parameter(challenge, name).as_deref(), want, "{name}");
        }
        assert_eq!(parameter("Bearer", "realm"), None);
    }
}
