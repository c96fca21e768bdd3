//! The cluster as whoever runs a command sees it: read, and asked what applying would do.
//!
//! With the rights of a kubeconfig, or of whom that may act as; on another cluster that a Kustomization names, as a run would
//! be there. For what somebody proposes, as the account that would apply it. What is found out about an object is what a run finds out about it ([`finding`](super::finding)); but there is
//! no way here to write what was found out: the client that could is kept to itself. Of a Secret nothing is read to look at
//! it but its metadata, and the kubeconfig that leads there.

use futures::StreamExt as _;
use http::HeaderValue;
use kube::Resource;
use kube::core::ApiResource;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_core::abroad::Abroad;
use reeve_core::failure::{Explained, Turn};
use reeve_core::health::{Check, Seen};
use reeve_core::inventory::Entry;
use reeve_core::plan::{Plan, Planned, Scopes};
use reeve_core::preview::Rehearsed;
use reeve_core::spec::Spec;
use reeve_core::status::Action;
use reeve_core::tree;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Cluster;
use super::abroad::Unreached;
use super::apply::First;
use super::error::ObjectError;
use super::finding::{Expected, Finding, Write};
use super::refusal::{Attempt, CallError, Cause};
use super::tenant_client::TenantClient;
use super::wire::Address;

/// The form in which a Secret is looked at.
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Objects on one page of a list.
const PAGE: usize = 500;

/// Reads, and asks what would be.
pub(crate) struct Onlooker(TenantClient);

/// What was found out of an object for somebody who may not be told everything.
pub(crate) enum Looked {
    /// What applying it would do.
    Rehearsed(Box<Rehearsed>),
    /// Nothing: what stands there forbids it, and this is why.
    PassedOver(&'static str),
}

impl Cluster {
    /// The same cluster, as another user. An error: nobody is called so.
    pub(crate) fn acting_as(&self, user: &str) -> Result<Self, CallError> {
        let header = HeaderValue::from_str(user).ok();
        let header = header.filter(|_| !user.trim().is_empty());
        let header = header.ok_or_else(|| CallError::Name(user.chars().take(300).collect()))?;
        Ok(Self {
            own: self.own.acting_as(header),
            ..self.clone()
        })
    }

    /// Looks at what is `owner`'s; `force`: what cannot be changed would be made anew.
    pub(crate) fn onlooker(&self, owner: &NamespacedName, force: bool) -> Onlooker {
        Onlooker(TenantClient::of_user(self, owner, force))
    }

    /// Looks at what is `spec`'s where that is carried out: with a kubeconfig there, as whom a run would be there, and with the
    /// Secret that whoever is connected may read, if `abroad` lets a run go there.
    pub(crate) async fn onlooker_of(
        &self,
        spec: &Spec,
        abroad: &Abroad,
    ) -> Result<Onlooker, Unreached> {
        let Some(wanted) = &spec.kube_config else {
            return Ok(self.onlooker(&spec.id, spec.force));
        };
        let there = self.site_to_look_at(&spec.id.namespace, wanted, abroad);
        Ok(Onlooker(TenantClient::abroad(there.await?, spec)))
    }

    /// Looks at what `spec` has left on the other cluster at `address`, if its kubeconfig leads there.
    pub(crate) async fn onlooker_at(
        &self,
        spec: &Spec,
        address: &str,
    ) -> Result<Onlooker, Unreached> {
        let Some(wanted) = &spec.kube_config else {
            let message = "there is no spec.kubeConfig any more";
            let why = Explained::new(Reason::AccessDenied, Turn::Owner, message);
            return Err(Unreached::Refused(Box::new(why)));
        };
        let site = self.site_at(&spec.id.namespace, wanted, address).await?;
        Ok(Onlooker(TenantClient::abroad(site, spec)))
    }

    /// One object of a kind of ours; None: there is none.
    pub(crate) async fn one<K>(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<K>, CallError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let found = self.own.get(&address::<K>(namespace, name)).await?;
        found.map(decode).transpose()
    }

    /// All objects of a kind of ours, of one namespace or of all.
    pub(crate) async fn all<K>(&self, namespace: Option<&str>) -> Result<Vec<K>, CallError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let path = address::<K>(namespace, "").collection()?;
        let all = self.pages(&path).await?;
        all.into_iter().map(decode).collect()
    }

    /// All objects at the path of a collection.
    pub(super) async fn pages(&self, path: &str) -> Result<Vec<Value>, CallError> {
        let first = format!("{path}?limit={PAGE}");
        let (mut all, mut page) = (Vec::new(), first.clone());
        loop {
            let (items, next) = self.own.page(&page).await?;
            all.extend(items);
            let Some(next) = next else { return Ok(all) };
            page = format!("{first}&continue={next}");
        }
    }
}

fn address<K: Resource<DynamicType = ()>>(namespace: Option<&str>, name: &str) -> Address {
    Address {
        resource: ApiResource::erase::<K>(&()),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

fn decode<K: DeserializeOwned>(object: Value) -> Result<K, CallError> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.unwrap_or_default().to_owned();
    reeve_api::decode(&object).map_err(|why| CallError::Garbled(format!("{name}: {why}")))
}

impl Onlooker {
    /// Looks at what is whose account this is, as that account.
    pub(crate) fn of_tenant(client: &TenantClient) -> Self {
        Self(client.clone())
    }

    /// The address of the other cluster that is looked at; None: the one that is connected to.
    pub(crate) fn cluster(&self) -> Option<&str> {
        self.0.cluster()
    }

    /// Where each kind that is served there lives: in a namespace or in the cluster.
    pub(crate) async fn scopes(&self) -> Scopes {
        self.0.scopes().await
    }

    /// What the objects are now, in their order.
    pub(crate) async fn look(&self, entries: Vec<Entry>) -> Vec<Seen> {
        let looking: Vec<_> = entries.into_iter().map(|entry| self.see(entry)).collect();
        let looking = futures::stream::iter(looking);
        looking.buffered(self.0.concurrency).collect().await
    }

    async fn see(&self, entry: Entry) -> Seen {
        let unknown = |why: &CallError| Seen::Unknown(why.to_string());
        let at = match self.0.locate(&entry.id, Some(&entry.version)).await {
            Ok(Some(at)) => at,
            Ok(None) => return Seen::NotFound,
            Err(why) => return unknown(&why.source),
        };
        let secret = entry.id.group.is_empty() && entry.id.kind == "Secret";
        let found = match secret {
            true => self.0.wire.get_as(&at.address, METADATA).await,
            false => self.0.wire.get(&at.address).await,
        };
        match found {
            Ok(Some(live)) if secret => {
                tree::there(live.pointer("/metadata/deletionTimestamp").is_some())
            }
            Ok(Some(live)) => Check::of(entry).seen(&live),
            Ok(None) => Seen::NotFound,
            Err(why) => unknown(&why),
        }
    }

    /// What applying the plan would do with each object that stays, in order. Nothing is written.
    pub(crate) async fn rehearse<'p, S>(
        &self,
        plan: &'p Plan<S>,
    ) -> Vec<(&'p Planned, Result<Rehearsed, ObjectError>)> {
        let asking: Vec<_> = plan
            .steady()
            .map(|object| async move { (object, self.ask(object).await) })
            .collect();
        let asking = futures::stream::iter(asking);
        asking.buffered(self.0.concurrency).collect().await
    }

    /// The same of some of its objects, for somebody else. `forbids` is shown each and what stands in its place before anything
    /// is asked, and may give a reason not to: then nothing that is told depends on what that holds.
    pub(crate) async fn rehearse_for<'p>(
        &self,
        objects: Vec<&'p Planned>,
        forbids: impl Fn(&Planned, &Value) -> Option<&'static str> + Send + Sync,
    ) -> Vec<(&'p Planned, Result<Looked, ObjectError>)> {
        let forbids = &forbids;
        let asking: Vec<_> = objects
            .into_iter()
            .map(|object| async move { (object, self.look_first(object, forbids).await) })
            .collect();
        let asking = futures::stream::iter(asking);
        asking.buffered(self.0.concurrency).collect().await
    }

    async fn look_first(
        &self,
        object: &Planned,
        forbids: &(impl Fn(&Planned, &Value) -> Option<&'static str> + Send + Sync),
    ) -> Result<Looked, ObjectError> {
        let at = self.0.locate(object.id(), Some(object.version())).await?;
        let live = match &at {
            Some(at) => self.0.read(at).await?,
            None => None,
        };
        if let Some(why) = live.and_then(|live| forbids(object, &live)) {
            return Ok(Looked::PassedOver(why));
        }
        let asked = self.ask(object).await?;
        Ok(Looked::Rehearsed(Box::new(asked)))
    }

    /// An object as it stands there, if it does.
    pub(crate) async fn live(&self, object: &Planned) -> Result<Option<Value>, ObjectError> {
        let at = self.0.locate(object.id(), Some(object.version())).await?;
        match at {
            Some(at) => self.0.read(&at).await,
            None => Ok(None),
        }
    }

    /// What deleting would do with each object that is no longer wanted. Nothing is deleted.
    pub(crate) async fn rehearse_prune<'p, S>(
        &self,
        plan: &'p Plan<S>,
    ) -> Vec<(&'p Entry, Result<Action, ObjectError>)> {
        let asking: Vec<_> = plan
            .prune()
            .iter()
            .map(|entry| async move { (entry, self.0.rehearse_one(entry).await) })
            .collect();
        let asking = futures::stream::iter(asking);
        asking.buffered(self.0.concurrency).collect().await
    }

    async fn ask(&self, object: &Planned) -> Result<Rehearsed, ObjectError> {
        match self.0.compare(object, &Expected::default()).await {
            Ok(Finding::Settled(action, ..)) => Ok(Rehearsed {
                action,
                live: None,
                applied: None,
                unasked: None,
            }),
            Ok(Finding::Differs(write)) => self.sides(object, *write).await,
            // A run makes it anew once it is gone.
            Ok(Finding::Leaves(one)) => Ok(Rehearsed {
                action: Action::Created,
                live: None,
                applied: Some(object.manifest().clone()),
                unasked: Some(one.to_string()),
            }),
            // A namespace or a definition that is applied before it.
            Err(why) if matches!(why.source.cause(), Cause::Missing | Cause::UnknownKind) => {
                Ok(Rehearsed {
                    action: Action::Created,
                    live: None,
                    applied: Some(object.manifest().clone()),
                    unasked: Some(why.source.to_string()),
                })
            }
            Err(why) => Err(why),
        }
    }

    /// Asked once more, for both sides: a run needs neither.
    async fn sides(&self, object: &Planned, write: Write) -> Result<Rehearsed, ObjectError> {
        let live = self.0.read(&write.at).await?;
        let applied = match write.first {
            // Made anew it is as git has it.
            First::Delete(_) => object.manifest().clone(),
            First::Nothing | First::Takeover(..) => {
                let body = match &write.kept {
                    Some(kept) => kept.manifest(),
                    None => object.manifest().clone(),
                };
                let dry = self.0.dry_run(&write.at, body.to_string().into_bytes());
                let failed = |why| self.0.failed(&write.at, Attempt::DryRun, why);
                dry.await.map_err(failed)?
            }
        };
        Ok(Rehearsed {
            action: write.action,
            live,
            applied: Some(applied),
            unasked: None,
        })
    }
}
