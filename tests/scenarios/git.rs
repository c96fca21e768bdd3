//! From a URL to files: real git servers, real keys and certificates, and what goes wrong with them.

mod bombs;
mod fault;
mod login;
mod partial;
mod parts;
mod push;
mod quota;
mod reference;
mod signed;
mod store;
mod submodules;
mod tree;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve::git::{
    Content, Egress, Error, KnownHosts, Limits, Mirrors, Remote, Resolved, Snapshot, credential,
    fetch, resolve,
};
use reeve_core::failure::{Explain as _, Explained};
use reeve_core::source::Reference;
use reeve_tests::git::{HttpServer, Repo, Served};

/// Two empty directories: one that a server serves, one for what we keep.
struct Bench {
    served: tempfile::TempDir,
    kept: tempfile::TempDir,
    mirrors: Mirrors,
    limits: Limits,
    time: Duration,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        let kept = tempfile::tempdir()?;
        Ok(Self {
            served: tempfile::tempdir()?,
            mirrors: Mirrors::open(kept.path(), 4)?,
            kept,
            limits: Limits::default(),
            time: Duration::from_secs(30),
        })
    }

    fn root(&self) -> &Path {
        self.served.path()
    }

    /// A repository with one file.
    fn repo(&self, path: &str) -> anyhow::Result<Repo> {
        let repo = Repo::create(self.root(), path)?;
        repo.publish("app.yaml", "kind: Test\n")?;
        Ok(repo)
    }

    async fn resolve(
        &self,
        remote: &Arc<Remote>,
        reference: &Reference,
    ) -> Result<Resolved, Error> {
        resolve(
            &self.mirrors,
            remote,
            reference,
            Instant::now() + self.time,
            &self.limits,
        )
        .await
    }

    async fn fetch(&self, remote: &Arc<Remote>, reference: &Reference) -> Result<Snapshot, Error> {
        self.fetch_ignoring(remote, reference, None).await
    }

    async fn fetch_ignoring(
        &self,
        remote: &Arc<Remote>,
        reference: &Reference,
        ignore: Option<&str>,
    ) -> Result<Snapshot, Error> {
        let content = Content {
            ignore: ignore.map(str::to_owned),
            ..Content::default()
        };
        self.fetch_only(remote, reference, content).await
    }

    async fn fetch_only(
        &self,
        remote: &Arc<Remote>,
        reference: &Reference,
        content: Content,
    ) -> Result<Snapshot, Error> {
        let deadline = Instant::now() + self.time;
        let found = resolve(&self.mirrors, remote, reference, deadline, &self.limits).await?;
        fetch(
            &self.mirrors,
            remote,
            found,
            content,
            deadline,
            &self.limits,
        )
        .await
    }

    /// What is told when `main` can't be fetched.
    async fn failure(&self, remote: &Arc<Remote>) -> Explained {
        let error = self.fetch(remote, &main()).await.expect_err("a failure");
        let debug = format!("{error:?}");
        let told = Explained::of(&error);
        for secret in SECRETS {
            let shown = format!("{told} {debug} {:?} {remote:?}", error.hint());
            assert!(!shown.contains(secret), "a secret is told: {shown}");
        }
        told
    }
}

/// Every secret that these scenarios use.
const SECRETS: [&str; 4] = ["hunter2", "b3arer-t0ken", "pr0xy-pass", "PRIVATE KEY"];

fn main() -> Reference {
    Reference::Branch("main".to_owned())
}

/// A remote with a Secret of these keys, that may reach this machine.
fn remote(url: &str, secret: &[(&str, &str)]) -> Arc<Remote> {
    let mut remote = remote_of(url, secret);
    remote.egress = Arc::new(Egress::new(vec!["127.0.0.0/8".parse().expect("a network")]));
    Arc::new(remote)
}

/// The same, held to the platform's default: no private host.
fn remote_of(url: &str, secret: &[(&str, &str)]) -> Remote {
    let url = url.parse().expect("a URL");
    let (credential, tls) =
        credential::from_secret(&url, &data(secret), &KnownHosts::default()).expect("a Secret");
    Remote {
        url,
        credential,
        tls,
        proxy: None,
        egress: Arc::default(),
    }
}

fn data(secret: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    secret
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

async fn plain(bench: &Bench) -> anyhow::Result<HttpServer> {
    HttpServer::start(bench.root(), Served::default()).await
}

/// The files of a snapshot.
fn files(snapshot: &Snapshot) -> Vec<&str> {
    snapshot
        .entries()
        .filter(|entry| !entry.dir)
        .map(|entry| entry.path)
        .collect()
}

/// Bytes that don't compress, so that their being sent shows; the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes()[3])
    };
    std::iter::from_fn(step).take(length).collect()
}
