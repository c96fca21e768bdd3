//! What would be written: the edits of the next round, as a unified diff. Nothing is committed, and nothing applied.
//!
//! Of a WriteBack, or of a configuration that stands alone; read with the rights of whoever asks, which may be others than those
//! of the account that a WriteBack names. Plugins are not called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use reeve_api::kustomization::Kustomization;
use reeve_api::source::GitRepository;
use reeve_core::artifact::Revision;
use reeve_core::failure::Explained;
use reeve_core::source::Wanted;
use reeve_core::spec::Spec;
use reeve_core::veil::Veil;
use reeve_core::writeback::{self, Allowed, Remembered, Seen, State, is_made_after};
use reeve_kustomize::edit::documents;
use reeve_kustomize::{Functions, Object, Tree as _};
use reeve_writeback::file_in;
use tokio::runtime::Runtime;

use super::built::{Built, parted};
use super::round::{Known, Looked, Round, View, lean};
use super::run::not_written;
use super::site::{Site, SiteArgs};
use super::status::one;
use crate::cli::build::laptop::Laptop;
use crate::cli::diff::build::made_with;
use crate::cli::diff::with_variables;
use crate::cli::get::namespace;
use crate::cli::login::Kept;
use crate::cli::policy::subject::told as explained;
use crate::cli::reach::everywhere;
use crate::cli::repository::{Repository, shown};
use crate::cli::text::counted;
use crate::cli::ui::{CommandError, Ui};
use crate::cluster::{Cluster, Kind};
use crate::git::Snapshot;
use crate::observe::Requests;

/// The code for what could not be said.
const UNSAID: u8 = 2;
/// How long fetching may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Show what would be committed, as a unified diff
///
/// Of a WriteBack, or of a configuration that stands alone. It is read with your own rights. What cannot be expressed in the
/// files is told with the reason.
///
/// Exits 0 when nothing would be committed, 1 when something would, and 2 when that could not be said.
///
/// Examples: `reeve writeback diff back -n acme`, `reeve writeback diff --config config.yaml`
#[derive(Args)]
pub(super) struct DiffArgs {
    /// The WriteBack; without, the configuration
    name: Option<String>,
    /// Where it is; without, in the namespace of the kubeconfig's context
    #[arg(short, long, value_name = "NS", requires = "name")]
    namespace: Option<String>,
    /// The repository; without, gitUrl of the configuration
    #[arg(long, value_name = "URL", conflicts_with = "name")]
    url: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

pub(super) fn diff(args: &DiffArgs, runtime: &Runtime, ui: &mut Ui) -> Result<(), CommandError> {
    // Ends on this thread, with the runtime that functions may have.
    let functions: Arc<dyn Functions> = Arc::new(Laptop::new(true));
    let (round, veil) = match &args.name {
        Some(name) => named(args, name, runtime, &functions, ui),
        None => alone(args, runtime, ui).map(|round| (round, Veil::default())),
    }
    .map_err(|why| why.exits(UNSAID))?;
    let decision = round.decide();
    for text in not_written(&decision) {
        ui.note(&veil.cover(text));
    }
    let text = shown(round.base.as_ref(), &decision.edits).map_err(|why| why.exits(UNSAID))?;
    ui.data(veil.cover(text).as_bytes())
        .map_err(|why| why.exits(UNSAID))?;
    match decision.edits.files.len() {
        0 => Ok(()),
        files => Err(CommandError::new(format!(
            "{} would be changed, for {}",
            counted(files, "file", "files"),
            counted(decision.written.len(), "object", "objects")
        ))),
    }
}

/// Of a configuration that stands alone.
fn alone(args: &DiffArgs, runtime: &Runtime, ui: &mut Ui) -> Result<Round, CommandError> {
    let site = runtime.block_on(Site::open(&args.site, args.url.as_deref(), ui))?;
    let head = runtime.block_on(site.head(None))?;
    let given = site.given(&head, ui)?;
    let kinds = runtime.block_on(site.cluster.kinds());
    let scopes = runtime.block_on(site.cluster.scopes());
    let rules = &site.config.rules;
    let mut builds = Vec::new();
    if let Some(given) = given {
        let parted = parted(&given.bundle, &kinds, rules, &site.namespace)?;
        let (spec, functions) = (site.standing.spec(), &site.functions);
        let (remotes, followed) = (given.remotes, parted.followed);
        builds.push(Built::new(spec, remotes, functions, followed, &scopes)?);
    }
    let view = View {
        cluster: &site.cluster,
        kinds: &kinds,
        rules,
        namespace: None,
    };
    let Looked {
        mut seen,
        namespaces,
        ..
    } = runtime.block_on(view.look(&builds, &Known::new(), ui))?;
    runtime.block_on(lean(&site.cluster, &mut seen));
    let seen = (seen, Vec::new());
    Ok(Round::alone(&site, builds, head, seen, namespaces))
}

/// A WriteBack, and whose objects it is about.
struct Asked {
    cluster: Cluster,
    spec: writeback::Spec,
    repository: Repository,
    /// Those of its namespace that apply from its repository.
    kustomizations: Vec<Spec>,
    kinds: Vec<Kind>,
    /// When files of their own were as their objects, as the controller remembers it.
    memory: Remembered,
}

/// Of a WriteBack.
fn named(
    args: &DiffArgs,
    name: &str,
    runtime: &Runtime,
    functions: &Arc<dyn Functions>,
    ui: &mut Ui,
) -> Result<(Round, Veil), CommandError> {
    let asked = runtime.block_on(Asked::read(args, name))?;
    let head = runtime.block_on(asked.repository.head(None, Instant::now() + PATIENCE));
    let head = head.map_err(explained)?;
    let scopes = runtime.block_on(asked.cluster.scopes());
    let (spec, mut veil) = (&asked.spec, Veil::default());
    let mut builds = Vec::new();
    for applied in &asked.kustomizations {
        let (bundle, remotes) = made_with(&head, applied, functions, ui)?;
        let put_in = runtime.block_on(with_variables(&asked.cluster, applied, bundle));
        let (bundle, secret) = put_in?;
        veil = veil.and(&secret);
        let target = applied.target_namespace.as_ref();
        let target = target.map_or("default", |target| target.as_str());
        let parted = parted(&bundle, &asked.kinds, &spec.rules, target)?;
        let mut built = Built::new(applied, remotes, functions, parted.followed, &scopes)?;
        let others = asked
            .kustomizations
            .iter()
            .filter(|one| one.id != applied.id);
        built.others = others.map(|one| one.path.clone()).collect();
        builds.push(built);
    }
    let at = spec.id.namespace.as_str();
    let view = View {
        cluster: &asked.cluster,
        kinds: &asked.kinds,
        rules: &spec.rules,
        namespace: Some(at),
    };
    let mut looked = runtime.block_on(view.look(&builds, &Known::new(), ui))?;
    runtime.block_on(lean(&asked.cluster, &mut looked.seen));
    let agreed = runtime.block_on(asked.agreements(&looked.seen, &head));
    let round = Round {
        by: spec.id.to_string(),
        rules: spec.rules.clone(),
        allowed: Allowed {
            namespaces: BTreeSet::from([at.to_owned()]),
            cluster_scoped: false,
        },
        path: spec.path.clone(),
        template: spec.template.clone(),
        builds,
        revision: head.revision().to_string(),
        base: Arc::new(head),
        seen: looked.seen,
        since: Vec::new(),
        agreed,
    };
    Ok((round, veil))
}

impl Asked {
    async fn read(args: &DiffArgs, name: &str) -> Result<Self, CommandError> {
        let cluster = args.site.connection.connect(Requests::default()).await?;
        let cluster = cluster.reaching(everywhere());
        let at = namespace(args.namespace.as_deref(), &cluster);
        let object = one(&cluster, at, name).await?;
        let spec = writeback::Spec::parse(&object);
        let spec = spec.map_err(|why| explained(Explained::of(&why)))?;
        let source = source(&cluster, &spec).await?;
        let follows = source.reference.branch().map(str::to_owned);
        let branch = spec.branch.clone().or(follows).ok_or_else(|| {
            let id = &source.id;
            CommandError::new(format!("GitRepository {id} follows no branch"))
                .hint("write spec.branch of the WriteBack")
        })?;
        let kept = Kept {
            cluster: &cluster,
            namespace: &source.id.namespace,
            secret: source.secret.as_ref(),
            proxy: source.proxy_secret.as_ref(),
        };
        let remote = args
            .site
            .login
            .remote(source.url.clone(), Some(kept))
            .await?;
        let branch = branch.strip_prefix("refs/heads/").unwrap_or(&branch);
        let repository = Repository::open(remote, branch, source.ignore.clone())?;
        Ok(Self {
            kustomizations: kustomizations(&cluster, &spec).await?,
            kinds: cluster.kinds().await,
            memory: Remembered::of(&object.status.unwrap_or_default(), branch),
            cluster,
            spec,
            repository,
        })
    }
}

impl Asked {
    /// What files of their own gave when they were last as their objects, of what was seen.
    async fn agreements(&self, seen: &[Seen], head: &Snapshot) -> BTreeMap<String, Object> {
        let (mut known, mut all) = (BTreeMap::new(), BTreeMap::new());
        for one in seen {
            if !matches!(one.state, State::Made { .. }) {
                continue;
            }
            let Ok(file) = file_in(&self.spec.path, &self.spec.template, one.object()) else {
                continue;
            };
            let revision = self.memory.revision(&file);
            let Some(revision) = revision.and_then(|text| Revision::parse(text).ok()) else {
                continue;
            };
            let text = revision.to_string();
            if !known.contains_key(&text) {
                let deadline = Instant::now() + PATIENCE;
                let files = self.repository.earlier(&revision, deadline).await;
                known.insert(text.clone(), files);
            }
            let files = known.get(&text).and_then(Option::as_ref);
            // An object that was made later is another one of that name: nobody has taken its file out.
            let files = files.filter(|files| {
                let at = files.told().and_then(|told| told.at);
                let is_younger = at.is_some_and(|at| is_made_after(one.object(), at));
                given(head, &file).is_some() || !is_younger
            });
            let was = files.and_then(|files| given(files, &file));
            all.extend(was.map(|was| (file, was)));
        }
        all
    }
}

/// The object that a file gives.
fn given(files: &Snapshot, file: &str) -> Option<Object> {
    let bytes = files.read(file).ok()?;
    let mut all = documents(&bytes, file).ok()?.into_iter();
    let one = all.find(|one| !one.value.is_null())?;
    Object::try_from(one.value).ok()
}

async fn source(cluster: &Cluster, spec: &writeback::Spec) -> Result<Wanted, CommandError> {
    let id = spec.source.key();
    let found = cluster.one::<GitRepository>(Some(id.namespace.as_str()), id.name.as_str());
    let doing = format!("reading GitRepository {id} failed");
    let found = found.await.map_err(|why| CommandError::of(&doing, &why))?;
    let found =
        found.ok_or_else(|| CommandError::new(format!("there is no GitRepository {id}")))?;
    Wanted::parse(&found).map_err(|why| explained(Explained::of(&why)))
}

/// Those of the namespace that apply from the same source, here.
async fn kustomizations(
    cluster: &Cluster,
    spec: &writeback::Spec,
) -> Result<Vec<Spec>, CommandError> {
    let at = spec.id.namespace.as_str();
    let all = cluster.all::<Kustomization>(Some(at)).await;
    let all = all.map_err(|why| CommandError::of("listing Kustomizations failed", &why))?;
    let parsed = all.iter().filter_map(|one| Spec::parse(one).ok());
    let same = parsed.filter(|one| one.source == spec.source && one.kube_config.is_none());
    Ok(same.collect())
}
