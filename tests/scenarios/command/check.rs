//! `reeve check`: what is told of a cluster before and after reeve is installed, and of an installation that is broken.

use std::time::Duration;

use anyhow::ensure;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use reeve_tests::chart::Release;
use reeve_tests::install::SYSTEM;
use reeve_tests::{Estate, objects, scenario, wait};
use serde_json::{Value, json};

use super::get::{asked, said};
use crate::admission;
use crate::flux_cli::has_line;

/// Puts the chart's Deployment there, and waits until so many pods are ready.
pub(super) async fn deployed(estate: &Estate, replicas: i64) -> anyhow::Result<()> {
    let release = Release::estate().await?;
    let mut deployment = release.object("Deployment", "reeve")?.clone();
    deployment["spec"]["replicas"] = json!(replicas);
    let api = objects::api(estate.admin(), "apps/v1", "Deployment", Some(SYSTEM));
    let params = PatchParams::apply("estate").force();
    api.patch("reeve", &params, &Patch::Apply(&deployment))
        .await?;
    let number = |object: &DynamicObject, pointer| {
        let number = object.data.pointer(pointer).and_then(Value::as_i64);
        number.unwrap_or_default()
    };
    wait::for_object(&api, "reeve", "its pods are ready", |seen| {
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

async fn without_its_fence(estate: &Estate) -> anyhow::Result<()> {
    let (version, kind) = (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
    );
    let bindings = objects::api(estate.admin(), version, kind, None);
    bindings
        .delete("reeve-delivery", &DeleteParams::default())
        .await?;
    wait::until_gone(&bindings, "reeve-delivery").await?;
    let told = said(&asked(estate, &std::env::temp_dir(), &["check"]).await?, 1)?;
    let wrong = "✗ ValidatingAdmissionPolicy reeve-delivery, which is to fence";
    has_line(&told, &[wrong, "is not bound so that it denies"])?;
    has_line(&told, &["`helm upgrade` of the chart reeve"])
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
        deployed(&estate, 0).await?;
        let told = said(&check(&["check"]).await?, 1)?;
        has_line(
            &told,
            &[&format!(
                "✗ {SYSTEM}/reeve: deployment is scaled to nothing"
            )],
        )?;

        deployed(&estate, 1).await?;
        let told = said(&check(&["check"]).await?, 0)?;
        has_line(
            &told,
            &[
                "✔ kustomizations.kustomize.toolkit.fluxcd.io served: v1",
                "stored: v1",
            ],
        )?;
        has_line(&told, &["✔ policies.reeve.dev served: v1alpha1"])?;
        has_line(
            &told,
            &[&format!("✔ {SYSTEM}/reeve: deployment ready (1/1")],
        )?;
        let fence = "is fenced by ValidatingAdmissionPolicy reeve-delivery";
        has_line(&told, &[&format!("✔ {SYSTEM}/reeve, "), fence])?;
        has_line(&told, &["✔ the admission webhook answers"])?;
        has_line(&told, &["✔ you may patch kustomizations in default"])?;
        has_line(&told, &["✔ all checks passed"])?;

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
        without_its_fence(&estate).await
    });
}

#[test]
fn what_a_tenant_may_not_look_at_is_no_failure_of_reeve_check() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("ops-may").await?;
        let name = tenant.name();
        let kubeconfig = estate.plane.kubeconfig_of(name, "flux").await?;
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
