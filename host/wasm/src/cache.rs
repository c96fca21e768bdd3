//! Components that are compiled: once per content, shared by all tenants, holding the state of
//! none.
//!
//! Keyed by the sha256 of the component and its world. What was refused is remembered too, so that a
//! broken plugin costs one compilation and not one per reconcile. What was compiled before this process
//! started is found on disk (`disk`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmtime::Engine;

use crate::budget::Settings;
use crate::compiler::{self, Failed};
use crate::disk::Disk;
use crate::error::Error;
use crate::facts::World;
use crate::inspect::inspect;
use crate::link::{Code, Guest, Links};
use crate::places::Places;

type Outcome = Result<Guest, Error>;

/// The compiled components, and the turns of those who want one compiled.
pub(crate) struct Cache {
    entries: Mutex<Entries>,
    keep: usize,
    compiling: Places,
}

#[derive(Default)]
struct Entries {
    known: HashMap<Key, Entry>,
    uses: u64,
}

type Key = (String, World);

struct Entry {
    cell: Arc<Cell>,
    used: u64,
}

/// What came of one component.
#[derive(Default)]
struct Cell {
    outcome: OnceLock<Outcome>,
    /// Held by whoever looks for it on disk or compiles it: the same component is compiled once.
    busy: tokio::sync::Mutex<()>,
}

/// What loading needs; it leaves for another thread.
pub(crate) struct Loader {
    pub(crate) engine: Engine,
    pub(crate) links: Links,
    pub(crate) disk: Option<Disk>,
    pub(crate) settings: Settings,
}

/// A component that is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Who waits for it.
    pub(crate) tenant: &'a str,
    /// `sha256:` and the digest of `component`.
    pub(crate) digest: &'a str,
    pub(crate) component: &'a [u8],
    pub(crate) world: World,
}

impl Cache {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            entries: Mutex::default(),
            keep: settings.modules.max(1),
            compiling: Places::new(settings.compilations, 1),
        }
    }

    /// The component with this content, compiled now or earlier.
    ///
    /// It is compiled in the turn of whoever's comes first: nobody who wants the same waits for another tenant's turn.
    /// If one that compiles is cancelled the next takes over.
    pub(crate) async fn get(&self, wanted: Wanted<'_>, by: &Arc<Loader>) -> Outcome {
        let cell = self.cell((wanted.digest.to_owned(), wanted.world));
        loop {
            let looks = cell.busy.lock().await;
            if let Some(outcome) = self.known(&cell, wanted, by).await? {
                return outcome;
            }
            drop(looks);
            let patience = by.settings.compile;
            let turn = self.compiling.take(wanted.tenant, patience).await?;
            // Somebody whose turn came sooner compiles it by now: that is waited for without a turn.
            let Ok(_compiles) = cell.busy.try_lock() else {
                continue;
            };
            let outcome = match cell.outcome.get() {
                Some(outcome) => outcome.clone(),
                None => {
                    let fresh = compile(wanted, by).await?;
                    cell.outcome.get_or_init(|| fresh).clone()
                }
            };
            drop(turn);
            return outcome;
        }
    }

    /// What is known without compiling.
    async fn known(
        &self,
        cell: &Cell,
        wanted: Wanted<'_>,
        by: &Arc<Loader>,
    ) -> Result<Option<Outcome>, Error> {
        if let Some(outcome) = cell.outcome.get() {
            return Ok(Some(outcome.clone()));
        }
        let (digest, world) = (wanted.digest.to_owned(), wanted.world);
        let component = wanted.component.to_vec();
        let found = aside(by, move |by| by.find(&digest, &component, world)).await?;
        Ok(found.map(|found| cell.outcome.get_or_init(|| found).clone()))
    }

    fn cell(&self, key: Key) -> Arc<Cell> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.uses += 1;
        let used = entries.uses;
        if let Some(entry) = entries.known.get_mut(&key) {
            entry.used = used;
            return entry.cell.clone();
        }
        if entries.known.len() >= self.keep {
            let oldest = entries.known.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                entries.known.remove(&oldest);
            }
        }
        let cell = Arc::<Cell>::default();
        entries.known.insert(
            key,
            Entry {
                cell: cell.clone(),
                used,
            },
        );
        cell
    }
}

/// The outer error is not remembered, the inner one is.
async fn compile(wanted: Wanted<'_>, by: &Arc<Loader>) -> Result<Outcome, Error> {
    let code = match compiler::compile(wanted.component, &by.settings).await {
        Ok(code) => code,
        Err(Failed::Always(why)) => return Ok(Err(why)),
        Err(Failed::Now(why)) => return Err(why),
    };
    let (digest, world) = (wanted.digest.to_owned(), wanted.world);
    aside(by, move |by| by.keep(&digest, &code, world)).await
}

impl Loader {
    /// What is known without compiling: that it is refused, or its code from disk.
    fn find(&self, digest: &str, component: &[u8], world: World) -> Option<Outcome> {
        if let Err(why) = inspect(component, self.settings.component) {
            return Some(Err(why));
        }
        let file = self.disk.as_ref()?.get(digest)?;
        Some(self.guest(&Code::Kept(file), world))
    }

    /// Puts fresh code on disk, where there is one, and loads it from there: what is mapped from a file
    /// need not stay in memory.
    fn keep(&self, digest: &str, code: &[u8], world: World) -> Outcome {
        if let Some(disk) = &self.disk {
            match disk.put(digest, code) {
                Ok(()) => {
                    if let Some(file) = disk.get(digest) {
                        return self.guest(&Code::Kept(file), world);
                    }
                }
                // It is compiled again after the next start, and that is all.
                Err(why) => tracing::warn!(%why, "a compiled plugin cannot be kept on disk"),
            }
        }
        self.guest(&Code::Fresh(code), world)
    }

    fn guest(&self, code: &Code<'_>, world: World) -> Outcome {
        self.links.guest(&self.engine, code, world, &self.settings)
    }
}

/// Work that takes longer than a task may, on another thread.
async fn aside<T: Send + 'static>(
    by: &Arc<Loader>,
    work: impl FnOnce(&Loader) -> T + Send + 'static,
) -> Result<T, Error> {
    let by = by.clone();
    tokio::task::spawn_blocking(move || work(&by))
        .await
        .map_err(|_| Error::Engine("it is being shut down".to_owned()))
}
