//! Proxies that let through and count: HTTP (with CONNECT) and SOCKS 5.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP.
    Http,
    /// SOCKS 5.
    Socks5,
}

/// A running proxy.
pub struct Proxy {
    kind: ProxyKind,
    address: SocketAddr,
    used: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy; with a `login` it lets through only who has it.
    pub async fn start(kind: ProxyKind, login: Option<(String, String)>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let used = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&used);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (login, count) = (login.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let connected = match kind {
                        ProxyKind::Http => http(client, login).await,
                        ProxyKind::Socks5 => socks(client, login).await,
                    };
                    if let Ok((mut client, mut server)) = connected {
                        count.fetch_add(1, Ordering::Relaxed);
                        copy_bidirectional(&mut client, &mut server).await.ok();
                    }
                });
            }
        });
        Ok(Self {
            kind,
            address,
            used,
            task,
        })
    }

    /// Its address, as the Secret of `proxySecretRef` has it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
        };
        format!("{scheme}://{}", self.address)
    }

    /// How many connections it let through.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Ends = (TcpStream, TcpStream);

async fn http(mut client: TcpStream, login: Option<(String, String)>) -> anyhow::Result<Ends> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < 16 << 10, "an endless request");
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let want = login.map(|(user, password)| {
        format!(
            "proxy-authorization: basic {}",
            STANDARD.encode(format!("{user}:{password}"))
        )
    });
    let line = |want: &str| text.lines().any(|line| line.eq_ignore_ascii_case(want));
    if want.is_some_and(|want| !line(&want)) {
        client
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            .await?;
        bail!("not let through");
    }
    let mut words = text.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().context("a target")?,
    );
    if method == "CONNECT" {
        let server = TcpStream::connect(target).await?;
        client
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .await?;
        return Ok((client, server));
    }
    let host = target
        .strip_prefix("http://")
        .context("an absolute target")?;
    let mut server = TcpStream::connect(host.split('/').next().unwrap_or_default()).await?;
    server.write_all(&head).await?;
    Ok((client, server))
}

async fn socks(mut client: TcpStream, login: Option<(String, String)>) -> anyhow::Result<Ends> {
    ensure!(client.read_u8().await? == 5, "SOCKS 5");
    text(&mut client).await?;
    client
        .write_all(&[5, if login.is_some() { 2 } else { 0 }])
        .await?;
    if let Some((user, password)) = login {
        ensure!(client.read_u8().await? == 1, "a login");
        let given = (text(&mut client).await?, text(&mut client).await?);
        let good = given == (user.into_bytes(), password.into_bytes());
        client.write_all(&[1, u8::from(!good)]).await?;
        ensure!(good, "not let through");
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => Ipv4Addr::from(client.read_u32().await?).to_string(),
        3 => String::from_utf8(text(&mut client).await?)?,
        _ => bail!("an address of another kind"),
    };
    let port = client.read_u16().await?;
    let server = TcpStream::connect((host, port)).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok((client, server))
}

/// A length and that many bytes.
async fn text(from: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut text = vec![0; usize::from(from.read_u8().await?)];
    from.read_exact(&mut text).await?;
    Ok(text)
}
