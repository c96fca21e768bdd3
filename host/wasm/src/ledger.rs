//! What each tenant has used: processor time a minute, and bytes of components that are loaded.
//!
//! Pure: the clock is an argument. Time is a debt that is paid off at a steady rate, so that a tenant
//! may use its minute at once, and then goes on at its pace; nothing is forgiven at a full minute. What
//! is measured is `meter`'s.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
/// The shortest wait that is asked for: less is only a way to be asked again.
const LEAST: Duration = Duration::from_secs(1);

/// The tenants' processor time.
#[derive(Debug)]
pub(crate) struct Times {
    a_minute: Duration,
    debts: BTreeMap<String, Debt>,
}

#[derive(Debug, Clone, Copy)]
struct Debt {
    owed: Duration,
    at: Instant,
}

impl Times {
    pub(crate) fn new(a_minute: Duration) -> Self {
        Self {
            a_minute: a_minute.max(Duration::from_millis(1)),
            debts: BTreeMap::new(),
        }
    }

    /// Whether `tenant` may run something now, or how long it must wait.
    pub(crate) fn admit(&self, tenant: &str, now: Instant) -> Result<(), Duration> {
        let Some(debt) = self.debts.get(tenant) else {
            return Ok(());
        };
        let over = self.owed(*debt, now).saturating_sub(self.a_minute);
        if over.is_zero() {
            return Ok(());
        }
        let share = over.as_secs_f64() / self.a_minute.as_secs_f64();
        Err(MINUTE.mul_f64(share.min(60.0)).max(LEAST))
    }

    /// `tenant` used `spent` up to `now`.
    pub(crate) fn charge(&mut self, tenant: &str, spent: Duration, now: Instant) {
        let before = self.debts.get(tenant);
        let owed = before.map_or(Duration::ZERO, |debt| self.owed(*debt, now));
        let owed = owed.saturating_add(spent);
        self.debts.insert(tenant.to_owned(), Debt { owed, at: now });
        // As many as ran something within the last minutes, not as many as there ever were.
        if self.debts.len() > 1024 {
            let (rate, mut debts) = (self.a_minute, std::mem::take(&mut self.debts));
            debts.retain(|_, debt| !left(rate, *debt, now).is_zero());
            self.debts = debts;
        }
    }

    fn owed(&self, debt: Debt, now: Instant) -> Duration {
        left(self.a_minute, debt, now)
    }
}

/// What is left of a debt that is paid off with `rate` a minute.
fn left(rate: Duration, debt: Debt, now: Instant) -> Duration {
    let minutes = now.saturating_duration_since(debt.at).as_secs_f64() / MINUTE.as_secs_f64();
    // An hour pays off whatever there is room for in a duration that somebody could wait for.
    debt.owed.saturating_sub(rate.mul_f64(minutes.min(1e6)))
}

/// The tenants' loaded components.
#[derive(Debug)]
pub(crate) struct Holdings {
    each: usize,
    held: BTreeMap<String, BTreeMap<String, Component>>,
}

#[derive(Debug)]
struct Component {
    size: usize,
    holders: usize,
}

impl Holdings {
    pub(crate) fn new(each: usize) -> Self {
        Self {
            each,
            held: BTreeMap::new(),
        }
    }

    /// `tenant` holds the component with `digest` once more; the same one counts once.
    pub(crate) fn hold(&mut self, tenant: &str, digest: &str, size: usize) -> Result<(), usize> {
        let own = self.held.get_mut(tenant);
        if let Some(component) = own.and_then(|own| own.get_mut(digest)) {
            component.holders += 1;
            return Ok(());
        }
        let all = self.held.get(tenant).into_iter().flat_map(BTreeMap::values);
        let total: usize = all.map(|component| component.size).sum();
        if total.saturating_add(size) > self.each {
            return Err(self.each);
        }
        let own = self.held.entry(tenant.to_owned()).or_default();
        own.insert(digest.to_owned(), Component { size, holders: 1 });
        Ok(())
    }

    /// `tenant` holds it once less.
    pub(crate) fn release(&mut self, tenant: &str, digest: &str) {
        let Some(own) = self.held.get_mut(tenant) else {
            return;
        };
        if let Some(component) = own.get_mut(digest) {
            component.holders -= 1;
            if component.holders == 0 {
                own.remove(digest);
            }
        }
        if own.is_empty() {
            self.held.remove(tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_minute_may_be_used_at_once_and_then_only_at_its_pace() {
        let mut times = Times::new(seconds(30));
        let begin = Instant::now();
        assert_eq!(times.admit("a", begin), Ok(()));
        times.charge("a", seconds(30), begin);
        assert_eq!(times.admit("a", begin), Ok(()));
        times.charge("a", seconds(5), begin);
        // 5 s too much are paid off at 30 s a minute.
        assert_eq!(times.admit("a", begin), Err(seconds(10)));
        assert_eq!(times.admit("a", begin + seconds(4)), Err(seconds(6)));
        assert_eq!(times.admit("a", begin + seconds(10)), Ok(()));
        assert_eq!(times.admit("b", begin), Ok(()));
    }

    #[test]
    fn a_wait_is_never_shorter_than_a_second_nor_longer_than_an_hour() {
        let mut times = Times::new(seconds(60));
        let now = Instant::now();
        times.charge("a", seconds(60) + Duration::from_millis(1), now);
        assert_eq!(times.admit("a", now), Err(LEAST));
        times.charge("a", seconds(1_000_000), now);
        assert_eq!(times.admit("a", now), Err(seconds(3600)));
    }

    #[test]
    fn tenants_who_owe_nothing_any_more_are_forgotten() {
        let mut times = Times::new(seconds(60));
        let begin = Instant::now();
        for i in 0..1024 {
            times.charge(&format!("t{i}"), seconds(1), begin);
        }
        assert_eq!(times.debts.len(), 1024);
        times.charge("late", seconds(1), begin + seconds(5));
        assert_eq!(times.debts.len(), 1);
    }

    #[test]
    fn a_component_counts_once_a_tenant_until_nobody_holds_it() {
        let mut holdings = Holdings::new(100);
        assert_eq!(holdings.hold("a", "one", 60), Ok(()));
        assert_eq!(holdings.hold("a", "one", 60), Ok(()));
        assert_eq!(holdings.hold("a", "two", 60), Err(100));
        assert_eq!(holdings.hold("b", "two", 60), Ok(()));
        holdings.release("a", "one");
        assert_eq!(holdings.hold("a", "two", 60), Err(100));
        holdings.release("a", "one");
        assert_eq!(holdings.hold("a", "two", 60), Ok(()));
        holdings.release("a", "two");
        holdings.release("b", "two");
        holdings.release("b", "two");
        assert!(holdings.held.is_empty());
    }
}
