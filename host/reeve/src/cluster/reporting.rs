//! Reports of what rules say: written with the controller's own rights, where somebody serves their kind.
//!
//! The kind is somebody else's and tenants may write reports: of those that are there only the metadata is listed, by pages,
//! and none is deleted that isn't ours.

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
/// How many reports are listed at once, and how many times.
const PAGE: usize = 100;
const PAGES: usize = 1_000;
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
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
        let name = report::NAME;
        let first = format!(
            "/apis/{GROUP}/{VERSION}/reports?labelSelector={label}%3D{ours}&fieldSelector=metadata.name%3D{name}&limit={PAGE}"
        );
        let namespace = |item: &Value| text(item, "/metadata/namespace")?.parse().ok();
        let (mut namespaces, mut path) = (Vec::new(), first.clone());
        for _ in 0..PAGES {
            let body = self.own.read(&path, METADATA).await?;
            let list: Value = serde_json::from_slice(&body)
                .map_err(|why| CallError::Garbled(format!("reports: {why}")))?;
            let items = list.get("items").and_then(Value::as_array);
            namespaces.extend(items.into_iter().flatten().filter_map(namespace));
            let next = text(&list, "/metadata/continue").filter(|next| !next.is_empty());
            let Some(next) = next else { break };
            path = format!("{first}&continue={next}");
        }
        Ok(namespaces)
    }

    /// The report of ours in a namespace, as whoever is connected may read it; None: there is none.
    pub(crate) async fn report_of(
        &self,
        namespace: &NamespaceName,
    ) -> Result<Option<Value>, CallError> {
        if !self.serves_reports().await {
            return Ok(None);
        }
        Ok(self.own.get(&at(namespace)).await?.filter(is_ours))
    }

    /// Makes the report of a namespace what it should be; None: there is none.
    pub(crate) async fn report(
        &self,
        namespace: &NamespaceName,
        report: Option<Value>,
    ) -> Result<(), CallError> {
        let at = at(namespace);
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
        if !is_ours(&live) {
            return Ok(());
        }
        let uid = text(&live, "/metadata/uid").unwrap_or_default();
        self.own.delete(&at, uid).await.map(drop)
    }
}

fn at(namespace: &NamespaceName) -> Address {
    Address {
        resource: ApiResource {
            group: GROUP.into(),
            version: VERSION.into(),
            api_version: report::API_VERSION.into(),
            kind: KIND.into(),
            plural: "reports".into(),
        },
        namespace: Some(namespace.to_string()),
        name: report::NAME.to_owned(),
    }
}

/// Whether it bears the label that ours bear.
fn is_ours(live: &Value) -> bool {
    let (label, ours) = report::MANAGED_BY;
    let labels = live.pointer("/metadata/labels");
    labels.and_then(|labels| labels.get(label)?.as_str()) == Some(ours)
}

fn text<'v>(object: &'v Value, pointer: &str) -> Option<&'v str> {
    object.pointer(pointer).and_then(Value::as_str)
}
