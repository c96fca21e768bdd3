//! Reports of what rules say: written with the controller's own rights, where somebody serves their kind.

use kube::core::ApiResource;
use reeve_api::name::NamespaceName;
use reeve_core::report;
use serde_json::Value;

use super::Cluster;
use super::refusal::CallError;
use super::wire::{Address, Format, Patch};

const GROUP: &str = "openreports.io";
const VERSION: &str = "v1alpha1";
const KIND: &str = "Report";
/// Under whose name reports are written.
const MANAGER: &str = "reeve";

impl Cluster {
    /// Whether anybody can have reports. A definition that comes or goes is noticed.
    pub(crate) async fn serves_reports(&self) -> bool {
        self.discovery.settle().await;
        self.discovery.knows(GROUP, VERSION, KIND)
    }

    /// The namespaces that have a report of ours.
    pub(crate) async fn reported(&self) -> Result<Vec<NamespaceName>, CallError> {
        let (label, ours) = report::MANAGED_BY;
        let path =
            format!("/apis/{GROUP}/{VERSION}/reports?labelSelector={label}%3D{ours}&limit=5000");
        let body = self.own.read(&path, "application/json").await?;
        let list: Value = serde_json::from_slice(&body)
            .map_err(|why| CallError::Garbled(format!("reports: {why}")))?;
        let items = list.get("items").and_then(Value::as_array);
        let namespace = |item: &Value| item.pointer("/metadata/namespace")?.as_str()?.parse().ok();
        Ok(items.into_iter().flatten().filter_map(namespace).collect())
    }

    /// Makes the report of a namespace what it should be; None: there is none.
    pub(crate) async fn report(
        &self,
        namespace: &NamespaceName,
        report: Option<Value>,
    ) -> Result<(), CallError> {
        let at = Address {
            resource: ApiResource {
                group: GROUP.into(),
                version: VERSION.into(),
                api_version: report::API_VERSION.into(),
                kind: KIND.into(),
                plural: "reports".into(),
            },
            namespace: Some(namespace.to_string()),
            name: report::NAME.to_owned(),
        };
        if let Some(report) = report {
            let how = Patch {
                format: Format::Apply,
                manager: MANAGER,
                dry_run: false,
                subresource: None,
            };
            let body = report.to_string().into_bytes();
            return self.own.patch(&at, how, body).await.map(drop);
        }
        let Some(live) = self.own.get(&at).await? else {
            return Ok(());
        };
        let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
        let gone = self.own.delete(&at, uid.unwrap_or_default()).await;
        gone.map(drop)
    }
}
