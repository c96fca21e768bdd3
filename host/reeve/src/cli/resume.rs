//! `reeve resume`: objects that were suspended go on, with a run at once that is waited for.

use std::time::Duration;

use clap::Args;
use reeve_api::name::NamespacedName;
use serde_json::json;

use super::operate::{Which, answered, called, change, request, token};
use super::provide_tls;
use super::text::counted;
use super::ui::{CommandError, Sign, Ui};
use crate::cluster::{Cluster, Operated};
use crate::observe::Requests;

/// Let suspended objects go on, and wait until they are Ready
///
/// Sets spec.suspend to false and asks for a run. Exits 1 with the words of the condition when one is not Ready then.
///
/// Examples: `reeve resume kustomization web -n acme`, `reeve resume source git --all -n acme`
#[derive(Args)]
pub(super) struct ResumeArgs {
    #[command(subcommand)]
    which: Which,
    /// How long each of them is waited for
    #[arg(long, global = true, value_name = "TIME", default_value = "5m")]
    timeout: reeve_api::duration::Duration,
}

pub(super) fn run(args: &ResumeArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    runtime.block_on(resume(&args.which, args.timeout.get(), ui))
}

async fn resume(which: &Which, limit: Duration, ui: &mut Ui) -> Result<(), CommandError> {
    let (kind, names) = (which.kind(), which.names());
    let cluster = names.connection.connect(Requests::default()).await?;
    let ids = names.ids(&cluster, kind).await?;
    let mut failed = Vec::new();
    for id in &ids {
        if let Err(why) = one(&cluster, kind, id, limit, ui).await {
            failed.push(why);
        }
    }
    let (all, not) = (ids.len(), failed.len());
    match failed.pop() {
        None => Ok(()),
        Some(why) if all == 1 => Err(why),
        Some(last) => {
            failed.push(last);
            failed.iter().for_each(|why| ui.error(why));
            let all = counted(all, called(kind), &format!("{}s", called(kind)));
            Err(CommandError::new(format!("{not} of {all} failed")))
        }
    }
}

async fn one(
    cluster: &Cluster,
    kind: Operated,
    id: &NamespacedName,
    limit: Duration,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let called = called(kind);
    let doing = format!(
        "resuming {called} {} in {} namespace",
        id.name, id.namespace
    );
    ui.step(Sign::Doing, &doing);
    let token = token();
    let mut wanted = request(&token);
    if let Some(fields) = wanted.as_object_mut() {
        fields.insert("spec".to_owned(), json!({"suspend": false}));
    }
    change(cluster, kind, id, &wanted).await?;
    ui.step(Sign::Done, &format!("{called} resumed"));
    answered(cluster, kind, id, &token, limit, ui).await
}
