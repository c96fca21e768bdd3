//! Other clusters: reached with what a tenant's kubeconfig says, and with nothing of ours.
//!
//! The Secret is read as the tenant's account, at each run, so that a right that was taken away stops working at once. What
//! is kept of it is a connection ([`sites`]), found again by a digest of all that it says; another token or authority is
//! another connection. Neither the controller's credentials nor its connection ever come this way: a [`Site`] is made of a
//! parsed kubeconfig alone. It deliberately decides nothing: `core::kubeconfig` says what one may hold, `core::abroad` which
//! addresses a tenant may reach, and `git::egress` which of them may be connected to.

mod dial;
mod sites;
mod unreached;

use std::sync::Arc;
use std::time::Duration;

use reeve_api::name::NamespaceName;
use reeve_api::reason::Reason;
use reeve_core::abroad::Abroad;
use reeve_core::admit::AdmittedSpec;
use reeve_core::failure::{Explained, Turn};
use reeve_core::kubeconfig::{self, Kubeconfig};
use reeve_core::spec::KubeConfig;
use reeve_core::tenancy::Tenant;

use super::Cluster;
use super::discovery::Discovery;
use super::leash::Leash;
use super::refusal::{CallError, Cause};
use super::secret::SecretOwner;
use super::vigil::Lookouts;
use super::wire::Wire;
use crate::git::Egress;
use crate::observe::Requests;
pub(super) use sites::Sites;
pub use unreached::Unreached;

/// For how long what may be repeated is repeated: a cluster that is gone holds nobody.
const RETRY_FOR: Duration = Duration::from_secs(2);
/// How many objects of one run are compared at a time.
const CONCURRENCY: usize = 4;

/// Another cluster, and the one way to it.
pub(super) struct Site {
    /// Its address, as everybody may read it.
    pub(super) address: Arc<str>,
    /// Tells this connection from any other.
    pub(super) digest: [u8; 32],
    /// As the kubeconfig's own user.
    pub(super) wire: Wire,
    pub(super) discovery: Arc<Discovery>,
    pub(super) lookouts: Arc<Lookouts>,
    pub(super) concurrency: usize,
}

/// What all connections are made with.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) egress: Arc<Egress>,
    pub(super) leash: Leash,
    pub(super) requests: Requests,
}

impl Cluster {
    /// The same, by these rules on where other clusters may be.
    #[must_use]
    pub fn reaching(self, egress: Arc<Egress>) -> Self {
        let means = Means {
            egress,
            ..self.sites.means().clone()
        };
        Self {
            sites: Arc::new(Sites::new(means)),
            ..self
        }
    }

    /// The cluster that `wanted` names for `spec`, once it answers.
    pub(super) async fn site(
        &self,
        spec: &AdmittedSpec,
        wanted: &KubeConfig,
    ) -> Result<Arc<Site>, Unreached> {
        let owner = SecretOwner::account_of(spec);
        let kubeconfig = self.kubeconfig(&owner, wanted).await?;
        let abroad = spec.abroad();
        let admitted = abroad.admits(&kubeconfig.server);
        admitted.map_err(|why| Unreached::Refused(Box::new(why)))?;
        self.sites.reach(abroad.tenant(), &kubeconfig).await
    }

    /// The same for whoever is connected, who reads the Secret themselves and asks for it. They may read more than who wrote the
    /// Secret, and what they ask shows it: so nobody is connected to where `abroad` would not let a run go.
    pub(super) async fn site_to_look_at(
        &self,
        namespace: &NamespaceName,
        wanted: &KubeConfig,
        abroad: &Abroad,
    ) -> Result<Arc<Site>, Unreached> {
        let owner = SecretOwner::connected(namespace);
        let kubeconfig = self.kubeconfig(&owner, wanted).await?;
        let admitted = abroad.admits(&kubeconfig.server);
        admitted.map_err(|why| Unreached::Refused(Box::new(why)))?;
        self.sites.reach(abroad.tenant(), &kubeconfig).await
    }

    /// The same, only if it is the one at `address`, where a run has been: whoever looks at what others have does not go where
    /// they are led.
    pub(super) async fn site_at(
        &self,
        namespace: &NamespaceName,
        wanted: &KubeConfig,
        address: &str,
    ) -> Result<Arc<Site>, Unreached> {
        let owner = SecretOwner::connected(namespace);
        let kubeconfig = self.kubeconfig(&owner, wanted).await?;
        if kubeconfig.server.to_string() != address {
            let message = "spec.kubeConfig no longer leads there";
            let why = Explained::new(Reason::AccessDenied, Turn::Retry, message);
            return Err(Unreached::Refused(Box::new(why)));
        }
        let tenant = Tenant::of_namespace(namespace).name;
        self.sites.reach(&tenant, &kubeconfig).await
    }

    /// Reads and parses the Secret, as its owner.
    async fn kubeconfig(
        &self,
        owner: &SecretOwner,
        wanted: &KubeConfig,
    ) -> Result<Kubeconfig, Unreached> {
        let data = self.secret(owner, &wanted.secret).await;
        let data = data.map_err(|why| Unreached::Secret(Box::new(why)))?;
        let secret = || format!("{}/{}", owner.namespace(), wanted.secret);
        let keys = wanted.keys();
        let text = keys.iter().find_map(|key| data.get(key));
        let Some(text) = text else {
            let keys = keys.join(" or ");
            let secret = secret();
            return Err(Unreached::NoKey { secret, keys });
        };
        kubeconfig::parse(text).map_err(|why| Unreached::Kubeconfig {
            secret: secret(),
            why,
        })
    }
}

impl Site {
    /// Connects, and lists what the cluster serves.
    async fn open(means: &Means, kubeconfig: &Kubeconfig) -> Result<Self, Unreached> {
        let client = dial::client(means, kubeconfig)?;
        let wire = Wire::own(client, RETRY_FOR, means.leash.clone());
        let begun = Discovery::begin(wire.clone()).await;
        Ok(Self {
            address: kubeconfig.server.to_string().into(),
            digest: kubeconfig.digest(),
            discovery: Arc::new(begun.map_err(|why| failed(kubeconfig, &why))?),
            wire,
            lookouts: Arc::new(Lookouts::abroad()),
            concurrency: CONCURRENCY,
        })
    }

    /// Whether it still answers, and still takes the credentials: asked before each run, which would else find out object by
    /// object.
    async fn answers(&self, kubeconfig: &Kubeconfig) -> Result<(), Unreached> {
        match self.wire.impatient().read("/version", "*/*").await {
            // Whoever may not read its version may still be let do the work.
            Ok(_) => Ok(()),
            Err(why) if why.cause() == Cause::Forbidden => Ok(()),
            Err(why) => Err(failed(kubeconfig, &why)),
        }
    }
}

fn failed(kubeconfig: &Kubeconfig, source: &CallError) -> Unreached {
    let server = kubeconfig.server.to_string();
    match source.cause() {
        Cause::Unauthorized => Unreached::Credentials { server },
        _ => Unreached::Unanswered {
            server,
            why: source.to_string(),
        },
    }
}
