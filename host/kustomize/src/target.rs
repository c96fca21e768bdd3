//! Which objects a `target` means, for who has objects and no build.
//!
//! The same rules as for the target of a patch, but that an object has no earlier name.

use serde_json::{Map, Value};

use crate::budget::Budget;
use crate::object::Object;
use crate::options::{Limits, Selector};
use crate::patch::select::{Identity, Selection};

/// A target, its expressions compiled.
pub struct Target(Selection);

impl Target {
    /// The error says which field cannot be used.
    pub fn new(selector: &Selector) -> Result<Self, String> {
        Selection::new(selector, &Budget::new(Limits::default())).map(Self)
    }

    /// Whether the object is meant.
    pub fn means(&self, object: &Object) -> bool {
        let id = Identity {
            group: object.group(),
            version: object.version(),
            kind: object.kind(),
            name: object.name(),
            namespace: object.namespace(),
        };
        let (labels, annotations) = (object.labels(), object.annotations());
        self.0.fits(&id)
            && self
                .0
                .fits_pairs(|key| text(labels, key), |key| text(annotations, key))
    }
}

fn text<'o>(all: Option<&'o Map<String, Value>>, key: &str) -> Option<&'o str> {
    all?.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_is_meant_when_everything_that_is_said_fits() {
        let web = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web-1", "namespace": "acme", "labels": {"tier": "front"}}});
        let web = Object::try_from(web).unwrap();
        let target = |change: fn(&mut Selector)| {
            let mut selector = Selector::default();
            change(&mut selector);
            Target::new(&selector).map(|target| target.means(&web))
        };
        assert_eq!(target(|_| {}), Ok(true));
        assert_eq!(target(|s| s.kind = "Deploy.*".into()), Ok(true));
        assert_eq!(
            target(|s| s.name = "web".into()),
            Ok(false),
            "the whole name"
        );
        assert_eq!(target(|s| s.label_selector = "tier=front".into()), Ok(true));
        assert_eq!(
            target(|s| s.label_selector = "tier!=front".into()),
            Ok(false)
        );
        assert_eq!(target(|s| s.annotation_selector = "x".into()), Ok(false));
        assert_eq!(target(|s| s.group = "".into()), Ok(true));
        assert_eq!(target(|s| s.group = "batch".into()), Ok(false));
        assert!(target(|s| s.name = "(".into()).is_err());
    }
}
