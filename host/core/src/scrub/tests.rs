//! What is taken out, and what stays since nobody could find a fault without it.

use serde_json::json;

use super::*;

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----";

#[test]
fn what_looks_secret_in_a_text_is_taken_out() {
    for (says, sort, secret) in [
        (
            "fetching https://bob:hunter2@git.example/a.git failed",
            Sort::Login,
            "hunter2",
        ),
        (
            "clone https://oauth2tokenvalue@git.example/a",
            Sort::Login,
            "oauth2tokenvalue",
        ),
        ("ssh://deploy:p@ss@git.example/a", Sort::Login, "p@ss"),
        ("GET /x?access_token=abc123&b=1", Sort::Login, "abc123"),
        (
            "authorization: Bearer abcdef123456",
            Sort::Token,
            "abcdef123456",
        ),
        ("Basic dXNlcjpwYXNz was sent", Sort::Token, "dXNlcjpwYXNz"),
        (
            "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
            Sort::Token,
            "eyJhbGciOiJSUzI1NiJ9",
        ),
        (
            "is ghp_0123456789abcdefghij a token?",
            Sort::Token,
            "ghp_0123456789",
        ),
        (
            "glpat-abcdefghij0123456789 too",
            Sort::Token,
            "glpat-abcdefghij",
        ),
        (
            "called /hook/0a1b2c3d4e5f60718293a4b5c6d7e8f9",
            Sort::HookPath,
            "0a1b2c3d4e5f",
        ),
        ("password: hunter2", Sort::Named, "hunter2"),
        (r#"{"dbPassword":"hunter2","a":1"#, Sort::Named, "hunter2"),
        (r#"said {\"api_key\":\"hunter2\"}"#, Sort::Named, "hunter2"),
        (
            "client-key-data: LS0tLS1CRUdJTg==",
            Sort::Named,
            "LS0tLS1CRUdJTg",
        ),
        ("--git-token=hunter2 --x", Sort::Named, "hunter2"),
        (
            "sent 9fQ2xWm7Lk3RtY8uPz1AaBbCcDdEeFfG to it",
            Sort::Opaque,
            "9fQ2xWm7Lk3RtY8u",
        ),
    ] {
        let (shown, tally) = text(says);
        assert!(!shown.contains(secret), "{says}: {shown}");
        assert!(
            tally.each().any(|(one, times)| one == sort && times == 1),
            "{says}: {tally:?}"
        );
    }
    let (shown, tally) = text(&format!("a {KEY} b"));
    assert_eq!(shown, "a *** b");
    assert_eq!(tally.each().collect::<Vec<_>>(), [(Sort::PrivateKey, 1)]);
    let cut_off = KEY.split("-----END").next().unwrap();
    assert_eq!(text(cut_off).0, "***");
}

#[test]
fn what_a_fault_is_found_by_stays() {
    for says in [
        "main@sha1:0123456789abcdef0123456789abcdef01234567",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "ssh://git@git.example:2222/acme/web.git",
        "https://git.example/acme/web.git",
        "Secret acme/web-git is missing",
        "secretName: web-git",
        "reason TokenNotFound: the Secret has no token",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "acme/deployment.apps-web, configmap/a-name-that-is-rather-long-but-only-a-name",
        "kustomize.toolkit.fluxcd.io/v1",
        "2026-01-02T03:04:05.678Z",
    ] {
        assert_eq!(text(says), (says.to_owned(), Tally::default()));
    }
}

#[test]
fn an_object_keeps_what_it_is_and_loses_what_it_hides() {
    let last = json!({"spec": {"password": "hunter2"}, "kind": "X"}).to_string();
    let mut object = json!({
        "kind": "GitRepository",
        "metadata": {"name": "web", "managedFields": [{"manager": "x"}], "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": last, "acme.dev/token": "hunter2", "note": "see https://a:hunter2@b/",
        }},
        "spec": {
            "url": "https://bob:hunter2@git.example/web", "interval": "1m",
            "secretRef": {"name": "web-git"}, "kubeConfig": {"secretRef": {"name": "there"}},
            "postBuild": {"substitute": {"db_password": "hunter2", "colour": "red"}},
            "config": {"credentials": {"user": "hunter2", "secretRef": {"name": "kept"}}},
        },
        "status": {"webhookPath": "/hook/hunter2hunter2", "observedGeneration": 3},
    });
    let tally = value(&mut object);
    let shown = object.to_string();
    assert!(!shown.contains("hunter2"), "{shown}");
    for (kept, want) in [
        ("/metadata/name", "web"),
        ("/spec/secretRef/name", "web-git"),
        ("/spec/kubeConfig/secretRef/name", "there"),
        ("/spec/config/credentials/secretRef/name", "kept"),
        ("/spec/postBuild/substitute/colour", "red"),
        ("/spec/interval", "1m"),
    ] {
        assert_eq!(object.pointer(kept), Some(&json!(want)), "{kept}: {shown}");
    }
    assert!(object.pointer("/metadata/managedFields").is_none());
    assert!(
        tally.each().map(|(_, times)| times).sum::<usize>() >= 7,
        "{tally:?}"
    );
}

#[test]
fn secrets_inline_kubeconfigs_and_environments_are_emptied() {
    let mut value_of = json!({
        "items": [
            {"kind": "Secret", "data": {"a": "aHVudGVyMg=="}, "stringData": {"b": "hunter2"}},
            {"kind": "Thing", "spec": {"kubeConfig": "apiVersion: v1\nusers: [{user: {token: hunter2}}]"}},
            {"env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "LEVEL", "value": "info"}]},
            {"text": format!("x\n{KEY}\ny")},
        ],
    });
    value(&mut value_of);
    let shown = value_of.to_string();
    for secret in ["hunter2", "aHVudGVyMg", "b3BlbnNzaC1"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(
        value_of.pointer("/items/2/env/1/value"),
        Some(&json!("info"))
    );
}

#[test]
fn secrets_in_texts_that_are_yaml_are_taken_out_however_they_are_written() {
    for text_of in [
        "a: b\npassword: |\n  hunter2\n  hunter2\nc: d",
        "a: b\ndbPassword: >-\n\n  hunter2\nc: d",
        "a: b\npassword: !!str hunter2\nc: d",
        "a: b\npassword: correct hunter2 battery\nc: d",
        "a: b\n- token:\n    hunter2\nc: d",
        "a: b\ntokens:\n- hunter2\n- hunter2\nc: d",
        "a: b\ndsn: postgres://hunter2\nc: d",
        "a: b\nDB_PASS: hunter2\nc: d",
        "a: b\npwd: hunter2\nc: d",
        "a: b\nsigningKey: hunter2\nc: d",
        "a: b\nencryption-key: hunter2\nc: d",
        "a: b --password hunter2 x\nc: d",
        "a: b\n---\nkind: Secret\nstringData:\n  dsn-of: hunter2\n  x: |\n    hunter2\n---\nc: d",
        "a: b\n---\n- stringData: {x: hunter2}\n  kind: 'Secret'\n---\nc: d",
        "a: b\n---\n{kind: Secret, metadata: {name: x}, data: {x: hunter2}}\n---\nc: d",
    ] {
        let mut object = json!({"spec": {"patches": [{"patch": text_of}]}});
        let tally = value(&mut object);
        let shown = object["spec"]["patches"][0]["patch"].as_str().unwrap();
        assert!(!shown.contains("hunter2"), "{text_of}: {shown}");
        assert!(
            shown.starts_with("a: b") && shown.ends_with("c: d"),
            "{shown}"
        );
        assert_ne!(tally, Tally::default(), "{text_of}");
    }
    let patch = "- op: replace\n  path: /spec/colour\n  value: red\n---\nkind: ConfigMap\ndata:\n  colour: red\nsecretRef:\n  name: web";
    assert_eq!(text(patch), (patch.to_owned(), Tally::default()));
    let mut args = json!({"args": ["--password", "hunter2", "--token-file", "/a", "--password", "--plain", "b"]});
    value(&mut args);
    let want = json!([
        "--password",
        "***",
        "--token-file",
        "/a",
        "--password",
        "--plain",
        "b"
    ]);
    assert_eq!(args["args"], want);
}

#[test]
fn what_a_json_patch_puts_where_something_secret_is_is_taken_out() {
    let last = json!({"spec": {"patches": [{
        "patch": "- op: add\n  path: /stringData/x\n  value: hunter2",
    }]}});
    for patch in [
        "- op: add\n  path: /stringData/password\n  value: hunter2",
        "- value: hunter2\n  path: /data/x\n  op: add",
        "- op: add\n  value: |\n    hunter2\n    hunter2\n  path: '/stringData/x'",
        "- op: add\n  value:\n    x: hunter2\n  path: /stringData",
        "- op: add\n  path: /spec/values/dbPassword\n  value: hunter2",
        "- {op: add, path: /stringData/x, value: hunter2}",
        "- {op: add, value: 'hunter2, hunter2', path: /spec/tokens/0}",
        r#"[{"op":"add","path":"/stringData/x","value":"hunter2"}]"#,
        r#"[{"op":"add","path":"/stringData","value":{"x":"hunter2"}}]"#,
        // Cut off.
        r#"[{"op":"add","path":"/stringData/x","value":"hunter2"},"#,
        "[{\n  \"op\": \"add\",\n  \"path\": \"/stringData/x\",\n  \"value\": \"hunter2\"\n},",
        &last.to_string(),
    ] {
        let mut object = json!({"spec": {"patches": [{"patch": patch}]}});
        let tally = value(&mut object);
        assert!(!object.to_string().contains("hunter2"), "{object}");
        assert_ne!(tally, Tally::default(), "{patch}");
    }
    let mut object = json!({"patches": [
        {"target": {"kind": "Secret"}, "patch": "- op: add\n  path: /x\n  value: hunter2"},
        {"target": {"kind": "Deployment"}, "patch": "- op: add\n  path: /spec/replicas\n  value: 3"},
        {"op": "add", "path": "/stringData/x", "value": "hunter2"},
    ]});
    value(&mut object);
    assert!(!object.to_string().contains("hunter2"), "{object}");
    let kept = object["patches"][1]["patch"].as_str().unwrap();
    assert!(kept.ends_with("value: 3"), "{kept}");
    // What is beside the one that goes stays.
    let two = "- op: add\n  path: /spec/a\n  value: blue\n- op: add\n  path: /data/b\n  value: hunter2\n- op: add\n  path: /spec/c\n  value: green";
    let (shown, _) = text(two);
    assert!(shown.contains("blue") && shown.contains("green"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_value_goes_to_its_end_and_what_is_behind_it_stays() {
    for (says, shown) in [
        (
            r#"sh -c run --password "hunter2 hunter2" --level info"#,
            r#"sh -c run --password "***" --level info"#,
        ),
        (
            "run --db-password 'hunter2' --level info",
            "run --db-password '***' --level info",
        ),
        (
            r#"say --message "then --token hunter2" end"#,
            r#"say --message "then --token ***" end"#,
        ),
        (
            r#"curl -H "Authorization: Token hunter2" https://a.example"#,
            r#"curl -H "Authorization: ***" https://a.example"#,
        ),
        (
            "sent authorization=Key id=hunter2, sig=hunter2",
            "sent authorization=***",
        ),
        (
            "conn is Server=x;Password=correct hunter2 battery;Timeout=3",
            "conn is Server=x;Password=***;Timeout=3",
        ),
        (
            "login failed, password: correct hunter2 battery",
            "login failed, password: ***",
        ),
        (
            "login token=hunter2 user=bob failed",
            "login token=*** user=bob failed",
        ),
        (
            r#"said "password": "hunter2 is cut off"#,
            r#"said "password": "***"#,
        ),
    ] {
        assert_eq!(text(says).0, shown);
    }
    let long = "token=hunter2 ".repeat(100_000);
    assert!(!text(&long).0.contains("hunter2"));
}

#[test]
fn headers_of_a_collector_are_taken_out_of_environments() {
    let name = "OTEL_EXPORTER_OTLP_HEADERS";
    let mut object = json!({
        "env": [
            {"name": name, "value": "x-team=hunter2"}, {"name": "LEVEL", "value": "info"},
        ],
        "data": {name: "x-team=hunter2"},
        "script": format!("export {name}=x-team=hunter2"),
    });
    value(&mut object);
    assert!(!object.to_string().contains("hunter2"), "{object}");
    assert_eq!(object["env"][1]["value"], "info");
}

#[test]
fn lines_of_a_log_are_looked_at_field_by_field() {
    let log = format!(
        "{}\nplain password=hunter2 line\n{KEY}\n",
        json!({"level": "error", "ts": "2026-01-02T03:04:05.678Z", "error": "https://a:hunter2@b/ failed", "token": "hunter2"})
    );
    let (shown, _) = lines(&log);
    assert!(
        !shown.contains("hunter2") && !shown.contains("b3BlbnNzaC1"),
        "{shown}"
    );
    let first: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    assert_eq!(first["error"], "https://***@b/ failed");
    assert_eq!(first["ts"], "2026-01-02T03:04:05.678Z");
}

#[test]
fn what_goes_on_for_ever_is_cut_off() {
    let mut deep = json!("hunter2");
    for _ in 0..200 {
        deep = json!([deep]);
    }
    value(&mut deep);
    assert!(!deep.to_string().contains("hunter2"));
}
