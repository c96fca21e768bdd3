//! The story of one run of a WriteBack: what was committed, and what could not be.
//!
//! Values of fields stand in the commit, and that of a side which lost in an event; no status holds one. No list in it is so long
//! that the API server would not take it. What it deliberately doesn't: say which change is written (`writeback`), or remember what
//! is not settled (`ward`).

use std::collections::BTreeMap;

use reeve_api::condition::{self, Status, Type};
use reeve_api::reason::Reason;
use reeve_api::writeback::{
    WriteBackCommit, WriteBackConflict, WriteBackRefusal, WriteBackRequest, WriteBackStatus,
    WrittenObject,
};
use serde::Serialize;

use super::{
    Event, Frame, Memory, Next, Page, Told, after, asked_for, handled, observed, remember_failure,
    words, worth_a_warning,
};
use crate::failure::Explained;
use crate::schedule;
use crate::ward::Left;
use crate::writeback::Remembered;

/// The most entries of a list in the status, and the most bytes of one: all of them together, with what is remembered, are far from
/// what etcd takes.
const LISTED: usize = 50;
const BYTES: usize = 64 << 10;
/// The most objects that one event names.
const NAMED: usize = 10;

/// What came of a run.
#[derive(Debug, Clone)]
pub enum WriteBackOutcome {
    /// Everything that there was to look at was.
    Looked(Looked),
    /// `spec.suspend` is set.
    Suspended,
    /// Something of it failed; what was done by then.
    Failed(Explained, Looked),
}

/// What became of the pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Requested {
    /// Nothing.
    #[default]
    Same,
    /// It is like this now.
    Is(WriteBackRequest),
    /// There is none any more: nothing is left to propose.
    Nothing,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// The commit of the branch that was compared with, if any was.
    pub head: Option<String>,
    /// What was committed.
    pub commit: Option<WriteBackCommit>,
    /// The objects in it.
    pub written: Vec<WrittenObject>,
    /// What is not settled, of this run or of earlier ones.
    pub left: Vec<Left>,
    /// Of each conflict which value counts and which does not, in words.
    pub lost: Vec<String>,
    /// What became of the pull request.
    pub request: Requested,
    /// What is in files of its own that go with it; None: as before.
    pub made: Option<Vec<String>>,
    /// What somebody has taken out; None: as before.
    pub taken_out: Option<Vec<String>>,
    /// When which files of their own were as their objects; None: as before.
    pub agreed: Option<Remembered>,
    /// What is listed once in an interval, and not watched; None: as before.
    pub listed: Option<Vec<String>>,
}

/// What the world reads about a run of a WriteBack that began with `previous` and came to `outcome`.
pub fn tell_writeback(
    previous: &WriteBackStatus,
    frame: &Frame<'_>,
    outcome: &WriteBackOutcome,
) -> Told<WriteBackStatus> {
    let mut told = match outcome {
        WriteBackOutcome::Suspended => Told {
            status: unwatched(previous),
            events: Vec::new(),
            next: Next::Watch,
            memory: frame.memory,
        },
        WriteBackOutcome::Looked(looked) => done(previous, frame, looked),
        WriteBackOutcome::Failed(why, looked) => failed(previous, frame, why, looked),
    };
    let status = &mut told.status;
    status.last_handled_reconcile_at = handled(previous.last_handled_reconcile_at.as_ref(), frame);
    status.observed_generation = observed(&status.conditions, previous.observed_generation, frame);
    told
}

/// The status of one that looks at nothing.
fn unwatched(previous: &WriteBackStatus) -> WriteBackStatus {
    let mut status = previous.clone();
    status.listed.clear();
    let _was_there = condition::remove(&mut status.conditions, Type::PartlyWatched);
    status
}

fn done(previous: &WriteBackStatus, frame: &Frame<'_>, looked: &Looked) -> Told<WriteBackStatus> {
    let mut status = listed(previous, looked);
    let mut page = Page::new(&previous.conditions, frame);
    let is_closed = status.request.as_ref().is_some_and(|one| one.closed);
    let reason = match is_closed {
        true => Reason::ProposalClosed,
        false => Reason::Succeeded,
    };
    page.ready(reason, &summary(&status));
    bounds(&mut page, looked);
    status.conditions = page.conditions;
    let mut events = events(previous, &status, looked);
    let asked = asked_for(
        &previous.conditions,
        previous.last_handled_reconcile_at.as_ref(),
        frame,
    );
    if asked && events.is_empty() {
        let message = summary(&status);
        events.push(Event::normal(Reason::Succeeded, &message, &BTreeMap::new()));
    }
    Told {
        status,
        events,
        next: Next::After(schedule::jittered(frame.interval, frame.spread)),
        memory: Memory::default(),
    }
}

fn failed(
    previous: &WriteBackStatus,
    frame: &Frame<'_>,
    why: &Explained,
    looked: &Looked,
) -> Told<WriteBackStatus> {
    let mut status = listed(previous, looked);
    let mut page = Page::new(&previous.conditions, frame);
    let message = words(why);
    page.failed(why, &message, Some("Reconciliation in progress"));
    bounds(&mut page, looked);
    status.conditions = page.conditions;
    let mut events = events(previous, &status, looked);
    let handled = previous.last_handled_reconcile_at.as_ref();
    let warn = asked_for(&previous.conditions, handled, frame)
        || worth_a_warning(&previous.conditions, why, &message, frame);
    if warn {
        events.push(Event::warning(why.reason, &message, &BTreeMap::new()));
    }
    let memory = remember_failure(frame, why.turn, warn);
    Told {
        status,
        events,
        next: after(why.turn, memory.failures, frame),
        memory,
    }
}

/// The status with what the run has found.
fn listed(previous: &WriteBackStatus, looked: &Looked) -> WriteBackStatus {
    let mut status = previous.clone();
    status.observed_head = looked.head.clone().or(status.observed_head);
    status.last_commit = looked.commit.clone().or(status.last_commit);
    let fresh = |one: &WrittenObject| looked.written.iter().any(|new| new.object == one.object);
    let mut written = looked.written.clone();
    written.extend(previous.written.iter().filter(|one| !fresh(one)).cloned());
    (status.written, _) = some(written.into_iter());
    status.made = looked.made.clone().unwrap_or(status.made);
    let taken_out = looked.taken_out.clone();
    status.taken_out = taken_out.unwrap_or(status.taken_out);
    if let Some(memory) = &looked.agreed {
        status.agreed = memory.told();
        status.agreed_since = memory.since().map(str::to_owned);
    }
    status.request = match &looked.request {
        Requested::Same => status.request,
        Requested::Is(request) => Some(request.clone()),
        Requested::Nothing => None,
    };
    let refused = looked.left.iter().flat_map(|left| &left.refused);
    let conflicts = looked.left.iter().flat_map(|left| &left.conflicts);
    let paused = looked.left.iter().filter_map(|left| left.paused.as_ref());
    let mut more = [0; 4];
    (status.refused, more[0]) = some(refused.cloned());
    (status.conflicts, more[1]) = some(conflicts.cloned());
    (status.paused, more[2]) = some(paused.cloned());
    let all = looked.listed.as_ref().unwrap_or(&previous.listed);
    (status.listed, more[3]) = some(all.iter().cloned());
    let more: usize = more.iter().sum();
    status.more = i64::try_from(more).ok().filter(|more| *more > 0);
    status
}

/// As many of them as a list may have, and how many more there are.
fn some<T: Serialize>(all: impl Iterator<Item = T>) -> (Vec<T>, usize) {
    let (mut some, mut more, mut bytes) = (Vec::new(), 0, 0);
    for one in all {
        // What cannot be written down is not.
        let size = serde_json::to_vec(&one).map_or(BYTES, |text| text.len());
        if more > 0 || some.len() == LISTED || bytes + size > BYTES {
            more += 1;
        } else {
            bytes += size;
            some.push(one);
        }
    }
    (some, more)
}

/// What there is not enough room for: watches of all kinds, and what is remembered of all files.
fn bounds(page: &mut Page<'_>, looked: &Looked) {
    match looked.listed.as_ref().map(Vec::len) {
        None => {}
        Some(0) => page.remove(&[Type::PartlyWatched]),
        Some(kinds) => {
            let message = format!(
                "there are not enough watches for all that the rules are about: what is in status.listed, of {kinds} kinds, is \
                 listed once in an interval, and what changes there is written that much later; hint: name resources and namespaces \
                 in the rules, what they name is watched first"
            );
            let kind = Type::PartlyWatched;
            page.mark(kind, Status::True, Reason::QuotaExceeded, &message);
        }
    }
    match looked.agreed.as_ref().map(Remembered::is_full) {
        None => {}
        Some(false) => page.remove(&[Type::AgreedFull]),
        Some(true) => {
            let message = "status.agreed is full: of files that are not in it it is not known which side has changed what differs, so that \
                           the cluster's value is written and the other told as a conflict; hint: bring files that only git has \
                           changed to the cluster, or take them back, or have more than one WriteBack share the objects";
            let kind = Type::AgreedFull;
            page.mark(kind, Status::True, Reason::StatusFull, message);
        }
    }
}

/// What `Ready` says.
fn summary(status: &WriteBackStatus) -> String {
    let written = match &status.last_commit {
        Some(commit) => format!("Last commit {}", commit.revision),
        None => "Nothing was written yet".to_owned(),
    };
    let counted = |number: usize, what: &str| (number > 0).then(|| format!("; {number} {what}"));
    let refused = counted(status.refused.len(), "refused, see status.refused");
    let conflicts = counted(status.conflicts.len(), "in conflict, see status.conflicts");
    let paused = counted(status.paused.len(), "paused");
    let closed = status.request.as_ref().filter(|one| one.closed);
    let closed = closed.map(|one| format!("; {}", declined(one)));
    let parts = [refused, conflicts, paused, closed];
    parts
        .into_iter()
        .flatten()
        .fold(written, |told, part| told + &part)
}

fn events(previous: &WriteBackStatus, now: &WriteBackStatus, looked: &Looked) -> Vec<Event> {
    let mut events = Vec::new();
    // One that was told already may have its request by now.
    if let Some(commit) = looked
        .commit
        .as_ref()
        .filter(|_| !looked.written.is_empty())
    {
        let metadata = BTreeMap::from([("reeve.dev/revision".to_owned(), commit.revision.clone())]);
        let objects = looked.written.iter().map(written);
        let message = format!("committed {}: {}", commit.revision, named(objects));
        events.push(Event::normal(Reason::WrittenBack, &message, &metadata));
    }
    events.extend(of_request(previous.request.as_ref(), now.request.as_ref()));
    events.extend(of_bounds(previous, looked));
    let is_new = |one: &&WriteBackRefusal| !previous.refused.contains(*one);
    let refused: Vec<String> = now.refused.iter().filter(is_new).map(refusal).collect();
    if !refused.is_empty() {
        let message = format!("not written: {}", named(refused.into_iter()));
        events.push(Event::warning(
            Reason::WriteBackRefused,
            &message,
            &BTreeMap::new(),
        ));
    }
    let is_new = |one: &&WriteBackConflict| !previous.conflicts.contains(*one);
    if now.conflicts.iter().any(|one| is_new(&one)) || looked.commit.is_some() {
        for lost in looked.lost.iter().take(NAMED) {
            events.push(Event::warning(
                Reason::WriteBackConflict,
                lost,
                &BTreeMap::new(),
            ));
        }
    }
    events
}

/// That there is not enough room for something, when that begins.
fn of_bounds(previous: &WriteBackStatus, looked: &Looked) -> Vec<Event> {
    let is_known = |r#type| condition::is_true(&previous.conditions, r#type);
    let mut events = Vec::new();
    let listed = looked.listed.iter().flatten().cloned();
    let listed = named(listed);
    if !listed.is_empty() && !is_known(Type::PartlyWatched) {
        let message = format!(
            "listed once in an interval and not watched, since there are not enough watches: {listed}"
        );
        let (reason, none) = (Reason::QuotaExceeded, BTreeMap::new());
        events.push(Event::warning(reason, &message, &none));
    }
    if looked.agreed.as_ref().is_some_and(Remembered::is_full) && !is_known(Type::AgreedFull) {
        let message = "status.agreed is full: what differs in files that are not in it is told as a conflict from here on";
        let (reason, none) = (Reason::StatusFull, BTreeMap::new());
        events.push(Event::warning(reason, message, &none));
    }
    events
}

/// That somebody has closed a request, and what to do about it.
fn declined(request: &WriteBackRequest) -> String {
    format!(
        "{} was closed, and the same is not proposed again: the next change is; for the same annotate the WriteBack with \
         reconcile.fluxcd.io/requestedAt, or undo the change on the cluster",
        called(request)
    )
}

fn called(request: &WriteBackRequest) -> String {
    match (&request.url, request.number) {
        (Some(url), _) => format!("request {url}"),
        (None, Some(number)) => format!("request {number}"),
        (None, None) => format!("the request from branch {}", request.branch),
    }
}

/// What is told of a request: that it was opened, that somebody has closed it, and that nothing is left of it.
fn of_request(
    previous: Option<&WriteBackRequest>,
    now: Option<&WriteBackRequest>,
) -> Option<Event> {
    let none = BTreeMap::new();
    match (previous, now) {
        (before, Some(now)) if now.closed && !before.is_some_and(|before| before.closed) => Some(
            Event::warning(Reason::ProposalClosed, &declined(now), &none),
        ),
        (before, Some(now)) if now.number.is_some() && !now.closed => {
            let is_new = before.is_none_or(|before| before.closed || before.number != now.number);
            let message = format!("proposed by {}", called(now));
            is_new.then(|| Event::normal(Reason::WrittenBack, &message, &none))
        }
        (Some(before), None) => {
            let message = format!("{}: nothing is left to propose", called(before));
            Some(Event::normal(Reason::Succeeded, &message, &none))
        }
        _ => None,
    }
}

fn written(one: &WrittenObject) -> String {
    let fields = match one.fields.is_empty() {
        true => String::new(),
        false => format!(" {}", one.fields.join(", ")),
    };
    let by = one.by.as_ref().map(|by| format!(" (by {by})"));
    format!("{}{fields}{}", one.object, by.unwrap_or_default())
}

fn refusal(one: &WriteBackRefusal) -> String {
    let field = one.field.as_ref().map(|field| format!(" {field}"));
    let hint = one.hint.as_ref().map(|hint| format!("; hint: {hint}"));
    let (field, hint) = (field.unwrap_or_default(), hint.unwrap_or_default());
    format!("{}{field}: {}{hint}", one.object, one.reason)
}

/// Some of them, and how many more there are.
fn named(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    let more = all.len().saturating_sub(NAMED);
    let shown: Vec<String> = all.into_iter().take(NAMED).collect();
    match more {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use reeve_api::writeback::WriteBackAgreement;

    use super::*;
    use crate::failure::Turn;

    fn frame(memory: Memory) -> Frame<'static> {
        Frame {
            generation: 1,
            requested_at: None,
            now: Timestamp::UNIX_EPOCH,
            interval: Duration::from_secs(600),
            retry_interval: None,
            spread: 0,
            memory,
        }
    }

    fn object(name: &str, by: Option<&str>) -> WrittenObject {
        WrittenObject {
            by: by.map(str::to_owned),
            commit: "abc".to_owned(),
            fields: vec!["spec.replicas".to_owned()],
            files: vec!["web.yaml".to_owned()],
            object: format!("Deployment/acme/{name}"),
        }
    }

    fn refused(object: &str) -> Left {
        Left {
            refused: vec![WriteBackRefusal {
                field: None,
                hint: Some("keep it out of the rules".to_owned()),
                object: object.to_owned(),
                reason: "is a Secret".to_owned(),
            }],
            ..Left::default()
        }
    }

    fn committed() -> Looked {
        Looked {
            head: Some("main@sha1:def".to_owned()),
            commit: Some(WriteBackCommit {
                branch: "main".to_owned(),
                request_url: None,
                revision: "main@sha1:abc".to_owned(),
                time: reeve_api::meta::Time(Timestamp::UNIX_EPOCH),
            }),
            written: vec![object("web", Some("kubectl-set"))],
            ..Looked::default()
        }
    }

    #[test]
    fn a_commit_is_told_once_with_who_and_what_and_stays_in_the_status() {
        let outcome = WriteBackOutcome::Looked(committed());
        let told = tell_writeback(
            &WriteBackStatus::default(),
            &frame(Memory::default()),
            &outcome,
        );
        let [event] = &told.events[..] else {
            panic!("{:?}", told.events)
        };
        assert_eq!(event.reason, Reason::WrittenBack);
        assert_eq!(
            event.message,
            "committed main@sha1:abc: Deployment/acme/web spec.replicas (by kubectl-set)"
        );
        let nothing = WriteBackOutcome::Looked(Looked::default());
        let again = tell_writeback(&told.status, &frame(told.memory), &nothing);
        assert!(again.events.is_empty(), "{:?}", again.events);
        assert_eq!(again.status, told.status);
        let ready = condition::find(&again.status.conditions, Type::Ready).unwrap();
        assert_eq!(ready.message, "Last commit main@sha1:abc");
    }

    #[test]
    fn what_is_refused_is_told_once_and_goes_from_the_status_when_it_is_settled() {
        let looked = Looked {
            left: vec![refused("Secret/acme/login")],
            ..Looked::default()
        };
        let outcome = WriteBackOutcome::Looked(looked);
        let told = tell_writeback(
            &WriteBackStatus::default(),
            &frame(Memory::default()),
            &outcome,
        );
        let [event] = &told.events[..] else {
            panic!("{:?}", told.events)
        };
        assert_eq!(
            event.message,
            "not written: Secret/acme/login: is a Secret; hint: keep it out of the rules"
        );
        let again = tell_writeback(&told.status, &frame(told.memory), &outcome);
        assert!(again.events.is_empty());
        let nothing = WriteBackOutcome::Looked(Looked::default());
        let settled = tell_writeback(&again.status, &frame(again.memory), &nothing);
        assert!(settled.status.refused.is_empty());
    }

    fn request(number: Option<i64>, closed: bool) -> WriteBackRequest {
        WriteBackRequest {
            branch: "reeve/acme/back".to_owned(),
            closed,
            number,
            url: number.map(|number| format!("https://git.example/acme/web/pulls/{number}")),
            ..WriteBackRequest::default()
        }
    }

    #[test]
    fn a_request_is_told_when_it_is_opened_closed_by_somebody_opened_again_and_not_needed_any_more()
    {
        let first = WriteBackOutcome::Looked(Looked::default());
        let first = tell_writeback(
            &WriteBackStatus::default(),
            &frame(Memory::default()),
            &first,
        );
        let mut status = first.status;
        for (now, reason, words, ready) in [
            (
                Requested::Is(request(None, false)),
                None,
                "",
                Reason::Succeeded,
            ),
            (
                Requested::Is(request(Some(1), false)),
                Some(Reason::WrittenBack),
                "pulls/1",
                Reason::Succeeded,
            ),
            (Requested::Same, None, "", Reason::Succeeded),
            (
                Requested::Is(request(Some(1), true)),
                Some(Reason::ProposalClosed),
                "requestedAt",
                Reason::ProposalClosed,
            ),
            (Requested::Same, None, "", Reason::ProposalClosed),
            (
                Requested::Is(request(Some(2), false)),
                Some(Reason::WrittenBack),
                "pulls/2",
                Reason::Succeeded,
            ),
            (
                Requested::Nothing,
                Some(Reason::Succeeded),
                "nothing is left",
                Reason::Succeeded,
            ),
        ] {
            let looked = Looked {
                request: now.clone(),
                ..Looked::default()
            };
            let outcome = WriteBackOutcome::Looked(looked);
            let told = tell_writeback(&status, &frame(Memory::default()), &outcome);
            let reasons: Vec<Reason> = told.events.iter().map(|event| event.reason).collect();
            assert_eq!(reasons, Vec::from_iter(reason), "{now:?}");
            let said = told
                .events
                .iter()
                .all(|event| event.message.contains(words));
            assert!(said, "{:?}", told.events);
            let is = condition::find(&told.status.conditions, Type::Ready).unwrap();
            assert_eq!(
                (is.status.as_str(), is.reason.as_str()),
                ("True", ready.as_str())
            );
            status = told.status;
        }
        assert_eq!(status.request, None);
    }

    #[test]
    fn what_is_in_files_of_its_own_is_remembered_until_it_is_another() {
        let looked = |made: Option<&[&str]>| {
            let made =
                made.map(|made| made.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
            WriteBackOutcome::Looked(Looked {
                taken_out: made.clone(),
                made,
                ..Looked::default()
            })
        };
        let mut status = WriteBackStatus::default();
        for (made, want) in [
            (Some(&["a"][..]), vec!["a"]),
            (None, vec!["a"]),
            (Some(&[][..]), vec![]),
        ] {
            status = tell_writeback(&status, &frame(Memory::default()), &looked(made)).status;
            assert_eq!(status.made, want);
            assert_eq!(status.taken_out, want);
        }
    }

    #[test]
    fn lists_are_bounded_and_say_so() {
        let left: Vec<Left> = (0..60)
            .map(|n| refused(&format!("Secret/acme/{n}")))
            .collect();
        let outcome = WriteBackOutcome::Looked(Looked {
            left,
            written: (0..70).map(|n| object(&n.to_string(), None)).collect(),
            ..Looked::default()
        });
        let told = tell_writeback(
            &WriteBackStatus::default(),
            &frame(Memory::default()),
            &outcome,
        );
        let status = told.status;
        assert_eq!((status.refused.len(), status.written.len()), (50, 50));
        assert_eq!(status.more, Some(10));
        assert!(
            told.events
                .iter()
                .any(|event| event.message.ends_with("and 40 more"))
        );
    }

    #[test]
    fn a_failure_is_tried_again_and_loses_nothing_that_was_told() {
        let why = Explained::new(Reason::PushRejected, Turn::Retry, "branch is protected");
        let outcome = WriteBackOutcome::Failed(why, committed());
        let told = tell_writeback(
            &WriteBackStatus::default(),
            &frame(Memory::default()),
            &outcome,
        );
        assert_eq!(told.status.written.len(), 1);
        assert_eq!(told.memory.failures, 1);
        assert!(matches!(told.next, Next::After(wait) if wait < Duration::from_secs(2)));
        let ready = condition::find(&told.status.conditions, Type::Ready).unwrap();
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_str()),
            ("False", "PushRejected")
        );
    }

    /// The condition of a type, and the events, that come of a run.
    fn after(
        status: &mut WriteBackStatus,
        looked: Looked,
        r#type: Type,
    ) -> (Option<String>, Vec<String>) {
        let outcome = WriteBackOutcome::Looked(looked);
        let told = tell_writeback(status, &frame(Memory::default()), &outcome);
        *status = told.status;
        let found = condition::find(&status.conditions, r#type);
        let events = told.events.into_iter().map(|event| event.message);
        (found.map(|one| one.reason.clone()), events.collect())
    }

    #[test]
    fn what_is_not_watched_is_named_and_told_once_and_no_more_once_all_is() {
        let mut status = WriteBackStatus::default();
        let listed = |kinds: Option<usize>| Looked {
            listed: kinds.map(|kinds| {
                (0..kinds)
                    .map(|n| format!("zebra-{n:02}s in acme"))
                    .collect()
            }),
            ..Looked::default()
        };
        let kind = Type::PartlyWatched;
        // The first run says that it had nothing to write.
        assert_eq!(after(&mut status, listed(Some(0)), kind).0, None);
        let (reason, events) = after(&mut status, listed(Some(60)), kind);
        assert_eq!(reason.as_deref(), Some("QuotaExceeded"));
        let [event] = &events[..] else {
            panic!("{events:?}")
        };
        assert!(event.contains("zebra-09s in acme; and 50 more"), "{event}");
        assert_eq!((status.listed.len(), status.more), (50, Some(10)));
        let (reason, events) = after(&mut status, listed(None), kind);
        assert_eq!((reason.is_some(), events), (true, vec![]), "as before");
        assert_eq!(status.listed.len(), 50);
        let suspended = WriteBackOutcome::Suspended;
        let rests = tell_writeback(&status, &frame(Memory::default()), &suspended).status;
        assert!(rests.listed.is_empty() && !condition::is_true(&rests.conditions, kind));
        assert_eq!(after(&mut status, listed(Some(0)), kind), (None, vec![]));
        assert!(status.listed.is_empty());
    }

    #[test]
    fn that_not_all_files_can_be_remembered_is_told_until_they_can() {
        let full: Vec<WriteBackAgreement> = (0..1000)
            .map(|n| WriteBackAgreement {
                digest: None,
                file: format!("{n:04}"),
                revision: "main@sha1:0123456789012345678901234567890123456789".to_owned(),
            })
            .collect();
        let memory = |agreed: &[WriteBackAgreement]| {
            let status = WriteBackStatus {
                agreed: agreed.to_vec(),
                ..WriteBackStatus::default()
            };
            Remembered::of(&status, "main")
        };
        let looked = |agreed| Looked {
            agreed,
            ..Looked::default()
        };
        let (mut status, kind) = (WriteBackStatus::default(), Type::AgreedFull);
        let (reason, events) = after(&mut status, looked(Some(memory(&full))), kind);
        assert_eq!((reason.as_deref(), events.len()), (Some("StatusFull"), 1));
        assert_eq!(status.agreed, full);
        let (reason, events) = after(&mut status, looked(None), kind);
        assert_eq!((reason.is_some(), events.len()), (true, 0));
        let (reason, _) = after(&mut status, looked(Some(memory(&full[..10]))), kind);
        assert_eq!((reason, status.agreed.len()), (None, 10));
    }

    #[test]
    fn no_words_are_so_long_that_a_status_is_larger_than_it_may_be() {
        let long = |n: usize| format!("Secret/acme/{n}/{}", "a".repeat(5000));
        let mut status = WriteBackStatus::default();
        let looked = Looked {
            left: (0..60).map(|n| refused(&long(n))).collect(),
            written: (0..60).map(|n| object(&long(n), None)).collect(),
            listed: Some((0..60).map(long).collect()),
            ..Looked::default()
        };
        after(&mut status, looked, Type::Ready);
        let text = serde_json::to_string(&status).unwrap();
        assert!(text.len() < 4 * BYTES, "{}", text.len());
        let told = status.refused.len() + status.listed.len();
        assert_eq!(status.more, Some(120 - i64::try_from(told).unwrap()));
    }
}
