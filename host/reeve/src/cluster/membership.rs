//! A place among the replicas that share the work: one Lease for each, beaten and judged as the one of who leads alone.
//!
//! In its Lease a member publishes what it claims (`core::shard`). After each beat, and whenever there is news of another
//! ([`table`]), it reads all of them at once, from the API server's store and not from a cache, so that what it sees is no older
//! than what it has published. One that nobody has beaten for as long as it lasts is ended here, by a write that only takes hold if it is still as it was read: from
//! then on a beat of its holder is refused, however late it comes, and nobody counts what it claimed. Its holder has stopped by its own
//! clock before that ([`leash`](super::leash)). Who comes back holds another term, or another place, and claims nothing at first. It deliberately knows
//! nothing of tenants, and doesn't say who works for whom: it carries what `core::shard` says.

mod table;

use reeve_core::shard::{Claim, Member, Other, PLACES, View};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::table::{Ends, Table};
use super::Cluster;
use super::lease::{Candidate, CutOnDrop, Leadership, LeaseConfig, Record};
use super::refusal::CallError;

/// What the Leases of places are called, before the number.
const PLACE: &str = "reeve-shard-";
/// The annotation with the places that a member takes for held.
const VIEW: &str = "reeve.dev/shard-view";
/// The annotation with how far it has followed the Tenants.
const TENANTS: &str = "reeve.dev/shard-tenants";

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
        candidate.extend(renewed, &held);
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

/// A place that is held.
struct Seat {
    table: Table,
    place: u16,
    candidate: Candidate,
    held: Record,
    /// When the last beat that was answered was begun.
    renewed: Instant,
}

/// What is to be done.
enum Due {
    Beat,
    Look,
    End,
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
        let period = self.table.config.period;
        // The first beat, and a look behind it, are at once.
        let (mut next, mut published) = (Instant::now(), None::<Claim>);
        loop {
            let due = self.due(&mut said, &release, next).await;
            match (due, published.clone()) {
                (Due::End, _) => {
                    // First stop working, then let others in.
                    lost.cancel();
                    self.candidate.leash.cut();
                    return self.candidate.give_back(self.held).await;
                }
                (Due::Look, Some(published)) => {
                    self.see(published, &sees).await;
                    continue;
                }
                // Who has published nothing looks when it has.
                (Due::Beat | Due::Look, _) => {}
            }
            let claim = said.borrow_and_update().clone();
            let begun = Instant::now();
            next = begun + period;
            let deadline = self.renewed + self.candidate.patience(&self.held);
            match tokio::time::timeout_at(deadline, self.beat(&claim)).await {
                Ok(Ok(Beat::Written)) => {
                    self.renewed = begun;
                    self.candidate.extend(begun, &self.held);
                    published = Some(claim.clone());
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
                    self.candidate.leash.pace().lost(Instant::now());
                    return;
                }
            }
        }
    }

    /// What is to be done next, as soon as it is: a beat at that time, or when there is something else to claim.
    async fn due(
        &mut self,
        said: &mut watch::Receiver<Claim>,
        release: &CancellationToken,
        beat: Instant,
    ) -> Due {
        tokio::select! {
            biased;
            () = release.cancelled() => Due::End,
            Ok(()) = said.changed() => Due::Beat,
            () = tokio::time::sleep_until(beat) => Due::Beat,
            () = self.table.news(self.place) => Due::Look,
        }
    }

    /// Renews the Lease with this claim in it.
    async fn beat(&mut self, claim: &Claim) -> Result<Beat, CallError> {
        let lease = claiming(self.held.clone(), claim).0;
        let lease = self.candidate.beaten(lease);
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
        // So early that the next beat is not late for it.
        let config = &self.table.config;
        let half = self.candidate.patience(&self.held) / 2;
        let usual = config.give_up.saturating_sub(config.period);
        let deadline = self.renewed + half.max(usual);
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
