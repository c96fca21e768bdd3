//! What delivers to a tenant: kept where it lies, and moved only out of a namespace that the tenant has no more.
//!
//! The order of a Tenant's namespaces does not say where its manifests are: whoever sorts them moves nothing. What is left where the
//! tenant has nothing any more, or lies in a second one of its namespaces, is suspended before it is deleted, so that what it
//! applied stays as it is: nobody who writes a list of names means to delete workloads. It deliberately does so only once there is
//! another. Which one is kept is `core::landlord`'s to say.

use std::collections::BTreeMap;

use reeve_api::name::NamespaceName;
use reeve_api::tenant::Tenant;
use reeve_core::failure::Explained;
use reeve_core::landlord::{self, Made, Seen};

use super::Landlord;
use super::attend::{failed, keep};
use super::known::Errand;
use crate::cluster::There;

/// Makes what delivers, if its namespace is among those that were `made` just now; and takes away what delivers besides.
pub(super) async fn deliver(
    landlord: &Landlord,
    errand: &Errand,
    tenant: &Tenant,
    made: &[&NamespaceName],
) -> Result<(), Explained> {
    if tenant.spec.source.is_none() {
        return Ok(());
    }
    let mut there = BTreeMap::new();
    for (namespace, seen) in &errand.has {
        if may_lie(errand, seen.as_ref(), made.contains(&namespace))
            && let Some(found) = find(landlord, errand, namespace).await?
        {
            there.insert(namespace, found);
        }
    }
    let home = landlord::home(&tenant.spec.namespaces, |one| there.contains_key(one));
    let Some(home) = home.filter(|home| made.contains(home)) else {
        // Where it is to lie something is wrong, which is told: until that is mended it moves nowhere.
        return Ok(());
    };
    for wanted in landlord::delivered(&landlord.terms, &errand.name, tenant, home) {
        keep(landlord, &wanted).await?;
    }
    for (namespace, second) in there.iter().filter(|(one, _)| **one != home) {
        retire(landlord, namespace, second).await?;
    }
    for namespace in &errand.left {
        if let Some(left) = find(landlord, errand, namespace).await? {
            retire(landlord, namespace, &left).await?;
        }
    }
    Ok(())
}

/// Whether there can be something of the tenant's in one of its namespaces. In one that was made just now there is nothing.
fn may_lie(errand: &Errand, seen: Option<&Seen>, made: bool) -> bool {
    match seen {
        Some(seen) => !seen.going && seen.tenant() == Some(errand.name.as_str()),
        None => !made,
    }
}

async fn find(
    landlord: &Landlord,
    errand: &Errand,
    namespace: &NamespaceName,
) -> Result<Option<There>, Explained> {
    let name = &errand.name;
    let found = landlord
        .cluster
        .made_as(name, Made::Kustomization, namespace, name.as_str())
        .await;
    found.map_err(|why| failed(&format!("listing Kustomizations of {namespace}"), &why))
}

/// What was delivered by it stays.
async fn retire(
    landlord: &Landlord,
    namespace: &NamespaceName,
    there: &There,
) -> Result<(), Explained> {
    if there.since.is_some() {
        return Ok(());
    }
    let (cluster, name) = (&landlord.cluster, &there.name);
    let laid = cluster.lay_down(namespace, there).await;
    laid.map_err(|why| {
        let doing = format!("suspending Kustomization {namespace}/{name}, which moves");
        failed(&doing, &why)
    })?;
    let gone = cluster.discard(Made::Kustomization, namespace, there).await;
    gone.map_err(|why| {
        let doing = format!("deleting Kustomization {namespace}/{name}, which moves");
        failed(&doing, &why)
    })
}
