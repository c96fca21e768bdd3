//! Who waits until its neighbours have planned, and is woken when one of them has.
//!
//! Neighbours are the Kustomizations of one namespace, or all of the platform's. It deliberately doesn't know what was
//! planned, nor for whom it matters: who is woken looks again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use reeve_api::name::NamespaceName;
use reeve_core::tenancy::Grounds;
use tokio::sync::Notify;

/// A neighbourhood: a namespace, or (None) all of the platform's.
type Place = Option<NamespaceName>;

/// Those who wait, by neighbourhood.
#[derive(Debug, Default)]
pub(crate) struct Planned(Mutex<BTreeMap<Place, Weak<Notify>>>);

fn place(grounds: &Grounds, namespace: &NamespaceName) -> Place {
    (!grounds.is_platform(namespace)).then(|| namespace.clone())
}

impl Planned {
    /// Wakes who waits for the neighbours of `namespace`.
    pub(super) fn tell(&self, grounds: &Grounds, namespace: &NamespaceName) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = place(grounds, namespace);
        match all.get(&place).map(Weak::upgrade) {
            Some(Some(waiting)) => waiting.notify_waiters(),
            Some(None) => drop(all.remove(&place)),
            None => {}
        }
    }

    /// What is told there from now on: to be asked for before the look that finds something missing.
    pub(super) fn listen(&self, grounds: &Grounds, namespace: &NamespaceName) -> Arc<Notify> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = place(grounds, namespace);
        let known = all.get(&place).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let fresh = Arc::new(Notify::new());
            all.insert(place, Arc::downgrade(&fresh));
            fresh
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn grounds() -> Grounds {
        Grounds {
            platform_namespaces: BTreeSet::from([name("flux-system"), name("reeve-system")]),
            config_namespaces: BTreeSet::new(),
            platform_service_account: name("platform"),
            tenant_service_account: name("flux"),
            remote_bases: Vec::new(),
            remote_clusters: Vec::new(),
        }
    }

    #[tokio::test]
    async fn neighbours_are_woken_and_nobody_else() {
        let (planned, grounds) = (Planned::default(), grounds());
        let soon = Duration::from_millis(20);
        for (waits, tells, woken) in [
            ("acme", "acme", true),
            ("acme", "other", false),
            ("acme", "flux-system", false),
            ("reeve-system", "flux-system", true),
        ] {
            let bell = planned.listen(&grounds, &name(waits));
            let rings = bell.notified();
            planned.tell(&grounds, &name(tells));
            let rang = tokio::time::timeout(soon, rings).await;
            assert_eq!(rang.is_ok(), woken, "{tells} to {waits}");
        }
        planned.tell(&grounds, &name("acme"));
        planned.tell(&grounds, &name("reeve-system"));
        let left = planned.0.lock().unwrap().len();
        assert_eq!(left, 0, "nothing is kept of who waits no more");
    }
}
