//! That a change does what is meant: the repository is fetched as the controller would fetch it after the change.
//!
//! All levels are read as they are, and the one that is changed as it would be; what is to lie in a Secret is taken from where
//! it was given. So nothing is written before it works, and what another entry would give is no proof. Fetched is from where
//! the command runs, which has to reach the server, into a directory that goes away. Where a forge makes the login, it makes one
//! for this (`made`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve_api::name::{ObjectName, RemoteUrl, Secret};
use reeve_core::failure::Explained;
use reeve_core::gitconfig::{
    self, Agent, Chosen, Hidden, Holds, Level, LevelName, Named, Place, Resolved, Way,
};
use reeve_core::source::Reference;

use super::level::Seat;
use super::made;
use super::wish::Wish;
use crate::cli::git::told;
use crate::cli::reach::everywhere;
use crate::cli::ui::CommandError;
use crate::cluster::{Cluster, SecretOwner};
use crate::git::{self, KnownHosts, Limits, Mirrors, Remote, credential};
use crate::levels;

/// What is to be proven.
pub(super) struct Proposal<'p> {
    pub(super) seat: &'p Seat,
    pub(super) wish: &'p Wish,
    /// The level's file as it would be.
    pub(super) text: &'p str,
    pub(super) holds: Holds,
    /// Where the entry stands in it.
    pub(super) at: &'p str,
    /// The Secret that would hold what is secret.
    pub(super) secret: &'p ObjectName,
}

/// What came of it: the revision; None: the repository is empty.
pub(super) type Proven = Option<String>;

/// Fetches the repository.
pub(super) async fn prove(
    cluster: &Cluster,
    owner: &SecretOwner,
    proposal: &Proposal<'_>,
    url: &str,
    (timeout, plugins): (Duration, Option<&Path>),
) -> Result<Proven, CommandError> {
    let url = gitconfig::address(url)
        .map_err(|why| CommandError::of("the address that is to prove it cannot be used", &why))?;
    if gitconfig::is_own(&url) {
        let why = "the address that is to prove it has a user or a password of its own";
        return Err(
            CommandError::new(why).hint("write it without: no level is asked for such a one")
        );
    }
    let place =
        Place::of(&url).map_err(|why| CommandError::of("the address that is to prove it", &why))?;
    let levels = levels(cluster, owner, proposal).await?;
    let resolved = gitconfig::resolve(&levels, &place);
    is_meant(proposal, &resolved, &url)?;
    let (url, data) = match &resolved.auth {
        None => (url, credential::Data::new()),
        Some(part) => {
            let login = gitconfig::login(&url, part);
            let login = login.map_err(|why| told("the login cannot be used", &why))?;
            let way = unveiled(login.way, proposal.secret, &proposal.wish.values);
            let unread = |why: Explained| told("the login cannot be read", &why);
            let data = match &way {
                Way::Made(agent) => {
                    let key = levels::reveal(cluster, owner, &agent.secret).await;
                    made::login(agent, &key.map_err(unread)?, &login.url, plugins).await?
                }
                way => levels::data(cluster, owner, way).await.map_err(unread)?,
            };
            (login.url, data)
        }
    };
    fetch(url, &data, timeout).await
}

/// All levels, with this one as it would be.
async fn levels(
    cluster: &Cluster,
    owner: &SecretOwner,
    proposal: &Proposal<'_>,
) -> Result<Vec<Level>, CommandError> {
    let seat = proposal.seat;
    let is_this = |named: &Named| named.0 == seat.level;
    let at = seat.named.iter().position(is_this).unwrap_or_default();
    let others = seat.named.iter().filter(|named| !is_this(named));
    let others: Vec<Named> = others.cloned().collect();
    let read = levels::read(cluster, owner, &others).await;
    let mut all = read.map_err(|why| told("reading the levels failed", &why))?;
    let file = gitconfig::parse(proposal.text.as_bytes(), proposal.holds).map_err(|why| {
        CommandError::of("the configuration would be one that cannot be used", &why)
    })?;
    let name = seat.level.clone();
    all.insert(at.min(all.len()), Level { name, file });
    Ok(all)
}

/// Whether what is configured is what the repository is given.
fn is_meant(
    proposal: &Proposal<'_>,
    resolved: &Resolved,
    url: &RemoteUrl,
) -> Result<(), CommandError> {
    let entry = proposal.wish.draft.entry.as_ref();
    let auth = resolved.auth.as_ref();
    let auth = auth.map(|part| (&part.level, part.entry.as_ref()));
    let polling = resolved.polling.as_ref();
    let polling = polling.map(|part| (&part.level, part.entry.as_ref()));
    for (part, is_set, given) in [
        (
            "login",
            entry.is_some_and(|entry| entry.login.is_some()),
            auth,
        ),
        (
            "polling",
            entry.is_some_and(|entry| entry.polling.is_some()),
            polling,
        ),
    ] {
        if is_set && !is_of(proposal, given) {
            let other = match given {
                Some((level, Some(entry))) => format!("{} ({}) of {level}", entry.at, entry.means),
                _ => "nobody".to_owned(),
            };
            let (at, level) = (proposal.at, &proposal.seat.level);
            let message =
                format!("{url} would not have its {part} from {at} of {level}, but from {other}");
            return Err(CommandError::new(message).hint(
                "the first entry that matches is taken, one of GitHub or GitLab before one by address; --prove names a repository that yours is for",
            ));
        }
    }
    Ok(())
}

fn is_of(proposal: &Proposal<'_>, given: Option<(&LevelName, Option<&Chosen>)>) -> bool {
    let Some((level, Some(entry))) = given else {
        return false;
    };
    *level == proposal.seat.level && entry.at == proposal.at
}

/// The way, with what is yet to be written into the Secret.
fn unveiled(way: Way, secret: &ObjectName, values: &BTreeMap<&'static str, Secret>) -> Way {
    let shown = |hidden: Hidden| match &hidden {
        Hidden::Key { secret: of, key } if of == secret => match values.get(key.as_str()) {
            Some(value) => Hidden::Text(value.clone()),
            None => hidden,
        },
        _ => hidden,
    };
    match way {
        Way::Ssh {
            key,
            password,
            known_hosts,
        } => Way::Ssh {
            key: shown(key),
            password: password.map(shown),
            known_hosts,
        },
        Way::Web { user, password } => Way::Web {
            user,
            password: shown(password),
        },
        Way::Made(agent) => Way::Made(Agent {
            secret: shown(agent.secret),
            ..agent
        }),
    }
}

async fn fetch(
    url: RemoteUrl,
    data: &credential::Data,
    timeout: Duration,
) -> Result<Proven, CommandError> {
    let shown = url.to_string();
    let failed = |why: git::Error| {
        let failed = format!("fetching {shown} failed, and nothing was changed");
        told(&failed, &Explained::of(&why))
    };
    let (credential, tls) = credential::from_secret(&url, data, &KnownHosts::default())
        .map_err(|why| failed(why.into()))?;
    let directory = tempfile::tempdir()
        .map_err(|why| CommandError::of("making a directory to fetch into failed", &why))?;
    let mirrors = Mirrors::open(directory.path(), 1)
        .map_err(|why| CommandError::of("preparing to fetch failed", &why))?;
    let remote = Arc::new(Remote {
        url,
        credential,
        tls,
        proxy: None,
        egress: everywhere(),
    });
    let (deadline, limits) = (Instant::now() + timeout, Limits::default());
    let head = Reference::Name("HEAD".to_owned());
    let resolved = match git::resolve(&mirrors, &remote, &head, deadline, &limits).await {
        Ok(resolved) => resolved,
        // There is nothing in it yet, but we were let in.
        Err(git::Error::Empty) => return Ok(None),
        Err(why) => return Err(failed(why)),
    };
    let content = git::Content::default();
    let fetched = git::fetch(&mirrors, &remote, resolved, content, deadline, &limits).await;
    let snapshot = fetched.map_err(failed)?;
    Ok(Some(snapshot.revision().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_yet_to_be_written_is_taken_from_where_it_was_given() {
        let (ours, other): (ObjectName, ObjectName) =
            ("fresh".parse().unwrap(), "old".parse().unwrap());
        let values = BTreeMap::from([("password", Secret::new("hunter2"))]);
        let way = |secret: &ObjectName, key: &str| Way::Web {
            user: "ada".to_owned(),
            password: Hidden::Key {
                secret: secret.clone(),
                key: key.to_owned(),
            },
        };
        let shown = Way::Web {
            user: "ada".to_owned(),
            password: Hidden::Text(Secret::new("hunter2")),
        };
        assert_eq!(unveiled(way(&ours, "password"), &ours, &values), shown);
        for way in [way(&other, "password"), way(&ours, "token")] {
            assert_eq!(unveiled(way.clone(), &ours, &values), way);
        }
    }
}
