//! How a repository is written to, and by whom that may be asked.
//!
//! That of a source with the login that the source is fetched with: whoever may fetch with one need not be let write with it. So
//! of what the platform has for many, nothing is used to write for one of them: neither a login that git configuration gives to
//! everybody, nor a source of the configuration namespaces that is for more than one tenant. One that the platform itself gives,
//! to have everything delivered there, has its Secret in the controller's own namespace, where no tenant writes. It deliberately
//! pushes nothing; what is written is the caller's.

use std::sync::Arc;

use reeve_api::deliver::GitDelivery;
use reeve_api::name::{NamespaceName, NamespacedName, ObjectName, RemoteUrl};
use reeve_api::reason::Reason;
use reeve_api::source::GitRepository;
use reeve_core::failure::{Explained, Turn};
use reeve_core::gitconfig::{Author, LevelName, address, tenant_of};
use reeve_core::source::{Reference, Wanted};
use reeve_core::spec::SourceRef;
use reeve_core::tenancy::{self, Tenant};

use super::given::{self, Given};
use super::login::{joined, refused, remote_if};
use super::replaced;
use crate::cluster::SecretOwner;
use crate::context::Context;
use crate::controller::provider::Access;
use crate::disk::Thing;
use crate::git::commit::Identity;
use crate::git::credential::Data;
use crate::git::{Mirrors, Remote};

/// Who commits where nobody says.
const AUTHOR: (&str, &str) = ("reeve", "noreply@reeve.dev");

/// A repository that may be written to.
pub(in crate::controller) struct Writable {
    pub(in crate::controller) remote: Arc<Remote>,
    /// The address as the source says it.
    pub(in crate::controller) url: RemoteUrl,
    /// The branch that the source follows, if it follows one.
    pub(in crate::controller) branch: Option<String>,
    /// Which files the source leaves out.
    pub(in crate::controller) ignore: Option<String>,
    /// Whether the source takes only what is signed.
    pub(in crate::controller) signed: bool,
    /// Whether anybody is named as whom it is written to.
    pub(in crate::controller) as_somebody: bool,
    /// Who commits to it, as git configuration says.
    author: Option<Author>,
    /// Which entry of git configuration gives the login, if one does.
    from: Option<String>,
    /// Where that lies which the source has in store.
    stored: Option<Thing>,
}

impl Writable {
    /// The mirrors, into which the branch comes before it is written to: after another login was given, in the place of the one that
    /// the source still reads.
    pub(in crate::controller) fn onto(&self, mirrors: &Mirrors) -> Mirrors {
        mirrors.instead_of(self.stored.clone())
    }

    /// A failure, with whose login it was if the source does not say so itself.
    pub(in crate::controller) fn said(&self, why: &Explained) -> Explained {
        refused(why, self.from.as_deref())
    }

    /// Whether git configuration gives the login.
    pub(in crate::controller) fn is_given(&self) -> bool {
        self.from.is_some()
    }

    /// Who commits: whoever is named so, else whom git configuration names, else we.
    pub(in crate::controller) fn identity(
        &self,
        name: Option<&str>,
        email: Option<&str>,
    ) -> Result<Identity, Explained> {
        let given = self.author.as_ref();
        let name = name.or_else(|| given?.name.as_deref());
        let email = email.or_else(|| given?.email.as_deref());
        let who = Identity::new(name.unwrap_or(AUTHOR.0), email.unwrap_or(AUTHOR.1));
        who.map_err(|why| Explained::of(&why))
    }
}

/// The repository of `source`, to be written to for somebody in `namespace`, which is `tenant`'s.
pub(in crate::controller) async fn writable(
    ctx: &Context,
    namespace: &NamespaceName,
    tenant: &Tenant,
    source: &SourceRef,
) -> Result<Writable, Explained> {
    let id = source.key();
    tenancy::may_use_source(&ctx.grounds, tenant, namespace, source)?;
    let platform = ctx.grounds.is_platform(namespace);
    if !platform {
        is_its_alone(ctx, &id, namespace, tenant)?;
    }
    let object = ctx.index.read(|known| known.sources.get(&id).cloned());
    let object = object.ok_or_else(|| missing(source))?;
    let wanted = parse(&object)?;
    let may_have = |given: &Given| match given.level {
        LevelName::Tenant(_) => Ok(()),
        _ if !platform => Err(everybodys(given)),
        _ => Ok(()),
    };
    let (remote, from) = remote_if(ctx, &wanted, Access::Push, may_have).await?;
    let as_somebody = given::has_own(&wanted) || from.is_some();
    let author = given::author(ctx, &id, &wanted.url).await?;
    let branch = match wanted.reference {
        Reference::Branch(branch) => Some(branch),
        _ => None,
    };
    Ok(Writable {
        remote,
        branch,
        signed: wanted.verify.is_some(),
        ignore: wanted.ignore,
        as_somebody,
        author,
        from,
        stored: replaced::lies_in(ctx, &id),
        url: wanted.url,
    })
}

/// The repository that the platform gives, in a Tenant, in a Project or in its own flags.
pub(in crate::controller) async fn of_platform(
    ctx: &Context,
    git: &GitDelivery,
) -> Result<Writable, Explained> {
    let invalid = |field: &str, why: String| {
        let message = format!("deliver.git.{field}: {why}");
        let why = Explained::new(Reason::InvalidSpec, Turn::Retry, message);
        why.with_hint(
            "the platform corrects it, in the Tenant, its Project or the controller's flags",
        )
    };
    // The error of a URL holds none of its text: it may hold a password.
    let url = address(&git.url).map_err(|why| invalid("url", why.to_string()))?;
    if url.password().is_some() {
        let why = "it holds a password, which belongs into the Secret".to_owned();
        return Err(invalid("url", why));
    }
    let data = match &git.secret_ref {
        None => Data::new(),
        Some(named) => {
            let name = named.name.parse::<ObjectName>();
            let name = name.map_err(|why| invalid("secretRef", why.to_string()))?;
            let owner = SecretOwner::connected(&ctx.home);
            let data = ctx.cluster.secret(&owner, &name).await;
            data.map_err(|why| Explained::of(&why))?.into_inner()
        }
    };
    Ok(Writable {
        remote: joined(ctx, url.clone(), &data.into(), None, None)?,
        url,
        branch: Some(git.branch().to_owned()),
        ignore: None,
        signed: false,
        as_somebody: git.secret_ref.is_some(),
        author: None,
        from: None,
        stored: None,
    })
}

fn parse(object: &GitRepository) -> Result<Wanted, Explained> {
    Wanted::parse(object).map_err(|why| Explained::of(&why))
}

/// A source of the configuration namespaces is logged in to by the platform: whoever writes with that must be all it is for.
fn is_its_alone(
    ctx: &Context,
    id: &NamespacedName,
    namespace: &NamespaceName,
    tenant: &Tenant,
) -> Result<(), Explained> {
    if id.namespace == *namespace {
        return Ok(());
    }
    let only = ctx.index.read(|known| {
        let naming = known.tenants.naming(&id.name).count();
        let above = tenant_of(&ctx.grounds, &known.tenants, id)?;
        Ok::<_, Explained>(match tenant.declared {
            Some(_) => above.as_ref() == Some(&tenant.name),
            // It bears the name of the namespace, and no Tenant names it.
            None => naming == 0,
        })
    })?;
    if only {
        return Ok(());
    }
    let message =
        format!("GitRepository {id} is for more than one tenant, and none of them may write to it");
    let hint =
        format!("make a GitRepository in namespace {namespace}, with credentials of its own");
    Err(Explained::new(Reason::AccessDenied, Turn::OwnerOrPolicy, message).with_hint(hint))
}

fn everybodys(given: &Given) -> Explained {
    let message = format!(
        "the repository's login is given by {}, which is for several tenants to fetch with: nobody writes with it",
        given.from
    );
    let hint = "name a Secret with credentials of its own in spec.secretRef of the GitRepository, or ask the platform for a \
                login in the git configuration of the Tenant";
    Explained::new(Reason::AccessDenied, Turn::OwnerOrPolicy, message).with_hint(hint)
}

fn missing(source: &SourceRef) -> Explained {
    let (namespace, name) = (&source.namespace, &source.name);
    let message = format!("GitRepository.source.toolkit.fluxcd.io \"{name}\" not found");
    let hint = format!("create GitRepository {name} in namespace {namespace}");
    Explained::new(Reason::ArtifactFailed, Turn::Source, message).with_hint(hint)
}
