//! What the watches have told, behind a lock.
//!
//! Holds `core`'s pure indexes, the objects as last seen and what runs remember; a lock is held for one closure and
//! never across an await. It deliberately decides nothing: who is touched by what is `core::index`'s to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use jiff::Timestamp;
use kube::core::ObjectMeta;
use reeve_api::kustomization::{Kustomization, SourceKind};
use reeve_api::name::{
    NamespaceName, NamespacedName, ObjectName, PluginName, PolicyName, TenantName,
};
use reeve_api::plugin::{ClusterPlugin, Plugin};
use reeve_api::policy::{Policy, TestResults};
use reeve_api::receiver::Receiver;
use reeve_api::source::GitRepository;
use reeve_api::tenant::{Project, Tenant};
use reeve_api::writeback::WriteBack;
use reeve_core::admit::Passed;
use reeve_core::artifact::{Artifact, Digest};
use reeve_core::failure::Explained;
use reeve_core::index::Target;
use reeve_core::others::{Seen, Told};
use reeve_core::ownership::Holdings;
use reeve_core::plugin::{PluginId, Strikes, Tally};
use reeve_core::policy::Said;
use reeve_core::rego;
use reeve_core::report::Reports;
use reeve_core::signature::Verdict;
use reeve_core::source::Include;
use reeve_core::spec::SourceRef;
use reeve_core::status::{Heard, Memory};
use reeve_core::tenancy::{Grounds, Tenants};
use reeve_core::upkeep::Tried;
use reeve_core::upkeep::hook::Looked;
use reeve_core::veil::Veil;
use reeve_wasm::{Budget, Module};
use serde_json::Value;

use crate::controller;
use crate::git::Snapshot;
use crate::others::Files;
use crate::store::Archived;

/// What the watches have told.
pub(crate) struct Index(RwLock<Known>);

/// What is known, all of it under one lock.
pub(crate) struct Known {
    pub(crate) touch: reeve_core::index::Index,
    pub(crate) tenants: Tenants,
    pub(crate) sources: BTreeMap<NamespacedName, Arc<GitRepository>>,
    /// Whether those are all there are.
    pub(crate) sources_listed: bool,
    pub(crate) kustomizations: BTreeMap<NamespacedName, Arc<Kustomization>>,
    /// Whether those are all there are.
    pub(crate) kustomizations_listed: bool,
    pub(crate) receivers: BTreeMap<NamespacedName, Arc<Receiver>>,
    /// Whether those are all there are.
    pub(crate) receivers_listed: bool,
    pub(crate) writebacks: BTreeMap<NamespacedName, Arc<WriteBack>>,
    /// Whether those are all there are.
    pub(crate) writebacks_listed: bool,
    /// Since when somebody waits for that.
    pub(crate) writebacks_awaited: Option<Timestamp>,
    /// Kustomizations of which it is not known yet what they had applied before, and since when it is waited for that.
    pub(crate) recalled: BTreeMap<NamespacedName, Timestamp>,
    pub(crate) tenant_objects: BTreeMap<TenantName, Arc<Tenant>>,
    /// Whether those are all there are.
    pub(crate) tenant_objects_listed: bool,
    /// Whether it is known of all namespaces whose they are by their label.
    pub(crate) marks_listed: bool,
    /// Whether both is: then it is known whose everything is.
    pub(crate) tenants_listed: bool,
    pub(crate) projects: BTreeMap<ObjectName, Arc<Project>>,
    /// Whether those are all there are.
    pub(crate) projects_listed: bool,
    pub(crate) plugins: BTreeMap<NamespacedName, Arc<Plugin>>,
    pub(crate) cluster_plugins: BTreeMap<PluginName, Arc<ClusterPlugin>>,
    pub(crate) loaded: BTreeMap<PluginId, Loaded>,
    /// Kustomizations that wait for a plugin to be loaded.
    pub(crate) waiting: BTreeMap<PluginId, BTreeSet<NamespacedName>>,
    /// Kustomizations whose last build called a plugin as a function, or tried to.
    pub(crate) users: BTreeMap<PluginId, BTreeSet<NamespacedName>>,
    /// Logins of sources that provider plugins have brought.
    pub(crate) logins: BTreeMap<NamespacedName, controller::Kept>,
    /// What was heard of the repositories of sources, since this process leads.
    pub(crate) heard: BTreeMap<NamespacedName, Heard>,
    /// What calls told of sources that another replica works for, until it is passed on.
    pub(crate) relays: BTreeMap<NamespacedName, String>,
    pub(crate) calls: Calls,
    pub(crate) policies: BTreeMap<PolicyName, Arc<Policy>>,
    /// Whether `policies` are all there are: before the first list has ended nobody can say so.
    pub(crate) policies_listed: bool,
    pub(crate) in_force: BTreeMap<PolicyName, InForce>,
    /// Kustomizations that wait for policies to be read, and since when.
    pub(crate) awaiting: BTreeMap<NamespacedName, Timestamp>,
    pub(crate) said: Said,
    /// The same by namespace, as tenants read it.
    pub(crate) reports: Reports,
    /// What of each Kustomization was let pass last, as a spec and as a plan.
    pub(crate) passed: BTreeMap<NamespacedName, Passages>,
    pub(crate) veils: BTreeMap<NamespacedName, Veils>,
    pub(crate) stored: BTreeMap<NamespacedName, Stored>,
    pub(crate) elsewhere: Elsewhere,
    /// Sources that had a run since this process started.
    pub(crate) looked_at: BTreeSet<NamespacedName>,
    pub(crate) memory: BTreeMap<Target, Memory>,
    /// Objects that are being deleted, for how long what is left of them at a forge was tried to be removed, and when last.
    pub(crate) partings: BTreeMap<Target, (Tried, Instant)>,
    /// Whether something that is left at a forge was written down just now.
    pub(crate) remains: bool,
    /// When the hooks of each Receiver were found well at their forges, since this process leads.
    pub(crate) hooks: BTreeMap<NamespacedName, Looked>,
    /// When the keys of a repository are looked through next for those that are nobody's, beside the objects of a namespace.
    pub(crate) sweeps: BTreeMap<(NamespaceName, String), Instant>,
    /// What was told of each Kustomization at its forge, since this process leads.
    pub(crate) marks: BTreeMap<NamespacedName, controller::Marked>,
    /// What is known of the pull requests of sources that have them planned.
    pub(crate) desks: BTreeMap<NamespacedName, controller::Desk>,
    /// When forges are asked about those for the sake of rules.
    pub(crate) turns: controller::Turns,
    /// What the manifests of each Kustomization hold, since this process leads.
    pub(crate) holdings: Holdings,
    /// The platform's own namespaces.
    pub(crate) platform: BTreeSet<NamespaceName>,
}

/// What there is of a kind in a namespace. Nothing else is looked at, however much there is.
pub(crate) fn within<'k, V>(
    all: &'k BTreeMap<NamespacedName, V>,
    namespace: &'k NamespaceName,
) -> impl Iterator<Item = (&'k NamespacedName, &'k V)> {
    let first = NamespacedName::first_of(namespace);
    let from = all.range(first..);
    from.take_while(move |(id, _)| id.namespace == *namespace)
}

/// Which object it is, and in which state of its spec: one that is deleted and made again counts its generations anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edition {
    uid: Option<String>,
    generation: Option<i64>,
}

impl Edition {
    /// That of the object with this metadata.
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        Self {
            uid: meta.uid.clone(),
            generation: meta.generation,
        }
    }

    /// Whether both are of one object.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        self.uid == other.uid
    }
}

/// What came of loading a plugin.
#[derive(Clone)]
pub(crate) struct Loaded {
    /// The edition of the object that asked for it.
    pub(crate) edition: Edition,
    /// Whether there is a newer one.
    pub(crate) superseded: bool,
    /// The revision of the source that it was looked for in, if it comes from one.
    pub(crate) revision: Option<String>,
    /// The request for a run that was answered by it.
    pub(crate) requested: Option<String>,
    /// What may be called. When the newest cannot be, the one before, if that is still what is wanted.
    pub(crate) ready: Result<Arc<Callable>, Explained>,
    /// Why the newest cannot be called.
    pub(crate) trouble: Option<Explained>,
}

/// A plugin that can be called.
#[derive(Debug)]
pub(crate) struct Callable {
    pub(crate) module: Module,
    /// JSON.
    pub(crate) config: String,
    /// The same with a word for each value from a Secret, if there are such.
    pub(crate) hidden: Option<String>,
    pub(crate) budget: Budget,
    /// What the component asks for, in its own words.
    pub(crate) asks: Option<Value>,
}

impl Callable {
    /// Whether a call of one is a call of the other.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.module.digest() == other.module.digest()
            && self.config == other.config
            && self.budget == other.budget
    }
}

/// What of a policy is in force.
#[derive(Clone)]
pub(crate) struct InForce {
    /// The edition of the object that it was compiled for.
    pub(crate) edition: Edition,
    /// The revision of the source that its rules were looked for in, if they come from one.
    pub(crate) revision: Option<String>,
    /// The request for a run that was answered by it.
    pub(crate) requested: Option<String>,
    /// What is asked. When the newest is not fit for it, the one before.
    pub(crate) ready: Result<Arc<rego::Policy>, Explained>,
    /// The revision that what is asked is of.
    pub(crate) of: Option<String>,
    /// How the tests of what is asked ended.
    pub(crate) tests: Option<TestResults>,
    /// Why the newest is not in force.
    pub(crate) trouble: Option<Explained>,
}

/// What was let pass last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passages {
    pub(crate) spec: Option<Passed>,
    pub(crate) plan: Option<Passed>,
    /// What was kept of what has been applied, since this process leads.
    pub(crate) kept: Option<Kept>,
    /// Of what was rendered last and denied, since this process leads: it lies on the disk.
    pub(crate) denied: Option<Digest>,
}

/// What must not be told of a Kustomization: what it is built with now, and what it was built with before that. What was
/// applied before is shown to policies beside what is applied now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Veils {
    now: Veil,
    before: Veil,
}

impl Veils {
    /// This is what it is built with; returns all that must not be told.
    pub(crate) fn draw(&mut self, now: Veil) -> Veil {
        if now != self.now {
            self.before = std::mem::replace(&mut self.now, now);
        }
        self.both()
    }

    /// This is what has been learnt since; returns all that must not be told.
    pub(crate) fn widen(&mut self, more: &Veil) -> Veil {
        self.now = self.now.and(more);
        self.both()
    }

    /// All that must not be told.
    pub(crate) fn both(&self) -> Veil {
        self.now.and(&self.before)
    }
}

/// What was kept of what has been applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// The question that was let pass before it was applied.
    pub(crate) of: Option<[u8; 32]>,
    /// Of what lies on the disk.
    pub(crate) digest: Digest,
}

/// How calls of plugins went.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) strikes: Strikes,
    pub(crate) tallies: BTreeMap<PluginId, Tally>,
    /// Those whose tally the status does not tell yet.
    pub(crate) untold: BTreeSet<PluginId>,
}

impl Calls {
    /// The plugin is gone.
    pub(crate) fn forget(&mut self, id: &PluginId) {
        self.strikes.forget_plugin(id);
        self.tallies.remove(id);
        self.untold.remove(id);
    }
}

/// What is known of sources that other controllers keep.
#[derive(Default)]
pub(crate) struct Elsewhere {
    pub(crate) told: BTreeMap<SourceRef, Told>,
    /// The kinds of which all there are have been told.
    pub(crate) listed: BTreeSet<SourceKind>,
    /// Those of them that have no definition.
    pub(crate) undefined: BTreeSet<SourceKind>,
}

/// What a source has in store; the files are a commit's, unless something else is said.
#[derive(Clone)]
pub(crate) struct Stored<S = Snapshot> {
    pub(crate) artifact: Artifact,
    pub(crate) snapshot: S,
    /// The URL, reference, credential and ignore rules that it came from: another spec means another fetch.
    pub(crate) wanted: Wanted,
    /// Who signed it, if that was asked for.
    pub(crate) verified: Option<Verdict>,
    /// Before it is, nothing is written of what is built from it.
    pub(crate) archived: Archived,
}

impl Stored {
    /// The same beside what others have in store.
    pub(crate) fn files(self) -> Stored<Files> {
        Stored {
            artifact: self.artifact,
            snapshot: Files::Commit(self.snapshot),
            wanted: self.wanted,
            verified: self.verified,
            archived: self.archived,
        }
    }
}

/// What a stored artifact was fetched for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Empty where another controller fetches it and nobody can say from where.
    pub(crate) url: String,
    /// Where in it the next version is looked for: the branch, the full name, or the tag without its version.
    pub(crate) place: Option<String>,
    pub(crate) ignore: Option<String>,
    /// The directories that were taken of it.
    pub(crate) sparse: Vec<String>,
    /// What was laid beside its files.
    pub(crate) included: Vec<Included>,
    /// Whether its submodules were taken too.
    pub(crate) submodules: bool,
}

/// What of another source was laid beside the files of one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Included {
    pub(crate) include: Include,
    pub(crate) revision: String,
    pub(crate) tree: String,
}

impl Elsewhere {
    /// What is there of a source.
    pub(crate) fn seen(&self, source: &SourceRef) -> Seen<'_> {
        match self.told.get(source) {
            Some(told) => Seen::There(told),
            None if self.undefined.contains(&source.kind) => Seen::Undefined,
            None => Seen::Missing,
        }
    }

    /// Whether nobody can say yet that there is no such source.
    pub(crate) fn may_be_listed(&self, source: &SourceRef) -> bool {
        !self.listed.contains(&source.kind) && !self.told.contains_key(source)
    }
}

impl Known {
    /// The revision that is there of what a Kustomization applies.
    pub(crate) fn revision_for(&self, kustomization: &NamespacedName) -> Option<String> {
        let (kind, source) = self.touch.applied_by(kustomization)?;
        let revision = match kind {
            SourceKind::GitRepository => self.stored.get(source)?.artifact.revision.clone(),
            _ => {
                let told = self.elsewhere.told.get(&SourceRef::of(kind, source))?;
                told.revision()?
            }
        };
        Some(revision.to_string())
    }

    /// Whether a source is looked at for the first time since this process started, or is about to be: then it wakes whoever
    /// waits for it, whatever it finds.
    pub(crate) fn is_looked_at_first(&self, source: &NamespacedName) -> bool {
        let object = self.sources.get(source);
        !self.looked_at.contains(source) && object.is_some_and(|object| !object.spec.suspend)
    }

    /// Whether nobody can say yet that there is no such source.
    pub(crate) fn may_be_listed(&self, source: &NamespacedName) -> bool {
        !self.sources_listed && !self.sources.contains_key(source)
    }

    /// Whether a source had an artifact before this process started and has not been looked at since: it is about to be,
    /// and then wakes whoever waits for it.
    pub(crate) fn is_about_to_look_at(&self, source: &NamespacedName) -> bool {
        let object = self.sources.get(source);
        let status = object.and_then(|object| object.status.as_ref());
        !self.looked_at.contains(source) && status.is_some_and(|status| status.artifact.is_some())
    }
}

impl Index {
    /// An empty index over these grounds.
    pub(crate) fn new(grounds: &Grounds) -> Self {
        Self(RwLock::new(Known::nothing(grounds)))
    }

    /// Forgets everything: who leads again has not followed what happened meanwhile.
    pub(crate) fn forget(&self, grounds: &Grounds) {
        self.write(|known| *known = Known::nothing(grounds));
    }

    /// Looks something up.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        // A panic under the lock leaves plain data behind, at worst one change short.
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes something.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the last run of `target` said to remember.
    pub(crate) fn memory(&self, target: &Target) -> Memory {
        self.read(|known| known.memory.get(target).copied().unwrap_or_default())
    }

    /// Remembers for the next run of `target`.
    pub(crate) fn remember(&self, target: &Target, memory: Memory) {
        self.write(|known| {
            if memory == Memory::default() {
                known.memory.remove(target);
            } else {
                known.memory.insert(target.clone(), memory);
            }
        });
    }
}

impl Known {
    fn nothing(grounds: &Grounds) -> Self {
        let trusted = grounds
            .platform_namespaces
            .iter()
            .chain(&grounds.config_namespaces);
        Self {
            touch: reeve_core::index::Index::new(trusted.cloned()),
            tenants: Tenants::default(),
            sources: BTreeMap::new(),
            kustomizations: BTreeMap::new(),
            kustomizations_listed: false,
            receivers: BTreeMap::new(),
            receivers_listed: false,
            writebacks: BTreeMap::new(),
            writebacks_listed: false,
            writebacks_awaited: None,
            recalled: BTreeMap::new(),
            tenant_objects: BTreeMap::new(),
            sources_listed: false,
            tenant_objects_listed: false,
            marks_listed: false,
            tenants_listed: false,
            projects: BTreeMap::new(),
            projects_listed: false,
            plugins: BTreeMap::new(),
            cluster_plugins: BTreeMap::new(),
            loaded: BTreeMap::new(),
            waiting: BTreeMap::new(),
            users: BTreeMap::new(),
            logins: BTreeMap::new(),
            heard: BTreeMap::new(),
            relays: BTreeMap::new(),
            calls: Calls::default(),
            policies: BTreeMap::new(),
            policies_listed: false,
            in_force: BTreeMap::new(),
            awaiting: BTreeMap::new(),
            said: Said::default(),
            reports: Reports::default(),
            passed: BTreeMap::new(),
            veils: BTreeMap::new(),
            stored: BTreeMap::new(),
            elsewhere: Elsewhere::default(),
            looked_at: BTreeSet::new(),
            memory: BTreeMap::new(),
            partings: BTreeMap::new(),
            // That of a process before.
            remains: true,
            hooks: BTreeMap::new(),
            sweeps: BTreeMap::new(),
            marks: BTreeMap::new(),
            desks: BTreeMap::new(),
            turns: controller::Turns::default(),
            holdings: Holdings::default(),
            platform: grounds.platform_namespaces.iter().cloned().collect(),
        }
    }
}
