//! GitHub: an App whose tokens it makes, and what it keeps of repositories. What it answers is what it shows as examples of
//! itself, with the fields that matter.

mod pulls;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, anyhow, ensure};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::description::Description;
use super::things::{Things, page};
use super::{Asked, Told};
use crate::secrecy;

/// Where its API is.
const API: &str = "api/v3";
/// How many things a page has unless it is said.
const USUAL: usize = 30;
/// Who is no collaborator of anything.
const NOBODY: &str = "nobody";

/// A GitHub App.
#[derive(Debug, Clone)]
pub struct App {
    /// Its id.
    pub id: u64,
    /// Its installation.
    pub installation: u64,
    /// Its private key, in PEM.
    pub key: String,
    public: Vec<u8>,
}

impl App {
    fn new() -> anyhow::Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("no key"))?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| anyhow!("no key"))?;
        let body = STANDARD.encode(der.as_ref());
        let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
        let lines: Vec<&str> = body
            .as_bytes()
            .chunks(64)
            .filter_map(|line| std::str::from_utf8(line).ok())
            .collect();
        let key = format!("{begin}\n{}\n{end}\n", lines.join("\n"));
        secrecy::used(&key);
        Ok(Self {
            id: 1234,
            installation: 77,
            key,
            public: pair.public_key().as_ref().to_vec(),
        })
    }

    /// Whether a token of the App's own is one that GitHub takes.
    fn signed(&self, proof: &str) -> anyhow::Result<()> {
        let token = proof
            .strip_prefix("Bearer ")
            .or_else(|| proof.strip_prefix("bearer "));
        let token = token.context("a bearer")?;
        let (text, signature) = token.rsplit_once('.').context("a signature")?;
        let (header, claims) = text.split_once('.').context("claims")?;
        let read = |text: &str| -> anyhow::Result<Value> {
            Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text)?)?)
        };
        ensure!(read(header)?["alg"] == "RS256", "another algorithm");
        let claims = read(claims)?;
        let issuer = claims["iss"].to_string();
        ensure!(issuer.trim_matches('"') == self.id.to_string(), "{issuer}");
        let time = |name: &str| claims[name].as_i64().context("a time");
        let now = Timestamp::now().as_second();
        ensure!(time("iat")? <= now, "it is of the future");
        ensure!(
            time("exp")? > now && time("exp")? <= now + 600,
            "it lives too long"
        );
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public);
        let signature = URL_SAFE_NO_PAD.decode(signature)?;
        let verified = key.verify(text.as_bytes(), &signature);
        verified.map_err(|_| anyhow!("signed by somebody else"))
    }
}

/// What a token of an installation is for.
struct Scope {
    repos: BTreeSet<String>,
    permissions: BTreeMap<String, String>,
}

pub(super) struct GitHub {
    description: Description,
    pub(super) app: App,
    repos: BTreeSet<String>,
    forbidden: BTreeSet<String>,
    tokens: Vec<(String, Scope)>,
    /// Those that let their bearer in with git.
    pub(super) for_git: Arc<Mutex<Vec<String>>>,
    /// Those of them that may push.
    pub(super) for_pushes: Arc<Mutex<Vec<String>>>,
    pub(super) things: Things,
}

type Answered = Result<Told, Told>;

fn refused(status: u16, message: &str) -> Told {
    let url = "https://docs.github.com/rest";
    let mut body = json!({"message": message, "documentation_url": url});
    if status == 401 || status == 403 || status == 404 {
        body["status"] = json!(status.to_string());
    }
    Told::new(status, body)
}

/// What GitHub says of a field that it does not take.
fn invalid(resource: &str, field: &str, message: &str) -> Told {
    let error = json!({"resource": resource, "code": "custom", "field": field, "message": message});
    let mut told = refused(422, "Validation Failed");
    if let Some(body) = &mut told.body {
        body["errors"] = json!([error]);
    }
    told
}

impl GitHub {
    pub(super) fn new(published: &Path, repos: &[&str]) -> anyhow::Result<Self> {
        Ok(Self {
            description: Description::read(&published.join("github.json"))?,
            app: App::new()?,
            repos: repos.iter().map(|&repo| repo.to_owned()).collect(),
            forbidden: BTreeSet::new(),
            tokens: Vec::new(),
            for_git: Arc::default(),
            for_pushes: Arc::default(),
            things: Things::default(),
        })
    }

    pub(super) fn forbid(&mut self, permission: &str) {
        self.forbidden.insert(permission.to_owned());
    }

    pub(super) fn end_tokens(&mut self) {
        self.tokens.clear();
        for all in [&self.for_git, &self.for_pushes] {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.clear();
        }
    }

    pub(super) fn answer(
        &mut self,
        asked: &Asked,
        at: SocketAddr,
        faults: &mut Vec<String>,
    ) -> Told {
        let told = self.attempt(asked, at).unwrap_or_else(|refused| refused);
        faults.extend(self.description.check(asked, &told));
        told
    }

    fn attempt(&mut self, asked: &Asked, at: SocketAddr) -> Answered {
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (asked.method.as_str(), path.as_slice()) {
            ("POST", ["app", "installations", id, "access_tokens"]) => self.make(asked, id),
            ("GET", ["repos", owner, repo, "installation"]) => {
                self.installation(asked, &format!("{owner}/{repo}"))
            }
            (_, ["repos", owner, repo, rest @ ..]) => {
                let repo = format!("{owner}/{repo}");
                self.admit(asked, &repo, rest)?;
                self.of_repo(asked, at, &repo, rest)
            }
            _ => Err(refused(404, "Not Found")),
        }
    }

    fn as_app(&self, asked: &Asked) -> Result<(), Told> {
        let signed = self.app.signed(&asked.proof);
        signed.map_err(|why| {
            refused(
                401,
                &format!("A JSON web token could not be decoded: {why}"),
            )
        })
    }

    fn installation(&self, asked: &Asked, repo: &str) -> Answered {
        self.as_app(asked)?;
        if !self.repos.contains(repo) {
            return Err(refused(404, "Not Found"));
        }
        let template = "/repos/{owner}/{repo}/installation";
        let mut told = self.description.example("GET", template, "200");
        told["id"] = json!(self.app.installation);
        told["app_id"] = json!(self.app.id);
        Ok(Told::new(200, told))
    }

    fn make(&mut self, asked: &Asked, id: &str) -> Answered {
        self.as_app(asked)?;
        if id != self.app.installation.to_string() {
            return Err(refused(404, "Not Found"));
        }
        let named = asked.body["repositories"].as_array().map(|all| {
            let owner = self.repos.first().and_then(|repo| repo.split_once('/'));
            let owner = owner.map(|(owner, _)| owner).unwrap_or_default();
            let names = all.iter().filter_map(Value::as_str);
            names.map(|name| format!("{owner}/{name}")).collect()
        });
        let repos: BTreeSet<String> = named.unwrap_or_else(|| self.repos.clone());
        if !repos.is_subset(&self.repos) {
            let message = "There is at least one repository that does not exist or is not accessible to the parent installation.";
            return Err(refused(422, message));
        }
        let all = [
            "contents",
            "administration",
            "repository_hooks",
            "statuses",
            "pull_requests",
        ];
        let granted = |name: &&str| !self.forbidden.contains(*name);
        let granted: Vec<&str> = all.into_iter().filter(granted).collect();
        let permissions: BTreeMap<String, String> = match asked.body["permissions"].as_object() {
            Some(wanted) => wanted
                .iter()
                .map(|(name, level)| (name.clone(), level.as_str().unwrap_or_default().to_owned()))
                .collect(),
            None => granted
                .iter()
                .map(|&name| (name.to_owned(), "write".to_owned()))
                .collect(),
        };
        if permissions
            .keys()
            .any(|name| !granted.contains(&name.as_str()))
        {
            let message = "The permissions requested are not granted to this installation.";
            return Err(refused(422, message));
        }
        let token = format!("ghs_{:032x}", rand::random::<u128>());
        secrecy::used(&token);
        let template = "/app/installations/{installation_id}/access_tokens";
        let mut told = self.description.example("POST", template, "201");
        let end = Timestamp::now() + SignedDuration::from_hours(1);
        told["token"] = json!(token);
        told["expires_at"] = json!(end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        told["permissions"] = json!(permissions);
        let level = permissions.get("contents").map(String::as_str);
        let (reads, writes) = (level.is_some(), level == Some("write"));
        for (is, all) in [(reads, &self.for_git), (writes, &self.for_pushes)] {
            if is {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(token.clone());
            }
        }
        self.tokens.push((token, Scope { repos, permissions }));
        Ok(Told::new(201, told))
    }

    /// Whether the token is for this repository and for this.
    fn admit(&self, asked: &Asked, repo: &str, rest: &[&str]) -> Result<(), Told> {
        let token = asked.proof.split_once(' ').map(|(_, token)| token);
        let found = self
            .tokens
            .iter()
            .find(|(made, _)| Some(made.as_str()) == token);
        let (_, scope) = found.ok_or_else(|| refused(401, "Bad credentials"))?;
        if !scope.repos.contains(repo) {
            return Err(refused(404, "Not Found"));
        }
        let permission = match rest {
            ["keys", ..] => "administration",
            ["hooks", ..] => "repository_hooks",
            ["commits", ..] | ["statuses", ..] => "statuses",
            _ => "pull_requests",
        };
        let level = scope.permissions.get(permission).map(String::as_str);
        let reads = asked.method == "GET" && level.is_some();
        match reads || level == Some("write") {
            true => Ok(()),
            false => Err(refused(403, "Resource not accessible by integration")),
        }
    }

    fn of_repo(&mut self, asked: &Asked, at: SocketAddr, repo: &str, rest: &[&str]) -> Answered {
        let things = &mut self.things;
        let gone = || refused(404, "Not Found");
        let removed = |there: bool| {
            if there {
                Ok(Told::nothing())
            } else {
                Err(gone())
            }
        };
        match (asked.method.as_str(), rest) {
            ("GET", ["keys"]) => {
                let all = things.of(repo, "keys").clone();
                Ok(page(all, asked, at, API, USUAL))
            }
            ("POST", ["keys"]) => self.add_key(asked, repo),
            ("GET", ["keys", id]) => match things.find(repo, "keys", "id", id) {
                Some(key) => Ok(Told::new(200, key.clone())),
                None => Err(gone()),
            },
            ("DELETE", ["keys", id]) => removed(things.remove(repo, "keys", id)),
            ("GET", ["hooks"]) => {
                let all = things.of(repo, "hooks").iter().map(shown).collect();
                Ok(page(all, asked, at, API, USUAL))
            }
            ("POST", ["hooks"]) => self.add_hook(asked, repo),
            ("PATCH", ["hooks", id]) => {
                let hook = things.find(repo, "hooks", "id", id).ok_or_else(gone)?;
                for name in ["active", "events", "config"] {
                    if let Some(value) = asked.body.get(name) {
                        hook[name] = value.clone();
                    }
                }
                Ok(Told::new(200, shown(hook)))
            }
            ("DELETE", ["hooks", id]) => removed(things.remove(repo, "hooks", id)),
            ("GET", ["commits", sha, "statuses"]) => {
                let all = things.of(repo, "statuses").iter().rev();
                let all = all.filter(|one| one["sha"] == **sha).map(bare).collect();
                Ok(page(all, asked, at, API, USUAL))
            }
            ("POST", ["statuses", sha]) => Ok(self.add_status(asked, repo, sha)),
            // Everybody but one is a collaborator.
            ("GET", ["collaborators", name]) if *name != NOBODY => Ok(Told::nothing()),
            (_, ["pulls" | "issues", ..]) => self.of_pulls(asked, at, repo, rest),
            _ => Err(gone()),
        }
    }

    fn add_key(&mut self, asked: &Asked, repo: &str) -> Answered {
        let content = |key: &Value| -> Vec<String> {
            let text = key.as_str().unwrap_or_default();
            text.split_whitespace().take(2).map(str::to_owned).collect()
        };
        let wanted = content(&asked.body["key"]);
        for repo in self.repos.clone() {
            let mut all = self.things.of(&repo, "keys").iter();
            if all.any(|known| content(&known["key"]) == wanted) {
                return Err(invalid("PublicKey", "key", "key is already in use"));
            }
        }
        let mut key = self
            .description
            .example("POST", "/repos/{owner}/{repo}/keys", "201");
        key["id"] = json!(self.things.number());
        key["key"] = json!(wanted.join(" "));
        key["title"] = asked.body["title"].clone();
        key["read_only"] = json!(asked.body["read_only"] == true);
        self.things.of(repo, "keys").push(key.clone());
        Ok(Told::new(201, key))
    }

    fn add_hook(&mut self, asked: &Asked, repo: &str) -> Answered {
        let same = |one: &Value| one["config"]["url"] == asked.body["config"]["url"];
        if self.things.of(repo, "hooks").iter().any(same) {
            return Err(invalid(
                "Hook",
                "url",
                "Hook already exists on this repository",
            ));
        }
        let mut hook = self
            .description
            .example("POST", "/repos/{owner}/{repo}/hooks", "201");
        hook["id"] = json!(self.things.number());
        hook["active"] = json!(asked.body["active"] != false);
        hook["events"] = match &asked.body["events"] {
            Value::Null => json!(["push"]),
            events => events.clone(),
        };
        hook["config"] = asked.body["config"].clone();
        let told = shown(&hook);
        self.things.of(repo, "hooks").push(hook);
        Ok(Told::new(201, told))
    }

    fn add_status(&mut self, asked: &Asked, repo: &str, sha: &str) -> Told {
        let template = "/repos/{owner}/{repo}/statuses/{sha}";
        let mut status = self.description.example("POST", template, "201");
        status["id"] = json!(self.things.number());
        status["target_url"] = Value::Null;
        lay(
            &mut status,
            &asked.body,
            &["state", "context", "description", "target_url"],
        );
        let told = status.clone();
        status["sha"] = json!(sha);
        self.things.of(repo, "statuses").push(status);
        Told::new(201, told)
    }
}

/// A hook as it is told: its secret is not.
fn shown(hook: &Value) -> Value {
    let mut told = hook.clone();
    if told["config"].get("secret").is_some() {
        told["config"]["secret"] = json!("********");
    }
    told
}

/// A status without the commit, which GitHub does not repeat.
fn bare(status: &Value) -> Value {
    let mut told = status.clone();
    told.as_object_mut().map(|told| told.remove("sha"));
    told
}

/// Puts the fields that are there into a thing.
fn lay(thing: &mut Value, from: &Value, names: &[&str]) {
    for name in names {
        if let Some(value) = from.get(*name) {
            thing[*name] = value.clone();
        }
    }
}
