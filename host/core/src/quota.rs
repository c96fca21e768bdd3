//! What a tenant may use of what all tenants share, and when it may go on.
//!
//! A rate is a bucket that leaks: what is used is poured in, a minute's worth runs out in a minute, and a run begins when
//! there is room for what such a run usually takes. Who finds none is given a place: the moment when there will be room, which
//! nobody else is given. So each is told once how long it waits, however many wait, and however often it is woken meanwhile.
//! It deliberately knows no clock and no queue: the time comes in, and whoever asks waits. What is used, whether it is limited or
//! not, is `usage`'s to count and to tell.

mod usage;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{Timestamp, Unit};
use reeve_api::name::{NamespacedName, TenantName};
use reeve_api::reason::Reason;
pub use reeve_api::tenant::Limits;

use crate::failure::{Explained, Turn};
pub use usage::{Spent, told, usage};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Runs that begin in a minute.
    Reconciles,
    /// Milliseconds of a minute in which manifests are built.
    Render,
    /// Objects that are written and deleted in a minute.
    Writes,
    /// Objects in all.
    Objects,
    /// Kustomizations in all.
    Kustomizations,
    /// Mebibytes of the controller's disk.
    Storage,
}

impl Limit {
    /// Those that are used up and come back.
    const RATES: [Self; 3] = [Self::Reconciles, Self::Render, Self::Writes];

    /// Its field in `spec.limits` of a Tenant.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reconciles => "reconcilesPerMinute",
            Self::Render => "renderMillisecondsPerMinute",
            Self::Writes => "writesPerMinute",
            Self::Objects => "objects",
            Self::Kustomizations => "kustomizations",
            Self::Storage => "storageMebibytes",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Reconciles => "reconciles a minute",
            Self::Render => "milliseconds of rendering a minute",
            Self::Writes => "writes a minute",
            Self::Objects => "objects",
            Self::Kustomizations => "Kustomizations",
            Self::Storage => "MiB of the controller's disk",
        }
    }

    /// How much is allowed; None: as much as it takes.
    pub fn of(self, limits: &Limits) -> Option<u64> {
        let said = match self {
            Self::Reconciles => limits.reconciles_per_minute,
            Self::Render => limits.render_milliseconds_per_minute,
            Self::Writes => limits.writes_per_minute,
            Self::Objects => limits.objects,
            Self::Kustomizations => limits.kustomizations,
            Self::Storage => limits.storage_mebibytes,
        };
        said.map(|said| u64::try_from(said).unwrap_or_default().max(1))
    }
}

/// What a Tenant says, and of the rest what the platform says of all.
pub fn merged(said: &Limits, of_all: &Limits) -> Limits {
    Limits {
        reconciles_per_minute: said.reconciles_per_minute.or(of_all.reconciles_per_minute),
        render_milliseconds_per_minute: said
            .render_milliseconds_per_minute
            .or(of_all.render_milliseconds_per_minute),
        writes_per_minute: said.writes_per_minute.or(of_all.writes_per_minute),
        objects: said.objects.or(of_all.objects),
        kustomizations: said.kustomizations.or(of_all.kustomizations),
        storage_mebibytes: said.storage_mebibytes.or(of_all.storage_mebibytes),
    }
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// Which.
    pub limit: Limit,
    /// How much is allowed.
    pub allowed: u64,
    /// How much there would be.
    pub asked: u64,
    /// When there will be room; None: when something is given back.
    pub until: Option<Timestamp>,
}

impl Over {
    /// What is told of it to `tenant`.
    pub fn explained(&self, tenant: &TenantName, now: Timestamp) -> Explained {
        let Self {
            limit,
            allowed,
            asked,
            until,
        } = self;
        let (words, field) = (limit.words(), limit.as_str());
        let mut message =
            format!("tenant {tenant} may have {allowed} {words}, and this would make {asked}");
        let turn = match until {
            Some(until) => {
                let shown = until.round(Unit::Second).unwrap_or(*until);
                message.push_str(&format!(": it is its turn at {shown}"));
                let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
                // A timer that is early by a moment would have to wait for another.
                Turn::Later(left + Duration::from_millis(1))
            }
            None => Turn::Retry,
        };
        Explained::new(Reason::QuotaExceeded, turn, message).with_hint(format!(
            "use less, or ask the platform to raise spec.limits.{field} of Tenant {tenant}"
        ))
    }
}

/// How much of each rate, in ones.
type Amounts = BTreeMap<Limit, u64>;

/// What one tenant has used of its rates.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    limits: Limits,
    buckets: BTreeMap<Limit, Bucket>,
    /// What a run takes as a rule.
    usual: Amounts,
    /// Those that wait for their moment, and what has been set aside for them.
    places: BTreeMap<NamespacedName, (Over, Amounts)>,
    /// Those that run: what was set aside for them, and what they have taken by now.
    running: BTreeMap<NamespacedName, (Amounts, Amounts)>,
}

/// What has been poured in and not run out yet, in sixty-thousandths: the unit in which one a minute runs out in a
/// millisecond.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u64,
    at: Timestamp,
}

const PART: u64 = 60_000;

impl Bucket {
    fn new(now: Timestamp) -> Self {
        Self { level: 0, at: now }
    }

    /// Lets out what has run out by now. A clock that was set back lets nothing out.
    fn leak(&mut self, allowed: u64, now: Timestamp) {
        let passed = now.duration_since(self.at).as_millis();
        let passed = u64::try_from(passed).unwrap_or_default();
        self.level = self.level.saturating_sub(passed.saturating_mul(allowed));
        self.at = now;
    }

    /// In how many milliseconds there is room for so much. What is more than a minute's worth begins with all of it.
    fn wait(&self, allowed: u64, amount: u64) -> u64 {
        let amount = amount.clamp(1, allowed).saturating_mul(PART);
        let room = allowed.saturating_mul(PART).saturating_sub(amount);
        self.level.saturating_sub(room).div_ceil(allowed)
    }

    fn pour(&mut self, amount: u64) {
        self.level = self.level.saturating_add(amount.saturating_mul(PART));
    }

    fn draw(&mut self, amount: u64) {
        self.level = self.level.saturating_sub(amount.saturating_mul(PART));
    }
}

impl Meter {
    /// A run of `id` is about to begin: whether it may, or when. What it will take is set aside.
    pub fn begin(
        &mut self,
        id: &NamespacedName,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(), Over> {
        if self.limits != *limits {
            // Places were given by what held before.
            *self = Self {
                limits: *limits,
                ..Self::default()
            };
        }
        if let Some((over, _)) = self.places.get(id)
            && over.until.is_some_and(|until| until > now)
        {
            return Err(*over);
        }
        let amounts = match self.places.remove(id) {
            Some((_, amounts)) => amounts,
            None => self.set_aside(id, now)?,
        };
        self.running.insert(id.clone(), (amounts, Amounts::new()));
        Ok(())
    }

    /// A run has taken so much of a rate.
    pub fn take(&mut self, id: &NamespacedName, limit: Limit, amount: u64, now: Timestamp) {
        let Some(allowed) = limit.of(&self.limits) else {
            return;
        };
        let bucket = self.bucket(limit, allowed, now);
        bucket.pour(amount);
        if let Some((_, taken)) = self.running.get_mut(id) {
            let taken = taken.entry(limit).or_default();
            *taken = taken.saturating_add(amount);
        }
    }

    /// A run is over: what was set aside for it is what it took.
    pub fn end(&mut self, id: &NamespacedName) {
        let Some((aside, taken)) = self.running.remove(id) else {
            return;
        };
        for limit in [Limit::Render, Limit::Writes] {
            let taken = taken.get(&limit).copied().unwrap_or_default();
            let known = self.usual.get(&limit).copied().unwrap_or(taken);
            let usual = known.saturating_mul(3).saturating_add(taken) / 4;
            self.usual.insert(limit, usual);
            self.give_back(limit, &aside);
        }
    }

    /// It is gone: its place is nobody's.
    pub fn forget(&mut self, id: &NamespacedName) {
        if let Some((_, amounts)) = self.places.remove(id) {
            for limit in Limit::RATES {
                self.give_back(limit, &amounts);
            }
        }
    }

    /// Takes what a run usually takes out of all rates, and gives it a place if there is no room now.
    fn set_aside(&mut self, id: &NamespacedName, now: Timestamp) -> Result<Amounts, Over> {
        let mut amounts = Amounts::new();
        let mut last: Option<(u64, Over)> = None;
        for limit in Limit::RATES {
            let Some(allowed) = limit.of(&self.limits) else {
                continue;
            };
            let amount = match limit {
                Limit::Reconciles => 1,
                _ => self.usual.get(&limit).copied().unwrap_or_default(),
            };
            let bucket = self.bucket(limit, allowed, now);
            let wait = bucket.wait(allowed, amount);
            bucket.pour(amount);
            let asked = bucket.level.div_ceil(PART).max(allowed.saturating_add(1));
            amounts.insert(limit, amount);
            if wait > last.as_ref().map_or(0, |(longest, _)| *longest) {
                let over = Over {
                    limit,
                    allowed,
                    asked,
                    until: Some(later(now, wait)),
                };
                last = Some((wait, over));
            }
        }
        match last {
            None => Ok(amounts),
            Some((_, over)) => {
                self.places.insert(id.clone(), (over, amounts));
                Err(over)
            }
        }
    }

    fn bucket(&mut self, limit: Limit, allowed: u64, now: Timestamp) -> &mut Bucket {
        let bucket = self
            .buckets
            .entry(limit)
            .or_insert_with(|| Bucket::new(now));
        bucket.leak(allowed, now);
        bucket
    }

    fn give_back(&mut self, limit: Limit, amounts: &Amounts) {
        if let (Some(bucket), Some(amount)) = (self.buckets.get_mut(&limit), amounts.get(&limit)) {
            bucket.draw(*amount);
        }
    }
}

fn later(now: Timestamp, millis: u64) -> Timestamp {
    let wait = Duration::from_millis(millis);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
