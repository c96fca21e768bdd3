//! HMACs over payloads, as forges and registries write them.
//!
//! All comparisons take the same time whatever is offered. What it deliberately doesn't: know which header holds what;
//! `verify` does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// How far the clock of a caller may be off.
const SKEW: i64 = 300;
/// What the keys of Standard Webhooks begin with.
const STANDARD_KEY: &str = "whsec_";
/// How many signatures one header may hold: a key and its successor, and some.
const MOST: usize = 8;

/// The hash under a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    /// Whether `offered` is the HMAC of `body`, in hexadecimal of either case.
    pub(super) fn signs(self, key: &[u8], body: &[u8], offered: &str) -> bool {
        let Ok(offered) = hex::decode(offered) else {
            return false;
        };
        self.verifies(key, &[body], &offered)
    }

    /// Whether that may be one of its HMACs at all.
    pub(super) fn looks_like_one(self, offered: &str) -> bool {
        let length = match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        };
        offered.len() == 2 * length && offered.bytes().all(|digit| digit.is_ascii_hexdigit())
    }

    fn verifies(self, key: &[u8], parts: &[&[u8]], offered: &[u8]) -> bool {
        macro_rules! verified {
            ($hash:ty) => {{
                let mut mac = Hmac::<$hash>::new_from_slice(key)
                    .expect("because HMAC takes a key of any length");
                for part in parts {
                    mac.update(part);
                }
                // The whole of it, in constant time: a shorter one is another.
                mac.verify_slice(offered).is_ok()
            }};
        }
        match self {
            Self::Sha1 => verified!(Sha1),
            Self::Sha256 => verified!(Sha256),
            Self::Sha512 => verified!(Sha512),
        }
    }
}

/// The hash and the digits of `sha256=<hex>`.
pub(super) fn split(header: &str) -> Option<(Hash, &str)> {
    let (name, digits) = header.split_once('=')?;
    let hash = match name {
        "sha1" => Hash::Sha1,
        "sha256" => Hash::Sha256,
        "sha512" => Hash::Sha512,
        _ => return None,
    };
    Some((hash, digits))
}

/// The key in a token of Standard Webhooks (`whsec_…`).
pub(super) fn standard_key(token: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(token).ok()?;
    let key = STANDARD.decode(text.trim().strip_prefix(STANDARD_KEY)?);
    key.ok().filter(|key| !key.is_empty())
}

/// A call as Standard Webhooks signs it.
pub(super) struct Standard<'c> {
    pub(super) id: &'c str,
    pub(super) timestamp: &'c str,
    /// `v1,<base64>`, and others after blanks.
    pub(super) signatures: &'c str,
    pub(super) body: &'c [u8],
}

impl Standard<'_> {
    /// Whether one of the signatures is that of id, time and body.
    pub(super) fn is_signed(&self, key: &[u8]) -> bool {
        let signatures = self.signatures.split(' ').filter(|one| !one.is_empty());
        signatures.take(MOST).any(|one| {
            let offered = one.strip_prefix("v1,").map(|text| STANDARD.decode(text));
            let Some(Ok(offered)) = offered else {
                return false;
            };
            let (id, time) = (self.id.as_bytes(), self.timestamp.as_bytes());
            Hash::Sha256.verifies(key, &[id, b".", time, b".", self.body], &offered)
        })
    }

    /// Whether it was signed about now.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        let signed = self.timestamp.parse::<i64>();
        signed.is_ok_and(|signed| now.as_second().abs_diff(signed) <= SKEW.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hmac_is_that_of_rfc_2202_and_4231() {
        let (key, body) = (b"Jefe", b"what do ya want for nothing?");
        for (hash, digits) in [
            (Hash::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (
                Hash::Sha256,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                Hash::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            assert!(hash.signs(key, body, digits), "{hash:?}");
            assert!(hash.signs(key, body, &digits.to_uppercase()), "{hash:?}");
            for wrong in ["", "00", &digits[2..], &format!("{digits}00"), "no hex"] {
                assert!(!hash.signs(key, body, wrong), "{hash:?} {wrong}");
            }
            assert!(!hash.signs(b"other", body, digits));
            assert!(!hash.signs(key, b"other", digits));
        }
    }

    #[test]
    fn a_standard_webhook_is_that_of_its_specification() {
        let key = standard_key(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let call = Standard {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp: "1614265330",
            signatures: "v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            body: br#"{"test": 2432232314}"#,
        };
        assert!(call.is_signed(&key));
        assert!(!call.is_signed(b"other"));
        let none = Standard {
            signatures: "",
            ..call
        };
        assert!(!none.is_signed(&key));
        let at = |second| none.is_fresh(Timestamp::from_second(second).unwrap());
        assert!(at(1_614_265_330) && at(1_614_265_030) && at(1_614_265_630));
        assert!(!at(1_614_265_029) && !at(1_614_265_631));
    }

    #[test]
    fn only_a_key_in_its_own_form_is_one() {
        for wrong in ["", "s3cret", "whsec_", "whsec_???"] {
            assert_eq!(standard_key(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
