//! A server on this machine that answers as each test wants, byte by byte, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What to do with a request.
#[derive(Clone)]
pub(super) enum Answer {
    /// These bytes, then the connection ends.
    Bytes(Vec<u8>),
    /// A body of this status, with these headers.
    Body(u16, &'static str, String),
    /// The request itself as the body.
    Echo(fn(&str) -> String),
    /// This, again and again until nobody listens.
    Endless(&'static [u8]),
    /// The headers, and then nothing ever.
    Silence,
}

pub(super) struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers the requests in this order; the last answer is given from then on.
    pub(super) async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut count = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answers[count.min(answers.len() - 1)].clone();
                count += 1;
                tokio::spawn(serve(stream, answer, Arc::clone(&remembered)));
            }
        });
        Self { port, seen, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The requests so far, each as it came.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, seen: Arc<Mutex<Vec<String>>>) {
    let Some(request) = request(&mut stream).await else {
        return;
    };
    seen.lock().unwrap().push(request.clone());
    let body = |status: u16, headers: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
        )
        .into_bytes()
    };
    let whole = match answer {
        Answer::Bytes(bytes) => bytes,
        Answer::Body(status, headers, text) => body(status, headers, &text),
        Answer::Echo(how) => body(200, "", &how(&request)),
        Answer::Endless(piece) => {
            let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
            let mut sent = stream.write_all(head).await;
            while sent.is_ok() {
                sent = stream.write_all(piece).await;
            }
            return;
        }
        Answer::Silence => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab";
            drop(stream.write_all(head).await);
            std::future::pending().await
        }
    };
    // Who asked may be gone.
    drop(stream.write_all(&whole).await);
}

/// Head and body, once they are whole.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        let count = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
}
