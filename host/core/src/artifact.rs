//! What a fetched source is: its revision, the digest of its archive, the tree in it.
//!
//! It deliberately doesn't know where artifacts lie (the shell's store) or how one is fetched (the shell's git). The
//! next stage is `render`, which reads the tree.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// One commit, and the name it was reached by: Flux's `main@sha1:…`, `refs/heads/main@sha1:…` or `sha1:…`. Or what another
/// controller calls what it has ([`Revision::of_others`]), which need not have a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    pointer: Option<String>,
    commit: String,
}

/// The longest name of a revision that another controller may give, in bytes.
const LONGEST_TOLD: usize = 256;

/// Text that is not a revision or digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The commit is not 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
    #[error("{0:?} is not a commit: expected 40 or 64 lower-case hexadecimal digits")]
    Commit(String),
    /// The text has no `sha1:` or `sha256:` part.
    #[error("{0:?} is not a revision: expected [<name>@]sha1:<commit> or [<name>@]sha256:<commit>")]
    Revision(String),
    /// What another controller calls its revision can be told nowhere.
    #[error("{0:?} is not a revision: expected at most 256 bytes on one line")]
    Told(String),
    /// The text is not `sha256:` and 64 digits.
    #[error("{0:?} is not a digest: expected sha256:<64 hexadecimal digits>")]
    Digest(String),
}

impl Revision {
    /// The commit `commit_hex`, reached by the branch, tag or full ref `pointer` (none when it was named itself).
    pub fn new(pointer: Option<&str>, commit_hex: &str) -> Result<Self, Error> {
        if algorithm(commit_hex).is_none() {
            return Err(Error::Commit(shorten(commit_hex)));
        }
        let pointer = pointer.filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Self {
            pointer,
            commit: commit_hex.to_owned(),
        })
    }

    /// The revision that `Display` wrote.
    pub fn parse(text: &str) -> Result<Self, Error> {
        // A branch may hold `@`, a commit never does: the last one separates.
        let (pointer, commit) = match text.rsplit_once('@') {
            Some((pointer, commit)) => (Some(pointer), commit),
            None => (None, text),
        };
        let named = commit
            .split_once(':')
            .filter(|(name, hex)| algorithm(hex) == Some(*name));
        let Some((_, hex)) = named else {
            return Err(Error::Revision(shorten(text)));
        };
        Self::new(pointer, hex)
    }

    /// What another controller says that its revision is. It is told as it stands there, whatever it looks like.
    pub fn of_others(text: &str) -> Result<Self, Error> {
        if text.is_empty() || text.len() > LONGEST_TOLD || text.chars().any(char::is_control) {
            return Err(Error::Told(shorten(text)));
        }
        let read = Self::parse(text).ok();
        let read = read.filter(|revision| revision.to_string() == text);
        Ok(read.unwrap_or_else(|| Self {
            pointer: Some(text.to_owned()),
            commit: String::new(),
        }))
    }

    /// The commit, in hexadecimal; empty where another controller names none.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The branch, tag or full ref it was reached by.
    pub fn pointer(&self) -> Option<&str> {
        self.pointer.as_deref()
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(pointer) = &self.pointer {
            f.write_str(pointer)?;
            if self.commit.is_empty() {
                return Ok(());
            }
            f.write_str("@")?;
        }
        let algorithm = algorithm(&self.commit).unwrap_or("<unknown>");
        write!(f, "{algorithm}:{}", self.commit)
    }
}

impl FromStr for Revision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// A SHA-256, written `sha256:<hex>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest that was computed while streaming.
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The digest that `Display` wrote.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refused = || Error::Digest(shorten(text));
        let digits = text.strip_prefix("sha256:").ok_or_else(refused)?;
        if algorithm(digits) != Some("sha256") {
            return Err(refused());
        }
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).map_err(|_| refused())?;
        Ok(Self(hash))
    }

    /// Its 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// What a source has in store for those who refer to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The commit in it.
    pub revision: Revision,
    /// Of the archive, as served to other consumers.
    pub digest: Digest,
    /// The git id of the filtered tree: equal trees render equally.
    pub tree: String,
    /// Where the archive lies, relative to the store.
    pub path: String,
    /// Where other consumers fetch the archive; holds an access token.
    pub url: String,
    /// Bytes of the archive.
    pub size: u64,
    /// When the archive was written.
    pub last_update_time: Timestamp,
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The path and the URL hold an unguessable segment that grants access: whoever may read the object reads it
        // there, not in a log.
        f.debug_struct("Artifact")
            .field("revision", &self.revision)
            .field("digest", &self.digest)
            .field("tree", &self.tree)
            .field("size", &self.size)
            .field("last_update_time", &self.last_update_time)
            .finish_non_exhaustive()
    }
}

/// Flux's name for the hash of a commit of this length.
fn algorithm(hex: &str) -> Option<&'static str> {
    let digits = hex
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match (digits, hex.len()) {
        (true, 40) => Some("sha1"),
        (true, 64) => Some("sha256"),
        _ => None,
    }
}

/// Enough of foreign text to recognise it by in an error.
fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "2ca07ce1cf1b5bb08a0f164a54d8d9742cc0128c";
    const LONG: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn revisions_are_written_as_flux_writes_them_and_read_back() {
        for (pointer, commit, text) in [
            (Some("main"), COMMIT, format!("main@sha1:{COMMIT}")),
            (Some("v1.0.1"), COMMIT, format!("v1.0.1@sha1:{COMMIT}")),
            (
                Some("refs/heads/main"),
                COMMIT,
                format!("refs/heads/main@sha1:{COMMIT}"),
            ),
            (Some("odd@name"), COMMIT, format!("odd@name@sha1:{COMMIT}")),
            (None, COMMIT, format!("sha1:{COMMIT}")),
            (Some("main"), LONG, format!("main@sha256:{LONG}")),
        ] {
            let revision = Revision::new(pointer, commit).unwrap();
            assert_eq!(revision.to_string(), text);
            assert_eq!(Revision::parse(&text).unwrap(), revision, "{text}");
            assert_eq!((revision.pointer(), revision.commit()), (pointer, commit));
        }
    }

    #[test]
    fn text_that_is_no_revision_is_refused() {
        for text in [
            String::new(),
            "main".into(),
            COMMIT.into(),
            format!("main/{COMMIT}"),
            format!("sha256:{COMMIT}"),
            format!("main@sha1:{}", &COMMIT[1..]),
            format!("main@sha1:{}", COMMIT.to_uppercase()),
        ] {
            assert!(Revision::parse(&text).is_err(), "{text}");
        }
        assert!(Revision::new(Some("main"), "HEAD").is_err());
    }

    #[test]
    fn what_others_call_their_revisions_is_told_as_it_stands_there() {
        for (text, commit) in [
            (format!("latest@sha256:{LONG}"), LONG),
            (format!("sha256:{LONG}"), LONG),
            (format!("@sha1:{COMMIT}"), ""),
            ("v1.2.0".to_owned(), ""),
            (format!("main/{COMMIT}"), ""),
        ] {
            let revision = Revision::of_others(&text).unwrap();
            assert_eq!(revision.to_string(), text);
            assert_eq!(revision.commit(), commit, "{text}");
        }
        for text in [String::new(), "a\nb".into(), "x".repeat(257)] {
            assert!(Revision::of_others(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_digest_is_read_back() {
        let digest = Digest::of(b"test");
        assert_eq!(digest.to_string(), format!("sha256:{LONG}"));
        assert_eq!(Digest::parse(&digest.to_string()).unwrap(), digest);
        assert!(Digest::parse(LONG).is_err());
        assert!(Digest::parse("sha256:00").is_err());
    }

    #[test]
    fn an_artifact_does_not_print_its_access_token() {
        let artifact = Artifact {
            revision: Revision::new(Some("main"), COMMIT).unwrap(),
            digest: Digest::of(b""),
            tree: COMMIT.into(),
            path: "gitrepository/acme/web/unguessable/x.tar.gz".into(),
            url: "http://reeve/gitrepository/acme/web/unguessable/x.tar.gz".into(),
            size: 1,
            last_update_time: Timestamp::UNIX_EPOCH,
        };
        assert!(!format!("{artifact:?}").contains("unguessable"));
    }
}
