//! What rules say to a tenant is a `Report` in its namespace, where somebody serves reports.

use anyhow::ensure;
use kube::api::{Api, DeleteParams, DynamicObject};
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

const REPORTS: &str = "openreports.io/v1alpha1";
const NAME: &str = "reeve";

const RED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";
const BLUE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";

const RULES: &str = r#"# METADATA
# title: Colours
# description: Some colours are not wanted.
# custom:
#   severity: high
package platform.colours

deny contains objection if {
	some planned in input.objects
	planned.object.data.colour == "red"
	objection := {
		"message": sprintf("%s is red", [planned.name]),
		"object": sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]),
	}
}
"#;

/// As much of the kind as is written: another field would be refused.
fn definition() -> Value {
    let text = json!({"type": "string"});
    let number = json!({"type": "integer"});
    let reference = json!({"type": "object", "properties": {
        "apiVersion": text, "kind": text, "namespace": text, "name": text,
    }});
    let of = |words: [&str; 5]| json!({"type": "string", "enum": words});
    let result = json!({"type": "object", "required": ["policy"], "properties": {
        "policy": text, "rule": text, "category": text, "message": text,
        "severity": of(["critical", "high", "low", "medium", "info"]),
        "result": of(["pass", "fail", "warn", "error", "skip"]),
        "scored": {"type": "boolean"},
        "timestamp": {"type": "object", "required": ["seconds", "nanos"],
            "properties": {"seconds": number, "nanos": number}},
        "resources": {"type": "array", "items": reference},
        "properties": {"type": "object", "additionalProperties": text},
    }});
    let summary = json!({"type": "object", "properties": {
        "pass": number, "fail": number, "warn": number, "error": number, "skip": number,
    }});
    let report = json!({"type": "object", "properties": {
        "source": text, "scope": reference, "summary": summary,
        "results": {"type": "array", "items": result},
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "reports.openreports.io"},
        "spec": {
            "group": "openreports.io", "scope": "Namespaced",
            "names": {"kind": "Report", "listKind": "ReportList", "plural": "reports", "singular": "report"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": report},
            }],
        },
    })
}

/// The same kind as somebody else means it.
fn foreign() -> Value {
    let mut foreign = definition();
    foreign["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = json!({
        "type": "object", "required": ["findings"],
        "properties": {"findings": {"type": "integer"}},
    });
    foreign
}

fn reports(tenant: &Tenant<'_>) -> Api<DynamicObject> {
    tenant.api(REPORTS, "Report")
}

async fn reported(tenant: &Tenant<'_>) -> anyhow::Result<DynamicObject> {
    wait::for_object(&reports(tenant), NAME, "it is reported", |report| {
        report.data.pointer("/summary/fail") == Some(&json!(1))
    })
    .await
}

/// A tenant that a rule denies its newest commit.
async fn denied<'e>(estate: &'e Estate, name: &str) -> anyhow::Result<Tenant<'e>> {
    let tenant = estate.healthy_tenant(name).await?;
    let policy = json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Policy", "metadata": {"name": tenant.name()},
        "spec": {"rego": RULES, "scope": {"namespaces": [tenant.name()]}},
    });
    tenant.apply(&policy).await?;
    let policies = objects::api(estate.admin(), "reeve.dev/v1alpha1", "Policy", None);
    wait::for_object(&policies, tenant.name(), "it is in force", |policy| {
        objects::condition(&policy.data, "Ready").is_some_and(|ready| ready.status == "True")
    })
    .await?;
    let told = tenant
        .after(|draft| draft.commit("settings.yaml", RED))
        .await?;
    ensure!(
        told.ready.reason == Reason::PolicyDenied.as_str(),
        "{told:?}"
    );
    Ok(tenant)
}

#[test]
fn what_rules_say_is_reported_to_the_tenant_once_somebody_serves_reports_and_goes_with_the_last_finding()
 {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = denied(&estate, "reported").await?;
        // Found before anybody served reports, and told when somebody does.
        tenant.apply(&definition()).await?;
        let report = reported(&tenant).await?;
        let one = &report.data["results"][0];
        for (field, want) in [
            ("policy", tenant.name()),
            ("rule", "Colours"),
            ("severity", "high"),
            ("result", "fail"),
            ("message", "settings is red"),
        ] {
            ensure!(one[field] == want, "{field}: {one}");
        }
        ensure!(one["resources"][0]["name"] == "settings", "{one}");
        let rules = report.data.pointer("/summary/pass").and_then(Value::as_u64);
        ensure!(rules.is_some_and(|passed| passed > 0), "{rules:?}");

        // Another run says the same: by the time that another report is written, this one was not.
        tenant.reconcile(None).await?;
        let other = denied(&estate, "neighbour").await?;
        reported(&other).await?;
        let now = reports(&tenant).get(NAME).await?;
        ensure!(now.metadata.resource_version == report.metadata.resource_version);

        tenant.push(&[("settings.yaml", Some(BLUE))]).await?;
        wait::until_gone(&reports(&tenant), NAME).await?;
        ensure!(reports(&other).get(NAME).await.is_ok());
        Ok(())
    });
}

#[test]
fn reports_of_another_shape_are_not_taken_harm_nobody_and_are_told_once_they_are() {
    scenario(async {
        let estate = Estate::start().await?;
        let tenant = denied(&estate, "unreported").await?;
        let beside = estate.healthy_tenant("beside-reports").await?;
        tenant.apply(&foreign()).await?;
        let theirs = json!({
            "apiVersion": REPORTS, "kind": "Report", "findings": 3,
            "metadata": {"name": NAME, "namespace": beside.name()},
        });
        wait::until(wait::PATIENCE, "the kind is served", || async {
            beside.apply(&theirs).await.ok()
        })
        .await?;
        wait::until(wait::PATIENCE, "a report was not taken", || async {
            let log = estate.controller.log().ok()?;
            log.contains("a report was not taken").then_some(())
        })
        .await?;
        beside.push(&[("settings.yaml", Some(RED))]).await?;

        // The kind goes, and comes back as it should be.
        let definitions = objects::api(
            estate.admin(),
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            None,
        );
        let name = "reports.openreports.io";
        definitions.delete(name, &DeleteParams::default()).await?;
        wait::until_gone(&definitions, name).await?;
        tenant.push(&[("settings.yaml", Some(BLUE))]).await?;
        tenant.apply(&definition()).await?;
        let again = tenant
            .after(|draft| draft.commit("settings.yaml", RED))
            .await?;
        ensure!(again.ready.message.contains("settings is red"), "{again:?}");
        reported(&tenant).await?;
        Ok(())
    });
}
