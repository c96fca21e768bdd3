//! One healthy GitRepository, one change, one outcome a row.
use super::*;
use crate::failure::{Explain as _, Turn};
use reeve_api::reason::Reason;
use serde_json::{Value, json};

const COMMIT: &str = "2ca07ce1cf1b5bb08a0f164a54d8d9742cc0128c";

/// The healthy one with `field` of its spec replaced.
fn with(field: &str, value: Value) -> Result<Wanted, Error> {
    let mut object = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"namespace": "acme", "name": "web", "generation": 2},
        "spec": {
            "interval": "1m",
            "timeout": "60s",
            "url": "ssh://git@example.com/acme/web",
            "secretRef": {"name": "web-key"},
            "ref": {"branch": "main"},
        },
    });
    object["spec"][field] = value;
    Wanted::parse(&serde_json::from_value(object).unwrap())
}

#[test]
fn a_provider_is_named_by_an_annotation_and_not_beside_a_secret() {
    let named = |provider: &str, secret: Value| {
        let object = json!({
            "metadata": {"namespace": "acme", "name": "web", "annotations": {"reeve.dev/provider": provider}},
            "spec": {"interval": "1m", "timeout": "60s", "url": "https://git.example/acme/web", "secretRef": secret},
        });
        Wanted::parse(&serde_json::from_value(object).unwrap())
    };
    let wanted = named("forge", Value::Null).unwrap();
    assert_eq!(wanted.provider.unwrap().to_string(), "forge");
    for (provider, secret, want) in [
        ("forge", json!({"name": "key"}), "not from both"),
        ("Not A Name", Value::Null, "reeve.dev/provider"),
    ] {
        let told = named(provider, secret).unwrap_err().to_string();
        assert!(told.contains(want), "{told}");
    }
}

#[test]
fn over_ssh_a_provider_stands_beside_the_secret_whose_key_it_puts_at_the_forge() {
    let read = |annotations: Value, secret: Value| {
        let object = json!({
            "metadata": {"namespace": "acme", "name": "web", "annotations": annotations},
            "spec": {"interval": "1m", "timeout": "60s", "url": "ssh://git@git.example/acme/web", "secretRef": secret},
        });
        Wanted::parse(&serde_json::from_value(object).unwrap()).unwrap()
    };
    let forge = json!({"reeve.dev/provider": "forge"});
    let wanted = read(forge.clone(), json!({"name": "key"}));
    assert_eq!(wanted.secret.unwrap().as_str(), "key");
    assert_eq!(wanted.key.unwrap().provider.unwrap().as_str(), "forge");
    let wanted = read(forge, Value::Null);
    assert_eq!((wanted.secret, wanted.key), (None, None));
    let wanted = read(json!({"reeve.dev/generate-key": "ed25519"}), Value::Null);
    assert_eq!(wanted.secret.unwrap().as_str(), "web-deploy-key");
}

#[test]
fn git_configuration_says_how_often_where_the_object_asks_for_that() {
    let read = |annotations: Value| {
        let object = json!({
            "metadata": {"namespace": "acme", "name": "web", "annotations": annotations},
            "spec": {"interval": "1m", "timeout": "60s", "url": "https://git.example/acme/web"},
        });
        Wanted::parse(&serde_json::from_value(object).unwrap())
    };
    assert!(!read(json!({})).unwrap().polled_as_configured);
    let asked = read(json!({"reeve.dev/polling": "git-config"}));
    assert!(asked.unwrap().polled_as_configured);
    let wrong = read(json!({"reeve.dev/polling": "20s"})).unwrap_err();
    assert!(wrong.to_string().contains("git-config"), "{wrong}");
}

#[test]
fn a_healthy_source_is_read() {
    let wanted = with("suspend", json!(false)).unwrap();
    assert_eq!(wanted.id.to_string(), "acme/web");
    assert_eq!(wanted.url.to_string(), "ssh://git@example.com/acme/web");
    assert_eq!(wanted.reference, Reference::Branch("main".into()));
    assert_eq!(
        (wanted.interval, wanted.timeout),
        (Duration::from_secs(60), Duration::from_secs(60))
    );
    assert_eq!(wanted.secret.unwrap().to_string(), "web-key");
    assert_eq!((wanted.proxy_secret, wanted.generation), (None, 2));
}

#[test]
fn the_reference_is_chosen_as_flux_chooses_it() {
    let all = json!({
        "branch": "main", "tag": "v1", "semver": "1.x", "name": "refs/pull/1/head", "commit": COMMIT,
    });
    let without = |fields: &[&str]| {
        let mut some = all.clone();
        for field in fields {
            some.as_object_mut().unwrap().remove(*field);
        }
        some
    };
    for (reference, want) in [
        (
            without(&[]),
            Reference::Commit {
                commit: COMMIT.into(),
                branch: Some("main".into()),
            },
        ),
        (
            without(&["branch"]),
            Reference::Commit {
                commit: COMMIT.into(),
                branch: None,
            },
        ),
        (
            without(&["commit"]),
            Reference::Name("refs/pull/1/head".into()),
        ),
        (
            without(&["commit", "name"]),
            Reference::Semver("1.x".parse().unwrap()),
        ),
        (
            without(&["commit", "name", "semver"]),
            Reference::Tag("v1".into()),
        ),
        (
            without(&["commit", "name", "semver", "tag"]),
            Reference::Branch("main".into()),
        ),
        (json!({}), Reference::Branch("master".into())),
        (json!({"branch": ""}), Reference::Branch("master".into())),
        (Value::Null, Reference::Branch("master".into())),
    ] {
        assert_eq!(
            with("ref", reference.clone()).unwrap().reference,
            want,
            "{reference}"
        );
    }
}

#[test]
fn a_reference_that_git_would_read_as_something_else_is_refused() {
    for reference in [
        json!({"branch": "--upload-pack=touch /tmp/x"}),
        json!({"branch": "a..b"}),
        json!({"branch": "a b"}),
        json!({"branch": "a:b"}),
        json!({"branch": "a@{1}"}),
        json!({"branch": "a//b"}),
        json!({"branch": ".a"}),
        json!({"branch": "a.lock"}),
        json!({"tag": "a^"}),
        json!({"name": "main"}),
        json!({"name": "refs/../x"}),
        json!({"commit": "2ca07ce"}),
        json!({"commit": COMMIT, "branch": "-x"}),
        json!({"semver": "latest"}),
    ] {
        let error = with("ref", reference.clone()).unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidSpec, "{reference}");
        assert!(error.to_string().starts_with("spec.ref."), "{error}");
    }
}

#[test]
fn who_must_have_signed_is_read_and_a_tag_must_be_asked_for_to_be_signed() {
    let secret = json!({"name": "keys"});
    for (mode, want) in [
        (json!({"secretRef": secret}), Mode::Head),
        (json!({"mode": "head", "secretRef": secret}), Mode::Head),
        (json!({"mode": "HEAD", "secretRef": secret}), Mode::Head),
        (json!({"mode": "Tag", "secretRef": secret}), Mode::Tag),
        (
            json!({"mode": "TagAndHEAD", "secretRef": secret}),
            Mode::TagAndHead,
        ),
    ] {
        let verify = with("verify", mode).unwrap().verify.unwrap();
        assert_eq!((verify.mode, verify.secret.as_str()), (want, "keys"));
    }
    for (reference, tag) in [
        (json!({"branch": "main"}), false),
        (json!({"commit": COMMIT}), false),
        (json!({"name": "refs/heads/main"}), false),
        (json!({"name": "refs/tags/v1"}), true),
        (json!({"tag": "v1"}), true),
        (json!({"semver": "1.x"}), true),
    ] {
        let wanted = with("ref", reference.clone()).unwrap();
        for mode in [Mode::Head, Mode::Tag, Mode::TagAndHead] {
            let fits = mode.fits(&wanted.reference);
            assert_eq!(
                fits.is_ok(),
                tag || mode == Mode::Head,
                "{reference} {mode:?}"
            );
        }
    }
}

#[test]
fn a_field_that_nothing_acts_on_is_named() {
    for (field, value) in [
        ("serviceAccountName", json!("flux")),
        ("accessFrom", json!({"namespaceSelectors": []})),
    ] {
        let error = with(field, value).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("spec.{field} is not supported yet")
        );
        assert_eq!(
            (error.reason(), error.turn()),
            (Reason::Unsupported, Turn::Owner)
        );
    }
    let error = with("provider", json!("azure")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "spec.provider: azure is not supported yet"
    );
    assert!(!with("provider", json!("generic")).unwrap().app);
    assert!(with("recurseSubmodules", json!(true)).unwrap().submodules);
}

#[test]
fn a_field_that_cannot_be_used_is_named_and_a_password_is_not() {
    for (field, value) in [
        ("interval", json!("0s")),
        ("timeout", json!("2h")),
        ("timeout", json!("0s")),
        ("secretRef", json!({"name": "a/b"})),
        ("proxySecretRef", json!({"name": ""})),
        ("verify", json!({"secretRef": {"name": "a/b"}})),
        ("ignore", json!("x".repeat(300_000))),
        ("sparseCheckout", json!(["apps", "../etc"])),
        ("sparseCheckout", json!(["a\\b"])),
        ("sparseCheckout", json!(["a\u{0}b"])),
        ("sparseCheckout", json!(["x".repeat(2000)])),
        ("sparseCheckout", json!(vec!["a"; 300])),
        ("include", json!([{"repository": {"name": "a/b"}}])),
        (
            "include",
            json!([{"repository": {"name": "a"}, "toPath": "x/../../y"}]),
        ),
        (
            "include",
            json!([{"repository": {"name": "a"}, "fromPath": ".."}]),
        ),
        (
            "include",
            json!(vec![json!({"repository": {"name": "a"}}); 40]),
        ),
        ("url", json!("https://user:hunter2@example.com/a b")),
        ("url", json!("file:///etc")),
    ] {
        let error = with(field, value).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("spec.{field}")),
            "{error}"
        );
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}

#[test]
fn paths_begin_at_the_root_whatever_they_begin_with() {
    let reference = json!({"name": "base"});
    for (from, to, read) in [
        (json!(null), json!(null), ("", "base")),
        (json!(""), json!(""), ("", "base")),
        (json!("./deploy/"), json!("/x//y"), ("deploy", "x/y")),
        (json!("/"), json!("./"), ("", "")),
    ] {
        let set = json!([{"repository": reference, "fromPath": from, "toPath": to}]);
        let wanted = with("include", set).unwrap();
        let include = &wanted.include[0];
        assert_eq!((include.from.as_str(), include.to.as_str()), read);
        assert_eq!(include.repository.as_str(), "base");
    }
    let wanted = with("sparseCheckout", json!(["./apps", "/infra/dns/"])).unwrap();
    assert_eq!(wanted.sparse, ["apps", "infra/dns"]);
}

#[test]
fn the_version_in_a_tag_is_no_place_and_all_before_it_is() {
    for (tag, track) in [
        ("v1.2.3", None),
        ("1.2.3-rc.1", None),
        ("2026-11-23", None),
        ("0a1b2c3", None),
        ("deadbeef", None),
        ("latest", Some("latest")),
        ("prod", Some("prod")),
        ("prod-7", Some("prod")),
        ("prod7", Some("prod")),
        ("prod-v1.2", Some("prod")),
        ("app/v1.2.3", Some("app")),
        ("main-a1b2c3d-1699", Some("main")),
        ("", None),
        ("-", None),
    ] {
        assert_eq!(super::track(tag), track, "{tag:?}");
    }
    let place = |reference: Reference| reference.place();
    assert_eq!(place(Reference::Tag("v2".into())), None);
    assert_eq!(
        place(Reference::Tag("prod-2".into())).as_deref(),
        Some("tag prod")
    );
    assert_eq!(
        place(Reference::Branch("prod".into())).as_deref(),
        Some("prod")
    );
}
