//! Archives on a server of this machine, good ones and others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server of files.
pub(crate) struct Shelf {
    at: String,
    files: Arc<Mutex<Files>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Files {
    all: BTreeMap<String, Vec<u8>>,
    /// What was asked for and is there.
    asked: Vec<String>,
}

impl Shelf {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let at = format!("http://{}", socket.local_addr()?);
        let files = Arc::new(Mutex::new(Files::default()));
        let shared = Arc::clone(&files);
        let answer = move |request: Request| {
            let files = Arc::clone(&shared);
            async move { given(&files, request.uri().path()) }
        };
        let router = Router::new().fallback(answer);
        let task = tokio::spawn(async move {
            axum::serve(socket, router).await.expect("it serves");
        });
        Ok(Self { at, files, task })
    }

    /// Puts a file there, and says where.
    pub(crate) fn lay(&self, name: &str, bytes: &[u8]) -> String {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.all.insert(format!("/{name}"), bytes.to_vec());
        self.url(name)
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    /// The files that were asked for, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.asked.clone()
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn given(files: &Mutex<Files>, path: &str) -> Response<Body> {
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    let found = files.all.get(path).cloned();
    let answer = Response::builder();
    let answer = match found {
        Some(bytes) => {
            files.asked.push(path.to_owned());
            answer.body(Body::from(bytes))
        }
        None if path == "/moved" => answer
            .status(StatusCode::FOUND)
            .header("location", "/red.tar.gz")
            .body(Body::empty()),
        None => answer.status(StatusCode::NOT_FOUND).body(Body::empty()),
    };
    answer.expect("because its headers are fixed")
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// An archive of these files.
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_bytes(), EntryType::Regular, text.as_bytes()))
        .collect();
    odd_archive(&entries)
}

/// An archive with entries under exactly these names, as no builder would write it.
pub(super) fn odd_archive(entries: &[(&[u8], EntryType, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, kind, content) in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, *content).expect("it is in memory");
    }
    let gzip = tar.into_inner().expect("it is in memory");
    gzip.finish().expect("it is in memory")
}
