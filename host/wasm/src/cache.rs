//! Components that are compiled: once per content, shared by all tenants, holding the state of
//! none.
//!
//! Keyed by the sha256 of the component. What was refused is remembered too, so that a broken
//! plugin costs one compilation and not one per reconcile. Nothing is kept on disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::budget::Settings;
use crate::engine::{MEMORIES, TABLE_ELEMENTS, TABLES};
use crate::error::Error;
use crate::inspect::{PAGE, inspect};
use crate::store::State;
use crate::trap::chain;
use crate::words::{bytes, tame};
use crate::world::transform::{TransformerPre, WORLD};

type Outcome = Result<TransformerPre<State>, Error>;

/// The compiled components, and the one thread that may compile.
pub(crate) struct Cache {
    entries: Mutex<Entries>,
    keep: usize,
    compiling: Arc<Semaphore>,
}

#[derive(Default)]
struct Entries {
    known: HashMap<String, Entry>,
    uses: u64,
}

struct Entry {
    cell: Arc<OnceCell<Outcome>>,
    used: u64,
}

/// What a compilation needs; it leaves for another thread.
pub(crate) struct Compiler {
    pub(crate) engine: Engine,
    pub(crate) linker: Arc<Linker<State>>,
    pub(crate) settings: Settings,
}

impl Cache {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            entries: Mutex::default(),
            keep: keep.max(1),
            compiling: Arc::new(Semaphore::new(1)),
        }
    }

    /// The component with this content, compiled now or earlier.
    pub(crate) async fn get(&self, digest: &str, component: &[u8], by: &Arc<Compiler>) -> Outcome {
        let cell = self.cell(digest);
        // Whoever comes first compiles, the others wait for it; if it is cancelled the next one
        // takes over.
        let outcome = cell.get_or_try_init(|| self.compile(component, by)).await?;
        outcome.clone()
    }

    fn cell(&self, digest: &str) -> Arc<OnceCell<Outcome>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.uses += 1;
        let used = entries.uses;
        if let Some(entry) = entries.known.get_mut(digest) {
            entry.used = used;
            return entry.cell.clone();
        }
        if entries.known.len() >= self.keep {
            let oldest = entries.known.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(oldest) = oldest.map(|(digest, _)| digest.clone()) {
                entries.known.remove(&oldest);
            }
        }
        let cell = Arc::<OnceCell<Outcome>>::default();
        entries.known.insert(
            digest.to_owned(),
            Entry {
                cell: cell.clone(),
                used,
            },
        );
        cell
    }

    /// Compiles outside the runtime. The outer error is not remembered, the inner one is.
    async fn compile(&self, component: &[u8], by: &Arc<Compiler>) -> Result<Outcome, Error> {
        if let Err(why) = inspect(component, by.settings.component) {
            return Ok(Err(why));
        }
        let patience = by.settings.compile;
        let work = async {
            let turn = self.compiling.clone().acquire_owned().await;
            let (by, component) = (by.clone(), component.to_vec());
            tokio::task::spawn_blocking(move || {
                // Held by the thread, not by the caller: a caller that goes away leaves one
                // compilation behind, never two.
                let _turn = turn;
                by.compile(&component)
            })
            .await
        };
        match tokio::time::timeout(patience, work).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(why)) if why.is_panic() => Ok(Err(crashed())),
            Ok(Err(_)) => Err(Error::Engine("it is being shut down".to_owned())),
            Err(_) => Err(slow(patience)),
        }
    }
}

impl Compiler {
    fn compile(&self, component: &[u8]) -> Outcome {
        let component = Component::new(&self.engine, component)
            .map_err(|why| Error::Compile(format!("it does not compile: {}", chain(&why))))?;
        self.measure(&component)?;
        let linked = self.linker.instantiate_pre(&component);
        let linked = linked.map_err(|why| self.unlinked(&component, &why))?;
        TransformerPre::new(linked).map_err(|why| Error::World {
            world: WORLD,
            why: chain(&why),
        })
    }

    /// Whether a store can hold it at all: better said once at the start than in every call.
    fn measure(&self, component: &Component) -> Result<(), Error> {
        let needs = component.resources_required().ok_or_else(|| {
            Error::Compile("it instantiates a module that it does not contain".to_owned())
        })?;
        let memory = needs
            .max_initial_memory_size
            .unwrap_or(0)
            .saturating_mul(PAGE);
        let most = self.settings.memory;
        if memory > most as u64 {
            return Err(Error::Compile(format!(
                "it starts with more than {} of memory",
                bytes(most)
            )));
        }
        if needs.num_memories > MEMORIES {
            return Err(Error::Compile(format!(
                "it has more than {MEMORIES} memories"
            )));
        }
        if needs.num_tables > TABLES {
            return Err(Error::Compile(format!("it has more than {TABLES} tables")));
        }
        if needs.max_initial_table_size.unwrap_or(0) > TABLE_ELEMENTS as u64 {
            let why = format!("it starts with a table of more than {TABLE_ELEMENTS} elements");
            return Err(Error::Compile(why));
        }
        Ok(())
    }

    /// An import of our own package that this host does not have, or has otherwise.
    fn unlinked(&self, component: &Component, why: &wasmtime::Error) -> Error {
        let kind = component.component_type();
        let unknown: Vec<String> = kind
            .imports(&self.engine)
            .map(|(name, _)| name)
            .filter(|name| {
                !name.starts_with("reeve:plugin/log@") && !name.starts_with("reeve:plugin/types@")
            })
            .map(|name| tame(name, 128))
            .collect();
        if unknown.is_empty() {
            Error::World {
                world: WORLD,
                why: chain(why),
            }
        } else {
            Error::Imports { asked: unknown }
        }
    }
}

fn crashed() -> Error {
    Error::Compile("the compiler crashed on it".to_owned())
}

fn slow(patience: Duration) -> Error {
    Error::Compile(format!(
        "compiling it, or waiting for another compilation, took longer than {patience:?}"
    ))
}
