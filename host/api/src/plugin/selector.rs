//! Which Kustomizations a plugin is called for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Selector picks Kustomizations by their labels and their namespace. What is not set picks all; what is set must all
/// hold.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// MatchExpressions is a list of label selector requirements, all of which must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
    /// MatchLabels is a map of labels, all of which the Kustomization must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Namespaces that the Kustomization may be in. Empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

/// LocalSelector picks Kustomizations of one namespace by their labels. What is not set picks all; what is set must all
/// hold.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LocalSelector {
    /// MatchExpressions is a list of label selector requirements, all of which must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
    /// MatchLabels is a map of labels, all of which the Kustomization must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

impl LocalSelector {
    /// The same, of that namespace and of no other.
    pub fn within(&self, namespace: &str) -> Selector {
        Selector {
            match_expressions: self.match_expressions.clone(),
            match_labels: self.match_labels.clone(),
            namespaces: vec![namespace.to_owned()],
        }
    }
}

/// Requirement relates one label to a list of values.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Key is the label key that the selector applies to.
    pub key: String,
    /// Operator represents a key's relationship to a set of values.
    pub operator: Operator,
    /// Values are compared for In and NotIn, and not looked at for Exists and DoesNotExist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a label relates to a list of values.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// It is there and has one of them.
    In,
    /// It has none of them, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl Selector {
    /// Whether an object of that namespace with these labels is picked.
    ///
    /// ```
    /// use reeve_api::plugin::Selector;
    /// use std::collections::BTreeMap;
    ///
    /// let everything = Selector::default();
    /// assert!(everything.matches("acme", &BTreeMap::new()));
    /// let one = Selector { namespaces: vec!["acme".into()], ..Selector::default() };
    /// assert!(!one.matches("neighbour", &BTreeMap::new()));
    /// ```
    pub fn matches(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        (self.namespaces.is_empty() || self.namespaces.iter().any(|name| name == namespace))
            && self
                .match_labels
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => !value.is_some_and(|value| self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selector_picks_what_all_of_it_allows() {
        let labels = BTreeMap::from([("team".to_owned(), "web".to_owned())]);
        for (selector, picks) in [
            (json!({}), true),
            (json!({"namespaces": ["acme"]}), true),
            (json!({"namespaces": ["other"]}), false),
            (json!({"matchLabels": {"team": "web"}}), true),
            (json!({"matchLabels": {"team": "web", "tier": "a"}}), false),
            (
                json!({"namespaces": ["other"], "matchLabels": {"team": "web"}}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["db", "web"]}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "In"}]}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["web"]}]}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}),
                false,
            ),
        ] {
            let read: Selector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(read.matches("acme", &labels), picks, "{selector}");
        }
    }
}
