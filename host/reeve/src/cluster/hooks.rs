//! Hooks: looked for, created and deleted, as the tenant.
//!
//! A hook on the cluster says for which sync it was created. One that is there for another sync is deleted first, and what is
//! no hook is never deleted for one. Each is dry-run before the first is created. It deliberately remembers nothing: what was
//! begun stands in the status before it is created here, and what a hook came to is `core::sync`'s to say.

use futures::StreamExt as _;
use reeve_core::inventory::{Entry, ObjectId};
use reeve_core::plan::{self, Admitted, MARK, Plan, Planned, Step};
use serde_json::Value;

use super::applied::{Action, Applied, ApplyError};
use super::apply::First;
use super::body::Body;
use super::compare;
use super::error::{Failures, ObjectError};
use super::finding::unknown_kind;
use super::leaving::{Awaited, Blocked, is_leaving};
use super::recreation::may_be_of_the_old;
use super::refusal::{Attempt, CallError};
use super::tenant_client::{Located, TenantClient};
use super::until::Until;

/// What there is of a hook.
pub enum HookFound {
    /// It was created for this sync; its uid.
    There(String),
    /// It was there, and is not any more.
    Gone,
    /// It has yet to be created.
    Lacks(HookWrite),
    /// It has yet to be created, when what is in its place has gone.
    Blocked(Awaited),
}

/// A hook that is ready to be created: it has passed its dry run.
pub struct HookWrite(Box<Write>);

struct Write {
    entry: Entry,
    at: Located,
    body: Body,
    first: First,
}

impl TenantClient {
    /// Looks for hooks of a wave: those of `wanted`, each with whether it was seen to be there. Writes nothing.
    pub async fn find_hooks(
        &self,
        plan: &Plan<Admitted>,
        step: Step<'_, Admitted>,
        wanted: &[(ObjectId, bool)],
        until: &Until,
    ) -> Result<Vec<(ObjectId, HookFound)>, ApplyError> {
        let mut looking = Vec::new();
        for hook in step.hooks() {
            if let Some((_, seen)) = wanted.iter().find(|(id, _)| id == hook.id()) {
                looking.push(self.find_hook(hook, *seen));
            }
        }
        let looking = futures::stream::iter(looking)
            .buffered(self.concurrency)
            .collect::<Vec<_>>();
        let looked = until.hold(looking).await;
        let looked = looked.map_err(|cut| cut.after(Applied::default()))?;
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        for one in looked {
            match one {
                Ok(one) => found.push(one),
                Err(why) => failed.push(why),
            }
        }
        match refused(failed) {
            None => Ok(found),
            Some(why) => Err(self.with_rights(plan, why).await),
        }
    }

    async fn find_hook(
        &self,
        hook: &Planned,
        seen: bool,
    ) -> Result<(ObjectId, HookFound), ObjectError> {
        let id = hook.id().clone();
        let Some(at) = self.locate(&id, Some(hook.version())).await? else {
            return Err(self.unlocated(&id, unknown_kind(hook)));
        };
        let live = self.read(&at).await?;
        let marked = |live: &&Value| mark(live) == hook.marked();
        if let Some(live) = live.as_ref().filter(marked) {
            return Ok((id, HookFound::There(uid(live))));
        }
        if seen {
            return Ok((id, HookFound::Gone));
        }
        let body = Body::of(hook);
        let dry = self.dry_run(&at, body.bytes().to_vec()).await;
        let first = match &live {
            None => First::Nothing,
            Some(live) if self.may_replace(live) => First::Delete(uid(live)),
            Some(_) => return Err(self.failed(&at, Attempt::DryRun, CallError::InTheWay)),
        };
        match (&first, dry) {
            (First::Delete(old), Err(why)) if may_be_of_the_old(&why) => {
                self.rehearse_recreation(&at, hook.manifest(), old).await?;
            }
            (_, Err(why)) => return Err(self.failed(&at, Attempt::DryRun, why)),
            (First::Delete(old), Ok(_)) => {
                self.rehearse_delete(&at, old).await?;
            }
            (First::Nothing | First::Takeover(..), Ok(_)) => {}
        }
        let entry = hook.entry();
        if let (First::Delete(old), Some(live)) = (&first, &live)
            && is_leaving(live)
        {
            let one = Awaited::gone(entry, old, Some(live));
            return Ok((id, HookFound::Blocked(one)));
        }
        let write = Write {
            entry,
            at,
            body,
            first,
        };
        Ok((id, HookFound::Lacks(HookWrite(Box::new(write)))))
    }

    /// Whether a hook may take the place of it: it is our own, or somebody's hook.
    fn may_replace(&self, live: &Value) -> bool {
        let (namespace, name) = (self.owner.namespace.as_str(), self.owner.name.as_str());
        compare::belongs_to(live, namespace, name) || plan::is_hook(live)
    }

    /// Creates a hook, and returns its uid.
    pub async fn create_hook(&self, hook: HookWrite, until: &Until) -> Result<String, ApplyError> {
        let HookWrite(write) = hook;
        let Write {
            entry,
            at,
            body,
            first,
        } = &*write;
        let way = self.make_way(at, first, None, until);
        if let Err(why) = way.await {
            return Err(blocked(entry, first, why));
        }
        // Never dropped for being superseded: what is deleted to be made anew is made anew.
        let written = self.write_now(at, body, first, None);
        match tokio::time::timeout_at(until.deadline, written).await {
            Ok(Ok(live)) => Ok(uid(&live)),
            Ok(Err(why)) => Err(refused(vec![why]).unwrap_or_else(late)),
            Err(_) => Err(late()),
        }
    }

    /// Deletes exactly this object; one that is gone already is deleted.
    pub async fn delete_hook(&self, entry: &Entry, uid: &str) -> Result<(), ObjectError> {
        let Some(at) = self.locate(&entry.id, Some(&entry.version)).await? else {
            return Ok(());
        };
        match self.wire.delete(&at.address, uid).await {
            Ok(_) => Ok(()),
            Err(why) if why.is_another_object() => Ok(()),
            Err(why) => Err(self.failed(&at, Attempt::Delete, why)),
        }
    }
}

/// What was to make way for a hook has not.
fn blocked(entry: &Entry, first: &First, why: Blocked) -> ApplyError {
    match (why, first) {
        (Blocked::Failed(why), _) => refused(vec![why]).unwrap_or_else(late),
        (Blocked::Leaving, First::Delete(uid)) => {
            let entries = vec![(entry.id.clone(), Action::Deleted)];
            ApplyError::NotReady {
                awaited: vec![Awaited::gone(entry.clone(), uid, None)],
                done: Applied {
                    entries,
                    ..Applied::default()
                },
            }
        }
        (Blocked::Late | Blocked::Leaving, _) => late(),
    }
}

fn refused(failed: Vec<ObjectError>) -> Option<ApplyError> {
    let failures = Failures::of(failed)?;
    let done = Applied::default();
    Some(ApplyError::Refused { failures, done })
}

fn late() -> ApplyError {
    let done = Applied::default();
    ApplyError::Deadline { done }
}

fn mark(live: &Value) -> Option<&str> {
    let annotations = live.pointer("/metadata/annotations")?;
    annotations.get(MARK)?.as_str()
}

fn uid(live: &Value) -> String {
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
    uid.unwrap_or_default().to_owned()
}
