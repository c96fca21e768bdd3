//! Fields that somebody else sets: `spec.ignore`.
//!
//! Which fields of which object are meant is settled here, once for a spec; that they are left as they are on the cluster
//! is the shell's `cluster::drift`.

use std::fmt;
use std::sync::Arc;

use reeve_api::kustomization::IgnoreRule;
use reeve_kustomize::{Object, Selector, Target};

/// The most rules, and the most paths in all of them: each is looked up in each object.
const MOST: usize = 200;

/// Which fields are left alone. Cheap to clone.
#[derive(Clone, Default)]
pub struct Ignored {
    written: Arc<Vec<IgnoreRule>>,
    compiled: Arc<Vec<(Option<Target>, Vec<String>)>>,
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is too much.
    #[error("more than {MOST} rules or paths")]
    Limit,
    /// A path names no field.
    #[error("[{at}].paths: {path:?} is no JSON pointer to a field: it begins with / and names one")]
    Path {
        /// Which rule, from 0.
        at: usize,
        /// What stands there.
        path: String,
    },
    /// A target cannot be read.
    #[error("[{at}].{why}")]
    Target {
        /// Which rule, from 0.
        at: usize,
        /// Which field of it, and what is wrong.
        why: String,
    },
}

impl Ignored {
    /// Reads the rules of a spec.
    pub fn parse(rules: &[IgnoreRule]) -> Result<Self, Error> {
        let paths = rules.iter().map(|rule| rule.paths.len()).sum::<usize>();
        if rules.len().max(paths) > MOST {
            return Err(Error::Limit);
        }
        let mut compiled = Vec::with_capacity(rules.len());
        for (at, rule) in rules.iter().enumerate() {
            let wrong = |path: &&String| !path.starts_with('/') || path.len() < 2;
            if let Some(path) = rule.paths.iter().find(wrong) {
                let path = path.chars().take(200).collect();
                return Err(Error::Path { at, path });
            }
            let target = rule.target.as_ref().map(|set| Target::new(&selector(set)));
            let target = target
                .transpose()
                .map_err(|why| Error::Target { at, why })?;
            compiled.push((target, rule.paths.clone()));
        }
        Ok(Self {
            written: Arc::new(rules.to_vec()),
            compiled: Arc::new(compiled),
        })
    }

    /// JSON pointers to the fields of `object` that are left alone.
    pub(crate) fn of(&self, object: &Object) -> Vec<String> {
        let means = |target: &Option<Target>| target.as_ref().is_none_or(|one| one.means(object));
        let meant = self.compiled.iter().filter(|(target, _)| means(target));
        meant.flat_map(|(_, paths)| paths.clone()).collect()
    }
}

impl PartialEq for Ignored {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl fmt::Debug for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

pub(crate) fn selector(set: &reeve_api::kustomization::Selector) -> Selector {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Selector {
        group: text(&set.group),
        version: text(&set.version),
        kind: text(&set.kind),
        name: text(&set.name),
        namespace: text(&set.namespace),
        label_selector: text(&set.label_selector),
        annotation_selector: text(&set.annotation_selector),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rules(written: Value) -> Result<Ignored, Error> {
        let rules: Vec<IgnoreRule> = serde_json::from_value(written).unwrap();
        Ignored::parse(&rules)
    }

    #[test]
    fn a_rule_without_a_target_is_for_every_object() {
        let written = json!([
            {"paths": ["/data/a", "/data/b"]},
            {"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}},
        ]);
        let ignored = rules(written).unwrap();
        let object = |kind: &str| {
            let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}});
            Object::try_from(object).unwrap()
        };
        let of = |kind| ignored.of(&object(kind));
        assert_eq!(of("Deployment"), ["/data/a", "/data/b", "/spec/replicas"]);
        assert_eq!(of("Service"), ["/data/a", "/data/b"]);
    }

    #[test]
    fn a_rule_that_cannot_be_used_is_named() {
        for (written, says) in [
            (
                json!([{"paths": [""]}]),
                "[0].paths: \"\" is no JSON pointer",
            ),
            (json!([{"paths": ["/a", "b"]}]), "[0].paths: \"b\" is no"),
            (json!([{"paths": ["/"]}]), "[0].paths: \"/\" is no"),
            (
                json!([{"paths": []}, {"paths": [], "target": {"name": "("}}]),
                "[1].target.name is no regular expression",
            ),
            (json!([{"paths": vec!["/a"; 201]}]), "more than 200"),
        ] {
            let told = rules(written).unwrap_err().to_string();
            assert!(told.starts_with(says), "{told}");
        }
    }
}
