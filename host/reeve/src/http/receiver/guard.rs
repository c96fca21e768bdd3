//! Who calls how often, and what was let in before.
//!
//! An address is everybody behind it, a proxy for instance: its limit counts only calls that have proved nothing, and no call
//! that proves itself is turned away for it. A Receiver's limit counts what has proved itself; so does another what is asked of
//! the claims of tokens, which are signed, but maybe for somebody who may not call. What it deliberately doesn't: read
//! anything of a call.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use reeve_api::name::NamespacedName;
use reeve_core::index::Hook;
use reeve_core::webhook::{Allowance, Mark, Rates, Replays};

use super::refusal::{Instead, Refusal};
use crate::http::Peer;

/// How many addresses, and Receivers, are told apart.
const MOST: usize = 4096;
/// How often it is told of a Receiver that calls to it were turned away.
const OWED: Allowance = Allowance {
    burst: 1.0,
    each_second: 1.0,
};

/// How often somebody may call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One address, counted by what has proved nothing.
    pub address: Allowance,
    /// One Receiver, counted by what was let in; and once more by the tokens whose claims were looked at.
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
                burst: 300.0,
                each_second: 30.0,
            },
        }
    }
}

pub(super) struct Guard {
    addresses: Mutex<Rates<IpAddr>>,
    receivers: Mutex<Rates<NamespacedName>>,
    attempts: Mutex<Rates<NamespacedName>>,
    owed: Mutex<Rates<NamespacedName>>,
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

    /// Whether it is to be told now that calls to a Receiver were turned away.
    pub(super) fn owes(&self, hook: &Hook, now: Instant) -> bool {
        locked(&self.owed).take(hook.receiver.clone(), now).is_ok()
    }

    /// Lets a call in, unless it was before or there are too many; it is remembered once `enter` has let it in.
    pub(super) fn once(
        &self,
        receiver: &NamespacedName,
        marks: &[Mark],
        now: Instant,
        enter: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut replays = locked(&self.replays);
        if replays.knows(receiver, marks, now) {
            let says = "this delivery was let in before";
            return Err(Refusal::new(StatusCode::CONFLICT, says));
        }
        let taken = locked(&self.receivers).take(receiver.clone(), now);
        taken.map_err(|wait| too_often("this receiver is called too often", wait))?;
        enter()?;
        replays.remember(receiver, marks, now);
        Ok(())
    }
}

/// The address that a caller is told apart by.
pub(super) fn site(peer: Option<Peer>) -> IpAddr {
    peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), Peer::site)
}

fn too_often(says: &str, wait: Duration) -> Refusal {
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, says).or(Instead::After(wait))
}
