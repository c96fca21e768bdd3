//! What should come to be seen on the API server, looked at by a watch from before it happens.
//!
//! One predicate serves both looks: the one that must fail before the deed, and the one that must
//! hold after it. `story` puts them around a deed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::{self, Event};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::objects;

type Holds = Arc<dyn Fn(&[Value]) -> Verdict + Send + Sync>;

/// What a predicate says of the objects it was shown: what is seen, or what is instead.
pub type Verdict = Result<String, String>;

/// Something that can be seen on the API server, or not.
#[derive(Clone)]
pub struct Sight {
    what: String,
    api: Api<DynamicObject>,
    config: watcher::Config,
    holds: Holds,
}

impl Sight {
    /// The object `name` is there and `holds`.
    #[must_use]
    pub fn of(
        api: Api<DynamicObject>,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let holds: Holds = Arc::new(move |objects| match objects {
            [object, ..] => holds(object),
            [] => Err("there is no such object".to_owned()),
        });
        Self {
            what: format!("{name}: {what}"),
            api,
            config,
            holds,
        }
    }

    /// The object `name` has a condition `Ready` with this status and reason, told about the newest
    /// generation of its spec.
    #[must_use]
    pub fn ready(api: Api<DynamicObject>, name: &str, status: &str, reason: &str) -> Self {
        let what = format!("Ready={status} {reason}");
        let (status, reason) = (status.to_owned(), reason.to_owned());
        Self::of(api, name, &what, move |object| {
            let Some(ready) = objects::condition(object, "Ready") else {
                return Err("no condition Ready".to_owned());
            };
            let said = format!("Ready={} {}: {}", ready.status, ready.reason, ready.message);
            let newest = object
                .pointer("/metadata/generation")
                .and_then(Value::as_i64);
            let current = newest == ready.observed_generation;
            if current && ready.status == status && ready.reason == reason {
                Ok(ready.message)
            } else {
                Err(said)
            }
        })
    }

    /// No object is called `name`.
    #[must_use]
    pub fn gone(api: Api<DynamicObject>, name: &str) -> Self {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let holds: Holds = Arc::new(|objects| match objects {
            [] => Ok("gone".to_owned()),
            [object, ..] => Err(format!("it is there: {object}")),
        });
        Self {
            what: format!("{name} is gone"),
            api,
            config,
            holds,
        }
    }

    /// Some object with these labels `holds`.
    #[must_use]
    pub fn any(
        api: Api<DynamicObject>,
        labels: &str,
        what: &str,
        holds: impl Fn(&Value) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let holds: Holds = Arc::new(move |objects| {
            let verdicts: Vec<Verdict> = objects.iter().map(&holds).collect();
            let seen = verdicts.iter().find_map(|verdict| verdict.clone().ok());
            seen.ok_or_else(|| {
                let instead: Vec<String> = verdicts.into_iter().filter_map(Result::err).collect();
                if instead.is_empty() {
                    "there is none".to_owned()
                } else {
                    instead.join("; ")
                }
            })
        });
        Self {
            what: format!("{labels}: {what}"),
            api,
            config: watcher::Config::default().labels(labels),
            holds,
        }
    }

    /// What is looked for, in words.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Begins to look; returns after the first look.
    pub async fn open(self) -> anyhow::Result<View> {
        let (tell, mut told) = watch::channel(None);
        let (what, api, config, holds) = (self.what, self.api, self.config, self.holds);
        let task = AbortOnDropHandle::new(tokio::spawn(keep_looking(api, config, holds, tell)));
        let first = told.wait_for(Option::is_some);
        if !matches!(tokio::time::timeout(FIRST_LOOK, first).await, Ok(Ok(_))) {
            bail!("{what}: the API server could not be asked within {FIRST_LOOK:?}");
        }
        Ok(View {
            what,
            told,
            _task: task,
        })
    }
}

const FIRST_LOOK: Duration = Duration::from_secs(20);
/// Between two tries of a watch that the API server refused, for instance of a kind not yet there.
const AGAIN: Duration = Duration::from_millis(100);

/// A verdict and when it was reached.
#[derive(Clone, Debug)]
struct Look {
    verdict: Verdict,
    at: Instant,
}

/// A sight that is being looked at.
pub struct View {
    what: String,
    told: watch::Receiver<Option<Look>>,
    _task: AbortOnDropHandle<()>,
}

/// What was seen, and when.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the predicate said.
    pub says: String,
    /// When the watch brought it.
    pub at: Instant,
}

impl View {
    /// What is looked for, in words.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// How it looks now.
    pub fn now(&self) -> Verdict {
        match &*self.told.borrow() {
            Some(look) => look.verdict.clone(),
            None => Err("not looked at yet".to_owned()),
        }
    }

    /// Waits until it holds; otherwise returns what was last seen instead.
    pub async fn seen(&mut self, patience: Duration) -> Result<Seen, String> {
        let holds = |look: &Option<Look>| look.as_ref().is_some_and(|look| look.verdict.is_ok());
        // Bound first: the guard must not live into the match's arms, which borrow again.
        let waited = tokio::time::timeout(patience, self.told.wait_for(holds)).await;
        let look = waited
            .ok()
            .and_then(Result::ok)
            .and_then(|look| look.clone());
        match look.map(|look| (look.verdict, look.at)) {
            Some((Ok(says), at)) => Ok(Seen { says, at }),
            _ => Err(self.now().err().unwrap_or_default()),
        }
    }
}

/// Follows the objects and tells the verdict on them whenever they change.
async fn keep_looking(
    api: Api<DynamicObject>,
    config: watcher::Config,
    holds: Holds,
    tell: watch::Sender<Option<Look>>,
) {
    let look = |objects: &BTreeMap<String, Value>| {
        let all: Vec<Value> = objects.values().cloned().collect();
        let verdict = holds(&all);
        // While it goes on to hold, it was seen when it began to.
        let since = tell
            .borrow()
            .as_ref()
            .filter(|look| look.verdict.is_ok() && verdict.is_ok())
            .map(|look| look.at);
        tell.send_replace(Some(Look {
            verdict,
            at: since.unwrap_or_else(Instant::now),
        }));
    };
    let mut events = kube::runtime::watcher(api, config).boxed();
    let mut again = tokio::time::interval(AGAIN);
    let (mut known, mut listed) = (BTreeMap::new(), BTreeMap::new());
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = BTreeMap::new(),
            Ok(Event::InitApply(object)) => {
                listed.insert(key(&object), whole(object));
            }
            Ok(Event::InitDone) => {
                known = std::mem::take(&mut listed);
                look(&known);
            }
            Ok(Event::Apply(object)) => {
                known.insert(key(&object), whole(object));
                look(&known);
            }
            Ok(Event::Delete(object)) => {
                known.remove(&key(&object));
                look(&known);
            }
            Err(why) => {
                let verdict = Err(format!("the API server cannot be asked: {why}"));
                tell.send_replace(Some(Look {
                    verdict,
                    at: Instant::now(),
                }));
                again.reset();
                again.tick().await;
            }
        }
    }
}

fn key(object: &DynamicObject) -> String {
    format!(
        "{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    )
}

/// The object as one JSON value, without the noise of its field managers.
fn whole(mut object: DynamicObject) -> Value {
    object.metadata.managed_fields = None;
    serde_json::to_value(object).unwrap_or_default()
}
