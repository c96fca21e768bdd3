//! Asks a forge as whom git configuration names: with the App or the token of the entry that a repository matches.
//!
//! The provider is one that comes with the controller, so nothing of a tenant's is needed for it: no Plugin, no grant and no
//! Secret. The entry says of which repositories it is, and its secret goes to that forge's API alone. Its rights are the
//! platform's, though, and may be more than those of whoever asks: so nothing is removed at the forge but keys and hooks that
//! bear our own names, whatever a status says, and no request is closed but one from a branch of ours; and each tenant asks as often as
//! is its share. What it deliberately doesn't: fall back to another entry, or keep a secret.

use std::sync::Arc;

use reeve_api::name::{NamespacedName, RemoteUrl, Secret};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn};
use reeve_core::gitconfig::{self, Agent, Asker, Auth, Deed, Part};
use reeve_core::source::App;
use reeve_core::upkeep::{hook, key};

use super::{Access, Asked, Obtained, broken_off, call, tokens};
use crate::cluster::SecretOwner;
use crate::context::Context;
use crate::controller::plugin;
use crate::controller::source::given;
use crate::forge::words::{Operation, Task};
use crate::forge::{
    Asks, Grant, HostPattern, Limits, Login, Outcome, Provider, Slot, Slots, repository,
};
use crate::git::{Maker, Tls};
use crate::levels;

/// What the branches begin with that we propose from.
const OUR_BRANCHES: &str = "reeve/";

/// Has `task` done at a repository's forge, and says what came of it.
pub(super) async fn outcome(
    ctx: &Context,
    asked: Asked<'_>,
    task: Task,
    slot: Option<(&str, Secret)>,
) -> Result<Outcome, Explained> {
    may(&task, asked.whose)?;
    unguarded(ctx, asked, task, slot).await
}

/// The same for what bears the name of an object that is nowhere, of whichever namespace: whoever calls has made sure of that.
pub(super) async fn stray(
    ctx: &Context,
    asked: Asked<'_>,
    title: String,
) -> Result<Outcome, Explained> {
    unguarded(ctx, asked, Task::DeployKeyAbsent(title), None).await
}

async fn unguarded(
    ctx: &Context,
    asked: Asked<'_>,
    task: Task,
    slot: Option<(&str, Secret)>,
) -> Result<Outcome, Explained> {
    let url = RemoteUrl::parse(asked.repository).map_err(|_| {
        let message = "what is recorded of it names no repository";
        Explained::new(Reason::UrlInvalid, Turn::Retry, message)
    })?;
    let part = given::entry(ctx, asked.whose, &url).await?;
    let part = part.ok_or_else(|| nobody(&url))?;
    may_with(ctx, &task, asked.whose, &url, &part)?;
    let (tenant, from) = (tenant(ctx, asked.whose)?, part.from());
    if let Some(tenant) = &tenant {
        let (who, now) = ((tenant.as_str(), from.as_str()), ctx.clock.instant());
        ctx.shares.take(who, &task, now)?;
    }
    let agent = gitconfig::agent(&url, &part)?;
    let secret = reveal(ctx, &agent).await;
    let secret = secret.map_err(|why| given::said_of(&why, &from))?;
    let errand = Errand {
        whose: asked.whose,
        agent: &agent,
        secret,
        from: &from,
        tls: Tls::default(),
    };
    errand.run(ctx, asked.repository, task, slot).await
}

/// The login over https at `url`, which the forge makes for the App of an entry, or made before.
pub(in crate::controller) async fn login(
    ctx: &Context,
    source: &NamespacedName,
    url: &RemoteUrl,
    (agent, access): (&Agent, Access),
    from: &str,
) -> Result<Obtained, Explained> {
    let secret = reveal(ctx, agent).await?;
    let address = url.without_userinfo();
    let of = tokens::Of::app(agent, &secret, &address, access);
    let errand = Errand {
        whose: source,
        agent,
        secret,
        from,
        tls: Tls::default(),
    };
    let make = errand.credential(ctx, &address, access);
    ctx.tokens.get(of, ctx.clock.steady(), make).await
}

/// The same for an App in a Secret of the source's own.
pub(in crate::controller) async fn login_of_app(
    ctx: &Context,
    source: &NamespacedName,
    url: &RemoteUrl,
    (app, access): (&App, Access),
    tls: Tls,
    from: &str,
) -> Result<Obtained, Explained> {
    let address = url.without_userinfo();
    let of = tokens::Of::app(&app.agent, &app.key, &address, access);
    let errand = Errand {
        whose: source,
        agent: &app.agent,
        secret: app.key.clone(),
        from,
        tls,
    };
    let make = errand.credential(ctx, &address, access);
    ctx.tokens.get(of, ctx.clock.steady(), make).await
}

/// Forgets what was made last for whom it was refused. The next try asks for another.
pub(in crate::controller) fn forget(ctx: &Context, refused: Maker) {
    ctx.tokens.forget(refused);
}

async fn reveal(ctx: &Context, agent: &Agent) -> Result<Secret, Explained> {
    let owner = SecretOwner::connected(&ctx.home);
    let secret = levels::reveal(&ctx.cluster, &owner, &agent.secret).await?;
    Ok(Secret::new(secret.expose().trim_end()))
}

/// Whether this is done with rights that are not the asker's own.
fn may(task: &Task, whose: &NamespacedName) -> Result<(), Explained> {
    let ours = match task {
        // Objects of a namespace may share a key, and then its title.
        Task::DeployKeyAbsent(title) => key::is_within(title, &whose.namespace),
        Task::DeployKeyPresent(put) => key::is_within(&put.title, &whose.namespace),
        Task::WebhookAbsent(url) => hook::is_receivers(url),
        Task::PullRequestAbsent(head) => head.starts_with(OUR_BRANCHES),
        Task::GitCredential(_)
        | Task::WebhookPresent(_)
        | Task::WebhookCheck(_)
        | Task::CommitStatus(_)
        | Task::PullRequest(_)
        | Task::PullRequestsOpen(_)
        | Task::CommentPresent(_)
        | Task::DeployKeysTitled(_) => true,
    };
    if ours {
        return Ok(());
    }
    let message = "what is recorded to be at the forge has no name that we give, and is left alone";
    Err(Explained::new(Reason::AccessDenied, Turn::Retry, message))
}

/// Whether it is done with this entry for whoever asks, or that would be done to others who have it too.
fn may_with(
    ctx: &Context,
    task: &Task,
    whose: &NamespacedName,
    url: &RemoteUrl,
    part: &Part<Auth>,
) -> Result<(), Explained> {
    let deed = match task {
        Task::DeployKeyPresent(put) if put.writable => Deed::Pushes,
        Task::CommitStatus(_) | Task::CommentPresent(_) | Task::PullRequestsOpen(_) => Deed::Tells,
        // Who proposes has pushed the branch before, with a login of its own.
        Task::PullRequest(_) | Task::PullRequestAbsent(_) => return Ok(()),
        Task::GitCredential(_)
        | Task::DeployKeyPresent(_)
        | Task::DeployKeyAbsent(_)
        | Task::DeployKeysTitled(_)
        | Task::WebhookPresent(_)
        | Task::WebhookAbsent(_)
        | Task::WebhookCheck(_) => Deed::Reads,
    };
    if ctx.grounds.belongs_to_platform(&whose.namespace) {
        return gitconfig::may(deed, url, part, Asker::Platform);
    }
    let tenant = ctx.index.read(|known| {
        let name = gitconfig::tenant_of(&ctx.grounds, &known.tenants, whose)?;
        Ok::<_, Explained>(name.and_then(|name| known.tenant_objects.get(&name).cloned()))
    })?;
    gitconfig::may(deed, url, part, Asker::Tenant(tenant.as_deref()))
}

/// The tenant that something is done for; None: it is the platform's own.
fn tenant(ctx: &Context, whose: &NamespacedName) -> Result<Option<String>, Explained> {
    let namespace = &whose.namespace;
    ctx.index.read(|known| {
        let tenant = gitconfig::tenant_of(&ctx.grounds, &known.tenants, whose)?;
        // One without a Tenant is known by its namespace.
        let own = !ctx.grounds.belongs_to_platform(namespace);
        let named = tenant.map(|tenant| tenant.to_string());
        Ok::<_, Explained>(named.or_else(|| own.then(|| namespace.to_string())))
    })
}

fn nobody(url: &RemoteUrl) -> Explained {
    let message = format!("no level of git configuration has a login for {url}");
    let hint = "the platform gives one by gitHubAuths or gitLabAuths (`reeve git explain` shows what is given); else name a Plugin in the annotation reeve.dev/provider";
    Explained::new(Reason::AuthenticationFailed, Turn::Retry, message).with_hint(hint)
}

/// A provider that comes with the controller, and an entry's secret for it.
struct Errand<'e> {
    whose: &'e NamespacedName,
    agent: &'e Agent,
    secret: Secret,
    from: &'e str,
    tls: Tls,
}

impl Errand<'_> {
    async fn credential(
        &self,
        ctx: &Context,
        address: &str,
        access: Access,
    ) -> Result<Login, Explained> {
        let outcome = self.run(ctx, address, access.task(), None).await?;
        let login = outcome.credential;
        login.ok_or_else(|| broken_off(self.from, "it ended without a credential"))
    }

    async fn run(
        &self,
        ctx: &Context,
        address: &str,
        task: Task,
        slot: Option<(&str, Secret)>,
    ) -> Result<Outcome, Explained> {
        let agent = self.agent;
        let mut callable = plugin::shipped(ctx, agent.component).await?;
        callable.config.clone_from(&agent.config);
        let asks = Asks::parse(callable.asks.as_ref());
        let asks = asks.map_err(|why| broken_off(self.from, why))?;
        let operation = Operation {
            task,
            repository: repository(address)
                .ok_or_else(|| broken_off(self.from, "the address names no repository"))?,
            config: callable.config.clone(),
            slots: Vec::new(),
        };
        let provider = self.provider(ctx, asks, slot)?;
        let tenant = ctx.index.read(|known| {
            let namespace = &self.whose.namespace;
            known.tenants.owner_of(&ctx.grounds, namespace)
        })?;
        let whose = tenant.name.as_str();
        let answer = call(ctx, &provider, &callable, agent.component, whose, operation);
        answer.await.map_err(|why| Explained::of(&why))
    }

    fn provider(
        &self,
        ctx: &Context,
        asks: Asks,
        slot: Option<(&str, Secret)>,
    ) -> Result<Provider, Explained> {
        let pattern = |host: &str| {
            let host = host.parse::<HostPattern>();
            host.map_err(|why| broken_off(self.from, why))
        };
        let api = pattern(&self.agent.api)?;
        let at_api = |value: Secret| Slot {
            value,
            hosts: vec![api.clone()],
        };
        let mut slots = Slots::new();
        slots.insert(self.agent.slot.to_owned(), at_api(self.secret.clone()));
        if let Some((name, value)) = slot {
            slots.insert(name.to_owned(), at_api(value));
        }
        Ok(Provider {
            name: self.from.to_owned(),
            whose: tenant(ctx, self.whose)?.unwrap_or_default(),
            asks: Arc::new(asks),
            grant: Arc::new(Grant {
                hosts: vec![api.clone(), pattern(&self.agent.host)?],
                http: ctx.plain_http,
            }),
            slots,
            egress: Arc::clone(&ctx.egress),
            tls: self.tls.clone(),
            limits: Limits::default(),
            clock: ctx.clock.clone(),
            pauses: Arc::clone(&ctx.pauses),
            answers: Arc::clone(&ctx.answers),
        })
    }
}
