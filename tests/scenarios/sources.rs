//! What an artifact is made of beside one repository's files, and which hosts it is fetched from.

use anyhow::ensure;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_tests::git::{KeyKind, SshOptions, SshServer};
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::{Tenant, says};
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
        let set = json!([{"repository": {"name": base}, "fromPath": "./deploy", "toPath": "base"}]);
        tenant
            .change(|draft| {
                draft.set_source("include", set.clone());
                draft.commit(
                    "kustomization.yaml",
                    "resources: [settings.yaml, base/base.yaml]\n",
                );
            })
            .await?;
        let words = format!("could not get resource for include '{base}'");
        tenant.source_told_of(Reason::NotFound, &words).await?;
        let sources = tenant.sources();
        let told = sources.get(tenant.name()).await?;
        let unavailable = objects::condition(&told.data, "IncludeUnavailable").unwrap_or_default();
        ensure!(unavailable.status == "True", "{:?}", told.data);

        // There, and empty.
        let repo = estate.repo(&base)?;
        let url = estate.git.url(&base);
        tenant.apply(&source(&base, &url, &json!({}))).await?;
        let words = format!("no artifact available for include '{base}'");
        ask(&sources, tenant.name(), "1").await?;
        tenant.source_told_of(Reason::NoArtifact, &words).await?;
        repo.write("deploy/base.yaml", map("green"))?;
        let first = repo.commit("first")?;
        repo.push()?;
        ask(&sources, &base, "2").await?;
        tenant
            .source_told_of(Reason::Succeeded, "stored artifact")
            .await?;
        wait::for_object(
            &tenant.api("v1", "ConfigMap"),
            "base",
            "it is applied",
            |_| true,
        )
        .await?;
        let told = sources.get(tenant.name()).await?;
        let revision = objects::text(&told.data, "/status/includedArtifacts/0/revision");
        ensure!(
            revision.is_some_and(|it| it.ends_with(&first)),
            "{:?}",
            told.data
        );
        ensure!(
            told.data["status"]["observedInclude"] == set,
            "{:?}",
            told.data
        );
        let digest = |told: &DynamicObject| {
            objects::text(&told.data, "/status/artifact/digest").map(str::to_owned)
        };
        let revision = |told: &DynamicObject| {
            objects::text(&told.data, "/status/artifact/revision").map(str::to_owned)
        };

        // Another revision of the included one is another artifact of the same revision.
        repo.write("deploy/base.yaml", map("blue"))?;
        repo.commit("second")?;
        repo.push()?;
        ask(&sources, &base, "3").await?;
        let blue = |map: &DynamicObject| objects::text(&map.data, "/data/colour") == Some("blue");
        wait::for_object(&tenant.api("v1", "ConfigMap"), "base", "it is blue", blue).await?;
        let changed = |now: &DynamicObject| digest(now) != digest(&told);
        let now = wait::for_object(&sources, tenant.name(), "another digest", changed).await?;
        ensure!(revision(&now) == revision(&told), "{:?}", now.data);

        // A loop is refused wherever it is closed; what was applied stays.
        let back = json!({"include": [{"repository": {"name": tenant.name()}}]});
        tenant.apply(&source(&base, &url, &back)).await?;
        says(
            wait::PATIENCE,
            &sources,
            &base,
            Reason::InvalidSpec,
            "leads back here",
        )
        .await?;
        ask(&sources, tenant.name(), "4").await?;
        tenant
            .source_told_of(Reason::InvalidSpec, "leads back here")
            .await?;
        ensure!(colour(&tenant).await?.as_deref() == Some("blue"));
        tenant
            .apply(&source(&base, &url, &json!({"include": []})))
            .await?;
        ask(&sources, tenant.name(), "5").await?;
        tenant
            .source_told_of(Reason::Succeeded, "stored artifact")
            .await?;
        Ok(())
    });
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
