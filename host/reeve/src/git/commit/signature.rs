//! Who signs commits: an SSH key, as `git commit -S` does with `gpg.format=ssh`.
//!
//! The key stays in memory. What it deliberately doesn't: verify, ask an agent, or use a key that needs a finger on it.

use std::fmt;

use reeve_api::name::Secret;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{HashAlg, PrivateKey};

use super::Error;
use crate::git::private_key::private_key;

/// What a signature is for: git's own word, so that it is good for nothing else.
const NAMESPACE: &str = "git";

/// A key that signs commits.
pub struct Signer(PrivateKey);

impl Signer {
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
        read.map(Self).ok_or(Error::Key(what))
    }

    /// The signature over `payload`, as it stands in a commit.
    pub(super) fn sign(&self, payload: &[u8]) -> Result<String, Error> {
        let signed = self.0.sign(NAMESPACE, HashAlg::Sha512, payload);
        let text = signed.and_then(|signature| signature.to_pem(LineEnding::LF));
        text.map_err(|_| Error::Sign(self.0.algorithm().to_string()))
    }
}

impl fmt::Debug for Signer {
    /// Which key it is, and nothing of its secret half.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = self.0.fingerprint(HashAlg::Sha256);
        write!(f, "Signer({fingerprint})")
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
        let pem = signer.sign(b"tree 0\n").unwrap();
        let signature = SshSig::from_pem(&pem).unwrap();
        let public = signer.0.public_key();
        assert!(public.verify("git", b"tree 0\n", &signature).is_ok());
        assert!(public.verify("git", b"tree 1\n", &signature).is_err());
        assert!(public.verify("file", b"tree 0\n", &signature).is_err());
    }

    #[test]
    fn a_key_that_cannot_be_read_is_told_without_its_content() {
        for (key, passphrase) in [("hunter2", None), ("", None), ("hunter2", Some("hunter2"))] {
            let passphrase = passphrase.map(Secret::new);
            let error = Signer::ssh(&Secret::new(key), passphrase.as_ref()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let shown = format!("{:?}", Signer(key()));
        assert!(shown.starts_with("Signer(SHA256:"), "{shown}");
    }
}
