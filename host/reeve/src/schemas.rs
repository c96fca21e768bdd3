//! Holding configs against the schemas of strangers' components, away from the threads that everybody's events need.
//!
//! How much work it can be, `core::plugin` bounds before it begins. A thread that is given up keeps its place until it ends.

use std::time::Duration;

use reeve_core::plugin::{Schema, SchemaError};
use serde_json::Value;

use crate::places::Places;

/// How many are held against each other at a time.
const PLACES: usize = 2;
/// How long one may take.
const LONGEST: Duration = Duration::from_secs(5);

/// The places for it.
pub(crate) struct Schemas {
    places: Places,
    longest: Duration,
}

/// Why a config is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckError {
    /// The schema, or the config.
    #[error(transparent)]
    Refused(#[from] SchemaError),
    /// Nobody waits for it.
    #[error("holding it against the component's schema took longer than {0:?}")]
    Late(Duration),
    /// A fault of reeve's.
    #[error("holding it against the component's schema crashed; the log has where")]
    Crashed,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        Self {
            places: Places::new(PLACES),
            longest: LONGEST,
        }
    }

    /// Reads a schema of a component of the tenant `whose` and holds a config against it.
    pub(crate) async fn check(
        &self,
        whose: &str,
        schema: Value,
        config: Value,
    ) -> Result<(), CheckError> {
        let check = move || Schema::parse(&schema).and_then(|schema| schema.check(&config));
        Ok(self.away(whose, check).await??)
    }

    async fn away<T: Send + 'static>(
        &self,
        whose: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CheckError> {
        let place = self.places.take(whose).await.ok_or(CheckError::Crashed)?;
        let working = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        tokio::time::timeout(self.longest, working)
            .await
            .map_err(|_| CheckError::Late(self.longest))?
            .map_err(|_| CheckError::Crashed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_config_is_held_against_its_schema() {
        let schemas = Schemas::new();
        let schema = json!({"required": ["team"]});
        let fits = schemas.check("acme", schema.clone(), json!({"team": "web"}));
        assert_eq!(fits.await, Ok(()));
        let refused = schemas.check("acme", schema, json!({})).await.unwrap_err();
        assert!(refused.to_string().contains("\"team\""), "{refused}");
    }

    #[tokio::test]
    async fn what_takes_long_is_given_up_and_holds_up_its_own_tenant_only() {
        let schemas = Schemas {
            longest: Duration::from_millis(10),
            ..Schemas::new()
        };
        // The one thread of this test goes on meanwhile: what works is elsewhere.
        let (end, ended) = mpsc::channel::<()>();
        let late = schemas.away("acme", move || ended.recv()).await;
        assert_eq!(late.map(|_| ()), Err(CheckError::Late(schemas.longest)));
        let patient = Schemas {
            longest: Duration::from_secs(60),
            places: schemas.places,
        };
        let mut next = Box::pin(patient.away("acme", || 2));
        assert!(futures::poll!(&mut next).is_pending());
        assert_eq!(patient.away("bravo", || 1).await, Ok(1));
        assert!(futures::poll!(&mut next).is_pending());
        end.send(()).unwrap();
        assert_eq!(next.await, Ok(2));
    }
}
