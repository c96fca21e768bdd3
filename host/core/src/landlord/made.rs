//! The objects that are made of a Tenant.
//!
//! Each is what server-side apply is sent, and says no field more than the landlord keeps.

use std::collections::BTreeMap;

use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::source::GitRepositoryRef;
use reeve_api::tenant::{
    ContainerDefaults, NetworkDefault, Reader, Tenant, TenantReceiver, TenantSource,
};
use reeve_api::{
    DEFINED_BY, GIT_CONFIG, KUSTOMIZE_GROUP, MADE_BY, NOTIFICATION_GROUP, POLLING, SOURCE_GROUP,
    TENANT_LABEL,
};
use serde_json::{Value, json};

use super::{MANAGED_BY, Terms, VIEW};
use crate::gitconfig::DEFAULT_INTERVAL;
use crate::labelled::Labelled;

/// The Role, and its binding, by which the delivery may act as a namespace's account.
pub const GRANT: &str = "reeve-delivery";
/// What a namespace's quota, defaults of containers and default NetworkPolicy are called.
const TENANT: &str = "reeve-tenant";
/// What the bindings of readers are called.
const READERS: &str = "reeve-tenant-readers";
const EXEC: &str = "reeve-tenant-exec";
const RBAC: &str = "rbac.authorization.k8s.io";

/// A kind of which the landlord makes objects, and none else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Made {
    /// A tenant's namespace.
    Namespace,
    /// The account in it.
    ServiceAccount,
    /// Who has which role in it.
    RoleBinding,
    /// As whom the delivery may act.
    Role,
    /// How much may be there.
    ResourceQuota,
    /// What containers have that say nothing.
    LimitRange,
    /// What reaches its pods.
    NetworkPolicy,
    /// What is fetched for it.
    GitRepository,
    /// What a forge calls.
    Receiver,
    /// What is applied to it.
    Kustomization,
}

impl Made {
    /// Of these, what the spec asks for no more is deleted.
    pub const PRUNED: [Self; 4] = [
        Self::RoleBinding,
        Self::ResourceQuota,
        Self::LimitRange,
        Self::NetworkPolicy,
    ];

    /// API group, version, kind and plural.
    pub fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Namespace => ("", "v1", "Namespace", "namespaces"),
            Self::ServiceAccount => ("", "v1", "ServiceAccount", "serviceaccounts"),
            Self::RoleBinding => (RBAC, "v1", "RoleBinding", "rolebindings"),
            Self::Role => (RBAC, "v1", "Role", "roles"),
            Self::ResourceQuota => ("", "v1", "ResourceQuota", "resourcequotas"),
            Self::LimitRange => ("", "v1", "LimitRange", "limitranges"),
            Self::NetworkPolicy => (
                "networking.k8s.io",
                "v1",
                "NetworkPolicy",
                "networkpolicies",
            ),
            Self::GitRepository => (SOURCE_GROUP, "v1", "GitRepository", "gitrepositories"),
            Self::Receiver => (NOTIFICATION_GROUP, "v1", "Receiver", "receivers"),
            Self::Kustomization => (KUSTOMIZE_GROUP, "v1", "Kustomization", "kustomizations"),
        }
    }

    /// `group/version`, or the version alone.
    pub fn api_version(self) -> String {
        match self.names() {
            ("", version, ..) => version.to_owned(),
            (group, version, ..) => format!("{group}/{version}"),
        }
    }
}

/// An object that is to be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Its kind.
    pub kind: Made,
    /// Where; None for a namespace.
    pub namespace: Option<NamespaceName>,
    /// Its name.
    pub name: String,
    /// All that is said of it.
    pub object: Value,
}

impl Wanted {
    /// The same, which says under which definition of Tenants it was made where somebody has to know it once the Tenant is gone:
    /// of what lets the delivery act.
    #[must_use]
    pub fn under(mut self, definition: &str) -> Self {
        let grants = self.kind == Made::RoleBinding && self.name == GRANT;
        if grants && let Some(meta) = self.object.get_mut("metadata") {
            merge(meta, json!({"annotations": {DEFINED_BY: definition}}));
        }
        self
    }
}

/// The least of a namespace that is not there yet. It says who has made it, which nothing that is applied later says or takes
/// away.
pub fn fresh(name: &TenantName, namespace: &NamespaceName) -> Wanted {
    let (made, by) = MADE_BY;
    let meta = json!({"name": namespace, "labels": marks(name), "annotations": {made: by}});
    wanted(Made::Namespace, None, namespace.as_str(), meta)
}

/// The namespace itself.
pub fn namespace(name: &TenantName, tenant: &Tenant, namespace: &NamespaceName) -> Wanted {
    let given = tenant.spec.namespace_metadata.clone().unwrap_or_default();
    let theirs = |all: BTreeMap<String, String>| {
        let all = all.into_iter().filter(|(key, _)| !is_reserved(key));
        all.collect::<BTreeMap<String, String>>()
    };
    let mut labels = theirs(given.labels);
    labels.extend(marks(name));
    if let Some(level) = tenant.spec.pod_security {
        let enforce = "pod-security.kubernetes.io/enforce".to_owned();
        labels.insert(enforce, level.as_str().to_owned());
    }
    let annotations = theirs(given.annotations);
    let mut meta = json!({"name": namespace, "labels": labels});
    if !annotations.is_empty() {
        merge(&mut meta, json!({"annotations": annotations}));
    }
    wanted(Made::Namespace, None, namespace.as_str(), meta)
}

/// What is in each of the namespaces, in the order in which it is made.
pub fn within(
    terms: &Terms,
    name: &TenantName,
    tenant: &Tenant,
    namespace: &NamespaceName,
) -> Vec<Wanted> {
    let spec = &tenant.spec;
    let account = spec.service_account_name.as_str();
    let make = |kind, called: &str, rest: Value| {
        let mut made = marked(kind, namespace, called, name);
        merge(&mut made.object, rest);
        made
    };
    let mut subjects = vec![subject(namespace, account)];
    subjects.extend(spec.owners.iter().map(|owner| group(owner)));
    // The role's name is part of the binding's, since a binding cannot be changed to another role.
    let bound = format!("reeve-{}", spec.role);
    let given = json!({"roleRef": role("ClusterRole", spec.role.as_str()), "subjects": subjects});
    let acts = json!({
        "apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": [account],
        "verbs": ["impersonate"],
    });
    let delivery = subject(&terms.home, terms.delivery.as_str());
    let granted = json!({"roleRef": role("Role", GRANT), "subjects": [delivery]});
    let mut all = vec![
        make(Made::ServiceAccount, account, json!({})),
        make(Made::RoleBinding, &bound, given),
        make(Made::Role, GRANT, json!({"rules": [acts]})),
        make(Made::RoleBinding, GRANT, granted),
    ];
    all.extend(
        readers(terms, &spec.readers).map(|(called, more)| make(Made::RoleBinding, called, more)),
    );
    if !spec.quota.is_empty() {
        let hard = json!({"spec": {"hard": spec.quota}});
        all.push(make(Made::ResourceQuota, TENANT, hard));
    }
    if let Some(defaults) = &spec.container_defaults {
        all.push(make(Made::LimitRange, TENANT, limits(defaults)));
    }
    if let Some(default) = spec.network_policy {
        let policy = json!({"spec": network(default, name)});
        all.push(make(Made::NetworkPolicy, TENANT, policy));
    }
    all
}

/// Where what delivers is to lie: where it lies already, else in the first of the namespaces. Whoever orders them anew moves
/// nothing.
pub fn home(
    named: &[NamespaceName],
    lies: impl Fn(&NamespaceName) -> bool,
) -> Option<&NamespaceName> {
    let mut there = named.iter().filter(|&one| lies(one));
    there.next().or_else(|| named.first())
}

/// What delivers to that one of the namespaces, if the spec names a repository.
pub fn delivered(
    terms: &Terms,
    name: &TenantName,
    tenant: &Tenant,
    home: &NamespaceName,
) -> Vec<Wanted> {
    let (Some(source), Some(config)) = (&tenant.spec.source, &terms.config_namespace) else {
        return Vec::new();
    };
    let make = |kind, at: &NamespaceName, spec: Value| {
        let mut labels = marks(name);
        labels.extend(terms.label.as_ref().map(Labelled::entry));
        let meta = json!({"name": name.as_str(), "namespace": at, "labels": labels});
        let mut made = wanted(kind, Some(at), name.as_str(), meta);
        merge(&mut made.object, json!({"spec": spec}));
        made
    };
    let mut followed = make(Made::GitRepository, config, repository(source));
    if source.interval.is_none()
        && let Some(meta) = followed.object.get_mut("metadata")
    {
        merge(meta, json!({"annotations": {POLLING: GIT_CONFIG}}));
    }
    let mut all = vec![followed];
    if let Some(receiver) = &source.receiver {
        all.push(make(Made::Receiver, config, hook(receiver, name)));
    }
    let from = json!({"kind": "GitRepository", "name": name.as_str(), "namespace": config});
    let spec = json!({
        "interval": "1h", "path": source.path, "prune": true, "sourceRef": from,
        "serviceAccountName": tenant.spec.service_account_name, "targetNamespace": home,
    });
    all.push(make(Made::Kustomization, home, spec));
    all
}

/// The bindings of readers: all of them look, and some run commands.
fn readers<'t>(
    terms: &'t Terms,
    readers: &'t [Reader],
) -> impl Iterator<Item = (&'static str, Value)> {
    let looking = (READERS, VIEW, false);
    let running = (EXEC, terms.exec.as_str(), true);
    [looking, running]
        .into_iter()
        .filter_map(move |(called, given, exec)| {
            let bound = readers.iter().filter(|reader| reader.exec || !exec);
            let subjects: Vec<Value> = bound.map(|reader| group(&reader.group)).collect();
            let binding = json!({"roleRef": role("ClusterRole", given), "subjects": subjects});
            (!subjects.is_empty()).then_some((called, binding))
        })
}

fn limits(defaults: &ContainerDefaults) -> Value {
    let mut of_containers = json!({"type": "Container"});
    for (field, values) in [
        ("default", &defaults.limits),
        ("defaultRequest", &defaults.requests),
    ] {
        if !values.is_empty() {
            merge(&mut of_containers, json!({field: values}));
        }
    }
    json!({"spec": {"limits": [of_containers]}})
}

fn group(name: &str) -> Value {
    json!({"kind": "Group", "apiGroup": RBAC, "name": name})
}

fn subject(namespace: &NamespaceName, account: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": account, "namespace": namespace})
}

fn role(kind: &str, name: &str) -> Value {
    json!({"apiGroup": RBAC, "kind": kind, "name": name})
}

/// A label or an annotation that says what only the platform's own programs say.
pub(super) fn is_reserved(key: &str) -> bool {
    let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
    let within = |domain: &str| {
        prefix == domain
            || prefix
                .strip_suffix(domain)
                .is_some_and(|rest| rest.ends_with('.'))
    };
    ["reeve.dev", "kubernetes.io", "k8s.io"]
        .into_iter()
        .any(within)
}

fn marks(name: &TenantName) -> BTreeMap<String, String> {
    let (key, value) = MANAGED_BY;
    BTreeMap::from([
        (TENANT_LABEL.to_owned(), name.to_string()),
        (key.to_owned(), value.to_owned()),
    ])
}

fn marked(kind: Made, namespace: &NamespaceName, called: &str, name: &TenantName) -> Wanted {
    let meta = json!({"name": called, "namespace": namespace, "labels": marks(name)});
    wanted(kind, Some(namespace), called, meta)
}

fn wanted(kind: Made, namespace: Option<&NamespaceName>, name: &str, meta: Value) -> Wanted {
    let (_, _, called, _) = kind.names();
    Wanted {
        kind,
        namespace: namespace.cloned(),
        name: name.to_owned(),
        object: json!({"apiVersion": kind.api_version(), "kind": called, "metadata": meta}),
    }
}

fn merge(object: &mut Value, more: Value) {
    if let (Some(fields), Value::Object(more)) = (object.as_object_mut(), more) {
        fields.extend(more);
    }
}

fn network(default: NetworkDefault, name: &TenantName) -> Value {
    let from = match default {
        NetworkDefault::Nobody => json!([]),
        NetworkDefault::OwnNamespaces => {
            let own = json!({"matchLabels": {TENANT_LABEL: name.as_str()}});
            json!([{"from": [{"namespaceSelector": own}]}])
        }
    };
    json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": from})
}

/// What of the repository is followed.
pub(super) fn reference(source: &TenantSource) -> GitRepositoryRef {
    let main = || GitRepositoryRef {
        branch: Some("main".to_owned()),
        ..GitRepositoryRef::default()
    };
    source.reference.clone().unwrap_or_else(main)
}

fn repository(source: &TenantSource) -> Value {
    let reference = reference(source);
    // What is not said is git configuration's to say; then this is what others see who read the object.
    let usual = || DEFAULT_INTERVAL.into();
    let interval = source.interval.clone().unwrap_or_else(usual);
    let mut spec = json!({"interval": interval, "url": source.url, "ref": reference});
    if let Some(secret) = &source.secret_ref {
        merge(&mut spec, json!({"secretRef": secret}));
    }
    spec
}

fn hook(receiver: &TenantReceiver, name: &TenantName) -> Value {
    json!({
        "type": receiver.kind, "secretRef": receiver.secret_ref,
        "resources": [{"kind": "GitRepository", "name": name.as_str()}],
    })
}
