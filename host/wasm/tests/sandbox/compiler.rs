//! Compiling happens in a process that can be stopped, holds nothing of ours, and never outlives us.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reeve_wasm::process::{Process, Rights};
use reeve_wasm::{Compiler, Error, Program, Settings, World};

use crate::guest::{self, ECHO, TRANSFORMER};
use crate::hostile::process;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A module as a component's: nothing calls it, everything compiles it.
fn bomb(module: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {module}))")).expect("text")
}

/// The kernel would end it with the thread that started it, and threads that block in place end some time after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_outlives_the_thread_that_asked_for_it() {
    let Compiler::Process(program) = process() else {
        panic!("it compiles elsewhere");
    };
    let rights = Rights {
        memory: 1 << 30,
        time: PATIENCE,
        gives_way: false,
    };
    let runtime = tokio::runtime::Handle::current();
    let first = move || {
        runtime.block_on(async {
            let mut process = Process::start(&program, rights).expect("it starts");
            process.ask(&[b"?"], 1024).await.expect("an answer");
            process
        })
    };
    let mut process = std::thread::spawn(first).join().expect("it ends");
    let again = process.ask(&[b"?"], 1024).await.expect("another answer");
    assert!(again.starts_with(b"nothing was asked"), "{again:?}");
}

/// Nested loops that each carry all locals: what the compiler keeps grows with their product.
fn loops(depth: usize, locals: usize) -> Vec<u8> {
    let mut body = "loop ".repeat(depth);
    for local in 0..locals {
        // It cannot know what is carried.
        let _written = write!(
            body,
            "local.get {local} local.get {} i32.add local.set {local} ",
            (local * 7 + 1) % locals
        );
    }
    body.push_str(&"local.get 0 br_if 0 end ".repeat(depth));
    bomb(&format!("(func (local{}) {body})", " i32".repeat(locals)))
}

/// What people have tried on compilers.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let table = format!(
        "(func (param i32) (block (br_table {} (local.get 0))))",
        "0 ".repeat(65_000)
    );
    let types: String = (0..50_000)
        .map(|i| format!("(type (func (param {})))", "i32 i64 ".repeat(i % 40)))
        .collect();
    vec![
        (
            "a huge function",
            bomb(&format!(
                "(func (local i64) {})",
                "local.get 0 i64.const 3 i64.mul local.set 0 ".repeat(120_000)
            )),
        ),
        (
            "deep nesting",
            bomb(&format!(
                "(func {} {})",
                "block ".repeat(200_000),
                "end ".repeat(200_000)
            )),
        ),
        (
            "ten million locals",
            bomb(&format!("(func (local{}))", " i64".repeat(10_000_000 / 8))),
        ),
        (
            "as many locals as there may be",
            bomb(&format!(
                "(func (local{}) {})",
                " i64".repeat(49_000),
                "local.get 0 local.set 1 ".repeat(49_000)
            )),
        ),
        ("many functions", bomb(&"(func)".repeat(150_000))),
        ("huge tables of branches", bomb(&table.repeat(12))),
        ("many types", bomb(&types)),
        ("loops that carry everything", loops(4000, 2000)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_go_off_in_another_process_and_nobody_else_notices() {
    let sandbox = guest::sandbox(Settings {
        compiler: process(),
        // This machine may be busy, and a compiler has the least right to it.
        compile: Duration::from_secs(600),
        compile_time: Duration::from_secs(2),
        compile_memory: 512 << 20,
        ..Settings::default()
    });
    let neighbour = guest::load(&sandbox, ECHO).await;
    let bombs = bombs();
    let before = resident();
    for (name, bomb) in bombs {
        let began = Instant::now();
        let load = sandbox.load("mallory", &bomb, World::Transformer);
        let mut load = std::pin::pin!(load);
        let mut calls = 0;
        let mut turns = tokio::time::interval(Duration::from_millis(5));
        let patient = guest::patient();
        let end = loop {
            tokio::select! {
                biased;
                end = &mut load => break end,
                _ = turns.tick() => {
                    let told = neighbour.transform("acme", guest::manifests(), "{}", &patient).await;
                    told.expect("a neighbour is not disturbed");
                    calls += 1;
                }
            }
        };
        let end = end.expect_err("a bomb is no plugin");
        println!(
            "{name}: {} kB, {:?}, {calls} calls beside it: {end}",
            bomb.len() >> 10,
            began.elapsed()
        );
        assert!(!end.is_ours(), "{name}: {end}");
        assert!(
            matches!(end, Error::Compile(_) | Error::World { .. }),
            "{name}: {end}"
        );
    }
    // Half of what one of them may take: other tests of this process grow beside it.
    let grown = resident().saturating_sub(before);
    assert!(grown < 256 << 10, "{grown} KiB more than before");
}

async fn end_of(settings: Settings, component: &[u8]) -> Error {
    let sandbox = guest::sandbox(settings);
    let end = sandbox.load("mallory", component, World::Transformer).await;
    end.expect_err("it does not compile")
}

#[tokio::test]
async fn an_error_says_which_limit_the_compiler_met() {
    let bomb = loops(4000, 2000);
    let usual = Settings {
        compiler: process(),
        ..Settings::default()
    };
    for (settings, want) in [
        (
            Settings {
                compile_memory: 192 << 20,
                ..usual.clone()
            },
            "compiling it takes more than 192 MiB of memory",
        ),
        (
            Settings {
                compile_time: Duration::from_secs(1),
                compile_memory: 16 << 30,
                ..usual.clone()
            },
            "compiling it takes more than 1s of processor time",
        ),
        (
            Settings {
                compile: Duration::from_millis(300),
                ..usual.clone()
            },
            "compiling it took longer than 300ms",
        ),
    ] {
        let told = end_of(settings, &bomb).await.to_string();
        assert!(told.contains(want), "{told}");
    }
    let small = Settings {
        code: 1024,
        ..usual
    };
    let told = end_of(small, &guest::component(TRANSFORMER, ECHO)).await;
    assert!(told.to_string().contains("the compiler crashed"), "{told}");
}

#[tokio::test]
async fn a_compiler_that_misbehaves_is_no_harm() {
    let says = |program: &str, arguments: &[&str]| Settings {
        compiler: Compiler::Process(Program {
            path: program.into(),
            arguments: arguments.iter().map(Into::into).collect(),
        }),
        code: 1 << 20,
        ..Settings::default()
    };
    let echo = guest::component(TRANSFORMER, ECHO);
    for (settings, ours, want) in [
        (says("/nowhere/reeve", &[]), true, "does not start"),
        (says("/bin/sh", &["-c", "exit 1"]), false, "exit status: 1"),
        (
            says("/bin/sh", &["-c", "kill -SEGV $$"]),
            false,
            "signal: 11",
        ),
        (
            says("/bin/sh", &["-c", "kill -KILL $$"]),
            false,
            "the machine's memory ran out",
        ),
        (says("/bin/cat", &[]), false, "crashed on it"),
        // For ever, had it a reader.
        (says("/usr/bin/yes", &[]), false, "crashed on it"),
        (says("/bin/sh", &["-c", "yes >&2"]), false, "crashed on it"),
    ] {
        let told = end_of(settings, &echo).await;
        assert_eq!(told.is_ours(), ours, "{told}");
        assert!(told.to_string().contains(want), "{want}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compiler_holds_nothing_of_ours_and_ends_with_whoever_asked() {
    let sandbox = guest::sandbox(Settings {
        compiler: process(),
        compile_memory: 4 << 30,
        ..Settings::default()
    });
    let bomb = loops(4000, 2000);
    let load = tokio::spawn(async move {
        let _end = sandbox.load("mallory", &bomb, World::Transformer).await;
    });
    let us = std::process::id();
    let child = until(|| compilers_of(us).into_iter().find(|it| held(*it))).await;
    let read = |what: &str| fs::read_to_string(format!("/proc/{child}/{what}"));
    assert_eq!(read("environ").expect("it runs"), "");
    let open: Vec<_> = fs::read_dir(format!("/proc/{child}/fd"))
        .expect("it runs")
        .map(|entry| entry.expect("it is readable").file_name())
        .collect();
    assert_eq!(open, ["0", "1", "2"]);
    let limits = read("limits").expect("it runs");
    for (limit, want) in [
        ("Max cpu time", "60"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max processes", "0"),
        ("Max open files", "0"),
        ("Max address space", "4294967296"),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(limit));
        let soft = line.and_then(|line| line.split_whitespace().next());
        assert_eq!(soft, Some(want), "{limit}");
    }
    let status = read("status").expect("it runs");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains(&format!("NSpgid:\t{child}")), "{status}");
    assert_eq!(read("oom_score_adj").expect("it runs"), "1000\n");
    // Whoever asked goes away: so does it, and nothing is left of it, no zombie either.
    load.abort();
    until(|| compilers_of(us).iter().all(|it| *it != child).then_some(())).await;
}

#[tokio::test]
async fn a_compiler_ends_when_its_controller_is_killed() {
    let mut controller = Command::new(std::env::current_exe().expect("we run"))
        .args([
            "--ignored",
            "--exact",
            "compiler::compiles_until_it_is_killed",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let id = controller.id();
    let child = until(|| compilers_of(id).into_iter().find(|it| held(*it))).await;
    controller.kill().expect("it runs");
    controller.wait().expect("it ends");
    until(|| (!is_compiler(child)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a controller for the test above, which kills it"]
async fn compiles_until_it_is_killed() {
    let settings = Settings {
        compiler: process(),
        compile_memory: 4 << 30,
        ..Settings::default()
    };
    end_of(settings, &loops(4000, 2000)).await;
}

/// What `look` finds, sooner or later.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "it did not come");
        tokio::task::yield_now().await;
    }
}

/// The processes that compile for `parent`, dead ones that were not reaped included.
fn compilers_of(parent: u32) -> Vec<u32> {
    let wanted = format!("PPid:\t{parent}\n");
    fs::read_dir("/proc")
        .expect("/proc is there")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id| {
            fs::read_to_string(format!("/proc/{id}/status"))
                .is_ok_and(|status| status.contains(&wanted) && status.contains("compile-plugin"))
        })
        .collect()
}

fn is_compiler(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/status"))
        .is_ok_and(|status| status.contains("compile-plugin") && !status.contains("State:\tZ"))
}

/// Whether it has taken its last limit from itself.
fn held(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/limits"))
        .is_ok_and(|limits| limits.contains("Max cpu time              60"))
}

/// Memory of this process that is its own (not mapped from files), in KiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
