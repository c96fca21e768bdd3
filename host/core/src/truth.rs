//! Which side is right where git and the cluster differ, as a Kustomization says it or whoever is above it.
//!
//! | it says | what somebody changes on the cluster |
//! |---|---|
//! | `git` | is put right, and no WriteBack writes it |
//! | `cluster` | is never put right; WriteBacks write what their rules say |
//! | nothing | is left for a WriteBack whose rule has it written, and else put right |
//!
//! What it deliberately doesn't: decide what is written. That is always a rule's to say.

use std::collections::BTreeMap;

use reeve_api::tenant::SourceOfTruth;
use reeve_api::writeback::{OnDelete, SyncTo, WriteBackRule};

use crate::spec::Error;
use crate::writeback::Rules;

/// The annotation of a Kustomization that says it: `git` or `cluster`.
pub const SOURCE_OF_TRUTH: &str = "reeve.dev/source-of-truth";

const FIELD: &str = "metadata.annotations[reeve.dev/source-of-truth]";

/// What a Kustomization says of it itself; `elsewhere` says that it is carried out on another cluster.
pub(crate) fn parse(
    annotations: Option<&BTreeMap<String, String>>,
    elsewhere: bool,
) -> Result<Option<SourceOfTruth>, Error> {
    let said = annotations.and_then(|all| all.get(SOURCE_OF_TRUTH));
    match said.map(String::as_str) {
        None => Ok(None),
        Some("git") => Ok(Some(SourceOfTruth::Git)),
        Some("cluster") if elsewhere => Err(Error::invalid(
            FIELD,
            "what lies on another cluster (spec.kubeConfig) is written back by nobody: it is `git` there",
        )),
        Some("cluster") => Ok(Some(SourceOfTruth::Cluster)),
        Some(_) => Err(Error::invalid(FIELD, "it is `git` or `cluster`")),
    }
}

/// What a Kustomization says of it itself, in words that could be any: who looks at it from elsewhere leaves its mistakes to it.
pub fn said(annotations: Option<&BTreeMap<String, String>>) -> Option<SourceOfTruth> {
    parse(annotations, false).ok().flatten()
}

/// What is left alone where the cluster is right: all that others have changed, and what they have deleted.
pub fn everything() -> Rules {
    let rule = WriteBackRule {
        sync_to: SyncTo::Git,
        on_delete: OnDelete::Delete,
        ..WriteBackRule::default()
    };
    Rules::parse(&[rule]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kustomization_says_which_side_is_right_in_two_words_and_no_other() {
        let of = |said: Option<&str>, elsewhere| {
            let all: Option<BTreeMap<_, _>> =
                said.map(|said| [(SOURCE_OF_TRUTH.to_owned(), said.to_owned())].into());
            parse(all.as_ref(), elsewhere).map_err(|why| why.to_string())
        };
        assert_eq!(of(None, false), Ok(None));
        assert_eq!(of(Some("git"), false), Ok(Some(SourceOfTruth::Git)));
        assert_eq!(of(Some("git"), true), Ok(Some(SourceOfTruth::Git)));
        assert_eq!(of(Some("cluster"), false), Ok(Some(SourceOfTruth::Cluster)));
        for (said, elsewhere, words) in [
            ("Git", false, "it is `git` or `cluster`"),
            ("", false, "it is `git` or `cluster`"),
            ("cluster", true, "written back by nobody"),
        ] {
            let told = of(Some(said), elsewhere).unwrap_err();
            assert!(told.starts_with(FIELD) && told.contains(words), "{told}");
        }
    }

    #[test]
    fn where_the_cluster_is_right_every_object_is_left_alone() {
        let rules = everything();
        let all: Vec<_> = rules.iter().collect();
        let [rule] = all.as_slice() else {
            panic!("{rules:?}");
        };
        assert_eq!(rule.sync_to(), SyncTo::Git);
        assert_eq!(rule.on_delete(), OnDelete::Delete);
        assert!(rule.written().filters.is_empty() && !rule.picks());
        for (group, resource, namespace) in
            [("apps", "deployments", "acme"), ("", "namespaces", "")]
        {
            assert!(rule.is_for_kind(group, resource), "{resource}");
            assert!(rule.is_for_namespace(namespace), "{resource}");
        }
    }
}
