//! What plugins cost: a call that does nothing, calls on all cores, and a start with a thousand different plugins.
//!
//! The guest is `plugins/echo`, in Rust and doing nothing, so that what is measured is ours; what a real one needs of its
//! own is shown beside it. The thousand are `stamp-labels`, each with another custom section: other bytes, so other
//! code on disk. The start is a fresh process, this program again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reeve_wasm::{Budget, Compiler, Module, Program, Sandbox, Settings, World};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::spread::Spread;

const PLUGINS: usize = 1_000;
/// Plugins that are loaded at once.
const WORKERS: usize = 8;
const CALLS: usize = 20_000;
/// Of guests with a runtime of their own.
const SLOW_CALLS: usize = 200;
/// How long throughput is measured.
const WHILE: Duration = Duration::from_secs(5);

pub(crate) fn bench() -> anyhow::Result<()> {
    let room = tempfile::tempdir()?;
    let cache = room.path().join("cache");
    say(
        "| a call with 10 small objects | size | compile | p50 | p99 | calls/s, 1 thread | 2 threads |\n|---|---|---|---|---|---|---|",
    )?;
    for (name, config) in [
        ("echo", json!({})),
        ("stamp-labels", json!({"labels": {"cost-centre": "4711"}})),
    ] {
        calls(name, &config.to_string(), &cache, CALLS)?;
    }
    for (name, config) in [
        ("spread-pods", json!({})),
        ("ingress-hosts", json!({"domains": ["shop.example"]})),
        (
            "mirror-images",
            json!({"mirrors": {"docker.io/": "mirror.example/hub/"}}),
        ),
    ] {
        if path(name).exists() {
            calls(name, &config.to_string(), &cache, SLOW_CALLS)?;
        } else {
            say(&format!(
                "| `{name}` | not built: `make guests` | | | | | |"
            ))?;
        }
    }
    say("\n| 1,000 different plugins | time | resident | of it anonymous |\n|---|---|---|---|")?;
    let begun = Instant::now();
    runtime(2)?.block_on(load_all(&cache))?;
    let took = begun.elapsed().as_secs_f64();
    say(&format!("| compiled, two at once | {took:.1} s | | |"))?;
    for _ in 0..3 {
        let warm = Command::new(std::env::current_exe()?)
            .arg("--warm")
            .arg(&cache)
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(warm.status.success(), "the start from a warm cache failed");
        say(String::from_utf8_lossy(&warm.stdout).trim())?;
    }
    Ok(())
}

/// A start: the sandbox, and every plugin from the cache.
pub(crate) fn warm(cache: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    let modules = runtime(2)?.block_on(load_all(cache))?;
    let took = begun.elapsed();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mib = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) >> 10
    };
    say(&format!(
        "| started from a warm cache, {} loaded | {:.2} s | {} MiB | {} MiB |",
        modules.len(),
        took.as_secs_f64(),
        mib("VmRSS:"),
        mib("RssAnon:"),
    ))?;
    Ok(())
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}

fn runtime(threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
}

fn sandbox(cache: &Path) -> anyhow::Result<Sandbox> {
    let reeve = PathBuf::from(std::env::var_os("REEVE_BIN").context("REEVE_BIN names reeve")?);
    Ok(Sandbox::new(Settings {
        cache: Some(cache.to_owned()),
        compiler: Compiler::Process(Program {
            path: reeve,
            arguments: vec!["compile-plugin".into()],
        }),
        // A thousand loads at once wait for each other, and one tenant calls without end.
        compile: Duration::from_secs(3600),
        time_each: Duration::from_secs(3600),
        ..Settings::default()
    })?)
}

fn path(name: &str) -> PathBuf {
    reeve_tests::root().join(format!("target/plugins/{name}.wasm"))
}

fn component(name: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path(name)).with_context(|| format!("{name}: plugins/build.sh builds it"))
}

/// The same component with a custom section that nobody reads.
fn variant(component: &[u8], number: usize) -> Vec<u8> {
    let text = format!("{number:08}");
    let name = b"bench";
    let mut bytes = component.to_vec();
    bytes.push(0);
    // Lengths below 128 are one byte.
    bytes.push(u8::try_from(1 + name.len() + text.len()).unwrap_or(u8::MAX));
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend(name);
    bytes.extend(text.as_bytes());
    bytes
}

async fn load_all(cache: &Path) -> anyhow::Result<Vec<Module>> {
    let component: Arc<[u8]> = component("stamp-labels")?.into();
    let sandbox = sandbox(cache)?;
    // As a controller's runs do: each is a task that reads its component and lets go of it, and not all run at once.
    let workers = Arc::new(Semaphore::new(WORKERS));
    let loads: Vec<_> = (0..PLUGINS)
        .map(|number| {
            let (sandbox, component, workers) =
                (sandbox.clone(), component.clone(), workers.clone());
            tokio::spawn(async move {
                let _worker = workers.acquire_owned().await?;
                let bytes = variant(&component, number);
                let tenant = format!("tenant-{}", number % 100);
                let module = sandbox.load(&tenant, &bytes, World::Transformer).await?;
                anyhow::Ok(module)
            })
        })
        .collect();
    let mut modules = Vec::with_capacity(PLUGINS);
    for load in loads {
        modules.push(load.await??);
    }
    Ok(modules)
}

fn manifests() -> Vec<String> {
    (0..10)
        .map(|i| {
            let object = json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": format!("settings-{i}"), "namespace": "acme", "labels": {"app": "shop"}},
                "data": {"colour": "blue"},
            });
            object.to_string()
        })
        .collect()
}

fn calls(name: &str, config: &str, cache: &Path, count: usize) -> anyhow::Result<()> {
    let component = component(name)?;
    let runtime = runtime(2)?;
    let begun = Instant::now();
    let module = runtime.block_on(async {
        let sandbox = sandbox(cache)?;
        anyhow::Ok(sandbox.load("acme", &component, World::Transformer).await?)
    })?;
    let compile = begun.elapsed();
    let mut times =
        runtime.block_on(runtime.spawn(latencies(module.clone(), config.to_owned(), count)))??;
    times.sort();
    let p99 = times.get(count * 99 / 100).copied().unwrap_or_default();
    let mut rates = Vec::new();
    for threads in [1, 2] {
        rates.push(rate(&runtime, &module, config, threads)?);
    }
    say(&format!(
        "| `{name}` | {} kB | {} ms | {} us | {} us | {} |",
        component.len() / 1000,
        compile.as_millis(),
        Spread::of(times).p50.as_micros(),
        p99.as_micros(),
        rates.join(" | "),
    ))?;
    Ok(())
}

/// How long each of many calls took, one after the other.
async fn latencies(module: Module, config: String, count: usize) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let (given, budget) = (manifests(), Budget::default());
        let begun = Instant::now();
        let told = module.transform("acme", given, &config, &budget).await?;
        times.push(begun.elapsed());
        ensure!(told.manifests.len() == 10, "a manifest is lost");
    }
    Ok(times)
}

/// Calls in a second when `threads` call without end.
fn rate(
    runtime: &tokio::runtime::Runtime,
    module: &Module,
    config: &str,
    threads: usize,
) -> anyhow::Result<String> {
    let begun = Instant::now();
    let callers: Vec<_> = (0..threads)
        .map(|_| {
            let (module, config) = (module.clone(), config.to_owned());
            let given = manifests();
            runtime.spawn(async move {
                let (mut calls, budget) = (0_u64, Budget::default());
                while begun.elapsed() < WHILE {
                    let given = given.clone();
                    module.transform("acme", given, &config, &budget).await?;
                    calls += 1;
                }
                anyhow::Ok(calls)
            })
        })
        .collect();
    let mut all = 0;
    for caller in callers {
        all += runtime.block_on(caller)??;
    }
    let each_second = all as f64 / begun.elapsed().as_secs_f64();
    Ok(format!("{each_second:.0}"))
}
