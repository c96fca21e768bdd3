//! A plugin that fails again and again for one Kustomization rests, until something is different.
//!
//! It is a function of its input: calling it once more with the same input is worth a few tries, since a machine may be
//! busy, and no more. What fails for one Kustomization says nothing about another, so each rests by itself.

use std::collections::BTreeMap;

use reeve_api::name::NamespacedName;
use sha2::{Digest as _, Sha256};

use super::PluginId;
use crate::framed::framed;

/// How often in a row it fails before it rests.
pub const REST_AFTER: u32 = 5;

/// What a plugin is called with, as a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input([u8; 32]);

impl Input {
    /// Of the component, its config, the bundle, and the request that asks for a run now.
    pub fn of(component: &str, config: &str, bundle: &str, requested: Option<&str>) -> Self {
        let mut hash = Sha256::new();
        for part in [component, config, bundle, requested.unwrap_or_default()] {
            framed(&mut hash, part);
        }
        Self(hash.finalize().into())
    }
}

/// Who failed for whom how often. Holds only those that failed last time.
#[derive(Debug, Default)]
pub struct Strikes(BTreeMap<(PluginId, NamespacedName), Strike>);

#[derive(Debug)]
struct Strike {
    input: Input,
    failures: u32,
    message: String,
}

impl Strikes {
    /// What it last failed with, if it rests for that Kustomization and that input.
    pub fn resting(&self, plugin: &PluginId, of: &NamespacedName, input: Input) -> Option<&str> {
        let strike = self.0.get(&(plugin.clone(), of.clone()))?;
        (strike.input == input && strike.failures >= REST_AFTER).then_some(&*strike.message)
    }

    /// It failed. Returns whether it rests from now on.
    pub fn failed(
        &mut self,
        plugin: &PluginId,
        of: &NamespacedName,
        input: Input,
        message: &str,
    ) -> bool {
        let key = (plugin.clone(), of.clone());
        let before = self.0.get(&key).filter(|strike| strike.input == input);
        let failures = before.map_or(0, |strike| strike.failures).saturating_add(1);
        let message = message.to_owned();
        let strike = Strike {
            input,
            failures,
            message,
        };
        self.0.insert(key, strike);
        failures >= REST_AFTER
    }

    /// It worked.
    pub fn worked(&mut self, plugin: &PluginId, of: &NamespacedName) {
        if !self.0.is_empty() {
            self.0.remove(&(plugin.clone(), of.clone()));
        }
    }

    /// The plugin is gone or another.
    pub fn forget_plugin(&mut self, plugin: &PluginId) {
        self.0.retain(|(id, _), _| id != plugin);
    }

    /// The Kustomization is gone.
    pub fn forget_kustomization(&mut self, of: &NamespacedName) {
        self.0.retain(|(_, id), _| id != of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_api::name::PluginName;

    fn stamp() -> PluginId {
        PluginId::Platform(PluginName::new("stamp").unwrap())
    }

    fn id(name: &str) -> NamespacedName {
        NamespacedName::new("acme", name).unwrap()
    }

    #[test]
    fn after_five_failures_in_a_row_it_rests_for_that_kustomization_only() {
        let (mut strikes, input) = (Strikes::default(), Input::of("c", "{}", "b", None));
        for round in 1..=REST_AFTER {
            assert_eq!(strikes.resting(&stamp(), &id("web"), input), None);
            let rests = strikes.failed(&stamp(), &id("web"), input, "it crashed");
            assert_eq!(rests, round == REST_AFTER);
        }
        assert_eq!(
            strikes.resting(&stamp(), &id("web"), input),
            Some("it crashed")
        );
        assert_eq!(strikes.resting(&stamp(), &id("db"), input), None);
    }

    #[test]
    fn whatever_changes_of_its_input_ends_the_rest() {
        let input = Input::of("c", "{}", "b", Some("1"));
        for other in [
            Input::of("d", "{}", "b", Some("1")),
            Input::of("c", "{\"a\":1}", "b", Some("1")),
            Input::of("c", "{}", "c", Some("1")),
            Input::of("c", "{}", "b", Some("2")),
            Input::of("c{", "}", "b", Some("1")),
        ] {
            let mut strikes = Strikes::default();
            for _ in 0..REST_AFTER {
                strikes.failed(&stamp(), &id("web"), input, "it crashed");
            }
            assert_eq!(strikes.resting(&stamp(), &id("web"), other), None);
            assert!(!strikes.failed(&stamp(), &id("web"), other, "it crashed"));
        }
    }

    #[test]
    fn one_success_is_a_new_beginning() {
        let (mut strikes, input) = (Strikes::default(), Input::of("c", "{}", "b", None));
        for _ in 1..REST_AFTER {
            strikes.failed(&stamp(), &id("web"), input, "it crashed");
        }
        strikes.worked(&stamp(), &id("web"));
        assert!(!strikes.failed(&stamp(), &id("web"), input, "it crashed"));
    }

    #[test]
    fn nothing_is_kept_of_who_is_gone() {
        let (mut strikes, input) = (Strikes::default(), Input::of("c", "{}", "b", None));
        strikes.failed(&stamp(), &id("web"), input, "it crashed");
        strikes.failed(&stamp(), &id("db"), input, "it crashed");
        strikes.forget_kustomization(&id("web"));
        assert_eq!(strikes.0.len(), 1);
        strikes.forget_plugin(&stamp());
        assert!(strikes.0.is_empty());
    }
}
