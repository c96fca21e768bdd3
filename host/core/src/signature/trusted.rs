//! The keys that a Secret says are trusted.
//!
//! As Flux reads it: a key of the Secret that ends with `.sshpub` holds SSH keys a line each, any other OpenPGP
//! certificates. One that cannot be read is passed over as long as another can be; fewer keys open nothing. It
//! deliberately doesn't judge whether a key is still good: that is asked when something is signed with it.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::{Refused, openpgp, ssh};
use crate::artifact::Digest;
use crate::framed::framed;
use crate::list;

/// The most keys of one Secret, subkeys not counted.
const MOST_KEYS: usize = 64;

/// The keys of those who may sign.
#[derive(Debug, Clone)]
pub struct Trusted {
    openpgp: Vec<openpgp::Certificate>,
    ssh: Vec<ssh::Key>,
    digest: Digest,
}

/// The Secret holds no key that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// It is empty.
    #[error("it holds no public key")]
    Empty,
    /// None of them can be read.
    #[error("no public key of it can be read: {0}")]
    Unreadable(String),
    /// Too many.
    #[error("it holds more than {MOST_KEYS} public keys")]
    Many,
}

impl Trusted {
    /// The keys in what a Secret holds.
    ///
    /// # Errors
    /// When there is none in it, or too many.
    pub fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, NoKeys> {
        let mut trusted = Self {
            openpgp: Vec::new(),
            ssh: Vec::new(),
            digest: digest(data),
        };
        let mut unreadable = Vec::new();
        for (name, value) in data {
            let read = match std::str::from_utf8(value) {
                Err(_) => Err("it is not text".to_owned()),
                Ok(text) if name.ends_with(ssh::SUFFIX) => {
                    ssh::keys(text).map(|keys| trusted.ssh.extend(keys))
                }
                Ok(text) => openpgp::keys(text).map(|keys| trusted.openpgp.extend(keys)),
            };
            if let Err(why) = read {
                unreadable.push(format!("{name}: {why}"));
            }
            if trusted.openpgp.len() + trusted.ssh.len() > MOST_KEYS {
                return Err(NoKeys::Many);
            }
        }
        if trusted.openpgp.is_empty() && trusted.ssh.is_empty() {
            return Err(match unreadable.is_empty() {
                true => NoKeys::Empty,
                false => NoKeys::Unreadable(list::in_part(unreadable, 5, "; ")),
            });
        }
        Ok(trusted)
    }

    /// Names all of it: other keys are another digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn openpgp(&self) -> Result<&[openpgp::Certificate], Refused> {
        some(&self.openpgp, "PGP", openpgp::SUFFIX)
    }

    pub(super) fn ssh(&self) -> Result<&[ssh::Key], Refused> {
        some(&self.ssh, "SSH", ssh::SUFFIX)
    }
}

fn some<'a, T>(
    keys: &'a [T],
    kind: &'static str,
    suffix: &'static str,
) -> Result<&'a [T], Refused> {
    match keys {
        [] => Err(Refused::NoKeys { kind, suffix }),
        keys => Ok(keys),
    }
}

fn digest(data: &BTreeMap<String, Vec<u8>>) -> Digest {
    let mut hash = Sha256::new();
    for bytes in data
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), value])
    {
        framed(&mut hash, bytes);
    }
    Digest::from_sha256(hash.finalize().into())
}
