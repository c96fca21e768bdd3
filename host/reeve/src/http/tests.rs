//! Routers on loopback ports, called as rude clients call.

use super::*;
use axum::routing::post;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A router that is served until it is dropped.
pub(crate) struct Served {
    address: std::net::SocketAddr,
    stop: CancellationToken,
}

impl Served {
    pub(crate) async fn start(router: Router) -> Self {
        Self::start_with(router, Limits::INSIDE).await.0
    }

    pub(crate) async fn start_with(
        router: Router,
        limits: Limits,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        Self::start_behind(Proxies::default(), router, limits).await
    }

    pub(crate) async fn start_behind(
        proxies: Proxies,
        router: Router,
        limits: Limits,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = serve_behind(proxies, listener, router, limits, stop.clone());
        let task = tokio::spawn(serving);
        (Self { address, stop }, task)
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The same from another address of this machine.
    async fn connect_from(&self, from: &str) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Sends `request` as it is, and reads until the answer is whole or the connection is closed.
    pub(crate) async fn ask_bytes(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // who is turned away early may not read all of it
        let _sent = stream.write_all(request).await;
        read_answer(&mut stream).await
    }

    pub(crate) async fn ask(&self, request: &str) -> String {
        String::from_utf8(self.ask_bytes(request.as_bytes()).await).unwrap()
    }

    pub(crate) async fn code(&self, request: &str) -> u16 {
        code_of(&self.ask(request).await)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn code_of(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or_default()
}

/// Reads one answer: its header, and as much body as that announces.
pub(crate) async fn read_answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0_usize);
            if answer.len() >= end + 4 + length {
                return answer;
            }
        }
        let read = timeout(Duration::from_secs(20), stream.read(&mut chunk)).await;
        match read.expect("an answer in time") {
            Ok(0) | Err(_) => return answer,
            Ok(n) => answer.extend_from_slice(&chunk[..n]),
        }
    }
}

const QUICK: Limits = Limits {
    connections: 2,
    each: None,
    header_time: Duration::from_millis(200),
    header_bytes: 16 * 1024,
    connection_time: Duration::from_secs(60),
    drain: Duration::from_millis(500),
};

fn echo() -> Router {
    Router::new().route(
        "/",
        post(|body: String| async move { body }).get(async || "here"),
    )
}

#[tokio::test]
async fn who_dribbles_a_header_is_cut_off_in_time() {
    let (served, _task) = Served::start_with(echo(), QUICK).await;
    let mut stream = served.connect().await;
    let begun = tokio::time::Instant::now();
    let mut refused = false;
    for byte in b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
        if stream.write_all(&[*byte]).await.is_err() {
            refused = true;
            break;
        }
        let mut one = [0; 64];
        // wait for the server rather than for the clock: either it says something, or it is our turn to dribble on
        if let Ok(read) = timeout(Duration::from_millis(50), stream.read(&mut one)).await {
            refused = true;
            assert!(
                read.is_err() || read.is_ok_and(|n| n == 0 || one.starts_with(b"HTTP/1.1 408"))
            );
            break;
        }
    }
    assert!(refused, "the connection was kept");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_cut_off_too() {
    let (served, _task) = Served::start_with(echo(), QUICK).await;
    let mut stream = served.connect().await;
    assert!(read_answer(&mut stream).await.is_empty());
}

#[tokio::test]
async fn silent_connections_keep_nobody_out_for_long() {
    let (served, _task) = Served::start_with(echo(), QUICK).await;
    let _held = (
        served.connect().await,
        served.connect().await,
        served.connect().await,
    );
    assert_eq!(served.code("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await, 200);
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// What is answered on a connection that asks.
async fn answered(stream: &mut TcpStream) -> u16 {
    // Who is turned away may not be listened to.
    let _sent = stream.write_all(ASK).await;
    code_of(&String::from_utf8(read_answer(stream).await).unwrap())
}

#[tokio::test]
async fn one_address_never_has_all_connections_and_a_proxy_that_is_named_may() {
    let limits = Limits {
        connections: 8,
        each: Some(2),
        header_time: Duration::from_secs(60),
        ..QUICK
    };
    let proxies = Proxies::new(vec!["127.0.0.9".parse().unwrap()]);
    let (served, _task) = Served::start_behind(proxies, echo(), limits).await;
    let mut held = [served.connect().await, served.connect().await];
    for stream in &mut held {
        assert_eq!(answered(stream).await, 200);
    }
    // Nothing is sent, so that nothing is there that was not read.
    let mut third = served.connect().await;
    let said = String::from_utf8(read_answer(&mut third).await).unwrap();
    assert_eq!(code_of(&said), 503, "{said}");
    assert!(said.contains("retry-after: 1\r\n"), "{said}");
    let mut other = served.connect_from("127.0.0.2").await;
    assert_eq!(answered(&mut other).await, 200, "others have their own");
    let mut proxy = Vec::new();
    for _ in 0..4 {
        let mut stream = served.connect_from("127.0.0.9").await;
        assert_eq!(answered(&mut stream).await, 200);
        proxy.push(stream);
    }
    drop(held);
    let again = async {
        loop {
            let mut stream = served.connect().await;
            match answered(&mut stream).await {
                200 => break,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    timeout(Duration::from_secs(20), again)
        .await
        .expect("what was given back is had again");
}

#[tokio::test]
async fn a_request_is_of_whom_a_proxy_that_is_named_names() {
    let told = async |request: axum::extract::Request| {
        let peer = request.extensions().get::<Peer>().copied();
        peer.map(|Peer(address)| address.to_string())
            .unwrap_or_default()
    };
    let router = || Router::new().fallback(told);
    let named = Proxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let asks = "GET / HTTP/1.1\r\nhost: x\r\nX-Forwarded-For: 198.51.100.7, 192.0.2.1\r\n\r\n";
    for (proxies, want) in [(named, "192.0.2.1"), (Proxies::default(), "127.0.0.1")] {
        let (served, _task) = Served::start_behind(proxies, router(), QUICK).await;
        let answer = served.ask(asks).await;
        assert!(answer.ends_with(want), "{answer}");
    }
}

#[tokio::test]
async fn a_header_that_is_too_long_is_refused() {
    let (served, _task) = Served::start_with(echo(), QUICK).await;
    let long = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n",
        "a".repeat(32 * 1024)
    );
    let code = served.code(&long).await;
    assert!(matches!(code, 0 | 431), "{code}");
}

#[tokio::test]
async fn a_stop_lets_what_is_under_way_finish_and_cuts_what_does_not() {
    let (begun, mut begins) = tokio::sync::mpsc::channel(2);
    let answer = move |request: axum::extract::Request| {
        let begun = begun.clone();
        async move {
            begun.send(()).await.unwrap();
            axum::body::to_bytes(request.into_body(), 64).await.unwrap()
        }
    };
    let router = Router::new().route("/", post(answer));
    let (served, task) = Served::start_with(router, QUICK).await;
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhe";
    let mut ends = served.connect().await;
    ends.write_all(head).await.unwrap();
    let mut never_ends = served.connect().await;
    never_ends.write_all(head).await.unwrap();
    for _both in 0..2 {
        begins.recv().await.unwrap();
    }
    served.stop.cancel();
    ends.write_all(b"llo").await.unwrap();
    let answer = String::from_utf8(read_answer(&mut ends).await).unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    timeout(Duration::from_secs(5), task)
        .await
        .expect("the server stops in time")
        .unwrap();
    assert!(
        TcpStream::connect(served.address).await.is_err(),
        "nobody listens any more"
    );
}
