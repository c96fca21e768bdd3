//! What a call costs: `cargo test -p reeve-wasm --test sandbox -- --ignored --nocapture
//! what_a_plugin_costs`.

use std::time::{Duration, Instant};

use reeve_wasm::{Sandbox, Settings, World};

use crate::guest;
use crate::plugin::built;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; the numbers are in this crate's README"]
async fn what_a_plugin_costs() {
    let bytes = std::fs::read(built("stamp-labels")).expect("it is built");
    let config = r#"{"labels":{"cost-centre":"4711"}}"#;
    for pool in [true, false] {
        let settings = Settings {
            pool,
            ..Settings::default()
        };
        let resident = resident();
        let began = Instant::now();
        let sandbox = Sandbox::new(settings).expect("it starts");
        let started = began.elapsed();
        let began = Instant::now();
        let module = sandbox
            .load("acme", &bytes, World::Transformer)
            .await
            .expect("it loads");
        let cold = began.elapsed();
        let began = Instant::now();
        sandbox
            .load("acme", &bytes, World::Transformer)
            .await
            .expect("it loads");
        let warm = began.elapsed();
        let mut calls: Vec<Duration> = Vec::new();
        for _ in 0..1000 {
            let manifests = guest::manifests();
            let began = Instant::now();
            module
                .transform("acme", manifests, config, &guest::patient())
                .await
                .expect("it stamps");
            calls.push(began.elapsed());
        }
        calls.sort();
        println!(
            "pool {pool}: start {started:?}; {} bytes compile in {cold:?}, load again in {warm:?}; \
             call with 4 manifests p50 {:?}, p99 {:?}; {} KiB more anonymous memory",
            bytes.len(),
            calls[500],
            calls[990],
            self::resident().saturating_sub(resident),
        );
    }
}

/// Memory of this process that is its own (not mapped from files), in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
