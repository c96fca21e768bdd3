//! What differs from kind to kind when a run is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::core::ObjectMeta;
use kube::core::object::HasStatus;
use kube::{Resource, ResourceExt as _};
use reeve_api::FINALIZER;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_api::plugin::{ClusterPlugin, Plugin};
use reeve_api::policy::Policy;
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use reeve_api::tenant::{Project, Tenant};
use reeve_api::writeback::WriteBack;
use reeve_core::failure::{Explained, chain};
use reeve_core::schedule::Next;
use reeve_core::status::{self, EventType};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Run;
use crate::cluster::{Event, Involved, Subject, Written};
use crate::context::Context;
use crate::index::Known;
use crate::observe::{Kind, Object};

/// How soon a finalizer is written again that could not be.
const AGAIN: Duration = Duration::from_secs(2);

/// A kind whose status is written here.
pub(in crate::controller) trait Reported:
    Resource<DynamicType = ()>
    + HasStatus<Status: Serialize + DeserializeOwned + Default + Clone + Send + Sync>
    + Clone
    + Send
    + Sync
{
    /// As logs and metrics name it.
    const KIND: Kind;
    /// The field manager of its status.
    const MANAGER: &'static str;
    /// The component that tells its Events.
    const COMPONENT: &'static str;
    /// Where the index keeps it.
    fn slot<'k>(known: &'k mut Known, object: &Self) -> Option<&'k mut Arc<Self>>;
}

fn key(meta: &ObjectMeta) -> Option<NamespacedName> {
    NamespacedName::new(meta.namespace.clone()?, meta.name.clone()?).ok()
}

macro_rules! reported {
    ($kind:ident, $manager:literal, $component:literal, $known:ident $object:ident => $slot:block) => {
        impl Reported for $kind {
            const KIND: Kind = Kind::$kind;
            const MANAGER: &'static str = $manager;
            const COMPONENT: &'static str = $component;

            fn slot<'k>($known: &'k mut Known, $object: &Self) -> Option<&'k mut Arc<Self>> {
                $slot
            }
        }
    };
}

reported!(
    GitRepository,
    "source-controller",
    "source-controller",
    known object => { known.sources.get_mut(&key(object.meta())?) }
);
reported!(
    Kustomization,
    "gotk-kustomize-controller",
    "kustomize-controller",
    known object => { known.kustomizations.get_mut(&key(object.meta())?) }
);
reported!(
    Receiver,
    "notification-controller",
    "notification-controller",
    known object => { known.receivers.get_mut(&key(object.meta())?) }
);
reported!(Tenant, "reeve", "reeve", known object => {
    known
        .tenant_objects
        .get_mut(&object.metadata.name.as_deref()?.parse().ok()?)
});
reported!(Project, "reeve", "reeve", known object => {
    known
        .projects
        .get_mut(&object.metadata.name.as_deref()?.parse().ok()?)
});
reported!(
    Plugin,
    "reeve",
    "reeve",
    known object => { known.plugins.get_mut(&key(object.meta())?) }
);
reported!(ClusterPlugin, "reeve", "reeve", known object => {
    known
        .cluster_plugins
        .get_mut(&object.metadata.name.as_deref()?.parse().ok()?)
});

reported!(
    WriteBack,
    "reeve",
    "reeve",
    known object => { known.writebacks.get_mut(&key(object.meta())?) }
);
reported!(Policy, "reeve", "reeve", known object => {
    known
        .policies
        .get_mut(&object.metadata.name.as_deref()?.parse().ok()?)
});

/// An object's names, owned, for a log line.
pub(super) struct Observed {
    namespace: String,
    name: String,
}

impl Observed {
    pub(super) fn of(&self, kind: Kind) -> Object<'_> {
        Object {
            kind,
            namespace: &self.namespace,
            name: &self.name,
        }
    }
}

pub(super) fn observed(meta: &ObjectMeta) -> Observed {
    Observed {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
    }
}

/// Emits an Event about the object of kind `K` with this metadata: all that one nobody can read has.
pub(super) fn tell<K: Reported>(ctx: &Context, meta: &ObjectMeta, event: status::Event) {
    ctx.events.tell(Event {
        involved: Involved {
            api_version: K::api_version(&()).into_owned(),
            kind: K::kind(&()).into_owned(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
        },
        component: K::COMPONENT,
        warning: event.type_ == EventType::Warning,
        reason: event.reason.as_str().to_owned(),
        message: event.message,
        annotations: with_its_own(event.metadata, meta),
        at: ctx.clock.now(),
    });
}

/// What the object's owner wants in each Event about it, as Flux has it.
const OWN: &str = "event.toolkit.fluxcd.io/";
/// How many of those are passed on, and how long one may be, in characters.
const MAX_OWN: usize = 16;
const MAX_OWN_VALUE: usize = 512;

/// The metadata of an Event with what the object's annotations add; they replace nothing.
fn with_its_own(
    mut metadata: BTreeMap<String, String>,
    meta: &ObjectMeta,
) -> BTreeMap<String, String> {
    let annotations = meta.annotations.iter().flatten();
    let own = annotations.filter(|(key, _)| key.starts_with(OWN));
    for (key, value) in own.take(MAX_OWN) {
        let value = || value.chars().take(MAX_OWN_VALUE).collect();
        metadata.entry(key.clone()).or_insert_with(value);
    }
    metadata
}

/// Whether we have said that we clean up after it.
pub(in crate::controller) fn is_adopted<K: Reported>(object: &K) -> bool {
    object.finalizers().iter().any(|one| one == FINALIZER)
}

/// Makes sure that the object cannot go before we have cleaned up after it.
pub(in crate::controller) async fn adopt<K: Reported>(
    ctx: &Context,
    object: &K,
    run: &Run,
) -> Result<(), Explained> {
    if is_adopted(object) {
        return Ok(());
    }
    let written = ctx.cluster.add_finalizer(object, K::MANAGER).await;
    if let Written::Changed(version) = written.map_err(|why| Explained::of(&why))? {
        run.page().await.subject.moved_to(&version);
    }
    Ok(())
}

/// Lets the object go.
pub(in crate::controller) async fn farewell<K: Reported>(ctx: &Context, object: &K) -> Next {
    if !is_adopted(object) {
        return Next::Watch;
    }
    let (subject, finalizers) = (Subject::of(object), object.finalizers());
    match ctx
        .cluster
        .remove_finalizer(&subject, finalizers, K::MANAGER)
        .await
    {
        Ok(_) => {
            let names = observed(object.meta());
            ctx.metrics.forget(names.of(K::KIND));
            Next::Watch
        }
        Err(why) => {
            tracing::warn!(error = chain(&why), "removing the finalizer failed");
            Next::After(AGAIN)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objects_own_words_are_in_its_events_and_replace_nothing() {
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let owned = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            owned.collect()
        };
        let commit = "event.toolkit.fluxcd.io/commit";
        let meta = ObjectMeta {
            annotations: Some(pairs(&[
                (commit, "theirs"),
                ("event.toolkit.fluxcd.io/change_request", "7"),
                ("example.com/other", "x"),
            ])),
            ..ObjectMeta::default()
        };
        let told = with_its_own(pairs(&[(commit, "ours")]), &meta);
        let want = pairs(&[
            (commit, "ours"),
            ("event.toolkit.fluxcd.io/change_request", "7"),
        ]);
        assert_eq!(told, want);
    }
}
