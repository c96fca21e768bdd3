//! A place among the replicas that share the work: one Lease for each, beaten and judged as the one of who leads alone.
//!
//! In its Lease a member publishes what it claims (`core::shard`). After each beat it reads all of them at once, from the
//! API server's store and not from a cache, so that what it sees is no older than what it has published. One that nobody
//! has beaten for as long as it lasts is ended here, by a write that only takes hold if it is still as it was read: from
//! then on a beat of its holder is refused, however late it comes, and nobody counts what it claimed. Its holder has stopped by its own
//! clock before that ([`leash`](super::leash)). Who comes back holds another term, or another place, and claims nothing at first. It deliberately knows
//! nothing of tenants, and doesn't say who works for whom: it carries what `core::shard` says.

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_core::shard::{Claim, Member, Other, PLACES, View};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Cluster;
use super::lease::{Candidate, CutOnDrop, Leadership, LeaseConfig, Record, micro_time};
use super::refusal::CallError;

/// What the Leases of places are called, before the number.
const PLACE: &str = "reeve-shard-";
/// The annotation with the places that a member takes for held.
const VIEW: &str = "reeve.dev/shard-view";
/// The annotation with how far it has followed the Tenants.
const TENANTS: &str = "reeve.dev/shard-tenants";
/// The most Leases that are read of the namespace.
const MOST: usize = 500;

/// A place is ours, until [`lost`](Self::lost) is cancelled. Dropped, its Lease is renewed no more and runs out.
#[derive(Debug)]
pub struct Membership {
    lease: Leadership,
    line: Line,
}

/// What a member says to the others, and hears of them.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number.
    pub place: u16,
    /// What is to be claimed.
    pub says: watch::Sender<Claim>,
    /// What was seen last; None before the first look.
    pub seen: watch::Receiver<Option<Seen>>,
}

/// What a member has seen after it had published what it claims.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What was published before the look.
    pub published: Claim,
    /// Who else holds a place, and what they claim.
    pub others: Vec<Other>,
    /// Whether somebody leads alone.
    pub led: bool,
}

impl Membership {
    /// Cancelled when the place is, or may soon be, somebody else's: stop writing.
    pub fn lost(&self) -> &CancellationToken {
        self.lease.lost()
    }

    /// What it says and hears.
    pub fn line(&self) -> Line {
        self.line.clone()
    }

    /// Gives the place back, so that nobody need wait for it to run out.
    pub async fn release(self) {
        self.lease.release().await;
    }
}

impl Cluster {
    /// Waits until a place among those who share the work is ours; until then, and after it is lost, nothing can be written.
    /// `config` is the lease of who leads alone. Cancel safe.
    pub async fn join(&self, config: LeaseConfig) -> Membership {
        self.leash.cut();
        let mut table = Table::of(self, config);
        let (place, candidate, held, renewed) = table.acquire().await;
        candidate.extend(renewed);
        let (says, said) = watch::channel(Claim::default());
        let (sees, seen) = watch::channel(None);
        let (lost, release) = (CancellationToken::new(), CancellationToken::new());
        let term = held.term();
        let seat = Seat {
            table,
            place,
            candidate,
            held,
            renewed,
        };
        let renewing = seat.keep(said, sees, lost.clone(), release.clone());
        Membership {
            lease: Leadership {
                renewing: Some(tokio::spawn(renewing)),
                lost,
                release,
                term,
            },
            line: Line { place, says, seen },
        }
    }

    /// Waits until nobody who shares the work claims any: who leads alone begins after them. Until `lost` at most.
    pub async fn alone(&self, config: LeaseConfig, lost: &CancellationToken) {
        let period = config.period;
        let mut table = Table::of(self, config);
        loop {
            let looked = tokio::select! {
                () = lost.cancelled() => return,
                looked = table.look(Ends::Nobody) => looked,
            };
            match looked {
                Ok(held) if held.values().all(|record| claimed(record).view.is_empty()) => return,
                Ok(_) => {
                    tracing::info!("others share the work: waiting until they have let go of it");
                }
                Err(why) => {
                    tracing::warn!(error = %why, "looking at who shares the work failed, trying again");
                }
            }
            tokio::select! {
                () = lost.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
        }
    }
}

/// Whose Leases a look ends when they have run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// They count for nothing, and stay as they are.
    Nobody,
    /// All but the one of this place, if there is one.
    AllBut(Option<u16>),
}

/// All places, and the lease of who leads alone, as they were last seen.
struct Table {
    cluster: Cluster,
    config: LeaseConfig,
    /// Reads and ends.
    hand: Candidate,
    /// Each record, and since when it has looked like that.
    seen: BTreeMap<String, (Record, Instant)>,
    /// Whether somebody leads alone.
    led: bool,
}

impl Table {
    fn of(cluster: &Cluster, config: LeaseConfig) -> Self {
        Self {
            cluster: cluster.clone(),
            hand: Candidate::new(cluster, config.clone()),
            config,
            seen: BTreeMap::new(),
            led: false,
        }
    }

    /// Takes the first place that nobody holds.
    async fn acquire(&mut self) -> (u16, Candidate, Record, Instant) {
        loop {
            let begun = Instant::now();
            match self.try_acquire().await {
                Ok(Some((place, candidate, held))) => return (place, candidate, held, begun),
                Ok(None) => {}
                Err(why) => {
                    tracing::warn!(error = %why, "looking for a place among those who share the work failed, trying again");
                }
            }
            tokio::time::sleep(self.config.period).await;
        }
    }

    async fn try_acquire(&mut self) -> Result<Option<(u16, Candidate, Record)>, CallError> {
        let held = self.look(Ends::AllBut(None)).await?;
        for place in (0..PLACES).filter(|place| !held.contains_key(place)) {
            let candidate = Candidate::new(&self.cluster, self.of_place(place));
            let before = self.seen.get(&named(place));
            let before = before.map(|(record, _)| unclaimed(record.clone()));
            if let Some(held) = candidate.take(before).await? {
                return Ok(Some((place, candidate, held)));
            }
        }
        Ok(None)
    }

    fn of_place(&self, place: u16) -> LeaseConfig {
        LeaseConfig {
            name: named(place),
            ..self.config.clone()
        }
    }

    /// The places that are held, by their number. Those that have run out are ended first.
    async fn look(&mut self, ends: Ends) -> Result<BTreeMap<u16, Record>, CallError> {
        let begun = Instant::now();
        let listed = self.hand.within(self.list()).await?;
        let read = Instant::now();
        for (name, record) in &listed {
            match self.seen.get_mut(name) {
                Some((before, _)) if before.heartbeat() == record.heartbeat() => {
                    before.clone_from(record);
                }
                _ => drop(self.seen.insert(name.clone(), (record.clone(), read))),
            }
        }
        let ours = self.config.duration;
        let over = |(record, since): &(Record, Instant)| {
            begun.saturating_duration_since(*since) >= record.duration(ours)
        };
        // One that somebody has deleted counts until it would have run out.
        self.seen
            .retain(|name, seen| listed.contains_key(name) || !over(&*seen));
        let leads = self.seen.get(&self.config.name);
        self.led = leads.is_some_and(|seen| !seen.0.holder().is_empty() && !over(seen));
        let mut held = BTreeMap::new();
        let places = self.seen.iter();
        let places = places.filter_map(|(name, seen)| Some((number(name)?, seen)));
        for (place, seen) in places {
            let is_own = ends == Ends::AllBut(Some(place));
            if seen.0.holder().is_empty() {
                continue;
            }
            if over(seen) && !is_own && (ends == Ends::Nobody || self.end(&seen.0).await?) {
                continue;
            }
            held.insert(place, seen.0.clone());
        }
        Ok(held)
    }

    /// Ends a Lease that has run out, if it is still as it was read. Whether it is.
    async fn end(&self, record: &Record) -> Result<bool, CallError> {
        let mut ended = unclaimed(record.clone());
        let name = ended.0.pointer("/metadata/name").and_then(Value::as_str);
        let Some(place) = name.and_then(number) else {
            return Ok(false);
        };
        let term = record.term() + 1;
        if let Some(spec) = ended.0.pointer_mut("/spec").and_then(Value::as_object_mut) {
            spec.insert("holderIdentity".to_owned(), "".into());
            spec.insert("leaseTransitions".to_owned(), term.into());
            spec.insert(
                "renewTime".to_owned(),
                micro_time((self.config.now)()).into(),
            );
        }
        let candidate = Candidate::new(&self.cluster, self.of_place(place));
        let replaced = candidate.wire.replace(&candidate.address, &ended.0);
        match self.hand.within(replaced).await {
            Ok(_) => {
                tracing::info!(
                    place,
                    holder = record.holder(),
                    "a replica was not heard of for too long: its part is others' now"
                );
                Ok(true)
            }
            Err(why) if why.is_conflict() || why.is_missing_object() => Ok(false),
            Err(why) => Err(why),
        }
    }

    /// The Leases of all places and of who leads alone, as the API server has them now.
    async fn list(&self) -> Result<BTreeMap<String, Record>, CallError> {
        // Without a resourceVersion: what is answered is no older than the question.
        let path = format!("{}?limit={MOST}", self.hand.address.collection()?);
        let body = self.hand.wire.read(&path, "application/json").await?;
        let listed: Value = serde_json::from_slice(&body)
            .map_err(|why| CallError::Garbled(format!("line {}", why.line())))?;
        let more = listed.pointer("/metadata/continue").and_then(Value::as_str);
        if more.is_some_and(|more| !more.is_empty()) {
            let namespace = &self.config.namespace;
            let why = format!("there are more than {MOST} Leases in namespace {namespace}");
            return Err(CallError::Garbled(why));
        }
        let items = listed.get("items").and_then(Value::as_array);
        let mut found = BTreeMap::new();
        for item in items.into_iter().flatten() {
            let name = item.pointer("/metadata/name").and_then(Value::as_str);
            let Some(name) = name else { continue };
            if *name == self.config.name || number(name).is_some() {
                found.insert(name.to_owned(), Record(typed(item.clone())));
            }
        }
        Ok(found)
    }
}

/// A place that is held.
struct Seat {
    table: Table,
    place: u16,
    candidate: Candidate,
    held: Record,
    /// When the last beat that was answered was begun.
    renewed: Instant,
}

/// What became of a beat.
enum Beat {
    Written,
    /// Somebody else has written to the Lease, which is ours all the same: nothing was published.
    Again,
    Gone,
}

impl Seat {
    async fn keep(
        mut self,
        mut said: watch::Receiver<Claim>,
        sees: watch::Sender<Option<Seen>>,
        lost: CancellationToken,
        release: CancellationToken,
    ) {
        // Whatever ends this task ends the membership.
        let _lost_at_the_end = lost.clone().drop_guard();
        let _cut_at_the_end = CutOnDrop(self.candidate.leash.clone());
        let (period, give_up) = (self.table.config.period, self.table.config.give_up);
        // The others are looked at at once.
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                () = release.cancelled() => {
                    // First stop working, then let others in.
                    lost.cancel();
                    self.candidate.leash.cut();
                    return self.candidate.give_back(self.held).await;
                }
                Ok(()) = said.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = period;
            let claim = said.borrow_and_update().clone();
            let begun = Instant::now();
            let deadline = self.renewed + give_up;
            match tokio::time::timeout_at(deadline, self.beat(&claim)).await {
                Ok(Ok(Beat::Written)) => {
                    self.renewed = begun;
                    self.candidate.extend(begun);
                    self.see(claim, &sees).await;
                }
                Ok(Ok(Beat::Again)) => {}
                Ok(Ok(Beat::Gone)) => {
                    tracing::warn!(
                        holder = self.held.holder(),
                        "the place among those who share the work is somebody else's now"
                    );
                    return;
                }
                Ok(Err(why)) if begun < deadline => {
                    tracing::warn!(error = %why, "renewing the Lease of the place failed, trying again");
                }
                Ok(Err(_)) | Err(_) => {
                    tracing::error!("the Lease of the place was not renewed in time, giving it up");
                    return;
                }
            }
        }
    }

    /// Renews the Lease with this claim in it.
    async fn beat(&mut self, claim: &Claim) -> Result<Beat, CallError> {
        let mut lease = claiming(self.held.clone(), claim).0;
        if let Some(time) = lease.pointer_mut("/spec/renewTime") {
            *time = micro_time((self.table.config.now)()).into();
        }
        let (wire, address) = (&self.candidate.wire, &self.candidate.address);
        match wire.replace(address, &lease).await {
            Ok(lease) => {
                self.held = Record(lease);
                Ok(Beat::Written)
            }
            Err(why) if why.is_conflict() => {
                let now = wire.get(address).await?.unwrap_or_default();
                let (before, now) = (std::mem::replace(&mut self.held, Record(now)), &self.held);
                let ours = now.holder() == before.holder() && now.term() == before.term();
                Ok(if ours { Beat::Again } else { Beat::Gone })
            }
            Err(why) if why.is_missing_object() => Ok(Beat::Gone),
            Err(why) => Err(why),
        }
    }

    /// Looks at the others, now that this is published.
    async fn see(&mut self, published: Claim, sees: &watch::Sender<Option<Seen>>) {
        let place = self.place;
        let deadline = self.renewed + self.table.config.give_up;
        let look = self.table.look(Ends::AllBut(Some(place)));
        match tokio::time::timeout_at(deadline, look).await {
            Ok(Ok(held)) => {
                let others = held.iter().filter(|(other, _)| **other != place);
                let others = others.map(|(place, record)| Other {
                    member: Member {
                        place: *place,
                        term: record.term(),
                    },
                    claim: claimed_at(*place, record),
                });
                let seen = Seen {
                    published,
                    others: others.collect(),
                    led: self.table.led,
                };
                sees.send_replace(Some(seen));
            }
            Ok(Err(why)) => {
                tracing::warn!(error = %why, "looking at who shares the work failed, trying again");
            }
            Err(_) => tracing::warn!("looking at who shares the work took too long, trying again"),
        }
    }
}

fn named(place: u16) -> String {
    format!("{PLACE}{place}")
}

fn number(name: &str) -> Option<u16> {
    let place: u16 = name.strip_prefix(PLACE)?.parse().ok()?;
    // As we write it, and no other way.
    (place < PLACES && named(place) == name).then_some(place)
}

/// An item of a list, which does not say of what kind it is.
fn typed(mut item: Value) -> Value {
    if let Some(fields) = item.as_object_mut() {
        fields.insert("apiVersion".to_owned(), "coordination.k8s.io/v1".into());
        fields.insert("kind".to_owned(), "Lease".into());
    }
    item
}

/// The record without what was claimed by it.
fn unclaimed(record: Record) -> Record {
    claiming(record, &Claim::default())
}

fn claiming(Record(mut lease): Record, claim: &Claim) -> Record {
    let view: Vec<String> = claim.view.iter().map(u16::to_string).collect();
    let (view, tenants) = (view.join(","), format!("{:016x}", claim.tenants));
    let metadata = lease.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata {
        let all = metadata.entry("annotations").or_insert_with(|| json!({}));
        if !all.is_object() {
            *all = json!({});
        }
        if let Some(all) = all.as_object_mut() {
            all.insert(VIEW.to_owned(), view.into());
            all.insert(TENANTS.to_owned(), tenants.into());
        }
    }
    Record(lease)
}

/// What a record claims, whoever's place it is.
fn claimed(record: &Record) -> Claim {
    let name = record.0.pointer("/metadata/name").and_then(Value::as_str);
    claimed_at(name.and_then(number).unwrap_or_default(), record)
}

/// What a record claims. One that nobody can read claims everything.
fn claimed_at(place: u16, record: &Record) -> Claim {
    let annotation = |name: &str| {
        let all = record.0.pointer("/metadata/annotations")?;
        all.get(name)?.as_str()
    };
    let view = annotation(VIEW).unwrap_or_default();
    let read = view.split(',').filter(|part| !part.is_empty());
    let read: Result<View, _> = read.map(str::parse).collect();
    let tenants = annotation(TENANTS).and_then(|text| u64::from_str_radix(text, 16).ok());
    Claim {
        view: read.unwrap_or_else(|_| View::from([place])),
        tenants: tenants.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(annotations: &Value) -> Record {
        Record(json!({"metadata": {"name": "reeve-shard-3", "annotations": annotations}}))
    }

    #[test]
    fn what_is_claimed_is_read_as_it_was_written() {
        let claim = Claim {
            view: View::from([0, 3, 17]),
            tenants: 0xfeed,
        };
        let record = claiming(record(&Value::Null), &claim);
        assert_eq!(claimed(&record), claim);
        assert_eq!(claimed(&unclaimed(record)), Claim::default());
    }

    #[test]
    fn a_claim_that_nobody_can_read_is_one_of_everything() {
        let broken = record(&json!({(VIEW): "0,x"}));
        assert_eq!(claimed(&broken).view, View::from([3]));
        assert!(claimed(&broken).has(3, "acme"));
        assert_eq!(claimed(&record(&json!({}))), Claim::default());
    }

    #[test]
    fn places_have_one_name_each() {
        for (name, place) in [
            ("reeve-shard-0", Some(0)),
            ("reeve-shard-31", Some(31)),
            ("reeve-shard-32", None),
            ("reeve-shard-07", None),
            ("reeve-shard-+1", None),
            ("reeve-leader", None),
        ] {
            assert_eq!(number(name), place, "{name}");
        }
    }
}
