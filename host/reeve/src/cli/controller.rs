//! `reeve controller`: run in or beside a cluster until told to stop.
//!
//! Puts the [`Context`] together from the flags, serves at once, leads whenever the lease is its own, stands by whenever
//! it is lost, and goes down in order: no new runs, those under way finish, their events are written, the lease is given back.

mod admission;
mod confine;
mod deliver;
mod held;
mod limits;
mod serve;
mod traces;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use reeve_api::name::{NamespaceName, RemotePattern};
use reeve_api::tenant::GitConfigReference;
use reeve_core::admit::Rules;
use reeve_core::drift::WatchedKind;
use reeve_core::labelled::Labelled;
use reeve_core::others::Hosts;
use reeve_core::tenancy::Grounds;
use reeve_wasm::{Compiler, Program, Sandbox, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::admission::AdmissionArgs;
pub(super) use self::held::lease_named;
use self::held::{Held, acquire, own_namespace};
use self::limits::LimitArgs;
use self::traces::TraceArgs;
use super::connection::ConnectionArgs;
use super::grounds::GroundArgs;
use super::ui::CommandError;
use crate::bases::Rewrite;
use crate::clock::Clock;
use crate::context::Context;
use crate::controller::{self, Drift, Planned, Term, Underway, Vigils, Wards, Workers};
use crate::disk::Disk;
use crate::git::{Egress, HostKeys, HostRule, Limits, Mirrors};
use crate::http::probe::Readiness;
use crate::images::Images;
use crate::index::Index;
use crate::knocks::Knocks;
use crate::network::Network;
use crate::observe::Metrics;
use crate::observe::trace::{self, Encoding, Level};
use crate::others::Others;
use crate::places::Places;
use crate::quotas::Quotas;
use crate::reading::Reader;
use crate::recollections::Recollections;
use crate::renders::Renders;
use crate::schemas::Schemas;
use crate::shards::Shards;
use crate::store::{self, Store};

/// Large bundles in work at a time, over all tenants: each may take 200 MiB while it is judged.
const LARGE_AT_A_TIME: usize = 2;
/// Questions to policies at a time, over all tenants: more than there are processors, since one that never ends takes seconds
/// to be given up.
const JUDGED_AT_A_TIME: usize = 6;
/// How long a thread that blocked waits for more to do: what each has taken in memory comes back with its end.
const IDLE: Duration = Duration::from_secs(1);
/// How long the last traces may take to be sent when the process ends.
const LAST_TRACES: Duration = Duration::from_secs(1);
/// The stack of a worker: the states of a run lie in one another, and without optimisation near the 2 MiB that are usual. What
/// is not touched takes no memory.
const STACK: usize = 8 << 20;

/// Run the controller
///
/// Watches GitRepositories, Kustomizations and Receivers, and does what they say. Stops on SIGTERM and Ctrl-C: what is
/// being applied is finished first.
#[derive(Args)]
pub(super) struct ControllerArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    ground: GroundArgs,
    /// Hosts and networks that sources, and API servers of other clusters, may lie at although they are private: loopback,
    /// link-local and private addresses are refused otherwise
    #[arg(long, value_name = "HOST|CIDR,…", value_delimiter = ',')]
    allow_source_hosts: Vec<HostRule>,
    /// Hosts that artifacts of OCIRepositories, Buckets and ExternalArtifacts are fetched from, wherever their names lead, beside
    /// the services of Flux (`source-controller`, `source-watcher`) in the platform's namespaces: no others are
    #[arg(long, value_name = "HOST,…", value_delimiter = ',', value_parser = artifact_host)]
    allow_artifact_hosts: Vec<String>,
    /// Let provider plugins send secrets to granted hosts over plain HTTP, where whoever is on the way reads them; registries
    /// that plugins and functions come from may be spoken to over plain HTTP then, too
    #[arg(long)]
    plain_http_providers: bool,
    /// Where the platform's git configuration lies: logins of repositories for whoever names none. A Secret or a ConfigMap in
    /// the controller's own namespace, with the key git.yaml. Those of Projects and Tenants are named by these
    #[arg(long, value_name = "secret/NAME|configmap/NAME", value_parser = super::git::reference)]
    git_config: Option<GitConfigReference>,
    #[command(flatten)]
    deliver: deliver::DeliverArgs,
    /// Keys of ssh hosts for Secrets that have an `identity` and no `known_hosts`, in the form of OpenSSH's known_hosts. It is read
    /// again whenever it is needed. Without the flag: /ssh/known_hosts, or, where that isn't, keys of github.com and gitlab.com
    /// that are built in
    #[arg(long, value_name = "FILE")]
    known_hosts_file: Option<PathBuf>,
    /// Remote resources that Kustomizations of platform namespaces may name: hosts, or addresses in which `*` stands for
    /// anything. What a tenant may name is in its Tenant object
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    remote_bases: Vec<RemotePattern>,
    /// Remote resources whose addresses begin with FROM are fetched from TO instead
    #[arg(long, value_name = "FROM=TO,…", value_delimiter = ',')]
    remote_base_mirror: Vec<Rewrite>,
    /// API servers of other clusters that any Kustomization may be carried out on by its spec.kubeConfig: hosts, or addresses
    /// in which `*` stands for anything. What one tenant may reach beside them is in its Tenant object
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    allow_remote_clusters: Vec<RemotePattern>,
    /// Follow only GitRepositories, Kustomizations and Receivers with this label, where another controller has those without it:
    /// `sharding.fluxcd.io/key=reeve` is what `reeve migrate flux` hands over
    #[arg(long, value_name = "KEY=VALUE")]
    watch_label_selector: Option<Labelled>,
    /// Directory for mirrors and artifacts
    #[arg(long, value_name = "DIR", default_value = "/data")]
    storage_path: PathBuf,
    /// Most bytes that artifacts may take up together
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 30)]
    storage_limit: u64,
    /// Most bytes that mirrors of repositories may take up together: what nobody uses goes first, the least recently used
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 30)]
    mirror_limit: u64,
    /// Where artifacts are served
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:9090")]
    storage_addr: SocketAddr,
    /// Host (and port) under which others reach --storage-addr
    #[arg(long, value_name = "HOST[:PORT]")]
    storage_adv_addr: Option<String>,
    /// Directory of the components that ClusterPlugins name by path
    #[arg(long, value_name = "DIR")]
    plugins_dir: Option<PathBuf>,
    /// Directory for compiled plugins, which nobody else may read or write; without one: `plugins` below --storage-path
    #[arg(long, value_name = "DIR")]
    plugin_cache_dir: Option<PathBuf>,
    /// Where webhooks are received
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:9292")]
    receiver_addr: SocketAddr,
    /// Addresses and networks of the proxies in front of --receiver-addr: who calls is then whom they name in X-Forwarded-For,
    /// which is read of nobody else, and they may have all connections
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',')]
    trusted_proxies: Vec<Network>,
    /// Under which address forges reach --receiver-addr: what is written into webhooks that Receivers have made at their forge
    #[arg(long, value_name = "URL", value_parser = receiver_url)]
    receiver_url: Option<String>,
    /// What the cluster is called in the titles of deploy keys, where several share a forge
    #[arg(long, value_name = "NAME", value_parser = cluster_name)]
    cluster_name: Option<String>,
    /// Where metrics are served
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    metrics_addr: SocketAddr,
    /// Where /healthz and /readyz are served
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:9440")]
    health_addr: SocketAddr,
    #[command(flatten)]
    admission: AdmissionArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// Whether to wait for a Lease before doing anything, so that replicas don't work against each other
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    leader_elect: bool,
    /// Share the work, tenant by tenant, with all other replicas that are told so (up to 32), instead of one that does all of it
    /// while the others stand by
    #[arg(long, value_name = "BOOL", default_value_t = false, action = clap::ArgAction::Set)]
    sharding: bool,
    /// Namespace of the Lease; in a pod, its own
    #[arg(long, value_name = "NS")]
    lease_namespace: Option<NamespaceName>,
    /// Kustomizations that are worked on at once; beside those that take long one of each tenant, up to eight times as many
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    concurrent: u16,
    /// Sources that are fetched at once; beside those that take long one of each tenant, up to eight times as many
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    concurrent_sources: u16,
    /// Kinds of which all that was applied is watched at once, metadata only and with the controller's own rights: what others
    /// change of them is changed back at once. All other kinds are watched as the account that applies them, where it may
    #[arg(long, value_name = "KIND[.GROUP],…", value_delimiter = ',', default_values_t = WatchedKind::usual())]
    watch_kinds: Vec<WatchedKind>,
    /// Seconds that runs under way may take to finish when the process is told to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    graceful_shutdown_timeout: u64,
    #[command(flatten)]
    traces: TraceArgs,
    /// Least level of log lines
    #[arg(long, value_enum, default_value_t = Level::Info)]
    log_level: Level,
    /// Form of log lines
    #[arg(long, value_enum, default_value_t = Encoding::Json)]
    log_encoding: Encoding,
}

pub(super) fn run(args: ControllerArgs) -> Result<(), CommandError> {
    super::provide_tls();
    trace::init(args.log_level, args.log_encoding)
        .map_err(|why| CommandError::of("starting the log failed", &why))?;
    confine::confine().map_err(|why| CommandError::of("taking rights from itself failed", &why))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK)
        .thread_keep_alive(IDLE)
        .enable_all()
        .build()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    let ended = runtime.block_on(lead(args));
    // Blocking work that was cut off must not hold up the exit.
    runtime.shutdown_timeout(Duration::from_secs(1));
    if let Err(why) = &ended {
        // Also in the log's own form: that is what a cluster keeps.
        tracing::error!(error = %why, "the controller stops");
    }
    ended
}

async fn lead(args: ControllerArgs) -> Result<(), CommandError> {
    if args.sharding && !args.leader_elect {
        let why = CommandError::new("replicas cannot share the work without Leases");
        return Err(why.hint("take --leader-elect=false away, or --sharding"));
    }
    let stop = stop_on_signals()?;
    let grace = Duration::from_secs(args.graceful_shutdown_timeout);
    let workers = Workers {
        sources: usize::from(args.concurrent_sources),
        kustomizations: usize::from(args.concurrent),
    };
    let (ctx, inboxes, behind) = context(&args).await?;
    let ctx = Arc::new(ctx);
    let behind = tokio::spawn(behind);
    let readiness = Readiness::new();
    let (servers, nudges) = serve::all(&args, &ctx, &readiness).await?;
    let answering = tokio::spawn(controller::answer_nudges(Arc::clone(&ctx), nudges));
    tokio::spawn(serve::ready(Arc::clone(&ctx), readiness));

    let lease = args.leader_elect.then(|| held::lease(&args, &ctx.cluster));
    let mut held = Held::Nothing;
    loop {
        let taken = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            taken = acquire(&ctx, &inboxes, lease.as_ref(), args.admission.is_on()) => taken,
        };
        let term = Term {
            stop: stop.clone(),
            grace,
            lost: taken.lost(),
            line: taken.line(),
        };
        controller::run(&ctx, &inboxes, workers, term).await;
        if stop.is_cancelled() {
            held = taken;
            break;
        }
        tracing::warn!(
            "the lease could not be renewed in time or was taken: controllers have stopped, standing by"
        );
    }
    tracing::info!("controllers have stopped");
    servers.stop().await;
    answering.abort();
    held.release().await;
    ctx.mirrors.leave();
    drop(ctx);
    // What was told is written; if the API server is gone, so are the events, and with a collector the traces.
    let _written = tokio::time::timeout(Duration::from_secs(5), behind).await;
    Ok(())
}

pub(super) fn stop_on_signals() -> Result<CancellationToken, CommandError> {
    let failed = |why: std::io::Error| CommandError::of("listening for signals failed", &why);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop: what is being applied is finished first");
        told.cancel();
    });
    Ok(stop)
}

/// What runs are made with, and what goes on beside them.
type Made<F> = Result<(Context, controller::Inboxes, F), CommandError>;

/// Everything a run may touch, from the flags.
async fn context(args: &ControllerArgs) -> Made<impl Future<Output = ()> + Send + use<>> {
    let metrics = Arc::new(Metrics::new());
    let egress = Arc::new(Egress::new(args.allow_source_hosts.clone()));
    let cluster = args.connection.connect(metrics.requests()).await?;
    let (mirrors, store, recollections) = storage(args)?;
    let grounds = (args.ground).grounds(&args.remote_bases, &args.allow_remote_clusters);
    let home = own_namespace(args, &cluster)?;
    let others = others(args, &grounds, &home, mirrors.disk())?;
    let ((events, writing_events), (queues, inboxes)) = (cluster.events(), controller::queues());
    let (tracer, sending) = args.traces.tracer(&metrics, args.cluster_name.as_deref())?;
    let (clock, kinds) = (Clock::system(), args.watch_kinds.iter().cloned().collect());
    let context = Context {
        home,
        takes_calls: AtomicBool::new(false),
        knocks: Knocks::default(),
        shards: Shards::new(args.sharding),
        drift: Drift::new(kinds, clock.instant()),
        shares: controller::Shares::new(clock.instant()),
        wards: Wards::default(),
        index: Index::new(&grounds),
        cluster: cluster.reaching(Arc::clone(&egress)),
        events,
        clock,
        metrics,
        tracer,
        queues,
        underway: Underway::default(),
        vigils: Vigils::default(),
        planned: Planned::default(),
        mirrors: Arc::new(mirrors),
        egress,
        limits: Limits::default(),
        host_keys: host_keys(args)?,
        base_mirrors: args.remote_base_mirror.clone(),
        store,
        others,
        recollections,
        renders: Renders::new(),
        quotas: Quotas::new(args.limits.limits()),
        // As many as there may be runs: each tenant waits for its own alone.
        large: Places::new(LARGE_AT_A_TIME),
        judging: Places::new(JUDGED_AT_A_TIME),
        schemas: Schemas::new(),
        images: Images::new(),
        sandbox: sandbox(args)?,
        reader: Reader::own().map_err(|why| unfound(&why))?,
        tokens: controller::Tokens::default(),
        pauses: Arc::default(),
        answers: Arc::default(),
        plain_http: args.plain_http_providers,
        cluster_name: args.cluster_name.clone(),
        receiver_url: args.receiver_url.clone(),
        plugins_dir: args.plugins_dir.clone(),
        rules: Rules::shipped(),
        grounds,
        git_config: args.git_config.clone(),
        delivery: args.deliver.delivery(),
        labelled: args.watch_label_selector.clone(),
    };
    Ok((context, inboxes, behind(writing_events, sending)))
}

/// Writes what is told beside the runs: events, and traces where there are any. It ends with those who tell it; what of traces is
/// not sent soon then is lost, whoever doesn't take it.
async fn behind(
    events: impl Future<Output = ()> + Send,
    traces: Option<impl Future<Output = ()> + Send + 'static>,
) {
    let sending = traces.map(tokio::spawn);
    events.await;
    if let Some(sending) = sending {
        let _sent = tokio::time::timeout(LAST_TRACES, sending).await;
    }
}

/// A host, by its name or address.
fn artifact_host(text: &str) -> Result<String, String> {
    match text.parse::<HostRule>() {
        Ok(HostRule::Host(host)) => Ok(host),
        Ok(HostRule::Network(_)) => Err("hosts are named one by one".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

/// The beginning of a webhook's address, without the slash at its end.
fn receiver_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|why| why.to_string())?;
    let plain = url.username().is_empty() && url.password().is_none();
    let whole = url.query().is_none() && url.fragment().is_none() && url.host().is_some();
    match matches!(url.scheme(), "http" | "https") && plain && whole {
        true => Ok(url.as_str().trim_end_matches('/').to_owned()),
        false => {
            Err("it is https:// or http://, a host, perhaps a path, and nothing else".to_owned())
        }
    }
}

/// A name that forges show as it is.
fn cluster_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match !text.is_empty() && text.len() <= 63 && text.chars().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("it has 1 to 63 letters, digits, -, _ and .".to_owned()),
    }
}

/// Where the keys of ssh hosts stand; a file that is named and cannot be read now ends the start.
fn host_keys(args: &ControllerArgs) -> Result<HostKeys, CommandError> {
    let keys = match &args.known_hosts_file {
        Some(file) => HostKeys::File(file.clone()),
        None => HostKeys::Usual(HostKeys::USUAL.into()),
    };
    let read = keys.read();
    read.map_err(|why| CommandError::of("the file of known hosts cannot be read", &why))?;
    Ok(keys)
}

/// Where plugins run. They are compiled in processes of their own, which are this program again.
fn sandbox(args: &ControllerArgs) -> Result<Sandbox, CommandError> {
    let itself = Program::own("compile-plugin").map_err(|why| unfound(&why))?;
    let cache = args.plugin_cache_dir.clone();
    let settings = Settings {
        cache: Some(cache.unwrap_or_else(|| args.storage_path.join("plugins"))),
        compiler: Compiler::Process(itself),
        ..Settings::default()
    };
    Sandbox::new(settings)
        .map_err(|why| CommandError::of("starting the plugin sandbox failed", &why))
}

/// This program cannot start itself.
fn unfound(why: &std::io::Error) -> CommandError {
    CommandError::of("finding this program's own file failed", why)
}

/// What lies on the disk.
type Stored = (Mirrors, Store, Recollections);

fn storage(args: &ControllerArgs) -> Result<Stored, CommandError> {
    let disk = Disk::new(args.mirror_limit);
    let open = || -> std::io::Result<Stored> {
        std::fs::create_dir_all(&args.storage_path)?;
        let threads = controller::most(usize::from(args.concurrent_sources));
        let mirrors = Mirrors::open_on(&args.storage_path, threads, disk.clone())?;
        let limits = store::Limits {
            total_bytes: args.storage_limit,
            ..store::Limits::default()
        };
        let base = serve::artifact_base(args);
        Ok((
            mirrors,
            Store::open_on(&args.storage_path.join("artifacts"), &base, limits, disk)?,
            Recollections::open(&args.storage_path.join("applied"))?,
        ))
    };
    open().map_err(|why| unopened(args, &why))
}

/// Where artifacts of other controllers are opened, and from where they are fetched.
fn others(
    args: &ControllerArgs,
    grounds: &Grounds,
    home: &NamespaceName,
    disk: Disk,
) -> Result<Others, CommandError> {
    let namespaces = grounds.platform_namespaces.iter().chain([home]);
    let hosts = Hosts::new(namespaces, args.allow_artifact_hosts.iter().cloned());
    let opened = Others::open(args.storage_path.join("others"), hosts, disk);
    opened.map_err(|why| unopened(args, &why))
}

fn unopened(args: &ControllerArgs, why: &std::io::Error) -> CommandError {
    let doing = format!("opening {} failed", args.storage_path.display());
    CommandError::of(&doing, why)
        .hint("--storage-path names a directory that this process may write")
}
