//! GitHub and GitLab, played: servers that answer as those forges' APIs do.
//!
//! Each request and answer of GitHub's is held against the description that GitHub publishes ([`description`]); GitLab's is in
//! no registry, so what its fake answers is read by the types of a client that others wrote (`tests/forges/main.go`), as GitHub's
//! is by GitHub's own client. What the provider asks is held against the fields that GitLab's documentation names. What they
//! deliberately don't: serve git, or forgive. What was wrong is kept, and a scenario ends with [`Fake::faults`].

#![expect(
    clippy::indexing_slicing,
    reason = "what forges keep is drawn as JSON, in tests only"
)]

mod description;
mod github;
mod gitlab;
mod things;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context as _, bail, ensure};
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use github::GitHub;
use gitlab::GitLab;
use things::Things;

use crate::git::{Auth, HttpServer};

pub use github::App;

/// What was published, and the clients that others wrote: put together by `tests/forges/build.sh`.
pub fn published() -> anyhow::Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|why| format!("{why:#}")));
    match built {
        Ok(path) => Ok(path),
        Err(why) => bail!("{why}"),
    }
}

fn build() -> anyhow::Result<PathBuf> {
    let script = crate::root().join("tests/forges/build.sh");
    let out = Command::new(&script)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} cannot be run", script.display()))?;
    ensure!(out.status.success(), "tests/forges/build.sh failed");
    let path = String::from_utf8(out.stdout).context("build.sh prints one path")?;
    Ok(PathBuf::from(path.trim()))
}

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`
    pub method: String,
    /// Below the API, decoded piece by piece.
    pub path: Vec<String>,
    /// What follows the question mark.
    pub query: BTreeMap<String, String>,
    /// What says who asks.
    proof: String,
    /// The body; null without one.
    pub body: Value,
}

impl Asked {
    /// The path as it is written in descriptions.
    fn shown(&self) -> String {
        format!("/{}", self.path.join("/"))
    }
}

/// An answer.
#[derive(Debug, Clone)]
struct Told {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Told {
    fn new(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Some(body),
        }
    }

    fn nothing() -> Self {
        Self {
            status: 204,
            headers: Vec::new(),
            body: None,
        }
    }
}

enum Kind {
    GitHub(Box<GitHub>),
    GitLab(Box<GitLab>),
}

impl Kind {
    fn things(&mut self) -> &mut Things {
        match self {
            Self::GitHub(forge) => &mut forge.things,
            Self::GitLab(forge) => &mut forge.things,
        }
    }
}

struct State {
    kind: Kind,
    at: SocketAddr,
    /// How many requests are still refused as being too many.
    limited: usize,
    asked: Vec<Asked>,
    /// What was answered with nothing, since whoever asked had it already.
    unchanged: Vec<String>,
    faults: Vec<String>,
    /// Where what is no API is asked for.
    git: Option<String>,
}

/// A forge that is played.
pub struct Fake {
    state: Arc<Mutex<State>>,
    at: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// A GitHub Enterprise Server with these repositories (`acme/shop`), and an App that is installed on them with all rights.
    pub async fn github(repos: &[&str]) -> anyhow::Result<Self> {
        let forge = GitHub::new(published()?, repos)?;
        Self::start(Kind::GitHub(Box::new(forge))).await
    }

    /// A GitLab below the path `/gitlab` with these projects, and a token that may do all.
    pub async fn gitlab(projects: &[&str]) -> anyhow::Result<Self> {
        Self::start(Kind::GitLab(Box::new(GitLab::new(projects)))).await
    }

    async fn start(kind: Kind) -> anyhow::Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let at = socket.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            kind,
            at,
            limited: 0,
            asked: Vec::new(),
            unchanged: Vec::new(),
            faults: Vec::new(),
            git: None,
        }));
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let task = tokio::spawn(async move {
            axum::serve(socket, app).await.ok();
        });
        Ok(Self { state, at, task })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where its API is.
    #[must_use]
    pub fn api(&self) -> String {
        let path = match self.lock().kind {
            Kind::GitHub(_) => "api/v3",
            Kind::GitLab(_) => "gitlab/api/v4",
        };
        format!("http://{}/{path}", self.at)
    }

    /// Host and port, as grants name it.
    #[must_use]
    pub fn host(&self) -> String {
        self.at.to_string()
    }

    /// From now on the repositories of this git server are at its own port, too.
    pub fn serve(&self, git: &HttpServer) {
        self.lock().git = Some(git.url("").trim_end_matches('/').to_owned());
    }

    /// The address of a repository there.
    #[must_use]
    pub fn url(&self, repo: &str) -> String {
        format!("http://{}/{repo}", self.at)
    }

    /// GitHub's App.
    pub fn app(&self) -> anyhow::Result<App> {
        match &self.lock().kind {
            Kind::GitHub(forge) => Ok(forge.app.clone()),
            Kind::GitLab(_) => bail!("a GitLab has no Apps"),
        }
    }

    /// Whom a git server beside it lets in: GitHub's tokens of the App as they are made, GitLab's one.
    #[must_use]
    pub fn lets_in(&self) -> Auth {
        match &self.lock().kind {
            Kind::GitHub(forge) => {
                let (all, pushing) = (&forge.for_git, &forge.for_pushes);
                let user = "x-access-token".to_owned();
                Auth::OneOf(user, Arc::clone(all), Arc::clone(pushing))
            }
            Kind::GitLab(forge) => Auth::Basic("oauth2".to_owned(), forge.token.clone()),
        }
    }

    /// The passwords of those, newest last.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        match &self.lock().kind {
            Kind::GitHub(forge) => {
                let all = forge.for_git.lock();
                all.unwrap_or_else(PoisonError::into_inner).clone()
            }
            Kind::GitLab(forge) => vec![forge.token.clone()],
        }
    }

    /// The passwords of those that may push, newest last.
    #[must_use]
    pub fn pushing(&self) -> Vec<String> {
        match &self.lock().kind {
            Kind::GitHub(forge) => {
                let all = forge.for_pushes.lock();
                all.unwrap_or_else(PoisonError::into_inner).clone()
            }
            Kind::GitLab(forge) => vec![forge.token.clone()],
        }
    }

    /// How many tokens were made, for whatever.
    #[must_use]
    pub fn made(&self) -> usize {
        let made = |asked: &String| asked.starts_with("POST ") && asked.ends_with("/access_tokens");
        self.asked().iter().filter(|asked| made(asked)).count()
    }

    /// Every token that was made until now is none any more.
    pub fn end_tokens(&self) {
        if let Kind::GitHub(forge) = &mut self.lock().kind {
            forge.end_tokens();
        }
    }

    /// From now on the App's installation lacks a permission: `administration`.
    pub fn forbid(&self, permission: &str) {
        if let Kind::GitHub(forge) = &mut self.lock().kind {
            forge.forbid(permission);
        }
    }

    /// So many requests are refused as being too many.
    pub fn limit(&self, requests: usize) {
        self.lock().limited = requests;
    }

    /// What a repository has: its `keys`, `hooks`, `statuses`, `pulls`, in the forge's own words.
    #[must_use]
    pub fn has(&self, repo: &str, what: &'static str) -> Vec<Value> {
        self.lock().kind.things().of(repo, what).clone()
    }

    /// Somebody changes that by hand.
    pub fn by_hand(&self, repo: &str, what: &'static str, change: impl FnOnce(&mut Vec<Value>)) {
        change(self.lock().kind.things().of(repo, what));
    }

    /// What it was asked, with the method before each path.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        let state = self.lock();
        let shown = |asked: &Asked| format!("{} {}", asked.method, asked.shown());
        state.asked.iter().map(shown).collect()
    }

    /// Those of which it said that nothing has changed: what does not count against the limit of requests.
    #[must_use]
    pub fn unchanged(&self) -> Vec<String> {
        self.lock().unchanged.clone()
    }

    /// Forgets the faults until now: what was put there by hand was no answer of its own.
    pub fn forgive(&self) {
        self.lock().faults.clear();
    }

    /// Fails with every request and answer that is not as it is published.
    pub fn faults(&self) -> anyhow::Result<()> {
        let faults = &self.lock().faults;
        ensure!(faults.is_empty(), "{}", faults.join("\n"));
        Ok(())
    }
}

async fn answer(
    Shared(state): Shared<Arc<Mutex<State>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<axum::body::Body> {
    let git = {
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.git.clone().filter(|_| below(&uri).is_none())
    };
    if let Some(git) = git {
        return pass_on(&format!("{git}{uri}"), method, headers, body).await;
    }
    let told = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.answer(&method, &uri, &headers, &body)
    };
    let mut answer = Response::builder()
        .status(StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header("content-type", "application/json; charset=utf-8");
    for (name, value) in &told.headers {
        answer = answer.header(*name, value);
    }
    let body = told.body.map(|body| body.to_string()).unwrap_or_default();
    answer.body(body.into()).unwrap_or_default()
}

impl State {
    fn answer(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Told {
        let asked = match read(method, uri, headers, body) {
            Ok(asked) => asked,
            Err(why) => {
                self.faults.push(format!("{method} {uri}: {why:#}"));
                return Told::new(400, serde_json::json!({"message": "Problems parsing JSON"}));
            }
        };
        self.asked.push(asked.clone());
        if self.limited > 0 {
            self.limited -= 1;
            let mut told = Told::new(429, serde_json::json!({"message": "Too many requests"}));
            told.headers.push(("retry-after", "2".to_owned()));
            return told;
        }
        let (at, faults) = (self.at, &mut self.faults);
        let told = match &mut self.kind {
            Kind::GitHub(forge) => forge.answer(&asked, at, faults),
            Kind::GitLab(forge) => forge.answer(&asked, at, faults),
        };
        self.sparing(&asked, headers, told)
    }

    /// The answer with the name of its state, or without a body where whoever asks knows that state.
    fn sparing(&mut self, asked: &Asked, headers: &HeaderMap, mut told: Told) -> Told {
        let body = told.body.as_ref().filter(|_| told.status == 200);
        let Some(body) = body.filter(|_| asked.method == "GET") else {
            return told;
        };
        // Another token is told another state, as GitHub does it.
        let digest = Sha256::digest(format!("{body} {:?} {}", told.headers, asked.proof));
        let state = format!("W/\"{}\"", hex::encode(digest));
        let known = headers.get("if-none-match");
        if known.is_some_and(|known| known.as_bytes() == state.as_bytes()) {
            let shown = format!("{} {}", asked.method, asked.shown());
            self.unchanged.push(shown);
            (told.status, told.body) = (304, None);
        }
        told.headers.push(("etag", state));
        told
    }
}

/// What a git server behind it answers.
async fn pass_on(
    url: &str,
    method: Method,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response<axum::body::Body> {
    headers.remove("host");
    let sent = async {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let asked = client.request(method, url).headers(headers).body(body);
        let answer = asked.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
    };
    let Ok((status, headers, body)) = sent.await else {
        return Response::new("the git server cannot be reached".into());
    };
    let mut told = Response::new(body.into());
    *told.status_mut() = status;
    for name in ["content-type", "www-authenticate", "cache-control"] {
        if let Some(value) = headers.get(name) {
            told.headers_mut().insert(name, value.clone());
        }
    }
    told
}

/// What is asked for below the API.
fn below(uri: &Uri) -> Option<&str> {
    let mut apis = ["/api/v3/", "/gitlab/api/v4/"].into_iter();
    apis.find_map(|api| uri.path().strip_prefix(api))
}

fn read(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> anyhow::Result<Asked> {
    let pieces = below(uri).context("it is not below the API")?.split('/');
    let whole = reqwest::Url::parse(&format!("http://fake{uri}"))?;
    let text = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (bearer, private) = (text("authorization"), text("private-token"));
    Ok(Asked {
        method: method.to_string(),
        path: pieces.map(decoded).collect::<anyhow::Result<_>>()?,
        query: whole.query_pairs().into_owned().collect(),
        proof: if private.is_empty() { bearer } else { private },
        body: match body {
            [] => Value::Null,
            body => serde_json::from_slice(body).context("its body is no JSON")?,
        },
    })
}

/// A piece of a path without its `%2F`.
fn decoded(piece: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let mut rest = piece.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next(), rest.next()].map(Option::unwrap_or_default);
                u8::from_str_radix(std::str::from_utf8(&digits)?, 16)?
            }
            plain => plain,
        });
    }
    Ok(String::from_utf8(bytes)?)
}
