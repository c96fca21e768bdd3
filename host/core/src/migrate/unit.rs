//! What goes together when namespaces are handed over or back, and what is in the way of that.
//!
//! Kustomizations and Receivers of the namespaces, their GitRepositories, and those elsewhere that the Kustomizations read:
//! whoever applies from a source has to fetch it. A source that is taken over can still be read by Flux, by its address; one
//! that Flux has we do not see. So on the way back a source goes only when none of ours reads it any more.

use std::collections::BTreeSet;

use reeve_api::name::{NamespaceName, NamespacedName};
use serde_json::Value;

use super::{
    Finding, Found, Ground, Is, Served, Whose, cluster, id, included_by, judge, named, source_of,
};

/// What goes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// In the order in which it is given.
    pub members: Vec<Member>,
    /// What has to be done before.
    pub in_the_way: Vec<Finding>,
    /// What of the namespaces stays with Flux.
    pub stays: Vec<Finding>,
}

/// One object that goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its kind.
    pub kind: Served,
    /// Which.
    pub id: NamespacedName,
}

impl Member {
    /// `Kind/namespace/name`.
    pub fn subject(&self) -> String {
        self.kind.subject(&self.id)
    }
}

/// What goes to `to` with these namespaces.
pub fn unit(
    found: &Found,
    ground: Ground<'_>,
    namespaces: &BTreeSet<NamespaceName>,
    to: Whose,
) -> Unit {
    let members = match to {
        Whose::Reeve => forth(found, ground, namespaces),
        Whose::Flux => back(found, namespaces),
    };
    let mut in_the_way = match to {
        Whose::Reeve => hindrances(found, ground, &members),
        Whose::Flux => Vec::new(),
    };
    in_the_way.extend(apart(found, ground, &members, to));
    let kustomizations = found.kustomizations.iter();
    let of_them = kustomizations.filter(|one| lies_in(one, namespaces));
    let stays = of_them
        .filter(|one| Whose::of(one) == Whose::Flux)
        .filter_map(|one| judge::stays(found, ground, Served::Kustomization, one));
    Unit {
        stays: stays.collect(),
        members: members.into_iter().collect(),
        in_the_way,
    }
}

/// What Flux has there and we can serve, with the sources that it reads.
fn forth(
    found: &Found,
    ground: Ground<'_>,
    namespaces: &BTreeSet<NamespaceName>,
) -> BTreeSet<Member> {
    let goes = |kind: Served| {
        let all = found.of(kind).iter();
        all.filter(move |one| {
            let theirs = Whose::of(one) == Whose::Flux && lies_in(one, namespaces);
            theirs && judge::stays(found, ground, kind, one).is_none()
        })
    };
    let mut read: BTreeSet<NamespacedName> = goes(Served::GitRepository).filter_map(id).collect();
    read.extend(goes(Served::Kustomization).filter_map(source_of));
    let read = with_included(found, read);
    let kustomizations = goes(Served::Kustomization).filter_map(member(Served::Kustomization));
    let receivers = goes(Served::Receiver).filter_map(member(Served::Receiver));
    let sources = sources(found, &read, Whose::Flux);
    kustomizations.chain(receivers).chain(sources).collect()
}

/// What we have there, with the sources that none of ours reads then.
fn back(found: &Found, namespaces: &BTreeSet<NamespaceName>) -> BTreeSet<Member> {
    let ours = |kind: Served| {
        let all = found.of(kind).iter();
        all.filter(|one| Whose::of(one) == Whose::Reeve)
    };
    let here = |kind: Served| ours(kind).filter(move |one| lies_in(one, namespaces));
    let still: BTreeSet<NamespacedName> = ours(Served::Kustomization)
        .filter(|one| !lies_in(one, namespaces))
        .filter_map(source_of)
        .collect();
    let still = with_included(found, still);
    let mut read: BTreeSet<NamespacedName> = here(Served::GitRepository).filter_map(id).collect();
    let elsewhere = here(Served::Kustomization).filter_map(source_of);
    read.extend(elsewhere.filter(|source| !still.contains(source)));
    let kustomizations = here(Served::Kustomization).filter_map(member(Served::Kustomization));
    let receivers = here(Served::Receiver).filter_map(member(Served::Receiver));
    let sources = sources(found, &with_included(found, read), Whose::Reeve);
    kustomizations.chain(receivers).chain(sources).collect()
}

fn member(kind: Served) -> impl Fn(&Value) -> Option<Member> {
    move |object| {
        let id = id(object)?;
        Some(Member { kind, id })
    }
}

/// Those of these ids that are `whose`.
fn sources<'f>(
    found: &'f Found,
    ids: &BTreeSet<NamespacedName>,
    whose: Whose,
) -> impl Iterator<Item = Member> + use<'f> {
    let ids = ids.clone();
    let all = found.sources.iter();
    let theirs = all
        .filter(move |one| Whose::of(one) == whose && id(one).is_some_and(|id| ids.contains(&id)));
    theirs.filter_map(member(Served::GitRepository))
}

/// With those that they include, and those that include them: one is read out of the other's store.
fn with_included(found: &Found, mut ids: BTreeSet<NamespacedName>) -> BTreeSet<NamespacedName> {
    loop {
        let before = ids.len();
        for source in &found.sources {
            let Some(id) = id(source) else { continue };
            let included = included_by(source);
            if ids.contains(&id) {
                ids.extend(included);
            } else if included.iter().any(|one| ids.contains(one)) {
                ids.insert(id);
            }
        }
        if ids.len() == before {
            return ids;
        }
    }
}

fn lies_in(object: &Value, namespaces: &BTreeSet<NamespaceName>) -> bool {
    id(object).is_some_and(|id| namespaces.contains(&id.namespace))
}

/// What the report says to be in the way of these, or of all.
fn hindrances(found: &Found, ground: Ground<'_>, members: &BTreeSet<Member>) -> Vec<Finding> {
    let mut all = cluster(found);
    for member in members {
        let object = found.of(member.kind).iter();
        let mut object = object.filter(|one| id(one).as_ref() == Some(&member.id));
        if let Some(object) = object.next() {
            all.extend(judge::served(found, ground, member.kind, object));
        }
    }
    all.retain(|one| one.is == Is::InTheWay);
    all
}

/// What would be torn apart: we wait for nothing that Flux has, and read none of its sources.
fn apart(found: &Found, ground: Ground<'_>, members: &BTreeSet<Member>, to: Whose) -> Vec<Finding> {
    let mut all = Vec::new();
    for object in &found.kustomizations {
        let Some(id) = id(object) else { continue };
        let goes = is_among(members, Served::Kustomization, &id);
        let whose_then = if goes { to } else { Whose::of(object) };
        if whose_then == Whose::Flux {
            continue;
        }
        let subject = Served::Kustomization.subject(&id);
        let reads = source_of(object).map(|source| (Served::GitRepository, source));
        let waits = waits_for(object).into_iter();
        let needs = waits.map(|one| (Served::Kustomization, one)).chain(reads);
        for (kind, needed) in needs {
            let all_there = found.of(kind).iter();
            let mut there = all_there.filter(|one| super::id(one).as_ref() == Some(&needed));
            // What is not there at all is told by the run.
            let Some(there) = there.next() else { continue };
            let goes_too = is_among(members, kind, &needed);
            let theirs = if goes_too { to } else { Whose::of(there) };
            if theirs == Whose::Flux && (goes || goes_too) {
                let says = format!("needs {}, which would be Flux's", kind.subject(&needed));
                let next = match judge::stays(found, ground, kind, there) {
                    Some(one) => format!("remove that from spec.dependsOn: it {}", one.says),
                    None => format!(
                        "name both namespaces: {} and {}",
                        id.namespace, needed.namespace
                    ),
                };
                all.push(Finding::new(&subject, Is::InTheWay, says).next(next));
            }
        }
    }
    all
}

fn is_among(members: &BTreeSet<Member>, kind: Served, id: &NamespacedName) -> bool {
    members.contains(&Member {
        kind,
        id: id.clone(),
    })
}

/// The Kustomizations that one waits for.
fn waits_for(kustomization: &Value) -> Vec<NamespacedName> {
    let all = kustomization
        .pointer("/spec/dependsOn")
        .and_then(Value::as_array);
    let all = all.into_iter().flatten();
    // They are of the same kind, and have the same form as a reference to a source.
    all.filter_map(|one| named(kustomization, one)).collect()
}
