//! The only hand that writes what tenants wrote: the ServiceAccount an admitted spec names.
//!
//! It is opened by an [`AdmittedSpec`] and nothing else (but for what only looks), sends every request as exactly that account
//! (or, for a command, as whoever runs it), and can do three things: [`apply`](super::apply) an admitted plan,
//! [`prune`](super::prune) by one, and [watch over](super::vigil) what became of it. It deliberately has no getter and no other verb. The spec alone says on which cluster: one that names a
//! kubeconfig opens a hand there or none, never one here. Opening one here costs no connection and no token: the header is
//! the identity.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::HeaderValue;
use kube::core::ApiResource;
use reeve_api::name::{NamespaceName, NamespacedName, ServiceAccountName, TenantName};
use reeve_core::admit::{Account, AdmittedSpec};
use reeve_core::inventory::ObjectId;
use reeve_core::plan::{Scope, Scopes};
use reeve_core::spec::Spec;
use reeve_core::writeback::Yielding;
use serde_json::Value;

use super::Cluster;
use super::abroad::{Site, Unreached};
use super::compare;
use super::discovery::Discovery;
use super::error::ObjectError;
use super::left::Left;
use super::refusal::{Attempt, CallError, Cause};
use super::replacing::Replacing;
use super::vigil::Lookouts;
use super::wire::{Address, Wire};

/// The cluster, as the ServiceAccount of one Kustomization.
#[derive(Clone)]
pub struct TenantClient {
    pub(super) wire: Wire,
    pub(super) discovery: Arc<Discovery>,
    pub(super) concurrency: usize,
    pub(super) lookouts: Arc<Lookouts>,
    /// Whose labels are on what it applies.
    pub(super) owner: NamespacedName,
    /// Whether what cannot be changed may be deleted and made anew.
    pub(super) force: bool,
    /// What WriteBacks have left alone.
    pub(super) yielding: Arc<Yielding>,
    /// Of which objects they have, so far.
    pub(super) left: Left,
    /// What it has deleted to make it anew, and those before it.
    pub(super) replacing: Replacing,
    account: String,
    /// Whose watches its own are counted with.
    pub(super) tenant: TenantName,
    /// The other cluster that it is; None: the controller's own.
    site: Option<Arc<Site>>,
}

/// Who somebody is on another cluster that impersonates nobody there.
const ITSELF: &str = "the user of spec.kubeConfig";

impl Cluster {
    /// The cluster that `spec` is carried out on, as the account of `spec`.
    pub async fn as_tenant(&self, spec: &AdmittedSpec) -> Result<TenantClient, Unreached> {
        let account = user_name(spec.account());
        let Some(kubeconfig) = &spec.kube_config else {
            return Ok(TenantClient {
                wire: self.own.acting_as(header(&account)),
                discovery: Arc::clone(&self.discovery),
                concurrency: self.concurrency,
                lookouts: Arc::clone(&self.lookouts),
                owner: spec.id.clone(),
                force: spec.force,
                yielding: Arc::default(),
                left: Left::default(),
                replacing: Replacing::default(),
                account,
                tenant: spec.abroad().tenant().clone(),
                site: None,
            });
        };
        let site = self.site(spec, kubeconfig).await?;
        Ok(TenantClient::abroad(site, spec))
    }
}

impl Cluster {
    /// The cluster as whoever is connected, who carries out `spec` himself: for commands of people. The controller is nobody to
    /// apply what tenants wrote, and a test of the sources' shape says that it doesn't.
    pub(crate) fn as_connected(&self, spec: &AdmittedSpec) -> TenantClient {
        TenantClient::of_user(self, &spec.id, spec.force)
    }
}

/// How the API server calls the account.
pub(super) fn user_name(account: &Account) -> String {
    user(account.namespace(), account.name())
}

fn user(namespace: &NamespaceName, account: &ServiceAccountName) -> String {
    format!("system:serviceaccount:{namespace}:{account}")
}

pub(super) fn header(account: &str) -> HeaderValue {
    HeaderValue::from_str(account)
        .expect("because names of namespaces and accounts are parsed: letters, digits, `-` and `.`")
}

/// One object, where it is, and as what it is spoken of.
#[derive(Debug, Clone)]
pub(super) struct Located {
    pub(super) subject: String,
    pub(super) address: Address,
}

impl TenantClient {
    /// Another cluster, as whom `spec` is carried out there. As Flux: who names an account is that account there too, and else
    /// whoever the kubeconfig says.
    pub(super) fn abroad(site: Arc<Site>, spec: &Spec) -> Self {
        let named = spec.service_account.as_ref();
        let (wire, account) = match named.map(|name| user(&spec.id.namespace, name)) {
            Some(account) => (site.wire.acting_as(header(&account)), account),
            None => (site.wire.clone(), ITSELF.to_owned()),
        };
        Self {
            wire,
            discovery: Arc::clone(&site.discovery),
            concurrency: site.concurrency,
            lookouts: Arc::clone(&site.lookouts),
            owner: spec.id.clone(),
            force: spec.force,
            yielding: Arc::default(),
            left: Left::default(),
            replacing: Replacing::default(),
            account,
            tenant: spec.id.namespace.clone().into(),
            site: Some(site),
        }
    }

    /// The cluster as whoever the connection is; kept by an [`Onlooker`](super::Onlooker), which writes nothing.
    pub(super) fn of_user(cluster: &Cluster, owner: &NamespacedName, force: bool) -> Self {
        Self {
            wire: cluster.own.clone(),
            discovery: Arc::clone(&cluster.discovery),
            concurrency: cluster.concurrency,
            lookouts: Arc::clone(&cluster.lookouts),
            owner: owner.clone(),
            force,
            yielding: Arc::default(),
            left: Left::default(),
            replacing: Replacing::default(),
            account: "the user".to_owned(),
            tenant: owner.namespace.clone().into(),
            site: None,
        }
    }

    /// The same, leaving alone what these WriteBacks are to commit first.
    #[must_use]
    pub fn yielding_to(self, yielding: Yielding) -> Self {
        Self {
            yielding: Arc::new(yielding),
            left: Left::default(),
            ..self
        }
    }

    /// The same, after these were deleted to be made anew, by their ids.
    #[must_use]
    pub(crate) fn replacing(self, ids: impl IntoIterator<Item = String>) -> Self {
        Self {
            replacing: Replacing::of(ids),
            ..self
        }
    }

    /// What is deleted to be made anew, and is not there again yet.
    pub(crate) fn replaced(&self) -> BTreeSet<String> {
        self.replacing.all()
    }

    /// Whether anything may be left alone.
    pub(crate) fn is_yielding(&self) -> bool {
        !self.yielding.is_none()
    }

    /// The objects that were compared, by their ids, and whether something of each was left alone; None: nothing is to be, of any.
    pub(crate) fn left(&self) -> Option<BTreeMap<String, bool>> {
        self.is_yielding().then(|| self.left.all())
    }

    /// Tells whether the same is left alone as before.
    pub(crate) fn yields(&self) -> u64 {
        self.yielding.mark()
    }

    /// As whom everything here is done: `system:serviceaccount:<namespace>:<name>`.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The address of the other cluster that this is; None: the controller's own.
    pub fn cluster(&self) -> Option<&str> {
        Some(&self.site.as_ref()?.address)
    }

    /// Tells the connection to another cluster from any other, and from the one to the controller's own.
    pub(crate) fn connection(&self) -> Option<[u8; 32]> {
        Some(self.site.as_ref()?.digest)
    }

    /// Where each kind that is served there lives: in a namespace or in the cluster.
    pub async fn scopes(&self) -> Scopes {
        self.discovery.scopes().await
    }

    /// Whether the labels of whom this is for are on it.
    pub(super) fn owns(&self, live: &Value) -> bool {
        compare::belongs_to(
            live,
            self.owner.namespace.as_str(),
            self.owner.name.as_str(),
        )
    }

    /// Finds the path of an object's kind; None if nobody serves it.
    pub(super) async fn locate(
        &self,
        id: &ObjectId,
        version: Option<&str>,
    ) -> Result<Option<Located>, ObjectError> {
        let found = self.discovery.find(&id.group, version, &id.kind).await;
        let Some((resource, scope)) = found.map_err(|why| self.unlocated(id, why))? else {
            return Ok(None);
        };
        // Policy judged the object where the plan put it: it is written there or nowhere.
        let namespace = match (scope, id.namespace.as_str()) {
            (Scope::Namespaced, namespace) if !namespace.is_empty() => Some(namespace.to_owned()),
            (Scope::Cluster, "") => None,
            _ => {
                self.discovery.outdated();
                return Err(self.unlocated(id, CallError::OtherScope));
            }
        };
        let address = Address {
            resource,
            namespace,
            name: id.name.clone(),
        };
        Ok(Some(Located {
            subject: id.subject(),
            address,
        }))
    }

    /// What failed, with all that is needed to tell whose turn it is.
    pub(super) fn failed(&self, at: &Located, attempt: Attempt, source: CallError) -> ObjectError {
        if source.cause() == Cause::UnknownKind {
            // Served when last listed, not served now.
            self.discovery.outdated();
        }
        let ApiResource { group, plural, .. } = &at.address.resource;
        let resource = if group.is_empty() {
            plural.clone()
        } else {
            format!("{plural}.{group}")
        };
        ObjectError {
            subject: at.subject.clone(),
            attempt,
            account: self.account.clone(),
            resource,
            namespace: at.address.namespace.clone(),
            source: Box::new(source),
        }
    }

    /// The same for an object whose kind has no path.
    pub(super) fn unlocated(&self, id: &ObjectId, source: CallError) -> ObjectError {
        ObjectError {
            subject: id.subject(),
            attempt: Attempt::DryRun,
            account: self.account.clone(),
            resource: id.kind.to_lowercase(),
            namespace: Some(id.namespace.clone()).filter(|at| !at.is_empty()),
            source: Box::new(source),
        }
    }
}
