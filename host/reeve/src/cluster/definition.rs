//! The definition of one of our own kinds, as the API server has it now: whether it is on its way out, and which one it is.

use jiff::Timestamp;
use kube::Resource;
use kube::core::ApiResource;
use serde_json::Value;

use super::Cluster;
use super::refusal::CallError;
use super::wire::Address;

/// A definition that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    /// Of one that is made again it is another.
    pub(crate) uid: String,
    /// Whether it is being deleted, and all objects of the kind with it.
    pub(crate) going: bool,
    /// When it was made.
    pub(crate) made: Option<Timestamp>,
}

impl Cluster {
    /// The definition of a kind that is known at compile time; None: there is none.
    pub(crate) async fn definition<K>(&self) -> Result<Option<Definition>, CallError>
    where
        K: Resource<DynamicType = ()>,
    {
        let at = Address {
            resource: ApiResource {
                group: "apiextensions.k8s.io".into(),
                version: "v1".into(),
                api_version: "apiextensions.k8s.io/v1".into(),
                kind: "CustomResourceDefinition".into(),
                plural: "customresourcedefinitions".into(),
            },
            namespace: None,
            name: format!("{}.{}", K::plural(&()), K::group(&())),
        };
        let live = self.own.get(&at).await?;
        Ok(live.map(|live| Definition {
            uid: text(&live, "/metadata/uid").unwrap_or_default().to_owned(),
            going: text(&live, "/metadata/deletionTimestamp").is_some(),
            made: text(&live, "/metadata/creationTimestamp").and_then(|made| made.parse().ok()),
        }))
    }
}

fn text<'v>(object: &'v Value, pointer: &str) -> Option<&'v str> {
    object.pointer(pointer).and_then(Value::as_str)
}
