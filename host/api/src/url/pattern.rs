//! Which remote addresses are meant: a host, or addresses in which `*` stands for anything.
//!
//! What it is matched against is a [`RemoteUrl`], so that who judges an address and who connects mean the same one.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::RemoteUrl;

/// Longer than any pattern that is meant.
const MAX: usize = 512;
/// What [`RemotePattern`] takes, for the API server.
const FORM: &str = r"^(https?://)?[A-Za-z0-9.*_-]+(:[0-9*]+)?(/[^?#@\\ ]*)?$";

/// A host, or an address: `git.example`, `*.example`, `https://git.example/acme/*`.
///
/// ```
/// use reeve_api::name::{RemotePattern, RemoteUrl};
///
/// let acme: RemotePattern = "https://git.example/acme/*".parse()?;
/// assert!(acme.covers(&RemoteUrl::parse("https://GIT.example/acme/base.git")?));
/// assert!(!acme.covers(&RemoteUrl::parse("https://git.example/other/base.git")?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemotePattern(String);

/// A text that is no [`RemotePattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pattern of remote resources is a host such as git.example or *.example, or an address such as https://git.example/acme/*"
)]
pub struct NotAPattern;

impl RemotePattern {
    /// Whether it means `url`. No `*` reaches over the end of the host.
    pub fn covers(&self, url: &RemoteUrl) -> bool {
        let address = url.without_userinfo();
        match (split(&self.0), split(&address)) {
            (Some(pattern), Some(address)) => {
                pattern.0 == address.0 && fits(pattern.1, address.1) && fits(pattern.2, address.2)
            }
            _ => fits(&self.0, url.host()),
        }
    }

    /// The pattern's text, its host in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Scheme, host with port, and path.
fn split(address: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = address.split_once("://")?;
    let (host, path) = rest.split_at_checked(rest.find('/')?)?;
    Some((scheme, host, path))
}

/// Whether `text` is `pattern`, in which each `*` stands for any characters.
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, tail)) => rest = tail,
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl FromStr for RemotePattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (Some(scheme), rest),
            Some(_) => return Err(NotAPattern),
            None => (None, text),
        };
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at_checked(slash).ok_or(NotAPattern)?,
            None => (rest, ""),
        };
        let whole = scheme.is_some() != path.is_empty();
        let named = host
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b".*_-:".contains(&c));
        let plain = !path.contains(['?', '#', '@', '\\']) && !path.contains(char::is_whitespace);
        let port = scheme.is_none() && host.contains(':');
        if !whole || host.is_empty() || !named || !plain || port || text.len() > MAX {
            return Err(NotAPattern);
        }
        let host = host.to_ascii_lowercase();
        let scheme = scheme.map(|scheme| format!("{scheme}://"));
        Ok(Self(format!("{}{host}{path}", scheme.unwrap_or_default())))
    }
}

impl fmt::Display for RemotePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RemotePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RemotePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for RemotePattern {
    fn schema_name() -> Cow<'static, str> {
        "RemotePattern".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX, "pattern": FORM })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, address: &str) -> bool {
        let pattern: RemotePattern = pattern.parse().unwrap();
        pattern.covers(&RemoteUrl::parse(address).unwrap())
    }

    #[test]
    fn a_pattern_means_a_host_or_addresses_below_a_path() {
        let host = "https://host.example/acme/*";
        for (pattern, address, want) in [
            ("github.com", "https://github.com/org/repo", true),
            ("GitHub.com", "https://github.com/org/repo", true),
            ("github.com", "https://github.com.evil.example/o/r", false),
            ("*.example", "https://git.example/x.yaml", true),
            ("*.example", "https://example/x.yaml", false),
            ("*", "http://host.example:8080/a/b", true),
            ("127.0.0.1", "http://127.1/a/b", true),
            (host, "https://host.example/acme/repo", true),
            (host, "https://u:p@HOST.example/acme/repo.git", true),
            (host, "https://host.example/other/repo", false),
            (host, "http://host.example/acme/repo", false),
            (host, "https://host.example:8443/acme/repo", false),
            (host, "https://host.example@evil.example/acme/x", false),
            (
                host,
                "https://evil.example/https:/host.example/acme/x",
                false,
            ),
            ("https://*.example/a/*", "https://git.example/a/x", true),
            (
                "https://*.example/a/*",
                "https://evil.test/.example/a/x",
                false,
            ),
            (
                "https://host.example/*/deploy/*.yaml",
                "https://host.example/a/deploy/x.yaml",
                true,
            ),
            (
                "http://127.0.0.1:8080/*",
                "http://127.0.0.1:8080/x.yaml",
                true,
            ),
        ] {
            assert_eq!(covers(pattern, address), want, "{pattern} {address}");
        }
    }

    #[test]
    fn what_could_mean_more_than_it_says_is_no_pattern() {
        for text in [
            "",
            "a/b",
            "https://host.example",
            "https://*host.example",
            "https:///x",
            "file:///etc/*",
            "ssh://host.example/*",
            "https://user@host.example/*",
            "https://host.example/a?b",
            "https://host.example/a b",
            "host.example:443",
        ] {
            assert_eq!(text.parse::<RemotePattern>(), Err(NotAPattern), "{text}");
        }
    }
}
