//! `reeve policy replay`: what a change of a policy would do is said before it does, and nothing of it stays behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::api::ListParams;
use reeve_api::reason::Reason;
use reeve_tests::install::PLATFORM;
use reeve_tests::process::Process;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, controller, scenario, wait};
use serde_json::{Value, json};

use super::files;
use super::get::said;
use crate::outage::rough;
use crate::rules::{RED, minds, policies, policy, ready};

const LABEL: &str = "reeve.dev/replay";
const SETTINGS: &str = "ConfigMap";

/// Minds green, and warns of everything that is called settings.
fn changed() -> String {
    let warns = "\nwarn contains objection if {\n\tsome planned in input.objects\n\tplanned.name == \"settings\"\n\tobjection := {\n\t\t\"message\": \"settings are on their way out\",\n\t\t\"object\": sprintf(\"%s/%s/%s\", [planned.kind, planned.namespace, planned.name]),\n\t}\n}\n";
    format!("{}{warns}", minds("green"))
}

/// Asks what `source` would change for the Policy `named`.
async fn replay(
    estate: &Estate,
    directory: &Path,
    (source, named): (&str, &str),
    more: &[&str],
) -> anyhow::Result<Output> {
    let mut command = Command::new(controller::program()?);
    command
        .args(["policy", "replay", "--source", source, "--policy", named])
        .args(["--controller-namespace", PLATFORM])
        .args(more)
        .arg("--kubeconfig")
        .arg(estate.plane.kubeconfig())
        .current_dir(directory);
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

/// The questions that stand on the cluster about a Policy.
async fn asked(estate: &Estate, named: &str) -> anyhow::Result<usize> {
    let which = ListParams::default().labels(LABEL);
    let all = policies(estate).list(&which).await?.items.into_iter();
    let of = |with: &Value| with == named;
    Ok(all
        .filter(|one| one.data.pointer("/spec/comparedWith").is_some_and(of))
        .count())
}

/// A Policy that minds red, over one tenant that it denies, one that it lets pass, and a Kustomization of which nothing was
/// ever rendered.
async fn minded<'a>(estate: &'a Estate, name: &str) -> anyhow::Result<(Tenant<'a>, Tenant<'a>)> {
    let denied = estate.healthy_tenant(&format!("{name}-red")).await?;
    let passes = estate.healthy_tenant(&format!("{name}-green")).await?;
    let scope = json!({"namespaces": [denied.name(), passes.name()]});
    let over = policy(&denied, &json!({"rego": minds("red"), "scope": scope}));
    denied.apply(&over).await?;
    ready(estate, denied.name(), Reason::Succeeded, "in force").await?;
    let change = |draft: &mut reeve_tests::tenant::Draft| draft.commit("settings.yaml", RED);
    let told = denied.after(change).await?;
    ensure!(
        told.ready.reason == Reason::PolicyDenied.as_str(),
        "{told:?}"
    );
    denied
        .apply(&json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "never", "namespace": denied.name()},
            "spec": {
                "interval": "1h", "prune": true, "serviceAccountName": "flux",
                "targetNamespace": denied.name(),
                "sourceRef": {"kind": "GitRepository", "name": "nowhere"},
            },
        }))
        .await?;
    Ok((denied, passes))
}

fn counts(report: &Value) -> Vec<i64> {
    ["denied", "warned", "freed", "judged", "notJudged"]
        .iter()
        .filter_map(|what| report["kustomizations"][what].as_i64())
        .collect()
}

/// Asked for a change that denies one, and frees another that it then warns of.
async fn forms(
    ask: &impl AsyncFn(&str, &[&str]) -> anyhow::Result<Output>,
    (red, green): (&Tenant<'_>, &Tenant<'_>),
) -> anyhow::Result<()> {
    let table = said(&ask("new", &[]).await?, 1)?;
    for words in [
        format!(
            "denied  {0}/{0}  {SETTINGS}/{0}/settings\n        settings is green",
            green.name()
        ),
        format!(
            "freed   {0}/{0}  {SETTINGS}/{0}/settings\n        settings is red",
            red.name()
        ),
        format!("warned  {0}/{0}  {SETTINGS}/{0}/settings", red.name()),
        format!("not judged  {}/never", red.name()),
        "1 denied, 1 warned, 1 freed; 2 Kustomizations judged, 1 not judged".to_owned(),
        "1 Kustomization would be denied anew".to_owned(),
    ] {
        ensure!(table.contains(&words), "{words}: {table}");
    }
    let output = ask("new", &["-o", "json"]).await?;
    said(&output, 1)?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(counts(&report) == [1, 1, 1, 2, 1], "{report:#}");
    let markdown = said(&ask("new", &["-o", "markdown"]).await?, 1)?;
    let row = format!(
        "| denied | {0}/{0} | {SETTINGS}/{0}/settings |  | settings is green |",
        green.name()
    );
    ensure!(markdown.contains(&row), "{markdown}");
    let output = ask("new", &["-o", "sarif"]).await?;
    let sarif: Value = serde_json::from_slice(&output.stdout)?;
    let result = &sarif["runs"][0]["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    ensure!(
        result["level"] == "error" && place["region"]["startLine"] == 8,
        "{sarif:#}"
    );
    ensure!(
        place["artifactLocation"]["uri"] == "new/policy.rego",
        "{sarif:#}"
    );
    Ok(())
}

#[test]
fn a_change_of_a_policy_is_said_in_every_form_before_it_denies_or_frees_anybody() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (red, green) = minded(estate, "replayed").await?;
        let dir = tempfile::tempdir()?;
        let same = minds("red");
        files(
            dir.path(),
            &[
                ("new/policy.rego", &changed()),
                ("same/policy.rego", &same),
                ("broken/policy.rego", "package broken\n"),
            ],
        )?;
        let ask = async |source: &str, more: &[&str]| {
            replay(estate, dir.path(), (source, red.name()), more).await
        };

        forms(&ask, (&red, &green)).await?;
        let table = said(&ask("same", &[]).await?, 0)?;
        ensure!(
            table.contains("0 denied, 0 warned, 0 freed; 2 Kustomizations judged"),
            "{table}"
        );
        let why = said(&ask("broken", &[]).await?, 2)?;
        ensure!(why.contains("broken/policy.rego"), "{why}");
        let output = replay(estate, dir.path(), ("new", "nobody"), &[]).await?;
        let why = said(&output, 2)?;
        ensure!(why.contains("there is no Policy nobody"), "{why}");

        ensure!(
            asked(estate, red.name()).await? == 0,
            "a question was left behind"
        );
        let told = green.reconcile(None).await?;
        ensure!(
            told.ready.reason == Reason::ReconciliationSucceeded.as_str(),
            "{told:?}"
        );
        Ok(())
    });
}

#[test]
fn a_revision_of_the_policys_own_source_is_asked_about_without_coming_into_force() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("revised").await?;
        let name = estate.unique("policies-revised");
        let repo = estate.repo(&name)?;
        repo.publish("rules/colours.rego", minds("red"))?;
        repo.checkout("next")?;
        let commit = repo.publish("rules/colours.rego", minds("green"))?;
        tenant
            .apply(&json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": name, "namespace": PLATFORM},
                "spec": {"interval": "1h", "url": estate.git.url(&name), "ref": {"branch": repo.branch()}},
            }))
            .await?;
        let source = json!({"sourceRef": {"name": name, "namespace": PLATFORM}, "path": "rules"});
        tenant.apply(&policy(&tenant, &source)).await?;
        ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
        tenant.reconcile(None).await?;
        let here = std::env::temp_dir();
        for revision in ["next", &commit, "refs/heads/next"] {
            let output = replay(estate, &here, (revision, tenant.name()), &["-o", "json"]).await?;
            said(&output, 1)?;
            let report: Value = serde_json::from_slice(&output.stdout)?;
            ensure!(counts(&report) == [1, 0, 0, 1, 0], "{revision}: {report:#}");
        }
        let why = said(
            &replay(estate, &here, ("nosuch", tenant.name()), &[]).await?,
            2,
        )?;
        ensure!(why.contains("the revision cannot be had"), "{why}");
        ensure!(
            asked(estate, tenant.name()).await? == 0,
            "a question was left behind"
        );
        let sources = reeve_tests::objects::api(
            estate.admin(),
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            Some(PLATFORM),
        );
        let which = ListParams::default().labels(LABEL);
        let left = sources.list(&which).await?.items;
        let ours = |one: &kube::api::DynamicObject| {
            one.data.pointer("/spec/url") == Some(&json!(estate.git.url(&name)))
                && one.metadata.deletion_timestamp.is_none()
        };
        ensure!(!left.iter().any(ours), "a source was left behind");
        Ok(())
    });
}

#[test]
fn a_replay_that_is_broken_off_leaves_nothing_behind() {
    scenario(async {
        let (_turn, estate) = rough().await?;
        let tenant = estate.healthy_tenant("broken-off").await?;
        tenant
            .apply(&policy(&tenant, &json!({"rego": minds("red")})))
            .await?;
        ready(estate, tenant.name(), Reason::Succeeded, "in force").await?;
        let dir = tempfile::tempdir()?;
        files(dir.path(), &[("new/policy.rego", &changed())])?;
        // Nobody answers.
        estate.controller.kill();
        for signal in [libc::SIGINT, libc::SIGTERM] {
            let mut command = Command::new(controller::program()?);
            let kubeconfig: PathBuf = estate.plane.kubeconfig();
            command
                .args([
                    "policy",
                    "replay",
                    "--source",
                    "new",
                    "--policy",
                    tenant.name(),
                ])
                .arg("--kubeconfig")
                .arg(kubeconfig)
                .current_dir(dir.path());
            let process = Process::start("replay", command, dir.path())?;
            let patience = Duration::from_secs(30);
            wait::until(patience, "it is asked", || async {
                asked(estate, tenant.name())
                    .await
                    .is_ok_and(|all| all == 1)
                    .then_some(())
            })
            .await?;
            process.signal(signal);
            let ended = wait::until(patience, "it ends", || async { process.ended() }).await?;
            ensure!(
                ended.code() == Some(2),
                "{ended:?}: {}",
                process.tail(2_000)
            );
            ensure!(process.tail(2_000).contains("it was broken off"));
            ensure!(
                asked(estate, tenant.name()).await? == 0,
                "a question was left behind"
            );
        }
        estate
            .controller
            .restart()
            .await
            .context("the controller starts again")?;
        Ok(())
    });
}
