//! What `reeve check` asks a cluster: its version and its time, what is installed, what the webhook says, what one may.
//!
//! All of it with the rights of whoever runs the command, and nothing is changed: the bad object that the webhook is shown
//! is a dry run. It deliberately doesn't judge the answers: `cli::check` does.

use http::Request;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::ApiResource;
use reeve_api::kustomization::Kustomization;
use reeve_core::failure::chain;
use serde_json::{Value, json};

use super::Cluster;
use super::refusal::CallError;
use super::rights::reviews;
use super::wire::{Address, Format, Patch};

const MANAGER: &str = "reeve-cli";
/// So many Deployments are looked at.
const DEPLOYMENTS: usize = 500;

/// Something that one may or may not do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    /// None: everywhere.
    pub(crate) namespace: Option<&'a str>,
}

/// What keeps accounts to what they need, beside RBAC.
#[derive(Debug, Default)]
pub(crate) struct Fences {
    /// ValidatingAdmissionPolicies.
    pub(crate) policies: Vec<Value>,
    /// Their bindings.
    pub(crate) bindings: Vec<Value>,
}

impl Cluster {
    /// What the API server says of its version.
    pub(crate) async fn version(&self) -> Result<Value, CallError> {
        let body = self.own.read("/version", "application/json").await?;
        serde_json::from_slice(&body)
            .map_err(|why| CallError::Garbled(format!("its version: column {}", why.column())))
    }

    /// What time the API server says it is, in its own words; None: it does not say.
    pub(crate) async fn date(&self) -> Result<Option<String>, CallError> {
        let request = Request::get("/version").body(kube::client::Body::empty());
        let request = request.map_err(|why| CallError::Garbled(why.to_string()))?;
        let answer = self.client.send(request).await;
        let answer = answer.map_err(|why| CallError::Unreachable(chain(&why)))?;
        let date = answer.headers().get(http::header::DATE);
        let date = date.and_then(|date| date.to_str().ok());
        Ok(date.map(str::to_owned))
    }

    /// All definitions of kinds.
    pub(crate) async fn definitions(&self) -> Result<Vec<CustomResourceDefinition>, CallError> {
        self.all(None).await
    }

    /// All configurations of webhooks that validate.
    pub(crate) async fn webhooks(&self) -> Result<Vec<ValidatingWebhookConfiguration>, CallError> {
        self.all(None).await
    }

    /// All ValidatingAdmissionPolicies with their bindings; None: it knows no such kinds.
    pub(crate) async fn fences(&self) -> Result<Option<Fences>, CallError> {
        let of = |plural: &str| format!("/apis/admissionregistration.k8s.io/v1/{plural}");
        let policies = match self.pages(&of("validatingadmissionpolicies")).await {
            Err(CallError::Refused(why)) if why.code == 404 => return Ok(None),
            listed => listed?,
        };
        let bindings = self.pages(&of("validatingadmissionpolicybindings")).await?;
        Ok(Some(Fences { policies, bindings }))
    }

    /// Events of a namespace, or of all.
    pub(crate) async fn happened(&self, namespace: Option<&str>) -> Result<Vec<Event>, CallError> {
        self.all(namespace).await
    }

    /// Deployments with these labels, in all namespaces.
    pub(crate) async fn deployments(&self, labels: &str) -> Result<Vec<Value>, CallError> {
        let labels =
            percent_encoding::utf8_percent_encode(labels, percent_encoding::NON_ALPHANUMERIC);
        let path = format!("/apis/apps/v1/deployments?labelSelector={labels}&limit={DEPLOYMENTS}");
        let body = self.own.read(&path, "application/json").await?;
        let mut list: Value = serde_json::from_slice(&body)
            .map_err(|why| CallError::Garbled(format!("a list: column {}", why.column())))?;
        let items = list.get_mut("items").and_then(Value::as_array_mut);
        Ok(items.map(std::mem::take).unwrap_or_default())
    }

    /// Whether whoever is connected may do that.
    pub(crate) async fn may(&self, what: Right<'_>) -> Result<bool, CallError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": what.verb, "group": what.group, "resource": what.resource,
                "namespace": what.namespace,
            }},
        });
        let told = self.own.create(&reviews(), &review).await?;
        let allowed = told.pointer("/status/allowed").and_then(Value::as_bool);
        Ok(allowed.unwrap_or(false))
    }

    /// What would become of a Kustomization that nobody has yet, if it were applied.
    pub(crate) async fn rehearse_kustomization(
        &self,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<(), CallError> {
        let at = Address {
            resource: ApiResource::erase::<Kustomization>(&()),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        let how = Patch {
            format: Format::Apply,
            manager: MANAGER,
            dry_run: true,
            subresource: None,
        };
        let body = object.to_string().into_bytes();
        self.own.patch(&at, how, body).await.map(drop)
    }
}
