//! What was told lately: the same again is counted, and an object that talks too much is cut short.
//!
//! Both are bounded, and what is forgotten is told anew. It deliberately writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::Instant;

use super::{Event, Involved};

/// For how long the same happening is counted instead of told anew.
const WINDOW: Duration = Duration::from_secs(600);
/// How many happenings, and how many talking objects, are remembered.
const REMEMBERED: usize = 4096;
/// How many Events one object may have at once, and how often one more.
const BURST: u32 = 25;
const REFILL: Duration = Duration::from_secs(60);

/// What was told lately.
#[derive(Default)]
pub(super) struct Memory {
    told: IndexMap<Key, Told>,
}

/// Who has talked how much lately.
#[derive(Default)]
pub(super) struct Talkers(IndexMap<Involved, Talker>);

type Key = (
    String,
    &'static str,
    bool,
    String,
    String,
    BTreeMap<String, String>,
);

struct Told {
    name: String,
    count: u32,
    first: Instant,
}

struct Talker {
    left: u32,
    since: Instant,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recall {
    New,
    Again { name: String, count: u32 },
}

impl Memory {
    /// Whether it was told before, and is counted now.
    pub(super) fn recall(&mut self, event: &Event, now: Instant) -> Recall {
        match self.told.get_mut(&key(event)) {
            Some(told) if now.duration_since(told.first) < WINDOW => {
                told.count = told.count.saturating_add(1);
                Recall::Again {
                    name: told.name.clone(),
                    count: told.count,
                }
            }
            _ => Recall::New,
        }
    }

    /// It was told, under that name.
    pub(super) fn remember(&mut self, event: &Event, name: String, now: Instant) {
        self.told.shift_remove(&key(event));
        if self.told.len() >= REMEMBERED {
            self.told.drain(..REMEMBERED / 4);
        }
        self.told.insert(
            key(event),
            Told {
                name,
                count: 1,
                first: now,
            },
        );
    }
}

impl Talkers {
    /// Whether one more of that object's is told: it is counted.
    pub(super) fn may_talk(&mut self, who: &Involved, now: Instant) -> bool {
        let who = Involved {
            resource_version: String::new(),
            ..who.clone()
        };
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&who) {
            self.0.drain(..REMEMBERED / 4);
        }
        let talker = self.0.entry(who).or_insert(Talker {
            left: BURST,
            since: now,
        });
        let more = now.duration_since(talker.since).as_secs() / REFILL.as_secs();
        if more > 0 {
            talker.left = BURST.min(
                talker
                    .left
                    .saturating_add(u32::try_from(more).unwrap_or(BURST)),
            );
            talker.since = now;
        }
        let may = talker.left > 0;
        talker.left = talker.left.saturating_sub(1);
        may
    }
}

fn key(event: &Event) -> Key {
    let Event {
        involved,
        component,
        warning,
        reason,
        message,
        annotations,
        ..
    } = event;
    let who = format!(
        "{}/{}/{}/{}",
        involved.kind, involved.namespace, involved.name, involved.uid
    );
    (
        who,
        component,
        *warning,
        reason.clone(),
        message.clone(),
        annotations.clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;

    #[test]
    fn the_same_happening_is_counted_and_another_is_told() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        assert_eq!(memory.recall(&event("web", "a"), now), Recall::New);
        memory.remember(&event("web", "a"), "web.1".into(), now);
        let again = Recall::Again {
            name: "web.1".into(),
            count: 2,
        };
        assert_eq!(memory.recall(&event("web", "a"), now), again);
        assert_eq!(memory.recall(&event("web", "b"), now), Recall::New);
        assert_eq!(memory.recall(&event("shop", "a"), now), Recall::New);
        assert_eq!(memory.recall(&event("web", "a"), now + WINDOW), Recall::New);
    }

    #[test]
    fn an_object_that_talks_too_much_is_cut_short_and_the_others_are_heard() {
        let (mut talkers, now) = (Talkers::default(), Instant::now());
        let (web, shop) = (event("web", "a").involved, event("shop", "a").involved);
        let heard = (0..100).filter(|_| talkers.may_talk(&web, now)).count();
        assert_eq!(heard, 25);
        assert!(talkers.may_talk(&shop, now));
        assert!(talkers.may_talk(&web, now + REFILL));
        assert!(!talkers.may_talk(&web, now + REFILL));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut memory, mut talkers) = (Memory::default(), Talkers::default());
        let now = Instant::now();
        for n in 0..10_000 {
            let event = event(&n.to_string(), "a");
            talkers.may_talk(&event.involved, now);
            memory.recall(&event, now);
            memory.remember(&event, n.to_string(), now);
        }
        assert!(memory.told.len() <= REMEMBERED && talkers.0.len() <= REMEMBERED);
    }
}
