//! Logins that forges have made for Apps: kept until they are about to end, and made once for all who ask at the same time.
//!
//! A token is for one repository, and for fetching or for pushing. What it was made with is part of what it is kept by, so another
//! key, or an App taken out of the configuration, uses none that was made before. For whom it was made stays the same when the
//! next one is made: that is what a mirror goes by ([`Maker`]). What it deliberately doesn't: outlive this process, or be shown.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reeve_api::name::Secret;
use reeve_core::framed::framed;
use reeve_core::gitconfig::Agent;
use reeve_core::plugin::PluginId;
use sha2::{Digest as _, Sha256};

use crate::forge::words::Task;
use crate::forge::{Login, Slots};
use crate::git::Maker;
use crate::index::Edition;

/// How long before its end a token is not used any more: a fetch may take a while.
const BEFORE_ITS_END: Duration = Duration::from_secs(5 * 60);
/// How long one is kept that says nothing of its end.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// With so many, those that have ended are thrown out.
const MANY: usize = 4096;

/// What a login is asked for. One that fetches may not push: whoever is shown it could do no more than read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::controller) enum Access {
    /// To read the repository.
    Fetch,
    /// To write to it, too.
    Push,
}

impl Access {
    /// What a provider is asked to make.
    pub(super) fn task(self) -> Task {
        Task::GitCredential(self == Self::Push)
    }
}

/// What a token was made for, and with what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Of {
    by: By,
    config: String,
    url: String,
    access: Access,
    /// Of the App's key, or of all that a plugin has in its slots.
    digest: [u8; 32],
}

/// Who has it made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    /// A provider that comes with the controller.
    Shipped(&'static str),
    /// A plugin, as it is now: the object, its component and what that is granted.
    Plugin(PluginId, Edition, String),
}

impl Of {
    pub(super) fn app(agent: &Agent, secret: &Secret, url: &str, access: Access) -> Self {
        Self {
            by: By::Shipped(agent.component),
            config: agent.config.clone(),
            url: url.to_owned(),
            access,
            digest: Sha256::digest(secret.expose().as_bytes()).into(),
        }
    }

    /// For a plugin, of which the text says which component it is and what that is granted.
    pub(super) fn plugin(
        (id, edition, component): (&PluginId, Edition, &str),
        config: &str,
        slots: &Slots,
        url: &str,
        access: Access,
    ) -> Self {
        let mut hash = Sha256::new();
        for (name, slot) in slots {
            framed(&mut hash, name);
            framed(&mut hash, slot.value.expose());
        }
        Self {
            by: By::Plugin(id.clone(), edition, component.to_owned()),
            config: config.to_owned(),
            url: url.to_owned(),
            access,
            digest: hash.finalize().into(),
        }
    }

    /// For whom it was made: the App and its key, and whoever speaks for it, in whichever state that is. What was fetched with a
    /// token that may push is there for one that may not, and the other way round: both are the same App's.
    fn maker(&self) -> Maker {
        let mut hash = Sha256::new();
        match &self.by {
            By::Shipped(component) => framed(&mut hash, component),
            By::Plugin(id, ..) => framed(&mut hash, format!("{} {id}", id.kind())),
        }
        framed(&mut hash, &self.config);
        framed(&mut hash, &self.url);
        hash.update(self.digest);
        Maker::new(hash.finalize().into())
    }
}

/// A login, and for whom it was made, where another one is made after a while.
#[derive(Clone)]
pub(in crate::controller) struct Obtained {
    pub(in crate::controller) login: Login,
    pub(in crate::controller) by: Option<Maker>,
}

struct Made {
    login: Login,
    until: Timestamp,
}

type Place = Arc<tokio::sync::Mutex<Option<Made>>>;

/// The tokens that are kept.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<BTreeMap<Of, Place>>);

impl Tokens {
    /// The token that is there, or that `make` makes. Whoever asks for the same one meanwhile waits for it.
    pub(super) async fn get<E, F>(&self, of: Of, now: Timestamp, make: F) -> Result<Obtained, E>
    where
        F: Future<Output = Result<Login, E>>,
    {
        let maker = of.maker();
        let obtained = |login: &Login| Obtained {
            login: login.clone(),
            // What does not end is the same tomorrow, and says itself who it is.
            by: login.expires.is_some().then_some(maker),
        };
        let place = self.place(of, now);
        let mut made = place.lock().await;
        if let Some(made) = &*made
            && now < made.until
        {
            return Ok(obtained(&made.login));
        }
        let login = make.await?;
        let end = match login.expires {
            Some(end) => end.checked_sub(BEFORE_ITS_END),
            None => now.checked_add(KEPT),
        };
        let told = obtained(&login);
        *made = Some(Made {
            until: end.unwrap_or(now),
            login,
        });
        Ok(told)
    }

    fn place(&self, of: Of, now: Timestamp) -> Place {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MANY {
            // One that is being made is not free.
            let is_good = |place: &Place| match place.try_lock() {
                Ok(made) => made.as_ref().is_some_and(|made| now < made.until),
                Err(_) => true,
            };
            all.retain(|_, place| is_good(place));
        }
        Arc::clone(all.entry(of).or_default())
    }

    /// Forgets the one that was refused, and nobody else's for the same repository.
    pub(super) fn forget(&self, refused: Maker) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|of, _| of.maker() != refused);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use kube::core::ObjectMeta;
    use reeve_core::gitconfig::Hidden;

    use super::*;
    use crate::forge::Slot;

    fn of(key: &str, url: &str) -> Of {
        to(Access::Fetch, key, url)
    }

    fn to(access: Access, key: &str, url: &str) -> Of {
        let agent = Agent {
            component: "github-provider",
            config: "{}".to_owned(),
            slot: "app-key",
            secret: Hidden::Path("/key".to_owned()),
            api: "api.example".to_owned(),
            host: "git.example".to_owned(),
        };
        Of::app(&agent, &Secret::new(key), url, access)
    }

    /// The same in the slot of a plugin.
    fn in_slot(plugin: &str, generation: i64, key: &str) -> Of {
        let slot = Slot {
            value: Secret::new(key),
            hosts: Vec::new(),
        };
        let slots = [("app-key".to_owned(), slot)].into();
        let meta = ObjectMeta {
            generation: Some(generation),
            ..ObjectMeta::default()
        };
        let id = PluginId::Tenant(plugin.parse().unwrap());
        let component = format!("component {generation}");
        let made_by = (&id, Edition::of(&meta), &*component);
        Of::plugin(made_by, "{}", &slots, URL, Access::Fetch)
    }

    const URL: &str = "https://git.example/acme/shop.git";

    /// Asks at `at`; `made` counts those that are made, each good for an hour from then on.
    async fn asked(tokens: &Tokens, of: Of, at: Timestamp, made: &AtomicU64) -> String {
        let make = async {
            tokio::task::yield_now().await;
            let count = made.fetch_add(1, Ordering::Relaxed);
            Ok::<_, ()>(Login {
                user: "x-access-token".to_owned(),
                password: Secret::new(format!("token-{count}")),
                expires: at.checked_add(Duration::from_secs(3600)).ok(),
            })
        };
        let obtained = tokens.get(of, at, make).await.unwrap();
        obtained.login.password.expose().to_owned()
    }

    #[tokio::test]
    async fn a_token_is_made_once_for_all_and_anew_shortly_before_it_ends() {
        let (tokens, made) = (Tokens::default(), AtomicU64::new(0));
        let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let url = URL;
        let one = || asked(&tokens, of("a", url), start, &made);
        let (a, b, c) = tokio::join!(one(), one(), one());
        assert_eq!((&*a, &*b, &*c), ("token-0", "token-0", "token-0"));
        for (minutes, want) in [(54, "token-0"), (55, "token-1"), (100, "token-1")] {
            let told = asked(&tokens, of("a", url), at(minutes), &made).await;
            assert_eq!(told, want, "after {minutes} minutes");
        }
        let other = asked(&tokens, of("b", url), at(100), &made).await;
        assert_eq!(other, "token-2", "of another key");
        tokens.forget(of("a", url).maker());
        let anew = asked(&tokens, of("a", url), at(100), &made).await;
        assert_eq!(anew, "token-3", "it was refused");
        let other = asked(&tokens, of("b", url), at(100), &made).await;
        assert_eq!(other, "token-2", "that one was not");
    }

    #[tokio::test]
    async fn who_fetches_is_never_given_a_token_that_may_push() {
        let (tokens, made) = (Tokens::default(), AtomicU64::new(0));
        let start = Timestamp::UNIX_EPOCH;
        let ask = |access| asked(&tokens, to(access, "a", URL), start, &made);
        assert_eq!(ask(Access::Push).await, "token-0");
        assert_eq!(ask(Access::Fetch).await, "token-1");
        assert_eq!(ask(Access::Push).await, "token-0");
        assert_eq!(ask(Access::Fetch).await, "token-1");
        // What was fetched with one of them is not fetched again with the other, and who was refused is refused with both.
        let (push, fetch) = (to(Access::Push, "a", URL), of("a", URL));
        assert_eq!(push.maker(), fetch.maker());
        tokens.forget(fetch.maker());
        assert_eq!(ask(Access::Push).await, "token-2");
        assert!(matches!(Access::Fetch.task(), Task::GitCredential(false)));
        assert!(matches!(Access::Push.task(), Task::GitCredential(true)));
    }

    #[tokio::test]
    async fn what_could_not_be_made_is_tried_again() {
        let (tokens, made) = (Tokens::default(), AtomicU64::new(0));
        let key = || of("a", URL);
        let failed = tokens.get(key(), Timestamp::UNIX_EPOCH, async { Err("down") });
        assert_eq!(failed.await.err(), Some("down"));
        let told = asked(&tokens, key(), Timestamp::UNIX_EPOCH, &made).await;
        assert_eq!(told, "token-0");
    }

    #[test]
    fn for_whom_a_token_is_made_outlives_it_and_is_nobody_elses() {
        let other_url = "https://git.example/acme/web.git";
        let all = [
            of("a", URL),
            of("b", URL),
            of("a", other_url),
            in_slot("acme/forge", 1, "a"),
            in_slot("acme/forge", 1, "b"),
            in_slot("other/forge", 1, "a"),
        ];
        for (at, one) in all.iter().enumerate() {
            let same = all.iter().filter(|other| other.maker() == one.maker());
            assert_eq!(same.count(), 1, "{at}");
        }
        // The same key in a plugin that was changed: its token is made anew, and what was fetched with it stays.
        let (before, after) = (in_slot("acme/forge", 1, "a"), in_slot("acme/forge", 2, "a"));
        assert_ne!(before, after);
        assert_eq!(before.maker(), after.maker());
    }

    #[tokio::test]
    async fn only_what_ends_is_known_by_whom_it_was_made_for() {
        let tokens = Tokens::default();
        for (key, expires) in [("a", None), ("b", Some(Timestamp::MAX))] {
            let login = Login {
                user: "x".to_owned(),
                password: Secret::new("token"),
                expires,
            };
            let make = async { Ok::<_, ()>(login) };
            let told = tokens.get(of(key, URL), Timestamp::UNIX_EPOCH, make).await;
            assert_eq!(told.unwrap().by.is_some(), expires.is_some(), "{key}");
        }
    }
}
