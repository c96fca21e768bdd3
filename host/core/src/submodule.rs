//! Which repository a submodule is, as `.gitmodules` of a commit says it.
//!
//! An address is of a server, or relative to that of the repository that names it, by git's rules. What git would read as an
//! option, a program or a path of this machine is refused by its form. It deliberately doesn't say who we are there: that is
//! for the shell, which has the logins. Whether the host may be reached is asked when its name is resolved.

use reeve_api::name::{NotAUrl, RemoteUrl};

/// Why a submodule's address is not used. None of these holds any of the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// None is written.
    #[error("it has no url")]
    Nowhere,
    /// `--upload-pack=…`
    #[error("its url begins with `-`, as an option of git does")]
    Option,
    /// `ext::sh -c …`
    #[error("its url names a helper program, and none is run")]
    Helper,
    /// `/srv/git/x.git`, `x/y`
    #[error(
        "its url is a path on a disk: only https://, http://, ssh:// and relative ones are fetched"
    )]
    Path,
    /// `../../../../x`
    #[error("its url leads out of the server that its repository is on")]
    Out,
    /// `git@host:22/x`, which is a port to one reader and a directory to another.
    #[error("its url can be read in two ways: write it as ssh://user@host/path")]
    Ambiguous,
    /// It is not one that is fetched from.
    #[error("its url is not used: {0}")]
    Url(#[from] NotAUrl),
}

/// Where a submodule with this `url` is, of a repository that is at `parent`.
///
/// # Errors
/// When it is not an address that anything is fetched from.
pub fn address(parent: &RemoteUrl, url: &str) -> Result<RemoteUrl, Refused> {
    let first = url.split('/').next().unwrap_or_default();
    match first {
        _ if url.is_empty() => Err(Refused::Nowhere),
        _ if url.starts_with('-') => Err(Refused::Option),
        "." | ".." => beside(parent, url),
        _ if is_helper(url) => Err(Refused::Helper),
        _ if url.contains("://") => Ok(RemoteUrl::parse(url)?),
        _ => short(url),
    }
}

/// Whether git would start a program `git-remote-…` for it.
fn is_helper(url: &str) -> bool {
    let name = url.split_once("::").map(|(name, _)| name);
    name.is_some_and(|name| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.'))
    })
}

/// `./x` and `../x`: each `..` takes one name away from the end of the parent's path.
fn beside(parent: &RemoteUrl, url: &str) -> Result<RemoteUrl, Refused> {
    let path = parent.path();
    let mut names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let mut rest = url.trim_end_matches('/');
    while !rest.is_empty() {
        let (first, after) = rest.split_once('/').unwrap_or((rest, ""));
        match first {
            "." => {}
            ".." => {
                names.pop().ok_or(Refused::Out)?;
            }
            _ => break,
        }
        rest = after;
    }
    if !rest.is_empty() {
        names.push(rest);
    }
    if names.is_empty() {
        return Err(Refused::Out);
    }
    let slash = if path.starts_with('/') { "/" } else { "" };
    Ok(parent.at(format!("{slash}{}", names.join("/")))?)
}

/// `user@host:group/project`, git's short form of ssh.
fn short(url: &str) -> Result<RemoteUrl, Refused> {
    let (host, path) = url.split_once(':').ok_or(Refused::Path)?;
    if host.contains('/') || host.is_empty() {
        return Err(Refused::Path);
    }
    let first = path.split('/').next().unwrap_or_default();
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    if host.contains('[') || is_number {
        return Err(Refused::Ambiguous);
    }
    let colon = if path.starts_with('/') { "" } else { ":" };
    Ok(RemoteUrl::parse(&format!("ssh://{host}{colon}{path}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(parent: &str, url: &str) -> Result<String, Refused> {
        let found = address(&parent.parse().unwrap(), url)?;
        Ok(format!("{found} {}", found.path()))
    }

    #[test]
    fn a_relative_address_begins_where_its_repository_is() {
        for (parent, url, want) in [
            (
                "https://h/org/app.git",
                "../lib.git",
                "https://h/org/lib.git",
            ),
            (
                "https://h/org/app.git/",
                "../lib.git/",
                "https://h/org/lib.git",
            ),
            (
                "https://h/org/app.git",
                "../../other/lib",
                "https://h/other/lib",
            ),
            (
                "https://h/org/app.git",
                "./sub",
                "https://h/org/app.git/sub",
            ),
            ("https://h/org/app.git", "./../lib", "https://h/org/lib"),
            ("https://h/org/app.git", "..", "https://h/org"),
            (
                "http://h:8080/app.git",
                "../lib.git",
                "http://h:8080/lib.git",
            ),
            (
                "ssh://git@h:2222/org/app",
                "../lib",
                "ssh://git@h:2222/org/lib",
            ),
            ("ssh://git@h:org/app", "../lib", "ssh://git@h:org/lib"),
            ("ssh://git@h:org/app", "../../lib", "ssh://git@h:lib"),
        ] {
            let path = |url: &str| url.parse::<RemoteUrl>().unwrap().path().to_owned();
            let want = format!("{want} {}", path(want));
            assert_eq!(at(parent, url), Ok(want), "{parent} {url}");
        }
    }

    #[test]
    fn an_absolute_address_is_of_a_server() {
        let parent = "https://h/org/app.git";
        for (url, want) in [
            ("https://other/lib.git", "https://other/lib.git /lib.git"),
            ("ssh://git@other:2222/lib", "ssh://git@other:2222/lib /lib"),
            (
                "git@other:group/lib.git",
                "ssh://git@other:group/lib.git group/lib.git",
            ),
            (
                "git@other:/srv/lib.git",
                "ssh://git@other/srv/lib.git /srv/lib.git",
            ),
            ("other:lib", "ssh://other:lib lib"),
        ] {
            assert_eq!(at(parent, url).as_deref(), Ok(want), "{url}");
        }
    }

    #[test]
    fn what_is_an_option_a_program_or_a_file_is_refused() {
        let parent = "https://h/org/app.git";
        for (url, want) in [
            ("", Refused::Nowhere),
            ("--upload-pack=touch x", Refused::Option),
            ("-u./x", Refused::Option),
            ("ext::sh -c whoami", Refused::Helper),
            ("ext::sh", Refused::Helper),
            ("fd::17", Refused::Helper),
            ("::x", Refused::Helper),
            ("/srv/git/lib.git", Refused::Path),
            ("lib.git", Refused::Path),
            ("org/lib:x", Refused::Path),
            ("../../../lib", Refused::Out),
            ("../../..", Refused::Out),
            ("../..", Refused::Out),
            ("git@h:2222/x", Refused::Ambiguous),
            ("git@[::1]:x", Refused::Ambiguous),
            ("file:///etc/passwd", Refused::Url(NotAUrl::Scheme)),
            ("git://h/lib", Refused::Url(NotAUrl::Scheme)),
            ("https://h/a/../b", Refused::Url(NotAUrl::DotDot)),
            ("../lib/../../../x", Refused::Url(NotAUrl::DotDot)),
            ("../lib;x", Refused::Url(NotAUrl::Path)),
            ("ssh://-oProxyCommand=x/y", Refused::Url(NotAUrl::Host)),
            ("-oProxyCommand=x:y", Refused::Option),
            ("git@-oProxyCommand=x:y", Refused::Url(NotAUrl::Host)),
            ("git@h:-x", Refused::Url(NotAUrl::Path)),
            ("https://h/x\ny", Refused::Url(NotAUrl::Control)),
        ] {
            assert_eq!(at(parent, url), Err(want), "{url}");
        }
        // What a name in the short form is to one reader, a port is to another.
        assert!(at("ssh://git@h:org/app", "../../22/x").is_err());
    }
}
