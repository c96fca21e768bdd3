//! What applying one object would do, found out by reading and dry-running it.
//!
//! An object is deleted and made anew only where the spec or the manifest that is applied says so: what stands on the
//! cluster may be anybody's, and policy has not seen it; and not while a WriteBack has yet to commit what others have made of it.
//! Nothing is written here; that is [`apply`](super::apply)'s.

use std::time::Duration;

use reeve_core::admit::Sent;
use reeve_core::drift::{Sight, Stood};
use reeve_core::health::verdict;
use reeve_core::plan::{Planned, left_alone};
use reeve_core::status::Action;
use reeve_core::writeback::Leave;
use serde_json::Value;

use super::apply::First;
use super::body::State;
use super::compare::{self, MANAGER};
use super::drift;
use super::error::ObjectError;
use super::lead::Led;
use super::leaving::{Awaited, is_leaving};
use super::recreation::may_be_of_the_old;
use super::refusal::{Attempt, CallError};
use super::settle::needed_by_others;
use super::tenant_client::{Located, TenantClient};
use super::wire::{Format, Patch};
use super::witness::{Difference, Former, Witness};

/// What comparing found out about one object.
pub(super) enum Finding {
    /// There is nothing to write; whether the live object is as good as it gets, and how a watch shows it if it is ours.
    Settled(Action, bool, Option<Sight>),
    Differs(Box<Write>),
    /// It was deleted to be made anew, and is not gone yet.
    Leaves(Box<Awaited>),
}

impl Finding {
    /// The object is made of the manifest as it is, after `first`.
    fn anew(at: Located, first: First, only: Option<State>, difference: Difference) -> Self {
        Self::Differs(Box::new(Write {
            at,
            kept: None,
            action: Action::Created,
            first,
            only,
            difference,
            led: None,
        }))
    }
}

/// A write that has passed its dry run, or leads its stage.
pub(super) struct Write {
    pub(super) at: Located,
    /// What `spec.ignore` and WriteBacks make of the manifest, where that is another: policy has not seen it.
    pub(super) kept: Option<Sent>,
    pub(super) action: Action,
    pub(super) first: First,
    /// In which state alone it may be written: that in which it was read, where a WriteBack is to commit what others change.
    pub(super) only: Option<State>,
    pub(super) difference: Difference,
    /// What leads its stage without a dry run: what it changes is known once it is done.
    pub(super) led: Option<Led>,
}

/// What is known of an object before it is compared.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) stood: Option<Stood>,
    /// It was never applied, and so most likely is not there.
    pub(super) is_new: bool,
    /// It leads its stage, if it is as it is expected to be.
    pub(super) leads: bool,
    /// What is known of one that leads, so that it need not even be read.
    pub(super) former: Option<Former>,
}

impl Expected {
    /// What is known of any object.
    pub(super) fn of<W: Witness>(object: &Planned, witness: &W) -> Self {
        Self {
            stood: witness.stood(object),
            is_new: witness.is_new(object),
            leads: false,
            former: None,
        }
    }
}

impl TenantClient {
    /// Reads and dry-runs one object. Writes nothing.
    ///
    /// One that still looks as it `stood` is not dry-run again, and not even read where a watch would have shown a change. One that
    /// leads its stage is only read, if at all.
    pub(super) async fn compare(
        &self,
        object: &Planned,
        expected: &Expected,
    ) -> Result<Finding, ObjectError> {
        // Of several API servers the one that answers may not serve a new kind yet, although another lists it.
        for pause in [100, 200, 400, 800, 1600] {
            match self.compare_once(object, expected).await {
                Err(why) if why.is_unserved() => {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                told => return told.inspect(|found| self.note_replaced(object, found)),
            }
        }
        let told = self.compare_once(object, expected).await;
        told.inspect(|found| self.note_replaced(object, found))
    }

    /// What stays as it is there is replaced by nobody any more.
    fn note_replaced(&self, object: &Planned, found: &Finding) {
        if matches!(found, Finding::Settled(..)) {
            self.replacing.over(object.id());
        }
    }

    async fn compare_once(
        &self,
        object: &Planned,
        expected: &Expected,
    ) -> Result<Finding, ObjectError> {
        let Some(at) = self.locate(object.id(), Some(object.version())).await? else {
            return Err(self.unlocated(object.id(), unknown_kind(object)));
        };
        let (stood, is_new) = (expected.stood, expected.is_new);
        if stood.is_some_and(|stood| stood.watched) && !needed_by_others(object) {
            return Ok(Finding::Settled(Action::Unchanged, true, None));
        }
        if let Some(stood) = stood
            && let Some(live) = self.read(&at).await?
            && stood.sight.is_like(Sight::of(&live))
        {
            // Nobody has changed what is ours of it, and nothing else is wanted: a dry run would say what it said.
            let current = verdict(&live).is_current();
            return Ok(Finding::Settled(Action::Unchanged, current, None));
        }
        if expected.leads
            && let Some(led) = self.led(object, &at, expected).await
        {
            return Ok(led);
        }
        self.compare_in_full(object, at, is_new).await
    }

    async fn compare_in_full(
        &self,
        object: &Planned,
        at: Located,
        is_new: bool,
    ) -> Result<Finding, ObjectError> {
        let wanted = object.manifest();
        if compare::only_if_absent(wanted)
            && let Some(live) = self.read(&at).await?
        {
            return Ok(self.settled(Action::Skipped, &live));
        }
        let body = wanted.to_string().into_bytes();
        let (live, dry) = self.as_is_and_would_be(&at, body, is_new).await;
        let live = live?;
        if let Some(live) = live.as_ref().filter(|live| left_alone(live)) {
            return Ok(self.settled(Action::Skipped, live));
        }
        if live.is_none() && self.lets_go(object, &at) {
            // What was deleted stays so until git says it, where a rule wants that; whether it could be made does not matter.
            return Ok(Finding::Settled(Action::Skipped, true, None));
        }
        let id = object.id().to_string();
        if let Some(live) = live.as_ref().filter(|live| self.makes_way(&id, live)) {
            // Whatever is wanted of it by now: this one goes, and it is made anew.
            return Ok(leaves(object, live));
        }
        match (dry, &live) {
            (Ok(dry), Some(live)) => Ok(self.of_both(object, &at, live, &dry)),
            (Ok(_), None) => {
                let missing = Difference::of(object, None, Vec::new());
                Ok(Finding::anew(at, First::Nothing, None, missing))
            }
            (Err(why), Some(live)) if may_be_of_the_old(&why) => {
                self.of_unchangeable(object, at, live, why).await
            }
            (Err(why), _) => Err(self.failed(&at, Attempt::DryRun, why)),
        }
    }

    /// The finding about an object that cannot be changed into what is wanted: it is deleted and made anew, where that may be. But
    /// first it is asked whether others have changed it, and a WriteBack is to commit that: then only the rest is wanted of it yet.
    async fn of_unchangeable(
        &self,
        object: &Planned,
        at: Located,
        live: &Value,
        why: CallError,
    ) -> Result<Finding, ObjectError> {
        let wanted = object.manifest();
        let (resource, id) = (&at.address.resource.plural, object.id().to_string());
        let left = self.yielding.leave_unsaid(resource, &id, wanted, live);
        if left.waits() {
            let body = left.without(wanted).to_string().into_bytes();
            match self.dry_run(&at, body).await {
                Ok(dry) => return Ok(self.of_left(object, &at, live, &dry, left)),
                // The rest would have it made anew: that is not for now.
                Err(why) if self.may_recreate(&why, wanted) => {
                    self.left.note(id, true);
                    return Ok(self.settled(Action::Skipped, live));
                }
                Err(why) => return Err(self.failed(&at, Attempt::DryRun, why)),
            }
        }
        if !self.may_recreate(&why, wanted) {
            return Err(self.failed(&at, Attempt::DryRun, why));
        }
        if !self.yielding.is_none() {
            self.left.note(id, false);
        }
        let uid = uid(live).to_owned();
        self.rehearse_recreation(&at, wanted, &uid).await?;
        if is_leaving(live) && !self.goes_from_git(object, &at) {
            return Ok(leaves(object, live));
        }
        let fields = vec!["what cannot be changed".to_owned()];
        let only = left.is_concerned().then(|| State::of(live)).flatten();
        let difference = Difference::of(object, Some(live), fields);
        Ok(Finding::anew(at, First::Delete(uid), only, difference))
    }

    /// The finding about an object that is there, and another than it is wanted or not.
    fn of_both(&self, object: &Planned, at: &Located, live: &Value, dry: &Value) -> Finding {
        let (resource, id) = (&at.address.resource.plural, object.id().to_string());
        let wanted = object.manifest();
        let left = self.yielding.leave(resource, &id, wanted, live, dry);
        self.of_left(object, at, live, dry, left)
    }

    /// The same, once it is known what is left alone of it.
    fn of_left(
        &self,
        object: &Planned,
        at: &Located,
        live: &Value,
        dry: &Value,
        left: Leave,
    ) -> Finding {
        let (wanted, ignored) = (object.manifest(), object.ignored());
        if !self.yielding.is_none() {
            self.left.note(object.id().to_string(), !left.is_nothing());
        }
        let (is, would) = (left.without(live), left.without(dry));
        let first = match compare::takeover(wanted, live, &left) {
            Some(patch) => First::Takeover(patch, left.clone()),
            None if drift::differs(&is, &would, ignored) => First::Nothing,
            None if left.reclaims(live, dry) => First::Nothing,
            None => return self.settled(Action::Unchanged, live),
        };
        let mut fields = drift::fields(&is, &would, ignored);
        if fields.is_empty() {
            // Nothing but who claims it.
            fields.push("metadata.managedFields".to_owned());
        }
        let kept = drift::kept(wanted, live, dry, ignored);
        let only = left.is_concerned().then(|| State::of(live)).flatten();
        Finding::Differs(Box::new(Write {
            at: at.clone(),
            kept: Sent::of(wanted, live, &kept, left),
            action: Action::Configured,
            first,
            only,
            difference: Difference::of(object, Some(live), fields),
            led: None,
        }))
    }

    fn settled(&self, action: Action, live: &Value) -> Finding {
        let sight = self.owns(live).then(|| Sight::of(live));
        Finding::Settled(action, verdict(live).is_current(), sight)
    }

    /// Whether an object that is not there stays so. That is remembered: who begins anew knows by it that it was there once.
    fn lets_go(&self, object: &Planned, at: &Located) -> bool {
        let id = object.id().to_string();
        // One that we have deleted ourselves is made anew.
        let goes = !self.replacing.has(&id) && self.goes_from_git(object, at);
        if !self.yielding.is_none() {
            self.left.note(id, goes);
        }
        goes
    }

    /// Whether a rule has it deleted in git when somebody deletes it on the cluster.
    pub(super) fn goes_from_git(&self, object: &Planned, at: &Located) -> bool {
        let (resource, id) = (&at.address.resource.plural, object.id().to_string());
        self.yielding.lets_go(resource, &id, object.manifest())
    }

    /// The object, and what applying would make of it.
    async fn as_is_and_would_be(
        &self,
        at: &Located,
        body: Vec<u8>,
        is_new: bool,
    ) -> (Result<Option<Value>, ObjectError>, Result<Value, CallError>) {
        if !is_new {
            // Both at once: most of a run that changes nothing is waiting for these two answers.
            return tokio::join!(self.read(at), self.dry_run(at, body));
        }
        let dry = self.dry_run(at, body).await;
        let live = match &dry {
            // Only what is there has a version.
            Ok(dry) if dry.pointer("/metadata/resourceVersion").is_none() => Ok(None),
            _ => self.read(at).await,
        };
        (live, dry)
    }

    pub(super) async fn read(&self, at: &Located) -> Result<Option<Value>, ObjectError> {
        self.wire
            .get(&at.address)
            .await
            .map_err(|why| self.failed(at, Attempt::Get, why))
    }

    pub(super) async fn dry_run(&self, at: &Located, body: Vec<u8>) -> Result<Value, CallError> {
        let how = Patch {
            format: Format::Apply,
            manager: MANAGER,
            dry_run: true,
            subresource: None,
        };
        self.wire.patch(&at.address, how, body).await
    }
}

fn leaves(object: &Planned, live: &Value) -> Finding {
    let one = Awaited::gone(object.entry(), uid(live), Some(live));
    Finding::Leaves(Box::new(one))
}

fn uid(live: &Value) -> &str {
    let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
    uid.unwrap_or_default()
}

/// kubectl's words for a kind nobody serves.
pub(super) fn unknown_kind(object: &Planned) -> CallError {
    CallError::UnknownKind {
        kind: object.id().kind.clone(),
        api_version: object.api_version(),
    }
}
