//! Which addresses may be asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use reeve_api::kustomization::Kustomization;
use reeve_api::name::TenantName;
use reeve_kustomize::Source;

use super::{Error, Rewrite};

/// What is said about remote resources: who may ask for which, and from where they come.
#[derive(Debug, Default)]
pub struct Allowed {
    /// What the platform's own Kustomizations may ask for.
    pub platform: Vec<Pattern>,
    /// What tenants may ask for: every tenant where none is named.
    pub tenants: Vec<TenantPattern>,
    /// From where else some addresses are fetched.
    pub rewrites: Vec<Rewrite>,
    /// What was last told about each Kustomization.
    told: Mutex<BTreeMap<String, String>>,
}

/// A pattern for one tenant, or for all: `[TENANT=]PATTERN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantPattern {
    tenant: Option<TenantName>,
    pattern: Pattern,
}

impl FromStr for TenantPattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A tenant's name holds neither colon nor slash, an address begins with both.
        let (tenant, pattern) = match text.split_once('=') {
            Some((tenant, pattern)) if !tenant.contains([':', '/']) => {
                let name = TenantName::new(tenant).map_err(|_| NotAPattern(text.to_owned()))?;
                (Some(name), pattern)
            }
            _ => (None, text),
        };
        let pattern = pattern.parse()?;
        Ok(Self { tenant, pattern })
    }
}

/// A host, or an address in which `*` stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// A text that is no [`Pattern`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither a host nor an address such as https://git.example/acme/*")]
pub struct NotAPattern(String);

impl FromStr for Pattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_host = !text.contains(['/', '?', '#', '@']) && !text.is_empty();
        let is_url = text.split_once("://").is_some_and(|(scheme, rest)| {
            ["https", "http", "ssh"].contains(&scheme) && rest.contains('/')
        });
        if is_host || is_url {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAPattern(text.to_owned()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    fn covers(&self, source: &Source) -> bool {
        if !self.0.contains("://") {
            return matches(&self.0, source.host());
        }
        let (Source::Repository { url, .. } | Source::File { url }) = source;
        let plain = plain(url);
        // What can be read in two ways is covered by no pattern of paths.
        let sure =
            !plain.contains("/../") && !plain.ends_with("/..") && !plain.contains(['%', '\\']);
        sure && matches(&self.0, &plain)
    }
}

/// The address without user, query and fragment, its host in lower case.
fn plain(url: &str) -> String {
    let address = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!(
        "{}://{}/{path}",
        scheme.to_ascii_lowercase(),
        host.to_ascii_lowercase()
    )
}

/// Whether `text` is `pattern`, in which each `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
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

impl Allowed {
    /// Lets the platform's own Kustomization ask for `source`, or not.
    pub(crate) fn admit_platform(&self, source: &Source) -> Result<(), Error> {
        admit(self.platform.iter(), source)
    }

    /// Lets a Kustomization of `tenant` ask for `source`, or not.
    pub(crate) fn admit_tenant(&self, tenant: &TenantName, source: &Source) -> Result<(), Error> {
        let own = |of: &Option<TenantName>| of.as_ref().is_none_or(|of| of == tenant);
        let patterns = self.tenants.iter().filter(|rule| own(&rule.tenant));
        admit(patterns.map(|rule| &rule.pattern), source)
    }

    /// What the platform says.
    pub fn new(
        platform: Vec<Pattern>,
        tenants: Vec<TenantPattern>,
        rewrites: Vec<Rewrite>,
    ) -> Self {
        Self {
            platform,
            tenants,
            rewrites,
            told: Mutex::default(),
        }
    }

    /// Whether `message` is another than the last one about `object`, which is forgotten.
    pub(crate) fn is_news(&self, object: &Kustomization, message: &str) -> bool {
        let meta = &object.metadata;
        let uid = meta.uid.clone().unwrap_or_default();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(uid, message.to_owned()).as_deref() != Some(message)
    }
}

fn admit<'a>(
    mut patterns: impl Iterator<Item = &'a Pattern>,
    source: &Source,
) -> Result<(), Error> {
    if patterns.any(|pattern| pattern.covers(source)) {
        return Ok(());
    }
    Err(Error::Refused {
        url: source.shown(),
    })
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::parse_reference;

    use super::*;

    fn covers(pattern: &str, address: &str) -> bool {
        let reference = parse_reference(address).unwrap().unwrap();
        pattern
            .parse::<Pattern>()
            .unwrap()
            .covers(&reference.source)
    }

    #[test]
    fn a_pattern_covers_a_host_or_addresses_below_a_path() {
        for (pattern, address, want) in [
            ("github.com", "github.com/org/repo//a?ref=v1", true),
            (
                "github.com",
                "https://github.com.evil.example/x.yaml",
                false,
            ),
            ("*.example", "https://git.example/x.yaml", true),
            ("*", "git@host.example:a/b", true),
            (
                "https://github.com/acme/*",
                "github.com/acme/repo?ref=v1",
                true,
            ),
            (
                "https://github.com/acme/*",
                "github.com/other/repo?ref=v1",
                false,
            ),
            (
                "https://github.com/acme/*",
                "git@github.com:acme/repo",
                false,
            ),
            (
                "https://github.com/acme/*",
                "https://u:p@GitHub.com/acme/repo.git",
                true,
            ),
            (
                "https://host.example/acme/*",
                "https://host.example/acme/../x.yaml",
                false,
            ),
            (
                "https://host.example/acme/*",
                "https://host.example/acme/%2e%2e/x.yaml",
                false,
            ),
            (
                "https://host.example/acme/*",
                "https://host.example@evil.example/acme/x.yaml",
                false,
            ),
            (
                "https://host.example/*/deploy/*.yaml",
                "https://host.example/a/deploy/x.yaml",
                true,
            ),
            (
                "https://host.example/x.yaml",
                "https://host.example/x.yaml?token=1",
                true,
            ),
        ] {
            assert_eq!(covers(pattern, address), want, "{pattern} {address}");
        }
        for text in ["", "a/b", "file:///etc", "https://host"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_tenant_may_ask_for_nothing_unless_somebody_says_so() {
        let source = parse_reference("github.com/acme/repo")
            .unwrap()
            .unwrap()
            .source;
        let (acme, other) = (
            TenantName::new("acme").unwrap(),
            TenantName::new("other").unwrap(),
        );
        let mut allowed = Allowed::default();
        assert!(allowed.admit_tenant(&acme, &source).is_err());
        allowed.tenants.push("acme=github.com".parse().unwrap());
        assert!(allowed.admit_tenant(&acme, &source).is_ok());
        assert!(allowed.admit_tenant(&other, &source).is_err());
        let all = "https://github.com/acme/*".parse().unwrap();
        allowed.tenants.push(all);
        assert!(allowed.admit_tenant(&other, &source).is_ok());
        assert!(allowed.admit_platform(&source).is_err());
    }
}
