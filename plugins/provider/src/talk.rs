//! Requests to a forge, lists in pages, and what its refusals mean.
//!
//! What it deliberately doesn't: wait. When a forge asks for that, the host keeps the time (a guest has no clock), and asks
//! nothing until it is over.

use serde_json::Value;

use crate::note::Note;
use crate::{
    Answer, Body, Done, Header, HeaderValue, Next, Operation, Part, Refusal, Repository, Request,
};

/// How much of a forge's own words is repeated.
const SAID: usize = 300;

/// The plugin's config.
pub struct Config(Value);

impl Config {
    /// That of an operation.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn of(operation: &Operation) -> Result<Self, Refusal> {
        serde_json::from_str(&operation.config)
            .map(Self)
            .map_err(|why| no(format!("the config is not JSON: {why}")))
    }

    /// An id of it, if it is set: it may be written as a number too.
    ///
    /// # Errors
    /// When it is something else, or empty.
    pub fn id(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0[name].as_u64() {
            Some(number) => Ok(Some(number.to_string())),
            None => self.text(name),
        }
    }

    /// A text of it, if it is set.
    ///
    /// # Errors
    /// When it is something else, or empty.
    pub fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match &self.0[name] {
            Value::Null => Ok(None),
            Value::String(text) if !text.is_empty() => Ok(Some(text.clone())),
            _ => Err(no(format!("the config's {name} must be text"))),
        }
    }
}

/// A forge, as whom it is spoken to, and the repository that this is about.
pub struct Talk {
    /// What it is: `GitHub`.
    pub forge: &'static str,
    /// How many things a page has, and what that is called: no forge gives more.
    pub pages: (&'static str, u64),
    /// Where its API is, without a slash at its end.
    pub api: String,
    /// The path of the repository below it: `repos/acme/shop`, fit for a URL.
    pub repo: String,
    /// `acme/shop`
    pub name: String,
    /// Its host, for people.
    pub host: String,
    /// The header that says who asks: its name, and a value that names a slot.
    pub proof: (&'static str, Vec<Part>),
    /// The media type to ask for.
    pub accept: &'static str,
    /// Further headers.
    pub headers: &'static [(&'static str, &'static str)],
    /// Who asks, for people: `the token`.
    pub who: &'static str,
    /// What to do when that is not taken.
    pub unknown: &'static str,
    /// The right that is missing when something is not allowed, and where it is given.
    pub needs: String,
}

impl Talk {
    /// Asks for something outside of the repository.
    pub fn ask(&self, method: &str, path: &str, body: Option<Body>, note: &Note) -> Next {
        Next::Request(self.request(method, path, body, note))
    }

    /// The same as a request, to add to.
    pub fn request(&self, method: &str, path: &str, body: Option<Body>, note: &Note) -> Request {
        let header = |name: &str, parts: Vec<Part>| Header {
            name: name.to_owned(),
            value: HeaderValue::Plain(parts),
        };
        let text = |text: &str| vec![Part::Text(text.to_owned())];
        let (proof, value) = &self.proof;
        let mut headers = vec![
            header(proof, value.clone()),
            header("accept", text(self.accept)),
        ];
        let further = self.headers.iter();
        headers.extend(further.map(|&(name, value)| header(name, text(value))));
        Request {
            method: method.to_owned(),
            url: format!("{}/{path}", self.api),
            headers,
            body,
            secrets: Vec::new(),
            state: note.write(),
        }
    }

    /// Asks for something of the repository.
    pub fn of_repo(&self, method: &str, path: &str, body: Option<&Value>, note: &Note) -> Next {
        let body = body.map(|body| Body::Json(vec![Part::Text(body.to_string())]));
        self.parts_of_repo(method, path, body, note)
    }

    /// The same with a body that holds a secret.
    pub fn parts_of_repo(&self, method: &str, path: &str, body: Option<Body>, note: &Note) -> Next {
        self.ask(method, &format!("{}/{path}", self.repo), body, note)
    }

    /// Asks for the next page of a list; `path` may end with a query.
    pub fn list(&self, path: &str, mut note: Note) -> Next {
        note.page += 1;
        let and = if path.contains('?') { '&' } else { '?' };
        let (size, most) = self.pages;
        let path = format!("{path}{and}{size}={most}&page={}", note.page);
        self.of_repo("GET", &path, None, &note)
    }

    /// The things on a page that was asked for, and whether there is another.
    ///
    /// # Errors
    /// When the forge answered with something else.
    pub fn page(
        &self,
        answer: &Answer,
        note: &mut Note,
        doing: &str,
    ) -> Result<(Vec<Value>, bool), Refusal> {
        let Value::Array(things) = self.json(answer, &[200], doing)? else {
            let host = &self.host;
            return Err(no(format!("{host} did not answer with a list to {doing}")));
        };
        note.seen += things.len() as u64;
        let next = header(answer, "link").is_some_and(|link| link.contains("rel=\"next\""));
        // Gitea tells of some lists only how long they are.
        let total = header(answer, "x-total-count").and_then(|total| total.parse().ok());
        let more = next || total.is_some_and(|total: u64| total > note.seen);
        let more = more && !things.is_empty();
        Ok((things, more))
    }

    /// The end: `what` is there, and is known by its id.
    ///
    /// # Errors
    /// When it has none.
    pub fn present(&self, thing: &Value, what: &str) -> Result<Next, Refusal> {
        let forge = self.forge;
        let id = id(thing).ok_or_else(|| no(format!("{forge} answered with {what} without an id")));
        id.map(|id| Next::Done(Done::Present(id.to_string())))
    }

    /// The answer, if it is of one of these statuses.
    ///
    /// # Errors
    /// When it is of another, or no JSON.
    pub fn json(&self, answer: &Answer, good: &[u16], doing: &str) -> Result<Value, Refusal> {
        if !good.contains(&answer.status) {
            return Err(self.refusal(answer, doing));
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer.body).map_err(|_| {
            let (host, api) = (&self.host, &self.api);
            no(format!(
                "{host} did not answer with JSON to {doing}: is {api} where its API is?"
            ))
        })
    }

    /// What an answer that is no success means, and what to do about it.
    pub fn refusal(&self, answer: &Answer, doing: &str) -> Refusal {
        let Self {
            host, name, who, ..
        } = self;
        let said = said(answer);
        if is_limited(answer) {
            let wait = match header(answer, "retry-after") {
                Some(seconds) if seconds.len() < 12 => format!(" for {seconds} seconds"),
                _ => String::new(),
            };
            return no(format!("{host} asks us to wait{wait} before {doing}{said}"));
        }
        no(match answer.status {
            300..=399 => format!(
                "{host} redirects to another address for {doing}: has {name} been renamed or moved? Else put the address of its API into the config's `api`"
            ),
            401 => format!("{host} does not take {who}{said}: {}", self.unknown),
            403 => format!(
                "{who} may not do this at {host}: {doing}{said}; {}",
                self.needs
            ),
            404 => format!(
                "{host} knows nothing of {name} for {doing}{said}: check the URL, and that {who} may see the repository; {}",
                self.needs
            ),
            423 => format!("{name} is locked or archived at {host}: {doing} is not possible{said}"),
            500..=599 => format!("{host} failed with {} at {doing}{said}", answer.status),
            status => format!("{host} answered {status} to {doing}{said}"),
        })
    }
}

/// Whether an answer says that there were too many requests, as GitHub does with two statuses.
fn is_limited(answer: &Answer) -> bool {
    let none_left = header(answer, "x-ratelimit-remaining") == Some("0");
    let waits = header(answer, "retry-after").is_some();
    answer.status == 429 || (answer.status == 403 && (none_left || waits))
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut headers = answer.headers.iter();
    let found = headers.find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

/// The forge's own words.
fn said(answer: &Answer) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let mut words = Vec::new();
    for name in ["message", "error", "error_description", "errors"] {
        collect(&body[name], &mut words, 0);
    }
    let words = words.join(", ");
    let words: String = words.chars().take(SAID).collect();
    match words.trim() {
        "" => String::new(),
        words => format!(" ({words})"),
    }
}

/// Texts, however deep they stand: forges tell of fields by mappings and lists.
fn collect(value: &Value, words: &mut Vec<String>, depth: usize) {
    match value {
        Value::String(text) if !text.trim().is_empty() => words.push(text.trim().to_owned()),
        Value::Array(list) if depth < 3 => {
            for one in list.iter().take(5) {
                match one.get("message") {
                    Some(message) => collect(message, words, depth + 1),
                    None => collect(one, words, depth + 1),
                }
            }
        }
        Value::Object(map) if depth < 3 => {
            for (name, one) in map.iter().take(5) {
                let mut below = Vec::new();
                collect(one, &mut below, depth + 1);
                words.extend(below.iter().map(|text| format!("{name}: {text}")));
            }
        }
        _ => {}
    }
}

/// Where a repository's forge is: by its address over https, else by its host.
pub fn home(repository: &Repository) -> String {
    let Repository { url, host, .. } = repository;
    let parts = url
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "https" | "http"));
    match parts {
        Some((scheme, rest)) => {
            let authority = rest.split('/').next().unwrap_or(host);
            format!("{scheme}://{authority}")
        }
        None => format!("https://{host}"),
    }
}

/// Whether two lines in OpenSSH's form hold one key. What follows the key itself is a comment.
pub fn same_key(one: &str, other: &str) -> bool {
    let content = |text: &str| -> Vec<String> {
        text.split_whitespace().take(2).map(str::to_owned).collect()
    };
    content(one) == content(other)
}

/// A piece of a path, as a URL has it.
pub fn escaped(text: &str) -> String {
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

/// The id of a thing.
pub fn id(thing: &Value) -> Option<u64> {
    thing["id"].as_u64()
}

/// A refusal.
pub fn no(message: impl Into<String>) -> Refusal {
    Refusal {
        message: message.into(),
        objects: Vec::new(),
    }
}
