//! Whose namespace it is, and which sources of others it may use.
//!
//! A namespace belongs to the Tenant that names it, else it is a tenant of its own, under its own name; where that is the
//! name of a Tenant which does not have it, it is nobody's: it would be taken for that Tenant. One that bears the label of a
//! Tenant is that one's or no Tenant's: so one that is removed and added again finds its own, whoever has named it meanwhile.
//! Of others the oldest Tenant that names one has it. It deliberately judges no spec: the rules over a tenant are Rego, in
//! `admit`. What is decided here is only what rules need to be told: who the tenant is.

mod many;
mod settle;
mod unread;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use reeve_api::name::{
    NamespaceName, NamespacedName, ObjectName, RemotePattern, ServiceAccountName, TenantName,
};
use reeve_api::reason::Reason;
use reeve_api::tenant::Limits;

use crate::failure::{Explained, Failure, Turn};
use crate::spec::SourceRef;
use many::Many;

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
    /// The other clusters that any Kustomization may be carried out on.
    pub remote_clusters: Vec<RemotePattern>,
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

    /// Whether it is either.
    pub fn belongs_to_platform(&self, namespace: &NamespaceName) -> bool {
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
    /// Without a Tenant: whether some Tenant names the source that bears the namespace's name. Then it is that one's.
    pub source_taken: bool,
}

/// What a Tenant object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The sources in config namespaces that it may use.
    pub sources: BTreeSet<ObjectName>,
    /// The remote resources that its kustomizations may name.
    pub remote_bases: Vec<RemotePattern>,
    /// The other clusters that its Kustomizations may be carried out on, beside those that all may.
    pub remote_clusters: Vec<RemotePattern>,
    /// The hosts that its provider plugins may be granted.
    pub plugin_hosts: BTreeSet<String>,
    /// The components that its own plugins may be, by their digests; without, any.
    pub plugin_digests: Option<BTreeSet<String>>,
    /// Its domains, as policies are told.
    pub domains: BTreeSet<String>,
    /// The registries of its own, as policies are told.
    pub registries: BTreeSet<String>,
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
            source_taken: false,
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
    /// Whose the namespaces are by the label that they bear.
    marks: BTreeMap<NamespaceName, TenantName>,
    /// Those that are there, and that nobody has ever read.
    unread: BTreeSet<TenantName>,
    /// Derived, as all below, and kept by `settle`.
    owners: BTreeMap<NamespaceName, TenantName>,
    /// The same by the Tenant.
    owned: Many<TenantName, NamespaceName>,
    /// `marks` by the Tenant.
    marked: Many<TenantName, NamespaceName>,
    /// Who names a namespace.
    naming: Many<NamespaceName, TenantName>,
    /// Who names a source in config namespaces.
    sourcing: Many<ObjectName, TenantName>,
    /// Who belongs to a Project.
    members: Many<ObjectName, TenantName>,
}

/// One Tenant object.
#[derive(Debug, Clone)]
struct Known {
    created: Timestamp,
    namespaces: BTreeSet<NamespaceName>,
    declared: Declared,
}

impl Known {
    /// The namespaces for which it matters whether this is there, under this name.
    fn touches(&self, name: &TenantName) -> BTreeSet<NamespaceName> {
        let sources = self.declared.sources.iter().map(ObjectName::as_str);
        let called = sources.chain([name.as_str()]);
        // What is no namespace's name is no namespace's.
        let called = called.filter_map(|name| name.parse().ok());
        called.chain(self.namespaces.iter().cloned()).collect()
    }
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
    /// Takes in a Tenant object, new or changed. Returns the namespaces for which that may change
    /// anything: those it names, and those that are called like it or like a source that it names.
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
                sources: sources_of(object, &name),
                remote_bases: object.spec.remote_bases.clone(),
                remote_clusters: object.spec.remote_clusters.clone(),
                plugin_hosts: object.spec.plugin_hosts.iter().cloned().collect(),
                plugin_digests: object
                    .spec
                    .plugin_digests
                    .as_ref()
                    .map(|all| all.iter().cloned().collect()),
                domains: object.spec.domains.iter().cloned().collect(),
                registries: object.spec.registries.iter().cloned().collect(),
                project: object.spec.project.clone(),
                service_account: object.spec.service_account_name.clone(),
                weight: Weight::of(object.spec.weight),
                limits: object.spec.limits.unwrap_or_default(),
            },
        };
        let mut touched = self.put(&name, known);
        touched.extend(self.is_read(&name));
        touched
    }

    /// Forgets a Tenant object. Returns the namespaces for which that may change anything.
    pub fn remove(&mut self, name: &TenantName) -> BTreeSet<NamespaceName> {
        let mut touched = self.take(name);
        self.settle(&touched);
        touched.extend(self.is_read(name));
        touched
    }

    /// Takes in whose a namespace is by its label; None: it has none, or is gone. Returns it if that makes it another's.
    pub fn mark(
        &mut self,
        namespace: &NamespaceName,
        whose: Option<TenantName>,
    ) -> BTreeSet<NamespaceName> {
        let withheld = self.unread_of(namespace).cloned();
        self.label(namespace, whose);
        let moved = self.settle_one(namespace);
        let moved = moved || withheld.as_ref() != self.unread_of(namespace);
        moved.then(|| namespace.clone()).into_iter().collect()
    }

    /// Whose the namespace is. Nobody's, so that nothing is done for it, where no Tenant has it and one is called like it:
    /// what goes by the tenant's name would be open to it. The platform's own is the platform's whatever it is called.
    pub fn owner_of(
        &self,
        grounds: &Grounds,
        namespace: &NamespaceName,
    ) -> Result<Tenant, Failure> {
        if let Some((name, known)) = self.found(namespace) {
            return Ok(Tenant {
                name: name.clone(),
                namespaces: self.namespaces_of(name),
                declared: Some(known.declared.clone()),
                source_taken: false,
            });
        }
        if let Some(why) = self.namesake(grounds, namespace) {
            return Err(why);
        }
        let source = namespace.as_str().parse::<ObjectName>();
        Ok(Tenant {
            source_taken: source.is_ok_and(|source| self.sourcing.of(&source).is_some()),
            ..Tenant::of_namespace(namespace)
        })
    }

    /// Why the namespace is nobody's, if it is: it is that of a Tenant that nobody can read, or called like one that does not
    /// have it.
    pub fn namesake(&self, grounds: &Grounds, namespace: &NamespaceName) -> Option<Failure> {
        if self.found(namespace).is_some() || grounds.belongs_to_platform(namespace) {
            return None;
        }
        let taken_for_it = self.is_called_like_one(namespace);
        let why = taken_for_it.then(|| nobodys(namespace));
        self.withheld(namespace).or(why)
    }

    /// By which name the namespace's owner takes its turns and how much it weighs, for who needs no more than that. One
    /// that is nobody's takes nobody's turns.
    pub fn share_of(&self, namespace: &NamespaceName) -> (String, Weight) {
        match self.found(namespace) {
            Some((name, known)) => (name.to_string(), known.declared.weight),
            // No Tenant is called so.
            None if self.is_called_like_one(namespace) => {
                (format!("namespace/{namespace}"), Weight::default())
            }
            None => (namespace.to_string(), Weight::default()),
        }
    }

    /// The sources in config namespaces that Tenants name.
    pub fn sources(&self) -> impl Iterator<Item = &ObjectName> {
        self.sourcing.keys()
    }

    /// The Tenants that name a source in config namespaces.
    pub fn naming(&self, source: &ObjectName) -> impl Iterator<Item = &TenantName> {
        self.sourcing.of(source).into_iter().flatten()
    }

    /// The Tenant that has the namespace, if any does.
    pub fn declared(&self, namespace: &NamespaceName) -> Option<&TenantName> {
        self.owners.get(namespace)
    }

    fn found(&self, namespace: &NamespaceName) -> Option<(&TenantName, &Known)> {
        let name = self.owners.get(namespace)?;
        Some((name, self.objects.get(name)?))
    }

    fn is_called_like_one(&self, namespace: &NamespaceName) -> bool {
        let name = TenantName::from(namespace.clone());
        self.objects.contains_key(&name) || self.unread.contains(&name)
    }

    /// The namespaces that a Tenant really has.
    pub fn namespaces_of(&self, name: &TenantName) -> BTreeSet<NamespaceName> {
        self.owned.of(name).cloned().unwrap_or_default()
    }

    /// The namespaces that a Tenant names and doesn't have, because another one or the platform has them. What bears the label
    /// of one that does not name it is nobody's, and not among them.
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
}

/// The sources in config namespaces that a Tenant may use: those that it names, and the one that is made of it.
fn sources_of(object: &reeve_api::tenant::Tenant, name: &TenantName) -> BTreeSet<ObjectName> {
    let named = object.spec.sources.iter().cloned();
    let own = object.spec.source.as_ref();
    let own = own.and_then(|_| name.as_str().parse().ok());
    named.chain(own).collect()
}

fn nobodys(namespace: &NamespaceName) -> Failure {
    let message = format!(
        "namespace {namespace} is called like Tenant {namespace}, which does not have it: nothing is done for it, since it would be taken for that tenant"
    );
    Explained::new(Reason::AccessDenied, Turn::OwnerOrPolicy, message).with_hint(format!(
        "the platform's: list {namespace} in spec.namespaces of the Tenant that it belongs to, or rename Tenant {namespace}"
    ))
}

/// Whether a Kustomization in `namespace`, which is `tenant`'s, may use `source`.
///
/// It may use those of its own namespace, those in a config namespace that its Tenant names (without a Tenant: the one
/// that bears the namespace's name, if no other's Tenant names it), and in a platform namespace any. A namespace of the platform is never entered by
/// way of a Tenant that names it.
pub fn may_use_source(
    grounds: &Grounds,
    tenant: &Tenant,
    namespace: &NamespaceName,
    source: &SourceRef,
) -> Result<(), Failure> {
    let granted = match &tenant.declared {
        Some(declared) => declared.sources.contains(&source.name),
        None => !tenant.source_taken && source.name.as_str() == namespace.as_str(),
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
    } else if tenant.source_taken {
        format!(
            "use a source in namespace {namespace}, or ask the platform for a Tenant that names {}",
            source.name
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
            remote_clusters: Vec::new(),
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

    fn owner_of(tenants: &Tenants, namespace: &str) -> Tenant {
        tenants.owner_of(&grounds(), &name(namespace)).unwrap()
    }

    const OLD: &str = "2026-01-01T00:00:00Z";
    const NEW: &str = "2026-06-01T00:00:00Z";

    #[test]
    fn a_namespace_without_a_tenant_is_one_of_its_own() {
        let owner = owner_of(&Tenants::default(), "acme");
        assert_eq!(owner, Tenant::of_namespace(&name("acme")));
        assert_eq!(owner.name.as_str(), "acme");
        assert_eq!(owner.reader(&grounds()).as_str(), "flux");
    }

    #[test]
    fn what_bears_the_label_of_a_tenant_that_nobody_can_read_is_nobodys_until_it_can_be_read() {
        let mut tenants = Tenants::default();
        let why = |tenants: &Tenants, namespace: &str| {
            let owner = tenants.owner_of(&grounds(), &name(namespace));
            owner.err().map(|why| (why.reason, why.message))
        };
        tenants.mark(&name("acme-dev"), Some(name("acme")));
        assert_eq!(why(&tenants, "acme-dev"), None, "there is no such Tenant");
        let touched = namespaces(&["acme", "acme-dev"]);
        assert_eq!(tenants.cannot_read(&name("acme")), touched);
        assert_eq!(tenants.cannot_read(&name("acme")), namespaces(&[]));
        for namespace in ["acme-dev", "acme"] {
            let (reason, message) = why(&tenants, namespace).unwrap();
            assert_eq!(reason, Reason::AccessDenied);
            assert!(message.contains("cannot be read"), "{message}");
        }
        assert_eq!(why(&tenants, "other"), None);
        // One that is labelled later, and one that is no more.
        let late = name("late");
        assert_eq!(
            tenants.mark(&late, Some(name("acme"))),
            namespaces(&["late"])
        );
        assert!(why(&tenants, "late").is_some());
        assert_eq!(tenants.mark(&late, None), namespaces(&["late"]));
        assert_eq!(why(&tenants, "late"), None);

        let read = tenants.apply(&tenant("acme", OLD, &["acme-dev"]));
        assert!(read.is_superset(&touched), "{read:?}");
        assert_eq!(owner_of(&tenants, "acme-dev").name.as_str(), "acme");
        // What it said stays, whatever becomes of it.
        assert_eq!(tenants.cannot_read(&name("acme")), namespaces(&[]));
        assert!(owner_of(&tenants, "acme-dev").declared.is_some());
        tenants.remove(&name("acme"));
        assert_eq!(owner_of(&tenants, "acme-dev").declared, None);
        tenants.cannot_read(&name("acme"));
        assert_eq!(tenants.remove(&name("acme")), touched);
        assert_eq!(why(&tenants, "acme-dev"), None);
    }

    #[test]
    fn a_tenant_has_the_namespaces_it_names() {
        let mut tenants = Tenants::default();
        assert_eq!(
            tenants.apply(&tenant("acme", OLD, &["a", "b"])),
            namespaces(&["a", "b", "acme", "shared"])
        );
        let owner = owner_of(&tenants, "b");
        assert_eq!(
            (owner.name.as_str(), &owner.namespaces),
            ("acme", &namespaces(&["a", "b"]))
        );
        assert_eq!(owner.reader(&grounds()).as_str(), "robot");
        assert_eq!(
            tenants.apply(&tenant("acme", OLD, &["b", "c"])),
            namespaces(&["a", "b", "c", "acme", "shared"])
        );
        assert_eq!(owner_of(&tenants, "a").declared, None);
        assert_eq!(
            tenants.remove(&name("acme")),
            namespaces(&["b", "c", "acme", "shared"])
        );
        assert_eq!(owner_of(&tenants, "b").declared, None);
    }

    #[test]
    fn a_namespace_that_is_called_like_a_tenant_which_does_not_have_it_is_nobodys() {
        let mut tenants = Tenants::default();
        tenants.apply(&tenant("gamma", OLD, &["beta"]));
        let may_act = |tenants: &Tenants, namespace: &str| {
            let owner = tenants.owner_of(&grounds(), &name(namespace));
            owner.map(|owner| owner.name.to_string())
        };
        let why = may_act(&tenants, "gamma").unwrap_err();
        assert_eq!(why.reason, Reason::AccessDenied);
        assert!(
            why.message
                .contains("namespace gamma is called like Tenant gamma")
        );
        assert!(
            why.hint
                .is_some_and(|hint| hint.contains("spec.namespaces"))
        );
        assert_eq!(may_act(&tenants, "beta").unwrap(), "gamma");
        assert_eq!(may_act(&tenants, "other").unwrap(), "other");
        let (turns, _) = tenants.share_of(&name("gamma"));
        assert!(
            turns.parse::<TenantName>().is_err(),
            "{turns} may be a Tenant's"
        );
        // It is listed: by this Tenant, or by another.
        tenants.apply(&tenant("gamma", OLD, &["beta", "gamma"]));
        assert_eq!(may_act(&tenants, "gamma").unwrap(), "gamma");
        tenants.apply(&tenant("gamma", OLD, &["beta"]));
        tenants.apply(&tenant("delta", NEW, &["gamma"]));
        assert_eq!(may_act(&tenants, "gamma").unwrap(), "delta");
        assert!(tenants.remove(&name("gamma")).contains(&name("gamma")));
        tenants.remove(&name("delta"));
        assert_eq!(may_act(&tenants, "gamma").unwrap(), "gamma");
    }

    #[test]
    fn the_platforms_namespaces_are_its_own_whatever_tenants_are_called() {
        let mut tenants = Tenants::default();
        for called in ["flux-system", "config"] {
            tenants.apply(&tenant(called, OLD, &["a"]));
            assert_eq!(owner_of(&tenants, called).declared, None);
        }
    }

    #[test]
    fn a_source_that_a_tenant_names_is_not_that_of_the_namespace_whose_name_it_bears() {
        let mut tenants = Tenants::default();
        assert!(!owner_of(&tenants, "shared").source_taken);
        let touched = tenants.apply(&tenant("acme", OLD, &["a"]));
        assert!(touched.contains(&name("shared")));
        assert!(owner_of(&tenants, "shared").source_taken);
        assert!(!owner_of(&tenants, "other").source_taken);
        tenants.remove(&name("acme"));
        assert!(!owner_of(&tenants, "shared").source_taken);
    }

    #[test]
    fn a_source_that_is_made_of_a_tenant_is_that_tenants() {
        let mut tenants = Tenants::default();
        let mut object = tenant("acme", OLD, &["a"]);
        let url = json!({"url": "https://git.example/acme"});
        object.spec.source = serde_json::from_value(url).unwrap();
        tenants.apply(&object);
        let source = |named: &str| SourceRef {
            kind: SourceKind::GitRepository,
            namespace: name("config"),
            name: name(named),
        };
        let may = |tenants: &Tenants, of: &str, named: &str| {
            let owner = owner_of(tenants, of);
            may_use_source(&grounds(), &owner, &name(of), &source(named)).is_ok()
        };
        assert!(may(&tenants, "a", "acme") && may(&tenants, "a", "shared"));
        assert!(!may(&tenants, "other", "acme"));
        object.spec.source = None;
        tenants.apply(&object);
        assert!(!may(&tenants, "a", "acme"));
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
            let (from, on): (NamespaceName, _) =
                (name(from), NamespacedName::new(on, "db").unwrap());
            let owner = owner_of(&tenants, from.as_str());
            may_depend_on(&grounds(), &owner, &from, &on)
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
            assert_eq!(owner_of(&tenants, "shared").name, old);
            assert_eq!(tenants.namespaces_of(&young), namespaces(&["young"]));
            assert_eq!(tenants.lost_by(&grounds(), &old), []);
            let lost = Lost {
                namespace: name("shared"),
                owner: Some(old.clone()),
            };
            assert_eq!(tenants.lost_by(&grounds(), &young), [lost]);
            tenants.remove(&old);
            assert_eq!(owner_of(&tenants, "shared").name, young);
        }
    }

    #[test]
    fn a_namespace_is_whose_label_it_bears_or_no_tenants_however_old_they_are() {
        let mut tenants = Tenants::default();
        let (yy, squat): (TenantName, TenantName) = (name("yy"), name("squat"));
        let at: NamespaceName = name("yy");
        tenants.apply(&tenant("yy", OLD, &["yy"]));
        assert_eq!(tenants.mark(&at, Some(yy.clone())), namespaces(&[]));
        tenants.apply(&tenant("squat", NEW, &["squat", "yy"]));
        assert_eq!(tenants.declared(&at), Some(&yy));

        tenants.remove(&yy);
        assert_eq!(tenants.declared(&at), None, "who waited has it");
        assert_eq!(tenants.lost_by(&grounds(), &squat), []);
        assert_eq!(owner_of(&tenants, "yy").declared, None);

        tenants.apply(&tenant("yy", "2027-01-01T00:00:00Z", &["yy"]));
        assert_eq!(tenants.declared(&at), Some(&yy), "the older one has it");
        let lost = Lost {
            namespace: at.clone(),
            owner: Some(yy),
        };
        assert_eq!(tenants.lost_by(&grounds(), &squat), [lost]);

        assert_eq!(
            tenants.mark(&at, Some(squat.clone())),
            namespaces(&["yy"]),
            "it was adopted"
        );
        assert_eq!(tenants.declared(&at), Some(&squat));
        tenants.apply(&tenant("squat", NEW, &["squat"]));
        assert_eq!(tenants.declared(&at), None);
        assert_eq!(tenants.mark(&at, None), namespaces(&["yy"]));
        assert_eq!(tenants.declared(&at).map(TenantName::as_str), Some("yy"));
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
        that of its name, named      | outbid     | acme        | config/acme      | no
        its own, when that is named  | outbid     | acme        | acme/any         | yes
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
        let declared = owner_of(&tenants, "acme");
        let undeclared = Tenant::of_namespace(&name("acme"));
        let outbid = Tenant {
            source_taken: true,
            ..undeclared.clone()
        };
        let rows = SOURCES.lines().filter(|row| row.contains('|'));
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [says, tenant, from, source, may] = cells[..] else {
                panic!("{row}")
            };
            let tenant = match tenant {
                "declared" => &declared,
                "outbid" => &outbid,
                _ => &undeclared,
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
