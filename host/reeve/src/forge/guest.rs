//! The guest in the sandbox, as what takes the steps of an operation.
//!
//! What it deliberately doesn't: add to what the sandbox says of a guest that failed.

use reeve_wasm::{Budget, Module};

use super::error::Cause;
use super::words::Operation;
use super::{Error, Outcome, Provider};

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
            step.await.map_err(|why| match why {
                reeve_wasm::Error::Refused(refusal) => Cause::Refused(refusal.to_string()),
                why => Cause::Guest {
                    ours: why.is_ours(),
                    message: why.to_string(),
                },
            })
        })
        .await
    }
}
