//! A kubeconfig that a tenant has written: the address of an API server, and who to be there.
//!
//! Whatever in it would name something of this machine is refused by its field: files, programs, a proxy. So is what would
//! weaken or borrow: certificates that nobody checks, an address without TLS, another's identity. Only the entries that the
//! current context names are looked at. No value of it is in an error, and none can be printed. It deliberately neither
//! connects nor decides whether the address may be connected to: that is the shell's `cluster` and `abroad`.

mod entry;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reeve_api::name::{RemoteUrl, Scheme, Secret};
use reeve_kustomize::parse_yaml;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use entry::Entry;

/// The largest kubeconfig, in bytes.
const LARGEST: usize = 256 << 10;
/// The longest token, name or password.
const LONGEST: usize = 64 << 10;

/// What a kubeconfig says, as far as it may.
#[derive(Clone, PartialEq, Eq)]
pub struct Kubeconfig {
    /// Where the API server is.
    pub server: Server,
    /// Who signs its certificate, in PEM; None: any authority that this machine's system trusts.
    pub authority: Option<String>,
    /// The name that the certificate is for, where that is not the address's.
    pub server_name: Option<String>,
    /// The certificate to show, and its key, both in PEM.
    pub certificate: Option<(String, Secret)>,
    /// The value of the header `authorization`.
    pub authorization: Option<Secret>,
}

/// The address of an API server, in the one form that all who judge and connect agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server(RemoteUrl);

/// What is asked for first at an API server: an address that stands for all below it.
const BELOW: &str = "/api";

/// A kubeconfig that is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct Error {
    /// Where it stands: `users[0].user.exec`.
    pub field: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Error {
    fn new(field: impl Into<String>, why: &'static str) -> Self {
        let field = field.into();
        Self { field, why }
    }
}

/// What a cluster may say, and what it may not.
const OF_CLUSTER: [&str; 5] = [
    "server",
    "certificate-authority-data",
    "tls-server-name",
    "disable-compression",
    "extensions",
];
const NOT_OF_CLUSTER: [(&str, &str); 3] = [
    ("certificate-authority", FILE),
    (
        "insecure-skip-tls-verify",
        "would let anybody answer for the cluster: give certificate-authority-data",
    ),
    (
        "proxy-url",
        "would lead elsewhere than the address that is judged: no proxy is used",
    ),
];
/// The same of a user.
const OF_USER: [&str; 6] = [
    "client-certificate-data",
    "client-key-data",
    "token",
    "username",
    "password",
    "extensions",
];
const NOT_OF_USER: [(&str, &str); 9] = [
    ("exec", PROGRAM),
    ("auth-provider", PROGRAM),
    ("tokenFile", FILE),
    ("client-certificate", FILE),
    ("client-key", FILE),
    ("as", IDENTITY),
    ("as-uid", IDENTITY),
    ("as-groups", IDENTITY),
    ("as-user-extra", IDENTITY),
];
const FILE: &str = "names a file of this machine: only what is written into the kubeconfig is used";
const PROGRAM: &str =
    "would run a program on this machine: give a token or client-certificate-data";
const IDENTITY: &str =
    "impersonates somebody: spec.serviceAccountName says as whom it is carried out";

/// Reads a kubeconfig, or says which field stands in the way.
pub fn parse(bytes: &[u8]) -> Result<Kubeconfig, Error> {
    if bytes.len() > LARGEST {
        return Err(Error::new("the kubeconfig", "is larger than 256 KiB"));
    }
    // What a parser says of it may quote it.
    let mut documents = parse_yaml(bytes, "kubeconfig")
        .map_err(|_| Error::new("the kubeconfig", "is neither YAML nor JSON"))?;
    let (Some(Value::Object(whole)), true) = (documents.pop(), documents.is_empty()) else {
        return Err(Error::new("the kubeconfig", "is not one mapping"));
    };
    let current = Entry::root(&whole).needs("current-context")?;
    let context = Entry::find(&whole, "contexts", "context", current)?;
    let cluster = context.needs("cluster")?;
    let cluster = Entry::find(&whole, "clusters", "cluster", cluster)?;
    cluster.holds_only(&OF_CLUSTER, &NOT_OF_CLUSTER)?;
    let user = context.needs("user")?;
    let user = Entry::find(&whole, "users", "user", user)?;
    user.holds_only(&OF_USER, &NOT_OF_USER)?;
    let kubeconfig = Kubeconfig {
        server: server(&cluster)?,
        authority: cluster.pem("certificate-authority-data")?,
        server_name: server_name(&cluster)?,
        certificate: certificate(&user)?,
        authorization: authorization(&user)?,
    };
    match (&kubeconfig.certificate, &kubeconfig.authorization) {
        (None, None) => Err(user.wrong("token", "is not set, nor any other credential")),
        _ => Ok(kubeconfig),
    }
}

fn server(cluster: &Entry<'_>) -> Result<Server, Error> {
    let text = cluster.needs("server")?;
    Server::parse(text).map_err(|why| cluster.wrong("server", why))
}

fn server_name(cluster: &Entry<'_>) -> Result<Option<String>, Error> {
    let field = "tls-server-name";
    let Some(name) = cluster.text(field)? else {
        return Ok(None);
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    match name.len() <= 253 && name.chars().all(plain) {
        true => Ok(Some(name.to_owned())),
        false => Err(cluster.wrong(field, "is no DNS name")),
    }
}

fn certificate(user: &Entry<'_>) -> Result<Option<(String, Secret)>, Error> {
    let (shown, key) = ("client-certificate-data", "client-key-data");
    match (user.pem(shown)?, user.pem(key)?) {
        (None, None) => Ok(None),
        (Some(chain), Some(key)) => Ok(Some((chain, Secret::new(key)))),
        (Some(_), None) => {
            Err(user.wrong(key, "is not set, and the certificate is nothing without"))
        }
        (None, Some(_)) => Err(user.wrong(shown, "is not set, and the key is nothing without")),
    }
}

fn authorization(user: &Entry<'_>) -> Result<Option<Secret>, Error> {
    let visible = |field: &str, text: &str| {
        let fits = text.len() <= LONGEST && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        match fits {
            true => Ok(()),
            false => Err(user.wrong(field, "holds what no token may hold, or is too long")),
        }
    };
    let (token, name) = (user.text("token")?.map(str::trim), user.text("username")?);
    match (token, name) {
        (Some(_), Some(_)) => {
            Err(user.wrong("username", "stands beside a token: give one of the two"))
        }
        (Some(token), None) => {
            visible("token", token)?;
            Ok(Some(Secret::new(format!("Bearer {token}"))))
        }
        (None, Some(name)) => {
            let password = user.text("password")?.unwrap_or_default();
            if name.contains(':') || name.len().max(password.len()) > LONGEST {
                return Err(user.wrong("username", "holds a colon, or is too long"));
            }
            let both = STANDARD.encode(format!("{name}:{password}"));
            Ok(Some(Secret::new(format!("Basic {both}"))))
        }
        (None, None) => Ok(None),
    }
}

impl Kubeconfig {
    /// Tells one from another: whatever is not the same in it, it is another connection.
    pub fn digest(&self) -> [u8; 32] {
        let chain = self.certificate.as_ref().map(|(chain, _)| chain);
        let key = self.certificate.as_ref().map(|(_, key)| key.expose());
        let header = self.authorization.as_ref().map(Secret::expose);
        let all = json!([
            self.server.to_string(),
            self.authority,
            self.server_name,
            chain,
            key,
            header
        ]);
        Sha256::digest(all.to_string()).into()
    }
}

impl fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Kubeconfig");
        shown.field("server", &self.server).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads an address, or says what is wrong with it.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let no_address = "is no address of an API server, such as https://api.example:6443";
        let text = text.trim_end_matches('/');
        let url = RemoteUrl::parse(&format!("{text}{BELOW}")).map_err(|_| no_address)?;
        if url.scheme() != Scheme::Https {
            return Err("does not begin with https://, and nothing is sent in the clear");
        }
        match url.user().is_some() || url.password().is_some() {
            true => Err("holds a user or a password: give them as username and password"),
            false => Ok(Self(url)),
        }
    }

    /// What patterns of addresses are held against.
    pub fn url(&self) -> &RemoteUrl {
        &self.0
    }

    /// Where to connect to.
    pub fn host(&self) -> &str {
        self.0.host()
    }

    /// At which port.
    pub fn port(&self) -> u16 {
        self.0.port()
    }
}

impl fmt::Display for Server {
    /// The same text for the same address, whether its port is written or not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.host(), self.port());
        let path = self.0.path();
        let path = path.strip_suffix(BELOW).unwrap_or(path);
        match host.contains(':') {
            true => write!(f, "https://[{host}]:{port}{path}"),
            false => write!(f, "https://{host}:{port}{path}"),
        }
    }
}

#[cfg(test)]
mod tests;
