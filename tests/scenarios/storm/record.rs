//! What became of each round: a line in `target/storm.tsv`, which outlives the run.
//!
//! A soak takes hours, and nobody reads along: when it ends, or is ended, the lines are what there is.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

/// What stands above the columns.
const HEAD: &str = "when\tblow\ttenants\tseed\tseconds\toutcome\n";
/// How much of a failure is kept.
const WORDS: usize = 1_000;

/// Adds a line about a round with so many tenants.
pub(super) fn note(
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
