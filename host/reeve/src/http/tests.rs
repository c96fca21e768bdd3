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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, router, limits, stop.clone()));
        (Self { address, stop }, task)
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
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
