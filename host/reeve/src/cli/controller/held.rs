//! By which Lease the controller works, if by any: alone, or with others. What a Lease is, is `cluster`'s.

use std::sync::Arc;

use reeve_api::name::NamespaceName;
use tokio_util::sync::CancellationToken;

use super::ControllerArgs;
use crate::cli::ui::CommandError;
use crate::clock::Clock;
use crate::cluster::{Cluster, Leadership, LeaseConfig, Line, Membership};
use crate::context::Context;
use crate::controller;

/// By what this process works.
pub(super) enum Held {
    /// It needs no lease.
    Nothing,
    /// It alone does.
    Leadership(Leadership),
    /// It has a part of the work.
    Membership(Membership),
}

impl Held {
    /// Never cancelled without a lease to lose.
    pub(super) fn lost(&self) -> CancellationToken {
        match self {
            Self::Nothing => CancellationToken::new(),
            Self::Leadership(held) => held.lost().clone(),
            Self::Membership(held) => held.lost().clone(),
        }
    }

    pub(super) fn line(&self) -> Option<Line> {
        match self {
            Self::Nothing | Self::Leadership(_) => None,
            Self::Membership(held) => Some(held.line()),
        }
    }

    pub(super) async fn release(self) {
        match self {
            Self::Nothing => {}
            Self::Leadership(held) => held.release().await,
            Self::Membership(held) => held.release().await,
        }
    }
}

/// Waits for the lease, if there is to be one, and stands by meanwhile.
pub(super) async fn acquire(
    ctx: &Arc<Context>,
    inboxes: &controller::Inboxes,
    lease: Option<&LeaseConfig>,
    answers: bool,
) -> Held {
    let Some(lease) = lease else {
        return Held::Nothing;
    };
    let over = CancellationToken::new();
    let standing = controller::stand_by(Arc::clone(ctx), inboxes.clone(), answers, over.clone());
    let standing = tokio::spawn(standing);
    let over = over.drop_guard();
    let held = match ctx.shards.are_shared() {
        true => Held::Membership(ctx.cluster.join(lease.clone()).await),
        false => {
            let leadership = ctx.cluster.lead(lease.clone()).await;
            // Who shares the work lets go of it when somebody leads alone.
            ctx.cluster.alone(lease.clone(), leadership.lost()).await;
            Held::Leadership(leadership)
        }
    };
    drop(over);
    if let Err(why) = standing.await {
        tracing::error!(error = %why, "standing by ended badly");
    }
    held
}

pub(super) fn lease(args: &ControllerArgs, cluster: &Cluster) -> LeaseConfig {
    lease_named("reeve-leader", home(args, cluster))
}

/// A lease of that name, for this process.
pub(in crate::cli) fn lease_named(name: &str, namespace: String) -> LeaseConfig {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "reeve".to_owned());
    let identity = format!("{host}_{:016x}", rand::random::<u64>());
    LeaseConfig::new(namespace, name, identity, || Clock::system().now())
}

/// The controller's own namespace.
fn home(args: &ControllerArgs, cluster: &Cluster) -> String {
    let named = args.lease_namespace.as_ref().map(ToString::to_string);
    named.unwrap_or_else(|| cluster.default_namespace().to_owned())
}

/// The same, read as the name that it has to be.
pub(super) fn own_namespace(
    args: &ControllerArgs,
    cluster: &Cluster,
) -> Result<NamespaceName, CommandError> {
    home(args, cluster).parse().map_err(|why| {
        CommandError::of("the controller's own namespace cannot be known", &why)
            .hint("name it with --lease-namespace")
    })
}
