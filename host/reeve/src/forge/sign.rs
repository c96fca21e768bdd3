//! Signatures with keys that lie in slots: JSON Web Tokens (RS256) and HMAC-SHA256.
//!
//! What it deliberately doesn't: verify anything, or choose a time; `now` is an argument.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reeve_api::name::Secret;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value};
use sha2::Sha256;

use super::error::Cause;
use super::slots::shown;
use super::words::Jwt;

/// Forges take no longer ones.
const LONGEST: u32 = 600;
/// How far a forge's clock may be behind.
const BEFORE: i64 = 60;
const CLAIMS: usize = 4 << 10;

/// The token that `asked` describes, signed with `key`.
pub(super) fn jwt(asked: &Jwt, key: &Secret, now: Timestamp) -> Result<Secret, Cause> {
    let claims = claims(asked, now)?;
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let unusable = |why| Cause::Key {
        slot: shown(&asked.key),
        why,
    };
    let pair = pair(key).map_err(unusable)?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .map_err(|_| unusable("signing failed"))?;
    Ok(Secret::new(format!(
        "{text}.{}",
        URL_SAFE_NO_PAD.encode(signature)
    )))
}

fn claims(asked: &Jwt, now: Timestamp) -> Result<String, Cause> {
    let wrong = |why: &str| Err(Cause::Request(format!("a token's {why}")));
    if asked.lifetime == 0 || asked.lifetime > LONGEST {
        return wrong("lifetime is 1 to 600 seconds");
    }
    if asked.claims.len() > CLAIMS {
        return wrong("claims are longer than 4 KiB");
    }
    let Ok(mut claims) = serde_json::from_str::<Map<String, Value>>(&asked.claims) else {
        return wrong("claims are no JSON object");
    };
    if ["iat", "exp", "nbf"]
        .iter()
        .any(|time| claims.contains_key(*time))
    {
        return wrong("iat, exp and nbf are the host's to set");
    }
    let now = now.as_second();
    claims.insert("iat".to_owned(), (now - BEFORE).into());
    claims.insert("exp".to_owned(), (now + i64::from(asked.lifetime)).into());
    Ok(Value::Object(claims).to_string())
}

fn pair(key: &Secret) -> Result<KeyPair, &'static str> {
    let der = PrivateKeyDer::from_pem_slice(key.expose().as_bytes());
    let unusable = |_| "it holds a key that is not RSA of 2048 to 8192 bits";
    match der {
        Ok(PrivateKeyDer::Pkcs1(der)) => {
            KeyPair::from_der(der.secret_pkcs1_der()).map_err(unusable)
        }
        Ok(PrivateKeyDer::Pkcs8(der)) => {
            KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(unusable)
        }
        Ok(_) => Err("it holds a key that is not RSA"),
        Err(_) => Err("it holds no private key in PEM"),
    }
}

/// A key that nobody else has: for operations that are only played.
pub(super) fn fresh_key() -> Option<Secret> {
    let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
    let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let body = Secret::new(STANDARD.encode(der.as_ref()));
    Some(Secret::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        body.expose()
    )))
}

/// The HMAC-SHA256 of `text`, in hexadecimal.
pub(super) fn hmac(text: &str, key: &Secret) -> Secret {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes())
        .expect("because HMAC takes a key of any length");
    mac.update(text.as_bytes());
    Secret::new(hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    fn asked(claims: &str, lifetime: u32) -> Jwt {
        Jwt {
            key: "app-key".into(),
            claims: claims.into(),
            lifetime,
        }
    }

    #[test]
    fn a_token_has_the_hosts_times_and_is_signed_with_the_key_of_the_slot() {
        let key = fresh_key().unwrap();
        let pair = pair(&key).unwrap();
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let token = jwt(&asked(r#"{"iss":"Iv1.0123"}"#, 600), &key, now).unwrap();
        let parts: Vec<&str> = token.expose().split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            panic!("three parts");
        };
        let read = |text: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
        assert_eq!(read(header), r#"{"alg":"RS256","typ":"JWT"}"#);
        let at = now.as_second();
        assert_eq!(
            read(claims),
            format!(
                r#"{{"iss":"Iv1.0123","iat":{},"exp":{}}}"#,
                at - 60,
                at + 600
            )
        );
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .verify(
                format!("{header}.{claims}").as_bytes(),
                &URL_SAFE_NO_PAD.decode(signature).unwrap(),
            )
            .unwrap();
    }

    #[test]
    fn a_token_that_lies_about_time_or_lives_too_long_is_not_made() {
        let key = Secret::new("no key at all");
        for (claims, lifetime, words) in [
            (r#"{"exp":9999999999}"#, 60, "the host's to set"),
            (r#"{"iat":0}"#, 60, "the host's to set"),
            (r#"{"nbf":0}"#, 60, "the host's to set"),
            ("[]", 60, "no JSON object"),
            ("{", 60, "no JSON object"),
            ("{}", 601, "1 to 600"),
            ("{}", 0, "1 to 600"),
            ("{}", 60, "no private key in PEM"),
        ] {
            let why = jwt(&asked(claims, lifetime), &key, Timestamp::UNIX_EPOCH)
                .unwrap_err()
                .to_string();
            assert!(why.contains(words), "{claims} {lifetime}: {why}");
            assert!(!why.contains("no key at all"), "{why}");
        }
    }

    #[test]
    fn an_hmac_is_that_of_rfc_4231() {
        assert_eq!(
            hmac("what do ya want for nothing?", &Secret::new("Jefe")).expose(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
