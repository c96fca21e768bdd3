//! Whose each namespace is, kept while Tenants and labels come and go.
//!
//! Only what a change touches is settled anew, and whoever is asked about is found by a key: so listing Tenants costs as much as
//! there are, and a change of one costs what that one says, however many others there are. It deliberately doesn't say what
//! follows for a namespace: that is the module's above.

use std::collections::BTreeSet;

use reeve_api::name::{NamespaceName, ObjectName, TenantName};

use super::{Known, Tenants};

impl Tenants {
    /// The Tenants for which it may be another that something about these namespaces is: those that name one, and those that are
    /// called like one.
    pub fn concerned(&self, namespaces: &BTreeSet<NamespaceName>) -> BTreeSet<TenantName> {
        let called = namespaces.iter().cloned().map(TenantName::from);
        let called = called.filter(|name| self.objects.contains_key(name));
        called.chain(self.named_by(namespaces)).collect()
    }

    /// The Tenants that name one of these namespaces.
    pub fn named_by(&self, namespaces: &BTreeSet<NamespaceName>) -> BTreeSet<TenantName> {
        let naming = namespaces.iter().filter_map(|one| self.naming.of(one));
        naming.flatten().cloned().collect()
    }

    /// The Tenants that belong to a Project, whether it is there or not.
    pub fn members_of(&self, project: &ObjectName) -> impl Iterator<Item = &TenantName> {
        self.members.of(project).into_iter().flatten()
    }

    /// The namespaces that bear the label of a Tenant, whether it names them or not.
    pub fn marked_for(&self, name: &TenantName) -> impl Iterator<Item = &NamespaceName> {
        self.marked.of(name).into_iter().flatten()
    }

    /// Takes in what one says, whatever it said before. Returns the namespaces for which that may change anything.
    pub(super) fn put(&mut self, name: &TenantName, known: Known) -> BTreeSet<NamespaceName> {
        let mut touched = self.take(name);
        touched.extend(known.touches(name));
        for namespace in &known.namespaces {
            self.naming.put(namespace.clone(), name.clone());
        }
        for source in &known.declared.sources {
            self.sourcing.put(source.clone(), name.clone());
        }
        if let Some(project) = &known.declared.project {
            self.members.put(project.clone(), name.clone());
        }
        self.objects.insert(name.clone(), known);
        self.settle(&touched);
        touched
    }

    /// Forgets what one said. Returns the same, of which nothing is settled yet.
    pub(super) fn take(&mut self, name: &TenantName) -> BTreeSet<NamespaceName> {
        let Some(known) = self.objects.remove(name) else {
            return BTreeSet::new();
        };
        for namespace in &known.namespaces {
            self.naming.take(namespace, name);
        }
        for source in &known.declared.sources {
            self.sourcing.take(source, name);
        }
        if let Some(project) = &known.declared.project {
            self.members.take(project, name);
        }
        known.touches(name)
    }

    /// Finds out whose these are now.
    pub(super) fn settle(&mut self, namespaces: &BTreeSet<NamespaceName>) {
        for namespace in namespaces {
            self.settle_one(namespace);
        }
    }

    /// The same of one. Returns whether it is another's than it was.
    pub(super) fn settle_one(&mut self, namespace: &NamespaceName) -> bool {
        let owner = self.entitled(namespace).cloned();
        let before = match &owner {
            Some(owner) => self.owners.insert(namespace.clone(), owner.clone()),
            None => self.owners.remove(namespace),
        };
        if before == owner {
            return false;
        }
        if let Some(before) = before {
            self.owned.take(&before, namespace);
        }
        if let Some(owner) = owner {
            self.owned.put(owner, namespace.clone());
        }
        true
    }

    /// Takes in whose a namespace is by its label.
    pub(super) fn label(&mut self, namespace: &NamespaceName, whose: Option<TenantName>) {
        let before = match &whose {
            Some(whose) => self.marks.insert(namespace.clone(), whose.clone()),
            None => self.marks.remove(namespace),
        };
        if let Some(before) = before {
            self.marked.take(&before, namespace);
        }
        if let Some(whose) = whose {
            self.marked.put(whose, namespace.clone());
        }
    }

    /// The Tenant that is to have the namespace: the label says it; else the oldest has it that names it, and of two made in the
    /// same second the first in the alphabet.
    fn entitled(&self, namespace: &NamespaceName) -> Option<&TenantName> {
        let naming = self.naming.of(namespace)?;
        if let Some(whose) = self.marks.get(namespace) {
            return naming.get(whose);
        }
        let dated = naming.iter().filter_map(|name| {
            let known = self.objects.get(name)?;
            Some((known.created, name))
        });
        dated.min().map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    /// Numbers that are the same in each run.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
            self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % limit
        }

        fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(&mut self) -> T {
            NAMES[self.below(NAMES.len())].parse().unwrap()
        }

        fn names(&mut self) -> Vec<String> {
            let count = self.below(3);
            (0..count)
                .map(|_| self.name::<TenantName>().to_string())
                .collect()
        }

        fn tenant(&mut self) -> reeve_api::tenant::Tenant {
            let name: TenantName = self.name();
            let created = format!("2026-01-0{}T00:00:00Z", 1 + self.below(3));
            let project = ["p", "q"][self.below(2)];
            serde_json::from_value(json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant",
                "metadata": {"name": name.as_str(), "creationTimestamp": created},
                "spec": {"namespaces": self.names(), "sources": self.names(), "project": project},
            }))
            .unwrap()
        }
    }

    /// The owners, found from nothing but what Tenants and labels say.
    fn anew(tenants: &Tenants) -> BTreeMap<NamespaceName, TenantName> {
        let mut order: Vec<_> = tenants.objects.iter().collect();
        order.sort_by_key(|(name, known)| (known.created, *name));
        let mut owners = BTreeMap::new();
        for (name, known) in order {
            for namespace in &known.namespaces {
                let marked = tenants.marks.get(namespace);
                if marked.is_none_or(|whose| whose == name) {
                    let owner = owners.entry(namespace.clone());
                    owner.or_insert_with(|| name.clone());
                }
            }
        }
        owners
    }

    #[test]
    fn what_is_kept_step_by_step_is_what_would_be_found_anew() {
        let (mut dice, mut tenants) = (Dice(7), Tenants::default());
        for step in 0..5_000 {
            match dice.below(4) {
                0 => drop(tenants.remove(&dice.name())),
                1 => drop(tenants.mark(&dice.name(), None)),
                2 => {
                    let whose = dice.name();
                    drop(tenants.mark(&dice.name(), Some(whose)));
                }
                _ => drop(tenants.apply(&dice.tenant())),
            }
            assert_eq!(tenants.owners, anew(&tenants), "step {step}");
            for name in NAMES {
                let namespace: NamespaceName = name.parse().unwrap();
                let name: TenantName = name.parse().unwrap();
                let owned = tenants.owners.iter().filter(|(_, owner)| **owner == name);
                let owned: BTreeSet<_> = owned.map(|(namespace, _)| namespace.clone()).collect();
                assert_eq!(tenants.namespaces_of(&name), owned, "step {step}");
                let marked = tenants.marks.iter().filter(|(_, whose)| **whose == name);
                let marked = marked.map(|(namespace, _)| namespace);
                assert!(tenants.marked_for(&name).eq(marked), "step {step}");
                let all = tenants.objects.iter();
                let naming = all.filter(|(_, known)| known.namespaces.contains(&namespace));
                let naming: BTreeSet<_> = naming.map(|(name, _)| name.clone()).collect();
                assert_eq!(tenants.named_by(&BTreeSet::from([namespace])), naming);
            }
            for project in ["p", "q"] {
                let project: ObjectName = project.parse().unwrap();
                let in_it = |known: &Known| known.declared.project.as_ref() == Some(&project);
                let members = tenants.objects.iter().filter(|(_, known)| in_it(known));
                let members = members.map(|(name, _)| name);
                assert!(tenants.members_of(&project).eq(members), "step {step}");
            }
        }
    }

    #[test]
    fn a_change_concerns_those_that_name_the_namespace_or_are_called_like_it_and_no_others() {
        let mut tenants = Tenants::default();
        for (name, namespaces) in [("a", ["x"]), ("b", ["a"]), ("c", ["c"])] {
            let tenant = json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
                "spec": {"namespaces": namespaces},
            });
            tenants.apply(&serde_json::from_value(tenant).unwrap());
        }
        let concerned = |namespace: &str| {
            let all = tenants.concerned(&BTreeSet::from([namespace.parse().unwrap()]));
            all.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(concerned("a"), ["a", "b"]);
        assert_eq!(concerned("x"), ["a"]);
        assert_eq!(concerned("c"), ["c"]);
        assert!(concerned("b") == ["b"] && concerned("y").is_empty());
    }
}
