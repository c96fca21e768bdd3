//! A repository on a server, and all that is needed to talk to it.
//!
//! What it deliberately doesn't: talk. `session` does, over `transport`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reeve_api::name::{RemoteUrl, Secret};
use reeve_core::framed::framed;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use super::wire::printable;
use super::{Credential, Egress};

/// A user's name of this length is no name.
const TOKEN: usize = 20;

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

impl Clone for Tls {
    fn clone(&self) -> Self {
        let client = self.client.as_ref();
        Self {
            ca: self.ca.clone(),
            client: client.map(|(chain, key)| (chain.clone(), key.clone_key())),
        }
    }
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
        let mut add = |part: &[u8]| framed(&mut hash, part);
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
            // Not the token, or each new one would have the repository fetched anew.
            Credential::Made { user, by, .. } => {
                [b"made", user.as_bytes(), by.bytes()]
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

    /// Another repository of the same server, with the same login; nothing if it is on another.
    ///
    /// The same scheme, host and port: what is shown to one port is not shown to another.
    #[must_use]
    pub fn beside(&self, url: &RemoteUrl) -> Option<Self> {
        let server = |url: &RemoteUrl| (url.scheme(), url.host().to_owned(), url.port());
        if server(&self.url) != server(url) {
            return None;
        }
        let mut credential = self.credential.clone();
        if let (Credential::Ssh(ssh), Some(user)) = (&mut credential, url.user()) {
            user.clone_into(&mut ssh.user);
        }
        Some(Self {
            url: url.clone(),
            credential,
            tls: self.tls.clone(),
            proxy: self.proxy.clone(),
            egress: Arc::clone(&self.egress),
        })
    }

    /// What a server said, fit to be told: one line, not endless, and none of the secrets that we showed it.
    pub(super) fn tame(&self, said: &str) -> String {
        let mut secrets = Vec::new();
        match &self.credential {
            Credential::Anonymous => {}
            Credential::Basic { user, password } | Credential::Made { user, password, .. } => {
                let password = password.expose();
                secrets.push(STANDARD.encode(format!("{user}:{password}")));
                secrets.push(password.to_owned());
                // Where the token is the user.
                secrets.extend((user.len() >= TOKEN).then(|| user.clone()));
            }
            Credential::Bearer(token) => secrets.push(token.expose().to_owned()),
            Credential::Ssh(ssh) => {
                let password = ssh.password.iter();
                secrets.extend(password.map(|secret| secret.expose().to_owned()));
            }
        }
        let proxy = self.proxy.iter().flat_map(|proxy| &proxy.login);
        secrets.extend(proxy.map(|(_, password)| password.expose().to_owned()));
        let hidden = secrets.iter().filter(|secret| !secret.is_empty());
        let hidden = hidden.fold(said.to_owned(), |text, secret| text.replace(secret, "***"));
        printable(&hidden)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::Maker;

    fn remote(credential: Credential) -> Remote {
        Remote {
            url: "https://h/r.git".parse().unwrap(),
            credential,
            tls: Tls::default(),
            proxy: None,
            egress: Arc::default(),
        }
    }

    #[test]
    fn a_login_is_for_one_server_and_not_for_its_neighbours() {
        let token = Credential::Bearer(Secret::new("t0ken"));
        let remote = remote(token);
        let beside = |url: &str| remote.beside(&url.parse().unwrap());
        for url in ["https://h/other.git", "https://h:443/a/b", "https://x@h/r"] {
            let found = beside(url).unwrap();
            assert!(matches!(found.credential, Credential::Bearer(_)), "{url}");
            assert_eq!(found.url, url.parse().unwrap());
            assert_ne!(found.fingerprint(), remote.fingerprint());
        }
        for url in [
            "http://h/r.git",
            "https://h.evil/r.git",
            "https://h:8443/r.git",
            "ssh://git@h/r.git",
            "https://evil/h/r.git",
        ] {
            assert!(beside(url).is_none(), "{url}");
        }
    }

    #[test]
    fn the_next_token_of_the_same_one_has_the_same_mirror_and_nobody_elses_has() {
        let basic = |password: &str| Credential::Basic {
            user: "x-access-token".to_owned(),
            password: Secret::new(password),
        };
        let of = |token: &str, by: u8| basic(token).made_by(Some(Maker::new([by; 32])));
        let print = |credential: Credential| remote(credential).fingerprint();
        let first = print(of("one", 1));
        assert_eq!(print(of("two", 1)), first, "it is only another token");
        assert_ne!(print(of("one", 2)), first, "another has it");
        for plain in [basic("one"), Credential::Bearer(Secret::new("one"))] {
            assert_ne!(print(plain), first, "a token by itself");
        }
        let elsewhere = Remote {
            url: "https://h/other.git".parse().unwrap(),
            ..remote(of("one", 1))
        };
        assert_ne!(elsewhere.fingerprint(), first, "another repository");
        // What says for whom it was made is no secret's, and nothing else is made for anybody.
        let nobody = Credential::Anonymous.made_by(Some(Maker::new([1; 32])));
        assert!(matches!(nobody, Credential::Anonymous));
        assert!(matches!(
            basic("one").made_by(None),
            Credential::Basic { .. }
        ));
        assert!(
            !remote(of("one-token", 1))
                .tame("a one-token")
                .contains("one-token")
        );
    }

    #[test]
    fn what_a_server_echoes_of_our_credential_is_not_told() {
        let basic = |user: &str| Credential::Basic {
            user: user.to_owned(),
            password: Secret::new("hunter2"),
        };
        let said = "no hunter2,\nno YWRhOmh1bnRlcjI=\u{1b}[2J, ada";
        assert_eq!(remote(basic("ada")).tame(said), "no ***, no *** [2J, ada");
        let token = "ghp_0123456789abcdefghij";
        assert_eq!(remote(basic(token)).tame(token), "***");
        let bearer = Credential::Bearer(Secret::new("t0ken"));
        assert_eq!(
            remote(bearer).tame("token t0ken is bad"),
            "token *** is bad"
        );
        assert_eq!(remote(basic("")).tame(&"x".repeat(9000)).len(), 500);
    }
}
