//! A call's payload, read: so many bytes, for so long, and no more of all calls together than there is room for.
//!
//! Room is taken as bytes arrive: who only announces many takes none. What it deliberately doesn't: look at them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::refusal::{Instead, Refusal};

/// The largest payload that is read: Flux's limit.
pub const MAX_BODY: usize = 3 * 1024 * 1024;
/// How long a payload may take: Flux's limit.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// Bytes of payloads that are held at a time.
pub(super) const ROOM: usize = 64 << 20;

/// The payload, and the room that it takes up until it is given back.
pub(super) type Held = (Vec<u8>, Option<OwnedSemaphorePermit>);

pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    time: Duration,
    room: &Arc<Semaphore>,
) -> Result<Held, Refusal> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let taken = timeout(time, take(body, room)).await;
    taken.unwrap_or_else(|_| {
        let says = "the payload took too long";
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, says))
    })
}

async fn take(mut body: Body, room: &Arc<Semaphore>) -> Result<Held, Refusal> {
    let (mut bytes, mut held) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the payload ended early"))?;
        // Trailers are nothing that anybody reads.
        let data = frame.into_data().unwrap_or_else(|_| Bytes::new());
        if bytes.len() + data.len() > MAX_BODY {
            return Err(too_large());
        }
        let more = u32::try_from(data.len()).map_err(|_| too_large())?;
        let permit = Arc::clone(room).try_acquire_many_owned(more);
        let permit = permit.map_err(|_| {
            let says = "too many calls are being read";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, says).or(Instead::Later)
        })?;
        match &mut held {
            None => held = Some(permit),
            Some(held) => held.merge(permit),
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, held))
}

fn too_large() -> Refusal {
    let says = "the payload is larger than 3 MiB";
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, says)
}
