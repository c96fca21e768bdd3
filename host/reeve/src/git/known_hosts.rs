//! Which keys a host may show: OpenSSH's `known_hosts`, from bytes.
//!
//! Plain, hashed (`|1|salt|hash`), patterned and `[host]:port` entries, `@revoked` keys. Where a Secret says nothing of
//! hosts, the platform does: by its own file, or by the keys of two public forges that are shipped. What it deliberately
//! doesn't: learn a key it doesn't know (trust on first use is no trust), or honour certificate authorities.
//! `transport::ssh` asks it once the server has proved that it holds its key.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use sha1::Sha1;

/// Where the keys of hosts stand of which a Secret says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeys {
    /// In a file, or in the files of a directory, if it is there; in the shipped list if not.
    Usual(PathBuf),
    /// In a file that must be there.
    File(PathBuf),
}

impl HostKeys {
    /// Where it is looked for when nobody says where.
    pub const USUAL: &str = "/ssh/known_hosts";

    /// What stands there now: what is mounted may change while we run.
    ///
    /// # Errors
    /// When a file that is there, or must be, cannot be read or is too large. Then no list takes its place.
    pub fn read(&self) -> io::Result<KnownHosts> {
        let (Self::Usual(path) | Self::File(path)) = self;
        match (text(path), self) {
            (Ok(text), _) => Ok(KnownHosts::parse(&text)),
            (Err(why), Self::Usual(_)) if why.kind() == io::ErrorKind::NotFound => {
                Ok(KnownHosts::shipped())
            }
            (Err(why), _) => Err(why),
        }
    }
}

/// What stands in a file, or in those of a directory: the kubelet makes one of a ConfigMap that is mounted there as a whole. One
/// without files, as of a ConfigMap that may be missing, says nothing.
fn text(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if !path.is_dir() {
        append(path, &mut text)?;
        return Ok(text);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        // What the kubelet keeps for itself, as `..data`, begins with a dot.
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !is_hidden && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    if files.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    files.sort();
    for file in files {
        // One that goes meanwhile is no directory that says nothing.
        append(&file, &mut text).map_err(io::Error::other)?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Adds what a file holds, if all of it is not too much.
fn append(file: &Path, text: &mut Vec<u8>) -> io::Result<()> {
    let file = std::fs::File::open(file)?;
    file.take(LARGEST + 1).read_to_end(text)?;
    match u64::try_from(text.len()) {
        Ok(length) if length <= LARGEST => Ok(()),
        _ => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

/// The largest file that is read: what a ConfigMap may hold.
const LARGEST: u64 = 1 << 20;

/// The keys that hosts may show.
#[derive(Clone, Default)]
pub struct KnownHosts {
    entries: Vec<Known>,
}

#[derive(Clone)]
struct Known {
    hosts: String,
    key: PublicKey,
    revoked: bool,
}

/// A host whose key is not the one expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No entry for the host.
    #[error("the host key of {host} is not in known_hosts: it offered {offered}")]
    Unknown {
        /// As `known_hosts` names it.
        host: String,
        /// Algorithm and fingerprint.
        offered: String,
    },
    /// Entries for the host, none with this key.
    #[error(
        "the host key of {host} is not the one in known_hosts: it offered {offered}, known is {known}"
    )]
    Changed {
        /// As `known_hosts` names it.
        host: String,
        /// Algorithm and fingerprint.
        offered: String,
        /// Algorithms and fingerprints.
        known: String,
    },
    /// The key is marked `@revoked`.
    #[error("the host key of {host} is revoked in known_hosts: it offered {offered}")]
    Revoked {
        /// As `known_hosts` names it.
        host: String,
        /// Algorithm and fingerprint.
        offered: String,
    },
}

impl KnownHosts {
    /// Reads `text`; lines that are not entries (comments, unknown key types, authorities) are passed over.
    pub fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        Self {
            entries: text.lines().filter_map(entry).collect(),
        }
    }

    /// The keys of two public forges.
    pub fn shipped() -> Self {
        Self::parse(include_bytes!("known_hosts.txt"))
    }

    /// Whether a key of `host` is known.
    pub fn knows(&self, host: &str, port: u16) -> bool {
        let host = address(host, port);
        let mut entries = self.entries.iter();
        entries.any(|entry| !entry.revoked && named(&entry.hosts, &host))
    }

    /// Whether no host could ever be recognised.
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| entry.revoked)
    }

    /// Whether `host` may show `key`, and if not, why not.
    pub fn check(&self, host: &str, port: u16, key: &PublicKey) -> Result<(), Refused> {
        let host = address(host, port);
        let offered = told(key);
        let ours: Vec<_> = self
            .entries
            .iter()
            .filter(|e| named(&e.hosts, &host))
            .collect();
        let same = |entry: &&&Known| entry.key.key_data() == key.key_data();
        if ours.iter().filter(same).any(|entry| entry.revoked) {
            return Err(Refused::Revoked { host, offered });
        }
        if ours.iter().any(|entry| same(&entry)) {
            return Ok(());
        }
        let known: Vec<_> = ours
            .iter()
            .filter(|e| !e.revoked)
            .map(|e| told(&e.key))
            .collect();
        if known.is_empty() {
            return Err(Refused::Unknown { host, offered });
        }
        Err(Refused::Changed {
            host,
            offered,
            known: known.join(", "),
        })
    }

    /// The key algorithms known for `host`: the server is asked for those first, since it may hold several keys.
    pub fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let host = address(host, port);
        let ours = self
            .entries
            .iter()
            .filter(|e| !e.revoked && named(&e.hosts, &host));
        ours.map(|entry| entry.key.algorithm()).collect()
    }
}

impl std::fmt::Debug for KnownHosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KnownHosts({} entries)", self.entries.len())
    }
}

/// A host as `known_hosts` names it.
fn address(host: &str, port: u16) -> String {
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

fn told(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

fn entry(line: &str) -> Option<Known> {
    let mut words = line.split_ascii_whitespace();
    let first = words.next().filter(|word| !word.starts_with('#'))?;
    let (revoked, hosts) = match first {
        "@revoked" => (true, words.next()?),
        marker if marker.starts_with('@') => return None,
        hosts => (false, hosts),
    };
    let (_algorithm, key) = (words.next()?, words.next()?);
    let key = russh::keys::parse_public_key_base64(key).ok()?;
    Some(Known {
        hosts: hosts.to_owned(),
        key,
        revoked,
    })
}

/// Whether the host list of an entry names `host`; a `!pattern` that matches overrules the others.
fn named(hosts: &str, host: &str) -> bool {
    let mut found = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(&pattern.to_lowercase(), host) => return false,
            Some(_) => {}
            None if pattern.starts_with("|1|") => found |= hashed(pattern, host).unwrap_or(false),
            None => found |= matches(&pattern.to_lowercase(), host),
        }
    }
    found
}

fn hashed(pattern: &str, host: &str) -> Option<bool> {
    let (salt, hash) = pattern.strip_prefix("|1|")?.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let mac = Hmac::<Sha1>::new_from_slice(&salt).ok()?;
    Some(mac.chain_update(host).verify_slice(&hash).is_ok())
}

/// `*` and `?` as OpenSSH has them; linear in both texts by going back only to the last star.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(byte) if text.get(t) == Some(byte) => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const B: &str = "AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn key(text: &str) -> PublicKey {
        russh::keys::parse_public_key_base64(text).unwrap()
    }

    fn check(file: &str, host: &str, port: u16, offered: &str) -> Result<(), Refused> {
        KnownHosts::parse(file.as_bytes()).check(host, port, &key(offered))
    }

    #[test]
    fn a_host_is_known_by_its_name_its_hash_its_port_or_a_pattern() {
        let hashed =
            format!("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= ssh-ed25519 {B}");
        for (file, host, port, offered) in [
            (
                format!("git.example.com ssh-ed25519 {A}"),
                "git.example.com",
                22,
                A,
            ),
            (
                format!("Git.Example.com,10.0.0.1 ssh-ed25519 {A} a comment"),
                "git.example.COM",
                22,
                A,
            ),
            (
                format!("[git.example.com]:2222 ssh-ed25519 {A}"),
                "git.example.com",
                2222,
                A,
            ),
            (
                format!("*.example.com ssh-ed25519 {A}"),
                "git.example.com",
                22,
                A,
            ),
            (hashed.clone(), "example.com", 22, B),
            (
                format!("# first\n\nx ssh-ed25519 {B}\nx ssh-ed25519 {A}\n"),
                "x",
                22,
                A,
            ),
        ] {
            assert_eq!(check(&file, host, port, offered), Ok(()), "{file}");
        }
    }

    #[test]
    fn an_unknown_a_changed_and_a_revoked_key_are_refused() {
        let known = format!("h ssh-ed25519 {A}");
        assert!(matches!(
            check("", "h", 22, A),
            Err(Refused::Unknown { .. })
        ));
        assert!(matches!(
            check(&known, "other", 22, A),
            Err(Refused::Unknown { .. })
        ));
        assert!(matches!(
            check(&known, "h", 2222, A),
            Err(Refused::Unknown { .. })
        ));
        assert!(matches!(
            check(&known, "h", 22, B),
            Err(Refused::Changed { .. })
        ));
        assert!(matches!(
            check(&format!("{known}\n@revoked * ssh-ed25519 {A}"), "h", 22, A),
            Err(Refused::Revoked { .. })
        ));
        assert!(matches!(
            check(&format!("@cert-authority * ssh-ed25519 {A}"), "h", 22, A),
            Err(Refused::Unknown { .. })
        ));
        assert!(matches!(
            check(&format!("*,!h ssh-ed25519 {A}"), "h", 22, A),
            Err(Refused::Unknown { .. })
        ));
        assert!(matches!(
            check(&format!("#h ssh-ed25519 {A}"), "h", 22, A),
            Err(Refused::Unknown { .. })
        ));
    }

    #[test]
    fn a_refusal_says_which_fingerprint_was_offered() {
        let refused = check(&format!("h ssh-ed25519 {A}"), "h", 22, B)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("offered ssh-ed25519 SHA256:"), "{refused}");
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        assert!(!matches(
            &"*a".repeat(500),
            &"a".repeat(400).replace('a', "b")
        ));
        assert!(matches("a*b?d", "axxbcd"));
        assert!(!matches("a*b", "ac"));
    }

    #[test]
    fn the_shipped_keys_are_those_whose_fingerprints_the_forges_publish() {
        let shipped = KnownHosts::shipped();
        let mut told: Vec<_> = shipped
            .entries
            .iter()
            .map(|entry| format!("{} {}", entry.hosts, entry.key.fingerprint(HashAlg::Sha256)))
            .collect();
        told.sort();
        let published = [
            "github.com SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
            "github.com SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
            "github.com SHA256:uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s",
            "gitlab.com SHA256:HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw",
            "gitlab.com SHA256:ROQFvPThGrW4RuWLoL9tq9I9zJ42fK4XywyRtbOz/EQ",
            "gitlab.com SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
        ];
        assert_eq!(told, published);
        assert!(shipped.knows("github.com", 22) && shipped.knows("GitLab.com", 22));
        for (host, port) in [("github.com", 2222), ("git.github.com", 22), ("h", 22)] {
            assert!(!shipped.knows(host, port), "{host}:{port}");
        }
    }

    #[test]
    fn a_file_of_the_platform_takes_the_place_of_the_shipped_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let (usual, named) = (HostKeys::Usual(path.clone()), HostKeys::File(path.clone()));
        assert!(usual.read().unwrap().knows("github.com", 22));
        assert!(named.read().is_err());
        std::fs::write(&path, format!("h ssh-ed25519 {A}")).unwrap();
        for keys in [&usual, &named] {
            let known = keys.read().unwrap();
            assert!(known.knows("h", 22) && !known.knows("github.com", 22));
        }
        std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert!(usual.read().is_err() && named.read().is_err());
    }

    #[test]
    fn a_directory_that_the_kubelet_makes_of_a_config_map_is_read_file_by_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let (usual, named) = (HostKeys::Usual(path.clone()), HostKeys::File(path.clone()));
        let hidden = path.join("..2026");
        std::fs::create_dir_all(&hidden).unwrap();
        // The ConfigMap may be missing: then nobody says anything.
        assert!(usual.read().unwrap().knows("github.com", 22));
        assert!(named.read().is_err());
        for (name, host) in [("known_hosts", "h"), ("more", "i")] {
            let line = format!("{host} ssh-ed25519 {A}");
            std::fs::write(hidden.join(name), line).unwrap();
            std::os::unix::fs::symlink(format!("..data/{name}"), path.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("..2026", path.join("..data")).unwrap();
        std::fs::write(path.join(".other"), format!("j ssh-ed25519 {A}")).unwrap();
        for keys in [&usual, &named] {
            let known = keys.read().unwrap();
            assert!(known.knows("h", 22) && known.knows("i", 22));
            assert!(!known.knows("j", 22) && !known.knows("github.com", 22));
        }
        std::fs::write(hidden.join("more"), vec![b'#'; 1 << 20]).unwrap();
        assert!(usual.read().is_err(), "together they are too large");
    }
}
