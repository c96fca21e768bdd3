//! Steps on their way to a collector: a line of bounded length, and one who empties it.
//!
//! Whoever puts a step into the line never waits: where there is no room it is dropped and counted. So a collector that is dead,
//! or answers nobody, costs the line's memory and one log line, and delays nothing. What could not be delivered is tried three
//! times in all. What it deliberately doesn't: keep anything over a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use tokio::sync::mpsc;
use url::Url;

use super::{Attribute, Step, otlp};
use crate::observe::metric::{Metrics, Spans};

/// Steps that wait to be sent.
const LINE: usize = 4096;
/// Steps that are sent at once.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_millis(500);
/// How long a collector may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// The pauses between tries.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// Who is told.
#[derive(Debug)]
pub struct Collector {
    /// What speaks to it.
    pub client: reqwest::Client,
    /// Where it takes traces.
    pub url: Url,
    /// What is told of this process.
    pub process: Vec<Attribute>,
}

/// Where steps are put.
#[derive(Debug)]
pub(super) struct Outbox {
    line: mpsc::Sender<Step>,
    told: Arc<Told>,
}

impl Outbox {
    /// A line, and its other end.
    pub(super) fn new(metrics: &Metrics) -> (Self, mpsc::Receiver<Step>) {
        let (line, waiting) = mpsc::channel(LINE);
        let told = Arc::new(Told {
            spans: metrics.spans(),
            warned: AtomicBool::new(false),
        });
        (Self { line, told }, waiting)
    }

    pub(super) fn put(&self, step: Step) {
        if self.line.try_send(step).is_err() {
            self.told.lost(1, "more is to be told than it takes");
        }
    }
}

/// What became of steps.
#[derive(Debug)]
struct Told {
    spans: Spans,
    /// Whether it was said that some are lost.
    warned: AtomicBool,
}

impl Told {
    fn delivered(&self, steps: usize) {
        self.spans.exported(steps);
        if self.warned.swap(false, Ordering::Relaxed) {
            tracing::info!("traces are delivered again");
        }
    }

    /// Said once, until some are delivered again.
    fn lost(&self, steps: usize, why: &str) {
        self.spans.dropped(steps);
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = why,
                "traces are lost: look whether --otlp-endpoint names a collector that answers; nothing else is touched by it"
            );
        }
    }
}

/// Why a batch was not delivered.
struct Undelivered {
    why: String,
    /// Whether it may be taken later.
    passes: bool,
}

/// A line, and the work of emptying it.
pub(super) fn begin(
    collector: Collector,
    metrics: &Metrics,
) -> (Outbox, impl Future<Output = ()> + Send + use<>) {
    let (outbox, waiting) = Outbox::new(metrics);
    let told = Arc::clone(&outbox.told);
    (outbox, empty(collector, waiting, told))
}

async fn empty(collector: Collector, mut waiting: mpsc::Receiver<Step>, told: Arc<Told>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let more = async {
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                if waiting.recv_many(&mut batch, room).await == 0 {
                    break;
                }
            }
        };
        // Late is as good as full.
        let _full = tokio::time::timeout(GATHER, more).await;
        match collector.deliver(&batch).await {
            Ok(()) => told.delivered(batch.len()),
            Err(why) => told.lost(batch.len(), &why),
        }
        batch.clear();
    }
}

impl Collector {
    async fn deliver(&self, steps: &[Step]) -> Result<(), String> {
        let body = otlp::request(&self.process, steps).to_string();
        let mut pauses = PAUSES.into_iter();
        loop {
            let why = match self.post(body.clone()).await {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            match pauses.next().filter(|_| why.passes) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(why.why),
            }
        }
    }

    async fn post(&self, body: String) -> Result<(), Undelivered> {
        let request = self
            .client
            .post(self.url.clone())
            .timeout(ANSWER)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let answer = request.send().await.map_err(|why| Undelivered {
            why: reeve_core::failure::chain(&why.without_url()),
            passes: true,
        })?;
        let code = answer.status();
        match code.is_success() {
            true => Ok(()),
            false => Err(Undelivered {
                why: format!("the collector answered {}", code.as_u16()),
                // Those that the specification has asked again.
                passes: matches!(code.as_u16(), 429 | 502 | 503 | 504),
            }),
        }
    }
}
