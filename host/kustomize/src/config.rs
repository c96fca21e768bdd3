//! Which fields each transformer touches: kustomize's defaults, and what `configurations` and `crds` add to them.
//!
//! The defaults are data (`data/fieldspecs.txt`, written by `data/generate.py`). Every kustomization starts from what its
//! bases know, adds the defaults and then its own; whoever lists it gets the sum. A configuration file is read in
//! `file/config.rs`, the schemas of `crds` in `crd.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::budget::Budget;
use crate::error::Why;
use crate::fieldspec::{self, FieldSpec, Gvk};
use crate::order::{FIRST, LAST};

const DATA: &str = include_str!("../data/fieldspecs.txt");
/// How many words a line of it has.
const MOST_WORDS: usize = 5;
/// What putting one field in order counts.
const SORTING: u64 = 16;

/// A list of fields that some transformer works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    NamePrefix,
    NameSuffix,
    Namespace,
    CommonLabels,
    /// What every entry of `labels` touches on top of its own fields.
    Labels,
    TemplateLabels,
    VolumeClaimTemplateLabels,
    CommonAnnotations,
    VarReference,
    Images,
    Replicas,
}

impl List {
    /// All lists and their names, in the order in which kustomize merges them.
    pub(crate) const ALL: [(Self, &'static str); 11] = [
        (Self::NamePrefix, "namePrefix"),
        (Self::NameSuffix, "nameSuffix"),
        (Self::Namespace, "namespace"),
        (Self::CommonAnnotations, "commonAnnotations"),
        (Self::CommonLabels, "commonLabels"),
        (Self::Labels, "labels"),
        (Self::TemplateLabels, "templateLabels"),
        (Self::VolumeClaimTemplateLabels, "volumeClaimTemplateLabels"),
        (Self::VarReference, "varReference"),
        (Self::Images, "images"),
        (Self::Replicas, "replicas"),
    ];

    fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, known)| *known == name).map(|(list, _)| list)
    }
}

/// The fields in which kinds name an object of the kind `target`.
#[derive(Clone, Debug)]
pub(crate) struct References {
    pub(crate) target: Gvk,
    pub(crate) fields: Vec<FieldSpec>,
}

/// Copied when it is changed: most kustomizations change none of the many.
type Fields = Arc<Vec<FieldSpec>>;

/// The fields of all transformers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) name_prefix: Fields,
    pub(crate) name_suffix: Fields,
    pub(crate) namespace: Fields,
    pub(crate) common_labels: Fields,
    pub(crate) labels: Fields,
    pub(crate) template_labels: Fields,
    pub(crate) volume_claim_template_labels: Fields,
    pub(crate) common_annotations: Fields,
    pub(crate) vars: Fields,
    pub(crate) images: Fields,
    pub(crate) replicas: Fields,
    pub(crate) references: Vec<Arc<References>>,
    /// Whether the defaults are in it already.
    complete: bool,
}

static DEFAULTS: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let mut config = Config::default();
    let mut list = None;
    for line in DATA.lines().filter(|l| !l.starts_with('#')) {
        let mut words = [""; MOST_WORDS];
        let mut count = 0;
        for (slot, word) in words.iter_mut().zip(line.trim_ascii_start().split(' ')) {
            *slot = word;
            count += 1;
        }
        let words = words.get(..count).unwrap_or_default();
        match (line.starts_with(' '), words) {
            (true, [group, version, kind, create, path]) => {
                let gvk = Gvk::new(word(group), word(version), word(kind));
                let spec = FieldSpec::new(gvk, *create == "c", *path);
                match (list, config.references.last_mut()) {
                    (Some(list), _) => config.list_mut(list).push(spec),
                    (None, Some(references)) => Arc::make_mut(references).fields.push(spec),
                    (None, None) => {}
                }
            }
            (false, [_, group, version, kind]) => {
                list = None;
                let target = Gvk::new(word(group), word(version), word(kind));
                let fields = Vec::new();
                let references = Arc::new(References { target, fields });
                config.references.push(references);
            }
            (false, [name]) => list = List::named(name),
            _ => {}
        }
    }
    config.complete = true;
    Arc::new(config)
});

fn word(text: &'static str) -> &'static str {
    if text == "-" { "" } else { text }
}

impl Config {
    /// What kustomize knows itself.
    pub(crate) fn defaults() -> Arc<Self> {
        DEFAULTS.clone()
    }

    pub(crate) fn list(&self, list: List) -> &Vec<FieldSpec> {
        match list {
            List::NamePrefix => &self.name_prefix,
            List::NameSuffix => &self.name_suffix,
            List::Namespace => &self.namespace,
            List::CommonLabels => &self.common_labels,
            List::Labels => &self.labels,
            List::TemplateLabels => &self.template_labels,
            List::VolumeClaimTemplateLabels => &self.volume_claim_template_labels,
            List::CommonAnnotations => &self.common_annotations,
            List::VarReference => &self.vars,
            List::Images => &self.images,
            List::Replicas => &self.replicas,
        }
    }

    pub(crate) fn list_mut(&mut self, list: List) -> &mut Vec<FieldSpec> {
        let fields = match list {
            List::NamePrefix => &mut self.name_prefix,
            List::NameSuffix => &mut self.name_suffix,
            List::Namespace => &mut self.namespace,
            List::CommonLabels => &mut self.common_labels,
            List::Labels => &mut self.labels,
            List::TemplateLabels => &mut self.template_labels,
            List::VolumeClaimTemplateLabels => &mut self.volume_claim_template_labels,
            List::CommonAnnotations => &mut self.common_annotations,
            List::VarReference => &mut self.vars,
            List::Images => &mut self.images,
            List::Replicas => &mut self.replicas,
        };
        Arc::make_mut(fields)
    }

    /// Both together, as kustomize merges them; nothing is copied where one says it all.
    pub(crate) fn merged(
        old: &Arc<Self>,
        more: &Arc<Self>,
        budget: &Budget,
    ) -> Result<Arc<Self>, Why> {
        let defaults = Arc::ptr_eq(more, &DEFAULTS);
        if Arc::ptr_eq(old, more) || more.is_empty() || (defaults && old.complete) {
            return Ok(old.clone());
        }
        // Anything else is added field by field even to nothing: one field may make another superfluous.
        if old.is_empty() && defaults {
            return Ok(more.clone());
        }
        let mut both = Self::clone(old);
        both.add(more, budget)?;
        Ok(Arc::new(both))
    }

    /// Adds `more` to this.
    pub(crate) fn add(&mut self, more: &Self, budget: &Budget) -> Result<(), Why> {
        for (list, name) in List::ALL {
            let more = more.list(list);
            if more.is_empty() {
                continue;
            }
            let old = self.list_mut(list);
            let (pairs, all) = (
                (old.len() + more.len()) * more.len(),
                old.len() + more.len(),
            );
            budget.steps(pairs as u64 + SORTING * all as u64)?;
            merge(old, more, name)?;
            old.sort_by_cached_key(|spec| rank(&spec.gvk));
        }
        // Most have a target of their own: each is found at once, however many there are.
        let all = (self.references.len() + more.references.len()) as u64;
        budget.steps(SORTING * all)?;
        let known = self.references.iter().enumerate();
        let mut places: BTreeMap<Gvk, usize> = BTreeMap::new();
        for (at, references) in known {
            places.entry(references.target.clone()).or_insert(at);
        }
        for references in &more.references {
            let new = self.references.len();
            let at = *places.entry(references.target.clone()).or_insert(new);
            self.put_references(at, references, budget)?;
        }
        self.complete |= more.complete;
        if !more.references.is_empty() {
            budget.steps(SORTING * self.references.len() as u64)?;
            self.references
                .sort_by_cached_key(|references| rank(&references.target));
        }
        Ok(())
    }

    /// Adds fields that name an object of one kind.
    pub(crate) fn add_references(
        &mut self,
        more: &Arc<References>,
        budget: &Budget,
    ) -> Result<(), Why> {
        let known = self.references.len();
        budget.steps(SORTING * known as u64)?;
        let mut all = self.references.iter();
        let at = all.position(|old| old.target == more.target);
        self.put_references(at.unwrap_or(known), more, budget)
    }

    /// Adds them to those at `at`, or behind all.
    fn put_references(
        &mut self,
        at: usize,
        more: &Arc<References>,
        budget: &Budget,
    ) -> Result<(), Why> {
        let Some(old) = self.references.get_mut(at) else {
            self.references.push(more.clone());
            return Ok(());
        };
        let pairs = (old.fields.len() + more.fields.len()) * more.fields.len();
        budget.steps(pairs as u64)?;
        merge(
            &mut Arc::make_mut(old).fields,
            &more.fields,
            "nameReference",
        )
    }

    fn is_empty(&self) -> bool {
        self.references.is_empty()
            && List::ALL
                .iter()
                .all(|(list, _)| self.list(*list).is_empty())
    }

    /// Puts everything in kustomize's order.
    pub(crate) fn sort(&mut self) {
        for (list, _) in List::ALL {
            let list = self.list_mut(list);
            list.sort_by_cached_key(|spec| rank(&spec.gvk));
        }
        self.references
            .sort_by_cached_key(|references| rank(&references.target));
    }
}

fn merge(old: &mut Vec<FieldSpec>, more: &[FieldSpec], name: &str) -> Result<(), Why> {
    fieldspec::merge(old, more).map_err(|why| Why::Conflict(format!("{name}: {why}")))
}

/// What a kind is put in order by.
fn rank(gvk: &Gvk) -> (i32, String) {
    let at = |list: &[&str]| list.iter().position(|kind| *kind == gvk.kind);
    let rank = match (at(&FIRST), at(&LAST)) {
        (Some(at), _) => i32::try_from(at).unwrap_or(0) - 100,
        (None, Some(at)) => i32::try_from(at).unwrap_or(0) + 1,
        (None, None) => 0,
    };
    let or = |text: &str, none: &str| if text.is_empty() { none } else { text }.to_owned();
    let (group, version) = (or(&gvk.group, "~G"), or(&gvk.version, "~V"));
    (rank, format!("{group}_{version}_{}", or(&gvk.kind, "~K")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Limits;

    #[test]
    fn the_default_fields_are_all_read() {
        let config = Config::defaults();
        let counted: usize = config.references.iter().map(|r| r.fields.len()).sum();
        let lists: usize = List::ALL.iter().map(|(l, _)| config.list(*l).len()).sum();
        let written = DATA.lines().filter(|l| l.starts_with("  ")).count();
        assert_eq!(counted + lists, written);
        let own = |list| !config.list(list).is_empty();
        assert!(
            List::ALL
                .iter()
                .all(|(l, _)| own(*l) != (*l == List::Labels))
        );
    }

    #[test]
    fn the_defaults_are_written_in_kustomizes_order() {
        let mut sorted = Config::clone(&Config::defaults());
        sorted.sort();
        assert_eq!(format!("{sorted:?}"), format!("{:?}", Config::defaults()));
    }

    #[test]
    fn the_defaults_make_none_of_their_own_superfluous() {
        let budget = Budget::new(Limits::default());
        let mut config = Config::default();
        config.add(&Config::defaults(), &budget).unwrap();
        let defaults = Config::defaults();
        assert_eq!(format!("{config:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn a_field_cannot_be_made_in_one_place_and_left_alone_in_another() {
        let budget = Budget::new(Limits::default());
        let with = |create| Config {
            images: Arc::new(vec![FieldSpec::new(
                Gvk::new("", "", "Foo"),
                create,
                "spec/image",
            )]),
            ..Config::default()
        };
        let mut config = with(true);
        assert!(config.add(&with(true), &budget).is_ok());
        assert_eq!(config.images.len(), 1);
        assert!(config.add(&with(false), &budget).is_err());
    }
}
