//! Where a verb calls a guest: the controller's sandbox, with the controller's limits unless flags say otherwise.
//!
//! What a config is held against first is the component's own schema, as the controller does it (`core::plugin`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use reeve_api::size::Size;
use reeve_core::bundle;
use reeve_core::plugin::{Schema, SchemaError};
use reeve_wasm::{
    Budget, Compiler, Error, Module, Program, Sandbox, Settings, Transformed, World, facts,
};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::cli::ui::CommandError;
use crate::forge::words::Operation;
use crate::forge::{self, Asks, Outcome, Provider, Rehearsal};

/// What one call may use, as `spec.limits` of a plugin says it.
#[derive(Args, Default)]
pub(in crate::cli) struct LimitFlags {
    /// Memory of one call [default: the controller's]
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// Time of one call, for example 5s [default: the controller's]
    #[arg(long, value_name = "TIME")]
    deadline: Option<reeve_api::duration::Duration>,
    /// Size of the answer of one call [default: the controller's]
    #[arg(long, value_name = "SIZE")]
    output: Option<Size>,
}

impl LimitFlags {
    fn budget(&self) -> Budget {
        let bytes = |size: &Size| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
        let defaults = Budget::default();
        Budget {
            memory: self.memory.as_ref().map_or(defaults.memory, bytes),
            deadline: self
                .deadline
                .as_ref()
                .map_or(defaults.deadline, |set| set.get()),
            output: self.output.as_ref().map_or(defaults.output, bytes),
            ..defaults
        }
    }
}

/// Nobody else is here whom it would have to be told from.
const TENANT: &str = "you";

/// A component that was loaded, and what calls it.
pub(in crate::cli) struct Place {
    runtime: Runtime,
    module: Module,
    budget: Budget,
    /// What it is called.
    name: String,
    /// What it asks for, if it says so.
    manifest: Option<Value>,
    /// What its config must be, if it says so.
    schema: Option<Result<Schema, SchemaError>>,
    /// How long it took to compile.
    pub(super) compiled: Duration,
}

/// Why a call came to nothing.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(in crate::cli) enum Failed {
    /// It was not made: the config is not what the component's own schema asks for.
    #[error(transparent)]
    Config(#[from] SchemaError),
    /// The guest refused, or was stopped.
    #[error(transparent)]
    Call(#[from] Error),
    /// The guest answered, and the controller would not take it.
    #[error("it returned what cannot be used: {0}")]
    Unusable(bundle::Error),
}

impl Failed {
    /// What the guest logged last.
    pub(super) fn log(&self) -> &[String] {
        match self {
            Self::Config(_) | Self::Unusable(_) => &[],
            Self::Call(why) => why.log(),
        }
    }
}

impl Place {
    /// Loads `component`, called `name`.
    pub(in crate::cli) fn open(
        component: &[u8],
        name: &str,
        limits: &LimitFlags,
    ) -> Result<Self, CommandError> {
        let failed = |why: Error| CommandError::of(&format!("loading {name} failed"), &why);
        let facts = facts(component, largest()).map_err(failed)?;
        // One that has none is refused by what it lacks.
        let world = facts.worlds.first().copied().unwrap_or(World::Transformer);
        let budget = limits.budget();
        let runtime = runtime()?;
        let sandbox = sandbox(&budget)?;
        let begun = Instant::now();
        let module = runtime
            .block_on(sandbox.load(TENANT, component, world))
            .map_err(failed)?;
        Ok(Self {
            runtime,
            module,
            budget,
            name: name.to_owned(),
            schema: facts.schema.as_ref().map(Schema::parse),
            compiled: begun.elapsed(),
            manifest: facts.manifest,
        })
    }

    /// Of which world it is.
    pub(super) fn world(&self) -> World {
        self.module.world()
    }

    /// The hosts and the slots that it asks for.
    pub(super) fn asks(&self) -> Result<Arc<Asks>, CommandError> {
        let asks = Asks::parse(self.manifest.as_ref());
        let asks =
            asks.map_err(|why| CommandError::of(&format!("loading {} failed", self.name), &why))?;
        Ok(Arc::new(asks))
    }

    /// Has a provider carry out an operation at a forge.
    pub(super) fn ask(
        &self,
        provider: &Provider,
        operation: Operation,
    ) -> Result<Outcome, Box<forge::Error>> {
        let call = provider.ask(&self.module, TENANT, &self.budget, operation);
        self.runtime.block_on(call).map_err(Box::new)
    }

    /// Has a provider carry one out at what is written down.
    pub(super) fn rehearse(&self, rehearsal: &Rehearsal<'_>) -> Result<Outcome, Box<forge::Error>> {
        let play = rehearsal.play(&self.module, TENANT, &self.budget);
        self.runtime.block_on(play).map_err(Box::new)
    }

    /// Holds a config against the component's schema, with the controller's words.
    pub(in crate::cli) fn fits(&self, config: &Value) -> Result<(), SchemaError> {
        match &self.schema {
            None => Ok(()),
            Some(Ok(schema)) => schema.check(config),
            Some(Err(why)) => Err(why.clone()),
        }
    }

    /// One call, in a fresh instance; what comes back is looked at as the controller does.
    pub(in crate::cli) fn transform(
        &self,
        manifests: Vec<String>,
        config: &Value,
    ) -> Result<Transformed, Failed> {
        let config = config.to_string();
        let call = self
            .module
            .transform(TENANT, manifests, &config, &self.budget);
        let done = self.runtime.block_on(call)?;
        bundle::usable(&done.manifests).map_err(Failed::Unusable)?;
        Ok(done)
    }
}

/// Where a component is loaded: as the controller does, it is compiled in a process of its own, with the same limits.
pub(in crate::cli) fn sandbox(budget: &Budget) -> Result<Sandbox, CommandError> {
    let compiler = Program::own("compile-plugin")
        .map_err(|why| CommandError::of("finding this program's own file failed", &why))?;
    let defaults = Settings::default();
    let settings = Settings {
        memory: defaults.memory.max(budget.memory),
        compiler: Compiler::Process(compiler),
        // Nobody else waits; what it may use of the processor is the controller's limit.
        compile: Duration::from_secs(600),
        ..defaults
    };
    Sandbox::new(settings).map_err(|why| CommandError::of("preparing the sandbox failed", &why))
}

/// What drives a guest, and the way to a registry.
pub(super) fn runtime() -> Result<Runtime, CommandError> {
    crate::cli::runtime().map_err(|why| CommandError::of("starting failed", &why))
}

/// How large a component may be for the controller.
pub(in crate::cli) fn largest() -> usize {
    Settings::default().component
}
