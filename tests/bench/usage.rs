//! What one process needed: its time on the clock, and the most memory it held.
//!
//! A process begins as a copy of its parent, and the kernel counts what that held as its own. So it is a small one that
//! starts it: this program again, which does nothing else.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// What a process needed, and what it printed.
pub(crate) struct Usage {
    pub(crate) took: Duration,
    pub(crate) peak_kib: i64,
}

/// Runs `program build directory` to its end, its output into the file `out`.
pub(crate) fn build(program: &Path, directory: &Path, out: &Path) -> anyhow::Result<Usage> {
    let small = Command::new(std::env::current_exe()?)
        .arg("--one")
        .args([program, directory, out])
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&small.stdout);
    let (took, peak) = said
        .trim()
        .split_once(' ')
        .with_context(|| format!("{} build {} failed", program.display(), directory.display()))?;
    Ok(Usage {
        took: Duration::from_nanos(took.parse()?),
        peak_kib: peak.parse()?,
    })
}

/// Does the same in this process and prints what it needed.
pub(crate) fn one(program: &Path, directory: &Path, out: &Path) -> anyhow::Result<()> {
    let needed = run(program, directory, out)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{} {}", needed.took.as_nanos(), needed.peak_kib)?;
    Ok(())
}

fn run(program: &Path, directory: &Path, out: &Path) -> anyhow::Result<Usage> {
    let out = std::fs::File::create(out).context("a file for the output")?;
    let begun = Instant::now();
    let child = Command::new(program)
        .arg("build")
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(out)
        .spawn()
        .with_context(|| format!("{} cannot be run", program.display()))?;
    let (status, peak_kib) = wait(child.id())?;
    let took = begun.elapsed();
    let (program, directory) = (program.display(), directory.display());
    ensure!(status == 0, "{program} build {directory} failed");
    Ok(Usage { took, peak_kib })
}

/// Waits for the child of this id; its status, and the most KiB it held.
#[expect(
    unsafe_code,
    reason = "wait4(2) is the only call that says what one child needed"
)]
fn wait(id: u32) -> anyhow::Result<(i32, i64)> {
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zeroes are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that outlive the call; the child is ours and nobody else waits for it, since
    // dropping a `Child` does not.
    let waited = unsafe { libc::wait4(id.cast_signed(), &raw mut status, 0, &raw mut usage) };
    ensure!(waited == id.cast_signed(), "the child cannot be waited for");
    Ok((status, usage.ru_maxrss))
}
