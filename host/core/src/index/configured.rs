//! What sources are configured by beside what they name themselves: the levels of git configuration above them.
//!
//! Noted by the run that has read them; who changes one of them wakes the source.

use std::collections::BTreeSet;

use reeve_api::name::NamespacedName;

use super::{Index, Target, unlink};

/// The platform's ConfigMaps and Secrets that a source is configured by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configured {
    /// Which they are.
    pub named: BTreeSet<NamespacedName>,
    /// Of which kinds.
    pub kinds: BTreeSet<&'static str>,
}

impl Index {
    /// A source is configured by these, and by no others. Whether that is news.
    pub fn configure_source(&mut self, id: &NamespacedName, configured: Configured) -> bool {
        let before = self.configured(id);
        if before == Some(&configured) || (before.is_none() && configured.named.is_empty()) {
            return false;
        }
        self.configured_no_more(id);
        self.configured.insert(id.clone(), configured);
        self.link_configured(id);
        true
    }

    /// What a source is configured by.
    pub fn configured(&self, id: &NamespacedName) -> Option<&Configured> {
        self.configured.get(id)
    }

    pub(super) fn configured_no_more(&mut self, id: &NamespacedName) {
        let old = self.configured.remove(id);
        for named in old.iter().flat_map(|old| &old.named) {
            unlink(&mut self.by_secret, named, &Target::Source(id.clone()));
        }
    }

    /// Also after what it names itself has changed, which may be the same.
    pub(super) fn link_configured(&mut self, id: &NamespacedName) {
        let configured = self.configured.get(id);
        for named in configured.iter().flat_map(|configured| &configured.named) {
            let users = self.by_secret.entry(named.clone()).or_default();
            users.insert(Target::Source(id.clone()));
        }
    }
}
