//! SSH keys of ours: a pair is made, and the public half of one that is there is told.
//!
//! What it deliberately doesn't: keep one. The private half goes into a Secret of the cluster, and nowhere else.

use rand::Rng as _;
use reeve_api::name::Secret;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;

/// A key pair, as OpenSSH writes it.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) private: Secret,
    /// One line, without a comment.
    pub(crate) public: String,
}

/// A new Ed25519 pair, of this machine's randomness; None: it cannot be written, which no such key is known for.
pub(crate) fn generate() -> Option<Pair> {
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
    seed.fill(0);
    std::hint::black_box(&seed);
    let private = key.to_openssh(LineEnding::LF).ok()?;
    Some(Pair {
        private: Secret::new(private.as_str()),
        public: told(&key)?,
    })
}

/// The public half of a private key in any of OpenSSH's formats. OpenSSH's own tells it although a passphrase covers the
/// private one; for others `passphrase` is tried.
pub(crate) fn public(identity: &str, passphrase: Option<&str>) -> Option<String> {
    if let Ok(key) = PrivateKey::from_openssh(identity) {
        return told(&key);
    }
    let key = russh::keys::decode_secret_key(identity, None)
        .or_else(|_| russh::keys::decode_secret_key(identity, passphrase));
    told(&key.ok()?)
}

fn told(key: &PrivateKey) -> Option<String> {
    let line = key.public_key().to_openssh().ok()?;
    let mut words = line.split_ascii_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_is_another_and_its_private_half_can_be_read_and_is_not_shown() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one.public, other.public);
        assert!(one.public.starts_with("ssh-ed25519 AAAA"), "{}", one.public);
        assert_eq!(
            public(one.private.expose(), None).as_ref(),
            Some(&one.public)
        );
        let line = format!("{}\n", one.private.expose());
        assert_eq!(public(&line, Some("unused")).as_ref(), Some(&one.public));
        assert!(!format!("{one:?}").contains("PRIVATE"), "{one:?}");
        for broken in ["", "hunter2", one.public.as_str()] {
            assert_eq!(public(broken, None), None);
        }
    }
}
