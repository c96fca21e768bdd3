//! `Receiver`: an address that a forge calls when something was pushed.
//!
//! Flux's kind with Flux's schema. How a call is verified, and which of the types are understood, is decided in
//! `reeve_core::webhook`; the address itself is served elsewhere.

use crate::condition::Condition;
use crate::duration::Duration;
use crate::meta::{LocalObjectReference, is_false};
use crate::upkeep::HookAtForge;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// ReceiverSpec says whose calls are believed, and which objects they wake.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "notification.toolkit.fluxcd.io",
    version = "v1",
    kind = "Receiver",
    plural = "receivers",
    namespaced,
    status = "ReceiverStatus",
    derive = "PartialEq",
    doc = "Receiver is a webhook address: when it is called, the objects it names are reconciled at once.",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-notifications",
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
#[x_kube(
    validation = kube::core::Rule::new(
        "self.type != 'generic-oidc' || (has(self.oidcProviders) && size(self.oidcProviders) > 0)"
    ).message("generic-oidc receivers must define at least one oidcProvider"),
    validation = kube::core::Rule::new(
        "self.type == 'generic-oidc' || !has(self.oidcProviders) || size(self.oidcProviders) == 0"
    ).message("oidcProviders can only be set when type is generic-oidc"),
    validation = kube::core::Rule::new("self.type != 'generic-oidc' || !has(self.secretRef)")
        .message("secretRef cannot be set when type is generic-oidc"),
    validation = kube::core::Rule::new("self.type == 'generic-oidc' || has(self.secretRef)")
        .message("secretRef is required when type is not generic-oidc")
)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverSpec {
    /// Events specifies the list of event types to handle, e.g. 'push' for GitHub or 'Push Hook' for GitLab. All
    /// events are handled when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Interval at which to reconcile the Receiver with its Secret references.
    #[serde(default = "ten_minutes")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub interval: Duration,
    /// OIDCProviders specifies the OIDC providers used to authenticate incoming requests when Type is
    /// 'generic-oidc'. The provider whose IssuerURL matches the token's 'iss' claim is used to verify the token
    /// signature, expiration and audience, and to evaluate the configured CEL validations against the token claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["issuerURL".into()]))]
    pub oidc_providers: Vec<OidcProvider>,
    /// ResourceFilter is a CEL expression expected to return a boolean that is evaluated for each resource referenced
    /// in the Resources field when a webhook is received. If the expression returns false then the controller will
    /// not request a reconciliation for the resource. The expression can read the resource metadata via 'res' and
    /// the webhook request body via 'req'. For generic-oidc receivers, the verified OIDC token claims are also
    /// available via 'claims'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_filter: Option<String>,
    /// A list of resources to be notified about changes.
    pub resources: Vec<ReceiverResource>,
    /// SecretRef specifies the Secret containing the token used to validate the payload authenticity. The Secret must
    /// contain a 'token' key. For GCR receivers, the Secret must also contain an 'email' key with the IAM service
    /// account email configured on the Pub/Sub push subscription, and an 'audience' key with the expected OIDC token
    /// audience.
    ///
    /// Required for all receiver types except 'generic-oidc', which authenticates requests using the OIDC token
    /// instead and must not set this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Suspend tells the controller to suspend subsequent events handling for this receiver.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// Type of webhook sender, used to determine the validation procedure and payload deserialization.
    #[serde(rename = "type")]
    pub kind: ReceiverType,
}

/// The CRD's default for `spec.interval`, also for objects stored by an older version that had none.
fn ten_minutes() -> Duration {
    Duration::known("10m", 600)
}

/// Who calls, and so how a call is verified.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiverType {
    /// Anyone who knows the path.
    Generic,
    /// Anyone who signs the body, in the header `X-Signature`.
    GenericHmac,
    /// Anyone with a token of a trusted OIDC issuer.
    GenericOidc,
    /// GitHub.
    Github,
    /// Gitea and Forgejo, by their own headers. Flux has no such type, and knows them by `github`.
    Gitea,
    /// GitLab.
    Gitlab,
    /// Bitbucket.
    Bitbucket,
    /// Harbor.
    Harbor,
    /// Docker Hub.
    Dockerhub,
    /// Quay.
    Quay,
    /// Google's container registry.
    Gcr,
    /// Sonatype Nexus.
    Nexus,
    /// Microsoft's container registry.
    Acr,
    /// Any sender of CDEvents.
    Cdevents,
}

impl ReceiverType {
    /// The type as it stands in the spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::GenericHmac => "generic-hmac",
            Self::GenericOidc => "generic-oidc",
            Self::Github => "github",
            Self::Gitea => "gitea",
            Self::Gitlab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::Harbor => "harbor",
            Self::Dockerhub => "dockerhub",
            Self::Quay => "quay",
            Self::Gcr => "gcr",
            Self::Nexus => "nexus",
            Self::Acr => "acr",
            Self::Cdevents => "cdevents",
        }
    }
}

/// ReceiverResource references a resource to be notified about changes, with an optional per-resource CEL filter.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverResource {
    /// API version of the referent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Filter is a CEL expression expected to return a boolean that is evaluated for each resource matched by this
    /// reference when a webhook is received, in addition to the top-level resourceFilter. A reconciliation is
    /// requested only when both expressions (when set) return true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Kind of the referent.
    pub kind: ReceiverResourceKind,
    /// MatchLabels is a map of {key,value} pairs. A single {key,value} in the matchLabels map is equivalent to an
    /// element of matchExpressions, whose key field is "key", the operator is "In", and the values array contains
    /// only "value". The requirements are ANDed. MatchLabels requires the name to be set to `*`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Name of the referent. If multiple resources are targeted `*` may be set.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the referent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub namespace: Option<String>,
}

/// The kinds a Receiver may wake.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum ReceiverResourceKind {
    /// `source.toolkit.fluxcd.io`
    Bucket,
    /// `source.toolkit.fluxcd.io`
    GitRepository,
    /// `kustomize.toolkit.fluxcd.io`
    Kustomization,
    /// `helm.toolkit.fluxcd.io`
    HelmRelease,
    /// `source.toolkit.fluxcd.io`
    HelmChart,
    /// `source.toolkit.fluxcd.io`
    HelmRepository,
    /// `image.toolkit.fluxcd.io`
    ImageRepository,
    /// `image.toolkit.fluxcd.io`
    ImagePolicy,
    /// `image.toolkit.fluxcd.io`
    ImageUpdateAutomation,
    /// `source.toolkit.fluxcd.io`
    #[serde(rename = "OCIRepository")]
    OciRepository,
    /// `source.extensions.fluxcd.io`
    ArtifactGenerator,
    /// `source.toolkit.fluxcd.io`
    ExternalArtifact,
}

impl ReceiverResourceKind {
    /// The kind as Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bucket => "Bucket",
            Self::GitRepository => "GitRepository",
            Self::Kustomization => "Kustomization",
            Self::HelmRelease => "HelmRelease",
            Self::HelmChart => "HelmChart",
            Self::HelmRepository => "HelmRepository",
            Self::ImageRepository => "ImageRepository",
            Self::ImagePolicy => "ImagePolicy",
            Self::ImageUpdateAutomation => "ImageUpdateAutomation",
            Self::OciRepository => "OCIRepository",
            Self::ArtifactGenerator => "ArtifactGenerator",
            Self::ExternalArtifact => "ExternalArtifact",
        }
    }
}

/// OIDCProvider configures an OIDC issuer used to authenticate requests for a 'generic-oidc' Receiver.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct OidcProvider {
    /// Audience is the expected audience ('aud' claim) for tokens issued by this provider. Defaults to
    /// 'notification-controller'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// IssuerURL is the OIDC issuer URL used for provider discovery. It must match the 'iss' claim of tokens issued by
    /// this provider.
    #[serde(rename = "issuerURL")]
    #[schemars(regex(pattern = r"^https?://"))]
    pub issuer_url: String,
    /// Validations is the list of CEL boolean expressions evaluated against the token claims and the variables. The
    /// request is accepted only if all of them evaluate to true; the message of each failing expression is returned
    /// to the caller.
    ///
    /// At least one validation is required. A valid signature alone does not authorize a request: public issuers issue
    /// tokens to any caller on the platform, so the validations must constrain the caller's identity claims (e.g.
    /// 'repository_owner' for GitHub Actions).
    #[schemars(length(min = 1))]
    pub validations: Vec<OidcValidation>,
    /// Variables is an optional list of named CEL expressions, evaluated in order and exposed as `vars.<name>`. Each
    /// expression can read the token claims via 'claims' and any variable defined before it. Use it to share
    /// sub-expressions across validations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<OidcVariable>,
}

/// OIDCValidation is a CEL boolean expression evaluated against the OIDC token claims and variables of a 'generic-oidc'
/// Receiver.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct OidcValidation {
    /// Expression is the CEL boolean expression to evaluate.
    pub expression: String,
    /// Message is returned to the caller when the expression evaluates to false.
    pub message: String,
}

/// OIDCVariable is a named CEL expression evaluated against the OIDC token claims of a 'generic-oidc' Receiver.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct OidcVariable {
    /// Expression is the CEL expression that defines the variable value.
    pub expression: String,
    /// Name is the variable name; it must be a valid CEL identifier.
    pub name: String,
}

/// ReceiverStatus defines the observed state of the Receiver.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverStatus {
    /// Conditions holds the conditions for the Receiver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::condition::schema")]
    pub conditions: Vec<Condition>,
    /// LastHandledReconcileAt holds the value of the most recent reconcile request value, so a change of the
    /// annotation value can be detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// ObservedGeneration is the last observed generation of the Receiver object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// URL is the same path as WebhookPath, where manifests written for the beta versions look for it.
    ///
    /// Deprecated: read WebhookPath instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// WebhookPath is the generated incoming webhook address in the format of
    /// '/hook/sha256sum(token+name+namespace)'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_path: Option<String>,
    /// Webhooks are those that are, or may be, at a forge because of this object, named by the annotation
    /// `reeve.dev/provider`: what is removed when it goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<HookAtForge>,
}
