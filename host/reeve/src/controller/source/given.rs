//! The login that levels of git configuration give to a source which names none.
//!
//! Whose levels are above it, and which entry is meant, is `core::gitconfig`'s to say; the files are read by `levels`. What
//! was read is noted, so that a change of any of it wakes the source. It deliberately never falls back: a level that cannot be
//! read fails the run, since the one above it has another login. Which entry it was is kept for the status. What else the levels
//! say of the repository is `polling`'s.

use std::sync::{Mutex, PoisonError};

use reeve_api::name::{NamespacedName, ObjectName, RemoteUrl, Scheme};
use reeve_api::reason::Reason;
use reeve_api::source::{GitRepository, LoginOrigin};
use reeve_core::failure::{Explained, Turn};
use reeve_core::gitconfig::{
    self, Auth, Author, Level, LevelName, Login, Named, Part, Place, Resolved, Way,
};
use reeve_core::index::{Configured, Sake};
use reeve_core::source::Wanted;

use super::login::Means;
use super::polling;
use crate::cluster::SecretOwner;
use crate::context::Context;
use crate::controller::provider::Access;
use crate::controller::{follow, heard, provider};
use crate::index::Known;
use crate::levels;

/// A login.
pub(super) struct Given {
    /// By which address.
    pub(super) url: RemoteUrl,
    /// With what.
    pub(super) means: Means,
    /// Which entry of which level gives it.
    pub(super) from: String,
    /// Which level that is.
    pub(super) level: LevelName,
}

/// Whether it has to wait: what is above it is not all known yet, and asking as another would be wrong.
pub(super) fn waits(ctx: &Context, object: &GitRepository) -> bool {
    let known = |known: &Known| known.tenants_listed && known.projects_listed;
    follow::asks_levels(object) && !ctx.index.read(known)
}

/// Whether the source itself names the login.
pub(super) fn has_own(wanted: &Wanted) -> bool {
    wanted.secret.is_some() || wanted.provider.is_some() || gitconfig::is_own(&wanted.url)
}

/// The login that is given for what is `wanted`, if any is.
pub(super) async fn login(
    ctx: &Context,
    wanted: &Wanted,
    access: Access,
) -> Result<Option<Given>, Explained> {
    if gitconfig::is_own(&wanted.url) {
        heard::login(ctx, &wanted.id, of("spec.url"));
        return Ok(None);
    }
    let weighed = weighed(ctx, wanted, true).await?;
    polling::settle(ctx, wanted, &weighed).await;
    let Some((part, login)) = weighed.login(&wanted.url)? else {
        heard::login(ctx, &wanted.id, of("nobody's"));
        return Ok(None);
    };
    heard::login(ctx, &wanted.id, given(&part, &login));
    let owner = SecretOwner::connected(&ctx.home);
    let given = give(ctx, wanted, &owner, (part, login), access).await?;
    Ok(Some(given))
}

/// What the levels above a source say of its repository. What they refer to is noted: for its changes, and for its login, if
/// that is given by them.
pub(super) async fn weighed(
    ctx: &Context,
    wanted: &Wanted,
    gives: bool,
) -> Result<Weighed, Explained> {
    let note = |named: &[Named], secrets: Vec<ObjectName>| {
        note(ctx, &wanted.id, Sake::Own, all(ctx, named, secrets));
    };
    let named = above(ctx, &wanted.id)?;
    let first = |known: &Known| known.touch.configured_for(&wanted.id, Sake::Own).is_none();
    if ctx.index.read(first) {
        // What is changed while it is read is seen by the watch.
        note(&named, Vec::new());
    }
    let owner = SecretOwner::connected(&ctx.home);
    let weighed = weigh(ctx, &owner, &named, &wanted.url).await;
    let mut secrets = Vec::new();
    if let Ok(weighed) = &weighed {
        secrets.extend(polling::referred(weighed));
        if gives {
            secrets.extend(referred(&weighed.login(&wanted.url)));
        }
    }
    note(&named, secrets);
    weighed
}

/// No level says anything of a source: it has a login of its own, and an interval.
pub(super) fn unasked(ctx: &Context, id: &NamespacedName) {
    note(ctx, id, Sake::Own, Configured::default());
}

/// What was read for the submodules of one commit.
#[derive(Default)]
pub(super) struct Further(Mutex<Configured>);

impl Further {
    /// From now on a change of one of these wakes the source too, and of what was read for an earlier commit none but these.
    fn add(&self, ctx: &Context, id: &NamespacedName, configured: Configured) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.add(configured);
        note(ctx, id, Sake::Submodules, all.clone());
    }

    /// There are no more of them.
    pub(super) fn end(self, ctx: &Context, id: &NamespacedName) {
        let all = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        note(ctx, id, Sake::Submodules, all);
    }
}

/// The login that is given for another repository that a source needs, as if that were a source beside it. It is read when it is
/// needed.
pub(super) async fn elsewhere(
    ctx: &Context,
    wanted: &Wanted,
    url: &RemoteUrl,
    further: Option<&Further>,
) -> Result<Option<Given>, Explained> {
    if gitconfig::is_own(url) {
        return Ok(None);
    }
    let named = above(ctx, &wanted.id)?;
    let note = |secrets| {
        if let Some(further) = further {
            further.add(ctx, &wanted.id, all(ctx, &named, secrets));
        }
    };
    note(Vec::new());
    let owner = SecretOwner::connected(&ctx.home);
    let weighed = weigh(ctx, &owner, &named, url).await;
    let found = weighed.and_then(|weighed| weighed.login(url));
    note(referred(&found));
    match found? {
        Some(found) => {
            let given = give(ctx, wanted, &owner, found, Access::Fetch).await?;
            Ok(Some(given))
        }
        None => Ok(None),
    }
}

async fn give(
    ctx: &Context,
    wanted: &Wanted,
    owner: &SecretOwner,
    (part, login): (Part<Auth>, Login),
    access: Access,
) -> Result<Given, Explained> {
    let (from, level) = (part.from(), part.level.clone());
    if login.url.scheme() == Scheme::Http && wanted.proxy_secret.is_some() {
        // Whoever writes the object chooses the proxy, and the proxy would read it.
        let message = format!("{from} gives a login over http, which no proxy is shown");
        let hint = "take spec.proxySecretRef away, write spec.url with https://, or name a Secret in spec.secretRef";
        let why = Explained::new(Reason::AccessDenied, Turn::Owner, message);
        return Err(why.with_hint(hint));
    }
    let means = match &login.way {
        Way::Made(agent) => {
            let asked = (agent, access);
            let made = provider::entry::login(ctx, &wanted.id, &login.url, asked, &from).await;
            made.map(Means::from)
        }
        way => levels::data(&ctx.cluster, owner, way)
            .await
            .map(Means::from),
    };
    let means = means.map_err(|why| said_of(&why, &from))?;
    Ok(Given {
        url: login.url,
        means,
        from,
        level,
    })
}

/// Which entry of the levels above `id` says who we are to the repository at `url`, and to its forge.
pub(in crate::controller) async fn entry(
    ctx: &Context,
    id: &NamespacedName,
    url: &RemoteUrl,
) -> Result<Option<Part<Auth>>, Explained> {
    let known = |known: &Known| known.tenants_listed && known.projects_listed;
    if !ctx.index.read(known) {
        let message = "not all Tenants and Projects are known yet, so that nobody can say whose git configuration counts";
        return Err(Explained::new(Reason::AccessDenied, Turn::Ours, message));
    }
    let named = above(ctx, id)?;
    let owner = SecretOwner::connected(&ctx.home);
    Ok(weigh(ctx, &owner, &named, url).await?.found.auth)
}

/// Who commits to the repository at `url`, as the levels above `id` say.
pub(super) async fn author(
    ctx: &Context,
    id: &NamespacedName,
    url: &RemoteUrl,
) -> Result<Option<Author>, Explained> {
    let named = above(ctx, id)?;
    let owner = SecretOwner::connected(&ctx.home);
    let read = levels::read(&ctx.cluster, &owner, &named).await?;
    // What no level can mean has no author of theirs.
    let Ok(place) = Place::of(url) else {
        return Ok(None);
    };
    let author = gitconfig::resolve(&read, &place).author;
    Ok(author.map(|part| part.value))
}

/// A login that no level gives.
fn of(from: &str) -> LoginOrigin {
    LoginOrigin {
        from: from.to_owned(),
        ..LoginOrigin::default()
    }
}

/// One that a level gives.
fn given(part: &Part<Auth>, login: &Login) -> LoginOrigin {
    let entry = part.entry.as_ref();
    LoginOrigin {
        address: Some(login.url.to_string()),
        entry: entry.map(|entry| format!("{} ({})", entry.at, entry.means)),
        from: "git configuration".to_owned(),
        level: Some(part.level.to_string()),
    }
}

/// What levels say of a repository, and what they are.
#[derive(Default)]
pub(super) struct Weighed {
    /// Where they lie.
    pub(super) named: Vec<Named>,
    /// What they hold.
    pub(super) levels: Vec<Level>,
    /// Which of their entries give what.
    pub(super) found: Resolved,
}

impl Weighed {
    /// Which entry has a login for it, and which.
    fn login(&self, url: &RemoteUrl) -> Result<Option<(Part<Auth>, Login)>, Explained> {
        let Some(auth) = self.found.auth.clone() else {
            return Ok(None);
        };
        let login = gitconfig::login(url, &auth)?;
        Ok(Some((auth, login)))
    }
}

/// What these levels say of it.
async fn weigh(
    ctx: &Context,
    owner: &SecretOwner,
    named: &[Named],
    url: &RemoteUrl,
) -> Result<Weighed, Explained> {
    let levels = levels::read(&ctx.cluster, owner, named).await?;
    if levels.is_empty() {
        return Ok(Weighed::default());
    }
    // Which entry is meant cannot be said, and none is as wrong as another's.
    let place = Place::of(url).map_err(|why| {
        let message = format!(
            "the address {why}, so that no level of git configuration can say which login it has"
        );
        let hint = "write the address as the forge shows it, or name a Secret in spec.secretRef";
        Explained::new(Reason::UrlInvalid, Turn::Owner, message).with_hint(hint)
    })?;
    let found = gitconfig::resolve(&levels, &place);
    Ok(Weighed {
        named: named.to_vec(),
        levels,
        found,
    })
}

/// A refusal, with whose login it was that was refused.
pub(in crate::controller) fn said_of(why: &Explained, from: &str) -> Explained {
    let message = format!("{} (the login is given by {from})", why.message);
    Explained {
        message,
        ..why.clone()
    }
}

fn above(ctx: &Context, id: &NamespacedName) -> Result<Vec<Named>, Explained> {
    ctx.index.read(|known| {
        let tenant = gitconfig::tenant_of(&ctx.grounds, &known.tenants, id)?;
        let tenant = tenant.and_then(|name| known.tenant_objects.get(&name));
        let project = tenant.and_then(|tenant| tenant.spec.project.as_ref());
        let project = project.and_then(|name| known.projects.get(name));
        gitconfig::levels_of(
            tenant.map(|tenant| &**tenant),
            project.map(|project| &**project),
            ctx.git_config.as_ref(),
        )
    })
}

/// The Secrets beside the file that a login refers to, if one was found.
fn referred(found: &Result<Option<(Part<Auth>, Login)>, Explained>) -> Vec<ObjectName> {
    let way = found.as_ref().ok().and_then(Option::as_ref);
    let all = way.into_iter();
    all.flat_map(|(_, login)| levels::referred(&login.way))
        .cloned()
        .collect()
}

/// The files of levels, and Secrets beside them.
fn all(ctx: &Context, named: &[Named], secrets: Vec<ObjectName>) -> Configured {
    let at_home = |name: ObjectName| NamespacedName {
        namespace: ctx.home.clone(),
        name,
    };
    let mut all = Configured::default();
    for (_, from) in named {
        all.kinds.insert(from.kind.as_str());
        all.named.insert(at_home(from.name.clone()));
    }
    for secret in secrets {
        all.kinds.insert("Secret");
        all.named.insert(at_home(secret));
    }
    all
}

/// From now on a change of one of these wakes the source.
fn note(ctx: &Context, id: &NamespacedName, sake: Sake, configured: Configured) {
    let object = ctx.index.write(|known| {
        let object = known.sources.get(id).cloned()?;
        let moved = known.touch.configure_source(id, sake, configured);
        moved.then_some(object)
    });
    if let Some(object) = object {
        follow::watch_source(ctx, id, &object);
    }
}
