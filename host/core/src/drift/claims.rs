//! Which places are watched as others than the controller, where there may be only so many such watches.
//!
//! Each tenant may have as many as it wants while there are enough for all, and else what is left for each when those who want
//! fewer have theirs: so nobody's many namespaces take what another one needs, and whoever comes later has its share at once.
//! A tenant keeps what it has while its share allows it. It deliberately begins no watch, and does not know whose an account
//! is: that is said when a place is claimed.

use std::collections::BTreeMap;

use reeve_api::name::TenantName;

use super::Place;
use crate::ward::shares;

/// What is claimed, and what of it is watched.
#[derive(Debug)]
pub struct Claims {
    all: BTreeMap<Place, Claim>,
    tenants: BTreeMap<TenantName, Share>,
    most: usize,
    most_of_one: usize,
}

#[derive(Debug)]
struct Claim {
    tenant: TenantName,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Watched,
    Beyond,
}

#[derive(Debug, Default)]
struct Share {
    wanted: usize,
    watched: usize,
}

/// What is another once all have their shares.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// These are to be watched from now on.
    pub begin: Vec<Place>,
    /// These no longer.
    pub end: Vec<Place>,
    /// For these there is no room, which was not so before.
    pub beyond: Vec<Place>,
}

impl Claims {
    /// None yet; there may be so many watches in all, and so many for one tenant.
    pub fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            all: BTreeMap::new(),
            tenants: BTreeMap::new(),
            most,
            most_of_one,
        }
    }

    /// A tenant wants a place watched.
    pub fn claim(&mut self, place: Place, tenant: TenantName) {
        self.leave(&place);
        self.tenants.entry(tenant.clone()).or_default().wanted += 1;
        let state = State::New;
        self.all.insert(place, Claim { tenant, state });
    }

    /// Nobody wants it watched any more.
    pub fn leave(&mut self, place: &Place) {
        let Some(claim) = self.all.remove(place) else {
            return;
        };
        let Some(share) = self.tenants.get_mut(&claim.tenant) else {
            return;
        };
        share.wanted = share.wanted.saturating_sub(1);
        if claim.state == State::Watched {
            share.watched = share.watched.saturating_sub(1);
        }
        if share.wanted == 0 {
            self.tenants.remove(&claim.tenant);
        }
    }

    /// Whether somebody claims it.
    pub fn has(&self, place: &Place) -> bool {
        self.all.contains_key(place)
    }

    /// What is claimed.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.all.keys()
    }

    /// For how many places there is no room.
    pub fn beyond(&self) -> usize {
        let all = self.all.values();
        all.filter(|claim| claim.state == State::Beyond).count()
    }

    /// Gives each tenant its share.
    pub fn settle(&mut self) -> Settled {
        let wanted = self.tenants.iter();
        let wanted = wanted.map(|(who, share)| (who.clone(), share.wanted));
        let shares = shares(&wanted.collect(), self.most, self.most_of_one);
        let of = |tenant: &TenantName| shares.get(tenant).copied().unwrap_or_default();
        let mut settled = Settled::default();
        for (place, claim) in self.all.iter_mut().rev() {
            let Some(share) = self.tenants.get_mut(&claim.tenant) else {
                continue;
            };
            if claim.state == State::Watched && share.watched > of(&claim.tenant) {
                share.watched -= 1;
                claim.state = State::Beyond;
                settled.end.push(place.clone());
                settled.beyond.push(place.clone());
            }
        }
        for (place, claim) in &mut self.all {
            let Some(share) = self.tenants.get_mut(&claim.tenant) else {
                continue;
            };
            match claim.state {
                State::Watched => {}
                State::New | State::Beyond if share.watched < of(&claim.tenant) => {
                    share.watched += 1;
                    claim.state = State::Watched;
                    settled.begin.push(place.clone());
                }
                State::New => {
                    claim.state = State::Beyond;
                    settled.beyond.push(place.clone());
                }
                State::Beyond => {}
            }
        }
        settled
    }

    /// Which tenants have how many watches.
    #[cfg(test)]
    fn watched(&self) -> BTreeMap<&str, usize> {
        let shares = self.tenants.iter();
        let shares = shares.map(|(tenant, share)| (tenant.as_str(), share.watched));
        shares.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::Which;

    fn place(namespace: &str, kind: &str) -> Place {
        Place {
            account: Some(format!("system:serviceaccount:{namespace}:flux")),
            namespace: Some(namespace.to_owned()),
            group: String::new(),
            kind: kind.to_owned(),
            which: Which::Applied,
        }
    }

    fn tenant(name: &str) -> TenantName {
        name.parse().unwrap()
    }

    /// A tenant wants a Secret watched in each of so many namespaces.
    fn wants(claims: &mut Claims, name: &str, namespaces: usize) {
        for n in 0..namespaces {
            claims.claim(place(&format!("{name}-{n:04}"), "Secret"), tenant(name));
        }
    }

    #[test]
    fn one_tenants_many_namespaces_take_no_watch_that_another_tenant_needs() {
        let mut claims = Claims::new(256, 100);
        wants(&mut claims, "greedy", 500);
        let settled = claims.settle();
        assert_eq!(settled.begin.len(), 100, "more than it may have");
        assert_eq!(settled.beyond.len(), 400);
        for n in 0..200 {
            wants(&mut claims, &format!("small-{n:03}"), 1);
        }
        let settled = claims.settle();
        assert_eq!(settled.begin.len(), 200, "each of the others has its own");
        assert_eq!(settled.end.len(), 44);
        assert_eq!(claims.watched().get("greedy"), Some(&56));
        assert_eq!(claims.beyond(), 444);
        assert_eq!(
            claims.settle(),
            Settled::default(),
            "nothing moves by itself"
        );
    }

    #[test]
    fn three_thousand_tenants_with_a_secret_each_are_all_watched() {
        let mut claims = Claims::new(4096, 1024);
        wants(&mut claims, "greedy", 4000);
        for n in 0..3000 {
            wants(&mut claims, &format!("small-{n:04}"), 1);
        }
        claims.settle();
        let watched = claims.watched();
        assert!(watched.values().all(|number| *number > 0));
        assert_eq!(watched.get("greedy"), Some(&1024));
        assert!(watched.values().sum::<usize>() <= 4096);
    }

    #[test]
    fn who_wants_more_than_there_is_has_as_much_as_every_other_who_does() {
        let mut claims = Claims::new(10, 10);
        wants(&mut claims, "first", 20);
        claims.settle();
        wants(&mut claims, "second", 20);
        wants(&mut claims, "third", 2);
        let settled = claims.settle();
        let want = BTreeMap::from([("first", 4), ("second", 4), ("third", 2)]);
        assert_eq!(claims.watched(), want);
        let kept = (0..4).map(|n| place(&format!("first-{n:04}"), "Secret"));
        assert!(kept.into_iter().all(|kept| !settled.end.contains(&kept)));
    }

    #[test]
    fn what_nobody_wants_any_more_makes_room_for_who_had_none() {
        let mut claims = Claims::new(2, 2);
        wants(&mut claims, "first", 2);
        claims.settle();
        wants(&mut claims, "second", 1);
        let settled = claims.settle();
        assert_eq!((settled.begin.len(), settled.end.len()), (1, 1));
        claims.leave(&place("second-0000", "Secret"));
        let settled = claims.settle();
        assert_eq!(settled.begin, [place("first-0001", "Secret")]);
        assert_eq!(claims.beyond(), 0);
        assert_eq!(claims.watched(), BTreeMap::from([("first", 2)]));
    }

    #[test]
    fn a_place_that_is_another_tenants_now_counts_for_that_one() {
        let mut claims = Claims::new(4, 4);
        let shared = place("acme", "Secret");
        claims.claim(shared.clone(), tenant("acme"));
        claims.settle();
        claims.claim(shared.clone(), tenant("umbrella"));
        assert_eq!(claims.watched(), BTreeMap::from([("umbrella", 0)]));
        assert_eq!(claims.settle().begin, [shared]);
    }
}
