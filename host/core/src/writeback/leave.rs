//! What applying leaves alone until it is written back: fields that somebody has changed since we applied them.
//!
//! A field that we have applied and still claim is ours to set, so a change in git alone is applied. One that another has
//! changed is claimed by us no more: where a rule says that the cluster wins, it is compared and sent without it, until the
//! commit is there and both are the same; then we claim it again. What a rule ignores is left in the same way, and stays. A field
//! that is gone is left only if it was applied once (else git has added it). An object that somebody has made anew is claimed by us
//! nowhere: it is left in the same way, if it was applied once. What asks for nothing of this is applied as ever. A
//! write-back that stands alone has applied nothing that it could go by: it sends only what is to be put right. It deliberately
//! reads no cluster: the shell brings the object as it is and as a dry run would have it, or that none can say so (`unsaid`); and
//! what was applied before, which who has just begun finds out (`past`).

mod meant;
mod unsaid;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use reeve_api::writeback::{OnDelete, SyncTo};
use reeve_kustomize::Object;
use reeve_writeback::{Difference, Path, Step, differences, is_secret, without_server_fields};
use serde_json::{Map, Value};

use super::filter::steps_of;
use super::hand::{Reach, claims, others, reach};
use super::rule::{Rules, Subject};
use super::{OURS, is_paused};
use crate::admit::Recollection;
use crate::drift::is_ours;
use meant::{Meant, comparable};

/// What a set of fields calls the being there of what they are part of.
const ITSELF: &str = ".";

/// The WriteBacks that are in effect for a Kustomization.
#[derive(Clone, Default, PartialEq)]
pub struct Yielding {
    rules: Vec<Rules>,
    before: Option<Recollection>,
    /// What was left alone by the last run, which was there once.
    left: BTreeSet<String>,
    /// What somebody has taken out of write-back, or had before it was deleted.
    taken_out: BTreeSet<String>,
    /// Whether they stand alone.
    alone: bool,
}

/// What is left alone of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leave {
    /// Whether a rule is for the object.
    concerned: bool,
    /// The fields that rules have left alone; none where somebody has taken the object out.
    meant: Meant,
    paths: Vec<Path>,
    /// Whether any of them is to be committed.
    waits: bool,
}

impl Yielding {
    /// By these rules, after that was applied last.
    pub fn new(rules: Vec<Rules>, before: Option<Recollection>) -> Self {
        Self {
            rules,
            before,
            left: BTreeSet::new(),
            taken_out: BTreeSet::new(),
            alone: false,
        }
    }

    /// The same after something of these objects was left alone, by their ids: that they were there is known, though nobody may
    /// know any more as what they were applied.
    #[must_use]
    pub fn after_leaving(self, ids: impl IntoIterator<Item = String>) -> Self {
        Self {
            left: ids.into_iter().collect(),
            ..self
        }
    }

    /// The same where somebody has taken these out, by their ids: what is gone of them cannot say so any more.
    #[must_use]
    pub fn without(self, ids: impl IntoIterator<Item = String>) -> Self {
        Self {
            taken_out: ids.into_iter().collect(),
            ..self
        }
    }

    /// By the rules of a write-back that stands alone: all is left that they don't have put right, whoever has changed it.
    pub fn alone(rules: Rules) -> Self {
        Self {
            rules: vec![rules],
            before: None,
            left: BTreeSet::new(),
            taken_out: BTreeSet::new(),
            alone: true,
        }
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
        // What we have never applied is nobody's change.
        let is_applied = || claims(live).any(is_ours) || self.was_applied(id);
        if self.is_none() || !(self.alone || is_applied()) {
            return Leave::default();
        }
        let Ok(object) = Object::try_from(live.clone()) else {
            return Leave::default();
        };
        let mut meant = self.meant(resource, &object);
        if meant.is_nothing() {
            return Leave::default();
        }
        if is_paused(live) || is_paused(wanted) {
            if !self.alone {
                return Leave {
                    concerned: true,
                    ..Leave::default()
                };
            }
            // No rule is for it, and what no rule is for is left.
            meant.by.clear();
        }
        let before = self.before.as_ref().and_then(|before| before.get(id));
        let (is, would) = comparable(&meant, live, dry);
        let (mut paths, mut waits) = (Vec::new(), false);
        for one in &differences(0, &is, &would) {
            let steps = steps_of(&one.path, live);
            if !meant.is_left(&steps) {
                continue;
            }
            let left = match self.alone {
                true => Some(whole(&one.path)).filter(|path| path.get(wanted).is_some()),
                false => left(one, wanted, live, before),
            };
            waits |= left.is_some() && meant.is_committed(&steps);
            paths.extend(left);
        }
        Leave {
            concerned: true,
            paths,
            meant,
            waits,
        }
    }

    /// Whether an object that is gone stays so, until its manifest is taken out of git: it was applied once, and a rule says that
    /// what is deleted on the cluster is deleted. Standing alone only what is to be put right is made.
    pub fn lets_go(&self, resource: &str, id: &str, wanted: &Value) -> bool {
        let Ok(object) = Object::try_from(wanted.clone()) else {
            return false;
        };
        let subject = Subject::of(&object, resource);
        let mut rules = self.rules.iter().filter_map(|rules| rules.whole(&subject));
        if self.alone {
            return !rules.any(|rule| rule.sync_to() == SyncTo::Kubernetes);
        }
        let is_out = is_paused(wanted) || self.taken_out.contains(id);
        if !self.was_applied(id) || is_out || is_secret(&object.id()) {
            return false;
        }
        rules.any(|rule| rule.sync_to() == SyncTo::Git && rule.on_delete() == OnDelete::Delete)
    }

    fn was_applied(&self, id: &str) -> bool {
        let known = |before: &Recollection| before.get(id).is_some();
        self.left.contains(id) || self.before.as_ref().is_some_and(known)
    }

    /// What rules say of an object's fields. Secrets are never written, and so never left.
    fn meant(&self, resource: &str, object: &Object) -> Meant {
        if is_secret(&object.id()) {
            return Meant::default();
        }
        let subject = Subject::of(object, resource);
        let by = self.rules.iter().map(|rules| rules.following(&subject));
        Meant {
            by: by.collect(),
            alone: self.alone,
        }
    }
}

/// A field as it is sent or not: a list without keys is one.
fn whole(path: &Path) -> Path {
    let list = path.to_list_without_keys();
    list.unwrap_or_else(|| path.clone())
}

/// The field to leave, if somebody else has changed this one.
fn left(one: &Difference, wanted: &Value, live: &Value, before: Option<&Value>) -> Option<Path> {
    // So is what somebody claims as a whole.
    let mut path = whole(&one.path);
    for claim in others(live) {
        if let Reach::Over(steps) = reach(fields(claim), live, &path) {
            path = path.first(steps);
        }
    }
    path.get(wanted)?;
    let mut ours = claims(live).filter(|claim| is_ours(claim));
    if ours.any(|claim| reach(fields(claim), live, &path) != Reach::Not) {
        return None;
    }
    match path.get(live) {
        Some(_) => Some(path),
        // Gone, or new in git.
        None => path.get(before?).is_some().then_some(path),
    }
}

impl Leave {
    /// Whether a rule has changes of the object committed, though nothing of it may be left alone now.
    pub fn is_concerned(&self) -> bool {
        self.concerned
    }

    /// Whether nothing is left alone.
    pub fn is_nothing(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether any of it is left until it is committed, and not for good.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// The object without what is left alone, to be compared or sent.
    pub fn without<'v>(&self, object: &'v Value) -> Cow<'v, Value> {
        let mut object = Cow::Borrowed(object);
        for path in &self.paths {
            if path.remove(object.to_mut()) {
                without_empty(object.to_mut(), path);
            }
        }
        object
    }

    /// The manifest as the object will be when it is sent without what is left alone: that is what rules are asked about.
    pub fn shown(&self, wanted: &Value, live: &Value) -> Value {
        let mut shown = wanted.clone();
        for path in &self.paths {
            match path.get(live) {
                Some(is) => {
                    let _is_set = path.set(&mut shown, is.clone(), None);
                }
                None if path.remove(&mut shown) => without_empty(&mut shown, path),
                None => {}
            }
        }
        shown
    }

    /// Whether something is as git has it, and claimed by us no more: it was written back, or is the same by chance, and is to
    /// be claimed again, so that a change in git alone is seen as one.
    pub fn reclaims(&self, live: &Value, dry: &Value) -> bool {
        if self.meant.by.is_empty() {
            return false;
        }
        let Some(would) = claims(dry).find(|claim| is_ours(claim)) else {
            return false;
        };
        let mut would = fields(would).clone();
        let paths = self.paths.iter();
        paths.for_each(|path| disclaim(&mut would, dry, path));
        let mut is = claims(live).filter(|claim| is_ours(claim));
        !is.any(|claim| holds(fields(claim), &would))
    }

    /// What of others' claims an apply takes over: all of them, but for those on what is left alone, on what git does not have
    /// and on what is said to us. `fields` is what is claimed, `wanted` as git has the object and `live` as it is.
    pub fn taken(&self, fields: &Value, wanted: &Value, live: &Value) -> Value {
        match self.concerned {
            false => fields.clone(),
            true => {
                let at = At {
                    meant: &self.meant,
                    steps: Vec::new(),
                };
                Value::Object(at.taken(fields, Some(wanted), Some(live)))
            }
        }
    }
}

/// Where in an object a set of fields is looked at.
struct At<'m> {
    meant: &'m Meant,
    steps: Vec<String>,
}

impl At<'_> {
    fn taken(
        &self,
        fields: &Value,
        wanted: Option<&Value>,
        live: Option<&Value>,
    ) -> Map<String, Value> {
        let mut out = Map::new();
        let claimed = fields.as_object().into_iter().flatten();
        for (key, below) in claimed.filter(|(key, _)| key.as_str() != ITSELF) {
            if self.is_said_to_us(key) {
                continue;
            }
            let (step, here, is) = match key.split_at_checked(2) {
                Some(("f:", name)) => (name.to_owned(), part(wanted, name), part(live, name)),
                Some(("k:", keys)) => {
                    let at = position(live, keys).map(|at| at.to_string());
                    let at = at.unwrap_or_else(|| "-".to_owned());
                    (at, keyed(wanted, keys), keyed(live, keys))
                }
                _ => {
                    if self.takes_value(key, wanted) {
                        out.insert(key.clone(), below.clone());
                    }
                    continue;
                }
            };
            let mut steps = self.steps.clone();
            steps.push(step);
            if below.as_object().is_none_or(Map::is_empty) {
                if (here.is_some() && here == is) || !self.is_meant(&steps) {
                    out.insert(key.clone(), below.clone());
                }
                continue;
            }
            let meant = self.meant;
            let part = At { meant, steps }.taken(below, here, is);
            if !part.is_empty() {
                out.insert(key.clone(), Value::Object(part));
            }
        }
        let (all, itself) = (fields.as_object().map_or(0, Map::len), fields.get(ITSELF));
        if let Some(itself) = itself {
            let goes_along = !self.is_meant(&self.steps) && (all == 1 || !out.is_empty());
            if wanted.is_some() || goes_along {
                out.insert(ITSELF.to_owned(), itself.clone());
            }
        }
        out
    }

    /// Whether the claim on a value of a set is taken.
    fn takes_value(&self, key: &str, wanted: Option<&Value>) -> bool {
        let value = key.strip_prefix("v:");
        let value: Option<Value> = value.and_then(|value| serde_json::from_str(value).ok());
        let items = wanted.and_then(Value::as_array);
        let has = items
            .zip(value)
            .is_some_and(|(items, value)| items.contains(&value));
        has || !self.is_meant(&self.steps)
    }

    fn is_meant(&self, steps: &[String]) -> bool {
        self.meant.is_left(steps)
    }

    /// Annotations in which somebody speaks to us stay theirs.
    fn is_said_to_us(&self, key: &str) -> bool {
        let name = key.strip_prefix("f:");
        self.steps == ["metadata", "annotations"] && name.is_some_and(|name| OURS.contains(&name))
    }
}

fn part<'v>(value: Option<&'v Value>, name: &str) -> Option<&'v Value> {
    value.and_then(|value| value.get(name))
}

/// The place of the item that has all of these keys.
fn position(list: Option<&Value>, keys: &str) -> Option<usize> {
    let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
    let is = |item: &Value| keys.iter().all(|(key, is)| item.get(key) == Some(is));
    list?.as_array()?.iter().position(is)
}

/// The item that has all of these keys.
fn keyed<'v>(list: Option<&'v Value>, keys: &str) -> Option<&'v Value> {
    list?.as_array()?.get(position(list, keys)?)
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
        key == ITSELF || here.is_some_and(|here| holds(here, below))
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
