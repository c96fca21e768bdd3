//! Reading another Kustomization as the tenant: whether its account may is for the API server to say.

use kube::core::ApiResource;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_core::admit::AdmittedSpec;
use serde_json::Value;

use super::Cluster;
use super::refusal::CallError;
use super::tenant_client::{header, user_name};
use super::wire::Address;

impl Cluster {
    /// The Kustomization, as the account of `spec` sees it; None: there is none. Kustomizations lie here, wherever what they
    /// apply lies.
    pub async fn kustomization(
        &self,
        spec: &AdmittedSpec,
        id: &NamespacedName,
    ) -> Result<Option<Value>, CallError> {
        let address = Address {
            resource: ApiResource::erase::<Kustomization>(&()),
            namespace: Some(id.namespace.to_string()),
            name: id.name.to_string(),
        };
        let account = user_name(spec.account());
        self.own.acting_as(header(&account)).get(&address).await
    }
}
