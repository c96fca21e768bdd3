//! Tokens of issuers (JSON Web Tokens, RFC 7519), read: what was signed how, and what it says.
//!
//! Only asymmetric algorithms are known: a token that is signed with what its reader has to know too, or with nothing, is
//! refused before anybody looks for a key. Where its header says to look for one (`jku`, `jwk`, `x5u`) is not read. What it
//! deliberately doesn't: verify the signature, or fetch a key; the shell's `issuers` does, and only that makes [`Claims`] of
//! a [`Bearer`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::Google;

/// Whose tokens Pub/Sub calls with.
pub const GOOGLE: &str = "https://accounts.google.com";
/// How its tokens may also name it.
const GOOGLE_TOO: &str = "accounts.google.com";
/// No token is longer.
const LONGEST: usize = 16 << 10;
/// How far an issuer's clock may be ahead.
const AHEAD: f64 = 300.0;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 7518 and RFC 8037")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

impl Algorithm {
    const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// As tokens and keys name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// A token that nobody has verified yet. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Bearer {
    algorithm: Algorithm,
    key: Option<String>,
    issuer: String,
    claims: Value,
    signed: String,
    signature: Vec<u8>,
}

/// What a token says whose signature is right.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(Value);

/// Why a token is not believed. Holds nothing of its signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// It has another form.
    #[error("the bearer token is no JSON Web Token")]
    Malformed,
    /// It is signed with what is no proof, or not at all.
    #[error(
        "the bearer token is not signed with an algorithm that is taken here: RS, PS or ES 256 to 512, or EdDSA"
    )]
    Algorithm,
    /// Its header demands what is not known.
    #[error("the bearer token's header demands extensions (crit) that are not known")]
    Critical,
    /// It is of somebody whom the Receiver doesn't name.
    #[error("no oidcProvider is configured for the bearer token's issuer")]
    Issuer,
    /// No key of the issuer made its signature.
    #[error("the bearer token's signature is not one of its issuer")]
    Signature,
    /// It is for somebody else.
    #[error("the bearer token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the bearer token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the bearer token is not valid yet")]
    Early,
    /// It is of another account of Google's.
    #[error(
        "the bearer token is of another account than the Secret's email, or its email is not verified"
    )]
    Account,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(***)")
    }
}

impl Bearer {
    /// Reads a token.
    pub fn parse(text: &str) -> Result<Self, BearerError> {
        if text.len() > LONGEST {
            return Err(BearerError::Malformed);
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return Err(BearerError::Malformed);
        };
        let decoded = |part: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(part);
            bytes.map_err(|_| BearerError::Malformed)
        };
        let read: Header =
            serde_json::from_slice(&decoded(header)?).map_err(|_| BearerError::Malformed)?;
        let algorithm = Algorithm::named(&read.alg).ok_or(BearerError::Algorithm)?;
        if read.crit.is_some() {
            return Err(BearerError::Critical);
        }
        let said: Value =
            serde_json::from_slice(&decoded(claims)?).map_err(|_| BearerError::Malformed)?;
        let issuer = said.get("iss").and_then(Value::as_str);
        let issuer = issuer.filter(|issuer| !issuer.is_empty());
        Ok(Self {
            algorithm,
            key: read.kid,
            issuer: issuer.ok_or(BearerError::Malformed)?.to_owned(),
            signed: format!("{header}.{claims}"),
            signature: decoded(signature)?,
            claims: said,
        })
    }

    /// How it says it is signed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of the key, if it says one.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Whose it says it is.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether it says that it is Google's.
    pub fn is_googles(&self) -> bool {
        [GOOGLE, GOOGLE_TOO].contains(&self.issuer.as_str())
    }

    /// What it says, if `made` knows the signature for one of the issuer. Its time has to be now, and it has to be for
    /// `audience`.
    pub fn verified(
        self,
        audience: &str,
        now: Timestamp,
        made: impl FnOnce(&[u8], &[u8]) -> bool,
    ) -> Result<Claims, BearerError> {
        if !made(self.signed.as_bytes(), &self.signature) {
            return Err(BearerError::Signature);
        }
        let is_it = |one: &Value| one.as_str() == Some(audience);
        let meant = match self.claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_it),
            Some(one) => is_it(one),
            None => false,
        };
        if !meant || audience.is_empty() {
            return Err(BearerError::Audience);
        }
        let now = now.as_second() as f64;
        let time = |name: &str| self.claims.get(name).map(Value::as_f64);
        match time("exp") {
            Some(Some(end)) if now < end => {}
            _ => return Err(BearerError::Expired),
        }
        match time("nbf") {
            None => {}
            Some(Some(begin)) if begin <= now + AHEAD => {}
            Some(_) => return Err(BearerError::Early),
        }
        Ok(Claims(self.claims))
    }
}

impl Claims {
    /// The claims themselves.
    pub fn all(&self) -> &Value {
        &self.0
    }

    /// Whether they are those of the account that pushes for a subscription.
    pub fn are_of(&self, google: &Google) -> Result<(), BearerError> {
        let email = self.0.get("email").and_then(Value::as_str);
        let verified = self.0.get("email_verified") == Some(&Value::Bool(true));
        match email == Some(google.email.as_str()) && verified {
            true => Ok(()),
            false => Err(BearerError::Account),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    const NOW: i64 = 1_800_000_000;

    fn claims(changes: &[(&str, Value)]) -> Value {
        let mut claims = json!({
            "iss": "https://issuer.example", "aud": "me", "exp": NOW + 60, "sub": "repo:acme/web",
        });
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        claims
    }

    fn read(claims: &Value) -> Result<Claims, BearerError> {
        let bearer = Bearer::parse(&token(&json!({"alg": "RS256"}), claims))?;
        let now = Timestamp::from_second(NOW).unwrap();
        bearer.verified("me", now, |_, signature| signature == b"sig")
    }

    #[test]
    fn only_an_algorithm_with_a_public_key_is_known() {
        for (alg, want) in [
            ("RS256", None),
            ("ES256", None),
            ("EdDSA", None),
            ("none", Some(BearerError::Algorithm)),
            ("None", Some(BearerError::Algorithm)),
            ("HS256", Some(BearerError::Algorithm)),
            ("HS512", Some(BearerError::Algorithm)),
            ("rs256", Some(BearerError::Algorithm)),
            ("", Some(BearerError::Algorithm)),
        ] {
            let text = token(&json!({"alg": alg, "kid": "1"}), &claims(&[]));
            assert_eq!(Bearer::parse(&text).err(), want, "{alg}");
        }
        let critical = token(&json!({"alg": "RS256", "crit": ["x"]}), &claims(&[]));
        assert_eq!(Bearer::parse(&critical).err(), Some(BearerError::Critical));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = token(&json!({"alg": "RS256"}), &claims(&[]));
        let no_issuer = token(&json!({"alg": "RS256"}), &json!({"aud": "me"}));
        let long = format!("{good}{}", "A".repeat(LONGEST));
        for text in [
            "",
            "a",
            "a.b",
            "a.b.c",
            "..",
            &format!("{good}.x"),
            &no_issuer,
            &long,
        ] {
            let why = Bearer::parse(text).err();
            assert_eq!(why, Some(BearerError::Malformed), "{text:.40}");
        }
        assert_eq!(
            format!("{:?}", Bearer::parse(&good).unwrap()),
            "Bearer(***)"
        );
    }

    #[test]
    fn a_token_is_for_one_audience_and_one_time() {
        for (changes, want) in [
            (vec![], None),
            (vec![("aud", json!(["other", "me"]))], None),
            (vec![("aud", json!("other"))], Some(BearerError::Audience)),
            (vec![("aud", json!([]))], Some(BearerError::Audience)),
            (vec![("aud", json!({"me": 1}))], Some(BearerError::Audience)),
            (vec![("exp", json!(NOW))], Some(BearerError::Expired)),
            (vec![("exp", json!("tomorrow"))], Some(BearerError::Expired)),
            (vec![("exp", Value::Null)], Some(BearerError::Expired)),
            (vec![("nbf", json!(NOW + 299))], None),
            (vec![("nbf", json!(NOW + 301))], Some(BearerError::Early)),
        ] {
            assert_eq!(read(&claims(&changes)).err(), want, "{changes:?}");
        }
        let bearer = Bearer::parse(&token(&json!({"alg": "RS256"}), &claims(&[]))).unwrap();
        let now = Timestamp::from_second(NOW).unwrap();
        let told = bearer.verified("me", now, |_, _| false);
        assert_eq!(told, Err(BearerError::Signature));
    }

    #[test]
    fn a_call_of_pub_sub_is_of_the_account_that_the_secret_names() {
        let google = Google {
            email: "push@acme.iam.gserviceaccount.com".into(),
            audience: "me".into(),
        };
        let email = json!(google.email);
        for (changes, want) in [
            (
                vec![("email", email.clone()), ("email_verified", json!(true))],
                true,
            ),
            (
                vec![("email", email.clone()), ("email_verified", json!(false))],
                false,
            ),
            (
                vec![("email", email.clone()), ("email_verified", json!("true"))],
                false,
            ),
            (vec![("email", email)], false),
            (
                vec![("email", json!("other@x")), ("email_verified", json!(true))],
                false,
            ),
            (vec![], false),
        ] {
            let told = read(&claims(&changes)).unwrap().are_of(&google);
            assert_eq!(told.is_ok(), want, "{changes:?}");
        }
    }
}
