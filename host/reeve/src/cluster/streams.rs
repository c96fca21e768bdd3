//! Few connections for many watches: HTTP/2, and so many streams on each.
//!
//! kube's own client speaks HTTP/1, where each watch holds a connection. Watches as accounts are as many as tenants have
//! Secrets and kinds of their own, so they share: each goes over the connection that carries the fewest, another one is
//! opened when all are full, and those that are not needed any more run empty. A connection that was cut is noticed by
//! pings, one stream that is silent for too long is given up as everywhere else. Where HTTP/2 is not spoken (plain HTTP, a
//! proxy, a server that does not offer it) nobody is seated, and the watch goes as before. It deliberately carries nothing
//! but watches, tries nothing again and knows no identity: [`connection`](super::connection) says what goes this way, and
//! [`wire`](super::wire) as whom.

mod line;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Request;
use kube::client::{Body, ConfigExt as _};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tower::{BoxError, Layer as _};

use line::{Dial, Line, ON_ONE, Seat};

/// How many connections there are at most; beyond that watches go as before. It is not reached but where a server
/// allows few streams on each.
const MOST: usize = 64;
/// For how long a server that did not offer HTTP/2 is not asked again whether it does.
const AGAIN: Duration = Duration::from_secs(60);
/// For how long nobody connects where connecting has just failed: whoever waited for that finds out with it.
const REST: Duration = Duration::from_secs(1);

/// The way of watches. Its clones are one.
#[derive(Clone)]
pub(super) struct Streams(Arc<Shared>);

struct Shared {
    config: kube::Config,
    /// Made for the first watch, since most commands of people have none; None: there is no such way.
    made: OnceLock<Option<Made>>,
}

struct Made {
    client: kube::Client,
    lines: Lines,
}

/// The connections there are.
struct Lines {
    dial: Dial,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    lines: Vec<Arc<Line>>,
    /// Until when nobody connects, and why.
    rests: Option<(Instant, Rest)>,
}

#[derive(Clone)]
enum Rest {
    /// HTTP/2 was not offered.
    Plain,
    /// There was no connection.
    Failed(String),
}

/// There is no connection for a watch.
#[derive(Debug, thiserror::Error)]
#[error("connecting for watches failed: {0}")]
struct Unconnected(String);

impl Streams {
    /// What is asked of the server of `config`; nothing is sent yet.
    pub(super) fn of(config: kube::Config) -> Self {
        Self(Arc::new(Shared {
            config,
            made: OnceLock::new(),
        }))
    }

    /// Gives a watch a place on a connection, and says by which client it is sent; None: by whichever everything else is.
    pub(super) async fn board(
        &self,
        request: &mut Request<Body>,
    ) -> Result<Option<kube::Client>, BoxError> {
        let made = self.0.made.get_or_init(|| self.0.make());
        let Some(made) = made else {
            return Ok(None);
        };
        let Some(seat) = made.lines.seat().await? else {
            return Ok(None);
        };
        request.extensions_mut().insert(seat);
        Ok(Some(made.client.clone()))
    }
}

impl Shared {
    fn make(&self) -> Option<Made> {
        let dial = Dial::of(&self.config)?;
        match client(&self.config) {
            Ok(client) => Some(Made {
                client,
                lines: Lines::new(dial),
            }),
            Err(why) => {
                let why = reeve_core::failure::chain(&why);
                tracing::warn!(error = why, "each watch has a connection of its own");
                None
            }
        }
    }
}

/// Sends over the seat that a request has, with the credentials and to the address that kube's own client uses.
fn client(config: &kube::Config) -> kube::Result<kube::Client> {
    let sent = tower::service_fn(Seat::send);
    let headed = config.extra_headers_layer()?.layer(sent);
    let known = tower::util::option_layer(config.auth_layer()?).layer(headed);
    let based = config.base_uri_layer().layer(known);
    Ok(kube::Client::new(based, config.default_namespace.clone()))
}

impl Lines {
    fn new(dial: Dial) -> Self {
        Self {
            dial,
            known: Mutex::default(),
        }
    }

    /// A place on the connection that carries the fewest; one is opened where all are full. Held meanwhile: whoever comes
    /// then finds room on that one.
    async fn seat(&self) -> Result<Option<Seat>, BoxError> {
        let mut known = self.known.lock().await;
        known.tidy();
        if let Some(seat) = known.seat() {
            return Ok(Some(seat));
        }
        match known.rests(Instant::now()) {
            Some(Rest::Plain) => return Ok(None),
            Some(Rest::Failed(why)) => return Err(Unconnected(why).into()),
            None if known.lines.len() >= MOST => return Ok(None),
            None => {}
        }
        match self.dial.line().await {
            Ok(Some(line)) => {
                let seat = Seat::take(&line);
                known.lines.push(line);
                Ok(Some(seat))
            }
            Ok(None) => {
                known.rests = Some((Instant::now() + AGAIN, Rest::Plain));
                Ok(None)
            }
            Err(why) => {
                let why = why.to_string();
                known.rests = Some((Instant::now() + REST, Rest::Failed(why.clone())));
                Err(Unconnected(why).into())
            }
        }
    }
}

impl Known {
    /// Forgets what is closed, and what is not needed once nothing goes over it.
    fn tidy(&mut self) {
        self.lines.retain(|line| !line.is_closed());
        let needed = needed(self.lines.iter().map(|line| line.load().0).sum());
        let mut nth = 0;
        self.lines.retain(|line| {
            nth += 1;
            nth <= needed || line.load().0 > 0
        });
    }

    fn seat(&self) -> Option<Seat> {
        let loads: Vec<(usize, usize)> = self.lines.iter().map(|line| line.load()).collect();
        let line = self.lines.get(choose(&loads)?)?;
        Some(Seat::take(line))
    }

    fn rests(&self, now: Instant) -> Option<Rest> {
        let (until, why) = self.rests.as_ref()?;
        (*until > now).then(|| why.clone())
    }
}

/// How many connections new watches go over, when so many are open: one more than they fill.
fn needed(open: usize) -> usize {
    open / ON_ONE + 2
}

/// Which connection the next watch goes over, by how many are open on each and how many there may be; None: another one is
/// needed.
fn choose(loads: &[(usize, usize)]) -> Option<usize> {
    let open = loads.iter().map(|(open, _)| open).sum();
    // With room on each those that are not needed any more would never run empty.
    let first = loads.iter().take(needed(open)).enumerate();
    let free = first.filter(|(_, (open, room))| open < room);
    free.min_by_key(|(_, (open, _))| *open).map(|(at, _)| at)
}

#[cfg(test)]
mod tests;
