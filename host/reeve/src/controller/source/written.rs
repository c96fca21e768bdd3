//! Repositories that are written to: who we are there, and on which branch.
//!
//! Only with a login that is meant for it: a tenant's GitRepository pushes with the Secret that it names, read as the tenant,
//! and never with one that git configuration gives, which opens repositories of others too. What the platform gives has its
//! Secret in the controller's own namespace, where no tenant writes.

use std::sync::Arc;

use reeve_api::deliver::GitDelivery;
use reeve_api::name::{ObjectName, RemoteUrl};
use reeve_api::reason::Reason;
use reeve_api::source::GitRepository;
use reeve_core::failure::{Explained, Turn};
use reeve_core::source::{Reference, Wanted};

use super::login::{joined, remote_with, secret};
use crate::cluster::SecretOwner;
use crate::context::Context;
use crate::git::Remote;
use crate::git::credential::Data;

/// A repository that is written to.
pub(in crate::controller) struct Written {
    /// How it is reached.
    pub(in crate::controller) remote: Arc<Remote>,
    /// Its address, without a user.
    pub(in crate::controller) address: String,
    /// Which branch of it.
    pub(in crate::controller) branch: String,
}

/// The repository of a GitRepository.
pub(in crate::controller) async fn of_source(
    ctx: &Context,
    object: &GitRepository,
) -> Result<Written, Explained> {
    let wanted = Wanted::parse(object).map_err(|why| Explained::of(&why))?;
    let id = &wanted.id;
    let Reference::Branch(branch) = &wanted.reference else {
        let message =
            format!("GitRepository {id} follows no branch, and so there is none to write to");
        let why = Explained::new(Reason::InvalidSpec, Turn::Retry, message);
        return Err(why.with_hint("name the branch in its spec.ref.branch"));
    };
    let Some(name) = &wanted.secret else {
        let message = format!(
            "GitRepository {id} names no Secret, and nothing is written with another's login"
        );
        let hint = "name a Secret in its spec.secretRef with a login that may push";
        let why = Explained::new(Reason::AuthenticationFailed, Turn::Retry, message);
        return Err(why.with_hint(hint));
    };
    let data = secret(ctx, id, name).await?;
    let remote = remote_with(ctx, &wanted, wanted.url.clone(), &data.into(), None).await?;
    Ok(Written {
        address: wanted.url.without_userinfo(),
        remote,
        branch: branch.clone(),
    })
}

/// The repository that the platform gives.
pub(in crate::controller) async fn given(
    ctx: &Context,
    git: &GitDelivery,
) -> Result<Written, Explained> {
    let invalid = |field: &str, why: String| {
        let message = format!("deliver.git.{field}: {why}");
        let why = Explained::new(Reason::InvalidSpec, Turn::Retry, message);
        why.with_hint("the platform corrects it, in the Tenant or in the controller's flags")
    };
    // The error of a URL holds none of its text: it may hold a password.
    let url = RemoteUrl::parse(&git.url).map_err(|why| invalid("url", why.to_string()))?;
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
    Ok(Written {
        address: url.without_userinfo(),
        remote: joined(ctx, url, &data.into(), None, None)?,
        branch: git.branch().to_owned(),
    })
}
