//! Which Kustomizations are under which policies.

use std::collections::BTreeSet;

use reeve_api::name::{NamespaceName, NamespacedName, PolicyName};
use reeve_api::policy::Scope;

use super::{Index, Labels};

/// What matters of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Whom it is asked about.
    pub scope: Scope,
    /// The GitRepository that its rules come from.
    pub source: Option<NamespacedName>,
    /// Whether it is only replayed: then it is asked about nobody.
    pub replayed: bool,
}

impl Guard {
    fn selects(&self, namespace: &NamespaceName, labels: &Labels) -> bool {
        !self.replayed && self.scope.selects(namespace.as_str(), labels)
    }
}

impl Index {
    /// A policy is there, or changed. Returns the Kustomizations that it was or is asked about.
    pub fn apply_policy(&mut self, name: PolicyName, guard: Guard) -> BTreeSet<NamespacedName> {
        let mut touched = self.guarded(&guard);
        if let Some(old) = self.policies.insert(name, guard) {
            touched.extend(self.guarded(&old));
        }
        touched
    }

    /// A policy is gone. Returns the Kustomizations that it was asked about.
    pub fn remove_policy(&mut self, name: &PolicyName) -> BTreeSet<NamespacedName> {
        let old = self.policies.remove(name);
        old.map(|old| self.guarded(&old)).unwrap_or_default()
    }

    /// The policies that are asked about a Kustomization of that namespace with these labels, by name.
    pub fn policies_over(&self, namespace: &NamespaceName, labels: &Labels) -> Vec<PolicyName> {
        let meant = |guard: &Guard| guard.selects(namespace, labels);
        let policies = self.policies.iter().filter(|(_, guard)| meant(guard));
        policies.map(|(name, _)| name.clone()).collect()
    }

    /// The policies whose rules come from this source.
    pub fn policies_from(&self, source: &NamespacedName) -> impl Iterator<Item = &PolicyName> {
        let from = move |guard: &Guard| guard.source.as_ref() == Some(source);
        let policies = self.policies.iter();
        policies
            .filter(move |(_, guard)| from(guard))
            .map(|(name, _)| name)
    }

    /// The Kustomizations that a policy is asked about.
    pub fn guarded_by(&self, name: &PolicyName) -> BTreeSet<NamespacedName> {
        let guard = self.policies.get(name);
        guard.map(|guard| self.guarded(guard)).unwrap_or_default()
    }

    /// The source that a policy's rules come from.
    pub fn source_of_policy(&self, name: &PolicyName) -> Option<&NamespacedName> {
        self.policies.get(name)?.source.as_ref()
    }

    fn guarded(&self, guard: &Guard) -> BTreeSet<NamespacedName> {
        self.kustomizations
            .iter()
            .filter(|(id, applier)| guard.selects(&id.namespace, &applier.labels))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use reeve_api::kustomization::SourceKind;

    use super::*;
    use crate::index::Applier;

    #[test]
    fn a_policy_that_is_only_replayed_is_asked_about_nobody_and_hears_of_its_source() {
        let id: NamespacedName = "acme/web".parse().unwrap();
        let source: NamespacedName = "flux-system/policies".parse().unwrap();
        let mut index = Index::new([]);
        let applier = Applier {
            kind: SourceKind::GitRepository,
            source: "acme/web".parse().unwrap(),
            labels: Labels::default(),
            secrets: BTreeSet::new(),
        };
        index.apply_kustomization(&id, applier);
        let name: PolicyName = "replay-1".parse().unwrap();
        for replayed in [true, false] {
            let guard = Guard {
                scope: Scope::default(),
                source: Some(source.clone()),
                replayed,
            };
            let touched = index.apply_policy(name.clone(), guard);
            assert_eq!(touched.contains(&id), !replayed);
            let over = index.policies_over(&id.namespace, &Labels::default());
            assert_eq!(over.contains(&name), !replayed);
            assert_eq!(index.guarded_by(&name).len(), usize::from(!replayed));
            assert!(index.policies_from(&source).any(|one| *one == name));
        }
    }
}
