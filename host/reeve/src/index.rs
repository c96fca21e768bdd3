//! What the watches have told, behind a lock.
//!
//! Holds `core`'s pure indexes, the objects as last seen and what runs remember; a lock is held for one closure and
//! never across an await. It deliberately decides nothing: who is touched by what is `core::index`'s to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespacedName, ObjectName, PluginName, TenantName};
use reeve_api::plugin::ClusterPlugin;
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use reeve_api::tenant::{Project, Tenant};
use reeve_core::artifact::Artifact;
use reeve_core::failure::Explained;
use reeve_core::index::Target;
use reeve_core::status::Memory;
use reeve_core::tenancy::{Grounds, Tenants};
use reeve_wasm::Module;

use crate::git::Snapshot;

/// What the watches have told.
pub(crate) struct Index(RwLock<Known>);

/// What is known, all of it under one lock.
pub(crate) struct Known {
    pub(crate) touch: reeve_core::index::Index,
    pub(crate) tenants: Tenants,
    pub(crate) sources: BTreeMap<NamespacedName, Arc<GitRepository>>,
    pub(crate) kustomizations: BTreeMap<NamespacedName, Arc<Kustomization>>,
    pub(crate) receivers: BTreeMap<NamespacedName, Arc<Receiver>>,
    pub(crate) tenant_objects: BTreeMap<TenantName, Arc<Tenant>>,
    pub(crate) projects: BTreeMap<ObjectName, Arc<Project>>,
    pub(crate) plugins: BTreeMap<PluginName, Plugin>,
    pub(crate) stored: BTreeMap<NamespacedName, Stored>,
    /// Sources that had a run since this process started.
    pub(crate) looked_at: BTreeSet<NamespacedName>,
    pub(crate) memory: BTreeMap<Target, Memory>,
}

/// A ClusterPlugin, and what came of loading it.
#[derive(Clone)]
pub(crate) struct Plugin {
    pub(crate) object: Arc<ClusterPlugin>,
    /// None until it was tried.
    pub(crate) loaded: Option<Result<Module, Explained>>,
}

/// What a source has in store.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) artifact: Artifact,
    pub(crate) snapshot: Snapshot,
    /// The URL, reference, credential and ignore rules that it came from: another spec means another fetch.
    pub(crate) wanted: Wanted,
}

/// What a stored artifact was fetched for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) url: String,
    pub(crate) ignore: Option<String>,
}

impl Index {
    /// An empty index over these grounds.
    pub(crate) fn new(grounds: &Grounds) -> Self {
        Self(RwLock::new(Known::nothing(grounds)))
    }

    /// Forgets everything: who leads again has not followed what happened meanwhile.
    pub(crate) fn forget(&self, grounds: &Grounds) {
        self.write(|known| *known = Known::nothing(grounds));
    }

    /// Looks something up.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        // A panic under the lock leaves plain data behind, at worst one change short.
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes something.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the last run of `target` said to remember.
    pub(crate) fn memory(&self, target: &Target) -> Memory {
        self.read(|known| known.memory.get(target).copied().unwrap_or_default())
    }

    /// Remembers for the next run of `target`.
    pub(crate) fn remember(&self, target: &Target, memory: Memory) {
        self.write(|known| {
            if memory == Memory::default() {
                known.memory.remove(target);
            } else {
                known.memory.insert(target.clone(), memory);
            }
        });
    }
}

impl Known {
    fn nothing(grounds: &Grounds) -> Self {
        let trusted = grounds
            .platform_namespaces
            .iter()
            .chain(&grounds.config_namespaces);
        Self {
            touch: reeve_core::index::Index::new(trusted.cloned()),
            tenants: Tenants::default(),
            sources: BTreeMap::new(),
            kustomizations: BTreeMap::new(),
            receivers: BTreeMap::new(),
            tenant_objects: BTreeMap::new(),
            projects: BTreeMap::new(),
            plugins: BTreeMap::new(),
            stored: BTreeMap::new(),
            looked_at: BTreeSet::new(),
            memory: BTreeMap::new(),
        }
    }
}
