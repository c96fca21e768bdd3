//! All places as one replica sees them: who holds which, since when each looks as it does, and which have run out.
//!
//! A look ends what has run out and is at the API server's store; a glance, in between, is at what the API server has at hand,
//! since four of them a second are asked for by each replica. It ends nobody: it shows when a beat was there at the latest, so that
//! what runs out is noticed a quarter of a second later and not a whole one, and when it is time for a look. When something runs
//! out it is time for one without any glance. It deliberately beats nothing, and doesn't say what a claim means.

use std::collections::BTreeMap;

use reeve_core::shard::{Claim, PLACES};
use serde_json::Value;
use tokio::time::Instant;

use super::{claimed_at, named, number, unclaimed};
use crate::cluster::Cluster;
use crate::cluster::lease::{Candidate, LOOK, LeaseConfig, Record, micro_time};
use crate::cluster::refusal::CallError;

/// The most Leases that are read of the namespace.
const MOST: usize = 500;

/// Whose Leases a look ends when they have run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// They count for nothing, and stay as they are.
    Nobody,
    /// All but the one of this place, if there is one.
    AllBut(Option<u16>),
}

/// Where what is read comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// The API server's store: what is answered is no older than the question.
    Store,
    /// What it has at hand, which may be a little behind.
    Cache,
}

/// All places, and the lease of who leads alone, as they were last seen.
pub(super) struct Table {
    cluster: Cluster,
    pub(super) config: LeaseConfig,
    /// Reads and ends.
    hand: Candidate,
    /// Each record, and since when it has looked like that.
    seen: BTreeMap<String, (Record, Instant)>,
    /// Whether somebody leads alone.
    pub(super) led: bool,
    /// When the last glance began.
    glanced: Instant,
}

/// The places that are held, by their number.
type Places = BTreeMap<u16, Record>;

impl Table {
    pub(super) fn of(cluster: &Cluster, config: LeaseConfig) -> Self {
        Self {
            cluster: cluster.clone(),
            hand: Candidate::new(cluster, config.clone()),
            config,
            seen: BTreeMap::new(),
            led: false,
            glanced: Instant::now(),
        }
    }

    /// Takes the first place that nobody holds.
    pub(super) async fn acquire(&mut self) -> (u16, Candidate, Record, Instant) {
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

    /// The places that are held. Those that have run out are ended first.
    pub(super) async fn look(&mut self, ends: Ends) -> Result<Places, CallError> {
        self.end_known(ends).await?;
        match self.look_once(ends).await? {
            (held, false) => Ok(held),
            // What somebody else was quicker to end is known at once, too.
            (_, true) => Ok(self.look_once(ends).await?.0),
        }
    }

    /// Ends what has run out by all that was seen so far. It need not be read again before: the write only takes hold if it is
    /// still as it was seen.
    async fn end_known(&self, ends: Ends) -> Result<(), CallError> {
        let Ends::AllBut(own) = ends else {
            return Ok(());
        };
        let now = Instant::now();
        let over = self.held(own).filter(|(_, end)| *end <= now);
        for (record, _) in over {
            // Whether somebody was quicker is read below.
            self.end(record).await?;
        }
        Ok(())
    }

    /// The same, and whether one that had run out was not any more as it was read.
    async fn look_once(&mut self, ends: Ends) -> Result<(Places, bool), CallError> {
        let begun = Instant::now();
        let listed = self.hand.within(self.list(Read::Store)).await?;
        self.note(&listed, Instant::now());
        let ours = self.config.duration;
        let over = |(record, since): &(Record, Instant)| {
            begun.saturating_duration_since(*since) >= record.duration(ours)
        };
        // One that somebody has deleted counts until it would have run out.
        self.seen
            .retain(|name, seen| listed.contains_key(name) || !over(&*seen));
        let leads = self.seen.get(&self.config.name);
        self.led = leads.is_some_and(|seen| !seen.0.holder().is_empty() && !over(seen));
        let (mut held, mut beaten) = (Places::new(), false);
        let places = self.seen.iter();
        let places = places.filter_map(|(name, seen)| Some((number(name)?, seen)));
        for (place, seen) in places {
            let is_own = ends == Ends::AllBut(Some(place));
            if seen.0.holder().is_empty() {
                continue;
            }
            if over(seen) && !is_own {
                if ends == Ends::Nobody || self.end(&seen.0).await? {
                    continue;
                }
                beaten = true;
            }
            held.insert(place, seen.0.clone());
        }
        Ok((held, beaten))
    }

    /// Resolves when somebody else's place is another than it was, or has run out: then it is time for a look. Cancel safe.
    pub(super) async fn news(&mut self, own: u16) {
        loop {
            tokio::time::sleep_until(self.next_glance(own)).await;
            let begun = Instant::now();
            // What had run out before and could not be ended is tried again with the next beat.
            let before = std::mem::replace(&mut self.glanced, begun);
            let ends = |(_, end): (&Record, Instant)| before < end && end <= begun;
            if self.held(Some(own)).any(ends) {
                return;
            }
            let listed = self.hand.within(self.list(Read::Cache)).await;
            // What goes wrong here goes wrong with the next beat, too, and is told there.
            let Ok(listed) = listed else { continue };
            let mut others = listed.iter().filter(|(name, _)| **name != named(own));
            let is_another = others.any(|(name, now)| {
                let before = self.seen.get(name).map(|(record, _)| state(record));
                before != Some(state(now))
            });
            self.note(&listed, Instant::now());
            if is_another {
                return;
            }
        }
    }

    /// A quarter of a second from now, or when the next of the others runs out; at once where one has since the last glance.
    fn next_glance(&self, own: u16) -> Instant {
        let usual = Instant::now() + LOOK;
        let ends = self.held(Some(own)).map(|(_, end)| end);
        let ends = ends.filter(|end| *end > self.glanced);
        ends.min().map_or(usual, |end| end.min(usual))
    }

    /// The places that somebody else holds, and when each runs out if nobody beats it.
    fn held(&self, own: Option<u16>) -> impl Iterator<Item = (&Record, Instant)> {
        let ours = self.config.duration;
        let held = self.seen.iter().filter(move |(name, (record, _))| {
            let place = number(name.as_str());
            place.is_some() && place != own && !record.holder().is_empty()
        });
        held.map(move |(_, (record, since))| (record, *since + record.duration(ours)))
    }

    /// These were there by then.
    fn note(&mut self, listed: &BTreeMap<String, Record>, read: Instant) {
        for (name, record) in listed {
            match self.seen.get_mut(name) {
                Some((before, _)) if before.heartbeat() == record.heartbeat() => {
                    before.clone_from(record);
                }
                _ => drop(self.seen.insert(name.clone(), (record.clone(), read))),
            }
        }
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

    /// The Leases of all places and of who leads alone.
    async fn list(&self, from: Read) -> Result<BTreeMap<String, Record>, CallError> {
        let mut path = format!("{}?limit={MOST}", self.hand.address.collection()?);
        if from == Read::Cache {
            path.push_str("&resourceVersion=0");
        }
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

/// What changes when somebody comes, goes or claims something else, and not with every beat.
fn state(record: &Record) -> (&str, i64, Claim) {
    (record.holder(), record.term(), claimed_at(0, record))
}

/// An item of a list, which does not say of what kind it is.
fn typed(mut item: Value) -> Value {
    if let Some(fields) = item.as_object_mut() {
        fields.insert("apiVersion".to_owned(), "coordination.k8s.io/v1".into());
        fields.insert("kind".to_owned(), "Lease".into());
    }
    item
}
