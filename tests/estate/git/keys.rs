//! SSH keys as a user makes them, with `ssh-keygen`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, signing with SHA-2.
    Rsa,
    /// ECDSA over P-256.
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Rsa, Self::Ecdsa, Self::Ed25519];

    /// As `ssh-keygen -t` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ecdsa => "ecdsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// Makes a key pair in the file `at` (and `at.pub`), and gives both texts: private, public.
pub fn keypair(at: &Path, kind: KeyKind, passphrase: &str) -> anyhow::Result<(String, String)> {
    let mut command = Command::new("ssh-keygen");
    command
        .args([
            "-q",
            "-t",
            kind.name(),
            "-N",
            passphrase,
            "-C",
            "estate",
            "-f",
        ])
        .arg(at);
    if kind == KeyKind::Rsa {
        command.args(["-b", "2048"]);
    }
    let out = command.stdin(Stdio::null()).output();
    let out = out.context("ssh-keygen cannot be run: `apt-get install openssh-client`")?;
    ensure!(
        out.status.success(),
        "ssh-keygen: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    let public = std::fs::read_to_string(at.with_extension("pub"))?;
    Ok((std::fs::read_to_string(at)?, public))
}
