//! What applying leaves alone until it is written back: fields that somebody has changed since we applied them.
//!
//! A field that we have applied and still claim is ours to set, so a change in git alone is applied. One that another has
//! changed is claimed by us no more: where a rule says that the cluster wins, it is compared and sent without it, until the
//! commit is there and both are the same; then we claim it again. A field that is gone is left only if it was applied once
//! (else git has added it). What asks for nothing of this is applied as ever. It deliberately reads no cluster: the shell
//! brings the object as it is and as a dry run would have it.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use reeve_api::writeback::SyncTo;
use reeve_kustomize::Object;
use reeve_writeback::{Difference, Path, Step, differences, is_secret, without_server_fields};
use serde_json::{Map, Value};

use super::hand::{Reach, claims, others, reach};
use super::rule::{Rules, Subject};
use super::{OURS, is_paused};
use crate::admit::Recollection;
use crate::drift::is_ours;

/// The WriteBacks that are in effect for a Kustomization.
#[derive(Clone, Default, PartialEq)]
pub struct Yielding {
    rules: Vec<Rules>,
    before: Option<Recollection>,
}

/// What is left alone of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leave {
    /// Whether a rule is for it at all.
    concerns: bool,
    paths: Vec<Path>,
}

impl Yielding {
    /// By these rules, after that was applied last.
    pub fn new(rules: Vec<Rules>, before: Option<Recollection>) -> Self {
        Self { rules, before }
    }

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        self.rules.is_empty()
    }

    /// Tells whether the same is left alone as before.
    pub fn mark(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        for rules in &self.rules {
            format!("{rules:?}").hash(&mut hash);
        }
        hash.finish()
    }

    /// What is left alone of an object: `id` as an inventory writes it, `wanted` as git has it, `live` as it is and `dry` as
    /// applying would make it.
    pub fn leave(
        &self,
        resource: &str,
        id: &str,
        wanted: &Value,
        live: &Value,
        dry: &Value,
    ) -> Leave {
        let Ok(object) = Object::try_from(live.clone()) else {
            return Leave::default();
        };
        // What we have never applied is nobody's change.
        let is_applied = claims(live).any(is_ours);
        if !is_applied || is_secret(&object.id()) || is_paused(live) || is_paused(wanted) {
            return Leave::default();
        }
        let subject = Subject::of(&object, resource);
        let first = self.rules.iter().filter_map(|rules| rules.first(&subject));
        let rules: Vec<_> = first.filter(|rule| rule.sync_to() == SyncTo::Git).collect();
        if rules.is_empty() {
            return Leave::default();
        }
        let before = self.before.as_ref().and_then(|before| before.get(id));
        let all = differences(0, &plain(live), &plain(dry));
        let paths = all.iter().filter_map(|one| {
            let path = left(one, wanted, live, before)?;
            let is_meant = rules
                .iter()
                .any(|rule| rule.filters().cover(&one.path, live));
            is_meant.then_some(path)
        });
        Leave {
            concerns: true,
            paths: paths.collect(),
        }
    }
}

/// The field to leave, if somebody else has changed this one.
fn left(one: &Difference, wanted: &Value, live: &Value, before: Option<&Value>) -> Option<Path> {
    // A list without keys is one field, and so is what somebody claims as a whole.
    let mut path = one
        .path
        .to_list_without_keys()
        .unwrap_or_else(|| one.path.clone());
    for claim in others(live) {
        if let Reach::Over(steps) = reach(fields(claim), live, &path) {
            path = path.first(steps);
        }
    }
    path.get(wanted)?;
    let ours = claims(live).filter(|claim| is_ours(claim));
    let is_ours = |claim: &Value| reach(fields(claim), live, &path) != Reach::Not;
    if ours.into_iter().any(is_ours) {
        return None;
    }
    match path.get(live) {
        Some(_) => Some(path),
        // Gone, or new in git.
        None => path.get(before?).is_some().then_some(path),
    }
}

impl Leave {
    /// Whether nothing is left alone.
    pub fn is_nothing(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether a rule has it written back.
    pub fn concerns(&self) -> bool {
        self.concerns
    }

    /// The object without what is left alone, to be compared or sent.
    pub fn without(&self, object: &Value) -> Value {
        let mut object = object.clone();
        for path in &self.paths {
            if path.remove(&mut object) {
                without_empty(&mut object, path);
            }
        }
        object
    }

    /// The manifest as the object will be when it is sent without what is left alone: that is what rules are asked about.
    pub fn shown(&self, wanted: &Value, live: &Value) -> Value {
        let mut shown = wanted.clone();
        for path in &self.paths {
            let _is_there = match path.get(live) {
                Some(is) => path.set(&mut shown, is.clone(), None),
                None => path.remove(&mut shown),
            };
        }
        shown
    }

    /// Whether something is as git has it, and claimed by us no more: it was written back, or is the same by chance, and is to
    /// be claimed again, so that a change in git alone is seen as one.
    pub fn reclaims(&self, live: &Value, dry: &Value) -> bool {
        self.concerns && {
            let ours = |object: &Value| {
                let claim = claims(object).find(|claim| is_ours(claim));
                claim.map(|claim| fields(claim).clone()).unwrap_or_default()
            };
            let (mut would, is) = (ours(dry), ours(live));
            self.paths
                .iter()
                .for_each(|path| disclaim(&mut would, dry, path));
            !holds(&is, &would)
        }
    }

    /// Which claims of others an apply takes over, and which stay theirs: those on what is left alone, on what git does not
    /// have, and on what is said to us. Of a set of fields the part that is taken.
    pub fn taken(&self, fields: &Value, wanted: &Value, live: &Value) -> Value {
        match self.concerns {
            false => fields.clone(),
            true => Value::Object(taken(fields, Some(wanted), Some(live))),
        }
    }
}

/// The claimed fields that git has with the value that is there.
fn taken(fields: &Value, wanted: Option<&Value>, live: Option<&Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, below) in fields.as_object().into_iter().flatten() {
        let (wanted, live) = match key.split_at_checked(2) {
            Some(("f:", name)) => (
                wanted.and_then(|value| value.get(name)),
                live.and_then(|value| value.get(name)),
            ),
            Some(("k:", keys)) => (keyed(wanted, keys), keyed(live, keys)),
            // Values of sets, and the field itself.
            _ => (wanted, live),
        };
        if wanted.is_none()
            || key
                .strip_prefix("f:")
                .is_some_and(|name| OURS.contains(&name))
        {
            continue;
        }
        let is_leaf = below.as_object().is_none_or(Map::is_empty);
        if is_leaf {
            let is_part = !key.starts_with("f:") || wanted == live;
            if is_part {
                out.insert(key.clone(), below.clone());
            }
            continue;
        }
        let part = taken(below, wanted, live);
        if part.keys().any(|key| key != ".") {
            out.insert(key.clone(), Value::Object(part));
        }
    }
    out
}

/// The item that has all of these keys.
fn keyed<'v>(list: Option<&'v Value>, keys: &str) -> Option<&'v Value> {
    let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
    let is = |item: &&Value| keys.iter().all(|(key, is)| item.get(key) == Some(is));
    list?.as_array()?.iter().find(is)
}

/// Takes a field out of a set.
fn disclaim(set: &mut Value, root: &Value, path: &Path) {
    let Some((last, before)) = path.steps().split_last() else {
        return;
    };
    let (mut at, mut value) = (Some(set), Some(root));
    for step in before {
        let key = key_of(at.as_deref(), value, step);
        value = down(value, step);
        at = at.zip(key).and_then(|(set, key)| set.get_mut(&key));
    }
    let key = key_of(at.as_deref(), value, last);
    if let (Some(Value::Object(set)), Some(key)) = (at, key) {
        set.shift_remove(&key);
    }
}

fn down<'v>(value: Option<&'v Value>, step: &Step) -> Option<&'v Value> {
    match step {
        Step::Field(name) => value?.get(name),
        Step::Index(at) => value?.get(*at),
        Step::Item { key, value: is } => {
            let items = value?.as_array()?;
            items.iter().find(|item| item.get(*key) == Some(is))
        }
    }
}

/// What a step is called in a set.
fn key_of(set: Option<&Value>, value: Option<&Value>, step: &Step) -> Option<String> {
    match step {
        Step::Field(name) => Some(format!("f:{name}")),
        step => {
            let item = down(value, step)?;
            let is = |key: &&String| {
                let keys = key.strip_prefix("k:");
                let keys = keys.and_then(|keys| serde_json::from_str::<Map<_, Value>>(keys).ok());
                keys.is_some_and(|keys| keys.iter().all(|(key, is)| item.get(key) == Some(is)))
            };
            set?.as_object()?.keys().find(is).cloned()
        }
    }
}

/// Whether all fields of one set are in the other.
fn holds(set: &Value, part: &Value) -> bool {
    let Some(part) = part.as_object() else {
        return true;
    };
    part.iter().all(|(key, below)| {
        let here = set.get(key);
        // The mere being there of a map or an item is nobody's value.
        key == "." || here.is_some_and(|here| holds(here, below))
    })
}

/// Takes out mappings that have become empty on the way to what was taken out of them.
fn without_empty(object: &mut Value, path: &Path) {
    for steps in (1..path.steps().len()).rev() {
        let parent = path.first(steps);
        let is_field = matches!(parent.steps().last(), Some(Step::Field(_)));
        let is_empty = parent
            .get(object)
            .and_then(Value::as_object)
            .is_some_and(Map::is_empty);
        if !is_field || !is_empty || !parent.remove(object) {
            return;
        }
    }
}

fn fields(claim: &Value) -> &Value {
    claim.get("fieldsV1").unwrap_or(&Value::Null)
}

fn plain(object: &Value) -> Value {
    let object = Object::try_from(object.clone()).unwrap_or_default();
    Value::from(without_server_fields(&object))
}

impl fmt::Debug for Yielding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sets of rules", self.rules.len())
    }
}

#[cfg(test)]
mod tests;
