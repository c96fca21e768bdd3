//! Addresses of other repositories and files, as kustomize reads them: `github.com/org/repo//path?ref=v1` and its like.
//!
//! Pure: it says what is meant and fetches nothing. A build is given what was fetched as [`Remotes`](crate::Remotes) and
//! says what it lacks; who fetches is the caller.

use std::time::Duration;

use crate::error::Place;

/// What an address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What is to be fetched.
    pub source: Source,
    /// The directory or file in it, clean; empty for all of it.
    pub path: String,
    /// How long fetching may take.
    pub timeout: Duration,
}

/// Something that a build lacks, and where it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub reference: Reference,
    /// File, line and field of the first that asks for it.
    pub place: Place,
}

/// What is to be fetched.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The files of a commit.
    Repository {
        /// Where it is cloned from: `https://…` or `ssh://…`.
        url: String,
        /// The branch, tag or commit; empty for what the server's HEAD is.
        reference: String,
        /// Whether its submodules are wanted too.
        submodules: bool,
    },
    /// One file.
    File {
        /// Its address.
        url: String,
    },
}

/// How long kustomize gives git.
const TIMEOUT: Duration = Duration::from_secs(27);
/// The longest that an address may ask for.
const LONGEST: Duration = Duration::from_secs(300);
const SCHEMES: [&str; 4] = ["ssh://", "https://", "http://", "file://"];
const FORGES: [&str; 4] = ["github.com", "gitlab.com", "bitbucket.org", "codeberg.org"];

impl Source {
    /// Whether it names one content for good: a commit by its whole id.
    #[must_use]
    pub fn is_commit(&self) -> bool {
        match self {
            Self::Repository { reference, .. } => is_commit(reference),
            Self::File { .. } => false,
        }
    }

    /// The address without user and password.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Repository { url, reference, .. } if reference.is_empty() => {
                without_userinfo(url)
            }
            Self::Repository { url, reference, .. } => {
                format!("{}?ref={reference}", without_userinfo(url))
            }
            Self::File { url } => without_userinfo(url),
        }
    }

    /// The host that must be reached.
    #[must_use]
    pub fn host(&self) -> &str {
        let (Self::Repository { url, .. } | Self::File { url }) = self;
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        match host.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
            Some((v6, _)) => v6,
            None => host.split(':').next().unwrap_or_default(),
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

fn is_commit(reference: &str) -> bool {
    matches!(reference.len(), 40 | 64) && reference.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What `text` names, if it names something remote as kustomize sees it; a local path otherwise. The error says in one
/// clause why an address is none that can be fetched.
pub fn parse(text: &str) -> Result<Option<Reference>, &'static str> {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let query = Query::parse(query);
    let (scheme, rest) = scheme(strip_prefix(address, "git::").unwrap_or(address));
    match scheme {
        Some("file://") => return Err("names a file of this machine"),
        Some("https://" | "http://") if is_file(rest, &query) => {
            let url = text.to_owned();
            return Ok(Some(Reference {
                source: Source::File { url },
                path: String::new(),
                timeout: query.timeout,
            }));
        }
        _ => {}
    }
    let (user, rest) = user(rest);
    let github = ["github.com/", "github.com:"]
        .iter()
        .any(|host| strip_prefix(rest, host).is_some());
    let scp = scheme.is_none() && (user.is_some() || github);
    if scheme.is_none() && !scp {
        return Ok(None);
    }
    let Some((host, path)) = split_host(rest, scp) else {
        return if scp {
            Ok(None)
        } else {
            Err("names no repository")
        };
    };
    let Some((repository, inner)) = split_path(path) else {
        return Err("names no repository");
    };
    let Some(inner) = crate::path::join("", inner) else {
        return Err("leads out of its repository");
    };
    let server = match (scheme, user) {
        // What is on github.com is reached over https, unless ssh is asked for.
        (scheme, user) if github && (user.is_some() || scheme == Some("ssh://")) => {
            format!("ssh://{}@github.com", user.unwrap_or("git"))
        }
        _ if github => "https://github.com".to_owned(),
        (Some(scheme), Some(user)) => format!("{scheme}{user}@{host}"),
        (Some(scheme), None) => format!("{scheme}{host}"),
        (None, user) => format!("ssh://{}@{host}", user.unwrap_or("git")),
    };
    Ok(Some(Reference {
        source: Source::Repository {
            url: format!("{server}/{repository}"),
            reference: query.reference,
            submodules: query.submodules,
        },
        path: inner,
        timeout: query.timeout,
    }))
}

/// The scheme in front of an address, and the rest.
fn scheme(address: &str) -> (Option<&'static str>, &str) {
    let found = SCHEMES
        .into_iter()
        .find_map(|scheme| Some((scheme, strip_prefix(address, scheme)?)));
    found.map_or((None, address), |(scheme, rest)| (Some(scheme), rest))
}

/// Whether an http address is a file's rather than a repository's. kustomize tries both; nothing is tried here.
fn is_file(rest: &str, query: &Query) -> bool {
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let marked = [".git/", "_git/", "//"]
        .iter()
        .any(|mark| path.contains(mark));
    if marked || path.ends_with(".git") || query.for_git {
        return false;
    }
    let lower = path.to_ascii_lowercase();
    let named = [".yaml", ".yml", ".json"]
        .iter()
        .any(|end| lower.ends_with(end));
    named || !FORGES.contains(&host.to_ascii_lowercase().as_str())
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The user in front of an `@`, of letters, digits and dashes.
fn user(text: &str) -> (Option<&str>, &str) {
    match text.split_once('@') {
        Some((user, rest))
            if user.starts_with(|c: char| c.is_ascii_alphabetic())
                && user.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') =>
        {
            (Some(user), rest)
        }
        _ => (None, text),
    }
}

/// The host and what follows it; a colon ends it where an address looks like scp's.
fn split_host(rest: &str, scp: bool) -> Option<(&str, &str)> {
    let slash = rest.find('/');
    let colon = rest.find(':').filter(|_| scp);
    let end = match (slash, colon) {
        (Some(slash), Some(colon)) if colon > 0 && colon < slash => colon,
        (Some(slash), _) => slash,
        (None, Some(colon)) => colon,
        (None, None) => return None,
    };
    let (host, path) = rest.split_at_checked(end)?;
    (!host.is_empty()).then_some((host, path.get(1..)?))
}

/// The repository and the path in it: parted by `_git/` and one name, by `//`, by `.git`, else behind two names.
fn split_path(path: &str) -> Option<(&str, &str)> {
    let cut = |at: usize, skip: usize| {
        let (repository, inner) = path.split_at_checked(at)?;
        (!repository.is_empty()).then_some((repository, inner.get(skip..).unwrap_or_default()))
    };
    if let Some(git) = path.find("_git/") {
        let name = git + "_git/".len();
        let tail = path.get(name..)?;
        return cut(name + tail.find('/').unwrap_or(tail.len()), 0);
    }
    if let Some(mark) = path.find("//") {
        return cut(mark, 2);
    }
    if let Some(git) = path.find(".git") {
        return cut(git + ".git".len(), 0);
    }
    let mut slashes = path.match_indices('/').map(|(at, _)| at);
    let first = slashes.next()?;
    if path.get(first + 1..)?.is_empty() {
        return None;
    }
    cut(slashes.next().unwrap_or(path.len()), 0)
}

/// What kustomize takes from an address's query.
struct Query {
    reference: String,
    timeout: Duration,
    submodules: bool,
    /// Whether something in it is for git.
    for_git: bool,
}

impl Query {
    fn parse(text: &str) -> Self {
        let pair = |one: &str| {
            let (key, value) = one.split_once('=').unwrap_or((one, ""));
            Some((decoded(key)?, decoded(value)?))
        };
        let pairs: Option<Vec<_>> = text
            .split('&')
            .filter(|p| !p.is_empty())
            .map(pair)
            .collect();
        // Of a query that is broken, kustomize takes nothing.
        let pairs = pairs.unwrap_or_default();
        let get = |name: &str| {
            let mut all = pairs.iter();
            all.find(|(key, _)| key == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let reference = match get("ref") {
            "" => get("version"),
            reference => reference,
        };
        Self {
            reference: reference.to_owned(),
            timeout: duration(get("timeout")).unwrap_or(TIMEOUT).min(LONGEST),
            submodules: !matches!(
                get("submodules"),
                "0" | "f" | "F" | "false" | "False" | "FALSE"
            ),
            for_git: pairs.iter().any(|(key, _)| {
                matches!(
                    key.as_str(),
                    "ref" | "version" | "timeout" | "submodules" | "depth"
                )
            }),
        }
    }
}

/// Percent signs and pluses resolved.
fn decoded(text: &str) -> Option<String> {
    if text.contains(';') {
        return None;
    }
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

/// Seconds, or a sum of numbers with units as Go writes them.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return (seconds > 0).then(|| Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut sum = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let unit = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit)?;
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * seconds;
        rest = tail;
    }
    let duration = Duration::try_from_secs_f64(sum).ok()?;
    (!duration.is_zero()).then_some(duration)
}

/// An address without what may be a password, and without what of its query is not for git.
pub(crate) fn without_userinfo(url: &str) -> String {
    crate::path::without_userinfo(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match parse(text) {
            Ok(None) => "local".to_owned(),
            Err(why) => why.to_owned(),
            Ok(Some(Reference { source, path, .. })) => match source {
                Source::File { url } => format!("file {url}"),
                Source::Repository { url, reference, .. } => format!("{url} {path} {reference}"),
            },
        }
    }

    #[test]
    fn every_form_names_the_repository_that_kustomize_clones() {
        for (text, want) in [
            (
                "github.com/org/repo//path?ref=v1",
                "https://github.com/org/repo path v1",
            ),
            (
                "github.com/org/repo/a/b?ref=main",
                "https://github.com/org/repo a/b main",
            ),
            ("github.com/org/repo", "https://github.com/org/repo  "),
            ("GitHub.com/org/repo", "https://github.com/org/repo  "),
            (
                "https://github.com/org/repo.git/a?version=v2",
                "https://github.com/org/repo.git a v2",
            ),
            (
                "git@github.com:org/repo.git//a/../b",
                "ssh://git@github.com/org/repo.git b ",
            ),
            (
                "ssh://github.com/org/repo",
                "ssh://git@github.com/org/repo  ",
            ),
            (
                "git::https://host.example/a/b/c.git//d?ref=x",
                "https://host.example/a/b/c.git d x",
            ),
            (
                "git::git@host.example:a/b.git/c",
                "ssh://git@host.example/a/b.git c ",
            ),
            (
                "deploy@host.example:7999/a//b",
                "ssh://deploy@host.example/7999/a b ",
            ),
            (
                "ssh://git@host.example:2222/a/b//c?ref=1",
                "ssh://git@host.example:2222/a/b c 1",
            ),
            (
                "https://u@dev.example/o/p/_git/repo/x/y?ref=r%2Fs",
                "https://u@dev.example/o/p/_git/repo x/y r/s",
            ),
            (
                "https://host.example/a/b?ref=v1",
                "https://host.example/a/b  v1",
            ),
            ("https://gitlab.com/a/b/c", "https://gitlab.com/a/b c "),
            (
                "https://github.com/o/r/releases/download/v1/all.yaml",
                "file https://github.com/o/r/releases/download/v1/all.yaml",
            ),
            ("https://host.example/x", "file https://host.example/x"),
            (
                "https://host.example/x.yaml?token=a",
                "file https://host.example/x.yaml?token=a",
            ),
            ("../base", "local"),
            ("../base?ref=main", "local"),
            ("github.company/x", "local"),
            ("a/b@c", "local"),
            ("github.com/org", "names no repository"),
            (
                "github.com/org/repo//../../x",
                "leads out of its repository",
            ),
            ("file:///etc/passwd", "names a file of this machine"),
        ] {
            assert_eq!(read(text), want, "{text}");
        }
    }

    #[test]
    fn a_query_says_how_long_and_whether_with_submodules() {
        for (query, seconds, submodules) in [
            ("", 27.0, true),
            ("timeout=61", 61.0, true),
            ("timeout=1m1.5s", 61.5, true),
            ("timeout=-3&submodules=false", 27.0, false),
            ("timeout=9h&submodules=maybe", 300.0, true),
            ("timeout=3;x", 27.0, true),
        ] {
            let query = Query::parse(query);
            assert_eq!(query.timeout.as_secs_f64(), seconds);
            assert_eq!(query.submodules, submodules);
        }
    }

    #[test]
    fn no_password_is_shown() {
        let shown = |text: &str| format!("{:?}", parse(text).unwrap().unwrap());
        let text = shown("https://user:hunter2@host.example/x.yaml?token=hunter3");
        assert!(!text.contains("hunter"), "{text}");
        let reference = parse("https://a:b@[::1]:8080/o/r.git").unwrap().unwrap();
        assert_eq!(reference.source.host(), "::1");
        assert!(!shown("https://a:hunter2@host.example:1/o/r.git").contains("hunter"));
    }
}
