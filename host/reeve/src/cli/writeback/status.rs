//! How WriteBacks are: what was written, what was not and why, and what both sides had changed; from their status.

use clap::Args;
use reeve_api::condition::{self, Type};
use reeve_api::writeback::{WriteBack, WriteBackStatus};
use serde::Serialize;

use crate::cli::connection::ConnectionArgs;
use crate::cli::get::{named, namespace};
use crate::cli::text::{Form, table, written};
use crate::cli::ui::{CommandError, Ui};
use crate::cluster::Cluster;
use crate::observe::Requests;

/// Show how WriteBacks are: what was written, what was not and why
///
/// Of one that is named each object is told. Values of fields stand in the commits.
///
/// Examples: `reeve writeback status -A`, `reeve writeback status back -n acme -o json`
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
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

/// One WriteBack.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    name: String,
    ready: String,
    suspended: bool,
    message: String,
    #[serde(flatten)]
    status: WriteBackStatus,
}

pub(super) async fn status(args: &StatusArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let found = found(args, &cluster).await?;
    let rows: Vec<Row> = found.iter().map(row).collect();
    let text = match (&args.name, rows.as_slice()) {
        (Some(_), [one]) => written(args.form, one, || told(one)),
        _ => written(args.form, &rows, || listed(&rows)),
    };
    ui.data(text?.as_bytes())
}

async fn found(args: &StatusArgs, cluster: &Cluster) -> Result<Vec<WriteBack>, CommandError> {
    let at = match args.all_namespaces {
        true => None,
        false => Some(namespace(args.namespace.as_deref(), cluster)),
    };
    if let (Some(name), Some(at)) = (&args.name, at) {
        return one(cluster, at, name).await.map(|found| vec![found]);
    }
    let all = cluster.all::<WriteBack>(at).await;
    all.map_err(|why| CommandError::of("listing WriteBacks failed", &why))
}

/// A WriteBack that has to be there.
pub(super) async fn one(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<WriteBack, CommandError> {
    let id = named(namespace, name)?;
    let found = cluster.one::<WriteBack>(Some(namespace), name).await;
    let doing = format!("reading WriteBack {id} failed");
    let found = found.map_err(|why| CommandError::of(&doing, &why))?;
    found.ok_or_else(|| {
        CommandError::new(format!("there is no WriteBack {id}"))
            .hint("`reeve writeback status -A` lists those that you may see")
    })
}

fn row(object: &WriteBack) -> Row {
    let meta = &object.metadata;
    let status = object.status.clone().unwrap_or_default();
    let ready = condition::find(&status.conditions, Type::Ready);
    Row {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        ready: ready.map_or_else(|| "Unknown".to_owned(), |ready| ready.status.clone()),
        suspended: object.spec.suspend,
        message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
        status,
    }
}

fn listed(rows: &[Row]) -> String {
    let head = [
        "NAMESPACE",
        "NAME",
        "READY",
        "SUSPENDED",
        "COMMIT",
        "REFUSED",
        "CONFLICTS",
        "MESSAGE",
    ];
    let cells = |row: &Row| {
        let status = &row.status;
        let commit = status.last_commit.as_ref();
        [
            row.namespace.clone(),
            row.name.clone(),
            row.ready.clone(),
            row.suspended.to_string(),
            commit.map_or_else(|| "-".to_owned(), |commit| commit.revision.clone()),
            status.refused.len().to_string(),
            status.conflicts.len().to_string(),
            row.message.clone(),
        ]
    };
    let head = std::iter::once(head.map(str::to_owned));
    let all: Vec<_> = head.chain(rows.iter().map(cells)).collect();
    table(&all)
}

/// One of them, object by object.
fn told(row: &Row) -> String {
    let mut out = listed(std::slice::from_ref(row));
    let status = &row.status;
    let head = ["OBJECT", "WHAT", "FIELDS", "WHERE OR WHY"].map(str::to_owned);
    let mut rows = vec![head];
    rows.extend(status.written.iter().map(|one| {
        let commit = one.commit.chars().take(60).collect::<String>();
        let place = format!("{} in {commit}", one.files.join(", "));
        let what = match &one.by {
            Some(by) => format!("written, by {by}"),
            None => "written".to_owned(),
        };
        [one.object.clone(), what, one.fields.join(", "), place]
    }));
    rows.extend(status.refused.iter().map(|one| {
        let why = match &one.hint {
            Some(hint) => format!("{}; {hint}", one.reason),
            None => one.reason.clone(),
        };
        let field = one.field.clone().unwrap_or_default();
        [one.object.clone(), "refused".to_owned(), field, why]
    }));
    rows.extend(status.conflicts.iter().map(|one| {
        let why = format!("{} counts", one.winner);
        let (object, field) = (one.object.clone(), one.field.clone());
        [object, "conflict".to_owned(), field, why]
    }));
    let paused = status.paused.iter();
    rows.extend(paused.map(|one| {
        let none = String::new();
        [one.clone(), "paused".to_owned(), none.clone(), none]
    }));
    rows.extend(status.listed.iter().map(|one| {
        let why = "once in an interval: there are not enough watches".to_owned();
        [one.clone(), "listed".to_owned(), String::new(), why]
    }));
    if rows.len() > 1 {
        out.push('\n');
        out.push_str(&table(&rows));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_written_and_what_was_not_is_told_object_by_object() {
        let object = json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "WriteBack",
            "metadata": {"name": "back", "namespace": "acme"},
            "spec": {"sourceRef": {"name": "repo"}, "rules": [{"syncTo": "git"}]},
            "status": {
                "written": [{"object": "Deployment acme/web", "commit": "main@sha1:1", "by": "keel",
                    "fields": ["spec.replicas"], "files": ["web.yaml"]}],
                "refused": [{"object": "Secret acme/token", "reason": "is a Secret", "hint": "keep it out"}],
                "conflicts": [{"object": "Deployment acme/api", "field": "spec.replicas", "winner": "kubernetes"}],
                "paused": ["ConfigMap acme/a"],
                "listed": ["zebras.example.org in acme"],
            },
        });
        let row = row(&serde_json::from_value(object).unwrap());
        let text = told(&row);
        let mut lines = text.lines();
        let mut next = || {
            lines
                .next()
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert!(next().starts_with("NAMESPACE NAME READY"));
        assert_eq!(next(), "acme back Unknown false - 1 1");
        assert_eq!(next(), "");
        assert_eq!(next(), "OBJECT WHAT FIELDS WHERE OR WHY");
        assert_eq!(
            next(),
            "Deployment acme/web written, by keel spec.replicas web.yaml in main@sha1:1"
        );
        assert_eq!(next(), "Secret acme/token refused is a Secret; keep it out");
        assert_eq!(
            next(),
            "Deployment acme/api conflict spec.replicas kubernetes counts"
        );
        assert_eq!(next(), "ConfigMap acme/a paused");
        assert_eq!(
            next(),
            "zebras.example.org in acme listed once in an interval: there are not enough watches"
        );
    }
}
