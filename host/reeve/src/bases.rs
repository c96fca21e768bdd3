//! What a build wants from elsewhere: repositories and files that a kustomization names by their addresses.
//!
//! `reeve_kustomize` says what it wants and builds with what it is given; here it is fetched, over the same ways as
//! sources: our own git, addresses judged by [`Egress`], bounded in bytes and time. Who may ask for which address is
//! `core::remote`'s to say. What it deliberately doesn't: build, or know a cluster.

mod file;
mod lots;
mod rewrite;

use std::sync::Arc;
use std::time::Instant;

use reeve_api::name::{RemotePattern, RemoteUrl};
use reeve_core::source::Reference as GitReference;
use reeve_kustomize::{Reference, Source, Tree};

use crate::git::{self, Credential, Egress, KnownHosts, Limits, Mirrors, Remote, Tls, credential};

pub(crate) use lots::Lots;
pub use rewrite::Rewrite;

/// Nothing is left out of a base: what a kustomization reads may be of any kind.
pub(crate) const EVERYTHING: Option<&str> = Some("");

/// How something is fetched.
pub(crate) struct Fetcher<'a> {
    pub(crate) mirrors: &'a Mirrors,
    pub(crate) egress: &'a Arc<Egress>,
    pub(crate) limits: &'a Limits,
    /// From where else some addresses are fetched.
    pub(crate) rewrites: &'a [Rewrite],
    /// To which other hosts a file's server may send us; nothing where to any.
    pub(crate) hops: Option<&'a [RemotePattern]>,
    /// Who we are to servers that are reached over ssh.
    pub(crate) ssh: Option<&'a credential::Data>,
    /// Which files are left out, as GitRepositories say it; None: what they leave out by themselves.
    pub(crate) ignore: Option<&'a str>,
}

/// Something that was fetched.
pub(crate) struct Fetched {
    pub(crate) tree: Arc<dyn Tree>,
    /// What the address stands for now.
    pub(crate) revision: String,
    /// Whether it stands for the same the next time: a commit does, and a tag as long as nobody moves it. A branch and a
    /// file do not.
    pub(crate) pinned: bool,
    /// What its commit says, if it is of one.
    pub(crate) told: Option<git::Told>,
}

/// Something that could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none that is fetched from.
    #[error("remote resource {url} cannot be fetched")]
    Url {
        /// The address, without credentials.
        url: String,
        /// What is wrong with it.
        source: reeve_api::name::NotAUrl,
    },
    /// Git could not get it.
    #[error("remote resource {url} cannot be fetched")]
    Git {
        /// The address, without credentials.
        url: String,
        /// What went wrong.
        source: git::Error,
    },
    /// The file could not be got.
    #[error("remote resource {url} cannot be fetched: {why}")]
    File {
        /// The address, without credentials.
        url: String,
        /// What went wrong.
        why: String,
    },
}

impl Fetcher<'_> {
    /// Fetches what `wanted` names, by `deadline` or in the time that its address allows.
    pub(crate) async fn fetch(
        &self,
        wanted: &Reference,
        deadline: Instant,
    ) -> Result<Fetched, Error> {
        let deadline = deadline.min(Instant::now() + wanted.timeout);
        match &wanted.source {
            Source::File { url } => {
                self.judged(&wanted.source)?;
                let from = rewrite::rewritten(self.rewrites, url);
                file::fetch(&from, self.egress, self.hops, deadline).await
            }
            Source::Repository { url, reference, .. } => {
                self.judged(&wanted.source)?;
                let shown = wanted.source.shown();
                let from = rewrite::rewritten(self.rewrites, url);
                let remote = self.remote(&from, &shown)?;
                let found = self.repository(&remote, reference, deadline).await;
                found.map_err(|source| Error::Git { url: shown, source })
            }
        }
    }

    /// The address as it was judged: what cannot be read so is not fetched.
    fn judged(&self, source: &Source) -> Result<RemoteUrl, Error> {
        reeve_core::remote::address(source).map_err(|why| Error::Url {
            url: source.shown(),
            source: why,
        })
    }

    fn remote(&self, url: &str, shown: &str) -> Result<Arc<Remote>, Error> {
        let url = RemoteUrl::parse(url).map_err(|source| Error::Url {
            url: shown.to_owned(),
            source,
        })?;
        let none = credential::Data::new();
        let secret = self
            .ssh
            .filter(|_| url.scheme() == reeve_api::name::Scheme::Ssh);
        let hosts = KnownHosts::default();
        let read = credential::from_secret(&url, secret.unwrap_or(&none), &hosts);
        let (credential, tls): (Credential, Tls) = read.map_err(|why| Error::Git {
            url: shown.to_owned(),
            source: why.into(),
        })?;
        Ok(Arc::new(Remote {
            url,
            credential,
            tls,
            proxy: None,
            egress: Arc::clone(self.egress),
        }))
    }

    /// The files of a commit, a tag or a branch, looked for in this order as git does.
    async fn repository(
        &self,
        remote: &Arc<Remote>,
        name: &str,
        deadline: Instant,
    ) -> Result<Fetched, git::Error> {
        let mut tried = candidates(name).into_iter();
        let mut asked = None;
        let resolved = loop {
            let Some(reference) = tried.next() else {
                return Err(asked.unwrap_or(git::Error::Empty));
            };
            let found = git::resolve(self.mirrors, remote, &reference, deadline, self.limits).await;
            match found {
                Ok(resolved) => break resolved,
                Err(why @ git::Error::Checkout(git::Cause::NoRef(_))) => asked = Some(why),
                Err(why) => return Err(why),
            }
        };
        let revision = resolved.revision().to_string();
        let reference = resolved.reference();
        let pinned = reference.is_none_or(|full| full.starts_with("refs/tags/"));
        let (mirrors, limits) = (self.mirrors, self.limits);
        let content = git::Content {
            ignore: self.ignore.map(str::to_owned),
            ..git::Content::default()
        };
        let snapshot = git::fetch(mirrors, remote, resolved, content, deadline, limits).await?;
        let told = snapshot.told();
        let tree = Arc::new(snapshot);
        Ok(Fetched {
            tree,
            revision,
            pinned,
            told,
        })
    }
}

/// What a `ref` may mean.
fn candidates(name: &str) -> Vec<GitReference> {
    let is_commit = matches!(name.len(), 40 | 64) && name.bytes().all(|b| b.is_ascii_hexdigit());
    if name.is_empty() {
        return vec![GitReference::Name("HEAD".to_owned())];
    }
    if is_commit {
        let commit = name.to_ascii_lowercase();
        return vec![GitReference::Commit {
            commit,
            branch: None,
        }];
    }
    let mut all = vec![
        GitReference::Tag(name.to_owned()),
        GitReference::Branch(name.to_owned()),
    ];
    if name.starts_with("refs/") {
        all.insert(0, GitReference::Name(name.to_owned()));
    }
    all
}
