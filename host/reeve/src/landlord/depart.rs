//! A Tenant that is deleted with what was made of it, one step at a time: what delivers, the rights, the namespaces.
//!
//! Each look begins anew with what is there, so that one that is interrupted loses nothing. It deliberately waits for nobody: what is
//! on its way is looked at again soon, and a confirmation wakes us. What goes and what stays is `core::landlord::parting`'s to
//! say; the API server's fence looks whether a namespace was made by us and is confirmed.

use reeve_api::name::NamespaceName;
use reeve_api::reason::Reason;
use reeve_api::tenant::Tenant;
use reeve_core::failure::{Explained, Turn};
use reeve_core::landlord::{Made, Seen, parting};

use super::Landlord;
use super::attend::{failed, prune, tell, warn};
use super::known::Errand;

/// Does what there is to do for a Tenant that is being deleted. Whether to look again soon.
pub(super) async fn depart(landlord: &Landlord, errand: &Errand, tenant: &Tenant) -> bool {
    if !parting::is_held(tenant) || !parting::takes_along(tenant) {
        return !release(landlord, errand, tenant).await;
    }
    let (told, departure, later) = match dismantle(landlord, errand, tenant).await {
        Ok(parted) if parted.waiting.is_empty() && parted.left == 0 => {
            return !release(landlord, errand, tenant).await;
        }
        Ok(parted) => {
            let later = parted.left > 0;
            let departure = parting::told(&errand.name, parted.waiting, parted.left);
            let turn = Turn::OwnerOrPolicy;
            let why = Explained::new(Reason::TenantLeaving, turn, departure.message.clone());
            (why, Some(departure), later)
        }
        Err(why) => {
            warn(errand, &why);
            (
                why,
                tenant.status.as_ref().and_then(|it| it.departure.clone()),
                true,
            )
        }
    };
    match tell(landlord, tenant, Err(told), departure.as_ref()).await {
        Ok(()) => later,
        Err(why) => {
            warn(errand, &failed("telling what became of it", &why));
            true
        }
    }
}

/// Holds a Tenant that takes along what is made of it, before anything is; and lets go of one that no longer does.
pub(super) async fn hold(landlord: &Landlord, tenant: &Tenant) -> Result<(), Explained> {
    let Some(finalizers) = parting::finalizers(tenant, parting::takes_along(tenant)) else {
        return Ok(());
    };
    let held = landlord.cluster.hold_tenant(tenant, &finalizers).await;
    held.map_err(|why| failed("holding the Tenant", &why))
}

/// Lets a Tenant that is being deleted go. False: that has to be tried again.
pub(super) async fn release(landlord: &Landlord, errand: &Errand, tenant: &Tenant) -> bool {
    let leaving = parting::is_leaving(tenant);
    let finalizers = parting::finalizers(tenant, false).filter(|_| leaving);
    let Some(finalizers) = finalizers else {
        return true;
    };
    match landlord.cluster.hold_tenant(tenant, &finalizers).await {
        Ok(()) => true,
        Err(why) => {
            warn(errand, &failed("letting the Tenant go", &why));
            false
        }
    }
}

/// How far it is.
struct Parted {
    /// Namespaces that somebody has to confirm.
    waiting: Vec<NamespaceName>,
    /// How many objects are on their way.
    left: usize,
}

async fn dismantle(
    landlord: &Landlord,
    errand: &Errand,
    tenant: &Tenant,
) -> Result<Parted, Explained> {
    let own = places(landlord, errand).await?;
    // As the tenant's account, so before its rights go; in a namespace that goes already nobody has any.
    let mut delivering = 0;
    for (namespace, _) in own.iter().filter(|(_, seen)| !seen.going) {
        delivering += prune(landlord, errand, Made::Kustomization, namespace, |_| true).await?;
    }
    if let Some(config) = &landlord.terms.config_namespace {
        delivering += prune(landlord, errand, Made::Receiver, config, |_| true).await?;
        delivering += prune(landlord, errand, Made::GitRepository, config, |_| true).await?;
    }
    let mut parted = Parted {
        waiting: Vec::new(),
        left: delivering,
    };
    if delivering > 0 {
        return Ok(parted);
    }
    for (namespace, seen) in &own {
        if !seen.going {
            for kind in parting::within(seen) {
                prune(landlord, errand, *kind, namespace, |_| true).await?;
            }
        }
        match parting::fate(&errand.name, uid(tenant), seen) {
            parting::Fate::Stays => {}
            parting::Fate::Waits => parted.waiting.push(namespace.clone()),
            parting::Fate::Going => parted.left += 1,
            parting::Fate::Goes => {
                parted.left += 1;
                raze(landlord, errand, tenant, namespace).await?;
            }
        }
    }
    Ok(parted)
}

/// The namespaces that are the Tenant's by their label, as they are now.
async fn places(
    landlord: &Landlord,
    errand: &Errand,
) -> Result<Vec<(NamespaceName, Seen)>, Explained> {
    let mut own = Vec::new();
    for (namespace, _) in &errand.has {
        let there = landlord.cluster.place(namespace).await;
        let there = there.map_err(|why| failed(&format!("reading Namespace {namespace}"), &why))?;
        let there = there.filter(|(seen, _)| seen.tenant() == Some(errand.name.as_str()));
        own.extend(there.map(|(seen, _)| (namespace.clone(), seen)));
    }
    Ok(own)
}

/// Deletes a namespace, if it is as it was when that was decided.
async fn raze(
    landlord: &Landlord,
    errand: &Errand,
    tenant: &Tenant,
    namespace: &NamespaceName,
) -> Result<(), Explained> {
    let doing = format!("deleting Namespace {namespace}");
    let there = landlord.cluster.place(namespace).await;
    let Some((seen, there)) = there.map_err(|why| failed(&doing, &why))? else {
        return Ok(());
    };
    if parting::fate(&errand.name, uid(tenant), &seen) != parting::Fate::Goes {
        return Ok(());
    }
    let razed = landlord.cluster.raze(&there).await;
    razed.map_err(|why| failed(&doing, &why))
}

fn uid(tenant: &Tenant) -> &str {
    tenant.metadata.uid.as_deref().unwrap_or_default()
}
