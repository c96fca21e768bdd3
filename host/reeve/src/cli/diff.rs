//! `reeve diff`: what the next run of a Kustomization would change on the cluster.
//!
//! Built, put together, judged and compared by the code of the controller, with the rights of whoever asks; nothing is written,
//! and there is no way to: the API server is only asked for dry runs. What is carried out on another cluster is asked about
//! there. How manifests are got is `diff/build.rs`, which hooks would run and what would wait `diff/ahead.rs`, what is told
//! of it `core::preview`. Plugins whose components are given are called (`diff/plugins.rs`), the others are named.

mod ahead;
pub(super) mod build;
pub(super) mod plugins;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::{NamespaceName, NamespacedName, RemotePattern};
use reeve_api::source::GitRepository;
use reeve_api::tenant::Tenant as TenantObject;
use reeve_core::abroad::Abroad;
use reeve_core::admit::{self, Circumstances, Rule, Rules, SourceFacts};
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::caution::Left;
use reeve_core::failure::Explained;
use reeve_core::inventory::Inventory;
use reeve_core::plan::{Plan, Proposed};
use reeve_core::preview::{self, Preview};
use reeve_core::signature;
use reeve_core::spec::Spec;
use reeve_core::substitute;
use reeve_core::tenancy::{self, Grounds, Tenant, Tenants};
use reeve_core::veil::Veil;
use tokio::runtime::Runtime;

use self::plugins::{Called, Given};
use super::connection::ConnectionArgs;
use super::get::{kustomization, named, namespace};
use super::grounds::GroundArgs;
use super::policy::place::{self, Parameters};
use super::policy::subject::{told as explained, unfit};
use super::provide_tls;
use super::reach::everywhere;
use super::text::{Form, written};
use super::ui::{CommandError, Ui};
use crate::clock::Clock;
use crate::cluster::{Cluster, Onlooker, SecretOwner, Unreached, marked};
use crate::observe::Requests;
use crate::variables::{self, Secrets};

/// The code for what could not be said, and for what policies deny.
const UNSAID: u8 = 2;

/// Show what the next run would change on the cluster
#[derive(Args)]
pub(super) struct DiffArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    #[command(name = "kustomization", aliases = ["kustomizations", "ks"])]
    Kustomization(Box<KustomizationArgs>),
}

/// Show what the next run of a Kustomization would change
///
/// Its manifests are built from a directory of yours, or from the source at the revision that was applied or another, with its
/// variables put in; policies that are always in force and those that are named are asked; and the API server is asked what
/// applying each object would do, and deleting what is no longer among them. Hooks that would run are named, and what would wait
/// for a confirmation. Nothing is written. All of that is done with your
/// own rights; with --as variables are read and the API server is asked as somebody else, where you may. With spec.kubeConfig
/// the kubeconfig is read with these rights, and the other cluster is asked as the controller would ask it, if the Tenant or
/// --remote-cluster names it: what is asked there shows it values that you may read. Values of Secrets are never shown.
///
/// Exits 0 when nothing would change, 1 when something would, and 2 when that could not be said or a policy denies it.
///
/// Examples: `reeve diff ks web -n acme --path ./deploy`, `reeve diff ks web -n acme --source my-branch -o json`,
/// `reeve diff ks web -n acme --as system:serviceaccount:acme:flux`
#[derive(Args)]
struct KustomizationArgs {
    /// The Kustomization
    name: String,
    /// Where it is; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// Build this directory, as it is on your disk, in the place of spec.path
    #[arg(long, value_name = "DIR", conflicts_with = "source")]
    path: Option<PathBuf>,
    /// Build the source at this branch, tag or whole commit; without, at the revision that it has in store. It is fetched from
    /// its address with your own ssh keys and no other credentials
    #[arg(long, value_name = "REV")]
    source: Option<String>,
    /// Read variables, and ask what would change, as this user: the account that applies it is
    /// system:serviceaccount:NAMESPACE:NAME
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// Ask these policies too: directories, the files of one, or the names of some that are shipped
    #[arg(long = "policy", value_name = "DIR|FILE|NAME")]
    policies: Vec<PathBuf>,
    #[command(flatten)]
    parameters: Parameters,
    /// Call the plugin of this name as a run would, with its config in the cluster and the component in this file. Those that
    /// are not given are not called
    #[arg(long = "plugin", value_name = "NAME=FILE")]
    plugins: Vec<Given>,
    /// The controller's own namespace, in which what ClusterPlugins are configured with lies
    #[arg(long, value_name = "NS", default_value = "reeve-system")]
    controller_namespace: NamespaceName,
    /// Ask the other cluster of spec.kubeConfig also if it is at this host, which no Tenant names: as the controller's
    /// --allow-remote-clusters has it
    #[arg(long = "remote-cluster", value_name = "PATTERN")]
    remote_clusters: Vec<RemotePattern>,
    #[command(flatten)]
    ground: GroundArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

impl DiffArgs {
    /// Where somebody's rules are read, which may end who reads them: what to exit with then.
    pub(super) fn reads(&self) -> Option<u8> {
        let What::Kustomization(args) = &self.what;
        (!args.policies.is_empty()).then_some(UNSAID)
    }
}

pub(super) fn run(args: &DiffArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let What::Kustomization(args) = &args.what;
    let answer = answer(args, ui).map_err(|why| why.exits(UNSAID))?;
    let text = written(args.form, &answer, || answer.table());
    let printed = text.and_then(|text| ui.data(answer.veil.cover(text).as_bytes()));
    printed.map_err(|why| why.exits(UNSAID))?;
    for name in &answer.plugins_not_called {
        ui.note(&format!(
            "plugin {name} was not called: what it would change is not in this; --plugin {name}=FILE calls it"
        ));
    }
    if let Some(why) = answer.trouble() {
        return Err(CommandError::new(answer.veil.cover(why)).exits(UNSAID));
    }
    match answer.news() {
        None => Ok(()),
        Some(what) => Err(CommandError::new(what)),
    }
}

fn answer(args: &KustomizationArgs, ui: &mut Ui) -> Result<Preview, CommandError> {
    provide_tls();
    let rules = rules(args)?;
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    // read: what is wanted, and what is known of whose it is
    let asked = runtime.block_on(Asked::read(args, ui))?;
    // build: on this thread, since what is fetched for it has a runtime of its own
    let built = build::build(args, &asked, ui)?;
    finish(&runtime, args, &asked, built, &rules)
}

/// The three that are always in force, and those that are named.
fn rules(args: &KustomizationArgs) -> Result<Rules, CommandError> {
    let sources = place::open(&args.policies, &args.parameters)?;
    let mut named = Vec::new();
    for source in &sources {
        let policy = source.compile().map_err(|errors| unfit(source, &errors))?;
        named.push(Rule::enforced(policy));
    }
    Ok(Rules::shipped().and(named))
}

/// Whom it is about, and what the cluster says of that.
struct Asked {
    /// As whom the API server is asked what would be.
    asking: Cluster,
    /// The cluster that it is carried out on, as it is asked.
    there: Onlooker,
    object: Kustomization,
    spec: Spec,
    /// What it has there.
    inventory: Inventory,
    /// What it has on another.
    left: Option<Left>,
    source: Option<GitRepository>,
    tenant: Tenant,
    grounds: Grounds,
    /// Those that a run would call.
    plugins: Vec<Called>,
}

impl Asked {
    async fn read(args: &KustomizationArgs, ui: &mut Ui) -> Result<Self, CommandError> {
        let cluster = args.connection.connect(Requests::default()).await?;
        let cluster = cluster.reaching(everywhere());
        let asking = match &args.user {
            Some(user) => cluster
                .acting_as(user)
                .map_err(|why| CommandError::of("--as", &why))?,
            None => cluster.clone(),
        };
        let id = named(namespace(args.namespace.as_deref(), &cluster), &args.name)?;
        let object = kustomization(&cluster, &id).await?;
        let spec = Spec::parse(&object).map_err(|why| explained(Explained::of(&why)))?;
        let grounds = args.ground.grounds(&[], &args.remote_clusters);
        let tenant = tenant(&cluster, &grounds, &id, ui).await?;
        tenancy::may_use_source(&grounds, &tenant, &id.namespace, &spec.source)
            .map_err(explained)?;
        let labels = object.metadata.labels.clone().unwrap_or_default();
        let there = there(&asking, &grounds, &tenant, &spec).await?;
        let before = object.status.as_ref();
        let before = before.and_then(|status| status.inventory_cluster.as_deref());
        let (inventory, left) = Left::part(recorded(&object)?, before, there.cluster());
        Ok(Self {
            plugins: plugins::called(
                &args.controller_namespace,
                &cluster,
                (&id.namespace, &labels),
                ui,
            )
            .await,
            source: source(args, &cluster, &spec, ui).await?,
            inventory,
            left,
            there,
            asking,
            object,
            spec,
            tenant,
            grounds,
        })
    }

    /// What policies are told of its source.
    fn facts(&self, revision: Option<String>) -> Option<SourceFacts> {
        let source = self.source.as_ref()?;
        let status = source.status.as_ref();
        let had = status.and_then(|status| Some(&status.artifact.as_ref()?.revision));
        Some(SourceFacts {
            url: source.spec.url.to_string(),
            verified: (had.is_some() && had == revision.as_ref())
                .then(|| signature::told(source))
                .flatten(),
            revision,
        })
    }
}

/// The cluster that it is carried out on. Who wrote the Kustomization chose it, and variables and dry runs would show it what
/// the caller may read: so it is one that the platform or the caller names, or none is asked.
async fn there(
    asking: &Cluster,
    grounds: &Grounds,
    tenant: &Tenant,
    spec: &Spec,
) -> Result<Onlooker, CommandError> {
    let found = asking.onlooker_of(spec, &Abroad::of(grounds, tenant)).await;
    found.map_err(|why| {
        let told = explained(Explained::of(&why));
        match why {
            Unreached::Refused(_) => told.hint(
                "nothing was sent there; if the controller's --allow-remote-clusters names that host, which is not known here, name it with --remote-cluster",
            ),
            _ => told,
        }
    })
}

/// What it is built from. Who builds a directory of their own may do without.
async fn source(
    args: &KustomizationArgs,
    cluster: &Cluster,
    spec: &Spec,
    ui: &mut Ui,
) -> Result<Option<GitRepository>, CommandError> {
    if spec.source.kind != SourceKind::GitRepository {
        // Another controller keeps it, and only reeve's is let to where its files lie.
        return Ok(None);
    }
    let (at, name) = (spec.source.namespace.as_str(), spec.source.name.as_str());
    match cluster.one::<GitRepository>(Some(at), name).await {
        Ok(found) => Ok(found),
        Err(why) if args.path.is_some() => {
            ui.note(&format!("GitRepository {at}/{name} cannot be read: {why}"));
            Ok(None)
        }
        Err(why) => {
            let doing = format!("reading GitRepository {at}/{name} failed");
            Err(CommandError::of(&doing, &why))
        }
    }
}

/// Whose it is. Who may not read Tenants is told what that may change.
async fn tenant(
    cluster: &Cluster,
    grounds: &Grounds,
    id: &NamespacedName,
    ui: &mut Ui,
) -> Result<Tenant, CommandError> {
    let mut tenants = Tenants::default();
    match cluster.all::<TenantObject>(None).await {
        Ok(all) => all.iter().for_each(|one| drop(tenants.apply(one))),
        Err(why) => ui.note(&format!(
            "Tenants cannot be read, so the namespace is taken for a tenant of its own: {why}"
        )),
    }
    // Its label goes before the age of those that name it. Whoever may not list all may read their own.
    let marks = match cluster.marks().await {
        Ok(marks) => Ok(marks),
        Err(_) => {
            let own = cluster.namespace(&id.namespace).await;
            own.map(|own| own.as_ref().and_then(marked).into_iter().collect())
        }
    };
    match marks {
        Ok(marks) => marks.into_iter().for_each(|(namespace, whose)| {
            let _moved = tenants.mark(&namespace, Some(whose));
        }),
        Err(why) => ui.note(&format!(
            "labels of namespaces cannot be read, so the oldest Tenant that names one has it: {why}"
        )),
    }
    tenants.owner_of(grounds, &id.namespace).map_err(explained)
}

fn recorded(object: &Kustomization) -> Result<Inventory, CommandError> {
    let status = object.status.as_ref();
    let inventory = status.and_then(|status| status.inventory.as_ref());
    let entries = inventory.into_iter().flat_map(|all| &all.entries);
    Inventory::parse(entries.map(|one| (one.id.as_str(), one.version.as_str())))
        .map_err(|why| explained(Explained::of(&why)))
}

/// What was built becomes a plan, which policies are asked about, and the API server.
fn finish(
    runtime: &Runtime,
    args: &KustomizationArgs,
    asked: &Asked,
    built: build::Built,
    rules: &Rules,
) -> Result<Preview, CommandError> {
    let bundle = runtime.block_on(with_variables(&asked.asking, &asked.spec, built.bundle));
    let (bundle, veil) = bundle?;
    let configured = runtime.block_on(plugins::configured(
        &args.plugins,
        &asked.plugins,
        &asked.asking,
    ))?;
    let bundle = plugins::call(configured, bundle, &veil)?;
    let veil = veil.and(bundle.secret());
    runtime.block_on(async {
        let scopes = asked.there.scopes().await;
        let plan = Plan::propose(bundle.settled(), &scopes, &asked.inventory, &asked.spec);
        let plan = plan.map_err(|why| explained(veil.over(Explained::of(&why))))?;
        let plan = ahead::on(asked, plan, built.revision.as_deref());
        let denied = judged(asked, rules, &plan, built.revision, &veil)?;
        let objects = asked.there.rehearse(&plan).await;
        let pruned = asked.there.rehearse_prune(&plan).await;
        let mut answer = Preview::new(&asked.spec.id, built.from, veil);
        answer.cluster = asked.there.cluster().map(str::to_owned);
        answer.denied = denied;
        answer.hooks = ahead::hooks(asked, &plan);
        answer.waits = ahead::waits(asked, &plan)?;
        answer.plugins_not_called = plugins::left(args, asked);
        for (object, rehearsed) in objects {
            answer.add(object.id(), rehearsed.map_err(|why| why.to_string()));
        }
        for (entry, rehearsed) in pruned {
            answer.add_pruned(&entry.id, rehearsed.map_err(|why| why.to_string()));
        }
        Ok(answer)
    })
}

/// Read as who asks.
pub(super) async fn with_variables(
    asking: &Cluster,
    spec: &Spec,
    bundle: Bundle<Rendered>,
) -> Result<(Bundle<Rendered>, Veil), CommandError> {
    if spec.substitution.is_none() {
        return Ok((bundle, Veil::default()));
    }
    let owner = SecretOwner::connected(&spec.id.namespace);
    let read = variables::read(asking, &owner, spec, Secrets::Read).await;
    let (values, veil) = read.map_err(explained)?;
    let made = substitute::substitute(bundle, &values, spec.substitution.always);
    let made = made.map_err(|why| explained(veil.over(Explained::of(&why))))?;
    Ok((made.bundle, veil.and(&made.secret)))
}

/// What the rules deny, a line each: first of the spec, then of what would be applied.
fn judged(
    asked: &Asked,
    rules: &Rules,
    plan: &Plan<Proposed>,
    revision: Option<String>,
    veil: &Veil,
) -> Result<Vec<String>, CommandError> {
    let shown = serde_json::to_value(&asked.object)
        .map_err(|why| CommandError::of("reading the Kustomization failed", &why))?;
    let facts = asked.facts(revision);
    let around = Circumstances {
        tenant: &asked.tenant,
        grounds: &asked.grounds,
        source: facts.as_ref(),
        now: Clock::system().now(),
        veil,
    };
    let judged = admit::spec(rules, &around, &shown, asked.spec.clone(), None);
    let judged =
        judged.and_then(|(spec, _)| admit::plan(rules, &around, &spec, plan.clone(), None, None));
    Ok(judged.map_or_else(|denied| preview::verdicts(&denied), |_| Vec::new()))
}
