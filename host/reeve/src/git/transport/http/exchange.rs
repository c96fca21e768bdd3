//! One request and its answer, in the order in which gix reads and writes them.
//!
//! gix writes the request's body, drops the writer, then reads the answer's headers and its body: the request is sent
//! when the first of those is read. What it deliberately doesn't: know what is asked; `http` does.

use std::io::{self, BufRead, Cursor, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, Method};

use super::greeting::Hearing;
use super::{Prepared, unreachable};
use crate::git::Cause;
use crate::git::push::pack;
use crate::git::wire::Wire;

/// What a request may hold: a list of what is wanted and what is here, or a pack of ours and what it is for.
const MAX_REQUEST: usize = pack::MOST + (1 << 20);

/// A request and its answer.
#[derive(Clone)]
pub(super) struct Exchange {
    wire: Arc<Wire>,
    state: Arc<Mutex<State>>,
}

enum State {
    Waiting {
        prepared: Box<Prepared>,
        headers: HeaderMap,
        body: Vec<u8>,
    },
    Answered(Box<reqwest::Response>),
    Failed,
}

impl Exchange {
    pub(super) fn waiting(prepared: Prepared, headers: HeaderMap) -> Self {
        let wire = Arc::clone(&prepared.web.wire);
        let state = State::Waiting {
            prepared: Box::new(prepared),
            headers,
            body: Vec::new(),
        };
        Self {
            wire,
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(super) fn done(wire: &Arc<Wire>, response: reqwest::Response) -> Self {
        let state = State::Answered(Box::new(response));
        Self {
            wire: Arc::clone(wire),
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(super) fn headers(&self) -> Headers {
        Headers {
            exchange: self.clone(),
            text: None,
        }
    }

    pub(super) fn body(&self) -> Body {
        self.heard_body(None)
    }

    /// The same, and somebody hears it.
    pub(super) fn heard_body(&self, hearing: Option<Hearing>) -> Body {
        Body {
            exchange: self.clone(),
            chunk: Bytes::new(),
            hearing,
        }
    }

    pub(super) fn post_body(&self) -> PostBody {
        PostBody(self.clone())
    }

    /// Does something with the answer, sending the request if that is still to do.
    fn answer<T>(
        &self,
        with: impl FnOnce(&mut reqwest::Response) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Waiting { .. } = &*state
            && let State::Waiting {
                prepared,
                headers,
                body,
            } = std::mem::replace(&mut *state, State::Failed)
        {
            let response = prepared
                .web
                .send(Method::POST, &prepared.target, headers, body)?;
            if response.status().is_redirection() {
                let to = "elsewhere after the first request".to_owned();
                return Err(self.wire.fail(Cause::Redirect {
                    url: self.wire.url(),
                    to,
                }));
            }
            *state = State::Answered(Box::new(response));
        }
        match &mut *state {
            State::Answered(response) => with(response),
            State::Waiting { .. } | State::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// The headers of an answer, one a line, as gix reads them.
pub(super) struct Headers {
    exchange: Exchange,
    text: Option<Cursor<Vec<u8>>>,
}

impl Headers {
    fn text(&mut self) -> io::Result<&mut Cursor<Vec<u8>>> {
        if self.text.is_none() {
            let text = self.exchange.answer(|response| {
                let mut text = Vec::new();
                for (name, value) in response.headers() {
                    text.extend_from_slice(name.as_str().as_bytes());
                    text.push(b':');
                    text.extend_from_slice(value.as_bytes());
                    text.push(b'\n');
                }
                Ok(text)
            })?;
            self.text = Some(Cursor::new(text));
        }
        Ok(self.text.get_or_insert_default())
    }
}

impl Read for Headers {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.text()?.read(buf)
    }
}

impl BufRead for Headers {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.text()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(text) = &mut self.text {
            text.consume(amount);
        }
    }
}

/// The body of an answer, as it comes, counted.
pub(super) struct Body {
    exchange: Exchange,
    chunk: Bytes,
    hearing: Option<Hearing>,
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buf.len());
        if let (Some(from), Some(to)) = (available.get(..count), buf.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() {
            let wire = Arc::clone(&self.exchange.wire);
            let next = self.exchange.answer(|response| {
                wire.wait("receiving from the server", response.chunk())?
                    .map_err(|error| wire.fail(unreachable(&wire, error)))
            })?;
            let Some(chunk) = next else { break };
            wire.received(chunk.len())?;
            if let Some(hearing) = &mut self.hearing {
                hearing.hears(&chunk);
            }
            self.chunk = chunk;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.chunk.advance(amount.min(self.chunk.len()));
    }
}

/// The body of a request, collected.
pub(super) struct PostBody(Exchange);

impl Write for PostBody {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Waiting { body, .. } if body.len() + buf.len() <= MAX_REQUEST => {
                body.extend_from_slice(buf);
                Ok(buf.len())
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
