//! How much processor time a call takes, told to the ledger also when the call goes away half-way.
//!
//! Time is that of the thread while it works for the call: not what the call waits, nor what the thread
//! waits for the processor.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::error::Error;
use crate::ledger::{Holdings, Times};

/// What the tenants have used, shared.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    times: Arc<Mutex<Times>>,
    holdings: Arc<Mutex<Holdings>>,
    a_minute: Duration,
}

impl Accounts {
    /// Each tenant may use `a_minute` of processor time a minute and load `each` bytes.
    pub(crate) fn new(a_minute: Duration, each: usize) -> Self {
        Self {
            times: Arc::new(Mutex::new(Times::new(a_minute))),
            holdings: Arc::new(Mutex::new(Holdings::new(each))),
            a_minute,
        }
    }

    /// Whether `tenant` may run something now.
    pub(crate) fn admit(&self, tenant: &str) -> Result<(), Error> {
        let admitted = lock(&self.times).admit(tenant, Instant::now());
        admitted.map_err(|again| Error::OverBudget {
            limit: self.a_minute,
            again,
        })
    }

    /// Counts what a call of `tenant` takes from now on.
    pub(crate) fn meter(&self, tenant: &str) -> Meter {
        Meter {
            times: self.times.clone(),
            tenant: tenant.to_owned(),
            spent: Duration::ZERO,
        }
    }

    /// `tenant` holds a component until the answer is dropped.
    pub(crate) fn hold(&self, tenant: &str, digest: &str, size: usize) -> Result<Held, Error> {
        let held = lock(&self.holdings).hold(tenant, digest, size);
        held.map_err(|limit| Error::Full { limit })?;
        Ok(Held {
            holdings: self.holdings.clone(),
            tenant: tenant.to_owned(),
            digest: digest.to_owned(),
        })
    }
}

/// A component that a tenant holds.
#[derive(Debug)]
pub(crate) struct Held {
    holdings: Arc<Mutex<Holdings>>,
    tenant: String,
    digest: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.holdings).release(&self.tenant, &self.digest);
    }
}

/// Counts for one call, and charges when it is dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    times: Arc<Mutex<Times>>,
    tenant: String,
    spent: Duration,
}

impl Meter {
    /// What `work` brings; each time it runs is counted.
    pub(crate) async fn count<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let began = processor();
            let state = work.as_mut().poll(context);
            self.spent += processor().saturating_sub(began);
            state
        })
        .await
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        lock(&self.times).charge(&self.tenant, self.spent, Instant::now());
    }
}

/// What this thread has used. It is always there on the systems that we run on; a clock that stands
/// still counts nothing.
fn processor() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn working_counts_and_waiting_does_not() {
        let accounts = Accounts::new(Duration::from_secs(60), 0);
        let mut meter = accounts.meter("a");
        let waits = std::future::pending::<()>();
        let waited = tokio::time::timeout(Duration::from_millis(200), meter.count(waits)).await;
        assert!(waited.is_err());
        assert!(meter.spent < Duration::from_millis(50), "{:?}", meter.spent);
        let work = async {
            for _ in 0..10 {
                let began = processor();
                while processor().saturating_sub(began) < Duration::from_millis(10) {}
                tokio::task::yield_now().await;
            }
        };
        meter.count(work).await;
        assert!(
            meter.spent >= Duration::from_millis(50),
            "{:?}",
            meter.spent
        );
    }
}
