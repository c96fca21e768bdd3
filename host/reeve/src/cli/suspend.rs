//! `reeve suspend`: the controller is to leave objects as they are until `reeve resume`.

use clap::Args;
use serde_json::json;

use super::operate::{Which, called, change};
use super::provide_tls;
use super::ui::{CommandError, Sign, Ui};
use crate::observe::Requests;

/// Stop reconciling objects until they are resumed
///
/// Sets spec.suspend. What is applied stays; a run that is under way ends with the write that it is at.
///
/// Examples: `reeve suspend kustomization web -n acme`, `reeve suspend source git --all -n acme`
#[derive(Args)]
pub(super) struct SuspendArgs {
    #[command(subcommand)]
    which: Which,
}

pub(super) fn run(args: &SuspendArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    runtime.block_on(suspend(&args.which, ui))
}

async fn suspend(which: &Which, ui: &mut Ui) -> Result<(), CommandError> {
    let (kind, names) = (which.kind(), which.names());
    let cluster = names.connection.connect(Requests::default()).await?;
    let called = called(kind);
    for id in names.ids(&cluster, kind).await? {
        let doing = format!(
            "suspending {called} {} in {} namespace",
            id.name, id.namespace
        );
        ui.step(Sign::Doing, &doing);
        change(&cluster, kind, &id, &json!({"spec": {"suspend": true}})).await?;
        ui.step(Sign::Done, &format!("{called} suspended"));
    }
    Ok(())
}
