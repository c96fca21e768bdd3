//! A directory of the repository as it is built and applied: which of its objects the rules are about, and as what.
//!
//! What is built is parted by the side that follows: what is kept as git says goes the road of every apply, what is committed is
//! compared with the cluster. It deliberately asks the cluster nothing but which kinds it serves.

use std::sync::Arc;

use reeve_api::name::NamespacedName;
use reeve_core::bundle::{Bundle, Manifest, Rendered};
use reeve_core::failure::Explained;
use reeve_core::inventory::Inventory;
use reeve_core::plan::{Plan, Proposed, Scopes};
use reeve_core::spec::Spec;
use reeve_core::writeback::{Build, Rules, Subject};
use reeve_kustomize::{Functions, Object, Options, Remotes, Stop, Tree};
use reeve_writeback::is_secret;
use serde_json::Value;

use crate::cli::policy::subject::told as explained;
use crate::cli::ui::CommandError;
use crate::cluster::Kind;

/// What is built of a directory, and how.
pub(super) struct Built {
    /// Whose labels are on its objects.
    pub(super) owner: NamespacedName,
    pub(super) path: String,
    pub(super) remotes: Remotes,
    pub(super) options: Options,
    /// Directories of the repository that others build.
    pub(super) others: Vec<String>,
    /// Of its objects, those that follow the cluster.
    pub(super) plan: Plan<Proposed>,
}

/// The objects of a build, by the side that follows.
pub(super) struct Parted {
    /// Those of which the cluster is to have anything as git says.
    pub(super) kept: Bundle<Rendered>,
    /// Those of which git is to have anything as the cluster says.
    pub(super) followed: Bundle<Rendered>,
    /// Those of kinds that nobody serves: no rule can be asked about them.
    pub(super) unserved: Vec<String>,
}

impl Built {
    /// What is built for `spec`, of which these objects follow the cluster.
    pub(super) fn new(
        spec: &Spec,
        remotes: Remotes,
        functions: &Arc<dyn Functions>,
        followed: Bundle<Rendered>,
        scopes: &Scopes,
    ) -> Result<Self, CommandError> {
        Ok(Self {
            owner: spec.id.clone(),
            path: spec.path.clone(),
            remotes,
            options: Options {
                overlay: spec.overlay.clone(),
                generate: true,
                stop: Stop::default(),
                functions: Some(Arc::clone(functions)),
                ..Options::default()
            },
            others: Vec::new(),
            plan: planned(followed, scopes, spec)?,
        })
    }

    /// The same, as decisions take it; `base` are the files that the cluster was compared with, where others are written to.
    pub(super) fn build<'b>(&'b self, base: Option<&'b dyn Tree>) -> Build<'b> {
        Build {
            path: &self.path,
            remotes: &self.remotes,
            options: &self.options,
            others: &self.others,
            base,
            compared: None,
        }
    }
}

/// What applying these objects would take. Nothing is deleted: nobody knows what was applied before.
pub(super) fn planned(
    bundle: Bundle<Rendered>,
    scopes: &Scopes,
    spec: &Spec,
) -> Result<Plan<Proposed>, CommandError> {
    let plan = Plan::propose(bundle.settled(), scopes, &Inventory::default(), spec);
    plan.map_err(|why| explained(Explained::of(&why)))
}

/// Parts the objects by the sides that follow for their fields: one may be in both parts. One that names no namespace is in `namespace`, where its kind lives in one.
pub(super) fn parted(
    bundle: &Bundle<Rendered>,
    kinds: &[Kind],
    rules: &Rules,
    namespace: &str,
) -> Result<Parted, CommandError> {
    let (mut kept, mut followed): (Vec<Manifest>, Vec<Manifest>) = (Vec::new(), Vec::new());
    let mut unserved = Vec::new();
    for object in bundle.objects() {
        let Some(kind) = kinds.iter().find(|kind| is_of(kind, object)) else {
            unserved.push(object.id().to_string());
            continue;
        };
        let mut object = object.clone();
        match kind.is_namespaced() {
            true if object.namespace().is_empty() => object.set_namespace(namespace),
            true => {}
            false => object.set_namespace(""),
        }
        let sides = rules.following(&Subject::of(&object, kind.plural()));
        // A Secret is never written, so nothing of it needs to be read, and it is kept whole or not at all.
        let (is_kept, is_followed) = match is_secret(&object.id()) {
            true => (sides.keeps_all(), false),
            false => (sides.keeps(), sides.commits()),
        };
        let manifest = Value::from(object).to_string();
        if is_kept {
            kept.push(manifest.clone());
        }
        if is_followed {
            followed.push(manifest);
        }
    }
    let of = |manifests: Vec<Manifest>| {
        let made = bundle.clone().replaced(manifests);
        made.map_err(|why| explained(Explained::of(&why)))
    };
    Ok(Parted {
        kept: of(kept)?,
        followed: of(followed)?,
        unserved,
    })
}

fn is_of(kind: &Kind, object: &Object) -> bool {
    kind.group() == object.group() && kind.kind() == object.kind()
}

#[cfg(test)]
mod tests {
    use reeve_core::writeback::config::Config;

    use super::super::standing::Standing;
    use super::*;
    use crate::cli::diff::build::made_with;
    use crate::cli::ui::Ui;

    const FILES: [(&str, &str); 3] = [
        (
            "a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        ),
        (
            "b.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: b, namespace: other}\n",
        ),
        (
            "c.yaml",
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: c}\n---\napiVersion: x.io/v1\nkind: Unknown\nmetadata: {name: d}\n",
        ),
    ];

    #[test]
    fn what_is_built_is_parted_by_the_side_that_follows() {
        let tree: reeve_kustomize::MemoryTree = FILES.into_iter().collect();
        let standing = Standing::new("acme", "", None).unwrap();
        let functions: Arc<dyn Functions> = Arc::new(crate::cli::build::laptop::Laptop::new(false));
        let (bundle, _) = made_with(&tree, standing.spec(), &functions, &mut Ui::new()).unwrap();
        let kinds = [
            Kind::of("", "ConfigMap", "configmaps", true),
            Kind::of("", "Service", "services", true),
            Kind::of("", "Namespace", "namespaces", false),
        ];
        let rules = "rules:\n- {resources: [services], syncTo: git}\n- {namespaces: [acme], syncTo: kubernetes}\n";
        let rules = Config::parse(rules.as_bytes()).unwrap().rules;
        let parted = parted(&bundle, &kinds, &rules, "acme").unwrap();
        let names = |bundle: &Bundle<Rendered>| -> Vec<String> {
            let objects = bundle.objects().iter();
            objects.map(|object| object.id().to_string()).collect()
        };
        assert_eq!(names(&parted.kept), ["ConfigMap acme/a"]);
        assert_eq!(names(&parted.followed), ["Service other/b"]);
        assert_eq!(parted.unserved, ["x.io/Unknown d"]);
        // One whose fields have different sides is in both parts.
        let both = "rules:\n- {resources: [services], filters: [/spec], syncTo: kubernetes}\n- {resources: [services], syncTo: git}\n";
        let both = Config::parse(both.as_bytes()).unwrap().rules;
        let parted = super::parted(&bundle, &kinds, &both, "acme").unwrap();
        assert_eq!(names(&parted.kept), ["Service other/b"]);
        assert_eq!(names(&parted.followed), ["Service other/b"]);
    }
}
