//! `reeve tenant import`: Tenants of what another landlord or Flux's multi-tenancy guides left.
//!
//! Reading, building and writing. What means what is `core::landlord::import`'s.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use reeve_api::name::{NamespaceName, ObjectName, ServiceAccountName, TenantName};
use reeve_api::tenant::Tenant;
use reeve_core::landlord::import::{Import, Imported, flux, values};
use reeve_kustomize::{Options, build, parse_data};
use serde_json::Value;

use super::object;
use crate::cli::build::disk::{self, Disk};
use crate::cli::connection::ConnectionArgs;
use crate::cli::grounds::GroundArgs;
use crate::cli::text::{counted, yaml};
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::cluster::{Borne, CallError, Cluster};
use crate::observe::Requests;

/// The largest values file.
const LARGEST: u64 = 4 << 20;

/// Make Tenants of a landlord's values file, or of the tenants of a Flux repository
///
/// FILE holds the values of VT's landlord chart: `tenants`, by name, with `domains`, `rbac`, `flux` and `quotas`. A directory is one with a
/// kustomization file that builds what `flux create tenant` wrote, such as `tenants/production`. The Tenants are printed, and what is
/// not taken over is told; nothing is guessed. A tenant of which something could be misunderstood is refused as a whole, and so
/// is one that names a namespace of the platform or of another.
///
/// Examples: `reeve tenant import prod/tenant-config-0.yaml --url https://git.example/tenants/{tenant} > tenants.yaml`,
/// `reeve tenant import tenants/production --apply --adopt`
#[derive(Args)]
pub(super) struct ImportArgs {
    /// The values file, `-` for stdin, or the directory
    #[arg(value_name = "FILE|DIR")]
    from: PathBuf,
    /// Where the repository of a tenant of a values file lies, with `{tenant}` for its name
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The account of tenants of a values file
    #[arg(long, value_name = "NAME", default_value = "flux")]
    service_account: ServiceAccountName,
    /// The ClusterRole of that account
    #[arg(long, value_name = "NAME", default_value = "admin")]
    role: ObjectName,
    /// Make the Tenants on the cluster instead of printing them; none of them if one is refused
    #[arg(long)]
    apply: bool,
    /// Have their namespaces adopted that are there already
    #[arg(long, requires = "apply")]
    adopt: bool,
    #[command(flatten)]
    ground: GroundArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn import(args: &ImportArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let import = found(args)?.on(&args.ground.grounds(&[], &[]));
    for note in &import.notes {
        ui.note(note);
    }
    for tenant in &import.tenants {
        for note in &tenant.notes {
            ui.note(&format!("tenant {}: {note}", tenant.name));
        }
    }
    let refused = refused(&import);
    if args.apply {
        return match refused {
            Some(why) => Err(why.hint("nothing was written: mend or leave out what is refused")),
            None => apply(args, &import, ui).await,
        };
    }
    let manifests: Vec<Value> = import.tenants.iter().map(manifest).collect();
    ui.data(yaml(&manifests)?.as_bytes())?;
    refused.map_or(Ok(()), Err)
}

fn found(args: &ImportArgs) -> Result<Import, CommandError> {
    let shown = args.from.display().to_string();
    if args.from.is_dir() {
        if args.url.is_some() {
            let why = CommandError::new("--url says where repositories of a values file lie");
            return Err(why.hint("what a Flux repository says of sources stays as it is"));
        }
        return Ok(flux::tenants(&built(&args.from)?));
    }
    let documents = parse_data(&read(&args.from)?, &shown);
    let documents = documents.map_err(|why| CommandError::of("reading the values failed", &why))?;
    let [document] = documents.as_slice() else {
        return Err(CommandError::new(format!("{shown} is not one document")));
    };
    if args
        .url
        .as_ref()
        .is_some_and(|url| !url.contains(values::PLACE))
    {
        let message = format!(
            "--url has no {} in it: all tenants would have one repository",
            values::PLACE
        );
        return Err(CommandError::new(message));
    }
    let beside = values::Beside {
        url: args.url.clone(),
        account: args.service_account.clone(),
        role: args.role.clone(),
    };
    let import = values::tenants(document, &beside);
    import.map_err(|why| CommandError::new(format!("{shown} holds no values of a landlord: {why}")))
}

/// The objects that the directory's kustomization builds. Nothing is fetched for it.
fn built(from: &Path) -> Result<Vec<Value>, CommandError> {
    let directory = disk::directory(from)?;
    let root = disk::work_tree(&directory).unwrap_or_else(|| PathBuf::from("/"));
    let below = directory.strip_prefix(&root).unwrap_or(&directory);
    let below = below.to_string_lossy().into_owned();
    let objects = build(&Disk::new(root.clone()), &below, &Options::default());
    let objects = objects.map_err(|why| {
        let failed = format!("building {} failed", from.display());
        CommandError::of(&failed, &why)
            .hint("name the directory whose kustomization file builds the tenants, such as tenants/production")
    })?;
    let fields = objects.iter().map(|object| object.fields().clone());
    Ok(fields.map(Value::Object).collect())
}

fn read(from: &Path) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    let limit = LARGEST + 1;
    let read = match from.as_os_str() == "-" {
        true => std::io::stdin().take(limit).read_to_end(&mut bytes),
        false => fs::metadata(from)
            .and_then(|meta| match meta.is_file() {
                true => File::open(from),
                false => Err(std::io::Error::other("it is no file")),
            })
            .and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    let shown = from.display();
    read.map_err(|why| CommandError::of(&format!("reading {shown} failed"), &why))?;
    if bytes.len() as u64 > LARGEST {
        let message = format!("{shown} has more than {} MiB", LARGEST >> 20);
        return Err(CommandError::new(message));
    }
    Ok(bytes)
}

fn manifest(tenant: &Imported) -> Value {
    object(&tenant.name, Value::Object(tenant.fields.clone()))
}

fn refused(import: &Import) -> Option<CommandError> {
    let count = import.refused.len();
    let message = format!(
        "{} not taken over:\n{}",
        counted(count, "tenant is", "tenants are"),
        import.refused.join("\n")
    );
    (count > 0).then(|| CommandError::new(message))
}

/// One that is made, and the namespaces that are adopted for it, with what they bear.
struct Step<'i> {
    tenant: &'i Imported,
    adopted: Vec<(&'i NamespaceName, Borne)>,
}

/// Writes all of them, once nothing is known to be in the way of one and the API server would take each.
async fn apply(args: &ImportArgs, import: &Import, ui: &mut Ui) -> Result<(), CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let there = cluster.all::<Tenant>(None).await;
    let there = there.map_err(|why| CommandError::of("reading Tenants failed", &why))?;
    if let Some(why) = in_the_way(&there, &import.tenants) {
        return Err(CommandError::new(why).hint("nothing was written"));
    }
    let mut steps = Vec::new();
    for tenant in &import.tenants {
        steps.push(plan(&cluster, args.adopt, tenant, ui).await?);
    }
    for step in &steps {
        let tried = rehearse(&cluster, step).await;
        tried.map_err(|why| why.hint("nothing was written: each was only tried"))?;
    }
    let mut made = Vec::new();
    for step in &steps {
        if let Err(why) = make(&cluster, step, ui).await {
            return Err(undone(&cluster, step, &made, why).await);
        }
        made.push(&step.tenant.name);
    }
    ui.note("`reeve tenant list` shows what the landlord makes of them");
    Ok(())
}

/// Which of its namespaces have to be adopted, where that is wanted.
async fn plan<'i>(
    cluster: &Cluster,
    adopt: bool,
    tenant: &'i Imported,
    ui: &mut Ui,
) -> Result<Step<'i>, CommandError> {
    let mut adopted = Vec::new();
    let name = &tenant.name;
    for namespace in &tenant.spec.namespaces {
        let there = cluster.namespace(namespace).await;
        let failed = |why: CallError| {
            CommandError::of(&format!("reading namespace {namespace} failed"), &why)
        };
        let Some(there) = there.map_err(failed)? else {
            continue;
        };
        let borne = Borne::by(&there);
        match borne.label.as_deref() {
            Some(whose) if whose == name.as_str() => {}
            _ if adopt => adopted.push((namespace, borne)),
            _ => ui.note(&format!(
                "namespace {namespace} is there already: nothing is made in it before `reeve tenant adopt {namespace} --tenant {name}`"
            )),
        }
    }
    Ok(Step { tenant, adopted })
}

/// What the API server would say to it.
async fn rehearse(cluster: &Cluster, step: &Step<'_>) -> Result<(), CommandError> {
    for (namespace, _) in &step.adopted {
        let tried = cluster.try_adopting(namespace, &step.tenant.name).await;
        tried.map_err(|why| labelling(namespace, &why))?;
    }
    let tried = cluster.try_tenant(&manifest(step.tenant)).await;
    tried.map_err(|why| creating(&step.tenant.name, &why))
}

async fn make(cluster: &Cluster, step: &Step<'_>, ui: &mut Ui) -> Result<(), CommandError> {
    let name = &step.tenant.name;
    for (namespace, _) in &step.adopted {
        let done = cluster.adopt_namespace(namespace, name).await;
        done.map_err(|why| labelling(namespace, &why))?;
        let told = format!("namespace {namespace} adopted for Tenant {name}");
        ui.step(Sign::Done, &told);
    }
    let made = cluster.create_tenant(&manifest(step.tenant)).await;
    made.map_err(|why| creating(name, &why))?;
    ui.step(Sign::Done, &format!("Tenant {name} created"));
    Ok(())
}

/// One could not be made though it could be tried: its namespaces bear again what they have borne, or whatever goes by that would
/// take them for a Tenant's that is not there. Those that were made stay: the landlord has begun with them.
async fn undone(
    cluster: &Cluster,
    step: &Step<'_>,
    made: &[&TenantName],
    why: CommandError,
) -> CommandError {
    let mut hint = match made {
        [] => "no Tenant was made".to_owned(),
        made => {
            let names: Vec<&str> = made.iter().map(|name| name.as_str()).collect();
            format!("Tenants made before it: {}", names.join(", "))
        }
    };
    for (namespace, borne) in &step.adopted {
        if let Err(why) = cluster.label_again(namespace, borne).await {
            let still = format!(
                ". Namespace {namespace} may still bear its label, since that could not be undone: {why}"
            );
            hint.push_str(&still);
        }
    }
    why.hint(hint)
}

fn labelling(namespace: &NamespaceName, why: &CallError) -> CommandError {
    CommandError::of(&format!("labelling namespace {namespace} failed"), why)
}

fn creating(name: &TenantName, why: &CallError) -> CommandError {
    CommandError::of(&format!("creating Tenant {name} failed"), why)
}

/// What of the Tenants that there are keeps these from being made.
fn in_the_way(there: &[Tenant], wanted: &[Imported]) -> Option<String> {
    let mut owners = BTreeMap::new();
    for tenant in there {
        let name = tenant.metadata.name.as_deref().unwrap_or_default();
        for namespace in &tenant.spec.namespaces {
            owners.insert(namespace, name);
        }
    }
    wanted.iter().find_map(|one| {
        let name = one.name.as_str();
        if there
            .iter()
            .any(|tenant| tenant.metadata.name.as_deref() == Some(name))
        {
            return Some(format!("there is a Tenant {name} already"));
        }
        let mut named = one.spec.namespaces.iter();
        named.find_map(|namespace| {
            let owner = owners.get(namespace)?;
            Some(format!(
                "tenant {name}: namespace {namespace} belongs to Tenant {owner}"
            ))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_is_written_over_a_tenant_or_into_a_namespace_of_another() {
        let there = |name: &str, namespace: &str| -> Tenant {
            serde_json::from_value(json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
                "spec": {"namespaces": [namespace]},
            }))
            .unwrap()
        };
        let beside = values::Beside {
            url: None,
            account: "flux".parse().unwrap(),
            role: "admin".parse().unwrap(),
        };
        let import = values::tenants(&json!({"tenants": {"acme": {}}}), &beside).unwrap();
        let told = |all: &[Tenant]| in_the_way(all, &import.tenants);
        assert_eq!(told(&[there("other", "other")]), None);
        let why = told(&[there("acme", "other")]).unwrap();
        assert!(why.contains("there is a Tenant acme already"), "{why}");
        let why = told(&[there("other", "acme")]).unwrap();
        assert!(why.contains("belongs to Tenant other"), "{why}");
    }
}
