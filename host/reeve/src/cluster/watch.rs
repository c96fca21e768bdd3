//! What happens to objects of a kind, as a stream that never ends and never stops at one bad object.
//!
//! Objects are read untyped and decoded one by one, so that one that cannot be decoded is told as such
//! ([`Change::Bad`]) while the others go on; and a listing in which the server or the network failed is never taken
//! for complete ([`Change::Synced`] is withheld). It deliberately holds no store and decides nothing: `core::index`
//! keeps what was seen, `controller` acts on it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use kube::api::DynamicObject;
use kube::core::{ApiResource, DynamicResourceScope, ObjectMeta, PartialObjectMeta};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::Cluster;

/// What was seen of one kind.
#[derive(Debug, Clone)]
pub enum Change<K> {
    /// A listing begins: what exists now follows.
    Begin,
    /// It exists, in this state.
    Put(Arc<K>),
    /// It exists, but cannot be decoded.
    Bad(Box<Undecodable>),
    /// It is gone.
    Gone(Id),
    /// Everything that existed at `Begin` has been told; what was not, is gone.
    Synced,
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// Empty for a cluster-scoped object.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// An object that exists but is not what its kind says.
#[derive(Debug, Clone)]
pub struct Undecodable {
    /// Its metadata, which every object has.
    pub meta: ObjectMeta,
    /// The version it is stored and was read in.
    pub api_version: String,
    /// What about it cannot be read.
    pub why: String,
    /// The object as it is.
    pub object: Arc<DynamicObject>,
}

/// Which of a kind to watch.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only in this namespace.
    pub namespace: Option<String>,
    /// Only with these labels, as a label selector.
    pub labels: Option<String>,
}

impl Cluster {
    /// Watches a kind that is known at compile time.
    pub fn watch<K>(&self, which: &Selection) -> BoxStream<'static, Change<K>>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Send + Sync + 'static,
    {
        self.watch_as(&ApiResource::erase::<K>(&()), which, decode::<K>)
    }

    /// Watches any kind, undecoded.
    pub fn watch_dynamic(
        &self,
        resource: &ApiResource,
        which: &Selection,
    ) -> BoxStream<'static, Change<DynamicObject>> {
        self.watch_as(resource, which, |object: &DynamicObject| Ok(object.clone()))
    }

    /// Watches only the metadata of a kind: for Secrets, whose contents are read when needed and as whom they should.
    pub fn watch_metadata(
        &self,
        resource: &ApiResource,
        which: &Selection,
    ) -> BoxStream<'static, Change<ObjectMeta>> {
        let api: Api<PartialObjectMeta<DynamicObject>> = self.api(resource, which);
        stream(
            api,
            config(which),
            resource,
            |partial: PartialObjectMeta<DynamicObject>| {
                (Id::of(&partial.metadata), Ok(partial.metadata))
            },
        )
    }

    /// Watches definitions of kinds, has discovery asked again when one changes, and tells the names of those that are there, once
    /// all are known. Runs for as long as it is polled.
    pub async fn follow_definitions(&self, told: &watch::Sender<Option<BTreeSet<String>>>) {
        let resource = ApiResource {
            group: "apiextensions.k8s.io".into(),
            version: "v1".into(),
            api_version: "apiextensions.k8s.io/v1".into(),
            kind: "CustomResourceDefinition".into(),
            plural: "customresourcedefinitions".into(),
        };
        let mut seen = std::pin::pin!(self.watch_metadata(&resource, &Selection::default()));
        let (mut all, mut whole) = (BTreeSet::new(), false);
        while let Some(change) = seen.next().await {
            match change {
                Change::Begin => {
                    all.clear();
                    whole = false;
                    continue;
                }
                // One that is on its way out takes its objects along.
                Change::Put(meta) if meta.deletion_timestamp.is_some() => {
                    all.remove(&Id::of(&meta).name);
                }
                Change::Put(meta) => {
                    all.insert(Id::of(&meta).name);
                }
                Change::Bad(bad) => {
                    all.insert(Id::of(&bad.meta).name);
                }
                Change::Gone(id) => {
                    all.remove(&id.name);
                }
                Change::Synced => whole = true,
            }
            self.discovery.outdated();
            told.send_if_modified(|told| {
                let news = whole && told.as_ref() != Some(&all);
                if news {
                    *told = Some(all.clone());
                }
                news
            });
        }
    }

    fn watch_as<K: Send + Sync + 'static>(
        &self,
        resource: &ApiResource,
        which: &Selection,
        decode: impl Fn(&DynamicObject) -> Result<K, String> + Send + Sync + 'static,
    ) -> BoxStream<'static, Change<K>> {
        let api: Api<DynamicObject> = self.api(resource, which);
        let api_version = resource.api_version.clone();
        stream(
            api,
            config(which),
            resource,
            move |mut object: DynamicObject| {
                // Nobody asks who claims which field of what is kept, and they are most of it.
                object.metadata.managed_fields = None;
                let id = Id::of(&object.metadata);
                let read = decode(&object).map_err(|why| Undecodable {
                    meta: object.metadata.clone(),
                    api_version: api_version.clone(),
                    why,
                    object: Arc::new(object),
                });
                (id, read)
            },
        )
    }

    fn api<K>(&self, resource: &ApiResource, which: &Selection) -> Api<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        match &which.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }
}

impl Id {
    /// Of the object with this metadata.
    pub fn of(meta: &ObjectMeta) -> Self {
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

fn config(which: &Selection) -> watcher::Config {
    // Pages, so that a listing of many large objects never has to fit into one answer.
    let config = watcher::Config::default().page_size(200);
    match &which.labels {
        Some(labels) => config.labels(labels),
        None => config,
    }
}

fn decode<K: DeserializeOwned>(object: &DynamicObject) -> Result<K, String> {
    let value = serde_json::to_value(object).map_err(|why| why.to_string())?;
    reeve_api::decode(&value).map_err(|why| why.to_string())
}

fn stream<O, K>(
    api: Api<O>,
    config: watcher::Config,
    resource: &ApiResource,
    read: impl Fn(O) -> (Id, Result<K, Undecodable>) + Send + Sync + 'static,
) -> BoxStream<'static, Change<K>>
where
    O: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    K: Send + Sync + 'static,
{
    let kind = resource.kind.clone();
    let mut listing = Listing::default();
    let changes = watcher(api, config)
        .default_backoff()
        .filter_map(move |event| {
            let change = match event {
                Ok(event) => listing.take(event, &read),
                Err(why) => {
                    listing.failed();
                    let why = reeve_core::failure::chain(&why);
                    tracing::warn!(kind, error = why, "watching failed, trying again");
                    None
                }
            };
            futures::future::ready(change)
        });
    changes.boxed()
}

/// Whether the listing that is under way may still be taken for complete.
#[derive(Default)]
struct Listing {
    broken: bool,
}

impl Listing {
    fn failed(&mut self) {
        self.broken = true;
    }

    fn take<O, K>(
        &mut self,
        event: watcher::Event<O>,
        read: &impl Fn(O) -> (Id, Result<K, Undecodable>),
    ) -> Option<Change<K>> {
        let seen = |object| match read(object).1 {
            Ok(object) => Change::Put(Arc::new(object)),
            Err(bad) => Change::Bad(Box::new(bad)),
        };
        match event {
            watcher::Event::Init => {
                self.broken = false;
                Some(Change::Begin)
            }
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => Some(seen(object)),
            watcher::Event::Delete(object) => Some(Change::Gone(read(object).0)),
            watcher::Event::InitDone => (!self.broken).then_some(Change::Synced),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Strict {
        spec: Spec,
    }

    #[derive(serde::Deserialize)]
    struct Spec {
        size: u8,
    }

    fn object(name: &str, size: serde_json::Value) -> DynamicObject {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": name, "namespace": "acme"},
            "spec": {"size": size},
        }))
        .unwrap()
    }

    fn read(object: DynamicObject) -> (Id, Result<Strict, Undecodable>) {
        let id = Id::of(&object.metadata);
        let read = decode(&object).map_err(|why| Undecodable {
            meta: object.metadata.clone(),
            api_version: "x/v1".into(),
            why,
            object: Arc::new(object),
        });
        (id, read)
    }

    #[test]
    fn one_object_that_cannot_be_decoded_does_not_hide_the_others() {
        let mut listing = Listing::default();
        let mut told = Vec::new();
        for event in [
            watcher::Event::Init,
            watcher::Event::InitApply(object("bad", "9999h".into())),
            watcher::Event::InitApply(object("good", 3.into())),
            watcher::Event::InitDone,
        ] {
            told.extend(listing.take(event, &read));
        }
        let [
            Change::Begin,
            Change::Bad(bad),
            Change::Put(good),
            Change::Synced,
        ] = &told[..]
        else {
            panic!("{} changes", told.len());
        };
        assert_eq!(bad.meta.name.as_deref(), Some("bad"));
        assert!(bad.why.contains("invalid type"), "{}", bad.why);
        assert_eq!(good.spec.size, 3);
    }

    #[test]
    fn a_listing_with_a_failure_in_it_is_never_told_to_be_complete() {
        let mut listing = Listing::default();
        assert!(listing.take(watcher::Event::Init, &read).is_some());
        listing.failed();
        assert!(listing.take(watcher::Event::InitDone, &read).is_none());
        assert!(listing.take(watcher::Event::Init, &read).is_some());
        assert!(matches!(
            listing.take(watcher::Event::InitDone, &read),
            Some(Change::Synced)
        ));
    }

    #[test]
    fn an_object_that_cannot_be_decoded_can_still_go() {
        let mut listing = Listing::default();
        let gone = listing.take(watcher::Event::Delete(object("bad", "9999h".into())), &read);
        assert!(matches!(gone, Some(Change::Gone(id)) if id.name == "bad"));
    }
}
