//! With a login that the platform lends to a tenant, in a repository that it shares with others.

use anyhow::ensure;
use reeve_api::reason::Reason;
use reeve_core::deliver::{DELIVER, PATH, TO};
use reeve_tests::git::{HttpServer, Served};
use reeve_tests::install::{CONFIG, SYSTEM};
use reeve_tests::objects::{self, text};
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{scenario, wait};
use serde_json::json;

use super::{Desk, SOURCE, login};

const THEIRS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: theirs\ndata:\n  colour: green\n";

/// A neighbour has its directory of the repository applied as itself.
async fn moves_in(tenant: &Tenant<'_>, url: &str, password: &str) -> anyhow::Result<()> {
    let own = tenant.name();
    let meta = json!({"name": "mono", "namespace": own});
    let source = json!({
        "interval": "1h", "url": url, "ref": {"branch": "main"}, "secretRef": {"name": "mono"},
    });
    let kustomization = json!({
        "interval": "1h", "retryInterval": "1s", "path": "./tenants/b", "prune": true,
        "serviceAccountName": "flux", "targetNamespace": own,
        "sourceRef": {"kind": "GitRepository", "name": "mono"},
    });
    let login = json!({"username": "ada", "password": password});
    let api = "kustomize.toolkit.fluxcd.io/v1";
    for object in [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": login}),
        json!({"apiVersion": SOURCE, "kind": "GitRepository", "metadata": meta, "spec": source}),
        json!({"apiVersion": api, "kind": "Kustomization", "metadata": meta, "spec": kustomization}),
    ] {
        tenant.apply(&object).await?;
    }
    let (all, reason) = (tenant.kustomizations(), Reason::ReconciliationSucceeded);
    says(wait::PATIENCE, &all, "mono", reason, "Applied revision").await?;
    Ok(())
}

/// The platform lends the desk's tenant a login to all of the server, and gives it directories of this repository.
async fn lend(desk: &Desk, server: &HttpServer, url: &str, password: &str) -> anyhow::Result<()> {
    let own = desk.tenant.name();
    let (level, kept) = (format!("{own}-level"), format!("{own}-mono"));
    let file = format!(
        "auths:\n- url: {}\n  credentials: {{https: {{username: ada, password: {password}}}}}\n",
        server.url("*")
    );
    let paths = json!({"reeve.dev/write-back-paths": "tenants/a, tenants/b/mine"});
    let mut open = desk.source("open", url);
    open["spec"]
        .as_object_mut()
        .map(|spec| spec.remove("secretRef"));
    for object in [
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": level, "namespace": SYSTEM, "labels": {"reconcile.fluxcd.io/watch": "Enabled"}},
            "stringData": {"git.yaml": file},
        }),
        json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": own},
            "spec": {"namespaces": [own], "sources": [own, kept], "gitConfig": {"kind": "Secret", "name": level}},
        }),
        json!({
            "apiVersion": SOURCE, "kind": "GitRepository",
            "metadata": {"name": kept, "namespace": CONFIG, "annotations": paths},
            "spec": {"interval": "1h", "url": url, "ref": {"branch": "main"}},
        }),
        open,
    ] {
        desk.tenant.apply(&object).await?;
    }
    for (name, namespace) in [("open", own), (kept.as_str(), CONFIG)] {
        let admin = desk.estate.admin();
        let sources = objects::api(admin, SOURCE, "GitRepository", Some(namespace));
        wait::for_object(&sources, name, "it is fetched", |object| {
            text(&object.data, "/status/artifact/revision").is_some()
        })
        .await?;
    }
    Ok(())
}

#[test]
fn in_a_repository_of_several_tenants_a_lent_login_delivers_where_the_platform_says_alone() {
    scenario(async {
        let desk = Desk::open("lent-git").await?;
        let own = desk.tenant.name();
        let (auth, password) = login();
        let server = HttpServer::start(desk.estate.repositories(), Served::only(auth)).await?;
        let url = server.url(&format!("{own}-live"));
        desk.live.publish("tenants/b/theirs.yaml", THEIRS)?;
        let other = desk.estate.healthy_tenant("lent-beside").await?;
        moves_in(&other, &url, &password).await?;
        lend(&desk, &server, &url, &password).await?;
        let head = desk.head()?;
        let none = "is no directory of this tenant";
        let neighbours = format!("Kustomization {0}/mono, which is not of", other.name());
        for (path, words) in [
            ("tenants/b/extra", format!("tenants/b/extra {none}")),
            ("tenants/b", format!("and tenants/b {none}")),
            ("tenants", format!("and tenants {none}")),
            ("tenants/a-more", format!("tenants/a-more {none}")),
            ("", format!("the root {none}")),
            ("elsewhere", format!("elsewhere {none}")),
            // It is given, and somebody else would apply what is there.
            ("tenants/b/mine", neighbours),
        ] {
            desk.ask(&json!({DELIVER: "git", TO: "open", PATH: path}))
                .await?;
            let told = desk.told(Reason::AccessDenied, &words).await;
            let told = told.map_err(|why| why.context(path))?;
            ensure!(told.kustomization["status"]["delivered"].is_null());
        }
        ensure!(desk.head()? == head, "something was written");
        ensure!(desk.show("tenants/b/theirs.yaml")?.contains("green"));

        desk.ask(&json!({PATH: "tenants/a/extra"})).await?;
        desk.told(Reason::Delivered, "tenants/a/extra").await?;
        let file = format!("tenants/a/extra/{own}/configmap-settings.yaml");
        ensure!(desk.show(&file)?.contains("colour: green"));
        Ok(())
    });
}
