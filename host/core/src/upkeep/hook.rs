//! The webhooks of a Receiver: which are wanted, with which events, and which that were made are wanted no longer.
//!
//! A hook is told from others by whom it calls: the Receiver's path, which only who has its token can work out. So another token
//! makes another hook, and the one before it goes. What it deliberately doesn't: read the hooks at the forge; the provider does,
//! and changes only what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reeve_api::GIT_CONFIG;
use reeve_api::name::{ObjectName, RemoteUrl, Secret};
use reeve_api::reason::Reason;
use reeve_api::receiver::ReceiverType;
use reeve_api::upkeep::HookAtForge;
use sha2::{Digest as _, Sha256};

use crate::failure::{Explain, Turn};
use crate::framed::framed;
use crate::gitconfig::spelled;

/// More repositories than this are not looked after for one Receiver.
pub const MOST: usize = 200;

/// How often a forge is asked whether hooks are still as they were put there, whatever the interval of their Receiver: several hundred
/// repositories with an interval of a minute would else use up what the forge lets all ask. Whoever wants to know asks for a run.
pub const LOOKS: Duration = Duration::from_secs(30 * 60);

/// What is wanted cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Nobody calls a Receiver of this type from a forge.
    #[error("a Receiver of type {0} is called by no forge that a provider speaks to")]
    Type(&'static str),
    /// None of the events is one that providers know.
    #[error("spec.events of this Receiver names no push, tag or pull request")]
    Events,
    /// There are too many.
    #[error("this Receiver names {0} repositories; the webhooks of {MOST} are looked after")]
    Many(usize),
    /// Nobody knows how we are reached.
    #[error("nobody says under which address forges reach this Receiver")]
    Nowhere,
}

impl Explain for Unfit {
    fn reason(&self) -> Reason {
        match self {
            Self::Type(_) | Self::Events | Self::Many(_) => Reason::ValidationFailed,
            Self::Nowhere => Reason::InvalidProviderConfiguration,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Type(_) | Self::Events => Turn::Owner,
            Self::Many(_) | Self::Nowhere => Turn::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Type(_) => "make it of type gitea, github or gitlab, or take the annotation reeve.dev/provider away".into(),
            Self::Events => "name the forge's event for a push, or leave spec.events out".into(),
            Self::Many(_) => "spread them over several Receivers".into(),
            Self::Nowhere => "the platform names it with --receiver-url".into(),
        })
    }
}

/// The events, in the words of providers, that a hook is made for: what `named` says in the forge's words, or pushes and tags; and
/// `requests`, where somebody has them planned.
pub fn events(
    kind: ReceiverType,
    named: &[String],
    requests: bool,
) -> Result<Vec<&'static str>, Unfit> {
    let words: [(&str, &'static str); 3] = match kind {
        ReceiverType::Github | ReceiverType::Gitea => [
            ("push", "push"),
            ("create", "tag"),
            ("pull_request", "pull-request"),
        ],
        ReceiverType::Gitlab => [
            ("Push Hook", "push"),
            ("Tag Push Hook", "tag"),
            ("Merge Request Hook", "pull-request"),
        ],
        ReceiverType::Generic
        | ReceiverType::GenericHmac
        | ReceiverType::GenericOidc
        | ReceiverType::Bitbucket
        | ReceiverType::Harbor
        | ReceiverType::Dockerhub
        | ReceiverType::Quay
        | ReceiverType::Gcr
        | ReceiverType::Nexus
        | ReceiverType::Acr
        | ReceiverType::Cdevents => return Err(Unfit::Type(kind.as_str())),
    };
    if named.is_empty() {
        let requests = requests.then_some("pull-request");
        return Ok(["push", "tag"].into_iter().chain(requests).collect());
    }
    let asked = |word: &str| named.iter().any(|name| name.eq_ignore_ascii_case(word));
    let found = words.into_iter().filter(|(word, _)| asked(word));
    let found: Vec<&'static str> = found.map(|(_, ours)| ours).collect();
    match found.is_empty() {
        true => Err(Unfit::Events),
        false => Ok(found),
    }
}

/// The hooks that are wanted: one at each repository of these sources, which calls `path` below `base`.
pub fn wanted<'u>(
    provider: &ObjectName,
    base: Option<&str>,
    path: &str,
    sources: impl IntoIterator<Item = &'u (ObjectName, RemoteUrl)>,
) -> Result<BTreeSet<HookAtForge>, Unfit> {
    let base = base.ok_or(Unfit::Nowhere)?;
    let url = format!("{}{path}", base.trim_end_matches('/'));
    let has_levels = provider.as_str() == GIT_CONFIG;
    let mut all: BTreeMap<String, HookAtForge> = BTreeMap::new();
    for (name, repository) in sources {
        let repository = repository.without_userinfo();
        let hook = HookAtForge {
            provider: provider.to_string(),
            repository: repository.clone(),
            url: url.clone(),
            source: has_levels.then(|| name.to_string()),
        };
        // Of two sources of one repository, the first by name.
        let known = all.entry(spelled(&repository));
        let known = known.or_insert_with(|| hook.clone());
        if hook < *known {
            *known = hook;
        }
    }
    match all.len() {
        many if many > MOST => Err(Unfit::Many(many)),
        _ => Ok(all.into_values().collect()),
    }
}

/// Records those that are wanted. Whether one was not recorded so.
pub fn record(recorded: &mut Vec<HookAtForge>, wanted: &BTreeSet<HookAtForge>) -> bool {
    let missing = wanted.iter().filter(|hook| !recorded.contains(hook));
    let missing: Vec<HookAtForge> = missing.cloned().collect();
    let (before, at_forge) = (recorded.len(), at_forge(wanted));
    // What was recorded of one that is wanted by another name: it is there once.
    recorded.retain(|one| wanted.contains(one) || !at_forge.contains(&known_by(one)));
    let is_news = !missing.is_empty() || recorded.len() != before;
    recorded.extend(missing);
    is_news
}

/// A look at a forge that found all hooks as they should be, or put them so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    of: [u8; 32],
    at: Instant,
}

impl Looked {
    /// One at these hooks of an object, called for these events and proved by this token.
    pub fn at(
        uid: Option<&str>,
        wanted: &BTreeSet<HookAtForge>,
        events: &[String],
        token: &Secret,
        at: Instant,
    ) -> Self {
        let mut hash = Sha256::new();
        framed(&mut hash, uid.unwrap_or_default());
        // Anything of them that is another shows in it.
        framed(&mut hash, format!("{wanted:?} {events:?}"));
        framed(&mut hash, token.expose());
        let of = hash.finalize().into();
        Self { of, at }
    }

    /// Whether there need not be this other one yet.
    pub fn does_for(&self, other: &Self) -> bool {
        self.of == other.of && other.at.saturating_duration_since(self.at) < LOOKS
    }
}

/// What a forge tells hooks apart by: in whichever spelling their repository is named, by whatever provider and whosever levels it is
/// asked.
fn known_by(hook: &HookAtForge) -> (String, &str) {
    (spelled(&hook.repository), hook.url.as_str())
}

fn at_forge(wanted: &BTreeSet<HookAtForge>) -> BTreeSet<(String, &str)> {
    wanted.iter().map(known_by).collect()
}

/// Whether whoever calls this address calls a Receiver: nobody else's hook is one of ours, whatever a status says.
pub fn is_receivers(url: &str) -> bool {
    let path = url.rsplit_once("/hook/").map(|(_, path)| path);
    path.is_some_and(|path| path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The recorded ones that are wanted no longer.
pub fn idle(recorded: &[HookAtForge], wanted: &BTreeSet<HookAtForge>) -> Vec<HookAtForge> {
    let at_forge = at_forge(wanted);
    let mut idle = recorded.to_vec();
    idle.retain(|hook| !at_forge.contains(&known_by(hook)));
    idle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, url: &str) -> (ObjectName, RemoteUrl) {
        (name.parse().unwrap(), url.parse().unwrap())
    }

    #[expect(clippy::disallowed_methods, reason = "some time to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn hooks_that_were_found_well_are_not_looked_at_again_soon_unless_something_is_another() {
        let (now, provider) = (start(), "forge".parse::<ObjectName>().unwrap());
        let hooks = |path: &str| {
            let shop = [source("shop", "https://git.example/acme/shop")];
            wanted(&provider, Some("https://hooks.example"), path, &shop).unwrap()
        };
        let looked = |uid: &str, path: &str, event: &str, token: &str, after: Duration| {
            let (events, token) = ([event.to_owned()], Secret::new(token));
            Looked::at(Some(uid), &hooks(path), &events, &token, now + after)
        };
        let soon = LOOKS - Duration::from_secs(1);
        let first = looked("1", "/hook/0", "push", "token", Duration::ZERO);
        for (says, other, does) in [
            (
                "the same",
                looked("1", "/hook/0", "push", "token", soon),
                true,
            ),
            (
                "a while later",
                looked("1", "/hook/0", "push", "token", LOOKS),
                false,
            ),
            (
                "made anew",
                looked("2", "/hook/0", "push", "token", soon),
                false,
            ),
            (
                "another path",
                looked("1", "/hook/1", "push", "token", soon),
                false,
            ),
            (
                "another event",
                looked("1", "/hook/0", "tag", "token", soon),
                false,
            ),
            (
                "another token",
                looked("1", "/hook/0", "push", "other", soon),
                false,
            ),
        ] {
            assert_eq!(first.does_for(&other), does, "{says}");
        }
    }

    #[test]
    fn a_hook_is_made_for_the_events_that_the_receiver_listens_to() {
        use ReceiverType as T;
        for (kind, named, want) in [
            (T::Gitea, vec![], Ok(vec!["push", "tag"])),
            (T::Github, vec!["ping", "push"], Ok(vec!["push"])),
            (
                T::Gitea,
                vec!["pull_request", "create"],
                Ok(vec!["tag", "pull-request"]),
            ),
            (T::Gitlab, vec!["push hook"], Ok(vec!["push"])),
            (T::Gitlab, vec!["push"], Err(Unfit::Events)),
            (T::Generic, vec![], Err(Unfit::Type("generic"))),
        ] {
            let named: Vec<String> = named.into_iter().map(str::to_owned).collect();
            assert_eq!(events(kind, &named, false), want, "{kind:?} {named:?}");
        }
        let both = Ok(vec!["push", "tag", "pull-request"]);
        assert_eq!(events(T::Gitea, &[], true), both);
        // Whoever names events is called for no others: they are let in by these.
        let named = ["push".to_owned()];
        assert_eq!(events(T::Gitea, &named, true), Ok(vec!["push"]));
    }

    #[test]
    fn there_is_one_hook_at_each_repository_and_another_path_is_another_hook() {
        let provider = "forge".parse().unwrap();
        let urls = [
            source("web", "https://ada:secret@git.example/acme/web"),
            source("again", "https://git.example/acme/web"),
            source("ssh", "ssh://git@git.example/Acme/web.git"),
            source("shop", "ssh://git@git.example/acme/shop"),
        ];
        let at =
            |path: &str| wanted(&provider, Some("https://hooks.example/"), path, &urls).unwrap();
        let first = at("/hook/1");
        let told: Vec<_> = first
            .iter()
            .map(|hook| format!("{} -> {}", hook.repository, hook.url))
            .collect();
        let want = [
            "https://git.example/acme/web -> https://hooks.example/hook/1",
            "ssh://git.example/acme/shop -> https://hooks.example/hook/1",
        ];
        assert_eq!(told, want);
        let recorded: Vec<_> = first.iter().cloned().collect();
        assert!(idle(&recorded, &first).is_empty());
        assert_eq!(idle(&recorded, &at("/hook/2")), recorded);
        assert_eq!(
            wanted(&provider, None, "/hook/1", &urls),
            Err(Unfit::Nowhere)
        );
    }

    #[test]
    fn by_git_configuration_a_hook_is_the_same_whosever_levels_the_forge_is_asked_by() {
        let (provider, other) = (GIT_CONFIG.parse().unwrap(), "forge".parse().unwrap());
        let url = "https://git.example/acme/web";
        let (web, app) = (source("web", url), source("app", url));
        let of = |provider: &ObjectName, sources: &[(ObjectName, RemoteUrl)]| {
            wanted(provider, Some("https://h"), "/hook/1", sources).unwrap()
        };
        let named = |all: &BTreeSet<HookAtForge>| -> Vec<Option<String>> {
            all.iter().map(|hook| hook.source.clone()).collect()
        };
        let (both, one) = (of(&provider, &[web.clone(), app]), of(&provider, &[web]));
        assert_eq!(named(&both), [Some("app".to_owned())]);
        assert_eq!(named(&one), [Some("web".to_owned())]);
        let mut recorded: Vec<_> = both.iter().cloned().collect();
        assert!(!record(&mut recorded, &both));
        assert!(idle(&recorded, &one).is_empty());
        assert!(record(&mut recorded, &one));
        assert_eq!(recorded, one.iter().cloned().collect::<Vec<_>>());
        let plugins = of(&other, &[source("web", url)]);
        assert_eq!(named(&plugins), [None]);
        // It is the same hook to the forge, and not taken away after it was put there.
        assert!(idle(&recorded, &plugins).is_empty());
        assert!(record(&mut recorded, &plugins));
        assert_eq!(recorded, plugins.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_hook_stays_where_it_is_when_its_repository_is_spelled_in_another_way() {
        let provider: ObjectName = "forge".parse().unwrap();
        let of = |url: &str| {
            let sources = [source("web", url)];
            wanted(&provider, Some("https://h"), "/hook/1", &sources).unwrap()
        };
        let first = of("https://git.example/acme/web");
        let mut recorded: Vec<_> = first.into_iter().collect();
        let same = of("ssh://git@git.example/Acme/web.git");
        assert!(idle(&recorded, &same).is_empty());
        assert!(record(&mut recorded, &same));
        assert_eq!(recorded, same.iter().cloned().collect::<Vec<_>>());
        assert!(!record(&mut recorded, &same), "nothing is news");
        let elsewhere = of("https://git.example:8443/acme/web");
        assert_eq!(idle(&recorded, &elsewhere), recorded);
    }

    #[test]
    fn a_hook_of_somebody_else_is_not_taken_for_a_receivers() {
        let path = "0123456789abcdef".repeat(4);
        for (url, want) in [
            (format!("https://hooks.example/hook/{path}"), true),
            (format!("https://hooks.example/reeve/hook/{path}"), true),
            (format!("https://hooks.example/hook/{path}/x"), false),
            (format!("https://hooks.example/hook/{path}?x"), false),
            ("https://ci.example/github-webhook/".to_owned(), false),
            ("https://ci.example/hook/1".to_owned(), false),
        ] {
            assert_eq!(is_receivers(&url), want, "{url}");
        }
    }

    #[test]
    fn more_repositories_than_a_run_can_look_after_are_told() {
        let urls: Vec<_> = (0..=MOST)
            .map(|n| source("web", &format!("https://git.example/acme/{n}")))
            .collect();
        let provider = "forge".parse().unwrap();
        let told = wanted(&provider, Some("https://h"), "/hook/1", &urls);
        assert_eq!(told, Err(Unfit::Many(MOST + 1)));
    }
}
