//! Log lines: one JSON object a line, with the keys that `flux logs` reads, or text for people.
//!
//! ```text
//! {"level":"info","ts":"2026-01-02T03:04:05.678Z","logger":"reeve","msg":"…","controller":"kustomization",
//!  "controllerGroup":"kustomize.toolkit.fluxcd.io","controllerKind":"Kustomization",
//!  "Kustomization":{"name":"web","namespace":"acme"},"namespace":"acme","name":"web","reconcileID":"…"}
//! ```
//!
//! Libraries are heard only when something is wrong: what they say in detail (headers, negotiation) is not ours to vouch
//! for, and might hold a credential. What it deliberately doesn't: decide what is said; [`super::happening`] does.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::Object;
use crate::clock::Clock;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Level {
    /// Everything, for who looks for a fault.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What fails.
    Error,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Encoding {
    /// One JSON object a line.
    #[default]
    Json,
    /// Text for people.
    Console,
}

/// Our own crates, whose level is the one that was asked for.
const OURS: [&str; 5] = [
    "reeve",
    "reeve_api",
    "reeve_core",
    "reeve_kustomize",
    "reeve_wasm",
];

/// Starts logging to standard error, for the whole process. A second call changes nothing and says so.
pub fn init(level: Level, encoding: Encoding) -> Result<(), AlreadyStarted> {
    tracing_subscriber::registry()
        .with(Lines::new(std::io::stderr, encoding, Clock::system()).with_filter(filter(level)))
        .try_init()
        .map_err(|_| AlreadyStarted)
}

/// Logging was started before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("logging was started before")]
pub struct AlreadyStarted;

fn filter(level: Level) -> Targets {
    let (ours, theirs) = match level {
        Level::Debug => (LevelFilter::DEBUG, LevelFilter::WARN),
        Level::Info => (LevelFilter::INFO, LevelFilter::WARN),
        // a library's error is as a rule our retry
        Level::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    Targets::new()
        .with_default(theirs)
        .with_targets(OURS.map(|target| (target, ours)))
}

/// The span of one run: every line within says which object it is about. `id` tells runs apart; empty when there is
/// nothing to tell apart.
pub fn span(object: Object<'_>, id: &str) -> Span {
    tracing::error_span!(
        "reconcile",
        controller = object.kind.controller(),
        controllerGroup = object.kind.group(),
        controllerKind = object.kind.as_str(),
        namespace = object.namespace,
        name = object.name,
        reconcileID = id,
    )
}

/// A new id to tell one run from another: random, in the form of a UUID.
pub fn run_id() -> String {
    let [a, b] = [rand::random::<u64>(), rand::random::<u64>()];
    // version 4, variant 1
    let a = (a & !0xf000) | 0x4000;
    let b = (b & (u64::MAX >> 2)) | (1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xffff,
        b >> 48,
        b & 0xffff_ffff_ffff
    )
}

/// A [`Layer`] that writes a line an event.
#[derive(Debug)]
pub struct Lines<W> {
    writer: W,
    encoding: Encoding,
    clock: Clock,
}

impl<W> Lines<W> {
    /// Lines to `writer`.
    pub fn new(writer: W, encoding: Encoding, clock: Clock) -> Self {
        Self {
            writer,
            encoding,
            clock,
        }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in ctx
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.0.extend(outer.0.clone());
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        let level = match *metadata.level() {
            // there are three levels to read; whoever filters for errors wants to see warnings too
            tracing::Level::ERROR | tracing::Level::WARN => "error",
            tracing::Level::INFO => "info",
            tracing::Level::DEBUG | tracing::Level::TRACE => "debug",
        };
        let logger = metadata.target().replace("::", ".");
        let ts = format!("{:.3}", self.clock.now());
        let mut line = match self.encoding {
            Encoding::Json => json_line(level, &ts, &logger, fields.0),
            Encoding::Console => console_line(level, &ts, &logger, fields.0),
        };
        line.push('\n');
        // one write a line, so that lines of different threads don't mix; a log that cannot be written is nobody's to hear
        let _written = self
            .writer
            .make_writer_for(metadata)
            .write_all(line.as_bytes());
    }
}

fn json_line(level: &str, ts: &str, logger: &str, mut fields: Map<String, Value>) -> String {
    let mut line = Map::new();
    line.insert("level".into(), level.into());
    line.insert("ts".into(), ts.into());
    line.insert("logger".into(), logger.into());
    line.insert(
        "msg".into(),
        fields.shift_remove("message").unwrap_or_else(|| "".into()),
    );
    if let Some(error) = fields.shift_remove("error") {
        line.insert("error".into(), error);
    }
    let of = |key: &str| {
        fields
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let object = of("controllerKind").zip(of("name")).map(|(kind, name)| {
        let mut object = Map::new();
        object.insert("name".into(), name.into());
        object.insert(
            "namespace".into(),
            of("namespace").unwrap_or_default().into(),
        );
        (kind.to_owned(), Value::Object(object))
    });
    for (key, value) in fields {
        if value.as_str() == Some("") {
            continue;
        }
        let is_kind = key == "controllerKind";
        line.insert(key, value);
        if is_kind && let Some((kind, object)) = object.clone() {
            line.insert(kind, object);
        }
    }
    Value::Object(line).to_string()
}

fn console_line(level: &str, ts: &str, logger: &str, mut fields: Map<String, Value>) -> String {
    let message = fields.shift_remove("message").unwrap_or_default();
    let mut line = format!("{ts} {level:5} {logger}: {}", plain(&message));
    for (key, value) in fields {
        if value.as_str() != Some("") {
            let _written = write!(line, " {key}={}", quoted(&value));
        }
    }
    line
}

/// Text without anything that could end the line or move a cursor: who writes a commit message must not be able to
/// write log lines.
fn plain(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn quoted(value: &Value) -> String {
    match value.as_str() {
        Some(text) if text.contains(|c: char| c.is_whitespace() || c == '"' || c == '=') => {
            format!("{text:?}")
        }
        _ => plain(value),
    }
}

/// The fields of a span or an event, in the order they were recorded.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        // `log`'s own bookkeeping, of libraries that use it
        if !field.name().starts_with("log.") {
            self.0.insert(field.name().to_owned(), value.into());
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, reeve_core::failure::chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Kind;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn said(encoding: Encoding, level: Level, say: impl FnOnce()) -> String {
        let heard = Heard::default();
        let writer = heard.clone();
        let clock = Clock::held("2026-01-02T03:04:05.678Z".parse().unwrap());
        let lines = Lines::new(move || writer.clone(), encoding, clock).with_filter(filter(level));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), say);
        let bytes = heard.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    const OBJECT: Object<'_> = Object {
        kind: Kind::Kustomization,
        namespace: "acme",
        name: "web",
    };

    #[test]
    fn a_line_has_the_keys_that_flux_logs_reads() {
        let line = said(Encoding::Json, Level::Info, || {
            let _in = span(OBJECT, "1234").entered();
            tracing::error!(target: "reeve", error = "it broke", revision = "main@sha1:1", "failed");
        });
        assert_eq!(
            line,
            concat!(
                r#"{"level":"error","ts":"2026-01-02T03:04:05.678Z","logger":"reeve","#,
                r#""msg":"failed","error":"it broke","controller":"kustomization","#,
                r#""controllerGroup":"kustomize.toolkit.fluxcd.io","#,
                r#""controllerKind":"Kustomization","#,
                r#""Kustomization":{"name":"web","namespace":"acme"},"#,
                r#""namespace":"acme","name":"web","reconcileID":"1234","#,
                r#""revision":"main@sha1:1"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_commit_message_cannot_write_log_lines() {
        let evil = "x\n{\"level\":\"error\"}\u{1b}[2J";
        for encoding in [Encoding::Json, Encoding::Console] {
            let out = said(encoding, Level::Info, || {
                tracing::info!(target: "reeve", subject = evil, "{evil}");
            });
            assert_eq!(out.lines().count(), 1, "{out}");
            assert!(!out.contains('\u{1b}'), "{out}");
        }
    }

    #[test]
    fn libraries_are_heard_only_when_something_is_wrong() {
        let out = said(Encoding::Json, Level::Debug, || {
            tracing::debug!(target: "hyper::proto", "authorization: Basic c2VjcmV0");
            tracing::info!(target: "kube_client", "a request");
            tracing::warn!(target: "kube_client", "trouble");
            tracing::debug!(target: "reeve::git", "ours");
        });
        let messages: Vec<_> = out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["msg"].clone())
            .collect();
        assert_eq!(messages, ["trouble", "ours"]);
    }

    #[test]
    fn a_run_has_an_id_of_its_own() {
        let (one, other) = (run_id(), run_id());
        assert_ne!(one, other);
        let parts: Vec<_> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{one}");
        assert_eq!(&one[14..15], "4");
        assert!("89ab".contains(&one[19..20]), "{one}");
    }

    #[test]
    fn an_error_is_logged_with_what_led_to_it() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        let out = said(Encoding::Json, Level::Info, || {
            let error = Outer(std::io::Error::other("inner"));
            tracing::error!(target: "reeve", error = &error as &dyn std::error::Error, "failed");
        });
        assert_eq!(
            serde_json::from_str::<Value>(&out).unwrap()["error"],
            "outer: inner"
        );
    }
}
