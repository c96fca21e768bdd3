//! Where a write-back that stands alone works: a branch of a repository, a cluster, and the rules of a configuration file.
//!
//! Opened with the rights of whoever runs the command, or to act as an account that is named. It deliberately looks at neither
//! side; what is built of the files is made here, since that is needed for both directions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use reeve_api::name::{NamespaceName, ObjectName, RemoteUrl};
use reeve_core::bundle::{Bundle, Rendered};
use reeve_core::gitconfig;
use reeve_core::writeback::config::Config;
use reeve_kustomize::{Functions, Kind as FileKind, Remotes, Tree as _};

use super::standing::{Account, Standing};
use crate::cli::build::laptop::Laptop;
use crate::cli::connection::ConnectionArgs;
use crate::cli::diff::build::made_with;
use crate::cli::login::{Kept, LoginArgs, file};
use crate::cli::policy::subject::told as explained;
use crate::cli::reach::everywhere;
use crate::cli::repository::Repository;
use crate::cli::ui::{CommandError, Ui};
use crate::cluster::{Cluster, SecretError, SecretOwner};
use crate::git::{Remote, Snapshot};
use crate::observe::Requests;

/// Where a private key is mounted in a pod.
const MOUNTED: &str = "/ssh/identity";
/// How long reaching the repository may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Which configuration, and who to be.
#[derive(Args)]
pub(super) struct SiteArgs {
    /// The configuration: branch, gitUrl, gitPath and rules
    #[arg(long, value_name = "FILE", default_value = "config.yaml")]
    config: PathBuf,
    /// Act as this account; without, as the kubeconfig's user, or in a pod as its account
    #[arg(long, value_name = "NS/NAME", value_parser = Account::parse)]
    service_account: Option<Account>,
    /// Secret with the private key (`identity`) in the namespace of the kubeconfig's context, where the flags name no login and
    /// none is mounted as /ssh/identity
    #[arg(long, value_name = "NAME", default_value = "git-ssh")]
    secret: ObjectName,
    #[command(flatten)]
    pub(super) login: LoginArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// Where it works.
pub(super) struct Site {
    pub(super) cluster: Cluster,
    pub(super) config: Config,
    pub(super) standing: Standing,
    pub(super) repository: Repository,
    pub(super) branch: String,
    pub(super) url: RemoteUrl,
    /// In which namespace an object is that names none.
    pub(super) namespace: String,
    /// Runs functions of builds. It ends on the thread that it was made on.
    pub(super) functions: Arc<dyn Functions>,
}

/// What the files of a commit give.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) bundle: Bundle<Rendered>,
    pub(super) remotes: Remotes,
}

impl Site {
    /// Opens it; `url` goes before that of the configuration.
    pub(super) async fn open(
        args: &SiteArgs,
        url: Option<&str>,
        ui: &mut Ui,
    ) -> Result<Self, CommandError> {
        let shown = args.config.display();
        let config = Config::parse(&file(&args.config)?);
        let config = config.map_err(|why| CommandError::of(&shown.to_string(), &why))?;
        let url = url.or(config.git_url.as_deref()).ok_or_else(|| {
            CommandError::new(format!("{shown} names no repository"))
                .hint("name it on the command line, or as gitUrl in the configuration")
        })?;
        let url = gitconfig::address(url)
            .map_err(|why| CommandError::of("the address of the repository", &why))?;
        let connected = args.connection.connect(Requests::default()).await?;
        let connected = connected.reaching(everywhere());
        let namespace = connected.default_namespace().to_owned();
        let remote = remote(args, &connected, &namespace, url.clone(), ui).await?;
        let branch = match &config.branch {
            Some(branch) => branch.clone(),
            None => {
                let found = Repository::default_branch(&remote, Instant::now() + PATIENCE).await;
                found.map_err(explained)?
            }
        };
        let account = args.service_account.as_ref();
        let namespace = match account {
            Some(account) => account.namespace.to_string(),
            None => namespace,
        };
        let cluster = match account {
            Some(account) => {
                let acting = connected.acting_as(&account.user());
                acting.map_err(|why| CommandError::of("--service-account", &why))?
            }
            None => connected,
        };
        Ok(Self {
            standing: Standing::new(&namespace, &config.git_path, account)?,
            repository: Repository::open(remote, &branch, None)?,
            functions: Arc::new(Laptop::new(true)),
            cluster,
            config,
            branch,
            url,
            namespace,
        })
    }

    /// The newest files; those of `known`, if they are.
    pub(super) async fn head(&self, known: Option<&Snapshot>) -> Result<Snapshot, CommandError> {
        let head = self.repository.head(known, Instant::now() + PATIENCE).await;
        head.map_err(explained)
    }

    /// What the files give; None: there is nothing at the path yet. Off the runtime, since what is fetched for it has one of
    /// its own.
    pub(super) fn given(
        &self,
        head: &Snapshot,
        ui: &mut Ui,
    ) -> Result<Option<Given>, CommandError> {
        if head.kind(&self.config.git_path) != Some(FileKind::Dir) {
            return Ok(None);
        }
        let (bundle, remotes) = made_with(head, self.standing.spec(), &self.functions, ui)?;
        Ok(Some(Given { bundle, remotes }))
    }
}

/// The repository, with the login that the flags name, that is mounted, or that the namespace's Secret holds.
async fn remote(
    args: &SiteArgs,
    cluster: &Cluster,
    namespace: &str,
    url: RemoteUrl,
    ui: &mut Ui,
) -> Result<Arc<Remote>, CommandError> {
    let login = args.login.or_mounted(Path::new(MOUNTED));
    let namespace = namespace.parse::<NamespaceName>();
    let namespace = namespace.map_err(|why| CommandError::of("the namespace", &why))?;
    let secret = match login.is_given() {
        // Nobody needs a right to read what nobody asks for.
        true => None,
        false => secret(cluster, &namespace, &args.secret, ui).await,
    };
    let kept = Kept {
        cluster,
        namespace: &namespace,
        secret,
        proxy: None,
    };
    login.remote(url, Some(kept)).await
}

/// The Secret, if it is there: whoever may not read it has another login.
async fn secret<'n>(
    cluster: &Cluster,
    namespace: &NamespaceName,
    name: &'n ObjectName,
    ui: &mut Ui,
) -> Option<&'n ObjectName> {
    match cluster
        .secret(&SecretOwner::connected(namespace), name)
        .await
    {
        Ok(_) => Some(name),
        Err(SecretError::Missing { .. }) => None,
        Err(why) => {
            ui.note(&why.to_string());
            None
        }
    }
}
