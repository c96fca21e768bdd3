//! A case of a provider: an operation, the requests that it must bring with the answers they get, and how it ends.
//!
//! `operation.{json,yaml}`, as `reeve plugin run` takes it, with the `slots` that are filled; `exchange.{json,yaml}`, a list of
//! `{"request": …, "answer": {"status": …, "headers": …, "body": …}}`; and `want.{json,yaml}` with how it ends, or `error` with
//! words that must be in what stops it. `{"refused": "…"}` as `want` is the whole text of the guest's own refusal. Nothing is
//! asked over a network and no secret is needed: the controller's forge room checks and fills each request as it would one
//! that it sends, with secrets of its own, and what it would blank in an answer is blanked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use reeve_core::failure::chain;
use reeve_core::lines::diff;
use serde::Deserialize;
use serde_json::Value;

use super::case::{Want, only, words};
use super::manifests;
use super::place::Place;
use super::test::{Told, Wrong};
use crate::cli::ui::CommandError;
use crate::forge::words::{Answer, Operation, Request};
use crate::forge::{Cause, Error, HostPattern, Outcome, Rehearsal, json};

/// One case.
pub(super) struct Exchange {
    name: String,
    operation: Operation,
    turns: Vec<Turn>,
    want: Want<Value>,
}

/// A request that must come, and what it is answered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    request: Value,
    answer: Answered,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Text as it is, anything else as JSON.
    #[serde(default)]
    body: Value,
}

/// What stopped a case before its end.
enum Stopped {
    /// The config, by the component's own schema.
    Config(String),
    /// Not what the exchange says.
    Wrong(Wrong),
    /// The guest, or the forge room.
    Failed(Box<Error>),
}

impl Exchange {
    /// Reads the case in `folder`.
    pub(super) fn open(folder: &Path) -> Result<Self, CommandError> {
        let missing = |what: &str| CommandError::new(format!("{} has no {what}", folder.display()));
        let one = |name: &str| {
            only(folder, &[&format!("{name}.json"), &format!("{name}.yaml")])?
                .map(|path| manifests::one(&path))
                .transpose()
        };
        let wrong = |what: &str, why: &(dyn std::error::Error + 'static)| {
            CommandError::of(&format!("reading {}/{what} failed", folder.display()), why)
        };
        let operation = one("operation")?.ok_or_else(|| missing("operation.json"))?;
        let operation =
            json::operation(&operation.to_string()).map_err(|why| wrong("operation", &why))?;
        let turns = one("exchange")?.ok_or_else(|| missing("exchange.json"))?;
        let turns: Vec<Turn> =
            serde_json::from_value(turns).map_err(|why| wrong("exchange", &why))?;
        let want = match (words(folder)?, one("want")?) {
            (Some(words), None) => Want::Error(words),
            (None, Some(want)) => match want.get("refused").and_then(Value::as_str) {
                Some(words) => Want::Refused(words.to_owned()),
                None => Want::Made(want),
            },
            _ => return Err(missing("want.json or error, or has both")),
        };
        let name = folder.file_name().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            operation,
            turns,
            want,
        })
    }

    /// Plays it, each step twice, and says what came of it.
    pub(super) fn judge(self, place: &Place) -> Result<Told, CommandError> {
        let played = match self.config(place) {
            Ok(()) => self.play(place)?,
            Err(why) => Err(Stopped::Config(why)),
        };
        let log = match &played {
            Ok(done) => done.log.clone(),
            Err(Stopped::Failed(why)) => why.log.clone(),
            Err(_) => Vec::new(),
        };
        Ok(Told::of(self.name, compare(&self.want, played), log))
    }

    fn config(&self, place: &Place) -> Result<(), String> {
        // A refusal's whole text is the guest's own.
        if matches!(self.want, Want::Refused(_)) {
            return Ok(());
        }
        let config = serde_json::from_str(&self.operation.config).unwrap_or_default();
        place.fits(&config).map_err(|why| why.to_string())
    }

    fn play(&self, place: &Place) -> Result<Result<Outcome, Stopped>, CommandError> {
        // How many requests came, and what was wrong with the last.
        let seen = Mutex::new((0, None));
        let script = |n: usize, request: &Request| {
            let turn = self.turns.get(n);
            let wrong = differs(&json::request(request), turn.map(|turn| &turn.request));
            let answer = turn.filter(|_| wrong.is_none()).map(Turn::answer);
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = (n + 1, wrong);
            answer
        };
        let rehearsal = Rehearsal {
            name: &self.name,
            asks: place.asks()?,
            hosts: self.hosts(),
            operation: self.operation.clone(),
            script: &script,
        };
        let played = place.rehearse(&rehearsal);
        let (came, wrong) = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(wrong) = wrong {
            return Ok(Err(Stopped::Wrong(wrong)));
        }
        let ended = match &played {
            Ok(_) => true,
            Err(why) => matches!(why.source, Cause::Refused(_)),
        };
        let left = self.turns.get(came).filter(|_| ended);
        Ok(match left {
            Some(turn) => Err(Stopped::Wrong(Wrong {
                why: "it ends before this request".to_owned(),
                diff: diff(&pretty(&turn.request), ""),
            })),
            None => played.map_err(Stopped::Failed),
        })
    }

    /// What is granted: the hosts of the exchange, and the repository's.
    fn hosts(&self) -> Vec<HostPattern> {
        let asked = self.turns.iter().map(|turn| turn.request.get("url"));
        let asked = asked.filter_map(|url| url?.as_str());
        let all = asked.chain([&*self.operation.repository.url]);
        let host = |url: &str| {
            let url = url::Url::parse(url).ok()?;
            let host = url.host_str()?;
            let named = match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            };
            named.parse().ok()
        };
        all.filter_map(host).collect()
    }
}

impl Turn {
    fn answer(&self) -> Answer {
        let Answered {
            status,
            headers,
            body,
        } = &self.answer;
        Answer {
            status: *status,
            headers: headers.clone().into_iter().collect(),
            body: match body {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                body => body.to_string(),
            },
        }
    }
}

/// What is wrong with a request, if something is.
fn differs(shown: &Value, want: Option<&Value>) -> Option<Wrong> {
    match want {
        Some(want) if want == shown => None,
        Some(want) => Some(Wrong {
            why: "it asks for another request".to_owned(),
            diff: diff(&pretty(want), &pretty(shown)),
        }),
        None => Some(Wrong {
            why: "it asks for a request more".to_owned(),
            diff: diff("", &pretty(shown)),
        }),
    }
}

fn compare(want: &Want<Value>, played: Result<Outcome, Stopped>) -> Option<Wrong> {
    let differ = |why: &str, want: &str, got: &str| {
        (want != got).then(|| Wrong {
            why: why.to_owned(),
            diff: diff(want, got),
        })
    };
    let (said, refused) = match played {
        Ok(done) => {
            let done = pretty(&json::done(&done.done));
            return match want {
                Want::Made(want) => differ("it ends otherwise", &pretty(want), &done),
                Want::Refused(words) | Want::Error(words) => Some(Wrong {
                    why: format!("it was to fail with {words:?}"),
                    diff: diff("", &done),
                }),
            };
        }
        Err(Stopped::Wrong(wrong)) => return Some(wrong),
        Err(Stopped::Config(why)) => (why, None),
        Err(Stopped::Failed(why)) => {
            let refused = match &why.source {
                Cause::Refused(words) => Some(words.clone()),
                _ => None,
            };
            (chain(&why), refused)
        }
    };
    match (want, refused) {
        (Want::Refused(words), Some(refused)) => {
            differ("it refuses with other words", words, &refused)
        }
        (Want::Error(words), _) if said.contains(words.as_str()) => None,
        (Want::Error(words) | Want::Refused(words), _) => Some(Wrong {
            why: "its error does not have the words".to_owned(),
            diff: format!("- {words}\n+ {said}\n"),
        }),
        (Want::Made(_), _) => Some(Wrong {
            why: said,
            diff: String::new(),
        }),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
