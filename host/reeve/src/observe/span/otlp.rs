//! Steps as OTLP has them: `ExportTraceServiceRequest`, in the JSON form of the specification (ids in hex, times as text).
//!
//! The JSON form needs nothing that is not there already; the binary one, and gRPC, would bring a dozen packages. What it
//! deliberately doesn't: send.

use serde_json::{Value, json};

use super::{Attribute, Sort, Step};

/// The most characters of what is told of a step.
const LONGEST: usize = 256;

/// All of these steps, of this process.
pub(super) fn request(process: &[Attribute], steps: &[Step]) -> Value {
    let spans: Vec<Value> = steps.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes(process)},
        "scopeSpans": [{
            "scope": {"name": "reeve", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans,
        }],
    }]})
}

fn span(step: &Step) -> Value {
    let kind = match step.sort {
        Sort::Internal => 1,
        Sort::Server => 2,
    };
    let mut span = json!({
        "traceId": format!("{:032x}", step.at.trace),
        "spanId": format!("{:016x}", step.at.step),
        "name": step.name,
        "kind": kind,
        "startTimeUnixNano": step.begun.to_string(),
        "endTimeUnixNano": step.ended.to_string(),
        "attributes": attributes(&step.attributes),
    });
    let parent = step.parent.map(|parent| format!("{parent:016x}").into());
    let failed = step.failed.as_deref();
    let status = failed.map(|reason| json!({"code": 2, "message": shortened(reason)}));
    if let Value::Object(span) = &mut span {
        span.extend(parent.map(|parent| ("parentSpanId".to_owned(), parent)));
        span.extend(status.map(|status| ("status".to_owned(), status)));
    }
    span
}

fn attributes(all: &[Attribute]) -> Vec<Value> {
    let one = |(key, value): &Attribute| {
        let value = shortened(value);
        json!({"key": key, "value": {"stringValue": value}})
    };
    all.iter().map(one).collect()
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
