//! `reeve landlord`: run beside the controller until told to stop, under an account of its own.
//!
//! Puts the [`Landlord`] together from the flags and has it work whenever the lease is its own. What is made of a Tenant is
//! `core::landlord`'s to say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use reeve_api::name::{NamespaceName, ObjectName, ServiceAccountName};
use reeve_core::labelled::Labelled;
use reeve_core::landlord::Terms;
use reeve_core::tenancy::Grounds;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connection::ConnectionArgs;
use super::controller::{lease_named, stop_on_signals};
use super::grounds::NamespaceArgs;
use super::ui::CommandError;
use crate::clock::Clock;
use crate::cluster::Leadership;
use crate::http::probe::{self, Readiness};
use crate::http::{self, Limits, metrics};
use crate::landlord::{self, Landlord};
use crate::observe::Metrics;
use crate::observe::trace::{self, Encoding, Level};

/// The lease that one of them holds.
const LEASE: &str = "reeve-landlord";

/// Run the landlord, which makes what Tenants say
///
/// Watches Tenants and namespaces, and makes and keeps of each Tenant its namespaces, their account and role, the right of the
/// controller to act as that account, and what else the Tenant says; and deletes it with the Tenant where that says so. It fetches and applies nothing, and needs an account of
/// its own: the controller's may do none of this. Stops on SIGTERM and Ctrl-C.
#[derive(Args)]
pub(super) struct LandlordArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    namespaces: NamespaceArgs,
    /// Account of the controller, in the namespace of the Lease: it is let act as the accounts of tenants
    #[arg(long, value_name = "NAME", default_value = "reeve")]
    delivery_account: ServiceAccountName,
    /// ClusterRoles that a Tenant may name
    #[arg(
        long,
        value_name = "ROLE,…",
        value_delimiter = ',',
        default_value = "admin,edit,view"
    )]
    roles: Vec<ObjectName>,
    /// ClusterRole with the right to run commands in pods, which readers of a Tenant are given that it says so of
    #[arg(long, value_name = "ROLE", default_value = "reeve-exec")]
    exec_role: ObjectName,
    /// The label that the controller is started with, where another controller has what is without it: what is made to be delivered
    /// bears it
    #[arg(long, value_name = "KEY=VALUE")]
    watch_label_selector: Option<Labelled>,
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:9440")]
    health_addr: SocketAddr,
    /// Whether to wait for a Lease before doing anything, so that replicas don't work against each other
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    leader_elect: bool,
    /// Namespace of the Lease and of the controller's account; in a pod, its own
    #[arg(long, value_name = "NS")]
    lease_namespace: Option<NamespaceName>,
    /// ValidatingAdmissionPolicy that keeps this account to the namespaces of tenants: nothing is made before the API server goes by
    /// it
    #[arg(long, value_name = "NAME", default_value = "reeve-landlord")]
    fence: ObjectName,
    /// Least level of log lines
    #[arg(long, value_enum, default_value_t = Level::Info)]
    log_level: Level,
    /// Form of log lines
    #[arg(long, value_enum, default_value_t = Encoding::Json)]
    log_encoding: Encoding,
}

pub(super) fn run(args: &LandlordArgs) -> Result<(), CommandError> {
    super::provide_tls();
    trace::init(args.log_level, args.log_encoding)
        .map_err(|why| CommandError::of("starting the log failed", &why))?;
    let runtime =
        super::runtime().map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    let ended = runtime.block_on(lead(args));
    runtime.shutdown_timeout(Duration::from_secs(1));
    if let Err(why) = &ended {
        tracing::error!(error = %why, "the landlord stops");
    }
    ended
}

async fn lead(args: &LandlordArgs) -> Result<(), CommandError> {
    let stop = stop_on_signals()?;
    let readiness = Readiness::new();
    let listener = TcpListener::bind(args.health_addr).await.map_err(|why| {
        let doing = format!("listening on {} (--health-addr) failed", args.health_addr);
        CommandError::of(&doing, &why).hint("choose another address with --health-addr")
    })?;
    let counted = Arc::new(Metrics::new());
    let router = probe::router(Arc::clone(&readiness));
    let router = router.merge(metrics::router(Arc::clone(&counted)));
    let serving = http::serve(listener, router, Limits::INSIDE, stop.clone());
    let serving = tokio::spawn(serving);
    let landlord = landlord(args, counted).await?;
    if landlord::fenced(&landlord, &args.fence, &stop).await {
        readiness.set(true);
    }
    while !stop.is_cancelled() {
        term(args, &landlord, &stop).await;
    }
    tracing::info!("the landlord has stopped");
    // It was told to stop by the same token.
    let _ended = serving.await;
    Ok(())
}

/// Works for as long as the lease is held, or until it is told to stop.
async fn term(args: &LandlordArgs, landlord: &Landlord, stop: &CancellationToken) {
    let held = match args.leader_elect {
        false => None,
        true => {
            let lease = lease_named(LEASE, landlord.terms.home.to_string());
            tokio::select! {
                () = stop.cancelled() => return,
                held = landlord.cluster.lead(lease) => Some(held),
            }
        }
    };
    tracing::info!("leading: the landlord starts");
    let over = match &held {
        Some(held) => held.lost().clone(),
        None => CancellationToken::new(),
    };
    tokio::select! {
        () = over.cancelled() => {
            tracing::warn!("the lease could not be renewed in time or was taken: standing by");
        }
        () = act(landlord, stop) => {}
    }
    landlord.metrics.lead_as_landlord(false);
    if let Some(held) = held.filter(|_| stop.is_cancelled()) {
        Leadership::release(held).await;
    }
}

/// Works, and says so.
async fn act(landlord: &Landlord, stop: &CancellationToken) {
    landlord.metrics.lead_as_landlord(true);
    landlord::run(landlord, stop).await;
}

async fn landlord(args: &LandlordArgs, metrics: Arc<Metrics>) -> Result<Landlord, CommandError> {
    let cluster = args.connection.connect(metrics.requests()).await?;
    let NamespaceArgs {
        platform_namespaces,
        config_namespaces,
    } = &args.namespaces;
    let home = match &args.lease_namespace {
        Some(home) => home.clone(),
        None => cluster.default_namespace().parse().map_err(|why| {
            CommandError::of("the landlord's own namespace cannot be known", &why)
                .hint("name it with --lease-namespace")
        })?,
    };
    Ok(Landlord {
        cluster,
        grounds: Grounds {
            platform_namespaces: platform_namespaces.iter().cloned().collect(),
            config_namespaces: config_namespaces.iter().cloned().collect(),
            // Nothing is carried out here.
            platform_service_account: args.delivery_account.clone(),
            tenant_service_account: ServiceAccountName::flux(),
            remote_bases: Vec::new(),
            remote_clusters: Vec::new(),
        },
        terms: Terms {
            config_namespace: config_namespaces.first().cloned(),
            home,
            delivery: args.delivery_account.clone(),
            roles: args.roles.iter().cloned().collect(),
            exec: args.exec_role.clone(),
            label: args.watch_label_selector.clone(),
        },
        metrics,
        clock: Clock::system(),
    })
}
