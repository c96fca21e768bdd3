//! `reeve get`: what there is and how it is, read with the rights of whoever asks.
//!
//! Arguments and columns. What a Kustomization has, and what the last run did with it, is `core::tree`'s to say; how the
//! objects are now, the cluster is asked.

pub(super) mod tenants;
mod tree;

use clap::{Args, Subcommand};
use reeve_api::condition::{self, Condition, Type};
use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use serde::Serialize;

use super::connection::ConnectionArgs;
use super::provide_tls;
use super::reach::everywhere;
use super::text::{Form, table, written};
use super::ui::{CommandError, Ui};
use crate::cluster::Cluster;
use crate::observe::Requests;

/// Show what there is and how it is
#[derive(Args)]
pub(super) struct GetArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    #[command(name = "kustomizations", aliases = ["kustomization", "ks"])]
    Kustomizations(KustomizationsArgs),
    #[command(name = "tenants", aliases = ["tenant", "tnt"])]
    Tenants(tenants::TenantsArgs),
}

/// Show Kustomizations, or what each of them has on the cluster
///
/// With --tree each object of a Kustomization is told, and of a Kustomization among them its own: what was last done with
/// it, which of its fields it changed, and how it is now. Read is with your own rights: what you may not read is told as
/// unknown. Of a Secret nothing is read but its metadata. What is on another cluster is looked at there, with the kubeconfig of
/// the Kustomization, if you may read that.
///
/// Examples: `reeve get kustomizations -A`, `reeve get ks web -n acme --tree`
#[derive(Args)]
struct KustomizationsArgs {
    /// The one to show; without, all
    name: Option<String>,
    /// Where to look; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// Look in all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    all_namespaces: bool,
    /// Show what each has
    #[arg(long)]
    tree: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

pub(super) fn run(args: &GetArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    let text = runtime.block_on(async {
        match &args.what {
            What::Kustomizations(args) => kustomizations(args).await,
            What::Tenants(args) => tenants::get(args).await,
        }
    })?;
    ui.data(text.as_bytes())
}

/// One Kustomization, in short.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    name: String,
    ready: String,
    suspended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    objects: usize,
    message: String,
}

async fn kustomizations(args: &KustomizationsArgs) -> Result<String, CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let cluster = cluster.reaching(everywhere());
    let found = found(args, &cluster).await?;
    if args.tree {
        let mut trees = Vec::new();
        for (id, object) in &found {
            trees.push(tree::grow(&cluster, id, object).await?);
        }
        return written(args.form, &trees, || tree::drawn(&trees));
    }
    let rows: Vec<Row> = found.iter().map(|(id, object)| row(id, object)).collect();
    written(args.form, &rows, || listed(&rows))
}

/// Those that are asked for, by their names.
async fn found(
    args: &KustomizationsArgs,
    cluster: &Cluster,
) -> Result<Vec<(NamespacedName, Kustomization)>, CommandError> {
    let namespace = match args.all_namespaces {
        true => None,
        false => Some(namespace(args.namespace.as_deref(), cluster)),
    };
    if let (Some(name), Some(namespace)) = (&args.name, namespace) {
        let id = named(namespace, name)?;
        let object = kustomization(cluster, &id).await?;
        return Ok(vec![(id, object)]);
    }
    let all = cluster.all::<Kustomization>(namespace).await;
    let all = all.map_err(|why| CommandError::of("listing Kustomizations failed", &why))?;
    let named = |object: Kustomization| {
        let meta = &object.metadata;
        let id = NamespacedName::new(meta.namespace.as_deref()?, meta.name.as_deref()?);
        Some((id.ok()?, object))
    };
    let mut all: Vec<_> = all.into_iter().filter_map(named).collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(all)
}

/// The namespace that is meant.
pub(super) fn namespace<'a>(given: Option<&'a str>, cluster: &'a Cluster) -> &'a str {
    given.unwrap_or_else(|| cluster.default_namespace())
}

pub(super) fn named(namespace: &str, name: &str) -> Result<NamespacedName, CommandError> {
    NamespacedName::new(namespace, name)
        .map_err(|why| CommandError::of(&format!("there is no {namespace}/{name}"), &why))
}

/// A Kustomization that has to be there.
pub(super) async fn kustomization(
    cluster: &Cluster,
    id: &NamespacedName,
) -> Result<Kustomization, CommandError> {
    let (namespace, name) = (id.namespace.as_str(), id.name.as_str());
    let found = cluster.one::<Kustomization>(Some(namespace), name).await;
    let found = found
        .map_err(|why| CommandError::of(&format!("reading Kustomization {id} failed"), &why))?;
    found.ok_or_else(|| {
        CommandError::new(format!("there is no Kustomization {id}"))
            .hint("`reeve get kustomizations -A` lists those that you may see")
    })
}

fn row(id: &NamespacedName, object: &Kustomization) -> Row {
    let status = object.status.as_ref();
    let inventory = status.and_then(|status| status.inventory.as_ref());
    let conditions = status.map(|status| status.conditions.as_slice());
    let (ready, message) = ready(conditions.unwrap_or_default());
    Row {
        namespace: id.namespace.to_string(),
        name: id.name.to_string(),
        ready,
        suspended: object.spec.suspend,
        revision: status.and_then(|status| status.last_applied_revision.clone()),
        objects: inventory.map_or(0, |inventory| inventory.entries.len()),
        message,
    }
}

/// Whether it is ready, and what is said of it.
fn ready(conditions: &[Condition]) -> (String, String) {
    match condition::find(conditions, Type::Ready) {
        Some(ready) => (ready.status.clone(), ready.message.clone()),
        None => ("Unknown".to_owned(), String::new()),
    }
}

fn listed(rows: &[Row]) -> String {
    let head = [
        "NAMESPACE",
        "NAME",
        "READY",
        "SUSPENDED",
        "OBJECTS",
        "REVISION",
        "MESSAGE",
    ];
    let cells = |row: &Row| {
        [
            row.namespace.clone(),
            row.name.clone(),
            row.ready.clone(),
            row.suspended.to_string(),
            row.objects.to_string(),
            row.revision.clone().unwrap_or_else(|| "-".to_owned()),
            row.message.clone(),
        ]
    };
    let head = std::iter::once(head.map(str::to_owned));
    let all: Vec<_> = head.chain(rows.iter().map(cells)).collect();
    table(&all)
}
