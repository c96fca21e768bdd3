//! The authorities that are trusted, the certificate that is served, and when each follows the one before.
//!
//! One step at a time, and every step is written down before the next: an authority is trusted by the API server for a
//! while before anything is served that it signed, and stays trusted until it ends, so that whoever still serves what an
//! older one signed is believed. Time is an argument; the only randomness is in the keys. Who writes a step down, and has
//! the API server trust it, is [`keeper`](super::keeper).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// Every certificate holds from so long before it was made: clocks differ.
const BACKDATED: Duration = Duration::from_secs(60);
/// The most authorities that are read: more are not ours.
const MOST: usize = 16;

/// Where the parts of a chain lie in the Secret that keeps it.
const TRUSTED: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// How long things last.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    authority: Duration,
    serving: Duration,
    /// How long an authority is trusted before anything is served that it signed.
    settle: Duration,
}

/// What is served to whom.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The names and addresses by which the API server knows us.
    pub(super) names: BTreeSet<String>,
    pub(super) lifetimes: Lifetimes,
}

/// Everything that is kept.
#[derive(Clone)]
pub(super) struct Chain {
    /// Those that are trusted, oldest first; the last one signs.
    authorities: Vec<Authority>,
    /// The last one's key.
    key: String,
    serving: Serving,
}

#[derive(Clone)]
struct Authority {
    pem: String,
    subject: Vec<u8>,
    from: Timestamp,
    until: Timestamp,
}

#[derive(Clone)]
struct Serving {
    pem: String,
    key: String,
    issuer: Vec<u8>,
    until: Timestamp,
    names: BTreeSet<String>,
}

/// Certificates that cannot be made, or cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("making a certificate failed")]
    Make(#[from] rcgen::Error),
    #[error("the time is out of every certificate's range")]
    Time,
    /// Nothing of it is quoted: some of it is secret.
    #[error("{part} cannot be used: {why}")]
    Unusable {
        part: &'static str,
        why: &'static str,
    },
}

fn unusable(part: &'static str, why: &'static str) -> Error {
    Error::Unusable { part, why }
}

impl Lifetimes {
    /// All of them, from that of an authority.
    pub fn of(authority: Duration) -> Self {
        Self {
            authority,
            serving: authority / 12,
            settle: (authority / 24).min(Duration::from_secs(5 * 60)),
        }
    }

    /// How often to look whether there is something to do: several times while an authority settles.
    pub(super) fn look(&self) -> Duration {
        (self.settle / 5).min(Duration::from_secs(30))
    }
}

impl Wanted {
    pub(super) fn new(names: impl IntoIterator<Item = String>, lifetimes: Lifetimes) -> Self {
        // An address is written in one way only.
        let spelt = |name: String| {
            name.parse::<IpAddr>()
                .map_or(name, |address| address.to_string())
        };
        Self {
            names: names.into_iter().map(spelt).collect(),
            lifetimes,
        }
    }
}

impl Chain {
    /// One for who has none.
    pub(super) fn first(wanted: &Wanted, now: Timestamp) -> Result<Self, Error> {
        let (authority, key) = authority(wanted, now)?;
        let serving = serving(&authority, &key, wanted, now)?;
        Ok(Self {
            authorities: vec![authority],
            key,
            serving,
        })
    }

    /// What follows at `now`; None: it stays as it is.
    pub(super) fn next(&self, wanted: &Wanted, now: Timestamp) -> Result<Option<Self>, Error> {
        let lifetimes = &wanted.lifetimes;
        let newest = match self.authorities.last() {
            Some(newest) if newest.until > now => newest,
            _ => return Self::first(wanted, now).map(Some),
        };
        let due = |until, life: Duration| now >= before(until, life / 3);
        let own = self.serving.issuer == newest.subject;
        if own && due(newest.until, lifetimes.authority) {
            return self.with_another_authority(wanted, now).map(Some);
        }
        let settled = now >= after(newest.from, BACKDATED + lifetimes.settle);
        let stale = !own
            || self.serving.names != wanted.names
            || due(self.serving.until, lifetimes.serving);
        let over = self.serving.until <= now;
        if stale && (own || settled || over) {
            let serving = serving(newest, &self.key, wanted, now)?;
            return Ok(Some(Self {
                serving,
                ..self.clone()
            }));
        }
        if self.authorities.iter().any(|one| one.until <= now) {
            let mut kept = self.clone();
            kept.authorities.retain(|one| one.until > now);
            return Ok(Some(kept));
        }
        Ok(None)
    }

    /// What is served is made anew by the one before: it is not to end while the new one settles.
    fn with_another_authority(&self, wanted: &Wanted, now: Timestamp) -> Result<Self, Error> {
        let mut authorities = self.authorities.clone();
        let serving = match authorities.last() {
            Some(until_now) => serving(until_now, &self.key, wanted, now)?,
            None => self.serving.clone(),
        };
        let (another, key) = authority(wanted, now)?;
        authorities.push(another);
        Ok(Self {
            authorities,
            key,
            serving,
        })
    }

    /// What the Secret holds.
    pub(super) fn written(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            (TRUSTED, self.trusted()),
            (AUTHORITY_KEY, self.key.clone()),
            (CERTIFICATE, self.serving.pem.clone()),
            (KEY, self.serving.key.clone()),
        ])
    }

    /// The chain that a Secret holds: complete, and its parts belong together.
    pub(super) fn read<'d>(part: impl Fn(&str) -> Option<&'d [u8]>) -> Result<Self, Error> {
        let get = |name: &'static str| part(name).ok_or_else(|| unusable(name, "it is missing"));
        let mut authorities = Vec::new();
        for der in CertificateDer::pem_slice_iter(get(TRUSTED)?).take(MOST) {
            let der = der.map_err(|_| unusable(TRUSTED, "it is no PEM"))?;
            authorities.push(Authority::read(&der)?);
        }
        let newest = authorities
            .last()
            .ok_or_else(|| unusable(TRUSTED, "there is no certificate in it"))?;
        let key = key(AUTHORITY_KEY, get(AUTHORITY_KEY)?, &newest.pem)?;
        let serving = Serving::read(get(CERTIFICATE)?, get(KEY)?)?;
        if !is_signed(&serving, &authorities) {
            return Err(unusable(CERTIFICATE, "none of ca.crt has signed it"));
        }
        Ok(Self {
            authorities,
            key,
            serving,
        })
    }

    /// The certificates of all that are trusted, as PEM.
    pub(super) fn trusted(&self) -> String {
        let all = self.authorities.iter();
        all.map(|authority| authority.pem.as_str()).collect()
    }

    /// Whether what is served has ended.
    pub(super) fn until(&self) -> Timestamp {
        self.serving.until
    }

    /// What is served, as TLS takes it.
    pub(super) fn served(&self) -> Result<CertifiedKey, Error> {
        let (certificate, key) = (self.serving.pem.as_bytes(), self.serving.key.as_bytes());
        let certificate = CertificateDer::from_pem_slice(certificate)
            .map_err(|_| unusable(CERTIFICATE, "it is no PEM"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| unusable(KEY, "it is no PEM"))?;
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|_| unusable(KEY, "it is no key that TLS can use"))?;
        Ok(CertifiedKey::new(vec![certificate], Arc::clone(&key)))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("authorities", &self.authorities.len())
            .field("until", &self.serving.until)
            .finish_non_exhaustive()
    }
}

impl Authority {
    fn read(der: &CertificateDer<'_>) -> Result<Self, Error> {
        let parsed = parsed(TRUSTED, der)?;
        Ok(Self {
            subject: parsed.subject().as_raw().to_vec(),
            from: at(&parsed.validity().not_before)?,
            until: at(&parsed.validity().not_after)?,
            pem: pem(der),
        })
    }
}

impl Serving {
    fn read(certificate: &[u8], secret: &[u8]) -> Result<Self, Error> {
        let der = CertificateDer::from_pem_slice(certificate)
            .map_err(|_| unusable(CERTIFICATE, "it is no PEM"))?;
        let pem = pem(&der);
        let parsed = parsed(CERTIFICATE, &der)?;
        Ok(Self {
            key: key(KEY, secret, &pem)?,
            issuer: parsed.issuer().as_raw().to_vec(),
            until: at(&parsed.validity().not_after)?,
            names: names(&parsed),
            pem,
        })
    }
}

/// Whether one of them has signed it, at a time at which it holds. The name of its issuer is anybody's to write.
fn is_signed(serving: &Serving, authorities: &[Authority]) -> bool {
    let mut roots = RootCertStore::empty();
    for one in authorities {
        let Ok(der) = CertificateDer::from_pem_slice(one.pem.as_bytes()) else {
            return false;
        };
        if one.subject == serving.issuer && roots.add(der).is_err() {
            return false;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let name = serving.names.first().cloned().map(ServerName::try_from);
    let certificate = CertificateDer::from_pem_slice(serving.pem.as_bytes());
    let last = u64::try_from(serving.until.as_second().saturating_sub(1));
    match (verifier, name, certificate, last) {
        (Ok(verifier), Some(Ok(name)), Ok(certificate), Ok(last)) => {
            let last = UnixTime::since_unix_epoch(Duration::from_secs(last));
            let verified = verifier.verify_server_cert(&certificate, &[], &name, &[], last);
            verified.is_ok()
        }
        _ => false,
    }
}

/// A new authority, and its key.
fn authority(wanted: &Wanted, now: Timestamp) -> Result<(Authority, String), Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = params(Vec::new(), now, after(now, wanted.lifetimes.authority))?;
    // No two are called the same: who looks for an issuer by its name finds the one that signed.
    let called = format!("reeve admission {:016x}", rand::random::<u64>());
    params.distinguished_name.push(DnType::CommonName, called);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let made = params.self_signed(&key)?;
    Ok((Authority::read(made.der())?, key.serialize_pem()))
}

/// A new certificate that `authority` signs; it does not outlast it.
fn serving(
    authority: &Authority,
    signing: &str,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Serving, Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let until = after(now, wanted.lifetimes.serving).min(authority.until);
    let mut params = params(wanted.names.iter().cloned().collect(), now, until)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "reeve admission");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let issuer = Issuer::from_ca_cert_pem(&authority.pem, KeyPair::from_pem(signing)?)?;
    let made = params.signed_by(&key, &issuer)?;
    let (certificate, key) = (pem(made.der()), key.serialize_pem());
    Serving::read(certificate.as_bytes(), key.as_bytes())
}

fn params(
    names: Vec<String>,
    now: Timestamp,
    until: Timestamp,
) -> Result<CertificateParams, Error> {
    let moment = |at: Timestamp| time::OffsetDateTime::from_unix_timestamp(at.as_second());
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = moment(before(now, BACKDATED)).map_err(|_| Error::Time)?;
    params.not_after = moment(until).map_err(|_| Error::Time)?;
    Ok(params)
}

/// The private key, if it is the certificate's.
fn key(part: &'static str, secret: &[u8], certificate: &str) -> Result<String, Error> {
    let text = std::str::from_utf8(secret).map_err(|_| unusable(part, "it is no text"))?;
    let pair = KeyPair::from_pem(text).map_err(|_| unusable(part, "it is no private key"))?;
    let der = CertificateDer::from_pem_slice(certificate.as_bytes())
        .map_err(|_| unusable(part, "its certificate is no PEM"))?;
    let parsed = parsed(part, &der)?;
    if parsed.public_key().raw != pair.subject_public_key_info() {
        return Err(unusable(part, "it is not the key of its certificate"));
    }
    Ok(text.to_owned())
}

fn parsed<'d>(
    part: &'static str,
    der: &'d CertificateDer<'_>,
) -> Result<X509Certificate<'d>, Error> {
    let (_rest, parsed) = x509_parser::parse_x509_certificate(der)
        .map_err(|_| unusable(part, "it is no certificate"))?;
    Ok(parsed)
}

fn names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return BTreeSet::new();
    };
    let name = |one: &GeneralName<'_>| match one {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let sixteen = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| sixteen()).ok()?;
            Some(address.to_string())
        }
        _ => None,
    };
    names.value.general_names.iter().filter_map(name).collect()
}

fn pem(der: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}

fn at(time: &x509_parser::time::ASN1Time) -> Result<Timestamp, Error> {
    Timestamp::from_second(time.timestamp()).map_err(|_| Error::Time)
}

fn after(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
