//! Signs with a key of OpenPGP, as `git commit -S` does.
//!
//! A key signs here only if its signature would count here: among a key and its subkeys the newest is taken that may sign by
//! the rules of [`super::openpgp`], and whose secret half is there. The time comes in. What it deliberately doesn't: ask an agent
//! or a card, or sign with a key of version 6, which neither git nor gpg takes.

use std::fmt;

use jiff::Timestamp;
use pgp::composed::{ArmorOptions, Deserializable as _, DetachedSignature, SignedSecretKey};
use pgp::packet::{
    SecretKey, SecretSubkey, SignatureConfig, SignatureType, Subpacket, SubpacketData,
};
use pgp::types::{Fingerprint, KeyDetails as _, KeyVersion, Password, SigningKey as Signs};
use reeve_api::name::Secret;

use super::is_one_block;
use super::openpgp::{Certificate, may_sign, name};

const BEGIN: &str = "-----BEGIN PGP PRIVATE KEY BLOCK-----";
const END: &str = "-----END PGP PRIVATE KEY BLOCK-----";

/// A key of OpenPGP that signs, opened. Its `Debug` shows whose it is, and nothing of its secret half.
pub struct SigningKey {
    public: Certificate,
    /// None: only subkeys are here.
    primary: Option<SecretKey>,
    /// The newest first.
    subkeys: Vec<SecretSubkey>,
}

/// Why a key signs nothing. Of its content nothing is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error("not one private OpenPGP key in armor")]
    Unread,
    /// It is encrypted, and what is given does not open it.
    #[error("a private OpenPGP key that its passphrase does not open")]
    Locked,
    /// None of it may sign at that time.
    #[error(
        "a private OpenPGP key that may not sign: it has expired, was revoked, is too weak, or is for something else"
    )]
    Unfit,
}

impl SigningKey {
    /// Reads a key in armor, as `gpg --armor --export-secret-keys` writes it, or `--export-secret-subkeys`. Slow for an
    /// encrypted one, as its format intends.
    ///
    /// # Errors
    /// When it cannot be read or opened.
    pub fn read(armor: &str, passphrase: Option<&Secret>) -> Result<Self, Unusable> {
        let armor = armor.trim();
        if !is_one_block(armor, BEGIN, END) {
            return Err(Unusable::Unread);
        }
        let armor = format!("{armor}\n");
        let (mut read, _) =
            SignedSecretKey::from_string_many(&armor).map_err(|_| Unusable::Unread)?;
        let (Some(Ok(key)), None) = (read.next(), read.next()) else {
            return Err(Unusable::Unread);
        };
        let public = key.to_public_key();
        let password = passphrase.map_or("", Secret::expose);
        let password = Password::from(password);
        let mut primary = key.primary_key;
        let primary = primary
            .remove_password(&password)
            .is_ok()
            .then_some(primary);
        let subkeys = key.secret_subkeys.into_iter().filter_map(|subkey| {
            let mut subkey = subkey.key;
            subkey.remove_password(&password).is_ok().then_some(subkey)
        });
        let mut subkeys: Vec<SecretSubkey> = subkeys.collect();
        subkeys.sort_by_key(|subkey| std::cmp::Reverse(subkey.created_at()));
        if primary.is_none() && subkeys.is_empty() {
            return Err(Unusable::Locked);
        }
        Ok(Self {
            public,
            primary,
            subkeys,
        })
    }

    /// The signature over `payload`, made at `at`, in armor.
    ///
    /// # Errors
    /// When nothing of the key may sign then.
    pub fn sign(&self, payload: &[u8], at: Timestamp) -> Result<String, Unusable> {
        let now = at.as_second();
        let may = |print: &Fingerprint| may_sign(&self.public, print, now);
        let subkey = self.subkeys.iter().find(|key| may(&key.fingerprint()));
        if let Some(key) = subkey {
            return signed(key, payload, now).ok_or(Unusable::Unfit);
        }
        let primary = self.primary.iter().find(|key| may(&key.fingerprint()));
        let signature = primary.and_then(|key| signed(key, payload, now));
        signature.ok_or(Unusable::Unfit)
    }

    /// The fingerprint of the primary key.
    pub fn fingerprint(&self) -> String {
        name(&self.public.primary_key)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.fingerprint())
    }
}

fn signed(key: &impl Signs, payload: &[u8], now: i64) -> Option<String> {
    if key.version() != KeyVersion::V4 {
        return None;
    }
    let made = pgp::types::Timestamp::from_secs(u32::try_from(now).ok()?);
    let said = |data| Subpacket::regular(data).ok();
    let hash = key.hash_alg();
    let mut config = SignatureConfig::v4(SignatureType::Binary, key.algorithm(), hash);
    config.hashed_subpackets = vec![
        said(SubpacketData::SignatureCreationTime(made))?,
        said(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    config.unhashed_subpackets = vec![said(SubpacketData::IssuerKeyId(key.legacy_key_id()))?];
    let signature = config.sign(key, &Password::empty(), payload).ok()?;
    let armor = DetachedSignature::new(signature);
    armor.to_armored_string(ArmorOptions::default()).ok()
}
