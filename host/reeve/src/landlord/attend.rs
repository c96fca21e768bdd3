//! One Tenant attended to: what it has lost is let go, what it has is made, and both are told.
//!
//! What cannot be made of one namespace keeps no other from being made, nor does what cannot be taken away. Of a namespace that the
//! Tenant has no more only the delivery's right is taken away: everything else in it stays as it is, as does the namespace. In one
//! that has become the platform's nothing is done, and that is told. What goes with a Tenant that is deleted is
//! [`depart`](super::depart)'s.

use std::collections::BTreeSet;

use reeve_api::name::NamespaceName;
use reeve_api::reason::Reason;
use reeve_api::tenant::{Departure, Onboarding, Tenant};
use reeve_core::failure::{Explained, Turn, chain};
use reeve_core::landlord::{self, GRANT, Made, Seen, Wanted, parting};
use reeve_core::status::words;

use super::known::Errand;
use super::prune::{Goes, prune_but, prune_of};
use super::{Landlord, deliver, depart};
use crate::cluster::{CallError, There};

/// How it ended.
pub(super) struct Ended {
    /// Whether to try again soon, and later each time.
    pub(super) later: bool,
    /// The definition that the Tenant is seen under; None: it is gone, and so is what it let the delivery do.
    pub(super) under: Option<String>,
}

/// Does what there is to do for one Tenant.
pub(super) async fn attend(landlord: &Landlord, errand: &Errand) -> Ended {
    let definition = landlord.cluster.definition::<Tenant>().await;
    let definition = match definition {
        Ok(definition) => definition,
        Err(why) => {
            warn(errand, &failed("reading the definition of Tenants", &why));
            return Ended {
                later: true,
                under: errand.under.clone(),
            };
        }
    };
    let going = definition.as_ref().is_some_and(|it| it.going);
    let Some(definition) = definition.filter(|it| !it.going) else {
        // Whoever deletes the definition deletes all Tenants with it, and means none of them: what was made stays.
        if let Some(object) = errand.object.as_ref().filter(|_| going) {
            depart::release(landlord, errand, object).await;
        }
        return Ended {
            later: true,
            under: errand.under.clone(),
        };
    };
    let Some(object) = &errand.object else {
        return forget(landlord, errand, &definition.uid).await;
    };
    if parting::is_leaving(object) {
        return Ended {
            later: depart::depart(landlord, errand, object).await,
            under: Some(definition.uid),
        };
    }
    let left = leave(landlord, errand, None).await;
    let made = onboard(landlord, errand, object, &definition.uid).await;
    let told = left.and(made);
    if let Err(why) = &told {
        warn(errand, why);
    }
    let soon = |why: &Explained| why.reason == Reason::OnboardingFailed;
    let mut later = told.as_ref().is_err_and(soon);
    if let Err(why) = tell(landlord, object, told, None).await {
        warn(errand, &failed("telling what became of it", &why));
        later = true;
    }
    Ended {
        later,
        under: Some(definition.uid),
    }
}

/// A Tenant is gone. One that went with another definition than the one that is there was deleted by nobody.
async fn forget(landlord: &Landlord, errand: &Errand, definition: &str) -> Ended {
    if errand
        .under
        .as_ref()
        .is_some_and(|under| under != definition)
    {
        return Ended {
            later: false,
            under: errand.under.clone(),
        };
    }
    // One that went before this process began says there under which it was; what says nothing is older than that.
    let unknown = errand.under.is_none().then_some(definition);
    if let Some(namespace) = errand.outgrown.first() {
        warn(errand, &landlord::outgrown(&errand.name, namespace));
    }
    let told = leave(landlord, errand, unknown).await;
    if let Err(why) = &told {
        warn(errand, why);
    }
    Ended {
        later: told.is_err(),
        under: errand.under.clone().filter(|_| told.is_err()),
    }
}

/// Makes everything that can be made, and returns what is said of it; an error is the first thing that could not.
async fn onboard(
    landlord: &Landlord,
    errand: &Errand,
    tenant: &Tenant,
    definition: &str,
) -> Result<String, Explained> {
    let (terms, name) = (&landlord.terms, &errand.name);
    landlord::judge(terms, name, tenant)?;
    depart::hold(landlord, tenant).await?;
    let outgrown = errand.outgrown.first();
    let outgrown = outgrown.map(|namespace| landlord::outgrown(name, namespace));
    let mut wrong = outgrown.or_else(|| errand.lost.first().map(landlord::taken));
    let mut made = Vec::new();
    for (namespace, seen) in &errand.has {
        let done = match landlord::claim(name, namespace, seen.as_ref()) {
            Ok(()) => {
                let place = (namespace, seen.as_ref());
                furnish(landlord, errand, tenant, definition, place).await
            }
            Err(why) => Err(why),
        };
        match done {
            Ok(()) => made.push(namespace),
            // What may pass by itself is tried again whatever else is wrong.
            Err(why) if why.reason == Reason::OnboardingFailed => wrong = Some(why),
            Err(why) => wrong = wrong.or(Some(why)),
        }
    }
    deliver::deliver(landlord, errand, tenant, &made).await?;
    match wrong {
        Some(why) => Err(why),
        None => Ok(match made.len() {
            1 => "1 namespace is made and kept".to_owned(),
            n => format!("{n} namespaces are made and kept"),
        }),
    }
}

/// A namespace and what is in it; what is of ours there and not to be is deleted.
async fn furnish(
    landlord: &Landlord,
    errand: &Errand,
    tenant: &Tenant,
    definition: &str,
    (namespace, seen): (&NamespaceName, Option<&Seen>),
) -> Result<(), Explained> {
    let name = &errand.name;
    if seen.is_none() {
        let fresh = landlord::fresh(name, namespace);
        let made = landlord.cluster.make_first(&fresh).await;
        made.map_err(|why| failed(&format!("making Namespace {namespace}"), &why))?;
    }
    keep(landlord, &landlord::namespace(name, tenant, namespace)).await?;
    let within = landlord::within(&landlord.terms, name, tenant, namespace);
    for wanted in &within {
        keep(landlord, &wanted.clone().under(definition)).await?;
    }
    if seen.is_none() {
        // It was made just now: nothing is left in it of what was to be before.
        return Ok(());
    }
    let wanted = within.iter();
    let wanted: BTreeSet<(Made, &str)> = wanted.map(|one| (one.kind, one.name.as_str())).collect();
    prune_but(landlord, errand, namespace, &wanted).await
}

/// Takes away the delivery's right where the Tenant has nothing any more; only what was made under that definition, if one is given.
async fn leave(
    landlord: &Landlord,
    errand: &Errand,
    definition: Option<&str>,
) -> Result<(), Explained> {
    let goes = |there: &There| match (definition, there.under.as_deref()) {
        (Some(definition), Some(under)) => under == definition,
        _ => true,
    };
    let mut wrong = None;
    for namespace in &errand.left {
        // What somebody makes stay in one namespace stays in no other.
        if let Err(why) = leave_one(landlord, errand, namespace, goes).await {
            wrong = wrong.or(Some(why));
        }
    }
    wrong.map_or(Ok(()), Err)
}

async fn leave_one(
    landlord: &Landlord,
    errand: &Errand,
    namespace: &NamespaceName,
    goes: impl Fn(&There) -> bool,
) -> Result<(), Explained> {
    let kind = Made::RoleBinding;
    // By its name: a tenant may mark so many others alike that it would be looked for in vain.
    let grant = Goes {
        tenant: Some(&errand.name),
        kind,
        namespace,
        name: Some(GRANT),
    };
    if prune_of(landlord, errand, grant, goes)
        .await?
        .all
        .is_empty()
    {
        return Ok(());
    }
    let granted = landlord
        .cluster
        .made_as(&errand.name, kind, namespace, GRANT)
        .await;
    let granted = granted.map_err(|why| {
        let doing = format!("looking for RoleBinding {namespace}/{GRANT}");
        failed(&doing, &why)
    })?;
    // One that waits for somebody still lets the delivery act.
    if granted.is_none() {
        return Ok(());
    }
    let message = format!(
        "RoleBinding {namespace}/{GRANT} is deleted and not gone: take off the finalizers that somebody has put on it"
    );
    let reason = Reason::OnboardingFailed;
    Err(Explained::new(reason, Turn::Dependency, message))
}

pub(super) async fn keep(landlord: &Landlord, wanted: &Wanted) -> Result<(), Explained> {
    let kept = landlord.cluster.furnish(wanted).await;
    kept.map_err(|why| {
        let (_, _, kind, _) = wanted.kind.names();
        let at = wanted.namespace.as_ref();
        let at = at.map_or_else(String::new, |at| format!("{at}/"));
        failed(&format!("making {kind} {at}{}", wanted.name), &why)
    })
}

/// Says what became of it, where that is news.
pub(super) async fn tell(
    landlord: &Landlord,
    tenant: &Tenant,
    told: Result<String, Explained>,
    departure: Option<&Departure>,
) -> Result<(), CallError> {
    let onboarding = Onboarding {
        done: told.is_ok(),
        reason: match &told {
            Ok(_) => Reason::Succeeded,
            Err(why) => why.reason,
        }
        .as_str()
        .to_owned(),
        message: match &told {
            Ok(says) => says.clone(),
            Err(why) => words(why),
        },
        observed_generation: tenant.metadata.generation.unwrap_or_default(),
    };
    let before = tenant.status.as_ref();
    let same = before.is_some_and(|before| {
        before.onboarding.as_ref() == Some(&onboarding) && before.departure.as_ref() == departure
    });
    if same {
        return Ok(());
    }
    let told = landlord
        .cluster
        .tell_onboarding(tenant, &onboarding, departure);
    told.await
}

pub(super) fn failed(doing: &str, why: &CallError) -> Explained {
    let message = format!("{doing} failed: {}", chain(why));
    Explained::new(Reason::OnboardingFailed, Turn::Ours, message)
}

pub(super) fn warn(errand: &Errand, why: &Explained) {
    tracing::warn!(tenant = %errand.name, error = %why, "a tenant is not onboarded");
}
