//! One healthy tenant, one change, one outcome a row.
mod altered_tests;
mod before_tests;
mod discretion_tests;
mod trial_tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::bundle::{Bundle, Rendered};
use crate::plan::{Inventory, Scope, Scopes};
use crate::signature::{Signature, Signed};
use crate::tenancy::{Grounds, Tenant};
use reeve_kustomize::Object;
use serde_json::json;

fn kustomization(namespace: &str) -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"namespace": namespace, "name": "web", "managedFields": [{"manager": "x"}]},
        "spec": {
            "interval": "10m",
            "prune": true,
            "serviceAccountName": "flux",
            "targetNamespace": namespace,
            "sourceRef": {"kind": "GitRepository", "name": "web"},
        },
        "status": {"conditions": []},
    })
}

fn grounds() -> Grounds {
    Grounds {
        platform_namespaces: BTreeSet::from(["flux-system".parse().unwrap()]),
        config_namespaces: BTreeSet::new(),
        platform_service_account: "platform".parse().unwrap(),
        tenant_service_account: "flux".parse().unwrap(),
        remote_bases: Vec::new(),
        remote_clusters: Vec::new(),
    }
}

fn tenant(namespace: &str) -> Tenant {
    Tenant::of_namespace(&namespace.parse().unwrap())
}

fn admit_with(rules: &Rules, object: &Value) -> Result<AdmittedSpec, Denied> {
    let parsed = Spec::parse(&serde_json::from_value(object.clone()).unwrap()).unwrap();
    let tenant = tenant(parsed.id.namespace.as_str());
    let grounds = grounds();
    let around = around(&tenant, &grounds);
    spec(rules, &around, object, parsed, None).map(|(admitted, _)| admitted)
}

fn around<'a>(tenant: &'a Tenant, grounds: &'a Grounds) -> Circumstances<'a> {
    Circumstances {
        tenant,
        grounds,
        source: None,
        now: jiff::Timestamp::UNIX_EPOCH,
        veil: Veil::nothing(),
    }
}

fn plan_of(
    rules: &Rules,
    tenant: &Tenant,
    spec: &AdmittedSpec,
    proposed: Plan<Proposed>,
) -> Result<Plan<Admitted>, Denied> {
    let grounds = grounds();
    super::plan(rules, &around(tenant, &grounds), spec, proposed, None, None).map(|(plan, _)| plan)
}

fn admit(object: &Value) -> Result<AdmittedSpec, Denied> {
    admit_with(Rules::shipped(), object)
}

fn proposed(values: &[Value], before: &Inventory, spec: &Spec) -> Plan<Proposed> {
    let objects = values
        .iter()
        .map(|value| Object::try_from(value.clone()).unwrap())
        .collect();
    let bundle = Bundle::<Rendered>::built(objects).unwrap().settled();
    let known = [
        (("", "ConfigMap"), Scope::Namespaced),
        (("", "Namespace"), Scope::Cluster),
    ];
    let known = known.map(|((group, kind), scope)| ((group.to_owned(), kind.to_owned()), scope));
    Plan::propose(bundle, &known.into_iter().collect::<Scopes>(), before, spec).unwrap()
}

fn object(kind: &str, namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"namespace": namespace, "name": name}})
}

fn policy(rules: &str) -> Policy {
    let head =
        "# METADATA\n# title: t\n# description: d\n# custom: {hint: do it}\npackage reeve.test\n\n";
    Policy::compile("test", &format!("{head}{rules}")).unwrap()
}

#[test]
fn a_healthy_spec_is_admitted_with_the_account_it_names() {
    let admitted = admit(&kustomization("acme")).unwrap();
    assert_eq!(admitted.account().to_string(), "acme/flux");
    assert_eq!(admitted.id.to_string(), "acme/web");
}

#[test]
fn a_tenants_spec_is_held_to_the_shipped_rules() {
    let account = "denied by policy service-account: Kustomization acme/web: \
        spec.serviceAccountName is missing; set it to an account in namespace acme";
    let target = "denied by policy target-namespace: Kustomization acme/web: \
        spec.targetNamespace is missing; set it to acme, the namespace of the Kustomization";
    let other = "denied by policy target-namespace: Kustomization acme/web: \
        spec.targetNamespace is other; set it to acme, the namespace of the Kustomization";
    let both = format!("{account}; {target}");
    for (change, message) in [
        (json!({"serviceAccountName": null}), account),
        (json!({"serviceAccountName": ""}), account),
        (json!({"targetNamespace": null}), target),
        (json!({"targetNamespace": "other"}), other),
        (
            json!({"serviceAccountName": null, "targetNamespace": null}),
            both.as_str(),
        ),
    ] {
        let mut object = kustomization("acme");
        for (field, value) in change.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        let denied = admit(&object).unwrap_err();
        assert_eq!(denied.to_string(), message);
        assert_eq!(
            (denied.reason(), denied.turn()),
            (Reason::PolicyDenied, Turn::OwnerOrPolicy)
        );
        assert!(denied.hint().is_some());
    }
}

#[test]
fn in_a_platform_namespace_nothing_is_judged_and_the_account_has_a_default() {
    let mut object = kustomization("flux-system");
    object["spec"]["targetNamespace"] = Value::Null;
    assert_eq!(
        admit(&object).unwrap().account().to_string(),
        "flux-system/flux"
    );
    object["spec"]["serviceAccountName"] = Value::Null;
    let admitted = admit(&object).unwrap();
    assert_eq!(admitted.account().to_string(), "flux-system/platform");
    let plan = proposed(
        &[self::object("ConfigMap", "acme", "a")],
        &Inventory::default(),
        &admitted,
    );
    let owner = tenant("flux-system");
    assert!(plan_of(Rules::shipped(), &owner, &admitted, plan).is_ok());
}

#[test]
fn without_any_rule_there_is_still_no_account_to_be_had_for_nothing() {
    let mut object = kustomization("acme");
    object["spec"]["serviceAccountName"] = Value::Null;
    let denied = admit_with(&Rules::new(Vec::new()), &object).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "denied by policy admission: Kustomization acme/web names no ServiceAccount"
    );
}

#[test]
fn policy_is_shown_the_object_that_was_parsed_and_the_tenant_it_is_of() {
    let object = kustomization("acme");
    let parsed = || Spec::parse(&serde_json::from_value(object.clone()).unwrap()).unwrap();
    let ask = |tenant: &Tenant, shown: &Value| {
        spec(
            Rules::shipped(),
            &around(tenant, &grounds()),
            shown,
            parsed(),
            None,
        )
    };
    assert!(ask(&tenant("acme"), &object).is_ok());
    assert!(ask(&tenant("other"), &object).is_err());
    assert!(ask(&tenant("acme"), &kustomization("other")).is_err());
    assert!(ask(&tenant("acme"), &json!({})).is_err());
    assert!(ask(&tenant("acme"), &json!({"metadata": object["metadata"]})).is_err());
}

#[test]
fn what_is_judged_is_what_is_done() {
    let object = kustomization("acme");
    for change in [
        |spec: &mut Spec| spec.service_account = Some("admin".parse().unwrap()),
        |spec: &mut Spec| spec.target_namespace = None,
        |spec: &mut Spec| spec.overlay.namespace = Some("other".to_owned()),
        |spec: &mut Spec| spec.path = "elsewhere".to_owned(),
        |spec: &mut Spec| spec.generation = 7,
    ] {
        let mut parsed = Spec::parse(&serde_json::from_value(object.clone()).unwrap()).unwrap();
        change(&mut parsed);
        let denied = spec(
            Rules::shipped(),
            &around(&tenant("acme"), &grounds()),
            &object,
            parsed,
            None,
        );
        assert_eq!(
            denied.unwrap_err().to_string(),
            "denied by policy admission: Kustomization acme/web was shown to policy as another object"
        );
    }
}

#[test]
fn an_object_of_an_older_version_or_written_back_from_its_type_is_the_same_object() {
    let mut object = kustomization("acme");
    object["apiVersion"] = "kustomize.toolkit.fluxcd.io/v1beta1".into();
    object["spec"]["validation"] = "client".into();
    object["spec"]["force"] = true.into();
    assert!(admit(&object).is_ok());
    let typed: reeve_api::kustomization::Kustomization = serde_json::from_value(object).unwrap();
    assert!(admit(&serde_json::to_value(&typed).unwrap()).is_ok());
}

#[test]
fn a_plan_is_admitted_when_all_of_it_stays_at_home() {
    let admitted = admit(&kustomization("acme")).unwrap();
    let elsewhere = "denied by policy target-namespace: ConfigMap/other/a would be applied in \
        namespace other; Kustomization acme/web may only reach namespace acme";
    let pruned = "denied by policy target-namespace: ConfigMap/other/old would be deleted in \
        namespace other; Kustomization acme/web may only reach namespace acme";
    for (says, values, before, message) in [
        (
            "at home",
            vec![object("ConfigMap", "acme", "a")],
            "acme_old__ConfigMap",
            "",
        ),
        (
            "in no namespace",
            vec![object("Namespace", "", "a")],
            "_old__Namespace",
            "",
        ),
        (
            "applied elsewhere",
            vec![object("ConfigMap", "other", "a")],
            "acme_a__ConfigMap",
            elsewhere,
        ),
        ("pruned elsewhere", vec![], "other_old__ConfigMap", pruned),
    ] {
        let before = Inventory::parse([(before, "v1")]).unwrap();
        let plan = proposed(&values, &before, &admitted);
        let told = plan_of(Rules::shipped(), &tenant("acme"), &admitted, plan);
        assert_eq!(
            told.as_ref()
                .err()
                .map(ToString::to_string)
                .unwrap_or_default(),
            message,
            "{says}"
        );
        if let Err(denied) = told {
            assert_eq!(denied.turn(), Turn::NextRevision, "{says}");
        }
    }
}

#[test]
fn a_withdrawal_is_judged_too() {
    let admitted = admit(&kustomization("acme")).unwrap();
    let before = Inventory::parse([("other_old__ConfigMap", "v1")]).unwrap();
    let told = plan_of(
        Rules::shipped(),
        &tenant("acme"),
        &admitted,
        Plan::withdraw(&before),
    );
    assert!(told.is_err());
}

#[test]
fn a_policy_that_cannot_answer_denies_and_is_asked_again() {
    let broken = policy(
        "deny contains {\"message\": \"no\"} if to_number(input.kustomization.spec.interval) > 1\n",
    );
    let rules = Rules::new(vec![
        policy("deny contains {\"message\": \"no\"} if input.never\n"),
        broken,
    ]);
    let denied = admit_with(&rules, &kustomization("acme")).unwrap_err();
    let message = denied.to_string();
    assert!(
        message.starts_with("denied by policy test: policy test could not be evaluated"),
        "{message}"
    );
    assert!(
        message.ends_with("what cannot be judged is denied"),
        "{message}"
    );
    assert_eq!(denied.turn(), Turn::Retry);
}

#[test]
fn many_objections_are_counted_and_the_hint_is_the_policys() {
    let many = policy(
        "deny contains {\"message\": sprintf(\"no %d\", [n])} if some n in numbers.range(1, 200)\n",
    );
    let denied = admit_with(&Rules::new(vec![many]), &kustomization("acme")).unwrap_err();
    assert_eq!(denied.objections().count(), 100);
    assert!(denied.to_string().ends_with("; and 190 more"), "{denied}");
    assert_eq!(denied.hint().as_deref(), Some("do it"));
}

#[test]
fn policy_sees_what_is_planned_but_no_value_of_a_secret_and_no_status() {
    let admitted = admit(&kustomization("acme")).unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "namespace": "acme", "name": "key",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2"},
        },
        "stringData": {"password": "hunter2"},
        "data": {"token": "aHVudGVyMg=="},
    });
    let before = Inventory::parse([("acme_old__ConfigMap", "v1")]).unwrap();
    let plan = proposed(
        &[secret, object("ConfigMap", "acme", "a")],
        &before,
        &admitted,
    );
    let (tenant, grounds) = (tenant("acme"), grounds());
    let around = around(&tenant, &grounds);
    let document = document::of_plan(&admitted.shown, &around, &plan);
    let document = serde_json::to_value(document).unwrap();
    let text = document.to_string();
    assert!(
        !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
        "{text}"
    );
    assert!(
        !text.contains("managedFields") && !text.contains("status"),
        "{text}"
    );
    assert_eq!(document["phase"], "plan");
    assert_eq!(
        document["tenant"],
        json!({"name": "acme", "namespaces": ["acme"]})
    );
    assert_eq!(
        document["source"],
        json!({"kind": "GitRepository", "namespace": "acme", "name": "web"})
    );
    assert_eq!(
        document["platform"],
        json!({"namespaces": ["flux-system"], "configNamespaces": []})
    );
    assert_eq!(
        document["kustomization"]["spec"]["serviceAccountName"],
        "flux"
    );
    let [map, secret, old] = document["objects"].as_array().unwrap().as_slice() else {
        panic!("three objects")
    };
    assert_eq!(
        secret["object"]["data"],
        json!({"token": "***", "password": "***"})
    );
    assert_eq!(
        (&map["action"], &map["namespace"]),
        (&json!("apply"), &json!("acme"))
    );
    assert_eq!(
        *old,
        json!({
            "action": "prune", "id": "acme_old__ConfigMap", "group": "", "version": "v1",
            "kind": "ConfigMap", "namespace": "acme", "name": "old",
        })
    );
}

/// Objects to whatever is applied.
fn grumbler() -> Arc<Policy> {
    Arc::new(policy(
        "deny contains {\"message\": one.name} if some one in input.objects",
    ))
}

fn rule(mode: Mode, objects: Value, policy: Result<Arc<Policy>, String>) -> Rules {
    let rule = Rule {
        name: "grumbler".to_owned(),
        mode,
        objects: serde_json::from_value(objects).unwrap(),
        ratchet: false,
        policy,
    };
    Rules::shipped().and([rule])
}

/// What the rules make of a plan of one ConfigMap `a`.
fn ask(rules: &Rules, before: Option<&Passed>) -> Result<Passed, Denied> {
    let admitted = admit(&kustomization("acme")).unwrap();
    let objects = [object("ConfigMap", "acme", "a")];
    let proposed = proposed(&objects, &Inventory::default(), &admitted);
    let (tenant, grounds) = (tenant("acme"), grounds());
    let around = around(&tenant, &grounds);
    super::plan(rules, &around, &admitted, proposed, None, before).map(|(_, passed)| passed)
}

#[test]
fn only_a_rule_that_is_enforced_denies_and_the_others_are_told() {
    let denied = ask(&rule(Mode::Enforce, json!([]), Ok(grumbler())), None).unwrap_err();
    assert_eq!(denied.to_string(), "denied by policy grumbler: a");
    for mode in [Mode::Warn, Mode::Audit] {
        let passed = ask(&rule(mode, json!([]), Ok(grumbler())), None).unwrap();
        let [finding] = passed.answers().findings.as_slice() else {
            panic!("one finding")
        };
        assert_eq!((finding.mode, &finding.verdict), (mode, &Verdict::Denied));
        assert_eq!(finding.objection.message, "a");
        assert!(passed.answers().took.contains_key("grumbler"));
    }
}

#[test]
fn a_rule_that_was_never_compiled_denies_unless_it_is_not_enforced() {
    let absent = || Err("line 3 is wrong".to_owned());
    let denied = ask(&rule(Mode::Enforce, json!([]), absent()), None).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "denied by policy grumbler: it is not in force yet, and what cannot be judged is denied: line 3 is wrong"
    );
    assert_eq!(denied.turn(), Turn::Retry);
    assert!(ask(&rule(Mode::Audit, json!([]), absent()), None).is_ok());
}

#[test]
fn a_rule_is_shown_the_objects_of_its_scope_only() {
    for (objects, denies) in [
        (json!([{"kind": "ConfigMap"}]), true),
        (
            json!([{"kind": "Secret"}, {"group": "", "namespace": "acme"}]),
            true,
        ),
        (json!([{"kind": "Secret"}]), false),
        (json!([{"matchLabels": {"tier": "web"}}]), false),
    ] {
        let asked = ask(&rule(Mode::Enforce, objects.clone(), Ok(grumbler())), None);
        assert_eq!(asked.is_err(), denies, "{objects}");
    }
}

#[test]
fn what_passed_is_judged_again_only_when_it_or_a_rule_is_another() {
    let rules = rule(Mode::Audit, json!([]), Ok(grumbler()));
    let first = ask(&rules, None).unwrap();
    // How long it took would be another number, had it been asked again.
    assert_eq!(ask(&rules, Some(&first)).unwrap(), first);
    let stricter = rule(Mode::Enforce, json!([]), Ok(grumbler()));
    assert!(ask(&stricter, Some(&first)).is_err());
    let other = policy("deny contains {\"message\": \"no\"} if true");
    let other = rule(Mode::Enforce, json!([]), Ok(Arc::new(other)));
    assert!(ask(&other, Some(&first)).is_err());
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the generated schema is the data of this test"
)]
fn the_checked_in_schema_is_that_of_the_types() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../policies/input.schema.json"
    );
    let text = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("REEVE_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(checked_in == text, "{path} is stale: run `make generate`");
}

#[test]
fn what_policies_are_shown_is_what_the_schema_says() {
    let schema = serde_json::to_value(schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let admitted = admit(&kustomization("acme")).unwrap();
    let before = Inventory::parse([("acme_old__ConfigMap", "v1")]).unwrap();
    let plan = proposed(&[object("Secret", "acme", "a")], &before, &admitted);
    let recollection = Recollection::parse(br#"{"acme_old__ConfigMap": {"kind": "ConfigMap"}}"#);
    let (mut tenant, grounds) = (tenant("acme"), grounds());
    tenant.declared = Some(crate::tenancy::Declared {
        sources: BTreeSet::from(["shared".parse().unwrap()]),
        remote_bases: Vec::new(),
        remote_clusters: Vec::new(),
        plugin_hosts: BTreeSet::new(),
        plugin_digests: None,
        domains: BTreeSet::from(["acme.example".into()]),
        registries: BTreeSet::from(["registry.example/acme".into()]),
        project: Some("shop".parse().unwrap()),
        service_account: "flux".parse().unwrap(),
        weight: Default::default(),
        limits: Default::default(),
    });
    let facts = SourceFacts {
        url: "https://git.example/acme/web".into(),
        revision: Some("main@sha1:1".into()),
        verified: Some(vec![Signature {
            object: Signed::Tag,
            name: "v1@1".into(),
            key: "SHA256:abc".into(),
        }]),
    };
    let around = Circumstances {
        source: Some(&facts),
        ..around(&tenant, &grounds)
    };
    let of_spec = document::of_spec(&admitted.shown, &around);
    let of_plan = document::of_plan(&admitted.shown, &around, &plan);
    let view = of_plan.view(&[], recollection.as_ref());
    for document in [&of_spec, &of_plan, &view] {
        let mut shown = serde_json::to_value(document).unwrap();
        assert!(validator.is_valid(&shown), "{shown}");
        shown["phase"] = "later".into();
        assert!(!validator.is_valid(&shown));
    }
    let shown = serde_json::to_value(&view).unwrap();
    assert_eq!(shown["tenant"]["sources"], json!(["shared"]));
    assert_eq!(shown["tenant"]["project"], "shop");
    assert_eq!(shown["source"]["verified"], true);
    let by = json!([{"object": "tag", "key": "SHA256:abc"}]);
    assert_eq!(shown["source"]["signatures"], by);
    assert_eq!(shown["objects"][1]["previous"]["kind"], "ConfigMap");
}

/// Quotes a ConfigMap's colour in everything that a rule may say.
const QUOTES: &str = "said contains {\"message\": colour, \"object\": colour, \"path\": colour, \"hint\": colour} if {\n\tsome one in input.objects\n\tcolour := one.object.data.colour\n}\ndeny contains one if some one in said\nwarn contains one if some one in said\n";

#[test]
fn what_is_under_the_veil_is_in_no_answer_and_another_veil_is_another_question() {
    let admitted = admit(&kustomization("acme")).unwrap();
    let mut map = object("ConfigMap", "acme", "a");
    map["data"] = json!({"colour": "it is hunter2"});
    let (tenant, grounds) = (tenant("acme"), grounds());
    let veil = Veil::of(["hunter2".to_owned()]);
    let judge = |mode, veil: &Veil, before: Option<&Passed>| {
        let quotes = Rule {
            mode,
            ..Rule::enforced(policy(QUOTES))
        };
        let around = Circumstances {
            veil,
            ..around(&tenant, &grounds)
        };
        let plan = proposed(&[map.clone()], &Inventory::default(), &admitted);
        let rules = Rules::default().and([quotes]);
        super::plan(&rules, &around, &admitted, plan, None, before).map(|(_, passed)| passed)
    };
    let told = |answers: &Answers| {
        assert_eq!(answers.findings.len(), 2);
        answers.findings.iter().all(|finding| {
            let said = &finding.objection;
            let more = [&said.object, &said.path, &said.hint];
            let covered = |text: &str| text == "it is ***";
            covered(&said.message) && more.iter().all(|text| text.as_deref().is_some_and(covered))
        })
    };
    let denied = judge(Mode::Enforce, &veil, None).unwrap_err();
    assert!(told(denied.answers()), "{denied:?}");
    assert!(!denied.to_string().contains("hunter2"), "{denied}");
    let bare = judge(Mode::Audit, Veil::nothing(), None).unwrap();
    assert!(!told(bare.answers()));
    let passed = judge(Mode::Audit, &veil, Some(&bare)).unwrap();
    assert!(told(passed.answers()), "{passed:?}");
    assert_eq!(judge(Mode::Audit, &veil, Some(&passed)).unwrap(), passed);
}
