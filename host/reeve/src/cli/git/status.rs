//! How repositories are reached, how their changes come to be known, and when they were heard of.
//!
//! All of it stands in the status of GitRepositories, which is read with the rights of whoever asks: no door of the controller
//! is opened for it, and who may see a GitRepository sees this. Nothing secret is among it. Between two changes of the status
//! the controller says nothing, so when the next try is, is then known only within an interval.

use clap::Args;
use jiff::Timestamp;
use reeve_api::condition::{self, Type};
use reeve_api::source::{Delivery, GitRepository, LastFetch, LoginOrigin, PollingOrigin};
use reeve_core::schedule::SAFETY;
use serde::Serialize;

use crate::cli::connection::ConnectionArgs;
use crate::cli::follow::follow;
use crate::cli::get::namespace;
use crate::cli::text::{Form, age, table, written};
use crate::cli::ui::{CommandError, Ui};
use crate::clock::Clock;
use crate::cluster::{Cluster, Id};
use crate::observe::Requests;

/// Show how repositories are reached, and when they were heard of
///
/// Of each GitRepository: its address; where its login is from, with the level and the entry of git configuration if one gives
/// it; whether a webhook tells of changes, or polling alone, by which entry if git configuration says so, and the path that the
/// forge has to call for that; when it was called last, when something was fetched and how much; the revision that the repository
/// has; when it is tried again; and what is wrong. Read is the status of GitRepositories, with your own rights. Nothing secret is
/// among it. With `--watch` each that changes is printed again, as JSON in a line of its own with `-o json`.
///
/// Examples: `reeve git status -A`, `reeve git status web -n acme -o json`, `reeve git status -n acme --watch`
#[derive(Args)]
pub(super) struct StatusArgs {
    /// The one to show; without, all
    name: Option<String>,
    /// Where to look; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// Look in all namespaces
    #[arg(short = 'A', long, conflicts_with_all = ["name", "namespace"])]
    all_namespaces: bool,
    /// Go on with those that change
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

/// One repository.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    name: String,
    url: String,
    suspended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<LoginOrigin>,
    changes: Changes,
    /// How often it is asked.
    interval: String,
    /// What git configuration says of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    polling: Option<PollingOrigin>,
    receivers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_delivery: Option<Delivery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_fetch: Option<LastFetch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try: Option<Timestamp>,
    ready: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The directories that no Kustomization names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unconfigured: Vec<String>,
}

/// How changes come to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Changes {
    /// It is asked now and then.
    Polling,
    /// The forge calls, and it is asked now and then.
    Hook,
    /// A Receiver is there, or the hook of an entry, and nobody has called it yet.
    HookNotCalled,
}

pub(super) async fn status(args: &StatusArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let at = match args.all_namespaces {
        true => None,
        false => Some(namespace(args.namespace.as_deref(), &cluster)),
    };
    let found = found(args, &cluster, at).await?;
    let clock = Clock::system();
    let mut rows: Vec<Row> = found.iter().map(|one| row(one, clock.now())).collect();
    rows.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    if args.watch && args.form == Form::Yaml {
        let why = CommandError::new("what changes is not printed as YAML");
        return Err(why.hint("leave -o away, or say -o json"));
    }
    let text = match args.watch && args.form == Form::Json {
        true => rows.iter().map(one_line).collect::<Result<String, _>>()?,
        false => written(args.form, &rows, || {
            listed(&rows, clock.now(), true) + &left_alone(&rows)
        })?,
    };
    ui.data(text.as_bytes())?;
    if !args.watch {
        return Ok(());
    }
    let id = |row: &Row| Id {
        namespace: row.namespace.clone(),
        name: row.name.clone(),
    };
    let printed = rows.into_iter().map(|row| (id(&row), row)).collect();
    let told = |object: &GitRepository| row(object, clock.now());
    let print = |_: &GitRepository, row: &Row| {
        let is_wanted = args.name.as_ref().is_none_or(|name| row.name == *name);
        match (is_wanted, args.form) {
            (false, _) => Ok(()),
            (true, Form::Json) => ui.data(one_line(row)?.as_bytes()),
            (true, _) => ui.data(listed(std::slice::from_ref(row), clock.now(), false).as_bytes()),
        }
    };
    follow(&cluster, at, printed, told, print).await
}

/// JSON for a program that reads line by line.
fn one_line(row: &Row) -> Result<String, CommandError> {
    let text = serde_json::to_string(row);
    let failed = |why: serde_json::Error| CommandError::of("writing the answer failed", &why);
    text.map(|text| format!("{text}\n")).map_err(failed)
}

/// Those that are asked for.
async fn found(
    args: &StatusArgs,
    cluster: &Cluster,
    at: Option<&str>,
) -> Result<Vec<GitRepository>, CommandError> {
    let Some(name) = &args.name else {
        let all = cluster.all::<GitRepository>(at).await;
        return all.map_err(|why| {
            CommandError::of("listing GitRepositories failed", &why)
                .hint("you need the right to list them there; -n NS looks in one namespace only")
        });
    };
    let one = cluster.one::<GitRepository>(at, name).await;
    let shown = format!("{}/{name}", at.unwrap_or_default());
    let one = one
        .map_err(|why| CommandError::of(&format!("reading GitRepository {shown} failed"), &why))?;
    let missing = || {
        CommandError::new(format!("there is no GitRepository {shown}"))
            .hint("`reeve git status -A` lists those that you may see")
    };
    Ok(vec![one.ok_or_else(missing)?])
}

fn row(object: &GitRepository, now: Timestamp) -> Row {
    let (meta, spec) = (&object.metadata, &object.spec);
    let status = object.status.clone().unwrap_or_default();
    let upstream = status.upstream.unwrap_or_default();
    let ready = condition::find(&status.conditions, Type::Ready);
    let failed = ready.filter(|ready| ready.status == "False");
    let next = upstream.next_try.map(|next| next.0);
    let polling = upstream.polling.as_ref();
    let said = polling.and_then(|polling| polling.every.as_ref());
    let said = said.unwrap_or(&spec.interval);
    let every = match upstream.announced && said.get() < SAFETY {
        true => SAFETY.into(),
        false => said.clone(),
    };
    let called =
        !upstream.receivers.is_empty() || polling.is_some_and(|polling| polling.hook.is_some());
    let unhooked = polling.and_then(|polling| polling.problem.clone());
    Row {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        // Without the password that it may hold.
        url: format!("{:?}", spec.url),
        suspended: spec.suspend,
        login: upstream.login,
        changes: match (called, &upstream.delivery) {
            (false, _) => Changes::Polling,
            (true, None) => Changes::HookNotCalled,
            (true, Some(_)) => Changes::Hook,
        },
        interval: every.to_string(),
        polling: upstream.polling,
        receivers: upstream.receivers,
        last_delivery: upstream.delivery,
        last_fetch: upstream.fetch,
        head: upstream.head,
        // One that has passed was followed by others that nobody told of.
        next_try: next.filter(|next| *next >= now && !spec.suspend),
        ready: ready.map_or_else(|| "Unknown".to_owned(), |ready| ready.status.clone()),
        error: failed.map(|failed| failed.message.clone()).or(unhooked),
        unconfigured: upstream.unconfigured,
    }
}

fn listed(rows: &[Row], now: Timestamp, headed: bool) -> String {
    let head = [
        "NAMESPACE",
        "NAME",
        "URL",
        "LOGIN",
        "CHANGES",
        "DELIVERY",
        "FETCH",
        "HEAD",
        "NEXT TRY",
        "ERROR",
    ];
    let dash = || "-".to_owned();
    let cells = |row: &Row| {
        let fetch = row.last_fetch.as_ref();
        let delivery = row.last_delivery.as_ref();
        [
            row.namespace.clone(),
            row.name.clone(),
            row.url.clone(),
            row.login.as_ref().map_or_else(dash, login),
            changes(row),
            delivery.map_or_else(dash, |one| format!("{} ago", age(now, one.at.0))),
            fetch.map_or_else(dash, |one| fetched(one, now)),
            row.head.as_deref().map_or_else(dash, short),
            next(row, now),
            row.error.clone().unwrap_or_else(dash),
        ]
    };
    let head = headed.then(|| head.map(str::to_owned));
    let all: Vec<_> = head.into_iter().chain(rows.iter().map(cells)).collect();
    table(&all)
}

/// What nobody configured: told below the table, since it may be much.
fn left_alone(rows: &[Row]) -> String {
    let some = rows.iter().filter(|row| !row.unconfigured.is_empty());
    let line = |row: &Row| {
        let (namespace, name, dirs) = (&row.namespace, &row.name, row.unconfigured.join(", "));
        format!("\n{namespace}/{name}: left alone, since no Kustomization names it: {dirs}\n")
    };
    some.map(line).collect()
}

fn login(login: &LoginOrigin) -> String {
    match (&login.entry, &login.level) {
        (Some(entry), Some(level)) => format!("{entry} of {level}"),
        (None, Some(level)) => level.clone(),
        _ => login.from.clone(),
    }
}

fn changes(row: &Row) -> String {
    let polling = row.polling.as_ref();
    let path = polling.and_then(|polling| polling.hook.as_deref());
    let told = match (row.changes, path) {
        (Changes::Polling, _) => format!("every {}", row.interval),
        (Changes::Hook, _) => format!("hook, every {}", row.interval),
        // Whoever reads it is about to tell the forge.
        (Changes::HookNotCalled, Some(path)) => {
            format!("hook {path} (never called), every {}", row.interval)
        }
        (Changes::HookNotCalled, None) => format!("hook (never called), every {}", row.interval),
    };
    let from = polling.and_then(|polling| polling.entry.as_ref().zip(polling.level.as_ref()));
    let told = match from {
        Some((entry, level)) => format!("{told} by {entry} of {level}"),
        None => told,
    };
    match polling.and_then(|polling| polling.warning.as_ref()) {
        Some(warning) => format!("{told} (warning: {warning})"),
        None => told,
    }
}

fn fetched(fetch: &LastFetch, now: Timestamp) -> String {
    let (bytes, objects) = (bytes(fetch.bytes), fetch.objects);
    let ago = age(now, fetch.at.0);
    format!("{ago} ago, {bytes}, {objects} objects in {}", fetch.took)
}

fn next(row: &Row, now: Timestamp) -> String {
    match row.next_try {
        _ if row.suspended => "suspended".to_owned(),
        Some(next) => format!("in {}", age(next, now)),
        // Of what waits for a change of its own nothing more is known.
        None if row.error.is_some() => "-".to_owned(),
        None => format!("within {}", row.interval),
    }
}

/// A revision with as much of its commit as people read.
fn short(revision: &str) -> String {
    match revision.rsplit_once(':') {
        Some((before, commit)) => {
            let commit: String = commit.chars().take(8).collect();
            format!("{before}:{commit}")
        }
        None => revision.to_owned(),
    }
}

/// So many bytes, in the largest unit of which there is one.
fn bytes(count: i64) -> String {
    const UNITS: [(&str, i64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.into_iter().find(|(_, one)| count >= *one);
    match unit {
        Some((name, one)) => {
            let tenths = count.saturating_mul(10) / one;
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-22T18:00:00Z";

    fn shown(url: &str, status: Value) -> (Row, String) {
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "web", "namespace": "acme"},
            "spec": {"url": url, "interval": "1m"}, "status": status,
        });
        let object: GitRepository = serde_json::from_value(object).unwrap();
        let now = NOW.parse().unwrap();
        let row = row(&object, now);
        let line = listed(std::slice::from_ref(&row), now, false);
        (row, line)
    }

    #[test]
    fn a_repository_is_told_by_one_line() {
        let (row, line) = shown(
            "https://git.example/acme/web",
            json!({
                "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "",
                    "lastTransitionTime": NOW}],
                "upstream": {
                    "login": {"from": "git configuration", "level": "Project shop",
                        "entry": "auths[0] (git@git.example:acme/*)", "address": "ssh://git@git.example/acme/web"},
                    "receivers": ["acme/hook"],
                    "delivery": {"at": "2026-11-22T17:50:00Z", "receiver": "acme/hook"},
                    "fetch": {"at": "2026-11-22T17:59:30Z", "bytes": 1536, "objects": 12,
                        "revision": "main@sha1:0123456789abcdef", "took": "40ms"},
                    "head": "main@sha1:0123456789abcdef",
                    "nextTry": "2026-11-22T18:00:40Z",
                },
            }),
        );
        let want = "acme  web  https://git.example/acme/web  auths[0] (git@git.example:acme/*) of Project shop  \
                    hook, every 1m  10m ago  30s ago, 1.5 KiB, 12 objects in 40ms  main@sha1:01234567  in 40s  -\n";
        assert_eq!(line, want);
        assert_eq!((row.changes, &*row.ready), (Changes::Hook, "True"));
    }

    #[test]
    fn one_that_calls_tell_of_is_asked_by_itself_once_an_hour() {
        let upstream = json!({
            "announced": true, "receivers": ["acme/hook"],
            "delivery": {"at": "2026-11-22T17:50:00Z", "receiver": "acme/hook"},
        });
        let (row, line) = shown("https://git.example/web", json!({"upstream": upstream}));
        assert!(line.contains("hook, every 1h0m0s"), "{line}");
        assert_eq!(row.interval, "1h0m0s");
    }

    #[test]
    fn what_git_configuration_says_of_polling_is_told_with_its_entry_and_its_path() {
        let told = |polling: Value, delivery: Value| {
            let upstream = json!({"polling": polling, "delivery": delivery});
            shown("https://git.example/web", json!({"upstream": upstream}))
        };
        let every =
            json!({"every": "20s", "entry": "auths[0] (git@git.example:*)", "level": "global"});
        let (row, line) = told(every, Value::Null);
        assert_eq!((row.changes, &*row.interval), (Changes::Polling, "20s"));
        let want = "every 20s by auths[0] (git@git.example:*) of global";
        assert!(line.contains(want), "{line}");
        let hook =
            json!({"hook": "/hook/0", "entry": "gitHubAuths[0] (a/b)", "level": "Tenant web"});
        let (row, line) = told(hook.clone(), Value::Null);
        assert_eq!(row.changes, Changes::HookNotCalled);
        let want = "hook /hook/0 (never called), every 1m by gitHubAuths[0] (a/b) of Tenant web";
        assert!(line.contains(want), "{line}");
        let delivery =
            json!({"at": "2026-11-22T17:50:00Z", "receiver": "gitHubAuths (a/b) of Tenant web"});
        let (row, line) = told(hook, delivery);
        assert_eq!(row.changes, Changes::Hook);
        assert!(!line.contains("/hook/0"), "{line}");
        assert!(one_line(&row).unwrap().contains("\"hook\":\"/hook/0\""));
        let short = json!({"hook": "/hook/0", "warning": "the webhookSecret is short"});
        let (_, line) = told(short, Value::Null);
        let want = "every 1m (warning: the webhookSecret is short)";
        assert!(line.contains(want), "{line}");
        let problem = json!({"problem": "Secret home/x has no key y"});
        let (row, _) = told(problem, Value::Null);
        assert_eq!(row.error.as_deref(), Some("Secret home/x has no key y"));
    }

    #[test]
    fn directories_that_nobody_configured_are_listed_below_the_table() {
        let upstream = json!({"unconfigured": ["apps/old", "clusters/test"]});
        let (row, _) = shown("https://git.example/web", json!({"upstream": upstream}));
        let want =
            "\nacme/web: left alone, since no Kustomization names it: apps/old, clusters/test\n";
        assert_eq!(left_alone(std::slice::from_ref(&row)), want);
        assert!(
            one_line(&row)
                .unwrap()
                .contains("\"unconfigured\":[\"apps/old\"")
        );
        let (row, _) = shown("https://git.example/web", json!({}));
        assert_eq!(left_alone(std::slice::from_ref(&row)), "");
        assert!(!one_line(&row).unwrap().contains("unconfigured"));
    }

    #[test]
    fn what_is_not_known_yet_is_told_as_such_and_no_password_at_all() {
        let (row, line) = shown("https://ada:hunter2@git.example/web", json!({}));
        let json = serde_json::to_string(&row).unwrap();
        assert!(
            !json.contains("hunter2") && !line.contains("hunter2"),
            "{json} {line}"
        );
        assert!(
            line.contains("every 1m") && line.contains("within 1m"),
            "{line}"
        );
        assert_eq!(row.ready, "Unknown");
    }

    #[test]
    fn what_is_wrong_is_told_and_a_try_that_has_passed_is_not() {
        let failed = |next: &str| {
            json!({
                "conditions": [{"type": "Ready", "status": "False", "reason": "GitOperationFailed",
                    "message": "no answer", "lastTransitionTime": NOW}],
                "upstream": {"receivers": ["acme/hook"], "nextTry": next},
            })
        };
        let (row, line) = shown("https://git.example/web", failed("2026-11-22T18:05:00Z"));
        assert_eq!(row.error.as_deref(), Some("no answer"));
        assert!(line.ends_with("in 5m  no answer\n"), "{line}");
        assert!(line.contains("hook (never called), every 1m"), "{line}");
        let (row, _) = shown("https://git.example/web", failed("2026-11-22T17:05:00Z"));
        assert_eq!(row.next_try, None);
    }

    #[test]
    fn bytes_are_told_in_the_largest_unit_of_which_there_is_one() {
        for (count, want) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
        ] {
            assert_eq!(bytes(count), want);
        }
    }
}
