//! What was seen is read: each object as it is, as it was applied, and what the API server fills in.
//!
//! All of it as the account of the WriteBack, so that it persists what that may read and nothing else; what it may not is told.
//! What the API server or a Kustomization cannot say now is left for later, and stops nothing else. What holds a value that came
//! from a Secret is not written. It deliberately decides nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use reeve_api::name::NamespacedName;
use reeve_api::reason::Reason;
use reeve_api::writeback::WriteBackRefusal;
use reeve_core::artifact::Revision;
use reeve_core::failure::{Explain as _, Explained, Turn};
use reeve_core::inventory::ObjectId;
use reeve_core::substitute::takes;
use reeve_core::veil::Veil;
use reeve_core::ward::{Left, Work, as_made, by_name, is_being_taken};
use reeve_core::writeback::{Seen, State};
use reeve_kustomize::Object;
use serde_json::Value;

use super::Case;
use super::forbidden::{forbidden, is_of};
use super::lean::{Agreed, is_only_made};
use super::refusal::{copied, neighbours, refusal, variables};
use super::was::Newest;
use super::whose::Whose;
use crate::cluster::{CallError, Cause};
use crate::controller::kustomization::{AsApplied, as_applied};
use crate::controller::source;
use crate::git::Snapshot;

/// How many objects are read at a time.
pub(super) const AT_A_TIME: usize = 8;

/// What there is to decide about.
#[derive(Default)]
pub(super) struct Found {
    /// Each object, and what is asked about it.
    pub(super) seen: Vec<(ObjectId, Seen)>,
    pub(super) builds: Vec<Built>,
    /// What is to be said of objects already.
    left: Vec<(ObjectId, Left)>,
    /// What could not be read now, and why.
    pub(super) later: Work,
    pub(super) trouble: Option<Explained>,
    /// What is known of files of their own.
    pub(super) agreed: Agreed,
}

/// What a Kustomization has applied, and who else builds of the repository.
#[derive(Clone)]
pub(super) struct Built {
    /// The Kustomization.
    pub(super) id: NamespacedName,
    pub(super) applied: Arc<AsApplied>,
    pub(super) others: Vec<String>,
    /// The files when both sides were the same.
    pub(super) base: Snapshot,
}

/// What came of reading one object.
pub(super) enum Read {
    There(Value),
    /// It is on its way out, or there was none.
    Not,
    Refused(WriteBackRefusal),
    Later(Explained),
}

/// What is asked of one Kustomization.
#[derive(Default)]
pub(super) struct Share {
    pub(super) there: Vec<(ObjectId, Value)>,
    gone: Vec<(ObjectId, Value)>,
}

impl Case<'_> {
    /// Reads what was seen. Of what is not to be decided about it is remembered what is said of it.
    pub(super) async fn look(&self, work: &Work) -> Found {
        let mut found = Found::default();
        let mut shares: BTreeMap<_, Share> = BTreeMap::new();
        let mut newest = Newest::default();
        let holders = self.holders(work);
        // Asked before anything is read: what is told no more is there again by then.
        let replaced = self.replaced(work, &holders);
        let gone = work.gone.iter().map(|(id, meta)| (id, Some(meta)));
        let all = work.there.iter().map(|id| (id, None)).chain(gone);
        let reading = all.map(|(id, meta)| async move { (id, meta, self.read(id, None).await) });
        let reading: Vec<_> = reading.collect();
        let mut read = futures::stream::iter(reading).buffered(AT_A_TIME);
        while let Some((id, meta, read)) = read.next().await {
            match (read, meta) {
                (Read::There(live), _) => {
                    self.sort(&mut found, &mut shares, (id, live), holders.get(id));
                }
                (Read::Not, None) => found.settle(id),
                (Read::Not, Some(_)) if replaced.contains(id) => found.settle(id),
                (Read::Not, Some(meta)) => match holders.get(id) {
                    Some(had) if self.is_built_here(had) => {
                        let share = shares.entry(had.clone()).or_default();
                        share.gone.push((id.clone(), meta.clone()));
                    }
                    Some(_) => found.settle(id),
                    None if !self.is_its_own(id, meta) => found.settle(id),
                    None => self.own_gone(&mut found, &mut newest, id, meta).await,
                },
                (Read::Refused(why), _) => found.refuse(id, why),
                (Read::Later(why), _) => found.wait(id, meta, why),
            }
        }
        self.look_at_bound(&mut found, &mut shares, work).await;
        // Whether a new file fits, everybody says who builds it.
        for (id, _) in self.listers(&found.seen) {
            shares.entry(id).or_default();
        }
        for (id, share) in shares {
            self.of_build(&mut found, &id, share).await;
        }
        let unlearnt = self.learn(&found).await;
        self.sift_held(&mut found);
        self.sift_new(&mut found, &unlearnt);
        self.lean(&mut found).await;
        let left = std::mem::take(&mut found.left);
        self.ctx.wards.looked_at(self.id, left);
        found
    }

    pub(super) async fn read(&self, id: &ObjectId, version: Option<&str>) -> Read {
        match self.client.live(id, version).await {
            Ok(Some(live)) if live.pointer("/metadata/deletionTimestamp").is_some() => Read::Not,
            Ok(Some(live)) => Read::There(live),
            Ok(None) => Read::Not,
            Err(why) => self.unread(id, &why, "get"),
        }
    }

    /// Puts an object that is there to the Kustomization that applies it.
    pub(super) fn sort(
        &self,
        found: &mut Found,
        shares: &mut BTreeMap<NamespacedName, Share>,
        (id, live): (&ObjectId, Value),
        holder: Option<&NamespacedName>,
    ) {
        let Ok(object) = Object::try_from(live.clone()) else {
            return found.settle(id);
        };
        let resource = self.resource(id);
        let rule = self.rule(&object, &resource);
        match self.whose(&live, rule, holder) {
            Whose::Of(owner) => {
                let share = shares.entry(owner).or_default();
                share.there.push((id.clone(), live));
            }
            // Its status tells when it was, which shows it again.
            Whose::Nobodys if is_being_taken(&live) => found.settle(id),
            Whose::Nobodys => {
                let Ok(object) = Object::try_from(as_made(live)) else {
                    return found.settle(id);
                };
                if self.is_substituted() && takes(&object, &Value::from(object.clone())) {
                    return found.refuse(id, variables(id));
                }
                if let Some(by) = self.neighbour(&object) {
                    return found.refuse(id, neighbours(id, &by));
                }
                let state = State::Made {
                    live: Box::new(object),
                    lean: None,
                };
                found.seen.push((id.clone(), Seen { resource, state }));
            }
            Whose::Made => found.settle(id),
            Whose::Anothers(why, hint) => found.refuse(id, refusal(id, why, hint.to_owned())),
        }
    }

    /// Everything that is asked of one Kustomization.
    async fn of_build(&self, found: &mut Found, id: &NamespacedName, share: Share) {
        self.ctx.wards.wait_for(self.id, id, true);
        let builder = self.builder(id);
        let built = match &builder {
            Some((object, others)) => {
                as_applied(self.ctx, object, self.deadline)
                    .await
                    .map(|applied| Built {
                        id: id.clone(),
                        base: applied.files.clone(),
                        applied: Arc::new(applied),
                        others: others.clone(),
                    })
            }
            None => {
                let message = "it has gone, or is built from elsewhere by now";
                Err(Explained::new(Reason::Progressing, Turn::Ours, message))
            }
        };
        let built = match built {
            Ok(built) => built,
            Err(why) => return found.unbuilt(id, share, &why),
        };
        self.ctx.wards.wait_for(self.id, id, false);
        let number = found.builds.len();
        found.builds.push(built.clone());
        let numbers = self.bases(found, &built, &share.there).await;
        let comparing = share.there.into_iter();
        let comparing = comparing.map(|(id, live)| {
            let (applied, number) = (&built.applied, numbers.get(&id).copied().unwrap_or(number));
            async move {
                let compared = self.compare(applied, &id, live, number).await;
                (id, compared)
            }
        });
        let comparing: Vec<_> = comparing.collect();
        let mut compared = futures::stream::iter(comparing).buffered(AT_A_TIME);
        while let Some((id, compared)) = compared.next().await {
            match compared {
                Compared::Seen(seen) => found.seen.push((id, *seen)),
                Compared::Same => found.settle(&id),
                Compared::Refused(why) => found.refuse(&id, why),
                Compared::Later(why) => found.wait(&id, None, why),
            }
        }
        drop(compared);
        let of = (
            number,
            &built,
            builder.as_ref().map(|(object, _)| &**object),
        );
        self.gone_of(found, of, share.gone).await;
    }

    /// The number of the build beside which each object is decided about that was changed before the revision came that is
    /// applied: both sides were the same at the one before.
    async fn bases(
        &self,
        found: &mut Found,
        built: &Built,
        there: &[(ObjectId, Value)],
    ) -> BTreeMap<ObjectId, usize> {
        let applied = built.applied.files.revision();
        let mut known: BTreeMap<String, Option<usize>> = BTreeMap::new();
        let mut numbers = BTreeMap::new();
        for (id, _) in there {
            let agreed = self.agreed_on(&built.id, id);
            let Some(agreed) = agreed.filter(|agreed| *agreed != applied.to_string()) else {
                continue;
            };
            let number = match known.get(&agreed) {
                Some(number) => *number,
                None => {
                    // One that cannot be had any more is as if nothing had come since.
                    let number = self.files_at(built, &agreed).await.map(|base| {
                        found.builds.push(Built {
                            base,
                            ..built.clone()
                        });
                        found.builds.len().saturating_sub(1)
                    });
                    known.insert(agreed, number);
                    number
                }
            };
            numbers.extend(number.map(|number| (id.clone(), number)));
        }
        numbers
    }

    async fn files_at(&self, built: &Built, revision: &str) -> Option<Snapshot> {
        let revision = Revision::parse(revision).ok()?;
        source::earlier(self.ctx, &built.applied.source, &revision, self.deadline).await
    }

    /// An object that a Kustomization applies, beside what it has applied.
    async fn compare(
        &self,
        applied: &AsApplied,
        id: &ObjectId,
        live: Value,
        build: usize,
    ) -> Compared {
        let Some((version, manifest)) = applied.manifests.get(id) else {
            return match self.has_been_applied(id, &live) {
                // It is about to be taken away, or is a hook: nothing that is kept.
                true => Compared::Same,
                false => Compared::Refused(copied(id)),
            };
        };
        let live = match is_of(&live, &id.group, version) {
            _ if is_only_made(id, manifest) => return Compared::Same,
            true => live,
            false => match self.read(id, Some(version)).await {
                Read::There(live) => live,
                Read::Not => return Compared::Same,
                Read::Refused(why) => return Compared::Refused(why),
                Read::Later(why) => return Compared::Later(why),
            },
        };
        let rehearsed = match self.rehearse(id, version, manifest, &live).await {
            Ok(Some(rehearsed)) => rehearsed,
            Ok(None) => {
                // Somebody has written it in between, and what differs would be theirs as well: the watch shows it again.
                let message = format!("{} changes just now", id.subject());
                let why = Explained::new(Reason::Progressing, Turn::Ours, message);
                return Compared::Later(why);
            }
            Err(why) => return self.unrehearsed(id, &why, &applied.veil),
        };
        let object = |value: Value| Object::try_from(by_name(value)).ok().map(Box::new);
        let (Some(live), Some(defaulted), Some(applied_as)) =
            (object(live), object(rehearsed), object(manifest.clone()))
        else {
            return Compared::Same;
        };
        if let Some(why) = forbidden(applied, id, &defaulted, &live) {
            return Compared::Refused(why);
        }
        let state = State::Held {
            build,
            applied: applied_as,
            defaulted: Some(defaulted),
            live,
        };
        let resource = self.resource(id);
        Compared::Seen(Box::new(Seen { resource, state }))
    }

    /// The API server did not say what applying would make of it. Its words about a manifest may hold what was put into that.
    fn unrehearsed(&self, id: &ObjectId, why: &CallError, veil: &Veil) -> Compared {
        match self.unread(id, why, "patch") {
            Read::Refused(mut why) => {
                why.reason = veil.cover(why.reason);
                Compared::Refused(why)
            }
            Read::Later(why) => Compared::Later(veil.over(why)),
            Read::There(_) | Read::Not => Compared::Same,
        }
    }

    pub(super) fn gone(
        &self,
        found: &mut Found,
        (id, meta): (&ObjectId, &Value),
        build: Option<usize>,
        object: Option<Object>,
    ) {
        let Some(object) = object else {
            return found.settle(id);
        };
        let object = self.as_taken_out(id, meta, object);
        if build.is_none()
            && let Some(by) = self.neighbour(&object)
        {
            return found.refuse(id, neighbours(id, &by));
        }
        let state = State::Gone {
            build,
            object: Box::new(object),
        };
        let resource = self.resource(id);
        found.seen.push((id.clone(), Seen { resource, state }));
    }

    /// What it means that the API server did not say something of an object.
    fn unread(&self, id: &ObjectId, why: &CallError, verb: &str) -> Read {
        let resource = match id.group.as_str() {
            "" => self.resource(id),
            group => format!("{}.{group}", self.resource(id)),
        };
        let account = self.client.account();
        match why.cause() {
            Cause::Forbidden | Cause::NotOnboarded | Cause::Escalation => {
                let reason = format!("may not be read by {account}: {why}");
                let place = match id.namespace.as_str() {
                    "" => String::new(),
                    namespace => format!(" in namespace {namespace}"),
                };
                let hint = format!("grant {account} the verb {verb} on {resource}{place}");
                Read::Refused(refusal(id, reason, hint))
            }
            Cause::Immutable | Cause::Invalid | Cause::Quota | Cause::TooLarge => {
                let reason = format!("cannot be compared with what was applied: {why}");
                let hint = "look what `kubectl apply --dry-run=server` says to the manifest in git";
                Read::Refused(refusal(id, reason, hint.to_owned()))
            }
            Cause::Missing | Cause::UnknownKind | Cause::Terminating => Read::Not,
            Cause::Conflict | Cause::Unauthorized | Cause::Unavailable => {
                let message = format!("reading {} failed: {why}", id.subject());
                let why = Explained::new(Reason::ReconciliationFailed, why.turn(), message);
                Read::Later(why)
            }
        }
    }
}

/// What came of comparing an object.
enum Compared {
    Seen(Box<Seen>),
    Same,
    Refused(WriteBackRefusal),
    Later(Explained),
}

impl Found {
    pub(super) fn settle(&mut self, id: &ObjectId) {
        self.left.push((id.clone(), Left::default()));
    }

    pub(super) fn refuse(&mut self, id: &ObjectId, why: WriteBackRefusal) {
        let left = Left {
            refused: vec![why],
            ..Left::default()
        };
        self.left.push((id.clone(), left));
    }

    pub(super) fn wait(&mut self, id: &ObjectId, gone: Option<&Value>, why: Explained) {
        match gone {
            Some(meta) => self.later.gone.push((id.clone(), meta.clone())),
            None => self.later.there.push(id.clone()),
        }
        self.trouble.get_or_insert(why);
    }

    /// What a Kustomization has applied cannot be said: for good, or now.
    fn unbuilt(&mut self, id: &NamespacedName, share: Share, why: &Explained) {
        let message = format!("what Kustomization {id} has applied cannot be said: {why}");
        if matches!(why.reason, Reason::Suspended | Reason::Unsupported) {
            let hint = why.hint.clone().unwrap_or_default();
            for (object, _) in share.there.into_iter().chain(share.gone) {
                let refused = refusal(&object, message.clone(), hint.clone());
                self.refuse(&object, refused);
            }
            return;
        }
        let why = Explained {
            // Nothing of it is in the WriteBack. What is on its way, as all is in a process that has just begun, nobody may tell.
            turn: match why.turn {
                Turn::Owner | Turn::OwnerOrPolicy | Turn::NextRevision => Turn::Retry,
                Turn::Source | Turn::Dependency => Turn::Ours,
                turn => turn,
            },
            message,
            ..why.clone()
        };
        for (object, _) in &share.there {
            self.wait(object, None, why.clone());
        }
        for (object, meta) in &share.gone {
            self.wait(object, Some(meta), why.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_kustomization_cannot_say_yet_is_looked_at_again_soon_and_not_lost() {
        let id: ObjectId = "acme_web_apps_Deployment".parse().unwrap();
        let by = NamespacedName::new("acme", "shop").unwrap();
        for (turn, want) in [
            (Turn::Dependency, Turn::Ours),
            (Turn::Source, Turn::Ours),
            (Turn::NextRevision, Turn::Retry),
            (Turn::Ours, Turn::Ours),
        ] {
            let why = Explained::new(Reason::DependencyNotReady, turn, "nothing is applied yet");
            let share = Share {
                there: vec![(id.clone(), json!({}))],
                gone: Vec::new(),
            };
            let mut found = Found::default();
            found.unbuilt(&by, share, &why);
            assert_eq!(found.later.there, std::slice::from_ref(&id), "{turn:?}");
            assert_eq!(found.trouble.unwrap().turn, want, "{turn:?}");
        }
    }
}
