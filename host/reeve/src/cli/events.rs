//! `reeve events`: what the controller told of objects, oldest first, read with the rights of whoever asks.
//!
//! Events of Flux's kinds and ours. It deliberately keeps nothing: what the API server has forgotten (after an hour, as a
//! rule) is not shown.

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use serde::Serialize;

use super::connection::ConnectionArgs;
use super::follow::follow;
use super::get::namespace;
use super::provide_tls;
use super::text::{Form, age, table, written};
use super::ui::{CommandError, Ui};
use crate::clock::Clock;
use crate::cluster::Id;
use crate::observe::Requests;

/// The groups of kinds whose events are shown: Flux's, by their end, and ours.
const FLUX: &str = ".toolkit.fluxcd.io";

/// Show events of sources, Kustomizations, Receivers, tenants, plugins and policies
///
/// Oldest first, with how long ago each was seen last. What the API server has forgotten is not shown.
///
/// Examples: `reeve events -n acme --for Kustomization/web`, `reeve events -A --watch`
#[derive(Args)]
pub(super) struct EventsArgs {
    /// Where to look; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// Look in all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Only of this object
    #[arg(long = "for", value_name = "KIND/NAME")]
    object: Option<Object>,
    /// Go on with those that come
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table, conflicts_with = "watch")]
    form: Form,
}

/// Which object's events are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Object {
    kind: String,
    name: String,
}

impl std::str::FromStr for Object {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "a kind and a name, such as Kustomization/web";
        let (kind, name) = text.split_once('/').ok_or(wanted)?;
        if kind.is_empty() || name.is_empty() {
            return Err(wanted.to_owned());
        }
        let kind = match kind.to_ascii_lowercase().as_str() {
            "ks" => "kustomization".to_owned(),
            "gitrepo" => "gitrepository".to_owned(),
            other => other.to_owned(),
        };
        Ok(Self {
            kind,
            name: name.to_owned(),
        })
    }
}

/// One event, in short.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Timestamp>,
    r#type: String,
    reason: String,
    object: String,
    count: i32,
    message: String,
}

pub(super) fn run(args: &EventsArgs, ui: &mut Ui) -> Result<(), CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    runtime.block_on(events(args, ui))
}

async fn events(args: &EventsArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let at = match args.all_namespaces {
        true => None,
        false => Some(namespace(args.namespace.as_deref(), &cluster)),
    };
    let found = cluster.happened(at).await.map_err(|why| {
        CommandError::of("listing events failed", &why)
            .hint("you need the right to list events there; -n NS looks in one namespace only")
    })?;
    let rows = rows(&found, args.object.as_ref());
    let clock = Clock::system();
    let text = written(args.form, &rows, || listed(&rows, clock.now(), true))?;
    ui.data(text.as_bytes())?;
    if !args.watch {
        return Ok(());
    }
    let version = |event: &Event| event.metadata.resource_version.clone();
    let printed = found
        .iter()
        .map(|event| (Id::of(&event.metadata), version(event)));
    let print = |event: &Event, _: &Option<String>| match is_wanted(event, args.object.as_ref()) {
        true => ui.data(listed(&[row(event)], clock.now(), false).as_bytes()),
        false => Ok(()),
    };
    follow(&cluster, at, printed.collect(), version, print).await
}

/// Those that are wanted, oldest first.
fn rows(found: &[Event], object: Option<&Object>) -> Vec<Row> {
    let wanted = found.iter().filter(|event| is_wanted(event, object));
    let mut rows: Vec<Row> = wanted.map(row).collect();
    rows.sort_by_key(|row| row.last_seen);
    rows
}

fn is_wanted(event: &Event, object: Option<&Object>) -> bool {
    let about = &event.involved_object;
    let api_version = about.api_version.as_deref().unwrap_or_default();
    let (group, _) = api_version.split_once('/').unwrap_or_default();
    let ours = group == reeve_api::REEVE_GROUP || group.ends_with(FLUX);
    let same = |object: &Object| {
        let kind = about.kind.as_deref().unwrap_or_default();
        kind.eq_ignore_ascii_case(&object.kind) && about.name.as_deref() == Some(&object.name)
    };
    ours && object.is_none_or(same)
}

fn row(event: &Event) -> Row {
    let about = &event.involved_object;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let series = event.series.as_ref();
    let observed = series.and_then(|series| series.last_observed_time.as_ref());
    let micro = observed.or(event.event_time.as_ref()).map(|time| time.0);
    let seen = event.last_timestamp.as_ref().map(|time| time.0);
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    Row {
        namespace: event.metadata.namespace.clone().unwrap_or_default(),
        last_seen: seen.or(micro).or(first),
        r#type: text(&event.type_),
        reason: text(&event.reason),
        object: format!("{}/{}", text(&about.kind), text(&about.name)),
        count: event.count.unwrap_or(1),
        message: text(&event.message),
    }
}

fn listed(rows: &[Row], now: Timestamp, headed: bool) -> String {
    let head = [
        "NAMESPACE",
        "LAST SEEN",
        "TYPE",
        "REASON",
        "OBJECT",
        "MESSAGE",
    ];
    let cells = |row: &Row| {
        [
            row.namespace.clone(),
            row.last_seen
                .map_or_else(|| "-".to_owned(), |seen| age(now, seen)),
            row.r#type.clone(),
            row.reason.clone(),
            row.object.clone(),
            row.message.clone(),
        ]
    };
    let head = headed.then(|| head.map(str::to_owned));
    let all: Vec<_> = head.into_iter().chain(rows.iter().map(cells)).collect();
    table(&all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(group: &str, kind: &str, at: &str) -> Event {
        let event = json!({
            "metadata": {"name": "e", "namespace": "acme"},
            "involvedObject": {"apiVersion": format!("{group}/v1"), "kind": kind, "name": "web"},
            "lastTimestamp": at, "reason": "Told", "type": "Normal", "message": "so",
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn events_of_our_kinds_and_fluxs_are_told_oldest_first() {
        let found = [
            event(
                "kustomize.toolkit.fluxcd.io",
                "Kustomization",
                "2026-11-22T18:09:00Z",
            ),
            event("apps", "Deployment", "2026-11-22T18:08:00Z"),
            event("reeve.dev", "Plugin", "2026-11-22T18:07:00Z"),
        ];
        let told = |object: Option<&Object>| {
            let rows = rows(&found, object).into_iter();
            rows.map(|row| row.object).collect::<Vec<_>>()
        };
        assert_eq!(told(None), ["Plugin/web", "Kustomization/web"]);
        assert_eq!(
            told(Some(&"ks/web".parse().unwrap())),
            ["Kustomization/web"]
        );
        assert!(told(Some(&"ks/other".parse().unwrap())).is_empty());
    }

    #[test]
    fn an_object_has_a_kind_and_a_name() {
        for text in ["web", "/web", "ks/", ""] {
            assert!(text.parse::<Object>().is_err(), "{text}");
        }
    }
}
