//! Fields that a Kustomization leaves to others: no difference in them is one, and nothing written beside them moves them.
//! What they make of an object is judged before it is written.

use anyhow::ensure;
use kube::api::{DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::tenant::{Tenant, Told};
use reeve_tests::{Estate, scenario};
use serde_json::{Value, json};

use crate::rules::{RED, minds, policy, ready};

async fn settings(tenant: &Tenant<'_>) -> anyhow::Result<DynamicObject> {
    Ok(tenant.api("v1", "ConfigMap").get("settings").await?)
}

fn colour(settings: &DynamicObject) -> &Value {
    &settings.data["data"]["colour"]
}

/// Whether the controller's own claim holds the field.
fn is_claimed(settings: &DynamicObject, field: &str) -> bool {
    let claims = settings.metadata.managed_fields.iter().flatten();
    let ours = claims.filter(|claim| claim.manager.as_deref() == Some("kustomize-controller"));
    let fields = ours.filter_map(|claim| claim.fields_v1.as_ref());
    let mut held = fields.map(|fields| fields.0["f:data"].get(format!("f:{field}")).is_some());
    held.any(|held| held)
}

const WITH_SHAPE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: green\n  shape: SHAPE\n";

#[test]
fn an_ignored_field_stays_as_others_set_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ignored").await?;
        let maps = tenant.api("v1", "ConfigMap");
        let rules =
            json!([{"paths": ["/data/colour"], "target": {"kind": "ConfigMap", "name": "sett.*"}}]);
        tenant.after(|draft| draft.set("ignore", rules)).await?;

        let red = json!({"data": {"colour": "red"}});
        let by = PatchParams {
            field_manager: Some("painter".to_owned()),
            ..PatchParams::default()
        };
        maps.patch("settings", &by, &Patch::Merge(&red)).await?;
        let version = settings(&tenant).await?.metadata.resource_version;
        tenant.after(|_| {}).await?;
        let now = settings(&tenant).await?;
        ensure!(colour(&now) == "red" && now.metadata.resource_version == version);

        let round = WITH_SHAPE.replace("SHAPE", "round");
        tenant
            .after(|draft| draft.commit("settings.yaml", round))
            .await?;
        let now = settings(&tenant).await?;
        ensure!(colour(&now) == "red", "{:?}", now.data);
        ensure!(now.data["data"]["shape"] == "round", "{:?}", now.data);

        let blue = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "blue"}});
        maps.patch(
            "settings",
            &PatchParams::apply("painter").force(),
            &Patch::Apply(&blue),
        )
        .await?;
        let oval = WITH_SHAPE.replace("SHAPE", "oval");
        tenant
            .after(|draft| draft.commit("settings.yaml", oval))
            .await?;
        let now = settings(&tenant).await?;
        ensure!(
            colour(&now) == "blue" && !is_claimed(&now, "colour") && is_claimed(&now, "shape"),
            "who applies a field owns it: {:?}",
            now.metadata.managed_fields
        );

        tenant
            .after(|draft| draft.set("ignore", Value::Null))
            .await?;
        ensure!(colour(&settings(&tenant).await?) == "green");
        Ok(())
    });
}

/// A Deployment whose pods are for that system, with that text in the place of what its container may do.
fn pods(system: &str, image: &str, container: &str) -> String {
    let pod = json!({
        "os": {"name": system}, "securityContext": {"runAsNonRoot": true},
        "containers": [{"name": "web", "image": image}],
    });
    let mut deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod}},
    });
    if let Ok(context) = serde_json::from_str::<Value>(container) {
        deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"] = context;
    }
    deployment.to_string()
}

const NOTHING: &str = "";
const CONFINED: &str = r#"{"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}"#;

/// It is denied, and the tenant is told that it is by what `spec.ignore` keeps.
fn denied(told: &Told, words: &str) -> anyhow::Result<()> {
    let ready = &told.ready;
    ensure!(ready.reason == Reason::PolicyDenied.as_str(), "{ready:?}");
    for words in [words, "spec.ignore keeps fields of"] {
        ensure!(ready.message.contains(words), "{}", ready.message);
    }
    Ok(())
}

#[test]
fn what_policy_wants_is_not_left_out_by_ignoring_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ignored-out").await?;
        let spec = json!({"shipped": "pod-security"});
        tenant.apply(&policy(&tenant, &spec)).await?;
        ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
        let windows = pods("windows", "registry.local/web:1", NOTHING);
        tenant.push(&[("web.yaml", Some(&windows))]).await?;

        let path = "/spec/template/spec/containers/0/securityContext";
        let rules = json!([{"paths": [path], "target": {"kind": "Deployment"}}]);
        let linux = pods("linux", "registry.local/web:2", CONFINED);
        let told = tenant
            .after(|draft| {
                draft.set("ignore", rules);
                draft.commit("web.yaml", linux);
            })
            .await?;
        denied(&told, &format!("Deployment/{}/web", tenant.name()))?;
        let webs = tenant.api("apps/v1", "Deployment");
        let pod = |web: DynamicObject| web.data["spec"]["template"]["spec"].clone();
        let now = pod(webs.get("web").await?);
        ensure!(now["os"]["name"] == "windows", "it was written: {now}");

        tenant
            .after(|draft| draft.set("ignore", Value::Null))
            .await?;
        let now = pod(webs.get("web").await?);
        let context = &now["containers"][0]["securityContext"];
        ensure!(now["os"]["name"] == "linux", "{now}");
        ensure!(context["allowPrivilegeEscalation"] == false, "{now}");
        Ok(())
    });
}

#[test]
fn what_policy_forbids_is_not_written_again_by_ignoring_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ignored-in").await?;
        tenant.push(&[("settings.yaml", Some(RED))]).await?;
        let spec = json!({"rego": minds("red"), "ratchet": true});
        tenant.apply(&policy(&tenant, &spec)).await?;
        ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;

        let rules = json!([{"paths": ["/data/colour"]}]);
        let round = WITH_SHAPE.replace("SHAPE", "round");
        let told = tenant
            .after(|draft| {
                draft.set("ignore", rules);
                draft.commit("settings.yaml", round);
                draft.commit(
                    "beside.yaml",
                    RED.replace("settings", "beside").replace("red", "blue"),
                );
            })
            .await?;
        denied(&told, "settings is red")?;
        let now = settings(&tenant).await?;
        ensure!(now.data["data"]["shape"].is_null(), "{:?}", now.data);
        let beside = tenant.api("v1", "ConfigMap").get_opt("beside").await?;
        ensure!(beside.is_none(), "half of the stage was written");

        tenant
            .after(|draft| draft.set("ignore", Value::Null))
            .await?;
        let now = settings(&tenant).await?;
        ensure!(colour(&now) == "green" && now.data["data"]["shape"] == "round");
        Ok(())
    });
}
