//! Keeps the certificate that is served: in a Secret that all replicas share, trusted by the API server before it is
//! served, and followed by another in time.
//!
//! Whoever comes first writes a step down, the others read it: a Secret is made once, and replaced only as it was read. What
//! is to follow when is [`chain`](super::chain)'s; nothing is remembered here that a restart would lose.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use reeve_api::name::NamespaceName;
use reeve_core::failure::chain as told;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::chain::{self, Chain, Wanted};
use crate::clock::Clock;
use crate::cluster::{CallError, Cluster};

/// How soon to look again when the API server could not be asked, and after a step was written down.
const AGAIN: Duration = Duration::from_secs(1);
const AT_ONCE: Duration = Duration::from_millis(50);

/// Who keeps the certificate, and where.
pub(super) struct Keeper {
    pub(super) cluster: Cluster,
    pub(super) clock: Clock,
    /// The namespace and the name of the Secret.
    pub(super) home: NamespaceName,
    pub(super) secret: String,
    /// The ValidatingWebhookConfiguration that says whom the API server trusts.
    pub(super) configuration: String,
    pub(super) wanted: Wanted,
    pub(super) served: Arc<Served>,
}

/// What connections are answered with, as it is now.
#[derive(Default)]
pub(super) struct Served(ArcSwapOption<Held>);

struct Held {
    key: Arc<CertifiedKey>,
    until: Timestamp,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Chain(#[from] chain::Error),
    #[error("the Secret {0} cannot be had")]
    Secret(String, #[source] CallError),
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let held = self.0.load();
        held.as_ref().map(|held| Arc::clone(&held.key))
    }
}

impl Served {
    /// Whether what is served will not be believed any more.
    fn is_over(&self, now: Timestamp) -> bool {
        let held = self.0.load();
        held.as_ref().is_none_or(|held| held.until <= now)
    }
}

impl Keeper {
    /// Keeps it for as long as it is polled.
    pub(super) async fn keep(self) {
        loop {
            let wait = match self.look().await {
                Ok(wait) => wait,
                Err(why) => {
                    let why = told(&why);
                    tracing::warn!(
                        error = why,
                        "looking after the webhook's certificate failed"
                    );
                    AGAIN
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// One look; returns how soon to look again.
    async fn look(&self) -> Result<Duration, Error> {
        let failed = |why| Error::Secret(format!("{}/{}", self.home, self.secret), why);
        let kept = self.cluster.kept(self.home.as_str(), &self.secret).await;
        let kept = kept.map_err(failed)?;
        let now = self.clock.now();
        let chain = kept.as_ref().and_then(|kept| self.read(&kept.data()));
        let next = match &chain {
            Some(chain) => chain.next(&self.wanted, now)?,
            None => Some(Chain::first(&self.wanted, now)?),
        };
        if let Some(next) = next {
            let secret = self.secret.as_str();
            let data = next.written();
            let written = self.cluster.keep(self.home.as_str(), secret, kept, &data);
            if written.await.map_err(failed)? {
                tracing::info!(until = %next.until(), "the webhook's certificate was renewed");
            }
            // Whoever was quicker: what is there now is read, and only that is served.
            return Ok(AT_ONCE);
        }
        if let Some(chain) = chain {
            self.serve(&chain, now).await?;
        }
        Ok(self.wanted.lifetimes.look())
    }

    /// What cannot be used is made anew.
    fn read(&self, data: &crate::cluster::SecretData) -> Option<Chain> {
        match Chain::read(|part| data.get(part)) {
            Ok(chain) => Some(chain),
            Err(why) => {
                let (why, secret) = (told(&why), &self.secret);
                tracing::warn!(
                    error = why,
                    secret,
                    "the webhook's certificate is made anew"
                );
                None
            }
        }
    }

    /// First whom to trust, then what to serve.
    async fn serve(&self, chain: &Chain, now: Timestamp) -> Result<(), Error> {
        let configuration = &self.configuration;
        match self.cluster.trust(configuration, &chain.trusted()).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!(
                configuration,
                "there is no ValidatingWebhookConfiguration of that name: nobody asks the webhook"
            ),
            Err(why) => {
                let why = told(&why);
                tracing::warn!(error = why, configuration, "patching the CA bundle failed");
                if !self.served.is_over(now) {
                    // It is believed for longer than what the API server may never have heard of.
                    return Ok(());
                }
            }
        }
        let held = Held {
            key: Arc::new(chain.served()?),
            until: chain.until(),
        };
        self.served.0.store(Some(Arc::new(held)));
        Ok(())
    }
}
