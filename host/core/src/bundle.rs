//! The manifests of one Kustomization on their way to the cluster.
//!
//! A `Bundle<Rendered>` comes from `render` alone; plugins get its manifests as JSON and give JSON back, which is read
//! again here with bounds, as if it came from a stranger. A `Bundle<Transformed>` is one that no plugin will touch any
//! more; `plan` takes nothing else. It deliberately knows nothing of namespaces, order or the cluster.

mod outline;

use std::collections::BTreeSet;
use std::marker::PhantomData;

use reeve_api::reason::Reason;
use reeve_kustomize::{Id, Object, json_values};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::artifact::Digest;
use crate::failure::{Explain, Turn};
use crate::veil::Veil;
use crate::veil::shown::secrets;
pub use outline::Outline;

/// The most manifests that may come back from a plugin.
const MANIFEST_LIMIT: usize = 50_000;
/// The largest manifest that may come back, in bytes: etcd takes 1.5 MiB.
const MANIFEST_SIZE: usize = 3 << 20;
/// The most bytes that may come back in all.
const BUNDLE_SIZE: usize = 64 << 20;
/// The most JSON values that may come back in all: read, planned and sent, each takes 200 bytes, and two of text are enough
/// to write one. Objects as people write them have one in 20 bytes.
const VALUES: usize = 500_000;
/// With more values than this a bundle is large: a tenant has one of them in work at a time.
const LARGE: usize = 50_000;
/// What a value takes in memory, in bytes, beside its text.
const EACH: u64 = 150;

/// Built from the source; plugins may still change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendered {}
/// As it will be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transformed {}

/// The objects of a Kustomization, each with a kind and a name, no two of them the same.
#[derive(Clone, PartialEq)]
pub struct Bundle<Stage> {
    objects: Vec<Object>,
    /// Of the YAML that was built: the same revision, built twice, has the same.
    digest: Digest,
    /// Bytes of that YAML.
    size: u64,
    /// JSON values in all objects.
    values: usize,
    /// What plugins were shown of Secrets, and made of them: it may stand in any object by now.
    secret: Veil,
    stage: PhantomData<Stage>,
}

/// One object, as plugins see it.
pub type Manifest = String;

/// Manifests that are not a bundle. Never holds a value of a manifest but its identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// One is not a JSON object.
    #[error("manifest {at} is not a JSON object: {why}")]
    Syntax {
        /// Which one, from 1.
        at: usize,
        /// What is wrong with it.
        why: String,
    },
    /// One lacks what makes an object.
    #[error("{what} has no {field}")]
    Incomplete {
        /// Which one, as far as it says.
        what: String,
        /// What is missing.
        field: &'static str,
    },
    /// Two are the same object.
    #[error("{0} is there twice")]
    Twice(String),
    /// There is too much.
    #[error("{what} is more than the {limit} allowed")]
    Limit {
        /// Of what.
        what: String,
        /// How much there may be.
        limit: usize,
    },
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        Reason::BuildFailed
    }

    fn turn(&self) -> Turn {
        Turn::NextRevision
    }
}

impl<Stage> Bundle<Stage> {
    fn new(objects: Vec<Object>, digest: Digest, size: u64) -> Result<Self, Error> {
        let mut seen = BTreeSet::new();
        let mut values = 0;
        for (at, object) in objects.iter().enumerate() {
            values += object.fields().values().map(count).sum::<usize>();
            check(at, object)?;
            let id = Id {
                version: String::new(),
                ..object.id()
            };
            if seen.contains(&id) {
                return Err(Error::Twice(id.to_string()));
            }
            seen.insert(id);
        }
        Ok(Self {
            objects,
            digest,
            size,
            values,
            secret: Veil::default(),
            stage: PhantomData,
        })
    }

    /// What plugins were shown of its Secrets: wherever an object holds it by now, it must not be told.
    pub fn secret(&self) -> &Veil {
        &self.secret
    }

    /// The same bundle, of which this must not be told either.
    #[must_use]
    pub fn under(self, veil: &Veil) -> Self {
        Self {
            secret: self.secret.and(veil),
            ..self
        }
    }

    /// Whether it takes so much memory that its tenant should have no other in work beside it.
    pub fn is_large(&self) -> bool {
        self.values > LARGE
    }

    /// The objects, in the order they were built.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// Its objects, for the next stage.
    pub(crate) fn into_objects(self) -> Vec<Object> {
        self.objects
    }

    /// Of the YAML that was built from the source, before plugins: what a status' history tells builds apart by.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Roughly how many bytes it takes in memory: that YAML, and what each of its values takes beside its text.
    pub fn weight(&self) -> u64 {
        let values = u64::try_from(self.values).unwrap_or(u64::MAX);
        let secret = u64::try_from(self.secret.size()).unwrap_or(u64::MAX);
        let texts = self.size.saturating_add(secret);
        texts.saturating_add(values.saturating_mul(EACH))
    }
}

impl Bundle<Rendered> {
    /// What a build made, or that with its variables put in. Only `render` and `substitute` build.
    pub(crate) fn built(objects: Vec<Object>) -> Result<Self, Error> {
        let yaml = reeve_kustomize::to_yaml(&objects);
        Self::new(objects, Digest::of(yaml.as_bytes()), yaml.len() as u64)
    }

    /// Each object as JSON, for plugins.
    pub fn to_manifests(&self) -> Vec<Manifest> {
        self.objects
            .iter()
            .map(|object| Value::Object(object.fields().clone()).to_string())
            .collect()
    }

    /// What a plugin that is shown it could tell, and must not.
    pub fn shown(&self) -> Veil {
        let objects = self.objects.iter().map(Object::fields);
        self.secret.and(&secrets(objects, std::iter::empty()))
    }

    /// The same bundle with what a plugin made of it: read anew, bounded and checked.
    pub fn replaced(self, manifests: Vec<Manifest>) -> Result<Self, Error> {
        let made = Self::new(read(&manifests)?, self.digest, self.size)?;
        let before = self.objects.iter().map(Object::fields);
        let shown = secrets(before, made.objects.iter().map(Object::fields));
        Ok(made.under(&self.secret).under(&shown))
    }

    /// No plugin touches it any more.
    pub fn settled(self) -> Bundle<Transformed> {
        Bundle {
            objects: self.objects,
            digest: self.digest,
            size: self.size,
            values: self.values,
            secret: self.secret,
            stage: PhantomData,
        }
    }
}

impl<Stage> std::fmt::Debug for Bundle<Stage> {
    // Objects may be Secrets: only who they are is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.objects.iter().map(|object| object.id().to_string()))
            .finish()
    }
}

/// What a function that is shown these could tell, and must not.
pub fn shown(manifests: &[Manifest]) -> Veil {
    // They were written here: what cannot be read is no object.
    let read = |text: &Manifest| serde_json::from_str(text).ok();
    let objects: Vec<Map<String, Value>> = manifests.iter().filter_map(read).collect();
    secrets(objects.iter(), std::iter::empty())
}

/// Whether these are manifests that a plugin may give back.
pub fn usable(manifests: &[Manifest]) -> Result<(), Error> {
    let objects = read(manifests)?;
    Bundle::<Rendered>::new(objects, Digest::of(b""), 0).map(|_| ())
}

/// Whether reading them takes so much memory that their tenant should have no other in work beside them.
pub fn are_large(manifests: &[Manifest]) -> bool {
    written(manifests) > LARGE
}

fn read(manifests: &[Manifest]) -> Result<Vec<Object>, Error> {
    bounded(manifests)?;
    let objects = manifests.iter().enumerate().map(|(at, text)| {
        let refused = |why: String| Error::Syntax { at: at + 1, why };
        let Strict(value) = serde_json::from_str(text).map_err(|why| refused(brief(&why)))?;
        Object::try_from(value).map_err(|_| refused("it is another kind of value".to_owned()))
    });
    objects.collect()
}

/// The values that a value consists of, itself among them.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn written(manifests: &[Manifest]) -> usize {
    let values: u64 = manifests.iter().map(|text| json_values(text)).sum();
    usize::try_from(values).unwrap_or(usize::MAX)
}

fn bounded(manifests: &[Manifest]) -> Result<(), Error> {
    let over = |what: String, limit| Err(Error::Limit { what, limit });
    if manifests.len() > MANIFEST_LIMIT {
        return over(
            format!("a number of {} manifests", manifests.len()),
            MANIFEST_LIMIT,
        );
    }
    let mut total = 0_usize;
    for (at, manifest) in manifests.iter().enumerate() {
        if manifest.len() > MANIFEST_SIZE {
            let what = format!("the size of manifest {}, {} bytes,", at + 1, manifest.len());
            return over(what, MANIFEST_SIZE);
        }
        total = total.saturating_add(manifest.len());
    }
    if total > BUNDLE_SIZE {
        return over(
            format!("the size of all manifests, {total} bytes,"),
            BUNDLE_SIZE,
        );
    }
    let values = written(manifests);
    if values > VALUES {
        return over(
            format!("the number of values in all manifests, {values},"),
            VALUES,
        );
    }
    Ok(())
}

/// Every object says what it is and has a name.
fn check(at: usize, object: &Object) -> Result<(), Error> {
    let missing = |field| {
        let known: Vec<&str> = [object.kind(), object.name()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        let what = match known.is_empty() {
            true => format!("manifest {}", at + 1),
            false => format!("manifest {} ({})", at + 1, known.join(" ")),
        };
        Err(Error::Incomplete { what, field })
    };
    if object.api_version().is_empty() || object.version().is_empty() {
        return missing("apiVersion");
    }
    if object.kind().is_empty() {
        return missing("kind");
    }
    if object.name().is_empty() {
        return missing("metadata.name");
    }
    Ok(())
}

/// What serde says about broken JSON, without the text it quotes.
fn brief(why: &serde_json::Error) -> String {
    let kind = match why.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a key is there twice",
        _ => "it is not JSON",
    };
    format!("{kind} (line {}, column {})", why.line(), why.column())
}

/// A JSON value in which no object has a key twice: two readers could otherwise see two different objects.
struct Strict(Value);

impl<'de> serde::Deserialize<'de> for Strict {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Strictly.deserialize(from).map(Self)
    }
}

struct Strictly;

impl<'de> DeserializeSeed<'de> for Strictly {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strictly {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Self)?;
            if map.insert(key, value).is_some() {
                return Err(serde::de::Error::custom("a key is there twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests;
