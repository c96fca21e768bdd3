//! From a kustomization file to the resources it stands for: its files, its bases, its generators, its transformers.
//!
//! A base is built wholly before the kustomization that lists it sees it. What happens once at the end, over everything
//! (hashes, references, order), is in `lib.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::builtin;
use crate::config::Config;
use crate::crd;
use crate::error::{Error, Place, Why};
use crate::file::{Behavior, Entry, Kustomization};
use crate::generate;
use crate::origin;
use crate::path;
use crate::resource::{Resource, twice};
use crate::session::Session;
use crate::transform;
use crate::tree::Kind;
use crate::vars::{self, Vars};
use crate::yaml::{Mapping, Node};

/// What putting one value over another, or noting one identity, counts.
const ABSORBING: u64 = 8;

/// The directories on the way from the one that is built to the present one.
pub(crate) type Trail = Vec<String>;

/// What `kustomization` stands for, which is the directory at the end of `trail`.
pub(crate) fn accumulate(
    session: &Session<'_>,
    kustomization: &Kustomization,
    trail: &mut Trail,
) -> Result<Accumulator, Error> {
    let mut all = Accumulator::default();
    accumulate_into(session, kustomization, trail, &mut all)?;
    Ok(all)
}

/// Adds to `all` what `kustomization` stands for and changes everything that is in `all` then. For a Component, that is
/// what the kustomization has that lists it.
fn accumulate_into(
    session: &Session<'_>,
    kustomization: &Kustomization,
    trail: &mut Trail,
    all: &mut Accumulator,
) -> Result<(), Error> {
    let limit = session.budget.limits().depth;
    if trail.len() as u64 > limit {
        let why = Why::Limit {
            what: "kustomizations inside of each other",
            limit,
        };
        return Err(Error::new(&kustomization.file, why));
    }
    for entry in &kustomization.resources {
        match load(session, kustomization, entry, trail) {
            Ok(base) => all.join(session, base, &entry.place)?,
            // All that is lacking is told at once.
            Err(_) if session.lacks() => {}
            Err(error) => return Err(error),
        }
    }
    configure(session, kustomization, all)?;
    for (resource, place) in generate::generate(session, kustomization)? {
        all.absorb(session, resource, place)?;
    }
    builtin::generate(session, kustomization, trail, all)?;
    for entry in &kustomization.components {
        load_component(session, entry, trail, all)?;
    }
    let config = all.config.clone();
    transform::transform(session, kustomization, &config, &mut all.resources)?;
    builtin::transform(session, kustomization, trail, &mut all.resources)?;
    builtin::validate(session, kustomization, trail, &mut all.resources)?;
    for var in &kustomization.vars {
        vars::mark(session, var, &mut all.resources)?;
    }
    let vars = kustomization.vars.iter().cloned();
    vars.into_iter()
        .try_for_each(|var| vars::add(&mut all.vars, var))
}

/// Adds the fields that kustomize knows and those of `configurations` and `crds`.
fn configure(
    session: &Session<'_>,
    kustomization: &Kustomization,
    all: &mut Accumulator,
) -> Result<(), Error> {
    let dir = path::parent(&kustomization.file);
    let mut config = Config::defaults();
    let mut own = Config::default();
    for entry in &kustomization.configurations {
        let file = session.resolve(dir, entry)?;
        let bytes = session.read(&file, &entry.place)?;
        let more = Config::parse(&bytes, &file, &session.budget)?;
        own.add(&more, &session.budget)
            .map_err(|why| Error::in_place(&entry.place, why))?;
    }
    if let Some(first) = kustomization.configurations.first() {
        config = Config::merged(&config, &Arc::new(own), &session.budget)
            .map_err(|why| Error::in_place(&first.place, why))?;
    }
    let place = kustomization.configurations.first();
    let place = place.map_or_else(|| Place::of_file(&kustomization.file), |e| e.place.clone());
    all.learn(session, &config, &place)?;
    let mut own = Config::default();
    for entry in &kustomization.crds {
        let file = session.resolve(dir, entry)?;
        let bytes = session.read(&file, &entry.place)?;
        let document = session.document(&bytes, &file)?;
        let more = crd::config(&document, &file, &session.budget);
        let more = more.map_err(|error| error.by_way_of(&entry.place))?;
        own.add(&more, &session.budget)
            .map_err(|why| Error::in_place(&entry.place, why))?;
    }
    let Some(first) = kustomization.crds.first() else {
        return Ok(());
    };
    all.learn(session, &Arc::new(own), &first.place)
}

fn load_component(
    session: &Session<'_>,
    entry: &Entry,
    trail: &mut Trail,
    all: &mut Accumulator,
) -> Result<(), Error> {
    let dir = trail.last().map_or("", String::as_str);
    let target = session.resolve(dir, entry)?;
    match session.tree.kind(&target) {
        Some(Kind::Dir) => {}
        Some(Kind::File) => {
            let why = format!("{target} is a file: a component is a directory");
            return Err(Error::invalid_at(&entry.place, why));
        }
        None if path::is_ambiguous(&entry.text) => return Err(ambiguous(entry)),
        None => return Err(session.missing(&target, &entry.place)),
    }
    let component = open(session, entry, &target, trail)?;
    if !component.component {
        let why = format!("{} is no Component: list it in resources", component.file);
        return Err(Error::invalid_at(&entry.place, why));
    }
    trail.push(target);
    accumulate_into(session, &component, trail, all)?;
    trail.pop();
    let charge = session.budget.steps(all.resources.len() as u64);
    charge.map_err(|why| Error::in_place(&entry.place, why))?;
    // The component may have renamed anything.
    let changed = std::mem::take(all);
    all.vars = changed.vars;
    // Merged into nothing once more, its own fields may make others superfluous.
    all.learn(session, &changed.config, &entry.place)?;
    all.append(changed.resources, &entry.place)
}

fn ambiguous(entry: &Entry) -> Error {
    let why = "is ambiguous: check the indentation of the list";
    Error::invalid_at(&entry.place, why)
}

/// What one entry of `resources` stands for.
pub(crate) fn load(
    session: &Session<'_>,
    kustomization: &Kustomization,
    entry: &Entry,
    trail: &mut Trail,
) -> Result<Accumulator, Error> {
    let dir = trail.last().map_or("", String::as_str);
    let target = session.resolve(dir, entry)?;
    match session.tree.kind(&target) {
        Some(Kind::File) => {
            if target == kustomization.file {
                let cycle = Why::Cycle(vec![target.clone(), target]);
                return Err(Error::in_place(&entry.place, cycle));
            }
            let bytes = session.read(&target, &entry.place)?;
            let mut resources = session.objects(&bytes, &target)?;
            if session.metadata.tracked {
                let origin = origin::of_file(session, &target);
                resources
                    .iter_mut()
                    .for_each(|r| r.origin = Some(origin.clone()));
            }
            Ok(Accumulator {
                resources,
                ..Accumulator::default()
            })
        }
        Some(Kind::Dir) => load_base(session, entry, target, trail),
        None if path::is_ambiguous(&entry.text) => Err(ambiguous(entry)),
        None => Err(session.missing(&target, &entry.place)),
    }
}

fn load_base(
    session: &Session<'_>,
    entry: &Entry,
    target: String,
    trail: &mut Trail,
) -> Result<Accumulator, Error> {
    let base = open(session, entry, &target, trail)?;
    if base.component {
        let why = format!("{} is a Component: list it in components", base.file);
        return Err(Error::invalid_at(&entry.place, why));
    }
    trail.push(target);
    let all = accumulate(session, &base, trail);
    trail.pop();
    all
}

/// The kustomization in the directory `target`, which must not lead back to itself.
fn open(
    session: &Session<'_>,
    entry: &Entry,
    target: &str,
    trail: &Trail,
) -> Result<Kustomization, Error> {
    // A directory that contains one on the trail would come back to it.
    if let Some(at) = trail
        .iter()
        .position(|visited| path::contains(target, visited))
    {
        let shown = |dir: &str| if dir.is_empty() { "." } else { dir }.to_owned();
        let mut members: Vec<String> = trail.iter().skip(at).map(|dir| shown(dir)).collect();
        members.push(shown(target));
        return Err(Error::in_place(&entry.place, Why::Cycle(members)));
    }
    let Some(file) = session.kustomization_file(target)? else {
        let why = format!("{target} has no kustomization file");
        return Err(Error::invalid_at(&entry.place, why));
    };
    let opened = session.kustomization(&file)?;
    if opened.empty {
        return Err(Error::invalid(
            &file,
            "the kustomization file is empty: list something in it",
        ));
    }
    session.choose_schema(&opened)?;
    Ok(opened)
}

/// Resources with their identities, which must be unique.
#[derive(Default)]
pub(crate) struct Accumulator {
    pub(crate) resources: Vec<Resource>,
    /// The fields that transformers touch.
    pub(crate) config: Arc<Config>,
    pub(crate) vars: Vars,
    /// Who is of an identity.
    present: Identities,
    /// Who is, or was, of an identity, once somebody asks.
    known: Option<Identities>,
    /// Whose data a generator has merged last. Nothing else changes them before this is made anew.
    merged: BTreeSet<usize>,
}

/// Fingerprints of identities, and the places of those that have them.
type Identities = BTreeSet<(u64, usize)>;

impl Accumulator {
    /// Adds fields that transformers touch.
    fn learn(
        &mut self,
        session: &Session<'_>,
        config: &Arc<Config>,
        place: &Place,
    ) -> Result<(), Error> {
        let merged = Config::merged(&self.config, config, &session.budget);
        self.config = merged.map_err(|why| Error::in_place(place, why))?;
        Ok(())
    }

    /// Adds what a base stands for.
    fn join(&mut self, session: &Session<'_>, base: Self, place: &Place) -> Result<(), Error> {
        self.append(base.resources, place)?;
        self.learn(session, &base.config, place)?;
        let mut vars = base.vars.into_values();
        vars.try_for_each(|var| vars::add(&mut self.vars, var))
    }

    pub(crate) fn append(&mut self, more: Vec<Resource>, place: &Place) -> Result<(), Error> {
        for resource in more {
            let print = resource.fingerprint();
            let place_of = |index: usize| self.resources.get(index);
            let first = with_print(&self.present, print)
                .filter_map(place_of)
                .find(|first| first.key() == resource.key());
            if let Some(first) = first {
                let message = twice(first, &resource);
                return Err(Error::in_place(place, Why::Conflict(message)));
            }
            let index = self.resources.len();
            self.present.insert((print, index));
            if let Some(known) = &mut self.known {
                known.extend(identities(index, &resource));
            }
            self.resources.push(resource);
        }
        Ok(())
    }

    /// Adds a resource that was generated by what stands at `place`: as a new one, or over the one of its name.
    pub(crate) fn absorb(
        &mut self,
        session: &Session<'_>,
        new: Resource,
        place: &Place,
    ) -> Result<(), Error> {
        let matches = self.alike(session, &new);
        let matches = matches.map_err(|why| Error::in_place(place, why))?;
        let conflict = |message: String| Err(Error::in_place(place, Why::Conflict(message)));
        match (matches.as_slice(), new.behavior) {
            ([], Behavior::Create) => self.append(vec![new], place),
            ([], _) => conflict(format!(
                "{} is not there to be merged or replaced",
                new.id()
            )),
            ([index], Behavior::Create) => conflict(format!(
                "{}: behavior must be merge or replace",
                self.resources
                    .get(*index)
                    .map_or_else(String::new, |old| twice(old, &new)),
            )),
            ([index], _) => self.put_over(session, *index, new, place),
            (several, _) => conflict(format!(
                "{} could be one of {} objects",
                new.id(),
                several.len()
            )),
        }
    }

    /// Those that are, or were, of the identity of `new`.
    fn alike(&mut self, session: &Session<'_>, new: &Resource) -> Result<Vec<usize>, Why> {
        let names = |one: &Resource| 1 + one.previous().len() as u64;
        let known = match &mut self.known {
            Some(known) => known,
            none => {
                let all = self.resources.iter().map(names).sum::<u64>();
                session.budget.steps(ABSORBING * all)?;
                let all = self.resources.iter().enumerate();
                none.insert(
                    all.flat_map(|(index, one)| identities(index, one))
                        .collect(),
                )
            }
        };
        let key = new.key();
        let mut alike = Vec::new();
        for index in with_print(known, new.fingerprint()) {
            if let Some(one) = self.resources.get(index) {
                session.budget.steps(names(one))?;
                alike.extend(one.was(&key).then_some(index));
            }
        }
        Ok(alike)
    }

    /// Merges `new` into the resource at `index`, or replaces it.
    fn put_over(
        &mut self,
        session: &Session<'_>,
        index: usize,
        mut new: Resource,
        place: &Place,
    ) -> Result<(), Error> {
        let Some(old) = self.resources.get_mut(index) else {
            return Ok(());
        };
        let merges = new.behavior == Behavior::Merge;
        // What an earlier merge has left goes over as it is.
        let tidy = match merges {
            true => !self.merged.insert(index),
            false => self.merged.remove(&index),
        };
        let of_old = match tidy {
            true => old.node.get("metadata").map_or(0, Node::cost),
            false => old.node.cost(),
        };
        let charge = session.budget.steps(ABSORBING * (of_old + new.node.cost()));
        charge.map_err(|why| Error::in_place(place, why))?;
        if merges {
            generate::merge_data(old, &mut new, tidy)?;
            new.origin = old.origin.clone().or(new.origin);
        }
        keep_metadata(old, &mut new);
        if old.key() != new.key() {
            let message = format!("{} cannot be replaced by {}", old.id(), new.id());
            return Err(Error::in_place(place, Why::Conflict(message)));
        }
        *old = new;
        Ok(())
    }
}

/// Who has this fingerprint.
fn with_print(identities: &Identities, print: u64) -> impl Iterator<Item = usize> {
    let alike = identities.range((print, 0)..=(print, usize::MAX));
    alike.map(|(_, index)| *index)
}

/// What the one at `index` is and was.
fn identities(index: usize, resource: &Resource) -> impl Iterator<Item = (u64, usize)> {
    let prints = resource.previous_fingerprints();
    let prints = prints.chain([resource.fingerprint()]);
    prints.map(move |print| (print, index))
}

/// Gives `new`, which replaces `old`, the metadata of `old` that it does not set itself.
fn keep_metadata(old: &mut Resource, new: &mut Resource) {
    for field in ["labels", "annotations"] {
        let mut texts = Mapping::new();
        for source in [&old.node, &new.node] {
            let map = source.at(&["metadata", field]).and_then(Node::map);
            let pairs = map.into_iter().flat_map(Mapping::iter);
            texts.extend(pairs.map(|(k, v)| (k.clone(), Node::set(v.raw_text()))));
        }
        let metadata = new.metadata_mut();
        if texts.is_empty() {
            metadata.shift_remove(field);
        } else {
            metadata.insert(field.to_owned(), Node::mapping(texts));
        }
    }
    new.set_name(old.name());
    new.set_namespace(old.namespace());
    new.vars = std::mem::take(&mut old.vars);
    new.transformations = std::mem::take(&mut old.transformations);
    new.needs_hash = old.needs_hash && new.needs_hash;
    new.generated = old.generated;
    new.behavior = old.behavior;
    new.history = std::mem::take(&mut old.history);
}
