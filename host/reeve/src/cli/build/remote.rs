//! What a build on the command line fetches: with the rights of who runs it, into a directory that goes away with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve_kustomize::{Reference, Source, Tree};

use crate::bases::{EVERYTHING, Error, Fetched, Fetcher, Rewrite};
use crate::cli::provide_tls;
use crate::cli::ui::{CommandError, Ui};
use crate::git::{Egress, HostRule, Limits, Mirrors, credential};

/// The longest that one fetch may take; an address may ask for less.
const LONGEST: Duration = Duration::from_secs(300);

/// What fetching needs, made when something is to be fetched.
pub(in crate::cli) struct Remote {
    runtime: tokio::runtime::Runtime,
    mirrors: Mirrors,
    egress: Arc<Egress>,
    rewrites: Vec<Rewrite>,
    ssh: credential::Data,
    _directory: tempfile::TempDir,
}

impl Remote {
    pub(in crate::cli) fn open(rewrites: &[Rewrite]) -> Result<Self, CommandError> {
        provide_tls();
        let failed = |why: std::io::Error| CommandError::of("preparing to fetch failed", &why);
        let directory = tempfile::tempdir().map_err(failed)?;
        // Who runs this reaches every host anyway.
        let all = ["0.0.0.0/0", "::/0"]
            .iter()
            .filter_map(|net| net.parse().ok());
        let all: Vec<HostRule> = all.collect();
        Ok(Self {
            runtime: crate::cli::runtime().map_err(failed)?,
            mirrors: Mirrors::open(directory.path(), 1).map_err(failed)?,
            egress: Arc::new(Egress::new(all)),
            rewrites: rewrites.to_vec(),
            ssh: own_keys(),
            _directory: directory,
        })
    }

    /// Fetches what is `asked` for, which is the place that names it or the command line.
    pub(in crate::cli) fn fetch(
        &self,
        wanted: &Reference,
        asked: &str,
        ui: &mut Ui,
    ) -> Result<Arc<dyn Tree>, CommandError> {
        let fetched = self.get(wanted, EVERYTHING).map_err(|why| {
            CommandError::of(asked, &why)
                .hint("--no-remote-bases refuses remote resources without asking for them")
        })?;
        if !fetched.pinned {
            let revision = &fetched.revision;
            ui.note(&format!(
                "{:?} is not pinned: it is at {revision} now",
                wanted.source
            ));
        }
        Ok(fetched.tree)
    }

    /// What a source has at a branch, a tag or a commit, and which revision that is.
    pub(in crate::cli) fn source(
        &self,
        url: &str,
        reference: &str,
        ignore: Option<&str>,
    ) -> Result<(Arc<dyn Tree>, String), CommandError> {
        let fetched = self.at(url, reference, ignore)?;
        Ok((fetched.tree, fetched.revision))
    }

    /// The same, with what its commit says.
    pub(in crate::cli) fn at(
        &self,
        url: &str,
        reference: &str,
        ignore: Option<&str>,
    ) -> Result<Fetched, CommandError> {
        let wanted = Reference {
            source: Source::Repository {
                url: url.to_owned(),
                reference: reference.to_owned(),
                submodules: false,
            },
            path: String::new(),
            timeout: LONGEST,
        };
        self.get(&wanted, ignore).map_err(|why| {
            CommandError::of("fetching the source failed", &why)
                .hint("--path builds a directory of yours")
        })
    }

    fn get(&self, wanted: &Reference, ignore: Option<&str>) -> Result<Fetched, Error> {
        let limits = Limits::default();
        let fetcher = Fetcher {
            mirrors: &self.mirrors,
            egress: &self.egress,
            limits: &limits,
            rewrites: &self.rewrites,
            hops: None,
            ssh: Some(&self.ssh),
            ignore,
        };
        let fetching = fetcher.fetch(wanted, Instant::now() + LONGEST);
        self.runtime.block_on(fetching)
    }
}

/// The user's own key without a passphrase and known hosts, where OpenSSH has them; an agent is not asked.
pub(in crate::cli) fn own_keys() -> credential::Data {
    let Some(home) = std::env::var_os("HOME") else {
        return credential::Data::new();
    };
    let read = |name: &str| std::fs::read(PathBuf::from(&home).join(".ssh").join(name)).ok();
    let keys = ["id_ed25519", "id_ecdsa", "id_rsa"];
    let identity = keys.iter().find_map(|name| read(name));
    let parts = [("identity", identity), ("known_hosts", read("known_hosts"))];
    parts
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}
