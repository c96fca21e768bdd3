//! The landlord: makes what Tenants say, and keeps it. A process of its own, under an account of its own.
//!
//! It may make namespaces, accounts and bindings, which the controller that delivers may not; and it reads no git and no
//! manifest, so nothing that a tenant writes reaches it. What is to be there is `core::landlord`'s to say; here Tenants and
//! namespaces are watched (`known`), and whoever is due is attended to, eight at a time. What was made is looked at again every
//! ten minutes, and at once when a binding of ours or a namespace changes. It deliberately writes no condition: the controller
//! tells in them what stands in `status.onboarding`. A Tenant whose `deletionPolicy` says so is taken away step by step (`depart`).
//! It begins with nothing before it is fenced (`fenced`).

mod attend;
mod deliver;
mod depart;
mod fenced;
mod known;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use reeve_api::tenant::Tenant;
use reeve_core::landlord::{Made, Terms};
use reeve_core::tenancy::Grounds;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, Selection, resource, selector};
use crate::observe::Metrics;

use attend::attend;
pub(crate) use fenced::fenced;
use known::Known;

/// How many Tenants are attended to at once.
const AT_ONCE: usize = 8;
/// How often what was made is looked at again.
const AGAIN: Duration = Duration::from_secs(600);

/// Everything that it may touch.
pub(crate) struct Landlord {
    pub(crate) cluster: Cluster,
    pub(crate) grounds: Grounds,
    pub(crate) terms: Terms,
    pub(crate) metrics: Arc<Metrics>,
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
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(change) = tenants.next() => known.tenant(change, Instant::now()),
            Some(change) = namespaces.next() => known.namespace(change, Instant::now()),
            Some(change) = bindings.next() => known.binding(change, Instant::now()),
            () = until(known.due()) => tokio::select! {
                () = stop.cancelled() => return,
                () = pass(landlord, &mut known) => {}
            },
        }
    }
}

/// Attends to all who are due.
async fn pass(landlord: &Landlord, known: &mut Known) {
    let errands = known.take(&landlord.grounds, Instant::now());
    let attended = futures::stream::iter(errands)
        .map(|errand| async move {
            let ended = attend(landlord, &errand).await;
            (errand, ended)
        })
        .buffer_unordered(AT_ONCE);
    let mut attended = std::pin::pin!(attended);
    while let Some((errand, ended)) = attended.next().await {
        let failures = match ended.later {
            true => known.failed(&errand.name),
            false => known.succeeded(&errand.name, ended.under),
        };
        let wait = match failures {
            0 => reeve_core::schedule::jittered(AGAIN, rand::random()),
            more => reeve_core::schedule::backoff(more, rand::random()).min(AGAIN),
        };
        if errand.object.is_some() || ended.later {
            known.again(&errand.name, Instant::now() + wait);
        }
    }
    // What was just told comes back, and is another pass.
    landlord.metrics.tenants_stand(known.standing());
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
