//! Where the time of a phase went: from the controller's own metrics, before and after it.
//!
//! Times of things that happen beside each other are added up, so the sum may be many times what the phase took. What is
//! indented is a part of what stands above it.

use std::io::Write as _;
use std::time::Duration;

use reeve_tests::controller::sum;

/// What is told: in words, the histogram, and the label that picks a part of it.
const ROWS: [(&str, &str, &str); 21] = [
    ("a source waits for a worker", QUEUE, "\"gitrepository\""),
    ("a source is worked on", WORK, "\"gitrepository\""),
    ("- asked, and fetched", FETCH, ""),
    (
        "a Kustomization waits for a worker",
        QUEUE,
        "\"kustomization\"",
    ),
    ("a Kustomization is worked on", WORK, "\"kustomization\""),
    ("- build", STAGE, "\"build\""),
    ("- plugins", STAGE, "\"transform\""),
    ("- whose objects they are", STAGE, "\"plan\""),
    ("- policies", STAGE, "\"judge\""),
    ("- compare, write, prune", STAGE, "\"apply\""),
    ("- remember", STAGE, "\"keep\""),
    ("- tell", STAGE, "\"report\""),
    ("the API server answers", API, ""),
    ("- read", API, "\"read\""),
    ("- dry run", API, "\"dry-run\""),
    ("- write", API, "\"write\""),
    ("- delete", API, "\"delete\""),
    ("- status", API, "\"status\""),
    ("- event", API, "\"event\""),
    ("- lease", API, "\"lease\""),
    ("- watch, until it begins", API, "\"watch\""),
];
const QUEUE: &str = "workqueue_queue_duration_seconds";
const WORK: &str = "workqueue_work_duration_seconds";
const FETCH: &str = "reeve_fetch_duration_seconds";
const STAGE: &str = "reeve_stage_duration_seconds";
const API: &str = "reeve_api_request_duration_seconds";

/// Prints what became more between two looks at the metrics.
pub(crate) fn report(name: &str, before: &str, after: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\n| {name} | times | s in all | ms each |\n|---|---|---|---|"
    )?;
    for (words, histogram, label) in ROWS {
        let more = |part: &str| {
            let sample = format!("{histogram}_{part}");
            let words = [sample.as_str(), label];
            sum(after, &words) - sum(before, &words)
        };
        let (times, seconds) = (more("count"), more("sum"));
        if times > 0.0 {
            let each = seconds / times * 1e3;
            writeln!(out, "| {words} | {times:.0} | {seconds:.2} | {each:.1} |")?;
        }
    }
    Ok(())
}

/// Of the processor time of both, which part the API server took.
pub(super) fn share(controller: Duration, api: Duration) -> f64 {
    let all = controller + api;
    api.as_secs_f64() / all.as_secs_f64().max(f64::EPSILON)
}
