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

/// For whose sake a source is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sake {
    /// Its own repository's: read at each run.
    Own,
    /// Its submodules': read when they are fetched, so that they are kept beside the others until then.
    Submodules,
}

impl Configured {
    /// These, and those.
    pub fn add(&mut self, other: Self) {
        self.named.extend(other.named);
        self.kinds.extend(other.kinds);
    }
}

impl Index {
    /// For this sake a source is configured by these, and by no others. Whether that is news.
    pub fn configure_source(
        &mut self,
        id: &NamespacedName,
        sake: Sake,
        configured: Configured,
    ) -> bool {
        let before = self.configured_for(id, sake);
        if before == Some(&configured) || (before.is_none() && configured.named.is_empty()) {
            return false;
        }
        self.unlink_configured(id);
        let all = self.configured.entry(id.clone()).or_default();
        all.insert(sake, configured);
        self.link_configured(id);
        // Itself it may name what was a level's too.
        if let Some(source) = self.sources.get(id).cloned() {
            self.uses(&Target::Source(id.clone()), id, &source.secrets);
        }
        true
    }

    /// What a source is configured by for this sake, if that is known.
    pub fn configured_for(&self, id: &NamespacedName, sake: Sake) -> Option<&Configured> {
        self.configured.get(id)?.get(&sake)
    }

    /// The kinds of all that a source is configured by.
    pub fn configuring_kinds(&self, id: &NamespacedName) -> BTreeSet<&'static str> {
        let all = self.configured.get(id).into_iter().flatten();
        all.flat_map(|(_, configured)| configured.kinds.iter().copied())
            .collect()
    }

    pub(super) fn configured_no_more(&mut self, id: &NamespacedName) {
        self.unlink_configured(id);
        self.configured.remove(id);
    }

    fn unlink_configured(&mut self, id: &NamespacedName) {
        let all = self.configured.get(id).into_iter().flatten();
        for named in all.flat_map(|(_, configured)| &configured.named) {
            unlink(&mut self.by_secret, named, &Target::Source(id.clone()));
        }
    }

    /// Also after what it names itself has changed, which may be the same.
    pub(super) fn link_configured(&mut self, id: &NamespacedName) {
        let all = self.configured.get(id).into_iter().flatten();
        for named in all.flat_map(|(_, configured)| &configured.named) {
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
        assert!(!index.configure_source(&web, Sake::Own, Configured::default()));
        assert!(index.configure_source(&web, Sake::Own, of(&["home/git", "home/key"])));
        assert!(!index.configure_source(&web, Sake::Own, of(&["home/git", "home/key"])));
        assert!(index.configure_source(&web, Sake::Own, of(&["home/git", "acme/proxy"])));
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
        assert_eq!(index.configured_for(&web, Sake::Own), None);
    }
    #[test]
    fn what_submodules_are_fetched_with_touches_until_they_are_fetched_with_something_else() {
        let (mut index, web) = (Index::default(), id("home/web"));
        let own = Source {
            secrets: ["git".parse().unwrap()].into(),
            ..Source::default()
        };
        index.apply_source(&web, own);
        let touched = |index: &Index| -> Vec<&'static str> {
            let all = ["home/git", "home/level", "home/key", "home/other"];
            let is = |secret: &&str| index.touched_by_secret(&id(secret)).count() == 1;
            all.into_iter().filter(is).collect()
        };
        let mut further = of(&["home/level"]);
        further.add(of(&["home/git", "home/key"]));
        assert!(index.configure_source(&web, Sake::Own, of(&["home/level"])));
        assert!(index.configure_source(&web, Sake::Submodules, further));
        assert_eq!(touched(&index), ["home/git", "home/level", "home/key"]);
        // A run that finds nothing new reads its own levels only.
        assert!(!index.configure_source(&web, Sake::Own, of(&["home/level"])));
        assert!(index.configure_source(&web, Sake::Own, of(&["home/other"])));
        assert_eq!(
            touched(&index),
            ["home/git", "home/level", "home/key", "home/other"]
        );
        assert!(index.configure_source(&web, Sake::Submodules, Configured::default()));
        assert_eq!(touched(&index), ["home/git", "home/other"]);
        assert_eq!(index.configuring_kinds(&web), ["Secret"].into());
        index.remove_source(&web);
        assert_eq!(touched(&index), [""; 0]);
    }
}
