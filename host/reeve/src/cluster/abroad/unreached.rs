//! Why another cluster could not be reached: whose turn it is, and what to do.
//!
//! What is wrong with a Secret or with another cluster may be mended without a change of the object, so that it is always
//! tried again. No message holds anything of a kubeconfig but the address of its API server.

use reeve_api::reason::Reason;
use reeve_core::failure::{Explain, Explained, Turn};
use reeve_core::kubeconfig;

use crate::cluster::secret::SecretError;
use crate::git::egress;

/// Another cluster that could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// The Secret could not be had.
    #[error("spec.kubeConfig: {0}")]
    Secret(Box<SecretError>),
    /// It holds no kubeconfig.
    #[error("spec.kubeConfig: secret '{secret}' has no key {keys}")]
    NoKey {
        /// `namespace/name`.
        secret: String,
        /// The keys that were looked for.
        keys: String,
    },
    /// It holds one that is not used.
    #[error("spec.kubeConfig: the kubeconfig in secret '{secret}' is refused: {why}")]
    Kubeconfig {
        /// `namespace/name`.
        secret: String,
        /// Which field, and why.
        why: kubeconfig::Error,
    },
    /// The certificates in it cannot be used.
    #[error("spec.kubeConfig: the certificates for the cluster at {server} cannot be used: {why}")]
    Certificates {
        /// Its address.
        server: String,
        /// Which of them.
        why: &'static str,
    },
    /// The platform does not let the tenant go there.
    #[error("{0}")]
    Refused(Box<Explained>),
    /// It lies where nobody is to connect to.
    #[error("spec.kubeConfig: the cluster at {server} may not be connected to")]
    Egress {
        /// Its address.
        server: String,
        /// Why not.
        source: egress::Denied,
    },
    /// It does not take the credentials.
    #[error("spec.kubeConfig: the cluster at {server} refuses the kubeconfig's credentials")]
    Credentials {
        /// Its address.
        server: String,
    },
    /// It did not answer as an API server does.
    #[error("spec.kubeConfig: the cluster at {server} does not answer: {why}")]
    Unanswered {
        /// Its address.
        server: String,
        /// What went wrong; the same words for all that find it so.
        why: String,
    },
    /// So many are in use already.
    #[error("spec.kubeConfig: {whose} in use at a time already")]
    Crowded {
        /// Whose, and how many.
        whose: String,
    },
}

impl Unreached {
    /// Whether nobody is meant to go there any more: there is no kubeconfig, or the platform does not allow it.
    pub fn is_for_good(&self) -> bool {
        match self {
            Self::Secret(why) => matches!(**why, SecretError::Missing { .. }),
            Self::Refused(_) => true,
            _ => false,
        }
    }
}

impl Explain for Unreached {
    fn reason(&self) -> Reason {
        match self {
            Self::Secret(why) => why.reason(),
            Self::NoKey { .. } | Self::Kubeconfig { .. } | Self::Certificates { .. } => {
                Reason::InvalidProviderConfiguration
            }
            Self::Refused(why) => why.reason,
            Self::Egress { .. } => Reason::AccessDenied,
            Self::Credentials { .. } => Reason::AuthenticationFailed,
            Self::Unanswered { .. } => Reason::ReconciliationFailed,
            Self::Crowded { .. } => Reason::QuotaExceeded,
        }
    }

    fn turn(&self) -> Turn {
        match self {
            Self::Secret(why) => why.turn(),
            Self::Refused(why) => why.turn,
            Self::NoKey { .. }
            | Self::Kubeconfig { .. }
            | Self::Certificates { .. }
            | Self::Egress { .. }
            | Self::Credentials { .. }
            | Self::Unanswered { .. }
            | Self::Crowded { .. } => Turn::Retry,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Secret(why) => return why.hint(),
            Self::Refused(why) => return why.hint.clone(),
            Self::NoKey { .. } => {
                "the tenant's: put the kubeconfig there, or name its key in spec.kubeConfig.secretRef.key".to_owned()
            }
            Self::Kubeconfig { .. } => {
                "the tenant's: write a kubeconfig with server, certificate-authority-data and a token or client-certificate-data, all of them inline".to_owned()
            }
            Self::Certificates { .. } => {
                "the tenant's: each is base64 of PEM, and a key belongs to its certificate".to_owned()
            }
            Self::Egress { .. } => {
                "the platform's to allow: name the host or its network in the controller's --allow-source-hosts".to_owned()
            }
            Self::Credentials { .. } => {
                "the tenant's: put a token or a certificate into the Secret that is still good".to_owned()
            }
            Self::Unanswered { server, .. } => format!(
                "see whether `kubectl --server {server} version` answers from where the controller runs; it is tried again"
            ),
            Self::Crowded { .. } => "it is tried again when one of them is idle".to_owned(),
        })
    }
}
