//! The stock `flux` command line and `kubectl` on an estate without Flux: what people type, and what
//! they expect to read.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::{MANIFESTS, Tenant};
use reeve_tests::{Estate, binaries, objects, scenario};
use tokio::process::Command;

/// Runs a command line as the administrator; it must end well. Both of its outputs, in that order.
pub(super) async fn run(estate: &Estate, line: &str) -> anyhow::Result<String> {
    run_with(estate, &estate.plane.kubeconfig(), line).await
}

/// The same with another kubeconfig.
pub(super) async fn run_with(
    estate: &Estate,
    kubeconfig: &Path,
    line: &str,
) -> anyhow::Result<String> {
    ends(estate, kubeconfig, line, 0).await
}

/// The same; it must end with this code.
async fn ends(estate: &Estate, kubeconfig: &Path, line: &str, code: i32) -> anyhow::Result<String> {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default().to_owned();
    let program = tokio::task::spawn_blocking(move || binaries::find(&name)).await??;
    let mut command = Command::new(program);
    command.args(words).env("KUBECONFIG", kubeconfig);
    command
        .env("HOME", estate.plane.room("home")?)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let limit = std::time::Duration::from_secs(120);
    let out = tokio::time::timeout(limit, command.output())
        .await
        .with_context(|| line.to_owned())??;
    let text = [out.stdout, out.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let as_wanted = out.status.code() == Some(code);
    ensure!(as_wanted, "{line}: {}\n{text}", out.status);
    Ok(text)
}

/// Some line of `text` holds all of these words.
pub(super) fn has_line(text: &str, words: &[&str]) -> anyhow::Result<()> {
    let found = text
        .lines()
        .any(|line| words.iter().all(|word| line.contains(word)));
    ensure!(found, "no line with {words:?} in:\n{text}");
    Ok(())
}

/// The commit that the tenant's branch is at.
fn head(tenant: &Tenant<'_>) -> anyhow::Result<String> {
    tenant.repo().run(["rev-parse", "HEAD"])
}

#[test]
fn flux_get_lists_sources_and_kustomizations() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("flux-get").await?;
        let (name, head) = (tenant.name(), head(&tenant)?);
        let short = format!("main@sha1:{}", &head[..8]);
        let (source, kustomization) = (
            format!("gitrepository/{name}"),
            format!("kustomization/{name}"),
        );

        let all = run(estate, "flux get all -A").await?;
        has_line(
            &all,
            &[
                "NAMESPACE",
                "NAME",
                "REVISION",
                "SUSPENDED",
                "READY",
                "MESSAGE",
            ],
        )?;
        has_line(
            &all,
            &[
                CONFIG,
                &source,
                &short,
                "False",
                "True",
                "stored artifact for revision",
            ],
        )?;
        has_line(
            &all,
            &[
                &kustomization,
                &short,
                "False",
                "True",
                "Applied revision: main@sha1:",
            ],
        )?;
        has_line(
            &all,
            &[
                CONFIG,
                &format!("receiver/{name}"),
                "True",
                "Receiver initialized for path",
            ],
        )?;
        Ok(())
    });
}

#[test]
fn flux_get_shows_one_source_and_one_kustomization() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("flux-one").await?;
        let (name, head) = (tenant.name(), head(&tenant)?);
        let short = format!("main@sha1:{}", &head[..8]);
        let sources = run(estate, &format!("flux get sources git {name} -n {CONFIG}")).await?;
        has_line(
            &sources,
            &[name, &short, "True", "stored artifact for revision"],
        )?;
        let ks = run(estate, &format!("flux get kustomizations -n {name}")).await?;
        has_line(&ks, &[name, &short, "True", "Applied revision"])
    });
}

#[test]
fn flux_reconcile_fetches_and_applies() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("flux-rec").await?;
        let name = tenant.name();

        let commit = tenant.commit([("README.md", Some("one\n"))])?;
        let told = run(
            estate,
            &format!("flux reconcile source git {name} -n {CONFIG}"),
        )
        .await?;
        has_line(&told, &["annotating GitRepository", name, CONFIG])?;
        has_line(&told, &["fetched revision", &format!("main@sha1:{commit}")])?;

        let commit = tenant.commit([("README.md", Some("two\n"))])?;
        let line = format!("flux reconcile kustomization {name} -n {name} --with-source");
        let told = run(estate, &line).await?;
        has_line(&told, &["annotating Kustomization", name])?;
        has_line(&told, &["applied revision", &format!("main@sha1:{commit}")])?;

        let commit = tenant.commit([("README.md", Some("three\n"))])?;
        run(
            estate,
            &format!("flux reconcile source git {name} -n {CONFIG}"),
        )
        .await?;
        let told = run(estate, &format!("flux reconcile ks {name} -n {name}")).await?;
        has_line(&told, &["applied revision", &format!("main@sha1:{commit}")])
    });
}

#[test]
fn flux_suspend_holds_a_rollout_until_flux_resume() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("flux-sus").await?;
        let name = tenant.name();

        let told = run(
            estate,
            &format!("flux suspend kustomization {name} -n {name}"),
        )
        .await?;
        has_line(&told, &["kustomization suspended"])?;
        let ks = run(estate, &format!("flux get ks {name} -n {name}")).await?;
        has_line(&ks, &[name, "True"])?;
        let red = tenant.repo().publish("settings.yaml", SETTINGS)?;
        let told = run(
            estate,
            &format!("flux reconcile source git {name} -n {CONFIG}"),
        )
        .await?;
        has_line(&told, &["fetched revision", &red])?;
        assert_eq!(
            tenant.changes().await?,
            Vec::<String>::new(),
            "nothing moves while it is suspended"
        );

        let told = run(
            estate,
            &format!("flux resume kustomization {name} -n {name}"),
        )
        .await?;
        has_line(&told, &["kustomization resumed"])?;
        has_line(&told, &["applied revision", &format!("main@sha1:{red}")])?;
        let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
        assert_eq!(objects::text(&settings.data, "/data/colour"), Some("red"));

        let told = run(
            estate,
            &format!("flux suspend source git {name} -n {CONFIG}"),
        )
        .await?;
        has_line(&told, &["source git suspended"])?;
        let told = run(
            estate,
            &format!("flux resume source git {name} -n {CONFIG}"),
        )
        .await?;
        has_line(&told, &["fetched revision", &red])
    });
}

const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";

#[test]
fn flux_tree_trace_and_events_show_a_tenant() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("flux-look").await?;
        let (name, head) = (tenant.name(), head(&tenant)?);

        let tree = run(estate, &format!("flux tree kustomization {name} -n {name}")).await?;
        has_line(&tree, &[&format!("Kustomization/{name}/{name}")])?;
        has_line(&tree, &["──", &format!("ConfigMap/{name}/settings")])?;
        has_line(&tree, &["──", &format!("Service/{name}/web")])?;

        let trace = run(estate, &format!("flux trace configmap settings -n {name}")).await?;
        has_line(&trace, &["Object:", "ConfigMap/settings"])?;
        has_line(&trace, &["Managed by Flux"])?;
        has_line(&trace, &["Kustomization:", name])?;
        has_line(&trace, &["GitRepository:", name])?;
        has_line(&trace, &["Revision:", &format!("main@sha1:{head}")])?;
        has_line(&trace, &["Message:", "Applied revision"])?;

        let events = run(
            estate,
            &format!("flux events --for Kustomization/{name} -n {name}"),
        )
        .await?;
        has_line(
            &events,
            &[
                "Normal",
                "ReconciliationSucceeded",
                "Reconciliation finished in",
            ],
        )?;
        has_line(
            &events,
            &["Normal", "NewArtifact", "stored artifact for commit"],
        )?;
        Ok(())
    });
}

#[test]
fn flux_stats_export_and_debug_show_a_tenant() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("flux-more").await?;
        let (name, head) = (tenant.name(), head(&tenant)?);

        let stats = run(estate, "flux stats -A").await?;
        has_line(&stats, &["RECONCILERS", "RUNNING", "FAILING", "SUSPENDED"])?;
        has_line(&stats, &["GitRepository"])?;
        has_line(&stats, &["Kustomization"])?;

        let export = run(
            estate,
            &format!("flux export source git {name} -n {CONFIG}"),
        )
        .await?;
        has_line(&export, &["kind: GitRepository"])?;
        has_line(&export, &["url: http://127.0.0.1:"])?;
        let export = run(
            estate,
            &format!("flux export kustomization {name} -n {name}"),
        )
        .await?;
        has_line(&export, &["kind: Kustomization"])?;
        has_line(&export, &["serviceAccountName: flux"])?;

        let debug = run(
            estate,
            &format!("flux debug ks {name} -n {name} --show-status"),
        )
        .await?;
        has_line(&debug, &[&format!("lastAppliedRevision: main@sha1:{head}")])?;
        has_line(&debug, &["reason: ReconciliationSucceeded"])?;
        let debug = run(
            estate,
            &format!("flux debug ks {name} -n {name} --show-history"),
        )
        .await?;
        has_line(&debug, &["lastReconciledStatus: ReconciliationSucceeded"])
    });
}

#[test]
fn flux_diff_shows_what_a_push_would_change() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("flux-diff").await?;
        let name = tenant.name();
        let files = estate.plane.room(name)?;
        for (path, content) in MANIFESTS {
            std::fs::write(files.join(path), content)?;
        }
        let line = format!(
            "flux diff kustomization {name} -n {name} --progress-bar=false --path {}",
            files.display()
        );
        let same = run(estate, &line).await?;
        ensure!(!same.contains("drifted"), "{same}");

        std::fs::write(files.join("settings.yaml"), SETTINGS)?;
        let told = ends(estate, &estate.plane.kubeconfig(), &line, 1).await?;
        has_line(&told, &[&format!("ConfigMap/{name}/settings"), "drifted"])?;
        has_line(&told, &["data.colour"])?;
        ensure!(!told.contains("Service/"), "{told}");
        assert_eq!(
            tenant.changes().await?,
            Vec::<String>::new(),
            "nothing was written"
        );
        Ok(())
    });
}

#[test]
fn kubectl_get_prints_what_was_applied() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("kubectl").await?;
        let (name, head) = (tenant.name(), head(&tenant)?);
        let ks = run(estate, &format!("kubectl get kustomizations -n {name}")).await?;
        has_line(&ks, &["NAME", "AGE", "READY", "STATUS"])?;
        has_line(
            &ks,
            &[name, "True", &format!("Applied revision: main@sha1:{head}")],
        )?;
        let sources = run(estate, &format!("kubectl get gitrepo -n {CONFIG}")).await?;
        has_line(&sources, &["NAME", "URL", "AGE", "READY", "STATUS"])?;
        has_line(
            &sources,
            &[
                name,
                "True",
                &format!("stored artifact for revision 'main@sha1:{head}'"),
            ],
        )
    });
}
