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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Source;

    fn id(text: &str) -> NamespacedName {
        let (namespace, name) = text.split_once('/').unwrap();
        NamespacedName::new(namespace, name).unwrap()
    }

    fn of(named: &[&str]) -> Configured {
        Configured {
            named: named.iter().map(|name| id(name)).collect(),
            kinds: ["Secret"].into(),
        }
    }

    #[test]
    fn a_source_is_touched_by_what_its_last_run_has_read_for_it() {
        let (mut index, web) = (Index::default(), id("acme/web"));
        let touched = |index: &Index, secret: &str| index.touched_by_secret(&id(secret)).count();
        let own = Source {
            secrets: ["proxy".parse().unwrap()].into(),
            ..Source::default()
        };
        index.apply_source(&web, own.clone());
        assert!(!index.configure_source(&web, Configured::default()));
        assert!(index.configure_source(&web, of(&["home/git", "home/key"])));
        assert!(!index.configure_source(&web, of(&["home/git", "home/key"])));
        assert!(index.configure_source(&web, of(&["home/git", "acme/proxy"])));
        // Another state of the object changes nothing about it.
        index.apply_source(&web, own);
        index.apply_source(&web, Source::default());
        for (secret, count) in [("home/git", 1), ("home/key", 0), ("acme/proxy", 1)] {
            assert_eq!(touched(&index, secret), count, "{secret}");
        }
        index.remove_source(&web);
        assert_eq!(
            touched(&index, "home/git") + touched(&index, "acme/proxy"),
            0
        );
        assert_eq!(index.configured(&web), None);
    }
}
