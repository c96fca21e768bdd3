//! Where a provider may go: what its component asks for, and what the platform grants. Both must say yes.
//!
//! What it deliberately doesn't: look at addresses. A name that is granted may still lead to an address that is refused
//! (`git::Egress`), when it is resolved.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use url::{Host, Url};

/// Which hosts are meant: `git.example`, `*.git.example` (those below it), each perhaps with a port (`:8443`). Without a
/// port it is the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    /// In the form that a parsed URL has it.
    host: String,
    /// Those below it, not itself.
    below: bool,
    port: Option<u16>,
}

/// Text that is not a [`HostPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host: write `git.example`, `*.git.example` or `git.example:8443`")]
pub struct NotAHost(String);

/// What a component asks for, in its section `reeve:manifest`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asks {
    /// It said `*`: whichever host the platform names.
    any: bool,
    hosts: Vec<HostPattern>,
    slots: BTreeMap<String, String>,
}

/// A manifest that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAsking {
    /// Not the shape.
    #[error(
        r#"the section reeve:manifest must be {{"hosts":["git.example"],"slots":{{"token":"what it is for"}}}}: {0}"#
    )]
    Shape(&'static str),
    /// A host that is none.
    #[error("the section reeve:manifest asks for what is no host")]
    Host(#[from] NotAHost),
}

/// What the platform lets a provider reach.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    /// The hosts it may have asked.
    pub hosts: Vec<HostPattern>,
    /// Whether over plain `http` too. Whoever is on the way reads the secrets.
    pub http: bool,
}

impl HostPattern {
    /// Whether `url` is at one of these hosts.
    pub fn covers(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let named = if self.below {
            // Below a name there are names; an address is below nothing.
            matches!(url.host(), Some(Host::Domain(_)))
                && host
                    .strip_suffix(&self.host)
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.host
        };
        // `port` is none where it is the scheme's own.
        named && url.port() == self.port.filter(|port| Some(*port) != default_port(url))
    }
}

fn default_port(url: &Url) -> Option<u16> {
    match url.scheme() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl FromStr for HostPattern {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let refused = || NotAHost(text.to_owned());
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let odd = |c: char| !(c.is_ascii_alphanumeric() || ".-_:[]".contains(c));
        if rest.contains(odd) {
            return Err(refused());
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port: u16 = port.parse().map_err(|_| refused())?;
                (host, Some(port))
            }
            _ => (rest, None),
        };
        let host = Host::parse(host).map_err(|_| refused())?;
        let dotted = host.to_string();
        let lone = below && !matches!(host, Host::Domain(_));
        if lone || dotted.is_empty() || dotted.ends_with('.') || dotted.starts_with('.') {
            return Err(refused());
        }
        Ok(Self {
            host: dotted,
            below,
            port,
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.below { "*." } else { "" })?;
        f.write_str(&self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl Asks {
    /// Reads a component's section. A component without one asks for nothing.
    pub fn parse(manifest: Option<&Value>) -> Result<Self, NotAsking> {
        let Some(manifest) = manifest else {
            return Ok(Self::default());
        };
        let manifest = manifest.as_object().ok_or(NotAsking::Shape("no object"))?;
        let (mut any, mut hosts) = (false, Vec::new());
        for host in list(manifest.get("hosts"))? {
            match host.as_str() {
                Some("*") => any = true,
                Some(host) => hosts.push(host.parse()?),
                None => return Err(NotAsking::Shape("a host is no text")),
            }
        }
        let mut slots = BTreeMap::new();
        match manifest.get("slots") {
            None => {}
            Some(Value::Object(asked)) => {
                for (name, what) in asked {
                    let what = what.as_str().ok_or(NotAsking::Shape("a slot is no text"))?;
                    slots.insert(name.clone(), what.to_owned());
                }
            }
            Some(_) => return Err(NotAsking::Shape("slots is no object")),
        }
        Ok(Self { any, hosts, slots })
    }

    /// Whether it asks for `url`'s host.
    pub fn asks_for(&self, url: &Url) -> bool {
        self.any || self.hosts.iter().any(|host| host.covers(url))
    }

    /// The slots, with what each is for.
    pub fn slots(&self) -> &BTreeMap<String, String> {
        &self.slots
    }
}

fn list(value: Option<&Value>) -> Result<&[Value], NotAsking> {
    match value {
        None => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(NotAsking::Shape("hosts is no list")),
    }
}

impl Grant {
    /// Whether the platform lets `url`'s host be asked.
    pub fn covers(&self, url: &Url) -> bool {
        self.hosts.iter().any(|host| host.covers(url))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_is_itself_at_its_own_port_and_nothing_beside_it() {
        for (pattern, url, want) in [
            ("git.example", "https://git.example/x", true),
            ("git.example", "https://GIT.Example:443/x", true),
            ("git.example", "http://git.example/x", true),
            ("git.example", "https://git.example:8443/x", false),
            ("git.example:8443", "https://git.example:8443/x", true),
            ("git.example:8443", "https://git.example/x", false),
            ("git.example:443", "https://git.example/x", true),
            ("git.example:443", "http://git.example/x", false),
            ("git.example", "https://xgit.example/", false),
            ("git.example", "https://git.example.evil/", false),
            ("git.example", "https://git.example./", false),
            ("git.example", "https://a.git.example/", false),
            ("*.git.example", "https://a.git.example/", true),
            ("*.git.example", "https://a.b.git.example/", true),
            ("*.git.example", "https://git.example/", false),
            ("*.git.example", "https://xgit.example/", false),
            ("*.git.example", "https://.git.example/", false),
            ("127.0.0.1:3000", "http://127.0.0.1:3000/", true),
            ("127.0.0.1", "https://0x7f.1/", true),
            ("*.0.1", "https://127.0.0.1/", false),
            ("[::1]:3000", "http://[::1]:3000/", true),
            ("[::1]", "https://[::1]/", true),
        ] {
            let read = pattern.parse::<HostPattern>();
            let found = read.is_ok_and(|p| Url::parse(url).is_ok_and(|u| p.covers(&u)));
            assert_eq!(found, want, "{pattern} {url}");
        }
    }

    #[test]
    fn nonsense_is_no_host() {
        for text in [
            "",
            "*",
            "*.",
            "a b",
            "https://git.example",
            "git.example/x",
            "u@git.example",
            "git.example:",
            "git.example:x",
            "git.example:70000",
            ".example",
            "git.example.",
            "a*.example",
            "*.127.0.0.1",
            "git.example\n",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text:?}");
        }
        for text in ["git.example", "*.git.example:8443", "[::1]:80"] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_component_asks_for_what_its_manifest_says_and_without_one_for_nothing() {
        let url = Url::parse("https://git.example/").unwrap();
        let asks = |manifest: Value| Asks::parse(Some(&manifest));
        assert!(!Asks::parse(None).unwrap().asks_for(&url));
        assert!(!asks(json!({})).unwrap().asks_for(&url));
        assert!(
            !asks(json!({"hosts": ["other.example"]}))
                .unwrap()
                .asks_for(&url)
        );
        assert!(
            asks(json!({"hosts": ["git.example"]}))
                .unwrap()
                .asks_for(&url)
        );
        let any = asks(json!({"hosts": ["*"], "slots": {"token": "an access token"}})).unwrap();
        assert!(any.asks_for(&url));
        assert_eq!(any.slots()["token"], "an access token");
        for wrong in [
            json!([]),
            json!({"hosts": "x"}),
            json!({"hosts": [1]}),
            json!({"hosts": ["a b"]}),
            json!({"slots": []}),
            json!({"slots": {"token": 1}}),
        ] {
            assert!(asks(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
