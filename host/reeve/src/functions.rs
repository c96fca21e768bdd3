//! Functions of kustomizations, run in the sandbox: the same one, with the same limits, in the controller and on a laptop.
//!
//! A build is a thread that computes; a call of a function is waited for there, a registry is not: a function that lies in one
//! stops the build until whoever builds has fetched it (`images`). What a function may be is the engine's to say
//! (`reeve_kustomize::Functions`), how a call is bounded `reeve_wasm`'s.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_core::bundle;
use reeve_core::plugin::PluginId;
use reeve_core::veil::Veil;
use reeve_kustomize::{Call, Component};
use reeve_wasm::{Budget, Module, Sandbox, World};
use tokio::runtime::Handle;

use crate::images::Image;
use crate::index::Callable;

/// What functions may name as `plugin`, by that name.
pub(crate) type Known = BTreeMap<String, (PluginId, Option<Arc<Callable>>)>;

/// The plugins that a build called, and the digest of each as it was then; None of one that could not be called.
pub(crate) type Used = BTreeMap<PluginId, Option<String>>;

/// The functions of one build.
pub(crate) struct Functions {
    sandbox: Sandbox,
    runtime: Handle,
    tenant: String,
    namespace: Option<NamespaceName>,
    known: Known,
    used: Mutex<Used>,
    /// What was shown to them of Secrets.
    shown: Mutex<Veil>,
    images: Mutex<Images>,
}

/// The functions of a build that lie in registries.
#[derive(Default)]
struct Images {
    /// What came of those that were fetched.
    fetched: BTreeMap<Image, Result<Arc<[u8]>, String>>,
    size: usize,
    /// The one that the build stopped at.
    lacking: Option<Image>,
}

/// Bytes of all components of one build that lie in registries.
const LARGEST: usize = 64 << 20;

impl Functions {
    /// Functions for `tenant`, which may name what is `known`. Made within a runtime, called outside of it.
    pub(crate) fn new(sandbox: Sandbox, tenant: &str, known: Known) -> Self {
        Self {
            sandbox,
            runtime: Handle::current(),
            tenant: tenant.to_owned(),
            namespace: None,
            known,
            used: Mutex::default(),
            shown: Mutex::default(),
            images: Mutex::default(),
        }
    }

    /// The same for a Kustomization of this namespace.
    pub(crate) fn within(self, namespace: &NamespaceName) -> Self {
        Self {
            namespace: Some(namespace.clone()),
            ..self
        }
    }

    /// For whom they are called.
    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Whether the build stopped at what must be fetched.
    pub(crate) fn lacks(&self) -> bool {
        self.images().lacking.is_some()
    }

    /// What must be fetched before it can be built on, if that is what the build stopped at.
    pub(crate) fn lacking(&self) -> Option<Image> {
        self.images().lacking.take()
    }

    /// What a call needs that was not fetched.
    pub(crate) fn wants(&self, call: &Call<'_>) -> Option<Image> {
        let image = image(call)?;
        let known = self.images().fetched.contains_key(&image);
        (!known).then_some(image)
    }

    /// What came of fetching an image; an error is one clause for the build's author.
    pub(crate) fn fetched(&self, image: Image, fetched: Result<Arc<[u8]>, String>) {
        let mut images = self.images();
        images.size += fetched.as_ref().map_or(0, |bytes| bytes.len());
        let fetched = match images.size > LARGEST {
            true => Err(format!(
                "the functions of this build that lie in registries are larger than {} MiB",
                LARGEST >> 20
            )),
            false => fetched,
        };
        images.fetched.insert(image, fetched);
    }

    fn images(&self) -> std::sync::MutexGuard<'_, Images> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was called by its plugin's name.
    pub(crate) fn used(&self) -> Used {
        let used = self.used.lock();
        used.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What of Secrets they were shown: whatever the build tells may hold it, and so may what was built.
    pub(crate) fn shown(&self) -> Veil {
        let shown = self.shown.lock();
        shown.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// They are shown these; returns what must not be told of that.
    fn show(&self, items: &[String]) -> Veil {
        let more = bundle::shown(items);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = shown.and(&more);
        shown.clone()
    }

    /// Whether the plugin is what it was when it had this digest.
    pub(crate) fn is(&self, id: &PluginId, digest: &Option<String>) -> bool {
        let mut known = self.known.values();
        let now = known.find(|(known, _)| known == id);
        let now = now.and_then(|(_, one)| one.as_ref());
        now.map(|one| one.module.digest()) == digest.as_deref()
    }

    fn component(&self, call: &Call<'_>) -> Result<(Module, Budget), String> {
        match call.component {
            Component::File { bytes, .. } => self.load(bytes),
            Component::Plugin(name) => self.plugin(name),
            Component::Image(_) => self.load(&self.image(call)?),
        }
    }

    fn load(&self, bytes: &[u8]) -> Result<(Module, Budget), String> {
        let load = self.sandbox.load(&self.tenant, bytes, World::Transformer);
        let module = self.runtime.block_on(load).map_err(|why| why.to_string())?;
        Ok((module, Budget::default()))
    }

    fn image(&self, call: &Call<'_>) -> Result<Arc<[u8]>, String> {
        let image = image(call).ok_or("it is no image")?;
        let mut images = self.images();
        if let Some(fetched) = images.fetched.get(&image) {
            return fetched.clone();
        }
        images.lacking = Some(image);
        Err("it is being fetched".to_owned())
    }

    /// Either kind of that name would do, once it is there.
    fn missed(&self, name: &str) {
        if let Ok(name) = name.parse() {
            self.note(PluginId::Platform(name), None);
        }
        if let (Some(namespace), Ok(name)) = (self.namespace.clone(), name.parse()) {
            self.note(PluginId::Tenant(NamespacedName { namespace, name }), None);
        }
    }

    fn note(&self, id: PluginId, digest: Option<String>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(id, digest);
    }

    fn plugin(&self, name: &str) -> Result<(Module, Budget), String> {
        let Some((id, callable)) = self.known.get(name) else {
            self.missed(name);
            return Err(
                "there is no Plugin of that name in the namespace, and no ClusterPlugin".to_owned(),
            );
        };
        let digest = callable.as_ref().map(|one| one.module.digest().to_owned());
        self.note(id.clone(), digest);
        match callable {
            Some(one) => Ok((one.module.clone(), one.budget.clone())),
            None => Err(format!("it cannot be called yet: {}", id.hint())),
        }
    }
}

impl reeve_kustomize::Functions for Functions {
    fn call(&self, call: Call<'_>) -> Result<Vec<String>, String> {
        let shown = shown(call.component);
        let failed = |why: String| format!("function {shown} failed: {why}");
        let (module, budget) = self.component(&call).map_err(failed)?;
        let pin = call
            .sha256
            .map(|pin| format!("sha256:{}", pin.to_ascii_lowercase()));
        if pin.as_ref().is_some_and(|pin| *pin != module.digest()) {
            let is = module.digest();
            return Err(failed(format!("it is {is}, not what wasm.sha256 says")));
        }
        let shown = self.show(&call.items);
        let work = module.transform(&self.tenant, call.items, &call.config, &budget);
        let done = self.runtime.block_on(work);
        done.map(|done| done.manifests)
            .map_err(|why| failed(shown.cover(why.to_string())))
    }
}

fn image(call: &Call<'_>) -> Option<Image> {
    let Component::Image(reference) = call.component else {
        return None;
    };
    Some(Image {
        reference: reference.clone(),
        sha256: call.sha256.map(str::to_owned),
    })
}

fn shown(component: &Component) -> String {
    match component {
        Component::File { path, .. } => path.clone(),
        Component::Plugin(name) => format!("plugin {name}"),
        Component::Image(reference) => reference.clone(),
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
