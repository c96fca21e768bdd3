//! Whom a policy is asked about.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plugin::{Requirement, Selector};

/// Scope picks Kustomizations by their labels and their namespace, and objects of theirs. What is not set picks all; what
/// is set must all hold.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// MatchExpressions is a list of label selector requirements, all of which the Kustomization must meet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
    /// MatchLabels is a map of labels, all of which the Kustomization must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Namespaces that the Kustomization may be in. Empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub namespaces: Vec<String>,
    /// Objects are the ones that the rules are shown: those that any of these picks. Empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub objects: Vec<ObjectSelector>,
}

/// ObjectSelector picks objects of a bundle. What is not set picks all; what is set must all hold.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectSelector {
    /// Group of its API; `""` is the core group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// Kind, as it is written in a manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,
    /// MatchLabels is a map of labels, all of which the object must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Namespace that it lies in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

impl Scope {
    /// Whether Kustomizations of that namespace with these labels are judged.
    pub fn selects(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        let selector = Selector {
            match_expressions: self.match_expressions.clone(),
            match_labels: self.match_labels.clone(),
            namespaces: self.namespaces.clone(),
        };
        selector.matches(namespace, labels)
    }
}

impl ObjectSelector {
    /// Whether an object is picked. One whose labels nobody knows, because it is about to be pruned, is picked whatever
    /// labels are wanted: a rule looks at too much rather than at too little.
    pub fn picks(
        &self,
        group: &str,
        kind: &str,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|it| it == found);
        let labelled = labels.is_none_or(|labels| {
            let mut wanted = self.match_labels.iter();
            wanted.all(|(key, value)| labels.get(key) == Some(value))
        });
        is(&self.group, group) && is(&self.kind, kind) && is(&self.namespace, namespace) && labelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_selector_picks_what_all_of_it_allows() {
        let labels = BTreeMap::from([("tier".to_owned(), "web".to_owned())]);
        for (selector, known, unknown) in [
            (json!({}), true, true),
            (json!({"group": "apps", "kind": "Deployment"}), true, true),
            (json!({"group": ""}), false, false),
            (
                json!({"kind": "Deployment", "namespace": "other"}),
                false,
                false,
            ),
            (json!({"matchLabels": {"tier": "web"}}), true, true),
            (json!({"matchLabels": {"tier": "db"}}), false, true),
        ] {
            let read: ObjectSelector = serde_json::from_value(selector.clone()).unwrap();
            let picks = |labels| read.picks("apps", "Deployment", "acme", labels);
            assert_eq!(picks(Some(&labels)), known, "{selector}");
            assert_eq!(picks(None), unknown, "{selector}");
        }
    }
}
