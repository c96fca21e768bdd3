//! Where a repository is: a URL that cannot print its password, and cannot be mistaken for anything else.
//!
//! Everything a git client could read as an option, a helper program or a local file is refused here, by form alone.
//! Whether the host may be connected to (loopback, link-local and private addresses) is decided where its name is
//! resolved, because a name may resolve to any of them.

use percent::decoded;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

mod path;
mod pattern;
mod percent;

pub use pattern::{NotAPattern, RemotePattern, fits};

/// Longer than any URL that is meant.
const MAX_URL: usize = 2048;

/// A text that nobody prints by accident. Only [`Secret::expose`] shows it, and its memory is wiped when it is dropped.
///
/// ```
/// let token = reeve_api::name::Secret::new("hunter2");
/// assert_eq!(format!("{token} {token:?}"), "*** ***");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(String);

impl Secret {
    /// Take charge of a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        // Else the compiler sees that nobody reads the zeros, and leaves them out.
        std::hint::black_box(&bytes);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How a repository is spoken to.
///
/// Closed on purpose: git knows more (`git://`, `file://`, and any program as `helper::`), and each of them is a way to read
/// a local file or to start a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
    /// Over SSH.
    Ssh,
}

impl Scheme {
    /// The scheme as it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ssh => "ssh",
        }
    }

    /// The port that is meant when none is written.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Ssh => 22,
        }
    }
}

/// Why a text is not a URL that a repository can be at. None of these holds any of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAUrl {
    /// Longer than anything that is meant.
    #[error("a repository's URL has at most {MAX_URL} characters")]
    TooLong,
    /// `ext::`, `file://`, a path, an option.
    #[error("a repository's URL begins with https://, http:// or ssh://")]
    Scheme,
    /// Blanks, line ends, NUL.
    #[error("a repository's URL cannot hold blanks or control characters")]
    Control,
    /// No host, one that looks like an option, or one not written in ASCII.
    #[error("the host of the URL must be a DNS name or an IP address, written in ASCII")]
    Host,
    /// A port that is no number from 1 to 65535.
    #[error("the port of the URL must be a number from 1 to 65535")]
    Port,
    /// A user that looks like an option, or cannot be decoded.
    #[error(
        "the user or password in the URL cannot be used; write them into the Secret that spec.secretRef names"
    )]
    User,
    /// No path at all.
    #[error("the URL names no repository: its path is empty")]
    NoPath,
    /// `..`, also in disguise, another step that servers leave out, or an encoding that nobody can be sure of.
    #[error(
        "the path of the URL cannot hold `.`, `..` or an empty segment (`//`), plain or encoded, nor a broken `%` encoding"
    )]
    DotDot,
    /// Characters that a remote shell or a server could read as more than a name, or an option.
    #[error(
        "the path of the URL cannot begin with `-`, or hold quotes, a backslash or a semicolon, plain or encoded"
    )]
    Path,
    /// `?…` or `#…`.
    #[error("the URL of a repository has no query and no fragment")]
    Query,
}

/// The place of a repository, parsed.
///
/// ```
/// use reeve_api::name::{NotAUrl, RemoteUrl};
///
/// let url = RemoteUrl::parse("ssh://git@git.example:2222/acme/web.git")?;
/// assert_eq!((url.user(), url.host(), url.port(), url.path()), (Some("git"), "git.example", 2222, "/acme/web.git"));
///
/// // A group where a port would stand: the short form that `git` knows as `git@git.example:acme/web.git`.
/// let url = RemoteUrl::parse("ssh://git@git.example:acme/web.git")?;
/// assert_eq!((url.is_scp(), url.port(), url.path()), (true, 22, "acme/web.git"));
///
/// // No helper program, no local file, no option in disguise.
/// assert_eq!(RemoteUrl::parse("ext::sh -c true"), Err(NotAUrl::Control));
/// assert_eq!(RemoteUrl::parse("file:///etc"), Err(NotAUrl::Scheme));
/// assert_eq!(RemoteUrl::parse("ssh://-oProxyCommand=x/y"), Err(NotAUrl::Host));
/// # Ok::<(), NotAUrl>(())
/// ```
///
/// `Display` and `Debug` never show a password. Over http(s) they show no user either: some forges take a token in its
/// place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteUrl {
    scheme: Scheme,
    user: Option<String>,
    password: Option<Secret>,
    host: String,
    port: Option<u16>,
    path: String,
    /// `ssh://user@host:group/project` was written: the path is relative to the user's home.
    scp: bool,
}

impl RemoteUrl {
    /// Read a URL.
    ///
    /// # Errors
    /// When it is not one of a repository that can be fetched over the network; the error holds none of the text.
    pub fn parse(text: &str) -> Result<Self, NotAUrl> {
        if text.len() > MAX_URL {
            return Err(NotAUrl::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(NotAUrl::Control);
        }
        let (scheme, rest) = text.split_once("://").ok_or(NotAUrl::Scheme)?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ssh" => Scheme::Ssh,
            _ => return Err(NotAUrl::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(NotAUrl::Query);
        }
        let (authority, path) = split(rest, |c| c == '/');
        let (user, password, authority) = userinfo(authority)?;
        let (host, after) = host(authority)?;
        let (port, scp_path) = port(scheme, after)?;
        let path = match scp_path {
            Some(group) => format!("{group}{path}"),
            None => path.to_owned(),
        };
        path::check(scheme, &path)?;
        Ok(Self {
            scheme,
            user,
            password,
            host,
            port,
            path,
            scp: scp_path.is_some(),
        })
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user, decoded. Over http(s) it may be a token: do not print it.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password, decoded.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The host in the one form it has: lower-case, an IPv4 address in dotted decimal however it was written, an IPv6
    /// address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or_else(|| self.scheme.default_port())
    }

    /// The path as the server is asked for it: `/group/project.git`, or `group/project.git` in the short form.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path decoded once and without slashes around it, to be compared with others. None: something is encoded in it
    /// that one server reads as a name and another as more.
    pub fn plain_path(&self) -> Option<String> {
        path::plain(&self.path)
    }

    /// Whether it was written as `ssh://user@host:group/project`.
    pub fn is_scp(&self) -> bool {
        self.scp
    }

    /// The URL without user and password, for a client that is given them apart: a client that sees them in the URL may
    /// log them.
    pub fn without_userinfo(&self) -> String {
        self.written("")
    }

    fn written(&self, userinfo: &str) -> String {
        let (open, close) = if self.host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        let port = match (self.port, self.scp) {
            (Some(port), _) => format!(":{port}"),
            (None, true) => ":".to_owned(),
            (None, false) => String::new(),
        };
        format!(
            "{}://{userinfo}{open}{}{close}{port}{}",
            self.scheme.as_str(),
            self.host,
            self.path
        )
    }
}

impl FromStr for RemoteUrl {
    type Err = NotAUrl;

    fn from_str(text: &str) -> Result<Self, NotAUrl> {
        Self::parse(text)
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let userinfo = match (self.scheme, &self.user, &self.password) {
            (_, None, None) => String::new(),
            (Scheme::Http | Scheme::Https, _, _) | (Scheme::Ssh, None, Some(_)) => {
                "***@".to_owned()
            }
            (Scheme::Ssh, Some(user), None) => format!("{user}@"),
            (Scheme::Ssh, Some(user), Some(_)) => format!("{user}:***@"),
        };
        f.write_str(&self.written(&userinfo))
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text before the first character that ends it, and the rest with that character.
fn split(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(ends).unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

type User = Option<String>;
type Password = Option<Secret>;

/// `user:password@` and what follows it.
///
/// The last `@` ends it, as in every client: `https://a@b@host/` is of `host`, and whoever stops at the first one connects
/// to another host than the one that was checked.
fn userinfo(authority: &str) -> Result<(User, Password, &str), NotAUrl> {
    let Some((info, rest)) = authority.rsplit_once('@') else {
        return Ok((None, None, authority));
    };
    let (user, password) = match info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (info, None),
    };
    let decode = |text: &str| {
        decoded(text)
            .filter(|t| !t.chars().any(char::is_control))
            .ok_or(NotAUrl::User)
    };
    let user = decode(user)?;
    if user.starts_with('-') {
        return Err(NotAUrl::User);
    }
    let password = password
        .map(decode)
        .transpose()?
        .filter(|text| !text.is_empty());
    Ok((
        Some(user).filter(|text| !text.is_empty()),
        password.map(Secret::new),
        rest,
    ))
}

/// The host in its canonical form, so that whoever allows or refuses a host and whoever connects mean the same one, and what follows it: nothing, or `:` and something.
fn host(authority: &str) -> Result<(String, &str), NotAUrl> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (address, after) = bracketed.split_once(']').ok_or(NotAUrl::Host)?;
        let address: std::net::Ipv6Addr = address.parse().map_err(|_| NotAUrl::Host)?;
        return if after.is_empty() || after.starts_with(':') {
            Ok((address.to_string(), after))
        } else {
            Err(NotAUrl::Host)
        };
    }
    let (name, after) = split(authority, |c| c == ':');
    // A final dot says that the name is whole, as it always is here: it is no other host.
    let name = name.strip_suffix('.').unwrap_or(name);
    // Only what needs no decoding: `%31` or a full-width digit would be a number to one reader and a name to another.
    let plain = name
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'));
    if !plain || name.is_empty() || name.starts_with(['-', '.']) || name.ends_with('.') {
        return Err(NotAUrl::Host);
    }
    // `127.1`, `0x7f.1` and `2130706433` are all 127.0.0.1 to a resolver; say so before anyone decides on the host.
    match ::url::Host::parse(name) {
        Ok(::url::Host::Ipv4(address)) => Ok((address.to_string(), after)),
        Ok(::url::Host::Domain(name)) => Ok((name, after)),
        Ok(::url::Host::Ipv6(_)) | Err(_) => Err(NotAUrl::Host),
    }
}

/// A port, or the beginning of a path in the short form. `after` is empty or begins with `:`.
///
/// Digits alone are always a port, so a group whose name is a number cannot be written in the short form; it can in the
/// long one (`ssh://git@host/123/project`).
fn port(scheme: Scheme, after: &str) -> Result<(Option<u16>, Option<&str>), NotAUrl> {
    let text = after.strip_prefix(':').unwrap_or(after);
    if text.is_empty() {
        return Ok((None, None));
    }
    if text.bytes().all(|c| c.is_ascii_digit()) {
        return match text.parse() {
            Ok(port) if port != 0 => Ok((Some(port), None)),
            _ => Err(NotAUrl::Port),
        };
    }
    if scheme == Scheme::Ssh {
        Ok((None, Some(text)))
    } else {
        Err(NotAUrl::Port)
    }
}

/// A URL as it stands in a spec, not parsed yet: an object with a URL that cannot be used is still an object, and is told
/// so in its status. Its `Debug` shows no password, and it has no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UrlText(String);

impl UrlText {
    /// The text itself, which may hold a password: parse it, do not print it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parse it.
    ///
    /// # Errors
    /// When it is not the URL of a repository that can be fetched over the network.
    pub fn parse(&self) -> Result<RemoteUrl, NotAUrl> {
        RemoteUrl::parse(&self.0)
    }
}

impl From<&str> for UrlText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for UrlText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Deref for UrlText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Without what is secret in it.
impl fmt::Display for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parse() {
            Ok(url) => write!(f, "{url}"),
            Err(_) => f.write_str("***"),
        }
    }
}

impl fmt::Debug for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for UrlText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for UrlText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// Flux's pattern: what it lets through and [`RemoteUrl`] does not is told in the object's status.
impl JsonSchema for UrlText {
    fn schema_name() -> Cow<'static, str> {
        "Url".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(http|https|ssh)://.*$" })
    }
}

#[cfg(test)]
mod tests;
