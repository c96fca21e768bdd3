//! Reads a private key of SSH, in any of OpenSSH's formats.
//!
//! Of NIST's curves OpenSSH leaves out the zeros that a number begins with. `ssh-key` takes none that is below 32 bytes by that,
//! as one of 512 keys of P-256 is: those are filled up here. What it deliberately doesn't: say why a key cannot be read, since
//! that is about its secret half.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::encoding::Decode as _;
use russh::keys::ssh_key::private::{EcdsaKeypair, EcdsaPrivateKey, KeypairData};
use russh::keys::ssh_key::public::EcdsaPublicKey;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// The bytes of a number of P-256.
const WIDTH: usize = 32;

/// The key, opened by the passphrase if it is encrypted. None: it cannot be read. Slow for an encrypted one, as its format intends:
/// not for a thread that others wait for.
pub(super) fn private_key(text: &str, passphrase: Option<&str>) -> Option<PrivateKey> {
    russh::keys::decode_secret_key(text, None)
        .or_else(|_| russh::keys::decode_secret_key(text, passphrase))
        .ok()
        .or_else(|| short(&plain(text, passphrase)?))
}

/// What is secret in it, decrypted: two equal numbers, the key, a comment, and padding.
fn plain(text: &str, passphrase: Option<&str>) -> Option<Vec<u8>> {
    // One that is encrypted is read without a look at what is in it.
    if let (Ok(key), Some(passphrase)) = (PrivateKey::from_openssh(text), passphrase) {
        let (secret, iv) = key.kdf().derive_key_and_iv(key.cipher(), passphrase).ok()?;
        let mut plain = key.key_data().encrypted()?.to_vec();
        key.cipher()
            .decrypt(&secret, &iv, plain.as_mut_slice(), None)
            .ok()?;
        return Some(plain);
    }
    let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let body: String = body.split_whitespace().collect();
    let bytes = STANDARD.decode(body).ok()?;
    let mut rest = bytes.strip_prefix(MAGIC)?;
    if (string(&mut rest)?, string(&mut rest)?) != (b"none", b"none") {
        return None;
    }
    let _no_options = string(&mut rest)?;
    let _one_key = number(&mut rest)?;
    let _public = string(&mut rest)?;
    Some(string(&mut rest)?.to_vec())
}

/// A key of P-256 whose number was left short.
fn short(plain: &[u8]) -> Option<PrivateKey> {
    let mut rest = plain;
    if number(&mut rest)? != number(&mut rest)?
        || string(&mut rest)? != b"ecdsa-sha2-nistp256"
        || string(&mut rest)? != b"nistp256"
    {
        return None;
    }
    let public = EcdsaPublicKey::from_sec1_bytes(string(&mut rest)?).ok()?;
    let EcdsaPublicKey::NistP256(public) = public else {
        return None;
    };
    let secret = string(&mut rest)?;
    let zeros = WIDTH.checked_sub(secret.len())?;
    let length = u32::try_from(WIDTH).ok()?.to_be_bytes();
    let full = [&length, vec![0; zeros].as_slice(), secret].concat();
    let private = EcdsaPrivateKey::decode(&mut full.as_slice()).ok()?;
    let key = KeypairData::Ecdsa(EcdsaKeypair::NistP256 { public, private });
    PrivateKey::new(key, "").ok()
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(u32::from_be_bytes(*taken))
}

#[cfg(test)]
mod tests {
    use russh::keys::HashAlg;

    use super::*;

    /// Made for this by `ssh-keygen`, until there was one of 31 bytes. Nobody trusts it.
    const PLAIN: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQRStKoheg3VwjKm8K2HvIcPAfxmo9nV
SNBLI1ZmSaaEW7RfGXwFeLJPm+YDPt+sBL9WVYZ/B94PA2HDfTKBbrI/AAAAmAUmeLEFJn
ixAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFK0qiF6DdXCMqbw
rYe8hw8B/Gaj2dVI0EsjVmZJpoRbtF8ZfAV4sk+b5gM+36wEv1ZVhn8H3g8DYcN9MoFusj
8AAAAfcR9ele8LPS/cGyFRIFsI2PxfgOviVzwFeSs09rXlwgAAAAAB";
    /// The same one under the passphrase `opens`.
    const ENCRYPTED: &str = "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDt1NbSYK
lXwI76BSWkdXkBAAAAAQAAAAEAAABoAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlz
dHAyNTYAAABBBFK0qiF6DdXCMqbwrYe8hw8B/Gaj2dVI0EsjVmZJpoRbtF8ZfAV4sk+b5g
M+36wEv1ZVhn8H3g8DYcN9MoFusj8AAACgCdXK0UX4RVNHnhdzLFxrgUwdggezbw9HTH9a
km3J+gKBaPzPO+njMmFNtcmY4iN8Twtd3GVIea9kgjUSl5YBRbA8SDvxLG2EzEBEzKOOn9
uQleI7QFHo++IwcSRApYSKMQWvvZx2O2W24hsJzYuXS+xHzBYlO7R/HWs4eBWlDEV/Aju0
zR9/ztkXDETrBFuGlXkBY31/EATcYKgVjSexww==";
    const PUBLIC: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFK0qiF6DdXCMqbwrYe8hw8B/Gaj2dVI0EsjVmZJpoRbtF8ZfAV4sk+b5gM+36wEv1ZVhn8H3g8DYcN9MoFusj8=";

    fn read(body: &str, passphrase: Option<&str>) -> Option<String> {
        let key = private_key(&format!("{BEGIN}\n{body}\n{END}\n"), passphrase)?;
        let signed = key.sign("test", HashAlg::Sha512, b"payload");
        let public = key.public_key();
        public.verify("test", b"payload", &signed.ok()?).ok()?;
        public.to_openssh().ok()
    }

    #[test]
    fn a_key_that_begins_with_zeros_is_read_and_signs() {
        let public = Some(PUBLIC.to_owned());
        assert_eq!(read(PLAIN, None), public);
        assert_eq!(read(PLAIN, Some("needless")), public);
        assert_eq!(read(ENCRYPTED, Some("opens")), public);
        assert_eq!(read(ENCRYPTED, Some("does not")), None);
        assert_eq!(read(ENCRYPTED, None), None);
    }

    #[test]
    fn what_is_cut_off_or_none_is_not_read() {
        for length in 0..PLAIN.len() {
            let is_whole = PLAIN.get(length..).is_some_and(|rest| rest.len() < 3);
            let read = read(&PLAIN[..length], None);
            assert!(read.is_none() || is_whole, "{length}");
        }
        assert_eq!(private_key("not a key", None).map(|_| ()), None);
    }
}
