//! On which cluster a Kustomization is carried out, where that is not its own.
//!
//! It deliberately reads no Secret: the shell does, as the tenant, and `kubeconfig` says what is in it.

use reeve_api::kustomization::KustomizationSpec;
use reeve_api::name::ObjectName;

use super::Error;

/// The keys that are looked for where none is named, as Flux does.
const KEYS: [&str; 2] = ["value", "value.yaml"];
/// The longest key that a Secret may have.
const LONGEST: usize = 253;

/// The Secret beside the Kustomization that holds a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeConfig {
    /// Its name.
    pub secret: ObjectName,
    key: Option<String>,
}

impl KubeConfig {
    /// The keys under which it may be, the first that is there counts.
    pub fn keys(&self) -> Vec<&str> {
        match &self.key {
            Some(key) => vec![key],
            None => KEYS.to_vec(),
        }
    }
}

/// What the spec asks for.
pub(super) fn of(spec: &KustomizationSpec) -> Result<Option<KubeConfig>, Error> {
    let Some(asked) = &spec.kube_config else {
        return Ok(None);
    };
    if asked.config_map_ref.is_some() {
        // The identity of a workload at its cloud: there is none that would be the tenant's.
        return Err(Error::unsupported("spec.kubeConfig.configMapRef"));
    }
    let Some(reference) = &asked.secret_ref else {
        return Err(Error::invalid("spec.kubeConfig", "it names no Secret"));
    };
    let secret = reference
        .name
        .parse()
        .map_err(|why| Error::invalid("spec.kubeConfig.secretRef.name", why))?;
    let key = reference.key.as_deref().filter(|key| !key.is_empty());
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if key.is_some_and(|key| key.len() > LONGEST || !key.chars().all(plain)) {
        let why = "it cannot be the key of a Secret";
        return Err(Error::invalid("spec.kubeConfig.secretRef.key", why));
    }
    let key = key.map(str::to_owned);
    Ok(Some(KubeConfig { secret, key }))
}
