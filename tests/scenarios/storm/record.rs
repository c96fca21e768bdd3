//! The rounds of a blow, and what became of each: a line in `target/storm.tsv`, which outlives the run.
//!
//! A soak takes hours, and nobody reads along: when it ends, or is ended, the lines are what there is.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;

use super::{is_soak, set};

/// What stands above the columns.
const HEAD: &str = "when\tblow\ttenants\tseed\tseconds\toutcome\n";
/// How much of a failure is kept.
const WORDS: usize = 1_000;

/// Plays as many rounds of a blow to so many tenants as are asked for, each with its seed, until one says that this machine cannot
/// play it (None).
pub(super) async fn rounds(
    blow: &str,
    number: usize,
    mut play: impl AsyncFnMut(u64) -> anyhow::Result<Option<String>>,
) -> anyhow::Result<()> {
    let rounds = set("REEVE_ROUNDS").unwrap_or_else(|| if is_soak() { 20 } else { 1 });
    let first = set("REEVE_SEED").unwrap_or_else(rand::random);
    let mut failed = Vec::new();
    for round in 0..rounds {
        let seed = first.wrapping_add(round);
        let begun = Instant::now();
        let Some(came) = play(seed).await.transpose() else {
            return Ok(());
        };
        note(blow, number, seed, begun.elapsed(), &came)?;
        let what = format!("{blow}, round {} of {rounds}, REEVE_SEED={seed}", round + 1);
        match came {
            Ok(how) => eprintln!("{what}: {how}"),
            Err(why) => {
                eprintln!("{what}: {why:#}");
                failed.push(why.context(what));
            }
        }
    }
    let number = failed.len();
    match failed.into_iter().next() {
        None => Ok(()),
        Some(why) => Err(why.context(format!("{number} of {rounds} failed, as this one"))),
    }
}

/// Adds a line about a round with so many tenants.
fn note(
    blow: &str,
    number: usize,
    seed: u64,
    took: Duration,
    came: &anyhow::Result<String>,
) -> anyhow::Result<()> {
    let outcome = match came {
        Ok(how) => format!("passed: {how}"),
        // Behind what is told around it stands what it was.
        Err(why) => format!("FAILED: {}", why.root_cause()),
    };
    let outcome: String = outcome.chars().take(WORDS).collect();
    let outcome = outcome.replace(['\t', '\n', '\r'], " ");
    let (now, seconds) = (Timestamp::now(), took.as_secs_f64());
    let line = format!("{now:.0}\t{blow}\t{number}\t{seed}\t{seconds:.1}\t{outcome}\n");
    let path = reeve_tests::root().join("target/storm.tsv");
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(&path);
    let mut file = file.with_context(|| path.display().to_string())?;
    let is_new = file.metadata()?.len() == 0;
    let text = if is_new {
        format!("{HEAD}{line}")
    } else {
        line
    };
    // At once: whatever ends the run next, the line is there.
    file.write_all(text.as_bytes())?;
    Ok(())
}
