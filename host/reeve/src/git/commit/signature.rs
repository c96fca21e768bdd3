//! Who signs commits: an SSH key, as `git commit -S` does with `gpg.format=ssh`, or a key of OpenPGP.
//!
//! The key stays in memory. What it deliberately doesn't: verify, ask an agent, or use a key that needs a finger on it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use reeve_api::name::Secret;
use reeve_core::signature::{SigningKey, Unusable};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{HashAlg, PrivateKey};

use super::Error;
use crate::git::private_key::private_key;

/// What a signature is for: git's own word, so that it is good for nothing else.
const NAMESPACE: &str = "git";

/// A key that signs commits.
pub struct Signer(Key);

enum Key {
    Ssh(Box<PrivateKey>),
    OpenPgp(Box<SigningKey>),
}

/// Where the key is in a Secret: `identity` of SSH, as in one that is logged in with, or `git.asc` of OpenPGP, as in one that
/// Flux signs with; and what opens it.
const SSH: &str = "identity";
const OPENPGP: &str = "git.asc";
const PASSPHRASES: [&str; 2] = ["passphrase", "password"];

impl Signer {
    /// The key in a Secret's `data`: an SSH key under `identity` or one of OpenPGP under `git.asc`, and what opens it under
    /// `passphrase` or `password`. Slow for an encrypted one, as its format intends.
    ///
    /// # Errors
    /// When there is none, both are there, or it cannot be read.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Result<Self, Error> {
        let get = |key: &str| {
            let text = data
                .get(key)
                .and_then(|text| std::str::from_utf8(text).ok());
            text.filter(|text| !text.is_empty())
        };
        let mut words = PASSPHRASES.iter().filter_map(|key| get(key));
        // A final line break is an editor's.
        let passphrase = words.next().map(|text| text.trim_end_matches(['\r', '\n']));
        let passphrase = passphrase.map(Secret::new);
        match (get(SSH), get(OPENPGP)) {
            (Some(key), None) => Self::ssh(&Secret::new(key), passphrase.as_ref()),
            (None, Some(key)) => Self::openpgp(&Secret::new(key), passphrase.as_ref()),
            (None, None) => Err(Error::Key("in its Secret, as 'identity' or 'git.asc'")),
            (Some(_), Some(_)) => Err(Error::Key(
                "one: its Secret has both 'identity' and 'git.asc'",
            )),
        }
    }

    /// A private key of OpenPGP in armor, and what opens it. Slow for an encrypted one, as its format intends: not for a
    /// thread that others wait for.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn openpgp(key: &Secret, passphrase: Option<&Secret>) -> Result<Self, Error> {
        let read = SigningKey::read(key.expose(), passphrase);
        let key = read.map_err(|why| {
            Error::Key(match (why, passphrase) {
                (Unusable::Locked, Some(_)) => "a private OpenPGP key that its passphrase opens",
                (Unusable::Locked, None) => "a private OpenPGP key without a passphrase",
                (Unusable::Unread | Unusable::Unfit, _) => "one private OpenPGP key in armor",
            })
        })?;
        Ok(Self(Key::OpenPgp(Box::new(key))))
    }

    /// A private SSH key in any of OpenSSH's formats, and what opens it. Slow for an encrypted one, as its format intends:
    /// not for a thread that others wait for.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn ssh(key: &Secret, passphrase: Option<&Secret>) -> Result<Self, Error> {
        let passphrase = passphrase.map(Secret::expose);
        let read = private_key(key.expose(), passphrase);
        let what = match passphrase {
            Some(_) => "a private SSH key that its passphrase opens",
            None => "a private SSH key without a passphrase",
        };
        let key = read.ok_or(Error::Key(what))?;
        Ok(Self(Key::Ssh(Box::new(key))))
    }

    /// The signature over `payload`, made at `at`, as it stands in a commit.
    pub(super) fn sign(&self, payload: &[u8], at: Timestamp) -> Result<String, Error> {
        match &self.0 {
            Key::Ssh(key) => {
                let signed = key.sign(NAMESPACE, HashAlg::Sha512, payload);
                let text = signed.and_then(|signature| signature.to_pem(LineEnding::LF));
                text.map_err(|_| Error::Sign(format!("{} key", key.algorithm())))
            }
            Key::OpenPgp(key) => key
                .sign(payload, at)
                .map_err(|_| Error::Sign(format!("OpenPGP key {}", key.fingerprint()))),
        }
    }
}

impl fmt::Debug for Signer {
    /// Which key it is, and nothing of its secret half.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Key::Ssh(key) => write!(f, "Signer({})", key.fingerprint(HashAlg::Sha256)),
            Key::OpenPgp(key) => write!(f, "Signer({})", key.fingerprint()),
        }
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::SshSig;
    use russh::keys::ssh_key::private::Ed25519Keypair;

    use super::*;

    fn key() -> PrivateKey {
        Ed25519Keypair::from_seed(&[7; 32]).into()
    }

    #[test]
    fn a_signature_is_good_for_git_and_for_what_was_signed() {
        let text = key().to_openssh(LineEnding::LF).unwrap();
        let signer = Signer::ssh(&Secret::new(text.as_str()), None).unwrap();
        let pem = signer.sign(b"tree 0\n", Timestamp::UNIX_EPOCH).unwrap();
        let signature = SshSig::from_pem(&pem).unwrap();
        let key = key();
        let public = key.public_key();
        assert!(public.verify("git", b"tree 0\n", &signature).is_ok());
        assert!(public.verify("git", b"tree 1\n", &signature).is_err());
        assert!(public.verify("file", b"tree 0\n", &signature).is_err());
    }

    #[test]
    fn a_secret_has_one_key_and_says_so_where_it_has_none_or_two() {
        let text = key().to_openssh(LineEnding::LF).unwrap();
        let data = |keys: &[&str]| -> BTreeMap<String, Vec<u8>> {
            let entry = |key: &&str| ((*key).to_owned(), text.as_bytes().to_vec());
            keys.iter().map(entry).collect()
        };
        assert!(Signer::from_secret(&data(&["identity"])).is_ok());
        for keys in [&[][..], &["identity", "git.asc"], &["git.asc"], &["id"]] {
            let told = Signer::from_secret(&data(keys)).unwrap_err();
            assert!(matches!(told, Error::Key(_)), "{keys:?}: {told}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_is_told_without_its_content() {
        for (key, passphrase) in [("hunter2", None), ("", None), ("hunter2", Some("hunter2"))] {
            let passphrase = passphrase.map(Secret::new);
            let error = Signer::ssh(&Secret::new(key), passphrase.as_ref()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let shown = format!("{:?}", Signer(Key::Ssh(Box::new(key()))));
        assert!(shown.starts_with("Signer(SHA256:"), "{shown}");
    }
}
