//! A Receiver's spec, read: what to verify calls by, and what stands in the way.
//!
//! A field that would change which calls are let in, and that nothing acts on yet, is an error that names it; it is never
//! passed over. What it deliberately doesn't: look up what the Receiver names (`index`) or read its Secret.

use std::time::Duration;

use reeve_api::name::{NotAName, ObjectName};
use reeve_api::reason::Reason;
use reeve_api::receiver::{ReceiverResource, ReceiverSpec};

use super::Kind;
use crate::failure::{Explain, Turn};

/// What a Receiver asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Who calls.
    pub kind: Kind,
    /// The events that count; empty for all.
    pub events: Vec<String>,
    /// The Secret, in the Receiver's namespace, that holds the token. `generic` needs it too: the path is made from it.
    pub secret: ObjectName,
    /// What is woken.
    pub resources: Vec<ReceiverResource>,
    /// How often the Secret is read again.
    pub interval: Duration,
    /// Whether calls are turned away.
    pub suspend: bool,
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// This type of caller can't be verified yet.
    #[error("spec.type: {0} is not supported yet")]
    Type(&'static str),
    /// Nothing acts on this field yet.
    #[error("{0} is not supported yet")]
    Unsupported(String),
    /// Nothing of this group can be woken.
    #[error("spec.resources[{at}].apiVersion: {version} is of no group of Flux")]
    Group {
        /// Which of the resources.
        at: usize,
        /// What stands there.
        version: String,
    },
    /// There is no Secret to take the token from.
    #[error("spec.secretRef is required when spec.type is not generic-oidc")]
    NoSecret,
    /// The Secret can't have that name.
    #[error("spec.secretRef.name cannot be used")]
    SecretName(#[source] NotAName),
}

impl Explain for Error {
    fn reason(&self) -> Reason {
        match self {
            Self::Type(_) | Self::Unsupported(_) => Reason::Unsupported,
            Self::Group { .. } | Self::NoSecret | Self::SecretName(_) => Reason::ValidationFailed,
        }
    }

    fn turn(&self) -> Turn {
        Turn::Owner
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Type(_) => Some("the types served are generic and gitlab".into()),
            Self::Unsupported(_) => Some("remove the field".into()),
            Self::Group { .. } => Some("correct it, or leave it out: the kind says enough".into()),
            Self::NoSecret => {
                Some("name a Secret in the Receiver's namespace with a key `token`".into())
            }
            Self::SecretName(_) => None,
        }
    }
}

impl Wanted {
    /// Reads the spec, or says which field stands in the way.
    pub fn parse(spec: &ReceiverSpec) -> Result<Self, Error> {
        let kind = Kind::of(spec.kind)?;
        if is_set(spec.resource_filter.as_ref()) {
            return Err(Error::Unsupported("spec.resourceFilter".into()));
        }
        if let Some(at) = spec
            .resources
            .iter()
            .position(|r| is_set(r.filter.as_ref()))
        {
            return Err(Error::Unsupported(format!("spec.resources[{at}].filter")));
        }
        if !spec.oidc_providers.is_empty() {
            return Err(Error::Unsupported("spec.oidcProviders".into()));
        }
        foreign(&spec.resources).map_or(Ok(()), Err)?;
        let secret = spec.secret_ref.as_ref().ok_or(Error::NoSecret)?;
        Ok(Self {
            kind,
            events: spec.events.clone(),
            secret: ObjectName::new(secret.name.as_str()).map_err(Error::SecretName)?,
            resources: spec.resources.clone(),
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
        !group.ends_with(".toolkit.fluxcd.io")
    })?;
    let version = version.chars().take(100).collect();
    Some(Error::Group { at, version })
}

fn is_set(filter: Option<&String>) -> bool {
    filter.is_some_and(|filter| !filter.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Each row starts from the same good Receiver and changes one field.
    fn parse(pointer: &str, field: &str, value: Value) -> Result<Wanted, Error> {
        let mut spec = json!({
            "type": "gitlab",
            "events": ["Push Hook"],
            "secretRef": {"name": "token"},
            "resources": [{"kind": "GitRepository", "name": "web"}],
        });
        if !field.is_empty() {
            spec.pointer_mut(pointer).unwrap()[field] = value;
        }
        Wanted::parse(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn a_receiver_is_read() {
        let wanted = parse("", "", Value::Null).unwrap();
        assert_eq!(wanted.kind, Kind::Gitlab);
        assert_eq!(wanted.secret.as_str(), "token");
        assert_eq!(wanted.interval, Duration::from_secs(600));
        assert!(!wanted.suspend);
    }

    #[test]
    fn what_would_change_who_is_let_in_and_is_not_served_is_named() {
        for (pointer, field, value, want) in [
            (
                "",
                "type",
                json!("github"),
                "spec.type: github is not supported yet",
            ),
            (
                "",
                "type",
                json!("generic-hmac"),
                "spec.type: generic-hmac is not supported yet",
            ),
            (
                "",
                "resourceFilter",
                json!("req.ref == 'main'"),
                "spec.resourceFilter is not supported yet",
            ),
            (
                "/resources/0",
                "filter",
                json!("true"),
                "spec.resources[0].filter is not supported yet",
            ),
        ] {
            let refused = parse(pointer, field, value).unwrap_err();
            assert_eq!(refused.to_string(), want);
            assert_eq!(refused.reason(), Reason::Unsupported);
            assert!(refused.turn().stalls());
        }
    }

    #[test]
    fn a_resource_of_another_group_is_named() {
        let refused = parse("/resources/0", "apiVersion", json!("foo/v1")).unwrap_err();
        let want = "spec.resources[0].apiVersion: foo/v1 is of no group of Flux";
        assert_eq!(refused.to_string(), want);
        for version in ["", "source.toolkit.fluxcd.io/v1beta2"] {
            assert!(parse("/resources/0", "apiVersion", json!(version)).is_ok());
        }
    }

    #[test]
    fn a_receiver_of_any_served_type_needs_a_secret() {
        for type_ in ["generic", "gitlab"] {
            let spec = json!({"type": type_, "resources": []});
            let refused = Wanted::parse(&serde_json::from_value(spec).unwrap()).unwrap_err();
            assert_eq!(refused, Error::NoSecret);
        }
        let named = parse("/secretRef", "name", json!("../x")).unwrap_err();
        assert_eq!(named.reason(), Reason::ValidationFailed);
    }
}
