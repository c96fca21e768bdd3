//! What of a Kustomization decides which objects its manifests are.
//!
//! Where one Kustomization holds another in its plan, both sides are compared: while they differ, the other is yet to be
//! applied, and what it will hold is not known. Only fields that nobody fills in are looked at, so that a default is no
//! difference. It deliberately doesn't build anything.

use reeve_api::KUSTOMIZE_GROUP;
use reeve_api::kustomization::{KustomizationSpec, SourceKind};
use reeve_api::name::NamespacedName;
use serde_json::Value;

use crate::inventory::ObjectId;
use crate::plan;

/// The fields of a Kustomization that decide which objects its manifests are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    kind: SourceKind,
    source: (String, String),
    path: String,
    target_namespace: String,
    name_prefix: String,
    name_suffix: String,
    components: Vec<String>,
}

impl Shape {
    /// Of what stands in the cluster.
    pub fn of(id: &NamespacedName, spec: &KustomizationSpec) -> Self {
        let text = |set: &Option<String>| set.clone().unwrap_or_default();
        let reference = &spec.source_ref;
        let namespace = match text(&reference.namespace) {
            unset if unset.is_empty() => id.namespace.to_string(),
            set => set,
        };
        let path = text(&spec.path);
        Self {
            kind: reference.kind,
            source: (namespace, reference.name.clone()),
            path: path.trim_start_matches("./").trim_matches('/').to_owned(),
            target_namespace: text(&spec.target_namespace),
            name_prefix: text(&spec.name_prefix),
            name_suffix: text(&spec.name_suffix),
            components: spec.components.clone(),
        }
    }

    /// Of what a plan would apply. None: what is in the cluster may differ from it, or nobody can read it.
    pub(super) fn planned(id: &NamespacedName, manifest: &Value) -> Option<Self> {
        let only_once = plan::says(manifest, "kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent");
        if only_once || plan::left_alone(manifest) || plan::reports_drift(manifest) {
            return None;
        }
        let spec = manifest.get("spec")?.clone();
        let spec: KustomizationSpec = serde_json::from_value(spec).ok()?;
        Some(Self::of(id, &spec))
    }
}

/// Which Kustomization an object is, if it is one.
pub(super) fn kustomization(id: &ObjectId) -> Option<NamespacedName> {
    let is_one = id.group == KUSTOMIZE_GROUP && id.kind == "Kustomization";
    let named = is_one.then(|| NamespacedName::new(&*id.namespace, &*id.name));
    named?.ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest() -> Value {
        json!({"spec": {
            "interval": "1h", "prune": true, "path": "./b/",
            "sourceRef": {"kind": "GitRepository", "name": "web"},
        }})
    }

    fn planned(change: impl FnOnce(&mut Value)) -> Option<Shape> {
        let mut manifest = manifest();
        change(&mut manifest);
        Shape::planned(&"acme/b".parse().unwrap(), &manifest)
    }

    #[test]
    fn what_decides_which_objects_there_are_makes_another_and_all_else_the_same() {
        let own = planned(|_| {});
        assert!(own.is_some());
        let same: [fn(&mut Value); 4] = [
            |it| it["spec"]["path"] = json!("b"),
            |it| it["spec"]["sourceRef"]["namespace"] = json!("acme"),
            |it| it["spec"]["interval"] = json!("2h"),
            |it| it["spec"]["targetNamespace"] = json!(""),
        ];
        for change in same {
            assert_eq!(planned(change), own);
        }
        let other: [fn(&mut Value); 4] = [
            |it| it["spec"]["path"] = json!("./c"),
            |it| it["spec"]["sourceRef"]["name"] = json!("fleet"),
            |it| it["spec"]["nameSuffix"] = json!("-b"),
            |it| it["spec"]["targetNamespace"] = json!("other"),
        ];
        for change in other {
            let changed = planned(change);
            assert!(changed.is_some() && changed != own, "{changed:?}");
        }
    }

    #[test]
    fn what_need_not_become_as_it_is_planned_has_no_shape() {
        let annotated = |key: &str, value: &str| {
            planned(|it| it["metadata"] = json!({"annotations": {key: value}}))
        };
        let ssa = "kustomize.toolkit.fluxcd.io/ssa";
        assert_eq!(annotated(ssa, "IfNotPresent"), None);
        assert_eq!(annotated(ssa, "Ignore"), None);
        assert_eq!(annotated("reeve.dev/drift", "report"), None);
        assert!(annotated(ssa, "Merge").is_some());
        assert_eq!(planned(|it| it["spec"] = json!({"path": 1})), None);
    }
}
