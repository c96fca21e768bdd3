//! The file: what was read, scrubbed as it comes in, and a list of it all.
//!
//! Nothing gets in but by [`Bundle::value`] and [`Bundle::log`], which take out what looks secret; the reasons for what is missing
//! go the same way. The list is the last file of the archive. It deliberately knows no cluster.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use reeve_core::scrub::{self, Tally};
use serde_json::{Map, Value, json};

use crate::cli::CommandError;

/// What everything lies in.
const ROOT: &str = "reeve-support";

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    files: Vec<Entry>,
    missing: Vec<Missing>,
}

/// A file of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
    /// What was taken out of it.
    pub(super) masked: Tally,
}

/// What could not be read.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) what: String,
    pub(super) why: String,
}

impl Bundle {
    /// Puts in a value.
    pub(super) fn value(&mut self, path: &str, mut value: Value) {
        let masked = scrub::value(&mut value);
        self.files.push(Entry {
            path: path.to_owned(),
            bytes: format!("{value:#}\n").into_bytes(),
            masked,
        });
    }

    /// Puts in lines.
    pub(super) fn log(&mut self, path: &str, log: &str) {
        let (lines, masked) = scrub::lines(log);
        self.files.push(Entry {
            path: path.to_owned(),
            bytes: lines.into_bytes(),
            masked,
        });
    }

    /// Names what is not in it.
    pub(super) fn lacks(&mut self, what: impl Into<String>, why: &str) {
        self.missing.push(Missing {
            what: what.into(),
            why: scrub::text(why).0,
        });
    }

    pub(super) fn files(&self) -> &[Entry] {
        &self.files
    }

    pub(super) fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Writes it, packed.
    pub(super) fn write(
        &self,
        file: File,
        now: Timestamp,
        path: &Path,
    ) -> Result<(), CommandError> {
        self.pack(file, now)
            .map_err(|why| CommandError::of(&format!("writing {} failed", path.display()), &why))
    }

    fn pack(&self, file: File, now: Timestamp) -> io::Result<()> {
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        for entry in &self.files {
            append(&mut archive, &entry.path, &entry.bytes, now)?;
        }
        let contents = format!("{:#}\n", self.contents(now));
        append(&mut archive, "contents.json", contents.as_bytes(), now)?;
        let mut file = archive.into_inner()?.finish()?;
        file.flush()?;
        file.sync_all()
    }

    fn contents(&self, now: Timestamp) -> Value {
        let file = |entry: &Entry| {
            let masked = entry.masked.each();
            let masked: Map<String, Value> = masked
                .map(|(sort, times)| (sort.as_str().to_owned(), times.into()))
                .collect();
            json!({"path": entry.path, "bytes": entry.bytes.len(), "takenOut": masked})
        };
        let missing = |one: &Missing| json!({"what": one.what, "why": one.why});
        json!({
            "made": now.to_string(),
            "by": format!("reeve {}", env!("CARGO_PKG_VERSION")),
            "neverRead": ["Secrets"],
            "files": self.files.iter().map(file).collect::<Vec<_>>(),
            "notRead": self.missing.iter().map(missing).collect::<Vec<_>>(),
        })
    }
}

fn append<W: io::Write>(
    archive: &mut tar::Builder<W>,
    path: &str,
    bytes: &[u8],
    now: Timestamp,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(now.as_second()).unwrap_or_default());
    archive.append_data(&mut header, format!("{ROOT}/{path}"), bytes)
}

/// A file that was not there before, and that nobody else may read.
pub(super) fn create(path: &Path) -> Result<File, CommandError> {
    let mut how = OpenOptions::new();
    let made = how.write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|why| {
        CommandError::of(&format!("making {} failed", path.display()), &why)
            .hint("name a file that is not there yet with --output")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_is_put_in_is_scrubbed_listed_and_packed() {
        let mut bundle = Bundle::default();
        bundle.value("a.json", json!({"password": "hunter2", "b": "c"}));
        bundle.log("b.log", "see https://x:hunter2@y/\n");
        bundle.lacks("nodes", "forbidden for https://x:hunter2@y/");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it.tar.gz");
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        bundle.write(create(&path).unwrap(), now, &path).unwrap();
        assert!(create(&path).is_err(), "nothing is written over");

        let unpacked = flate2::read::GzDecoder::new(File::open(&path).unwrap());
        let mut archive = tar::Archive::new(unpacked);
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert!(!text.contains("hunter2"), "{text}");
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        let want = [
            "reeve-support/a.json",
            "reeve-support/b.log",
            "reeve-support/contents.json",
        ];
        assert_eq!(paths, want);
        let contents: Value = serde_json::from_str(&found[2].1).unwrap();
        assert_eq!(
            contents["files"][0]["takenOut"],
            json!({"values named like secrets": 1})
        );
        assert_eq!(contents["notRead"][0]["what"], "nodes");
    }
}
