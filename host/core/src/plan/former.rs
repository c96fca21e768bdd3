//! What an object was planned as when an earlier build was, to tell what has changed of it since without asking the cluster.
//!
//! It is recognised by its digest: whatever plugins and variables have made of it, or another spec, it is that very manifest or
//! none.

use reeve_kustomize::Object;
use serde_json::Value;

use super::normalise;
use crate::bundle::{Bundle, Rendered};
use crate::drift;
use crate::inventory::ObjectId;
use crate::spec::Spec;

/// The manifest of the object as it was planned with this digest, if it was planned of this build as it is.
pub fn former(bundle: &Bundle<Rendered>, id: &ObjectId, digest: u64, spec: &Spec) -> Option<Value> {
    let is_it = |object: &&Object| {
        object.name() == id.name && object.kind() == id.kind && object.group() == id.group
    };
    let planned = |mut object: Object| {
        object.set_namespace(&id.namespace);
        normalise::content(&mut object, id).ok()?;
        normalise::metadata(&mut object, spec);
        Some(Value::from(object))
    };
    let named = bundle.objects().iter().filter(is_it).cloned();
    named
        .filter_map(planned)
        .find(|manifest| drift::digest(manifest) == digest)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{scopes, spec};
    use super::super::{Inventory, Plan};
    use super::*;
    use serde_json::json;

    fn built(colour: &str) -> Bundle<Rendered> {
        let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"colour": colour}});
        let objects = [map("a"), map("b")].map(|value| Object::try_from(value).unwrap());
        Bundle::<Rendered>::built(objects.into()).unwrap()
    }

    #[test]
    fn the_manifest_that_was_planned_is_found_in_its_build_and_in_no_other() {
        let spec = spec(&json!({"commonMetadata": {"labels": {"team": "a"}}}));
        let bundle = built("green").settled();
        let plan = Plan::propose(bundle, &scopes(), &Inventory::default(), &spec).unwrap();
        for planned in plan.objects() {
            let of = |bundle: &Bundle<Rendered>, digest, spec: &Spec| {
                former(bundle, planned.id(), digest, spec)
            };
            let (green, digest) = (built("green"), planned.digest());
            let found = of(&green, digest, &spec);
            assert_eq!(found.as_ref(), Some(planned.manifest()));
            assert_eq!(of(&built("red"), digest, &spec), None);
            assert_eq!(of(&green, digest + 1, &spec), None);
            let other = super::super::tests::spec(&json!({}));
            assert_eq!(of(&green, digest, &other), None);
        }
    }
}
