//! What bears our labels and is not to be there is deleted: the oldest first, and some at a look.
//!
//! Who may write a kind in a namespace may mark as many objects of it as it likes, and make them anew while they are deleted. So a
//! look has a bound, and what was there before whatever came in between goes before it: a right that somebody is to have no more
//! outlasts no flood. It deliberately waits for nobody's finalizer.

use std::collections::BTreeSet;

use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::landlord::Made;

use super::Landlord;
use super::attend::failed;
use super::known::Errand;
use crate::cluster::There;

/// How many objects of a kind are deleted in a namespace at a look.
const AT_A_LOOK: usize = 50;

/// What there is to go: its kind, where it lies, and of whom it was made (None: of anybody).
pub(super) struct Goes<'a> {
    pub(super) tenant: Option<&'a TenantName>,
    pub(super) kind: Made,
    pub(super) namespace: &'a NamespaceName,
    /// The only one that may be meant, if it is one.
    pub(super) name: Option<&'a str>,
}

/// What was found that is to go.
#[derive(Debug, Default)]
pub(super) struct Pruned {
    /// All of it, as it was found.
    pub(super) all: Vec<There>,
    /// How much of it another look deletes.
    pub(super) undone: usize,
}

/// Deletes what there is of the Tenant's of the kind.
pub(super) async fn prune(
    landlord: &Landlord,
    errand: &Errand,
    kind: Made,
    namespace: &NamespaceName,
) -> Result<Pruned, Explained> {
    let goes = Goes {
        tenant: Some(&errand.name),
        kind,
        namespace,
        name: None,
    };
    prune_of(landlord, errand, goes, |_| true).await
}

/// Deletes all of these kinds in a namespace that is none of those `wanted`, whichever Tenant it was made of: what a Tenant has left
/// behind that had the namespace before is for its own people.
pub(super) async fn prune_but(
    landlord: &Landlord,
    errand: &Errand,
    namespace: &NamespaceName,
    wanted: &BTreeSet<(Made, &str)>,
) -> Result<(), Explained> {
    let mut undone = 0;
    for kind in Made::PRUNED {
        let goes = Goes {
            tenant: None,
            kind,
            namespace,
            name: None,
        };
        let is_extra = |there: &There| !wanted.contains(&(kind, there.name.as_str()));
        undone += prune_of(landlord, errand, goes, is_extra).await?.undone;
    }
    if undone == 0 {
        return Ok(());
    }
    Err(unfinished(format!(
        "namespace {namespace} has {undone} more objects that are marked as the landlord's and are not: some are deleted at a time"
    )))
}

/// Deletes what there is, where `goes` says so of it.
pub(super) async fn prune_of(
    landlord: &Landlord,
    errand: &Errand,
    what: Goes<'_>,
    goes: impl Fn(&There) -> bool,
) -> Result<Pruned, Explained> {
    let (cluster, kind, namespace) = (&landlord.cluster, what.kind, what.namespace);
    let (_, _, called, _) = kind.names();
    let stock = cluster
        .made_of(what.tenant, kind, namespace, what.name)
        .await;
    let stock = stock.map_err(|why| failed(&format!("listing {called}s of {namespace}"), &why))?;
    let mut all = stock.there;
    all.retain(|one| goes(one));
    let (now, later) = portions(&mut all);
    for one in &now {
        let gone = cluster.discard(kind, namespace, one).await;
        gone.map_err(|why| failed(&format!("deleting {called} {namespace}/{}", one.name), &why))?;
    }
    if later > 0 || (stock.more && !now.is_empty()) {
        errand.look_again();
    }
    match stock.more {
        true => Err(unfinished(format!(
            "namespace {namespace} has more {called}s that are marked as the landlord's than can be looked at"
        ))),
        false => Ok(Pruned { all, undone: later }),
    }
}

fn unfinished(message: String) -> Explained {
    Explained::new(Reason::OnboardingFailed, Turn::OwnerOrPolicy, message)
}

/// Those that are deleted now, and how many are later. What is on its way already is neither.
fn portions(all: &mut [There]) -> (Vec<There>, usize) {
    all.sort_by(|one, other| (&one.made, &one.name).cmp(&(&other.made, &other.name)));
    let standing = all.iter().filter(|one| one.since.is_none());
    let now: Vec<There> = standing.clone().take(AT_A_LOOK).cloned().collect();
    let later = standing.count() - now.len();
    (now, later)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(name: &str, made: &str, going: bool) -> There {
        There {
            name: name.to_owned(),
            since: going.then_some(jiff::Timestamp::UNIX_EPOCH),
            made: made.to_owned(),
            ..There::default()
        }
    }

    #[test]
    fn a_look_deletes_some_and_what_was_there_first_before_whatever_was_made_in_between() {
        let flood =
            (0..120).map(|number| there(&format!("a-{number:03}"), "2026-02-02T00:00:00Z", false));
        let held =
            (0..70).map(|number| there(&format!("b-{number:03}"), "2026-01-01T00:00:00Z", true));
        let mut all: Vec<There> = flood.chain(held).collect();
        all.push(there("reeve-admin", "2026-02-01T00:00:00Z", false));
        let (now, later) = portions(&mut all);
        assert_eq!(
            now.first().map(|one| one.name.as_str()),
            Some("reeve-admin")
        );
        assert_eq!((now.len(), later), (AT_A_LOOK, 121 - AT_A_LOOK));
        assert!(now.iter().all(|one| one.since.is_none()));
        let (now, later) = portions(&mut [there("x", "", true)]);
        assert!(now.is_empty() && later == 0);
    }
}
