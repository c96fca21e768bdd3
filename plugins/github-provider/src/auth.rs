//! As whom GitHub is asked: an installation of an App, for which a token is made first, or whoever an access token is of.
//!
//! The App's key signs in the host. The token that comes back never comes here: the host moves it into a slot, and it goes
//! nowhere but where it came from.

use provider::{
    Answer, Body, Config, Header, HeaderValue, Heard, Jwt, Next, Note, Operation, Part, Refusal,
    SecretField, Talk, no,
};
use serde_json::{Map, Value, json};

use crate::talk::permissions;

/// The slots that are filled from Secrets.
const KEY: &str = "app-key";
const TOKEN: &str = "token";
/// The slot that GitHub's answer fills.
const MADE: &str = "installation-token";
/// How long the App's own token is good: GitHub takes ten minutes at most, by its own clock.
const LIFETIME: u32 = 540;

const FINDING: &str = "finding the App's installation";
const MAKING: &str = "making a token of the App's installation";

pub(crate) enum Auth {
    /// An installation of an App.
    App {
        /// The App's id, or its client id.
        app: String,
        /// Its installation; GitHub is asked for it where it is not known.
        installation: Option<String>,
        /// Whether its token was made.
        made: bool,
    },
    /// An access token.
    Token,
}

/// Whether the task itself may begin.
pub(crate) enum Entry {
    /// This first.
    Wait(Box<Next>),
    /// It goes on with this; and when the token ends that was just made, if one was.
    In(Heard, Option<String>),
}

impl Auth {
    pub(crate) fn of(operation: &Operation) -> Result<Self, Refusal> {
        let config = Config::of(operation)?;
        let filled = |name: &str| operation.slots.iter().any(|slot| slot == name);
        match config.id("appID")? {
            Some(_) if !filled(KEY) => Err(no(
                "there is no private key of the GitHub App: fill the slot `app-key` from a Secret, and grant it for the host of the API",
            )),
            Some(app) => Ok(Self::App {
                app,
                installation: config.id("installationID")?,
                made: filled(MADE),
            }),
            None if filled(TOKEN) => Ok(Self::Token),
            None if filled(KEY) => Err(no(
                "whose key is in the slot `app-key`? Put the GitHub App's id into the config's `appID`",
            )),
            None => Err(no(
                "nobody says who asks: put a GitHub App's id into the config's `appID` and its private key into the slot `app-key`, or an access token into the slot `token`, and grant it for the host of the API",
            )),
        }
    }

    /// The slot with which everything but the token itself is asked for.
    pub(crate) fn slot(&self) -> &'static str {
        match self {
            Self::App { .. } => MADE,
            Self::Token => TOKEN,
        }
    }

    pub(crate) fn who(&self) -> &'static str {
        match self {
            Self::App { .. } => "the App's installation",
            Self::Token => "the token",
        }
    }

    pub(crate) fn unknown(&self) -> &'static str {
        match self {
            Self::App { .. } => {
                "check that the config's `appID` and the key in the slot `app-key` are of one App, and that this machine's clock is right"
            }
            Self::Token => "put a valid access token into the slot `token`",
        }
    }

    /// Has the installation's token made, if that is still to be done.
    pub(crate) fn step(
        &self,
        operation: &Operation,
        talk: &Talk,
        heard: Heard,
    ) -> Result<Entry, Refusal> {
        let Self::App {
            app,
            installation,
            made,
        } = self
        else {
            return Ok(Entry::In(heard, None));
        };
        let wait = |next| Ok(Entry::Wait(Box::new(next)));
        match (heard, installation) {
            (None, Some(installation)) => wait(make(app, installation, operation, talk)),
            (None, None) => wait(find(app, talk)),
            (Some((note, answer)), _) if note.stage == "find" => {
                let found = found(talk, &answer)?;
                wait(make(app, &found, operation, talk))
            }
            (Some((note, answer)), _) if note.stage == "make" => {
                let token = made_of(talk, &answer, operation)?;
                let ends = token["expires_at"].as_str().map(str::to_owned);
                match made {
                    true => Ok(Entry::In(None, ends)),
                    false => Err(no("GitHub answered with a token of which nothing is there")),
                }
            }
            (heard, _) => Ok(Entry::In(heard, None)),
        }
    }
}

fn find(app: &str, talk: &Talk) -> Next {
    let path = format!("{}/installation", talk.repo);
    Next::Request(as_app(
        app,
        talk.request("GET", &path, None, &Note::at("find")),
    ))
}

fn found(talk: &Talk, answer: &Answer) -> Result<String, Refusal> {
    if answer.status == 404 {
        return Err(no(format!(
            "the GitHub App is not installed on {} at {}: install it there, for this repository",
            talk.name, talk.host
        )));
    }
    let found = talk.json(answer, &[200], FINDING)?;
    let id = provider::id(&found);
    id.map(|id| id.to_string())
        .ok_or_else(|| no("GitHub told of an installation without an id"))
}

/// A token for this repository and this task, and for nothing else.
fn make(app: &str, installation: &str, operation: &Operation, talk: &Talk) -> Next {
    let repo = talk.name.rsplit('/').next().unwrap_or_default();
    let all = permissions(&operation.task).into_iter();
    let all: Map<String, Value> = all
        .map(|one| (one.name.to_owned(), one.level.into()))
        .collect();
    let wanted = json!({"repositories": [repo], "permissions": all});
    let body = Body::Json(vec![Part::Text(wanted.to_string())]);
    let path = format!(
        "app/installations/{}/access_tokens",
        provider::escaped(installation)
    );
    let mut request = as_app(
        app,
        talk.request("POST", &path, Some(body), &Note::at("make")),
    );
    request.secrets = vec![SecretField {
        pointer: "/token".to_owned(),
        slot: MADE.to_owned(),
    }];
    Next::Request(request)
}

fn made_of(talk: &Talk, answer: &Answer, operation: &Operation) -> Result<Value, Refusal> {
    match answer.status {
        404 => Err(no(format!(
            "{} knows no such installation of the App for {MAKING}: check the config's `installationID`, or leave it out and GitHub is asked for it",
            talk.host
        ))),
        // Told of a permission that the installation does not have, or of a repository that it was not given.
        422 => {
            let all = permissions(&operation.task);
            let all: Vec<&str> = all.iter().map(|one| one.name).collect();
            let why = talk.refusal(answer, MAKING).message;
            Err(no(format!(
                "{why}: it needs {} and the permission {}; {}",
                talk.name,
                all.join(", "),
                talk.needs
            )))
        }
        _ => talk.json(answer, &[201], MAKING),
    }
}

/// The same request, asked as the App itself.
fn as_app(app: &str, mut request: provider::Request) -> provider::Request {
    let jwt = Jwt {
        key: KEY.to_owned(),
        claims: json!({"iss": app}).to_string(),
        lifetime: LIFETIME,
    };
    let value = HeaderValue::Plain(vec![Part::Text("Bearer ".to_owned()), Part::Jwt(jwt)]);
    request.headers.retain(|one| one.name != "authorization");
    request.headers.push(Header {
        name: "authorization".to_owned(),
        value,
    });
    request
}
