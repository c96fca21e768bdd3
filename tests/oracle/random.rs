//! Random kustomizations through the real kustomize and through ours: the same bytes, or refused by both.
//!
//! 500 of them, or 20,000 where `REEVE_SOAK` is set, always the same. `REEVE_SEED=N` runs the one of that number, with
//! `REEVE_COUNT` as many from there on. One that differs is made small and printed; it becomes a folder of
//! `tests/cases/render`. The places in which the two differ on purpose are in `SHORTCOMINGS.md`, and not made here, but for
//! what `random/known.rs` knows.

mod builtin;
mod case;
mod generator;
mod known;
mod kustomization;
mod object;
mod patch;
mod replacement;
mod scalar;
mod shrink;
mod workload;
mod yaml;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use reeve_kustomize::{MemoryTree, Options, Order};

pub(crate) use reeve_tests::dice;

use crate::real::{self, Kustomize};
use case::Case;

/// How a case came out.
#[derive(Debug, PartialEq)]
enum Verdict {
    Same,
    BothRefuse,
    /// kustomize does not refuse but falls over.
    Panic,
    /// As is said in `SHORTCOMINGS.md`.
    Known,
    Differs(String),
}

/// How many came out how.
#[derive(Debug, Default)]
struct Score {
    same: u64,
    refused: u64,
    panics: u64,
    known: u64,
    /// The numbers of those that differ, and how.
    differ: Vec<(u64, String)>,
}

/// Runs the cases of these numbers, as many at once as there are processors.
fn run(kustomize: &Kustomize, numbers: std::ops::Range<u64>) -> Score {
    let next = AtomicU64::new(numbers.start);
    let score = Mutex::new(Score::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let dir = tempfile::tempdir().expect("there is room for a tree");
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    // A report of ten is enough to begin with.
                    if !numbers.contains(&number) || told(&score, |s| s.differ.len()) >= 10 {
                        break;
                    }
                    let case = Case::new(number);
                    let verdict = judge(kustomize, &case, dir.path());
                    let smallest = match &verdict {
                        Verdict::Differs(_) => Some(smallest(kustomize, case, dir.path())),
                        _ => None,
                    };
                    told(&score, |score| match verdict {
                        Verdict::Same => score.same += 1,
                        Verdict::BothRefuse => score.refused += 1,
                        Verdict::Panic => score.panics += 1,
                        Verdict::Known => score.known += 1,
                        Verdict::Differs(_) => {
                            score.differ.push((number, smallest.unwrap_or_default()));
                        }
                    });
                }
            });
        }
    });
    score.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn told<T>(score: &Mutex<Score>, then: impl FnOnce(&mut Score) -> T) -> T {
    then(&mut score.lock().unwrap_or_else(PoisonError::into_inner))
}

fn judge(kustomize: &Kustomize, case: &Case, scratch: &std::path::Path) -> Verdict {
    let files = case.tree();
    let dir = scratch.join("tree");
    drop(std::fs::remove_dir_all(&dir));
    real::write(&dir, &files);
    let order = if case.legacy_order { "legacy" } else { "none" };
    let mut flags = vec!["--reorder", order];
    if case.managed_by_label {
        flags.push("--enable-managedby-label");
    }
    let theirs = kustomize.build(&dir.join(&case.top), &flags);
    let tree: MemoryTree = files.into_iter().collect();
    let options = Options {
        order: if case.legacy_order {
            Order::Legacy
        } else {
            Order::Fifo
        },
        managed_by_label: case.managed_by_label,
        ..Options::default()
    };
    let ours = reeve_kustomize::build(&tree, &case.top, &options);
    match (
        theirs,
        ours.map(|objects| reeve_kustomize::to_yaml(&objects)),
    ) {
        (Ok(theirs), Ok(ours)) if theirs == ours => Verdict::Same,
        (Ok(theirs), Ok(ours)) if known::same_but_foreign_hashes(&theirs, &ours) => Verdict::Known,
        (Ok(theirs), Ok(ours)) => Verdict::Differs(first_difference(&theirs, &ours)),
        (Err(_), Err(_)) => Verdict::BothRefuse,
        (Err(theirs), Ok(_)) if theirs.contains("panic: ") => Verdict::Panic,
        (Err(theirs), Ok(_)) => {
            let last = theirs
                .rsplit_once("Error: ")
                .map_or(theirs.as_str(), |(_, last)| last);
            Verdict::Differs(format!("kustomize refuses: {last}"))
        }
        (Ok(_), Err(ours)) => Verdict::Differs(format!("we refuse: {ours}")),
    }
}

fn first_difference(theirs: &str, ours: &str) -> String {
    let same = theirs
        .lines()
        .zip(ours.lines())
        .take_while(|(a, b)| a == b)
        .count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(nothing)").to_owned();
    format!(
        "line {}\n  kustomize {}\n  ours      {}",
        same + 1,
        line(theirs),
        line(ours)
    )
}

/// The case with everything left out that the difference does not need, as text.
fn smallest(kustomize: &Kustomize, case: Case, scratch: &std::path::Path) -> String {
    // The same keys of the lines that differ, whatever number these have.
    let kind = |verdict: &Verdict| match verdict {
        Verdict::Differs(how) => {
            let keys = how.lines().skip(usize::from(how.starts_with("line")));
            Some(
                keys.take(2)
                    .filter_map(|line| line.split(':').next().map(str::to_owned))
                    .collect::<Vec<_>>(),
            )
        }
        _ => None,
    };
    let first = kind(&judge(kustomize, &case, scratch));
    let case = shrink::shrink(case, &|case| {
        let now = kind(&judge(kustomize, case, scratch));
        now.is_some() && now == first
    });
    let mut out = format!("{:?}\n", judge(kustomize, &case, scratch));
    let _ = writeln!(
        out,
        "build {} (legacy order: {})",
        case.top, case.legacy_order
    );
    for (name, text) in case.tree() {
        let _ = writeln!(out, "# {name}\n{text}");
    }
    out
}

/// A number that is set in the environment.
fn set(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect("it is a number"))
}

#[test]
fn random_kustomizations_come_out_as_kustomize_has_them() {
    let Some(kustomize) = crate::kustomize() else {
        return;
    };
    let soak = std::env::var_os("REEVE_SOAK").is_some();
    let start = set("REEVE_SEED");
    let count = set("REEVE_COUNT").unwrap_or(match start {
        Some(_) => 1,
        None if soak => 20_000,
        None => 500,
    });
    let start = start.unwrap_or(0);
    let score = run(&kustomize, start..start + count);
    let shown: Vec<String> = score
        .differ
        .iter()
        .map(|(number, how)| format!("REEVE_SEED={number}\n{how}"))
        .collect();
    eprintln!(
        "{} the same, {} refused by both, in {} kustomize panics, {} differ on purpose",
        score.same, score.refused, score.panics, score.known
    );
    assert!(
        shown.is_empty(),
        "{} differ\n{}",
        shown.len(),
        shown.join("\n")
    );
    assert!(
        count < 100 || score.same > count / 3,
        "too few are built: {}",
        score.same
    );
}
