//! `reeve policy export --vap`: what the API server makes of it, beside the controller's own rules.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::{DynamicObject, PostParams};
use reeve_core::admit::trial;
use reeve_core::admit::{Circumstances, Rules};
use reeve_core::tenancy::{Grounds, Tenants};
use reeve_core::veil::Veil;
use reeve_tests::{Estate, objects, root, scenario, wait};
use serde_json::{Value, json};

use super::policy::policy;
use super::text;

/// A Kustomization, as somebody would apply it.
fn kustomization(namespace: &str, spec: &Value) -> Value {
    let mut whole = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "door", "namespace": namespace},
        "spec": {
            "interval": "10m", "prune": true, "serviceAccountName": "flux", "targetNamespace": namespace,
            "sourceRef": {"kind": "GitRepository", "name": "web"},
        },
    });
    if let (Some(into), Some(more)) = (whole["spec"].as_object_mut(), spec.as_object()) {
        into.extend(more.clone());
    }
    whole
}

const CONFIG: &str = "config-of-tenants";

/// What the controller's own rules say to it.
fn judged(object: &Value, tenants: &Tenants) -> anyhow::Result<Vec<String>> {
    let name = object["metadata"]["namespace"]
        .as_str()
        .context("a namespace")?;
    let grounds = Grounds {
        platform_namespaces: std::iter::once("flux-system".parse()?).collect(),
        config_namespaces: std::iter::once(CONFIG.parse()?).collect(),
        platform_service_account: "platform".parse()?,
        tenant_service_account: "flux".parse()?,
        remote_bases: Vec::new(),
        remote_clusters: Vec::new(),
    };
    let tenant = tenants.owner_of(&grounds, &name.parse()?)?;
    let around = Circumstances {
        tenant: &tenant,
        grounds: &grounds,
        source: None,
        now: jiff::Timestamp::now(),
        veil: Veil::nothing(),
    };
    let trial = trial::of_manifests(Rules::shipped(), &around, object, Vec::new(), None)?;
    let findings = trial.answers.findings.into_iter();
    Ok(findings.map(|finding| finding.objection.message).collect())
}

/// Applies what `reeve policy export` prints, bound to one namespace: others' scenarios are not to be refused.
async fn export(estate: &Estate, namespace: &str, tenants: &str) -> anyhow::Result<()> {
    let flags = [
        "export",
        "--vap",
        "--platform-namespaces",
        "flux-system",
        "--config-namespaces",
        CONFIG,
    ];
    let arguments: Vec<&str> = flags
        .into_iter()
        .chain(["--tenants", "-", "-o", "json"])
        .collect();
    let printed = policy(&arguments, &root(), tenants)?;
    ensure!(printed.status.success(), "{}", text(&printed.stderr));
    let list: Value = serde_json::from_slice(&printed.stdout)?;
    for mut object in list["items"].as_array().cloned().unwrap_or_default() {
        if object["kind"] == "ValidatingAdmissionPolicyBinding" {
            object["spec"]["matchResources"] = json!({
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            });
        }
        let kind = object["kind"].as_str().context("a kind")?;
        let api = objects::api(
            estate.admin(),
            "admissionregistration.k8s.io/v1",
            kind,
            None,
        );
        let name = object["metadata"]["name"].as_str().context("a name")?;
        let params = kube::api::PatchParams::apply("test").force();
        api.patch(name, &params, &kube::api::Patch::Apply(&object))
            .await?;
    }
    Ok(())
}

/// What the API server says to it, if it refuses.
async fn refusal(estate: &Estate, object: &Value) -> anyhow::Result<Option<String>> {
    let namespace = object["metadata"]["namespace"].as_str();
    let version = "kustomize.toolkit.fluxcd.io/v1";
    let api = objects::api(estate.admin(), version, "Kustomization", namespace);
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match api.create(&dry, &object).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status.message.clone())),
        Err(why) => Err(why.into()),
    }
}

#[test]
fn the_api_server_refuses_what_the_exported_policies_deny_and_nothing_else() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("door").await?;
        let name = tenant.name();
        let source = |namespace: &str, name: &str| json!({"sourceRef": {"kind": "GitRepository", "namespace": namespace, "name": name}});
        let specs = [
            json!({}),
            json!({"serviceAccountName": null}),
            json!({"serviceAccountName": "  "}),
            json!({"targetNamespace": "other"}),
            json!({"targetNamespace": null, "serviceAccountName": ""}),
            source(name, "web"),
            source("other", name),
            source("flux-system", name),
            source(CONFIG, name),
            source(CONFIG, "shared"),
            source("door-two", "web"),
        ];
        let declared = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "doors"},
            "spec": {"namespaces": [name, "door-two"], "sources": ["shared"]},
        });
        let mut refused = 0;
        for declared in [None, Some(declared)] {
            let mut tenants = Tenants::default();
            let printed = declared.as_ref().map(Value::to_string).unwrap_or_default();
            if let Some(declared) = declared {
                tenants.apply(&serde_json::from_value(declared)?);
            }
            export(estate, name, &printed).await?;
            for spec in &specs {
                let object = kustomization(name, spec);
                let want = judged(&object, &tenants);
                // The API server takes a new policy up after a while.
                let what = format!("{spec} is answered");
                let seen = wait::until(Duration::from_secs(30), &what, || async {
                    let refusal = refusal(estate, &object).await.ok()?;
                    match (&refusal, &want) {
                        (None, Ok(want)) => want.is_empty().then_some(refusal),
                        // What cannot be read as a spec is refused for whatever is wrong with it.
                        (Some(_), Err(_)) => Some(refusal),
                        (None, Err(_)) => None,
                        (Some(said), Ok(want)) => want
                            .iter()
                            .any(|one| said.contains(one.as_str()))
                            .then_some(refusal),
                    }
                });
                let seen = seen.await.with_context(|| format!("{want:?}"))?;
                refused += usize::from(seen.is_some());
            }
        }
        ensure!(refused > 10, "{refused}");
        let platform = kustomization(name, &json!({}));
        ensure!(refusal(estate, &platform).await?.is_none());
        Ok(())
    });
}
