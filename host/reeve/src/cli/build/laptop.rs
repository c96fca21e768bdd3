//! Functions of a build on the command line: the sandbox is made when the first is called, and one that lies in a registry is
//! fetched then, as whom Docker's config file says.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use reeve_core::failure::chain;
use reeve_kustomize::{Call, Component};
use reeve_wasm::Sandbox;

use crate::cli::provide_tls;
use crate::cli::reach::{everywhere, login};
use crate::functions::{Functions, Known};
use crate::images::{self, Image, Way};
use crate::oci::Reference;

/// How long a registry is waited for.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs functions here.
#[derive(Debug)]
pub(in crate::cli) struct Laptop {
    /// Whether anything is fetched.
    remote: bool,
    started: OnceLock<Result<Started, String>>,
}

#[derive(Debug)]
struct Started {
    runtime: tokio::runtime::Runtime,
    functions: Functions,
}

impl Laptop {
    pub(in crate::cli) fn new(remote: bool) -> Self {
        Self {
            remote,
            started: OnceLock::new(),
        }
    }

    fn start() -> Result<Started, String> {
        let runtime = crate::cli::runtime().map_err(|why| why.to_string())?;
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
        Ok(Started { runtime, functions })
    }
}

impl Started {
    fn fetch(&self, image: Image) {
        provide_tls();
        let access = || {
            let reference = image.reference.parse::<Reference>();
            let reference = reference.map_err(|why| why.to_string())?;
            let login = login(&reference.host).map_err(|why| why.to_string())?;
            Ok(Way {
                egress: everywhere(),
                login,
                plain: true,
            })
        };
        let fetched = access().and_then(|way: Way| {
            let work = images::fetch(&image, way, Instant::now() + LONGEST);
            self.runtime.block_on(work).map_err(|why| chain(&why))
        });
        self.functions.fetched(image, fetched);
    }
}

impl reeve_kustomize::Functions for Laptop {
    fn call(&self, call: Call<'_>) -> Result<Vec<String>, String> {
        match call.component {
            Component::Plugin(name) => {
                return Err(format!(
                    "function plugin {name} lives in a cluster: name its file as wasm.path to run it here"
                ));
            }
            Component::Image(reference) if !self.remote => {
                return Err(format!(
                    "function {reference} is in a registry, and --no-remote-bases is set"
                ));
            }
            Component::Image(_) | Component::File { .. } => {}
        }
        let started = match self.started.get_or_init(Self::start) {
            Ok(started) => started,
            Err(why) => return Err(format!("the sandbox does not start: {why}")),
        };
        if let Some(image) = started.functions.wants(&call) {
            started.fetch(image);
        }
        started.functions.call(call)
    }
}
