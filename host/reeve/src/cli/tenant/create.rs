//! `reeve tenant create`: a Tenant of flags.

use clap::Args;
use reeve_api::duration::Duration;
use reeve_api::name::{NamespaceName, ObjectName, ServiceAccountName, TenantName};
use serde_json::{Map, Value, json};

use super::onboarded;
use crate::cli::connection::ConnectionArgs;
use crate::cli::text::yaml;
use crate::cli::ui::{CommandError, Sign, Ui};
use crate::observe::Requests;

/// Make a Tenant, and wait until the landlord has onboarded it
///
/// Everything that a Tenant can say beside these flags stands in `kubectl explain tenants.reeve.dev.spec`; --export writes the
/// manifest to begin with.
///
/// Examples: `reeve tenant create acme --url https://git.example/acme/app`,
/// `reeve tenant create acme --namespace acme --namespace acme-dev --owner acme-developers --export`
#[derive(Args)]
pub(super) struct CreateArgs {
    /// Its name
    name: TenantName,
    /// A namespace of it, which must not be there yet; may be given again. Without: one of the tenant's name
    #[arg(short, long, value_name = "NS")]
    namespace: Vec<NamespaceName>,
    /// The account in its namespaces
    #[arg(long, value_name = "NAME", default_value = "flux")]
    service_account: ServiceAccountName,
    /// The ClusterRole that the account and the owners have there
    #[arg(long, value_name = "NAME", default_value = "admin")]
    role: ObjectName,
    /// A group of people who have the role too; may be given again
    #[arg(long, value_name = "GROUP")]
    owner: Vec<String>,
    /// The Pod Security Standard that is enforced in its namespaces
    #[arg(long, value_name = "LEVEL", value_parser = ["privileged", "baseline", "restricted"])]
    pod_security: Option<String>,
    /// The repository that it is delivered from
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The branch of it
    #[arg(long, value_name = "NAME", default_value = "main", requires = "url")]
    branch: String,
    /// The directory of it
    #[arg(long, value_name = "DIR", default_value = "./", requires = "url")]
    path: String,
    /// The Secret, in the platform's configuration namespace, with the login for it
    #[arg(long, value_name = "NAME", requires = "url")]
    secret: Option<ObjectName>,
    /// Print the manifest and make nothing
    #[arg(long)]
    export: bool,
    /// How long to wait for the landlord
    #[arg(long, value_name = "TIME", default_value = "1m")]
    timeout: Duration,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn create(args: &CreateArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let object = manifest(args);
    if args.export {
        return ui.data(yaml(&object)?.as_bytes());
    }
    let cluster = args.connection.connect(Requests::default()).await?;
    let name = &args.name;
    ui.step(Sign::Doing, &format!("creating Tenant {name}"));
    cluster.create_tenant(&object).await.map_err(|why| {
        CommandError::of(&format!("creating Tenant {name} failed"), &why).hint(
            "one that is there is changed with `kubectl edit`; you need the right to create tenants.reeve.dev",
        )
    })?;
    onboarded(&cluster, name, None, args.timeout.get(), ui).await
}

fn manifest(args: &CreateArgs) -> Value {
    let own = || args.name.as_str().to_owned();
    let namespaces: Vec<String> = match args.namespace.is_empty() {
        true => vec![own()],
        false => args.namespace.iter().map(ToString::to_string).collect(),
    };
    let mut spec = Map::new();
    let mut put = |field: &str, value: Value| spec.insert(field.to_owned(), value);
    put("namespaces", json!(namespaces));
    put("serviceAccountName", json!(args.service_account));
    put("role", json!(args.role));
    if !args.owner.is_empty() {
        put("owners", json!(args.owner));
    }
    if let Some(level) = &args.pod_security {
        put("podSecurity", json!(level));
    }
    if let Some(url) = &args.url {
        let mut source = json!({"url": url, "path": args.path, "ref": {"branch": args.branch}});
        if let (Some(secret), Some(fields)) = (&args.secret, source.as_object_mut()) {
            fields.insert("secretRef".to_owned(), json!({"name": secret}));
        }
        put("source", source);
    }
    super::object(&args.name, Value::Object(spec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CreateArgs,
    }

    fn made(line: &str) -> Value {
        let line = Line::try_parse_from(line.split(' ')).unwrap();
        manifest(&line.args)
    }

    #[test]
    fn a_tenant_of_flags_says_what_they_say_and_no_more() {
        let least = made("create acme");
        assert_eq!(least["metadata"], json!({"name": "acme"}));
        assert_eq!(
            least["spec"],
            json!({"namespaces": ["acme"], "serviceAccountName": "flux", "role": "admin"})
        );
        let most = made(
            "create acme -n a -n b --role edit --owner devs --pod-security baseline --url https://git.example/a --secret key",
        );
        assert_eq!(
            most["spec"],
            json!({
                "namespaces": ["a", "b"], "serviceAccountName": "flux", "role": "edit",
                "owners": ["devs"], "podSecurity": "baseline",
                "source": {
                    "url": "https://git.example/a", "path": "./", "ref": {"branch": "main"},
                    "secretRef": {"name": "key"},
                },
            })
        );
        let read: reeve_api::tenant::Tenant = serde_json::from_value(most).unwrap();
        assert_eq!(read.spec.role.as_str(), "edit");
        let line = "create acme --branch dev".split(' ');
        assert!(Line::try_parse_from(line).is_err(), "a branch of nothing");
    }
}
