//! Git over ssh, without an ssh program: russh on a socket of ours.
//!
//! The server proves its key before anything of ours is sent, and an unknown or changed key ends the conversation.
//! Keys stay in memory. What it deliberately doesn't: an agent, a config file, keyboard-interactive prompts, SHA-1
//! signatures, or learning a host key.

mod login;

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes};
use gix_protocol::transport::client::blocking_io::Transport;
use gix_protocol::transport::client::git::ConnectMode;
use gix_protocol::transport::client::git::blocking_io::Connection;
use gix_protocol::transport::{Protocol, Service};
use reeve_api::name::RemoteUrl;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use crate::git::credential::Ssh;
use crate::git::wire::{Wire, printable};
use crate::git::{Cause, Remote};
use login::Command;
pub(in crate::git) use login::Kept;

/// What of the server's complaints is kept for the error.
const MAX_COMPLAINT: usize = 1000;

pub(super) fn open(
    remote: &Remote,
    service: Service,
    user: &Ssh,
    kept: &Kept,
    wire: &Arc<Wire>,
) -> Result<Box<dyn Transport + Send>, Cause> {
    let command = Command {
        text: command(service, &remote.url)?,
        newer: super::protocol(service) == Protocol::V2,
    };
    let (incoming, outgoing) = wire
        .wait("logging in over ssh", kept.run(remote, user, &command))
        .map_err(|error| wire.cause("logging in over ssh", &error))??;
    let complaint = Arc::new(Mutex::new(String::new()));
    let reader = Incoming {
        wire: Arc::clone(wire),
        channel: incoming,
        chunk: Bytes::new(),
        complaint,
        kept: kept.clone(),
    };
    let writer = Outgoing {
        wire: Arc::clone(wire),
        channel: Arc::new(outgoing),
    };
    let path = remote.url.path().to_owned();
    let transport = Connection::new(
        reader,
        writer,
        super::protocol(service),
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
fn command(service: Service, url: &RemoteUrl) -> Result<String, Cause> {
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
    Ok(format!("{} '{quoted}'", service.as_str()))
}

struct Incoming {
    wire: Arc<Wire>,
    channel: ChannelReadHalf,
    chunk: Bytes,
    complaint: Arc<Mutex<String>>,
    kept: Kept,
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
    channel: Arc<ChannelWriteHalf<Msg>>,
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

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.wire.failed() {
            self.kept.forget();
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        // The login goes on; what runs on the server is to end with this conversation.
        let channel = Arc::clone(&self.channel);
        self.wire.spawn(async move {
            channel.close().await.ok();
        });
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
            let command = |service| command(service, &url.parse().unwrap()).unwrap();
            assert_eq!(command(Service::UploadPack), want);
            let want = want.replace("upload", "receive");
            assert_eq!(command(Service::ReceivePack), want);
        }
    }
}
