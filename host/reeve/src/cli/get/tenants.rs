//! Tenants: what each has, and what it uses of what it may.

use clap::Args;
use reeve_api::name::NamespaceName;
use reeve_api::tenant::{Limits, Tenant, Usage};
use serde::Serialize;

use super::ready;
use crate::cli::connection::ConnectionArgs;
use crate::cli::text::{Form, table, written};
use crate::cli::ui::CommandError;
use crate::observe::Requests;

/// Show Tenants, and what each uses of what it may
///
/// What is used was told by the controller in the Tenant's status, within the last minute where it changed by a tenth of the
/// limit; the rates are those of the last whole minute before that. `12/60` is twelve of sixty, `12` has no limit.
///
/// Examples: `reeve get tenants`, `reeve get tenants acme -o yaml`
#[derive(Args)]
pub(in crate::cli) struct TenantsArgs {
    /// The one to show; without, all
    name: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

/// One Tenant, in short.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    ready: String,
    namespaces: Vec<NamespaceName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    message: String,
}

pub(in crate::cli) async fn get(args: &TenantsArgs) -> Result<String, CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let failed = |why| CommandError::of("reading Tenants failed", &why);
    let mut found = match &args.name {
        Some(name) => {
            let one = cluster.one::<Tenant>(None, name).await.map_err(failed)?;
            let one = one.ok_or_else(|| CommandError::new(format!("there is no Tenant {name}")))?;
            vec![one]
        }
        None => cluster.all::<Tenant>(None).await.map_err(failed)?,
    };
    found.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
    let rows: Vec<Row> = found.into_iter().map(row).collect();
    written(args.form, &rows, || listed(&rows))
}

fn row(object: Tenant) -> Row {
    let status = object.status.unwrap_or_default();
    let (ready, message) = ready(&status.conditions);
    Row {
        name: object.metadata.name.unwrap_or_default(),
        ready,
        namespaces: status.namespaces,
        usage: status.usage,
        limits: status.limits,
        message,
    }
}

fn listed(rows: &[Row]) -> String {
    let head = [
        "NAME",
        "READY",
        "NAMESPACES",
        "KUSTOMIZATIONS",
        "OBJECTS",
        "RECONCILES/MIN",
        "RENDER-MS/MIN",
        "WRITES/MIN",
        "MESSAGE",
    ];
    let head = std::iter::once(head.map(str::to_owned));
    let all: Vec<_> = head.chain(rows.iter().map(cells)).collect();
    table(&all)
}

fn cells(row: &Row) -> [String; 9] {
    let limits = row.limits.unwrap_or_default();
    let of = |used: fn(&Usage) -> i64, limit: Option<i64>| match (row.usage.as_ref(), limit) {
        (Some(usage), Some(limit)) => format!("{}/{limit}", used(usage)),
        (Some(usage), None) => used(usage).to_string(),
        (None, Some(limit)) => format!("-/{limit}"),
        (None, None) => "-".to_owned(),
    };
    let rate = limits.reconciles_per_minute;
    let render = limits.render_milliseconds_per_minute;
    [
        row.name.clone(),
        row.ready.clone(),
        row.namespaces.len().to_string(),
        of(|usage| usage.kustomizations, limits.kustomizations),
        of(|usage| usage.objects, limits.objects),
        of(|usage| usage.reconciles_per_minute, rate),
        of(|usage| usage.render_milliseconds_per_minute, render),
        of(|usage| usage.writes_per_minute, limits.writes_per_minute),
        row.message.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stands_beside_its_limit_where_there_is_one() {
        let row = |usage, limits| Row {
            name: "acme".to_owned(),
            ready: "True".to_owned(),
            namespaces: vec!["acme".parse().unwrap()],
            usage,
            limits,
            message: "has 1 namespace".to_owned(),
        };
        let usage = Usage {
            kustomizations: 2,
            objects: 40,
            ..Usage::default()
        };
        let limits = Limits {
            objects: Some(50),
            writes_per_minute: Some(9),
            ..Limits::default()
        };
        let told = cells(&row(Some(usage), Some(limits)));
        assert_eq!(told[3..8], ["2", "40/50", "0", "0", "0/9"]);
        let told = cells(&row(None, Some(limits)));
        assert_eq!(told[3..8], ["-", "-/50", "-", "-", "-/9"]);
    }
}
