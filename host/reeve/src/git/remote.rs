//! A repository on a server, and all that is needed to talk to it.
//!
//! What it deliberately doesn't: talk. `session` does, over `transport`.

use std::sync::Arc;

use reeve_api::name::{RemoteUrl, Secret};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use super::{Credential, Egress};

/// A repository on a server, with the credential, the trust and the way that lead to it.
#[derive(Debug)]
pub struct Remote {
    /// Where it lies.
    pub url: RemoteUrl,
    /// Who we are to it.
    pub credential: Credential,
    /// Whom we believe, and how we prove who we are, over https.
    pub tls: Tls,
    /// Through which proxy.
    pub proxy: Option<Proxy>,
    /// Which addresses may be reached.
    pub egress: Arc<Egress>,
}

/// Settings for https beyond the usual.
#[derive(Default)]
pub struct Tls {
    /// Certificate authorities that are believed besides the system's.
    pub ca: Vec<CertificateDer<'static>>,
    /// A client certificate with its chain, and its key.
    pub client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// A proxy between us and the server.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its address, without user or password.
    pub address: url::Url,
    /// Who we are to it.
    pub login: Option<(String, Secret)>,
}

impl Remote {
    /// What tells this remote from every other, secrets included, hashed: equal keys may share a mirror.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            // With its length, so that no two lists of parts read the same.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        };
        add(self.url.without_userinfo().as_bytes());
        // What may be reached is fixed for a process, but a connection kept open must not outlive a stricter rule.
        add(self.egress.to_string().as_bytes());
        match &self.credential {
            Credential::Anonymous => add(b"anonymous"),
            Credential::Basic { user, password } => {
                [b"basic", user.as_bytes(), password.expose().as_bytes()]
                    .into_iter()
                    .for_each(&mut add);
            }
            Credential::Bearer(token) => {
                [b"bearer", token.expose().as_bytes()]
                    .into_iter()
                    .for_each(&mut add);
            }
            Credential::Ssh(ssh) => {
                add(b"ssh");
                add(ssh.user.as_bytes());
                for secret in [&ssh.identity, &ssh.password] {
                    add(secret
                        .as_ref()
                        .map(Secret::expose)
                        .unwrap_or_default()
                        .as_bytes());
                }
            }
        }
        self.tls.ca.iter().for_each(|ca| add(ca));
        if let Some((chain, key)) = &self.tls.client {
            chain.iter().for_each(|certificate| add(certificate));
            add(key.secret_der());
        }
        if let Some(proxy) = &self.proxy {
            add(proxy.address.as_str().as_bytes());
            if let Some((user, password)) = &proxy.login {
                add(user.as_bytes());
                add(password.expose().as_bytes());
            }
        }
        hash.finalize().into()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let client = self.client.is_some();
        f.debug_struct("Tls")
            .field("ca", &self.ca.len())
            .field("client", &client)
            .finish()
    }
}

impl Proxy {
    pub(super) fn parse(
        address: &str,
        user: Option<String>,
        password: Option<String>,
    ) -> Option<Self> {
        let mut address = url::Url::parse(address).ok()?;
        address.host_str().filter(|host| !host.is_empty())?;
        if !matches!(address.scheme(), "http" | "https" | "socks5") {
            return None;
        }
        let in_url = (!address.username().is_empty()).then(|| {
            (
                address.username().to_owned(),
                address.password().unwrap_or_default().to_owned(),
            )
        });
        address.set_username("").ok()?;
        address.set_password(None).ok()?;
        let login = user
            .map(|user| (user, password.unwrap_or_default()))
            .or(in_url);
        let login = login.map(|(user, password)| (user, Secret::new(password)));
        Some(Self { address, login })
    }

    pub(super) fn host(&self) -> &str {
        self.address.host_str().unwrap_or_default()
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port_or_known_default().unwrap_or(1080)
    }
}
