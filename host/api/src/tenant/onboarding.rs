//! What a Tenant says that the landlord makes, and what the landlord says of it.
//!
//! Only shapes: which objects come of them is `reeve_core::landlord`'s.

use crate::duration::Duration;
use crate::meta::LocalObjectReference;
use crate::name::NamespaceName;
use crate::receiver::ReceiverType;
use crate::source::GitRepositoryRef;
use crate::url::UrlText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// ObjectMetadata is what an object bears beside its name.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectMetadata {
    /// Annotations to put on the object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels to put on the object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// PodSecurity is one of the Pod Security Standards.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    /// Everything is allowed.
    Privileged,
    /// Known ways to more rights are closed.
    Baseline,
    /// Pods are hardened as is current practice.
    Restricted,
}

impl PodSecurity {
    /// As the label of a namespace says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// NetworkDefault is what reaches pods where no other NetworkPolicy says more.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkDefault {
    /// Only what comes from the tenant's own namespaces.
    OwnNamespaces,
    /// Nothing.
    Nobody,
}

/// Reader is a group of people who look at what a tenant has.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Exec is whether they may run commands in its pods too.
    #[serde(default)]
    pub exec: bool,
    /// Group as the API server knows it.
    #[schemars(length(min = 1, max = 253))]
    pub group: String,
}

/// ContainerDefaults are what containers have that do not say it themselves, such as `cpu: 100m`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerDefaults {
    /// Limits of what one may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub limits: BTreeMap<String, String>,
    /// Requests for what is kept for one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub requests: BTreeMap<String, String>,
}

/// DeletionPolicy is what becomes of what was made of a Tenant that is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// All of it stays.
    #[default]
    Orphan,
    /// It is deleted, and a namespace that was made with all that is in it, once somebody has confirmed that: the Tenant stays
    /// until then. What was there before stays.
    Delete,
}

/// TenantSource is the repository that a tenant is delivered from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TenantSource {
    /// Interval at which the repository is looked at. Without one it is looked at as git configuration says, by default every
    /// 3m.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    pub interval: Option<Duration>,
    /// Path of the directory in the repository that is built. Defaults to its root.
    #[serde(default = "root")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
    /// Receiver is an address for the forge to call when something was pushed, if there is to be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<TenantReceiver>,
    /// Reference is the Git reference to follow, defaults to the branch `main`.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitRepositoryRef>,
    /// SecretRef names the Secret, in the platform's configuration namespace, with the login for the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// URL of the repository, over HTTP/S or SSH.
    pub url: UrlText,
}

/// The default of a source's `path`.
fn root() -> String {
    "./".to_owned()
}

/// TenantReceiver is the address that a forge calls.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TenantReceiver {
    /// SecretRef names the Secret, in the platform's configuration namespace, with the `token` that calls are proved by.
    pub secret_ref: LocalObjectReference,
    /// Type of who calls, as in a Receiver.
    #[serde(rename = "type")]
    pub kind: ReceiverType,
}

/// Departure is what the deletion of a Tenant waits for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
pub struct Departure {
    /// Message says what there is to do, and for whom.
    pub message: String,
    /// Namespaces that will be deleted, with all that is in them, as soon as each is annotated
    /// `reeve.dev/confirm-delete: <uid of the Tenant>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<NamespaceName>,
}

/// Onboarding is what became of making what a Tenant says.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Onboarding {
    /// Done is whether all of it is there.
    pub done: bool,
    /// Message is what is there, or what is not and why.
    pub message: String,
    /// ObservedGeneration is the generation of the Tenant that this is about.
    pub observed_generation: i64,
    /// Reason is one word for it.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_and_the_rest_has_defaults() {
        let source: TenantSource =
            serde_json::from_str(r#"{"url": "https://git.example/acme"}"#).unwrap();
        assert_eq!(source.path, "./");
        assert_eq!(source.interval, None, "git configuration says how often");
        assert_eq!((source.receiver, source.reference), (None, None));
    }
}
