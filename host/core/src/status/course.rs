//! Where the manifests of a Kustomization are, where they go, and what of that is not to be changed yet.
//!
//! What stands in a status of it is what the next run starts from: an inventory without its cluster would be taken for that
//! of another, and a change on the cluster that is yet to be committed would lose what git has changed since.

use std::collections::{BTreeMap, BTreeSet};

use reeve_api::kustomization::{KustomizationStatus, LeftAlone};

/// Of how many objects it is remembered when something of them was first left alone.
const LEFT_ALONE: usize = 1000;
/// Of how many it is remembered that they are to be made anew.
const REPLACING: usize = 1000;

/// From where to where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// The source, its branch and the path.
    pub from: String,
    /// The address of the cluster that they are applied to; None: the Kustomization's own.
    pub cluster: Option<String>,
    /// The objects that were compared, as an inventory writes them, and whether something of each is left alone for a WriteBack;
    /// None: nothing is, of any.
    pub left: Option<BTreeMap<String, bool>>,
    /// The objects that were deleted to be made anew and are not there again yet, as an inventory writes them.
    pub replacing: BTreeSet<String>,
}

impl Course {
    /// Asked before the status says which revision is applied by now.
    pub(super) fn remember(&self, status: &mut KustomizationStatus) {
        status.left_alone = self.left_alone(status);
        status.replacing = typed_replacing(&self.replacing);
        status.last_applied_from = Some(self.from.clone());
        status.inventory_cluster.clone_from(&self.cluster);
    }

    /// What is left alone, with the revision that was applied before it was. Of what was not compared nothing else is known.
    fn left_alone(&self, before: &KustomizationStatus) -> Vec<LeftAlone> {
        let (Some(compared), Some(revision)) = (&self.left, &before.last_applied_revision) else {
            return Vec::new();
        };
        // A revision of another source says nothing about this one.
        if before.last_applied_from.as_ref() != Some(&self.from) {
            return Vec::new();
        }
        let inventory = before.inventory.iter().flat_map(|all| &all.entries);
        let had: BTreeSet<&str> = inventory.map(|entry| entry.id.as_str()).collect();
        let is_left = |one: &&LeftAlone| {
            let left = compared.get(&one.id).copied();
            left.unwrap_or_else(|| had.contains(one.id.as_str()))
        };
        let known = before.left_alone.iter().filter(is_left);
        let mut all: BTreeMap<&str, &str> = known
            .map(|one| (one.id.as_str(), one.revision.as_str()))
            .collect();
        for (id, _) in compared.iter().filter(|(_, left)| **left) {
            if all.len() < LEFT_ALONE {
                all.entry(id.as_str()).or_insert(revision.as_str());
            }
        }
        let told = |(id, revision): (&str, &str)| LeftAlone {
            id: id.to_owned(),
            revision: revision.to_owned(),
        };
        all.into_iter().map(told).collect()
    }
}

/// What is to be made anew, as a status has it: as much as there is room for.
pub fn typed_replacing(all: &BTreeSet<String>) -> Vec<String> {
    all.iter().take(REPLACING).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WEB: &str = "acme_web_apps_Deployment";
    const API: &str = "acme_api_apps_Deployment";

    fn course(compared: &[(&str, bool)]) -> Course {
        let compared = compared.iter().map(|(id, left)| ((*id).to_owned(), *left));
        Course {
            from: "GitRepository acme/shop main app".to_owned(),
            left: Some(compared.collect()),
            ..Course::default()
        }
    }

    /// The status when that revision was applied of it.
    fn at(revision: &str, left_alone: &[(&str, &str)]) -> KustomizationStatus {
        let left = left_alone
            .iter()
            .map(|(id, revision)| json!({"id": id, "revision": revision}));
        let status = json!({
            "lastAppliedRevision": revision, "lastAppliedFrom": course(&[]).from,
            "inventory": {"entries": [{"id": WEB, "v": "v1"}, {"id": API, "v": "v1"}]},
            "leftAlone": left.collect::<Vec<_>>(),
        });
        serde_json::from_value(status).unwrap()
    }

    fn told(course: &Course, mut status: KustomizationStatus) -> Vec<String> {
        course.remember(&mut status);
        let all = status.left_alone.into_iter();
        all.map(|one| format!("{} {}", one.id, one.revision))
            .collect()
    }

    #[test]
    fn what_is_left_alone_is_known_with_what_was_applied_before_until_it_is_not_left_any_more() {
        let left = course(&[(WEB, true), (API, false)]);
        assert_eq!(told(&left, at("1", &[])), [format!("{WEB} 1")]);
        assert_eq!(told(&left, at("2", &[(WEB, "1")])), [format!("{WEB} 1")]);
        let not_asked = course(&[]);
        let known = [(WEB, "1"), ("acme_gone_apps_Deployment", "1")];
        assert_eq!(told(&not_asked, at("3", &known)), [format!("{WEB} 1")]);
        let same = course(&[(WEB, false)]);
        assert!(told(&same, at("3", &[(WEB, "1")])).is_empty());
    }

    #[test]
    fn nothing_is_left_alone_by_nobody_or_of_another_source() {
        let nobody = Course {
            left: None,
            ..course(&[])
        };
        assert!(told(&nobody, at("1", &[(WEB, "1")])).is_empty());
        let moved = Course {
            from: "GitRepository acme/other main app".to_owned(),
            ..course(&[(WEB, true)])
        };
        assert!(told(&moved, at("1", &[(WEB, "1")])).is_empty());
    }

    #[test]
    fn what_is_to_be_made_anew_is_known_until_it_is_there_again() {
        let gone = Course {
            replacing: BTreeSet::from([WEB.to_owned()]),
            ..course(&[])
        };
        let mut status = at("1", &[]);
        gone.remember(&mut status);
        assert_eq!(status.replacing, [WEB]);
        course(&[(WEB, false)]).remember(&mut status);
        assert!(status.replacing.is_empty());
    }

    #[test]
    fn there_is_an_end_to_it() {
        let ids: Vec<String> = (0..LEFT_ALONE + 5).map(|n| n.to_string()).collect();
        let all: Vec<(&str, bool)> = ids.iter().map(|id| (id.as_str(), true)).collect();
        assert_eq!(told(&course(&all), at("1", &[])).len(), LEFT_ALONE);
        let all = ids.into_iter().collect();
        assert_eq!(typed_replacing(&all).len(), REPLACING);
    }
}
