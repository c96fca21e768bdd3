//! Git over ssh, without an ssh program: russh on a socket of ours.
//!
//! The server proves its key before anything of ours is sent, and an unknown or changed key ends the conversation.
//! Keys stay in memory. What it deliberately doesn't: an agent, a config file, keyboard-interactive prompts, SHA-1
//! signatures, or learning a host key.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes};
use gix_protocol::transport::Protocol;
use gix_protocol::transport::client::blocking_io::Transport;
use gix_protocol::transport::client::git::ConnectMode;
use gix_protocol::transport::client::git::blocking_io::Connection;
use reeve_api::name::RemoteUrl;
use russh::client::{AuthResult, Config, Handle, Handler, Msg};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect, Preferred};

use super::tunnel;
use crate::git::credential::Ssh;
use crate::git::known_hosts::Refused;
use crate::git::wire::{Wire, printable};
use crate::git::{Cause, KnownHosts, Remote};

/// What of the server's complaints is kept for the error.
const MAX_COMPLAINT: usize = 1000;

pub(super) fn open(
    remote: &Remote,
    user: &Ssh,
    wire: &Arc<Wire>,
) -> Result<Box<dyn Transport + Send>, Cause> {
    // Before the connection: opening an encrypted key takes as long as its format wants.
    let key = user.key()?;
    let command = command(&remote.url)?;
    let connected = wire
        .wait("logging in over ssh", connect(remote, user, key, &command))
        .map_err(|error| wire.cause("logging in over ssh", &error))??;
    let complaint = Arc::new(Mutex::new(String::new()));
    let (incoming, outgoing) = connected.channel;
    let reader = Incoming {
        wire: Arc::clone(wire),
        channel: incoming,
        chunk: Bytes::new(),
        complaint,
        _session: connected.session,
    };
    let writer = Outgoing {
        wire: Arc::clone(wire),
        channel: outgoing,
    };
    let path = remote.url.path().to_owned();
    let transport = Connection::new(
        reader,
        writer,
        Protocol::V2,
        path,
        None::<(&str, Option<u16>)>,
        ConnectMode::Process,
        false,
    );
    Ok(Box::new(
        transport.custom_url(Some(remote.url.without_userinfo().into())),
    ))
}

/// What the server is asked to run. Its shell reads this, so the path is quoted as git quotes it.
fn command(url: &RemoteUrl) -> Result<String, Cause> {
    // `/~user/…` asks for a home directory, which git writes without the slash.
    let path = url.path();
    let path = path
        .strip_prefix('/')
        .filter(|rest| rest.starts_with('~'))
        .unwrap_or(path);
    if path.starts_with('-') || path.chars().any(char::is_control) {
        let why = "its path begins with `-` or holds control characters";
        return Err(Cause::Url {
            url: url.without_userinfo(),
            why,
        });
    }
    let quoted = path.replace('\'', r"'\''").replace('!', r"'\!'");
    Ok(format!("git-upload-pack '{quoted}'"))
}

struct Connected {
    session: Handle<Client>,
    channel: (ChannelReadHalf, ChannelWriteHalf<Msg>),
}

async fn connect(
    remote: &Remote,
    user: &Ssh,
    key: Option<PrivateKey>,
    command: &str,
) -> Result<Connected, Cause> {
    let url = remote.url.without_userinfo();
    let stream = tunnel::connect(remote).await?;
    let (host, port) = (remote.url.host().to_owned(), remote.url.port());
    let config = Arc::new(Config {
        preferred: preferred(&user.known_hosts.algorithms(&host, port)),
        ..Config::default()
    });
    let client = Client {
        host,
        port,
        known_hosts: user.known_hosts.clone(),
    };
    let broken = |error: Fault| match error {
        Fault::Host(source) => Cause::HostKey {
            url: url.clone(),
            source,
        },
        Fault::Ssh(error) => Cause::Unreachable {
            url: url.clone(),
            why: error.to_string(),
        },
    };
    let mut session = russh::client::connect_stream(config, stream, client)
        .await
        .map_err(broken)?;
    let broken = |error: russh::Error| broken(Fault::Ssh(error));
    if !login(&mut session, user, key).await.map_err(broken)? {
        let why = format!(
            "it accepted neither key nor password of user {:?}",
            user.user
        );
        session
            .disconnect(Disconnect::ByApplication, "", "")
            .await
            .ok();
        return Err(Cause::AuthenticationRefused { url, why });
    }
    let channel = session.channel_open_session().await.map_err(broken)?;
    // Not every server takes it; one that doesn't speaks the older protocol.
    channel
        .set_env(false, "GIT_PROTOCOL", "version=2")
        .await
        .map_err(broken)?;
    channel.exec(true, command).await.map_err(broken)?;
    Ok(Connected {
        session,
        channel: channel.split(),
    })
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
        let checked = self
            .known_hosts
            .check(&self.host, self.port, &key.public_key());
        checked.map(|()| true).map_err(Fault::Host)
    }
}

struct Incoming {
    wire: Arc<Wire>,
    channel: ChannelReadHalf,
    chunk: Bytes,
    complaint: Arc<Mutex<String>>,
    /// Ends with the reader.
    _session: Handle<Client>,
}

impl Read for Incoming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self
                .wire
                .wait("receiving from the server", self.channel.wait())?
            {
                Some(ChannelMsg::Data { data }) => {
                    self.wire.received(data.len())?;
                    self.chunk = data;
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    self.wire.received(data.len())?;
                    let mut told = self
                        .complaint
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    if told.len() < MAX_COMPLAINT {
                        told.push_str(&String::from_utf8_lossy(&data));
                    }
                }
                Some(ChannelMsg::Failure) => {
                    return Err(self.over("the server does not run git for this user"));
                }
                Some(ChannelMsg::ExitStatus { exit_status }) if exit_status != 0 => {
                    // What it said on the way comes after this as often as before.
                    self.drain();
                    return Err(self.over("the server's git failed"));
                }
                None => return Ok(0),
                Some(_) => {}
            }
        }
        let count = self.chunk.len().min(buf.len());
        if let (Some(from), Some(to)) = (self.chunk.get(..count), buf.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        self.chunk.advance(count);
        Ok(count)
    }
}

impl Incoming {
    fn drain(&mut self) {
        while let Ok(Some(message)) = self.wire.wait("receiving", self.channel.wait()) {
            if let ChannelMsg::ExtendedData { data, .. } = message {
                let mut told = self
                    .complaint
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                if told.len() < MAX_COMPLAINT {
                    told.push_str(&String::from_utf8_lossy(&data));
                }
            }
        }
    }

    /// The conversation is over, for the reason the server gave if it gave one.
    fn over(&self, otherwise: &str) -> io::Error {
        let told = self
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let told = printable(&told);
        let lower = told.to_lowercase();
        let absent = [
            "not found",
            "does not appear to be a git repository",
            "does not exist",
        ];
        if absent.iter().any(|text| lower.contains(text)) {
            return self.wire.fail(Cause::NotFound(self.wire.url()));
        }
        let why = if told.is_empty() {
            otherwise.to_owned()
        } else {
            told
        };
        self.wire.fail(Cause::Protocol {
            url: self.wire.url(),
            why,
        })
    }
}

struct Outgoing {
    wire: Arc<Wire>,
    channel: ChannelWriteHalf<Msg>,
}

impl Write for Outgoing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let sent = self.channel.data_bytes(Bytes::copy_from_slice(buf));
        self.wire
            .wait("sending to the server", sent)?
            .map_err(|error| {
                let why = error.to_string();
                self.wire.fail(Cause::Unreachable {
                    url: self.wire.url(),
                    why,
                })
            })?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_quoted_for_the_servers_shell_and_never_an_option() {
        for (url, want) in [
            ("ssh://git@h/a/b.git", "git-upload-pack '/a/b.git'"),
            ("ssh://git@h:a/b.git", "git-upload-pack 'a/b.git'"),
            ("ssh://git@h/~me/b.git", "git-upload-pack '~me/b.git'"),
            ("ssh://git@h/a$(id)", "git-upload-pack '/a$(id)'"),
        ] {
            assert_eq!(command(&url.parse().unwrap()).unwrap(), want);
        }
    }
}
