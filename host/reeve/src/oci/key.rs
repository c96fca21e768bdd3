//! Keys that sign and verify: ECDSA on P-256 and Ed25519, in PEM; cosign's own encrypted private keys too.
//!
//! Only the one form of each that tools write is read: a key that needs more than that is refused by name.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::Deserialize;

use super::Error;

/// What comes before the key itself in a SubjectPublicKeyInfo.
const P256: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const ED: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// A key that is believed.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: &'static dyn VerificationAlgorithm,
    key: Vec<u8>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PublicKey")
            .field(&hex::encode(&self.key))
            .finish()
    }
}

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`.
    pub fn parse(pem: &str) -> Result<Self, Error> {
        let der = body(pem, "PUBLIC KEY").ok_or(Error::Key("it is no public key in PEM"))?;
        let algorithm: &'static dyn VerificationAlgorithm;
        let key = if let Some(point) = der.strip_prefix(P256) {
            algorithm = &ECDSA_P256_SHA256_ASN1;
            point
        } else if let Some(key) = der.strip_prefix(ED) {
            algorithm = &ED25519;
            key
        } else {
            return Err(Error::Key("it is neither ECDSA on P-256 nor Ed25519"));
        };
        Ok(Self {
            algorithm,
            key: key.to_vec(),
        })
    }

    /// Whether this key made `signature` of `message`.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(self.algorithm, &self.key);
        key.verify(message, signature).is_ok()
    }
}

/// A key that signs.
#[derive(Debug)]
pub struct PrivateKey(Pair);

#[derive(Debug)]
enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    /// Reads `-----BEGIN PRIVATE KEY-----`, or cosign's encrypted form with its password.
    pub fn parse(pem: &str, password: Option<&str>) -> Result<Self, Error> {
        if let Some(der) = body(pem, "PRIVATE KEY") {
            return Self::of(&der);
        }
        let sealed = [
            "ENCRYPTED SIGSTORE PRIVATE KEY",
            "ENCRYPTED COSIGN PRIVATE KEY",
        ];
        let sealed = sealed.iter().find_map(|kind| body(pem, kind));
        let sealed = sealed.ok_or(Error::Key(
            "it is neither a PKCS#8 private key nor one of cosign's, in PEM",
        ))?;
        let password = password.ok_or(Error::Key("it is encrypted, and there is no password"))?;
        Self::of(&open(&sealed, password)?)
    }

    fn of(pkcs8: &[u8]) -> Result<Self, Error> {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8) {
            return Ok(Self(Pair::Ecdsa(pair)));
        }
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8);
        let pair = pair.map_err(|_| Error::Key("it is neither ECDSA on P-256 nor Ed25519"))?;
        Ok(Self(Pair::Ed25519(pair)))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match &self.0 {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message);
                let signature = signature.map_err(|_| Error::Key("it could not sign"))?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

/// The bytes between the lines of one kind.
fn body(pem: &str, kind: &str) -> Option<Vec<u8>> {
    let (_, after) = pem.split_once(&format!("-----BEGIN {kind}-----"))?;
    let (text, _) = after.split_once(&format!("-----END {kind}-----"))?;
    let text: String = text.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(text).ok()
}

/// What is between the lines of cosign's private keys: JSON.
#[derive(Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u32,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Opens NaCl's secretbox with a key that scrypt makes of the password.
fn open(sealed: &[u8], password: &str) -> Result<Vec<u8>, Error> {
    let form = Error::Key("it is encrypted in a form that is not known here");
    let sealed: Sealed = serde_json::from_slice(sealed)
        .map_err(|_| Error::Key("it is not as cosign writes them"))?;
    let Params { n, r, p } = sealed.kdf.params;
    // cosign's are 32 768 (65 536 in its newer keys), 8 and 1; more than this would take all memory there is.
    let known = n.is_power_of_two() && (2..=1 << 18).contains(&n) && r <= 8 && p <= 4;
    if sealed.kdf.name != "scrypt" || sealed.cipher.name != "nacl/secretbox" || !known {
        return Err(form);
    }
    let decode = |text: &str| {
        BASE64_STANDARD
            .decode(text)
            .map_err(|_| Error::Key("it is not as cosign writes them"))
    };
    let log_n = u8::try_from(n.ilog2()).unwrap_or(u8::MAX);
    let params = scrypt::Params::new(log_n, r, p)
        .map_err(|_| Error::Key("its parameters of scrypt are none"))?;
    let mut key = [0; 32];
    scrypt::scrypt(
        password.as_bytes(),
        &decode(&sealed.kdf.salt)?,
        &params,
        &mut key,
    )
    .map_err(|_| Error::Key("its parameters of scrypt are none"))?;
    let nonce = decode(&sealed.cipher.nonce)?;
    let nonce: [u8; 24] = nonce
        .try_into()
        .map_err(|_| Error::Key("its nonce is none"))?;
    let boxed = decode(&sealed.ciphertext)?;
    let (tag, text) = boxed
        .split_at_checked(16)
        .ok_or(Error::Key("it is too short"))?;
    let mut stream = XSalsa20::new(&key.into(), &nonce.into());
    let mut authenticator = [0; 32];
    stream.apply_keystream(&mut authenticator);
    let want = Poly1305::new(&authenticator.into()).compute_unpadded(text);
    verify_slices_are_equal(&want, tag).map_err(|_| Error::Key("the password is wrong"))?;
    let mut plain = text.to_vec();
    stream.apply_keystream(&mut plain);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made for this test by `cosign generate-key-pair` and `cosign sign-blob` 2.6.2.
    const SEALED: &str = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJWcW5abXNzSEZCczlxMjFXUWpGZ3VJWkdrQnFXRXlU
dWo1SE1OYi93V0RBPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJCeGo0SFNvVjQ4bzhTUlE3TXR6U0pkdzN2K1FCcXVNcyJ9LCJj
aXBoZXJ0ZXh0IjoieXFzWU4ydE12dk5ENlBFdFRyeVZweVJUNms2QXRQbXNEa0Iy
c3YxRUlkSVExT0lrY1g5d1B3VERiVm0vay9DY0VJbDlUT3lDb29kemw5eCtmRWpt
Q1g3akVOc0l5RldPMk02Y0dUOGNvQTY0RTg0MXJwdXF5MnZhUkFCTjZIKzdZTDVJ
VFZ3b1lTc0NmNzFzL3Q1dTlWdEVRa3VyWFM3bWRHSUY5UHBsODRzV1lBMVJpQit6
djl2aEhWL2ZoYTBuVi9LeWxhRWx0S0Q5c1E9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----";
    const PASSWORD: &str = "test-only";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE3qmyJB7g643jxpCniftGkOuBOhN/
CzqcRBj17tlXF1XlJaOa4T4A4KgzZw567ip04hEZryu/0kbM9+JLDMmoAA==
-----END PUBLIC KEY-----";
    const SIGNED: &[u8] = b"what cosign signs";
    const SIGNATURE: &str = "MEUCIQD9jpSG2U0m/k9AfJ1lQvyRvu0n9uPf3cPerZD6Wy0LGQIgS3AbZlLHrWdai4RO2Z0fr8nXJu+6eMjJG839USZz1Fg=";

    #[test]
    fn a_key_of_cosigns_signs_with_its_password_and_is_believed_by_its_public_half() {
        let key = PrivateKey::parse(SEALED, Some(PASSWORD)).expect("it is opened");
        let public = PublicKey::parse(PUBLIC).expect("it is one");
        let ours = key.sign(b"ours").expect("it signs");
        assert!(public.signed(b"ours", &ours) && !public.signed(b"other", &ours));
        let theirs = BASE64_STANDARD.decode(SIGNATURE).expect("it is base64");
        assert!(public.signed(SIGNED, &theirs) && !public.signed(b"other", &theirs));
    }

    #[test]
    fn a_sealed_key_is_not_opened_without_its_password_nor_where_it_was_changed() {
        let body = body(SEALED, "ENCRYPTED SIGSTORE PRIVATE KEY").expect("it is there");
        let body = String::from_utf8(body).expect("it is JSON");
        let sealed = |from: &str, to: &str| {
            assert!(body.contains(from), "{from}");
            let body = BASE64_STANDARD.encode(body.replacen(from, to, 1));
            format!(
                "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n{body}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
            )
        };
        for (pem, password, words) in [
            (SEALED.to_owned(), None, "there is no password"),
            (
                SEALED.to_owned(),
                Some("test-0nly"),
                "the password is wrong",
            ),
            (
                sealed("yqsY", "yqsZ"),
                Some(PASSWORD),
                "the password is wrong",
            ),
            (
                sealed("65536", "1073741824"),
                Some(PASSWORD),
                "not known here",
            ),
            (sealed("scrypt", "argon2"), Some(PASSWORD), "not known here"),
            (
                sealed("\"nonce\":\"", "\"nonce\":\"AAAA"),
                Some(PASSWORD),
                "its nonce is none",
            ),
        ] {
            let why = PrivateKey::parse(&pem, password).expect_err("it stays shut");
            assert!(why.to_string().contains(words), "{words}: {why}");
        }
    }
}
