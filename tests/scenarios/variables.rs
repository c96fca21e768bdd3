//! Variables of a Kustomization: where they come from, as whom they are read, and what is never told of them.

use anyhow::{Context as _, ensure};
use reeve_api::reason::Reason;
use reeve_tests::tenant::{Tenant, Told};
use reeve_tests::{Estate, guest, objects, scenario, secrecy, wait};
use serde_json::{Value, json};

use crate::rules;

const TEMPLATE: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  colour: ${colour}
  plain: \"${none:=nothing}\"
  kept: $${colour}
";

fn object(kind: &str, tenant: &Tenant<'_>, name: &str, field: &str, data: Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": kind,
        "metadata": {"name": name, "namespace": tenant.name()}});
    object[field] = data;
    object
}

fn config_map(tenant: &Tenant<'_>, name: &str, data: Value) -> Value {
    object("ConfigMap", tenant, name, "data", data)
}

async fn setting(tenant: &Tenant<'_>, key: &str) -> anyhow::Result<String> {
    let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
    let value = objects::text(&settings.data, &format!("/data/{key}"));
    Ok(value.context("the setting is there")?.to_owned())
}

fn from(optional: bool) -> Value {
    json!({"substituteFrom": [
        {"kind": "ConfigMap", "name": "first"}, {"kind": "ConfigMap", "name": "second"},
        {"kind": "ConfigMap", "name": "missing", "optional": optional},
    ]})
}

/// What is said is of that reason and holds the words.
fn says(told: &Told, reason: Reason, words: &[&str]) -> anyhow::Result<()> {
    let ready = &told.ready;
    ensure!(ready.reason == reason.as_str(), "{ready:?}");
    for words in words {
        ensure!(ready.message.contains(words), "{}", ready.message);
    }
    Ok(())
}

#[test]
fn variables_come_from_the_spec_and_from_objects_beside_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("variables").await?;
        tenant
            .apply(&config_map(
                &tenant,
                "first",
                json!({"colour": "red", "shape": "round"}),
            ))
            .await?;
        tenant
            .apply(&config_map(&tenant, "second", json!({"colour": "blue"})))
            .await?;
        let told = tenant
            .after(|draft| {
                draft.commit("settings.yaml", TEMPLATE);
                draft.set("postBuild", from(false));
            })
            .await?;
        let missing = format!("configmap '{}/missing' not found", tenant.name());
        says(&told, Reason::BuildFailed, &[&missing])?;
        tenant
            .after(|draft| draft.set("postBuild", from(true)))
            .await?;
        ensure!(
            setting(&tenant, "colour").await? == "blue",
            "the later one counts"
        );
        ensure!(setting(&tenant, "plain").await? == "nothing");
        ensure!(setting(&tenant, "kept").await? == "${colour}");

        tenant
            .apply(&config_map(&tenant, "second", json!({"colour": "pink"})))
            .await?;
        tenant.after(|_| {}).await?;
        ensure!(
            setting(&tenant, "colour").await? == "pink",
            "what changed is read anew"
        );

        let own = json!({"substitute": {"colour": "white"}, "substituteFrom": [{"kind": "ConfigMap", "name": "first"}]});
        tenant.after(|draft| draft.set("postBuild", own)).await?;
        ensure!(
            setting(&tenant, "colour").await? == "white",
            "the spec counts more"
        );

        let other = json!({"substitute": {"shape": "round"}});
        let told = tenant.after(|draft| draft.set("postBuild", other)).await?;
        let words = ["variable colour of ConfigMap", "is not set"];
        says(&told, Reason::BuildFailed, &words)?;
        ensure!(
            setting(&tenant, "colour").await? == "white",
            "nothing was written"
        );
        Ok(())
    });
}

#[test]
fn a_secret_is_put_in_only_where_the_account_may_read_it_and_never_told() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("variables-secret").await?;
        let value = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&value);
        tenant
            .apply(&object(
                "Secret",
                &tenant,
                "vars",
                "stringData",
                json!({"colour": value}),
            ))
            .await?;
        tenant
            .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "blind", "namespace": tenant.name()}}))
            .await?;
        let from = json!({"substituteFrom": [{"kind": "Secret", "name": "vars"}]});
        let told = tenant
            .after(|draft| {
                draft.commit("settings.yaml", TEMPLATE);
                draft.set("postBuild", from);
                draft.set("serviceAccountName", json!("blind"));
            })
            .await?;
        let account = format!("system:serviceaccount:{}:blind", tenant.name());
        says(&told, Reason::BuildFailed, &[&account])?;
        ensure!(setting(&tenant, "colour").await? == "green");

        tenant
            .after(|draft| draft.set("serviceAccountName", json!("flux")))
            .await?;
        ensure!(
            setting(&tenant, "colour").await? == value,
            "whoever may read it has it"
        );

        // The API server quotes what it refuses.
        let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports:\n  - {port: 80, protocol: \"${colour}\"}\n";
        let told = tenant
            .after(|draft| draft.commit("service.yaml", service))
            .await?;
        says(&told, Reason::ReconciliationFailed, &["***"])?;
        ensure!(!told.ready.message.contains(&value), "it is told");
        Ok(())
    });
}

/// Tells what a manifest holds, in everything that a rule may say.
const TELLS: &str = r#"# METADATA
# title: Tells
# description: It tells the colours that it sees.
package platform.tells

said contains objection if {
	some planned in input.objects
	colour := planned.object.data.colour
	colour != "green"
	objection := {
		"message": sprintf("%s is %s", [planned.name, colour]),
		"object": sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]),
		"path": sprintf("data[%s]", [colour]),
		"hint": sprintf("not %s", [colour]),
	}
}

deny contains objection if some objection in said

warn contains objection if some objection in said
"#;

/// An image whose name comes from a variable.
const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: \"registry.example/${colour}:1\"}
";

/// A policy that says nothing but what is covered.
async fn finds(estate: &Estate, name: &str, words: &str) -> anyhow::Result<()> {
    let policies = rules::policies(estate);
    let found = wait::for_object(&policies, name, words, |policy| {
        let finding = policy.data.pointer("/status/findings/0/message");
        finding.is_some_and(|finding| finding.to_string().contains(words))
    });
    found.await.map(drop)
}

/// The policy is in force as it is now.
async fn taken_up(estate: &Estate, policy: &Value) -> anyhow::Result<()> {
    let policies = rules::policies(estate);
    let name = policy["metadata"]["name"].as_str().context("a name")?;
    let looked = wait::for_object(&policies, name, "it is in force as it is now", |now| {
        let told = now.data.pointer("/status/observedGeneration");
        told.and_then(Value::as_i64) == now.metadata.generation
    });
    looked.await.map(drop)
}

#[test]
fn a_policy_that_quotes_a_secret_tells_it_to_nobody() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("variables-quoted").await?;
        let name = tenant.name();
        let value = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&value);
        let colour = json!({"colour": value});
        let secret = object("Secret", &tenant, "vars", "stringData", colour);
        tenant.apply(&secret).await?;
        let own = |mode: &str| rules::policy(&tenant, &json!({"mode": mode, "rego": TELLS}));
        let images = format!("{name}-images");
        let shipped = |mode: &str| {
            let spec = json!({"mode": mode, "shipped": "allowed-registries"});
            let mut policy = rules::policy(&tenant, &spec);
            policy["metadata"]["name"] = json!(images);
            policy
        };
        for policy in [own("audit"), shipped("audit")] {
            tenant.apply(&policy).await?;
        }
        for policy in [name, &images] {
            rules::ready(estate, policy, Reason::Succeeded, "").await?;
        }
        let from = json!({"substituteFrom": [{"kind": "Secret", "name": "vars"}]});
        let told = tenant
            .after(|draft| {
                draft.commit("settings.yaml", TEMPLATE);
                draft.commit("web.yaml", WEB);
                draft.set("postBuild", from);
            })
            .await?;
        says(&told, Reason::ReconciliationSucceeded, &[])?;
        finds(estate, name, "settings is ***").await?;
        finds(estate, &images, "registry.example/***").await?;

        for (policy, words) in [
            (own("warn"), None),
            (own("enforce"), Some("settings is ***")),
            (shipped("enforce"), Some("registry.example/***")),
        ] {
            tenant.apply(&policy).await?;
            taken_up(estate, &policy).await?;
            let told = tenant.reconcile(None).await?;
            match words {
                Some(words) => says(&told, Reason::PolicyDenied, &[words])?,
                None => says(&told, Reason::ReconciliationSucceeded, &[])?,
            }
        }
        let place = estate.plane.place();
        let leaks = tokio::task::spawn_blocking(move || secrecy::search(&place)).await??;
        ensure!(leaks.is_empty(), "{leaks:#?}");
        Ok(())
    });
}

/// A Secret that lies in git, where the tenant's own may read it.
fn password(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: login\nstringData:\n  password: {value}\n"
    )
}

#[test]
fn a_plugin_that_copies_a_secret_or_refuses_with_it_tells_it_to_nobody() {
    scenario(async {
        guest::install()?;
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("copied").await?;
        let value = format!("{:032x}", rand::random::<u128>());
        secrecy::used(&value);
        let rule = rules::policy(&tenant, &json!({"rego": TELLS}));
        tenant.apply(&rule).await?;
        rules::ready(estate, tenant.name(), Reason::Succeeded, "").await?;
        let plugin = |config: Value| {
            json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Plugin",
                "metadata": {"name": "copies", "namespace": tenant.name()},
                "spec": {"world": "transformer", "source": {"path": guest::COPIES}, "config": config},
            })
        };
        tenant.apply(&plugin(json!({"refuse": true}))).await?;
        let told = tenant
            .after(|draft| draft.commit("login.yaml", password(&value)))
            .await?;
        says(
            &told,
            Reason::PluginFailed,
            &["/copies failed: the plugin refuses: ***"],
        )?;

        tenant.apply(&plugin(json!({}))).await?;
        tenant.told_of(Reason::PolicyDenied, "copy is ***").await?;
        finds(estate, tenant.name(), "copy is ***").await?;
        let place = estate.plane.place();
        let leaks = tokio::task::spawn_blocking(move || secrecy::search(&place)).await??;
        ensure!(leaks.is_empty(), "{leaks:#?}");
        Ok(())
    });
}

/// Takes what it sees apart.
const PARTS: &str = r#"# METADATA
# title: Parts
# description: It tells a part of the colours that it sees.
package platform.parts

deny contains objection if {
	some planned in input.objects
	colour := planned.object.data.colour
	colour != "green"
	some part in [substring(colour, 0, 16), base64.encode(colour)]
	objection := {
		"message": sprintf("%s has %s", [planned.name, part]),
		"object": sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]),
	}
}
"#;

#[test]
fn a_policy_that_takes_a_secret_apart_tells_no_part_of_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("variables-apart").await?;
        let (half, rest) = (rand::random::<u64>(), rand::random::<u64>());
        let (half, value) = (format!("{half:016x}"), format!("{half:016x}{rest:016x}"));
        secrecy::used(&half);
        secrecy::used(&value);
        let colour = json!({"colour": value});
        let secret = object("Secret", &tenant, "vars", "stringData", colour);
        tenant.apply(&secret).await?;
        let rule = rules::policy(&tenant, &json!({"rego": PARTS}));
        tenant.apply(&rule).await?;
        rules::ready(estate, tenant.name(), Reason::Succeeded, "").await?;
        let from = json!({"substituteFrom": [{"kind": "Secret", "name": "vars"}]});
        let told = tenant
            .after(|draft| {
                draft.commit("settings.yaml", TEMPLATE);
                draft.set("postBuild", from);
            })
            .await?;
        let subject = format!("ConfigMap/{}/settings", tenant.name());
        let words = [subject.as_str(), "came from a Secret, and is not told"];
        says(&told, Reason::PolicyDenied, &words)?;
        finds(estate, tenant.name(), "is not told").await?;
        let place = estate.plane.place();
        let leaks = tokio::task::spawn_blocking(move || secrecy::search(&place)).await??;
        ensure!(leaks.is_empty(), "{leaks:#?}");
        Ok(())
    });
}
