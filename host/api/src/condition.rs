//! Condition types, and how a list of conditions changes.
//!
//! The condition itself is Kubernetes' own (`metav1.Condition`). What is said in one, and when, is decided in
//! `reeve_core::status`.

use crate::reason::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{Schema, SchemaGenerator, json_schema};
use std::cmp::Reverse;
use std::fmt;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The longest message the API server takes, in characters.
const MAX_MESSAGE: usize = 32_768;

/// The types of condition there are; Flux's words.
///
/// All but `Ready`, `Healthy`, `ArtifactInStorage`, `SourceVerified`, `Onboarded`, `DeployKeyReady` and `WebhookReady` are of
/// negative polarity: they exist only while they are true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// The last reconcile reached its end, and what it made stands.
    Ready,
    /// A reconcile is under way, or will be tried again.
    Reconciling,
    /// Nothing will happen until the object changes.
    Stalled,
    /// Everything a Kustomization applied works.
    Healthy,
    /// The artifact that the status names can be fetched.
    ArtifactInStorage,
    /// There is something newer than the artifact.
    ArtifactOutdated,
    /// The upstream could not be fetched.
    FetchFailed,
    /// An included artifact cannot be had.
    IncludeUnavailable,
    /// The controller's storage failed.
    StorageOperationFailed,
    /// The revision was signed as asked.
    SourceVerified,
    /// The key that is looked after opens the repository.
    DeployKeyReady,
    /// The webhooks that are looked after are at their forge as they should be.
    WebhookReady,
    /// A Receiver fires for some of its resources, but one that it names does not exist.
    ResourceMissing,
    /// A ClusterPlugin was compiled and may be called.
    Loaded,
    /// What a Tenant says was made by the landlord, and is kept.
    Onboarded,
    /// A namespace that a Tenant does not have is called like it: nothing is done for what is in it.
    NamesakeOutside,
    /// A WriteBack is about more kinds than it has watches: the others are listed once in an interval.
    PartlyWatched,
    /// Not of all its files a WriteBack can remember when they were as their objects: what differs there is told as a conflict.
    AgreedFull,
}

impl Type {
    /// The type as it stands in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Healthy => "Healthy",
            Self::ArtifactInStorage => "ArtifactInStorage",
            Self::ArtifactOutdated => "ArtifactOutdated",
            Self::FetchFailed => "FetchFailed",
            Self::IncludeUnavailable => "IncludeUnavailable",
            Self::StorageOperationFailed => "StorageOperationFailed",
            Self::SourceVerified => "SourceVerified",
            Self::DeployKeyReady => "DeployKeyReady",
            Self::WebhookReady => "WebhookReady",
            Self::ResourceMissing => "ResourceMissing",
            Self::Loaded => "Loaded",
            Self::Onboarded => "Onboarded",
            Self::NamesakeOutside => "NamesakeOutside",
            Self::PartlyWatched => "PartlyWatched",
            Self::AgreedFull => "AgreedFull",
        }
    }
}

impl AsRef<str> for Type {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a condition says about its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// It is not known yet.
    Unknown,
}

impl Status {
    /// The status as it stands in the condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(so: bool) -> Self {
        if so { Self::True } else { Self::False }
    }
}

/// A condition as of `now`, seen at `generation` of the object.
///
/// A message longer than the API server takes is cut: a status that is refused as a whole tells nothing at all.
pub fn new(
    r#type: Type,
    status: Status,
    reason: Reason,
    message: impl Into<String>,
    generation: i64,
    now: jiff::Timestamp,
) -> Condition {
    let mut message = message.into();
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
        message.truncate(end);
    }
    Condition {
        type_: r#type.as_str().to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message,
        observed_generation: Some(generation),
        last_transition_time: Time(now),
    }
}

/// Put a condition in the place of the one of its type.
///
/// ```
/// use reeve_api::condition::{self, Status, Type};
/// use reeve_api::reason::Reason;
///
/// let now = jiff::Timestamp::UNIX_EPOCH;
/// let mut conditions = Vec::new();
/// condition::set(
///     &mut conditions,
///     condition::new(Type::Ready, Status::True, Reason::Succeeded, "stored artifact", 1, now),
/// );
/// assert!(condition::is_true(&conditions, Type::Ready));
/// ```
///
/// The time of the last transition moves only when the status does: a message that changes every run must not make the
/// condition look young.
pub fn set(conditions: &mut Vec<Condition>, mut condition: Condition) {
    match conditions
        .iter_mut()
        .find(|known| known.type_ == condition.type_)
    {
        Some(known) => {
            if known.status == condition.status {
                condition.last_transition_time = known.last_transition_time.clone();
            }
            *known = condition;
        }
        None => conditions.push(condition),
    }
    conditions.sort_by(|a, b| rank(a).cmp(&rank(b)));
}

/// The condition of a type, if there is one. The type may also be a word that is not ours: other controllers write
/// conditions too, and they are kept.
pub fn find(conditions: &[Condition], r#type: impl AsRef<str>) -> Option<&Condition> {
    conditions
        .iter()
        .find(|known| known.type_ == r#type.as_ref())
}

/// Take the condition of a type away; true when there was one.
pub fn remove(conditions: &mut Vec<Condition>, r#type: impl AsRef<str>) -> bool {
    let before = conditions.len();
    conditions.retain(|known| known.type_ != r#type.as_ref());
    conditions.len() != before
}

/// Whether the condition of a type exists and is `True`. One that is `Unknown` is neither true nor false: ask for it with
/// [`find`] where the difference matters.
pub fn is_true(conditions: &[Condition], r#type: impl AsRef<str>) -> bool {
    find(conditions, r#type).is_some_and(|known| known.status == Status::True.as_str())
}

/// What a reader looks for first comes first, then the newest, then by name; the order Flux keeps.
fn rank(condition: &Condition) -> (u8, Reverse<Option<i64>>, &str) {
    let first = match condition.type_.as_str() {
        "Stalled" => 0,
        "Reconciling" => 1,
        "Ready" => 2,
        _ => 3,
    };
    let newest = if first == 3 {
        condition.observed_generation
    } else {
        None
    };
    (first, Reverse(newest), &condition.type_)
}

/// The schema of a list of conditions, with the limits that Kubernetes itself has for them.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "description": "Condition contains details for one aspect of the current state of this API Resource.",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "lastTransitionTime is the last time the condition transitioned from one status to another.",
                },
                "message": {
                    "type": "string",
                    "maxLength": MAX_MESSAGE,
                    "description": "message is a human readable message indicating details about the transition. This may be an empty string.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "observedGeneration represents the .metadata.generation that the condition was set based upon. When it is lower than the current .metadata.generation, the condition is out of date.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                    "description": "reason is why the condition was last set, in CamelCase, from a closed list.",
                },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "status of the condition, one of True, False, Unknown.",
                },
                "type": {
                    "type": "string",
                    "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                    "description": "type of condition in CamelCase.",
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, status: Status, message: &str) -> Condition {
        let now = jiff::Timestamp::from_second(seconds).unwrap();
        new(Type::Ready, status, Reason::Progressing, message, 1, now)
    }

    #[test]
    fn the_time_of_a_condition_moves_only_when_its_status_does() {
        let mut list = Vec::new();
        set(&mut list, at(1, Status::Unknown, "a"));
        set(&mut list, at(2, Status::Unknown, "b"));
        let known = find(&list, Type::Ready).unwrap();
        assert_eq!(
            (
                known.message.as_str(),
                known.last_transition_time.0.as_second()
            ),
            ("b", 1)
        );
        set(&mut list, at(3, Status::True, "c"));
        assert_eq!(
            find(&list, "Ready")
                .unwrap()
                .last_transition_time
                .0
                .as_second(),
            3
        );
        assert!(is_true(&list, Type::Ready));
        assert_eq!(list.len(), 1);
        assert!(remove(&mut list, Type::Ready) && !remove(&mut list, Type::Ready));
    }

    #[test]
    fn a_message_longer_than_the_api_server_takes_is_cut_between_characters() {
        let long = at(1, Status::False, &"ä".repeat(40_000));
        assert_eq!(long.message.chars().count(), 32_768);
    }
}
