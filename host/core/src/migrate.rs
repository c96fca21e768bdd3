//! Taking over what a running Flux has: what goes, what stays with Flux, what is in the way, and what has to be the same after.
//!
//! Whose an object is, its label says (`labelled`): Flux follows those without it and we those with it, so that no object is
//! ever both's. An object goes in three steps: it is held by `spec.suspend`, which both honour; then whoever had it is waited
//! for; then one patch gives it to the other and lets it go on ([`change`]). What goes together is [`unit`]'s, what had to be
//! unchanged [`proof`]'s. It deliberately reads and writes nothing: `cli::migrate` does.

pub mod change;
mod controllers;
pub mod definition;
mod judge;
mod last;
pub mod proof;
pub mod unit;

use std::collections::BTreeSet;

use reeve_api::name::NamespacedName;
use serde::Serialize;
use serde_json::Value;

use crate::labelled::Labelled;
use crate::tenancy::{Grounds, Tenants};

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// Flux's controllers work on it.
    Flux,
    /// We do.
    Reeve,
}

/// A kind that both serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Served {
    /// Goes before whatever reads it.
    GitRepository,
    /// What applies.
    Kustomization,
    /// What is called.
    Receiver,
}

/// What there is on a cluster, as the API server tells it.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// GitRepositories.
    pub sources: Vec<Value>,
    /// Kustomizations.
    pub kustomizations: Vec<Value>,
    /// Receivers.
    pub receivers: Vec<Value>,
    /// Whatever else Flux has kinds for.
    pub others: Vec<Value>,
    /// All definitions of Flux's kinds.
    pub definitions: Vec<Value>,
    /// The Deployments of Flux's controllers.
    pub flux: Vec<Value>,
    /// The Deployments of ours.
    pub ours: Vec<Value>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// Whose which namespace is.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// What the platform said.
    pub grounds: &'a Grounds,
    /// What Tenants say.
    pub tenants: &'a Tenants,
}

/// Something that whoever takes over has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// `Kind/namespace/name`.
    pub subject: String,
    /// What it means for taking over.
    pub is: Is,
    /// In words.
    pub says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Is {
    /// It is Flux's, and can be taken over.
    Goes,
    /// It was taken over.
    Taken,
    /// It stays with Flux.
    Stays,
    /// Something has to be done first.
    InTheWay,
    /// Something to know.
    Note,
}

impl Whose {
    /// Of this object.
    pub fn of(object: &Value) -> Self {
        match Labelled::ours().is_on(object) {
            true => Self::Reeve,
            false => Self::Flux,
        }
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flux => "Flux",
            Self::Reeve => "reeve",
        }
    }
}

impl Served {
    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GitRepository => "GitRepository",
            Self::Kustomization => "Kustomization",
            Self::Receiver => "Receiver",
        }
    }

    /// The object's, as findings name it.
    pub fn subject(self, id: &NamespacedName) -> String {
        format!("{}/{id}", self.as_str())
    }
}

impl Is {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Goes => "goes",
            Self::Taken => "taken",
            Self::Stays => "stays",
            Self::InTheWay => "in the way",
            Self::Note => "note",
        }
    }
}

impl Finding {
    fn new(subject: impl Into<String>, is: Is, says: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            is,
            says: says.into(),
            next: None,
        }
    }

    fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

impl Found {
    /// All of a kind.
    pub fn of(&self, kind: Served) -> &[Value] {
        match kind {
            Served::GitRepository => &self.sources,
            Served::Kustomization => &self.kustomizations,
            Served::Receiver => &self.receivers,
        }
    }
}

/// Everything that there is to know before anything is taken over: first what is about the whole cluster.
pub fn report(found: &Found, ground: Ground<'_>) -> Vec<Finding> {
    let mut all = cluster(found);
    for kind in [
        Served::GitRepository,
        Served::Kustomization,
        Served::Receiver,
    ] {
        for object in found.of(kind) {
            all.extend(judge::served(found, ground, kind, object));
        }
    }
    all.extend(found.others.iter().map(judge::other));
    all
}

/// Of the Deployments of Flux's controllers those that would work on what ours work on, by their namespaces and names.
pub fn colliding(flux: &[Value], ours: &[Value]) -> Vec<String> {
    let all = controllers::colliding(flux, ours).into_iter();
    all.filter_map(id).map(|id| id.to_string()).collect()
}

/// What is in the way of the last step, after which reeve follows every object: whatever is left that Flux works on, or would.
pub fn last_step(found: &Found, ground: Ground<'_>) -> Vec<Finding> {
    let mut all = cluster(found);
    all.retain(|one| one.is == Is::InTheWay);
    all.extend(last::left(found, ground));
    all
}

/// What is about the whole cluster: whoever takes one namespace over has to know it too.
fn cluster(found: &Found) -> Vec<Finding> {
    let unread = found.unread.iter().map(|why| {
        let says = format!("it could not be looked at: {why}");
        Finding::new("cluster", Is::InTheWay, says).next(
            "run it as somebody who may read that, or whose turn it is to mend the API server",
        )
    });
    let mut all: Vec<Finding> = unread.collect();
    all.extend(controllers::flux(&found.flux));
    all.extend(controllers::ours(found));
    all.extend(definition::judge(&found.definitions));
    all
}

/// Namespace and name of an object, where it has both.
fn id(object: &Value) -> Option<NamespacedName> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    NamespacedName::new(text("/metadata/namespace")?, text("/metadata/name")?).ok()
}

/// The ids of the GitRepositories that an object names in a list of references, in its own namespace where they name none.
fn named(object: &Value, reference: &Value) -> Option<NamespacedName> {
    let kind = reference.get("kind").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "GitRepository") {
        return None;
    }
    let text = |key: &str| reference.get(key).and_then(Value::as_str);
    let own = object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str);
    let namespace = text("namespace").filter(|text| !text.is_empty()).or(own)?;
    NamespacedName::new(namespace, text("name")?).ok()
}

/// The GitRepository that a Kustomization is built from.
fn source_of(kustomization: &Value) -> Option<NamespacedName> {
    named(kustomization, kustomization.pointer("/spec/sourceRef")?)
}

/// The GitRepositories whose contents one takes in.
fn included_by(source: &Value) -> BTreeSet<NamespacedName> {
    let all = source.pointer("/spec/include").and_then(Value::as_array);
    let repository = |one: &Value| named(source, one.get("repository")?);
    all.into_iter().flatten().filter_map(repository).collect()
}

#[cfg(test)]
mod tests;
