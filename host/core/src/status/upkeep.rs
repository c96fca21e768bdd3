//! What is told of deploy keys and webhooks that are looked after: a condition each, beside the story of the run.
//!
//! It never makes an object Ready or not: a key that could not be put at the forge shows where it is fetched with. What it
//! deliberately doesn't: decide what is to be done (`upkeep`).

use std::collections::BTreeMap;
use std::time::Duration;

use reeve_api::condition::{self, Condition, Status, Type};
use reeve_api::reason::Reason;
use reeve_api::receiver::ReceiverStatus;
use reeve_api::source::GitRepositoryStatus;
use reeve_api::upkeep::{DeployKey, HookAtForge};

use super::{Event, Frame, Next, Page, Told, words};
use crate::failure::{Explained, Turn};

/// How soon a forge is asked again that could not be, or refused.
const AGAIN: Duration = Duration::from_secs(60);
/// The same for what passes by itself: a provider that is still being loaded.
const SOON: Duration = Duration::from_secs(5);

/// How the key of a GitRepository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOutcome {
    /// What is recorded of it.
    pub record: DeployKey,
    /// How it is.
    pub standing: KeyStanding,
}

/// How a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyStanding {
    /// Nobody asks for it.
    Unasked,
    /// It is at the forge.
    Kept {
        /// Where, without a user.
        repository: String,
        /// What it is called there.
        title: String,
    },
    /// Somebody else puts it at the forge.
    Alone,
    /// It could not be made, or not be put at the forge.
    Failed(Explained),
}

/// How the webhooks of a Receiver are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HooksOutcome {
    /// What is recorded of them.
    pub record: Vec<HookAtForge>,
    /// How they are; None: nobody asks for any.
    pub standing: Option<Result<usize, Explained>>,
}

/// Adds how the key is to the story of a run of a GitRepository that began with `previous`.
pub fn tell_key(
    told: &mut Told<GitRepositoryStatus>,
    previous: &GitRepositoryStatus,
    frame: &Frame<'_>,
    outcome: &KeyOutcome,
) {
    let record = &outcome.record;
    let public = record.public_key.as_deref().unwrap_or_default();
    let opened = condition::is_true(&told.status.conditions, Type::Ready);
    let says = match &outcome.standing {
        KeyStanding::Unasked => None,
        KeyStanding::Kept { repository, title } => {
            let message = format!("{public} is a deploy key of {repository}, called '{title}'");
            Some((Status::True, Reason::Succeeded, message))
        }
        KeyStanding::Alone if opened => {
            let message = format!("{public} opens the repository");
            Some((Status::True, Reason::Succeeded, message))
        }
        KeyStanding::Alone => {
            let message = format!("add this key to the repository, to read only: {public}");
            Some((Status::Unknown, Reason::Progressing, message))
        }
        KeyStanding::Failed(why) => Some((Status::False, why.reason, with_key(why, public))),
    };
    let before = previous.deploy_key.as_ref();
    let had = before.and_then(|record| record.public_key.as_deref());
    if record.generated_at.is_some() && had != Some(public) {
        let message = format!("generated the key {public}");
        told.events
            .push(Event::normal(Reason::Succeeded, &message, &BTreeMap::new()));
    }
    let failed = match &outcome.standing {
        KeyStanding::Failed(why) => Some(why),
        KeyStanding::Unasked | KeyStanding::Kept { .. } | KeyStanding::Alone => None,
    };
    told.status.deploy_key = (*record != DeployKey::default()).then(|| record.clone());
    let conditions = &mut told.status.conditions;
    let news = mark(conditions, frame, Type::DeployKeyReady, says);
    hurry(&mut told.events, &mut told.next, failed, news);
}

/// Adds how the webhooks are to the story of a run of a Receiver.
pub fn tell_hooks(told: &mut Told<ReceiverStatus>, frame: &Frame<'_>, outcome: &HooksOutcome) {
    let says = match &outcome.standing {
        None => None,
        Some(Ok(count)) => {
            let message = match count {
                0 => "it names no GitRepository of its namespace".to_owned(),
                1 => "the repository that it names has a webhook".to_owned(),
                many => format!("each of the {many} repositories that it names has a webhook"),
            };
            Some((Status::True, Reason::Succeeded, message))
        }
        Some(Err(why)) => Some((Status::False, why.reason, words(why))),
    };
    told.status.webhooks.clone_from(&outcome.record);
    let conditions = &mut told.status.conditions;
    let news = mark(conditions, frame, Type::WebhookReady, says);
    let failed = outcome.standing.as_ref();
    let failed = failed.and_then(|standing| standing.as_ref().err());
    hurry(&mut told.events, &mut told.next, failed, news);
}

/// The failure, and which key it is about if there is one: whoever is refused by the forge may put it there by hand.
fn with_key(why: &Explained, public: &str) -> String {
    match public.is_empty() {
        true => words(why),
        false => format!("{}; the key is {public}", words(why)),
    }
}

/// Writes or takes away the condition; returns whether it says anything new.
fn mark(
    conditions: &mut Vec<Condition>,
    frame: &Frame<'_>,
    r#type: Type,
    says: Option<(Status, Reason, String)>,
) -> bool {
    let mut page = Page::new(conditions, frame);
    let mut news = false;
    match says {
        None => page.remove(&[r#type]),
        Some((status, reason, message)) => {
            let same = condition::find(conditions, r#type).is_some_and(|known| {
                known.status == status.as_str()
                    && known.reason == reason.as_str()
                    && known.message == message
            });
            news = !same;
            page.mark(r#type, status, reason, &message);
        }
    }
    *conditions = page.conditions;
    news
}

/// A failure is tried again soon, and told when it is new.
fn hurry(events: &mut Vec<Event>, next: &mut Next, failed: Option<&Explained>, news: bool) {
    let Some(why) = failed else { return };
    if news {
        events.push(Event::warning(why.reason, &words(why), &BTreeMap::new()));
    }
    if why.turn.stalls() {
        return;
    }
    let again = match (why.turn, why.reason) {
        (Turn::Ours, Reason::PluginFailed) => SOON,
        _ => AGAIN,
    };
    *next = match *next {
        Next::After(wait) => Next::After(wait.min(again)),
        Next::Watch => Next::After(again),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Memory;
    use jiff::Timestamp;
    use reeve_api::meta::Time;

    const KEY: &str = "ssh-ed25519 AAAA";

    fn frame<'a>() -> Frame<'a> {
        Frame {
            generation: 1,
            requested_at: None,
            now: Timestamp::UNIX_EPOCH,
            interval: Duration::from_secs(3600),
            retry_interval: None,
            spread: 0,
            memory: Memory::default(),
        }
    }

    fn told<S>(status: S) -> Told<S> {
        Told {
            status,
            events: Vec::new(),
            next: Next::After(Duration::from_secs(3600)),
            memory: Memory::default(),
        }
    }

    fn key(standing: KeyStanding, ready: bool) -> Told<GitRepositoryStatus> {
        let mut story = told(GitRepositoryStatus::default());
        let frame = frame();
        let status = Status::from(ready);
        let says = Some((status, Reason::Succeeded, String::new()));
        mark(&mut story.status.conditions, &frame, Type::Ready, says);
        let record = DeployKey {
            public_key: Some(KEY.into()),
            generated_at: Some(Time(Timestamp::UNIX_EPOCH)),
            ..DeployKey::default()
        };
        let outcome = KeyOutcome { record, standing };
        let previous = GitRepositoryStatus::default();
        tell_key(&mut story, &previous, &frame, &outcome);
        story
    }

    fn says(conditions: &[Condition], r#type: Type) -> Option<(&str, &str, &str)> {
        let found = condition::find(conditions, r#type)?;
        Some((
            found.status.as_str(),
            found.reason.as_str(),
            found.message.as_str(),
        ))
    }

    #[test]
    fn the_public_half_is_told_and_who_has_to_put_it_at_the_forge() {
        let kept = KeyStanding::Kept {
            repository: "ssh://git.example/acme/web".into(),
            title: "reeve acme/web".into(),
        };
        let forge = "ssh-ed25519 AAAA is a deploy key of ssh://git.example/acme/web, called 'reeve acme/web'";
        let refused = Explained::new(Reason::PluginFailed, Turn::Retry, "the forge says no");
        for (standing, ready, want) in [
            (kept, false, ("True", "Succeeded", forge)),
            (
                KeyStanding::Alone,
                false,
                (
                    "Unknown",
                    "Progressing",
                    "add this key to the repository, to read only: ssh-ed25519 AAAA",
                ),
            ),
            (
                KeyStanding::Alone,
                true,
                ("True", "Succeeded", "ssh-ed25519 AAAA opens the repository"),
            ),
            (
                KeyStanding::Failed(refused),
                true,
                (
                    "False",
                    "PluginFailed",
                    "the forge says no; the key is ssh-ed25519 AAAA",
                ),
            ),
        ] {
            let story = key(standing, ready);
            let conditions = &story.status.conditions;
            assert_eq!(says(conditions, Type::DeployKeyReady), Some(want));
            assert_eq!(
                story.events[0].message,
                "generated the key ssh-ed25519 AAAA"
            );
        }
        let story = key(KeyStanding::Unasked, true);
        assert_eq!(says(&story.status.conditions, Type::DeployKeyReady), None);
    }

    #[test]
    fn a_failure_is_told_once_and_tried_again_soon_and_ready_stays_as_it_is() {
        let why = Explained::new(Reason::PluginFailed, Turn::Retry, "no");
        let outcome = HooksOutcome {
            record: Vec::new(),
            standing: Some(Err(why)),
        };
        let mut story = told(ReceiverStatus::default());
        tell_hooks(&mut story, &frame(), &outcome);
        assert_eq!(story.next, Next::After(AGAIN));
        assert_eq!(story.events.len(), 1);
        assert_eq!(says(&story.status.conditions, Type::Ready), None);
        let mut again = told(story.status);
        tell_hooks(&mut again, &frame(), &outcome);
        assert!(again.events.is_empty(), "it was told");

        let well = HooksOutcome {
            record: Vec::new(),
            standing: Some(Ok(2)),
        };
        let mut story = told(again.status);
        tell_hooks(&mut story, &frame(), &well);
        let want = "each of the 2 repositories that it names has a webhook";
        assert_eq!(
            says(&story.status.conditions, Type::WebhookReady),
            Some(("True", "Succeeded", want))
        );
        assert_eq!(story.next, Next::After(Duration::from_secs(3600)));
    }
}
