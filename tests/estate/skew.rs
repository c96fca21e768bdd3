//! A time of day that jumps, for one program alone.
//!
//! What that program asks its C library for, `skew.c` answers: the machine's time and so many seconds. The program itself is
//! the one that is shipped, but for one that is linked statically: that asks nobody. Clocks that measure how much time has
//! passed never jump, here as on any machine.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use jiff::SignedDuration;

/// The time of day of whoever was started in its environment.
pub struct Skew {
    library: PathBuf,
    path: PathBuf,
    seconds: File,
}

impl Skew {
    /// Builds what is preloaded, with the C compiler that links Rust programs too.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        let library = dir.join("skew.so");
        let source = crate::root().join("tests/estate/skew.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .output()
            .context("cc cannot be run: `apt-get install gcc`")?;
        let said = String::from_utf8_lossy(&built.stderr);
        ensure!(built.status.success(), "cc failed: {said}");
        let path = dir.join("skew");
        let seconds = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        seconds.write_all_at(&0_i64.to_ne_bytes(), 0)?;
        Ok(Self {
            library,
            path,
            seconds,
        })
    }

    /// What a program has in its environment whose time this is.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let entry = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
        vec![
            entry("LD_PRELOAD", &self.library),
            entry("ESTATE_SKEW", &self.path),
        ]
    }

    /// From now on the time of day is the machine's and this.
    pub fn jump(&self, by: SignedDuration) -> anyhow::Result<()> {
        // In place: whoever has mapped the file must never find it shorter.
        self.seconds.write_all_at(&by.as_secs().to_ne_bytes(), 0)?;
        Ok(())
    }
}
