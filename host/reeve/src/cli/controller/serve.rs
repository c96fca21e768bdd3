//! The listeners of the controller: webhooks, artifacts, metrics, probes, and admission where it is wanted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use reeve_core::webhook;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ControllerArgs;
use crate::admission;
use crate::cli::CommandError;
use crate::context::Context;
use crate::http::artifact::Artifacts;
use crate::http::probe::{self, Readiness};
use crate::http::receiver::{Nudge, Receiver, Unheard};
use crate::http::{self, Limits, Peer, Proxies, metrics};
use crate::issuers::Issuers;
use crate::knocks;

/// Accepted calls that wait to be answered with a wake. A wake is a lookup and a send: they don't wait long.
const NUDGES: usize = 4096;
/// How long a replica is not ready at most, since it does not know all hooks yet, and how often is looked whether it does.
const UNREADY: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(50);

/// The listeners, until they are stopped.
pub(super) struct Servers {
    stop: CancellationToken,
    open: TaskTracker,
}

impl Servers {
    /// Lets requests under way finish and closes.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.open.close();
        self.open.wait().await;
    }

    async fn add(
        &self,
        flag: &str,
        addr: SocketAddr,
        router: Router,
        limits: Limits,
    ) -> Result<(), CommandError> {
        let listener = bind(flag, addr).await?;
        self.open
            .spawn(http::serve(listener, router, limits, self.stop.clone()));
        Ok(())
    }

    /// Answers whoever calls hooks: proxies that are named, and strangers.
    async fn add_receiver(
        &self,
        args: &ControllerArgs,
        router: Router,
    ) -> Result<(), CommandError> {
        let listener = bind("--receiver-addr", args.receiver_addr).await?;
        let proxies = Proxies::new(args.trusted_proxies.clone());
        let stop = self.stop.clone();
        let serving = http::serve_behind(proxies, listener, router, Limits::RECEIVER, stop);
        self.open.spawn(serving);
        Ok(())
    }

    /// Answers API servers, if that is wanted, and keeps the certificate for as long as it does.
    async fn add_admission(
        &self,
        args: &ControllerArgs,
        ctx: &Arc<Context>,
    ) -> Result<(), CommandError> {
        let Some((addr, settings)) = args.admission.settings(&ctx.home) else {
            return Ok(());
        };
        let listener = bind("--admission-addr", addr).await?;
        let router = admission::router(Arc::clone(ctx));
        let (tls, keeping) = admission::tls(ctx, settings);
        let stop = self.stop.clone();
        let serving = http::serve_tls(listener, tls, router, Limits::ADMISSION, stop);
        self.open.spawn(async move {
            tokio::select! {
                () = serving => {}
                () = keeping => {}
            }
        });
        Ok(())
    }
}

async fn bind(flag: &str, addr: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(addr).await.map_err(|why| {
        CommandError::of(&format!("listening on {addr} ({flag}) failed"), &why)
            .hint(format!("choose another address with {flag}"))
    })
}

/// Starts all of them.
pub(super) async fn all(
    args: &ControllerArgs,
    ctx: &Arc<Context>,
    readiness: &Arc<Readiness>,
) -> Result<(Servers, mpsc::Receiver<Nudge>), CommandError> {
    let servers = Servers {
        stop: CancellationToken::new(),
        open: TaskTracker::new(),
    };
    let (nudges, nudged) = mpsc::channel(NUDGES);
    let hooks = Arc::clone(ctx);
    let lookup = Arc::new(move |path: &str| hooks.index.read(|known| known.touch.hook(path)));
    let issuers = Issuers::new(Arc::clone(&ctx.egress));
    let receiver = Receiver::new(lookup, nudges, Arc::clone(&ctx.metrics), issuers)
        .with_clock(ctx.clock.clone())
        .with_tracer(ctx.tracer.clone())
        .router()
        .layer(from_fn_with_state(Arc::clone(ctx), only_when_known));
    let artifacts = Artifacts::of(ctx.store.clone()).router();
    let seen = metrics::router(Arc::clone(&ctx.metrics));
    let probes = probe::router(Arc::clone(readiness));
    servers.add_receiver(args, receiver).await?;
    servers
        .add(
            "--storage-addr",
            args.storage_addr,
            artifacts,
            Limits::ARTIFACT,
        )
        .await?;
    servers
        .add("--metrics-addr", args.metrics_addr, seen, Limits::INSIDE)
        .await?;
    servers
        .add("--health-addr", args.health_addr, probes, Limits::INSIDE)
        .await?;
    servers.add_admission(args, ctx).await?;
    Ok((servers, nudged))
}

/// Ready is who knows whom hooks are called for: it is not called before, as long as others are. Whoever cannot come to know it is
/// ready all the same in a while, or it would hold up its own rollout.
pub(super) async fn ready(ctx: Arc<Context>, readiness: Arc<Readiness>) {
    ready_within(UNREADY, &ctx.takes_calls, &readiness).await;
}

async fn ready_within(most: Duration, takes_calls: &AtomicBool, readiness: &Readiness) {
    let known = async {
        let mut ticks = tokio::time::interval(LOOK);
        while !takes_calls.load(Ordering::Relaxed) {
            ticks.tick().await;
        }
    };
    if tokio::time::timeout(most, known).await.is_err() {
        tracing::warn!(
            "not all receivers are known yet after {most:?}; callers are asked to come again"
        );
    }
    readiness.set(true);
}

/// A replica that does not know all hooks yet asks the caller to come again instead of saying that there is none. What was called
/// for then is looked at when it knows; what a hook that is there turns away is not, unless it had no room to look into it.
async fn only_when_known(
    State(ctx): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Response {
    let (path, now) = (request.uri().path().to_owned(), ctx.clock.instant());
    let peer = request.extensions().get::<Peer>();
    let from = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.site());
    // Before it is woken, lest somebody be taken for woken who came in between.
    let woken = || ctx.index.read(|known| knocks::woken(known, &path));
    let woken = ctx.knocks.is_learning(now).then(woken);
    let answer = match ctx.takes_calls.load(Ordering::Relaxed) {
        true => next.run(request).await,
        false => come_again(),
    };
    if !webhook::is_path(&path) {
        return answer;
    }
    let woken = woken.filter(|_| answer.status().is_success());
    let call = (path.as_str(), from);
    match (answer.extensions().get::<Unheard>(), woken) {
        (Some(Unheard::Nobody), _) => ctx.knocks.unheard(call, now),
        (Some(Unheard::NoRoom), _) => ctx.knocks.postponed(&path, now),
        (None, Some(woken)) => ctx.knocks.answered(call, &woken, now),
        (None, None) => {}
    }
    answer
}

fn come_again() -> Response {
    let again = [(RETRY_AFTER, "2")];
    let says = "this replica does not know all receivers yet; come again";
    let mut answer = (StatusCode::SERVICE_UNAVAILABLE, again, says).into_response();
    answer.extensions_mut().insert(Unheard::Nobody);
    answer
}

/// The beginning of every artifact's URL.
pub(super) fn artifact_base(args: &ControllerArgs) -> String {
    match &args.storage_adv_addr {
        Some(host) => format!("http://{}", in_url(host)),
        None if args.storage_addr.ip().is_unspecified() => {
            format!("http://{}:{}", own_name(), args.storage_addr.port())
        }
        None => format!("http://{}", args.storage_addr),
    }
}

/// A host as it stands in a URL: an address of IPv6 in brackets. A pod knows its own without them, and the chart puts the port
/// behind it; so what could be either is one with a port.
fn in_url(host: &str) -> String {
    let is_address = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    match host.rsplit_once(':') {
        Some((address, port)) if is_address(address) && port.parse::<u16>().is_ok() => {
            format!("[{address}]:{port}")
        }
        _ if is_address(host) => format!("[{host}]"),
        _ => host.to_owned(),
    }
}

/// This machine's name, as Flux finds it; in a pod it is the pod's.
fn own_name() -> String {
    let kernels = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = |name: &String| !name.trim().is_empty();
    let name = std::env::var("HOSTNAME").ok().filter(named);
    let name = name.or_else(|| kernels().filter(named));
    name.map_or_else(|| "localhost".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_replica_is_ready_once_it_takes_calls_or_could_not_come_to_know_of_whom_for_long() {
        let (takes, readiness) = (AtomicBool::new(false), Readiness::new());
        let long = Duration::from_secs(3600);
        let mut waiting = pin!(ready_within(long, &takes, &readiness));
        assert!(futures::poll!(&mut waiting).is_pending());
        assert!(!readiness.is_ready());
        takes.store(true, Ordering::Relaxed);
        waiting.await;
        assert!(readiness.is_ready());

        let (never, readiness) = (AtomicBool::new(false), Readiness::new());
        ready_within(LOOK, &never, &readiness).await;
        assert!(readiness.is_ready());
    }

    #[test]
    fn an_address_of_ipv6_stands_in_brackets_in_the_urls_of_artifacts() {
        for (host, wanted) in [
            ("fd00::1:9090", "[fd00::1]:9090"),
            ("2001:db8:0:0:0:0:0:7:9090", "[2001:db8:0:0:0:0:0:7]:9090"),
            ("fd00::1", "[fd00::1]"),
            ("2001:db8:0:0:0:0:0:7", "[2001:db8:0:0:0:0:0:7]"),
            ("[fd00::1]:9090", "[fd00::1]:9090"),
            ("10.244.0.7:9090", "10.244.0.7:9090"),
            (
                "source-controller.flux-system.svc.cluster.local.",
                "source-controller.flux-system.svc.cluster.local.",
            ),
        ] {
            assert_eq!(in_url(host), wanted);
        }
    }
}
