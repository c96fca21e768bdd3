//! The guest in the sandbox, as what takes the steps of an operation: at a forge, or at what is written down of one.
//!
//! What it deliberately doesn't: add to what the sandbox says of a guest that failed.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use reeve_api::name::Secret;
use reeve_wasm::{Budget, Module};

use super::error::Cause;
use super::script::Script;
use super::words::{Answer, Operation};
use super::{Asks, Error, Grant, HostPattern, Limits, Outcome, Provider, Slot, Slots, Step, sign};
use crate::clock::Clock;
use crate::git::Tls;

impl Provider {
    /// Carries `operation` out with `module`, each step at the cost of `tenant` and within `budget`.
    ///
    /// # Errors
    /// As [`Provider::run`].
    pub async fn ask(
        &self,
        module: &Module,
        tenant: &str,
        budget: &Budget,
        operation: Operation,
    ) -> Result<Outcome, Error> {
        self.run(operation, |operation, state, answer| async move {
            let step = module.step(tenant, &operation, &state, answer.as_ref(), budget);
            step.await.map_err(stopped)
        })
        .await
    }
}

/// An operation that is played with answers that are written down.
pub struct Rehearsal<'r> {
    /// What the provider is called, for people.
    pub name: &'r str,
    /// What its component asks for.
    pub asks: Arc<Asks>,
    /// What it is granted.
    pub hosts: Vec<HostPattern>,
    /// The operation, with the names of the slots that are filled.
    pub operation: Operation,
    /// What the forge answers.
    pub script: &'r Script<'r>,
}

impl Rehearsal<'_> {
    /// Plays it as [`Provider::ask`] carries operations out, but takes each step twice: the same input must bring the same
    /// output. Its slots hold texts that open nothing, and keys where the guest has something signed.
    ///
    /// # Errors
    /// As [`Provider::run`].
    pub async fn play(
        &self,
        module: &Module,
        tenant: &str,
        budget: &Budget,
    ) -> Result<Outcome, Error> {
        self.with(|operation, state, answer| async move {
            let step = || module.step(tenant, &operation, &state, answer.as_ref(), budget);
            let (first, second) = (step().await, step().await);
            if first != second {
                return Err(Cause::Guest {
                    message: "the same input brought another answer the second time".to_owned(),
                    ours: false,
                });
            }
            first.map_err(stopped)
        })
        .await
    }

    pub(super) async fn with<S, F>(&self, mut step: S) -> Result<Outcome, Error>
    where
        S: FnMut(Operation, String, Option<Answer>) -> F,
        F: Future<Output = Result<Step, Cause>>,
    {
        let mut keys = BTreeSet::new();
        loop {
            let operation = self.operation.clone();
            let played = self
                .provider(&keys)
                .through(Some(self.script), operation, &mut step)
                .await;
            match &played {
                // Which slots sign is known when one does.
                Err(Error {
                    source: Cause::Key { slot, .. },
                    ..
                }) if keys.insert(slot.clone()) => {}
                _ => return played,
            }
        }
    }

    fn provider(&self, keys: &BTreeSet<String>) -> Provider {
        let slot = |name: &String| {
            let key = keys.contains(name).then(sign::fresh_key).flatten();
            let value = key.unwrap_or_else(|| Secret::new(format!("what is in the slot {name}")));
            let hosts = self.hosts.clone();
            (name.clone(), Slot { value, hosts })
        };
        let slots: Slots = self.operation.slots.iter().map(slot).collect();
        Provider {
            name: self.name.to_owned(),
            whose: String::new(),
            asks: Arc::clone(&self.asks),
            grant: Arc::new(Grant {
                hosts: self.hosts.clone(),
                http: true,
            }),
            slots,
            egress: Arc::default(),
            tls: Tls::default(),
            limits: Limits::default(),
            clock: Clock::system(),
            pauses: Arc::default(),
            answers: Arc::default(),
        }
    }
}

fn stopped(why: reeve_wasm::Error) -> Cause {
    match why {
        reeve_wasm::Error::Refused(refusal) => Cause::Refused(refusal.to_string()),
        why => Cause::Guest {
            ours: why.is_ours(),
            message: why.to_string(),
        },
    }
}
