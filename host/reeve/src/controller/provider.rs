//! Asks a provider plugin for the login of a repository, or to change something at its forge.
//!
//! A GitRepository or a Receiver names it by an annotation. Its secrets are read as whoever owns the plugin's namespace; what it
//! may reach is what its component asks for, its object grants and, for a tenant's, its Tenant allows. The requests are
//! `forge`'s. Logins are kept in memory until they are about to end, so that looking for changes asks the forge nothing.
//! Where the annotation says `git-config`, [`entry`] asks in the plugin's place.

pub(super) mod entry;
mod request;
mod share;
mod tokens;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reeve_api::GIT_CONFIG;
use reeve_api::name::{NamespacedName, ObjectName, PluginName, RemoteUrl, Secret};
use reeve_api::plugin::{Component, Slot as Wish};
use reeve_api::reason::Reason;
use reeve_core::failure::{Explained, Turn, chain};
use reeve_core::plugin::{PluginId, grant};
use reeve_core::tenancy::Tenant;

use crate::context::Context;
use crate::forge::words::{Done, Operation, Task};
use crate::forge::{
    self, Asks, Grant, HostPattern, Limits, Outcome, Provider, Slot, Slots, repository,
};
use crate::git::Tls;
use crate::index::{Callable, Edition};
use crate::observe::happening::PluginCalled;

pub(super) use request::{propose, retract};
pub(crate) use share::Shares;
pub(crate) use tokens::Tokens;
pub(super) use tokens::{Access, Obtained};

/// How long a login is used at most before the secret behind it is looked at: so long may it be used after that was taken away.
const KEPT: Duration = Duration::from_secs(10 * 60);
/// How long before its end a login is not used any more: a fetch may take a while.
const BEFORE_ITS_END: Duration = Duration::from_secs(5 * 60);

/// A login, and for how long it is good.
#[derive(Clone)]
pub(crate) struct Kept {
    of: Of,
    until: Timestamp,
    login: Obtained,
}

/// What a login was asked for by: of anything else it is another login.
#[derive(Clone, PartialEq, Eq)]
struct Of {
    plugin: PluginId,
    edition: Edition,
    digest: String,
    url: String,
}

/// Who git is to be at `url`, for the GitRepository `source`.
pub(super) async fn login(
    ctx: &Context,
    source: &NamespacedName,
    name: &ObjectName,
    url: &RemoteUrl,
    access: Access,
) -> Result<Obtained, Explained> {
    let (id, component) = find(ctx, source, name)?;
    let (callable, edition) = callable(ctx, &id)?;
    let of = Of {
        plugin: id.clone(),
        edition,
        digest: callable.module.digest().to_owned(),
        url: url.without_userinfo(),
    };
    if access == Access::Push {
        // It is kept by what it was made with alone: what is kept for the source is shown to whoever fetches it.
        let ready = ready(ctx, &id, &component, &callable).await?;
        return ready.login(ctx, &of, access).await;
    }
    let now = ctx.clock.now();
    let kept = ctx.index.read(|known| known.logins.get(source).cloned());
    if let Some(kept) = kept
        && kept.of == of
        && now < kept.until
    {
        return Ok(kept.login);
    }
    let ready = ready(ctx, &id, &component, &callable).await?;
    let login = ready.login(ctx, &of, access).await?;
    let longest = now.checked_add(KEPT).unwrap_or(now);
    let expires = login.login.expires;
    let end = expires.and_then(|end| end.checked_sub(BEFORE_ITS_END).ok());
    let kept = Kept {
        of,
        until: end.map_or(longest, |end| end.min(longest)),
        login: login.clone(),
    };
    ctx.index
        .write(|known| known.logins.insert(source.clone(), kept));
    Ok(login)
}

/// What a provider is asked about, and for whom.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The object that names it.
    pub(super) whose: &'a NamespacedName,
    /// Its name.
    pub(super) plugin: &'a str,
    /// The repository's address.
    pub(super) repository: &'a str,
}

/// Has a provider do `task`, with a secret of the object's own in a slot, if it needs one.
pub(super) async fn carry_out(
    ctx: &Context,
    asked: Asked<'_>,
    task: Task,
    slot: Option<(&str, Secret)>,
) -> Result<(), Explained> {
    inquire(ctx, asked, task, slot).await.map(drop)
}

/// The same, and whether the forge had to be changed for it.
pub(super) async fn change(
    ctx: &Context,
    asked: Asked<'_>,
    task: Task,
    slot: Option<(&str, Secret)>,
) -> Result<bool, Explained> {
    let outcome = outcome(ctx, asked, task, slot).await?;
    Ok(outcome.changed)
}

/// The same, how it ended, and what the provider said meanwhile.
pub(super) async fn inquire(
    ctx: &Context,
    asked: Asked<'_>,
    task: Task,
    slot: Option<(&str, Secret)>,
) -> Result<(Done, Vec<String>), Explained> {
    let outcome = outcome(ctx, asked, task, slot).await?;
    Ok((outcome.done, outcome.log))
}

/// Has a key taken away that bears the name of an object that is nowhere.
pub(super) async fn take_stray(
    ctx: &Context,
    asked: Asked<'_>,
    title: String,
) -> Result<(), Explained> {
    if asked.plugin == GIT_CONFIG {
        return entry::stray(ctx, asked, title).await.map(drop);
    }
    carry_out(ctx, asked, Task::DeployKeyAbsent(title), None).await
}

async fn outcome(
    ctx: &Context,
    asked: Asked<'_>,
    task: Task,
    slot: Option<(&str, Secret)>,
) -> Result<Outcome, Explained> {
    if asked.plugin == GIT_CONFIG {
        return entry::outcome(ctx, asked, task, slot).await;
    }
    let name = asked.plugin.parse::<ObjectName>().map_err(|why| {
        let message = format!("annotation reeve.dev/provider: {why}");
        Explained::new(Reason::PluginNotFound, Turn::Retry, message)
    })?;
    let (id, component) = find(ctx, asked.whose, &name)?;
    let (callable, _) = callable(ctx, &id)?;
    let mut ready = ready(ctx, &id, &component, &callable).await?;
    if let Some((name, value)) = slot {
        let hosts = ready.provider.grant.hosts.clone();
        let slots = &mut ready.provider.slots;
        let _the_plugins_own = slots.insert(name.to_owned(), Slot { value, hosts });
    }
    ready.ask(ctx, asked.repository, task).await
}

/// Forgets the login of a source: it was refused, or is not wanted any more.
pub(super) fn forget(ctx: &Context, source: &NamespacedName) {
    ctx.index.write(|known| known.logins.remove(source));
}

/// The plugin of that name: one of the source's namespace before the platform's. The platform's has the platform's secrets,
/// which open every repository of a forge: it serves sources in the platform's own namespaces only.
fn find(
    ctx: &Context,
    source: &NamespacedName,
    name: &ObjectName,
) -> Result<(PluginId, Component), Explained> {
    let own = NamespacedName {
        namespace: source.namespace.clone(),
        name: name.clone(),
    };
    let namespace = &source.namespace;
    let platforms = ctx.grounds.is_platform(namespace) || ctx.grounds.is_config(namespace);
    let found = ctx.index.read(|known| {
        if let Some(plugin) = known.plugins.get(&own) {
            return Some((PluginId::Tenant(own.clone()), plugin.spec.component()));
        }
        if !platforms {
            return None;
        }
        let name: PluginName = name.as_str().parse().ok()?;
        let plugin = known.cluster_plugins.get(&name)?;
        Some((PluginId::Platform(name), plugin.spec.component()))
    });
    found.ok_or_else(|| {
        let message = match platforms {
            true => format!("provider {name} not found: there is no Plugin {own} and no ClusterPlugin {name}"),
            false => format!("provider {name} not found: there is no Plugin {own}"),
        };
        let hint = format!(
            "name a Plugin of namespace {namespace} in the annotation reeve.dev/provider; a ClusterPlugin serves the platform's own sources only"
        );
        Explained::new(Reason::PluginNotFound, Turn::Retry, message).with_hint(hint)
    })
}

fn callable(ctx: &Context, id: &PluginId) -> Result<(Arc<Callable>, Edition), Explained> {
    let loaded = ctx.index.read(|known| known.loaded.get(id).cloned());
    let Some(loaded) = loaded.filter(|loaded| !loaded.superseded) else {
        let message = format!("provider {id} is being loaded");
        return Err(Explained::new(Reason::PluginFailed, Turn::Ours, message));
    };
    let ready = loaded.ready.map_err(|why| {
        let message = format!("provider {id} cannot be called: {}", why.message);
        Explained::new(Reason::PluginFailed, Turn::Retry, message).with_hint(id.hint())
    })?;
    if ready.module.world() != reeve_wasm::World::Provider {
        let message = format!(
            "plugin {id} is of world {}, not a provider",
            ready.module.world()
        );
        return Err(Explained::new(Reason::PluginFailed, Turn::Owner, message));
    }
    Ok((ready, loaded.edition))
}

/// A plugin with all that it is given.
struct Ready<'a> {
    id: &'a PluginId,
    callable: &'a Callable,
    provider: Provider,
    /// On whose account it is called.
    tenant: Tenant,
    /// The hosts that its object grants and its Tenant does not.
    withheld: Vec<&'a str>,
}

async fn ready<'a>(
    ctx: &Context,
    id: &'a PluginId,
    component: &'a Component,
    callable: &'a Callable,
) -> Result<Ready<'a>, Explained> {
    let namespace = ctx.home_of(id);
    let tenant = ctx
        .index
        .read(|known| known.tenants.owner_of(&ctx.grounds, namespace))?;
    let (granted, withheld) = grant::hosts(id, &component.grants, &tenant);
    let provider = provider(ctx, id, component, callable, &granted).await?;
    Ok(Ready {
        id,
        callable,
        provider,
        tenant,
        withheld,
    })
}

impl Ready<'_> {
    /// The login that it has made, or had made before with the same secrets.
    async fn login(&self, ctx: &Context, of: &Of, access: Access) -> Result<Obtained, Explained> {
        // What is granted to it decides what it may have made.
        let component = format!("{} for {:?}", of.digest, self.provider.grant.hosts);
        let made_for = tokens::Of::plugin(
            (self.id, of.edition.clone(), &component),
            &self.callable.config,
            &self.provider.slots,
            &of.url,
            access,
        );
        let make = async {
            let login = self.ask(ctx, &of.url, access.task()).await?.credential;
            login.ok_or_else(|| broken(self.id, "it ended without a credential"))
        };
        ctx.tokens.get(made_for, ctx.clock.steady(), make).await
    }

    async fn ask(&self, ctx: &Context, address: &str, task: Task) -> Result<Outcome, Explained> {
        let (id, callable) = (self.id, self.callable);
        let operation = Operation {
            task,
            repository: repository(address)
                .ok_or_else(|| broken(id, "spec.url names no repository"))?,
            config: callable.config.clone(),
            slots: Vec::new(),
        };
        let (name, whose) = (id.to_string(), self.tenant.name.as_str());
        let answer = call(ctx, &self.provider, callable, &name, whose, operation).await;
        answer.map_err(|why| match self.withheld.is_empty() {
            true => Explained::of(&why),
            // Of a tenant's grants, its Tenant has the last word.
            false => Explained::of(&why).with_hint(format!(
                "not granted, since Tenant {} does not allow them in spec.pluginHosts: {}",
                self.tenant.name,
                self.withheld.join(", ")
            )),
        })
    }
}

/// Calls it, and tells of that.
async fn call(
    ctx: &Context,
    provider: &Provider,
    callable: &Callable,
    name: &str,
    whose: &str,
    operation: Operation,
) -> Result<Outcome, forge::Error> {
    let begun = ctx.clock.instant();
    let answer = provider
        .ask(&callable.module, whose, &callable.budget, operation)
        .await;
    let error = answer.as_ref().err().map(|why| chain(why));
    ctx.metrics.tell(&PluginCalled {
        plugin: name,
        tenant: whose,
        error: error.as_deref(),
        said: answer.as_ref().map_or(&[], |done| &*done.log),
        took: begun.elapsed(),
    });
    answer
}

fn broken(id: &PluginId, why: impl Display) -> Explained {
    let message = format!("provider {id}: {why}");
    Explained::new(Reason::PluginFailed, Turn::Owner, message).with_hint(id.hint())
}

/// The same of one that comes with the controller, for an entry of git configuration.
fn broken_off(from: &str, why: impl Display) -> Explained {
    let message = format!("provider for {from}: {why}");
    Explained::new(Reason::PluginFailed, Turn::Retry, message)
}

/// The provider with what it is granted.
async fn provider(
    ctx: &Context,
    id: &PluginId,
    component: &Component,
    callable: &Callable,
    granted: &[&str],
) -> Result<Provider, Explained> {
    let hosts: Result<Vec<HostPattern>, _> = granted.iter().map(|host| host.parse()).collect();
    let hosts = hosts.map_err(|why| broken(id, format_args!("spec.grants.hosts: {why}")))?;
    let asks = Asks::parse(callable.asks.as_ref()).map_err(|why| broken(id, why))?;
    let slots = slots(ctx, id, &component.grants.slots, &hosts).await?;
    Ok(Provider {
        name: id.to_string(),
        // It is one party's, and so is its login.
        whose: String::new(),
        asks: Arc::new(asks),
        grant: Arc::new(Grant {
            hosts,
            http: ctx.plain_http,
        }),
        slots,
        egress: Arc::clone(&ctx.egress),
        tls: Tls::default(),
        limits: Limits::default(),
        clock: ctx.clock.clone(),
        pauses: Arc::clone(&ctx.pauses),
        answers: Arc::clone(&ctx.answers),
    })
}

/// The secrets that the plugin may name, read as whoever owns its namespace.
async fn slots(
    ctx: &Context,
    id: &PluginId,
    wishes: &BTreeMap<String, Wish>,
    hosts: &[HostPattern],
) -> Result<Slots, Explained> {
    let invalid = |slot: &str, why: String| {
        let message = format!("provider {id}: spec.grants.slots[{slot}]: {why}");
        Explained::new(Reason::InvalidSpec, Turn::Retry, message).with_hint(id.hint())
    };
    let namespace = ctx.home_of(id);
    let owner = ctx.secret_owner(namespace);
    let mut slots = Slots::new();
    for (slot, wish) in wishes {
        let reference = &wish.secret_ref;
        let name = reference.name.parse::<ObjectName>();
        let name = name.map_err(|why| invalid(slot, why.to_string()))?;
        let secret = ctx.cluster.secret(&owner, &name).await;
        let secret = secret.map_err(|why| Explained::of(&why))?;
        let Some(value) = secret.text(&reference.key) else {
            let why = format!(
                "secret {namespace}/{name} has no key {} that is text",
                reference.key
            );
            return Err(invalid(slot, why));
        };
        let own: Result<Vec<HostPattern>, _> = wish.hosts.iter().map(|host| host.parse()).collect();
        let own = own.map_err(|why| invalid(slot, format!("hosts: {why}")))?;
        let filled = Slot {
            value: Secret::new(value.trim_end()),
            hosts: if own.is_empty() { hosts.to_vec() } else { own },
        };
        slots.insert(slot.clone(), filled);
    }
    Ok(slots)
}
