//! Public keys as issuers publish them (JSON Web Keys, RFC 7517), and the signatures that they verify.
//!
//! A key verifies what its own kind and size make, and nothing else, whatever a token's header says; a key that is a secret
//! (`oct`) is not read. What it deliberately doesn't: look at certificates (`x5c`).

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reeve_core::webhook::Algorithm;
use serde::Deserialize;
use serde_json::Value;

/// More keys than any issuer has.
const MOST: usize = 64;

/// What an issuer publishes.
#[derive(Deserialize)]
pub(super) struct Set {
    keys: Vec<Value>,
}

/// A key of an issuer.
pub(super) struct Key {
    id: Option<String>,
    /// The one algorithm it is for, where it says so.
    only: Option<String>,
    material: Material,
}

enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point, and the algorithm of its curve.
    Ec(Algorithm, Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Set {
    /// The keys that verify signatures. Others may be beside them, of kinds that nobody here knows.
    pub(super) fn usable(self) -> Vec<Key> {
        let keys = self.keys.into_iter().take(MOST);
        keys.filter_map(|key| serde_json::from_value(key).ok())
            .filter_map(Key::read)
            .collect()
    }
}

impl Key {
    fn read(written: Written) -> Option<Self> {
        if written.purpose.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let material = match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => Material::Rsa {
                n: bytes(written.n)?,
                e: bytes(written.e)?,
            },
            ("EC", Some(curve)) => {
                let (algorithm, size) = match curve {
                    "P-256" => (Algorithm::Es256, 32),
                    "P-384" => (Algorithm::Es384, 48),
                    "P-521" => (Algorithm::Es512, 66),
                    _ => return None,
                };
                let (x, y) = (bytes(written.x)?, bytes(written.y)?);
                if x.len() != size || y.len() != size {
                    return None;
                }
                Material::Ec(algorithm, [&[4], x.as_slice(), y.as_slice()].concat())
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(written.x)?),
            _ => return None,
        };
        Some(Self {
            id: written.kid,
            only: written.alg,
            material,
        })
    }

    /// Whether it may have made the signature of a token whose header says this.
    pub(super) fn fits(&self, algorithm: Algorithm, named: Option<&str>) -> bool {
        let meant = named.is_none_or(|name| self.id.as_deref() == Some(name));
        let only = self.only.as_deref();
        let is_for = only.is_none_or(|only| only == algorithm.as_str());
        let kind = match &self.material {
            Material::Rsa { .. } => rsa(algorithm).is_some(),
            Material::Ec(own, _) => *own == algorithm,
            Material::Ed25519(_) => algorithm == Algorithm::EdDsa,
        };
        meant && is_for && kind
    }

    /// Whether it made `signature` of `signed`.
    pub(super) fn made(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let by = |how: &'static dyn VerificationAlgorithm, key: &[u8]| {
            let key = UnparsedPublicKey::new(how, key);
            key.verify(signed, signature).is_ok()
        };
        match &self.material {
            Material::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                let how = rsa(algorithm);
                how.is_some_and(|how| key.verify(how, signed, signature).is_ok())
            }
            Material::Ec(own, point) if *own == algorithm => match own {
                Algorithm::Es256 => by(&ECDSA_P256_SHA256_FIXED, point),
                Algorithm::Es384 => by(&ECDSA_P384_SHA384_FIXED, point),
                Algorithm::Es512 => by(&ECDSA_P521_SHA512_FIXED, point),
                _ => false,
            },
            Material::Ed25519(key) => algorithm == Algorithm::EdDsa && by(&ED25519, key),
            Material::Ec(..) => false,
        }
    }
}

/// How RSA is used by an algorithm, with keys of 2048 bits at least; None: it is of another kind of key.
fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa => return None,
    })
}
