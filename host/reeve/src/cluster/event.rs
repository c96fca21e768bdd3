//! Kubernetes Events: what happened, told to people.
//!
//! Telling never blocks and never fails a reconcile: what is told waits in a [`line`] of so many bytes, a few write it, and
//! what does not fit is dropped and counted. While runs wait for workers Events give way to them. The same happening within
//! ten minutes raises the count of one Event object instead of making another; an object that talks too much is cut
//! short, as client-go's recorder does. What a run applied and that it has finished are two Events, as Flux has them: the
//! API takes one a request. It deliberately decides nothing about what is worth telling: `core::status` does, and
//! `controller::report` hands it over.

mod line;
mod memory;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::core::ApiResource;
use reeve_core::text;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Cluster;
use super::refusal::{CallError, clipped};
use super::wire::{Address, Patch, Wire};
use crate::observe::{Requests, WorkQueue};
use line::Line;
use memory::{Memory, Recall, Talkers};

/// How many Events are written at once.
const WRITERS: usize = 4;
/// How soon is looked again whether what was held back may be written.
const LOOK: Duration = Duration::from_millis(50);
/// How many bytes a message may have.
const NOTE: usize = 1024;

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
    door: Arc<Door>,
}

impl Events {
    /// Tells it, or drops what there is no room for: that of whoever has most that waits.
    pub fn tell(&self, mut event: Event) {
        event.message = clipped(&text::lines(&event.message), NOTE);
        let now = Instant::now();
        let Door(desk) = &*self.door;
        let dropped = desk.change(|state| match state.talkers.may_talk(&event.involved, now) {
            true => state.line.join(event, now),
            false => 0,
        });
        desk.news.notify_one();
        if dropped == 0 {
            return;
        }
        let before = desk.requests.drop_events(dropped);
        // The first, and each thousandth.
        if before.div_ceil(1000) < (before + dropped).div_ceil(1000) {
            tracing::warn!(
                dropped = before + dropped,
                "events are dropped: the API server takes too few"
            );
        }
    }

    /// Lets runs that wait in this queue for a worker have the API server: what is told meanwhile waits for two seconds, and
    /// is written one by one then, unless it were dropped for that.
    pub(crate) fn give_way_to(&self, queue: &WorkQueue) {
        let queue = Some(queue.clone());
        self.door.0.change(|state| state.before = queue);
    }
}

/// Nobody tells anything any more when it is dropped.
struct Door(Arc<Desk>);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.change(|state| state.closed = true);
        self.0.news.notify_waiters();
    }
}

/// Where those who tell and those who write meet.
struct Desk {
    state: Mutex<State>,
    news: Notify,
    requests: Requests,
}

#[derive(Default)]
struct State {
    line: Line,
    talkers: Talkers,
    memory: Memory,
    /// Whose runs go first.
    before: Option<WorkQueue>,
    closed: bool,
    serial: u64,
}

/// Until when there is nothing to write.
#[derive(Debug, PartialEq, Eq)]
enum Wait {
    News,
    AWhile,
    ForEver,
}

impl State {
    fn next(&mut self, now: Instant) -> Result<Event, Wait> {
        let behind = self.before.as_ref().is_some_and(WorkQueue::is_behind);
        if let Some(event) = self.line.take(behind && !self.closed, now) {
            return Ok(event);
        }
        Err(match (self.line.is_empty(), self.closed) {
            (false, _) => Wait::AWhile,
            (true, false) => Wait::News,
            (true, true) => Wait::ForEver,
        })
    }
}

impl Desk {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next one to write; None: all is written, and nobody tells anything any more.
    async fn next(&self) -> Option<Event> {
        loop {
            let mut news = std::pin::pin!(self.news.notified());
            // Heard from here on: what is told between the look and the wait is not missed.
            news.as_mut().enable();
            match self.change(|state| state.next(Instant::now())) {
                Ok(event) => return Some(event),
                Err(Wait::ForEver) => return None,
                Err(Wait::News) => news.await,
                Err(Wait::AWhile) => {
                    let _heard = tokio::time::timeout(LOOK, news).await;
                }
            }
        }
    }
}

impl Cluster {
    /// Begins to write Events. The returned future writes them and ends when every [`Events`] is dropped and all that
    /// was told is written: spawn it, and await it (with a deadline) on the way out.
    pub fn events(&self) -> (Events, impl Future<Output = ()> + Send + use<>) {
        let desk = Arc::new(Desk {
            state: Mutex::default(),
            news: Notify::new(),
            requests: self.requests.clone(),
        });
        let writers = [(); WRITERS].map(|()| Writer {
            // What was done while it led is told even if it no longer leads: an Event changes nothing.
            wire: self.own.unleashed(),
            desk: Arc::clone(&desk),
        });
        let door = Arc::new(Door(desk));
        let writing = async move {
            let all = writers.into_iter().map(Writer::write_all);
            let _each_ended: Vec<()> = futures::future::join_all(all).await;
        };
        (Events { door }, writing)
    }
}

struct Writer {
    wire: Wire,
    desk: Arc<Desk>,
}

impl Writer {
    async fn write_all(self) {
        while let Some(event) = self.desk.next().await {
            self.write(&event).await;
            let about = &event.involved;
            self.desk.change(|state| state.line.written(about));
        }
    }

    async fn write(&self, event: &Event) {
        let recall = |state: &mut State| state.memory.recall(event, Instant::now());
        let told = match self.desk.change(recall) {
            Recall::Again { name, count } => self.count(event, &name, count).await,
            Recall::New => Ok(false),
        };
        let told = match told {
            Ok(true) => Ok(()),
            // New, or the Event is gone by now: the API server keeps them for an hour.
            Ok(false) => self.create(event).await,
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

    async fn create(&self, event: &Event) -> Result<(), CallError> {
        let serial = self.desk.change(|state| {
            state.serial += 1;
            state.serial
        });
        let object = clipped(&event.involved.name, 200);
        // The nanosecond names it as client-go does; the serial keeps two of one nanosecond apart.
        let unique = event.at.as_nanosecond().wrapping_add(i128::from(serial));
        let name = format!("{}.{unique:x}", object.trim_end_matches(['…', '.', '-']));
        let at = address(event, &name);
        self.wire.create(&at, &rendered(event, &name)).await?;
        let told = |state: &mut State| state.memory.remember(event, name, Instant::now());
        self.desk.change(told);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Kind, Metrics};

    pub(super) fn event(name: &str, message: &str) -> Event {
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
    fn an_event_is_written_as_flux_events_reads_it() {
        let told = rendered(&event("web", "no"), "web.1");
        assert_eq!(told["involvedObject"]["kind"], "Kustomization");
        assert_eq!(told["involvedObject"]["namespace"], "acme");
        assert_eq!(told["source"]["component"], "kustomize-controller");
        assert_eq!(told["type"], "Warning");
        assert_eq!(told["lastTimestamp"], "2026-02-03T04:05:06Z");
    }

    fn desk() -> (Arc<Desk>, Events) {
        let desk = Arc::new(Desk {
            state: Mutex::default(),
            news: Notify::new(),
            requests: Requests::default(),
        });
        let door = Arc::new(Door(Arc::clone(&desk)));
        (desk, Events { door })
    }

    #[tokio::test]
    async fn all_that_was_told_is_written_and_then_writing_ends() {
        let (desk, events) = desk();
        let writing = tokio::spawn(async move {
            let mut written = 0;
            while let Some(event) = desk.next().await {
                desk.change(|state| state.line.written(&event.involved));
                written += 1;
            }
            written
        });
        for nth in 0..2000 {
            events.clone().tell(event(&nth.to_string(), "a"));
        }
        drop(events);
        assert_eq!(writing.await.unwrap(), 2000);
    }

    #[test]
    fn events_give_way_to_a_queue_that_is_behind_until_all_is_over() {
        let (desk, events) = desk();
        let queue = Metrics::new().queue(Kind::Kustomization, 4);
        events.give_way_to(&queue);
        queue.holds(9, true);
        for name in ["a", "b"] {
            events.tell(event(name, "a"));
        }
        let next = || desk.change(|state| state.next(Instant::now()));
        assert_eq!(next(), Err(Wait::AWhile));
        queue.holds(9, false);
        assert!(next().is_ok(), "what waits is somebody who hangs");
        queue.holds(9, true);
        drop(events);
        assert!(next().is_ok(), "the process is on its way out");
        assert_eq!(next(), Err(Wait::ForEver));
    }

    #[test]
    fn what_is_dropped_is_counted() {
        let (desk, events) = desk();
        for nth in 0..40_000 {
            let mut event = event(&nth.to_string(), &"x".repeat(NOTE));
            event.involved.uid = nth.to_string();
            events.tell(event);
        }
        let dropped = desk.requests.drop_events(0);
        assert!((20_000..40_000).contains(&dropped), "{dropped}");
    }
}
