//! The room for payloads: so much in all, and a share of it for each Receiver and each address.
//!
//! An address is everybody behind it, a proxy for instance: its share is half of all, so that it is never the whole of it, and
//! that of a Receiver is what keeps those behind one proxy apart. What it deliberately doesn't: wait.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reeve_api::name::NamespacedName;

/// Bytes of payloads that are held at a time.
const ALL: usize = 64 << 20;
/// Of them for one Receiver.
const RECEIVER: usize = 8 << 20;
/// Of them from one address.
const ADDRESS: usize = ALL / 2;

/// What is held of payloads.
#[derive(Debug, Default)]
pub(in crate::http::receiver) struct Room(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    receivers: BTreeMap<NamespacedName, usize>,
    addresses: BTreeMap<IpAddr, usize>,
}

/// The room that one payload takes up, until this is dropped.
#[derive(Debug)]
pub(in crate::http::receiver) struct Place {
    room: Arc<Room>,
    receiver: NamespacedName,
    address: IpAddr,
    bytes: usize,
}

impl Room {
    /// A place without any bytes yet.
    pub(in crate::http::receiver) fn enter(
        self: &Arc<Self>,
        receiver: &NamespacedName,
        address: IpAddr,
    ) -> Place {
        Place {
            room: Arc::clone(self),
            receiver: receiver.clone(),
            address,
            bytes: 0,
        }
    }

    fn locked(&self) -> MutexGuard<'_, Taken> {
        // A panic under the lock leaves counts behind that are off by one payload.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Takes so much more, if there is so much left.
    pub(in crate::http::receiver) fn grow(&mut self, bytes: usize) -> bool {
        let mut taken = self.room.locked();
        let receiver = taken.receivers.get(&self.receiver).map_or(0, |held| *held);
        let address = taken.addresses.get(&self.address).map_or(0, |held| *held);
        let held = [(taken.all, ALL), (receiver, RECEIVER), (address, ADDRESS)];
        if held.iter().any(|(held, most)| held + bytes > *most) {
            return false;
        }
        taken.all += bytes;
        taken
            .receivers
            .insert(self.receiver.clone(), receiver + bytes);
        taken.addresses.insert(self.address, address + bytes);
        self.bytes += bytes;
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.locked();
        taken.all = taken.all.saturating_sub(self.bytes);
        give_back(&mut taken.receivers, &self.receiver, self.bytes);
        give_back(&mut taken.addresses, &self.address, self.bytes);
    }
}

fn give_back<K: Ord>(held: &mut BTreeMap<K, usize>, who: &K, bytes: usize) {
    if let Some(held) = held.get_mut(who) {
        *held = held.saturating_sub(bytes);
    }
    if held.get(who) == Some(&0) {
        held.remove(who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(room: &Arc<Room>, receiver: usize, address: u8) -> Place {
        let receiver = NamespacedName::new("acme", format!("hook-{receiver}")).unwrap();
        room.enter(&receiver, [10, 0, 0, address].into())
    }

    #[test]
    fn neither_a_receiver_nor_an_address_takes_all_the_room() {
        let room = Arc::new(Room::default());
        let mut first = place(&room, 0, 1);
        assert!(first.grow(RECEIVER));
        assert!(!first.grow(1), "the Receiver's share is full");
        let mut held = vec![first];
        for receiver in 1..ADDRESS / RECEIVER {
            let mut more = place(&room, receiver, 1);
            assert!(more.grow(RECEIVER));
            held.push(more);
        }
        assert!(!place(&room, 9, 1).grow(1), "the address's share is full");
        let mut other = place(&room, 9, 2);
        assert!(other.grow(RECEIVER));
        for receiver in 10..9 + (ALL - ADDRESS) / RECEIVER {
            let mut more = place(&room, receiver, 3);
            assert!(more.grow(RECEIVER));
            held.push(more);
        }
        assert!(!place(&room, 20, 4).grow(1), "there is no more");
        drop((held, other));
        let taken = room.locked();
        assert_eq!(taken.all, 0);
        assert!(taken.receivers.is_empty() && taken.addresses.is_empty());
    }
}
