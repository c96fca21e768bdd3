//! Kubernetes Events: what happened, told to people.
//!
//! Telling never blocks and never fails a reconcile: a bounded queue, one writer, and what does not fit is dropped and
//! counted. The same happening within ten minutes raises the count of one Event object instead of making another; an
//! object that talks too much is cut short, as client-go's recorder does. It deliberately decides nothing about what
//! is worth telling: `core::status` does, and `controller::report` hands it over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use kube::core::ApiResource;
use reeve_core::text;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Cluster;
use super::refusal::{CallError, clipped};
use super::wire::{Address, Patch, Wire};

/// How many Events may wait to be written.
const QUEUE: usize = 1024;
/// How many bytes a message may have.
const NOTE: usize = 1024;
/// For how long the same happening is counted instead of told anew.
const WINDOW: Duration = Duration::from_secs(600);
/// How many happenings, and how many talking objects, are remembered.
const REMEMBERED: usize = 4096;
/// How many Events one object may have at once, and how often one more.
const BURST: u32 = 25;
const REFILL: Duration = Duration::from_secs(60);

/// Something that happened to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whom it happened to.
    pub involved: Involved,
    /// Which of Flux's controllers would have told it: `kustomize-controller`.
    pub component: &'static str,
    /// Whether it is a Warning.
    pub warning: bool,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence; cut at 1024 bytes.
    pub message: String,
    /// Flux's metadata, such as `kustomize.toolkit.fluxcd.io/revision`.
    pub annotations: BTreeMap<String, String>,
    /// When.
    pub at: Timestamp,
}

/// The object an Event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Involved {
    /// Its `group/version`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for a cluster-scoped object.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The version of it that this is about.
    pub resource_version: String,
}

/// Where Events are told.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Event>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// Tells it, or drops it if too many are waiting.
    pub fn tell(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            let before = self.dropped.fetch_add(1, Ordering::Relaxed);
            if before.is_multiple_of(1000) {
                tracing::warn!(
                    dropped = before + 1,
                    "events are dropped: the API server takes too few"
                );
            }
        }
    }

    /// How many were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Cluster {
    /// Begins to write Events. The returned future writes them and ends when every [`Events`] is dropped and all that
    /// was told is written: spawn it, and await it (with a deadline) on the way out.
    pub fn events(&self) -> (Events, impl Future<Output = ()> + Send + use<>) {
        let (queue, mut told) = mpsc::channel(QUEUE);
        let events = Events {
            queue,
            dropped: Arc::default(),
        };
        let mut writer = Writer {
            // What was done while it led is told even if it no longer leads: an Event changes nothing.
            wire: self.own.unleashed(),
            memory: Memory::default(),
            serial: 0,
        };
        let writing = async move {
            while let Some(event) = told.recv().await {
                writer.write(event).await;
            }
        };
        (events, writing)
    }
}

struct Writer {
    wire: Wire,
    memory: Memory,
    serial: u64,
}

impl Writer {
    async fn write(&mut self, mut event: Event) {
        event.message = clipped(&text::lines(&event.message), NOTE);
        let told = match self.memory.recall(&event, Instant::now()) {
            Recall::TooMuch => return,
            Recall::Again { name, count } => self.count(&event, &name, count).await,
            Recall::New => Ok(false),
        };
        let told = match told {
            Ok(true) => Ok(()),
            // New, or the Event is gone by now: the API server keeps them for an hour.
            Ok(false) => self.create(&event).await,
            Err(why) => Err(why),
        };
        if let Err(why) = told {
            let Involved {
                kind,
                namespace,
                name,
                ..
            } = &event.involved;
            tracing::warn!(kind, namespace, name, error = %why, "writing an event failed");
        }
    }

    async fn count(&self, event: &Event, name: &str, count: u32) -> Result<bool, CallError> {
        let how = Patch::merge(event.component);
        let body = json!({"count": count, "lastTimestamp": seconds(event.at)}).to_string();
        match self
            .wire
            .patch(&address(event, name), how, body.into_bytes())
            .await
        {
            Ok(_) => Ok(true),
            Err(why) if why.is_missing_object() => Ok(false),
            Err(why) => Err(why),
        }
    }

    async fn create(&mut self, event: &Event) -> Result<(), CallError> {
        self.serial += 1;
        let object = clipped(&event.involved.name, 200);
        // The nanosecond names it as client-go does; the serial keeps two of one nanosecond apart.
        let unique = event
            .at
            .as_nanosecond()
            .wrapping_add(i128::from(self.serial));
        let name = format!("{}.{unique:x}", object.trim_end_matches(['…', '.', '-']));
        let at = address(event, &name);
        self.wire.create(&at, &rendered(event, &name)).await?;
        self.memory.remember(event, name, Instant::now());
        Ok(())
    }
}

fn namespace(event: &Event) -> &str {
    // Events about cluster-scoped objects live in `default`.
    let namespace = event.involved.namespace.as_str();
    if namespace.is_empty() {
        "default"
    } else {
        namespace
    }
}

fn address(event: &Event, name: &str) -> Address {
    Address {
        resource: ApiResource {
            group: String::new(),
            version: "v1".into(),
            api_version: "v1".into(),
            kind: "Event".into(),
            plural: "events".into(),
        },
        namespace: Some(namespace(event).to_owned()),
        name: name.to_owned(),
    }
}

fn rendered(event: &Event, name: &str) -> Value {
    let Event {
        involved,
        component,
        warning,
        reason,
        message,
        annotations,
        at,
    } = event;
    let mut about = json!({
        "apiVersion": involved.api_version, "kind": involved.kind, "name": involved.name,
        "uid": involved.uid, "resourceVersion": involved.resource_version,
    });
    if let (false, Some(about)) = (involved.namespace.is_empty(), about.as_object_mut()) {
        about.insert("namespace".to_owned(), involved.namespace.clone().into());
    }
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": name, "namespace": namespace(event), "annotations": annotations},
        "involvedObject": about,
        "type": if *warning { "Warning" } else { "Normal" },
        "reason": reason, "message": message, "count": 1,
        "source": {"component": component}, "reportingComponent": component, "reportingInstance": "",
        "firstTimestamp": seconds(*at), "lastTimestamp": seconds(*at),
    })
}

fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What was told lately.
#[derive(Default)]
struct Memory {
    told: IndexMap<Key, Told>,
    talkers: IndexMap<Involved, Talker>,
}

type Key = (
    String,
    &'static str,
    bool,
    String,
    String,
    BTreeMap<String, String>,
);

struct Told {
    name: String,
    count: u32,
    first: Instant,
}

struct Talker {
    left: u32,
    since: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum Recall {
    New,
    Again { name: String, count: u32 },
    TooMuch,
}

impl Memory {
    fn recall(&mut self, event: &Event, now: Instant) -> Recall {
        if !self.may_talk(&event.involved, now) {
            return Recall::TooMuch;
        }
        match self.told.get_mut(&key(event)) {
            Some(told) if now.duration_since(told.first) < WINDOW => {
                told.count = told.count.saturating_add(1);
                Recall::Again {
                    name: told.name.clone(),
                    count: told.count,
                }
            }
            _ => Recall::New,
        }
    }

    fn remember(&mut self, event: &Event, name: String, now: Instant) {
        self.told.shift_remove(&key(event));
        if self.told.len() >= REMEMBERED {
            self.told.drain(..REMEMBERED / 4);
        }
        self.told.insert(
            key(event),
            Told {
                name,
                count: 1,
                first: now,
            },
        );
    }

    fn may_talk(&mut self, who: &Involved, now: Instant) -> bool {
        let who = Involved {
            resource_version: String::new(),
            ..who.clone()
        };
        if self.talkers.len() >= REMEMBERED && !self.talkers.contains_key(&who) {
            self.talkers.drain(..REMEMBERED / 4);
        }
        let talker = self.talkers.entry(who).or_insert(Talker {
            left: BURST,
            since: now,
        });
        let more = now.duration_since(talker.since).as_secs() / REFILL.as_secs();
        if more > 0 {
            talker.left = BURST.min(
                talker
                    .left
                    .saturating_add(u32::try_from(more).unwrap_or(BURST)),
            );
            talker.since = now;
        }
        let may = talker.left > 0;
        talker.left = talker.left.saturating_sub(1);
        may
    }
}

fn key(event: &Event) -> Key {
    let Event {
        involved,
        component,
        warning,
        reason,
        message,
        annotations,
        ..
    } = event;
    let who = format!(
        "{}/{}/{}/{}",
        involved.kind, involved.namespace, involved.name, involved.uid
    );
    (
        who,
        component,
        *warning,
        reason.clone(),
        message.clone(),
        annotations.clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, message: &str) -> Event {
        Event {
            involved: Involved {
                api_version: "kustomize.toolkit.fluxcd.io/v1".into(),
                kind: "Kustomization".into(),
                namespace: "acme".into(),
                name: name.into(),
                uid: "1".into(),
                resource_version: message.len().to_string(),
            },
            component: "kustomize-controller",
            warning: true,
            reason: "BuildFailed".into(),
            message: message.into(),
            annotations: BTreeMap::new(),
            at: "2026-02-03T04:05:06.7Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_same_happening_is_counted_and_another_is_told() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        assert_eq!(memory.recall(&event("web", "a"), now), Recall::New);
        memory.remember(&event("web", "a"), "web.1".into(), now);
        let again = Recall::Again {
            name: "web.1".into(),
            count: 2,
        };
        assert_eq!(memory.recall(&event("web", "a"), now), again);
        assert_eq!(memory.recall(&event("web", "b"), now), Recall::New);
        assert_eq!(memory.recall(&event("shop", "a"), now), Recall::New);
        assert_eq!(memory.recall(&event("web", "a"), now + WINDOW), Recall::New);
    }

    #[test]
    fn an_object_that_talks_too_much_is_cut_short_and_the_others_are_heard() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let heard = (0..100)
            .filter(|n| memory.recall(&event("web", &n.to_string()), now) != Recall::TooMuch)
            .count();
        assert_eq!(heard, 25);
        assert_eq!(memory.recall(&event("shop", "a"), now), Recall::New);
        assert_eq!(
            memory.recall(&event("web", "later"), now + REFILL),
            Recall::New
        );
        assert_eq!(
            memory.recall(&event("web", "later"), now + REFILL),
            Recall::TooMuch
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        for n in 0..10_000 {
            let event = event(&n.to_string(), "a");
            memory.recall(&event, now);
            memory.remember(&event, n.to_string(), now);
        }
        assert!(memory.told.len() <= REMEMBERED && memory.talkers.len() <= REMEMBERED);
    }

    #[test]
    fn an_event_is_written_as_flux_events_reads_it() {
        let told = rendered(&event("web", "no"), "web.1");
        assert_eq!(told["involvedObject"]["kind"], "Kustomization");
        assert_eq!(told["involvedObject"]["namespace"], "acme");
        assert_eq!(told["source"]["component"], "kustomize-controller");
        assert_eq!(told["type"], "Warning");
        assert_eq!(told["lastTimestamp"], "2026-02-03T04:05:06Z");
    }
}
