//! What a build on the command line fetches: with the rights of who runs it, into a directory that goes away with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reeve_kustomize::{Reference, Tree};

use crate::bases::{Fetcher, Rewrite};
use crate::cli::provide_tls;
use crate::cli::ui::{CommandError, Ui};
use crate::git::{Egress, HostRule, Limits, Mirrors, credential};

/// The longest that one fetch may take; an address may ask for less.
const LONGEST: Duration = Duration::from_secs(300);

/// What fetching needs, made when something is to be fetched.
pub(super) struct Remote {
    runtime: tokio::runtime::Runtime,
    mirrors: Mirrors,
    egress: Arc<Egress>,
    rewrites: Vec<Rewrite>,
    ssh: credential::Data,
    _directory: tempfile::TempDir,
}

impl Remote {
    pub(super) fn open(rewrites: &[Rewrite]) -> Result<Self, CommandError> {
        provide_tls();
        let failed = |why: std::io::Error| CommandError::of("preparing to fetch failed", &why);
        let directory = tempfile::tempdir().map_err(failed)?;
        // Who runs this reaches every host anyway.
        let all = ["0.0.0.0/0", "::/0"]
            .iter()
            .filter_map(|net| net.parse().ok());
        let all: Vec<HostRule> = all.collect();
        Ok(Self {
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .map_err(failed)?,
            mirrors: Mirrors::open(directory.path(), 1).map_err(failed)?,
            egress: Arc::new(Egress::new(all)),
            rewrites: rewrites.to_vec(),
            ssh: ssh(),
            _directory: directory,
        })
    }

    /// Fetches what is `asked` for, which is the place that names it or the command line.
    pub(super) fn fetch(
        &self,
        wanted: &Reference,
        asked: &str,
        ui: &mut Ui,
    ) -> Result<Arc<dyn Tree>, CommandError> {
        let limits = Limits::default();
        let fetcher = Fetcher {
            mirrors: &self.mirrors,
            egress: &self.egress,
            limits: &limits,
            rewrites: &self.rewrites,
            hops: None,
            ssh: Some(&self.ssh),
        };
        let fetched = self
            .runtime
            .block_on(fetcher.fetch(wanted, Instant::now() + LONGEST));
        let fetched = fetched.map_err(|why| {
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
}

/// The user's own key without a passphrase and known hosts, where OpenSSH has them; an agent is not asked.
fn ssh() -> credential::Data {
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
