//! Where the platform says: for a tenant in its Tenant, for everybody in the chart's values.

use anyhow::ensure;
use reeve_api::reason::Reason;
use reeve_core::deliver::{DELIVER, PATH, TO};
use reeve_tests::chart::{self, Release};
use reeve_tests::git::{HttpServer, KeyKind, Repo, Served, SshOptions, SshServer, git};
use reeve_tests::install::SYSTEM;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, objects, scenario, secrecy};
use serde_json::{Value, json};

use super::{ask, files, login, writable};

async fn by_admin(estate: &Estate, object: &Value) -> anyhow::Result<()> {
    let api = objects::api(estate.admin(), "v1", "Secret", Some(SYSTEM));
    let name = objects::text(object, "/metadata/name").unwrap_or_default();
    let how = kube::api::PatchParams::apply("estate").force();
    api.patch(name, &how, &kube::api::Patch::Apply(object))
        .await?;
    Ok(())
}

/// A Tenant whose Kustomizations go there.
async fn declare(tenant: &Tenant<'_>, git: &Value) -> anyhow::Result<()> {
    let name = tenant.name();
    tenant
        .apply(&json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
            "spec": {"namespaces": [name], "sources": [name], "deliver": {"git": git}},
        }))
        .await
}

#[test]
fn a_tenant_is_delivered_where_its_tenant_says_and_leaves_that_by_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let path = estate.unique("clusters");
        let live = writable(estate, &path)?;
        let (auth, password) = login();
        let server = HttpServer::start(estate.repositories(), Served::only(auth)).await?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": path, "namespace": SYSTEM},
            "stringData": {"username": "ada", "password": password},
        });
        by_admin(estate, &secret).await?;
        let git = json!({"url": server.url(&path), "pathPrefix": "clusters/east", "secretRef": {"name": path}});
        let (one, two) = (
            estate.healthy_tenant("given").await?,
            estate.healthy_tenant("given").await?,
        );
        for tenant in [&one, &two] {
            declare(tenant, &git).await?;
            tenant.told_of(Reason::Delivered, "clusters/east").await?;
        }
        let found = files(&live)?;
        for tenant in [&one, &two] {
            let own = tenant.name();
            let file = format!("clusters/east/{own}/{own}/{own}/service-web.yaml");
            ensure!(found.contains(&file), "no {file} in {found:?}");
        }
        let head = git_head(&live)?;
        let beside = format!("../{}/{}", two.name(), two.name());
        for (annotations, reason, words) in [
            (
                json!({DELIVER: "cluster"}),
                Reason::AccessDenied,
                "says where",
            ),
            (
                json!({DELIVER: "git", TO: "mine"}),
                Reason::AccessDenied,
                "says where",
            ),
            (
                json!({DELIVER: null, TO: null, PATH: beside}),
                Reason::InvalidSpec,
                "deliver-path",
            ),
        ] {
            ask(&one, &annotations).await?;
            one.told_of(reason, words).await?;
        }
        ensure!(git_head(&live)? == head, "something was written");
        ensure!(one.changes().await?.is_empty(), "something was applied");
        Ok(())
    });
}

fn git_head(repo: &Repo) -> anyhow::Result<String> {
    git(repo.bare(), ["rev-parse", "main"])
}

#[test]
fn the_charts_values_have_everything_delivered_over_ssh_and_nothing_applied() {
    scenario(async {
        let dir = tempfile::tempdir()?;
        let live = Repo::create(dir.path(), "clusters.git")?;
        live.publish("README.md", "What runs\n")?;
        let server = SshServer::start(dir.path(), SshOptions::default())?;
        let words = format!("{:032x}", rand::random::<u128>());
        let key = server.user_key(KeyKind::Ed25519, &words)?;
        secrecy::used(&words);
        let mut values = chart::values();
        values["cluster"] = json!({"git": {
            "url": server.url("clusters.git"), "branch": "main", "path_prefix": "east",
            "credentials": {"ssh": {
                "private_key": key, "private_key_password": words,
                "known_hosts": server.known_hosts(&KeyKind::ALL)?,
            }},
        }});
        let release = Release::render(SYSTEM, &values, &[]).await?;
        let estate = Estate::start_from(&release, &["--leader-elect=false"]).await?;
        by_admin(&estate, release.object("Secret", "reeve-deliver")?).await?;
        let tenant = estate.healthy_tenant("all").await?;
        let own = tenant.name();
        let told = tenant.told_of(Reason::Delivered, "east/").await?;
        ensure!(told.kustomization["status"]["inventory"].is_null());
        let file = format!("east/{own}/{own}/{own}/configmap-settings.yaml");
        ensure!(files(&live)?.contains(&file), "{:?}", files(&live)?);
        let map = tenant.api("v1", "ConfigMap").get_opt("settings").await?;
        ensure!(map.is_none(), "it was applied");
        Ok(())
    });
}
