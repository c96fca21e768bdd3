//! The CustomResourceDefinitions, generated from the types.
//!
//! What the derive cannot say is added here: the labels and annotations, the status every object begins with, and the
//! older versions (in `legacy`). Nothing is applied to a cluster from here; the same definitions are checked in as the
//! chart `reeve-crds`, and a test keeps them equal.

use crate::kustomization::Kustomization;
use crate::legacy;
use crate::plugin::{ClusterPlugin, Plugin};
use crate::policy::Policy;
use crate::receiver::Receiver;
use crate::source::GitRepository;
use crate::tenant::{Project, Tenant};
use crate::writeback::WriteBack;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSON, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt as _;
use std::collections::BTreeMap;

/// The release of Flux whose schemas these are; `flux check` shows it as the distribution.
const FLUX_RELEASE: &str = "v2.9.4";

/// All CustomResourceDefinitions, in the order in which they should be applied.
///
/// ```
/// let kinds: Vec<_> = reeve_api::crds().into_iter().map(|crd| crd.spec.names.kind).collect();
/// assert_eq!(kinds, ["GitRepository", "Kustomization", "Receiver", "Tenant", "Project", "Plugin", "ClusterPlugin", "Policy", "WriteBack"]);
/// ```
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        flux(GitRepository::crd(), legacy::git_repository),
        flux(Kustomization::crd(), legacy::kustomization),
        flux(Receiver::crd(), legacy::receiver),
        ours(Tenant::crd()),
        ours(Project::crd()),
        ours(Plugin::crd()),
        ours(ClusterPlugin::crd()),
        ours(Policy::crd()),
        ours(WriteBack::crd()),
    ]
}

/// One of Flux's kinds: labelled as Flux labels it, and served in its older versions too.
fn flux(crd: CustomResourceDefinition, older: legacy::Fields) -> CustomResourceDefinition {
    let mut crd = finished(
        crd,
        [
            ("app.kubernetes.io/instance", "flux-system"),
            ("app.kubernetes.io/part-of", "flux"),
            ("app.kubernetes.io/version", FLUX_RELEASE),
        ],
    );
    let kind = crd.spec.names.kind.clone();
    let beta: Vec<_> = (crd.spec.versions.iter())
        .flat_map(|stored| {
            ["v1beta1", "v1beta2"].map(|name| older_version(stored, &kind, name, older))
        })
        .collect();
    crd.spec.versions.extend(beta);
    crd
}

/// One of our own kinds.
fn ours(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    finished(crd, [("app.kubernetes.io/part-of", "reeve")])
}

/// What the derive left out, for every kind.
fn finished<const N: usize>(
    mut crd: CustomResourceDefinition,
    labels: [(&str, &str); N],
) -> CustomResourceDefinition {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    crd.metadata.labels = Some(labels.map(owned).into());
    crd.metadata.annotations = Some(BTreeMap::from(
        [
            // A CRD's schema may hold `${…}`; it is no variable.
            ("kustomize.toolkit.fluxcd.io/substitute", "disabled"),
            // Deleting a CRD deletes every object of its kind.
            ("helm.sh/resource-policy", "keep"),
        ]
        .map(owned),
    ));
    // What the API server would fill in; said here, so that what is applied equals what is there.
    crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
    for version in &mut crd.spec.versions {
        if let Some(root) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        {
            tidy(root);
            root.title = None;
            let status = root
                .properties
                .as_mut()
                .and_then(|fields| fields.get_mut("status"));
            if let Some(status) = status {
                // Until the first reconcile: lower than any generation, so nobody takes "no conditions" for "fine".
                status.default = Some(JSON(serde_json::json!({ "observedGeneration": -1 })));
            }
        }
    }
    crd
}

/// What is not set is absent, as in Flux's schemas, and never `null`; and prose has no line ends but those that mean
/// something, because whoever shows it (`kubectl explain`) breaks lines to the width there is.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.description = schema.description.take().map(|text| unwrapped(&text));
    schema
        .properties
        .iter_mut()
        .flat_map(BTreeMap::values_mut)
        .for_each(tidy);
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

/// Paragraphs and items of a list, each on one line.
fn unwrapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines().map(str::trim) {
        let fresh = out.is_empty() || out.ends_with('\n');
        if line.is_empty() {
            out.push_str(if out.ends_with("\n\n") { "" } else { "\n\n" });
        } else if line.starts_with("- ") && !fresh {
            out.push('\n');
        } else if !fresh {
            out.push(' ');
        }
        out.push_str(line);
    }
    out
}

/// The stored version's schema with the fields that only an older version had.
///
/// There is no conversion but the change of `apiVersion`, so whatever an older version accepts must be something that
/// the stored version accepts; only fields without an effect may be added, and they are dropped on the way in.
fn older_version(
    stored: &CustomResourceDefinitionVersion,
    kind: &str,
    name: &str,
    older: legacy::Fields,
) -> CustomResourceDefinitionVersion {
    let mut version = stored.clone();
    version.name = name.to_owned();
    version.storage = false;
    version.deprecated = Some(true);
    version.deprecation_warning = Some(format!(
        "{name} {kind} is deprecated, upgrade to {}",
        stored.name
    ));
    let spec = (version.schema.as_mut())
        .and_then(|schema| schema.open_api_v3_schema.as_mut())
        .and_then(|root| root.properties.as_mut())
        .and_then(|fields| fields.get_mut("spec"));
    if let Some(fields) = spec.and_then(|spec| spec.properties.as_mut()) {
        fields.extend(older());
    }
    version
}

#[cfg(test)]
mod tests;
