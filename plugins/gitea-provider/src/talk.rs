//! Requests to Gitea, notes to itself, and what Gitea's refusals mean.

use serde_json::{Value, json};

use crate::exports::reeve::plugin::provide::{
    Answer, Body, Header, HeaderValue, Next, Operation, Part, Refusal, Repository, Request,
};

/// How many Gitea is asked for at once; it gives no more than fifty.
const PAGE: usize = 50;
/// The slot that everything is asked with.
pub(crate) const TOKEN: &str = "token";

/// A Gitea, and the repository that this is about.
pub(crate) struct Gitea {
    api: String,
    /// `repos/acme/shop`, fit for a URL.
    repo: String,
    /// `acme/shop`
    pub(crate) name: String,
    /// Its host, for people.
    host: String,
    /// The user name of the config.
    pub(crate) username: Option<String>,
    pub(crate) over_http: bool,
}

/// What a step tells the next one.
#[derive(Default)]
pub(crate) struct Note {
    /// What was asked for.
    pub(crate) stage: String,
    /// The page of a list, and how many things were on those before.
    pub(crate) page: u64,
    seen: u64,
    /// Things that were found, by their ids.
    pub(crate) ids: Vec<u64>,
    /// Whether the first of them is as it should be.
    pub(crate) fits: bool,
    /// Labels that are to be set, and those that have to be made first.
    pub(crate) names: Vec<String>,
    pub(crate) todo: Vec<String>,
    /// Where the thing is that was made.
    pub(crate) url: String,
    /// Pull requests that were found.
    pub(crate) open: Vec<Value>,
}

impl Note {
    pub(crate) fn at(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn read(text: &str) -> Result<Self, Refusal> {
        let note: Value = serde_json::from_str(text)
            .map_err(|_| no("the provider's own note cannot be read: begin again"))?;
        let list = |name: &str| note[name].as_array().cloned().unwrap_or_default();
        let text = |name: &str| note[name].as_str().unwrap_or_default().to_owned();
        let texts = |name: &str| {
            let texts = list(name).into_iter();
            texts
                .filter_map(|text| Some(text.as_str()?.to_owned()))
                .collect()
        };
        Ok(Self {
            stage: text("stage"),
            page: note["page"].as_u64().unwrap_or_default(),
            seen: note["seen"].as_u64().unwrap_or_default(),
            ids: list("ids").iter().filter_map(Value::as_u64).collect(),
            fits: note["fits"] == true,
            names: texts("names"),
            todo: texts("todo"),
            url: text("url"),
            open: list("open"),
        })
    }

    fn write(&self) -> String {
        json!({
            "stage": self.stage, "page": self.page, "seen": self.seen, "ids": self.ids,
            "fits": self.fits, "names": self.names, "todo": self.todo, "url": self.url,
            "open": self.open,
        })
        .to_string()
    }
}

impl Gitea {
    pub(crate) fn of(operation: &Operation) -> Result<Self, Refusal> {
        let Repository { url, host, path } = &operation.repository;
        let config: Value = serde_json::from_str(&operation.config)
            .map_err(|why| no(format!("the config is not JSON: {why}")))?;
        let text = |name: &str| match &config[name] {
            Value::Null => Ok(None),
            Value::String(text) if !text.is_empty() => Ok(Some(text.clone())),
            _ => Err(no(format!("the config's {name} must be text"))),
        };
        let Some((owner, repo)) = path.split_once('/').filter(|(_, repo)| !repo.contains('/'))
        else {
            return Err(no(format!(
                "{path:?} is no repository of Gitea's: its URL ends with OWNER/NAME"
            )));
        };
        if !operation.slots.iter().any(|slot| slot == TOKEN) {
            return Err(no(
                "there is no access token: fill the slot `token` from a Secret, and grant it for this host",
            ));
        }
        let api = match text("api")? {
            Some(api) => api.trim_end_matches('/').to_owned(),
            None => beside(url, host),
        };
        Ok(Self {
            api,
            repo: format!("repos/{}/{}", escaped(owner), escaped(repo)),
            name: path.clone(),
            host: host.clone(),
            username: text("username")?,
            over_http: url.starts_with("https://") || url.starts_with("http://"),
        })
    }

    /// Asks for something outside of the repository.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<Body>, note: &Note) -> Next {
        let text = |text: &str| HeaderValue::Plain(vec![Part::Text(text.to_owned())]);
        let token = vec![
            Part::Text("token ".to_owned()),
            Part::Secret(TOKEN.to_owned()),
        ];
        let header = |name: &str, value| Header {
            name: name.to_owned(),
            value,
        };
        Next::Request(Request {
            method: method.to_owned(),
            url: format!("{}/{path}", self.api),
            headers: vec![
                header("authorization", HeaderValue::Plain(token)),
                header("accept", text("application/json")),
            ],
            body,
            secrets: Vec::new(),
            state: note.write(),
        })
    }

    /// Asks for something of the repository.
    pub(crate) fn of_repo(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        note: &Note,
    ) -> Next {
        let body = body.map(|body| Body::Json(vec![Part::Text(body.to_string())]));
        self.parts_of_repo(method, path, body, note)
    }

    /// The same with a body that holds a secret.
    pub(crate) fn parts_of_repo(
        &self,
        method: &str,
        path: &str,
        body: Option<Body>,
        note: &Note,
    ) -> Next {
        self.ask(method, &format!("{}/{path}", self.repo), body, note)
    }

    /// Asks for the next page of a list; `path` may end with a query.
    pub(crate) fn list(&self, path: &str, mut note: Note) -> Next {
        note.page += 1;
        let and = if path.contains('?') { '&' } else { '?' };
        let page = note.page;
        self.of_repo(
            "GET",
            &format!("{path}{and}limit={PAGE}&page={page}"),
            None,
            &note,
        )
    }

    /// The things on a page that was asked for, and whether there is another.
    pub(crate) fn page(
        &self,
        answer: &Answer,
        note: &mut Note,
        doing: &str,
    ) -> Result<(Vec<Value>, bool), Refusal> {
        let Value::Array(things) = self.json(answer, &[200], doing)? else {
            return Err(no(format!(
                "{} did not answer with a list to {doing}",
                self.host
            )));
        };
        note.seen += things.len() as u64;
        let header = |name: &str| answer.headers.iter().find(|(known, _)| known == name);
        let next = header("link").is_some_and(|(_, link)| link.contains("rel=\"next\""));
        let total = header("x-total-count").and_then(|(_, total)| total.parse().ok());
        let more = next || total.is_some_and(|total: u64| total > note.seen);
        Ok((things.clone(), more && !things.is_empty()))
    }

    /// The answer, if it is of one of these statuses.
    pub(crate) fn json(
        &self,
        answer: &Answer,
        good: &[u16],
        doing: &str,
    ) -> Result<Value, Refusal> {
        if !good.contains(&answer.status) {
            return Err(self.refusal(answer, doing));
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer.body).map_err(|_| {
            no(format!(
                "{} did not answer with JSON to {doing}: is {} where its API is?",
                self.host, self.api
            ))
        })
    }

    /// What an answer that is no success means, and what to do about it.
    pub(crate) fn refusal(&self, answer: &Answer, doing: &str) -> Refusal {
        let (host, name) = (&self.host, &self.name);
        let said = said(answer);
        no(match answer.status {
            300..=399 => format!(
                "{host} redirects to another address for {doing}: put the address of its API into the config's `api`"
            ),
            401 => format!(
                "{host} does not take the token{said}: put a valid access token into the slot `token`"
            ),
            403 => format!(
                "the token may not do this at {host}: {doing}{said}; give it the scope, and its user the right, to administer {name}"
            ),
            404 => format!(
                "{host} knows nothing of {name} for {doing}{said}: check the URL, and that the token's user may see the repository"
            ),
            423 => format!("{name} is archived at {host}: {doing} is not possible{said}"),
            429 => format!("{host} asks us to wait before {doing}{said}"),
            500..=599 => format!("{host} failed with {} at {doing}{said}", answer.status),
            status => format!("{host} answered {status} to {doing}{said}"),
        })
    }
}

/// Where the API is beside a repository.
fn beside(url: &str, host: &str) -> String {
    let parts = url
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "https" | "http"));
    match parts {
        Some((scheme, rest)) => {
            let authority = rest.split('/').next().unwrap_or(host);
            format!("{scheme}://{authority}/api/v1")
        }
        None => format!("https://{host}/api/v1"),
    }
}

/// Gitea's own words.
fn said(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    match body["message"].as_str().map(str::trim) {
        Some(message) if !message.is_empty() => {
            let message: String = message.chars().take(300).collect();
            format!(" ({message})")
        }
        _ => String::new(),
    }
}

/// A piece of a path, as a URL has it.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// An id of Gitea's.
pub(crate) fn id(thing: &Value) -> Option<u64> {
    thing["id"].as_u64()
}

pub(crate) fn no(message: impl Into<String>) -> Refusal {
    Refusal {
        message: message.into(),
        objects: Vec::new(),
    }
}
