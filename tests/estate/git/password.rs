//! An ssh server that asks for a password.
//!
//! OpenSSH takes a password only from the system's accounts, which no test may change. So this is a small server of
//! another make; all else about ssh is told against `sshd`.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context as _;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, Config, Handler, Msg, Session};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncWriteExt as _, copy};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

/// A running server that lets in one user with a password.
pub struct PasswordServer {
    port: u16,
    known_hosts: String,
    task: JoinHandle<()>,
}

impl PasswordServer {
    /// Starts a server for the repositories below `root`.
    pub async fn start(root: &Path, user: &str, password: &str) -> anyhow::Result<Self> {
        let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let known_hosts = format!("[127.0.0.1]:{port} {}\n", key.public_key().to_openssh()?);
        let config = Config {
            keys: vec![key],
            auth_rejection_time: std::time::Duration::ZERO,
            ..Config::default()
        };
        let (config, root) = (Arc::new(config), root.to_owned());
        let login = (user.to_owned(), password.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let client = Client {
                    root: root.clone(),
                    login: login.clone(),
                    channel: None,
                };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, stream, client).await {
                        session.await.ok();
                    }
                });
            }
        });
        Ok(Self {
            port,
            known_hosts,
            task,
        })
    }

    /// The URL of the repository `path`.
    #[must_use]
    pub fn url(&self, user: &str, path: &str) -> String {
        format!("ssh://{user}@127.0.0.1:{}/{path}", self.port)
    }

    /// What `ssh-keyscan` would say of it.
    #[must_use]
    pub fn known_hosts(&self) -> &str {
        &self.known_hosts
    }
}

impl Drop for PasswordServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Client {
    root: PathBuf,
    login: (String, String),
    channel: Option<Channel<Msg>>,
}

impl Handler for Client {
    type Error = anyhow::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> anyhow::Result<Auth> {
        let good = (user, password) == (self.login.0.as_str(), self.login.1.as_str());
        Ok(if good { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> anyhow::Result<()> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> anyhow::Result<()> {
        let command = std::str::from_utf8(command)?;
        let path = command
            .strip_prefix("git-upload-pack '/")
            .context("git-upload-pack")?;
        let path = self.root.join(path.trim_end_matches('\''));
        let channel = self.channel.take().context("a channel")?;
        session.channel_success(id)?;
        let mut git = Command::new("git-upload-pack");
        git.arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = git.spawn()?;
        let (mut stdin, mut stdout) = (
            child.stdin.take().context("a pipe")?,
            child.stdout.take().context("a pipe")?,
        );
        tokio::spawn(async move {
            let _child = child;
            let (mut from, mut to) = tokio::io::split(channel.into_stream());
            let input = async {
                copy(&mut from, &mut stdin).await.ok();
                drop(stdin);
            };
            let output = async {
                copy(&mut stdout, &mut to).await.ok();
                to.shutdown().await.ok();
            };
            tokio::join!(input, output);
        });
        Ok(())
    }
}
