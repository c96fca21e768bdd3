//! From the files of a commit to the edit after which they give the object as it is wanted.
//!
//! Built with what a run would lay over them and with its variables put in, so that a value which these make is not mistaken
//! for one that stands in a file. Asked anew for every head of the branch. It deliberately calls no plugin.

use std::sync::Arc;

use reeve_core::failure::{Explain, Explained};
use reeve_core::inventory::ObjectId;
use reeve_core::render::{Rendering, Size, render};
use reeve_core::spec::Spec;
use reeve_core::substitute::{Variables, substitute};
use reeve_core::veil::Veil;
use reeve_kustomize::{Functions, Object, Options, Remotes, Stop, Tree};
use reeve_writeback::{Change, Edits, Repository, write};

use super::wish::{Wish, refused};

/// All that an edit is made of but the files.
pub(super) struct Recipe {
    pub(super) spec: Spec,
    pub(super) variables: Variables,
    pub(super) veil: Veil,
    pub(super) remotes: Remotes,
    pub(super) functions: Arc<dyn Functions>,
    pub(super) others: Vec<String>,
    pub(super) object: ObjectId,
    pub(super) wish: Wish,
    /// Ends builds when time is up.
    pub(super) stop: Stop,
}

/// What is to be committed.
pub(super) struct Made {
    /// The object as the files give it.
    pub(super) before: Object,
    /// As they are to give it.
    pub(super) after: Object,
    pub(super) edits: Edits,
}

impl Recipe {
    pub(super) fn make(&self, tree: &dyn Tree) -> Result<Made, Explained> {
        let before = self.given(tree)?;
        let after = self.wish.of(&before)?;
        if after == before {
            return Ok(Made {
                before,
                after,
                edits: Edits::default(),
            });
        }
        let options = Options {
            overlay: self.spec.overlay.clone(),
            generate: true,
            stop: self.stop.clone(),
            functions: Some(Arc::clone(&self.functions)),
            ..Options::default()
        };
        let repository = Repository {
            tree,
            all: tree,
            remotes: &self.remotes,
            path: &self.spec.path,
            options: &options,
            others: &self.others,
            within: "",
        };
        let change = Change {
            applied: before.clone(),
            defaulted: None,
            live: after.clone(),
        };
        let edits = write(&repository, &[change]).map_err(|why| {
            let hint = why.reason.hint();
            let place = match why.field.as_str() {
                "" => self.object.subject(),
                field => format!("{}: {field}", self.object.subject()),
            };
            refused(format!("{place}: {}", why.reason)).with_hint(hint)
        })?;
        Ok(Made {
            before,
            after,
            edits,
        })
    }

    /// The object as the files give it.
    fn given(&self, tree: &dyn Tree) -> Result<Object, Explained> {
        let functions = Some(Arc::clone(&self.functions));
        let built = render(
            tree,
            &self.remotes,
            &self.spec,
            functions,
            Size::Any,
            &self.stop,
        );
        let bundle = match built.map_err(|why| self.told(&why))? {
            Rendering::Bundle(bundle) => bundle,
            Rendering::Wants(_) => {
                return Err(refused(
                    "the repository came to name other remote resources meanwhile",
                )
                .with_hint("run the command again"));
            }
            Rendering::Large => return Err(refused("the build is too large")),
        };
        let always = self.spec.substitution.always;
        let bundle = match self.spec.substitution.is_none() {
            true => bundle,
            false => {
                let made = substitute(bundle, &self.variables, always);
                made.map_err(|why| self.told(&why))?.bundle
            }
        };
        let mut objects = bundle.objects().iter();
        let found = objects.find(|object| is(object, &self.object));
        found.cloned().ok_or_else(|| {
            let (subject, id) = (self.object.subject(), &self.spec.id);
            refused(format!("the files of Kustomization {id} do not give {subject}"))
                .with_hint("a plugin may make it, or a newer commit has removed it; `reeve trace` says where it is from")
        })
    }

    fn told<E: Explain>(&self, why: &E) -> Explained {
        self.veil.over(Explained::of(why))
    }
}

/// Whether it is that object. Where it names no namespace, it is put into one later.
fn is(object: &Object, id: &ObjectId) -> bool {
    let namespace = object.namespace();
    object.group() == id.group
        && object.kind() == id.kind
        && object.name() == id.name
        && (namespace.is_empty() || namespace == id.namespace)
}

#[cfg(test)]
mod tests {
    use reeve_kustomize::MemoryTree;
    use serde_json::{Value, json};

    use super::super::wish::WishArgs;
    use super::*;
    use crate::cli::build::laptop::Laptop;

    const WEB: &str = "# the site\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1\n  template:\n    spec:\n      containers:\n      - name: web\n        image: web:${tag} # from the release\n";

    fn recipe(spec: Value, args: &WishArgs) -> Recipe {
        let mut object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"namespace": "acme", "name": "web"},
            "spec": {"interval": "10m", "prune": true, "path": "live", "targetNamespace": "acme",
                "sourceRef": {"kind": "GitRepository", "name": "web"}},
        });
        for (field, value) in spec.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        let spec = Spec::parse(&serde_json::from_value(object).unwrap()).unwrap();
        Recipe {
            variables: spec.substitution.own.clone(),
            spec,
            veil: Veil::default(),
            remotes: Remotes::refused(),
            functions: Arc::new(Laptop::new(false)),
            others: vec!["staging".to_owned()],
            object: ObjectId {
                namespace: "acme".to_owned(),
                name: "web".to_owned(),
                group: "apps".to_owned(),
                kind: "Deployment".to_owned(),
            },
            wish: Wish::read(args).unwrap(),
            stop: Stop::default(),
        }
    }

    fn tree() -> MemoryTree {
        [
            ("base/kustomization.yaml", "resources: [web.yaml]\n"),
            ("base/web.yaml", WEB),
            ("live/kustomization.yaml", "resources: [../base]\n"),
            ("staging/kustomization.yaml", "resources: [../base]\n"),
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn a_value_goes_to_the_overlay_where_the_base_is_others_too() {
        let args = WishArgs {
            replicas: Some(3),
            ..WishArgs::default()
        };
        let made = recipe(json!({}), &args).make(&tree()).unwrap();
        assert_eq!(made.before.get("/spec/replicas"), Some(&json!(1)));
        assert_eq!(made.after.get("/spec/replicas"), Some(&json!(3)));
        let files: Vec<&String> = made.edits.files.keys().collect();
        assert!(
            files.iter().all(|file| file.starts_with("live/")),
            "{files:?}"
        );
        let same = WishArgs {
            replicas: Some(1),
            ..WishArgs::default()
        };
        let made = recipe(json!({}), &same).make(&tree()).unwrap();
        assert_eq!(made.edits, Edits::default());
    }

    #[test]
    fn a_value_that_a_variable_makes_is_not_written_over_it() {
        let args = WishArgs {
            images: vec!["web:2".to_owned()],
            ..WishArgs::default()
        };
        let variables = json!({"postBuild": {"substitute": {"tag": "1"}}});
        let why = recipe(variables, &args).make(&tree()).err().unwrap();
        assert!(why.message.contains("Deployment/acme/web: "), "{why}");
        assert!(why.hint.unwrap().contains("variable"));
    }

    #[test]
    fn what_the_files_do_not_give_is_named() {
        let args = WishArgs {
            replicas: Some(3),
            ..WishArgs::default()
        };
        let mut recipe = recipe(json!({}), &args);
        recipe.object.name = "api".to_owned();
        let why = recipe.make(&tree()).err().unwrap();
        assert!(
            why.message.contains("do not give Deployment/acme/api"),
            "{why}"
        );
    }
}
