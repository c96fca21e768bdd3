//! OpenSSH's own server, as a process of ours: its own port, host keys and authorised keys.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::{KeyKind, keypair};
use crate::plane::free_port;
use crate::process::Process;

/// What a server is like.
#[derive(Debug, Clone)]
pub struct SshOptions {
    /// Which host keys it has.
    pub host_keys: Vec<KeyKind>,
    /// Whether it takes the environment variable by which a client asks for git's newer protocol.
    pub protocol_v2: bool,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self {
            host_keys: KeyKind::ALL.to_vec(),
            protocol_v2: true,
        }
    }
}

/// A running `sshd` that serves the repositories below one directory to one user: whoever runs the tests.
pub struct SshServer {
    process: Process,
    dir: tempfile::TempDir,
    port: u16,
    options: SshOptions,
}

impl SshServer {
    /// Starts a server for the repositories below `root`.
    pub fn start(root: &Path, options: SshOptions) -> anyhow::Result<Self> {
        let sshd = sshd()?;
        let dir = tempfile::tempdir()?;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
        for kind in &options.host_keys {
            keypair(&dir.path().join(format!("host_{}", kind.name())), *kind, "")?;
        }
        std::fs::write(dir.path().join("authorized_keys"), "")?;
        write_command(dir.path(), root)?;
        let port = free_port()?;
        std::fs::write(
            dir.path().join("sshd_config"),
            config(dir.path(), port, &options),
        )?;
        let mut command = Command::new(sshd);
        command
            .args(["-D", "-e", "-f"])
            .arg(dir.path().join("sshd_config"));
        let process = Process::start("sshd", command, dir.path())?;
        let server = Self {
            process,
            dir,
            port,
            options,
        };
        server.wait()?;
        Ok(server)
    }

    /// Lets `public` in.
    pub fn authorize(&self, public: &str) -> anyhow::Result<()> {
        let file = self.dir.path().join("authorized_keys");
        let mut keys = std::fs::read_to_string(&file)?;
        keys.push_str(public);
        Ok(std::fs::write(file, keys)?)
    }

    /// Makes a key, lets it in, and gives the private half.
    pub fn user_key(&self, kind: KeyKind, passphrase: &str) -> anyhow::Result<String> {
        let dir = tempfile::tempdir()?;
        let (private, public) = keypair(&dir.path().join("id"), kind, passphrase)?;
        self.authorize(&public)?;
        Ok(private)
    }

    /// The URL of the repository `path`, with the user who may log in.
    pub fn url(&self, path: &str) -> String {
        format!("ssh://{}@127.0.0.1:{}/{path}", user(), self.port)
    }

    /// Its port on the loopback address.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `ssh-keyscan` would say of it, for these kinds of key.
    pub fn known_hosts(&self, kinds: &[KeyKind]) -> anyhow::Result<String> {
        let mut text = String::new();
        for kind in kinds
            .iter()
            .filter(|kind| self.options.host_keys.contains(kind))
        {
            let key = self.dir.path().join(format!("host_{}.pub", kind.name()));
            writeln!(
                text,
                "[127.0.0.1]:{} {}",
                self.port,
                std::fs::read_to_string(key)?.trim()
            )?;
        }
        Ok(text)
    }

    /// The same with the host's name hashed, as `ssh-keygen -H` makes it.
    pub fn hashed_known_hosts(&self, kinds: &[KeyKind]) -> anyhow::Result<String> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("known_hosts");
        std::fs::write(&file, self.known_hosts(kinds)?)?;
        let done = Command::new("ssh-keygen")
            .args(["-q", "-H", "-f"])
            .arg(&file)
            .output()?;
        ensure!(done.status.success(), "ssh-keygen -H failed");
        Ok(std::fs::read_to_string(file)?)
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.tail(64 << 10)
    }

    fn wait(&self) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.process.ended() {
                bail!("sshd ended with {status}: {}", self.log());
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        bail!("sshd does not listen: {}", self.log())
    }
}

/// Whoever runs this: the only user that a server without its own accounts can let in.
fn user() -> String {
    let id = Command::new("id").arg("-un").output();
    id.map_or_else(
        |_| "root".to_owned(),
        |out| String::from_utf8_lossy(&out.stdout).trim().to_owned(),
    )
}

fn config(dir: &Path, port: u16, options: &SshOptions) -> String {
    let dir = dir.display();
    // The user's own start-up files are none of ours, and some take long.
    let accept = if options.protocol_v2 {
        "AcceptEnv GIT_PROTOCOL\n"
    } else {
        ""
    };
    let mut config = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nPidFile none\nStrictModes no\nUsePAM no\n\
         PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         AuthorizedKeysFile {dir}/authorized_keys\nForceCommand {dir}/command\n\
         MaxStartups 100\nLogLevel VERBOSE\nSetEnv HOME={dir}\n{accept}"
    );
    for kind in &options.host_keys {
        config.push_str(&format!("HostKey {dir}/host_{}\n", kind.name()));
    }
    config
}

/// What runs whatever a client asks for: git's own server, below `root`. A path is taken as the client's quoting has it,
/// by a shell, as any server's login shell takes it.
fn write_command(dir: &Path, root: &Path) -> anyhow::Result<()> {
    let script = format!(
        "#!/bin/sh\ncd '{}' || exit 1\neval \"set -- $SSH_ORIGINAL_COMMAND\"\n\
         case \"$1\" in git-upload-pack|git-receive-pack) ;; *) exit 1;; esac\n\
         exec \"$1\" \"./$2\"\n",
        root.display()
    );
    let file = dir.join("command");
    std::fs::write(&file, script)?;
    Ok(std::fs::set_permissions(
        &file,
        std::fs::Permissions::from_mode(0o755),
    )?)
}

/// The server's program, installed when missing and we may.
fn sshd() -> anyhow::Result<PathBuf> {
    let path = PathBuf::from("/usr/sbin/sshd");
    if !path.is_file() {
        let mut install = Command::new("apt-get");
        install.args([
            "install",
            "--yes",
            "--no-install-recommends",
            "openssh-server",
        ]);
        let done = install.env("DEBIAN_FRONTEND", "noninteractive").output();
        let done = done.context("sshd is missing: install OpenSSH's server")?;
        ensure!(
            path.is_file(),
            "sshd is missing: `apt-get install openssh-server` ({})",
            done.status
        );
    }
    // Where it locks itself in before a login; Debian makes it when the service starts.
    std::fs::create_dir_all("/run/sshd").ok();
    Ok(path)
}
