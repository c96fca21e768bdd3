//! World `transformer`: bindings, and the one typed call.
//!
//! The bindings are made from `wit/` and stay in here. The call hands over text and takes back
//! text; whether that text is JSON within the budget is looked at in `module`.

use wasmtime::Store;
use wasmtime::component::{HasSelf, Linker};

use crate::error::{Error, LastWords, ObjectId, Objection, Refusal};
use crate::store::State;
use crate::words::tame;

pub(crate) mod bindings {
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

/// How many objections are kept of a refusal.
const OBJECTIONS: usize = 20;

/// A linker that holds what the worlds import, and nothing else.
pub(crate) fn linker(engine: &wasmtime::Engine) -> Result<Linker<State>, Error> {
    let mut linker = Linker::new(engine);
    bindings::Transformer::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)
        .map_err(|why| Error::Engine(format!("its worlds cannot be linked: {why:#}")))?;
    Ok(linker)
}

/// One call in a fresh instance.
pub(crate) async fn call(
    guest: &TransformerPre<State>,
    store: &mut Store<State>,
    manifests: &[String],
    config: &str,
) -> wasmtime::Result<Result<Vec<String>, Refusal>> {
    let guest = guest.instantiate_async(&mut *store).await?;
    let answer = guest
        .reeve_plugin_transform()
        .call_transform(store, manifests, config)
        .await?;
    Ok(answer.map_err(refusal))
}

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
pub(super) fn refusal(said: types::Refusal) -> Refusal {
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
