//! `reeve tenant`: Tenants made, imported, looked at, taken away, and namespaces adopted for them, with the rights of whoever asks.
//!
//! Arguments and the order of things. What is made of a Tenant is the landlord's; here it is only waited for.

mod adopt;
mod create;
mod import;
mod remove;
mod show;

use std::time::Duration;

use clap::{Args, Subcommand};
use reeve_api::name::TenantName;
use reeve_api::tenant::{Onboarding, Tenant};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::get::tenants;
use super::provide_tls;
use super::ui::{CommandError, Sign, Ui};
use crate::cluster::Cluster;

/// How often it is looked whether the landlord has said something.
const LOOK: Duration = Duration::from_millis(250);

/// Onboard tenants, look at them, and let them go
#[derive(Args)]
pub(super) struct TenantArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Create(Box<create::CreateArgs>),
    List(tenants::TenantsArgs),
    Show(show::ShowArgs),
    Adopt(adopt::AdoptArgs),
    Import(import::ImportArgs),
    Remove(remove::RemoveArgs),
}

pub(super) fn run(args: &TenantArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    runtime.block_on(async {
        match &args.what {
            What::Create(args) => create::create(args, ui).await,
            What::List(args) => ui.data(tenants::get(args).await?.as_bytes()),
            What::Show(args) => ui.data(show::show(args).await?.as_bytes()),
            What::Adopt(args) => adopt::adopt(args, ui).await,
            What::Import(args) => import::import(args, ui).await,
            What::Remove(args) => remove::remove(args, ui).await,
        }
    })
}

/// A Tenant; None: there is none.
async fn found(cluster: &Cluster, name: &TenantName) -> Result<Option<Tenant>, CommandError> {
    let found = cluster.one::<Tenant>(None, name.as_str()).await;
    found.map_err(|why| CommandError::of(&format!("reading Tenant {name} failed"), &why))
}

/// A Tenant that has to be there.
async fn there(cluster: &Cluster, name: &TenantName) -> Result<Tenant, CommandError> {
    found(cluster, name).await?.ok_or_else(|| {
        CommandError::new(format!("there is no Tenant {name}"))
            .hint("`reeve tenant list` lists those that there are")
    })
}

/// A Tenant's manifest.
fn object(name: &TenantName, spec: Value) -> Value {
    json!({
        "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name}, "spec": spec,
    })
}

/// What the landlord says of the Tenant as it is now, if it has said anything of it.
fn said(tenant: &Tenant) -> Option<&Onboarding> {
    let said = tenant.status.as_ref()?.onboarding.as_ref()?;
    (Some(said.observed_generation) == tenant.metadata.generation).then_some(said)
}

/// Waits for what the landlord makes of a Tenant, and tells it. A refusal of before says nothing of what was changed since.
async fn onboarded(
    cluster: &Cluster,
    name: &TenantName,
    before: Option<&Onboarding>,
    limit: Duration,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    ui.step(Sign::Waiting, "waiting for the landlord");
    let end = Instant::now() + limit;
    let mut last = None;
    while Instant::now() < end {
        let tenant = there(cluster, name).await?;
        if let Some(said) = said(&tenant).filter(|said| said.done) {
            ui.step(
                Sign::Done,
                &format!("Tenant {name} is onboarded: {}", said.message),
            );
            return Ok(());
        }
        last = said(&tenant).cloned();
        if last.as_ref() != before && last.as_ref().is_some_and(is_final) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(match last {
        Some(said) => {
            CommandError::new(format!("Tenant {name} is not onboarded: {}", said.message))
        }
        None => CommandError::new(format!("nobody has onboarded Tenant {name} by now"))
            .hint("look whether the Deployment `reeve-landlord` runs; --timeout waits longer"),
    })
}

/// Whether it takes somebody to change anything about it.
fn is_final(said: &Onboarding) -> bool {
    !said.done && said.reason != reeve_api::reason::Reason::OnboardingFailed.as_str()
}
