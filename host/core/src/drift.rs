//! What others change of what was applied, so that it is put right at once and not at the next interval.
//!
//! Of each object that is as it is wanted a [`Sight`] is kept: who claims which of its fields. A field of ours that somebody
//! else changes is theirs from then on, so the claims tell a change that matters from one that doesn't: a new status, a
//! field that we never set, and the echo of our own write leave them as they are. It deliberately fetches nothing and
//! decides nothing about fields: a change that matters is worth a run, and the run compares.

mod claims;
mod exact;
mod fight;
mod kinds;
mod ledger;
mod plain;
mod told;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use reeve_api::name::NamespacedName;
use serde_json::Value;

pub use claims::{Claims, Settled};
pub use exact::Exact;
pub use fight::Fought;
pub use kinds::{KindError, WatchedKind, WatchedKinds};
pub use ledger::{Call, Ledger, Place, Stood, Untouched, Which};
pub use plain::{LEFTOVER_ANNOTATIONS, LEFTOVER_LABEL, asks};
pub use told::{Drifted, fought, words};

use exact::Uid;
use plain::is_plain;

/// The field manager of everything applied: Flux's, so that `flux diff` and a hand-over from Flux see no drift.
pub const MANAGER: &str = "kustomize-controller";
/// The annotation, on an object or its Kustomization, by which a difference is only told: `report`.
pub const DRIFT: &str = "reeve.dev/drift";
/// The label that every applied object has, and no other should.
pub const OWNER: &str = "kustomize.toolkit.fluxcd.io/name";
/// The one beside it, with the namespace.
pub const OWNER_NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";
/// The label, and its value, by which a ConfigMap or a Secret wakes those who name it: Flux's.
pub const WATCHED: (&str, &str) = ("reconcile.fluxcd.io/watch", "Enabled");

/// What an object's metadata says of how it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// None where versions cannot be compared.
    version: Option<u64>,
    mark: u64,
    uid: Option<Uid>,
    /// Whether nobody but us has a say in it.
    plain: bool,
}

/// What a watch shows of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is there.
    There {
        /// How.
        sight: Sight,
        /// The Kustomization that its labels name.
        of: Option<NamespacedName>,
        /// Who wrote to it last, but for us.
        by: Option<String>,
    },
    /// It is gone, or no longer has our label.
    Gone {
        /// As of which version.
        version: Option<u64>,
    },
}

/// What an event means for an object that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It tells of what was before we looked.
    Old,
    /// Nothing of ours has changed.
    Same,
    /// Another Kustomization has taken it over.
    Theirs,
    /// Somebody has changed or deleted what is ours.
    Foreign,
}

impl Sight {
    /// That of an object that is not there.
    pub const GONE: Self = Self {
        version: None,
        mark: 0,
        uid: None,
        plain: false,
    };

    /// Whether nothing that matters has changed between the two.
    pub fn is_like(self, other: Self) -> bool {
        self.mark == other.mark
    }

    /// Of an object, or of what a watch shows of it: nothing but its metadata is looked at.
    pub fn of(object: &Value) -> Self {
        let meta = object.get("metadata").unwrap_or(&Value::Null);
        Self {
            version: version(text(meta, "resourceVersion")),
            mark: mark(meta),
            uid: Uid::of(meta),
            plain: is_plain(object),
        }
    }

    /// The state in which it was seen, where applying is all that there is to do to it; None: that must be looked at.
    pub fn exact(self) -> Option<Exact> {
        let (uid, version) = (self.uid?.told(), self.version?.to_string());
        self.plain.then_some(Exact { uid, version })
    }

    /// The same at a later time: of what was not plain when it was compared nobody knows how it differs.
    fn moved_to(self, later: Self) -> Self {
        Self {
            plain: self.plain && later.plain,
            ..later
        }
    }

    /// Whether it tells of what was later.
    fn is_after(self, other: Self) -> bool {
        let both = self.version.zip(other.version);
        both.is_some_and(|(this, other)| this > other)
    }
}

impl Seen {
    /// What a watch shows of an object that is there.
    pub fn there(object: &Value) -> Self {
        Self::There {
            sight: Sight::of(object),
            of: owner(object),
            by: last_hand(object),
        }
    }

    fn version(&self) -> Option<u64> {
        match self {
            Self::There { sight, .. } => sight.version,
            Self::Gone { version } => *version,
        }
    }
}

/// What it means to see this of an object that was like `known`, whose Kustomization is `holder`.
pub fn verdict(
    known: Sight,
    holder: &NamespacedName,
    seen: &Seen,
    is_one: impl Fn(&NamespacedName) -> bool,
) -> Verdict {
    if let (Some(then), Some(now)) = (known.version, seen.version())
        && now <= then
    {
        return Verdict::Old;
    }
    match seen {
        Seen::There { sight, .. } if sight.is_like(known) => Verdict::Same,
        Seen::Gone { .. } if known == Sight::GONE => Verdict::Same,
        Seen::There {
            of: Some(other), ..
        } if other != holder && is_one(other) => Verdict::Theirs,
        Seen::There { .. } | Seen::Gone { .. } => Verdict::Foreign,
    }
}

/// A resourceVersion as the number it is on every API server that has etcd behind it.
pub fn version(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// The Kustomization that an object's labels name.
pub fn owner(object: &Value) -> Option<NamespacedName> {
    let labels = object.pointer("/metadata/labels")?;
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    NamespacedName::new(label(OWNER_NAMESPACE)?, label(OWNER)?).ok()
}

/// Whether a claim on fields is one of ours: what we applied.
pub fn is_ours(claim: &Value) -> bool {
    text(claim, "manager") == MANAGER
        && text(claim, "operation") == "Apply"
        && text(claim, "subresource").is_empty()
}

/// Whether the next apply takes a claim over. Flux's list: whatever `kubectl` did (but not `kubectl scale`, which speaks to a
/// subresource), claims from before server-side apply, and our own updates.
pub fn is_taken_over(claim: &Value) -> bool {
    let (manager, operation) = (text(claim, "manager"), text(claim, "operation"));
    text(claim, "subresource").is_empty()
        && match operation {
            "Apply" => manager.starts_with("kubectl"),
            "Update" => {
                manager.starts_with("kubectl")
                    || manager.starts_with("before-first-apply")
                    || manager.starts_with(MANAGER)
            }
            _ => false,
        }
}

/// The same for what is the same to us. It need not hold against somebody who looks for two that collide: they would only
/// keep their own change from being seen before the next interval.
fn mark(meta: &Value) -> u64 {
    let mut hash = DefaultHasher::new();
    text(meta, "uid").hash(&mut hash);
    meta.get("deletionTimestamp").is_some().hash(&mut hash);
    for key in [OWNER, OWNER_NAMESPACE] {
        let label = meta.get("labels").and_then(|labels| labels.get(key));
        label.and_then(Value::as_str).hash(&mut hash);
    }
    let claims = meta.get("managedFields").and_then(Value::as_array);
    match claims.filter(|claims| !claims.is_empty()) {
        Some(claims) => {
            for claim in claims
                .iter()
                .filter(|one| is_ours(one) || is_taken_over(one))
            {
                for field in ["manager", "operation", "time"] {
                    text(claim, field).hash(&mut hash);
                }
                digest_into(claim.get("fieldsV1").unwrap_or(&Value::Null), &mut hash);
            }
        }
        // A server that keeps no claims may count generations.
        None => meta
            .get("generation")
            .and_then(Value::as_i64)
            .hash(&mut hash),
    }
    hash.finish()
}

/// Tells one manifest from another, whatever the order of its keys.
pub(crate) fn digest(value: &Value) -> u64 {
    let mut hash = DefaultHasher::new();
    digest_into(value, &mut hash);
    hash.finish()
}

fn digest_into(value: &Value, hash: &mut DefaultHasher) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            (0_u8, fields.len()).hash(hash);
            for (key, value) in fields {
                key.hash(hash);
                digest_into(value, hash);
            }
        }
        Value::Array(items) => {
            (1_u8, items.len()).hash(hash);
            items.iter().for_each(|item| digest_into(item, hash));
        }
        Value::String(text) => (2_u8, text).hash(hash),
        Value::Bool(set) => (3_u8, set).hash(hash),
        Value::Number(number) => (4_u8, number.to_string()).hash(hash),
        Value::Null => 5_u8.hash(hash),
    }
}

/// Who wrote to the object last, by its claims: neither we nor whoever tells its status.
fn last_hand(object: &Value) -> Option<String> {
    let claims = object.pointer("/metadata/managedFields")?.as_array()?;
    let theirs = claims.iter().filter(|claim| !is_ours(claim));
    let theirs = theirs.filter(|claim| text(claim, "subresource") != "status");
    let last = theirs.max_by_key(|claim| text(claim, "time"))?;
    let who = text(last, "manager").chars().filter(|c| !c.is_control());
    Some(who.take(128).collect()).filter(|who: &String| !who.is_empty())
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
