//! A Receiver's spec, read: what to verify calls by, and what stands in the way.
//!
//! What it deliberately doesn't: look up what the Receiver names (`index`) or read its Secret.

use std::time::Duration;

use reeve_api::name::{NotAName, ObjectName};
use reeve_api::reason::Reason;
use reeve_api::receiver::{ReceiverResource, ReceiverSpec, ReceiverType};

use super::{Filters, Issuer};
use crate::cel;
use crate::failure::{Explain, Turn};

/// What a Receiver asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Who calls.
    pub kind: ReceiverType,
    /// The events that count; empty for all.
    pub events: Vec<String>,
    /// The Secret, in the Receiver's namespace, that holds the token. `generic` needs it too: the path is made from it.
    /// None where tokens of issuers prove a call.
    pub secret: Option<ObjectName>,
    /// Whose tokens prove a call.
    pub issuers: Vec<Issuer>,
    /// What is woken.
    pub resources: Vec<ReceiverResource>,
    /// Which of it a call is about.
    pub filters: Filters,
    /// How often the Secret is read again.
    pub interval: Duration,
    /// Whether calls are turned away.
    pub suspend: bool,
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing of this group can be woken.
    #[error("spec.resources[{at}].apiVersion: {version} is of no group of Flux")]
    Group {
        /// Which of the resources.
        at: usize,
        /// What stands there.
        version: String,
    },
    /// There is no Secret to take the token from.
    #[error("secretRef is required when type is not generic-oidc")]
    NoSecret,
    /// There is a Secret that nothing would be proved by.
    #[error("secretRef cannot be set when type is generic-oidc")]
    Secret,
    /// There is nobody whose tokens would be believed.
    #[error("generic-oidc receiver requires at least one oidcProvider")]
    NoProvider,
    /// There is somebody whose tokens nobody would look at.
    #[error("oidcProviders can only be set when type is generic-oidc")]
    Providers,
    /// A provider cannot be used.
    #[error("oidcProviders[{at}]: {why}")]
    Provider {
        /// Which.
        at: usize,
        /// What is wrong with it.
        why: String,
    },
    /// An expression cannot be used.
    #[error("invalid {what}: {why}")]
    Expression {
        /// Which.
        what: String,
        /// What is wrong with it, and where.
        why: cel::Error,
    },
    /// The Secret can't have that name.
    #[error("spec.secretRef.name cannot be used")]
    SecretName(#[source] NotAName),
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::Expression { .. } => Reason::InvalidCelExpression,
            Self::Group { .. }
            | Self::NoSecret
            | Self::Secret
            | Self::NoProvider
            | Self::Providers
            | Self::Provider { .. }
            | Self::SecretName(_) => Reason::ValidationFailed,
        }
    }

    fn turn(&self) -> Turn {
        Turn::Owner
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Group { .. } => Some("correct it, or leave it out: the kind says enough".into()),
            Self::NoSecret => {
                Some("name a Secret in the Receiver's namespace with a key `token`".into())
            }
            Self::Secret => Some("remove it: the token of an issuer proves a call".into()),
            Self::NoProvider => Some("name the issuer in spec.oidcProviders".into()),
            Self::Providers => Some("remove them, or make it of type generic-oidc".into()),
            Self::Provider { .. } | Self::Expression { .. } | Self::SecretName(_) => None,
        }
    }
}

impl Wanted {
    /// Reads the spec, or says which field stands in the way.
    pub fn parse(spec: &ReceiverSpec) -> Result<Self, Error> {
        let filters = Filters::parse(spec)?;
        let by_token = spec.kind == ReceiverType::GenericOidc;
        match (by_token, spec.oidc_providers.is_empty(), &spec.secret_ref) {
            (true, true, _) => return Err(Error::NoProvider),
            (false, false, _) => return Err(Error::Providers),
            (true, false, Some(_)) => return Err(Error::Secret),
            (false, true, None) => return Err(Error::NoSecret),
            (true, false, None) | (false, true, Some(_)) => {}
        }
        let issuers = Issuer::parse_all(&spec.oidc_providers)?;
        foreign(&spec.resources).map_or(Ok(()), Err)?;
        let secret = spec.secret_ref.as_ref();
        let secret = secret.map(|secret| ObjectName::new(secret.name.as_str()));
        Ok(Self {
            kind: spec.kind,
            events: spec.events.clone(),
            secret: secret.transpose().map_err(Error::SecretName)?,
            issuers,
            resources: spec.resources.clone(),
            filters,
            interval: spec.interval.get(),
            suspend: spec.suspend,
        })
    }
}

/// The first resource whose group is none of Flux's.
fn foreign(resources: &[ReceiverResource]) -> Option<Error> {
    let version = |r: &ReceiverResource| r.api_version.clone().filter(|set| !set.is_empty());
    let versions = resources.iter().map(version).enumerate();
    let mut set = versions.filter_map(|(at, version)| Some((at, version?)));
    let (at, version) = set.find(|(_, version)| {
        let group = version.split('/').next().unwrap_or_default();
        !(group.ends_with(".toolkit.fluxcd.io") || group == "source.extensions.fluxcd.io")
    })?;
    let version = version.chars().take(100).collect();
    Some(Error::Group { at, version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Each row starts from the same good Receiver and changes one field.
    fn parse(pointer: &str, field: &str, value: Value) -> Result<Wanted, Error> {
        let spec = json!({
            "type": "gitlab",
            "events": ["Push Hook"],
            "secretRef": {"name": "token"},
            "resources": [{"kind": "GitRepository", "name": "web"}],
        });
        changed(spec, pointer, field, value)
    }

    fn changed(mut spec: Value, pointer: &str, field: &str, value: Value) -> Result<Wanted, Error> {
        if !field.is_empty() {
            spec.pointer_mut(pointer).unwrap()[field] = value;
        }
        Wanted::parse(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_receiver_is_read() {
        let wanted = parse("", "", Value::Null).unwrap();
        assert_eq!(wanted.kind, ReceiverType::Gitlab);
        assert_eq!(wanted.secret.unwrap().as_str(), "token");
        assert_eq!(wanted.interval, Duration::from_secs(600));
        assert!(!wanted.suspend && wanted.filters.is_empty());
    }

    #[test]
    fn a_resource_of_another_group_is_named() {
        let refused = parse("/resources/0", "apiVersion", json!("foo/v1")).unwrap_err();
        let want = "spec.resources[0].apiVersion: foo/v1 is of no group of Flux";
        assert_eq!(refused.to_string(), want);
        for version in [
            "",
            "source.toolkit.fluxcd.io/v1beta2",
            "source.extensions.fluxcd.io/v1beta1",
        ] {
            assert!(parse("/resources/0", "apiVersion", json!(version)).is_ok());
        }
    }

    #[test]
    fn a_receiver_is_proved_by_a_secret_or_by_issuers_and_never_by_both() {
        let issuer = json!([{
            "issuerURL": "https://issuer.example",
            "validations": [{"expression": "claims.sub == 'a'", "message": "not a"}],
        }]);
        let oidc = json!({"type": "generic-oidc", "oidcProviders": issuer, "resources": []});
        for (spec, field, value, want) in [
            (&oidc, "", Value::Null, Ok(())),
            (
                &oidc,
                "secretRef",
                json!({"name": "t"}),
                Err("secretRef cannot be set when type is generic-oidc"),
            ),
            (
                &oidc,
                "oidcProviders",
                json!([]),
                Err("generic-oidc receiver requires at least one oidcProvider"),
            ),
            (
                &oidc,
                "type",
                json!("github"),
                Err("oidcProviders can only be set when type is generic-oidc"),
            ),
            (
                &json!({"type": "github", "resources": []}),
                "",
                Value::Null,
                Err("secretRef is required when type is not generic-oidc"),
            ),
        ] {
            let told = changed(spec.clone(), "", field, value);
            assert_eq!(
                told.as_ref().map(|_| ()).map_err(ToString::to_string),
                want.map_err(str::to_owned)
            );
            if let Err(why) = told {
                assert_eq!(why.reason(), Reason::ValidationFailed);
                assert!(why.turn().stalls());
            }
        }
        let named = parse("/secretRef", "name", json!("../x")).unwrap_err();
        assert_eq!(named.reason(), Reason::ValidationFailed);
    }

    #[test]
    fn an_expression_that_cannot_be_read_stalls_the_receiver() {
        let refused = parse("", "resourceFilter", json!("req.")).unwrap_err();
        assert_eq!(refused.reason(), Reason::InvalidCelExpression);
        assert!(refused.turn().stalls());
    }
}
