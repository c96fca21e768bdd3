//! What of a plan is compared with the cluster, for somebody who may propose something and may not read Secrets.
//!
//! Whether a guess is what stands there shows in everything that is compared: in "unchanged", in what the API server refuses, in what
//! is covered. So what must not be told is not compared at all, and whether it is compared says nothing of what is proposed:
//!
//! | what | is told |
//! |---|---|
//! | a Secret | that its data is not compared, whatever is there |
//! | what a variable from a Secret is put into, now or in what is applied | what two builds make of it, both with another word for the value; with plugins, which may carry a value anywhere, so it is of all |
//! | what plugins make that are configured by a Secret, which is all | the same |
//! | what stands there already, and is not applied by this Kustomization | that it stands there |
//! | what else holds a value that came from a Secret | that it does |
//! | the rest | what the API server says that applying it would do |

use std::collections::BTreeMap;

use reeve_api::kustomization::SubstituteKind;
use reeve_core::inventory::{Inventory, ObjectId};
use reeve_core::plan::{Admitted, Plan, Planned};
use reeve_core::plugin::PluginId;
use reeve_core::preview::Preview;
use reeve_core::spec::Spec;
use reeve_core::substitute::Touched;
use reeve_core::veil::Veil;
use serde_json::Value;

use super::Case;
use crate::cluster::{Looked, Onlooker};
use crate::controller::kustomization::cover::Cover;
use crate::controller::kustomization::{Wanted, build};
use crate::places::Room;
use crate::transform::{Caller, transform};

const SECRET: &str = "data is not compared in plans";
const ELSEWHERE: &str = "it stands there already and is not applied by this Kustomization";
const HOLDS: &str = "what stands there holds a value that came from a Secret";
const UNBUILT: &str = "it is made with values of a Secret, and what is applied now cannot be built to compare it with";
const BUILT: &str =
    "it is made with values of a Secret, which stand for *** here: two builds are compared";

/// Whether variables come from Secrets.
pub(super) fn reads_secrets(spec: &Spec) -> bool {
    let mut from = spec.substitution.from.iter();
    from.any(|from| from.kind == SubstituteKind::Secret)
}

/// What is applied now, built with the same word for each value of a Secret.
struct Base {
    manifests: BTreeMap<ObjectId, Value>,
    touched: Touched,
}

/// The plugins that make something of it.
#[derive(PartialEq, Eq)]
enum Plugins {
    None,
    Some,
    /// One is configured by a Secret.
    KnowSecrets,
}

impl Case<'_> {
    /// Tells what applying each object that stays would do, as far as it may be told.
    pub(super) async fn compare(
        &self,
        there: &Onlooker,
        room: &Room,
        plan: &Plan<Admitted>,
        told: &mut Preview,
    ) {
        let wanted = self.wanted;
        let plugins = self.plugins();
        let is_hidden = reads_secrets(&wanted.spec) || plugins == Plugins::KnowSecrets;
        let base = match is_hidden {
            true => self.base(room).await,
            false => None,
        };
        let everywhere = is_hidden && plugins != Plugins::None;
        let own = wanted.cover.touched();
        let before = base.as_ref().map(|base| &base.touched);
        let mut asked = Vec::new();
        for object in plan.steady() {
            let id = object.id();
            let mut all = own.into_iter().chain(before);
            let touched = everywhere || all.any(|touched| touched.has(id));
            if id.group.is_empty() && id.kind == "Secret" {
                told.pass_over(id, SECRET);
            } else if !(is_hidden && touched) {
                asked.push(object);
            } else if let Some(base) = &base {
                told.add_built(id, base.manifests.get(id), object.manifest(), BUILT);
            } else {
                told.pass_over(id, UNBUILT);
            }
        }
        let forbids = |object: &Planned, live: &Value| {
            forbidden(&wanted.inventory, self.known, object.id(), live)
        };
        for (object, looked) in there.rehearse_for(asked, forbids).await {
            match looked {
                Ok(Looked::Rehearsed(done)) => told.add(object.id(), Ok(*done)),
                Ok(Looked::PassedOver(why)) => told.pass_over(object.id(), why),
                Err(why) => told.add(object.id(), Err(why.to_string())),
            }
        }
    }

    fn plugins(&self) -> Plugins {
        let id = &self.wanted.spec.id;
        self.ctx.index.read(|known| {
            let called = known.touch.plugins_of(id);
            let knows = |id: &PluginId| {
                let loaded = known.loaded.get(id).map(|loaded| &loaded.ready);
                matches!(loaded, Some(Ok(ready)) if ready.hidden.is_some())
            };
            match called.iter().any(knows) {
                true => Plugins::KnowSecrets,
                false if called.is_empty() => Plugins::None,
                false => Plugins::Some,
            }
        })
    }

    /// None where it cannot be built: that is told to whom it belongs by its own runs.
    async fn base(&self, room: &Room) -> Option<Base> {
        let (ctx, now) = (self.ctx, self.wanted);
        let wanted = Wanted {
            spec: now.spec.clone(),
            tenant: now.tenant.clone(),
            stored: self.live.clone().files(),
            inventory: Inventory::default(),
            client: now.client.clone(),
            left: None,
            cover: Cover::aside(Veil::default()),
            place: None,
        };
        let revision = wanted.stored.artifact.revision.to_string();
        let built = build::again(ctx, &wanted, room, self.deadline).await;
        let source = wanted.spec.source.key();
        let caller = Caller {
            kustomization: &wanted.spec.id,
            tenant: &wanted.tenant.name,
            source: Some(&source),
            revision: &revision,
            requested: None,
            room,
            veil: Veil::nothing(),
            aside: true,
        };
        let bundle = transform(ctx, caller, built.ok()?).await.ok()?;
        let scopes = wanted.client.scopes().await;
        let plan = Plan::propose(bundle, &scopes, &wanted.inventory, &wanted.spec).ok()?;
        let manifests = plan.steady();
        let manifests = manifests.map(|object| (object.id().clone(), object.manifest().clone()));
        Some(Base {
            manifests: manifests.collect(),
            touched: wanted.cover.touched().cloned().unwrap_or_default(),
        })
    }
}

/// Why an object is not compared with what stands in its place.
fn forbidden(own: &Inventory, known: &Veil, id: &ObjectId, live: &Value) -> Option<&'static str> {
    if !own.contains(id) {
        return Some(ELSEWHERE);
    }
    known.replace(&mut live.clone()).then_some(HOLDS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_there_decides_whether_it_is_compared_and_never_what_is_proposed() {
        let inventory = Inventory::parse([("acme_app__ConfigMap", "v1")]).unwrap();
        let id = |name: &str| ObjectId {
            namespace: "acme".to_owned(),
            name: name.to_owned(),
            group: String::new(),
            kind: "ConfigMap".to_owned(),
        };
        let known = Veil::of(["hunter2".to_owned()]);
        let live = |value: &str| json!({"kind": "ConfigMap", "data": {"x": value}});
        for (name, value, want) in [
            ("app", "hunter2", Some(HOLDS)),
            ("app", "https://ada:hunter2@db", Some(HOLDS)),
            ("app", "blue", None),
            ("other", "hunter2", Some(ELSEWHERE)),
            ("other", "blue", Some(ELSEWHERE)),
        ] {
            let why = forbidden(&inventory, &known, &id(name), &live(value));
            assert_eq!(why, want, "{name} {value}");
        }
    }
}
