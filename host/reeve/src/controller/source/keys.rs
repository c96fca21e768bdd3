//! The deploy key of a source: made, put at the forge by a provider plugin, put in another's place, taken away.
//!
//! What is to be done next is `core::upkeep::key`'s to say, one step at a time; here it is done. What is put at a forge is
//! written into the status before, so that it is found again whatever happens between the two. The private half goes from
//! this process's memory into the Secret, which is written as whoever owns the namespace, and nowhere else. What others of the
//! namespace have in use is left to them. What it deliberately doesn't: keep a run from fetching with the key that there is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reeve_api::condition::{self, Type};
use reeve_api::meta::Time;
use reeve_api::name::{NamespacedName, ObjectName, Secret};
use reeve_api::reason::Reason;
use reeve_api::source::GitRepository;
use reeve_api::upkeep::{DeployKey, KeyAtForge};
use reeve_core::failure::{Explained, Turn};
use reeve_core::index::Target;
use reeve_core::source::{Reference, Wanted};
use reeve_core::status::{KeyOutcome, KeyStanding};
use reeve_core::upkeep::key::{self, Case, Facts, Site, Step, Wish};
use reeve_core::upkeep::remains::Remains;
use tokio::time::Instant;

use super::login::remote_with;
use crate::cluster::Held;
use crate::context::Context;
use crate::controller::parting::Left;
use crate::controller::report::{self, Run};
use crate::controller::{parting, provider, strays};
use crate::forge::words::{DeployKey as Put, Task};
use crate::git::{self, identity};

/// More steps than one run ever has.
const STEPS: usize = 64;
/// The keys of the Secret: Flux's for the pair in use, and ours for the one that is to follow.
const PRIVATE: &str = "identity";
const PUBLIC: &str = "identity.pub";
const NEXT_PRIVATE: &str = "identity.next";
const NEXT_PUBLIC: &str = "identity.next.pub";

/// Does what is to be done about the key, and says how it is then.
pub(super) async fn tend(
    ctx: &Context,
    object: &GitRepository,
    wanted: &Wanted,
    run: &Run,
) -> KeyOutcome {
    let status = object.status.as_ref();
    let record = status.and_then(|status| status.deploy_key.clone());
    let record = record.unwrap_or_default();
    if wanted.key.is_none() && record.at_forge.is_empty() {
        return KeyOutcome {
            record: DeployKey::default(),
            standing: KeyStanding::Unasked,
        };
    }
    let repository = wanted.url.without_userinfo();
    let site = Site {
        cluster: ctx.cluster_name.clone(),
        id: wanted.id.clone(),
        shared: shared(ctx, &wanted.id, &repository),
        repository,
    };
    let conditions = status.map_or(&[][..], |status| status.conditions.as_slice());
    let well = |of: Type| condition::is_true(conditions, of);
    let mut desk = Desk {
        ctx,
        object,
        wanted,
        run,
        site,
        record,
        facts: Facts::default(),
        look: !(well(Type::Ready) && well(Type::DeployKeyReady)),
        news: false,
    };
    let done = desk.work().await;
    if done.is_ok() {
        desk.sweep().await;
    }
    desk.told(done)
}

/// Takes away what is at a forge, of a source that is being deleted; how long to wait before that is tried again.
pub(super) async fn part(
    ctx: &Context,
    id: &NamespacedName,
    object: &GitRepository,
) -> Option<Duration> {
    let record = object.status.as_ref()?.deploy_key.as_ref()?;
    if !report::is_adopted(object) || record.at_forge.is_empty() {
        return None;
    }
    let mut left = Vec::new();
    for entry in &record.at_forge {
        let others = shared(ctx, id, &entry.repository);
        let taken = match object.spec.suspend {
            _ if others.iter().any(|other| key::is_one(other, entry)) => Ok(()),
            true => Err(parting::suspended()),
            false => take(ctx, id, entry).await,
        };
        if let Err(why) = taken {
            left.push(Left {
                what: format!("deploy key '{}' of {}", entry.title, entry.repository),
                why,
                remains: Remains::of_key(id, entry, ctx.clock.now()),
            });
        }
    }
    let target = Target::Source(id.clone());
    parting::judge(ctx, object, target, &left).await
}

/// What others of the namespace, that stay, have at a repository's forge for the keys that they have in use, as they want it now.
fn shared(ctx: &Context, id: &NamespacedName, repository: &str) -> BTreeSet<KeyAtForge> {
    let first = NamespacedName::first_of(&id.namespace);
    ctx.index.read(|known| {
        let all = known.sources.range(first..);
        let beside = all.take_while(|(other, _)| other.namespace == id.namespace);
        let others = beside
            .filter(|(other, object)| *other != id && object.metadata.deletion_timestamp.is_none());
        let records = others.filter_map(|(_, object)| {
            let record = object.status.as_ref()?.deploy_key.as_ref()?;
            Some((record, key::is_to_push(object)))
        });
        let used = records.flat_map(|(record, wants)| key::in_use(record, wants, repository));
        used.collect()
    })
}

async fn take(ctx: &Context, id: &NamespacedName, entry: &KeyAtForge) -> Result<(), Explained> {
    let task = Task::DeployKeyAbsent(entry.title.clone());
    let asked = provider::Asked {
        whose: id,
        plugin: &entry.provider,
        repository: &entry.repository,
    };
    provider::carry_out(ctx, asked, task, None).await
}

/// All that one run works with.
struct Desk<'a> {
    ctx: &'a Context,
    object: &'a GitRepository,
    wanted: &'a Wanted,
    run: &'a Run,
    site: Site,
    record: DeployKey,
    facts: Facts,
    look: bool,
    /// Whether a key was put at the forge that was not recorded there.
    news: bool,
}

impl Desk<'_> {
    /// Step by step, until there is nothing more to do. What is still to be taken away somewhere else keeps nothing else.
    async fn work(&mut self) -> Result<(), Explained> {
        let mut held = match &self.wanted.key {
            Some(wish) => Some(self.read(wish).await?),
            None => None,
        };
        for _ in 0..STEPS {
            let repository = &self.site.repository;
            self.site.shared = shared(self.ctx, &self.site.id, repository);
            let case = Case {
                wish: self.wanted.key.as_ref(),
                site: &self.site,
                record: &self.record,
                facts: &self.facts,
                look: self.look,
                now: self.ctx.clock.now(),
            };
            match (case.step(), &mut held) {
                (Step::Put(entry, public), _) => self.put(entry, public).await?,
                (Step::Take(entry), _) => self.take(&entry).await?,
                (Step::Leave(entry), _) => self.record.at_forge.retain(|one| *one != entry),
                (Step::Make, Some(held)) => self.make(held, PRIVATE, PUBLIC).await?,
                (Step::MakeNext, Some(held)) => {
                    let now = self.ctx.clock.instant();
                    self.ctx.shares.rotate(&self.site.id, now)?;
                    self.make(held, NEXT_PRIVATE, NEXT_PUBLIC).await?;
                }
                (Step::Prove, Some(held)) => self.prove(held).await?,
                (Step::Switch, Some(held)) => self.switch(held).await?,
                (Step::Rest, _) | (_, None) => return Ok(()),
            }
            self.record.public_key.clone_from(&self.facts.current);
        }
        Ok(())
    }

    /// The Secret, and which keys are in it.
    async fn read(&mut self, wish: &Wish) -> Result<Held, Explained> {
        let owner = self.ctx.secret_owner(&self.wanted.id.namespace);
        let held = self.ctx.cluster.held(&owner, &wish.secret).await;
        let held = held.map_err(|why| Explained::of(&why))?;
        let data = held.data();
        let passphrase = data.text("password").map(str::trim_end);
        let half = |key: &str, name: &ObjectName| match data.get(key) {
            None | Some([]) => Ok(None),
            Some(_) => {
                let text = data.text(key);
                let public = text.and_then(|text| identity::public(text, passphrase));
                public.map(Some).ok_or_else(|| {
                    let message = format!("the '{key}' of Secret {name} is no private key");
                    let hint = "take it out, and another is made where reeve.dev/generate-key asks for one";
                    let why = Explained::new(Reason::AuthenticationFailed, Turn::Retry, message);
                    why.with_hint(hint)
                })
            }
        };
        self.facts.current = half(PRIVATE, &wish.secret)?;
        self.facts.next = half(NEXT_PRIVATE, &wish.secret)?;
        if self.record.public_key != self.facts.current {
            // Somebody has put another one there: nobody here knows how old it is.
            self.record.generated_at = None;
        }
        self.record.public_key.clone_from(&self.facts.current);
        Ok(held)
    }

    /// A pair, into the Secret.
    async fn make(
        &mut self,
        held: &mut Held,
        private: &str,
        public: &str,
    ) -> Result<(), Explained> {
        let pair = identity::generate().ok_or_else(|| {
            let message = "a key pair could not be made";
            Explained::new(Reason::AuthenticationFailed, Turn::Ours, message)
        })?;
        let half = Secret::new(pair.public.as_str());
        let entries = BTreeMap::from([(private, Some(&pair.private)), (public, Some(&half))]);
        self.hold(held, &entries).await?;
        match private {
            PRIVATE => self.facts.current = Some(pair.public),
            _ => self.facts.next = Some(pair.public),
        }
        self.record.public_key.clone_from(&self.facts.current);
        self.record.generated_at = Some(Time(self.ctx.clock.now()));
        let wish = self.wanted.key.as_ref();
        self.record.last_handled_rotation = wish.and_then(|wish| wish.rotation.clone());
        self.note().await
    }

    /// The key, at the forge.
    async fn put(&mut self, entry: KeyAtForge, public: String) -> Result<(), Explained> {
        let before = self.record.at_forge.clone();
        let is_news = !before.contains(&entry);
        if is_news {
            self.record.at_forge.retain(|one| !one.is(&entry));
            self.record.at_forge.push(entry.clone());
            self.note().await?;
        }
        let task = Task::DeployKeyPresent(Put {
            title: entry.title.clone(),
            public_key: public,
            writable: entry.writable,
        });
        let asked = provider::Asked {
            whose: &self.wanted.id,
            plugin: &entry.provider,
            repository: &entry.repository,
        };
        let put = provider::carry_out(self.ctx, asked, task, None).await;
        if put
            .as_ref()
            .is_err_and(|why| why.reason == Reason::AccessDenied)
        {
            // The forge was not asked: what is there is what was there before.
            self.record.at_forge = before;
        }
        put?;
        self.news |= is_news;
        self.facts.put.insert(entry);
        Ok(())
    }

    /// Looks for keys beside its own that are nobody's any more.
    async fn sweep(&self) {
        let provider = self.wanted.key.as_ref();
        let Some(provider) = provider.and_then(|wish| wish.provider.as_ref()) else {
            return;
        };
        let asked = provider::Asked {
            whose: &self.wanted.id,
            plugin: provider.as_str(),
            repository: &self.site.repository,
        };
        strays::sweep(self.ctx, asked, self.news).await;
    }

    /// A key that is no longer in use, away from its forge.
    async fn take(&mut self, entry: &KeyAtForge) -> Result<(), Explained> {
        let taken = take(self.ctx, &self.wanted.id, entry).await;
        taken.map_err(|why| {
            let message = format!(
                "the key '{}' of {} is no longer in use and could not be removed: {}",
                entry.title, entry.repository, why.message
            );
            Explained { message, ..why }
        })?;
        self.record.at_forge.retain(|one| one != entry);
        Ok(())
    }

    /// Asks the repository with the key that is to follow. Whoever is let in may learn that the reference is not there.
    async fn prove(&mut self, held: &Held) -> Result<(), Explained> {
        let ctx = self.ctx;
        let mut data = held.data().into_inner();
        if let Some(next) = data.get(NEXT_PRIVATE).cloned() {
            data.insert(PRIVATE.to_owned(), next);
        }
        let url = self.wanted.url.clone();
        let remote = remote_with(ctx, self.wanted, url, &data.into(), None).await?;
        let until = (Instant::now() + self.wanted.timeout).into_std();
        let reference = match &self.wanted.reference {
            // Nobody is asked for a commit that is named itself.
            Reference::Commit { branch, .. } => {
                Reference::Branch(branch.clone().unwrap_or_else(|| "main".to_owned()))
            }
            named => named.clone(),
        };
        let asked = git::resolve(&ctx.mirrors, &remote, &reference, until, &ctx.limits).await;
        if let Err(why) = asked {
            let why = Explained::of(&why);
            if why.reason != Reason::EmptyGitRepository {
                let message = format!(
                    "the new key does not open the repository, the old one stays: {}",
                    why.message
                );
                return Err(Explained { message, ..why });
            }
        }
        self.facts.proven = true;
        Ok(())
    }

    /// The key that is to follow, in the place of the one in use.
    async fn switch(&mut self, held: &mut Held) -> Result<(), Explained> {
        let data = held.data();
        let next = data.text(NEXT_PRIVATE).map(Secret::new);
        let public = self.facts.next.as_deref().map(Secret::new);
        let (Some(next), Some(public)) = (next, public) else {
            // What is not there takes nobody's place.
            return Ok(());
        };
        let entries = BTreeMap::from([
            (PRIVATE, Some(&next)),
            (PUBLIC, Some(&public)),
            (NEXT_PRIVATE, None),
            (NEXT_PUBLIC, None),
        ]);
        self.hold(held, &entries).await?;
        self.facts.current = self.facts.next.take();
        self.record.public_key.clone_from(&self.facts.current);
        self.note().await
    }

    async fn hold(
        &self,
        held: &mut Held,
        entries: &BTreeMap<&str, Option<&Secret>>,
    ) -> Result<(), Explained> {
        let written = self.ctx.cluster.hold(held, entries, self.object).await;
        written.map_err(|why| Explained::of(&why))
    }

    /// Writes down what is about to be.
    async fn note(&self) -> Result<(), Explained> {
        let mut status = self.object.status.clone().unwrap_or_default();
        status.deploy_key = Some(self.record.clone());
        report::note(self.ctx, self.object, self.run, &status).await
    }

    fn told(mut self, done: Result<(), Explained>) -> KeyOutcome {
        if self.wanted.key.is_none() && self.record.at_forge.is_empty() {
            self.record = DeployKey::default();
        }
        let public = self.facts.current.as_deref();
        let wish = self.wanted.key.as_ref();
        let entry = wish.zip(public);
        let entry = entry.map(|(wish, public)| self.site.entry(wish, &self.record, public));
        let standing = match (done, entry) {
            (Err(why), _) => KeyStanding::Failed(why),
            // Where there is a wish it is neither there nor to be made; fetching says so.
            (Ok(()), None) => KeyStanding::Unasked,
            (Ok(()), Some(None)) => KeyStanding::Alone,
            (Ok(()), Some(Some(entry))) => KeyStanding::Kept {
                repository: entry.repository,
                title: entry.title,
            },
        };
        KeyOutcome {
            record: self.record,
            standing,
        }
    }
}
