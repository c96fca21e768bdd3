//! Components that are compiled: once per content, shared by all tenants, holding the state of
//! none.
//!
//! Keyed by the sha256 of the component and its world. What was refused is remembered too, so that a
//! broken plugin costs one compilation and not one per reconcile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use wasmtime::Engine;

use crate::budget::Settings;
use crate::compiler::{self, Failed};
use crate::error::Error;
use crate::facts::World;
use crate::inspect::inspect;
use crate::link::{Guest, Links};
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
    cell: Arc<OnceCell<Outcome>>,
    used: u64,
}

/// What loading needs; it leaves for another thread.
pub(crate) struct Loader {
    pub(crate) engine: Engine,
    pub(crate) links: Links,
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
    pub(crate) async fn get(&self, wanted: Wanted<'_>, by: &Arc<Loader>) -> Outcome {
        let cell = self.cell((wanted.digest.to_owned(), wanted.world));
        // Whoever comes first compiles, the others wait for it; if it is cancelled the next one
        // takes over.
        let outcome = cell.get_or_try_init(|| self.load(wanted, by)).await?;
        outcome.clone()
    }

    fn cell(&self, key: Key) -> Arc<OnceCell<Outcome>> {
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
        let cell = Arc::<OnceCell<Outcome>>::default();
        entries.known.insert(
            key,
            Entry {
                cell: cell.clone(),
                used,
            },
        );
        cell
    }

    /// The outer error is not remembered, the inner one is.
    async fn load(&self, wanted: Wanted<'_>, by: &Arc<Loader>) -> Result<Outcome, Error> {
        let settings = &by.settings;
        if let Err(why) = inspect(wanted.component, settings.component) {
            return Ok(Err(why));
        }
        let turn = self.compiling.take(wanted.tenant, settings.compile).await?;
        let code = match compiler::compile(wanted.component, settings).await {
            Ok(code) => code,
            Err(Failed::Always(why)) => return Ok(Err(why)),
            Err(Failed::Now(why)) => return Err(why),
        };
        drop(turn);
        let (by, world) = (by.clone(), wanted.world);
        tokio::task::spawn_blocking(move || by.links.guest(&by.engine, &code, world, &by.settings))
            .await
            .map_err(|_| Error::Engine("it is being shut down".to_owned()))
    }
}
