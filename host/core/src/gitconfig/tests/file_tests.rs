//! How a file is read, and what is said of one that is wrong.

use super::*;

fn refused(text: &str, holds: Holds) -> String {
    parse(text.as_bytes(), holds).unwrap_err().to_string()
}

#[test]
fn the_root_may_be_rigs_or_the_content_itself() {
    let whole = file(EXAMPLE);
    let mut lines = EXAMPLE.lines().skip(3);
    let bare: String = lines
        .by_ref()
        .map(|line| format!("{}\n", line.strip_prefix("      ").unwrap()))
        .collect();
    assert_eq!(whole, file(&bare));
    assert_eq!((whole.general.len(), whole.providers.len()), (2, 3));
    for nothing in ["", "{}", "rig:", "rig: {client: {git: null}}", "auths:"] {
        assert_eq!(file(nothing), File::default(), "{nothing}");
    }
}

/// A file, and what is said of it.
const WRONG: [(&str, &str); 24] = [
    (
        "auths:\n- url: https://h/r\n  polling: {}\n",
        "line 3: auths[0].polling is not known: here stand url, pullingInterval, credentials",
    ),
    (
        "author:\n  emial: a@b\n",
        "line 2: author.emial is not known: is it email?",
    ),
    (
        "rig:\n  client:\n    docker: {}\n",
        "line 3: rig.client.docker is not known",
    ),
    (
        "gitlabAuths: []\n",
        "line 1: gitlabAuths is not known: is it gitLabAuths?",
    ),
    ("[]", "line 1: the configuration is no mapping"),
    ("a: b: c", "line 1: this is not valid YAML"),
    ("{}\n---\n{}\n", "this is not valid YAML"),
    ("auths: {}", "line 1: auths is no list"),
    (
        "auths:\n- pullingInterval: 5s\n",
        "line 2: auths[0].url is not set",
    ),
    (
        "auths: [{url: git.example}]",
        "auths[0].url is no address of a repository",
    ),
    (
        "auths: [{url: 'https://*/r'}]",
        "auths[0].url is no address of a repository",
    ),
    (
        "auths: [{url: 'https://a*.h/r'}]",
        "auths[0].url is no address of a repository",
    ),
    (
        "auths: [{url: 'https://h/o/%2a'}]",
        "auths[0].url means different places to different servers",
    ),
    (
        "auths: [{url: 'https://h/team/..;/*'}]",
        "auths[0].url is no address of a repository",
    ),
    (
        "auths: [{url: 'https://hunter2@h/r'}]",
        "auths[0].url holds a user or a password for http",
    ),
    (
        "auths: [{url: 'https://h/r', pullingInterval: 20}]",
        "auths[0].pullingInterval is no text: put it in quotes",
    ),
    (
        "auths: [{url: 'https://h/r', pullingInterval: 0s}]",
        "auths[0].pullingInterval is not between 1s and 24h",
    ),
    (
        "auths: [{url: 'https://h/r', credentials: {ssh: {private_key: k}, https: {username: u, password: p}}}]",
        "auths[0].credentials.https stands beside ssh: give one of the two",
    ),
    (
        "auths: [{url: 'https://h/r', credentials: {https: {username: u}}}]",
        "auths[0].credentials.https.password is not set",
    ),
    (
        "gitHubAuths: [{orgRepo: o/r/s}]",
        "gitHubAuths[0].orgRepo is no repository of GitHub",
    ),
    (
        "gitHubAuths: [{orgRepo: ../r}]",
        "gitHubAuths[0].orgRepo is no repository of GitHub",
    ),
    (
        "gitLabAuths: [{groupsProject: g/p}]",
        "gitLabAuths[0].groupsProject is no repository of GitLab",
    ),
    (
        "gitLabAuths: [{groupsProject: 'g:p', polling: {webhookSecret: hunter2, pullingIntervalSeconds: 5}}]",
        "gitLabAuths[0].polling.pullingIntervalSeconds stands beside webhookSecret",
    ),
    (
        "gitHubAuths: [{orgRepo: o/r, auth: {appID: hunter2, installationID: 1, privateKey: /../x}}]",
        "gitHubAuths[0].auth.privateKey is no path",
    ),
];

#[test]
fn what_cannot_be_read_is_told_by_its_line_and_field_and_never_by_its_value() {
    for (text, want) in WRONG {
        let told = refused(text, Holds::Secrets);
        assert!(told.contains(want), "{text}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let large = format!("# {}\n", "x".repeat(1 << 20));
    assert!(refused(&large, Holds::Secrets).contains("larger than"));
    let many = format!("auths: [{}]", "{url: 'https://h/r'}, ".repeat(1001));
    assert!(refused(&many, Holds::Secrets).contains("more than 1000 entries"));
}

const REFERRING: &str = "
auths:
- url: https://h/r
  credentials:
    https: {username: u, password: {valueFrom: {secretKeyRef: {name: s, key: k}}}}
gitHubAuths:
- orgRepo: o/r
  auth: {appID: 1, installationID: 2, privateKey: /keys/app.pem}
";

#[test]
fn in_a_config_map_secrets_are_named_and_none_stands_in_the_clear() {
    let read = parse(REFERRING.as_bytes(), Holds::References).unwrap();
    assert_eq!(read, file(REFERRING));
    let Some(Credentials::Https { password, .. }) = &read.general[0].credentials else {
        panic!("{read:?}");
    };
    let (secret, key) = ("s".parse().unwrap(), "k".to_owned());
    assert_eq!(*password, Hidden::Key { secret, key });
    let clear = REFERRING.replace("{valueFrom: {secretKeyRef: {name: s, key: k}}}", "hunter2");
    let told = refused(&clear, Holds::References);
    assert!(
        told.starts_with("line 5: auths[0].credentials.https.password stands in the clear"),
        "{told}"
    );
    assert!(!told.contains("hunter2"));
    for secret in ["accessToken: t", "webhookSecret: s"] {
        let field = if secret.starts_with('a') {
            "auth"
        } else {
            "polling"
        };
        let text = format!("gitLabAuths: [{{groupsProject: 'g:p', {field}: {{{secret}}}}}]");
        assert!(
            refused(&text, Holds::References).contains("in the clear"),
            "{text}"
        );
        file(&text);
    }
}

#[test]
fn no_secret_of_a_file_is_printed() {
    let text = EXAMPLE
        .replace("<pem-encoded-private-key>", "hunter2")
        .replace("secret123", "hunter2")
        .replace("MY_ACCESS_TOKEN", "hunter2");
    let printed = format!("{:?}", file(&text));
    assert!(
        !printed.contains("hunter2") && printed.contains("***"),
        "{printed}"
    );
}
