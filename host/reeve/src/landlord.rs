//! The landlord: makes what Tenants say, and keeps it. A process of its own, under an account of its own.
//!
//! It may make namespaces, accounts and bindings, which the controller that delivers may not; and it reads no git and no
//! manifest, so nothing that a tenant writes reaches it. What is to be there is `core::landlord`'s to say; here Tenants and
//! namespaces are watched (`known`), and whoever is due (`due`) is attended to, eight at a time, beside the watches: one that takes long
//! keeps nobody else waiting, and is cut off after a while. What was made is looked at again every
//! ten minutes, and at once when a binding of ours or a namespace changes. It deliberately writes no condition: the controller
//! tells in them what stands in `status.onboarding`. A Tenant whose `deletionPolicy` says so is taken away step by step (`depart`).
//! It begins with nothing before it is fenced (`fenced`).

mod attend;
mod deliver;
mod depart;
mod due;
mod fenced;
mod known;
mod prune;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use reeve_api::tenant::Tenant;
use reeve_core::landlord::{Made, Terms};
use reeve_core::tenancy::Grounds;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::cluster::{Cluster, Selection, resource, selector};
use crate::observe::Metrics;

use attend::{Ended, attend};
pub(crate) use fenced::fenced;
use known::{Errand, Known};

/// How many Tenants are attended to at once.
const AT_ONCE: usize = 8;
/// How often what was made is looked at again.
const AGAIN: Duration = Duration::from_secs(600);
/// How soon one goes on that had more to do than one look does.
const GOES_ON: Duration = Duration::from_secs(1);
/// How long one is attended to, and how much longer for each of its namespaces.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(5));
/// How often, at most, it is counted who stands how while somebody is attended to.
const COUNTED: Duration = Duration::from_secs(1);

/// Everything that it may touch.
pub(crate) struct Landlord {
    pub(crate) cluster: Cluster,
    pub(crate) grounds: Grounds,
    pub(crate) terms: Terms,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
}

/// Keeps all Tenants until it is told to stop. It knows nothing of an earlier term: the watches list everything anew.
pub(crate) async fn run(landlord: &Landlord, stop: &CancellationToken) {
    let cluster = &landlord.cluster;
    let mut tenants = cluster.watch::<Tenant>(&Selection::default());
    let mut namespaces = cluster.watch_metadata(&resource(Made::Namespace), &Selection::default());
    let ours = Selection {
        namespace: None,
        labels: Some(selector()),
    };
    let mut bindings = cluster.watch_metadata(&resource(Made::RoleBinding), &ours);
    let mut known = Known::default();
    let mut attended: FuturesUnordered<LocalBoxFuture<'_, (Errand, Ended)>> =
        FuturesUnordered::new();
    let mut counted: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(change) = tenants.next() => known.tenant(change, Instant::now()),
            Some(change) = namespaces.next() => known.namespace(change, Instant::now()),
            Some(change) = bindings.next() => known.binding(change, Instant::now()),
            () = until(known.due()), if attended.len() < AT_ONCE => {
                if let Some(errand) = known.take(&landlord.grounds, Instant::now()) {
                    attended.push(Box::pin(visit(landlord, errand)));
                }
            }
            Some((errand, ended)) = attended.next(), if !attended.is_empty() => {
                conclude(&mut known, &errand, ended);
                // Whoever is counted is looked at: so not after each of thousands.
                let now = Instant::now();
                if attended.is_empty() || counted.is_none_or(|then| then + COUNTED <= now) {
                    landlord.metrics.tenants_stand(known.standing());
                    counted = Some(now);
                }
            }
        }
    }
}

/// Attends to one who is due, for as long as that may take.
async fn visit(landlord: &Landlord, errand: Errand) -> (Errand, Ended) {
    let places = errand.has.len() + errand.left.len();
    let (once, each) = PATIENCE;
    let patience = once + each * u32::try_from(places).unwrap_or(u32::MAX);
    let ended = tokio::time::timeout(patience, attend(landlord, &errand)).await;
    let ended = ended.unwrap_or_else(|_| {
        tracing::warn!(tenant = %errand.name, ?patience, "attending to a tenant took too long; it is begun again later");
        Ended {
            later: true,
            under: errand.under.clone(),
        }
    });
    (errand, ended)
}

/// Says when it is due again. What was just told comes back by the watch, and is another look.
fn conclude(known: &mut Known, errand: &Errand, ended: Ended) {
    known.ended(&errand.name);
    let goes_on = errand.goes_on();
    let failures = match ended.later && !goes_on {
        true => known.failed(&errand.name),
        false => known.succeeded(&errand.name, ended.under),
    };
    let wait = match failures {
        _ if goes_on => GOES_ON,
        0 => reeve_core::schedule::jittered(AGAIN, rand::random()),
        more => reeve_core::schedule::backoff(more, rand::random()).min(AGAIN),
    };
    if errand.object.is_some() || ended.later || goes_on {
        known.again(&errand.name, Instant::now() + wait);
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
