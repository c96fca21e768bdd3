//! The flags of the admission webhook.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use reeve_api::name::NamespaceName;

use crate::admission::{Lifetimes, Settings};

#[derive(Args)]
pub(super) struct AdmissionArgs {
    /// Where API servers ask about objects before they are stored, over TLS; without it nobody is answered. What a run would
    /// refuse is refused at `kubectl apply`, in the same words. Nothing relies on it
    #[arg(long, value_name = "ADDR")]
    admission_addr: Option<SocketAddr>,
    /// Names and addresses under which API servers reach --admission-addr; without any: the Service `reeve-admission` of the
    /// controller's own namespace
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    admission_hosts: Vec<String>,
    /// ValidatingWebhookConfiguration whose CA bundle is kept up to date
    #[arg(long, value_name = "NAME", default_value = "reeve")]
    admission_configuration: String,
    /// Secret of the controller's own namespace in which its replicas keep the webhook's certificates
    #[arg(long, value_name = "NAME", default_value = "reeve-admission")]
    admission_secret: String,
    /// How long an authority of the webhook's certificates lasts; what it signs lasts a twelfth of that
    #[arg(long, value_name = "SECONDS", default_value_t = 365 * 24 * 3600, hide = true,
          value_parser = clap::value_parser!(u64).range(48..=20 * 365 * 24 * 3600))]
    admission_authority_lifetime: u64,
}

impl AdmissionArgs {
    /// Whether anybody is answered.
    pub(super) fn is_on(&self) -> bool {
        self.admission_addr.is_some()
    }

    /// Where to listen, and with what certificate; None: not at all.
    pub(super) fn settings(&self, home: &NamespaceName) -> Option<(SocketAddr, Settings)> {
        let service = || vec![format!("reeve-admission.{home}.svc")];
        let hosts = match self.admission_hosts.as_slice() {
            [] => service(),
            named => named.to_vec(),
        };
        let settings = Settings {
            hosts,
            home: home.clone(),
            secret: self.admission_secret.clone(),
            configuration: self.admission_configuration.clone(),
            lifetimes: Lifetimes::of(Duration::from_secs(self.admission_authority_lifetime)),
        };
        Some((self.admission_addr?, settings))
    }
}
