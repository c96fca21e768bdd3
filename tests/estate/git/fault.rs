//! What goes wrong between a git server and who asks it, by HTTP.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt as _};

/// What goes wrong at a server, from now on.
#[derive(Debug, Clone, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It takes this long before each answer.
    Slow(Duration),
    /// Each answer begins as it should and then never ends.
    Endless,
    /// Each answer's body trickles: one byte each time.
    Trickle(Duration),
    /// It answers with this status and nothing else.
    Status(u16),
    /// It sends everybody to this prefix, followed by the path that was asked for.
    Redirect(String),
    /// The credential it once took is no longer good.
    Expired,
    /// Each answer is cut after this many bytes.
    Cut(usize),
    /// Half of what is pushed arrives, and no answer comes back.
    Torn,
    /// What is pushed arrives and is done, and no answer comes back.
    Unanswered,
}

impl Fault {
    /// What of a pushed body arrives.
    pub(super) fn arrives(&self, body: Bytes) -> Bytes {
        match self {
            Self::Torn => body.slice(..body.len() / 2),
            _ => body,
        }
    }

    /// Whether the answer to a push is lost.
    pub(super) fn loses_answers(&self) -> bool {
        matches!(self, Self::Torn | Self::Unanswered)
    }

    /// Does to the chunks of an answer what goes wrong with them.
    pub(super) fn spoil<S>(self, chunks: S) -> Body
    where
        S: Stream<Item = Result<Bytes, axum::Error>> + Send + 'static,
    {
        match self {
            Self::Endless => {
                let more = futures::stream::repeat(Bytes::from(vec![b'x'; 64 << 10]));
                Body::from_stream(chunks.chain(more.map(Ok)))
            }
            Self::Trickle(time) => {
                let bytes = chunks.flat_map(|chunk| {
                    let chunk = chunk.unwrap_or_default();
                    futures::stream::iter((0..chunk.len()).map(move |at| chunk.slice(at..=at)))
                });
                Body::from_stream(bytes.then(move |byte| async move {
                    pause(time).await;
                    Ok::<_, std::io::Error>(byte)
                }))
            }
            Self::Cut(after) => {
                let mut left = after;
                Body::from_stream(chunks.map(move |chunk| {
                    let chunk = chunk.map_err(std::io::Error::other)?;
                    if left == 0 {
                        return Err(std::io::Error::other("cut"));
                    }
                    let kept = chunk.len().min(left);
                    left -= kept;
                    Ok(chunk.slice(..kept))
                }))
            }
            _ => Body::from_stream(chunks),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "being late is the fault that is asked for"
)]
pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
