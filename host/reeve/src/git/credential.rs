//! What a Secret says about how to log in, read with Flux's keys.
//!
//! The Secret comes as bytes; who may read it is decided elsewhere. What it deliberately doesn't: connect, or look at
//! anything but these keys. The next stage is [`Remote`](super::Remote), which carries a credential to a server.

use std::collections::BTreeMap;
use std::fmt;

use reeve_api::name::{RemoteUrl, Scheme, Secret};
use russh::keys::PrivateKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::private_key::private_key;
use super::{KnownHosts, Proxy, Tls};

/// Who we are to a git server.
#[derive(Debug, Clone, Default)]
pub enum Credential {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A user and a password or token, in an `Authorization: Basic` header.
    Basic {
        /// The user's name.
        user: String,
        /// The password or token.
        password: Secret,
    },
    /// The same, with a token that a server makes for somebody: another one after a while, of the same one.
    Made {
        /// The user's name.
        user: String,
        /// The token.
        password: Secret,
        /// For whom.
        by: Maker,
    },
    /// A token in an `Authorization: Bearer` header.
    Bearer(Secret),
    /// An SSH user.
    Ssh(Ssh),
}

/// What names whoever has tokens made: these come and go, and what was fetched with one is there for the next. Only who has made
/// sure that a token was made for just this one may say so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Maker([u8; 32]);

impl Maker {
    pub(crate) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It is made of a key.
        f.write_str("Maker")
    }
}

impl Credential {
    /// For whom its password was made, if there is another one after a while.
    pub(crate) fn maker(&self) -> Option<Maker> {
        match self {
            Self::Made { by, .. } => Some(*by),
            Self::Anonymous | Self::Basic { .. } | Self::Bearer(_) | Self::Ssh(_) => None,
        }
    }

    /// The same, where its password was made for somebody.
    #[must_use]
    pub(crate) fn made_by(self, by: Option<Maker>) -> Self {
        match (self, by) {
            (Self::Basic { user, password }, Some(by)) => Self::Made { user, password, by },
            (own, _) => own,
        }
    }
}

/// An SSH user, and the hosts it trusts.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// The user's name.
    pub user: String,
    /// The private key, in any of OpenSSH's formats.
    pub identity: Option<Secret>,
    /// What decrypts the key; without a key, the user's password.
    pub password: Option<Secret>,
    /// The keys that servers may show.
    pub known_hosts: KnownHosts,
}

/// A Secret that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key that this kind of URL needs is missing.
    #[error("invalid '{scheme}' auth option: '{key}' is required")]
    Missing {
        /// The URL's scheme.
        scheme: &'static str,
        /// The missing key.
        key: &'static str,
    },
    /// Two keys exclude each other.
    #[error("invalid '{scheme}' auth option: '{one}' and '{other}' cannot both be set")]
    Both {
        /// The URL's scheme.
        scheme: &'static str,
        /// The one.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A key's value is not what it ought to be; the value itself is never told.
    #[error("the Secret's '{key}' is not {what}")]
    Malformed {
        /// The key.
        key: &'static str,
        /// What it ought to be.
        what: &'static str,
    },
}

/// The bytes of a Secret.
pub type Data = BTreeMap<String, Vec<u8>>;

/// The credential and the TLS settings in a Secret's `data` for `url`; with no Secret give an empty map.
///
/// A user and password in the URL are the fallback; so are `hosts`, where the Secret has no `known_hosts` and its host is
/// among them.
pub fn from_secret(
    url: &RemoteUrl,
    data: &Data,
    hosts: &KnownHosts,
) -> Result<(Credential, Tls), Error> {
    match url.scheme() {
        Scheme::Ssh => Ok((Credential::Ssh(ssh(url, data, hosts)?), Tls::default())),
        scheme @ (Scheme::Http | Scheme::Https) => {
            Ok((web(url, data, scheme.as_str())?, tls(data)?))
        }
    }
}

/// The proxy in the Secret of `spec.proxySecretRef`.
pub fn proxy_from_secret(data: &Data) -> Result<Proxy, Error> {
    let address = text(data, "address")?.ok_or(Error::Missing {
        scheme: "proxy",
        key: "address",
    })?;
    let (user, password) = (text(data, "username")?, text(data, "password")?);
    Proxy::parse(&address, user, password).ok_or(Error::Malformed {
        key: "address",
        what: "an address such as http://proxy:3128 or socks5://proxy:1080",
    })
}

fn web(url: &RemoteUrl, data: &Data, scheme: &'static str) -> Result<Credential, Error> {
    let (user, password) = (text(data, "username")?, text(data, "password")?);
    match (text(data, "bearerToken")?, user, password) {
        (Some(_), Some(_), _) => Err(Error::Both {
            scheme,
            one: "username",
            other: "bearerToken",
        }),
        (Some(token), None, _) => Ok(Credential::Bearer(Secret::new(token))),
        (None, Some(user), password) => {
            let password = Secret::new(password.unwrap_or_default());
            Ok(Credential::Basic { user, password })
        }
        (None, None, Some(_)) => Err(Error::Missing {
            scheme,
            key: "username",
        }),
        (None, None, None) => Ok(match (url.user(), url.password()) {
            (Some(user), password) => Credential::Basic {
                user: user.to_owned(),
                password: password.cloned().unwrap_or_else(|| Secret::new("")),
            },
            (None, _) => Credential::Anonymous,
        }),
    }
}

fn ssh(url: &RemoteUrl, data: &Data, hosts: &KnownHosts) -> Result<Ssh, Error> {
    let required = |key| Error::Missing { scheme: "ssh", key };
    let user = match url.user() {
        Some(user) => user.to_owned(),
        None => text(data, "username")?.unwrap_or_else(|| "git".to_owned()),
    };
    let identity = text(data, "identity")?.map(Secret::new);
    let password = text(data, "password")?.map(Secret::new);
    if identity.is_none() && password.is_none() {
        return Err(required("identity"));
    }
    let known_hosts = match data.get("known_hosts") {
        Some(known_hosts) => KnownHosts::parse(known_hosts),
        None if hosts.knows(url.host(), url.port()) => hosts.clone(),
        None => return Err(required("known_hosts")),
    };
    if known_hosts.is_empty() {
        let what = "a list of host keys as ssh-keyscan writes it";
        return Err(Error::Malformed {
            key: "known_hosts",
            what,
        });
    }
    Ok(Ssh {
        user,
        identity,
        password,
        known_hosts,
    })
}

impl Ssh {
    /// The private key, decrypted. Slow for an encrypted one, as its format intends.
    pub(super) fn key(&self) -> Result<Option<PrivateKey>, Error> {
        let Some(identity) = &self.identity else {
            return Ok(None);
        };
        let passphrase = self.password.as_ref().map(Secret::expose);
        let key = private_key(identity.expose(), passphrase);
        let what = match passphrase {
            Some(_) => "a private key that the Secret's 'password' opens",
            None => "a private key without a passphrase",
        };
        key.map(Some).ok_or(Error::Malformed {
            key: "identity",
            what,
        })
    }
}

/// The settings for https that are in a Secret.
pub(crate) fn tls(data: &Data) -> Result<Tls, Error> {
    // The newer name of each key wins.
    let ca = either(data, "ca.crt", "caFile");
    let certificate = either(data, "tls.crt", "certFile");
    let key = either(data, "tls.key", "keyFile");
    let mut tls = Tls::default();
    if let Some((name, pem)) = ca {
        tls.ca = certificates(name, pem)?;
    }
    match (certificate, key) {
        (Some((name, chain)), Some((key_name, key))) => {
            let what = "a private key in PEM";
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Error::Malformed {
                key: key_name,
                what,
            })?;
            tls.client = Some((certificates(name, chain)?, key));
        }
        (Some(_), None) => {
            return Err(Error::Missing {
                scheme: "https",
                key: "tls.key",
            });
        }
        (None, Some(_)) => {
            return Err(Error::Missing {
                scheme: "https",
                key: "tls.crt",
            });
        }
        (None, None) => {}
    }
    Ok(tls)
}

fn certificates(key: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let what = "a list of certificates in PEM";
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or(Error::Malformed { key, what })
}

fn either<'a>(
    data: &'a Data,
    newer: &'static str,
    older: &'static str,
) -> Option<(&'static str, &'a [u8])> {
    let get = |key| {
        data.get(key)
            .filter(|v| !v.is_empty())
            .map(|v| (key, v.as_slice()))
    };
    get(newer).or_else(|| get(older))
}

/// A key's value; an empty one counts as none, and a final line break is an editor's, not part of a secret.
fn text(data: &Data, key: &'static str) -> Result<Option<String>, Error> {
    let Some(value) = data.get(key) else {
        return Ok(None);
    };
    let value = std::str::from_utf8(value).map_err(|_| Error::Malformed { key, what: "text" })?;
    let value = value.trim_end_matches(['\r', '\n']);
    if value.contains('\0') {
        return Err(Error::Malformed { key, what: "text" });
    }
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str =
        "h ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn read(url: &str, data: &[(&str, &str)]) -> Result<(Credential, Tls), Error> {
        let data = data
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec()))
            .collect();
        from_secret(&url.parse().unwrap(), &data, &KnownHosts::shipped())
    }

    fn told(url: &str, data: &[(&str, &str)]) -> String {
        match read(url, data) {
            Err(error) => error.to_string(),
            Ok((Credential::Anonymous, _)) => "anonymous".into(),
            Ok((Credential::Basic { user, password }, _)) => {
                format!("basic {user}:{}", password.expose())
            }
            Ok((Credential::Made { user, .. }, _)) => format!("made {user}"),
            Ok((Credential::Bearer(token), _)) => format!("bearer {}", token.expose()),
            Ok((Credential::Ssh(ssh), _)) => format!(
                "ssh {} {:?} {:?}",
                ssh.user,
                ssh.identity.as_ref().map(Secret::expose),
                ssh.password.as_ref().map(Secret::expose)
            ),
        }
    }

    fn each(url: &str, rows: &[(&[(&str, &str)], &str)]) {
        for (data, want) in rows {
            assert_eq!(told(url, data), *want, "{url} {data:?}");
        }
    }

    #[test]
    fn each_key_of_a_secret_for_https_means_what_it_means_to_flux() {
        let both = "invalid 'https' auth option: 'username' and 'bearerToken' cannot both be set";
        each(
            "https://h/r.git",
            &[
                (&[], "anonymous"),
                (&[("username", "u"), ("password", "p\n")], "basic u:p"),
                (&[("username", "u")], "basic u:"),
                (&[("bearerToken", "t")], "bearer t"),
                (&[("bearerToken", "t"), ("username", "u")], both),
                (
                    &[("password", "p")],
                    "invalid 'https' auth option: 'username' is required",
                ),
                (
                    &[("caFile", "x")],
                    "the Secret's 'caFile' is not a list of certificates in PEM",
                ),
                (
                    &[("tls.crt", "x")],
                    "invalid 'https' auth option: 'tls.key' is required",
                ),
                (
                    &[("certFile", "x"), ("keyFile", "y")],
                    "the Secret's 'keyFile' is not a private key in PEM",
                ),
            ],
        );
        let fallback: [(&[_], _); 2] = [
            (&[], "basic u:p"),
            (&[("username", "x"), ("password", "y")], "basic x:y"),
        ];
        each("https://u:p@h/r", &fallback);
    }

    #[test]
    fn each_key_of_a_secret_for_ssh_means_what_it_means_to_flux() {
        let (key, known) = (("identity", "k"), ("known_hosts", HOST));
        let (password, public) = (("password", "p"), ("identity.pub", "x"));
        let missing = "invalid 'ssh' auth option: 'known_hosts' is required";
        let odd = "the Secret's 'known_hosts' is not a list of host keys as ssh-keyscan writes it";
        each(
            "ssh://h/r.git",
            &[
                (&[], "invalid 'ssh' auth option: 'identity' is required"),
                (&[key], missing),
                (&[key, ("known_hosts", "nothing")], odd),
                (&[key, known, public], "ssh git Some(\"k\") None"),
                (
                    &[password, known, ("username", "me")],
                    "ssh me None Some(\"p\")",
                ),
            ],
        );
        each(
            "ssh://git@github.com/o/r",
            &[(&[key], "ssh git Some(\"k\") None")],
        );
        each("ssh://git@gitlab.com:2222/o/r", &[(&[key], missing)]);
        each(
            "ssh://git@github.com/o/r",
            &[(&[key, ("known_hosts", "")], odd)],
        );
        let user: [(&[_], _); 1] = [(&[key, known, password], "ssh me Some(\"k\") Some(\"p\")")];
        each("ssh://me@h/r", &user);
    }

    #[test]
    fn no_secret_is_printed() {
        for (url, data) in [
            (
                "https://h/r",
                &[("username", "u"), ("password", "hunter2")][..],
            ),
            ("https://h/r", &[("bearerToken", "hunter2")]),
            ("https://u:hunter2@h/r", &[]),
            (
                "ssh://h/r",
                &[
                    ("identity", "hunter2"),
                    ("password", "hunter2"),
                    ("known_hosts", HOST),
                ],
            ),
            (
                "https://h/r",
                &[("tls.key", "hunter2"), ("tls.crt", "hunter2")],
            ),
        ] {
            let told = format!("{:?}", read(url, data));
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_proxy_needs_an_address_of_a_kind_that_is_spoken() {
        let read = |address: &str| {
            let data = BTreeMap::from([
                ("address".to_owned(), address.as_bytes().to_vec()),
                ("username".to_owned(), b"u".to_vec()),
                ("password".to_owned(), b"hunter2".to_vec()),
            ]);
            proxy_from_secret(&data)
        };
        for address in [
            "http://proxy:3128",
            "https://proxy.example.com",
            "socks5://10.0.0.1:1080",
        ] {
            assert!(!format!("{:?}", read(address).unwrap()).contains("hunter2"));
        }
        for address in ["", "proxy:3128", "ftp://proxy", "http://"] {
            assert!(read(address).is_err(), "{address}");
        }
    }
}
