//! Which entry of which level gives a repository its login, its polling and its author, and why.
//!
//! The levels are read as whoever asks, or from files; weighing them is `core::gitconfig`'s, as in the controller. What an
//! answer holds says what kind of login there is, and never what is secret of it.

mod answer;

use std::path::PathBuf;

use clap::Args;
use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::tenant::{GitConfigReference, Project, Tenant};
use reeve_core::gitconfig::{
    self, Hidden, Holds, Level, LevelName, Named, Place, Resolved, hook_entry, hook_token,
};

use self::answer::{Answer, Called};
use crate::cli::connection::ConnectionArgs;
use crate::cli::text::{Form, written};
use crate::cli::ui::{CommandError, Ui};
use crate::cluster::{Cluster, SecretError, SecretOwner};
use crate::levels;
use crate::observe::Requests;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Show which entry of which level gives a repository its login, its polling and its author, and why
///
/// The levels are the Tenant's, its environment's, its Project's and the platform's: a lower one goes before a higher one.
/// They are read from the cluster with your own rights, which have to reach Secrets of the controller's namespace; or from
/// files, without a cluster. A GitRepository that names a Secret or a provider itself asks no level for a login, and its
/// spec.interval goes before any polling unless it is annotated `reeve.dev/polling: git-config`. Where an entry has a
/// webhookSecret, the path is shown that the forge has to call. Nothing secret is printed.
///
/// Examples: `reeve git explain git@git.example:acme/web.git --tenant acme`,
/// `reeve git explain https://git.example/acme/web --config global.yaml --config tenant=acme.yaml`
#[derive(Args)]
pub(super) struct ExplainArgs {
    /// The repository's address, in any form
    url: String,
    /// The Tenant that asks; without one, what the platform gives to everybody
    #[arg(short, long, value_name = "NAME")]
    tenant: Option<TenantName>,
    /// Read a level from a file, instead of all of them from the cluster: global, project, environment or tenant
    #[arg(long, value_name = "[LEVEL=]FILE", value_parser = of_file)]
    config: Vec<(Rank, PathBuf)>,
    /// Where the platform's git configuration lies, in the controller's namespace
    #[arg(long, value_name = "secret/NAME|configmap/NAME", value_parser = super::reference, default_value = "secret/reeve-git")]
    git_config: GitConfigReference,
    /// Namespace of the controller
    #[arg(short, long, value_name = "NS", default_value = "reeve-system")]
    namespace: NamespaceName,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

/// Which level a file is, lowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Tenant,
    Environment,
    Project,
    Global,
}

fn of_file(text: &str) -> Result<(Rank, PathBuf), String> {
    let (level, path) = text.split_once('=').unwrap_or(("global", text));
    let rank = match level {
        "tenant" => Rank::Tenant,
        "environment" => Rank::Environment,
        "project" => Rank::Project,
        "global" => Rank::Global,
        _ => return Err("a level is one of global, project, environment, tenant".to_owned()),
    };
    Ok((rank, PathBuf::from(path)))
}

pub(super) async fn explain(args: &ExplainArgs, ui: &mut Ui) -> Result<String, CommandError> {
    let url = gitconfig::address(&args.url)
        .map_err(|why| CommandError::of("the address cannot be used", &why))?;
    let place = Place::of(&url).map_err(|why| CommandError::of("the address", &why))?;
    let (levels, cluster) = match args.config.is_empty() {
        true => {
            let (levels, cluster) = of_cluster(args, ui).await?;
            (levels, Some(cluster))
        }
        false => (of_files(args)?, None),
    };
    let own = gitconfig::is_own(&url);
    if own {
        ui.note("the address has a user or a password of its own, which goes before every level");
    }
    let resolved = gitconfig::resolve(&levels, &place);
    let called = called(args, cluster.as_ref(), &levels, &resolved).await;
    let answer = Answer::of(&url, args.tenant.as_ref(), &resolved, called);
    written(args.form, &answer, || answer.drawn())
}

/// Where the forge calls, if an entry's hook tells of changes.
async fn called(
    args: &ExplainArgs,
    cluster: Option<&Cluster>,
    levels: &[Level],
    found: &Resolved,
) -> Called {
    let Some((entry, secret)) = hook_entry(levels, found.polling.as_ref()) else {
        return Called::default();
    };
    let text = match (secret, cluster) {
        (Hidden::Text(text), _) => Ok(text.clone()),
        (_, Some(cluster)) => {
            let owner = SecretOwner::connected(&args.namespace);
            let read = levels::reveal(cluster, &owner, secret).await;
            read.map_err(|why| why.message)
        }
        (_, None) => Err("its webhookSecret lies in the cluster".to_owned()),
    };
    let token =
        text.and_then(|text| hook_token(text.expose().as_bytes()).map_err(|why| why.to_string()));
    match token {
        Ok(token) if token.is_guessable() => Called::Guessable(entry.path(&token)),
        Ok(token) => Called::At(entry.path(&token)),
        Err(why) => Called::Unknown(why),
    }
}

fn of_files(args: &ExplainArgs) -> Result<Vec<Level>, CommandError> {
    let mut files: Vec<&(Rank, PathBuf)> = args.config.iter().collect();
    files.sort_by_key(|(rank, _)| *rank);
    files
        .into_iter()
        .map(|(rank, path)| {
            let shown = path.display();
            let failed = |why: &(dyn std::error::Error + 'static)| {
                CommandError::of(&format!("reading {shown} failed"), why)
            };
            let bytes = read(path).map_err(|why| failed(&why))?;
            let file = gitconfig::parse(&bytes, Holds::Secrets).map_err(|why| failed(&why))?;
            let name = name(*rank, args)?;
            Ok(Level { name, file })
        })
        .collect()
}

fn read(path: &PathBuf) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(LARGEST)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a level that is read from a file is called.
fn name(rank: Rank, args: &ExplainArgs) -> Result<LevelName, CommandError> {
    let given = |text: &str| {
        let parsed = text.parse();
        parsed.map_err(|why| CommandError::of("a level has no name", &why))
    };
    Ok(match rank {
        Rank::Global => LevelName::Global,
        Rank::Project => LevelName::Project(given("of-the-file")?),
        Rank::Environment => LevelName::Environment {
            project: given("of-the-file")?,
            name: given("of-the-file")?,
        },
        Rank::Tenant => match &args.tenant {
            Some(tenant) => LevelName::Tenant(tenant.clone()),
            None => {
                let why = CommandError::new("a level of a tenant is given, and no tenant");
                return Err(why.hint("say whose it is with --tenant"));
            }
        },
    })
}

async fn of_cluster(
    args: &ExplainArgs,
    ui: &mut Ui,
) -> Result<(Vec<Level>, Cluster), CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let owner = SecretOwner::connected(&args.namespace);
    let global = global(args, &cluster, &owner, ui).await?;
    let named = above(args, &cluster, global).await?;
    let levels = levels::read(&cluster, &owner, &named).await;
    let levels = levels.map_err(|why| super::told("reading the levels failed", &why))?;
    Ok((levels, cluster))
}

/// Where the platform's level lies, if it is there.
async fn global(
    args: &ExplainArgs,
    cluster: &Cluster,
    owner: &SecretOwner,
    ui: &mut Ui,
) -> Result<Option<GitConfigReference>, CommandError> {
    let from = &args.git_config;
    let found = match from.kind {
        reeve_api::plugin::ConfigKind::Secret => cluster.secret(owner, &from.name).await.map(drop),
        reeve_api::plugin::ConfigKind::ConfigMap => {
            cluster.config_map(owner, &from.name).await.map(drop)
        }
    };
    match found {
        Ok(()) => Ok(Some(from.clone())),
        Err(why @ SecretError::Missing { .. }) => {
            ui.note(&format!(
                "{why}: there is no level of the platform, or --git-config and --namespace name it elsewhere"
            ));
            Ok(None)
        }
        Err(why) => Err(CommandError::of(
            "reading the platform's level failed",
            &why,
        )),
    }
}

async fn above(
    args: &ExplainArgs,
    cluster: &Cluster,
    global: Option<GitConfigReference>,
) -> Result<Vec<Named>, CommandError> {
    let tenant = match &args.tenant {
        None => None,
        Some(name) => {
            let found = cluster.one::<Tenant>(None, name.as_str()).await;
            let found = found.map_err(|why| CommandError::of("reading the Tenant failed", &why))?;
            let missing = || {
                CommandError::new(format!("there is no Tenant {name}"))
                    .hint("without --tenant the platform's level alone is asked, as for a namespace that no Tenant has")
            };
            Some(found.ok_or_else(missing)?)
        }
    };
    let of = tenant
        .as_ref()
        .and_then(|tenant| tenant.spec.project.as_ref());
    let project = match of {
        None => None,
        Some(name) => {
            let found = cluster.one::<Project>(None, name.as_str()).await;
            found.map_err(|why| CommandError::of("reading the Project failed", &why))?
        }
    };
    gitconfig::levels_of(tenant.as_ref(), project.as_ref(), global.as_ref())
        .map_err(|why| CommandError::of("the levels cannot be told", &why))
}
