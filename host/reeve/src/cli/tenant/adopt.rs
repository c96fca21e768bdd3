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
use crate::cluster::{Borne, CallError, Cluster};
use crate::observe::Requests;

/// Have a namespace that was made by hand adopted for a Tenant, and wait until it is onboarded
///
/// The namespace is labelled with the Tenant's name, and the Tenant names it, and the source of its name in the platform's
/// configuration namespace, unless that is another Tenant's; where there is no such Tenant, it is made. What is in the namespace
/// stays as it is. The account gets the role of the Tenant there, beside what it has.
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
    let borne = is_free(&cluster, namespace, &name).await?;
    let source = source(&cluster, namespace, &name, ui).await?;
    ui.step(
        Sign::Doing,
        &format!("adopting namespace {namespace} for Tenant {name}"),
    );
    let there = found(&cluster, &name).await?;
    let before = there.as_ref().and_then(|tenant| said(tenant).cloned());
    if borne.label.as_deref() != Some(name.as_str()) {
        let adopted = cluster.adopt_namespace(namespace, &name).await;
        adopted.map_err(|why| {
            CommandError::of(&format!("labelling namespace {namespace} failed"), &why)
                .hint("you need the right to patch namespaces")
        })?;
    }
    let written = match there {
        None => {
            let tenant = object(&name, fresh(args, source.as_ref()));
            cluster.create_tenant(&tenant).await
        }
        Some(tenant) => match more(&tenant, namespace, source) {
            None => Ok(()),
            Some(spec) => cluster.change_tenant(&tenant, &spec).await,
        },
    };
    if let Err(why) = written {
        return Err(undone(&cluster, namespace, &name, &borne, &why).await);
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
    borne: &Borne,
    why: &CallError,
) -> CommandError {
    let failed = CommandError::of(&format!("writing Tenant {name} failed"), why);
    let rights = "you need the right to create and patch tenants.reeve.dev; then run it again";
    match cluster.label_again(namespace, borne).await {
        Ok(()) => failed.hint(rights),
        Err(why) => failed.hint(format!(
            "{rights}. Namespace {namespace} still bears its label, since that could not be undone: {why}"
        )),
    }
}

/// The namespace is there, and no Tenant that there is has it. Returns what it bears.
async fn is_free(
    cluster: &Cluster,
    namespace: &NamespaceName,
    name: &TenantName,
) -> Result<Borne, CommandError> {
    let failed = |why| CommandError::of(&format!("reading namespace {namespace} failed"), &why);
    let there = cluster.namespace(namespace).await.map_err(failed)?;
    let there = there.ok_or_else(|| {
        CommandError::new(format!("there is no namespace {namespace}"))
            .hint("`reeve tenant create` makes a Tenant and its namespaces")
    })?;
    let seen = seen(&there);
    let borne = Borne::by(&there);
    let whose = seen.tenant().filter(|whose| *whose != name.as_str());
    let Some(Ok(whose)) = whose.map(str::parse::<TenantName>) else {
        return Ok(borne);
    };
    match found(cluster, &whose).await? {
        Some(tenant) if tenant.spec.namespaces.contains(namespace) => Err(CommandError::new(
            format!("namespace {namespace} belongs to Tenant {whose}"),
        )
        .hint(format!(
            "remove it from spec.namespaces of Tenant {whose} first"
        ))),
        _ => Ok(borne),
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

/// The source of the namespace's name that the Tenant comes to name too; None, and told: it is another Tenant's.
async fn source(
    cluster: &Cluster,
    namespace: &NamespaceName,
    name: &TenantName,
    ui: &mut Ui,
) -> Result<Option<ObjectName>, CommandError> {
    let all = cluster.all::<Tenant>(None).await;
    let all = all.map_err(|why| {
        CommandError::of("reading Tenants failed", &why)
            .hint("you need the right to list tenants.reeve.dev, which say whose a source is")
    })?;
    if let Some(other) = whose_source(&all, name, namespace.as_str()) {
        ui.note(&format!(
            "the source {namespace} of the configuration namespace is Tenant {other}'s: Tenant {name} does not come to name it. spec.sources of Tenant {name} does, if it is to be shared"
        ));
        return Ok(None);
    }
    Ok(namespace.as_str().parse().ok())
}

/// Another Tenant that has the source of that name: it is made of that one, or that one names it.
fn whose_source<'t>(all: &'t [Tenant], name: &TenantName, source: &str) -> Option<&'t str> {
    all.iter().find_map(|tenant| {
        let other = tenant.metadata.name.as_deref()?;
        let made = tenant.spec.source.is_some() && other == source;
        let has = made || tenant.spec.sources.iter().any(|one| *one == source);
        (has && other != name.as_str()).then_some(other)
    })
}

fn fresh(args: &AdoptArgs, source: Option<&ObjectName>) -> Value {
    json!({
        "namespaces": [args.namespace], "sources": source.into_iter().collect::<Vec<_>>(),
        "serviceAccountName": args.service_account, "role": args.role,
    })
}

/// What has to be another in the Tenant's spec; None: nothing.
fn more(tenant: &Tenant, namespace: &NamespaceName, source: Option<ObjectName>) -> Option<Value> {
    let mut namespaces = tenant.spec.namespaces.clone();
    if namespaces.contains(namespace) {
        return None;
    }
    namespaces.push(namespace.clone());
    let mut sources = tenant.spec.sources.clone();
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
        let more = |namespace: &str| {
            let source = namespace.parse().unwrap();
            super::more(&tenant, &namespace.parse().unwrap(), Some(source))
        };
        assert_eq!(more("acme"), None);
        assert_eq!(
            more("dev"),
            Some(json!({"namespaces": ["acme", "dev"], "sources": ["dev"]}))
        );
        assert_eq!(
            more("b"),
            Some(json!({"namespaces": ["acme", "b"], "sources": ["dev", "b"]}))
        );
        assert_eq!(
            super::more(&tenant, &"b".parse().unwrap(), None),
            Some(json!({"namespaces": ["acme", "b"], "sources": ["dev"]}))
        );
    }

    #[test]
    fn a_source_that_another_tenant_has_comes_with_no_namespace() {
        let tenant = |name: &str, spec: Value| -> Tenant {
            serde_json::from_value(json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
                "spec": spec,
            }))
            .unwrap()
        };
        let all = [
            tenant(
                "web",
                json!({"namespaces": ["web-a"], "source": {"url": "https://git.example/web"}}),
            ),
            tenant("bare", json!({"namespaces": ["bare-a"]})),
            tenant("db", json!({"namespaces": ["db"], "sources": ["shared"]})),
        ];
        let whose = |name: &str, source: &str| whose_source(&all, &name.parse().unwrap(), source);
        assert_eq!(whose("acme", "web"), Some("web"));
        assert_eq!(whose("acme", "shared"), Some("db"));
        assert_eq!(whose("acme", "bare"), None);
        assert_eq!(whose("acme", "acme"), None);
        assert_eq!((whose("web", "web"), whose("db", "shared")), (None, None));
    }

    #[test]
    fn whose_a_namespace_is_stands_in_its_label() {
        let namespace = json!({"metadata": {"labels": {"reeve.dev/tenant": "acme"}}});
        assert_eq!(seen(&namespace).tenant(), Some("acme"));
        assert_eq!(seen(&json!({"metadata": {}})).tenant(), None);
    }
}
