//! Everything a run may touch, and nothing else.
//!
//! Made once by `cli::controller`. What is not in here cannot be reached from a reconcile: no environment, no other
//! client, no global.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use kube::ResourceExt as _;
use reeve_api::deliver::GitDelivery;
use reeve_api::name::{NamespaceName, NamespacedName, PluginName, PolicyName, TenantName};
use reeve_api::reason::Reason;
use reeve_api::tenant::GitConfigReference;
use reeve_core::admit::Rules;
use reeve_core::failure::{Explained, Turn};
use reeve_core::gitconfig;
use reeve_core::index::Target;
use reeve_core::labelled::Labelled;
use reeve_core::plugin::PluginId;
use reeve_core::quota::Limit;
use reeve_core::spec::SourceRef;
use reeve_core::tenancy::{Grounds, Tenant};
use reeve_wasm::Sandbox;

use crate::bases::Rewrite;
use crate::clock::Clock;
use crate::cluster::{Cluster, Events, SecretOwner};
use crate::controller::{Drift, Planned, Queue, Shares, Tokens, Underway, Vigils, Wards};
use crate::disk::Account;
use crate::forge::{Answers, Pauses};
use crate::git::{Egress, HostKeys, Limits, Mirrors};
use crate::images::Images;
use crate::index::{Index, Stored};
use crate::knocks::Knocks;
use crate::observe::span::Tracer;
use crate::observe::{Kind, Metrics};
use crate::others::Others;
use crate::places::Places;
use crate::quotas::Quotas;
use crate::reading::Reader;
use crate::recollections::Recollections;
use crate::renders::Renders;
use crate::schemas::Schemas;
use crate::shards::Shards;
use crate::store::Store;

/// Everything a run may touch.
pub struct Context {
    /// Whether this replica takes calls of hooks: it knows what for.
    pub(crate) takes_calls: AtomicBool,
    /// What was called before it knew.
    pub(crate) knocks: Knocks,
    /// Which part of it.
    pub(crate) shards: Shards,
    pub(crate) cluster: Cluster,
    pub(crate) events: Events,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    /// Who is told what a push goes through, if anybody wants to know.
    pub(crate) tracer: Tracer,
    pub(crate) index: Index,
    pub(crate) queues: Queues,
    pub(crate) underway: Underway,
    pub(crate) vigils: Vigils,
    pub(crate) drift: Drift,
    /// What WriteBacks watch, and what they have seen.
    pub(crate) wards: Wards,
    pub(crate) planned: Planned,
    pub(crate) mirrors: Arc<Mirrors>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) limits: Limits,
    /// Where the keys of ssh hosts stand of which a Secret says nothing.
    pub(crate) host_keys: HostKeys,
    /// From where else some remote resources of kustomizations are fetched.
    pub(crate) base_mirrors: Vec<Rewrite>,
    pub(crate) store: Store,
    /// What other controllers keep and is applied here.
    pub(crate) others: Others,
    pub(crate) recollections: Recollections,
    pub(crate) renders: Renders,
    /// What tenants have used of what all share.
    pub(crate) quotas: Quotas,
    /// Two over all tenants, and one for each, in which a large bundle is in work.
    pub(crate) large: Places,
    /// In which policies are asked: some over all tenants, and one for each. Each that is taken costs a thread.
    pub(crate) judging: Places,
    pub(crate) schemas: Schemas,
    pub(crate) images: Images,
    pub(crate) sandbox: Sandbox,
    /// What reads policies before they are loaded.
    pub(crate) reader: Reader,
    /// What forges have made for the Apps of git configuration.
    pub(crate) tokens: Tokens,
    /// How much of what forges let an entry of git configuration ask each tenant has used.
    pub(crate) shares: Shares,
    /// Which forges have asked us to wait.
    pub(crate) pauses: Arc<Pauses>,
    /// What forges have answered, to ask whether it is still so.
    pub(crate) answers: Arc<Answers>,
    /// Whether provider plugins may be sent to hosts over plain HTTP, and registries on this machine are spoken to over it.
    pub(crate) plain_http: bool,
    /// What the cluster is called, where it is told from others: in the titles of deploy keys.
    pub(crate) cluster_name: Option<String>,
    /// Under which address forges reach the hooks, without a slash at its end.
    pub(crate) receiver_url: Option<String>,
    /// Where components lie that a plugin names by its path.
    pub(crate) plugins_dir: Option<PathBuf>,
    pub(crate) rules: &'static Rules,
    pub(crate) grounds: Grounds,
    /// Where in `home` the platform's git configuration lies, if there is one.
    pub(crate) git_config: Option<GitConfigReference>,
    /// Where everything is delivered to that nothing else is said of; None: it is applied.
    pub(crate) delivery: Option<GitDelivery>,
    /// The label of Flux's objects that are ours, where another controller has those without it.
    pub(crate) labelled: Option<Labelled>,
    /// The controller's own namespace: what ClusterPlugins name lies here.
    pub(crate) home: NamespaceName,
}

/// Why there is nothing in store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing was fetched yet.
    Artifact,
    /// What was fetched must be signed by now, and nobody has found that it is.
    Unverified,
    /// There is no such GitRepository.
    Source,
}

/// The ways to wake a run.
#[derive(Clone)]
pub(crate) struct Queues {
    pub(crate) sources: Queue<NamespacedName>,
    pub(crate) kustomizations: Queue<NamespacedName>,
    pub(crate) receivers: Queue<NamespacedName>,
    pub(crate) tenants: Queue<TenantName>,
    pub(crate) plugins: Queue<NamespacedName>,
    pub(crate) cluster_plugins: Queue<PluginName>,
    pub(crate) policies: Queue<PolicyName>,
    /// Kustomizations of which something may be told at a forge.
    pub(crate) marks: Queue<NamespacedName>,
    /// Sources whose pull requests may be others.
    pub(crate) proposals: Queue<NamespacedName>,
    pub(crate) writebacks: Queue<NamespacedName>,
}

impl Queues {
    /// Wakes whatever is meant.
    pub(crate) fn wake(&self, target: Target) {
        match target {
            Target::Source(id) => self.sources.wake(id),
            Target::Kustomization(id) => self.kustomizations.wake(id),
            Target::Receiver(id) => self.receivers.wake(id),
            Target::Plugin(id) => self.wake_plugin(id),
            Target::Policy(name) => self.policies.wake(name),
            Target::WriteBack(id) => self.writebacks.wake(id),
        }
    }

    /// Wakes a plugin of either kind.
    pub(crate) fn wake_plugin(&self, id: PluginId) {
        match id {
            PluginId::Tenant(id) => self.plugins.wake(id),
            PluginId::Platform(name) => self.cluster_plugins.wake(name),
        }
    }
}

impl Context {
    /// The label by which objects of that kind are followed; None: all of them are.
    pub(crate) fn follows(&self, kind: Kind) -> Option<&Labelled> {
        let is_shared = matches!(
            kind,
            Kind::GitRepository | Kind::Kustomization | Kind::Receiver
        );
        self.labelled.as_ref().filter(|_| is_shared)
    }

    /// The namespace in which what a plugin names lies: its own, or the controller's for the platform's.
    pub(crate) fn home_of<'a>(&'a self, plugin: &'a PluginId) -> &'a NamespaceName {
        match plugin {
            PluginId::Tenant(id) => &id.namespace,
            PluginId::Platform(_) => &self.home,
        }
    }

    /// What a GitRepository has in store. Of one whose revisions must be signed, nothing that was stored before that was so:
    /// what was verified stays in force while what follows it is not.
    pub(crate) fn in_store(&self, source: &NamespacedName) -> Result<Stored, Missing> {
        self.index.read(|known| {
            let object = known.sources.get(source);
            let signed = object.is_some_and(|object| object.spec.verify.is_some());
            match (known.stored.get(source), object) {
                (Some(stored), _) if signed && stored.verified.is_none() => {
                    Err(Missing::Unverified)
                }
                (Some(stored), _) => Ok(stored.clone()),
                (None, Some(_)) => Err(Missing::Artifact),
                (None, None) => Err(Missing::Source),
            }
        })
    }

    /// The same, for what is applied from it; said in Flux's words when it has nothing. It is a GitRepository.
    pub(crate) fn applicable(&self, source: &SourceRef) -> Result<Stored, Explained> {
        self.in_store(&source.key()).map_err(|missing| {
            let (namespace, name) = (&source.namespace, &source.name);
            let look = format!("look at `kubectl -n {namespace} describe gitrepository {name}`");
            let (message, hint) = match missing {
                Missing::Artifact => {
                    let message = "Source artifact not found, retrying in 30s";
                    (message.to_owned(), look)
                }
                Missing::Unverified => {
                    let message = "Source has no verified artifact, retrying in 30s";
                    (message.to_owned(), look)
                }
                Missing::Source => (
                    format!("GitRepository.source.toolkit.fluxcd.io \"{name}\" not found"),
                    format!("create GitRepository {name} in namespace {namespace}"),
                ),
            };
            Explained::new(Reason::ArtifactFailed, Turn::Source, message).with_hint(hint)
        })
    }

    /// The same, for what is loaded from it.
    pub(crate) fn stored(&self, source: &NamespacedName) -> Result<Stored, Explained> {
        self.in_store(source).map_err(|missing| {
            let message = match missing {
                Missing::Artifact => format!("GitRepository {source} has no artifact yet"),
                Missing::Unverified => {
                    format!("GitRepository {source} has no verified artifact yet")
                }
                Missing::Source => format!("GitRepository {source} not found"),
            };
            let hint = format!(
                "look at `kubectl -n {} describe gitrepository {}`",
                source.namespace, source.name
            );
            Explained::new(Reason::ArtifactFailed, Turn::Source, message).with_hint(hint)
        })
    }

    /// On whose account what is fetched and stored for an object lies on the disk: of its tenant, which in a configuration
    /// namespace is the one that alone names it. The platform's own is bounded by no quota.
    pub(crate) fn account(&self, id: &NamespacedName) -> Account {
        let namespace = &id.namespace;
        let above = self.index.read(|known| {
            let above = gitconfig::tenant_of(&self.grounds, &known.tenants, id)?;
            let object = above.and_then(|name| known.tenant_objects.get(&name).cloned());
            Ok::<_, Explained>(object)
        });
        let (tenant, said) = match above {
            Ok(Some(object)) => (object.name_any(), object.spec.limits),
            Ok(None) if self.grounds.belongs_to_platform(namespace) => {
                return Account {
                    // No tenant is called so.
                    tenant: format!("namespace/{namespace}"),
                    allowed: None,
                };
            }
            Ok(None) => (namespace.to_string(), None),
            // Nobody's, and called like a Tenant that is not to answer for it.
            Err(_) => (format!("namespace/{namespace}"), None),
        };
        let mebibytes = Limit::Storage.of(&self.quotas.limits(said.as_ref()));
        Account {
            tenant,
            allowed: mebibytes.map(|mebibytes| mebibytes.saturating_mul(1 << 20)),
        }
    }

    /// The mirrors, into which what is fetched for an object comes.
    pub(crate) fn mirrors_of(&self, id: &NamespacedName) -> Mirrors {
        self.mirrors.on(self.account(id))
    }

    /// As whom a Secret of `namespace` is read: the platform's as the controller, a tenant's as its own account.
    pub(crate) fn secret_owner(&self, namespace: &NamespaceName) -> SecretOwner {
        let tenant = self
            .index
            .read(|known| known.tenants.owner_of(&self.grounds, namespace));
        // Nobody's is read by its own account, or not at all.
        let tenant = tenant.unwrap_or_else(|_| Tenant::of_namespace(namespace));
        SecretOwner::of(&self.grounds, &tenant, namespace)
    }
}
