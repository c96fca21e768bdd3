//! One healthy Kustomization, one change, one outcome a row.
use super::*;
use reeve_kustomize::OverlayImage;
use serde_json::{Value, json};

fn healthy() -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"namespace": "acme", "name": "web", "generation": 3},
        "spec": {
            "interval": "10m",
            "path": "./",
            "prune": true,
            "serviceAccountName": "flux",
            "targetNamespace": "acme",
            "sourceRef": {"kind": "GitRepository", "name": "web"},
        },
    })
}

fn parse(object: Value) -> Result<Spec, Error> {
    Spec::parse(&serde_json::from_value(object).unwrap())
}

/// The healthy one with `field` of its spec replaced.
fn with(field: &str, value: Value) -> Result<Spec, Error> {
    let mut object = healthy();
    object["spec"][field] = value;
    parse(object)
}

#[test]
fn what_is_being_deleted_can_be_read_whatever_else_it_asks_for() {
    for (field, value) in [
        ("components", json!(["/a"])),
        ("patchesJson6902", json!([{"patch": "x"}])),
        ("dependsOn", json!([{"name": "web"}])),
        ("postBuild", json!({"substitute": {"1": "b"}})),
    ] {
        assert!(with(field, value.clone()).is_err(), "{field}");
        let mut object = healthy();
        object["spec"][field] = value;
        let object = serde_json::from_value(object).unwrap();
        let spec = Spec::parse(&to_withdraw(&object)).unwrap();
        assert!(spec.prunes_on_deletion(), "{field}");
    }
}

#[test]
fn a_healthy_kustomization_is_read() {
    let spec = parse(healthy()).unwrap();
    assert_eq!(spec.id.to_string(), "acme/web");
    assert_eq!(spec.source.to_string(), "GitRepository/acme/web");
    assert_eq!(spec.path, "");
    assert_eq!(spec.interval, Duration::from_secs(600));
    assert_eq!(spec.retry_interval, spec.interval);
    assert_eq!(spec.timeout, Duration::from_secs(570));
    assert_eq!(spec.service_account.as_ref().unwrap().to_string(), "flux");
    assert_eq!(spec.target_namespace.as_ref().unwrap().to_string(), "acme");
    assert_eq!(spec.overlay.namespace.as_deref(), Some("acme"));
    assert_eq!(spec.generation, 3);
    assert!(spec.prune && !spec.force && !spec.suspend);
}

#[test]
fn a_field_that_nothing_acts_on_is_named() {
    let reference = json!({"name": "x"});
    for (field, value, names) in [
        ("decryption", json!({"provider": "sops"}), "spec.decryption"),
        (
            "kubeConfig",
            json!({"configMapRef": reference}),
            "spec.kubeConfig.configMapRef",
        ),
    ] {
        let error = with(field, value).unwrap_err();
        assert_eq!(error.to_string(), format!("{names} is not supported yet"));
        assert_eq!(
            (error.reason(), error.turn()),
            (Reason::Unsupported, Turn::Owner)
        );
        assert_eq!(error.hint(), Some(format!("remove {names}")));
    }
}

#[test]
fn another_cluster_is_named_by_a_secret_and_its_key() {
    assert_eq!(parse(healthy()).unwrap().kube_config, None);
    for (reference, keys) in [
        (json!({"name": "edge"}), vec!["value", "value.yaml"]),
        (
            json!({"name": "edge", "key": ""}),
            vec!["value", "value.yaml"],
        ),
        (json!({"name": "edge", "key": "config"}), vec!["config"]),
    ] {
        let spec = with("kubeConfig", json!({"secretRef": reference})).unwrap();
        let asked = spec.kube_config.unwrap();
        assert_eq!((asked.secret.as_str(), asked.keys()), ("edge", keys));
    }
    for (reference, field) in [
        (json!({}), "spec.kubeConfig:"),
        (
            json!({"secretRef": {"name": "../x"}}),
            "spec.kubeConfig.secretRef.name:",
        ),
        (
            json!({"secretRef": {"name": "x", "key": "../y"}}),
            "spec.kubeConfig.secretRef.key:",
        ),
    ] {
        let error = with("kubeConfig", reference).unwrap_err();
        assert!(error.to_string().starts_with(field), "{error}");
        assert_eq!(error.reason(), Reason::InvalidSpec);
    }
}

#[test]
fn a_component_is_a_path_in_the_source() {
    let spec = with("components", json!(["../a", "b"])).unwrap();
    assert_eq!(spec.overlay.components, ["../a", "b"]);
    for path in [
        "/a",
        "https://example.com/a",
        "git@example.com:a",
        "a?ref=b",
    ] {
        let error = with("components", json!([path])).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("spec.components: {path:?} is no relative path in the source")
        );
        assert_eq!(error.turn(), Turn::Owner);
    }
}

#[test]
fn operations_that_are_no_list_are_refused() {
    let error = with("patchesJson6902", json!([{"patch": "[]"}])).unwrap_err();
    assert_eq!(error.reason(), Reason::InvalidSpec);
    assert!(error.to_string().starts_with("spec.patchesJson6902: "));
}

#[test]
fn what_has_to_be_ready_first_is_read_and_is_never_itself() {
    let names = |value| -> Vec<String> {
        let spec = with("dependsOn", value).unwrap();
        spec.depends_on
            .iter()
            .map(|one| one.id.to_string())
            .collect()
    };
    let two = json!([{"name": "db"}, {"name": "web", "namespace": "infra"}]);
    assert_eq!(names(two), ["acme/db", "infra/web"]);
    let many = vec![json!({"name": "a"}); 101];
    for (value, message) in [
        (json!([{"name": "web"}]), "[0]: it cannot depend on itself"),
        (
            json!([{"name": "db"}, {"name": "../x"}]),
            "[1] is no name of a Kustomization",
        ),
        (
            json!([{"name": "db", "namespace": "A"}]),
            "[0] is no name of a Kustomization",
        ),
        (
            json!(many),
            "it names 101 Kustomizations; at most 100 are looked at",
        ),
    ] {
        let error = with("dependsOn", value).unwrap_err();
        assert_eq!(error.to_string(), format!("spec.dependsOn: {message}"));
        assert_eq!(error.turn(), Turn::Owner);
    }
}

#[test]
fn what_has_to_be_healthy_is_read_as_flux_reads_it() {
    assert!(!parse(healthy()).unwrap().health.is_asked_for());
    let mut object = healthy();
    object["spec"]["healthChecks"] = json!([
        {"kind": "Deployment", "name": "web"},
        {"apiVersion": "v1", "kind": "Service", "name": "web", "namespace": "other"},
    ]);
    let read = parse(object.clone()).unwrap().health;
    let named: Vec<_> = read
        .checks
        .iter()
        .map(|c| {
            (
                c.group.as_str(),
                c.version.as_str(),
                c.namespace.as_ref().map(ToString::to_string),
            )
        })
        .collect();
    assert_eq!(
        named,
        [("apps", "v1", None), ("", "v1", Some("other".into()))]
    );
    object["spec"]["wait"] = json!(true);
    let all = parse(object).unwrap().health;
    assert!(all.wait && all.checks.is_empty(), "wait is all there is");
}

#[test]
fn an_expression_that_cannot_be_read_is_told_with_its_place_and_stalls() {
    let health = |current: &str| {
        let one = json!({"apiVersion": "example.com/v1", "current": current});
        with("healthCheckExprs", json!([one]))
    };
    assert_eq!(health("status.ok == true").unwrap().health.judges.len(), 1);
    let ready = |expr: &str| with("dependsOn", json!([{"name": "db", "readyExpr": expr}]));
    assert!(
        ready("dep.status.x == self.metadata.name")
            .unwrap()
            .depends_on[0]
            .ready
            .is_some()
    );
    for (error, field) in [
        (
            health("status.ok ==").unwrap_err(),
            "spec.healthCheckExprs[0].current: 1:",
        ),
        (
            ready("other.x == 1").unwrap_err(),
            "spec.dependsOn[0].readyExpr: 1:",
        ),
    ] {
        assert!(error.to_string().starts_with(field), "{error}");
        let told = (error.reason(), error.turn());
        assert_eq!(told, (Reason::InvalidCelExpression, Turn::Owner));
    }
}

#[test]
fn a_health_check_that_names_nothing_is_refused() {
    let many = vec![json!({"kind": "Pod", "name": "a"}); 501];
    for (value, message) in [
        (json!([{"kind": "", "name": "web"}]), "[0].kind is missing"),
        (
            json!([{"kind": "A", "name": "a"}, {"kind": "A", "name": ""}]),
            "[1].name is missing",
        ),
        (
            json!([{"kind": "A", "name": "a", "apiVersion": "a/b/c"}]),
            "[0].apiVersion is no API version",
        ),
        (
            json!([{"kind": "A", "name": "a", "namespace": "../b"}]),
            "[0].namespace is no name of a namespace",
        ),
        (
            json!(many),
            "it names 501 objects; at most 500 are looked at",
        ),
    ] {
        let error = with("healthChecks", value).unwrap_err();
        assert_eq!(error.to_string(), format!("spec.healthChecks: {message}"));
        assert_eq!(error.reason(), Reason::InvalidSpec);
    }
}

#[test]
fn a_source_may_be_one_that_another_controller_keeps() {
    for kind in [
        "GitRepository",
        "OCIRepository",
        "Bucket",
        "ExternalArtifact",
    ] {
        let source = json!({"kind": kind, "name": "web"});
        let spec = with("sourceRef", source).unwrap();
        assert!(spec.source.to_string().starts_with(kind), "{}", spec.source);
        assert_eq!(spec.source.name.as_str(), "web");
    }
}

#[test]
fn a_field_that_changes_nothing_is_accepted() {
    for (field, value) in [
        ("wait", json!(false)),
        ("dependsOn", json!([])),
        ("postBuild", json!({})),
        ("postBuild", json!({"substituteStrategy": "WithVariables"})),
        ("postBuild", json!({"substitute": {"a": "b"}})),
        (
            "postBuild",
            json!({"substituteFrom": [{"kind": "ConfigMap", "name": "x"}]}),
        ),
        ("postBuild", json!({"substituteStrategy": "Always"})),
        ("ignore", json!([{"paths": ["/spec/replicas"]}])),
        ("ignoreMissingComponents", json!(true)),
        ("validation", json!("client")),
        ("force", json!(true)),
        ("deletionPolicy", json!("Orphan")),
        ("namePrefix", json!("dev-")),
        ("commonMetadata", json!({"labels": {"team": "web"}})),
    ] {
        assert!(with(field, value.clone()).is_ok(), "{field}: {value}");
    }
}

#[test]
fn a_field_that_cannot_be_used_is_named_with_its_reason() {
    for (field, value, message) in [
        (
            "interval",
            json!("0s"),
            "spec.interval: 0ns is too short; the shortest is 1s",
        ),
        (
            "interval",
            json!("999ms"),
            "spec.interval: 999ms is too short; the shortest is 1s",
        ),
        (
            "interval",
            json!("90000h"),
            "spec.interval: it is too long; the longest is 87600h",
        ),
        (
            "retryInterval",
            json!("0s"),
            "spec.retryInterval: 0ns is too short; the shortest is 1s",
        ),
        (
            "sourceRef",
            json!({"kind": "GitRepository", "name": "web", "apiVersion": "example.com/v1"}),
            "spec.sourceRef.apiVersion: kind GitRepository is of group source.toolkit.fluxcd.io",
        ),
    ] {
        let error = with(field, value).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(
            (error.reason(), error.turn()),
            (Reason::InvalidSpec, Turn::Owner)
        );
    }
    for (field, value) in [
        ("serviceAccountName", json!("Flux")),
        ("serviceAccountName", json!("other:flux")),
        ("targetNamespace", json!("a/b")),
        ("sourceRef", json!({"kind": "GitRepository", "name": "a/b"})),
        (
            "sourceRef",
            json!({"kind": "GitRepository", "name": "web", "namespace": "A"}),
        ),
    ] {
        let error = with(field, value.clone()).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("spec.{field}")),
            "{error}"
        );
    }
}

#[test]
fn a_path_is_cleaned_and_stays_in_the_source() {
    for (path, clean) in [
        ("", ""),
        ("./", ""),
        (".", ""),
        ("a/b", "a/b"),
        ("./a/b/", "a/b"),
        ("./a/../b", "b"),
        ("a//b/./c", "a/b/c"),
        ("a/..", ""),
        ("...", "..."),
        ("a b/ü", "a b/ü"),
    ] {
        assert_eq!(with("path", json!(path)).unwrap().path, clean, "{path:?}");
    }
    for (path, why) in [
        ("..", "it leads out of the source"),
        ("../x", "it leads out of the source"),
        ("a/../../x", "it leads out of the source"),
        ("a/../../a", "it leads out of the source"),
        (
            "a\\b",
            "it holds a backslash; directories are separated by /",
        ),
        ("a\0b", "it holds a NUL character"),
        (&"a/".repeat(3000), "it is longer than 4096 bytes"),
    ] {
        let error = with("path", json!(path)).unwrap_err();
        assert_eq!(error.to_string(), format!("spec.path: {why}"), "{path:?}");
    }
}

#[test]
fn the_timeout_is_what_is_set_or_follows_the_interval_and_is_never_under_30s() {
    for (interval, set, seconds) in [
        ("10m", None, 570),
        ("40s", None, 30),
        ("1s", None, 30),
        ("10m", Some("2m"), 120),
        ("10m", Some("5s"), 30),
        ("1m", Some("1h"), 3600),
    ] {
        let mut object = healthy();
        object["spec"]["interval"] = json!(interval);
        if let Some(set) = set {
            object["spec"]["timeout"] = json!(set);
        }
        let spec = parse(object).unwrap();
        assert_eq!(
            spec.timeout,
            Duration::from_secs(seconds),
            "{interval} {set:?}"
        );
    }
}

#[test]
fn an_empty_name_counts_as_none() {
    assert_eq!(
        with("serviceAccountName", json!(""))
            .unwrap()
            .service_account,
        None
    );
    let spec = with("targetNamespace", json!("")).unwrap();
    assert_eq!(
        (spec.target_namespace, spec.overlay.namespace),
        (None, None)
    );
    let source = json!({"kind": "GitRepository", "name": "web", "namespace": ""});
    assert_eq!(
        with("sourceRef", source).unwrap().source.to_string(),
        "GitRepository/acme/web"
    );
}

#[test]
fn what_is_laid_over_the_kustomization_is_carried_over() {
    let mut object = healthy();
    object["spec"]["namePrefix"] = json!("dev-");
    object["spec"]["nameSuffix"] = json!("-1");
    object["spec"]["images"] =
        json!([{"name": "web", "newName": "w", "newTag": "2", "digest": "d"}]);
    object["spec"]["patches"] = json!([
        {"patch": "a: b", "target": {"kind": "Deployment", "labelSelector": "x=y"}},
        {"patch": "c: d"},
    ]);
    let overlay = parse(object).unwrap().overlay;
    assert_eq!(overlay.name_prefix.as_deref(), Some("dev-"));
    assert_eq!(overlay.name_suffix.as_deref(), Some("-1"));
    assert_eq!(
        overlay.images,
        [OverlayImage {
            name: "web".into(),
            new_name: "w".into(),
            new_tag: "2".into(),
            digest: "d".into()
        }]
    );
    let [first, second] = overlay.patches.as_slice() else {
        panic!("two patches")
    };
    assert_eq!(
        (first.patch.as_str(), second.patch.as_str()),
        ("a: b", "c: d")
    );
    let target = first.target.as_ref().unwrap();
    assert_eq!(
        (target.kind.as_str(), target.label_selector.as_str()),
        ("Deployment", "x=y")
    );
    assert_eq!(second.target, None);
}

#[test]
fn the_objects_go_with_the_kustomization_only_where_that_was_asked_for() {
    for (policy, prune, suspend, goes) in [
        ("MirrorPrune", true, false, true),
        ("MirrorPrune", false, false, false),
        ("Delete", false, false, true),
        ("Orphan", true, false, false),
        ("MirrorPrune", true, true, false),
        ("Delete", true, true, false),
    ] {
        let mut object = healthy();
        object["spec"]["deletionPolicy"] = json!(policy);
        object["spec"]["prune"] = json!(prune);
        object["spec"]["suspend"] = json!(suspend);
        let spec = parse(object).unwrap();
        assert_eq!(
            spec.prunes_on_deletion(),
            goes,
            "{policy} prune={prune} suspend={suspend}"
        );
    }
}
