//! Issuers on loopback ports that publish keys, and tokens that are theirs or not.

use std::sync::Mutex as Lock;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::http::tests::Served;

fn coded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Keys of one issuer, of each kind.
pub(crate) struct Signer {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Signer {
    pub(crate) fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }

    pub(crate) fn keys(&self) -> Value {
        let rsa = self.rsa.public_key();
        let n: Vec<u8> = rsa.modulus().big_endian_without_leading_zero().to_vec();
        let e: Vec<u8> = rsa.exponent().big_endian_without_leading_zero().to_vec();
        let point = self.ec.public_key().as_ref().to_vec();
        json!({"keys": [
            {"kty": "oct", "kid": "o", "k": coded("secret")},
            {"kty": "RSA", "kid": "enc", "use": "enc", "n": coded(&n), "e": coded(&e)},
            {"kty": "RSA", "kid": "r", "use": "sig", "alg": "RS256", "n": coded(&n), "e": coded(&e)},
            {"kty": "EC", "kid": "e", "crv": "P-256", "x": coded(&point[1..33]), "y": coded(&point[33..])},
            {"kty": "OKP", "kid": "d", "crv": "Ed25519", "x": coded(self.ed.public_key().as_ref())},
            {"kty": "EC", "kid": "short", "crv": "P-256", "x": "AA", "y": "AA"},
            "no key",
        ]})
    }

    /// A token with this header and these claims; the kind of key is that of `kid`.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let text = format!(
            "{}.{}",
            coded(header.to_string()),
            coded(claims.to_string())
        );
        let (bytes, random) = (text.as_bytes(), SystemRandom::new());
        let signature = match header["kid"].as_str() {
            Some("e") => self.ec.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Some("d") => self.ed.sign(bytes).as_ref().to_vec(),
            _ => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let how = &RSA_PKCS1_SHA256;
                self.rsa.sign(how, &random, bytes, &mut signature).unwrap();
                signature
            }
        };
        format!("{text}.{}", coded(signature))
    }
}

/// An issuer that answers.
pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) asked: Arc<AtomicUsize>,
    keys: Arc<Lock<Value>>,
    _served: Served,
}

impl Issuer {
    pub(crate) async fn start(keys: Value) -> Self {
        let (asked, keys) = (Arc::new(AtomicUsize::new(0)), Arc::new(Lock::new(keys)));
        let url = Arc::new(Lock::new(String::new()));
        let (own, counted, published) = (Arc::clone(&url), Arc::clone(&asked), Arc::clone(&keys));
        let discovery = get(async move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let issuer = own.lock().unwrap().clone();
            json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string()
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", discovery)
            .route(
                "/keys",
                get(async move || published.lock().unwrap().to_string()),
            );
        let served = Served::start(router).await;
        let at = format!("http://{}", served.address());
        at.clone_into(&mut url.lock().unwrap());
        Self {
            url: at,
            asked,
            keys,
            _served: served,
        }
    }
}

pub(crate) fn reaching_this_machine() -> Issuers {
    Issuers::new(Arc::new(Egress::new(vec!["127.0.0.0/8".parse().unwrap()])))
}

const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn claims(issuer: &str) -> Value {
    json!({"iss": issuer, "aud": "me", "exp": NOW + 60, "sub": "repo:acme/web"})
}

fn acme() -> NamespaceName {
    NamespaceName::new("acme").unwrap()
}

async fn believed(issuers: &Issuers, issuer: &str, token: &str) -> Result<Value, Error> {
    let claims = issuers
        .of(&acme(), issuer, Bearer::parse(token)?, "me", now())
        .await?;
    Ok(claims.all().clone())
}

#[tokio::test]
async fn a_token_is_believed_when_a_key_of_its_issuer_made_it() {
    let signer = Signer::new();
    let issuer = Issuer::start(signer.keys()).await;
    let issuers = reaching_this_machine();
    let said = claims(&issuer.url);
    for header in [
        json!({"alg": "RS256", "kid": "r"}),
        json!({"alg": "ES256", "kid": "e"}),
        json!({"alg": "EdDSA", "kid": "d"}),
        json!({"alg": "RS256"}),
    ] {
        let token = signer.token(&header, &said);
        assert_eq!(
            believed(&issuers, &issuer.url, &token).await.unwrap(),
            said,
            "{header}"
        );
    }
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 1, "the keys are kept");
}

#[tokio::test]
async fn a_token_that_lies_about_its_key_or_algorithm_is_not() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let issuer = Issuer::start(signer.keys()).await;
    let issuers = reaching_this_machine();
    let said = claims(&issuer.url);
    let refused = "the bearer token's signature is not one of its issuer";
    let no_algorithm = "the bearer token is not signed with an algorithm that is taken here: RS, PS or ES 256 to 512, or EdDSA";
    for (by, header, want) in [
        (&stranger, json!({"alg": "RS256", "kid": "r"}), refused),
        (&signer, json!({"alg": "ES256", "kid": "r"}), refused),
        (&signer, json!({"alg": "RS256", "kid": "e"}), refused),
        (&signer, json!({"alg": "PS256", "kid": "r"}), refused),
        (&signer, json!({"alg": "RS512", "kid": "r"}), refused),
        (&signer, json!({"alg": "RS256", "kid": "enc"}), refused),
        (&signer, json!({"alg": "RS256", "kid": "other"}), refused),
        (&signer, json!({"alg": "HS256", "kid": "r"}), no_algorithm),
        (&signer, json!({"alg": "none"}), no_algorithm),
    ] {
        let token = by.token(&header, &said);
        let why = believed(&issuers, &issuer.url, &token).await.unwrap_err();
        assert_eq!(why.to_string(), want, "{header}");
    }
    // Other claims under a signature that was right.
    let token = signer.token(&json!({"alg": "RS256", "kid": "r"}), &said);
    let parts: Vec<&str> = token.split('.').collect();
    let mut other = said.clone();
    other["sub"] = json!("repo:evil/web");
    let forged = format!("{}.{}.{}", parts[0], coded(other.to_string()), parts[2]);
    let why = believed(&issuers, &issuer.url, &forged).await.unwrap_err();
    assert_eq!(why.to_string(), refused);
    assert!(
        issuer.asked.load(Ordering::Relaxed) <= 2,
        "unknown keys do not make it ask each time"
    );
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it() {
    let (old, new) = (Signer::new(), Signer::new());
    let issuer = Issuer::start(old.keys()).await;
    let issuers = reaching_this_machine();
    let header = json!({"alg": "RS256", "kid": "r"});
    let token = old.token(&header, &claims(&issuer.url));
    believed(&issuers, &issuer.url, &token).await.unwrap();
    // The issuer has another key by now, and has not been asked for a while.
    let mut keys = new.keys();
    keys["keys"][2]["kid"] = json!("r2");
    *issuer.keys.lock().unwrap() = keys;
    let kept = issuers.known.kept(&acme(), &issuer.url, Instant::now());
    kept.lock().await.asked = None;
    let token = new.token(&json!({"alg": "RS256", "kid": "r2"}), &claims(&issuer.url));
    believed(&issuers, &issuer.url, &token).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_told_and_not_asked_again_at_once() {
    let signer = Signer::new();
    let header = json!({"alg": "RS256", "kid": "r"});
    let issuer = Issuer::start(signer.keys()).await;
    let token = signer.token(&header, &claims(&issuer.url));
    let strict = Issuers::new(Arc::new(Egress::new(vec![])));
    let why = believed(&strict, &issuer.url, &token).await.unwrap_err();
    assert!(why.to_string().contains("a loopback address"), "{why}");
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 0);

    let issuers = reaching_this_machine();
    let other = format!("{}/", issuer.url);
    let token = signer.token(&header, &claims(&other));
    for _ in 0..3 {
        let why = believed(&issuers, &other, &token).await.unwrap_err();
        assert!(
            why.to_string().ends_with("answered for another issuer"),
            "{why}"
        );
    }
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_token_of_google_is_verified_with_googles_keys() {
    let signer = Signer::new();
    let issuer = Issuer::start(signer.keys()).await;
    let issuers = reaching_this_machine().with_google(&issuer.url);
    let header = json!({"alg": "RS256", "kid": "r"});
    for (named, want) in [
        ("https://accounts.google.com", true),
        ("accounts.google.com", true),
        ("https://accounts.google.com.evil.example", false),
        (issuer.url.as_str(), false),
    ] {
        let bearer = Bearer::parse(&signer.token(&header, &claims(named))).unwrap();
        let told = issuers.of_google(&acme(), bearer, "me", now()).await;
        assert_eq!(told.is_ok(), want, "{named}");
    }
}
