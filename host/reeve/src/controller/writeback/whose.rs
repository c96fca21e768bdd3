//! Whose an object is: which Kustomization applies it, and whether its files are the ones that are written.
//!
//! By the labels on the object, and only one of the same tenant, of the same repository and branch. What another one applies is
//! nobody's to write here, whatever a rule says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespacedName, RemoteUrl};
use reeve_api::tenant::SourceOfTruth;
use reeve_api::writeback::OnDelete;
pub(super) use reeve_core::deliver::is_below;
use reeve_core::drift::{is_ours, owner};
use reeve_core::gitconfig::Place;
use reeve_core::inventory::ObjectId;
use reeve_core::source::{Reference, Wanted};
use reeve_core::spec::Spec;
use reeve_core::truth;
use reeve_core::ward::{Work, is_made_by_another};
use reeve_core::writeback::{Rule, Subject};
use reeve_kustomize::Object;
use reeve_writeback::file_in;
use serde_json::{Value, json};

use super::Case;
use crate::controller::kustomization::{self, source};
use crate::controller::lent::may_be_of;
use crate::index::Known;

/// What to do about an object that is written where its own Kustomization is from.
const ELSEWHERE: &str = "it is written where that Kustomization is from: make a WriteBack there, or keep it out of the rules";
/// What to do about one whose changes are put right.
const RIGHT: &str = "change it in git, or keep it out of the rules; with the annotation reeve.dev/source-of-truth: cluster the Kustomization leaves it as it is";

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    /// No Kustomization applies it.
    Nobodys,
    /// This one does, from the repository that is written.
    Of(NamespacedName),
    /// Another one does, or it is not to be written: why, and what to do about it.
    Anothers(String, &'static str),
    /// Another object has made it, which is the one to be kept; or Kubernetes has.
    Made,
}

impl Case<'_> {
    /// The rule by which an object becomes a file.
    pub(super) fn rule(&self, object: &Object, resource: &str) -> Option<&Rule> {
        self.spec.rules.whole(&Subject::of(object, resource))
    }

    pub(super) fn resource(&self, id: &ObjectId) -> String {
        let kind = self.kinds.get(&(id.group.clone(), id.kind.clone()));
        kind.map_or_else(String::new, |kind| kind.plural.clone())
    }

    /// Whose an object is that is there: by its labels, or where these were taken off by who has it in its inventory.
    pub(super) fn whose(
        &self,
        live: &Value,
        rule: Option<&Rule>,
        holder: Option<&NamespacedName>,
    ) -> Whose {
        let Some(id) = owner(live).or_else(|| holder.cloned()) else {
            let is_made = is_made_by_another(live) || is_landlords(live);
            return match is_made && !rule.is_some_and(Rule::picks) {
                true => Whose::Made,
                false => Whose::Nobodys,
            };
        };
        let found = self.ctx.index.read(|known| {
            let one = self.is_ours(known, &id)?;
            Ok::<_, &str>(self.is_gits(known, &one))
        });
        let said = |why: &str| format!("is applied by Kustomization {id}, {why}");
        match found {
            Ok(true) => Whose::Anothers(said("whose source of truth is git"), RIGHT),
            Ok(false) => Whose::Of(id),
            Err(why) => Whose::Anothers(said(why), ELSEWHERE),
        }
    }

    /// Whether git is right of what a Kustomization applies. Where nobody can say so, it applies nothing either.
    fn is_gits(&self, known: &Known, one: &Kustomization) -> bool {
        let own = truth::said(one.metadata.annotations.as_ref());
        match kustomization::truth(known, own, &self.tenant) {
            Ok(side) => side == Some(SourceOfTruth::Git),
            Err(_) => true,
        }
    }

    /// Which Kustomizations have these objects in their inventories. One that is on its way out has none: what goes with it, nobody
    /// has deleted.
    pub(super) fn holders(&self, work: &Work) -> BTreeMap<ObjectId, NamespacedName> {
        let gone = work.gone.iter().map(|(id, _)| id);
        let asked = work.there.iter().chain(gone);
        let asked: BTreeMap<String, &ObjectId> = asked.map(|id| (id.to_string(), id)).collect();
        self.ctx.index.read(|known| {
            let mut holders = BTreeMap::new();
            for (holder, one) in &known.kustomizations {
                // What is on another cluster is none of these.
                if one.metadata.deletion_timestamp.is_some() || one.spec.kube_config.is_some() {
                    continue;
                }
                let status = one.status.as_ref();
                let inventory = status.and_then(|status| status.inventory.as_ref());
                for entry in inventory.into_iter().flat_map(|all| &all.entries) {
                    if let Some(id) = asked.get(&entry.id) {
                        holders.insert((*id).clone(), holder.clone());
                    }
                }
            }
            holders
        })
    }

    /// Whether a Kustomization applies the files that are written, and what is changed of that may be.
    pub(super) fn is_built_here(&self, id: &NamespacedName) -> bool {
        self.ctx.index.read(|known| {
            let one = self.is_ours(known, id);
            one.is_ok_and(|one| !self.is_gits(known, &one))
        })
    }

    /// The Kustomization that says to have applied an object here, wherever that is from.
    fn holder(&self, object: &ObjectId) -> Option<NamespacedName> {
        let text = object.to_string();
        self.ctx.index.read(|known| {
            let mut all = known.kustomizations.iter();
            let found = all.find(|(_, one)| one.spec.kube_config.is_none() && has(one, &text));
            found.map(|(id, _)| id.clone())
        })
    }

    /// Whether an object that is gone, and that no Kustomization has, was nobody's: else its Kustomization has taken it away, or went
    /// itself, and nobody has deleted it. Where nobody saw it go, only what is remembered was.
    pub(super) fn is_its_own(&self, object: &ObjectId, meta: &Value) -> bool {
        match meta.is_null() {
            true => self.made.contains(&object.to_string()),
            false => owner(&json!({"metadata": meta})).is_none(),
        }
    }

    /// Whether any Kustomization has ever applied an object which is there.
    pub(super) fn has_been_applied(&self, object: &ObjectId, live: &Value) -> bool {
        let claims = live.pointer("/metadata/managedFields");
        let mut claims = claims.and_then(Value::as_array).into_iter().flatten();
        claims.any(is_ours) || self.holder(object).is_some()
    }

    /// What was there when somebody looked last: what the Kustomizations of the repository have applied, and what is in files of its
    /// own. Nothing where no rule takes out what is deleted.
    pub(super) fn remembered(&self, made: &[String]) -> BTreeSet<ObjectId> {
        let mut rules = self.spec.rules.iter();
        if !rules.any(|rule| rule.on_delete() == OnDelete::Delete) {
            return BTreeSet::new();
        }
        let of = |one: &Kustomization| {
            let inventory = one.status.as_ref()?.inventory.as_ref()?;
            if one.metadata.deletion_timestamp.is_some() {
                return None;
            }
            let ids = inventory
                .entries
                .iter()
                .filter_map(|entry| entry.id.parse().ok());
            Some(ids.collect::<Vec<ObjectId>>())
        };
        let mut all: BTreeSet<ObjectId> = self.ctx.index.read(|known| {
            let ours = known.kustomizations.iter();
            let ours = ours.filter(|(id, _)| self.is_ours(known, id).is_ok());
            ours.filter_map(|(_, one)| of(one)).flatten().collect()
        });
        all.extend(made.iter().filter_map(|id| id.parse().ok()));
        all
    }

    /// A Kustomization that is not of this tenant, and builds the directory in which the file of an object would lie: it would apply
    /// what is written there as somebody else.
    pub(super) fn neighbour(&self, object: &Object) -> Option<NamespacedName> {
        let file = self.file_for(object)?;
        let builds = |directory: &str| is_below(&file, directory);
        self.ctx.index.read(|known| {
            let all = known.kustomizations.iter();
            let mut others =
                all.filter(|(id, one)| !self.is_of_us(id) && self.may_build_here(known, id, one));
            let found = others.find(|(_, one)| path(one).is_none_or(|path| builds(&path)));
            found.map(|(id, _)| id.clone())
        })
    }

    /// The file that an object has, or would have, as one of its own.
    pub(super) fn file_for(&self, object: &Object) -> Option<String> {
        file_in(&self.spec.path, &self.spec.template, object).ok()
    }

    /// Whether a Kustomization is of this tenant.
    pub(super) fn is_of_us(&self, id: &NamespacedName) -> bool {
        match self.platform {
            true => self.ctx.grounds.is_platform(&id.namespace),
            false => self.namespaces().contains(id.namespace.as_str()),
        }
    }

    /// Whether variables may be put into what lies in the directory in which files are made.
    pub(super) fn is_substituted(&self) -> bool {
        let (own, known) = (self.spec.path.as_str(), &self.ctx.index);
        let reaches = |path: &str| is_below(own, path) || is_below(path, own);
        known.read(|known| {
            let mut all = known.kustomizations.iter();
            all.any(|(id, one)| {
                one.spec.post_build.is_some()
                    && self.builds_here(known, id, one)
                    && path(one).is_some_and(|path| reaches(&path))
            })
        })
    }

    /// The Kustomization, and the directories of the repository that others build.
    pub(super) fn builder(&self, id: &NamespacedName) -> Option<(Arc<Kustomization>, Vec<String>)> {
        self.ctx.index.read(|known| {
            let object = self.is_ours(known, id).ok()?;
            let others = known.kustomizations.iter();
            let others =
                others.filter(|(other, one)| *other != id && self.builds_here(known, other, one));
            let paths = others.filter_map(|(_, one)| path(one));
            let paths: BTreeSet<String> = paths.collect();
            let own = path(&object);
            let paths = paths.into_iter().filter(|one| Some(one) != own.as_ref());
            Some((object, paths.collect()))
        })
    }

    pub(super) fn is_ours(
        &self,
        known: &Known,
        id: &NamespacedName,
    ) -> Result<Arc<Kustomization>, &'static str> {
        let object = known.kustomizations.get(id);
        let object = object.ok_or("which is not there")?;
        if !self.is_of_us(id) {
            return Err("which is not of this tenant");
        }
        if !self.is_here(known, object) {
            return Err("from another repository or branch than the one that is written");
        }
        Ok(Arc::clone(object))
    }

    /// Whether a Kustomization is built from the branch that is written.
    pub(super) fn is_here(&self, known: &Known, object: &Kustomization) -> bool {
        let reference = self.followed(known, object);
        reference == Some(Reference::Branch(self.branch.clone()))
    }

    /// Whether it may be: a tag or a commit may be of any branch.
    pub(super) fn may_be_here(&self, known: &Known, object: &Kustomization) -> bool {
        let reference = self.followed(known, object);
        reference.is_some_and(|reference| may_be_of(&reference, &self.branch))
    }

    /// What of the repository that is written a Kustomization is built from, if it is.
    fn followed(&self, known: &Known, object: &Kustomization) -> Option<Reference> {
        let source = known.sources.get(&source(object)?)?;
        let wanted = Wanted::parse(source).ok()?;
        self.is_place_of(&wanted.url).then_some(wanted.reference)
    }

    /// Whether an address is that of the repository that is written.
    pub(super) fn is_place_of(&self, url: &RemoteUrl) -> bool {
        Place::of(url).is_ok_and(|place| place == self.place)
    }
}

/// The directory that a Kustomization builds.
pub(super) fn path(object: &Kustomization) -> Option<String> {
    Spec::parse(object).ok().map(|spec| spec.path)
}

/// Whether an object is in the inventory of a Kustomization.
fn has(one: &Kustomization, object: &str) -> bool {
    let status = one.status.as_ref();
    let inventory = status.and_then(|status| status.inventory.as_ref());
    let mut entries = inventory.into_iter().flat_map(|all| &all.entries);
    entries.any(|entry| entry.id == object)
}

/// Whether the landlord has made it: it makes it again, and a tenant may not.
fn is_landlords(live: &Value) -> bool {
    let (key, value) = reeve_core::landlord::MANAGED_BY;
    let labels = live.pointer("/metadata/labels");
    labels.and_then(|all| all.get(key)).and_then(Value::as_str) == Some(value)
}
