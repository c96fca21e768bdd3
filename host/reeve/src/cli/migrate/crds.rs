//! `reeve migrate flux crds`: the definitions of the kinds that both serve become ours, and Flux is told to leave them alone.

use clap::Args;
use reeve_core::migrate::{self, Ground, Is, definition};
use serde_json::{Value, json};

use super::{REFUSED, found, report};
use crate::cli::connection::ConnectionArgs;
use crate::cli::grounds::GroundArgs;
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::cluster::Cluster;
use crate::observe::Requests;

/// What the subjects of findings about definitions begin with.
const SUBJECT: &str = "CustomResourceDefinition/";

/// Adopt the definitions of GitRepository, Kustomization and Receiver
///
/// They are made reeve's, which hold all that Flux's hold, and Flux is told by an annotation to leave them alone. No object is changed.
/// One that would lose a field, or that objects are stored by in a version of which reeve knows nothing, is refused. With --back Flux may
/// put its own back; objects keep what they have.
///
/// Exits 2 when it is refused before anything was changed.
///
/// Example: `reeve migrate flux crds --dry-run`
#[derive(Args)]
pub(super) struct CrdsArgs {
    /// Let Flux keep them again
    #[arg(long)]
    back: bool,
    /// Ask the API server whether they could be adopted, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    ground: GroundArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn adopt(args: &CrdsArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let cluster = args.connection.connect(Requests::default()).await;
    let cluster = cluster.map_err(|why| why.exits(REFUSED))?;
    if args.back {
        return back(args, &cluster, ui).await;
    }
    let (found, tenants) = found(&cluster).await?;
    let ground = Ground {
        grounds: &args.ground.grounds(&[], &[]),
        tenants: &tenants,
    };
    let mut findings = migrate::report(&found, ground);
    findings.retain(|one| one.subject.starts_with(SUBJECT) && one.is == Is::InTheWay);
    if !findings.is_empty() {
        let what = report::drawn(&findings);
        let why = CommandError::new(format!("the definitions cannot be adopted:\n{what}"));
        return Err(why.exits(REFUSED));
    }
    // All of them are asked about before the first is written.
    for dry_run in [true, false] {
        if args.dry_run && !dry_run {
            break;
        }
        for definition in shared() {
            let name = name(&definition).to_owned();
            let written = cluster.define(&marked(definition), dry_run).await;
            written.map_err(|why| {
                CommandError::of(&format!("adopting {name} failed"), &why)
                    .hint("you need the right to patch customresourcedefinitions; run it again when that is mended")
                    .exits(if dry_run { REFUSED } else { 1 })
            })?;
            if !dry_run {
                ui.step(Sign::Done, &format!("{name} is reeve's"));
            } else if args.dry_run {
                ui.step(Sign::Done, &format!("{name} could be adopted"));
            }
        }
    }
    Ok(())
}

async fn back(args: &CrdsArgs, cluster: &Cluster, ui: &mut Ui) -> Result<(), CommandError> {
    let (key, _) = definition::LEFT_ALONE;
    for definition in shared() {
        let name = name(&definition);
        if !args.dry_run {
            let change = json!({"metadata": {"annotations": {key: null}}});
            let changed = cluster.mark_definition(name, &change).await;
            changed.map_err(|why| CommandError::of(&format!("giving {name} back failed"), &why))?;
        }
        ui.step(Sign::Done, &format!("Flux may keep {name} again"));
    }
    Ok(())
}

/// The definitions of the kinds that both serve.
fn shared() -> impl Iterator<Item = Value> {
    let all = reeve_api::crds().into_iter();
    let all = all.filter(|crd| crd.spec.group != reeve_api::REEVE_GROUP);
    all.filter_map(|crd| serde_json::to_value(crd).ok())
}

fn name(definition: &Value) -> &str {
    let name = definition.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// With what has Flux leave it alone.
fn marked(mut definition: Value) -> Value {
    let (key, value) = definition::LEFT_ALONE;
    if let Some(meta) = definition
        .get_mut("metadata")
        .and_then(Value::as_object_mut)
    {
        let annotations = meta.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(key.to_owned(), value.into());
        }
    }
    definition
}
