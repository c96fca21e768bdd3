//! `oci://HOST/NAME:TAG` and `oci://HOST/NAME@sha256:…`, read once.

use std::fmt;
use std::str::FromStr;

use super::is_digest;

/// Where an artifact lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry, with its port if it has one.
    pub host: String,
    /// The repository in it.
    pub name: String,
    /// What of it, for people: the digest counts where there is one.
    pub tag: Option<String>,
    /// What of it, for sure.
    pub digest: Option<String>,
}

/// A text that names no artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; a reference is oci://HOST/NAME:TAG or oci://HOST/NAME@sha256:…")]
pub struct NotAReference(&'static str);

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let rest = text
            .strip_prefix("oci://")
            .ok_or(NotAReference("it does not begin with oci://"))?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err(NotAReference("what follows @ is no sha256 digest")),
            None => (rest, None),
        };
        let (host, rest) = rest
            .split_once('/')
            .ok_or(NotAReference("it names no repository"))?;
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if is_tag(tag) => (name, Some(tag.to_owned())),
            Some(_) => {
                return Err(NotAReference(
                    "its tag has characters that tags may not have",
                ));
            }
            None => (rest, None),
        };
        if !is_host(host) {
            return Err(NotAReference("its host is none"));
        }
        if name.len() > 255 || !name.split('/').all(is_part) {
            return Err(NotAReference(
                "its name may have lower-case letters, digits, dots, dashes and underscores, and slashes between them",
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            name: name.to_owned(),
            tag,
            digest,
        })
    }
}

impl Reference {
    /// Whether the registry is on this machine, where others speak http too.
    pub(crate) fn is_local(&self) -> bool {
        let url = url::Url::parse(&format!("https://{}/", self.host));
        match url.as_ref().ok().and_then(url::Url::host) {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// What the registry is asked for.
    pub(super) fn wanted(&self) -> &str {
        let wanted = self.digest.as_deref().or(self.tag.as_deref());
        wanted.unwrap_or("latest")
    }

    /// Where signatures of an artifact lie: cosign's tag.
    pub(super) fn signatures(&self, digest: &str) -> Self {
        Self {
            tag: Some(format!("{}.sig", digest.replace(':', "-"))),
            digest: None,
            ..self.clone()
        }
    }

    /// Host and name, as signatures have them.
    pub(super) fn repository(&self) -> String {
        format!("{}/{}", self.host, self.name)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.host, self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn is_host(text: &str) -> bool {
    // What a URL takes for its host is what counts: no user, no path, no query.
    let url = url::Url::parse(&format!("https://{text}/"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    url.is_ok_and(|url| url.has_host() && url.path() == "/") && text.bytes().all(plain)
}

fn is_part(text: &str) -> bool {
    let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.bytes().all(known) && edge(text.bytes().next()) && edge(text.bytes().last())
}

fn is_tag(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(known) && !text.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reference_names_is_read_once_and_said_the_same() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, host, name, wanted) in [
            (
                "oci://git.example/acme/web:v1".to_owned(),
                "git.example",
                "acme/web",
                "v1",
            ),
            (
                "oci://localhost:5000/web".to_owned(),
                "localhost:5000",
                "web",
                "latest",
            ),
            (
                format!("oci://[::1]:5000/a/b-c/d_e.f@{digest}"),
                "[::1]:5000",
                "a/b-c/d_e.f",
                digest.as_str(),
            ),
            (
                format!("oci://h/web:v1@{digest}"),
                "h",
                "web",
                digest.as_str(),
            ),
        ] {
            let reference: Reference = text.parse().expect("it is one");
            assert_eq!(
                (reference.host.as_str(), reference.name.as_str()),
                (host, name),
                "{text}"
            );
            assert_eq!(reference.wanted(), wanted, "{text}");
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn a_registry_on_this_machine_is_known_by_its_address() {
        for (host, want) in [
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.1.2.3", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("10.0.0.1", false),
            ("registry.example", false),
        ] {
            let reference: Reference = format!("oci://{host}/web:v1").parse().expect("it is one");
            assert_eq!(reference.is_local(), want, "{host}");
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_reference() {
        for text in [
            "https://h/web:v1",
            "oci://h",
            "oci://h/",
            "oci:///web",
            "oci://user@h/web",
            "oci://user:pass@h/web",
            "oci://h/../web",
            "oci://h/a//b",
            "oci://h/Web",
            "oci://h/web:",
            "oci://h/web:v 1",
            "oci://h/web:..",
            "oci://h/web?x=y",
            "oci://h#/web",
            "oci://h/web@sha256:12",
            "oci://h/web@md5:12",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
