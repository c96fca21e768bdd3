//! The secrets of one operation, each under its name, each with the hosts that it may go to.
//!
//! The platform's are there from the beginning and go where they are granted for. Those that a forge answered with (an
//! access token) go back to that forge only. What it deliberately doesn't: give a value to anybody but `fill`, `sign` and
//! `blank`.

use std::collections::BTreeMap;

use reeve_api::name::Secret;
use url::{Origin, Url};

use super::error::Cause;
use super::grant::{Asks, HostPattern};

/// Shorter texts are words that a forge says anyway: blanking them would leave nothing of its answers.
const SHORTEST: usize = 8;
/// Longer ones are no secret of a forge's.
const LONGEST: usize = 16 << 10;
/// How many slots answers may fill.
const MADE: usize = 8;
/// How many tokens and signatures one operation may have made: each costs time in every answer.
const DERIVED: usize = 64;

/// A secret of the platform's.
#[derive(Debug, Clone)]
pub struct Slot {
    /// What is in it.
    pub value: Secret,
    /// The hosts it may go to; a provider's other hosts do not get it.
    pub hosts: Vec<HostPattern>,
}

/// The platform's secrets for one operation, by the name of their slot.
pub type Slots = BTreeMap<String, Slot>;

/// All that an operation has.
pub(super) struct Purse {
    given: Slots,
    made: BTreeMap<String, (Secret, Origin)>,
    /// Tokens and signatures that were made of the others, to be blanked with them.
    derived: Vec<Secret>,
}

impl Purse {
    /// Takes charge of the platform's secrets: of those that the component asks for, and no others.
    pub(super) fn new(asks: &Asks, slots: &Slots) -> Result<Self, Cause> {
        let asked = slots
            .iter()
            .filter(|(name, _)| asks.slots().contains_key(*name));
        let given: Slots = asked
            .map(|(name, slot)| (name.clone(), slot.clone()))
            .collect();
        for (name, slot) in &given {
            fits(name, slot.value.expose())?;
        }
        Ok(Self {
            given,
            made: BTreeMap::new(),
            derived: Vec::new(),
        })
    }

    /// The names of those that are filled.
    pub(super) fn names(&self) -> Vec<String> {
        self.given.keys().chain(self.made.keys()).cloned().collect()
    }

    /// What is in a slot, for a request to `url`.
    pub(super) fn get(&self, name: &str, url: &Url) -> Result<&Secret, Cause> {
        let elsewhere = || Cause::SlotElsewhere {
            slot: shown(name),
            host: authority(url),
        };
        if let Some(slot) = self.given.get(name) {
            let there = slot.hosts.iter().any(|host| host.covers(url));
            return there.then_some(&slot.value).ok_or_else(elsewhere);
        }
        match self.made.get(name) {
            Some((value, origin)) if *origin == url.origin() => Ok(value),
            Some(_) => Err(elsewhere()),
            None => Err(Cause::NoSlot { slot: shown(name) }),
        }
    }

    /// The secret that an operation ended with, for git at `url`. A token may come from another host than git's
    /// (a forge's API has its own): whether git's is granted is asked by who calls.
    pub(super) fn ending(&self, name: &str, url: &Url) -> Result<Secret, Cause> {
        match self.made.get(name) {
            Some((value, _)) => Ok(value.clone()),
            None => self.get(name, url).cloned(),
        }
    }

    /// Puts what the forge at `url` answered into a slot.
    pub(super) fn keep(&mut self, name: &str, value: Secret, url: &Url) -> Result<(), Cause> {
        if self.given.contains_key(name) {
            return Err(Cause::SlotTaken { slot: shown(name) });
        }
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(named) {
            return Err(Cause::NotASlot { slot: shown(name) });
        }
        fits(name, value.expose())?;
        // What was in it before may still be repeated.
        if let Some((old, _)) = self.made.insert(name.to_owned(), (value, url.origin())) {
            self.derive(old)?;
        }
        if self.made.len() > MADE {
            return Err(Cause::TooMuch {
                what: "slots filled from answers",
                most: MADE,
            });
        }
        Ok(())
    }

    /// Remembers a text that was made of a secret.
    pub(super) fn derive(&mut self, made: Secret) -> Result<(), Cause> {
        if self.derived.len() >= DERIVED {
            return Err(Cause::TooMuch {
                what: "tokens and signatures made",
                most: DERIVED,
            });
        }
        if !self.derived.contains(&made) {
            self.derived.push(made);
        }
        Ok(())
    }

    /// Everything that nobody may be told.
    pub(super) fn all(&self) -> impl Iterator<Item = &Secret> {
        let given = self.given.values().map(|slot| &slot.value);
        let made = self.made.values().map(|(value, _)| value);
        given.chain(made).chain(&self.derived)
    }
}

fn fits(name: &str, value: &str) -> Result<(), Cause> {
    if (SHORTEST..=LONGEST).contains(&value.len()) {
        return Ok(());
    }
    Err(Cause::SlotSize {
        slot: shown(name),
        least: SHORTEST,
        most: LONGEST,
    })
}

/// A name that a guest made up, as it may be printed.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Host and port of a URL, for people.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
