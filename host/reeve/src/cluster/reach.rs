//! Whether a tenant's objects can still be deleted by anybody who should.
//!
//! Asked only when something was refused. To the API server an account that does not exist is one without rights, which
//! would be bad advice; and when a deletion has failed, so that a Kustomization does not hold up its namespace for ever: where
//! the account is gone nobody may act as the tenant, and a namespace on its way out takes its objects with it.

use kube::core::ApiResource;
use reeve_api::kustomization::Kustomization;
use reeve_core::admit::Account;
use serde_json::Value;

use super::Cluster;
use super::wire::Address;

impl Cluster {
    /// Whether what `object` applied is out of its account's reach for good. When that cannot be known, it is not.
    pub(crate) async fn is_beyond_reach(&self, object: &Kustomization) -> bool {
        let Some(namespace) = object.metadata.namespace.as_deref() else {
            return false;
        };
        let going = self
            .own
            .get(&address("Namespace", "namespaces", None, namespace))
            .await;
        match going {
            Ok(None) => return true,
            Ok(Some(live)) if is_terminating(&live) => return true,
            Ok(Some(_)) | Err(_) => {}
        }
        let Some(account) = object
            .spec
            .service_account_name
            .as_deref()
            .filter(|name| !name.is_empty())
        else {
            return false;
        };
        self.lacks_account(namespace, account).await
    }

    /// Whether there is no such ServiceAccount. When that cannot be known, there is.
    pub(crate) async fn lacks(&self, account: &Account) -> bool {
        let (namespace, name) = (account.namespace().as_str(), account.name().as_str());
        self.lacks_account(namespace, name).await
    }

    pub(super) async fn lacks_account(&self, namespace: &str, name: &str) -> bool {
        let account = address("ServiceAccount", "serviceaccounts", Some(namespace), name);
        matches!(self.own.get(&account).await, Ok(None))
    }
}

fn is_terminating(live: &Value) -> bool {
    live.pointer("/metadata/deletionTimestamp").is_some()
}

fn address(kind: &str, plural: &str, namespace: Option<&str>, name: &str) -> Address {
    Address {
        resource: ApiResource {
            group: String::new(),
            version: "v1".into(),
            api_version: "v1".into(),
            kind: kind.into(),
            plural: plural.into(),
        },
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}
