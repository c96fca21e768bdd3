//! WriteBacks, as they are read.

use serde_json::Value;

use super::*;

/// With these fields in the place of its own.
fn parse(fields: Value) -> Result<Spec, Error> {
    let mut object = json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "WriteBack",
        "metadata": {"name": "back", "namespace": "acme", "generation": 3},
        "spec": {"sourceRef": {"name": "web"}, "rules": [{"syncTo": "git"}]},
    });
    let spec = object["spec"].as_object_mut().unwrap();
    spec.extend(fields.as_object().unwrap().clone());
    Spec::parse(&serde_json::from_value(object).unwrap())
}

#[test]
fn what_is_not_said_has_a_default() {
    let spec = parse(json!({})).unwrap();
    assert_eq!(spec.id.to_string(), "acme/back");
    assert_eq!(spec.source.to_string(), "GitRepository/acme/web");
    assert_eq!((spec.branch, spec.path.as_str()), (None, ""));
    assert_eq!(spec.interval, Duration::from_secs(600));
    assert_eq!(spec.debounce, Duration::from_secs(5));
    assert_eq!((spec.author, spec.signing), (Author::default(), None));
    assert_eq!((spec.service_account, spec.generation), (None, 3));
    assert_eq!(spec.propose, Propose::Commit);
    assert_eq!(spec.template, DEFAULT_TEMPLATE);
}

#[test]
fn what_is_said_is_read() {
    let spec = parse(json!({
        "branch": "live", "path": "./clusters//prod/", "interval": "1h", "debounce": "500ms",
        "author": {"name": "Robot", "email": "robot@acme.example"},
        "signing": {"secretRef": {"name": "key"}}, "serviceAccountName": "writer",
        "sourceRef": {"kind": "GitRepository", "name": "acme", "namespace": "sources"},
        "newObjects": {"path": "{kind}/{name}.yaml"},
        "propose": "pullRequest", "pullRequest": {"title": "From the cluster", "labels": ["live"], "reviewers": ["ann"]},
    }))
    .unwrap();
    assert_eq!(spec.source.to_string(), "GitRepository/sources/acme");
    assert_eq!(
        (spec.branch.as_deref(), spec.path.as_str()),
        (Some("live"), "clusters/prod")
    );
    assert_eq!(spec.debounce, Duration::from_millis(500));
    let Propose::Request(request) = spec.propose else {
        panic!("it proposes");
    };
    assert_eq!(request.branch, "reeve/acme/back");
    assert_eq!(request.title.as_deref(), Some("From the cluster"));
    assert_eq!(
        (request.labels, request.reviewers),
        (vec!["live".to_owned()], vec!["ann".to_owned()])
    );
}

#[test]
fn only_directories_below_its_own_are_reached() {
    let of = |path: &str, directory: &str| parse(json!({"path": path})).unwrap().reaches(directory);
    assert!(of("", "") && of("", "prod") && of("prod", "prod") && of("prod", "prod/web"));
    assert!(!of("prod", "") && !of("prod", "production") && !of("prod/web", "prod"));
}

#[test]
fn a_field_that_cannot_be_used_is_named() {
    let request =
        |branch: &str| json!({"propose": "pullRequest", "pullRequest": {"branch": branch}});
    for (fields, says) in [
        (
            json!({"path": "../other"}),
            "spec.path: it leads out of the source",
        ),
        (json!({"path": "a\\b"}), "spec.path: it holds a backslash"),
        (
            json!({"path": ".github/workflows"}),
            "spec.path: it leads into what is git's own, or the forge's",
        ),
        (
            json!({"path": "a/.Git"}),
            "spec.path: it leads into what is git's own, or the forge's",
        ),
        (
            json!({"branch": "a..b"}),
            "spec.branch: it holds a character",
        ),
        (
            json!({"branch": "a b"}),
            "spec.branch: it holds a character",
        ),
        (
            json!({"branch": "refs/heads/main"}),
            "spec.branch: it is no name",
        ),
        (json!({"branch": "/main"}), "spec.branch: it is no name"),
        (json!({"branch": "main.lock"}), "spec.branch: it is no name"),
        (json!({"branch": "-d"}), "spec.branch: it is no name"),
        (json!({"branch": "HEAD"}), "spec.branch: it is no name"),
        (json!({"interval": "1ms"}), "spec.interval: "),
        (
            json!({"debounce": "2h"}),
            "spec.debounce: it is longer than an hour",
        ),
        (json!({"author": {"name": "a\nb"}}), "spec.author.name: "),
        (
            json!({"author": {"email": "a <b@c>"}}),
            "spec.author.email: ",
        ),
        (
            json!({"author": {"email": "nobody"}}),
            "spec.author.email: it is no address",
        ),
        (
            json!({"signing": {"secretRef": {"name": "../x"}}}),
            "spec.signing.secretRef.name: ",
        ),
        (
            json!({"serviceAccountName": "a:b"}),
            "spec.serviceAccountName: ",
        ),
        (
            json!({"sourceRef": {"name": "a/b"}}),
            "spec.sourceRef.name: ",
        ),
        (
            json!({"sourceRef": {"name": "a", "namespace": ".."}}),
            "spec.sourceRef.namespace: ",
        ),
        (
            json!({"rules": [{"syncTo": "git", "labels": "a in (b"}]}),
            "spec.rules: [0].labels: ",
        ),
        (
            json!({"newObjects": {"path": "../{kind}-{name}.yaml"}}),
            "spec.newObjects.path: the path of the file",
        ),
        (
            json!({"newObjects": {"path": "{kind}-{nom}.yaml"}}),
            "spec.newObjects.path: the template",
        ),
        (
            json!({"newObjects": {"path": "{namespace}/{name}.yaml"}}),
            "spec.newObjects.path: {kind} is missing",
        ),
        (
            json!({"newObjects": {"path": "all.yaml"}}),
            "spec.newObjects.path: {kind} is missing",
        ),
        (json!({"pullRequest": {}}), "spec.pullRequest: it is set"),
        (
            request("reeve/{other}"),
            "spec.pullRequest.branch: it holds a word in braces",
        ),
        (
            request("reeve/../main"),
            "spec.pullRequest.branch: it holds a character",
        ),
        (
            json!({"propose": "pullRequest", "pullRequest": {"title": "a\nb"}}),
            "spec.pullRequest.title: ",
        ),
        (
            json!({"propose": "pullRequest", "pullRequest": {"labels": [" "]}}),
            "spec.pullRequest.labels: ",
        ),
        (
            json!({"branch": "reeve/acme/back", "propose": "pullRequest"}),
            "spec.pullRequest.branch: it is the branch",
        ),
    ] {
        let told = parse(fields.clone()).unwrap_err().to_string();
        assert!(told.starts_with(says), "{fields}: {told}");
    }
}
