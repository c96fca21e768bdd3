//! Somebody who signs commits and tags, with `gpg` or with `ssh-keygen`, as `git` has them do it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::{KeyKind, Repo, keypair};

/// How they sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// With a key of OpenPGP.
    OpenPgp,
    /// With an SSH key.
    Ssh,
}

/// Somebody with a key of their own.
pub struct Signer {
    home: tempfile::TempDir,
    signing: Signing,
    passphrase: String,
    public: String,
    fingerprint: String,
}

impl Signer {
    /// Makes them a key.
    pub fn new(signing: Signing) -> anyhow::Result<Self> {
        Self::with_passphrase(signing, "")
    }

    /// The same, and of OpenPGP the key is encrypted.
    pub fn with_passphrase(signing: Signing, passphrase: &str) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        let (public, fingerprint) = match signing {
            Signing::OpenPgp => openpgp(home.path(), passphrase)?,
            Signing::Ssh => ssh(home.path())?,
        };
        Ok(Self {
            home,
            signing,
            passphrase: passphrase.to_owned(),
            public,
            fingerprint,
        })
    }

    /// The private key of OpenPGP, in armor.
    pub fn private(&self) -> anyhow::Result<String> {
        let mut gpg = Command::new(self.home.path().join("gpg"));
        gpg.args(["--pinentry-mode", "loopback", "--passphrase"]);
        gpg.arg(&self.passphrase);
        said(gpg.args(["--armor", "--export-secret-keys"]))
    }

    /// What gpg says of a commit's signature, as `git verify-commit` asks it.
    ///
    /// # Errors
    /// When it is not one of theirs.
    pub fn believes(&self, repo: &Repo, commit: &str) -> anyhow::Result<String> {
        let mut git = Command::new("git");
        let program = self.home.path().join("gpg").display().to_string();
        git.args([
            "-c",
            &format!("gpg.program={program}"),
            "verify-commit",
            "--raw",
            commit,
        ]);
        let out = git.current_dir(repo.bare()).output()?;
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        ensure!(out.status.success(), "{told}");
        Ok(told)
    }

    /// The public key, as a Secret has it.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// What the key is called in a Secret when it is called `name`.
    #[must_use]
    pub fn entry(&self, name: &str) -> String {
        match self.signing {
            Signing::OpenPgp => format!("{name}.asc"),
            Signing::Ssh => format!("{name}.sshpub"),
        }
    }

    /// The key's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Commits everything, signed, and pushes; gives the commit's id.
    pub fn publish(&self, repo: &Repo, message: &str) -> anyhow::Result<String> {
        repo.run(["add", "--all", "--force", "."])?;
        self.run(
            repo,
            &["commit", "--quiet", "--allow-empty", "-S", "-m", message],
        )?;
        repo.push()?;
        repo.run(["rev-parse", "HEAD"])
    }

    /// Tags the current commit, signed, and pushes.
    pub fn tag(&self, repo: &Repo, name: &str) -> anyhow::Result<()> {
        self.tag_object(repo, name, "HEAD")
    }

    /// Tags any object, signed, and pushes.
    pub fn tag_object(&self, repo: &Repo, name: &str, object: &str) -> anyhow::Result<()> {
        self.run(
            repo,
            &["tag", "--force", "--sign", "-m", name, name, object],
        )?;
        repo.push()?;
        Ok(())
    }

    fn run(&self, repo: &Repo, args: &[&str]) -> anyhow::Result<String> {
        let key = match self.signing {
            Signing::OpenPgp => self.fingerprint.clone(),
            Signing::Ssh => self.home.path().join("key").display().to_string(),
        };
        let program = self.home.path().join("gpg").display().to_string();
        let settings = match self.signing {
            Signing::OpenPgp => vec![
                format!("gpg.program={program}"),
                format!("user.signingkey={key}"),
            ],
            Signing::Ssh => vec![
                "gpg.format=ssh".to_owned(),
                format!("user.signingkey={key}"),
            ],
        };
        let settings = settings.iter().flat_map(|setting| ["-c", setting.as_str()]);
        repo.run(settings.chain(args.iter().copied()))
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        if self.signing == Signing::OpenPgp {
            // The agent that gpg has started goes with its directory; this is only sooner.
            let mut end = Command::new("gpgconf");
            end.arg("--homedir").arg(self.home.path());
            end.args(["--kill", "all"])
                .stderr(Stdio::null())
                .status()
                .ok();
        }
    }
}

/// A key in a directory of its own, with a program beside it that knows no other.
fn openpgp(home: &Path, passphrase: &str) -> anyhow::Result<(String, String)> {
    use std::os::unix::fs::PermissionsExt as _;
    let program = home.join("gpg");
    let script = format!(
        "#!/bin/sh\nexec gpg --homedir '{}' --batch --no-tty \"$@\"\n",
        home.display()
    );
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700))?;
    let gpg = |args: &[&str]| said(Command::new(&program).args(args));
    gpg(&[
        "--quiet",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        passphrase,
        "--quick-generate-key",
        "Ada <ada@example.com>",
        "ed25519",
        "sign",
        "never",
    ])?;
    let listed = gpg(&["--with-colons", "--list-keys"])?;
    let print = listed
        .lines()
        .find_map(|line| line.strip_prefix("fpr:::::::::"));
    let print = print.and_then(|rest| rest.strip_suffix(':'));
    let print = print.with_context(|| format!("no fingerprint in {listed}"))?;
    Ok((gpg(&["--armor", "--export"])?, print.to_owned()))
}

fn ssh(home: &Path) -> anyhow::Result<(String, String)> {
    let at = home.join("key");
    let (_, public) = keypair(&at, KeyKind::Ed25519, "")?;
    let listed = said(Command::new("ssh-keygen").arg("-lf").arg(&at))?;
    let print = listed.split(' ').nth(1);
    let print = print.with_context(|| format!("no fingerprint in {listed}"))?;
    Ok((public, print.to_owned()))
}

fn said(command: &mut Command) -> anyhow::Result<String> {
    let out = command.stdin(Stdio::null()).output();
    let out =
        out.context("gpg or ssh-keygen cannot be run: `apt-get install gnupg openssh-client`")?;
    let told = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "{command:?} failed: {told}");
    Ok(String::from_utf8(out.stdout)?)
}
