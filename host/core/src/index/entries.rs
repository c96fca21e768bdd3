//! Which sources an entry of git configuration is called for, and where.
//!
//! Such a hook is no object: it is there while a source has it, as that one's last run has found it, and its calls are judged
//! and counted like those of a Receiver, under a name that no Receiver has. What it deliberately doesn't: read the entry
//! (`gitconfig`), or its secret.

use std::collections::BTreeSet;
use std::sync::Arc;

use reeve_api::name::NamespacedName;

use super::{Hook, Index, Standing, Target, digest};
use crate::gitconfig::{HookEntry, Named};

/// The hook of an entry, as a run has found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryHook {
    /// Where it is called.
    pub path: String,
    /// What a call is judged by; it says what its calls are counted by, too.
    pub hook: Arc<Hook>,
    /// The entry.
    pub entry: HookEntry,
    /// Where its level lies.
    pub level: Named,
}

/// The same, and whom it wakes.
#[derive(Debug, Clone)]
pub(super) struct Called {
    by: EntryHook,
    sources: BTreeSet<NamespacedName>,
}

impl Index {
    /// From now on a source is called for by this entry, or by none. Whether it is news where, or by what, the entry is called.
    pub fn call_source(&mut self, source: &NamespacedName, by: Option<EntryHook>) -> bool {
        let id = by.as_ref().map(|by| by.hook.receiver.clone());
        let before = self.entry_of(source).map(|by| by.hook.receiver.clone());
        if let Some(before) = before.filter(|before| Some(before) != id.as_ref()) {
            self.call_no_more(&before, source);
        }
        let Some((by, id)) = by.zip(id) else {
            return false;
        };
        let same = |known: &Called| known.by.path == by.path && known.by.level == by.level;
        let news = !self.entries.get(&id).is_some_and(same);
        let old = self.entries.remove(&id);
        if let Some(old) = &old {
            self.by_entry.remove(&digest(&old.by.path));
        }
        let mut sources = old.map(|old| old.sources).unwrap_or_default();
        sources.insert(source.clone());
        self.by_entry.insert(digest(&by.path), id.clone());
        self.entry_of.insert(source.clone(), id.clone());
        self.entries.insert(id, Called { by, sources });
        news
    }

    /// The sources that this entry is called for elsewhere than it will be.
    pub fn moved_by(&self, by: &EntryHook) -> BTreeSet<NamespacedName> {
        let known = self.entries.get(&by.hook.receiver);
        let known = known.filter(|known| known.by.path != by.path);
        known.map(|known| known.sources.clone()).unwrap_or_default()
    }

    /// The entry that a source is called for by.
    pub fn entry_of(&self, source: &NamespacedName) -> Option<&EntryHook> {
        self.entry(self.entry_of.get(source)?)
    }

    /// The entry whose calls are counted by this.
    pub fn entry(&self, id: &NamespacedName) -> Option<&EntryHook> {
        Some(&self.entries.get(id)?.by)
    }

    /// Nobody can say what calls of an entry are proved by: they are turned away. Those it was called for until now.
    pub fn shut_entry(&mut self, id: &NamespacedName) -> BTreeSet<NamespacedName> {
        let open = |known: &&mut Called| known.by.hook.standing == Standing::Open;
        let Some(known) = self.entries.get_mut(id).filter(open) else {
            return BTreeSet::new();
        };
        let shut = Hook {
            standing: Standing::NotReady,
            ..Hook::clone(&known.by.hook)
        };
        known.by.hook = Arc::new(shut);
        known.sources.clone()
    }

    /// An entry is not called any more. Those it was called for.
    pub fn remove_entry(&mut self, id: &NamespacedName) -> BTreeSet<NamespacedName> {
        let Some(old) = self.entries.remove(id) else {
            return BTreeSet::new();
        };
        self.by_entry.remove(&digest(&old.by.path));
        for source in &old.sources {
            self.entry_of.remove(source);
        }
        old.sources
    }

    /// The hook of an entry at a path.
    pub(super) fn hook_of_entry(&self, path: &str) -> Option<Arc<Hook>> {
        let by = self.entry(self.by_entry.get(&digest(path))?)?;
        Some(Arc::clone(&by.hook))
    }

    /// What a call of an entry may wake.
    pub(super) fn woken_by_entry(&self, id: &NamespacedName) -> Option<(Arc<Hook>, Vec<Target>)> {
        let known = self.entries.get(id)?;
        let sources = known.sources.iter().cloned().map(Target::Source);
        Some((Arc::clone(&known.by.hook), sources.collect()))
    }

    fn call_no_more(&mut self, id: &NamespacedName, source: &NamespacedName) {
        self.entry_of.remove(source);
        if let Some(known) = self.entries.get_mut(id) {
            known.sources.remove(source);
            if known.sources.is_empty() {
                self.remove_entry(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use reeve_api::plugin::ConfigKind;
    use reeve_api::tenant::GitConfigReference;

    use super::*;
    use crate::gitconfig::{Holds, Level, LevelName, Place, address, hook_entry, parse, resolve};
    use crate::index::Source;
    use crate::webhook::{Filters, Token};

    fn id(text: &str) -> NamespacedName {
        text.parse().unwrap()
    }

    /// The hook of the only entry of a file, with its secret.
    fn by(secret: &str) -> EntryHook {
        let text =
            format!("gitHubAuths: [{{orgRepo: acme/*, polling: {{webhookSecret: {secret}}}}}]");
        let file = parse(text.as_bytes(), Holds::Secrets).unwrap();
        let name = LevelName::Global;
        let levels = [Level { name, file }];
        let place = Place::of(&address("git@github.com:acme/web").unwrap()).unwrap();
        let found = resolve(&levels, &place);
        let (entry, _) = hook_entry(&levels, found.polling.as_ref()).unwrap();
        let token = Token::parse(Some(secret.as_bytes()), "it").unwrap();
        let level = GitConfigReference {
            kind: ConfigKind::Secret,
            name: "git".parse().unwrap(),
            key: None,
        };
        EntryHook {
            path: entry.path(&token),
            hook: Arc::new(Hook {
                receiver: entry.id(&"home".parse().unwrap()).unwrap(),
                kind: entry.kind(),
                token,
                google: None,
                issuers: Vec::new(),
                events: Vec::new(),
                filters: Filters::default(),
                standing: Standing::Open,
            }),
            entry,
            level: (LevelName::Global, level),
        }
    }

    fn woken(index: &Index, path: &str) -> Vec<Target> {
        let hook = index.hook(path);
        let woken = hook.and_then(|hook| index.woken_by(&hook.receiver));
        let woken = woken.map(|(_, woken)| woken.into_iter().flatten().collect());
        woken.unwrap_or_default()
    }

    #[test]
    fn a_call_of_an_entry_wakes_the_sources_that_have_it_and_nobody_else() {
        let (mut index, one) = (Index::default(), by("one"));
        let (web, api, other) = (id("acme/web"), id("acme/api"), id("acme/other"));
        for source in [&web, &api, &other] {
            index.apply_source(source, Source::default());
        }
        assert!(index.call_source(&web, Some(one.clone())));
        assert!(!index.call_source(&api, Some(one.clone())), "no news");
        let both = vec![Target::Source(api.clone()), Target::Source(web.clone())];
        assert_eq!(woken(&index, &one.path), both);
        // Who goes, or has another configuration, is not woken any more; the last one takes the hook along.
        index.remove_source(&api);
        assert_eq!(woken(&index, &one.path), [Target::Source(web.clone())]);
        assert_eq!(index.entry_of(&web), Some(&one));
        assert!(!index.call_source(&web, None));
        assert!(woken(&index, &one.path).is_empty());
        assert_eq!(index.hook(&one.path), None);
    }

    #[test]
    fn another_secret_has_another_path_and_the_old_one_is_nobodys() {
        let (mut index, one, two) = (Index::default(), by("one"), by("two"));
        let (web, api) = (id("acme/web"), id("acme/api"));
        index.call_source(&web, Some(one.clone()));
        index.call_source(&api, Some(one.clone()));
        assert_eq!(index.moved_by(&one), BTreeSet::new());
        let both = BTreeSet::from([api.clone(), web.clone()]);
        assert_eq!(index.moved_by(&two), both, "the one takes the other along");
        assert!(index.call_source(&web, Some(two.clone())), "it is news");
        assert_eq!(index.hook(&one.path), None);
        assert_eq!(woken(&index, &two.path).len(), 2, "the entry is the same");
    }

    #[test]
    fn what_nobody_can_prove_is_turned_away_until_somebody_can() {
        let (mut index, one) = (Index::default(), by("one"));
        let web = id("acme/web");
        index.call_source(&web, Some(one.clone()));
        let named = one.hook.receiver.clone();
        assert_eq!(index.standing(&named), Some(Standing::Open));
        assert_eq!(index.shut_entry(&named), BTreeSet::from([web.clone()]));
        assert_eq!(index.shut_entry(&named), BTreeSet::new(), "it is shut");
        assert_eq!(index.standing(&named), Some(Standing::NotReady));
        let hook = index.hook(&one.path).unwrap();
        assert_eq!(hook.standing, Standing::NotReady);
        assert!(!index.call_source(&web, Some(one.clone())));
        assert_eq!(index.standing(&named), Some(Standing::Open));
        assert_eq!(index.remove_entry(&named), BTreeSet::from([web.clone()]));
        assert_eq!((index.entry_of(&web), index.hook(&one.path)), (None, None));
    }
}
