//! A TCP connection to a host that may be reached, directly or through a proxy.
//!
//! HTTP brings its own connections; this is for ssh. What it deliberately doesn't: TLS to the proxy, or any
//! authentication beyond a user and a password.

use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::git::{Cause, Egress, Proxy, Remote, egress};

/// More than any proxy says before it connects.
const MAX_ANSWER: usize = 8 << 10;

/// A connection to `remote`'s host and port.
pub(super) async fn connect(remote: &Remote) -> Result<TcpStream, Cause> {
    let url = remote.url.without_userinfo();
    let (host, port) = (remote.url.host(), remote.url.port());
    let denied = |source| Cause::Egress {
        url: url.clone(),
        source,
    };
    let broken = |why: io::Error| Cause::Unreachable {
        url: url.clone(),
        why: why.to_string(),
    };
    let Some(proxy) = &remote.proxy else {
        let addresses = remote.egress.lookup(host, port).await.map_err(denied)?;
        return first_of(&addresses).await.map_err(broken);
    };
    behind_proxy(&remote.egress, host, port)
        .await
        .map_err(denied)?;
    let addresses = remote
        .egress
        .lookup(proxy.host(), proxy.port())
        .await
        .map_err(denied)?;
    let mut stream = first_of(&addresses).await.map_err(broken)?;
    match proxy.address.scheme() {
        "http" => through_http(&mut stream, proxy, host, port)
            .await
            .map_err(broken)?,
        "socks5" => through_socks(&mut stream, proxy, host, port)
            .await
            .map_err(broken)?,
        _ => {
            let why = "over ssh a proxy must be http:// or socks5://";
            return Err(Cause::Url {
                url: url.clone(),
                why,
            });
        }
    }
    Ok(stream)
}

/// The proxy resolves the name; what we can see leads to a private address is refused anyway.
async fn behind_proxy(egress: &Egress, host: &str, port: u16) -> Result<(), egress::Denied> {
    match egress.lookup(host, port).await {
        Err(denied @ (egress::Denied::Address { .. } | egress::Denied::Resolved { .. })) => {
            Err(denied)
        }
        _ => Ok(()),
    }
}

async fn first_of(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn through_http(
    stream: &mut TcpStream,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> io::Result<()> {
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some((user, password)) = &proxy.login {
        let login = STANDARD.encode(format!("{user}:{}", password.expose()));
        request.push_str(&format!("Proxy-Authorization: Basic {login}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // One byte at a time: what follows the blank line is no longer the proxy's.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > MAX_ANSWER {
            return Err(refused("the proxy's answer does not end"));
        }
        answer.push(stream.read_u8().await?);
    }
    let status = answer
        .split(|byte| *byte == b' ')
        .nth(1)
        .unwrap_or_default();
    match status {
        b"200" => Ok(()),
        b"407" => Err(refused("the proxy wants other credentials")),
        _ => Err(refused("the proxy refused the connection")),
    }
}

async fn through_socks(
    stream: &mut TcpStream,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> io::Result<()> {
    let method = if proxy.login.is_some() { 2 } else { 0 };
    stream.write_all(&[5, 1, method]).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    if chosen != [5, method] {
        return Err(refused("the proxy wants other credentials"));
    }
    if let Some((user, password)) = &proxy.login {
        let mut login = vec![1];
        for part in [user.as_str(), password.expose()] {
            let length = u8::try_from(part.len());
            login.push(length.map_err(|_| refused("the proxy's user or password is too long"))?);
            login.extend_from_slice(part.as_bytes());
        }
        stream.write_all(&login).await?;
        let mut verdict = [0; 2];
        stream.read_exact(&mut verdict).await?;
        if verdict != [1, 0] {
            return Err(refused("the proxy refused the user and password"));
        }
    }
    let mut request = vec![5, 1, 0, 3];
    request.push(u8::try_from(host.len()).map_err(|_| refused("the host's name is too long"))?);
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    let bound = match answer {
        [5, 0, _, 1] => 4,
        [5, 0, _, 4] => 16,
        [5, 0, _, 3] => usize::from(stream.read_u8().await?),
        _ => return Err(refused("the proxy refused the connection")),
    };
    let mut rest = vec![0; bound + 2];
    stream.read_exact(&mut rest).await.map(|_| ())
}

fn refused(why: &'static str) -> io::Error {
    io::Error::other(why)
}
