//! What is planned for a bundle: one manifest, one change, one outcome a row.
use super::*;
use crate::bundle::Rendered;
use serde_json::json;

fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    let mut metadata = json!({"name": name});
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
}

fn config_map(name: &str) -> Value {
    object("v1", "ConfigMap", "acme", name)
}

fn spec(change: impl FnOnce(&mut Value)) -> Spec {
    let mut object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"namespace": "acme", "name": "web"},
        "spec": {
            "interval": "10m",
            "prune": true,
            "targetNamespace": "acme",
            "sourceRef": {"kind": "GitRepository", "name": "web"},
        },
    });
    change(&mut object["spec"]);
    Spec::parse(&serde_json::from_value(object).unwrap()).unwrap()
}

fn scopes() -> Scopes {
    let known = [
        ("", "ConfigMap", Scope::Namespaced),
        ("", "Secret", Scope::Namespaced),
        ("", "Service", Scope::Namespaced),
        ("", "Pod", Scope::Namespaced),
        ("", "Namespace", Scope::Cluster),
        ("apps", "Deployment", Scope::Namespaced),
        ("batch", "CronJob", Scope::Namespaced),
        ("rbac.authorization.k8s.io", "ClusterRole", Scope::Cluster),
        ("rbac.authorization.k8s.io", "Role", Scope::Namespaced),
        (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            Scope::Cluster,
        ),
    ];
    let known = known
        .into_iter()
        .map(|(group, kind, scope)| ((group.into(), kind.into()), scope));
    known.collect()
}

fn bundle(values: &[Value]) -> Bundle<Transformed> {
    let objects = values
        .iter()
        .map(|value| Object::try_from(value.clone()).unwrap())
        .collect();
    Bundle::<Rendered>::built(objects).unwrap().settled()
}

fn inventory(ids: &[&str]) -> Inventory {
    Inventory::parse(ids.iter().map(|id| (*id, "v1"))).unwrap()
}

fn propose(values: &[Value]) -> Result<Plan<Proposed>, Error> {
    Plan::propose(
        bundle(values),
        &scopes(),
        &Inventory::default(),
        &spec(|_| {}),
    )
}

fn ids(plan: &Plan<Proposed>) -> Vec<String> {
    plan.objects()
        .map(|planned| planned.id().to_string())
        .collect()
}

fn manifest(value: Value) -> Value {
    propose(&[value])
        .unwrap()
        .objects()
        .next()
        .unwrap()
        .manifest()
        .clone()
}

#[test]
fn objects_are_applied_in_fluxs_stages_and_order() {
    let rbac = "rbac.authorization.k8s.io/v1";
    let plan = propose(&[
        object(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            "",
            "w",
        ),
        object(
            "admissionregistration.k8s.io/v1",
            "MutatingWebhookConfiguration",
            "",
            "w",
        ),
        object("example.com/v1", "Widget", "", "b"),
        object("example.com/v1", "Widget", "", "a"),
        object("a.example.com/v1", "Gadget", "", "z"),
        object("apps/v1", "Deployment", "", "web"),
        object("v1", "Service", "", "web"),
        object("v1", "Secret", "", "web"),
        config_map("web"),
        object(rbac, "RoleBinding", "", "web"),
        object(rbac, "Role", "", "web"),
        object("v1", "ServiceAccount", "", "web"),
        object("storage.k8s.io/v1", "StorageClass", "", "fast"),
        object("scheduling.k8s.io/v1", "PriorityClass", "", "high"),
        object("example.com/v1", "WidgetClass", "", "own"),
        object(rbac, "ClusterRole", "", "viewer"),
        object("v1", "Namespace", "", "acme"),
        object(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "",
            "x",
        ),
    ])
    .unwrap();
    let kinds: Vec<Vec<&str>> = plan
        .stages()
        .iter()
        .map(|stage| {
            stage
                .objects()
                .iter()
                .map(|planned| planned.id().kind.as_str())
                .collect()
        })
        .collect();
    assert_eq!(
        kinds,
        [
            vec!["CustomResourceDefinition", "Namespace", "ClusterRole"],
            vec!["PriorityClass", "StorageClass", "WidgetClass"],
            vec![
                "ServiceAccount",
                "Role",
                "RoleBinding",
                "ConfigMap",
                "Secret",
                "Service",
                "Deployment",
                "Gadget",
                "Widget",
                "Widget",
                "MutatingWebhookConfiguration",
                "ValidatingWebhookConfiguration",
            ],
        ]
    );
    let stages: Vec<_> = plan.stages().iter().map(Stage::kind).collect();
    assert_eq!(
        stages,
        [StageKind::Definitions, StageKind::Classes, StageKind::Rest]
    );
    let waits: Vec<_> = stages.iter().map(|stage| stage.waits()).collect();
    assert_eq!(waits, [true, true, false]);
    let names: Vec<_> = plan
        .objects()
        .map(|planned| planned.id().name.as_str())
        .collect();
    assert_eq!(&names[13..16], ["z", "a", "b"]);
}

#[test]
fn a_stage_without_objects_is_none() {
    let plan = propose(&[config_map("a")]).unwrap();
    assert_eq!(plan.stages().len(), 1);
    assert!(propose(&[]).unwrap().stages().is_empty());
}

#[test]
fn every_object_gets_the_namespace_that_it_must_have() {
    let elsewhere = spec(|spec| spec["targetNamespace"] = Value::Null);
    let own = spec(|_| {});
    let widgets = |scope: &str| {
        let mut definition = object(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "",
            "widgets.example.com",
        );
        definition["spec"] =
            json!({"group": "example.com", "scope": scope, "names": {"kind": "Widget"}});
        definition
    };
    let widget = |namespace| object("example.com/v1", "Widget", namespace, "a");
    let lie = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "lie"},
        "spec": {"group": "", "scope": "Cluster", "names": {"kind": "ConfigMap"}},
    });
    for (says, spec, values, want) in [
        (
            "what is written stays",
            &own,
            vec![object("v1", "ConfigMap", "other", "a")],
            "other_a__ConfigMap",
        ),
        (
            "else the target",
            &own,
            vec![object("v1", "ConfigMap", "", "a")],
            "acme_a__ConfigMap",
        ),
        (
            "else default",
            &elsewhere,
            vec![object("v1", "ConfigMap", "", "a")],
            "default_a__ConfigMap",
        ),
        (
            "none where there is none",
            &own,
            vec![object("v1", "Namespace", "acme", "a")],
            "_a__Namespace",
        ),
        (
            "an unknown kind as written",
            &own,
            vec![widget("other")],
            "other_a_example.com_Widget",
        ),
        (
            "else the target",
            &own,
            vec![widget("")],
            "acme_a_example.com_Widget",
        ),
        (
            "else none",
            &elsewhere,
            vec![widget("")],
            "_a_example.com_Widget",
        ),
        (
            "one defined beside it",
            &own,
            vec![widgets("Cluster"), widget("other")],
            "_a_example.com_Widget",
        ),
        (
            "one defined beside it",
            &elsewhere,
            vec![widgets("Namespaced"), widget("")],
            "default_a_example.com_Widget",
        ),
        (
            "a definition that lies",
            &own,
            vec![lie, config_map("a")],
            "acme_a__ConfigMap",
        ),
    ] {
        let plan = Plan::propose(bundle(&values), &scopes(), &Inventory::default(), spec).unwrap();
        assert_eq!(ids(&plan).last().unwrap(), want, "{says}");
        let last = plan.objects().last().unwrap();
        let written = last.manifest()["metadata"]
            .get("namespace")
            .map(|value| value.as_str().unwrap());
        assert_eq!(written.unwrap_or_default(), last.id().namespace, "{says}");
    }
}

#[test]
fn every_object_bears_its_owners_labels_and_nobody_elses() {
    let spec = spec(|spec| {
        spec["commonMetadata"] = json!({
            "labels": {"team": "web", "kustomize.toolkit.fluxcd.io/name": "forged"},
            "annotations": {"note": "new"},
        });
    });
    let mut value = config_map("a");
    value["metadata"]["labels"] =
        json!({"kustomize.toolkit.fluxcd.io/namespace": "forged", "team": "old", "own": "yes"});
    value["metadata"]["annotations"] = json!({"note": "old", "kept": "yes"});
    let plan = Plan::propose(bundle(&[value]), &scopes(), &Inventory::default(), &spec).unwrap();
    let metadata = &plan.objects().next().unwrap().manifest()["metadata"];
    assert_eq!(
        metadata["labels"],
        json!({
            "kustomize.toolkit.fluxcd.io/name": "web",
            "kustomize.toolkit.fluxcd.io/namespace": "acme",
            "own": "yes",
            "team": "web",
        })
    );
    assert_eq!(
        metadata["annotations"],
        json!({"kept": "yes", "note": "new"})
    );
}

#[test]
fn an_object_is_sent_in_fluxs_normal_form() {
    let container = |ports: Value| json!({"name": "c", "ports": ports});
    let bare = json!([{"containerPort": 80}]);
    let tcp = json!([{"containerPort": 80, "protocol": "TCP"}]);
    let pod = |ports: &Value| json!({"containers": [container(ports.clone())], "initContainers": [container(ports.clone())]});
    let template = |ports: &Value| json!({"template": {"spec": pod(ports)}});
    let udp = json!({"ports": [{"port": 53, "protocol": "UDP"}]});
    for (says, kind, field, before, after) in [
        (
            "a container's port",
            ("v1", "Pod"),
            "spec",
            pod(&bare),
            pod(&tcp),
        ),
        (
            "a template's port",
            ("apps/v1", "Deployment"),
            "spec",
            template(&bare),
            template(&tcp),
        ),
        (
            "a job's port",
            ("batch/v1", "CronJob"),
            "spec",
            json!({"jobTemplate": {"spec": template(&bare)}}),
            json!({"jobTemplate": {"spec": template(&tcp)}}),
        ),
        (
            "a service's port",
            ("v1", "Service"),
            "spec",
            json!({"ports": [{"port": 80}, {"port": 81, "protocol": ""}]}),
            json!({"ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]}),
        ),
        (
            "another protocol",
            ("v1", "Service"),
            "spec",
            udp.clone(),
            udp.clone(),
        ),
        (
            "another kind's ports",
            ("example.com/v1", "Widget"),
            "spec",
            json!({"ports": [{"port": 80}]}),
            json!({"ports": [{"port": 80}]}),
        ),
        (
            "a status",
            ("apps/v1", "Deployment"),
            "status",
            json!({"replicas": 1}),
            Value::Null,
        ),
        (
            "odd shapes",
            ("apps/v1", "Deployment"),
            "spec",
            json!({"template": [1]}),
            json!({"template": [1]}),
        ),
    ] {
        let mut value = object(kind.0, kind.1, "acme", "a");
        value[field] = before;
        assert_eq!(manifest(value)[field], after, "{says}");
    }
    let mut value = config_map("a");
    value["metadata"]["creationTimestamp"] = Value::Null;
    value["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
    let metadata = manifest(value)["metadata"].clone();
    assert_eq!(metadata.get("creationTimestamp"), None);
    assert_eq!(metadata.get("managedFields"), None);
}

#[test]
fn the_texts_of_a_secret_become_its_data() {
    for (before, after) in [
        (json!({"stringData": {"a": "b"}}), json!({"a": "Yg=="})),
        (
            json!({"stringData": {"a": "b"}, "data": {"a": "eA==", "c": "ZA=="}}),
            json!({"a": "Yg==", "c": "ZA=="}),
        ),
        (
            json!({"stringData": null, "data": {"c": "ZA=="}}),
            json!({"c": "ZA=="}),
        ),
        (
            json!({"stringData": {"a": ""}, "data": null}),
            json!({"a": ""}),
        ),
    ] {
        let mut value = object("v1", "Secret", "acme", "a");
        value
            .as_object_mut()
            .unwrap()
            .extend(before.as_object().unwrap().clone());
        let sent = manifest(value);
        assert_eq!(sent["data"], after, "{before}");
        assert_eq!(sent.get("stringData"), None);
    }
}

#[test]
fn what_cannot_be_planned_is_named() {
    let secret = |key: &str, value: Value| {
        let mut secret = object("v1", "Secret", "acme", "a");
        secret[key] = value;
        secret
    };
    let with = |pointer: &str, value: Value| {
        let mut changed = config_map("a");
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let labelled = |labels: Value| {
        let mut changed = config_map("a");
        changed["metadata"]["labels"] = labels;
        changed
    };
    let mut sealed = config_map("a");
    sealed["sops"] = json!({"mac": "ENC[x]"});
    let underscores = object("rbac.authorization.k8s.io/v1", "Role", "acme", "a__b");
    for (values, message) in [
        (
            vec![
                object("v1", "ConfigMap", "", "a"),
                config_map("b"),
                config_map("a"),
            ],
            "ConfigMap/acme/a is there twice: as manifest 1 and as manifest 3 of the build",
        ),
        (
            vec![secret("sops", json!({}))],
            "Secret/acme/a is SOPS encrypted; decryption is not supported yet",
        ),
        (
            vec![sealed],
            "ConfigMap/acme/a is SOPS encrypted; decryption is not supported yet",
        ),
        (
            vec![secret("stringData", json!({"pin": 1234}))],
            "Secret/acme/a: stringData.pin is not a text; put it in quotes",
        ),
        (
            vec![secret("stringData", json!([]))],
            "Secret/acme/a: stringData is not a mapping",
        ),
        (
            vec![labelled(json!(["a"]))],
            "ConfigMap/acme/a: metadata.labels is not a mapping",
        ),
        (
            vec![with("/metadata/name", json!("../b"))],
            "ConfigMap/acme/../b: metadata.name is longer than 253 bytes, `.`, `..`, or holds / or %",
        ),
        (
            vec![with("/metadata/name", json!(".."))],
            "ConfigMap/acme/..: metadata.name is longer than 253 bytes, `.`, `..`, or holds / or %",
        ),
        (
            vec![with("/metadata/namespace", json!("a/b"))],
            "ConfigMap/a/b/a: metadata.namespace is not a namespace's name",
        ),
        (
            vec![with("/apiVersion", json!("a/b/c"))],
            "ConfigMap/acme/a: apiVersion is neither <version> nor <group>/<version>",
        ),
        (
            vec![with("/kind", json!("Config/Map"))],
            "Config/Map/acme/a: kind is not made of letters and digits",
        ),
        (
            vec![underscores],
            "Role/acme/a__b: metadata.name cannot be told apart from another in the inventory",
        ),
    ] {
        assert_eq!(propose(&values).unwrap_err().to_string(), message);
    }
}

#[test]
fn what_is_no_longer_wanted_is_pruned_in_reverse_order() {
    let before = inventory(&[
        "acme_keep__ConfigMap",
        "_acme__Namespace",
        "acme_web_apps_Deployment",
        "acme_web__Service",
        "_hook_admissionregistration.k8s.io_ValidatingWebhookConfiguration",
    ]);
    let wanted = bundle(&[config_map("keep"), config_map("new")]);
    let plan = Plan::propose(wanted.clone(), &scopes(), &before, &spec(|_| {})).unwrap();
    let pruned: Vec<_> = plan
        .prune()
        .iter()
        .map(|entry| entry.id.to_string())
        .collect();
    assert_eq!(
        pruned,
        [
            "_hook_admissionregistration.k8s.io_ValidatingWebhookConfiguration",
            "acme_web_apps_Deployment",
            "acme_web__Service",
            "_acme__Namespace",
        ]
    );
    assert_eq!(
        *plan.inventory(),
        inventory(&["acme_keep__ConfigMap", "acme_new__ConfigMap"])
    );

    let keeping = spec(|spec| spec["prune"] = false.into());
    let plan = Plan::propose(wanted, &scopes(), &before, &keeping).unwrap();
    assert_eq!(plan.prune(), []);
    assert_eq!(plan.inventory().len(), 2);
}

#[test]
fn an_object_in_a_new_version_is_not_pruned_in_the_old_one() {
    let before = Inventory::parse([("acme_a_apps_Deployment", "v1beta1")]).unwrap();
    let wanted = bundle(&[object("apps/v1", "Deployment", "acme", "a")]);
    let plan = Plan::propose(wanted, &scopes(), &before, &spec(|_| {})).unwrap();
    assert_eq!(plan.prune(), []);
    assert_eq!(
        plan.inventory().to_status(),
        [("acme_a_apps_Deployment".to_owned(), "v1".to_owned())]
    );
}

#[test]
fn a_manifest_that_asks_to_be_left_alone_is_neither_applied_nor_pruned() {
    let before = inventory(&["acme_a__ConfigMap"]);
    for (place, key, value, alone) in [
        (
            "annotations",
            "kustomize.toolkit.fluxcd.io/reconcile",
            "disabled",
            true,
        ),
        (
            "labels",
            "kustomize.toolkit.fluxcd.io/reconcile",
            "Disabled",
            true,
        ),
        (
            "annotations",
            "kustomize.toolkit.fluxcd.io/ssa",
            "Ignore",
            true,
        ),
        (
            "annotations",
            "kustomize.toolkit.fluxcd.io/ssa",
            "ignore",
            true,
        ),
        (
            "annotations",
            "kustomize.toolkit.fluxcd.io/ssa",
            "Merge",
            false,
        ),
        (
            "annotations",
            "kustomize.toolkit.fluxcd.io/ssa",
            "IfNotPresent",
            false,
        ),
        (
            "annotations",
            "kustomize.toolkit.fluxcd.io/reconcile",
            "enabled",
            false,
        ),
        (
            "annotations",
            "kustomize.toolkit.fluxcd.io/prune",
            "Disabled",
            false,
        ),
    ] {
        let mut map = config_map("a");
        map["metadata"][place] = json!({key: value});
        let plan = Plan::propose(bundle(&[map]), &scopes(), &before, &spec(|_| {})).unwrap();
        assert_eq!(plan.skipped().len(), usize::from(alone), "{key}: {value}");
        assert_eq!(
            plan.objects().count(),
            usize::from(!alone),
            "{key}: {value}"
        );
        assert_eq!(plan.prune(), []);
        assert_eq!(*plan.inventory(), before);
    }
}

#[test]
fn a_withdrawal_prunes_everything_and_leaves_nothing() {
    let plan = Plan::withdraw(&inventory(&["_acme__Namespace", "acme_a__ConfigMap"]));
    let pruned: Vec<_> = plan
        .prune()
        .iter()
        .map(|entry| entry.id.to_string())
        .collect();
    assert_eq!(pruned, ["acme_a__ConfigMap", "_acme__Namespace"]);
    assert!(plan.stages().is_empty() && plan.inventory().is_empty());
}

#[test]
fn a_plan_does_not_print_what_is_in_it() {
    let mut secret = object("v1", "Secret", "acme", "a");
    secret["stringData"] = json!({"key": "hunter2"});
    let printed = format!("{:?}", propose(&[secret]).unwrap());
    assert!(
        !printed.contains("hunter2") && !printed.contains("aHVudGVyMg"),
        "{printed}"
    );
}
