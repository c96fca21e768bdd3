//! A Tenant that is deleted with what was made of it, one step at a time: what delivers, the rights, the namespaces.
//!
//! Each look begins anew with what is there, so that one that is interrupted loses nothing. It deliberately waits for nobody: what is
//! on its way is looked at again soon, and a confirmation wakes us. What delivers and cannot be looked at, or deleted, keeps nothing else
//! from being deleted, and the rights only for a while. What goes, what stays and what is waited for is
//! `core::landlord::parting`'s to say; the API server's fence looks whether a namespace was made by us and is confirmed.

use reeve_api::name::NamespaceName;
use reeve_api::reason::Reason;
use reeve_api::tenant::Tenant;
use reeve_core::failure::{Explained, Turn};
use reeve_core::landlord::parting::Moment;
use reeve_core::landlord::{self, Made, Seen, parting};

use super::Landlord;
use super::attend::{failed, tell, warn};
use super::known::Errand;
use super::prune::{Goes, Pruned, prune, prune_of};

/// Of so many things that a Tenant leaves behind a line is logged: there may be as many as somebody likes.
const LOGGED: usize = 20;

/// Does what there is to do for a Tenant that is being deleted. Whether to look again soon.
pub(super) async fn depart(landlord: &Landlord, errand: &Errand, tenant: &Tenant) -> bool {
    if !parting::is_held(tenant) || !parting::takes_along(tenant) {
        return !release(landlord, errand, tenant).await;
    }
    let (told, departure, later) = match dismantle(landlord, errand, tenant).await {
        Ok(parted) if parted.waiting.is_empty() && parted.left.is_empty() => {
            for one in parted.behind.iter().take(LOGGED) {
                tracing::warn!(tenant = %errand.name, %one, "a tenant goes and does not wait for this");
            }
            return !release(landlord, errand, tenant).await;
        }
        Ok(parted) => {
            let later = !parted.left.is_empty();
            let (left, behind) = (&parted.left, &parted.behind);
            let departure = parting::told(&errand.name, parted.waiting, left, behind);
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
#[derive(Default)]
struct Parted {
    /// Namespaces that somebody has to confirm.
    waiting: Vec<NamespaceName>,
    /// What is on its way.
    left: Vec<String>,
    /// What is so too, and keeps nothing else from going.
    behind: Vec<String>,
}

impl Parted {
    /// Something that delivers goes: whether it is waited for stands in its metadata.
    fn see(&mut self, moment: Moment, (kind, namespace): (Made, &NamespaceName), going: &Pruned) {
        let (_, _, called, _) = kind.names();
        for one in &going.all {
            let what = format!("{called} {namespace}/{}", one.name);
            let said = parting::left(&what, &one.finalizers);
            let made = one.made.parse().ok();
            self.add(said, moment.awaits(&one.finalizers, made, one.since));
        }
    }

    fn add(&mut self, said: String, is_awaited: bool) {
        match is_awaited {
            true => self.left.push(said),
            false => self.behind.push(said),
        }
    }
}

async fn dismantle(
    landlord: &Landlord,
    errand: &Errand,
    tenant: &Tenant,
) -> Result<Parted, Explained> {
    let own = places(landlord, errand).await?;
    let mut parted = Parted::default();
    let moment = Moment::of(tenant, landlord.clock.now());
    // As the tenant's account, so before its rights go; in a namespace that goes already nobody has any.
    let standing = own.iter().filter(|(_, seen)| !seen.going);
    let standing = standing.map(|(namespace, _)| (Made::Kustomization, namespace));
    let config = landlord.terms.config_namespace.iter();
    let config = config.flat_map(|config| {
        let kinds = [Made::Receiver, Made::GitRepository];
        kinds.map(|kind| (kind, config))
    });
    for (kind, namespace) in standing.chain(config) {
        match prune(landlord, errand, kind, namespace).await {
            Ok(going) => parted.see(moment, (kind, namespace), &going),
            Err(why) => {
                warn(errand, &why);
                parted.add(why.message, moment.awaits_unseen());
            }
        }
    }
    if !parted.left.is_empty() {
        return Ok(parted);
    }
    for (namespace, seen) in &own {
        if !seen.going
            && let Err(why) = disarm(landlord, errand, tenant, (namespace, seen), &mut parted).await
        {
            // What somebody makes stay in one namespace stays in no other.
            warn(errand, &why);
            parted.left.push(why.message);
        }
        match parting::fate(&errand.name, uid(tenant), seen) {
            parting::Fate::Stays => {}
            parting::Fate::Waits => parted.waiting.push(namespace.clone()),
            parting::Fate::Going => parted.left.push(format!("Namespace {namespace}")),
            parting::Fate::Goes => {
                parted.left.push(format!("Namespace {namespace}"));
                raze(landlord, errand, tenant, namespace).await?;
            }
        }
    }
    Ok(parted)
}

/// Takes away the rights in a namespace, and what else goes with the Tenant there.
async fn disarm(
    landlord: &Landlord,
    errand: &Errand,
    tenant: &Tenant,
    (namespace, seen): (&NamespaceName, &Seen),
    parted: &mut Parted,
) -> Result<(), Explained> {
    for kind in parting::within(seen) {
        let undone = match prune(landlord, errand, *kind, namespace).await {
            Ok(pruned) => pruned.undone,
            Err(why) => {
                by_name(landlord, errand, tenant, (*kind, namespace)).await?;
                return Err(why);
            }
        };
        if undone > 0 {
            let (_, _, called, _) = kind.names();
            let more = format!("{undone} more of kind {called} in {namespace}");
            parted.left.push(more);
        }
    }
    Ok(())
}

/// Deletes what the Tenant says of a kind, where there is more that is marked alike than can be looked at.
async fn by_name(
    landlord: &Landlord,
    errand: &Errand,
    tenant: &Tenant,
    (kind, namespace): (Made, &NamespaceName),
) -> Result<(), Explained> {
    let all = landlord::within(&landlord.terms, &errand.name, tenant, namespace);
    for one in all.iter().filter(|one| one.kind == kind) {
        let goes = Goes {
            tenant: Some(&errand.name),
            kind,
            namespace,
            name: Some(&one.name),
        };
        prune_of(landlord, errand, goes, |_| true).await?;
    }
    Ok(())
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
