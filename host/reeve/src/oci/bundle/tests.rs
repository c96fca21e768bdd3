//! A bundle that cosign made, and what is none any more when something of it is changed; and where bundles are looked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::json;

use super::super::artifact::MANIFEST;
use super::super::{Access, digest_of, verify};
use super::*;
use crate::git::Egress;

/// Made by `cosign sign` 3.1.3 with `--signing-config` and a key of `cosign generate-key-pair`, for this test.
const COSIGNS: &str = include_str!("cosign-3.json");
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE3qmyJB7g643jxpCniftGkOuBOhN/
CzqcRBj17tlXF1XlJaOa4T4A4KgzZw567ip04hEZryu/0kbM9+JLDMmoAA==
-----END PUBLIC KEY-----";
const ABOUT: &str = "sha256:565d4c18c5c9ce1d63aefdd8a9aebe37c061765449e2bed6c50c9754beddaa04";

fn keys() -> Vec<PublicKey> {
    vec![PublicKey::parse(KEY).expect("it is one")]
}

#[test]
fn what_cosign_signed_is_believed_for_what_it_is_about_and_by_its_key_only() {
    assert!(signs(COSIGNS.as_bytes(), ABOUT, &keys()));
    let other = format!("sha256:{}", "5".repeat(64));
    assert!(!signs(COSIGNS.as_bytes(), &other, &keys()));
    assert!(!signs(COSIGNS.as_bytes(), "sha256:", &keys()));
    assert!(!signs(COSIGNS.as_bytes(), ABOUT, &[]));
}

#[test]
fn what_was_changed_of_a_bundle_is_believed_no_more() {
    let envelope: Value = serde_json::from_str(COSIGNS).expect("JSON");
    let payload = envelope.pointer("/dsseEnvelope/payload");
    let payload = payload.and_then(Value::as_str).expect("it is there");
    let said = BASE64_STANDARD.decode(payload).expect("base64");
    let said = String::from_utf8(said).expect("text");
    let other = said.replace("565d", "565e");
    for (from, to) in [
        (payload, &*BASE64_STANDARD.encode(other)),
        ("vnd.in-toto+json", "vnd.in-toto+yaml"),
        ("MEYCIQ", "MEYCIR"),
        ("dsseEnvelope", "envelope"),
        ("\"sig\"", "\"signature\""),
    ] {
        assert!(COSIGNS.contains(from), "{from}");
        let changed = COSIGNS.replace(from, to);
        assert!(!signs(changed.as_bytes(), ABOUT, &keys()), "{from}");
    }
    // Signed by the right key, and about it, but saying something else.
    for (from, to) in [
        ("cosign/sign/v1", "cosign/built/v1"),
        ("Statement/v1", "Statement/v0"),
    ] {
        let said: Value = serde_json::from_str(&said.replace(from, to)).expect("JSON");
        assert!(!is_about(&said, ABOUT), "{from}");
    }
}

/// A registry that has one bundle, and lists it here.
#[derive(Clone)]
struct Registry {
    list: String,
}

async fn answer(State(registry): State<Registry>, uri: Uri) -> (StatusCode, String) {
    let bundle = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2},
        "layers": [{"mediaType": BUNDLE, "digest": digest_of(COSIGNS.as_bytes()), "size": COSIGNS.len()}],
    })
    .to_string();
    let entry =
        |digest: &str, kind: &str| json!({"digest": digest, "artifactType": kind, "size": 1});
    let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        entry("../elsewhere", BUNDLE),
        entry(&digest_of(b"sbom"), "application/spdx+json"),
        entry(&digest_of(bundle.as_bytes()), BUNDLE),
    ]});
    let path = uri.path().strip_prefix("/v2/acme/web/").unwrap_or_default();
    if path == registry.list {
        return (StatusCode::OK, list.to_string());
    }
    if path == format!("manifests/{}", digest_of(bundle.as_bytes())) {
        return (StatusCode::OK, bundle);
    }
    if path == format!("blobs/{}", digest_of(COSIGNS.as_bytes())) {
        return (StatusCode::OK, COSIGNS.to_owned());
    }
    (StatusCode::NOT_FOUND, String::new())
}

async fn verified(list: &str, digest: &str, keys: &[PublicKey]) -> Result<(), Error> {
    let _set_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let host = listener.local_addr().expect("it has one");
    let registry = Registry {
        list: list.to_owned(),
    };
    let router = Router::new().fallback(answer).with_state(registry);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let access = Access {
        egress: Arc::new(Egress::new(vec!["127.0.0.0/8".parse().expect("it is one")])),
        login: None,
        plain: true,
        deadline: Instant::now() + Duration::from_secs(20),
    };
    let reference = format!("oci://{host}/acme/web:1").parse();
    verify(&reference.expect("it is one"), &access, digest, keys).await
}

#[tokio::test]
async fn a_bundle_is_found_where_registries_list_it() {
    let tag = format!("manifests/{}", ABOUT.replace(':', "-"));
    let listed = format!("referrers/{ABOUT}");
    for list in [&*tag, &listed] {
        verified(list, ABOUT, &keys()).await.expect(list);
        let none = PublicKey::parse(OTHER).expect("it is one");
        let why = verified(list, ABOUT, &[none]).await.expect_err(list);
        assert!(
            why.to_string().contains("none of its 1 signatures"),
            "{why}"
        );
    }
    let why = verified("elsewhere", ABOUT, &keys())
        .await
        .expect_err("none");
    assert!(why.to_string().contains("it has no signature"), "{why}");
}

const OTHER: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAqNQroFXkq5NJSxGXFsm19DfMTM/6ksD9yOvyuR970XI=
-----END PUBLIC KEY-----";
