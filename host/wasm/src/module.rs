//! A compiled component, and calls of it.
//!
//! A call takes a place, makes a store, calls, and looks at the answer: JSON objects within the
//! budget, no more is promised. The next stage parses them again (`core::bundle`).

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;
use wasmtime::Store;

use crate::budget::Budget;
use crate::engine::Running;
use crate::error::{Error, LastWords, Refusal};
use crate::facts::World;
use crate::link::Guest;
use crate::meter::{Held, Meter};
use crate::places::Place;
use crate::sandbox::Inner;
use crate::store::{self, State};
use crate::trap::explain;
use crate::words::{bytes, tame};
use crate::world::provide;
use crate::world::provide::types::{Answer, Next, Operation};
use crate::world::transform;

/// A component that can be called. Cheap to clone; holds no state of any call.
#[derive(Clone)]
pub struct Module {
    sandbox: Arc<Inner>,
    digest: String,
    guest: Guest,
    _held: Arc<Held>,
}

/// What a transform brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transformed {
    /// The new bundle: one JSON object each, within the budget; not yet looked at as Kubernetes
    /// objects.
    pub manifests: Vec<String>,
    /// The last lines it logged, `level: message`, oldest first.
    pub log: Vec<String>,
}

/// What a provider wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// A request within the contract's bounds, or the end. Nothing else about it was looked at.
    pub next: Next,
    /// The last lines it logged, `level: message`, oldest first.
    pub log: Vec<String>,
}

impl Module {
    pub(crate) fn new(sandbox: Arc<Inner>, digest: String, guest: Guest, held: Held) -> Self {
        Self {
            sandbox,
            digest,
            guest,
            _held: Arc::new(held),
        }
    }

    /// `sha256:` and the hex digest of the component's bytes.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The world that it was loaded for.
    pub fn world(&self) -> World {
        match self.guest {
            Guest::Transformer(_) => World::Transformer,
            Guest::Provider(_) => World::Provider,
        }
    }

    /// Calls the guest once for `tenant`, in a fresh instance, with `manifests` (JSON text each) and
    /// `config` (JSON text).
    ///
    /// May be cancelled at any point: the instance goes away, within milliseconds if it is running, and nothing
    /// is left behind. What is not done within a tick goes on on threads that give way to those of the caller.
    pub async fn transform(
        &self,
        tenant: &str,
        manifests: Vec<String>,
        config: &str,
        budget: &Budget,
    ) -> Result<Transformed, Error> {
        let Guest::Transformer(guest) = &self.guest else {
            return Err(self.not_of(World::Transformer));
        };
        let mut call = self.begin(tenant, budget).await?;
        let (guest, config) = (guest.clone(), config.to_owned());
        let work = async move {
            let work = transform::call(&guest, &mut call.store, &manifests, &config);
            let answer = call.meter.count(work).await;
            call.end(answer, |manifests, budget| look(manifests, budget))
        };
        let (manifests, log) = self.sandbox.lane.run(work).await??;
        Ok(Transformed { manifests, log })
    }

    /// Asks a provider once for `tenant`, in a fresh instance, what comes next in `operation`, given
    /// what it noted (`state`, empty at first) and what was answered.
    ///
    /// May be cancelled as [`Self::transform`] may.
    pub async fn step(
        &self,
        tenant: &str,
        operation: &Operation,
        state: &str,
        answer: Option<&Answer>,
        budget: &Budget,
    ) -> Result<Step, Error> {
        let Guest::Provider(guest) = &self.guest else {
            return Err(self.not_of(World::Provider));
        };
        let mut call = self.begin(tenant, budget).await?;
        let (guest, operation) = (guest.clone(), operation.clone());
        let (state, answer) = (state.to_owned(), answer.cloned());
        let work = async move {
            let work = provide::call(&guest, &mut call.store, &operation, &state, answer.as_ref());
            let next = call.meter.count(work).await;
            call.end(next, |next, _| provide::look(next))
        };
        let (next, log) = self.sandbox.lane.run(work).await??;
        Ok(Step { next, log })
    }

    fn not_of(&self, world: World) -> Error {
        Error::World {
            world: world.full_name(),
            why: format!("it was loaded as a {}", self.world()),
        }
    }

    async fn begin(&self, tenant: &str, budget: &Budget) -> Result<Call, Error> {
        let settings = &self.sandbox.loader.settings;
        let budget = Budget {
            memory: budget.memory.min(settings.memory),
            ..budget.clone()
        };
        let accounts = &self.sandbox.accounts;
        // Before it waits, because it need not; and after, because those before it have run.
        accounts.admit(tenant)?;
        let place = self.sandbox.places.take(tenant, settings.patience).await?;
        accounts.admit(tenant)?;
        let running = self.sandbox.ticker.run();
        Ok(Call {
            store: store::fresh(&self.sandbox.loader.engine, &budget),
            meter: accounts.meter(tenant),
            budget,
            _running: running,
            _place: place,
        })
    }
}

/// One call: what it holds while it runs.
struct Call {
    store: Store<State>,
    meter: Meter,
    budget: Budget,
    _running: Running,
    // Last: what it holds in the pool is given back first.
    _place: Place,
}

impl Call {
    /// What the guest said, once it was looked at, and what it logged.
    fn end<T>(
        self,
        answer: wasmtime::Result<Result<T, Refusal>>,
        look: impl FnOnce(&T, &Budget) -> Result<(), String>,
    ) -> Result<(T, Vec<String>), Error> {
        let log = LastWords(self.store.into_data().log.into_lines());
        match answer {
            Ok(Ok(said)) => match look(&said, &self.budget) {
                Ok(()) => Ok((said, log.0)),
                Err(why) => Err(Error::Output { why, log }),
            },
            Ok(Err(mut refusal)) => {
                refusal.log = log;
                Err(Error::Refused(Box::new(refusal)))
            }
            Err(why) => Err(explain(&why, &self.budget, log)),
        }
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// What is wrong with an answer, if anything: its count, its size, or that it is not JSON objects.
fn look(manifests: &[String], budget: &Budget) -> Result<(), String> {
    if manifests.len() > budget.objects {
        return Err(format!(
            "it has {} manifests, more than {}",
            manifests.len(),
            budget.objects
        ));
    }
    if manifests.iter().map(String::len).sum::<usize>() > budget.output {
        return Err(format!("it is larger than {}", bytes(budget.output)));
    }
    for (i, manifest) in manifests.iter().enumerate() {
        let place = format!("manifest {} of {}", i + 1, manifests.len());
        let parsed: &RawValue = serde_json::from_str(manifest)
            .map_err(|why| format!("{place} is not JSON: {}", tame(&why.to_string(), 256)))?;
        if !parsed.get().starts_with('{') {
            return Err(format!("{place} is not a JSON object"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_json_objects_within_the_budget_or_it_is_none() {
        let budget = Budget {
            output: 40,
            objects: 2,
            ..Budget::default()
        };
        for (answer, want) in [
            (vec![], None),
            (vec!["{}", " {\"a\": [1]} "], None),
            (
                vec!["{}", "{}", "{}"],
                Some("it has 3 manifests, more than 2"),
            ),
            (
                vec!["{\"a\":\"0123456789012345678901234567890123456789\"}"],
                Some("it is larger than 40 bytes"),
            ),
            (
                vec!["{}", "[]"],
                Some("manifest 2 of 2 is not a JSON object"),
            ),
            (
                vec![""],
                Some("manifest 1 of 1 is not JSON: EOF while parsing a value at line 1 column 0"),
            ),
            (
                vec!["{}{}"],
                Some("manifest 1 of 1 is not JSON: trailing characters at line 1 column 3"),
            ),
        ] {
            let answer: Vec<String> = answer.into_iter().map(str::to_owned).collect();
            assert_eq!(look(&answer, &budget).err().as_deref(), want, "{answer:?}");
        }
    }
}
