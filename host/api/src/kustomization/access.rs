//! The fields of a Kustomization's spec that name keys: to encrypted files, and to another cluster.

use crate::meta::{LocalObjectReference, SecretKeyReference};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
