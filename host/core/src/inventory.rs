//! Which objects a Kustomization has on the cluster, in Flux's own writing, so that `flux tree` reads it.
//!
//! An id is `<namespace>_<name>_<group>_<kind>`, as cli-utils writes it: `:` in the name of an RBAC object becomes
//! `__`. It deliberately doesn't ask the cluster whether an object is really there. `plan` compares the inventory of
//! the last run with what is wanted now; the difference is pruned.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use reeve_api::name::{NamespaceName, ObjectName};
use reeve_api::reason::Reason;
use reeve_kustomize::Object;

use crate::failure::{Explain, Turn};

/// Which object: everything that identifies it but the version it is spoken of in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Empty for a cluster-scoped object.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Empty for Kubernetes' core group.
    pub group: String,
    /// Its kind.
    pub kind: String,
}

/// One object of an inventory, and the version to speak of it in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Which object.
    pub id: ObjectId,
    /// The API version without its group: `v1`.
    pub version: String,
}

/// The objects a Kustomization has on the cluster, in the order they were applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    entries: IndexMap<String, Entry>,
}

/// An entry that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No object can have this id.
    #[error("{0:?} is not an inventory id: expected <namespace>_<name>_<group>_<kind>")]
    Id(String),
    /// No API has this version.
    #[error(
        "{version:?} of the inventory entry {id:?} is not an API version: expected v1 or the like"
    )]
    Version {
        /// Which entry.
        id: String,
        /// What stands there.
        version: String,
    },
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        Reason::ReconciliationFailed
    }

    fn turn(&self) -> Turn {
        Turn::Retry
    }

    fn hint(&self) -> Option<String> {
        Some(
            "somebody else wrote status.inventory: correct the entry or remove it with \
             `kubectl edit --subresource=status`; what is removed from it is never pruned"
                .to_owned(),
        )
    }
}

impl ObjectId {
    /// What names an object, as a manifest or the API server tells it.
    pub fn of(object: &Object) -> Self {
        Self {
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            group: object.group().to_owned(),
            kind: object.kind().to_owned(),
        }
    }

    /// Whether Flux's writing of it can be read back as the same object.
    ///
    /// It cannot for an RBAC object with `__` in its name: it would be read as `:`, and never be pruned.
    pub fn is_recordable(&self) -> bool {
        self.to_string().parse().as_ref() == Ok(self)
    }

    /// `Kind/namespace/name`, or `Kind/name`: as events and `kubectl` name it.
    pub fn subject(&self) -> String {
        if self.namespace.is_empty() {
            format!("{}/{}", self.kind, self.name)
        } else {
            format!("{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }

    fn is_rbac(&self) -> bool {
        self.group == "rbac.authorization.k8s.io"
            && matches!(
                self.kind.as_str(),
                "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding"
            )
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            name,
            group,
            kind,
        } = self;
        if self.is_rbac() {
            write!(f, "{namespace}_{}_{group}_{kind}", name.replace(':', "__"))
        } else {
            write!(f, "{namespace}_{name}_{group}_{kind}")
        }
    }
}

impl FromStr for ObjectId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            // Namespace, group and kind never hold `_`; whatever is left between them is the name.
            let (namespace, rest) = text.split_once('_')?;
            let (rest, kind) = rest.rsplit_once('_')?;
            let (name, group) = rest.rsplit_once('_')?;
            let fits = is_namespace(namespace) && is_name(name) && is_group(group) && is_word(kind);
            fits.then(|| Self {
                namespace: namespace.to_owned(),
                name: name.replace("__", ":"),
                group: group.to_owned(),
                kind: kind.to_owned(),
            })
        };
        read().ok_or_else(|| Error::Id(text.chars().take(600).collect()))
    }
}

fn is_namespace(text: &str) -> bool {
    text.is_empty() || text.parse::<NamespaceName>().is_ok()
}

fn is_group(text: &str) -> bool {
    text.is_empty() || text.parse::<ObjectName>().is_ok()
}

/// As much as a name must be for the API server to take it as a part of a path; what else it must be differs from kind
/// to kind.
fn is_name(text: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '/' | '%');
    !matches!(text, "" | "." | "..") && text.len() <= 253 && text.chars().all(fits)
}

/// A kind or a version: a DNS label, but for its case.
fn is_word(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

impl Entry {
    /// `group/version`, or `version` in the core group.
    pub fn api_version(&self) -> String {
        if self.id.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.id.group, self.version)
        }
    }
}

impl Inventory {
    /// Reads the `id` and `v` of every entry of a status.
    ///
    /// One that cannot be read fails the whole: pruning by half an inventory would forget the other half.
    pub fn parse<I, S>(entries: I) -> Result<Self, Error>
    where
        I: IntoIterator<Item = (S, S)>,
        S: AsRef<str>,
    {
        let read = |(id, version): (S, S)| entry(id.as_ref(), version.as_ref());
        entries.into_iter().map(read).collect()
    }

    /// The entries that can be read, and why the others cannot: for who prunes everything anyway.
    pub fn readable<I, S>(entries: I) -> (Self, Vec<Error>)
    where
        I: IntoIterator<Item = (S, S)>,
        S: AsRef<str>,
    {
        let (mut inventory, mut errors) = (Self::default(), Vec::new());
        for (id, version) in entries {
            match entry(id.as_ref(), version.as_ref()) {
                Ok(entry) => inventory.insert(entry),
                Err(why) => errors.push(why),
            }
        }
        (inventory, errors)
    }

    /// The objects, in the order they were applied.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.values()
    }

    /// Each entry's `id` and `v`, as a status holds them.
    pub fn to_status(&self) -> Vec<(String, String)> {
        self.entries
            .iter()
            .map(|(id, entry)| (id.clone(), entry.version.clone()))
            .collect()
    }

    /// How many objects it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it holds the object.
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.entries.contains_key(&id.to_string())
    }

    /// Adds one object; one that is already there keeps its place and takes the new version.
    pub fn insert(&mut self, entry: Entry) {
        self.entries.insert(entry.id.to_string(), entry);
    }

    /// All of this and, behind it, what only `other` holds; the version is this one's.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (id, entry) in &other.entries {
            both.entries
                .entry(id.clone())
                .or_insert_with(|| entry.clone());
        }
        both
    }

    /// What this holds and `other` doesn't.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let kept = self
            .entries
            .iter()
            .filter(|(id, _)| !other.entries.contains_key(*id));
        Self {
            entries: kept
                .map(|(id, entry)| (id.clone(), entry.clone()))
                .collect(),
        }
    }
}

fn entry(id: &str, version: &str) -> Result<Entry, Error> {
    let parsed = id.parse()?;
    if !is_word(version) {
        let cut = |text: &str| text.chars().take(600).collect();
        return Err(Error::Version {
            id: cut(id),
            version: cut(version),
        });
    }
    Ok(Entry {
        id: parsed,
        version: version.to_owned(),
    })
}

impl FromIterator<Entry> for Inventory {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut inventory = Self::default();
        for entry in entries {
            inventory.insert(entry);
        }
        inventory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(namespace: &str, name: &str, group: &str, kind: &str) -> ObjectId {
        ObjectId {
            namespace: namespace.into(),
            name: name.into(),
            group: group.into(),
            kind: kind.into(),
        }
    }

    fn inventory(ids: &[&str]) -> Inventory {
        Inventory::parse(ids.iter().map(|id| (*id, "v1"))).unwrap()
    }

    #[test]
    fn ids_are_written_as_flux_writes_them_and_read_back() {
        let rbac = "rbac.authorization.k8s.io";
        for (object, text) in [
            (
                id("acme", "web", "apps", "Deployment"),
                "acme_web_apps_Deployment",
            ),
            (id("acme", "web", "", "Service"), "acme_web__Service"),
            (id("", "acme", "", "Namespace"), "_acme__Namespace"),
            (
                id("acme", "web:read", rbac, "Role"),
                "acme_web__read_rbac.authorization.k8s.io_Role",
            ),
            (
                id("", "system:x:y", rbac, "ClusterRole"),
                "_system__x__y_rbac.authorization.k8s.io_ClusterRole",
            ),
            (
                id("acme", "my_role", rbac, "Role"),
                "acme_my_role_rbac.authorization.k8s.io_Role",
            ),
        ] {
            assert_eq!(object.to_string(), text);
            assert_eq!(text.parse::<ObjectId>().unwrap(), object, "{text}");
            assert!(object.is_recordable(), "{text}");
        }
    }

    #[test]
    fn a_name_that_would_be_read_back_as_another_is_not_recordable() {
        assert!(!id("acme", "a__b", "rbac.authorization.k8s.io", "Role").is_recordable());
    }

    #[test]
    fn half_an_inventory_is_none() {
        for text in [
            "",
            "web",
            "acme_web",
            "acme_web_apps",
            "acme__apps_Deployment",
            "acme_web_apps_",
            "Acme_web_apps_Deployment",
            "acme_../../x__ConfigMap",
            "acme_..__ConfigMap",
            "acme_a%2fb__ConfigMap",
            "acme_a b__ConfigMap",
            "acme_web_/apps_Deployment",
            "acme_web_apps_Deploy/ment",
            "acme_web__-x",
        ] {
            assert!(
                Inventory::parse([("acme_web__Service", "v1"), (text, "v1")]).is_err(),
                "{text}"
            );
        }
        for version in ["", "v1/x", "../v1", "1", "v 1"] {
            let why = Inventory::parse([("acme_web__Service", version)]).unwrap_err();
            assert!(why.to_string().contains("acme_web__Service"), "{why}");
        }
    }

    #[test]
    fn who_prunes_everything_takes_what_can_be_read_and_is_told_the_rest() {
        let (read, rest) =
            Inventory::readable([("acme_web__Service", "v1"), ("web", "v1"), ("a_b__C", "")]);
        assert_eq!(read, inventory(&["acme_web__Service"]));
        assert_eq!(rest.len(), 2, "{rest:?}");
    }

    #[test]
    fn what_is_gone_from_git_is_the_difference_in_order() {
        let before = inventory(&[
            "acme_a__ConfigMap",
            "acme_b__ConfigMap",
            "acme_c__ConfigMap",
        ]);
        let now = inventory(&["acme_b__ConfigMap", "acme_d__ConfigMap"]);
        assert_eq!(
            before.minus(&now),
            inventory(&["acme_a__ConfigMap", "acme_c__ConfigMap"])
        );
        let both: Vec<_> = now
            .union(&before)
            .to_status()
            .into_iter()
            .map(|(id, _)| id)
            .collect();
        assert_eq!(
            both,
            [
                "acme_b__ConfigMap",
                "acme_d__ConfigMap",
                "acme_a__ConfigMap",
                "acme_c__ConfigMap"
            ]
        );
    }

    #[test]
    fn an_entry_speaks_of_its_object_in_group_and_version() {
        let entry = Entry {
            id: id("acme", "web", "apps", "Deployment"),
            version: "v1".into(),
        };
        assert_eq!(entry.api_version(), "apps/v1");
        assert_eq!(entry.id.subject(), "Deployment/acme/web");
        let entry = Entry {
            id: id("", "acme", "", "Namespace"),
            version: "v1".into(),
        };
        assert_eq!(entry.api_version(), "v1");
        assert_eq!(entry.id.subject(), "Namespace/acme");
    }
}
