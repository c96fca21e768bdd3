//! Watching the metadata of what lies at a place: as the controller, or as the account that applies there.
//!
//! The API server sends nothing but metadata, so neither a Secret nor a manifest comes this way. A watch goes on where it
//! broke off, by the last version it was shown; when the server has forgotten that, everything is listed anew. It ends when
//! it is refused. What is not watched can be listed once. It deliberately keeps nothing and judges nothing: `core::drift` does.

use std::time::Duration;

use futures::StreamExt as _;
use kube::core::WatchEvent;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reeve_core::drift::{self, Place, Which};
use serde_json::Value;

use super::Cluster;
use super::refusal::{CallError, Cause};
use super::tenant_client::header;
use super::vigil::is_final;
use super::wire::{Address, WATCHED, Wire};

/// The forms in which lists and events come: metadata, or not at all.
const LISTED: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const EACH: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Objects on one page of a list.
const PAGE: usize = 500;
/// How soon what broke off is tried again, and how seldom at last.
const SOONEST: Duration = Duration::from_millis(500);
const LATEST: Duration = Duration::from_secs(30);
/// How soon a watch goes on that has come to its end.
const BREATH: Duration = Duration::from_millis(50);

/// What is watched: a kind, where, as whom, and which of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scene {
    /// As whom; None: as the controller itself.
    pub(crate) account: Option<String>,
    /// None: in all namespaces, or in none.
    pub(crate) namespace: Option<String>,
    /// Empty for Kubernetes' core group.
    pub(crate) group: String,
    /// The kind.
    pub(crate) kind: String,
    /// A selector of labels; empty: all.
    pub(crate) labels: String,
}

/// Something that a watch shows.
#[derive(Debug)]
pub(crate) enum Glance {
    /// All there are follow.
    Begin,
    /// It is there; nothing but its metadata.
    There(Value),
    /// It is gone, or is none of those that are watched any more.
    Gone(Value),
    /// Those were all, as of this version.
    Listed(Option<u64>),
    /// Whatever happens from here on is shown as it does.
    Alive,
    /// What happens is not shown.
    Lost,
}

/// Why a watch stopped that was begun.
enum Broken {
    /// It goes on from this version.
    At(String),
    /// What happened meanwhile is not known.
    Expired,
}

/// Why something could not be listed.
#[derive(Debug)]
pub(crate) enum Unlisted {
    /// It is refused, and would be again.
    Refused(CallError),
    /// It may be listed later.
    Later(CallError),
}

impl Scene {
    fn of(place: &Place) -> Self {
        Self {
            account: place.account.clone(),
            namespace: place.namespace.clone(),
            group: place.group.clone(),
            kind: place.kind.clone(),
            labels: labels(place),
        }
    }

    /// The selector as it stands in a path.
    fn selector(&self) -> String {
        utf8_percent_encode(&self.labels, NON_ALPHANUMERIC).to_string()
    }
}

impl Cluster {
    /// Tells what becomes of the objects at `place`, until that is refused; then why.
    pub(crate) async fn glance(&self, place: &Place, tell: impl FnMut(Glance) + Send) -> CallError {
        self.glance_at(&Scene::of(place), tell).await
    }

    /// The same of any scene.
    pub(crate) async fn glance_at(
        &self,
        place: &Scene,
        mut tell: impl FnMut(Glance) + Send,
    ) -> CallError {
        let wire = self.wire_of(place).impatient();
        let mut pause = SOONEST;
        loop {
            let ended = self.once(&wire, place, &mut tell).await;
            tell(Glance::Lost);
            match ended {
                Ok(()) => pause = SOONEST,
                // Served when last listed, not served now.
                Err(why) if why.cause() == Cause::UnknownKind => self.discovery.outdated(),
                Err(why) if is_final(&why) && !is_expired(&why) => return why,
                Err(why) => tracing::debug!(error = %why, "watching broke off, it begins anew"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LATEST);
        }
    }

    /// Tells once what is there. Where that breaks off, not all of it was told.
    pub(crate) async fn list_at(
        &self,
        place: &Scene,
        mut tell: impl FnMut(Glance) + Send,
    ) -> Result<(), Unlisted> {
        let wire = self.wire_of(place);
        let listing = async {
            let at = self.at(place).await?;
            let path = format!("{}?labelSelector={}", at.collection()?, place.selector());
            list(&wire, &path, &mut tell).await
        };
        match listing.await {
            Ok(_) => Ok(()),
            Err(why) if why.cause() == Cause::UnknownKind => {
                self.discovery.outdated();
                Err(Unlisted::Later(why))
            }
            Err(why) if is_final(&why) && !is_expired(&why) => Err(Unlisted::Refused(why)),
            Err(why) => Err(Unlisted::Later(why)),
        }
    }

    fn wire_of(&self, place: &Scene) -> Wire {
        match &place.account {
            Some(account) => self.own.acting_as(header(account)),
            None => self.own.clone(),
        }
    }

    /// Lists, and watches from there until that has expired.
    async fn once(
        &self,
        wire: &Wire,
        place: &Scene,
        tell: &mut (impl FnMut(Glance) + Send),
    ) -> Result<(), CallError> {
        let at = self.at(place).await?;
        let path = format!("{}?labelSelector={}", at.collection()?, place.selector());
        let mut version = list(wire, &path, tell).await?;
        loop {
            let broken = follow(wire, &path, version, tell).await?;
            tell(Glance::Lost);
            match broken {
                Broken::At(last) => version = last,
                Broken::Expired => return Ok(()),
            }
            // A server that ends every watch at once is not asked as fast as it can answer.
            tokio::time::sleep(BREATH).await;
        }
    }

    /// The path of the kind; the name is nobody's.
    async fn at(&self, place: &Scene) -> Result<Address, CallError> {
        let found = self.discovery.find(&place.group, None, &place.kind).await?;
        let Some((resource, _)) = found else {
            // Not served any more, or not again yet: that is no refusal.
            return Err(CallError::UnknownGroup(place.group.clone()));
        };
        Ok(Address {
            resource,
            namespace: place.namespace.clone(),
            name: String::new(),
        })
    }
}

/// Whether a list took so long that the server has forgotten what it was of: it begins anew.
fn is_expired(why: &CallError) -> bool {
    matches!(why, CallError::Refused(refusal) if refusal.is_gone())
}

fn labels(place: &Place) -> String {
    match place.which {
        Which::Applied => drift::OWNER.to_owned(),
        Which::Named => format!("{}={}", drift::WATCHED.0, drift::WATCHED.1),
    }
}

/// Tells all there are, and returns as of which version.
async fn list(
    wire: &Wire,
    path: &str,
    tell: &mut (impl FnMut(Glance) + Send),
) -> Result<String, CallError> {
    tell(Glance::Begin);
    let mut page = format!("{path}&limit={PAGE}");
    loop {
        let body = wire.read(&page, LISTED).await?;
        let mut list: Value = serde_json::from_slice(&body)
            .map_err(|why| CallError::Garbled(format!("a list: column {}", why.column())))?;
        let items = list.get_mut("items").and_then(Value::as_array_mut);
        for item in items.map(std::mem::take).into_iter().flatten() {
            tell(Glance::There(item));
        }
        let text = |field: &str| {
            let meta = list.get("metadata");
            let text = meta.and_then(|meta| meta.get(field)?.as_str());
            text.unwrap_or_default().to_owned()
        };
        let (next, version) = (text("continue"), text("resourceVersion"));
        if next.is_empty() {
            tell(Glance::Listed(drift::version(&version)));
            return Ok(version);
        }
        let next = utf8_percent_encode(&next, NON_ALPHANUMERIC);
        page = format!("{path}&limit={PAGE}&continue={next}");
    }
}

/// Tells what happens from `version` on, for as long as one watch lasts.
async fn follow(
    wire: &Wire,
    path: &str,
    mut version: String,
    tell: &mut (impl FnMut(Glance) + Send),
) -> Result<Broken, CallError> {
    let uri = format!(
        "{path}&watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCHED}&resourceVersion={version}"
    );
    let events = match wire.events(&uri, EACH).await {
        Ok(events) => events,
        Err(CallError::Refused(refusal)) if refusal.is_gone() => return Ok(Broken::Expired),
        Err(why) => return Err(why),
    };
    let mut events = std::pin::pin!(events);
    tell(Glance::Alive);
    while let Some(event) = events.next().await {
        let shown = match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => Glance::There(object),
            Ok(WatchEvent::Deleted(object)) => Glance::Gone(object),
            Ok(WatchEvent::Bookmark(mark)) => {
                version = mark.metadata.resource_version;
                tell(Glance::Alive);
                continue;
            }
            Ok(WatchEvent::Error(_)) => return Ok(Broken::Expired),
            Err(_) => return Ok(Broken::At(version)),
        };
        if let Glance::There(object) | Glance::Gone(object) = &shown
            && let Some(now) = object.pointer("/metadata/resourceVersion")
            && let Some(now) = now.as_str()
        {
            now.clone_into(&mut version);
        }
        tell(shown);
    }
    Ok(Broken::At(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_asked_for_by_its_label() {
        let named = Place::of_named(None, "acme", "Secret");
        assert_eq!(
            Scene::of(&named).selector(),
            "reconcile%2Efluxcd%2Eio%2Fwatch%3DEnabled"
        );
        let applied = Place {
            which: Which::Applied,
            ..named
        };
        assert_eq!(
            Scene::of(&applied).selector(),
            "kustomize%2Etoolkit%2Efluxcd%2Eio%2Fname"
        );
    }
}
