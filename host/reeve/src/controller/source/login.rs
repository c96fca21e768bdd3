//! Who a source is to its repository: a Secret of its own, a provider's login, or one that git configuration gives.
//!
//! What it deliberately doesn't: connect. A login that cannot be read fails the run, and none takes its place.

use std::sync::Arc;

use reeve_api::name::{NamespacedName, ObjectName, RemoteUrl, Scheme};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::source::{self, App, Wanted};

use super::given::{self, Given};
use super::{polling, said};
use crate::context::Context;
use crate::controller::provider::{self, Access, Obtained};
use crate::git::{self, KnownHosts, Maker, Proxy, Remote, credential};

/// What logs in to a repository.
#[derive(Default)]
pub(super) struct Means {
    /// By the keys that a Secret of the source would have.
    data: credential::Data,
    /// For whom it was made, where there is another one after a while.
    by: Option<Maker>,
}

impl From<credential::Data> for Means {
    fn from(data: credential::Data) -> Self {
        Self { data, by: None }
    }
}

impl From<Obtained> for Means {
    fn from(obtained: Obtained) -> Self {
        let login = &obtained.login;
        let entry = |key: &str, value: &str| (key.to_owned(), value.as_bytes().to_vec());
        let user = entry("username", &login.user);
        Self {
            data: [user, entry("password", login.password.expose())].into(),
            by: obtained.by,
        }
    }
}

/// Why the repository could not be asked, with whose login it was if the object does not say so itself.
pub(super) fn refused(why: &Explained, from: Option<&str>) -> Explained {
    match from {
        Some(from) if why.reason == Reason::AuthenticationFailed => given::said_of(why, from),
        _ => why.clone(),
    }
}

/// Who we are to the repository, and how it is reached; and which entry of git configuration says so, if one does.
pub(super) async fn remote(
    ctx: &Context,
    wanted: &Wanted,
) -> Result<(Arc<Remote>, Option<String>), Explained> {
    if given::has_own(wanted) {
        polling::alone(ctx, wanted).await?;
    }
    remote_if(ctx, wanted, Access::Fetch, |_| Ok(())).await
}

/// The same, to be fetched or to be written to, if whoever asks may have a login of the level of git configuration that gives it.
pub(super) async fn remote_if(
    ctx: &Context,
    wanted: &Wanted,
    access: Access,
    may_have: impl Fn(&Given) -> Result<(), Explained> + Send + Sync,
) -> Result<(Arc<Remote>, Option<String>), Explained> {
    said::check(ctx, &wanted.id)?;
    let mut url = wanted.url.clone();
    let mut from = None;
    let means = match (&wanted.secret, &wanted.provider) {
        (Some(name), _) => of_secret(ctx, wanted, name, &url, access).await?,
        (None, Some(name)) => brought(ctx, wanted, name, access).await?,
        (None, None) => match given::login(ctx, wanted, access).await? {
            Some(given) => {
                may_have(&given)?;
                (url, from) = (given.url, Some(given.from));
                given.means
            }
            None => Means::default(),
        },
    };
    let remote = remote_with(ctx, wanted, url, &means, from.as_deref()).await?;
    Ok((remote, from))
}

/// The repository at `url`, reached by these means, which an entry of git configuration may have given.
pub(super) async fn remote_with(
    ctx: &Context,
    wanted: &Wanted,
    url: RemoteUrl,
    means: &Means,
    from: Option<&str>,
) -> Result<Arc<Remote>, Explained> {
    said::check(ctx, &wanted.id)?;
    let proxy = match &wanted.proxy_secret {
        Some(name) => {
            let data = secret(ctx, &wanted.id, name).await?;
            Some(credential::proxy_from_secret(&data).map_err(|why| unusable(&why.into()))?)
        }
        None => None,
    };
    joined(ctx, url, means, proxy, from)
}

/// The same, with the proxy that it is reached through.
pub(super) fn joined(
    ctx: &Context,
    url: RemoteUrl,
    means: &Means,
    proxy: Option<Proxy>,
    from: Option<&str>,
) -> Result<Arc<Remote>, Explained> {
    let data = &means.data;
    let hosts = known_hosts(ctx, &url, data)?;
    let (credential, tls) = credential::from_secret(&url, data, &hosts)
        .map_err(|why| refused(&unusable(&why.into()), from))?;
    let egress = Arc::clone(&ctx.egress);
    Ok(Arc::new(Remote {
        url,
        credential: credential.made_by(means.by),
        tls,
        proxy,
        egress,
    }))
}

/// What the Secret has for the repository at `url`: credentials, or an App that GitHub makes them for.
pub(super) async fn of_secret(
    ctx: &Context,
    wanted: &Wanted,
    name: &ObjectName,
    url: &RemoteUrl,
    access: Access,
) -> Result<Means, Explained> {
    let mut data = secret(ctx, &wanted.id, name).await?;
    if !wanted.app {
        if source::is_of_one(&data) {
            let namespace = &wanted.id.namespace;
            let message = format!(
                "secretRef '{namespace}/{name}' has github app data but provider is not set to github"
            );
            let hint = "say spec.provider: github, or name a Secret with credentials";
            let reason = Reason::InvalidProviderConfiguration;
            return Err(Explained::new(reason, Turn::Ours, message).with_hint(hint));
        }
        return Ok(data.into());
    }
    let app = App::parse(url, &data)?;
    let tls = credential::tls(&data).map_err(|why| unusable(&why.into()))?;
    let from = format!("Secret {}/{name}", wanted.id.namespace);
    let login = provider::entry::login_of_app(ctx, &wanted.id, url, (&app, access), tls, &from);
    let mut means = Means::from(login.await?);
    // Who the server is stands beside the App.
    data.retain(|key, _| {
        matches!(
            key.as_str(),
            "ca.crt" | "caFile" | "tls.crt" | "certFile" | "tls.key" | "keyFile"
        )
    });
    means.data.append(&mut data);
    Ok(means)
}

/// The keys of hosts that the platform knows, where they are asked for.
fn known_hosts(
    ctx: &Context,
    url: &RemoteUrl,
    data: &credential::Data,
) -> Result<KnownHosts, Explained> {
    if url.scheme() != Scheme::Ssh || data.contains_key("known_hosts") {
        return Ok(KnownHosts::default());
    }
    ctx.host_keys.read().map_err(|why| {
        let message = format!("the platform's list of known hosts could not be read: {why}");
        let hint = "the platform corrects it; known_hosts in the Secret goes before it";
        Explained::new(Reason::AuthenticationFailed, Turn::Ours, message).with_hint(hint)
    })
}

/// What a provider plugin says that a Secret would.
async fn brought(
    ctx: &Context,
    wanted: &Wanted,
    name: &ObjectName,
    access: Access,
) -> Result<Means, Explained> {
    let login = provider::login(ctx, &wanted.id, name, &wanted.url, access).await?;
    Ok(login.into())
}

/// What is in a Secret of the source's namespace, read as whoever owns that.
pub(super) async fn secret(
    ctx: &Context,
    source: &NamespacedName,
    name: &ObjectName,
) -> Result<credential::Data, Explained> {
    let owner = ctx.secret_owner(&source.namespace);
    let data = ctx
        .cluster
        .secret(&owner, name)
        .await
        .map_err(|why| Explained::of(&why))?;
    Ok(data.into_inner())
}

fn unusable(why: &git::Error) -> Explained {
    Explained::of(why)
}
