//! The fields of a Kustomization's spec that change what is built.
//!
//! Shapes only; they become an overlay over the directory's own kustomization.yaml in `reeve_core::spec`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// `https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api`
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
    /// `https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api`
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
