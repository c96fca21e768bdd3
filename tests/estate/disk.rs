//! A small disk that can be filled: a file system in memory, which only the processes see that are started on it.
//!
//! It is mounted where nobody else looks: in a mount namespace that one idle process holds. So it is gone when that is, however
//! this process ends.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::plane::Plane;
use crate::process::Process;
use crate::wait;

/// A disk of a few megabytes.
pub struct Disk {
    holder: Process,
    at: PathBuf,
}

impl Disk {
    /// Mounts one; an error where the machine does not let us.
    pub async fn mount(plane: &Plane, name: &str, bytes: u64) -> anyhow::Result<Self> {
        let at = plane.room(name)?;
        let script = "mount -t tmpfs -o size=\"$0\" estate \"$1\" && touch \"$1/mounted\" && exec sleep infinity";
        let mut command = Command::new("unshare");
        if !is_root()? {
            // Whoever is nobody else's root may be their own.
            command.args(["--user", "--map-root-user"]);
        }
        command
            .args(["--mount", "sh", "-c", script, &bytes.to_string()])
            .arg(&at);
        let holder = Process::start("disk", command, &plane.logs()).context("starting unshare")?;
        let disk = Self { holder, at };
        let marker = disk.inside().join("mounted");
        wait::until(
            Duration::from_secs(10),
            "the small disk is mounted",
            || async { (marker.is_file() || disk.holder.ended().is_some()).then_some(()) },
        )
        .await?;
        let refused = || format!("no small disk: {}", disk.holder.tail(500));
        ensure!(disk.holder.ended().is_none(), refused());
        Ok(disk)
    }

    /// Its path, for those who are started on it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// What starts a program on it.
    pub fn through(&self) -> anyhow::Result<Vec<String>> {
        let spaces = format!("/proc/{}/ns", self.holder.id());
        let mut words = vec!["nsenter".to_owned(), format!("--mount={spaces}/mnt")];
        if !is_root()? {
            words.push(format!("--user={spaces}/user"));
            words.push("--preserve-credentials".to_owned());
        }
        words.push("--".to_owned());
        Ok(words)
    }

    /// Takes all the room there is left; returns how many bytes that were.
    pub fn fill(&self) -> anyhow::Result<u64> {
        let mut filler = File::create(self.filler())?;
        let mut filled = 0;
        // Ever smaller pieces: not a byte is to be left.
        for size in [1 << 20, 4096, 1] {
            let piece = vec![0; size];
            loop {
                match filler.write(&piece) {
                    Ok(0) => break,
                    Ok(written) => filled += written as u64,
                    Err(why) if why.kind() == ErrorKind::StorageFull => break,
                    Err(why) => return Err(why).context("filling the small disk"),
                }
            }
        }
        Ok(filled)
    }

    /// Gives the room back.
    pub fn empty(&self) -> anyhow::Result<()> {
        fs::remove_file(self.filler()).context("emptying the small disk")
    }

    fn filler(&self) -> PathBuf {
        self.inside().join("filler")
    }

    /// Where we see it, who are not on it.
    fn inside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let inner = self.at.strip_prefix("/").unwrap_or(&self.at);
        root.join(inner)
    }
}

/// Whether whoever runs this may mount something without a user namespace of their own.
pub(crate) fn is_root() -> anyhow::Result<bool> {
    Ok(fs::metadata("/proc/self")?.uid() == 0)
}
