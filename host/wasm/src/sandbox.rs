//! The sandbox: one engine, its places, and the components it has compiled.
//!
//! Takes bytes in and gives modules out. What a call does is in `module`.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::budget::Settings;
use crate::cache::{Cache, Compiler};
use crate::engine::{self, Ticker};
use crate::error::Error;
use crate::facts::digest;
use crate::module::Module;
use crate::world::transform;

/// Where plugins run. One a process: make it at the start, share it by cloning.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) compiler: Arc<Compiler>,
    pub(crate) ticker: Ticker,
    pub(crate) places: Semaphore,
    cache: Cache,
}

impl Sandbox {
    /// Reserves what `settings` asks for and starts the ticker.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let engine = engine::start(&settings)?;
        let linker = Arc::new(transform::linker(&engine)?);
        let inner = Inner {
            ticker: Ticker::start(&engine)?,
            places: Semaphore::new(settings.calls.clamp(1, Semaphore::MAX_PERMITS)),
            cache: Cache::new(settings.modules),
            compiler: Arc::new(Compiler {
                engine,
                linker,
                settings,
            }),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Compiles a component, or finds it compiled: the same bytes compile once, whoever brings
    /// them.
    ///
    /// May be cancelled at any point.
    pub async fn load(&self, bytes: &[u8]) -> Result<Module, Error> {
        let digest = digest(bytes);
        let guest = self
            .inner
            .cache
            .get(&digest, bytes, &self.inner.compiler)
            .await?;
        Ok(Module::new(self.inner.clone(), digest, guest))
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("settings", &self.inner.compiler.settings)
            .finish_non_exhaustive()
    }
}
