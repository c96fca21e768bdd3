//! Who calls how often, and what was let in before.
//!
//! An address is everybody behind it, a proxy for instance: its limit counts only calls that have proved nothing, and no call
//! that proves itself is turned away for it. A Receiver's share counts what has proved itself: what is more is told in one. Another
//! limit counts what is asked of the claims of tokens, which are signed, but maybe for somebody who may not call. What it
//! deliberately doesn't: read anything of a call.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use reeve_api::name::NamespacedName;
use reeve_core::webhook::{Allowance, Mark, Rates, Replays};

use super::refusal::{Instead, Refusal};
use crate::http::Peer;

/// How many addresses, and Receivers, are told apart.
const MOST: usize = 4096;
/// How often it is told of a Receiver that there were more calls than its share.
const OWED: Allowance = Allowance {
    burst: 1.0,
    each_second: 1.0,
};

/// How often somebody may call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One address, counted by what has proved nothing.
    pub address: Allowance,
    /// One Receiver: the calls that are told of one by one; and once more the tokens whose claims are looked at.
    pub receiver: Allowance,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            address: Allowance {
                burst: 2000.0,
                each_second: 200.0,
            },
            receiver: Allowance {
                burst: 2000.0,
                each_second: 200.0,
            },
        }
    }
}

pub(super) struct Guard {
    addresses: Mutex<Rates<IpAddr>>,
    receivers: Mutex<Rates<NamespacedName>>,
    attempts: Mutex<Rates<NamespacedName>>,
    owed: Mutex<Rates<NamespacedName>>,
    /// Of whom it is about to be told.
    owing: Mutex<BTreeSet<NamespacedName>>,
    replays: Mutex<Replays>,
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under the lock leaves a count behind that is off by one.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guard {
    pub(super) fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            addresses: Mutex::new(Rates::new(limits.address, MOST, now)),
            receivers: Mutex::new(Rates::new(limits.receiver, MOST, now)),
            attempts: Mutex::new(Rates::new(limits.receiver, MOST, now)),
            owed: Mutex::new(Rates::new(OWED, MOST, now)),
            owing: Mutex::default(),
            replays: Mutex::default(),
        }
    }

    /// Counts a call that has proved nothing against its address; what is said then if there were too many.
    pub(super) fn charge(&self, peer: Option<Peer>, now: Instant) -> Result<(), Refusal> {
        let taken = locked(&self.addresses).take(site(peer), now);
        taken.map_err(|wait| too_often("this address calls too often", wait))
    }

    /// Whether the claims of one more token may be looked at for a Receiver.
    pub(super) fn attempt(&self, receiver: &NamespacedName, now: Instant) -> Result<(), Refusal> {
        let taken = locked(&self.attempts).take(receiver.clone(), now);
        taken.map_err(|wait| too_often("this receiver is called too often", wait))
    }

    /// In what time it is to be told that there were more calls to a Receiver than its share; None: somebody is about to.
    pub(super) fn owes(&self, receiver: &NamespacedName, now: Instant) -> Option<Duration> {
        if !locked(&self.owing).insert(receiver.clone()) {
            return None;
        }
        let taken = locked(&self.owed).take(receiver.clone(), now);
        Some(taken.err().unwrap_or_default())
    }

    /// That is told.
    pub(super) fn settles(&self, receiver: &NamespacedName) {
        locked(&self.owing).remove(receiver);
    }

    /// Lets a call in that has proved itself, unless it was before; it is remembered once it is in. Whether it is told of by
    /// itself: not if it is more than the Receiver's share, or `enter` has no room for it.
    pub(super) fn once(
        &self,
        receiver: &NamespacedName,
        marks: &[Mark],
        now: Instant,
        enter: impl FnOnce() -> Result<bool, Refusal>,
    ) -> Result<bool, Refusal> {
        let mut replays = locked(&self.replays);
        if replays.knows(receiver, marks, now) {
            let says = "this delivery was let in before";
            return Err(Refusal::new(StatusCode::CONFLICT, says));
        }
        let has_share = locked(&self.receivers).take(receiver.clone(), now).is_ok();
        let by_itself = has_share && enter()?;
        replays.remember(receiver, marks, now);
        Ok(by_itself)
    }
}

/// The address that a caller is told apart by.
pub(super) fn site(peer: Option<Peer>) -> IpAddr {
    peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), Peer::site)
}

fn too_often(says: &str, wait: Duration) -> Refusal {
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, says).or(Instead::After(wait))
}
