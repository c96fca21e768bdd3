//! `GET /<path>`: artifacts, for other consumers. Who knows the path may read: its one segment cannot be guessed.
//!
//! Nothing is listed, nothing outside the store can be named: a path of another form than the store's own is not even
//! asked for. `GET /` answers with nothing, so that a probe sees the server is up. What it deliberately doesn't: know
//! where files lie; the store opens them.

use std::fmt;
use std::fs::File;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::io::AsyncReadExt as _;
use tokio::task::spawn_blocking;
use tokio_util::io::ReaderStream;
use tracing::error;

use crate::store::Store;

/// Opens the artifact at a path (without the leading `/`) and says how many bytes it has, or that there is none.
/// Called where blocking is allowed.
pub type Open = Arc<dyn Fn(&str) -> Option<(File, u64)> + Send + Sync>;

/// What the artifact server needs.
#[derive(Clone)]
pub struct Artifacts {
    open: Open,
}

impl fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifacts").finish_non_exhaustive()
    }
}

/// How much of a file is read at once.
const CHUNK: usize = 64 * 1024;
/// Longer than any path of the store.
const MAX_PATH: usize = 1024;

impl Artifacts {
    /// Artifacts that `open` opens.
    pub fn new(open: Open) -> Self {
        Self { open }
    }

    /// The artifacts of a store.
    pub fn of(store: Store) -> Self {
        Self::new(Arc::new(move |path| store.open_path(path)))
    }

    /// What it answers.
    pub fn router(self) -> Router {
        Router::new().fallback(asked).with_state(self)
    }
}

async fn asked(State(artifacts): State<Artifacts>, request: Request) -> Response {
    let (head, _body) = request.into_parts();
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let allow = [(ALLOW, HeaderValue::from_static("GET, HEAD"))];
        return (StatusCode::METHOD_NOT_ALLOWED, allow).into_response();
    }
    let path = head.uri.path();
    if path == "/" {
        return StatusCode::OK.into_response();
    }
    let Some(path) = clean(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = etag(path);
    if tag.is_some() && head.headers.get(IF_NONE_MATCH) == tag.as_ref() {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let path = path.to_owned();
    match spawn_blocking(move || (artifacts.open)(&path)).await {
        Ok(Some((file, size))) => found(file, size, tag, &head.method),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            // the path is not logged: one of its segments is what lets its reader in
            error!(
                error = &error as &dyn std::error::Error,
                "reading an artifact failed"
            );
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn found(file: File, size: u64, tag: Option<HeaderValue>, method: &Method) -> Response {
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        // no longer than was announced, should the file grow
        Body::from_stream(ReaderStream::with_capacity(
            tokio::fs::File::from_std(file).take(size),
            CHUNK,
        ))
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, immutable"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(tag) = tag {
        headers.insert(ETAG, tag);
    }
    response
}

/// The path without its leading `/`, if it has the form that paths of the store have: segments of letters, digits, `.`,
/// `-` and `_`, none of which is hidden or a step up. Nothing is decoded: the store's paths need no escapes.
fn clean(path: &str) -> Option<&str> {
    let path = path
        .strip_prefix('/')
        .filter(|path| path.len() <= MAX_PATH)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let good = |segment: &str| {
        !segment.is_empty() && !segment.starts_with('.') && segment.chars().all(plain)
    };
    path.split('/').all(good).then_some(path)
}

/// What is at a path never changes, so the path is the tag.
fn etag(path: &str) -> Option<HeaderValue> {
    let (_, file) = path.rsplit_once('/')?;
    HeaderValue::try_from(format!("\"{file}\"")).ok()
}

#[cfg(test)]
mod tests;
