//! `reeve migrate`: taking over what another controller has. Of Flux, so far.
//!
//! Arguments, reading, and the order of things; what goes, what stays and what is in the way is `core::migrate`'s. The steps are
//! `migrate/report.rs`, `migrate/crds.rs` and `migrate/hand_over.rs`, each safe to be done again.

mod crds;
mod hand_over;
mod report;

use clap::{Args, Subcommand};
use reeve_api::tenant::Tenant as TenantObject;
use reeve_core::migrate::Found;
use reeve_core::tenancy::Tenants;
use serde_json::Value;

use super::check::is_ours;
use super::provide_tls;
use super::ui::{CommandError, Ui};
use crate::cluster::{CallError, Cluster};

/// The code for what was refused before anything was changed, and for what could not be said.
const REFUSED: u8 = 2;
/// What all controllers of Flux's installation are labelled with.
pub(super) const FLUX: &str = "app.kubernetes.io/part-of=flux";
/// What all controllers of the chart are labelled with.
const OURS: &str = "app.kubernetes.io/component=controller";

/// Take over what another controller has
#[derive(Args)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    from: Other,
}

#[derive(Subcommand)]
enum Other {
    Flux(FluxArgs),
}

/// Take over GitRepositories, Kustomizations and Receivers of a running Flux, without touching what they applied
///
/// An object belongs to the controller that its label `sharding.fluxcd.io/key` says: with the value `reeve` to reeve, started with
/// `--watch-label-selector=sharding.fluxcd.io/key=reeve`, and to Flux without it, started with `--watch-label-selector=!sharding.fluxcd.io/key`.
/// So no object is ever worked on by both. Begin with `report`, then `crds`, then `namespace` for one after the other. Every step can be
/// done again, and `--back` goes back.
#[derive(Args)]
struct FluxArgs {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    Report(report::ReportArgs),
    Crds(crds::CrdsArgs),
    Namespace(hand_over::HandOverArgs),
}

pub(super) fn run(args: &MigrateArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    let Other::Flux(flux) = &args.from;
    runtime.block_on(async {
        match &flux.step {
            Step::Report(args) => report::report(args, ui).await,
            Step::Crds(args) => crds::adopt(args, ui).await,
            Step::Namespace(args) => hand_over::hand_over(args, ui).await,
        }
    })
}

/// All there is of Flux, and whose the namespaces are.
async fn found(cluster: &Cluster) -> Result<(Found, Tenants), CommandError> {
    let failed = |doing: &str, why: &CallError| {
        CommandError::of(&format!("{doing} failed"), why).exits(REFUSED)
    };
    let mut tenants = Tenants::default();
    // Before reeve's own kinds are there, there are none.
    let undefined = matches!(cluster.definition::<TenantObject>().await, Ok(None));
    let all = match undefined {
        true => Vec::new(),
        false => cluster.all::<TenantObject>(None).await.map_err(|why| {
            let hint = "you need the right to list tenants.reeve.dev";
            failed("reading Tenants", &why).hint(hint)
        })?,
    };
    all.iter().for_each(|one| drop(tenants.apply(one)));
    if !all.is_empty() {
        let marks = cluster.marks().await.map_err(|why| {
            failed("reading namespaces", &why).hint("you need the right to list namespaces")
        })?;
        for (namespace, whose) in marks {
            let _moved = tenants.mark(&namespace, Some(whose));
        }
    }
    let objects = cluster.flux_objects().await;
    let (objects, unread) = objects.map_err(|why| failed("listing Flux's kinds", &why))?;
    let mut found = Found {
        unread,
        ..Found::default()
    };
    for object in objects {
        let kind = object.get("kind").and_then(Value::as_str);
        match kind.unwrap_or_default() {
            "GitRepository" => found.sources.push(object),
            "Kustomization" => found.kustomizations.push(object),
            "Receiver" => found.receivers.push(object),
            _ => found.others.push(object),
        }
    }
    let mut read = |doing: &str, all: Result<Vec<Value>, CallError>| {
        all.unwrap_or_else(|why| {
            found.unread.push(format!("{doing} failed: {why}"));
            Vec::new()
        })
    };
    let definitions = read("listing definitions", cluster.flux_definitions().await);
    let flux = read(
        "listing Flux's Deployments",
        cluster.deployments(FLUX).await,
    );
    let ours = read(
        "listing reeve's Deployments",
        cluster.deployments(OURS).await,
    );
    found.definitions = definitions;
    // Ours may bear Flux's label, for Flux's command line.
    found.flux = flux.into_iter().filter(|one| !is_ours(one)).collect();
    found.ours = ours.into_iter().filter(is_ours).collect();
    Ok((found, tenants))
}
