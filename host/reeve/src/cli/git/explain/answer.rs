//! What is told of a repository: its parts, where each is from, and what was found in each level.
//!
//! Of a login its kind is told, the address that it is used by, and where its secrets lie; a secret itself has no field here.

use reeve_api::name::{RemoteUrl, TenantName};
use reeve_core::gitconfig::{
    self, Auth, Chosen, Credentials, DEFAULT_INTERVAL, GUESSABLE, Hidden, Part, Polling, Resolved,
};
use serde::Serialize;

use crate::cli::text::table;

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantName>,
    auth: Told,
    polling: Told,
    author: Told,
    /// Lowest first.
    levels: Vec<Found>,
}

/// Where the forge calls.
#[derive(Default)]
pub(super) enum Called {
    /// Nowhere: no entry's hook tells of changes.
    #[default]
    Nowhere,
    /// At this path.
    At(String),
    /// At this path, by a secret that should be longer.
    Guessable(String),
    /// Nobody here can say, for this reason.
    Unknown(String),
}

/// One part.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Told {
    value: String,
    /// By which address the repository is spoken to with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Entry>,
    why: String,
    /// The path that the forge has to call.
    #[serde(skip_serializing_if = "Option::is_none")]
    hook: Option<String>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What was found in a level.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    general: Option<Entry>,
}

/// An entry of a level.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    at: String,
    means: String,
}

impl Answer {
    pub(super) fn of(
        url: &RemoteUrl,
        tenant: Option<&TenantName>,
        found: &Resolved,
        called: Called,
    ) -> Self {
        let levels = found.looked.iter().map(|looked| Found {
            level: looked.level.to_string(),
            provider: looked.provider.as_ref().map(entry),
            general: looked.general.as_ref().map(entry),
        });
        Self {
            url: url.to_string(),
            tenant: tenant.cloned(),
            auth: auth(url, found.auth.as_ref()),
            polling: polling(found.polling.as_ref(), called),
            author: match &found.author {
                None => nothing("nobody in particular", "no level has an author"),
                Some(part) => {
                    let (name, email) = (&part.value.name, &part.value.email);
                    let name = name.clone().unwrap_or_default();
                    let email = email.as_ref().map(|email| format!("<{email}>"));
                    let value = format!("{name} {}", email.unwrap_or_default());
                    told(part, value.trim().to_owned())
                }
            },
            levels: levels.collect(),
        }
    }

    /// For people.
    pub(super) fn drawn(&self) -> String {
        let mut rows = vec![["PART", "VALUE", "LEVEL", "ENTRY", "WHY"].map(str::to_owned)];
        for (name, part) in [
            ("auth", &self.auth),
            ("polling", &self.polling),
            ("author", &self.author),
        ] {
            let value = match &part.url {
                Some(url) if *url != self.url => format!("{} by {url}", part.value),
                _ => part.value.clone(),
            };
            rows.push([
                name.to_owned(),
                value,
                part.level.clone().unwrap_or_else(|| "-".to_owned()),
                shown(part.entry.as_ref()),
                part.why.clone(),
            ]);
        }
        let mut out = table(&rows);
        if let Some(hook) = &self.polling.hook {
            out.push_str(&format!("\nhook: {hook}\n"));
        }
        for problem in [&self.auth.problem, &self.polling.problem]
            .into_iter()
            .flatten()
        {
            out.push_str(&format!("\nproblem: {}\n", reeve_core::text::line(problem)));
        }
        let mut rows = vec![["LEVEL", "PROVIDER", "GENERAL"].map(str::to_owned)];
        rows.extend(self.levels.iter().map(|found| {
            let (provider, general) = (found.provider.as_ref(), found.general.as_ref());
            [found.level.clone(), shown(provider), shown(general)]
        }));
        out.push('\n');
        out.push_str(&table(&rows));
        out
    }
}

fn auth(url: &RemoteUrl, part: Option<&Part<Auth>>) -> Told {
    let Some(part) = part else {
        return nothing("anonymous", "no entry of any level has a login for it");
    };
    let (spoken, problem) = match gitconfig::login(url, part) {
        Ok(login) => (Some(login.url.to_string()), None),
        Err(why) => (None, Some(why.message)),
    };
    Told {
        url: spoken,
        problem,
        ..told(part, kind(&part.value.credentials))
    }
}

/// What kind of login it is, and where its secret lies.
fn kind(credentials: &Credentials) -> String {
    match credentials {
        Credentials::Ssh { key, .. } => format!("ssh key {}", lies(key)),
        Credentials::Https { user, password } => {
            format!("https user {user}, password {}", lies(password))
        }
        Credentials::GitHubApp {
            app,
            installation,
            key,
        } => format!(
            "GitHub App {app}, installation {installation}, key {}",
            lies(key)
        ),
        Credentials::GitLabToken(token) => format!("GitLab access token {}", lies(token)),
    }
}

fn lies(hidden: &Hidden) -> String {
    match hidden {
        Hidden::Text(_) => "in the file".to_owned(),
        Hidden::Key { secret, key } => format!("of Secret {secret}, key {key}"),
        Hidden::Path(path) => format!("at {path}"),
    }
}

fn polling(part: Option<&Part<Polling>>, called: Called) -> Told {
    let (hook, problem) = match called {
        Called::Nowhere => (None, None),
        Called::At(path) => (Some(path), None),
        Called::Guessable(path) => (Some(path), Some(GUESSABLE.to_owned())),
        Called::Unknown(why) => {
            let problem = format!("where the forge has to call cannot be told: {why}");
            (None, Some(problem))
        }
    };
    Told {
        hook,
        problem,
        ..polled(part)
    }
}

fn polled(part: Option<&Part<Polling>>) -> Told {
    let every =
        |wait: std::time::Duration| format!("every {}", reeve_api::duration::Duration::from(wait));
    match part {
        None => nothing(
            &every(DEFAULT_INTERVAL),
            "no level says how often: the default",
        ),
        Some(part) => match &part.value {
            Polling::Every(wait) => told(part, every(*wait)),
            Polling::Webhook(secret) => told(part, format!("webhook, secret {}", lies(secret))),
        },
    }
}

fn nothing(value: &str, why: &str) -> Told {
    Told {
        value: value.to_owned(),
        why: why.to_owned(),
        ..Told::default()
    }
}

fn told<T>(part: &Part<T>, value: String) -> Told {
    Told {
        value,
        level: Some(part.level.to_string()),
        entry: part.entry.as_ref().map(entry),
        why: part.why.clone(),
        ..Told::default()
    }
}

fn entry(chosen: &Chosen) -> Entry {
    Entry {
        at: chosen.at.clone(),
        means: chosen.means.clone(),
    }
}

fn shown(entry: Option<&Entry>) -> String {
    entry.map_or_else(
        || "-".to_owned(),
        |entry| format!("{} ({})", entry.at, entry.means),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_core::gitconfig::{Holds, Level, LevelName, Place};

    const FILE: &str = "
author: {name: Bot, email: bot@org.example}
auths:
- url: git@git.example:org/*
  pullingInterval: 20s
  credentials: {ssh: {private_key: hunter2, known_hosts: h ssh-ed25519 AAAA}}
- url: https://git.example/web/*
  credentials: {https: {username: ada, password: hunter2}}
- url: ssh://git.example:2222/web/*
  credentials: {https: {username: ada, password: hunter2}}
gitHubAuths:
- {orgRepo: org/app, auth: {appID: 1, installationID: 2, privateKey: /keys/app}}
gitLabAuths:
- {groupsProject: 'g:p', auth: {accessToken: hunter2}, polling: {webhookSecret: hunter2}}
";

    fn asked(url: &str) -> (String, serde_json::Value) {
        let level = Level {
            name: LevelName::Global,
            file: gitconfig::parse(FILE.as_bytes(), Holds::Secrets).unwrap(),
        };
        let url = gitconfig::address(url).unwrap();
        let found = gitconfig::resolve(&[level], &Place::of(&url).unwrap());
        let called = Called::At("/hook/0".to_owned());
        let answer = Answer::of(&url, None, &found, called);
        (answer.drawn(), serde_json::to_value(&answer).unwrap())
    }

    #[test]
    fn an_answer_says_which_entry_of_which_level_gives_which_part_and_nothing_secret() {
        for (url, auth, polling) in [
            (
                "https://git.example/org/r",
                "ssh key in the file",
                "every 20s",
            ),
            (
                "https://git.example/web/r",
                "https user ada, password in the file",
                "every 3m0s",
            ),
            (
                "https://github.com/org/app",
                "GitHub App 1, installation 2, key at /keys/app",
                "every 3m0s",
            ),
            (
                "git@gitlab.com:g/p.git",
                "GitLab access token in the file",
                "webhook, secret in the file",
            ),
            ("https://git.example/other", "anonymous", "every 3m0s"),
        ] {
            let (table, value) = asked(url);
            assert_eq!(value["auth"]["value"], auth, "{url}");
            assert_eq!(value["polling"]["value"], polling, "{url}");
            assert_eq!(value["author"]["value"], "Bot <bot@org.example>");
            assert!(table.contains(auth) && table.contains(polling), "{table}");
            assert!(!format!("{table}{value}").contains("hunter2"), "{table}");
        }
        let (table, value) = asked("https://git.example/org/r");
        assert_eq!(value["auth"]["entry"]["at"], "auths[0]");
        assert_eq!(value["auth"]["level"], "global");
        assert!(table.contains("by ssh://git@git.example/org/r"), "{table}");
    }

    #[test]
    fn where_the_forge_calls_is_told_and_why_if_nobody_can_say() {
        let (table, value) = asked("git@gitlab.com:g/p.git");
        assert_eq!(value["polling"]["hook"], "/hook/0");
        assert!(table.contains("\nhook: /hook/0\n"), "{table}");
        let told = polling(None, Called::Guessable("/hook/1".to_owned()));
        assert_eq!(told.hook.as_deref(), Some("/hook/1"));
        assert!(told.problem.unwrap().contains("is short"));
        let told = polling(None, Called::Unknown("it is away".to_owned()));
        assert!(told.problem.unwrap().ends_with("it is away"));
    }

    #[test]
    fn a_login_that_cannot_be_used_is_told_with_its_problem() {
        let (table, value) = asked("ssh://git@git.example:2222/web/r");
        let problem = value["auth"]["problem"].as_str().unwrap();
        assert!(
            problem.contains("auths[2] (ssh://git.example:2222/web/*) of global"),
            "{problem}"
        );
        assert!(table.contains("problem: "), "{table}");
    }
}
