//! A Secret or a ConfigMap, read from its object's own namespace, with the rights of whoever owns that namespace.
//!
//! In a platform or config namespace the controller reads with its own rights; in a tenant's namespace it reads as the
//! tenant's ServiceAccount, so that a tenant can have nothing used that its account may not read. Who owns what is
//! `core::tenancy`'s to say. Values print as `***`; nothing is cached, because a right that was taken away must stop
//! working at once. The one Secret that is written is that of a key which its object asks for ([`held`]).

mod held;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use kube::core::ApiResource;
use reeve_api::name::{NamespaceName, ObjectName, ServiceAccountName};
use reeve_api::reason::Reason;
use reeve_core::admit::AdmittedSpec;
use reeve_core::failure::{Explain, Turn};
use reeve_core::tenancy::{Grounds, Tenant};
use serde_json::Value;

use super::Cluster;
use super::refusal::{CallError, Cause, onboard};
use super::tenant_client::header;
use super::wire::Address;

pub(crate) use held::Held;

/// As error messages name what is read; with an `s`, the resource.
const SECRET: &str = "secret";
const CONFIG_MAP: &str = "configmap";

/// In which namespace a Secret lies, and as whom it is read there.
#[derive(Debug, Clone)]
pub struct SecretOwner {
    namespace: NamespaceName,
    reader: Option<ServiceAccountName>,
}

impl SecretOwner {
    /// Who reads in `namespace`, which is `tenant`'s: the controller itself where the platform keeps things, else the
    /// tenant's own account there.
    pub fn of(grounds: &Grounds, tenant: &Tenant, namespace: &NamespaceName) -> Self {
        let platform = grounds.is_platform(namespace) || grounds.is_config(namespace);
        let reader = (!platform).then(|| tenant.reader(grounds));
        Self {
            namespace: namespace.clone(),
            reader,
        }
    }

    /// Who carries out `spec`, in the namespace of its account.
    pub fn account_of(spec: &AdmittedSpec) -> Self {
        let account = spec.account();
        Self {
            namespace: account.namespace().clone(),
            reader: Some(account.name().clone()),
        }
    }

    /// Whoever is connected, in this namespace.
    pub(crate) fn connected(namespace: &NamespaceName) -> Self {
        Self {
            namespace: namespace.clone(),
            reader: None,
        }
    }

    /// Where the Secret lies.
    pub fn namespace(&self) -> &NamespaceName {
        &self.namespace
    }

    /// As whom it is read; None: as the controller.
    pub fn account(&self) -> Option<String> {
        let reader = self.reader.as_ref()?;
        Some(format!("system:serviceaccount:{}:{reader}", self.namespace))
    }
}

/// What a Secret holds. Its values print as `***`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretData(BTreeMap<String, Vec<u8>>);

impl SecretData {
    /// The bytes under a key.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// The text under a key; None too if it is not UTF-8.
    pub fn text(&self, key: &str) -> Option<&str> {
        std::str::from_utf8(self.get(key)?).ok()
    }

    /// All of it, as who reads credentials from it takes it.
    pub fn into_inner(self) -> BTreeMap<String, Vec<u8>> {
        self.0
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.keys().map(|key| (key, "***")))
            .finish()
    }
}

/// A Secret that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none of that name.
    #[error("{what} '{namespace}/{name}' not found")]
    Missing {
        /// A secret, or a configmap.
        what: &'static str,
        /// Where it should be.
        namespace: String,
        /// What it should be called.
        name: String,
    },
    /// The account that reads there does not exist.
    #[error(
        "reading {what} '{namespace}/{name}' failed: ServiceAccount {namespace}/{account}, as which it is read, does not exist"
    )]
    NoAccount {
        /// A secret, or a configmap.
        what: &'static str,
        /// Where it is.
        namespace: String,
        /// What it is called.
        name: String,
        /// The account's name.
        account: ServiceAccountName,
    },
    /// The account that reads there may not read it, or the API server failed.
    #[error("reading {what} '{namespace}/{name}' failed: {source}")]
    Unreadable {
        /// A secret, or a configmap.
        what: &'static str,
        /// Where it is.
        namespace: String,
        /// What it is called.
        name: String,
        /// As whom it was read; None: as the controller.
        account: Option<String>,
        /// Why not.
        source: CallError,
    },
    /// The account may not write it, or somebody else did at the same time.
    #[error("writing secret '{namespace}/{name}' failed: {why}")]
    Unwritable {
        /// Where it is.
        namespace: String,
        /// What it is called.
        name: String,
        /// As whom it was written; None: as the controller.
        account: Option<String>,
        /// Why not, without anything that was to be in it.
        why: String,
        /// What the API server said, which may hold that: it is no source.
        said: CallError,
    },
}

impl Explain for SecretError {
    fn reason(&self) -> Reason {
        Reason::AuthenticationFailed
    }

    fn turn(&self) -> Turn {
        match self {
            // Neither the Secret nor a RoleBinding is in the object that refers to it.
            // A first Secret is made right after what refers to it: soon, then ever later.
            Self::Missing { .. } => Turn::Ours,
            Self::NoAccount { .. } => Turn::Retry,
            Self::Unwritable { said, .. } if said.is_conflict() => Turn::Ours,
            Self::Unreadable { source, .. } | Self::Unwritable { said: source, .. } => {
                match source.cause() {
                    Cause::Unavailable | Cause::Unauthorized => Turn::Ours,
                    _ => Turn::Retry,
                }
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing {
                what,
                namespace,
                name,
            } => {
                let generic = if *what == SECRET { " generic" } else { "" };
                Some(format!(
                    "create it: `kubectl -n {namespace} create {what}{generic} {name} …`"
                ))
            }
            Self::NoAccount {
                what,
                namespace,
                account,
                ..
            } => Some(format!(
                "create ServiceAccount {account} in namespace {namespace}, with the verb `get` on {what}s"
            )),
            Self::Unreadable {
                what,
                namespace,
                name,
                account: Some(account),
                source,
            } if source.cause() == Cause::Forbidden => Some(format!(
                "grant {account} the verb `get` on {what}s; check with \
                     `kubectl auth can-i get {what}/{name} -n {namespace} --as {account}`"
            )),
            Self::Unreadable {
                account: Some(account),
                source,
                ..
            } if source.cause() == Cause::NotOnboarded => Some(onboard(account)),
            Self::Unwritable {
                namespace,
                account,
                said,
                ..
            } if said.cause() == Cause::Forbidden => Some(match account {
                Some(account) => format!(
                    "grant {account} the verbs `create` and `update` on secrets in namespace {namespace}, or put a key \
                     that `ssh-keygen` made into the Secret"
                ),
                None => format!(
                    "the platform lets the controller write secrets in {namespace} (`git.generateKeys` of its chart), or a key \
                     that `ssh-keygen` made is put into the Secret"
                ),
            }),
            Self::Unreadable { .. } | Self::Unwritable { .. } => None,
        }
    }
}

impl Cluster {
    /// Reads a Secret as whoever owns its namespace.
    pub async fn secret(
        &self,
        owner: &SecretOwner,
        name: &ObjectName,
    ) -> Result<SecretData, SecretError> {
        let object = self.settings(owner, SECRET, "Secret", name).await?;
        Ok(data(&object))
    }

    /// Reads a ConfigMap as whoever owns its namespace: its keys and their texts.
    pub async fn config_map(
        &self,
        owner: &SecretOwner,
        name: &ObjectName,
    ) -> Result<BTreeMap<String, String>, SecretError> {
        let object = self.settings(owner, CONFIG_MAP, "ConfigMap", name).await?;
        let texts = object.get("data").and_then(Value::as_object);
        let texts = texts.into_iter().flatten();
        Ok(texts
            .filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())))
            .collect())
    }

    async fn settings(
        &self,
        owner: &SecretOwner,
        what: &'static str,
        kind: &str,
        name: &ObjectName,
    ) -> Result<Value, SecretError> {
        let account = owner.account();
        let wire = match &account {
            Some(account) => self.own.acting_as(header(account)),
            None => self.own.clone(),
        };
        let address = address(what, kind, owner, name);
        let (namespace, name) = (owner.namespace.to_string(), name.to_string());
        match wire.get(&address).await {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(SecretError::Missing {
                what,
                namespace,
                name,
            }),
            Err(source) => Err(self.unreadable(owner, what, name, source).await),
        }
    }
}

impl Cluster {
    /// Why it could not be read. To the API server an account that does not exist is one that may do nothing.
    async fn unreadable(
        &self,
        owner: &SecretOwner,
        what: &'static str,
        name: String,
        source: CallError,
    ) -> SecretError {
        let namespace = owner.namespace.to_string();
        if source.cause() == Cause::Forbidden
            && let Some(reader) = &owner.reader
            && self.lacks_account(&namespace, reader.as_str()).await
        {
            let account = reader.clone();
            return SecretError::NoAccount {
                what,
                namespace,
                name,
                account,
            };
        }
        let account = owner.account();
        SecretError::Unreadable {
            what,
            namespace,
            name,
            account,
            source,
        }
    }
}

fn address(what: &str, kind: &str, owner: &SecretOwner, name: &ObjectName) -> Address {
    Address {
        resource: ApiResource {
            group: String::new(),
            version: "v1".into(),
            api_version: "v1".into(),
            kind: kind.to_owned(),
            plural: format!("{what}s"),
        },
        namespace: Some(owner.namespace.to_string()),
        name: name.to_string(),
    }
}

/// The values; the API server has checked that they are base64.
pub(super) fn data(object: &Value) -> SecretData {
    let values = object.get("data").and_then(Value::as_object);
    let decoded = values.into_iter().flatten().filter_map(|(key, value)| {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(value.as_str()?)
            .ok()?;
        Some((key.clone(), bytes))
    });
    SecretData(decoded.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_platforms_own_namespaces_are_read_with_the_controllers_rights() {
        let name = |text: &str| text.parse::<NamespaceName>().unwrap();
        let account = |text: &str| text.parse::<ServiceAccountName>().unwrap();
        let grounds = Grounds {
            platform_namespaces: [name("flux-system")].into(),
            config_namespaces: [name("config")].into(),
            platform_service_account: account("platform"),
            tenant_service_account: account("flux"),
            remote_bases: Vec::new(),
            remote_clusters: Vec::new(),
        };
        for (namespace, reads_as) in [
            ("flux-system", None),
            ("config", None),
            ("acme", Some("system:serviceaccount:acme:flux")),
        ] {
            let tenant = Tenant::of_namespace(&name(namespace));
            let owner = SecretOwner::of(&grounds, &tenant, &name(namespace));
            assert_eq!(owner.account().as_deref(), reads_as, "{namespace}");
        }
    }

    #[test]
    fn a_secret_prints_its_keys_and_never_its_values() {
        let read = data(&serde_json::json!({"data": {"token": "aHVudGVyMg==", "empty": ""}}));
        assert_eq!(read.text("token"), Some("hunter2"));
        assert_eq!(read.get("empty"), Some(&b""[..]));
        assert_eq!(read.keys().collect::<Vec<_>>(), ["empty", "token"]);
        assert_eq!(format!("{read:?}"), r#"{"empty": "***", "token": "***"}"#);
    }
}
