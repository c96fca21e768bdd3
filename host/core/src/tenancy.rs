//! Whose namespace it is, and which sources of others it may use.
//!
//! A namespace belongs to the Tenant that names it, else it is a tenant of its own. It deliberately judges no spec:
//! the rules over a tenant are Rego, in `admit`. What is decided here is only what rules need to be told: who the
//! tenant is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reeve_api::name::{
    NamespaceName, NamespacedName, ObjectName, RemotePattern, ServiceAccountName, TenantName,
};
use reeve_api::reason::Reason;
use reeve_api::tenant::Limits;

use crate::failure::{Explained, Failure, Turn};
use crate::spec::SourceRef;

/// What the platform has said about its ground, once for the whole process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grounds {
    /// Namespaces of the platform itself: no rule over tenants is asked there.
    pub platform_namespaces: BTreeSet<NamespaceName>,
    /// Namespaces in which the platform keeps sources for its tenants.
    pub config_namespaces: BTreeSet<NamespaceName>,
    /// The account as which a platform namespace's Kustomization is applied when it names none.
    pub platform_service_account: ServiceAccountName,
    /// The account as which a tenant's Secrets are read when no Tenant says otherwise.
    pub tenant_service_account: ServiceAccountName,
    /// The remote resources that kustomizations in platform namespaces may name.
    pub remote_bases: Vec<RemotePattern>,
}

impl Grounds {
    /// Whether the namespace is the platform's own.
    pub fn is_platform(&self, namespace: &NamespaceName) -> bool {
        self.platform_namespaces.contains(namespace)
    }

    /// Whether the platform keeps tenants' sources in the namespace.
    pub fn is_config(&self, namespace: &NamespaceName) -> bool {
        self.config_namespaces.contains(namespace)
    }

    fn belongs_to_platform(&self, namespace: &NamespaceName) -> bool {
        self.is_platform(namespace) || self.is_config(namespace)
    }
}

/// A tenant: the party that its namespaces belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The name of its Tenant object, else that of its namespace.
    pub name: TenantName,
    /// Its namespaces.
    pub namespaces: BTreeSet<NamespaceName>,
    /// What a Tenant object says about it.
    pub declared: Option<Declared>,
}

/// What a Tenant object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The sources in config namespaces that it may use.
    pub sources: BTreeSet<ObjectName>,
    /// The remote resources that its kustomizations may name.
    pub remote_bases: Vec<RemotePattern>,
    /// The hosts that its provider plugins may be granted.
    pub plugin_hosts: BTreeSet<String>,
    /// The Project that it belongs to.
    pub project: Option<ObjectName>,
    /// The account, in each of its namespaces, as which its Secrets are read.
    pub service_account: ServiceAccountName,
    /// How much of the controller's time it gets while others want it too.
    pub weight: Weight,
    /// The most that it may use, where its Tenant says so.
    pub limits: Limits,
}

/// How much of the controller's time a tenant gets beside others: from 1 to 100 parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u32);

impl Weight {
    const MOST: u32 = 100;

    /// What a Tenant says, or 1. What is out of bounds is the bound.
    pub fn of(said: Option<i32>) -> Self {
        let said = said.map(|said| u32::try_from(said).unwrap_or_default());
        Self(said.unwrap_or(1).clamp(1, Self::MOST))
    }

    /// The number of parts.
    pub fn parts(self) -> u32 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::of(None)
    }
}

impl Tenant {
    /// The tenant that a namespace is by itself.
    pub fn of_namespace(namespace: &NamespaceName) -> Self {
        Self {
            name: namespace.clone().into(),
            namespaces: BTreeSet::from([namespace.clone()]),
            declared: None,
        }
    }

    /// The account as which the tenant's Secrets are read.
    pub fn reader(&self, grounds: &Grounds) -> ServiceAccountName {
        let declared = self
            .declared
            .as_ref()
            .map(|declared| &declared.service_account);
        declared.unwrap_or(&grounds.tenant_service_account).clone()
    }
}

/// All tenants: which namespace is whose.
///
/// A plain struct: whoever watches Tenant objects tells it of each.
#[derive(Debug, Clone, Default)]
pub struct Tenants {
    objects: BTreeMap<TenantName, Known>,
    /// Derived from `objects` on every change: there are few Tenants, and they change seldom.
    owners: BTreeMap<NamespaceName, TenantName>,
}

/// One Tenant object.
#[derive(Debug, Clone)]
struct Known {
    created: Timestamp,
    namespaces: BTreeSet<NamespaceName>,
    declared: Declared,
}

/// A namespace that a Tenant names and doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// The namespace.
    pub namespace: NamespaceName,
    /// Whose it is; none when it is the platform's.
    pub owner: Option<TenantName>,
}

impl Tenants {
    /// Takes in a Tenant object, new or changed. Returns the namespaces whose owner is another now.
    ///
    /// An object without a readable name is left out: nobody can be it.
    pub fn apply(&mut self, object: &reeve_api::tenant::Tenant) -> BTreeSet<NamespaceName> {
        let Some(name) = object
            .metadata
            .name
            .as_deref()
            .and_then(|name| name.parse().ok())
        else {
            return BTreeSet::new();
        };
        // One that the API server has not dated yet is the youngest.
        let created = object.metadata.creation_timestamp.as_ref();
        let known = Known {
            created: created.map_or(Timestamp::MAX, |time| time.0),
            namespaces: object.spec.namespaces.iter().cloned().collect(),
            declared: Declared {
                sources: object.spec.sources.iter().cloned().collect(),
                remote_bases: object.spec.remote_bases.clone(),
                plugin_hosts: object.spec.plugin_hosts.iter().cloned().collect(),
                project: object.spec.project.clone(),
                service_account: object.spec.service_account_name.clone(),
                weight: Weight::of(object.spec.weight),
                limits: object.spec.limits.unwrap_or_default(),
            },
        };
        let mut touched = known.namespaces.clone();
        if let Some(before) = self.objects.insert(name, known) {
            touched.extend(before.namespaces);
        }
        self.settle();
        touched
    }

    /// Forgets a Tenant object. Returns the namespaces that it named.
    pub fn remove(&mut self, name: &TenantName) -> BTreeSet<NamespaceName> {
        let removed = self.objects.remove(name);
        self.settle();
        removed.map(|known| known.namespaces).unwrap_or_default()
    }

    /// Whose the namespace is.
    pub fn owner_of(&self, namespace: &NamespaceName) -> Tenant {
        let owner = self.owners.get(namespace);
        match owner.and_then(|name| Some((name, self.objects.get(name)?))) {
            Some((name, known)) => Tenant {
                name: name.clone(),
                namespaces: self.namespaces_of(name),
                declared: Some(known.declared.clone()),
            },
            None => Tenant::of_namespace(namespace),
        }
    }

    /// Whose the namespace is and how much that tenant weighs, for who needs no more than that.
    pub fn share_of(&self, namespace: &NamespaceName) -> (TenantName, Weight) {
        let owner = self.owners.get(namespace);
        match owner.and_then(|name| Some((name, self.objects.get(name)?))) {
            Some((name, known)) => (name.clone(), known.declared.weight),
            None => (namespace.clone().into(), Weight::default()),
        }
    }

    /// The namespaces that a Tenant really has.
    pub fn namespaces_of(&self, name: &TenantName) -> BTreeSet<NamespaceName> {
        let owned = self.owners.iter().filter(|(_, owner)| *owner == name);
        owned.map(|(namespace, _)| namespace.clone()).collect()
    }

    /// The namespaces that a Tenant names and doesn't have, because an older one or the platform has them.
    pub fn lost_by(&self, grounds: &Grounds, name: &TenantName) -> Vec<Lost> {
        let Some(known) = self.objects.get(name) else {
            return Vec::new();
        };
        let lost = known.namespaces.iter().filter_map(|namespace| {
            let owner = self
                .owners
                .get(namespace)
                .filter(|owner| *owner != name)
                .cloned();
            let lost = owner.is_some() || grounds.belongs_to_platform(namespace);
            lost.then(|| Lost {
                namespace: namespace.clone(),
                owner,
            })
        });
        lost.collect()
    }

    fn settle(&mut self) {
        self.owners.clear();
        // The older wins; of two made in the same second, the first in the alphabet.
        let mut order: Vec<_> = self.objects.iter().collect();
        order.sort_by_key(|(name, known)| (known.created, *name));
        for (name, known) in order {
            for namespace in &known.namespaces {
                self.owners
                    .entry(namespace.clone())
                    .or_insert_with(|| name.clone());
            }
        }
    }
}

/// Whether a Kustomization in `namespace`, which is `tenant`'s, may use `source`.
///
/// It may use those of its own namespace, those in a config namespace that its Tenant names (without a Tenant: the one
/// that bears the namespace's name), and in a platform namespace any. A namespace of the platform is never entered by
/// way of a Tenant that names it.
pub fn may_use_source(
    grounds: &Grounds,
    tenant: &Tenant,
    namespace: &NamespaceName,
    source: &SourceRef,
) -> Result<(), Failure> {
    let granted = match &tenant.declared {
        Some(declared) => declared.sources.contains(&source.name),
        None => source.name.as_str() == namespace.as_str(),
    };
    let own = source.namespace == *namespace;
    let shared = grounds.is_config(&source.namespace) && granted;
    if own || shared || grounds.is_platform(namespace) {
        return Ok(());
    }
    let message = format!("can't access '{source}', cross-namespace references have been blocked");
    let hint = if !grounds.is_config(&source.namespace) {
        format!("use a source in namespace {namespace}")
    } else if tenant.declared.is_some() {
        let name = &source.name;
        format!(
            "use a source in namespace {namespace}, or ask the platform to add {name} to spec.sources of Tenant {}",
            tenant.name
        )
    } else {
        let config = &source.namespace;
        format!(
            "use a source in namespace {namespace}, or the one named {namespace} in namespace {config}"
        )
    };
    Err(Explained::new(Reason::AccessDenied, Turn::OwnerOrPolicy, message).with_hint(hint))
}

/// Whether a Kustomization in `namespace`, which is `tenant`'s, may depend on the Kustomization `other`.
///
/// It may on those of its own tenant's namespaces, and from a platform namespace on any: whether another is ready is
/// nobody's business but its owner's.
pub fn may_depend_on(
    grounds: &Grounds,
    tenant: &Tenant,
    namespace: &NamespaceName,
    other: &NamespacedName,
) -> Result<(), Failure> {
    let of_tenant = tenant.namespaces.contains(&other.namespace);
    let of_platform = grounds.belongs_to_platform(&other.namespace);
    let own = other.namespace == *namespace || (of_tenant && !of_platform);
    if own || grounds.is_platform(namespace) {
        return Ok(());
    }
    let message = format!(
        "can't access 'Kustomization/{other}', cross-namespace references have been blocked"
    );
    let hint = format!("depend on a Kustomization in namespace {namespace}");
    Err(Explained::new(Reason::AccessDenied, Turn::OwnerOrPolicy, message).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_api::kustomization::SourceKind;
    use serde_json::json;

    fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn grounds() -> Grounds {
        Grounds {
            platform_namespaces: BTreeSet::from([name("flux-system")]),
            config_namespaces: BTreeSet::from([name("config")]),
            platform_service_account: name("platform"),
            tenant_service_account: name("flux"),
            remote_bases: Vec::new(),
        }
    }

    fn tenant(called: &str, created: &str, namespaces: &[&str]) -> reeve_api::tenant::Tenant {
        serde_json::from_value(json!({
            "apiVersion": "reeve.dev/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": called, "creationTimestamp": created},
            "spec": {"namespaces": namespaces, "sources": ["shared"], "serviceAccountName": "robot"},
        }))
        .unwrap()
    }

    fn namespaces(names: &[&str]) -> BTreeSet<NamespaceName> {
        names.iter().map(|text| name(text)).collect()
    }

    const OLD: &str = "2026-01-01T00:00:00Z";
    const NEW: &str = "2026-06-01T00:00:00Z";

    #[test]
    fn a_namespace_without_a_tenant_is_one_of_its_own() {
        let owner = Tenants::default().owner_of(&name("acme"));
        assert_eq!(owner, Tenant::of_namespace(&name("acme")));
        assert_eq!(owner.name.as_str(), "acme");
        assert_eq!(owner.reader(&grounds()).as_str(), "flux");
    }

    #[test]
    fn a_tenant_has_the_namespaces_it_names() {
        let mut tenants = Tenants::default();
        assert_eq!(
            tenants.apply(&tenant("acme", OLD, &["a", "b"])),
            namespaces(&["a", "b"])
        );
        let owner = tenants.owner_of(&name("b"));
        assert_eq!(
            (owner.name.as_str(), &owner.namespaces),
            ("acme", &namespaces(&["a", "b"]))
        );
        assert_eq!(owner.reader(&grounds()).as_str(), "robot");
        assert_eq!(
            tenants.apply(&tenant("acme", OLD, &["b", "c"])),
            namespaces(&["a", "b", "c"])
        );
        assert_eq!(tenants.owner_of(&name("a")).declared, None);
        assert_eq!(tenants.remove(&name("acme")), namespaces(&["b", "c"]));
        assert_eq!(tenants.owner_of(&name("b")).declared, None);
    }

    #[test]
    fn a_tenant_weighs_what_it_says_within_bounds_and_one_without() {
        let mut tenants = Tenants::default();
        for (said, weighs) in [(None, 1), (Some(3), 3), (Some(-7), 1), (Some(9000), 100)] {
            let mut object = tenant("acme", OLD, &["a"]);
            object.spec.weight = said;
            tenants.apply(&object);
            let (whose, weight) = tenants.share_of(&name("a"));
            assert_eq!(
                (whose.as_str(), weight.parts()),
                ("acme", weighs),
                "{said:?}"
            );
        }
        let (whose, weight) = tenants.share_of(&name("b"));
        assert_eq!((whose.as_str(), weight), ("b", Weight::default()));
    }

    #[test]
    fn a_kustomization_depends_on_its_own_tenants_and_a_platforms_on_any() {
        let mut tenants = Tenants::default();
        tenants.apply(&tenant("acme", OLD, &["a", "b", "flux-system", "config"]));
        let may = |from: &str, on: &str| {
            let (from, on) = (name(from), NamespacedName::new(on, "db").unwrap());
            may_depend_on(&grounds(), &tenants.owner_of(&from), &from, &on)
        };
        for (from, on) in [
            ("a", "a"),
            ("a", "b"),
            ("other", "other"),
            ("flux-system", "a"),
        ] {
            assert!(may(from, on).is_ok(), "{from} on {on}");
        }
        for (from, on) in [
            ("a", "other"),
            ("other", "a"),
            ("a", "flux-system"),
            ("a", "config"),
        ] {
            let why = may(from, on).unwrap_err();
            assert_eq!(why.reason, Reason::AccessDenied);
            let want = format!(
                "can't access 'Kustomization/{on}/db', cross-namespace references have been blocked"
            );
            assert_eq!(why.message, want);
        }
    }

    #[test]
    fn of_two_tenants_that_name_one_namespace_the_older_has_it_and_the_other_is_told() {
        for order in [["young", "old"], ["old", "young"]] {
            let mut tenants = Tenants::default();
            for called in order {
                let created = if called == "old" { OLD } else { NEW };
                tenants.apply(&tenant(called, created, &["shared", called]));
            }
            let (old, young): (TenantName, TenantName) = (name("old"), name("young"));
            assert_eq!(tenants.owner_of(&name("shared")).name, old);
            assert_eq!(tenants.namespaces_of(&young), namespaces(&["young"]));
            assert_eq!(tenants.lost_by(&grounds(), &old), []);
            let lost = Lost {
                namespace: name("shared"),
                owner: Some(old.clone()),
            };
            assert_eq!(tenants.lost_by(&grounds(), &young), [lost]);
            tenants.remove(&old);
            assert_eq!(tenants.owner_of(&name("shared")).name, young);
        }
    }

    #[test]
    fn a_tenant_is_told_that_a_namespace_is_the_platforms() {
        let mut tenants = Tenants::default();
        tenants.apply(&tenant("acme", OLD, &["flux-system"]));
        let lost = Lost {
            namespace: name("flux-system"),
            owner: None,
        };
        assert_eq!(tenants.lost_by(&grounds(), &name("acme")), [lost]);
    }

    /// What it is, whose Kustomization wants it, from which namespace, which source, and whether it may.
    const SOURCES: &str = "
        its own                      | undeclared | acme        | acme/any         | yes
        a neighbour's                | undeclared | acme        | other/any        | no
        that of its name             | undeclared | acme        | config/acme      | yes
        that of another name         | undeclared | acme        | config/web       | no
        the platform's own           | undeclared | acme        | flux-system/acme | no
        one that was granted         | declared   | acme        | config/shared    | yes
        one that was not             | declared   | acme        | config/acme      | no
        a granted name elsewhere     | declared   | acme        | third/shared     | no
        that of its other namespace  | declared   | acme        | other/any        | no
        any, for the platform        | undeclared | flux-system | acme/web         | yes
        any, for a config namespace  | undeclared | config      | acme/web         | no
    ";

    #[test]
    fn a_source_is_used_from_its_own_namespace_or_where_the_platform_granted_it() {
        let mut tenants = Tenants::default();
        tenants.apply(&tenant("declared", OLD, &["acme", "other"]));
        let declared = tenants.owner_of(&name("acme"));
        let undeclared = Tenant::of_namespace(&name("acme"));
        let rows = SOURCES.lines().filter(|row| row.contains('|'));
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [says, tenant, from, source, may] = cells[..] else {
                panic!("{row}")
            };
            let tenant = if tenant == "declared" {
                &declared
            } else {
                &undeclared
            };
            let (namespace, named) = source.split_once('/').unwrap();
            let source = SourceRef {
                kind: SourceKind::GitRepository,
                namespace: name(namespace),
                name: name(named),
            };
            let told = may_use_source(&grounds(), tenant, &name(from), &source);
            assert_eq!(told.is_ok(), may == "yes", "{says}");
            let Err(failure) = told else { continue };
            let blocked = "cross-namespace references have been blocked";
            assert_eq!(
                failure.message,
                format!("can't access '{source}', {blocked}")
            );
            assert_eq!(failure.reason, Reason::AccessDenied);
            assert!(failure.hint.is_some());
        }
    }
}
