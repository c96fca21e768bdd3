//! `Tenant` and `Project`: who rents here. Cluster-scoped, so only the platform can write them.
//!
//! A namespace that no Tenant names is a tenant of its own; which namespace belongs to whom when two Tenants name it is
//! decided in `reeve_core::tenancy`, what is made of a Tenant in `reeve_core::landlord`.

mod onboarding;

pub use onboarding::{
    ContainerDefaults, DeletionPolicy, Departure, NetworkDefault, ObjectMetadata, Onboarding,
    PodSecurity, Reader, TenantReceiver, TenantSource,
};

use crate::condition::Condition;
use crate::deliver::Delivery;
use crate::name::{NamespaceName, ObjectName, RemotePattern, ServiceAccountName, TenantName};
use crate::plugin::ConfigKind;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// TenantSpec says which namespaces belong together, what is made in them, and what of the platform's they may use.
///
/// The landlord makes and keeps what it says: namespaces, the account, its role. Where no landlord runs it grants nothing by
/// itself: what a tenant may do in its namespaces is Kubernetes' RBAC for the accounts in them.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "reeve.dev",
    version = "v1alpha1",
    kind = "Tenant",
    plural = "tenants",
    status = "TenantStatus",
    derive = "PartialEq",
    doc = "Tenant is a party that owns one or more namespaces, separated from every other tenant. A namespace that no Tenant names is a tenant of its own.",
    shortname = "tnt",
    category = "reeve",
    printcolumn(name = "Project", type_ = "string", json_path = ".spec.project"),
    printcolumn(
        name = "Namespaces",
        type_ = "string",
        json_path = ".status.namespaces"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#
    )
)]
#[serde(rename_all = "camelCase")]
pub struct TenantSpec {
    /// Namespaces are the tenant's own. A namespace belongs to one Tenant only: when two name it, the older one has it
    /// and the other is told so in its status. One that is not there is made; one that was there before has to be adopted
    /// (`reeve tenant adopt`) before anything is made in it.
    #[schemars(length(min = 1, max = 256), extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<NamespaceName>,
    /// Project is the name of the Project that the tenant belongs to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<ObjectName>,
    /// Environment is the one of its Project's environments that the tenant is, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<ObjectName>,
    /// GitConfig is where the tenant's own git configuration lies: it goes before that of its environment, of its Project and
    /// of the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_config: Option<GitConfigReference>,
    /// ServiceAccountName is the account, in each of the tenant's namespaces, as which the tenant's Secrets are read
    /// (credentials of its sources, tokens of its webhooks). What is applied is applied as the account that the
    /// Kustomization itself names.
    #[serde(default = "flux")]
    pub service_account_name: ServiceAccountName,
    /// Role is the ClusterRole that the account and the owners have in each of the tenant's namespaces, one of those that
    /// the platform lets its landlord give. Defaults to `admin`.
    #[serde(default = "admin")]
    pub role: ObjectName,
    /// Owners are groups of people who have the role too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub owners: Vec<String>,
    /// Readers are groups of people who may look at what is in each of the tenant's namespaces, by the ClusterRole `view`, and
    /// run commands in its pods where that is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["group"]))]
    pub readers: Vec<Reader>,
    /// NamespaceMetadata is put on each of the tenant's namespaces. Keys of `reeve.dev` and `kubernetes.io` are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_metadata: Option<ObjectMetadata>,
    /// PodSecurity is the Pod Security Standard that is enforced in each of the tenant's namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,
    /// Quota is what a ResourceQuota in each of the tenant's namespaces allows, such as `requests.cpu: "4"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub quota: BTreeMap<String, String>,
    /// ContainerDefaults are what a LimitRange in each of the tenant's namespaces gives to containers that do not say what they
    /// ask for or may use. A quota for CPU or memory refuses pods that say nothing and are given nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_defaults: Option<ContainerDefaults>,
    /// NetworkPolicy is what reaches the tenant's pods where no NetworkPolicy of its own says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkDefault>,
    /// Source is the repository that the tenant is delivered from: a GitRepository of the tenant's name in the platform's
    /// configuration namespace, and a Kustomization of that name in the first of its namespaces. Both stay when it is taken
    /// away again: deleting the Kustomization deletes what it applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<TenantSource>,
    /// Sources are the names of GitRepositories in the platform's configuration namespaces that the tenant's
    /// Kustomizations may use, beside those in its own namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "set"))]
    pub sources: Vec<ObjectName>,
    /// Domains are the tenant's own: `web.acme.example` is that host, `*.acme.example` every host below it. Policies read them,
    /// and the shipped `ingress-hosts` lets the tenant take hosts of these and of those in its parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        inner(length(min = 1, max = 253), regex(pattern = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub domains: Vec<String>,
    /// Registries are those that the tenant's images may come from, `registry.example`, or parts of them,
    /// `registry.example/acme`. Policies read them, and the shipped `allowed-registries` lets the tenant take images from these
    /// and from those in its parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([-_.a-z0-9]*[a-z0-9])?)*$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub registries: Vec<String>,
    /// RemoteBases are the remote resources that the tenant's kustomizations may name, and none but these: hosts such as
    /// `git.example`, or addresses such as `https://git.example/acme/*`, in which `*` stands for anything. They are
    /// fetched without credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub remote_bases: Vec<RemotePattern>,
    /// RemoteClusters are the API servers of other clusters that the tenant's Kustomizations may be carried out on by their
    /// `spec.kubeConfig`, beside those that the platform lets everybody: hosts such as `api.example`, or addresses such as
    /// `https://api.example:6443/*`, in which `*` stands for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub remote_clusters: Vec<RemotePattern>,
    /// PluginHosts are the hosts that the tenant's own provider plugins may be granted: `git.example`, `git.example:3000`, or
    /// `*.git.example` for those below it. None without a Tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub plugin_hosts: Vec<String>,
    /// PluginDigests are the SHA-256 digests, in hexadecimal, of the components that the tenant's own Plugins may have. Without
    /// it any component may be one; with an empty list none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        inner(regex(pattern = r"^[0-9a-f]{64}$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub plugin_digests: Option<Vec<String>>,
    /// Deliver says that what the tenant's Kustomizations come to is committed to a repository, for another agent to apply, and
    /// not applied. It goes before what its environment, its Project and the controller's flags say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver: Option<Delivery>,
    /// SourceOfTruth is the side that is right where git and the cluster differ, for the tenant's Kustomizations that do not say it
    /// themselves by the annotation `reeve.dev/source-of-truth`. It goes before what its environment and its Project say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_of_truth: Option<SourceOfTruth>,
    /// DeletionPolicy is what becomes of what was made of the Tenant when it is deleted. Defaults to `Orphan`.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Weight is how much of the controller's time the tenant gets while others want it too: one of weight 3 gets three
    /// times as much as one of weight 1. Defaults to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub weight: Option<i32>,
    /// Limits are the most that the tenant's Kustomizations may use of what all tenants share, all of them together. What is
    /// not named here is what the flags of the controller say, and without a flag as much as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// GitConfigReference names what holds a level's git configuration: logins of repositories for whoever names none. It lies in
/// the controller's own namespace, where no tenant writes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GitConfigReference {
    /// Kind of the object. In a ConfigMap no secret may stand; it names those that it needs.
    pub kind: ConfigKind,
    /// Name of the object, in the controller's own namespace.
    pub name: ObjectName,
    /// Key of the object under which the configuration stands. Defaults to `git.yaml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

impl GitConfigReference {
    /// The key where none is named.
    pub const KEY: &str = "git.yaml";

    /// The key under which the configuration stands.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(Self::KEY)
    }
}

/// Limits are the most that a tenant may use, all its Kustomizations and sources together. A rate that is used up is waited for, and
/// nothing is lost meanwhile; a number that is reached is reached until something of it is given back.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// ReconcilesPerMinute is how many runs may begin in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub reconciles_per_minute: Option<i64>,
    /// RenderMillisecondsPerMinute is for how many milliseconds of a minute manifests may be built.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub render_milliseconds_per_minute: Option<i64>,
    /// WritesPerMinute is how many objects may be created, changed and deleted in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub writes_per_minute: Option<i64>,
    /// Objects is how many objects may be applied in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub objects: Option<i64>,
    /// Kustomizations is how many Kustomizations are worked on: the oldest ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub kustomizations: Option<i64>,
    /// StorageMebibytes is how many mebibytes of the controller's disk its sources may have: what was fetched for it of repositories,
    /// and artifacts, those included that other controllers keep for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub storage_mebibytes: Option<i64>,
}

/// The account that Flux's multi-tenancy guides give to a tenant.
fn flux() -> ServiceAccountName {
    ServiceAccountName::flux()
}

/// The role that Flux's multi-tenancy guides give it.
fn admin() -> ObjectName {
    ObjectName::admin()
}

/// TenantStatus records what a Tenant really has.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
    /// Conditions holds the conditions for the Tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::schema")]
    pub conditions: Vec<Condition>,
    /// Namespaces are those of the spec that the tenant has: without the ones that an older Tenant names too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<NamespaceName>,
    /// ObservedGeneration is the last observed generation of the Tenant object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Limits are those that hold: of the spec, and for what it does not name of the controller's flags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Usage is how much of what is limited was used when that was told last: once a minute at most, and only when it is
    /// another by a tenth of the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Onboarding is what became of making what the Tenant says, in the landlord's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onboarding: Option<Onboarding>,
    /// Departure is how far the deletion of the Tenant is, in the landlord's words, while it waits for something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub departure: Option<Departure>,
}

/// Usage is how much all Kustomizations of a tenant use together of what may be limited.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Kustomizations is how many there are.
    pub kustomizations: i64,
    /// Objects is how many are applied in all.
    pub objects: i64,
    /// ReconcilesPerMinute is how many runs began in the last whole minute.
    pub reconciles_per_minute: i64,
    /// RenderMillisecondsPerMinute is for how many milliseconds of that minute manifests were built.
    pub render_milliseconds_per_minute: i64,
    /// WritesPerMinute is how many objects were created, changed and deleted in that minute.
    pub writes_per_minute: i64,
}

/// ProjectSpec describes a group of tenants.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "reeve.dev",
    version = "v1alpha1",
    kind = "Project",
    plural = "projects",
    status = "ProjectStatus",
    derive = "PartialEq",
    doc = "Project is a group of tenants that belong to one organisation or one undertaking. A Tenant names its Project.",
    shortname = "prj",
    category = "reeve",
    printcolumn(
        name = "Display Name",
        type_ = "string",
        json_path = ".spec.displayName"
    ),
    printcolumn(name = "Tenants", type_ = "string", json_path = ".status.tenants"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSpec {
    /// DisplayName is the name to show to people; defaults to the object's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub display_name: Option<String>,
    /// GitConfig is where the git configuration of its tenants lies: it goes before that of the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_config: Option<GitConfigReference>,
    /// Deliver says the same for its tenants as a Tenant's `deliver` does for one. It goes before what the controller's flags say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver: Option<Delivery>,
    /// SourceOfTruth is the side that is right where git and the cluster differ, for its tenants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_of_truth: Option<SourceOfTruth>,
    /// Environments are what tenants of the Project may be, such as `production` and `staging`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub environments: Vec<Environment>,
}

/// Environment is a part of a Project: its tenants name it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Name of the environment.
    pub name: ObjectName,
    /// GitConfig is where the git configuration of its tenants lies: it goes before that of the Project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_config: Option<GitConfigReference>,
    /// Deliver says the same for its tenants as a Tenant's `deliver` does for one. It goes before what the Project says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver: Option<Delivery>,
    /// SourceOfTruth is the side that is right where git and the cluster differ, for its tenants. It goes before what the Project
    /// says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_of_truth: Option<SourceOfTruth>,
}

/// SourceOfTruth is the side that is right where git and the cluster differ.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SourceOfTruth {
    /// What is changed on the cluster is put right, whatever WriteBacks say.
    Git,
    /// What is changed on the cluster is never put right.
    Cluster,
}

impl SourceOfTruth {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Cluster => "cluster",
        }
    }
}

/// ProjectStatus records who names the Project.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ProjectStatus {
    /// Conditions holds the conditions for the Project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::schema")]
    pub conditions: Vec<Condition>,
    /// ObservedGeneration is the last observed generation of the Project object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Tenants are the Tenants that name this Project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<TenantName>,
}
