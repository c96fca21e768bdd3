//! A call's payload, read: so many bytes, as fast as any line is, and no more than there is room for.
//!
//! Room is taken as bytes arrive: who only announces many takes none. Of all the room a Receiver has a share, so that its
//! callers take up nobody else's, and an address another. What it deliberately doesn't: look at the bytes.

mod room;

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::refusal::Refusal;
pub(super) use room::{Place, Room};

/// The largest payload that is read: Flux's limit.
pub const MAX_BODY: usize = 3 * 1024 * 1024;
/// How long a payload may take: Flux's limit.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// How often it is looked at how much has come.
const WINDOW: Duration = Duration::from_secs(5);
/// How much has to come in that time.
const LEAST: usize = 32 << 10;

/// The payload, read into `place`, which has to be held for as long as it is.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    time: Duration,
    place: &mut Place,
) -> Result<Vec<u8>, Refusal> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    take(body, time, WINDOW, place).await
}

async fn take(
    mut body: Body,
    time: Duration,
    window: Duration,
    place: &mut Place,
) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut looked = Instant::now();
    let (end, mut had) = (looked + time, 0);
    loop {
        let until = (looked + window).min(end);
        let Ok(frame) = timeout_at(until, body.frame()).await else {
            if until >= end || bytes.len() - had < LEAST {
                return Err(too_slow());
            }
            (looked, had) = (until, bytes.len());
            continue;
        };
        let Some(frame) = frame else {
            return Ok(bytes);
        };
        let frame = frame
            .map_err(|_| Refusal::unproved(StatusCode::BAD_REQUEST, "the payload ended early"))?;
        // Trailers are nothing that anybody reads.
        let data = frame.into_data().unwrap_or_else(|_| Bytes::new());
        if bytes.len() + data.len() > MAX_BODY {
            return Err(too_large());
        }
        if !place.grow(data.len()) {
            return Err(Refusal::no_room("too many calls are being read"));
        }
        bytes.extend_from_slice(&data);
    }
}

fn too_slow() -> Refusal {
    let says = "the payload took too long";
    Refusal::unproved(StatusCode::REQUEST_TIMEOUT, says)
}

fn too_large() -> Refusal {
    let says = "the payload is larger than 3 MiB";
    Refusal::unproved(StatusCode::PAYLOAD_TOO_LARGE, says)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use std::task::Poll;

    use futures::StreamExt as _;
    use reeve_api::name::NamespacedName;

    #[tokio::test]
    async fn a_payload_that_stalls_is_not_waited_for() {
        let room = Arc::new(Room::default());
        let receiver = NamespacedName::new("acme", "hook").unwrap();
        for sent in [0, LEAST - 1, LEAST, MAX_BODY] {
            let mut place = room.enter(&receiver, Ipv4Addr::LOCALHOST.into());
            let first = futures::stream::iter([Ok::<_, std::io::Error>(vec![0_u8; sent])]);
            let body = Body::from_stream(first.chain(futures::stream::pending()));
            // So much patience that this test would be killed first, if nobody looked in between.
            let (time, window) = (Duration::from_secs(3600), Duration::from_millis(20));
            let told = take(body, time, window, &mut place).await;
            let code = told.err().map(|refusal| refusal.code);
            assert_eq!(code, Some(StatusCode::REQUEST_TIMEOUT), "{sent}");
        }
    }

    #[tokio::test]
    async fn a_payload_that_comes_is_waited_for() {
        let room = Arc::new(Room::default());
        let receiver = NamespacedName::new("acme", "hook").unwrap();
        let mut place = room.enter(&receiver, Ipv4Addr::LOCALHOST.into());
        let mut timer = tokio::time::interval(Duration::from_millis(10));
        let mut left = 20;
        let slow = futures::stream::poll_fn(move |context| {
            if left == 0 {
                return Poll::Ready(None);
            }
            timer.poll_tick(context).map(|_| {
                left -= 1;
                Some(Ok::<_, std::io::Error>(vec![0_u8; LEAST]))
            })
        });
        let (time, window) = (Duration::from_secs(3600), Duration::from_millis(50));
        let told = take(Body::from_stream(slow), time, window, &mut place).await;
        assert_eq!(told.ok().map(|bytes| bytes.len()), Some(20 * LEAST));
    }

    /// The largest payload there is, read; None: there was no room.
    async fn held(room: &Arc<Room>, receiver: &str, last: u8) -> Option<(Vec<u8>, Place)> {
        let receiver = NamespacedName::new("acme", receiver).unwrap();
        let mut place = room.enter(&receiver, IpAddr::from([10, 0, 0, last]));
        let body = Body::from(vec![0_u8; MAX_BODY]);
        let told = read(&HeaderMap::new(), body, BODY_TIME, &mut place).await;
        told.ok().map(|bytes| (bytes, place))
    }

    #[tokio::test]
    async fn what_is_held_of_one_receiver_takes_no_room_of_another() {
        let room = Arc::new(Room::default());
        let first = held(&room, "busy", 1).await;
        let second = held(&room, "busy", 2).await;
        assert!(first.is_some() && second.is_some());
        assert!(held(&room, "busy", 3).await.is_none(), "its share is full");
        assert!(held(&room, "quiet", 1).await.is_some());
        drop(first);
        assert!(held(&room, "busy", 3).await.is_some(), "it was given back");
    }
}
