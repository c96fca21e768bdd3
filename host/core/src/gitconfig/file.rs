//! A level's file: Rig's `client.git`, read strictly.
//!
//! The root is that mapping itself, or `rig.client.git`. A field that nobody knows is an error, since nobody says what it would
//! do. Beside Rig's words there are four of ours: `known_hosts` (of the file, or of an ssh login), `url` and `api` of a
//! provider's entry for a forge of one's own, and `valueFrom.secretKeyRef` wherever a secret stands. Whether a key is one is not
//! looked at here.

use std::time::Duration;

use reeve_api::name::{RemoteUrl, Scheme};

use super::fields::Fields;
use super::place::Pattern;
use super::resolve::Polling;
use super::{Error, Hidden, Holds};
use crate::strict;

/// What a level says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct File {
    /// `auths`: repositories by their URLs.
    pub general: Vec<General>,
    /// `gitHubAuths` and then `gitLabAuths`: repositories by their names at a forge.
    pub providers: Vec<Provider>,
    /// `author`: who commits.
    pub author: Option<Author>,
    /// `known_hosts`: the keys that ssh servers may show, for entries that have none of their own.
    pub known_hosts: Option<String>,
}

/// An entry of `auths`.
#[derive(Debug, Clone, PartialEq)]
pub struct General {
    /// Where it stands among its like.
    pub index: usize,
    /// Which repositories.
    pub pattern: Pattern,
    /// How often they are asked.
    pub interval: Option<Duration>,
    /// Who we are to them.
    pub credentials: Option<Credentials>,
}

/// An entry of `gitHubAuths` or `gitLabAuths`.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// In which of the two lists.
    pub list: &'static str,
    /// Where it stands among its like.
    pub index: usize,
    /// Which repositories.
    pub pattern: Pattern,
    /// Where the forge is.
    pub forge: Forge,
    /// Who we are to the forge.
    pub auth: Option<Credentials>,
    /// How changes come to be known.
    pub polling: Option<Polling>,
}

/// Where a forge is that has an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forge {
    /// Its address: `https://github.com`.
    pub url: String,
    /// Where its API is, if that is not where such forges have it.
    pub api: Option<String>,
}

/// Who we are to a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A key over ssh.
    Ssh {
        /// The private key.
        key: Hidden,
        /// What opens it.
        password: Option<Hidden>,
        /// The keys that the server may show.
        known_hosts: Option<String>,
    },
    /// A user and password over https.
    Https {
        /// The user.
        user: String,
        /// The password.
        password: Hidden,
    },
    /// An installation of a GitHub App.
    GitHubApp {
        /// The App.
        app: u64,
        /// Its installation.
        installation: u64,
        /// The App's private key.
        key: Hidden,
    },
    /// An access token of GitLab.
    GitLabToken(Hidden),
}

/// Who commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: Option<String>,
    /// The address.
    pub email: Option<String>,
}

/// Reads a level's file, or says which line stands in the way.
pub fn parse(bytes: &[u8], holds: Holds) -> Result<File, Error> {
    let (value, marks) = strict::read(bytes, "git.yaml")?;
    let Some(root) = Fields::root(&value, &marks, holds)? else {
        return Ok(File::default());
    };
    match content(root)? {
        Some(fields) => file(&fields),
        None => Ok(File::default()),
    }
}

/// The mapping itself, or what `rig.client.git` holds.
fn content(root: Fields<'_>) -> Result<Option<Fields<'_>>, Error> {
    if !root.has("rig") {
        return Ok(Some(root));
    }
    let mut at = root;
    for step in ["rig", "client", "git"] {
        at.only(&[step])?;
        match at.below(step)? {
            Some(below) => at = below,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

fn file(fields: &Fields<'_>) -> Result<File, Error> {
    const LISTS: [&str; 5] = [
        "auths",
        "gitHubAuths",
        "gitLabAuths",
        "author",
        "known_hosts",
    ];
    fields.only(&LISTS)?;
    let general = fields.list("auths")?.into_iter().enumerate();
    let general: Result<Vec<General>, Error> = general
        .map(|(index, entry)| self::general(index, &entry))
        .collect();
    let mut providers = Vec::new();
    for (index, entry) in fields.list("gitHubAuths")?.iter().enumerate() {
        providers.push(github(index, entry)?);
    }
    for (index, entry) in fields.list("gitLabAuths")?.iter().enumerate() {
        providers.push(gitlab(index, entry)?);
    }
    Ok(File {
        general: general?,
        providers,
        author: fields.below("author")?.map(|a| author(&a)).transpose()?,
        known_hosts: fields.text("known_hosts")?.map(str::to_owned),
    })
}

fn author(fields: &Fields<'_>) -> Result<Author, Error> {
    fields.only(&["name", "email"])?;
    let line = |field| match fields.text(field)? {
        Some(text) if text.contains(['<', '>']) || text.chars().any(char::is_control) => {
            Err(fields.wrong(
                field,
                "holds what git allows in no author: < > or a line end",
            ))
        }
        text => Ok(text.map(str::to_owned)),
    };
    Ok(Author {
        name: line("name")?,
        email: line("email")?,
    })
}

fn general(index: usize, fields: &Fields<'_>) -> Result<General, Error> {
    fields.only(&["url", "pullingInterval", "credentials"])?;
    let pattern = Pattern::of_url(fields.needs("url")?);
    let interval = match fields.text("pullingInterval")? {
        None => None,
        Some(text) => {
            let read = text.parse::<reeve_api::duration::Duration>();
            let wrong = |why: reeve_api::duration::NotADuration| {
                fields.wrong("pullingInterval", format!("cannot be read: {why}"))
            };
            Some(fields.wait("pullingInterval", read.map_err(wrong)?.get())?)
        }
    };
    Ok(General {
        index,
        pattern: pattern.map_err(|why| fields.wrong("url", why.to_string()))?,
        interval,
        credentials: match fields.below("credentials")? {
            Some(fields) => credentials(&fields)?,
            None => None,
        },
    })
}

fn credentials(fields: &Fields<'_>) -> Result<Option<Credentials>, Error> {
    fields.only(&["ssh", "https"])?;
    match (fields.below("ssh")?, fields.below("https")?) {
        (Some(_), Some(_)) => Err(fields.wrong("https", "stands beside ssh: give one of the two")),
        (None, None) => Ok(None),
        (Some(ssh), None) => {
            ssh.only(&["private_key", "private_key_password", "known_hosts"])?;
            let key = ssh.key("private_key")?;
            Ok(Some(Credentials::Ssh {
                key: key.ok_or_else(|| ssh.wrong("private_key", "is not set"))?,
                password: ssh.hidden("private_key_password")?,
                known_hosts: ssh.text("known_hosts")?.map(str::to_owned),
            }))
        }
        (None, Some(https)) => {
            https.only(&["username", "password"])?;
            let user = https.needs("username")?;
            if user.contains(':') || user.chars().any(char::is_control) {
                return Err(https.wrong("username", "holds what no user may hold"));
            }
            let password = https.hidden("password")?;
            Ok(Some(Credentials::Https {
                user: user.to_owned(),
                password: password.ok_or_else(|| https.wrong("password", "is not set"))?,
            }))
        }
    }
}

fn github(index: usize, fields: &Fields<'_>) -> Result<Provider, Error> {
    fields.only(&["orgRepo", "url", "api", "auth", "polling"])?;
    let named = fields.needs("orgRepo")?;
    let form = "is no repository of GitHub, such as myorg/myrepository";
    let auth = match fields.below("auth")? {
        None => None,
        Some(auth) => {
            auth.only(&["appID", "installationID", "privateKey"])?;
            let needs = |field| {
                let number = auth.number(field)?;
                number.ok_or_else(|| auth.wrong(field, "is not set"))
            };
            let key = auth.key("privateKey")?;
            Some(Credentials::GitHubApp {
                app: needs("appID")?,
                installation: needs("installationID")?,
                key: key.ok_or_else(|| auth.wrong("privateKey", "is not set"))?,
            })
        }
    };
    let path = (named.matches('/').count() == 1).then_some(named);
    let wrong = || fields.wrong("orgRepo", form);
    let found = forge(fields, path.ok_or_else(wrong)?, named, "https://github.com")?;
    let (pattern, forge) = found.ok_or_else(wrong)?;
    Ok(Provider {
        list: "gitHubAuths",
        index,
        pattern,
        forge,
        auth,
        polling: polling(fields)?,
    })
}

fn gitlab(index: usize, fields: &Fields<'_>) -> Result<Provider, Error> {
    fields.only(&["groupsProject", "url", "api", "auth", "polling"])?;
    let named = fields.needs("groupsProject")?;
    let form = "is no repository of GitLab, such as mygroup/subgroup:myproject";
    let wrong = || fields.wrong("groupsProject", form);
    let (groups, project) = named.split_once(':').ok_or_else(wrong)?;
    if project.contains([':', '/']) {
        return Err(wrong());
    }
    let auth = match fields.below("auth")? {
        None => None,
        Some(auth) => {
            auth.only(&["accessToken"])?;
            let token = auth.hidden("accessToken")?;
            let token = token.ok_or_else(|| auth.wrong("accessToken", "is not set"))?;
            Some(Credentials::GitLabToken(token))
        }
    };
    let path = format!("{groups}/{project}");
    let found = forge(fields, &path, named, "https://gitlab.com")?;
    let (pattern, forge) = found.ok_or_else(wrong)?;
    Ok(Provider {
        list: "gitLabAuths",
        index,
        pattern,
        forge,
        auth,
        polling: polling(fields)?,
    })
}

/// The repositories of a path at a forge: the public one, or that of `url`. None: the path is none.
fn forge(
    fields: &Fields<'_>,
    path: &str,
    named: &str,
    public: &str,
) -> Result<Option<(Pattern, Forge)>, Error> {
    let base = fields.text("url")?.unwrap_or(public);
    let api = fields.text("api")?;
    if api.is_some_and(|api| !is_web(api)) {
        let why = "is no address of an API, such as https://git.example/api/v4";
        return Err(fields.wrong("api", why));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./*".contains(c);
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(plain);
    if !path.split('/').all(part) {
        return Ok(None);
    }
    let pattern = Pattern::of_forge(base, path, named).map_err(|_| {
        fields.wrong(
            "url",
            "is no address of a forge, such as https://git.example",
        )
    })?;
    if api.is_none() && !is_web(base) {
        let why = "is not of https, so nobody says where the forge's API is: set api";
        return Err(fields.wrong("url", why));
    }
    let forge = Forge {
        url: base.trim_end_matches('/').to_owned(),
        api: api.map(|api| api.trim_end_matches('/').to_owned()),
    };
    Ok(Some((pattern, forge)))
}

/// Whether it is an address of https (or http), without a login.
fn is_web(text: &str) -> bool {
    below(text).is_some_and(|url| {
        url.scheme() != Scheme::Ssh && url.user().is_none() && url.password().is_none()
    })
}

/// What lies below an address, which has no path of its own where it is a host alone.
pub(super) fn below(text: &str) -> Option<RemoteUrl> {
    RemoteUrl::parse(&format!("{}/x", text.trim_end_matches('/'))).ok()
}

fn polling(fields: &Fields<'_>) -> Result<Option<Polling>, Error> {
    let Some(polling) = fields.below("polling")? else {
        return Ok(None);
    };
    let seconds = "pullingIntervalSeconds";
    polling.only(&["webhookSecret", seconds])?;
    match (polling.hidden("webhookSecret")?, polling.number(seconds)?) {
        (Some(_), Some(_)) => {
            let why = "stands beside webhookSecret: give one of the two";
            Err(polling.wrong(seconds, why))
        }
        (Some(secret), None) => Ok(Some(Polling::Webhook(secret))),
        (None, Some(every)) => {
            let every = polling.wait(seconds, Duration::from_secs(every))?;
            Ok(Some(Polling::Every(every)))
        }
        (None, None) => Ok(None),
    }
}
