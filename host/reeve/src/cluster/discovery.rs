//! What kinds the API server serves, remembered.
//!
//! One aggregated listing holds all of it; it is asked again when a definition was seen to change, when a kind is
//! missed (at most once in [`MISS_PAUSE`], for whatever number of tenants miss whatever), and when it has grown old.
//! It deliberately never guesses a plural or a scope. `core::plan` gets the scopes, [`apply`](super::apply) the paths.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use kube::core::ApiResource;
use kube::core::discovery::v2::{ACCEPT_AGGREGATED_DISCOVERY_V2, APIGroupDiscoveryList};
use reeve_core::plan::{Scope, Scopes};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::refusal::{CallError, Cause};
use super::wire::Wire;

/// How long to believe that a kind nobody serves is still not served.
const MISS_PAUSE: Duration = Duration::from_secs(2);
/// The most kinds that are remembered of one cluster: another's may list what it likes.
const MOST_KINDS: usize = 10_000;
/// How long a listing is believed at all: what an aggregated API server adds shows in no watch of ours.
const MAX_AGE: Duration = Duration::from_secs(600);

/// The kinds of one cluster.
pub(super) struct Discovery {
    wire: Wire,
    known: ArcSwap<Known>,
    stale: AtomicBool,
    refreshing: Mutex<()>,
}

/// One listing.
struct Known {
    listed: Instant,
    kinds: Kinds,
    scopes: Scopes,
}

/// What is served, by group and kind.
#[derive(Default)]
struct Kinds {
    served: BTreeMap<(String, String), Vec<Served>>,
    /// Groups whose own server did not answer: what is missing of them may still exist.
    silent: BTreeSet<String>,
}

/// One kind in one version.
#[derive(Debug, Clone)]
struct Served {
    resource: ApiResource,
    scope: Scope,
    /// What else people call it.
    words: Vec<String>,
    /// Whether its objects can be listed, and made by whoever may: others, as measurements, are in nobody's files.
    is_kept: bool,
}

impl Served {
    fn is_called(&self, word: &str) -> bool {
        let resource = &self.resource;
        let is_word = |one: &String| !one.is_empty() && one == word;
        resource.plural == word
            || resource.kind.to_lowercase() == word
            || self.words.iter().any(is_word)
    }
}

impl Discovery {
    /// Lists everything once.
    pub(super) async fn begin(wire: Wire) -> Result<Self, CallError> {
        let known = list(&wire).await?;
        Ok(Self {
            wire,
            known: ArcSwap::from_pointee(known),
            stale: AtomicBool::new(false),
            refreshing: Mutex::new(()),
        })
    }

    /// Where each known kind lives.
    pub(super) async fn scopes(&self) -> Scopes {
        self.settle().await;
        self.known.load().scopes.clone()
    }

    /// Lists again if what is known may not hold any more.
    pub(super) async fn settle(&self) {
        // An old listing is better than none: the plan is made from it, and a kind it lacks is missed when applied.
        if self.stale.load(Ordering::Acquire) || self.known.load().listed.elapsed() > MAX_AGE {
            drop(self.refresh(Instant::now()).await);
        }
    }

    /// Something changed what is served: the next use lists again.
    pub(super) fn outdated(&self) {
        self.stale.store(true, Ordering::Release);
    }

    /// The kind's path and scope in exactly that version, or in any version if none is given; None: nobody serves it.
    pub(super) async fn find(
        &self,
        group: &str,
        version: Option<&str>,
        kind: &str,
    ) -> Result<Option<(ApiResource, Scope)>, CallError> {
        let begun = Instant::now();
        let known = self.known.load_full();
        let fresh = !self.stale.load(Ordering::Acquire) && known.listed.elapsed() < MAX_AGE;
        if let Some(found) = known.find(group, version, kind)
            && fresh
        {
            return Ok(Some(found));
        }
        if !fresh || known.listed.elapsed() >= MISS_PAUSE {
            self.refresh(begun).await?;
        }
        let known = self.known.load();
        match known.find(group, version, kind) {
            None if known.kinds.silent.contains(group) => {
                Err(CallError::UnknownGroup(group.to_owned()))
            }
            found => Ok(found),
        }
    }

    /// The kind that somebody calls so: by its plural, its singular, a short name or itself, with its group behind a dot if need
    /// be. Of several it is that of the core group, or else the first; None: nobody serves it.
    pub(super) async fn called(
        &self,
        word: &str,
    ) -> Result<Option<(ApiResource, Scope)>, CallError> {
        let word = word.to_lowercase();
        let found = self.known.load().called(&word);
        if found.is_some() {
            return Ok(found);
        }
        self.refresh(Instant::now()).await?;
        Ok(self.known.load().called(&word))
    }

    /// Whether the last listing has the kind in that version.
    pub(super) fn knows(&self, group: &str, version: &str, kind: &str) -> bool {
        self.known.load().find(group, Some(version), kind).is_some()
    }

    /// The kinds of the groups whose names end so, each in v1 where that is served, and else in the preferred version; nothing
    /// where one of these groups' servers did not answer.
    pub(super) async fn kinds_of(&self, ending: &str) -> Result<Vec<ApiResource>, CallError> {
        self.settle().await;
        let known = self.known.load_full();
        let mut silent = known.kinds.silent.iter();
        if let Some(group) = silent.find(|group| group.ends_with(ending)) {
            return Err(CallError::UnknownGroup(group.clone()));
        }
        let served = known.kinds.served.iter();
        let meant = served.filter(|((group, _), _)| group.ends_with(ending));
        let resources = meant.filter_map(|(_, versions)| {
            let first = versions.iter().find(|one| one.resource.version == "v1");
            Some(first.or_else(|| versions.first())?.resource.clone())
        });
        Ok(resources.collect())
    }

    /// The kinds of objects that people keep which are meant, by their group and plural, each in the preferred version.
    pub(super) async fn meant(
        &self,
        means: impl Fn(&str, &str) -> bool,
    ) -> Vec<(ApiResource, Scope)> {
        self.settle().await;
        self.known.load_full().meant(means)
    }

    /// Lists again, unless somebody else did since `asked`.
    pub(super) async fn refresh(&self, asked: Instant) -> Result<(), CallError> {
        let _one_at_a_time = self.refreshing.lock().await;
        if self.known.load().listed > asked {
            return Ok(());
        }
        // Cleared before the listing: a change during it makes it stale again.
        self.stale.store(false, Ordering::Release);
        match list(&self.wire).await {
            Ok(known) => {
                self.known.store(Arc::new(known));
                Ok(())
            }
            Err(why) => {
                self.stale.store(true, Ordering::Release);
                Err(why)
            }
        }
    }
}

impl Known {
    fn meant(&self, means: impl Fn(&str, &str) -> bool) -> Vec<(ApiResource, Scope)> {
        let first = self.kinds.served.values().filter_map(|all| all.first());
        let kept = first.filter(|one| one.is_kept);
        let meant = kept.filter(|one| means(&one.resource.group, &one.resource.plural));
        meant
            .map(|served| (served.resource.clone(), served.scope))
            .collect()
    }

    fn called(&self, word: &str) -> Option<(ApiResource, Scope)> {
        // Ordered by group: the core group has an empty name.
        let all = self.kinds.served.iter();
        let mut found = all.filter_map(|((group, _), versions)| {
            let served = versions.first()?;
            let name = match word.strip_suffix(group.as_str()) {
                Some(name) if !group.is_empty() => name.strip_suffix('.').unwrap_or(word),
                _ => word,
            };
            served.is_called(name).then_some(served)
        });
        found
            .next()
            .map(|served| (served.resource.clone(), served.scope))
    }

    fn find(&self, group: &str, version: Option<&str>, kind: &str) -> Option<(ApiResource, Scope)> {
        let versions = self
            .kinds
            .served
            .get(&(group.to_owned(), kind.to_owned()))?;
        let wanted =
            |served: &&Served| version.is_none_or(|wanted| served.resource.version == wanted);
        versions
            .iter()
            .find(wanted)
            .map(|served| (served.resource.clone(), served.scope))
    }
}

async fn list(wire: &Wire) -> Result<Known, CallError> {
    // An API server that is starting lists only half of what it will serve; what is missing would count as gone.
    if let Err(why) = wire.impatient().read("/readyz", "*/*").await
        && why.cause() == Cause::Unavailable
    {
        return Err(why);
    }
    // Taken before asking: what changes while the answer is on its way is not in it.
    let listed = Instant::now();
    let (core, groups) = tokio::try_join!(
        wire.read("/api", ACCEPT_AGGREGATED_DISCOVERY_V2),
        wire.read("/apis", ACCEPT_AGGREGATED_DISCOVERY_V2),
    )?;
    let mut kinds = Kinds::default();
    for body in [core, groups] {
        let list: APIGroupDiscoveryList = serde_json::from_slice(&body)
            .map_err(|why| CallError::Garbled(format!("discovery: {why}")))?;
        collect(list, &mut kinds);
    }
    if kinds.served.values().map(Vec::len).sum::<usize>() > MOST_KINDS {
        let why = format!("discovery lists more than {MOST_KINDS} kinds");
        return Err(CallError::Garbled(why));
    }
    if kinds.served.is_empty() {
        return Err(CallError::Garbled("discovery lists no kind".to_owned()));
    }
    let scoped = kinds.served.iter().filter_map(|((group, kind), versions)| {
        Some(((group.clone(), kind.clone()), versions.first()?.scope))
    });
    let scopes = scoped.collect();
    Ok(Known {
        listed,
        kinds,
        scopes,
    })
}

fn collect(list: APIGroupDiscoveryList, kinds: &mut Kinds) {
    for group in list.items {
        let group_name = group
            .metadata
            .and_then(|meta| meta.name)
            .unwrap_or_default();
        for version in group.versions {
            let name = version.version.unwrap_or_default();
            if version.freshness.as_deref() == Some("Stale") {
                kinds.silent.insert(group_name.clone());
            }
            for resource in version.resources {
                let Some(kind) = resource.response_kind.and_then(|kind| kind.kind) else {
                    continue;
                };
                let Some(plural) = resource.resource else {
                    continue;
                };
                // `pods/eviction` and reviews are no objects one could apply.
                let can = |what: &str| resource.verbs.iter().any(|verb| verb == what);
                if !can("get") {
                    continue;
                }
                let is_kept = can("list") && can("create");
                let api_version = if group_name.is_empty() {
                    name.clone()
                } else {
                    format!("{group_name}/{name}")
                };
                let scope = match resource.scope.as_deref() {
                    Some("Cluster") => Scope::Cluster,
                    _ => Scope::Namespaced,
                };
                let words = resource.short_names.into_iter();
                let words = words.chain(resource.singular_resource).collect();
                let resource = ApiResource {
                    group: group_name.clone(),
                    version: name.clone(),
                    api_version,
                    kind: kind.clone(),
                    plural,
                };
                let versions = kinds.served.entry((group_name.clone(), kind)).or_default();
                versions.push(Served {
                    resource,
                    scope,
                    words,
                    is_kept,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_with_every_version_and_scope() {
        let list: APIGroupDiscoveryList = serde_json::from_value(serde_json::json!({"items": [{
            "metadata": {"name": "autoscaling"},
            "versions": [
                {"version": "v2", "freshness": "Current", "resources": [{
                    "shortNames": ["hpa"], "resource": "horizontalpodautoscalers", "scope": "Namespaced", "verbs": ["get", "patch"],
                    "responseKind": {"group": "", "version": "", "kind": "HorizontalPodAutoscaler"}}]},
                {"version": "v1", "resources": [
                    {"resource": "horizontalpodautoscalers", "scope": "Namespaced", "verbs": ["get"],
                     "responseKind": {"kind": "HorizontalPodAutoscaler"}},
                    {"resource": "reviews", "scope": "Cluster", "verbs": ["create"], "responseKind": {"kind": "Review"}}]},
            ]}]}))
        .unwrap();
        let mut kinds = Kinds::default();
        collect(list, &mut kinds);
        let known = Known {
            listed: Instant::now(),
            kinds,
            scopes: Scopes::default(),
        };
        let find = |version| known.find("autoscaling", version, "HorizontalPodAutoscaler");
        assert_eq!(find(None).unwrap().0.api_version, "autoscaling/v2");
        assert_eq!(find(Some("v1")).unwrap().0.api_version, "autoscaling/v1");
        assert_eq!(find(Some("v1")).unwrap().1, Scope::Namespaced);
        assert!(find(Some("v2beta2")).is_none());
        assert!(known.find("autoscaling", None, "Review").is_none());
        for word in [
            "hpa",
            "horizontalpodautoscaler",
            "horizontalpodautoscalers",
            "hpa.autoscaling",
        ] {
            let (resource, _) = known.called(word).unwrap();
            assert_eq!(resource.kind, "HorizontalPodAutoscaler", "{word}");
        }
        for word in ["autoscaling", "hpa.apps", "pods", ""] {
            assert!(known.called(word).is_none(), "{word}");
        }
    }

    #[test]
    fn what_nobody_can_make_is_in_nobodys_files() {
        let kind = |plural: &str, kind: &str, verbs: &[&str]| serde_json::json!({"resource": plural, "scope": "Namespaced", "verbs": verbs, "responseKind": {"kind": kind}});
        let all = [
            kind("gauges", "Gauge", &["get", "list"]),
            kind("things", "Thing", &["create", "get", "list", "watch"]),
            kind("wishes", "Wish", &["create", "get"]),
        ];
        let list: APIGroupDiscoveryList = serde_json::from_value(serde_json::json!({"items": [{
            "metadata": {"name": "example.org"},
            "versions": [{"version": "v1", "freshness": "Current", "resources": all}]}]}))
        .unwrap();
        let mut kinds = Kinds::default();
        collect(list, &mut kinds);
        let known = Known {
            listed: Instant::now(),
            kinds,
            scopes: Scopes::default(),
        };
        let meant = known.meant(|_, _| true).into_iter();
        let meant: Vec<String> = meant.map(|(resource, _)| resource.plural).collect();
        assert_eq!(meant, ["things"]);
        assert!(known.find("example.org", None, "Gauge").is_some());
    }
}
