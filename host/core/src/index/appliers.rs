//! Which source is applied by whom.
//!
//! Sources of different kinds may bear one name, so a kind belongs to each; who asks without one asks about a GitRepository. What
//! it deliberately doesn't: know whether there is such a source.

use reeve_api::kustomization::SourceKind;
use reeve_api::name::NamespacedName;

use super::Index;

impl Index {
    /// The Kustomizations that apply this GitRepository, in order.
    pub fn kustomizations_of<'i>(
        &'i self,
        source: &NamespacedName,
    ) -> impl Iterator<Item = &'i NamespacedName> + use<'i> {
        self.kustomizations_from(SourceKind::GitRepository, source)
    }

    /// The Kustomizations that apply this source, of whichever kind, in order.
    pub fn kustomizations_from<'i>(
        &'i self,
        kind: SourceKind,
        source: &NamespacedName,
    ) -> impl Iterator<Item = &'i NamespacedName> + use<'i> {
        let users = self.by_source.get(&(kind, source.clone()));
        users.into_iter().flatten()
    }

    /// The Kustomizations that apply any source of this kind.
    pub fn kustomizations_from_any(&self, kind: SourceKind) -> Vec<NamespacedName> {
        let all = self.kustomizations.iter();
        let found = all.filter(|(_, applier)| applier.kind == kind);
        found.map(|(id, _)| id.clone()).collect()
    }

    /// The GitRepository that a Kustomization applies.
    pub fn source_of(&self, kustomization: &NamespacedName) -> Option<&NamespacedName> {
        let (kind, source) = self.applied_by(kustomization)?;
        (kind == SourceKind::GitRepository).then_some(source)
    }

    /// The source that a Kustomization applies, and its kind.
    pub fn applied_by(
        &self,
        kustomization: &NamespacedName,
    ) -> Option<(SourceKind, &NamespacedName)> {
        let applier = self.kustomizations.get(kustomization)?;
        Some((applier.kind, &applier.source))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::index::{Applier, Labels};

    #[test]
    fn a_source_of_another_kind_with_the_same_name_is_another() {
        let web: NamespacedName = "acme/web".parse().unwrap();
        let mut index = Index::new([]);
        for kind in [SourceKind::Bucket, SourceKind::GitRepository] {
            let id: NamespacedName = format!("acme/{}", kind.as_str().to_lowercase())
                .parse()
                .unwrap();
            let applier = Applier {
                kind,
                source: web.clone(),
                labels: Labels::default(),
                secrets: BTreeSet::new(),
            };
            index.apply_kustomization(&id, applier);
        }
        let (git, bucket) = ("acme/gitrepository", "acme/bucket");
        let users = |kind| {
            let users = index.kustomizations_from(kind, &web);
            users.map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(users(SourceKind::GitRepository), [git]);
        assert_eq!(users(SourceKind::Bucket), [bucket]);
        assert!(users(SourceKind::OciRepository).is_empty());
        let of_git: Vec<_> = index.kustomizations_of(&web).collect();
        assert_eq!(of_git, [&git.parse::<NamespacedName>().unwrap()]);
        let bucket: NamespacedName = bucket.parse().unwrap();
        assert_eq!(index.source_of(&bucket), None);
        assert_eq!(index.applied_by(&bucket), Some((SourceKind::Bucket, &web)));
        let any = index.kustomizations_from_any(SourceKind::Bucket);
        assert_eq!(any.as_slice(), std::slice::from_ref(&bucket));
        index.remove_kustomization(&bucket);
        assert_eq!(
            index.kustomizations_from(SourceKind::Bucket, &web).count(),
            0
        );
    }
}
