//! `Kustomization`: a directory of a source, built and applied as a tenant's own ServiceAccount.
//!
//! Flux's kind with Flux's schema. Which of its fields are acted on, and which are refused as unsupported, is
//! decided in `reeve_core::spec`; what its status says, in `reeve_core::status`.

use crate::duration::Duration;
use crate::meta::{LocalObjectReference, SecretKeyReference, is_false};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod status;

pub use status::{Inventory, KustomizationStatus, ResourceRef, Snapshot};

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
    /// Deprecated: use Patches instead. `v1` of Flux dropped this field; it is kept so that an object that sets it is
    /// told that it is not supported, instead of being applied without its patches.
    #[serde(
        rename = "patchesJson6902",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(schema_with = "any_objects")]
    pub patches_json_6902: Vec<serde_json::Value>,
    /// Strategic merge patches, defined as inline YAML objects.
    ///
    /// Deprecated: use Patches instead. `v1` of Flux dropped this field; it is kept so that an object that sets it is
    /// told that it is not supported, instead of being applied without its patches.
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

/// BuildMetadataOption defines the supported buildMetadata options.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum BuildMetadataOption {
    /// Annotate resources with the file they came from.
    OriginAnnotations,
    /// Annotate resources with the transformers that changed them.
    TransformerAnnotations,
}

/// Labels and annotations for everything that is applied.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct CommonMetadata {
    /// Annotations to be added to the object's metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels to be added to the object's metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
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

/// How encrypted Secrets are decrypted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Decryption {
    /// Provider is the name of the decryption engine.
    pub provider: DecryptionProvider,
    /// The secret name containing the private keys used for decryption. A static credential for a cloud provider
    /// defined inside the Secret takes priority to secret-less authentication with the ServiceAccountName field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// ServiceAccountName is the name of the service account used to authenticate with KMS services from cloud
    /// providers. If a static credential for a given cloud provider is defined inside the Secret referenced by
    /// SecretRef, that static credential takes priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
}

/// The decryption engines there are.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DecryptionProvider {
    /// Mozilla's SOPS.
    Sops,
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

/// IgnoreRule defines a rule to selectively disregard specific changes during the drift detection process.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct IgnoreRule {
    /// Paths is a list of JSON Pointer (RFC 6901) paths to be excluded from consideration in a Kubernetes object.
    pub paths: Vec<String>,
    /// Target is a selector for specifying Kubernetes objects to which this rule applies. If Target is not set, the
    /// Paths will be ignored for all Kubernetes objects within the manifest of the Kustomization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// Image contains an image name, a new name, a new tag or digest, which will replace the original name and tag.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Digest is the value used to replace the original image tag. If digest is present NewTag value is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Name is a tag-less image name.
    pub name: String,
    /// NewName is the value used to replace the original name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,
    /// NewTag is the value used to replace the original tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_tag: Option<String>,
}

/// Patch contains an inline StrategicMerge or JSON6902 patch, and the target the patch should be applied to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Patch contains an inline StrategicMerge patch or an inline JSON6902 patch with an array of operation objects.
    pub patch: String,
    /// Target points to the resources that the patch document should be applied to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// Selector specifies a set of resources. Any resource that matches the intersection of all conditions is included.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// AnnotationSelector is a string that follows the label selection expression
    /// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
    /// It matches with the resource annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation_selector: Option<String>,
    /// Group is the API group to select resources from. Together with Version and Kind it is capable of
    /// unambiguously identifying and/or selecting resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind of the API Group to select resources from. Together with Group and Version it is capable of
    /// unambiguously identifying and/or selecting resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// LabelSelector is a string that follows the label selection expression
    /// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
    /// It matches with the resource labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// Name to match resources with, a regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace to select resources from, a regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Version of the API Group to select resources from. Together with Group and Kind it is capable of
    /// unambiguously identifying and/or selecting resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// How to reach and authenticate to another cluster. Exactly one of the two references is set.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = kube::core::Rule::new("has(self.configMapRef) || has(self.secretRef)")
        .message("exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified"),
    validation = kube::core::Rule::new("!has(self.configMapRef) || !has(self.secretRef)")
        .message("exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified")
)]
#[serde(rename_all = "camelCase")]
pub struct KubeConfigReference {
    /// ConfigMapRef holds an optional name of a ConfigMap that contains the following keys:
    ///
    /// - `provider`: the provider to use. One of `aws`, `azure`, `gcp`, or `generic`. Required.
    /// - `cluster`: the fully qualified resource name of the Kubernetes cluster in the cloud provider API. Not used
    ///   by the `generic` provider. Required when one of `address` or `ca.crt` is not set.
    /// - `address`: the address of the Kubernetes API server. Required for `generic`. For the other providers, if
    ///   not specified, the first address in the cluster resource will be used, and if specified, it must match one
    ///   of the addresses in the cluster resource. If audiences is not set, will be used as the audience for the
    ///   `generic` provider.
    /// - `ca.crt`: the optional PEM-encoded CA certificate for the Kubernetes API server. If not set, the
    ///   controller will use the CA certificate from the cluster resource.
    /// - `audiences`: the optional audiences as a list of line-break-separated strings for the Kubernetes
    ///   ServiceAccount token. Defaults to the `address` for the `generic` provider, or to specific values for the
    ///   other providers depending on the provider.
    /// - `serviceAccountName`: the optional name of the Kubernetes ServiceAccount in the same namespace that should
    ///   be used for authentication.
    ///
    /// Mutually exclusive with SecretRef.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<LocalObjectReference>,
    /// SecretRef holds an optional name of a secret that contains a key with the kubeconfig file as the value. If no
    /// key is set, the key will default to 'value'. Mutually exclusive with ConfigMapRef. The kubeconfig must be
    /// self-contained: nothing in it may name a file or a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyReference>,
}

/// PostBuild describes which actions to perform on the YAML manifest generated by building the kustomize overlay.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PostBuild {
    /// Substitute holds a map of key/value pairs. The variables defined in your YAML manifests that match any of the
    /// keys defined in the map will be substituted with the set value. Includes support for bash string replacement
    /// functions e.g. ${var:=default}, ${var:position} and ${var/substring/replacement}.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub substitute: BTreeMap<String, String>,
    /// SubstituteFrom holds references to ConfigMaps and Secrets containing the variables and their values to be
    /// substituted in the YAML manifests. The ConfigMap and the Secret data keys represent the var names, and they
    /// must match the vars declared in the manifests for the substitution to happen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substitute_from: Vec<SubstituteReference>,
    /// SubstituteStrategy defines the strategy for substituting variables in the YAML manifests. Valid values are:
    ///
    /// - WithVariables (the default): require at least one variable to be defined, either through the inline map or
    ///   through the resolved references to ConfigMaps and Secrets.
    /// - Always: perform the substitution even if no variables are defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substitute_strategy: Option<SubstituteStrategy>,
}

/// SubstituteReference contains a reference to a resource containing the variables name and value.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct SubstituteReference {
    /// Kind of the values referent, valid values are ('Secret', 'ConfigMap').
    pub kind: SubstituteKind,
    /// Name of the values referent. Should reside in the same namespace as the referring resource.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Optional indicates whether the referenced resource must exist, or whether to tolerate its absence. If true and
    /// the referenced resource is absent, proceed as if the resource was present but empty, without any variables
    /// defined.
    #[serde(default)]
    pub optional: bool,
}

/// Where variables may come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubstituteKind {
    /// A Secret's data.
    Secret,
    /// A ConfigMap's data.
    ConfigMap,
}

/// When variables are replaced.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubstituteStrategy {
    /// Only when at least one variable is defined.
    #[default]
    WithVariables,
    /// Always.
    Always,
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
}
