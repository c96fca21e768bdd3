//! Whether a commit, or the tag that names it, was signed by somebody who is trusted.
//!
//! The objects' bytes, the trusted keys and the time come in; who signed comes out, or why nobody did who counts. What can
//! be read in two ways is refused: who signed must have seen what is used. It deliberately doesn't fetch an object, read
//! the Secret, or say what becomes of an artifact that nobody vouches for: the shell's `controller::source` does.

mod object;
mod openpgp;
mod signing;
mod ssh;
mod told;
mod trusted;
mod verdict;

use std::fmt;

use jiff::Timestamp;
use reeve_api::reason::Reason;
use reeve_api::source::GitVerificationMode;

use crate::failure::{Explain, Turn};
use crate::source::Reference;
pub use signing::{SigningKey, Unusable};
pub use told::{NotASignature, told};
pub use trusted::{NoKeys, Trusted};
pub use verdict::Verdict;

/// The longest signature, in bytes of its text: one of RSA-16384 has 3 KiB.
const LONGEST_SIGNATURE: usize = 64 << 10;
/// How far the clock of who signs may be ahead of ours, in seconds.
const CLOCKS_DIFFER: i64 = 300;

/// What must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The commit.
    Head,
    /// The annotated tag.
    Tag,
    /// Both.
    TagAndHead,
}

/// An object as it lies in the repository, without git's own header.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// Its id, in hexadecimal.
    pub id: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The tag that the commit was reached by.
#[derive(Debug, Clone, Copy)]
pub struct Tag<'a> {
    /// Its name, without `refs/tags/`.
    pub name: &'a str,
    /// What an annotated tag says; None: it is a name and nothing else.
    pub object: Option<Object<'a>>,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub(crate) mode: Mode,
    /// Each object that had to be signed.
    pub(crate) signed: Vec<Signature>,
}

/// An object, and the key that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// What it is.
    pub object: Signed,
    /// Which one: a commit's id, a tag's name and id.
    pub name: String,
    /// The key, by its fingerprint: `SHA256:…` of an SSH key, hexadecimal in upper case of an OpenPGP key.
    pub key: String,
}

/// What can be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
}

/// Why it counts as signed by nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A tag is to be signed, and none is asked for.
    #[error("cannot verify tag object's signature if a tag reference is not specified")]
    NoTag,
    /// The tag holds no signature.
    #[error("cannot verify signature of tag '{0}' since it is not signed")]
    TagUnsigned(String),
    /// The tag's signature counts for nothing.
    #[error("signature verification of tag '{tag}' failed")]
    Tag {
        /// Its name and id.
        tag: String,
        /// Why.
        source: Refused,
    },
    /// The commit's signature counts for nothing.
    #[error("signature verification of commit '{commit}' failed")]
    Commit {
        /// Its id.
        commit: String,
        /// Why.
        source: Refused,
    },
}

/// Why one signature counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none.
    #[error("it is not signed")]
    Unsigned,
    /// There are two, and which one counts is anybody's guess.
    #[error("it holds more than one signature")]
    Several,
    /// Of a signature this long nothing is read.
    #[error("its signature is longer than 64 KiB")]
    Long,
    /// The object is not as git writes one: it could be read in two ways.
    #[error("it is not written as git writes one: {0}")]
    Malformed(&'static str),
    /// The tag is not of what it was reached for.
    #[error("it is of {0}")]
    Elsewhere(&'static str),
    /// The tag calls itself something else.
    #[error("it was signed as tag '{0}'")]
    Renamed(String),
    /// A kind of signature that is not known.
    #[error("unsupported signature type: {0}")]
    Unsupported(&'static str),
    /// The Secret has no key of that kind.
    #[error(
        "{kind} signature detected but no {kind} public keys found in secret (keys with {suffix} suffix)"
    )]
    NoKeys {
        /// PGP or SSH.
        kind: &'static str,
        /// How such keys are called in the Secret.
        suffix: &'static str,
    },
    /// The signature itself cannot be read, or should not be believed.
    #[error("its signature is refused: {0}")]
    Unfit(String),
    /// The key is nobody's who is trusted.
    #[error("it was signed with key '{0}', which is not one of the trusted keys")]
    Untrusted(String),
    /// The key is trusted, but not now, or not for this.
    #[error("it was signed with key '{key}', which {why}")]
    Key {
        /// The key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// The key is trusted and has signed something else.
    #[error("its signature with key '{0}' is of something else")]
    Mismatch(String),
}

impl Mode {
    /// As Flux spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "HEAD",
            Self::Tag => "Tag",
            Self::TagAndHead => "TagAndHEAD",
        }
    }

    /// Whether the tag must be signed.
    pub fn wants_tag(self) -> bool {
        match self {
            Self::Tag | Self::TagAndHead => true,
            Self::Head => false,
        }
    }

    /// Whether what is fetched can be signed as it must be.
    ///
    /// # Errors
    /// When a tag must be signed and the reference is none.
    pub fn fits(self, reference: &Reference) -> Result<(), Error> {
        let tag = match reference {
            Reference::Tag(_) | Reference::Semver(_) => true,
            Reference::Name(name) => name.starts_with("refs/tags/"),
            Reference::Branch(_) | Reference::Commit { .. } => false,
        };
        if self.wants_tag() && !tag {
            return Err(Error::NoTag);
        }
        Ok(())
    }
}

impl From<GitVerificationMode> for Mode {
    fn from(mode: GitVerificationMode) -> Self {
        match mode {
            GitVerificationMode::LowercaseHead | GitVerificationMode::Head => Self::Head,
            GitVerificationMode::Tag => Self::Tag,
            GitVerificationMode::TagAndHead => Self::TagAndHead,
        }
    }
}

/// Finds out who signed `commit`, and the `tag` that it was reached by, as far as `mode` asks.
///
/// # Errors
/// When what must be signed is not, or not by a key that is trusted at `now`.
pub fn verify(
    mode: Mode,
    commit: Object<'_>,
    tag: Option<Tag<'_>>,
    trusted: &Trusted,
    now: Timestamp,
) -> Result<Verified, Error> {
    let mut signed = Vec::new();
    if mode.wants_tag() {
        let tag = tag.ok_or(Error::NoTag)?;
        let Some(object) = tag.object else {
            return Err(Error::TagUnsigned(tag.name.to_owned()));
        };
        let told = format!("{}@{}", tag.name, object.id);
        let failed = |source| match source {
            Refused::Unsigned => Error::TagUnsigned(told.clone()),
            source => Error::Tag {
                tag: told.clone(),
                source,
            },
        };
        let parts = object::tag(object.bytes, tag.name, commit.id).map_err(failed)?;
        let key = signer(&parts, trusted, now).map_err(failed)?;
        signed.push(Signature {
            object: Signed::Tag,
            name: told,
            key,
        });
    }
    if mode != Mode::Tag {
        let failed = |source| Error::Commit {
            commit: commit.id.to_owned(),
            source,
        };
        let parts = object::commit(commit.bytes, commit.id).map_err(failed)?;
        let key = signer(&parts, trusted, now).map_err(failed)?;
        signed.push(Signature {
            object: Signed::Commit,
            name: commit.id.to_owned(),
            key,
        });
    }
    Ok(Verified { mode, signed })
}

/// The key that signed.
fn signer(parts: &object::Parts, trusted: &Trusted, now: Timestamp) -> Result<String, Refused> {
    let signature = parts.signature.as_deref().ok_or(Refused::Unsigned)?;
    if signature.len() > LONGEST_SIGNATURE {
        return Err(Refused::Long);
    }
    let signature = signature.trim();
    let is = |begin: &str| signature.starts_with(begin);
    if is(openpgp::BEGIN) {
        return openpgp::signer(signature, &parts.payload, trusted.openpgp()?, now);
    }
    if is(ssh::BEGIN) {
        return ssh::signer(signature, &parts.payload, trusted.ssh()?, now);
    }
    Err(Refused::Unsupported(match signature {
        _ if is("-----BEGIN SIGNED MESSAGE-----") => "x509",
        _ if is("-----BEGIN PGP MESSAGE-----") => "openpgp message",
        _ => "unknown",
    }))
}

/// Whether the text is one block from `begin` to `end`, and nothing beside it.
fn is_one_block(text: &str, begin: &str, end: &str) -> bool {
    let inside = text
        .strip_prefix(begin)
        .and_then(|rest| rest.strip_suffix(end));
    inside.is_some_and(|inside| !inside.contains("-----"))
}

impl Verified {
    /// What was asked for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What was signed, and by which keys.
    pub fn signatures(&self) -> &[Signature] {
        &self.signed
    }
}

impl Signed {
    /// As it is told.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tag => "tag",
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, name, key } = self;
        write!(f, "{} '{name}' with key '{key}'", object.as_str())
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("verified signature of")?;
        self.signed
            .iter()
            .try_for_each(|signed| write!(f, "\n\t- {signed}"))
    }
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::NoTag => Reason::InvalidVerificationMode,
            Self::TagUnsigned(_) => Reason::InvalidGitObject,
            Self::Tag { .. } => Reason::InvalidTagSignature,
            Self::Commit { .. } => Reason::InvalidCommitSignature,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::NoTag => Turn::Owner,
            // Or the Secret's owner's: its change wakes us where it is watched.
            Self::TagUnsigned(_) | Self::Tag { .. } | Self::Commit { .. } => Turn::NextRevision,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoTag => "name a tag in spec.ref, or set spec.verify.mode to HEAD",
            Self::TagUnsigned(_) => "sign the tag: `git tag --sign`",
            Self::Tag { source, .. } | Self::Commit { source, .. } => match source {
                Refused::Unsigned => "sign the commit: `git commit --gpg-sign`",
                Refused::NoKeys { .. } | Refused::Untrusted(_) => {
                    "add the key to the Secret that spec.verify.secretRef names, or sign with one that it holds"
                }
                Refused::Key { .. } => {
                    "put the key as it is now into the Secret that spec.verify.secretRef names, or sign with another"
                }
                Refused::Renamed(_) => "sign a tag of this name: a signature is of the name too",
                Refused::Elsewhere(_) => "tag the commit itself: `git tag --sign`",
                Refused::Several
                | Refused::Long
                | Refused::Malformed(_)
                | Refused::Unsupported(_)
                | Refused::Unfit(_)
                | Refused::Mismatch(_) => "sign it again",
            },
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests;
