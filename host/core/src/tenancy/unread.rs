//! Tenants that are there, and that nobody can read.
//!
//! What one said before holds on. Of one that nobody has read since the process began it is not known what its namespaces are held
//! to: so those that bear its label, and the one that is called like it, are nobody's until it can be read. It deliberately
//! doesn't guess which others it names.

use std::collections::BTreeSet;

use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::reason::Reason;

use super::Tenants;
use crate::failure::{Explained, Failure, Turn};

impl Tenants {
    /// Takes in that a Tenant object is there and cannot be read. Returns the namespaces for which that may change anything.
    pub fn cannot_read(&mut self, name: &TenantName) -> BTreeSet<NamespaceName> {
        let is_news = !self.objects.contains_key(name) && self.unread.insert(name.clone());
        match is_news {
            true => self.bearing(name),
            false => BTreeSet::new(),
        }
    }

    /// Whether it is there, and nobody has read it.
    pub fn is_unread(&self, name: &TenantName) -> bool {
        self.unread.contains(name)
    }

    /// All of them.
    pub fn unread(&self) -> impl Iterator<Item = &TenantName> {
        self.unread.iter()
    }

    /// Takes in that it can be read, or is gone. Returns the same.
    pub(super) fn is_read(&mut self, name: &TenantName) -> BTreeSet<NamespaceName> {
        match self.unread.remove(name) {
            true => self.bearing(name),
            false => BTreeSet::new(),
        }
    }

    /// The Tenant that nobody can read and whose the namespace may be.
    pub(super) fn unread_of(&self, namespace: &NamespaceName) -> Option<&TenantName> {
        let marked = self.marks.get(namespace);
        let marked = marked.and_then(|name| self.unread.get(name));
        marked.or_else(|| self.unread.get(&TenantName::from(namespace.clone())))
    }

    /// Why nothing is done for such a namespace.
    pub(super) fn withheld(&self, namespace: &NamespaceName) -> Option<Failure> {
        let name = self.unread_of(namespace)?;
        let message = format!(
            "Tenant {name} cannot be read, so nobody knows what namespace {namespace} is held to: nothing is done for it"
        );
        let why = Explained::new(Reason::AccessDenied, Turn::OwnerOrPolicy, message);
        Some(why.with_hint(format!(
            "the platform's: mend Tenant {name}, whose Ready condition says what is wrong with it, or install a version that knows what it says"
        )))
    }

    fn bearing(&self, name: &TenantName) -> BTreeSet<NamespaceName> {
        // What is no namespace's name is no namespace's.
        self.marked_for(name)
            .cloned()
            .chain(name.as_str().parse::<NamespaceName>())
            .collect()
    }
}
