//! Whose an object is: which Kustomization applies it, and whether its files are the ones that are written.
//!
//! By the labels on the object, and only one of the same tenant, of the same repository and branch. What another one applies is
//! nobody's to write here, whatever a rule says.

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_core::drift::owner;
use reeve_core::gitconfig::Place;
use reeve_core::inventory::ObjectId;
use reeve_core::source::{Reference, Wanted};
use reeve_core::spec::Spec;
use reeve_core::ward::is_kubernetes_own;
use reeve_core::writeback::Rule;
use serde_json::Value;

use super::Case;
use crate::controller::kustomization::source;
use crate::index::Known;

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    /// No Kustomization applies it.
    Nobodys,
    /// This one does, from the repository that is written.
    Of(NamespacedName),
    /// Another one does, and this is why it is not written.
    Anothers(String),
    /// Another object has made it, which is the one to be kept; or Kubernetes has.
    Made,
}

impl Case<'_> {
    /// Whose an object is that is there.
    pub(super) fn whose(&self, live: &Value, rule: Option<&Rule>) -> Whose {
        let Some(id) = owner(live) else {
            let is_made = is_made(live) || is_kubernetes_own(live);
            return match is_made && !rule.is_some_and(picks) {
                true => Whose::Made,
                false => Whose::Nobodys,
            };
        };
        let found = self
            .ctx
            .index
            .read(|known| self.is_ours(known, &id).map(drop));
        match found {
            Ok(()) => Whose::Of(id),
            Err(why) => Whose::Anothers(format!("is applied by Kustomization {id}, {why}")),
        }
    }

    /// The Kustomization that had applied an object which is gone.
    pub(super) fn had(&self, object: &ObjectId) -> Option<NamespacedName> {
        let text = object.to_string();
        let has = |one: &Kustomization| {
            let status = one.status.as_ref();
            let inventory = status.and_then(|status| status.inventory.as_ref());
            let mut entries = inventory.into_iter().flat_map(|all| &all.entries);
            entries.any(|entry| entry.id == text)
        };
        self.ctx.index.read(|known| {
            let mut all = known.kustomizations.iter();
            let found = all.find(|(id, one)| has(one) && self.is_ours(known, id).is_ok());
            found.map(|(id, _)| id.clone())
        })
    }

    /// The Kustomization that is built from the directory in which files are made, if one is.
    pub(super) fn lister(&self) -> Option<NamespacedName> {
        self.ctx.index.read(|known| {
            let mut all = known.kustomizations.iter();
            let is_it = |id: &NamespacedName, one: &Kustomization| {
                path(one).as_deref() == Some(self.spec.path.as_str())
                    && self.is_ours(known, id).is_ok()
            };
            let found = all.find(|(id, one)| is_it(id, one));
            found.map(|(id, _)| id.clone())
        })
    }

    /// The Kustomization, and the directories of the repository that others build.
    pub(super) fn builder(&self, id: &NamespacedName) -> Option<(Arc<Kustomization>, Vec<String>)> {
        self.ctx.index.read(|known| {
            let object = self.is_ours(known, id).ok()?;
            let others = known.kustomizations.iter();
            let others = others.filter(|(other, one)| *other != id && self.is_here(known, one));
            let paths = others.filter_map(|(_, one)| path(one));
            let paths: BTreeSet<String> = paths.collect();
            let own = path(&object);
            let paths = paths.into_iter().filter(|one| Some(one) != own.as_ref());
            Some((object, paths.collect()))
        })
    }

    fn is_ours(
        &self,
        known: &Known,
        id: &NamespacedName,
    ) -> Result<Arc<Kustomization>, &'static str> {
        let object = known.kustomizations.get(id);
        let object = object.ok_or("which is not there")?;
        let grounds = &self.ctx.grounds;
        let same = match self.platform {
            true => grounds.is_platform(&id.namespace),
            false => self.namespaces().contains(id.namespace.as_str()),
        };
        if !same {
            return Err("which is not of this tenant");
        }
        if !self.is_here(known, object) {
            return Err("from another repository or branch than the one that is written");
        }
        Ok(Arc::clone(object))
    }

    /// Whether a Kustomization is built from the branch that is written.
    fn is_here(&self, known: &Known, object: &Kustomization) -> bool {
        let source = source(object).and_then(|id| known.sources.get(&id));
        let Some(Ok(wanted)) = source.map(|source| Wanted::parse(source)) else {
            return false;
        };
        wanted.reference == Reference::Branch(self.branch.clone())
            && Place::of(&wanted.url).is_ok_and(|place| place == self.place)
    }
}

fn path(object: &Kustomization) -> Option<String> {
    Spec::parse(object).ok().map(|spec| spec.path)
}

/// Whether another object controls it: that is the one to be kept in git.
fn is_made(live: &Value) -> bool {
    let owners = live.pointer("/metadata/ownerReferences");
    let mut owners = owners.and_then(Value::as_array).into_iter().flatten();
    owners.any(|one| one.get("controller") == Some(&Value::Bool(true)))
}

/// Whether a rule means single objects, and not all of a kind.
fn picks(rule: &Rule) -> bool {
    let written = rule.written();
    !written.names.is_empty() || !written.labels.trim().is_empty()
}
