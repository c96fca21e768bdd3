//! What changes while something is applied that was judged before: the judgement holds for what was judged, and for
//! nothing else.

use anyhow::{bail, ensure};
use kube::Api;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use crate::outage::{ATTEMPTS, OBJECTS, begun, items};
use crate::tenancy::everything;

const ELSEWHERE: &str = "kube-system";
const RED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";

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
            let good = policy(&tenant, "object.data.colour == \"red\"");
            tenant.apply(&good).await?;
            says(&estate, &tenant, Reason::Succeeded, "in force").await?;
            let commit = begun(&tenant, count).await?;
            tenant.apply(&policy(&tenant, "nosuch(object)")).await?;
            let there = items(&tenant).await?;
            says(&estate, &tenant, Reason::PolicyFailed, "stays in force").await?;
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

/// A Policy over the tenant, which denies objects of which `condition` holds.
fn policy(tenant: &Tenant<'_>, condition: &str) -> Value {
    let rego = format!(
        "# METADATA\n# title: Colours\n# description: Red is not wanted.\npackage colours\n\ndeny contains {{\"message\": \"it is red\"}} if {{\n\tsome planned in input.objects\n\tobject := planned.object\n\t{condition}\n}}\n"
    );
    json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Policy", "metadata": {"name": tenant.name()},
        "spec": {"rego": rego, "scope": {"namespaces": [tenant.name()]}},
    })
}

async fn says(
    estate: &Estate,
    tenant: &Tenant<'_>,
    reason: Reason,
    words: &str,
) -> anyhow::Result<()> {
    let policies: Api<DynamicObject> =
        objects::api(estate.admin(), "reeve.dev/v1alpha1", "Policy", None);
    let what = format!("Ready says {reason} and '{words}'");
    wait::for_object(&policies, tenant.name(), &what, |policy| {
        objects::condition(&policy.data, "Ready")
            .is_some_and(|ready| ready.reason == reason.as_str() && ready.message.contains(words))
    })
    .await?;
    Ok(())
}
