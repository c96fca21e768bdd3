//! Functions of kustomizations, run in the sandbox: the same one, with the same limits, in the controller and on a laptop.
//!
//! A build is a thread that computes; a call of a function is waited for there. What a function may be is the engine's to
//! say (`reeve_kustomize::Functions`), how a call is bounded `reeve_wasm`'s.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reeve_api::name::{NamespaceName, NamespacedName};
use reeve_core::plugin::PluginId;
use reeve_kustomize::{Call, Component};
use reeve_wasm::{Budget, Module, Sandbox, World};
use tokio::runtime::Handle;

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
}

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

    /// What was called by its plugin's name.
    pub(crate) fn used(&self) -> Used {
        let used = self.used.lock();
        used.unwrap_or_else(PoisonError::into_inner).clone()
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
            Component::File { bytes, .. } => {
                let load = self
                    .sandbox
                    .load(&self.tenant, bytes, World::Transformer);
                let module = self.runtime.block_on(load).map_err(|why| why.to_string())?;
                Ok((module, Budget::default()))
            }
            Component::Plugin(name) => self.plugin(name),
            Component::Image(_) => Err(
                "functions are not fetched from registries: let a Plugin fetch it, and name that as wasm.plugin"
                    .to_owned(),
            ),
        }
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
        let work = module.transform(&self.tenant, call.items, &call.config, &budget);
        let done = self.runtime.block_on(work);
        done.map(|done| done.manifests)
            .map_err(|why| failed(why.to_string()))
    }
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

/// Functions of a build on the command line: the sandbox is made when the first is called.
#[derive(Debug, Default)]
pub(crate) struct Laptop(std::sync::OnceLock<Result<Started, String>>);

#[derive(Debug)]
struct Started {
    _runtime: tokio::runtime::Runtime,
    functions: Functions,
}

impl Laptop {
    fn start() -> Result<Started, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|why| why.to_string())?;
        // One call at a time needs no pool.
        let settings = reeve_wasm::Settings {
            pool: false,
            ..reeve_wasm::Settings::default()
        };
        let sandbox = Sandbox::new(settings).map_err(|why| why.to_string())?;
        let functions = {
            let _entered = runtime.enter();
            Functions::new(sandbox, "", Known::new())
        };
        Ok(Started {
            _runtime: runtime,
            functions,
        })
    }
}

impl reeve_kustomize::Functions for Laptop {
    fn call(&self, call: Call<'_>) -> Result<Vec<String>, String> {
        if let Component::Plugin(name) = call.component {
            return Err(format!(
                "function plugin {name} lives in a cluster: name its file as wasm.path to run it here"
            ));
        }
        match self.0.get_or_init(Self::start) {
            Ok(started) => started.functions.call(call),
            Err(why) => Err(format!("the sandbox does not start: {why}")),
        }
    }
}
