//! Where a repository is, however its address was written, and which places an entry means.
//!
//! `git@host:org/repo`, `ssh://git@host/org/repo.git`, `https://host/Org/repo/` and `https://host/org/%72epo` are one place: an
//! entry is not stepped around by another spelling of what is connected to all the same. Where servers differ in what a
//! spelling means, it is refused. A port of its own is part of a place, the usual one is not. What is fetched in the clear is meant only by an entry that says `http://` itself: a credential for
//! https is not sent where everybody on the way reads it, because a tenant wrote another scheme. In a path `*` stands for
//! anything, in a host only as `*.git.example`, for those below it: else an entry would mean hosts that anybody may own.

use std::fmt;

use reeve_api::name::{NotAUrl, RemoteUrl, Scheme, fits};

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    host: String,
    /// None: the usual one.
    port: Option<u16>,
    /// Decoded, in lower case and without `.git`: forges take names in any case.
    path: String,
    /// Whether it is reached in the clear.
    plain: bool,
}

/// The places that an entry means, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    place: Place,
    /// Whether the hosts below `place.host` are meant, not itself.
    below: bool,
    user: Option<String>,
}

/// An address that means no repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPlace {
    /// It is no address at all.
    #[error("is no address of a repository: {0}")]
    Url(NotAUrl),
    /// It would be shown.
    #[error("holds a user or a password for http: write them into credentials.https")]
    Login,
    /// It would mean one place to one server, and another to the next.
    #[error(
        "means different places to different servers: its path holds an encoded `/`, `\\`, `%` or `*`, or ends in more than one .git"
    )]
    Ambiguous,
}

/// Reads an address as people write it: `git@host:org/repo` too.
pub fn address(text: &str) -> Result<RemoteUrl, NotAUrl> {
    RemoteUrl::parse(&whole(text))
}

/// The same with a scheme. A text before the first `:` that holds no `/` is a host, as git reads it.
fn whole(text: &str) -> String {
    if text.contains("://") {
        return text.to_owned();
    }
    match text.split_once(':') {
        Some((host, path)) if !host.contains('/') && !path.starts_with(':') => {
            format!("ssh://{host}/{}", path.trim_start_matches('/'))
        }
        _ => text.to_owned(),
    }
}

impl Place {
    /// That of a URL.
    pub fn of(url: &RemoteUrl) -> Result<Self, NotAPlace> {
        let port = Some(url.port()).filter(|port| *port != url.scheme().default_port());
        let path = url.plain_path().ok_or(NotAPlace::Ambiguous)?;
        let path = path.to_lowercase();
        let name = path.strip_suffix(".git").unwrap_or(&path);
        let name = name.trim_end_matches('/');
        // `x.git.git` is `x` to a server that takes off all of them, `x.git` to another, and neither to a third.
        if name.is_empty() || name.ends_with(".git") {
            return Err(NotAPlace::Ambiguous);
        }
        Ok(Self {
            host: url.host().to_owned(),
            port,
            path: name.to_owned(),
            plain: url.scheme() == Scheme::Http,
        })
    }

    /// Whether both may be one repository: a server has a port for each way to it, and what comes in the clear is the same.
    pub fn may_be(&self, other: &Self) -> bool {
        self.host == other.host && self.path == other.path
    }
}

/// What the address of a repository is in one spelling of all. What can be read in more ways than one is only what is written so.
pub fn spelled(text: &str) -> String {
    let place = address(text).ok().and_then(|url| Place::of(&url).ok());
    let Some(Place {
        host, port, path, ..
    }) = place
    else {
        return text.to_owned();
    };
    match port {
        Some(port) => format!("{host}:{port}/{path}"),
        None => format!("{host}/{path}"),
    }
}

/// Whether two addresses are of one repository of one server, in whichever spelling.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || spelled(one) == spelled(other)
}

/// Whether two addresses may be of one repository, whichever way leads to it.
pub fn may_be_same(one: &str, other: &str) -> bool {
    let place = |text: &str| Place::of(&address(text).ok()?).ok();
    let both = || place(one).zip(place(other));
    one == other || both().is_some_and(|(one, other)| one.may_be(&other))
}

impl Pattern {
    /// What `url` of an entry means.
    pub(super) fn of_url(text: &str) -> Result<Self, NotAPlace> {
        let whole = whole(text);
        let (below, whole) = wild(&whole);
        let url = RemoteUrl::parse(&whole).map_err(NotAPlace::Url)?;
        let shown = url.password().is_some() || url.user().is_some();
        if shown && (url.scheme() != Scheme::Ssh || url.password().is_some()) {
            return Err(NotAPlace::Login);
        }
        Ok(Self {
            text: text.to_owned(),
            place: Place::of(&url)?,
            below,
            user: url.user().map(str::to_owned),
        })
    }

    /// A repository of a forge at `base`, which the entry calls `named`. Over ssh a forge may have a port of its own.
    pub(super) fn of_forge(base: &str, path: &str, named: &str) -> Result<Self, NotAPlace> {
        let whole = format!("{}/{path}", base.trim_end_matches('/'));
        let url = RemoteUrl::parse(&whole).map_err(NotAPlace::Url)?;
        let shown = url.user().is_some() && url.scheme() != Scheme::Ssh;
        if shown || url.password().is_some() {
            return Err(NotAPlace::Login);
        }
        Ok(Self {
            text: named.to_owned(),
            place: Place::of(&url)?,
            below: false,
            user: url.user().map(str::to_owned),
        })
    }

    /// Whether it means `place`.
    pub fn covers(&self, place: &Place) -> bool {
        let host = match self.below {
            true => place
                .host
                .strip_suffix(&self.place.host)
                .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
            false => place.host == self.place.host,
        };
        let path = fits(&self.place.path, &place.path);
        let in_the_clear = place.plain && !self.place.plain;
        host && path && place.port == self.place.port && !in_the_clear
    }

    /// The user that it names, for ssh.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Takes `*.` from before the host, if it is there.
fn wild(url: &str) -> (bool, String) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (false, url.to_owned());
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (info, host) = match authority.rsplit_once('@') {
        Some((info, host)) => (format!("{info}@"), host),
        None => (String::new(), authority),
    };
    match host.strip_prefix("*.") {
        Some(host) => (true, format!("{scheme}://{info}{host}/{path}")),
        None => (false, url.to_owned()),
    }
}
