//! Which kinds live in a namespace and which in none.
//!
//! The shell says what the API server serves; definitions in the bundle itself say the rest. A kind that neither knows
//! is taken for what its manifest looks like. It deliberately asks nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use reeve_kustomize::Object;
use serde_json::Value;

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Each in a namespace.
    Namespaced,
    /// In none.
    Cluster,
}

/// Where objects of each known kind live, by group and kind. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    known: Arc<BTreeMap<(String, String), Scope>>,
}

impl FromIterator<((String, String), Scope)> for Scopes {
    fn from_iter<I: IntoIterator<Item = ((String, String), Scope)>>(kinds: I) -> Self {
        Self {
            known: Arc::new(kinds.into_iter().collect()),
        }
    }
}

impl Scopes {
    /// Where objects of the kind live, if it is known.
    pub fn scope(&self, group: &str, kind: &str) -> Option<Scope> {
        // A map keyed by pairs of owned texts can't be asked with borrowed ones.
        self.known
            .get(&(group.to_owned(), kind.to_owned()))
            .copied()
    }

    /// These, and what `objects` define themselves. What the API server says of a kind stays as it is: a definition
    /// that lies about a kind that exists changes nothing.
    pub(crate) fn with_definitions(&self, objects: &[Object]) -> Self {
        let definitions = objects.iter().filter(|object| {
            object.group() == "apiextensions.k8s.io" && object.kind() == "CustomResourceDefinition"
        });
        let mut known = Arc::clone(&self.known);
        for (kind, scope) in definitions.filter_map(defined) {
            if !known.contains_key(&kind) {
                Arc::make_mut(&mut known).insert(kind, scope);
            }
        }
        Self { known }
    }
}

fn defined(definition: &Object) -> Option<((String, String), Scope)> {
    let text = |pointer| {
        definition
            .get(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let scope = match text("/spec/scope")?.as_str() {
        "Namespaced" => Scope::Namespaced,
        "Cluster" => Scope::Cluster,
        _ => return None,
    };
    Some(((text("/spec/group")?, text("/spec/names/kind")?), scope))
}
