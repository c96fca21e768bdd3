//! Which entry of which level gives which part of a repository's configuration, and why.
//!
//! Levels are asked from the lowest up, each part by itself. Within a level the first provider's entry that matches is chosen,
//! and no second one is looked at; what it lacks is taken from the first entry of `auths` that matches; what that lacks too, the
//! next level up is asked for. So a Tenant that sets how often its repositories are asked keeps the login of its Project.

use std::time::Duration;

use super::file::{Author, Credentials, File, Forge};
use super::place::{Pattern, Place};
use super::{DEFAULT_INTERVAL, Hidden, Level, LevelName};

/// How changes come to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Polling {
    /// It is asked so often.
    Every(Duration),
    /// The forge calls, with this secret.
    Webhook(Hidden),
}

impl Polling {
    /// How often a repository is asked by itself. One that is called for as often as if nobody said anything, as long as no call
    /// has told of what is there.
    pub fn every(&self) -> Duration {
        match self {
            Self::Every(wait) => *wait,
            Self::Webhook(_) => DEFAULT_INTERVAL,
        }
    }
}

/// Who we are, with what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// The credentials of the entry.
    pub credentials: Credentials,
    /// The user that the entry's address names.
    pub user: Option<String>,
    /// The keys that an ssh server may show: the entry's own, else those of its level, else of the next one up that has some.
    pub known_hosts: Option<String>,
    /// The forge that the credentials are of; None: they are for git alone.
    pub forge: Option<Forge>,
}

/// The configuration of a repository.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resolved {
    /// Who we are to it.
    pub auth: Option<Part<Auth>>,
    /// How its changes come to be known; None: it is asked every [`DEFAULT_INTERVAL`](super::DEFAULT_INTERVAL).
    pub polling: Option<Part<Polling>>,
    /// Who commits to it.
    pub author: Option<Part<Author>>,
    /// What was found in each level, lowest first.
    pub looked: Vec<Looked>,
}

/// A part, and where it is from.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<T> {
    /// What it is.
    pub value: T,
    /// The level that gives it.
    pub level: LevelName,
    /// The entry of that level; None: it stands beside the entries.
    pub entry: Option<Chosen>,
    /// Why that one.
    pub why: String,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Of which list, and where in it: `auths[0]`.
    pub at: String,
    /// What it says that it means.
    pub means: String,
}

/// What was found in a level.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// Which level.
    pub level: LevelName,
    /// The first provider's entry that matches.
    pub provider: Option<Chosen>,
    /// The first entry of `auths` that matches.
    pub general: Option<Chosen>,
}

impl<T> Part<T> {
    /// In words: `auths[0] (git@github.com:org/*) of Project acme`.
    pub fn from(&self) -> String {
        match &self.entry {
            Some(entry) => format!("{} ({}) of {}", entry.at, entry.means, self.level),
            None => self.level.to_string(),
        }
    }
}

/// What the levels, lowest first, say of the repository at `place`.
pub fn resolve(levels: &[Level], place: &Place) -> Resolved {
    let found: Vec<Found<'_>> = levels.iter().map(|level| Found::of(level, place)).collect();
    let auth = found.iter().enumerate().find_map(|(at, found)| {
        let (of_provider, of_general) = (
            |found: &Found<'_>| found.provider.and_then(|entry| entry.auth.clone()),
            |found: &Found<'_>| found.general.and_then(|entry| entry.credentials.clone()),
        );
        let (credentials, pattern, entry, why) = found.part("auth", of_provider, of_general)?;
        let above = levels.get(at..).unwrap_or_default();
        let value = Auth {
            known_hosts: known_hosts(&credentials, above),
            user: pattern.user().map(str::to_owned),
            forge: found.forge(&credentials),
            credentials,
        };
        Some(found.given(value, Some(entry), why))
    });
    let polling = found.iter().find_map(|found| {
        let (value, _, entry, why) = found.part(
            "polling",
            |found| found.provider.and_then(|entry| entry.polling.clone()),
            |found| Some(Polling::Every(found.general?.interval?)),
        )?;
        Some(found.given(value, Some(entry), why))
    });
    let author = found.iter().find_map(|found| {
        let author = found.file().author.clone()?;
        let why = "the lowest level that has an author".to_owned();
        Some(found.given(author, None, why))
    });
    Resolved {
        auth,
        polling,
        author,
        looked: found.iter().map(Found::looked).collect(),
    }
}

fn known_hosts(credentials: &Credentials, levels: &[Level]) -> Option<String> {
    let Credentials::Ssh { known_hosts, .. } = credentials else {
        return None;
    };
    let mut files = levels.iter().map(|level| &level.file);
    let of_file = || files.find_map(|file| file.known_hosts.clone());
    known_hosts.clone().or_else(of_file)
}

/// The entries of a level that matter.
struct Found<'l> {
    level: &'l Level,
    provider: Option<&'l super::Provider>,
    general: Option<&'l super::file::General>,
}

impl<'l> Found<'l> {
    fn of(level: &'l Level, place: &Place) -> Self {
        let (mut providers, mut general) = (level.file.providers.iter(), level.file.general.iter());
        Self {
            level,
            provider: providers.find(|entry| entry.pattern.covers(place)),
            general: general.find(|entry| entry.pattern.covers(place)),
        }
    }

    fn file(&self) -> &'l File {
        &self.level.file
    }

    /// A part of the chosen provider's entry, else of the general one.
    fn part<T>(
        &self,
        called: &str,
        of_provider: impl Fn(&Self) -> Option<T>,
        of_general: impl Fn(&Self) -> Option<T>,
    ) -> Option<(T, &'l Pattern, Chosen, String)> {
        if let (Some(entry), Some(value)) = (self.provider, of_provider(self)) {
            let why = format!("the first provider's entry that matches has {called}");
            return Some((value, &entry.pattern, self.provided()?, why));
        }
        let (entry, value) = (self.general?, of_general(self)?);
        let why = match self.provided() {
            Some(provider) => format!(
                "{} matches first and has no {called}: it is filled from the first entry of auths that matches",
                provider.at
            ),
            None => "no provider's entry matches: the first entry of auths that does".to_owned(),
        };
        Some((value, &entry.pattern, self.generally()?, why))
    }

    /// The forge of the chosen provider's entry, where these credentials are that one's.
    fn forge(&self, credentials: &Credentials) -> Option<Forge> {
        match credentials {
            Credentials::GitHubApp { .. } | Credentials::GitLabToken(_) => {
                Some(self.provider?.forge.clone())
            }
            Credentials::Ssh { .. } | Credentials::Https { .. } => None,
        }
    }

    fn provided(&self) -> Option<Chosen> {
        let entry = self.provider?;
        Some(Chosen {
            at: format!("{}[{}]", entry.list, entry.index),
            means: entry.pattern.to_string(),
        })
    }

    fn generally(&self) -> Option<Chosen> {
        let entry = self.general?;
        Some(Chosen {
            at: format!("auths[{}]", entry.index),
            means: entry.pattern.to_string(),
        })
    }

    fn given<T>(&self, value: T, entry: Option<Chosen>, why: String) -> Part<T> {
        Part {
            value,
            level: self.level.name.clone(),
            entry,
            why,
        }
    }

    fn looked(&self) -> Looked {
        Looked {
            level: self.level.name.clone(),
            provider: self.provided(),
            general: self.generally(),
        }
    }
}
