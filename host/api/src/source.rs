//! `GitRepository`: a revision of a Git repository, fetched and kept as an artifact.
//!
//! Flux's kind with Flux's schema. Which of its fields are acted on, and which are refused as unsupported, is
//! decided in `reeve_core::source`; nothing here connects to anything.

mod upstream;

use crate::condition::Condition;
use crate::duration::Duration;
use crate::meta::{Artifact, LocalObjectReference, is_false};
use crate::upkeep::DeployKey;
use crate::url::UrlText;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use upstream::{Delivery, LastFetch, LoginOrigin, PollingOrigin, Upstream};

/// GitRepositorySpec says which revision of which Git repository to keep an Artifact of, and how to reach it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "GitRepository",
    plural = "gitrepositories",
    namespaced,
    status = "GitRepositoryStatus",
    derive = "PartialEq",
    doc = "GitRepository is a revision of a Git repository that is fetched and kept as an Artifact, for Kustomizations to apply.",
    shortname = "gitrepo",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-sources",
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
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
#[x_kube(validation = kube::core::Rule::new(
    "!has(self.serviceAccountName) || (has(self.provider) && (self.provider == 'azure' || self.provider == 'aws'))"
).message("serviceAccountName can only be set when provider is 'azure' or 'aws'"))]
#[serde(rename_all = "camelCase")]
pub struct GitRepositorySpec {
    /// AccessFrom was meant to say which other namespaces may use this source.
    ///
    /// Deprecated: it never had an effect and `v1` of Flux dropped it. It is kept so that an object that sets it is
    /// told that it is not supported, instead of being less protected than its author believes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// Ignore overrides the set of excluded patterns in the .sourceignore format (which is the same as .gitignore).
    /// When set it replaces the default exclusions, except those of the version control system itself, and may
    /// overrule a .sourceignore file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Include specifies a list of GitRepository resources whose Artifacts should be included in the Artifact
    /// produced for this GitRepository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<GitRepositoryInclude>,
    /// Interval at which the GitRepository URL is checked for updates. It is approximate: every run is moved by a
    /// few percent, so that many objects do not all fetch at once.
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub interval: Duration,
    /// Provider used for authentication, can be 'aws', 'azure', 'github', 'generic'. When not specified, defaults
    /// to 'generic'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<GitProvider>,
    /// ProxySecretRef specifies the Secret containing the proxy configuration to use while communicating with the
    /// Git server: `address`, and optionally `username` and `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// RecurseSubmodules enables the initialization of all submodules within the GitRepository as cloned from the
    /// URL, using their default settings.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recurse_submodules: bool,
    /// Reference specifies the Git reference to resolve and monitor for changes, defaults to the 'master' branch.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitRepositoryRef>,
    /// SecretRef specifies the Secret, in the same namespace, containing authentication credentials for the
    /// GitRepository. For HTTPS repositories the Secret must contain 'username' and 'password' fields for basic
    /// auth or a 'bearerToken' field for token auth, and may contain 'ca.crt', 'tls.crt' and 'tls.key'. For SSH
    /// repositories the Secret must contain 'identity', and 'known_hosts' unless the platform knows the host; 'password'
    /// is the key's passphrase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// ServiceAccountName is the name of the Kubernetes ServiceAccount used to authenticate to the GitRepository.
    /// This field is only supported for 'azure' and 'aws' providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// SparseCheckout specifies a list of directories to checkout when cloning the repository. If specified, only
    /// these directories are included in the Artifact produced for this GitRepository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparse_checkout: Vec<String>,
    /// Suspend tells the controller to suspend the reconciliation of this GitRepository.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// Timeout for Git operations like cloning, defaults to 60s.
    #[serde(default = "sixty_seconds")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$"))]
    pub timeout: Duration,
    /// URL specifies the Git repository URL, it can be an HTTP/S or SSH address. `ssh://user@host:group/project` is
    /// read as the short form `user@host:group/project`.
    pub url: UrlText,
    /// Verification specifies the configuration to verify the Git commit signature(s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<GitRepositoryVerification>,
}

/// The CRD's default for `spec.timeout`, also used when an object was stored before that default existed.
fn sixty_seconds() -> Duration {
    Duration::known("60s", 60)
}

/// Which Git reference to follow. Precedence, lowest first: branch, tag, semver, name, commit.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct GitRepositoryRef {
    /// Branch to check out, defaults to 'master' if no other field is defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Commit SHA to check out, takes precedence over all reference fields.
    ///
    /// This can be combined with Branch, in which the commit is then expected to exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Name of the reference to check out; takes precedence over Branch, Tag and SemVer.
    ///
    /// It must be a valid Git reference: `https://git-scm.com/docs/git-check-ref-format#_description`
    /// Examples: "refs/heads/main", "refs/tags/v0.1.0", "refs/pull/420/head", "refs/merge-requests/1/head"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// SemVer tag expression to check out, takes precedence over Tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// Tag to check out, takes precedence over Branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// Another GitRepository of the same namespace whose Artifact is copied into this one's.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryInclude {
    /// FromPath specifies the path to copy contents from, defaults to the root of the Artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_path: Option<String>,
    /// GitRepositoryRef specifies the GitRepository whose Artifact contents must be included.
    pub repository: LocalObjectReference,
    /// ToPath specifies the path to copy contents to, defaults to the name of the GitRepositoryRef.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_path: Option<String>,
}

/// Whose signature must be found on what, before a revision is used.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryVerification {
    /// Mode specifies which Git object(s) should be verified.
    ///
    /// The variants "head" and "HEAD" both imply the same thing, i.e. verify the commit that the HEAD of the Git
    /// repository points to. The variant "head" solely exists to ensure backwards compatibility.
    #[serde(default)]
    pub mode: GitVerificationMode,
    /// SecretRef specifies the Secret containing the public keys of trusted Git authors. PGP public keys must be
    /// stored under keys with the .asc suffix, and SSH public keys under keys with the .sshpub suffix.
    pub secret_ref: LocalObjectReference,
}

/// Which Git objects must be signed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GitVerificationMode {
    /// The commit, in the spelling of older manifests.
    #[serde(rename = "head")]
    LowercaseHead,
    /// The commit.
    #[default]
    #[serde(rename = "HEAD")]
    Head,
    /// The annotated tag.
    Tag,
    /// The annotated tag and the commit it names.
    #[serde(rename = "TagAndHEAD")]
    TagAndHead,
}

/// Where credentials come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum GitProvider {
    /// The Secret named in the spec.
    #[default]
    Generic,
    /// Workload identity of Amazon's cloud.
    Aws,
    /// Workload identity of Microsoft's cloud.
    Azure,
    /// A GitHub App.
    Github,
}

/// Which namespaces were meant to be let in; see `spec.accessFrom`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AccessFrom {
    /// NamespaceSelectors is the list of namespace selectors to which this ACL applies. Items are evaluated using a
    /// logical OR operation.
    pub namespace_selectors: Vec<NamespaceSelector>,
}

/// Selects namespaces by their labels.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// MatchLabels is a map of {key,value} pairs that all must be on the namespace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// GitRepositoryStatus records the observed state of a Git repository.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryStatus {
    /// Artifact represents the last successful GitRepository reconciliation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// Conditions holds the conditions for the GitRepository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::schema")]
    pub conditions: Vec<Condition>,
    /// DeployKey is what is known of the key that is looked after, where that is asked for: by the annotation
    /// `reeve.dev/generate-key`, or by `reeve.dev/provider` on an object whose URL is of ssh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_key: Option<DeployKey>,
    /// IncludedArtifacts contains a list of the last successfully included Artifacts as instructed by
    /// GitRepositorySpec.Include.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub included_artifacts: Vec<Artifact>,
    /// LastHandledReconcileAt holds the value of the most recent reconcile request value, so a change of the
    /// annotation value can be detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// ObservedGeneration is the last observed generation of the GitRepository object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// ObservedIgnore is the observed exclusion patterns used for constructing the source artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// ObservedInclude is the observed list of GitRepository resources used to produce the current Artifact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_include: Vec<GitRepositoryInclude>,
    /// ObservedRecurseSubmodules is the observed resource submodules configuration used to produce the current
    /// Artifact.
    #[serde(default, skip_serializing_if = "is_false")]
    pub observed_recurse_submodules: bool,
    /// ObservedSparseCheckout is the observed list of directories used to produce the current Artifact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed_sparse_checkout: Vec<String>,
    /// SourceVerificationMode is the last used verification mode indicating which Git object(s) have been verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_verification_mode: Option<String>,
    /// Upstream is how the repository is reached, and when it was heard of. Not a field of Flux's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Upstream>,
}
