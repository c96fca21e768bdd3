//! What the status of a GitRepository tells of its repository: how it is reached, and when it was heard of.
//!
//! Polling that finds nothing new writes nothing: five hundred sources asked every minute would else be eight writes a second
//! for ever. So the next try is told only together with something else, and by itself where a repository fails and the wait is
//! long enough to be read.
//!
//! While calls of webhooks tell of what is new, a repository is polled at leisure. They do while the revision that it has is one
//! that a call named, by its commit: a revision that a poll came upon was told by nobody, and polling comes back; so it does when
//! calls were turned away for being too many, or may come at a path that is nobody's any more, until one that is let in names what is
//! there. What was called for while a process
//! began, nobody may have heard: so it looks twice before it rests. A signature
//! that is asked for is held against the keys at each run, so what is signed is polled as ever. What it deliberately doesn't:
//! know a secret; where a login is from is all that is told of one.

use std::time::Duration;

use jiff::Timestamp;
use reeve_api::meta::Time;
use reeve_api::source::{
    Delivery, GitRepositoryStatus, LastFetch, LoginOrigin, PollingOrigin, Upstream,
};

use super::{Frame, Next, SourceOutcome, Told};

/// A wait after a failure that is shorter is over before anybody has read it.
const WORTH_TELLING: Duration = Duration::from_secs(5);

/// What a process has heard of a repository, and how it reaches it. What it has not heard stands as it was told before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Where the login is from.
    pub login: Option<LoginOrigin>,
    /// What git configuration says of polling; nothing at all where it has no say.
    pub polling: Option<PollingOrigin>,
    /// What came last.
    pub fetch: Option<LastFetch>,
    /// The last call of a webhook.
    pub delivery: Option<Delivery>,
    /// The Receivers whose calls are about it, sorted.
    pub receivers: Vec<String>,
    /// Whether one of them, or the hook of an entry, lets calls in, as far as anybody knows.
    pub called: bool,
    /// The commit that the last call which named one said is there now.
    pub announced: Option<String>,
    /// Whether calls were turned away since then, whatever they told of.
    pub missed: bool,
    /// Whether this process has told of it before.
    pub told: bool,
    /// The directories that no Kustomization names, as far as anybody knows.
    pub unconfigured: Option<Vec<String>>,
}

/// Adds to the story of a run how the repository is reached, and when it was heard of.
pub fn tell_upstream(
    told: &mut Told<GitRepositoryStatus>,
    previous: &GitRepositoryStatus,
    heard: Heard,
    outcome: &SourceOutcome,
    frame: &Frame<'_>,
) {
    let now = frame.now;
    let before = previous.upstream.clone().unwrap_or_default();
    let may_rest = heard.told;
    let polling = polling(heard.polling.clone(), before.polling.as_ref());
    let mut after = match outcome {
        // Nothing was looked at, and nothing will be.
        SourceOutcome::Suspended => Upstream {
            next_try: None,
            ..before.clone()
        },
        _ => Upstream {
            announced: is_announced(&before, &heard, head(outcome).as_deref())
                && !is_called_elsewhere(&before, polling.as_ref()),
            delivery: heard.delivery.or_else(|| before.delivery.clone()),
            fetch: heard.fetch.or_else(|| before.fetch.clone()),
            head: head(outcome).or_else(|| before.head.clone()),
            login: heard.login.or_else(|| before.login.clone()),
            next_try: before.next_try.clone(),
            polling,
            receivers: heard.receivers,
            unconfigured: (heard.unconfigured).unwrap_or_else(|| before.unconfigured.clone()),
        },
    };
    if after.announced && may_rest && is_at_ease(outcome) {
        told.next = told.next.at_leisure(frame.spread);
    }
    told.status.upstream = Some(after.clone());
    let news = told.status != *previous;
    let fails = matches!(outcome, SourceOutcome::Failed { .. });
    let slow = matches!(told.next, Next::After(wait) if wait >= WORTH_TELLING);
    let is_suspended = matches!(outcome, SourceOutcome::Suspended);
    if !is_suspended && (news || (fails && slow)) {
        after.next_try = match told.next {
            Next::After(wait) => Some(whole(now.saturating_add(wait).unwrap_or(Timestamp::MAX))),
            Next::Watch => None,
        };
    }
    told.status.upstream = (after != Upstream::default()).then_some(after);
}

/// What is told of polling: what was heard, even if that is nothing, and else what was told before.
fn polling(heard: Option<PollingOrigin>, before: Option<&PollingOrigin>) -> Option<PollingOrigin> {
    match heard {
        Some(heard) => (heard != PollingOrigin::default()).then_some(heard),
        None => before.cloned(),
    }
}

/// A moment as it is told: the API server keeps whole seconds, and what it gives back must not look like news.
pub fn whole(at: Timestamp) -> Time {
    let seconds = Timestamp::from_second(at.as_second());
    Time(seconds.unwrap_or(at))
}

/// The revision that the repository has.
fn head(outcome: &SourceOutcome) -> Option<String> {
    match outcome {
        SourceOutcome::Stored { artifact, .. } => Some(artifact.revision.to_string()),
        SourceOutcome::Unchanged { revision, .. } => Some(revision.clone()),
        SourceOutcome::Failed { newer, .. } => newer.clone(),
        SourceOutcome::Suspended => None,
    }
}

/// Whether a call told of the revision that the repository has, and calls can.
fn is_announced(before: &Upstream, heard: &Heard, head: Option<&str>) -> bool {
    let Some(head) = head.or(before.head.as_deref()) else {
        return false;
    };
    let commit = head.rsplit_once(':').map_or(head, |(_, commit)| commit);
    let stays = before.announced && before.head.as_deref() == Some(head);
    heard.called && !heard.missed && (stays || heard.announced.as_deref() == Some(commit))
}

/// Whether the hook of its entry has another path than before: a forge may call the old one still.
fn is_called_elsewhere(before: &Upstream, polling: Option<&PollingOrigin>) -> bool {
    let path = |polling: Option<&PollingOrigin>| polling.and_then(|it| it.hook.clone());
    let known = path(before.polling.as_ref());
    known.is_some() && known != path(polling)
}

/// Whether a run ended well, and nothing but a push makes another of it.
fn is_at_ease(outcome: &SourceOutcome) -> bool {
    match outcome {
        SourceOutcome::Stored { verified, .. } | SourceOutcome::Unchanged { verified, .. } => {
            verified.is_none()
        }
        SourceOutcome::Suspended | SourceOutcome::Failed { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use reeve_api::reason::Reason;

    use super::super::Memory;
    use super::*;
    use crate::failure::{Explained, Turn};
    use crate::signature::{Mode, Verified};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn origin(from: &str) -> LoginOrigin {
        LoginOrigin {
            from: from.to_owned(),
            ..LoginOrigin::default()
        }
    }

    fn heard() -> Heard {
        Heard {
            login: Some(origin("Secret acme")),
            receivers: vec!["acme/hook".to_owned()],
            ..Heard::default()
        }
    }

    fn unchanged() -> SourceOutcome {
        SourceOutcome::Unchanged {
            revision: "main@sha1:1".to_owned(),
            verified: None,
        }
    }

    fn failed() -> SourceOutcome {
        let why = Explained::new(Reason::GitOperationFailed, Turn::Retry, "no answer");
        SourceOutcome::Failed { why, newer: None }
    }

    /// What is told after a status, of a run at a second that is followed by another so long after.
    fn after(
        previous: &GitRepositoryStatus,
        heard: Heard,
        outcome: &SourceOutcome,
        second: i64,
        wait: u64,
    ) -> GitRepositoryStatus {
        let mut told = Told {
            status: previous.clone(),
            events: Vec::new(),
            next: Next::After(Duration::from_secs(wait)),
            memory: Memory::default(),
        };
        let frame = frame(second);
        tell_upstream(&mut told, previous, heard, outcome, &frame);
        told.status
    }

    fn frame(second: i64) -> Frame<'static> {
        Frame {
            generation: 1,
            requested_at: None,
            now: at(second),
            interval: Duration::from_secs(60),
            retry_interval: None,
            spread: 7,
            memory: Memory::default(),
        }
    }

    fn next(status: &GitRepositoryStatus) -> Option<Time> {
        status.upstream.as_ref().unwrap().next_try.clone()
    }

    #[test]
    fn a_poll_that_finds_nothing_new_writes_nothing() {
        let first = after(
            &GitRepositoryStatus::default(),
            heard(),
            &unchanged(),
            0,
            60,
        );
        let told = first.upstream.clone().unwrap();
        assert_eq!(told.head.as_deref(), Some("main@sha1:1"));
        assert_eq!(told.login.unwrap().from, "Secret acme");
        assert_eq!(next(&first), Some(Time(at(60))));
        let second = after(&first, heard(), &unchanged(), 60, 61);
        assert_eq!(second, first);
    }

    #[test]
    fn what_was_not_heard_since_a_restart_stands_as_it_was() {
        let mut before = heard();
        before.fetch = Some(LastFetch {
            at: whole(at(0)),
            bytes: 7,
            objects: 3,
            revision: "main@sha1:1".to_owned(),
            took: Duration::from_millis(20).into(),
        });
        before.delivery = Some(Delivery {
            at: whole(at(1)),
            receiver: "acme/hook".to_owned(),
        });
        let first = after(&GitRepositoryStatus::default(), before, &unchanged(), 0, 60);
        let mut nothing = heard();
        nothing.login = None;
        assert_eq!(after(&first, nothing, &unchanged(), 60, 60), first);
    }

    #[test]
    fn what_git_configuration_says_of_polling_stands_until_it_has_no_say() {
        let polling = PollingOrigin {
            every: Some(Duration::from_secs(20).into()),
            ..PollingOrigin::default()
        };
        let told = |before: &GitRepositoryStatus, polling: Option<PollingOrigin>| {
            let heard = Heard { polling, ..heard() };
            after(before, heard, &unchanged(), 0, 60)
        };
        let of = |status: &GitRepositoryStatus| status.upstream.clone().unwrap().polling;
        let first = told(&GitRepositoryStatus::default(), Some(polling.clone()));
        assert_eq!(of(&first), Some(polling.clone()));
        assert_eq!(of(&told(&first, None)), Some(polling));
        assert_eq!(of(&told(&first, Some(PollingOrigin::default()))), None);
    }

    #[test]
    fn what_nobody_configured_is_told_until_it_is_known_to_be_otherwise() {
        let told = |before: &GitRepositoryStatus, dirs: Option<&[&str]>| {
            let dirs = dirs.map(|dirs| dirs.iter().map(|dir| (*dir).to_owned()).collect());
            let heard = Heard {
                unconfigured: dirs,
                ..heard()
            };
            after(before, heard, &unchanged(), 0, 60)
        };
        let of = |status: &GitRepositoryStatus| status.upstream.clone().unwrap().unconfigured;
        let first = told(&GitRepositoryStatus::default(), Some(&["apps/old"]));
        assert_eq!(of(&first), ["apps/old"]);
        assert_eq!(of(&told(&first, None)), ["apps/old"]);
        assert!(of(&told(&first, Some(&[]))).is_empty());
    }

    #[test]
    fn a_call_of_a_hook_is_news_and_so_is_another_login() {
        let first = after(
            &GitRepositoryStatus::default(),
            heard(),
            &unchanged(),
            0,
            60,
        );
        let mut called = heard();
        called.delivery = Some(Delivery {
            at: whole(at(30)),
            receiver: "acme/hook".to_owned(),
        });
        let mut other = heard();
        other.login = Some(origin("nobody's"));
        for heard in [called, other] {
            let then = after(&first, heard, &unchanged(), 30, 60);
            assert_ne!(then, first);
            assert_eq!(next(&then), Some(Time(at(90))));
        }
    }

    #[test]
    fn the_next_try_of_what_fails_is_told_each_time_unless_it_is_soon() {
        let first = after(&GitRepositoryStatus::default(), heard(), &failed(), 0, 60);
        let soon = after(&first, heard(), &failed(), 60, 1);
        assert_eq!(soon, first);
        let late = after(&first, heard(), &failed(), 60, 120);
        assert_eq!(next(&late), Some(Time(at(180))));
    }

    #[test]
    fn what_is_suspended_has_no_next_try_and_keeps_the_rest() {
        let first = after(
            &GitRepositoryStatus::default(),
            heard(),
            &unchanged(),
            0,
            60,
        );
        let then = after(&first, Heard::default(), &SourceOutcome::Suspended, 9, 60);
        assert_eq!(next(&then), None);
        let (one, other) = (first.upstream.unwrap(), then.upstream.unwrap());
        assert_eq!((one.head, one.login), (other.head, other.login));
    }

    /// How long after a run the next is, by whether the status before was announced.
    fn wait(
        previous: &GitRepositoryStatus,
        heard: Heard,
        outcome: &SourceOutcome,
    ) -> (GitRepositoryStatus, Duration) {
        let mut told = Told {
            status: previous.clone(),
            events: Vec::new(),
            next: Next::After(Duration::from_secs(60)),
            memory: Memory::default(),
        };
        let heard = Heard {
            told: true,
            ..heard
        };
        tell_upstream(&mut told, previous, heard, outcome, &frame(0));
        match told.next {
            Next::After(wait) => (told.status, wait),
            Next::Watch => panic!("it is polled"),
        }
    }

    #[test]
    fn a_process_that_has_just_begun_looks_twice_before_it_rests() {
        let before = GitRepositoryStatus {
            upstream: Some(Upstream {
                announced: true,
                head: Some("main@sha1:1".to_owned()),
                ..Upstream::default()
            }),
            ..GitRepositoryStatus::default()
        };
        let soon = Next::After(Duration::from_secs(60));
        for (told, rests) in [(false, false), (true, true)] {
            let mut story = Told {
                status: before.clone(),
                events: Vec::new(),
                next: soon,
                memory: Memory::default(),
            };
            let heard = Heard {
                told,
                called: true,
                ..heard()
            };
            tell_upstream(&mut story, &before, heard, &unchanged(), &frame(0));
            assert_eq!(story.next != soon, rests, "{:?}", story.next);
            assert!(story.status.upstream.unwrap().announced);
        }
    }

    fn called(announced: Option<&str>) -> Heard {
        Heard {
            called: true,
            announced: announced.map(str::to_owned),
            ..heard()
        }
    }

    fn found(revision: &str) -> SourceOutcome {
        SourceOutcome::Unchanged {
            revision: revision.to_owned(),
            verified: None,
        }
    }

    #[test]
    fn polling_goes_slow_while_calls_tell_what_is_new_and_comes_back_when_they_do_not() {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(57 * 60));
        let first = found("main@sha1:1");
        let mut status = GitRepositoryStatus::default();
        for (says, heard, outcome, slow) in [
            ("nobody called", called(None), &first, false),
            ("a call told of another", called(Some("0")), &first, false),
            ("a call told of it", called(Some("1")), &first, true),
            ("it stands after a restart", called(None), &first, true),
            (
                "and after a call that names nothing",
                called(Some("1")),
                &first,
                true,
            ),
            ("a failure", called(Some("1")), &failed(), false),
            ("which passed", called(Some("1")), &first, true),
            (
                "a poll finds what nobody told of",
                called(Some("1")),
                &found("main@sha1:2"),
                false,
            ),
            (
                "and goes on",
                called(Some("1")),
                &found("main@sha1:2"),
                false,
            ),
            (
                "the call comes late",
                called(Some("2")),
                &found("main@sha1:2"),
                true,
            ),
            (
                "calls were turned away",
                Heard {
                    missed: true,
                    ..called(None)
                },
                &found("main@sha1:2"),
                false,
            ),
            (
                "one was let in",
                called(Some("2")),
                &found("main@sha1:2"),
                true,
            ),
            (
                "nobody is let in any more",
                Heard {
                    called: false,
                    ..called(Some("3"))
                },
                &found("main@sha1:3"),
                false,
            ),
        ] {
            let (told, waits) = wait(&status, heard, outcome);
            assert_eq!(waits > minute, slow, "{says}");
            assert!(!slow || waits >= hour, "{says}: {waits:?}");
            status = told;
        }
    }

    #[test]
    fn what_was_told_at_a_path_that_is_nobodys_any_more_does_not_count() {
        let at = |path: &str, announced: Option<&str>| Heard {
            polling: Some(PollingOrigin {
                hook: Some(path.to_owned()),
                ..PollingOrigin::default()
            }),
            ..called(announced)
        };
        let mut status = GitRepositoryStatus::default();
        for (says, heard, rests) in [
            ("a call told of it", at("/hook/a", Some("1")), true),
            ("and it stands", at("/hook/a", None), true),
            ("the path is another", at("/hook/b", None), false),
            ("and nobody has called there", at("/hook/b", None), false),
            ("somebody has", at("/hook/b", Some("1")), true),
        ] {
            let (told, waits) = wait(&status, heard, &found("main@sha1:1"));
            assert_eq!(waits > Duration::from_secs(60), rests, "{says}");
            status = told;
        }
    }

    #[test]
    fn what_is_signed_or_asked_more_seldom_is_polled_as_its_interval_says() {
        let signed = SourceOutcome::Unchanged {
            revision: "main@sha1:1".to_owned(),
            verified: Some(Verified {
                mode: Mode::Head,
                signed: Vec::new(),
            }),
        };
        let (_, waits) = wait(&GitRepositoryStatus::default(), called(Some("1")), &signed);
        assert_eq!(waits, Duration::from_secs(60));
        let week = Next::After(crate::schedule::WEEK);
        assert_eq!(week.at_leisure(7), week);
        assert_eq!(Next::Watch.at_leisure(7), Next::Watch);
    }

    #[test]
    fn moments_are_told_as_the_api_server_keeps_them() {
        let fine = at(0) + jiff::SignedDuration::from_millis(999);
        assert_eq!(whole(fine), Time(at(0)));
    }
}
