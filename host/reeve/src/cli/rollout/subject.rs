//! What is rolled out: the object on the cluster, the Kustomization that applies it, and the branch that this comes from.
//!
//! Read with the rights of whoever asks. It deliberately fetches nothing; what stands in the way of a rollout through git is
//! told before anything is.

use std::sync::Arc;

use reeve_api::kustomization::Kustomization;
use reeve_api::name::NamespacedName;
use reeve_api::source::GitRepository;
use reeve_core::drift;
use reeve_core::failure::Explained;
use reeve_core::inventory::ObjectId;
use reeve_core::source::{Reference, Wanted};
use reeve_core::spec::Spec;
use reeve_core::substitute::Variables;
use reeve_core::veil::Veil;
use reeve_core::writeback::is_same_repository;
use serde_json::Value;

use super::RolloutArgs;
use crate::cli::get::{kustomization, named, namespace};
use crate::cli::login::Kept;
use crate::cli::policy::subject::told as explained;
use crate::cli::reach::everywhere;
use crate::cli::ui::{CommandError, Ui};
use crate::cluster::{CallError, Cluster, SecretOwner, Sought};
use crate::git::Remote;
use crate::observe::Requests;
use crate::variables::{self, Secrets};

/// What is rolled out.
pub(super) struct Subject {
    pub(super) cluster: Cluster,
    pub(super) sought: Sought,
    /// The object as it is.
    pub(super) live: Value,
    pub(super) spec: Spec,
    /// Which revision of it was applied last.
    pub(super) applied: Option<String>,
    pub(super) source: Wanted,
    pub(super) branch: String,
    pub(super) remote: Arc<Remote>,
    pub(super) variables: Variables,
    pub(super) veil: Veil,
    /// The directories of the repository that other Kustomizations build.
    pub(super) others: Vec<String>,
}

impl Subject {
    pub(super) async fn find(args: &RolloutArgs, ui: &mut Ui) -> Result<Self, CommandError> {
        let cluster = args.connection.connect(Requests::default()).await?;
        let cluster = cluster.reaching(everywhere());
        let sought = sought(args, &cluster).await?;
        let subject = sought.subject();
        let id = owner(args, &sought)?;
        let object = kustomization(&cluster, &id).await?;
        let spec = Spec::parse(&object).map_err(|why| explained(Explained::of(&why)))?;
        goes(&spec, &id)?;
        let source = source(&cluster, &spec).await?;
        let branch = branch(&source)?;
        let owner = SecretOwner::connected(&id.namespace);
        let read = variables::read(&cluster, &owner, &spec, Secrets::Read);
        let (variables, veil) = read.await.map_err(explained)?;
        let kept = Kept {
            cluster: &cluster,
            namespace: &source.id.namespace,
            secret: source.secret.as_ref(),
            proxy: source.proxy_secret.as_ref(),
        };
        let remote = args.login.remote(source.url.clone(), Some(kept)).await?;
        let failed = |why: CallError| CommandError::of(&format!("reading {subject} failed"), &why);
        let live = cluster.whole(&sought).await.map_err(failed)?;
        let live = live.ok_or_else(|| CommandError::new(format!("{subject} is gone")))?;
        let status = object.status.as_ref();
        Ok(Self {
            others: others(&cluster, &source, &spec, ui).await,
            applied: status.and_then(|status| status.last_applied_revision.clone()),
            cluster,
            sought,
            live,
            spec,
            source,
            branch,
            remote,
            variables,
            veil,
        })
    }

    /// Which object it is.
    pub(super) fn id(&self) -> ObjectId {
        ObjectId {
            namespace: self.sought.namespace.clone(),
            name: self.sought.name.clone(),
            group: self.sought.group.clone(),
            kind: self.sought.kind.clone(),
        }
    }
}

/// The object on the cluster.
async fn sought(args: &RolloutArgs, cluster: &Cluster) -> Result<Sought, CommandError> {
    let (kind, name) = args.kind_and_name();
    let at = namespace(args.namespace.as_deref(), cluster);
    let found = cluster.seek(kind, at, name).await;
    let found =
        found.map_err(|why| CommandError::of(&format!("reading {kind}/{name} failed"), &why))?;
    let found = found.ok_or_else(|| {
        CommandError::new(format!("there is no {kind}/{name} in namespace {at}"))
            .hint("check its name, --kind and --namespace")
    })?;
    match found.kind == "Secret" && found.group.is_empty() {
        true => Err(CommandError::new(
            "a Secret is not rolled out: Secrets are never written to git in the clear",
        )),
        false => Ok(found),
    }
}

/// The Kustomization that is named, or whose labels the object has.
fn owner(args: &RolloutArgs, sought: &Sought) -> Result<NamespacedName, CommandError> {
    if let Some(text) = &args.kustomization {
        let here = sought.namespace.as_str();
        let (at, name) = text.split_once('/').unwrap_or((here, text));
        return named(at, name);
    }
    drift::owner(&sought.object).ok_or_else(|| {
        CommandError::new(format!("no Kustomization applies {}", sought.subject())).hint(
            "`reeve trace` says who does; --kustomization names the one that gives it from now on",
        )
    })
}

/// An error: nothing would be applied, or elsewhere.
fn goes(spec: &Spec, id: &NamespacedName) -> Result<(), CommandError> {
    if spec.suspend {
        let why = CommandError::new(format!("Kustomization {id} is suspended"));
        let (name, at) = (&id.name, &id.namespace);
        return Err(why.hint(format!("`reeve resume ks {name} -n {at}` lets it go on")));
    }
    match &spec.kube_config {
        Some(_) => Err(CommandError::new(format!(
            "Kustomization {id} is carried out on another cluster, which is not looked at"
        ))
        .hint("change it in git; `reeve get ks --tree` shows what becomes of it")),
        None => Ok(()),
    }
}

async fn source(cluster: &Cluster, spec: &Spec) -> Result<Wanted, CommandError> {
    let id = spec.source.key();
    let (at, name) = (id.namespace.as_str(), id.name.as_str());
    let found = cluster.one::<GitRepository>(Some(at), name).await;
    let doing = format!("reading GitRepository {id} failed");
    let found = found.map_err(|why| CommandError::of(&doing, &why))?;
    let found =
        found.ok_or_else(|| CommandError::new(format!("there is no GitRepository {id}")))?;
    let wanted = Wanted::parse(&found).map_err(|why| explained(Explained::of(&why)))?;
    if wanted.suspend {
        let why = CommandError::new(format!("GitRepository {id} is suspended"));
        let hint = format!("`reeve resume source git {name} -n {at}` lets it go on");
        return Err(why.hint(hint));
    }
    if !wanted.include.is_empty() || wanted.submodules {
        return Err(CommandError::new(format!(
            "GitRepository {id} is put together from several repositories"
        ))
        .hint("change it in git, in the one that it is from"));
    }
    Ok(wanted)
}

/// The branch that is followed, to which a commit can be added.
fn branch(source: &Wanted) -> Result<String, CommandError> {
    let follows = match &source.reference {
        Reference::Branch(name) => return Ok(name.clone()),
        Reference::Name(name) => match name.strip_prefix("refs/heads/") {
            Some(name) => return Ok(name.to_owned()),
            None => name.clone(),
        },
        Reference::Tag(name) => format!("tag {name}"),
        Reference::Semver(_) => "tags".to_owned(),
        Reference::Commit { commit, .. } => format!("commit {commit}"),
    };
    Err(CommandError::new(format!(
        "GitRepository {} follows {follows} and no branch",
        source.id
    ))
    .hint("commit to the branch that it is made from, and release it"))
}

/// Which directories of the same repository other Kustomizations build: what they share is not changed for one of them. Those
/// that whoever asks may not see are not among them.
async fn others(cluster: &Cluster, source: &Wanted, spec: &Spec, ui: &mut Ui) -> Vec<String> {
    let here = Some(spec.id.namespace.as_str());
    let all = match cluster.all::<Kustomization>(None).await {
        Ok(all) => all,
        Err(why) => {
            ui.note(&format!(
                "Kustomizations of other namespaces cannot be listed, so what they share with it is not known: {why}"
            ));
            cluster.all::<Kustomization>(here).await.unwrap_or_default()
        }
    };
    let sources = cluster.all::<GitRepository>(None).await.unwrap_or_default();
    let address = source.url.without_userinfo();
    let same = sources.iter().filter_map(|one| {
        let url = one.spec.url.parse().ok()?.without_userinfo();
        let (at, name) = (
            one.metadata.namespace.as_ref()?,
            one.metadata.name.as_ref()?,
        );
        is_same_repository(&url, &address).then(|| format!("{at}/{name}"))
    });
    let mut same: Vec<String> = same.collect();
    same.push(source.id.to_string());
    let theirs = all.iter().filter_map(|one| {
        let at = one.metadata.namespace.as_deref()?;
        let is_own = at == spec.id.namespace.as_str()
            && one.metadata.name.as_deref() == Some(spec.id.name.as_str());
        let of = &one.spec.source_ref;
        let of_at = of.namespace.as_deref().filter(|text| !text.is_empty());
        let of = format!("{}/{}", of_at.unwrap_or(at), of.name);
        (!is_own && same.contains(&of)).then(|| one.spec.path.clone().unwrap_or_default())
    });
    theirs.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(reference: Value) -> Wanted {
        let object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "repo", "namespace": "acme"},
            "spec": {"interval": "1m", "url": "https://git.example/acme/web", "ref": reference},
        });
        Wanted::parse(&serde_json::from_value(object).unwrap()).unwrap()
    }

    #[test]
    fn only_to_a_branch_something_can_be_added() {
        for (reference, want) in [
            (json!({"branch": "live"}), Ok("live")),
            (json!({"name": "refs/heads/live"}), Ok("live")),
            (json!({"name": "refs/pull/1/head"}), Err("refs/pull/1/head")),
            (json!({"tag": "v1"}), Err("tag v1")),
            (json!({"semver": ">=1.0.0"}), Err("tags")),
            (
                json!({"commit": "a".repeat(40), "branch": "live"}),
                Err("commit aaaa"),
            ),
        ] {
            match (branch(&wanted(reference.clone())), want) {
                (Ok(branch), Ok(want)) => assert_eq!(branch, want),
                (Err(why), Err(want)) => assert!(why.to_string().contains(want), "{why}"),
                (told, _) => panic!("{reference}: {told:?}"),
            }
        }
    }
}
