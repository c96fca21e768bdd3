//! What is to be said of one object of Flux's.
//!
//! Whether we could act on it is asked of what the runs ask: the parsed spec, and who may use what. Rights are deliberately
//! not asked for: the first run names those that an account lacks, and changes nothing.

use reeve_api::SOURCE_GROUP;
use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Finding, Found, Ground, Is, Served, Whose, controllers, id, included_by, named, source_of,
};
use crate::failure::{Explained, Turn};
use crate::inventory::Inventory;
use crate::others::{self, Seen, Told};
use crate::source;
use crate::spec::{SourceRef, Spec};
use crate::tenancy;
use crate::webhook;

/// What is to be said of an object of a kind that both serve.
pub(super) fn served(
    found: &Found,
    ground: Ground<'_>,
    kind: Served,
    object: &Value,
) -> Vec<Finding> {
    let Some(id) = id(object) else {
        return Vec::new();
    };
    let subject = kind.subject(&id);
    if Whose::of(object) == Whose::Reeve {
        return vec![Finding::new(subject, Is::Taken, "reeve has it")];
    }
    if let Some(stays) = stays(found, ground, kind, object) {
        return vec![stays];
    }
    let mut all = vec![Finding::new(&subject, Is::Goes, "can be taken over")];
    let hindered = |why: Explained| {
        let finding = Finding::new(&subject, Is::InTheWay, why.message);
        match why.hint {
            Some(hint) => finding.next(hint),
            None => finding,
        }
    };
    all.extend(
        hindrances(ground, kind, &id, object)
            .into_iter()
            .map(hindered),
    );
    let readers = readers(found, ground, kind, &id).into_iter();
    all.extend(readers.map(|one| Finding {
        subject: subject.clone(),
        ..one
    }));
    all.extend(notes(kind, object).into_iter().map(|one| Finding {
        subject: subject.clone(),
        ..one
    }));
    all
}

/// An object of a kind that only Flux serves.
pub(super) fn other(object: &Value) -> Finding {
    let kind = object.get("kind").and_then(Value::as_str);
    let kind = kind.unwrap_or("an object of Flux's");
    let subject = match id(object) {
        Some(id) => format!("{kind}/{id}"),
        None => kind.to_owned(),
    };
    let who = match kind {
        "HelmRelease" => {
            "helm-controller installs charts; reeve applies the HelmRelease object like any other"
        }
        "HelmRepository" | "HelmChart" => "source-controller fetches charts",
        "OCIRepository" | "Bucket" => {
            "source-controller fetches it, and reeve can apply what it has fetched"
        }
        "ExternalArtifact" | "ArtifactGenerator" => "another controller makes the artifact",
        "Alert" | "Provider" => {
            "notification-controller tells of events, reeve's among them if it is sent them"
        }
        "ImageRepository" | "ImagePolicy" | "ImageUpdateAutomation" => {
            "the image controllers write to git"
        }
        _ => "reeve has no such kind",
    };
    Finding::new(subject, Is::Stays, format!("stays with Flux: {who}"))
}

/// Why an object stays where it is.
pub(super) fn stays(
    found: &Found,
    ground: Ground<'_>,
    kind: Served,
    object: &Value,
) -> Option<Finding> {
    if kind != Served::Kustomization {
        return None;
    }
    let because = |why: &str| {
        let says = format!("stays with Flux: {why}");
        Finding::new(subject(object), Is::Stays, says)
    };
    if applies_flux(object) {
        let why = "it applies Flux itself, and goes with it when Flux is uninstalled";
        let next = "leave it with Flux, and reeve its watchLabelSelector; or take Flux's components out of it without having them pruned (`spec.prune: false` first), and then it can be taken over";
        return Some(because(why).next(next));
    }
    let why = unread(found, ground, object)?;
    let stays = because(&why.message);
    Some(match why.hint {
        Some(hint) => stays.next(format!("{hint}; after that it can be taken over")),
        None => stays,
    })
}

/// Why we could not read what it applies from, where somebody else keeps that and goes on keeping it.
fn unread(found: &Found, ground: Ground<'_>, kustomization: &Value) -> Option<Explained> {
    let source = source_of_others(kustomization)?;
    let theirs = found.others.iter().find(|one| is(one, &source));
    let told = theirs.and_then(|one| one.get("status"));
    let told = told.and_then(|status| serde_json::from_value::<Told>(status.clone()).ok());
    let told = told.unwrap_or_default();
    let version = theirs.and_then(|one| one.get("apiVersion")?.as_str());
    let seen = match version {
        None => Seen::Missing,
        Some(version) if version == format!("{SOURCE_GROUP}/v1") => Seen::There(&told),
        // It is followed in that version, and in no other.
        Some(_) => Seen::Undefined,
    };
    let hosts = controllers::hosts(&found.ours, ground.grounds);
    let mut each = hosts.iter();
    each.find_map(|hosts| others::offer(&source, seen, hosts).err())
}

/// What it applies from, if that is of a kind that others keep. Whatever else is wrong with it is in the way.
fn source_of_others(kustomization: &Value) -> Option<SourceRef> {
    let object = read::<Kustomization>(kustomization).ok()?;
    let source = Spec::parse(&object).ok()?.source;
    others::KINDS.contains(&source.kind).then_some(source)
}

fn is(object: &Value, source: &SourceRef) -> bool {
    let kind = object.get("kind").and_then(Value::as_str);
    kind == Some(source.kind.as_str()) && id(object) == Some(source.key())
}

/// Whether Flux's own definitions are among what it has: then it is by which Flux keeps itself.
fn applies_flux(kustomization: &Value) -> bool {
    let entries = kustomization.pointer("/status/inventory/entries");
    let mut ids = entries.and_then(Value::as_array).into_iter().flatten();
    ids.any(|entry| {
        let id = entry.get("id").and_then(Value::as_str);
        id.is_some_and(|id| {
            id.ends_with(".toolkit.fluxcd.io_apiextensions.k8s.io_CustomResourceDefinition")
        })
    })
}

/// Why we would not act on it as it is.
fn hindrances(
    ground: Ground<'_>,
    kind: Served,
    id: &NamespacedName,
    object: &Value,
) -> Vec<Explained> {
    let mut all = Vec::new();
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        let message = "it is being deleted";
        let why = Explained::new(Reason::InvalidSpec, Turn::Owner, message);
        all.push(why.with_hint("wait until Flux has done that, or see what keeps it"));
    }
    let namespace = &id.namespace;
    let platforms = ground.grounds.is_platform(namespace) || ground.grounds.is_config(namespace);
    if !platforms && ground.tenants.declared(namespace).is_none() {
        let message = format!("no Tenant has namespace {namespace}");
        let why = Explained::new(Reason::AccessDenied, Turn::OwnerOrPolicy, message);
        all.push(why.with_hint(format!("`reeve tenant adopt {namespace}`")));
    }
    let read = match kind {
        Served::GitRepository => read::<GitRepository>(object).and_then(|it| {
            source::Wanted::parse(&it)
                .map(drop)
                .map_err(|why| Explained::of(&why))
        }),
        Served::Receiver => read::<Receiver>(object).and_then(|it| {
            let parsed = webhook::Wanted::parse(&it.spec).map(drop);
            parsed.map_err(|why| Explained::of(&why))
        }),
        Served::Kustomization => read::<Kustomization>(object).and_then(|it| may_run(ground, &it)),
    };
    all.extend(read.err());
    all
}

fn read<K: DeserializeOwned>(object: &Value) -> Result<K, Explained> {
    reeve_api::decode(object).map_err(|why| {
        let message = format!("it cannot be read: {why}");
        Explained::new(Reason::InvalidSpec, Turn::Owner, message)
    })
}

/// What a run would say before it fetches anything.
fn may_run(ground: Ground<'_>, object: &Kustomization) -> Result<(), Explained> {
    let spec = Spec::parse(object).map_err(|why| Explained::of(&why))?;
    let namespace = &spec.id.namespace;
    let tenant = ground.tenants.owner_of(ground.grounds, namespace)?;
    tenancy::may_use_source(ground.grounds, &tenant, namespace, &spec.source)?;
    for one in &spec.depends_on {
        tenancy::may_depend_on(ground.grounds, &tenant, namespace, &one.id)?;
    }
    let status = object.status.as_ref();
    let inventory = status.and_then(|status| status.inventory.as_ref());
    let entries = inventory.into_iter().flat_map(|all| &all.entries);
    Inventory::parse(entries.map(|one| (one.id.as_str(), one.version.as_str())))
        .map(drop)
        .map_err(|why| Explained::of(&why))
}

/// Who else reads a source, and what that means.
fn readers(found: &Found, ground: Ground<'_>, kind: Served, id: &NamespacedName) -> Vec<Finding> {
    if kind != Served::GitRepository {
        return Vec::new();
    }
    let charts = found
        .others
        .iter()
        .filter(|one| chart_source(one).as_ref() == Some(id));
    let mut all: Vec<Finding> = charts
        .map(|one| {
            let says = format!("{} is made from it, by source-controller's own copy", subject(one));
            Finding::new("", Is::InTheWay, says).next(
                "make another GitRepository of the same address for charts, and name that in the chart",
            )
        })
        .collect();
    let theirs =
        |one: &&Value| source_of(one).as_ref() == Some(id) && Whose::of(one) == Whose::Flux;
    all.extend(found.kustomizations.iter().filter(theirs).filter_map(|one| {
        let subject = subject(one);
        let says = match stays(found, ground, Served::Kustomization, one) {
            Some(_) => {
                format!("{subject} stays with Flux and goes on reading it, then from reeve's artifacts")
            }
            // What lies beside it goes with it.
            None if self::id(one)?.namespace == id.namespace => return None,
            None => format!("{subject} reads it from reeve's artifacts until it is handed over, too"),
        };
        let note = Finding::new("", Is::Note, says);
        Some(note.next("let kustomize-controller in: networkPolicy.artifactsFrom of the chart"))
    }));
    let generators = found.others.iter().filter(|one| takes_in(one, id));
    all.extend(generators.map(|one| {
        let says = format!(
            "{} goes on reading it, then from reeve's artifacts",
            subject(one)
        );
        Finding::new("", Is::Note, says)
            .next("let source-watcher in: networkPolicy.artifactsFrom of the chart")
    }));
    all
}

/// Whether artifacts are made from that GitRepository's, by whoever fetches it by its address.
fn takes_in(object: &Value, id: &NamespacedName) -> bool {
    if object.get("kind").and_then(Value::as_str) != Some("ArtifactGenerator") {
        return false;
    }
    let all = object.pointer("/spec/sources").and_then(Value::as_array);
    let mut all = all.into_iter().flatten();
    all.any(|one| named(object, one).as_ref() == Some(id))
}

/// The GitRepository that a chart is made from.
fn chart_source(object: &Value) -> Option<NamespacedName> {
    let reference = match object.get("kind").and_then(Value::as_str)? {
        "HelmChart" => object.pointer("/spec/sourceRef")?,
        "HelmRelease" => object.pointer("/spec/chart/spec/sourceRef")?,
        _ => return None,
    };
    named(object, reference)
}

/// What else is another with us.
fn notes(kind: Served, object: &Value) -> Vec<Finding> {
    let note = |says: String| Finding::new("", Is::Note, says);
    let mut all = Vec::new();
    let label = format!("/metadata/labels/{}", reeve_api::SHARD.replace('/', "~1"));
    if let Some(shard) = object.pointer(&label).and_then(Value::as_str) {
        all.push(note(format!(
            "it is of Flux's shard {shard} now, and goes back there"
        )));
    }
    if kind == Served::Kustomization {
        all.extend(source_of_others(object).map(|source| left_behind(&source)));
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    match kind {
        Served::Kustomization if text("/spec/serviceAccountName").is_none() => {
            all.push(
                note("it names no ServiceAccount: Flux applies it as itself or by its default, reeve as the account of its Tenant".to_owned())
                    .next("see that this account may do what it does: the first run names rights that are missing, and writes nothing"),
            );
        }
        Served::GitRepository if !included_by(object).is_empty() => {
            all.push(note(
                "it goes with the GitRepositories that it includes".to_owned(),
            ));
        }
        Served::Receiver => {
            all.push(
                note("its path stays the same, and forges reach whichever controller the Ingress leads to".to_owned())
                    .next("lead the Ingress to reeve's Service webhook-receiver"),
            );
        }
        Served::Kustomization | Served::GitRepository => {}
    }
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        all.push(note("it is suspended, and stays so".to_owned()));
    }
    all
}

/// What it applies from stays with whoever keeps it.
fn left_behind(source: &SourceRef) -> Finding {
    let says = format!("{source} stays where it is, and is applied from as it is kept there");
    let note = Finding::new("", Is::Note, says);
    match source.kind {
        SourceKind::OciRepository | SourceKind::Bucket => note.next(
            "leave source-controller running, and let reeve's controller in to it: Flux's own NetworkPolicies let only pods of its namespace in",
        ),
        SourceKind::ExternalArtifact | SourceKind::GitRepository => note.next(
            "leave the controller that makes it running, and let reeve's controller in to where the artifact lies",
        ),
    }
}

fn subject(object: &Value) -> String {
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match id(object) {
        Some(id) => format!("{kind}/{id}"),
        None => kind.to_owned(),
    }
}
