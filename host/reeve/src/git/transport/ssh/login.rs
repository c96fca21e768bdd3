//! A login: the connection to a server, its key judged, ours accepted; kept for a while, since a login costs far more
//! than a question.
//!
//! What it deliberately doesn't: know git. A kept login is used again only while it is young, by the same remote, and
//! only if the server's key still is one that `known_hosts` has.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use russh::client::{AuthResult, Config, Handle, Handler, Msg};
use russh::keys::{
    Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use russh::{ChannelReadHalf, ChannelWriteHalf, Disconnect, Preferred};

use crate::git::credential::Ssh;
use crate::git::known_hosts::Refused;
use crate::git::transport::tunnel;
use crate::git::{Cause, KnownHosts, Remote};

/// How long a login is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(300);
/// How long it is used at most: a key that the server no longer takes is noticed by then.
const OLDEST: Duration = Duration::from_secs(600);
/// How long a kept login may take to answer before a new one is made: its other end may be gone without a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the login of one remote is kept.
#[derive(Clone, Default)]
pub(in crate::git) struct Kept(Arc<Mutex<Option<Login>>>);

#[derive(Clone)]
struct Login {
    session: Arc<Handle<Client>>,
    server: Arc<OnceLock<PublicKey>>,
    since: Instant,
}

/// What runs on the server.
pub(super) struct Command {
    /// The words for its shell.
    pub(super) text: String,
    /// Whether it is asked to speak git's newer protocol.
    pub(super) newer: bool,
}

/// Both directions of a command that runs on the server.
pub(super) type Channel = (ChannelReadHalf, ChannelWriteHalf<Msg>);

impl Kept {
    /// Runs `command` over the kept login, or a new one.
    pub(super) async fn run(
        &self,
        remote: &Remote,
        user: &Ssh,
        command: &Command,
    ) -> Result<Channel, Cause> {
        if let Some(login) = self.usable(remote, user) {
            let begun = tokio::time::timeout(PATIENCE, begin(&login.session, command)).await;
            if let Ok(Ok(channel)) = begun {
                return Ok(channel);
            }
            self.forget();
        }
        let login = log_in(remote, user).await?;
        let channel = begin(&login.session, command).await;
        let channel = channel.map_err(|error| broken(remote, Fault::Ssh(error)))?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(login);
        Ok(channel)
    }

    /// Drops the login: something went wrong over it.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn usable(&self, remote: &Remote, user: &Ssh) -> Option<Login> {
        let login = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        let (host, port) = (remote.url.host(), remote.url.port());
        // The Secret may have other keys by now.
        let known = |key| user.known_hosts.check(host, port, key).is_ok();
        let trusted = login.server.get().is_some_and(known);
        let alive = !login.session.is_closed() && login.since.elapsed() < OLDEST;
        (trusted && alive).then_some(login)
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

async fn begin(session: &Handle<Client>, command: &Command) -> Result<Channel, russh::Error> {
    let channel = session.channel_open_session().await?;
    if command.newer {
        // Not every server takes it; one that doesn't speaks the older protocol.
        channel.set_env(false, "GIT_PROTOCOL", "version=2").await?;
    }
    channel.exec(true, command.text.as_str()).await?;
    Ok(channel.split())
}

async fn log_in(remote: &Remote, user: &Ssh) -> Result<Login, Cause> {
    let (host, port) = (remote.url.host().to_owned(), remote.url.port());
    let config = Arc::new(Config {
        preferred: preferred(&user.known_hosts.algorithms(&host, port)),
        inactivity_timeout: Some(IDLE),
        nodelay: true,
        ..Config::default()
    });
    let server = Arc::new(OnceLock::new());
    let client = Client {
        host,
        port,
        known_hosts: user.known_hosts.clone(),
        server: Arc::clone(&server),
    };
    // Opening an encrypted key takes as long as its format wants: not on a thread that others wait for.
    let own = user.clone();
    let key = tokio::task::spawn_blocking(move || own.key());
    let key = key.await.map_err(|_| Cause::Internal)??;
    let stream = tunnel::connect(remote).await?;
    let connected = russh::client::connect_stream(config, stream, client).await;
    let mut session = connected.map_err(|fault| broken(remote, fault))?;
    let accepted = login(&mut session, user, key).await;
    if !accepted.map_err(|error| broken(remote, Fault::Ssh(error)))? {
        let why = format!(
            "it accepted neither key nor password of user {:?}",
            user.user
        );
        session
            .disconnect(Disconnect::ByApplication, "", "")
            .await
            .ok();
        return Err(Cause::AuthenticationRefused {
            url: remote.url.without_userinfo(),
            why,
        });
    }
    Ok(Login {
        session: Arc::new(session),
        server,
        since: Instant::now(),
    })
}

fn broken(remote: &Remote, fault: Fault) -> Cause {
    let url = remote.url.without_userinfo();
    match fault {
        Fault::Host(source) => Cause::HostKey { url, source },
        Fault::Ssh(error) => Cause::Unreachable {
            url,
            why: error.to_string(),
        },
    }
}

async fn login(
    session: &mut Handle<Client>,
    user: &Ssh,
    key: Option<PrivateKey>,
) -> Result<bool, russh::Error> {
    if let Some(key) = key {
        let key = Arc::new(key);
        for hash in hashes(session, &key).await? {
            let key = PrivateKeyWithHashAlg::new(Arc::clone(&key), hash);
            match session.authenticate_publickey(&user.user, key).await? {
                AuthResult::Success => return Ok(true),
                AuthResult::Failure { .. } => {}
            }
        }
    }
    match &user.password {
        Some(password) => {
            let answer = session
                .authenticate_password(&user.user, password.expose())
                .await?;
            Ok(answer.success())
        }
        None => Ok(false),
    }
}

/// The hashes to sign with. RSA has a choice, and the oldest of it (SHA-1) is not taken.
async fn hashes(
    session: &Handle<Client>,
    key: &PrivateKey,
) -> Result<Vec<Option<HashAlg>>, russh::Error> {
    if !matches!(key.algorithm(), Algorithm::Rsa { .. }) {
        return Ok(vec![None]);
    }
    Ok(match session.best_supported_rsa_hash().await? {
        Some(Some(hash)) => vec![Some(hash)],
        // It did not say. Each refused try counts against the server's limit, so there are only two.
        Some(None) | None => vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256)],
    })
}

/// The usual algorithms, those of the known keys first: a server with several keys shows one we can compare.
fn preferred(known: &[Algorithm]) -> Preferred {
    let same = |a: &Algorithm, b: &Algorithm| match (a, b) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        (a, b) => a == b,
    };
    let usual = Preferred::DEFAULT
        .key
        .iter()
        .filter(|a| **a != Algorithm::Rsa { hash: None });
    let (mut first, rest): (Vec<_>, Vec<_>) = usual
        .cloned()
        .partition(|a| known.iter().any(|k| same(a, k)));
    first.extend(rest);
    Preferred {
        key: Cow::Owned(first),
        ..Preferred::DEFAULT
    }
}

/// Judges the server's key.
struct Client {
    host: String,
    port: u16,
    known_hosts: KnownHosts,
    server: Arc<OnceLock<PublicKey>>,
}

#[derive(Debug)]
enum Fault {
    Ssh(russh::Error),
    Host(Refused),
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl Handler for Client {
    type Error = Fault;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        let key = key.public_key();
        let checked = self.known_hosts.check(&self.host, self.port, &key);
        checked.map_err(Fault::Host)?;
        // Asked again when keys are renewed; it cannot be another server then.
        self.server.set(key).ok();
        Ok(true)
    }
}
