//! Git's smart HTTP over our client.
//!
//! Credentials go to the URL's own host and scheme only. A redirect is followed for the first request (forges move
//! repositories, and from http to https), if it stays on the host; any other is told as an error. What it deliberately
//! doesn't: send a body before it is complete; requests are bounded, answers are streamed and counted.

mod exchange;
mod greeting;

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gix::url::Url as GitUrl;
use gix_protocol::transport::Service;
use gix_protocol::transport::client::blocking_io::Transport as GitTransport;
use gix_protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse, Transport,
};
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use crate::git::wire::{Wire, printable};
use crate::git::{Cause, Credential, Remote, egress};
use exchange::{Body, Exchange, Headers, PostBody};
pub(in crate::git) use greeting::Greeting;

/// Some forges answer a git client differently from a browser, by this name.
const AGENT: &str = concat!("git/2.0 (reeve/", env!("CARGO_PKG_VERSION"), ")");
const MAX_REDIRECTS: usize = 5;
/// What is read of the words with which something is forbidden.
const MAX_WORDS: usize = 1000;

pub(super) fn open(
    remote: &Remote,
    service: Service,
    credential: &Credential,
    (client, greeting): (reqwest::Client, Greeting),
    wire: &Arc<Wire>,
) -> Result<Box<dyn GitTransport + Send>, Cause> {
    let plain = remote.url.without_userinfo();
    let denied = |source| Cause::Egress {
        url: plain.clone(),
        source,
    };
    remote
        .egress
        .admit_literal(remote.url.host())
        .map_err(denied)?;
    if let Some(proxy) = &remote.proxy {
        remote.egress.admit_literal(proxy.host()).map_err(denied)?;
        admit_behind_proxy(remote, wire)?;
    }
    let unusable = |why| Cause::Url {
        url: plain.clone(),
        why,
    };
    let url = GitUrl::try_from(plain.as_str()).map_err(|_| unusable("git cannot read it"))?;
    let web = Web {
        client,
        greeting,
        wire: Arc::clone(wire),
        authorization: authorization(credential)
            .map_err(|()| unusable("the credential cannot be put into a header"))?,
        anonymous: matches!(credential, Credential::Anonymous),
        writes: service == Service::ReceivePack,
        moved: None,
    };
    let protocol = super::protocol(service);
    Ok(Box::new(Transport::new_http(web, url, protocol, false)))
}

/// A proxy resolves names itself, perhaps differently; what we can see leads to a private address is refused anyway.
fn admit_behind_proxy(remote: &Remote, wire: &Wire) -> Result<(), Cause> {
    let looked_up = remote.egress.lookup(remote.url.host(), remote.url.port());
    match wire.wait("resolving the host", looked_up) {
        Ok(Err(source @ (egress::Denied::Address { .. } | egress::Denied::Resolved { .. }))) => {
            Err(Cause::Egress {
                url: wire.url(),
                source,
            })
        }
        Ok(_) => Ok(()),
        Err(error) => Err(wire.cause("resolving the host", &error)),
    }
}

fn authorization(credential: &Credential) -> Result<Option<HeaderValue>, ()> {
    let text = match credential {
        Credential::Basic { user, password } | Credential::Made { user, password, .. } => {
            format!(
                "Basic {}",
                STANDARD.encode(format!("{user}:{}", password.expose()))
            )
        }
        Credential::Bearer(token) => format!("Bearer {}", token.expose()),
        Credential::Anonymous | Credential::Ssh(_) => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| ())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

struct Web {
    client: reqwest::Client,
    greeting: Greeting,
    wire: Arc<Wire>,
    authorization: Option<HeaderValue>,
    anonymous: bool,
    /// Whether something is to be sent, which fewer may than fetch.
    writes: bool,
    /// Where the repository turned out to be.
    moved: Option<String>,
}

impl Http for Web {
    type Headers = Headers;
    type ResponseBody = Body;
    type PostBody = PostBody;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::error::Result<GetResponse<Headers, Body>> {
        if let Some(response) = self.greeting.again() {
            let exchange = Exchange::done(&self.wire, response);
            return Ok(GetResponse {
                headers: exchange.headers(),
                body: exchange.body(),
            });
        }
        let headers = header_map(headers);
        let tail = url.strip_prefix(base_url).unwrap_or_default().to_owned();
        let mut target = self.parse(url).map_err(gix::Error::from_error)?;
        for _ in 0..MAX_REDIRECTS {
            let response = self
                .send(Method::GET, &target, headers.clone(), Vec::new())
                .map_err(gix::Error::from_error)?;
            if !response.status().is_redirection() {
                let mut hearing = None;
                if target.as_str() == url {
                    hearing = Some(self.greeting.hear(response.headers()));
                } else {
                    self.moved = target.as_str().strip_suffix(&tail).map(str::to_owned);
                }
                let exchange = Exchange::done(&self.wire, response);
                return Ok(GetResponse {
                    headers: exchange.headers(),
                    body: exchange.heard_body(hearing),
                });
            }
            target = self
                .redirected(&target, &tail, response.headers())
                .map_err(gix::Error::from_error)?;
        }
        let to = "itself, over and over".to_owned();
        let failed = self.wire.fail(Cause::Redirect {
            url: self.wire.url(),
            to,
        });
        Err(gix::Error::from_error(failed))
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::error::Result<PostResponse<Headers, Body, PostBody>> {
        let target = self.parse(url).map_err(gix::Error::from_error)?;
        let exchange = Exchange::waiting(self.clone_for(target), header_map(headers));
        Ok(PostResponse {
            post_body: exchange.post_body(),
            headers: exchange.headers(),
            body: exchange.body(),
        })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix::error::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.moved.clone()
    }
}

/// One request that is ready but for its body.
struct Prepared {
    web: Web,
    target: Url,
}

impl Web {
    fn clone_for(&self, target: Url) -> Prepared {
        let web = Self {
            client: self.client.clone(),
            greeting: self.greeting.clone(),
            wire: Arc::clone(&self.wire),
            authorization: self.authorization.clone(),
            anonymous: self.anonymous,
            writes: self.writes,
            moved: None,
        };
        Prepared { web, target }
    }

    fn parse(&self, url: &str) -> io::Result<Url> {
        Url::parse(url).map_err(|_| {
            self.wire.fail(Cause::Url {
                url: self.wire.url(),
                why: "it is not a URL",
            })
        })
    }

    /// Sends a request and takes its answer if it is one (or a redirect).
    fn send(
        &self,
        method: Method,
        target: &Url,
        mut headers: HeaderMap,
        body: Vec<u8>,
    ) -> io::Result<reqwest::Response> {
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let request = self
            .client
            .request(method, target.clone())
            .headers(headers)
            .body(body);
        let response = self
            .wire
            .wait("waiting for the server's answer", request.send())?
            .map_err(|error| self.wire.fail(unreachable(&self.wire, error)))?;
        if self.writes && response.status() == StatusCode::FORBIDDEN {
            return Err(self.wire.fail(self.forbidden(response)));
        }
        match self.refusal(response.status()) {
            Some(cause) => Err(self.wire.fail(cause)),
            None => Ok(response),
        }
    }

    /// The credential was good, and what it was shown for is not allowed. Forges say why in the body, for people to read.
    fn forbidden(&self, mut response: reqwest::Response) -> Cause {
        let kind = response.headers().get(CONTENT_TYPE);
        let text = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
        let mut said = format!("it answered {}", response.status());
        if text
            && let Ok(Ok(Some(words))) = self
                .wire
                .wait("receiving from the server", response.chunk())
        {
            let words = words.get(..MAX_WORDS).unwrap_or(&words);
            said.push_str(": ");
            said.push_str(&String::from_utf8_lossy(words));
        }
        Cause::Forbidden {
            url: self.wire.url(),
            said: printable(&said),
        }
    }

    fn refusal(&self, status: StatusCode) -> Option<Cause> {
        let url = self.wire.url();
        match status {
            status if status.is_success() || status.is_redirection() => None,
            StatusCode::UNAUTHORIZED if self.anonymous => Some(Cause::AuthenticationRequired(url)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Some(Cause::AuthenticationRefused {
                    url,
                    why: format!("it answered {status}"),
                })
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Some(Cause::NotFound(url)),
            status => Some(Cause::Http {
                url,
                status: status.to_string(),
            }),
        }
    }

    /// Where a redirect leads, if it stays on the host and asks for the same thing.
    fn redirected(&self, from: &Url, tail: &str, headers: &HeaderMap) -> io::Result<Url> {
        let to = headers.get(LOCATION).and_then(|to| to.to_str().ok());
        let to = to.and_then(|to| from.join(to).ok());
        let refuse = |to: String| {
            self.wire.fail(Cause::Redirect {
                url: self.wire.url(),
                to,
            })
        };
        let Some(to) = to else {
            return Err(refuse("nowhere".to_owned()));
        };
        let upgraded = from.scheme() == "http"
            && to.scheme() == "https"
            && to.port().is_none()
            && from.port().is_none();
        let same = from.scheme() == to.scheme()
            && from.port_or_known_default() == to.port_or_known_default();
        let host = from.host_str() == to.host_str();
        let plain = to.username().is_empty() && to.password().is_none();
        if host && plain && (same || upgraded) && to.as_str().ends_with(tail) {
            return Ok(to);
        }
        Err(refuse(printable(&to.origin().ascii_serialization())))
    }
}

/// What reqwest says when there is no answer, without the URL.
fn unreachable(wire: &Wire, error: reqwest::Error) -> Cause {
    let error = error.without_url();
    let mut source: Option<&dyn std::error::Error> = Some(&error);
    let mut clauses: Vec<String> = Vec::new();
    while let Some(cause) = source {
        if let Some(denied) = cause.downcast_ref::<egress::Denied>() {
            return match denied {
                egress::Denied::Address { .. } | egress::Denied::Resolved { .. } => Cause::Egress {
                    url: wire.url(),
                    source: denied.told_again(),
                },
                egress::Denied::Lookup { .. } | egress::Denied::NoAddress(_) => {
                    Cause::Unreachable {
                        url: wire.url(),
                        why: denied.to_string(),
                    }
                }
            };
        }
        clauses.push(cause.to_string());
        source = cause.source();
    }
    // The innermost says what happened; those around it, that it was while sending a request.
    let why = clauses
        .iter()
        .rev()
        .take(2)
        .rev()
        .cloned()
        .collect::<Vec<_>>()
        .join(": ");
    Cause::Unreachable {
        url: wire.url(),
        why: printable(&why),
    }
}

/// `name: value` lines as gix makes them.
fn header_map(lines: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines {
        let Some((name, value)) = line.as_ref().split_once(':') else {
            continue;
        };
        let name = HeaderName::from_bytes(name.trim().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value.trim())) {
            map.append(name, value);
        }
    }
    map
}
