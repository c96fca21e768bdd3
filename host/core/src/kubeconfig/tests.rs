//! One good kubeconfig, one change, one outcome a row.

use super::*;

/// What must be in no error.
const HUNTER: &str = "hunter2";

fn pem(what: &str) -> String {
    STANDARD.encode(format!(
        "-----BEGIN {what}-----\n{HUNTER}\n-----END {what}-----\n"
    ))
}

fn good() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "edge",
        "clusters": [
            {"name": "other", "cluster": {"server": "http://elsewhere"}},
            {"name": "edge", "cluster": {
                "server": "https://API.example:6443/", "certificate-authority-data": pem("CERTIFICATE"),
                "insecure-skip-tls-verify": false, "proxy-url": "",
            }},
        ],
        "users": [
            {"name": "other", "user": {"exec": {"command": "sh"}}},
            {"name": "edge", "user": {"token": HUNTER}},
        ],
        "contexts": [{"name": "edge", "context": {"cluster": "edge", "user": "edge", "namespace": "x"}}],
    })
}

fn with(pointer: &str, value: Value) -> Result<Kubeconfig, Error> {
    let mut config = good();
    let (at, name) = pointer.rsplit_once('/').unwrap();
    let at = config.pointer_mut(at).unwrap().as_object_mut().unwrap();
    at.insert(name.to_owned(), value);
    parse(config.to_string().as_bytes())
}

#[test]
fn what_the_current_context_names_is_used_and_nothing_else_is_looked_at() {
    let read = parse(good().to_string().as_bytes()).unwrap();
    assert_eq!(read.server.to_string(), "https://api.example:6443");
    assert_eq!(
        (read.server.host(), read.server.port()),
        ("api.example", 6443)
    );
    let header = read.authorization.as_ref().unwrap();
    assert_eq!(header.expose(), "Bearer hunter2");
    let authority = read.authority.as_ref().unwrap();
    assert!(authority.starts_with("-----BEGIN CERTIFICATE"));
    assert!(!format!("{read:?}").contains(HUNTER), "{read:?}");
    let yaml = format!(
        "current-context: a\nclusters:\n- name: a\n  cluster: {{server: \"https://[::1]/k8s/c-1\"}}\nusers:\n- name: a\n  user: {{username: me, password: {HUNTER}}}\ncontexts:\n- name: a\n  context: {{cluster: a, user: a}}\n"
    );
    let read = parse(yaml.as_bytes()).unwrap();
    assert_eq!(read.server.to_string(), "https://[::1]:443/k8s/c-1");
    assert_eq!(
        read.authorization.unwrap().expose(),
        format!("Basic {}", STANDARD.encode("me:hunter2"))
    );
    assert_eq!(read.authority, None);
}

#[test]
fn a_certificate_is_shown_with_its_key_and_beside_a_token() {
    let certificate = pem("CERTIFICATE");
    let user = json!({"client-certificate-data": certificate, "client-key-data": pem("PRIVATE KEY"), "token": HUNTER});
    let read = with("/users/1/user", user).unwrap();
    assert!(read.certificate.is_some() && read.authorization.is_some());
    let half = with(
        "/users/1/user",
        json!({"client-certificate-data": certificate}),
    );
    assert_eq!(half.unwrap_err().field, "users[1].user.client-key-data");
}

#[test]
fn another_connection_has_another_digest() {
    let of = |pointer: &str, value: Value| with(pointer, value).unwrap().digest();
    let first = parse(good().to_string().as_bytes()).unwrap().digest();
    assert_eq!(of("/contexts/0/context/namespace", json!("y")), first);
    for (pointer, value) in [
        ("/users/1/user/token", json!("another")),
        (
            "/clusters/1/cluster/server",
            json!("https://api.example:6444"),
        ),
        ("/clusters/1/cluster/tls-server-name", json!("kubernetes")),
        (
            "/clusters/1/cluster/certificate-authority-data",
            Value::Null,
        ),
    ] {
        assert_ne!(of(pointer, value), first, "{pointer}");
    }
}

/// A field, what it is set to, and some of what is said.
type Refusal = (&'static str, Value, &'static str);

const USER: &str = "users/1/user";
const CLUSTER: &str = "clusters/1/cluster";

fn refusals_of_users() -> Vec<Refusal> {
    vec![
        ("exec", json!({"command": HUNTER}), "run a program"),
        ("auth-provider", json!({"name": HUNTER}), "run a program"),
        ("tokenFile", json!(HUNTER), "names a file"),
        ("client-certificate", json!(HUNTER), "names a file"),
        ("client-key", json!(HUNTER), "names a file"),
        ("as", json!(HUNTER), "impersonates"),
        ("as-uid", json!(HUNTER), "impersonates"),
        ("as-groups", json!([HUNTER]), "impersonates"),
        ("as-user-extra", json!({"a": [HUNTER]}), "impersonates"),
        ("username", json!(HUNTER), "one of the two"),
        ("token", json!("a\nhunter2"), "no token may hold"),
        ("token", json!(7), "no text"),
        ("token", Value::Null, "is not set"),
        ("something", json!(HUNTER), "not known"),
    ]
}

fn refusals_of_clusters() -> Vec<Refusal> {
    vec![
        ("certificate-authority", json!(HUNTER), "names a file"),
        ("insecure-skip-tls-verify", json!(true), "anybody"),
        ("proxy-url", json!(HUNTER), "no proxy"),
        ("certificate-authority-data", json!(HUNTER), "base64 of PEM"),
        ("tls-server-name", json!("a b"), "no DNS name"),
        ("server", json!("http://api.example"), "in the clear"),
        (
            "server",
            json!("https://me:hunter2@api.example"),
            "a user or a password",
        ),
        ("server", json!("https://api.example/../x"), "no address"),
        ("server", json!("unix:///run/x"), "no address"),
        ("server", json!("https://api.example?a=b"), "no address"),
        ("server", Value::Null, "is not set"),
    ]
}

#[test]
fn what_is_not_the_tenants_to_say_is_refused_by_its_field_and_without_its_value() {
    let users = refusals_of_users().into_iter().map(|row| (USER, row));
    let clusters = refusals_of_clusters().into_iter().map(|row| (CLUSTER, row));
    for (at, (field, value, words)) in users.chain(clusters) {
        let error = with(&format!("/{at}/{field}"), value).unwrap_err();
        let want = format!("{}.{field}", at.replace("/1/", "[1]."));
        assert_eq!(error.field, want, "{words}");
        let told = error.to_string();
        assert!(told.contains(words) && !told.contains(HUNTER), "{told}");
    }
}

#[test]
fn entries_are_found_by_their_names_once() {
    for (pointer, value, field, words) in [
        (
            "/clusters/1/cluster",
            json!(HUNTER),
            "clusters[1].cluster",
            "not a mapping",
        ),
        ("/current-context", json!(HUNTER), "contexts", "no entry"),
        (
            "/current-context",
            Value::Null,
            "current-context",
            "is not set",
        ),
        (
            "/contexts/0/context/user",
            json!(HUNTER),
            "users",
            "no entry",
        ),
        ("/clusters/0/name", json!("edge"), "clusters", "two entries"),
    ] {
        let error = with(pointer, value).unwrap_err();
        assert_eq!(error.field, field, "{pointer}");
        let told = error.to_string();
        assert!(told.contains(words) && !told.contains(HUNTER), "{told}");
    }
}

#[test]
fn what_is_no_kubeconfig_is_refused_without_its_content() {
    for (text, words) in [
        ("hunter2", "not one mapping"),
        ("a: [hunter2", "neither YAML nor JSON"),
        ("a: 1\n---\nb: 2", "not one mapping"),
        ("", "not one mapping"),
    ] {
        let told = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(told.contains(words) && !told.contains(HUNTER), "{told}");
    }
    let large = format!("a: {}", "x".repeat(LARGEST));
    let told = parse(large.as_bytes()).unwrap_err().to_string();
    assert!(told.contains("larger than"), "{told}");
}
