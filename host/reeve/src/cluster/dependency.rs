//! Reading another Kustomization as the tenant: whether its account may is for the API server to say.

use kube::core::ApiResource;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use serde_json::Value;

use super::refusal::CallError;
use super::tenant_client::TenantClient;
use super::wire::Address;

impl TenantClient {
    /// The Kustomization, as the account sees it; None: there is none.
    pub async fn kustomization(&self, id: &NamespacedName) -> Result<Option<Value>, CallError> {
        let address = Address {
            resource: ApiResource::erase::<Kustomization>(&()),
            namespace: Some(id.namespace.to_string()),
            name: id.name.to_string(),
        };
        self.wire.get(&address).await
    }
}
