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

pub(super) async fn by_admin(estate: &Estate, object: &Value) -> anyhow::Result<()> {
    let api = objects::api(estate.admin(), "v1", "Secret", Some(SYSTEM));
    let name = objects::text(object, "/metadata/name").unwrap_or_default();
    let how = kube::api::PatchParams::apply("estate").force();
    api.patch(name, &how, &kube::api::Patch::Apply(object))
        .await?;
    Ok(())
}

/// A Tenant whose Kustomizations go there.
async fn declare(tenant: &Tenant<'_>, git: &Value) -> anyhow::Result<()> {
    declare_as(tenant, &json!({"deliver": {"git": git}})).await
}

/// A Tenant with more in its spec.
async fn declare_as(tenant: &Tenant<'_>, more: &Value) -> anyhow::Result<()> {
    let name = tenant.name();
    let mut spec = json!({"namespaces": [name], "sources": [name]});
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    tenant
        .apply(&json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name}, "spec": spec,
        }))
        .await
}

/// A repository that is served over http, and the Secret with its login in the controller's namespace.
async fn clusters(estate: &'static Estate) -> anyhow::Result<(Repo, HttpServer, String)> {
    let path = estate.unique("clusters");
    let live = writable(estate, &path)?;
    let (auth, password) = login();
    let server = HttpServer::start(estate.repositories(), Served::only(auth)).await?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": path, "namespace": SYSTEM},
        "stringData": {"username": "ada", "password": password},
    });
    by_admin(estate, &secret).await?;
    Ok((live, server, path))
}

#[test]
fn a_tenant_is_delivered_where_its_tenant_says_and_leaves_that_by_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (live, server, path) = clusters(estate).await?;
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

#[test]
fn a_project_says_where_its_tenants_are_delivered_and_an_environment_of_it_goes_before_that() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (live, server, path) = clusters(estate).await?;
        let to = |prefix: &str| {
            let secret = json!({"name": path});
            json!({"git": {"url": server.url(&path), "pathPrefix": prefix, "secretRef": secret}})
        };
        let (plain, staged) = (
            estate.healthy_tenant("of-project").await?,
            estate.healthy_tenant("of-staging").await?,
        );
        let name = estate.unique("project");
        let project = async |everybody: &str| {
            let staging = json!({"name": "staging", "deliver": to("staging")});
            let spec = json!({"deliver": to(everybody), "environments": [staging]});
            plain
                .apply(&json!({
                    "apiVersion": "reeve.dev/v1alpha1", "kind": "Project", "metadata": {"name": name}, "spec": spec,
                }))
                .await
        };
        // Whoever names what is not there is neither delivered nor applied.
        let of_staging = json!({"project": name, "environment": "staging"});
        declare_as(&staged, &of_staging).await?;
        staged
            .told_of(Reason::AccessDenied, "which does not exist")
            .await?;
        project("all").await?;
        declare_as(&plain, &json!({"project": name})).await?;
        for (tenant, prefix) in [(&plain, "all"), (&staged, "staging")] {
            let own = tenant.name();
            let words = format!("{prefix}/{own}/{own}");
            tenant.told_of(Reason::Delivered, &words).await?;
            let file = format!("{prefix}/{own}/{own}/{own}/service-web.yaml");
            ensure!(files(&live)?.contains(&file), "no {file}");
        }
        // Nobody below leaves it, and a change of it is taken up by itself.
        let (who, cluster) = (
            format!("environment staging of Project {name}"),
            json!({DELIVER: "cluster"}),
        );
        ask(&staged, &cluster).await?;
        staged.told_of(Reason::AccessDenied, &who).await?;
        project("elsewhere").await?;
        let words = format!("elsewhere/{0}/{0}", plain.name());
        plain.told_of(Reason::Delivered, &words).await?;
        // The Tenant's own word goes before both.
        declare(&plain, &to("own")["git"]).await?;
        let words = format!("own/{0}/{0}", plain.name());
        plain.told_of(Reason::Delivered, &words).await?;
        ensure!(plain.changes().await?.is_empty(), "something was applied");
        Ok(())
    });
}

/// A namespace is called as somebody likes, and a longer prefix is the platform's word.
#[test]
fn no_namespace_leads_into_the_directories_of_a_level_with_a_longer_prefix() {
    scenario(async {
        let estate = Estate::shared().await?;
        let (live, server, path) = clusters(estate).await?;
        let to = |prefix: &str| json!({"url": server.url(&path), "pathPrefix": prefix, "secretRef": {"name": path}});
        let (shop, eve) = (
            estate.healthy_tenant("prefixed").await?,
            estate.healthy_tenant("production").await?,
        );
        let (own, short) = (shop.name(), eve.name());
        let name = estate.unique("nested");
        let project = async |prefix: &str| {
            let production = json!({"name": "production", "deliver": {"git": to(prefix)}});
            shop.apply(&json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Project", "metadata": {"name": name},
                "spec": {"environments": [production]},
            }))
            .await
        };
        let prefix = format!("clusters/{short}");
        project(&prefix).await?;
        let of_production = json!({"project": name, "environment": "production"});
        declare_as(&shop, &of_production).await?;
        let words = format!("{prefix}/{own}/{own}");
        shop.told_of(Reason::Delivered, &words).await?;
        let head = git_head(&live)?;

        // Its namespace is called like the last part of that prefix.
        declare(&eve, &to("clusters")).await?;
        let whose = format!("environment production of Project {name} has its tenants delivered");
        let refused = async |directory: &str| {
            let words = format!("directory {prefix}/{directory} of branch main, and {whose}");
            eve.told_of(Reason::AccessDenied, &words).await
        };
        refused(short).await?;
        for directory in [format!("{own}/{own}"), "beside".to_owned()] {
            ask(&eve, &json!({PATH: directory})).await?;
            refused(&directory).await?;
        }
        ensure!(git_head(&live)? == head, "something was written");

        // Where the prefix is longer still, what lies beside it is the namespace's.
        project(&format!("{prefix}/deep/er")).await?;
        let words = format!("{prefix}/deep/er/{own}/{own}");
        shop.told_of(Reason::Delivered, &words).await?;
        let head = git_head(&live)?;
        for directory in ["deep", "deep/er/web"] {
            ask(&eve, &json!({PATH: directory})).await?;
            refused(directory).await?;
        }
        ensure!(git_head(&live)? == head, "something was written");
        ask(&eve, &json!({PATH: "deep/beside"})).await?;
        let words = format!("{prefix}/deep/beside");
        eve.told_of(Reason::Delivered, &words).await?;
        let file = format!("{prefix}/deep/beside/{short}/service-web.yaml");
        ensure!(files(&live)?.contains(&file), "{:?}", files(&live)?);
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

#[test]
fn rigs_own_values_have_everything_delivered_over_https() {
    scenario(async {
        let dir = tempfile::tempdir()?;
        let live = Repo::create(dir.path(), "clusters.git")?;
        git(live.bare(), ["config", "http.receivepack", "true"])?;
        live.publish("README.md", "What runs\n")?;
        let (auth, password) = login();
        let server = HttpServer::start(dir.path(), Served::only(auth)).await?;
        // As the documentation of Rig has it, but for what it leaves to be filled in.
        let mut values = chart::values();
        values["rig"] = json!({"cluster": {"git": {
            "url": server.url("clusters.git"), "branch": "main", "path_prefix": "apps/demo",
            "credentials": {"https": {"username": "ada", "password": password}},
        }}});
        let release = Release::render(SYSTEM, &values, &[]).await?;
        let estate = Estate::start_from(&release, &["--leader-elect=false"]).await?;
        by_admin(&estate, release.object("Secret", "reeve-deliver")?).await?;
        let tenant = estate.healthy_tenant("rigs").await?;
        let own = tenant.name();
        tenant.told_of(Reason::Delivered, "apps/demo/").await?;
        let file = format!("apps/demo/{own}/{own}/{own}/configmap-settings.yaml");
        ensure!(files(&live)?.contains(&file), "{:?}", files(&live)?);
        Ok(())
    });
}

#[test]
fn an_address_without_a_scheme_is_one_of_ssh_and_takes_a_key() {
    scenario(async {
        for (root, url, want) in [
            (
                "cluster",
                "git@git.example:acme/x.git",
                "ssh://git@git.example/acme/x.git",
            ),
            (
                "rig",
                "git@git.example:/acme/x.git",
                "ssh://git@git.example/acme/x.git",
            ),
            (
                "rig",
                "ssh://git@git.example:22/acme/x.git",
                "ssh://git@git.example:22/acme/x.git",
            ),
        ] {
            let key = json!({"ssh": {"private_key": "k"}});
            let there = json!({"git": {"url": url, "branch": "live", "credentials": key}});
            let values = match root {
                "rig" => json!({"rig": {"cluster": there}}),
                _ => json!({"cluster": there}),
            };
            let release = Release::render(SYSTEM, &values, &[]).await?;
            let arguments = release.arguments()?;
            for argument in [
                format!("--deliver-url={want}"),
                "--deliver-branch=live".to_owned(),
                "--deliver-secret=reeve-deliver".to_owned(),
            ] {
                ensure!(
                    arguments.contains(&argument),
                    "no {argument} in {arguments:?}"
                );
            }
            let secret = release.object("Secret", "reeve-deliver")?;
            ensure!(secret["stringData"]["identity"] == "k", "{secret}");
        }
        Ok(())
    });
}
