//! What waits to be written, by namespace: each has its share of the room, and its turn.
//!
//! Whoever takes up most of the room loses the newest of it when there is none left, so that one tenant that floods pushes
//! nobody else's out. Of one object one is written at a time, in the order in which they were told. It deliberately writes
//! nothing and reads no clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::{Event, Involved};

/// How many bytes may wait in all: more than a push to 3,000 tenants tells, three Events each.
const ROOM: usize = 16 << 20;
/// How many are written at once of one namespace: always fewer than there are writers.
const OF_ONE: usize = super::WRITERS - 1;
/// How long one waits for runs that would have the API server for themselves.
const GIVES_WAY: Duration = Duration::from_secs(2);
/// What a map takes for every six pairs, however short these are.
const NODE: usize = 544;

/// All that waits.
pub(super) struct Line {
    waiting: BTreeMap<String, Waiting>,
    /// The namespaces in `waiting`, whose turn it is first.
    order: VecDeque<String>,
    /// About whom one is being written.
    writing: Vec<Involved>,
    bytes: usize,
    room: usize,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    bytes: usize,
}

struct Entry {
    event: Event,
    bytes: usize,
    since: Instant,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            order: VecDeque::new(),
            writing: Vec::new(),
            bytes: 0,
            room: ROOM,
        }
    }
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Lets one wait that is told now. How many are dropped for it, itself included.
    pub(super) fn join(&mut self, event: Event, now: Instant) -> u64 {
        let namespace = event.involved.namespace.clone();
        let bytes = weight(&event);
        let mut dropped = 0;
        while self.bytes + bytes > self.room {
            let own = self.waiting.get(&namespace).map(|one| one.bytes);
            match self.greatest() {
                Some((other, most)) if most > own.unwrap_or_default() + bytes => {
                    self.drop_newest(&other);
                    dropped += 1;
                }
                _ => return dropped + 1,
            }
        }
        let waiting = self.waiting.entry(namespace.clone()).or_default();
        if waiting.entries.is_empty() {
            self.order.push_back(namespace);
        }
        waiting.bytes += bytes;
        self.bytes += bytes;
        waiting.entries.push_back(Entry {
            event,
            bytes,
            since: now,
        });
        dropped
    }

    /// The next one to write, if there is one that may be: [`written`](Self::written) has to follow. `gives_way`: runs wait for
    /// workers, and only one is written at a time, which has waited, unless too much waits here.
    pub(super) fn take(&mut self, gives_way: bool, now: Instant) -> Option<Event> {
        if gives_way && self.bytes * 2 < self.room && !(self.writing.is_empty() && self.is_due(now))
        {
            return None;
        }
        let may = |namespace: &String| self.may_write(namespace);
        let at = self.order.iter().position(may)?;
        let namespace = self.order.remove(at)?;
        let waiting = self.waiting.get_mut(&namespace)?;
        let Entry { event, bytes, .. } = waiting.entries.pop_front()?;
        waiting.bytes -= bytes;
        self.bytes -= bytes;
        if waiting.entries.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.order.push_back(namespace);
        }
        self.writing.push(event.involved.clone());
        Some(event)
    }

    /// One about it has been written, or could not be.
    pub(super) fn written(&mut self, about: &Involved) {
        if let Some(at) = self.writing.iter().position(|one| is_same(one, about)) {
            self.writing.swap_remove(at);
        }
    }

    /// Whether the one whose turn it is has given way for long enough.
    fn is_due(&self, now: Instant) -> bool {
        let first = self.order.front().and_then(|first| self.head(first));
        first.is_some_and(|one| now.saturating_duration_since(one.since) >= GIVES_WAY)
    }

    fn head(&self, namespace: &str) -> Option<&Entry> {
        self.waiting.get(namespace)?.entries.front()
    }

    /// Whether the first of that namespace may be written: nothing about the same object is being written.
    fn may_write(&self, namespace: &str) -> bool {
        let Some(Entry { event, .. }) = self.head(namespace) else {
            return false;
        };
        let beside = self.writing.iter();
        let mut beside = beside.filter(|one| one.namespace == namespace);
        beside.clone().count() < OF_ONE && !beside.any(|one| is_same(one, &event.involved))
    }

    fn greatest(&self) -> Option<(String, usize)> {
        let all = self.waiting.iter();
        let (namespace, most) = all.max_by_key(|(_, one)| one.bytes)?;
        Some((namespace.clone(), most.bytes))
    }

    fn drop_newest(&mut self, namespace: &str) {
        let Some(waiting) = self.waiting.get_mut(namespace) else {
            return;
        };
        let bytes = waiting.entries.pop_back().map(|one| one.bytes);
        let bytes = bytes.unwrap_or_default();
        waiting.bytes -= bytes;
        self.bytes -= bytes;
        if waiting.entries.is_empty() {
            self.waiting.remove(namespace);
            self.order.retain(|one| one != namespace);
        }
    }
}

fn is_same(one: &Involved, other: &Involved) -> bool {
    let named = one.namespace == other.namespace && one.name == other.name;
    named && one.kind == other.kind && one.uid == other.uid
}

/// About how many bytes it takes up.
fn weight(event: &Event) -> usize {
    let Involved {
        api_version,
        kind,
        namespace,
        name,
        uid,
        resource_version,
    } = &event.involved;
    let names = [api_version, kind, namespace, name, uid, resource_version];
    let texts = names.into_iter().chain([&event.reason, &event.message]);
    let texts: usize = texts.map(String::len).sum();
    let pairs = event.annotations.iter();
    let pairs: usize = pairs.map(|(key, value)| key.len() + value.len()).sum();
    size_of::<Entry>() + texts + pairs + NODE * event.annotations.len().div_ceil(6)
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;

    fn of(namespace: &str, name: &str, message: &str) -> Event {
        let mut event = event(name, message);
        event.involved.namespace = namespace.into();
        event
    }

    /// A line with room for so many small ones.
    fn room_for(many: usize) -> Line {
        Line {
            room: many * weight(&of("a", "web", "0000")) + 100,
            ..Line::default()
        }
    }

    fn told(line: &mut Line, gives_way: bool, now: Instant) -> Option<(String, String)> {
        let event = line.take(gives_way, now)?;
        Some((event.involved.namespace, event.message))
    }

    #[test]
    fn a_push_to_3000_tenants_is_told_whole() {
        let (mut line, now) = (Line::default(), Instant::now());
        let change = "x".repeat(300);
        for tenant in 0..3000 {
            let namespace = format!("tenant-{tenant:04}");
            for message in [
                "stored artifact",
                change.as_str(),
                "Reconciliation finished",
            ] {
                assert_eq!(line.join(of(&namespace, "web", message), now), 0);
            }
        }
    }

    #[test]
    fn who_floods_loses_its_own_newest_and_pushes_nobody_else_out() {
        let (mut line, now) = (room_for(100), Instant::now());
        let mut dropped = 0;
        for nth in 0..1000 {
            dropped += line.join(of("f", "web", &format!("{nth:04}")), now);
        }
        assert!((895..=905).contains(&dropped), "{dropped}");
        for nth in 0..40 {
            dropped += line.join(of("a", "web", &format!("{nth:04}")), now);
        }
        let held = |line: &Line, namespace: &str| line.waiting[namespace].entries.len();
        assert_eq!(held(&line, "a"), 40);
        assert_eq!(dropped + 40 + held(&line, "f") as u64, 1040);
        let first = line.head("f").unwrap();
        assert_eq!(first.event.message, "0000", "what was told first is kept");
        assert!(line.bytes <= line.room);
    }

    #[test]
    fn one_that_is_larger_than_all_the_room_is_dropped_alone() {
        let (mut line, now) = (room_for(3), Instant::now());
        line.join(of("a", "web", "0000"), now);
        assert_eq!(line.join(of("b", "web", &"x".repeat(100_000)), now), 1);
        assert_eq!(line.order, ["a"]);
    }

    #[test]
    fn namespaces_take_turns_and_what_is_told_of_one_object_stays_in_order() {
        let (mut line, now) = (Line::default(), Instant::now());
        for message in ["1", "2", "3"] {
            line.join(of("f", "web", message), now);
        }
        line.join(of("a", "web", "1"), now);
        let first = line.take(false, now).unwrap();
        assert_eq!(first.involved.namespace, "f");
        assert_eq!(told(&mut line, false, now).unwrap().0, "a");
        assert!(
            line.take(false, now).is_none(),
            "the first is being written"
        );
        line.written(&first.involved);
        let next = told(&mut line, false, now);
        assert_eq!(next, Some(("f".into(), "2".into())));
    }

    #[test]
    fn one_namespace_never_has_every_writer() {
        let (mut line, now) = (Line::default(), Instant::now());
        for nth in 0..10 {
            line.join(of("f", &nth.to_string(), "1"), now);
        }
        let writing = std::iter::from_fn(|| line.take(false, now)).count();
        assert_eq!(writing, OF_ONE);
        line.join(of("a", "web", "1"), now);
        assert_eq!(told(&mut line, false, now).unwrap().0, "a");
    }

    #[test]
    fn while_runs_wait_for_workers_one_is_written_at_a_time_after_two_seconds() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.join(of("a", "web", "1"), now);
        line.join(of("b", "web", "1"), now);
        assert!(line.take(true, now + GIVES_WAY / 2).is_none());
        let first = line.take(true, now + GIVES_WAY).unwrap();
        assert!(line.take(true, now + GIVES_WAY).is_none());
        line.written(&first.involved);
        assert!(line.take(true, now + GIVES_WAY).is_some());
    }

    #[test]
    fn nothing_gives_way_for_so_long_that_it_would_be_dropped() {
        let (mut line, now) = (room_for(10), Instant::now());
        for nth in 0..6 {
            line.join(of("a", &nth.to_string(), "0000"), now);
        }
        assert!(line.take(true, now).is_some());
    }

    #[test]
    fn nothing_is_kept_of_what_was_taken() {
        let (mut line, now) = (Line::default(), Instant::now());
        for nth in 0..100 {
            let namespace = format!("tenant-{}", nth % 7);
            line.join(of(&namespace, "web", &nth.to_string()), now);
        }
        while let Some(event) = line.take(false, now) {
            line.written(&event.involved);
        }
        assert!(line.is_empty() && line.order.is_empty() && line.writing.is_empty());
        assert_eq!(line.bytes, 0);
    }
}
