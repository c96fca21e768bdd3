//! `reeve tenant adopt`: a namespace that was made by hand becomes a Tenant's.

use clap::Args;
use reeve_api::duration::Duration;
use reeve_api::name::{NamespaceName, ObjectName, ServiceAccountName, TenantName};
use reeve_api::tenant::Tenant;
use reeve_core::landlord::{self, Seen};
use serde_json::{Value, json};

use super::{found, object, onboarded, said};
use crate::cli::connection::ConnectionArgs;
use crate::cli::grounds::NamespaceArgs;
use crate::cli::policy::subject::told;
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::cluster::{CallError, Cluster};
use crate::observe::Requests;

/// Have a namespace that was made by hand adopted for a Tenant, and wait until it is onboarded
///
/// The namespace is labelled with the Tenant's name, and the Tenant names it, and the source of its name in the platform's
/// configuration namespace; where there is no such Tenant, it is made. What is in the namespace stays as it is. The account
/// gets the role of the Tenant there, beside what it has.
///
/// Examples: `reeve tenant adopt acme`, `reeve tenant adopt acme-dev --tenant acme`
#[derive(Args)]
pub(super) struct AdoptArgs {
    /// The namespace
    namespace: NamespaceName,
    /// The Tenant whose it is to be; without, one of the namespace's name
    #[arg(long, value_name = "NAME")]
    tenant: Option<TenantName>,
    /// The account in the namespace, of a Tenant that is made
    #[arg(long, value_name = "NAME", default_value = "flux")]
    service_account: ServiceAccountName,
    /// The ClusterRole that the account has there, of a Tenant that is made
    #[arg(long, value_name = "NAME", default_value = "admin")]
    role: ObjectName,
    /// How long to wait for the landlord
    #[arg(long, value_name = "TIME", default_value = "1m")]
    timeout: Duration,
    #[command(flatten)]
    namespaces: NamespaceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn adopt(args: &AdoptArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let namespace = &args.namespace;
    let name = args.tenant.clone();
    let name = name.unwrap_or_else(|| TenantName::from(namespace.clone()));
    is_for_tenants(args, &name)?;
    let cluster = args.connection.connect(Requests::default()).await?;
    let labelled = is_free(&cluster, namespace, &name).await?;
    ui.step(
        Sign::Doing,
        &format!("adopting namespace {namespace} for Tenant {name}"),
    );
    let there = found(&cluster, &name).await?;
    let before = there.as_ref().and_then(|tenant| said(tenant).cloned());
    if labelled.as_deref() != Some(name.as_str()) {
        let adopted = cluster.adopt_namespace(namespace, &name).await;
        adopted.map_err(|why| {
            CommandError::of(&format!("labelling namespace {namespace} failed"), &why)
                .hint("you need the right to patch namespaces")
        })?;
    }
    let written = match there {
        None => cluster.create_tenant(&object(&name, fresh(args))).await,
        Some(tenant) => match more(&tenant, namespace) {
            None => Ok(()),
            Some(spec) => cluster.change_tenant(&tenant, &spec).await,
        },
    };
    if let Err(why) = written {
        return Err(undone(&cluster, namespace, &name, labelled.as_deref(), &why).await);
    }
    onboarded(&cluster, &name, before.as_ref(), args.timeout.get(), ui).await
}

/// The namespace is neither the platform's nor Kubernetes' own: nobody may label those a tenant's, whoever would refuse it later.
fn is_for_tenants(args: &AdoptArgs, name: &TenantName) -> Result<(), CommandError> {
    let namespace = &args.namespace;
    let NamespaceArgs {
        platform_namespaces,
        config_namespaces,
    } = &args.namespaces;
    let mut own = platform_namespaces.iter().chain(config_namespaces);
    if own.any(|one| one == namespace) {
        let message = format!("namespace {namespace} is the platform's own");
        let hint =
            "--platform-namespaces and --config-namespaces say which are, as to the controller";
        return Err(CommandError::new(message).hint(hint));
    }
    landlord::claim(name, namespace, None).map_err(told)
}

/// The Tenant could not be written: the namespace bears the label again that it had, or policies and others that go by it would
/// take it for that Tenant's.
async fn undone(
    cluster: &Cluster,
    namespace: &NamespaceName,
    name: &TenantName,
    labelled: Option<&str>,
    why: &CallError,
) -> CommandError {
    let failed = CommandError::of(&format!("writing Tenant {name} failed"), why);
    let rights = "you need the right to create and patch tenants.reeve.dev; then run it again";
    match cluster.label_again(namespace, labelled).await {
        Ok(()) => failed.hint(rights),
        Err(why) => failed.hint(format!(
            "{rights}. Namespace {namespace} still bears its label, since that could not be undone: {why}"
        )),
    }
}

/// The namespace is there, and no Tenant that there is has it. Returns whose label it bears.
async fn is_free(
    cluster: &Cluster,
    namespace: &NamespaceName,
    name: &TenantName,
) -> Result<Option<String>, CommandError> {
    let failed = |why| CommandError::of(&format!("reading namespace {namespace} failed"), &why);
    let there = cluster.namespace(namespace).await.map_err(failed)?;
    let there = there.ok_or_else(|| {
        CommandError::new(format!("there is no namespace {namespace}"))
            .hint("`reeve tenant create` makes a Tenant and its namespaces")
    })?;
    let seen = seen(&there);
    let labelled = seen.tenant().map(str::to_owned);
    let whose = seen.tenant().filter(|whose| *whose != name.as_str());
    let Some(Ok(whose)) = whose.map(str::parse::<TenantName>) else {
        return Ok(labelled);
    };
    match found(cluster, &whose).await? {
        Some(tenant) if tenant.spec.namespaces.contains(namespace) => Err(CommandError::new(
            format!("namespace {namespace} belongs to Tenant {whose}"),
        )
        .hint(format!(
            "remove it from spec.namespaces of Tenant {whose} first"
        ))),
        _ => Ok(labelled),
    }
}

/// A namespace as the landlord sees it.
pub(super) fn seen(namespace: &Value) -> Seen {
    let meta = namespace.get("metadata").cloned().unwrap_or_default();
    let labels = meta.get("labels").cloned().unwrap_or_default();
    let annotations = meta.get("annotations").cloned().unwrap_or_default();
    Seen::new(
        serde_json::from_value(labels).unwrap_or_default(),
        &serde_json::from_value(annotations).unwrap_or_default(),
        meta.get("deletionTimestamp").is_some(),
    )
}

fn fresh(args: &AdoptArgs) -> Value {
    let namespace = &args.namespace;
    json!({
        "namespaces": [namespace], "sources": [namespace],
        "serviceAccountName": args.service_account, "role": args.role,
    })
}

/// What has to be another in the Tenant's spec; None: nothing.
fn more(tenant: &Tenant, namespace: &NamespaceName) -> Option<Value> {
    let mut namespaces = tenant.spec.namespaces.clone();
    if namespaces.contains(namespace) {
        return None;
    }
    namespaces.push(namespace.clone());
    let mut sources = tenant.spec.sources.clone();
    let source: Option<ObjectName> = namespace.as_str().parse().ok();
    sources.extend(source.filter(|source| !tenant.spec.sources.contains(source)));
    Some(json!({"namespaces": namespaces, "sources": sources}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_added_to_what_a_tenant_has_once() {
        let tenant: Tenant = serde_json::from_value(json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"},
            "spec": {"namespaces": ["acme"], "sources": ["dev"]},
        }))
        .unwrap();
        assert_eq!(more(&tenant, &"acme".parse().unwrap()), None);
        assert_eq!(
            more(&tenant, &"dev".parse().unwrap()),
            Some(json!({"namespaces": ["acme", "dev"], "sources": ["dev"]}))
        );
        assert_eq!(
            more(&tenant, &"b".parse().unwrap()),
            Some(json!({"namespaces": ["acme", "b"], "sources": ["dev", "b"]}))
        );
    }

    #[test]
    fn whose_a_namespace_is_stands_in_its_label() {
        let namespace = json!({"metadata": {"labels": {"reeve.dev/tenant": "acme"}}});
        assert_eq!(seen(&namespace).tenant(), Some("acme"));
        assert_eq!(seen(&json!({"metadata": {}})).tenant(), None);
    }
}
