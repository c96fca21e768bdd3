//! What a payload is: whether its type is one that a kind of caller sends, and the JSON in it.
//!
//! Most of a payload is never kept: it is read as far as the kind of caller is known by it. What it deliberately doesn't:
//! believe any of it; `verify` has seen a proof before.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reeve_api::receiver::ReceiverType;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::verify::Refused;

/// How deep JSON may be nested: as deep as it can be read for filters.
const DEEPEST: usize = 100;

/// Whether calls of a kind may have this `Content-Type`. Where there is none, JSON is expected.
pub fn takes(kind: ReceiverType, content_type: Option<&str>) -> bool {
    match (kind, content_type) {
        // They are proved by what is no payload, or by any.
        (ReceiverType::Generic | ReceiverType::GenericHmac | ReceiverType::GenericOidc, _)
        | (_, None) => true,
        (ReceiverType::Github | ReceiverType::Gitea, Some(content)) => {
            is_json(content) || is_form(content)
        }
        (_, Some(content)) => is_json(content),
    }
}

/// The JSON in a body, where one is expected; None: the body is anything.
pub(super) fn json(
    kind: ReceiverType,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Option<String>, Refused> {
    let anything = matches!(
        kind,
        ReceiverType::Generic | ReceiverType::GenericHmac | ReceiverType::GenericOidc
    );
    let declared = content_type.is_some_and(is_json);
    if anything && (!declared || body.is_empty()) {
        return Ok(None);
    }
    let text = std::str::from_utf8(body).map_err(|_| Refused::NotText)?;
    let text = match content_type.is_some_and(is_form) {
        true => field(text).ok_or(Refused::NoPayload)?,
        false => Cow::Borrowed(text),
    };
    serde_json::from_str::<IgnoredAny>(&text).map_err(|_| Refused::NotJson)?;
    match deepest(&text) > DEEPEST {
        true => Err(Refused::NotJson),
        false => Ok(Some(text.into_owned())),
    }
}

/// Whether the payload is one that this kind of caller sends, and what of it expressions see.
pub(super) fn fits(kind: ReceiverType, text: String) -> Result<String, Refused> {
    fn read<'t, T: Deserialize<'t>>(text: &'t str, who: &'static str) -> Result<T, Refused> {
        serde_json::from_str(text).map_err(|_| Refused::NotTheirs(who))
    }
    match kind {
        ReceiverType::Quay => drop(read::<Quay>(&text, "Quay")?),
        ReceiverType::Dockerhub => drop(read::<DockerHub>(&text, "Docker Hub")?),
        ReceiverType::Acr => drop(read::<Acr>(&text, "an Azure registry")?),
        ReceiverType::Nexus => drop(read::<Nexus>(&text, "Nexus")?),
        ReceiverType::Cdevents => {
            let event: CdEvent = read(&text, "a sender of CDEvents")?;
            event.check()?;
        }
        ReceiverType::Gcr => {
            const WHO: &str = "a Google registry";
            let outer: PubSub = read(&text, WHO)?;
            let inner = STANDARD.decode(outer.message.data.as_bytes());
            let inner = inner.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let inner = inner.ok_or(Refused::NotTheirs(WHO))?;
            let event: GcrEvent = read(&inner, WHO)?;
            return serde_json::to_string(&event).map_err(|_| Refused::NotTheirs(WHO));
        }
        ReceiverType::Generic
        | ReceiverType::GenericHmac
        | ReceiverType::GenericOidc
        | ReceiverType::Github
        | ReceiverType::Gitea
        | ReceiverType::Gitlab
        | ReceiverType::Bitbucket
        | ReceiverType::Harbor => {}
    }
    Ok(text)
}

/// A notification of a push to Quay.
#[derive(Deserialize)]
#[expect(dead_code, reason = "that it can be read is what counts")]
struct Quay {
    #[serde(default)]
    docker_url: String,
    #[serde(default)]
    updated_tags: Vec<String>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "that it can be read is what counts")]
struct DockerHub {
    push_data: HubPush,
    repository: HubRepository,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "that it can be read is what counts")]
struct HubPush {
    #[serde(default)]
    tag: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "that it can be read is what counts")]
struct HubRepository {
    #[serde(default)]
    repo_url: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "that it can be read is what counts")]
struct Acr {
    action: String,
    #[serde(default)]
    target: AcrTarget,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AcrTarget {
    repository: String,
    tag: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Nexus {
    action: String,
    repository_name: String,
}

#[derive(Deserialize)]
struct PubSub {
    message: PubSubMessage,
}

#[derive(Deserialize)]
struct PubSubMessage {
    data: String,
}

/// What lies in a message of Pub/Sub.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct GcrEvent {
    action: String,
    digest: String,
    tag: String,
}

#[derive(Deserialize)]
struct CdEvent {
    context: CdContext,
    subject: CdSubject,
}

#[derive(Deserialize)]
struct CdContext {
    #[serde(alias = "specversion")]
    version: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
}

#[derive(Deserialize)]
struct CdSubject {
    id: String,
}

impl CdEvent {
    /// What the specification demands of every event: a type as `dev.cdevents.change.merged.0.2.0`, and what tells one event
    /// from the others.
    fn check(&self) -> Result<(), Refused> {
        let refused = |what| Err(Refused::NotAnEvent(what));
        let context = &self.context;
        let rest = context.kind.strip_prefix("dev.cdevents.");
        let mut parts = rest.unwrap_or_default().splitn(3, '.');
        let word = |part: Option<&str>| {
            part.is_some_and(|part| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
        };
        let named = word(parts.next()) && word(parts.next());
        let version = parts.next().map(semver::Version::parse);
        if !named || !matches!(version, Some(Ok(_))) {
            return refused("context.type");
        }
        for (what, text) in [
            ("context.version", &context.version),
            ("context.id", &context.id),
            ("context.source", &context.source),
            ("subject.id", &self.subject.id),
        ] {
            if text.is_empty() {
                return refused(what);
            }
        }
        match context.timestamp.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(()),
            Err(_) => refused("context.timestamp"),
        }
    }
}

/// How deep some JSON is nested.
fn deepest(text: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => {
                depth += 1;
                most = most.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// What a form's field `payload` holds.
fn field(text: &str) -> Option<Cow<'_, str>> {
    let mut fields = url::form_urlencoded::parse(text.as_bytes());
    let (_, payload) = fields.find(|(name, _)| name == "payload")?;
    Some(payload)
}

fn is_json(content_type: &str) -> bool {
    let kind = media(content_type);
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn is_form(content_type: &str) -> bool {
    media(content_type) == "application/x-www-form-urlencoded"
}

/// The media type without parameters.
fn media(content_type: &str) -> String {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReceiverType as T;

    #[test]
    fn a_payload_has_a_type_that_its_sender_writes() {
        for (kind, content, want) in [
            (T::Github, Some("application/json"), true),
            (T::Github, Some("Application/JSON; charset=utf-8"), true),
            (T::Github, Some("application/x-www-form-urlencoded"), true),
            (T::Gitlab, Some("application/x-www-form-urlencoded"), false),
            (T::Harbor, Some("application/cloudevents+json"), true),
            (T::Quay, Some("text/plain"), false),
            (T::Quay, Some("text/json+x"), false),
            (T::Quay, Some(""), false),
            (T::Quay, None, true),
            (T::Generic, Some("text/plain"), true),
            (
                T::GenericHmac,
                Some("application/x-www-form-urlencoded"),
                true,
            ),
        ] {
            assert_eq!(takes(kind, content), want, "{kind:?} {content:?}");
        }
    }

    #[test]
    fn nesting_is_counted_outside_of_texts() {
        for (text, want) in [
            ("7", 0),
            ("[[], [[]]]", 3),
            (r#"{"a": "[[[", "b\"[[": [1]}"#, 2),
            (r#"["\\", ["]"]]"#, 2),
        ] {
            assert_eq!(deepest(text), want, "{text}");
        }
    }

    #[test]
    fn a_cdevent_has_what_the_specification_demands() {
        let event = |kind: &str, id: &str, time: &str| {
            let text = format!(
                r#"{{"context": {{"version": "0.4.1", "id": "{id}", "source": "/event/source", "type": "{kind}",
                "timestamp": "{time}"}}, "subject": {{"id": "mySubject", "type": "change", "content": {{}}}}}}"#
            );
            fits(T::Cdevents, text)
                .map(drop)
                .map_err(|why| why.to_string())
        };
        let (kind, time) = (
            "dev.cdevents.change.merged.0.2.0",
            "2023-03-20T14:27:05.315384Z",
        );
        assert_eq!(event(kind, "271069a8", time), Ok(()));
        for (kind, id, time, want) in [
            ("com.example.change.merged.0.2.0", "1", time, "context.type"),
            ("dev.cdevents.change.0.2.0", "1", time, "context.type"),
            ("dev.cdevents.change.merged.two", "1", time, "context.type"),
            (kind, "", time, "context.id"),
            (kind, "1", "yesterday", "context.timestamp"),
        ] {
            let why = event(kind, id, time).unwrap_err();
            assert!(why.contains(want), "{why}");
        }
    }
}
