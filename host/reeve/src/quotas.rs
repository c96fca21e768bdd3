//! What tenants have used of what all share, since this process leads.
//!
//! Behind one lock that is held for a lookup. What is left of a rate, and whose turn it is, is `core::quota`'s to say. It
//! deliberately keeps nothing over a restart: who is limited by the minute has then waited long enough.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use reeve_api::name::{NamespacedName, TenantName};
use reeve_api::tenant::Usage;
use reeve_core::quota::{self, Limit, Limits, Meter, Over, Spent};

/// What tenants have used.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    /// What holds for a tenant that says nothing else.
    of_all: Limits,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    meters: BTreeMap<TenantName, Meter>,
    /// Limited or not.
    spent: BTreeMap<TenantName, Spent>,
    /// What their Tenants are to tell.
    told: BTreeMap<TenantName, Usage>,
    /// How many objects each Kustomization was let have, where that is counted.
    objects: BTreeMap<NamespacedName, u64>,
    /// Those that wait for another to go.
    too_many: BTreeMap<TenantName, BTreeSet<NamespacedName>>,
}

impl Quotas {
    /// Nothing used of these limits.
    pub(crate) fn new(of_all: Limits) -> Self {
        Self {
            of_all,
            used: Mutex::default(),
        }
    }

    /// The limits of a tenant whose Tenant says these.
    pub(crate) fn limits(&self, said: Option<&Limits>) -> Limits {
        quota::merged(&said.copied().unwrap_or_default(), &self.of_all)
    }

    /// Forgets everything: who leads again has not followed what happened meanwhile.
    pub(crate) fn clear(&self) {
        *self.lock() = Used::default();
    }

    /// A run is about to begin.
    pub(crate) fn begin(
        &self,
        tenant: &TenantName,
        id: &NamespacedName,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(), Over> {
        let mut used = self.lock();
        if *limits == Limits::default() {
            used.meters.remove(tenant);
        } else {
            let meter = used.meters.entry(tenant.clone()).or_default();
            meter.begin(id, limits, now)?;
        }
        used.spend(tenant, (Limit::Reconciles, 1), now);
        Ok(())
    }

    /// A run has taken so much of a rate.
    pub(crate) fn take(
        &self,
        tenant: &TenantName,
        id: &NamespacedName,
        (limit, amount): (Limit, u64),
        now: Timestamp,
    ) {
        let mut used = self.lock();
        if let Some(meter) = used.meters.get_mut(tenant) {
            meter.take(id, limit, amount, now);
        }
        used.spend(tenant, (limit, amount), now);
    }

    /// A run is over.
    pub(crate) fn end(&self, tenant: &TenantName, id: &NamespacedName) {
        if let Some(meter) = self.lock().meters.get_mut(tenant) {
            meter.end(id);
        }
    }

    /// Whether a Kustomization may have so many objects beside those of its tenant's others, which are there as given unless
    /// more were let pass since.
    pub(crate) fn may_have(
        &self,
        id: &NamespacedName,
        objects: u64,
        others: &BTreeMap<NamespacedName, u64>,
        allowed: u64,
    ) -> Result<(), u64> {
        let mut used = self.lock();
        let of = |(other, there): (&NamespacedName, &u64)| {
            used.objects.get(other).map_or(*there, |passed| *passed)
        };
        let sum = others.iter().map(of).fold(objects, u64::saturating_add);
        if sum > allowed {
            return Err(sum);
        }
        used.objects.insert(id.clone(), objects);
        Ok(())
    }

    /// A Kustomization waits for another of its tenant to go, or no longer.
    pub(crate) fn too_many(&self, tenant: &TenantName, id: &NamespacedName, waits: bool) {
        let mut used = self.lock();
        match waits {
            true => {
                let waiting = used.too_many.entry(tenant.clone()).or_default();
                waiting.insert(id.clone());
            }
            false => {
                if let Some(waiting) = used.too_many.get_mut(tenant) {
                    waiting.remove(id);
                }
            }
        }
    }

    /// A Kustomization of the tenant is going, and no longer counts: who has waited for that.
    pub(crate) fn makes_room(&self, tenant: &TenantName) -> BTreeSet<NamespacedName> {
        self.lock().too_many.remove(tenant).unwrap_or_default()
    }

    /// A Kustomization is gone: who has waited for that.
    pub(crate) fn gone(
        &self,
        tenant: &TenantName,
        id: &NamespacedName,
    ) -> BTreeSet<NamespacedName> {
        let mut used = self.lock();
        used.objects.remove(id);
        if let Some(meter) = used.meters.get_mut(tenant) {
            meter.forget(id);
        }
        let mut woken = used.too_many.remove(tenant).unwrap_or_default();
        woken.remove(id);
        woken
    }

    /// What a tenant uses that has so many Kustomizations and objects. Whether its Tenant is to tell it: `told` is what it
    /// told last.
    pub(crate) fn uses(
        &self,
        tenant: &TenantName,
        (kustomizations, objects): (usize, usize),
        told: Option<&Usage>,
        limits: &Limits,
        now: Timestamp,
    ) -> bool {
        let mut used = self.lock();
        let spent = used.spent.get(tenant).copied().unwrap_or_default();
        let usage = quota::usage(spent, kustomizations, objects, now);
        let usage = quota::told(told, usage, limits);
        used.told.insert(tenant.clone(), usage);
        told != Some(&usage)
    }

    /// What a Tenant is to tell of what it uses.
    pub(crate) fn told(&self, tenant: &TenantName) -> Option<Usage> {
        self.lock().told.get(tenant).copied()
    }

    /// Forgets who is no tenant any more.
    pub(crate) fn keep(&self, there: impl Fn(&TenantName) -> bool) {
        let mut used = self.lock();
        used.spent.retain(|tenant, _| there(tenant));
        used.told.retain(|tenant, _| there(tenant));
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn spend(&mut self, tenant: &TenantName, (limit, amount): (Limit, u64), now: Timestamp) {
        let spent = self.spent.entry(tenant.clone()).or_default();
        spent.add(limit, amount, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> NamespacedName {
        NamespacedName::new("acme", name).unwrap()
    }

    #[test]
    fn two_runs_at_once_do_not_both_get_the_last_objects() {
        let quotas = Quotas::default();
        let there = |all: &[(&str, u64)]| all.iter().map(|(name, n)| (id(name), *n)).collect();
        assert_eq!(
            quotas.may_have(&id("a"), 6, &there(&[("b", 0)]), 10),
            Ok(())
        );
        // What the first was let have is not in its status yet.
        assert_eq!(
            quotas.may_have(&id("b"), 5, &there(&[("a", 0)]), 10),
            Err(11)
        );
        assert_eq!(
            quotas.may_have(&id("b"), 4, &there(&[("a", 0)]), 10),
            Ok(())
        );
        quotas.gone(&"acme".parse().unwrap(), &id("a"));
        assert_eq!(quotas.may_have(&id("b"), 10, &there(&[]), 10), Ok(()));
    }

    #[test]
    fn who_waits_for_another_to_go_is_woken_once_when_it_does() {
        let (quotas, tenant) = (Quotas::default(), "acme".parse().unwrap());
        for name in ["b", "c", "d"] {
            quotas.too_many(&tenant, &id(name), true);
        }
        quotas.too_many(&tenant, &id("c"), false);
        let woken = quotas.gone(&tenant, &id("a"));
        assert_eq!(woken, BTreeSet::from([id("b"), id("d")]));
        assert_eq!(quotas.gone(&tenant, &id("b")), BTreeSet::new());
    }

    #[test]
    fn what_a_tenant_uses_is_told_when_it_is_another_and_counted_without_a_limit() {
        let (quotas, tenant): (_, TenantName) = (Quotas::default(), "acme".parse().unwrap());
        let at = |second| Timestamp::from_second(second).unwrap();
        let limits = Limits::default();
        for _ in 0..40 {
            quotas.begin(&tenant, &id("a"), &limits, at(60)).unwrap();
        }
        quotas.take(&tenant, &id("a"), (Limit::Writes, 7), at(61));
        assert_eq!(quotas.told(&tenant), None);
        assert!(quotas.uses(&tenant, (1, 3), None, &limits, at(120)));
        let told = quotas.told(&tenant).unwrap();
        assert_eq!(
            (told.reconciles_per_minute, told.writes_per_minute),
            (40, 7)
        );
        assert_eq!((told.kustomizations, told.objects), (1, 3));
        assert!(!quotas.uses(&tenant, (1, 3), Some(&told), &limits, at(121)));
        assert!(quotas.uses(&tenant, (1, 4), Some(&told), &limits, at(122)));
        quotas.keep(|_| false);
        assert_eq!(quotas.told(&tenant), None);
    }
}
