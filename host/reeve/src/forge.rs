//! Performs the requests that a provider guest asks for. No forge is named here.
//!
//! The guest is called with an operation, says which request it wants, is called again with the answer, until it is done or
//! refuses. Between the two lies everything that it has no hand in: which hosts are granted, which addresses are reached,
//! the secrets, the signatures, the limits. What it deliberately doesn't: know Kubernetes, read a Secret, choose when to
//! try again ([`Error`] says whose turn it is). How a guest is run is `reeve_wasm`'s.

mod answer;
mod blank;
mod error;
mod fill;
mod grant;
mod guest;
pub mod json;
mod made;
mod pause;
mod script;
mod send;
mod sign;
mod slots;
mod unchanged;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reeve_api::name::Secret;

use crate::clock::Clock;
use crate::git::{Egress, Tls};
use fill::{Filler, Prepared, Reach};
use made::Making;
use pause::Asking;
use script::{Turn, Wire};
use send::{Raw, Sender};
use slots::{Purse, authority};
use unchanged::Question;
use words::{Answer, Done, Next, Operation, Request, Task};

pub use reeve_wasm::{Step, provider as words};

pub use error::{Cause, Error};
pub use grant::{Asks, Grant, HostPattern, NotAHost, NotAsking};
pub use guest::Rehearsal;
pub use pause::Pauses;
pub use script::Script;
pub use slots::{Slot, Slots};
pub use unchanged::Answers;

/// More pull requests than this are not listed at once.
const REQUESTS: usize = 200;
/// The same of the titles of keys.
const TITLES: usize = 200;

/// What one operation may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests.
    pub requests: usize,
    /// Bytes of a request, headers and body each.
    pub request: usize,
    /// Bytes of an answer's body.
    pub answer: usize,
    /// Bytes of what a guest notes to itself.
    pub state: usize,
    /// How long one request may take, its answer included.
    pub each: Duration,
    /// How long all of it may take.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 32,
            request: 1 << 20,
            answer: 4 << 20,
            state: 64 << 10,
            each: Duration::from_secs(15),
            deadline: Duration::from_secs(60),
        }
    }
}

/// A provider, and what it is given.
pub struct Provider {
    /// What it is called, for people.
    pub name: String,
    /// For whom it asks, where several have it ask with one login: whom a forge asks to wait, and nobody else, has to.
    pub whose: String,
    /// What its component asks for.
    pub asks: Arc<Asks>,
    /// What the platform grants it.
    pub grant: Arc<Grant>,
    /// The platform's secrets for it.
    pub slots: Slots,
    /// Which addresses may be reached.
    pub egress: Arc<Egress>,
    /// Whom it believes over https, beside the system's authorities.
    pub tls: Tls,
    /// What an operation may cost.
    pub limits: Limits,
    /// The time for its tokens.
    pub clock: Clock,
    /// Who has asked us to wait.
    pub pauses: Arc<Pauses>,
    /// What was answered before.
    pub answers: Arc<Answers>,
}

/// What came of an operation.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub done: Done,
    /// For git, where that was wanted.
    pub credential: Option<Login>,
    /// How many requests it took.
    pub requests: usize,
    /// Whether one of them was to change something.
    pub changed: bool,
    /// What the guest logged.
    pub log: Vec<String>,
}

/// Who git is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password or token.
    pub password: Secret,
    /// Until when it holds; none for always.
    pub expires: Option<Timestamp>,
}

impl Provider {
    /// Carries `operation` out; `step` calls the guest with the operation, its state and the last answer.
    ///
    /// What the operation says of slots is written by the host: those that are filled, and asked for.
    ///
    /// # Errors
    /// When the guest refuses or misbehaves, when the forge cannot be reached, when it takes too long.
    pub async fn run<S, F>(&self, operation: Operation, step: S) -> Result<Outcome, Error>
    where
        S: FnMut(Operation, String, Option<Answer>) -> F,
        F: Future<Output = Result<Step, Cause>>,
    {
        self.through(None, operation, step).await
    }

    /// The same with answers that are written down, if they are.
    async fn through<S, F>(
        &self,
        script: Option<&Script<'_>>,
        operation: Operation,
        step: S,
    ) -> Result<Outcome, Error>
    where
        S: FnMut(Operation, String, Option<Answer>) -> F,
        F: Future<Output = Result<Step, Cause>>,
    {
        let task = error::name(&operation.task);
        let after = self.limits.deadline;
        let mut log = Vec::new();
        let work = self.carry_out(script, operation, step, &mut log);
        let outcome = match tokio::time::timeout(after, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Cause::Deadline { after }),
        };
        outcome.map_err(|source| Error {
            plugin: self.name.clone(),
            task,
            log,
            source,
        })
    }

    async fn carry_out<S, F>(
        &self,
        script: Option<&Script<'_>>,
        mut operation: Operation,
        mut step: S,
        log: &mut Vec<String>,
    ) -> Result<Outcome, Cause>
    where
        S: FnMut(Operation, String, Option<Answer>) -> F,
        F: Future<Output = Result<Step, Cause>>,
    {
        let reach = self.reach();
        let wire = match script {
            Some(script) => Wire::Script(script),
            None => Wire::Forge(Sender::new(&self.egress, &self.tls, &self.limits)?),
        };
        let mut course = self.begin(&operation)?;
        let (mut count, mut again) = (Count::default(), false);
        loop {
            operation.slots = course.purse.names();
            let state = std::mem::take(&mut course.state);
            let told = step(operation.clone(), state, course.answer.take()).await?;
            log.extend(told.log);
            let request = match told.next {
                Next::Request(request) => request,
                Next::Done(done) => {
                    let credential = ending(&operation, &done, &course.purse, &reach)?;
                    return Ok(Outcome {
                        done,
                        credential,
                        requests: count.requests,
                        changed: count.changed,
                        log: std::mem::take(log),
                    });
                }
            };
            bounded("bytes of state", request.state.len(), self.limits.state)?;
            let turn = wire.turn(count.requests, &request)?;
            count.add(&request, &self.limits)?;
            let filler = Filler {
                purse: &mut course.purse,
                reach: &reach,
                limits: &self.limits,
                now: self.clock.now(),
            };
            let prepared = filler.prepare(&request)?;
            let url = prepared.url.clone();
            let raw = match turn {
                Turn::Send(sender) => self.told(sender, prepared, &request, &mut course).await?,
                Turn::Written(raw) => raw,
            };
            let is_refused = self.is_refused(&course, &request, raw.status);
            if is_refused && !std::mem::replace(&mut again, true) {
                course = self.begin(&operation)?;
                continue;
            }
            let answer = answer::open(raw, &url, &request.secrets, &mut course.purse);
            course.answer = Some(answer.await?);
            course.state = request.state;
        }
    }
}

/// What an operation has asked for, however often it was begun.
#[derive(Default)]
struct Count {
    requests: usize,
    changed: bool,
}

impl Count {
    fn add(&mut self, request: &Request, limits: &Limits) -> Result<(), Cause> {
        self.requests += 1;
        // One for a token makes nothing else.
        self.changed |= request.method != "GET" && request.secrets.is_empty();
        bounded("requests", self.requests, limits.requests)
    }
}

/// How far an operation is.
struct Course {
    purse: Purse,
    state: String,
    answer: Option<Answer>,
    /// Whether tokens are taken from what is kept.
    keeps: bool,
    /// The tokens that it has.
    tokens: Vec<Making>,
    /// What it has of an operation before: tokens, and what was looked up for them.
    kept: Vec<Making>,
    /// What was looked up, and no token was made with yet.
    found: Vec<(Making, Raw)>,
}

impl Provider {
    fn reach(&self) -> Reach {
        Reach {
            asks: Arc::clone(&self.asks),
            grant: Arc::clone(&self.grant),
        }
    }

    /// From the beginning, which is safe at any time: what was done before is found done.
    fn begin(&self, operation: &Operation) -> Result<Course, Cause> {
        Ok(Course {
            purse: Purse::new(&self.asks, &self.slots)?,
            state: String::new(),
            answer: None,
            // What git is let in with is kept by who asks for it, who hears when it is refused.
            keeps: !matches!(operation.task, Task::GitCredential(_)),
            tokens: Vec::new(),
            kept: Vec::new(),
            found: Vec::new(),
        })
    }

    /// What the forge answers: to a request for a token, or for what one is made with, where none is kept; to any other, where that
    /// is not still so.
    async fn told(
        &self,
        sender: &Sender,
        prepared: Prepared,
        request: &Request,
        course: &mut Course,
    ) -> Result<Raw, Cause> {
        let lookup = Making::looking_up(&self.name, &self.slots, request);
        let now = self.clock.steady();
        let known = lookup
            .as_ref()
            .and_then(|it| self.answers.tokens.known(it, now));
        if let Some((raw, lookup)) = known.zip(lookup.clone()) {
            course.kept.push(lookup);
            return Ok(raw);
        }
        let making = Making::of(&self.name, &self.slots, request);
        let Some(making) = making.filter(|_| course.keeps) else {
            let question = Question::of(&self.name, &self.slots, &course.tokens, request);
            let raw = self.sparingly(sender, prepared, question, request).await?;
            let lookup = lookup.filter(|_| made::is_found(&raw));
            course
                .found
                .extend(lookup.map(|lookup| (lookup, raw.clone())));
            self.settle(course, request, &raw);
            return Ok(raw);
        };
        let make = self.patiently(sender, prepared, request);
        let tokens = &self.answers.tokens;
        let (raw, kept) = tokens
            .get(&making, &request.secrets, &self.clock, make)
            .await?;
        course.kept.extend(kept.then(|| making.clone()));
        course.tokens.push(making);
        self.settle(course, request, &raw);
        Ok(raw)
    }

    /// What was looked up holds for a while, once a token was made with it: a provider that shows a key with whatever it asks for is
    /// given nothing that was so an hour ago.
    fn settle(&self, course: &mut Course, request: &Request, raw: &Raw) {
        if !request.secrets.is_empty() && (200..300).contains(&raw.status) {
            let (tokens, now) = (&self.answers.tokens, self.clock.steady());
            let found = course.found.drain(..);
            found.for_each(|(lookup, raw)| tokens.found(&lookup, raw, now));
        }
    }

    /// Whether a token that was kept is none any more. Where something is refused or missing, the next operation has another, too:
    /// the App may have been given more, or the repository be another of that name.
    fn is_refused(&self, course: &Course, request: &Request, status: u16) -> bool {
        if matches!(status, 401 | 403 | 404) {
            let kept = course.kept.iter();
            kept.for_each(|making| self.answers.tokens.forget(making));
        }
        // With what was looked up before, and is so no more, no token is made.
        let is_unmade = status == 404 && !request.secrets.is_empty();
        (status == 401 || is_unmade) && !course.kept.is_empty()
    }
}

impl Provider {
    /// Sends a request; where its answer may be kept, as a question whether what was answered before is still so.
    async fn sparingly(
        &self,
        sender: &Sender,
        mut prepared: Prepared,
        question: Option<Question>,
        request: &Request,
    ) -> Result<Raw, Cause> {
        let Some(question) = question else {
            return self.patiently(sender, prepared, request).await;
        };
        let before = self.answers.ask(&question, &mut prepared);
        let raw = self.patiently(sender, prepared, request).await?;
        Ok(self.answers.take(question, before, raw))
    }

    /// Sends a request, unless the forge has asked us to wait; from now on, if it does so in its answer.
    async fn patiently(
        &self,
        sender: &Sender,
        prepared: Prepared,
        request: &Request,
    ) -> Result<Raw, Cause> {
        let asking = Asking {
            provider: self.name.clone(),
            whose: self.whose.clone(),
            host: authority(&prepared.url),
            signed: made::signs(request),
        };
        if let Some(wait) = self.pauses.left(&asking, self.clock.steady()) {
            let host = asking.host;
            return Err(Cause::Limited { host, wait });
        }
        let raw = sender.send(prepared).await?;
        let wait = pause::asked(raw.status, &raw.headers, self.clock.now());
        if let Some(wait) = wait {
            self.pauses.begin(asking, self.clock.steady(), wait);
        }
        Ok(raw)
    }
}

fn bounded(what: &'static str, count: usize, most: usize) -> Result<(), Cause> {
    if count > most {
        return Err(Cause::TooMuch { what, most });
    }
    Ok(())
}

/// Holds what a guest ended with against what was asked, and finds the password that it names.
fn ending(
    operation: &Operation,
    done: &Done,
    purse: &Purse,
    reach: &Reach,
) -> Result<Option<Login>, Cause> {
    match (&operation.task, done) {
        (Task::GitCredential(_), Done::Credential(given)) => {
            let wrong = Cause::Ending;
            let odd = |c: char| c.is_control() || c == ':';
            if given.username.len() > 256 || given.username.contains(odd) {
                return Err(wrong("a user name that no git server has"));
            }
            let url = reach.admit(&operation.repository.url)?;
            let expires = given.expires_at.as_deref().map(str::parse).transpose();
            Ok(Some(Login {
                user: given.username.clone(),
                password: purse.ending(&given.password, &url)?,
                expires: expires.map_err(|_| wrong("an expiry that is no time (RFC 3339)"))?,
            }))
        }
        (
            Task::DeployKeyPresent(_)
            | Task::WebhookPresent(_)
            | Task::CommitStatus(_)
            | Task::CommentPresent(_),
            Done::Present(_),
        )
        | (
            Task::DeployKeyAbsent(_) | Task::WebhookAbsent(_) | Task::PullRequestAbsent(_),
            Done::Absent,
        )
        | (Task::WebhookCheck(_), Done::Webhook(_))
        | (Task::PullRequest(_), Done::PullRequest(_)) => Ok(None),
        (Task::PullRequestsOpen(_), Done::PullRequests(all)) => {
            bounded("pull requests", all.len(), REQUESTS)?;
            Ok(None)
        }
        (Task::DeployKeysTitled(_), Done::Titles(all)) => {
            bounded("titles", all.len(), TITLES)?;
            Ok(None)
        }
        (_, Done::Credential(_)) => Err(Cause::Ending("a credential")),
        (_, Done::Present(_)) => Err(Cause::Ending("that something is there")),
        (_, Done::Absent) => Err(Cause::Ending("that something is gone")),
        (_, Done::Webhook(_)) => Err(Cause::Ending("a webhook")),
        (_, Done::PullRequest(_)) => Err(Cause::Ending("a pull request")),
        (_, Done::PullRequests(_)) => Err(Cause::Ending("a list of pull requests")),
        (_, Done::Titles(_)) => Err(Cause::Ending("a list of titles")),
    }
}

/// Reads a URL as the repository that a provider is told of; none when it is none.
pub fn repository(url: &str) -> Option<words::Repository> {
    let parsed = reeve_api::name::RemoteUrl::parse(url).ok()?;
    let path = parsed.path().trim_matches('/');
    Some(words::Repository {
        url: parsed.without_userinfo(),
        host: parsed.host().to_owned(),
        path: path.strip_suffix(".git").unwrap_or(path).to_owned(),
    })
}

#[cfg(test)]
mod tests;
