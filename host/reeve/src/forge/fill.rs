//! From the request that a guest describes to the one that is sent: checked, with the secrets filled in.
//!
//! What it deliberately doesn't: send it; `send` does. Nothing that is made here is ever shown to a guest or printed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use reeve_api::name::Secret;
use serde::de::IgnoredAny;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::Limits;
use super::error::Cause;
use super::grant::{Asks, Grant};
use super::sign;
use super::slots::{Purse, authority, shown};
use super::words::{self, Body, Part, Request};

const MAX_URL: usize = 8 << 10;
const MAX_HEADERS: usize = 32;

/// Headers that are the host's alone: they decide where a request ends, who is asked, or how the answer is written.
const OURS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
const OURS_BEGINNING: &[&str] = &["proxy-", "sec-", "x-forwarded-"];

/// A request that is ready to be sent.
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Filled>,
}

/// Bytes with secrets in them, wiped when they are dropped.
pub(super) struct Filled(Vec<u8>);

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.0.fill(0);
        // Else the compiler sees that nobody reads the zeros, and leaves them out.
        std::hint::black_box(&self.0);
    }
}

impl Filled {
    /// Appends, without leaving a copy behind where there was too little room.
    fn push(&mut self, text: &[u8]) {
        if self.0.capacity() - self.0.len() < text.len() {
            let mut larger = Vec::with_capacity((self.0.len() + text.len()) * 2);
            larger.extend_from_slice(&self.0);
            *self = Self(larger);
        }
        self.0.extend_from_slice(text);
    }
}

/// Where a request may go: what the component asks for and the platform grants.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) asks: Arc<Asks>,
    pub(super) grant: Arc<Grant>,
}

impl Reach {
    /// Reads a URL of a guest's, and refuses it unless both sides let its host be asked.
    pub(super) fn admit(&self, text: &str) -> Result<Url, Cause> {
        let url = parse(text).map_err(Cause::Url)?;
        let host = authority(&url);
        if !self.asks.asks_for(&url) {
            return Err(Cause::NotAsked { host });
        }
        if !self.grant.covers(&url) {
            return Err(Cause::NotGranted { host });
        }
        if url.scheme() != "https" && !self.grant.http {
            return Err(Cause::Plain { host });
        }
        Ok(url)
    }
}

/// A URL in which everybody sees the same host.
fn parse(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX_URL {
        return Err("it is longer than 8 KiB");
    }
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("it holds blanks, control characters or a backslash");
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("it is no absolute URL");
    };
    if !matches!(scheme, "https" | "http") {
        return Err("its scheme is not https");
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if rest
        .get(..end)
        .is_none_or(|authority| authority.contains('@'))
    {
        return Err("it holds a user or a password");
    }
    if rest.contains('#') {
        return Err("it holds a fragment");
    }
    let url = Url::parse(text).map_err(|_| "it is no URL")?;
    url.host_str()
        .filter(|host| !host.is_empty())
        .ok_or("it has no host")?;
    Ok(url)
}

/// What fills the slots of one request.
pub(super) struct Filler<'a> {
    pub(super) purse: &'a mut Purse,
    pub(super) reach: &'a Reach,
    pub(super) limits: &'a Limits,
    pub(super) now: Timestamp,
}

impl Filler<'_> {
    /// Makes `asked` ready.
    pub(super) fn prepare(mut self, asked: &Request) -> Result<Prepared, Cause> {
        let url = self.reach.admit(&asked.url)?;
        let method = match asked.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            other => return Err(Cause::Request(format!("the method {:?}", shown(other)))),
        };
        let mut headers = self.headers(&asked.headers, &url)?;
        let mut body = None;
        if let Some(asked) = &asked.body {
            let (kind, filled) = self.body(asked, &url)?;
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            body = Some(filled);
        }
        Ok(Prepared {
            method,
            url,
            headers,
            body,
        })
    }

    fn headers(&mut self, asked: &[words::Header], url: &Url) -> Result<HeaderMap, Cause> {
        if asked.len() > MAX_HEADERS {
            return Err(Cause::TooMuch {
                what: "headers of a request",
                most: MAX_HEADERS,
            });
        }
        let mut headers = HeaderMap::new();
        for header in asked {
            let name = header_name(&header.name)?;
            let value = match &header.value {
                words::HeaderValue::Plain(parts) => self.text(parts, url, Write::Plain)?,
                words::HeaderValue::Basic((user, password)) => self.basic(user, password, url)?,
            };
            let mut value = HeaderValue::from_bytes(value.as_ref()).map_err(|_| {
                Cause::Request(format!(
                    "the header {name} would hold a line end or a control character"
                ))
            })?;
            value.set_sensitive(true);
            if headers.insert(name.clone(), value).is_some() {
                return Err(Cause::Request(format!("the header {name}, twice")));
            }
        }
        Ok(headers)
    }

    fn basic(&mut self, user: &[Part], password: &[Part], url: &Url) -> Result<Filled, Cause> {
        let mut pair = self.text(user, url, Write::Plain)?;
        if pair.as_ref().contains(&b':') {
            let why = format!("{AUTHORIZATION} with a colon in the user's name");
            return Err(Cause::Request(why));
        }
        pair.push(b":");
        let secret = user
            .iter()
            .chain(password)
            .any(|part| !matches!(part, Part::Text(_)));
        let password = self.text(password, url, Write::Plain)?;
        pair.push(password.as_ref());
        let encoded = Secret::new(STANDARD.encode(pair.as_ref()));
        let mut value = Filled(Vec::with_capacity(encoded.expose().len() + 6));
        value.push(b"Basic ");
        value.push(encoded.expose().as_bytes());
        if secret {
            self.purse.derive(encoded)?;
        }
        Ok(value)
    }

    fn body(&mut self, asked: &Body, url: &Url) -> Result<(&'static str, Filled), Cause> {
        match asked {
            Body::Json(parts) => {
                let filled = self.text(parts, url, Write::Json)?;
                // A secret outside of quotes would be sent as something else than it is.
                serde_json::from_slice::<IgnoredAny>(filled.as_ref())
                    .map_err(|_| Cause::Request("a body that is not JSON".to_owned()))?;
                Ok(("application/json", filled))
            }
            Body::Form(fields) => {
                let mut filled = Filled(Vec::new());
                for (name, parts) in fields {
                    let value = self.text(parts, url, Write::Form)?;
                    if !filled.as_ref().is_empty() {
                        filled.push(b"&");
                    }
                    for piece in byte_serialize(name.as_bytes()) {
                        filled.push(piece.as_bytes());
                    }
                    filled.push(b"=");
                    filled.push(value.as_ref());
                    self.fits(&filled)?;
                }
                Ok(("application/x-www-form-urlencoded", filled))
            }
        }
    }

    /// The parts, one after the other, each written as its place wants it.
    fn text(&mut self, parts: &[Part], url: &Url, how: Write) -> Result<Filled, Cause> {
        let mut filled = Filled(Vec::new());
        for part in parts {
            match part {
                // In JSON the guest writes the quotes, and what is between its slots.
                Part::Text(text) if how == Write::Json => filled.push(text.as_bytes()),
                Part::Text(text) => write(&mut filled, text, how),
                Part::Secret(slot) => {
                    write(&mut filled, self.purse.get(slot, url)?.expose(), how);
                }
                Part::Jwt(asked) => {
                    let token = sign::jwt(asked, self.purse.get(&asked.key, url)?, self.now)?;
                    write(&mut filled, token.expose(), how);
                    self.purse.derive(token)?;
                }
                Part::Hmac(asked) => {
                    let made = sign::hmac(&asked.text, self.purse.get(&asked.key, url)?);
                    write(&mut filled, made.expose(), how);
                    self.purse.derive(made)?;
                }
            }
            self.fits(&filled)?;
        }
        Ok(filled)
    }

    fn fits(&self, filled: &Filled) -> Result<(), Cause> {
        if filled.0.len() <= self.limits.request {
            return Ok(());
        }
        Err(Cause::TooMuch {
            what: "bytes of a request",
            most: self.limits.request,
        })
    }
}

/// How a secret is written where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Plain,
    Json,
    Form,
}

fn write(filled: &mut Filled, text: &str, how: Write) {
    match how {
        Write::Plain => filled.push(text.as_bytes()),
        Write::Json => {
            let quoted = Secret::new(serde_json::Value::from(text).to_string());
            let inside = quoted.expose().strip_prefix('"');
            let inside = inside.and_then(|text| text.strip_suffix('"'));
            filled.push(inside.unwrap_or_default().as_bytes());
        }
        Write::Form => {
            for piece in byte_serialize(text.as_bytes()) {
                filled.push(piece.as_bytes());
            }
        }
    }
}

fn header_name(text: &str) -> Result<HeaderName, Cause> {
    let name = HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| Cause::Request(format!("a header named {:?}", shown(text))))?;
    let plain = name.as_str();
    let ours = OURS.contains(&plain) || OURS_BEGINNING.iter().any(|begin| plain.starts_with(begin));
    if ours {
        return Err(Cause::Request(format!(
            "the header {plain}, which is the host's to set"
        )));
    }
    Ok(name)
}
