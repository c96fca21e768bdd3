//! How a command reaches the cluster: with a kubeconfig's own rights, or in a pod with those of its account.

use std::path::PathBuf;

use clap::Args;

use super::ui::CommandError;
use crate::cluster::{Cluster, Config};
use crate::observe::Requests;

/// Which cluster.
#[derive(Args)]
pub(super) struct ConnectionArgs {
    /// Kubeconfig file; without one: $KUBECONFIG, ~/.kube/config, or in a pod its own account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig to use instead of its current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ConnectionArgs {
    /// Connects, counting the requests there. The process's TLS provider must be installed before.
    pub(super) async fn connect(&self, requests: Requests) -> Result<Cluster, CommandError> {
        let config = Config {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            requests,
            ..Config::default()
        };
        Cluster::connect(config).await.map_err(|why| {
            CommandError::of("connecting to the cluster failed", &why).hint(
                "check --kubeconfig and --context; `kubectl --kubeconfig … version` should answer",
            )
        })
    }
}
