//! What the landlord has seen, and who is due.
//!
//! A namespace makes its Tenant due by its label and by whoever names it. Nothing is done before all Tenants and all namespaces
//! were listed: until then an older Tenant may have the namespace. Of a Tenant that nobody has been able to read since this process
//! began nothing is known: nothing is made of it, and nothing taken from it. Deciding is `core`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::core::ObjectMeta;
use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::tenant::{Onboarding, Tenant};
use reeve_core::landlord::Seen;
use reeve_core::tenancy::{Grounds, Lost, Tenants};
use tokio::time::Instant;

use super::due::Due;
use crate::cluster::{Change, Id};
use crate::observe::Standing;

/// How long after a binding has changed it is looked at: what changes all the time costs one look in that time.
const PAUSE: Duration = Duration::from_secs(2);

/// All that was seen.
#[derive(Default)]
pub(super) struct Known {
    tenants: Tenants,
    objects: BTreeMap<TenantName, Arc<Tenant>>,
    namespaces: BTreeMap<NamespaceName, Seen>,
    /// What a listing that is under way has shown.
    listing: (BTreeSet<TenantName>, BTreeSet<NamespaceName>),
    listed: (bool, bool),
    due: Due,
    failures: BTreeMap<TenantName, u32>,
    /// The definition that a Tenant was last seen under.
    under: BTreeMap<TenantName, String>,
}

/// What there is to look at for one Tenant.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) name: TenantName,
    /// None: it is gone.
    pub(super) object: Option<Arc<Tenant>>,
    /// The namespaces that it names and nobody else has, in the order of its spec, as they are.
    pub(super) has: Vec<(NamespaceName, Option<Seen>)>,
    /// Those that it names and others have.
    pub(super) lost: Vec<Lost>,
    /// Those that bear its label and that it has no more.
    pub(super) left: Vec<NamespaceName>,
    /// Those that bear its label and have become the platform's: the landlord may do nothing there.
    pub(super) outgrown: Vec<NamespaceName>,
    /// The definition that it was last seen under.
    pub(super) under: Option<String>,
    /// Whether it was cut short with something done, and goes on soon.
    pub(super) goes_on: AtomicBool,
}

impl Errand {
    /// There is more to do than one look does.
    pub(super) fn look_again(&self) {
        self.goes_on.store(true, Ordering::Relaxed);
    }

    /// Whether there is.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on.load(Ordering::Relaxed)
    }
}

impl Known {
    /// What was seen of Tenants.
    pub(super) fn tenant(&mut self, change: Change<Tenant>, now: Instant) {
        match change {
            Change::Begin => self.listing.0.clear(),
            Change::Put(object) => {
                let Some(name) = name_of(&object.metadata) else {
                    return;
                };
                self.listing.0.insert(name.clone());
                let before = self.objects.insert(name.clone(), Arc::clone(&object));
                if before.is_some_and(|before| is_old(&before, &object)) {
                    return;
                }
                let touched = self.tenants.apply(&object);
                self.wake(name, now);
                self.wake_naming(&touched, now);
            }
            // What it said before holds; where that is not known, nothing is made of it and nothing is taken away.
            Change::Bad(bad) => {
                if let Some(name) = name_of(&bad.meta) {
                    self.tenants.cannot_read(&name);
                    self.listing.0.insert(name);
                }
            }
            Change::Gone(id) => {
                if let Ok(name) = id.name.parse() {
                    self.gone(&name, now);
                }
            }
            Change::Synced => {
                let left = self.objects.keys().chain(self.tenants.unread());
                let left = left.filter(|name| !self.listing.0.contains(*name));
                let left: Vec<TenantName> = left.cloned().collect();
                left.iter().for_each(|name| self.gone(name, now));
                self.listed.0 = true;
                self.wake_strays(now);
            }
        }
    }

    /// What was seen of namespaces.
    pub(super) fn namespace(&mut self, change: Change<ObjectMeta>, now: Instant) {
        match change {
            Change::Begin => self.listing.1.clear(),
            Change::Put(meta) => {
                let name = meta.name.as_deref();
                let Some(name) = name.and_then(|name| name.parse::<NamespaceName>().ok()) else {
                    return;
                };
                self.listing.1.insert(name.clone());
                let seen = Seen::new(
                    meta.labels.clone().unwrap_or_default(),
                    &meta.annotations.clone().unwrap_or_default(),
                    meta.deletion_timestamp.is_some(),
                );
                let whose = seen.tenant().and_then(|whose| whose.parse().ok());
                self.tenants.mark(&name, whose);
                let before = self.namespaces.insert(name.clone(), seen.clone());
                if before.as_ref() != Some(&seen) {
                    let whose = [before.as_ref(), Some(&seen)];
                    let whose = whose.into_iter().flatten().filter_map(Seen::tenant);
                    let whose: Vec<TenantName> =
                        whose.filter_map(|name| name.parse().ok()).collect();
                    whose.into_iter().for_each(|name| self.wake(name, now));
                    self.wake_naming(&BTreeSet::from([name]), now);
                }
            }
            // Metadata can always be read.
            Change::Bad(_) => {}
            Change::Gone(id) => self.without(&id, now),
            Change::Synced => {
                let left = self.namespaces.keys();
                let left = left.filter(|name| !self.listing.1.contains(*name));
                let left: Vec<NamespaceName> = left.cloned().collect();
                for name in left {
                    let namespace = String::new();
                    let name = name.to_string();
                    self.without(&Id { namespace, name }, now);
                }
                self.listed.1 = true;
                self.wake_strays(now);
            }
        }
    }

    /// What was seen of bindings of ours: whatever changes of them, whoever has the namespace is looked at. A tenant may write
    /// bindings there itself, with any label: so nobody else is, and not at once.
    pub(super) fn binding(&mut self, change: Change<ObjectMeta>, now: Instant) {
        let namespace = match change {
            Change::Put(meta) => meta.namespace.clone().unwrap_or_default(),
            Change::Gone(id) => id.namespace,
            Change::Begin | Change::Bad(_) | Change::Synced => return,
        };
        let Ok(namespace) = namespace.parse::<NamespaceName>() else {
            return;
        };
        let at = now + PAUSE;
        let whose = self.namespaces.get(&namespace).and_then(Seen::tenant);
        if let Some(name) = whose.and_then(|name| name.parse().ok()) {
            self.wake(name, at);
        }
        self.wake_naming(&BTreeSet::from([namespace]), at);
    }

    /// When the next one is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let all = self.listed == (true, true);
        all.then(|| self.due.next()).flatten()
    }

    /// Whoever has been due the longest, if anybody is, and is not attended to. It is from now on.
    pub(super) fn take(&mut self, grounds: &Grounds, now: Instant) -> Option<Errand> {
        loop {
            let name = self.due.take(now)?;
            if !self.tenants.is_unread(&name) {
                return Some(self.errand(grounds, name));
            }
            // It is there, whatever bears its label: what could be read of it wakes it.
            self.due.end(&name);
        }
    }

    /// It is attended to no more.
    pub(super) fn ended(&mut self, name: &TenantName) {
        self.due.end(name);
    }

    /// How many Tenants stand how, by what was last told of them.
    pub(super) fn standing(&self) -> Standing {
        let mut all = Standing::default();
        for tenant in self.objects.values() {
            let counted = match tenant.metadata.deletion_timestamp {
                Some(_) => &mut all.leaving,
                None if is_onboarded(tenant) => &mut all.onboarded,
                None => &mut all.waiting,
            };
            *counted += 1;
        }
        all.waiting += self.tenants.unread().count();
        all
    }

    /// It is to be looked at again then, if nothing happens before.
    pub(super) fn again(&mut self, name: &TenantName, at: Instant) {
        self.due.wake(name.clone(), at);
    }

    /// How often in a row it has failed now.
    pub(super) fn failed(&mut self, name: &TenantName) -> u32 {
        let failures = self.failures.entry(name.clone()).or_default();
        *failures = failures.saturating_add(1);
        *failures
    }

    /// It did not fail, and was seen under this definition.
    pub(super) fn succeeded(&mut self, name: &TenantName, under: Option<String>) -> u32 {
        self.failures.remove(name);
        match under {
            Some(under) => self.under.insert(name.clone(), under),
            None => self.under.remove(name),
        };
        0
    }

    fn errand(&self, grounds: &Grounds, name: TenantName) -> Errand {
        let object = self.objects.get(&name).cloned();
        let lost = self.tenants.lost_by(grounds, &name);
        let is_lost = |one: &NamespaceName| lost.iter().any(|lost| lost.namespace == *one);
        let mut owned = self.tenants.namespaces_of(&name);
        owned.retain(|one| !is_lost(one));
        let named = object.iter().flat_map(|object| &object.spec.namespaces);
        // Among them what is nobody's by its label: that it is not adopted is said of it.
        let has = named
            .filter(|one| !is_lost(one))
            .map(|one| (one.clone(), self.namespaces.get(one).cloned()));
        let has = has.collect();
        let stays = |one: &NamespaceName| self.namespaces.get(one).is_some_and(|seen| !seen.going);
        let labelled = self.tenants.marked_for(&name);
        let labelled = labelled.filter(|one| !owned.contains(*one) && stays(one));
        let (outgrown, left): (Vec<_>, Vec<_>) = labelled
            .cloned()
            .partition(|one| grounds.belongs_to_platform(one));
        Errand {
            under: self.under.get(&name).cloned(),
            name,
            object,
            has,
            lost,
            left,
            outgrown,
            goes_on: AtomicBool::new(false),
        }
    }

    fn gone(&mut self, name: &TenantName, now: Instant) {
        self.objects.remove(name);
        let touched = self.tenants.remove(name);
        self.wake(name.clone(), now);
        self.wake_naming(&touched, now);
    }

    fn without(&mut self, id: &Id, now: Instant) {
        if let Ok(name) = id.name.parse::<NamespaceName>() {
            self.namespaces.remove(&name);
            self.tenants.mark(&name, None);
            self.wake_naming(&BTreeSet::from([name]), now);
        }
    }

    fn wake(&mut self, name: TenantName, at: Instant) {
        self.due.wake(name, at);
    }

    /// Whoever names one of these namespaces may have it now, or no more.
    fn wake_naming(&mut self, namespaces: &BTreeSet<NamespaceName>, now: Instant) {
        let naming = self.tenants.named_by(namespaces);
        naming.into_iter().for_each(|name| self.wake(name, now));
    }

    /// Namespaces bear labels of Tenants that went while nobody looked.
    fn wake_strays(&mut self, now: Instant) {
        let whose = self.namespaces.values().filter_map(Seen::tenant);
        let whose = whose.filter_map(|name| name.parse::<TenantName>().ok());
        let strays = whose.filter(|name| !self.objects.contains_key(name));
        let strays: Vec<TenantName> = strays.collect();
        strays.into_iter().for_each(|name| self.wake(name, now));
    }
}

fn name_of(meta: &ObjectMeta) -> Option<TenantName> {
    meta.name.as_deref()?.parse().ok()
}

/// Whether what it says now is made.
fn is_onboarded(tenant: &Tenant) -> bool {
    let status = tenant.status.as_ref();
    let said = status.and_then(|status| status.onboarding.as_ref());
    said.is_some_and(|said| {
        said.done && Some(said.observed_generation) == tenant.metadata.generation
    })
}

/// Whether nothing of it is another that is worth a look: neither the spec nor our own words.
fn is_old(before: &Tenant, after: &Tenant) -> bool {
    fn said(tenant: &Tenant) -> Option<&Onboarding> {
        tenant.status.as_ref()?.onboarding.as_ref()
    }
    before.metadata.uid == after.metadata.uid
        && before.metadata.generation == after.metadata.generation
        && said(before) == said(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Undecodable;
    use reeve_api::TENANT_LABEL;
    use serde_json::{Value, json};

    fn tenant(name: &str, namespaces: &[&str], created: &str) -> Change<Tenant> {
        let object = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant",
            "metadata": {"name": name, "uid": name, "generation": 1, "creationTimestamp": created},
            "spec": {"namespaces": namespaces},
        });
        Change::Put(Arc::new(serde_json::from_value(object).unwrap()))
    }

    fn namespace(name: &str, whose: Option<&str>) -> Change<ObjectMeta> {
        let labels = whose.map(|whose| json!({TENANT_LABEL: whose}));
        let meta = json!({"name": name, "labels": labels});
        Change::Put(Arc::new(serde_json::from_value(meta).unwrap()))
    }

    fn binding(namespace: &str, whose: &str) -> Change<ObjectMeta> {
        let labels = json!({TENANT_LABEL: whose});
        let meta = json!({"name": "any", "namespace": namespace, "labels": labels});
        Change::Put(Arc::new(serde_json::from_value(meta).unwrap()))
    }

    #[test]
    fn a_binding_has_whoever_has_its_namespace_looked_at_and_nobody_whom_it_names() {
        let (mut known, now) = (Known::default(), Instant::now());
        for (name, place) in [("acme", "a"), ("beta", "b")] {
            known.tenant(tenant(name, &[place], "2026-01-01T00:00:00Z"), now);
            known.namespace(namespace(place, Some(name)), now);
        }
        known.tenant(Change::Synced, now);
        known.namespace(Change::Synced, now);
        let first = attended(&mut known, now).len();
        assert!(first > 0 && known.due().is_none());
        known.binding(binding("a", "beta"), now);
        known.binding(binding("a", "acme"), now);
        known.binding(binding("nobodys", "beta"), now);
        assert_eq!(known.due(), Some(now + PAUSE));
        let due = attended(&mut known, now + PAUSE);
        let due: Vec<String> = due.into_iter().map(|one| one.name.to_string()).collect();
        assert_eq!(due, ["acme"]);
    }

    fn grounds() -> Grounds {
        Grounds {
            platform_namespaces: ["reeve-system".parse().unwrap()].into(),
            config_namespaces: BTreeSet::new(),
            platform_service_account: "platform".parse().unwrap(),
            tenant_service_account: "flux".parse().unwrap(),
            remote_bases: Vec::new(),
            remote_clusters: Vec::new(),
        }
    }

    /// All who are due, attended to.
    fn attended(known: &mut Known, now: Instant) -> Vec<Errand> {
        let all: Vec<Errand> = std::iter::from_fn(|| known.take(&grounds(), now)).collect();
        all.iter().for_each(|one| known.ended(&one.name));
        all
    }

    fn names(errands: &[Errand]) -> Vec<&str> {
        errands.iter().map(|one| one.name.as_str()).collect()
    }

    #[test]
    fn nothing_is_done_before_everything_was_listed_and_then_for_whom_it_concerns() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.tenant(tenant("acme", &["acme", "b"], "2026-01-02T00:00:00Z"), now);
        known.tenant(Change::Synced, now);
        assert_eq!(known.due(), None, "an older one may have its namespaces");
        known.namespace(namespace("stray", Some("gone")), now);
        known.namespace(namespace("acme", Some("acme")), now);
        known.namespace(Change::Synced, now);
        assert_eq!(known.due(), Some(now));
        let errands = attended(&mut known, now);
        assert_eq!(names(&errands), ["acme", "gone"]);
        assert_eq!(errands[1].left, ["stray"]);
        let seen: Vec<bool> = errands[0]
            .has
            .iter()
            .map(|(_, seen)| seen.is_some())
            .collect();
        assert_eq!(seen, [true, false]);
        assert_eq!(known.due(), None);

        known.namespace(namespace("acme", Some("acme")), now);
        assert_eq!(known.due(), None, "nothing is another");
        known.namespace(namespace("b", None), now);
        assert_eq!(names(&attended(&mut known, now)), ["acme"]);
    }

    fn unreadable(name: &str) -> Change<Tenant> {
        let meta: ObjectMeta = serde_json::from_value(json!({ "name": name })).unwrap();
        let object =
            json!({"apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": meta});
        Change::Bad(Box::new(Undecodable {
            meta,
            api_version: "reeve.dev/v1alpha1".to_owned(),
            why: "spec.source.interval: too long".to_owned(),
            object: Arc::new(serde_json::from_value(object).unwrap()),
        }))
    }

    #[test]
    fn a_tenant_that_nobody_can_read_is_not_taken_for_gone_until_it_is() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.namespace(namespace("a", Some("acme")), now);
        known.tenant(unreadable("acme"), now);
        known.namespace(Change::Synced, now);
        known.tenant(Change::Synced, now);
        assert_eq!(names(&attended(&mut known, now)), [""; 0]);
        assert_eq!(known.standing().waiting, 1);
        // Whatever becomes of its namespaces, and of a listing that shows it again.
        known.namespace(namespace("b", Some("acme")), now);
        known.tenant(Change::Begin, now);
        known.tenant(unreadable("acme"), now);
        known.tenant(Change::Synced, now);
        assert_eq!(names(&attended(&mut known, now)), [""; 0]);

        known.tenant(tenant("acme", &["a"], "2026-01-01T00:00:00Z"), now);
        let errands = attended(&mut known, now);
        assert_eq!(names(&errands), ["acme"]);
        assert_eq!((errands[0].has.len(), errands[0].left.len()), (1, 1));
        // What it said holds when it cannot be read any more.
        known.tenant(unreadable("acme"), now);
        known.namespace(namespace("b", None), now);
        assert!(attended(&mut known, now)[0].object.is_some());

        // One that nobody has read, and that a listing shows no more.
        known.tenant(unreadable("beta"), now);
        known.namespace(namespace("c", Some("beta")), now);
        known.tenant(Change::Begin, now);
        known.tenant(unreadable("acme"), now);
        known.tenant(Change::Synced, now);
        let errands = attended(&mut known, now);
        let beta = errands.iter().find(|one| one.name.as_str() == "beta");
        let beta = beta.unwrap();
        assert!(beta.object.is_none() && beta.left == ["c"]);
    }

    #[test]
    fn a_namespace_that_has_become_the_platforms_is_nothing_to_take_away_in() {
        let (mut known, now) = (Known::default(), Instant::now());
        let tenant = tenant("acme", &["a", "reeve-system"], "2026-01-01T00:00:00Z");
        known.tenant(tenant, now);
        known.tenant(Change::Synced, now);
        for place in ["a", "b", "reeve-system"] {
            known.namespace(namespace(place, Some("acme")), now);
        }
        known.namespace(Change::Synced, now);
        let errands = attended(&mut known, now);
        assert_eq!(errands[0].left, ["b"]);
        assert_eq!(errands[0].outgrown, ["reeve-system"]);
        assert_eq!(errands[0].has.len(), 1);
    }

    #[test]
    fn a_tenant_that_is_attended_to_is_so_once_and_again_when_it_has_changed_meanwhile() {
        let (mut known, now) = (Known::default(), Instant::now());
        let put = |name: &str, namespace: &str| tenant(name, &[namespace], "2026-01-01T00:00:00Z");
        known.tenant(put("acme", "a"), now);
        known.tenant(Change::Synced, now);
        known.namespace(Change::Synced, now);
        let first = known.take(&grounds(), now).unwrap();
        known.namespace(namespace("a", None), now);
        known.tenant(put("beta", "b"), now);
        assert_eq!(known.take(&grounds(), now).unwrap().name, "beta");
        assert!(known.take(&grounds(), now).is_none() && known.due().is_none());
        known.ended(&first.name);
        assert_eq!(known.take(&grounds(), now).unwrap().name, "acme");
    }

    #[test]
    fn what_an_older_tenant_comes_to_have_the_younger_loses_and_gets_back() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.tenant(tenant("young", &["a"], "2026-02-01T00:00:00Z"), now);
        known.tenant(Change::Synced, now);
        known.namespace(Change::Synced, now);
        assert_eq!(attended(&mut known, now)[0].has.len(), 1);
        known.tenant(tenant("old", &["a"], "2026-01-01T00:00:00Z"), now);
        let errands = attended(&mut known, now);
        assert_eq!(names(&errands), ["old", "young"]);
        assert_eq!((errands[0].has.len(), errands[1].has.len()), (1, 0));
        assert_eq!(errands[1].lost.len(), 1);
        let id = Id {
            namespace: String::new(),
            name: "old".to_owned(),
        };
        known.tenant(Change::Gone(id), now);
        let errands = attended(&mut known, now);
        assert_eq!(names(&errands), ["old", "young"]);
        assert!(errands[0].object.is_none() && errands[1].has.len() == 1);
    }

    #[test]
    fn a_tenant_that_is_added_again_has_its_namespace_again_whoever_named_it_meanwhile() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.tenant(tenant("yy", &["yy"], "2026-01-01T00:00:00Z"), now);
        known.tenant(
            tenant("squat", &["squat", "yy"], "2026-02-01T00:00:00Z"),
            now,
        );
        known.tenant(Change::Synced, now);
        known.namespace(namespace("yy", Some("yy")), now);
        known.namespace(Change::Synced, now);
        attended(&mut known, now);
        let id = Id {
            namespace: String::new(),
            name: "yy".to_owned(),
        };
        known.tenant(Change::Gone(id), now);
        let errands = attended(&mut known, now);
        assert_eq!(names(&errands), ["squat", "yy"]);
        // It is looked at, so that it is told that the namespace is not adopted.
        assert_eq!((errands[0].has.len(), errands[0].lost.len()), (2, 0));
        assert_eq!(errands[1].left, ["yy"]);

        known.tenant(tenant("yy", &["yy"], "2026-03-01T00:00:00Z"), now);
        let errands = attended(&mut known, now);
        assert_eq!(names(&errands), ["squat", "yy"]);
        assert_eq!((errands[0].has.len(), errands[0].lost.len()), (1, 1));
        assert_eq!((errands[1].has.len(), errands[1].left.len()), (1, 0));
    }

    #[test]
    fn a_tenant_waits_until_what_it_says_now_is_made() {
        let (mut known, now) = (Known::default(), Instant::now());
        let put = |name: &str, more: Value| {
            let mut object = json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant",
                "metadata": {"name": name, "uid": name, "generation": 2},
                "spec": {"namespaces": [name]},
            });
            for (pointer, value) in more.as_object().unwrap() {
                let at = object.pointer_mut(pointer).unwrap();
                at.as_object_mut()
                    .unwrap()
                    .extend(value.as_object().unwrap().clone());
            }
            Change::Put(Arc::new(serde_json::from_value(object).unwrap()))
        };
        let told = |done: bool, generation: i64| {
            let said = json!({
                "done": done, "reason": "Succeeded", "message": "", "observedGeneration": generation,
            });
            json!({"": {"status": {"onboarding": said}}})
        };
        let going = json!({"/metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        for (name, more) in [
            ("kept", told(true, 2)),
            ("changed", told(true, 1)),
            ("refused", told(false, 2)),
            ("fresh", json!({})),
            ("going", going),
        ] {
            known.tenant(put(name, more), now);
        }
        let want = Standing {
            onboarded: 1,
            waiting: 3,
            leaving: 1,
        };
        assert_eq!(known.standing(), want);
    }

    #[test]
    fn a_status_of_somebody_else_is_no_news_and_what_failed_is_due_again() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.tenant(tenant("acme", &["a"], "2026-01-01T00:00:00Z"), now);
        known.tenant(Change::Synced, now);
        known.namespace(Change::Synced, now);
        attended(&mut known, now);
        known.tenant(tenant("acme", &["a"], "2026-01-01T00:00:00Z"), now);
        assert_eq!(known.due(), None);
        let acme = "acme".parse().unwrap();
        assert_eq!((known.failed(&acme), known.failed(&acme)), (1, 2));
        let later = now + Duration::from_secs(3);
        known.again(&acme, later);
        assert_eq!(known.due(), Some(later));
        assert!(attended(&mut known, now).is_empty());
        assert_eq!(known.succeeded(&acme, None), 0);
        assert_eq!(known.failed(&acme), 1);
    }
}
