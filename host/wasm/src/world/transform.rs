//! World `transformer`: bindings, and the one typed call.
//!
//! The bindings are made from `wit/` and stay in here. The call hands over text and takes back
//! text; whether that text is JSON within the budget is looked at in `module`.

use std::fmt;

use wasmtime::Store;
use wasmtime::component::{HasSelf, Linker};

use crate::error::{Error, LastWords, ObjectId, Objection, Refusal};
use crate::store::State;
use crate::trap::chain;
use crate::words::tame;

mod bindings {
    //! Made by wasmtime from `wit/`.
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "transformer",
        imports: { default: trappable },
        exports: { default: async },
    });
}

pub(crate) use bindings::TransformerPre;
use bindings::reeve::plugin::{log, types};

/// The world's name, as people read it.
pub(crate) const WORLD: &str = "reeve:plugin/transformer@0.1.0";
/// How many objections are kept of a refusal.
const OBJECTIONS: usize = 20;

/// A linker that holds what the world imports, and nothing else.
pub(crate) fn linker(engine: &wasmtime::Engine) -> Result<Linker<State>, Error> {
    let mut linker = Linker::new(engine);
    bindings::Transformer::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)
        .map_err(|why| Error::Engine(format!("the world {WORLD} cannot be linked: {why:#}")))?;
    Ok(linker)
}

/// One call in a fresh instance.
pub(crate) async fn call(
    guest: &TransformerPre<State>,
    store: &mut Store<State>,
    manifests: &[String],
    config: &str,
) -> wasmtime::Result<Result<Vec<String>, Refusal>> {
    let instance = guest.instance_pre().instantiate_async(&mut *store).await?;
    let guest =
        bindings::Transformer::new(&mut *store, &instance).map_err(|why| Mistyped(chain(&why)))?;
    let answer = guest
        .reeve_plugin_transform()
        .call_transform(store, manifests, config)
        .await?;
    Ok(answer.map_err(refusal))
}

/// Its export has another type than the world's: known only now, because names are checked when a
/// component is linked, types when it is used.
#[derive(Debug)]
pub(crate) struct Mistyped(pub(crate) String);

impl fmt::Display for Mistyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mistyped {}

impl log::Host for State {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => "debug",
            log::Level::Info => "info",
            log::Level::Warn => "warn",
            log::Level::Error => "error",
        };
        Ok(self.log.line(level, &message)?)
    }
}

impl types::Host for State {}

/// A guest's refusal in words that can be shown.
fn refusal(said: types::Refusal) -> Refusal {
    let message = match tame(&said.message, 1024) {
        silent if silent.is_empty() => "it gave no reason".to_owned(),
        spoken => spoken,
    };
    Refusal {
        message,
        objects: said
            .objects
            .into_iter()
            .take(OBJECTIONS)
            .map(objection)
            .collect(),
        log: LastWords::default(),
    }
}

fn objection(said: types::Objection) -> Objection {
    Objection {
        object: ObjectId {
            api_version: tame(&said.object.api_version, 128),
            kind: tame(&said.object.kind, 128),
            namespace: tame(&said.object.namespace, 128),
            name: tame(&said.object.name, 256),
        },
        field: tame(&said.field, 256),
        message: tame(&said.message, 512),
    }
}
