//! `reeve reconcile`: asks the controller for a run now, and waits for what it says.
//!
//! Arguments and the order of things; what an answer is, `operate` says.

use std::time::Duration;

use clap::{Args, Subcommand};
use reeve_api::name::NamespacedName;
use serde_json::Value;

use super::connection::ConnectionArgs;
use super::get::{named, namespace};
use super::operate::{answered, called, change, is_suspended, request, there, token};
use super::provide_tls;
use super::ui::{CommandError, Sign, Ui};
use crate::cluster::{Cluster, Operated};
use crate::observe::Requests;

/// Ask for a run now, and wait for what comes of it
#[derive(Args)]
pub(super) struct ReconcileArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Source(SourceArgs),
    #[command(name = "kustomization", aliases = ["kustomizations", "ks"])]
    Kustomization(KustomizationArgs),
}

/// Fetch a source now
#[derive(Args)]
struct SourceArgs {
    #[command(subcommand)]
    source: Source,
}

#[derive(Subcommand)]
enum Source {
    #[command(name = "git", aliases = ["gitrepository", "gitrepositories"])]
    Git(OneArgs),
}

/// Fetch a GitRepository now
///
/// It is annotated with reconcile.fluxcd.io/requestedAt, and waited for until the controller has answered. Exits 1 with the
/// words of its condition when it is not Ready then.
///
/// Example: `reeve reconcile source git web -n acme`
#[derive(Args)]
struct OneArgs {
    /// The one to reconcile
    name: String,
    /// Where it is; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "5m")]
    timeout: reeve_api::duration::Duration,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Build and apply a Kustomization now
///
/// It is annotated with reconcile.fluxcd.io/requestedAt, and waited for until the controller has answered. Exits 1 with the
/// words of its condition when it is not Ready then.
///
/// Examples: `reeve reconcile kustomization web -n acme`, `reeve reconcile ks web -n acme --with-source`
#[derive(Args)]
struct KustomizationArgs {
    /// Fetch its source first
    #[arg(long)]
    with_source: bool,
    #[command(flatten)]
    one: OneArgs,
}

pub(super) fn run(args: &ReconcileArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    runtime.block_on(async {
        match &args.what {
            What::Source(SourceArgs {
                source: Source::Git(one),
            }) => reconcile(one, Operated::GitRepository, false, ui).await,
            What::Kustomization(args) => {
                reconcile(&args.one, Operated::Kustomization, args.with_source, ui).await
            }
        }
    })
}

async fn reconcile(
    args: &OneArgs,
    kind: Operated,
    with_source: bool,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let id = named(namespace(args.namespace.as_deref(), &cluster), &args.name)?;
    let limit = args.timeout.get();
    let object = there(&cluster, kind, &id).await?;
    goes(kind, &id, &object)?;
    if with_source {
        let source = source_of(&id, &object)?;
        ask(&cluster, Operated::GitRepository, &source, limit, ui).await?;
    }
    ask(&cluster, kind, &id, limit, ui).await
}

/// Asks for one run, and waits for it.
async fn ask(
    cluster: &Cluster,
    kind: Operated,
    id: &NamespacedName,
    limit: Duration,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    goes(kind, id, &there(cluster, kind, id).await?)?;
    let name = kind.as_str();
    let doing = format!(
        "annotating {name} {} in {} namespace",
        id.name, id.namespace
    );
    ui.step(Sign::Doing, &doing);
    let token = token();
    change(cluster, kind, id, &request(&token)).await?;
    ui.step(Sign::Done, &format!("{name} annotated"));
    answered(cluster, kind, id, &token, limit, ui).await
}

/// An error: nobody would answer.
fn goes(kind: Operated, id: &NamespacedName, object: &Value) -> Result<(), CommandError> {
    if !is_suspended(object) {
        return Ok(());
    }
    let (name, called) = (kind.as_str(), called(kind));
    Err(
        CommandError::new(format!("{name} {id} is suspended")).hint(format!(
            "`reeve resume {called} {} -n {}` lets it go on, with a run at once",
            id.name, id.namespace
        )),
    )
}

/// The source that a Kustomization names.
fn source_of(id: &NamespacedName, object: &Value) -> Result<NamespacedName, CommandError> {
    let text = |key: &str| {
        let source = object.pointer("/spec/sourceRef")?;
        source.get(key)?.as_str().filter(|text| !text.is_empty())
    };
    match text("kind") {
        Some("GitRepository") => {}
        other => {
            let kind = other.unwrap_or("nothing");
            return Err(CommandError::new(format!(
                "the source of Kustomization {id} is of kind {kind}, which is not reconciled here"
            ))
            .hint("leave out --with-source"));
        }
    }
    let namespace = text("namespace").unwrap_or(id.namespace.as_str());
    named(namespace, text("name").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_source_of_a_kustomization_is_in_its_own_namespace_unless_it_says_where() {
        let id = named("acme", "web").unwrap();
        let of = |source: Value| source_of(&id, &json!({"spec": {"sourceRef": source}}));
        let own = of(json!({"kind": "GitRepository", "name": "repo"})).unwrap();
        assert_eq!(own.to_string(), "acme/repo");
        let other = json!({"kind": "GitRepository", "name": "repo", "namespace": "config"});
        assert_eq!(of(other).unwrap().to_string(), "config/repo");
        let why = of(json!({"kind": "Bucket", "name": "repo"})).unwrap_err();
        assert!(why.to_string().contains("Bucket"), "{why}");
    }
}
