//! Who calls: the address that limits count, and how many connections it has.
//!
//! A connection is its own address's, unless a proxy that the platform names made it: then its requests are of whom the proxy
//! names in `X-Forwarded-For`. What anybody else writes there is not read, since anybody may write it. What it deliberately
//! doesn't: read `Forwarded` or `X-Real-IP`, which proxies that know the one header often pass on as they came.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;

use crate::network::Network;

/// The header in which a proxy says for whom it calls. Each adds the one before it at the end.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// More proxies than stand one behind the other anywhere.
const HOPS: usize = 16;

/// Who calls, as a request tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer(pub IpAddr);

impl Peer {
    /// The address that a caller is told apart by: who has one address of IPv6 has as a rule the whole of its /64.
    pub fn site(self) -> IpAddr {
        match self.0 {
            IpAddr::V6(address) => {
                let site = address.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(site))
            }
            address => address,
        }
    }
}

/// The proxies that are believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<[Network]>);

impl Proxies {
    /// Those whose addresses lie in one of these.
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks.into())
    }

    /// Whether one has this address.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(address))
    }

    /// Of whom a request is that came over a connection of `peer`: the nearest of those it went through who is no proxy that is
    /// believed. Where such a proxy names nobody, it is the proxy's own.
    pub(super) fn caller(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        let Peer(mut known) = peer;
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let named = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for name in named.take(HOPS) {
            match address(name) {
                Some(before) if self.has(known) => known = before,
                _ => break,
            }
        }
        Peer(known)
    }
}

/// An address as proxies write one: some with the port, some with brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>();
    let address = address.or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    Some(address.ok()?.to_canonical())
}

/// How many connections each address has.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<BTreeMap<IpAddr, usize>>);

/// The place of one connection, until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    site: IpAddr,
}

impl Crowd {
    /// A place for one more connection of this address; None: it has `most`.
    pub(super) fn enter(self: &Arc<Self>, peer: Peer, most: usize) -> Option<Seat> {
        let site = peer.site();
        let mut seated = self.locked();
        let held = seated.entry(site).or_default();
        if *held >= most {
            return None;
        }
        *held += 1;
        drop(seated);
        let crowd = Arc::clone(self);
        Some(Seat { crowd, site })
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        // A panic under the lock leaves a count behind that is off by one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seated = self.crowd.locked();
        if let Some(held) = seated.get_mut(&self.site) {
            *held = held.saturating_sub(1);
        }
        if seated.get(&self.site) == Some(&0) {
            seated.remove(&self.site);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn peer(text: &str) -> Peer {
        Peer(text.parse().unwrap())
    }

    /// Of whom a request is, with a header for each line.
    fn caller(peer_is: &str, lines: &[&str]) -> String {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        let proxies = Proxies::new(networks.to_vec());
        proxies.caller(peer(peer_is), &headers).0.to_string()
    }

    #[test]
    fn whom_a_proxy_calls_for_is_believed_of_proxies_that_are_named_and_of_nobody_else() {
        for (says, peer, lines, want) in [
            ("nobody is named", "10.0.0.1", &[][..], "10.0.0.1"),
            ("a proxy", "10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("a stranger", "192.0.2.9", &["192.0.2.1"], "192.0.2.9"),
            (
                "what a caller wrote itself stands before what the proxy adds",
                "10.0.0.1",
                &["198.51.100.7, 192.0.2.1"],
                "192.0.2.1",
            ),
            (
                "a proxy behind another",
                "10.0.0.1",
                &["198.51.100.7, 192.0.2.1, 10.0.0.2"],
                "192.0.2.1",
            ),
            (
                "headers count as one",
                "10.0.0.1",
                &["198.51.100.7", "192.0.2.1", "10.0.0.2,10.0.0.3"],
                "192.0.2.1",
            ),
            (
                "only proxies, as where a proxy asks itself",
                "10.0.0.1",
                &["10.0.0.2"],
                "10.0.0.2",
            ),
            ("a port", "10.0.0.1", &["192.0.2.1:8080"], "192.0.2.1"),
            ("IPv6", "fd00::1", &["2001:db8::1"], "2001:db8::1"),
            ("brackets", "fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
            ("both", "fd00::1", &["[2001:db8::1]:80"], "2001:db8::1"),
            (
                "IPv4 as IPv6",
                "10.0.0.1",
                &["::ffff:192.0.2.1"],
                "192.0.2.1",
            ),
            (
                "no address",
                "10.0.0.1",
                &["192.0.2.1, unknown"],
                "10.0.0.1",
            ),
            ("nothing", "10.0.0.1", &["192.0.2.1,"], "10.0.0.1"),
            ("an empty header", "10.0.0.1", &[""], "10.0.0.1"),
        ] {
            assert_eq!(caller(peer, lines), want, "{says}");
        }
        let endless = "10.0.0.9,".repeat(1000) + "10.0.0.8";
        assert_eq!(caller("10.0.0.1", &[&endless]), "10.0.0.9");
    }

    #[test]
    fn an_address_has_so_many_connections_and_others_theirs() {
        let crowd = Arc::new(Crowd::default());
        let held = [(), ()].map(|()| crowd.enter(peer("192.0.2.1"), 2).unwrap());
        assert!(crowd.enter(peer("192.0.2.1"), 2).is_none());
        let other = crowd.enter(peer("192.0.2.2"), 2);
        assert!(other.is_some());
        // Whoever has one address of a /64 has all of them.
        let first = crowd.enter(peer("2001:db8::1"), 1);
        assert!(first.is_some() && crowd.enter(peer("2001:db8::2"), 1).is_none());
        let [one, two] = held;
        drop(one);
        let again = crowd.enter(peer("192.0.2.1"), 2);
        assert!(again.is_some(), "one was given back");
        drop((two, other, first, again));
        assert!(crowd.locked().is_empty(), "nobody is kept");
    }
}
