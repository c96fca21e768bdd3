//! The sandbox: one engine, its places, and the components it has compiled.
//!
//! Takes bytes in and gives modules out. What a call does is in `module`.

use std::fmt;
use std::sync::Arc;

use crate::budget::Settings;
use crate::cache::{Cache, Loader, Wanted};
use crate::disk::Disk;
use crate::engine::{self, Ticker};
use crate::error::Error;
use crate::facts::{World, digest};
use crate::lane::Lane;
use crate::link::Links;
use crate::meter::Accounts;
use crate::module::Module;
use crate::places::Places;

/// Where plugins run. One a process: make it at the start, share it by cloning.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) loader: Arc<Loader>,
    pub(crate) ticker: Ticker,
    pub(crate) places: Places,
    pub(crate) lane: Lane,
    pub(crate) accounts: Accounts,
    cache: Cache,
}

impl Sandbox {
    /// Reserves what `settings` asks for and starts the ticker.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let engine = engine::start(&settings)?;
        let disk = settings.cache.as_ref().and_then(|directory| {
            Disk::open(directory, &engine, settings.cache_size)
                .inspect_err(|why| {
                    let path = directory.display();
                    tracing::warn!(%why, %path, "the plugin cache is not used: plugins are compiled at each start");
                })
                .ok()
        });
        let inner = Inner {
            ticker: Ticker::start(&engine)?,
            lane: Lane::start()?,
            places: Places::new(settings.calls, settings.calls_each),
            accounts: Accounts::new(settings.time_each, settings.bytes_each),
            cache: Cache::new(&settings),
            loader: Arc::new(Loader {
                links: Links::new(&engine)?,
                disk,
                engine,
                settings,
            }),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Compiles a component of `world`, or finds it compiled: the same bytes compile once, whoever
    /// brings them. `tenant` is who brought it: tenants take turns, and what one has loaded is bounded.
    ///
    /// May be cancelled at any point. To be called on a thread that stays (the runtime's own): a
    /// compiling process ends with the thread that started it.
    pub async fn load(&self, tenant: &str, bytes: &[u8], world: World) -> Result<Module, Error> {
        let digest = digest(bytes);
        let held = self.inner.accounts.hold(tenant, &digest, bytes.len())?;
        let wanted = Wanted {
            tenant,
            digest: &digest,
            component: bytes,
            world,
        };
        let guest = self.inner.cache.get(wanted, &self.inner.loader).await?;
        Ok(Module::new(self.inner.clone(), digest, guest, held))
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("settings", &self.inner.loader.settings)
            .finish_non_exhaustive()
    }
}
