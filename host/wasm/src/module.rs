//! A compiled component, and calls of it.
//!
//! A call takes a place, makes a store, calls, and looks at the answer: JSON objects within the
//! budget, no more is promised. The next stage parses them again (`core::bundle`).

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::SemaphorePermit;

use crate::budget::Budget;
use crate::error::{Error, LastWords};
use crate::sandbox::Inner;
use crate::store::{self, State};
use crate::trap::explain;
use crate::words::{bytes, tame};
use crate::world::transform::{self, TransformerPre};

/// A component that can be called. Cheap to clone; holds no state of any call.
#[derive(Clone)]
pub struct Module {
    sandbox: Arc<Inner>,
    digest: String,
    guest: TransformerPre<State>,
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

impl Module {
    pub(crate) fn new(sandbox: Arc<Inner>, digest: String, guest: TransformerPre<State>) -> Self {
        Self {
            sandbox,
            digest,
            guest,
        }
    }

    /// `sha256:` and the hex digest of the component's bytes.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Calls the guest once, in a fresh instance, with `manifests` (JSON text each) and `config`
    /// (JSON text).
    ///
    /// May be cancelled at any point: the instance goes away and nothing is left behind. While the
    /// guest computes, it gives way to other tasks every few milliseconds.
    pub async fn transform(
        &self,
        manifests: Vec<String>,
        config: &str,
        budget: &Budget,
    ) -> Result<Transformed, Error> {
        let settings = &self.sandbox.compiler.settings;
        let budget = Budget {
            memory: budget.memory.min(settings.memory),
            ..budget.clone()
        };
        let _place = self.place().await?;
        let _running = self.sandbox.ticker.run();
        let mut store = store::fresh(&self.sandbox.compiler.engine, &budget);
        let answer = transform::call(&self.guest, &mut store, &manifests, config).await;
        let log = LastWords(store.into_data().log.into_lines());
        match answer {
            Ok(Ok(manifests)) => match look(&manifests, &budget) {
                Ok(()) => Ok(Transformed {
                    manifests,
                    log: log.0,
                }),
                Err(why) => Err(Error::Output { why, log }),
            },
            Ok(Err(mut refusal)) => {
                refusal.log = log;
                Err(Error::Refused(Box::new(refusal)))
            }
            Err(why) => Err(explain(&why, &budget, log)),
        }
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, Error> {
        let patience = self.sandbox.compiler.settings.patience;
        match tokio::time::timeout(patience, self.sandbox.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(Error::Engine("it is being shut down".to_owned())),
            Err(_) => Err(Error::Busy(patience)),
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
