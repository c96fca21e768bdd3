//! Who is touched by what: a plain struct that watches feed and everyone asks.
//!
//! An artifact touches the Kustomizations that use it, a Secret what is configured by it, a plugin the Kustomizations under it,
//! a webhook what its Receiver names. Every `apply` and `remove` of something that Kustomizations are under returns those it
//! touched, before and after, so that who lost something is woken too.
//!
//! What it deliberately doesn't: lock, watch or hold whole objects. The shell's `index` keeps one behind a lock.

mod appliers;
mod configured;
mod entries;
mod hooks;
mod included;
mod policies;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use reeve_api::kustomization::SourceKind;
use reeve_api::name::{NamespaceName, NamespacedName, ObjectName, PolicyName};
use reeve_api::plugin::Selector;
use reeve_api::receiver::{ReceiverResource, ReceiverResourceKind};
use sha2::{Digest as _, Sha256};

use crate::plugin::PluginId;
pub use crate::webhook::{Hook, Standing};
pub use configured::{Configured, Sake};
pub use entries::EntryHook;
pub use policies::Guard;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// An object that can be woken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A GitRepository.
    Source(NamespacedName),
    /// A Kustomization.
    Kustomization(NamespacedName),
    /// A Receiver.
    Receiver(NamespacedName),
    /// A Plugin or a ClusterPlugin.
    Plugin(PluginId),
    /// A Policy.
    Policy(PolicyName),
    /// A WriteBack.
    WriteBack(NamespacedName),
}

/// What matters of a GitRepository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Its labels.
    pub labels: Labels,
    /// The Secrets of its namespace that it names.
    pub secrets: BTreeSet<ObjectName>,
    /// The GitRepositories of its namespace that it includes.
    pub includes: BTreeSet<ObjectName>,
}

/// What matters of a Kustomization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applier {
    /// The kind of the source it applies.
    pub kind: SourceKind,
    /// The source it applies.
    pub source: NamespacedName,
    /// Its labels.
    pub labels: Labels,
    /// The Secrets and ConfigMaps of its namespace that it names.
    pub secrets: BTreeSet<ObjectName>,
}

/// What matters of a Receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What it wakes.
    pub resources: Vec<ReceiverResource>,
    /// The Secret of its namespace that it names.
    pub secret: Option<ObjectName>,
    /// Where it is called, once its token is known.
    pub hook: Option<(String, Arc<Hook>)>,
    /// Whether this process computed that path; else the status said so, which others may have written.
    pub computed: bool,
    /// When the Receiver was made.
    pub since: Option<Timestamp>,
}

/// What matters of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// Where among others it is called.
    pub order: i32,
    /// The Kustomizations it is called for; None: for none, since it is not of that world.
    pub selector: Option<Selector>,
    /// The GitRepository that its component comes from.
    pub source: Option<NamespacedName>,
    /// The ConfigMaps and Secrets that it is configured with.
    pub configs: BTreeSet<NamespacedName>,
}

/// What a Receiver names, looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// What is there, each once.
    pub present: BTreeSet<Target>,
    /// What isn't, or may not be named: one clause each.
    pub missing: Vec<String>,
}

/// Who is touched by what.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Namespaces whose Receivers may name objects elsewhere: the platform's and those for tenants' sources.
    trusted: BTreeSet<NamespaceName>,
    sources: BTreeMap<NamespacedName, Source>,
    kustomizations: BTreeMap<NamespacedName, Applier>,
    receivers: BTreeMap<NamespacedName, Listener>,
    plugins: BTreeMap<PluginId, Extension>,
    policies: BTreeMap<PolicyName, Guard>,
    by_source: BTreeMap<(SourceKind, NamespacedName), BTreeSet<NamespacedName>>,
    by_included: BTreeMap<NamespacedName, BTreeSet<NamespacedName>>,
    by_secret: BTreeMap<NamespacedName, BTreeSet<Target>>,
    configured: BTreeMap<NamespacedName, BTreeMap<Sake, Configured>>,
    by_path: BTreeMap<PathDigest, BTreeSet<NamespacedName>>,
    /// The hooks of entries of git configuration, by what their calls are counted by; by their paths; and which each source has.
    entries: BTreeMap<NamespacedName, entries::Called>,
    by_entry: BTreeMap<PathDigest, NamespacedName>,
    entry_of: BTreeMap<NamespacedName, NamespacedName>,
    /// What each Kustomization waits for that waits, and the other way round.
    waits: BTreeMap<NamespacedName, BTreeSet<NamespacedName>>,
    by_dependency: BTreeMap<NamespacedName, BTreeSet<NamespacedName>>,
}

/// A path is looked up by its digest: who tries paths cannot learn from the time it takes how much of one is right.
type PathDigest = [u8; 32];

fn digest(path: &str) -> PathDigest {
    Sha256::digest(path).into()
}

impl Index {
    /// An empty index. Receivers in `trusted` namespaces may name objects in others.
    pub fn new(trusted: impl IntoIterator<Item = NamespaceName>) -> Self {
        Self {
            trusted: trusted.into_iter().collect(),
            ..Self::default()
        }
    }

    /// A GitRepository is there, or changed.
    pub fn apply_source(&mut self, id: &NamespacedName, source: Source) {
        self.drop_source(id);
        self.uses(&Target::Source(id.clone()), id, &source.secrets);
        self.link_configured(id);
        self.link_included(id, &source.includes);
        self.sources.insert(id.clone(), source);
    }

    /// A GitRepository is gone.
    pub fn remove_source(&mut self, id: &NamespacedName) {
        self.drop_source(id);
        self.configured_no_more(id);
        self.call_source(id, None);
    }

    fn drop_source(&mut self, id: &NamespacedName) {
        if let Some(old) = self.sources.remove(id) {
            self.uses_no_more(&Target::Source(id.clone()), id, &old.secrets);
            self.unlink_included(id, &old.includes);
        }
    }

    /// A Kustomization is there, or changed.
    pub fn apply_kustomization(&mut self, id: &NamespacedName, applier: Applier) {
        self.remove_kustomization(id);
        self.by_source
            .entry((applier.kind, applier.source.clone()))
            .or_default()
            .insert(id.clone());
        self.uses(&Target::Kustomization(id.clone()), id, &applier.secrets);
        self.kustomizations.insert(id.clone(), applier);
    }

    /// A Kustomization is gone.
    pub fn remove_kustomization(&mut self, id: &NamespacedName) {
        if let Some(old) = self.kustomizations.remove(id) {
            unlink(&mut self.by_source, &(old.kind, old.source), id);
            self.uses_no_more(&Target::Kustomization(id.clone()), id, &old.secrets);
        }
    }

    /// A Receiver is there, or changed.
    pub fn apply_receiver(&mut self, id: &NamespacedName, listener: Listener) {
        self.remove_receiver(id);
        self.uses(&Target::Receiver(id.clone()), id, &listener.secret);
        if let Some((path, _)) = &listener.hook {
            self.by_path
                .entry(digest(path))
                .or_default()
                .insert(id.clone());
        }
        self.receivers.insert(id.clone(), listener);
    }

    /// A Receiver is gone. Returns the one that has its path now.
    pub fn remove_receiver(&mut self, id: &NamespacedName) -> Option<NamespacedName> {
        let old = self.receivers.remove(id)?;
        self.uses_no_more(&Target::Receiver(id.clone()), id, &old.secret);
        let (path, _) = old.hook.as_ref()?;
        unlink(&mut self.by_path, &digest(path), id);
        self.holder(path).cloned()
    }

    /// A plugin is there, or changed. Returns the Kustomizations it was or is called for.
    pub fn apply_plugin(&mut self, id: PluginId, extension: Extension) -> BTreeSet<NamespacedName> {
        let mut touched = self.selected(&extension);
        touched.extend(self.remove_plugin(&id));
        for config in &extension.configs {
            let users = self.by_secret.entry(config.clone()).or_default();
            users.insert(Target::Plugin(id.clone()));
        }
        self.plugins.insert(id, extension);
        touched
    }

    /// A plugin is gone. Returns the Kustomizations it was called for.
    pub fn remove_plugin(&mut self, id: &PluginId) -> BTreeSet<NamespacedName> {
        let Some(old) = self.plugins.remove(id) else {
            return BTreeSet::new();
        };
        for config in &old.configs {
            unlink(&mut self.by_secret, config, &Target::Plugin(id.clone()));
        }
        self.selected(&old)
    }

    /// What names this Secret or ConfigMap, in order.
    pub fn touched_by_secret(&self, secret: &NamespacedName) -> impl Iterator<Item = &Target> {
        self.by_secret.get(secret).into_iter().flatten()
    }

    /// The plugins called for a Kustomization, in the order they are called: its tenant's, then the platform's.
    pub fn plugins_of(&self, kustomization: &NamespacedName) -> Vec<PluginId> {
        let Some(applier) = self.kustomizations.get(kustomization) else {
            return Vec::new();
        };
        let picks = |extension: &Extension| {
            let selector = extension.selector.as_ref();
            selector.is_some_and(|s| s.matches(kustomization.namespace.as_str(), &applier.labels))
        };
        let of_platform = |id: &PluginId| matches!(id, PluginId::Platform(_));
        let picked = self
            .plugins
            .iter()
            .filter(|(_, extension)| picks(extension));
        let mut picked: Vec<_> = picked
            .map(|(id, extension)| (of_platform(id), extension.order, id.clone()))
            .collect();
        picked.sort();
        picked.into_iter().map(|(_, _, id)| id).collect()
    }

    /// The plugins whose component comes from this source.
    pub fn plugins_from(&self, source: &NamespacedName) -> impl Iterator<Item = &PluginId> {
        let from = move |extension: &Extension| extension.source.as_ref() == Some(source);
        let plugins = self.plugins.iter();
        plugins.filter_map(move |(id, extension)| from(extension).then_some(id))
    }

    /// The source that a plugin's component comes from.
    pub fn source_of_plugin(&self, id: &PluginId) -> Option<&NamespacedName> {
        self.plugins.get(id)?.source.as_ref()
    }

    /// The Kustomizations that a plugin is called for.
    pub fn called_for(&self, id: &PluginId) -> BTreeSet<NamespacedName> {
        let extension = self.plugins.get(id);
        extension
            .map(|extension| self.selected(extension))
            .unwrap_or_default()
    }

    /// What a Receiver wakes, and what it names in vain.
    pub fn named_by(&self, receiver: &NamespacedName) -> Named {
        let mut named = Named::default();
        if let Some(listener) = self.receivers.get(receiver) {
            for resource in &listener.resources {
                let found = self.look_up(receiver, resource, &mut named.missing);
                named.present.extend(found);
            }
        }
        named
    }

    /// Whether a Receiver had a run, whatever came of it.
    pub fn has_receiver(&self, receiver: &NamespacedName) -> bool {
        self.receivers.contains_key(receiver)
    }

    /// What a call to a Receiver may wake, by each of its resources, and what the call is judged by. The hook of an entry of git
    /// configuration has a single one.
    pub fn woken_by(&self, receiver: &NamespacedName) -> Option<(Arc<Hook>, Vec<Vec<Target>>)> {
        if let Some((hook, woken)) = self.woken_by_entry(receiver) {
            return Some((hook, vec![woken]));
        }
        let listener = self.receivers.get(receiver)?;
        let (_, hook) = listener.hook.as_ref()?;
        let mut missing = Vec::new();
        let resources = listener.resources.iter();
        let found = resources.map(|resource| self.look_up(receiver, resource, &mut missing));
        Some((Arc::clone(hook), found.collect()))
    }

    /// The Receivers that name, or may name, this object: to be looked at again when it comes or goes.
    pub fn receivers_naming(&self, target: &Target) -> BTreeSet<NamespacedName> {
        let (kind, id) = match target {
            Target::Source(id) => (ReceiverResourceKind::GitRepository, id),
            Target::Kustomization(id) => (ReceiverResourceKind::Kustomization, id),
            Target::Receiver(_) | Target::Plugin(_) | Target::Policy(_) | Target::WriteBack(_) => {
                return BTreeSet::new();
            }
        };
        let names = |at: &NamespacedName, resource: &ReceiverResource| {
            resource.kind == kind
                && namespace_of(at, resource) == id.namespace.as_str()
                && (resource.name == "*" || resource.name == id.name.as_str())
        };
        self.receivers
            .iter()
            .filter(|(at, listener)| listener.resources.iter().any(|r| names(at, r)))
            .map(|(at, _)| at.clone())
            .collect()
    }

    fn look_up(
        &self,
        receiver: &NamespacedName,
        resource: &ReceiverResource,
        missing: &mut Vec<String>,
    ) -> Vec<Target> {
        let namespace = namespace_of(receiver, resource);
        let kind = resource.kind.as_str();
        let full = format!("{kind}/{namespace}/{}", resource.name);
        if namespace != receiver.namespace.as_str() && !self.trusted.contains(&receiver.namespace) {
            missing.push(format!(
                "can't access '{full}', cross-namespace references have been blocked"
            ));
            return Vec::new();
        }
        let wildcard = resource.name == "*";
        if wildcard && resource.match_labels.is_empty() {
            missing.push(format!("'{full}' needs matchLabels beside the name '*'"));
            return Vec::new();
        }
        let picks = |id: &NamespacedName, labels: &Labels| {
            id.namespace.as_str() == namespace
                && if wildcard {
                    resource
                        .match_labels
                        .iter()
                        .all(|(key, value)| labels.get(key) == Some(value))
                } else {
                    id.name.as_str() == resource.name
                }
        };
        let found: Vec<Target> = match resource.kind {
            ReceiverResourceKind::GitRepository => self
                .sources
                .iter()
                .filter(|(id, source)| picks(id, &source.labels))
                .map(|(id, _)| Target::Source(id.clone()))
                .collect(),
            ReceiverResourceKind::Kustomization => self
                .kustomizations
                .iter()
                .filter(|(id, applier)| picks(id, &applier.labels))
                .map(|(id, _)| Target::Kustomization(id.clone()))
                .collect(),
            _ => {
                missing.push(format!("'{full}' cannot be woken: its kind is not served"));
                return Vec::new();
            }
        };
        // a selector that matches nothing yet is as its writer meant it; a name is not
        if found.is_empty() && !wildcard {
            missing.push(format!("'{full}' not found"));
        }
        found
    }

    fn selected(&self, extension: &Extension) -> BTreeSet<NamespacedName> {
        let Some(selector) = &extension.selector else {
            return BTreeSet::new();
        };
        self.kustomizations
            .iter()
            .filter(|(id, applier)| selector.matches(id.namespace.as_str(), &applier.labels))
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn uses<'n>(
        &mut self,
        user: &Target,
        at: &NamespacedName,
        secrets: impl IntoIterator<Item = &'n ObjectName>,
    ) {
        for name in secrets {
            self.by_secret
                .entry(beside(at, name))
                .or_default()
                .insert(user.clone());
        }
    }

    fn uses_no_more<'n>(
        &mut self,
        user: &Target,
        at: &NamespacedName,
        secrets: impl IntoIterator<Item = &'n ObjectName>,
    ) {
        for name in secrets {
            unlink(&mut self.by_secret, &beside(at, name), user);
        }
    }
}

/// The object `name` in the namespace of `at`.
fn beside(at: &NamespacedName, name: &ObjectName) -> NamespacedName {
    NamespacedName {
        namespace: at.namespace.clone(),
        name: name.clone(),
    }
}

fn namespace_of<'r>(receiver: &'r NamespacedName, resource: &'r ReceiverResource) -> &'r str {
    resource
        .namespace
        .as_deref()
        .unwrap_or(receiver.namespace.as_str())
}

fn unlink<K: Ord, V: Ord>(map: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
