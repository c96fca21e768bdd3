//! Which replica leads: one `coordination.k8s.io` Lease, held by whoever renews it.
//!
//! Whether the holder is alive is judged by the local monotonic clock alone: a record that has not changed for its own
//! duration is dead, whatever the clocks of the machines say. The leader gives up (its token is cancelled) well before
//! others may take over, so that two never write at once; and the [`leash`](super::leash) holds back what it would still
//! write after that, however late it learns of it. It deliberately starts and stops nothing: `cli::controller`
//! runs the controllers for as long as the [`Leadership`] lasts.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::core::ApiResource;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Cluster;
use super::leash::Leash;
use super::refusal::CallError;
use super::wire::{Address, Wire};

/// How often who stands by looks whether the lease has run out: so much later it may be seen that it was renewed last.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// Which lease to hold, as whom, and how eagerly.
#[derive(Debug, Clone)]
pub struct LeaseConfig {
    /// The namespace of the lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are: unique to this process, not only to its pod.
    pub identity: String,
    /// After how long without renewal others may take over; whole seconds.
    pub duration: Duration,
    /// After how long without a successful renewal we stop leading; less than `duration`.
    pub give_up: Duration,
    /// How often to renew. Whether the holder still does is looked at as often, and at least every 250 ms.
    pub period: Duration,
    /// The wall clock, only ever shown to people.
    pub now: fn() -> Timestamp,
}

impl LeaseConfig {
    /// A lease that is taken over within five seconds of its holder's death. Who cannot renew it for three gives it up: an API
    /// server that is away for longer costs a new beginning, in which everything is listed and looked at, and nothing else. Where
    /// the API server is slow it lasts longer ([`pace`](super::pace)).
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        identity: impl Into<String>,
        now: fn() -> Timestamp,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            duration: Duration::from_secs(4),
            give_up: Duration::from_secs(3),
            period: Duration::from_secs(1),
            now,
        }
    }
}

/// The lease is ours, until [`lost`](Self::lost) is cancelled. Dropped, it is renewed no more and runs out.
#[derive(Debug)]
pub struct Leadership {
    pub(super) lost: CancellationToken,
    pub(super) release: CancellationToken,
    pub(super) renewing: Option<tokio::task::JoinHandle<()>>,
    pub(super) term: i64,
}

impl Leadership {
    /// Cancelled when the lease is, or may soon be, somebody else's: stop writing.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// How often the lease has changed hands: a later leader has a higher number.
    pub fn term(&self) -> i64 {
        self.term
    }

    /// Gives the lease back, so that the next replica need not wait for it to run out.
    pub async fn release(mut self) {
        self.release.cancel();
        let Some(renewing) = self.renewing.take() else {
            return;
        };
        if let Err(why) = renewing.await {
            tracing::warn!(error = %why, "the task that renews the lease ended badly");
        }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        if let Some(renewing) = self.renewing.take() {
            // Its end cancels `lost`.
            renewing.abort();
        }
    }
}

impl Cluster {
    /// Waits until the lease is ours; until then, and after it is lost, nothing can be written. Cancel safe.
    pub async fn lead(&self, config: LeaseConfig) -> Leadership {
        self.leash.cut();
        let candidate = Candidate::new(self, config);
        let (held, renewed) = candidate.acquire().await;
        candidate.extend(renewed, &held);
        let (lost, release) = (CancellationToken::new(), CancellationToken::new());
        let term = held.term();
        let renewing = candidate.renew(held, renewed, lost.clone(), release.clone());
        Leadership {
            renewing: Some(tokio::spawn(renewing)),
            lost,
            release,
            term,
        }
    }
}

/// The lease as it was last seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record(pub(super) Value);

impl Record {
    pub(super) fn holder(&self) -> &str {
        self.0
            .pointer("/spec/holderIdentity")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(super) fn term(&self) -> i64 {
        self.0
            .pointer("/spec/leaseTransitions")
            .and_then(Value::as_i64)
            .unwrap_or_default()
    }

    /// For how long the holder asked to be left alone.
    pub(super) fn duration(&self, ours: Duration) -> Duration {
        let seconds = self
            .0
            .pointer("/spec/leaseDurationSeconds")
            .and_then(Value::as_u64);
        // What somebody else wrote there must not lock us out for ever.
        seconds
            .map_or(ours, Duration::from_secs)
            .min(Duration::from_secs(60).max(ours))
    }

    /// What changes with every renewal.
    pub(super) fn heartbeat(&self) -> (&str, Option<&Value>, i64) {
        (
            self.holder(),
            self.0.pointer("/spec/renewTime"),
            self.term(),
        )
    }
}

/// A replica that wants to lead.
#[derive(Clone)]
pub(super) struct Candidate {
    pub(super) wire: Wire,
    pub(super) leash: Leash,
    pub(super) address: Address,
    pub(super) config: Arc<LeaseConfig>,
}

impl Candidate {
    /// One for the lease that is named there.
    pub(super) fn new(cluster: &Cluster, config: LeaseConfig) -> Self {
        Self {
            wire: cluster.own.unleashed(),
            leash: cluster.leash.clone(),
            address: Address {
                resource: ApiResource {
                    group: "coordination.k8s.io".into(),
                    version: "v1".into(),
                    api_version: "coordination.k8s.io/v1".into(),
                    kind: "Lease".into(),
                    plural: "leases".into(),
                },
                namespace: Some(config.namespace.clone()),
                name: config.name.clone(),
            },
            config: Arc::new(config),
        }
    }

    async fn acquire(&self) -> (Record, Instant) {
        // The record last seen, and since when it has looked like that.
        let mut seen: Option<(Record, Instant)> = None;
        loop {
            let begun = Instant::now();
            match self.try_acquire(&mut seen).await {
                Ok(Some(held)) => return (held, begun),
                Ok(None) => {}
                Err(why) => {
                    tracing::warn!(error = %why, "looking at the lease failed, trying again");
                }
            }
            tokio::time::sleep(self.pause(seen.as_ref())).await;
        }
    }

    /// Until the next look, which is no later than when the record runs out.
    fn pause(&self, seen: Option<&(Record, Instant)>) -> Duration {
        let pause = self.config.period.min(LOOK);
        let left = seen.map(|(record, since)| {
            let duration = record.duration(self.config.duration);
            duration.saturating_sub(since.elapsed())
        });
        // One that has run out already somebody else was quicker to take, or nobody could.
        match left {
            Some(left) if !left.is_zero() => pause.min(left),
            _ => pause,
        }
    }

    async fn try_acquire(
        &self,
        seen: &mut Option<(Record, Instant)>,
    ) -> Result<Option<Record>, CallError> {
        let Some(now) = self.within(self.wire.get(&self.address)).await? else {
            return self.take(None).await;
        };
        let now = Record(now);
        let since = match &*seen {
            Some((before, since)) if before.heartbeat() == now.heartbeat() => *since,
            _ => Instant::now(),
        };
        *seen = Some((now.clone(), since));
        let free = now.holder().is_empty()
            || now.holder() == self.config.identity
            || since.elapsed() >= now.duration(self.config.duration);
        if free {
            self.take(Some(now)).await
        } else {
            Ok(None)
        }
    }

    /// Takes a lease that is free; None if somebody else was quicker.
    pub(super) async fn take(&self, before: Option<Record>) -> Result<Option<Record>, CallError> {
        let now = micro_time((self.config.now)());
        let taken = match before {
            None => {
                let lease = json!({
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": {"namespace": self.config.namespace, "name": self.config.name},
                    "spec": self.spec(&now, &now, 0),
                });
                self.within(self.wire.create(&self.address, &lease)).await
            }
            Some(Record(mut lease)) => {
                let term = Record(lease.clone()).term() + 1;
                if let Some(fields) = lease.as_object_mut() {
                    fields.insert("spec".to_owned(), self.spec(&now, &now, term));
                }
                self.within(self.wire.replace(&self.address, &lease)).await
            }
        };
        match taken {
            Ok(lease) => Ok(Some(Record(lease))),
            Err(why) if why.is_conflict() => Ok(None),
            Err(why) => Err(why),
        }
    }

    fn spec(&self, acquired: &str, renewed: &str, term: i64) -> Value {
        json!({
            "holderIdentity": self.config.identity,
            "leaseDurationSeconds": self.asked(),
            "acquireTime": acquired, "renewTime": renewed, "leaseTransitions": term,
        })
    }

    async fn renew(
        self,
        mut held: Record,
        mut renewed: Instant,
        lost: CancellationToken,
        release: CancellationToken,
    ) {
        // Whatever ends this task ends the leadership.
        let _lost_at_the_end = lost.clone().drop_guard();
        let _cut_at_the_end = CutOnDrop(self.leash.clone());
        loop {
            let stopped = tokio::time::timeout(self.config.period, release.cancelled())
                .await
                .is_ok();
            if stopped {
                // First stop leading, then let others in.
                lost.cancel();
                self.leash.cut();
                return self.give_back(held).await;
            }
            let begun = Instant::now();
            let deadline = renewed + self.patience(&held);
            match tokio::time::timeout_at(deadline, self.renew_once(&mut held)).await {
                Ok(Ok(Some(since))) => {
                    renewed = since;
                    self.extend(renewed, &held);
                }
                Ok(Ok(None)) => {
                    tracing::warn!(holder = held.holder(), "the lease is somebody else's now");
                    return;
                }
                Ok(Err(why)) if begun < deadline => {
                    tracing::warn!(error = %why, "renewing the lease failed, trying again");
                }
                Ok(Err(_)) | Err(_) => {
                    tracing::error!("the lease was not renewed in time, giving it up");
                    self.leash.pace().lost(Instant::now());
                    return;
                }
            }
        }
    }

    /// The lease was renewed, as it stands there, by a request that began then.
    pub(super) fn extend(&self, renewed: Instant, held: &Record) {
        let (now, most) = (Instant::now(), self.config.give_up);
        let took = now.saturating_duration_since(renewed);
        self.leash.pace().beat(now, took, most);
        let lasts = self.lasts(held);
        self.leash
            .until(renewed + self.patience(held), renewed + lasts);
    }

    /// After how long without a renewal others may take it over, as far as that is relied upon.
    fn lasts(&self, held: &Record) -> Duration {
        let usual = self.config.duration;
        let relied = self.leash.pace().relies_on(Instant::now(), usual);
        relied.min(held.duration(usual))
    }

    /// After how long without one it is given up.
    pub(super) fn patience(&self, held: &Record) -> Duration {
        let earlier = self.config.duration.saturating_sub(self.config.give_up);
        self.lasts(held).saturating_sub(earlier)
    }

    /// The seconds that it is to last from the next beat on.
    pub(super) fn asked(&self) -> u64 {
        let usual = self.config.duration;
        let asked = self.leash.pace().asks(Instant::now(), usual);
        asked.as_secs().max(1)
    }

    /// The record with the next beat in it.
    pub(super) fn beaten(&self, mut lease: Value) -> Value {
        if let Some(spec) = lease.pointer_mut("/spec").and_then(Value::as_object_mut) {
            let time = micro_time((self.config.now)());
            spec.insert("renewTime".to_owned(), time.into());
            spec.insert("leaseDurationSeconds".to_owned(), self.asked().into());
        }
        lease
    }

    /// When what renewed it was begun; None: it is not ours any more.
    async fn renew_once(&self, held: &mut Record) -> Result<Option<Instant>, CallError> {
        loop {
            let begun = Instant::now();
            let lease = self.beaten(held.0.clone());
            match self.wire.replace(&self.address, &lease).await {
                Ok(lease) => {
                    *held = Record(lease);
                    return Ok(Some(begun));
                }
                Err(why) if why.is_conflict() => {
                    // Either taken over, or somebody annotated it: it says. That it is ours renews nothing, since others count
                    // from what was written; so it is written again.
                    let now = self.wire.get(&self.address).await?.unwrap_or_default();
                    *held = Record(now);
                    if held.holder() != self.config.identity {
                        return Ok(None);
                    }
                }
                Err(why) if why.is_missing_object() => return Ok(None),
                Err(why) => return Err(why),
            }
        }
    }

    pub(super) async fn give_back(&self, Record(mut lease): Record) {
        if let Some(spec) = lease.pointer_mut("/spec").and_then(Value::as_object_mut) {
            spec.insert("holderIdentity".to_owned(), "".into());
            spec.insert("leaseDurationSeconds".to_owned(), 1.into());
        }
        if let Err(why) = self.within(self.wire.replace(&self.address, &lease)).await {
            tracing::warn!(error = %why, "giving the lease back failed; it runs out by itself");
        }
    }

    pub(super) async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let usual = self.config.give_up;
        let patience = self.leash.pace().relies_on(Instant::now(), usual);
        tokio::time::timeout(patience, call)
            .await
            .unwrap_or(Err(CallError::Slow(patience)))
    }
}

/// Cuts it whatever ends the task that extends it.
pub(super) struct CutOnDrop(pub(super) Leash);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// Kubernetes' MicroTime has six digits behind the point, always.
pub(super) fn micro_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_micro_time_has_six_digits() {
        let at: Timestamp = "2026-02-03T04:05:06.7Z".parse().unwrap();
        assert_eq!(micro_time(at), "2026-02-03T04:05:06.700000Z");
    }

    #[test]
    fn another_holders_duration_cannot_lock_us_out() {
        let record = |seconds: u64| Record(json!({"spec": {"leaseDurationSeconds": seconds}}));
        let ours = Duration::from_secs(4);
        assert_eq!(record(15).duration(ours), Duration::from_secs(15));
        assert_eq!(record(u64::MAX).duration(ours), Duration::from_secs(60));
        assert_eq!(Record(json!({})).duration(ours), ours);
    }

    #[test]
    fn a_record_beats_only_when_it_is_renewed() {
        let record = |holder: &str, time: &str, label: &str| {
            Record(json!({"metadata": {"labels": {"x": label}},
                "spec": {"holderIdentity": holder, "renewTime": time, "leaseTransitions": 1}}))
        };
        let before = record("a", "t1", "1");
        assert_eq!(before.heartbeat(), record("a", "t1", "2").heartbeat());
        assert_ne!(before.heartbeat(), record("a", "t2", "1").heartbeat());
        assert_ne!(before.heartbeat(), record("b", "t1", "1").heartbeat());
    }
}
