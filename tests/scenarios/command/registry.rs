//! A real registry for the length of a test, its blobs on the disk, and keys as people make them.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use reeve_tests::binaries;
use reeve_tests::process::Process;
use reeve_tests::scenario::runtime;
use reeve_tests::wait;

use super::text;

pub(crate) struct Registry {
    host: String,
    directory: tempfile::TempDir,
    _process: Process,
}

impl Registry {
    /// `crane registry serve` on a free port.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(binaries::find("crane")?);
        command.args(["registry", "serve", "--address", &free.to_string()]);
        let blobs = directory.path().join("blobs");
        std::fs::create_dir(&blobs)?;
        command.arg("--disk").arg(&blobs);
        let process = Process::start("registry", command, directory.path())?;
        let up = wait::until(wait::PATIENCE, "the registry", || async {
            tokio::net::TcpStream::connect(free).await.ok()
        });
        runtime().block_on(up).with_context(|| process.tail(2000))?;
        Ok(Self {
            host: free.to_string(),
            directory,
            _process: process,
        })
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// What another client says.
    pub(crate) fn crane(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(binaries::find("crane")?);
        let output = command
            .args(arguments)
            .arg("--insecure")
            .stdin(Stdio::null())
            .output()?;
        ensure!(
            output.status.success(),
            "crane {arguments:?}: {}",
            text(&output.stderr)
        );
        Ok(text(&output.stdout))
    }

    /// Changes a byte of the blob that holds `content`.
    pub(crate) fn spoil(&self, content: &[u8]) -> anyhow::Result<()> {
        let blob = find(&self.directory.path().join("blobs"), content)?;
        let blob = blob.context("the registry keeps it on the disk")?;
        let mut spoilt = content.to_vec();
        let last = spoilt.last_mut().context("it is not empty")?;
        *last ^= 1;
        Ok(std::fs::write(blob, spoilt)?)
    }
}

fn find(directory: &Path, content: &[u8]) -> anyhow::Result<Option<std::path::PathBuf>> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let found = match path.is_dir() {
            true => find(&path, content)?,
            false => (std::fs::read(&path)? == content).then_some(path),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// `NAME.pem` and `NAME.pub`, made by OpenSSL.
pub(crate) fn key(directory: &Path, name: &str, kind: &[&str]) -> anyhow::Result<()> {
    let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
    let mut generate = vec!["genpkey", "-out", &private, "-algorithm"];
    generate.extend(kind);
    for arguments in [
        generate,
        vec!["pkey", "-in", &private, "-pubout", "-out", &public],
    ] {
        let output = Command::new("openssl")
            .args(&arguments)
            .current_dir(directory)
            .output()?;
        ensure!(
            output.status.success(),
            "openssl {arguments:?}: {}",
            text(&output.stderr)
        );
    }
    Ok(())
}
