//! A change of a level's file: an entry more, or other parts of the one that means the same repositories, and who commits.
//!
//! What the change doesn't name stays, all other entries too; comments do not. No secret is written: each is named by the
//! Secret and the key that it is to lie in, which are the caller's to fill. An entry for one repository comes before all others
//! of its list and one with a `*` after them, since the first that matches is taken. The file that comes out of it is read again
//! before it is given away. Where it is kept, and how it is proven before that, is the shell's.

use std::collections::BTreeSet;

use reeve_api::name::ObjectName;
use reeve_kustomize::{Object, parse_marked, to_yaml};
use serde_json::{Map, Value, json};

use super::{Error, Holds, parse};

/// The keys of the Secret that an entry names.
pub mod key {
    /// A private key, for ssh or of a GitHub App.
    pub const PRIVATE_KEY: &str = "private_key";
    /// What opens it.
    pub const PASSPHRASE: &str = "private_key_password";
    /// A password.
    pub const PASSWORD: &str = "password";
    /// An access token of GitLab.
    pub const TOKEN: &str = "accessToken";
    /// What a forge shows that calls.
    pub const WEBHOOK: &str = "webhookSecret";
}

/// What is to be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// An entry.
    pub entry: Option<Entry>,
    /// Who commits: a name, an address, or both.
    pub author: Option<super::Author>,
}

/// An entry as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which repositories.
    pub which: Which,
    /// Who we are to them; None: as it was.
    pub login: Option<Kind>,
    /// How changes come to be known; None: as it was.
    pub polling: Option<Pace>,
}

/// Which repositories an entry is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those of an address, as `git@git.example:acme/*`.
    Url(String),
    /// Those of GitHub, as `acme/web`, or of a forge of one's own.
    GitHub {
        /// `org/repo`.
        name: String,
        /// The forge's address.
        forge: Option<String>,
    },
    /// Those of GitLab, as `acme/shop:web`, or of a forge of one's own.
    GitLab {
        /// `group/sub:project`.
        name: String,
        /// The forge's address.
        forge: Option<String>,
    },
}

/// What kind of login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A key over ssh.
    Ssh {
        /// The keys that the server may show.
        known_hosts: Option<String>,
        /// Whether the key is opened by a passphrase.
        passphrase: bool,
    },
    /// A user and password over https.
    Https {
        /// The user.
        user: String,
    },
    /// An installation of a GitHub App.
    App {
        /// The App.
        app: u64,
        /// Its installation.
        installation: u64,
    },
    /// An access token of GitLab.
    Token,
}

/// How changes come to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pace {
    /// It is asked so often.
    Every(reeve_api::duration::Duration),
    /// The forge calls.
    Webhook,
}

/// A file that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amended {
    /// Its text.
    pub text: String,
    /// Where the entry stands in it, as `auths[0]`.
    pub at: Option<String>,
    /// Whether it was there before.
    pub replaced: bool,
    /// The Secrets that nothing in it names any more.
    pub freed: Vec<ObjectName>,
}

/// A change that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The file as it is cannot be read.
    #[error("the configuration as it is cannot be used: {0}")]
    Before(Error),
    /// What would come of it cannot be read.
    #[error("the configuration would be one that cannot be used: {0}")]
    After(Error),
    /// A kind of entry has no place for what is asked of it.
    #[error("{0}")]
    Unfit(&'static str),
    /// Something stands where the entries belong.
    #[error("{0} is no list of entries")]
    InTheWay(&'static str),
}

/// Makes the change in a file, or in an empty one; what is secret of it lies in `secret`.
pub fn amend(
    before: Option<&[u8]>,
    holds: Holds,
    draft: &Draft,
    secret: &ObjectName,
) -> Result<Amended, Refused> {
    let mut root = match before {
        None => Value::Null,
        Some(bytes) => {
            parse(bytes, holds).map_err(Refused::Before)?;
            let read = parse_marked(bytes, "git.yaml");
            let (value, _) = read.map_err(|_| Refused::InTheWay("the file"))?;
            value
        }
    };
    let named_before = named(&root);
    let steps: &[&str] = match root.get("rig") {
        Some(_) => &["rig", "client", "git"],
        None => &[],
    };
    let file = below(&mut root, steps).ok_or(Refused::InTheWay("rig.client.git"))?;
    let placed = draft.entry.as_ref().map(|entry| place(file, entry, secret));
    let placed = placed.transpose()?;
    if let Some(author) = &draft.author {
        put_author(file, author)?;
    }
    let named_after = named(&root);
    let text = Object::try_from(root).map(|root| to_yaml(&[root]));
    let text = text.map_err(|_| Refused::InTheWay("the file"))?;
    parse(text.as_bytes(), holds).map_err(Refused::After)?;
    let freed = named_before.difference(&named_after);
    Ok(Amended {
        text,
        replaced: placed.as_ref().is_some_and(|(_, replaced)| *replaced),
        at: placed.map(|(at, _)| at),
        freed: freed.filter_map(|name| name.parse().ok()).collect(),
    })
}

impl Which {
    /// The list, the field that says which, and what it says.
    fn place(&self) -> (&'static str, &'static str, &str) {
        match self {
            Self::Url(url) => ("auths", "url", url),
            Self::GitHub { name, .. } => ("gitHubAuths", "orgRepo", name),
            Self::GitLab { name, .. } => ("gitLabAuths", "groupsProject", name),
        }
    }

    fn forge(&self) -> Option<&str> {
        match self {
            Self::Url(_) => None,
            Self::GitHub { forge, .. } | Self::GitLab { forge, .. } => forge.as_deref(),
        }
    }

    /// The address of the repository, if it is one and no more.
    pub fn address(&self) -> Option<String> {
        let base = |public: &str| {
            self.forge()
                .unwrap_or(public)
                .trim_end_matches('/')
                .to_owned()
        };
        let address = match self {
            Self::Url(url) => url.clone(),
            Self::GitHub { name, .. } => format!("{}/{name}", base("https://github.com")),
            Self::GitLab { name, .. } => {
                format!(
                    "{}/{}",
                    base("https://gitlab.com"),
                    name.replacen(':', "/", 1)
                )
            }
        };
        (!address.contains('*')).then_some(address)
    }

    /// Whether an entry of its list is for the same.
    fn is(&self, entry: &Value) -> bool {
        let (_, field, text) = self.place();
        let says = |field: &str| entry.get(field).and_then(Value::as_str);
        says(field) == Some(text) && (field == "url" || says("url") == self.forge())
    }
}

/// Puts the entry into its list. Where it is then, and whether it was there.
fn place(
    file: &mut Map<String, Value>,
    entry: &Entry,
    secret: &ObjectName,
) -> Result<(String, bool), Refused> {
    let (list, field, text) = entry.which.place();
    let fields = fields(entry, secret)?;
    let items = file.entry(list).or_insert(Value::Null);
    if items.is_null() {
        *items = json!([]);
    }
    let items = items.as_array_mut().ok_or(Refused::InTheWay(list))?;
    let there = items.iter().position(|one| entry.which.is(one));
    let fresh = if text.contains('*') { items.len() } else { 0 };
    let at = there.unwrap_or(fresh);
    if there.is_none() {
        let mut fresh = Map::new();
        fresh.insert(field.to_owned(), json!(text));
        if let Some(forge) = entry.which.forge() {
            fresh.insert("url".to_owned(), json!(forge));
        }
        items.insert(at, Value::Object(fresh));
    }
    let one = items.get_mut(at).and_then(Value::as_object_mut);
    one.ok_or(Refused::InTheWay(list))?.extend(fields);
    Ok((format!("{list}[{at}]"), there.is_some()))
}

/// What the entry says beside which repositories it is for.
fn fields(entry: &Entry, secret: &ObjectName) -> Result<Map<String, Value>, Refused> {
    let of = |key: &str| json!({"valueFrom": {"secretKeyRef": {"name": secret, "key": key}}});
    let mut fields = Map::new();
    let mut put = |field: &str, value: Value| drop(fields.insert(field.to_owned(), value));
    match (&entry.which, &entry.login) {
        (_, None) => {}
        (
            Which::Url(_),
            Some(Kind::Ssh {
                known_hosts,
                passphrase,
            }),
        ) => {
            let mut ssh = json!({"private_key": of(key::PRIVATE_KEY)});
            if let Some(ssh) = ssh.as_object_mut() {
                let password = passphrase.then(|| of(key::PASSPHRASE));
                ssh.extend(password.map(|password| ("private_key_password".to_owned(), password)));
                let hosts = known_hosts.as_ref().map(|hosts| json!(hosts));
                ssh.extend(hosts.map(|hosts| ("known_hosts".to_owned(), hosts)));
            }
            put("credentials", json!({"ssh": ssh}));
        }
        (Which::Url(_), Some(Kind::Https { user })) => {
            let https = json!({"username": user, "password": of(key::PASSWORD)});
            put("credentials", json!({"https": https}));
        }
        (Which::GitHub { .. }, Some(Kind::App { app, installation })) => put(
            "auth",
            json!({"appID": app, "installationID": installation, "privateKey": of(key::PRIVATE_KEY)}),
        ),
        (Which::GitLab { .. }, Some(Kind::Token)) => {
            put("auth", json!({"accessToken": of(key::TOKEN)}));
        }
        _ => {
            let why = "an entry by address takes an ssh or an https login, one of GitHub an App, one of GitLab a token";
            return Err(Refused::Unfit(why));
        }
    }
    match (&entry.which, &entry.polling) {
        (_, None) => {}
        (Which::Url(_), Some(Pace::Every(every))) => put("pullingInterval", json!(every.as_str())),
        (Which::Url(_), Some(Pace::Webhook)) => {
            let why = "only an entry of GitHub or of GitLab has a webhook secret";
            return Err(Refused::Unfit(why));
        }
        (_, Some(Pace::Every(every))) => put(
            "polling",
            json!({"pullingIntervalSeconds": every.get().as_secs()}),
        ),
        (_, Some(Pace::Webhook)) => put("polling", json!({"webhookSecret": of(key::WEBHOOK)})),
    }
    Ok(fields)
}

fn put_author(file: &mut Map<String, Value>, author: &super::Author) -> Result<(), Refused> {
    let known = file.entry("author").or_insert(Value::Null);
    let known = below(known, &[]).ok_or(Refused::InTheWay("author"))?;
    for (field, text) in [("name", &author.name), ("email", &author.email)] {
        if let Some(text) = text {
            known.insert(field.to_owned(), json!(text));
        }
    }
    Ok(())
}

/// The mapping that many steps below; what is not there is made.
fn below<'v>(value: &'v mut Value, steps: &[&str]) -> Option<&'v mut Map<String, Value>> {
    if value.is_null() {
        *value = json!({});
    }
    let map = value.as_object_mut()?;
    match steps {
        [] => Some(map),
        [step, steps @ ..] => below(map.entry(*step).or_insert(Value::Null), steps),
    }
}

/// The names of all Secrets that a file names.
fn named(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(named).collect(),
        Value::Object(map) => {
            let name = map.get("secretKeyRef").and_then(|of| of.get("name"));
            let name = name.and_then(Value::as_str).map(str::to_owned);
            map.values().flat_map(named).chain(name).collect()
        }
        _ => BTreeSet::new(),
    }
}
