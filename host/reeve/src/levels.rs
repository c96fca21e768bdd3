//! The files of git configuration, and the secrets that their entries refer to: read from the controller's own namespace, by
//! the controller, or on a laptop by who asks.
//!
//! Nothing is cached, like all Secrets. What a file says is `core::gitconfig`'s to read and to weigh; whose levels are asked
//! at all is decided before.

use std::io::Read as _;

use futures::future::try_join_all;
use reeve_api::name::{ObjectName, Secret};
use reeve_api::plugin::ConfigKind;
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::gitconfig::{self, Hidden, Holds, Level, Named, Way};

use crate::cluster::{Cluster, SecretOwner};
use crate::git::credential::Data;

/// The largest file with a key, in bytes.
const LARGEST_KEY: u64 = 64 << 10;

/// Reads levels, in their order.
pub(crate) async fn read(
    cluster: &Cluster,
    owner: &SecretOwner,
    named: &[Named],
) -> Result<Vec<Level>, Explained> {
    try_join_all(named.iter().map(|one| level(cluster, owner, one))).await
}

async fn level(
    cluster: &Cluster,
    owner: &SecretOwner,
    (name, from): &Named,
) -> Result<Level, Explained> {
    let place = format!("{} {}/{}", from.kind.as_str(), owner.namespace(), from.name);
    let (bytes, holds) = match from.kind {
        ConfigKind::Secret => {
            let data = cluster.secret(owner, &from.name).await;
            let data = data.map_err(|why| of_level(name, &Explained::of(&why)))?;
            (data.into_inner().remove(from.key()), Holds::Secrets)
        }
        ConfigKind::ConfigMap => {
            let data = cluster.config_map(owner, &from.name).await;
            let mut data = data.map_err(|why| of_level(name, &Explained::of(&why)))?;
            let text = data.remove(from.key());
            (text.map(String::into_bytes), Holds::References)
        }
    };
    let Some(bytes) = bytes else {
        let message = format!("{place} has no key {}", from.key());
        return Err(of_level(name, &failed(message)));
    };
    let file = gitconfig::parse(&bytes, holds).map_err(|why| {
        let message = format!("{place}, key {}: {why}", from.key());
        of_level(name, &failed(message))
    })?;
    let name = name.clone();
    Ok(Level { name, file })
}

/// What a login is made of, by the keys that a Secret of a source would have.
pub(crate) async fn data(
    cluster: &Cluster,
    owner: &SecretOwner,
    way: &Way,
) -> Result<Data, Explained> {
    let mut data = Data::new();
    let mut put = |key: &str, value: &[u8]| {
        data.insert(key.to_owned(), value.to_vec());
    };
    match way {
        Way::Ssh {
            key,
            password,
            known_hosts,
        } => {
            let key = reveal(cluster, owner, key).await?;
            put("identity", key.expose().as_bytes());
            if let Some(password) = password {
                let password = reveal(cluster, owner, password).await?;
                put("password", password.expose().as_bytes());
            }
            put("known_hosts", known_hosts.as_bytes());
        }
        Way::Web { user, password } => {
            let password = reveal(cluster, owner, password).await?;
            put("username", user.as_bytes());
            put("password", password.expose().as_bytes());
        }
        // Who runs providers asks for it himself.
        Way::Made(_) => return Err(elsewhere()),
    }
    Ok(data)
}

/// The Secrets beside the file that a login refers to.
pub(crate) fn referred(way: &Way) -> impl Iterator<Item = &ObjectName> {
    let (one, other) = match way {
        Way::Ssh { key, password, .. } => (key, password.as_ref()),
        Way::Web { password, .. } => (password, None),
        Way::Made(agent) => (&agent.secret, None),
    };
    [Some(one), other]
        .into_iter()
        .flatten()
        .filter_map(|one| match one {
            Hidden::Key { secret, .. } => Some(secret),
            Hidden::Text(_) | Hidden::Path(_) => None,
        })
}

/// What a secret of an entry is.
pub(crate) async fn reveal(
    cluster: &Cluster,
    owner: &SecretOwner,
    hidden: &Hidden,
) -> Result<Secret, Explained> {
    match hidden {
        Hidden::Text(text) => Ok(text.clone()),
        Hidden::Key { secret, key } => {
            let read = cluster.secret(owner, secret).await;
            let read = read.map_err(|why| Explained::of(&why))?;
            let text = read.text(key).filter(|text| !text.is_empty());
            let text = text.map(Secret::new);
            text.ok_or_else(|| {
                let namespace = owner.namespace();
                failed(format!(
                    "Secret {namespace}/{secret} has no key {key} (or one that is not text)"
                ))
            })
        }
        Hidden::Path(path) => {
            let path = path.clone();
            let read = tokio::task::spawn_blocking(move || key_file(&path));
            read.await
                .map_err(|_| failed("reading a key from a file ended badly".to_owned()))?
        }
    }
}

/// The key in a file of the controller's own, which the platform has mounted there.
fn key_file(path: &str) -> Result<Secret, Explained> {
    let wrong = |why: String| {
        failed(format!("reading the key {path} failed: {why}"))
            .with_hint("mount it there by the chart's extraVolumes, or write the key, or a secretKeyRef, in its place")
    };
    // Opening a pipe would wait for who writes into it.
    let meta = std::fs::metadata(path).map_err(|why| wrong(why.to_string()))?;
    if !meta.is_file() || meta.len() > LARGEST_KEY {
        return Err(wrong("it is no file of 64 KiB at most".to_owned()));
    }
    let file = std::fs::File::open(path).map_err(|why| wrong(why.to_string()))?;
    let mut text = String::new();
    file.take(LARGEST_KEY)
        .read_to_string(&mut text)
        .map_err(|why| wrong(why.to_string()))?;
    Ok(Secret::new(text))
}

fn elsewhere() -> Explained {
    failed("a token of a GitHub App is made by its forge, and is in no Secret".to_owned())
}

fn failed(message: String) -> Explained {
    Explained::new(Reason::AuthenticationFailed, Turn::Retry, message)
}

/// The same, told of a level.
fn of_level(level: &gitconfig::LevelName, why: &Explained) -> Explained {
    let message = format!("git configuration of level {level}: {}", why.message);
    Explained {
        message,
        ..why.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_a_path_and_what_is_no_file_there_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(at("key"), "hunter2").unwrap();
        assert_eq!(key_file(&at("key")).unwrap().expose(), "hunter2");
        std::fs::write(at("large"), "x".repeat(70_000)).unwrap();
        std::fs::write(at("binary"), [0xff_u8; 4]).unwrap();
        for (name, words) in [
            ("gone", "No such file"),
            ("", "no file of 64 KiB"),
            ("large", "no file of 64 KiB"),
            ("binary", "UTF-8"),
        ] {
            let told = key_file(&at(name)).unwrap_err();
            assert!(told.message.contains(words), "{name}: {told}");
            assert_eq!(told.reason, Reason::AuthenticationFailed);
        }
    }

    #[test]
    fn only_secrets_that_are_named_are_watched() {
        let (secret, key) = ("s".parse().unwrap(), "k".to_owned());
        let named = Hidden::Key { secret, key };
        let text = || Hidden::Text(Secret::new("t"));
        let ssh = |key, password| Way::Ssh {
            key,
            password: Some(password),
            known_hosts: String::new(),
        };
        for (way, count) in [
            (ssh(named.clone(), named.clone()), 2),
            (ssh(Hidden::Path("/k".into()), named), 1),
            (
                Way::Web {
                    user: String::new(),
                    password: text(),
                },
                0,
            ),
        ] {
            assert_eq!(referred(&way).count(), count, "{way:?}");
        }
    }
}
