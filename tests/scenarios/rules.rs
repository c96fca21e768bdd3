//! Policies of the platform's: what they deny is not written, what they only mind is told, and what is broken lets nothing
//! pass.

use std::fs;
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use reeve_api::reason::Reason;
use reeve_tests::install::{PLATFORM, SYSTEM};
use reeve_tests::tenant::{Draft, Tenant};
use reeve_tests::{Estate, controller, objects, scenario, wait};
use serde_json::{Value, json};

const API: &str = "reeve.dev/v1alpha1";
pub(super) const RED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";
const BLUE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: blue\n";

/// Denies a colour.
pub(super) fn minds(colour: &str) -> String {
    format!(
        r#"# METADATA
# title: Colours
# description: Some colours are not wanted.
# custom:
#   hint: choose another colour
package platform.colours

deny contains objection if {{
	some planned in input.objects
	planned.object.data.colour == "{colour}"
	objection := {{
		"message": sprintf("%s is %s", [planned.name, planned.object.data.colour]),
		"object": sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]),
	}}
}}
"#
    )
}

/// Holds when that colour is denied.
fn tests(colour: &str) -> String {
    let planned = format!(
        r#"{{"name": "a", "kind": "K", "namespace": "n", "object": {{"data": {{"colour": "{colour}"}}}}}}"#
    );
    format!(
        "package platform.colours_test\n\ntest_it_is_minded if {{\n\tcount(data.platform.colours.deny) == 1 with input as {{\"objects\": [{planned}]}}\n}}\n"
    )
}

/// A Policy over one tenant.
pub(super) fn policy(tenant: &Tenant<'_>, spec: &Value) -> Value {
    let mut policy = json!({
        "apiVersion": API, "kind": "Policy", "metadata": {"name": tenant.name()},
        "spec": {"scope": {"namespaces": [tenant.name()]}},
    });
    if let (Some(into), Some(more)) = (policy["spec"].as_object_mut(), spec.as_object()) {
        into.extend(more.clone());
    }
    policy
}

pub(super) fn policies(estate: &Estate) -> Api<DynamicObject> {
    objects::api(estate.admin(), API, "Policy", None)
}

/// Waits until the policy's `Ready` says so.
pub(super) async fn ready(
    estate: &Estate,
    name: &str,
    reason: Reason,
    words: &str,
) -> anyhow::Result<DynamicObject> {
    let what = format!("Ready says {} and '{words}'", reason.as_str());
    wait::for_object(&policies(estate), name, &what, |policy| {
        objects::condition(&policy.data, "Ready")
            .is_some_and(|ready| ready.reason == reason.as_str() && ready.message.contains(words))
    })
    .await
}

pub(super) async fn colour(tenant: &Tenant<'_>) -> anyhow::Result<Option<String>> {
    let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
    Ok(objects::text(&settings.data, "/data/colour").map(str::to_owned))
}

#[test]
fn what_a_policy_denies_is_not_written_until_it_is_allowed_or_the_policy_goes() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ruled").await?;
        tenant
            .apply(&policy(&tenant, &json!({"rego": minds("red")})))
            .await?;
        ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
        let told = tenant
            .after(|draft| draft.commit("settings.yaml", RED))
            .await?;
        anyhow::ensure!(
            told.ready.reason == Reason::PolicyDenied.as_str(),
            "{told:?}"
        );
        for words in ["settings is red", "choose another colour"] {
            anyhow::ensure!(told.ready.message.contains(words), "{}", told.ready.message);
        }
        anyhow::ensure!(colour(&tenant).await?.as_deref() == Some("green"));
        let counted = wait::for_object(&policies(estate), tenant.name(), "it counts", |policy| {
            policy.data.pointer("/status/verdicts/denied") == Some(&json!(1))
        })
        .await?;
        let finding = counted.data.pointer("/status/findings/0/message");
        anyhow::ensure!(finding == Some(&json!("settings is red")), "{finding:?}");
        policies(estate)
            .delete(tenant.name(), &DeleteParams::default())
            .await?;
        let settings = tenant.api("v1", "ConfigMap");
        wait::for_object(&settings, "settings", "it is red", |map| {
            objects::text(&map.data, "/data/colour") == Some("red")
        })
        .await?;
        Ok(())
    });
}

#[test]
fn what_is_only_warned_of_is_written_and_the_tenant_told_and_an_audit_tells_the_platform() {
    scenario(async {
        let estate = Estate::shared().await?;
        for (mode, name) in [("warn", "warned"), ("audit", "audited")] {
            let tenant = estate.healthy_tenant(name).await?;
            let spec = json!({"rego": minds("red"), "mode": mode});
            tenant.apply(&policy(&tenant, &spec)).await?;
            ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
            tenant.push(&[("settings.yaml", Some(RED))]).await?;
            anyhow::ensure!(colour(&tenant).await?.as_deref() == Some("red"));
            wait::for_object(&policies(estate), tenant.name(), "it counts", |policy| {
                policy.data.pointer("/status/verdicts/denied") == Some(&json!(1))
            })
            .await?;
            let events = tenant.api("v1", "Event").list(&Default::default()).await?;
            let warnings = events.items.iter().filter(|event| {
                objects::text(&event.data, "/reason") == Some(Reason::PolicyWarning.as_str())
            });
            let expected = usize::from(mode == "warn");
            anyhow::ensure!(warnings.count() == expected, "{mode}");
        }
        Ok(())
    });
}

#[test]
fn a_policy_that_never_compiled_denies_and_one_that_breaks_later_stays_as_it_was() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("broken").await?;
        let broken =
            json!({"rego": "package broken\n\ndeny contains x if {\n\tx := nosuch(1)\n}\n"});
        tenant.apply(&policy(&tenant, &broken)).await?;
        ready(
            estate,
            tenant.name(),
            Reason::PolicyFailed,
            "nothing of it is in force",
        )
        .await?;
        let told = tenant
            .after(|draft| draft.commit("settings.yaml", BLUE))
            .await?;
        anyhow::ensure!(
            told.ready.reason == Reason::PolicyDenied.as_str(),
            "{told:?}"
        );
        anyhow::ensure!(
            told.ready.message.contains("not in force yet"),
            "{}",
            told.ready.message
        );
        anyhow::ensure!(colour(&tenant).await?.as_deref() == Some("green"));

        tenant
            .apply(&policy(&tenant, &json!({"rego": minds("red")})))
            .await?;
        let settings = tenant.api("v1", "ConfigMap");
        wait::for_object(&settings, "settings", "it is blue", |map| {
            objects::text(&map.data, "/data/colour") == Some("blue")
        })
        .await?;
        tenant.apply(&policy(&tenant, &broken)).await?;
        ready(
            estate,
            tenant.name(),
            Reason::PolicyFailed,
            "stays in force",
        )
        .await?;
        let told = tenant
            .after(|draft| draft.commit("settings.yaml", RED))
            .await?;
        anyhow::ensure!(
            told.ready.message.contains("settings is red"),
            "{}",
            told.ready.message
        );
        Ok(())
    });
}

#[test]
fn a_policy_that_would_end_its_reader_is_told_on_it_and_everybody_else_goes_on() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("bombed").await?;
        let beside = estate.healthy_tenant("beside-bombs").await?;
        for (says, bomb, colour_then) in [
            ("takes too long", "[".repeat(5_000), RED),
            ("nested deeper than", "-".repeat(9_000), BLUE),
            ("is recursive", "f(1)\n\nf(x) := f(x + 1)".to_owned(), RED),
        ] {
            let rego = format!("package bomb\n\ndeny contains {{\"message\": \"m\"}} if {bomb}\n");
            let bomb = policy(&tenant, &json!({"rego": rego}));
            tenant.apply(&bomb).await?;
            ready(estate, tenant.name(), Reason::PolicyFailed, says).await?;
            beside.push(&[("settings.yaml", Some(colour_then))]).await?;
        }
        anyhow::ensure!(colour(&beside).await?.as_deref() == Some("red"));
        Ok(())
    });
}

#[test]
fn a_revision_of_a_policy_repository_is_put_in_force_when_its_tests_pass() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("tested").await?;
        let repo = estate.repo("policies-tested")?;
        let name = "policies-tested";
        repo.write("rules/colours.rego", minds("red"))?;
        repo.write("rules/colours_test.rego", tests("red"))?;
        repo.commit("Rules")?;
        repo.push()?;
        tenant
            .apply(&json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": name, "namespace": PLATFORM},
                "spec": {"interval": "1s", "url": estate.git.url(name), "ref": {"branch": "main"}},
            }))
            .await?;
        let source = json!({
            "sourceRef": {"name": name, "namespace": PLATFORM}, "path": "./rules",
        });
        tenant.apply(&policy(&tenant, &source)).await?;
        let in_force = ready(estate, tenant.name(), Reason::Succeeded, "1 tests passed").await?;
        let first = objects::text(&in_force.data, "/status/revision").map(str::to_owned);

        // Its tests want red and it minds blue: it does not come into force.
        repo.write("rules/colours.rego", minds("blue"))?;
        repo.commit("Other rules")?;
        repo.push()?;
        let kept = ready(
            estate,
            tenant.name(),
            Reason::PolicyFailed,
            "1 of its 1 tests fail",
        )
        .await?;
        anyhow::ensure!(objects::text(&kept.data, "/status/revision") == first.as_deref());
        let told = tenant
            .after(|draft| draft.commit("settings.yaml", RED))
            .await?;
        anyhow::ensure!(
            told.ready.message.contains("settings is red"),
            "{}",
            told.ready.message
        );
        tenant.push(&[("settings.yaml", Some(BLUE))]).await?;

        repo.write("rules/colours_test.rego", tests("blue"))?;
        repo.commit("Other tests")?;
        repo.push()?;
        ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
        let told = tenant.reconcile(None).await?;
        anyhow::ensure!(
            told.ready.message.contains("settings is blue"),
            "{}",
            told.ready.message
        );
        Ok(())
    });
}

#[test]
fn a_rule_that_is_taken_back_is_told_as_allowing_again() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("taken-back").await?;
        for (minded, verdict) in [("red", "allowed"), ("green", "denied"), ("red", "allowed")] {
            tenant
                .apply(&policy(&tenant, &json!({"rego": minds(minded)})))
                .await?;
            let pointer = format!("/status/verdicts/{verdict}");
            wait::for_object(&policies(estate), tenant.name(), verdict, |policy| {
                policy.data.pointer(&pointer) == Some(&json!(1))
            })
            .await?;
        }
        let (policy, mode) = (format!("policy=\"{}\"", tenant.name()), "mode=\"enforce\"");
        for (metric, more) in [
            ("reeve_policy_verdicts_total", "verdict=\"denied\""),
            ("reeve_policy_evaluation_seconds_count", ""),
            ("reeve_policy_in_force", ""),
        ] {
            let words = [metric, policy.as_str(), mode, more];
            let counted = estate.controller.sample(&words).await?;
            anyhow::ensure!(counted > 0.0, "{metric}");
        }
        Ok(())
    });
}

/// Rules that come to no end where something is red, and answer whatever else they are asked.
fn endless() -> String {
    let doubled: String = (1..=40)
        .map(|n| format!("\ta{n} := [a{0}, a{0}]\n\tb{n} := [b{0}, b{0}]\n", n - 1))
        .collect();
    format!(
        "# METADATA\n# title: Lists\n# description: Compares two that are long.\npackage platform.lists\n\n\
         deny contains {{\"message\": \"they are the same\"}} if {{\n\tsome planned in input.objects\n\
         \tplanned.object.data.colour == \"red\"\n\ta0 := [planned.name]\n\tb0 := [planned.name]\n{doubled}\ta40 == b40\n}}\n"
    )
}

#[test]
fn a_policy_that_never_ends_denies_what_it_is_asked_and_everybody_else_goes_on() {
    scenario(async {
        let estate = Estate::start_with(&[]).await?;
        let first = estate.healthy_tenant("hung-a").await?;
        let second = estate.healthy_tenant("hung-b").await?;
        let third = estate.healthy_tenant("hung-c").await?;
        let names = [first.name(), second.name(), third.name()];
        let beside = estate.healthy_tenant("hung-beside").await?;
        let over = json!({"rego": endless(), "scope": {"namespaces": names}});
        first.apply(&policy(&first, &over)).await?;
        ready(&estate, first.name(), Reason::Succeeded, "in force").await?;

        // More than there are workers, on a small machine.
        let paints = |draft: &mut Draft| draft.commit("settings.yaml", RED);
        let (a, b, c) = tokio::try_join!(
            first.after(paints),
            second.after(paints),
            third.after(paints)
        )?;
        for told in [a, b, c] {
            let is_denied = told.ready.reason == Reason::PolicyDenied.as_str();
            let is_told = told.ready.message.contains("did not end");
            anyhow::ensure!(is_denied && is_told, "{told:?}");
        }
        wait::for_object(&policies(&estate), first.name(), "it is told", |policy| {
            let said = objects::text(&policy.data, "/status/findings/0/message");
            said.is_some_and(|said| said.contains("did not end"))
        })
        .await?;

        let told = beside.after(paints).await?;
        anyhow::ensure!(
            told.ready.reason == Reason::ReconciliationSucceeded.as_str(),
            "{told:?}"
        );
        anyhow::ensure!(colour(&beside).await?.as_deref() == Some("red"));
        let led = estate.controller.sample(&["reeve_leader"]).await?;
        anyhow::ensure!(led > 0.0, "it lost its lease");
        let seen = renewed(&estate).await?;
        wait::until(Duration::from_secs(30), "the lease is renewed", || async {
            renewed(&estate).await.ok().filter(|now| *now > seen)
        })
        .await?;

        // Another policy of that name is asked again.
        let good = json!({"rego": minds("blue"), "scope": {"namespaces": names}});
        first.apply(&policy(&first, &good)).await?;
        for tenant in [&first, &second, &third] {
            let settings = tenant.api("v1", "ConfigMap");
            wait::for_object(&settings, "settings", "it is red", |map| {
                objects::text(&map.data, "/data/colour") == Some("red")
            })
            .await?;
        }
        Ok(())
    });
}

/// When somebody last said that they still lead.
async fn renewed(estate: &Estate) -> anyhow::Result<Option<MicroTime>> {
    let leases: Api<Lease> = Api::namespaced(estate.admin(), SYSTEM);
    let all = leases.list(&ListParams::default()).await?.items;
    let lease = all.into_iter().find_map(|lease| lease.spec);
    Ok(lease.and_then(|spec| spec.renew_time))
}

#[test]
fn a_command_whose_policy_never_ends_says_so_and_exits_1() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (rules, input) = (
        folder.path().join("policy.rego"),
        folder.path().join("input.json"),
    );
    fs::write(&rules, endless())?;
    let planned = json!({"name": "settings", "object": {"data": {"colour": "red"}}});
    fs::write(
        &input,
        json!({"phase": "plan", "objects": [planned]}).to_string(),
    )?;
    let mut command = Command::new(controller::program()?);
    command
        .args(["policy", "eval", "--only", "--policy"])
        .arg(&rules);
    let ended = command.arg("--input").arg(&input).output()?;
    let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    anyhow::ensure!(ended.status.code() == Some(1), "{}: {said:?}", ended.status);
    anyhow::ensure!(said.concat().contains("did not end"), "{said:?}");
    Ok(())
}
