//! OpenPGP: a detached signature, and the certificates that it may be of.
//!
//! The crate reads packets and computes; what a signature is worth is decided here, once, and for every signature that
//! something hangs on: of the data, of a key on itself, on its subkeys and back. Stricter than gpg: no SHA-1 on keys
//! either, and whatever looks like a revocation is one. It deliberately knows no web of trust: who is in the Secret is
//! trusted, and nobody else.

use jiff::Timestamp;
use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SignatureVersion, SubpacketData};
use pgp::ser::Serialize as _;
use pgp::types::{Fingerprint, KeyDetails, KeyVersion, PublicParams, Tag};

use super::{CLOCKS_DIFFER, Refused, is_one_block};

/// How a signature begins.
pub(super) const BEGIN: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";
const KEY_BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const KEY_END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// How keys of the Secret are called; others are taken for them too.
pub(super) const SUFFIX: &str = ".asc";
/// The most subkeys of one certificate.
const MOST_SUBKEYS: usize = 64;
/// The shortest modulus of RSA, in bits.
const SHORTEST_RSA: u16 = 2048;

/// A primary key, its subkeys, and what it says of itself.
pub(super) type Certificate = SignedPublicKey;

/// Every certificate in `text`: armored, one block after the other.
pub(super) fn keys(text: &str) -> Result<Vec<Certificate>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(KEY_BEGIN) {
        let block = rest.get(at..).unwrap_or_default();
        let end = block.find(KEY_END).ok_or("a key block has no end")? + KEY_END.len();
        let (block, after) = block.split_at_checked(end).unwrap_or_default();
        if !is_one_block(block, KEY_BEGIN, KEY_END) {
            return Err("a key block holds another".to_owned());
        }
        // Its line break is part of the last line.
        let block = format!("{block}\n");
        let (read, _) = SignedPublicKey::from_string_many(&block).map_err(|why| why.to_string())?;
        for certificate in read {
            let certificate = certificate.map_err(|why| why.to_string())?;
            if certificate.public_subkeys.len() > MOST_SUBKEYS {
                return Err(format!("a key has more than {MOST_SUBKEYS} subkeys"));
            }
            found.push(certificate);
        }
        rest = after;
    }
    match found.is_empty() {
        true if text.contains("PRIVATE KEY") => {
            Err("it is a private key, where public ones belong".to_owned())
        }
        true => Err("it is no OpenPGP public key in armor".to_owned()),
        false => Ok(found),
    }
}

/// The key that signed `payload`, by its certificate's fingerprint.
pub(super) fn signer(
    armor: &str,
    payload: &[u8],
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<String, Refused> {
    let now = now.as_second();
    let signature = read(armor)?;
    if signature.typ() != Some(SignatureType::Binary) {
        let why = "it is not of a document's bytes";
        return Err(Refused::Unfit(why.to_owned()));
    }
    let made = worth(&signature, now).map_err(Refused::Unfit)?;
    let mut mismatched = None;
    let mut outcome = None;
    for certificate in trusted {
        let Some(key) = candidate(certificate, &signature) else {
            continue;
        };
        let name = name(&certificate.primary_key);
        let fits = match key {
            Key::Primary => signature.verify(&certificate.primary_key, payload),
            Key::Sub(subkey) => signature.verify(&subkey.key, payload),
        };
        if fits.is_err() {
            mismatched = Some(Refused::Mismatch(name));
            continue;
        }
        match standing(certificate, key, made, now) {
            // The same key may be there twice, as it was and as it is; that it was revoked outweighs either.
            Err(Fault::Revoked) => return Err(key_fault(name, &Fault::Revoked)),
            Err(fault) => outcome = outcome.or_else(|| Some(Err(key_fault(name, &fault)))),
            Ok(()) => outcome = Some(Ok(name)),
        }
    }
    let unknown = || Err(mismatched.unwrap_or_else(|| Refused::Untrusted(issuer(&signature))));
    outcome.unwrap_or_else(unknown)
}

/// Whether the key of a certificate that has this fingerprint may sign now.
pub(super) fn may_sign(certificate: &Certificate, print: &Fingerprint, now: i64) -> bool {
    if certificate.primary_key.fingerprint() == *print {
        return standing(certificate, Key::Primary, now, now).is_ok();
    }
    let mut subkeys = certificate.public_subkeys.iter();
    let subkey = subkeys.find(|subkey| subkey.key.fingerprint() == *print);
    subkey.is_some_and(|subkey| standing(certificate, Key::Sub(subkey), now, now).is_ok())
}

fn key_fault(key: String, fault: &Fault) -> Refused {
    let why = fault.to_string();
    Refused::Key { key, why }
}

/// The one signature in the armor.
fn read(armor: &str) -> Result<Signature, Refused> {
    let unfit = |why: &str| Refused::Unfit(why.to_owned());
    if !is_one_block(armor, BEGIN, END) {
        return Err(unfit("it is not one block of armor"));
    }
    let armor = format!("{armor}\n");
    let (mut read, _) = DetachedSignature::from_string_many(&armor)
        .map_err(|why| Refused::Unfit(why.to_string()))?;
    let first = read.next().ok_or_else(|| unfit("there is none in it"))?;
    let first = first.map_err(|why| Refused::Unfit(why.to_string()))?;
    match read.next() {
        None => Ok(first.signature),
        Some(_) => Err(Refused::Several),
    }
}

/// Why a key's signature counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("was revoked")]
    Revoked,
    #[error("has expired")]
    Expired,
    #[error("was made after what it signed")]
    Younger,
    #[error("has no valid signature of its own that says what it is for")]
    Unbound,
    #[error("is not for signing")]
    NotForSigning,
    #[error("has a subkey that is not its own: it was not signed back")]
    NotBack,
    #[error("is too weak: {0}")]
    Weak(String),
}

/// Which key of a certificate.
#[derive(Clone, Copy)]
enum Key<'a> {
    Primary,
    Sub(&'a SignedPublicSubKey),
}

/// The key of a certificate that the signature says it is of. One that doesn't say so is nobody's.
fn candidate<'a>(certificate: &'a Certificate, signature: &Signature) -> Option<Key<'a>> {
    let is = |key: &dyn KeyDetails| {
        let prints = signature.issuer_fingerprint();
        match prints.is_empty() {
            false => prints.iter().all(|print| **print == key.fingerprint()),
            true => {
                let ids = signature.issuer_key_id();
                !ids.is_empty() && ids.iter().all(|id| **id == key.legacy_key_id())
            }
        }
    };
    if is(&certificate.primary_key) {
        return Some(Key::Primary);
    }
    let mut subkeys = certificate.public_subkeys.iter();
    subkeys.find(|subkey| is(&subkey.key)).map(Key::Sub)
}

/// Whether a key of the certificate may sign at `made`, as of `now`.
fn standing(certificate: &Certificate, key: Key<'_>, made: i64, now: i64) -> Result<(), Fault> {
    let primary = &certificate.primary_key;
    if !certificate.details.revocation_signatures.is_empty() {
        return Err(Fault::Revoked);
    }
    strong(primary)?;
    let statement = statement(certificate, now).ok_or(Fault::Unbound)?;
    alive(primary, &statement, made, now)?;
    match key {
        // A key that says nothing of its use is for whatever it can do.
        Key::Primary if says_its_use(&statement) && !statement.key_flags().sign() => {
            Err(Fault::NotForSigning)
        }
        Key::Primary => Ok(()),
        Key::Sub(subkey) => subkey_standing(certificate, subkey, made, now),
    }
}

fn subkey_standing(
    certificate: &Certificate,
    subkey: &SignedPublicSubKey,
    made: i64,
    now: i64,
) -> Result<(), Fault> {
    let primary = &certificate.primary_key;
    let is = |signature: &&Signature, typ| signature.typ() == Some(typ);
    let mut signatures = subkey.signatures.iter();
    if signatures.any(|signature| is(&signature, SignatureType::SubkeyRevocation)) {
        return Err(Fault::Revoked);
    }
    strong(&subkey.key)?;
    let bindings = subkey.signatures.iter().filter(|signature| {
        is(signature, SignatureType::SubkeyBinding)
            && worth(signature, now).is_ok()
            && signature
                .verify_subkey_binding(primary, &subkey.key)
                .is_ok()
    });
    let binding = bindings.max_by_key(|binding| binding.created());
    let binding = binding.ok_or(Fault::Unbound)?;
    alive(&subkey.key, binding, made, now)?;
    if !binding.key_flags().sign() {
        return Err(Fault::NotForSigning);
    }
    // Else anybody could take somebody's signing key for a subkey of theirs.
    let back = binding.embedded_signature().ok_or(Fault::NotBack)?;
    let fits = worth(back, now).is_ok()
        && back
            .verify_primary_key_binding(&subkey.key, primary)
            .is_ok();
    if fits { Ok(()) } else { Err(Fault::NotBack) }
}

/// The newest of what a key says of itself, directly or with one of its names.
fn statement(certificate: &Certificate, now: i64) -> Option<Signature> {
    let primary = &certificate.primary_key;
    let details = &certificate.details;
    let direct = details.direct_signatures.iter().filter(|signature| {
        signature.typ() == Some(SignatureType::Key)
            && worth(signature, now).is_ok()
            && signature.verify_key(primary).is_ok()
    });
    let named = details.users.iter().flat_map(|user| {
        let own = |signature: &&Signature| {
            signature
                .verify_certification(primary, Tag::UserId, &user.id)
                .is_ok()
        };
        let is_revoked = user.signatures.iter().any(|signature| {
            signature.typ() == Some(SignatureType::CertRevocation) && own(&signature)
        });
        let certifies = |signature: &&Signature| {
            signature.typ() != Some(SignatureType::CertRevocation)
                && worth(signature, now).is_ok()
                && own(signature)
        };
        let signatures = user.signatures.iter().filter(certifies);
        signatures.filter(|_| !is_revoked).collect::<Vec<_>>()
    });
    direct
        .chain(named)
        .max_by_key(|signature| signature.created())
        .cloned()
}

/// Whether a key was there when it signed, and still is.
fn alive(key: &impl KeyDetails, says: &Signature, made: i64, now: i64) -> Result<(), Fault> {
    let born = i64::from(key.created_at().as_secs());
    if born > made {
        return Err(Fault::Younger);
    }
    let lives = says
        .key_expiration_time()
        .map_or(0, |lives| lives.as_secs());
    match lives {
        0 => Ok(()),
        lives if born + i64::from(lives) > now => Ok(()),
        _ => Err(Fault::Expired),
    }
}

/// Whether a signature is one to believe, if it fits. Returns when it was made.
fn worth(signature: &Signature, now: i64) -> Result<i64, String> {
    match signature.version() {
        SignatureVersion::V4 | SignatureVersion::V6 => {}
        _ => return Err("it is of a version that is too old, or not known".to_owned()),
    }
    match signature.hash_alg() {
        Some(
            HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512,
        ) => {}
        Some(weak) => return Err(format!("it is made with {weak}, which is too weak")),
        None => return Err("it names no hash".to_owned()),
    }
    let config = signature.config().ok_or("it cannot be read")?;
    let mut hashed = config.hashed_subpackets();
    let unknown = hashed.any(|one| {
        let unread = matches!(
            one.data,
            SubpacketData::Experimental(..) | SubpacketData::Other(..) | SubpacketData::Notation(_)
        );
        one.is_critical && unread
    });
    if unknown {
        return Err("it holds a condition that is not known here".to_owned());
    }
    let made = signature
        .created()
        .ok_or("it does not say when it was made")?;
    let made = i64::from(made.as_secs());
    if made > now + CLOCKS_DIFFER {
        return Err("it was made in the future".to_owned());
    }
    let lives = signature.signature_expiration_time();
    match lives.map_or(0, |lives| lives.as_secs()) {
        0 => Ok(made),
        lives if made + i64::from(lives) > now => Ok(made),
        _ => Err("it has expired".to_owned()),
    }
}

/// Whether a key is one that nobody can break.
fn strong(key: &impl KeyDetails) -> Result<(), Fault> {
    if !matches!(key.version(), KeyVersion::V4 | KeyVersion::V6) {
        return Err(Fault::Weak("its version is too old".to_owned()));
    }
    match key.public_params() {
        PublicParams::RSA(params) => {
            // Its modulus comes first, after its length in bits.
            let written = params.to_bytes().unwrap_or_default();
            let bits = written
                .first_chunk()
                .map_or(0, |bits| u16::from_be_bytes(*bits));
            match bits {
                SHORTEST_RSA.. => Ok(()),
                _ => Err(Fault::Weak(format!("RSA with {bits} bits"))),
            }
        }
        PublicParams::ECDSA(_)
        | PublicParams::EdDSALegacy(_)
        | PublicParams::Ed25519(_)
        | PublicParams::Ed448(_) => Ok(()),
        _ => Err(Fault::Weak(format!("{:?}", key.algorithm()))),
    }
}

fn says_its_use(signature: &Signature) -> bool {
    let config = signature.config();
    let mut hashed = config
        .into_iter()
        .flat_map(|config| config.hashed_subpackets());
    hashed.any(|one| matches!(one.data, SubpacketData::KeyFlags(_)))
}

pub(super) fn name(key: &impl KeyDetails) -> String {
    hex::encode_upper(key.fingerprint().as_bytes())
}

fn issuer(signature: &Signature) -> String {
    if let Some(print) = signature.issuer_fingerprint().first() {
        return hex::encode_upper(print.as_bytes());
    }
    match signature.issuer_key_id().first() {
        Some(id) => hex::encode_upper(id.as_ref()),
        None => "nobody's".to_owned(),
    }
}
