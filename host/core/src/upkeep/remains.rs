//! What stays at a forge of an object that is gone: written down outside of the object, until it is gone too.
//!
//! An object that is deleted waits for its forge only so long. What is then left there, a deploy key above all, is still ours to
//! take away: nobody else knows what it is called. So it is written down where it outlives the object and its namespace, and tried
//! again until its forge is back, or for a month. What it deliberately doesn't: take away what is there for another object, or what
//! whoever suspended the object wanted to stay.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use reeve_api::meta::Time;
use reeve_api::name::NamespacedName;
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use reeve_api::upkeep::{HookAtForge, KeyAtForge};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{hook, key};
use crate::gitconfig::is_same;

/// More than this is not written down: all of it lies in one object, which has room for so much.
pub const MOST: usize = 1000;
/// The longest address or title that is.
const LONGEST: usize = 400;
/// How long it is tried.
const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long it is tried often.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remains {
    namespace: String,
    /// The GitRepository as which the forge is asked.
    name: String,
    /// The plugin that speaks to the forge.
    pub provider: String,
    /// The repository's address, without a user.
    pub repository: String,
    /// What it is.
    pub what: What,
    /// Since when nothing else remembers it.
    since: Time,
}

/// What stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// A deploy key of this title.
    Key(String),
    /// A webhook that calls this address.
    Hook(String),
}

impl Remains {
    /// A deploy key; None: it is not one of ours, or too long to be written down.
    pub fn of_key(id: &NamespacedName, key: &KeyAtForge, now: Timestamp) -> Option<Self> {
        let ours = key::is_within(&key.title, &id.namespace);
        let what = What::Key(key.title.clone());
        Self::of(id, (&key.provider, &key.repository), what, now).filter(|_| ours)
    }

    /// A webhook, of which the forge is asked as `source`.
    pub fn of_hook(source: &NamespacedName, hook: &HookAtForge, now: Timestamp) -> Option<Self> {
        let ours = hook::is_receivers(&hook.url);
        let what = What::Hook(hook.url.clone());
        Self::of(source, (&hook.provider, &hook.repository), what, now).filter(|_| ours)
    }

    fn of(
        id: &NamespacedName,
        (provider, repository): (&str, &str),
        what: What,
        now: Timestamp,
    ) -> Option<Self> {
        let (What::Key(text) | What::Hook(text)) = &what;
        let is_long = [provider, repository, text.as_str()]
            .iter()
            .any(|text| text.len() > LONGEST);
        (!is_long).then(|| Self {
            namespace: id.namespace.to_string(),
            name: id.name.to_string(),
            provider: provider.to_owned(),
            repository: repository.to_owned(),
            what,
            since: Time(now),
        })
    }

    /// As whom the forge is asked; None: nobody is called so.
    pub fn whose(&self) -> Option<NamespacedName> {
        NamespacedName::new(self.namespace.as_str(), self.name.as_str()).ok()
    }

    /// By what it is told from all others.
    pub fn key(&self) -> String {
        let (kind, text) = match &self.what {
            What::Key(title) => ("key", title),
            What::Hook(url) => ("hook", url),
        };
        let parts = [&self.namespace, &self.provider, &self.repository, text];
        let mut hash = Sha256::new();
        hash.update(kind);
        for part in parts {
            // No part holds a line's end.
            hash.update("\n");
            hash.update(part);
        }
        hex::encode(hash.finalize())
    }

    /// As it is written down.
    pub fn text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Whether a source has the same at the forge, or is about to.
    pub fn is_of_source(&self, source: &GitRepository) -> bool {
        let What::Key(title) = &self.what else {
            return false;
        };
        let record = source.status.as_ref().and_then(|it| it.deploy_key.as_ref());
        let mut keys = record.into_iter().flat_map(|record| &record.at_forge);
        keys.any(|key| key.title == *title && is_same(&key.repository, &self.repository))
    }

    /// Whether a Receiver has.
    pub fn is_of_receiver(&self, receiver: &Receiver) -> bool {
        let What::Hook(url) = &self.what else {
            return false;
        };
        let status = receiver.status.as_ref();
        let mut hooks = status.into_iter().flat_map(|status| &status.webhooks);
        hooks.any(|hook| hook.url == *url && is_same(&hook.repository, &self.repository))
    }

    /// Whether it is given up by now.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        self.age(now) > FORGOTTEN
    }

    /// Whether it is tried whenever any is, and not only now and then.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.age(now) < FRESH
    }

    fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.since.0)).unwrap_or_default()
    }
}

/// What is written down, by its keys; None: nobody can read it.
pub fn read(data: &BTreeMap<String, String>) -> BTreeMap<String, Option<Remains>> {
    let read = |text: &String| serde_json::from_str(text).ok();
    let all = data.iter();
    all.map(|(key, text)| (key.clone(), read(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> NamespacedName {
        NamespacedName::new("acme", name).unwrap()
    }

    fn key() -> KeyAtForge {
        KeyAtForge {
            provider: "forge".to_owned(),
            repository: "ssh://git.example/acme/web".to_owned(),
            title: "reeve acme/web SHA256:abc".to_owned(),
            writable: true,
        }
    }

    fn hook() -> HookAtForge {
        HookAtForge {
            provider: "git-config".to_owned(),
            repository: "https://git.example/acme/web".to_owned(),
            url: format!(
                "https://hooks.example/hook/{}",
                "0123456789abcdef".repeat(4)
            ),
            source: Some("web".to_owned()),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const THEN: &str = "2026-11-23T12:00:00Z";

    #[test]
    fn what_is_written_down_is_read_again_and_what_is_not_ours_is_not_written() {
        let all = [
            Remains::of_key(&id("web"), &key(), at(THEN)).unwrap(),
            Remains::of_hook(&id("web"), &hook(), at(THEN)).unwrap(),
        ];
        let data = all.iter().map(|one| (one.key(), one.text().unwrap()));
        let mut data: BTreeMap<String, String> = data.collect();
        assert_eq!(data.len(), 2);
        data.insert("odd".to_owned(), "{}".to_owned());
        let read = read(&data);
        for one in &all {
            assert_eq!(read[&one.key()].as_ref(), Some(one));
            assert_eq!(one.whose(), Some(id("web")));
        }
        assert_eq!(read["odd"], None);

        let elses = KeyAtForge {
            title: "reeve shop/web SHA256:abc".to_owned(),
            ..key()
        };
        assert_eq!(Remains::of_key(&id("web"), &elses, at(THEN)), None);
        let elses = HookAtForge {
            url: "https://ci.example/hook".to_owned(),
            ..hook()
        };
        assert_eq!(Remains::of_hook(&id("web"), &elses, at(THEN)), None);
        let long = KeyAtForge {
            repository: format!("ssh://git.example/{}", "a".repeat(LONGEST)),
            ..key()
        };
        assert_eq!(Remains::of_key(&id("web"), &long, at(THEN)), None);
    }

    #[test]
    fn what_an_object_has_again_is_no_remains_of_another() {
        let remains = Remains::of_key(&id("web"), &key(), at(THEN)).unwrap();
        let source = |title: &str| {
            let entry = serde_json::json!({
                "provider": "forge", "repository": "https://git.example/Acme/web.git", "title": title,
            });
            let object = serde_json::json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": "web"}, "spec": {"interval": "1m", "url": "https://x"},
                "status": {"deployKey": {"atForge": [entry]}},
            });
            serde_json::from_value::<GitRepository>(object).unwrap()
        };
        assert!(remains.is_of_source(&source(&key().title)));
        assert!(!remains.is_of_source(&source("reeve acme/web SHA256:def")));
    }

    #[test]
    fn it_is_tried_often_at_first_and_given_up_after_a_month() {
        let remains = Remains::of_key(&id("web"), &key(), at(THEN)).unwrap();
        for (now, fresh, forgotten) in [
            (THEN, true, false),
            ("2026-11-23T12:11:00Z", false, false),
            ("2026-12-22T12:00:00Z", false, false),
            ("2026-12-24T12:00:00Z", false, true),
        ] {
            let told = (remains.is_fresh(at(now)), remains.is_forgotten(at(now)));
            assert_eq!(told, (fresh, forgotten), "{now}");
        }
    }
}
