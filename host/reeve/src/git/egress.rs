//! The way out: which addresses a tenant's URL may reach.
//!
//! A tenant chooses the URL, the controller makes the connection: without a rule here, a URL could read the cloud's
//! metadata, the API server or a neighbour's service. So names are resolved by us, each address is judged, and the
//! connection goes to exactly the address that was judged (no second lookup that could answer differently).
//!
//! What it deliberately doesn't: connect. `client` and `transport::ssh` do, with what [`Egress::lookup`] returns.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::network::Network;

/// Which private hosts may be reached; public addresses always may.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    allow: Vec<HostRule>,
}

/// One entry of `--allow-source-hosts`: a host by its name, or the addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRule {
    /// A host, wherever its name leads.
    Host(String),
    /// All addresses of a network.
    Network(Network),
}

/// A host that may not, or cannot, be reached.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The URL names an address that is refused.
    #[error("{address} is {what}, and such hosts are refused")]
    Address {
        /// The address in the URL.
        address: IpAddr,
        /// What kind of address it is.
        what: &'static str,
    },
    /// The URL names a host all of whose addresses are refused.
    #[error("host {host:?} resolves to {address}, {what}, and such hosts are refused")]
    Resolved {
        /// The host in the URL.
        host: String,
        /// The first of its addresses.
        address: IpAddr,
        /// What kind of address it is.
        what: &'static str,
    },
    /// The name could not be resolved.
    #[error("host {host:?} could not be resolved")]
    Lookup {
        /// The host in the URL.
        host: String,
        /// What the resolver said.
        source: std::io::Error,
    },
    /// The name has no address.
    #[error("host {0:?} has no address")]
    NoAddress(String),
}

/// Text that is not a [`HostRule`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither a host name nor a network such as 10.0.0.0/8")]
pub struct NotARule(String);

impl Denied {
    /// The same once more, for who found it inside of another error.
    pub(crate) fn told_again(&self) -> Self {
        match self {
            Self::Address { address, what } => Self::Address {
                address: *address,
                what,
            },
            Self::Resolved {
                host,
                address,
                what,
            } => Self::Resolved {
                host: host.clone(),
                address: *address,
                what,
            },
            Self::Lookup { host, source } => Self::Lookup {
                host: host.clone(),
                source: std::io::Error::new(source.kind(), source.to_string()),
            },
            Self::NoAddress(host) => Self::NoAddress(host.clone()),
        }
    }
}

impl Egress {
    /// Refuses private addresses except those that `allow` names.
    pub fn new(allow: Vec<HostRule>) -> Self {
        Self { allow }
    }

    /// The addresses of `host` that may be connected to; never empty.
    pub async fn lookup(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Denied> {
        let host = plain(host);
        if let Some(address) = literal(&host) {
            self.judge(&host, address)
                .map_err(|what| Denied::Address { address, what })?;
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let found = found.map_err(|source| Denied::Lookup {
            host: host.clone(),
            source,
        })?;
        let mut allowed = Vec::new();
        let mut refused = None;
        for socket in found {
            match self.judge(&host, socket.ip()) {
                Ok(()) => allowed.push(socket),
                Err(what) => refused = refused.or_else(|| Some((socket.ip(), what))),
            }
        }
        match (allowed.is_empty(), refused) {
            (false, _) => Ok(allowed),
            (true, Some((address, what))) => Err(Denied::Resolved {
                host,
                address,
                what,
            }),
            (true, None) => Err(Denied::NoAddress(host)),
        }
    }

    /// Refuses `host` if it is an address that may not be reached; a name is judged when it is resolved.
    ///
    /// Needed before an HTTP client sees a URL, because it asks no resolver about an address.
    pub fn admit_literal(&self, host: &str) -> Result<(), Denied> {
        let host = plain(host);
        match literal(&host) {
            Some(address) => self
                .judge(&host, address)
                .map_err(|what| Denied::Address { address, what }),
            None => Ok(()),
        }
    }

    fn judge(&self, host: &str, address: IpAddr) -> Result<(), &'static str> {
        match private(address) {
            Some(what) if !self.allow.iter().any(|rule| rule.covers(host, address)) => Err(what),
            _ => Ok(()),
        }
    }
}

/// [`Egress`] in the place where reqwest resolves names, so that it can connect to nothing else.
pub(super) struct Resolver(pub(super) Arc<Egress>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = Arc::clone(&self.0);
        Box::pin(async move {
            // Port 0 stands for "the one in the URL".
            let found = egress.lookup(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl HostRule {
    fn covers(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Host(allowed) => allowed == host,
            Self::Network(network) => network.holds(address),
        }
    }
}

impl FromStr for HostRule {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        let refused = || NotARule(text.to_owned());
        let text = text.trim();
        if text.contains('/') {
            let network = text.parse().map_err(|_| refused())?;
            return Ok(Self::Network(network));
        }
        let host = plain(text);
        let odd = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
        if host.is_empty() || host.contains(odd) {
            Err(refused())
        } else {
            Ok(Self::Host(host))
        }
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Network(network) => write!(f, "{network}"),
        }
    }
}

impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, rule) in self.allow.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{rule}")?;
        }
        Ok(())
    }
}

/// `host` as it is compared: lower case, no brackets, no final dot.
fn plain(host: &str) -> String {
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_lowercase()
}

fn literal(host: &str) -> Option<IpAddr> {
    // A zone (`fe80::1%eth0`) only ever names a link-local address; without it the address is judged as such.
    host.split('%')
        .next()
        .and_then(|address| address.parse().ok())
}

/// What makes `address` one that only this machine's surroundings can reach, if anything does.
fn private(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => private_v4(address),
        IpAddr::V6(address) => private_v6(address),
    }
}

fn private_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [0, ..] => Some("an unspecified address"),
        [127, ..] => Some("a loopback address"),
        [169, 254, ..] => Some("a link-local address"),
        [10, ..] | [192, 168, ..] => Some("a private address"),
        [172, b, ..] if b & 0xf0 == 16 => Some("a private address"),
        [100, b, ..] if b & 0xc0 == 64 => Some("a private address"),
        // Azure's metadata lies at a public address.
        [168, 63, 129, 16] => Some("a metadata address"),
        [192, 0, 0, _] => Some("a reserved address"),
        [198, 18 | 19, ..] => Some("a reserved address"),
        [224..=239, ..] => Some("a multicast address"),
        [240..=255, ..] => Some("a reserved address"),
        _ => None,
    }
}

fn private_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [[w, x], [y, z]] = [high.to_be_bytes(), low.to_be_bytes()];
        private_v4(Ipv4Addr::new(w, x, y, z))
    };
    match (a, b) {
        _ if address.is_unspecified() => Some("an unspecified address"),
        _ if address.is_loopback() => Some("a loopback address"),
        // An IPv4 address in other clothes: compatible, translated (SIIT, NAT64), 6to4.
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0) => embedded(g, h).or(Some("a reserved address")),
        (0, 0) if (c, d, e, f) == (0, 0, 0xffff, 0) => embedded(g, h),
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => embedded(g, h),
        (0x64, 0xff9b) => Some("a private address"),
        (0x2002, high) => embedded(high, c),
        (0x2001, 0) => Some("a tunnelled address"),
        (0x100, 0) => Some("a reserved address"),
        _ if a & 0xfe00 == 0xfc00 => Some("a private address"),
        _ if a & 0xffc0 == 0xfe80 => Some("a link-local address"),
        _ if a & 0xffc0 == 0xfec0 => Some("a private address"),
        _ if a & 0xff00 == 0xff00 => Some("a multicast address"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(allow: &str) -> Egress {
        Egress::new(
            allow
                .split(',')
                .filter(|r| !r.is_empty())
                .map(|r| r.parse().unwrap())
                .collect(),
        )
    }

    #[test]
    fn addresses_of_this_machines_surroundings_are_refused() {
        for host in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::",
            "::1",
            "[::1]",
            "fe80::1",
            "fe80::1%eth0",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:0:1::1",
            "fec0::1",
        ] {
            assert!(egress("").admit_literal(host).is_err(), "{host}");
        }
    }

    #[test]
    fn public_addresses_are_not() {
        for host in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.0.2.1",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert!(egress("").admit_literal(host).is_ok(), "{host}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_and_nothing_beside_it() {
        let egress = egress("10.0.0.0/8, 127.0.0.1/32,git.internal,fd00::/8");
        for (host, allowed) in [
            ("10.9.9.9", true),
            ("::ffff:10.1.1.1", true),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("fd12::1", true),
            ("fc00::1", false),
            ("192.168.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(egress.admit_literal(host).is_ok(), allowed, "{host}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_where_it_leads() {
        let refused = egress("").lookup("localhost", 80).await.unwrap_err();
        assert!(
            refused.to_string().contains("a loopback address"),
            "{refused}"
        );
        assert!(
            !egress("LocalHost.")
                .lookup("localhost", 80)
                .await
                .unwrap()
                .is_empty()
        );
        // Spellings of 127.0.0.1 that only a resolver understands are judged by what it makes of them.
        for odd in ["127.1", "2130706433", "0x7f.1"] {
            assert!(egress("").lookup(odd, 22).await.is_err(), "{odd}");
        }
    }

    #[test]
    fn rules_are_read_and_written_and_nonsense_is_refused() {
        for text in ["10.0.0.0/8", "git.example.com", "fd00::/8"] {
            assert_eq!(text.parse::<HostRule>().unwrap().to_string(), text);
        }
        for text in ["", "10.0.0.0/33", "x/8", "a b", "http://x", "10.0.0.0/"] {
            assert!(text.parse::<HostRule>().is_err(), "{text}");
        }
    }
}
