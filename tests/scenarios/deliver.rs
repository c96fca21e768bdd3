//! Delivery to git: what policy lets pass is in a repository for another agent, and nothing of it is written to the cluster.

mod attacks;
mod given;
mod lent;
mod own;
mod values;

use anyhow::Context as _;
use kube::api::{Patch, PatchParams};
use reeve_api::reason::Reason;
use reeve_core::deliver::{DELIVER, PATH, TO};
use reeve_tests::git::{Auth, HttpServer, Repo, Served, git};
use reeve_tests::tenant::{Tenant, Told};
use reeve_tests::{Estate, secrecy};
use serde_json::{Map, Value, json};

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";

/// A tenant, and a repository of its own that it may push to.
struct Desk {
    estate: &'static Estate,
    tenant: Tenant<'static>,
    live: Repo,
    server: HttpServer,
}

impl Desk {
    async fn open(name: &str) -> anyhow::Result<Self> {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant(name).await?;
        let path = format!("{}-live", tenant.name());
        let live = writable(estate, &path)?;
        let (auth, password) = login();
        let server = HttpServer::start(estate.repositories(), Served::only(auth)).await?;
        let desk = Self {
            estate,
            tenant,
            live,
            server,
        };
        let login = [("username", "ada"), ("password", password.as_str())];
        desk.tenant.apply(&desk.secret("live", &login)).await?;
        let url = desk.server.url(&path);
        desk.tenant.apply(&desk.source("live", &url)).await?;
        Ok(desk)
    }

    fn named(&self, name: &str) -> Value {
        json!({"name": name, "namespace": self.tenant.name()})
    }

    fn secret(&self, name: &str, data: &[(&str, &str)]) -> Value {
        let data = data.iter();
        let data: Map<String, Value> = data
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": self.named(name), "stringData": data})
    }

    /// A GitRepository of the tenant's with the Secret of its name.
    fn source(&self, name: &str, url: &str) -> Value {
        json!({
            "apiVersion": SOURCE, "kind": "GitRepository", "metadata": self.named(name),
            "spec": {"interval": "1h", "url": url, "ref": {"branch": "main"}, "secretRef": {"name": name}},
        })
    }

    /// Annotates the tenant's Kustomization; null takes one away.
    async fn ask(&self, annotations: &Value) -> anyhow::Result<()> {
        ask(&self.tenant, annotations).await
    }

    /// Has it delivered to its own repository, and waits until it is.
    async fn deliver(&self) -> anyhow::Result<Told> {
        self.ask(&json!({DELIVER: "git", TO: "live"})).await?;
        self.told(Reason::Delivered, "Delivered revision").await
    }

    async fn told(&self, reason: Reason, words: &str) -> anyhow::Result<Told> {
        self.tenant.told_of(reason, words).await
    }

    /// The file of an object of the tenant's, where nothing else is said.
    fn file(&self, name: &str) -> String {
        let own = self.tenant.name();
        format!("{own}/{own}/{own}/{name}.yaml")
    }

    /// What is another on the cluster than when the tenant was healthy, but for the logins that it was given.
    async fn changes(&self) -> anyhow::Result<Vec<String>> {
        let mut changes = self.tenant.changes().await?;
        changes.retain(|change| !change.starts_with("added Secret."));
        Ok(changes)
    }

    fn show(&self, path: &str) -> anyhow::Result<String> {
        git(self.live.bare(), ["show", &format!("main:{path}")])
    }

    /// All files of the repository.
    fn files(&self) -> anyhow::Result<Vec<String>> {
        files(&self.live)
    }

    fn head(&self) -> anyhow::Result<String> {
        git(self.live.bare(), ["rev-parse", "main"])
    }
}

/// A repository that may be pushed to over http, with a first commit.
fn writable(estate: &Estate, path: &str) -> anyhow::Result<Repo> {
    let repo = estate.repo(path)?;
    git(repo.bare(), ["config", "http.receivepack", "true"])?;
    repo.publish("README.md", "What runs\n")?;
    Ok(repo)
}

fn files(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let listed = git(repo.bare(), ["ls-tree", "-r", "--name-only", "main"])?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Whom a server lets in, and with which password.
fn login() -> (Auth, String) {
    let password = format!("{:032x}", rand::random::<u128>());
    secrecy::used_as("ada", &password);
    (Auth::Basic("ada".to_owned(), password.clone()), password)
}

async fn ask(tenant: &Tenant<'_>, annotations: &Value) -> anyhow::Result<()> {
    let patch = json!({"metadata": {"annotations": annotations}});
    let (all, how) = (tenant.kustomizations(), PatchParams::default());
    all.patch_metadata(tenant.name(), &how, &Patch::Merge(&patch))
        .await
        .context("annotating")?;
    Ok(())
}

/// Nothing is asked of it any more.
fn nothing() -> Value {
    json!({DELIVER: null, TO: null, PATH: null})
}
