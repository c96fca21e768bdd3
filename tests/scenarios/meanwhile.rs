//! What changes while something is applied that was judged before: the judgement holds for what was judged, and for
//! nothing else.

use anyhow::{bail, ensure};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario};
use serde_json::{Value, json};

use crate::outage::{ATTEMPTS, OBJECTS, begun, items};
use crate::rules::{RED, policies, policy, ready};
use crate::tenancy::everything;

const ELSEWHERE: &str = "kube-system";

#[test]
fn a_kustomization_pointed_elsewhere_while_it_is_applied_writes_nothing_there() {
    scenario(async {
        let estate = Estate::start().await?;
        for attempt in 1..=ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("turned").await?;
            tenant.apply(&everything(tenant.name())).await?;
            begun(&tenant, count).await?;
            let elsewhere = Patch::Merge(json!({"spec": {"targetNamespace": ELSEWHERE}}));
            let kustomizations = tenant.kustomizations();
            kustomizations
                .patch(tenant.name(), &PatchParams::default(), &elsewhere)
                .await?;
            let there = items(&tenant).await?;
            tenant.told_of(Reason::PolicyDenied, ELSEWHERE).await?;
            let maps = objects::api(estate.admin(), "v1", "ConfigMap", Some(ELSEWHERE));
            let all = maps.list(&ListParams::default()).await?;
            let names = all.items.iter().filter_map(|map| map.metadata.name.clone());
            let moved: Vec<String> = names.filter(|name| name.starts_with("item-")).collect();
            ensure!(moved.is_empty(), "{moved:?} lie in {ELSEWHERE}");
            if there < count {
                return Ok(());
            }
        }
        bail!("it was never turned in time")
    });
}

#[test]
fn a_policy_broken_while_something_is_applied_stays_in_force_as_it_was() {
    scenario(async {
        let estate = Estate::start().await?;
        for attempt in 1..=ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("unbroken").await?;
            let good = denies("object.data.colour == \"red\"");
            tenant.apply(&policy(&tenant, &good)).await?;
            ready(&estate, tenant.name(), Reason::Succeeded, "in force").await?;
            let commit = begun(&tenant, count).await?;
            let broken = denies("nosuch(object)");
            tenant.apply(&policy(&tenant, &broken)).await?;
            let there = items(&tenant).await?;
            let stays = "stays in force";
            ready(&estate, tenant.name(), Reason::PolicyFailed, stays).await?;
            tenant.applied(&commit).await?;
            let change =
                |draft: &mut reeve_tests::tenant::Draft| draft.commit("settings.yaml", RED);
            let told = tenant.after(change).await?;
            ensure!(
                told.ready.message.contains("it is red"),
                "{}",
                told.ready.message
            );
            let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
            ensure!(objects::text(&settings.data, "/data/colour") == Some("green"));
            if there < count {
                return Ok(());
            }
        }
        bail!("it was never broken in time")
    });
}

#[test]
fn a_policy_made_while_something_is_applied_holds_for_what_comes_after_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        for attempt in 1..=ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("ruled-late").await?;
            begun(&tenant, count).await?;
            let late = denies("startswith(object.metadata.name, \"item-\")");
            tenant.apply(&policy(&tenant, &late)).await?;
            let there = items(&tenant).await?;
            tenant.told_of(Reason::PolicyDenied, "it is red").await?;
            let named = denies("object.data.colour == \"red\"");
            tenant.apply(&policy(&tenant, &named)).await?;
            let change =
                |draft: &mut reeve_tests::tenant::Draft| draft.commit("settings.yaml", RED);
            let told = tenant.after(change).await?;
            ensure!(told.ready.message.contains("it is red"), "{told:?}");
            let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
            ensure!(objects::text(&settings.data, "/data/colour") == Some("green"));
            if there < count {
                return Ok(());
            }
        }
        bail!("it was never made in time")
    });
}

#[test]
fn a_policy_deleted_while_something_is_applied_leaves_the_others_in_force() {
    scenario(async {
        let estate = Estate::shared().await?;
        for attempt in 1..=ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("unruled").await?;
            let red = denies("object.data.colour == \"red\"");
            let mut other = policy(&tenant, &red);
            let name = format!("{}-other", tenant.name());
            other["metadata"]["name"] = json!(name);
            for one in [&other, &policy(&tenant, &red)] {
                tenant.apply(one).await?;
            }
            for name in [&name, tenant.name()] {
                ready(estate, name, Reason::Succeeded, "in force").await?;
            }
            let commit = begun(&tenant, count).await?;
            policies(estate)
                .delete(&name, &DeleteParams::default())
                .await?;
            let there = items(&tenant).await?;
            tenant.applied(&commit).await?;
            let change =
                |draft: &mut reeve_tests::tenant::Draft| draft.commit("settings.yaml", RED);
            let told = tenant.after(change).await?;
            let whose = format!("denied by policy {}: it is red", tenant.name());
            ensure!(told.ready.message.contains(&whose), "{told:?}");
            ensure!(!told.ready.message.contains(&name), "{told:?}");
            if there < count {
                return Ok(());
            }
        }
        bail!("it was never deleted in time")
    });
}

#[test]
fn a_tenant_that_takes_the_source_away_while_something_is_applied_has_nothing_more_applied() {
    scenario(async {
        let estate = Estate::shared().await?;
        for attempt in 1..=ATTEMPTS {
            let count = OBJECTS << attempt;
            let tenant = estate.healthy_tenant("bereft").await?;
            begun(&tenant, count).await?;
            let elsewhere = json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant",
                "metadata": {"name": format!("{}-else", tenant.name())},
                "spec": {"namespaces": ["nowhere"], "sources": [tenant.name()]},
            });
            tenant.apply(&elsewhere).await?;
            let there = items(&tenant).await?;
            let blocked = "cross-namespace references have been blocked";
            tenant.told_of(Reason::AccessDenied, blocked).await?;
            let change =
                |draft: &mut reeve_tests::tenant::Draft| draft.commit("settings.yaml", RED);
            let told = tenant.after(change).await?;
            ensure!(told.ready.message.contains(blocked), "{told:?}");
            let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
            ensure!(objects::text(&settings.data, "/data/colour") == Some("green"));
            if there < count {
                return Ok(());
            }
        }
        bail!("it was never taken away in time")
    });
}

/// Denies objects of which `condition` holds.
fn denies(condition: &str) -> Value {
    let rego = format!(
        "# METADATA\n# title: Colours\n# description: Red is not wanted.\npackage colours\n\ndeny contains {{\"message\": \"it is red\"}} if {{\n\tsome planned in input.objects\n\tobject := planned.object\n\t{condition}\n}}\n"
    );
    json!({"rego": rego})
}

#[test]
fn a_source_that_points_elsewhere_by_now_is_judged_by_what_it_has_in_store() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("borrowed").await?;
        // What is in store came from somewhere else, and nothing is fetched from there.
        let elsewhere = json!({"spec": {"url": "https://git.good.example/org/app"}});
        patch(&tenant, None, &elsewhere).await?;
        // Whoever may write its status vouches for it.
        let time = "2026-01-01T00:00:00Z";
        let condition = json!({"type": "SourceVerified", "status": "True", "reason": "Succeeded", "message": "checked", "lastTransitionTime": time});
        patch(
            &tenant,
            Some("status"),
            &json!({"status": {"conditions": [condition]}}),
        )
        .await?;
        for (name, condition) in [
            (
                "good",
                "not startswith(input.source.url, \"https://git.good.example/\")",
            ),
            ("verified", "not input.source.verified"),
        ] {
            let rego = format!(
                "# METADATA\n# title: Sources\n# description: Only some.\npackage sources\n\ndeny contains {{\"message\": \"not of {name}\"}} if {condition}\n"
            );
            tenant
                .apply(&policy(&tenant, &json!({"rego": rego})))
                .await?;
            tenant
                .told_of(Reason::PolicyDenied, &format!("not of {name}"))
                .await?;
        }
        Ok(())
    });
}

/// Changes the tenant's source.
async fn patch(tenant: &Tenant<'_>, part: Option<&str>, change: &Value) -> anyhow::Result<()> {
    let (sources, how) = (tenant.sources(), PatchParams::default());
    let change = Patch::Merge(change);
    match part {
        Some(_) => sources.patch_status(tenant.name(), &how, &change).await?,
        None => sources.patch(tenant.name(), &how, &change).await?,
    };
    Ok(())
}
