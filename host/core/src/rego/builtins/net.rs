//! OPA's `net.cidr_*`, over addresses and nothing else: no name is looked up.
//!
//! An IPv4 address written as IPv6 (`::ffff:1.2.3.4`) is that IPv4 address, as Go has it. It deliberately expands no
//! network of more than 65,536 addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use regorus::Value;

use super::Refusal;

/// The longest prefix of an IPv6 address that says that it is an IPv4 one.
const MAPPED: u32 = 96;
/// `::ffff:0.0.0.0`, the first of them.
const MAPPED_FIRST: u128 = 0xffff_0000_0000;
/// The most addresses that a network is expanded to, as bits of the host.
const EXPANDED: u32 = 16;

/// A network: a family, its first address, and the bits that all its addresses share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Network {
    is_v6: bool,
    first: u128,
    prefix: u32,
}

/// Whether a network holds an address, or all of another network.
pub(super) fn contains(arguments: &[Value]) -> Result<Value, Refusal> {
    let [network, other] = arguments else {
        return Err(Refusal::Argument(1, "a network"));
    };
    holds(network, other).map(Value::from)
}

/// The pairs of keys (a text is its own, a list's are numbers) of networks and what they hold.
pub(super) fn contains_matches(arguments: &[Value]) -> Result<Value, Refusal> {
    let [networks, others] = arguments else {
        return Err(Refusal::Argument(1, "a network, or a collection of them"));
    };
    let (networks, others) = (keyed(networks, 1)?, keyed(others, 2)?);
    let mut found = BTreeSet::new();
    for (key, network) in &networks {
        for (inner, other) in &others {
            if holds(network, other)? {
                found.insert(Value::from(vec![key.clone(), inner.clone()]));
            }
        }
    }
    Ok(Value::from(found))
}

/// All addresses of a network.
pub(super) fn expand(arguments: &[Value]) -> Result<Value, Refusal> {
    let network = arguments.first().and_then(network).ok_or(NO_NETWORK)?;
    let bits = network.width() - network.prefix;
    if bits > EXPANDED {
        return Err(Refusal::TooMuch);
    }
    let all = (network.first..=network.last()).map(|one| Value::from(network.address(one)));
    Ok(Value::from(all.collect::<BTreeSet<_>>()))
}

/// Whether two networks have an address in common.
pub(super) fn intersects(arguments: &[Value]) -> Result<Value, Refusal> {
    let [Some(one), Some(other)] = [0, 1].map(|at| arguments.get(at).and_then(network)) else {
        return Err(NO_NETWORK);
    };
    let meet = one.has(other.is_v6, other.first) || other.has(one.is_v6, one.first);
    Ok(meet.into())
}

/// Whether a value is a network.
pub(super) fn is_valid(arguments: &[Value]) -> Result<Value, Refusal> {
    Ok(arguments.first().and_then(network).is_some().into())
}

/// The fewest networks that hold the same addresses.
pub(super) fn merge(arguments: &[Value]) -> Result<Value, Refusal> {
    let items: Vec<&Value> = match arguments.first() {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(Value::Set(items)) => items.iter().collect(),
        _ => return Err(Refusal::Argument(1, "an array or a set")),
    };
    let networks = items.into_iter().map(|item| match address(item) {
        Some(IpAddr::V4(address)) => Ok(classful(address)),
        Some(IpAddr::V6(_)) => Err(Refusal::Argument(1, "a network: IPv6 needs a prefix")),
        None => network(item).ok_or(NO_NETWORK),
    });
    let mut networks = networks.collect::<Result<Vec<Network>, Refusal>>()?;
    // As OPA, to which IPv4 lies within IPv6 here: what holds all of it leaves none beside.
    let holds_v4 = |network: &Network| network.has(true, MAPPED_FIRST) && network.prefix < MAPPED;
    if networks.iter().any(holds_v4) {
        networks.retain(|network| network.is_v6);
    }
    networks.sort();
    let mut ranges: Vec<(bool, u128, u128)> = Vec::new();
    for network in networks {
        match ranges.last_mut() {
            Some((is_v6, _, last))
                if *is_v6 == network.is_v6 && network.first <= last.saturating_add(1) =>
            {
                *last = network.last().max(*last);
            }
            _ => ranges.push((network.is_v6, network.first, network.last())),
        }
    }
    let merged = ranges
        .into_iter()
        .flat_map(|(is_v6, first, last)| covered(is_v6, first, last));
    let merged: BTreeSet<Value> = merged.map(|one| one.text().into()).collect();
    Ok(Value::from(merged))
}

const NO_NETWORK: Refusal = Refusal::Argument(1, "a network such as 10.0.0.0/8");

impl Network {
    fn width(self) -> u32 {
        if self.is_v6 { 128 } else { 32 }
    }

    fn last(self) -> u128 {
        self.first | hosts(self.width() - self.prefix)
    }

    fn has(self, is_v6: bool, address: u128) -> bool {
        self.is_v6 == is_v6 && (self.first..=self.last()).contains(&address)
    }

    fn address(self, number: u128) -> String {
        match u32::try_from(number) {
            Ok(number) if !self.is_v6 => Ipv4Addr::from(number).to_string(),
            _ => Ipv6Addr::from(number).to_string(),
        }
    }

    fn text(self) -> String {
        format!("{}/{}", self.address(self.first), self.prefix)
    }
}

fn hosts(bits: u32) -> u128 {
    u128::MAX.checked_shr(128 - bits).unwrap_or(0)
}

fn holds(outer: &Value, inner: &Value) -> Result<bool, Refusal> {
    let outer = network(outer).ok_or(NO_NETWORK)?;
    match address(inner) {
        Some(IpAddr::V4(address)) => Ok(outer.has(false, u32::from(address).into())),
        Some(IpAddr::V6(address)) => Ok(outer.has(true, address.into())),
        None => {
            let inner = network(inner).ok_or(Refusal::Argument(2, "an address or a network"))?;
            Ok(outer.has(inner.is_v6, inner.first) && inner.last() <= outer.last())
        }
    }
}

/// A value's members by key: what is in a list may be a network, or a list that begins with one.
fn keyed(value: &Value, place: u8) -> Result<Vec<(Value, Value)>, Refusal> {
    let all: Vec<(Value, &Value)> = match value {
        Value::String(_) => return Ok(vec![(value.clone(), value.clone())]),
        Value::Array(items) => (0_u64..).map(Value::from).zip(items.iter()).collect(),
        Value::Set(items) => items.iter().map(|item| (item.clone(), item)).collect(),
        Value::Object(fields) => fields.iter().map(|(key, one)| (key.clone(), one)).collect(),
        _ => return Ok(Vec::new()),
    };
    let pairs = all.into_iter().map(|(key, one)| match one {
        Value::String(_) => Ok((key, one.clone())),
        Value::Array(items) => match items.first() {
            Some(first) => Ok((key, first.clone())),
            None => Err(Refusal::Argument(place, "of strings or of arrays with one")),
        },
        _ => Err(Refusal::Argument(place, "of strings or of arrays with one")),
    });
    pairs.collect()
}

fn address(value: &Value) -> Option<IpAddr> {
    let Value::String(text) = value else {
        return None;
    };
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
}

fn network(value: &Value) -> Option<Network> {
    let Value::String(text) = value else {
        return None;
    };
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let prefix: u32 = prefix.parse().ok()?;
    let (is_v6, number, prefix) = match address {
        IpAddr::V4(address) => (false, u32::from(address).into(), prefix),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) if (MAPPED..=128).contains(&prefix) => {
                (false, u32::from(mapped).into(), prefix - MAPPED)
            }
            _ => (true, u128::from(address), prefix),
        },
    };
    let width = if is_v6 { 128 } else { 32 };
    let host = hosts(u32::checked_sub(width, prefix)?);
    Some(Network {
        is_v6,
        first: number & !host,
        prefix,
    })
}

/// A bare IPv4 address is the network of its class.
fn classful(address: Ipv4Addr) -> Network {
    let prefix = match address.octets() {
        [0..128, ..] => 8,
        [128..192, ..] => 16,
        _ => 24,
    };
    let number: u128 = u32::from(address).into();
    Network {
        is_v6: false,
        first: number & !hosts(32 - prefix),
        prefix,
    }
}

/// The networks that cover exactly the addresses from one to another.
fn covered(is_v6: bool, first: u128, last: u128) -> Vec<Network> {
    let width: u32 = if is_v6 { 128 } else { 32 };
    let mut networks = Vec::new();
    let mut next = Some(first);
    while let Some(first) = next.filter(|first| *first <= last) {
        let aligned = first.trailing_zeros().min(width);
        let fits = (0..=aligned)
            .rev()
            .find(|bits| first | hosts(*bits) <= last);
        let network = Network {
            is_v6,
            first,
            prefix: width - fits.unwrap_or(0),
        };
        networks.push(network);
        next = network.last().checked_add(1);
    }
    networks
}
