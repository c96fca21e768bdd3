//! `reeve tenant remove`: a Tenant is deleted, with what was made of it where it says so.
//!
//! What goes is the landlord's to do; here it is asked for, confirmed and waited for.

use std::collections::BTreeSet;

use clap::Args;
use reeve_api::TENANT_LABEL;
use reeve_api::duration::Duration;
use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::tenant::Tenant;
use reeve_core::landlord::parting;
use tokio::time::Instant;

use super::adopt::seen;
use super::{LOOK, found, there};
use crate::cli::connection::ConnectionArgs;
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::cluster::{CallError, Cluster};
use crate::observe::Requests;

/// Delete a Tenant, and what was made of it if it says so
///
/// With `deletionPolicy: Orphan`, which is the default, nothing else is deleted: its namespaces stay, with all that is in them, and so do
/// the rights of its groups, its source and its Kustomization. What the controller may do as the tenant's account ends, so nothing is
/// delivered there any more. With `deletionPolicy: Delete` its
/// Kustomization goes with what that applied, then its sources and rights; and its namespaces, with all that is in them, once
/// --confirm has said so. What was there before it was onboarded stays.
///
/// Examples: `reeve tenant remove acme`, `reeve tenant remove acme --confirm`
#[derive(Args)]
pub(super) struct RemoveArgs {
    /// The one to delete
    name: TenantName,
    /// Confirm that the namespaces that were made of it go, with all that is in them
    #[arg(long)]
    confirm: bool,
    /// How long to wait for what goes with it
    #[arg(long, value_name = "TIME", default_value = "2m")]
    timeout: Duration,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn remove(args: &RemoveArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let name = &args.name;
    let tenant = there(&cluster, name).await?;
    let along = parting::takes_along(&tenant);
    if args.confirm && !along {
        let message =
            format!("Tenant {name} says deletionPolicy Orphan: there is nothing to confirm");
        let hint = "set spec.deletionPolicy to Delete first, or leave out --confirm";
        return Err(CommandError::new(message).hint(hint));
    }
    if args.confirm {
        confirm(&cluster, name, &tenant, ui).await?;
    }
    if along {
        held(&cluster, args, &tenant).await?;
    }
    let removed = cluster.remove_tenant(&tenant).await;
    removed.map_err(|why| CommandError::of(&format!("deleting Tenant {name} failed"), &why))?;
    if along {
        return gone(&cluster, args, &tenant, ui).await;
    }
    ui.step(Sign::Done, &format!("Tenant {name} deleted"));
    for line in staying(name, &tenant) {
        ui.note(&line);
    }
    Ok(())
}

/// What of an orphaned Tenant goes on by itself: who keeps rights, and what is fetched.
fn staying(name: &TenantName, tenant: &Tenant) -> Vec<String> {
    let mut lines = vec![format!(
        "what was made of it stays: {}; `kubectl delete namespace` deletes a namespace with all that is in it",
        listed(&tenant.spec.namespaces)
    )];
    let readers = tenant.spec.readers.iter();
    let groups: BTreeSet<&str> = readers
        .map(|reader| reader.group.as_str())
        .chain(tenant.spec.owners.iter().map(String::as_str))
        .collect();
    if !groups.is_empty() {
        let groups: Vec<&str> = groups.into_iter().collect();
        lines.push(format!(
            "these groups keep their rights there: {}; `kubectl delete rolebindings --selector={TENANT_LABEL}={name}` in each namespace takes them",
            groups.join(", ")
        ));
    }
    if let Some(source) = &tenant.spec.source {
        let hook = match source.receiver {
            Some(_) => " and Receiver",
            None => "",
        };
        lines.push(format!(
            "what was made of spec.source stays: GitRepository{hook} {name} in the configuration namespace, which goes on being fetched, and Kustomization {name} in one of the namespaces, to be suspended before it is deleted, since nobody may delete what it applied; a Tenant of this name that has no source leaves them as they are"
        ));
    }
    lines
}

/// Says of each namespace that was made of the Tenant that it may go with it.
async fn confirm(
    cluster: &Cluster,
    name: &TenantName,
    tenant: &Tenant,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let uid = tenant.metadata.uid.as_deref().unwrap_or_default();
    for namespace in &tenant.spec.namespaces {
        let failed = |what: &str, why: CallError| {
            CommandError::of(&format!("{what} namespace {namespace} failed"), &why)
        };
        let there = cluster.namespace(namespace).await;
        let Some(there) = there.map_err(|why| failed("reading", why))? else {
            continue;
        };
        if parting::fate(name, uid, &seen(&there)) != parting::Fate::Waits {
            continue;
        }
        let confirmed = cluster.confirm_deletion(namespace, uid).await;
        confirmed.map_err(|why| {
            failed("annotating", why).hint("you need the right to patch namespaces")
        })?;
        ui.step(
            Sign::Doing,
            &format!("namespace {namespace} goes, with all that is in it"),
        );
    }
    Ok(())
}

/// Waits until the landlord holds the Tenant: one that nobody holds goes at once, and takes nothing along.
async fn held(cluster: &Cluster, args: &RemoveArgs, read: &Tenant) -> Result<(), CommandError> {
    let name = &args.name;
    let end = Instant::now() + args.timeout.get();
    while Instant::now() < end {
        let Some(tenant) = found(cluster, name).await? else {
            return Ok(());
        };
        let another = tenant.metadata.uid != read.metadata.uid;
        if another || parting::is_held(&tenant) || parting::is_leaving(&tenant) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    let message =
        format!("the landlord does not hold Tenant {name} by now, so nothing would go with it");
    let hint = "look whether the Deployment `reeve-landlord` runs; with deletionPolicy Orphan it can be deleted without";
    Err(CommandError::new(message).hint(hint))
}

/// Waits until the Tenant is gone, or somebody has to confirm what goes with it.
async fn gone(
    cluster: &Cluster,
    args: &RemoveArgs,
    removed: &Tenant,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let name = &args.name;
    ui.step(Sign::Waiting, "waiting for what was made of it to go");
    let end = Instant::now() + args.timeout.get();
    let mut last = String::from(
        "the landlord has said nothing: look whether the Deployment `reeve-landlord` runs",
    );
    while Instant::now() < end {
        let left = found(cluster, name).await?;
        let left = left.filter(|left| left.metadata.uid == removed.metadata.uid);
        let Some(left) = left else {
            ui.step(
                Sign::Done,
                &format!("Tenant {name} deleted, and what was made of it"),
            );
            return Ok(());
        };
        let departure = left.status.and_then(|status| status.departure);
        if let Some(departure) = departure {
            // What was confirmed is on its way.
            if !departure.namespaces.is_empty() && !args.confirm {
                ui.step(Sign::Waiting, &waiting(name, &departure.namespaces));
                return Ok(());
            }
            last = departure.message;
        }
        tokio::time::sleep(LOOK).await;
    }
    let message = format!("Tenant {name} is not gone by now: {last}");
    Err(CommandError::new(message)
        .hint("--timeout waits longer; nothing is lost by running it again"))
}

fn waiting(name: &TenantName, namespaces: &[NamespaceName]) -> String {
    format!(
        "Tenant {name} is being deleted; these namespaces wait for a confirmation: {}\n`reeve tenant remove {name} --confirm` deletes them with all that is in them",
        listed(namespaces)
    )
}

fn listed(namespaces: &[NamespaceName]) -> String {
    let names: Vec<&str> = namespaces.iter().map(NamespaceName::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_rights_and_what_is_fetched_after_an_orphaned_tenant_is_said() {
        let tenant = |spec: serde_json::Value| -> Tenant {
            let tenant = serde_json::json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "zz"},
                "spec": spec,
            });
            serde_json::from_value(tenant).unwrap()
        };
        let name: TenantName = "zz".parse().unwrap();
        let bare = tenant(serde_json::json!({"namespaces": ["zz"]}));
        assert_eq!(staying(&name, &bare).len(), 1);
        let full = tenant(serde_json::json!({
            "namespaces": ["zz", "zz-dev"], "owners": ["devs"],
            "readers": [{"group": "devs"}, {"group": "ops", "exec": true}],
            "source": {
                "url": "https://git.example/zz",
                "receiver": {"type": "github", "secretRef": {"name": "token"}},
            },
        }));
        let told = staying(&name, &full);
        assert!(told[0].contains("stays: zz, zz-dev;"), "{told:?}");
        assert!(told[1].contains("rights there: devs, ops;"), "{told:?}");
        assert!(told[1].contains("--selector=reeve.dev/tenant=zz"));
        assert!(told[2].contains("GitRepository and Receiver zz"));
        assert!(told[2].contains("to be suspended before"), "{told:?}");
    }

    #[test]
    fn what_waits_is_listed_with_the_command_that_confirms_it() {
        let namespaces = ["acme", "acme-dev"].map(|name| name.parse().unwrap());
        let told = waiting(&"acme".parse().unwrap(), &namespaces);
        assert!(told.contains("confirmation: acme, acme-dev"), "{told}");
        assert!(
            told.contains("`reeve tenant remove acme --confirm`"),
            "{told}"
        );
    }
}
