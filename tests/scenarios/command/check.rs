//! `reeve check`: what is told of a cluster before and after reeve is installed, and of an installation that is broken.

use std::time::Duration;

use anyhow::ensure;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use reeve_tests::chart::Release;
use reeve_tests::install::SYSTEM;
use reeve_tests::landlord::LANDLORD;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::get::{asked, said};
use crate::admission;
use crate::flux_cli::has_line;

/// Puts a Deployment of the chart's there, and waits until so many pods are ready.
pub(super) async fn deployed(estate: &Estate, name: &str, replicas: i64) -> anyhow::Result<()> {
    let release = Release::estate().await?;
    let mut deployment = release.object("Deployment", name)?.clone();
    deployment["spec"]["replicas"] = json!(replicas);
    let api = objects::api(estate.admin(), "apps/v1", "Deployment", Some(SYSTEM));
    let params = PatchParams::apply("estate").force();
    api.patch(name, &params, &Patch::Apply(&deployment)).await?;
    let number = |object: &DynamicObject, pointer| {
        let number = object.data.pointer(pointer).and_then(Value::as_i64);
        number.unwrap_or_default()
    };
    wait::for_object(&api, name, "its pods are ready", |seen| {
        number(seen, "/status/readyReplicas") == replicas
            && Some(number(seen, "/status/observedGeneration")) == seen.metadata.generation
    })
    .await?;
    Ok(())
}

async fn before_it_is_installed(estate: &Estate) -> anyhow::Result<()> {
    let here = std::env::temp_dir();
    let told = said(&asked(estate, &here, &["check", "--pre"]).await?, 0)?;
    has_line(&told, &["► checking prerequisites"])?;
    has_line(&told, &["✔ Kubernetes 1.", ">=1.29.0-0"])?;
    has_line(&told, &["✔ your clock agrees"])?;
    has_line(&told, &["✔ you may create customresourcedefinitions"])?;
    has_line(&told, &["✔ prerequisites checks passed"])
}

/// The API server has lost one of each sort: what binds a fence, and a fence.
async fn without_fences(estate: &Estate) -> anyhow::Result<()> {
    let version = "admissionregistration.k8s.io/v1";
    let of = |kind: &str| objects::api(estate.admin(), version, kind, None);
    let (policies, bindings) = (
        of("ValidatingAdmissionPolicy"),
        of("ValidatingAdmissionPolicyBinding"),
    );
    for (all, name) in [
        (&bindings, "reeve-delivery"),
        (&bindings, "reeve-onboarding"),
        (&policies, "reeve-leases"),
    ] {
        all.delete(name, &DeleteParams::default()).await?;
        wait::until_gone(all, name).await?;
    }
    let told = said(&asked(estate, &std::env::temp_dir(), &["check"]).await?, 1)?;
    let unbound = "is not bound so that it denies";
    let wrong = "✗ ValidatingAdmissionPolicy reeve-delivery, which is to fence";
    has_line(&told, &[wrong, unbound])?;
    let wrong = "✗ ValidatingAdmissionPolicy reeve-onboarding, which keeps others from";
    has_line(&told, &[wrong, unbound])?;
    has_line(
        &told,
        &["✗ there is no ValidatingAdmissionPolicy reeve-leases"],
    )?;
    has_line(&told, &["`helm upgrade` of the chart reeve"])
}

/// Of a landlord it is told when there is none, which is no failure, and when there is one that does not run, which is.
async fn without_a_landlord(estate: &Estate) -> anyhow::Result<()> {
    let here = std::env::temp_dir();
    let told = said(&asked(estate, &here, &["check"]).await?, 0)?;
    has_line(&told, &["◎ no namespace has a Deployment of the landlord"])?;
    has_line(
        &told,
        &["✔ all checks that could be made passed, 1 could not"],
    )?;
    deployed(estate, LANDLORD, 0).await?;
    let told = said(&asked(estate, &here, &["check"]).await?, 1)?;
    let wrong = format!("✗ {SYSTEM}/{LANDLORD}: deployment is scaled to nothing");
    has_line(&told, &[&wrong])?;
    has_line(&told, &["1 check failed"])
}

async fn it_is_well(estate: &Estate) -> anyhow::Result<()> {
    let told = said(&asked(estate, &std::env::temp_dir(), &["check"]).await?, 0)?;
    let kind = "✔ kustomizations.kustomize.toolkit.fluxcd.io served: v1";
    has_line(&told, &[kind, "stored: v1"])?;
    has_line(&told, &["✔ policies.reeve.dev served: v1alpha1"])?;
    for name in ["reeve", LANDLORD] {
        let ready = format!("✔ {SYSTEM}/{name}: deployment ready (1/1");
        has_line(&told, &[&ready])?;
    }
    for (account, fence) in [("reeve", "reeve-delivery"), (LANDLORD, LANDLORD)] {
        let fence = format!("is fenced by ValidatingAdmissionPolicy {fence}");
        has_line(&told, &[&format!("✔ {SYSTEM}/{account}, "), &fence])?;
    }
    for fence in ["reeve-onboarding", "reeve-leases"] {
        has_line(
            &told,
            &[&format!("✔ ValidatingAdmissionPolicy {fence} keeps")],
        )?;
    }
    has_line(&told, &["✔ the admission webhook answers"])?;
    has_line(&told, &["✔ you may patch kustomizations in default"])?;
    has_line(&told, &["✔ all checks passed"])
}

#[test]
fn reeve_check_says_that_an_installation_works_and_what_is_wrong_with_one() {
    scenario(async {
        let estate = admission::estate().await?;
        let here = std::env::temp_dir();
        let check = |more: &'static [&'static str]| asked(&estate, &here, more);

        before_it_is_installed(&estate).await?;
        let told = said(&check(&["check"]).await?, 1)?;
        let wrong = "✗ no namespace has a Deployment of the controller";
        has_line(&told, &[wrong])?;
        has_line(&told, &["1 check failed"])?;
        deployed(&estate, "reeve", 0).await?;
        let told = said(&check(&["check"]).await?, 1)?;
        has_line(
            &told,
            &[&format!(
                "✗ {SYSTEM}/reeve: deployment is scaled to nothing"
            )],
        )?;

        deployed(&estate, "reeve", 1).await?;
        without_a_landlord(&estate).await?;
        deployed(&estate, LANDLORD, 1).await?;
        it_is_well(&estate).await?;

        let ended = estate.controller.stop(Duration::from_secs(20));
        ensure!(ended.is_some(), "the controller goes on");
        let output = check(&["check", "-o", "json"]).await?;
        said(&output, 1)?;
        let told: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        let failed: Vec<_> = told
            .iter()
            .filter(|one| one["outcome"] == "failed")
            .collect();
        let [webhook] = &failed[..] else {
            anyhow::bail!("{failed:?}");
        };
        let message = objects::text(webhook, "/message").unwrap_or_default();
        ensure!(
            message.starts_with("the admission webhook does not answer"),
            "{told:?}"
        );
        ensure!(objects::text(webhook, "/remedy").is_some(), "{told:?}");
        without_fences(&estate).await
    });
}

#[test]
fn what_a_tenant_may_not_look_at_is_no_failure_of_reeve_check() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ops-may").await?;
        let name = tenant.name();
        // Nobody has given this one anything.
        let kubeconfig = estate.plane.kubeconfig_of(name, "default").await?;
        let program = reeve_tests::controller::program()?;
        let mut command = std::process::Command::new(program);
        command
            .args(["check", "-n", name, "--kubeconfig"])
            .arg(kubeconfig);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let told = said(&output, 0)?;
        has_line(&told, &["✔ Kubernetes"])?;
        has_line(&told, &["◎ listing Deployments failed", "forbidden"])?;
        has_line(&told, &["◎ you may not patch kustomizations in", name])?;
        has_line(&told, &["✔ all checks that could be made passed"])
    });
}
