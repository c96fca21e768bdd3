//! Phases and waves: what is applied together, and after what.
//!
//! Objects that are no hooks are in the phase Sync; without an annotation everything is in its wave 0, and a plan has that
//! one wave. Within a wave the stages of Flux follow each other, and hooks begin beside them. Whether a wave is healthy, and
//! what a hook came to, is deliberately not known here: `health` and `sync` say so, and the shell goes from wave to wave.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

pub use reeve_api::kustomization::SyncPhase as Phase;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::hook::{Hook, MARK, Role, When};
use super::{Entry, Inventory, ObjectId, Plan, Planned, Proposed, Stage, staged};

/// How many letters of the digest are in a hook's name and mark.
const SHORT: usize = 10;
/// How long a name may be that is made here: as long as that of a Job.
const LONGEST_NAME: usize = 63;
/// For how many seconds a Job that is a hook is there after its end at least, as it asks to remove itself: until then a process
/// that was away finds out how it ended, and that it was run.
const KEPT: u64 = 3600;

/// When something is applied: in which phase, and in which wave of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The phase.
    pub phase: Phase,
    /// The wave.
    pub wave: i32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wave {} of {}", self.wave, self.phase.as_str())
    }
}

/// What is applied before anything of the next wave is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wave {
    place: Place,
    stages: Vec<Stage>,
    hooks: Vec<Planned>,
}

/// One wave of a plan, with the standing of the plan.
#[derive(Debug)]
pub struct Step<'p, Standing> {
    wave: &'p Wave,
    standing: PhantomData<Standing>,
}

impl<Standing> Clone for Step<'_, Standing> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Standing> Copy for Step<'_, Standing> {}

impl<'p, Standing> Step<'p, Standing> {
    /// When it is.
    pub fn place(&self) -> Place {
        self.wave.place
    }

    /// What is there from then on, in order; no stage is empty.
    pub fn stages(&self) -> &'p [Stage] {
        &self.wave.stages
    }

    /// The objects of all stages.
    pub fn steady(&self) -> impl Iterator<Item = &'p Planned> + use<'p, Standing> {
        self.wave.stages.iter().flat_map(Stage::objects)
    }

    /// What is run, in order.
    pub fn hooks(&self) -> &'p [Planned] {
        &self.wave.hooks
    }

    /// Whether anything that stays of it may have a say in whether the API server lets in something else: a definition, a namespace,
    /// a role, an account, a quota, a policy.
    pub fn decides_on_others(&self) -> bool {
        self.steady().any(|planned| decides(planned.id()))
    }
}

/// All that is not known to do nothing but its own work.
fn decides(id: &ObjectId) -> bool {
    let kind = id.kind.as_str();
    !match id.group.as_str() {
        "" => matches!(
            kind,
            "ConfigMap" | "Secret" | "Service" | "PersistentVolumeClaim" | "Pod"
        ),
        "apps" | "batch" | "autoscaling" => true,
        "policy" => kind == "PodDisruptionBudget",
        "networking.k8s.io" => matches!(kind, "Ingress" | "NetworkPolicy"),
        _ => false,
    }
}

impl Wave {
    pub(super) fn stages(&self) -> &[Stage] {
        &self.stages
    }

    pub(super) fn hooks(&self) -> &[Planned] {
        &self.hooks
    }
}

impl<Standing> Plan<Standing> {
    /// The waves of a sync, in order: before, with and after the objects that stay.
    pub fn course(&self) -> impl Iterator<Item = Step<'_, Standing>> {
        self.all_steps()
            .filter(|step| step.place().phase <= Phase::PostSync)
    }

    /// The waves of one phase, in order.
    pub fn steps(&self, phase: Phase) -> impl Iterator<Item = Step<'_, Standing>> {
        self.all_steps()
            .filter(move |step| step.place().phase == phase)
    }

    fn all_steps(&self) -> impl Iterator<Item = Step<'_, Standing>> {
        self.waves.iter().map(|wave| Step {
            wave,
            standing: PhantomData,
        })
    }

    /// Every hook, once for each phase that it runs in.
    pub fn hooks(&self) -> impl Iterator<Item = &Planned> {
        self.waves.iter().flat_map(|wave| &wave.hooks)
    }

    /// What of it is deleted since nobody wants it any more: not the hooks of earlier syncs whose names were made for those, in whose
    /// place those of this one come.
    pub fn dropped(&self) -> impl Iterator<Item = &Entry> {
        let remade = |id: &ObjectId| self.hooks().any(|hook| hook.is_remade(id));
        self.prune().iter().filter(move |entry| !remade(&entry.id))
    }

    /// Which sync this is, where there is more than one wave or any hook.
    pub fn sync(&self) -> Option<&str> {
        self.sync.as_deref()
    }
}

impl Plan<Proposed> {
    /// The same for the sync of this revision that answers this request: its hooks are told apart from those of any other
    /// sync by a mark, and by their names where these are made for them. Without hooks and waves it is what it was.
    #[must_use]
    pub fn on(mut self, revision: &str, requested: Option<&str>) -> Self {
        if self.waves.len() < 2 && self.hooks().next().is_none() {
            return self;
        }
        let sync = digest(&self.waves, revision, requested.unwrap_or_default());
        self.mark(sync);
        let named: BTreeSet<ObjectId> = self.hooks().map(|hook| hook.id().clone()).collect();
        self.prune.retain(|entry| !named.contains(&entry.id));
        self
    }

    /// Of it what is left to do when the Kustomization with this uid was deleted, and what it had applied with it: the hooks
    /// for that. They are the same whatever is in git by then.
    #[must_use]
    pub fn after_deletion(self, uid: &str) -> Self {
        let waves = self.waves.into_iter();
        let mut last = Self {
            waves: waves
                .filter(|wave| wave.place.phase == Phase::PostDelete)
                .collect(),
            skipped: Vec::new(),
            prune: Vec::new(),
            inventory: Inventory::default(),
            sync: None,
            standing: PhantomData,
        };
        last.mark(hex::encode(Sha256::digest(format!("deletion of {uid}"))));
        last
    }

    fn mark(&mut self, sync: String) {
        for hook in self.waves.iter_mut().flat_map(|wave| &mut wave.hooks) {
            hook.mark(&sync);
        }
        self.sync = Some(sync);
    }
}

impl Planned {
    /// Whether it is a hook.
    pub fn is_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// In which phase it is run, if it is a hook.
    pub fn phase(&self) -> Option<Phase> {
        self.hook.as_ref().map(|hook| hook.phase)
    }

    /// For which sync and phase it is created, if it is a hook: what stands on it under [`MARK`].
    pub fn marked(&self) -> Option<&str> {
        self.hook.as_ref().map(|hook| hook.mark.as_str())
    }

    /// Whether it is deleted after it has ended like this.
    pub fn goes(&self, well: bool) -> bool {
        let goes = self.hook.as_ref().map(|hook| hook.goes);
        goes.is_some_and(|goes| goes.after(well))
    }

    /// Whether that is the same hook, made for another sync.
    fn is_remade(&self, id: &ObjectId) -> bool {
        let generated = self.hook.as_ref().is_some_and(|hook| hook.generated);
        let beside = |own: &ObjectId| {
            (&own.namespace, &own.group, &own.kind) == (&id.namespace, &id.group, &id.kind)
        };
        let base = base(&self.id.name);
        generated && beside(&self.id) && base.is_some() && base == self::base(&id.name)
    }

    fn mark(&mut self, sync: &str) {
        let Some(hook) = &mut self.hook else { return };
        let short = sync.get(..SHORT).unwrap_or_default();
        let phase = hook.phase.as_str();
        hook.mark = format!("{short}.{phase}");
        let annotations = self.manifest.pointer_mut("/metadata/annotations");
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            annotations.insert(MARK.to_owned(), hook.mark.clone().into());
        }
        keep(&mut self.manifest);
        if !hook.generated {
            return;
        }
        let own = hex::encode(Sha256::digest(&hook.mark));
        let own = own.get(..SHORT).unwrap_or_default();
        let most = self.id.name.floor_char_boundary(LONGEST_NAME - SHORT - 1);
        let base = self.id.name.get(..most).unwrap_or_default();
        self.id.name = format!("{}-{own}", base.trim_end_matches('-'));
        let metadata = self.manifest.get_mut("metadata");
        if let Some(metadata) = metadata.and_then(Value::as_object_mut) {
            metadata.shift_remove("generateName");
            metadata.insert("name".to_owned(), self.id.name.clone().into());
        }
    }
}

/// Of a name that was made here what all that are made of the same have.
fn base(name: &str) -> Option<&str> {
    let (base, own) = name.rsplit_once('-')?;
    let is_own = own.len() == SHORT && own.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_own.then_some(base)
}

/// Has a Job remove itself no sooner than its end is seen.
fn keep(manifest: &mut Value) {
    let is = |key: &str, want: &str| manifest.get(key).and_then(Value::as_str) == Some(want);
    if !is("kind", "Job") || !is("apiVersion", "batch/v1") {
        return;
    }
    let asked = manifest.pointer_mut("/spec/ttlSecondsAfterFinished");
    if let Some(seconds) = asked.filter(|asked| asked.as_u64().is_some_and(|asked| asked < KEPT)) {
        *seconds = KEPT.into();
    }
}

/// Objects in their order, wave by wave.
pub(super) fn waves(objects: Vec<(Planned, When)>) -> Vec<Wave> {
    let mut waves: BTreeMap<Place, (Vec<Planned>, Vec<Planned>)> = BTreeMap::new();
    for (planned, When { wave, role }) in objects {
        match role {
            Role::Steady | Role::Skip => {
                let phase = Phase::Sync;
                let (steady, _) = waves.entry(Place { phase, wave }).or_default();
                steady.push(planned);
            }
            Role::Hook(phases, goes) => {
                let generated = is_generated(&planned);
                for phase in phases {
                    let mut planned = planned.clone();
                    planned.hook = Some(Box::new(Hook {
                        phase,
                        goes,
                        generated,
                        mark: String::new(),
                    }));
                    let (_, hooks) = waves.entry(Place { phase, wave }).or_default();
                    hooks.push(planned);
                }
            }
        }
    }
    let wave = |(place, (steady, hooks))| Wave {
        place,
        stages: staged(steady),
        hooks,
    };
    waves.into_iter().map(wave).collect()
}

/// Whether its name only begins that of each object that is made of it.
fn is_generated(planned: &Planned) -> bool {
    let prefix = planned.manifest.pointer("/metadata/generateName");
    let prefix = prefix.and_then(Value::as_str).unwrap_or_default();
    !prefix.is_empty() && planned.id.name.contains(prefix)
}

/// The same for the same objects, waves, revision and request.
fn digest(waves: &[Wave], revision: &str, requested: &str) -> String {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update(text.len().to_le_bytes());
        digest.update(text);
    };
    add(revision);
    add(requested);
    for wave in waves {
        add(&wave.place.to_string());
        let objects = wave.stages.iter().flat_map(Stage::objects);
        for planned in objects.chain(&wave.hooks) {
            add(&planned.id.to_string());
            add(&planned.manifest.to_string());
        }
    }
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests;
