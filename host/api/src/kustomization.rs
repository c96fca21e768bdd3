//! `Kustomization`: a directory of a source, built and applied as a tenant's own ServiceAccount.
//!
//! Flux's kind with Flux's schema. Which of its fields are acted on, and which are refused as unsupported, is
//! decided in `reeve_core::spec`; what its status says, in `reeve_core::status`.

use crate::duration::Duration;
use crate::meta::is_false;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

mod access;
mod build;
mod status;

pub use access::{Decryption, DecryptionProvider, KubeConfigReference};
pub use build::{
    BuildMetadataOption, CommonMetadata, IgnoreRule, Image, Patch, PostBuild, Selector,
    SubstituteKind, SubstituteReference, SubstituteStrategy,
};
pub use status::{
    HookOutcome, HookStatus, Inventory, KustomizationStatus, LastRun, LeftAlone, ObjectAction,
    ObjectChange, RemoteBase, ResourceRef, Snapshot, SyncPhase, SyncStatus,
};

/// KustomizationSpec says which directory of which source to build, how, and as whom to apply the result.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "kustomize.toolkit.fluxcd.io",
    version = "v1",
    kind = "Kustomization",
    plural = "kustomizations",
    namespaced,
    status = "KustomizationStatus",
    derive = "PartialEq",
    doc = "Kustomization is a directory of a source that is built with kustomize and kept applied to the cluster.",
    shortname = "ks",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-appliers",
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
pub struct KustomizationSpec {
    /// BuildMetadata specifies which kustomize build metadata should be added to the built resources. The allowed
    /// values are 'originAnnotations' to annotate resources with their source origin, and
    /// 'transformerAnnotations' to annotate resources with the transformers that produced them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_metadata: Vec<BuildMetadataOption>,
    /// CommonMetadata specifies the common labels and annotations that are applied to all resources. Any existing
    /// label or annotation will be overridden if its key matches a common one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// Components specifies relative paths to kustomize Components.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Decrypt Kubernetes secrets before applying them on the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decryption: Option<Decryption>,
    /// DeletionPolicy can be used to control garbage collection when this Kustomization is deleted. Valid values
    /// are ('MirrorPrune', 'Delete', 'WaitForTermination', 'Orphan'). 'MirrorPrune' mirrors the Prune field
    /// (orphan if false, delete if true). Defaults to 'MirrorPrune'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// DependsOn may contain a DependencyReference slice with references to Kustomization resources that must be
    /// ready before this Kustomization can be reconciled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,
    /// Force instructs the controller to recreate resources when patching fails due to an immutable field change.
    #[serde(default)]
    pub force: bool,
    /// HealthCheckExprs is a list of healthcheck expressions for evaluating the health of custom resources using
    /// Common Expression Language (CEL). The expressions are evaluated only when Wait or HealthChecks are
    /// specified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<CustomHealthCheck>,
    /// A list of resources to be included in the health assessment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<NamespacedObjectKindReference>,
    /// Ignore is a list of rules for specifying which changes to ignore during drift detection. These rules are
    /// applied to the resources managed by the Kustomization and are used to exclude specific JSON pointer paths
    /// from the drift detection and apply process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
    /// IgnoreMissingComponents instructs the controller to ignore Components paths not found in source by removing
    /// them from the generated kustomization.yaml before running kustomize build.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ignore_missing_components: bool,
    /// Images is a list of (image name, new name, new tag or digest) for changing image names, tags or digests.
    /// This can also be achieved with a patch, but this operator is simpler to specify.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// The interval at which to reconcile the Kustomization, also when nothing changed in the source, so that
    /// changes made by hand are reverted. It is approximate: every run is moved by a few percent, so that many
    /// objects do not all run at once.
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub interval: Duration,
    /// The KubeConfig for reconciling the Kustomization on a remote cluster. When used in combination with
    /// KustomizationSpec.ServiceAccountName, forces the controller to act on behalf of that Service Account at the
    /// target cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,
    /// NamePrefix will prefix the names of all managed resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name_prefix: Option<String>,
    /// NameSuffix will suffix the names of all managed resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name_suffix: Option<String>,
    /// Strategic merge and JSON patches, defined as inline YAML objects, capable of targeting objects based on
    /// kind, label and annotation selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// JSON 6902 patches, defined as inline YAML objects.
    ///
    /// Deprecated: use Patches instead. `v1` of Flux dropped this field; it is kept so that older objects are
    /// applied with their patches.
    #[serde(
        rename = "patchesJson6902",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(schema_with = "any_objects")]
    pub patches_json_6902: Vec<serde_json::Value>,
    /// Strategic merge patches, defined as inline YAML objects.
    ///
    /// Deprecated: use Patches instead. `v1` of Flux dropped this field; it is kept so that older objects are
    /// applied with their patches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "any_objects")]
    pub patches_strategic_merge: Vec<serde_json::Value>,
    /// Path to the directory containing the kustomization.yaml file, or the set of plain YAMLs a
    /// kustomization.yaml should be generated for. Defaults to the root path of the SourceRef.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// PostBuild describes which actions to perform on the YAML manifest generated by building the kustomize
    /// overlay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_build: Option<PostBuild>,
    /// Prune enables garbage collection: what this Kustomization once applied and no longer contains is deleted.
    pub prune: bool,
    /// The interval at which to retry a previously failed reconciliation. When not specified, the controller uses
    /// the KustomizationSpec.Interval value to retry failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub retry_interval: Option<Duration>,
    /// The name of the Kubernetes service account to impersonate when reconciling this Kustomization. It is always
    /// one of the Kustomization's own namespace. A tenant's Kustomization must name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Reference of the source where the kustomization file is.
    pub source_ref: CrossNamespaceSourceReference,
    /// This flag tells the controller to suspend subsequent kustomize executions, it does not apply to already
    /// started executions. Defaults to false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// TargetNamespace sets or overrides the namespace in the kustomization.yaml file. A tenant's Kustomization
    /// must name its own namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub target_namespace: Option<String>,
    /// Timeout for validation, apply and health checking operations. Defaults to 'Interval' duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub timeout: Option<Duration>,
    /// Wait instructs the controller to check the health of all the reconciled resources. When enabled, the
    /// HealthChecks are ignored. Defaults to false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wait: bool,
}

/// A list of anything: the items' own schema belongs to the kinds they patch.
fn any_objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": { "x-kubernetes-preserve-unknown-fields": true },
    })
}

/// What becomes of the applied objects when the Kustomization is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// Deleted when `prune` is true, left behind when it is false.
    #[default]
    MirrorPrune,
    /// Deleted, without waiting for it.
    Delete,
    /// Deleted; the Kustomization stays until they are gone.
    WaitForTermination,
    /// Left behind.
    Orphan,
}

/// DependencyReference contains enough information to locate the referenced Kubernetes resource object and optional
/// CEL expression to assess its readiness.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DependencyReference {
    /// Name of the referent.
    pub name: String,
    /// Namespace of the referent, defaults to the namespace of the resource object that contains the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// ReadyExpr is a CEL expression that can be used to assess the readiness of a dependency. When specified, the
    /// built-in readiness check is replaced by the logic defined in the CEL expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_expr: Option<String>,
}

/// CustomHealthCheck defines the health check for custom resources.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CustomHealthCheck {
    /// APIVersion of the custom resource under evaluation.
    pub api_version: String,
    /// Current is the CEL expression that determines if the status of the custom resource has reached the desired
    /// state.
    pub current: String,
    /// Failed is the CEL expression that determines if the status of the custom resource has failed to reach the
    /// desired state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// InProgress is the CEL expression that determines if the status of the custom resource has not yet reached
    /// the desired state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<String>,
    /// Kind of the custom resource under evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// NamespacedObjectKindReference contains enough information to locate the typed referenced Kubernetes resource
/// object in any namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedObjectKindReference {
    /// API version of the referent, if not specified the Kubernetes preferred version will be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the referent.
    pub kind: String,
    /// Name of the referent.
    pub name: String,
    /// Namespace of the referent, when not specified it acts as LocalObjectReference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// CrossNamespaceSourceReference contains enough information to let you locate the typed Kubernetes resource object at
/// cluster level.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceSourceReference {
    /// API version of the referent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the referent.
    pub kind: SourceKind,
    /// Name of the referent.
    pub name: String,
    /// Namespace of the referent, defaults to the namespace of the Kubernetes resource object that contains the
    /// reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// The kinds that produce artifacts.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum SourceKind {
    /// An OCI image.
    #[serde(rename = "OCIRepository")]
    OciRepository,
    /// A Git repository.
    GitRepository,
    /// An object storage bucket.
    Bucket,
    /// An artifact made by someone else's controller.
    ExternalArtifact,
}

impl SourceKind {
    /// The kind as Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OciRepository => "OCIRepository",
            Self::GitRepository => "GitRepository",
            Self::Bucket => "Bucket",
            Self::ExternalArtifact => "ExternalArtifact",
        }
    }

    /// The kind as it stands in addresses of the API server.
    pub fn plural(self) -> &'static str {
        match self {
            Self::OciRepository => "ocirepositories",
            Self::GitRepository => "gitrepositories",
            Self::Bucket => "buckets",
            Self::ExternalArtifact => "externalartifacts",
        }
    }
}
