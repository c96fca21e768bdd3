//! What an artifact is made of beside one repository's files, and which hosts it is fetched from.

use anyhow::ensure;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::git::{KeyKind, Repo, SshOptions, SshServer};
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::{Draft, Tenant, says};
use reeve_tests::{Estate, objects, scenario, secrecy, wait};
use serde_json::{Value, json};

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";

fn map(colour: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: base\ndata:\n  colour: {colour}\n")
}

fn source(name: &str, url: &str, more: &Value) -> Value {
    let mut object = json!({
        "apiVersion": SOURCE, "kind": "GitRepository", "metadata": {"name": name, "namespace": CONFIG},
        "spec": {"interval": "1h", "url": url, "ref": {"branch": "main"}},
    });
    if let (Some(spec), Some(more)) = (object["spec"].as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    object
}

async fn colour(tenant: &Tenant<'_>) -> anyhow::Result<Option<String>> {
    let base = tenant.api("v1", "ConfigMap").get_opt("base").await?;
    Ok(base.and_then(|base| objects::text(&base.data, "/data/colour").map(str::to_owned)))
}

/// Fetches it now.
async fn ask(sources: &Api<DynamicObject>, name: &str, token: &str) -> anyhow::Result<()> {
    let annotations = json!({"reconcile.fluxcd.io/requestedAt": token});
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    sources.patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

#[test]
fn an_included_source_is_waited_for_applied_with_it_and_wakes_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("includes").await?;
        let base = format!("{}-base", tenant.name());
        let repo = estate.repo(&base)?;
        let first = waited_for(&tenant, &repo, &base, &estate.git.url(&base)).await?;
        told_of_included(&tenant, &repo, &base, &first).await?;
        refused_in_a_loop(&tenant, &base, &estate.git.url(&base)).await
    });
}

fn included(base: &str) -> Value {
    json!([{"repository": {"name": base}, "fromPath": "./deploy", "toPath": "base"}])
}

/// Missing, then empty, then there. Returns its first commit.
async fn waited_for(
    tenant: &Tenant<'_>,
    repo: &Repo,
    base: &str,
    url: &str,
) -> anyhow::Result<String> {
    tenant
        .change(|draft| {
            draft.set_source("include", included(base));
            let resources = "resources: [settings.yaml, base/base.yaml]\n";
            draft.commit("kustomization.yaml", resources);
        })
        .await?;
    let words = format!("could not get resource for include '{base}'");
    tenant.source_told_of(Reason::NotFound, &words).await?;
    let sources = tenant.sources();
    let told = sources.get(tenant.name()).await?;
    let unavailable = objects::condition(&told.data, "IncludeUnavailable").unwrap_or_default();
    ensure!(unavailable.status == "True", "{:?}", told.data);

    tenant.apply(&source(base, url, &json!({}))).await?;
    let words = format!("no artifact available for include '{base}'");
    ask(&sources, tenant.name(), "1").await?;
    tenant.source_told_of(Reason::NoArtifact, &words).await?;
    let first = repo.publish("deploy/base.yaml", map("green"))?;
    ask(&sources, base, "2").await?;
    let stored = "stored artifact";
    tenant.source_told_of(Reason::Succeeded, stored).await?;
    let maps = tenant.api("v1", "ConfigMap");
    wait::for_object(&maps, "base", "it is applied", |_| true).await?;
    Ok(first)
}

/// Another revision of the included one is another artifact of the same revision.
async fn told_of_included(
    tenant: &Tenant<'_>,
    repo: &Repo,
    base: &str,
    first: &str,
) -> anyhow::Result<()> {
    let sources = tenant.sources();
    let told = sources.get(tenant.name()).await?;
    let revision = objects::text(&told.data, "/status/includedArtifacts/0/revision");
    let is_first = revision.is_some_and(|it| it.ends_with(first));
    ensure!(is_first, "{:?}", told.data);
    let observed = &told.data["status"]["observedInclude"];
    ensure!(*observed == included(base), "{:?}", told.data);
    let of = |told: &DynamicObject, field: &str| {
        objects::text(&told.data, &format!("/status/artifact/{field}")).map(str::to_owned)
    };

    repo.publish("deploy/base.yaml", map("blue"))?;
    ask(&sources, base, "3").await?;
    let blue = |map: &DynamicObject| objects::text(&map.data, "/data/colour") == Some("blue");
    wait::for_object(&tenant.api("v1", "ConfigMap"), "base", "it is blue", blue).await?;
    let changed = |now: &DynamicObject| of(now, "digest") != of(&told, "digest");
    let now = wait::for_object(&sources, tenant.name(), "another digest", changed).await?;
    ensure!(
        of(&now, "revision") == of(&told, "revision"),
        "{:?}",
        now.data
    );
    Ok(())
}

/// A loop is refused wherever it is closed; what was applied stays.
async fn refused_in_a_loop(tenant: &Tenant<'_>, base: &str, url: &str) -> anyhow::Result<()> {
    let sources = tenant.sources();
    let back = json!({"include": [{"repository": {"name": tenant.name()}}]});
    tenant.apply(&source(base, url, &back)).await?;
    let (reason, words) = (Reason::InvalidSpec, "leads back here");
    says(wait::PATIENCE, &sources, base, reason, words).await?;
    ask(&sources, tenant.name(), "4").await?;
    tenant.source_told_of(reason, words).await?;
    ensure!(colour(tenant).await?.as_deref() == Some("blue"));
    let none = json!({"include": []});
    tenant.apply(&source(base, url, &none)).await?;
    ask(&sources, tenant.name(), "5").await?;
    let stored = "stored artifact";
    tenant.source_told_of(Reason::Succeeded, stored).await?;
    Ok(())
}

#[test]
fn of_a_sparse_source_only_its_directories_are_applied() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("sparse").await?;
        let base = map("green");
        let told = tenant
            .after(|draft| {
                draft.commit("apps/base.yaml", &base);
                draft.set_source("sparseCheckout", json!(["./apps"]));
            })
            .await?;
        ensure!(told.ready.status == "True", "{told:?}");
        ensure!(colour(&tenant).await?.as_deref() == Some("green"));
        let maps = tenant.api("v1", "ConfigMap");
        ensure!(maps.get_opt("settings").await?.is_none(), "it is elsewhere");
        let source = tenant.sources().get(tenant.name()).await?;
        ensure!(source.data["status"]["observedSparseCheckout"] == json!(["./apps"]));

        tenant
            .change(|draft| draft.set_source("sparseCheckout", json!(["apps", "nowhere"])))
            .await?;
        let words = "sparse checkout dir 'nowhere' does not exist in repository";
        tenant
            .source_told_of(Reason::GitOperationFailed, words)
            .await?;
        ensure!(colour(&tenant).await?.as_deref() == Some("green"));
        Ok(())
    });
}

#[test]
fn the_submodules_of_a_source_are_applied_with_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("submodules").await?;
        let base = format!("{}-base", tenant.name());
        let (repo, url) = (estate.repo(&base)?, estate.git.url(&base));
        let own = tenant.repo();
        std::fs::create_dir_all(own.work().join("base"))?;
        let link = |commit: &str| {
            let entry = format!("160000,{commit},base");
            own.run(["update-index", "--add", "--cacheinfo", &entry])
        };
        let named = format!("[submodule \"base\"]\npath = base\nurl = {url}\n");
        link(&repo.publish("base.yaml", map("green"))?)?;
        let told = tenant
            .after(|draft| {
                draft.commit(".gitmodules", &named);
                draft.set_source("recurseSubmodules", json!(true));
            })
            .await?;
        ensure!(told.ready.status == "True", "{told:?}");
        ensure!(colour(&tenant).await?.as_deref() == Some("green"));
        let source = tenant.sources().get(tenant.name()).await?;
        ensure!(source.data["status"]["observedRecurseSubmodules"] == json!(true));

        link(&repo.publish("base.yaml", map("red"))?)?;
        let changed = |draft: &mut Draft| draft.commit("notes.md", "x");
        let told = tenant.after(changed).await?;
        ensure!(told.ready.status == "True", "{told:?}");
        ensure!(colour(&tenant).await?.as_deref() == Some("red"));

        let named = named.replace(&url, "ext::sh -c whoami");
        tenant
            .change(|draft| draft.commit(".gitmodules", &named))
            .await?;
        ask(&tenant.sources(), tenant.name(), "1").await?;
        let words = "entry \"base\" of .gitmodules is refused: its url names a helper program";
        tenant
            .source_told_of(Reason::GitOperationFailed, words)
            .await?;
        ensure!(colour(&tenant).await?.as_deref() == Some("red"));
        Ok(())
    });
}

#[test]
fn a_secret_with_only_an_identity_reaches_the_hosts_that_the_platform_names() {
    scenario(async {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("known_hosts");
        std::fs::write(&file, "# nobody yet\n")?;
        let flag = format!("--known-hosts-file={}", file.display());
        let estate = Estate::start_with(&["--leader-elect=false", &flag]).await?;
        let tenant = estate.healthy_tenant("git-ssh").await?;
        let ssh = SshServer::start(estate.repositories(), SshOptions::default())?;
        let identity = ssh.user_key(KeyKind::Ed25519, "")?;
        secrecy::used(&identity);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git-ssh", "namespace": CONFIG},
            "stringData": {"identity": identity},
        });
        tenant.apply(&secret).await?;
        let url = ssh.url(tenant.name());
        tenant
            .change(|draft| {
                draft.set_source("url", json!(url));
                draft.set_source("secretRef", json!({"name": "git-ssh"}));
            })
            .await?;
        let words = "'known_hosts' is required";
        let told = tenant
            .source_told_of(Reason::AuthenticationFailed, words)
            .await?;
        ensure!(told.message.contains("--known-hosts-file"), "{told:?}");
        ensure!(!ssh.log().contains("Accepted"), "nobody logged in");

        // What is mounted is changed while we run.
        std::fs::write(&file, ssh.known_hosts(&KeyKind::ALL)?)?;
        let commit = tenant.commit([("settings.yaml", Some(map("red")))])?;
        ask(&tenant.sources(), tenant.name(), "1").await?;
        // It is applied when somebody has confirmed that this is the repository.
        tenant.source_told_of(Reason::Succeeded, &commit).await?;
        Ok(())
    });
}
