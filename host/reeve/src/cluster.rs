//! The cluster: read with the controller's own rights, written as the tenant.
//!
//! A [`Cluster`] holds the one connection and hands out no raw client. What a tenant's objects become is written through
//! a [`TenantClient`], which only an admitted spec's account opens and which applies only an admitted plan; so neither
//! "not checked by policy" nor "applied with the controller's own rights" compiles. With its own rights the controller
//! reads (watches, of others' objects their metadata only, discovery), holds its lease, keeps the certificate of its webhook, deletes replays that were forgotten,
//! and writes reports, status, finalizers and Events onto Flux's own objects, and in the platform's namespaces a Secret that asks for a key.
//! The landlord is another process with another account: it makes what Tenants say (`landlording`) and nothing else.
//! What WriteBacks commit is read, and rehearsed, as their accounts (`persisting`).
//! A command on somebody's laptop is an `onlooker`: it reads, and asks what applying would do; or it asks for a run (`operate`),
//! keeps git configuration (`configuring`), writes Tenants (`tenancies`), adopts Flux's definitions (`migrating`), or keeps git and
//! the cluster alike (`kinds`), for which it applies an admitted plan as whoever runs it.
//! Where a Kustomization is carried out on another cluster, it is the kubeconfig's credentials that go there, and none of ours.
//! It deliberately decides nothing: plans come from `core`, and what happened is told by `controller::report`.

mod abroad;
mod adopt;
mod ahead;
mod applied;
mod apply;
mod body;
mod compare;
mod configuring;
mod connection;
mod definition;
mod dependency;
mod discovery;
mod drift;
mod error;
mod event;
mod finding;
mod gathering;
mod glance;
mod hooks;
mod keeping;
mod kinds;
mod landlording;
mod lead;
mod lease;
mod leash;
mod leaving;
mod left;
mod membership;
mod migrating;
mod onlooker;
mod operate;
mod pace;
mod persisting;
mod prune;
mod reach;
mod recreation;
mod refusal;
mod remaining;
mod replacing;
mod replaying;
mod reporting;
mod rights;
mod secret;
mod settle;
mod sought;
mod status;
mod streams;
mod survey;
mod takeover;
mod tenancies;
mod tenant_client;
mod throttle;
mod turns;
mod until;
mod vigil;
mod watch;
mod wire;
mod witness;

use std::sync::Arc;

use reeve_core::plan::Scopes;

pub use abroad::Unreached;
pub use applied::{Action, Applied, ApplyError};
pub(crate) use configuring::{Kept as KeptFile, Namer};
pub use connection::{Config, ConnectError};
pub(crate) use definition::Definition;
pub use error::{Failures, ObjectError};
pub use event::{Event, Events, Involved};
pub(crate) use gathering::{Container, Gathered, Listed};
pub(crate) use glance::{Glance, Scene, Unlisted};
pub use hooks::{HookFound, HookWrite};
pub(crate) use kinds::Kind;
pub(crate) use landlording::{There, resource, selector};
pub use lease::{Leadership, LeaseConfig};
pub use leaving::Awaited;
pub(crate) use leaving::is_replaced;
pub use membership::{Line, Membership, Seen};
pub(crate) use onlooker::{Looked, Onlooker};
pub(crate) use operate::{Operated, Passed};
pub(crate) use persisting::{Meant, Persisting};
pub use prune::{PruneError, Pruned};
pub use refusal::{Attempt, CallError, Cause, Refusal};
pub(crate) use secret::Held;
pub use secret::{SecretData, SecretError, SecretOwner};
pub(crate) use sought::Sought;
pub(crate) use status::{Subject, Written};
pub(crate) use survey::{Fences, Right};
pub(crate) use tenancies::{Borne, marked};
pub use tenant_client::TenantClient;
pub use until::Until;
pub use vigil::{Looks, Vigil};
pub use watch::{Change, Id, Selection, Undecodable};
pub use witness::{Difference, Former, Progress, Witness};

use abroad::{Means, Sites};
use discovery::Discovery;
use leash::Leash;
use vigil::Lookouts;
use wire::Wire;

use crate::observe::Requests;

/// One cluster, reached as the controller.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    own: Wire,
    discovery: Arc<Discovery>,
    leash: Leash,
    lookouts: Arc<Lookouts>,
    concurrency: usize,
    /// Where requests are counted.
    requests: Requests,
    /// The other clusters that tenants reach.
    sites: Arc<Sites>,
}

impl Cluster {
    /// Connects, and lists what the API server serves. The process's rustls provider must be installed before.
    pub async fn connect(config: Config) -> Result<Self, ConnectError> {
        let client = connection::client(&config).await?;
        let leash = Leash::default();
        let own = Wire::own(client.clone(), config.retry_for, leash.clone());
        let discovery = Discovery::begin(own.clone())
            .await
            .map_err(ConnectError::Discovery)?;
        let concurrency = config.concurrency.max(1);
        let sites = Sites::new(Means {
            egress: Arc::default(),
            leash: leash.abroad(),
            requests: config.requests.clone(),
        });
        Ok(Self {
            client,
            own,
            discovery: Arc::new(discovery),
            leash,
            lookouts: Arc::default(),
            concurrency,
            requests: config.requests,
            sites: Arc::new(sites),
        })
    }

    /// Where each kind that is served lives: in a namespace or in the cluster.
    pub async fn scopes(&self) -> Scopes {
        self.discovery.scopes().await
    }

    /// The namespace the connection's context names, or the controller's own one in a cluster.
    pub fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }
}
