//! The policies that are always in force, said once more in CEL: for the API server, which then refuses at the door.
//!
//! A `ValidatingAdmissionPolicy` each, and its binding. They ask what can be known of a Kustomization as it is written;
//! what would be applied is judged by the reconcile all the same, and nothing relies on these. CEL knows no Tenants: those
//! that there are, are written out, so a Tenant that changes wants this written anew.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::name::{NamespaceName, ObjectName};
use serde_json::{Value, json};

use super::named;
use crate::tenancy::{Grounds, Tenants};

/// Said in front of each message.
const WHO: &str = "'Kustomization ' + request.namespace + '/' + object.metadata.name + ': '";

/// The manifests, policy by policy.
pub fn manifests(
    grounds: &Grounds,
    tenants: &Tenants,
    namespaces: &BTreeSet<NamespaceName>,
) -> Vec<Value> {
    let account =
        "has(object.spec.serviceAccountName) && object.spec.serviceAccountName.trim() != ''";
    let no_account = format!(
        "{WHO} + 'spec.serviceAccountName is missing; set it to an account in namespace ' + request.namespace"
    );
    let target =
        "has(object.spec.targetNamespace) && object.spec.targetNamespace == request.namespace";
    let other_target = format!(
        "{WHO} + 'spec.targetNamespace is ' + (has(object.spec.targetNamespace) && object.spec.targetNamespace != '' \
         ? object.spec.targetNamespace : 'missing') + '; set it to ' + request.namespace + ', the namespace of the Kustomization'"
    );
    let foreign = format!(
        "{WHO} + 'spec.sourceRef names ' + object.spec.sourceRef.kind + ' ' + variables.source + '/' + \
         object.spec.sourceRef.name + ', which is not tenant ' + variables.tenant + '\\'s; use a source in namespace ' + \
         request.namespace + ', or have the platform team name it in your Tenant'"
    );
    let known = Known::of(grounds, tenants, namespaces);
    [
        policy("service-account", &[], account, &no_account, grounds),
        policy(
            "source-ownership",
            &known.variables(grounds),
            OWNED,
            &foreign,
            grounds,
        ),
        policy("target-namespace", &[], target, &other_target, grounds),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A source is the tenant's in a namespace of the tenant, or where the platform keeps it and the Tenant names it or,
/// without a Tenant, it bears the namespace's name and no Tenant names it.
const OWNED: &str = "variables.source == request.namespace || \
    (request.namespace + '/' + variables.source) in variables.own || \
    (variables.source in variables.config && (request.namespace in variables.declared \
    ? (request.namespace + '/' + object.spec.sourceRef.name) in variables.named \
    : object.spec.sourceRef.name == request.namespace && !(request.namespace in variables.taken)))";

/// What Tenants say, namespace by namespace. A name holds no `/`, so that pairs can be told apart.
#[derive(Default)]
struct Known {
    /// The namespaces that are a Tenant's, and its name.
    names: BTreeMap<String, String>,
    /// `namespace/other namespace of the same Tenant`.
    own: BTreeSet<String>,
    /// `namespace/source that its Tenant names`.
    named: BTreeSet<String>,
    /// All sources that Tenants name: those of no namespace that merely bears the name.
    taken: BTreeSet<ObjectName>,
}

impl Known {
    fn of(grounds: &Grounds, tenants: &Tenants, namespaces: &BTreeSet<NamespaceName>) -> Self {
        let mut known = Self {
            taken: tenants.sources().cloned().collect(),
            ..Self::default()
        };
        for namespace in namespaces {
            // Of one that is nobody's there is nothing to say.
            let Ok(tenant) = tenants.owner_of(grounds, namespace) else {
                continue;
            };
            let Some(declared) = &tenant.declared else {
                continue;
            };
            known
                .names
                .insert(namespace.to_string(), tenant.name.to_string());
            let others = tenant.namespaces.iter().filter(|other| *other != namespace);
            known
                .own
                .extend(others.map(|other| format!("{namespace}/{other}")));
            let sources = declared.sources.iter();
            known
                .named
                .extend(sources.map(|source| format!("{namespace}/{source}")));
        }
        known
    }

    fn variables(&self, grounds: &Grounds) -> [(&'static str, String); 8] {
        let pairs = self.names.iter();
        let names: Vec<String> = pairs
            .map(|(namespace, name)| format!("'{namespace}': '{name}'"))
            .collect();
        [
            (
                "source",
                "has(object.spec.sourceRef.namespace) && object.spec.sourceRef.namespace != '' \
                 ? object.spec.sourceRef.namespace : request.namespace"
                    .to_owned(),
            ),
            ("config", list(&grounds.config_namespaces)),
            ("declared", list(self.names.keys())),
            ("own", list(&self.own)),
            ("named", list(&self.named)),
            ("taken", list(&self.taken)),
            ("names", format!("{{{}}}", names.join(", "))),
            (
                "tenant",
                "request.namespace in variables.names ? variables.names[request.namespace] : request.namespace"
                    .to_owned(),
            ),
        ]
    }
}

/// A list in CEL. None of the names can hold a quote.
fn list<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| format!("'{item}'")).collect();
    format!("[{}]", items.join(", "))
}

fn policy(
    name: &str,
    variables: &[(&str, String)],
    expression: &str,
    message: &str,
    grounds: &Grounds,
) -> [Value; 2] {
    let title = named(name).map_or("", |shipped| title(shipped.source));
    let full = format!("reeve-{name}");
    let labels = json!({"app.kubernetes.io/part-of": "reeve"});
    let variables: Vec<Value> = variables
        .iter()
        .map(|(name, expression)| json!({"name": name, "expression": expression}))
        .collect();
    let mut constraints = json!({
        "resourceRules": [{
            "apiGroups": ["kustomize.toolkit.fluxcd.io"],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["kustomizations"],
        }],
    });
    let platform: Vec<&str> = grounds
        .platform_namespaces
        .iter()
        .map(AsRef::as_ref)
        .collect();
    if let (Some(fields), false) = (constraints.as_object_mut(), platform.is_empty()) {
        // In the platform's own namespaces no rule over tenants is asked.
        let key = "kubernetes.io/metadata.name";
        let outside =
            json!({"matchExpressions": [{"key": key, "operator": "NotIn", "values": platform}]});
        fields.insert("namespaceSelector".to_owned(), outside);
    }
    let mut spec = json!({
        "failurePolicy": "Fail",
        "matchConstraints": constraints,
        // What is on its way out, and what stays as it is, must go on being written: its finalizers, for one.
        "matchConditions": [
            {"name": "not-being-deleted", "expression": "!has(object.metadata.deletionTimestamp)"},
            {"name": "new-or-changed", "expression": "request.operation == 'CREATE' || object.spec != oldObject.spec"},
        ],
        "validations": [{"expression": expression, "message": title, "messageExpression": message, "reason": "Forbidden"}],
    });
    if let (Some(fields), false) = (spec.as_object_mut(), variables.is_empty()) {
        fields.insert("variables".to_owned(), variables.into());
    }
    let version = "admissionregistration.k8s.io/v1";
    [
        json!({
            "apiVersion": version, "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": full, "labels": labels}, "spec": spec,
        }),
        json!({
            "apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": full, "labels": labels},
            "spec": {"policyName": full, "validationActions": ["Deny"]},
        }),
    ]
}

/// What the policy says of itself.
fn title(source: &str) -> &str {
    let mut titles = source
        .lines()
        .filter_map(|line| line.strip_prefix("# title: "));
    titles.next().unwrap_or_default()
}
