//! The label by which two controllers share Flux's objects: one follows those that have it, the other those that have not.
//!
//! Flux calls that sharding, and its controllers are told with `--watch-label-selector` whom they follow. We follow one label
//! or everything; of Flux's selectors it is only asked whether they pass over what we follow. What cannot be read passes over
//! nothing.

use std::fmt;
use std::str::FromStr;

use reeve_api::{SHARD, SHARD_OURS};
use serde_json::Value;

/// The longest part of a label that Kubernetes has, its prefix included.
const LONGEST: usize = 317;

/// One label, with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    key: String,
    value: String,
}

/// A text that is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not one label with its value, as sharding.fluxcd.io/key=reeve")]
pub struct NotALabel;

impl Labelled {
    /// What objects have that Flux has handed over.
    pub fn ours() -> Self {
        Self {
            key: SHARD.to_owned(),
            value: SHARD_OURS.to_owned(),
        }
    }

    /// Its key and its value.
    pub fn entry(&self) -> (String, String) {
        (self.key.clone(), self.value.clone())
    }

    /// Whether the object has it.
    pub fn is_on(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let value = labels.and_then(|labels| labels.get(&self.key)?.as_str());
        value == Some(self.value.as_str())
    }

    /// Whether a controller with that selector follows no object that has it.
    pub fn is_passed_over_by(&self, selector: &str) -> bool {
        requirements(selector).any(|one| self.contradicts(one.trim()))
    }

    /// Whether no object with the label meets the requirement.
    fn contradicts(&self, requirement: &str) -> bool {
        if let Some(key) = requirement.strip_prefix('!') {
            return key.trim() == self.key;
        }
        if let Some((key, value)) = requirement.split_once("!=") {
            return key.trim() == self.key && value.trim() == self.value;
        }
        if let Some((key, value)) = requirement.split_once('=') {
            let value = value.trim_start_matches('=').trim();
            return key.trim() == self.key && value != self.value;
        }
        let mut words = requirement.splitn(3, char::is_whitespace);
        let (Some(key), Some(how), Some(list)) = (words.next(), words.next(), words.next()) else {
            return false;
        };
        let list = list.trim().strip_prefix('(');
        let Some(list) = list.and_then(|list| list.strip_suffix(')')) else {
            return false;
        };
        let listed = list.split(',').any(|one| one.trim() == self.value);
        key == self.key && matches!((how, listed), ("notin", true) | ("in", false))
    }
}

impl FromStr for Labelled {
    type Err = NotALabel;

    fn from_str(text: &str) -> Result<Self, NotALabel> {
        let (key, value) = text.split_once('=').ok_or(NotALabel)?;
        let is_part = |part: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
            !part.is_empty() && part.len() <= LONGEST && part.chars().all(fits)
        };
        match is_part(key) && is_part(value) && !value.contains('/') {
            true => Ok(Self {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            false => Err(NotALabel),
        }
    }
}

/// As a selector.
impl fmt::Display for Labelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// The parts of a selector, at the commas that are in no list.
fn requirements(selector: &str) -> impl Iterator<Item = &str> {
    let mut is_listing = false;
    selector.split(move |c: char| {
        match c {
            '(' => is_listing = true,
            ')' => is_listing = false,
            _ => {}
        }
        c == ',' && !is_listing
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selector_passes_over_what_no_object_with_the_label_meets() {
        for (selector, want) in [
            ("!sharding.fluxcd.io/key", true),
            ("sharding.fluxcd.io/key!=reeve", true),
            ("sharding.fluxcd.io/key=shard1", true),
            ("sharding.fluxcd.io/key==shard1", true),
            ("sharding.fluxcd.io/key in (shard1, shard2)", true),
            ("sharding.fluxcd.io/key notin (shard1, reeve)", true),
            ("app=web,!sharding.fluxcd.io/key", true),
            ("a in (x,y),sharding.fluxcd.io/key notin (reeve)", true),
            ("", false),
            ("app=web", false),
            ("sharding.fluxcd.io/key", false),
            ("sharding.fluxcd.io/key=reeve", false),
            ("sharding.fluxcd.io/key==reeve", false),
            ("sharding.fluxcd.io/key!=shard1", false),
            ("sharding.fluxcd.io/key in (shard1, reeve)", false),
            ("sharding.fluxcd.io/key notin (shard1)", false),
            ("!other/key", false),
            ("a in (!sharding.fluxcd.io/key)", false),
        ] {
            let told = Labelled::ours().is_passed_over_by(selector);
            assert_eq!(told, want, "{selector}");
        }
    }

    #[test]
    fn one_label_is_read_and_nothing_else() {
        let ours: Labelled = "sharding.fluxcd.io/key=reeve".parse().unwrap();
        assert_eq!(ours, Labelled::ours());
        assert_eq!(ours.to_string(), "sharding.fluxcd.io/key=reeve");
        for text in [
            "a", "=b", "a=", "a==b", "!a", "a=b,c=d", "a in (b)", "a=b/c",
        ] {
            assert_eq!(text.parse::<Labelled>(), Err(NotALabel), "{text}");
        }
    }

    #[test]
    fn an_object_has_it_with_that_value_only() {
        let of = |labels: Value| Labelled::ours().is_on(&json!({"metadata": {"labels": labels}}));
        assert!(of(json!({"sharding.fluxcd.io/key": "reeve"})));
        assert!(!of(json!({"sharding.fluxcd.io/key": "shard1"})));
        assert!(!of(json!(null)));
    }
}
