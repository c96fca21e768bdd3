//! `reeve tenant show`: one Tenant, what it has and what was made of it.

use clap::Args;
use reeve_api::condition::{self, Type};
use reeve_api::name::{NamespaceName, ObjectName, ServiceAccountName, TenantName};
use reeve_api::tenant::{DeletionPolicy, Departure, Reader, Tenant};
use serde::Serialize;

use super::{said, there};
use crate::cli::connection::ConnectionArgs;
use crate::cli::text::{Form, table, written};
use crate::cli::ui::CommandError;
use crate::observe::Requests;

/// Show a Tenant: what it has, and what the landlord says of it
///
/// Example: `reeve tenant show acme`
#[derive(Args)]
pub(super) struct ShowArgs {
    /// The one to show
    name: TenantName,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

/// One Tenant.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    name: TenantName,
    ready: String,
    onboarded: String,
    namespaces: Vec<Place>,
    service_account_name: ServiceAccountName,
    role: ObjectName,
    owners: Vec<String>,
    readers: Vec<String>,
    domains: Vec<String>,
    registries: Vec<String>,
    deletion_policy: DeletionPolicy,
    /// What its deletion waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    departure: Option<Departure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// One of its namespaces.
#[derive(Serialize)]
struct Place {
    name: NamespaceName,
    /// Whether the Tenant has it, and not an older one.
    has: bool,
}

pub(super) async fn show(args: &ShowArgs) -> Result<String, CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let tenant = there(&cluster, &args.name).await?;
    let shown = shown(&args.name, &tenant);
    written(args.form, &shown, || drawn(&shown))
}

fn shown(name: &TenantName, tenant: &Tenant) -> Shown {
    let spec = &tenant.spec;
    let status = tenant.status.clone().unwrap_or_default();
    let ready = condition::find(&status.conditions, Type::Ready);
    let onboarded = said(tenant).map(|said| match said.done {
        true => said.message.clone(),
        false => format!("not yet: {}", said.message),
    });
    let place = |one: &NamespaceName| Place {
        name: one.clone(),
        has: status.namespaces.contains(one),
    };
    Shown {
        name: name.clone(),
        ready: ready.map_or_else(
            || "Unknown".to_owned(),
            |ready| format!("{}: {}", ready.status, ready.message),
        ),
        onboarded: onboarded.unwrap_or_else(|| "nothing is said of it by now".to_owned()),
        namespaces: spec.namespaces.iter().map(place).collect(),
        service_account_name: spec.service_account_name.clone(),
        role: spec.role.clone(),
        owners: spec.owners.clone(),
        readers: spec.readers.iter().map(reader).collect(),
        domains: spec.domains.clone(),
        registries: spec.registries.clone(),
        deletion_policy: spec.deletion_policy,
        departure: status.departure.clone(),
        // Printed like this a password in it is not.
        source: spec
            .source
            .as_ref()
            .map(|source| format!("{:?}", source.url)),
    }
}

fn reader(reader: &Reader) -> String {
    match reader.exec {
        true => format!("{} (exec)", reader.group),
        false => reader.group.clone(),
    }
}

fn drawn(shown: &Shown) -> String {
    let place = |one: &Place| match one.has {
        true => one.name.to_string(),
        false => format!("{} (another's)", one.name),
    };
    let namespaces: Vec<String> = shown.namespaces.iter().map(place).collect();
    let rows = [
        ("NAME", shown.name.to_string()),
        ("READY", shown.ready.clone()),
        ("ONBOARDED", shown.onboarded.clone()),
        ("NAMESPACES", namespaces.join(", ")),
        ("ACCOUNT", shown.service_account_name.to_string()),
        ("ROLE", shown.role.to_string()),
        ("OWNERS", shown.owners.join(", ")),
        ("READERS", shown.readers.join(", ")),
        ("DOMAINS", shown.domains.join(", ")),
        ("REGISTRIES", shown.registries.join(", ")),
        ("SOURCE", shown.source.clone().unwrap_or_default()),
        ("WHEN DELETED", format!("{:?}", shown.deletion_policy)),
        (
            "DELETION",
            shown
                .departure
                .as_ref()
                .map(|departure| departure.message.clone())
                .unwrap_or_default(),
        ),
    ];
    let said = rows.into_iter().filter(|(_, value)| !value.is_empty());
    let rows: Vec<[String; 2]> = said.map(|(key, value)| [key.to_owned(), value]).collect();
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tenant_is_shown_with_what_is_another_s_and_without_a_password() {
        let tenant: Tenant = serde_json::from_value(json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant",
            "metadata": {"name": "acme", "generation": 2},
            "spec": {
                "namespaces": ["acme", "b"],
                "source": {"url": "https://bot:hunter2@git.example/acme"},
                "readers": [{"group": "a"}, {"group": "b", "exec": true}],
                "deletionPolicy": "Delete",
            },
            "status": {
                "namespaces": ["acme"],
                "departure": {"message": "acme waits", "namespaces": ["acme"]},
                "onboarding": {"done": false, "message": "why", "observedGeneration": 2, "reason": "OnboardingFailed"},
            },
        }))
        .unwrap();
        let text = drawn(&shown(&"acme".parse().unwrap(), &tenant));
        assert!(text.contains("acme, b (another's)"), "{text}");
        assert!(text.contains("not yet: why"), "{text}");
        for words in ["a, b (exec)", "Delete", "acme waits"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(
            text.contains("git.example") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
