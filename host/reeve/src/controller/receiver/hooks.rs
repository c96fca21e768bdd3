//! The webhooks of a Receiver at its forge: there with the right events and secret, changed back when somebody edits them,
//! taken away when nobody wants them.
//!
//! Asked for by the annotation `reeve.dev/provider`, which names the plugin that speaks to the forge. Only GitRepositories of
//! the Receiver's own namespace are meant: that is where its rights are. Which hooks are wanted is `core::upkeep::hook`'s to say;
//! what a forge has is the provider's to look at: when something is another, when somebody asks for a run, and else now and then. What
//! it deliberately doesn't: keep calls from being answered while a forge cannot be asked.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::ResourceExt as _;
use reeve_api::name::{NamespacedName, ObjectName, RemoteUrl, Secret};
use reeve_api::reason::Reason;
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use reeve_api::upkeep::HookAtForge;
use reeve_api::{PROVIDER, RECONCILE_REQUEST};
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::proposal::Wish;
use reeve_core::status::HooksOutcome;
use reeve_core::upkeep::hook::{Looked, events, idle, record, wanted};
use reeve_core::upkeep::remains::Remains;

use crate::context::Context;
use crate::controller::parting::Left;
use crate::controller::report::{self, Run};
use crate::controller::{parting, provider};
use crate::forge::words::{Task, Webhook};

/// How long one run goes on asking forges. What is not done by then is done by the next.
const PATIENCE: Duration = Duration::from_secs(30);
/// The slot that providers have for it.
const SLOT: &str = "webhook";

/// What a run has done about webhooks.
pub(super) struct Tended {
    /// How they are.
    pub(super) outcome: HooksOutcome,
    /// Whether one had to be put at its forge, or changed there: what was pushed before, nobody may have told of.
    pub(super) changed: bool,
}

/// Does what is to be done about the webhooks that call `path`, and says how they are then.
pub(super) async fn tend(
    ctx: &Context,
    id: &NamespacedName,
    object: &Receiver,
    run: &Run,
    path: &str,
) -> Tended {
    let status = object.status.as_ref();
    let record = status.map_or(&[][..], |status| status.webhooks.as_slice());
    let mut desk = Desk {
        ctx,
        id,
        object,
        run,
        record: record.to_vec(),
        changed: false,
    };
    let standing = desk.work(path).await;
    let changed = desk.changed;
    let outcome = HooksOutcome {
        record: desk.record,
        standing: standing.transpose(),
    };
    Tended { outcome, changed }
}

/// Takes away what is at a forge, of a Receiver that is being deleted; how long to wait before that is tried again.
pub(super) async fn part(
    ctx: &Context,
    id: &NamespacedName,
    object: &Receiver,
) -> Option<Duration> {
    let record = &object.status.as_ref()?.webhooks;
    if !report::is_adopted(object) || record.is_empty() {
        return None;
    }
    let until = ctx.clock.instant() + PATIENCE;
    let mut left = Vec::new();
    for hook in record {
        let taken = match object.spec.suspend {
            true => Err(parting::suspended()),
            false if ctx.clock.instant() > until => Err(late()),
            false => take(ctx, id, hook).await,
        };
        if let Err(why) = taken {
            left.push(Left {
                what: format!("the webhook of {}", hook.repository),
                why,
                remains: Remains::of_hook(&source(id, hook), hook, ctx.clock.now()),
            });
        }
    }
    parting::judge(ctx, object, Target::Receiver(id.clone()), &left).await
}

async fn take(ctx: &Context, id: &NamespacedName, hook: &HookAtForge) -> Result<(), Explained> {
    let task = Task::WebhookAbsent(hook.url.clone());
    let source = source(id, hook);
    provider::carry_out(ctx, asked(&source, hook), task, None).await
}

/// Whose levels of git configuration say as whom the forge is asked: in a configuration namespace those of the tenant that names the
/// source, as for the source itself.
fn source(id: &NamespacedName, hook: &HookAtForge) -> NamespacedName {
    let name = hook.source.as_ref().and_then(|name| name.parse().ok());
    NamespacedName {
        namespace: id.namespace.clone(),
        name: name.unwrap_or_else(|| id.name.clone()),
    }
}

fn asked<'a>(source: &'a NamespacedName, hook: &'a HookAtForge) -> provider::Asked<'a> {
    provider::Asked {
        whose: source,
        plugin: &hook.provider,
        repository: &hook.repository,
    }
}

fn late() -> Explained {
    let message =
        format!("asking the forge took over {PATIENCE:?}; the rest is done by the next run");
    Explained::new(Reason::PluginFailed, Turn::Ours, message)
}

/// All that one run works with.
struct Desk<'a> {
    ctx: &'a Context,
    id: &'a NamespacedName,
    object: &'a Receiver,
    run: &'a Run,
    record: Vec<HookAtForge>,
    changed: bool,
}

impl Desk<'_> {
    /// How many there are; None: nobody asks for any, and none is left. What cannot be done at one repository keeps none of the
    /// others.
    async fn work(&mut self, path: &str) -> Result<Option<usize>, Explained> {
        let until = self.ctx.clock.instant() + PATIENCE;
        let name = self.provider()?;
        let wanted = match &name {
            Some(name) => self.wanted(name, path)?,
            None => BTreeSet::new(),
        };
        let idle = idle(&self.record, &wanted);
        let mut trouble = None;
        if !wanted.is_empty() {
            let (events, token) = (self.events()?, self.token().await?);
            let news = record(&mut self.record, &wanted);
            if news {
                self.note().await?;
            }
            let uid = self.object.metadata.uid.as_deref();
            let now = self.ctx.clock.instant();
            let look = Looked::at(uid, &wanted, &events, &token, now);
            if !news && idle.is_empty() && self.is_well(&look) {
                return Ok(name.map(|_| wanted.len()));
            }
            for hook in &wanted {
                let put = match self.ctx.clock.instant() > until {
                    true => Err(late()),
                    false => self.put(hook, &events, &token).await,
                };
                trouble = trouble.or_else(|| put.err());
            }
            self.looked(look, trouble.is_none());
        }
        for hook in idle {
            let taken = match self.ctx.clock.instant() > until {
                true => Err(late()),
                false => take(self.ctx, self.id, &hook).await,
            };
            match taken {
                Ok(()) => self.record.retain(|one| *one != hook),
                Err(why) => trouble = trouble.or(Some(why)),
            }
        }
        match trouble {
            Some(why) => Err(why),
            None => Ok(name.map(|_| wanted.len())),
        }
    }

    /// Whether the forge need not be asked: it was a while ago, and nobody asks for a run.
    fn is_well(&self, look: &Looked) -> bool {
        let status = self.object.status.as_ref();
        let handled = status.and_then(|status| status.last_handled_reconcile_at.as_ref());
        let asked = self.object.annotations().get(RECONCILE_REQUEST);
        let before = self
            .ctx
            .index
            .read(|known| known.hooks.get(self.id).copied());
        let is_new = asked.is_some_and(|asked| Some(asked) != handled);
        !is_new && before.is_some_and(|before| before.does_for(look))
    }

    fn looked(&self, look: Looked, well: bool) {
        self.ctx.index.write(|known| match well {
            true => known.hooks.insert(self.id.clone(), look),
            false => known.hooks.remove(self.id),
        });
    }

    fn provider(&self) -> Result<Option<ObjectName>, Explained> {
        let annotations = self.object.metadata.annotations.as_ref();
        let named = annotations.and_then(|all| all.get(PROVIDER));
        let named = named.map(|name| name.parse::<ObjectName>()).transpose();
        named.map_err(|why| {
            let message = format!("metadata.annotations[{PROVIDER}]: {why}");
            Explained::new(Reason::ValidationFailed, Turn::Owner, message)
        })
    }

    /// One at each repository that it names in its namespace.
    fn wanted(
        &self,
        provider: &ObjectName,
        path: &str,
    ) -> Result<BTreeSet<HookAtForge>, Explained> {
        let urls = self.sources(|source| {
            let name = source.metadata.name.as_deref()?.parse::<ObjectName>();
            Some((name.ok()?, RemoteUrl::parse(&source.spec.url).ok()?))
        });
        let base = self.ctx.receiver_url.as_deref();
        wanted(provider, base, path, &urls).map_err(|why| Explained::of(&why))
    }

    /// What is known of those that it names in its namespace, and that stay.
    fn sources<T>(&self, of: impl Fn(&GitRepository) -> Option<T>) -> Vec<T> {
        self.ctx.index.read(|known| {
            let named = known.touch.named_by(self.id).present;
            let found = named.iter().filter_map(|target| {
                let Target::Source(id) = target else {
                    return None;
                };
                let object = known.sources.get(id)?;
                let own = id.namespace == self.id.namespace;
                let stays = object.metadata.deletion_timestamp.is_none();
                (own && stays).then(|| of(object)).flatten()
            });
            found.collect()
        })
    }

    fn events(&self) -> Result<Vec<String>, Explained> {
        let spec = &self.object.spec;
        let plans = self.sources(|source| Wish::parse(source).ok()??.plans);
        let events = events(spec.kind, &spec.events, !plans.is_empty());
        let events = events.map_err(|why| Explained::of(&why))?;
        Ok(events.into_iter().map(str::to_owned).collect())
    }

    /// What calls are proved by, as the forge is to write or to sign it.
    async fn token(&self) -> Result<Secret, Explained> {
        let missing = |why: String| Explained::new(Reason::TokenNotFound, Turn::Retry, why);
        let named = self.object.spec.secret_ref.as_ref();
        let named = named.and_then(|secret| secret.name.parse::<ObjectName>().ok());
        let name = named.ok_or_else(|| missing("it names no Secret with a token".to_owned()))?;
        let owner = self.ctx.secret_owner(&self.id.namespace);
        let data = self.ctx.cluster.secret(&owner, &name).await;
        let data = data.map_err(|why| Explained::of(&why))?;
        let token = data.text("token").map(Secret::new);
        token.ok_or_else(|| missing(format!("the 'token' of Secret {name} is no text")))
    }

    /// The hook, at its forge.
    async fn put(
        &mut self,
        hook: &HookAtForge,
        events: &[String],
        token: &Secret,
    ) -> Result<(), Explained> {
        let task = Task::WebhookPresent(Webhook {
            url: hook.url.clone(),
            secret: SLOT.to_owned(),
            events: events.to_vec(),
        });
        let slot = Some((SLOT, token.clone()));
        let source = source(self.id, hook);
        let changed = provider::change(self.ctx, asked(&source, hook), task, slot).await?;
        self.changed |= changed;
        Ok(())
    }

    /// Writes down what is about to be.
    async fn note(&self) -> Result<(), Explained> {
        let mut status = self.object.status.clone().unwrap_or_default();
        status.webhooks.clone_from(&self.record);
        report::note(self.ctx, self.object, self.run, &status).await
    }
}
